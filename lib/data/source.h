/* Where a model's image inputs come from: a section of a feature store, or pictures under a folder; and their records' tags, if they are wanted. Loading is safe from several threads at once. */
#ifndef CAPT_DATA_SOURCE_H
#define CAPT_DATA_SOURCE_H
#include "base/err.h"
#include "image/jpeg.h"
#include "image/prep.h"
#include "record/caption.h"
#include "store/store.h"
#include "tensor/input.h"
#include "text/vocab.h"

typedef struct capt_source capt_source;
/* store is borrowed. section: "global", "grid", "regions". rows: the model's feature rows; a section with one row count must have it; one that varies is padded
 * with zeros to rows (an image with more rows is an error naming it). */
capt_source *capt_source_store(capt_store *store, const char *section, int rows, capt_err *err);
/* dir: open folder, borrowed. Records need "file". augment NULL: none. */
capt_source *capt_source_images(int dirfd, const capt_prep *prep, const capt_jpeg_limits *limits, const capt_augment *augment);
void capt_source_free(capt_source *s); /* NULL is fine */
/* The records' tags come with their inputs: at most `most` ids of v (borrowed) an image. To be called before the first load. */
void capt_source_read_tags(capt_source *s, const capt_vocab *v, int most);
int capt_source_tags(const capt_source *s); /* that number; 0: tags do not come */
int capt_source_rows(const capt_source *s); /* feature rows; 0 for pictures */
int capt_source_dim(const capt_source *s);
int capt_source_is_images(const capt_source *s);
const char *capt_source_section(const capt_source *s); /* "" for pictures */

/* Buffers of one batch, grown as needed, reused. */
typedef struct capt_loaded { capt_input in; capt_real *feat; int32_t *len, *tags, *n_tags, *tag_at; uint8_t *pixels; size_t cap; } capt_loaded;
/* Loads the n records' inputs into b->in. augment_key: one key an image, or NULL for none. An image that is missing, damaged or holds NaN is an error naming it. */
int capt_source_load(capt_source *s, const capt_caption *const *recs, int n, const uint64_t *augment_key, capt_loaded *b, capt_err *err);
/* The same one by one: room for n, then each record in its place, by any thread, then b->in over those whose bad[i] (NULL: all are well) has no error. */
int capt_source_room(const capt_source *s, int n, capt_loaded *b, capt_err *err);
int capt_source_load_one(capt_source *s, const capt_caption *rec, const uint64_t *augment_key, capt_loaded *b, int i, capt_err *err);
void capt_source_loaded(const capt_source *s, int n, const capt_err *bad, capt_loaded *b);
void capt_loaded_free(capt_loaded *b);
#endif
