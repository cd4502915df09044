/* CLIP's vision transformer (Radford et al. 2021, section 2.4; Dosovitskiy et al. 2021, eq. 1-4, with a norm before the blocks).
 *
 * R = resolution, p = patch, g = R/p, S = g*g cells, D = width, h = mlp_ratio*D. Parameters carry OpenAI's names under "encoder."; matrices are (out,in),
 * the patch filter (D,p,p,3), so "proj" is (output_dim,D), the transpose of the public file's. global = ln_post(class token) proj; grid = ln_post of the
 * other tokens, proj not applied (D wide). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "model/clip_block.h"
#include "model/encoder_priv.h"
#include "op/op.h"

typedef struct vit {
    int layers, heads, patch, width, act;
    capt_tensor *conv1;    /* (D,p,p,3) */
    capt_tensor *cls;      /* (1,D) */
    capt_tensor *position; /* (1+S,D) */
    capt_tensor *proj;     /* (output_dim,D) */
    capt_affine ln_pre, ln_post;
    struct layer { const struct vit *of; capt_clip_block block; } *layer;
} vit;

static const capt_key keys[] = {
    CAPT_ENCODER_KEYS("224"),
    {"patch", 'i', "32", "side of a patch in pixels; divides the resolution"},
    {"width", 'i', "768", "width of a token"},
    {"layers", 'i', "12", "transformer blocks"},
    {"heads", 'i', "0", "attention heads; 0: width/64, at least 1"},
    {"mlp_ratio", 'i', "4", "hidden units of a block's perceptron / width"},
    {"activation", 's', "quickgelu", "of a block's perceptron: quickgelu (CLIP's own) or gelu (the exact one, of many later models)"},
    {"output_dim", 'i', "512", "width of the global vector"},
    {NULL, 0, NULL, NULL}
};

static int init(capt_encoder *e, capt_err *err)
{
    vit *v = e->self = capt_alloc(sizeof *v);
    int ratio;
    if (capt_encoder_int(e, "patch", 1, e->size, &v->patch, err) || capt_encoder_int(e, "width", 1, 16384, &v->width, err) ||
        capt_encoder_int(e, "layers", 1, 1000, &v->layers, err) || capt_encoder_int(e, "heads", 0, v->width, &v->heads, err) ||
        capt_encoder_int(e, "mlp_ratio", 1, 64, &ratio, err) || capt_encoder_int(e, "output_dim", 1, 65536, &e->global_dim, err))
        return -1;
    v->act = capt_clip_activation("clip-vit", e->config, err);
    if (v->act < 0)
        return -1;
    if (e->size % v->patch)
        return capt_fail(err, CAPT_EDATA, "clip-vit: resolution %d is no multiple of the patch %d", e->size, v->patch);
    if (v->heads == 0)
        v->heads = v->width < 64 ? 1 : v->width / 64;
    if (v->width % v->heads)
        return capt_fail(err, CAPT_EDATA, "clip-vit: width %d does not split into %d heads", v->width, v->heads);
    int D = v->width, g = e->size / v->patch;
    e->grid_dim = D;
    e->grid_rows = g * g;
    double scale = 1 / sqrt(D);
    v->conv1 = capt_param_new(e->params, CAPT_P_MATRIX | CAPT_P_DECAY, CAPT_INIT_NORMAL, 1 / sqrt(3.0 * v->patch * v->patch),
                              CAPT_DIMS(D, v->patch, v->patch, 3), "encoder.conv1.weight");
    v->cls = capt_param_new(e->params, 0, CAPT_INIT_NORMAL, scale, CAPT_DIMS(1, D), "encoder.class_embedding");
    v->position = capt_param_new(e->params, 0, CAPT_INIT_NORMAL, scale, CAPT_DIMS(1 + g * g, D), "encoder.positional_embedding");
    v->ln_pre = capt_affine_norm(e->params, D, "encoder.ln_pre");
    v->layer = capt_alloc((size_t)v->layers * sizeof *v->layer);
    for (int i = 0; i < v->layers; i++) {
        char prefix[80];
        snprintf(prefix, sizeof prefix, "encoder.transformer.resblocks.%d.", i);
        v->layer[i].of = v;
        capt_clip_block_new(e->params, &v->layer[i].block, D, ratio * D, v->layers, prefix);
    }
    v->ln_post = capt_affine_norm(e->params, D, "encoder.ln_post");
    v->proj = capt_param_new(e->params, CAPT_P_MATRIX | CAPT_P_DECAY, CAPT_INIT_NORMAL, scale, CAPT_DIMS(e->global_dim, D), "encoder.proj");
    return 0;
}

static capt_tensor *run_layer(capt_ctx *c, const void *layer, capt_tensor *x)
{
    const struct layer *l = layer;
    return capt_clip_block_run(c, &l->block, x, l->of->heads, CAPT_ATTN_FULL, l->of->act);
}

static void forward(capt_ctx *c, capt_encoder *e, capt_tensor *u8, capt_encoded *out)
{
    const vit *v = e->self;
    int64_t I = u8->dim[0], S = e->grid_rows, D = v->width;
    capt_mark mark = capt_ctx_mark(c);
    capt_tensor *x = capt_pixels(c, u8, e->mean, e->std);
    x = capt_conv2d(c, x, v->conv1, NULL, v->patch, 0); /* (I,g,g,D) */
    x = capt_reshape_to(c, x, I, S, D);
    const int32_t *zero = capt_arena_alloc(c->host, (size_t)I * sizeof *zero);
    capt_tensor *cls = capt_gather(c, v->cls, zero, I); /* one class token an image */
    x = capt_concat(c, capt_reshape_to(c, cls, I, 1, D), x);
    x = capt_clip_norm(c, capt_add_rows(c, x, v->position, 0), v->ln_pre);
    for (int i = 0; i < v->layers; i++)
        x = capt_encoder_segment(c, e, mark, run_layer, &v->layer[i], x);
    x = capt_clip_norm(c, x, v->ln_post);
    out->global = capt_linear(c, capt_slice(c, x, 0, 1), v->proj, NULL, CAPT_MAP_none);
    out->grid = capt_slice(c, x, 1, S);
}

static void free_vit(capt_encoder *e)
{
    vit *v = e->self;
    free(v->layer);
    free(v);
}

/* stem, block0, block1, ..., head */
static void stage(const char *param, char name[CAPT_STAGE_NAME])
{
    int i;
    if (sscanf(param, "transformer.resblocks.%d.", &i) == 1)
        snprintf(name, CAPT_STAGE_NAME, "block%d", i);
    else
        strcpy(name, !strncmp(param, "ln_post.", 8) || !strcmp(param, "proj") ? "head" : "stem");
}

const capt_encoder_type capt_encoder_clip_vit = {"clip-vit", "CLIP's vision transformer", keys, init, forward, free_vit, stage};
