/* bfloat16 and IEEE half to and from float: round to nearest even, NaN kept quiet. */
#ifndef CAPT_BASE_BF16_H
#define CAPT_BASE_BF16_H
#include <stdint.h>
#include <string.h>

static inline uint16_t capt_bf16_from_f32(float f)
{
    uint32_t u;
    memcpy(&u, &f, 4);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((u >> 16) | 0x40);
    return (uint16_t)((u + 0x7fff + ((u >> 16) & 1)) >> 16);
}
static inline float capt_bf16_to_f32(uint16_t h)
{
    uint32_t u = (uint32_t)h << 16;
    float f;
    memcpy(&f, &u, 4);
    return f;
}
uint16_t capt_f16_from_f32(float f);
float capt_f16_to_f32(uint16_t h);
/* n of them, by the processor's instruction where it has one: the same bits. */
void capt_f16_from_f32s(const float *x, int64_t n, uint16_t *out);
void capt_f16_to_f32s(const uint16_t *h, int64_t n, float *out);
#endif
