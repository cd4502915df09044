/* What detectors say of an image, in the layouts of the field: a row is a line of a TSV file, its first column the image.
 *   bottom-up      image, width, height, number, base64 of boxes (n,4) f32, base64 of features (n,D)
 *   VinVL, Oscar   image, {"num_boxes":n,"features":base64}   or   image, n, base64
 *   sgb            image, {"objects":[{"rect":[x1,y1,x2,y2],"class","conf","feature":base64 of (D)}]} (scene_graph_benchmark)
 * Numbers are f32 or f16, little-endian; which, and D, follow from the bytes a box. Lengths must be exact. Beside such a file
 * stand objects (labels, predictions: image, [{"class","conf","rect"}] or {"image_w","image_h","objects":[..]}) and sizes (image,
 * [{"height","width"}]). Rows are parsed in place and point into their text and into an arena. Errors begin with where. */
#ifndef CAPT_RECORD_REGIONS_H
#define CAPT_RECORD_REGIONS_H
#include <jansson.h>
#include <stddef.h>
#include "base/arena.h"
#include "base/dtype.h"
#include "base/err.h"

enum { CAPT_BOXES_MAX = 256, CAPT_OBJECTS_MAX = 1000, CAPT_SIDE_MAX = 1 << 20 };

typedef enum capt_regions_form { CAPT_REGIONS_NONE, CAPT_REGIONS_BUTD, CAPT_REGIONS_VINVL, CAPT_REGIONS_SGB } capt_regions_form;

typedef struct capt_slice { const char *s; size_t n; } capt_slice;

typedef struct capt_object {
    const char *name;  /* class */
    double conf;       /* NaN: absent */
    double rect[4];    /* x1 y1 x2 y2 in pixels; rect[0] NaN: absent */
    capt_slice feature; /* base64; s NULL: absent */
} capt_object;

typedef struct capt_regions {
    int w, h; /* of the picture; 0: not said */
    int n;    /* boxes, 1 to CAPT_BOXES_MAX */
    capt_slice boxes, features; /* base64; s NULL: absent, or in the objects */
    capt_object *object;
    int n_objects;
} capt_regions;

/* Of a first row: by its columns and members; NONE: none of them. */
capt_regions_form capt_regions_guess(const char *text, size_t n);
int capt_regions_parse(capt_regions_form form, const char *text, size_t n, capt_arena *a, capt_regions *r, const char *where, capt_err *err);
/* A row of a file of labels or predictions, behind its first column: objects, and the picture's size if it says so. */
int capt_objects_parse(const char *text, size_t n, capt_arena *a, capt_regions *r, const char *where, capt_err *err);
/* A row of a file of sizes, behind its first column. */
int capt_size_parse(const char *text, size_t n, int *w, int *h, const char *where, capt_err *err);

/* Width and type of a row's features from their bytes: 2048 and 2054 are tried first as f32, then as f16; else f32 when it goes.
 * dim 0: to be found; else the width of the rows before, and only the type is. */
int capt_regions_shape(const capt_regions *r, int *dim, capt_dtype *dtype, const char *where, capt_err *err);
/* The features as floats, x (n,dim); raw: room for as many bytes as f16 takes, or NULL when dtype is f32. */
int capt_regions_features(const capt_regions *r, int dim, capt_dtype dtype, float *x, void *raw, const char *where, capt_err *err);
/* The boxes as floats (n,4), in pixels: from the boxes, else from the objects where there is one with a rectangle for each box.
 * 1; 0: there are none; -1: one is not inside the picture (by more than a pixel), is empty or not finite. */
int capt_regions_boxes(const capt_regions *r, float *boxes, const char *where, capt_err *err);

/* Geometry: the last six columns as x1/W y1/H x2/W y2/H w/W h/H. Orders of the last two that all boxes of x (n,dim) fit: */
enum { CAPT_ORDER_WH = 1, CAPT_ORDER_HW = 2 };
int capt_geometry_orders(const float *x, int n, int dim, capt_dtype dtype);
/* fits[o]: how many images fit the orders o. Most of them decide, so that a damaged one can be refused later and does not change
 * what the others are taken for: one order, or 0. */
int capt_geometry_decide(const int fits[4]);
void capt_geometry_swap(float *x, int n, int dim); /* the last two columns */
#endif
