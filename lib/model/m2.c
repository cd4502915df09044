/* The meshed-memory transformer (Cornia et al. 2020, section 3), normalisation last.
 *
 * Feature rows: x = norm(dropout(relu(linear))). Encoder layer: self-attention whose keys and values are [W x; memory], `memory` learned slots of keys scaled by sqrt(dk)
 * and of values by sqrt(memory); norm(x + .); feed-forward; norm(x + .). The slots come before the rows here, so that the pads stand last; the order of keys means
 * nothing. Decoder layer: y = norm(x + causal self-attention); for the output of each encoder layer i, with the same weights, e_i = norm(y + attention to it); gate
 * a_i = sigmoid(W_i [y; e_i]); z = sum a_i e_i / sqrt(layers); feed-forward; norm. Word positions are sinusoids that begin at 1.
 *
 * The attention that is shown: in the last decoder layer, for each encoder layer's output, the mean of the heads (A_i); of these the mean weighted by how far the gate lets
 * that layer through, the mean of a_i over the width: sum a_i A_i / sum a_i. (The authors draw integrated gradients instead, which need a backward pass a word.)
 *
 * compat "m2": the authors' code tests for pads after the first norm, where none is zero any more, so that pads, embedded as zero rows, are attended to. */
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "model/model.h"
#include "nn/block.h"

typedef struct enc_layer {
    capt_mha att; /* q and kv apart: the memory joins k and v */
    capt_tensor *memory_k, *memory_v;
    capt_norm norm1, norm2;
    capt_ffn ffn;
} enc_layer;

typedef struct dec_layer {
    capt_mha self, cross;
    capt_norm norm1, norm2, norm3; /* after self-attention, attention to the image, feed-forward */
    capt_lin *gate;                /* one an encoder layer */
    capt_ffn ffn;
} dec_layer;

typedef struct m2 {
    int D, L, heads, memory, all; /* all: pads are attended to */
    double drop;
    capt_lin image;
    capt_norm image_norm;
    capt_tensor *words;
    enc_layer *enc;
    dec_layer *dec;
} m2;

static const capt_key keys[] = {
    CAPT_FEATURE_KEYS,
    {"width", 'i', "512", "width"},
    {"layers", 'i', "3", "layers of the encoder, and of the decoder"},
    {"heads", 'i', "8", "attention heads"},
    {"ff", 'i', "2048", "width inside the feed-forward layers"},
    {"memory", 'i', "40", "memory slots of each encoder layer"},
    {"words", 'i', "20", "word inputs, BOS included"},
    {"dropout", 'n', "0.1", "dropout of feature rows, feed-forward layers and residual branches"},
    {"compat", 'c', "none|m2", "published variant: m2 attends to pads as the authors' code does"},
    {NULL, 0, NULL, NULL}};

static capt_lin xavier(capt_params *ps, int out, int in, const char *layer, int i, const char *name)
{
    return capt_lin_new(ps, out, in, CAPT_INIT_UNIFORM, capt_xavier(out, in), 1, "%s.%d.%s", layer, i, name);
}

/* nn.Linear's first values, without its bias's */
static capt_ffn new_ffn(capt_params *ps, int D, int ff, const char *layer, int i)
{
    return (capt_ffn){capt_lin_new(ps, ff, D, CAPT_INIT_UNIFORM, 1 / sqrt(D), 1, "%s.%d.ffn.in", layer, i),
                      capt_lin_new(ps, D, ff, CAPT_INIT_UNIFORM, 1 / sqrt(ff), 1, "%s.%d.ffn.out", layer, i), CAPT_MAP_relu};
}

static void new_encoder(capt_params *ps, m2 *g, int ff, int i)
{
    enc_layer *l = &g->enc[i];
    int D = g->D;
    l->att.heads = g->heads;
    l->att.q = xavier(ps, D, D, "enc", i, "self.q");
    l->att.kv = capt_lin_new(ps, 2 * D, D, CAPT_INIT_UNIFORM, capt_xavier(D, D), 1, "enc.%d.self.kv", i);
    l->att.out = xavier(ps, D, D, "enc", i, "self.out");
    l->memory_k = capt_param_new(ps, CAPT_P_DECAY, CAPT_INIT_NORMAL, (double)g->heads / D, CAPT_DIMS(g->memory, D), "enc.%d.memory.k", i);
    l->memory_v = capt_param_new(ps, CAPT_P_DECAY, CAPT_INIT_NORMAL, 1.0 / g->memory, CAPT_DIMS(g->memory, D), "enc.%d.memory.v", i);
    l->norm1 = capt_norm_new(ps, D, CAPT_NORM_PLAIN, "enc.%d.norm1", i);
    l->ffn = new_ffn(ps, D, ff, "enc", i);
    l->norm2 = capt_norm_new(ps, D, CAPT_NORM_PLAIN, "enc.%d.norm2", i);
}

static void new_decoder(capt_params *ps, m2 *g, int ff, int i)
{
    dec_layer *l = &g->dec[i];
    int D = g->D;
    double a = capt_xavier(D, D);
    l->self.heads = l->cross.heads = g->heads;
    l->self.qkv = capt_lin_new(ps, 3 * D, D, CAPT_INIT_UNIFORM, a, 1, "dec.%d.self.qkv", i);
    l->self.out = xavier(ps, D, D, "dec", i, "self.out");
    l->norm1 = capt_norm_new(ps, D, CAPT_NORM_PLAIN, "dec.%d.norm1", i);
    l->cross.q = xavier(ps, D, D, "dec", i, "cross.q");
    l->cross.kv = capt_lin_new(ps, 2 * D, D, CAPT_INIT_UNIFORM, a, 1, "dec.%d.cross.kv", i);
    l->cross.out = xavier(ps, D, D, "dec", i, "cross.out");
    l->norm2 = capt_norm_new(ps, D, CAPT_NORM_PLAIN, "dec.%d.norm2", i);
    l->gate = capt_alloc((size_t)g->L * sizeof *l->gate);
    for (int k = 0; k < g->L; k++)
        l->gate[k] = capt_lin_new(ps, D, 2 * D, CAPT_INIT_UNIFORM, capt_xavier(D, 2 * D), 1, "dec.%d.gate.%d", i, k);
    l->ffn = new_ffn(ps, D, ff, "dec", i);
    l->norm3 = capt_norm_new(ps, D, CAPT_NORM_PLAIN, "dec.%d.norm3", i);
}

static int init(capt_model *m, capt_err *err)
{
    m2 *g = capt_alloc(sizeof *g);
    m->self = g;
    int ff;
    static const char *const sizes[] = {"width", "layers", "heads", "ff", "memory"};
    if (capt_config_sizes(m, sizes, (int *const[]){&g->D, &g->L, &g->heads, &ff, &g->memory}, 5, err))
        return -1;
    g->drop = capt_config_num(m->config, "dropout");
    g->all = !strcmp(capt_config_str(m->config, "compat"), "m2");
    if (g->L > 100 || g->D % g->heads || g->D % 2 || g->drop < 0 || g->drop >= 1)
        return capt_fail(err, CAPT_EDATA, "m2: width %d, layers %d, heads %d, dropout %g do not make a model", g->D, g->L, g->heads, g->drop);
    capt_params *ps = &m->params;
    int D = g->D, V = capt_vocab_size(m->vocab);
    g->image = capt_lin_new(ps, D, m->image_dim, CAPT_INIT_UNIFORM, 1 / sqrt(m->image_dim), 1, "image");
    g->image_norm = capt_norm_new(ps, D, CAPT_NORM_PLAIN, "image.norm");
    g->words = capt_param_new(ps, CAPT_P_DECAY, CAPT_INIT_NORMAL, 1, CAPT_DIMS(V, D), "words.weight");
    g->enc = capt_alloc((size_t)g->L * sizeof *g->enc);
    g->dec = capt_alloc((size_t)g->L * sizeof *g->dec);
    for (int i = 0; i < g->L; i++)
        new_encoder(ps, g, ff, i);
    for (int i = 0; i < g->L; i++)
        new_decoder(ps, g, ff, i);
    m->head_w = capt_lin_new(ps, V, D, CAPT_INIT_UNIFORM, 1 / sqrt(D), 0, "head").w;
    m->hidden = D;
    return 0;
}

static void free_m2(capt_model *m)
{
    m2 *g = m->self;
    for (int i = 0; g->dec && i < g->L; i++)
        free(g->dec[i].gate);
    free(g->enc);
    free(g->dec);
    free(g);
    m->self = NULL;
}

static capt_tensor *feed_forward(capt_ctx *c, const m2 *g, const capt_ffn *f, const capt_norm *norm, capt_tensor *x)
{
    return capt_norm_run(c, norm, capt_add(c, x, capt_dropout(c, capt_ffn_run(c, f, x, g->drop), g->drop)));
}

/* Keys and values of the memory, the same for every image: (I,memory,2D) */
static capt_tensor *memory(capt_ctx *c, const m2 *g, const enc_layer *l, int64_t I)
{
    int32_t *zero = capt_alloc((size_t)(I + 1) * sizeof *zero);
    capt_tensor *k = capt_scale(c, l->memory_k, sqrt((double)g->D / g->heads)), *v = capt_scale(c, l->memory_v, sqrt(g->memory));
    capt_tensor *kv = capt_reshape_to(c, capt_join(c, k, v), 1, g->memory, 2 * (int64_t)g->D);
    kv = capt_gather(c, kv, zero, I);
    free(zero);
    return kv;
}

/* The rows behind an image's own, set to zero */
static capt_tensor *without_pads(capt_ctx *c, capt_tensor *x, const int32_t *len)
{
    if (capt_ctx_bad(c))
        return x;
    int64_t I = x->dim[0], S = x->dim[1], D = x->dim[2];
    capt_real *keep = capt_alloc((size_t)(I * S * D + 1) * sizeof *keep);
    for (int64_t i = 0; i < I; i++)
        for (int64_t k = 0; k < len[i] * D; k++)
            keep[i * S * D + k] = 1;
    x = capt_mul(c, x, capt_ctx_upload(c, CAPT_F32, CAPT_DIMS(I, S, D), keep));
    free(keep);
    return x;
}

/* level (L): the encoder layers' outputs, (I,S,D) */
static void encode(capt_ctx *c, capt_model *m, const capt_feat *f, capt_tensor **level)
{
    m2 *g = m->self;
    int64_t row0 = c->row0;
    c->row0 = c->image0;
    capt_tensor *x = capt_model_features(c, m, f);
    int64_t I = x->dim[0];
    int32_t *len = f->len && !g->all ? capt_alloc((size_t)(I + 1) * sizeof *len) : NULL;
    for (int64_t i = 0; len && i < I; i++)
        len[i] = g->memory + f->len[i];
    if (f->len && g->all)
        x = without_pads(c, x, f->len);
    x = capt_norm_run(c, &g->image_norm, capt_dropout(c, capt_lin_run(c, &g->image, x, CAPT_MAP_relu), g->drop));
    for (int i = 0; i < g->L; i++) {
        const enc_layer *l = &g->enc[i];
        capt_tensor *kv = capt_concat(c, memory(c, g, l, I), capt_lin_run(c, &l->att.kv, x, CAPT_MAP_none));
        x = capt_norm_run(c, &l->norm1, capt_add(c, x, capt_dropout(c, capt_mha_cross(c, &l->att, x, kv, len, 0, NULL), g->drop)));
        level[i] = x = feed_forward(c, g, &l->ffn, &l->norm2, x);
    }
    free(len);
    c->row0 = row0;
}

/* The levels' maps (n,S) weighted by the means over the width of their gates (n,D), n words in all */
static capt_tensor *mesh(capt_ctx *c, const m2 *g, capt_tensor *const *map, capt_tensor *const *gate)
{
    int64_t S = capt_tensor_cols(map[0]);
    size_t all = (size_t)capt_tensor_numel(map[0]), n = all / (size_t)S, D = (size_t)g->D;
    capt_real *m = capt_alloc((all + 1) * sizeof *m), *a = capt_alloc((n * D + 1) * sizeof *a);
    double *sum = capt_alloc((all + n + 1) * sizeof *sum), *share = sum + all;
    for (int k = 0; k < g->L && !capt_ctx_bad(c); k++) {
        capt_ctx_download(c, m, map[k]->data, all * sizeof *m);
        capt_ctx_download(c, a, gate[k]->data, n * D * sizeof *a);
        for (size_t r = 0; r < n; r++) {
            double mean = 0;
            for (size_t d = 0; d < D; d++)
                mean += (double)a[r * D + d] / g->D;
            share[r] += mean;
            for (size_t s = 0; s < (size_t)S; s++)
                sum[r * (size_t)S + s] += mean * (double)m[r * (size_t)S + s];
        }
    }
    for (size_t i = 0; i < all; i++)
        m[i] = (capt_real)(sum[i] / fmax(share[i / (size_t)S], 1e-30));
    capt_tensor *t = capt_ctx_upload(c, CAPT_F32, map[0]->ndim, map[0]->dim, m);
    free(m);
    free(a);
    free(sum);
    return t;
}

/* Decoder layer i. Whole sequences (s NULL): kv[k] (R,S,2D) the keys and values of level k for each row; a step: they are in the state. map: NULL, or how the words
 * spread over the image's rows. */
static capt_tensor *decode(capt_ctx *c, const m2 *g, int i, capt_tensor *x, capt_state *s, capt_tensor *const *kv, const int32_t *len, capt_tensor **map)
{
    const dec_layer *l = &g->dec[i];
    capt_tensor *y = s ? capt_mha_step(c, &l->self, x, s, i, NULL, NULL) : capt_mha_self(c, &l->self, x, 0, NULL, 0, NULL), *z = NULL;
    capt_tensor **maps = map ? capt_alloc(2 * (size_t)g->L * sizeof *maps) : NULL, **gates = map ? maps + g->L : NULL;
    capt_look look = {0};
    y = capt_norm_run(c, &l->norm1, capt_add(c, x, capt_dropout(c, y, g->drop)));
    for (int k = 0; k < g->L; k++) {
        capt_tensor *e = s ? capt_mha_step(c, &l->cross, y, s, -1, capt_state_shared(s, i * g->L + k), map ? &look : NULL)
                           : capt_mha_cross(c, &l->cross, y, kv[k], len, 0, map ? &look : NULL);
        e = capt_norm_run(c, &l->norm2, capt_add(c, y, capt_dropout(c, e, g->drop)));
        capt_tensor *a = capt_lin_run(c, &l->gate[k], capt_join(c, y, e), CAPT_MAP_sigmoid);
        e = capt_mul(c, a, e);
        z = z ? capt_add(c, z, e) : e;
        if (map) {
            maps[k] = look.map;
            gates[k] = a;
        }
    }
    if (map)
        *map = mesh(c, g, maps, gates);
    free(maps);
    return feed_forward(c, g, &l->ffn, &l->norm3, capt_scale(c, z, 1 / sqrt(g->L)));
}

static capt_tensor *read_words(capt_ctx *c, const m2 *g, const int32_t *tokens, int R, int T, int from)
{
    return capt_add_rows(c, capt_embed(c, g->words, tokens, R, T), capt_sinusoids(c, from + 1, T, g->D), 0);
}

static capt_tensor *forward(capt_ctx *c, capt_model *m, const capt_feat *f, int R, int T, const int32_t *row_image, const int32_t *tokens, capt_aux *aux)
{
    m2 *g = m->self;
    if (capt_model_too_long(c, m, T))
        return &c->poison;
    capt_tensor **level = capt_alloc(2 * (size_t)g->L * sizeof *level), **kv = level + g->L, *x = read_words(c, g, tokens, R, T, 0);
    int32_t *len = f->len && !g->all ? capt_alloc((size_t)R * sizeof *len) : NULL;
    for (int r = 0; len && r < R; r++)
        len[r] = f->len[row_image[r]];
    encode(c, m, f, level);
    for (int i = 0; i < g->L; i++) {
        for (int k = 0; k < g->L; k++)
            kv[k] = capt_gather(c, capt_lin_run(c, &g->dec[i].cross.kv, level[k], CAPT_MAP_none), row_image, R);
        x = decode(c, g, i, x, NULL, kv, len, aux && aux->show && i + 1 == g->L ? &aux->attention : NULL);
    }
    free(level);
    free(len);
    return x;
}

static capt_state *prefill(capt_ctx *c, capt_model *m, const capt_feat *f, int rows, int max_t)
{
    m2 *g = m->self;
    capt_tensor **level = capt_alloc((size_t)g->L * sizeof *level);
    capt_state *s = NULL;
    encode(c, m, f, level);
    if (!capt_ctx_bad(c)) {
        s = capt_state_new(c->be, (int)level[0]->dim[0], rows, max_t, g->all ? NULL : f->len);
        capt_state_caches(s, g->L, 2 * g->D);
    }
    for (int n = 0; n < g->L * g->L && !capt_ctx_bad(c); n++) {
        capt_tensor *kv = capt_lin_run(c, &g->dec[n / g->L].cross.kv, level[n % g->L], CAPT_MAP_none);
        if (!capt_ctx_bad(c))
            capt_state_keep(s, kv);
    }
    free(level);
    return s;
}

static capt_tensor *step(capt_ctx *c, capt_model *m, capt_state *s, const int32_t *tokens)
{
    m2 *g = m->self;
    if (capt_model_too_long(c, m, s->t + 1) || capt_state_begin(s))
        return capt_ctx_fail(c, "m2: step %d is past the state's %d", s->t, s->max_t);
    capt_tensor *x = read_words(c, g, tokens, s->rows, 1, s->t);
    for (int i = 0; i < g->L; i++)
        x = decode(c, g, i, x, s, NULL, NULL, s->show && i + 1 == g->L ? &s->attention : NULL);
    s->t++;
    return capt_reshape_to(c, x, s->rows, g->D);
}

extern const capt_captioner_type capt_captioner_m2;
const capt_captioner_type capt_captioner_m2 = {"m2", "meshed-memory transformer: memory slots in the encoder, gated attention to all its layers", keys, init, free_m2, forward, prefill, step};
