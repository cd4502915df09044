# What coco2014.mk and coco2017.mk have in common beside family.mk. The target `results` also writes the evaluation server's files of SPLIT,
# captions_NAME.STAGE_results.json; with ANNOTATIONS='... annotations/image_info_test2014.json' and SPLIT=test those of the test images.
SPLIT := val
VAL_SPLIT := none
SPLIT_OPTIONS += --folders
PICTURES := $(DATA)
TITLE := COCO, $(SCHEME)
include $(dir $(lastword $(MAKEFILE_LIST)))family.mk

.PHONY: results
results: $(TRAINED:%=$(D)/captions_%_results.json)
$(D)/captions_%_results.json: $(D)/%.ckpt
	$(BIN)/capt-beam --model $< --store $(call store,$(basename $*)) --split $(SPLIT) --beam $(BEAM) $(threads) --coco $@ --out $(D)/captions_$*.ndjson $(RECORDS)
