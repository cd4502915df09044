/* The id of an image: a JSON integer or a JSON string of 1 to 511 characters, one kind a stream and a store. Its key is the
 * decimal or UTF-8 text; stores take keys of at most 511 bytes. Strings hold no control characters, so no key is the
 * manifest's (one NUL byte) and keys fit on a line. s is borrowed from whoever made the id. */
#ifndef CAPT_BASE_ID_H
#define CAPT_BASE_ID_H
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"

#define CAPT_ID_MAX 511                   /* characters */
#define CAPT_ID_KEY (4 * CAPT_ID_MAX + 1) /* bytes of a key at most, and a NUL */

typedef struct capt_id {
    int is_int;
    int64_t i;     /* is_int */
    const char *s; /* not is_int; NUL-terminated */
} capt_id;

static inline capt_id capt_id_int(int64_t i) { capt_id d = {1, i, NULL}; return d; }
static inline capt_id capt_id_str(const char *s) { capt_id d = {0, 0, s}; return d; }

/* An integer or a string that is a legal id. The string is borrowed from j. */
int capt_id_from_json(const json_t *j, capt_id *id, const char *where, capt_err *err);
json_t *capt_id_json(const capt_id *id); /* new reference, as it came in */
/* The key's text with a NUL behind it; returns its length. A string must be legal (capt_id_check). */
size_t capt_id_key(const capt_id *id, char key[CAPT_ID_KEY]);
/* Back from a key of n bytes; a string is copied to buf. */
int capt_id_from_key(const void *key, size_t n, int is_int, char buf[CAPT_ID_KEY], capt_id *id, capt_err *err);
int capt_id_check(const char *s, size_t n, const char *where, capt_err *err); /* 0 if s may be a string id */
/* From what a person typed (--id): integer text when is_int. Borrows s. */
int capt_id_parse(const char *s, int is_int, capt_id *id, capt_err *err);
/* Integers by value, strings by bytes, integers before strings. */
int capt_id_cmp(const capt_id *a, const capt_id *b);
uint64_t capt_id_hash(const capt_id *id);
/* The id of a picture or feature file: its name without folder and last extension, copied into a. */
int capt_id_from_file(const char *name, capt_id *id, capt_arena *a, capt_err *err);
capt_id capt_id_dup(const capt_id *id, capt_arena *a);
/* A set or map of ids for joins: id -> index. Ids are borrowed and must outlive it. */
typedef struct capt_idmap capt_idmap;
capt_idmap *capt_idmap_new(void);
void capt_idmap_free(capt_idmap *m);
/* Adds id -> value unless it is there; returns the value now stored (another one than given: a duplicate). */
int64_t capt_idmap_add(capt_idmap *m, const capt_id *id, int64_t value);
int64_t capt_idmap_get(const capt_idmap *m, const capt_id *id); /* -1: absent */
#endif
