/* The manifest of a store: JSON under the key of one NUL byte, which sorts before every id. Its last member is the checksum of the
 * bytes before it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "base/json.h"
#include "store/store_priv.h"

const char capt_store_manifest_key[1] = {0};

int capt_store_is_manifest_key(const MDB_val *k)
{
    return k->mv_size == 1 && *(const char *)k->mv_data == 0;
}

json_t *capt_store_manifest_new(const capt_store_meta *m, int complete)
{
    json_t *sections = json_array();
    for (int i = 0; i < m->n_sections; i++) {
        const capt_store_section *s = &m->section[i];
        json_array_append_new(sections, json_pack("{s:s, s:s, s:i, s:i}", "name", s->name, "dtype", capt_dtype_name(s->dtype), "rows", s->rows, "dim", s->dim));
    }
    json_t *j = json_pack("{s:s, s:i, s:s}", "format", "capt-store", "version", 1, "byte_order", "little");
    json_object_set_new(j, "ids", m->int_ids < 0 ? json_null() : json_string(m->int_ids ? "int" : "string"));
    json_object_set_new(j, "dtype", json_string(capt_dtype_name(m->dtype)));
    json_object_set_new(j, "sections", sections);
    json_object_set_new(j, "encoder", json_pack("{s:s?, s:s?}", "name", m->encoder, "hash", m->encoder_hash));
    json_object_set_new(j, "preprocess", m->preprocess ? json_deep_copy(m->preprocess) : json_null());
    json_object_set_new(j, "geometry", m->geometry ? json_string(m->geometry) : json_null());
    json_object_set_new(j, "provenance", m->provenance ? json_deep_copy(m->provenance) : json_array());
    if (m->trained_on && *m->trained_on)
        json_object_set_new(j, "trained_on", json_string(m->trained_on));
    json_object_set_new(j, "count", json_integer(m->count));
    json_object_set_new(j, "checksum", json_integer((json_int_t)m->checksum));
    json_object_set_new(j, "complete", json_boolean(complete));
    return j;
}

static int read_dtype(const json_t *o, capt_dtype *t, const char *path, capt_err *err)
{
    const char *s;
    if (capt_json_str(o, "dtype", &s, path, err))
        return -1;
    for (int i = 0; i < CAPT_N_DTYPE; i++)
        if (strcmp(s, capt_dtype_name((capt_dtype)i)) == 0) {
            *t = (capt_dtype)i;
            return 0;
        }
    return capt_fail(err, CAPT_EDATA, "%s: unknown dtype \"%.20s\"", path, s);
}

static int read_section(const json_t *o, capt_store_section *s, const char *path, capt_err *err)
{
    const char *name;
    int64_t rows, dim;
    if (capt_json_str(o, "name", &name, path, err) || read_dtype(o, &s->dtype, path, err) || capt_json_int(o, "rows", &rows, path, err) ||
        capt_json_int(o, "dim", &dim, path, err))
        return -1;
    if (!*name || strlen(name) > CAPT_SECTION_NAME || rows < 0 || rows > 1 << 20 || dim < 1 || dim > 1 << 20)
        return capt_fail(err, CAPT_EDATA, "%s: damaged section list in the manifest", path);
    snprintf(s->name, sizeof s->name, "%s", name);
    s->rows = (int)rows;
    s->dim = (int)dim;
    return 0;
}

int capt_store_manifest_read(const json_t *j, capt_store_meta *m, const char *path, capt_err *err)
{
    const char *format, *order;
    int64_t version, sum;
    memset(m, 0, sizeof *m);
    if (capt_json_str(j, "format", &format, path, err))
        return -1;
    if (strcmp(format, "capt-store") != 0)
        return capt_fail(err, CAPT_EDATA, "%s: not a feature store", path);
    if (capt_json_int(j, "version", &version, path, err) || capt_json_str(j, "byte_order", &order, path, err))
        return -1;
    if (version != 1)
        return capt_fail(err, CAPT_EDATA, "%s: a store of version %lld, this program knows 1", path, (long long)version);
    if (strcmp(order, "little") != 0)
        return capt_fail(err, CAPT_EDATA, "%s: a store of the other byte order", path);
    const json_t *ids = json_object_get(j, "ids");
    const char *kind = json_string_value(ids);
    if (!json_is_null(ids) && !(kind && (strcmp(kind, "int") == 0 || strcmp(kind, "string") == 0)))
        return capt_fail(err, CAPT_EDATA, "%s: \"ids\" is neither \"int\" nor \"string\"", path);
    m->int_ids = kind ? strcmp(kind, "int") == 0 : -1;
    const json_t *sections = capt_json_array(j, "sections", path, err), *encoder = capt_json_object(j, "encoder", path, err);
    if (!sections || !encoder || read_dtype(j, &m->dtype, path, err))
        return -1;
    m->n_sections = (int)json_array_size(sections);
    if (m->n_sections < 1 || m->n_sections > CAPT_SECTIONS_MAX)
        return capt_fail(err, CAPT_EDATA, "%s: %d sections, 1 to %d are allowed", path, m->n_sections, CAPT_SECTIONS_MAX);
    for (int i = 0; i < m->n_sections; i++)
        if (read_section(json_array_get(sections, (size_t)i), &m->section[i], path, err))
            return -1;
    m->encoder = json_string_value(json_object_get(encoder, "name"));
    m->encoder_hash = json_string_value(json_object_get(encoder, "hash"));
    m->preprocess = json_object_get(j, "preprocess");
    m->geometry = json_string_value(json_object_get(j, "geometry"));
    m->provenance = json_object_get(j, "provenance");
    m->fingerprint = json_object_get(j, "fingerprint");
    const json_t *trained_on = json_object_get(j, "trained_on");
    m->trained_on = json_string_value(trained_on);
    if (trained_on && (!m->trained_on || !*m->trained_on || m->trained_on[strlen(m->trained_on) - 1] != '\n'))
        return capt_fail(err, CAPT_EDATA, "%s: \"trained_on\" is no list of ids, a line each", path);
    if (capt_json_int(j, "count", &m->count, path, err) || capt_json_int(j, "checksum", &sum, path, err))
        return -1;
    m->checksum = (uint64_t)sum;
    return 0;
}

int capt_store_meta_from_json(const json_t *j, capt_store_meta *m, const char *where, capt_err *err)
{
    return capt_store_manifest_read(j, m, where, err);
}

int capt_store_manifest_same(const json_t *a, const json_t *b, const char *what, capt_err *err)
{
    static const char *const keys[] = {"format", "version", "byte_order", "ids", "dtype", "sections", "encoder", "preprocess", "geometry", "provenance", "trained_on"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const json_t *x = json_object_get(a, keys[i]), *y = json_object_get(b, keys[i]);
        if (x == y || json_equal(x, y) || (strcmp(keys[i], "ids") == 0 && (json_is_null(x) || json_is_null(y))))
            continue;
        char *s = json_dumps(x, JSON_ENCODE_ANY | JSON_COMPACT), *t = json_dumps(y, JSON_ENCODE_ANY | JSON_COMPACT);
        int rc = capt_fail(err, CAPT_EDATA, "%s: \"%s\" is %.300s there, %.300s here", what, keys[i], s ? s : "absent", t ? t : "absent");
        free(s);
        free(t);
        return rc;
    }
    return 0;
}

#define SUM ",\"crc32c\":\""
enum { TAIL = sizeof SUM - 1 + 8 + 2 }; /* ,"crc32c":"xxxxxxxx"} */

int capt_store_manifest_text(const json_t *j, capt_str *out)
{
    capt_str_clear(out);
    if (capt_json_line(j, out) || out->n < 3)
        return -1;
    size_t n = out->n - 2; /* without "}\n" */
    uint32_t crc = capt_crc32c(0, out->s, n);
    out->n = n;
    capt_str_printf(out, SUM "%08x\"}", crc);
    return 0;
}

json_t *capt_store_manifest_get(MDB_txn *txn, MDB_dbi dbi, const char *path, capt_err *err)
{
    MDB_val k = {1, (void *)capt_store_manifest_key}, v;
    int rc = mdb_get(txn, dbi, &k, &v);
    if (rc == MDB_NOTFOUND) {
        capt_fail(err, CAPT_EDATA, "%s: not a feature store (no manifest)", path);
        return NULL;
    }
    if (rc) {
        capt_store_fail_mdb(path, rc, "manifest", err);
        return NULL;
    }
    char tail[TAIL + 1];
    size_t n = v.mv_size > TAIL ? v.mv_size - TAIL : 0;
    snprintf(tail, sizeof tail, SUM "%08x\"}", capt_crc32c(0, v.mv_data, n));
    if (!n || memcmp((const char *)v.mv_data + n, tail, TAIL) != 0) {
        capt_fail(err, CAPT_EDATA, "%s: manifest: checksum mismatch: the store is damaged", path);
        return NULL;
    }
    char where[300];
    snprintf(where, sizeof where, "%.280s: manifest", path);
    json_t *j = capt_json_parse(v.mv_data, v.mv_size, where, err);
    json_object_del(j, "crc32c");
    return j;
}

int capt_store_sections_fit(const capt_store_meta *m, const capt_section *s, int n, const char *who, capt_err *err)
{
    if (n != m->n_sections)
        return capt_fail(err, CAPT_EDATA, "%s: %d sections, the manifest has %d", who, n, m->n_sections);
    for (int i = 0; i < n; i++) {
        const capt_store_section *w = &m->section[i];
        if (strcmp(s[i].name, w->name) != 0)
            return capt_fail(err, CAPT_EDATA, "%s: section %d is \"%s\", the manifest has \"%s\"", who, i, s[i].name, w->name);
        if (s[i].dtype != w->dtype || s[i].dim != w->dim || (w->rows && s[i].rows != w->rows))
            return capt_fail(err, CAPT_EDATA, "%s: section \"%s\" is %dx%d %s, the manifest has %dx%d %s", who, s[i].name, s[i].rows, s[i].dim,
                             capt_dtype_name(s[i].dtype), w->rows, w->dim, capt_dtype_name(w->dtype));
    }
    return 0;
}
