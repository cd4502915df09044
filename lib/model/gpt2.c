/* The prefix decoder: K image tokens and then the words through GPT-2's blocks (Radford et al. 2019; the prefix as in ClipCap, Mokady et al. 2021).
 *
 * Sequence: [image token 0..K-1][BOS w1 .. w_{T-1}]; with K = 1 and T = 20 this is the (N,21,768) of the system reproduced. Word t stands at position K+t and its
 * hidden vector predicts word t+1, so the loss covers the last T positions only and no image token predicts anything. Causal throughout: changing word t changes no
 * hidden vector before position K+t.
 *
 * Image tokens: `map` "linear" maps each feature row to one token (tokens = 0: as many as the feature has rows) or, with tokens = K and one feature row, the row to K tokens;
 * "mlp" puts a tanh layer of K*width/2 between (ClipCap's mapper). Blocks: pre-LN (eps 1e-5), GELU (tanh) MLP x4, final LN, learned positions, tied head. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "model/model.h"
#include "op/op.h"

typedef struct block {
    capt_tensor *ln1_g, *ln1_b, *qkv_w, *qkv_b, *proj_w, *proj_b, *ln2_g, *ln2_b, *fc_w, *fc_b, *out_w, *out_b;
} block;

typedef struct gpt2 {
    int D, L, H, K, rows, feat_dim, words, mlp;
    double drop;
    capt_tensor *wte, *wpe, *lnf_g, *lnf_b, *map_w, *map_b, *map2_w, *map2_b;
    block *h;
} gpt2;

static const capt_key keys[] = {
    {"feature", 's', "", "section of the store the image tokens come from: global, grid or regions"},
    {"feature_dim", 'i', "0", "width of a feature row"},
    {"feature_rows", 'i', "1", "feature rows of an image"},
    {"width", 'i', "768", "width of the decoder"},
    {"layers", 'i', "12", "blocks"},
    {"heads", 'i', "12", "attention heads"},
    {"words", 'i', "20", "word inputs, BOS included"},
    {"positions", 'i', "0", "learned positions; 0: image tokens + words (1024 in public weights)"},
    {"tokens", 'i', "1", "image tokens; 0: one for each feature row"},
    {"map", 's', "linear", "image token map: linear or mlp"},
    {"dropout", 'n', "0.1", "dropout of embeddings, attention and residual branches"},
    {NULL, 0, NULL, NULL}};

enum { MOST = 1 << 15 }; /* of width, words, rows and tokens: their products stay ints */

static int init(capt_model *m, capt_err *err)
{
    gpt2 *g = capt_alloc(sizeof *g);
    const json_t *c = m->config;
    m->self = g;
    g->D = capt_config_int(c, "width");
    g->L = capt_config_int(c, "layers");
    g->H = capt_config_int(c, "heads");
    g->words = capt_config_int(c, "words");
    g->rows = capt_config_int(c, "feature_rows");
    g->feat_dim = capt_config_int(c, "feature_dim");
    g->K = capt_config_int(c, "tokens");
    g->drop = capt_config_num(c, "dropout");
    const char *map = capt_config_str(c, "map");
    g->mlp = !strcmp(map, "mlp");
    int positions = capt_config_int(c, "positions"), V = capt_vocab_size(m->vocab);
    int each = g->K == 0 || (g->rows > 1 && g->K == g->rows); /* one token a feature row */
    if (each)
        g->K = g->rows;
    if (strcmp(map, "linear") && !g->mlp)
        return capt_fail(err, CAPT_EDATA, "gpt2: map is \"%s\", not linear or mlp", map);
    if (g->D < 1 || g->L < 1 || g->L > 1000 || g->H < 1 || g->D % g->H || g->words < 2 || g->feat_dim < 1 || g->rows < 1 || g->D > MOST || g->words > MOST || g->rows > MOST || g->K > MOST || g->drop < 0 || g->drop >= 1)
        return capt_fail(err, CAPT_EDATA, "gpt2: width %d, layers %d, heads %d, words %d, feature %dx%d, dropout %g do not make a model", g->D, g->L, g->H, g->words,
                         g->rows, g->feat_dim, g->drop);
    if (!each && g->rows != 1)
        return capt_fail(err, CAPT_EDATA, "gpt2: %d image tokens cannot be made of %d feature rows (tokens 0 takes one for each row)", g->K, g->rows);
    if (positions == 0)
        positions = g->K + g->words;
    if (positions < g->K + g->words)
        return capt_fail(err, CAPT_EDATA, "gpt2: %d positions are too few for %d image tokens and %d words", positions, g->K, g->words);
    capt_params *ps = &m->params;
    int D = g->D, per_row = each ? 1 : g->K;
    unsigned mat = CAPT_P_MATRIX | CAPT_P_DECAY;
    double std = 0.02, res = 0.02 / sqrt(2.0 * g->L); /* GPT-2: residual projections scaled by 1/sqrt(2L) */
    g->wte = capt_param_new(ps, mat, CAPT_INIT_NORMAL, std, CAPT_DIMS(V, D), "wte.weight");
    g->wpe = capt_param_new(ps, 0, CAPT_INIT_NORMAL, 0.01, CAPT_DIMS(positions, D), "wpe.weight");
    if (g->mlp) {
        int mid = per_row * D / 2 > 0 ? per_row * D / 2 : 1;
        g->map_w = capt_param_new(ps, mat, CAPT_INIT_NORMAL, 1 / sqrt(g->feat_dim), CAPT_DIMS(mid, g->feat_dim), "prefix.0.weight");
        g->map_b = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(mid), "prefix.0.bias");
        g->map2_w = capt_param_new(ps, mat, CAPT_INIT_NORMAL, std, CAPT_DIMS(per_row * D, mid), "prefix.2.weight");
        g->map2_b = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(per_row * D), "prefix.2.bias");
    } else {
        g->map_w = capt_param_new(ps, mat, CAPT_INIT_NORMAL, std, CAPT_DIMS(per_row * D, g->feat_dim), "prefix.weight");
        g->map_b = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(per_row * D), "prefix.bias");
    }
    g->h = capt_alloc((size_t)g->L * sizeof *g->h);
    for (int i = 0; i < g->L; i++) {
        block *b = &g->h[i];
        b->ln1_g = capt_param_new(ps, 0, CAPT_INIT_ONE, 0, CAPT_DIMS(D), "h.%d.ln_1.weight", i);
        b->ln1_b = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(D), "h.%d.ln_1.bias", i);
        b->qkv_w = capt_param_new(ps, mat, CAPT_INIT_NORMAL, std, CAPT_DIMS(3 * D, D), "h.%d.attn.c_attn.weight", i);
        b->qkv_b = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(3 * D), "h.%d.attn.c_attn.bias", i);
        b->proj_w = capt_param_new(ps, mat, CAPT_INIT_NORMAL, res, CAPT_DIMS(D, D), "h.%d.attn.c_proj.weight", i);
        b->proj_b = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(D), "h.%d.attn.c_proj.bias", i);
        b->ln2_g = capt_param_new(ps, 0, CAPT_INIT_ONE, 0, CAPT_DIMS(D), "h.%d.ln_2.weight", i);
        b->ln2_b = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(D), "h.%d.ln_2.bias", i);
        b->fc_w = capt_param_new(ps, mat, CAPT_INIT_NORMAL, std, CAPT_DIMS(4 * D, D), "h.%d.mlp.c_fc.weight", i);
        b->fc_b = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(4 * D), "h.%d.mlp.c_fc.bias", i);
        b->out_w = capt_param_new(ps, mat, CAPT_INIT_NORMAL, res, CAPT_DIMS(D, 4 * D), "h.%d.mlp.c_proj.weight", i);
        b->out_b = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(D), "h.%d.mlp.c_proj.bias", i);
    }
    g->lnf_g = capt_param_new(ps, 0, CAPT_INIT_ONE, 0, CAPT_DIMS(D), "ln_f.weight");
    g->lnf_b = capt_param_new(ps, 0, CAPT_INIT_ZERO, 0, CAPT_DIMS(D), "ln_f.bias");
    m->head_w = g->wte;
    m->head_b = NULL;
    m->hidden = D;
    m->max_t = g->words;
    return 0;
}

static void free_gpt2(capt_model *m)
{
    gpt2 *g = m->self;
    free(g->h);
    free(g);
    m->self = NULL;
}

/* (I,rows,feat_dim) -> image tokens (I,K,D) */
static capt_tensor *image_tokens(capt_ctx *c, gpt2 *g, capt_tensor *x)
{
    if (!capt_ctx_bad(c) && (x->ndim != 3 || x->dim[1] != g->rows || x->dim[2] != g->feat_dim))
        return capt_ctx_fail(c, "gpt2: features are %lldx%lld, the model takes %dx%d", (long long)x->dim[1], (long long)x->dim[2], g->rows, g->feat_dim);
    int64_t I = x->dim[0];
    capt_tensor *y = capt_linear(c, x, g->map_w, g->map_b, g->mlp ? CAPT_MAP_tanh : CAPT_MAP_none);
    if (g->mlp)
        y = capt_linear(c, y, g->map2_w, g->map2_b, CAPT_MAP_none);
    return capt_reshape_to(c, y, I, g->K, g->D);
}

static capt_tensor *ffn(capt_ctx *c, gpt2 *g, block *b, capt_tensor *x)
{
    capt_tensor *y = capt_layernorm(c, x, b->ln2_g, b->ln2_b, 1e-5);
    y = capt_linear(c, y, b->fc_w, b->fc_b, CAPT_MAP_gelu);
    y = capt_linear(c, y, b->out_w, b->out_b, CAPT_MAP_none);
    return capt_add(c, x, capt_dropout(c, y, g->drop));
}

/* Images with fewer than K valid feature rows: the sequence (positions are on it already) is rearranged to [valid image tokens][words][pads], so that the causal
 * mask hides the pads; back undoes it. x (R,K+T,D). */
static capt_tensor *pads_last(capt_ctx *c, capt_tensor *x, int K, int T, int R, const int32_t *row_image, const int32_t *len, int back)
{
    int S = K + T;
    int32_t *place = capt_alloc((size_t)R * (size_t)S * sizeof *place);
    for (int r = 0; r < R; r++) {
        int n = len[row_image[r]];
        for (int s = 0; s < S; s++) {
            int from = s < n ? s : s < n + T ? K + s - n : s - T; /* the token that comes to place s */
            if (back)
                place[r * S + from] = r * S + s;
            else
                place[r * S + s] = r * S + from;
        }
    }
    int64_t D = capt_tensor_cols(x);
    x = capt_gather(c, capt_reshape_to(c, x, (int64_t)R * S, D), place, (int64_t)R * S);
    free(place);
    return capt_reshape_to(c, x, R, S, D);
}

static capt_tensor *forward(capt_ctx *c, capt_model *m, const capt_feat *f, int R, int T, const int32_t *row_image, const int32_t *tokens)
{
    gpt2 *g = m->self;
    if (T > g->words)
        return capt_ctx_fail(c, "gpt2: %d words, the model takes %d", T, g->words);
    capt_tensor *p = capt_gather(c, image_tokens(c, g, f->x), row_image, R);                         /* (R,K,D) */
    capt_tensor *w = capt_reshape_to(c, capt_gather(c, g->wte, tokens, (int64_t)R * T), R, T, g->D); /* (R,T,D) */
    capt_tensor *x = capt_add_rows(c, capt_concat(c, p, w), g->wpe, 0);                              /* (R,K+T,D) */
    if (f->len)
        x = pads_last(c, x, g->K, T, R, row_image, f->len, 0);
    x = capt_dropout(c, x, g->drop);
    for (int i = 0; i < g->L; i++) {
        block *b = &g->h[i];
        capt_tensor *y = capt_layernorm(c, x, b->ln1_g, b->ln1_b, 1e-5);
        y = capt_linear(c, y, b->qkv_w, b->qkv_b, CAPT_MAP_none);
        y = capt_attention_self(c, y, g->H, 0, NULL, g->drop);
        y = capt_linear(c, y, b->proj_w, b->proj_b, CAPT_MAP_none);
        x = capt_add(c, x, capt_dropout(c, y, g->drop));
        x = ffn(c, g, b, x);
    }
    if (f->len)
        x = pads_last(c, x, g->K, T, R, row_image, f->len, 1);
    x = capt_slice(c, x, g->K, T);
    return capt_layernorm(c, x, g->lnf_g, g->lnf_b, 1e-5);
}

static capt_state *prefill(capt_ctx *c, capt_model *m, const capt_feat *f, int rows, int max_t)
{
    gpt2 *g = m->self;
    capt_backend *be = c->be;
    int I = (int)f->x->dim[0], D = g->D;
    capt_tensor *x = capt_add_rows(c, image_tokens(c, g, f->x), g->wpe, 0); /* (I,K,D) */
    if (capt_ctx_bad(c))
        return NULL;
    capt_state *s = capt_state_new(be, I, rows, max_t, g->L, g->K, D, D, f->len, &c->err);
    if (!s)
        return NULL;
    for (int i = 0; i < g->L; i++) {
        block *b = &g->h[i];
        capt_tensor *y = capt_layernorm(c, x, b->ln1_g, b->ln1_b, 1e-5);
        capt_tensor *qkv = capt_linear(c, y, b->qkv_w, b->qkv_b, CAPT_MAP_none); /* (I,K,3D) */
        if (!capt_ctx_bad(c)) {
            const capt_real *q = qkv->data;
            be->copy2d(be, s->sk[i], D, 0, q + D, 3 * D, (int64_t)I * g->K, D);
            be->copy2d(be, s->sv[i], D, 0, q + 2 * D, 3 * D, (int64_t)I * g->K, D);
        }
        if (i + 1 == g->L)
            break; /* the last block's output at image tokens is read by nobody */
        y = capt_attention_self(c, qkv, g->H, 0, NULL, 0);
        x = capt_add(c, x, capt_linear(c, y, b->proj_w, b->proj_b, CAPT_MAP_none));
        x = ffn(c, g, b, x);
    }
    if (capt_ctx_bad(c)) {
        capt_state_free(s);
        return NULL;
    }
    return s;
}

static capt_tensor *step(capt_ctx *c, capt_model *m, capt_state *s, const int32_t *tokens)
{
    gpt2 *g = m->self;
    capt_backend *be = c->be;
    int R = s->rows, D = g->D, t = s->t;
    if (t >= s->max_t || t >= g->words)
        return capt_ctx_fail(c, "gpt2: step %d is past the model's %d words", t, g->words);
    capt_tensor *x = capt_reshape_to(c, capt_gather(c, g->wte, tokens, R), R, 1, D);
    x = capt_add_rows(c, x, g->wpe, g->K + t);
    for (int r = 0; r < R; r++) /* this step's own slots */
        s->anc[(size_t)t * (size_t)s->slots + (size_t)r] = r;
    be->upload(be, s->d_anc, s->anc, (size_t)(t + 1) * (size_t)s->slots * sizeof(int32_t));
    for (int i = 0; i < g->L; i++) {
        block *b = &g->h[i];
        capt_tensor *y = capt_layernorm(c, x, b->ln1_g, b->ln1_b, 1e-5);
        capt_tensor *qkv = capt_linear(c, y, b->qkv_w, b->qkv_b, CAPT_MAP_none); /* (R,1,3D) */
        capt_tensor *o = capt_ctx_real(c, R, 1, D);
        if (capt_ctx_bad(c))
            return &c->poison;
        const capt_real *q = qkv->data;
        int64_t at = (int64_t)t * s->slots * D;
        be->copy2d(be, s->ok[i] + at, D, 0, q + D, 3 * D, R, D);
        be->copy2d(be, s->ov[i] + at, D, 0, q + 2 * D, 3 * D, R, D);
        capt_attn_step a = {.R = R, .H = g->H, .dh = D / g->H, .q_row = 3 * D, .scale = 1 / sqrt((double)(D / g->H)), .sk = s->sk[i], .sv = s->sv[i], .s_row = D, .S = s->S,
                            .s_len = s->d_s_len, .row_image = s->d_row_image, .ok = s->ok[i], .ov = s->ov[i], .o_row = D, .T = t + 1, .slots = s->slots, .anc = s->d_anc};
        be->attn_step(be, o->data, q, &a);
        x = capt_add(c, x, capt_linear(c, o, b->proj_w, b->proj_b, CAPT_MAP_none));
        x = ffn(c, g, b, x);
    }
    s->t++;
    return capt_reshape_to(c, capt_layernorm(c, x, g->lnf_g, g->lnf_b, 1e-5), R, D);
}

extern const capt_captioner_type capt_captioner_gpt2;
const capt_captioner_type capt_captioner_gpt2 = {"gpt2", "prefix decoder: image tokens and words through GPT-2 blocks, tied head", keys, init, free_gpt2, forward, prefill, step};
