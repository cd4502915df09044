/* Convolution, channels last, as a matrix product whose left operand, the patches (B*OH*OW, kh*kw*C), is made a block of rows at a time in the worker's
 * scratch (implicit im2col): 2*M*N*KK operations against copying M*KK elements, 1/N of the time or less. 1x1 with stride 1 is the
 * linear layer itself. Backward data spreads dy w back over the image, one task an image; backward weights is dy^T patches (gemm.c). */
#include "backend/cpu/cpu_priv.h"

#ifndef CAPT_REAL64
#include <string.h>

enum { BLOCK = 56 };
struct conv {
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
    const struct conv *s = arg;
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
    const struct conv *s = arg;
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
    g.M = r1 - r0;
    capt_cpu_gemm_part(&g, 0, g.M, 0, (g.N + PANEL - 1) / PANEL);
}

static struct conv conv_of(capt_backend *be, const capt_conv *c, int fmt)
{
    struct conv s = {.be = be, .isa = isa_of(be), .c = c, .fmt = fmt, .KK = c->kh * c->kw * c->C, .rows = c->B * c->OH * c->OW};
    int mr = cpu_of(be)->mr, line = 64 / fmt_size(s.fmt);
    s.block = MAX(mr, BLOCK / mr * mr);
    s.lda = ROUND_UP(s.KK, line) + (ROUND_UP(s.KK, line) % (2048 / fmt_size(s.fmt)) == 0 ? line : 0);
    return s;
}

void capt_cpu_conv_fwd(capt_backend *be, capt_real *y, const capt_real *x, const capt_real *w, const capt_weight *wp, const capt_real *bias, const capt_conv *c, int ct)
{
    int fmt = fmt_of(be, ct);
    struct conv s = conv_of(be, c, left_of(fmt));
    if (is_linear(c)) {
        capt_cpu_linear_fwd(be, y, NULL, x, w, wp, bias, s.rows, c->N, c->C, CAPT_MAP_none, ct);
        return;
    }
    s.g = (struct cpu_gemm){.c = cpu_of(be), .fmt = fmt, .N = c->N, .K = (int)pad_k(s.KK, s.fmt), .lda = s.lda, .y = y, .ldy = c->N, .bias = bias};
    s.g.b = capt_cpu_panels_fwd(be, w, wp, c->N, s.KK, fmt);
    s.x = capt_cpu_flat(be, BUF_A, s.fmt, x, c->B * c->H * c->W * c->C);
    if (s.x && s.g.b)
        capt_cpu_run(be, (s.rows + s.block - 1) / s.block, (double)s.rows * s.KK * c->N > 1e6, fwd_task, &s);
}

static void bwd_task(void *arg, int64_t b, int worker)
{
    const struct conv *s = arg;
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
    struct conv s = conv_of(be, c, left_of(fmt));
    if (is_linear(c)) {
        capt_cpu_linear_bwd_x(be, dx, beta, dy, w, wp, s.rows, c->N, c->C, ct);
        return;
    }
    s.dx = dx;
    s.beta = (float)beta;
    s.g = (struct cpu_gemm){.c = cpu_of(be), .fmt = fmt, .N = s.KK, .K = (int)pad_k(c->N, s.fmt)};
    s.g.b = capt_cpu_panels_bwd(be, w, wp, c->N, s.KK, fmt);
    s.g.a = capt_cpu_left(be, BUF_A, s.fmt, dy, s.rows, c->N, &s.g.lda);
    if (s.g.a && s.g.b)
        capt_cpu_run(be, c->B, (double)s.rows * s.KK * c->N > 1e6, bwd_task, &s);
}

void capt_cpu_conv_bwd_w(capt_backend *be, capt_real *dw, double beta_w, capt_real *db, double beta_b, const capt_real *dy, const capt_real *x, const capt_conv *c, int ct)
{
    struct conv s = conv_of(be, c, fmt_of(be, ct));
    struct cpu_gemm_tn t = {.fmt = s.fmt, .N = c->N, .K = s.KK, .M = s.rows, .dyf = dy, .lddy = c->N, .rows = patches, .arg = &s,
                            .dw = dw, .add_w = beta_w != 0, .db = db, .add_b = beta_b != 0};
    s.x = dw ? capt_cpu_flat(be, BUF_A, s.fmt, x, c->B * c->H * c->W * c->C) : NULL;
    if (s.x || !dw)
        capt_cpu_gemm_tn(be, &t);
}
#endif
