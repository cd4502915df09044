/* Small captioners on a few images, for the tests of what is true of all captioners. */
#ifndef CAPT_TESTS_MODEL_RIG_H
#define CAPT_TESTS_MODEL_RIG_H
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/mem.h"
#include "base/rng.h"
#include "decode/scorer.h"
#include "train/xe.h"
#include "vocab_rig.h"

enum { I = 2, D_FEAT = 6, WORDS = 5, MAX_V = 12 };

typedef struct fixture {
    capt_backend *be;
    capt_model *m;
    capt_ctx *c;
    capt_real feat[I * 3 * D_FEAT];
    capt_input in;
} fixture;

/* What the laws are tried on: feature rows, image tokens (of captioners that have the key), which of the other words of choice keys (0: the first of each), tag tokens. */
typedef struct variant { const char *type; int rows, tokens, choice, tags; } variant;

static inline int n_choices(const char *type)
{
    int n = 1;
    for (const capt_key *k = capt_captioner_find(type)->keys; k->name; k++)
        for (const char *c = k->type == 'c' ? k->def : ""; (c = strchr(c, '|')) != NULL; c++)
            n++;
    return n;
}

/* All captioners, all their choices, with one feature row and with three. */
static inline int all_variants(variant *v, int room)
{
    int n = 0;
    for (int k = 0; capt_captioner_types[k]; k++) {
        const char *name = capt_captioner_types[k]->name;
        for (int c = 0; c < n_choices(name); c++) {
            assert_true(n + 3 <= room);
            v[n++] = (variant){name, 1, 1, c, 0};
            v[n++] = (variant){name, 3, 0, c, 0};
            if (!strcmp(name, "gpt2"))
                v[n++] = (variant){name, 1, 4, c, 0};
        }
    }
    return n;
}

static inline json_t *small_config(const variant *v, double dropout)
{
    static const struct { const char *key; int value; } small[] = {{"feature_dim", D_FEAT}, {"words", WORDS}, {"width", 8}, {"layers", 2}, {"heads", 2}, {"embed", 6}, {"attention", 5},
                                                                   {"ff", 12}, {"memory", 3}};
    int choice = 0;
    json_t *o = json_pack("{s:s, s:s, s:i, s:i}", "type", v->type, "feature", "global", "feature_rows", v->rows, "tag_tokens", v->tags);
    for (const capt_key *k = capt_captioner_find(v->type)->keys; k->name; k++) {
        for (size_t i = 0; i < sizeof small / sizeof *small; i++)
            if (!strcmp(k->name, small[i].key))
                json_object_set_new(o, k->name, json_integer(small[i].value));
        if (!strcmp(k->name, "tokens"))
            json_object_set_new(o, k->name, json_integer(v->tokens));
        if (strstr(k->name, "dropout"))
            json_object_set_new(o, k->name, json_real(dropout));
        for (const char *word = k->type == 'c' ? k->def : NULL; word && (word = strchr(word, '|')) != NULL;)
            if (word++, ++choice == v->choice)
                json_object_set_new(o, k->name, json_stringn(word, strcspn(word, "|")));
    }
    return o;
}

static inline void set_up(fixture *f, const char *device, const variant *v, int V, double dropout, uint64_t seed)
{
    capt_err err = CAPT_ERR_INIT;
    int rows = v->rows;
    memset(f, 0, sizeof *f);
    f->be = capt_backend_open(device, NULL, &err);
    assert_non_null(f->be);
    json_t *config = small_config(v, dropout);
    f->m = capt_model_new(config, small_vocab(V), NULL, f->be, CAPT_F32, seed, &err);
    json_decref(config);
    if (!f->m)
        fail_msg("%s", err.text);
    for (int i = 0; i < f->m->params.n; i++) { /* larger than usual weights: differences show */
        capt_param *p = f->m->params.v[i];
        int64_t n = capt_tensor_numel(&p->t);
        capt_real *x = capt_alloc((size_t)n * sizeof *x);
        capt_param_get(&f->m->params, p, x);
        for (int64_t k = 0; k < n; k++)
            x[k] += (capt_real)(0.3 * capt_rng_normal(capt_rng_key(seed, 99, (uint64_t)i, 0), (uint64_t)k));
        capt_param_set(&f->m->params, p, x);
        free(x);
    }
    f->c = capt_ctx_new(f->be, CAPT_F32, &err);
    assert_non_null(f->c);
    for (int k = 0; k < I * rows * D_FEAT; k++)
        f->feat[k] = (capt_real)capt_rng_normal(7, (uint64_t)k);
    f->in = (capt_input){.n_images = I, .feat = f->feat, .S = rows, .D = D_FEAT};
}

static inline void tear_down(fixture *f)
{
    capt_ctx_free(f->c);
    capt_model_free(f->m);
    capt_backend_close(f->be);
}

static inline void ok(int rc, const capt_err *err)
{
    if (rc)
        fail_msg("%s", err->text);
}

/* Hidden vectors (R,T,D) of teacher forcing, on the host. */
static inline capt_real *hidden(fixture *f, int R, int T, const int32_t *row_image, const int32_t *tokens)
{
    capt_err err = CAPT_ERR_INIT;
    capt_ctx_reset(f->c);
    capt_feat x = capt_image_features(f->c, f->m, NULL, &f->in);
    capt_tensor *h = f->m->type->forward(f->c, f->m, &x, R, T, row_image, tokens, NULL);
    size_t n = (size_t)R * (size_t)T * (size_t)f->m->hidden;
    capt_real *out = capt_alloc(n * sizeof *out);
    capt_ctx_download(f->c, out, capt_ctx_bad(f->c) ? NULL : h->data, n * sizeof *out);
    ok(capt_ctx_check(f->c, &err), &err);
    return out;
}

static inline double distance(const capt_real *a, const capt_real *b, int n)
{
    double d = 0;
    for (int i = 0; i < n; i++)
        d = fmax(d, fabs((double)a[i] - (double)b[i]));
    return d;
}

static const int32_t row_image[3] = {0, 1, 1};
static const int32_t tokens3[3 * WORDS] = {1, 4, 5, 6, 7, 1, 7, 6, 4, 4, 1, 5, 5, 8, 6};

static variant variants[40];
static int n_variants;
#define EACH_VARIANT(v) for (const variant *v = variants; v < variants + n_variants; v++)

/* on the guard, and on the fast backend where it is built */
static const char *const devices[] = {"guard", "cpu"};
enum { N_DEVICES = sizeof(capt_real) == 8 ? 1 : 2 };

/* Log-probability of a caption (EOS included when ended) after the image's tags, if it has any. */
static inline double logp_of(fixture *f, int image, const int32_t *ids, int n, int ended)
{
    enum { MOST = 2 * WORDS };
    int32_t in[MOST], target[MOST], one = image;
    capt_real w[MOST] = {0};
    int tags = capt_input_tags(&f->in, image), T = tags + n + ended;
    assert_true(T <= MOST);
    for (int t = 0; t < T; t++) {
        int word = t - tags;
        in[t] = word < 0 ? f->in.tags[f->in.tag_at[image] + t] : word ? ids[word - 1] : 1;
        target[t] = word < 0 ? 0 : word < n ? ids[word] : 2;
        w[t] = word >= 0;
    }
    capt_rows rows = {1, T, &one, in, target, w, 0, 0, 0};
    capt_err err = CAPT_ERR_INIT;
    double loss;
    ok(capt_xe_pass(f->c, f->m, NULL, &f->in, &rows, 1, 0, 0, &loss, &err), &err);
    return -loss;
}

/* All captions of at most max_t steps, by exhaustive enumeration. */
typedef struct best { double score; int32_t ids[WORDS]; int n; } best;

static inline void enumerate(fixture *f, int image, int V, int max_t, int32_t *ids, int n, best *b, void (*each)(void *, const int32_t *, int, int, double), void *arg)
{
    for (int ended = n == max_t ? 0 : 1; ended >= 0; ended--) {
        if (!ended && n < max_t)
            break;
        double p = logp_of(f, image, ids, n, ended);
        if (b && p > b->score) {
            b->score = p;
            b->n = n;
            memcpy(b->ids, ids, (size_t)n * sizeof *ids);
        }
        if (each)
            each(arg, ids, n, ended, p);
    }
    for (int w = 4; w < V && n < max_t; w++) {
        ids[n] = w;
        enumerate(f, image, V, max_t, ids, n + 1, b, each, arg);
    }
}
#endif
