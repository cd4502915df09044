/* The register tile of the matrix product: R rows x two vectors of columns, R*2 accumulators, one instantiation an R so that the
 * accumulators stay in registers. Per k: 2 loads of the panel, R broadcasts (folded into the multiply), 2R multiply-adds; the bound is
 * the multiply-add pipe (14x2 of 32 registers on AVX-512, 6x2 of 16 on AVX2). A panel's 32 columns take 32/(2*VL) passes.
 * With few rows the bound is the panels' way from memory, and the lines to come are asked for ahead: the processor's own prefetch stops at each page. */
#define TILE_COLS (2 * VL)
enum { AHEAD = 4096 }; /* bytes; 2 to 8 KiB do as well */
#define FETCH(R, p) if ((R) <= 7) __builtin_prefetch((const char *)(p) + AHEAD)
/* With many rows the panels that come next are brought to the second cache meanwhile, a quarter as many bytes as the tile reads itself (n a step). */
#define FETCH_NEXT(R, q, n) if ((R) > 7) __builtin_prefetch((const char *)next + (size_t)(q) * ((n) / 4), 0, 2)

#define TILE_START(R) \
    vf c[R][2]; \
    int n0 = n - c0, n1 = n - c0 - VL; \
    if (add) { \
        _Pragma("GCC unroll 14") \
        for (int i = 0; i < R; i++) { \
            c[i][0] = vloadn(y + i * ldy + c0, n0); \
            c[i][1] = n1 > 0 ? vloadn(y + i * ldy + c0 + VL, n1) : vset(0); \
        } \
    } else { \
        _Pragma("GCC unroll 14") \
        for (int i = 0; i < R; i++) \
            c[i][0] = c[i][1] = vset(0); \
    }
#define TILE_STEP(R, at) \
    _Pragma("GCC unroll 14") \
    for (int i = 0; i < R; i++) { \
        vf x = vset(a[i * lda + (at)]); \
        c[i][0] = vfma(x, b0, c[i][0]); \
        c[i][1] = vfma(x, b1, c[i][1]); \
    }
#define TILE_END(R) \
    _Pragma("GCC unroll 14") \
    for (int i = 0; i < R; i++) { \
        vstoren(y + i * ldy + c0, c[i][0], n0); \
        if (n1 > 0) \
            vstoren(y + i * ldy + c0 + VL, c[i][1], n1); \
    }

#define TILE(R) \
static void tile_##R(const void *left, int64_t lda, const void *panel, int k, float *y, int64_t ldy, int add, int n, const void *next) \
{ \
    const float *a = left; \
    (void)next; \
    for (int c0 = 0; c0 < n; c0 += TILE_COLS) { \
        TILE_START(R) \
        const float *p = (const float *)panel + c0; \
        for (int q = 0; q < k; q++, p += PANEL) { \
            vf b0 = vload(p), b1 = vload(p + VL); \
            FETCH(R, p); \
            FETCH(R, p + PANEL / 2); \
            FETCH_NEXT(R, q, PANEL * 4); \
            TILE_STEP(R, q) \
        } \
        TILE_END(R) \
    } \
}
#if TILE_MR >= 14
#define ALL_R(D) D(1) D(2) D(3) D(4) D(5) D(6) D(7) D(8) D(9) D(10) D(11) D(12) D(13) D(14)
#elif TILE_MR >= 6
#define ALL_R(D) D(1) D(2) D(3) D(4) D(5) D(6)
#else
#define ALL_R(D) D(1) D(2) D(3) D(4)
#endif
ALL_R(TILE)

static void tile(int rows, const void *a, int64_t lda, const void *b, int k, float *y, int64_t ldy, int add, int n, const void *next)
{
    static void (*const f[])(const void *, int64_t, const void *, int, float *, int64_t, int, int, const void *) = {
#define ROW(R) tile_##R,
        ALL_R(ROW)
    };
    f[rows - 1](a, lda, b, k, y, ldy, add, n, next);
}

#if defined ISA_AMX
#include "backend/cpu/tile_amx_priv.h"
#define TILE16_MR (2 * AMX_SIDE)
#else
#define TILE16_MR TILE_MR
#if defined __AVX512BF16__
/* the same with pairs of bf16 k: VDPBF16PS, 2 multiply-adds a lane, twice the arithmetic of the float tile a cycle */
#define TILE16(R) \
static void tile16_##R(const void *left, int64_t lda, const void *panel, int k, float *y, int64_t ldy, int add, int n, const void *next) \
{ \
    const uint16_t *a = left, *b = panel; \
    (void)next; \
    const int c0 = 0; \
    TILE_START(R) \
    for (int q = 0; q < k; q += 2, b += 2 * PANEL) { \
        __m512bh b0 = (__m512bh)_mm512_loadu_si512(b), b1 = (__m512bh)_mm512_loadu_si512(b + PANEL); \
        FETCH(R, b); \
        FETCH(R, b + PANEL); \
        FETCH_NEXT(R, q, PANEL * 2); \
        _Pragma("GCC unroll 14") \
        for (int i = 0; i < R; i++) { \
            int32_t pair; \
            memcpy(&pair, a + i * lda + q, 4); \
            __m512bh x = (__m512bh)_mm512_set1_epi32(pair); \
            c[i][0] = _mm512_dpbf16_ps(c[i][0], x, b0); \
            c[i][1] = _mm512_dpbf16_ps(c[i][1], x, b1); \
        } \
    } \
    TILE_END(R) \
}
#elif VL > 4
/* the same from a panel of two columns a word, widened in registers: 2 operations more a k */
#define TILE16(R) \
static void tile16_##R(const void *left, int64_t lda, const void *panel, int k, float *y, int64_t ldy, int add, int n, const void *next) \
{ \
    const float *a = left; \
    (void)next; \
    for (int c0 = 0; c0 < n; c0 += TILE_COLS) { \
        TILE_START(R) \
        const uint32_t *p = (const uint32_t *)panel + c0 / 2; \
        for (int q = 0; q < k; q++, p += PANEL / 2) { \
            vf b0 = vfirst(p), b1 = vsecond(p); \
            FETCH(R, p); \
            FETCH_NEXT(R, q, PANEL * 2); \
            TILE_STEP(R, q) \
        } \
        TILE_END(R) \
    } \
}
#endif

#ifdef TILE16
ALL_R(TILE16)

static void tile16(int rows, const void *a, int64_t lda, const void *b, int k, float *y, int64_t ldy, int add, int n, const void *next)
{
    static void (*const f[])(const void *, int64_t, const void *, int, float *, int64_t, int, int, const void *) = {
#define ROW16(R) tile16_##R,
        ALL_R(ROW16)
    };
    f[rows - 1](a, lda, b, k, y, ldy, add, n, next);
}
#endif
#endif
