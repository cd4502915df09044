/* Tensors: dtype, shape, storage in a backend's memory. Always contiguous, row-major, 1 to 4 dimensions. */
#ifndef CAPT_TENSOR_H
#define CAPT_TENSOR_H
#include <stdint.h>
#include "backend/backend.h"

typedef struct capt_tensor {
    capt_dtype dtype;  /* CAPT_F32 (held as capt_real), CAPT_I32 or CAPT_U8 */
    int ndim;
    int64_t dim[4];    /* unused ones are 1 */
    void *data;        /* backend memory */
    capt_real *grad;   /* same shape; NULL until a gradient was asked for */
    int touched;       /* 0: the next gradient kernel writes with beta 0 */
    int needs_grad;
    capt_weight *wp;   /* packed form of a parameter matrix, or NULL */
} capt_tensor;

static inline int64_t capt_tensor_numel(const capt_tensor *t) { return t->dim[0] * t->dim[1] * t->dim[2] * t->dim[3]; }
/* All dimensions but the last multiplied; the last one. */
static inline int64_t capt_tensor_cols(const capt_tensor *t) { return t->dim[t->ndim - 1]; }
static inline int64_t capt_tensor_rows(const capt_tensor *t) { int64_t c = capt_tensor_cols(t); return c ? capt_tensor_numel(t) / c : 0; }
static inline size_t capt_tensor_esize(const capt_tensor *t) { return t->dtype == CAPT_F32 ? sizeof(capt_real) : capt_dtype_size(t->dtype); }
#endif
