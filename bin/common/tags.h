/* --tags FILE of the programs that run a captioner: what the model reads before the words. */
#ifndef CAPT_COMMON_TAGS_H
#define CAPT_COMMON_TAGS_H
#include "common/session.h"

enum { CAPT_TAG_TOKENS = 20 }; /* of an image, for a new captioner that reads tags */

/* The option's file: tag records, or caption records with "tags". records: the run's own (NULL: pictures), whose kind of ids the file must have. NULL on failure. */
capt_captions *prog_tags_open(capt_prog *p, const char *path, const capt_captions *records);
/* A captioner that reads tags wants --tags, another refuses it: -1 and the reason. */
int prog_tags_fit(capt_prog *p, const char *path, const capt_model *m, const char *model_path);
/* Says of recs how many have tags, and how many of their words m does not know; warns when there are none at all, or when their tagger was trained on some that are
 * to measure with. what: "training ", "validation " or "". */
int prog_tags_note(capt_prog *p, const char *what, const capt_picked *recs, const capt_model *m);
/* The images that the taggers of these records were trained on, as far as the records tell, become training images of m, which learns from their tags: a leak through a tagger
 * shows as one through an encoder does. file: of --tags, or NULL. */
void prog_tags_past(capt_model *m, const capt_captions *file, const capt_captions *records);
/* Tags of a training run's records as an input of the run, by which a resume tells them from others. */
void prog_tags_input(json_t *inputs, const capt_picked *train, const capt_picked *val);
#endif
