/* The cpu backend: every kernel on every instruction set this processor has, against ref, and bit for bit against itself on other numbers of threads.
 * Sizes straddle the tile (14 rows, 32 columns), the K block and the chunks. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "backend/backend.h"
#include "base/rng.h"

#ifndef CAPT_REAL64
enum { N_OUT = 6 };
#define MIN(a, b) ((a) < (b) ? (a) : (b))
struct out { float *v; int64_t n; double tol; };
struct bench { capt_backend *be; struct out out[N_OUT]; int n_out; void *mem[64]; int n_mem; };

static void *keep(struct bench *t, size_t n)
{
    void *p = t->be->alloc(t->be, n ? n : 1);
    assert_non_null(p);
    t->mem[t->n_mem++] = p;
    return p;
}

static float *random_f(struct bench *t, int64_t n, uint64_t key, double scale)
{
    float *p = keep(t, (size_t)n * sizeof *p);
    for (int64_t i = 0; i < n; i++)
        p[i] = (float)(scale * (2 * capt_rng_u01(key, (uint64_t)i) - 1));
    return p;
}

/* an output, filled beforehand (beta 0: with NaN, which must not be read) */
static float *out(struct bench *t, int64_t n, double beta, double tol)
{
    float *p = random_f(t, n, 999, 1);
    for (int64_t i = 0; beta == 0 && i < n; i++)
        p[i] = NAN;
    t->out[t->n_out++] = (struct out){p, n, tol};
    return p;
}

/* one case: a kind and five sizes */
struct cas { const char *name; void (*run)(struct bench *t, const struct cas *c); int a, b, c, d, e, ct; double beta; };

/* a sum's rounding; both sides round operands to bf16 alike (denormal ones may be flushed) */
static double tol(const struct cas *c) { return c->ct == CAPT_BF16 ? 5e-7 : 3e-7; }

static void linear(struct bench *t, const struct cas *c)
{
    int M = c->a, N = c->b, K = c->c;
    capt_backend *be = t->be;
    float *x = random_f(t, (int64_t)M * K, 1, 1), *w = random_f(t, (int64_t)N * K, 2, 1), *b = random_f(t, N, 3, 1), *dy = random_f(t, (int64_t)M * N, 4, 1);
    capt_weight *wp = NULL;
    if (c->e)
        be->weight_new(be, &wp, NULL, N, K, c->ct);
    float *y = out(t, (int64_t)M * N, 0, tol(c) * K);
    be->linear_fwd(be, y, c->d ? out(t, (int64_t)M * N, 0, tol(c) * K) : NULL, x, w, wp, b, M, N, K, c->d, c->ct);
    if (c->d == 0) {
        be->linear_bwd_x(be, out(t, (int64_t)M * K, c->beta, tol(c) * N), c->beta, dy, w, wp, M, N, K, c->ct);
        float *dw = out(t, (int64_t)N * K, c->beta, tol(c) * M);
        be->linear_bwd_w(be, dw, c->beta, out(t, N, c->beta, 1e-5 * M), c->beta, dy, x, M, N, K, c->ct);
    }
    be->weight_free(be, wp);
}

static void adamw(struct bench *t, const struct cas *c)
{
    int N = c->b, K = c->c, M = c->a;
    capt_backend *be = t->be;
    float *w = random_f(t, (int64_t)N * K, 2, 1), *g = random_f(t, (int64_t)N * K, 3, 1), *x = random_f(t, (int64_t)M * K, 4, 1), *dy = random_f(t, (int64_t)M * N, 5, 1);
    float *m = random_f(t, (int64_t)N * K, 6, 1), *v = random_f(t, (int64_t)N * K, 7, 1);
    for (int64_t i = 0; i < (int64_t)N * K; i++)
        v[i] = fabsf(v[i]);
    capt_weight *wp = NULL;
    be->weight_new(be, &wp, NULL, N, K, c->ct);
    be->linear_bwd_x(be, random_f(t, (int64_t)M * K, 8, 1), 0, dy, w, wp, M, N, K, c->ct); /* the backward packing exists now */
    capt_adamw hp = {.lr = 0.1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .decay = 0.01, .c1 = 0.1, .c2 = 0.01, .gscale = 0.5};
    be->adamw(be, w, g, m, v, (int64_t)N * K, &hp, wp);
    be->linear_fwd(be, out(t, (int64_t)M * N, 0, tol(c) * K), NULL, x, w, wp, NULL, M, N, K, 0, c->ct);
    be->linear_bwd_x(be, out(t, (int64_t)M * K, 0, tol(c) * N), 0, dy, w, wp, M, N, K, c->ct);
    t->out[t->n_out++] = (struct out){w, (int64_t)N * K, 1e-6};
    t->out[t->n_out++] = (struct out){v, (int64_t)N * K, 1e-6};
    be->weight_free(be, wp);
}

static void conv(struct bench *t, const struct cas *c)
{
    capt_conv k = {.B = 3, .H = c->a, .W = c->a + 1, .C = c->b, .N = c->c, .kh = c->d, .kw = c->d, .stride = c->e, .pad = c->d / 2};
    k.OH = (k.H + 2 * k.pad - k.kh) / k.stride + 1;
    k.OW = (k.W + 2 * k.pad - k.kw) / k.stride + 1;
    int KK = k.kh * k.kw * k.C;
    int64_t nx = k.B * k.H * k.W * k.C, ny = k.B * k.OH * k.OW * k.N;
    float *x = random_f(t, nx, 1, 1), *w = random_f(t, (int64_t)k.N * KK, 2, 1), *b = random_f(t, k.N, 3, 1), *dy = random_f(t, ny, 4, 1);
    capt_backend *be = t->be;
    capt_weight *wp = NULL;
    be->weight_new(be, &wp, NULL, k.N, KK, c->ct);
    be->conv_fwd(be, out(t, ny, 0, tol(c) * KK), x, w, wp, b, &k, c->ct);
    be->conv_bwd_x(be, out(t, nx, c->beta, tol(c) * k.N * 9), c->beta, dy, w, wp, &k, c->ct);
    float *dw = out(t, (int64_t)k.N * KK, c->beta, tol(c) * (double)(k.B * k.OH * k.OW));
    be->conv_bwd_w(be, dw, c->beta, out(t, k.N, c->beta, 1e-5 * (double)ny), c->beta, dy, x, &k, c->ct);
    /* one kernel, or one after the other: the same bits */
    float *g = random_f(t, k.N, 5, 1), *mean = random_f(t, k.N, 6, 1), *var = random_f(t, k.N, 7, 1), *parts = keep(t, (size_t)ny * 4), *whole = keep(t, (size_t)ny * 4);
    float *m = keep(t, (size_t)k.N * 4), *rstd = keep(t, (size_t)k.N * 4);
    for (int i = 0; i < k.N; i++)
        var[i] = fabsf(var[i]);
    be->conv_norm_fwd(be, whole, x, w, wp, g, b, mean, var, 1e-5, dy, 1, &k, c->ct);
    be->conv_fwd(be, parts, x, w, wp, NULL, &k, c->ct);
    be->batchnorm_fwd(be, parts, m, rstd, parts, g, b, mean, var, ny / k.N, k.N, 1e-5, 0, 0, 0);
    be->add(be, parts, parts, dy, ny);
    be->map_fwd(be, CAPT_MAP_relu, parts, parts, ny);
    assert_memory_equal(whole, parts, (size_t)ny * 4);
    be->weight_free(be, wp);
}

/* borders as wide as the filter, or wider */
static void wide_border(struct bench *t, const struct cas *c)
{
    capt_conv k = {.B = 2, .H = 5, .W = 30, .C = 32, .N = 9, .kh = c->a, .kw = c->a, .stride = 1, .pad = c->b};
    k.OH = k.H + 2 * k.pad - k.kh + 1;
    k.OW = k.W + 2 * k.pad - k.kw + 1;
    int KK = k.kh * k.kw * k.C;
    int64_t nx = k.B * k.H * k.W * k.C, ny = k.B * k.OH * k.OW * k.N;
    float *x = random_f(t, nx, 1, 1), *w = random_f(t, (int64_t)k.N * KK, 2, 1), *dy = random_f(t, ny, 4, 1);
    t->be->conv_fwd(t->be, out(t, ny, 0, tol(c) * KK), x, w, NULL, NULL, &k, c->ct);
    t->be->conv_bwd_x(t->be, out(t, nx, 0, tol(c) * k.N * 9), 0, dy, w, NULL, &k, c->ct);
    t->be->conv_bwd_w(t->be, out(t, (int64_t)k.N * KK, 0, tol(c) * (double)(k.B * k.OH * k.OW)), 0, out(t, k.N, 0, 1e-5 * (double)ny), 0, dy, x, &k, c->ct);
}

static void attn(struct bench *t, const struct cas *c)
{
    int Tq = c->a, Tk = c->b, H = 3, dh = c->c, row = 3 * H * dh + 1;
    int32_t *len = keep(t, 4 * sizeof *len);
    len[0] = Tk, len[1] = Tk / 2, len[2] = 0, len[3] = 1;
    capt_attn a = {.B = 4, .Tq = Tq, .Tk = Tk, .H = H, .dh = dh, .q_row = row, .k_row = row, .v_row = row, .causal = c->d, .k_len = c->e & 1 ? len : NULL,
                   .scale = 1 / sqrt(dh), .drop = c->e & 2 ? 0.3 : 0, .key = 77, .b0 = 5};
    float *q = random_f(t, 4 * (int64_t)Tq * row, 1, 2), *k = random_f(t, 4 * (int64_t)Tk * row, 2, 2), *v = random_f(t, 4 * (int64_t)Tk * row, 3, 2);
    float *dout = random_f(t, 4 * (int64_t)Tq * H * dh, 4, 1), *lse = keep(t, 4 * (size_t)H * (size_t)Tq * sizeof *lse);
    capt_backend *be = t->be;
    float *o = out(t, 4 * (int64_t)Tq * H * dh, 0, 1e-5);
    be->attn_fwd(be, o, lse, q, k, v, &a);
    double at = c->beta;
    float *dq = out(t, 4 * (int64_t)Tq * row, 1, 2e-5 * Tk), *dk = out(t, 4 * (int64_t)Tk * row, 1, 2e-5 * Tq), *dv = out(t, 4 * (int64_t)Tk * row, 1, 2e-5 * Tq);
    be->attn_bwd(be, dq, at, dk, at, dv, at, dout, o, lse, q, k, v, &a);
}

static void step(struct bench *t, const struct cas *c)
{
    int R = c->a, S = c->b, T = c->c, H = 2, dh = c->d, row = H * dh, slots = R + 1;
    int32_t *image = keep(t, (size_t)R * 4), *len = keep(t, 8), *anc = keep(t, (size_t)(T * slots) * 4 + 4);
    for (int r = 0; r < R; r++)
        image[r] = r & 1;
    len[0] = S, len[1] = S / 2;
    for (int i = 0; i < T * slots; i++)
        anc[i] = (i * 7) % slots;
    capt_attn_step a = {.R = R, .H = H, .dh = dh, .q_row = row, .scale = 0.3, .sk = S ? random_f(t, 2 * (int64_t)S * row, 1, 1) : NULL, .sv = S ? random_f(t, 2 * (int64_t)S * row, 2, 1) : NULL,
                        .s_row = row, .S = S, .s_len = len, .row_image = image, .ok = random_f(t, (int64_t)T * slots * row, 3, 1), .ov = random_f(t, (int64_t)T * slots * row, 4, 1),
                        .o_row = row, .T = T, .slots = slots, .anc = anc};
    t->be->attn_step(t->be, out(t, (int64_t)R * row, 0, 1e-5), random_f(t, (int64_t)R * row, 5, 1), &a);
}

static void head(struct bench *t, const struct cas *c)
{
    int M = c->a, V = c->b, D = c->c;
    capt_backend *be = t->be;
    float *h = random_f(t, (int64_t)M * D, 1, 1), *w = random_f(t, (int64_t)V * D, 2, 1), *b = random_f(t, V, 3, 1), *wt = random_f(t, M, 4, 1);
    int32_t *target = keep(t, (size_t)M * 4);
    for (int i = 0; i < M; i++)
        target[i] = (i * 31) % V;
    capt_weight *wp = NULL;
    if (c->e)
        be->weight_new(be, &wp, NULL, V, D, c->ct);
    void *save = keep(t, (size_t)M * (size_t)V * 4);
    float *stat = keep(t, (size_t)M * 8);
    double smooth = c->d * 0.1;
    be->head_xent_fwd(be, out(t, M, 0, tol(c) * D), save, stat, h, w, wp, b, target, wt, smooth, M, V, D, c->ct);
    /* a gradient may round to the other bf16 neighbour; db sums it as rounded */
    double near = c->ct == CAPT_BF16 ? 4e-3 : 1e-5;
    float *dh = out(t, (int64_t)M * D, c->beta, near), *dw = out(t, (int64_t)V * D, c->beta, near);
    be->head_xent_bwd(be, dh, c->beta, dw, c->beta, out(t, V, c->beta, near), c->beta, save, stat, h, w, wp, target, wt, smooth, M, V, D, c->ct);
    be->weight_free(be, wp);
}

static void choose(struct bench *t, const struct cas *c)
{
    int M = c->a, V = c->b, D = c->c, k = c->d;
    capt_backend *be = t->be;
    float *h = random_f(t, (int64_t)M * D, 1, 1), *w = random_f(t, (int64_t)V * D, 2, 1), *val = out(t, (int64_t)M * k, 0, tol(c) * D);
    capt_adjust adj[] = {{0, 3, -INFINITY}, {M - 1, V - 1, 100}, {0, 5, 2.5f}};
    int32_t *idx = keep(t, (size_t)(M * k) * 4), ban[] = {1, V - 1};
    double *u = keep(t, (size_t)M * sizeof *u);
    for (int i = 0; i < M; i++)
        u[i] = capt_rng_u01(7, (uint64_t)i);
    be->head_topk(be, val, idx, h, w, NULL, NULL, adj, 3, k, M, V, D, c->ct);
    float *lp = out(t, (int64_t)M * V, 0, tol(c) * D), *f = out(t, (int64_t)M * k + M, 0, 0);
    be->head_logits(be, lp, h, w, NULL, NULL, M, V, D, c->ct);
    for (int i = 0; i < M * k; i++)
        f[i] = (float)idx[i];
    float *logp = out(t, M, 0, tol(c) * D);
    be->head_sample(be, idx, logp, h, w, NULL, NULL, u, 0.7, ban, 2, M, V, D, c->ct);
    for (int i = 0; i < M; i++)
        f[M * k + i] = (float)idx[i];
}

static void mix(struct bench *t, const struct cas *c)
{
    int M = c->a, V = c->b, k = 3;
    capt_backend *be = t->be;
    int32_t *perm = keep(t, (size_t)V * 4), *idx = keep(t, (size_t)(M * k) * 4);
    for (int j = 0; j < V; j++)
        perm[j] = V - 1 - j;
    const float *lp[] = {random_f(t, (int64_t)M * V, 1, 5), random_f(t, (int64_t)M * V, 2, 5)};
    const int32_t *const perms[] = {NULL, perm};
    double wt[] = {0.3, 0.7};
    capt_adjust adj = {0, 2, -3};
    be->mix_topk(be, out(t, (int64_t)M * k, 0, 1e-5), idx, lp, perms, wt, 2, c->c, &adj, 1, k, M, V);
    float *f = out(t, (int64_t)M * k, 0, 0);
    for (int i = 0; i < M * k; i++)
        f[i] = (float)idx[i];
}

/* Logits that are small whole numbers: exact whatever the order of their sums, and many alike, so that only the rule for ties orders the words.
 * Targets, adjusted words and forbidden ones (e: all of the second 256 too) stand where the head's blocks of words and parts of rows begin and end. */
static const int edge[] = {0, 255, 256, 257, 511, 512, 1023};

static float *whole(struct bench *t, int64_t n, uint64_t key)
{
    float *p = keep(t, (size_t)n * sizeof *p);
    for (int64_t i = 0; i < n; i++)
        p[i] = (float)((int)capt_rng_below(key, (uint64_t)i, 5) - 2);
    return p;
}

static int at_edge(int i, int V) { return MIN(edge[i % 7], V - 1); }

enum { N_EDGE_ADJ = 7 * 4 }; /* several of one entry too; the amounts make no new ties, whose sides ref would round apart */
static void edge_adjust(capt_adjust *adj, int M, int V)
{
    static const int row[] = {0, 167, 168, 639};
    for (int i = 0; i < 4; i++)
        for (int j = 0; j < 7; j++)
            adj[i * 7 + j] = (capt_adjust){MIN(row[i], M - 1), at_edge(j + i, V), j == 1 ? -INFINITY : (float)(j % 3) * 3.5f - 3.25f + 0.013f * (float)(i * 7 + j)};
}

static void ties(struct bench *t, const struct cas *c)
{
    int M = c->a, V = c->b, D = c->c, k = c->d;
    capt_backend *be = t->be;
    float *h = whole(t, (int64_t)M * D, 1), *w = whole(t, (int64_t)V * D, 2), *b = whole(t, V, 3), *wt = random_f(t, M, 4, 1), *stat = keep(t, (size_t)M * 8);
    int32_t *idx = keep(t, (size_t)(M * k) * 4), *target = keep(t, (size_t)M * 4), ban[] = {at_edge(1, V), at_edge(2, V)};
    double *u = keep(t, (size_t)M * sizeof *u);
    void *save = keep(t, (size_t)M * (size_t)V * 4);
    for (int j = 256; c->e && j < MIN(512, V); j++)
        b[j] = -INFINITY;
    for (int i = 0; i < M; i++) {
        u[i] = capt_rng_u01(7, (uint64_t)i);
        target[i] = at_edge(i, V);
        if (!(b[target[i]] > -INFINITY))
            target[i] = 3 % V;
    }
    capt_adjust adj[N_EDGE_ADJ];
    edge_adjust(adj, M, V);
    be->head_topk(be, out(t, (int64_t)M * k, 0, 2e-6), idx, h, w, NULL, b, adj, N_EDGE_ADJ, k, M, V, D, c->ct);
    float *lp = out(t, (int64_t)M * V, 0, 2e-6), *f = out(t, (int64_t)M * k + M, 0, 0);
    for (int i = 0; i < M * k; i++)
        f[i] = (float)idx[i];
    be->head_logits(be, lp, h, w, NULL, b, M, V, D, c->ct);
    be->head_sample(be, idx, keep(t, (size_t)M * 4), h, w, NULL, b, u, 0.5, ban, V > 600 ? 2 : 0, M, V, D, c->ct);
    for (int i = 0; i < M; i++)
        f[M * k + i] = (float)idx[i];
    be->head_xent_fwd(be, out(t, M, 0, 2e-6), save, stat, h, w, NULL, b, target, wt, c->e ? 0 : 0.1, M, V, D, c->ct);
    double near = c->ct == CAPT_BF16 ? 4e-3 : 1e-5;
    float *dw = out(t, (int64_t)V * D, 0, near);
    be->head_xent_bwd(be, keep(t, (size_t)M * (size_t)D * 4), 0, dw, 0, keep(t, (size_t)V * 4), 0, save, stat, h, w, NULL, target, wt, c->e ? 0 : 0.1, M, V, D, c->ct);
}

static void norm(struct bench *t, const struct cas *c)
{
    int rows = c->a, D = c->b;
    capt_backend *be = t->be;
    float *x = random_f(t, (int64_t)rows * D, 1, 3), *g = random_f(t, D, 2, 1), *b = random_f(t, D, 3, 1), *dy = random_f(t, (int64_t)rows * D, 4, 1);
    float *mean = keep(t, (size_t)(rows + D) * 4), *rstd = keep(t, (size_t)(rows + D) * 4);
    float *y = out(t, (int64_t)rows * D, 0, 2e-5), *dx = out(t, (int64_t)rows * D, c->beta, 3e-4), *dg = out(t, D, c->beta, 1e-5 * rows), *db = out(t, D, c->beta, 1e-5 * rows);
    if (c->c) {
        float *rm = random_f(t, D, 5, 1), *rv = random_f(t, D, 6, 1);
        for (int j = 0; j < D; j++)
            rv[j] = rv[j] * rv[j] + 0.1f;
        be->batchnorm_fwd(be, y, mean, rstd, x, g, b, rm, rv, rows, D, 1e-5, 0.1, c->d, c->e);
        be->batchnorm_bwd(be, dx, c->beta, dg, c->beta, db, c->beta, dy, x, y, mean, rstd, g, rows, D, c->d, c->e);
    } else {
        be->layernorm_fwd(be, y, mean, rstd, x, g, b, rows, D, 1e-5);
        be->layernorm_bwd(be, dx, c->beta, dg, c->beta, db, c->beta, dy, x, mean, rstd, g, rows, D);
    }
}

static void maps(struct bench *t, const struct cas *c)
{
    capt_backend *be = t->be;
    int64_t n = c->b;
    float *x = random_f(t, n, 1, 12), *dy = random_f(t, n, 2, 1);
    be->map_fwd(be, c->a, out(t, n, 0, 2e-6), x, n);
    be->map_bwd(be, c->a, out(t, n, c->beta, 2e-6), c->beta, dy, x, n);
}

static void elem(struct bench *t, const struct cas *c)
{
    capt_backend *be = t->be;
    int64_t n = c->a;
    float *x = random_f(t, n, 1, 1), *z = random_f(t, n, 2, 1);
    be->dropout(be, out(t, n, c->beta, 1e-6), c->beta, x, n, 0.1, 0x123456789abcdefULL, (uint64_t)c->b);
    be->axpby(be, out(t, n, c->beta, 1e-6), c->beta, x, 0.7, n);
    be->mul(be, out(t, n, c->beta, 1e-6), c->beta, x, z, n);
    double s;
    be->sumsq(be, &s, x, n);
    *out(t, 1, 0, 1e-6 * (double)n) = (float)s;
}

static void moves(struct bench *t, const struct cas *c)
{
    capt_backend *be = t->be;
    int rows = c->a, cols = c->b, nx = 37;
    float *x = random_f(t, (int64_t)rows * cols, 1, 1), *p = random_f(t, 5 * (int64_t)cols, 2, 1);
    int32_t *idx = keep(t, (size_t)rows * 4);
    for (int i = 0; i < rows; i++)
        idx[i] = (i * i) % nx;
    be->scatter_add(be, out(t, (int64_t)nx * cols, c->beta, 1e-5), c->beta, x, idx, rows, nx, cols);
    be->sum_rows(be, out(t, 5 * (int64_t)cols, c->beta, 1e-5 * rows), c->beta, x, rows, 5, cols);
    be->add_rows(be, out(t, (int64_t)rows * cols, 0, 0), x, p, rows, 5, cols);
    be->copy2d(be, out(t, (int64_t)rows * (cols + 3), 1, 0), cols + 3, c->beta, x, cols, rows, cols);
}

static void pool(struct bench *t, const struct cas *c)
{
    capt_backend *be = t->be;
    int B = 2, H = c->a, W = c->b, C = c->c, k = c->d;
    float *x = random_f(t, (int64_t)B * H * W * C, 1, 1), *dy = random_f(t, (int64_t)B * (H / k) * (W / k) * C, 2, 1);
    be->avgpool_fwd(be, out(t, (int64_t)B * (H / k) * (W / k) * C, 0, 1e-6), x, B, H, W, C, k, k);
    be->avgpool_bwd(be, out(t, (int64_t)B * H * W * C, c->beta, 1e-6), c->beta, dy, B, H, W, C, k, k);
    uint8_t *u = keep(t, 3000);
    for (int i = 0; i < 3000; i++)
        u[i] = (uint8_t)i;
    be->pixels(be, out(t, 3000, 0, 1e-6), u, 1000, (float[]){0.4f, 0.5f, 0.6f}, (float[]){0.2f, 0.3f, 0.25f});
}

#define F CAPT_F32
#define H CAPT_BF16
static const struct cas cases[] = {
    {"linear 1x33x7", linear, 1, 33, 7, 0, 1, F, 0}, {"linear 1x33x7", linear, 1, 33, 7, 0, 1, H, 0}, {"linear 15x64x64", linear, 15, 64, 64, 0, 0, F, 1},
    {"linear 150x130x1001", linear, 150, 130, 1001, 0, 1, F, 0}, {"linear 150x130x1001", linear, 150, 130, 1001, 0, 1, H, 1}, {"linear 2000x61x50", linear, 2000, 61, 50, 0, 0, H, 0},
    {"linear 133x96x2048 gelu", linear, 133, 96, 2048, CAPT_MAP_gelu, 1, F, 0}, {"linear 100x100x1024 relu", linear, 100, 100, 1024, CAPT_MAP_relu, 1, H, 0},
    {"adamw 7x65x33", adamw, 7, 65, 33, 0, 0, H, 0}, {"adamw 30x200x300", adamw, 30, 200, 300, 0, 0, F, 0},
    {"conv 3x3", conv, 13, 5, 37, 3, 1, F, 0}, {"conv 3x3", conv, 13, 5, 37, 3, 1, H, 1}, {"conv 7x7 s2", conv, 30, 3, 40, 7, 2, H, 0}, {"conv 1x1", conv, 20, 40, 33, 1, 1, H, 1},
    {"conv 1x1 s2", conv, 9, 8, 12, 1, 2, F, 1}, {"conv 5x5 long", conv, 40, 4, 8, 5, 1, F, 0},
    {"conv 2x2 pad 2", wide_border, 2, 2, 0, 0, 0, F, 0}, {"conv 2x2 pad 3", wide_border, 2, 3, 0, 0, 0, H, 0}, {"linear 0x33x7", linear, 0, 33, 7, 0, 0, F, 0},
    {"attn 7x7 causal", attn, 7, 7, 16, 0, 0, F, 0}, {"attn 70x70 causal drop", attn, 70, 70, 64, 0, 2, F, 1}, {"attn 5x130 len", attn, 5, 130, 33, -1, 1, F, 0},
    {"attn 61x40 len drop", attn, 61, 40, 20, 3, 3, F, 1},
    {"step", step, 9, 11, 5, 24, 0, F, 0}, {"step own", step, 40, 0, 21, 64, 0, F, 0}, {"step shared", step, 3, 50, 0, 64, 0, F, 0},
    {"head 50x101x33", head, 50, 101, 33, 1, 1, F, 0}, {"head 50x101x33", head, 50, 101, 33, 1, 1, H, 1}, {"head 600x3001x40", head, 600, 3001, 40, 0, 0, H, 0},
    {"head 3x2500x64", head, 3, 2500, 64, 0, 1, F, 1},
    {"choose 5x300x20", choose, 5, 300, 20, 4, 0, F, 0}, {"choose 500x3000x16", choose, 500, 3000, 16, 5, 0, F, 0}, {"mix prob", mix, 9, 400, 0, 0, 0, F, 0}, {"mix log", mix, 40, 1000, 1, 0, 0, F, 0},
    {"ties 5x1", ties, 5, 1, 2, 1, 0, F, 0}, {"ties 1x256", ties, 1, 256, 3, 256, 0, F, 0}, {"ties 3x257", ties, 3, 257, 3, 257, 0, H, 0}, {"ties 200x513", ties, 200, 513, 3, 9, 0, F, 0},
    {"ties 200x1300", ties, 200, 1300, 5, 6, 1, F, 0}, {"ties 340x700", ties, 340, 700, 2, 300, 0, F, 0}, {"ties 30x1100", ties, 30, 1100, 2, 40, 1, H, 0},
    {"layernorm", norm, 3, 7, 0, 0, 0, F, 0}, {"layernorm", norm, 300, 130, 0, 0, 0, F, 1}, {"batchnorm train relu", norm, 700, 37, 1, 1, 1, F, 0}, {"batchnorm", norm, 300, 64, 1, 0, 0, F, 1},
    {"relu", maps, CAPT_MAP_relu, 1000, 0, 0, 0, F, 0}, {"tanh", maps, CAPT_MAP_tanh, 40001, 0, 0, 0, F, 1}, {"sigmoid", maps, CAPT_MAP_sigmoid, 1003, 0, 0, 0, F, 0},
    {"gelu", maps, CAPT_MAP_gelu, 1003, 0, 0, 0, F, 1}, {"gelu_erf", maps, CAPT_MAP_gelu_erf, 1003, 0, 0, 0, F, 1}, {"quickgelu", maps, CAPT_MAP_quickgelu, 1003, 0, 0, 0, F, 0}, {"none", maps, CAPT_MAP_none, 5, 0, 0, 0, F, 1},
    {"elementwise", elem, 70001, 3, 0, 0, 0, F, 0}, {"elementwise", elem, 7, 2, 0, 0, 0, F, 1},
    {"rows", moves, 333, 300, 0, 0, 0, F, 1}, {"rows", moves, 13, 5, 0, 0, 0, F, 0}, {"pool", pool, 15, 17, 20, 2, 0, F, 0}, {"pool", pool, 40, 40, 20, 7, 0, F, 1},
};
#undef F
#undef H

static void drop(struct bench *t)
{
    for (int i = 0; i < t->n_mem; i++)
        t->be->free(t->be, t->mem[i]);
    t->n_mem = 0;
}

static void isa(void **state)
{
    const char *name = *state;
    setenv("CAPT_CPU_ISA", name, 1);
    capt_err err = CAPT_ERR_INIT;
    capt_pool *p[2] = {capt_pool_new(1, &err), capt_pool_new(3, &err)};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bench t[3] = {{0}};
        t[0].be = capt_backend_ref_new(NULL, &err);
        t[1].be = capt_backend_cpu_new(p[0], &err);
        t[2].be = capt_backend_cpu_new(p[1], &err);
        for (int j = 0; j < 3; j++) {
            assert_non_null(t[j].be);
            cases[i].run(&t[j], &cases[i]);
            assert_int_equal(t[j].be->check(t[j].be, &err), 0);
        }
        for (int o = 0; o < t[0].n_out; o++) {
            struct out *r = &t[0].out[o], *c = &t[1].out[o];
            double scale = 0, worst = 0;
            for (int64_t e = 0; e < r->n; e++) {
                double d = fabs((double)r->v[e] - (double)c->v[e]);
                d = isnan(d) && !(r->v[e] == c->v[e]) ? INFINITY : r->v[e] == c->v[e] ? 0 : d;
                worst = d > worst ? d : worst;
                scale = fmax(scale, isinf(r->v[e]) ? 0 : fabs(r->v[e]));
            }
            if (worst > r->tol * fmax(1, scale * 0.1))
                fail_msg("%s %s (%s): output %d is off by %g, allowed %g", name, cases[i].name, cases[i].ct ? "bf16" : "f32", o, worst, r->tol * fmax(1, scale * 0.1));
            if (memcmp(c->v, t[2].out[o].v, (size_t)c->n * sizeof(float)) != 0)
                fail_msg("%s %s: output %d differs with 3 threads", name, cases[i].name, o);
        }
        for (int j = 0; j < 3; j++) {
            drop(&t[j]);
            t[j].be->close(t[j].be);
        }
    }
    capt_pool_free(p[0]);
    capt_pool_free(p[1]);
}

/* The head: rows in one call (more than a chunk of them) are rows in several calls, bit for bit, and a row of NaN is NaN and leaves the others alone; no rows are none. */
static void alone(void **state)
{
    enum { M = 640, V = 15013, D = 5, K = 500, FEW = 600, PARTS = 6 }; /* FEW: words to find the best among */
    static const int cut[PARTS + 1] = {0, 0, 1, 16, 217, 470, M};
    setenv("CAPT_CPU_ISA", *state, 1);
    capt_err err = CAPT_ERR_INIT;
    capt_pool *pool = capt_pool_new(3, &err);
    struct bench t = {.be = capt_backend_cpu_new(pool, &err)};
    capt_backend *be = t.be;
    assert_non_null(be);
    float *h = whole(&t, M * D, 1), *w = whole(&t, V * D, 2), *wt = random_f(&t, M, 4, 1), *y[2][5];
    h[3 * D + 1] = NAN;
    int32_t *target = keep(&t, M * 4), *idx[2], *token[2], ban[] = {7, 256};
    double *u = keep(&t, M * sizeof *u);
    for (int i = 0; i < M; i++) {
        u[i] = capt_rng_u01(7, (uint64_t)i);
        target[i] = at_edge(i, V);
    }
    static const int64_t width[5] = {K, V, 1, 1, 2};
    for (int o = 0; o < 2; o++) {
        for (int i = 0; i < 5; i++)
            y[o][i] = keep(&t, (size_t)(M * width[i]) * 4);
        idx[o] = keep(&t, M * K * 4);
        token[o] = keep(&t, M * 4);
        float *save = keep(&t, (size_t)M * V * 4);
        for (int p = 0; p < (o ? PARTS : 1); p++) {
            int64_t m0 = o ? cut[p] : 0, n = (o ? cut[p + 1] : M) - m0;
            capt_adjust adj[N_EDGE_ADJ];
            int n_adj = 0;
            edge_adjust(adj, M, FEW);
            for (int j = 0; j < N_EDGE_ADJ; j++)
                if (adj[j].row >= m0 && adj[j].row < m0 + n) {
                    adj[n_adj] = adj[j];
                    adj[n_adj++].row -= (int32_t)m0;
                }
            be->head_topk(be, y[o][0] + m0 * K, idx[o] + m0 * K, h + m0 * D, w, NULL, NULL, adj, n_adj, K, n, FEW, D, CAPT_F32);
            be->head_logits(be, y[o][1] + m0 * V, h + m0 * D, w, NULL, NULL, n, V, D, CAPT_F32);
            be->head_sample(be, token[o] + m0, y[o][2] + m0, h + m0 * D, w, NULL, NULL, u + m0, 0.7, ban, 2, n, V, D, CAPT_F32);
            be->head_xent_fwd(be, y[o][3] + m0, save + m0 * V, y[o][4] + 2 * m0, h + m0 * D, w, NULL, NULL, target + m0, wt + m0, 0.1, n, V, D, CAPT_F32);
        }
    }
    for (int i = 0; i < 5; i++)
        for (int64_t e = 0; e < M * width[i]; e++) {
            int nan = e / width[i] == 3 && i != 2 && e != 6; /* there is nothing to draw, and no largest logit */
            if (nan ? !isnan(y[0][i][e]) || !isnan(y[1][i][e]) : memcmp(&y[0][i][e], &y[1][i][e], 4) != 0)
                fail_msg("%s: output %d, element %d is %.9g among %d rows, %.9g among fewer", (const char *)*state, i, (int)e, (double)y[0][i][e], M, (double)y[1][i][e]);
        }
    assert_memory_equal(idx[0], idx[1], M * K * 4);
    assert_memory_equal(token[0], token[1], M * 4);
    for (int i = 0; i < M * K; i++)
        assert_in_range(idx[0][i], 0, FEW - 1);
    drop(&t);
    be->close(be);
    capt_pool_free(pool);
}

/* A linear layer: rows in one call are rows in several, bit for bit, however K is cut. (OpenBLAS sums few rows in another order.) */
static void linear_alone(void **state)
{
    enum { M = 130, N = 40, K = 1000, PARTS = 5 };
    static const int cut[PARTS + 1] = {0, 1, 6, 37, 70, M};
    setenv("CAPT_CPU_ISA", *state, 1);
    capt_err err = CAPT_ERR_INIT;
    for (int ct = CAPT_F32; ct <= CAPT_BF16; ct++) {
        struct bench t = {.be = capt_backend_cpu_new(NULL, &err)};
        capt_backend *be = t.be;
        assert_non_null(be);
        float *x = random_f(&t, M * K, 1, 1), *w = random_f(&t, N * K, 2, 1), *y = keep(&t, M * N * sizeof *y), *part = keep(&t, M * N * sizeof *y);
        be->linear_fwd(be, y, NULL, x, w, NULL, NULL, M, N, K, 0, ct);
        for (int i = 0; i < PARTS; i++)
            be->linear_fwd(be, part + cut[i] * N, NULL, x + cut[i] * K, w, NULL, NULL, cut[i + 1] - cut[i], N, K, 0, ct);
        assert_memory_equal(y, part, M * N * sizeof *y);
        drop(&t);
        be->close(be);
    }
}

static void unknown(void **state)
{
    (void)state;
    capt_err err = CAPT_ERR_INIT;
    setenv("CAPT_CPU_ISA", "mmx", 1);
    assert_null(capt_backend_cpu_new(NULL, &err));
    assert_non_null(strstr(err.text, "mmx"));
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
#define ISA(test, what, name) {what name, test, NULL, NULL, (void *)name}
#define EACH_TILE(test, what) ISA(test, what, "portable"), ISA(test, what, "avx2"), ISA(test, what, "avx512"), ISA(test, what, "avx512bf16"), ISA(test, what, "amx")
    const struct CMUnitTest tests[] = {
        EACH_TILE(isa, ""), ISA(isa, "", "cblas"), EACH_TILE(alone, "rows of the head alone, "), ISA(alone, "rows of the head alone, ", "cblas"),
        EACH_TILE(linear_alone, "rows of a linear layer alone, "), cmocka_unit_test(unknown),
    };
    return cmocka_run_group_tests_name("cpu", tests, NULL, NULL);
}
#else
int main(void)
{
    puts("1..0 # SKIP the cpu backend is single precision");
    return 0;
}
#endif
