/* Training log records: one step or event a line, as --log appends them. Validation scores keep the names of score records. */
#ifndef CAPT_RECORD_LOG_H
#define CAPT_RECORD_LOG_H
#include "record/field.h"

typedef struct capt_log {
    double ts;         /* seconds since the epoch */
    const char *event; /* "start", "step", "val", "resume", "checkpoint", "end"; NULL: absent */
    int64_t step, epoch, nan_count;
    double loss, lr, grad_norm, reward, tokens_s, images_s, rss, gpu_mem;
    double bleu4, meteor, rouge, cider, val_loss;
    const char **samples;
    int n_samples;
} capt_log;

extern const capt_kind capt_kind_log;
#endif
