/* A training run that can be stopped and continued: OUT.part holds everything, OUT appears when it is done. */
#ifndef CAPT_RUN_H
#define CAPT_RUN_H
#include "common/session.h"
#include "train/state.h"

typedef struct capt_run {
    capt_prog *p;
    const char *out;
    char *part, *best;        /* OUT.part, OUT.best.part */
    json_t *options, *inputs; /* owned */
    capt_run_state state;
    double saved_at, every;   /* seconds between checkpoints */
} capt_run;
/* inputs_take: hashes of what is read. A left-over OUT.part without resume is an error. *model: the model of OUT.part when resume found one (state filled in), else NULL. */
int capt_run_open(capt_run *r, capt_prog *p, const char *out, int resume, double every, json_t *inputs_take, capt_session *s, capt_model **model);
/* Writes OUT.part if it is time (or now). */
int capt_run_save(capt_run *r, capt_model *m, int now);
/* Writes OUT without optimiser, then removes OUT.part and OUT.best.part: whatever happens, one of the two is whole. */
int capt_run_finish(capt_run *r, capt_model *m);
/* After a validation that gave figure: 1 and m's weights kept in OUT.best.part if it is the best so far, 0 if not, -1. state.best and checks_since_best follow. */
int capt_run_judge(capt_run *r, capt_model *m, double figure);
/* After capt_run_judge, for schedule plateau: a fall of state.lr_scale after `patience` validations without a new best or a fall. */
void capt_run_plateau(capt_run *r, int64_t patience, double factor);
/* The weights of the best validation come back into m; nothing happens if there was none. */
int capt_run_best(capt_run *r, capt_model *m);
void capt_run_close(capt_run *r);
/* Adds to inputs the content of a store ("features") and of files (init, encoder; NULL: none, "random" is no file), by which a resume tells them from others. */
int capt_run_inputs(json_t *inputs, const char *store, const char *init, const char *encoder, capt_err *err);
/* The ids of recs join those the model was trained on. */
void capt_run_trains_on(capt_model *m, const capt_picked *recs);
/* What of m learns: all but the encoder, and of that with tune the stages (NULL: all; see capt_encoder_tune), at `share` times the learning rate (0: the same). */
int capt_run_trains(capt_prog *p, capt_model *m, int tune, const char *stages, int recompute, double share);
/* The largest memory the process had so far, in MB. */
double capt_run_memory(void);
/* The entry of this run in the model's provenance and at the log's beginning, its options; call once before the first save. */
int capt_run_stamp(capt_run *r, capt_model *m, const capt_session *s);
/* After a validation that returned rc: when a signal stopped it, OUT.part is written as one that begins with it, and the run stopped; else rc. */
int capt_run_checked(capt_run *r, capt_model *m, int rc);
/* Checkpoint after an update, a signal included: 0 go on, -1 stopped (CAPT_ESTOP) or failed. */
int capt_run_after_update(capt_run *r, capt_model *m);
#endif
