#include "base/str.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

static void reserve(capt_str *b, size_t more)
{
    if (more >= SIZE_MAX - b->n)
        capt_no_memory();
    capt_vec_grow_((void **)&b->s, &b->cap, b->n + more + 1, 1);
}

void capt_str_free(capt_str *b)
{
    free(b->s);
    *b = (capt_str){0};
}

void capt_str_clear(capt_str *b)
{
    b->n = 0;
    reserve(b, 0);
    b->s[0] = 0;
}

void capt_str_add(capt_str *b, const char *s, size_t n)
{
    reserve(b, n);
    if (n)
        memcpy(b->s + b->n, s, n);
    b->n += n;
    b->s[b->n] = 0;
}

void capt_str_puts(capt_str *b, const char *s)
{
    capt_str_add(b, s, strlen(s));
}

void capt_str_putc(capt_str *b, int c)
{
    char ch = (char)c;
    capt_str_add(b, &ch, 1);
}

void capt_str_printf(capt_str *b, const char *fmt, ...)
{
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n > 0) {
        reserve(b, (size_t)n);
        vsnprintf(b->s + b->n, (size_t)n + 1, fmt, again);
        b->n += (size_t)n;
    } else {
        capt_str_add(b, "", 0);
    }
    va_end(again);
}

int32_t capt_utf8_next(const char **p, const char *end)
{
    const unsigned char *s = (const unsigned char *)*p;
    size_t left = (size_t)(end - *p);
    unsigned c = s[0];
    ++*p;
    if (c < 0x80)
        return (int32_t)c;
    /* the range of the second byte keeps out overlong forms, surrogates and values above U+10FFFF (Unicode table 3-7) */
    unsigned lo = 0x80, hi = 0xbf, more;
    if (c >= 0xc2 && c <= 0xdf) {
        more = 1;
        c &= 0x1f;
    } else if ((c & 0xf0) == 0xe0) {
        more = 2;
        lo = c == 0xe0 ? 0xa0 : lo;
        hi = c == 0xed ? 0x9f : hi;
        c &= 0x0f;
    } else if (c >= 0xf0 && c <= 0xf4) {
        more = 3;
        lo = c == 0xf0 ? 0x90 : lo;
        hi = c == 0xf4 ? 0x8f : hi;
        c &= 0x07;
    } else {
        return -1;
    }
    if (left <= more)
        return -1;
    for (unsigned i = 1; i <= more; i++) {
        if (s[i] < lo || s[i] > hi)
            return -1;
        c = c << 6 | (s[i] & 0x3f);
        lo = 0x80;
        hi = 0xbf;
    }
    *p += more;
    return (int32_t)c;
}

void capt_utf8_put(capt_str *b, uint32_t c)
{
    if (c < 0x80) {
        capt_str_putc(b, (int)c);
    } else if (c < 0x800) {
        char s[2] = {(char)(0xc0 | c >> 6), (char)(0x80 | (c & 0x3f))};
        capt_str_add(b, s, 2);
    } else if (c < 0x10000) {
        char s[3] = {(char)(0xe0 | c >> 12), (char)(0x80 | (c >> 6 & 0x3f)), (char)(0x80 | (c & 0x3f))};
        capt_str_add(b, s, 3);
    } else {
        char s[4] = {(char)(0xf0 | (c >> 18 & 7)), (char)(0x80 | (c >> 12 & 0x3f)), (char)(0x80 | (c >> 6 & 0x3f)),
                     (char)(0x80 | (c & 0x3f))};
        capt_str_add(b, s, 4);
    }
}

long capt_utf8_check(const char *s, size_t n)
{
    const char *p = s, *end = s + n;
    while (p < end) {
        const char *at = p;
        if (capt_utf8_next(&p, end) < 0)
            return (long)(at - s);
    }
    return -1;
}

size_t capt_utf8_mark(const char *s, size_t n)
{
    return n >= 3 && memcmp(s, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
}

void capt_str_puts_escaped(capt_str *b, const char *s, size_t n)
{
    const char *p = s, *end = s + n;
    capt_str_add(b, "", 0);
    while (p < end) {
        const char *at = p;
        int32_t c = capt_utf8_next(&p, end);
        if (c < 0x20 || (c >= 0x7f && c < 0xa0)) { /* malformed, C0, DEL or C1 */
            for (; at < p; at++)
                capt_str_printf(b, "\\x%02X", (unsigned char)*at);
        } else {
            capt_str_add(b, at, (size_t)(p - at));
        }
    }
}
