/* Show, Attend and Tell with soft attention (Xu et al. 2015, sections 3.1 and 4.2; the LSTM and gate as in the later PyTorch implementations).
 *
 * Feature rows a_s (I,S,D). h and cell begin as linear maps of the rows' mean. At word t: alpha = softmax(w . relu(Wa a_s + Wh h)), z = sum alpha_s a_s,
 * gate = sigmoid(Wg h); the LSTM reads [word; gate*z]; its hidden vector, with dropout, predicts word t+1. The loss gets `coverage` times the mean over captions and
 * feature rows of (1 - sum_t alpha_ts)^2 over the caption's own words (eq. 14), tags and pads left out. coverage_target "mean": what S rows share of T words, T/S, in
 * the place of 1; "padded": the same with T all steps of the batch, behind the caption's end too, as ports have it that forgot the time mask.
 *
 * compat "xu": the network of the authors' own program (arctic-captions) as they set it up for COCO. The rows' mean passes a layer with ReLU and dropout before it, and
 * tanh after it, becomes h and cell; alpha = softmax(w . tanh(tanh(W1 Wa a_s) + Wh h)); the gate is one number for all of z (section 4.2.1); and word t+1 is predicted from
 * tanh(Lh h + word + Lz gate*z), with dropout on h and on the whole (eq. 7). Biases that others make up for are left out; the word before the first is BOS, not zeros;
 * where the authors draw orthogonal matrices, numbers of the same variance are drawn. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "model/model.h"
#include "nn/cell.h"
#include "nn/visatt.h"

enum { ONE, MEAN, PADDED }; /* coverage_target */

typedef struct attend_tell {
    int E, H, A;
    int xu, target;
    double drop, coverage;
    capt_lin h0, cell0, gate;
    capt_lin init, deep, cell_z, out_h, out_z; /* xu alone has them */
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
    {"coverage_target", 'c', "one|mean|padded", "attention a feature row should get in all: 1, words by rows, or the batch's steps by rows"},
    {"compat", 'c', "none|xu", "published variant: xu is the authors' own network"},
    {NULL, 0, NULL, NULL}};

/* The published program draws all but square matrices with deviation 0.01. */
static capt_lin drawn(capt_params *ps, int out, int in, int bias, const char *name)
{
    return capt_lin_new(ps, out, in, CAPT_INIT_NORMAL, out == in ? 1 / sqrt(in) : 0.01, bias, "%s", name);
}

/* The parameters of compat "xu", the head left out */
static void init_xu(capt_params *ps, attend_tell *g, int V, int D)
{
    int H = g->H, E = g->E;
    g->words = capt_param_new(ps, CAPT_P_DECAY, CAPT_INIT_NORMAL, 0.01, CAPT_DIMS(V, E), "words.weight");
    g->init = drawn(ps, D, D, 1, "init");
    g->h0 = drawn(ps, H, D, 1, "init_h");
    g->cell0 = drawn(ps, H, D, 1, "init_c");
    g->focus = capt_focus_new(ps, g->A, D, H, CAPT_MAP_tanh, 0, CAPT_INIT_NORMAL, 0.01, 0.01, 0.01, "attention");
    g->deep = drawn(ps, g->A, g->A, 1, "attention.deep");
    g->gate = drawn(ps, 1, H, 1, "gate");
    g->cell = (capt_cell){H, CAPT_LSTM, drawn(ps, 4 * H, E, 1, "lstm.x"), capt_lin_new(ps, 4 * H, H, CAPT_INIT_NORMAL, 1 / sqrt(H), 0, "lstm.h")};
    g->cell_z = drawn(ps, 4 * H, D, 0, "lstm.z");
    g->out_h = drawn(ps, E, H, 1, "out.h");
    g->out_z = drawn(ps, E, D, 0, "out.z");
}

static void init_plain(capt_params *ps, attend_tell *g, int V, int D)
{
    int H = g->H;
    double d = 1 / sqrt(D), h = 1 / sqrt(H);
    g->words = capt_param_new(ps, CAPT_P_DECAY, CAPT_INIT_UNIFORM, 0.1, CAPT_DIMS(V, g->E), "words.weight");
    g->h0 = capt_lin_new(ps, H, D, CAPT_INIT_UNIFORM, d, 1, "init_h");
    g->cell0 = capt_lin_new(ps, H, D, CAPT_INIT_UNIFORM, d, 1, "init_c");
    g->focus = capt_focus_new(ps, g->A, D, H, CAPT_MAP_relu, 1, CAPT_INIT_UNIFORM, d, h, 1 / sqrt(g->A), "attention");
    g->gate = capt_lin_new(ps, D, H, CAPT_INIT_UNIFORM, h, 1, "gate");
    g->cell = capt_cell_new(ps, H, g->E, D + H, CAPT_LSTM, CAPT_INIT_UNIFORM, h, "lstm");
}

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
    const char *target = capt_config_str(m->config, "coverage_target");
    g->target = !strcmp(target, "mean") ? MEAN : !strcmp(target, "padded") ? PADDED : ONE;
    g->xu = !strcmp(capt_config_str(m->config, "compat"), "xu");
    capt_params *ps = &m->params;
    int V = capt_vocab_size(m->vocab), D = m->image_dim, H = g->H;
    if (g->xu)
        init_xu(ps, g, V, D);
    else
        init_plain(ps, g, V, D);
    capt_lin head = g->xu ? drawn(ps, V, g->E, 1, "head") : capt_lin_new(ps, V, H, CAPT_INIT_UNIFORM, 0.1, 1, "head");
    m->head_w = head.w;
    m->head_b = head.b;
    m->hidden = g->xu ? g->E : H;
    return 0;
}

static void free_attend_tell(capt_model *m)
{
    free(m->self);
    m->self = NULL;
}

/* Feature rows seen once an image: v (I,S,D), their keys (I,S,A), and with what the LSTM begins (I,H). */
typedef struct seen { capt_tensor *v, *keys, *h, *cell; } seen;

static seen see(capt_ctx *c, capt_model *m, const capt_feat *f)
{
    attend_tell *g = m->self;
    capt_tensor *v = capt_model_features(c, m, f), *keys_ = capt_focus_keys(c, &g->focus, v), *mean = capt_mean_rows(c, v, f->len);
    int64_t row0 = c->row0;
    int act = g->xu ? CAPT_MAP_tanh : CAPT_MAP_none;
    if (g->xu) {
        c->row0 = c->image0;
        keys_ = capt_lin_run(c, &g->deep, keys_, CAPT_MAP_tanh);
        mean = capt_dropout(c, capt_lin_run(c, &g->init, mean, CAPT_MAP_relu), g->drop);
        c->row0 = row0;
    }
    return (seen){v, keys_, capt_lin_run(c, &g->h0, mean, act), capt_lin_run(c, &g->cell0, mean, act)};
}

/* x (R,1), the same for all D columns */
static capt_tensor *widen(capt_ctx *c, capt_tensor *x, int64_t D)
{
    capt_real *one = capt_alloc((size_t)D * sizeof *one);
    for (int64_t i = 0; i < D; i++)
        one[i] = 1;
    capt_tensor *w = capt_ctx_upload(c, CAPT_F32, CAPT_DIMS(D, 1), one);
    free(one);
    return capt_linear(c, x, w, NULL, CAPT_MAP_none);
}

/* Step t of rows: x (R,T,4H) the words' share of the gates; returns the new hidden vector; *z (R,D): what was attended to, gated. */
static capt_tensor *read_word(capt_ctx *c, attend_tell *g, capt_tensor *x, int t, const seen *s, const int32_t *row_image, const int32_t *len, capt_tensor *h, capt_tensor *cell,
                              capt_tensor **new, capt_tensor **z, capt_tensor **alpha)
{
    *z = capt_focus_run(c, &g->focus, s->keys, s->v, h, row_image, len, alpha);
    capt_tensor *gate = capt_lin_run(c, &g->gate, h, CAPT_MAP_sigmoid);
    *z = capt_mul(c, g->xu ? widen(c, gate, capt_tensor_cols(*z)) : gate, *z);
    if (g->xu)
        return capt_cell_step(c, &g->cell, x, t, h, capt_lin_run(c, &g->cell_z, *z, CAPT_MAP_none), cell, new);
    return capt_cell_step(c, &g->cell, x, t, capt_join(c, *z, h), NULL, cell, new);
}

/* What the head reads: h (...,H), what was attended to z (...,D) and words e (...,E), each as read_word saw and made it */
static capt_tensor *tell(capt_ctx *c, attend_tell *g, capt_tensor *h, capt_tensor *z, capt_tensor *e)
{
    h = capt_dropout(c, h, g->drop);
    if (!g->xu)
        return h;
    capt_tensor *y = capt_add(c, capt_lin_run(c, &g->out_h, h, CAPT_MAP_none), capt_lin_run(c, &g->out_z, z, CAPT_MAP_none));
    return capt_dropout(c, capt_apply(c, capt_add(c, y, e), CAPT_MAP_tanh), g->drop);
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
    int T = (int)alpha->dim[1];
    int32_t *n = capt_alloc(2 * (size_t)R * sizeof *n), *words = n + R;
    capt_real *target = capt_alloc((size_t)R * sizeof *target);
    for (int r = 0; r < R; r++) {
        n[r] = len ? len[row_image[r]] : (int32_t)alpha->dim[2];
        words[r] = g->target == PADDED && aux->words[r] ? T - aux->first[r] : aux->words[r];
        target[r] = g->target == ONE || !n[r] ? 1 : (capt_real)words[r] / (capt_real)n[r];
    }
    capt_tensor *loss = capt_coverage(c, without_tags(c, alpha, R, aux->first), words, n, target, g->coverage / aux->rows);
    free(n);
    free(target);
    return loss;
}

static capt_tensor *forward(capt_ctx *c, capt_model *m, const capt_feat *f, int R, int T, const int32_t *row_image, const int32_t *tokens, capt_aux *aux)
{
    attend_tell *g = m->self;
    if (capt_model_too_long(c, m, T))
        return &c->poison;
    seen s = see(c, m, f);
    capt_tensor *h = capt_gather(c, s.h, row_image, R), *cell = capt_gather(c, s.cell, row_image, R), *e = capt_embed(c, g->words, tokens, R, T);
    capt_tensor *x = capt_cell_inputs(c, &g->cell, e); /* (R,T,4H) */
    capt_tensor **out = capt_alloc(3 * (size_t)T * sizeof *out), **z = out + T, **alpha = z + T;
    for (int t = 0; t < T; t++)
        out[t] = h = read_word(c, g, x, t, &s, row_image, f->len, h, cell, &cell, &z[t], &alpha[t]);
    h = tell(c, g, capt_stack(c, out, T), g->xu ? capt_stack(c, z, T) : NULL, e);
    if (aux) {
        aux->attention = capt_stack(c, alpha, T);
        if (aux->words && g->coverage > 0 && !capt_ctx_bad(c))
            aux->loss = coverage(c, g, aux->attention, R, row_image, f->len, aux);
    }
    free(out);
    return h;
}

enum { ROWS, KEYS };
enum { HIDDEN, CELL };

static capt_state *prefill(capt_ctx *c, capt_model *m, const capt_feat *f, int rows, int max_t)
{
    attend_tell *g = m->self;
    seen x = see(c, m, f);
    if (capt_ctx_bad(c))
        return NULL;
    capt_state *s = capt_state_new(c->be, (int)x.h->dim[0], rows, max_t, f->len);
    capt_state_keep(s, x.v);
    capt_state_keep(s, x.keys);
    capt_state_vector(s, g->H, x.h);
    capt_state_vector(s, g->H, x.cell);
    return s;
}

static capt_tensor *step(capt_ctx *c, capt_model *m, capt_state *s, const int32_t *tokens)
{
    attend_tell *g = m->self;
    if (capt_model_too_long(c, m, s->t + 1) || capt_state_begin(s))
        return capt_ctx_fail(c, "attend-tell: step %d is past the state's %d", s->t, s->max_t);
    seen x = {.v = capt_state_shared(s, ROWS), .keys = capt_state_shared(s, KEYS)};
    capt_tensor *e = capt_embed(c, g->words, tokens, s->rows, 1), *cell, *z;
    capt_tensor *h = read_word(c, g, capt_cell_inputs(c, &g->cell, e), 0, &x, s->row_image, s->s_len, capt_state_get(s, HIDDEN), capt_state_get(s, CELL), &cell, &z, &s->attention);
    capt_tensor *y = tell(c, g, h, z, capt_reshape_to(c, e, s->rows, g->E));
    if (capt_ctx_bad(c))
        return &c->poison;
    capt_state_set(s, HIDDEN, h);
    capt_state_set(s, CELL, cell);
    s->t++;
    return y;
}

extern const capt_captioner_type capt_captioner_attend_tell;
const capt_captioner_type capt_captioner_attend_tell = {"attend-tell", "Show, Attend and Tell: an LSTM with gated soft attention over grid cells or regions", keys, init, free_attend_tell,
                                                        forward, prefill, step};
