/* The resampler with 512-bit vectors. Rows are turned so that 16 of them lie side by side and every weight is multiplied with 16
 * neighbours at once; 32-bit integers throughout, so nothing differs from the plain loops. */
#if defined(__x86_64__)
#include <immintrin.h>
#include "image/resize_priv.h"

static inline __m512i widen(const unsigned char *p)
{
    return _mm512_cvtepu8_epi32(_mm_load_si128((const __m128i *)p));
}

static inline __m128i clip16(__m512i v)
{
    v = _mm512_max_epi32(_mm512_setzero_si512(), _mm512_srai_epi32(v, CAPT_RESIZE_BITS));
    return _mm512_cvtusepi32_epi8(v);
}

/* 16 rows x 16 bytes -> 16 columns of 16 bytes: four rounds of a perfect shuffle. */
static inline void turn16(__m128i r[16])
{
    for (int round = 0; round < 4; round++) {
        __m128i s[16];
        for (int i = 0; i < 8; i++) {
            s[2 * i] = _mm_unpacklo_epi8(r[i], r[i + 8]);
            s[2 * i + 1] = _mm_unpackhi_epi8(r[i], r[i + 8]);
        }
        for (int i = 0; i < 16; i++)
            r[i] = s[i];
    }
}

void capt_resize_rows_avx512(const unsigned char *src, size_t stride, int w, int rows, const capt_axis *a, unsigned char *scratch,
                             unsigned char *dst)
{
    const __m512i half = _mm512_set1_epi32(1 << (CAPT_RESIZE_BITS - 1));
    int from = a->first[0] * 3, to = (a->first[a->n - 1] + a->count[a->n - 1]) * 3, bytes = w * 3;
    for (int y = 0; y < rows; y += 16) {
        int n = rows - y < 16 ? rows - y : 16;
        for (int x = from; x < to; x += 16) {
            __m128i r[16];
            __mmask16 inside = bytes - x >= 16 ? 0xffff : (__mmask16)((1u << (bytes - x)) - 1);
            for (int i = 0; i < 16; i++) /* rows beyond the last repeat the first: computed, never stored */
                r[i] = _mm_maskz_loadu_epi8(inside, src + (size_t)(y + (i < n ? i : 0)) * stride + x);
            turn16(r);
            for (int i = 0; i < 16; i++)
                _mm_store_si128((__m128i *)(scratch + (size_t)(x - from + i) * 16), r[i]);
        }
        for (int x = 0; x < a->n; x++) {
            const int32_t *k = a->k + (size_t)x * a->taps;
            const unsigned char *p = scratch + (size_t)(a->first[x] * 3 - from) * 16;
            __m512i r = half, g = half, b = half;
            for (int i = 0; i < a->count[x]; i++, p += 48) {
                __m512i q = _mm512_set1_epi32(k[i]);
                r = _mm512_add_epi32(r, _mm512_mullo_epi32(q, widen(p)));
                g = _mm512_add_epi32(g, _mm512_mullo_epi32(q, widen(p + 16)));
                b = _mm512_add_epi32(b, _mm512_mullo_epi32(q, widen(p + 32)));
            }
            unsigned char v[48];
            _mm_storeu_si128((__m128i *)v, clip16(r));
            _mm_storeu_si128((__m128i *)(v + 16), clip16(g));
            _mm_storeu_si128((__m128i *)(v + 32), clip16(b));
            for (int i = 0; i < n; i++) {
                unsigned char *o = dst + ((size_t)(y + i) * a->n + x) * 3;
                o[0] = v[i];
                o[1] = v[16 + i];
                o[2] = v[32 + i];
            }
        }
    }
}

void capt_resize_cols_avx512(const unsigned char *src, int width, const capt_axis *a, unsigned char *dst)
{
    for (int y = 0; y < a->n; y++, dst += width) {
        const int32_t *k = a->k + (size_t)y * a->taps;
        const unsigned char *from = src + (size_t)a->first[y] * width;
        for (int x = 0; x < width; x += 16) {
            __mmask16 inside = width - x >= 16 ? 0xffff : (__mmask16)((1u << (width - x)) - 1);
            __m512i sum = _mm512_set1_epi32(1 << (CAPT_RESIZE_BITS - 1));
            for (int i = 0; i < a->count[y]; i++) {
                __m128i p = _mm_maskz_loadu_epi8(inside, from + (size_t)i * width + x);
                sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(_mm512_set1_epi32(k[i]), _mm512_cvtepu8_epi32(p)));
            }
            _mm_mask_storeu_epi8(dst + x, inside, clip16(sum));
        }
    }
}
#else
typedef int capt_resize_no_avx512; /* an empty file is no C */
#endif
