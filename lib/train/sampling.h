/* Scheduled sampling (Bengio et al. 2015): some of the words a captioner reads in training are its own instead of the caption's. No gradient flows through a drawn
 * word, so the words are drawn first, step by step with the tape and dropout off, and one teacher-forced pass over the mixture follows. */
#ifndef CAPT_TRAIN_SAMPLING_H
#define CAPT_TRAIN_SAMPLING_H
#include "decode/scorer.h"
#include "train/xe.h"

/* Fills mixed (R,T) with rows->tokens, of which each word after BOS is replaced with probability p by one drawn from the captioner's distribution after the mixed words
 * before it (pad, begin and end are never drawn). Keyed by (seed, step, number of the row in the whole batch). s: the captioner's scorer. */
int capt_sampling_mix(capt_scorer *s, const capt_input *in, const capt_rows *rows, double p, uint64_t seed, uint64_t step, int32_t *mixed, capt_err *err);
#endif
