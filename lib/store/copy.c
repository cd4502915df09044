/* Copies of stores in key order: the last step of a writer whose records came in another one, and merging. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "store/store_priv.h"

static int advance(capt_store_input *s, capt_err *err)
{
    int rc;
    do
        rc = mdb_cursor_get(s->cursor, &s->k, &s->v, MDB_NEXT);
    while (rc == 0 && capt_store_is_manifest_key(&s->k));
    s->end = rc == MDB_NOTFOUND;
    return rc && !s->end ? capt_store_fail_mdb(s->path, rc, "read", err) : 0;
}

static int key_cmp(const MDB_val *a, const MDB_val *b)
{
    int c = memcmp(a->mv_data, b->mv_data, a->mv_size < b->mv_size ? a->mv_size : b->mv_size);
    return c ? c : (a->mv_size > b->mv_size) - (a->mv_size < b->mv_size);
}

/* The source with the least key; NULL at the end. Two with one key: an error. */
static capt_store_input *least(capt_store_input *src, int n, capt_err *err)
{
    capt_store_input *min = NULL;
    for (int i = 0; i < n; i++) {
        if (src[i].end)
            continue;
        int c = min ? key_cmp(&src[i].k, &min->k) : -1;
        if (c == 0) {
            char who[320];
            capt_store_who(who, src[i].path, src[i].k.mv_data, src[i].k.mv_size);
            capt_fail(err, CAPT_EDATA, "%s is in %s too", who, min->path);
            return NULL;
        }
        if (c < 0)
            min = &src[i];
    }
    return min;
}

static int check_value(const capt_store_input *s, const capt_store_meta *m, capt_feature *f, capt_err *err)
{
    char who[320];
    capt_store_who(who, s->path, s->k.mv_data, s->k.mv_size);
    if (capt_feature_decode(s->v.mv_data, s->v.mv_size, f, who, err) || capt_store_sections_fit(m, f->section, f->n, who, err))
        return -1;
    if (capt_feature_crc(s->v.mv_data, s->v.mv_size, s->k.mv_data, s->k.mv_size) != capt_feature_crc_stored(s->v.mv_data))
        return capt_fail(err, CAPT_EDATA, "%s: checksum mismatch: the store is damaged", who);
    return 0;
}

/* A transaction with its handle. */
static int start(MDB_env *env, MDB_txn **txn, MDB_dbi *dbi, const char *to, capt_err *err)
{
    int rc = mdb_txn_begin(env, NULL, 0, txn);
    if (rc) {
        *txn = NULL;
        return capt_store_fail_write(to, rc, "write", err);
    }
    rc = mdb_dbi_open(*txn, NULL, 0, dbi);
    return rc ? capt_store_fail_write(to, rc, "write", err) : 0;
}

static int commit(MDB_env *env, MDB_txn **txn, size_t bytes, const char *to, capt_err *err)
{
    capt_store_before_commit(env, bytes);
    int rc = mdb_txn_commit(*txn);
    *txn = NULL;
    return rc ? capt_store_fail_write(to, rc, "write", err) : 0;
}

/* One record behind the others. */
static int append(MDB_txn *txn, MDB_dbi dbi, capt_store_input *s, const char *to, capt_store_meta *m, capt_moments *moments, capt_err *err)
{
    capt_feature f;
    if (check_value(s, m, &f, err))
        return -1;
    int rc = mdb_put(txn, dbi, &s->k, &s->v, MDB_APPEND);
    if (rc)
        return capt_store_fail_write(to, rc, "write", err);
    m->count++;
    m->checksum += capt_feature_crc_stored(s->v.mv_data);
    for (int i = 0; i < f.n; i++) {
        capt_moments one;
        capt_moments_of(&f.section[i], &one);
        capt_moments_add(&moments[i], &one);
    }
    return 0;
}

/* The kernel maps neighbours of the pages that LMDB looks at again; these are let go of, too. */
static void pass_written(MDB_txn *txn, MDB_dbi dbi, capt_store_passed *p, size_t bytes)
{
    MDB_cursor *c;
    MDB_val k, v;
    if (mdb_cursor_open(txn, dbi, &c))
        return;
    if (mdb_cursor_get(c, &k, &v, MDB_LAST) == 0 && !capt_store_is_manifest_key(&k)) {
        capt_store_pass(p, &v, CAPT_STORE_KEEP);
        p->bytes += bytes;
    }
    mdb_cursor_close(c);
}

/* Fills an empty environment by the transactions that a first writing in this order has; syncs are left to the end, they
 * change no byte. The same records give the same file. */
static int fill(MDB_env *env, const char *to, capt_store_input *src, int n, capt_store_meta *m, capt_moments *moments, capt_err *err)
{
    MDB_txn *txn = NULL;
    MDB_dbi dbi;
    m->count = 0;
    m->checksum = 0;
    json_t *manifest = capt_store_manifest_new(m, 0);
    int rc = start(env, &txn, &dbi, to, err), in_batch = 0;
    if (rc == 0)
        rc = capt_store_manifest_put(txn, dbi, manifest, to, err);
    if (rc == 0)
        rc = commit(env, &txn, 0, to, err);
    json_decref(manifest);
    size_t bytes = 0;
    capt_store_passed written = {0};
    while (rc == 0) {
        capt_err e = CAPT_ERR_INIT;
        capt_store_input *s = least(src, n, &e);
        if (!s) {
            rc = e.code ? capt_fail(err, e.code, "%s", e.text) : 0;
            break;
        }
        if (txn && capt_store_batch_ends(in_batch, bytes, s->v.mv_size))
            rc = commit(env, &txn, bytes, to, err);
        if (rc == 0 && !txn) {
            rc = start(env, &txn, &dbi, to, err);
            if (rc == 0)
                pass_written(txn, dbi, &written, bytes);
            in_batch = 0;
            bytes = 0;
        }
        if (rc == 0)
            rc = append(txn, dbi, s, to, m, moments, err);
        in_batch++;
        bytes += s->v.mv_size;
        capt_store_pass(&s->passed, &s->v, n > 16 ? CAPT_STORE_KEEP / 16 : CAPT_STORE_KEEP);
        if (rc == 0)
            rc = advance(s, err);
    }
    if (rc == 0 && txn)
        rc = commit(env, &txn, bytes, to, err);
    if (txn)
        mdb_txn_abort(txn);
    return rc;
}

int capt_store_seal(MDB_env *env, const char *to, const capt_store_meta *m, const capt_moments *moments, capt_err *err)
{
    MDB_txn *txn = NULL;
    MDB_dbi dbi;
    json_t *manifest = capt_store_manifest_new(m, 1), *prints = json_array();
    for (int i = 0; i < m->n_sections; i++)
        json_array_append_new(prints, capt_moments_json(&moments[i], m->section[i].name, m->section[i].dim));
    json_object_set_new(manifest, "fingerprint", prints);
    int rc = start(env, &txn, &dbi, to, err);
    if (rc == 0)
        rc = capt_store_manifest_put(txn, dbi, manifest, to, err);
    json_decref(manifest);
    if (rc == 0)
        rc = commit(env, &txn, 0, to, err);
    if (txn)
        mdb_txn_abort(txn);
    if (rc)
        return -1;
    rc = mdb_env_sync(env, 1);
    return rc ? capt_store_fail_write(to, rc, "write", err) : 0;
}

int capt_store_copy(capt_store_input *src, int n, size_t bytes, const char *to, capt_store_meta *m, capt_err *err)
{
    for (int i = 0; i < n; i++)
        if (advance(&src[i], err))
            return -1;
    unlink(to);
    MDB_env *env;
    if (capt_store_env_create(to, &env, MDB_NOSYNC, err)) {
        unlink(to); /* a full disk leaves an empty file */
        return -1;
    }
    MDB_envinfo info;
    mdb_env_info(env, &info);
    size_t need = bytes + bytes / 4 + ((size_t)64 << 20);
    int rc = info.me_mapsize < need ? mdb_env_set_mapsize(env, need) : 0;
    capt_moments moments[CAPT_SECTIONS_MAX] = {{0}};
    rc = rc ? capt_store_fail_write(to, rc, "open", err) : fill(env, to, src, n, m, moments, err);
    if (rc == 0)
        rc = capt_store_seal(env, to, m, moments, err);
    mdb_env_close(env);
    if (rc)
        unlink(to);
    return rc;
}

size_t capt_store_env_bytes(MDB_env *env)
{
    MDB_envinfo info;
    MDB_stat st;
    mdb_env_info(env, &info);
    mdb_env_stat(env, &st);
    return (info.me_last_pgno + 1) * st.ms_psize;
}

int capt_store_input_open(capt_store_input *src, MDB_env *env, const char *path, capt_err *err)
{
    MDB_dbi dbi;
    src->path = path;
    int rc = mdb_txn_begin(env, NULL, MDB_RDONLY, &src->txn);
    if (rc == 0)
        rc = mdb_dbi_open(src->txn, NULL, 0, &dbi);
    if (rc == 0)
        rc = mdb_cursor_open(src->txn, dbi, &src->cursor);
    return rc ? capt_store_fail_mdb(path, rc, "read", err) : 0;
}

void capt_store_input_close(capt_store_input *src)
{
    if (src->cursor)
        mdb_cursor_close(src->cursor);
    if (src->txn)
        mdb_txn_abort(src->txn);
}

/* OUT.part, new and empty; or with resume an empty or a finished one, of a merge that was killed. */
static int lock_merge(capt_store *w, int resume, capt_err *err)
{
    off_t size = 0;
    if (capt_file_replaceable(w->path, err) || capt_store_lock_part(w, resume, &size, err))
        return -1;
    capt_store *whole = size ? capt_store_open(w->part, err) : NULL;
    if (size && !whole)
        return capt_err_prefix(err, "cannot resume, it is not of a merge");
    capt_store_close(whole);
    return 0;
}

int capt_store_merge(const char *const *paths, int n, const char *out, int resume, capt_err *err)
{
    capt_store **s = capt_alloc((size_t)n * sizeof(void *)), *w = capt_alloc(sizeof *w);
    capt_store_input *src = capt_alloc((size_t)n * sizeof *src);
    char *sorted = capt_store_suffixed(out, ".part.sorted");
    w->path = capt_strdup(out);
    w->part = capt_store_suffixed(out, ".part");
    w->lock = -1;
    size_t bytes = 0;
    int rc = 0, first = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        s[i] = capt_store_open(paths[i], err);
        rc = s[i] ? capt_store_input_open(&src[i], s[i]->env, paths[i], err) : -1;
        if (rc == 0 && capt_store_manifest_same(s[0]->manifest, s[i]->manifest, paths[i], err))
            rc = capt_err_prefix(err, "%s and", paths[0]);
        bytes += rc == 0 ? capt_store_env_bytes(s[i]->env) : 0;
        if (rc == 0 && s[first]->meta.int_ids < 0) /* an empty shard does not know the kind of its ids */
            first = i;
    }
    if (rc == 0)
        rc = lock_merge(w, resume, err);
    if (rc == 0) {
        capt_store_meta m = s[first]->meta;
        rc = capt_store_copy(src, n, bytes, sorted, &m, err);
        if (rc == 0 && rename(sorted, w->part))
            rc = capt_fail_errno(err, "%s", w->part);
        if (rc == 0)
            rc = capt_file_publish(w->part, out, err);
        if (rc)
            unlink(w->part); /* everything can be had again from the sources */
    }
    for (int i = 0; i < n; i++) {
        capt_store_input_close(&src[i]);
        capt_store_close(s[i]);
    }
    capt_store_close(w);
    free(sorted);
    free(src);
    free(s);
    return rc;
}
