/* Counts document frequencies, some images at a time. In parallel, references are cut into n-grams, and every n-gram of an
 * image goes once into one of BUCKETS by the first bits of its key; then, also in parallel, the buckets are counted. Tables
 * and what goes into them stay small enough for a cache, and counts do not depend on who made them. See cider.h. */
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "metric/df_priv.h"
#include "metric/ngram.h"

enum { TRIES = 8, BUCKET_BITS = 6, BUCKETS = 1 << BUCKET_BITS, ROUND = 1024, TASK = 16, /* images of a round, of a task */
       SPARE = 64, AHEAD = 8 };

/* Sorted by key and open: an entry lies at the place that its key has in proportion, or as little behind it as the smaller
 * keys before it demand. key 0: free. */
typedef struct bucket {
    df_slot *v; /* (cap + SPARE) */
    size_t n, cap;
    int clash, failed; /* keys are shared, or crowd together; no memory */
} bucket;

typedef struct cutter {
    capt_sent sent;
    capt_grams image; /* the n-grams of one image */
    CAPT_VEC(df_slot) in[BUCKETS];
} cutter;

typedef struct job {
    const char *const *refs;
    const size_t *at;
    size_t first, end; /* images of the round */
    int eos, workers;
    uint64_t seed, mask;
    cutter *cutter; /* (workers) */
    bucket *bucket; /* (BUCKETS) */
} job;

static void cut(void *arg, int64_t task, int worker)
{
    const job *j = arg;
    cutter *c = &j->cutter[worker];
    size_t i = j->first + (size_t)task * TASK, end = i + TASK < j->end ? i + TASK : j->end;
    for (; i < end; i++) {
        capt_grams_clear(&c->image, 0);
        for (size_t r = j->at[i]; r < j->at[i + 1]; r++) {
            capt_sent_words(&c->sent, j->refs[r], j->eos);
            capt_sent_add_grams(&c->sent, j->seed, &c->image);
        }
        for (size_t k = 0; k < c->image.n; k++) {
            const capt_gram *g = &c->image.gram[k];
            uint64_t key = (g->key & j->mask) | !(g->key & j->mask);
            capt_vec_push(&c->in[key >> (64 - BUCKET_BITS)], ((df_slot){key, 1, (uint32_t)g->check}));
        }
    }
}

static size_t place_of(const bucket *b, uint64_t key)
{
    return df_home(key << BUCKET_BITS, b->cap);
}

static int grow(bucket *b, size_t cap)
{
    bucket big = {.n = b->n, .cap = cap};
    big.v = capt_try_alloc((cap + SPARE) * sizeof *big.v, NULL);
    if (!big.v)
        return -1;
    size_t to = 0;
    for (size_t i = 0; b->cap && i < b->cap + SPARE; i++)
        if (b->v[i].key) {
            size_t h = place_of(&big, b->v[i].key);
            to = to < h ? h : to;
            big.v[to++] = b->v[i]; /* twice the room: what fitted before does so again */
        }
    free(b->v);
    *b = big;
    return 0;
}

/* 1: there is no room behind the place of the key. */
static int count(bucket *b, const df_slot *s)
{
    size_t h = place_of(b, s->key), end = b->cap + SPARE, i;
    while (b->v[h].key && b->v[h].key < s->key && h < end - 1)
        h++;
    if (b->v[h].key == s->key) {
        b->clash |= b->v[h].check != s->check;
        b->v[h].df++;
        return 0;
    }
    for (i = h; i < end && b->v[i].key; i++)
        ;
    if (i == end)
        return 1;
    memmove(b->v + h + 1, b->v + h, (i - h) * sizeof *b->v);
    b->v[h] = *s;
    b->n++;
    return 0;
}

static void count_bucket(void *arg, int64_t task, int worker)
{
    const job *j = arg;
    bucket *b = &j->bucket[task];
    for (int w = 0; w < j->workers; w++) {
        const df_slot *s = j->cutter[w].in[task].v;
        size_t n = j->cutter[w].in[task].n;
        for (size_t i = 0; i < n && !b->clash && !b->failed; i++) {
            __builtin_prefetch(&b->v[place_of(b, s[i + AHEAD < n ? i + AHEAD : i].key)]);
            while (3 * b->cap < 4 * (b->n + 1) || count(b, &s[i])) {
                b->clash = b->cap > 4096 + 64 * b->n;
                b->failed = b->clash || grow(b, b->cap ? 2 * b->cap : 256);
                if (b->failed)
                    break;
            }
        }
        j->cutter[w].in[task].n = 0;
    }
}

/* 0, 1 on a clash of keys, -1 out of memory. */
static int fill(job *j, size_t n, capt_pool *pool)
{
    /* what so many references usually hold: some nine n-grams that no other has */
    size_t cap = 256, want = 12 * (j->at[n] - j->at[0]) / BUCKETS;
    int rc = 0;
    while (cap < want)
        cap *= 2;
    for (int b = 0; b < BUCKETS; b++) {
        free(j->bucket[b].v);
        j->bucket[b] = (bucket){0};
        if (grow(&j->bucket[b], cap))
            return -1;
    }
    for (j->first = 0; j->first < n && !rc; j->first = j->end) {
        j->end = n - j->first < ROUND ? n : j->first + ROUND;
        capt_pool_run(pool, (int64_t)((j->end - j->first + TASK - 1) / TASK), cut, j);
        capt_pool_run(pool, BUCKETS, count_bucket, j);
        for (int b = 0; b < BUCKETS && rc != 1; b++)
            rc = j->bucket[b].clash ? 1 : j->bucket[b].failed ? -1 : rc;
    }
    return rc;
}

/* Into the table of the file, in the order of keys, so that equal contents give equal bytes. */
static int put_together(capt_df *df, const bucket *all, capt_err *err)
{
    size_t k = 0;
    for (int b = 0; b < BUCKETS; b++)
        k += all[b].n;
    df->h.n_ngrams = k;
    df->h.n_slots = k + k / 3 + 1;
    df->own = capt_try_alloc(df->h.n_slots * sizeof *df->own, err);
    if (!df->own)
        return -1;
    for (int b = 0; b < BUCKETS; b++)
        for (size_t i = 0; i < all[b].cap + SPARE; i++) {
            if (!all[b].v[i].key)
                continue;
            size_t h = df_home(all[b].v[i].key, df->h.n_slots);
            while (df->own[h].key)
                h = h + 1 == df->h.n_slots ? 0 : h + 1;
            df->own[h] = all[b].v[i];
        }
    df->slot = df->own;
    return 0;
}

int df_build(capt_df *df, const char *const *refs, const size_t *at, int key_bits, capt_pool *pool, capt_err *err)
{
    job j = {.refs = refs, .at = at, .eos = capt_df_eos(df), .workers = capt_pool_size(pool)};
    j.mask = key_bits >= 64 ? ~(uint64_t)0 : ((uint64_t)1 << key_bits) - 1;
    j.cutter = capt_alloc((size_t)j.workers * sizeof *j.cutter);
    j.bucket = capt_alloc(BUCKETS * sizeof *j.bucket);
    int rc = 1;
    for (; j.seed < TRIES && rc > 0; j.seed++) {
        df->h.seed = j.seed;
        rc = fill(&j, df->h.n_images, pool);
    }
    if (rc > 0)
        capt_fail(err, CAPT_EDATA, "document frequencies: n-grams share a hash key under %d seeds", TRIES);
    else if (rc < 0)
        capt_fail(err, CAPT_ENOMEM, "document frequencies: out of memory");
    else
        rc = put_together(df, j.bucket, err);
    for (int w = 0; w < j.workers; w++) {
        capt_sent_free(&j.cutter[w].sent);
        capt_grams_free(&j.cutter[w].image);
        for (int b = 0; b < BUCKETS; b++)
            capt_vec_free(&j.cutter[w].in[b]);
    }
    for (int b = 0; b < BUCKETS; b++)
        free(j.bucket[b].v);
    free(j.cutter);
    free(j.bucket);
    return rc ? -1 : 0;
}
