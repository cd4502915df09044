/* capt-train: caption records and image inputs in, a captioner's checkpoint out (cross-entropy). */
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "common/corpus.h"
#include "common/run.h"
#include "common/tags.h"
#include "data/dataset.h"
#include "model/import.h"
#include "train/optim.h"
#include "train/sampling.h"
#include "train/schedule.h"
#include "train/validate.h"

static const char *model_name, *captions, *vocab_path, *store_path, *images, *encoder_path, *encoder_config, *out, *init, *train_split = "train", *val_split = "val", *section, *tune_stages, *tags_path;
static int init_part, tune_encoder, recompute, list_models, resume, compute, schedule = CAPT_SCHEDULE_COSINE, all_captions, freeze_embedding, val_cider, flip, crop, best;
static int64_t epochs = 10, batch = 32, accum = 1, warmup = -1, micro_threads = 2, save_minutes = 10, max_updates, lr_epochs = 3, patience = 3, checks, mix_every = 5, max_pixels = CAPT_MAX_PIXELS;
static double lr = 5e-4, lr_end, encoder_lr, decay = 0.01, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, clip = 1, clip_value, smooth, lr_factor = 0.5, ema, mix_max, mix_step = 0.05;
static capt_strs set;

static const capt_opt options[] = {
    {"model", CAPT_O_STR, &model_name, "NAME", "captioner (see --list-models)", 0, 0, 0, 0},
    {"captions", CAPT_O_STR, &captions, "FILE", "caption records", 0, 0, 1, 0},
    {"vocab", CAPT_O_STR, &vocab_path, "FILE", "vocabulary", 0, 0, 1, 0},
    {"store", CAPT_O_STR, &store_path, "STORE", "feature store of the images", 0, 0, 1, 0},
    {"section", CAPT_O_STR, &section, "NAME", "section to read: global, grid or regions (default: the first of these there is)", 0, 0, 0, 0},
    {"images", CAPT_O_STR, &images, "DIR", "folder of the pictures, instead of a store", 0, 0, 1, 0},
    {"encoder", CAPT_O_STR, &encoder_path, "FILE", "encoder weights or checkpoint for --images, or the word random", 0, 0, 1, 0},
    {"encoder-config", CAPT_O_STR, &encoder_config, "FILE", "configuration of a random encoder, or keys laid over that of --encoder when it is tuned (JSON)", 0, 0, 1, 0},
    {"tune-encoder", CAPT_O_FLAG, &tune_encoder, NULL, "train the encoder too", 0, 0, 0, 0},
    {"tune-stages", CAPT_O_STR, &tune_stages, "N|LIST", "stages of the encoder to train: the last N and the head, or names (stem, block0.. or layer1.., head); default: all", 0, 0, 0, 0},
    {"recompute", CAPT_O_FLAG, &recompute, NULL, "keep no activations of the encoder's blocks but make them again: less memory, more time, the same bits", 0, 0, 1, 0},
    {"flip", CAPT_O_FLAG, &flip, NULL, "mirror every other picture in training", 0, 0, 0, 0},
    {"crop", CAPT_O_FLAG, &crop, NULL, "random resized crops in training", 0, 0, 0, 0},
    {"max-pixels", CAPT_O_INT, &max_pixels, "N", "refuse images of more pixels", 1, 4e9, 1, 0},
    {"tags", CAPT_O_STR, &tags_path, "FILE", "let the captioner read tags before the words: of these tag or caption records, else of the image's own record", 0, 0, 1, 0},
    {"out", CAPT_O_STR, &out, "CKPT", "checkpoint to write", 0, 0, 1, 0},
    {"init", CAPT_O_STR, &init, "FILE", "start from a checkpoint or from public GPT-2 weights", 0, 0, 1, 0},
    {"init-part", CAPT_O_CHOICE, &init_part, "all|decoder|embedding", "what --init gives: everything, all but the word embedding, or that alone", 0, 0, 0, 0},
    {"set", CAPT_O_STRS, &set, "KEY=VALUE", "a key of the captioner's configuration", 0, 0, 0, 0},
    {"train-split", CAPT_O_STR, &train_split, "LIST", "splits to train on; train takes restval along", 0, 0, 0, 0},
    {"val-split", CAPT_O_STR, &val_split, "LIST", "splits to validate on after each epoch", 0, 0, 0, 0},
    {"val-cider", CAPT_O_FLAG, &val_cider, NULL, "also caption the validation images (greedy) and log CIDEr-D", 0, 0, 0, 0},
    {"best", CAPT_O_FLAG, &best, NULL, "end with the weights of the best validation CIDEr-D, not the last ones (takes --val-cider along)", 0, 0, 0, 0},
    {"checks", CAPT_O_INT, &checks, "N", "stop when CIDEr-D has not risen for N validations (0: never; takes --best along)", 0, 1e6, 0, 0},
    {"ema", CAPT_O_NUM, &ema, "X", "validate and end with a running mean of the weights, of decay X (0: none)", 0, 0.999999, 0, 0},
    {"sampling-max", CAPT_O_NUM, &mix_max, "P", "scheduled sampling: largest share of words read that are the captioner's own", 0, 1, 0, 0},
    {"sampling-step", CAPT_O_NUM, &mix_step, "P", "scheduled sampling: rise of that share", 0, 1, 0, 0},
    {"sampling-every", CAPT_O_INT, &mix_every, "N", "scheduled sampling: epochs between rises", 1, 1e6, 0, 0},
    {"all-captions", CAPT_O_FLAG, &all_captions, NULL, "use all captions of an image each epoch instead of one at random", 0, 0, 0, 0},
    {"epochs", CAPT_O_INT, &epochs, "N", "passes over the images", 1, 1e6, 0, 0},
    {"max-updates", CAPT_O_INT, &max_updates, "N", "stop after N updates (0: all epochs); the schedule is that of all epochs", 0, 1e12, 0, 0},
    {"batch", CAPT_O_INT, &batch, "N", "images a micro-batch", 1, 1e6, 0, 0},
    {"accum", CAPT_O_INT, &accum, "N", "micro-batches an update", 1, 1e6, 0, 0},
    {"lr", CAPT_O_NUM, &lr, "X", "learning rate", 1e-12, 100, 0, 0},
    {"lr-end", CAPT_O_NUM, &lr_end, "X", "learning rate at the end of the schedule", 0, 100, 0, 0},
    {"encoder-lr", CAPT_O_NUM, &encoder_lr, "X", "the encoder's learning rate (0: the same)", 0, 100, 0, 0},
    {"schedule", CAPT_O_CHOICE, &schedule, CAPT_SCHEDULE_NAMES, "course of the learning rate after the warm-up", 0, 0, 0, 0},
    {"lr-epochs", CAPT_O_INT, &lr_epochs, "N", "--schedule step: epochs between falls of the learning rate", 1, 1e6, 0, 0},
    {"patience", CAPT_O_INT, &patience, "N", "--schedule plateau: validations without a new best before a fall (takes --val-cider along)", 1, 1e6, 0, 0},
    {"lr-factor", CAPT_O_NUM, &lr_factor, "X", "what a fall of --schedule step and plateau leaves of the learning rate", 1e-6, 1, 0, 0},
    {"warmup", CAPT_O_INT, &warmup, "N", "updates of linear warm-up (-1: one in fifty)", -1, 1e12, 0, 0},
    {"decay", CAPT_O_NUM, &decay, "X", "AdamW's weight decay of matrices", 0, 10, 0, 0},
    {"beta1", CAPT_O_NUM, &beta1, "X", "AdamW's first decay rate", 0, 0.99999, 0, 0},
    {"beta2", CAPT_O_NUM, &beta2, "X", "AdamW's second decay rate", 0, 0.9999999, 0, 0},
    {"epsilon", CAPT_O_NUM, &epsilon, "X", "AdamW's addend to the root of the second moment", 1e-30, 1, 0, 0},
    {"clip", CAPT_O_NUM, &clip, "X", "largest global norm of the gradient (0: any)", 0, 1e9, 0, 0},
    {"clip-value", CAPT_O_NUM, &clip_value, "X", "largest magnitude of a single value of the gradient, after --clip (0: any)", 0, 1e9, 0, 0},
    {"label-smoothing", CAPT_O_NUM, &smooth, "X", "share of the probability spread over all words", 0, 0.999, 0, 0},
    {"freeze-embedding", CAPT_O_FLAG, &freeze_embedding, NULL, "keep the word embedding as it is", 0, 0, 0, 0},
    {"compute", CAPT_O_CHOICE, &compute, CAPT_COMPUTE_NAMES, "what matrix products read", 0, 0, 0, 0},
    {"load-threads", CAPT_O_INT, &micro_threads, "N", "threads that load batches ahead", 1, 256, 1, 0},
    {"save-minutes", CAPT_O_INT, &save_minutes, "N", "minutes between writes of CKPT.part", 0, 1e6, 1, 0},
    {"resume", CAPT_O_FLAG, &resume, NULL, "continue CKPT.part, or start if there is none", 0, 0, 1, 0},
    {"list-models", CAPT_O_FLAG, &list_models, NULL, "print the captioners and encoders with their configuration keys, and exit", 0, 0, 1, 0},
    {0}};

enum { MOST_IMAGES = 1000000 }; /* an update */
enum { EMBEDDING = 2 };          /* of --init-part */

typedef struct job {
    capt_prog *p;
    capt_session s;
    prog_corpus of;
    capt_inlet in, plain; /* plain: the validation view of the same pictures, without augmentation */
    capt_model *m;
    capt_encoder *encoder; /* frozen one, or NULL: the model's */
    capt_dataset *data, *val_data;
    capt_ctx *c;
    capt_scorer *scorer;
    capt_run run;
} job;

static void print_keys(const capt_key *k)
{
    for (; k->name; k++)
        printf("    %-14s %-8s %s\n", k->name, k->def, k->doc);
}

static int print_models(void)
{
    printf("captioners (--model), with their keys (--set KEY=VALUE) and defaults:\n");
    for (int i = 0; capt_captioner_types[i]; i++) {
        printf("  %s: %s\n", capt_captioner_types[i]->name, capt_captioner_types[i]->doc);
        print_keys(capt_captioner_types[i]->keys);
    }
    printf("encoders (\"type\" of --encoder-config), with their keys and defaults:\n");
    for (int i = 0; capt_encoder_types[i]; i++) {
        printf("  %s: %s\n", capt_encoder_types[i]->name, capt_encoder_types[i]->doc);
        print_keys(capt_encoder_types[i]->keys);
    }
    return 0;
}

/* What --set gives for a key, or NULL. */
static const char *set_value(const char *key)
{
    size_t n = strlen(key);
    for (size_t i = set.n; i-- > 0;)
        if (!strncmp(set.v[i], key, n) && set.v[i][n] == '=')
            return set.v[i] + n + 1;
    return NULL;
}

/* Validation decides something. */
static int judged(void)
{
    return best || schedule == CAPT_SCHEDULE_PLATEAU;
}

static int check_usage(capt_prog *p)
{
    best |= checks > 0;
    val_cider |= judged();
    const char *const needed[][2] = {{"captions", captions}, {"vocab", vocab_path}, {"out", out}};
    for (int i = 0; i < 3; i++)
        if (!needed[i][1])
            return capt_prog_usage(p, "--%s is missing", needed[i][0]);
    if (!model_name)
        return capt_prog_usage(p, "--model is missing");
    if (!capt_captioner_find(model_name)) {
        capt_str known = {0};
        for (int i = 0; capt_captioner_types[i]; i++)
            capt_str_printf(&known, "%s%s", i ? ", " : "", capt_captioner_types[i]->name);
        capt_prog_usage(p, "--model %s: not one of %s", model_name, known.s);
        capt_str_free(&known);
        return -1;
    }
    if (!store_path == !images)
        return capt_prog_usage(p, "one of --store and --images is needed");
    if (images && !encoder_path && !init)
        return capt_prog_usage(p, "--images needs --encoder FILE or --encoder random");
    if (batch * accum > MOST_IMAGES)
        return capt_prog_usage(p, "--batch %lld --accum %lld: more than %d images an update", (long long)batch, (long long)accum, MOST_IMAGES);
    if (set_value("feature") || set_value("feature_dim"))
        return capt_prog_usage(p, "--set %s: that comes from the input (--section NAME chooses)", set_value("feature") ? "feature" : "feature_dim");
    const char *tokens = set_value("tag_tokens");
    if (tokens && !tags_path != !strtol(tokens, NULL, 10))
        return capt_prog_usage(p, tags_path ? "--tags: with --set tag_tokens=0 none would be read" : "--set tag_tokens goes with --tags FILE");
    if (tags_path && !strcmp(tags_path, "-") && !strcmp(captions, "-"))
        return capt_prog_usage(p, "--captions and --tags cannot both be standard input");
    if (store_path && (encoder_path || tune_encoder))
        return capt_prog_usage(p, "--encoder and --tune-encoder go with --images");
    if (!tune_encoder && (tune_stages || recompute))
        return capt_prog_usage(p, "--tune-stages and --recompute go with --tune-encoder");
    if (encoder_path && !strcmp(encoder_path, "random") && !tune_encoder)
        return capt_prog_usage(p, "a random encoder is of use only with --tune-encoder");
    return 0;
}

/* Where the pictures or features come from, before there is a model. rows: of a store where images differ; 0: as stored. */
static int open_inputs(job *j, json_t *about, int rows)
{
    capt_err *err = &j->p->err;
    if (store_path)
        return capt_inlet_store(&j->in, store_path, section, rows, err);
    capt_augment augment = {.flip = flip, .crop = crop};
    capt_jpeg_limits limits = {.max_pixels = max_pixels};
    capt_prep prep = j->in.prep;
    if (about && capt_prep_from_json(json_object_get(about, "preprocess"), &prep, "the model's preprocessing", err))
        return -1;
    if (capt_inlet_images(&j->in, images, &prep, &limits, &augment, err) || capt_inlet_images(&j->plain, images, &prep, &limits, NULL, err))
        return -1;
    return 0;
}

static int build_model(job *j, capt_vocab *vocab_take)
{
    capt_prog *p = j->p;
    capt_err *err = &p->err;
    const capt_captioner_type *type = capt_captioner_find(model_name);
    json_t *config = init ? capt_import_config(init, model_name, err) : json_object(), *enc = NULL;
    int random = encoder_path && !strcmp(encoder_path, "random"), rc = -1;
    if (!config)
        goto end;
    json_object_set_new(config, "type", json_string(model_name));
    if (capt_set_config(p, &set, type->keys, config))
        goto end;
    if (random) {
        enc = encoder_config ? capt_json_load(encoder_config, err) : json_pack("{s:s}", "type", "clip-vit");
        if (!enc)
            goto end;
    } else if (images && tune_encoder) {
        enc = capt_import_encoder_config(encoder_path ? encoder_path : init, err);
        json_t *over = enc && encoder_config ? capt_json_load(encoder_config, err) : NULL;
        if (!enc || (encoder_config && !over))
            goto end;
        json_object_update(enc, over);
        json_decref(over);
    } else if (images) {
        if (capt_inlet_encoder(&j->in, &j->s, encoder_path ? encoder_path : init, err))
            goto end;
        j->encoder = j->in.encoder;
    }
    int dim, rows;
    capt_encoder *probe = j->encoder;
    capt_params scratch;
    capt_params_init(&scratch, j->s.be, j->s.compute, 0);
    if (enc) { /* dimensions of an encoder that is to be part of the model */
        probe = capt_encoder_new(enc, &scratch, err);
        if (!probe) {
            capt_params_free(&scratch);
            goto end;
        }
    }
    const char *feature = section ? section : "global";
    if (store_path) {
        if (open_inputs(j, NULL, set_value("feature_rows") ? capt_config_int(config, "feature_rows") : 0)) {
            capt_params_free(&scratch);
            goto end;
        }
        feature = capt_source_section(j->in.source);
        dim = capt_source_dim(j->in.source);
        rows = capt_source_rows(j->in.source);
    } else {
        int grid = !strcmp(feature, "grid");
        dim = grid ? probe->grid_dim : probe->global_dim;
        rows = grid ? probe->grid_rows : 1;
        if (!j->in.about) {
            j->in.about = json_pack("{s:s, s:o}", "encoder", probe->type->name, "preprocess", capt_encoder_prep(probe));
        }
    }
    if (enc)
        capt_encoder_free(probe);
    capt_params_free(&scratch);
    json_object_set_new(config, "feature", json_string(feature));
    json_object_set_new(config, "feature_dim", json_integer(dim));
    json_object_set_new(config, "feature_rows", json_integer(rows));
    if (tags_path && !capt_config_int(config, "tag_tokens"))
        json_object_set_new(config, "tag_tokens", json_integer(CAPT_TAG_TOKENS));
    j->m = capt_model_new(config, vocab_take, enc, j->s.be, j->s.compute, (uint64_t)p->seed, err);
    vocab_take = NULL;
    if (!j->m)
        goto end;
    if (init) {
        int n = 0;
        if (capt_import_weights(j->m, init, init_part, &n, err))
            goto end;
        capt_prog_note(p, "%d tensors from %s", n, init);
        if (init_part != EMBEDDING && !enc && capt_inlet_follows(p, &j->in, init))
            goto end;
    }
    if (enc && !random)
        j->m->encoder->train_bn = 0; /* loaded statistics stay */
    if (enc && encoder_path && !random && capt_encoder_take_weights(j->m->encoder, encoder_path, err))
        goto end;
    memcpy(j->m->encoder_hash, j->in.encoder_hash, sizeof j->m->encoder_hash);
    j->m->store = json_incref(j->in.about);
    rc = images ? open_inputs(j, j->in.about, 0) : 0;
end:
    capt_vocab_free(vocab_take);
    json_decref(config);
    json_decref(enc);
    return rc;
}

/* Inputs of a run that goes on. */
static int reopen(job *j)
{
    capt_err *err = &j->p->err;
    if (j->m->encoder && !(encoder_path && !strcmp(encoder_path, "random")))
        j->m->encoder->train_bn = 0; /* as in build_model */
    if (store_path)
        return capt_inlet_store(&j->in, store_path, capt_section_of(j->m), capt_config_int(j->m->config, "feature_rows"), err);
    if (!j->m->encoder) {
        if (capt_inlet_encoder(&j->in, &j->s, encoder_path ? encoder_path : init, err))
            return -1;
        j->encoder = j->in.encoder;
    }
    return open_inputs(j, j->m->store, 0);
}

/* Share of the words read in an epoch that are the captioner's own */
static double mixing(int64_t epoch)
{
    double p = mix_step * (double)(epoch / mix_every);
    return p < mix_max ? p : mix_max;
}

static int one_update(job *j, const capt_batch *b, const capt_schedule *sch, capt_optim *opt, double *loss, double *norm)
{
    capt_err *err = &j->p->err;
    capt_run_state *st = &j->run.state;
    const capt_input *in = &b->image.in;
    int I = in->n_images, r = 0;
    *loss = 0;
    j->c->step = (uint64_t)st->step;
    j->c->training = 1;
    for (int from = 0; from < I; from += (int)batch) {
        int n = I - from < (int)batch ? I - from : (int)batch, r0 = r;
        while (r < b->R && b->row_image[r] < from + n)
            r++;
        int32_t *row_image = capt_alloc((size_t)(r - r0 + 1) * sizeof *row_image);
        for (int k = r0; k < r; k++)
            row_image[k - r0] = b->row_image[k] - from;
        capt_input part = *in;
        part.n_images = n;
        if (part.feat)
            part.feat += (size_t)from * (size_t)part.S * (size_t)part.D;
        if (part.len)
            part.len += from;
        if (part.pixels)
            part.pixels += (size_t)from * (size_t)part.px * (size_t)part.px * 3;
        size_t at = (size_t)r0 * (size_t)b->T;
        capt_rows rows = {r - r0, b->T, row_image, b->tokens + at, b->targets + at, b->weights + at, r0, from, b->R};
        double one = 0, p = mixing(st->epoch);
        int32_t *mixed = p > 0 ? capt_alloc((size_t)rows.R * (size_t)rows.T * sizeof *mixed) : NULL;
        int rc = mixed && capt_sampling_mix(j->scorer, &part, &rows, p, (uint64_t)j->p->seed, (uint64_t)st->step, mixed, err);
        if (mixed)
            rows.tokens = mixed;
        rc = rc || capt_xe_pass(j->c, j->m, j->encoder, &part, &rows, (double)b->n_words, smooth, 1, &one, err);
        free(row_image);
        free(mixed);
        if (rc)
            return capt_err_prefix(err, "update %lld", (long long)st->step + 1);
        *loss += one;
    }
    opt->t = st->adam_t;
    if (capt_optim_step(opt, &j->m->params, capt_schedule_lr(sch, st->step), norm, err))
        return capt_err_prefix(err, "update %lld", (long long)st->step + 1);
    st->adam_t = opt->t;
    st->step++;
    double warm = (1 + (double)st->step) / (10 + (double)st->step); /* at first the mean follows quickly */
    return ema > 0 ? capt_params_average(&j->m->params, warm < ema ? warm : ema, err) : 0;
}

/* Validation of the weights that the run would end with. */
static int validate(job *j, int64_t epoch)
{
    capt_err *err = &j->p->err;
    double loss = 0, cider = -1;
    char *sample = NULL;
    if (!j->of.val.n)
        return 0;
    if (capt_validate_loss(j->c, j->m, j->encoder, j->val_data, (int)batch, capt_prog_stopping, &loss, err))
        return -1;
    capt_source *src = j->plain.source ? j->plain.source : j->in.source;
    if (val_cider && capt_validate_cider(j->scorer, src, j->of.val.v, j->of.val.n, (int)batch, 1, capt_prog_stopping, &cider, &sample, err))
        return -1;
    json_t *rec = json_pack("{s:s, s:I, s:I, s:f}", "event", "val", "epoch", (json_int_t)epoch, "step", (json_int_t)j->run.state.step, "val_loss", loss);
    if (val_cider) {
        json_object_set_new(rec, "CIDEr", json_real(cider));
        json_object_set_new(rec, "samples", json_pack("[s]", sample));
        capt_prog_note(j->p, "epoch %lld: validation loss %.4f, CIDEr %.4f (greedy), \"%s\"", (long long)epoch, loss, cider, sample);
    } else {
        capt_prog_note(j->p, "epoch %lld: validation loss %.4f", (long long)epoch, loss);
    }
    free(sample);
    if (capt_prog_log(j->p, rec) || (judged() && capt_run_judge(&j->run, j->m, cider) < 0))
        return -1;
    if (schedule == CAPT_SCHEDULE_PLATEAU)
        capt_run_plateau(&j->run, patience, lr_factor);
    return 0;
}

/* validate with the weights that the run would end with */
static int checked(job *j, int64_t epoch)
{
    capt_params_swap(&j->m->params);
    int rc = validate(j, epoch);
    capt_params_swap(&j->m->params);
    return capt_run_checked(&j->run, j->m, rc);
}

static int stands_still(const capt_run_state *st)
{
    return checks && st->checks_since_best >= checks;
}

static int train(job *j)
{
    capt_prog *p = j->p;
    capt_run_state *st = &j->run.state;
    int whole = (int)(batch * accum);
    int64_t per_epoch = capt_dataset_batches(j->data, whole), total = per_epoch * epochs, end = max_updates && max_updates < total ? max_updates : total;
    capt_schedule sch = {.kind = (capt_schedule_kind)schedule, .lr = lr, .lr_end = lr_end, .warmup = warmup < 0 ? total / 50 : warmup, .total = total, .every = per_epoch * lr_epochs,
                         .width = j->m->hidden, .factor = lr_factor};
    capt_optim opt = {.beta1 = beta1, .beta2 = beta2, .eps = epsilon, .decay = decay, .clip = clip, .clip_value = clip_value};
    if (st->index > per_epoch)
        return capt_fail(&p->err, CAPT_EDATA, "%s: batch %lld of an epoch of %lld", j->run.part, (long long)st->index, (long long)per_epoch);
    capt_loader *l = capt_loader_new(j->data, whole, st->epoch, st->index, (int)micro_threads, &p->err);
    if (!l)
        return -1;
    capt_progress g;
    capt_progress_start(&g, p, "updates", end);
    int rc = 0;
    double t0 = capt_now();
    int64_t words = 0, images_done = 0;
    while (!rc && !stands_still(st) && (st->step < end || st->index == per_epoch)) {
        if (st->index == per_epoch) { /* an epoch is trained but not yet validated: here a stopped run goes on, too */
            rc = checked(j, st->epoch);
            if (rc)
                break;
            st->index = 0;
            st->epoch++;
            rc = capt_run_after_update(&j->run, j->m);
            continue;
        }
        capt_batch *b;
        double loss, norm;
        sch.scale = st->lr_scale;
        rc = capt_loader_next(l, &b, &p->err) || one_update(j, b, &sch, &opt, &loss, &norm) ? -1 : 0;
        if (rc)
            break;
        words += b->n_words;
        images_done += b->image.in.n_images;
        double seconds = capt_now() - t0;
        int64_t epoch = st->epoch;
        rc = capt_prog_log(p, json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "event", "step", "step", (json_int_t)st->step, "epoch", (json_int_t)epoch, "loss", loss, "lr",
                                        capt_schedule_lr(&sch, st->step - 1), "grad_norm", norm, "tokens_s", (double)words / seconds, "images_s", (double)images_done / seconds));
        char extra[96];
        snprintf(extra, sizeof extra, "loss %.3f, %.0f words/s", loss, (double)words / seconds);
        capt_progress_at(&g, st->step, extra);
        st->index++;
        rc = rc || capt_run_after_update(&j->run, j->m) ? -1 : 0;
    }
    capt_progress_end(&g);
    capt_loader_free(l);
    if (!rc && stands_still(st))
        capt_prog_note(p, "validation CIDEr has not risen for %lld epochs: stopped", (long long)checks);
    if (!rc) {
        capt_params_swap(&j->m->params);
        rc = best && j->of.val.n ? capt_run_best(&j->run, j->m) : 0;
    }
    if (!rc)
        capt_prog_note(p, "%lld updates, %.1f minutes, %.0f words/s, %.0f MB of memory at most", (long long)st->step, (capt_now() - t0) / 60, (double)words / (capt_now() - t0),
                       capt_run_memory());
    return rc;
}

static int prepare(job *j)
{
    capt_prog *p = j->p;
    capt_err *err = &p->err;
    capt_prog_catch();
    capt_vocab *v = capt_vocab_load(vocab_path, err);
    if (!v)
        return -1;
    json_t *inputs = prog_corpus_inputs(&j->of);
    json_object_set_new(inputs, "vocab", json_string(capt_vocab_hash(v)));
    if (capt_run_inputs(inputs, store_path, init, encoder_path, err)) {
        json_decref(inputs);
        capt_vocab_free(v);
        return -1;
    }
    if (capt_run_open(&j->run, p, out, resume, 60.0 * (double)save_minutes, inputs, &j->s, &j->m)) {
        capt_vocab_free(v);
        return -1;
    }
    int fresh = !j->m;
    if (fresh ? build_model(j, v) : (capt_vocab_free(v), reopen(j)))
        return -1;
    capt_model *m = j->m;
    if (capt_inlet_fits(j->p, &j->in, m, out) || prog_tags_fit(p, tags_path, m, fresh && init ? init : out))
        return -1;
    capt_source_read_tags(j->in.source, m->vocab, m->tag_t);
    if (j->plain.source)
        capt_source_read_tags(j->plain.source, m->vocab, m->tag_t);
    if (tags_path && (prog_tags_note(p, "training ", &j->of.train, m) || prog_tags_note(p, "validation ", &j->of.val, m)))
        return -1;
    if (fresh) {
        int from_file = encoder_path && strcmp(encoder_path, "random");
        if ((init && capt_checkpoint_past(init, m, err)) || (from_file && capt_checkpoint_past(encoder_path, m, err)))
            return -1;
        capt_run_trains_on(m, &j->of.train);
        capt_inlet_past(&j->in, m);
        if (m->tag_t)
            prog_tags_past(m, j->of.tags, j->of.records);
        if (capt_run_stamp(&j->run, m, &j->s))
            return -1;
    }
    if (capt_run_trains(p, m, tune_encoder, tune_stages, recompute, encoder_lr / lr))
        return -1;
    if (freeze_embedding && (capt_params_train(&m->params, "wte.weight", 0, err) || capt_params_train(&m->params, "words.weight", 0, err)))
        return -1;
    capt_dataset_opts d = {.words = m->max_t, .all_captions = all_captions, .seed = (uint64_t)p->seed};
    j->data = capt_dataset_new(j->of.train.v, j->of.train.n, m->vocab, j->in.source, &d, err);
    d.all_captions = 0;
    j->val_data = j->data ? capt_dataset_new(j->of.val.v, j->of.val.n, m->vocab, j->plain.source ? j->plain.source : j->in.source, &d, err) : NULL;
    if (!j->val_data)
        return -1;
    j->c = capt_ctx_new(j->s.be, j->s.compute, err);
    if (!j->c)
        return -1;
    j->c->seed = (uint64_t)p->seed;
    j->scorer = capt_scorer_model(m, j->encoder, err);
    if (!j->scorer)
        return -1;
    int64_t words, unknown = capt_dataset_unknown(j->data, &words);
    capt_prog_note(p, "%zu training images, %zu validation images, %lld words (%.2f%% unknown), %lld parameters (%lld of the encoder), %s %s on %s", j->of.train.n, j->of.val.n,
                   (long long)words, words ? 100.0 * (double)unknown / (double)words : 0.0, (long long)capt_params_count(&m->params, ""),
                   (long long)capt_params_count(&m->params, "encoder."), model_name, compute ? "bf16" : "f32", j->s.be->name);
    return 0;
}

static int run(capt_prog *p)
{
    if (list_models)
        return print_models();
    if (check_usage(p))
        return -1;
    job j = {.p = p};
    capt_inlet_init(&j.in);
    capt_inlet_init(&j.plain);
    capt_prog_catch_reading();
    int rc = capt_session_open(&j.s, p, compute) || prog_corpus_open(&j.of, p, captions, tags_path, train_split, val_split, 0) || prepare(&j) || train(&j) ||
                     capt_run_finish(&j.run, j.m)
                 ? -1
                 : 0;
    capt_scorer_free(j.scorer);
    capt_ctx_free(j.c);
    capt_dataset_free(j.data);
    capt_dataset_free(j.val_data);
    capt_model_free(j.m);
    capt_inlet_close(&j.plain);
    capt_inlet_close(&j.in);
    capt_run_close(&j.run);
    prog_corpus_close(&j.of);
    capt_session_close(&j.s);
    return rc;
}

static capt_prog prog = {.name = "capt-train", .synopsis = "--model NAME --captions FILE --vocab FILE (--store STORE | --images DIR --encoder FILE|random) --out CKPT [options]",
                         .about = "Trains a captioner by cross-entropy on caption records and image features, or on pictures together with their encoder.", .opts = options,
                         .groups = CAPT_G_DEVICE | CAPT_G_THREADS | CAPT_G_SEED | CAPT_G_LOG, .max_args = 0, .run = run};
CAPT_MAIN(prog)
