/* Values of the reference kernels against definitions written down independently, in double. What only differentiates them (grad_test) or compares
 * backends (parity_test) would not see a wrong value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "backend/backend.h"
#include "base/bf16.h"
#include "base/rng.h"

static capt_backend *be;
static uint64_t seed;
#define NEAR(a, b) do { \
        double a_ = (double)(a), b_ = (double)(b); \
        if (!(fabs(a_ - b_) <= 2e-5 * (1 + fabs(b_)))) \
            fail_msg("%s: %.9g, not %.9g", #a, a_, b_); \
    } while (0)

static int setup(void **state)
{
    be = capt_backend_open("ref", NULL, NULL);
    return be ? 0 : -1;
}

static int teardown(void **state)
{
    capt_backend_close(be);
    return 0;
}

static void fill(capt_real *v, int n)
{
    seed++;
    for (int i = 0; i < n; i++)
        v[i] = (capt_real)capt_rng_normal(seed, (uint64_t)i);
}

static void maps(void **state)
{
    const capt_real x[] = {-2, -0.5f, 0, 1.5f};
    capt_real y[4];
    for (int f = 0; f < CAPT_N_MAP; f++) {
        be->map_fwd(be, f, y, x, 4);
        for (int i = 0; i < 4; i++) {
            double v = (double)x[i], want = NAN;
            switch (f) {
            case CAPT_MAP_none: want = v; break;
            case CAPT_MAP_relu: want = fmax(v, 0); break;
            case CAPT_MAP_tanh: want = tanh(v); break;
            case CAPT_MAP_sigmoid: want = 1 / (1 + exp(-v)); break;
            case CAPT_MAP_gelu: want = 0.5 * v * (1 + tanh(sqrt(2 / M_PI) * (v + 0.044715 * v * v * v))); break;
            case CAPT_MAP_gelu_erf: want = 0.5 * v * (1 + erf(v / sqrt(2))); break;
            case CAPT_MAP_quickgelu: want = v / (1 + exp(-1.702 * v)); break;
            }
            NEAR(y[i], want);
        }
    }
}

static double operand(capt_real v, int ct)
{
    return ct == CAPT_BF16 ? (double)capt_bf16_to_f32(capt_bf16_from_f32((float)v)) : (double)v;
}

static void linear(void **state)
{
    enum { M = 7, N = 300, K = 13 };
    static capt_real x[M * K], w[N * K], b[N], y[M * N], pre[M * N];
    fill(x, M * K);
    fill(w, N * K);
    fill(b, N);
    for (int ct = CAPT_F32; ct <= CAPT_BF16; ct += CAPT_BF16) {
        be->linear_fwd(be, y, pre, x, w, NULL, b, M, N, K, CAPT_MAP_tanh, ct);
        for (int i = 0; i < M; i++)
            for (int j = 0; j < N; j++) {
                double s = (double)b[j];
                for (int k = 0; k < K; k++)
                    s += operand(x[i * K + k], ct) * operand(w[j * K + k], ct);
                NEAR(pre[i * N + j], s);
                NEAR(y[i * N + j], tanh(s));
            }
    }
}

static void convolution(void **state)
{
    const capt_conv c = {.B = 2, .H = 6, .W = 5, .C = 3, .N = 4, .kh = 3, .kw = 2, .stride = 2, .pad = 1, .OH = 3, .OW = 3};
    capt_real x[2 * 6 * 5 * 3], w[4 * 3 * 2 * 3], b[4], y[2 * 3 * 3 * 4];
    fill(x, 180);
    fill(w, 72);
    fill(b, 4);
    be->conv_fwd(be, y, x, w, NULL, b, &c, CAPT_F32);
    for (int i = 0; i < 2; i++)
        for (int oy = 0; oy < 3; oy++)
            for (int ox = 0; ox < 3; ox++)
                for (int n = 0; n < 4; n++) {
                    double s = (double)b[n];
                    for (int ky = 0; ky < 3; ky++)
                        for (int kx = 0; kx < 2; kx++)
                            for (int j = 0; j < 3; j++) {
                                int iy = 2 * oy + ky - 1, ix = 2 * ox + kx - 1;
                                if (iy >= 0 && iy < 6 && ix >= 0 && ix < 5)
                                    s += (double)x[((i * 6 + iy) * 5 + ix) * 3 + j] * (double)w[((n * 3 + ky) * 2 + kx) * 3 + j];
                            }
                    NEAR(y[((i * 3 + oy) * 3 + ox) * 4 + n], s);
                }
}

static void norms(void **state)
{
    enum { R = 6, D = 5 };
    capt_real x[R * D], g[D], b[D], y[R * D], mean[R], rstd[R], rm[D] = {1, 2, 3, 4, 5}, rv[D] = {1, 2, 3, 4, 5};
    fill(x, R * D);
    fill(g, D);
    fill(b, D);
    be->layernorm_fwd(be, y, mean, rstd, x, g, b, R, D, 0.01);
    for (int r = 0; r < R; r++) {
        double m = 0, v = 0;
        for (int j = 0; j < D; j++)
            m += (double)x[r * D + j] / D;
        for (int j = 0; j < D; j++)
            v += pow((double)x[r * D + j] - m, 2) / D;
        for (int j = 0; j < D; j++)
            NEAR(y[r * D + j], ((double)x[r * D + j] - m) / sqrt(v + 0.01) * (double)g[j] + (double)b[j]);
    }
    be->batchnorm_fwd(be, y, mean, rstd, x, g, b, rm, rv, R, D, 0.01, 0.1, 1, 0);
    for (int j = 0; j < D; j++) {
        double m = 0, v = 0;
        for (int r = 0; r < R; r++)
            m += (double)x[r * D + j] / R;
        for (int r = 0; r < R; r++)
            v += pow((double)x[r * D + j] - m, 2) / R;
        NEAR(rm[j], 0.9 * (j + 1) + 0.1 * m);
        NEAR(rv[j], 0.9 * (j + 1) + 0.1 * v * R / (R - 1));
        for (int r = 0; r < R; r++)
            NEAR(y[r * D + j], ((double)x[r * D + j] - m) / sqrt(v + 0.01) * (double)g[j] + (double)b[j]);
    }
    be->batchnorm_fwd(be, y, mean, rstd, x, g, b, rm, rv, R, D, 0.01, 0.1, 0, 1);
    for (int i = 0; i < R * D; i++)
        NEAR(y[i], fmax(0, ((double)x[i] - (double)rm[i % D]) / sqrt((double)rv[i % D] + 0.01) * (double)g[i % D] + (double)b[i % D]));
}

/* causal attention over packed rows; a step over the past (through the ancestry) and over shared keys gives the same rows */
static void attention(void **state)
{
    enum { T = 5, H = 2, DH = 3, D = H * DH };
    capt_real qkv[T * 3 * D], o[T * D], lse[H * T], step[D];
    fill(qkv, T * 3 * D);
    int32_t anc[T], zero[1] = {0}, len[1] = {4};
    capt_attn a = {.B = 1, .Tq = T, .Tk = T, .H = H, .dh = DH, .q_row = 3 * D, .k_row = 3 * D, .v_row = 3 * D, .causal = 0, .scale = 0.7};
    be->attn_fwd(be, o, lse, qkv, qkv + D, qkv + 2 * D, &a);
    for (int t = 0; t < T; t++)
        for (int h = 0; h < H; h++) {
            double p[T], sum = 0;
            for (int k = 0; k <= t; k++) {
                double s = 0;
                for (int j = 0; j < DH; j++)
                    s += (double)qkv[t * 3 * D + h * DH + j] * (double)qkv[k * 3 * D + D + h * DH + j];
                p[k] = exp(0.7 * s);
                sum += p[k];
            }
            NEAR(lse[h * T + t], log(sum));
            for (int j = 0; j < DH; j++) {
                double v = 0;
                for (int k = 0; k <= t; k++)
                    v += p[k] / sum * (double)qkv[k * 3 * D + 2 * D + h * DH + j];
                NEAR(o[(t * H + h) * DH + j], v);
            }
        }
    /* row 0 of one: its token t lies in slot t % 2 of step t */
    capt_real past[T * 2 * 2 * D];
    fill(past, T * 2 * 2 * D);
    for (int t = 0; t < T; t++) {
        anc[t] = t % 2;
        memcpy(past + (t * 2 + t % 2) * 2 * D, qkv + t * 3 * D + D, 2 * D * sizeof *past);
    }
    int32_t ancestry[T * 2];
    for (int t = 0; t < T; t++)
        ancestry[t * 2] = anc[t], ancestry[t * 2 + 1] = -1;
    for (int shared = 0; shared < T; shared++) { /* the first keys as the image's, the rest as its own */
        len[0] = shared;
        capt_attn_step s = {.R = 1, .H = H, .dh = DH, .q_row = 3 * D, .scale = 0.7, .sk = shared ? qkv + D : NULL, .sv = shared ? qkv + 2 * D : NULL,
                            .s_row = 3 * D, .S = shared ? T : 0, .s_len = len, .row_image = zero, .ok = past + shared * 2 * 2 * D,
                            .ov = past + shared * 2 * 2 * D + D, .o_row = 2 * D, .T = T - shared, .slots = 2, .anc = ancestry + shared * 2};
        be->attn_step(be, step, qkv + (T - 1) * 3 * D, &s);
        for (int j = 0; j < D; j++)
            NEAR(step[j], o[(T - 1) * D + j]);
    }
}

/* logits = h (identity weights): 2 rows of 5 */
static const capt_real logits[] = {0, 2, 1, 2, -1, 3, 0, 0, 1, 3};
static capt_real eye[25];

static void head(void **state)
{
    for (int i = 0; i < 5; i++)
        eye[i * 6] = 1;
    double lse[2] = {0, 0};
    for (int i = 0; i < 10; i++)
        lse[i / 5] += exp((double)logits[i]);
    lse[0] = log(lse[0]);
    lse[1] = log(lse[1]);
    capt_real loss[2], save[10], stat[4], logp[10], val[6];
    const capt_real weight[] = {2, -0.5f};
    const int32_t target[] = {2, 0};
    int32_t idx[6];
    be->head_xent_fwd(be, loss, save, stat, logits, eye, NULL, NULL, target, weight, 0.2, 2, 5, 5, CAPT_F32);
    NEAR(loss[0], 2 * (0.8 * (lse[0] - 1) + 0.2 * (lse[0] - 0.8)));
    NEAR(loss[1], -0.5 * (0.8 * (lse[1] - 3) + 0.2 * (lse[1] - 1.4)));
    be->head_logits(be, logp, logits, eye, NULL, NULL, 2, 5, 5, CAPT_F32);
    for (int i = 0; i < 10; i++)
        NEAR(logp[i], (double)logits[i] - lse[i / 5]);

    be->head_topk(be, val, idx, logits, eye, NULL, NULL, NULL, 0, 3, 2, 5, 5, CAPT_F32); /* ties: the lower id first */
    const int32_t plain[] = {1, 3, 2, 0, 4, 3};
    assert_memory_equal(idx, plain, sizeof plain);
    NEAR(val[0], 2 - lse[0]);
    NEAR(val[5], 1 - lse[1]);
    be->head_topk(be, val, idx, logits, eye, NULL, NULL, NULL, 0, 1, 2, 5, 5, CAPT_F32); /* also across the last place */
    assert_true(idx[0] == 1 && idx[1] == 0);
    const capt_adjust adj[] = {{0, 1, -INFINITY}, {0, 4, 2}, {0, 4, 3}, {1, 0, -1}}; /* after the normalisation; two on one entry add */
    be->head_topk(be, val, idx, logits, eye, NULL, NULL, adj, 4, 3, 2, 5, 5, CAPT_F32);
    const int32_t adjusted[] = {4, 3, 2, 4, 0, 3};
    assert_memory_equal(idx, adjusted, sizeof adjusted);
    NEAR(val[0], -1 - lse[0]); /* ranked with what is added, told without */
    NEAR(val[4], 3 - lse[1]);
    be->head_topk(be, val, idx, logits, eye, NULL, NULL, (const capt_adjust[]){{0, 1, -INFINITY}, {0, 1, 5}}, 2, 5, 1, 5, 5, CAPT_F32);
    assert_int_equal(idx[4], 1);
    assert_true(val[4] == -INFINITY);
}

static void sample(void **state)
{
    enum { N = 4000 };
    const int32_t ban[] = {3};
    int count[5] = {0};
    double total = 0, lse = 0, edge[5];
    for (int j = 0; j < 5; j++) {
        lse += exp((double)logits[j]);
        total += j == 3 ? 0 : exp((double)logits[j] / 0.5);
        edge[j] = total;
    }
    capt_real lp;
    int32_t token;
    for (int i = 0; i < N; i++) {
        double u = (i + 0.5) / N;
        be->head_sample(be, &token, &lp, logits, eye, NULL, NULL, &u, 0.5, ban, 1, 1, 5, 5, CAPT_F32);
        assert_in_range(token, 0, 4);
        assert_true(u * total <= edge[token] + 1e-4 && (token == 0 || u * total >= edge[token - 1] - 1e-4));
        NEAR(lp, (double)logits[token] - log(lse)); /* temperature 1, nothing banned */
        count[token]++;
    }
    assert_int_equal(count[3], 0);
    assert_in_range(count[4], 1, N / 20);
    double u = 1; /* rounding at the end falls to the last allowed token */
    be->head_sample(be, &token, &lp, logits, eye, NULL, NULL, &u, 1, (const int32_t[]){4}, 1, 1, 5, 5, CAPT_F32);
    assert_int_equal(token, 3);
}

static void mix(void **state)
{
    const capt_real a[] = {(capt_real)log(0.5), (capt_real)log(0.3), (capt_real)log(0.2)}, b[] = {(capt_real)log(0.1), (capt_real)log(0.2), (capt_real)log(0.7)};
    const capt_real *lp[] = {a, b};
    const int32_t perm[] = {2, 0, 1}, *perms[] = {NULL, perm}; /* the second member's ids: 0.7, 0.1, 0.2 */
    const double w[] = {0.75, 0.25};
    capt_real val[3];
    int32_t idx[3];
    be->mix_topk(be, val, idx, lp, perms, w, 2, 0, NULL, 0, 3, 1, 3);
    const int32_t order[] = {0, 1, 2};
    assert_memory_equal(idx, order, sizeof order);
    NEAR(val[0], log(0.75 * 0.5 + 0.25 * 0.7));
    NEAR(val[1], log(0.75 * 0.3 + 0.25 * 0.1));
    be->mix_topk(be, val, idx, lp, NULL, w, 2, 1, &(capt_adjust){0, 2, 9}, 1, 3, 1, 3);
    assert_int_equal(idx[0], 2);
    NEAR(val[0], 0.75 * log(0.2) + 0.25 * log(0.7));
    NEAR(val[1], 0.75 * log(0.5) + 0.25 * log(0.1));
}

static void adamw(void **state)
{
    capt_real w = 1, g = 0.5f, m = 0, v = 0;
    double W = 1, M = 0, V = 0;
    for (int t = 1; t <= 3; t++) {
        capt_adamw hp = {.lr = 0.1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-3, .decay = 0.02, .c1 = 1 - pow(0.9, t), .c2 = 1 - pow(0.99, t), .gscale = 2};
        be->adamw(be, &w, &g, &m, &v, 1, &hp, NULL);
        M = 0.9 * M + 0.1 * 1.0;
        V = 0.99 * V + 0.01 * 1.0;
        W -= 0.1 * (M / (1 - pow(0.9, t)) / (sqrt(V / (1 - pow(0.99, t))) + 1e-3) + 0.02 * W);
        NEAR(w, W);
        NEAR(m, M);
        NEAR(v, V);
    }
    for (int sign = -1; sign <= 1; sign += 2) { /* a value beyond the limit counts as the limit, after scaling */
        capt_adamw hp = {.lr = 0.1, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-3, .c1 = 0.1, .c2 = 0.01, .gscale = 2, .glimit = 0.75};
        capt_real two[] = {0, 0}, grad[] = {(capt_real)(sign * 0.5), (capt_real)(sign * 0.25)}, first[] = {0, 0}, second[] = {0, 0};
        be->adamw(be, two, grad, first, second, 2, &hp, NULL);
        NEAR(first[0], sign * 0.075);
        NEAR(second[0], 0.01 * 0.75 * 0.75);
        NEAR(first[1], sign * 0.05);
    }
    const capt_real x[] = {3, -4, INFINITY}, y[] = {NAN};
    double s;
    be->sumsq(be, &s, x, 2);
    assert_true(s == 25);
    be->sumsq(be, &s, x, 3);
    assert_true(isinf(s));
    be->sumsq(be, &s, y, 1);
    assert_true(isnan(s));
}

static void moves(void **state)
{
    const capt_real x[] = {1, 2, 3, 4, 5, 6};
    const int32_t idx[] = {2, 0, 2};
    capt_real y[6], d[6];
    be->gather(be, y, x, idx, 3, 2);
    assert_memory_equal(y, ((capt_real[]){5, 6, 1, 2, 5, 6}), sizeof y);
    be->scatter_add(be, d, 0, y, idx, 3, 3, 2);
    assert_memory_equal(d, ((capt_real[]){1, 2, 0, 0, 10, 12}), sizeof d);
    be->add_rows(be, y, x, x, 3, 1, 2);
    assert_memory_equal(y, ((capt_real[]){2, 4, 4, 6, 6, 8}), sizeof y);
    be->sum_rows(be, d, 0, x, 3, 1, 2);
    assert_true(d[0] == 9 && d[1] == 12);
    be->copy2d(be, y, 3, 0, x + 1, 2, 2, 1);
    assert_true(y[0] == 2 && y[1] == 4 && y[3] == 4);
    be->avgpool_fwd(be, y, x, 1, 3, 2, 1, 2, 2);
    assert_true(y[0] == 2.5f);
    be->pixels(be, y, (const uint8_t[]){0, 51, 255}, 1, (const float[]){0.5f, 0.25f, 0}, (const float[]){0.5f, 0.25f, 0.125f});
    NEAR(y[0], -1);
    NEAR(y[1], -0.2);
    NEAR(y[2], 8);
    uint32_t word[4]; /* dropout's mask is the one its definition names */
    for (int i = 0; i < 6; i++) {
        be->dropout(be, y, 0, x, 6, 0.25, 77, 5);
        capt_philox(77, (uint64_t)(i + 5) >> 2, 0, word);
        NEAR(y[i], word[(i + 5) & 3] >= 0x40000000u ? (double)x[i] / 0.75 : 0);
    }
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {cmocka_unit_test(maps), cmocka_unit_test(linear), cmocka_unit_test(convolution), cmocka_unit_test(norms),
                                       cmocka_unit_test(attention), cmocka_unit_test(head), cmocka_unit_test(sample), cmocka_unit_test(mix),
                                       cmocka_unit_test(adamw), cmocka_unit_test(moves)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
