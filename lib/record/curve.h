/* Curves of training logs (record/log.h), as a chart in text and as SVG. A log of a run that was stopped and continued repeats
 * the steps behind the checkpoint: the later records count. Values that are missing or not finite leave no point. */
#ifndef CAPT_RECORD_CURVE_H
#define CAPT_RECORD_CURVE_H
#include <stddef.h>
#include "base/err.h"
#include "base/str.h"

/* Loss of cross-entropy runs (records with a reward hold another loss, which is left out), loss and CIDEr-D on the validation
 * split, mean reward of samples. */
typedef enum capt_curve_kind { CAPT_CURVE_LOSS, CAPT_CURVE_VAL_LOSS, CAPT_CURVE_CIDER, CAPT_CURVE_REWARD, CAPT_CURVE_KINDS } capt_curve_kind;

typedef struct capt_curve {
    size_t n, cap, cap_y;
    double *x, *y; /* (n): step, value; x never falls */
} capt_curve;
typedef struct capt_curves { capt_curve of[CAPT_CURVE_KINDS]; } capt_curves;

const char *capt_curve_title(capt_curve_kind k);
/* Reads one log; zero-initialise *out before. On failure *out is empty. Errors name file:line. */
int capt_curves_read(const char *path, capt_curves *out, capt_err *err);
void capt_curves_free(capt_curves *c);

/* A line chart of several runs' curves, of which empty ones are left out, as one <svg> element: colours by CSS classes r0..r5
 * by place in the list, lettering in currentColor. Long curves are averaged to 300 points. Appends nothing without a point. */
void capt_curve_svg(capt_str *out, const char *title, const char *const *names, const capt_curve *const *c, size_t n);
/* A chart of `width` columns and `height` lines of block characters (UTF-8), title and axes around it. Needs width 20, height 2. */
void capt_curve_text(capt_str *out, const char *title, const capt_curve *c, int width, int height);
#endif
