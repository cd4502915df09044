/* A tagger that looks at neighbouring grid cells: 3x3 convolutions with ReLU over the square grid, the mean of the cells, a linear map for each tag. */
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "model/model.h"
#include "nn/layer.h"

enum { MOST_LAYERS = 16 };
typedef struct tag_cnn { int side, W, L; double drop; capt_tensor *w[MOST_LAYERS], *b[MOST_LAYERS]; } tag_cnn;

static const capt_key keys[] = {
    CAPT_FEATURE_KEYS,
    CAPT_TAGGER_KEYS,
    {"words", 'i', "1", "1: all tags are given at once"},
    {"width", 'i', "256", "width of the convolutions"},
    {"layers", 'i', "1", "convolutions, one after another"},
    {"dropout", 'n', "0.2", "dropout of the cells' mean"},
    {NULL, 0, NULL, NULL}};

static int init(capt_model *m, capt_err *err)
{
    tag_cnn *g = capt_alloc(sizeof *g);
    m->self = g;
    static const char *const sizes[] = {"width", "layers"};
    if (capt_config_sizes(m, sizes, (int *const[]){&g->W, &g->L}, 2, err))
        return -1;
    g->drop = capt_config_num(m->config, "dropout");
    if (g->L > MOST_LAYERS || g->drop < 0 || g->drop >= 1)
        return capt_fail(err, CAPT_EDATA, "cnn: %d layers (at most %d), dropout %g", g->L, MOST_LAYERS, g->drop);
    while (g->side * g->side < m->image_rows)
        g->side++;
    if (g->side * g->side != m->image_rows)
        return capt_fail(err, CAPT_EDATA, "cnn: %d feature rows are no square grid", m->image_rows);
    capt_params *ps = &m->params;
    for (int i = 0, in = m->image_dim; i < g->L; i++, in = g->W) {
        g->w[i] = capt_param_new(ps, CAPT_P_MATRIX | CAPT_P_DECAY, CAPT_INIT_NORMAL, sqrt(2.0 / (9.0 * in)), CAPT_DIMS(g->W, 3, 3, in), "conv.%d.weight", i);
        g->b[i] = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(g->W), "conv.%d.bias", i);
    }
    capt_lin head = capt_lin_new(ps, capt_vocab_size(m->vocab), g->W, CAPT_INIT_UNIFORM, 1 / sqrt(g->W), 1, "head");
    m->head_w = head.w;
    m->head_b = head.b;
    m->hidden = g->W;
    return 0;
}

static void free_cnn(capt_model *m)
{
    free(m->self);
    m->self = NULL;
}

static capt_tensor *forward(capt_ctx *c, capt_model *m, const capt_feat *f, int R, int T, const int32_t *row_image, const int32_t *tokens, capt_aux *aux)
{
    const tag_cnn *g = m->self;
    if (f->len)
        return capt_ctx_fail(c, "cnn: images differ in their feature rows, a grid is wanted");
    capt_tensor *x = capt_reshape_to(c, capt_model_features(c, m, f), R, g->side, g->side, m->image_dim);
    for (int i = 0; i < g->L; i++)
        x = capt_apply(c, capt_conv2d(c, x, g->w[i], g->b[i], 1, 1), CAPT_MAP_relu);
    x = capt_mean_rows(c, capt_reshape_to(c, x, R, m->image_rows, g->W), NULL);
    return capt_dropout(c, capt_reshape_to(c, x, R, 1, g->W), g->drop);
}

extern const capt_captioner_type capt_tagger_cnn;
const capt_captioner_type capt_tagger_cnn = {"cnn", "3x3 convolutions over a square grid, their mean, a linear map for each tag", keys, init, free_cnn, forward, NULL, NULL};
