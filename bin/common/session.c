#include "common/session.h"
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/mem.h"
#include "base/prov.h"
#include "base/str.h"
#include "store/fingerprint.h"

int capt_session_open(capt_session *s, capt_prog *p, int compute)
{
    *s = (capt_session){.p = p, .compute = compute ? CAPT_BF16 : CAPT_F32};
    s->pool = capt_pool_new((int)p->threads, &p->err);
    if (!s->pool)
        return -1;
    s->be = capt_backend_open(p->device, s->pool, &p->err);
    if (!s->be)
        return -1;
    capt_prog_detail(p, "device %s (%s), %d threads", s->be->name, s->be->isa, capt_pool_size(s->pool));
    return 0;
}

void capt_session_device(const capt_session *s, char name[64])
{
    snprintf(name, 64, "%s%s%s", s->be->name, *s->be->isa ? " " : "", s->be->isa);
}

void capt_session_close(capt_session *s)
{
    capt_backend_close(s->be);
    capt_pool_free(s->pool);
    s->be = NULL;
    s->pool = NULL;
}

static int listed(const char *list, const char *name)
{
    size_t n = strlen(name);
    for (const char *s = list; s && *s;) {
        size_t k = strcspn(s, ",");
        if (k == n && !memcmp(s, name, n))
            return 1;
        s += k + (s[k] == ',');
    }
    return 0;
}

int capt_picks(const char *splits, int with_restval, const capt_caption *c)
{
    return !c->split || (splits && !strcmp(splits, "all")) || listed(splits, c->split) || (with_restval && !strcmp(c->split, "restval") && listed(splits, "train"));
}

capt_picked capt_pick(const capt_captions *c, const char *splits, int with_restval)
{
    capt_picked out = {capt_alloc((c->n + 1) * sizeof *out.v), 0};
    for (size_t i = 0; i < c->n; i++)
        if (capt_picks(splits, with_restval, &c->v[i]))
            out.v[out.n++] = &c->v[i];
    return out;
}

int capt_pick_some(capt_prog *p, const capt_captions *c, const char *splits, capt_picked *out)
{
    *out = capt_pick(c, splits, 0);
    if (out->n)
        return 0;
    return c->n ? capt_prog_fail_inputs(p, 0, "no records of split %s; --split all takes every one", splits) : capt_prog_fail_inputs(p, 0, "no records");
}

int capt_shard_parse(capt_prog *p, const char *shard, int64_t *first, int64_t *step)
{
    int end = 0;
    long long a = 0, b = 1;
    if (shard && (sscanf(shard, "%lld/%lld%n", &a, &b, &end) != 2 || shard[end] || a < 0 || b < 1 || a >= b))
        return capt_prog_usage(p, "--shard %s: want I/N with 0 <= I < N", shard);
    *first = a;
    *step = b;
    return 0;
}

void capt_inlet_init(capt_inlet *in)
{
    memset(in, 0, sizeof *in);
    in->dirfd = -1;
}

static const char *choose_section(const capt_store_meta *m)
{
    static const char *const order[] = {"global", "grid", "regions"};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < m->n_sections; i++)
            if (!strcmp(m->section[i].name, order[k]))
                return m->section[i].name;
    return m->section[0].name;
}

/* fingerprint: of the section that is read; NULL unless that is a store's */
static json_t *describe(const char *encoder, const char *hash, json_t *preprocess, const char *geometry, const json_t *fingerprint)
{
    json_t *about = json_object();
    if (encoder)
        json_object_set_new(about, "encoder", json_string(encoder));
    if (hash && *hash)
        json_object_set_new(about, "encoder_hash", json_string(hash));
    if (preprocess)
        json_object_set(about, "preprocess", preprocess);
    if (geometry)
        json_object_set_new(about, "geometry", json_string(geometry));
    if (fingerprint)
        json_object_set_new(about, "fingerprint", json_deep_copy(fingerprint));
    return about;
}

int capt_inlet_store(capt_inlet *in, const char *path, const char *section, int rows, capt_err *err)
{
    in->store = capt_store_open(path, err);
    if (!in->store)
        return -1;
    const capt_store_meta *m = capt_store_meta_of(in->store);
    if (m->n_sections < 1)
        return capt_fail(err, CAPT_EDATA, "%s: the store has no sections", path);
    in->source = capt_source_store(in->store, section && *section ? section : choose_section(m), rows, err);
    if (!in->source)
        return capt_err_prefix(err, "%s", path);
    if (m->encoder_hash)
        memcpy(in->encoder_hash, m->encoder_hash, strnlen(m->encoder_hash, 32));
    in->provenance = m->provenance;
    in->trained_on = m->trained_on;
    in->about = describe(m->encoder, m->encoder_hash, m->preprocess, m->geometry, capt_fingerprint_section(m->fingerprint, capt_source_section(in->source)));
    return 0;
}

int capt_inlet_images(capt_inlet *in, const char *dir, const capt_prep *prep, const capt_jpeg_limits *limits, const capt_augment *augment, capt_err *err)
{
    in->dirfd = dir ? open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : AT_FDCWD;
    if (dir && in->dirfd < 0)
        return capt_fail_errno(err, "%s", dir);
    in->prep = *prep;
    in->source = capt_source_images(in->dirfd, &in->prep, limits, augment);
    return 0;
}

int capt_inlet_encoder(capt_inlet *in, capt_session *s, const char *path, capt_err *err)
{
    json_t *prep = NULL;
    capt_params_init(&in->enc_params, s->be, s->compute, 0);
    in->encoder = capt_encoder_load(path, &in->enc_params, in->encoder_hash, &prep, err);
    if (!in->encoder)
        return -1;
    int rc = capt_prep_from_json(prep, &in->prep, path, err);
    in->about = describe(in->encoder->type->name, in->encoder_hash, prep, NULL, NULL);
    json_decref(prep);
    return rc;
}

void capt_inlet_close(capt_inlet *in)
{
    capt_source_free(in->source);
    capt_store_close(in->store);
    capt_encoder_free(in->encoder);
    capt_params_free(&in->enc_params);
    json_decref(in->about);
    if (in->dirfd >= 0)
        close(in->dirfd);
    capt_inlet_init(in);
}

void capt_inlet_past(const capt_inlet *in, capt_model *m)
{
    if (in->trained_on)
        capt_idset_merge(m->trained_on, in->trained_on, strlen(in->trained_on));
    json_t *chain = capt_prov_merge(m->provenance, in->provenance);
    json_decref(m->provenance);
    m->provenance = chain;
}

const char *capt_section_of(const capt_model *m)
{
    return capt_config_str(m->config, "feature");
}

/* Features that look different from those of the training: told, since a detector's next version or another order of columns
 * leaves width and hash as they were and costs much of the score. */
static void compare_features(const capt_prog *p, const capt_inlet *in, const json_t *store, const char *model_path)
{
    const char *there = json_string_value(json_object_get(store, "geometry")), *here = json_string_value(json_object_get(in->about, "geometry"));
    const json_t *a = json_object_get(store, "fingerprint"), *b = json_object_get(in->about, "fingerprint");
    capt_str why = {0};
    if (a && b && (there ? !here || strcmp(there, here) : here != NULL))
        capt_str_printf(&why, "geometry columns %s there, %s here", there ? there : "not known", here ? here : "not known");
    if ((a && b && capt_fingerprint_differs(a, b, &why)) || why.n)
        capt_prog_warn(p, "these features do not look like those %s was trained on, captions may be much worse: %s", model_path, why.s);
    capt_str_free(&why);
}

/* in against what the model of model_path was trained on */
static int same_features(capt_prog *p, const capt_inlet *in, const char *encoder_hash, const json_t *store, const char *model_path)
{
    if (*in->encoder_hash && *encoder_hash && strcmp(in->encoder_hash, encoder_hash))
        return capt_fail(&p->err, CAPT_EDATA, "%s was trained on features of encoder %.8s, these are of encoder %.8s", model_path, encoder_hash, in->encoder_hash);
    compare_features(p, in, store, model_path);
    return 0;
}

int capt_inlet_fits(capt_prog *p, const capt_inlet *in, const capt_model *m, const char *model_path)
{
    capt_err *err = &p->err;
    int dim = capt_config_int(m->config, "feature_dim");
    if (in->source && !capt_source_is_images(in->source) && capt_source_dim(in->source) != dim)
        return capt_fail(err, CAPT_EDATA, "%s reads %s features of width %d, the store has %d", model_path, capt_section_of(m), dim, capt_source_dim(in->source));
    return same_features(p, in, m->encoder_hash, m->store, model_path);
}

int capt_inlet_follows(capt_prog *p, const capt_inlet *in, const char *path)
{
    char hash[33];
    json_t *store;
    int rc = capt_checkpoint_features(path, hash, &store, &p->err) || same_features(p, in, hash, store, path) ? -1 : 0;
    json_decref(store);
    return rc;
}

int capt_is_captioner(capt_prog *p, const capt_model *m, const char *model_path)
{
    if (!capt_captioner_find(m->type->name))
        return capt_fail(&p->err, CAPT_EDATA, "%s is a tagger (%s): capt-tag applies it", model_path, m->type->name);
    return 0;
}

char *capt_found_text(const capt_vocab *v, const capt_found *f)
{
    capt_str s = {0};
    capt_str_puts(&s, "");
    if (f->ids)
        capt_vocab_decode(v, f->ids, f->n, &s);
    if (!s.s)
        return capt_strdup("");
    return s.s;
}

int capt_set_config(capt_prog *p, const capt_strs *set, const capt_key *keys, json_t *config)
{
    for (size_t i = 0; i < set->n; i++) {
        const char *eq = strchr(set->v[i], '=');
        if (!eq)
            return capt_prog_usage(p, "--set %s: not KEY=VALUE", set->v[i]);
        size_t n = (size_t)(eq - set->v[i]);
        const capt_key *k = keys;
        while (k->name && (strlen(k->name) != n || memcmp(k->name, set->v[i], n)))
            k++;
        if (!k->name) {
            capt_str known = {0};
            for (k = keys; k->name; k++)
                capt_str_printf(&known, "%s%s", known.n ? ", " : "", k->name);
            capt_prog_usage(p, "--set %.*s: not one of %s", (int)n, set->v[i], known.s);
            capt_str_free(&known);
            return -1;
        }
        char *end = NULL;
        const char *value = eq + 1;
        if (k->type == 'c' && !capt_config_choice(k->def, value))
            return capt_prog_usage(p, "--set %s: not one of %s", set->v[i], k->def);
        json_t *v = NULL;
        errno = 0;
        if (k->type == 'i')
            v = json_integer(strtoll(value, &end, 10));
        else if (k->type == 'n')
            v = json_real(strtod(value, &end));
        else if (k->type == 'b' && (!strcmp(value, "true") || !strcmp(value, "false")))
            v = json_boolean(value[0] == 't');
        else if (k->type == 's' || k->type == 'c')
            v = json_string(value);
        if (!v || errno == ERANGE || (end && (*end || end == value))) {
            json_decref(v);
            return capt_prog_usage(p, "--set %s: %s", set->v[i], k->type == 'b' ? "true or false is wanted" : "a number is wanted");
        }
        json_object_set_new(config, k->name, v);
    }
    return 0;
}
