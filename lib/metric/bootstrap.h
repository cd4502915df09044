/* How sure is a difference between two systems: paired bootstrap over images (Koehn: Statistical significance tests for
 * machine translation evaluation, EMNLP 2004). Images are drawn with replacement, the same ones for both systems, and each
 * score is made anew: from summed statistics where it is made of sums (capt_metric_out.of_sum), else as the mean of the
 * images' values. Document frequencies stay those of the whole corpus. Draws are Philox numbers keyed by seed and resample:
 * no bit depends on the number of threads. */
#ifndef CAPT_METRIC_BOOTSTRAP_H
#define CAPT_METRIC_BOOTSTRAP_H
#include "metric/metric.h"

typedef struct capt_interval {
    double diff;   /* b - a on all images */
    double lo, hi; /* 2.5 and 97.5 percent of the resampled differences; NaN: the score has no values an image, or no resamples */
    double p;      /* two-sided: twice the smaller share of resamples at or beyond 0, (k+1)/(resamples+1), at most 1; NaN likewise */
} capt_interval;

/* a, b: n_out metrics of the two systems over the same n images. iv: (n_out), by metric and score. */
int capt_bootstrap(const capt_metric_out *a, const capt_metric_out *b, int n_out, size_t n, size_t resamples, uint64_t seed,
                   capt_pool *pool, capt_interval (*iv)[CAPT_SCORES_MAX], capt_err *err);
#endif
