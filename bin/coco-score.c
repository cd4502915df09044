/* coco-score: caption records and references in, scores out. */
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/prov.h"
#include "common/clip.h"
#include "common/meteor.h"
#include "common/prog.h"
#include "common/scored.h"
#include "metric/bootstrap.h"
#include "metric/chair.h"
#include "metric/health.h"
#include "metric/metric.h"
#include "record/annot.h"
#include "record/any.h"
#include "record/join.h"
#include "record/spice.h"
#include "text/line.h"
#include "text/ptb.h"

enum { MAX_METRICS = 16, MAX_OUT = MAX_METRICS + 3, MAX_FILES = 2, FEW_IMAGES = 50 };
enum { TOK_PTB, TOK_NONE };

static const char all_metrics[] = "bleu,meteor,rouge,cider"; /* meteor: when its data are found */
static const char *refs_path, *split = "test", *metrics = all_metrics, *df_path, *write_df, *per_image, *train_path;
static const char *spice_input, *meteor_path;
static const char *images, *clip_weights, *clip_bpe;
static capt_strs instances, spice_output, tuples;
static int as_json, subset, tokenize, keep_first, collapse, df_eos;
static int64_t resamples = 10000;

/* One hypothesis file: its captions in the order of the references, and their scores. */
typedef struct answers {
    const char *path;
    capt_hyps *hyps;
    capt_join j;
    const capt_id **ids; /* (n) */
    size_t n_empty, n_dropped;
    capt_odd odd;
    const char **text;                  /* (n) as written */
    const char **hyp_line, **cand_line; /* tokenized: (n), (cand_at[n]) */
    size_t *cand_at;                    /* (n+1), or NULL */
    capt_metric_out out[MAX_OUT];
    int n_out;
    capt_health health;
    json_t *signature;
} answers;

typedef struct work {
    capt_prog *p;
    const capt_metric *metric[MAX_METRICS];
    int n_metrics, no_meteor; /* no_meteor: it would have been computed, had it data */
    capt_splits splits;
    capt_captions *refs;
    capt_df *df; /* from --df, or NULL */
    capt_meteor *meteor; /* asked for, or the synonyms of --tuples */
    capt_arena *arena;
    capt_pool *pool;
    answers a[MAX_FILES]; /* all of the same images */
    int n_files;
    const char **ref_line; /* tokenized references of these images */
    size_t *ref_at;        /* (n+1) */
    capt_odd odd;          /* in the references */
    capt_grams train;
    capt_objects *objects;
    prog_clip *clip;
} work;

static const char *tokenizer_id(void)
{
    return tokenize == TOK_PTB ? CAPT_PTB_ID : "none";
}

/* The comma-separated words of s, in the arena; usage error above max. */
static int split_list(work *w, const char *s, const char **v, size_t max, size_t *n)
{
    for (*n = 0;; s++) {
        size_t len = strcspn(s, ",");
        if (*n == max)
            return capt_prog_usage(w->p, "more than %zu names in a list", max);
        if (len)
            v[(*n)++] = capt_arena_strndup(w->arena, s, len);
        s += len;
        if (!*s)
            return *n ? 0 : capt_prog_usage(w->p, "an empty list of names");
    }
}

static int asked(const work *w, const char *metric)
{
    for (int m = 0; m < w->n_metrics; m++)
        if (!strcmp(w->metric[m]->name, metric))
            return 1;
    return 0;
}

/* Options that need each other. */
static int check_options(work *w)
{
    size_t n = (size_t)w->p->argc;
    if (!n && !write_df)
        return capt_prog_usage(w->p, "no hypotheses: name a FILE");
    if ((per_image || spice_input) && n != 1)
        return capt_prog_usage(w->p, "%s takes one hypothesis file", per_image ? "--per-image" : "--spice-input");
    if ((spice_output.n && spice_output.n != n) || (tuples.n && tuples.n != n))
        return capt_prog_usage(w->p, "%s is given once for each hypothesis file, in their order",
                               spice_output.n && spice_output.n != n ? "--spice-output" : "--tuples");
    if (!asked(w, "chair") != !instances.n)
        return capt_prog_usage(w->p, instances.n ? "--instances is for --metrics chair"
                                                 : "--metrics chair needs --instances FILE");
    if (!images != !clip_weights || !images != !clip_bpe)
        return capt_prog_usage(w->p, "CLIPScore needs --images DIR, --clip-weights FILE and --clip-bpe FILE together");
    if (train_path && !asked(w, "diversity"))
        return capt_prog_usage(w->p, "--train is for --metrics diversity");
    return 0;
}

static int parse_options(work *w)
{
    const char *name[MAX_METRICS];
    size_t n;
    if (split_list(w, split, w->splits.v, sizeof w->splits.v / sizeof *w->splits.v, &w->splits.n) ||
        split_list(w, metrics, name, MAX_METRICS, &n))
        return -1;
    if (w->splits.n == 1 && !strcmp(w->splits.v[0], "all"))
        w->splits.n = 0;
    for (size_t i = 0; i < n; i++) {
        if (capt_metric_find(name[i]))
            continue;
        capt_str known = {0};
        for (const capt_metric *m = capt_metrics; m->name; m++)
            capt_str_printf(&known, "%s%s", known.n ? ", " : "", m->name);
        capt_prog_usage(w->p, "--metrics %s: not one of %s", name[i], known.s);
        capt_str_free(&known);
        return -1;
    }
    w->no_meteor = metrics == all_metrics && !prog_meteor_place(meteor_path);
    for (const capt_metric *m = capt_metrics; m->name; m++)
        for (size_t i = 0; i < n; i++)
            if (!strcmp(m->name, name[i]) && !(w->no_meteor && !strcmp(m->name, "meteor"))) {
                w->metric[w->n_metrics++] = m;
                break;
            }
    return check_options(w);
}

static const char **tokenized(work *w, const char **text, size_t n, const char *what)
{
    const char **out = text;
    size_t tokens;
    if (tokenize == TOK_NONE)
        return out;
    if (capt_ptb_lines(text, n, w->arena, &out, NULL, &w->p->err))
        return NULL;
    if (w->p->verbose) {
        if (capt_line_count_tokens(text, n, &tokens, &w->p->err))
            return NULL;
        capt_prog_detail(w->p, "%zu tokens in %s", tokens, what);
    }
    return out;
}

static const char *clean(work *w, const char *s, capt_odd *odd)
{
    s = capt_line_clean(s, w->arena, odd);
    return collapse ? capt_line_collapse(s, w->arena) : s;
}

static int is_empty(const char *line)
{
    return !line[strspn(line, " ")];
}

/* References of n images: offsets and token lines, tokenized in one run as the official scorer does. */
static const char **reference_lines(work *w, const capt_caption *const *image, size_t n, size_t n_refs, size_t *at, capt_odd *odd)
{
    const char **text = capt_arena_alloc(w->arena, (n_refs + 1) * sizeof *text);
    at[0] = 0;
    for (size_t i = 0; i < n; i++) {
        at[i + 1] = at[i];
        for (int k = 0; k < image[i]->n_captions; k++)
            text[at[i + 1]++] = capt_line_clean(image[i]->captions[k], w->arena, odd);
    }
    return tokenized(w, text, n_refs, refs_path);
}

static int prepare_refs(work *w)
{
    const capt_join *j = &w->a[0].j;
    w->ref_at = capt_arena_alloc(w->arena, (j->n + 1) * sizeof *w->ref_at);
    w->ref_line = reference_lines(w, j->image, j->n, j->n_refs, w->ref_at, &w->odd);
    if (!w->ref_line)
        return -1;
    size_t empty = 0;
    for (size_t i = 0; i < j->n_refs; i++)
        empty += (size_t)is_empty(w->ref_line[i]);
    if (empty == j->n_refs)
        return capt_fail(&w->p->err, CAPT_EDATA, "%s: all references are empty: nothing to score against", refs_path);
    scored_warn_odd(w->p, refs_path, "references", &w->odd);
    return 0;
}

/* The candidates of each image, else its caption; order matters as in all tokenizing. */
static int prepare_candidates(work *w, answers *a)
{
    size_t n = 0;
    capt_odd odd = {0};
    for (size_t i = 0; i < a->j.n; i++)
        n += a->j.hyp[i]->n_candidates ? (size_t)a->j.hyp[i]->n_candidates : 1;
    const char **text = capt_arena_alloc(w->arena, (n + 1) * sizeof *text);
    a->cand_at = capt_arena_alloc(w->arena, (a->j.n + 1) * sizeof *a->cand_at);
    for (size_t i = 0; i < a->j.n; i++) {
        const capt_hyp *h = a->j.hyp[i];
        size_t at = a->cand_at[i];
        for (int k = 0; k < h->n_candidates; k++)
            text[at++] = clean(w, h->candidates[k].caption, &odd);
        if (!h->n_candidates)
            text[at++] = clean(w, h->caption, &odd);
        a->cand_at[i + 1] = at;
    }
    a->cand_line = tokenized(w, text, n, a->path);
    return a->cand_line ? 0 : -1;
}

static int prepare(work *w, answers *a)
{
    size_t n = a->j.n, trained = 0;
    const char **text = capt_arena_alloc(w->arena, (n + 1) * sizeof *text);
    a->ids = capt_arena_alloc(w->arena, (n + 1) * sizeof *a->ids);
    for (size_t i = 0; i < n; i++) {
        text[i] = clean(w, a->j.hyp[i]->caption, &a->odd);
        a->ids[i] = &a->j.hyp[i]->id;
        trained += a->j.hyp[i]->trained_on == 1;
    }
    a->text = text;
    a->hyp_line = tokenized(w, text, n, a->path);
    if (!a->hyp_line || (asked(w, "diversity") && prepare_candidates(w, a)))
        return -1;
    for (size_t i = 0; i < n; i++)
        a->n_empty += (size_t)is_empty(a->hyp_line[i]);
    if (a->n_empty == n)
        return capt_fail(&w->p->err, CAPT_EDATA, "%s: all %zu captions are empty: nothing to score", a->path, n);
    if (a->n_empty)
        capt_prog_warn(w->p, "%s: %zu of %zu captions are empty", a->path, a->n_empty, n);
    scored_warn_odd(w->p, a->path, "captions", &a->odd);
    if (trained)
        capt_prog_warn(w->p, "%s: %zu of %zu captions are of images the model was trained on", a->path, trained, n);
    if (a->n_dropped)
        capt_prog_warn(w->p, "%s: %zu captions of images captioned before were dropped", a->path, a->n_dropped);
    a->health = capt_health_of(a->hyp_line, n);
    return 0;
}

/* --train: the set of training captions, for novelty. */
static int read_train(work *w)
{
    static const capt_splits splits = {{"train", "restval"}, 2};
    capt_captions *c;
    size_t n = 0;
    capt_odd odd = {0};
    if (capt_captions_read_any(train_path, &c, &w->p->err))
        return -1;
    for (size_t i = 0; i < c->n; i++)
        n += capt_in_splits(&splits, &c->v[i]) ? (size_t)c->v[i].n_captions : 0;
    const char **text = capt_arena_alloc(w->arena, (n + 1) * sizeof *text), **line;
    size_t k = 0;
    for (size_t i = 0; i < c->n; i++)
        for (int r = 0; capt_in_splits(&splits, &c->v[i]) && r < c->v[i].n_captions; r++)
            text[k++] = capt_line_clean(c->v[i].captions[r], w->arena, &odd);
    capt_captions_free(c);
    line = tokenized(w, text, n, train_path);
    if (!n || !line)
        return capt_fail(&w->p->err, CAPT_EDATA, "%s: no training captions", train_path);
    capt_grams_clear(&w->train, n);
    for (size_t i = 0; i < n; i++) {
        uint64_t key, check;
        capt_line_key(line[i], &key, &check);
        capt_grams_add(&w->train, key, check, 0, 1);
    }
    return 0;
}

/* --instances: the objects of the images that are scored. */
static int read_objects(work *w)
{
    const capt_join *j = &w->a[0].j;
    capt_annots *n = capt_annots_new();
    const char *name[1000];
    size_t unknown = 0, with = 0;
    int rc = 0;
    for (size_t i = 0; i < j->n; i++)
        capt_vec_push(&n->image, ((capt_image){.id = j->image[i]->id}));
    for (size_t f = 0; f < instances.n && !rc; f++)
        rc = capt_annots_read_instances(n, j->by_id, instances.v[f], &w->p->err);
    w->objects = capt_arena_alloc(w->arena, (j->n + 1) * sizeof *w->objects);
    for (size_t i = 0; i < j->n && !rc; i++) {
        int k = capt_annots_tags(n, &n->image.v[i], name, 1000);
        with += k > 0;
        for (int t = 0; t < k; t++) {
            int kind = capt_object_kind(name[t]);
            if (kind >= 0)
                capt_objects_set(&w->objects[i], kind);
            unknown += kind < 0;
        }
    }
    capt_annots_free(n);
    if (!rc && !with)
        rc = capt_fail(&w->p->err, CAPT_EDATA, "%s: no objects of the images that are scored", instances.v[0]);
    if (!rc && unknown)
        capt_prog_warn(w->p, "%zu objects are of categories that CHAIR does not know", unknown);
    return rc;
}

static void describe(work *w, answers *a)
{
    const capt_caption *const *image = a->j.image;
    int lo = image[0]->n_captions, hi = lo;
    for (size_t i = 0; i < a->j.n; i++) {
        lo = image[i]->n_captions < lo ? image[i]->n_captions : lo;
        hi = image[i]->n_captions > hi ? image[i]->n_captions : hi;
    }
    capt_str s = {0};
    capt_str_printf(&s, "images:%zu|refs:%d", a->j.n, lo);
    if (hi > lo)
        capt_str_printf(&s, "-%d", hi);
    capt_str_printf(&s, "|split:%s|subset:%s|dup:%s|tok:%s|collapse:%s", split, subset ? "yes" : "no",
                    keep_first ? "first" : "error", tokenizer_id(), collapse ? "yes" : "no");
    if (w->df)
        capt_str_printf(&s, "|df:%.8s,N=%llu%s", capt_df_source(w->df), (unsigned long long)capt_df_images(w->df),
                        capt_df_eos(w->df) ? ",eos" : "");
    else
        capt_str_printf(&s, "|df:corpus,N=%zu", a->j.n);
    if (asked(w, "meteor"))
        capt_str_printf(&s, "|meteor:%s,%.8s", capt_meteor_full(w->meteor) ? "full" : "nopara", capt_meteor_id(w->meteor));
    if (w->clip)
        capt_str_printf(&s, "|clip:%.8s", prog_clip_id(w->clip));
    if (tuples.n && w->meteor)
        capt_str_printf(&s, "|synsets:%.8s", capt_meteor_id(w->meteor));
    capt_str_printf(&s, "|version:%s", capt_version());
    a->signature = json_stringn(s.s, s.n);
    capt_str_free(&s);
}

static capt_metric_out *add_mean(answers *a, const char *key)
{
    capt_metric_out *o = &a->out[a->n_out++];
    o->score[o->n_score++] = (capt_metric_score){.key = key, .each = capt_alloc(a->j.n * sizeof(double))};
    return o;
}

/* --spice-output and --tuples of file f. */
static int add_spice(work *w, answers *a, int f)
{
    size_t n = a->j.n;
    if (spice_output.n) {
        capt_metric_score *s = add_mean(a, "SPICE")->score;
        if (capt_spice_read_output(spice_output.v[f], a->j.by_id, a->ids, n, s->each, &w->p->err))
            return -1;
        s->value = capt_mean(s->each, n);
    }
    if (tuples.n) {
        capt_metric_score *s = add_mean(a, w->meteor ? "SPICE-tuples" : "SPICE-tuples-exact")->score;
        capt_synsets syn = prog_meteor_synsets(w->meteor);
        capt_tuple_counts *c = capt_arena_alloc(w->arena, n * sizeof *c);
        if (capt_spice_read_tuples(tuples.v[f], a->j.by_id, a->ids, n, w->meteor ? &syn : NULL, c, &w->p->err))
            return -1;
        for (size_t i = 0; i < n; i++)
            s->each[i] = capt_tuple_f1(&c[i]);
        s->value = capt_mean(s->each, n);
    }
    return 0;
}

static int score(work *w, answers *a, const capt_df *df, int f)
{
    capt_metric_in in = {.n = a->j.n, .hyps = a->hyp_line, .refs = w->ref_line, .ref_at = w->ref_at, .df = df, .pool = w->pool,
                         .cands = a->cand_line, .cand_at = a->cand_at, .train = train_path ? &w->train : NULL,
                         .objects = w->objects, .meteor = w->meteor};
    for (int m = 0; m < w->n_metrics; m++)
        if (w->metric[m]->fn(&in, &a->out[a->n_out++], &w->p->err))
            return capt_err_prefix(&w->p->err, "%s: %s", a->path, w->metric[m]->name);
    describe(w, a);
    return w->clip && prog_clip_score(w->clip, a->text, &a->out[a->n_out++]) ? -1 : add_spice(w, a, f);
}

static int score_all(work *w)
{
    capt_df *own = NULL;
    int rc = 0;
    size_t n = w->a[0].j.n;
    if (!w->df && (asked(w, "cider") || asked(w, "cider-plain") || asked(w, "diversity"))) {
        if (n < FEW_IMAGES)
            capt_prog_warn(w->p, "%s: CIDEr takes its n-gram weights from %zu image%s alone; give --df FILE", w->a[0].path, n, n == 1 ? "" : "s");
        own = capt_df_new(w->ref_line, w->ref_at, n, 0, tokenizer_id(), NULL, w->pool, &w->p->err);
        rc = own ? 0 : -1;
    }
    if (images && !rc)
        w->clip = prog_clip_open(w->p, w->pool, images, clip_weights, clip_bpe, w->a[0].j.image, n, 1);
    rc = rc || (images && !w->clip);
    for (int f = 0; f < w->n_files && !rc; f++)
        rc = score(w, &w->a[f], w->df ? w->df : own, f);
    capt_df_free(own);
    return rc;
}

/* --write-df: document frequencies of all references in the split. */
static int make_df(work *w)
{
    const capt_caption **image = capt_arena_alloc(w->arena, (w->refs->n + 1) * sizeof *image);
    size_t n = 0, n_refs = 0;
    capt_odd odd = {0};
    for (size_t i = 0; i < w->refs->n; i++)
        if (capt_in_splits(&w->splits, &w->refs->v[i]) && w->refs->v[i].n_captions) {
            image[n] = &w->refs->v[i];
            n_refs += (size_t)image[n++]->n_captions;
        }
    size_t *at = capt_arena_alloc(w->arena, (n + 1) * sizeof *at);
    const char **line = reference_lines(w, image, n, n_refs, at, &odd);
    char source[33];
    if (!line)
        return -1;
    if (!w->n_files)
        scored_warn_odd(w->p, refs_path, "references", &odd);
    if (!n)
        return capt_fail(&w->p->err, CAPT_EDATA, "%s: no references in split %s", refs_path, split);
    capt_refs_hash(image, n, line, at, source);
    capt_df *df = capt_df_new(line, at, n, df_eos, tokenizer_id(), source, w->pool, &w->p->err);
    int rc = df ? capt_df_write(df, write_df, &w->p->err) : -1;
    if (!rc)
        capt_prog_note(w->p, "%s: %llu n-grams of %zu images", write_df, (unsigned long long)capt_df_ngrams(df), n);
    capt_df_free(df);
    return rc;
}

static void scored_file(const answers *a, scored *s)
{
    *s = (scored){.path = a->path, .n = a->j.n, .n_refs = a->j.n_refs, .hyp = a->j.hyp, .out = a->out, .n_out = a->n_out,
                  .health = &a->health, .signature = json_string_value(a->signature)};
}

/* Everything that is printed, once all is known. */
static int put_all(work *w, int stdout_taken)
{
    static scored_interval iv[MAX_OUT];
    const answers *a = &w->a[0], *b = &w->a[1];
    scored s[MAX_FILES];
    for (int f = 0; f < w->n_files; f++)
        scored_file(&w->a[f], &s[f]);
    if (per_image && scored_put_images(per_image, &s[0], &w->p->err))
        return -1;
    if (w->n_files == 2 && !stdout_taken &&
        capt_bootstrap(a->out, b->out, a->n_out, a->j.n, (size_t)resamples, (uint64_t)w->p->seed, w->pool, iv, &w->p->err))
        return -1;
    for (int f = 0; as_json && !stdout_taken && f < w->n_files; f++)
        scored_put_json(&s[f]);
    if (as_json && !stdout_taken && w->n_files == 2)
        scored_put_difference(s, iv, resamples, w->p->seed);
    if (!as_json && !stdout_taken)
        scored_put_table(s, w->n_files, iv);
    if (w->no_meteor)
        capt_prog_note(w->p, "METEOR is left out, its data are not there: see --meteor-data");
    for (int f = 0; f < w->n_files; f++)
        scored_note_health(w->p, &s[f]);
    for (int f = 0; f < w->n_files; f++)
        scored_detail_meteor(w->p, &s[f]);
    return 0;
}

static int open_df(work *w)
{
    w->df = capt_df_open(df_path, &w->p->err);
    if (w->df && strcmp(capt_df_tokenizer(w->df), tokenizer_id()))
        return capt_fail(&w->p->err, CAPT_EDATA, "%s: made with tokenizer %s, not %s", df_path,
                         capt_df_tokenizer(w->df), tokenizer_id());
    return w->df ? 0 : -1;
}

static int same_images(work *w)
{
    const answers *a = &w->a[0], *b = &w->a[1];
    if (w->n_files == 2 && (a->j.n != b->j.n || memcmp(a->j.image, b->j.image, a->j.n * sizeof(*a->j.image))))
        return capt_fail(&w->p->err, CAPT_EDATA, "%s and %s caption different images", a->path, b->path);
    return 0;
}

/* At most one input comes from standard input, at most one output goes to standard output. */
static int check_streams(work *w, int *stdout_taken)
{
    const char *in[] = {refs_path, df_path, train_path}, *out[] = {per_image, write_df, spice_input};
    int n_in = 0, n_out = 0;
    for (int i = 0; i < 3; i++) {
        n_in += in[i] && !strcmp(in[i], "-");
        n_out += out[i] && !strcmp(out[i], "-");
    }
    for (int f = 0; f < w->p->argc; f++)
        n_in += !strcmp(w->p->argv[f], "-");
    const capt_strs *more[] = {&instances, &spice_output, &tuples};
    for (int i = 0; i < 3; i++)
        for (size_t k = 0; k < more[i]->n; k++)
            n_in += !strcmp(more[i]->v[k], "-");
    *stdout_taken = n_out;
    if (n_in > 1)
        return capt_prog_usage(w->p, "standard input can be read only once");
    return n_out > 1 ? capt_prog_usage(w->p, "standard output can be written only once") : 0;
}

static int work_all(work *w)
{
    capt_prog *p = w->p;
    int stdout_taken;
    if (check_streams(w, &stdout_taken))
        return -1;
    w->pool = capt_pool_new((int)p->threads, &p->err);
    if (!w->pool || capt_captions_read_any(refs_path, &w->refs, &p->err) || (df_path && open_df(w)))
        return -1;
    if (p->argc && (asked(w, "meteor") || (tuples.n && prog_meteor_place(meteor_path)))) {
        w->meteor = prog_meteor_open(p, meteor_path);
        if (!w->meteor)
            return -1;
    }
    for (int f = 0; f < p->argc; f++) {
        answers *a = &w->a[w->n_files++];
        a->path = capt_input_name(p->argv[f]);
        if (capt_hyps_read_any(p->argv[f], keep_first, &a->n_dropped, &a->hyps, &p->err) ||
            capt_join_make(&a->j, w->refs, refs_path, a->hyps, a->path, &w->splits, subset, w->arena, &p->err))
            return -1;
    }
    if (same_images(w) || (w->n_files && prepare_refs(w)))
        return -1;
    for (int f = 0; f < w->n_files; f++)
        if (prepare(w, &w->a[f]))
            return -1;
    const answers *a = &w->a[0];
    if ((write_df && make_df(w)) || (train_path && read_train(w)) || (instances.n && read_objects(w)) ||
        (spice_input && capt_spice_write_input(spice_input, a->ids, a->hyp_line, w->ref_line, w->ref_at, a->j.n, &p->err)) ||
        (w->n_files && (score_all(w) || put_all(w, stdout_taken))))
        return -1;
    return 0;
}

static int run(capt_prog *p)
{
    work w = {.p = p, .arena = capt_arena_new(1 << 20)};
    int rc = parse_options(&w) || work_all(&w) ? -1 : 0;
    for (int f = 0; f < w.n_files; f++) {
        for (int m = 0; m < w.a[f].n_out; m++)
            capt_metric_out_free(&w.a[f].out[m]);
        json_decref(w.a[f].signature);
        capt_join_free(&w.a[f].j);
        capt_hyps_free(w.a[f].hyps);
    }
    capt_grams_free(&w.train);
    capt_captions_free(w.refs);
    capt_df_free(w.df);
    prog_clip_close(w.clip);
    capt_meteor_close(w.meteor);
    capt_pool_free(w.pool);
    capt_arena_free(w.arena);
    return rc;
}

static const capt_opt options[] = {
    {"refs", CAPT_O_STR, &refs_path, "FILE", "references: caption records, COCO annotations or Karpathy JSON", 0, 0, 1, 1},
    {"split", CAPT_O_STR, &split, "NAME,..", "splits to score; all: every image; files without splits count whole", 0, 0, 0, 0},
    {"metrics", CAPT_O_STR, &metrics, "LIST", "some of bleu, meteor, rouge, cider, cider-plain, diversity, chair", 0, 0, 0, 0},
    {"meteor-data", CAPT_O_STR, &meteor_path, "PATH", "METEOR's data: its tree or jar, pycocoevalcap's meteor folder, or WordNet's", 0, 0, 1, 0},
    {"df", CAPT_O_STR, &df_path, "FILE", "n-gram document frequencies for CIDEr, made by --write-df", 0, 0, 1, 0},
    {"write-df", CAPT_O_STR, &write_df, "FILE", "write the document frequencies of the references in the split", 0, 0, 1, 0},
    {"df-eos", CAPT_O_FLAG, &df_eos, NULL, "--write-df: the end of a sentence counts as a word", 0, 0, 0, 0},
    {"per-image", CAPT_O_STR, &per_image, "FILE", "write one score record an image", 0, 0, 1, 0},
    {"json", CAPT_O_FLAG, &as_json, NULL, "print one JSON object instead of a table", 0, 0, 1, 0},
    {"subset", CAPT_O_FLAG, &subset, NULL, "score only the images that have a hypothesis", 0, 0, 0, 0},
    {"tokenize", CAPT_O_CHOICE, &tokenize, "ptb|none", "none: captions are tokens joined by blanks already", 0, 0, 0, 0},
    {"dup", CAPT_O_CHOICE, &keep_first, "error|first", "two hypotheses for one image: refuse, or take the first", 0, 0, 0, 0},
    {"collapse-repeats", CAPT_O_FLAG, &collapse, NULL, "make equal neighbouring words of a hypothesis one", 0, 0, 0, 0},
    {"train", CAPT_O_STR, &train_path, "FILE", "diversity: count the captions that are none of these training captions", 0, 0, 0, 0},
    {"instances", CAPT_O_STRS, &instances, "FILE", "chair: official instances files with the objects of the images", 0, 0, 0, 0},
    {"spice-input", CAPT_O_STR, &spice_input, "FILE", "write the tokenized captions as SPICE's input", 0, 0, 1, 0},
    {"spice-output", CAPT_O_STRS, &spice_output, "FILE", "add the scores of SPICE's output, one a hypothesis file", 0, 0, 0, 0},
    {"tuples", CAPT_O_STRS, &tuples, "FILE", "score these scene graph tuples by words and synonyms, one a hypothesis file", 0, 0, 0, 0},
    {"images", CAPT_O_STR, &images, "DIR", "add CLIPScore: folder of the pictures", 0, 0, 1, 0},
    {"clip-weights", CAPT_O_STR, &clip_weights, "FILE", "CLIPScore: CLIP weights with both towers (safetensors, public names)", 0, 0, 1, 0},
    {"clip-bpe", CAPT_O_STR, &clip_bpe, "FILE", "CLIPScore: CLIP's merges, bpe_simple_vocab_16e6.txt.gz", 0, 0, 1, 0},
    {"resamples", CAPT_O_INT, &resamples, "N", "two files: bootstrap resamples for the intervals; 0: none", 0, 1e6, 0, 0},
    {0}};

static capt_prog prog = {.name = "coco-score",
                         .synopsis = "[options] --refs FILE HYPOTHESES [HYPOTHESES]",
                         .about = "Scores captions with BLEU, METEOR, ROUGE-L, CIDEr and others as the official caption scorer does.",
                         .opts = options,
                         .groups = CAPT_G_DEVICE | CAPT_G_THREADS | CAPT_G_SEED,
                         .min_args = 0,
                         .max_args = MAX_FILES,
                         .run = run};
CAPT_MAIN(prog)
