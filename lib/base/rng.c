#include "base/rng.h"
#include <math.h>

void capt_philox(uint64_t key, uint64_t ctr_lo, uint64_t ctr_hi, uint32_t out[4])
{
    uint32_t k0 = (uint32_t)key, k1 = (uint32_t)(key >> 32);
    uint32_t c0 = (uint32_t)ctr_lo, c1 = (uint32_t)(ctr_lo >> 32), c2 = (uint32_t)ctr_hi, c3 = (uint32_t)(ctr_hi >> 32);
    for (int r = 0; r < 10; r++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        c0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0;
        c1 = (uint32_t)p1;
        c2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c3 = (uint32_t)p0;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0;
    out[1] = c1;
    out[2] = c2;
    out[3] = c3;
}

static uint64_t pair(const uint32_t *w)
{
    return (uint64_t)w[1] << 32 | w[0];
}

/* odd multiples of 2^-53: never 0, never 1, symmetric about 1/2 */
static double u01(uint64_t x)
{
    return (double)(x >> 11 | 1) * 0x1p-53;
}

uint64_t capt_rng_key(uint64_t seed, unsigned purpose, uint64_t a, uint64_t b)
{
    uint32_t w[4];
    capt_philox(seed, purpose, 0, w);
    capt_philox(pair(w), a, b, w);
    return pair(w);
}

uint64_t capt_rng_u64(uint64_t key, uint64_t i)
{
    uint32_t w[4];
    capt_philox(key, i, 0, w);
    return pair(w);
}

uint64_t capt_rng_below(uint64_t key, uint64_t i, uint64_t n)
{
    return (uint64_t)((unsigned __int128)capt_rng_u64(key, i) * n >> 64);
}

double capt_rng_u01(uint64_t key, uint64_t i)
{
    return u01(capt_rng_u64(key, i));
}

double capt_rng_normal(uint64_t key, uint64_t i)
{
    uint32_t w[4];
    capt_philox(key, i, 0, w);
    return sqrt(-2.0 * log(u01(pair(w)))) * cos(6.283185307179586476925286766559 * u01(pair(w + 2)));
}
