/* capt-floor: the scores a captioner has to beat. Writes hypothesis records of captioners that learn nothing: the best
 * constant caption, or the caption of the nearest training image. */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/arena.h"
#include "base/id.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "common/prog.h"
#include "metric/metric.h"
#include "record/any.h"
#include "store/store.h"
#include "text/ptb.h"

enum { CONSTANT, NEAREST };

static const char *captions_path, *split = "test", *val_split = "val", *store_path;
static int kind;
static int64_t max_candidates = 2000;

typedef struct images { const capt_caption **v; size_t n; } images;

typedef struct work {
    capt_prog *p;
    capt_captions *all;
    images target, train, val;
    capt_arena *arena;
    capt_pool *pool;
} work;

static int is_train(const char *s)
{
    return !strcmp(s, "train") || !strcmp(s, "restval");
}

static void sort_out(work *w)
{
    images *part[3] = {&w->target, &w->train, &w->val};
    for (int i = 0; i < 3; i++)
        part[i]->v = capt_arena_alloc(w->arena, (w->all->n + 1) * sizeof *part[i]->v);
    for (size_t i = 0; i < w->all->n; i++) {
        const capt_caption *c = &w->all->v[i];
        if (!c->split)
            continue;
        if (!strcmp(c->split, split))
            w->target.v[w->target.n++] = c;
        if (is_train(c->split) && c->n_captions)
            w->train.v[w->train.n++] = c;
        if (!strcmp(c->split, val_split) && c->n_captions)
            w->val.v[w->val.n++] = c;
    }
}

/* All captions of some images, and their token lines; at (n+1) offsets. */
static const char **lines_of(work *w, const images *im, size_t *at, const char ***text, capt_err *err)
{
    size_t n = 0;
    for (size_t i = 0; i < im->n; i++)
        n += (size_t)im->v[i]->n_captions;
    *text = capt_arena_alloc(w->arena, (n + 1) * sizeof **text);
    at[0] = n = 0;
    for (size_t i = 0; i < im->n; i++) {
        for (int k = 0; k < im->v[i]->n_captions; k++)
            (*text)[n++] = im->v[i]->captions[k];
        at[i + 1] = n;
    }
    const char **out;
    return capt_ptb_lines(*text, n, w->arena, &out, NULL, err) ? NULL : out;
}

static int put(const capt_id *id, const char *caption)
{
    capt_str s = {0};
    json_t *o = json_object();
    json_object_set_new(o, "id", capt_id_json(id));
    json_object_set_new(o, "caption", json_string(caption));
    int rc = capt_json_line(o, &s);
    fwrite(s.s, 1, s.n, stdout); /* checked at exit */
    if (!s.n || s.s[s.n - 1] != '\n')
        putchar('\n');
    json_decref(o);
    capt_str_free(&s);
    return rc;
}

/* --- constant: of the training captions the one with the highest mean CIDEr-D over the validation images --- */

typedef struct trial {
    const capt_df *df;
    capt_cider_refs **refs; /* (n_images) */
    size_t n_images;
    const char *const *line; /* token lines of the training captions */
    const size_t *pick;      /* candidates: indices into line */
    double *score;           /* (candidates) */
    capt_cider_scratch **scratch;
    double **each; /* a worker's (n_images) */
} trial;

static void try_one(void *arg, int64_t task, int worker)
{
    const trial *t = arg;
    for (size_t i = 0; i < t->n_images; i++)
        t->each[worker][i] = capt_cider_score(t->df, t->refs[i], t->line[t->pick[task]], t->scratch[worker]);
    t->score[task] = capt_mean(t->each[worker], t->n_images);
}

/* Indices of distinct token lines, at most max of them drawn with the seed. */
static size_t choose_candidates(work *w, const char *const *line, size_t n, size_t *pick)
{
    capt_idmap *seen = capt_idmap_new();
    size_t k = 0, max = (size_t)max_candidates;
    for (size_t i = 0; i < n; i++) {
        capt_id id = capt_id_str(line[i]);
        if (*line[i] && capt_idmap_add(seen, &id, (int64_t)i) == (int64_t)i)
            pick[k++] = i;
    }
    capt_idmap_free(seen);
    if (!max || k <= max)
        return k;
    uint64_t key = capt_rng_key((uint64_t)w->p->seed, CAPT_RNG_SHUFFLE, 0, 0);
    for (size_t i = 0; i < max; i++) {
        size_t j = i + capt_rng_below(key, i, k - i), keep = pick[i];
        pick[i] = pick[j];
        pick[j] = keep;
    }
    capt_prog_note(w->p, "%zu of %zu distinct training captions tried", max, k);
    return max;
}

static void run_trial(work *w, trial *t, size_t n)
{
    size_t workers = (size_t)capt_pool_size(w->pool);
    t->score = capt_alloc(n * sizeof *t->score);
    t->scratch = capt_alloc(workers * sizeof *t->scratch);
    t->each = capt_alloc(workers * sizeof *t->each);
    for (size_t i = 0; i < workers; i++) {
        t->scratch[i] = capt_cider_scratch_new();
        t->each[i] = capt_alloc(t->n_images * sizeof(double));
    }
    capt_pool_run(w->pool, (int64_t)n, try_one, t);
    for (size_t i = 0; i < workers; i++) {
        capt_cider_scratch_free(t->scratch[i]);
        free(t->each[i]);
    }
    free(t->scratch);
    free(t->each);
}

static int constant(work *w)
{
    capt_err *err = &w->p->err;
    if (!w->val.n)
        return capt_fail(err, CAPT_EDATA, "%s: no captions in split %s to choose by", captions_path, val_split);
    size_t *at = capt_arena_alloc(w->arena, (w->val.n + 1) * sizeof *at),
           *train_at = capt_arena_alloc(w->arena, (w->train.n + 1) * sizeof *at);
    const char **text, **refs = lines_of(w, &w->val, at, &text, err),
                       **line = refs ? lines_of(w, &w->train, train_at, &text, err) : NULL;
    capt_df *df = line ? capt_df_new(refs, at, w->val.n, 0, CAPT_PTB_ID, NULL, w->pool, err) : NULL;
    if (!df)
        return -1;
    size_t n_lines = train_at[w->train.n], *pick = capt_arena_alloc(w->arena, (n_lines + 1) * sizeof *pick);
    trial t = {.df = df, .n_images = w->val.n, .line = line, .pick = pick};
    t.refs = capt_alloc(w->val.n * sizeof *t.refs);
    for (size_t i = 0; i < w->val.n; i++)
        t.refs[i] = capt_cider_refs_new(df, refs + at[i], at[i + 1] - at[i]);
    size_t n = choose_candidates(w, line, n_lines, pick);
    int rc = 0;
    if (n) {
        run_trial(w, &t, n);
        size_t best = 0;
        for (size_t i = 1; i < n; i++)
            if (t.score[i] > t.score[best] || (t.score[i] == t.score[best] && pick[i] < pick[best]))
                best = i;
        capt_prog_note(w->p, "CIDEr %.6f on %zu images of split %s: %s", t.score[best], w->val.n, val_split,
                       text[pick[best]]);
        for (size_t i = 0; i < w->target.n && !rc; i++)
            rc = put(&w->target.v[i]->id, text[pick[best]]);
    } else {
        rc = capt_fail(err, CAPT_EDATA, "%s: all training captions are empty", captions_path);
    }
    for (size_t i = 0; i < w->val.n; i++)
        capt_cider_refs_free(t.refs[i]);
    free(t.refs);
    free(t.score);
    capt_df_free(df);
    return rc;
}

/* --- nearest: the first caption of the training image whose feature has the highest cosine --- */

typedef struct search {
    const float *train, *target; /* (n_train,dim), (n_target,dim), rows of length 1 */
    size_t n_train, dim;
    size_t *best; /* (n_target) */
} search;

/* Sixteen fixed partial sums: fast, and the same for any number of threads. */
static float dot(const float *a, const float *b, size_t n)
{
    float s[16] = {0}, rest = 0;
    size_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (size_t k = 0; k < 16; k++)
            s[k] += a[i + k] * b[i + k];
    for (; i < n; i++)
        rest += a[i] * b[i];
    for (size_t k = 0; k < 16; k++)
        rest += s[k];
    return rest;
}

static void search_one(void *arg, int64_t task, int worker)
{
    const search *s = arg;
    const float *q = s->target + (size_t)task * s->dim;
    float top = -FLT_MAX;
    for (size_t i = 0; i < s->n_train; i++) {
        float c = dot(q, s->train + i * s->dim, s->dim);
        if (c > top) { /* the first of equals */
            top = c;
            s->best[task] = i;
        }
    }
}

/* The images' features, averaged over rows and scaled to length 1: (n,dim), malloc'd. */
static float *features(work *w, capt_store *store, const capt_store_section *section, const images *im)
{
    capt_err *err = &w->p->err;
    size_t dim = (size_t)section->dim, bytes, cap = 0;
    float *out = capt_mul_size(im->n * sizeof(float), dim, &bytes) ? NULL : capt_try_alloc(bytes, err), *rows = NULL;
    int rc = out ? 0 : capt_fail(err, CAPT_ENOMEM, "features of %zu images", im->n);
    for (size_t i = 0; i < im->n && !rc; i++) {
        capt_feature f;
        char key[CAPT_ID_KEY];
        capt_id_key(&im->v[i]->id, key);
        int got = capt_store_get(store, &im->v[i]->id, &f, err);
        const capt_section *s = got > 0 ? capt_feature_section(&f, section->name) : NULL;
        if (got <= 0 || !s || (size_t)s->dim != dim || s->rows < 1) {
            rc = got < 0 ? -1
                         : capt_fail(err, CAPT_EDATA, "%s: no %s features of image %s", store_path, section->name, key);
            break;
        }
        capt_vec_grow_((void **)&rows, &cap, (size_t)s->rows * dim, sizeof *rows);
        capt_feature_to_f32(s, rows);
        float *v = out + i * dim;
        double square = 0;
        for (size_t d = 0; d < dim; d++) {
            double sum = 0;
            for (size_t r = 0; r < (size_t)s->rows; r++)
                sum += (double)rows[r * dim + d];
            v[d] = (float)(sum / s->rows);
            square += (double)v[d] * (double)v[d];
        }
        for (size_t d = 0; d < dim && square > 0; d++)
            v[d] = (float)(v[d] / sqrt(square));
    }
    free(rows);
    if (rc) {
        free(out);
        return NULL;
    }
    return out;
}

static const capt_store_section *choose_section(capt_store *store)
{
    static const char *const name[] = {"global", "grid", "regions"};
    const capt_store_section *s = NULL;
    for (size_t i = 0; i < sizeof name / sizeof *name && !s; i++)
        s = capt_store_section_of(store, name[i]);
    return s;
}

static int search_all(work *w, capt_store *store)
{
    capt_err *err = &w->p->err;
    const capt_store_section *section = choose_section(store);
    if (!section)
        return capt_fail(err, CAPT_EDATA, "%s: neither global, grid nor regions features", store_path);
    float *train = features(w, store, section, &w->train), *target = train ? features(w, store, section, &w->target) : NULL;
    int rc = target ? 0 : -1;
    if (!rc) {
        search s = {train, target, w->train.n, (size_t)section->dim, capt_alloc(w->target.n * sizeof *s.best)};
        capt_pool_run(w->pool, (int64_t)w->target.n, search_one, &s);
        for (size_t i = 0; i < w->target.n && !rc; i++)
            rc = put(&w->target.v[i]->id, w->train.v[s.best[i]]->captions[0]);
        free(s.best);
    }
    free(train);
    free(target);
    return rc;
}

static int nearest(work *w)
{
    capt_store *store = capt_store_open(store_path, &w->p->err);
    int rc = store ? search_all(w, store) : -1;
    capt_store_close(store);
    return rc;
}

static int work_all(work *w)
{
    capt_err *err = &w->p->err;
    w->pool = capt_pool_new((int)w->p->threads, err);
    if (!w->pool || capt_captions_read_any(captions_path, &w->all, err))
        return -1;
    sort_out(w);
    if (!w->target.n)
        return capt_fail(err, CAPT_EDATA, "%s: no images in split %s", captions_path, split);
    if (!w->train.n)
        return capt_fail(err, CAPT_EDATA, "%s: no captions in split train or restval", captions_path);
    return kind == CONSTANT ? constant(w) : nearest(w);
}

static int run(capt_prog *p)
{
    if (kind == NEAREST && !store_path)
        return capt_prog_usage(p, "--kind nearest needs --store");
    if (is_train(split))
        return capt_prog_usage(p, "--split %s: training images are what the captions come from", split);
    work w = {.p = p, .arena = capt_arena_new(1 << 20)};
    int rc = work_all(&w);
    capt_captions_free(w.all);
    capt_pool_free(w.pool);
    capt_arena_free(w.arena);
    return rc;
}

static const capt_opt options[] = {
    {"captions", CAPT_O_STR, &captions_path, "FILE", "caption records (or Karpathy JSON) with splits", 0, 0, 1, 1},
    {"split", CAPT_O_STR, &split, "NAME", "images to caption", 0, 0, 0, 0},
    {"kind", CAPT_O_CHOICE, &kind, "constant|nearest", "one caption for all images, or the nearest training image's", 0, 0, 0, 0},
    {"store", CAPT_O_STR, &store_path, "STORE", "features of all images, for nearest", 0, 0, 1, 0},
    {"val-split", CAPT_O_STR, &val_split, "NAME", "images by which the constant caption is chosen", 0, 0, 0, 0},
    {"candidates", CAPT_O_INT, &max_candidates, "N", "try at most N training captions, drawn with the seed; 0: all", 0, 1e9, 0, 0},
    {0}};

static capt_prog prog = {.name = "capt-floor",
                         .synopsis = "[options] --captions FILE",
                         .about = "Writes the captions of captioners that learn nothing, as a floor for scores.",
                         .opts = options,
                         .groups = CAPT_G_THREADS | CAPT_G_SEED,
                         .min_args = 0,
                         .max_args = 0,
                         .run = run};
CAPT_MAIN(prog)
