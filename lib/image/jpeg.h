/* JPEG files to RGB and back, through libjpeg. Decoding gives the bytes that Pillow's Image.open(f).convert("RGB") gives with the same
 * libjpeg: accurate integer DCT, smooth chroma upsampling, grey copied to three planes, CMYK and YCCK taken as Adobe's inverted inks.
 * Input is hostile: width x height is capped before anything of that size is allocated, the number of scans and libjpeg's own memory
 * are capped, nothing goes to temporary files, nothing is printed, and no input ends the process. Any number of threads at once. */
#ifndef CAPT_IMAGE_JPEG_H
#define CAPT_IMAGE_JPEG_H
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include "base/err.h"
#include "image/image.h"

enum { CAPT_MAX_PIXELS = 89478485 }; /* where Pillow starts to warn */

/* A member that is 0 means its default. */
typedef struct capt_jpeg_limits {
    int64_t max_pixels;    /* width x height; 0: CAPT_MAX_PIXELS */
    int max_scans;         /* default 100: each scan of a progressive file costs a pass over the picture */
    int64_t max_memory;    /* bytes libjpeg may hold (the picture itself comes on top); default 1 GiB */
    int64_t max_file;      /* bytes of a file that capt_image_load reads; default 256 MiB */
    int tolerate_warnings; /* 1: keep what libjpeg makes of truncated or corrupt data (grey areas) */
    int exif_rotate;       /* 1: turn the picture as its EXIF orientation says; Pillow, and so published features, do not */
} capt_jpeg_limits;

/* Decodes the n bytes at p. limits may be NULL (defaults). where names the picture in errors. Fills *out; on failure (CAPT_EDATA,
 * CAPT_ENOMEM) *out is empty and nothing is left allocated. */
int capt_jpeg_decode(const void *p, size_t n, const capt_jpeg_limits *limits, const char *where, capt_image *out, capt_err *err);

/* Reads and decodes the regular file `name` beneath the open folder dirfd (capt_open_beneath: no "..", no escape). */
int capt_image_load(int dirfd, const char *name, const capt_jpeg_limits *limits, capt_image *out, capt_err *err);

/* Writes a baseline JPEG of quality 1..100 to f; from 90 upwards chroma is kept at full resolution. Equal pictures give equal bytes.
 * f stays open; its buffered bytes are flushed, so that a full disk is found here. */
int capt_jpeg_write(FILE *f, const capt_image *im, int quality, capt_err *err);
#endif
