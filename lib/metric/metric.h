/* Metrics over tokenized lines. Every metric is one function of metric.def: it gives one or more named scores, each with a
 * value for the corpus and most with one for every image. Values equal the public caption scorer's (pycocoevalcap 1.2): counts to the
 * digit, floating results within 1e-12 relative. Per-image values are computed in parallel, stored, then reduced in image
 * order: no bit depends on the number of threads. An input of no images is refused. */
#ifndef CAPT_METRIC_METRIC_H
#define CAPT_METRIC_METRIC_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/thread.h"
#include "metric/cider.h"
#include "metric/meteor.h"
#include "metric/ngram.h"

enum { CAPT_SCORES_MAX = 12 };

/* Objects of an image: bits of categories in the order of chair.def. */
typedef struct capt_objects { uint64_t bits[2]; } capt_objects;

/* n images; image i has the hypothesis hyps[i] and the references refs[ref_at[i] .. ref_at[i+1]-1], at least one. */
typedef struct capt_metric_in {
    size_t n;
    const char *const *hyps; /* (n) tokens joined by blanks */
    const char *const *refs; /* (ref_at[n]) */
    const size_t *ref_at;    /* (n+1) */
    const capt_df *df;       /* for CIDEr; NULL: document frequencies of these references */
    capt_pool *pool;         /* NULL: this thread */
    /* For diversity: image i has the candidates cands[cand_at[i] .. cand_at[i+1]-1], at least one; NULL: hyps alone. */
    const char *const *cands;
    const size_t *cand_at;
    const capt_grams *train;     /* for novelty: training captions (capt_line_key); NULL: no novelty */
    const capt_objects *objects; /* (n) for CHAIR: what is in the picture, beside what its references name */
    const capt_meteor *meteor; /* for METEOR */
} capt_metric_in;

typedef struct capt_metric_score {
    const char *key; /* "Bleu_4" */
    double value;
    double *each;    /* (n), or NULL: a score of the corpus only */
    int count;       /* value is a number of things */
} capt_metric_score;

typedef struct capt_metric_out {
    capt_metric_score score[CAPT_SCORES_MAX];
    int n_score;
    /* Scores that are no means of `each`: n_sum numbers an image, and the scores sum_first, ... (sum_scores of them) that their
     * sum over images gives. of_sum NULL: there are none such. */
    double *sum; /* (n, n_sum) */
    size_t n_sum;
    void (*of_sum)(const double *sum, size_t n_sum, double *value);
    int sum_first, sum_scores;
    int64_t testlen, reflen, guess[4], correct[4]; /* BLEU only */
    int64_t meteor[CAPT_METEOR_STATS];       /* METEOR only: summed statistics of the chosen references */
    int64_t (*meteor_each)[CAPT_METEOR_STATS]; /* METEOR only: (n) */
} capt_metric_out;
void capt_metric_out_free(capt_metric_out *out);

typedef int capt_metric_fn(const capt_metric_in *in, capt_metric_out *out, capt_err *err);
#define CAPT_METRIC(name, fn, doc) capt_metric_fn fn;
#include "metric/metric.def"
#undef CAPT_METRIC

typedef struct capt_metric { const char *name; capt_metric_fn *fn; const char *doc; } capt_metric;
extern const capt_metric capt_metrics[]; /* ends with name NULL */
const capt_metric *capt_metric_find(const char *name); /* NULL: unknown */

/* A whole line as an entry of a set of lines: capt_grams_add(set, key, check, 0, 1). Blanks at its ends do not count. */
void capt_line_key(const char *line, uint64_t *key, uint64_t *check);
/* Mean with numpy's pairwise summation (blocks of 128, eight accumulators). n > 0. */
double capt_mean(const double *x, size_t n);
/* pow of libm, never folded into a product: the public scorer squares with it, and x*x differs in the last bit at times. */
double capt_pow(double x, double y);
/* 0, or -1 when there is no image, or an image without references. */
int capt_metric_check(const capt_metric_in *in, capt_err *err);
#endif
