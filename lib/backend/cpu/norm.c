/* Layer and batch normalisation. 8 to 16 bytes an element and about 10 operations: bytes are the bound. Sums over rows: partial sums of
 * fixed chunks of rows, joined in double in rising order. */
#include "backend/cpu/cpu_priv.h"

#ifndef CAPT_REAL64
#include <math.h>
#include <string.h>

enum { LN_ROWS = 64, BN_ROWS = 256 };
struct norm {
    const struct cpu_isa *isa;
    float *y, *mean, *rstd, *part; /* part: (chunks, 2, D) */
    double *sum;                   /* batch norm's, where small differences of large sums matter */
    const float *x, *dy, *z, *g, *b;
    int64_t rows, step;
    int D, train, relu, pass;
    float beta, eps;
};

static void ln_fwd_task(void *arg, int64_t task, int worker)
{
    const struct norm *s = arg;
    (void)worker;
    int64_t r = task * s->step;
    s->isa->ln_fwd(s->y + r * s->D, s->mean + r, s->rstd + r, s->x + r * s->D, s->g, s->b, MIN(s->step, s->rows - r), s->D, s->eps);
}

void capt_cpu_layernorm_fwd(capt_backend *be, capt_real *y, capt_real *mean, capt_real *rstd, const capt_real *x, const capt_real *g, const capt_real *b, int64_t rows, int D, double eps)
{
    struct norm s = {.isa = isa_of(be), .y = y, .mean = mean, .rstd = rstd, .x = x, .g = g, .b = b, .rows = rows, .D = D, .eps = (float)eps, .step = LN_ROWS};
    capt_cpu_run(be, (rows + LN_ROWS - 1) / LN_ROWS, rows * D > SMALL, ln_fwd_task, &s);
}

static void ln_bwd_task(void *arg, int64_t task, int worker)
{
    const struct norm *s = arg;
    (void)worker;
    int64_t r = task * s->step;
    float *part = s->part ? s->part + task * 2 * s->D : NULL;
    if (part)
        memset(part, 0, 2 * (size_t)s->D * sizeof *part);
    s->isa->ln_bwd(s->y ? s->y + r * s->D : NULL, s->beta, part, part ? part + s->D : NULL, s->dy + r * s->D, s->x + r * s->D, s->mean + r, s->rstd + r, s->g,
                   MIN(s->step, s->rows - r), s->D);
}

/* out[j] = beta*out[j] + sum over chunks of part[chunk*stride + j] */
static void join(float *out, double beta, const float *part, int64_t chunks, int64_t stride, int n)
{
    enum { B = 64 };
    for (int j0 = 0; out && j0 < n; j0 += B) {
        double t[B] = {0};
        int m = MIN(B, n - j0);
        for (int64_t c = 0; c < chunks; c++)
            for (int j = 0; j < m; j++)
                t[j] += part[c * stride + j0 + j];
        for (int j = 0; j < m; j++)
            out[j0 + j] = (float)(beta == 0 ? t[j] : beta * out[j0 + j] + t[j]);
    }
}

void capt_cpu_layernorm_bwd(capt_backend *be, capt_real *dx, double beta, capt_real *dg, double beta_g, capt_real *db, double beta_b, const capt_real *dy, const capt_real *x, const capt_real *mean, const capt_real *rstd, const capt_real *g, int64_t rows, int D)
{
    int64_t chunks = (rows + LN_ROWS - 1) / LN_ROWS;
    struct norm s = {.isa = isa_of(be), .y = dx, .mean = (float *)mean, .rstd = (float *)rstd, .x = x, .dy = dy, .g = g, .rows = rows, .D = D, .beta = (float)beta, .step = LN_ROWS};
    if (dg || db) {
        s.part = capt_cpu_buf(be, BUF_C, (size_t)MAX(chunks, 1) * 2 * (size_t)D * sizeof(float));
        if (!s.part)
            return;
    }
    capt_cpu_run(be, chunks, rows * D > SMALL, ln_bwd_task, &s);
    join(dg, beta_g, s.part, chunks, 2 * D, D);
    join(db, beta_b, s.part + (s.part ? D : 0), chunks, 2 * D, D);
}

/* pass 0: sums of x; 1: of centred squares; 2: the output; 3: sums of dy*xhat and dy; 4: dx (sum then holds the means over all rows) */
static void bn_task(void *arg, int64_t task, int worker)
{
    const struct norm *s = arg;
    (void)worker;
    int C = s->D;
    int64_t r0 = task * BN_ROWS, r1 = MIN(s->rows, r0 + BN_ROWS);
    double *restrict p = s->sum + (s->pass == 4 ? 0 : task * 2 * C), *restrict p2 = p + C;
    const float *mean = s->mean, *rstd = s->rstd;
    if (s->pass != 2 && s->pass != 4)
        memset(p, 0, 2 * (size_t)C * sizeof *p);
    for (int64_t r = r0; r < r1; r++) {
        const float *restrict x = s->x + r * C;
        if (s->pass == 0) {
            for (int j = 0; j < C; j++)
                p[j] += x[j];
        } else if (s->pass == 1) {
            for (int j = 0; j < C; j++)
                p[j] += ((double)x[j] - mean[j]) * ((double)x[j] - mean[j]);
        } else if (s->pass == 2) {
            float *restrict y = s->y + r * C;
            for (int j = 0; j < C; j++)
                y[j] = (x[j] - mean[j]) * rstd[j] * s->g[j] + s->b[j];
            if (s->relu)
                for (int j = 0; j < C; j++)
                    y[j] = y[j] <= 0 ? 0 : y[j];
        } else {
            const float *restrict dy = s->dy + r * C, *restrict z = s->z + r * C;
            for (int j = 0; j < C; j++) {
                float d = s->relu && !(z[j] > 0) ? 0 : dy[j];
                if (s->pass == 3) {
                    p[j] += d * (x[j] - mean[j]) * rstd[j];
                    p2[j] += d;
                    continue;
                }
                if (s->train)
                    d -= (float)p2[j] + (x[j] - mean[j]) * rstd[j] * (float)p[j];
                d *= s->g[j] * rstd[j];
                float *dx = s->y + r * C + j;
                *dx = s->beta == 0 ? d : s->beta * *dx + d;
            }
        }
    }
}

static void bn_pass(capt_backend *be, struct norm *s, int pass)
{
    s->pass = pass;
    capt_cpu_run(be, (s->rows + BN_ROWS - 1) / BN_ROWS, s->rows * s->D > SMALL, bn_task, s);
}

/* the chunks' sums joined into the first chunk's */
static void bn_join(const struct norm *s)
{
    for (int64_t c = 1; c < (s->rows + BN_ROWS - 1) / BN_ROWS; c++)
        for (int j = 0; j < 2 * s->D; j++)
            s->sum[j] += s->sum[c * 2 * s->D + j];
}

static int bn_sums(capt_backend *be, struct norm *s)
{
    s->sum = capt_cpu_buf(be, BUF_C, (size_t)MAX(1, (s->rows + BN_ROWS - 1) / BN_ROWS) * 2 * (size_t)s->D * sizeof *s->sum);
    if (!s->sum)
        return -1;
    memset(s->sum, 0, 2 * (size_t)s->D * sizeof *s->sum); /* of no rows */
    return 0;
}

void capt_cpu_batchnorm_fwd(capt_backend *be, capt_real *y, capt_real *mean, capt_real *rstd, const capt_real *x, const capt_real *g, const capt_real *b, capt_real *run_mean, capt_real *run_var, int64_t rows, int C, double eps, double momentum, int train, int relu)
{
    struct norm s = {.isa = isa_of(be), .y = y, .mean = mean, .rstd = rstd, .x = x, .g = g, .b = b, .rows = rows, .D = C, .relu = relu};
    if (bn_sums(be, &s))
        return;
    if (train) {
        double n = (double)rows;
        bn_pass(be, &s, 0);
        bn_join(&s);
        for (int j = 0; j < C; j++)
            mean[j] = (float)(s.sum[j] / n);
        bn_pass(be, &s, 1);
        bn_join(&s);
        for (int j = 0; j < C; j++) {
            double q = s.sum[j];
            rstd[j] = (float)(1 / sqrt(q / n + eps));
            run_mean[j] = (float)((1 - momentum) * run_mean[j] + momentum * mean[j]);
            run_var[j] = (float)((1 - momentum) * run_var[j] + momentum * q / (rows > 1 ? n - 1 : 1));
        }
    } else {
        for (int j = 0; j < C; j++) {
            mean[j] = run_mean[j];
            rstd[j] = (float)(1 / sqrt((double)run_var[j] + eps));
        }
    }
    bn_pass(be, &s, 2);
}

void capt_cpu_batchnorm_bwd(capt_backend *be, capt_real *dx, double beta, capt_real *dg, double beta_g, capt_real *db, double beta_b, const capt_real *dy, const capt_real *x, const capt_real *y, const capt_real *mean, const capt_real *rstd, const capt_real *g, int64_t rows, int C, int train, int relu)
{
    struct norm s = {.isa = isa_of(be), .y = dx, .mean = (float *)mean, .rstd = (float *)rstd, .x = x, .dy = dy, .z = relu ? y : dy, .g = g, .rows = rows, .D = C,
                     .train = train, .relu = relu, .beta = (float)beta};
    if (bn_sums(be, &s))
        return;
    bn_pass(be, &s, 3);
    bn_join(&s);
    for (int j = 0; dg && j < C; j++)
        dg[j] = (float)(beta_g == 0 ? s.sum[j] : beta_g * dg[j] + s.sum[j]);
    for (int j = 0; db && j < C; j++)
        db[j] = (float)(beta_b == 0 ? s.sum[C + j] : beta_b * db[j] + s.sum[C + j]);
    for (int j = 0; j < 2 * C; j++)
        s.sum[j] /= (double)rows;
    if (dx)
        bn_pass(be, &s, 4);
}
#endif
