# The whole way on a toy data set, from pictures to scores, in build/demo: split, vocabulary, an encoder trained together with its
# captioner, features, a second captioner on these, CIDEr optimisation of both, beam search, an ensemble, floors, scores, report.
#   all: the page and the checkpoints   show: print the outcome   check: fail unless it is as it should be   clean
D := build/demo
IMAGES := 1000
# encoder
ENCODER := {"type":"clip-resnet","resolution":64,"width":16,"layers1":1,"layers2":1,"layers3":1,"layers4":1,"output_dim":128}
# captioner: reads the grid, a token a cell
MODEL := --model gpt2 --section grid --set tokens=0 --set layers=3 --set width=128 --set heads=4
# cross-entropy, with the encoder (one) and on its features (two)
ONE := --epochs 30 --batch 32 --lr 1e-3 --compute bf16
TWO := --epochs 20 --batch 32 --lr 1e-3 --compute bf16
# CIDEr optimisation
SCST := --epochs 3 --batch 20 --lr 1e-4 --compute bf16
BEAM := 5
SPLIT := test

include $(dir $(lastword $(MAKEFILE_LIST)))common.mk
RECORDS := $(D)/toy.ndjson
VOCAB := $(D)/vocab.json
STORE := $(D)/grid.mdb
PICTURES := $(D)/toy/images
CAPTIONS := constant nearest one.xe two.xe one.scst two.scst ensemble

all: $(D)/report.html

$(D)/toy/dataset.json:
	rm -rf $(D)/toy && mkdir -p $(D)
	$(BIN)/coco-toy --images $(IMAGES) --seed $(SEED) --out $(D)/toy

$(RECORDS): $(D)/toy/dataset.json
	$(BIN)/coco-split --quiet --scheme karpathy $< $(to)

$(VOCAB): $(RECORDS)
	$(BIN)/vocab-build --quiet --type word --min-count 2 --out $@ $<

$(D)/encoder.json:
	mkdir -p $(D) && echo '$(ENCODER)' $(to)

# --- training
$(D)/one.xe.ckpt: $(RECORDS) $(VOCAB) $(D)/encoder.json
	$(fresh_log)
	$(BIN)/capt-train $(MODEL) --captions $(RECORDS) --vocab $(VOCAB) --images $(PICTURES) \
	    --encoder random --encoder-config $(D)/encoder.json --tune-encoder $(ONE) --val-cider \
	    --seed $(SEED) $(threads) --log $(log) --resume --out $@

$(STORE): $(D)/one.xe.ckpt
	$(BIN)/clip-featurize --weights $< --images $(PICTURES) --features grid --resume $(threads) --store $@ $(RECORDS)

$(D)/two.xe.ckpt: $(STORE)
	$(fresh_log)
	$(BIN)/capt-train $(MODEL) --captions $(RECORDS) --vocab $(VOCAB) --store $(STORE) $(TWO) --val-cider \
	    --seed $$(($(SEED) + 1)) $(threads) --log $(log) --resume --out $@

$(D)/%.scst.ckpt: $(D)/%.xe.ckpt $(STORE)
	$(fresh_log)
	$(BIN)/capt-scst --init $< --captions $(RECORDS) --store $(STORE) $(SCST) \
	    --seed $(SEED) $(threads) --log $(log) --resume --out $@

# --- captions
$(D)/%.ndjson: $(D)/%.ckpt $(STORE)
	$(BIN)/capt-beam --model $< --store $(STORE) --split $(SPLIT) --beam $(BEAM) $(threads) --out $@ $(RECORDS)

$(D)/ensemble.ndjson: $(D)/one.scst.ckpt $(D)/two.scst.ckpt $(STORE)
	$(BIN)/capt-beam --model $(D)/one.scst.ckpt --model $(D)/two.scst.ckpt --store $(STORE) --split $(SPLIT) \
	    --beam $(BEAM) $(threads) --out $@ $(RECORDS)

$(D)/constant.ndjson: $(RECORDS)
	$(BIN)/capt-floor --quiet --kind constant --captions $< --split $(SPLIT) $(threads) $(to)

$(D)/nearest.ndjson: $(RECORDS) $(STORE)
	$(BIN)/capt-floor --quiet --kind nearest --captions $< --split $(SPLIT) --store $(STORE) $(threads) $(to)

# --- scores and report
NAME_constant := floor: best constant caption
NAME_nearest := floor: caption of the nearest training image
NAME_one.xe := first model, cross-entropy
NAME_two.xe := second model, cross-entropy
NAME_one.scst := first model, CIDEr optimised (SCST)
NAME_two.scst := second model, CIDEr optimised (SCST)
NAME_ensemble := ensemble of both

$(D)/%.score: $(D)/%.ndjson
	$(call score,$(NAME_$*))

$(D)/scores.ndjson: $(CAPTIONS:%=$(D)/%.score)
	cat $^ $(to)

$(D)/report.html: $(D)/scores.ndjson
	$(BIN)/capt-report --title 'Toy data set' --refs $(RECORDS) --images $(PICTURES) --scores $< \
	    --log $(D)/one.xe.log --log $(D)/two.xe.log --log $(D)/one.scst.log --log $(D)/two.scst.log --out $@ \
	    $(D)/ensemble.ndjson $(D)/one.scst.ndjson $(D)/one.xe.ndjson

show: $(D)/report.html
	@echo
	@$(BIN)/capt-report --text --limit 5 --curves loss,cider --refs $(RECORDS) --scores $(D)/scores.ndjson \
	    --log $(D)/one.xe.log $(D)/one.scst.ndjson
	@echo
	@echo 'Page with pictures: $(D)/report.html'
	@echo 'A caption for a picture of your own: pipelines/caption photo.jpg'

check: $(D)/report.html
	@pipelines/check-demo $(D)

clean:
	rm -rf $(D)
