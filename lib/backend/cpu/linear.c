/* Linear layers and packed weights. gemm.c has the arithmetic; here are the packings and who calls what. */
#include "backend/cpu/cpu_priv.h"

#ifndef CAPT_REAL64
#include <stdlib.h>
#include "base/mem.h"

/* w: rows n0 on of the matrix */
static void pack_back(const struct cpu_isa *isa, int fmt, void *bwd, const float *w, int N, int K, int n0, int far)
{
    enum { KB = 256 };
    _Alignas(64) char t[PANEL * KB * 4];
    int esz = fmt_size(fmt), rows = MIN(PANEL, N - n0);
    int64_t stride = pad_k(N, fmt) * PANEL;
    for (int k = 0; k < K; k += KB) {
        int cols = MIN(KB, K - k);
        for (int i = 0; i < rows; i++)
            isa->convert(fmt, t + i * KB * esz, w + (int64_t)i * K + k, cols);
        isa->pack_rows(fmt, (char *)bwd + (k / PANEL * stride + (int64_t)n0 * PANEL) * esz, stride, t, KB, rows, cols, far);
    }
}

static void pack_front(const struct cpu_isa *isa, int fmt, void *fwd, const float *w, int N, int K, int n0, int far)
{
    isa->pack_cols(fmt, (char *)fwd + n0 * pad_k(K, fmt) * fmt_size(fmt), w, K, MIN(PANEL, N - n0), K, far);
}

struct pack {
    capt_backend *be;
    int fmt, N, K;
    struct cpu_panels to; /* either may be NULL */
    const float *w;
    const capt_weight_rows *rows; /* or NULL: of w */
};

static void pack_task(void *arg, int64_t task, int worker)
{
    const struct pack *p = arg;
    int n0 = (int)task * PANEL;
    const float *w = p->w + (p->rows ? 0 : (int64_t)n0 * p->K);
    if (p->rows) {
        float *x = capt_cpu_work(p->be, worker, (size_t)PANEL * (size_t)p->K * sizeof *x);
        if (!x)
            return;
        p->rows->read(p->rows->arg, x, n0, MIN(n0 + PANEL, p->N));
        w = x;
    }
    if (p->to.fwd)
        pack_front(isa_of(p->be), p->fmt, p->to.fwd, w, p->N, p->K, n0, 0);
    if (p->to.bwd)
        pack_back(isa_of(p->be), p->fmt, p->to.bwd, w, p->N, p->K, n0, 0);
}

static void pack(capt_backend *be, int fmt, struct cpu_panels to, const float *w, const capt_weight *wp, int N, int K)
{
    struct pack p = {be, fmt, N, K, to, w, wp && wp->rows.read ? &wp->rows : NULL};
    capt_cpu_run(be, (N + PANEL - 1) / PANEL, (int64_t)N * K > SMALL, pack_task, &p);
}

static int fits(const capt_weight *wp, int N, int K, int fmt)
{
    return wp && wp->N == N && wp->K == K && wp->fmt == fmt;
}

const void *capt_cpu_panels_fwd(capt_backend *be, const float *w, const capt_weight *wp, int N, int K, int fmt)
{
    int kept = fits(wp, N, K, fmt);
    if (kept && wp->panels->fwd)
        return wp->panels->fwd;
    void *p = kept ? be->alloc(be, panel_bytes(N, K, fmt)) : capt_cpu_buf(be, BUF_B, panel_bytes(N, K, fmt));
    if (p)
        pack(be, fmt, (struct cpu_panels){p, NULL}, w, wp, N, K);
    if (kept)
        wp->panels->fwd = p;
    return p;
}

const void *capt_cpu_panels_bwd(capt_backend *be, const float *w, const capt_weight *wp, int N, int K, int fmt)
{
    int kept = fits(wp, N, K, fmt);
    if (kept && wp->panels->bwd)
        return wp->panels->bwd;
    void *p = kept ? be->alloc(be, panel_bytes(K, N, fmt)) : capt_cpu_buf(be, BUF_B, panel_bytes(K, N, fmt));
    if (p)
        pack(be, fmt, (struct cpu_panels){NULL, p}, w, wp, N, K);
    if (kept)
        wp->panels->bwd = p;
    return p;
}

void capt_cpu_weight_new(capt_backend *be, capt_weight **out, const capt_weight_rows *rows, int N, int K, int ct)
{
    capt_weight *wp = capt_alloc(sizeof *wp);
    wp->N = N;
    wp->K = K;
    wp->ct = ct;
    wp->fmt = fmt_of(be, ct);
    if (rows)
        wp->rows = *rows;
    wp->panels = capt_alloc(sizeof *wp->panels);
    *out = wp;
}

void capt_cpu_weight_update(capt_backend *be, capt_weight *wp, const capt_real *w)
{
    if (wp && (wp->panels->fwd || wp->panels->bwd))
        pack(be, wp->fmt, *wp->panels, w, wp, wp->N, wp->K);
}

void capt_cpu_weight_free(capt_backend *be, capt_weight *wp)
{
    if (!wp)
        return;
    be->free(be, wp->panels->bwd);
    be->free(be, wp->panels->fwd);
    free(wp->panels);
    free(wp);
}

void capt_cpu_linear_fwd(capt_backend *be, capt_real *y, capt_real *pre, const capt_real *x, const capt_real *w, const capt_weight *wp, const capt_real *bias, int64_t M, int N, int K, int act, int ct)
{
    struct cpu_gemm g = {.c = cpu_of(be), .fmt = fmt_of(be, ct), .N = N, .M = M, .y = y, .ldy = N, .bias = bias, .act = act, .pre = pre};
    int left = left_of(g.fmt);
    g.K = (int)pad_k(K, left);
    g.b = capt_cpu_panels_fwd(be, w, wp, N, K, g.fmt);
    g.a = capt_cpu_left(be, BUF_A, left, x, M, K, &g.lda);
    if (g.a && g.b)
        capt_cpu_gemm(be, &g);
}

void capt_cpu_linear_bwd_x(capt_backend *be, capt_real *dx, double beta, const capt_real *dy, const capt_real *w, const capt_weight *wp, int64_t M, int N, int K, int ct)
{
    struct cpu_gemm g = {.c = cpu_of(be), .fmt = fmt_of(be, ct), .N = K, .M = M, .y = dx, .ldy = K, .add = beta != 0};
    int left = left_of(g.fmt);
    g.K = (int)pad_k(N, left);
    g.b = capt_cpu_panels_bwd(be, w, wp, N, K, g.fmt);
    g.a = capt_cpu_left(be, BUF_A, left, dy, M, N, &g.lda);
    if (g.a && g.b)
        capt_cpu_gemm(be, &g);
}

struct rows {
    const struct cpu_isa *isa;
    int fmt, K;
    const float *x;
};

static void convert_rows(void *arg, void *dst, int64_t ld, int64_t r0, int64_t r1)
{
    const struct rows *s = arg;
    for (int64_t r = r0; r < r1; r++)
        s->isa->convert(s->fmt, (char *)dst + (r - r0) * ld * fmt_size(s->fmt), s->x + r * s->K, s->K);
}

void capt_cpu_linear_tn(capt_backend *be, struct cpu_gemm_tn *t, const float *x)
{
    struct rows s = {isa_of(be), t->fmt, t->K, x};
    t->rows = convert_rows;
    t->arg = &s; // cppcheck-suppress autoVariables ; used by the next call only
    capt_cpu_gemm_tn(be, t);
}

void capt_cpu_linear_bwd_w(capt_backend *be, capt_real *dw, double beta_w, capt_real *db, double beta_b, const capt_real *dy, const capt_real *x, int64_t M, int N, int K, int ct)
{
    struct cpu_gemm_tn t = {.fmt = fmt_of(be, ct), .N = N, .K = K, .M = M, .dyf = dy, .lddy = N, .dw = dw, .add_w = beta_w != 0, .db = db, .add_b = beta_b != 0};
    capt_cpu_linear_tn(be, &t, x);
}

struct opt {
    const struct cpu_isa *isa;
    float *w;
    const float *g;
    float *m, *v;
    int64_t n, step;
    const capt_adamw *hp;
    const capt_weight *wp;
};

static void opt_task(void *arg, int64_t task, int worker)
{
    const struct opt *o = arg;
    (void)worker;
    int64_t i = task * o->step;
    o->isa->adamw(o->w + i, o->g + i, o->m + i, o->v + i, MIN(o->step, o->n - i), o->hp);
    const capt_weight *wp = o->wp;
    if (wp && wp->panels->fwd) /* the strip of 32 rows is still in cache; its panels are read with all others in between */
        pack_front(o->isa, wp->fmt, wp->panels->fwd, o->w + i, wp->N, wp->K, (int)task * PANEL, 1);
    if (wp && wp->panels->bwd)
        pack_back(o->isa, wp->fmt, wp->panels->bwd, o->w + i, wp->N, wp->K, (int)task * PANEL, 1);
}

void capt_cpu_adamw(capt_backend *be, capt_real *w, const capt_real *g, capt_real *m, capt_real *v, int64_t n, const capt_adamw *hp, capt_weight *wp)
{
    int whole = wp && (int64_t)wp->N * wp->K == n;
    struct opt o = {isa_of(be), w, g, m, v, n, whole ? (int64_t)PANEL * MAX(wp->K, 1) : CHUNK, hp, whole ? wp : NULL};
    capt_cpu_run(be, (n + o.step - 1) / o.step, n > SMALL, opt_task, &o);
}
#endif
