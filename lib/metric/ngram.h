/* Words and n-grams of one tokenized line. Words are what Python's str.split() makes of it (Unicode white space, so NBSP
 * splits too). An n-gram (n = 1..4) is known by the 128-bit XXH3 of its words joined by one blank: `key` addresses tables,
 * `check` verifies a hit. Order matters for sums: n-grams stay in order of first occurrence, unigrams first, as the public
 * scorer's insertion-ordered dictionaries do. Objects are zero-initialised, reused freely, one thread each. */
#ifndef CAPT_METRIC_NGRAM_H
#define CAPT_METRIC_NGRAM_H
#include <stddef.h>
#include <stdint.h>

enum { CAPT_NGRAM_MAX = 4 };

typedef struct capt_gram { uint64_t key, check; uint32_t count, n; } capt_gram;

/* Distinct n-grams in order of first occurrence, with an index by key. */
typedef struct capt_grams {
    capt_gram *gram;
    size_t n, cap;
    uint32_t *slot; /* 1 + index into gram; 0: free */
    size_t n_slot;  /* a power of two, at least twice cap */
} capt_grams;
void capt_grams_free(capt_grams *g);
void capt_grams_clear(capt_grams *g, size_t expect); /* empties; room for `expect` n-grams */
size_t capt_grams_add(capt_grams *g, uint64_t key, uint64_t check, uint32_t n, uint32_t count); /* its index; adds count */
long capt_grams_find(const capt_grams *g, uint64_t key, uint64_t check); /* index or -1 */

/* A sentence. */
typedef struct capt_sent {
    size_t n_words;
    capt_grams grams;
    char *text;   /* words joined by one blank */
    size_t *at;   /* n_words + 1 offsets into text; word i is at[i] .. at[i+1]-1 (a blank, or the end, follows) */
    size_t cap_text, cap_at;
} capt_sent;
void capt_sent_set(capt_sent *s, const char *line, int eos, uint64_t seed); /* eos: "<eos>" is appended as a word */
/* Its two steps alone: the words, leaving grams as they are; the n-grams of these words added to any others. */
void capt_sent_words(capt_sent *s, const char *line, int eos);
void capt_sent_add_grams(const capt_sent *s, uint64_t seed, capt_grams *to);
void capt_sent_free(capt_sent *s);
#endif
