/* A growing byte string, always NUL-terminated once anything was added. Zero-initialise; free with capt_str_free. */
#ifndef CAPT_BASE_STR_H
#define CAPT_BASE_STR_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"

typedef struct capt_str { char *s; size_t n, cap; } capt_str;
void capt_str_free(capt_str *b);
void capt_str_clear(capt_str *b); /* n = 0, keeps memory; s is "" afterwards */
void capt_str_add(capt_str *b, const char *s, size_t n);
void capt_str_puts(capt_str *b, const char *s);
void capt_str_putc(capt_str *b, int c);
void capt_str_printf(capt_str *b, const char *fmt, ...) CAPT_PRINTF(2, 3);

/* UTF-8. next: decodes one scalar value at *p (< end) and advances; -1 (and advances one byte) if malformed. */
int32_t capt_utf8_next(const char **p, const char *end);
void capt_utf8_put(capt_str *b, uint32_t c);
/* Offset of the first malformed byte, or -1 if all n bytes are valid UTF-8. */
long capt_utf8_check(const char *s, size_t n);
/* Bytes of the byte order mark that s begins with: 3, or 0 without one. In front of a file it is no part of the text. */
size_t capt_utf8_mark(const char *s, size_t n);
/* Copies s with control characters and malformed bytes escaped as \xHH, for messages and terminals. */
void capt_str_puts_escaped(capt_str *b, const char *s, size_t n);
#endif
