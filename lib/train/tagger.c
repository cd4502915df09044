#include "train/tagger.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "op/op.h"
#include "train/xe.h"

static int by_number(const void *a, const void *b)
{
    return *(const int32_t *)a - *(const int32_t *)b;
}

/* The record's tags as ids in rising order, each once, at most `most`; ids has room for all. */
static int ids_of(const capt_vocab *v, const capt_caption *rec, int most, int32_t *ids)
{
    int n = 0, k = 0;
    for (int i = 0; i < rec->n_tags; i++) {
        int32_t id = capt_vocab_find(v, rec->tags[i]);
        if (id >= CAPT_TAG_FIRST)
            ids[n++] = id;
    }
    if (n)
        qsort(ids, (size_t)n, sizeof *ids, by_number);
    for (int i = 0; i < n; i++)
        if (i == 0 || ids[i] != ids[i - 1])
            ids[k++] = ids[i];
    return k < most ? k : most;
}

static int is_sequence(const capt_model *m)
{
    return m->type->step != NULL;
}

/* Logits of all tokens, (I,V) */
static capt_tensor *logits(capt_ctx *c, capt_model *m, const capt_input *in)
{
    int I = in->n_images;
    int32_t *image = capt_alloc((size_t)I * sizeof *image);
    for (int i = 0; i < I; i++)
        image[i] = i;
    capt_feat f = capt_image_features(c, m, NULL, in);
    capt_tensor *h = m->type->forward(c, m, &f, I, 1, image, NULL, NULL);
    free(image);
    return capt_reshape_to(c, capt_linear(c, h, m->head_w, m->head_b, CAPT_MAP_none), I, capt_vocab_size(m->vocab));
}

/* Binary cross-entropy is a softmax over the logit and 0: -log sigmoid(z) when the tag is there, -log(1 - sigmoid(z)) when not. */
static int set_pass(capt_ctx *c, capt_model *m, const capt_input *in, const capt_caption *const *recs, int backward, double *loss, capt_err *err)
{
    static const capt_real pair[2] = {1, 0};
    int I = in->n_images, V = capt_vocab_size(m->vocab);
    size_t cells = (size_t)I * (size_t)V;
    int32_t *target = capt_alloc(cells * sizeof *target), *ids = capt_alloc((CAPT_TAGS_MAX + 1) * sizeof *ids);
    capt_real *weight = capt_alloc(cells * sizeof *weight), *each = capt_alloc(cells * sizeof *each);
    for (int i = 0; i < I; i++) {
        int n = ids_of(m->vocab, recs[i], CAPT_TAGS_MAX, ids);
        for (int k = 0; k < V; k++) {
            target[i * V + k] = 1;
            weight[i * V + k] = k < CAPT_TAG_FIRST ? 0 : 1 / (capt_real)I;
        }
        for (int k = 0; k < n; k++)
            target[i * V + ids[k]] = 0;
    }
    capt_ctx_reset(c);
    c->recording = backward;
    capt_tensor *z = capt_reshape_to(c, logits(c, m, in), (int64_t)cells, 1), *w = capt_ctx_upload(c, CAPT_F32, CAPT_DIMS(2, 1), pair);
    capt_tensor *l = capt_xent(c, z, w, NULL, target, weight, 0);
    if (backward)
        capt_tape_backward(c);
    int rc = capt_ctx_download(c, each, capt_ctx_bad(c) ? NULL : l->data, cells * sizeof *each);
    *loss = 0;
    for (size_t k = 0; k < cells && !rc; k++)
        *loss += (double)each[k];
    rc = capt_ctx_check(c, err) || rc ? -1 : 0;
    c->recording = 0;
    free(target);
    free(ids);
    free(weight);
    free(each);
    return rc;
}

static int sequence_pass(capt_ctx *c, capt_model *m, const capt_input *in, const capt_caption *const *recs, int backward, double *loss, capt_err *err)
{
    int I = in->n_images, T = m->max_t;
    size_t cells = (size_t)I * (size_t)T;
    int32_t *tokens = capt_alloc(cells * sizeof *tokens), *targets = capt_alloc(cells * sizeof *targets), *image = capt_alloc((size_t)I * sizeof *image),
            *ids = capt_alloc((CAPT_TAGS_MAX + 1) * sizeof *ids);
    capt_real *weights = capt_alloc(cells * sizeof *weights);
    for (int i = 0; i < I; i++) {
        int n = ids_of(m->vocab, recs[i], T, ids);
        image[i] = i;
        for (int t = 0; t < T; t++) {
            int k = i * T + t;
            tokens[k] = t == 0 ? capt_vocab_bos(m->vocab) : t <= n ? ids[t - 1] : capt_vocab_pad(m->vocab);
            targets[k] = t < n ? ids[t] : capt_vocab_eos(m->vocab);
            weights[k] = t <= n;
        }
    }
    capt_rows rows = {I, T, image, tokens, targets, weights, c->row0, c->image0, 0};
    int rc = capt_xe_pass(c, m, NULL, in, &rows, I, 0, backward, loss, err);
    free(tokens);
    free(targets);
    free(image);
    free(ids);
    free(weights);
    return rc;
}

int capt_tagger_pass(capt_ctx *c, capt_model *m, const capt_input *in, const capt_caption *const *recs, int backward, double *loss, capt_err *err)
{
    if ((is_sequence(m) ? sequence_pass : set_pass)(c, m, in, recs, backward, loss, err))
        return -1;
    return isfinite(*loss) ? 0 : capt_fail(err, CAPT_EDATA, "the loss is not finite");
}

int capt_tagger_predict(capt_ctx *c, capt_model *m, capt_scorer *s, const capt_input *in, capt_real *p, capt_err *err)
{
    int I = in->n_images, V = capt_vocab_size(m->vocab), training = c->training;
    size_t cells = (size_t)I * (size_t)V;
    if (is_sequence(m)) {
        capt_found *found = capt_alloc((size_t)I * sizeof *found);
        const capt_beam_opts o = {.beam = 1, .nbest = 1, .ngram = 1, .detail = CAPT_DETAIL_WORDS};
        int rc = capt_beam_run(s, in, &o, found, err);
        memset(p, 0, cells * sizeof *p);
        for (int i = 0; i < I && !rc; i++)
            for (int t = 0; t < found[i].n; t++)
                p[i * V + found[i].ids[t]] = (capt_real)exp(found[i].word[t]);
        capt_found_free(found, I);
        free(found);
        return rc;
    }
    capt_ctx_reset(c);
    c->training = 0;
    capt_tensor *z = capt_apply(c, logits(c, m, in), CAPT_MAP_sigmoid);
    capt_ctx_download(c, p, capt_ctx_bad(c) ? NULL : z->data, cells * sizeof *p);
    c->training = training;
    for (size_t k = 0; k < cells; k++)
        p[k] = k % (size_t)V < CAPT_TAG_FIRST ? 0 : p[k];
    return capt_ctx_check(c, err);
}

void capt_tag_count(capt_tag_counts *n, const capt_vocab *v, const capt_real *p, const capt_caption *const *recs, int n_images)
{
    int V = capt_vocab_size(v);
    int32_t *ids = capt_alloc((CAPT_TAGS_MAX + 1) * sizeof *ids);
    uint8_t *is = capt_alloc((size_t)V);
    for (int i = 0; i < n_images; i++, p += V) {
        int m = ids_of(v, recs[i], CAPT_TAGS_MAX, ids);
        for (int k = 0; k < m; k++)
            is[ids[k]] = 1;
        n->wanted += m;
        n->images++;
        for (int k = CAPT_TAG_FIRST; k < V; k++)
            for (int t = 0; t < CAPT_TAG_STEPS && (double)p[k] >= (t + 1) / 100.0; t++) {
                n->given[t]++;
                n->right[t] += is[k];
            }
        for (int k = 0; k < m; k++)
            is[ids[k]] = 0;
    }
    free(ids);
    free(is);
}

capt_tag_quality capt_tag_best(const capt_tag_counts *n)
{
    capt_tag_quality best = {.threshold = 0.5, .f1 = -1};
    for (int t = 0; t < CAPT_TAG_STEPS; t++) {
        double all = (double)(n->given[t] + n->wanted), f1 = all > 0 ? 2 * (double)n->right[t] / all : 0;
        if (f1 > best.f1)
            best = (capt_tag_quality){(t + 1) / 100.0, n->given[t] ? (double)n->right[t] / (double)n->given[t] : 0, n->wanted ? (double)n->right[t] / (double)n->wanted : 0, f1};
    }
    return best;
}

typedef struct scored { double p; int32_t id; } scored;
static int likelier(const void *a, const void *b)
{
    const scored *x = a, *y = b;
    return x->p != y->p ? (x->p < y->p) - (x->p > y->p) : x->id - y->id;
}

int capt_tags_choose(const capt_real *p, int V, double threshold, int most, int32_t *ids)
{
    scored *s = capt_alloc((size_t)V * sizeof *s);
    int n = 0;
    for (int k = CAPT_TAG_FIRST; k < V; k++)
        if (p[k] > 0 && (double)p[k] >= threshold)
            s[n++] = (scored){(double)p[k], k};
    qsort(s, (size_t)n, sizeof *s, likelier);
    if (most && n > most)
        n = most;
    for (int k = 0; k < n; k++)
        ids[k] = s[k].id;
    free(s);
    return n;
}
