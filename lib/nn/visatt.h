/* Additive attention over an image's feature rows with its weights: e_s = w . act(Wv v_s + Wh h). */
#ifndef CAPT_NN_VISATT_H
#define CAPT_NN_VISATT_H
#include "nn/layer.h"

typedef struct capt_focus { capt_lin v, h; capt_tensor *w; int act; } capt_focus;
/* Parameters NAME.v.weight (A,D), NAME.h.weight (A,H) with biases when bias, NAME.w (A). a_v, a_h, a_w: bounds or deviations of init. */
capt_focus capt_focus_new(capt_params *ps, int A, int D, int H, int act, int bias, capt_init init, double a_v, double a_h, double a_w, const char *name);
/* v (I,S,D) -> Wv v (I,S,A): once an image */
capt_tensor *capt_focus_keys(capt_ctx *c, const capt_focus *f, capt_tensor *v);
/* Rows' weighted sums (R,D) of v; keys as above; h (R,H); host row_image (R), len (I) or NULL. *alpha: the weights (R,S). */
capt_tensor *capt_focus_run(capt_ctx *c, const capt_focus *f, capt_tensor *keys, capt_tensor *v, capt_tensor *h, const int32_t *row_image, const int32_t *len, capt_tensor **alpha);
#endif
