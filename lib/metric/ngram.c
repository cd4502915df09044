/* See ngram.h. */
#include "metric/ngram.h"
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL /* short inputs: a call would cost as much as the hash */
#include <xxhash.h>
#include "base/mem.h"

void capt_grams_free(capt_grams *g)
{
    free(g->gram);
    free(g->slot);
    memset(g, 0, sizeof *g);
}

static void index_grams(capt_grams *g)
{
    memset(g->slot, 0, g->n_slot * sizeof *g->slot);
    for (size_t i = 0; i < g->n; i++) {
        size_t h = g->gram[i].key & (g->n_slot - 1);
        while (g->slot[h])
            h = (h + 1) & (g->n_slot - 1);
        g->slot[h] = (uint32_t)i + 1;
    }
}

static void make_room(capt_grams *g, size_t need)
{
    size_t cap = g->cap ? g->cap : 32;
    while (cap < need)
        cap *= 2;
    g->gram = capt_realloc(g->gram, cap * sizeof *g->gram);
    g->cap = cap;
    g->n_slot = cap * 2;
    g->slot = capt_realloc(g->slot, g->n_slot * sizeof *g->slot);
    index_grams(g);
}

void capt_grams_clear(capt_grams *g, size_t expect)
{
    g->n = 0;
    if (expect > g->cap || !g->cap)
        make_room(g, expect);
    else
        memset(g->slot, 0, g->n_slot * sizeof *g->slot);
}

long capt_grams_find(const capt_grams *g, uint64_t key, uint64_t check)
{
    if (!g->n_slot)
        return -1;
    for (size_t h = key & (g->n_slot - 1); g->slot[h]; h = (h + 1) & (g->n_slot - 1)) {
        const capt_gram *x = &g->gram[g->slot[h] - 1];
        if (x->key == key && x->check == check)
            return (long)g->slot[h] - 1;
    }
    return -1;
}

size_t capt_grams_add(capt_grams *g, uint64_t key, uint64_t check, uint32_t n, uint32_t count)
{
    if (g->n == g->cap)
        make_room(g, g->n + 1);
    size_t h = key & (g->n_slot - 1);
    for (; g->slot[h]; h = (h + 1) & (g->n_slot - 1)) {
        capt_gram *x = &g->gram[g->slot[h] - 1];
        if (x->key == key && x->check == check) {
            x->count += count;
            return g->slot[h] - 1;
        }
    }
    g->gram[g->n] = (capt_gram){key, check, count, n};
    g->slot[h] = (uint32_t)++g->n;
    return g->n - 1;
}

/* Bytes of the white space character (in the sense of Python's str.isspace) at p, 0 if there is none. */
static size_t blank_at(const unsigned char *p)
{
    if (p[0] > ' ' && p[0] < 0x80)
        return 0;
    if (p[0] == ' ' || (p[0] >= 9 && p[0] <= 13) || (p[0] >= 0x1c && p[0] <= 0x1f))
        return 1;
    if (p[0] == 0xc2)
        return p[1] == 0x85 || p[1] == 0xa0 ? 2 : 0;
    if (p[0] == 0xe1)
        return p[1] == 0x9a && p[2] == 0x80 ? 3 : 0;
    if (p[0] == 0xe2 && p[1] == 0x80)
        return (p[2] >= 0x80 && p[2] <= 0x8a) || p[2] == 0xa8 || p[2] == 0xa9 || p[2] == 0xaf ? 3 : 0;
    if (p[0] == 0xe2 && p[1] == 0x81)
        return p[2] == 0x9f ? 3 : 0;
    if (p[0] == 0xe3)
        return p[1] == 0x80 && p[2] == 0x80 ? 3 : 0;
    return 0;
}

static void add_word(capt_sent *s, size_t *used, const char *w, size_t n)
{
    if (s->n_words + 2 > s->cap_at) {
        s->cap_at = s->cap_at ? 2 * s->cap_at : 32;
        s->at = capt_realloc(s->at, s->cap_at * sizeof *s->at);
    }
    memcpy(s->text + *used, w, n);
    s->text[*used + n] = ' ';
    s->at[s->n_words++] = *used;
    *used += n + 1;
    s->at[s->n_words] = *used;
}

void capt_sent_words(capt_sent *s, const char *line, int eos)
{
    size_t room = strlen(line) + sizeof " <eos> ", used = 0;
    if (room > s->cap_text) {
        s->cap_text = room * 2;
        s->text = capt_realloc(s->text, s->cap_text);
    }
    s->n_words = 0;
    const unsigned char *p = (const unsigned char *)line;
    while (*p) {
        size_t b = blank_at(p);
        if (b) {
            p += b;
            continue;
        }
        const unsigned char *start = p;
        while (*p && !blank_at(p))
            p++;
        add_word(s, &used, (const char *)start, (size_t)(p - start));
    }
    if (eos)
        add_word(s, &used, "<eos>", 5);
}

void capt_sent_add_grams(const capt_sent *s, uint64_t seed, capt_grams *to)
{
    for (size_t n = 1; n <= CAPT_NGRAM_MAX; n++)
        for (size_t i = 0; i + n <= s->n_words; i++) {
            XXH128_hash_t h = XXH3_128bits_withSeed(s->text + s->at[i], s->at[i + n] - s->at[i] - 1, seed);
            capt_grams_add(to, h.low64 ? h.low64 : 1, h.high64, (uint32_t)n, 1); /* 0 marks a free slot on file */
        }
}

void capt_sent_set(capt_sent *s, const char *line, int eos, uint64_t seed)
{
    capt_sent_words(s, line, eos);
    capt_grams_clear(&s->grams, CAPT_NGRAM_MAX * s->n_words);
    capt_sent_add_grams(s, seed, &s->grams);
}

void capt_sent_free(capt_sent *s)
{
    capt_grams_free(&s->grams);
    free(s->text);
    free(s->at);
    memset(s, 0, sizeof *s);
}
