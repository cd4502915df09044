/* Elementwise functions. All stream: 1-10 operations an element against 8-28 bytes, so DRAM or L2 is the bound and one pass the
 * aim. Plain loops: the compiler vectorises them for the instruction set; ivdep because y may be x. */
#define TANH(x) s_tanh(x)
#define EXP(x) s_exp(x)
#define MAP(name, value, derivative) \
static void map_fwd_##name(float *ys, const float *xs, int64_t n) \
{ \
    _Pragma("GCC ivdep") \
    for (int64_t i = 0; i < n; i++) { \
        float x = xs[i]; \
        ys[i] = value; \
    } \
} \
static void map_bwd_##name(float *dx, float beta, const float *dy, const float *xs, int64_t n) \
{ \
    if (beta == 0) { \
        _Pragma("GCC ivdep") \
        for (int64_t i = 0; i < n; i++) { \
            float x = xs[i], y = value; \
            (void)x, (void)y; \
            dx[i] = dy[i] * (derivative); \
        } \
        return; \
    } \
    _Pragma("GCC ivdep") \
    for (int64_t i = 0; i < n; i++) { \
        float x = xs[i], y = value; \
        (void)x, (void)y; \
        dx[i] = beta * dx[i] + dy[i] * (derivative); \
    } \
}
#include "backend/map.def"
#undef MAP

static void fill(float *y, int64_t n, float v)
{
    for (int64_t i = 0; i < n; i++)
        y[i] = v;
}

static void axpby(float *y, float b, const float *x, float a, int64_t n)
{
    if (b == 0) {
#pragma GCC ivdep
        for (int64_t i = 0; i < n; i++)
            y[i] = a * x[i];
    } else {
#pragma GCC ivdep
        for (int64_t i = 0; i < n; i++)
            y[i] = a * x[i] + b * y[i];
    }
}

static void add(float *y, const float *p, const float *q, int64_t n)
{
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++)
        y[i] = p[i] + q[i];
}

static void add_scalar(float *y, float v, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        y[i] += v;
}

static void mul(float *y, float beta, const float *p, const float *q, int64_t n)
{
    if (beta == 0) {
#pragma GCC ivdep
        for (int64_t i = 0; i < n; i++)
            y[i] = p[i] * q[i];
    } else {
#pragma GCC ivdep
        for (int64_t i = 0; i < n; i++)
            y[i] = beta * y[i] + p[i] * q[i];
    }
}

/* words 4*c .. of Philox4x32-10 (base/rng.c) for 16 counters side by side; 80 multiplications a counter: compute bound, about 1 ns an element */
static void philox16(uint32_t *out, uint64_t key, uint64_t ctr)
{
    enum { L = 16 };
    _Alignas(64) uint32_t c0[L], c1[L], c2[L], c3[L];
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    for (int j = 0; j < L; j++) {
        c0[j] = (uint32_t)(ctr + (uint64_t)j);
        c1[j] = (uint32_t)((ctr + (uint64_t)j) >> 32);
        c2[j] = c3[j] = 0;
    }
    for (int r = 0; r < 10; r++) {
        for (int j = 0; j < L; j++) {
            uint64_t p0 = (uint64_t)0xD2511F53u * c0[j], p1 = (uint64_t)0xCD9E8D57u * c2[j];
            c0[j] = (uint32_t)(p1 >> 32) ^ c1[j] ^ k0;
            c1[j] = (uint32_t)p1;
            c2[j] = (uint32_t)(p0 >> 32) ^ c3[j] ^ k1;
            c3[j] = (uint32_t)p0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    for (int j = 0; j < L; j++) {
        out[4 * j] = c0[j];
        out[4 * j + 1] = c1[j];
        out[4 * j + 2] = c2[j];
        out[4 * j + 3] = c3[j];
    }
}

static uint32_t threshold(double p)
{
    return p >= 1 ? 0xffffffffu : (uint32_t)(p * 4294967296.0);
}

static void keep(uint8_t *k, int64_t n, double p, uint64_t key, uint64_t i0)
{
    _Alignas(64) uint32_t w[64];
    uint32_t t = threshold(p);
    for (int64_t i = 0; i < n;) {
        uint64_t e = i0 + (uint64_t)i;
        int skip = (int)(e & 3), m = (int)MIN(64 - skip, n - i);
        philox16(w, key, e >> 2);
        for (int j = 0; j < m; j++)
            k[i + j] = w[skip + j] >= t;
        i += m;
    }
}

static void dropout(float *y, float beta, const float *x, int64_t n, double p, uint64_t key, uint64_t i0)
{
    _Alignas(64) uint32_t w[64];
    uint32_t t = threshold(p);
    float s = (float)(1 / (1 - p));
    for (int64_t i = 0; i < n;) {
        uint64_t e = i0 + (uint64_t)i;
        int skip = (int)(e & 3), m = (int)MIN(64 - skip, n - i);
        philox16(w, key, e >> 2);
        float *yi = y + i;
        const float *xi = x + i;
        if (beta == 0) {
#pragma GCC ivdep
            for (int j = 0; j < m; j++)
                yi[j] = w[skip + j] >= t ? xi[j] * s : 0;
        } else {
#pragma GCC ivdep
            for (int j = 0; j < m; j++)
                yi[j] = beta * yi[j] + (w[skip + j] >= t ? xi[j] * s : 0);
        }
        i += m;
    }
}

static void pixels(float *y, const uint8_t *x, int64_t n, const float *mean3, const float *std3)
{
    for (int64_t i = 0; i < n; i++)
        for (int c = 0; c < 3; c++)
            y[3 * i + c] = ((float)x[3 * i + c] / 255.0f - mean3[c]) / std3[c];
}

/* 12 operations and a square root a parameter against 28 bytes: DRAM bound (60 ms for 124 M at 58 GB/s) */
static void adamw(float *w, const float *g, float *m, float *v, int64_t n, const capt_adamw *hp)
{
    float b1 = (float)hp->beta1, b2 = (float)hp->beta2, a1 = (float)(1 - hp->beta1), a2 = (float)(1 - hp->beta2);
    float s = (float)hp->gscale, i1 = (float)(1 / hp->c1), i2 = (float)(1 / hp->c2), eps = (float)hp->eps;
    float lr = (float)hp->lr, decay = (float)hp->decay;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) {
        float gi = g[i] * s, mi = b1 * m[i] + a1 * gi, vi = b2 * v[i] + a2 * gi * gi;
        m[i] = mi;
        v[i] = vi;
        w[i] -= lr * (mi * i1 / (sqrtf(vi * i2) + eps) + decay * w[i]);
    }
}
