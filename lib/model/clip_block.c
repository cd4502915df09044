#include "model/clip_block.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include "model/model.h"
#include "op/op.h"

#define EPS 1e-5

capt_affine capt_affine_linear(capt_params *ps, int out, int in, double std, const char *name)
{
    capt_affine a;
    a.w = capt_param_new(ps, CAPT_P_MATRIX | CAPT_P_DECAY, CAPT_INIT_NORMAL, std, CAPT_DIMS(out, in), "%s.weight", name);
    a.b = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(out), "%s.bias", name);
    return a;
}

capt_affine capt_affine_norm(capt_params *ps, int dim, const char *name)
{
    capt_affine a;
    a.w = capt_param_new(ps, 0, CAPT_INIT_ONE, 0, CAPT_DIMS(dim), "%s.weight", name);
    a.b = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(dim), "%s.bias", name);
    return a;
}

void capt_clip_block_new(capt_params *ps, capt_clip_block *b, int D, int hidden, int layers, const char *prefix)
{
    double in = 1 / sqrt(D), back = in / sqrt(2.0 * layers); /* what returns to the residual stream starts smaller, the deeper the net */
    char name[200];
#define NAMED(s) (snprintf(name, sizeof name, "%s" s, prefix), name)
    b->ln1 = capt_affine_norm(ps, D, NAMED("ln_1"));
    b->qkv.w = capt_param_new(ps, CAPT_P_MATRIX | CAPT_P_DECAY, CAPT_INIT_NORMAL, in, CAPT_DIMS(3 * D, D), "%sattn.in_proj_weight", prefix);
    b->qkv.b = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(3 * D), "%sattn.in_proj_bias", prefix);
    b->out = capt_affine_linear(ps, D, D, back, NAMED("attn.out_proj"));
    b->ln2 = capt_affine_norm(ps, D, NAMED("ln_2"));
    b->fc = capt_affine_linear(ps, hidden, D, 1 / sqrt(2.0 * D), NAMED("mlp.c_fc"));
    b->proj = capt_affine_linear(ps, D, hidden, back, NAMED("mlp.c_proj"));
#undef NAMED
}

capt_tensor *capt_clip_norm(capt_ctx *c, capt_tensor *x, capt_affine a)
{
    return capt_layernorm(c, x, a.w, a.b, EPS);
}

capt_tensor *capt_clip_block_run(capt_ctx *c, const capt_clip_block *b, capt_tensor *x, int heads, int causal, int act)
{
    capt_tensor *a = capt_linear(c, capt_clip_norm(c, x, b->ln1), b->qkv.w, b->qkv.b, CAPT_MAP_none); /* (B,T,3D) */
    a = capt_attention_self(c, a, heads, causal, NULL, 0);
    x = capt_add(c, x, capt_linear(c, a, b->out.w, b->out.b, CAPT_MAP_none));
    capt_tensor *h = capt_linear(c, capt_clip_norm(c, x, b->ln2), b->fc.w, b->fc.b, act); /* (B,T,h) */
    return capt_add(c, x, capt_linear(c, h, b->proj.w, b->proj.b, CAPT_MAP_none));
}

int capt_clip_activation(const char *what, const json_t *config, capt_err *err)
{
    const char *name = capt_config_str(config, "activation");
    if (!strcmp(name, "quickgelu"))
        return CAPT_MAP_quickgelu;
    if (!strcmp(name, "gelu"))
        return CAPT_MAP_gelu_erf;
    return capt_fail(err, CAPT_EDATA, "%s: \"activation\" is \"%s\", not quickgelu or gelu", what, name);
}
