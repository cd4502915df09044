/* AdamW over a parameter set (Loshchilov & Hutter 2019) with the gradient's global norm clipped first (Pascanu et al. 2013), then its single values. */
#ifndef CAPT_TRAIN_OPTIM_H
#define CAPT_TRAIN_OPTIM_H
#include "nn/param.h"

typedef struct capt_optim {
    double beta1, beta2, eps, decay;
    double clip, clip_value; /* largest norm, then largest magnitude of a value; 0: any */
    int64_t t;               /* updates done */
} capt_optim;
/* One update of every trainable parameter that got a gradient, at lr x its lr_scale; gradients are then forgotten. norm (or NULL) is the global norm before clipping.
 * A NaN or infinite norm is an error and changes nothing. */
int capt_optim_step(capt_optim *o, capt_params *ps, double lr, double *norm, capt_err *err);
#endif
