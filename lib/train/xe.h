/* One teacher-forced pass: encode the images (with the tape on only when the encoder is tuned), run the captioner, cross-entropy over the words, backward. */
#ifndef CAPT_TRAIN_XE_H
#define CAPT_TRAIN_XE_H
#include "model/model.h"
#include "tensor/input.h"

/* R rows of T tokens, tags and words, over the images of in (data/dataset.h's batch): loss = sum over (r,t) of weights[r*T+t] * cross-entropy(targets) / norm, label smoothing `smooth`.
 * Only positions of weight other than 0 reach the head. backward: gradients are added to the parameters'. row0: number of the first row in the whole batch (dropout).
 * *loss: that sum. A loss that is not finite is an error. encoder NULL: the model's own (pixels only). The captioner's extra loss terms
 * (attention regularisation), averaged over all_rows rows, are part of the loss when all_rows is not 0: the rows of the whole batch. image0: number of the first image. */
typedef struct capt_rows { int R, T; const int32_t *row_image, *tokens, *targets; const capt_real *weights; int64_t row0, image0, all_rows; } capt_rows;
int capt_xe_pass(capt_ctx *c, capt_model *m, capt_encoder *encoder, const capt_input *in, const capt_rows *rows, double norm, double smooth, int backward, double *loss, capt_err *err);
/* The image part alone: features of in, or the encoder's section the model reads. */
capt_feat capt_image_features(capt_ctx *c, capt_model *m, capt_encoder *encoder, const capt_input *in);
#endif
