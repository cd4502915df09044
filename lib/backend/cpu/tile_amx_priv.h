/* The tile of products of bf16 pairs on AMX: 32 rows by a panel, four accumulators of 16 x 16 floats in tile registers. A panel in F_BF16 is what the unit wants, two tiles of
 * 16 columns side by side; so are rows of bf16 on the left. 32 k are a step of 4 loads of a KiB and 4 products of 16 x 16 x 32, 16 cycles each: the bound is the product unit
 * while a row tile's A (32 rows x 0.7 KiB) stays in L1 and the panels come from L2 at 32 bytes a cycle.
 * Intel 64 and IA-32 Architectures Software Developer's Manual, volume 1, chapter 18: a product takes denormal numbers as 0 and adds to
 * an accumulator, in float, the sums over its 16 pairs' first and second factors. Sums over k are therefore the same bits wherever K is cut at multiples of 32. */
#define AMX_SIDE 16 /* rows of a tile register, and its columns of floats */
#define AMX_STEP 32 /* k of a product */

/* the compiler does not know that tiles are read from memory */
#define AMX_READS_MEMORY() __asm__ volatile("" ::: "memory")

struct amx_shape { uint8_t palette, start, reserved[14]; uint16_t bytes[16]; uint8_t rows[16]; }; /* what LDTILECFG reads */

/* tiles 0 to 3: the sums, by rows; 4, 5: the left operand; 6, 7: the panel */
static void amx_shape(int rows)
{
    static _Thread_local int shaped; /* rows; the shape is the thread's like its registers, and nothing else here changes it */
    if (shaped == rows)
        return;
    struct amx_shape s = {.palette = 1};
    uint8_t upper = (uint8_t)MIN(rows, AMX_SIDE), lower = (uint8_t)(rows - upper);
    const uint8_t of[8] = {upper, upper, lower, lower, upper, lower, AMX_SIDE, AMX_SIDE};
    for (int i = 0; i < 8; i++) {
        s.rows[i] = of[i];
        s.bytes[i] = of[i] ? 64 : 0;
    }
    AMX_READS_MEMORY();
    _tile_loadconfig(&s);
    shaped = rows;
}

/* 32 k: a by rows of lda numbers, b as a panel has them */
static inline void amx_step(int lower, const uint16_t *a, int64_t lda, const uint16_t *b)
{
    _tile_loadd(6, b, PANEL * 4);
    _tile_loadd(4, a, lda * 2);
    _tile_loadd(7, b + PANEL, PANEL * 4);
    _tile_dpbf16ps(0, 4, 6);
    _tile_dpbf16ps(1, 4, 7);
    if (lower) {
        _tile_loadd(5, a + AMX_SIDE * lda, lda * 2);
        _tile_dpbf16ps(2, 5, 6);
        _tile_dpbf16ps(3, 5, 7);
    }
}

static void tile16(int rows, const void *left, int64_t lda, const void *panel, int k, float *y, int64_t ldy, int add, int n, const void *next)
{
    _Alignas(64) float edge[2 * AMX_SIDE * PANEL]; /* y's rows, where they are shorter than a panel's */
    const uint16_t *a = left, *b = panel;
    float *c = n < PANEL ? edge : y, *c1 = c + AMX_SIDE * (n < PANEL ? PANEL : ldy);
    int64_t ldc = (n < PANEL ? PANEL : ldy) * (int64_t)sizeof *c;
    int lower = rows > AMX_SIDE;
    for (int i = 0; c == edge && i < rows; i++) {
        vstore(edge + i * PANEL, add ? vloadn(y + i * ldy, n) : vset(0));
        vstore(edge + i * PANEL + VL, add && n > VL ? vloadn(y + i * ldy + VL, n - VL) : vset(0));
    }
    amx_shape(rows);
    AMX_READS_MEMORY();
    if (add) {
        _tile_loadd(0, c, ldc);
        _tile_loadd(1, c + AMX_SIDE, ldc);
        if (lower) {
            _tile_loadd(2, c1, ldc);
            _tile_loadd(3, c1 + AMX_SIDE, ldc);
        }
    } else {
        _tile_zero(0);
        _tile_zero(1);
        if (lower) {
            _tile_zero(2);
            _tile_zero(3);
        }
    }
    int q = 0;
    for (; q + AMX_STEP <= k; q += AMX_STEP, b += AMX_STEP * PANEL) {
        for (int i = 0; i < AMX_STEP / 2; i++) {
            FETCH(rows, b + 2 * PANEL * i);
            FETCH(rows, b + 2 * PANEL * i + PANEL);
        }
        for (int i = 0; i < AMX_STEP; i += 4)
            FETCH_NEXT(rows, (q + i) / 4, 64 * 4);
        amx_step(lower, a + q, lda, b);
    }
    if (q < k) { /* the rest, an even number, with zeros behind it */
        _Alignas(64) uint16_t at[2 * AMX_SIDE * AMX_STEP] = {0}, bt[AMX_STEP * PANEL] = {0};
        for (int i = 0; i < rows; i++)
            memcpy(at + i * AMX_STEP, a + i * lda + q, (size_t)(k - q) * sizeof *at);
        memcpy(bt, b, (size_t)(k - q) * PANEL * sizeof *bt);
        AMX_READS_MEMORY();
        amx_step(lower, at, AMX_STEP, bt);
    }
    _tile_stored(0, c, ldc);
    _tile_stored(1, c + AMX_SIDE, ldc);
    if (lower) {
        _tile_stored(2, c1, ldc);
        _tile_stored(3, c1 + AMX_SIDE, ldc);
    }
    for (int i = 0; c == edge && i < rows; i++) {
        vstoren(y + i * ldy, vload(edge + i * PANEL), n);
        if (n > VL)
            vstoren(y + i * ldy + VL, vload(edge + i * PANEL + VL), n - VL);
    }
}
