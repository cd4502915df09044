/* The fingerprint of a store: what the numbers of each section look like, kept in its manifest and in the models trained on it,
 * so that features of another make are noticed where they are used. It is computed from the stored numbers in the order of the
 * keys, in fixed chunks: equal records give equal bits, whatever the shards, threads and interruptions.
 *
 * JSON: an array with an object a section, {"section","dim","images","rows":[least,mean,most],"mean","sd",
 * "norm":[least,mean,largest]}; mean and deviation are of all numbers, norms of the rows. null where there are no rows. */
#ifndef CAPT_STORE_FINGERPRINT_H
#define CAPT_STORE_FINGERPRINT_H
#include <jansson.h>
#include "base/str.h"
#include "store/feature.h"

typedef struct capt_moments {
    int64_t images, rows;
    int min_rows, max_rows;
    double sum, squares, norms, min_norm, max_norm; /* of numbers; norms of rows */
} capt_moments;

void capt_moments_of(const capt_section *s, capt_moments *m); /* of one image */
/* all starts as zeros. The order of calls matters in the last bit. */
void capt_moments_add(capt_moments *all, const capt_moments *one);
json_t *capt_moments_json(const capt_moments *m, const char *name, int dim); /* new reference */

/* The object of a section in a fingerprint, borrowed; NULL: not there. */
const json_t *capt_fingerprint_section(const json_t *fingerprint, const char *name);
/* One line about a section's object: "1 to 2 rows (mean 1.5) of 2048, mean .., sd .., norm of a row .. to .. (mean ..)". */
void capt_fingerprint_text(const json_t *section, capt_str *out);
/* Are these features of one make? Appends what differs (widths, mean by more than a tenth of the deviation, deviation or mean
 * norm by more than a quarter, mean rows by more than a half) to why, and returns how many of these do. Different images of
 * one detector lie well within. What is absent is not compared. */
int capt_fingerprint_differs(const json_t *there, const json_t *here, capt_str *why);
#endif
