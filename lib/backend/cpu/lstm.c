/* One step of an LSTM: a task is a few rows. 8 functions an element against 24 bytes in cache. */
#include "backend/cpu/cpu_priv.h"

#ifndef CAPT_REAL64
struct lstm {
    const struct cpu_isa *isa;
    capt_backend *be;
    float *h, *cell, *act, *da, *db, *dcell0;
    const float *a, *b, *cell0, *dh, *dcell;
    int64_t lda, R, step;
    float beta_a, beta_b, beta_c;
    int H, kind;
};

static void fwd_task(void *arg, int64_t task, int worker)
{
    const struct lstm *s = arg;
    const struct cpu_isa *isa = s->isa;
    (void)worker;
    int64_t H = s->H, W = capt_lstm_gates(s->kind) * H;
    int max = s->kind == CAPT_LSTM_MAXOUT;
    for (int64_t r = task * s->step; r < MIN(s->R, (task + 1) * s->step); r++) {
        float *restrict act = s->act + r * W, *restrict c = s->cell + r * H, *restrict h = s->h + r * H;
        const float *restrict c0 = s->cell0 ? s->cell0 + r * H : NULL;
        if (s->b)
            isa->add(act, s->a + r * s->lda, s->b + r * W, W);
        else
            isa->axpby(act, 0, s->a + r * s->lda, 1, W);
        float *g = act + (max ? 3 : 2) * H, *o = act + (max ? 2 : 3) * H;
        isa->map_fwd[CAPT_MAP_sigmoid](act, act, 2 * H);
        isa->map_fwd[CAPT_MAP_sigmoid](o, o, H);
        if (max)
            for (int64_t j = 0; j < H; j++)
                c[j] = act[j] * (g[H + j] > g[j] ? g[H + j] : g[j]);
        else {
            isa->map_fwd[CAPT_MAP_tanh](g, g, H);
            isa->mul(c, 0, act, g, H);
        }
        for (int64_t j = 0; c0 && j < H; j++)
            c[j] += act[H + j] * c0[j];
        isa->map_fwd[CAPT_MAP_tanh](h, c, H);
        isa->mul(h, 0, h, o, H);
    }
}

static void run(struct lstm *s, void (*task)(void *, int64_t, int))
{
    s->step = MAX(1, 2048 / MAX(s->H, 1));
    capt_cpu_run(s->be, (s->R + s->step - 1) / s->step, s->R * s->H > SMALL, task, s);
}

void capt_cpu_lstm_fwd(capt_backend *be, capt_real *h, capt_real *cell, capt_real *act, const capt_real *a, int64_t lda, const capt_real *b, const capt_real *cell0, int64_t R, int H, int kind)
{
    struct lstm s = {.isa = isa_of(be), .be = be, .h = h, .cell = cell, .act = act, .a = a, .lda = lda, .b = b, .cell0 = cell0, .R = R, .H = H, .kind = kind};
    run(&s, fwd_task);
}

/* with t = tanh(cell): dc = dh*o*(1-t^2) + dcell; the gates' gradients are written to g (G,H) */
static void gates(const struct lstm *s, float *restrict g, float *restrict dc, const float *restrict t, int64_t r)
{
    int64_t H = s->H;
    int max = s->kind == CAPT_LSTM_MAXOUT;
    const float *restrict act = s->act + r * capt_lstm_gates(s->kind) * H, *restrict o = act + (max ? 2 : 3) * H, *restrict cand = act + (max ? 3 : 2) * H;
    float *restrict d_o = g + (max ? 2 : 3) * H, *restrict dg = g + (max ? 3 : 2) * H;
    const float *restrict dh = s->dh ? s->dh + r * H : NULL, *restrict dcell = s->dcell ? s->dcell + r * H : NULL, *restrict c0 = s->cell0 ? s->cell0 + r * H : NULL;
    for (int64_t j = 0; j < H; j++) {
        float d = dh ? dh[j] : 0;
        dc[j] = d * o[j] * (1 - t[j] * t[j]) + (dcell ? dcell[j] : 0);
        d_o[j] = d * t[j] * o[j] * (1 - o[j]);
    }
    if (max)
        for (int64_t j = 0; j < H; j++) {
            float d = dc[j] * act[j], best = cand[H + j] > cand[j] ? cand[H + j] : cand[j];
            dg[j] = cand[H + j] > cand[j] ? 0 : d;
            dg[H + j] = cand[H + j] > cand[j] ? d : 0;
            g[j] = dc[j] * best * act[j] * (1 - act[j]);
        }
    else
        for (int64_t j = 0; j < H; j++) {
            dg[j] = dc[j] * act[j] * (1 - cand[j] * cand[j]);
            g[j] = dc[j] * cand[j] * act[j] * (1 - act[j]);
        }
    for (int64_t j = 0; j < H; j++) {
        float f = act[H + j];
        g[H + j] = c0 ? dc[j] * c0[j] * f * (1 - f) : 0;
        dc[j] *= f;
    }
}

static void bwd_task(void *arg, int64_t task, int worker)
{
    const struct lstm *s = arg;
    const struct cpu_isa *isa = s->isa;
    int64_t H = s->H, W = capt_lstm_gates(s->kind) * H;
    float *g = capt_cpu_work(s->be, worker, (size_t)(W + 2 * H) * sizeof *g);
    if (!g)
        return;
    float *dc = g + W, *t = dc + H;
    for (int64_t r = task * s->step; r < MIN(s->R, (task + 1) * s->step); r++) {
        isa->map_fwd[CAPT_MAP_tanh](t, s->cell + r * H, H);
        gates(s, g, dc, t, r);
        if (s->da)
            isa->axpby(s->da + r * s->lda, s->beta_a, g, 1, W);
        if (s->db)
            isa->axpby(s->db + r * W, s->beta_b, g, 1, W);
        if (s->dcell0)
            isa->axpby(s->dcell0 + r * H, s->beta_c, dc, 1, H);
    }
}

void capt_cpu_lstm_bwd(capt_backend *be, capt_real *da, int64_t ldda, double beta_a, capt_real *db, double beta_b, capt_real *dcell0, double beta_c, const capt_real *dh, const capt_real *dcell, const capt_real *act, const capt_real *cell0, const capt_real *cell, int64_t R, int H, int kind)
{
    struct lstm s = {.isa = isa_of(be), .be = be, .cell = (float *)cell, .act = (float *)act, .da = da, .lda = ldda, .beta_a = (float)beta_a, .db = db, .beta_b = (float)beta_b,
                     .dcell0 = dcell0, .beta_c = (float)beta_c, .cell0 = cell0, .dh = dh, .dcell = dcell, .R = R, .H = H, .kind = kind};
    run(&s, bwd_task);
}
#endif
