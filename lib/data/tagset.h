/* Which tags a tagger learns, and the records it learns them from. */
#ifndef CAPT_DATA_TAGSET_H
#define CAPT_DATA_TAGSET_H
#include "base/arena.h"
#include "record/caption.h"
#include "text/vocab.h"

/* Records of a split; v is the caller's array, whose pointers are replaced by copies in the arena. */
typedef struct capt_tagged { const capt_caption **v; size_t n; } capt_tagged;
/* A vocabulary of the tags of train, the most frequent first; *counts (size less the four specials), in a: images that have each. nouns 0: tags are those of the records; else the
 * nouns among so many of the most frequent content words of train's captions, and records get those that their captions mention, each once. The records' copies have no
 * captions, for which a tagger has no use. NULL on failure. */
capt_vocab *capt_tagset_choose(const capt_tagged *train, const capt_tagged *val, int nouns, capt_arena *a, const int64_t **counts, capt_err *err);
#endif
