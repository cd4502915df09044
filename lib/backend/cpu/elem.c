/* Elementwise kernels: one task a chunk of CHUNK elements; the functions are in elem_priv.h. */
#include "backend/cpu/cpu_priv.h"

#ifndef CAPT_REAL64
enum op { FILL, AXPBY, ADD, MUL, MAP_FWD, MAP_BWD, DROPOUT, PIXELS, SUMSQ };
struct elem {
    const struct cpu_isa *isa;
    enum op op;
    int f;
    int64_t n;
    float *y;
    const float *p, *q;
    float a, b;
    const uint8_t *u;
    const float *mean, *std;
    double drop, *sum;
    uint64_t key, i0;
};

static void chunk(void *arg, int64_t task, int worker)
{
    const struct elem *e = arg;
    (void)worker;
    int64_t i = task * CHUNK, n = MIN(CHUNK, e->n - i);
    switch (e->op) {
    case FILL: e->isa->fill(e->y + i, n, e->a); break;
    case AXPBY: e->isa->axpby(e->y + i, e->b, e->p + i, e->a, n); break;
    case ADD: e->isa->add(e->y + i, e->p + i, e->q + i, n); break;
    case MUL: e->isa->mul(e->y + i, e->b, e->p + i, e->q + i, n); break;
    case MAP_FWD: e->isa->map_fwd[e->f](e->y + i, e->p + i, n); break;
    case MAP_BWD: e->isa->map_bwd[e->f](e->y + i, e->b, e->p + i, e->q + i, n); break;
    case DROPOUT: e->isa->dropout(e->y + i, e->b, e->p + i, n, e->drop, e->key, e->i0 + (uint64_t)i); break;
    case PIXELS: e->isa->pixels(e->y + 3 * i, e->u + 3 * i, n, e->mean, e->std); break;
    case SUMSQ: e->sum[task] = e->isa->sumsq(e->p + i, n); break;
    }
}

static void run(capt_backend *be, struct elem e)
{
    e.isa = isa_of(be);
    capt_cpu_run(be, (e.n + CHUNK - 1) / CHUNK, e.n > 2 * SMALL, chunk, &e);
}

void capt_cpu_fill(capt_backend *be, capt_real *y, int64_t n, double v)
{
    run(be, (struct elem){.op = FILL, .n = n, .y = y, .a = (float)v});
}

void capt_cpu_axpby(capt_backend *be, capt_real *y, double b, const capt_real *x, double a, int64_t n)
{
    run(be, (struct elem){.op = AXPBY, .n = n, .y = y, .b = (float)b, .p = x, .a = (float)a});
}

void capt_cpu_add(capt_backend *be, capt_real *y, const capt_real *p, const capt_real *q, int64_t n)
{
    run(be, (struct elem){.op = ADD, .n = n, .y = y, .p = p, .q = q});
}

void capt_cpu_mul(capt_backend *be, capt_real *y, double beta, const capt_real *p, const capt_real *q, int64_t n)
{
    run(be, (struct elem){.op = MUL, .n = n, .y = y, .b = (float)beta, .p = p, .q = q});
}

void capt_cpu_map_fwd(capt_backend *be, int f, capt_real *y, const capt_real *x, int64_t n)
{
    run(be, (struct elem){.op = MAP_FWD, .f = f, .n = n, .y = y, .p = x});
}

void capt_cpu_map_bwd(capt_backend *be, int f, capt_real *dx, double beta, const capt_real *dy, const capt_real *x, int64_t n)
{
    run(be, (struct elem){.op = MAP_BWD, .f = f, .n = n, .y = dx, .b = (float)beta, .p = dy, .q = x});
}

void capt_cpu_dropout(capt_backend *be, capt_real *y, double beta, const capt_real *x, int64_t n, double p, uint64_t key, uint64_t i0)
{
    run(be, (struct elem){.op = DROPOUT, .n = n, .y = y, .b = (float)beta, .p = x, .drop = p, .key = key, .i0 = i0});
}

void capt_cpu_pixels(capt_backend *be, capt_real *y, const uint8_t *x, int64_t n_pixel, const float *mean3, const float *std3)
{
    run(be, (struct elem){.op = PIXELS, .n = n_pixel, .y = y, .u = x, .mean = mean3, .std = std3});
}

void capt_cpu_sumsq(capt_backend *be, double *out, const capt_real *x, int64_t n)
{
    int64_t chunks = (n + CHUNK - 1) / CHUNK;
    double *sum = capt_cpu_buf(be, BUF_E, (size_t)MAX(chunks, 1) * sizeof *sum);
    *out = 0;
    if (!sum)
        return;
    run(be, (struct elem){.op = SUMSQ, .n = n, .p = x, .sum = sum});
    for (int64_t i = 0; i < chunks; i++)
        *out += sum[i];
}
#endif
