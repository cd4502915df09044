/* Document frequencies of n-grams: look up, write, map. See cider.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "base/mem.h"
#include "metric/df_priv.h"
#include "metric/metric.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "df files are mapped as they are: little-endian only"
#endif

enum { VERSION = 1, EOS = 1 };
static const char magic[8] = {'C', 'A', 'P', 'T', 'D', 'F', '\r', '\n'};

static df_weight compute_weight(const capt_df *df, uint32_t d)
{
    double idf = d > 1 ? df->log_n - log((double)d) : df->log_n;
    return (df_weight){idf, capt_pow(idf, 2.0)};
}

static double compute_penalty(double delta)
{
    return capt_pow(2.718281828459045, -(delta * delta) / 72.0);
}

static void set_weights(capt_df *df)
{
    df->log_n = log((double)df->h.n_images);
    for (uint32_t d = 0; d < DF_WEIGHTS; d++)
        df->weight[d] = compute_weight(df, d);
    for (int d = 0; d < DF_DELTAS; d++)
        df->penalty[d] = compute_penalty(d);
}

df_weight df_weight_of(const capt_df *df, uint32_t d)
{
    return d < DF_WEIGHTS ? df->weight[d] : compute_weight(df, d);
}

double df_penalty(const capt_df *df, double delta)
{
    delta = fabs(delta);
    return delta < DF_DELTAS ? df->penalty[(int)delta] : compute_penalty(delta);
}

capt_df *df_new(const char *const *refs, const size_t *at, size_t n, int eos, int key_bits, capt_pool *pool, capt_err *err)
{
    if (!n || n >= UINT32_MAX) {
        capt_fail(err, CAPT_EDATA, "document frequencies need between one and 4e9 images, not %zu", n);
        return NULL;
    }
    capt_df *df = capt_alloc(sizeof *df);
    memcpy(df->h.magic, magic, sizeof magic);
    df->h.version = VERSION;
    df->h.flags = eos ? EOS : 0;
    df->h.n_images = n;
    set_weights(df);
    if (df_build(df, refs, at, key_bits, pool, err)) {
        capt_df_free(df);
        return NULL;
    }
    return df;
}

capt_df *capt_df_new(const char *const *refs, const size_t *at, size_t n, int eos, const char *tokenizer,
                     const char *source, capt_pool *pool, capt_err *err)
{
    if (strlen(tokenizer) >= sizeof((df_header *)0)->tokenizer ||
        (source && strlen(source) >= sizeof((df_header *)0)->source)) {
        capt_fail(err, CAPT_EUSAGE, "document frequencies: the tokenizer's or the source's name is too long");
        return NULL;
    }
    capt_df *df = df_new(refs, at, n, eos, 64, pool, err);
    if (df) {
        strcpy(df->h.tokenizer, tokenizer);
        strcpy(df->h.source, source ? source : "");
    }
    return df;
}

void df_prefetch(const capt_df *df, uint64_t key)
{
    __builtin_prefetch(&df->slot[df_home(key, df->h.n_slots)]);
}

uint32_t df_lookup(const capt_df *df, uint64_t key, uint64_t check)
{
    size_t i = df_home(key, df->h.n_slots);
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
        set_weights(df);
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
