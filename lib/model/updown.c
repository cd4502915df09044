/* Bottom-up and top-down attention (Anderson et al. 2018, section 3.2): two LSTMs over an image's regions.
 *
 * Regions pass a linear layer with ReLU to v_s (I,S,H), their mean another to vbar (I,H), words an embedding with ReLU; dropout on all three. At word t the attention
 * LSTM reads [h2; vbar; word] and gives h1; alpha = softmax(w . tanh(Wv v_s + Wh h1)); the language LSTM reads [sum alpha_s v_s; h1] and gives h2, which with dropout
 * predicts word t+1. compat "ruo" is this. "official" is the authors' Caffe network: regions and their mean are read as they are, words without ReLU; there are no biases
 * in the attention; weights are drawn with deviation 0.01, and forget gates begin open (bias 1). It is trained with dropout=0. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "model/model.h"
#include "nn/cell.h"
#include "nn/visatt.h"

typedef struct updown {
    int E, H, A, official;
    double drop;
    capt_lin region, mean, mean_gates; /* mean_gates: vbar's share of the attention LSTM's gates; official has no region and no mean */
    capt_tensor *words;
    capt_focus focus;
    capt_cell att, lang;
} updown;

static const capt_key keys[] = {
    CAPT_FEATURE_KEYS,
    {"width", 'i', "1000", "width of the LSTMs and of an embedded region"},
    {"embed", 'i', "1000", "width of a word"},
    {"attention", 'i', "512", "width of the attention"},
    {"words", 'i', "20", "word inputs, BOS included"},
    {"dropout", 'n', "0.5", "dropout of regions, words and hidden vectors"},
    {"compat", 'c', "ruo|official", "published variant: official is the authors' own network"},
    {NULL, 0, NULL, NULL}};

static int init(capt_model *m, capt_err *err)
{
    updown *g = capt_alloc(sizeof *g);
    m->self = g;
    static const char *const sizes[] = {"width", "embed", "attention"};
    if (capt_config_sizes(m, sizes, (int *const[]){&g->H, &g->E, &g->A}, 3, err))
        return -1;
    g->drop = capt_config_num(m->config, "dropout");
    if (g->drop < 0 || g->drop >= 1)
        return capt_fail(err, CAPT_EDATA, "updown: dropout is %g", g->drop);
    capt_params *ps = &m->params;
    int V = capt_vocab_size(m->vocab), D = m->image_dim, H = g->H, W; /* W: width of a region that is attended to */
    g->official = !strcmp(capt_config_str(m->config, "compat"), "official");
    W = g->official ? D : H;
    capt_init draw = g->official ? CAPT_INIT_NORMAL : CAPT_INIT_UNIFORM;
    double d = 1 / sqrt(D), h = g->official ? 0.01 : 1 / sqrt(H), a = g->official ? 0.01 : 1 / sqrt(g->A);
    g->words = capt_param_new(ps, CAPT_P_DECAY, CAPT_INIT_NORMAL, g->official ? 0.01 : 1, CAPT_DIMS(V, g->E), "words.weight");
    if (!g->official) {
        g->region = capt_lin_new(ps, H, D, CAPT_INIT_UNIFORM, d, 1, "region");
        g->mean = capt_lin_new(ps, H, D, CAPT_INIT_UNIFORM, d, 1, "mean");
    }
    g->mean_gates = capt_lin_new(ps, 4 * H, W, draw, h, 0, "attention_lstm.mean");
    g->att = capt_cell_new(ps, H, g->E, 2 * H, CAPT_LSTM, draw, h, "attention_lstm");
    g->lang = capt_cell_new(ps, H, W + H, H, CAPT_LSTM, draw, h, "language_lstm");
    g->focus = capt_focus_new(ps, g->A, W, H, CAPT_MAP_tanh, !g->official, draw, h, h, a, "attention");
    if (g->official) {
        capt_cell_open(ps, &g->att);
        capt_cell_open(ps, &g->lang);
    }
    capt_lin head = capt_lin_new(ps, V, H, draw, h, 1, "head");
    m->head_w = head.w;
    m->head_b = head.b;
    m->hidden = H;
    return 0;
}

static void free_updown(capt_model *m)
{
    free(m->self);
    m->self = NULL;
}

/* What is made once an image: v (I,S,H; official: D), its keys (I,S,A), vbar's gates (I,4H). */
typedef struct seen { capt_tensor *v, *keys, *gates; } seen;

static seen see(capt_ctx *c, capt_model *m, const capt_feat *f)
{
    updown *g = m->self;
    int64_t row0 = c->row0;
    capt_tensor *x = capt_model_features(c, m, f), *mean;
    seen s;
    c->row0 = c->image0;
    s.v = capt_dropout(c, g->official ? x : capt_lin_run(c, &g->region, x, CAPT_MAP_relu), g->drop);
    s.keys = capt_focus_keys(c, &g->focus, s.v);
    mean = capt_mean_rows(c, x, f->len);
    mean = capt_dropout(c, g->official ? mean : capt_lin_run(c, &g->mean, mean, CAPT_MAP_relu), g->drop);
    s.gates = capt_lin_run(c, &g->mean_gates, mean, CAPT_MAP_none);
    c->row0 = row0;
    return s;
}

/* (R,T,E) words -> their share of the attention LSTM's gates */
static capt_tensor *read_words(capt_ctx *c, updown *g, const int32_t *tokens, int R, int T)
{
    capt_tensor *e = capt_embed(c, g->words, tokens, R, T);
    return capt_cell_inputs(c, &g->att, capt_dropout(c, g->official ? e : capt_apply(c, e, CAPT_MAP_relu), g->drop));
}

typedef struct past { capt_tensor *h1, *cell1, *h2, *cell2; } past; /* NULL at the beginning */

/* Step t of rows with their images' gates; p becomes the new past. */
static void advance(capt_ctx *c, updown *g, capt_tensor *x, int t, const seen *s, capt_tensor *gates, const int32_t *row_image, const int32_t *len, past *p, capt_tensor **alpha)
{
    capt_tensor *h = p->h2 ? capt_join(c, p->h2, p->h1) : NULL;
    p->h1 = capt_cell_step(c, &g->att, x, t, h, gates, p->cell1, &p->cell1);
    capt_tensor *z = capt_join(c, capt_focus_run(c, &g->focus, s->keys, s->v, p->h1, row_image, len, alpha), p->h1);
    z = capt_cell_inputs(c, &g->lang, capt_reshape_to(c, z, p->h1->dim[0], 1, capt_tensor_cols(z)));
    p->h2 = capt_cell_step(c, &g->lang, z, 0, p->h2, NULL, p->cell2, &p->cell2);
}

static capt_tensor *forward(capt_ctx *c, capt_model *m, const capt_feat *f, int R, int T, const int32_t *row_image, const int32_t *tokens, capt_aux *aux)
{
    updown *g = m->self;
    if (capt_model_too_long(c, m, T))
        return &c->poison;
    seen s = see(c, m, f);
    capt_tensor *x = read_words(c, g, tokens, R, T), *gates = capt_gather(c, s.gates, row_image, R);
    capt_tensor **out = capt_alloc(2 * (size_t)T * sizeof *out), **alpha = out + T;
    past p = {0};
    for (int t = 0; t < T; t++) {
        advance(c, g, x, t, &s, gates, row_image, f->len, &p, &alpha[t]);
        out[t] = p.h2;
    }
    capt_tensor *h = capt_stack(c, out, T);
    if (aux)
        aux->attention = capt_stack(c, alpha, T);
    free(out);
    return capt_dropout(c, h, g->drop);
}

enum { REGIONS, KEYS, GATES };
enum { H1, CELL1, H2, CELL2 };

static capt_state *prefill(capt_ctx *c, capt_model *m, const capt_feat *f, int rows, int max_t)
{
    updown *g = m->self;
    seen x = see(c, m, f);
    if (capt_ctx_bad(c))
        return NULL;
    capt_state *s = capt_state_new(c->be, (int)x.v->dim[0], rows, max_t, f->len);
    capt_state_keep(s, x.v);
    capt_state_keep(s, x.keys);
    capt_state_keep(s, x.gates);
    for (int k = H1; k <= CELL2; k++)
        capt_state_vector(s, g->H, NULL);
    return s;
}

static capt_tensor *step(capt_ctx *c, capt_model *m, capt_state *s, const int32_t *tokens)
{
    updown *g = m->self;
    if (capt_model_too_long(c, m, s->t + 1) || capt_state_begin(s))
        return capt_ctx_fail(c, "updown: step %d is past the state's %d", s->t, s->max_t);
    seen x = {capt_state_shared(s, REGIONS), capt_state_shared(s, KEYS), capt_state_shared(s, GATES)};
    past p = {capt_state_get(s, H1), capt_state_get(s, CELL1), capt_state_get(s, H2), capt_state_get(s, CELL2)};
    capt_tensor *gates = capt_gather(c, capt_reshape_to(c, x.gates, s->n_images, 4 * (int64_t)g->H), s->row_image, s->rows);
    advance(c, g, read_words(c, g, tokens, s->rows, 1), 0, &x, gates, s->row_image, s->s_len, &p, &s->attention);
    if (capt_ctx_bad(c))
        return &c->poison;
    capt_state_set(s, H1, p.h1);
    capt_state_set(s, CELL1, p.cell1);
    capt_state_set(s, H2, p.h2);
    capt_state_set(s, CELL2, p.cell2);
    s->t++;
    return p.h2;
}

extern const capt_captioner_type capt_captioner_updown;
const capt_captioner_type capt_captioner_updown = {"updown", "bottom-up and top-down attention: two LSTMs over regions or grid cells", keys, init, free_updown, forward, prefill, step};
