/* Element types of tensors and stores. CAPT_REAL is the compute type: float, or double when the library is built
 * with -DCAPT_REAL64 (the oracle of the gradient tests). */
#ifndef CAPT_BASE_DTYPE_H
#define CAPT_BASE_DTYPE_H
#include <stddef.h>
#include <stdint.h>

#ifdef CAPT_REAL64
typedef double capt_real;
#else
typedef float capt_real;
#endif

typedef enum capt_dtype { CAPT_F32 = 0, CAPT_F16, CAPT_BF16, CAPT_I32, CAPT_U8, CAPT_I64, CAPT_F64, CAPT_N_DTYPE } capt_dtype;

static inline size_t capt_dtype_size(capt_dtype t) /* bytes an element on disk */
{
    static const size_t size[CAPT_N_DTYPE] = {4, 2, 2, 4, 1, 8, 8};
    return (unsigned)t < CAPT_N_DTYPE ? size[t] : 0;
}
static inline const char *capt_dtype_name(capt_dtype t) /* "f32", ... */
{
    static const char *const name[CAPT_N_DTYPE] = {"f32", "f16", "bf16", "i32", "u8", "i64", "f64"};
    return (unsigned)t < CAPT_N_DTYPE ? name[t] : "?";
}
#endif
