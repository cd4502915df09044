/* The cursor of a run: what, beside weights and optimiser, an exact resume needs. It travels as JSON in OUT.part. */
#ifndef CAPT_TRAIN_STATE_H
#define CAPT_TRAIN_STATE_H
#include <jansson.h>
#include <stdint.h>
#include "base/err.h"

typedef struct capt_run_state {
    int64_t epoch, index; /* the next batch */
    int64_t step;         /* updates done */
    int64_t adam_t;
    double best;          /* best validation figure so far */
    int64_t checks_since_best;
    double lr_scale;      /* of schedule plateau: what its falls have left of the rate */
    int64_t checks_since_fall;
} capt_run_state;
/* {"program","options","inputs",...cursor}. New reference; borrows options and inputs (hashes of captions, vocabulary, features). */
json_t *capt_run_state_json(const capt_run_state *s, const char *program, const json_t *options, const json_t *inputs);
/* Back; refuses another program, changed options or other inputs, naming the first that differs. */
int capt_run_state_read(const json_t *j, capt_run_state *s, const char *program, const json_t *options, const json_t *inputs, const char *path, capt_err *err);
#endif
