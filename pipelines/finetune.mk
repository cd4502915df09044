# The staged recipe, in build/finetune: captioner on the features of a frozen encoder; encoder unfrozen, tuned along; features of all images again; CIDEr
# optimisation on these; an ensemble of two such models, each with its own encoder.
#   make -f pipelines/finetune.mk                          a toy set; a small encoder trained on its training pictures stands for CLIP
#   make -f pipelines/finetune.mk ENCODER=FILE RECORDS=FILE PICTURES=DIR [D=..] [MODEL=..] ...
#                                                          CLIP weights under their public names; caption records; their images
# The second model differs by its seed, and by what STAGES_b, TUNED_b, ... say.
D := build/finetune
IMAGES := 400
ENCODER ?=
RECORDS ?=
PICTURES ?=
MIN_COUNT := 2
MODEL := --model gpt2 --section grid --set tokens=0 --set layers=2 --set width=64 --set heads=2
# captioner alone
FROZEN := --epochs 8 --batch 32 --lr 1e-3
# both: the encoder more slowly, STAGES_x of it
TUNED := --epochs 3 --batch 16 --lr 3e-4 --encoder-lr 1e-4 --recompute
STAGES_a := 3
STAGES_b := 2
SCST := --epochs 1 --batch 20 --lr 1e-4
BEAM := 5
SPLIT := test
# the toy's encoder, in CLIP's place
TOY_ENCODER := {"type":"clip-resnet","resolution":64,"width":8,"layers1":1,"layers2":1,"layers3":1,"layers4":1,"output_dim":64}
TOY := --epochs 12 --batch 32 --lr 1e-3

include $(dir $(lastword $(MAKEFILE_LIST)))common.mk
VOCAB := $(D)/vocab.json
CAPTIONS := a.frozen a.tuned a.scst b.scst ensemble
seed_a = $(SEED)
seed_b = $$(($(SEED) + 1))

all: $(D)/scores.ndjson

ifeq ($(RECORDS),)
RECORDS := $(D)/toy.ndjson
PICTURES := $(D)/toy/images
$(D)/toy/dataset.json:
	rm -rf $(D)/toy && mkdir -p $(D)
	$(BIN)/coco-toy --quiet --images $(IMAGES) --seed $(SEED) --out $(D)/toy
$(RECORDS): $(D)/toy/dataset.json
	$(BIN)/coco-split --quiet --scheme karpathy $< $(to)
endif

$(VOCAB): $(RECORDS)
	mkdir -p $(D)
	$(BIN)/vocab-build --quiet --type word --min-count $(MIN_COUNT) --out $@ $<

ifeq ($(ENCODER),)
ENCODER := $(D)/encoder.ckpt
$(D)/encoder.json:
	mkdir -p $(D) && echo '$(TOY_ENCODER)' $(to)
$(ENCODER): $(RECORDS) $(VOCAB) $(D)/encoder.json
	$(fresh_log)
	$(BIN)/capt-train $(MODEL) --captions $(RECORDS) --vocab $(VOCAB) --images $(PICTURES) --encoder random --encoder-config $(D)/encoder.json \
	    --tune-encoder $(TOY) --seed $(SEED) $(threads) --log $(log) --resume --out $@
endif

# --- the encoder frozen: its features once, the captioner on these
$(D)/frozen.mdb: $(ENCODER) $(RECORDS)
	mkdir -p $(D)
	$(BIN)/clip-featurize --weights $(ENCODER) --images $(PICTURES) --features grid --resume $(threads) --store $@ $(RECORDS)

$(D)/%.frozen.ckpt: $(D)/frozen.mdb $(VOCAB)
	$(fresh_log)
	$(BIN)/capt-train $(MODEL) --captions $(RECORDS) --vocab $(VOCAB) --store $< $(FROZEN) \
	    --seed $(seed_$*) $(threads) --log $(log) --resume --out $@

# --- unfrozen
$(D)/%.tuned.ckpt: $(D)/%.frozen.ckpt
	$(fresh_log)
	$(BIN)/capt-train $(MODEL) --init $< --captions $(RECORDS) --vocab $(VOCAB) --images $(PICTURES) --encoder $(ENCODER) \
	    --tune-encoder $(if $(STAGES_$*),--tune-stages $(STAGES_$*)) $(TUNED) $(TUNED_$*) --seed $(seed_$*) $(threads) --log $(log) --resume --out $@

# --- features again, and CIDEr optimisation on them
$(D)/%.mdb: $(D)/%.tuned.ckpt
	$(BIN)/clip-featurize --weights $< --images $(PICTURES) --features grid --resume $(threads) --store $@ $(RECORDS)

$(D)/%.scst.ckpt: $(D)/%.tuned.ckpt $(D)/%.mdb
	$(fresh_log)
	$(BIN)/capt-scst --init $< --captions $(RECORDS) --store $(D)/$*.mdb $(SCST) $(SCST_$*) \
	    --seed $(seed_$*) $(threads) --log $(log) --resume --out $@

# --- captions: each model with the features of its own encoder
beam = $(BIN)/capt-beam --split $(SPLIT) --beam $(BEAM) $(threads) --out $@

$(D)/%.frozen.ndjson: $(D)/%.frozen.ckpt
	$(beam) --model $< --store $(D)/frozen.mdb $(RECORDS)

$(D)/%.tuned.ndjson: $(D)/%.tuned.ckpt $(D)/%.mdb
	$(beam) --model $< --store $(D)/$*.mdb $(RECORDS)

$(D)/%.scst.ndjson: $(D)/%.scst.ckpt $(D)/%.mdb
	$(beam) --model $< --store $(D)/$*.mdb $(RECORDS)

$(D)/ensemble.ndjson: $(D)/a.scst.ckpt $(D)/b.scst.ckpt $(D)/a.mdb $(D)/b.mdb
	$(beam) --model $(D)/a.scst.ckpt --store $(D)/a.mdb --model $(D)/b.scst.ckpt --store $(D)/b.mdb $(RECORDS)

NAME_a.frozen := encoder frozen
NAME_a.tuned := encoder tuned
NAME_a.scst := and CIDEr optimised (SCST)
NAME_b.scst := the same, second model
NAME_ensemble := ensemble of both

$(D)/%.score: $(D)/%.ndjson
	$(call score,$(NAME_$*))

$(D)/scores.ndjson: $(CAPTIONS:%=$(D)/%.score)
	cat $^ $(to)

show: $(D)/scores.ndjson
	@$(BIN)/capt-report --text --limit 5 --refs $(RECORDS) --scores $< $(D)/ensemble.ndjson

clean:
	rm -rf $(D)
