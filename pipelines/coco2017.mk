# COCO 2017 by its own splits: trained on train2017, scored on val2017.
#   make -f pipelines/coco2017.mk DATA=DIR MODEL=NAME ENCODER=FILE
# DATA holds annotations/captions_{train,val}2017.json, train2017/ and val2017/. Training leaves out the 4,407 images of Karpathy's test split, so that
# its captioners may be compared there, too. Nothing is chosen by the scored images: training has no validation and ends with its last weights.
D := build/coco2017
DATA ?=
MODELS := transformer
SECTION := grid
SCHEME := coco2017
ANNOTATIONS := $(DATA)/annotations/captions_train2017.json $(DATA)/annotations/captions_val2017.json
SPLIT_OPTIONS := --drop-leak
include $(dir $(lastword $(MAKEFILE_LIST)))official.mk
