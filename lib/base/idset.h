/* A set of ids by their key text, kept as the newline-joined keys it was made from plus sorted hashes. */
#ifndef CAPT_BASE_IDSET_H
#define CAPT_BASE_IDSET_H
#include <stddef.h>

typedef struct capt_idset capt_idset;
capt_idset *capt_idset_new(void);
void capt_idset_free(capt_idset *s);
void capt_idset_add(capt_idset *s, const char *key, size_t n);
/* Adds the keys of text (n bytes, each key ended by a newline) that are not in yet. */
void capt_idset_merge(capt_idset *s, const char *text, size_t n);
int capt_idset_has(const capt_idset *s, const char *key, size_t n); /* sorts on the first call after an add: not for several threads then */
size_t capt_idset_count(const capt_idset *s);
const char *capt_idset_text(const capt_idset *s, size_t *n); /* keys in the order added, each ended by a newline; borrowed */
#endif
