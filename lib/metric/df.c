/* Document frequencies of n-grams: build, look up, write, map. See cider.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "base/mem.h"
#include "metric/df_priv.h"
#include "metric/ngram.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "df files are mapped as they are: little-endian only"
#endif

enum { VERSION = 1, EOS = 1, TRIES = 8 };
static const char magic[8] = {'C', 'A', 'P', 'T', 'D', 'F', '\r', '\n'};

typedef struct seen { uint64_t key, check; uint32_t df, last; } seen; /* last: 1 + the image that counted it last */
typedef struct table { seen *v; size_t n, cap; } table; /* cap a power of two */

static int grow(table *t, capt_err *err)
{
    table big = {NULL, t->n, 2 * t->cap};
    big.v = capt_try_alloc(big.cap * sizeof *big.v, err);
    if (!big.v)
        return -1;
    for (size_t i = 0; i < t->cap; i++)
        if (t->v[i].key) {
            size_t h = t->v[i].key & (big.cap - 1);
            while (big.v[h].key)
                h = (h + 1) & (big.cap - 1);
            big.v[h] = t->v[i];
        }
    free(t->v);
    *t = big;
    return 0;
}

/* Room for what so many references usually hold: some nine n-grams that no other has. */
static table first_table(size_t n_refs, capt_err *err)
{
    table t = {NULL, 0, 1 << 12};
    while (t.cap < 12 * n_refs)
        t.cap *= 2;
    t.v = capt_try_alloc(t.cap * sizeof *t.v, err);
    return t;
}

/* Counts one n-gram for one image. 1: another n-gram has this key. */
static int count(table *t, uint64_t key, uint64_t check, uint32_t image)
{
    size_t h = key & (t->cap - 1);
    while (t->v[h].key && t->v[h].key != key)
        h = (h + 1) & (t->cap - 1);
    seen *x = &t->v[h];
    if (!x->key) {
        *x = (seen){key, check, 1, image + 1};
        t->n++;
    } else if (x->check != check) {
        return 1;
    } else if (x->last != image + 1) {
        x->last = image + 1;
        x->df++;
    }
    return 0;
}

/* One pass over all references. 0, 1 on a clash of keys, -1 on an error. */
static int fill(table *t, const char *const *refs, const size_t *at, size_t n, int eos, uint64_t seed, uint64_t mask,
                capt_err *err)
{
    capt_sent s = {0};
    int rc = 0;
    for (size_t i = 0; i < n && !rc; i++)
        for (size_t r = at[i]; r < at[i + 1] && !rc; r++) {
            capt_sent_set(&s, refs[r], eos, seed);
            while (!rc && 3 * t->cap < 4 * (t->n + s.grams.n + 1))
                rc = grow(t, err);
            for (size_t k = 0; k < s.grams.n && !rc; k++) /* all at once from memory */
                __builtin_prefetch(&t->v[s.grams.gram[k].key & mask & (t->cap - 1)]);
            for (size_t k = 0; k < s.grams.n && !rc; k++)
                rc = count(t, (s.grams.gram[k].key & mask) | !(s.grams.gram[k].key & mask), s.grams.gram[k].check,
                           (uint32_t)i);
        }
    capt_sent_free(&s);
    return rc;
}

static size_t home(uint64_t key, uint64_t n_slots)
{
    return (size_t)(((unsigned __int128)key * n_slots) >> 64);
}

/* The n entries of v sorted by key into to: their keys are hashes, so a place in proportion is nearly right. */
static void sort_keys(const seen *v, size_t cap, seen *to, size_t n, uint32_t *start)
{
    for (size_t i = 0; i < cap; i++)
        if (v[i].key)
            start[home(v[i].key, n) + 1]++;
    for (size_t i = 0; i < n; i++)
        start[i + 1] += start[i];
    for (size_t i = 0; i < cap; i++)
        if (v[i].key)
            to[start[home(v[i].key, n)]++] = v[i];
    for (size_t i = 1; i < n; i++) {
        seen x = to[i];
        size_t k = i;
        for (; k && to[k - 1].key > x.key; k--)
            to[k] = to[k - 1];
        to[k] = x;
    }
}

/* Moves the counts, sorted by key (so that equal contents give equal bytes), into the table of the file. */
static int place(capt_df *df, table *t, capt_err *err)
{
    size_t k = t->n;
    seen *sorted = capt_try_alloc((k + 1) * sizeof *sorted, err);
    uint32_t *start = sorted ? capt_try_alloc((k + 2) * sizeof *start, err) : NULL;
    if (start)
        sort_keys(t->v, t->cap, sorted, k, start);
    free(start);
    free(t->v);
    t->v = sorted;
    if (!start)
        return -1;
    df->h.n_ngrams = k;
    df->h.n_slots = k + k / 3 + 1;
    df->own = capt_try_alloc(df->h.n_slots * sizeof *df->own, err);
    if (!df->own)
        return -1;
    for (size_t i = 0; i < k; i++) {
        size_t h = home(t->v[i].key, df->h.n_slots);
        while (df->own[h].key)
            h = h + 1 == df->h.n_slots ? 0 : h + 1;
        df->own[h] = (df_slot){t->v[i].key, t->v[i].df, (uint32_t)t->v[i].check};
    }
    df->slot = df->own;
    return 0;
}

capt_df *df_build(const char *const *refs, const size_t *at, size_t n, int eos, int key_bits, capt_err *err)
{
    if (!n || n >= UINT32_MAX) {
        capt_fail(err, CAPT_EDATA, "document frequencies need between one and 4e9 images, not %zu", n);
        return NULL;
    }
    uint64_t mask = key_bits >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << key_bits) - 1;
    capt_df *df = capt_alloc(sizeof *df);
    memcpy(df->h.magic, magic, sizeof magic);
    df->h.version = VERSION;
    df->h.flags = eos ? EOS : 0;
    df->h.n_images = n;
    df->log_n = log((double)n);
    table t = {0};
    int rc = 1;
    for (uint64_t seed = 0; seed < TRIES && rc > 0; seed++) {
        df->h.seed = seed;
        free(t.v);
        t = first_table(at[n] - at[0], err);
        rc = t.v ? 0 : -1;
        if (!rc)
            rc = fill(&t, refs, at, n, eos, seed, mask, err);
    }
    if (rc > 0)
        capt_fail(err, CAPT_EDATA, "document frequencies: n-grams share a hash key under %d seeds", TRIES);
    if (!rc)
        rc = place(df, &t, err);
    free(t.v);
    if (rc) {
        capt_df_free(df);
        return NULL;
    }
    return df;
}

capt_df *capt_df_new(const char *const *refs, const size_t *at, size_t n, int eos, const char *tokenizer,
                     const char *source, capt_err *err)
{
    if (strlen(tokenizer) >= sizeof((df_header *)0)->tokenizer ||
        (source && strlen(source) >= sizeof((df_header *)0)->source)) {
        capt_fail(err, CAPT_EUSAGE, "document frequencies: the tokenizer's or the source's name is too long");
        return NULL;
    }
    capt_df *df = df_build(refs, at, n, eos, 64, err);
    if (df) {
        strcpy(df->h.tokenizer, tokenizer);
        strcpy(df->h.source, source ? source : "");
    }
    return df;
}

void df_prefetch(const capt_df *df, uint64_t key)
{
    __builtin_prefetch(&df->slot[home(key, df->h.n_slots)]);
}

uint32_t df_lookup(const capt_df *df, uint64_t key, uint64_t check)
{
    size_t i = home(key, df->h.n_slots);
    while (df->slot[i].key) {
        if (df->slot[i].key == key)
            return df->slot[i].check == (uint32_t)check ? df->slot[i].df : 0;
        i = i + 1 == df->h.n_slots ? 0 : i + 1;
    }
    return 0;
}

uint32_t capt_df_count(const capt_df *df, const char *ngram)
{
    XXH128_hash_t h = XXH3_128bits_withSeed(ngram, strlen(ngram), df->h.seed);
    return df_lookup(df, h.low64 ? h.low64 : 1, h.high64);
}

/* Hash of the header (its own hash as zero), then of the slots. */
static uint64_t content_hash(const capt_df *df)
{
    df_header h = df->h;
    h.hash = 0;
    return XXH3_64bits_withSeed(df->slot, h.n_slots * sizeof *df->slot, XXH3_64bits(&h, sizeof h));
}

int capt_df_write(const capt_df *df, const char *path, capt_err *err)
{
    capt_out *o = capt_out_open(path, err);
    if (!o)
        return -1;
    df_header h = df->h;
    h.hash = content_hash(df);
    fwrite(&h, sizeof h, 1, capt_out_file(o));
    fwrite(df->slot, sizeof *df->slot, df->h.n_slots, capt_out_file(o)); /* a failed write shows at finish */
    return capt_out_finish(o, err);
}

/* What is wrong with a mapped file, or NULL. Proves that every probe ends and that no df exceeds N. */
static const char *fault(const capt_df *df)
{
    const df_header *h = &df->h;
    if (memcmp(h->magic, magic, sizeof magic))
        return "not a document frequency file";
    if (h->version != VERSION)
        return "unknown version of document frequency file";
    if (h->flags & ~(uint32_t)EOS || !h->n_images || !memchr(h->tokenizer, 0, sizeof h->tokenizer) ||
        !memchr(h->source, 0, sizeof h->source))
        return "bad header";
    if (h->n_slots != (df->map.n - sizeof *h) / sizeof(df_slot) || (df->map.n - sizeof *h) % sizeof(df_slot))
        return "truncated";
    if (content_hash(df) != h->hash)
        return "checksum differs";
    uint64_t used = 0;
    for (uint64_t i = 0; i < h->n_slots; i++) {
        used += df->slot[i].key != 0;
        if (df->slot[i].key && (!df->slot[i].df || df->slot[i].df > h->n_images))
            return "an n-gram is in more images than there are";
    }
    return used != h->n_ngrams || used >= h->n_slots ? "bad table" : NULL;
}

capt_df *capt_df_open(const char *path, capt_err *err)
{
    capt_df *df = capt_alloc(sizeof *df);
    if (capt_map_open(&df->map, path, err)) {
        free(df);
        return NULL;
    }
    const char *wrong = "not a document frequency file";
    if (df->map.n >= sizeof df->h) {
        memcpy(&df->h, df->map.p, sizeof df->h);
        df->slot = (const df_slot *)(const void *)(df->map.p + sizeof df->h);
        wrong = fault(df);
        df->log_n = log((double)df->h.n_images);
    }
    if (wrong) {
        capt_fail(err, CAPT_EDATA, "%s: %s", path, wrong);
        capt_df_free(df);
        return NULL;
    }
    return df;
}

void capt_df_free(capt_df *df)
{
    if (!df)
        return;
    free(df->own);
    if (df->map.p)
        capt_map_close(&df->map);
    free(df);
}

uint64_t capt_df_images(const capt_df *df) { return df->h.n_images; }
uint64_t capt_df_ngrams(const capt_df *df) { return df->h.n_ngrams; }
int capt_df_eos(const capt_df *df) { return (int)(df->h.flags & EOS); }
const char *capt_df_tokenizer(const capt_df *df) { return df->h.tokenizer; }
const char *capt_df_source(const capt_df *df) { return df->h.source; }
