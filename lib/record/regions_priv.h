/* Shared by the two files of regions.h. */
#ifndef CAPT_REGIONS_PRIV_H
#define CAPT_REGIONS_PRIV_H
#include "base/mem.h"
#include "record/regions.h"

/* JSON with megabytes of base64 in it: the strings that are values of `key` are cut out unparsed, and stand in the parsed
 * object as the decimal number of their slice. Free with free(slices->v). */
typedef CAPT_VEC(capt_slice) capt_slices;
json_t *capt_json_cut(const char *text, size_t n, const char *key, capt_slices *slices, const char *where, capt_err *err);
/* The slice a cut member stands for; -1 when it is absent or no string. */
int capt_json_slice(const json_t *o, const char *key, const capt_slices *slices, capt_slice *slice);
/* Objects of an array: class, conf, rect, and feature where slices is given. */
int capt_objects_read(const json_t *list, const capt_slices *slices, capt_arena *a, capt_regions *r, const char *where, capt_err *err);
/* w and h as two integers in 1..CAPT_SIDE_MAX. */
int capt_size_read(const json_t *o, const char *kw, const char *kh, int *w, int *h, const char *where, capt_err *err);
#endif
