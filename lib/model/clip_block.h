/* The block that CLIP's two transformers are made of (Radford et al. 2021, section 2.4; Vaswani et al. 2017 with the norm in front):
 * x + attention(norm(x)), then x + c_proj(act(c_fc(norm(x)))). Parameters carry OpenAI's names. */
#ifndef CAPT_MODEL_CLIP_BLOCK_H
#define CAPT_MODEL_CLIP_BLOCK_H
#include <jansson.h>
#include "nn/param.h"

/* Weight and bias of one layer: a matrix (out,in) and (out), or a norm's gain and bias (D) each. */
typedef struct capt_affine { capt_tensor *w, *b; } capt_affine;
/* D = width, h = hidden: qkv (3D,D), out (D,D), fc (h,D), proj (D,h) */
typedef struct capt_clip_block { capt_affine ln1, qkv, out, ln2, fc, proj; } capt_clip_block;

/* The parameters "<prefix>ln_1.weight" and so on of one block in a tower of `layers`, drawn as CLIP draws them. */
void capt_clip_block_new(capt_params *ps, capt_clip_block *b, int width, int hidden, int layers, const char *prefix);
/* Weight drawn with standard deviation std and a zero bias; gain one and bias zero: "<name>.weight", "<name>.bias". */
capt_affine capt_affine_linear(capt_params *ps, int out, int in, double std, const char *name);
capt_affine capt_affine_norm(capt_params *ps, int dim, const char *name);
/* x (B,T,D) -> the same; causal as in capt_attention_self; act a function of backend/map.def */
capt_tensor *capt_clip_block_run(capt_ctx *c, const capt_clip_block *b, capt_tensor *x, int heads, int causal, int act);
/* The function that the key "activation" of config names (CAPT_MAP_quickgelu, CAPT_MAP_gelu_erf), or -1 and an error. */
int capt_clip_activation(const char *what, const json_t *config, capt_err *err);
/* LayerNorm with CLIP's epsilon. */
capt_tensor *capt_clip_norm(capt_ctx *c, capt_tensor *x, capt_affine a);
#endif
