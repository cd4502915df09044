/* CLIPScore and RefCLIPScore (Hessel et al. 2021, eq. 1 and section 3): how well a caption fits a picture, by CLIP's two towers.
 *
 *   CLIPScore(c, v)     = 2.5 max(cos(c, v), 0)
 *   RefCLIPScore(c,R,v) = harmonic mean of CLIPScore(c, v) and max(max over r in R of cos(c, r), 0)
 * Every text is read behind "A photo depicts ". Published figures are of ViT-B/32 at 224 pixels. An object is used by one thread at a time; its backend's
 * pool does the work. As a reward: embed the pictures once, then the sampled captions, and call capt_clipscore_of. */
#ifndef CAPT_EVAL_CLIPSCORE_H
#define CAPT_EVAL_CLIPSCORE_H
#include "image/prep.h"
#include "op/tape.h"

typedef struct capt_clipscore capt_clipscore;
/* weights: public CLIP weights with both towers (model/import.h); merges: CLIP's byte-pair merges (text/vocab.h). be is borrowed. */
capt_clipscore *capt_clipscore_open(const char *weights, const char *merges, capt_backend *be, capt_err *err);
void capt_clipscore_close(capt_clipscore *c); /* NULL is fine */
int capt_clipscore_dim(const capt_clipscore *c);
const capt_prep *capt_clipscore_prep(const capt_clipscore *c); /* how pictures become the pixels it reads */
const char *capt_clipscore_id(const capt_clipscore *c);        /* names weights and merges: 32 hex digits */
int capt_clipscore_is_published(const capt_clipscore *c);      /* 1: the shape of ViT-B/32 at 224 */
/* Unit vectors (n,dim) of pixels (n,size,size,3) or of captions as people wrote them. */
int capt_clipscore_images(capt_clipscore *c, const unsigned char *pixels, int n, float *out, capt_err *err);
int capt_clipscore_texts(capt_clipscore *c, const char *const *captions, int n, float *out, capt_err *err);
/* Of unit vectors. */
double capt_clipscore_of(const float *image, const float *text, int dim);
/* clip: the caption's CLIPScore; refs (n,dim), at least one. */
double capt_clipscore_with_refs(double clip, const float *text, const float *refs, size_t n, int dim);
#endif
