/* Moving and summing rows: bytes are the bound throughout. A sum over rows is made by one task for its columns, in rising order. */
#include "backend/cpu/cpu_priv.h"

#ifndef CAPT_REAL64
#include <string.h>

enum { COLS = 256 };
struct move {
    const struct cpu_isa *isa;
    float *y;
    const float *x, *p;
    const int32_t *idx;
    int64_t ldy, ldx, rows, cols, period, step, n;
    float beta;
};

static void set_rows(struct move *m)
{
    m->step = MAX(1, CHUNK / MAX(m->cols, 1));
}

static int64_t n_row_task(const struct move *m)
{
    return (m->rows + m->step - 1) / m->step;
}

static void copy(const struct move *m, float *y, const float *x, int64_t n)
{
    if (m->beta == 0)
        memmove(y, x, (size_t)n * sizeof *y);
    else
        m->isa->axpby(y, m->beta, x, 1, n);
}

static void copy_task(void *arg, int64_t task, int worker)
{
    const struct move *m = arg;
    (void)worker;
    for (int64_t r = task * m->step; r < MIN(m->rows, (task + 1) * m->step); r++)
        copy(m, m->y + r * m->ldy, m->x + r * m->ldx, m->cols);
}

/* rows without gaps are one, cut anywhere */
static void flat_task(void *arg, int64_t task, int worker)
{
    const struct move *m = arg;
    int64_t i = task * CHUNK;
    (void)worker;
    copy(m, m->y + i, m->x + i, MIN(CHUNK, m->rows * m->cols - i));
}

void capt_cpu_copy2d(capt_backend *be, capt_real *y, int64_t ldy, double beta, const capt_real *x, int64_t ldx, int64_t rows, int64_t cols)
{
    struct move m = {.isa = isa_of(be), .y = y, .x = x, .ldy = ldy, .ldx = ldx, .rows = rows, .cols = cols, .beta = (float)beta};
    int flat = rows == 1 || (ldy == cols && ldx == cols);
    set_rows(&m);
    capt_cpu_run(be, flat ? (rows * cols + CHUNK - 1) / CHUNK : n_row_task(&m), rows * cols > 2 * SMALL, flat ? flat_task : copy_task, &m);
}

static void gather_task(void *arg, int64_t task, int worker)
{
    const struct move *m = arg;
    (void)worker;
    for (int64_t r = task * m->step; r < MIN(m->rows, (task + 1) * m->step); r++)
        memcpy(m->y + r * m->cols, m->x + m->idx[r] * m->cols, (size_t)m->cols * sizeof(float));
}

void capt_cpu_gather(capt_backend *be, capt_real *y, const capt_real *x, const int32_t *idx, int64_t n, int64_t block)
{
    struct move m = {.isa = isa_of(be), .y = y, .x = x, .idx = idx, .rows = n, .cols = block};
    set_rows(&m);
    capt_cpu_run(be, n_row_task(&m), n * block > 2 * SMALL, gather_task, &m);
}

static void scatter_task(void *arg, int64_t task, int worker)
{
    const struct move *m = arg;
    (void)worker;
    int64_t c = task * COLS, n = MIN(COLS, m->cols - c);
    for (int64_t i = 0; i < m->rows; i++) {
        float *y = m->y + m->idx[i] * m->cols + c;
        m->isa->add(y, y, m->x + i * m->cols + c, n);
    }
}

void capt_cpu_scatter_add(capt_backend *be, capt_real *dx, double beta, const capt_real *dy, const int32_t *idx, int64_t n, int64_t n_x, int64_t block)
{
    if (beta == 0)
        capt_cpu_fill(be, dx, n_x * block, 0);
    else if (beta != 1)
        capt_cpu_axpby(be, dx, 0, dx, beta, n_x * block);
    struct move m = {.isa = isa_of(be), .y = dx, .x = dy, .idx = idx, .rows = n, .cols = block};
    capt_cpu_run(be, (block + COLS - 1) / COLS, n * block > 2 * SMALL, scatter_task, &m);
}

static void add_rows_task(void *arg, int64_t task, int worker)
{
    const struct move *m = arg;
    (void)worker;
    for (int64_t r = task * m->step; r < MIN(m->rows, (task + 1) * m->step); r++)
        m->isa->add(m->y + r * m->cols, m->x + r * m->cols, m->p + r % m->period * m->cols, m->cols);
}

void capt_cpu_add_rows(capt_backend *be, capt_real *y, const capt_real *x, const capt_real *p, int64_t rows, int64_t period, int64_t cols)
{
    struct move m = {.isa = isa_of(be), .y = y, .x = x, .p = p, .rows = rows, .cols = cols, .period = period};
    set_rows(&m);
    capt_cpu_run(be, n_row_task(&m), rows * cols > 2 * SMALL, add_rows_task, &m);
}

static void sum_rows_task(void *arg, int64_t task, int worker)
{
    const struct move *m = arg;
    (void)worker;
    int64_t parts = (m->cols + COLS - 1) / COLS, q = task / parts, c = task % parts * COLS, n = MIN(COLS, m->cols - c);
    float *y = m->y + q * m->cols + c;
    _Alignas(64) float s[COLS];
    if (m->beta == 0)
        memset(y, 0, (size_t)n * sizeof *y);
    for (int64_t r = q; r < m->rows;) { /* 64 at a time: shorter chains of rounding */
        memset(s, 0, sizeof s);
        for (int i = 0; i < 64 && r < m->rows; i++, r += m->period)
            m->isa->add(s, s, m->x + r * m->cols + c, n);
        m->isa->add(y, y, s, n);
    }
}

void capt_cpu_sum_rows(capt_backend *be, capt_real *dp, double beta, const capt_real *dy, int64_t rows, int64_t period, int64_t cols)
{
    struct move m = {.isa = isa_of(be), .y = dp, .x = dy, .rows = rows, .cols = cols, .period = period, .beta = (float)beta};
    capt_cpu_run(be, period * ((cols + COLS - 1) / COLS), rows * cols > 2 * SMALL, sum_rows_task, &m);
}

struct pool {
    const float *x;
    float *y;
    int H, W, C, kh, kw;
    const struct cpu_isa *isa;
    float beta;
};

static void pool_fwd_task(void *arg, int64_t task, int worker)
{
    const struct pool *p = arg;
    (void)worker;
    int OH = p->H / p->kh, OW = p->W / p->kw;
    const float *x = p->x + ((task / OH) * p->H + task % OH * p->kh) * (int64_t)p->W * p->C;
    for (int ox = 0; ox < OW; ox++) {
        float *y = p->y + (task * OW + ox) * p->C;
        memset(y, 0, (size_t)p->C * sizeof *y);
        for (int i = 0; i < p->kh; i++)
            for (int j = 0; j < p->kw; j++)
                p->isa->add(y, y, x + ((int64_t)i * p->W + ox * p->kw + j) * p->C, p->C);
        p->isa->axpby(y, 0, y, 1.0f / (float)(p->kh * p->kw), p->C);
    }
}

void capt_cpu_avgpool_fwd(capt_backend *be, capt_real *y, const capt_real *x, int64_t B, int H, int W, int C, int kh, int kw)
{
    struct pool p = {.x = x, .y = y, .H = H, .W = W, .C = C, .kh = kh, .kw = kw, .isa = isa_of(be)};
    capt_cpu_run(be, B * (H / kh), B * H * W * C > 2 * SMALL, pool_fwd_task, &p);
}

static void pool_bwd_task(void *arg, int64_t task, int worker) /* a row of an image; rows and columns outside every window get 0 */
{
    const struct pool *p = arg;
    (void)worker;
    int OH = p->H / p->kh, OW = p->W / p->kw, iy = (int)(task % p->H);
    for (int ix = 0; ix < p->W; ix++) {
        float *dx = p->y + (task * p->W + ix) * p->C;
        if (iy / p->kh < OH && ix / p->kw < OW)
            p->isa->axpby(dx, p->beta, p->x + (((task / p->H) * OH + iy / p->kh) * OW + ix / p->kw) * p->C, 1.0f / (float)(p->kh * p->kw), p->C);
        else if (p->beta == 0)
            memset(dx, 0, (size_t)p->C * sizeof *dx);
    }
}

void capt_cpu_avgpool_bwd(capt_backend *be, capt_real *dx, double beta, const capt_real *dy, int64_t B, int H, int W, int C, int kh, int kw)
{
    struct pool p = {.x = dy, .y = dx, .H = H, .W = W, .C = C, .kh = kh, .kw = kw, .isa = isa_of(be), .beta = (float)beta};
    capt_cpu_run(be, B * H, B * H * W * C > 2 * SMALL, pool_bwd_task, &p);
}
#endif
