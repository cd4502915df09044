/* The register tile of the matrix product: R rows x two vectors of columns, R*2 accumulators, one instantiation an R so that the
 * accumulators stay in registers. Per k: 2 loads of the panel, R broadcasts (folded into the multiply), 2R multiply-adds; the bound is
 * the multiply-add pipe (14x2 of 32 registers on AVX-512, 6x2 of 16 on AVX2). A panel's 32 columns take 32/(2*VL) passes. */
#define TILE_COLS (2 * VL)

#define TILE(R) \
static void tile_##R(const float *a, int64_t lda, const float *b, int k, float *y, int64_t ldy, int add, int n) \
{ \
    for (int c0 = 0; c0 < n; c0 += TILE_COLS) { \
        vf c[R][2]; \
        int n0 = n - c0, n1 = n - c0 - VL; \
        for (int i = 0; i < R; i++) { \
            c[i][0] = add ? vloadn(y + i * ldy + c0, n0) : vset(0); \
            c[i][1] = add && n1 > 0 ? vloadn(y + i * ldy + c0 + VL, n1) : vset(0); \
        } \
        const float *p = b + c0; \
        for (int q = 0; q < k; q++, p += PANEL) { \
            vf b0 = vload(p), b1 = vload(p + VL); \
            _Pragma("GCC unroll 14") \
            for (int i = 0; i < R; i++) { \
                vf x = vset(a[i * lda + q]); \
                c[i][0] = vfma(x, b0, c[i][0]); \
                c[i][1] = vfma(x, b1, c[i][1]); \
            } \
        } \
        _Pragma("GCC unroll 14") \
        for (int i = 0; i < R; i++) { \
            vstoren(y + i * ldy + c0, c[i][0], n0); \
            if (n1 > 0) \
                vstoren(y + i * ldy + c0 + VL, c[i][1], n1); \
        } \
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

static void tile(int rows, const float *a, int64_t lda, const float *b, int k, float *y, int64_t ldy, int add, int n)
{
    static void (*const f[])(const float *, int64_t, const float *, int, float *, int64_t, int, int) = {
#define ROW(R) tile_##R,
        ALL_R(ROW)
    };
    f[rows - 1](a, lda, b, k, y, ldy, add, n);
}

#ifdef __AVX512BF16__
/* the same with pairs of bf16 k: VDPBF16PS, 2 multiply-adds a lane, twice the arithmetic of the float tile a cycle */
#define TILE16(R) \
static void tile16_##R(const uint16_t *a, int64_t lda, const uint16_t *b, int k, float *y, int64_t ldy, int add, int n) \
{ \
    __m512 c[R][2]; \
    __mmask16 m0 = vmask(n), m1 = vmask(n - 16); \
    for (int i = 0; i < R; i++) { \
        c[i][0] = add ? _mm512_maskz_loadu_ps(m0, y + i * ldy) : _mm512_setzero_ps(); \
        c[i][1] = add ? _mm512_maskz_loadu_ps(m1, y + i * ldy + 16) : _mm512_setzero_ps(); \
    } \
    for (int q = 0; q < k; q += 2, b += 2 * PANEL) { \
        __m512bh b0 = (__m512bh)_mm512_loadu_si512(b), b1 = (__m512bh)_mm512_loadu_si512(b + PANEL); \
        _Pragma("GCC unroll 14") \
        for (int i = 0; i < R; i++) { \
            int32_t pair; \
            memcpy(&pair, a + i * lda + q, 4); \
            __m512bh x = (__m512bh)_mm512_set1_epi32(pair); \
            c[i][0] = _mm512_dpbf16_ps(c[i][0], x, b0); \
            c[i][1] = _mm512_dpbf16_ps(c[i][1], x, b1); \
        } \
    } \
    _Pragma("GCC unroll 14") \
    for (int i = 0; i < R; i++) { \
        _mm512_mask_storeu_ps(y + i * ldy, m0, c[i][0]); \
        _mm512_mask_storeu_ps(y + i * ldy + 16, m1, c[i][1]); \
    } \
}
ALL_R(TILE16)

static void tile16(int rows, const uint16_t *a, int64_t lda, const uint16_t *b, int k, float *y, int64_t ldy, int add, int n)
{
    static void (*const f[])(const uint16_t *, int64_t, const uint16_t *, int, float *, int64_t, int, int) = {
#define ROW16(R) tile16_##R,
        ALL_R(ROW16)
    };
    f[rows - 1](a, lda, b, k, y, ldy, add, n);
}
#endif
