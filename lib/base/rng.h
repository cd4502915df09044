/* Counter-based random numbers: Philox4x32-10 (Salmon et al., SC 2011). A number depends only on its key and index,
 * never on the order of calls, so a resumed, sharded or reordered run draws the same ones. */
#ifndef CAPT_BASE_RNG_H
#define CAPT_BASE_RNG_H
#include <stdint.h>

/* What a stream of numbers is for: part of its key. */
enum { CAPT_RNG_INIT = 1, CAPT_RNG_SHUFFLE, CAPT_RNG_LABEL, CAPT_RNG_DROPOUT, CAPT_RNG_SAMPLE, CAPT_RNG_AUGMENT, CAPT_RNG_TOY, CAPT_RNG_BOOTSTRAP, CAPT_RNG_MIX };

void capt_philox(uint64_t key, uint64_t ctr_lo, uint64_t ctr_hi, uint32_t out[4]);
/* A 64-bit key from the user's seed, a purpose and up to two numbers (epoch, id hash, step ...). */
uint64_t capt_rng_key(uint64_t seed, unsigned purpose, uint64_t a, uint64_t b);
uint64_t capt_rng_u64(uint64_t key, uint64_t i);
uint64_t capt_rng_below(uint64_t key, uint64_t i, uint64_t n); /* uniform on 0..n-1 (bias < 2^-32 for n < 2^32) */
double capt_rng_u01(uint64_t key, uint64_t i);                 /* in (0,1), 53 bits */
double capt_rng_normal(uint64_t key, uint64_t i);              /* standard normal, Box-Muller */
#endif
