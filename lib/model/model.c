#include "model/model.h"
#include <stdlib.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"

#define CAPTIONER(name) extern const capt_captioner_type capt_captioner_##name;
#include "model/captioner.def"
#undef CAPTIONER
const capt_captioner_type *const capt_captioner_types[] = {
#define CAPTIONER(name) &capt_captioner_##name,
#include "model/captioner.def"
#undef CAPTIONER
    NULL};

#define TAGGER(name) extern const capt_captioner_type capt_tagger_##name;
#include "model/tagger.def"
#undef TAGGER
const capt_captioner_type *const capt_tagger_types[] = {
#define TAGGER(name) &capt_tagger_##name,
#include "model/tagger.def"
#undef TAGGER
    NULL};

static const capt_captioner_type *find(const capt_captioner_type *const *types, const char *name)
{
    for (; *types; types++)
        if (!strcmp((*types)->name, name))
            return *types;
    return NULL;
}

const capt_captioner_type *capt_captioner_find(const char *name)
{
    return find(capt_captioner_types, name);
}

const capt_captioner_type *capt_tagger_find(const char *name)
{
    return find(capt_tagger_types, name);
}

int capt_config_sizes(const capt_model *m, const char *const *keys, int *const *values, int n, capt_err *err)
{
    for (int i = 0; i < n; i++) {
        *values[i] = capt_config_int(m->config, keys[i]);
        if (*values[i] < 1 || *values[i] > CAPT_CONFIG_MOST)
            return capt_fail(err, CAPT_EDATA, "%s: \"%s\" is %d, not 1 to %d", m->type->name, keys[i], *values[i], CAPT_CONFIG_MOST);
    }
    return 0;
}

capt_tensor *capt_model_features(capt_ctx *c, const capt_model *m, const capt_feat *f)
{
    if (!capt_ctx_bad(c) && (f->x->ndim != 3 || f->x->dim[1] != m->image_rows || f->x->dim[2] != m->image_dim))
        return capt_ctx_fail(c, "%s: features are %lldx%lld, the model takes %dx%d", m->type->name, (long long)f->x->dim[1], (long long)f->x->dim[2], m->image_rows, m->image_dim);
    return f->x;
}

int capt_model_too_long(capt_ctx *c, const capt_model *m, int t)
{
    if (t > m->max_t + m->tag_t)
        capt_ctx_fail(c, m->tag_t ? "%s: %d tags and words, the model takes %d" : "%s: %d words, the model takes %d", m->type->name, t, m->max_t + m->tag_t);
    return capt_ctx_bad(c);
}

static capt_model *model_new(const json_t *config, capt_vocab *vocab_take, const json_t *encoder_config, capt_backend *be, capt_dtype compute, uint64_t seed, int blank, int64_t most,
                             capt_err *err)
{
    capt_model *m = capt_alloc(sizeof *m);
    m->vocab = vocab_take;
    capt_params_init(&m->params, be, compute, seed);
    m->params.blank = blank;
    m->params.most = most;
    const char *type = capt_config_str(config, "type");
    m->type = capt_captioner_find(type) ? capt_captioner_find(type) : capt_tagger_find(type);
    if (!m->type) {
        capt_fail(err, CAPT_EDATA, "model type \"%s\" is unknown", type);
        goto bad;
    }
    m->config = capt_config_complete(config, m->type->keys, type, err);
    static const char *const input[] = {"feature_rows", "feature_dim", "words"};
    int *const size[] = {&m->image_rows, &m->image_dim, &m->max_t};
    if (!m->config || capt_config_sizes(m, input, size, 3, err))
        goto bad;
    m->tag_t = capt_config_int(m->config, "tag_tokens");
    if (m->tag_t < 0 || m->tag_t > CAPT_CONFIG_MOST) {
        capt_fail(err, CAPT_EDATA, "%s: \"tag_tokens\" is %d, not 0 to %d", type, m->tag_t, CAPT_CONFIG_MOST);
        goto bad;
    }
    if (m->type->init(m, err))
        goto bad;
    if (encoder_config) {
        m->encoder = capt_encoder_new(encoder_config, &m->params, err);
        if (!m->encoder)
            goto bad;
    }
    if (m->params.err.code) {
        capt_fail(err, m->params.err.code, "%s", m->params.err.text);
        goto bad;
    }
    m->trained_on = capt_idset_new();
    return m;
bad:
    capt_model_free(m);
    return NULL;
}

capt_model *capt_model_new(const json_t *config, capt_vocab *vocab_take, const json_t *encoder_config, capt_backend *be, capt_dtype compute, uint64_t seed,
                           capt_err *err)
{
    return model_new(config, vocab_take, encoder_config, be, compute, seed, 0, 0, err);
}

capt_model *capt_model_blank(const json_t *config, capt_vocab *vocab_take, const json_t *encoder_config, capt_backend *be, capt_dtype compute, int64_t most, capt_err *err)
{
    return model_new(config, vocab_take, encoder_config, be, compute, 0, 1, most, err);
}

void capt_model_free(capt_model *m)
{
    if (!m)
        return;
    if (m->type && m->self)
        m->type->free(m);
    capt_encoder_free(m->encoder);
    capt_params_free(&m->params);
    capt_vocab_free(m->vocab);
    capt_idset_free(m->trained_on);
    json_decref(m->config);
    json_decref(m->store);
    json_decref(m->options);
    json_decref(m->provenance);
    free(m);
}

capt_tensor *capt_encode_for(capt_ctx *c, capt_encoder *e, const capt_model *m, const uint8_t *pixels, int n_images, int px)
{
    capt_encoded out = {&c->poison, &c->poison};
    const char *section = capt_config_str(m->config, "feature");
    capt_encode(c, e, capt_ctx_upload(c, CAPT_U8, CAPT_DIMS(n_images, px, px, 3), pixels), &out);
    if (!strcmp(section, "global"))
        return out.global;
    if (!strcmp(section, "grid"))
        return out.grid;
    return capt_ctx_fail(c, "an encoder gives global and grid features, the model reads \"%s\"", section);
}
