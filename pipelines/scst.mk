# Ways of CIDEr optimisation compared: a captioner by its preset, trained by cross-entropy once and then optimised with each baseline.
#   make -f pipelines/scst.mk DATA=DIR MODEL=NAME ENCODER=FILE [STAGES='xe loo greedy beam-mean mixed no-eos m2']
# DATA as for karpathy.mk. Options of all come from the preset NAME.scst.json and from SCST, those of a stage S from SCST_S.
D := build/scst
MODELS := transformer
STAGES := xe loo greedy beam-mean
SCST_loo := --baseline loo
SCST_greedy := --baseline greedy
SCST_beam-mean := --baseline beam-mean
SCST_mixed := --baseline loo --cider-weight 0.5 --bleu-weight 0.5
SCST_no-eos := --baseline loo --no-eos
SCST_m2 := --compat m2
MEMBERS :=
TITLE := CIDEr optimisation
include $(dir $(lastword $(MAKEFILE_LIST)))karpathy.mk
