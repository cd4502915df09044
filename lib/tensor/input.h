/* What a model reads of I images, in host memory: features (I,S,D) with the valid rows of each (NULL: all S), or pixels (I,px,px,3) for an encoder. */
#ifndef CAPT_TENSOR_INPUT_H
#define CAPT_TENSOR_INPUT_H
#include <stdint.h>
#include "base/dtype.h"

typedef struct capt_input {
    int n_images;
    const capt_real *feat; /* NULL: pixels are given */
    int S, D;
    const int32_t *len;
    const uint8_t *pixels;
    int px;
} capt_input;
#endif
