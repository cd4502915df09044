/* Kernels that move or sum rows. */
#include "backend/ref/ref_priv.h"

void capt_ref_copy2d(capt_backend *be, capt_real *y, int64_t ldy, double beta, const capt_real *x, int64_t ldx, int64_t rows, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++)
        capt_ref_axpby(be, y + r * ldy, beta, x + r * ldx, 1, cols);
}

void capt_ref_gather(capt_backend *be, capt_real *y, const capt_real *x, const int32_t *idx, int64_t n, int64_t block)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(y + i * block, x + idx[i] * block, (size_t)block * sizeof *y);
}

void capt_ref_scatter_add(capt_backend *be, capt_real *dx, double beta, const capt_real *dy, const int32_t *idx, int64_t n, int64_t n_x, int64_t block)
{
    if (beta == 0)
        capt_ref_fill(be, dx, n_x * block, 0);
    for (int64_t i = 0; i < n; i++) {
        capt_real *to = dx + idx[i] * block;
        for (int64_t j = 0; j < block; j++)
            to[j] += dy[i * block + j];
    }
}

void capt_ref_add_rows(capt_backend *be, capt_real *y, const capt_real *x, const capt_real *p, int64_t rows, int64_t period, int64_t cols)
{
    for (int64_t r = 0; r < rows; r++)
        capt_ref_add(be, y + r * cols, x + r * cols, p + r % period * cols, cols);
}

void capt_ref_sum_rows(capt_backend *be, capt_real *dp, double beta, const capt_real *dy, int64_t rows, int64_t period, int64_t cols)
{
    double *s = capt_ref_scratch(be, (size_t)(period * cols), sizeof *s);
    if (!s)
        return;
    for (int64_t i = 0; i < period * cols; i++)
        s[i] = beta == 0 ? 0 : beta * (double)dp[i];
    for (int64_t r = 0; r < rows; r++) {
        double *to = s + r % period * cols;
        for (int64_t j = 0; j < cols; j++)
            to[j] += (double)dy[r * cols + j];
    }
    for (int64_t i = 0; i < period * cols; i++)
        dp[i] = (capt_real)s[i];
    free(s);
}

void capt_ref_sum(capt_backend *be, capt_real *db, double beta, const capt_real *dy, int64_t M, int64_t N)
{
    capt_ref_sum_rows(be, db, beta, dy, M, 1, N);
}
