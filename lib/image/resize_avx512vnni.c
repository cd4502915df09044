/* The resampler with dot products of bytes. A weight of 23 bits is three signed digits of 8, k = k0 + 256 k1 + 65536 k2, so that one instruction a digit
 * takes four samples of sixteen outputs; the three sums, put together, are the plain loops' 32 bits.
 *
 * Along a row the sixteen outputs are neighbouring bytes of the result; the bytes they need lie within 64 of the source (for scales up to 2.9), from where one
 * permutation brings four samples to each. Along columns four rows are interleaved. A row is made when the first row of the result asks for it, and few are kept,
 * so that they are still in L1 when the columns are summed. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "image/resize_priv.h"

enum { LANES = 16, WINDOW = 64 };

/* Sixteen outputs of a row and four samples of each: where these lie in the window, and the digits of their weights. */
typedef struct step { __m512i at, k0, k1, k2; } step;

typedef struct plan {
    int groups, quads, v_quads, pad; /* of sixteen bytes of a row; of four samples; outputs and padding of a table */
    step *steps;                     /* (groups,quads) */
    int *base;                       /* of the windows */
    uint32_t *h, *v;                 /* digits of an axis: (3,quads,pad) */
    unsigned char *ring;             /* finished rows: row y is line y % kept */
    size_t line;
    int kept;
} plan;

static int most_samples(const capt_axis *a)
{
    int most = 0;
    for (int i = 0; i < a->n; i++)
        most = a->count[i] > most ? a->count[i] : most;
    return most;
}

/* Digits of all weights, four samples to a word; -1 if one needs more than three. */
static int digits(const capt_axis *a, int quads, size_t pad, uint32_t *d)
{
    __mmask8 large = 0;
    for (int i = 0; i < a->n; i++)
        for (int q = 0; q < quads; q++) {
            int m = a->count[i] - 4 * q;
            __mmask8 have = m >= 4 ? 15 : m <= 0 ? 0 : (__mmask8)((1 << m) - 1);
            __m128i k = _mm_maskz_loadu_epi32(have, a->k + (size_t)i * (size_t)a->taps + 4 * (size_t)q);
            for (int digit = 0; digit < 3; digit++) {
                __m128i low = _mm_srai_epi32(_mm_slli_epi32(k, 24), 24);
                d[((size_t)digit * (size_t)quads + (size_t)q) * pad + (size_t)i] = (uint32_t)_mm_cvtsi128_si32(_mm_cvtepi32_epi8(low));
                k = _mm_srai_epi32(_mm_sub_epi32(k, low), 8);
            }
            large |= _mm_test_epi32_mask(k, k);
        }
    return large ? -1 : 0;
}

/* The steps of a row; -1 if sixteen outputs need more than a window. */
static int steps(const plan *p, const capt_axis *a, int bytes)
{
    const __m512i lane = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    for (int g = 0; g < p->groups; g++) {
        int e = g * LANES, x = e / 3, last = (e + LANES - 1) / 3;
        last = last < a->n ? last : a->n - 1;
        if ((a->first[last] - a->first[x]) * 3 + 12 > WINDOW)
            return -1;
        __m512i number = _mm512_add_epi32(lane, _mm512_set1_epi32(e % 3));              /* of the byte, from pixel x on */
        __m512i pixel = _mm512_srli_epi32(_mm512_mullo_epi32(number, _mm512_set1_epi32(86)), 8); /* a third of it */
        __m512i channel = _mm512_sub_epi32(number, _mm512_mullo_epi32(pixel, _mm512_set1_epi32(3)));
        __mmask16 inside = x + LANES <= a->n ? 0xffff : (__mmask16)((1u << (a->n - x)) - 1);
        __m512i first = _mm512_permutexvar_epi32(pixel, _mm512_maskz_loadu_epi32(inside, a->first + x));
        __m512i from = _mm512_add_epi32(_mm512_mullo_epi32(_mm512_sub_epi32(first, _mm512_set1_epi32(a->first[x])), _mm512_set1_epi32(3)), channel);
        for (int q = 0; q < p->quads; q++) {
            int base = a->first[x] * 3 + 12 * q, shift = base > bytes - WINDOW ? base - (bytes - WINDOW) : 0;
            step *s = &p->steps[g * p->quads + q];
            p->base[g * p->quads + q] = base - shift;
            s->at = _mm512_add_epi8(_mm512_mullo_epi32(_mm512_add_epi32(from, _mm512_set1_epi32(shift)), _mm512_set1_epi32(0x01010101)), _mm512_set1_epi32(0x09060300));
            __m512i *k[3] = {&s->k0, &s->k1, &s->k2};
            for (int digit = 0; digit < 3; digit++)
                *k[digit] = _mm512_permutexvar_epi32(pixel, _mm512_loadu_si512(p->h + (size_t)(digit * p->quads + q) * (size_t)p->pad + x));
        }
    }
    return 0;
}

static inline __m512i join(__m512i s0, __m512i s1, __m512i s2)
{
    return _mm512_srai_epi32(_mm512_add_epi32(_mm512_add_epi32(s0, _mm512_slli_epi32(s1, 8)), _mm512_slli_epi32(s2, 16)), CAPT_RESIZE_BITS);
}

static void row(const plan *p, const unsigned char *src, unsigned char *to)
{
    const __m512i half = _mm512_set1_epi32(1 << (CAPT_RESIZE_BITS - 1)), zero = _mm512_setzero_si512();
    const step *s = p->steps;
    const int *base = p->base;
    for (int g = 0; g < p->groups; g++) {
        __m512i s0 = half, s1 = zero, s2 = zero;
        for (int q = 0; q < p->quads; q++, s++, base++) {
            __m512i x = _mm512_permutexvar_epi8(s->at, _mm512_loadu_si512(src + *base));
            s0 = _mm512_dpbusd_epi32(s0, x, s->k0);
            s1 = _mm512_dpbusd_epi32(s1, x, s->k1);
            s2 = _mm512_dpbusd_epi32(s2, x, s->k2);
        }
        _mm_store_si128((__m128i *)(void *)(to + g * LANES), _mm512_cvtusepi32_epi8(_mm512_max_epi32(zero, join(s0, s1, s2))));
    }
}

static void column(const plan *p, const capt_axis *a, int y, int width, unsigned char *dst)
{
    const __m512i half = _mm512_set1_epi32(1 << (CAPT_RESIZE_BITS - 1)), zero = _mm512_setzero_si512();
    const unsigned char *line[4 * 16];
    size_t pad = (size_t)p->pad, quads = (size_t)p->v_quads;
    for (int i = 0; i < 4 * p->v_quads; i++) /* beyond the last sample: the weight is zero */
        line[i] = p->ring + (size_t)((a->first[y] + (i < a->count[y] ? i : 0)) % p->kept) * p->line;
    for (int x = 0; x < width; x += 64) {
        __m512i s[4][3];
        for (int i = 0; i < 4; i++)
            s[i][0] = half, s[i][1] = s[i][2] = zero;
        for (size_t q = 0; q < quads; q++) {
            const unsigned char *const *r = line + 4 * q;
            __m512i a0 = _mm512_load_si512(r[0] + x), a1 = _mm512_load_si512(r[1] + x), a2 = _mm512_load_si512(r[2] + x), a3 = _mm512_load_si512(r[3] + x);
            __m512i l = _mm512_unpacklo_epi8(a0, a1), m = _mm512_unpacklo_epi8(a2, a3), h = _mm512_unpackhi_epi8(a0, a1), i = _mm512_unpackhi_epi8(a2, a3);
            __m512i four[4] = {_mm512_unpacklo_epi16(l, m), _mm512_unpackhi_epi16(l, m), _mm512_unpacklo_epi16(h, i), _mm512_unpackhi_epi16(h, i)};
            for (int digit = 0; digit < 3; digit++) {
                __m512i k = _mm512_set1_epi32((int)p->v[((size_t)digit * quads + q) * pad + (size_t)y]);
                for (int j = 0; j < 4; j++)
                    s[j][digit] = _mm512_dpbusd_epi32(s[j][digit], four[j], k);
            }
        }
        __m512i low = _mm512_packs_epi32(join(s[0][0], s[0][1], s[0][2]), join(s[1][0], s[1][1], s[1][2]));
        __m512i high = _mm512_packs_epi32(join(s[2][0], s[2][1], s[2][2]), join(s[3][0], s[3][1], s[3][2]));
        __mmask64 inside = width - x >= 64 ? ~(__mmask64)0 : ((__mmask64)1 << (width - x)) - 1;
        _mm512_mask_storeu_epi8(dst + x, inside, _mm512_packus_epi16(low, high));
    }
}

int capt_resize_avx512vnni(const unsigned char *src, size_t stride, int w, const capt_axis *h, const capt_axis *v, unsigned char *dst, capt_err *err)
{
    int samples = most_samples(v), n = h->n > v->n ? h->n : v->n;
    plan p = {.groups = (h->n * 3 + LANES - 1) / LANES, .quads = (most_samples(h) + 3) / 4, .v_quads = (samples + 3) / 4, .pad = n + LANES};
    p.line = ((size_t)h->n * 3 + 63) / 64 * 64;
    p.kept = samples;
    if (w * (int64_t)3 < WINDOW || p.v_quads > 16)
        return 1;
    size_t n_steps = (size_t)p.groups * (size_t)p.quads, h_words = 3 * (size_t)p.quads * (size_t)p.pad, v_words = 3 * (size_t)p.v_quads * (size_t)p.pad;
    char *room = NULL;
    size_t bytes = n_steps * sizeof *p.steps + p.line * (size_t)p.kept + n_steps * sizeof *p.base + (h_words + v_words) * sizeof *p.h;
    if (posix_memalign((void **)&room, 64, bytes))
        return capt_fail(err, CAPT_ENOMEM, "resize: out of memory (%zu bytes)", bytes);
    p.steps = (step *)(void *)room;
    p.ring = (unsigned char *)(p.steps + n_steps);
    p.base = (int *)(void *)(p.ring + p.line * (size_t)p.kept);
    p.h = (uint32_t *)(p.base + n_steps);
    p.v = p.h + h_words;
    int other = digits(h, p.quads, (size_t)p.pad, p.h) || digits(v, p.v_quads, (size_t)p.pad, p.v) || steps(&p, h, w * 3);
    for (int y = 0, done = 0; y < v->n && !other; y++, dst += (size_t)h->n * 3) {
        for (; done < v->first[y] + v->count[y]; done++)
            row(&p, src + (size_t)done * stride, p.ring + (size_t)(done % p.kept) * p.line);
        column(&p, v, y, h->n * 3, dst);
    }
    free(room);
    return other ? 1 : 0;
}
#else
typedef int capt_resize_no_avx512vnni; /* an empty file is no C */
#endif
