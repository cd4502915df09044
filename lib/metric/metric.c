/* The table of metrics, and what they share. */
#include "metric/metric.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#define CAPT_METRIC(name, fn, doc) {name, fn, doc},
const capt_metric capt_metrics[] = {
#include "metric/metric.def"
    {NULL, NULL, NULL}};
#undef CAPT_METRIC

const capt_metric *capt_metric_find(const char *name)
{
    for (const capt_metric *m = capt_metrics; m->name; m++)
        if (!strcmp(m->name, name))
            return m;
    return NULL;
}

void capt_metric_out_free(capt_metric_out *out)
{
    for (int i = 0; i < out->n_score; i++)
        free(out->score[i].each);
    free(out->sum);
    free(out->meteor_each);
    memset(out, 0, sizeof *out);
}

int capt_metric_check(const capt_metric_in *in, capt_err *err)
{
    if (!in->n)
        return capt_fail(err, CAPT_EDATA, "no images to score");
    for (size_t i = 0; i < in->n; i++)
        if (in->ref_at[i + 1] == in->ref_at[i])
            return capt_fail(err, CAPT_EDATA, "image %zu has no references", i);
    return 0;
}

static double pairwise_sum(const double *x, size_t n)
{
    if (n < 8) {
        double s = 0;
        for (size_t i = 0; i < n; i++)
            s += x[i];
        return s;
    }
    if (n <= 128) {
        double r[8];
        size_t i;
        memcpy(r, x, sizeof r);
        for (i = 8; i + 8 <= n; i += 8)
            for (int k = 0; k < 8; k++)
                r[k] += x[i + (size_t)k];
        double s = ((r[0] + r[1]) + (r[2] + r[3])) + ((r[4] + r[5]) + (r[6] + r[7]));
        for (; i < n; i++)
            s += x[i];
        return s;
    }
    size_t half = n / 2;
    half -= half % 8;
    return pairwise_sum(x, half) + pairwise_sum(x + half, n - half);
}

double capt_mean(const double *x, size_t n)
{
    return pairwise_sum(x, n) / (double)n;
}

double capt_pow(double x, double y)
{
    volatile double exponent = y; /* keeps the compiler from turning pow(x, 2.0) into x*x */
    return pow(x, exponent);
}

void capt_line_key(const char *line, uint64_t *key, uint64_t *check)
{
    line += strspn(line, " ");
    size_t n = strlen(line);
    while (n && line[n - 1] == ' ')
        n--;
    XXH128_hash_t x = XXH3_128bits(line, n);
    *key = x.low64 ? x.low64 : 1;
    *check = x.high64;
}
