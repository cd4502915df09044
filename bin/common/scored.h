/* What coco-score prints of scored files. Writes go to stdout or f unchecked: a failed one shows when it is closed. */
#ifndef CAPT_SCORED_H
#define CAPT_SCORED_H
#include "common/prog.h"
#include "metric/bootstrap.h"
#include "metric/health.h"
#include "metric/metric.h"
#include "record/caption.h"
#include "text/line.h"

typedef capt_interval scored_interval[CAPT_SCORES_MAX];

/* One scored file; everything is borrowed. */
typedef struct scored {
    const char *path;
    size_t n, n_refs;
    const capt_hyp *const *hyp; /* (n) */
    const capt_metric_out *out; /* (n_out) */
    int n_out;
    const capt_health *health;
    const char *signature;
} scored;

void scored_put_json(const scored *s); /* one object on a line */
/* Of two files of the same images: B - A with intervals (n_out of them; NaN: none), as one object or as columns. */
void scored_put_difference(const scored s[2], const scored_interval *iv, int64_t resamples, int64_t seed);
void scored_put_table(const scored *s, int n_files, const scored_interval *iv);
void scored_note_health(const capt_prog *p, const scored *s);
void scored_warn_odd(const capt_prog *p, const char *path, const char *what, const capt_odd *odd); /* what was read as something else in the texts of path */
void scored_detail_meteor(const capt_prog *p, const scored *s); /* what METEOR was computed from */
int scored_put_images(const char *path, const scored *s, capt_err *err); /* one score record an image */
#endif
