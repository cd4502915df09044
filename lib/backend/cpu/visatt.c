/* Additive attention (kernel.def): a task is an image with its rows, so that what the rows share (p, v and their gradients) stays with one worker and is summed in
 * rising order. Forward: an activation and two operations for each of R*S*A, and 2*R*S*D; the activation is the bound. */
#include "backend/cpu/cpu_priv.h"

#ifndef CAPT_REAL64
#include <string.h>

struct visatt {
    const struct cpu_isa *isa;
    capt_backend *be;
    const capt_visatt *a;
    float *z, *alpha, *dp, *dq, *dv, *part; /* part (I,A): each image's share of dw */
    const float *p, *q, *w, *v, *dz, *dalpha;
    float beta_p, beta_q, beta_v;
};

static int valid(const int32_t *len, int64_t i, int S)
{
    return len ? len[i] : S;
}

/* t (n,A) = p + q */
static void inputs(const struct visatt *s, float *t, int64_t image, int r, int n)
{
    int64_t A = s->a->A;
    for (int k = 0; k < n; k++)
        s->isa->add(t + k * A, s->p + (image * s->a->S + k) * A, s->q + r * A, A);
}

static void fwd_task(void *arg, int64_t image, int worker)
{
    const struct visatt *s = arg;
    const capt_visatt *a = s->a;
    const struct cpu_isa *isa = s->isa;
    int S = a->S, A = a->A, D = a->D, n = valid(a->len, image, S);
    float *t = capt_cpu_work(s->be, worker, (size_t)MAX(1, (int64_t)S * A) * sizeof *t);
    for (int r = 0; t && r < a->R; r++) {
        if (a->row_image[r] != image)
            continue;
        float *e = s->alpha + (int64_t)r * S, *z = s->z + (int64_t)r * D;
        inputs(s, t, image, r, n);
        isa->map_fwd[a->act](t, t, (int64_t)n * A);
        for (int k = 0; k < n; k++)
            e[k] = isa->dot(s->w, t + (int64_t)k * A, A);
        memset(e + n, 0, (size_t)(S - n) * sizeof *e);
        memset(z, 0, (size_t)D * sizeof *z);
        if (n == 0)
            continue;
        float inv = 1 / isa->exp_sum(e, e, 1, isa->max(e, n), n);
        for (int k = 0; k < n; k++) {
            e[k] *= inv;
            isa->axpby(z, 1, s->v + (image * S + k) * D, e[k], D);
        }
    }
}

static int big(const capt_visatt *a)
{
    return (double)a->R * a->S * (a->A + a->D) > 2e4;
}

void capt_cpu_visatt_fwd(capt_backend *be, capt_real *z, capt_real *alpha, const capt_real *p, const capt_real *q, const capt_real *w, const capt_real *v, const capt_visatt *a)
{
    struct visatt s = {.isa = isa_of(be), .be = be, .a = a, .z = z, .alpha = alpha, .p = p, .q = q, .w = w, .v = v};
    capt_cpu_run(be, a->I, big(a), fwd_task, &s);
}

static void scale(const struct cpu_isa *isa, float *d, float beta, int64_t n)
{
    if (d && beta == 0)
        memset(d, 0, (size_t)n * sizeof *d);
    else if (d && beta != 1)
        isa->axpby(d, 0, d, beta, n);
}

static void bwd_task(void *arg, int64_t image, int worker)
{
    const struct visatt *s = arg;
    const capt_visatt *a = s->a;
    const struct cpu_isa *isa = s->isa;
    int S = a->S, A = a->A, D = a->D, n = valid(a->len, image, S);
    int64_t nA = (int64_t)n * A;
    float *t = capt_cpu_work(s->be, worker, (size_t)(2 * (int64_t)S * A + S + 1) * sizeof *t);
    if (!t)
        return;
    float *g = t + (int64_t)S * A, *de = g + (int64_t)S * A, *part = s->part ? s->part + image * A : NULL;
    scale(isa, s->dp ? s->dp + image * S * A : NULL, s->beta_p, (int64_t)S * A);
    scale(isa, s->dv ? s->dv + image * S * D : NULL, s->beta_v, (int64_t)S * D);
    scale(isa, part, 0, A);
    for (int r = 0; r < a->R; r++) {
        if (a->row_image[r] != image)
            continue;
        const float *al = s->alpha + (int64_t)r * S, *dz = s->dz ? s->dz + (int64_t)r * D : NULL;
        float *dq = s->dq ? s->dq + (int64_t)r * A : NULL;
        for (int k = 0; k < n; k++) {
            de[k] = dz ? isa->dot(dz, s->v + (image * S + k) * D, D) : 0;
            if (s->dalpha)
                de[k] += s->dalpha[(int64_t)r * S + k];
        }
        float mean = isa->dot(al, de, n);
        inputs(s, t, image, r, n);
        for (int k = 0; k < n; k++) {
            de[k] = al[k] * (de[k] - mean);
            isa->axpby(g + (int64_t)k * A, 0, s->w, de[k], A);
            if (s->dv && dz)
                isa->axpby(s->dv + (image * S + k) * D, 1, dz, al[k], D);
        }
        isa->map_bwd[a->act](g, 0, g, t, nA);
        if (s->dp)
            isa->add(s->dp + image * S * A, s->dp + image * S * A, g, nA);
        scale(isa, dq, s->beta_q, A);
        for (int k = 0; dq && k < n; k++)
            isa->add(dq, dq, g + (int64_t)k * A, A);
        if (part) {
            isa->map_fwd[a->act](t, t, nA);
            for (int k = 0; k < n; k++)
                isa->axpby(part, 1, t + (int64_t)k * A, de[k], A);
        }
    }
}

void capt_cpu_visatt_bwd(capt_backend *be, capt_real *dp, double beta_p, capt_real *dq, double beta_q, capt_real *dw, double beta_w, capt_real *dv, double beta_v, const capt_real *dz, const capt_real *dalpha, const capt_real *alpha, const capt_real *p, const capt_real *q, const capt_real *w, const capt_real *v, const capt_visatt *a)
{
    struct visatt s = {.isa = isa_of(be), .be = be, .a = a, .alpha = (float *)alpha, .dp = dp, .beta_p = (float)beta_p, .dq = dq, .beta_q = (float)beta_q, .dv = dv,
                       .beta_v = (float)beta_v, .p = p, .q = q, .w = w, .v = v, .dz = dz, .dalpha = dalpha};
    s.part = dw ? capt_cpu_buf(be, BUF_E, (size_t)MAX(1, (int64_t)a->I * a->A) * sizeof *s.part) : NULL;
    if (dw && !s.part)
        return;
    capt_cpu_run(be, a->I, big(a), bwd_task, &s);
    scale(s.isa, dw, (float)beta_w, a->A);
    for (int64_t i = 0; dw && i < a->I; i++)
        s.isa->add(dw, dw, s.part + i * a->A, a->A);
}

struct cover {
    const struct cpu_isa *isa;
    float *loss, *cover, *dalpha;
    const float *alpha, *target;
    const int32_t *t_len, *s_len;
    double scale;
    float beta;
    int T, S;
};

static void cover_fwd_task(void *arg, int64_t r, int worker)
{
    const struct cover *c = arg;
    (void)worker;
    float *cover = c->cover + r * c->S;
    double sum = 0, want = (double)c->target[r];
    memset(cover, 0, (size_t)c->S * sizeof *cover);
    for (int t = 0; t < c->t_len[r]; t++)
        c->isa->add(cover, cover, c->alpha + (r * c->T + t) * c->S, c->S);
    for (int s = 0; s < c->s_len[r]; s++)
        sum += (want - (double)cover[s]) * (want - (double)cover[s]);
    c->loss[r] = c->t_len[r] && c->s_len[r] ? (float)(c->scale / c->s_len[r] * sum) : 0;
}

void capt_cpu_coverage_fwd(capt_backend *be, capt_real *loss, capt_real *cover, const capt_real *alpha, const int32_t *t_len, const int32_t *s_len, const capt_real *target, double scale_, int64_t R, int T, int S)
{
    struct cover c = {.isa = isa_of(be), .loss = loss, .cover = cover, .alpha = alpha, .t_len = t_len, .s_len = s_len, .target = target, .scale = scale_, .T = T, .S = S};
    capt_cpu_run(be, R, R * T * S > 2 * SMALL, cover_fwd_task, &c);
}

static void cover_bwd_task(void *arg, int64_t r, int worker)
{
    const struct cover *c = arg;
    (void)worker;
    float k = c->s_len[r] ? (float)(-2 * c->scale / c->s_len[r]) : 0;
    const float *cover = c->cover + r * c->S;
    for (int t = 0; t < c->T; t++)
        for (int s = 0; s < c->S; s++) {
            float d = t < c->t_len[r] && s < c->s_len[r] ? k * (c->target[r] - cover[s]) : 0, *to = c->dalpha + (r * c->T + t) * c->S + s;
            *to = c->beta == 0 ? d : c->beta * *to + d;
        }
}

void capt_cpu_coverage_bwd(capt_backend *be, capt_real *dalpha, double beta, const capt_real *cover, const int32_t *t_len, const int32_t *s_len, const capt_real *target, double scale_, int64_t R, int T, int S)
{
    struct cover c = {.isa = isa_of(be), .dalpha = dalpha, .beta = (float)beta, .cover = (float *)cover, .t_len = t_len, .s_len = s_len, .target = target, .scale = scale_, .T = T, .S = S};
    capt_cpu_run(be, R, R * T * S > 2 * SMALL, cover_bwd_task, &c);
}

struct mean {
    const struct cpu_isa *isa;
    float *y;
    const float *x;
    const int32_t *len;
    float beta;
    int S, D;
};

static void mean_fwd_task(void *arg, int64_t i, int worker)
{
    const struct mean *m = arg;
    (void)worker;
    int n = valid(m->len, i, m->S);
    float *y = m->y + i * m->D;
    memset(y, 0, (size_t)m->D * sizeof *y);
    for (int s = 0; s < n; s++)
        m->isa->add(y, y, m->x + (i * m->S + s) * m->D, m->D);
    if (n)
        m->isa->axpby(y, 0, y, 1 / (float)n, m->D);
}

void capt_cpu_mean_rows_fwd(capt_backend *be, capt_real *y, const capt_real *x, const int32_t *len, int64_t I, int S, int D)
{
    struct mean m = {.isa = isa_of(be), .y = y, .x = x, .len = len, .S = S, .D = D};
    capt_cpu_run(be, I, I * S * D > 2 * SMALL, mean_fwd_task, &m);
}

static void mean_bwd_task(void *arg, int64_t i, int worker)
{
    const struct mean *m = arg;
    (void)worker;
    int n = valid(m->len, i, m->S);
    for (int s = 0; s < m->S; s++) {
        float *to = m->y + (i * m->S + s) * m->D;
        if (s < n)
            m->isa->axpby(to, m->beta, m->x + i * m->D, 1 / (float)n, m->D);
        else
            scale(m->isa, to, m->beta, m->D);
    }
}

void capt_cpu_mean_rows_bwd(capt_backend *be, capt_real *dx, double beta, const capt_real *dy, const int32_t *len, int64_t I, int S, int D)
{
    struct mean m = {.isa = isa_of(be), .y = dx, .x = dy, .len = len, .beta = (float)beta, .S = S, .D = D};
    capt_cpu_run(be, I, I * S * D > 2 * SMALL, mean_bwd_task, &m);
}
#endif
