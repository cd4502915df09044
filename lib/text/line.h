/* What is done to a caption before it is tokenized for scoring. */
#ifndef CAPT_TEXT_LINE_H
#define CAPT_TEXT_LINE_H
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"

/* Characters that a caption should not hold. */
typedef struct capt_odd {
    size_t breaks;   /* CR, VT, FF, U+2028, U+2029: read as blanks; the official scorer loses its place there */
    size_t controls; /* other ones below U+0020 but tab and newline, and U+007F: read as blanks */
    size_t c1;       /* U+0080 to U+009F: left to the tokenizer, which knows some as Windows-1252's quotes and dashes */
} capt_odd;

/* A copy of s in a with every line break and control character made a blank, newlines silently, as the official scorer does.
 * Adds to odd. */
const char *capt_line_clean(const char *s, capt_arena *a, capt_odd *odd);
/* A copy with equal neighbouring words made one. */
const char *capt_line_collapse(const char *s, capt_arena *a);
/* Tokens that the official tokenizer reports for these captions: with punctuation and line ends. */
int capt_line_count_tokens(const char *const *captions, size_t n, size_t *tokens, capt_err *err);
#endif
