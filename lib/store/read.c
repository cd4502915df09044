/* Reading stores. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include <fcntl.h>
#include "base/mem.h"
#include "base/str.h"
#include "store/store_priv.h"

int capt_store_fail_mdb(const char *path, int rc, const char *what, capt_err *err)
{
    if (rc == ENOSPC || rc == EDQUOT)
        return capt_fail(err, CAPT_EIO, "%s: %s: disk full", path, what);
    int code = rc == ENOMEM ? CAPT_ENOMEM : rc < 0 ? CAPT_EDATA : CAPT_EIO;
    return capt_fail(err, code, "%s: %s: %s", path, what, mdb_strerror(rc));
}

void capt_store_who(char out[320], const char *path, const void *key, size_t nk)
{
    capt_str b = {0};
    capt_str_puts_escaped(&b, key, nk < 100 ? nk : 100);
    snprintf(out, 320, "%.150s: id %s", path, b.n ? b.s : "");
    capt_str_free(&b);
}

/* Looks at the first bytes before LMDB maps the file. */
static int check_file(const char *path, size_t *size, capt_err *err)
{
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return capt_fail_errno(err, "%s", path);
    uint32_t head[11] = {0}; /* LMDB: page header 16 bytes, magic, version, address, map size, page size */
    int bad_stat = fstat(fd, &st), regular = !bad_stat && S_ISREG(st.st_mode);
    ssize_t got = regular ? pread(fd, head, sizeof head, 0) : 0;
    close(fd);
    if (!regular)
        return capt_fail(err, CAPT_EDATA, "%s: not a regular file", path);
    if (got == sizeof head && head[4] == __builtin_bswap32(CAPT_STORE_LMDB))
        return capt_fail(err, CAPT_EDATA, "%s: a store of the other byte order", path);
    if (got < (ssize_t)sizeof head || head[4] != CAPT_STORE_LMDB)
        return capt_fail(err, CAPT_EDATA, "%s: not a feature store", path);
    uint32_t page = head[10];
    if (page < 512 || page > 65536 || (page & (page - 1)))
        return capt_fail(err, CAPT_EDATA, "%s: damaged: page size %u", path, page);
    if (st.st_size < 2 * (off_t)page)
        return capt_fail(err, CAPT_EDATA, "%s: cut short: %lld bytes", path, (long long)st.st_size);
    *size = (size_t)st.st_size;
    return 0;
}

int capt_store_env_open(const char *path, MDB_env **env, capt_err *err)
{
    size_t size = 0;
    if (check_file(path, &size, err))
        return -1;
    int rc = mdb_env_create(env);
    if (rc)
        return capt_store_fail_mdb(path, rc, "open", err);
    mdb_env_set_mapsize(*env, size); /* not the terabyte the writer had */
    rc = mdb_env_open(*env, path, MDB_NOSUBDIR | MDB_RDONLY | MDB_NOLOCK | MDB_NOTLS | MDB_NORDAHEAD, 0);
    MDB_envinfo info;
    MDB_stat st;
    mdb_filehandle_t fd;
    struct stat file;
    if (rc == 0 && mdb_env_get_fd(*env, &fd) == 0 && fstat(fd, &file) == 0 && mdb_env_info(*env, &info) == 0 && mdb_env_stat(*env, &st) == 0) {
        size_t pages = info.me_last_pgno + 1, bytes;
        if (capt_mul_size(pages, st.ms_psize, &bytes) || (off_t)bytes > file.st_size || pages == 0)
            rc = capt_fail(err, CAPT_EDATA, "%s: cut short: %lld bytes of %zu", path, (long long)file.st_size, bytes);
    } else {
        capt_store_fail_mdb(path, rc ? rc : errno, "open", err);
        rc = -1;
    }
    if (rc)
        mdb_env_close(*env);
    return rc ? -1 : 0;
}

static int load(capt_store *s, capt_err *err)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return capt_store_fail_mdb(s->path, rc, "open", err);
    MDB_stat st = {0};
    rc = mdb_dbi_open(txn, NULL, 0, &s->dbi);
    if (rc == 0)
        rc = mdb_stat(txn, s->dbi, &st);
    if (rc == 0)
        s->manifest = capt_store_manifest_get(txn, s->dbi, s->path, err);
    else
        capt_store_fail_mdb(s->path, rc, "open", err);
    mdb_txn_abort(txn);
    if (!s->manifest || capt_store_manifest_read(s->manifest, &s->meta, s->path, err))
        return -1;
    if (!json_is_true(json_object_get(s->manifest, "complete")))
        return capt_fail(err, CAPT_EDATA, "%s: an unfinished store: continue its run with --resume", s->path);
    if ((int64_t)st.ms_entries != s->meta.count + 1)
        return capt_fail(err, CAPT_EDATA, "%s: %zu records, the manifest says %lld", s->path, st.ms_entries ? st.ms_entries - 1 : 0,
                         (long long)s->meta.count);
    s->n = s->meta.count;
    s->checked_size = 64;
    while (s->checked_size < (size_t)s->n * 2)
        s->checked_size *= 2;
    size_t bytes;
    if (capt_mul_size(s->checked_size, sizeof *s->checked, &bytes))
        return capt_fail(err, CAPT_ENOMEM, "%s: %lld records", s->path, (long long)s->n);
    s->checked = capt_try_alloc(bytes, err);
    return s->checked ? 0 : -1;
}

capt_store *capt_store_open(const char *path, capt_err *err)
{
    MDB_env *env;
    if (capt_store_env_open(path, &env, err))
        return NULL;
    capt_store *s = capt_alloc(sizeof *s);
    s->env = env;
    s->path = capt_strdup(path);
    s->lock = -1;
    if (load(s, err)) {
        capt_store_close(s);
        return NULL;
    }
    return s;
}

void capt_store_close(capt_store *s)
{
    if (!s)
        return;
    if (s->txn)
        mdb_txn_abort(s->txn);
    capt_syncer_free(s->syncer);
    if (s->env)
        mdb_env_close(s->env);
    if (s->lock >= 0)
        close(s->lock);
    json_decref(s->manifest);
    free((void *)s->checked);
    capt_packed_free(s->packed);
    free(s->path);
    free(s->part);
    free(s);
}

const capt_store_meta *capt_store_meta_of(const capt_store *s) { return &s->meta; }
const json_t *capt_store_manifest(const capt_store *s) { return s->manifest; }
int64_t capt_store_count(const capt_store *s) { return s->n; }

const capt_store_section *capt_store_section_of(const capt_store *s, const char *name)
{
    for (int i = 0; i < s->meta.n_sections; i++)
        if (strcmp(s->meta.section[i].name, name) == 0)
            return &s->meta.section[i];
    return NULL;
}

void capt_store_pass(capt_store_passed *p, const MDB_val *v, size_t keep)
{
    uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), at = (uintptr_t)v->mv_data & ~(page - 1), end = (uintptr_t)v->mv_data + v->mv_size;
    if (p->bytes >= keep) { /* before the new value counts: it is still wanted */
        (void)madvise((void *)p->from, p->to - p->from, MADV_DONTNEED); /* the map is shared and only read */
        p->bytes = 0;
    }
    p->from = p->bytes == 0 || at < p->from ? at : p->from;
    p->to = p->bytes == 0 || end > p->to ? end : p->to;
    p->bytes += (end - at + page - 1) / page * page;
}

/* Whether the value at p was found right before; with add, remembers it. A full neighbourhood only costs another check. */
static int checked(capt_store *s, const void *p, int add)
{
    uintptr_t me = (uintptr_t)p;
    size_t at = (me >> 4) * 0x9E3779B97F4A7C15u >> 20;
    for (int i = 0; i < 32; i++, at++) {
        _Atomic uintptr_t *slot = &s->checked[at & (s->checked_size - 1)];
        uintptr_t is = atomic_load_explicit(slot, memory_order_relaxed);
        if (is == 0 && add && atomic_compare_exchange_strong(slot, &is, me))
            return 1;
        if (is == me)
            return 1;
        if (is == 0)
            return 0;
    }
    return 0;
}

static int examine(capt_store *s, const MDB_val *k, const MDB_val *v, capt_feature *f, capt_err *err)
{
    char who[320];
    int known = checked(s, v->mv_data, 0);
    capt_feature mine;
    if (!f)
        f = &mine;
    if (!known) {
        capt_store_who(who, s->path, k->mv_data, k->mv_size);
        if ((uintptr_t)v->mv_data % 64 != 16)
            return capt_fail(err, CAPT_EDATA, "%s: not aligned", who);
        uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), from = (uintptr_t)v->mv_data & ~(page - 1);
        if (v->mv_size > 4 * page)
            (void)madvise((void *)from, (uintptr_t)v->mv_data + v->mv_size - from, MADV_WILLNEED);
    }
    if (capt_feature_decode(v->mv_data, v->mv_size, f, known ? s->path : who, err))
        return -1;
    if (known)
        return 0;
    if (capt_feature_crc(v->mv_data, v->mv_size, k->mv_data, k->mv_size) != capt_feature_crc_stored(v->mv_data))
        return capt_fail(err, CAPT_EDATA, "%s: checksum mismatch: the store is damaged", who);
    if (capt_store_sections_fit(&s->meta, f->section, f->n, who, err))
        return -1;
    checked(s, v->mv_data, 1);
    return 0;
}

int capt_store_get(capt_store *s, const capt_id *id, capt_feature *f, capt_err *err)
{
    if (s->meta.int_ids >= 0 && id->is_int != s->meta.int_ids)
        return capt_fail(err, CAPT_EDATA, "%s: its ids are %s, the record's id is not", s->path, s->meta.int_ids ? "integers" : "strings");
    char key[CAPT_ID_KEY];
    MDB_val k = {capt_id_key(id, key), key}, v;
    if (k.mv_size > CAPT_STORE_KEY)
        return 0;
    MDB_txn *txn; /* one a call: the file never changes, so what it returns outlives it */
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    if (rc == 0) {
        rc = mdb_get(txn, s->dbi, &k, &v);
        mdb_txn_abort(txn);
    }
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc)
        return capt_store_fail_mdb(s->path, rc, key, err);
    return examine(s, &k, &v, f, err) ? -1 : 1;
}

int capt_store_has(capt_store *s, const capt_id *id)
{
    if (s->meta.int_ids >= 0 && id->is_int != s->meta.int_ids)
        return 0;
    char key[CAPT_ID_KEY];
    MDB_val k = {capt_id_key(id, key), key}, v;
    if (k.mv_size > CAPT_STORE_KEY)
        return 0;
    MDB_txn *txn = s->txn;
    int rc = txn ? 0 : mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn);
    if (rc)
        return 0;
    rc = mdb_get(txn, s->dbi, &k, &v);
    if (!s->txn)
        mdb_txn_abort(txn);
    return rc == 0;
}

struct capt_store_iter {
    capt_store *s;
    MDB_txn *txn;
    MDB_cursor *cursor;
    char key[CAPT_ID_KEY];
    capt_store_passed passed;
};

capt_store_iter *capt_store_iter_new(capt_store *s, capt_err *err)
{
    capt_store_iter *it = capt_alloc(sizeof *it);
    it->s = s;
    int rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &it->txn);
    if (rc == 0)
        rc = mdb_cursor_open(it->txn, s->dbi, &it->cursor);
    if (rc == 0)
        return it;
    capt_store_fail_mdb(s->path, rc, "read", err);
    capt_store_iter_free(it);
    return NULL;
}

void capt_store_iter_free(capt_store_iter *it)
{
    if (!it)
        return;
    if (it->cursor)
        mdb_cursor_close(it->cursor);
    if (it->txn)
        mdb_txn_abort(it->txn);
    free(it);
}

static int step(capt_store_iter *it, MDB_cursor_op op, capt_id *id, capt_feature *f, capt_err *err)
{
    MDB_val k, v;
    int rc = mdb_cursor_get(it->cursor, &k, &v, op);
    if (rc == 0 && capt_store_is_manifest_key(&k))
        rc = op == MDB_LAST ? MDB_NOTFOUND : mdb_cursor_get(it->cursor, &k, &v, MDB_NEXT);
    if (rc == MDB_NOTFOUND)
        return 0;
    if (rc)
        return capt_store_fail_mdb(it->s->path, rc, "read", err);
    if (capt_id_from_key(k.mv_data, k.mv_size, it->s->meta.int_ids == 1, it->key, id, err))
        return capt_err_prefix(err, "%s", it->s->path);
    if (!f)
        return 1;
    capt_store_pass(&it->passed, &v, CAPT_STORE_KEEP);
    return examine(it->s, &k, &v, f, err) ? -1 : 1;
}

int capt_store_iter_next(capt_store_iter *it, capt_id *id, capt_feature *f, capt_err *err)
{
    return step(it, MDB_NEXT, id, f, err);
}

static int verify_all(capt_store_iter *it, capt_err *err)
{
    capt_store *s = it->s;
    char last[CAPT_ID_KEY] = "";
    uint64_t sum = 0;
    int64_t n = 0;
    capt_id id;
    capt_feature f;
    for (;;) {
        int got = step(it, MDB_NEXT, &id, &f, err);
        if (got < 0)
            return -1;
        if (got == 0)
            break;
        if (n && strcmp(last, it->key) >= 0)
            return capt_fail(err, CAPT_EDATA, "%s: id %.100s is out of order", s->path, it->key);
        memcpy(last, it->key, sizeof last);
        for (int i = 0; i < f.n; i++)
            if (capt_feature_not_finite(&f.section[i]) >= 0)
                return capt_fail(err, CAPT_EDATA, "%s: id %.100s: \"%s\" holds NaN or infinity", s->path, it->key, f.section[i].name);
        MDB_val k, v, found;
        mdb_cursor_get(it->cursor, &k, &v, MDB_GET_CURRENT);
        if (mdb_get(it->txn, s->dbi, &k, &found) || found.mv_data != v.mv_data) /* the walk does not look at the keys between pages */
            return capt_fail(err, CAPT_EDATA, "%s: id %.100s is stored, but not found by its key", s->path, it->key);
        sum += capt_feature_crc_stored(v.mv_data);
        if (++n > s->meta.count)
            break;
    }
    if (n != s->meta.count || sum != s->meta.checksum)
        return capt_fail(err, CAPT_EDATA, "%s: %lld records with checksum sum %llu, the manifest says %lld and %llu", s->path, (long long)n,
                         (unsigned long long)sum, (long long)s->meta.count, (unsigned long long)s->meta.checksum);
    return 0;
}

int capt_store_verify(capt_store *s, int quick, capt_err *err)
{
    capt_store_iter *it = capt_store_iter_new(s, err);
    if (!it)
        return -1;
    capt_id id;
    capt_feature f;
    int rc = quick ? (step(it, MDB_FIRST, &id, &f, err) < 0 || step(it, MDB_LAST, &id, &f, err) < 0 ? -1 : 0) : verify_all(it, err);
    capt_store_iter_free(it);
    return rc;
}
