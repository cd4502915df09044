# Flickr8k: a captioner by its preset config/flickr8k-NAME.json, 20 minutes of training at most on two cores.
#   make -f pipelines/flickr8k.mk DATA=DIR MODEL=NAME FEATURES=PREFIX
#   make -f pipelines/flickr8k.mk DATA=DIR MODEL=NAME ENCODER=FILE
#   make -f pipelines/flickr8k.mk DATA=DIR MODEL=NAME               an encoder of its own, trained from random weights
#   make -f pipelines/flickr8k.mk DATA=DIR MODELS='NAME NAME...'    all these, and their ensemble
# DATA holds images/, Flickr8k.token.txt, Flickr_8k.trainImages.txt and Flickr_8k.devImages.txt. The first 500 of the development images choose
# checkpoints (split val), the others are captioned and scored (split test). STAGE=scst adds CIDEr optimisation. family.mk has the other variables.
D := build/flickr8k
DATA ?=
STAGE ?= xe
MIRRORED ?=
VAL_IMAGES ?= 500
MODELS := gpt2
STAGES := xe $(filter scst,$(STAGE))
PRESETS := flickr8k-
TITLE := Flickr8k
PICTURES := $(DATA)/images
SCHEME := flickr8k
ANNOTATIONS := $(DATA)/Flickr8k.token.txt train=$(DATA)/Flickr_8k.trainImages.txt val=$(D)/val.txt test=$(D)/test.txt
DEV := $(DATA)/Flickr_8k.devImages.txt
# an encoder of its own: the network, and its training together with a small captioner
OWN_ENCODER := {"type":"clip-resnet","resolution":128,"preprocess":"stretch","width":32,"layers1":1,"layers2":1,"layers3":1,"layers4":1,"output_dim":512}
OWN := --set layers=2 --set width=192 --set heads=3 --set tokens=4 --epochs 12 --batch 64 --lr 1e-3 --flip --compute bf16
ifeq ($(FEATURES)$(ENCODER),)
ENCODER := $(D)/encoder.ckpt
endif

ifneq ($(MIRRORED),)
TRAIN_RECORDS := $(D)/mirrored.ndjson
endif

include $(dir $(lastword $(MAKEFILE_LIST)))family.mk
$(if $(wildcard $(DATA)/Flickr8k.token.txt),,$(error DATA=$(DATA): no Flickr8k.token.txt there))

$(D)/val.txt: $(DEV)
	mkdir -p $(D) && head -n $(VAL_IMAGES) $< $(to)
$(D)/test.txt: $(DEV)
	mkdir -p $(D) && tail -n +$$(($(VAL_IMAGES)+1)) $< $(to)
$(D)/mirrored.ndjson: $(RECORDS)
	{ cat $<; sed -En '/"split":"train"/s/"(id|file)":"/&flip_/gp' $<; } $(to)

$(D)/encoder.json:
	mkdir -p $(D) && echo '$(OWN_ENCODER)' $(to)
$(D)/encoder.ckpt: $(RECORDS) $(VOCAB) $(D)/encoder.json
	$(fresh_log)
	$(BIN)/capt-train --model gpt2 --captions $(RECORDS) --vocab $(VOCAB) --images $(PICTURES) --section global \
	    --encoder random --encoder-config $(D)/encoder.json --tune-encoder $(OWN) \
	    --seed $(SEED) $(threads) --log $(log) --resume --out $@
