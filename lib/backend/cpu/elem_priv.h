/* Elementwise functions. All stream: 1-10 operations an element against 8-28 bytes, so DRAM or L2 is the bound and one pass the
 * aim. Plain loops: the compiler vectorises them for the instruction set; ivdep because y may be x. */
#define TANH(x) s_tanh(x)
#define EXP(x) s_exp(x)
#define ERF(x) s_erf(x)
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

static void away(float *y, const float *x, int64_t n)
{
    int64_t i = 0;
    if ((uintptr_t)y % (VL * sizeof *y) == 0)
        for (; i + VL <= n; i += VL)
            vaway(y + i, vload(x + i));
    memcpy(y + i, x + i, (size_t)(n - i) * sizeof *y);
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

static void norm(float *restrict y, const float *restrict mean, const float *restrict rstd, const float *restrict g, const float *restrict b, const float *restrict plus, int relu, int64_t n)
{
    if (plus)
        for (int64_t i = 0; i < n; i++)
            y[i] = (y[i] - mean[i]) * rstd[i] * g[i] + b[i] + plus[i];
    else
        for (int64_t i = 0; i < n; i++)
            y[i] = (y[i] - mean[i]) * rstd[i] * g[i] + b[i];
    for (int64_t i = 0; relu && i < n; i++)
        y[i] = y[i] <= 0 ? 0 : y[i];
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

#ifdef __AVX512F__
/* Philox4x32-10 (base/rng.c) for 16 counters as two groups of 8, a counter's words in the low halves of 64-bit lanes, where VPMULUDQ wants them and leaves
 * both halves of the product: 6 operations a round and group, about 2 cycles a word. */
static void philox16(uint32_t *out, uint64_t key, uint64_t ctr)
{
    __m512i m0 = _mm512_set1_epi64(0xD2511F53), m1 = _mm512_set1_epi64(0xCD9E8D57), low = _mm512_set1_epi64(0xffffffff);
    __m512i c[2][4];
#pragma GCC unroll 2
    for (int g = 0; g < 2; g++) {
        __m512i n = _mm512_add_epi64(_mm512_set1_epi64((long long)(ctr + 8 * (uint64_t)g)), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
        c[g][0] = n;
        c[g][1] = _mm512_srli_epi64(n, 32);
        c[g][2] = c[g][3] = _mm512_setzero_si512();
    }
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
#pragma GCC unroll 10
    for (int r = 0; r < 10; r++) {
        __m512i v0 = _mm512_set1_epi64(k0), v1 = _mm512_set1_epi64(k1);
#pragma GCC unroll 2
        for (int g = 0; g < 2; g++) { /* the high halves of c are not looked at until the end */
            __m512i p0 = _mm512_mul_epu32(c[g][0], m0), p1 = _mm512_mul_epu32(c[g][2], m1);
            c[g][0] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p1, 32), c[g][1], v0, 0x96);
            c[g][1] = p1;
            c[g][2] = _mm512_ternarylogic_epi64(_mm512_srli_epi64(p0, 32), c[g][3], v1, 0x96);
            c[g][3] = p0;
        }
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
#pragma GCC unroll 2
    for (int g = 0; g < 2; g++) {
        __m512i a = _mm512_or_si512(_mm512_and_si512(c[g][0], low), _mm512_slli_epi64(c[g][1], 32));
        __m512i b = _mm512_or_si512(_mm512_and_si512(c[g][2], low), _mm512_slli_epi64(c[g][3], 32));
        _mm512_storeu_si512(out + 32 * g, _mm512_permutex2var_epi64(a, _mm512_setr_epi64(0, 8, 1, 9, 2, 10, 3, 11), b));
        _mm512_storeu_si512(out + 32 * g + 16, _mm512_permutex2var_epi64(a, _mm512_setr_epi64(4, 12, 5, 13, 6, 14, 7, 15), b));
    }
}
#else
/* Philox4x32-10 (base/rng.c) for 16 counters side by side */
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
#endif

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
        if (m == 64)
            for (int j = 0; j < 64; j++)
                k[i + j] = w[j] >= t;
        else
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

/* attention's rows, forward: p = p*mul where kept, else 0 (kept NULL: all) */
static void attn_mask(float *p, const uint8_t *kept, float mul_, int64_t n)
{
    if (!kept) {
        for (int64_t i = 0; i < n; i++)
            p[i] *= mul_;
        return;
    }
    for (int64_t i = 0; i < n; i++)
        p[i] = kept[i] ? p[i] * mul_ : 0;
}

/* and backward: ds = (ds*keep - delta)*p*scale, p = p*keep; keep is `up` or 0 */
static void attn_grad(float *restrict ds, float *restrict p, const uint8_t *restrict kept, float up, float delta, float scale, int64_t n)
{
    if (!kept) {
        for (int64_t i = 0; i < n; i++)
            ds[i] = (ds[i] - delta) * p[i] * scale;
        return;
    }
    for (int64_t i = 0; i < n; i++) {
        float k = kept[i] ? up : 0;
        ds[i] = (ds[i] * k - delta) * p[i] * scale;
        p[i] *= k;
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
    float lr = (float)hp->lr, decay = (float)hp->decay, most = hp->glimit > 0 ? (float)hp->glimit : INFINITY;
#pragma GCC ivdep
    for (int64_t i = 0; i < n; i++) {
        float gs = g[i] * s, gi = gs > most ? most : gs < -most ? -most : gs;
        float mi = b1 * m[i] + a1 * gi, vi = b2 * v[i] + a2 * gi * gi;
        m[i] = mi;
        v[i] = vi;
        w[i] -= lr * (mi * i1 / (sqrtf(vi * i2) + eps) + decay * w[i]);
    }
}
