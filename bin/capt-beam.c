/* capt-beam: checkpoints and image inputs in, hypothesis records out. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "common/pictures.h"
#include "common/session.h"
#include "common/tags.h"
#include "data/ahead.h"
#include "metric/health.h"

static capt_strs models, stores, encoders, require, forbid, repeatable;
static const char *images, *weights, *split = "test", *shard, *coco, *out_path = "-", *length_penalty = "none", *tags_path;
static int pictures, as_text, greedy, ensemble, compute, allow_unk, no_repeat, exif_rotate, no_bad_endings, logprobs, attention;
static int64_t beam = 5, sample, nbest = 1, batch = 32, max_words, max_pixels = CAPT_MAX_PIXELS, min_words, block_ngram, groups = 1, top_k;
static double temperature = 1, diversity = 0.5, ngram_penalty, top_p = 1;

static const capt_opt options[] = {
    {"model", CAPT_O_STRS, &models, "CKPT", "checkpoint; several make an ensemble", 0, 0, 1, 1},
    {"store", CAPT_O_STRS, &stores, "STORE", "feature store: one for all models or one a model, in order", 0, 0, 1, 0},
    {"images", CAPT_O_STR, &images, "DIR", "folder of the pictures, instead of a store", 0, 0, 1, 0},
    {"pictures", CAPT_O_FLAG, &pictures, NULL, "operands are JPEG files or folders of them, instead of records", 0, 0, 1, 0},
    {"encoder", CAPT_O_STRS, &encoders, "FILE", "encoder of --images or --pictures: one for all models or one a model (default: the one in the checkpoint)", 0, 0, 1, 0},
    {"tags", CAPT_O_STR, &tags_path, "FILE", "tag or caption records whose tags a captioner trained with tags reads; else those of the image's own record", 0, 0, 1, 0},
    {"split", CAPT_O_STR, &split, "LIST", "splits to caption; all: every record; records without a split are in each", 0, 0, 0, 0},
    {"shard", CAPT_O_STR, &shard, "I/N", "only records I, I+N, I+2N, ... (from 0)", 0, 0, 1, 0},
    {"beam", CAPT_O_INT, &beam, "N", "beam width", 1, 1000, 0, 0},
    {"greedy", CAPT_O_FLAG, &greedy, NULL, "take the best word each time: --beam 1", 0, 0, 0, 0},
    {"sample", CAPT_O_INT, &sample, "N", "draw N captions an image instead of searching", 0, 10000, 0, 0},
    {"temperature", CAPT_O_NUM, &temperature, "X", "temperature of --sample", 1e-3, 1e3, 0, 0},
    {"nbest", CAPT_O_INT, &nbest, "N", "captions kept an image, at most the beam width", 1, 1000, 0, 0},
    {"ensemble", CAPT_O_CHOICE, &ensemble, "prob|logprob", "what an ensemble averages", 0, 0, 0, 0},
    {"ensemble-weights", CAPT_O_STR, &weights, "X,..", "weights of the models (default: equal)", 0, 0, 0, 0},
    {"length-penalty", CAPT_O_STR, &length_penalty, "P", "rank captions by score / L^X, L = words + 1, with the number X; none: 0, avg: 1; wu:X: by score / ((5+L)/6)^X", 0, 0, 0, 0},
    {"groups", CAPT_O_INT, &groups, "N", "diverse beam search: N groups that share the beam", 1, 1000, 0, 0},
    {"diversity", CAPT_O_NUM, &diversity, "X", "what a word costs a group for each group before it that chose the word at the same step", 0, 1e6, 0, 0},
    {"top-k", CAPT_O_INT, &top_k, "N", "--sample from the N likeliest words only (0: all)", 0, 1e9, 0, 0},
    {"top-p", CAPT_O_NUM, &top_p, "P", "--sample from the fewest words that have the probability P together", 0, 1, 0, 0},
    {"block-ngram", CAPT_O_INT, &block_ngram, "N", "no N words in a row twice in a caption (0: they may)", 0, 100, 0, 0},
    {"repeatable", CAPT_O_STRS, &repeatable, "WORD", "a word that --block-ngram lets end N words twice", 0, 0, 0, 0},
    {"ngram-penalty", CAPT_O_NUM, &ngram_penalty, "X", "let --block-ngram cost X for each time before, instead of forbidding", 0, 1e6, 0, 0},
    {"no-bad-endings", CAPT_O_FLAG, &no_bad_endings, NULL, "never end after an article, a preposition and the like (the list that coco-score counts)", 0, 0, 0, 0},
    {"min-words", CAPT_O_INT, &min_words, "N", "shortest caption", 0, 10000, 0, 0},
    {"require", CAPT_O_STRS, &require, "WORD", "a word, or several in a row, that every caption must have, beside its record's \"require\"", 0, 0, 0, 0},
    {"forbid", CAPT_O_STRS, &forbid, "WORD", "a word that no caption may have, beside its record's \"forbid\"", 0, 0, 0, 0},
    {"logprobs", CAPT_O_FLAG, &logprobs, NULL, "also write the caption's tokens and their log-probabilities", 0, 0, 0, 0},
    {"attention", CAPT_O_FLAG, &attention, NULL, "and the weights of the image's feature rows as each was chosen, where the captioner attends to rows", 0, 0, 0, 0},
    {"no-repeat", CAPT_O_FLAG, &no_repeat, NULL, "never the same word twice running", 0, 0, 0, 0},
    {"allow-unk", CAPT_O_FLAG, &allow_unk, NULL, "let the unknown word be written", 0, 0, 0, 0},
    {"max-words", CAPT_O_INT, &max_words, "N", "longest caption in steps, EOS included (0: the model's)", 0, 10000, 0, 0},
    {"batch", CAPT_O_INT, &batch, "N", "images at a time", 1, 10000, 1, 0},
    {"compute", CAPT_O_CHOICE, &compute, CAPT_COMPUTE_NAMES, "what matrix products read", 0, 0, 0, 0},
    {"max-pixels", CAPT_O_INT, &max_pixels, "N", "refuse images of more pixels", 1, 4e9, 1, 0},
    {"exif-rotate", CAPT_O_FLAG, &exif_rotate, NULL, "turn pictures as their EXIF orientation says", 0, 0, 0, 0},
    {"out", CAPT_O_STR, &out_path, "FILE", "hypothesis records", 0, 0, 1, 0},
    {"text", CAPT_O_FLAG, &as_text, NULL, "write the captions alone, a line each", 0, 0, 1, 0},
    {"coco", CAPT_O_STR, &coco, "FILE", "also write the official results file", 0, 0, 1, 0},
    {0}};

typedef CAPT_VEC(int32_t) ids;

/* A model's name being made: the hash of its weights */
typedef struct naming {
    const capt_model *m; /* NULL: not begun */
    capt_tasks task;
    char hex[33];
} naming;

typedef struct job {
    capt_prog *p;
    capt_session s;
    capt_model **m;
    capt_inlet *in;   /* one a model */
    size_t n;
    capt_scorer *scorer;
    capt_captions *records, *tags; /* tags: of --tags */
    capt_picked picked;
    capt_arena *names; /* of --pictures */
    char name[33];    /* weights' hash: of the model, or of the members' hashes */
    capt_out *out;
    json_t *results;  /* official results, or NULL */
    capt_str line;
    int64_t lacking;  /* captions without all required words */
    ids not_last, repeatable; /* of words that make a bad ending, and of those of --repeatable */
} job;

static int bad_record(void *arg, capt_err *err)
{
    return capt_prog_bad(arg, err);
}

static void make_name(void *arg, int64_t task, int worker)
{
    naming *n = arg;
    capt_params_hash(&n->m->params, "", n->hex);
}

static int open_one(job *j, size_t i, naming *name)
{
    capt_err *err = &j->p->err;
    const char *path = models.v[i];
    j->m[i] = capt_checkpoint_load(path, j->s.be, j->s.compute, NULL, err);
    if (!j->m[i])
        return -1;
    capt_model *m = j->m[i];
    capt_inlet *in = &j->in[i];
    if (capt_is_captioner(j->p, m, path))
        return -1;
    name->m = m;
    capt_pool_begin(j->s.pool, &name->task, 1, make_name, name); /* while the encoder is loaded */
    if (stores.n) {
        if (capt_inlet_store(in, stores.v[stores.n > 1 ? i : 0], capt_section_of(m), capt_config_int(m->config, "feature_rows"), err))
            return -1;
    } else {
        capt_prep prep;
        if (encoders.n || !m->encoder) {
            if (!encoders.n)
                return capt_fail(err, CAPT_EDATA, "%s holds no encoder: give --encoder FILE", path);
            const char *file = encoders.v[encoders.n > 1 ? i : 0];
            if (capt_inlet_encoder(in, &j->s, file, err) || capt_checkpoint_past(file, m, err))
                return -1;
            prep = in->prep;
        } else if (capt_prep_from_json(json_object_get(m->store, "preprocess"), &prep, path, err)) {
            return -1;
        }
        capt_jpeg_limits limits = {.max_pixels = max_pixels, .exif_rotate = exif_rotate};
        if (capt_inlet_images(in, images, &prep, &limits, NULL, err))
            return -1;
    }
    capt_source_read_tags(in->source, m->vocab, m->tag_t);
    return capt_inlet_fits(j->p, in, m, path) || prog_tags_fit(j->p, tags_path, m, path) ? -1 : 0;
}

static int parse_weights(job *j, double *w)
{
    const char *s = weights;
    for (size_t i = 0; i < j->n; i++) {
        char *end;
        w[i] = strtod(s, &end);
        if (end == s || !isfinite(w[i]) || w[i] < 0 || (*end && *end != ',') || (!*end && i + 1 < j->n) || (*end && i + 1 == j->n))
            return capt_prog_usage(j->p, "--ensemble-weights %s: want one number of 0 or more for each --model, of which there %s %zu", weights, j->n == 1 ? "is" : "are", j->n);
        s = end + 1;
    }
    return 0;
}

static int open_models(job *j)
{
    capt_err *err = &j->p->err;
    int rc = 0;
    naming *name = capt_alloc(j->n * sizeof *name);
    for (size_t i = 0; i < j->n && !rc; i++)
        rc = open_one(j, i, &name[i]);
    capt_hasher *h = capt_hasher_new();
    for (size_t i = 0; i < j->n && name[i].m; i++) {
        capt_pool_wait(j->s.pool, &name[i].task);
        capt_hasher_add(h, name[i].hex, 32);
    }
    capt_hasher_end(h, j->name);
    if (j->n == 1)
        memcpy(j->name, name[0].hex, 33);
    free(name);
    if (rc)
        return -1;
    capt_scorer **member = capt_alloc(j->n * sizeof *member);
    double *w = capt_alloc(j->n * sizeof *w);
    for (size_t i = 0; i < j->n && !rc; i++) {
        member[i] = capt_scorer_model(j->m[i], j->in[i].encoder, err);
        rc = !member[i];
    }
    rc = rc || (weights && parse_weights(j, w));
    if (rc) {
        for (size_t i = 0; i < j->n; i++)
            capt_scorer_free(member[i]);
    } else {
        j->scorer = j->n == 1 ? member[0] : capt_scorer_ensemble_take(member, (int)j->n, weights ? w : NULL, ensemble, err);
        rc = !j->scorer;
    }
    free(member);
    free(w);
    return rc ? -1 : 0;
}

/* By a model, or by the tagger whose tags a model reads */
static int seen_in_training(const job *j, const capt_caption *rec)
{
    char key[CAPT_ID_KEY];
    size_t n = capt_id_key(&rec->id, key);
    for (size_t i = 0; i < j->n; i++)
        if (capt_idset_has(j->m[i]->trained_on, key, n) || (j->m[i]->tag_t && rec->trained_on == 1))
            return 1;
    return 0;
}

/* What the feature rows of model i are, as capt-records(5) has it; NULL: not known. */
static const char *looks_at(const job *j, size_t i)
{
    const char *section = capt_section_of(j->m[i]);
    const json_t *about = j->in[i].about ? j->in[i].about : j->m[i]->store;
    const char *mode = json_string_value(json_object_get(json_object_get(about, "preprocess"), "mode"));
    if (!strcmp(section, "grid"))
        return mode && !strcmp(mode, "clip") ? "crop" : "picture";
    return !strcmp(section, "regions") ? "regions" : NULL;
}

/* The boxes of the image's regions as shares of its picture, where a store tells both. NULL: it does not. */
static json_t *boxes_in(const capt_inlet *in, const capt_id *id)
{
    capt_err err = CAPT_ERR_INIT;
    capt_feature f;
    if (!in->store || capt_store_get(in->store, id, &f, &err) != 1)
        return NULL;
    const capt_section *boxes = capt_feature_section(&f, "boxes"), *size = capt_feature_section(&f, "size"), *regions = capt_feature_section(&f, "regions");
    if (!boxes || !size || !regions || boxes->dim != 4 || boxes->rows != regions->rows || size->rows != 1 || size->dim != 2)
        return NULL;
    float *x = capt_alloc(4 * (size_t)boxes->rows * sizeof *x), whole[2];
    capt_feature_to_f32(boxes, x);
    capt_feature_to_f32(size, whole);
    json_t *a = whole[0] > 0 && whole[1] > 0 ? json_array() : NULL;
    for (int i = 0; a && i < 4 * boxes->rows; i++)
        json_array_append_new(a, json_real(round(1e5 * (double)x[i] / (double)whole[i % 2]) / 1e5));
    free(x);
    return a;
}

/* Where all models look at the same regions: their boxes */
static json_t *boxes_of(const job *j, const capt_id *id)
{
    json_t *a = boxes_in(&j->in[0], id);
    for (size_t i = 1; i < j->n && a; i++) {
        json_t *b = boxes_in(&j->in[i], id);
        if (!b || !json_equal(a, b)) {
            json_decref(a);
            a = NULL;
        }
        json_decref(b);
    }
    return a;
}

/* The tokens of f with what is known of each. */
static void put_detail(const job *j, const capt_id *id, json_t *o, const capt_found *f)
{
    const capt_vocab *v = j->scorer->vocab;
    json_t *tokens = json_array(), *p = json_array(), *a = f->attention ? json_array() : NULL;
    for (int t = 0; t < f->n + f->ended; t++) {
        json_array_append_new(tokens, json_string(capt_vocab_token(v, t < f->n ? f->ids[t] : capt_vocab_eos(v))));
        json_array_append_new(p, json_real(f->word[t]));
        for (int s = 0; a && s < f->attention_rows; s++)
            json_array_append_new(a, json_real(round((double)f->attention[t * f->attention_rows + s] * 1e5) / 1e5));
    }
    json_object_set_new(o, "tokens", tokens);
    json_object_set_new(o, "token_logprob", p);
    if (a) {
        json_object_set_new(o, "attention", a);
        json_object_set_new(o, "attention_rows", json_integer(f->attention_rows));
        const char *on = looks_at(j, 0);
        for (size_t i = 1; i < j->n && on; i++)
            on = looks_at(j, i) && !strcmp(looks_at(j, i), on) ? on : NULL;
        if (on)
            json_object_set_new(o, "attention_on", json_string(on));
        json_t *boxes = on && !strcmp(on, "regions") ? boxes_of(j, id) : NULL;
        if (boxes)
            json_object_set_new(o, "attention_boxes", boxes);
    }
}

static int write_record(job *j, const capt_caption *rec, const capt_found *f, int n)
{
    json_t *o = json_object(), *cands = n > 1 ? json_array() : NULL;
    json_object_set_new(o, "id", capt_id_json(&rec->id));
    for (int k = 0; k < n; k++) {
        if (!f[k].ids)
            continue;
        char *text = capt_found_text(j->scorer->vocab, &f[k]);
        if (k == 0) {
            json_object_set_new(o, "caption", json_string(text));
            json_object_set_new(o, "logprob", json_real(f[k].logprob));
            json_object_set_new(o, "model", json_string(j->name));
            json_object_set_new(o, "trained_on", json_boolean(seen_in_training(j, rec)));
            if (f[k].word)
                put_detail(j, &rec->id, o, &f[k]);
            if (j->results)
                json_array_append_new(j->results, json_pack("{s:o, s:s}", "image_id", capt_id_json(&rec->id), "caption", text));
        }
        if (cands)
            json_array_append_new(cands, json_pack("{s:s, s:f}", "caption", text, "logprob", f[k].logprob));
        free(text);
    }
    if (cands)
        json_object_set_new(o, "candidates", cands);
    capt_str_clear(&j->line);
    int rc = 0;
    if (as_text)
        capt_str_printf(&j->line, "%s\n", json_string_value(json_object_get(o, "caption")) ? json_string_value(json_object_get(o, "caption")) : "");
    else
        rc = capt_json_line(o, &j->line);
    json_decref(o);
    if (rc)
        return capt_fail(&j->p->err, CAPT_EDATA, "a caption could not be written as JSON");
    if (fwrite(j->line.s, 1, j->line.n, capt_out_file(j->out)) != j->line.n || (!strcmp(out_path, "-") && fflush(capt_out_file(j->out))))
        return capt_fail_errno(&j->p->err, "%s", capt_output_name(out_path));
    return 0; /* on standard output a caption is seen as soon as it is there */
}

/* What kept records of b from being loaded, in their order; a bad one is dropped under --max-bad. The good ones close ranks in b->rec. */
static int sort_out(job *j, capt_ahead_batch *b)
{
    int kept = 0;
    for (int i = 0; i < b->n; i++) {
        if (!b->err[i].code)
            b->rec[kept++] = b->rec[i];
        else if (capt_prog_bad(j->p, &b->err[i]))
            return capt_fail(&j->p->err, b->err[i].code, "%s", b->err[i].text);
    }
    return 0;
}

/* --length-penalty: 0, or -1 when it is none. */
static int read_penalty(double *x, int *wu)
{
    const char *s = length_penalty;
    char *end = NULL;
    *wu = !strncmp(s, "wu:", 3);
    *x = !strcmp(s, "avg");
    if (*x || !strcmp(s, "none"))
        return 0;
    *x = strtod(s + 3 * *wu, &end);
    return end == s + 3 * *wu || *end || !(*x >= 0 && *x <= 10) ? -1 : 0;
}

/* The ids of a word, alone or with a subword vocabulary's mark of a blank before. */
static void find_word(const job *j, const char *word, ids *to)
{
    for (int mark = 0; mark < 2; mark++) {
        capt_str text = {0};
        capt_str_printf(&text, "%s%s", mark ? "\u0120" : "", word);
        int id = capt_vocab_find(j->scorer->vocab, text.s);
        if (id >= 0)
            capt_vec_push(to, id);
        capt_str_free(&text);
    }
}

/* The words required and forbidden of an image: its record's and everybody's. *c NULL: there are none. */
static int read_words(job *j, const capt_caption *rec, capt_constrain **c)
{
    size_t nr = require.n + (size_t)rec->n_require, nf = forbid.n + (size_t)rec->n_forbid;
    *c = NULL;
    if (!nr && !nf)
        return 0;
    char key[CAPT_ID_KEY];
    capt_id_key(&rec->id, key);
    const char **v = capt_alloc((nr + nf) * sizeof *v);
    size_t n = 0;
    for (size_t i = 0; i < nr; i++)
        v[n++] = i < require.n ? require.v[i] : rec->require[i - require.n];
    for (size_t i = 0; i < nf; i++)
        v[n++] = i < forbid.n ? forbid.v[i] : rec->forbid[i - forbid.n];
    *c = capt_constrain_new(j->scorer->vocab, v, (int)nr, v + nr, (int)nf, &j->p->err);
    free(v);
    return *c ? 0 : capt_err_prefix(&j->p->err, "image %s", key);
}

/* capt_beam_run by the images' own words */
static int search(job *j, const capt_input *in, capt_beam_opts *o, const capt_caption *const *recs, int k, capt_found *found)
{
    capt_constrain **words = capt_alloc((size_t)k * sizeof *words);
    int rc = 0;
    o->words = NULL;
    for (int i = 0; i < k && !rc; i++) {
        rc = read_words(j, recs[i], &words[i]);
        if (words[i])
            o->words = (const capt_constrain *const *)words;
    }
    rc = rc || capt_beam_run(j->scorer, in, o, found, &j->p->err) ? -1 : 0;
    for (int i = 0; i < k; i++) {
        const capt_found *f = &found[i * o->nbest];
        j->lacking += !rc && words[i] && capt_constrain_covered(words[i], f->ids, f->n) < capt_constrain_all(words[i]);
        capt_constrain_free(words[i]);
    }
    free(words);
    return rc;
}

/* Captions of the k good records of b, which are in[0..n-1] for the models. */
static int caption_batch(job *j, const capt_ahead_batch *b, const capt_input *in, capt_beam_opts *o, const capt_sample_opts *draws, capt_found *found)
{
    capt_prog *p = j->p;
    int k = b->good, each = sample ? draws->n : o->nbest, rc = 0;
    uint64_t *hash = capt_alloc((size_t)k * sizeof *hash);
    for (int i = 0; i < k; i++) {
        hash[i] = capt_id_hash(&b->rec[i]->id);
        if (sample && (b->rec[i]->n_require || b->rec[i]->n_forbid))
            rc = capt_fail(&p->err, CAPT_EDATA, "a record requires or forbids words: that goes with a search, not with --sample");
    }
    if (!rc)
        rc = sample ? capt_sample_run(j->scorer, in, draws, hash, found, &p->err) : search(j, in, o, b->rec, k, found);
    for (int i = 0; i < k && !rc; i++)
        rc = write_record(j, b->rec[i], found + (size_t)i * (size_t)each, each);
    capt_found_free(found, k * each);
    free(hash);
    return rc;
}

/* While a batch is captioned, the pool's threads read the next one where they are free. Of pictures named one by one the first is captioned alone, so that
 * its caption is soon there. */
static int caption_all(job *j)
{
    capt_prog *p = j->p;
    int width = (int)(greedy ? 1 : beam), each = (int)(sample ? sample : nbest), n = (int)batch, depth = 2 + (int)(capt_pool_size(j->s.pool) / batch);
    capt_source **source = capt_alloc(j->n * sizeof *source);
    capt_input *in = capt_alloc(j->n * sizeof *in);
    capt_found *found = capt_alloc((size_t)n * (size_t)each * sizeof *found);
    int detail = attention ? CAPT_DETAIL_WORDS | CAPT_DETAIL_ATTENTION : logprobs ? CAPT_DETAIL_WORDS : 0;
    capt_beam_opts o = {.beam = width, .nbest = each, .max_t = (int)max_words, .min_words = (int)min_words, .allow_unk = allow_unk, .no_repeat = no_repeat, .ngram = (int)block_ngram,
                        .ngram_penalty = ngram_penalty, .repeatable = j->repeatable.v, .n_repeatable = (int)j->repeatable.n, .not_last = j->not_last.v, .n_not_last = (int)j->not_last.n, .groups = (int)groups, .diversity = diversity, .detail = detail};
    read_penalty(&o.length_penalty, &o.wu);
    capt_sample_opts draws = {.n = each, .temperature = temperature, .max_t = (int)max_words, .allow_unk = allow_unk, .top_k = (int)top_k, .top_p = top_p, .seed = (uint64_t)p->seed,
                              .detail = detail};
    for (size_t i = 0; i < j->n; i++)
        source[i] = j->in[i].source;
    capt_ahead *a = capt_ahead_new(j->s.pool, source, (int)j->n, j->picked.v, j->picked.n, pictures ? 1 : 0, n, depth, &p->err);
    int64_t all = a ? capt_ahead_batches(a) : 0;
    int rc = a ? 0 : -1;
    size_t done = 0;
    capt_progress g;
    capt_progress_start(&g, p, "images", (int64_t)j->picked.n);
    for (int64_t k = 0; k < all && !rc; k++) {
        capt_ahead_begin(a, k + depth);
        capt_ahead_batch *b = capt_ahead_take(a);
        for (size_t i = 0; i < j->n; i++)
            in[i] = b->loaded[i].in;
        rc = sort_out(j, b) || (b->good && caption_batch(j, b, in, &o, &draws, found)) ? -1 : 0;
        done += (size_t)b->n;
        capt_progress_at(&g, (int64_t)done, NULL);
        if (capt_prog_stopping() && done < j->picked.n && !rc)
            rc = capt_fail(&p->err, CAPT_ESTOP, "stopped after %zu of %zu images", done, j->picked.n);
    }
    capt_progress_end(&g);
    if (j->lacking && !rc)
        capt_prog_warn(p, "%lld captions lack a required word: --max-words leaves no room for it", (long long)j->lacking);
    capt_ahead_free(a);
    free(source);
    free(in);
    free(found);
    return rc;
}

static int write_results(job *j)
{
    capt_out *o = capt_out_open(coco, &j->p->err);
    if (!o)
        return -1;
    if (json_dumpf(j->results, capt_out_file(o), JSON_COMPACT) || fputc('\n', capt_out_file(o)) == EOF) {
        capt_out_abandon(o);
        return capt_fail_errno(&j->p->err, "%s", capt_output_name(coco));
    }
    return capt_out_finish(o, &j->p->err);
}

static int run(capt_prog *p)
{
    job j = {.p = p, .n = models.n};
    int64_t first, step;
    if (capt_shard_parse(p, shard, &first, &step))
        return -1;
    if ((stores.n > 0) + (images != NULL) + pictures != 1)
        return capt_prog_usage(p, "want one of --store, --images and --pictures");
    if (pictures && (shard || coco || !p->argc))
        return capt_prog_usage(p, p->argc ? "--shard and --coco go with records, not with --pictures" : "--pictures: no picture named");
    if (tags_path && !strcmp(tags_path, "-") && !pictures && (!p->argc || !strcmp(p->argv[0], "-")))
        return capt_prog_usage(p, "the records and --tags cannot both be standard input");
    if (stores.n > 1 && stores.n != models.n)
        return capt_prog_usage(p, "%zu stores for %zu models: one for all, or one a model", stores.n, models.n);
    if (encoders.n && (stores.n || (encoders.n > 1 && encoders.n != models.n)))
        return capt_prog_usage(p, "--encoder goes with --images or --pictures: one for all models, or one a model");
    if (sample && (greedy || models.n > 1))
        return capt_prog_usage(p, "--sample goes with one model, and not with --greedy");
    if (greedy && beam != 1 && capt_prog_given(p, &beam))
        return capt_prog_usage(p, "--greedy is --beam 1, not --beam %lld", (long long)beam);
    if (sample && capt_prog_given(p, &beam))
        return capt_prog_usage(p, "--beam goes with a search, not with --sample");
    if (sample && (require.n || forbid.n))
        return capt_prog_usage(p, "--require and --forbid go with a search, not with --sample");
    double penalty;
    int wu;
    if (read_penalty(&penalty, &wu))
        return capt_prog_usage(p, "--length-penalty %s: none, avg, a number from 0 to 10 or wu: and a number is wanted", length_penalty);
    if (!sample && groups > 1 && (greedy || beam % groups))
        return capt_prog_usage(p, "--groups %lld cannot share a beam of %lld", (long long)groups, (long long)(greedy ? 1 : beam));
    if (!sample && nbest > (greedy ? 1 : beam))
        return capt_prog_usage(p, "--nbest %lld is more than the beam width", (long long)nbest);
    j.m = capt_alloc(j.n * sizeof *j.m);
    j.in = capt_alloc(j.n * sizeof *j.in);
    for (size_t i = 0; i < j.n; i++)
        capt_inlet_init(&j.in[i]);
    capt_prog_catch_reading();
    capt_read_opts ro = {.bad = bad_record, .bad_arg = p};
    int rc = -1;
    double t0 = capt_now();
    if (capt_session_open(&j.s, p, compute) || open_models(&j))
        goto end;
    capt_prog_detail(p, "models ready after %.2f s, %.2f s of processor time", capt_now() - t0, (double)clock() / CLOCKS_PER_SEC);
    if (!pictures && capt_captions_read((const char *const *)p->argv, (size_t)p->argc, &ro, &j.records, &p->err))
        goto end;
    if (pictures) {
        j.names = capt_arena_new(1 << 16);
        j.picked.v = prog_pictures(p, j.names, &j.picked.n);
        if (!j.picked.v)
            goto end;
    } else if (capt_pick_some(p, j.records, split, &j.picked)) {
        goto end;
    }
    size_t kept = 0;
    for (size_t i = (size_t)first; i < j.picked.n; i += (size_t)step)
        j.picked.v[kept++] = j.picked.v[i];
    j.picked.n = kept;
    if (tags_path) {
        j.tags = prog_tags_open(p, tags_path, j.records);
        if (!j.tags)
            goto end;
        capt_captions_retag(j.tags, j.picked.v, j.picked.n);
        if (prog_tags_note(p, "", &j.picked, j.m[0]))
            goto end;
    }
    if (no_bad_endings)
        for (const char *const *w = capt_bad_endings; *w; w++)
            find_word(&j, *w, &j.not_last);
    for (size_t i = 0; i < repeatable.n; i++)
        find_word(&j, repeatable.v[i], &j.repeatable);
    if (coco)
        j.results = json_array();
    capt_prog_catch();
    j.out = capt_out_open(out_path, &p->err);
    if (!j.out || caption_all(&j))
        goto end;
    if (coco && write_results(&j)) /* before the records, which make looks for */
        goto end;
    rc = capt_out_finish(j.out, &p->err);
    j.out = NULL;
end:
    if (j.out)
        capt_out_abandon(j.out);
    capt_scorer_free(j.scorer);
    for (size_t i = 0; i < j.n; i++) {
        capt_inlet_close(&j.in[i]);
        capt_model_free(j.m[i]);
    }
    free(j.m);
    free(j.in);
    free(j.picked.v);
    capt_captions_free(j.tags);
    capt_captions_free(j.records);
    capt_arena_free(j.names);
    json_decref(j.results);
    capt_str_free(&j.line);
    capt_vec_free(&j.not_last);
    capt_vec_free(&j.repeatable);
    capt_session_close(&j.s);
    return rc;
}

static capt_prog prog = {.name = "capt-beam", .synopsis = "--model CKPT [--model CKPT]... (--store STORE | --images DIR [--encoder FILE]) [options] [FILE]",
                         .about = "Captions images by beam search, greedily or by sampling, with one model or an ensemble; writes one record an image.", .opts = options,
                         .groups = CAPT_G_DEVICE | CAPT_G_THREADS | CAPT_G_SEED | CAPT_G_MAXBAD, .max_args = -1, .run = run};
CAPT_MAIN(prog)
