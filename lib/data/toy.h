/* Synthetic scenes for demonstrations and tests: one to five coloured shapes on one of six grounds, a picture, and captions from a
 * grammar with unequally frequent synonyms and optional details, as several people might write them. A scene is a tuple (things, their
 * colours and sizes, number, arrangement or relation); capt_toy_scenes draws no tuple twice, and a tuple's split follows from its hash
 * alone, so that no test scene can occur in training, whatever the seed or the number of scenes. All else follows from the scene by
 * Philox numbers: equal arguments give equal pixels and words. Pure functions. */
#ifndef CAPT_DATA_TOY_H
#define CAPT_DATA_TOY_H
#include <stdint.h>
#include "base/err.h"
#include "base/str.h"
#include "image/image.h"

enum { CAPT_TOY_SHAPES = 8, CAPT_TOY_THINGS = 5 };
enum { CAPT_TOY_TRAIN, CAPT_TOY_RESTVAL, CAPT_TOY_VAL, CAPT_TOY_TEST, CAPT_TOY_SPLITS };
enum { CAPT_TOY_SINGLE, CAPT_TOY_PAIR, CAPT_TOY_GROUP };

typedef struct capt_toy_thing { int shape, colour, large; } capt_toy_thing;
typedef struct capt_toy_scene {
    int kind;
    capt_toy_thing a, b; /* PAIR: a is left of or above b; else only a counts */
    int n, how;          /* number of things; SINGLE: place, PAIR: relation, GROUP: order */
    int ground;          /* no part of the tuple */
    int split;
    uint64_t key;        /* of everything random about it */
} capt_toy_scene;

typedef struct capt_toy_box { double x, y, w, h, area; int shape; } capt_toy_box; /* pixels, quarters exact; area what is covered */

/* n scenes (malloc'd): a tenth each val and test, a fiftieth restval, the rest train, each rounded down. NULL when the grammar has
 * not so many different ones (some 20000). */
capt_toy_scene *capt_toy_scenes(int64_t n, uint64_t seed, capt_err *err);
/* The tuple in words, "large red circle above small blue square": equal texts are equal scenes. Replaces out. */
void capt_toy_describe(const capt_toy_scene *s, capt_str *out);
/* Paints into im (square, allocated); box receives s->n boxes, none overlapping. */
void capt_toy_paint(capt_image *im, const capt_toy_scene *s, capt_toy_box box[CAPT_TOY_THINGS]);
/* Caption i: its words (lower case, one blank between them, no punctuation) and the same as somebody typed it. Replaces both. */
void capt_toy_caption(const capt_toy_scene *s, uint64_t i, capt_str *words, capt_str *raw);
const char *capt_toy_shape_name(int shape);
const char *capt_toy_ground_name(const capt_toy_scene *s);
const char *capt_toy_split_name(int split);
#endif
