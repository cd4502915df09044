/* What programs print of a run as a whole: coco-score --json (a total for each file of hypotheses, then the difference of two) and the lines of
 * --errors. The scores a total has, and their names, are rows of scores.def. */
#ifndef CAPT_RECORD_OUTCOME_H
#define CAPT_RECORD_OUTCOME_H
#include "record/field.h"

typedef struct capt_bleu_counts { int64_t testlen, reflen; double *guess, *correct; int n_guess, n_correct; } capt_bleu_counts;
typedef struct capt_health_record { double mean_length, bad_endings, unk_rate, repeated_bigrams, empty; } capt_health_record;

typedef struct capt_total {
    int64_t n; /* images */
#define CAPT_SCORE_OF(member, key, doc) double member; /* NaN: not computed */
#include "record/scores.def"
#undef CAPT_SCORE_OF
    const char *signature, *meteor_data;
    capt_bleu_counts *bleu_counts; /* NULL: absent */
    double *meteor_stats;
    int n_meteor_stats;
    capt_health_record *health;
} capt_total;

typedef struct capt_score_difference { double diff, p, *interval; int n_interval; } capt_score_difference;
typedef struct capt_score_differences {
#define CAPT_SCORE_OF(member, key, doc) capt_score_difference *member; /* NULL: absent */
#include "record/scores.def"
#undef CAPT_SCORE_OF
} capt_score_differences;
typedef struct capt_difference {
    capt_score_differences *difference;
    int64_t resamples, seed;
} capt_difference;

typedef struct capt_skipped { const char *error; } capt_skipped;

extern const capt_kind capt_kind_total, capt_kind_difference, capt_kind_error;
#endif
