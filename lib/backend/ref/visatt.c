/* Additive attention over feature rows, its coverage loss, and the mean of feature rows. */
#include "backend/ref/ref_priv.h"

static int valid(const int32_t *len, int64_t i, int S)
{
    return len ? len[i] : S;
}

void capt_ref_visatt_fwd(capt_backend *be, capt_real *z, capt_real *alpha, const capt_real *p, const capt_real *q, const capt_real *w, const capt_real *v, const capt_visatt *a)
{
    int S = a->S, A = a->A, D = a->D;
    capt_real *t = capt_ref_scratch(be, (size_t)A, sizeof *t);
    for (int r = 0; t && r < a->R; r++) {
        int64_t image = a->row_image[r];
        int n = valid(a->len, image, S);
        capt_real *e = alpha + (int64_t)r * S, max = -INFINITY;
        double sum = 0;
        for (int s = 0; s < n; s++) {
            double dot = 0;
            for (int j = 0; j < A; j++)
                t[j] = p[(image * S + s) * A + j] + q[(int64_t)r * A + j];
            capt_ref_map_fwd(be, a->act, t, t, A);
            for (int j = 0; j < A; j++)
                dot += (double)(w[j] * t[j]);
            e[s] = (capt_real)dot;
            max = e[s] > max ? e[s] : max;
        }
        for (int s = 0; s < n; s++)
            sum += (double)(e[s] = EXP(e[s] - max));
        for (int s = 0; s < S; s++)
            e[s] = s < n ? e[s] * (capt_real)(1 / sum) : 0;
        for (int j = 0; j < D; j++) {
            double x = 0;
            for (int s = 0; s < n; s++)
                x += (double)(e[s] * v[(image * S + s) * D + j]);
            z[(int64_t)r * D + j] = (capt_real)x;
        }
    }
    free(t);
}

static void scale(capt_backend *be, capt_real *d, double beta, int64_t n)
{
    if (d && beta == 0)
        capt_ref_fill(be, d, n, 0);
    else if (d)
        capt_ref_axpby(be, d, 0, d, beta, n);
}

void capt_ref_visatt_bwd(capt_backend *be, capt_real *dp, double beta_p, capt_real *dq, double beta_q, capt_real *dw, double beta_w, capt_real *dv, double beta_v, const capt_real *dz, const capt_real *dalpha, const capt_real *alpha, const capt_real *p, const capt_real *q, const capt_real *w, const capt_real *v, const capt_visatt *a)
{
    int S = a->S, A = a->A, D = a->D;
    capt_real *t = capt_ref_scratch(be, 3 * (size_t)A + (size_t)S, sizeof *t);
    if (!t)
        return;
    capt_real *y = t + A, *g = y + A, *de = g + A;
    scale(be, dp, beta_p, (int64_t)a->I * S * A);
    scale(be, dq, beta_q, (int64_t)a->R * A);
    scale(be, dw, beta_w, A);
    scale(be, dv, beta_v, (int64_t)a->I * S * D);
    for (int r = 0; r < a->R; r++) {
        int64_t image = a->row_image[r];
        int n = valid(a->len, image, S);
        const capt_real *al = alpha + (int64_t)r * S, *d = dz ? dz + (int64_t)r * D : NULL;
        double mean = 0;
        for (int s = 0; s < n; s++) {
            double x = dalpha ? (double)dalpha[(int64_t)r * S + s] : 0;
            for (int j = 0; d && j < D; j++)
                x += (double)(d[j] * v[(image * S + s) * D + j]);
            de[s] = (capt_real)x;
            mean += (double)al[s] * x;
        }
        for (int s = 0; s < n; s++) {
            de[s] = al[s] * (de[s] - (capt_real)mean);
            for (int j = 0; j < A; j++) {
                t[j] = p[(image * S + s) * A + j] + q[(int64_t)r * A + j];
                g[j] = de[s] * w[j];
            }
            capt_ref_map_fwd(be, a->act, y, t, A);
            capt_ref_map_bwd(be, a->act, g, 0, g, t, A);
            for (int j = 0; j < A; j++) {
                if (dw)
                    dw[j] += de[s] * y[j];
                if (dp)
                    dp[(image * S + s) * A + j] += g[j];
                if (dq)
                    dq[(int64_t)r * A + j] += g[j];
            }
            for (int j = 0; dv && d && j < D; j++)
                dv[(image * S + s) * D + j] += al[s] * d[j];
        }
    }
    free(t);
}

void capt_ref_coverage_fwd(capt_backend *be, capt_real *loss, capt_real *cover, const capt_real *alpha, const int32_t *t_len, const int32_t *s_len, const capt_real *target, double scale_, int64_t R, int T, int S)
{
    for (int64_t r = 0; r < R; r++) {
        double sum = 0, want = (double)target[r];
        for (int s = 0; s < S; s++) {
            double x = 0;
            for (int t = 0; t < t_len[r]; t++)
                x += (double)alpha[(r * T + t) * S + s];
            cover[r * S + s] = (capt_real)x;
            sum += s < s_len[r] ? (want - x) * (want - x) : 0;
        }
        loss[r] = t_len[r] && s_len[r] ? (capt_real)(scale_ / s_len[r] * sum) : 0;
    }
}

void capt_ref_coverage_bwd(capt_backend *be, capt_real *dalpha, double beta, const capt_real *cover, const int32_t *t_len, const int32_t *s_len, const capt_real *target, double scale_, int64_t R, int T, int S)
{
    for (int64_t r = 0; r < R; r++)
        for (int t = 0; t < T; t++)
            for (int s = 0; s < S; s++) {
                capt_real d = t < t_len[r] && s < s_len[r] ? (capt_real)(-2 * scale_ / s_len[r]) * (target[r] - cover[r * S + s]) : 0, *to = dalpha + (r * T + t) * S + s;
                *to = beta == 0 ? d : (capt_real)beta * *to + d;
            }
}

void capt_ref_mean_rows_fwd(capt_backend *be, capt_real *y, const capt_real *x, const int32_t *len, int64_t I, int S, int D)
{
    for (int64_t i = 0; i < I; i++)
        for (int j = 0; j < D; j++) {
            int n = valid(len, i, S);
            double sum = 0;
            for (int s = 0; s < n; s++)
                sum += (double)x[(i * S + s) * D + j];
            y[i * D + j] = n ? (capt_real)(sum / n) : 0;
        }
}

void capt_ref_mean_rows_bwd(capt_backend *be, capt_real *dx, double beta, const capt_real *dy, const int32_t *len, int64_t I, int S, int D)
{
    for (int64_t i = 0; i < I; i++)
        for (int s = 0; s < S; s++)
            for (int j = 0; j < D; j++) {
                int n = valid(len, i, S);
                capt_real d = s < n ? dy[i * D + j] / (capt_real)n : 0, *to = dx + (i * S + s) * D + j;
                *to = beta == 0 ? d : (capt_real)beta * *to + d;
            }
}
