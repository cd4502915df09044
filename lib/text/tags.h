/* Tags as text: "[dog] [bark]". A tag is one or more words; square brackets and line breaks inside one become blanks. */
#ifndef CAPT_TEXT_TAGS_H
#define CAPT_TEXT_TAGS_H
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/str.h"
#include "text/vocab.h"

void capt_tags_text(const char *const *tags, int n, capt_str *out); /* appends "[dog] [bark]" */
/* Back: *tags and its strings live in the arena. Blanks between the brackets only; anything else there is an error. */
int capt_tags_parse(const char *text, capt_arena *a, const char ***tags, int *n, const char *where, capt_err *err);
/* At most max ids, of whole tags in their order, the rest is left out; *n_ids: how many. Word vocabularies: the tags' words that are known, *n_unknown (or NULL) how
 * many of these tags' words are not; others: the text above. */
int capt_tags_encode(const capt_vocab *v, const char *const *tags, int n, int max, int32_t *ids, int *n_ids, int *n_unknown, capt_err *err);
#endif
