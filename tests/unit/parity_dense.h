/* Cases of the kernels that work element by element, row by row, on matrices and on pictures. */
#ifndef CAPT_TESTS_PARITY_DENSE_H
#define CAPT_TESTS_PARITY_DENSE_H
#include "parity_rig.h"

/* ---- elementwise */
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
    for (int beta = 0; beta < 2; beta++) { /* without gaps: more than one task's */
        r->be->copy2d(r->be, out(r, 40007, beta, TOL), 40007, beta, in(r, 40007), 40007, 1, 40007);
        r->be->copy2d(r->be, out(r, 131 * 257, beta, TOL), 257, beta, in(r, 131 * 257), 257, 131, 257);
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
    static const struct { int64_t rows; int C; } s[] = {{0, 7}, {2, 1}, {9, 7}, {33, 64}, {1500, 33}};
    EACH(i, s)
        for (int v = 0; v < (backward ? 24 : 4); v++) {
            int64_t rows = s[i].rows, C = s[i].C, n = rows * C;
            int train = v & 1, relu = v >> 1 & 1, beta = v >> 2 & 1, skip = v >> 3;
            if (train && rows == 0) /* there is no mean */
                continue;
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
static const struct { int64_t M; int N, K; } mnk[] = {{0, 5, 7}, {1, 1, 1}, {3, 5, 7}, {1, 129, 65}, {7, 17, 32}, {33, 64, 100}, {130, 200, 259}, {5, 1000, 48}};
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
        r->be->linear_fwd(r->be, out(r, M * N, 0, TOL), NULL, in(r, M * K), w, wp, NULL, M, N, K, CAPT_MAP_none, ct); /* which fills it */
        r->be->linear_bwd_x(r->be, out(r, M * K, 0, TOL), 0, in(r, M * N), w, wp, M, N, K, ct);
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
    /* rows longer than a tile and shorter, one channel more than a panel, pixels of 2 and of 4 KiB of channels, no border and a wide one, windows that are no squares,
     * strides, patches 4 KiB apart; no images */
    {2, 17, 19, 32, 33, 3, 3, 1, 1, 17, 19}, {3, 4, 29, 33, 300, 3, 3, 1, 1, 4, 29}, {1, 3, 15, 512, 5, 3, 3, 1, 1, 3, 15}, {1, 16, 20, 64, 40, 5, 5, 1, 2, 16, 20},
    {1, 12, 30, 32, 12, 3, 3, 1, 0, 10, 28}, {2, 6, 21, 32, 8, 2, 3, 1, 1, 7, 21}, {2, 20, 18, 6, 7, 3, 3, 2, 1, 10, 9}, {1, 40, 41, 3, 9, 7, 7, 2, 3, 20, 21},
    {1, 3, 18, 4, 3, 3, 3, 1, 2, 5, 20}, {2, 5, 7, 8, 260, 3, 3, 1, 1, 5, 7}, {1, 20, 40, 33, 20, 3, 3, 1, 1, 20, 40},
    {1, 3, 15, 1024, 5, 3, 3, 1, 1, 3, 15}, {1, 5, 30, 512, 5, 3, 3, 2, 1, 3, 15}, {2, 32, 32, 64, 17, 4, 4, 4, 0, 8, 8}, {0, 9, 20, 16, 32, 3, 3, 1, 1, 9, 20}, {0, 7, 6, 3, 5, 3, 3, 2, 1, 4, 3},
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
static void case_conv_norm_fwd(struct run *r)
{
    EACH(i, convs)
        for (int v = 0; v < 8; v++) {
            const capt_conv *c = &convs[i];
            int relu = v & 1, ct = v & 2 ? CAPT_BF16 : CAPT_F32, add = v >> 2;
            mark(r, "conv %d, ct %d, relu %d, add %d", (int)i, ct, relu, add);
            const capt_real *w = in(r, conv_w(c));
            capt_weight *wp = pack(r, w, c->N, c->kh * c->kw * c->C, ct, add);
            r->be->conv_norm_fwd(r->be, out(r, conv_y(c), 0, TOL), in(r, conv_x(c)), w, wp, in(r, c->N), in(r, c->N), in(r, c->N), values(r, c->N, 0, 1.5, 0, 0), 1e-5,
                                 add ? in(r, conv_y(c)) : NULL, relu, c, ct);
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
#endif
