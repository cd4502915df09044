#include "record/log.h"
#include <string.h>
#include "record/caption.h"
#include "record/dump.h"
#include "record/outcome.h"
#include "record/score.h"

#define AT(m) offsetof(capt_log, m)
#define NUM(name, m, doc) {name, CAPT_T_NUM, 0, AT(m), 0, 0, 0, NULL, doc}
#define INT(name, m, doc) {name, CAPT_T_INT, 0, AT(m), 0, 0, 0, NULL, doc}

static const capt_field fields[] = {
    NUM("ts", ts, "Seconds since 1970-01-01 UTC."),
    {"event", CAPT_T_STR, 0, AT(event), 0, 64, 0, NULL, "What happened: start, step, val, resume, checkpoint, end."},
    INT("step", step, "Optimiser steps done."),
    INT("epoch", epoch, "Epoch, from 0."),
    NUM("loss", loss, "Mean loss a token since the last record; null when it was not finite."),
    NUM("val_loss", val_loss, "Mean loss a token on the validation split."),
    NUM("lr", lr, "Learning rate."),
    NUM("grad_norm", grad_norm, "Norm of the gradient before clipping; null when it was not finite."),
    INT("nan_count", nan_count, "Values that were not finite since the last record."),
    NUM("reward", reward, "Mean reward of the samples."),
    NUM("tokens_s", tokens_s, "Tokens a second."),
    NUM("images_s", images_s, "Images a second."),
    NUM("rss", rss, "Resident memory, bytes."),
    NUM("gpu_mem", gpu_mem, "Device memory, bytes."),
    NUM("Bleu_4", bleu4, "BLEU-4 on the validation split."),
    NUM("METEOR", meteor, "METEOR on the validation split."),
    NUM("ROUGE_L", rouge, "ROUGE-L on the validation split."),
    NUM("CIDEr", cider, "CIDEr-D on the validation split."),
    {"samples", CAPT_T_STRS, 0, AT(samples), AT(n_samples), 10000, 1000, NULL, "Some captions of the model at this step."},
    {0}};
const capt_kind capt_kind_log = {"log", "One step or event of a training run.", sizeof(capt_log), fields};

static const capt_kind *const kinds[] = {&capt_kind_caption, &capt_kind_hyp, &capt_kind_tags, &capt_kind_score, &capt_kind_log, &capt_kind_total, &capt_kind_difference,
                                         &capt_kind_error, &capt_kind_feature, &capt_kind_tensor, &capt_kind_metadata, NULL};

const capt_kind *capt_kind_at(int i)
{
    return kinds[i];
}

const capt_kind *capt_kind_find(const char *name)
{
    int i = 0;
    while (kinds[i] && strcmp(kinds[i]->name, name) != 0)
        i++;
    return kinds[i];
}
