/* Metrics over tokenized lines. Every metric is one function of metric.def: it gives one to four named scores, each with a
 * value for the corpus and one for every image. Values equal the public caption scorer's (pycocoevalcap 1.2): counts to the
 * digit, floating results within 1e-12 relative. Per-image values are computed in parallel, stored, then reduced in image
 * order: no bit depends on the number of threads. An input of no images is refused. */
#ifndef CAPT_METRIC_METRIC_H
#define CAPT_METRIC_METRIC_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/thread.h"
#include "metric/cider.h"

/* n images; image i has the hypothesis hyps[i] and the references refs[ref_at[i] .. ref_at[i+1]-1], at least one. */
typedef struct capt_metric_in {
    size_t n;
    const char *const *hyps; /* (n) tokens joined by blanks */
    const char *const *refs; /* (ref_at[n]) */
    const size_t *ref_at;    /* (n+1) */
    const capt_df *df;       /* for CIDEr; NULL: document frequencies of these references */
    capt_pool *pool;         /* NULL: this thread */
} capt_metric_in;

typedef struct capt_metric_score {
    const char *key; /* "Bleu_4" */
    double value;
    double *each;    /* (n) */
} capt_metric_score;

typedef struct capt_metric_out {
    capt_metric_score score[4];
    int n_score;
    int64_t testlen, reflen, guess[4], correct[4]; /* BLEU only */
} capt_metric_out;
void capt_metric_out_free(capt_metric_out *out);

typedef int capt_metric_fn(const capt_metric_in *in, capt_metric_out *out, capt_err *err);
#define CAPT_METRIC(name, fn, doc) capt_metric_fn fn;
#include "metric/metric.def"
#undef CAPT_METRIC

typedef struct capt_metric { const char *name; capt_metric_fn *fn; const char *doc; } capt_metric;
extern const capt_metric capt_metrics[]; /* ends with name NULL */
const capt_metric *capt_metric_find(const char *name); /* NULL: unknown */

/* Mean with numpy's pairwise summation (blocks of 128, eight accumulators). n > 0. */
double capt_mean(const double *x, size_t n);
/* pow of libm, never folded into a product: the public scorer squares with it, and x*x differs in the last bit at times. */
double capt_pow(double x, double y);
/* 0, or -1 when there is no image, or an image without references. */
int capt_metric_check(const capt_metric_in *in, capt_err *err);
#endif
