/* Captions as word ids beside their images, and batches of them. What batch b of epoch e holds depends only on (seed, e, b): images in an order shuffled by
 * (seed, epoch), one of an image's captions drawn by (seed, epoch, id), or all of them. */
#ifndef CAPT_DATA_DATASET_H
#define CAPT_DATA_DATASET_H
#include "data/source.h"
#include "text/vocab.h"

typedef struct capt_dataset capt_dataset;
/* recs (kept records in order) and source are borrowed; v is needed during the call only. words: longest input, BOS included: captions are cut to words-1 or, when
 * longer, to `words` targets without EOS. Records without captions are an error unless captionless. */
typedef struct capt_dataset_opts { int words; int all_captions; int captionless; uint64_t seed; } capt_dataset_opts;
capt_dataset *capt_dataset_new(const capt_caption *const *recs, size_t n, const capt_vocab *v, capt_source *source, const capt_dataset_opts *o, capt_err *err);
void capt_dataset_free(capt_dataset *d);
size_t capt_dataset_images(const capt_dataset *d);
int64_t capt_dataset_unknown(const capt_dataset *d, int64_t *words); /* words read as UNK, and all words */

/* I images, R rows; row r is a caption of image row_image[r]. Word t's input is tokens[r*T+t] (BOS first), its target the next word or EOS; weight 1 where there is
 * a target, 0 behind the end (tokens pad with EOS's id or the pad's). Where the source reads tags those of the image stand before BOS, with weight 0, and the words come
 * so much later. T is the batch's longest row. */
typedef struct capt_batch {
    int64_t epoch, index;        /* batch `index` of the epoch */
    const capt_caption **recs;   /* (I) */
    capt_loaded image;
    int R, T;
    int32_t *row_image, *tokens, *targets;
    capt_real *weights;
    int64_t n_words;             /* targets with weight 1 */
    int cap_images;
    size_t cap_rows;
} capt_batch;
int64_t capt_dataset_batches(const capt_dataset *d, int batch); /* an epoch */
/* shuffled 0: in record order. Thread-safe: each thread with its own b. */
int capt_dataset_batch(const capt_dataset *d, int batch, int64_t epoch, int64_t index, int shuffled, capt_batch *b, capt_err *err);
void capt_batch_free(capt_batch *b);

/* Batches ahead of their use, filled by threads of its own, handed out in order from (epoch, index) on, epoch after epoch. */
typedef struct capt_loader capt_loader;
capt_loader *capt_loader_new(const capt_dataset *d, int batch, int64_t epoch, int64_t index, int threads, capt_err *err);
/* The next batch, borrowed until the next call. A bad image is an error when its batch comes up. */
int capt_loader_next(capt_loader *l, capt_batch **b, capt_err *err);
void capt_loader_free(capt_loader *l);
#endif
