# An ensemble of one captioner from several seeds, and how much each member adds: the first two together, the first three, and so on.
#   make -f pipelines/ensemble.mk DATA=DIR MODEL=NAME ENCODER=FILE [SEEDS='0 1 2 3 4'] [ENSEMBLE='--ensemble logprob']
# DATA as for karpathy.mk.
#
# The reproduced system: five GPT-2 decoders over a grid, cross-entropy and CIDEr optimisation, beam search of the five together
#   make -f pipelines/ensemble.mk DATA=DIR MODEL=gpt2 ENCODER=FILE VOCABULARY='--type word --size 15000'
#   its figures:  BLEU-4 .4158   METEOR .2892   ROUGE-L .5935   CIDEr 1.3453
D := build/ensemble
MODEL ?= gpt2
SEEDS := 0 1 2 3 4
PARTS := $(filter-out 1 $(words $(SEEDS)),$(shell seq $(words $(SEEDS))))
TITLE := Ensemble
override MODELS := $(SEEDS:%=$(MODEL).%)
override MODEL :=
include $(dir $(lastword $(MAKEFILE_LIST)))karpathy.mk
