/* BLEU-4 of single captions, as a reward: the same counts and guards as the metric "bleu" (bleu.c), over one image. References are made once and only read then. */
#ifndef CAPT_METRIC_BLEU_H
#define CAPT_METRIC_BLEU_H
#include <stddef.h>

typedef struct capt_bleu_refs capt_bleu_refs;
/* n tokenized lines; eos: the word "<eos>" is appended to each, and to captions that have ended. */
capt_bleu_refs *capt_bleu_refs_new(const char *const *refs, size_t n, int eos);
void capt_bleu_refs_free(capt_bleu_refs *r); /* NULL is fine */
/* 0..1; hyp: a tokenized line; ended 0: it was cut before its end and gets no "<eos>". */
double capt_bleu_score(const capt_bleu_refs *r, const char *hyp, int ended);
#endif
