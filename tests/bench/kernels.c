/* Times the cpu backend's kernels beside the peak of the multiply-add instruction in the same run.
 * kernels [-t THREADS] [-r ROUNDS] [START-OF-A-NAME]
 * One thread: processor time, so other load on the machine disturbs little; more: wall time, and how many times the speed of one thread that is, in turns. Each
 * figure is the median of the rounds; the share that of each round and the peak for the format (f32 or bf16) with as many threads just before and after it. With
 * PEER (a Python with torch) linear layers and convolutions run there too, in turns: torch's are oneDNN's and its BLAS's (tests/bench/peers/torch_kernels.py); the
 * ratio above 1 says that ours is faster. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "backend/backend.h"

#ifndef CAPT_REAL64
#include "tests/bench/measure.h"
#include "tests/bench/peer.h"
static int n_round = 5;
static const char *part = "";
static capt_pool *pool;
static capt_backend *be, *alone; /* alone: of one thread, where be has more */
static peer other;
static int with_peer;

static void *mem(size_t n)
{
    void *p = be->alloc(be, n);
    if (!p) {
        fprintf(stderr, "kernels: out of memory\n");
        exit(1);
    }
    return p;
}

static float *values(int64_t n)
{
    float *p = mem((size_t)n * sizeof *p);
    for (int64_t i = 0; i < n; i++)
        p[i] = (float)((i * 7919) % 2003) * 1e-3f - 1;
    return p;
}

/* runs CODE n_round times and prints a line; ops: operations; bytes: what must move at least */
#define TIME(ct, ops, bytes, CODE, ...) do { \
        char name_[100]; \
        snprintf(name_, sizeof name_, __VA_ARGS__); \
        if (strncmp(name_, part, strlen(part)) != 0) \
            break; \
        timed runs_ = {.n = 0}; \
        double other_[64], alone_[64], before_ = (ops) > 0 ? measure_peak(be, (ct) == CAPT_BF16) : 0; \
        int asked_ = with_peer && (strncmp(name_, "linear", 6) == 0 || strncmp(name_, "conv", 4) == 0); \
        CODE; \
        for (int i_ = 0; i_ < n_round; i_++) { \
            double t0_ = now(), t_; \
            int reps_ = 0; \
            do { CODE; reps_++; } while (now() - t0_ < 0.01); \
            t_ = (now() - t0_) / reps_; \
            double after_ = (ops) > 0 ? measure_peak(be, (ct) == CAPT_BF16) : 0; \
            timed_add(&runs_, t_, ops, before_, after_); \
            before_ = after_; \
            other_[i_] = asked_ ? peer_ask(&other, name_) : 0; \
            capt_backend *all_ = be; \
            be = alone ? alone : be; \
            t0_ = now(); \
            if (alone) \
                CODE; \
            alone_[i_] = alone ? now() - t0_ : 0; \
            be = all_; \
        } \
        report(name_, (ct) == CAPT_BF16, ops, bytes, &runs_, middle(other_, n_round), middle(alone_, n_round)); \
    } while (0)

static void report(const char *name, int bf16, double ops, double bytes, timed *r, double theirs, double alone_t)
{
    double t = middle(r->t, r->n), p = middle(r->peak, r->n);
    printf("%-44s %9.3f ms", name, t * 1e3);
    if (ops > 0)
        printf("  %7.1f GF/s", ops / t * 1e-9);
    if (ops > 0 && p > 0)
        printf(" %4.0f%% of %3.0f", 100 * middle(r->share, r->n), p);
    if (bf16 && p > 0 && ops > 0)
        printf(" (%.0f%% of f32's)", 100 * middle(r->share, r->n) * f32_peaks(be));
    if (alone_t > 0)
        printf("  %.2f of one thread", alone_t / t);
    if (bytes > 0)
        printf("  %6.1f GB/s", bytes / t * 1e-9);
    if (theirs > 0)
        printf("  | peer %9.3f ms  ratio %.2f", theirs * 1e3, theirs / t);
    printf("\n");
    fflush(stdout);
}

static int wanted(const char *group) /* saves making the data of groups not asked for */
{
    size_t n = strcspn(part, " ");
    return strncmp(part, group, n < strlen(group) ? n : strlen(group)) == 0;
}

static const char *ct_name(int ct) { return ct == CAPT_BF16 ? "bf16" : "f32"; }

static void linear(int M, int N, int K, int ct, int all)
{
    if (!wanted("linear"))
        return;
    double ops = 2.0 * M * N * K, bytes = (double)N * K * (ct == CAPT_BF16 ? 2 : 4);
    float *x = values((int64_t)M * K), *w = values((int64_t)N * K), *y = values((int64_t)M * N), *dw = values((int64_t)N * K), *b = values(N);
    capt_weight *wp;
    be->weight_new(be, &wp, NULL, N, K, ct);
    TIME(ct, ops, bytes, be->linear_fwd(be, y, NULL, x, w, wp, b, M, N, K, 0, ct), "linear %s forward %dx%dx%d", ct_name(ct), M, N, K);
    if (all) {
        TIME(ct, ops, 0, be->linear_bwd_x(be, x, 0, y, w, wp, M, N, K, ct), "linear %s dx %dx%dx%d", ct_name(ct), M, N, K);
        TIME(ct, ops, 0, be->linear_bwd_w(be, dw, 0, b, 0, y, x, M, N, K, ct), "linear %s dw %dx%dx%d", ct_name(ct), M, N, K);
    }
    be->weight_free(be, wp);
    be->free(be, x), be->free(be, w), be->free(be, y), be->free(be, dw), be->free(be, b);
}

static void head(int M, int V, int D, int ct)
{
    if (!wanted("head_"))
        return;
    double ops = 2.0 * M * V * D;
    float *h = values((int64_t)M * D), *w = values((int64_t)V * D), *b = values(V), *save = values((int64_t)M * V), *dw = values((int64_t)V * D), *dh = values((int64_t)M * D);
    enum { BEST = 6 };
    float *loss = values((int64_t)M * BEST), *stat = values(2 * M), *wt = values(M);
    int32_t *target = mem((size_t)M * 4), *idx = mem((size_t)M * BEST * 4);
    for (int i = 0; i < M; i++)
        target[i] = i * 31 % V;
    for (int64_t i = 0; i < (int64_t)V * D; i++)
        w[i] *= 0.02f; /* logits as training has them: probabilities that are no denormal numbers */
    capt_weight *wp;
    be->weight_new(be, &wp, NULL, V, D, ct);
    TIME(ct, ops, 0, be->head_xent_fwd(be, loss, save, stat, h, w, wp, b, target, wt, 0, M, V, D, ct), "head_xent %s forward %dx%dx%d", ct_name(ct), M, V, D);
    TIME(ct, 2 * ops, 0, be->head_xent_bwd(be, dh, 0, dw, 0, b, 0, save, stat, h, w, wp, target, wt, 0, M, V, D, ct), "head_xent %s backward %dx%dx%d", ct_name(ct), M, V, D);
    TIME(ct, ops, 0, be->head_topk(be, loss, idx, h, w, wp, NULL, NULL, 0, BEST, M, V, D, ct), "head_topk %s %dx%dx%d", ct_name(ct), M, V, D);
    be->weight_free(be, wp);
    be->free(be, h), be->free(be, w), be->free(be, b), be->free(be, save), be->free(be, dw), be->free(be, dh), be->free(be, loss), be->free(be, stat), be->free(be, wt);
    be->free(be, target), be->free(be, idx);
}

static void attention(int B, int T, int H, int dh, int causal, double drop)
{
    if (!wanted("attention"))
        return;
    int D = H * dh;
    int64_t n = (int64_t)B * T * D;
    float *qkv = values(3 * n), *d = values(3 * n), *o = values(n), *dout = values(n), *lse = values((int64_t)B * H * T);
    capt_attn a = {.B = B, .Tq = T, .Tk = T, .H = H, .dh = dh, .q_row = 3 * D, .k_row = 3 * D, .v_row = 3 * D, .causal = causal, .scale = 0.125, .drop = drop, .key = 1};
    double ops = 4.0 * B * H * T * T * dh;
    const char *what = drop > 0 ? " dropout" : "";
    TIME(CAPT_F32, ops, 0, be->attn_fwd(be, o, lse, qkv, qkv + D, qkv + 2 * D, &a), "attention%s forward %dx%d, %d heads of %d", what, B, T, H, dh);
    TIME(CAPT_F32, 2.5 * ops, 0, be->attn_bwd(be, d, 0, d + D, 0, d + 2 * D, 0, dout, o, lse, qkv, qkv + D, qkv + 2 * D, &a), "attention%s backward %dx%d, %d heads of %d", what, B, T, H, dh);
    be->free(be, qkv), be->free(be, d), be->free(be, o), be->free(be, dout), be->free(be, lse);
}

static void conv(int B, int S, int C, int N, int k, int stride, int ct)
{
    if (!wanted("conv"))
        return;
    capt_conv c = {.B = B, .H = S, .W = S, .C = C, .N = N, .kh = k, .kw = k, .stride = stride, .pad = k / 2};
    c.OH = c.OW = (S + 2 * c.pad - k) / stride + 1;
    int64_t nx = (int64_t)B * S * S * C, ny = (int64_t)B * c.OH * c.OW * N, nw = (int64_t)N * k * k * C;
    float *x = values(nx), *w = values(nw), *y = values(ny), *b = values(N);
    double ops = 2.0 * (double)ny * k * k * C;
    capt_weight *wp;
    be->weight_new(be, &wp, NULL, N, k * k * C, ct);
    TIME(ct, ops, 0, be->conv_fwd(be, y, x, w, wp, b, &c, ct), "conv %s forward %dx%d %d->%d %dx%d/%d", ct_name(ct), S, S, C, N, k, k, stride);
    TIME(ct, ops, 0, be->conv_bwd_x(be, x, 0, y, w, wp, &c, ct), "conv %s dx %dx%d %d->%d %dx%d/%d", ct_name(ct), S, S, C, N, k, k, stride);
    TIME(ct, ops, 0, be->conv_bwd_w(be, w, 0, b, 0, y, x, &c, ct), "conv %s dw %dx%d %d->%d %dx%d/%d", ct_name(ct), S, S, C, N, k, k, stride);
    be->weight_free(be, wp);
    be->free(be, x), be->free(be, w), be->free(be, y), be->free(be, b);
}

static void rest(void)
{
    int64_t n = 640 * 3072, p = 3072 * 3072;
    float *x = values(n), *y = values(n), *w = values(p), *g = values(p), *m = values(p), *v = values(p), *s = values(2 * 2560), *d = values(n);
    for (int64_t i = 0; i < p; i++)
        v[i] = 1;
    capt_weight *wp;
    capt_adamw hp = {.lr = 1e-4, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .decay = 0.01, .c1 = 0.1, .c2 = 0.01, .gscale = 1};
    float *packed = values(64 * 3072);
    TIME(0, 0, 8.0 * (double)n, be->map_fwd(be, CAPT_MAP_gelu, y, x, n), "gelu forward 640x3072");
    TIME(0, 0, 12.0 * (double)n, be->map_bwd(be, CAPT_MAP_gelu, d, 0, y, x, n), "gelu backward 640x3072");
    TIME(0, 0, 12.0 * (double)n, be->add(be, d, y, x, n), "add 640x3072");
    TIME(0, 0, 8.0 * (double)n, be->dropout(be, y, 0, x, n, 0.1, 5, 0), "dropout 640x3072");
    TIME(0, 0, 8.0 * (double)n, be->layernorm_fwd(be, y, s, s + 2560, x, g, v, 2560, 768, 1e-5), "layernorm forward 2560x768");
    TIME(0, 0, 12.0 * (double)n, be->layernorm_bwd(be, d, 0, m, 0, w, 0, y, x, s, s + 2560, g, 2560, 768), "layernorm backward 2560x768");
    TIME(0, 0, 28.0 * (double)p, be->adamw(be, w, g, m, v, p, &hp, NULL), "adamw 9.4 M");
    for (int ct = CAPT_F32; ct <= CAPT_BF16; ct += CAPT_BF16 - CAPT_F32) { /* the packings exist from their first use on */
        be->weight_new(be, &wp, NULL, 3072, 3072, ct);
        be->linear_fwd(be, packed, NULL, packed + 8 * 3072, w, wp, NULL, 8, 3072, 3072, 0, ct);
        be->linear_bwd_x(be, packed + 8 * 3072, 0, packed, w, wp, 8, 3072, 3072, ct);
        TIME(0, 0, (ct ? 32.0 : 36.0) * (double)p, be->adamw(be, w, g, m, v, p, &hp, wp), "adamw 9.4 M and both %s packings", ct_name(ct));
        be->weight_free(be, wp);
    }
    TIME(0, 0, 4.0 * (double)p, { double q; be->sumsq(be, &q, g, p); }, "sumsq 9.4 M");
    be->free(be, x), be->free(be, y), be->free(be, w), be->free(be, g), be->free(be, m), be->free(be, v), be->free(be, s), be->free(be, d), be->free(be, packed);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "-t") == 0 && i + 1 < argc)
            n_thread = atoi(argv[++i]);
        else if (strcmp(argv[i], "-r") == 0 && i + 1 < argc)
            n_round = atoi(argv[++i]);
        else
            part = argv[i];
    n_round = n_round < 1 ? 1 : n_round > 64 ? 64 : n_round;
    capt_err err = CAPT_ERR_INIT;
    pool = capt_pool_new(n_thread, &err);
    be = pool ? capt_backend_cpu_new(pool, &err) : NULL;
    capt_pool *one = be && n_thread > 1 ? capt_pool_new(1, &err) : NULL;
    alone = one ? capt_backend_cpu_new(one, &err) : NULL;
    if (!be || (n_thread > 1 && !alone)) {
        fprintf(stderr, "kernels: %s\n", err.text);
        return 1;
    }
    char about[200] = "none", threads[8];
    snprintf(threads, sizeof threads, "%d", n_thread);
    with_peer = peer_start(&other, "tests/bench/peers/torch_kernels.py", 1, (const char *const[]){threads});
    if (with_peer)
        peer_text(&other, "about", about, sizeof about);
    printf("peer: %s\n%s, %d thread(s), %s time\n", about, be->isa, n_thread, n_thread == 1 ? "processor" : "wall");
    static const int shape[][4] = { /* M, N, K, with gradients: GPT-2's, then a decoder of width 384 */
        {672, 2304, 768, 1}, {672, 768, 768, 1}, {672, 3072, 768, 1}, {672, 768, 3072, 1}, {672, 15000, 768, 0}, {672, 50257, 768, 0}, {5, 3072, 768, 0}, {5, 50257, 768, 0},
        {32, 3072, 768, 0}, {160, 2304, 768, 0}, {160, 3072, 768, 0}, {160, 50257, 768, 0}, {1536, 1152, 384, 1}, {1536, 384, 384, 1}, {1536, 1536, 384, 1}, {1536, 384, 1536, 1},
    };
    for (size_t i = 0; i < sizeof shape / sizeof *shape; i++)
        for (int ct = 0; ct < 2; ct++)
            linear(shape[i][0], shape[i][1], shape[i][2], ct ? CAPT_BF16 : CAPT_F32, shape[i][3]);
    for (int ct = 0; ct < 2; ct++) {
        head(1536, 2600, 384, ct ? CAPT_BF16 : CAPT_F32);
        head(640, 15000, 768, ct ? CAPT_BF16 : CAPT_F32);
        head(640, 50257, 768, ct ? CAPT_BF16 : CAPT_F32);
        head(160, 50257, 768, ct ? CAPT_BF16 : CAPT_F32);
        head(5, 50257, 768, ct ? CAPT_BF16 : CAPT_F32);
        head(160, 2600, 384, ct ? CAPT_BF16 : CAPT_F32);
    }
    attention(64, 24, 6, 64, 0, 0);
    attention(64, 24, 6, 64, 0, 0.1);
    attention(8, 577, 12, 64, CAPT_ATTN_FULL, 0);
    for (int ct = 0; ct < 2; ct++) {
        conv(4, 56, 64, 64, 3, 1, ct ? CAPT_BF16 : CAPT_F32);
        conv(4, 14, 256, 256, 3, 1, ct ? CAPT_BF16 : CAPT_F32);
        conv(4, 224, 3, 64, 7, 2, ct ? CAPT_BF16 : CAPT_F32);
    }
    rest();
    if (with_peer)
        peer_stop(&other);
    if (alone)
        alone->close(alone);
    capt_pool_free(one);
    be->close(be);
    capt_pool_free(pool);
    return 0;
}
#else
int main(void)
{
    fprintf(stderr, "kernels: the cpu backend is single precision\n");
    return 1;
}
#endif
