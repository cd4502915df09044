/* See line.h. */
#include "text/line.h"
#include <string.h>
#include "base/str.h"
#include "text/ptb.h"

const char *capt_line_clean(const char *s, capt_arena *a, capt_odd *odd)
{
    char *c = capt_arena_strndup(a, s, strlen(s)), *to = c;
    for (const unsigned char *p = (const unsigned char *)c; *p;) {
        int wide = p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9);
        int odd_break = wide || *p == '\r' || *p == '\v' || *p == '\f';
        odd->breaks += (size_t)odd_break;
        int control = !odd_break && ((*p < 0x20 && *p != '\t' && *p != '\n') || *p == 0x7f);
        odd->controls += (size_t)control;
        odd->c1 += p[0] == 0xc2 && p[1] >= 0x80 && p[1] < 0xa0;
        *to++ = odd_break || control || *p == '\n' ? ' ' : (char)*p;
        p += wide ? 3 : 1;
    }
    *to = 0;
    return c;
}

const char *capt_line_collapse(const char *s, capt_arena *a)
{
    char *c = capt_arena_alloc(a, strlen(s) + 1), *to = c;
    const char *last = NULL;
    size_t n_last = 0;
    while (*s) {
        size_t n = strcspn(s, " ");
        if (n && !(last && n == n_last && !memcmp(s, last, n))) {
            if (to > c)
                *to++ = ' ';
            memcpy(to, s, n);
            to += n;
        }
        if (n) {
            last = s;
            n_last = n;
        }
        s += n + (s[n] == ' ');
    }
    *to = 0;
    return c;
}

int capt_line_count_tokens(const char *const *captions, size_t n, size_t *tokens, capt_err *err)
{
    capt_str in = {0}, out = {0};
    for (size_t i = 0; i < n; i++) {
        if (i)
            capt_str_putc(&in, '\n');
        capt_str_puts(&in, captions[i]);
    }
    *tokens = n ? n - 1 : 0;
    int rc = capt_ptb_lex(in.s ? in.s : "", in.n, &out, err);
    for (size_t i = 0; !rc && i < out.n; i++)
        *tokens += out.s[i] == ' ' || (out.s[i] == '\n' && i && out.s[i - 1] != '\n');
    capt_str_free(&in);
    capt_str_free(&out);
    return rc;
}
