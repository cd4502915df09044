#include "data/source.h"
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "text/tags.h"

struct capt_source {
    capt_store *store;
    char section[CAPT_SECTION_NAME + 1];
    int rows, dim, varies;
    int dirfd;
    capt_prep prep;
    capt_jpeg_limits limits;
    capt_augment augment;
    int images, augmented;
    const capt_vocab *vocab;
    int most_tags;
};

capt_source *capt_source_store(capt_store *store, const char *section, int rows, capt_err *err)
{
    const capt_store_section *sec = capt_store_section_of(store, section);
    if (!sec) {
        capt_fail(err, CAPT_EDATA, "the store has no section \"%s\"", section);
        return NULL;
    }
    if (sec->rows && rows && sec->rows != rows) {
        capt_fail(err, CAPT_EDATA, "the store's %s has %d rows an image, the model takes %d", section, sec->rows, rows);
        return NULL;
    }
    capt_source *s = capt_alloc(sizeof *s);
    s->store = store;
    memcpy(s->section, sec->name, sizeof s->section);
    s->varies = !sec->rows;
    s->rows = sec->rows ? sec->rows : rows;
    s->dim = sec->dim;
    if (s->rows < 1) {
        capt_fail(err, CAPT_EDATA, "the store's %s varies in rows: the model must say how many it takes at most", section);
        free(s);
        return NULL;
    }
    return s;
}

capt_source *capt_source_images(int dirfd, const capt_prep *prep, const capt_jpeg_limits *limits, const capt_augment *augment)
{
    capt_source *s = capt_alloc(sizeof *s);
    s->images = 1;
    s->dirfd = dirfd;
    s->prep = *prep;
    if (limits)
        s->limits = *limits;
    if (augment) {
        s->augment = *augment;
        s->augmented = 1;
    }
    return s;
}

void capt_source_free(capt_source *s)
{
    free(s);
}

void capt_source_read_tags(capt_source *s, const capt_vocab *v, int most)
{
    s->vocab = v;
    s->most_tags = most;
}

int capt_source_tags(const capt_source *s)
{
    return s->most_tags;
}

int capt_source_rows(const capt_source *s)
{
    return s->images ? 0 : s->rows;
}

int capt_source_dim(const capt_source *s)
{
    return s->dim;
}

int capt_source_is_images(const capt_source *s)
{
    return s->images;
}

const char *capt_source_section(const capt_source *s)
{
    return s->section;
}

static int load_feature(capt_source *s, const capt_caption *rec, capt_real *out, int32_t *len, capt_err *err)
{
    char key[CAPT_ID_KEY];
    capt_id_key(&rec->id, key);
    capt_feature f;
    int got = capt_store_get(s->store, &rec->id, &f, err);
    if (got < 0)
        return -1;
    if (!got)
        return capt_fail(err, CAPT_EDATA, "image %s is not in the store", key);
    const capt_section *sec = capt_feature_section(&f, s->section);
    if (!sec || sec->dim != s->dim || sec->rows > s->rows || (!s->varies && sec->rows != s->rows))
        return capt_fail(err, CAPT_EDATA, "image %s: its %s does not fit %dx%d", key, s->section, s->rows, s->dim);
    if (capt_feature_not_finite(sec) >= 0)
        return capt_fail(err, CAPT_EDATA, "image %s: its %s holds a NaN or an infinity", key, s->section);
    size_t used = (size_t)sec->rows * (size_t)sec->dim, all = (size_t)s->rows * (size_t)s->dim;
    capt_feature_to_real(sec, out);
    memset(out + used, 0, (all - used) * sizeof *out);
    *len = sec->rows;
    return 0;
}

static int load_picture(capt_source *s, const capt_caption *rec, const uint64_t *key, uint8_t *out, capt_err *err)
{
    char id[CAPT_ID_KEY];
    capt_id_key(&rec->id, id);
    if (!rec->file)
        return capt_fail(err, CAPT_EDATA, "image %s: the record names no \"file\"", id);
    capt_image im = {0, 0, NULL};
    if (capt_image_load(s->dirfd, rec->file, &s->limits, &im, err))
        return -1;
    int rc = s->augmented && key ? capt_prep_augment(&s->prep, &s->augment, *key, &im, out, err) : capt_prep_run(&s->prep, &im, out, err);
    if (rc)
        capt_err_prefix(err, "%s", rec->file);
    capt_image_free(&im);
    return rc;
}

static size_t bytes_of(const capt_source *s)
{
    return s->images ? (size_t)s->prep.size * (size_t)s->prep.size * 3 : (size_t)s->rows * (size_t)s->dim * sizeof(capt_real);
}

static void *slot_of(const capt_source *s, const capt_loaded *b, int i)
{
    return (s->images ? (char *)b->pixels : (char *)b->feat) + (size_t)i * bytes_of(s);
}

int capt_source_room(const capt_source *s, int n, capt_loaded *b, capt_err *err)
{
    if ((size_t)n <= b->cap)
        return 0;
    capt_loaded_free(b);
    void *p = capt_try_alloc64(bytes_of(s) * (size_t)n, err);
    if (!p)
        return -1;
    if (s->images)
        b->pixels = p;
    else
        b->feat = p;
    b->len = capt_alloc((size_t)n * sizeof *b->len);
    b->tags = capt_alloc(((size_t)n * (size_t)s->most_tags + 1) * sizeof *b->tags);
    b->n_tags = capt_alloc((size_t)n * sizeof *b->n_tags);
    b->tag_at = capt_alloc(((size_t)n + 1) * sizeof *b->tag_at);
    b->cap = (size_t)n;
    return 0;
}

int capt_source_load_one(capt_source *s, const capt_caption *rec, const uint64_t *augment_key, capt_loaded *b, int i, capt_err *err)
{
    if (s->images ? load_picture(s, rec, augment_key, slot_of(s, b, i), err) : load_feature(s, rec, slot_of(s, b, i), &b->len[i], err))
        return -1;
    int m = 0;
    if (s->most_tags && capt_tags_encode(s->vocab, rec->tags, rec->n_tags, s->most_tags, b->tags + (size_t)i * (size_t)s->most_tags, &m, NULL, err)) {
        char key[CAPT_ID_KEY];
        capt_id_key(&rec->id, key);
        return capt_err_prefix(err, "image %s: its tags", key);
    }
    b->n_tags[i] = m;
    return 0;
}

void capt_source_loaded(const capt_source *s, int n, const capt_err *bad, capt_loaded *b)
{
    int k = 0;
    for (int i = 0; i < n; i++) {
        if (bad && bad[i].code)
            continue;
        if (k < i)
            memcpy(slot_of(s, b, k), slot_of(s, b, i), bytes_of(s));
        b->len[k] = b->len[i];
        memmove(b->tags + b->tag_at[k], b->tags + (size_t)i * (size_t)s->most_tags, (size_t)b->n_tags[i] * sizeof *b->tags);
        b->tag_at[k + 1] = b->tag_at[k] + b->n_tags[i];
        k++;
    }
    b->in = (capt_input){.n_images = k, .feat = b->feat, .S = s->rows, .D = s->dim, .len = s->varies ? b->len : NULL, .pixels = b->pixels, .px = s->prep.size, .tags = b->tags,
                         .tag_at = s->most_tags ? b->tag_at : NULL};
}

int capt_source_load(capt_source *s, const capt_caption *const *recs, int n, const uint64_t *augment_key, capt_loaded *b, capt_err *err)
{
    if (capt_source_room(s, n, b, err))
        return -1;
    for (int i = 0; i < n; i++)
        if (capt_source_load_one(s, recs[i], augment_key ? &augment_key[i] : NULL, b, i, err))
            return -1;
    capt_source_loaded(s, n, NULL, b);
    return 0;
}

void capt_loaded_free(capt_loaded *b)
{
    free(b->feat);
    free(b->pixels);
    free(b->len);
    free(b->tags);
    free(b->n_tags);
    free(b->tag_at);
    memset(b, 0, sizeof *b);
}
