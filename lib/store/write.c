/* Writing stores: PATH.part, then a copy in key order under the final name. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/store_priv.h"

enum { BATCH = 128 };
#define BATCH_BYTES ((size_t)32 << 20)
#define WRITE_FLAGS (MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS)

static char *suffixed(const char *path, const char *suffix)
{
    capt_str b = {0};
    capt_str_puts(&b, path);
    capt_str_puts(&b, suffix);
    return b.s;
}

static size_t min_value(void) /* larger values get pages of their own, and so their alignment */
{
    long page = sysconf(_SC_PAGESIZE);
    return page > 1024 && page <= 65536 ? (size_t)page / 2 : 2048;
}

/* Why a write to a file of ours came back short, which LMDB reports as EIO: tries another one behind its end. */
static int why_short(const char *path)
{
    static const char zeros[1 << 16];
    int fd = open(path, O_WRONLY | O_CLOEXEC), why = EIO;
    struct stat st;
    if (fd < 0)
        return why;
    if (fstat(fd, &st) == 0) {
        errno = 0;
        ssize_t n = pwrite(fd, zeros, sizeof zeros, st.st_size);
        why = n == (ssize_t)sizeof zeros ? EIO : n >= 0 ? ENOSPC : errno;
        if (ftruncate(fd, st.st_size))
            why = EIO;
    }
    close(fd);
    return why;
}

static int fail_write(const char *path, int rc, const char *what, capt_err *err)
{
    return capt_store_fail_mdb(path, rc == EIO ? why_short(path) : rc, what, err);
}

/* Opens an environment for writing with as much address space as there is: the map size is the most a store can grow to
 * without a stop, and the file stays as large as its data. LMDB stamps the size into a new file before it maps it and never
 * lowers the stamp, so the first try decides these bytes wherever the map ends up. */
static int open_env(const char *path, MDB_env **env, unsigned flags, capt_err *err)
{
    static const int bits[] = {40, 36, 32, 30, 28};
    int rc = 0;
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++) {
        if (bits[i] >= (int)sizeof(size_t) * 8)
            continue;
        rc = mdb_env_create(env);
        if (rc)
            break;
        mdb_env_set_mapsize(*env, (size_t)1 << bits[i]);
        rc = mdb_env_open(*env, path, WRITE_FLAGS | flags, 0666);
        if (rc == 0)
            return 0;
        mdb_env_close(*env);
        if (rc != ENOMEM && rc != EINVAL && rc != EFBIG)
            break;
    }
    return fail_write(path, rc, "open", err);
}

static int put_manifest(MDB_txn *txn, MDB_dbi dbi, const json_t *manifest, const char *path, capt_err *err)
{
    capt_str b = {0};
    if (capt_store_manifest_text(manifest, &b)) {
        capt_str_free(&b);
        return capt_fail(err, CAPT_EDATA, "%s: the manifest is not UTF-8", path);
    }
    MDB_val k = {1, (void *)capt_store_manifest_key}, v = {b.n, b.s};
    int rc = mdb_put(txn, dbi, &k, &v, 0);
    capt_str_free(&b);
    return rc ? fail_write(path, rc, "manifest", err) : 0;
}

static void set_manifest(capt_store *s, json_t *j) /* steals j */
{
    capt_err none = CAPT_ERR_INIT;
    json_decref(s->manifest);
    s->manifest = j;
    capt_store_manifest_read(j, &s->meta, s->part, &none);
}

/* Opens a write transaction when there is none, with room in the map for a whole batch. */
static int begin(capt_store *s, size_t more, capt_err *err)
{
    if (s->txn)
        return 0;
    MDB_envinfo info;
    MDB_stat st;
    mdb_env_info(s->env, &info);
    mdb_env_stat(s->env, &st);
    size_t used = (info.me_last_pgno + 1) * st.ms_psize, need = used + 2 * (BATCH_BYTES + more), map = info.me_mapsize;
    while (map < need)
        map *= 2;
    int rc = map > info.me_mapsize ? mdb_env_set_mapsize(s->env, map) : 0;
    if (rc == 0)
        rc = mdb_txn_begin(s->env, NULL, 0, &s->txn);
    if (rc) {
        s->txn = NULL;
        return fail_write(s->part, rc, "write", err);
    }
    s->batch = 0;
    s->batch_bytes = 0;
    return 0;
}

int capt_store_flush(capt_store *s, capt_err *err)
{
    if (!s->txn)
        return 0;
    int rc = mdb_txn_commit(s->txn);
    s->txn = NULL;
    return rc ? fail_write(s->part, rc, "write", err) : 0;
}

/* The file lock that keeps two writers off one PATH.part. */
static int lock_part(capt_store *s, int resume, off_t *size, capt_err *err)
{
    struct stat a, b;
    s->lock = open(s->part, O_RDWR | O_CREAT | O_CLOEXEC | (resume ? 0 : O_EXCL), 0666);
    if (s->lock < 0 && errno == EEXIST)
        return capt_fail(err, CAPT_EDATA, "%s is left from an unfinished run: continue it with --resume, or remove it", s->part);
    if (s->lock < 0)
        return capt_fail_errno(err, "%s", s->part);
    if (flock(s->lock, LOCK_EX | LOCK_NB) || fstat(s->lock, &a) || stat(s->part, &b) || a.st_ino != b.st_ino)
        return capt_fail(err, CAPT_EDATA, "%s is being written by another process", s->part);
    *size = a.st_size;
    if (a.st_size == 0 && capt_file_sync_dir(s->part, err)) { /* what is synced in a file whose name is lost is lost */
        unlink(s->part);
        return -1;
    }
    return 0;
}

static int start(capt_store *s, json_t *manifest, capt_err *err)
{
    if (begin(s, 0, err))
        return -1;
    int rc = mdb_dbi_open(s->txn, NULL, 0, &s->dbi);
    if (rc)
        return fail_write(s->part, rc, "open", err);
    MDB_stat st;
    rc = mdb_stat(s->txn, s->dbi, &st);
    if (rc)
        return fail_write(s->part, rc, "open", err);
    if (st.ms_entries == 0)
        return put_manifest(s->txn, s->dbi, manifest, s->part, err) ? -1 : capt_store_flush(s, err);
    json_t *there = capt_store_manifest_get(s->txn, s->dbi, s->part, err);
    if (!there)
        return -1;
    rc = capt_store_manifest_same(there, manifest, s->part, err);
    if (rc)
        capt_err_prefix(err, "cannot resume, it was made with other options");
    else if (!json_is_null(json_object_get(there, "ids")))
        json_object_set(manifest, "ids", json_object_get(there, "ids"));
    json_decref(there);
    s->n = (int64_t)st.ms_entries - 1;
    return rc ? -1 : capt_store_flush(s, err);
}

capt_store *capt_store_create(const char *path, const capt_store_meta *meta, int resume, capt_err *err)
{
    capt_store *s = capt_alloc(sizeof *s);
    s->path = capt_strdup(path);
    s->part = suffixed(path, ".part");
    s->min_size = min_value();
    capt_store_meta m = *meta;
    m.count = 0;
    m.checksum = 0;
    json_t *manifest = capt_store_manifest_new(&m, 0);
    off_t size = 0;
    int rc = lock_part(s, resume, &size, err);
    int fresh = rc == 0 && size == 0;
    if (rc == 0 && size) { /* a cut file would be a SIGBUS later */
        rc = capt_store_env_open(s->part, &s->env, err);
        if (rc == 0)
            mdb_env_close(s->env);
        s->env = NULL;
    }
    if (rc == 0)
        rc = open_env(s->part, &s->env, 0, err);
    if (rc)
        s->env = NULL;
    else
        rc = start(s, manifest, err);
    if (rc) {
        if (fresh)
            unlink(s->part);
        json_decref(manifest);
        capt_store_close(s);
        return NULL;
    }
    set_manifest(s, manifest);
    return s;
}

int capt_store_is_done(const char *path, const capt_store_meta *meta)
{
    if (!capt_file_exists(path))
        return 0;
    capt_store *s = capt_store_open(path, NULL);
    if (!s)
        return 0;
    json_t *want = capt_store_manifest_new(meta, 1);
    int same = capt_store_manifest_same(s->manifest, want, path, NULL) == 0;
    json_decref(want);
    capt_store_close(s);
    return same;
}

static int fix_id_kind(capt_store *s, const capt_id *id, capt_err *err)
{
    if (s->meta.int_ids < 0) {
        json_t *j = json_incref(s->manifest);
        json_object_set_new(j, "ids", json_string(id->is_int ? "int" : "string"));
        set_manifest(s, j);
        return put_manifest(s->txn, s->dbi, s->manifest, s->part, err);
    }
    if (s->meta.int_ids == id->is_int)
        return 0;
    return capt_fail(err, CAPT_EDATA, "%s: the id is %s, but the ids before are %s", s->path, id->is_int ? "an integer" : "a string",
                     id->is_int ? "strings" : "integers");
}

int capt_store_put(capt_store *s, const capt_id *id, const capt_section *sections, int n, capt_err *err)
{
    char key[CAPT_ID_KEY], who[320];
    size_t nk = capt_id_key(id, key);
    capt_store_who(who, s->path, key, nk);
    if ((!id->is_int && capt_id_check(id->s, strlen(id->s), who, err)) || capt_store_sections_fit(&s->meta, sections, n, who, err))
        return -1;
    for (int i = 0; i < n; i++) {
        int64_t bad = capt_feature_not_finite(&sections[i]);
        if (bad >= 0)
            return capt_fail(err, CAPT_EDATA, "%s: NaN or infinity in \"%s\", row %lld, column %lld", who, sections[i].name,
                             (long long)(bad / sections[i].dim), (long long)(bad % sections[i].dim));
    }
    size_t size = capt_feature_size(sections, n, s->min_size);
    if (size == 0)
        return capt_fail(err, CAPT_EDATA, "%s: sections too large", who);
    if (s->txn && (s->batch == BATCH || s->batch_bytes + size > BATCH_BYTES) && capt_store_flush(s, err))
        return -1;
    if (begin(s, size, err) || fix_id_kind(s, id, err))
        return -1;
    if (size > s->value_size) {
        s->value = capt_realloc(s->value, size);
        s->value_size = size;
    }
    capt_feature_encode(sections, n, s->meta.dtype, key, nk, size, s->value);
    MDB_val k = {nk, key}, v = {size, s->value};
    int rc = mdb_put(s->txn, s->dbi, &k, &v, MDB_NOOVERWRITE);
    if (rc == MDB_KEYEXIST)
        return capt_fail(err, CAPT_EDATA, "%s: was already stored", who);
    if (rc)
        return fail_write(s->part, rc, "write", err);
    s->batch++;
    s->batch_bytes += size;
    s->n++;
    return 0;
}

/* ---- the copy in key order ---- */

struct source { const char *path; MDB_txn *txn; MDB_cursor *cursor; MDB_val k, v; int end; };

static int advance(struct source *s, capt_err *err)
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
static struct source *least(struct source *src, int n, capt_err *err)
{
    struct source *min = NULL;
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

static int check_value(const struct source *s, const capt_store_meta *m, capt_err *err)
{
    char who[320];
    capt_store_who(who, s->path, s->k.mv_data, s->k.mv_size);
    capt_feature f;
    if (capt_feature_decode(s->v.mv_data, s->v.mv_size, &f, who, err) || capt_store_sections_fit(m, f.section, f.n, who, err))
        return -1;
    if (capt_feature_crc(s->v.mv_data, s->v.mv_size, s->k.mv_data, s->k.mv_size) != capt_feature_crc_stored(s->v.mv_data))
        return capt_fail(err, CAPT_EDATA, "%s: checksum mismatch: the store is damaged", who);
    return 0;
}

/* Fills an empty environment. Batches are fixed and syncs are left to the end: the same records give the same bytes. */
static int fill(MDB_env *env, const char *to, struct source *src, int n, capt_store_meta *m, capt_err *err)
{
    MDB_txn *txn;
    MDB_dbi dbi;
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc)
        return fail_write(to, rc, "write", err);
    rc = mdb_dbi_open(txn, NULL, 0, &dbi);
    int failed = rc ? fail_write(to, rc, "write", err) : 0;
    capt_err e = CAPT_ERR_INIT;
    m->count = 0;
    m->checksum = 0;
    size_t bytes = 0;
    int in_batch = 0;
    while (!failed) {
        struct source *s = least(src, n, &e);
        if (!s) {
            failed = e.code ? -1 : 0;
            break;
        }
        if (in_batch == BATCH || bytes > BATCH_BYTES) {
            rc = mdb_txn_commit(txn);
            if (rc == 0)
                rc = mdb_txn_begin(env, NULL, 0, &txn);
            if (rc)
                return fail_write(to, rc, "write", err);
            in_batch = 0;
            bytes = 0;
        }
        failed = check_value(s, m, &e);
        if (failed)
            break;
        rc = mdb_put(txn, dbi, &s->k, &s->v, MDB_APPEND);
        failed = rc ? fail_write(to, rc, "write", &e) : 0;
        in_batch++;
        m->count++;
        m->checksum += capt_feature_crc_stored(s->v.mv_data);
        bytes += s->v.mv_size;
        if (!failed)
            failed = advance(s, &e);
    }
    if (failed) {
        mdb_txn_abort(txn);
        return e.code ? capt_fail(err, e.code, "%s", e.text) : -1;
    }
    rc = mdb_txn_commit(txn);
    return rc ? fail_write(to, rc, "write", err) : 0;
}

static int seal(MDB_env *env, const char *to, const capt_store_meta *m, capt_err *err)
{
    MDB_txn *txn;
    MDB_dbi dbi;
    int rc = mdb_txn_begin(env, NULL, 0, &txn);
    if (rc)
        return fail_write(to, rc, "write", err);
    rc = mdb_dbi_open(txn, NULL, 0, &dbi);
    json_t *manifest = capt_store_manifest_new(m, 1);
    int failed = rc ? fail_write(to, rc, "write", err) : put_manifest(txn, dbi, manifest, to, err);
    json_decref(manifest);
    if (failed) {
        mdb_txn_abort(txn);
        return -1;
    }
    rc = mdb_txn_commit(txn);
    if (rc == 0)
        rc = mdb_env_sync(env, 1);
    return rc ? fail_write(to, rc, "write", err) : 0;
}

/* to: a file that does not exist yet; removed again on failure. bytes: of all sources, for the size of the map. */
static int sorted_copy(struct source *src, int n, size_t bytes, const char *to, capt_store_meta *m, capt_err *err)
{
    for (int i = 0; i < n; i++)
        if (advance(&src[i], err))
            return -1;
    unlink(to);
    MDB_env *env;
    if (open_env(to, &env, MDB_NOSYNC, err)) {
        unlink(to); /* a full disk leaves an empty file */
        return -1;
    }
    MDB_envinfo info;
    mdb_env_info(env, &info);
    size_t need = bytes + bytes / 4 + ((size_t)64 << 20);
    int rc = info.me_mapsize < need ? mdb_env_set_mapsize(env, need) : 0;
    rc = rc ? fail_write(to, rc, "open", err) : fill(env, to, src, n, m, err);
    if (rc == 0)
        rc = seal(env, to, m, err);
    mdb_env_close(env);
    if (rc)
        unlink(to);
    return rc;
}

static size_t env_bytes(MDB_env *env)
{
    MDB_envinfo info;
    MDB_stat st;
    mdb_env_info(env, &info);
    mdb_env_stat(env, &st);
    return (info.me_last_pgno + 1) * st.ms_psize;
}

static int open_source(struct source *src, MDB_env *env, const char *path, capt_err *err)
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

static void close_source(struct source *src)
{
    if (src->cursor)
        mdb_cursor_close(src->cursor);
    if (src->txn)
        mdb_txn_abort(src->txn);
}

int capt_store_finish(capt_store *s, capt_err *err)
{
    char *sorted = suffixed(s->part, ".sorted");
    struct source src = {0};
    int rc = capt_store_flush(s, err);
    if (rc == 0)
        rc = open_source(&src, s->env, s->part, err);
    if (rc == 0)
        rc = sorted_copy(&src, 1, env_bytes(s->env), sorted, &s->meta, err);
    close_source(&src);
    /* The finished copy takes the place of the part first: killed between the two, a resumed run finds a whole part. */
    if (rc == 0 && rename(sorted, s->part))
        rc = capt_fail_errno(err, "%s", s->part);
    if (rc == 0)
        rc = capt_file_publish(s->part, s->path, err);
    free(sorted);
    capt_store_close(s);
    return rc;
}

void capt_store_abandon(capt_store *s)
{
    if (s)
        (void)capt_store_flush(s, NULL);
    capt_store_close(s);
}

void capt_store_discard(capt_store *s)
{
    if (s && s->txn) {
        mdb_txn_abort(s->txn);
        s->txn = NULL;
    }
    if (s)
        unlink(s->part);
    capt_store_close(s);
}

/* OUT.part, new and empty; or with resume an empty or a finished one, of a merge that was killed. */
static int lock_merge(capt_store *w, int resume, capt_err *err)
{
    off_t size = 0;
    if (lock_part(w, resume, &size, err))
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
    struct source *src = capt_alloc((size_t)n * sizeof *src);
    char *sorted = suffixed(out, ".part.sorted");
    w->path = capt_strdup(out);
    w->part = suffixed(out, ".part");
    w->lock = -1;
    size_t bytes = 0;
    int rc = 0, first = 0;
    for (int i = 0; i < n && rc == 0; i++) {
        s[i] = capt_store_open(paths[i], err);
        rc = s[i] ? open_source(&src[i], s[i]->env, paths[i], err) : -1;
        if (rc == 0 && capt_store_manifest_same(s[0]->manifest, s[i]->manifest, paths[i], err))
            rc = capt_err_prefix(err, "%s and", paths[0]);
        bytes += rc == 0 ? env_bytes(s[i]->env) : 0;
        if (rc == 0 && s[first]->meta.int_ids < 0) /* an empty shard does not know the kind of its ids */
            first = i;
    }
    if (rc == 0)
        rc = lock_merge(w, resume, err);
    if (rc == 0) {
        capt_store_meta m = s[first]->meta;
        rc = sorted_copy(src, n, bytes, sorted, &m, err);
        if (rc == 0 && rename(sorted, w->part))
            rc = capt_fail_errno(err, "%s", w->part);
        if (rc == 0)
            rc = capt_file_publish(w->part, out, err);
        if (rc)
            unlink(w->part); /* everything can be had again from the sources */
    }
    for (int i = 0; i < n; i++) {
        close_source(&src[i]);
        capt_store_close(s[i]);
    }
    capt_store_close(w);
    free(sorted);
    free(src);
    free(s);
    return rc;
}
