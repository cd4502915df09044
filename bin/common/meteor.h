/* METEOR's data for a program: where they are, opened through the cache. */
#ifndef CAPT_COMMON_METEOR_H
#define CAPT_COMMON_METEOR_H
#include "common/prog.h"
#include "metric/meteor.h"
#include "record/spice.h"

/* option if not NULL, else CAPT_METEOR_DATA (empty: nowhere), else Debian's WordNet; NULL: none. */
const char *prog_meteor_place(const char *option);
/* From that place, cached in CAPT_CACHE, XDG_CACHE_HOME/capt or HOME/.cache/capt. NULL: p->err says what to install, or
 * what is wrong. */
capt_meteor *prog_meteor_open(capt_prog *p, const char *option);
/* Its synsets for tuples; m is borrowed. */
capt_synsets prog_meteor_synsets(const capt_meteor *m);
#endif
