# COCO 2014 by its own splits: trained on train2014, scored on val2014.
#   make -f pipelines/coco2014.mk DATA=DIR MODEL=NAME ENCODER=FILE
# DATA holds annotations/captions_{train,val}2014.json, train2014/ and val2014/. Nothing is chosen by the scored images: training has no validation
# and ends with its last weights.
D := build/coco2014
DATA ?=
MODELS := transformer
SECTION := grid
SCHEME := coco2014
ANNOTATIONS := $(DATA)/annotations/captions_train2014.json $(DATA)/annotations/captions_val2014.json
include $(dir $(lastword $(MAKEFILE_LIST)))official.mk
