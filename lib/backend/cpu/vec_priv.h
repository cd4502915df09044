/* Vectors of VL floats and the scalar functions that loops are vectorised with. Included once an instruction set. */
#include <math.h>
#include <string.h>
#if defined __AVX2__
#include <immintrin.h>
#endif

#if defined __AVX512F__
#define VL 16
#ifdef __AVX512BF16__
#define FMT16 F_BF16
#else
#define FMT16 F_HALF
#endif
#define TILE_MR 14
typedef __m512 vf;
static inline vf vload(const float *p) { return _mm512_loadu_ps(p); }
static inline void vstore(float *p, vf v) { _mm512_storeu_ps(p, v); }
/* past the caches, p a multiple of a vector; the locked operation that ends a task of the pool puts it in order for other threads */
static inline void vaway(float *p, vf v) { _mm512_stream_ps(p, v); }
static inline __mmask16 vmask(int n) { return (__mmask16)(n >= 16 ? 0xffff : n <= 0 ? 0 : (1 << n) - 1); }
static inline vf vloadn(const float *p, int n) { return _mm512_maskz_loadu_ps(vmask(n), p); }
static inline void vstoren(float *p, vf v, int n) { _mm512_mask_storeu_ps(p, vmask(n), v); }
static inline vf vset(float x) { return _mm512_set1_ps(x); }
static inline vf vfma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
static inline vf vmax(vf a, vf b) { return _mm512_max_ps(a, b); } /* a NaN in b comes through */
/* of VL pairs of bf16 the first of each, the second of each */
static inline vf vfirst(const uint32_t *p) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16)); }
static inline vf vsecond(const uint32_t *p) { return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), _mm512_set1_epi32(-65536))); }
#elif defined __AVX2__
#define VL 8
#define FMT16 F_HALF
#define TILE_MR 6
typedef __m256 vf;
static inline vf vload(const float *p) { return _mm256_loadu_ps(p); }
static inline void vstore(float *p, vf v) { _mm256_storeu_ps(p, v); }
static inline void vaway(float *p, vf v) { _mm256_stream_ps(p, v); }
static inline __m256i vmask(int n) { return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7)); }
static inline vf vloadn(const float *p, int n) { return n >= 8 ? vload(p) : _mm256_maskload_ps(p, vmask(n)); }
static inline void vstoren(float *p, vf v, int n)
{
    if (n >= 8)
        vstore(p, v);
    else
        _mm256_maskstore_ps(p, vmask(n), v);
}
static inline vf vset(float x) { return _mm256_set1_ps(x); }
static inline vf vfma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
static inline vf vmax(vf a, vf b) { return _mm256_max_ps(a, b); }
static inline vf vfirst(const uint32_t *p) { return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_loadu_si256((const __m256i *)p), 16)); }
static inline vf vsecond(const uint32_t *p) { return _mm256_castsi256_ps(_mm256_and_si256(_mm256_loadu_si256((const __m256i *)p), _mm256_set1_epi32(-65536))); }
#else
#define VL 4
#define FMT16 F_ROUND
#define TILE_MR 4
typedef float vf __attribute__((vector_size(16)));
typedef int32_t vi4 __attribute__((vector_size(16)));
static inline vf vload(const float *p) { vf v; memcpy(&v, p, sizeof v); return v; }
static inline void vstore(float *p, vf v) { memcpy(p, &v, sizeof v); }
static inline void vaway(float *p, vf v) { vstore(p, v); }
static inline vf vloadn(const float *p, int n)
{
    vf v = {0, 0, 0, 0};
    for (int i = 0; i < 4 && i < n; i++)
        v[i] = p[i];
    return v;
}
static inline void vstoren(float *p, vf v, int n)
{
    for (int i = 0; i < 4 && i < n; i++)
        p[i] = v[i];
}
static inline vf vset(float x) { return (vf){x, x, x, x}; }
static inline vf vfma(vf a, vf b, vf c) { return a * b + c; }
static inline vf vmax(vf a, vf b) { vi4 m = a > b; return (vf)(((vi4)a & m) | ((vi4)b & ~m)); }
#endif

/* The sum of a vector, halves added to halves. */
static inline float vsum(vf v)
{
#if VL > 4
#if VL == 16
    __m256 h = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
#else
    __m256 h = v;
#endif
    __m128 q = _mm_add_ps(_mm256_castps256_ps128(h), _mm256_extractf128_ps(h, 1));
    q = _mm_add_ps(q, _mm_movehl_ps(q, q));
    return _mm_cvtss_f32(_mm_add_ss(q, _mm_movehdup_ps(q)));
#else
    return (v[0] + v[2]) + (v[1] + v[3]);
#endif
}

#ifdef __FMA__
#define FMA(a, b, c) __builtin_fmaf(a, b, c)
#else
#define FMA(a, b, c) ((a) * (b) + (c))
#endif
static inline float from_bits(int32_t i) { float f; memcpy(&f, &i, 4); return f; }
static inline int32_t to_bits(float f) { int32_t i; memcpy(&i, &f, 4); return i; }

/* exp, about 1 ulp, without a branch: 2^n e^r, |r| <= ln(2)/2, n found by adding 1.5*2^23; (e^r - 1 - r)/r^2 is a Chebyshev fit
 * (error 1.4e-9). 0 below the smallest normal result, infinite above 88.37; NaN stays NaN. */
static inline float s_exp(float x)
{
    float c = x < -87.3f ? -87.3f : x;
    c = c > 88.37f ? 88.37f : c;
    float t = FMA(c, 1.44269504f, 12582912.0f), n = t - 12582912.0f;
    float r = FMA(n, -0.693359375f, c);
    r = FMA(n, 2.12194440e-4f, r);
    float p = FMA(1.98992869e-4f, r, 1.393365152e-3f);
    p = FMA(p, r, 8.333298467e-3f);
    p = FMA(p, r, 4.16664649e-2f);
    p = FMA(p, r, 1.666666672e-1f);
    p = FMA(p, r, 5.000000013e-1f);
    p = FMA(p * r, r, r) + 1;
    float y = p * from_bits((int32_t)(((uint32_t)to_bits(t) - 0x4b400000u + 127u) << 23)); /* unsigned: a NaN overflows */
    y = x < -87.3f ? 0 : y;
    return x > 88.37f ? (float)INFINITY : y;
}

/* tanh, about 2 ulp: an odd polynomial (Chebyshev fit, error 1.8e-9 relative) up to 0.63, else from exp(2|x|) */
static inline float s_tanh(float x)
{
    float a = fabsf(x), z = x * x;
    float p = FMA(2.272717121e-3f, z, -8.326415741e-3f);
    p = FMA(p, z, 2.176363907e-2f);
    p = FMA(p, z, -5.395862516e-2f);
    p = FMA(p, z, 1.333330097e-1f);
    p = FMA(p, z, -3.333333316e-1f);
    p = FMA(p * z, x, x);
    float e = s_exp((a > 15.0f ? 15.0f : a) * 2), q = copysignf(1 - 2 / (e + 1), x);
    q = x != x ? x : q;
    return a < 0.63f ? p : q;
}

/* erf, error at most 1.4e-7: x times a polynomial in x^2 up to 0.95, else 1 - exp(q), q a fit of log(1 - erf(|x|)) up to 4, beyond which erf is 1 */
static inline float s_erf(float x)
{
    float a = fabsf(x), z = x * x, b = a > 4.0f ? 4.0f : a;
    float p = FMA(8.215693379e-5f, z, -8.106044261e-4f);
    p = FMA(p, z, 5.197805818e-3f);
    p = FMA(p, z, -2.685810998e-2f);
    p = FMA(p, z, 1.12836726e-1f);
    p = FMA(p, z, -3.761263192e-1f);
    p = FMA(p, z, 1.128379226f);
    float q = FMA(-2.149621650e-5f, b, 4.391075054e-4f);
    q = FMA(q, b, -4.193616100e-3f);
    q = FMA(q, b, 2.517898008e-2f);
    q = FMA(q, b, -1.083724946e-1f);
    q = FMA(q, b, -6.332625747e-1f);
    q = FMA(q, b, -1.129556894f);
    q = FMA(q, b, 1.834456052e-4f);
    q = copysignf(1 - s_exp(q), x);
    q = x != x ? x : q;
    return a < 0.95f ? p * x : q;
}
