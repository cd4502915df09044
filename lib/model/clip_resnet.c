/* CLIP's residual network (Radford et al. 2021, section 2.4: the ResNet-D stem of three 3x3 convolutions, pooling in place of strides, and attention
 * pooling; bottlenecks of He et al. 2016, fig. 5).
 *
 * R = resolution, w = width, C = 32w, g = R/32, S = g*g cells. Parameters carry OpenAI's names under "encoder."; filters are (out,kh,kw,in), 1x1 filters
 * plain matrices (out,in). grid = the map of the last stage (C wide); global = token 0 of the attention pool over [mean; cells] (output_dim wide).
 * Batch statistics are used in the norms that are trained with bn = batch (train_bn); frozen or loaded weights keep their running statistics. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "model/clip_block.h"
#include "model/encoder_priv.h"
#include "op/op.h"

typedef struct bottleneck {
    const capt_encoder *of;
    int stride;
    capt_tensor *w1, *w2, *w3, *w0; /* (P,Cin), (P,3,3,P), (4P,P); shortcut (4P,Cin) or NULL: identity */
    capt_bn n1, n2, n3, n0;
} bottleneck;
typedef struct resnet {
    int heads, n_blocks;
    capt_tensor *stem[3]; /* (w/2,3,3,3), (w/2,3,3,w/2), (w,3,3,w/2) */
    capt_bn stem_norm[3];
    bottleneck *block;
    capt_tensor *position; /* (1+S,C) */
    capt_affine q, k, v, out;
} resnet;

static const capt_key keys[] = {
    CAPT_ENCODER_KEYS("224"),
    {"width", 'i', "64", "channels behind the stem; even"},
    {"layers1", 'i', "3", "bottlenecks of stage 1"},
    {"layers2", 'i', "4", "bottlenecks of stage 2"},
    {"layers3", 'i', "6", "bottlenecks of stage 3"},
    {"layers4", 'i', "3", "bottlenecks of stage 4"},
    {"heads", 'i', "0", "heads of the attention pool; 0: width*32/64"},
    {"output_dim", 'i', "1024", "width of the global vector"},
    {"bn", 's', "batch", "normalisation in training: batch (statistics of the batch) or frozen (running statistics)"},
    {NULL, 0, NULL, NULL}
};

static capt_bn new_norm(capt_encoder *e, int C, const char *name, ...)
{
    char s[100], full[120];
    va_list ap;
    va_start(ap, name);
    vsnprintf(s, sizeof s, name, ap);
    va_end(ap);
    capt_bn n;
    snprintf(full, sizeof full, "encoder.%s", s);
    capt_affine a = capt_affine_norm(e->params, C, full);
    n.g = a.w;
    n.b = a.b;
    n.mean = capt_param_new(e->params, CAPT_P_BUFFER, CAPT_INIT_ZERO, 0, CAPT_DIMS(C), "encoder.%s.running_mean", s);
    n.var = capt_param_new(e->params, CAPT_P_BUFFER, CAPT_INIT_ONE, 0, CAPT_DIMS(C), "encoder.%s.running_var", s);
    return n;
}

/* A filter drawn for rectified inputs (He et al. 2015, eq. 10); k 1 makes a matrix. */
static capt_tensor *new_conv(capt_encoder *e, int out, int k, int in, const char *name, ...)
{
    char s[100];
    va_list ap;
    va_start(ap, name);
    vsnprintf(s, sizeof s, name, ap);
    va_end(ap);
    double std = sqrt(2.0 / ((double)k * k * in));
    const unsigned flags = CAPT_P_MATRIX | CAPT_P_DECAY;
    if (k == 1)
        return capt_param_new(e->params, flags, CAPT_INIT_NORMAL, std, CAPT_DIMS(out, in), "encoder.%s.weight", s);
    return capt_param_new(e->params, flags, CAPT_INIT_NORMAL, std, CAPT_DIMS(out, k, k, in), "encoder.%s.weight", s);
}

static void new_bottleneck(capt_encoder *e, bottleneck *b, int stage, int i, int in, int P)
{
    b->of = e;
    b->stride = i == 0 && stage > 1 ? 2 : 1;
    b->w1 = new_conv(e, P, 1, in, "layer%d.%d.conv1", stage, i);
    b->n1 = new_norm(e, P, "layer%d.%d.bn1", stage, i);
    b->w2 = new_conv(e, P, 3, P, "layer%d.%d.conv2", stage, i);
    b->n2 = new_norm(e, P, "layer%d.%d.bn2", stage, i);
    b->w3 = new_conv(e, 4 * P, 1, P, "layer%d.%d.conv3", stage, i);
    b->n3 = new_norm(e, 4 * P, "layer%d.%d.bn3", stage, i);
    if (b->stride == 1 && in == 4 * P)
        return;
    b->w0 = new_conv(e, 4 * P, 1, in, "layer%d.%d.downsample.0", stage, i);
    b->n0 = new_norm(e, 4 * P, "layer%d.%d.downsample.1", stage, i);
}

static int init(capt_encoder *e, capt_err *err)
{
    resnet *r = e->self = capt_alloc(sizeof *r);
    int w, n[4];
    if (capt_encoder_int(e, "width", 2, 2048, &w, err) || capt_encoder_int(e, "layers1", 1, 1000, &n[0], err) ||
        capt_encoder_int(e, "layers2", 1, 1000, &n[1], err) || capt_encoder_int(e, "layers3", 1, 1000, &n[2], err) ||
        capt_encoder_int(e, "layers4", 1, 1000, &n[3], err) || capt_encoder_int(e, "heads", 0, 32 * w, &r->heads, err) ||
        capt_encoder_int(e, "output_dim", 1, 65536, &e->global_dim, err))
        return -1;
    const char *mode = capt_config_str(e->config, "bn");
    if (strcmp(mode, "batch") && strcmp(mode, "frozen"))
        return capt_fail(err, CAPT_EDATA, "clip-resnet: \"bn\" is \"%s\", not batch or frozen", mode);
    e->train_bn = !strcmp(mode, "batch");
    if (e->size % 32)
        return capt_fail(err, CAPT_EDATA, "clip-resnet: resolution %d is no multiple of 32", e->size);
    if (w % 2)
        return capt_fail(err, CAPT_EDATA, "clip-resnet: width %d is odd", w);
    int C = 32 * w, g = e->size / 32;
    if (r->heads == 0)
        r->heads = C / 64;
    if (C % r->heads)
        return capt_fail(err, CAPT_EDATA, "clip-resnet: %d channels do not split into %d heads", C, r->heads);
    e->grid_dim = C;
    e->grid_rows = g * g;
    const int stem[4] = {3, w / 2, w / 2, w};
    for (int i = 0; i < 3; i++) {
        r->stem[i] = new_conv(e, stem[i + 1], 3, stem[i], "conv%d", i + 1);
        r->stem_norm[i] = new_norm(e, stem[i + 1], "bn%d", i + 1);
    }
    r->n_blocks = n[0] + n[1] + n[2] + n[3];
    r->block = capt_alloc((size_t)r->n_blocks * sizeof *r->block);
    for (int stage = 1, at = 0, in = w; stage <= 4; stage++)
        for (int i = 0; i < n[stage - 1]; i++) {
            int P = w << (stage - 1);
            new_bottleneck(e, &r->block[at++], stage, i, in, P);
            in = 4 * P;
        }
    r->position = capt_param_new(e->params, 0, CAPT_INIT_NORMAL, 1 / sqrt(C), CAPT_DIMS(1 + g * g, C), "encoder.attnpool.positional_embedding");
    r->q = capt_affine_linear(e->params, C, C, 1 / sqrt(C), "encoder.attnpool.q_proj");
    r->k = capt_affine_linear(e->params, C, C, 1 / sqrt(C), "encoder.attnpool.k_proj");
    r->v = capt_affine_linear(e->params, C, C, 1 / sqrt(C), "encoder.attnpool.v_proj");
    r->out = capt_affine_linear(e->params, e->global_dim, C, 1 / sqrt(C), "encoder.attnpool.c_proj");
    return 0;
}

/* a convolution, its norm, what is added, a relu */
static capt_tensor *conv(capt_ctx *c, const capt_encoder *e, capt_tensor *x, capt_tensor *w, const capt_bn *n, int stride, capt_tensor *add, int relu)
{
    int train = c->training && e->train_bn && n->g->needs_grad;
    return capt_conv_norm(c, x, w, n, stride, w->ndim == 4, add, train, relu);
}

/* x (I,H,W,Cin) -> (I,H/stride,W/stride,4P) */
static capt_tensor *run_bottleneck(capt_ctx *c, const void *arg, capt_tensor *x)
{
    const bottleneck *b = arg;
    const capt_encoder *e = b->of;
    int s = b->stride;
    capt_tensor *h = conv(c, e, x, b->w1, &b->n1, 1, NULL, 1);
    h = conv(c, e, h, b->w2, &b->n2, 1, NULL, 1);
    if (s > 1) {
        h = capt_avgpool(c, h, s, s);
        x = capt_avgpool(c, x, s, s);
    }
    if (b->w0)
        x = conv(c, e, x, b->w0, &b->n0, 1, NULL, 0);
    return conv(c, e, h, b->w3, &b->n3, 1, x, 1);
}

/* map (I,g,g,C), cells (I,S,C) the same -> (I,1,output_dim). Only token 0 asks, all tokens answer. */
static capt_tensor *attention_pool(capt_ctx *c, const capt_encoder *e, const resnet *r, capt_tensor *map, capt_tensor *cells)
{
    int64_t I = map->dim[0], T = e->grid_rows + 1, C = e->grid_dim;
    int g = (int)map->dim[1];
    capt_tensor *mean = capt_reshape_to(c, capt_avgpool(c, map, g, g), I, 1, C);
    capt_tensor *x = capt_add_rows(c, capt_concat(c, mean, cells), r->position, 0); /* (I,T,C) */
    capt_tensor *q = capt_linear(c, capt_slice(c, x, 0, 1), r->q.w, r->q.b, CAPT_MAP_none);
    capt_tensor *k = capt_linear(c, x, r->k.w, r->k.b, CAPT_MAP_none), *v = capt_linear(c, x, r->v.w, r->v.b, CAPT_MAP_none);
    /* k and v side by side, token by token: (I*T,1,C),(I*T,1,C) -> (I*T,2,C) = (I,T,2C) */
    capt_tensor *kv = capt_concat(c, capt_reshape_to(c, k, I * T, 1, C), capt_reshape_to(c, v, I * T, 1, C));
    x = capt_attention_cross(c, q, capt_reshape_to(c, kv, I, T, 2 * C), r->heads, NULL, 0);
    return capt_linear(c, x, r->out.w, r->out.b, CAPT_MAP_none);
}

struct stem { const capt_encoder *of; capt_mark mark; };

/* x (I,R,R,3) -> (I,R/4,R/4,w) */
static capt_tensor *run_stem(capt_ctx *c, const void *arg, capt_tensor *x)
{
    const struct stem *s = arg;
    const resnet *r = s->of->self;
    for (int i = 0; i < 3; i++)
        x = conv(c, s->of, i ? capt_relay(c, s->mark, x) : x, r->stem[i], &r->stem_norm[i], i == 0 ? 2 : 1, NULL, 1);
    return capt_avgpool(c, x, 2, 2);
}

static void forward(capt_ctx *c, capt_encoder *e, capt_tensor *u8, capt_encoded *out)
{
    const resnet *r = e->self;
    struct stem *stem = capt_arena_alloc(c->host, sizeof *stem);
    stem->of = e;
    stem->mark = capt_ctx_mark(c);
    capt_tensor *x = capt_pixels(c, u8, e->mean, e->std);
    x = e->recompute ? capt_recompute(c, run_stem, stem, x) : run_stem(c, stem, x);
    for (int i = 0; i < r->n_blocks; i++)
        x = capt_encoder_segment(c, e, stem->mark, run_bottleneck, &r->block[i], x);
    out->grid = capt_reshape_to(c, x, u8->dim[0], e->grid_rows, e->grid_dim);
    out->global = attention_pool(c, e, r, x, out->grid);
}

static void free_resnet(capt_encoder *e)
{
    resnet *r = e->self;
    free(r->block);
    free(r);
}

/* stem, layer1 to layer4, head */
static void stage(const char *param, char name[CAPT_STAGE_NAME])
{
    int i;
    if (sscanf(param, "layer%d.", &i) == 1)
        snprintf(name, CAPT_STAGE_NAME, "layer%d", i);
    else
        strcpy(name, strncmp(param, "attnpool.", 9) ? "stem" : "head");
}

const capt_encoder_type capt_encoder_clip_resnet = {"clip-resnet", "CLIP's residual network with attention pooling", keys, init, forward, free_resnet, stage};
