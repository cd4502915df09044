#include "base/bf16.h"

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define HAVE_F16C 1
#endif

uint16_t capt_f16_from_f32(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    uint32_t sign = u >> 16 & 0x8000, a = u & 0x7fffffff;
    if (a > 0x7f800000) /* NaN: top bits of the payload, quiet */
        return (uint16_t)(sign | 0x7e00 | (a >> 13 & 0x3ff));
    if (a >= 0x477ff000) /* 65520 and above round to infinity */
        return (uint16_t)(sign | 0x7c00);
    if (a < 0x38800000) { /* below 2^-14: subnormal, in units of 2^-24 */
        if (a <= 0x33000000) /* up to 2^-25: ties to even give 0 */
            return (uint16_t)sign;
        uint32_t e = a >> 23, m = (a & 0x7fffff) | 0x800000, shift = 126 - e;
        uint32_t r = m >> shift, rest = m & ((1u << shift) - 1), half = 1u << (shift - 1);
        r += rest > half || (rest == half && (r & 1));
        return (uint16_t)(sign | r);
    }
    a += 0xfff + (a >> 13 & 1);
    return (uint16_t)(sign | ((a - 0x38000000) >> 13));
}

float capt_f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, e = h >> 10 & 31, m = h & 0x3ff, u;
    float f;
    if (e == 31) {
        u = sign | 0x7f800000 | m << 13 | (m ? 0x400000 : 0);
    } else if (e) {
        u = sign | (e + 112) << 23 | m << 13;
    } else {
        f = (float)m * 0x1p-24f;
        memcpy(&u, &f, 4);
        u |= sign;
    }
    memcpy(&f, &u, 4);
    return f;
}

#ifdef HAVE_F16C
__attribute__((target("avx,f16c"))) static int64_t to_f32_fast(const uint16_t *h, int64_t n, float *out)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(h + i))));
    return i;
}

__attribute__((target("avx,f16c"))) static int64_t from_f32_fast(const float *x, int64_t n, uint16_t *out)
{
    int64_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    return i;
}
#define HAS_F16C() __builtin_cpu_supports("avx2") /* every processor with AVX2 has F16C, which not every compiler can ask for */
#else
#define HAS_F16C() 0
#define to_f32_fast(h, n, out) 0
#define from_f32_fast(x, n, out) 0
#endif

void capt_f16_from_f32s(const float *x, int64_t n, uint16_t *out)
{
    for (int64_t i = HAS_F16C() ? from_f32_fast(x, n, out) : 0; i < n; i++)
        out[i] = capt_f16_from_f32(x[i]);
}

void capt_f16_to_f32s(const uint16_t *h, int64_t n, float *out)
{
    for (int64_t i = HAS_F16C() ? to_f32_fast(h, n, out) : 0; i < n; i++)
        out[i] = capt_f16_to_f32(h[i]);
}
