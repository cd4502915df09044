/* The features of one image: named sections, each rows x dim numbers of one dtype, and their form in a store.
 *
 * Form (little-endian, capt-store(5)): a 48-byte header
 *   0 "CPTF"  4 u16 version 1  6 u8 dtype of the store  7 u8 sections  8 u64 value bytes  16 u32 table bytes
 *   20 u32 offset of the payload  24 u64 payload bytes  32 u32 CRC-32C  36 u32 0  40 u64 0
 * then 32 bytes a section
 *   0 name, NUL-padded to 12  12 u8 dtype  13 0 0 0  16 u32 rows  20 u32 dim  24 u64 offset from the value's start
 * then the payloads, each at an offset of 48 modulo 64, zeros between. A value fills at least half a database page: LMDB then
 * stores it 16 bytes behind a page's start, which puts every payload on a 64-byte boundary of the map. The CRC covers key,
 * header (CRC as zero), table and payload, so a value moved to another key is noticed too. */
#ifndef CAPT_STORE_FEATURE_H
#define CAPT_STORE_FEATURE_H
#include <stddef.h>
#include <stdint.h>
#include "base/dtype.h"
#include "base/err.h"

enum { CAPT_SECTION_NAME = 12, CAPT_SECTIONS_MAX = 8 };

typedef struct capt_section {
    char name[CAPT_SECTION_NAME + 1]; /* "global", "grid", "regions", "boxes", ... */
    capt_dtype dtype;                 /* f32, f16, bf16 */
    int rows, dim;
    const void *data; /* (rows,dim), row-major */
} capt_section;

typedef struct capt_feature {
    int n;
    capt_section section[CAPT_SECTIONS_MAX];
} capt_feature;

/* The section of that name, or NULL. */
const capt_section *capt_feature_section(const capt_feature *f, const char *name);
/* A section's numbers as compute numbers, out (rows,dim). Exact. */
void capt_feature_to_real(const capt_section *s, capt_real *out);
void capt_feature_to_f32(const capt_section *s, float *out);
/* n floats to dtype, rounding to nearest even. Returns -1, or the index of the first number that is not finite or does not fit. */
int64_t capt_feature_from_f32(const float *x, int64_t n, capt_dtype dtype, void *out);
/* Index of the first NaN or infinity of a section, or -1. */
int64_t capt_feature_not_finite(const capt_section *s);

/* The codec. Encoded size of sections (dtype, rows, dim used); 0 if it overflows or a section is not allowed. */
size_t capt_feature_size(const capt_section *s, int n, size_t min_size);
/* Writes exactly that many bytes to out. */
void capt_feature_encode(const capt_section *s, int n, capt_dtype dtype, const void *key, size_t nk, size_t size, void *out);
/* Checks the structure (not the CRC) and points into p. Errors begin with who. */
int capt_feature_decode(const void *p, size_t n, capt_feature *f, const char *who, capt_err *err);
uint32_t capt_feature_crc(const void *p, size_t n, const void *key, size_t nk); /* of n >= 48 bytes, as it should be */
uint32_t capt_feature_crc_stored(const void *p);
#endif
