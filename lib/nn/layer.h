/* Linear layers and normalisation with their parameters; what several captioners build on. Weights belong to the parameter set. */
#ifndef CAPT_NN_LAYER_H
#define CAPT_NN_LAYER_H
#include "nn/param.h"
#include "op/op.h"

typedef struct capt_lin { capt_tensor *w, *b; /* (out,in); (out) or NULL */ } capt_lin;
/* Parameters NAME.weight, drawn by init and a, and (bias) NAME.bias, zero. name is a printf format. */
capt_lin capt_lin_new(capt_params *ps, int out, int in, capt_init init, double a, int bias, const char *name, ...) CAPT_PRINTF(7, 8);
capt_tensor *capt_lin_run(capt_ctx *c, const capt_lin *l, capt_tensor *x, int act);
double capt_xavier(int out, int in); /* bound of the uniform distribution of Glorot & Bengio 2010, eq. 16 */

/* Layer normalisation. CAPT_NORM_UNBIASED divides by the deviation with D-1 in its denominator, as the Annotated Transformer and its descendants do; their 1e-6
 * beside the deviation is left out. */
enum { CAPT_NORM_PLAIN, CAPT_NORM_UNBIASED };
typedef struct capt_norm { capt_tensor *g, *b; int kind; } capt_norm;
capt_norm capt_norm_new(capt_params *ps, int D, int kind, const char *name, ...) CAPT_PRINTF(4, 5);
capt_tensor *capt_norm_run(capt_ctx *c, const capt_norm *n, capt_tensor *x);

/* (...,P),(...,Q) -> (...,P+Q) */
capt_tensor *capt_join(capt_ctx *c, capt_tensor *x, capt_tensor *y);
/* Sinusoids of Vaswani et al. 2017, section 3.5, for positions from .. from+n-1: (n,D); D even */
capt_tensor *capt_sinusoids(capt_ctx *c, int from, int n, int D);
/* Embedding of host tokens (R,T): rows of e (V,D) -> (R,T,D) */
capt_tensor *capt_embed(capt_ctx *c, capt_tensor *e, const int32_t *tokens, int R, int T);
#endif
