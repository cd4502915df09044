# Flickr8k: a GPT-2 decoder with four image tokens, trained on the training images, scored on the development images.
#   make -f pipelines/flickr8k.mk DATA=DIR FEATURES=PREFIX    features of any program: PREFIX.global.npy and PREFIX.names.txt
#   make -f pipelines/flickr8k.mk DATA=DIR ENCODER=FILE       CLIP weights, or a checkpoint that holds an encoder
#   make -f pipelines/flickr8k.mk DATA=DIR                    an encoder of its own, trained from random weights
# DATA holds images/, Flickr8k.token.txt, Flickr_8k.trainImages.txt and Flickr_8k.devImages.txt.
# STAGE=scst adds CIDEr optimisation of the result.
D := build/flickr8k
DATA ?=
FEATURES ?=
ENCODER ?=
STAGE ?= xe
# global: one vector an image; grid: one a cell
SECTION := global
MIN_COUNT := 5
MODEL := --model gpt2 --set layers=6 --set width=384 --set heads=6 --set tokens=4 --set dropout=0.2
XE := --epochs 24 --batch 64 --lr 5e-4 --schedule cosine --label-smoothing 0.1 --compute bf16
SCST := --epochs 5 --batch 20 --lr 2e-5
# an encoder of its own: the network, and its training together with a small captioner
OWN_ENCODER := {"type":"clip-resnet","resolution":128,"preprocess":"stretch","width":32,"layers1":1,"layers2":1,"layers3":1,"layers4":1,"output_dim":512}
OWN := --set layers=2 --set width=192 --set heads=3 --set tokens=4 --epochs 12 --batch 64 --lr 1e-3 --flip --compute bf16
BEAM := 5
SPLIT := val

include $(dir $(lastword $(MAKEFILE_LIST)))common.mk
ifeq ($(wildcard $(DATA)/Flickr8k.token.txt),)
$(error DATA=$(DATA): no Flickr8k.token.txt there)
endif
RECORDS := $(D)/flickr8k.ndjson
VOCAB := $(D)/vocab.json
STORE := $(D)/$(SECTION).mdb
PICTURES := $(DATA)/images
STAGES := xe $(filter scst,$(STAGE))
CAPTIONS := constant nearest $(STAGES)

all: $(D)/report.html
	@$(BIN)/capt-report --text --limit 5 --curves loss --refs $(RECORDS) --scores $(D)/scores.ndjson --log $(D)/xe.log $(D)/$(STAGE).ndjson
	@echo 'Page with pictures: $<'

$(RECORDS):
	mkdir -p $(D)
	$(BIN)/coco-split --scheme flickr8k $(DATA)/Flickr8k.token.txt $(DATA)/Flickr_8k.trainImages.txt $(DATA)/Flickr_8k.devImages.txt $(to)

$(VOCAB): $(RECORDS)
	$(BIN)/vocab-build --type word --min-count $(MIN_COUNT) --out $@ $<

# --- features
ifneq ($(FEATURES),)
$(STORE): $(FEATURES).$(SECTION).npy $(FEATURES).names.txt
	mkdir -p $(D)
	$(BIN)/vinvl-import --format npy --section $(SECTION) --names $(FEATURES).names.txt --store $@ $<
else
ifeq ($(ENCODER),)
ENCODER := $(D)/encoder.ckpt
$(D)/encoder.json:
	mkdir -p $(D) && echo '$(OWN_ENCODER)' $(to)
$(ENCODER): $(RECORDS) $(VOCAB) $(D)/encoder.json
	$(fresh_log)
	$(BIN)/capt-train --model gpt2 --captions $(RECORDS) --vocab $(VOCAB) --images $(PICTURES) --section global \
	    --encoder random --encoder-config $(D)/encoder.json --tune-encoder $(OWN) \
	    --seed $(SEED) $(threads) --log $(log) --resume --out $@
endif
$(STORE): $(RECORDS) $(ENCODER)
	$(BIN)/clip-featurize --weights $(ENCODER) --images $(PICTURES) --features $(SECTION) --resume $(threads) --store $@ $<
endif

# --- training
$(D)/xe.ckpt: $(RECORDS) $(VOCAB) $(STORE)
	$(fresh_log)
	$(BIN)/capt-train $(MODEL) --captions $(RECORDS) --vocab $(VOCAB) --store $(STORE) --section $(SECTION) $(XE) --val-cider \
	    --seed $(SEED) $(threads) --log $(log) --resume --out $@

$(D)/scst.ckpt: $(D)/xe.ckpt
	$(fresh_log)
	$(BIN)/capt-scst --init $< --captions $(RECORDS) --store $(STORE) $(SCST) \
	    --seed $(SEED) $(threads) --log $(log) --resume --out $@

# --- captions, scores, report
$(D)/%.ndjson: $(D)/%.ckpt $(STORE)
	$(BIN)/capt-beam --model $< --store $(STORE) --split $(SPLIT) --beam $(BEAM) $(threads) --out $@ $(RECORDS)

# the constant caption is chosen by the images it is scored on: a floor that is a little too high
$(D)/constant.ndjson: $(RECORDS)
	$(BIN)/capt-floor --kind constant --captions $< --split $(SPLIT) $(threads) $(to)

$(D)/nearest.ndjson: $(RECORDS) $(STORE)
	$(BIN)/capt-floor --kind nearest --captions $< --split $(SPLIT) --store $(STORE) $(threads) $(to)

NAME_constant := floor: best constant caption
NAME_nearest := floor: caption of the nearest training image
NAME_xe := cross-entropy
NAME_scst := CIDEr optimised (SCST)

$(D)/%.score: $(D)/%.ndjson
	$(call score,$(NAME_$*))

$(D)/scores.ndjson: $(CAPTIONS:%=$(D)/%.score)
	cat $^ $(to)

$(D)/report.html: $(D)/scores.ndjson
	$(BIN)/capt-report --title Flickr8k --refs $(RECORDS) --images $(PICTURES) --scores $< \
	    $(STAGES:%=--log $(D)/%.log) --out $@ $(STAGES:%=$(D)/%.ndjson)

clean:
	rm -rf $(D)
