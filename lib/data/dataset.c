#include "data/dataset.h"
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"

struct capt_dataset {
    const capt_caption *const *recs;
    size_t n;
    capt_source *source;
    capt_dataset_opts o;
    int32_t *ids;   /* all captions' ids, one after another */
    size_t *at;     /* caption c: ids[at[c]] .. ids[at[c+1]-1] */
    uint8_t *ended; /* caption c ends with EOS */
    size_t *first;  /* image i: captions first[i] .. first[i+1]-1 */
    int32_t bos, eos, pad;
    int64_t unknown, words;
};

capt_dataset *capt_dataset_new(const capt_caption *const *recs, size_t n, const capt_vocab *v, capt_source *source, const capt_dataset_opts *o, capt_err *err)
{
    capt_dataset *d = capt_alloc(sizeof *d);
    *d = (capt_dataset){.recs = recs, .n = n, .source = source, .o = *o, .bos = capt_vocab_bos(v), .eos = capt_vocab_eos(v), .pad = capt_vocab_pad(v)};
    size_t total = 0;
    for (size_t i = 0; i < n; i++)
        total += (size_t)recs[i]->n_captions;
    d->first = capt_alloc((n + 1) * sizeof *d->first);
    d->at = capt_alloc((total + 1) * sizeof *d->at);
    d->ended = capt_alloc(total + 1);
    CAPT_VEC(int32_t) ids = {0};
    int32_t *tmp = capt_alloc((size_t)(o->words + 2) * sizeof *tmp), unk = capt_vocab_unk(v);
    size_t c = 0;
    for (size_t i = 0; i < n; i++) {
        d->first[i] = c;
        if (recs[i]->n_captions == 0 && !o->captionless) {
            char key[CAPT_ID_KEY];
            capt_id_key(&recs[i]->id, key);
            capt_fail(err, CAPT_EDATA, "image %s has no captions", key);
            goto bad;
        }
        for (int k = 0; k < recs[i]->n_captions; k++, c++) {
            int m = 0;
            if (capt_vocab_encode(v, recs[i]->captions[k], o->words + 1, tmp, &m, err))
                goto bad;
            d->ended[c] = m < o->words; /* room for EOS among the targets */
            if (m > o->words)
                m = o->words;
            d->at[c] = ids.n;
            for (int t = 0; t < m; t++) {
                d->unknown += unk >= 0 && tmp[t] == unk;
                capt_vec_push(&ids, tmp[t]);
            }
            d->words += m;
        }
    }
    d->first[n] = c;
    d->at[c] = ids.n;
    d->ids = ids.v;
    free(tmp);
    return d;
bad:
    free(tmp);
    d->ids = ids.v;
    capt_dataset_free(d);
    return NULL;
}

void capt_dataset_free(capt_dataset *d)
{
    if (!d)
        return;
    free(d->ids);
    free(d->at);
    free(d->ended);
    free(d->first);
    free(d);
}

size_t capt_dataset_images(const capt_dataset *d)
{
    return d->n;
}

int64_t capt_dataset_unknown(const capt_dataset *d, int64_t *words)
{
    *words = d->words;
    return d->unknown;
}

int64_t capt_dataset_batches(const capt_dataset *d, int batch)
{
    return ((int64_t)d->n + batch - 1) / batch;
}

/* Place `index` of the epoch's order. A keyed Feistel permutation over the next power of four, walked until it falls below n, needs no table, so any batch is
 * made without the ones before it. */
static size_t shuffled_place(uint64_t key, size_t n, size_t index)
{
    int half = 1;
    while ((uint64_t)1 << (2 * half) < n)
        half++;
    uint64_t mask = ((uint64_t)1 << half) - 1, x = index;
    do {
        uint64_t l = x >> half, r = x & mask;
        for (uint64_t round = 0; round < 6; round++) {
            uint64_t f = capt_rng_u64(key, (round << 56) ^ r) & mask, t = r;
            r = l ^ f;
            l = t;
        }
        x = l << half | r;
    } while (x >= n);
    return (size_t)x;
}

static void reserve(capt_batch *b, int images, size_t rows, int words)
{
    if (images > b->cap_images) {
        b->recs = capt_realloc(b->recs, (size_t)images * sizeof *b->recs);
        b->cap_images = images;
    }
    if (rows > b->cap_rows) {
        size_t cells = rows * (size_t)words;
        b->row_image = capt_realloc(b->row_image, rows * sizeof *b->row_image);
        b->tokens = capt_realloc(b->tokens, cells * sizeof *b->tokens);
        b->targets = capt_realloc(b->targets, cells * sizeof *b->targets);
        b->weights = capt_realloc(b->weights, cells * sizeof *b->weights);
        b->cap_rows = rows;
    }
}

static int targets_of(const capt_dataset *d, size_t c)
{
    return (int)(d->at[c + 1] - d->at[c]) + d->ended[c];
}

static int tags_of(const capt_dataset *d, const capt_batch *b, int image)
{
    return d->source ? capt_input_tags(&b->image.in, image) : 0;
}

static void put_row(const capt_dataset *d, size_t c, capt_batch *b, int r)
{
    const capt_input *in = &b->image.in;
    const int32_t *ids = d->ids + d->at[c];
    int n = targets_of(d, c), m = (int)(d->at[c + 1] - d->at[c]), image = b->row_image[r], tags = tags_of(d, b, image);
    for (int t = -tags; t < b->T - tags; t++) {
        size_t k = (size_t)r * (size_t)b->T + (size_t)(tags + t);
        b->tokens[k] = t < 0 ? in->tags[in->tag_at[image] + tags + t] : t == 0 ? d->bos : t <= m ? ids[t - 1] : d->pad;
        b->targets[k] = t < 0 || t >= n ? d->pad : t < m ? ids[t] : d->eos;
        b->weights[k] = t >= 0 && t < n;
    }
    b->n_words += n;
}

int capt_dataset_batch(const capt_dataset *d, int batch, int64_t epoch, int64_t index, int shuffled, capt_batch *b, capt_err *err)
{
    size_t from = (size_t)index * (size_t)batch, to = from + (size_t)batch < d->n ? from + (size_t)batch : d->n;
    int I = (int)(to - from), R = 0;
    uint64_t order = capt_rng_key(d->o.seed, CAPT_RNG_SHUFFLE, (uint64_t)epoch, 0);
    size_t *image = capt_alloc((size_t)I * sizeof *image);
    uint64_t *augment = capt_alloc((size_t)I * sizeof *augment);
    size_t rows = 0;
    for (int i = 0; i < I; i++) {
        image[i] = shuffled ? shuffled_place(order, d->n, from + (size_t)i) : from + (size_t)i;
        size_t n = d->first[image[i] + 1] - d->first[image[i]];
        rows += d->o.all_captions ? n : n > 0;
    }
    reserve(b, I, rows ? rows : 1, d->o.words + (d->source ? capt_source_tags(d->source) : 0));
    size_t *caption = capt_alloc((rows + 1) * sizeof *caption);
    for (int i = 0; i < I; i++) {
        b->recs[i] = d->recs[image[i]];
        augment[i] = capt_rng_key(d->o.seed, CAPT_RNG_AUGMENT, (uint64_t)epoch, capt_id_hash(&b->recs[i]->id));
    }
    int rc = d->source ? capt_source_load(d->source, b->recs, I, shuffled ? augment : NULL, &b->image, err) : 0;
    b->T = 1;
    for (int i = 0; i < I && !rc; i++) {
        uint64_t id = capt_id_hash(&b->recs[i]->id);
        size_t f = d->first[image[i]], n = d->first[image[i] + 1] - f, k = 0;
        if (!d->o.all_captions && n > 0) {
            k = capt_rng_below(capt_rng_key(d->o.seed, CAPT_RNG_LABEL, (uint64_t)epoch, id), 0, n);
            n = k + 1;
        }
        for (; k < n; k++, R++) {
            b->row_image[R] = i;
            caption[R] = f + k;
            if (tags_of(d, b, i) + targets_of(d, f + k) > b->T)
                b->T = tags_of(d, b, i) + targets_of(d, f + k);
        }
    }
    b->epoch = epoch;
    b->index = index;
    b->R = R;
    b->n_words = 0;
    for (int r = 0; r < R; r++)
        put_row(d, caption[r], b, r);
    free(caption);
    free(image);
    free(augment);
    return rc;
}

void capt_batch_free(capt_batch *b)
{
    capt_loaded_free(&b->image);
    free(b->recs);
    free(b->row_image);
    free(b->tokens);
    free(b->targets);
    free(b->weights);
    memset(b, 0, sizeof *b);
}
