/* The output head. Rows go through in chunks whose float logits (chunk x V) stay in the last-level cache: the product fills them, then a task
 * a row takes what is wanted. 2*M*V*D operations against V*D*size bytes of weights a chunk: arithmetic is the bound from a chunk of 30 rows on,
 * the weights' bytes below (decoding a few rows).
 *
 * Training: the gradient of the loss by the logits needs nothing but the row, so the forward pass forms it while the row is in cache and leaves it in
 * `save`, in the format of the backward products: the left operand of dh = g w as it stands, and of dw = g^T h after the usual transposition. */
#include "backend/cpu/cpu_priv.h"

#ifndef CAPT_REAL64
#include <math.h>
#include <string.h>

enum { CHUNK_BYTES = 4 << 20, MIN_ROWS = 28, BLOCK = 1024 };

struct head {
    capt_backend *be;
    const struct cpu_isa *isa;
    struct cpu_gemm g;  /* of all rows; y is set a chunk */
    int64_t ld, rows;   /* of the chunk's logits; rows of a chunk */
    int64_t m0;         /* the chunk's first row */
    float *z;
    int V, fmt;         /* fmt: of the left operand */
    /* what the row functions use */
    float *loss, *stat, *val, *logp;
    char *save;
    int64_t ld_save;
    int32_t *idx;
    const int32_t *target, *ban;
    const float *weight;
    double smooth, temperature;
    const double *u;
    int n_ban, n_adj, k;
    const capt_adjust *adj;
    const capt_real *const *mix;
    const int32_t *const *perm;
    const double *mix_weight;
    int n_mix, mode;
};

/* 0, or -1: no memory */
static int head_set(struct head *s, capt_backend *be, const float *h, const float *w, const capt_weight *wp, const float *bias, int64_t M, int V, int D, int ct, float *out)
{
    s->be = be;
    s->isa = isa_of(be);
    s->V = V;
    s->g = (struct cpu_gemm){.c = cpu_of(be), .fmt = fmt_of(be, ct), .N = V, .bias = bias};
    s->fmt = left_of(s->g.fmt);
    s->g.K = (int)pad_k(D, s->fmt);
    s->g.b = capt_cpu_panels_fwd(be, w, wp, V, D, s->g.fmt);
    s->g.a = capt_cpu_left(be, BUF_A, s->fmt, h, M, D, &s->g.lda);
    int mr = s->g.c->mr;
    s->rows = MIN(M, ROUND_UP(MAX(MIN_ROWS, CHUNK_BYTES / 4 / V), mr));
    s->ld = out ? V : ROUND_UP(V, 16);
    s->z = out;
    if (!out && M > 0)
        s->z = capt_cpu_buf(be, BUF_C, (size_t)(s->rows * s->ld) * sizeof(float));
    return s->g.a && s->g.b && (s->z || M == 0) ? 0 : -1;
}

/* the row's maximum and the sum of exp(z - max), the exponentials thrown away */
static float stat_row(const struct cpu_isa *isa, const float *z, int V, double *sum)
{
    float t[BLOCK], max = isa->max(z, V);
    *sum = 0;
    for (int j = 0; j < V; j += BLOCK)
        *sum += isa->exp_sum(t, z + j, 1, max, MIN(BLOCK, V - j));
    return max;
}

static void head_run(struct head *s, int64_t M, void (*row)(void *arg, int64_t task, int worker), int whole)
{
    float *z0 = s->z;
    for (int64_t m = 0; m < M; m += s->rows) {
        struct cpu_gemm g = s->g;
        g.M = MIN(s->rows, M - m);
        g.a = (const char *)g.a + m * g.lda * fmt_size(s->fmt);
        g.y = s->z = whole ? z0 + m * s->ld : z0;
        g.ldy = s->ld;
        capt_cpu_gemm(s->be, &g);
        s->m0 = m;
        capt_cpu_run(s->be, g.M, g.M * s->V > SMALL, row, s);
    }
}

static int64_t save_ld(int V, int fmt) { return fmt == F_BF16 ? pad_k(V, fmt) : V; }

static void xent_row(void *arg, int64_t task, int worker)
{
    struct head *s = arg;
    (void)worker;
    int64_t i = s->m0 + task;
    float *z = s->z + task * s->ld, max = s->isa->max(z, s->V);
    double at = z[s->target[i]], mean = 0;
    if (s->smooth != 0) {
        for (int j = 0; j < s->V; j++)
            mean += z[j];
        mean /= s->V;
    }
    float sum = s->isa->exp_sum(z, z, 1, max, s->V);
    double lse = (double)max + log((double)sum);
    s->stat[2 * i] = max;
    s->stat[2 * i + 1] = logf(sum);
    s->loss[i] = s->weight[i] * (float)((1 - s->smooth) * (lse - at) + (s->smooth != 0 ? s->smooth * (lse - mean) : 0));
    if (!s->save)
        return;
    char *g = s->save + i * s->ld_save * fmt_size(s->fmt);
    s->isa->xent_grad(s->fmt, g, z, 1 / sum, (float)(s->smooth / s->V), (float)(1 - s->smooth), s->target[i], s->weight[i], s->V);
    if (s->ld_save > s->V)
        ((uint16_t *)g)[s->V] = 0;
}

void capt_cpu_head_xent_fwd(capt_backend *be, capt_real *loss, void *save, capt_real *stat, const capt_real *h, const capt_real *w, const capt_weight *wp, const capt_real *bias, const int32_t *target, const capt_real *weight, double smooth, int64_t M, int V, int D, int ct)
{
    struct head s = {.loss = loss, .save = save, .stat = stat, .target = target, .weight = weight, .smooth = smooth};
    if (head_set(&s, be, h, w, wp, bias, M, V, D, ct, NULL))
        return;
    s.ld_save = save_ld(V, s.fmt);
    head_run(&s, M, xent_row, 0);
}

void capt_cpu_head_xent_bwd(capt_backend *be, capt_real *dh, double beta, capt_real *dw, double beta_w, capt_real *db, double beta_b, void *save, const capt_real *stat, const capt_real *h, const capt_real *w, const capt_weight *wp, const int32_t *target, const capt_real *weight, double smooth, int64_t M, int V, int D, int ct)
{
    int fmt = fmt_of(be, ct);
    int64_t ld = save_ld(V, left_of(fmt));
    (void)stat, (void)target, (void)weight, (void)smooth;
    if (dh) {
        struct cpu_gemm g = {.c = cpu_of(be), .fmt = fmt, .N = D, .K = (int)ld, .M = M, .a = save, .lda = ld, .y = dh, .ldy = D, .add = beta != 0};
        g.b = capt_cpu_panels_bwd(be, w, wp, V, D, fmt);
        if (!g.b)
            return;
        capt_cpu_gemm(be, &g);
    }
    struct cpu_gemm_tn t = {.fmt = fmt, .N = V, .K = D, .M = M, .dyh = save, .lddy = ld, .dw = dw, .add_w = beta_w != 0, .db = db, .add_b = beta_b != 0};
    capt_cpu_linear_tn(be, &t, h);
}

static void logits_row(void *arg, int64_t task, int worker)
{
    struct head *s = arg;
    (void)worker;
    float *z = s->z + task * s->ld;
    double sum;
    float max = stat_row(s->isa, z, s->V, &sum);
    s->isa->add_scalar(z, -(float)((double)max + log(sum)), s->V);
}

void capt_cpu_head_logits(capt_backend *be, capt_real *logp, const capt_real *h, const capt_real *w, const capt_weight *wp, const capt_real *bias, int64_t M, int V, int D, int ct)
{
    struct head s = {0};
    if (head_set(&s, be, h, w, wp, bias, M, V, D, ct, logp) == 0)
        head_run(&s, M, logits_row, 1);
}

/* the k largest of z, less `sub`: one pass, by blocks whose maximum is compared with the k-th best so far */
static void topk(const struct cpu_isa *isa, float *val, int32_t *idx, const float *z, float sub, int k, int V)
{
    enum { B = 128 };
    int n = 0;
    for (int j0 = 0; j0 < V; j0 += B) {
        int m = MIN(B, V - j0);
        if (n == k && !(isa->max(z + j0, m) > val[n - 1]))
            continue;
        for (int j = j0; j < j0 + m; j++) {
            if (n == k && !(z[j] > val[n - 1]))
                continue;
            int at = n < k ? n++ : n - 1;
            for (; at > 0 && z[j] > val[at - 1]; at--) {
                val[at] = val[at - 1];
                idx[at] = idx[at - 1];
            }
            val[at] = z[j];
            idx[at] = j;
        }
    }
    for (int i = 0; i < n; i++)
        val[i] -= sub;
}

/* topk of an adjusted row; was: room for what its n_adj entries were before */
static void adjusted_topk(const struct head *s, float *z, float sub, float *was, int64_t row)
{
    float *val = s->val + row * s->k;
    int32_t *idx = s->idx + row * s->k;
    for (int j = 0; j < s->n_adj; j++)
        if (s->adj[j].row == row) {
            was[j] = z[s->adj[j].token];
            z[s->adj[j].token] += s->adj[j].add;
        }
    topk(s->isa, val, idx, z, sub, s->k, s->V);
    for (int j = s->n_adj; j-- > 0;) /* the first of several of one entry comes last */
        for (int i = 0; i < s->k && s->adj[j].row == row; i++)
            if (idx[i] == s->adj[j].token && val[i] > -INFINITY)
                val[i] = was[j] - sub;
}

static void topk_row(void *arg, int64_t task, int worker)
{
    struct head *s = arg;
    float *z = s->z + task * s->ld, *was = s->n_adj ? capt_cpu_work(s->be, worker, (size_t)s->n_adj * sizeof *was) : NULL;
    if (s->n_adj && !was)
        return;
    double sum;
    float max = stat_row(s->isa, z, s->V, &sum);
    adjusted_topk(s, z, (float)((double)max + log(sum)), was, s->m0 + task);
}

void capt_cpu_head_topk(capt_backend *be, capt_real *val, int32_t *idx, const capt_real *h, const capt_real *w, const capt_weight *wp, const capt_real *bias, const capt_adjust *adj, int n_adj, int k, int64_t M, int V, int D, int ct)
{
    struct head s = {.val = val, .idx = idx, .adj = adj, .n_adj = n_adj, .k = k};
    if (head_set(&s, be, h, w, wp, bias, M, V, D, ct, NULL) == 0)
        head_run(&s, M, topk_row, 0);
}

static void sample_row(void *arg, int64_t task, int worker)
{
    struct head *s = arg;
    (void)worker;
    int64_t i = s->m0 + task;
    int V = s->V, last = -1;
    float *z = s->z + task * s->ld, e[BLOCK];
    double sum, total = 0, run = 0;
    float lse = stat_row(s->isa, z, V, &sum), inv = (float)(1 / s->temperature);
    lse = (float)((double)lse + log(sum));
    for (int j = 0; j < s->n_ban; j++)
        z[s->ban[j]] = -INFINITY;
    float max = s->isa->max(z, V);
    s->idx[i] = -1;
    s->logp[i] = -INFINITY;
    if (!(max > -INFINITY))
        return;
    for (int j = 0; j < V; j += BLOCK)
        total += s->isa->exp_sum(e, z + j, inv, max * inv, MIN(BLOCK, V - j));
    double want = s->u[i] * total;
    for (int j = 0; j < V && s->idx[i] < 0; j += BLOCK) {
        double part = s->isa->exp_sum(e, z + j, inv, max * inv, MIN(BLOCK, V - j)), in = run;
        for (int t = 0; t < MIN(BLOCK, V - j) && s->idx[i] < 0; t++) {
            if (z[j + t] > -INFINITY)
                last = j + t;
            in += e[t];
            if (run + part > want && in > want && e[t] > 0)
                s->idx[i] = j + t;
        }
        run += part;
    }
    if (s->idx[i] < 0) /* rounding at u near 1 */
        s->idx[i] = last;
    s->logp[i] = z[s->idx[i]] - lse;
}

void capt_cpu_head_sample(capt_backend *be, int32_t *token, capt_real *logp, const capt_real *h, const capt_real *w, const capt_weight *wp, const capt_real *bias, const double *u, double temperature, const int32_t *ban, int n_ban, int64_t M, int V, int D, int ct)
{
    struct head s = {.idx = token, .logp = logp, .u = u, .temperature = temperature, .ban = ban, .n_ban = n_ban};
    if (head_set(&s, be, h, w, wp, bias, M, V, D, ct, NULL) == 0)
        head_run(&s, M, sample_row, 0);
}

static void mix_row(void *arg, int64_t task, int worker)
{
    struct head *s = arg;
    int64_t i = task;
    float *z = capt_cpu_work(s->be, worker, ((size_t)s->V * 2 + (size_t)s->n_adj) * sizeof *z);
    if (!z)
        return;
    float *t = z + s->V;
    for (int m = 0; m < s->n_mix; m++) {
        const float *lp = s->mix[m] + i * s->V;
        const int32_t *perm = s->perm ? s->perm[m] : NULL;
        float wt = (float)s->mix_weight[m];
        if (perm) {
            for (int j = 0; j < s->V; j++)
                t[j] = lp[perm[j]];
            lp = t;
        }
        if (s->mode == 0) {
            (void)s->isa->exp_sum(t, lp, 1, 0, s->V);
            lp = t;
        }
        s->isa->axpby(z, m ? 1 : 0, lp, wt, s->V);
    }
    if (s->mode == 0) /* the order of probabilities is that of their logarithms, but an adjustment adds to the logarithm */
        for (int j = 0; j < s->V; j++)
            z[j] = logf(z[j]);
    adjusted_topk(s, z, 0, t + s->V, i);
}

void capt_cpu_mix_topk(capt_backend *be, capt_real *val, int32_t *idx, const capt_real *const *logp, const int32_t *const *perm, const double *weight, int n, int mode, const capt_adjust *adj, int n_adj, int k, int64_t M, int V)
{
    struct head s = {.be = be, .isa = isa_of(be), .V = V, .val = val, .idx = idx, .mix = logp, .perm = perm, .mix_weight = weight, .n_mix = n, .mode = mode, .adj = adj, .n_adj = n_adj, .k = k};
    capt_cpu_run(be, M, M * V > SMALL, mix_row, &s);
}
#endif
