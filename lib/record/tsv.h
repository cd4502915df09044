/* Files of tab-separated rows that may be megabytes long, as detectors write them: where each row begins, and rows read one by
 * one in any order. Memory is some 40 bytes a row and its key. Several files are read as if they were one (shards).
 * Reading rows is safe from several threads at once. */
#ifndef CAPT_RECORD_TSV_H
#define CAPT_RECORD_TSV_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "base/thread.h"

#define CAPT_TSV_ROW_MAX ((size_t)64 << 20)

typedef struct capt_tsv_row {
    const char *key; /* the text before the first tab; NULL: none, or longer than an id may be */
    int64_t at;      /* byte in the file */
    uint32_t n;      /* bytes without the line's end; UINT32_MAX: more than CAPT_TSV_ROW_MAX */
    int file;
    int64_t line; /* from 1, empty ones counted */
} capt_tsv_row;

typedef struct capt_tsv capt_tsv;
/* Looks through the files, in parallel; empty lines are left out. Where X.tsv has an X.lineidx beside it (one offset a line),
 * the two must agree. Paths are borrowed; they must be regular files. */
capt_tsv *capt_tsv_open(const char *const *paths, int n, capt_pool *pool, capt_err *err);
void capt_tsv_close(capt_tsv *t); /* NULL is fine */
size_t capt_tsv_n(const capt_tsv *t);
const capt_tsv_row *capt_tsv_at(const capt_tsv *t, size_t i); /* in the order of the files */
/* Only these rows of file (0 the first of the file, in any order) stay: linelist files. An error names a row that is not there. */
int capt_tsv_keep(capt_tsv *t, int file, const int64_t *lines, size_t n, const char *where, capt_err *err);
const char *capt_tsv_hash(const capt_tsv *t); /* 32 hex digits: what the files hold, one behind the other */
/* The bytes of row i, NUL behind them. Refuses a row that is too long or has no key. */
int capt_tsv_read(const capt_tsv *t, size_t i, capt_str *text, capt_err *err);
/* "file:line: id KEY" for messages. */
void capt_tsv_where(const capt_tsv *t, size_t i, char where[400]);
#endif
