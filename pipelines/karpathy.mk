# COCO by Karpathy's split, a captioner by its preset config/NAME.json: cross-entropy, then CIDEr optimisation; the test images scored.
#   make -f pipelines/karpathy.mk DATA=DIR MODEL=NAME ENCODER=FILE
#   make -f pipelines/karpathy.mk DATA=DIR MODELS='NAME NAME...' FEATURES=PREFIX     all these, and their ensemble
# DATA holds dataset_coco.json, train2014/ and val2014/. Captioners read the grid, whatever the preset says; SECTION= takes the preset's own.
# vinvl.mk, scst.mk and ensemble.mk are this with other models and stages.
D ?= build/karpathy
DATA ?=
MODELS ?= transformer
SECTION ?= grid
TITLE ?= COCO, Karpathy split
SCHEME := karpathy
ANNOTATIONS := $(DATA)/dataset_coco.json
SPLIT_OPTIONS := --folders
PICTURES := $(DATA)
include $(dir $(lastword $(MAKEFILE_LIST)))family.mk
