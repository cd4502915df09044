#include "data/ahead.h"
#include <stdlib.h>
#include "base/mem.h"

struct capt_ahead {
    capt_pool *pool;
    capt_source *const *source;
    const capt_caption *const *recs;
    size_t n;
    int n_sources, first, batch, depth;
    int64_t n_batches, begun, taken;
    capt_ahead_batch *ring; /* batch k is ring[k % depth] */
};

capt_ahead *capt_ahead_new(capt_pool *pool, capt_source *const *source, int n_sources, const capt_caption *const *recs, size_t n, int first, int batch, int depth, capt_err *err)
{
    capt_ahead *a = capt_alloc(sizeof *a);
    first = first ? first : batch;
    *a = (capt_ahead){.pool = pool, .source = source, .recs = recs, .n = n, .n_sources = n_sources, .first = first, .batch = batch, .depth = depth};
    size_t rest = n > (size_t)first ? n - (size_t)first : 0;
    a->n_batches = (n > 0) + (int64_t)((rest + (size_t)batch - 1) / (size_t)batch);
    if (a->depth > a->n_batches)
        a->depth = (int)a->n_batches;
    a->ring = capt_alloc((size_t)(a->depth + 1) * sizeof *a->ring);
    int most = first > batch ? first : batch, bad = 0;
    for (int i = 0; i < a->depth; i++) {
        capt_ahead_batch *b = &a->ring[i];
        b->of = a;
        b->rec = capt_alloc((size_t)most * sizeof *b->rec);
        b->err = capt_alloc((size_t)most * sizeof *b->err);
        b->loaded = capt_alloc((size_t)n_sources * sizeof *b->loaded);
        for (int s = 0; s < n_sources && !bad; s++)
            bad = capt_source_room(source[s], most, &b->loaded[s], err);
    }
    if (!bad)
        return a;
    capt_ahead_free(a);
    return NULL;
}

int64_t capt_ahead_batches(const capt_ahead *a)
{
    return a->n_batches;
}

static void load(void *arg, int64_t i, int worker)
{
    capt_ahead_batch *b = arg;
    const capt_ahead *a = b->of;
    int bad = 0;
    (void)worker;
    for (int s = 0; s < a->n_sources && !bad; s++)
        bad = capt_source_load_one(a->source[s], b->rec[i], NULL, &b->loaded[s], (int)i, &b->err[i]);
}

void capt_ahead_begin(capt_ahead *a, int64_t upto)
{
    for (; a->begun < upto && a->begun < a->n_batches; a->begun++) {
        capt_ahead_batch *b = &a->ring[a->begun % a->depth];
        size_t from = a->begun ? (size_t)a->first + (size_t)(a->begun - 1) * (size_t)a->batch : 0, most = (size_t)(a->begun ? a->batch : a->first);
        b->n = (int)(a->n - from < most ? a->n - from : most);
        for (int i = 0; i < b->n; i++) {
            b->rec[i] = a->recs[from + (size_t)i];
            b->err[i].code = CAPT_OK;
        }
        capt_pool_begin(a->pool, &b->reading, b->n, load, b);
    }
}

capt_ahead_batch *capt_ahead_take(capt_ahead *a)
{
    capt_ahead_batch *b = &a->ring[a->taken++ % a->depth];
    capt_pool_wait(a->pool, &b->reading);
    for (int s = 0; s < a->n_sources; s++)
        capt_source_loaded(a->source[s], b->n, b->err, &b->loaded[s]);
    b->good = b->loaded[0].in.n_images;
    return b;
}

void capt_ahead_free(capt_ahead *a)
{
    if (!a)
        return;
    for (; a->taken < a->begun; a->taken++)
        capt_pool_wait(a->pool, &a->ring[a->taken % a->depth].reading);
    for (int i = 0; i < a->depth; i++) {
        capt_ahead_batch *b = &a->ring[i];
        for (int s = 0; s < a->n_sources; s++)
            capt_loaded_free(&b->loaded[s]);
        free(b->rec);
        free(b->err);
        free(b->loaded);
    }
    free(a->ring);
    free(a);
}
