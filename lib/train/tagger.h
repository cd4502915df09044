/* Training and applying a tagger (model/tagger.def): loss of a batch, probabilities of the tags, and how good they are.
 *
 * Tag k is token k of the model's vocabulary; the four specials are none. A tagger without steps gives a logit a tag: the loss is the binary cross-entropy of every tag,
 * summed over an image's tags, and the probability its sigmoid. One with steps (lstm) writes the tags as a sentence, the most frequent first: the loss is that of its words and
 * of the end, and what it writes, no tag twice, has the probability of its word; other tags have 0. */
#ifndef CAPT_TRAIN_TAGGER_H
#define CAPT_TRAIN_TAGGER_H
#include "decode/scorer.h"
#include "record/caption.h"

enum { CAPT_TAG_FIRST = 4 }; /* first token that is a tag */

/* Adds the gradient of the batch's mean loss an image. recs: the images' records with their tags (those the vocabulary lacks do not count). row0: number of the
 * first image (dropout). *loss: that mean; not finite is an error. backward 0: the loss alone. */
int capt_tagger_pass(capt_ctx *c, capt_model *m, const capt_input *in, const capt_caption *const *recs, int backward, double *loss, capt_err *err);
/* p (I,V), host: the probability of each tag, 0 for the specials. s: the model's scorer. */
int capt_tagger_predict(capt_ctx *c, capt_model *m, capt_scorer *s, const capt_input *in, capt_real *p, capt_err *err);

/* Tags counted over images at the thresholds (k+1)/100, k = 0..98: how many are given, and how many of those are right. */
enum { CAPT_TAG_STEPS = 99 };
typedef struct capt_tag_counts { int64_t images, wanted, given[CAPT_TAG_STEPS], right[CAPT_TAG_STEPS]; } capt_tag_counts;
typedef struct capt_tag_quality { double threshold, precision, recall, f1; } capt_tag_quality;
void capt_tag_count(capt_tag_counts *n, const capt_vocab *v, const capt_real *p, const capt_caption *const *recs, int n_images);
/* Of all tags of all images together (micro-averaged), at the threshold of the best F1, the lowest of equals. */
capt_tag_quality capt_tag_best(const capt_tag_counts *n);

/* The tags of one image, p (V), of at least `threshold`, the likeliest first (equals by number), at most `most` (0: any): their number; ids (V). */
int capt_tags_choose(const capt_real *p, int V, double threshold, int most, int32_t *ids);
#endif
