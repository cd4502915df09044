#include "model/import.h"
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "model/checkpoint.h"

/* Name in a public GPT-2 file, with or without "transformer.". */
static const capt_st_tensor *gpt2_find(const capt_st *st, const char *name)
{
    char full[300];
    const capt_st_tensor *t = capt_st_find(st, name);
    if (t)
        return t;
    snprintf(full, sizeof full, "transformer.%s", name);
    return capt_st_find(st, full);
}

/* No tensor tells the number of heads: "n_head" of the config.json beside the weights does, else each has 64 columns, as in all
 * published sizes. 0 on failure. */
static json_int_t gpt2_heads(const char *path, json_int_t width, capt_err *err)
{
    capt_str name = {0};
    capt_import_name_beside(path, "config.json", &name);
    int there = capt_file_exists(name.s);
    json_t *o = there ? capt_json_load(name.s, err) : NULL;
    json_int_t heads = json_integer_value(json_object_get(o, "n_head"));
    int ours = json_integer_value(json_object_get(o, "n_embd")) == width;
    if (there && !o)
        heads = 0;
    else if (!ours)
        heads = width >= 64 ? width / 64 : 1;
    else if (heads < 1)
        capt_fail(err, CAPT_EDATA, "%s: \"n_head\" is missing", name.s);
    json_decref(o);
    capt_str_free(&name);
    return heads;
}

static json_t *gpt2_config(const capt_st *st, const char *path, capt_err *err)
{
    const capt_st_tensor *wte = gpt2_find(st, "wte.weight"), *wpe = gpt2_find(st, "wpe.weight");
    if (!wte || !wpe || wte->ndim != 2 || wpe->ndim != 2) {
        capt_fail(err, CAPT_EDATA, "%s: neither a checkpoint of this toolkit nor GPT-2 weights (no wte.weight, wpe.weight)", path);
        return NULL;
    }
    int layers = 0;
    char name[64];
    do
        snprintf(name, sizeof name, "h.%d.ln_1.weight", layers);
    while (gpt2_find(st, name) && ++layers < 1000);
    json_int_t width = wte->dim[1], heads = gpt2_heads(path, width, err);
    return heads > 0 ? json_pack("{s:I, s:i, s:I, s:I}", "width", width, "layers", layers, "heads", heads, "positions", (json_int_t)wpe->dim[0]) : NULL;
}

json_t *capt_import_config(const char *path, const char *type, capt_err *err)
{
    capt_st *st = capt_st_open(path, err);
    if (!st)
        return NULL;
    json_t *out = NULL;
    const char *text = capt_checkpoint_is(st) ? capt_st_meta(st, "config") : NULL;
    if (text) {
        json_t *all = capt_json_parse(text, strlen(text), path, err);
        json_t *m = json_object_get(all, "model");
        const char *was = json_string_value(json_object_get(m, "type"));
        if (all && (!was || strcmp(was, type)))
            capt_fail(err, CAPT_EDATA, "%s holds a %s, not a %s", path, was ? was : "nothing", type);
        else if (all)
            out = json_deep_copy(m);
        json_decref(all);
    } else if (!strcmp(type, "gpt2")) {
        out = gpt2_config(st, path, err);
    } else {
        capt_fail(err, CAPT_EDATA, "%s is no checkpoint of a %s", path, type);
    }
    capt_st_close(st);
    return out;
}

static int is_embedding(const char *name)
{
    return !strcmp(name, "wte.weight") || !strcmp(name, "words.weight");
}

static int wanted(const char *name, int part)
{
    return part == 0 || (part == 1) == !is_embedding(name);
}

int capt_import_is_turned(const char *name)
{
    static const char *const tail[] = {".c_attn.weight", ".c_proj.weight", ".c_fc.weight"};
    for (int i = 0; i < 3; i++) {
        const char *at = strstr(name, tail[i]);
        if (at && !at[strlen(tail[i])])
            return 1;
    }
    return 0;
}

static int take(capt_params *ps, capt_param *p, const capt_st_tensor *t, int transpose, const char *path, capt_err *err)
{
    int64_t n = capt_tensor_numel(&p->t), rows = p->t.dim[0], cols = n / rows;
    int fits = t->ndim == p->t.ndim && t->dim[0] == (transpose ? cols : rows) && capt_st_numel(t) == n;
    if (!fits)
        return capt_fail(err, CAPT_EDATA, "%s: %s has %lldx%lld elements, the model's %s takes %lldx%lld", path, t->name, (long long)t->dim[0],
                         (long long)(t->dim[0] ? capt_st_numel(t) / t->dim[0] : 0), p->name, (long long)(transpose ? cols : rows), (long long)(transpose ? rows : cols));
    capt_real *x = capt_try_alloc64(2 * (size_t)n * sizeof *x, err);
    if (!x)
        return -1;
    capt_real *y = x + n;
    capt_st_to_real(t, x);
    capt_st_leave(t);
    for (int64_t r = 0; transpose && r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            y[r * cols + c] = x[c * rows + r];
    capt_param_set(ps, p, transpose ? y : x);
    free(x);
    return 0;
}

/* The names of GPT-2's vocabulary as it is published beside its weights; 1 if both files are there. */
static int bpe_beside(const char *path, capt_str file[2])
{
    capt_import_name_beside(path, "vocab.json", &file[0]);
    capt_import_name_beside(path, "merges.txt", &file[1]);
    return capt_file_exists(file[0].s) && capt_file_exists(file[1].s);
}

/* Text of token i of ours as it stands inside a caption, into s; 0: a token of no text. */
static int token_text(const capt_vocab *v, int32_t i, capt_str *s)
{
    const char *t = capt_vocab_token(v, i);
    capt_str_clear(s);
    if (i == capt_vocab_pad(v) || i == capt_vocab_bos(v) || i == capt_vocab_eos(v) || i == capt_vocab_unk(v))
        return 0;
    if (!strcmp(capt_vocab_type(v), "bert") && !strncmp(t, "##", 2))
        capt_str_puts(s, t + 2);
    else
        capt_str_printf(s, " %s", t);
    return 1;
}

/* Rows of the word embedding p for another vocabulary than t's: each word's is the mean of the rows of its pieces; the specials' is that of the end of text. */
static int take_pieces(capt_model *m, capt_param *p, const capt_st_tensor *t, const capt_str file[2], const char *path, capt_err *err)
{
    enum { MOST = 1000 };
    int64_t D = p->t.dim[1];
    if (t->ndim != 2 || t->dim[1] != D)
        return capt_fail(err, CAPT_EDATA, "%s: %s has %lld columns, the model's %s takes %lld", path, t->name, (long long)t->dim[1], p->name, (long long)D);
    capt_vocab *bpe = capt_vocab_new_gpt2(file[0].s, file[1].s, err);
    capt_real *from = bpe ? capt_try_alloc64((size_t)capt_st_numel(t) * sizeof *from, err) : NULL;
    capt_real *to = from ? capt_try_alloc64((size_t)capt_tensor_numel(&p->t) * sizeof *to, err) : NULL;
    double *sum = capt_alloc((size_t)D * sizeof *sum);
    int32_t ids[MOST];
    capt_str s = {0};
    int rc = to ? 0 : -1;
    if (!rc && capt_vocab_size(bpe) != t->dim[0])
        rc = capt_fail(err, CAPT_EDATA, "%s: %s has %lld rows, vocab.json beside it %d tokens", path, t->name, (long long)t->dim[0], capt_vocab_size(bpe));
    if (!rc)
        capt_st_to_real(t, from);
    for (int32_t i = 0; i < p->t.dim[0] && !rc; i++) {
        int n = 1;
        ids[0] = capt_vocab_eos(bpe);
        if (token_text(m->vocab, i, &s))
            rc = capt_vocab_encode(bpe, s.s, MOST, ids, &n, err);
        for (int64_t d = 0; d < D; d++)
            sum[d] = 0;
        for (int k = 0; k < n; k++)
            for (int64_t d = 0; d < D; d++)
                sum[d] += (double)from[ids[k] * D + d];
        for (int64_t d = 0; d < D; d++)
            to[i * D + d] = (capt_real)(sum[d] / n);
    }
    if (!rc)
        capt_param_set(&m->params, p, to);
    capt_str_free(&s);
    capt_vocab_free(bpe);
    free(sum);
    free(from);
    free(to);
    return rc;
}

static int import_with(capt_model *m, const capt_st *st, const char *path, int part, capt_str file[2], int *n, capt_err *err)
{
    int pieces = strcmp(capt_vocab_type(m->vocab), "gpt2") && bpe_beside(path, file); /* its words are byte pairs, the model's are not */
    *n = 0;
    for (int i = 0; i < m->params.n; i++) {
        capt_param *p = m->params.v[i];
        if (!strncmp(p->name, "prefix.", 7) || !strncmp(p->name, "encoder.", 8) || !wanted(p->name, part))
            continue;
        const capt_st_tensor *t = gpt2_find(st, p->name);
        if (!t)
            return capt_fail(err, CAPT_EDATA, "%s: %s is missing", path, p->name);
        if (is_embedding(p->name) && !pieces && t->dim[0] != p->t.dim[0] && strcmp(capt_vocab_type(m->vocab), "gpt2"))
            return capt_fail(err, CAPT_EDATA, "%s: %s has %lldx%lld elements, the model's %s takes %lldx%lld; with vocab.json and merges.txt beside the weights a word starts as the mean of its pieces",
                             path, t->name, (long long)t->dim[0], (long long)t->dim[1], p->name, (long long)p->t.dim[0], (long long)p->t.dim[1]);
        if (is_embedding(p->name) && pieces ? take_pieces(m, p, t, file, path, err) : take(&m->params, p, t, capt_import_is_turned(p->name), path, err))
            return -1;
        ++*n;
    }
    return 0;
}

static int import_gpt2(capt_model *m, const capt_st *st, const char *path, int part, int *n, capt_err *err)
{
    capt_str file[2] = {{0}, {0}};
    int rc = import_with(m, st, path, part, file, n, err);
    capt_str_free(&file[0]);
    capt_str_free(&file[1]);
    return rc;
}

int capt_import_gpt2(capt_model *m, const char *path, int part, int *n, capt_err *err)
{
    capt_st *st = capt_st_open(path, err);
    int rc = st ? import_gpt2(m, st, path, part, n, err) : -1;
    capt_st_close(st);
    return rc;
}

static int same_vocab(const capt_model *m, const capt_st *st, const char *path, capt_err *err)
{
    const char *text = capt_st_meta(st, "vocab");
    json_t *j = text ? capt_json_parse(text, strlen(text), path, err) : NULL;
    capt_vocab *v = j ? capt_vocab_from_json(j, path, err) : NULL;
    int rc = -1;
    if (v && strcmp(capt_vocab_hash(v), capt_vocab_hash(m->vocab)))
        capt_fail(err, CAPT_EDATA, "%s was trained with another vocabulary (%.8s) than this one (%.8s)", path, capt_vocab_hash(v), capt_vocab_hash(m->vocab));
    else if (v)
        rc = 0;
    else
        capt_fail(err, CAPT_EDATA, "%s: no vocabulary", path);
    capt_vocab_free(v);
    json_decref(j);
    return rc;
}

int capt_import_weights(capt_model *m, const char *path, int part, int *n, capt_err *err)
{
    capt_st *st = capt_st_open(path, err);
    if (!st)
        return -1;
    if (!capt_checkpoint_is(st)) {
        int foreign = import_gpt2(m, st, path, part, n, err);
        capt_st_close(st);
        return foreign;
    }
    int rc = capt_checkpoint_check(st, "", path, m->params.be->pool, err) || (part != 1 && same_vocab(m, st, path, err)) ? -1 : 0;
    *n = 0;
    for (int i = 0; i < m->params.n && !rc; i++) {
        capt_param *p = m->params.v[i];
        const capt_st_tensor *t = wanted(p->name, part) ? capt_st_find(st, p->name) : NULL;
        if (!t && wanted(p->name, part) && strncmp(p->name, "encoder.", 8))
            rc = capt_fail(err, CAPT_EDATA, "%s: %s is missing", path, p->name);
        if (t) {
            rc = take(&m->params, p, t, 0, path, err);
            ++*n;
        }
    }
    capt_st_close(st);
    return rc;
}

json_t *capt_import_encoder_config(const char *path, capt_err *err)
{
    capt_st *st = capt_st_open(path, err);
    if (!st)
        return NULL;
    json_t *out = NULL;
    const char *text = capt_checkpoint_is(st) ? capt_st_meta(st, "config") : NULL;
    if (text) {
        json_t *all = capt_json_parse(text, strlen(text), path, err), *e = json_object_get(all, "encoder");
        out = e ? json_deep_copy(e) : NULL;
        if (all && !out)
            capt_fail(err, CAPT_EDATA, "%s holds no encoder", path);
        json_decref(all);
    } else {
        out = capt_import_clip_config(st, path, err);
    }
    capt_st_close(st);
    return out;
}

int capt_encoder_take_weights(capt_encoder *e, const char *path, capt_err *err)
{
    capt_st *st = capt_st_open(path, err);
    if (!st)
        return -1;
    capt_params_keep(e->params, st);
    return (capt_checkpoint_is(st) && capt_checkpoint_check(st, "encoder.", path, e->params->be->pool, err)) || capt_import_clip(e, st, path, err) ? -1 : 0;
}
