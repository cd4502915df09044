/* Attention (kernel.def): a task is one head of one batch element, its keys and values packed once into panels in the worker's scratch;
 * queries go through in blocks of QB rows, whose scores (QB x Tk) stay in L2. Forward: 4*Tq*Tk*dh operations, backward 10, against
 * 4*(Tq+Tk)*dh*4 bytes: arithmetic is the bound from a few dozen keys on; all in float. */
#include "backend/cpu/cpu_priv.h"

#ifndef CAPT_REAL64
#include <math.h>
#include <string.h>

enum { QB = 56 };
struct attn {
    capt_backend *be;
    const struct cpu *c;
    const capt_attn *a;
    float *o, *lse, *dq, *dk, *dv;
    const float *q, *k, *v, *dout;
    float beta_q, beta_k, beta_v;
};

/* y (M,N) (+)= a (M,K) panels */
static void product(const struct cpu *c, const float *a, int64_t lda, const float *panels, int64_t stride, int M, int N, int K, float *y, int64_t ldy, int add)
{
    for (int i = 0; i < M; i += c->mr)
        for (int p = 0; p * PANEL < N; p++)
            cpu_tile(c, F_F32, MIN(c->mr, M - i), a + i * lda, lda, panels + p * stride, K, y + i * ldy + p * PANEL, ldy, add, MIN(PANEL, N - p * PANEL), panels + p * stride);
}

/* panels whose columns are the n rows of x: for products along the head's dimension */
static void pack_tokens(const struct cpu_isa *isa, float *panels, const float *x, int64_t row, int n, int dh)
{
    for (int t = 0; t < n; t += PANEL)
        isa->pack_cols(F_F32, panels + (int64_t)t * dh, x + t * row, row, MIN(PANEL, n - t), dh, 0);
}

static int keys(const capt_attn *a, int64_t b, int t)
{
    int n = a->k_len ? a->k_len[b] : a->Tk;
    if (a->causal != CAPT_ATTN_FULL)
        n = MIN(n, t + a->causal + 1);
    return MAX(n, 0);
}

static uint64_t element(const capt_attn *a, int64_t b, int h, int t)
{
    return ((uint64_t)((a->b0 + b) * a->H + h) * (uint64_t)a->Tq + (uint64_t)t) * (uint64_t)a->Tk;
}

/* what stands behind a row's last score up to a multiple of 16, so that rows are worked on in whole vectors: exp gives 0 */
#define NONE (-1e30f)

static size_t mask_bytes(const capt_attn *a)
{
    return a->drop > 0 ? (size_t)QB * (size_t)a->Tk + 64 : 0;
}

static void fwd_task(void *arg, int64_t task, int worker)
{
    const struct attn *s = arg;
    const capt_attn *a = s->a;
    const struct cpu_isa *isa = s->c->isa;
    int64_t b = task / a->H;
    int h = (int)(task % a->H), dh = a->dh, nk = a->k_len ? MAX(0, a->k_len[b]) : a->Tk;
    int64_t ld = ROUND_UP(MAX(nk, 1), PANEL), dp = ROUND_UP(dh, PANEL);
    float *kp = capt_cpu_work(s->be, worker, (size_t)(ld * dh + ld * dp + QB * ld) * sizeof *kp + mask_bytes(a));
    if (!kp)
        return;
    float *vp = kp + ld * dh, *S = vp + ld * dp, scale = (float)a->scale, up = (float)(1 / (1 - a->drop));
    uint8_t *mask = (uint8_t *)(S + QB * ld);
    pack_tokens(isa, kp, s->k + b * a->Tk * a->k_row + h * dh, a->k_row, nk, dh);
    isa->pack_rows(F_F32, vp, (int64_t)nk * PANEL, s->v + b * a->Tk * a->v_row + h * dh, a->v_row, nk, dh, 0);
    for (int t0 = 0; t0 < a->Tq; t0 += QB) {
        int nq = MIN(QB, a->Tq - t0), n = keys(a, b, t0 + nq - 1);
        const float *q = s->q + (b * a->Tq + t0) * a->q_row + h * dh;
        float *o = s->o + ((b * a->Tq + t0) * a->H + h) * dh;
        product(s->c, q, a->q_row, kp, (int64_t)PANEL * dh, nq, n, dh, S, ld, 0);
        if (a->drop > 0)
            isa->keep(mask, (int64_t)nq * a->Tk, a->drop, a->key, element(a, b, h, t0));
        for (int t = 0; t < nq; t++) {
            float *p = S + t * ld;
            int m = keys(a, b, t0 + t), mm = ROUND_UP(m, 16);
            s->lse[(b * a->H + h) * a->Tq + t0 + t] = 0;
            if (n > mm || m == 0)
                isa->fill(p + mm, n - mm, 0);
            if (m == 0)
                continue;
            isa->fill(p + m, mm - m, NONE);
            float max = isa->max(p, mm) * scale, sum = isa->exp_sum(p, p, scale, max, mm);
            s->lse[(b * a->H + h) * a->Tq + t0 + t] = max + logf(sum);
            if (a->drop > 0)
                isa->attn_mask(p, mask + (int64_t)t * a->Tk, up / sum, mm);
            else
                isa->attn_mask(p, NULL, 1 / sum, mm);
        }
        product(s->c, S, ld, vp, (int64_t)nk * PANEL, nq, dh, n, o, (int64_t)a->H * dh, 0);
    }
}

static int big(const capt_attn *a)
{
    return (double)a->B * a->H * a->Tq * a->Tk * a->dh > 2e5;
}

void capt_cpu_attn_fwd(capt_backend *be, capt_real *o, capt_real *lse, const capt_real *q, const capt_real *k, const capt_real *v, const capt_attn *a)
{
    struct attn s = {.be = be, .c = cpu_of(be), .a = a, .o = o, .lse = lse, .q = q, .k = k, .v = v};
    capt_cpu_run(be, a->B * a->H, big(a), fwd_task, &s);
}

/* map (S) divided by its sum over the first n, and 0 behind */
static void spread(float *map, int n, int S)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)map[i];
    for (int i = 0; i < S; i++)
        map[i] = i < n && sum > 0 ? (float)((double)map[i] / sum) : 0;
}

struct map { capt_backend *be; const capt_attn *a; float *map; const float *q, *k; int S; const int32_t *len; };

/* All heads of one batch element, so that they add up in one order. For pictures, not for training: plain dot products. */
static void map_task(void *arg, int64_t b, int worker)
{
    const struct map *s = arg;
    const capt_attn *a = s->a;
    const struct cpu_isa *isa = isa_of(s->be);
    int S = s->S, dh = a->dh, most = s->len ? MIN(s->len[b], S) : S;
    float *p = capt_cpu_work(s->be, worker, (size_t)MAX(a->Tk, 1) * sizeof *p);
    if (!p)
        return;
    for (int t = 0; t < a->Tq; t++) {
        float *to = s->map + (b * a->Tq + t) * S;
        int n = keys(a, b, t);
        memset(to, 0, (size_t)S * sizeof *to);
        for (int h = 0; h < a->H && n > 0; h++) {
            for (int i = 0; i < n; i++)
                p[i] = isa->dot(s->q + (b * a->Tq + t) * a->q_row + h * dh, s->k + (b * a->Tk + i) * a->k_row + h * dh, dh);
            float inv = 1 / isa->exp_sum(p, p, (float)a->scale, isa->max(p, n) * (float)a->scale, n);
            for (int i = 0; i < MIN(n, most); i++)
                to[i] += p[i] * inv;
        }
        spread(to, most, S);
    }
}

void capt_cpu_attn_map(capt_backend *be, capt_real *map, const capt_real *q, const capt_real *k, const capt_attn *a, int S, const int32_t *len)
{
    struct map s = {be, a, map, q, k, S, len};
    capt_cpu_run(be, a->B, big(a), map_task, &s);
}

static void scale_rows(const struct cpu_isa *isa, float *y, int64_t row, int n, int dh, float beta)
{
    for (int t = 0; y && t < n; t++)
        if (beta == 0)
            memset(y + t * row, 0, (size_t)dh * sizeof *y);
        else if (beta != 1)
            isa->axpby(y + t * row, 0, y + t * row, beta, dh);
}

/* P = exp(S - lse), dP = dO V^T, dS = P*(keep*dP - rowsum(dO*O))*scale; dV = (keep*P)^T dO, dQ = dS K, dK = dS^T Q */
static void bwd_task(void *arg, int64_t task, int worker)
{
    const struct attn *s = arg;
    const capt_attn *a = s->a;
    const struct cpu *c = s->c;
    const struct cpu_isa *isa = c->isa;
    int64_t b = task / a->H, o_row = (int64_t)a->H * a->dh;
    int h = (int)(task % a->H), dh = a->dh, nk = a->k_len ? MAX(0, a->k_len[b]) : a->Tk;
    int64_t ld = ROUND_UP(MAX(nk, 1), PANEL), dp = ROUND_UP(dh, PANEL), qb = ROUND_UP(QB, PANEL);
    float *kp = capt_cpu_work(s->be, worker, (size_t)(2 * ld * dh + ld * dp + 2 * qb * dp + 4 * qb * ld) * sizeof *kp + mask_bytes(a));
    if (!kp)
        return;
    float *vp = kp + ld * dh, *kr = vp + ld * dh, *qr = kr + ld * dp, *or = qr + qb * dp, *P = or + qb * dp, *dS = P + qb * ld, *T = dS + qb * ld, *T2 = T + qb * ld;
    uint8_t *mask = (uint8_t *)(T2 + qb * ld);
    float scale = (float)a->scale, up = (float)(1 / (1 - a->drop));
    const float *k = s->k + b * a->Tk * a->k_row + h * dh, *v = s->v + b * a->Tk * a->v_row + h * dh;
    float *dk = s->dk ? s->dk + b * a->Tk * a->k_row + h * dh : NULL, *dv = s->dv ? s->dv + b * a->Tk * a->v_row + h * dh : NULL;
    scale_rows(isa, dk, a->k_row, a->Tk, dh, s->beta_k);
    scale_rows(isa, dv, a->v_row, a->Tk, dh, s->beta_v);
    pack_tokens(isa, kp, k, a->k_row, nk, dh);
    pack_tokens(isa, vp, v, a->v_row, nk, dh);
    isa->pack_rows(F_F32, kr, (int64_t)nk * PANEL, k, a->k_row, nk, dh, 0);
    for (int t0 = 0; t0 < a->Tq; t0 += QB) {
        int nq = MIN(QB, a->Tq - t0), n = keys(a, b, t0 + nq - 1);
        const float *q = s->q + (b * a->Tq + t0) * a->q_row + h * dh;
        const float *dout = s->dout + (b * a->Tq + t0) * o_row + h * dh, *o = s->o + (b * a->Tq + t0) * o_row + h * dh;
        product(c, q, a->q_row, kp, (int64_t)PANEL * dh, nq, n, dh, P, ld, 0);
        product(c, dout, o_row, vp, (int64_t)PANEL * dh, nq, n, dh, dS, ld, 0);
        if (a->drop > 0)
            isa->keep(mask, (int64_t)nq * a->Tk, a->drop, a->key, element(a, b, h, t0));
        for (int t = 0; t < nq; t++) {
            float *p = P + t * ld, *ds = dS + t * ld;
            int m = keys(a, b, t0 + t), mm = ROUND_UP(m, 16);
            if (n > mm || m == 0) {
                isa->fill(p + mm, n - mm, 0);
                isa->fill(ds + mm, n - mm, 0);
            }
            if (m == 0)
                continue;
            isa->fill(p + m, mm - m, NONE);
            isa->fill(ds + m, mm - m, 0);
            float delta = isa->dot(dout + t * o_row, o + t * o_row, dh);
            (void)isa->exp_sum(p, p, scale, s->lse[(b * a->H + h) * a->Tq + t0 + t], mm);
            isa->attn_grad(ds, p, a->drop > 0 ? mask + (int64_t)t * a->Tk : NULL, up, delta, scale, mm);
        }
        if (s->dq)
            product(c, dS, ld, kr, (int64_t)nk * PANEL, nq, dh, n, s->dq + (b * a->Tq + t0) * a->q_row + h * dh, a->q_row, s->beta_q != 0);
        if (dv) {
            isa->transpose(4, T, qb, P, ld, nq, n);
            isa->pack_rows(F_F32, or, (int64_t)nq * PANEL, dout, o_row, nq, dh, 0);
            product(c, T, qb, or, (int64_t)nq * PANEL, n, dh, nq, dv, a->v_row, 1);
        }
        if (dk) {
            isa->transpose(4, T2, qb, dS, ld, nq, n);
            isa->pack_rows(F_F32, qr, (int64_t)nq * PANEL, q, a->q_row, nq, dh, 0);
            product(c, T2, qb, qr, (int64_t)nq * PANEL, n, dh, nq, dk, a->k_row, 1);
        }
    }
}

void capt_cpu_attn_bwd(capt_backend *be, capt_real *dq, double beta_q, capt_real *dk, double beta_k, capt_real *dv, double beta_v, const capt_real *dout, const capt_real *o, const capt_real *lse, const capt_real *q, const capt_real *k, const capt_real *v, const capt_attn *a)
{
    struct attn s = {.be = be, .c = cpu_of(be), .a = a, .o = (float *)o, .lse = (float *)lse, .dq = dq, .dk = dk, .dv = dv, .q = q, .k = k, .v = v, .dout = dout,
                     .beta_q = (float)beta_q, .beta_k = (float)beta_k, .beta_v = (float)beta_v};
    capt_cpu_run(be, a->B * a->H, big(a), bwd_task, &s);
}

/* 4*(S+T)*dh operations a head against 8*(S+T)*dh bytes: the bytes of keys and values are the bound. Neighbouring rows of one image that are in one task go head by
 * head, so that a head of the shared tokens is read once for them. */
enum { STEP_ROWS = 8 }; /* at most, head by head */
struct step {
    capt_backend *be;
    const capt_attn_step *a;
    const float *q;
    float *o;
    int rows; /* of a task */
};

/* rows r0 on, of one image */
static void step_rows(const struct step *s, int r0, int rows, int worker)
{
    const capt_attn_step *a = s->a;
    const struct cpu_isa *isa = isa_of(s->be);
    int64_t image = a->sk && a->S ? a->row_image[r0] : 0;
    int dh = a->dh, S = a->sk && a->S ? (a->s_len ? a->s_len[image] : a->S) : 0, n = S + a->T;
    const float **k = capt_cpu_work(s->be, worker, (size_t)MAX(n, 1) * ((size_t)rows * 2 * sizeof *k + sizeof(float)));
    if (!k)
        return;
    const float **v = k + (int64_t)rows * n;
    float *p = (float *)(void *)(v + (int64_t)rows * n), *map = a->map && a->sk ? a->map + (int64_t)r0 * a->S : NULL;
    if (map)
        memset(map, 0, (size_t)rows * (size_t)a->S * sizeof *map);
    for (int i = 0, j = 0; i < rows; i++)
        for (int t = 0; t < n; t++, j++) {
            int64_t own = t < S ? 0 : ((int64_t)(t - S) * a->slots + a->anc[(int64_t)(t - S) * a->slots + r0 + i]) * a->o_row, shared = (image * a->S + t) * a->s_row;
            k[j] = t < S ? a->sk + shared : a->ok + own;
            v[j] = t < S ? a->sv + shared : a->ov + own;
        }
    for (int h = 0; h < a->H; h++)
        for (int i = 0; i < rows; i++) {
            float *o = s->o + ((int64_t)(r0 + i) * a->H + h) * dh, inv = 0;
            isa->dots(p, s->q + (r0 + i) * a->q_row + h * dh, k + (int64_t)i * n, h * dh, n, dh);
            if (n > 0)
                inv = 1 / isa->exp_sum(p, p, (float)a->scale, isa->max(p, n) * (float)a->scale, n);
            isa->weigh(o, p, inv, v + (int64_t)i * n, h * dh, n, dh);
            for (int t = 0; map && t < S; t++)
                map[(int64_t)i * a->S + t] += p[t] * inv;
        }
    for (int i = 0; map && i < rows; i++)
        spread(map + (int64_t)i * a->S, S, a->S);
}

static void step_task(void *arg, int64_t task, int worker)
{
    const struct step *s = arg;
    const int32_t *image = s->a->sk && s->a->S ? s->a->row_image : NULL;
    int r = (int)task * s->rows, end = MIN(r + s->rows, s->a->R);
    while (r < end) {
        int n = 1;
        while (n < STEP_ROWS && r + n < end && (!image || image[r + n] == image[r]))
            n++;
        step_rows(s, r, n, worker);
        r += n;
    }
}

void capt_cpu_attn_step(capt_backend *be, capt_real *o, const capt_real *q, const capt_attn_step *a)
{
    int tasks = MIN(a->R, 8 * cpu_of(be)->n_worker); /* few rows: each on a thread of its own */
    struct step s = {be, a, q, o, tasks ? (a->R + tasks - 1) / tasks : 1};
    capt_cpu_run(be, (a->R + s.rows - 1) / s.rows, (double)a->R * a->H * (a->S + a->T) * a->dh > 1e5, step_task, &s);
}
#endif
