/* Fuzz target of lib/text: any bytes as captions (a line each) and as a vocabulary file. The tokenizer gives a line a caption in
 * valid UTF-8; a vocabulary is refused with an error or encodes and decodes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "text/ptb.h"
#include "text/tags.h"

enum { MAX_IDS = 512 };

static void lines(const char *text, size_t n)
{
    char *copy = capt_strndup(text, n);
    size_t len = strlen(copy); /* captions hold no NUL */
    CAPT_VEC(const char *) v = {0};
    for (char *p = copy, *end = copy + len; p <= end;) {
        char *e = memchr(p, '\n', (size_t)(end - p));
        e = e ? e : end;
        *e = 0;
        capt_vec_push(&v, p);
        p = e + 1;
    }
    capt_arena *a = capt_arena_new(0);
    const char **out;
    capt_err err = CAPT_ERR_INIT;
    if (capt_ptb_lines(v.v, v.n, a, &out, NULL, &err))
        abort();
    for (size_t i = 0; i < v.n; i++)
        if (capt_utf8_check(out[i], strlen(out[i])) >= 0 || strpbrk(out[i], "\n\r") || out[i][0] == ' ')
            abort();
    const char **tags;
    int k;
    capt_tags_parse(v.v[0], a, &tags, &k, "fuzz", &err);
    capt_arena_free(a);
    capt_vec_free(&v);
    free(copy);
}

static void vocabulary(const char *text, size_t n)
{
    capt_err err = CAPT_ERR_INIT;
    json_t *o = capt_json_parse(text, n, "fuzz", &err);
    capt_vocab *v = o ? capt_vocab_from_json(o, "fuzz", &err) : NULL;
    json_decref(o);
    if (!v != (err.code != CAPT_OK))
        abort();
    if (!v)
        return;
    int32_t ids[MAX_IDS];
    int k;
    capt_str s = {0};
    if (capt_vocab_encode(v, "A dog's caf\u00e9, running!", MAX_IDS, ids, &k, &err))
        abort();
    for (int i = 0; i < k; i++)
        if (ids[i] < 0 || ids[i] >= capt_vocab_size(v))
            abort();
    for (int i = k; i < MAX_IDS; i++)
        ids[i] = (int32_t)(i * 2654435761u >> 8) % (capt_vocab_size(v) + 3) - 1;
    capt_vocab_decode(v, ids, MAX_IDS, &s);
    if (s.n && capt_utf8_check(s.s, s.n) >= 0)
        abort();
    capt_str_free(&s);
    capt_vocab_free(v);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    lines((const char *)p, n);
    vocabulary((const char *)p, n);
    return 0;
}
