/* The prefix decoder: K image tokens and then the words through GPT-2's blocks (Radford et al. 2019; the prefix as in ClipCap, Mokady et al. 2021).
 *
 * Sequence: [image token 0..K-1][BOS w1 .. w_{T-1}]; with K = 1 and T = 20 this is the (N,21,768) of the system reproduced. Word t stands at position K+t and its
 * hidden vector predicts word t+1, so the loss covers the last T positions only and no image token predicts anything. Causal throughout: changing word t changes no
 * hidden vector before position K+t. Tags stand between the two as words of their own: with n of them word t is at position K+n+t.
 *
 * Image tokens: `map` "linear" maps each feature row to one token (tokens = 0: as many as the feature has rows) or, with tokens = K and one feature row, the row to K tokens;
 * "mlp" puts a tanh layer of K*width/2 between (ClipCap's mapper). Blocks: pre-LN (eps 1e-5), GELU (tanh) MLP x4, final LN, learned positions, tied head.
 *
 * Where each feature row is a token, the attention that is shown is what the word's token gives these in the last block, mean of the heads, as a share of what it gives
 * the image. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "model/model.h"
#include "nn/block.h"

typedef struct gpt2 {
    int D, L, K, mlp, each; /* each: one image token a feature row */
    double drop;
    capt_tensor *wte, *wpe;
    capt_lin map, map2;
    capt_norm norm;
    capt_block *h;
} gpt2;

static const capt_key keys[] = {
    CAPT_FEATURE_KEYS,
    {"width", 'i', "768", "width of the decoder"},
    {"layers", 'i', "12", "blocks"},
    {"heads", 'i', "12", "attention heads"},
    {"words", 'i', "20", "word inputs, BOS included"},
    {"positions", 'i', "0", "learned positions; 0: image tokens + tag tokens + words (1024 in public weights)"},
    {"tokens", 'i', "1", "image tokens; 0: one for each feature row"},
    {"map", 'c', "linear|mlp", "image token map: a linear layer, or two with tanh between"},
    {"dropout", 'n', "0.1", "dropout of embeddings, attention and residual branches"},
    {NULL, 0, NULL, NULL}};

static int init(capt_model *m, capt_err *err)
{
    gpt2 *g = capt_alloc(sizeof *g);
    const json_t *c = m->config;
    m->self = g;
    int heads, rows = m->image_rows, words = m->max_t, tags = m->tag_t, positions = capt_config_int(c, "positions");
    static const char *const sizes[] = {"width", "layers", "heads"};
    if (capt_config_sizes(m, sizes, (int *const[]){&g->D, &g->L, &heads}, 3, err))
        return -1;
    g->K = capt_config_int(c, "tokens");
    g->drop = capt_config_num(c, "dropout");
    g->mlp = !strcmp(capt_config_str(c, "map"), "mlp");
    int each = g->each = g->K == 0 || (rows > 1 && g->K == rows);
    if (each)
        g->K = rows;
    if (g->L > 1000 || g->D % heads || words < 2 || g->K < 0 || g->K > CAPT_CONFIG_MOST || g->drop < 0 || g->drop >= 1)
        return capt_fail(err, CAPT_EDATA, "gpt2: width %d, layers %d, heads %d, words %d, tokens %d, dropout %g do not make a model", g->D, g->L, heads, words, g->K, g->drop);
    if (!each && rows != 1)
        return capt_fail(err, CAPT_EDATA, "gpt2: %d image tokens cannot be made of %d feature rows; --set tokens=0 takes one for each row", g->K, rows);
    if (positions == 0)
        positions = g->K + tags + words;
    if (positions < g->K + tags + words)
        return capt_fail(err, CAPT_EDATA, "gpt2: %d positions are too few for %d image tokens, %d tag tokens and %d words", positions, g->K, tags, words);
    capt_params *ps = &m->params;
    int D = g->D, per_row = each ? 1 : g->K, F = m->image_dim;
    double std = 0.02, res = 0.02 / sqrt(2.0 * g->L); /* GPT-2: residual projections scaled by 1/sqrt(2L) */
    g->wte = capt_param_new(ps, CAPT_P_MATRIX | CAPT_P_ROWS | CAPT_P_DECAY, CAPT_INIT_NORMAL, std, CAPT_DIMS(capt_vocab_size(m->vocab), D), "wte.weight");
    g->wpe = capt_param_new(ps, 0, CAPT_INIT_NORMAL, 0.01, CAPT_DIMS(positions, D), "wpe.weight");
    if (g->mlp) {
        int mid = per_row * D / 2 > 0 ? per_row * D / 2 : 1;
        g->map = capt_lin_new(ps, mid, F, CAPT_INIT_NORMAL, 1 / sqrt(F), 1, "prefix.0");
        g->map2 = capt_lin_new(ps, per_row * D, mid, CAPT_INIT_NORMAL, std, 1, "prefix.2");
    } else {
        g->map = capt_lin_new(ps, per_row * D, F, CAPT_INIT_NORMAL, std, 1, "prefix");
    }
    g->h = capt_alloc((size_t)g->L * sizeof *g->h);
    for (int i = 0; i < g->L; i++) {
        capt_block *b = &g->h[i];
        b->drop = g->drop;
        b->n1 = capt_norm_new(ps, D, CAPT_NORM_PLAIN, "h.%d.ln_1", i);
        b->self.heads = heads;
        b->self.qkv = capt_lin_new(ps, 3 * D, D, CAPT_INIT_NORMAL, std, 1, "h.%d.attn.c_attn", i);
        b->self.out = capt_lin_new(ps, D, D, CAPT_INIT_NORMAL, res, 1, "h.%d.attn.c_proj", i);
        b->n3 = capt_norm_new(ps, D, CAPT_NORM_PLAIN, "h.%d.ln_2", i);
        b->ffn = (capt_ffn){capt_lin_new(ps, 4 * D, D, CAPT_INIT_NORMAL, std, 1, "h.%d.mlp.c_fc", i), capt_lin_new(ps, D, 4 * D, CAPT_INIT_NORMAL, res, 1, "h.%d.mlp.c_proj", i),
                            CAPT_MAP_gelu};
    }
    g->norm = capt_norm_new(ps, D, CAPT_NORM_PLAIN, "ln_f");
    m->head_w = g->wte;
    m->hidden = D;
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
static capt_tensor *image_tokens(capt_ctx *c, capt_model *m, const capt_feat *f)
{
    gpt2 *g = m->self;
    capt_tensor *x = capt_model_features(c, m, f), *y = capt_lin_run(c, &g->map, x, g->mlp ? CAPT_MAP_tanh : CAPT_MAP_none);
    if (g->mlp)
        y = capt_lin_run(c, &g->map2, y, CAPT_MAP_none);
    return capt_reshape_to(c, y, x->dim[0], g->K, g->D);
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

static capt_tensor *forward(capt_ctx *c, capt_model *m, const capt_feat *f, int R, int T, const int32_t *row_image, const int32_t *tokens, capt_aux *aux)
{
    gpt2 *g = m->self;
    if (capt_model_too_long(c, m, T))
        return &c->poison;
    capt_tensor *p = capt_gather(c, image_tokens(c, m, f), row_image, R);                                            /* (R,K,D) */
    capt_tensor *x = capt_add_rows(c, capt_concat(c, p, capt_embed(c, g->wte, tokens, R, T)), g->wpe, 0); /* (R,K+T,D) */
    if (f->len)
        x = pads_last(c, x, g->K, T, R, row_image, f->len, 0);
    x = capt_dropout(c, x, g->drop);
    int32_t *len = f->len ? capt_alloc((size_t)R * sizeof *len) : NULL;
    for (int r = 0; len && r < R; r++)
        len[r] = f->len[row_image[r]];
    capt_look look = {.rows = g->K, .len = len};
    for (int i = 0; i < g->L; i++)
        x = capt_block_run(c, &g->h[i], x, &(capt_seq){.causal = 0, .look = g->each && aux && aux->show && i + 1 == g->L ? &look : NULL});
    if (look.map)
        aux->attention = capt_slice(c, f->len ? pads_last(c, look.map, g->K, T, R, row_image, f->len, 1) : look.map, g->K, T);
    free(len);
    if (f->len)
        x = pads_last(c, x, g->K, T, R, row_image, f->len, 1);
    return capt_norm_run(c, &g->norm, capt_slice(c, x, g->K, T));
}

static capt_state *prefill(capt_ctx *c, capt_model *m, const capt_feat *f, int rows, int max_t)
{
    gpt2 *g = m->self;
    capt_backend *be = c->be;
    capt_mark mark = capt_ctx_mark(c);
    capt_tensor *x = capt_add_rows(c, image_tokens(c, m, f), g->wpe, 0); /* (I,K,D) */
    if (capt_ctx_bad(c))
        return NULL;
    int I = (int)x->dim[0], D = g->D;
    capt_state *s = capt_state_new(be, I, rows, max_t, f->len);
    capt_state_caches(s, g->L, 2 * D);
    for (int i = 0; i < g->L; i++) {
        capt_block *b = &g->h[i];
        x = capt_relay(c, mark, x);
        capt_tensor *qkv = capt_lin_run(c, &b->self.qkv, capt_norm_run(c, &b->n1, x), CAPT_MAP_none); /* (I,K,3D) */
        int k = capt_state_room(s, g->K, 2 * D);
        if (!capt_ctx_bad(c))
            be->copy2d(be, capt_state_shared(s, k)->data, 2 * D, 0, (capt_real *)qkv->data + D, 3 * D, (int64_t)I * g->K, 2 * D);
        if (i + 1 == g->L)
            break; /* the last block's output at image tokens is read by nobody */
        x = capt_add(c, x, capt_lin_run(c, &b->self.out, capt_attention_self(c, qkv, b->self.heads, 0, NULL, 0), CAPT_MAP_none));
        x = capt_add(c, x, capt_ffn_run(c, &b->ffn, capt_norm_run(c, &b->n3, x), 0));
    }
    if (!capt_ctx_bad(c))
        return s;
    capt_state_free(s);
    return NULL;
}

static capt_tensor *step(capt_ctx *c, capt_model *m, capt_state *s, const int32_t *tokens)
{
    gpt2 *g = m->self;
    if (capt_model_too_long(c, m, s->t + 1) || capt_state_begin(s))
        return capt_ctx_fail(c, "gpt2: step %d is past the state's %d", s->t, s->max_t);
    capt_tensor *x = capt_add_rows(c, capt_embed(c, g->wte, tokens, s->rows, 1), g->wpe, g->K + s->t); /* (R,1,D) */
    capt_look look = {0};
    for (int i = 0; i < g->L; i++)
        x = capt_block_run(c, &g->h[i], x, &(capt_seq){.s = s, .cache = i, .prefix = capt_state_shared(s, i), .look = g->each && s->show && i + 1 == g->L ? &look : NULL});
    s->attention = look.map;
    s->t++;
    return capt_reshape_to(c, capt_norm_run(c, &g->norm, x), s->rows, g->D);
}

extern const capt_captioner_type capt_captioner_gpt2;
const capt_captioner_type capt_captioner_gpt2 = {"gpt2", "prefix decoder: image tokens and words through GPT-2 blocks, tied head", keys, init, free_gpt2, forward, prefill, step};
