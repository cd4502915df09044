/* Antialiased bicubic resampling, byte for byte what Pillow's Image.resize((w, h), Image.BICUBIC) gives (a = -1/2, 22-bit fixed-point
 * weights, first along rows, bytes in between, then along columns). Keys, "Cubic convolution interpolation", 1981, eq. 4 widened by
 * the scale when shrinking. All variants give the same bytes. Any number of threads at once. */
#ifndef CAPT_IMAGE_RESIZE_H
#define CAPT_IMAGE_RESIZE_H
#include <stddef.h>
#include "base/err.h"

/* Borrowed RGB pixels: a picture, or a rectangle of one. */
typedef struct capt_view {
    const unsigned char *p; /* (h,w,3), rows `stride` bytes apart */
    int w, h;
    size_t stride;
} capt_view;

/* Resizes src to rw x rh and writes the cw x ch window of it whose left top is (x0,y0); the rest is never computed.
 * dst (ch,cw,3). Fails on empty sizes, a window that sticks out (CAPT_EDATA) and lack of memory. */
int capt_resize_window(const capt_view *src, int rw, int rh, int x0, int y0, int cw, int ch, unsigned char *dst, capt_err *err);

/* The whole of it: dst (rh,rw,3). */
int capt_resize(const capt_view *src, int rw, int rh, unsigned char *dst, capt_err *err);

/* The same with a chosen variant, for tests: 0 plain, 1 AVX-512, 2 with dot products of bytes; where the machine or the sizes do not allow it, the one before. */
enum { CAPT_RESIZE_BEST = 2 };
int capt_resize_variant(int variant, const capt_view *src, int rw, int rh, int x0, int y0, int cw, int ch, unsigned char *dst,
                        capt_err *err);
#endif
