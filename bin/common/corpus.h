/* The records that a training reads: those of --captions, in the splits to train and to validate on, with the tags of --tags in the place of their own. */
#ifndef CAPT_COMMON_CORPUS_H
#define CAPT_COMMON_CORPUS_H
#include "common/session.h"

typedef struct prog_corpus {
    capt_captions *records, *tags; /* tags: of --tags, or NULL */
    capt_picked train, val;
} prog_corpus;
/* c zeroed. captions, tags: the options' files; tags may be NULL. No record to train on is an error, and so is one to train or validate on that has no
 * captions, unless captionless. To be closed in any case. */
int prog_corpus_open(prog_corpus *c, capt_prog *p, const char *captions, const char *tags, const char *train_split, const char *val_split, int captionless);
void prog_corpus_close(prog_corpus *c);
/* What a resume tells the run's records by: {"split","captions"} and, when there are tags, "tags". New reference. */
json_t *prog_corpus_inputs(const prog_corpus *c);
#endif
