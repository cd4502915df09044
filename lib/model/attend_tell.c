/* Show, Attend and Tell with soft attention (Xu et al. 2015, sections 3.1 and 4.2; the LSTM and gate as in the later PyTorch implementations).
 *
 * Feature rows a_s (I,S,D). h and cell begin as linear maps of the rows' mean. At word t: alpha = softmax(w . relu(Wa a_s + Wh h)), z = sum alpha_s a_s,
 * gate = sigmoid(Wg h); the LSTM reads [word; gate*z]; its hidden vector, with dropout, predicts word t+1. The loss gets `coverage` times the mean over captions and
 * feature rows of (1 - sum_t alpha_ts)^2 over the caption's own words (eq. 14), tags and pads left out: the time mask that several ports forgot. */
#include <math.h>
#include <stdlib.h>
#include "model/model.h"
#include "nn/cell.h"
#include "nn/visatt.h"

typedef struct attend_tell {
    int E, H, A;
    double drop, coverage;
    capt_lin h0, cell0, gate;
    capt_tensor *words;
    capt_focus focus;
    capt_cell cell;
} attend_tell;

static const capt_key keys[] = {
    CAPT_FEATURE_KEYS,
    {"width", 'i', "512", "width of the LSTM"},
    {"embed", 'i', "512", "width of a word"},
    {"attention", 'i', "512", "width of the attention"},
    {"words", 'i', "20", "word inputs, BOS included"},
    {"dropout", 'n', "0.5", "dropout of the hidden vectors"},
    {"coverage", 'n', "1", "weight of the doubly stochastic regularisation"},
    {NULL, 0, NULL, NULL}};

static int init(capt_model *m, capt_err *err)
{
    attend_tell *g = capt_alloc(sizeof *g);
    m->self = g;
    static const char *const sizes[] = {"width", "embed", "attention"};
    if (capt_config_sizes(m, sizes, (int *const[]){&g->H, &g->E, &g->A}, 3, err))
        return -1;
    g->drop = capt_config_num(m->config, "dropout");
    g->coverage = capt_config_num(m->config, "coverage");
    if (g->drop < 0 || g->drop >= 1 || !(g->coverage >= 0))
        return capt_fail(err, CAPT_EDATA, "attend-tell: dropout is %g, coverage %g", g->drop, g->coverage);
    capt_params *ps = &m->params;
    int V = capt_vocab_size(m->vocab), D = m->image_dim, H = g->H;
    double d = 1 / sqrt(D), h = 1 / sqrt(H);
    g->words = capt_param_new(ps, CAPT_P_DECAY, CAPT_INIT_UNIFORM, 0.1, CAPT_DIMS(V, g->E), "words.weight");
    g->h0 = capt_lin_new(ps, H, D, CAPT_INIT_UNIFORM, d, 1, "init_h");
    g->cell0 = capt_lin_new(ps, H, D, CAPT_INIT_UNIFORM, d, 1, "init_c");
    g->focus = capt_focus_new(ps, g->A, D, H, CAPT_MAP_relu, 1, CAPT_INIT_UNIFORM, d, h, 1 / sqrt(g->A), "attention");
    g->gate = capt_lin_new(ps, D, H, CAPT_INIT_UNIFORM, h, 1, "gate");
    g->cell = capt_cell_new(ps, H, g->E, D + H, CAPT_LSTM, CAPT_INIT_UNIFORM, h, "lstm");
    capt_lin head = capt_lin_new(ps, V, H, CAPT_INIT_UNIFORM, 0.1, 1, "head");
    m->head_w = head.w;
    m->head_b = head.b;
    m->hidden = H;
    return 0;
}

static void free_attend_tell(capt_model *m)
{
    free(m->self);
    m->self = NULL;
}

/* Step t of rows: x (R,T,4H) the words' share of the gates; returns the new hidden vector. */
static capt_tensor *read_word(capt_ctx *c, attend_tell *g, capt_tensor *x, int t, capt_tensor *v, capt_tensor *keys_, const int32_t *row_image, const int32_t *len, capt_tensor *h,
                              capt_tensor *cell, capt_tensor **new, capt_tensor **alpha)
{
    capt_tensor *z = capt_focus_run(c, &g->focus, keys_, v, h, row_image, len, alpha);
    z = capt_mul(c, capt_lin_run(c, &g->gate, h, CAPT_MAP_sigmoid), z);
    return capt_cell_step(c, &g->cell, x, t, capt_join(c, z, h), NULL, cell, new);
}

/* alpha (R,T,S) with each row's words at the front; what stands behind them is read by nobody */
static capt_tensor *without_tags(capt_ctx *c, capt_tensor *alpha, int R, const int32_t *first)
{
    int T = (int)alpha->dim[1], tags = 0;
    int64_t S = alpha->dim[2];
    for (int r = 0; r < R; r++)
        tags |= first[r];
    if (!tags)
        return alpha;
    int32_t *place = capt_alloc((size_t)R * (size_t)T * sizeof *place);
    for (int r = 0; r < R; r++)
        for (int t = 0; t < T; t++)
            place[r * T + t] = r * T + (first[r] + t < T ? first[r] + t : T - 1);
    alpha = capt_gather(c, capt_reshape_to(c, alpha, (int64_t)R * T, S), place, (int64_t)R * T);
    free(place);
    return capt_reshape_to(c, alpha, R, T, S);
}

/* The term of eq. 14 for rows with words[r] > 0 */
static capt_tensor *coverage(capt_ctx *c, attend_tell *g, capt_tensor *alpha, int R, const int32_t *row_image, const int32_t *len, const capt_aux *aux)
{
    int32_t *n = capt_alloc((size_t)R * sizeof *n);
    for (int r = 0; r < R; r++)
        n[r] = len ? len[row_image[r]] : (int32_t)alpha->dim[2];
    capt_tensor *loss = capt_coverage(c, without_tags(c, alpha, R, aux->first), aux->words, n, g->coverage / aux->rows);
    free(n);
    return loss;
}

static capt_tensor *forward(capt_ctx *c, capt_model *m, const capt_feat *f, int R, int T, const int32_t *row_image, const int32_t *tokens, capt_aux *aux)
{
    attend_tell *g = m->self;
    if (capt_model_too_long(c, m, T))
        return &c->poison;
    capt_tensor *v = capt_model_features(c, m, f), *keys_ = capt_focus_keys(c, &g->focus, v), *mean = capt_mean_rows(c, v, f->len);
    capt_tensor *h = capt_gather(c, capt_lin_run(c, &g->h0, mean, CAPT_MAP_none), row_image, R), *cell = capt_gather(c, capt_lin_run(c, &g->cell0, mean, CAPT_MAP_none), row_image, R);
    capt_tensor *x = capt_cell_inputs(c, &g->cell, capt_embed(c, g->words, tokens, R, T)); /* (R,T,4H) */
    capt_tensor **out = capt_alloc(2 * (size_t)T * sizeof *out), **alpha = out + T;
    for (int t = 0; t < T; t++)
        out[t] = h = read_word(c, g, x, t, v, keys_, row_image, f->len, h, cell, &cell, &alpha[t]);
    h = capt_stack(c, out, T);
    if (aux) {
        aux->attention = capt_stack(c, alpha, T);
        if (aux->words && g->coverage > 0 && !capt_ctx_bad(c))
            aux->loss = coverage(c, g, aux->attention, R, row_image, f->len, aux);
    }
    free(out);
    return capt_dropout(c, h, g->drop);
}

enum { ROWS, KEYS };
enum { HIDDEN, CELL };

static capt_state *prefill(capt_ctx *c, capt_model *m, const capt_feat *f, int rows, int max_t)
{
    attend_tell *g = m->self;
    capt_tensor *v = capt_model_features(c, m, f), *keys_ = capt_focus_keys(c, &g->focus, v), *mean = capt_mean_rows(c, v, f->len);
    capt_tensor *h = capt_lin_run(c, &g->h0, mean, CAPT_MAP_none), *cell = capt_lin_run(c, &g->cell0, mean, CAPT_MAP_none);
    if (capt_ctx_bad(c))
        return NULL;
    capt_state *s = capt_state_new(c->be, (int)h->dim[0], rows, max_t, f->len);
    capt_state_keep(s, v);
    capt_state_keep(s, keys_);
    capt_state_vector(s, g->H, h);
    capt_state_vector(s, g->H, cell);
    return s;
}

static capt_tensor *step(capt_ctx *c, capt_model *m, capt_state *s, const int32_t *tokens)
{
    attend_tell *g = m->self;
    if (capt_model_too_long(c, m, s->t + 1) || capt_state_begin(s))
        return capt_ctx_fail(c, "attend-tell: step %d is past the state's %d", s->t, s->max_t);
    capt_tensor *x = capt_cell_inputs(c, &g->cell, capt_embed(c, g->words, tokens, s->rows, 1)), *cell;
    capt_tensor *h = read_word(c, g, x, 0, capt_state_shared(s, ROWS), capt_state_shared(s, KEYS), s->row_image, s->s_len, capt_state_get(s, HIDDEN), capt_state_get(s, CELL), &cell,
                               &s->attention);
    if (capt_ctx_bad(c))
        return &c->poison;
    capt_state_set(s, HIDDEN, h);
    capt_state_set(s, CELL, cell);
    s->t++;
    return h;
}

extern const capt_captioner_type capt_captioner_attend_tell;
const capt_captioner_type capt_captioner_attend_tell = {"attend-tell", "Show, Attend and Tell: an LSTM with gated soft attention over grid cells or regions", keys, init, free_attend_tell,
                                                        forward, prefill, step};
