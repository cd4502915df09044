/* A large JSON file read a piece at a time: a top-level object, whose array members are delivered element by element and
 * whose other members whole, or a top-level array, whose elements come under the key "". Memory is that of one piece.
 * Members whose key is not wanted are skipped unparsed. Errors name "file: key[index]". */
#ifndef CAPT_RECORD_JSONFILE_H
#define CAPT_RECORD_JSONFILE_H
#include <jansson.h>
#include <stddef.h>
#include "base/err.h"

typedef struct capt_jsonfile capt_jsonfile;
/* keys: wanted members of the top, ends with NULL; NULL: all. unread: members inside the pieces whose values are stepped
 * over by brackets and strings, unparsed, and delivered as null, ends with NULL; NULL: none. path "-": standard input.
 * cap: bytes a piece without those, 0: 4 MiB. Borrows path, keys and unread. A byte order mark in front is ignored. */
capt_jsonfile *capt_jsonfile_open(const char *path, const char *const *keys, const char *const *unread, size_t cap, capt_err *err);
void capt_jsonfile_close(capt_jsonfile *f); /* NULL is fine */
/* 1 with the next piece (*v a new reference, *key valid until the next call), 0 at the end, -1 on an error. */
int capt_jsonfile_next(capt_jsonfile *f, const char **key, json_t **v, capt_err *err);
int capt_jsonfile_is_element(const capt_jsonfile *f); /* of the last piece: 1 element of an array, 0 a whole member */
const char *capt_jsonfile_where(const capt_jsonfile *f); /* place of the last piece or error */
#endif
