/* Shared by the encoders and the loaders of their weights. */
#ifndef CAPT_MODEL_ENCODER_PRIV_H
#define CAPT_MODEL_ENCODER_PRIV_H
#include "model/model.h"
#include "op/op.h"

/* Keys that every encoder has: how its pixels are made. Means and deviations are CLIP's unless a file says otherwise. */
#define CAPT_ENCODER_KEYS(resolution)                                                                                       \
    {"resolution", 'i', resolution, "side of the square input in pixels"},                                                  \
    {"preprocess", 's', "clip", "clip (short side resized, centre crop) or stretch"},                                       \
    {"mean_r", 'n', "0.48145466", "mean of red, of 0..1"}, {"mean_g", 'n', "0.4578275", "mean of green"},                   \
    {"mean_b", 'n', "0.40821073", "mean of blue"}, {"std_r", 'n', "0.26862954", "standard deviation of red"},               \
    {"std_g", 'n', "0.26130258", "standard deviation of green"}, {"std_b", 'n', "0.27577711", "standard deviation of blue"}

#define ENCODER(symbol) extern const capt_encoder_type capt_encoder_##symbol;
#include "model/encoder.def"
#undef ENCODER

/* The value of an integer key, refused outside lo..hi. */
int capt_encoder_int(const capt_encoder *e, const char *key, int lo, int hi, int *v, capt_err *err);

/* fn(arg, x), one block: relayed where it is not recorded, recomputed in the backward pass where e says so. */
capt_tensor *capt_encoder_segment(capt_ctx *c, const capt_encoder *e, capt_mark mark, capt_segment *fn, const void *arg, capt_tensor *x);

/* A positional table for another grid: src (1+g0*g0,dim) -> dst (1+g*g,dim). Row 0, the class token's, is kept; the others are resampled as a picture
 * by cubic convolution (Keys 1981, pixel centres): with a = -3/4, edges repeated, not widened when shrinking, as transformers does; antialias: with a = -1/2,
 * edges left out, widened when shrinking, as open_clip does. */
void capt_encoder_resize_positions(capt_real *dst, int g, const capt_real *src, int g0, int dim, int antialias);
#endif
