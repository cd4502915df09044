/* BLEU's counts, shared by bleu.c and diversity.c: one hypothesis against references, a sentence at a time. */
#ifndef CAPT_METRIC_BLEU_PRIV_H
#define CAPT_METRIC_BLEU_PRIV_H
#include <stdint.h>
#include "metric/ngram.h"

enum { BLEU_SUMS = 2 + 2 * CAPT_NGRAM_MAX }; /* testlen, reflen, guess, correct */

typedef struct bleu_counts { int64_t testlen, reflen, guess[CAPT_NGRAM_MAX], correct[CAPT_NGRAM_MAX]; } bleu_counts;

/* best: room for a number an n-gram of hyp; the largest count in any reference. */
void bleu_hyp(bleu_counts *c, const capt_sent *hyp, uint32_t *best);
void bleu_ref(bleu_counts *c, const capt_sent *hyp, const capt_sent *ref, uint32_t *best); /* once a reference */
void bleu_end(bleu_counts *c, const capt_sent *hyp, const uint32_t *best);
void bleu_add(bleu_counts *to, const bleu_counts *c);
void bleu_sums(const bleu_counts *c, double s[BLEU_SUMS]);
void bleu_of_sums(const double *s, size_t n, double *out); /* n = BLEU_SUMS; out: (CAPT_NGRAM_MAX) */
#endif
