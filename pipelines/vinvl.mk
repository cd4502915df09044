# COCO by Karpathy's split, captioners over a detector's regions.
#   make -f pipelines/vinvl.mk DATA=DIR DETECTIONS='FILE...'
# DATA as for karpathy.mk; FILE are the published TSV files of VinVL or bottom-up features, or folders of .npy (vinvl-import tells which; VinVL's
# own need DETECTOR='--hw FILE').
#
# The reproduced system: three GPT-2 decoders over VinVL regions, cross-entropy and CIDEr optimisation, beam search of the three together
#   make -f pipelines/vinvl.mk DATA=DIR DETECTIONS='FILE...' MODELS='gpt2.0 gpt2.1 gpt2.2' VOCABULARY='--type word --size 15000'
#   its figures:  BLEU-4 .4336   METEOR .2968   ROUGE-L .6047   CIDEr 1.4163
D := build/vinvl
MODELS := updown transformer m2
SECTION := regions
TITLE := COCO, regions
include $(dir $(lastword $(MAKEFILE_LIST)))karpathy.mk
