/* Tags as text and as ids. */
#include "text/tags.h"
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

static void put_tag(capt_str *out, const char *tag)
{
    for (const char *s = tag; *s; s++)
        capt_str_putc(out, strchr("[]\n\r\t\v\f", *s) ? ' ' : *s);
}

void capt_tags_text(const char *const *tags, int n, capt_str *out)
{
    for (int i = 0; i < n; i++) {
        capt_str_puts(out, i ? " [" : "[");
        put_tag(out, tags[i]);
        capt_str_putc(out, ']');
    }
}

int capt_tags_parse(const char *text, capt_arena *a, const char ***tags, int *n, const char *where, capt_err *err)
{
    int k = 0;
    for (const char *p = text; *p; p++)
        k += *p == '[';
    *tags = capt_arena_alloc(a, ((size_t)k + 1) * sizeof **tags);
    *n = 0;
    for (const char *p = text + strspn(text, " "); *p; p += strspn(p, " ")) {
        const char *e = *p == '[' ? p + 1 + strcspn(p + 1, "[]") : NULL;
        if (!e || *e != ']')
            return capt_fail(err, CAPT_EDATA, "%s: tags are written \"[dog] [bark]\"; byte %zu is wrong", where, (size_t)(p - text) + 1);
        (*tags)[(*n)++] = capt_arena_strndup(a, p + 1, (size_t)(e - p - 1));
        p = e + 1;
    }
    return 0;
}

/* One tag's ids at the end of *ids (grown to hold them); words: those known to a word vocabulary, else "[dog]", after a blank unless it is the first. */
static int put_ids(const capt_vocab *v, const char *tag, int first, int words, capt_str *text, int32_t **ids, int *n, int *unknown, capt_err *err)
{
    capt_str_clear(text);
    if (words) {
        put_tag(text, tag);
    } else {
        capt_str_puts(text, first ? "" : " ");
        capt_tags_text(&tag, 1, text);
    }
    int m = (int)text->n + 1, k = 0; /* one id a byte at most */
    *ids = capt_realloc(*ids, (size_t)m * sizeof **ids);
    *n = 0;
    if (capt_vocab_encode(v, text->s ? text->s : "", m, *ids, &m, err))
        return -1;
    for (int i = 0; i < m; i++) {
        if (words && (*ids)[i] == capt_vocab_unk(v))
            k++;
        else
            (*ids)[(*n)++] = (*ids)[i];
    }
    *unknown = k;
    return 0;
}

int capt_tags_encode(const capt_vocab *v, const char *const *tags, int n, int max, int32_t *ids, int *n_ids, int *n_unknown, capt_err *err)
{
    capt_str text = {0};
    int32_t *one = NULL;
    int words = strcmp(capt_vocab_type(v), "word") == 0, bad = 0, m, unknown;
    *n_ids = 0;
    if (n_unknown)
        *n_unknown = 0;
    for (int i = 0; i < n; i++) {
        bad = put_ids(v, tags[i], i == 0, words, &text, &one, &m, &unknown, err);
        if (bad || m > max - *n_ids)
            break;
        memcpy(ids + *n_ids, one, (size_t)m * sizeof *ids);
        *n_ids += m;
        if (n_unknown)
            *n_unknown += unknown;
    }
    free(one);
    capt_str_free(&text);
    return bad;
}
