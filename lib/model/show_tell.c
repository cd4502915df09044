/* Show and Tell (Vinyals et al. 2015, section 3): the image vector is what an LSTM reads before the words.
 *
 * Several feature rows are replaced by their mean. The vector passes a linear layer to the width of a word and is read at step -1, then come BOS and the words;
 * the hidden vector at word t, with dropout, predicts word t+1. compat "ruo": the cell of NeuralTalk2 and its PyTorch successors, whose candidate is the larger of
 * two linear maps without tanh. As a tagger its words are tags. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "model/model.h"
#include "nn/cell.h"

typedef struct show_tell {
    int E, H;
    double drop;
    capt_lin image;
    capt_tensor *words;
    capt_cell cell;
} show_tell;

#define KEYS                                                                                   \
    {"width", 'i', "512", "width of the LSTM"},                                                \
    {"embed", 'i', "512", "width of a word, and of the image vector"},                         \
    {"words", 'i', "20", "word inputs, BOS included"},                                         \
    {"dropout", 'n', "0.5", "dropout of the hidden vectors"},                                  \
    {"compat", 'c', "none|ruo", "published variant: ruo is NeuralTalk2's cell"}
static const capt_key keys[] = {CAPT_FEATURE_KEYS, KEYS, {NULL, 0, NULL, NULL}};
static const capt_key tagger_keys[] = {CAPT_FEATURE_KEYS, CAPT_TAGGER_KEYS, KEYS, {NULL, 0, NULL, NULL}};

static int init(capt_model *m, capt_err *err)
{
    show_tell *g = capt_alloc(sizeof *g);
    m->self = g;
    static const char *const sizes[] = {"width", "embed"};
    if (capt_config_sizes(m, sizes, (int *const[]){&g->H, &g->E}, 2, err))
        return -1;
    g->drop = capt_config_num(m->config, "dropout");
    if (g->drop < 0 || g->drop >= 1)
        return capt_fail(err, CAPT_EDATA, "show-tell: dropout is %g", g->drop);
    capt_params *ps = &m->params;
    int V = capt_vocab_size(m->vocab), kind = strcmp(capt_config_str(m->config, "compat"), "ruo") ? CAPT_LSTM : CAPT_LSTM_MAXOUT;
    g->image = capt_lin_new(ps, g->E, m->image_dim, CAPT_INIT_UNIFORM, 1 / sqrt(m->image_dim), 1, "image");
    g->words = capt_param_new(ps, CAPT_P_DECAY, CAPT_INIT_UNIFORM, 0.1, CAPT_DIMS(V, g->E), "words.weight");
    g->cell = capt_cell_new(ps, g->H, g->E, g->H, kind, CAPT_INIT_UNIFORM, 1 / sqrt(g->H), "lstm");
    capt_lin head = capt_lin_new(ps, V, g->H, CAPT_INIT_UNIFORM, 0.1, 1, "head");
    m->head_w = head.w;
    m->head_b = head.b;
    m->hidden = g->H;
    return 0;
}

static void free_show_tell(capt_model *m)
{
    free(m->self);
    m->self = NULL;
}

/* The LSTM after the image: hidden vector and *cell, (I,H) */
static capt_tensor *see(capt_ctx *c, capt_model *m, const capt_feat *f, capt_tensor **cell)
{
    show_tell *g = m->self;
    capt_tensor *x = capt_model_features(c, m, f);
    x = capt_lin_run(c, &g->image, m->image_rows > 1 ? capt_mean_rows(c, x, f->len) : x, CAPT_MAP_none);
    x = capt_cell_inputs(c, &g->cell, capt_reshape_to(c, x, x->dim[0], 1, g->E));
    return capt_cell_step(c, &g->cell, x, 0, NULL, NULL, NULL, cell);
}

static capt_tensor *forward(capt_ctx *c, capt_model *m, const capt_feat *f, int R, int T, const int32_t *row_image, const int32_t *tokens, capt_aux *aux)
{
    show_tell *g = m->self;
    if (capt_model_too_long(c, m, T))
        return &c->poison;
    capt_tensor *cell, *h = see(c, m, f, &cell), *x = capt_cell_inputs(c, &g->cell, capt_embed(c, g->words, tokens, R, T)); /* (R,T,G*H) */
    capt_tensor **out = capt_alloc((size_t)T * sizeof *out);
    h = capt_gather(c, h, row_image, R);
    cell = capt_gather(c, cell, row_image, R);
    for (int t = 0; t < T; t++)
        out[t] = h = capt_cell_step(c, &g->cell, x, t, h, NULL, cell, &cell);
    h = capt_stack(c, out, T);
    free(out);
    return capt_dropout(c, h, g->drop);
}

enum { HIDDEN, CELL };

static capt_state *prefill(capt_ctx *c, capt_model *m, const capt_feat *f, int rows, int max_t)
{
    show_tell *g = m->self;
    capt_tensor *cell, *h = see(c, m, f, &cell);
    if (capt_ctx_bad(c))
        return NULL;
    capt_state *s = capt_state_new(c->be, (int)h->dim[0], rows, max_t, f->len);
    capt_state_vector(s, g->H, h);
    capt_state_vector(s, g->H, cell);
    return s;
}

static capt_tensor *step(capt_ctx *c, capt_model *m, capt_state *s, const int32_t *tokens)
{
    show_tell *g = m->self;
    if (capt_model_too_long(c, m, s->t + 1) || capt_state_begin(s))
        return capt_ctx_fail(c, "show-tell: step %d is past the state's %d", s->t, s->max_t);
    capt_tensor *x = capt_cell_inputs(c, &g->cell, capt_embed(c, g->words, tokens, s->rows, 1)), *cell;
    capt_tensor *h = capt_cell_step(c, &g->cell, x, 0, capt_state_get(s, HIDDEN), NULL, capt_state_get(s, CELL), &cell);
    if (capt_ctx_bad(c))
        return &c->poison;
    capt_state_set(s, HIDDEN, h);
    capt_state_set(s, CELL, cell);
    s->t++;
    return h;
}

extern const capt_captioner_type capt_captioner_show_tell, capt_tagger_lstm;
const capt_captioner_type capt_captioner_show_tell = {"show-tell", "Show and Tell: an LSTM that reads the image vector, then the words", keys, init, free_show_tell, forward, prefill, step};
const capt_captioner_type capt_tagger_lstm = {"lstm", "Show and Tell over tags: an LSTM that reads the image vector and writes the tags, the most frequent first", tagger_keys, init, free_show_tell, forward, prefill,
                                              step};
