#include "base/base64.h"
#include <stdint.h>
#include <string.h>

#if defined(__x86_64__) && defined(__GNUC__)
#include <immintrin.h>
#define HAVE_X86 1
#endif

/* The value of each character plus one; zero: not of the alphabet. */
#define ROW4(c, v) [c] = (v) + 1, [(c) + 1] = (v) + 2, [(c) + 2] = (v) + 3, [(c) + 3] = (v) + 4
#define LETTERS(c, v) ROW4(c, v), ROW4((c) + 4, (v) + 4), ROW4((c) + 8, (v) + 8), ROW4((c) + 12, (v) + 12), ROW4((c) + 16, (v) + 16), \
    ROW4((c) + 20, (v) + 20), [(c) + 24] = (v) + 25, [(c) + 25] = (v) + 26
static const uint8_t value1[256] = {LETTERS('A', 0), LETTERS('a', 26), ROW4('0', 52), ROW4('4', 56), ['8'] = 61, ['9'] = 62, ['+'] = 63, ['/'] = 64};

size_t capt_base64_size(const char *s, size_t n)
{
    int whole = n && n % 4 == 0, pads = whole && s[n - 1] == '=' ? 1 + (s[n - 2] == '=') : 0;
    return n / 4 * 3 - (size_t)pads;
}

static size_t portable(const uint8_t *s, size_t n, uint8_t *out)
{
    size_t i = 0;
    for (; i + 4 <= n; i += 4, out += 3) {
        unsigned a = value1[s[i]], b = value1[s[i + 1]], c = value1[s[i + 2]], d = value1[s[i + 3]];
        if (!a | !b | !c | !d)
            break;
        unsigned v = (a - 1) << 18 | (b - 1) << 12 | (c - 1) << 6 | (d - 1);
        out[0] = (uint8_t)(v >> 16);
        out[1] = (uint8_t)(v >> 8);
        out[2] = (uint8_t)v;
    }
    return i;
}

#ifdef HAVE_X86
/* 32 characters a turn. Characters become 6-bit values by the range they lie in; pairs of values become 12 bits by a multiply
 * and add, pairs of those 24 bits, and a shuffle puts the bytes of each 24 in order. */
__attribute__((target("avx2"))) static size_t avx2(const uint8_t *s, size_t n, uint8_t *out)
{
    const __m256i order = _mm256_setr_epi8(2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1, 2, 1, 0, 6, 5, 4, 10, 9, 8, 14, 13, 12, -1, -1, -1, -1);
    const __m256i pack = _mm256_setr_epi32(0, 1, 2, 4, 5, 6, 3, 7);
    size_t i = 0;
    for (; i + 32 + 16 <= n; i += 32, out += 24) { /* 32 bytes are stored, of which 24 count: the last characters are left to others */
        __m256i c = _mm256_loadu_si256((const __m256i *)(const void *)(s + i)), shift, known, in;
#define IS(lo, hi) _mm256_and_si256(_mm256_cmpgt_epi8(c, _mm256_set1_epi8((lo) - 1)), _mm256_cmpgt_epi8(_mm256_set1_epi8((hi) + 1), c))
#define TAKE(lo, hi, from) in = IS(lo, hi), known = _mm256_or_si256(known, in), \
    shift = _mm256_or_si256(shift, _mm256_and_si256(in, _mm256_set1_epi8((char)((from) - (lo)))))
        known = shift = _mm256_setzero_si256(); /* bytes from 128 are negative, so in no range */
        TAKE('A', 'Z', 0);
        TAKE('a', 'z', 26);
        TAKE('0', '9', 52);
        TAKE('+', '+', 62);
        TAKE('/', '/', 63);
#undef TAKE
#undef IS
        if (_mm256_movemask_epi8(known) != -1)
            break;
        __m256i v = _mm256_add_epi8(c, shift);
        v = _mm256_maddubs_epi16(v, _mm256_set1_epi32(0x01400140));
        v = _mm256_madd_epi16(v, _mm256_set1_epi32(0x00011000));
        v = _mm256_permutevar8x32_epi32(_mm256_shuffle_epi8(v, order), pack);
        _mm256_storeu_si256((__m256i *)(void *)out, v);
    }
    return i;
}

/* 64 characters a turn: the alphabet is one lookup in a table of 128 bytes. */
__attribute__((target("avx512f,avx512bw,avx512vbmi"))) static size_t avx512vbmi(const uint8_t *s, size_t n, uint8_t *out)
{
    uint8_t table[128], order[64] = {0};
    for (int c = 0; c < 128; c++)
        table[c] = (uint8_t)(value1[c] - 1) & (value1[c] ? 0x7f : 0xff); /* 0xff: not of the alphabet */
    for (int k = 0; k < 48; k++)
        order[k] = (uint8_t)(k / 3 * 4 + 2 - k % 3);
    __m512i low = _mm512_loadu_si512(table), high = _mm512_loadu_si512(table + 64), pack = _mm512_loadu_si512(order);
    size_t i = 0;
    for (; i + 64 <= n; i += 64, out += 48) {
        __m512i c = _mm512_loadu_si512(s + i), v = _mm512_permutex2var_epi8(low, c, high);
        if (_mm512_movepi8_mask(_mm512_or_si512(c, v))) /* a byte from 128 or an entry that is 0xff */
            break;
        v = _mm512_maddubs_epi16(v, _mm512_set1_epi32(0x01400140));
        v = _mm512_madd_epi16(v, _mm512_set1_epi32(0x00011000));
        _mm512_mask_storeu_epi8(out, 0xffffffffffffu, _mm512_permutexvar_epi8(pack, v));
    }
    return i;
}
#endif

int capt_base64_has(int isa)
{
#ifdef HAVE_X86
    if (isa == CAPT_BASE64_AVX2)
        return __builtin_cpu_supports("avx2") != 0;
    if (isa == CAPT_BASE64_AVX512VBMI)
        return __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi");
#endif
    return isa == CAPT_BASE64_PORTABLE;
}

/* The last quadruple, with its padding. Returns -1 or the offset within it of what is wrong. */
static long last(const uint8_t *s, uint8_t *out)
{
    int n = s[3] != '=' ? 4 : s[2] != '=' ? 3 : 2;
    unsigned v = 0;
    for (int k = 0; k < n; k++) {
        if (!value1[s[k]])
            return k;
        v |= (unsigned)(value1[s[k]] - 1) << (18 - 6 * k);
    }
    if (n < 4 && (v & (n == 3 ? 0xffu : 0xffffu))) /* bits that no byte takes */
        return n - 1;
    for (int k = 0; k < n - 1; k++)
        out[k] = (uint8_t)(v >> (16 - 8 * k));
    return -1;
}

long capt_base64_decode_by(int isa, const char *text, size_t n, void *to)
{
    const uint8_t *s = (const uint8_t *)text;
    uint8_t *out = to;
    size_t whole = n - n % 4, done = 0, body = whole && whole == n ? whole - 4 : whole; /* the last quadruple may be padded */
#ifdef HAVE_X86
    if (isa == CAPT_BASE64_AVX512VBMI)
        done = avx512vbmi(s, body, out);
    else if (isa == CAPT_BASE64_AVX2)
        done = avx2(s, body, out);
#endif
    done += portable(s + done, body - done, out + done / 4 * 3);
    if (done < body) {
        while (value1[s[done]])
            done++;
        return (long)done;
    }
    if (whole < n) { /* the first wrong one may be in the rest */
        for (size_t i = whole; i < n; i++)
            if (!value1[s[i]])
                return (long)i;
        return (long)n;
    }
    long bad = n ? last(s + body, out + body / 4 * 3) : -1;
    return bad < 0 ? -1 : (long)body + bad;
}

long capt_base64_decode(const char *s, size_t n, void *out)
{
    int isa = CAPT_BASE64_N - 1;
    while (!capt_base64_has(isa))
        isa--;
    return capt_base64_decode_by(isa, s, n, out);
}
