/* Score records: one image's scores, as `coco-score --per-image` writes them. */
#ifndef CAPT_RECORD_SCORE_H
#define CAPT_RECORD_SCORE_H
#include "base/id.h"
#include "record/field.h"

typedef struct capt_score {
    capt_id id;
    const char *caption;
    double bleu[4], meteor, meteor_nopara, rouge, cider, clip, ref_clip; /* NaN: not computed */
    int trained_on; /* 1, 0, -1: not known */
} capt_score;

extern const capt_kind capt_kind_score;
#endif
