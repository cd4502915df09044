#include "data/tagset.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "text/nouns.h"
#include "text/ptb.h"

typedef struct named { const char *text; int64_t count; } named;
typedef struct names { CAPT_VEC(named) v; json_t *place; } names; /* place: text -> index */

static void count_name(names *n, const char *text, int64_t times)
{
    json_t *at = json_object_get(n->place, text);
    if (!at) {
        at = json_integer((json_int_t)n->v.n);
        json_object_set_new(n->place, text, at);
        capt_vec_push(&n->v, ((named){text, 0}));
    }
    n->v.v[json_integer_value(at)].count += times;
}

static int frequent_first(const void *a, const void *b)
{
    const named *x = a, *y = b;
    return x->count != y->count ? (x->count < y->count) - (x->count > y->count) : strcmp(x->text, y->text);
}

/* Token lines of all captions of recs; at[i] is the first of record i. */
static int caption_lines(const capt_tagged *recs, capt_arena *a, const char ***lines, size_t **at, capt_err *err)
{
    size_t total = 0;
    for (size_t i = 0; i < recs->n; i++)
        total += (size_t)recs->v[i]->n_captions;
    const char **text = capt_alloc((total + 1) * sizeof *text);
    *at = capt_arena_alloc(a, (recs->n + 1) * sizeof **at);
    total = 0;
    for (size_t i = 0; i < recs->n; i++) {
        (*at)[i] = total;
        for (int k = 0; k < recs->v[i]->n_captions; k++)
            text[total++] = recs->v[i]->captions[k];
    }
    (*at)[recs->n] = total;
    int rc = capt_ptb_lines(text, total, a, lines, NULL, err);
    free(text);
    return rc;
}

/* The tags of records become those of `place` that their captions mention, each once, in the order they are met. */
static int tag_by_words(const capt_tagged *recs, const json_t *place, capt_arena *a, capt_err *err)
{
    const char **lines;
    size_t *at;
    if (caption_lines(recs, a, &lines, &at, err))
        return -1;
    for (size_t i = 0; i < recs->n; i++) {
        capt_caption *copy = capt_arena_alloc(a, sizeof *copy);
        const char *tag[CAPT_TAGS_MAX] = {NULL};
        int n = 0;
        for (size_t k = at[i]; k < at[i + 1]; k++)
            for (const char *p = lines[k]; *p; p += strcspn(p, " "), p += *p == ' ') {
                const char *word = capt_arena_strndup(a, p, strcspn(p, " "));
                int seen = !json_object_get(place, word);
                for (int t = 0; t < n && !seen; t++)
                    seen = !strcmp(tag[t], word);
                if (!seen && n < CAPT_TAGS_MAX)
                    tag[n++] = word;
            }
        *copy = *recs->v[i];
        copy->tags = capt_arena_alloc(a, ((size_t)n + 1) * sizeof *copy->tags);
        memcpy(copy->tags, tag, (size_t)n * sizeof *tag);
        copy->n_tags = n;
        recs->v[i] = copy;
    }
    return 0;
}

/* The data set has no use for captions: copies without. */
static void drop_captions(const capt_tagged *recs, capt_arena *a)
{
    for (size_t i = 0; i < recs->n; i++) {
        capt_caption *copy = capt_arena_alloc(a, sizeof *copy);
        *copy = *recs->v[i];
        copy->captions = NULL;
        copy->n_captions = 0;
        recs->v[i] = copy;
    }
}

capt_vocab *capt_tagset_choose(const capt_tagged *train, const capt_tagged *val, int nouns, capt_arena *a, const int64_t **counts, capt_err *err)
{
    names n = {.place = json_object()};
    capt_vocab *v = NULL;
    if (nouns) {
        const char **lines;
        size_t *at, k;
        capt_noun *found;
        if (caption_lines(train, a, &lines, &at, err) || capt_nouns_find(lines, at[train->n], nouns, a, &found, &k, err))
            goto end;
        for (size_t i = 0; i < k; i++)
            count_name(&n, found[i].word, 0);
        if (tag_by_words(train, n.place, a, err) || tag_by_words(val, n.place, a, err))
            goto end;
    }
    for (size_t i = 0; i < train->n; i++)
        for (int k = 0; k < train->v[i]->n_tags; k++)
            count_name(&n, train->v[i]->tags[k], 1);
    drop_captions(train, a);
    drop_captions(val, a);
    qsort(n.v.v, n.v.n, sizeof *n.v.v, frequent_first);
    const char **word = capt_alloc((n.v.n + 1) * sizeof *word);
    int64_t *count = capt_arena_alloc(a, (n.v.n + 1) * sizeof *count);
    for (size_t i = 0; i < n.v.n; i++) {
        word[i] = n.v.v[i].text;
        count[i] = n.v.v[i].count;
    }
    v = capt_vocab_new_words(word, count, n.v.n, err);
    *counts = count;
    free(word);
end:
    capt_vec_free(&n.v);
    json_decref(n.place);
    return v;
}
