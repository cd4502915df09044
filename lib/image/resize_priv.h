/* Shared by the variants of the resampler. */
#ifndef CAPT_IMAGE_RESIZE_PRIV_H
#define CAPT_IMAGE_RESIZE_PRIV_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

#define CAPT_RESIZE_BITS 22

/* The weights of n outputs along one axis: output i is the sum over j < count[i] of k[i*taps + j] x input[first[i] + j]. */
typedef struct capt_axis {
    int n, taps;
    int *first, *count;
    int32_t *k;
} capt_axis;

/* Rows: src (rows, w, 3) with stride -> dst (rows, a->n, 3). scratch: 16 x (3 w + 16) bytes. */
typedef void capt_resize_rows(const unsigned char *src, size_t stride, int w, int rows, const capt_axis *a, unsigned char *scratch,
                              unsigned char *dst);
/* Columns: src (.., width) -> dst (a->n, width); a->first counts from src's first row; width in bytes. */
typedef void capt_resize_cols(const unsigned char *src, int width, const capt_axis *a, unsigned char *dst);

#if defined(__x86_64__)
capt_resize_rows capt_resize_rows_avx512;
capt_resize_cols capt_resize_cols_avx512;
/* Both: src (.., w, 3) with stride -> dst (v->n, h->n, 3); v->first counts from src's first row. 1 when these sizes are none for it: nothing is written then. */
int capt_resize_avx512vnni(const unsigned char *src, size_t stride, int w, const capt_axis *h, const capt_axis *v, unsigned char *dst, capt_err *err);
#endif
#endif
