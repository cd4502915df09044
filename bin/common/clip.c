#include "common/clip.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>
#include "base/mem.h"
#include "eval/clipscore.h"
#include "image/jpeg.h"

enum { IMAGES = 32, TEXTS = 64 }; /* at a time */

struct prog_clip {
    capt_prog *p;
    capt_pool *pool;
    capt_backend *be;
    capt_clipscore *score;
    const capt_caption *const *image;
    size_t n;
    int dir, dim;
    float *picture; /* (n,dim) */
    float *ref;     /* (ref_at[n],dim) */
    size_t *ref_at;
    unsigned char *pixels;
    size_t first; /* of the batch being read */
    capt_err err[IMAGES];
};

static void read_one(void *arg, int64_t i, int worker)
{
    prog_clip *c = arg;
    const capt_prep *prep = capt_clipscore_prep(c->score);
    const capt_caption *rec = c->image[c->first + (size_t)i];
    capt_err *err = &c->err[i];
    capt_image im = {0};
    char key[CAPT_ID_KEY];
    capt_id_key(&rec->id, key);
    (void)worker;
    if (!rec->file)
        capt_fail(err, CAPT_EDATA, "image %s: the references name no file", key);
    else if (!capt_image_load(c->dir, rec->file, NULL, &im, err) && capt_prep_run(prep, &im, c->pixels + (size_t)i * (size_t)prep->size * (size_t)prep->size * 3, err))
        capt_err_prefix(err, "%s", rec->file);
    capt_image_free(&im);
}

static int embed_pictures(prog_clip *c)
{
    capt_prog *p = c->p;
    size_t side = (size_t)capt_clipscore_prep(c->score)->size;
    capt_progress g;
    int rc = 0;
    c->pixels = capt_try_alloc64(IMAGES * side * side * 3, &p->err);
    c->picture = capt_try_alloc64((c->n + 1) * (size_t)c->dim * sizeof(float), &p->err);
    if (!c->pixels || !c->picture)
        return -1;
    capt_progress_start(&g, p, "images", (int64_t)c->n);
    for (size_t i = 0; i < c->n && !rc; i += IMAGES) {
        int k = c->n - i < IMAGES ? (int)(c->n - i) : IMAGES;
        c->first = i;
        for (int b = 0; b < k; b++)
            c->err[b] = (capt_err)CAPT_ERR_INIT;
        capt_pool_run(c->pool, k, read_one, c);
        for (int b = 0; b < k && !rc; b++)
            if (c->err[b].code)
                rc = capt_fail(&p->err, c->err[b].code, "%s", c->err[b].text);
        rc = rc || capt_clipscore_images(c->score, c->pixels, k, c->picture + i * (size_t)c->dim, &p->err);
        capt_progress_at(&g, (int64_t)i + k, NULL);
    }
    capt_progress_end(&g);
    return rc ? -1 : 0;
}

/* what: they are, for a progress bar; NULL: none */
static int embed_texts(prog_clip *c, const char *const *text, size_t n, float *out, const char *what)
{
    capt_progress g;
    int rc = 0;
    if (what)
        capt_progress_start(&g, c->p, what, (int64_t)n);
    for (size_t i = 0; i < n && !rc; i += TEXTS) {
        int k = n - i < TEXTS ? (int)(n - i) : TEXTS;
        rc = capt_clipscore_texts(c->score, text + i, k, out + i * (size_t)c->dim, &c->p->err);
        if (what)
            capt_progress_at(&g, (int64_t)i + k, NULL);
    }
    if (what)
        capt_progress_end(&g);
    return rc;
}

static int embed_references(prog_clip *c)
{
    size_t total = 0;
    c->ref_at = capt_alloc((c->n + 1) * sizeof *c->ref_at);
    for (size_t i = 0; i < c->n; i++)
        c->ref_at[i + 1] = total += (size_t)c->image[i]->n_captions;
    c->ref = capt_try_alloc64((total + 1) * (size_t)c->dim * sizeof(float), &c->p->err);
    if (!c->ref)
        return -1;
    const char **text = capt_alloc((total + 1) * sizeof *text);
    for (size_t i = 0; i < c->n; i++)
        for (int k = 0; k < c->image[i]->n_captions; k++)
            text[c->ref_at[i] + (size_t)k] = c->image[i]->captions[k];
    int rc = embed_texts(c, text, total, c->ref, "references");
    free(text);
    return rc;
}

prog_clip *prog_clip_open(capt_prog *p, capt_pool *pool, const char *images, const char *weights, const char *merges, const capt_caption *const *image, size_t n, int references)
{
    prog_clip *c = capt_alloc(sizeof *c);
    *c = (prog_clip){.p = p, .pool = pool, .image = image, .n = n};
    c->dir = open(images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (c->dir < 0)
        capt_fail_errno(&p->err, "%s", images);
    c->be = c->dir < 0 ? NULL : capt_backend_open(p->device, pool, &p->err);
    c->score = c->be ? capt_clipscore_open(weights, merges, c->be, &p->err) : NULL;
    if (c->score) {
        c->dim = capt_clipscore_dim(c->score);
        if (!capt_clipscore_is_published(c->score))
            capt_prog_warn(p, "%s is not ViT-B/32 at 224 pixels: this CLIPScore compares with no published one", weights);
    }
    if (!c->score || embed_pictures(c) || (references && embed_references(c))) {
        prog_clip_close(c);
        return NULL;
    }
    return c;
}

void prog_clip_close(prog_clip *c)
{
    if (!c)
        return;
    capt_clipscore_close(c->score);
    capt_backend_close(c->be);
    if (c->dir >= 0)
        close(c->dir);
    free(c->picture);
    free(c->ref);
    free(c->ref_at);
    free(c->pixels);
    free(c);
}

const char *prog_clip_id(const prog_clip *c)
{
    return capt_clipscore_id(c->score);
}

int prog_clip_score(prog_clip *c, const char *const *captions, capt_metric_out *out)
{
    size_t D = (size_t)c->dim;
    float *text = capt_try_alloc64((c->n + 1) * D * sizeof *text, &c->p->err);
    if (!text || embed_texts(c, captions, c->n, text, "captions")) {
        free(text);
        return -1;
    }
    capt_metric_score *s = out->score;
    s[0] = (capt_metric_score){.key = "CLIPScore", .each = capt_alloc((c->n + 1) * sizeof(double))};
    s[1] = (capt_metric_score){.key = "RefCLIPScore", .each = capt_alloc((c->n + 1) * sizeof(double))};
    out->n_score = 2;
    for (size_t i = 0; i < c->n; i++) {
        s[0].each[i] = capt_clipscore_of(c->picture + i * D, text + i * D, c->dim);
        s[1].each[i] = capt_clipscore_with_refs(s[0].each[i], text + i * D, c->ref + c->ref_at[i] * D, c->ref_at[i + 1] - c->ref_at[i], c->dim);
    }
    s[0].value = capt_mean(s[0].each, c->n);
    s[1].value = capt_mean(s[1].each, c->n);
    free(text);
    return 0;
}

int prog_clip_rate(prog_clip *c, const size_t *image, const char *const *captions, size_t n, double *out)
{
    size_t D = (size_t)c->dim;
    float *text = capt_try_alloc64((n + 1) * D * sizeof *text, &c->p->err);
    int rc = !text || embed_texts(c, captions, n, text, NULL) ? -1 : 0;
    for (size_t i = 0; i < n && !rc; i++)
        out[i] = capt_clipscore_of(c->picture + image[i] * D, text + i * D, c->dim);
    free(text);
    return rc;
}
