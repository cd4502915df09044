/* Exchange with SPICE (Anderson et al., ECCV 2016), whose parser is a Java program: its input and output files, and tuples
 * that any parser made.
 *   input   [{"image_id","test","refs":[..]}]
 *   output  [{"image_id","scores":{"All":{"f",..},..},..}]
 *   tuples  one object a line: {"id" or "image_id","tuples":[["dog"],["dog","brown"],["dog","on","sofa"]],"refs":[..]}; refs
 *           holds tuples, or a list of tuples for each reference caption
 * Tuples are compared as SPICE does: words in lower case, inner blanks as '_', a relation without its leading "be "; a tuple
 * is an object, attribute or relation by its 1, 2 or 3 words; doubles count once. Without synsets the tuples of all
 * references are one set, and a candidate is right when an equal tuple is among them.
 * With synsets the tuples of all references, in their order, become one graph. An object is the node that has its word,
 * else the one whose synsets have the greatest Jaccard index with its own, if above 0 (the first of equal ones), else a new
 * node; attributes of one node, and relations of two, are one when they have a common word or synset. What is merged has
 * all words and synsets of its members. An object counts only where a tuple of one word names it. A candidate is right when
 * each part has a common word or synset with that part of one reference tuple; several candidates may find the same one,
 * so that an F above 1 is possible.
 * The score is the F1 of an image, 0 without candidates or references, and the mean over images. */
#ifndef CAPT_RECORD_SPICE_H
#define CAPT_RECORD_SPICE_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/id.h"

/* Synsets of a word (n bytes, '_' for inner blanks): *ids is malloc'd, ascending, distinct; returns how many. */
typedef struct capt_synsets {
    size_t (*of)(const void *data, const char *word, size_t n, uint32_t **ids);
    const void *data;
} capt_synsets;
typedef struct capt_tuple_counts { int64_t right, n_cand, n_ref; } capt_tuple_counts;

/* F of "All" of the images that by_id numbers 0..n-1 into f. Every image needs one and only one; unknown ids are errors. */
int capt_spice_read_output(const char *path, const capt_idmap *by_id, const capt_id *const *ids, size_t n, double *f, capt_err *err);
/* syn NULL: equal words only. */
int capt_spice_read_tuples(const char *path, const capt_idmap *by_id, const capt_id *const *ids, size_t n,
                           const capt_synsets *syn, capt_tuple_counts *c, capt_err *err);
double capt_tuple_f1(const capt_tuple_counts *c);
/* refs of image i are refs[ref_at[i] .. ref_at[i+1]-1]. */
int capt_spice_write_input(const char *path, const capt_id *const *ids, const char *const *hyps, const char *const *refs,
                           const size_t *ref_at, size_t n, capt_err *err);
#endif
