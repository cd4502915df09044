/* Objects that a caption names, and CHAIR (Rohrbach et al.: Object hallucination in image captioning, EMNLP 2018): which of
 * them are not in the picture. Ground truth of an image = its annotated objects (capt_metric_in.objects) and all that its
 * references name. CHAIRi = mentions of absent objects / mentions, CHAIRs = captions with such a mention / captions; both
 * are ratios of sums over the corpus, lower is better. Each word starts at most one mention, the longest phrase of
 * chair.def; plural forms count. The word lists are this project's own: values lie near those of the first implementation
 * and are not equal to them. */
#ifndef CAPT_METRIC_CHAIR_H
#define CAPT_METRIC_CHAIR_H
#include "metric/metric.h"

enum { CAPT_OBJECT_KINDS = 80 };

typedef struct capt_lexicon capt_lexicon; /* the phrases, indexed; read-only, shared by any number of threads */
capt_lexicon *capt_lexicon_new(void);
void capt_lexicon_free(capt_lexicon *l); /* NULL is fine */
int capt_object_kind(const char *category); /* 0..79 of a category's name ("hot dog"), or -1 */
const char *capt_object_name(int kind);
/* Kinds that a tokenized line names, in order, up to max; returns how many. */
int capt_objects_named(const capt_lexicon *l, const char *line, int *kind, int max);
static inline void capt_objects_set(capt_objects *o, int kind) { o->bits[kind >> 6] |= (uint64_t)1 << (kind & 63); }
static inline int capt_objects_has(const capt_objects *o, int kind) { return (int)(o->bits[kind >> 6] >> (kind & 63) & 1); }
#endif
