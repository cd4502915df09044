/* Layer and batch normalisation. Statistics and gradients of parameters are summed in double. */
#include "backend/ref/ref_priv.h"

void capt_ref_layernorm_fwd(capt_backend *be, capt_real *y, capt_real *mean, capt_real *rstd, const capt_real *x, const capt_real *g, const capt_real *b, int64_t rows, int D, double eps)
{
    for (int64_t r = 0; r < rows; r++) {
        const capt_real *xr = x + r * D;
        double s = 0, q = 0;
        for (int j = 0; j < D; j++)
            s += (double)xr[j];
        s /= D;
        for (int j = 0; j < D; j++)
            q += ((double)xr[j] - s) * ((double)xr[j] - s);
        capt_real m = (capt_real)s, inv = (capt_real)(1 / sqrt(q / D + eps));
        mean[r] = m;
        rstd[r] = inv;
        for (int j = 0; j < D; j++)
            y[r * D + j] = (xr[j] - m) * inv * g[j] + b[j];
    }
}

/* writes s[j] (double) over beta*d[j] */
static void put_sums(capt_real *d, double beta, const double *s, int n)
{
    if (d)
        for (int j = 0; j < n; j++)
            d[j] = (capt_real)(beta == 0 ? s[j] : beta * (double)d[j] + s[j]);
}

void capt_ref_layernorm_bwd(capt_backend *be, capt_real *dx, double beta, capt_real *dg, double beta_g, capt_real *db, double beta_b, const capt_real *dy, const capt_real *x, const capt_real *mean, const capt_real *rstd, const capt_real *g, int64_t rows, int D)
{
    double *sg = capt_ref_scratch(be, 2 * (size_t)D, sizeof *sg);
    if (!sg)
        return;
    double *sb = sg + D;
    memset(sg, 0, 2 * (size_t)D * sizeof *sg);
    for (int64_t r = 0; r < rows; r++) {
        const capt_real *xr = x + r * D, *dr = dy + r * D;
        capt_real m = mean[r], inv = rstd[r];
        for (int j = 0; j < D; j++) {
            sg[j] += (double)(dr[j] * (xr[j] - m) * inv);
            sb[j] += (double)dr[j];
        }
        if (!dx)
            continue;
        double s1 = 0, s2 = 0; /* means of dy*g and of dy*g*xhat */
        for (int j = 0; j < D; j++) {
            capt_real d = dr[j] * g[j];
            s1 += (double)d;
            s2 += (double)(d * (xr[j] - m) * inv);
        }
        capt_real m1 = (capt_real)(s1 / D), m2 = (capt_real)(s2 / D);
        for (int j = 0; j < D; j++) {
            capt_real d = inv * (dr[j] * g[j] - m1 - (xr[j] - m) * inv * m2), *to = dx + r * D + j;
            *to = beta == 0 ? d : (capt_real)beta * *to + d;
        }
    }
    put_sums(dg, beta_g, sg, D);
    put_sums(db, beta_b, sb, D);
    free(sg);
}

void capt_ref_batchnorm_fwd(capt_backend *be, capt_real *y, capt_real *mean, capt_real *rstd, const capt_real *x, const capt_real *g, const capt_real *b, capt_real *run_mean, capt_real *run_var, int64_t rows, int C, double eps, double momentum, int train, int relu)
{
    if (train) {
        double *s = capt_ref_scratch(be, 2 * (size_t)C, sizeof *s);
        if (!s)
            return;
        double *q = s + C;
        memset(s, 0, 2 * (size_t)C * sizeof *s);
        for (int64_t r = 0; r < rows; r++)
            for (int j = 0; j < C; j++)
                s[j] += (double)x[r * C + j];
        for (int j = 0; j < C; j++)
            s[j] /= (double)rows;
        for (int64_t r = 0; r < rows; r++)
            for (int j = 0; j < C; j++)
                q[j] += ((double)x[r * C + j] - s[j]) * ((double)x[r * C + j] - s[j]);
        for (int j = 0; j < C; j++) {
            mean[j] = (capt_real)s[j];
            rstd[j] = (capt_real)(1 / sqrt(q[j] / (double)rows + eps));
            run_mean[j] = (capt_real)((1 - momentum) * (double)run_mean[j] + momentum * s[j]);
            run_var[j] = (capt_real)((1 - momentum) * (double)run_var[j] + momentum * q[j] / (double)(rows > 1 ? rows - 1 : 1));
        }
        free(s);
    } else
        for (int j = 0; j < C; j++) {
            mean[j] = run_mean[j];
            rstd[j] = (capt_real)(1 / sqrt((double)run_var[j] + eps));
        }
    for (int64_t r = 0; r < rows; r++)
        for (int j = 0; j < C; j++) {
            capt_real v = (x[r * C + j] - mean[j]) * rstd[j] * g[j] + b[j];
            y[r * C + j] = relu && !(v > 0) && v == v ? 0 : v;
        }
}

void capt_ref_batchnorm_bwd(capt_backend *be, capt_real *dx, double beta, capt_real *dg, double beta_g, capt_real *db, double beta_b, const capt_real *dy, const capt_real *x, const capt_real *y, const capt_real *mean, const capt_real *rstd, const capt_real *g, int64_t rows, int C, int train, int relu)
{
    double *sg = capt_ref_scratch(be, 2 * (size_t)C, sizeof *sg);
    if (!sg)
        return;
    double *sb = sg + C;
    memset(sg, 0, 2 * (size_t)C * sizeof *sg);
    for (int64_t r = 0; r < rows; r++)
        for (int j = 0; j < C; j++) {
            int64_t i = r * C + j;
            capt_real d = relu && !(y[i] > 0) ? 0 : dy[i];
            sg[j] += (double)(d * (x[i] - mean[j]) * rstd[j]);
            sb[j] += (double)d;
        }
    for (int64_t r = 0; dx && r < rows; r++)
        for (int j = 0; j < C; j++) {
            int64_t i = r * C + j;
            capt_real d = relu && !(y[i] > 0) ? 0 : dy[i];
            if (train)
                d -= (capt_real)(sb[j] / (double)rows) + (x[i] - mean[j]) * rstd[j] * (capt_real)(sg[j] / (double)rows);
            d *= g[j] * rstd[j];
            dx[i] = beta == 0 ? d : (capt_real)beta * dx[i] + d;
        }
    put_sums(dg, beta_g, sg, C);
    put_sums(db, beta_b, sb, C);
    free(sg);
}
