#include "base/idset.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"

struct capt_idset {
    capt_str text;
    CAPT_VEC(uint64_t) hash;
    int sorted;
};

capt_idset *capt_idset_new(void)
{
    return capt_alloc(sizeof(capt_idset));
}

void capt_idset_free(capt_idset *s)
{
    if (!s)
        return;
    capt_str_free(&s->text);
    capt_vec_free(&s->hash);
    free(s);
}

void capt_idset_add(capt_idset *s, const char *key, size_t n)
{
    capt_str_add(&s->text, key, n);
    capt_str_putc(&s->text, '\n');
    capt_vec_push(&s->hash, capt_hash64(key, n));
    s->sorted = 0;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

int capt_idset_has(const capt_idset *s, const char *key, size_t n)
{
    capt_idset *w = (capt_idset *)s;
    if (!w->hash.n)
        return 0;
    if (!w->sorted) {
        qsort(w->hash.v, w->hash.n, sizeof *w->hash.v, compare);
        w->sorted = 1;
    }
    uint64_t h = capt_hash64(key, n);
    return bsearch(&h, w->hash.v, w->hash.n, sizeof h, compare) != NULL;
}

void capt_idset_merge(capt_idset *s, const char *text, size_t n)
{
    CAPT_VEC(uint64_t) fresh = {0}; /* beside the sorted ones, so that these are sorted once */
    const char *end = text + n;
    while (text < end) {
        const char *nl = memchr(text, '\n', (size_t)(end - text));
        size_t k = (size_t)((nl ? nl : end) - text);
        if (!capt_idset_has(s, text, k)) {
            capt_str_add(&s->text, text, k);
            capt_str_putc(&s->text, '\n');
            capt_vec_push(&fresh, capt_hash64(text, k));
        }
        text += k + 1;
    }
    for (size_t i = 0; i < fresh.n; i++)
        capt_vec_push(&s->hash, fresh.v[i]);
    s->sorted = s->sorted && !fresh.n;
    capt_vec_free(&fresh);
}

size_t capt_idset_count(const capt_idset *s)
{
    return s->hash.n;
}

const char *capt_idset_text(const capt_idset *s, size_t *n)
{
    *n = s->text.n;
    return s->text.s ? s->text.s : "";
}
