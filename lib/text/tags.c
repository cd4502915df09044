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

int capt_tags_encode(const capt_vocab *v, const char *const *tags, int n, int max, int32_t *ids, int *n_ids, capt_err *err)
{
    capt_str text = {0};
    int words = strcmp(capt_vocab_type(v), "word") == 0, bad = 0;
    *n_ids = 0;
    if (!words)
        capt_tags_text(tags, n, &text);
    for (int i = 0; words && i < n; i++) {
        put_tag(&text, tags[i]);
        capt_str_putc(&text, ' ');
    }
    if (!words) {
        bad = capt_vocab_encode(v, text.s ? text.s : "", max, ids, n_ids, err);
    } else if (text.n) {
        int m = (int)text.n; /* one id a byte at most */
        int32_t *all = capt_alloc((size_t)m * sizeof *all);
        bad = capt_vocab_encode(v, text.s, m, all, &m, err);
        for (int i = 0; !bad && i < m && *n_ids < max; i++)
            if (all[i] != capt_vocab_unk(v))
                ids[(*n_ids)++] = all[i];
        free(all);
    }
    capt_str_free(&text);
    return bad;
}
