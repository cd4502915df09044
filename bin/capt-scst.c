/* capt-scst: a captioner's checkpoint in, the same captioner optimised for CIDEr-D out (self-critical sequence training). */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/mem.h"
#include "common/clip.h"
#include "common/corpus.h"
#include "common/run.h"
#include "common/tags.h"
#include "data/dataset.h"
#include "metric/bleu.h"
#include "metric/cider.h"
#include "model/import.h"
#include "text/ptb.h"
#include "train/optim.h"
#include "train/schedule.h"
#include "train/scst.h"
#include "train/validate.h"

static const char *init, *captions, *store_path, *images, *encoder_path, *out, *df_path, *train_split = "train", *val_split = "val", *tune_stages, *tags_path, *clip_images, *clip_weights, *clip_bpe;
static int tune_encoder, recompute, resume, compute, schedule = CAPT_SCHEDULE_CONSTANT, baseline, no_eos, compat;
static int64_t epochs = 5, max_updates, batch = 10, samples = 5, warmup, load_threads = 2, save_minutes = 10, checks = 3, lr_epochs = 3, patience = 3;
static double lr = 5e-6, lr_end, encoder_lr, decay, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, clip = 1, clip_value, temperature = 1, lr_factor = 0.5, cider_weight = 1, bleu_weight, clipscore_weight;

static const capt_opt options[] = {
    {"init", CAPT_O_STR, &init, "CKPT", "checkpoint to start from", 0, 0, 1, 1},
    {"captions", CAPT_O_STR, &captions, "FILE", "caption records", 0, 0, 1, 1},
    {"store", CAPT_O_STR, &store_path, "STORE", "feature store of the images", 0, 0, 1, 0},
    {"images", CAPT_O_STR, &images, "DIR", "folder of the pictures, instead of a store", 0, 0, 1, 0},
    {"encoder", CAPT_O_STR, &encoder_path, "FILE", "encoder of --images (default: the checkpoint's)", 0, 0, 1, 0},
    {"tune-encoder", CAPT_O_FLAG, &tune_encoder, NULL, "train the checkpoint's encoder too", 0, 0, 0, 0},
    {"tune-stages", CAPT_O_STR, &tune_stages, "N|LIST", "stages of the encoder to train: the last N and the head, or names (stem, block0.. or layer1.., head); default: all", 0, 0, 0, 0},
    {"recompute", CAPT_O_FLAG, &recompute, NULL, "keep no activations of the encoder's blocks but make them again: less memory, more time, the same bits", 0, 0, 1, 0},
    {"tags", CAPT_O_STR, &tags_path, "FILE", "tag or caption records whose tags a captioner trained with tags reads; else those of the image's own record", 0, 0, 1, 0},
    {"out", CAPT_O_STR, &out, "CKPT", "checkpoint to write", 0, 0, 1, 1},
    {"df", CAPT_O_STR, &df_path, "FILE", "document frequencies (coco-score --write-df); default: counted over the training captions", 0, 0, 1, 0},
    {"no-eos", CAPT_O_FLAG, &no_eos, NULL, "leave the end of the sentence out of the reward", 0, 0, 0, 0},
    {"cider-weight", CAPT_O_NUM, &cider_weight, "X", "share of CIDEr-D in the reward", 0, 1000, 0, 0},
    {"bleu-weight", CAPT_O_NUM, &bleu_weight, "X", "share of the caption's own BLEU-4 in the reward", 0, 1000, 0, 0},
    {"clipscore-weight", CAPT_O_NUM, &clipscore_weight, "X", "share of CLIPScore in the reward", 0, 1000, 0, 0},
    {"clip-weights", CAPT_O_STR, &clip_weights, "FILE", "CLIPScore: CLIP weights with both towers (safetensors, public names)", 0, 0, 1, 0},
    {"clip-bpe", CAPT_O_STR, &clip_bpe, "FILE", "CLIPScore: CLIP's merges, bpe_simple_vocab_16e6.txt.gz", 0, 0, 1, 0},
    {"clip-images", CAPT_O_STR, &clip_images, "DIR", "CLIPScore: folder of the pictures (default: that of --images)", 0, 0, 1, 0},
    {"compat", CAPT_O_CHOICE, &compat, "none|m2", "do as other code did: m2 is the meshed-memory transformer's (see the manual)", 0, 0, 0, 0},
    {"samples", CAPT_O_INT, &samples, "N", "captions drawn an image", 1, 1000, 0, 0},
    {"temperature", CAPT_O_NUM, &temperature, "X", "temperature of the samples", 1e-3, 1e3, 0, 0},
    {"baseline", CAPT_O_CHOICE, &baseline, CAPT_BASELINE_NAMES, "reward subtracted: mean of the other samples (loo), the greedy caption's, or the mean of a beam of --samples captions, which then are the samples", 0, 0, 0, 0},
    {"train-split", CAPT_O_STR, &train_split, "LIST", "splits to train on; train takes restval along", 0, 0, 0, 0},
    {"val-split", CAPT_O_STR, &val_split, "LIST", "splits to validate on after each epoch (greedy CIDEr-D)", 0, 0, 0, 0},
    {"checks", CAPT_O_INT, &checks, "N", "stop, and go back to the best weights, when validation fell N times running (0: never)", 0, 1000, 0, 0},
    {"epochs", CAPT_O_INT, &epochs, "N", "passes over the images", 1, 1e6, 0, 0},
    {"max-updates", CAPT_O_INT, &max_updates, "N", "stop after N updates (0: all epochs)", 0, 1e12, 0, 0},
    {"batch", CAPT_O_INT, &batch, "N", "images an update", 1, 1e6, 0, 0},
    {"lr", CAPT_O_NUM, &lr, "X", "learning rate", 1e-12, 100, 0, 0},
    {"lr-end", CAPT_O_NUM, &lr_end, "X", "learning rate at the end of the schedule", 0, 100, 0, 0},
    {"encoder-lr", CAPT_O_NUM, &encoder_lr, "X", "the encoder's learning rate (0: the same)", 0, 100, 0, 0},
    {"schedule", CAPT_O_CHOICE, &schedule, CAPT_SCHEDULE_NAMES, "course of the learning rate after the warm-up", 0, 0, 0, 0},
    {"lr-epochs", CAPT_O_INT, &lr_epochs, "N", "--schedule step: epochs between falls of the learning rate", 1, 1e6, 0, 0},
    {"patience", CAPT_O_INT, &patience, "N", "--schedule plateau: validations without a new best before a fall", 1, 1e6, 0, 0},
    {"lr-factor", CAPT_O_NUM, &lr_factor, "X", "what a fall of --schedule step and plateau leaves of the learning rate", 1e-6, 1, 0, 0},
    {"warmup", CAPT_O_INT, &warmup, "N", "updates of linear warm-up", 0, 1e12, 0, 0},
    {"decay", CAPT_O_NUM, &decay, "X", "AdamW's weight decay of matrices", 0, 10, 0, 0},
    {"beta1", CAPT_O_NUM, &beta1, "X", "AdamW's first decay rate", 0, 0.99999, 0, 0},
    {"beta2", CAPT_O_NUM, &beta2, "X", "AdamW's second decay rate", 0, 0.9999999, 0, 0},
    {"epsilon", CAPT_O_NUM, &epsilon, "X", "AdamW's addend to the root of the second moment", 1e-30, 1, 0, 0},
    {"clip", CAPT_O_NUM, &clip, "X", "largest global norm of the gradient (0: any)", 0, 1e9, 0, 0},
    {"clip-value", CAPT_O_NUM, &clip_value, "X", "largest magnitude of a single value of the gradient, after --clip (0: any)", 0, 1e9, 0, 0},
    {"compute", CAPT_O_CHOICE, &compute, CAPT_COMPUTE_NAMES, "what matrix products read", 0, 0, 0, 0},
    {"load-threads", CAPT_O_INT, &load_threads, "N", "threads that load batches ahead", 1, 256, 1, 0},
    {"save-minutes", CAPT_O_INT, &save_minutes, "N", "minutes between writes of CKPT.part", 0, 1e6, 1, 0},
    {"resume", CAPT_O_FLAG, &resume, NULL, "continue CKPT.part, or start if there is none", 0, 0, 1, 0},
    {0}};

enum { M2 = 1 }; /* compat: beam-mean, no end in the reward, document frequencies of captions, a loss over all steps whether words or not, dropout in the gradient's pass */

typedef struct job {
    capt_prog *p;
    capt_session s;
    prog_corpus of;
    capt_inlet in;
    capt_model *m;
    capt_dataset *data;
    capt_ctx *c;
    capt_scorer *scorer;
    capt_df *df;
    capt_cider_refs **refs; /* (train.n), by place in train */
    capt_bleu_refs **bleu;  /* the same, or NULL */
    prog_clip *clip;        /* of the training images, or NULL */
    capt_idmap *place;
    capt_cider_scratch *scratch;
    capt_str line;
    const capt_batch *batch;
    capt_run run;
} job;

/* Token lines of all training captions, document frequencies and reference vectors. */
static int prepare_reward(job *j)
{
    capt_err *err = &j->p->err;
    size_t n = j->of.train.n, total = 0;
    for (size_t i = 0; i < n; i++)
        total += (size_t)j->of.train.v[i]->n_captions;
    capt_arena *a = capt_arena_new(1 << 20);
    const char **text = capt_alloc((total + 1) * sizeof *text), **lines = NULL;
    size_t *at = capt_alloc((n + 1) * sizeof *at), k = 0;
    char source[33];
    j->place = capt_idmap_new();
    for (size_t i = 0; i < n; i++) {
        at[i] = k;
        capt_idmap_add(j->place, &j->of.train.v[i]->id, (int64_t)i);
        for (int c = 0; c < j->of.train.v[i]->n_captions; c++)
            text[k++] = j->of.train.v[i]->captions[c];
    }
    at[n] = k;
    int rc = capt_ptb_lines(text, total, a, &lines, NULL, err);
    if (!rc) {
        capt_refs_hash(j->of.train.v, n, lines, at, source);
        if (!df_path && compat == M2) { /* each caption counts as an image */
            size_t *each = capt_alloc((total + 1) * sizeof *each);
            for (size_t i = 0; i <= total; i++)
                each[i] = i;
            j->df = capt_df_new(lines, each, total, !no_eos, CAPT_PTB_ID, source, j->s.pool, err);
            free(each);
        } else {
            j->df = df_path ? capt_df_open(df_path, err) : capt_df_new(lines, at, n, !no_eos, CAPT_PTB_ID, source, j->s.pool, err);
        }
    }
    if (!rc && j->df && df_path) {
        if (strcmp(capt_df_tokenizer(j->df), CAPT_PTB_ID))
            rc = capt_fail(err, CAPT_EDATA, "%s was made with the tokenizer %s, the reward uses %s", df_path, capt_df_tokenizer(j->df), CAPT_PTB_ID);
        else if (capt_df_eos(j->df) != !no_eos)
            rc = capt_fail(err, CAPT_EDATA, "%s counts sentences %s their end, the reward %s it", df_path, capt_df_eos(j->df) ? "with" : "without", no_eos ? "leaves out" : "takes in");
        else if (strcmp(capt_df_source(j->df), source)) /* the frequencies of a larger set are a choice, those of another one a mistake */
            capt_prog_warn(j->p, "%s was counted over other references (%.8s) than these training captions (%.8s)", df_path, capt_df_source(j->df), source);
    }
    rc = rc || !j->df;
    if (!rc) {
        j->refs = capt_alloc((n + 1) * sizeof *j->refs);
        j->scratch = capt_cider_scratch_new();
        for (size_t i = 0; i < n; i++)
            j->refs[i] = capt_cider_refs_new(j->df, lines + at[i], at[i + 1] - at[i]);
        j->bleu = bleu_weight ? capt_alloc((n + 1) * sizeof *j->bleu) : NULL;
        for (size_t i = 0; j->bleu && i < n; i++)
            j->bleu[i] = capt_bleu_refs_new(lines + at[i], at[i + 1] - at[i], !no_eos);
    }
    free(text);
    free(at);
    capt_arena_free(a);
    return rc ? -1 : 0;
}

/* CIDEr-D of one caption, mixed with BLEU-4 when asked for. A caption cut before its end must not get the end's reward: its line then lacks it. */
static double reward_by_words(job *j, size_t i, const capt_rated *c)
{
    capt_err err = CAPT_ERR_INIT;
    capt_str_clear(&j->line);
    if (capt_ptb_words(c->caption, strlen(c->caption), &j->line, &err))
        return NAN;
    const char *line = j->line.s ? j->line.s : "";
    double r = cider_weight * capt_cider_score_end(j->df, j->refs[i], line, c->ended, j->scratch);
    return j->bleu ? r + bleu_weight * capt_bleu_score(j->bleu[i], line, c->ended) : r;
}

/* Of all captions of an update, so that CLIP reads them together */
static int reward(void *arg, const capt_rated *c, int n, double *r, capt_err *err)
{
    job *j = arg;
    size_t *at = capt_alloc(((size_t)n + 1) * sizeof *at);
    const char **text = capt_alloc(((size_t)n + 1) * sizeof *text);
    double *clips = capt_alloc(((size_t)n + 1) * sizeof *clips);
    for (int i = 0; i < n; i++) {
        int64_t place = capt_idmap_get(j->place, &j->batch->recs[c[i].image]->id);
        assert(place >= 0);
        at[i] = (size_t)place;
        text[i] = c[i].caption;
        r[i] = reward_by_words(j, at[i], &c[i]);
    }
    int rc = j->clip ? prog_clip_rate(j->clip, at, text, (size_t)n, clips) : 0; /* its error is the program's */
    for (int i = 0; i < n && j->clip && !rc; i++)
        r[i] += clipscore_weight * clips[i];
    free(at);
    free(text);
    free(clips);
    return rc;
}

static int open_inputs(job *j)
{
    capt_err *err = &j->p->err;
    capt_model *m = j->m;
    if (store_path)
        return capt_inlet_store(&j->in, store_path, capt_section_of(m), capt_config_int(m->config, "feature_rows"), err) || capt_inlet_fits(j->p, &j->in, m, init);
    capt_prep prep;
    if (encoder_path || !m->encoder) {
        if (!encoder_path)
            return capt_fail(err, CAPT_EDATA, "%s holds no encoder: give --encoder FILE", init);
        if (capt_inlet_encoder(&j->in, &j->s, encoder_path, err))
            return -1;
        prep = j->in.prep;
    } else if (capt_prep_from_json(json_object_get(m->store, "preprocess"), &prep, init, err)) {
        return -1;
    }
    return capt_inlet_images(&j->in, images, &prep, NULL, NULL, err) || capt_inlet_fits(j->p, &j->in, m, init);
}

static int validate(job *j, int64_t epoch, double *cider)
{
    char *sample = NULL;
    *cider = 0;
    if (!j->of.val.n)
        return 0;
    if (capt_validate_cider(j->scorer, j->in.source, j->of.val.v, j->of.val.n, 32, 1, capt_prog_stopping, cider, &sample, &j->p->err))
        return -1;
    char when[32] = "before training";
    if (epoch >= 0)
        snprintf(when, sizeof when, "epoch %lld", (long long)epoch);
    capt_prog_note(j->p, "%s: validation CIDEr %.4f (greedy), \"%s\"", when, *cider, sample);
    int rc = capt_prog_log(j->p, json_pack("{s:s, s:I, s:I, s:f, s:[s]}", "event", "val", "epoch", (json_int_t)epoch, "step", (json_int_t)j->run.state.step, "CIDEr", *cider, "samples",
                                           sample));
    free(sample);
    return rc;
}

static int one_update(job *j, const capt_batch *b, const capt_schedule *sch, capt_optim *opt, capt_scst_stats *st, double *norm)
{
    capt_err *err = &j->p->err;
    capt_run_state *rs = &j->run.state;
    const capt_scst_opts o = {(int)samples, 0, (capt_baseline)baseline, temperature, (uint64_t)j->p->seed, .fixed_steps = compat == M2};
    uint64_t *hash = capt_alloc((size_t)b->image.in.n_images * sizeof *hash);
    for (int i = 0; i < b->image.in.n_images; i++)
        hash[i] = capt_id_hash(&b->recs[i]->id);
    j->batch = b;
    j->c->step = (uint64_t)rs->step;
    j->c->training = compat == M2; /* else samples and gradient see the same network: no dropout */
    int rc = capt_scst_pass(j->c, j->m, j->in.encoder, j->scorer, &b->image.in, hash, rs->step, &o, reward, j, st, err);
    free(hash);
    opt->t = rs->adam_t;
    if (rc || capt_optim_step(opt, &j->m->params, capt_schedule_lr(sch, rs->step), norm, err))
        return capt_err_prefix(err, "update %lld", (long long)rs->step + 1);
    rs->adam_t = opt->t;
    rs->step++;
    return 0;
}

/* After a validation. 1: it has not risen `checks` times running, and the best weights, kept in OUT.best.part, are back. */
static int judge(job *j, double cider)
{
    capt_run_state *st = &j->run.state;
    if (!j->of.val.n || (!checks && schedule != CAPT_SCHEDULE_PLATEAU))
        return 0;
    int better = capt_run_judge(&j->run, j->m, cider);
    capt_run_plateau(&j->run, patience, lr_factor);
    if (better)
        return better < 0 ? -1 : 0;
    if (!checks || st->checks_since_best < checks)
        return 0;
    if (capt_run_best(&j->run, j->m))
        return -1;
    capt_prog_warn(j->p, "validation CIDEr has not risen for %lld epochs: stopped, back to the weights of %.4f", (long long)checks, st->best);
    return 1;
}

static int train(job *j)
{
    capt_prog *p = j->p;
    capt_run_state *st = &j->run.state;
    int64_t per_epoch = capt_dataset_batches(j->data, (int)batch), total = per_epoch * epochs, end = max_updates && max_updates < total ? max_updates : total;
    capt_schedule sch = {.kind = (capt_schedule_kind)schedule, .lr = lr, .lr_end = lr_end, .warmup = warmup, .total = total, .every = per_epoch * lr_epochs, .width = j->m->hidden,
                         .factor = lr_factor, .scale = st->lr_scale};
    capt_optim opt = {.beta1 = beta1, .beta2 = beta2, .eps = epsilon, .decay = decay, .clip = clip, .clip_value = clip_value};
    double cider = 0;
    int rc = 0, stop = 0;
    if (st->step == 0)
        rc = capt_run_checked(&j->run, j->m, validate(j, -1, &cider)) || judge(j, cider) < 0 ? -1 : 0;
    if (!rc && st->index > per_epoch)
        rc = capt_fail(&p->err, CAPT_EDATA, "%s: batch %lld of an epoch of %lld", j->run.part, (long long)st->index, (long long)per_epoch);
    capt_loader *l = rc ? NULL : capt_loader_new(j->data, (int)batch, st->epoch, st->index, (int)load_threads, &p->err);
    capt_progress g;
    capt_progress_start(&g, p, "updates", end);
    double t0 = capt_now();
    int64_t words = 0, done = 0;
    rc = rc || !l ? -1 : 0;
    while (!rc && !stop && (st->step < end || st->index == per_epoch)) {
        if (st->index == per_epoch) { /* an epoch is trained but not yet judged: here a stopped run goes on, too */
            rc = capt_run_checked(&j->run, j->m, validate(j, st->epoch, &cider));
            if (rc)
                break;
            st->index = 0;
            st->epoch++;
            stop = judge(j, cider);
            rc = stop < 0 || (!stop && capt_run_after_update(&j->run, j->m)) ? -1 : 0;
            continue;
        }
        capt_batch *b;
        capt_scst_stats s;
        double norm = 0;
        sch.scale = st->lr_scale;
        rc = capt_loader_next(l, &b, &p->err) || one_update(j, b, &sch, &opt, &s, &norm) ? -1 : 0;
        if (rc)
            break;
        words += s.words;
        done += b->image.in.n_images;
        double seconds = capt_now() - t0;
        int64_t epoch = st->epoch;
        rc = capt_prog_log(p, json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f, s:f}", "event", "step", "step", (json_int_t)st->step, "epoch", (json_int_t)epoch, "loss",
                                        s.loss, "lr", capt_schedule_lr(&sch, st->step - 1), "grad_norm", norm, "reward", s.reward, "advantage_sd", s.advantage_sd, "length", s.length,
                                        "eos_rate", s.eos_rate, "tokens_s", (double)words / seconds, "images_s", (double)done / seconds));
        char extra[96];
        snprintf(extra, sizeof extra, "reward %.3f, %.0f words/s", s.reward, (double)words / seconds);
        capt_progress_at(&g, st->step, extra);
        st->index++;
        rc = rc || capt_run_after_update(&j->run, j->m) ? -1 : 0;
    }
    capt_progress_end(&g);
    capt_loader_free(l);
    if (!rc)
        capt_prog_note(p, "%lld updates, %.1f minutes, %.0f MB of memory at most", (long long)st->step, (capt_now() - t0) / 60, capt_run_memory());
    return rc;
}

static int prepare(job *j)
{
    capt_prog *p = j->p;
    capt_err *err = &p->err;
    capt_prog_catch();
    json_t *inputs = prog_corpus_inputs(&j->of);
    char df[33];
    int bad = capt_run_inputs(inputs, store_path, init, encoder_path, err) || (df_path && capt_hash_file(df_path, df, err));
    if (df_path && !bad)
        json_object_set_new(inputs, "df", json_string(df));
    if (bad) {
        json_decref(inputs);
        return -1;
    }
    if (clipscore_weight > 0) {
        j->clip = prog_clip_open(p, j->s.pool, clip_images ? clip_images : images, clip_weights, clip_bpe, j->of.train.v, j->of.train.n, 0);
        if (!j->clip) {
            json_decref(inputs);
            return -1;
        }
        json_object_set_new(inputs, "clip", json_string(prog_clip_id(j->clip)));
    }
    if (capt_run_open(&j->run, p, out, resume, 60.0 * (double)save_minutes, inputs, &j->s, &j->m))
        return -1;
    int fresh = !j->m;
    if (fresh)
        j->m = capt_checkpoint_load(init, j->s.be, j->s.compute, NULL, err);
    if (!j->m)
        return -1;
    capt_model *m = j->m;
    if (capt_is_captioner(p, m, init))
        return -1;
    if (tune_encoder && !m->encoder)
        return capt_fail(err, CAPT_EDATA, "%s holds no encoder to tune", init);
    if (prog_tags_fit(p, tags_path, m, init) || open_inputs(j) || prepare_reward(j))
        return -1;
    capt_source_read_tags(j->in.source, m->vocab, m->tag_t);
    if (tags_path && (prog_tags_note(p, "training ", &j->of.train, m) || prog_tags_note(p, "validation ", &j->of.val, m)))
        return -1;
    if (fresh) {
        if (encoder_path && capt_checkpoint_past(encoder_path, m, err))
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
    capt_dataset_opts d = {.words = m->max_t, .seed = (uint64_t)p->seed};
    j->data = capt_dataset_new(j->of.train.v, j->of.train.n, m->vocab, j->in.source, &d, err);
    j->c = j->data ? capt_ctx_new(j->s.be, j->s.compute, err) : NULL;
    j->scorer = j->c ? capt_scorer_model(m, j->in.encoder, err) : NULL;
    if (!j->scorer)
        return -1;
    j->c->seed = (uint64_t)p->seed;
    char scale[64] = "";
    if (j->clip)
        snprintf(scale, sizeof scale, ", and %g times CLIPScore (clip:%.8s)", clipscore_weight, prog_clip_id(j->clip));
    capt_prog_note(p, "%zu training images, %zu validation images; reward CIDEr-D over %llu images' captions, the end of a sentence %s%s", j->of.train.n, j->of.val.n,
                   (unsigned long long)capt_df_images(j->df), no_eos ? "left out" : "counted", scale);
    return 0;
}

static int run(capt_prog *p)
{
    if (compat == M2) {
        baseline = CAPT_BASELINE_BEAM_MEAN;
        no_eos = 1;
    }
    if (!store_path == !images)
        return capt_prog_usage(p, "one of --store and --images is needed");
    if (tags_path && !strcmp(tags_path, "-") && !strcmp(captions, "-"))
        return capt_prog_usage(p, "--captions and --tags cannot both be standard input");
    if (store_path && (encoder_path || tune_encoder))
        return capt_prog_usage(p, "--encoder and --tune-encoder go with --images");
    if (!tune_encoder && (tune_stages || recompute))
        return capt_prog_usage(p, "--tune-stages and --recompute go with --tune-encoder");
    if (encoder_path && tune_encoder)
        return capt_prog_usage(p, "--tune-encoder trains the checkpoint's own encoder: leave --encoder out");
    if (baseline != CAPT_BASELINE_GREEDY && samples < 2)
        return capt_prog_usage(p, "--baseline %s needs two samples or more", baseline == CAPT_BASELINE_LOO ? "loo" : "beam-mean");
    if (clipscore_weight > 0 ? !clip_weights || !clip_bpe || !(clip_images || images) : clip_weights || clip_bpe || clip_images)
        return capt_prog_usage(p, "CLIPScore needs --clipscore-weight X, --clip-weights FILE, --clip-bpe FILE and pictures (--clip-images DIR or --images DIR)");
    job j = {.p = p};
    capt_inlet_init(&j.in);
    capt_prog_catch_reading();
    int rc = capt_session_open(&j.s, p, compute) || prog_corpus_open(&j.of, p, captions, tags_path, train_split, val_split, 0) || prepare(&j) || train(&j) ||
                     capt_run_finish(&j.run, j.m)
                 ? -1
                 : 0;
    for (size_t i = 0; j.refs && i < j.of.train.n; i++)
        capt_cider_refs_free(j.refs[i]);
    for (size_t i = 0; j.bleu && i < j.of.train.n; i++)
        capt_bleu_refs_free(j.bleu[i]);
    free(j.refs);
    free(j.bleu);
    capt_cider_scratch_free(j.scratch);
    prog_clip_close(j.clip);
    capt_idmap_free(j.place);
    capt_df_free(j.df);
    capt_str_free(&j.line);
    capt_scorer_free(j.scorer);
    capt_ctx_free(j.c);
    capt_dataset_free(j.data);
    capt_model_free(j.m);
    capt_inlet_close(&j.in);
    capt_run_close(&j.run);
    prog_corpus_close(&j.of);
    capt_session_close(&j.s);
    return rc;
}

static capt_prog prog = {.name = "capt-scst", .synopsis = "--init CKPT --captions FILE (--store STORE | --images DIR) --out CKPT [options]",
                         .about = "Optimises a trained captioner for CIDEr-D by self-critical sequence training.", .opts = options,
                         .groups = CAPT_G_DEVICE | CAPT_G_THREADS | CAPT_G_SEED | CAPT_G_LOG, .max_args = 0, .run = run};
CAPT_MAIN(prog)
