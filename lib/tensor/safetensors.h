/* The safetensors layout: u64 little-endian header length, JSON header {name: {"dtype","shape","data_offsets"}, "__metadata__": {string: string}}, data.
 *
 * Reading: the file is mapped, nothing is copied; everything a header says is checked before it is believed (operations: length at most the file and
 * 16 MiB, dimensions >= 0, no overflow, offsets contiguous from 0 to the end of the file, no name twice, at most 8 dimensions, known types). Names
 * and data are borrowed until capt_st_close. A capt_st may be read by many threads. */
#ifndef CAPT_TENSOR_SAFETENSORS_H
#define CAPT_TENSOR_SAFETENSORS_H
#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include "base/dtype.h"
#include "base/err.h"

enum { CAPT_ST_MAX_DIM = 8 };
typedef struct capt_st_tensor {
    const char *name;
    capt_dtype dtype; /* BOOL reads as CAPT_U8 */
    int ndim;         /* 0: a scalar */
    int64_t dim[CAPT_ST_MAX_DIM]; /* unused ones are 1 */
    const void *data; /* aligned to its element in files of ours; in foreign ones perhaps not */
    size_t bytes;
    int mapped;       /* data lies in a file's map */
} capt_st_tensor;

typedef struct capt_st capt_st;
/* A .safetensors file, the index of a sharded one (model.safetensors.index.json: the shards lie beside it), or a folder that holds either under its public
 * name (model.safetensors or open_clip_model.safetensors, with or without .index.json). Pickles (.bin, .pt) are refused with the command that converts them. */
capt_st *capt_st_open(const char *path, capt_err *err);
/* The same over n bytes of memory, borrowed; where names them in errors. */
capt_st *capt_st_parse(const void *p, size_t n, const char *where, capt_err *err);
void capt_st_close(capt_st *st); /* NULL is fine */
size_t capt_st_n(const capt_st *st);
const capt_st_tensor *capt_st_at(const capt_st *st, size_t i);             /* by rising name */
const capt_st_tensor *capt_st_find(const capt_st *st, const char *name);   /* NULL: there is none */
const char *capt_st_meta(const capt_st *st, const char *key);              /* a metadata string (of the first shard), or NULL */
const json_t *capt_st_metadata(const capt_st *st);                         /* all of it: an object of strings, borrowed, or NULL */
/* Name of the bytes of all its files (a single one: capt_hash_file's). Not of one made by capt_st_parse. */
void capt_st_hash(const capt_st *st, char hex[33]);
int64_t capt_st_numel(const capt_st_tensor *t);
void capt_st_to_f32(const capt_st_tensor *t, float *out);                  /* all elements, converted to float */
void capt_st_to_real(const capt_st_tensor *t, capt_real *out);             /* to the compute type */
/* Elements from to from+n-1 of t, in file order, as a tensor of one dimension. */
capt_st_tensor capt_st_part(const capt_st_tensor *t, int64_t from, int64_t n);
int64_t capt_st_not_finite(const capt_st_tensor *t);                       /* the first element that is a NaN or an infinity, or -1 */
/* t has been copied: its pages need not stay in the process's memory (they come back from the file when they are read again). */
void capt_st_leave(const capt_st_tensor *t);

/* Writing. Tensors are laid out by falling element size, then name, so every one is aligned; the header is padded with blanks so that the data begin at
 * a multiple of 64. Equal calls give equal bytes. Data are borrowed until finish. */
typedef struct capt_st_writer capt_st_writer;
/* Delivers bytes offset..offset+n-1 of a tensor; called with rising offsets. */
typedef int (*capt_st_source)(void *arg, size_t offset, void *buf, size_t n, capt_err *err);
capt_st_writer *capt_st_writer_new(void);
int capt_st_writer_add(capt_st_writer *w, const char *name, capt_dtype dtype, int ndim, const int64_t *dim, const void *data, capt_err *err);
int capt_st_writer_add_from(capt_st_writer *w, const char *name, capt_dtype dtype, int ndim, const int64_t *dim, capt_st_source source, void *arg, capt_err *err);
int capt_st_writer_meta(capt_st_writer *w, const char *key, const char *value, capt_err *err); /* a second value replaces the first */
/* Writes path ("-": stdout), which appears only when complete (base/file.h), and frees w in every case. */
int capt_st_writer_finish(capt_st_writer *w, const char *path, capt_err *err);
void capt_st_writer_free(capt_st_writer *w); /* gives up; NULL is fine */
#endif
