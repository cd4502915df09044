/* The metric tokenizer: what the official caption scorers see. Reproduces Stanford PTBTokenizer 3.4.1 with -preserveLines
 * -lowerCase followed by the scorers' list of 17 dropped punctuation strings, token for token.
 *
 * Text is UTF-8; malformed bytes read as U+FFFD, which the tokenizer deletes. Tokens are joined by one blank; a token can
 * hold U+00A0 but never a blank. Round brackets and the like become -lrb- -rrb- ... and stay. The functions keep nothing
 * between calls and may run in any number of threads. Failure is lack of memory or of addressable length only. */
#ifndef CAPT_TEXT_PTB_H
#define CAPT_TEXT_PTB_H
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"

/* Name of this tokenizer, with its revision: part of vocabularies and score signatures. */
#define CAPT_PTB_ID "ptb-3.4.1-lower-nopunct"

/* A whole buffer of captions joined by '\n' (none after the last). Appends to out one line a caption, each ended by '\n'.
 * A dot at the end of a caption is judged by the first word of the next one, as the official tool does: order matters. */
int capt_ptb_tokenize(const char *text, size_t n, capt_str *out, capt_err *err);

/* The same without the list of dropped strings: the lexer's own output. */
int capt_ptb_lex(const char *text, size_t n, capt_str *out, capt_err *err);

/* n captions in official order -> (*out)[i], the token line of caption i; lines and array live in the arena. Line breaks
 * inside a caption (LF CR VT FF U+2028 U+2029) count as a blank; *n_breaks (may be NULL) is their number. */
int capt_ptb_lines(const char *const *captions, size_t n, capt_arena *a, const char ***out, size_t *n_breaks, capt_err *err);

/* One caption alone: appends its words, without a final '\n'. The word tokenizer of vocabularies and rewards. */
int capt_ptb_words(const char *caption, size_t n, capt_str *out, capt_err *err);
#endif
