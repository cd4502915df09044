/* See bootstrap.h. A resample is how often each image was drawn; a column is one number an image of one system: a statistic
 * that is summed, or a value whose mean is taken. All columns lie beside each other, an image a row. */
#include "metric/bootstrap.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"

enum { BLOCK = 8 };

typedef struct job {
    const capt_metric_out *a, *b;
    int n_out, n_diff;
    size_t n, n_col, resamples;
    uint64_t seed;
    double *col;                   /* (n, n_col) */
    double *diff;                  /* (n_diff, resamples) */
    float **count;                 /* a worker: (n, BLOCK) times drawn */
    double **sum;                  /* a worker: (BLOCK, n_col) */
} job;

static int is_of_sum(const capt_metric_out *o, int k)
{
    return k >= o->sum_first && k < o->sum_first + o->sum_scores;
}

static int is_mean(const capt_metric_out *o, int k)
{
    return o->score[k].each && !is_of_sum(o, k);
}

/* Columns of one system's metric; with to NULL their number only. Images without a value (NaN) count neither way: two columns. */
static size_t columns(const capt_metric_out *o, size_t n, double *to, size_t stride)
{
    size_t c = o->n_sum;
    for (size_t i = 0; to && c && i < n; i++)
        memcpy(to + i * stride, o->sum + i * c, c * sizeof *to);
    for (int k = 0; k < o->n_score; k++)
        if (is_mean(o, k)) {
            for (size_t i = 0; to && i < n; i++) {
                double v = o->score[k].each[i];
                to[i * stride + c] = isnan(v) ? 0 : v;
                to[i * stride + c + 1] = !isnan(v);
            }
            c += 2;
        }
    return c;
}

/* Scores of a system's metric from sums of its columns; returns how many columns it read. */
static size_t values(const capt_metric_out *o, const double *sum, double v[CAPT_SCORES_MAX])
{
    size_t c = o->n_sum;
    if (o->of_sum)
        o->of_sum(sum, o->n_sum, v + o->sum_first);
    for (int k = 0; k < o->n_score; k++)
        if (is_mean(o, k)) {
            v[k] = sum[c + 1] > 0 ? sum[c] / sum[c + 1] : 0;
            c += 2;
        }
    return c;
}

/* Whether images can be drawn for score k. */
static int has_interval(const capt_metric_out *o, int k)
{
    return is_of_sum(o, k) || is_mean(o, k);
}

static void draw(const job *j, size_t resample, float *count)
{
    uint64_t key = capt_rng_key(j->seed, CAPT_RNG_BOOTSTRAP, resample, 0);
    for (size_t i = 0; i < j->n; i += 4) {
        uint32_t r[4];
        capt_philox(key, i / 4, 0, r);
        for (size_t k = 0; k < 4 && i + k < j->n; k++)
            count[(((uint64_t)r[k] * j->n) >> 32) * BLOCK]++;
    }
}

static void resample_block(void *arg, int64_t task, int worker)
{
    const job *j = arg;
    size_t first = (size_t)task * BLOCK, m = j->resamples - first < BLOCK ? j->resamples - first : BLOCK;
    float *count = j->count[worker];
    double *sum = j->sum[worker];
    memset(count, 0, j->n * BLOCK * sizeof *count);
    memset(sum, 0, BLOCK * j->n_col * sizeof *sum);
    for (size_t r = 0; r < m; r++)
        draw(j, first + r, count + r);
    for (size_t i = 0; i < j->n; i++)
        for (size_t r = 0; r < m; r++) {
            double times = (double)count[i * BLOCK + r], *to = sum + r * j->n_col;
            const double *row = j->col + i * j->n_col;
            for (size_t c = 0; times != 0 && c < j->n_col; c++)
                to[c] += times * row[c];
        }
    for (size_t r = 0; r < m; r++) {
        const double *s = sum + r * j->n_col;
        size_t d = 0;
        for (int o = 0; o < j->n_out; o++) {
            double va[CAPT_SCORES_MAX], vb[CAPT_SCORES_MAX];
            s += values(&j->a[o], s, va);
            s += values(&j->b[o], s, vb);
            for (int k = 0; k < j->a[o].n_score; k++)
                if (has_interval(&j->a[o], k))
                    j->diff[d++ * j->resamples + first + r] = vb[k] - va[k];
        }
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static capt_interval interval(double *d, size_t n, double diff)
{
    size_t below = 0, above = 0, tail = (size_t)((double)n * 0.025);
    qsort(d, n, sizeof *d, by_value);
    for (size_t i = 0; i < n; i++) {
        below += d[i] <= 0;
        above += d[i] >= 0;
    }
    double p = 2 * (double)((below < above ? below : above) + 1) / (double)(n + 1);
    return (capt_interval){diff, d[tail], d[n - 1 - tail], p < 1 ? p : 1};
}

static int same_scores(const capt_metric_out *a, const capt_metric_out *b)
{
    int same = a->n_score == b->n_score && a->of_sum == b->of_sum && a->sum_first == b->sum_first;
    for (int k = 0; same && k < a->n_score; k++)
        same = !strcmp(a->score[k].key, b->score[k].key) && !a->score[k].each == !b->score[k].each;
    return same;
}

int capt_bootstrap(const capt_metric_out *a, const capt_metric_out *b, int n_out, size_t n, size_t resamples, uint64_t seed,
                   capt_pool *pool, capt_interval (*iv)[CAPT_SCORES_MAX], capt_err *err)
{
    job j = {.a = a, .b = b, .n_out = n_out, .n = n, .resamples = resamples, .seed = seed};
    if (!n || n >= UINT32_MAX)
        return capt_fail(err, CAPT_EDATA, "bootstrap: nothing to draw from");
    for (int o = 0; o < n_out; o++) {
        if (!same_scores(&a[o], &b[o]))
            return capt_fail(err, CAPT_EDATA, "bootstrap: the two systems have different scores");
        j.n_col += columns(&a[o], n, NULL, 0) + columns(&b[o], n, NULL, 0);
        for (int k = 0; k < a[o].n_score; k++)
            j.n_diff += has_interval(&a[o], k);
    }
    int workers = capt_pool_size(pool), failed = 0;
    j.col = capt_try_alloc((n * j.n_col + 1) * sizeof *j.col, err);
    j.diff = capt_try_alloc((resamples * (size_t)j.n_diff + 1) * sizeof *j.diff, err);
    j.count = capt_alloc((size_t)workers * sizeof *j.count);
    j.sum = capt_alloc((size_t)workers * sizeof *j.sum);
    for (int t = 0; t < workers; t++) {
        j.count[t] = capt_try_alloc(n * BLOCK * sizeof **j.count, err);
        j.sum[t] = capt_try_alloc((BLOCK * j.n_col + 1) * sizeof **j.sum, err);
        failed |= !j.count[t] || !j.sum[t];
    }
    failed |= !j.col || !j.diff;
    if (!failed) {
        double *to = j.col;
        for (int o = 0; o < n_out; o++) {
            to += columns(&a[o], n, to, j.n_col);
            to += columns(&b[o], n, to, j.n_col);
        }
        capt_pool_run(pool, (int64_t)((resamples + BLOCK - 1) / BLOCK), resample_block, &j);
        double *d = j.diff;
        for (int o = 0; o < n_out; o++)
            for (int k = 0; k < a[o].n_score; k++) {
                iv[o][k] = (capt_interval){b[o].score[k].value - a[o].score[k].value, NAN, NAN, NAN};
                if (resamples && has_interval(&a[o], k)) {
                    iv[o][k] = interval(d, resamples, iv[o][k].diff);
                    d += resamples;
                }
            }
    }
    for (int t = 0; t < workers; t++) {
        free(j.count[t]);
        free(j.sum[t]);
    }
    free(j.count);
    free(j.sum);
    free(j.col);
    free(j.diff);
    return failed ? -1 : 0;
}
