/* NumPy arrays as images for a store: one array of all images, (N,D), (N,R,D) or (N,H,W,D), with a file of their names; or a
 * folder with one array an image, (D), (n,D) or (H,W,D), named by its image, and another such folder with its boxes, (n,4).
 * The section is called global, grid or regions by the shape. Images come in the order of their keys. */
#ifndef CAPT_DATA_NPYSET_H
#define CAPT_DATA_NPYSET_H
#include <jansson.h>
#include "data/import.h"

typedef struct capt_npyset_opts {
    const char *names;   /* of one array; NULL: path is a folder */
    const char *boxes;   /* folder, or NULL */
    const char *section; /* NULL: by the shape */
    int int_ids;
    capt_dtype dtype; /* of the store */
} capt_npyset_opts;

typedef struct capt_npyset capt_npyset;
/* Strings are borrowed. Fills in sections, ids, dtype and geometry of meta. */
capt_npyset *capt_npyset_open(const char *path, const capt_npyset_opts *o, capt_pool *pool, capt_store_meta *meta, capt_err *err);
void capt_npyset_close(capt_npyset *s); /* NULL is fine */
capt_intake capt_npyset_intake(capt_npyset *s); /* borrows s */
/* For the provenance: a file's hash, or of a folder, which may hold a hundred gigabytes, that of its names and sizes. */
json_t *capt_npyset_inputs(const capt_npyset *s, capt_err *err);
int capt_npyset_is_folder(const char *path); /* with .npy files in it */
#endif
