# Shared by the pipelines. Run from the top of the tree: make -f pipelines/NAME.mk [VARIABLE=VALUE]...
#
# Every file is made under NAME.part and renamed when it is complete: programs with --out or --store do so themselves, for the
# others a recipe ends in $(to). A pipeline that was stopped goes on where it was: training and features continue NAME.part.
# After a change of their options they refuse to; remove NAME.part then.
B ?= build/release
BIN := $(B)/bin
THREADS ?=
SEED ?= 0
threads = $(if $(THREADS),--threads $(THREADS))
to = >$@.part && mv -f $@.part $@

# A log belongs to one run: $(fresh_log) takes the log of an earlier one away unless that run is being continued.
log = $(basename $@).log
fresh_log = [ -e $@.part ] || rm -f $(log)

# $(call score,NAME): captions ($<) against the records ($(RECORDS)), one line named NAME.
score = $(BIN)/coco-score --quiet --refs $(RECORDS) --split $(SPLIT) $(threads) --json $< | sed 's/^{/{"name":"$(1)",/' >$@.part && [ -s $@.part ] && mv -f $@.part $@

$(if $(wildcard $(BIN)/coco-split),,$(error $(BIN): the programs are not there; run make first))

all:
.DELETE_ON_ERROR:
.SECONDARY:
# Each program uses all processors.
.NOTPARALLEL:
.PHONY: all show check clean
