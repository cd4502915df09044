/* The instructions of AMX-TILE and AMX-BF16 in software (CONF=bf16): the tile made of them is then tested on every processor with AVX-512. What the processor would refuse ends the
 * program: a product of tiles whose shapes do not fit, a tile without a shape. Intel 64 and IA-32 Architectures Software Developer's Manual, volume 2, LDTILECFG to TDPBF16PS. */
#ifndef CAPT_TESTS_EMULATE_AMX_H
#define CAPT_TESTS_EMULATE_AMX_H
#include <immintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { EMULATED_TILES = 8, EMULATED_ROWS = 16 };
static _Thread_local struct {
    int shaped, rows[EMULATED_TILES], bytes[EMULATED_TILES];
    unsigned char row[EMULATED_TILES][EMULATED_ROWS][64];
} emulated;

static inline void emulate_need(int ok)
{
    if (!ok)
        abort();
}

static inline void emulate_loadconfig(const void *at)
{
    const unsigned char *p = at;
    memset(&emulated, 0, sizeof emulated); /* all tiles become 0 */
    emulated.shaped = 1;
    emulate_need(p[0] == 1 && p[1] == 0);
    for (int i = 2; i < 64; i++) /* reserved */
        emulate_need((i >= 16 && i < 32) || (i >= 48 && i < 56) || p[i] == 0);
    for (int i = 0; i < EMULATED_TILES; i++) {
        emulated.bytes[i] = p[16 + 2 * i] | p[17 + 2 * i] << 8;
        emulated.rows[i] = p[48 + i];
        emulate_need(emulated.bytes[i] <= 64 && emulated.rows[i] <= EMULATED_ROWS && (emulated.bytes[i] == 0) == (emulated.rows[i] == 0));
    }
}

static inline void emulate_zero(int t)
{
    emulate_need(emulated.shaped && emulated.rows[t]);
    memset(emulated.row[t], 0, sizeof emulated.row[t]);
}

static inline void emulate_load(int t, const void *base, int64_t stride)
{
    emulate_zero(t);
    for (int i = 0; i < emulated.rows[t]; i++)
        memcpy(emulated.row[t][i], (const char *)base + i * stride, (size_t)emulated.bytes[t]);
}

static inline void emulate_store(int t, void *base, int64_t stride)
{
    emulate_need(emulated.shaped && emulated.rows[t]);
    for (int i = 0; i < emulated.rows[t]; i++)
        memcpy((char *)base + i * stride, emulated.row[t][i], (size_t)emulated.bytes[t]);
}

static inline float emulate_flush(float x) { return fabsf(x) < 0x1p-126F ? copysignf(0, x) : x; }

/* the first or second bf16 of the i-th pair of a row */
static inline float emulate_half(const unsigned char *row, int i, int second)
{
    uint32_t u;
    float x;
    memcpy(&u, row + 4 * i, sizeof u);
    u = second ? u & 0xffff0000U : u << 16;
    memcpy(&x, &u, sizeof x);
    return emulate_flush(x);
}

/* c (rows, n) += a (rows, pairs) b (pairs, n): products of the pairs' first factors and of their second ones are summed apart, from 0, and the two sums' sum is added to c */
static inline void emulate_product(int c, int a, int b)
{
    int rows = emulated.rows[c], n = emulated.bytes[c] / 4, pairs = emulated.bytes[a] / 4;
    emulate_need(emulated.shaped && rows && pairs && emulated.rows[a] == rows && emulated.rows[b] == pairs && emulated.bytes[b] == emulated.bytes[c]);
    for (int i = 0; i < rows; i++) {
        float sum[2][16] = {{0}}, to[16];
        for (int k = 0; k < 2 * pairs; k++) {
            float x = emulate_half(emulated.row[a][i], k / 2, k % 2);
            for (int j = 0; j < 16; j++)
                sum[k % 2][j] = emulate_flush(fmaf(x, emulate_half(emulated.row[b][k / 2], j, k % 2), sum[k % 2][j]));
        }
        memcpy(to, emulated.row[c][i], sizeof to);
        for (int j = 0; j < n; j++)
            to[j] = emulate_flush(emulate_flush(to[j]) + emulate_flush(sum[0][j] + sum[1][j]));
        memcpy(emulated.row[c][i], to, sizeof to);
    }
}

#undef _tile_loadconfig
#undef _tile_zero
#undef _tile_loadd
#undef _tile_stored
#undef _tile_dpbf16ps
#define _tile_loadconfig(p) emulate_loadconfig(p)
#define _tile_zero(t) emulate_zero(t)
#define _tile_loadd(t, p, stride) emulate_load(t, p, stride)
#define _tile_stored(t, p, stride) emulate_store(t, p, stride)
#define _tile_dpbf16ps(c, a, b) emulate_product(c, a, b)
#endif
