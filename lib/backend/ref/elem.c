/* Elementwise kernels. */
#include "backend/ref/ref_priv.h"
#include "base/rng.h"

void capt_ref_fill(capt_backend *be, capt_real *y, int64_t n, double v)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = (capt_real)v;
}

void capt_ref_axpby(capt_backend *be, capt_real *y, double b, const capt_real *x, double a, int64_t n)
{
    capt_real fa = (capt_real)a, fb = (capt_real)b;
    if (b == 0)
        for (int64_t i = 0; i < n; i++)
            y[i] = fa * x[i];
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = fa * x[i] + fb * y[i];
}

void capt_ref_add(capt_backend *be, capt_real *y, const capt_real *p, const capt_real *q, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = p[i] + q[i];
}

void capt_ref_mul(capt_backend *be, capt_real *y, double beta, const capt_real *p, const capt_real *q, int64_t n)
{
    capt_real b = (capt_real)beta;
    if (beta == 0)
        for (int64_t i = 0; i < n; i++)
            y[i] = p[i] * q[i];
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = b * y[i] + p[i] * q[i];
}

void capt_ref_map_fwd(capt_backend *be, int f, capt_real *y, const capt_real *v, int64_t n)
{
    switch (f) {
#define MAP(name, value, derivative)       \
    case CAPT_MAP_##name:                  \
        for (int64_t i = 0; i < n; i++) {  \
            capt_real x = v[i];            \
            y[i] = value;                  \
        }                                  \
        break;
#include "backend/map.def"
#undef MAP
    default:
        be->failed = 1;
    }
}

void capt_ref_map_bwd(capt_backend *be, int f, capt_real *dx, double beta, const capt_real *dy, const capt_real *v, int64_t n)
{
    capt_real b = (capt_real)beta;
    switch (f) {
#define MAP(name, value, derivative)                          \
    case CAPT_MAP_##name:                                     \
        for (int64_t i = 0; i < n; i++) {                     \
            capt_real x = v[i], y = value;                    \
            (void)x, (void)y;                                 \
            capt_real d = dy[i] * (derivative);               \
            dx[i] = beta == 0 ? d : b * dx[i] + d;            \
        }                                                     \
        break;
#include "backend/map.def"
#undef MAP
    default:
        be->failed = 1;
    }
}

void capt_ref_mask_init(capt_ref_mask *m, double p, uint64_t key)
{
    *m = (capt_ref_mask){.key = key, .below = (uint32_t)(p * 4294967296.0)};
}

int capt_ref_mask_keep(capt_ref_mask *m, uint64_t e)
{
    if (!m->have || m->block != e >> 2) {
        m->have = 1;
        m->block = e >> 2;
        capt_philox(m->key, m->block, 0, m->w);
    }
    return m->w[e & 3] >= m->below;
}

void capt_ref_dropout(capt_backend *be, capt_real *y, double beta, const capt_real *x, int64_t n, double p, uint64_t key, uint64_t i0)
{
    capt_real scale = (capt_real)(1 / (1 - p)), b = (capt_real)beta;
    capt_ref_mask m;
    capt_ref_mask_init(&m, p, key);
    for (int64_t i = 0; i < n; i++) {
        capt_real v = capt_ref_mask_keep(&m, i0 + (uint64_t)i) ? x[i] * scale : 0;
        y[i] = beta == 0 ? v : b * y[i] + v;
    }
}

void capt_ref_pixels(capt_backend *be, capt_real *y, const uint8_t *x, int64_t n_pixel, const float *mean3, const float *std3)
{
    for (int64_t i = 0; i < n_pixel; i++)
        for (int c = 0; c < 3; c++)
            y[i * 3 + c] = ((capt_real)x[i * 3 + c] / 255 - (capt_real)mean3[c]) / (capt_real)std3[c];
}
