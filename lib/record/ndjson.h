/* Streams of line-delimited JSON: one object a line, no header line, over several files ("-" is standard input). Blank lines
 * and a byte order mark in front of a file are skipped. The length of a line is checked before it is parsed, then its UTF-8, then JSON (base/json.h's limits).
 * Errors name "file:line". After an error the stream stands at the next line, so a caller that tolerates bad records goes on; a line of more than 64 times the most
 * length has no end, and the stream stays there. */
#ifndef CAPT_RECORD_NDJSON_H
#define CAPT_RECORD_NDJSON_H
#include <jansson.h>
#include <stddef.h>
#include "base/err.h"
#include "base/id.h"
#include "base/str.h"

#define CAPT_LINE_CAP ((size_t)1 << 20)

typedef struct capt_ndjson capt_ndjson;
/* n 0: standard input. cap 0: CAPT_LINE_CAP. Paths are borrowed. Files are opened when they are reached. */
capt_ndjson *capt_ndjson_new(const char *const *paths, size_t n, size_t cap);
void capt_ndjson_free(capt_ndjson *r);
/* The next object: 1 and *o (a new reference), 0 at the end, -1 on an error. */
int capt_ndjson_next(capt_ndjson *r, json_t **o, capt_err *err);
/* The next line's bytes, neither checked nor parsed (NUL-terminated, without the newline; valid until the next call). */
int capt_ndjson_line(capt_ndjson *r, const char **s, size_t *n, capt_err *err);
const char *capt_ndjson_where(const capt_ndjson *r); /* "file:line" of the last object or error */
/* The same as a number to keep, and its text again. */
int64_t capt_ndjson_place(const capt_ndjson *r);
void capt_ndjson_place_text(const capt_ndjson *r, int64_t place, capt_str *out); /* appends */
int capt_ndjson_failed(const capt_ndjson *r); /* 1 after a file could not be opened or read, or a line did not end: no use to go on */
/* Remembers the kind of the first id and refuses the other one from then on. */
int capt_ndjson_id_kind(capt_ndjson *r, const capt_id *id, capt_err *err);
#endif
