/* The instructions of AVX512-BF16 in software (CONF=bf16): the layouts made for them are then tested on every processor with AVX-512. */
#ifndef CAPT_TESTS_EMULATE_BF16_H
#define CAPT_TESTS_EMULATE_BF16_H
#include <immintrin.h>

/* c + the two products of each pair, the second first; the instruction rounds between them as well */
static inline __m512 emulate_dpbf16(__m512 c, __m512i a, __m512i b)
{
    const __m512i high = _mm512_set1_epi32(-65536);
    __m512 a1 = _mm512_castsi512_ps(_mm512_and_si512(a, high)), b1 = _mm512_castsi512_ps(_mm512_and_si512(b, high));
    __m512 a0 = _mm512_castsi512_ps(_mm512_slli_epi32(a, 16)), b0 = _mm512_castsi512_ps(_mm512_slli_epi32(b, 16));
    return _mm512_fmadd_ps(a0, b0, _mm512_fmadd_ps(a1, b1, c));
}

/* to nearest even; NaN stays NaN */
static inline __m256i emulate_cvt(__m512 x)
{
    __m512i u = _mm512_castps_si512(x), odd = _mm512_and_si512(_mm512_srli_epi32(u, 16), _mm512_set1_epi32(1));
    __m512i r = _mm512_add_epi32(u, _mm512_add_epi32(_mm512_set1_epi32(0x7fff), odd));
    r = _mm512_mask_or_epi32(r, _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q), u, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(r, 16));
}

static inline __m512i emulate_cvt2(__m512 high, __m512 low)
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(emulate_cvt(low)), emulate_cvt(high), 1);
}

#define __m512bh __m512i
#define _mm512_dpbf16_ps(c, a, b) emulate_dpbf16(c, a, b)
#define _mm512_cvtneps_pbh(x) emulate_cvt(x)
#define _mm512_cvtne2ps_pbh(high, low) emulate_cvt2(high, low)
#define __AVX512BF16__ 1
#endif
