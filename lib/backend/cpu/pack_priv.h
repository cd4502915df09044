/* Formats and layouts of matrix operands (cpu_priv.h says what a panel is). All are bound by L1/L2 bytes; everything
 * rests on the transposition of 32-bit words: a pair of bf16 is one word. What is not read soon is written past the caches (far), for which
 * a line need not be read before: memory takes such bytes at 19 GB/s where it takes others at 5 (one thread of a Xeon, 384 MiB). */

static inline void put(float *p, vf v, int far)
{
    if (far)
        vaway(p, v);
    else
        vstore(p, v);
}

static void convert(int fmt, void *y, const float *x, int64_t n)
{
    if (fmt == F_F32) {
        memcpy(y, x, (size_t)n * 4);
        return;
    }
    if (fmt >= F_HALF) {
        uint16_t *h = y;
        int64_t i = 0;
#ifdef __AVX512BF16__
        for (; i + 32 <= n; i += 32)
            _mm512_storeu_si512(h + i, (__m512i)_mm512_cvtne2ps_pbh(_mm512_loadu_ps(x + i + 16), _mm512_loadu_ps(x + i)));
        for (; i < n; i += 16) {
            __mmask16 m = vmask((int)MIN(16, n - i));
            _mm256_mask_storeu_epi16(h + i, m, (__m256i)_mm512_cvtneps_pbh(_mm512_maskz_loadu_ps(m, x + i)));
        }
#endif
        for (; i < n; i++)
            h[i] = capt_bf16_from_f32(x[i]);
        return;
    }
    float *f = y;
    for (int64_t i = 0; i < n; i++) { /* round to nearest even in place of the bits; NaN and infinity come through */
        uint32_t u = (uint32_t)to_bits(x[i]), r = (u + 0x7fff + ((u >> 16) & 1)) & 0xffff0000u;
        f[i] = from_bits((int32_t)((u & 0x7f800000u) == 0x7f800000u ? u : r));
    }
}

#ifdef __AVX512F__
static inline void put16(uint32_t *y, __m512i v, int far) { put((float *)(void *)y, _mm512_castsi512_ps(v), far); }

/* 16 columns of nr <= 16 rows: y[c][r] = x[r][c], and 0 for r from nr to 15 */
static inline void transpose16(uint32_t *y, int64_t ldy, const uint32_t *x, int64_t ldx, int nr, int far)
{
    __m512i r[16], t[16];
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        r[i] = i < nr ? _mm512_loadu_si512(x + i * ldx) : _mm512_setzero_si512();
#pragma GCC unroll 8
    for (int i = 0; i < 16; i += 2) {
        t[i] = _mm512_unpacklo_epi32(r[i], r[i + 1]);
        t[i + 1] = _mm512_unpackhi_epi32(r[i], r[i + 1]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 16; i += 4) { /* r[i+j], lane l: column 4l+j of rows i..i+3 */
        r[i] = _mm512_unpacklo_epi64(t[i], t[i + 2]);
        r[i + 1] = _mm512_unpackhi_epi64(t[i], t[i + 2]);
        r[i + 2] = _mm512_unpacklo_epi64(t[i + 1], t[i + 3]);
        r[i + 3] = _mm512_unpackhi_epi64(t[i + 1], t[i + 3]);
    }
#pragma GCC unroll 4
    for (int j = 0; j < 4; j++) { /* lanes: 4x4 transposition over the row groups */
        __m512i a = _mm512_shuffle_i32x4(r[j], r[4 + j], 0x88), b = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0x88);
        __m512i c = _mm512_shuffle_i32x4(r[j], r[4 + j], 0xdd), d = _mm512_shuffle_i32x4(r[8 + j], r[12 + j], 0xdd);
        put16(y + j * ldy, _mm512_shuffle_i32x4(a, b, 0x88), far);
        put16(y + (8 + j) * ldy, _mm512_shuffle_i32x4(a, b, 0xdd), far);
        put16(y + (4 + j) * ldy, _mm512_shuffle_i32x4(c, d, 0x88), far);
        put16(y + (12 + j) * ldy, _mm512_shuffle_i32x4(c, d, 0xdd), far);
    }
}
#endif

/* rows of y have room for a multiple of 16; what is behind `rows` there is undefined afterwards */
static void transpose32(uint32_t *y, int64_t ldy, const uint32_t *x, int64_t ldx, int rows, int cols, int far)
{
    (void)far;
    for (int r = 0; r < rows; r += 16)
        for (int c = 0; c < cols; c += 16) {
            int nr = MIN(16, rows - r), nc = MIN(16, cols - c);
#ifdef __AVX512F__
            if (nc == 16 && nr > 4) {
                transpose16(y + c * ldy + r, ldy, x + r * ldx + c, ldx, nr, far);
                continue;
            }
#endif
            for (int j = 0; j < nc; j++)
                for (int i = 0; i < nr; i++)
                    y[(c + j) * ldy + r + i] = x[(r + i) * ldx + c + j];
        }
}

static inline void interleave(uint32_t *y, const uint16_t *a, const uint16_t *b, int n) /* pairs (a[i], b[i]) */
{
#pragma GCC ivdep
    for (int i = 0; i < n; i++)
        y[i] = a[i] | (uint32_t)b[i] << 16;
}

static void pack_cols(int fmt, void *panel, const float *w, int64_t ldw, int rows, int K, int far)
{
    enum { KB = 256 };
    _Alignas(64) uint32_t t[PANEL * KB]; /* 32 KB at most: in L1 */
    if (fmt == F_F32) {
        if (rows < PANEL)
            memset(panel, 0, (size_t)K * PANEL * sizeof(float));
        // cppcheck-suppress invalidPointerCast ; moves words of 32 bits, whatever they are
        transpose32(panel, PANEL, (const uint32_t *)w, ldw, rows, K, far);
        return;
    }
    for (int k0 = 0; k0 < K; k0 += KB) {
        int k = MIN(KB, K - k0), lines = fmt == F_HALF ? PANEL / 2 : PANEL, words = fmt == F_BF16 ? (k + 1) / 2 : k;
        if (fmt == F_HALF) { /* words of columns c and c + VL */
            uint16_t h[2][KB];
            for (int i = 0; i < lines; i++) {
                int c = i / VL * 2 * VL + i % VL;
                for (int s = 0; s < 2; s++)
                    if (c + s * VL < rows)
                        convert(fmt, h[s], w + (c + s * VL) * ldw + k0, k);
                    else
                        memset(h[s], 0, sizeof h[s]);
                interleave(t + i * words, h[0], h[1], k);
            }
        } else {
            for (int i = 0; i < rows; i++) {
                t[i * words + words - 1] = 0; /* the pad of an odd last k */
                convert(fmt, t + i * words, w + i * ldw + k0, k);
            }
            memset(t + rows * words, 0, (size_t)((PANEL - rows) * words) * sizeof *t);
        }
        transpose32((uint32_t *)panel + (int64_t)(fmt == F_BF16 ? k0 / 2 : k0) * lines, lines, t, words, lines, words, far);
    }
}

/* n words, a multiple of a vector's */
static inline void put_words(void *p, const uint32_t *x, int n, int far)
{
    float *y = p;
    for (int i = 0; i < n; i += VL)
        put(y + i, vload((const float *)(const void *)(x + i)), far);
}

static void pack_rows(int fmt, void *panel, int64_t stride, const void *x, int64_t ldx, int rows, int cols, int far)
{
    static const uint16_t zero[PANEL];
    _Alignas(64) uint32_t line[PANEL] = {0};
    for (int c = 0; c < cols; c += PANEL) {
        int n = MIN(PANEL, cols - c);
        if (fmt < F_HALF) {
            float *p = (float *)panel + c / PANEL * stride;
            for (int r = 0; r < rows; r++, p += PANEL) {
                const float *s = (const float *)x + r * ldx + c;
                for (int v = 0; v < PANEL; v += VL)
                    put(p + v, vloadn(s + v, n - v), far);
            }
            continue;
        }
        uint16_t *p = (uint16_t *)panel + c / PANEL * stride, part[PANEL] = {0};
        for (int r = 0; r < rows; r += fmt == F_BF16 ? 2 : 1) {
            const uint16_t *s = (const uint16_t *)x + r * ldx + c, *s1 = r + 1 < rows ? s + ldx : zero;
            if (fmt == F_HALF) {
                if (n < PANEL)
                    s = memcpy(part, s, (size_t)n * sizeof *s);
                for (int v = 0; v < PANEL; v += 2 * VL)
                    interleave(line + v / 2, s + v, s + v + VL, VL);
                put_words(p, line, PANEL / 2, far);
                p += PANEL;
            } else {
                if (n < PANEL)
                    memset(line, 0, sizeof line);
                interleave(line, s, s1, n);
                put_words(p, line, PANEL, far);
                p += 2 * PANEL;
            }
        }
    }
}

static void transpose(int esz, void *y, int64_t ldy, const void *x, int64_t ldx, int rows, int cols)
{
    static const uint16_t zero[64];
    if (esz == 4) {
        transpose32(y, ldy, x, ldx, rows, cols, 0);
        return;
    }
    uint32_t t[16 * 64];
    for (int c = 0; c < cols; c += 64)
        for (int r = 0; r < rows; r += 32) {
            int n = MIN(64, cols - c), words = (MIN(32, rows - r) + 1) / 2;
            for (int i = 0; i < words; i++) {
                const uint16_t *s = (const uint16_t *)x + (r + 2 * i) * ldx + c;
                interleave(t + i * 64, s, r + 2 * i + 1 < rows ? s + ldx : zero, n);
            }
            transpose32((uint32_t *)y + c * (ldy / 2) + r / 2, ldy / 2, t, 64, words, n, 0);
        }
}
