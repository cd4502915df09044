/* Validation of a captioner: the loss over held-out captions, and CIDEr-D of its own captions. Nothing is trained, dropout is off. */
#ifndef CAPT_TRAIN_VALIDATE_H
#define CAPT_TRAIN_VALIDATE_H
#include "data/dataset.h"
#include "decode/scorer.h"
#include "train/xe.h"

/* stop (or NULL) is asked between batches: true ends the validation with CAPT_ESTOP.
 * Mean cross-entropy a word over the whole data set (its first draw of captions), no label smoothing. */
int capt_validate_loss(capt_ctx *c, capt_model *m, capt_encoder *encoder, const capt_dataset *d, int batch, int (*stop)(void), double *loss, capt_err *err);
/* CIDEr-D (document frequencies of these records) of the captions found by beam search over the records' images. sample (or NULL): the first caption, malloc'd. */
int capt_validate_cider(capt_scorer *s, capt_source *source, const capt_caption *const *recs, size_t n, int batch, int beam, int (*stop)(void), double *cider, char **sample, capt_err *err);
#endif
