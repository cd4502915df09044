/* Hypotheses beside the references of the same images. Every image of the splits needs one hypothesis and every hypothesis
 * an image of the splits; what is missing, unknown or in another split is an error that names the first few ids. */
#ifndef CAPT_RECORD_JOIN_H
#define CAPT_RECORD_JOIN_H
#include "base/str.h"
#include "record/caption.h"

typedef struct capt_splits { const char *v[64]; size_t n; } capt_splits; /* n 0: all */

typedef struct capt_join {
    const capt_caption **image; /* (n) in the order of the references; borrowed, arrays in the arena */
    const capt_hyp **hyp;       /* (n) */
    size_t n, n_refs;           /* n_refs: captions of these images */
    capt_idmap *by_id;          /* id -> 0..n-1 */
} capt_join;

/* A record without a split is in all of them. */
int capt_in_splits(const capt_splits *s, const capt_caption *c);
/* subset: images without a hypothesis are left out. refs_name, hyps_name: for messages. */
int capt_join_make(capt_join *j, const capt_captions *refs, const char *refs_name, const capt_hyps *hyps, const char *hyps_name,
                   const capt_splits *splits, int subset, capt_arena *a, capt_err *err);
void capt_join_free(capt_join *j); /* of zeroes: fine */

/* Ids of images for a message: the first five and their number. Zero-initialise. fail: 0 when there are none, else -1 with the
 * error "path: 1 image ONE: id" or "path: N images MANY: id, id, ...", then the advice; frees the list in either case. */
typedef struct capt_id_list { capt_str s; size_t n; } capt_id_list;
void capt_id_list_add(capt_id_list *l, const capt_id *id);
int capt_id_list_fail(capt_id_list *l, const char *path, const char *one, const char *many, const char *advice, capt_err *err);
#endif
