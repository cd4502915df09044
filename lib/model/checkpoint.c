#include "model/checkpoint.h"
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/prov.h"
#include "tensor/safetensors.h"

#define FORMAT "capt-checkpoint-1"
#define CRC_META "metadata." /* before the names of metadata among the checksums */

typedef struct kept { char *name; void *data; } kept;
typedef struct saver {
    capt_st_writer *w;
    json_t *crc;
    CAPT_VEC(kept) data;
    capt_err *err;
} saver;

/* Adds p's value, or (moment not NULL) as many elements of backend memory, as f32. */
static int add(saver *s, const char *prefix, const capt_params *ps, const capt_param *p, const capt_real *moment)
{
    int64_t n = capt_tensor_numel(&p->t);
    capt_real *x = capt_try_alloc64((size_t)n * sizeof *x, s->err);
    if (!x)
        return -1;
    if (moment)
        ps->be->download(ps->be, x, moment, (size_t)n * sizeof *x);
    else
        capt_param_get(ps, p, x);
    float *f = (float *)x;
    for (int64_t i = 0; i < n; i++)
        f[i] = (float)x[i];
    char name[320], hex[16];
    snprintf(name, sizeof name, "%s%s", prefix, p->name);
    kept k = {capt_strdup(name), x};
    capt_vec_push(&s->data, k);
    snprintf(hex, sizeof hex, "%08x", capt_crc32c(0, f, (size_t)n * sizeof *f));
    json_object_set_new(s->crc, name, json_string(hex));
    return capt_st_writer_add(s->w, k.name, CAPT_F32, p->t.ndim, p->t.dim, f, s->err);
}

static int meta_json(saver *s, const char *key, const json_t *v)
{
    capt_str text = {0};
    int rc = capt_json_line(v, &text);
    if (!rc && text.n && text.s[text.n - 1] == '\n')
        text.s[--text.n] = '\0';
    if (!rc && v != s->crc) {
        char name[64], hex[16];
        snprintf(name, sizeof name, CRC_META "%s", key);
        snprintf(hex, sizeof hex, "%08x", capt_crc32c(0, text.s, text.n));
        json_object_set_new(s->crc, name, json_string(hex));
    }
    rc = rc || capt_st_writer_meta(s->w, key, text.s, s->err);
    capt_str_free(&text);
    return rc ? -1 : 0;
}

static json_t *config_of(const capt_model *m)
{
    json_t *c = json_object();
    json_object_set(c, "options", m->options ? m->options : json_null());
    json_object_set(c, "model", m->config);
    if (m->encoder)
        json_object_set(c, "encoder", m->encoder->config);
    if (m->store)
        json_object_set(c, "store", m->store);
    json_object_set_new(c, "encoder_hash", json_string(m->encoder_hash));
    return c;
}

int capt_checkpoint_save(const char *path, capt_model *m, int flags, const json_t *state, capt_err *err)
{
    saver s = {.w = capt_st_writer_new(), .crc = json_object(), .err = err};
    int rc = -1;
    for (int i = 0; i < m->params.n; i++) {
        const capt_param *p = m->params.v[i];
        if (add(&s, "", &m->params, p, NULL))
            goto end;
        if (flags & CAPT_SAVE_OPTIMISER && p->m && p->v && (add(&s, "optim.m.", &m->params, p, p->m) || add(&s, "optim.v.", &m->params, p, p->v)))
            goto end;
        if (flags & CAPT_SAVE_OPTIMISER && p->mean && add(&s, "optim.mean.", &m->params, p, p->mean))
            goto end;
    }
    if (m->params.be->check(m->params.be, err))
        goto end;
    size_t n;
    const char *ids = capt_idset_text(m->trained_on, &n);
    int64_t dim = (int64_t)n;
    char hex[16];
    snprintf(hex, sizeof hex, "%08x", capt_crc32c(0, ids, n));
    json_object_set_new(s.crc, "train.ids", json_string(hex));
    if (capt_st_writer_add(s.w, "train.ids", CAPT_U8, 1, &dim, ids, err))
        goto end;
    json_t *config = config_of(m), *vocab = capt_vocab_json(m->vocab);
    int bad = capt_st_writer_meta(s.w, "format", FORMAT, err) || meta_json(&s, "config", config) || meta_json(&s, "vocab", vocab) ||
              (m->provenance && meta_json(&s, "provenance", m->provenance)) || (state && meta_json(&s, "state", state)) || meta_json(&s, "crc32c", s.crc);
    json_decref(config);
    json_decref(vocab);
    if (!bad) {
        rc = capt_st_writer_finish(s.w, path, err);
        s.w = NULL;
    }
end:
    capt_st_writer_free(s.w);
    json_decref(s.crc);
    for (size_t i = 0; i < s.data.n; i++) {
        free(s.data.v[i].name);
        free(s.data.v[i].data);
    }
    capt_vec_free(&s.data);
    return rc;
}

int capt_checkpoint_is(const capt_st *st)
{
    const char *format = capt_st_meta(st, "format");
    return format && !strncmp(format, "capt-checkpoint-", 16);
}

static json_t *meta(capt_st *st, const char *key, const char *path, int required, capt_err *err)
{
    const char *text = capt_st_meta(st, key);
    if (text)
        return capt_json_parse(text, strlen(text), path, err);
    if (required)
        capt_fail(err, CAPT_EDATA, "%s: the checkpoint has no \"%s\"", path, key);
    return NULL;
}

static int check_crc(const void *data, size_t n, const char *name, const json_t *crc, const char *path, capt_err *err)
{
    char hex[16];
    snprintf(hex, sizeof hex, "%08x", capt_crc32c(0, data, n));
    const char *want = json_string_value(json_object_get(crc, name));
    if (!want || strcmp(want, hex))
        return capt_fail(err, CAPT_EDATA, "%s: %s is damaged (CRC-32C %s, not %s)", path, name, hex, want ? want : "absent");
    return 0;
}

static int check_format(const capt_st *st, const char *path, capt_err *err)
{
    const char *format = capt_st_meta(st, "format");
    if (format && !strcmp(format, FORMAT))
        return 0;
    return capt_fail(err, CAPT_EDATA, "%s is no checkpoint of this toolkit (format %s)", path, format ? format : "absent");
}

/* Tensors whose checksums are compared, the largest first so that no thread is left alone with it. */
typedef struct checks {
    const json_t *crc;
    const char *path;
    CAPT_VEC(struct check { const capt_st_tensor *t; capt_err err; }) v;
} checks;

static int larger(const void *a, const void *b)
{
    const capt_st_tensor *x = ((const struct check *)a)->t, *y = ((const struct check *)b)->t;
    return x->bytes != y->bytes ? (x->bytes < y->bytes) - (x->bytes > y->bytes) : strcmp(x->name, y->name);
}

static void check_one(void *arg, int64_t task, int worker)
{
    const checks *k = arg;
    struct check *c = &k->v.v[task];
    check_crc(c->t->data, c->t->bytes, c->t->name, k->crc, k->path, &c->err);
}

static int check_tensors(capt_st *st, const char *prefix, const json_t *crc, const char *path, capt_pool *pool, capt_err *err)
{
    checks k = {.crc = crc, .path = path};
    for (size_t i = 0; i < capt_st_n(st); i++) {
        struct check c = {.t = capt_st_at(st, i)};
        if (!strncmp(c.t->name, prefix, strlen(prefix)))
            capt_vec_push(&k.v, c);
    }
    if (k.v.n)
        qsort(k.v.v, k.v.n, sizeof *k.v.v, larger);
    capt_pool_run(pool, (int64_t)k.v.n, check_one, &k);
    const struct check *bad = NULL;
    for (size_t i = 0; i < k.v.n; i++)
        if (k.v.v[i].err.code && (!bad || strcmp(k.v.v[i].t->name, bad->t->name) < 0))
            bad = &k.v.v[i];
    int rc = bad ? capt_fail(err, bad->err.code, "%s", bad->err.text) : 0;
    capt_vec_free(&k.v);
    return rc;
}

int capt_checkpoint_check(capt_st *st, const char *prefix, const char *path, capt_pool *pool, capt_err *err)
{
    if (check_format(st, path, err))
        return -1;
    json_t *crc = meta(st, "crc32c", path, 1, err);
    int rc = crc ? check_tensors(st, prefix, crc, path, pool, err) : -1;
    const char *name;
    json_t *v;
    json_object_foreach(crc, name, v) { /* a checksum of nothing: a name is damaged */
        const char *text = !strncmp(name, CRC_META, sizeof CRC_META - 1) ? capt_st_meta(st, name + sizeof CRC_META - 1) : NULL;
        if (text)
            rc = rc || check_crc(text, strlen(text), name, crc, path, err) ? -1 : 0;
        else if (!rc && !capt_st_find(st, name))
            rc = capt_fail(err, CAPT_EDATA, "%s: %s is missing", path, name);
    }
    json_decref(crc);
    return rc;
}

static int same_shape(const capt_param *p, const capt_st_tensor *t)
{
    int64_t n = 1;
    for (int i = 0; i < t->ndim; i++)
        n *= t->dim[i];
    int same = t->ndim == p->t.ndim && n == capt_tensor_numel(&p->t);
    for (int i = 0; same && i < t->ndim; i++)
        same = t->dim[i] == p->t.dim[i];
    return same;
}

static int take_moment(capt_params *ps, const capt_st_tensor *t, capt_real **dst, capt_err *err)
{
    size_t n = (size_t)capt_st_numel(t);
    capt_real *x = capt_try_alloc64(n * sizeof *x, err);
    if (!x)
        return -1;
    capt_st_to_real(t, x);
    capt_st_leave(t);
    *dst = ps->be->alloc(ps->be, n * sizeof *x);
    if (*dst)
        ps->be->upload(ps->be, *dst, x, n * sizeof *x);
    else
        capt_fail(err, CAPT_ENOMEM, "no memory for the optimiser's moments");
    free(x);
    return *dst ? 0 : -1;
}

static int take_ids(capt_idset *ids, const capt_st_tensor *t, const char *path, capt_err *err)
{
    const char *text = t->data;
    if (t->bytes && text[t->bytes - 1] != '\n')
        return capt_fail(err, CAPT_EDATA, "%s: train.ids is damaged", path);
    capt_idset_merge(ids, text, t->bytes);
    return 0;
}

static int64_t numbers_in(const capt_st *st)
{
    int64_t n = 1;
    for (size_t i = 0; i < capt_st_n(st); i++)
        n += capt_st_numel(capt_st_at(st, i));
    return n;
}

static int fill(capt_model *m, capt_st *st, int optimiser, const char *path, capt_err *err)
{
    for (size_t i = 0; i < capt_st_n(st); i++) {
        const capt_st_tensor *t = capt_st_at(st, i);
        if (!strcmp(t->name, "train.ids")) {
            if (take_ids(m->trained_on, t, path, err))
                return -1;
            continue;
        }
        static const char *const part[] = {"", "optim.m.", "optim.v.", "optim.mean."};
        int moment = 3;
        while (moment && strncmp(t->name, part[moment], strlen(part[moment])))
            moment--;
        capt_param *p = capt_param_find(&m->params, t->name + strlen(part[moment]));
        if (!p || !same_shape(p, t))
            return capt_fail(err, CAPT_EDATA, p ? "%s: tensor %s has another shape than its configuration says" : "%s: tensor %s has no place in its model", path, t->name);
        if (!moment)
            capt_param_lend(&m->params, p, 1, &t);
        else if (optimiser && take_moment(&m->params, t, (capt_real **const[]){NULL, &p->m, &p->v, &p->mean}[moment], err))
            return -1;
    }
    if (m->params.err.code)
        return capt_fail(err, m->params.err.code, "%s: %s", path, m->params.err.text);
    for (int i = 0; i < m->params.n; i++)
        if (!m->params.v[i]->loaded)
            return capt_fail(err, CAPT_EDATA, "%s: tensor %s is missing", path, m->params.v[i]->name);
    return 0;
}

/* hash: 33 bytes, zero */
static void take_features(const json_t *config, char *hash, json_t **store)
{
    const char *is = json_string_value(json_object_get(config, "encoder_hash"));
    if (is)
        memcpy(hash, is, strnlen(is, 32));
    *store = json_incref(json_object_get(config, "store"));
}

capt_model *capt_checkpoint_load(const char *path, capt_backend *be, capt_dtype compute, json_t **state, capt_err *err)
{
    capt_model *m = NULL;
    if (state)
        *state = NULL;
    capt_st *st = capt_st_open(path, err);
    if (!st)
        return NULL;
    json_t *config = NULL, *vocab = NULL;
    if (capt_checkpoint_check(st, "", path, be->pool, err))
        goto end;
    config = meta(st, "config", path, 1, err);
    vocab = config ? meta(st, "vocab", path, 1, err) : NULL;
    if (!vocab)
        goto end;
    capt_vocab *v = capt_vocab_from_json(vocab, path, err);
    if (!v)
        goto end;
    m = capt_model_blank(json_object_get(config, "model"), v, json_object_get(config, "encoder"), be, compute, numbers_in(st), err);
    if (!m) {
        capt_err_prefix(err, "%s", path);
        goto end;
    }
    take_features(config, m->encoder_hash, &m->store);
    m->options = json_incref(json_object_get(config, "options"));
    m->provenance = meta(st, "provenance", path, 0, err);
    int bad = fill(m, st, state != NULL, path, err);
    if (state && !bad)
        *state = meta(st, "state", path, 0, err);
    capt_params_keep(&m->params, st);
    st = NULL;
    if (bad) {
        capt_model_free(m);
        m = NULL;
        goto end;
    }
    if (m->encoder && !(state && *state))
        m->encoder->train_bn = 0; /* a finished encoder keeps its statistics; a run that goes on goes on as it was */
end:
    json_decref(config);
    json_decref(vocab);
    capt_st_close(st);
    return m;
}

int capt_checkpoint_history(const char *path, capt_idset *ids, json_t **chain, capt_err *err)
{
    *chain = NULL;
    capt_st *st = capt_st_open(path, err);
    if (!st)
        return -1;
    int rc = 0;
    if (capt_checkpoint_is(st)) {
        const capt_st_tensor *t = capt_st_find(st, "train.ids");
        rc = capt_checkpoint_check(st, "train.", path, NULL, err) || (t && take_ids(ids, t, path, err)) ? -1 : 0;
        *chain = rc ? NULL : meta(st, "provenance", path, 0, err);
    }
    capt_st_close(st);
    return rc;
}

int capt_checkpoint_features(const char *path, char encoder_hash[33], json_t **store, capt_err *err)
{
    memset(encoder_hash, 0, 33);
    *store = NULL;
    capt_st *st = capt_st_open(path, err);
    if (!st)
        return -1;
    json_t *config = capt_checkpoint_is(st) ? meta(st, "config", path, 1, err) : NULL;
    int rc = capt_checkpoint_is(st) && !config ? -1 : 0;
    take_features(config, encoder_hash, store);
    json_decref(config);
    capt_st_close(st);
    return rc;
}

int capt_checkpoint_past(const char *path, capt_model *m, capt_err *err)
{
    json_t *past;
    if (capt_checkpoint_history(path, m->trained_on, &past, err))
        return -1;
    if (past) {
        json_t *chain = capt_prov_merge(m->provenance, past);
        json_decref(m->provenance);
        m->provenance = chain;
    }
    json_decref(past);
    return 0;
}
