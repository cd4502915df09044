/* Every kernel of kernel.def on every backend that opens, against ref: odd sizes, strides, NULL options, beta 0 (with NaN in the old content) and 1.
 * A kernel without a case_NAME below does not compile. Tolerances are relative to the largest |value| of the output on ref. Also: nothing is written
 * behind an output, and the number of threads changes no bit. The cpu backend is run on each of its instruction sets. */
#include "op_cases.h"

#define TOL 2e-5      /* f32 sums in another order; bf16 operands are rounded alike, so theirs too */
#define TOL_BF16 1e-2 /* where an intermediate result is rounded to bf16: one rounding may fall the other way */
enum { TAIL = 16, MAX_BUF = 8000 };

struct buf { void *dev; int64_t n; size_t size; int output; double tol; char what[120]; void *host; };
struct run {
    capt_backend *be;
    uint64_t seed;
    struct buf b[MAX_BUF];
    int n;
    char what[120];
};

#define mark(r, ...) snprintf((r)->what, sizeof (r)->what, __VA_ARGS__)

static void *buffer(struct run *r, const void *host, int64_t n, size_t size, int output, double tol)
{
    assert_true(r->n < MAX_BUF);
    struct buf *b = &r->b[r->n++];
    *b = (struct buf){r->be->alloc(r->be, (size_t)(n + TAIL) * size), n, size, output, tol, "", NULL};
    memcpy(b->what, r->what, sizeof b->what);
    unsigned char *tmp = malloc((size_t)(n + TAIL) * size);
    memset(tmp, 0x5a, (size_t)(n + TAIL) * size);
    if (host)
        memcpy(tmp, host, (size_t)n * size);
    r->be->upload(r->be, b->dev, tmp, (size_t)(n + TAIL) * size);
    free(tmp);
    return b->dev;
}

static capt_real *values(struct run *r, int64_t n, int nan, double shift, int output, double tol)
{
    capt_real *v = malloc((size_t)(n + 1) * sizeof *v);
    r->seed++;
    for (int64_t i = 0; i < n; i++)
        v[i] = (capt_real)(nan ? NAN : shift + (2 * capt_rng_u01(r->seed, (uint64_t)i) - 1));
    capt_real *d = buffer(r, v, n, sizeof *v, output, tol);
    free(v);
    return d;
}

static const capt_real *in(struct run *r, int64_t n) { return values(r, n, 0, 0, 0, 0); }
static capt_real *out(struct run *r, int64_t n, double beta, double tol) { return values(r, n, beta == 0, 0, 1, tol); }
static capt_real *tmp(struct run *r, int64_t n) { return values(r, n, 1, 0, 0, 0); }
static const int32_t *ints(struct run *r, const int32_t *v, int64_t n) { return buffer(r, v, n, sizeof *v, 0, 0); }
static int32_t *out_ints(struct run *r, int64_t n) { return buffer(r, NULL, n, sizeof(int32_t), 1, 0); }

/* ---- elementwise */
static const int64_t lengths[] = {1, 3, 16, 17, 1000, 70001};
#define EACH(i, a) for (size_t i = 0; i < sizeof(a) / sizeof *(a); i++)

static void case_fill(struct run *r)
{
    EACH(i, lengths)
        r->be->fill(r->be, out(r, lengths[i], 0, 0), lengths[i], -2.5);
}
static void case_axpby(struct run *r)
{
    static const double b[] = {0, 1, -0.5};
    EACH(i, lengths)
        EACH(j, b)
            r->be->axpby(r->be, out(r, lengths[i], b[j], TOL), b[j], in(r, lengths[i]), 1.7, lengths[i]);
}
static void case_add(struct run *r)
{
    EACH(i, lengths) {
        int64_t n = lengths[i];
        r->be->add(r->be, out(r, n, 0, 0), in(r, n), in(r, n), n);
    }
}
static void case_mul(struct run *r)
{
    for (int beta = 0; beta < 2; beta++)
        EACH(i, lengths) {
            int64_t n = lengths[i];
            r->be->mul(r->be, out(r, n, beta, TOL), beta, in(r, n), in(r, n), n);
        }
}
static void case_map_fwd(struct run *r)
{
    for (int f = 0; f < CAPT_N_MAP; f++)
        EACH(i, lengths) {
            int64_t n = lengths[i];
            mark(r, "map %d, n %d", f, (int)n);
            capt_real *x = values(r, n, 0, 0, 0, 0);
            r->be->axpby(r->be, x, 9, x, 0, n); /* -9..9 */
            r->be->map_fwd(r->be, f, out(r, n, 0, TOL), x, n);
        }
}
static void case_map_bwd(struct run *r)
{
    for (int f = 0; f < CAPT_N_MAP; f++)
        for (int beta = 0; beta < 2; beta++)
            EACH(i, lengths) {
                int64_t n = lengths[i];
                mark(r, "map %d, beta %d, n %d", f, beta, (int)n);
                capt_real *dy = out(r, n, 1, TOL); /* with beta 0 dx is dy */
                r->be->map_bwd(r->be, f, beta ? out(r, n, 1, TOL) : dy, beta, dy, in(r, n), n);
            }
}
static void case_dropout(struct run *r)
{
    for (int beta = 0; beta < 2; beta++)
        for (int i0 = 0; i0 < 6; i0++)
            EACH(i, lengths) {
                mark(r, "beta %d, i0 %d", beta, i0);
                r->be->dropout(r->be, out(r, lengths[i], beta, TOL), beta, in(r, lengths[i]), lengths[i], 0.1 * (i0 + 1), 0x123456789abcdefull + (uint64_t)i0,
                               (uint64_t)i0 + ((uint64_t)i0 << 33));
            }
}
static void case_pixels(struct run *r)
{
    uint8_t v[3 * 301];
    for (size_t i = 0; i < sizeof v; i++)
        v[i] = (uint8_t)(i * 37);
    static const float mean[] = {0.48f, 0.46f, 0.41f}, sd[] = {0.27f, 0.26f, 0.28f};
    for (int n = 1; n <= 301; n += 60)
        r->be->pixels(r->be, out(r, 3 * n, 0, TOL), buffer(r, v, 3 * n, 1, 0, 0), n, mean, sd);
}

/* ---- rows */
static void case_copy2d(struct run *r)
{
    for (int beta = 0; beta < 2; beta++)
        for (int cols = 1; cols < 40; cols += 19) { /* between the rows of y nothing changes, so old content is finite */
            capt_real *y = out(r, 7 * 45, 1, TOL);
            r->be->copy2d(r->be, y + 2, 45, beta, in(r, 7 * 41), 41, 7, cols);
        }
}
static const int32_t some[] = {3, 0, 3, 1, 3, 4, 0, 2, 3};
static void case_gather(struct run *r)
{
    static const int64_t block[] = {1, 7, 64, 513};
    EACH(i, block)
        r->be->gather(r->be, out(r, 9 * block[i], 0, 0), in(r, 6 * block[i]), ints(r, some, 9), 9, block[i]);
}
static void case_scatter_add(struct run *r)
{
    static const int64_t block[] = {1, 7, 64, 513};
    for (int beta = 0; beta < 2; beta++)
        EACH(i, block)
            r->be->scatter_add(r->be, out(r, 6 * block[i], beta, TOL), beta, in(r, 9 * block[i]), ints(r, some, 9), 9, 6, block[i]);
}
static void case_add_rows(struct run *r)
{
    static const int64_t cols[] = {1, 7, 33, 512};
    EACH(i, cols)
        r->be->add_rows(r->be, out(r, 12 * cols[i], 0, TOL), in(r, 12 * cols[i]), in(r, 3 * cols[i]), 12, 3, cols[i]);
}
static void case_sum_rows(struct run *r)
{
    static const int64_t cols[] = {1, 7, 33, 512};
    for (int beta = 0; beta < 2; beta++)
        EACH(i, cols) {
            r->be->sum_rows(r->be, out(r, 3 * cols[i], beta, TOL), beta, in(r, 12 * cols[i]), 12, 3, cols[i]);
            r->be->sum_rows(r->be, out(r, cols[i], beta, TOL), beta, in(r, 1000 * cols[i]), 1000, 1, cols[i]);
        }
}

/* ---- normalisation */
static void layernorm(struct run *r, int backward)
{
    static const struct { int64_t rows; int D; } s[] = {{1, 1}, {3, 7}, {5, 32}, {65, 513}, {300, 64}};
    EACH(i, s)
        for (int v = 0; v < (backward ? 6 : 1); v++) {
            int64_t rows = s[i].rows, n = rows * s[i].D, D = s[i].D;
            int beta = v & 1, dx = v != 2, dg = v != 4, db = v != 5;
            mark(r, "rows %d, D %d, variant %d", (int)rows, (int)D, v);
            const capt_real *x = in(r, n), *g = in(r, D), *b = in(r, D);
            capt_real *mean = out(r, rows, 0, TOL), *rstd = out(r, rows, 0, TOL);
            r->be->layernorm_fwd(r->be, out(r, n, 0, TOL), mean, rstd, x, g, b, rows, (int)D, 1e-5);
            if (!backward)
                continue;
            const capt_real *dy = in(r, n);
            capt_real *gx = dx ? out(r, n, beta, D > 1 ? TOL : 1e-2) : NULL, *gg = dg ? out(r, D, beta, TOL) : NULL, *gb = db ? out(r, D, beta, TOL) : NULL;
            r->be->layernorm_bwd(r->be, gx, beta, gg, beta, gb, beta, dy, x, mean, rstd, g, rows, (int)D);
        }
}
static void case_layernorm_fwd(struct run *r) { layernorm(r, 0); }
static void case_layernorm_bwd(struct run *r) { layernorm(r, 1); }

static void batchnorm(struct run *r, int backward)
{
    static const struct { int64_t rows; int C; } s[] = {{2, 1}, {9, 7}, {33, 64}, {1500, 33}};
    EACH(i, s)
        for (int v = 0; v < (backward ? 24 : 4); v++) {
            int64_t rows = s[i].rows, C = s[i].C, n = rows * C;
            int train = v & 1, relu = v >> 1 & 1, beta = v >> 2 & 1, skip = v >> 3;
            mark(r, "rows %d, C %d, train %d, relu %d, beta %d, skip %d", (int)rows, (int)C, train, relu, beta, skip);
            const capt_real *x = in(r, n), *g = in(r, C), *b = in(r, C);
            capt_real *mean = out(r, C, 0, TOL), *rstd = out(r, C, 0, TOL), *y = out(r, n, 0, TOL), *rm = out(r, C, 1, TOL),
                      *rv = values(r, C, 0, 1.5, 1, TOL);
            r->be->batchnorm_fwd(r->be, y, mean, rstd, x, g, b, rm, rv, rows, (int)C, 1e-5, 0.1, train, relu);
            if (!backward)
                continue;
            const capt_real *dy = in(r, n);
            capt_real *gx = skip != 1 ? out(r, n, beta, rows > 2 ? 10 * TOL : 1e-2) : NULL, /* of two rows almost nothing is left */
                      *gg = skip != 2 ? out(r, C, beta, 10 * TOL) : NULL,
                      *gb = skip != 2 ? out(r, C, beta, 10 * TOL) : NULL;
            r->be->batchnorm_bwd(r->be, gx, beta, gg, beta, gb, beta, dy, x, y, mean, rstd, g, rows, (int)C, train, relu);
        }
}
static void case_batchnorm_fwd(struct run *r) { batchnorm(r, 0); }
static void case_batchnorm_bwd(struct run *r) { batchnorm(r, 1); }

/* ---- matrices: with and without the packed form, both compute types */
static const struct { int64_t M; int N, K; } mnk[] = {{1, 1, 1}, {3, 5, 7}, {1, 129, 65}, {7, 17, 32}, {33, 64, 100}, {130, 200, 259}, {5, 1000, 48}};
static const capt_dtype cts[] = {CAPT_F32, CAPT_BF16};

static capt_weight *pack(struct run *r, const capt_real *w, int N, int K, int ct, int packed)
{
    capt_weight *wp = NULL;
    if (packed)
        r->be->weight_new(r->be, &wp, w, N, K, ct);
    return wp;
}

static void unpack(struct run *r, capt_weight *wp)
{
    if (wp)
        r->be->weight_free(r->be, wp);
}

static void case_linear_fwd(struct run *r)
{
    EACH(i, mnk)
        for (int v = 0; v < 16; v++) {
            int64_t M = mnk[i].M;
            int N = mnk[i].N, K = mnk[i].K, packed = v >> 2 & 1, ct = (int)cts[v >> 3], act = v % 4 == 1 ? CAPT_MAP_gelu : v % 4 == 2 ? CAPT_MAP_relu : CAPT_MAP_none;
            mark(r, "M %d, N %d, K %d, ct %d, packed %d, variant %d", (int)M, N, K, ct, packed, v);
            const capt_real *x = in(r, M * K), *w = in(r, (int64_t)N * K), *b = v % 4 != 3 ? in(r, N) : NULL;
            capt_weight *wp = pack(r, w, N, K, ct, packed);
            capt_real *y = out(r, M * N, 0, TOL), *pre = v % 4 == 1 ? out(r, M * N, 0, TOL) : NULL;
            r->be->linear_fwd(r->be, y, pre, x, w, wp, b, M, N, K, act, ct);
            unpack(r, wp);
        }
}
static void case_linear_bwd_x(struct run *r)
{
    EACH(i, mnk)
        for (int v = 0; v < 8; v++) {
            int64_t M = mnk[i].M;
            int N = mnk[i].N, K = mnk[i].K, beta = v & 1, packed = v >> 1 & 1, ct = (int)cts[v >> 2];
            mark(r, "M %d, N %d, K %d, ct %d, packed %d, beta %d", (int)M, N, K, ct, packed, beta);
            const capt_real *dy = in(r, M * N), *w = in(r, (int64_t)N * K);
            capt_weight *wp = pack(r, w, N, K, ct, packed);
            r->be->linear_bwd_x(r->be, out(r, M * K, beta, TOL), beta, dy, w, wp, M, N, K, ct);
            unpack(r, wp);
        }
}
static void case_linear_bwd_w(struct run *r)
{
    EACH(i, mnk)
        for (int v = 0; v < 12; v++) {
            int64_t M = mnk[i].M;
            int N = mnk[i].N, K = mnk[i].K, beta = v & 1, ct = v & 2 ? CAPT_BF16 : CAPT_F32, skip = v >> 2;
            mark(r, "M %d, N %d, K %d, ct %d, beta %d, skip %d", (int)M, N, K, ct, beta, skip);
            const capt_real *dy = in(r, M * N), *x = in(r, M * K);
            capt_real *dw = skip != 1 ? out(r, (int64_t)N * K, beta, TOL) : NULL, *db = skip != 2 ? out(r, N, beta, ct == CAPT_BF16 ? TOL_BF16 : TOL) : NULL;
            r->be->linear_bwd_w(r->be, dw, beta, db, beta, dy, x, M, N, K, ct);
        }
}
/* a packed matrix follows its source through update; free gives it back */
static void case_weight_update(struct run *r)
{
    for (int v = 0; v < 2; v++) {
        enum { M = 5, N = 37, K = 29 };
        int ct = (int)cts[v];
        capt_real *w = values(r, N * K, 0, 0, 0, 0);
        capt_weight *wp = pack(r, w, N, K, ct, 1);
        r->be->axpby(r->be, w, 0, in(r, N * K), 1, N * K);
        r->be->weight_update(r->be, wp, w);
        r->be->linear_fwd(r->be, out(r, M * N, 0, TOL), NULL, in(r, M * K), w, wp, NULL, M, N, K, CAPT_MAP_none, ct);
        r->be->linear_bwd_x(r->be, out(r, M * K, 0, TOL), 0, in(r, M * N), w, wp, M, N, K, ct);
        unpack(r, wp);
    }
}
static void case_weight_new(struct run *r) { case_weight_update(r); }
static void case_weight_free(struct run *r) { case_weight_update(r); }

static const capt_conv convs[] = {
    {1, 1, 1, 1, 1, 1, 1, 1, 0, 1, 1}, {2, 5, 4, 3, 6, 3, 3, 1, 1, 5, 4}, {2, 7, 6, 3, 5, 3, 3, 2, 1, 4, 3}, {2, 8, 8, 3, 17, 4, 4, 4, 0, 2, 2},
    {3, 5, 5, 33, 20, 1, 1, 1, 0, 5, 5}, {2, 9, 9, 16, 32, 3, 3, 1, 1, 9, 9},
};
#define conv_x(c) ((c)->B * (c)->H * (c)->W * (c)->C)
#define conv_y(c) ((c)->B * (c)->OH * (c)->OW * (c)->N)
#define conv_w(c) ((int64_t)(c)->N * (c)->kh * (c)->kw * (c)->C)
static void convolution(struct run *r, int what)
{
    EACH(i, convs)
        for (int v = 0; v < 12; v++) {
            const capt_conv *c = &convs[i];
            int beta = v & 1, ct = v & 2 ? CAPT_BF16 : CAPT_F32, option = v >> 2;
            mark(r, "conv %d, ct %d, beta %d, option %d", (int)i, ct, beta, option);
            const capt_real *w = in(r, conv_w(c));
            capt_weight *wp = pack(r, w, c->N, c->kh * c->kw * c->C, ct, option == 1);
            if (what == 0)
                r->be->conv_fwd(r->be, out(r, conv_y(c), 0, TOL), in(r, conv_x(c)), w, wp, option == 2 ? NULL : in(r, c->N), c, ct);
            else if (what == 1)
                r->be->conv_bwd_x(r->be, out(r, conv_x(c), beta, TOL), beta, in(r, conv_y(c)), w, wp, c, ct);
            else {
                const capt_real *dy = in(r, conv_y(c)), *x = in(r, conv_x(c));
                capt_real *dw = option != 1 ? out(r, conv_w(c), beta, TOL) : NULL, *db = option != 2 ? out(r, c->N, beta, ct == CAPT_BF16 ? TOL_BF16 : TOL) : NULL;
                r->be->conv_bwd_w(r->be, dw, beta, db, beta, dy, x, c, ct);
            }
            unpack(r, wp);
        }
}
static void case_conv_fwd(struct run *r) { convolution(r, 0); }
static void case_conv_bwd_x(struct run *r) { convolution(r, 1); }
static void case_conv_bwd_w(struct run *r) { convolution(r, 2); }

static const struct { int H, W, C, kh, kw; } pools[] = {{4, 6, 3, 2, 3}, {5, 5, 17, 2, 2}, {7, 7, 64, 7, 7}, {3, 3, 1, 1, 1}};
static void case_avgpool_fwd(struct run *r)
{
    EACH(i, pools) {
        int H = pools[i].H, W = pools[i].W, C = pools[i].C, kh = pools[i].kh, kw = pools[i].kw;
        r->be->avgpool_fwd(r->be, out(r, 2 * (H / kh) * (W / kw) * C, 0, TOL), in(r, 2 * H * W * C), 2, H, W, C, kh, kw);
    }
}
static void case_avgpool_bwd(struct run *r)
{
    for (int beta = 0; beta < 2; beta++)
        EACH(i, pools) {
            int H = pools[i].H, W = pools[i].W, C = pools[i].C, kh = pools[i].kh, kw = pools[i].kw;
            r->be->avgpool_bwd(r->be, out(r, 2 * H * W * C, beta, TOL), beta, in(r, 2 * (H / kh) * (W / kw) * C), 2, H, W, C, kh, kw);
        }
}

/* ---- attention */
static void attention(struct run *r, int backward)
{
    static const struct { int Tq, Tk, H, dh; } s[] = {{1, 1, 1, 1}, {5, 5, 2, 7}, {4, 9, 2, 16}, {50, 50, 3, 33}, {17, 70, 1, 64}};
    static const int causal[] = {CAPT_ATTN_FULL, 0, 2};
    EACH(i, s)
        EACH(j, causal)
            for (int v = 0; v < 8; v++) {
                enum { B = 3 };
                int Tq = s[i].Tq, Tk = s[i].Tk, H = s[i].H, dh = s[i].dh, D = H * dh, beta = v & 1, drop = v >> 1 & 1, lens = v >> 2;
                int32_t len[B] = {Tk, 0, (Tk + 1) / 2};
                mark(r, "Tq %d, Tk %d, H %d, dh %d, causal %d, beta %d, drop %d, lengths %d", Tq, Tk, H, dh, causal[j], beta, drop, lens);
                /* q alone, k and v side by side, with a gap */
                capt_attn a = {.B = B, .Tq = Tq, .Tk = Tk, .H = H, .dh = dh, .q_row = D, .k_row = 2 * D + 3, .v_row = 2 * D + 3, .causal = causal[j],
                               .k_len = lens ? ints(r, len, B) : NULL, .scale = 1 / sqrt(dh), .drop = drop ? 0.3 : 0, .key = 99, .b0 = 5};
                const capt_real *q = in(r, B * Tq * D), *kv = in(r, B * (int64_t)Tk * (2 * D + 3));
                capt_real *o = out(r, B * Tq * D, 0, TOL), *lse = lens ? tmp(r, B * H * Tq) : out(r, B * H * Tq, 0, TOL);
                r->be->attn_fwd(r->be, o, lse, q, kv, kv + D, &a);
                if (!backward)
                    continue;
                const capt_real *dout = in(r, B * Tq * D);
                /* the gap of dkv stays, so its old content is finite and with beta 0 must not be added */
                capt_real *dq = j != 1 || v != 3 ? out(r, B * Tq * D, beta, 5 * TOL) : NULL, *dkv = out(r, B * (int64_t)Tk * (2 * D + 3), 1, 5 * TOL);
                r->be->attn_bwd(r->be, dq, beta, j == 2 && v == 1 ? NULL : dkv, beta, j == 2 && v == 2 ? NULL : dkv + D, beta, dout, o, lse, q, kv, kv + D, &a);
            }
}
static void case_attn_fwd(struct run *r) { attention(r, 0); }
static void case_attn_bwd(struct run *r) { attention(r, 1); }

static void case_attn_map(struct run *r)
{
    static const struct { int Tq, Tk, S, H, dh; } s[] = {{1, 1, 1, 1, 1}, {5, 5, 3, 2, 7}, {4, 9, 9, 2, 16}, {17, 70, 50, 3, 33}};
    static const int causal[] = {CAPT_ATTN_FULL, 0, 2};
    EACH(i, s)
        EACH(j, causal)
            for (int lens = 0; lens < 2; lens++) {
                enum { B = 3 };
                int Tq = s[i].Tq, Tk = s[i].Tk, S = s[i].S, D = s[i].H * s[i].dh;
                int32_t len[B] = {Tk, 0, (Tk + 1) / 2}, own[B] = {S, S, S / 2};
                mark(r, "Tq %d, Tk %d, S %d, causal %d, lengths %d", Tq, Tk, S, causal[j], lens);
                capt_attn a = {.B = B, .Tq = Tq, .Tk = Tk, .H = s[i].H, .dh = s[i].dh, .q_row = D, .k_row = 2 * D + 3, .causal = causal[j], .k_len = lens ? ints(r, len, B) : NULL,
                               .scale = 1 / sqrt(s[i].dh)};
                const capt_real *q = in(r, B * Tq * D), *k = in(r, B * (int64_t)Tk * (2 * D + 3));
                r->be->attn_map(r->be, out(r, B * Tq * S, 0, TOL), q, k, &a, S, lens ? ints(r, own, B) : NULL);
            }
}

static void case_attn_step(struct run *r)
{
    static const struct { int H, dh, S, T; } s[] = {{1, 1, 1, 0}, {2, 7, 4, 0}, {2, 7, 0, 3}, {3, 33, 50, 20}, {2, 64, 10, 1}};
    enum { R = 5, SLOTS = 6, I = 3 };
    EACH(i, s)
        for (int lens = 0; lens < 2; lens++) {
            int H = s[i].H, dh = s[i].dh, D = H * dh, S = s[i].S, T = s[i].T;
            static const int32_t image[R] = {0, 0, 2, 1, 2};
            int32_t len[I] = {S, S > 1 ? S - 1 : S, (S + 1) / 2}, anc[20 * SLOTS];
            for (int t = 0; t < 20 * SLOTS; t++)
                anc[t] = (int32_t)capt_rng_below(4, (uint64_t)t, SLOTS);
            mark(r, "H %d, dh %d, S %d, T %d, lengths %d", H, dh, S, T, lens);
            capt_attn_step a = {.R = R, .H = H, .dh = dh, .q_row = 3 * D, .scale = 0.3, .S = S, .s_row = 2 * D, .T = T, .slots = SLOTS, .o_row = D + 1};
            a.sk = S ? in(r, (int64_t)I * S * 2 * D) : NULL;
            a.sv = S ? a.sk + D : NULL;
            a.s_len = lens ? ints(r, len, I) : NULL;
            a.row_image = ints(r, image, R);
            a.ok = in(r, (T + 1) * SLOTS * (D + 1));
            a.ov = in(r, (T + 1) * SLOTS * (D + 1));
            a.anc = ints(r, anc, T ? T * SLOTS : 1);
            a.map = S && lens ? out(r, R * S, 0, TOL) : NULL;
            r->be->attn_step(r->be, out(r, R * D, 0, TOL), in(r, R * 3 * D), &a);
        }
}

/* ---- head */
static const struct { int64_t M; int V, D; } heads[] = {{1, 1, 1}, {5, 37, 19}, {33, 1000, 64}, {3, 5003, 32}};
static void xent(struct run *r, int backward)
{
    EACH(i, heads)
        for (int v = 0; v < (backward ? 16 : 8); v++) {
            int64_t M = heads[i].M;
            int V = heads[i].V, D = heads[i].D, ct = v & 1 ? CAPT_BF16 : CAPT_F32, option = v >> 1 & 1, beta = v >> 2 & 1, skip = v >> 3;
            int32_t target[33];
            for (int j = 0; j < M; j++)
                target[j] = (int32_t)capt_rng_below(8, (uint64_t)j, (uint64_t)V);
            mark(r, "M %d, V %d, D %d, ct %d, option %d, beta %d, skip %d", (int)M, V, D, ct, option, beta, skip);
            const capt_real *h = in(r, M * D), *w = in(r, (int64_t)V * D), *b = option ? in(r, V) : NULL, *wt = in(r, M); /* negative ones too */
            const int32_t *t = ints(r, target, M);
            capt_weight *wp = pack(r, w, V, D, ct, !option);
            capt_real *save = tmp(r, M * V), *stat = tmp(r, 2 * M);
            double smooth = option ? 0.1 : 0;
            r->be->head_xent_fwd(r->be, out(r, M, 0, ct == CAPT_BF16 ? TOL_BF16 : TOL), save, stat, h, w, wp, b, t, wt, smooth, M, V, D, ct);
            if (backward) {
                double tol = ct == CAPT_BF16 ? TOL_BF16 : 5 * TOL;
                capt_real *dh = out(r, M * D, beta, tol), *dw = skip ? NULL : out(r, (int64_t)V * D, beta, tol), *db = skip || !option ? NULL : out(r, V, beta, tol);
                r->be->head_xent_bwd(r->be, dh, beta, dw, beta, db, beta, save, stat, h, w, wp, t, wt, smooth, M, V, D, ct);
            }
            unpack(r, wp);
        }
}
static void case_head_xent_fwd(struct run *r) { xent(r, 0); }
static void case_head_xent_bwd(struct run *r) { xent(r, 1); }

static void head(struct run *r, int what)
{
    EACH(i, heads)
        for (int v = 0; v < 4; v++) {
            int64_t M = heads[i].M;
            int V = heads[i].V, D = heads[i].D, ct = v & 1 ? CAPT_BF16 : CAPT_F32, k = V < 7 ? V : v < 2 ? 7 : 3;
            mark(r, "M %d, V %d, D %d, variant %d", (int)M, V, D, v);
            const capt_real *h = in(r, M * D), *w = in(r, (int64_t)V * D), *b = v & 2 ? in(r, V) : NULL;
            capt_weight *wp = pack(r, w, V, D, ct, v < 2);
            capt_adjust adj[] = {{0, 0, -INFINITY}, {(int32_t)M - 1, V - 1, 5}, {(int32_t)M / 2, V / 2, -0.5f}, {(int32_t)M / 2, V / 2, 7}};
            double u[33];
            int32_t ban[] = {V / 3, V / 2};
            for (int j = 0; j < 33; j++)
                u[j] = capt_rng_u01(21, (uint64_t)j);
            if (what == 0)
                r->be->head_logits(r->be, out(r, M * V, 0, TOL), h, w, wp, b, M, V, D, ct);
            else if (what == 1)
                r->be->head_topk(r->be, out(r, M * k, 0, TOL), out_ints(r, M * k), h, w, wp, b, adj, V > 1 ? v : 0, k, M, V, D, ct);
            else
                r->be->head_sample(r->be, out_ints(r, M), out(r, M, 0, TOL), h, w, wp, b, u, v & 1 ? 0.7 : 1, ban, V > 2 ? v & 2 : 0, M, V, D, ct);
            unpack(r, wp);
        }
}
static void case_head_logits(struct run *r) { head(r, 0); }
static void case_head_topk(struct run *r) { head(r, 1); }
static void case_head_sample(struct run *r) { head(r, 2); }

static void case_mix_topk(struct run *r)
{
    for (int v = 0; v < 4; v++) {
        enum { M = 5, V = 143, D = 11 };
        capt_real *lp[3];
        int32_t perm[V];
        for (int j = 0; j < V; j++)
            perm[j] = (j * 7 + 3) % V;
        for (int m = 0; m < 3; m++) {
            lp[m] = tmp(r, M * V);
            r->be->head_logits(r->be, lp[m], in(r, M * D), in(r, V * D), NULL, NULL, M, V, D, CAPT_F32);
        }
        const int32_t *perms[3] = {NULL, ints(r, perm, V), NULL};
        static const double weights[] = {0.5, 0.2, 0.3};
        static const capt_adjust adj[] = {{2, 7, 4}, {0, 0, -INFINITY}};
        mark(r, "variant %d", v);
        r->be->mix_topk(r->be, out(r, M * 6, 0, TOL), out_ints(r, M * 6), (const capt_real *const *)lp, v & 2 ? perms : NULL, weights, 3, v & 1, adj, v & 2, 6, M, V);
    }
}

/* ---- recurrence and additive attention */
static void lstm(struct run *r, int backward)
{
    static const struct { int64_t R; int H; } s[] = {{1, 1}, {3, 7}, {5, 32}, {70, 257}};
    EACH(i, s)
        for (int v = 0; v < (backward ? 12 : 4); v++) {
            int64_t R = s[i].R, H = s[i].H;
            int kind = v & 1, first = v >> 1 & 1, skip = v >> 2, beta = v % 3 != 0;
            int64_t W = capt_lstm_gates(kind) * H, lda = W + 3;
            mark(r, "R %d, H %d, kind %d, first %d, skip %d, beta %d", (int)R, (int)H, kind, first, skip, beta);
            const capt_real *a = in(r, R * lda), *b = first ? NULL : in(r, R * W), *c0 = first ? NULL : in(r, R * H);
            capt_real *h = out(r, R * H, 0, TOL), *c = out(r, R * H, 0, TOL), *act = out(r, R * W, 0, TOL);
            r->be->lstm_fwd(r->be, h, c, act, a, lda, b, c0, R, (int)H, kind);
            if (!backward)
                continue;
            const capt_real *dh = skip == 1 ? NULL : in(r, R * H), *dc = skip == 2 ? NULL : in(r, R * H);
            capt_real *da = skip == 1 ? NULL : out(r, R * lda, 1, 5 * TOL); /* between the rows nothing changes */
            r->be->lstm_bwd(r->be, da, lda, beta, skip == 2 ? NULL : out(r, R * W, beta, 5 * TOL), beta, first ? NULL : out(r, R * H, beta, 5 * TOL), beta, dh, dc, act, c0, c, R, (int)H, kind);
        }
}
static void case_lstm_fwd(struct run *r) { lstm(r, 0); }
static void case_lstm_bwd(struct run *r) { lstm(r, 1); }

static void visatt(struct run *r, int backward)
{
    static const struct { int R, S, A, D; } s[] = {{1, 1, 1, 1}, {4, 3, 7, 5}, {9, 50, 33, 70}, {9, 196, 128, 65}};
    static const int32_t row_image[] = {0, 1, 1, 2, 0, 1, 2, 2, 0};
    EACH(i, s)
        for (int v = 0; v < (backward ? 8 : 2); v++) {
            int64_t R = s[i].R, S = s[i].S, A = s[i].A, D = s[i].D;
            int skip = v >> 1, beta = v & 1;
            int32_t len[3] = {(int32_t)S, (int32_t)S / 2, 0};
            mark(r, "R %d, S %d, A %d, D %d, variant %d", (int)R, (int)S, (int)A, (int)D, v);
            capt_visatt a = {3, (int)R, (int)S, (int)A, (int)D, v & 1 ? CAPT_MAP_relu : CAPT_MAP_tanh, ints(r, row_image, R), v & 1 ? ints(r, len, 3) : NULL};
            const capt_real *p = in(r, 3 * S * A), *q = in(r, R * A), *w = in(r, A), *x = in(r, 3 * S * D);
            capt_real *al = out(r, R * S, 0, TOL), *z = out(r, R * D, 0, TOL);
            r->be->visatt_fwd(r->be, z, al, p, q, w, x, &a);
            if (!backward)
                continue;
            const capt_real *dz = skip == 1 ? NULL : in(r, R * D), *dal = skip == 2 ? NULL : in(r, R * S);
            capt_real *dp = skip == 3 ? NULL : out(r, 3 * S * A, beta, 5 * TOL), *dq = skip == 3 ? NULL : out(r, R * A, beta, 5 * TOL), *dw = skip == 1 ? NULL : out(r, A, beta, 5 * TOL),
                      *dv = skip == 2 ? NULL : out(r, 3 * S * D, beta, 5 * TOL);
            if (S > 1) /* the softmax of one row has no gradient but rounding */
                r->be->visatt_bwd(r->be, dp, beta, dq, beta, dw, beta, dv, beta, dz, dal, al, p, q, w, x, &a);
            else
                r->be->visatt_bwd(r->be, NULL, 0, NULL, 0, NULL, 0, dv, beta, dz, dal, al, p, q, w, x, &a);
            if (S == 1 && !beta) { /* not asked for: written here */
                if (dp)
                    r->be->fill(r->be, dp, 3 * S * A, 0);
                if (dq)
                    r->be->fill(r->be, dq, R * A, 0);
                if (dw)
                    r->be->fill(r->be, dw, A, 0);
            }
        }
}
static void case_visatt_fwd(struct run *r) { visatt(r, 0); }
static void case_visatt_bwd(struct run *r) { visatt(r, 1); }

static void coverage(struct run *r, int backward)
{
    static const struct { int T, S; } s[] = {{1, 1}, {4, 7}, {20, 196}};
    EACH(i, s)
        for (int beta = 0; beta < 2; beta++) {
            int64_t R = 5, T = s[i].T, S = s[i].S;
            int32_t t[5] = {(int32_t)T, 1, 0, (int32_t)T / 2, 1}, n[5] = {(int32_t)S, (int32_t)S, 1, 0, (int32_t)S / 2};
            const int32_t *dt = ints(r, t, 5), *dn = ints(r, n, 5);
            const capt_real *target = values(r, R, 0, 0.5, 0, 0);
            mark(r, "T %d, S %d, beta %d", (int)T, (int)S, beta);
            capt_real *cover = out(r, R * S, 0, TOL);
            r->be->coverage_fwd(r->be, out(r, R, 0, TOL), cover, in(r, R * T * S), dt, dn, target, 0.7, R, (int)T, (int)S);
            if (backward)
                r->be->coverage_bwd(r->be, out(r, R * T * S, beta, TOL), beta, cover, dt, dn, target, 0.7, R, (int)T, (int)S);
        }
}
static void case_coverage_fwd(struct run *r) { coverage(r, 0); }
static void case_coverage_bwd(struct run *r) { coverage(r, 1); }

static void mean_rows(struct run *r, int backward)
{
    static const struct { int S, D; } s[] = {{1, 1}, {3, 7}, {49, 800}};
    EACH(i, s)
        for (int v = 0; v < 4; v++) {
            int64_t I = 3, S = s[i].S, D = s[i].D;
            int beta = v & 1;
            int32_t len[3] = {(int32_t)S, 0, (int32_t)(S + 1) / 2};
            const int32_t *dev = v >> 1 ? ints(r, len, 3) : NULL;
            mark(r, "S %d, D %d, variant %d", (int)S, (int)D, v);
            if (backward)
                r->be->mean_rows_bwd(r->be, out(r, I * S * D, beta, TOL), beta, in(r, I * D), dev, I, (int)S, (int)D);
            else
                r->be->mean_rows_fwd(r->be, out(r, I * D, 0, TOL), in(r, I * S * D), dev, I, (int)S, (int)D);
        }
}
static void case_mean_rows_fwd(struct run *r) { mean_rows(r, 0); }
static void case_mean_rows_bwd(struct run *r) { mean_rows(r, 1); }

/* ---- optimiser */
static void case_adamw(struct run *r)
{
    static const capt_adamw hp = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .decay = 0.05, .c1 = 0.19, .c2 = 0.0199, .gscale = 0.5};
    EACH(i, lengths) {
        int64_t n = lengths[i];
        mark(r, "n %d", (int)n);
        r->be->adamw(r->be, out(r, n, 1, TOL), in(r, n), out(r, n, 1, TOL), values(r, n, 0, 1.1, 1, TOL), n, &hp, NULL);
        capt_adamw cut = hp;
        cut.glimit = 0.1;
        r->be->adamw(r->be, out(r, n, 1, TOL), in(r, n), out(r, n, 1, TOL), values(r, n, 0, 1.1, 1, TOL), n, &cut, NULL);
    }
    for (int v = 0; v < 2; v++) { /* the packed form is that of the new weights */
        enum { M = 5, N = 37, K = 29 };
        int ct = (int)cts[v];
        mark(r, "packed, ct %d", ct);
        capt_real *w = values(r, N * K, 0, 0, 0, 0);
        capt_weight *wp = pack(r, w, N, K, ct, 1);
        capt_adamw far = hp;
        far.lr = 0.5;
        r->be->adamw(r->be, w, in(r, N * K), out(r, N * K, 1, TOL), values(r, N * K, 0, 1.1, 1, TOL), N * K, &far, wp);
        r->be->linear_fwd(r->be, out(r, M * N, 0, ct == CAPT_BF16 ? TOL_BF16 : 5 * TOL), NULL, in(r, M * K), w, wp, NULL, M, N, K, CAPT_MAP_none, ct);
        r->be->linear_bwd_x(r->be, out(r, M * K, 0, ct == CAPT_BF16 ? TOL_BF16 : 5 * TOL), 0, in(r, M * N), w, wp, M, N, K, ct);
        unpack(r, wp);
    }
}
static void case_sumsq(struct run *r)
{
    EACH(i, lengths) {
        double s = NAN;
        r->be->sumsq(r->be, &s, in(r, lengths[i]), lengths[i]);
        capt_real v = (capt_real)s;
        buffer(r, &v, 1, sizeof v, 1, 1e-6);
    }
}

/* backends besides ref; isa is CAPT_CPU_ISA, which lowers what cpu uses */
static const struct other { const char *name, *isa; } others[] = {
    {"guard", ""}, {"cpu", ""}, {"cpu", "avx512"}, {"cpu", "avx2"}, {"cpu", "portable"}, {"cuda", ""},
};

/* NULL: not on this machine or in this build; main prints which are */
static capt_backend *other_open(const struct other *o)
{
    if (o->isa[0])
        setenv("CAPT_CPU_ISA", o->isa, 1);
    else
        unsetenv("CAPT_CPU_ISA");
    return capt_backend_open(o->name, NULL, NULL);
}

static const struct kernel { const char *name; void (*run)(struct run *r); } kernels[] = {
#define KERNEL(name, parameters, arguments) {#name, case_##name},
#include "backend/kernel.def"
#undef KERNEL
};
enum { N_KERNELS = sizeof kernels / sizeof *kernels };

/* Runs the cases of a kernel, or a sample case of an operator, and fetches its outputs. */
static struct run *run(const char *backend, int threads, const struct kernel *k)
{
    struct run *r = calloc(1, sizeof *r);
    capt_err err = CAPT_ERR_INIT;
    capt_pool *pool = threads > 1 ? capt_pool_new(threads, NULL) : NULL;
    r->be = capt_backend_open(backend, pool, &err);
    if (!r->be)
        fail_msg("%s", err.text);
    k->run(r);
    for (int i = 0; i < r->n; i++) {
        struct buf *b = &r->b[i];
        size_t n = (size_t)b->n * b->size;
        b->host = malloc(n + TAIL * b->size);
        r->be->download(r->be, b->host, b->dev, n + TAIL * b->size);
        for (size_t j = 0; j < TAIL * b->size; j++)
            if (((unsigned char *)b->host)[n + j] != 0x5a)
                fail_msg("%s on %s: %s: buffer %d of %d elements overrun", k->name, backend, b->what, i, (int)b->n);
        r->be->free(r->be, b->dev);
    }
    if (r->be->check(r->be, &err))
        fail_msg("%s on %s: %s", k->name, backend, err.text);
    capt_backend_close(r->be);
    capt_pool_free(pool);
    return r;
}

static void run_free(struct run *r)
{
    for (int i = 0; i < r->n; i++)
        free(r->b[i].host);
    free(r);
}

static void compare(const char *kernel, const char *backend, const struct buf *a, const struct buf *b)
{
    assert_int_equal(a->n, b->n);
    if (a->size != sizeof(capt_real) || a->tol == 0) {
        if (memcmp(a->host, b->host, (size_t)a->n * a->size) != 0)
            fail_msg("%s on %s: %s: not equal", kernel, backend, a->what);
        return;
    }
    const capt_real *x = a->host, *y = b->host;
    double max = 0;
    for (int64_t i = 0; i < a->n; i++)
        max = isfinite(x[i]) && fabs((double)x[i]) > max ? fabs((double)x[i]) : max;
    for (int64_t i = 0; i < a->n; i++) {
        if (isnan(x[i]))
            fail_msg("%s on ref: %s: element %d is NaN", kernel, a->what, (int)i);
        if (x[i] != y[i] && !(fabs((double)x[i] - (double)y[i]) <= a->tol * max))
            fail_msg("%s on %s: %s: element %d of %d is %.9g, on ref %.9g (largest %.3g)", kernel, backend, a->what, (int)i, (int)a->n, (double)y[i],
                     (double)x[i], max);
    }
}

static void check_kernel(void **state)
{
    const struct kernel *k = *state;
    struct run *ref = run("ref", 1, k);
    int outputs = 0;
    for (int i = 0; i < ref->n; i++) {
        outputs += ref->b[i].output;
        if (ref->b[i].output)
            compare(k->name, "ref", &ref->b[i], &ref->b[i]);
    }
    assert_true(outputs > 0);
    EACH(o, others) {
        capt_backend *be = other_open(&others[o]);
        if (!be)
            continue;
        char name[64];
        snprintf(name, sizeof name, "%s (%s)", be->name, be->isa);
        capt_backend_close(be);
        struct run *r = run(others[o].name, 1, k), *threads = strcmp(others[o].name, "cpu") == 0 ? run("cpu", 3, k) : NULL;
        assert_int_equal(r->n, ref->n);
        for (int i = 0; i < r->n; i++)
            if (ref->b[i].output) {
                compare(k->name, name, &ref->b[i], &r->b[i]);
                if (threads && memcmp(r->b[i].host, threads->b[i].host, (size_t)r->b[i].n * r->b[i].size) != 0)
                    fail_msg("%s on %s: %s: depends on the number of threads", k->name, name, r->b[i].what);
            }
        run_free(r);
        if (threads)
            run_free(threads);
    }
    run_free(ref);
}

/* Every operator's sample cases: outputs and gradients as on ref. */
static void check_op(void **state)
{
    const struct op_case *k = *state;
    capt_real *first[MAX_IN + 1] = {NULL};
    for (int b = -1; b < (int)(sizeof others / sizeof *others); b++) {
        capt_backend *be = b < 0 ? capt_backend_open("ref", NULL, NULL) : other_open(&others[b]);
        if (!be)
            continue;
        capt_ctx *c = capt_ctx_new(be, CAPT_F32, NULL);
        struct operands o;
        operands_new(&o, k, be);
        capt_real y[MAX_OUT];
        int64_t n;
        case_run(k, c, &o, 1, y, &n);
        for (int i = -1; i < o.n; i++) {
            if (i >= 0 && !o.t[i].needs_grad)
                continue;
            struct buf ref = {.n = i < 0 ? n : capt_tensor_numel(&o.t[i]), .size = sizeof *y, .tol = 5 * TOL}, got = ref;
            got.host = malloc((size_t)got.n * sizeof *y);
            if (i < 0)
                memcpy(got.host, y, (size_t)n * sizeof *y);
            else
                be->download(be, got.host, o.t[i].grad, (size_t)got.n * sizeof *y);
            snprintf(ref.what, sizeof ref.what, i < 0 ? "output" : "gradient %d", i);
            if (b < 0)
                first[i + 1] = got.host;
            else {
                ref.host = first[i + 1];
                compare(k->name, be->isa, &ref, &got);
                free(got.host);
            }
        }
        operands_free(&o, be);
        capt_ctx_free(c);
        capt_backend_close(be);
    }
    for (int i = 0; i <= MAX_IN; i++)
        free(first[i]);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    printf("# backends: %s\n", capt_backend_list());
    struct CMUnitTest tests[N_KERNELS + N_OP_CASES];
    for (int i = 0; i < N_KERNELS; i++)
        tests[i] = (struct CMUnitTest){kernels[i].name, check_kernel, NULL, NULL, (void *)(uintptr_t)&kernels[i]};
    for (int i = 0; i < N_OP_CASES; i++)
        tests[N_KERNELS + i] = (struct CMUnitTest){op_cases[i].name, check_op, NULL, NULL, (void *)(uintptr_t)&op_cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
