/* The output head: logits = h w^T + bias, of which each row leaves a loss and its gradient, the best words, a draw, or log-probabilities.
 *
 * Two phases over a chunk of rows. First a task a block of 256 words and a part of some 168 rows: the product of the part by the block's panels into the
 * worker's scratch, and while that (170 KB) is in cache the little that a block gives a row: its largest logit, its sum of exp(logit - largest), its best
 * words. Then a task a row joins its blocks, in their order, and finishes. Blocks come before parts, so that a block's panels (800 KB for D = 768) stay in
 * the second cache for all parts. Only who keeps them (gradients, log-probabilities; draws, a chunk of them) writes logits to memory at all.
 *
 * 2*M*V*D operations and about 25*M*V for exponentials and the rest (3 % for D = 768), against V*D*size bytes of weights once a chunk, and 12*M*V bytes where
 * logits are kept: arithmetic is the bound from about 30 rows on, the weights' bytes below (decoding a few rows).
 *
 * Blocks, parts and chunks depend on the sizes alone, sums are of a row and joined in fixed order, and the best words are chosen by a total order: no bit
 * depends on the number of threads.
 *
 * Training: the gradient of the loss by the logits needs nothing but the row, so the forward pass forms it, in place, and leaves it in `save`, in the
 * format of the backward products: the left operand of dh = g w as it stands, and of dw = g^T h after the usual transposition. */
#include "backend/cpu/cpu_priv.h"

#ifndef CAPT_REAL64
#include <math.h>
#include <string.h>

enum { BLOCK = 8 * PANEL, PART = 168, CHUNK_BYTES = 36 << 20 };
enum { LISTS = 16 }; /* workers whose lists of best words a chunk's bytes allow for; more of them take more */

/* the k best words met so far, falling */
struct best {
    float *val;
    int32_t *idx;
    int n;
};

struct head {
    capt_backend *be;
    const struct cpu_isa *isa;
    struct cpu_gemm g;        /* of all rows */
    int V, fmt, n_block;      /* fmt: of the left operand */
    int64_t m0, rows, part;   /* the chunk's first row and its rows; rows of a part */
    float *max, *sum;         /* (rows,n_block): a block's largest logit, the sum of exp(logit - largest) */
    float *max2, *sum2;       /* the same once more, of what is drawn from; or sum2: of the logits */
    float *z;                 /* (rows,V): what is kept of the logits */
    void (*block)(const struct head *s, float *z, int64_t i0, int64_t rows, int b, int worker); /* z (rows,BLOCK): of the chunk's rows i0 on */
    /* what the ways of use need */
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
    float *was;               /* (n_adj): entries before they were adjusted */
    struct best *best;        /* (workers,rows) */
    const capt_real *const *mix;
    const int32_t *const *perm;
    const double *mix_weight;
    int n_mix, mode;
};

/* 0, or -1: no memory */
static int head_set(struct head *s, capt_backend *be, const float *h, const float *w, const capt_weight *wp, const float *bias, int64_t M, int V, int D, int ct)
{
    s->be = be;
    s->isa = isa_of(be);
    s->V = V;
    s->n_block = (V + BLOCK - 1) / BLOCK;
    s->g = (struct cpu_gemm){.c = cpu_of(be), .fmt = fmt_of(be, ct), .N = V, .M = M, .bias = bias};
    s->fmt = left_of(s->g.fmt);
    s->g.K = (int)pad_k(D, s->fmt);
    s->g.b = capt_cpu_panels_fwd(be, w, wp, V, D, s->g.fmt);
    s->g.a = capt_cpu_left(be, BUF_A, s->fmt, h, M, D, &s->g.lda);
    return s->g.a && s->g.b ? 0 : -1;
}

static void block_task(void *arg, int64_t task, int worker)
{
    const struct head *s = arg;
    int64_t n_part = (s->rows + s->part - 1) / s->part, i0 = task % n_part * s->part, rows = MIN(s->part, s->rows - i0);
    int b = (int)(task / n_part), c0 = b * BLOCK;
    float *z = capt_cpu_work(s->be, worker, (size_t)(s->part * BLOCK) * sizeof *z);
    if (!z)
        return;
    struct cpu_gemm g = s->g;
    g.N -= c0; /* to the last word: the tiles ask for the next block's panels too */
    g.a = (const char *)g.a + (s->m0 + i0) * g.lda * fmt_size(s->fmt);
    g.b = (const char *)g.b + panel_bytes(c0, g.K, g.fmt);
    g.bias = g.bias ? g.bias + c0 : NULL;
    g.y = z;
    g.ldy = BLOCK;
    capt_cpu_gemm_part(&g, 0, rows, 0, (MIN(BLOCK, g.N) + PANEL - 1) / PANEL);
    s->block(s, z, i0, rows, b, worker);
}

/* Runs both phases. Logits are kept in a chunk's own memory, or in kept (M,V), or (NULL) not at all. */
static void head_run(struct head *s, int own, float *kept, void (*row)(void *arg, int64_t task, int worker))
{
    int64_t M = s->g.M, n = s->n_block, mr = tile_rows(s->g.c, s->g.fmt);
    if (M <= 0)
        return;
    int64_t floats = 4 * n + (own ? s->V : 0), list = s->k * (int64_t)(sizeof(float) + sizeof(int32_t));
    int64_t most = MAX(1, CHUNK_BYTES / (floats * (int64_t)sizeof(float) + LISTS * list) / mr) * mr, n_chunk = (M + most - 1) / most;
    int64_t chunk = MIN(M, ROUND_UP((M + n_chunk - 1) / n_chunk, mr)), n_list = s->k ? s->g.c->n_worker * chunk : 0;
    float *p = capt_cpu_buf(s->be, BUF_C, (size_t)(chunk * floats) * sizeof *p);
    s->best = n_list ? capt_cpu_buf(s->be, BUF_D, (size_t)n_list * (sizeof *s->best + (size_t)list)) : NULL;
    if (!p || (n_list && !s->best))
        return;
    s->max = p;
    s->sum = s->max + chunk * n;
    s->max2 = s->sum + chunk * n;
    s->sum2 = s->max2 + chunk * n;
    float *val = (float *)(void *)(s->best + n_list);
    for (s->m0 = 0; s->m0 < M; s->m0 += chunk) {
        s->rows = MIN(chunk, M - s->m0);
        int64_t n_part = (s->rows + PART - 1) / PART;
        s->part = ROUND_UP((s->rows + n_part - 1) / n_part, mr);
        s->z = own ? s->sum2 + chunk * n : kept ? kept + s->m0 * s->V : NULL;
        for (int64_t i = 0; i < n_list; i++)
            s->best[i] = (struct best){val + i * s->k, (int32_t *)(void *)(val + n_list * s->k) + i * s->k, 0};
        capt_cpu_run(s->be, n * ((s->rows + s->part - 1) / s->part), (double)s->rows * s->V * s->g.K > 1e6, block_task, s);
        capt_cpu_run(s->be, s->rows, s->rows * s->V > SMALL, row, s);
    }
}

static int block_words(const struct head *s, int b) { return MIN(BLOCK, s->V - b * BLOCK); }

/* What a block gives every way of use; e: the exponentials. A block without a finite logit subtracts nothing: its sum is 0, or NaN where there is one. */
static void block_stat(const struct head *s, float *max, float *sum, float *e, const float *z, int64_t i, int b, float mul)
{
    int n = block_words(s, b);
    float m = s->isa->max(z, n);
    max[i * s->n_block + b] = m;
    sum[i * s->n_block + b] = s->isa->exp_sum(e, z, mul, m > -INFINITY ? m * mul : 0, n);
}

/* Joins a row's blocks: their factors exp(mul * (block's largest - row's)) take the place of their largest; the row's largest, and its sum. */
static float join(const struct head *s, float *max, const float *sum, int64_t i, float mul, double *total)
{
    float *f = max + i * s->n_block, m = s->isa->max(f, s->n_block);
    s->isa->exp_sum(f, f, mul, m * mul, s->n_block);
    *total = 0;
    for (int b = 0; b < s->n_block; b++)
        *total += (double)f[b] * sum[i * s->n_block + b];
    return m;
}

static float join_lse(const struct head *s, int64_t i)
{
    double sum;
    float max = join(s, s->max, s->sum, i, 1, &sum);
    return (float)((double)max + log(sum));
}

static int64_t save_ld(int V, int fmt) { return fmt == F_BF16 ? pad_k(V, fmt) : V; }

static void xent_block(const struct head *s, float *z, int64_t i0, int64_t rows, int b, int worker)
{
    (void)worker;
    int c0 = b * BLOCK, n = block_words(s, b);
    for (int64_t i = i0; i < i0 + rows; i++, z += BLOCK) {
        int t = s->target[s->m0 + i] - c0;
        if (t >= 0 && t < n)
            s->loss[s->m0 + i] = z[t]; /* until the row is finished */
        if (s->smooth != 0)
            s->sum2[i * s->n_block + b] = s->isa->sum(z, n);
        block_stat(s, s->max, s->sum, s->z + i * s->V + c0, z, i, b, 1);
    }
}

static void xent_row(void *arg, int64_t task, int worker)
{
    struct head *s = arg;
    (void)worker;
    int64_t i = s->m0 + task;
    double sum, mean = 0, at = s->loss[i];
    float max = join(s, s->max, s->sum, task, 1, &sum);
    double lse = (double)max + log(sum);
    for (int b = 0; s->smooth != 0 && b < s->n_block; b++)
        mean += s->sum2[task * s->n_block + b];
    mean /= s->V;
    s->stat[2 * i] = max;
    s->stat[2 * i + 1] = (float)log(sum);
    s->loss[i] = s->weight[i] * (float)((1 - s->smooth) * (lse - at) + (s->smooth != 0 ? s->smooth * (lse - mean) : 0));
    char *g = s->save + i * s->ld_save * fmt_size(s->fmt);
    for (int b = 0; b < s->n_block; b++) {
        int c0 = b * BLOCK;
        s->isa->xent_grad(s->fmt, g + c0 * fmt_size(s->fmt), s->z + task * s->V + c0, (float)(s->max[task * s->n_block + b] / sum),
                          (float)(s->smooth / s->V), (float)(1 - s->smooth), s->target[i] - c0, s->weight[i], block_words(s, b));
    }
    if (s->ld_save > s->V)
        ((uint16_t *)g)[s->V] = 0;
}

void capt_cpu_head_xent_fwd(capt_backend *be, capt_real *loss, void *save, capt_real *stat, const capt_real *h, const capt_real *w, const capt_weight *wp, const capt_real *bias, const int32_t *target, const capt_real *weight, double smooth, int64_t M, int V, int D, int ct)
{
    struct head s = {.block = xent_block, .loss = loss, .save = save, .stat = stat, .target = target, .weight = weight, .smooth = smooth};
    if (head_set(&s, be, h, w, wp, bias, M, V, D, ct))
        return;
    s.ld_save = save_ld(V, s.fmt);
    head_run(&s, s.fmt == F_BF16, save, xent_row);
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

static void logits_block(const struct head *s, float *z, int64_t i0, int64_t rows, int b, int worker)
{
    (void)worker;
    float e[BLOCK];
    for (int64_t i = i0; i < i0 + rows; i++, z += BLOCK) {
        block_stat(s, s->max, s->sum, e, z, i, b, 1);
        memcpy(s->z + i * s->V + b * BLOCK, z, (size_t)block_words(s, b) * sizeof *z);
    }
}

static void logits_row(void *arg, int64_t task, int worker)
{
    struct head *s = arg;
    (void)worker;
    s->isa->add_scalar(s->z + task * s->V, -join_lse(s, task), s->V);
}

void capt_cpu_head_logits(capt_backend *be, capt_real *logp, const capt_real *h, const capt_real *w, const capt_weight *wp, const capt_real *bias, int64_t M, int V, int D, int ct)
{
    struct head s = {.block = logits_block};
    if (head_set(&s, be, h, w, wp, bias, M, V, D, ct) == 0)
        head_run(&s, 0, logp, logits_row);
}

/* Whether word i of value a ranks before word j of value b: the larger first, the lower word among equals, NaN last. A total order: the best are the same
 * in whatever order they are met. */
static int before(float a, int32_t i, float b, int32_t j)
{
    if (a > b || a < b)
        return a > b;
    return (a != a) != (b != b) ? b != b : i < j;
}

static void best_add(struct best *l, int k, float v, int32_t j)
{
    if (l->n == k && !before(v, j, l->val[k - 1], l->idx[k - 1]))
        return;
    int at = l->n < k ? l->n++ : k - 1;
    for (; at > 0 && before(v, j, l->val[at - 1], l->idx[at - 1]); at--) {
        l->val[at] = l->val[at - 1];
        l->idx[at] = l->idx[at - 1];
    }
    l->val[at] = v;
    l->idx[at] = j;
}

/* n words, c0 on; a few at a time, of which most hold none of the best */
static void best_take(const struct cpu_isa *isa, struct best *l, int k, const float *z, int c0, int n)
{
    enum { FEW = 32 };
    for (int j0 = 0; j0 < n; j0 += FEW) {
        int m = MIN(FEW, n - j0);
        if (l->n == k && isa->max(z + j0, m) < l->val[k - 1])
            continue;
        for (int j = j0; j < j0 + m; j++)
            best_add(l, k, z[j], c0 + j);
    }
}

/* adjusts what lies in rows m0 on and words c0 on of z; whether anything does */
static int adjust(const struct head *s, float *z, int64_t ld, int64_t m0, int64_t rows, int c0, int n)
{
    int any = 0;
    for (int j = 0; j < s->n_adj; j++) {
        int64_t i = s->adj[j].row - m0, c = s->adj[j].token - c0;
        if (i < 0 || i >= rows || c < 0 || c >= n)
            continue;
        s->was[j] = z[i * ld + c];
        z[i * ld + c] += s->adj[j].add;
        any = 1;
    }
    return any;
}

/* from ranks to log-probabilities */
static void best_finish(const struct head *s, const struct best *l, int64_t row, float lse)
{
    for (int i = 0; i < l->n; i++)
        l->val[i] -= lse;
    for (int j = s->n_adj; j-- > 0;) /* the first of several of one entry comes last */
        for (int i = 0; i < l->n && s->adj[j].row == row; i++)
            if (l->idx[i] == s->adj[j].token && l->val[i] > -INFINITY)
                l->val[i] = s->was[j] - lse;
}

static void topk_block(const struct head *s, float *z, int64_t i0, int64_t rows, int b, int worker)
{
    int c0 = b * BLOCK, n = block_words(s, b);
    float e[BLOCK];
    for (int64_t i = 0; i < rows; i++)
        block_stat(s, s->max, s->sum, e, z + i * BLOCK, i0 + i, b, 1);
    int adjusted = adjust(s, z, BLOCK, s->m0 + i0, rows, c0, n);
    for (int64_t i = 0; i < rows; i++, z += BLOCK) {
        struct best *l = &s->best[worker * s->rows + i0 + i];
        if (adjusted || l->n < s->k || !(s->max[(i0 + i) * s->n_block + b] < l->val[s->k - 1]))
            best_take(s->isa, l, s->k, z, c0, n);
    }
}

static void topk_row(void *arg, int64_t task, int worker)
{
    struct head *s = arg;
    (void)worker;
    struct best l = {s->val + (s->m0 + task) * s->k, s->idx + (s->m0 + task) * s->k, 0};
    for (int w = 0; w < s->g.c->n_worker; w++) {
        const struct best *part = &s->best[w * s->rows + task];
        for (int i = 0; i < part->n; i++)
            best_add(&l, s->k, part->val[i], part->idx[i]);
    }
    best_finish(s, &l, s->m0 + task, join_lse(s, task));
}

static int was_set(struct head *s)
{
    s->was = s->n_adj ? capt_cpu_buf(s->be, BUF_E, (size_t)s->n_adj * sizeof *s->was) : NULL;
    return s->n_adj && !s->was ? -1 : 0;
}

void capt_cpu_head_topk(capt_backend *be, capt_real *val, int32_t *idx, const capt_real *h, const capt_real *w, const capt_weight *wp, const capt_real *bias, const capt_adjust *adj, int n_adj, int k, int64_t M, int V, int D, int ct)
{
    struct head s = {.block = topk_block, .val = val, .idx = idx, .adj = adj, .n_adj = n_adj, .k = k};
    if (head_set(&s, be, h, w, wp, bias, M, V, D, ct) == 0 && was_set(&s) == 0)
        head_run(&s, 0, NULL, topk_row);
}

static void sample_block(const struct head *s, float *z, int64_t i0, int64_t rows, int b, int worker)
{
    (void)worker;
    int c0 = b * BLOCK, n = block_words(s, b);
    float e[BLOCK];
    for (int64_t i = 0; i < rows; i++)
        block_stat(s, s->max, s->sum, e, z + i * BLOCK, i0 + i, b, 1);
    for (int j = 0; j < s->n_ban; j++)
        for (int64_t i = 0; i < rows && s->ban[j] >= c0 && s->ban[j] < c0 + n; i++)
            z[i * BLOCK + s->ban[j] - c0] = -INFINITY;
    for (int64_t i = i0; i < i0 + rows; i++, z += BLOCK) {
        block_stat(s, s->max2, s->sum2, e, z, i, b, (float)(1 / s->temperature));
        memcpy(s->z + i * s->V + c0, z, (size_t)n * sizeof *z);
    }
}

static void sample_row(void *arg, int64_t task, int worker)
{
    struct head *s = arg;
    (void)worker;
    int64_t i = s->m0 + task;
    const float *z = s->z + task * s->V, *f = s->max2 + task * s->n_block, *sum = s->sum2 + task * s->n_block;
    float lse = join_lse(s, task), inv = (float)(1 / s->temperature), e[BLOCK];
    double total, run = 0;
    s->idx[i] = -1;
    s->logp[i] = -INFINITY;
    if (!(join(s, s->max2, s->sum2, task, inv, &total) > -INFINITY))
        return;
    double want = s->u[i] * total;
    for (int b = 0; b < s->n_block && s->idx[i] < 0; b++) {
        double part = (double)f[b] * sum[b], in = run;
        run += part;
        if (!(run > want))
            continue;
        int c0 = b * BLOCK, n = block_words(s, b);
        s->isa->exp_sum(e, z + c0, inv, s->isa->max(z + c0, n) * inv, n);
        for (int t = 0; t < n && !(in > want); t++) { /* the last that counts, where the block's sum rounds to less than its part */
            double was = in;
            in += (double)f[b] * e[t];
            if (in > was)
                s->idx[i] = c0 + t;
        }
    }
    for (int j = s->V - 1; j >= 0 && s->idx[i] < 0; j--) /* no block has room for u: NaN */
        if (z[j] > -INFINITY)
            s->idx[i] = j;
    s->logp[i] = z[s->idx[i]] - lse;
}

void capt_cpu_head_sample(capt_backend *be, int32_t *token, capt_real *logp, const capt_real *h, const capt_real *w, const capt_weight *wp, const capt_real *bias, const double *u, double temperature, const int32_t *ban, int n_ban, int64_t M, int V, int D, int ct)
{
    struct head s = {.block = sample_block, .idx = token, .logp = logp, .u = u, .temperature = temperature, .ban = ban, .n_ban = n_ban};
    if (head_set(&s, be, h, w, wp, bias, M, V, D, ct) == 0)
        head_run(&s, 1, NULL, sample_row);
}

static void mix_row(void *arg, int64_t task, int worker)
{
    struct head *s = arg;
    int64_t i = task;
    float *z = capt_cpu_work(s->be, worker, (size_t)s->V * 2 * sizeof *z);
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
    adjust(s, z, s->V, i, 1, 0, s->V);
    struct best l = {s->val + i * s->k, s->idx + i * s->k, 0};
    best_take(s->isa, &l, s->k, z, 0, s->V);
    best_finish(s, &l, i, 0);
}

void capt_cpu_mix_topk(capt_backend *be, capt_real *val, int32_t *idx, const capt_real *const *logp, const int32_t *const *perm, const double *weight, int n, int mode, const capt_adjust *adj, int n_adj, int k, int64_t M, int V)
{
    struct head s = {.be = be, .isa = isa_of(be), .V = V, .val = val, .idx = idx, .mix = logp, .perm = perm, .mix_weight = weight, .n_mix = n, .mode = mode, .adj = adj, .n_adj = n_adj, .k = k};
    if (was_set(&s) == 0)
        capt_cpu_run(be, M, M * V > SMALL, mix_row, &s);
}
#endif
