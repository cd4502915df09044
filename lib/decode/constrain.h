/* Words that a caption must have and words that it must not have, for beam search.
 *
 * A required word is a phrase of tokens, contiguous and a word of its own; subword vocabularies write the first word of a caption in another way than the others, so that a word may
 * have two phrases, either of which will do. What of the required words stands in a caption is known from its tokens alone: it is the state of an automaton, as in Anderson
 * et al. (2017), and the search keeps as many captions of each amount of it as the beam is wide, as Hokamp and Liu (2017) do in their grid: linear in the
 * number of required tokens, where a beam for every set of words would be exponential.
 *
 * A forbidden word's last token is not chosen after the others, so with subwords neither are words that begin with the same pieces. */
#ifndef CAPT_DECODE_CONSTRAIN_H
#define CAPT_DECODE_CONSTRAIN_H
#include "base/err.h"
#include "text/vocab.h"

enum { CAPT_REQUIRED_MOST = 32 }; /* tokens of an image's required words */

typedef struct capt_constrain capt_constrain;
/* Words (or several in a row, "hot dog") as text, which the vocabulary must know. NULL on failure. */
capt_constrain *capt_constrain_new(const capt_vocab *v, const char *const *require, int n_require, const char *const *forbid, int n_forbid, capt_err *err);
void capt_constrain_free(capt_constrain *c); /* NULL is fine */
int capt_constrain_all(const capt_constrain *c);                             /* tokens of the required words */
int capt_constrain_covered(const capt_constrain *c, const int32_t *ids, int n); /* how many of these a caption has; all of them: it has every word */
int capt_constrain_choices(const capt_constrain *c);                         /* most tokens that next tells */
/* Tokens that bring the caption further towards a required word: *wanted (capt_constrain_choices of room), each once; and those that must not follow. Returns how many are
 * wanted. */
int capt_constrain_next(const capt_constrain *c, const int32_t *ids, int n, int32_t *wanted);
/* Calls for each token that must not follow */
void capt_constrain_forbidden(const capt_constrain *c, const int32_t *ids, int n, void (*fn)(void *arg, int32_t token), void *arg);
#endif
