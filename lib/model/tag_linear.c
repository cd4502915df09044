/* The plainest tagger: each tag's logit is a linear map of the image vector, the mean of its feature rows. */
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "model/model.h"
#include "nn/layer.h"

typedef struct tag_linear { double drop; } tag_linear;

static const capt_key keys[] = {
    CAPT_FEATURE_KEYS,
    CAPT_TAGGER_KEYS,
    {"words", 'i', "1", "1: all tags are given at once"},
    {"dropout", 'n', "0.2", "dropout of the image vector"},
    {NULL, 0, NULL, NULL}};

static int init(capt_model *m, capt_err *err)
{
    tag_linear *g = capt_alloc(sizeof *g);
    m->self = g;
    g->drop = capt_config_num(m->config, "dropout");
    if (g->drop < 0 || g->drop >= 1)
        return capt_fail(err, CAPT_EDATA, "linear: dropout is %g", g->drop);
    capt_lin head = capt_lin_new(&m->params, capt_vocab_size(m->vocab), m->image_dim, CAPT_INIT_UNIFORM, 1 / sqrt(m->image_dim), 1, "head");
    m->head_w = head.w;
    m->head_b = head.b;
    m->hidden = m->image_dim;
    return 0;
}

static void free_linear(capt_model *m)
{
    free(m->self);
    m->self = NULL;
}

static capt_tensor *forward(capt_ctx *c, capt_model *m, const capt_feat *f, int R, int T, const int32_t *row_image, const int32_t *tokens, capt_aux *aux)
{
    const tag_linear *g = m->self;
    capt_tensor *x = capt_model_features(c, m, f);
    x = m->image_rows > 1 ? capt_mean_rows(c, x, f->len) : x;
    return capt_dropout(c, capt_reshape_to(c, x, R, 1, m->image_dim), g->drop);
}

extern const capt_captioner_type capt_tagger_linear;
const capt_captioner_type capt_tagger_linear = {"linear", "a linear map of the image vector (the mean of its rows) for each tag", keys, init, free_linear, forward, NULL, NULL};
