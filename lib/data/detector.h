/* A detector's files as images for a store: features of regions, with boxes, picture sizes, and tag records, where the files or
 * those beside them have these.
 *
 * Sections: regions (n,D); boxes (n,4) f32, x1 y1 x2 y2 in pixels: the row's own, or the geometry's where sizes are known, or the
 * objects' (no rows for an image whose objects are not one a region); size (1,2) f32, width and height. Images come in the order of their keys. Geometry in the last six columns is recognised by
 * its own arithmetic and brought into the order of CAPT_GEOMETRY. */
#ifndef CAPT_DATA_DETECTOR_H
#define CAPT_DATA_DETECTOR_H
#include <jansson.h>
#include "data/import.h"
#include "record/regions.h"

/* The files of an import, found from what the user named: TSV files, Oscar's .yaml files, folders of such, folders of folders. */
typedef struct capt_strlist { const char **v; size_t n, cap; } capt_strlist;
typedef struct capt_detector_files {
    capt_arena *arena; /* owns the strings */
    capt_strlist features, objects, sizes, lines; /* lines: a linelist file of the features of the same place, or "" */
} capt_detector_files;
int capt_detector_find(capt_detector_files *f, const char *operand, capt_err *err); /* adds */
void capt_detector_files_free(capt_detector_files *f);

enum { CAPT_IDS_AUTO, CAPT_IDS_STRING, CAPT_IDS_INT };
/* The id of an image from its name in a file: without folder and extension, or the number that ends. */
int capt_id_from_name(const char *name, int as_int, capt_id *id, capt_arena *a, capt_err *err);

typedef struct capt_detector_opts {
    capt_regions_form form; /* NONE: by the first row */
    int ids;                /* AUTO: integers when all keys are decimal */
    int dim;                /* 0: by the bytes a box */
    capt_dtype dtype;       /* of the store */
    const char *section;    /* name of the features' section */
    int tags;               /* make tag records */
} capt_detector_opts;

typedef struct capt_detector capt_detector;
/* Looks through all files and at some rows. f is borrowed. Fills in sections, ids, dtype and geometry of meta. */
capt_detector *capt_detector_open(const capt_detector_files *f, const capt_detector_opts *o, capt_pool *pool, capt_store_meta *meta, capt_err *err);
void capt_detector_close(capt_detector *d); /* NULL is fine */
int capt_detector_has_objects(const capt_detector *d);
capt_intake capt_detector_intake(capt_detector *d); /* borrows d */
json_t *capt_detector_inputs(const capt_detector *d); /* hashes of what is read, and what was found: for the provenance */
/* One line about the last six columns, and another about images without boxes or tags; "" when there is nothing to say. */
void capt_detector_report(const capt_detector *d, capt_str *geometry, capt_str *missing);
#endif
