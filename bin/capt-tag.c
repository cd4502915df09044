/* capt-tag: caption records and a feature store in, a tagger's checkpoint out; or a checkpoint and a store in, tag records out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "common/corpus.h"
#include "common/run.h"
#include "common/tags.h"
#include "data/dataset.h"
#include "data/tagset.h"
#include "train/optim.h"
#include "train/schedule.h"
#include "train/tagger.h"

static const char *model_path, *captions, *store_path, *section, *out, *tags_path, *train_split = "train", *val_split = "val", *split = "all", *head = "linear";
static int resume, best, schedule = CAPT_SCHEDULE_COSINE, list_heads;
static int64_t epochs = 10, batch = 32, warmup = -1, load_threads = 2, save_minutes = 10, max_updates, checks, nouns, top_k;
static double lr = 1e-3, lr_end, decay = 0.01, beta1 = 0.9, beta2 = 0.999, clip = 1, threshold = -1;
static capt_strs set;

static const capt_opt options[] = {
    {"captions", CAPT_O_STR, &captions, "FILE", "train on these caption records", 0, 0, 1, 0},
    {"store", CAPT_O_STR, &store_path, "STORE", "feature store of the images", 0, 0, 1, 0},
    {"section", CAPT_O_STR, &section, "NAME", "section to read: global, grid or regions (default: the first of these there is)", 0, 0, 0, 0},
    {"out", CAPT_O_STR, &out, "FILE", "checkpoint to write, or tag records (default: standard output)", 0, 0, 1, 0},
    {"model", CAPT_O_STR, &model_path, "CKPT", "tag with this checkpoint instead of training one", 0, 0, 1, 0},
    {"head", CAPT_O_STR, &head, "NAME", "what is trained (see --list-heads)", 0, 0, 0, 0},
    {"set", CAPT_O_STRS, &set, "KEY=VALUE", "a key of its configuration", 0, 0, 0, 0},
    {"nouns", CAPT_O_INT, &nouns, "N", "tags are the nouns among the N most frequent content words of the training captions (0: the records' tags, or if there are none as with 200)", 0, 1e6, 0, 0},
    {"tags", CAPT_O_STR, &tags_path, "FILE", "train on the tags of these tag or caption records, else of the image's own record", 0, 0, 1, 0},
    {"train-split", CAPT_O_STR, &train_split, "LIST", "splits to train on; train takes restval along", 0, 0, 0, 0},
    {"val-split", CAPT_O_STR, &val_split, "LIST", "splits to validate on after each epoch", 0, 0, 0, 0},
    {"best", CAPT_O_FLAG, &best, NULL, "end with the weights of the best validation F1, not the last ones", 0, 0, 0, 0},
    {"checks", CAPT_O_INT, &checks, "N", "stop when F1 has not risen for N validations (0: never; takes --best along)", 0, 1e6, 0, 0},
    {"epochs", CAPT_O_INT, &epochs, "N", "passes over the images", 1, 1e6, 0, 0},
    {"max-updates", CAPT_O_INT, &max_updates, "N", "stop after N updates (0: all epochs); the schedule is that of all epochs", 0, 1e12, 0, 0},
    {"batch", CAPT_O_INT, &batch, "N", "images an update, or at a time", 1, 1e5, 0, 0},
    {"lr", CAPT_O_NUM, &lr, "X", "learning rate", 1e-12, 100, 0, 0},
    {"lr-end", CAPT_O_NUM, &lr_end, "X", "learning rate at the end of the schedule", 0, 100, 0, 0},
    {"schedule", CAPT_O_CHOICE, &schedule, "constant|linear|cosine", "course of the learning rate after the warm-up", 0, 0, 0, 0},
    {"warmup", CAPT_O_INT, &warmup, "N", "updates of linear warm-up (-1: one in fifty)", -1, 1e12, 0, 0},
    {"decay", CAPT_O_NUM, &decay, "X", "AdamW's weight decay of matrices", 0, 10, 0, 0},
    {"beta1", CAPT_O_NUM, &beta1, "X", "AdamW's first decay rate", 0, 0.99999, 0, 0},
    {"beta2", CAPT_O_NUM, &beta2, "X", "AdamW's second decay rate", 0, 0.9999999, 0, 0},
    {"clip", CAPT_O_NUM, &clip, "X", "largest global norm of the gradient (0: any)", 0, 1e9, 0, 0},
    {"threshold", CAPT_O_NUM, &threshold, "P", "give tags of at least this probability (-1: the checkpoint's, of the best F1 in validation)", -1, 1, 0, 0},
    {"top-k", CAPT_O_INT, &top_k, "N", "give the N likeliest tags at most (0: any number)", 0, 1e6, 0, 0},
    {"split", CAPT_O_STR, &split, "LIST", "with records: splits to tag; all: every record", 0, 0, 0, 0},
    {"load-threads", CAPT_O_INT, &load_threads, "N", "threads that load batches ahead", 1, 256, 1, 0},
    {"save-minutes", CAPT_O_INT, &save_minutes, "N", "minutes between writes of FILE.part", 0, 1e6, 1, 0},
    {"resume", CAPT_O_FLAG, &resume, NULL, "continue FILE.part, or start if there is none", 0, 0, 1, 0},
    {"list-heads", CAPT_O_FLAG, &list_heads, NULL, "print what can be trained with its configuration keys, and exit", 0, 0, 1, 0},
    {0}};

typedef struct job {
    capt_prog *p;
    capt_session s;
    prog_corpus of; /* when tagging, val are the images */
    capt_arena *a; /* the records trained on: without captions, with their tags */
    capt_inlet in;
    capt_model *m;
    char name[33]; /* hash of the weights that tag */
    capt_dataset *data;
    capt_ctx *c;
    capt_scorer *scorer;
    capt_run run;
} job;

static int has_tags(const capt_picked *recs)
{
    for (size_t i = 0; i < recs->n; i++)
        if (recs->v[i]->n_tags)
            return 1;
    return 0;
}

/* The vocabulary of tags; records get the tags to be trained on. */
static capt_vocab *choose_tags(job *j)
{
    const int64_t *count;
    int64_t among = nouns ? nouns : has_tags(&j->of.train) ? 0 : 200;
    capt_vocab *v = capt_tagset_choose(&(capt_tagged){j->of.train.v, j->of.train.n}, &(capt_tagged){j->of.val.v, j->of.val.n}, (int)among, j->a, &count, &j->p->err);
    if (!v)
        capt_err_prefix(&j->p->err, "%s", captions);
    int n = v ? capt_vocab_size(v) - CAPT_TAG_FIRST : 0;
    for (int i = 0; i < n; i++)
        capt_prog_detail(j->p, "tag %d: %s, %lld images", i + 1, capt_vocab_token(v, CAPT_TAG_FIRST + i), (long long)count[i]);
    if (v && among)
        capt_prog_note(j->p, "%d nouns among the %lld most frequent content words of the captions are tags", n, (long long)among);
    return v;
}

/* ---- training ---- */

static int build_model(job *j, capt_vocab *vocab_take)
{
    capt_prog *p = j->p;
    const capt_captioner_type *type = capt_tagger_find(head);
    json_t *config = json_pack("{s:s}", "type", head);
    int rc = -1;
    if (!capt_set_config(p, &set, type->keys, config) &&
        !capt_inlet_store(&j->in, store_path, section, json_object_get(config, "feature_rows") ? capt_config_int(config, "feature_rows") : 0, &p->err)) {
        json_object_set_new(config, "feature", json_string(capt_source_section(j->in.source)));
        json_object_set_new(config, "feature_dim", json_integer(capt_source_dim(j->in.source)));
        json_object_set_new(config, "feature_rows", json_integer(capt_source_rows(j->in.source)));
        j->m = capt_model_new(config, vocab_take, NULL, j->s.be, j->s.compute, (uint64_t)p->seed, &p->err);
        vocab_take = NULL;
        rc = j->m ? 0 : -1;
    }
    if (!rc) {
        memcpy(j->m->encoder_hash, j->in.encoder_hash, sizeof j->m->encoder_hash);
        j->m->store = json_incref(j->in.about);
    }
    capt_vocab_free(vocab_take);
    json_decref(config);
    return rc;
}

/* Quality over the validation records and, if loss is not NULL, their mean loss. */
static int measure(job *j, capt_tag_quality *q, double *loss)
{
    capt_err *err = &j->p->err;
    capt_loaded in = {0};
    capt_tag_counts counts = {0};
    capt_real *p = capt_alloc((size_t)batch * (size_t)capt_vocab_size(j->m->vocab) * sizeof *p);
    double sum = 0;
    int rc = 0, training = j->c->training;
    j->c->training = 0;
    for (size_t i = 0; i < j->of.val.n && !rc; i += (size_t)batch) {
        const capt_caption *const *recs = j->of.val.v + i;
        int n = j->of.val.n - i < (size_t)batch ? (int)(j->of.val.n - i) : (int)batch;
        double one = 0;
        if (capt_prog_stopping())
            rc = capt_fail(err, CAPT_ESTOP, "stopped after %zu of %zu validation images", i, j->of.val.n);
        rc = rc || capt_source_load(j->in.source, recs, n, NULL, &in, err) || capt_tagger_predict(j->c, j->m, j->scorer, &in.in, p, err) ||
                     (loss && capt_tagger_pass(j->c, j->m, &in.in, recs, 0, &one, err))
                 ? -1
                 : 0;
        if (!rc)
            capt_tag_count(&counts, j->m->vocab, p, recs, n);
        sum += one * n;
    }
    j->c->training = training;
    *q = capt_tag_best(&counts);
    if (loss && j->of.val.n)
        *loss = sum / (double)j->of.val.n;
    capt_loaded_free(&in);
    free(p);
    return rc;
}

static int validate(job *j, int64_t epoch)
{
    capt_tag_quality q;
    double loss;
    if (!j->of.val.n)
        return 0;
    if (measure(j, &q, &loss))
        return -1;
    capt_prog_note(j->p, "epoch %lld: validation loss %.4f, precision %.4f, recall %.4f, F1 %.4f (of probability %.2f or more)", (long long)epoch, loss, q.precision, q.recall, q.f1, q.threshold);
    if (capt_prog_log(j->p, json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f, s:f}", "event", "val", "epoch", (json_int_t)epoch, "step", (json_int_t)j->run.state.step, "val_loss", loss, "precision",
                                      q.precision, "recall", q.recall, "F1", q.f1, "threshold", q.threshold)))
        return -1;
    return best && capt_run_judge(&j->run, j->m, q.f1) < 0 ? -1 : 0;
}

/* The weights are final: the threshold that suits them goes into the configuration. */
static int settle(job *j)
{
    capt_tag_quality q;
    if (best && j->of.val.n && capt_run_best(&j->run, j->m))
        return -1;
    if (!j->of.val.n)
        return 0;
    int rc = measure(j, &q, NULL);
    if (rc)
        return capt_run_checked(&j->run, j->m, rc);
    json_object_set_new(j->m->config, "threshold", json_real(q.threshold));
    capt_prog_note(j->p, "%zu validation images: precision %.4f, recall %.4f, F1 %.4f with tags of probability %.2f or more", j->of.val.n, q.precision, q.recall, q.f1, q.threshold);
    return 0;
}

static int one_update(job *j, const capt_batch *b, const capt_schedule *sch, capt_optim *opt, double *loss, double *norm)
{
    capt_err *err = &j->p->err;
    capt_run_state *st = &j->run.state;
    j->c->step = (uint64_t)st->step;
    j->c->training = 1;
    j->c->row0 = j->c->image0 = 0;
    opt->t = st->adam_t;
    if (capt_tagger_pass(j->c, j->m, &b->image.in, b->recs, 1, loss, err) || capt_optim_step(opt, &j->m->params, capt_schedule_lr(sch, st->step), norm, err))
        return capt_err_prefix(err, "update %lld", (long long)st->step + 1);
    st->adam_t = opt->t;
    st->step++;
    return 0;
}

static int train(job *j)
{
    capt_prog *p = j->p;
    capt_run_state *st = &j->run.state;
    int64_t per_epoch = capt_dataset_batches(j->data, (int)batch), total = per_epoch * epochs, end = max_updates && max_updates < total ? max_updates : total;
    capt_schedule sch = {.kind = (capt_schedule_kind)schedule, .lr = lr, .lr_end = lr_end, .warmup = warmup < 0 ? total / 50 : warmup, .total = total};
    capt_optim opt = {.beta1 = beta1, .beta2 = beta2, .eps = 1e-8, .decay = decay, .clip = clip};
    if (st->index > per_epoch)
        return capt_fail(&p->err, CAPT_EDATA, "%s: batch %lld of an epoch of %lld", j->run.part, (long long)st->index, (long long)per_epoch);
    capt_loader *l = capt_loader_new(j->data, (int)batch, st->epoch, st->index, (int)load_threads, &p->err);
    if (!l)
        return -1;
    capt_progress g;
    capt_progress_start(&g, p, "updates", end);
    int rc = 0;
    double t0 = capt_now();
    int64_t done = 0;
    while (!rc && !(checks && st->checks_since_best >= checks) && (st->step < end || st->index == per_epoch)) {
        if (st->index == per_epoch) { /* an epoch is trained but not yet validated: here a stopped run goes on, too */
            rc = capt_run_checked(&j->run, j->m, validate(j, st->epoch));
            if (rc)
                break;
            st->index = 0;
            st->epoch++;
            rc = capt_run_after_update(&j->run, j->m);
            continue;
        }
        capt_batch *b;
        double loss, norm;
        rc = capt_loader_next(l, &b, &p->err) || one_update(j, b, &sch, &opt, &loss, &norm) ? -1 : 0;
        if (rc)
            break;
        done += b->image.in.n_images;
        double speed = (double)done / (capt_now() - t0);
        rc = capt_prog_log(p, json_pack("{s:s, s:I, s:I, s:f, s:f, s:f, s:f}", "event", "step", "step", (json_int_t)st->step, "epoch", (json_int_t)st->epoch, "loss", loss, "lr",
                                        capt_schedule_lr(&sch, st->step - 1), "grad_norm", norm, "images_s", speed));
        char extra[96];
        snprintf(extra, sizeof extra, "loss %.3f, %.0f images/s", loss, speed);
        capt_progress_at(&g, st->step, extra);
        st->index++;
        rc = rc || capt_run_after_update(&j->run, j->m) ? -1 : 0;
    }
    capt_progress_end(&g);
    capt_loader_free(l);
    return rc ? rc : settle(j);
}

static json_t *input_hashes(job *j, const capt_vocab *v)
{
    char hex[33];
    capt_split_hash(j->of.records->v, j->of.records->n, hex);
    json_t *inputs = json_pack("{s:s, s:s}", "split", hex, "vocab", capt_vocab_hash(v));
    prog_tags_input(inputs, &j->of.train, &j->of.val);
    return inputs;
}

static int prepare(job *j)
{
    capt_prog *p = j->p;
    capt_err *err = &p->err;
    capt_prog_catch();
    capt_vocab *v = choose_tags(j);
    if (!v)
        return -1;
    json_t *inputs = input_hashes(j, v);
    if (capt_run_inputs(inputs, store_path, NULL, NULL, err)) {
        json_decref(inputs);
        capt_vocab_free(v);
        return -1;
    }
    if (capt_run_open(&j->run, p, out, resume, 60.0 * (double)save_minutes, inputs, &j->s, &j->m)) {
        capt_vocab_free(v);
        return -1;
    }
    int fresh = !j->m;
    if (fresh ? build_model(j, v) : (capt_vocab_free(v), capt_inlet_store(&j->in, store_path, capt_section_of(j->m), capt_config_int(j->m->config, "feature_rows"), err)))
        return -1;
    if (capt_inlet_fits(p, &j->in, j->m, out))
        return -1;
    if (fresh) {
        capt_run_trains_on(j->m, &j->of.train);
        capt_inlet_past(&j->in, j->m);
        prog_tags_past(j->m, j->of.tags, j->of.records);
        if (capt_run_stamp(&j->run, j->m, &j->s))
            return -1;
    }
    if (capt_params_train(&j->m->params, "", 1, err))
        return -1;
    capt_dataset_opts d = {.words = 2, .captionless = 1, .seed = (uint64_t)p->seed};
    j->data = capt_dataset_new(j->of.train.v, j->of.train.n, j->m->vocab, j->in.source, &d, err);
    j->c = j->data ? capt_ctx_new(j->s.be, j->s.compute, err) : NULL;
    j->scorer = j->c ? capt_scorer_model(j->m, NULL, err) : NULL;
    if (!j->scorer)
        return -1;
    j->c->seed = (uint64_t)p->seed;
    int64_t n = 0;
    for (size_t i = 0; i < j->of.train.n; i++)
        n += j->of.train.v[i]->n_tags;
    capt_prog_note(p, "%zu training images, %zu validation images, %d tags, %.2f an image, %lld parameters, %s on %s", j->of.train.n, j->of.val.n, capt_vocab_size(j->m->vocab) - CAPT_TAG_FIRST,
                   (double)n / (double)j->of.train.n, (long long)capt_params_count(&j->m->params, ""), head, j->s.be->name);
    return 0;
}

static int run_training(job *j)
{
    return prog_corpus_open(&j->of, j->p, captions, tags_path, train_split, val_split, 1) || prepare(j) || train(j) || capt_run_finish(&j->run, j->m) ? -1 : 0;
}

/* ---- applying ---- */

/* Every image of the store, as records. */
static int all_of_store(job *j)
{
    capt_err *err = &j->p->err;
    capt_store_iter *it = capt_store_iter_new(j->in.store, err);
    CAPT_VEC(const capt_caption *) v = {0};
    capt_id id;
    int got = it ? 1 : -1;
    while (got > 0 && (got = capt_store_iter_next(it, &id, NULL, err)) > 0) {
        capt_caption *rec = capt_arena_alloc(j->a, sizeof *rec);
        *rec = (capt_caption){.id = capt_id_dup(&id, j->a)};
        capt_vec_push(&v, rec);
    }
    if (it)
        capt_store_iter_free(it);
    j->of.val = (capt_picked){v.v, v.n};
    return got;
}

static int write_tags(const job *j, const capt_caption *rec, const capt_real *p, double least, int32_t *ids, capt_str *line, FILE *f)
{
    const capt_vocab *v = j->m->vocab;
    int n = capt_tags_choose(p, capt_vocab_size(v), least, (int)(top_k && top_k < CAPT_TAGS_MAX ? top_k : CAPT_TAGS_MAX), ids);
    json_t *o = json_object(), *tags = json_array(), *scores = json_array();
    char key[CAPT_ID_KEY];
    for (int k = 0; k < n; k++) {
        json_array_append_new(tags, json_string(capt_vocab_token(v, ids[k])));
        json_array_append_new(scores, json_real(round((double)p[ids[k]] * 1e6) / 1e6));
    }
    json_object_set_new(o, "id", capt_id_json(&rec->id));
    json_object_set_new(o, "tags", tags);
    json_object_set_new(o, "scores", scores);
    json_object_set_new(o, "model", json_string(j->name));
    json_object_set_new(o, "trained_on", json_boolean(capt_idset_has(j->m->trained_on, key, capt_id_key(&rec->id, key))));
    capt_str_clear(line);
    int rc = capt_json_line(o, line);
    json_decref(o);
    if (rc)
        return capt_fail(&j->p->err, CAPT_EDATA, "tags could not be written as JSON");
    return fwrite(line->s, 1, line->n, f) == line->n ? 0 : capt_fail_errno(&j->p->err, "%s", capt_output_name(out));
}

static int tag_all(job *j, FILE *f)
{
    capt_prog *p = j->p;
    size_t V = (size_t)capt_vocab_size(j->m->vocab);
    capt_loaded in = {0};
    capt_str line = {0};
    capt_real *prob = capt_alloc((size_t)batch * V * sizeof *prob);
    int32_t *ids = capt_alloc(V * sizeof *ids);
    double least = threshold >= 0 ? threshold : capt_config_num(j->m->config, "threshold");
    capt_progress g;
    int rc = 0;
    capt_progress_start(&g, p, "images", (int64_t)j->of.val.n);
    for (size_t i = 0; i < j->of.val.n && !rc; i += (size_t)batch) {
        int n = j->of.val.n - i < (size_t)batch ? (int)(j->of.val.n - i) : (int)batch;
        if (capt_prog_stopping())
            rc = capt_fail(&p->err, CAPT_ESTOP, "stopped after %zu of %zu images", i, j->of.val.n);
        rc = rc || capt_source_load(j->in.source, j->of.val.v + i, n, NULL, &in, &p->err) || capt_tagger_predict(j->c, j->m, j->scorer, &in.in, prob, &p->err) ? -1 : 0;
        for (int k = 0; k < n && !rc; k++)
            rc = write_tags(j, j->of.val.v[i + (size_t)k], prob + (size_t)k * V, least, ids, &line, f);
        capt_progress_at(&g, (int64_t)i + n, NULL);
    }
    capt_progress_end(&g);
    capt_loaded_free(&in);
    capt_str_free(&line);
    free(prob);
    free(ids);
    return rc;
}

static int run_tagging(job *j)
{
    capt_prog *p = j->p;
    capt_err *err = &p->err;
    j->m = capt_checkpoint_load(model_path, j->s.be, j->s.compute, NULL, err);
    if (!j->m)
        return -1;
    if (!capt_tagger_find(j->m->type->name))
        return capt_fail(err, CAPT_EDATA, "%s is a captioner (%s), not a tagger", model_path, j->m->type->name);
    if (capt_inlet_store(&j->in, store_path, capt_section_of(j->m), capt_config_int(j->m->config, "feature_rows"), err) || capt_inlet_fits(p, &j->in, j->m, model_path))
        return -1;
    capt_params_hash(&j->m->params, "", j->name);
    if (p->argc ? capt_captions_read((const char *const *)p->argv, (size_t)p->argc, NULL, &j->of.records, err) : all_of_store(j))
        return -1;
    if (p->argc && capt_pick_some(p, j->of.records, split, &j->of.val))
        return -1;
    j->c = capt_ctx_new(j->s.be, j->s.compute, err);
    j->scorer = j->c ? capt_scorer_model(j->m, NULL, err) : NULL;
    capt_prog_catch();
    capt_out *o = j->scorer ? capt_out_open(out, err) : NULL;
    if (!o)
        return -1;
    if (tag_all(j, capt_out_file(o))) {
        capt_out_abandon(o);
        return -1;
    }
    return capt_out_finish(o, err);
}

static int print_heads(void)
{
    printf("taggers (--head), with their keys (--set KEY=VALUE) and defaults:\n");
    for (int i = 0; capt_tagger_types[i]; i++) {
        printf("  %s: %s\n", capt_tagger_types[i]->name, capt_tagger_types[i]->doc);
        for (const capt_key *k = capt_tagger_types[i]->keys; k->name; k++)
            printf("    %-14s %-8s %s\n", k->name, k->def, k->doc);
    }
    return 0;
}

static int check_usage(capt_prog *p)
{
    best |= checks > 0;
    if (!store_path)
        return capt_prog_usage(p, "--store is missing");
    if (!model_path == !captions)
        return capt_prog_usage(p, "one of --captions, to train, and --model, to tag, is needed");
    if (model_path && (resume || tags_path))
        return capt_prog_usage(p, "--resume and --tags go with --captions");
    if (captions && p->argc)
        return capt_prog_usage(p, "operands go with --model");
    if (captions && !out)
        return capt_prog_usage(p, "--out is missing");
    if (tags_path && !strcmp(tags_path, "-") && !strcmp(captions, "-"))
        return capt_prog_usage(p, "--captions and --tags cannot both be standard input");
    for (size_t i = 0; i < set.n; i++)
        if (!strncmp(set.v[i], "tag_tokens=", 11) || !strncmp(set.v[i], "feature=", 8) || !strncmp(set.v[i], "feature_dim=", 12))
            return capt_prog_usage(p, "--set %s: that is not for you to choose", set.v[i]);
    if (captions && !capt_tagger_find(head)) {
        capt_str known = {0};
        for (int i = 0; capt_tagger_types[i]; i++)
            capt_str_printf(&known, "%s%s", i ? ", " : "", capt_tagger_types[i]->name);
        capt_prog_usage(p, "--head %s: not one of %s", head, known.s);
        capt_str_free(&known);
        return -1;
    }
    return 0;
}

static int run(capt_prog *p)
{
    if (list_heads)
        return print_heads();
    if (check_usage(p))
        return -1;
    if (model_path && !out)
        out = "-";
    job j = {.p = p, .a = capt_arena_new(1 << 20)};
    capt_inlet_init(&j.in);
    capt_prog_catch_reading();
    int rc = capt_session_open(&j.s, p, 0) || (model_path ? run_tagging : run_training)(&j) ? -1 : 0;
    capt_scorer_free(j.scorer);
    capt_ctx_free(j.c);
    capt_dataset_free(j.data);
    capt_model_free(j.m);
    capt_inlet_close(&j.in);
    capt_run_close(&j.run);
    prog_corpus_close(&j.of);
    capt_arena_free(j.a);
    capt_session_close(&j.s);
    return rc;
}

static capt_prog prog = {.name = "capt-tag", .synopsis = "(--captions FILE --out CKPT | --model CKPT) --store STORE [options] [FILE...]",
                         .about = "Trains a tagger on stored features, or tags images with one.", .opts = options,
                         .groups = CAPT_G_DEVICE | CAPT_G_THREADS | CAPT_G_SEED | CAPT_G_LOG, .max_args = -1, .run = run};
CAPT_MAIN(prog)
