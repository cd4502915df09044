/* Convolution, channels last: 2*M*KK*N operations, M = B*OH*OW, KK = kh*kw*C, and the multiply-add pipe is the bound but for the smallest filters. 1x1 with stride 1 is the
 * linear layer itself. Elsewhere the register tile of the matrix product reads the image as it lies: with a border of zeros around it, the windows of neighbouring pixels are rows
 * of a left operand that lie stride*C numbers apart (they overlap), and the taps of a window's row are one stretch of it. What is copied is the image, once, into the worker's
 * scratch (conv_direct.c); not KK numbers a pixel, which would cost as much as the product when there are few filters.
 *
 * Forward: windows of the image, one product a row of the window. Backward data: windows of dy with the taps in reverse order, one product a tap. Backward weights: dw of a tap
 * is dy^T times the image moved by the tap; packed by pixels, the moved image is the same panels from another place on.
 *
 * Windows that do not overlap (a vision transformer's patches), shapes where a tile of pixels would be short, and the gradient of strided images go through patches
 * (M, KK), made a block of rows at a time (implicit im2col). */
#include "backend/cpu/conv_priv.h"

#ifndef CAPT_REAL64
#include <math.h>
#include <string.h>

enum { BLOCK = 56 };
struct patched {
    capt_backend *be;
    const struct cpu_isa *isa;
    const capt_conv *c;
    int fmt, KK;              /* fmt: of the patches and the image */
    int64_t rows, block, lda; /* of the patches */
    const char *x;
    struct cpu_gemm g;
    float *dx;
    float beta;
};

static int is_linear(const capt_conv *c)
{
    return c->kh == 1 && c->kw == 1 && c->stride == 1 && c->pad == 0;
}

/* patch rows r0..r1 */
static void patches(void *arg, void *dst, int64_t ld, int64_t r0, int64_t r1)
{
    const struct patched *s = arg;
    const capt_conv *c = s->c;
    size_t esz = (size_t)fmt_size(s->fmt), pixel = (size_t)c->C * esz;
    int ox = (int)(r0 % c->OW), oy = (int)(r0 / c->OW % c->OH);
    int64_t b = r0 / c->OW / c->OH;
    for (int64_t r = r0; r < r1; r++) {
        char *d = (char *)dst + (size_t)((r - r0) * ld) * esz;
        int x0 = ox * c->stride - c->pad, left = x0 < 0 ? -x0 : 0, right = MIN(c->kw, c->W - x0);
        right = MAX(right, left);
        for (int ky = 0; ky < c->kh; ky++, d += (size_t)c->kw * pixel) {
            int iy = oy * c->stride - c->pad + ky;
            if (iy < 0 || iy >= c->H || left >= c->kw) {
                memset(d, 0, (size_t)c->kw * pixel);
                continue;
            }
            memset(d, 0, (size_t)left * pixel);
            memcpy(d + (size_t)left * pixel, s->x + (size_t)((b * c->H + iy) * c->W + x0 + left) * pixel, (size_t)(right - left) * pixel);
            memset(d + (size_t)right * pixel, 0, (size_t)(c->kw - right) * pixel);
        }
        if (++ox == c->OW) {
            ox = 0;
            if (++oy == c->OH) {
                oy = 0;
                b++;
            }
        }
    }
}

static void fwd_task(void *arg, int64_t task, int worker)
{
    const struct patched *s = arg;
    int64_t r0 = task * s->block, r1 = MIN(s->rows, r0 + s->block);
    size_t esz = (size_t)fmt_size(s->fmt);
    char *a = capt_cpu_work(s->be, worker, (size_t)(s->block * s->lda) * esz);
    if (!a)
        return;
    patches(arg, a, s->lda, r0, r1);
    for (int64_t r = 0; s->g.K > s->KK && r < r1 - r0; r++)
        ((uint16_t *)(void *)a)[r * s->lda + s->KK] = 0;
    struct cpu_gemm g = s->g;
    g.a = a;
    g.y += r0 * g.ldy;
    g.plus = g.plus ? g.plus + r0 * g.ldy : NULL;
    g.M = r1 - r0;
    capt_cpu_gemm_part(&g, 0, g.M, 0, (g.N + PANEL - 1) / PANEL);
}

static struct patched patched_of(capt_backend *be, const capt_conv *c, int fmt)
{
    struct patched s = {.be = be, .isa = isa_of(be), .c = c, .fmt = fmt, .KK = c->kh * c->kw * c->C, .rows = c->B * c->OH * c->OW};
    int mr = tile_rows(cpu_of(be), fmt);
    s.block = MAX(mr, BLOCK / mr * mr);
    s.lda = capt_cpu_ld(cpu_of(be), s.fmt, s.KK);
    return s;
}

/* g has what is done to finished rows */
static void forward(capt_backend *be, struct cpu_gemm g, const float *x, const float *w, const capt_weight *wp, const capt_conv *c)
{
    int KK = c->kh * c->kw * c->C, left = left_of(g.fmt);
    int64_t rows = c->B * c->OH * c->OW;
    g.c = cpu_of(be);
    g.N = c->N;
    g.K = (int)pad_k(KK, left);
    g.ldy = c->N;
    g.b = capt_cpu_panels_fwd(be, w, wp, c->N, KK, g.fmt);
    if (!g.b)
        return;
    if (is_linear(c)) {
        g.M = rows;
        g.a = capt_cpu_left(be, BUF_A, left, x, rows, KK, &g.lda);
        if (g.a)
            capt_cpu_gemm(be, &g);
        return;
    }
    if (capt_cpu_sweeps(be, c, left)) {
        capt_cpu_conv_sweep(be, &g, x, c, 0);
        return;
    }
    struct patched s = patched_of(be, c, left);
    g.lda = s.lda;
    s.g = g;
    s.x = capt_cpu_flat(be, BUF_A, s.fmt, x, c->B * c->H * c->W * c->C);
    if (s.x)
        capt_cpu_run(be, (rows + s.block - 1) / s.block, (double)rows * KK * c->N > 1e6, fwd_task, &s);
}

void capt_cpu_conv_fwd(capt_backend *be, capt_real *y, const capt_real *x, const capt_real *w, const capt_weight *wp, const capt_real *bias, const capt_conv *c, int ct)
{
    forward(be, (struct cpu_gemm){.fmt = fmt_of(be, ct), .y = y, .bias = bias}, x, w, wp, c);
}

void capt_cpu_conv_norm_fwd(capt_backend *be, capt_real *y, const capt_real *x, const capt_real *w, const capt_weight *wp, const capt_real *g, const capt_real *b, const capt_real *mean, const capt_real *var, double eps, const capt_real *add, int relu, const capt_conv *c, int ct)
{
    float *rstd = capt_cpu_buf(be, BUF_C, (size_t)c->N * sizeof *rstd);
    struct cpu_norm n = {mean, rstd, g, b};
    for (int j = 0; rstd && j < c->N; j++)
        rstd[j] = (float)(1 / sqrt((double)var[j] + eps));
    if (rstd)
        forward(be, (struct cpu_gemm){.fmt = fmt_of(be, ct), .y = y, .norm = &n, .plus = add, .relu = relu}, x, w, wp, c);
}

/* dy w spread back over an image */
static void bwd_task(void *arg, int64_t b, int worker)
{
    const struct patched *s = arg;
    const capt_conv *c = s->c;
    float *col = capt_cpu_work(s->be, worker, (size_t)(s->block * s->KK) * sizeof *col), *dx = s->dx + b * c->H * c->W * c->C;
    if (!col)
        return;
    if (s->beta == 0)
        memset(dx, 0, (size_t)c->H * (size_t)c->W * (size_t)c->C * sizeof *dx);
    int64_t n = (int64_t)c->OH * c->OW;
    for (int64_t r0 = 0; r0 < n; r0 += s->block) {
        struct cpu_gemm g = s->g;
        g.M = MIN(s->block, n - r0);
        g.a = (const char *)g.a + (b * n + r0) * g.lda * fmt_size(s->fmt);
        g.y = col;
        g.ldy = s->KK;
        capt_cpu_gemm_part(&g, 0, g.M, 0, (g.N + PANEL - 1) / PANEL);
        for (int64_t r = 0; r < g.M; r++) {
            int oy = (int)((r0 + r) / c->OW), x0 = (int)((r0 + r) % c->OW) * c->stride - c->pad;
            int left = MAX(0, -x0), right = MIN(c->kw, c->W - x0);
            for (int ky = 0; ky < c->kh; ky++) {
                int iy = oy * c->stride - c->pad + ky;
                float *to = dx + ((int64_t)iy * c->W + x0 + left) * c->C;
                if (iy >= 0 && iy < c->H && right > left)
                    s->isa->add(to, to, col + r * s->KK + ((int64_t)ky * c->kw + left) * c->C, (int64_t)(right - left) * c->C);
            }
        }
    }
}

void capt_cpu_conv_bwd_x(capt_backend *be, capt_real *dx, double beta, const capt_real *dy, const capt_real *w, const capt_weight *wp, const capt_conv *c, int ct)
{
    int fmt = fmt_of(be, ct);
    struct patched s = patched_of(be, c, left_of(fmt));
    if (is_linear(c)) {
        capt_cpu_linear_bwd_x(be, dx, beta, dy, w, wp, s.rows, c->N, c->C, ct);
        return;
    }
    s.dx = dx;
    s.beta = (float)beta;
    s.g = (struct cpu_gemm){.c = cpu_of(be), .fmt = fmt, .N = s.KK, .K = (int)pad_k(c->N, s.fmt)};
    s.g.b = capt_cpu_panels_bwd(be, w, wp, c->N, s.KK, fmt);
    if (!s.g.b)
        return;
    capt_conv back = {.B = c->B, .H = c->OH, .W = c->OW, .C = c->N, .N = c->C, .kh = c->kh, .kw = c->kw, .stride = 1, .pad = c->kh - 1 - c->pad, .OH = c->H, .OW = c->W};
    if (c->stride == 1 && c->kh == c->kw && c->C % PANEL == 0 && capt_cpu_sweeps(be, &back, s.fmt)) {
        struct cpu_gemm g = s.g;
        g.N = c->C;
        g.y = dx;
        g.ldy = c->C;
        g.add = beta != 0;
        capt_cpu_conv_sweep(be, &g, dy, &back, 1);
        return;
    }
    s.g.a = capt_cpu_left(be, BUF_A, s.fmt, dy, s.rows, c->N, &s.g.lda);
    if (s.g.a)
        capt_cpu_run(be, c->B, (double)s.rows * s.KK * c->N > 1e6, bwd_task, &s);
}

void capt_cpu_conv_bwd_w(capt_backend *be, capt_real *dw, double beta_w, capt_real *db, double beta_b, const capt_real *dy, const capt_real *x, const capt_conv *c, int ct)
{
    struct patched s = patched_of(be, c, fmt_of(be, ct));
    struct cpu_gemm_tn t = {.fmt = s.fmt, .N = c->N, .K = s.KK, .M = s.rows, .dyf = dy, .lddy = c->N, .rows = patches, .arg = &s,
                            .dw = dw, .add_w = beta_w != 0, .db = db, .add_b = beta_b != 0};
    if (dw && c->B && capt_cpu_shifts(c)) {
        capt_cpu_conv_shift(be, dw, beta_w != 0, dy, x, c, s.fmt);
        t.dw = dw = NULL;
    }
    s.x = dw ? capt_cpu_flat(be, BUF_A, s.fmt, x, c->B * c->H * c->W * c->C) : NULL;
    if (s.x || !dw)
        capt_cpu_gemm_tn(be, &t);
}
#endif
