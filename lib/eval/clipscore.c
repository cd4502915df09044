#include "eval/clipscore.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/checkpoint.h"
#include "model/clip_text.h"
#include "text/vocab.h"

static const char prefix[] = "A photo depicts ";

struct capt_clipscore {
    capt_params params;
    capt_ctx *ctx;
    capt_encoder *image;
    capt_clip_text *text;
    capt_vocab *vocab;
    capt_prep prep;
    char id[33];
    capt_real *row; /* (most, dim) of one call */
    size_t most;
};

static int open_all(capt_clipscore *c, const char *weights, const char *merges, capt_backend *be, capt_err *err)
{
    char image[33], text[33];
    json_t *prep = NULL;
    c->vocab = capt_vocab_new_clip(merges, err);
    c->ctx = c->vocab ? capt_ctx_new(be, CAPT_F32, err) : NULL;
    c->image = c->ctx ? capt_encoder_load(weights, &c->params, image, &prep, err) : NULL;
    int rc = c->image ? capt_prep_from_json(prep, &c->prep, weights, err) : -1;
    json_decref(prep);
    c->text = rc ? NULL : capt_clip_text_load(weights, NULL, &c->params, text, err);
    if (!c->text)
        return -1;
    if (capt_clip_text_vocab(c->text) != capt_vocab_size(c->vocab))
        return capt_fail(err, CAPT_EDATA, "%s has %d tokens, %s makes %d", weights, capt_clip_text_vocab(c->text), merges, capt_vocab_size(c->vocab));
    if (capt_clip_text_dim(c->text) != c->image->global_dim)
        return capt_fail(err, CAPT_EDATA, "%s: texts become %d numbers, images %d", weights, capt_clip_text_dim(c->text), c->image->global_dim);
    capt_hasher *h = capt_hasher_new();
    capt_hasher_add(h, image, 32);
    capt_hasher_add(h, text, 32);
    capt_hasher_add(h, capt_vocab_hash(c->vocab), 32);
    capt_hasher_end(h, c->id);
    return 0;
}

capt_clipscore *capt_clipscore_open(const char *weights, const char *merges, capt_backend *be, capt_err *err)
{
    capt_clipscore *c = capt_alloc(sizeof *c);
    capt_params_init(&c->params, be, CAPT_F32, 0);
    if (open_all(c, weights, merges, be, err)) {
        capt_clipscore_close(c);
        return NULL;
    }
    return c;
}

void capt_clipscore_close(capt_clipscore *c)
{
    if (!c)
        return;
    capt_clip_text_free(c->text);
    capt_encoder_free(c->image);
    capt_ctx_free(c->ctx);
    capt_params_free(&c->params);
    capt_vocab_free(c->vocab);
    free(c->row);
    free(c);
}

int capt_clipscore_dim(const capt_clipscore *c) { return c->image->global_dim; }
const capt_prep *capt_clipscore_prep(const capt_clipscore *c) { return &c->prep; }
const char *capt_clipscore_id(const capt_clipscore *c) { return c->id; }

int capt_clipscore_is_published(const capt_clipscore *c)
{
    const json_t *o = c->image->config;
    return !strcmp(c->image->type->name, "clip-vit") && c->image->size == 224 && capt_config_int(o, "patch") == 32 && capt_config_int(o, "width") == 768 &&
           capt_config_int(o, "layers") == 12 && c->image->global_dim == 512;
}

/* t (n,dim) as unit vectors */
static int fetch(capt_clipscore *c, const capt_tensor *t, int n, float *out, capt_err *err)
{
    size_t D = (size_t)c->image->global_dim, all = (size_t)n * D;
    if (capt_ctx_check(c->ctx, err))
        return -1;
    if (all > c->most) {
        free(c->row);
        c->most = all;
        c->row = capt_alloc(all * sizeof *c->row);
    }
    if (capt_ctx_download(c->ctx, c->row, t->data, all * sizeof *c->row))
        return capt_ctx_check(c->ctx, err);
    for (size_t i = 0; i < (size_t)n; i++) {
        const capt_real *x = c->row + i * D;
        double sum = 0;
        for (size_t k = 0; k < D; k++)
            sum += (double)x[k] * (double)x[k];
        if (!isfinite(sum) || sum == 0)
            return capt_fail(err, CAPT_EDATA, "an embedding is %s: the weights are damaged", sum == 0 ? "zero" : "not finite");
        for (size_t k = 0; k < D; k++)
            out[i * D + k] = (float)((double)x[k] / sqrt(sum));
    }
    return 0;
}

int capt_clipscore_images(capt_clipscore *c, const unsigned char *pixels, int n, float *out, capt_err *err)
{
    capt_encoded e = {0};
    capt_ctx_reset(c->ctx);
    capt_tensor *u8 = capt_ctx_upload(c->ctx, CAPT_U8, 4, (const int64_t[]){n, c->prep.size, c->prep.size, 3}, pixels);
    if (!capt_ctx_bad(c->ctx))
        capt_encode(c->ctx, c->image, u8, &e);
    return fetch(c, e.global, n, out, err);
}

int capt_clipscore_texts(capt_clipscore *c, const char *const *captions, int n, float *out, capt_err *err)
{
    int N = capt_clip_text_positions(c->text), T = 0, rc = 0;
    int32_t *id = capt_alloc((size_t)n * (size_t)N * sizeof *id), *end = capt_alloc((size_t)n * sizeof *end);
    capt_str s = {0};
    for (int i = 0; i < n && !rc; i++) {
        int32_t *row = id + (size_t)i * (size_t)N;
        int k;
        capt_str_clear(&s);
        capt_str_puts(&s, prefix);
        capt_str_puts(&s, captions[i]);
        rc = capt_vocab_encode(c->vocab, s.s, N - 2, row + 1, &k, err); /* what is longer is cut */
        row[0] = capt_vocab_bos(c->vocab);
        end[i] = k + 1;
        row[end[i]] = capt_vocab_eos(c->vocab);
        T = end[i] + 1 > T ? end[i] + 1 : T;
    }
    for (int i = 1; i < n && !rc; i++) /* (n,N) -> (n,T) */
        memmove(id + (size_t)i * (size_t)T, id + (size_t)i * (size_t)N, (size_t)T * sizeof *id);
    if (!rc) {
        capt_ctx_reset(c->ctx);
        rc = fetch(c, capt_clip_text_embed(c->ctx, c->text, n, T, id, end), n, out, err);
    }
    capt_str_free(&s);
    free(id);
    free(end);
    return rc ? -1 : 0;
}

static double cosine(const float *a, const float *b, int dim)
{
    double s = 0;
    for (int i = 0; i < dim; i++)
        s += (double)a[i] * (double)b[i];
    return s;
}

double capt_clipscore_of(const float *image, const float *text, int dim)
{
    return 2.5 * fmax(cosine(image, text, dim), 0);
}

double capt_clipscore_with_refs(double clip, const float *text, const float *refs, size_t n, int dim)
{
    double most = 0;
    for (size_t i = 0; i < n; i++)
        most = fmax(most, cosine(text, refs + i * (size_t)dim, dim));
    return clip > 0 && most > 0 ? 2 * clip * most / (clip + most) : 0;
}
