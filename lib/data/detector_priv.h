/* Inside the detector: its rows in the order of their keys (detector_rows.c), and the images they make (detector.c). */
#ifndef CAPT_DATA_DETECTOR_PRIV_H
#define CAPT_DATA_DETECTOR_PRIV_H
#include <stdatomic.h>
#include "data/detector.h"
#include "record/tsv.h"

struct capt_detector_row { const char *key; capt_id id; const char *wrong; uint32_t at; int twice; };

/* Memory of one worker. */
struct capt_desk {
    capt_str text, more;
    capt_arena *arena;
    float *x, boxes[4 * CAPT_BOXES_MAX], size[2];
    void *raw, *packed;
    size_t x_size;
};

struct capt_detector {
    capt_detector_opts o;
    const capt_detector_files *f;
    capt_tsv *rows, *objects, *sizes;
    capt_arena *arena;
    struct capt_detector_row *row; /* in the order of the keys */
    size_t n;
    int int_ids, dim, has_boxes, has_size;
    capt_dtype read_as; /* of the first row */
    int geometry; /* 0, or the order that was found */
    capt_idmap *object_of, *size_of; /* id -> row of objects, of side */
    int (*side)[2];
    struct capt_desk *desk;
    int n_desks;
    atomic_llong unboxed, untagged;
};

/* Looks through all files: rows, ids, what is beside them. What d has then is freed by capt_detector_close, also on failure. */
int capt_detector_rows_open(capt_detector *d, capt_pool *pool, capt_err *err);
#endif
