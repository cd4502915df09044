# What the families of experiments share: vocabulary, features, training by presets, captions, an ensemble, floors, scores, report.
# A family's file says what is its own and includes this one. It sets
#   D PICTURES RECORDS     folders of results and of pictures, and the records, with their rule or with
#     SCHEME ANNOTATIONS   what coco-split takes (SPLIT_OPTIONS: more of its options)
#   MODELS                 presets config/$(PRESETS)NAME.json; NAME.SEED is the same from another seed
#   TRAIN_RECORDS          what is trained on, if not these records; with their rule
#   STAGES                 xe, or xe and names of CIDEr optimisations; each such stage S starts at xe and takes the preset's NAME.scst.json,
#                          then $(SCST) and $(SCST_S)
# and one source of image features:
#   FEATURES=PREFIX        of any program: PREFIX.SECTION.npy, a row or several an image, and PREFIX.names.txt, a picture's name a line
#   DETECTIONS='FILE...'   detectors' regions, as vinvl-import reads them (DETECTOR: more of its options; REGIONS: how many an image has at most)
#   ENCODER=FILE           CLIP weights, or a checkpoint that holds an encoder
# Anybody may set SECTION (else the preset says which), MODEL (one preset instead of MODELS), CONFIG and SCST_CONFIG (files instead of its presets),
# XE and SCST (options over the presets'), VOCABULARY (options of vocab-build), BEAM, SPLIT and VAL_SPLIT (what is scored, and what training is judged
# by), MEMBERS (of the ensemble: NAME.STAGE), PARTS (numbers of members: as many of the first make ensembles, too) and ENSEMBLE (options).
MODEL ?=
CONFIG ?=
SCST_CONFIG ?=
PRESETS ?=
SECTION ?=
FEATURES ?=
DETECTIONS ?=
DETECTOR ?=
REGIONS ?= 100
ENCODER ?=
XE ?=
SCST ?=
STAGES ?= xe scst
VOCABULARY ?= --type word --min-count 5
BEAM ?= 5
SPLIT ?= test
VAL_SPLIT ?= val
PARTS ?=
ENSEMBLE ?=
TITLE ?= $(notdir $(D))

include $(dir $(lastword $(MAKEFILE_LIST)))common.mk
.SECONDEXPANSION:
override MODELS := $(or $(MODEL),$(MODELS))
RECORDS ?= $(D)/records.ndjson
TRAIN_RECORDS ?= $(RECORDS)
VOCAB := $(D)/vocab.json
TRAINED := $(foreach s,$(STAGES),$(MODELS:%=%.$s))
MEMBERS ?= $(MODELS:%=%.$(lastword $(STAGES)))
CAPTIONS := constant nearest $(TRAINED) $(PARTS:%=ensemble-%) $(if $(word 2,$(MEMBERS)),ensemble)
CONFIGS := $(dir $(lastword $(MAKEFILE_LIST)))config

# of NAME or NAME.SEED: preset, seed, section of the features, their store
preset = $(or $(CONFIG),$(CONFIGS)/$(PRESETS)$(basename $(1)).json)
scst_preset = $(or $(SCST_CONFIG),$(CONFIGS)/$(PRESETS)$(basename $(1)).scst.json)
seed = $(or $(patsubst .%,%,$(suffix $(1))),$(SEED))
section = $(or $(SECTION),$(shell sed -n 's/.*"section": *"\([a-z]*\)".*/\1/p' $(call preset,$(1))),global)
store = $(D)/$(call section,$(1)).mdb
NEAREST := $(call store,$(firstword $(MODELS)))

all: $(D)/report.html
	@$(BIN)/capt-report --text --limit 5 --curves loss --refs $(RECORDS) --scores $(D)/scores.ndjson --log $(D)/$(firstword $(MODELS)).xe.log \
	    $(D)/$(lastword $(CAPTIONS)).ndjson
	@echo 'Page with pictures: $<'

# --- records and vocabulary
ifneq ($(SCHEME),)
$(RECORDS): $(foreach a,$(ANNOTATIONS),$(lastword $(subst =, ,$a)))
	mkdir -p $(D)
	$(BIN)/coco-split --scheme $(SCHEME) $(SPLIT_OPTIONS) $(ANNOTATIONS) $(to)
endif

$(VOCAB): $(RECORDS)
	$(BIN)/vocab-build $(VOCABULARY) --out $@ $<

# --- features
ifneq ($(FEATURES),)
$(D)/%.mdb: $(FEATURES).%.npy $(FEATURES).names.txt
	mkdir -p $(D)
	$(BIN)/vinvl-import --format npy --section $* --names $(FEATURES).names.txt --store $@ $<
else ifneq ($(DETECTIONS),)
$(D)/regions.mdb: $(DETECTIONS)
	mkdir -p $(D)
	$(BIN)/vinvl-import --format auto $(DETECTOR) --store $@ $(DETECTIONS)
else
$(D)/%.mdb: $(RECORDS) $(ENCODER)
	$(if $(ENCODER),,@echo 'One of FEATURES, DETECTIONS and ENCODER is needed' >&2; exit 1)
	$(BIN)/clip-featurize --weights $(ENCODER) --images $(PICTURES) --features $* --resume $(threads) --store $@ $<
endif

# --- training
$(D)/%.xe.ckpt: $(TRAIN_RECORDS) $(VOCAB) $$(call preset,$$*) $$(call store,$$*)
	$(fresh_log)
	$(BIN)/capt-train --config $(call preset,$*) --captions $(TRAIN_RECORDS) --vocab $(VOCAB) --store $(call store,$*) --section $(call section,$*) \
	    $(if $(DETECTIONS),--set feature_rows=$(REGIONS)) --val-split $(VAL_SPLIT) $(XE) --seed $(call seed,$*) $(threads) --log $(log) --resume --out $@

define optimise
$$(D)/%.$(1).ckpt: $$(D)/%.xe.ckpt $$$$(call scst_preset,$$$$*)
	$$(fresh_log)
	$$(BIN)/capt-scst --config $$(call scst_preset,$$*) --init $$< --captions $$(TRAIN_RECORDS) --store $$(call store,$$*) \
	    --val-split $(VAL_SPLIT) $$(SCST) $$(SCST_$(1)) --seed $$(call seed,$$*) $$(threads) --log $$(log) --resume --out $$@
endef
$(foreach s,$(filter-out xe,$(STAGES)),$(eval $(call optimise,$s)))

# --- captions
$(TRAINED:%=$(D)/%.ndjson): $(D)/%.ndjson: $(D)/%.ckpt
	$(BIN)/capt-beam --model $< --store $(call store,$(basename $*)) --split $(SPLIT) --beam $(BEAM) $(threads) --out $@ $(RECORDS)

members = $(wordlist 1,$(or $(patsubst -%,%,$(1)),$(words $(MEMBERS))),$(MEMBERS))
$(D)/ensemble%ndjson: $$(addsuffix .ckpt,$$(addprefix $(D)/,$$(call members,$$(basename $$*))))
	$(BIN)/capt-beam $(foreach m,$(call members,$(basename $*)),--model $(D)/$m.ckpt --store $(call store,$(basename $m))) $(ENSEMBLE) \
	    --split $(SPLIT) --beam $(BEAM) $(threads) --out $@ $(RECORDS)

$(D)/constant.ndjson: $(RECORDS)
	$(BIN)/capt-floor --kind constant --captions $< --val-split $(or $(filter-out none,$(VAL_SPLIT)),$(SPLIT)) --split $(SPLIT) $(threads) $(to)

$(D)/nearest.ndjson: $(RECORDS) $(NEAREST)
	$(BIN)/capt-floor --kind nearest --captions $< --split $(SPLIT) --store $(NEAREST) $(threads) $(to)

# --- scores and report
NAME_constant := floor: best constant caption
NAME_nearest := floor: caption of the nearest training image
NAME_ensemble := ensemble of $(MEMBERS)
$(foreach n,$(PARTS),$(eval NAME_ensemble-$n := ensemble of $(wordlist 1,$n,$(MEMBERS))))

$(D)/%.score: $(D)/%.ndjson
	$(call score,$(or $(NAME_$*),$*))

# of these captions; after others of the same folder the file is older than none of its parts and yet out of date
$(D)/scores.ndjson: $(CAPTIONS:%=$(D)/%.score)
	cat $^ $(to)
	echo '$(strip $(CAPTIONS))' >$(D)/scored
scored := $(shell cat $(D)/scored 2>/dev/null)
$(if $(scored),$(if $(subst x$(strip $(CAPTIONS)),,x$(scored)),$(eval .PHONY: $(D)/scores.ndjson)))

$(D)/report.html: $(D)/scores.ndjson
	$(BIN)/capt-report --title '$(TITLE)' --refs $(RECORDS) --images $(PICTURES) --scores $< $(TRAINED:%=--log $(D)/%.log) --out $@ \
	    $(filter-out $(D)/constant.ndjson $(D)/nearest.ndjson,$(CAPTIONS:%=$(D)/%.ndjson))

clean:
	rm -rf $(D)
