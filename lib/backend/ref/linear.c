/* Matrix products, convolution, pooling. */
#include "backend/ref/ref_priv.h"
#include <math.h>
#include "base/mem.h"

struct capt_weight { int N, K, ct; }; /* nothing is packed: the products read w */

void capt_ref_weight_new(capt_backend *be, capt_weight **out, const capt_weight_rows *rows, int N, int K, int ct)
{
    *out = capt_alloc(sizeof **out);
    **out = (capt_weight){N, K, ct};
}

void capt_ref_weight_update(capt_backend *be, capt_weight *wp, const capt_real *w)
{
}

void capt_ref_weight_free(capt_backend *be, capt_weight *wp)
{
    free(wp);
}

enum { MR = 4, NR = 8, NB = 256 }; /* a tile of MR x NR sums stays in registers; NB columns of B are copied at a time */

/* sums of one tile: pa (K,MR), pb (K,NR) */
static void tile(capt_real acc[MR][NR], const capt_real *pa, const capt_real *pb, int64_t K)
{
    capt_real s[MR][NR] = {{0}};
    for (int64_t k = 0; k < K; k++)
        for (int i = 0; i < MR; i++)
            for (int j = 0; j < NR; j++)
                s[i][j] += pa[k * MR + i] * pb[k * NR + j];
    memcpy(acc, s, sizeof s);
}

/* p (K,R) = operands v[i*vi + k*vk] of rows i0.., 0 beyond n */
static void pack(capt_real *p, const capt_real *v, int64_t vi, int64_t vk, int64_t i0, int64_t n, int R, int64_t K, int ct)
{
    for (int i = 0; i < R; i++)
        for (int64_t k = 0; k < K; k++)
            p[k * R + i] = i0 + i < n ? capt_ref_operand(v[(i0 + i) * vi + k * vk], ct) : 0;
}

void capt_ref_gemm(capt_backend *be, capt_real *c, int64_t ldc, double beta, const capt_real *a, int64_t ai, int64_t ak,
                   const capt_real *b, int64_t bk, int64_t bj, int64_t M, int64_t N, int64_t K, int ct)
{
    capt_real *pb = capt_ref_scratch(be, (size_t)(K + 1) * (NB + MR), sizeof *pb);
    if (!pb)
        return;
    capt_real *pa = pb + K * NB, fb = (capt_real)beta;
    for (int64_t j0 = 0; j0 < N; j0 += NB) {
        int64_t jn = N - j0 < NB ? N - j0 : NB;
        for (int64_t j = 0; j < jn; j += NR)
            pack(pb + j * K, b, bj, bk, j0 + j, N, NR, K, ct);
        for (int64_t i0 = 0; i0 < M; i0 += MR) {
            pack(pa, a, ai, ak, i0, M, MR, K, ct);
            for (int64_t j = 0; j < jn; j += NR) {
                capt_real acc[MR][NR];
                tile(acc, pa, pb + j * K, K);
                for (int64_t i = 0; i < MR && i0 + i < M; i++)
                    for (int64_t l = 0; l < NR && j + l < jn; l++) {
                        capt_real *to = c + (i0 + i) * ldc + j0 + j + l;
                        *to = beta == 0 ? acc[i][l] : fb * *to + acc[i][l];
                    }
            }
        }
    }
    free(pb);
}

void capt_ref_linear_fwd(capt_backend *be, capt_real *y, capt_real *pre, const capt_real *x, const capt_real *w, const capt_weight *wp, const capt_real *bias, int64_t M, int N, int K, int act, int ct)
{
    capt_ref_gemm(be, y, N, 0, x, K, 1, w, 1, K, M, N, K, ct);
    if (bias)
        capt_ref_add_rows(be, y, y, bias, M, 1, N);
    if (pre)
        memcpy(pre, y, (size_t)(M * N) * sizeof *y);
    if (act != CAPT_MAP_none)
        capt_ref_map_fwd(be, act, y, y, M * N);
}

void capt_ref_linear_bwd_x(capt_backend *be, capt_real *dx, double beta, const capt_real *dy, const capt_real *w, const capt_weight *wp, int64_t M, int N, int K, int ct)
{
    capt_ref_gemm(be, dx, K, beta, dy, N, 1, w, K, 1, M, K, N, ct);
}

void capt_ref_linear_bwd_w(capt_backend *be, capt_real *dw, double beta_w, capt_real *db, double beta_b, const capt_real *dy, const capt_real *x, int64_t M, int N, int K, int ct)
{
    if (dw)
        capt_ref_gemm(be, dw, K, beta_w, dy, 1, N, x, K, 1, N, K, M, ct);
    if (db)
        capt_ref_sum(be, db, beta_b, dy, M, N);
}

/* Where the window of output pixel (oy,ox) finds its element (ky,kx,0) in an image, or -1: in the padding. */
static int64_t window(const capt_conv *c, int oy, int ox, int ky, int kx)
{
    int iy = oy * c->stride + ky - c->pad, ix = ox * c->stride + kx - c->pad;
    return iy >= 0 && iy < c->H && ix >= 0 && ix < c->W ? ((int64_t)iy * c->W + ix) * c->C : -1;
}

#define EACH_WINDOW(c, oy, ox, ky, kx)               \
    for (int oy = 0; oy < (c)->OH; oy++)             \
        for (int ox = 0; ox < (c)->OW; ox++)         \
            for (int ky = 0; ky < (c)->kh; ky++)     \
                for (int kx = 0; kx < (c)->kw; kx++)

/* col (OH*OW, kh*kw*C): one image's windows side by side */
static void im2col(capt_real *col, const capt_real *x, const capt_conv *c)
{
    EACH_WINDOW(c, oy, ox, ky, kx) {
        int64_t at = window(c, oy, ox, ky, kx);
        for (int j = 0; j < c->C; j++)
            *col++ = at < 0 ? 0 : x[at + j];
    }
}

/* its transpose: what lies in col is added to dx */
static void col2im(capt_real *dx, const capt_real *col, const capt_conv *c)
{
    EACH_WINDOW(c, oy, ox, ky, kx) {
        int64_t at = window(c, oy, ox, ky, kx);
        for (int j = 0; at >= 0 && j < c->C; j++)
            dx[at + j] += col[j];
        col += c->C;
    }
}

void capt_ref_conv_fwd(capt_backend *be, capt_real *y, const capt_real *x, const capt_real *w, const capt_weight *wp, const capt_real *bias, const capt_conv *c, int ct)
{
    int64_t P = (int64_t)c->OH * c->OW, K = (int64_t)c->kh * c->kw * c->C, in = (int64_t)c->H * c->W * c->C;
    capt_real *col = capt_ref_scratch(be, (size_t)(P * K), sizeof *col);
    for (int64_t b = 0; col && b < c->B; b++) {
        im2col(col, x + b * in, c);
        capt_ref_gemm(be, y + b * P * c->N, c->N, 0, col, K, 1, w, 1, K, P, c->N, K, ct);
        if (bias)
            capt_ref_add_rows(be, y + b * P * c->N, y + b * P * c->N, bias, P, 1, c->N);
    }
    free(col);
}

void capt_ref_conv_norm_fwd(capt_backend *be, capt_real *y, const capt_real *x, const capt_real *w, const capt_weight *wp, const capt_real *g, const capt_real *b, const capt_real *mean, const capt_real *var, double eps, const capt_real *add, int relu, const capt_conv *c, int ct)
{
    capt_ref_conv_fwd(be, y, x, w, wp, NULL, c, ct);
    for (int64_t i = 0; i < c->B * c->OH * c->OW * c->N; i++) {
        int64_t j = i % c->N;
        capt_real v = (y[i] - mean[j]) * (capt_real)(1 / sqrt((double)var[j] + eps)) * g[j] + b[j] + (add ? add[i] : 0);
        y[i] = relu && v <= 0 ? 0 : v;
    }
}

void capt_ref_conv_bwd_x(capt_backend *be, capt_real *dx, double beta, const capt_real *dy, const capt_real *w, const capt_weight *wp, const capt_conv *c, int ct)
{
    int64_t P = (int64_t)c->OH * c->OW, K = (int64_t)c->kh * c->kw * c->C, in = (int64_t)c->H * c->W * c->C;
    capt_real *col = capt_ref_scratch(be, (size_t)(P * K), sizeof *col);
    if (beta == 0)
        capt_ref_fill(be, dx, c->B * in, 0);
    for (int64_t b = 0; col && b < c->B; b++) {
        capt_ref_gemm(be, col, K, 0, dy + b * P * c->N, c->N, 1, w, K, 1, P, K, c->N, ct);
        col2im(dx + b * in, col, c);
    }
    free(col);
}

void capt_ref_conv_bwd_w(capt_backend *be, capt_real *dw, double beta_w, capt_real *db, double beta_b, const capt_real *dy, const capt_real *x, const capt_conv *c, int ct)
{
    int64_t P = (int64_t)c->OH * c->OW, K = (int64_t)c->kh * c->kw * c->C, in = (int64_t)c->H * c->W * c->C;
    capt_real *col = dw ? capt_ref_scratch(be, (size_t)(P * K), sizeof *col) : NULL;
    if (col && c->B == 0)
        capt_ref_gemm(be, dw, K, beta_w, dy, 1, c->N, col, K, 1, c->N, K, 0, ct);
    for (int64_t b = 0; col && b < c->B; b++) {
        im2col(col, x + b * in, c);
        capt_ref_gemm(be, dw, K, b ? 1 : beta_w, dy + b * P * c->N, 1, c->N, col, K, 1, c->N, K, P, ct);
    }
    free(col);
    if (db)
        capt_ref_sum(be, db, beta_b, dy, c->B * P, c->N);
}

void capt_ref_avgpool_fwd(capt_backend *be, capt_real *y, const capt_real *x, int64_t B, int H, int W, int C, int kh, int kw)
{
    int OH = H / kh, OW = W / kw;
    capt_real inv = 1 / (capt_real)(kh * kw);
    for (int64_t b = 0; b < B; b++)
        for (int oy = 0; oy < OH; oy++)
            for (int ox = 0; ox < OW; ox++) {
                capt_real *to = y + ((b * OH + oy) * OW + ox) * C;
                for (int j = 0; j < C; j++)
                    to[j] = 0;
                for (int ky = 0; ky < kh; ky++)
                    for (int kx = 0; kx < kw; kx++)
                        for (int j = 0; j < C; j++)
                            to[j] += x[((b * H + oy * kh + ky) * W + ox * kw + kx) * C + j];
                for (int j = 0; j < C; j++)
                    to[j] *= inv;
            }
}

void capt_ref_avgpool_bwd(capt_backend *be, capt_real *dx, double beta, const capt_real *dy, int64_t B, int H, int W, int C, int kh, int kw)
{
    int OH = H / kh, OW = W / kw;
    capt_real inv = 1 / (capt_real)(kh * kw), fb = (capt_real)beta;
    for (int64_t b = 0; b < B; b++)
        for (int iy = 0; iy < H; iy++)
            for (int ix = 0; ix < W; ix++) {
                int inside = iy / kh < OH && ix / kw < OW;
                const capt_real *from = inside ? dy + ((b * OH + iy / kh) * OW + ix / kw) * C : NULL;
                capt_real *to = dx + ((b * H + iy) * W + ix) * C;
                for (int j = 0; j < C; j++) {
                    capt_real d = inside ? from[j] * inv : 0;
                    to[j] = beta == 0 ? d : fb * to[j] + d;
                }
            }
}
