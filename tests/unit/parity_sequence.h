/* Cases of the kernels of attention, of the head, of recurrence and of the optimiser. */
#ifndef CAPT_TESTS_PARITY_SEQUENCE_H
#define CAPT_TESTS_PARITY_SEQUENCE_H
#include "parity_rig.h"

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

/* Rows alone, in runs of one image as beams lie, and in runs of all lengths: shorter and longer than what a backend takes together, and cut by its tasks. */
static void case_attn_step(struct run *r)
{
    enum { ALONE, FIVES, UNEVEN };
    static const struct { int R, runs, H, dh, S, T; } s[] = {
        {5, ALONE, 1, 1, 1, 0},    {5, ALONE, 2, 7, 4, 0},     {5, ALONE, 2, 7, 0, 3},    {5, ALONE, 3, 33, 50, 20},  {5, ALONE, 2, 64, 10, 1},
        {40, FIVES, 3, 64, 17, 6}, {40, UNEVEN, 3, 64, 17, 6}, {40, UNEVEN, 2, 64, 0, 3}, {150, UNEVEN, 2, 33, 9, 2}, {150, UNEVEN, 2, 64, 9, 0},
    };
    static const int32_t alone[] = {0, 0, 2, 1, 2}, run[] = {1, 7, 2, 13, 4, 29, 3};
    enum { I = 3, MOST = 150, PAST = 20 };
    EACH(i, s)
        for (int lens = 0; lens < 2; lens++) {
            int R = s[i].R, H = s[i].H, dh = s[i].dh, D = H * dh, S = s[i].S, T = s[i].T, slots = R + 1;
            int32_t len[I] = {S, S > 1 ? S - 1 : S, (S + 1) / 2}, image[MOST], anc[PAST * (MOST + 1)];
            for (int row = 0, j = 0; row < R; j++)
                for (int n = s[i].runs == FIVES ? 5 : s[i].runs == UNEVEN ? run[j % 7] : 1; n > 0 && row < R; n--, row++)
                    image[row] = s[i].runs == ALONE ? alone[row] : j % I;
            for (int t = 0; t < T * slots; t++)
                anc[t] = (int32_t)capt_rng_below(4, (uint64_t)t, (uint64_t)slots);
            mark(r, "R %d, runs %d, H %d, dh %d, S %d, T %d, lengths %d", R, s[i].runs, H, dh, S, T, lens);
            capt_attn_step a = {.R = R, .H = H, .dh = dh, .q_row = 3 * D, .scale = 0.3, .S = S, .s_row = 2 * D, .T = T, .slots = slots, .o_row = D + 1};
            a.sk = S ? in(r, (int64_t)I * S * 2 * D) : NULL;
            a.sv = S ? a.sk + D : NULL;
            a.s_len = lens ? ints(r, len, I) : NULL;
            a.row_image = ints(r, image, R);
            a.ok = in(r, (T + 1) * slots * (D + 1));
            a.ov = in(r, (T + 1) * slots * (D + 1));
            a.anc = ints(r, anc, T ? T * slots : 1);
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
#endif
