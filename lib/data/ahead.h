/* Inputs read ahead: batches of records, loaded from one source or several by the pool's threads, where what these do otherwise leaves them free.
 *
 * Batches have numbers from 0 and are taken in that order. Batch k lies where batch k - depth lay, so it is begun when the caller no longer reads that one. One
 * thread calls begin and take; what take returned may be read by another. */
#ifndef CAPT_DATA_AHEAD_H
#define CAPT_DATA_AHEAD_H
#include "base/thread.h"
#include "data/source.h"

typedef struct capt_ahead_batch {
    int n, good;              /* records, and those among them that could be loaded */
    const capt_caption **rec; /* (n) */
    capt_err *err;            /* (n) what kept a record from being loaded */
    capt_loaded *loaded;      /* one a source: .in has the good ones, in the records' order */
    /* the reader's */
    struct capt_ahead *of;
    capt_tasks reading;
} capt_ahead_batch;

typedef struct capt_ahead capt_ahead;
/* All are borrowed. first: size of batch 0, for a result that is soon there (0: batch). depth: batches in memory at once. NULL when a source has no room for them. */
capt_ahead *capt_ahead_new(capt_pool *pool, capt_source *const *source, int n_sources, const capt_caption *const *recs, size_t n, int first, int batch, int depth, capt_err *err);
int64_t capt_ahead_batches(const capt_ahead *a);
/* Begins to load all batches below upto that have not been begun. */
void capt_ahead_begin(capt_ahead *a, int64_t upto);
/* The next batch, once it is loaded. It must have been begun. */
capt_ahead_batch *capt_ahead_take(capt_ahead *a);
void capt_ahead_free(capt_ahead *a); /* waits for what was begun; NULL is fine */
#endif
