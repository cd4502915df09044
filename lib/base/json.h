/* jansson with typed getters and limits. Depth is capped at 32, duplicate keys are refused, integers must be integers.
 * `where` is the place named in errors ("refs.ndjson:17"). Objects are json_t of jansson, reference counted. */
#ifndef CAPT_BASE_JSON_H
#define CAPT_BASE_JSON_H
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"

json_t *capt_json_parse(const char *s, size_t n, const char *where, capt_err *err);
json_t *capt_json_load(const char *path, capt_err *err); /* a whole file; "-" is stdin */
/* Typed members of an object. Required: -1 + error when absent or of another type. */
int capt_json_str(const json_t *o, const char *key, const char **s, const char *where, capt_err *err);
int capt_json_int(const json_t *o, const char *key, int64_t *v, const char *where, capt_err *err);
int capt_json_num(const json_t *o, const char *key, double *v, const char *where, capt_err *err);
json_t *capt_json_array(const json_t *o, const char *key, const char *where, capt_err *err);  /* borrowed */
json_t *capt_json_object(const json_t *o, const char *key, const char *where, capt_err *err); /* borrowed */
/* Appends one line of compact JSON and its final newline; -1 leaves out as it was. Keys in insertion order, slash unescaped, non-ASCII as UTF-8,
 * numbers with 17 digits. */
int capt_json_line(const json_t *o, capt_str *out);
#endif
