/* Learning-rate schedules. All but noam rise linearly over `warmup` updates first. */
#ifndef CAPT_TRAIN_SCHEDULE_H
#define CAPT_TRAIN_SCHEDULE_H
#include <stdint.h>

typedef enum capt_schedule_kind {
    CAPT_SCHEDULE_CONSTANT,
    CAPT_SCHEDULE_LINEAR,  /* to lr_end at update `total` */
    CAPT_SCHEDULE_COSINE,  /* the same on half a cosine */
    CAPT_SCHEDULE_NOAM,    /* lr / sqrt(width) * min(1/sqrt(s), s/warmup^1.5) at update s = 1, 2, ... (Vaswani et al. 2017, eq. 3) */
    CAPT_SCHEDULE_STEP,    /* times factor after every `every` updates */
    CAPT_SCHEDULE_PLATEAU  /* times scale: the caller lowers it when validation stands still */
} capt_schedule_kind;
#define CAPT_SCHEDULE_NAMES "constant|linear|cosine|noam|step|plateau"

typedef struct capt_schedule {
    capt_schedule_kind kind;
    double lr, lr_end;
    int64_t warmup, total, every;
    int width;
    double factor, scale;
} capt_schedule;
/* Learning rate of update `step` (0, 1, ...). */
double capt_schedule_lr(const capt_schedule *s, int64_t step);
#endif
