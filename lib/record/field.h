/* A record kind is an array of rows; reader, writer and JSON Schema come from it. A new field is one row.
 *
 * In memory (at `offset` of the kind's struct), absent values:
 *   ID   capt_id          (always required)        STR  const char *      NULL
 *   INT  int64_t          CAPT_NO_INT              NUM  double            NaN (null in JSON)
 *   BOOL int              -1                       STRS const char **     NULL, count 0
 *   NUMS double *         NULL, count 0            OBJS array of struct   NULL, count 0
 *   OBJ  struct *         NULL                     ROWS const json_t *    NULL
 *   MAP  const json_t *   NULL
 * ROWS is a list of lists of numbers, or an integer; MAP an object of strings under any names. Both are borrowed from the JSON that was read.
 * Counts are ints at `offset_n`. Unknown members of a record are no error and pass through capt_record_write. */
#ifndef CAPT_RECORD_FIELD_H
#define CAPT_RECORD_FIELD_H
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"

#define CAPT_NO_INT INT64_MIN

typedef enum capt_field_type { CAPT_T_ID, CAPT_T_STR, CAPT_T_INT, CAPT_T_NUM, CAPT_T_BOOL, CAPT_T_STRS, CAPT_T_NUMS, CAPT_T_OBJS, CAPT_T_OBJ, CAPT_T_ROWS, CAPT_T_MAP } capt_field_type;

typedef struct capt_field {
    const char *name; /* NULL ends the rows */
    capt_field_type type;
    int required;
    size_t offset, offset_n;
    int max;       /* characters of a string, or of each string of a list or a map */
    int max_items; /* of a list, of a list's lists */
    const struct capt_kind *of; /* OBJS, OBJ: what each is */
    const char *doc;
} capt_field;

typedef struct capt_kind {
    const char *name, *doc;
    size_t size; /* of the struct */
    const capt_field *fields;
} capt_kind;

/* o -> struct. Strings and lists are copied into a. `where` is the place named in errors. */
int capt_record_read(const capt_kind *k, const json_t *o, void *rec, capt_arena *a, const char *where, capt_err *err);
/* struct -> JSON, known members in the order of the rows, then the members of extra that no row names (extra may be NULL).
 * New reference; NULL for strings that are not UTF-8 or too long, and for lists with too many items: nothing is written that
 * would not be read. */
json_t *capt_record_write(const capt_kind *k, const void *rec, const json_t *extra);
/* JSON Schema in the common part of all drafts from draft-04 to 2020-12. It names draft-04, the only one to which 1.0 and 1e3
 * are no integers, as here. New reference. */
json_t *capt_record_schema(const capt_kind *k);
/* All kinds by name ("caption", "hypothesis", "tag", "score", "log" and what programs print beside); NULL if there is none / behind the last. */
const capt_kind *capt_kind_find(const char *name);
const capt_kind *capt_kind_at(int i);
#endif
