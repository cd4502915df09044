/* The small JSON files published beside CLIP weights. Two layouts:
 *   transformers   config.json {"vision_config":{"hidden_act","num_attention_heads","hidden_size"},"text_config":{..}}; a tower published alone has its
 *                  keys at the top; preprocessor_config.json {"image_mean":[3],"image_std":[3]}
 *   open_clip      open_clip_config.json {"model_cfg":{"quick_gelu","vision_cfg":{"head_width"},"text_cfg":{"heads"}},"preprocess_cfg":{"mean":[3],"std":[3]}} */
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/json.h"
#include "base/str.h"
#include "model/import.h"

void capt_import_name_beside(const char *path, const char *name, capt_str *out)
{
    struct stat st;
    const char *slash = strrchr(path, '/');
    capt_str_clear(out);
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        capt_str_printf(out, "%s/", path);
    else if (slash)
        capt_str_add(out, path, (size_t)(slash - path + 1));
    capt_str_puts(out, name);
}

/* The object of a file beside the weights; NULL without an error when there is none. */
static json_t *beside(const char *path, const char *name, capt_err *err)
{
    capt_str s = {0};
    capt_import_name_beside(path, name, &s);
    json_t *o = capt_file_exists(s.s) ? capt_json_load(s.s, err) : NULL;
    capt_str_free(&s);
    return o;
}

static void set_int(json_t *config, const char *key, json_int_t v)
{
    if (v > 0)
        json_object_set_new(config, key, json_integer(v));
}

static void set_colours(json_t *config, const json_t *mean, const json_t *std)
{
    static const char *const key[2][3] = {{"mean_r", "mean_g", "mean_b"}, {"std_r", "std_g", "std_b"}};
    const json_t *from[2] = {mean, std};
    for (int k = 0; k < 2; k++)
        for (size_t i = 0; i < 3 && json_array_size(from[k]) == 3; i++)
            json_object_set_new(config, key[k][i], json_real(json_number_value(json_array_get(from[k], i))));
}

static int of_transformers(const char *path, int tower, json_t *config, capt_err *err)
{
    json_t *o = beside(path, "config.json", err), *p = NULL;
    const char *kind = json_string_value(json_object_get(o, "model_type"));
    const json_t *c = json_object_get(o, tower == CAPT_BESIDE_TEXT ? "text_config" : "vision_config");
    if (!c && kind && !strcmp(kind, tower == CAPT_BESIDE_TEXT ? "clip_text_model" : "clip_vision_model"))
        c = o;
    int rc = 0;
    const char *act = json_string_value(json_object_get(c, "hidden_act"));
    if (act && strcmp(act, "quick_gelu") && strcmp(act, "gelu"))
        rc = capt_fail(err, CAPT_EDATA, "%s: config.json beside it says \"hidden_act\" is \"%.40s\"; quick_gelu and gelu are known", path, act);
    else if (act && tower != CAPT_BESIDE_RESNET)
        json_object_set_new(config, "activation", json_string(strcmp(act, "gelu") ? "quickgelu" : "gelu"));
    set_int(config, "heads", json_integer_value(json_object_get(c, "num_attention_heads")));
    if (c && tower != CAPT_BESIDE_TEXT && !rc) {
        p = beside(path, "preprocessor_config.json", err);
        set_colours(config, json_object_get(p, "image_mean"), json_object_get(p, "image_std"));
    }
    json_decref(p);
    json_decref(o);
    return rc;
}

static void of_open_clip(const json_t *o, int tower, json_t *config)
{
    const json_t *m = json_object_get(o, "model_cfg"), *p = json_object_get(o, "preprocess_cfg");
    const json_t *v = json_object_get(m, "vision_cfg"), *t = json_object_get(m, "text_cfg");
    if (tower != CAPT_BESIDE_RESNET)
        json_object_set_new(config, "activation", json_string(json_is_true(json_object_get(m, "quick_gelu")) ? "quickgelu" : "gelu"));
    if (tower == CAPT_BESIDE_TEXT) {
        set_int(config, "heads", json_integer_value(json_object_get(t, "heads")));
        return;
    }
    json_int_t head = json_integer_value(json_object_get(v, "head_width")), width = json_integer_value(json_object_get(config, "width"));
    if (head > 0)
        set_int(config, "heads", (tower == CAPT_BESIDE_RESNET ? 32 * width : width) / head);
    set_colours(config, json_object_get(p, "mean"), json_object_get(p, "std"));
}

int capt_import_beside(const char *path, int tower, json_t *config, capt_err *err)
{
    capt_err own = CAPT_ERR_INIT;
    json_t *o = beside(path, "open_clip_config.json", &own);
    int rc = 0;
    if (json_object_get(o, "model_cfg"))
        of_open_clip(o, tower, config);
    else if (!own.code)
        rc = of_transformers(path, tower, config, &own);
    json_decref(o);
    return rc || own.code ? capt_fail(err, own.code, "%s", own.text) : 0;
}
