/* AdamW over a parameter set (Loshchilov & Hutter 2019) with the gradient's global norm clipped first (Pascanu et al. 2013), and learning-rate schedules. */
#ifndef CAPT_TRAIN_OPTIM_H
#define CAPT_TRAIN_OPTIM_H
#include "nn/param.h"

typedef struct capt_optim {
    double beta1, beta2, eps, decay, clip; /* clip 0: none */
    int64_t t;                             /* updates done */
} capt_optim;
/* One update of every trainable parameter that got a gradient, at lr x its lr_scale; gradients are then forgotten. norm (or NULL) is the global norm before clipping.
 * A NaN or infinite norm is an error and changes nothing. */
int capt_optim_step(capt_optim *o, capt_params *ps, double lr, double *norm, capt_err *err);

typedef enum capt_schedule_kind { CAPT_SCHEDULE_CONSTANT, CAPT_SCHEDULE_LINEAR, CAPT_SCHEDULE_COSINE } capt_schedule_kind;
#define CAPT_SCHEDULE_NAMES "constant|linear|cosine"
typedef struct capt_schedule { capt_schedule_kind kind; double lr, lr_end; int64_t warmup, total; } capt_schedule;
/* Learning rate of update `step` (0, 1, ...): rises linearly over `warmup` updates, then falls to lr_end at `total`. */
double capt_schedule_lr(const capt_schedule *s, int64_t step);
#endif
