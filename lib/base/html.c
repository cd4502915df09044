#include "base/html.h"
#include <string.h>

static int turns_direction(int32_t c)
{
    return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e || c == 0x200f;
}

void capt_html_text(capt_str *out, const char *s)
{
    const char *end = s + strlen(s);
    while (s < end) {
        const char *from = s;
        int32_t c = capt_utf8_next(&s, end);
        if (c == '&')
            capt_str_puts(out, "&amp;");
        else if (c == '<')
            capt_str_puts(out, "&lt;");
        else if (c == '>')
            capt_str_puts(out, "&gt;");
        else if (c == '"')
            capt_str_puts(out, "&quot;");
        else if (c == '\'')
            capt_str_puts(out, "&#39;");
        else if (c == '\t' || c == '\n')
            capt_str_putc(out, ' ');
        else if (c < ' ' || (c >= 0x7f && c < 0xa0) || turns_direction(c) || (c & 0xfffe) == 0xfffe)
            capt_str_puts(out, "\xef\xbf\xbd");
        else
            capt_str_add(out, from, (size_t)(s - from));
    }
}

void capt_html_path(capt_str *out, const char *path)
{
    const char *colon = strchr(path, ':'), *slash = strchr(path, '/');
    if (colon && (!slash || colon < slash))
        capt_str_puts(out, "./");
    for (; *path; path++) {
        unsigned char c = (unsigned char)*path;
        if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || strchr("-._~/", c))
            capt_str_putc(out, c);
        else
            capt_str_printf(out, "%%%02X", c);
    }
}

void capt_html_base64(capt_str *out, const unsigned char *p, size_t n)
{
    static const char digit[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (size_t i = 0; i < n; i += 3) {
        unsigned v = (unsigned)p[i] << 16 | (i + 1 < n ? (unsigned)p[i + 1] << 8 : 0) | (i + 2 < n ? p[i + 2] : 0);
        char quad[4] = {digit[v >> 18], digit[v >> 12 & 63], i + 1 < n ? digit[v >> 6 & 63] : '=', i + 2 < n ? digit[v & 63] : '='};
        capt_str_add(out, quad, 4);
    }
}
