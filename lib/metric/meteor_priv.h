/* Inside of METEOR: its data, normaliser and aligner. */
#ifndef CAPT_METRIC_METEOR_PRIV_H
#define CAPT_METRIC_METEOR_PRIV_H
#include <stddef.h>
#include "base/file.h"
#include "base/str.h"
#include "metric/meteor.h"

/* ---- sources: where the texts lie, and their hash (meteor_source.c) */
enum { METEOR_TREE, METEOR_JAR, METEOR_WORDNET };
enum { METEOR_SYNSETS, METEOR_EXCEPTIONS, METEOR_FUNCTION, METEOR_PREFIXES, METEOR_TEXTS };
typedef struct meteor_source {
    int kind;
    char *place; /* folder with synonym/, the jar, or WordNet's folder */
    char *table; /* the paraphrases, or NULL */
    char id[33];
} meteor_source;
int meteor_source_find(meteor_source *s, const char *path, capt_err *err);
void meteor_source_free(meteor_source *s);
typedef struct meteor_text { char *s; size_t n; capt_str name; } meteor_text; /* name: for messages */
/* The four texts in METEOR's own formats. Free with meteor_texts_free in every case. */
int meteor_source_read(const meteor_source *s, meteor_text t[METEOR_TEXTS], capt_err *err);
void meteor_texts_free(meteor_text t[METEOR_TEXTS]);

/* ---- the data: one block of bytes, in memory or mapped (meteor_build.c makes it, meteor_data.c reads it) */
enum { METEOR_VERSION = 2, METEOR_NONE = 0xffffffff };
enum { LEX_FUNCTION = 1, LEX_PREFIX = 2, LEX_PREFIX_NUMERIC = 4, LEX_SYNSETS = 8 };
typedef struct meteor_lex { uint32_t text, len, syn, n_syn, base, n_base, flags; } meteor_lex;
enum {
    SEC_TEXT,        /* char: the words of lex */
    SEC_LEX,         /* meteor_lex */
    SEC_LEX_SLOT,    /* u32: 1 + index of lex; home slot XXH3-64 of the word, linear probing */
    SEC_SYN,         /* u32: synsets, ascending within a word */
    SEC_BASE,        /* u32: base forms as indices of lex */
    SEC_PHRASE_AT,   /* u32 (phrases + 1): into SEC_PHRASE_WORD */
    SEC_PHRASE_WORD, /* u32: words as indices of lex: phrases are compared by text */
    SEC_PHRASE_SLOT, /* u32: 1 + phrase; home slot by meteor_mix over its words */
    SEC_PAIR_AT,     /* u32 (phrases + 1): into SEC_PAIR */
    SEC_PAIR,        /* u32: phrases that are paraphrases of this one, in the order of the table */
    SEC_PREFIX,      /* u64: bits, set at the hash of each proper beginning of a phrase */
    SECS
};
typedef struct meteor_section { uint64_t at, n; } meteor_section; /* bytes from the start; elements */
typedef struct meteor_header {
    char magic[8];
    uint32_t version, full;
    char id[40];
    uint64_t size, hash; /* of the whole; XXH3-64 of all behind the header */
    meteor_section sec[SECS];
} meteor_header;
/* The whole block, malloc'd. */
unsigned char *meteor_build(const meteor_source *s, capt_err *err);

struct capt_meteor {
    const meteor_header *h;
    capt_map map; /* of the cache; else own */
    unsigned char *own;
    const char *text;
    const meteor_lex *lex;
    const uint32_t *lex_slot, *syn, *base, *phrase_at, *phrase_word, *phrase_slot, *pair_at, *pair;
    const uint64_t *prefix;
    uint64_t n_lex_slot, n_phrases, n_phrase_slot, prefix_mask;
};
const meteor_lex *meteor_lex_find(const capt_meteor *m, const char *s, size_t n); /* NULL: unknown */
/* Java's String.hashCode of UTF-8 text: what single words are compared by. */
uint32_t meteor_word_hash(const char *s, size_t n);
enum { METEOR_MIX0 = 0x5bd1e995 };
static inline uint64_t meteor_mix(uint64_t h, uint32_t word)
{
    h = (h ^ word) * 0x9e3779b97f4a7c15u;
    return h ^ h >> 32;
}
/* The phrase of n words whose meteor_mix is h, or METEOR_NONE. */
uint32_t meteor_phrase_find(const capt_meteor *m, uint64_t h, const uint32_t *words, uint32_t n);
/* 0: no phrase goes on behind these words. */
static inline int meteor_is_prefix(const capt_meteor *m, uint64_t h)
{
    uint64_t bit = (h >> 20) & m->prefix_mask;
    return (int)(m->prefix[bit / 64] >> bit % 64 & 1);
}

/* ---- normaliser (meteor_norm.c) */
typedef struct meteor_cps { uint32_t *v; size_t n, cap; } meteor_cps;
typedef struct meteor_norm { meteor_cps a, b, c; capt_str word; } meteor_norm; /* scratch, zero-initialised */
void meteor_norm_free(meteor_norm *n);
/* out: words of a line, each followed by a blank. */
void meteor_normalise(const capt_meteor *m, meteor_norm *n, const char *line, capt_str *out);

/* ---- aligner (meteor_align.c) */
typedef struct meteor_word {
    const uint32_t *syn; /* (n_syn) ascending */
    uint32_t n_syn, hash, stem, function, lex; /* lex: index in the data, or METEOR_NONE */
    uint64_t syn_bits; /* no common bit: no common synset */
} meteor_word;
typedef struct meteor_occ { uint32_t phrase, at, len; } meteor_occ; /* a phrase in a sentence; ordered by (at, len) */
typedef struct meteor_sent {
    const uint32_t *word; /* (n) into the words of the run */
    uint32_t n, n_occ;
    const meteor_occ *occ;
} meteor_sent;
/* What a run of sentences needs of the data. */
typedef struct meteor_run {
    const meteor_word *word;
    uint32_t n_phrases;           /* those that occur in the run */
    const uint32_t *pair_at, *pair; /* as in the data, by the run's numbers, only pairs of phrases of the run */
} meteor_run;
typedef struct meteor_match { uint32_t i, n_i, j, n_j, module; } meteor_match; /* hypothesis words i.., reference words j.. */
typedef struct meteor_aligner meteor_aligner; /* scratch of one thread */
meteor_aligner *meteor_aligner_new(const meteor_run *run);
void meteor_aligner_free(meteor_aligner *a);
void meteor_align(meteor_aligner *a, const meteor_sent *hyp, const meteor_sent *ref, int64_t stats[CAPT_METEOR_STATS]);
#endif
