/* CIDEr-D and plain CIDEr (Vedantam, Zitnick, Parikh: CIDEr, CVPR 2015), for scoring and as a reward.
 *
 * capt_df: in how many images' reference sets each n-gram (n = 1..4) occurs, and the number of images N. Made from
 * references in memory, or mapped from a file. Read-only once made: shared by any number of threads.
 * capt_cider_refs: tf-idf vectors of one image's references, made once and used for all of its hypotheses. Read-only.
 * capt_cider_score: safe to call from many threads, each with its own scratch; nothing is remembered between calls.
 *
 * The tokenized lines given here must come from the tokenizer named in the df. With its eos flag the word "<eos>" is
 * appended to references and hypotheses alike (Rennie et al., CVPR 2017: reward also how a sentence ends).
 *
 * df file, little-endian: a header of 256 bytes, then an open-addressed table of 16-byte slots {u64 key, u32 df, u32 check};
 * home slot key * slots / 2^64, linear probing with wrap-around, key 0 = free. key and check are the low 64 and the next 32
 * bits of the XXH3-128 (with the seed of the header) of the n-gram's words joined by one blank. */
#ifndef CAPT_METRIC_CIDER_H
#define CAPT_METRIC_CIDER_H
#include <stddef.h>
#include <stdint.h>
#include "base/err.h"
#include "base/thread.h"

typedef struct capt_df capt_df;

/* References of n images; image i has refs[at[i] .. at[i+1]-1]. tokenizer: "ptb-3.4.1", "none", ... (at most 31 bytes);
 * source: 32 hex digits naming the references (their hash), or NULL. pool: NULL counts in this thread; what comes out does not
 * depend on it. NULL + err: no images, out of memory. */
capt_df *capt_df_new(const char *const *refs, const size_t *at, size_t n, int eos, const char *tokenizer,
                     const char *source, capt_pool *pool, capt_err *err);
capt_df *capt_df_open(const char *path, capt_err *err); /* maps the file, checks all of it */
int capt_df_write(const capt_df *df, const char *path, capt_err *err); /* equal contents give equal bytes */
void capt_df_free(capt_df *df);                                       /* NULL is fine */
uint64_t capt_df_images(const capt_df *df);                           /* N */
uint64_t capt_df_ngrams(const capt_df *df);
int capt_df_eos(const capt_df *df);
const char *capt_df_tokenizer(const capt_df *df);
const char *capt_df_source(const capt_df *df); /* "" if none was given */
/* Number of images with this n-gram (words joined by one blank); 0: none. */
uint32_t capt_df_count(const capt_df *df, const char *ngram);

typedef struct capt_cider_refs capt_cider_refs;
typedef struct capt_cider_scratch capt_cider_scratch;
capt_cider_refs *capt_cider_refs_new(const capt_df *df, const char *const *refs, size_t n); /* n tokenized lines, n >= 1 */
void capt_cider_refs_free(capt_cider_refs *r);
capt_cider_scratch *capt_cider_scratch_new(void);
void capt_cider_scratch_free(capt_cider_scratch *s);
/* CIDEr-D of one hypothesis, 0..10; an empty line gives 0. df must be the one refs were made with. */
double capt_cider_score(const capt_df *df, const capt_cider_refs *refs, const char *hyp, capt_cider_scratch *s);
/* The same of a caption that was cut before its end (ended 0): it gets no "<eos>", whatever the df says. */
double capt_cider_score_end(const capt_df *df, const capt_cider_refs *refs, const char *hyp, int ended, capt_cider_scratch *s);
/* The same without clipping and length penalty. */
double capt_cider_score_plain(const capt_df *df, const capt_cider_refs *refs, const char *hyp, capt_cider_scratch *s);
/* out[i] (i < number of references): plain CIDEr against reference i alone, 0..1. */
void capt_cider_kernel(const capt_df *df, const capt_cider_refs *refs, const char *hyp, capt_cider_scratch *s, double *out);
#endif
