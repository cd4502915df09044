/* The plain transformer (Vaswani et al. 2017) as captioner, normalisation first: an encoder over the image's rows, a decoder over the words.
 *
 * Feature rows pass a linear layer with ReLU and dropout; `layers` blocks of self-attention over the valid rows; a final norm. Words: embedding times sqrt(width) plus
 * sinusoids; `layers` blocks of causal self-attention and attention to the encoder's output; a final norm; a head of its own. compat "ruo": the normalisation of the
 * Annotated Transformer, from which the self-critical PyTorch models descend: deviation with D-1 in its denominator.
 *
 * The attention that is shown is that of the last decoder block to the image's rows, mean of its heads, as Vaswani et al. (2017, figures 3 to 5) show heads of late layers. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "model/model.h"
#include "nn/block.h"

typedef struct transformer {
    int D, L;
    double drop, drop_feature;
    capt_lin image;
    capt_tensor *words;
    capt_block *enc, *dec;
    capt_norm enc_norm, dec_norm;
} transformer;

static const capt_key keys[] = {
    CAPT_FEATURE_KEYS,
    {"width", 'i', "512", "width"},
    {"layers", 'i', "6", "blocks of the encoder, and of the decoder"},
    {"heads", 'i', "8", "attention heads"},
    {"ff", 'i', "2048", "width inside the feed-forward layers"},
    {"words", 'i', "20", "word inputs, BOS included"},
    {"dropout", 'n', "0.1", "dropout of word embeddings, attention, feed-forward layers and residual branches"},
    {"feature_dropout", 'n', "0.5", "dropout of the embedded feature rows"},
    {"compat", 'c', "none|ruo", "published variant: ruo has another normalisation"},
    {NULL, 0, NULL, NULL}};

static capt_lin xavier(capt_params *ps, int out, int in, const char *layer, int i, const char *name)
{
    return capt_lin_new(ps, out, in, CAPT_INIT_UNIFORM, capt_xavier(out, in), 1, "%s.%d.%s", layer, i, name);
}

static capt_block new_block(capt_params *ps, int D, int ff, int heads, double drop, int norm, const char *side, int i)
{
    int decoder = !strcmp(side, "dec");
    double a = capt_xavier(D, D);
    capt_block b = {.drop = drop, .drop_ffn = drop};
    b.n1 = capt_norm_new(ps, D, norm, "%s.%d.norm1", side, i);
    b.self.heads = b.cross.heads = heads;
    b.self.qkv = capt_lin_new(ps, 3 * D, D, CAPT_INIT_UNIFORM, a, 1, "%s.%d.self.qkv", side, i); /* each third as a matrix of its own */
    b.self.out = xavier(ps, D, D, side, i, "self.out");
    if (decoder) {
        b.n2 = capt_norm_new(ps, D, norm, "%s.%d.norm2", side, i);
        b.cross.q = xavier(ps, D, D, side, i, "cross.q");
        b.cross.kv = capt_lin_new(ps, 2 * D, D, CAPT_INIT_UNIFORM, a, 1, "%s.%d.cross.kv", side, i);
        b.cross.out = xavier(ps, D, D, side, i, "cross.out");
    }
    b.n3 = capt_norm_new(ps, D, norm, "%s.%d.norm3", side, i);
    b.ffn = (capt_ffn){xavier(ps, ff, D, side, i, "ffn.in"), xavier(ps, D, ff, side, i, "ffn.out"), CAPT_MAP_relu};
    return b;
}

static int init(capt_model *m, capt_err *err)
{
    transformer *g = capt_alloc(sizeof *g);
    m->self = g;
    int heads, ff;
    static const char *const sizes[] = {"width", "layers", "heads", "ff"};
    if (capt_config_sizes(m, sizes, (int *const[]){&g->D, &g->L, &heads, &ff}, 4, err))
        return -1;
    g->drop = capt_config_num(m->config, "dropout");
    g->drop_feature = capt_config_num(m->config, "feature_dropout");
    if (g->L > 1000 || g->D % heads || g->D % 2 || g->drop < 0 || g->drop >= 1 || g->drop_feature < 0 || g->drop_feature >= 1)
        return capt_fail(err, CAPT_EDATA, "transformer: width %d, layers %d, heads %d, dropout %g and %g do not make a model", g->D, g->L, heads, g->drop, g->drop_feature);
    capt_params *ps = &m->params;
    int D = g->D, V = capt_vocab_size(m->vocab), norm = strcmp(capt_config_str(m->config, "compat"), "ruo") ? CAPT_NORM_PLAIN : CAPT_NORM_UNBIASED;
    g->image = capt_lin_new(ps, D, m->image_dim, CAPT_INIT_UNIFORM, capt_xavier(D, m->image_dim), 1, "image");
    g->words = capt_param_new(ps, CAPT_P_DECAY, CAPT_INIT_UNIFORM, capt_xavier(V, D), CAPT_DIMS(V, D), "words.weight");
    g->enc = capt_alloc(2 * (size_t)g->L * sizeof *g->enc);
    g->dec = g->enc + g->L;
    for (int i = 0; i < g->L; i++)
        g->enc[i] = new_block(ps, D, ff, heads, g->drop, norm, "enc", i);
    for (int i = 0; i < g->L; i++)
        g->dec[i] = new_block(ps, D, ff, heads, g->drop, norm, "dec", i);
    g->enc_norm = capt_norm_new(ps, D, norm, "enc.norm");
    g->dec_norm = capt_norm_new(ps, D, norm, "dec.norm");
    capt_lin head = capt_lin_new(ps, V, D, CAPT_INIT_UNIFORM, capt_xavier(V, D), 1, "head");
    m->head_w = head.w;
    m->head_b = head.b;
    m->hidden = D;
    return 0;
}

static void free_transformer(capt_model *m)
{
    transformer *g = m->self;
    free(g->enc);
    free(g);
    m->self = NULL;
}

/* The image's rows encoded, (I,S,D) */
static capt_tensor *encode(capt_ctx *c, capt_model *m, const capt_feat *f)
{
    transformer *g = m->self;
    int64_t row0 = c->row0;
    c->row0 = c->image0;
    capt_mark mark = capt_ctx_mark(c);
    capt_tensor *x = capt_dropout(c, capt_lin_run(c, &g->image, capt_model_features(c, m, f), CAPT_MAP_relu), g->drop_feature);
    for (int i = 0; i < g->L; i++)
        x = capt_block_run(c, &g->enc[i], capt_relay(c, mark, x), &(capt_seq){.causal = CAPT_ATTN_FULL, .k_len = f->len});
    x = capt_norm_run(c, &g->enc_norm, x);
    c->row0 = row0;
    return x;
}

/* Words at positions from .. from+T-1: (R,T,D) */
static capt_tensor *read_words(capt_ctx *c, transformer *g, const int32_t *tokens, int R, int T, int from)
{
    capt_tensor *x = capt_scale(c, capt_embed(c, g->words, tokens, R, T), sqrt(g->D));
    return capt_dropout(c, capt_add_rows(c, x, capt_sinusoids(c, from, T, g->D), 0), g->drop);
}

static capt_tensor *forward(capt_ctx *c, capt_model *m, const capt_feat *f, int R, int T, const int32_t *row_image, const int32_t *tokens, capt_aux *aux)
{
    transformer *g = m->self;
    if (capt_model_too_long(c, m, T))
        return &c->poison;
    capt_tensor *e = encode(c, m, f), *x = read_words(c, g, tokens, R, T, 0);
    int32_t *len = f->len ? capt_alloc((size_t)R * sizeof *len) : NULL;
    for (int r = 0; len && r < R; r++)
        len[r] = f->len[row_image[r]];
    capt_look look = {0};
    for (int i = 0; i < g->L; i++) {
        capt_tensor *kv = capt_gather(c, capt_lin_run(c, &g->dec[i].cross.kv, e, CAPT_MAP_none), row_image, R); /* (R,S,2D) */
        x = capt_block_run(c, &g->dec[i], x, &(capt_seq){.causal = 0, .kv = kv, .kv_len = len, .look = aux && aux->show && i + 1 == g->L ? &look : NULL});
    }
    if (aux)
        aux->attention = look.map;
    free(len);
    return capt_norm_run(c, &g->dec_norm, x);
}

static capt_state *prefill(capt_ctx *c, capt_model *m, const capt_feat *f, int rows, int max_t)
{
    transformer *g = m->self;
    capt_tensor *e = encode(c, m, f);
    if (capt_ctx_bad(c))
        return NULL;
    capt_state *s = capt_state_new(c->be, (int)e->dim[0], rows, max_t, f->len);
    capt_state_caches(s, g->L, 2 * g->D);
    for (int i = 0; i < g->L && !capt_ctx_bad(c); i++) {
        capt_tensor *kv = capt_lin_run(c, &g->dec[i].cross.kv, e, CAPT_MAP_none);
        if (!capt_ctx_bad(c))
            capt_state_keep(s, kv);
    }
    return s;
}

static capt_tensor *step(capt_ctx *c, capt_model *m, capt_state *s, const int32_t *tokens)
{
    transformer *g = m->self;
    if (capt_model_too_long(c, m, s->t + 1) || capt_state_begin(s))
        return capt_ctx_fail(c, "transformer: step %d is past the state's %d", s->t, s->max_t);
    capt_tensor *x = read_words(c, g, tokens, s->rows, 1, s->t);
    capt_look look = {0};
    for (int i = 0; i < g->L; i++)
        x = capt_block_run(c, &g->dec[i], x, &(capt_seq){.s = s, .cache = i, .kv = capt_state_shared(s, i), .look = s->show && i + 1 == g->L ? &look : NULL});
    s->attention = look.map;
    s->t++;
    return capt_reshape_to(c, capt_norm_run(c, &g->dec_norm, x), s->rows, g->D);
}

extern const capt_captioner_type capt_captioner_transformer;
const capt_captioner_type capt_captioner_transformer = {"transformer", "transformer: an encoder over grid cells or regions, a decoder over words", keys, init, free_transformer, forward,
                                                        prefill, step};
