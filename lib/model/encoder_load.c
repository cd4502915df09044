/* Encoders out of files: a checkpoint of ours or public CLIP weights. */
#include <stdio.h>
#include <string.h>
#include "base/hash.h"
#include "base/json.h"
#include "model/checkpoint.h"
#include "model/encoder_priv.h"
#include "model/import.h"

/* The "encoder" object of a checkpoint's config. New reference. */
static json_t *checkpoint_config(capt_st *st, const char *path, capt_err *err)
{
    const char *text = capt_st_meta(st, "config");
    json_t *all = text ? capt_json_parse(text, strlen(text), path, err) : NULL;
    json_t *o = json_object_get(all, "encoder");
    json_t *config = json_is_object(o) ? json_deep_copy(o) : NULL;
    json_decref(all);
    if (!config)
        capt_fail(err, CAPT_EDATA, "%s: this checkpoint holds no encoder: it was trained on stored features", path);
    return config;
}

static json_t *three(const float v[3])
{
    return json_pack("[f, f, f]", (double)v[0], (double)v[1], (double)v[2]);
}

json_t *capt_encoder_prep(const capt_encoder *e)
{
    return json_pack("{s:s, s:i, s:s, s:o, s:o}", "mode", capt_config_str(e->config, "preprocess"), "size", e->size, "resample", "bicubic", "mean",
                     three(e->mean), "std", three(e->std));
}

capt_encoder *capt_encoder_load_with(const char *path, const json_t *over, capt_params *params, char hash[33], json_t **prep, capt_err *err)
{
    capt_st *st = capt_st_open(path, err);
    if (!st)
        return NULL;
    capt_encoder *e = NULL;
    int ours = capt_checkpoint_is(st);
    json_t *config = ours ? checkpoint_config(st, path, err) : capt_import_clip_config(st, path, err);
    capt_params_keep(params, st);
    if (config && (!ours || capt_checkpoint_check(st, "encoder.", path, params->be->pool, err) == 0)) {
        if (over)
            json_object_update(config, (json_t *)over);
        int blank = params->blank;
        params->blank = 1; /* all of it is read from the file */
        for (size_t i = 0; !over && i < capt_st_n(st); i++)
            params->most += capt_st_numel(capt_st_at(st, i));
        params->most += params->most ? params->made : 0;
        e = capt_encoder_new(config, params, err);
        params->blank = blank;
        params->most = 0;
    }
    json_decref(config);
    if (e && capt_import_clip(e, st, path, err)) {
        capt_encoder_free(e);
        e = NULL;
    }
    if (!e)
        return NULL;
    capt_params_hash(params, "encoder.", hash);
    if (prep)
        *prep = capt_encoder_prep(e);
    return e;
}

capt_encoder *capt_encoder_load(const char *path, capt_params *params, char hash[33], json_t **prep, capt_err *err)
{
    return capt_encoder_load_with(path, NULL, params, hash, prep, err);
}
