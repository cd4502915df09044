#include "record/caption.h"
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"
#include "record/ndjson.h"

#define AT(T, m) offsetof(T, m)

static const capt_field caption_fields[] = {
    {"id", CAPT_T_ID, 1, AT(capt_caption, id), 0, 0, 0, NULL, "The image's id; one kind (integer or string) a stream. A store takes strings of at most 511 bytes of UTF-8."},
    {"file", CAPT_T_STR, 0, AT(capt_caption, file), 0, 4096, 0, NULL, "File name of the picture, relative to the image folder."},
    {"split", CAPT_T_STR, 0, AT(capt_caption, split), 0, 64, 0, NULL, "train, restval, val, test or another name. Training takes train and restval."},
    {"captions", CAPT_T_STRS, 0, AT(capt_caption, captions), AT(capt_caption, n_captions), CAPT_CAPTION_CHARS, CAPT_CAPTIONS_MAX, NULL,
     "What people wrote, as they wrote it. Absent for test images whose captions are secret."},
    {"tags", CAPT_T_STRS, 0, AT(capt_caption, tags), AT(capt_caption, n_tags), CAPT_TAG_CHARS, CAPT_TAGS_MAX, NULL, "Object names, each once."},
    {"require", CAPT_T_STRS, 0, AT(capt_caption, require), AT(capt_caption, n_require), CAPT_TAG_CHARS, CAPT_REQUIRE_MAX, NULL, "Words, or several in a row, that a caption of it must have."},
    {"forbid", CAPT_T_STRS, 0, AT(capt_caption, forbid), AT(capt_caption, n_forbid), CAPT_TAG_CHARS, CAPT_TAGS_MAX, NULL, "Words that a caption of it must not have."},
    {"trained_on", CAPT_T_BOOL, 0, AT(capt_caption, trained_on), 0, 0, 0, NULL, "Whether the image was among the training images of the tagger that gave its tags."},
    {0}};
const capt_kind capt_kind_caption = {"caption", "One image with its split, captions and tags.", sizeof(capt_caption), caption_fields};

static const capt_field candidate_fields[] = {
    {"caption", CAPT_T_STR, 1, AT(capt_candidate, caption), 0, CAPT_CAPTION_CHARS, 0, NULL, "The sentence."},
    {"logprob", CAPT_T_NUM, 0, AT(capt_candidate, logprob), 0, 0, 0, NULL, "Sum of the natural logarithms of its tokens' probabilities, end token included."},
    {0}};
static const capt_kind candidate_kind = {"candidate", "One of several sentences.", sizeof(capt_candidate), candidate_fields};

static const capt_field hyp_fields[] = {
    {"id", CAPT_T_ID, 1, AT(capt_hyp, id), 0, 0, 0, NULL, "The image's id, as in the caption record."},
    {"caption", CAPT_T_STR, 1, AT(capt_hyp, caption), 0, CAPT_CAPTION_CHARS, 0, NULL, "The sentence chosen."},
    {"logprob", CAPT_T_NUM, 0, AT(capt_hyp, logprob), 0, 0, 0, NULL, "Sum of the natural logarithms of its tokens' probabilities, end token included."},
    {"model", CAPT_T_STR, 0, AT(capt_hyp, model), 0, 1000, 0, NULL, "Hash of the weights that wrote it; an ensemble's are joined by +."},
    {"trained_on", CAPT_T_BOOL, 0, AT(capt_hyp, trained_on), 0, 0, 0, NULL, "Whether the image was among the model's training images."},
    {"tokens", CAPT_T_STRS, 0, AT(capt_hyp, tokens), AT(capt_hyp, n_tokens), CAPT_CAPTION_CHARS, CAPT_CAPTION_CHARS, NULL, "The caption's tokens; the last is the end, when it was chosen."},
    {"token_logprob", CAPT_T_NUMS, 0, AT(capt_hyp, token_logprob), AT(capt_hyp, n_token_logprob), 0, CAPT_CAPTION_CHARS, NULL, "Natural logarithm of each token's probability."},
    {"attention", CAPT_T_NUMS, 0, AT(capt_hyp, attention), AT(capt_hyp, n_attention), 0, CAPT_ATTENTION_MAX, NULL,
     "Weights of the image's feature rows as each token was chosen: attention_rows numbers a token, one token after another."},
    {"attention_rows", CAPT_T_INT, 0, AT(capt_hyp, attention_rows), 0, 0, 0, NULL, "Feature rows of the image: a grid's cells row by row, or regions."},
    {"attention_on", CAPT_T_STR, 0, AT(capt_hyp, attention_on), 0, 100, 0, NULL,
     "What the rows are: crop, cells of a square grid over the picture's middle square; picture, over all of it; regions."},
    {"attention_boxes", CAPT_T_NUMS, 0, AT(capt_hyp, attention_boxes), AT(capt_hyp, n_attention_boxes), 0, CAPT_ATTENTION_MAX, NULL,
     "Where the image's regions are, the first of the rows: x1, y1, x2, y2 of each as shares of the picture's width and height."},
    {"candidates", CAPT_T_OBJS, 0, AT(capt_hyp, candidates), AT(capt_hyp, n_candidates), 0, CAPT_CANDIDATES_MAX, &candidate_kind,
     "The n best, best first, or the samples in order."},
    {0}};
const capt_kind capt_kind_hyp = {"hypothesis", "What a captioner wrote for one image.", sizeof(capt_hyp), hyp_fields};

static const capt_field tags_fields[] = {
    {"id", CAPT_T_ID, 1, AT(capt_tags, id), 0, 0, 0, NULL, "The image's id, as in the caption record."},
    {"tags", CAPT_T_STRS, 1, AT(capt_tags, tags), AT(capt_tags, n_tags), CAPT_TAG_CHARS, CAPT_TAGS_MAX, NULL, "Object names, most certain first."},
    {"scores", CAPT_T_NUMS, 0, AT(capt_tags, scores), AT(capt_tags, n_scores), 0, CAPT_TAGS_MAX, NULL, "One number a tag, 0 to 1."},
    {"model", CAPT_T_STR, 0, AT(capt_tags, model), 0, 1000, 0, NULL, "Hash of the tagger's weights."},
    {"trained_on", CAPT_T_BOOL, 0, AT(capt_tags, trained_on), 0, 0, 0, NULL, "Whether the image was among the tagger's training images."},
    {0}};
const capt_kind capt_kind_tags = {"tag", "The tags of one image.", sizeof(capt_tags), tags_fields};

typedef CAPT_LIST(char) any_list; /* the three list types have one layout */

static void list_free(any_list *c)
{
    if (!c)
        return;
    capt_idmap_free(c->map);
    capt_arena_free(c->arena);
    free(c->v);
    free(c);
}

struct reader {
    const capt_kind *kind;
    const capt_read_opts *o;
    capt_ndjson *in;
    any_list *list;
    size_t cap;
    capt_idmap *seen; /* id -> its place */
    capt_arena *seen_arena; /* ids */
    capt_each *each; /* takes records that are then forgotten, or NULL */
    void *each_arg;
    int stop; /* not one record's trouble */
};

static int is_duplicate(struct reader *r, const capt_id *id, const char *where, capt_err *err)
{
    int64_t at = capt_idmap_get(r->seen, id);
    if (at < 0)
        return 0;
    char key[CAPT_ID_KEY];
    capt_id_key(id, key);
    capt_str before = {0};
    capt_ndjson_place_text(r->in, at, &before);
    capt_fail(err, CAPT_EDATA, "%s: id %.80s was already given at %s", where, key, before.s);
    capt_str_free(&before);
    return -1;
}

/* One record: 0, or -1 with the error of this record. */
static int take(struct reader *r, const json_t *o, capt_err *err)
{
    const char *where = capt_ndjson_where(r->in);
    const capt_kind *k = r->kind;
    if (r->each)
        capt_arena_reset(r->list->arena);
    if (r->list->n == r->cap) {
        r->cap = r->cap ? r->cap * 2 : 256;
        r->list->v = capt_realloc(r->list->v, r->cap * k->size);
    }
    char *rec = r->list->v + r->list->n * k->size;
    if (capt_record_read(k, o, rec, r->list->arena, where, err))
        return -1;
    const capt_id *id = (const capt_id *)(const void *)rec; /* first member of each kind */
    if (capt_ndjson_id_kind(r->in, id, err) || is_duplicate(r, id, where, err))
        return -1;
    if (k == &capt_kind_tags) {
        const capt_tags *t = (const capt_tags *)(const void *)rec;
        if (t->scores && t->n_scores != t->n_tags)
            return capt_fail(err, CAPT_EDATA, "%s: %d \"scores\" for %d \"tags\"", where, t->n_scores, t->n_tags);
    }
    if (k == &capt_kind_caption && r->o->check && r->o->check(r->o->check_arg, (const capt_caption *)(const void *)rec, err))
        return capt_err_prefix(err, "%s", where);
    capt_id copy = capt_id_dup(id, r->seen_arena);
    capt_idmap_add(r->seen, &copy, capt_ndjson_place(r->in));
    r->list->int_ids = id->is_int;
    if (r->each) {
        r->stop = r->each(r->each_arg, (const capt_caption *)(const void *)rec, err) != 0;
        return r->stop ? -1 : 0;
    }
    r->list->n++;
    capt_idmap_add(r->list->map, id, (int64_t)r->list->n - 1);
    return 0;
}

static int read_all(struct reader *r, capt_err *err)
{
    for (;;) {
        capt_err e = CAPT_ERR_INIT;
        json_t *o = NULL;
        int got = capt_ndjson_next(r->in, &o, &e);
        if (got == 0)
            return 0;
        int bad = got < 0 || take(r, o, &e);
        json_decref(o);
        if (bad && (r->stop || capt_ndjson_failed(r->in) || !r->o->bad || r->o->bad(r->o->bad_arg, &e)))
            return capt_fail(err, e.code, "%s", e.text);
    }
}

static int list_read(const capt_kind *k, const char *const *paths, size_t n, const capt_read_opts *opts, capt_each *each, void *each_arg, any_list **out, capt_err *err)
{
    static const capt_read_opts none;
    struct reader r = {.kind = k, .o = opts ? opts : &none, .each = each, .each_arg = each_arg};
    r.in = capt_ndjson_new(paths, n, r.o->cap);
    r.list = capt_alloc(sizeof *r.list);
    r.list->arena = capt_arena_new(1 << 20);
    r.list->map = capt_idmap_new();
    r.seen = capt_idmap_new();
    r.seen_arena = capt_arena_new(1 << 18);
    int rc = read_all(&r, err);
    capt_ndjson_free(r.in);
    capt_idmap_free(r.seen);
    capt_arena_free(r.seen_arena);
    *out = r.list;
    if (rc) {
        list_free(r.list);
        *out = NULL;
    }
    return rc;
}

#define READER(list, T, name, kind_of)                                                                                                  \
    int capt_##name##_read(const char *const *paths, size_t n, const capt_read_opts *opts, list **out, capt_err *err)                   \
    {                                                                                                                                   \
        any_list *l;                                                                                                                    \
        int rc = list_read(kind_of, paths, n, opts, NULL, NULL, &l, err);                                                                           \
        *out = (list *)(void *)l;                                                                                                       \
        return rc;                                                                                                                      \
    }                                                                                                                                   \
    void capt_##name##_free(list *c) { list_free((any_list *)(void *)c); }                                                              \
    const T *capt_##name##_find(const list *c, const capt_id *id)                                                                       \
    {                                                                                                                                   \
        int64_t at = capt_idmap_get(c->map, id);                                                                                        \
        return at < 0 ? NULL : &c->v[at];                                                                                               \
    }
READER(capt_captions, capt_caption, captions, &capt_kind_caption)
READER(capt_hyps, capt_hyp, hyps, &capt_kind_hyp)
READER(capt_taglist, capt_tags, tags, &capt_kind_tags)

int capt_captions_each(const char *const *paths, size_t n, const capt_read_opts *opts, capt_each *each, void *arg, capt_err *err)
{
    any_list *none;
    int rc = list_read(&capt_kind_caption, paths, n, opts, each, arg, &none, err);
    list_free(none);
    return rc;
}

void capt_captions_retag(capt_captions *tags, const capt_caption **v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const capt_caption *t = capt_captions_find(tags, &v[i]->id);
        if (!t || !t->tags)
            continue;
        capt_caption *copy = capt_arena_alloc(tags->arena, sizeof *copy);
        *copy = *v[i];
        copy->tags = t->tags;
        copy->n_tags = t->n_tags;
        copy->trained_on = t->trained_on;
        v[i] = copy;
    }
}

/* Lines as offsets into one text: some 20 bytes an image. */
struct capt_split_hasher {
    capt_str text;
    CAPT_VEC(size_t) line;
};

capt_split_hasher *capt_split_hasher_new(void)
{
    return capt_alloc(sizeof(capt_split_hasher));
}

void capt_split_hasher_add(capt_split_hasher *h, const capt_id *id, const char *split)
{
    char key[CAPT_ID_KEY];
    size_t n = capt_id_key(id, key);
    capt_vec_push(&h->line, h->text.n);
    capt_str_puts(&h->text, split ? split : "");
    capt_str_putc(&h->text, 0);
    capt_str_add(&h->text, key, n);
    capt_str_putc(&h->text, '\n');
}

static int line_cmp(const void *a, const void *b, void *text)
{
    const char *x = (const char *)text + *(const size_t *)a, *y = (const char *)text + *(const size_t *)b;
    int c = strcmp(x, y); /* the split, then the id up to its newline */
    if (c)
        return c;
    x += strlen(x) + 1;
    y += strlen(y) + 1;
    while (*x == *y && *x != '\n') {
        x++;
        y++;
    }
    return (unsigned char)*x - (unsigned char)*y;
}

void capt_split_hasher_end(capt_split_hasher *h, char hex[33])
{
    if (h->line.n)
        qsort_r(h->line.v, h->line.n, sizeof *h->line.v, line_cmp, h->text.s);
    capt_hasher *x = capt_hasher_new();
    for (size_t i = 0; i < h->line.n; i++) {
        const char *s = h->text.s + h->line.v[i], *id = s + strlen(s) + 1;
        capt_hasher_add(x, s, (size_t)(strchr(id, '\n') + 1 - s));
    }
    capt_hasher_end(x, hex);
    capt_str_free(&h->text);
    capt_vec_free(&h->line);
    free(h);
}

void capt_split_hash(const capt_caption *v, size_t n, char hex[33])
{
    capt_split_hasher *h = capt_split_hasher_new();
    for (size_t i = 0; i < n; i++)
        capt_split_hasher_add(h, &v[i].id, v[i].split);
    capt_split_hasher_end(h, hex);
}

void capt_refs_hash(const capt_caption *const *image, size_t n, const char *const *line, const size_t *at, char hex[33])
{
    capt_hasher *h = capt_hasher_new();
    for (size_t i = 0; i < n; i++) {
        char key[CAPT_ID_KEY];
        if (at[i] == at[i + 1])
            continue;
        capt_hasher_add(h, key, capt_id_key(&image[i]->id, key) + 1);
        for (size_t k = at[i]; k < at[i + 1]; k++)
            capt_hasher_add(h, line[k], strlen(line[k]) + 1);
    }
    capt_hasher_end(h, hex);
}
