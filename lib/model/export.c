#include "model/export.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "model/checkpoint.h"
#include "model/import.h"

static const char prefix[] = "prefix.";

/* One of the copies that must live until the writer is done. */
typedef struct copies { CAPT_VEC(float *) v; } copies;

/* Values of t, turned over when turn. */
static float *copy(copies *all, const capt_st_tensor *t, int turn, capt_err *err)
{
    int64_t n = capt_st_numel(t), rows = t->dim[0], cols = rows ? n / rows : 0;
    float *x = capt_try_alloc64((size_t)(n + 1) * (turn ? 2 : 1) * sizeof *x, err);
    if (!x)
        return NULL;
    capt_vec_push(&all->v, x);
    capt_st_to_f32(t, x);
    float *y = x + n;
    for (int64_t r = 0; turn && r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            y[c * rows + r] = x[r * cols + c];
    return turn ? y : x;
}

/* A file of the tensors that are (map) the image's, or are not. */
static int write_tensors(const capt_st *st, int map, const char *file, capt_err *err)
{
    capt_st_writer *w = capt_st_writer_new();
    copies all = {0};
    int rc = capt_st_writer_meta(w, "format", "pt", err);
    for (size_t i = 0; i < capt_st_n(st) && !rc; i++) {
        const capt_st_tensor *t = capt_st_at(st, i);
        char name[300];
        int is_map = !strncmp(t->name, prefix, strlen(prefix)), turn = capt_import_is_turned(t->name);
        if (is_map != map || !strncmp(t->name, "encoder.", 8) || !strncmp(t->name, "optim.", 6) || !strcmp(t->name, "train.ids"))
            continue;
        int64_t dim[2] = {turn ? t->dim[1] : t->dim[0], turn ? t->dim[0] : t->dim[1]};
        snprintf(name, sizeof name, "%s%s", map ? "" : "transformer.", map ? t->name + strlen(prefix) : t->name);
        const float *x = copy(&all, t, turn, err);
        rc = x ? capt_st_writer_add(w, name, CAPT_F32, t->ndim, dim, x, err) : -1;
    }
    if (rc)
        capt_st_writer_free(w);
    else
        rc = capt_st_writer_finish(w, file, err);
    for (size_t i = 0; i < all.v.n; i++)
        free(all.v.v[i]);
    capt_vec_free(&all.v);
    return rc ? -1 : 0;
}

static int write_text(const char *file, const char *text, capt_err *err)
{
    capt_out *o = capt_out_open(file, err);
    if (!o)
        return -1;
    fprintf(capt_out_file(o), "%s\n", text);
    return capt_out_finish(o, err);
}

static int write_json(const char *file, const json_t *o, capt_err *err)
{
    char *text = json_dumps(o, JSON_INDENT(1) | JSON_ENSURE_ASCII);
    int rc = text ? write_text(file, text, err) : capt_fail(err, CAPT_ENOMEM, "%s: out of memory", file);
    free(text);
    return rc;
}

static json_t *config_of(const capt_st *st, const json_t *model, const capt_vocab *v)
{
    const capt_st_tensor *wpe = capt_st_find(st, "wpe.weight");
    int bert = !strcmp(capt_vocab_type(v), "bert");
    return json_pack("{s:[s], s:s, s:i, s:I, s:i, s:i, s:i, s:s, s:f, s:i, s:i, s:i, s:b, s:s}", "architectures", "GPT2LMHeadModel", "model_type", "gpt2", "vocab_size",
                     capt_vocab_size(v), "n_positions", (json_int_t)(wpe ? wpe->dim[0] : 0), "n_embd", capt_config_int(model, "width"), "n_layer",
                     capt_config_int(model, "layers"), "n_head", capt_config_int(model, "heads"), "activation_function", "gelu_new", "layer_norm_epsilon", 1e-5,
                     "bos_token_id", (int)capt_vocab_bos(v), "eos_token_id", (int)capt_vocab_eos(v), "pad_token_id", (int)capt_vocab_pad(v), "tie_word_embeddings", 1,
                     "tokenizer_class", bert ? "BertTokenizer" : "GPT2Tokenizer");
}

/* vocab.json and merges.txt as GPT-2's are published */
static int write_bpe(const capt_vocab *v, const char *dir, capt_err *err)
{
    char file[4200];
    json_t *all = capt_vocab_json(v), *ids = json_object(), *m;
    size_t i;
    for (int32_t t = 0; t < capt_vocab_size(v); t++)
        json_object_set_new(ids, capt_vocab_token(v, t), json_integer(t));
    snprintf(file, sizeof file, "%s/vocab.json", dir);
    int rc = write_json(file, ids, err);
    snprintf(file, sizeof file, "%s/merges.txt", dir);
    capt_out *o = rc ? NULL : capt_out_open(file, err);
    if (o) {
        fprintf(capt_out_file(o), "#version: 0.2\n");
        json_array_foreach(json_object_get(all, "merges"), i, m)
            fprintf(capt_out_file(o), "%s\n", json_string_value(m));
        rc = capt_out_finish(o, err);
    }
    json_decref(ids);
    json_decref(all);
    return o ? rc : -1;
}

static int write_all(const capt_st *st, const json_t *model, const json_t *own, const capt_vocab *v, const char *dir, capt_err *err)
{
    static const char *const names[] = {"model.safetensors", "prefix.safetensors", "config.json", "capt.json"};
    char file[4][4200];
    for (int i = 0; i < 4; i++)
        snprintf(file[i], sizeof file[i], "%s/%s", dir, names[i]);
    json_t *config = config_of(st, model, v);
    int rc = write_tensors(st, 0, file[0], err) || write_tensors(st, 1, file[1], err) || write_json(file[2], config, err) || write_json(file[3], own, err) ||
             (!strcmp(capt_vocab_type(v), "gpt2") && write_bpe(v, dir, err));
    json_decref(config);
    return rc ? -1 : 0;
}

int capt_export_gpt2(capt_st *st, const char *path, const char *dir, capt_err *err)
{
    const char *config = capt_checkpoint_is(st) ? capt_st_meta(st, "config") : NULL, *words = capt_st_meta(st, "vocab");
    if (!config || !words)
        return capt_fail(err, CAPT_EDATA, "%s: not a checkpoint of a captioner", path);
    if (strlen(dir) > 4000)
        return capt_fail(err, CAPT_EDATA, "%s: the name is too long", dir);
    json_t *c = capt_json_parse(config, strlen(config), path, err), *w = c ? capt_json_parse(words, strlen(words), path, err) : NULL;
    capt_vocab *v = w ? capt_vocab_from_json(w, path, err) : NULL;
    const json_t *model = json_object_get(c, "model");
    const char *type = capt_config_str(model, "type");
    int rc = v ? 0 : -1;
    if (!rc && strcmp(type, "gpt2"))
        rc = capt_fail(err, CAPT_EDATA, "%s holds a %s; only gpt2 has a counterpart in transformers", path, type);
    if (!rc && mkdir(dir, 0777) && errno != EEXIST)
        rc = capt_fail_errno(err, "%s", dir);
    if (!rc)
        rc = capt_checkpoint_check(st, "", path, NULL, err);
    if (!rc) {
        json_t *own = json_pack("{s:O, s:O}", "config", c, "vocab", w);
        rc = write_all(st, model, own, v, dir, err);
        json_decref(own);
    }
    capt_vocab_free(v);
    json_decref(w);
    json_decref(c);
    return rc ? -1 : 0;
}
