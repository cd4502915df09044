#include "model/clip_text.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include "base/mem.h"
#include "model/clip_block.h"
#include "model/encoder_priv.h"
#include "model/import.h"
#include "op/op.h"

struct capt_clip_text {
    int width, layers, heads, positions, vocab, dim, act;
    capt_tensor *token;    /* (V,W) */
    capt_tensor *position; /* (N,W) */
    capt_tensor *proj;     /* (D,W) */
    capt_affine ln_final;
    capt_clip_block *block;
};

static const capt_key keys[] = {
    {"width", 'i', "512", "width of a token"},
    {"layers", 'i', "12", "transformer blocks"},
    {"heads", 'i', "0", "attention heads; 0: width/64, at least 1"},
    {"hidden", 'i', "2048", "hidden units of a block's perceptron"},
    {"activation", 's', "quickgelu", "of a block's perceptron: quickgelu or gelu"},
    {"positions", 'i', "77", "longest text in tokens"},
    {"vocab", 'i', "49408", "tokens"},
    {"output_dim", 'i', "512", "width of the embedding"},
    {NULL, 0, NULL, NULL}
};

static int init(capt_clip_text *t, capt_params *ps, const json_t *config, capt_err *err)
{
    int W = t->width = capt_config_int(config, "width");
    t->layers = capt_config_int(config, "layers");
    t->heads = capt_config_int(config, "heads");
    t->positions = capt_config_int(config, "positions");
    t->vocab = capt_config_int(config, "vocab");
    t->dim = capt_config_int(config, "output_dim");
    t->act = capt_clip_activation("clip text tower", config, err);
    if (t->act < 0)
        return -1;
    if (t->heads == 0)
        t->heads = W < 64 ? 1 : W / 64;
    if (t->layers < 1 || t->heads < 1 || W % t->heads)
        return capt_fail(err, CAPT_EDATA, "clip text tower: %d layers, width %d in %d heads", t->layers, W, t->heads);
    double scale = 1 / sqrt(W);
    t->token = capt_param_new(ps, CAPT_P_DECAY, CAPT_INIT_NORMAL, 0.02, CAPT_DIMS(t->vocab, W), "text.token_embedding.weight");
    t->position = capt_param_new(ps, 0, CAPT_INIT_NORMAL, 0.01, CAPT_DIMS(t->positions, W), "text.positional_embedding");
    t->block = capt_alloc((size_t)t->layers * sizeof *t->block);
    for (int i = 0; i < t->layers; i++) {
        char prefix[80];
        snprintf(prefix, sizeof prefix, "text.transformer.resblocks.%d.", i);
        capt_clip_block_new(ps, &t->block[i], W, capt_config_int(config, "hidden"), t->layers, prefix);
    }
    t->ln_final = capt_affine_norm(ps, W, "text.ln_final");
    t->proj = capt_param_new(ps, CAPT_P_MATRIX | CAPT_P_DECAY, CAPT_INIT_NORMAL, scale, CAPT_DIMS(t->dim, W), "text.text_projection");
    return ps->err.code ? capt_fail(err, ps->err.code, "clip text tower: %s", ps->err.text) : 0;
}

capt_clip_text *capt_clip_text_load(const char *path, const json_t *over, capt_params *ps, char hash[33], capt_err *err)
{
    capt_st *st = capt_st_open(path, err);
    if (!st)
        return NULL;
    json_t *found = capt_import_clip_text_config(st, path, err), *config = NULL;
    if (found && over)
        json_object_update(found, (json_t *)over);
    if (found)
        config = capt_config_complete(found, keys, "clip text tower", err);
    capt_clip_text *t = NULL;
    if (config) {
        int blank = ps->blank;
        ps->blank = 1; /* all of it is read from the file */
        t = capt_alloc(sizeof *t);
        capt_params_keep(ps, st);
        if (init(t, ps, config, err) || capt_import_clip_text(ps, st, path, err)) {
            capt_clip_text_free(t);
            t = NULL;
        } else {
            capt_params_hash(ps, "text.", hash);
        }
        ps->blank = blank;
    }
    json_decref(found);
    if (!config)
        capt_st_close(st);
    json_decref(config);
    return t;
}

void capt_clip_text_free(capt_clip_text *t)
{
    if (!t)
        return;
    free(t->block);
    free(t);
}

int capt_clip_text_positions(const capt_clip_text *t) { return t->positions; }
int capt_clip_text_dim(const capt_clip_text *t) { return t->dim; }
int capt_clip_text_vocab(const capt_clip_text *t) { return t->vocab; }

capt_tensor *capt_clip_text_embed(capt_ctx *c, const capt_clip_text *t, int R, int T, const int32_t *tokens, const int32_t *end)
{
    if (T > t->positions)
        return capt_ctx_fail(c, "clip text tower: %d tokens, at most %d", T, t->positions);
    capt_mark mark = capt_ctx_mark(c);
    capt_tensor *x = capt_reshape_to(c, capt_gather(c, t->token, tokens, (int64_t)R * T), R, T, t->width);
    x = capt_add_rows(c, x, t->position, 0); /* (R,T,W) */
    for (int i = 0; i < t->layers; i++)
        x = capt_clip_block_run(c, &t->block[i], capt_relay(c, mark, x), t->heads, 0, t->act);
    int32_t *at = capt_arena_alloc(c->host, (size_t)R * sizeof *at);
    for (int r = 0; r < R; r++)
        at[r] = r * T + end[r];
    x = capt_gather(c, capt_reshape_to(c, x, (int64_t)R * T, t->width), at, R); /* (R,W) */
    return capt_linear(c, capt_clip_norm(c, x, t->ln_final), t->proj, NULL, CAPT_MAP_none);
}
