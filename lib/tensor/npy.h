/* NumPy's .npy files, versions 1 to 3: C order, float16, float32, float64, little-endian. Reading maps the file: what npy->data
 * points to lives until close. */
#ifndef CAPT_TENSOR_NPY_H
#define CAPT_TENSOR_NPY_H
#include <stdint.h>
#include "base/dtype.h"
#include "base/err.h"
#include "base/file.h"

enum { CAPT_NPY_RANK = 8 };

typedef struct capt_npy {
    capt_map map;
    const unsigned char *data; /* aligned to 16 at least (numpy's headers pad to 64) or not at all: copy, do not cast */
    capt_dtype dtype;          /* CAPT_F16, CAPT_F32, CAPT_F64 */
    int ndim;
    int64_t shape[CAPT_NPY_RANK];
    int64_t n; /* numbers in all */
} capt_npy;

int capt_npy_open(capt_npy *a, const char *path, capt_err *err); /* a failed open leaves nothing to close */
void capt_npy_close(capt_npy *a);
/* Numbers from..from+n-1 as floats (float64 is rounded; what does not fit becomes infinite). The range must be inside. */
void capt_npy_f32(const capt_npy *a, int64_t from, int64_t n, float *out);
/* Writes version 1 with the same bytes as numpy.save; dtype f16, f32 or f64. PATH appears when complete; "-" is stdout. */
int capt_npy_write(const char *path, capt_dtype dtype, int ndim, const int64_t *shape, const void *data, capt_err *err);
/* The same a piece at a time: the caller writes the numbers to the file and calls capt_out_finish. */
capt_out *capt_npy_begin(const char *path, capt_dtype dtype, int ndim, const int64_t *shape, capt_err *err);
#endif
