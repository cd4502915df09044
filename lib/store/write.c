/* Writing stores: PATH.part, then a copy in key order under the final name. */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "store/store_priv.h"

#define WRITE_FLAGS (MDB_NOSUBDIR | MDB_NOLOCK | MDB_NOTLS)

char *capt_store_suffixed(const char *path, const char *suffix)
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

/* Why a write to a file of ours came back short, which LMDB reports as EIO: asks for room for another batch behind its end. */
static int why_short(const char *path)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC), why = EIO;
    struct stat st;
    if (fd < 0)
        return why;
    if (fstat(fd, &st) == 0) {
        int full = fallocate(fd, 0, st.st_size, (off_t)CAPT_STORE_BATCH_BYTES) ? errno : 0;
        if (full == EOPNOTSUPP) {
            static const char zeros[1 << 16];
            ssize_t n = pwrite(fd, zeros, sizeof zeros, st.st_size);
            full = n < 0 ? errno : n < (ssize_t)sizeof zeros ? ENOSPC : 0;
        }
        why = ftruncate(fd, st.st_size) || !full ? EIO : full;
    }
    close(fd);
    return why;
}

int capt_store_fail_write(const char *path, int rc, const char *what, capt_err *err)
{
    return capt_store_fail_mdb(path, rc == EIO ? why_short(path) : rc, what, err);
}

/* As much address space as there is: the map size is the most a store can grow to
 * without a stop, and the file stays as large as its data. LMDB stamps the size into a new file before it maps it and never
 * lowers the stamp, so the first try decides these bytes wherever the map ends up; one that fails before the stamp has failed. */
int capt_store_env_create(const char *path, MDB_env **env, unsigned flags, capt_err *err)
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
        struct stat st;
        if ((rc != ENOMEM && rc != EINVAL && rc != EFBIG) || stat(path, &st) || st.st_size == 0)
            break;
    }
    return capt_store_fail_write(path, rc, "open", err);
}

int capt_store_manifest_put(MDB_txn *txn, MDB_dbi dbi, const json_t *manifest, const char *path, capt_err *err)
{
    capt_str b = {0};
    if (capt_store_manifest_text(manifest, &b)) {
        capt_str_free(&b);
        return capt_fail(err, CAPT_EDATA, "%s: the manifest is not UTF-8", path);
    }
    MDB_val k = {1, (void *)capt_store_manifest_key}, v = {b.n, b.s};
    int rc = mdb_put(txn, dbi, &k, &v, 0);
    capt_str_free(&b);
    return rc ? capt_store_fail_write(path, rc, "manifest", err) : 0;
}

static void set_manifest(capt_store *s, json_t *j) /* steals j */
{
    capt_err none = CAPT_ERR_INIT;
    json_decref(s->manifest);
    s->manifest = j;
    capt_store_manifest_read(j, &s->meta, s->part, &none);
}

/* LMDB looks again at pages it wrote, and the kernel maps their neighbours: all of the map is let go of now and then. Its start follows
 * from any value, which stands 16 bytes behind the start of a page that begins with its own number. */
static void let_go(capt_store *s, size_t page, size_t used)
{
    MDB_cursor *c;
    MDB_val k, v;
    if (s->unmapped < CAPT_STORE_KEEP || mdb_cursor_open(s->txn, s->dbi, &c))
        return;
    if (mdb_cursor_get(c, &k, &v, MDB_LAST) == 0 && !capt_store_is_manifest_key(&k) && ((uintptr_t)v.mv_data - 16) % page == 0) {
        uint64_t number;
        memcpy(&number, (const char *)v.mv_data - 16, sizeof number);
        (void)madvise((char *)v.mv_data - 16 - number * page, used, MADV_DONTNEED); /* shared, and only read */
        s->unmapped = 0;
    }
    mdb_cursor_close(c);
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
    size_t used = (info.me_last_pgno + 1) * st.ms_psize, need = used + 2 * (CAPT_STORE_BATCH_BYTES + more), map = info.me_mapsize;
    while (map < need)
        map *= 2;
    int rc = map > info.me_mapsize ? mdb_env_set_mapsize(s->env, map) : 0;
    if (rc == 0)
        rc = mdb_txn_begin(s->env, NULL, 0, &s->txn);
    if (rc) {
        s->txn = NULL;
        return capt_store_fail_write(s->part, rc, "write", err);
    }
    s->unmapped += s->batch_bytes;
    let_go(s, st.ms_psize, used);
    s->batch = 0;
    s->batch_bytes = 0;
    return 0;
}

/* A commit is one large write, and the kernel makes room for a large write in pieces as large, of up to 2 MiB. In a virtual machine these are often
 * pieces that were given back to the host and have to be had from it again: on such a one 384 MiB cost 1.0 s of processor time so, and 0.14 s in
 * smaller ones. A byte written every half MiB beforehand keeps them smaller. It lies where no transaction has anything, and where it cannot be written
 * the commit will say so. */
void capt_store_before_commit(MDB_env *env, size_t bytes)
{
    enum { STEP = 512 << 10 };
    mdb_filehandle_t fd;
    if (bytes < STEP || mdb_env_get_fd(env, &fd))
        return;
    off_t from = (off_t)capt_store_env_bytes(env), end = from + (off_t)bytes;
    for (off_t at = (from + STEP - 1) / STEP * STEP; at < end; at += STEP)
        if (pwrite(fd, "", 1, at) != 1)
            return;
}

static int commit(capt_store *s, capt_err *err)
{
    if (!s->txn)
        return 0;
    capt_store_before_commit(s->env, s->batch_bytes);
    int rc = mdb_txn_commit(s->txn);
    s->txn = NULL;
    return rc ? capt_store_fail_write(s->part, rc, "write", err) : 0;
}

static uint64_t last_txn(const capt_store *s)
{
    MDB_envinfo info;
    mdb_env_info(s->env, &info);
    return info.me_last_txnid;
}

/* The first batch is synced by LMDB; from its anchor on the syncer does it. */
int capt_store_flush(capt_store *s, capt_err *err)
{
    if (!s->txn)
        return 0;
    if (s->syncer && !s->unsynced) {
        if (capt_syncer_wait(s->syncer, err))
            return -1;
        mdb_env_set_flags(s->env, MDB_NOSYNC, 1);
        s->unsynced = 1;
    }
    if (commit(s, err))
        return -1;
    if (!s->syncer)
        s->syncer = capt_syncer_new(s->lock, s->part, err);
    return s->syncer ? capt_syncer_begin(s->syncer, last_txn(s), err) : -1;
}

int capt_store_lock_part(capt_store *s, int resume, off_t *size, capt_err *err)
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

/* Whether fd is what a loss of power leaves of a part before its first transaction is on the disk: LMDB does not sync the two pages
 * with which a file begins. Each of them is there or is not; nothing was stored yet. */
static int barely_begun(int fd, off_t size)
{
    if (size > 1 << 20)
        return 0;
    for (off_t at = 0; at <= sysconf(_SC_PAGESIZE); at += sysconf(_SC_PAGESIZE)) {
        uint32_t head[6] = {0}; /* of a page: 16 bytes, LMDB's magic, version */
        if (pread(fd, head, sizeof head, at) < 0)
            return 0;
        int any = 0;
        for (size_t i = 0; i < sizeof head / sizeof *head; i++)
            any |= head[i] != 0;
        if (any && head[4] != CAPT_STORE_LMDB)
            return 0;
    }
    return 1;
}

static int start(capt_store *s, json_t *manifest, capt_err *err)
{
    if (begin(s, 0, err))
        return -1;
    int rc = mdb_dbi_open(s->txn, NULL, 0, &s->dbi);
    if (rc)
        return capt_store_fail_write(s->part, rc, "open", err);
    MDB_stat st;
    rc = mdb_stat(s->txn, s->dbi, &st);
    if (rc)
        return capt_store_fail_write(s->part, rc, "open", err);
    if (st.ms_entries == 0) {
        s->in_order = !json_is_null(json_object_get(manifest, "ids"));
        return capt_store_manifest_put(s->txn, s->dbi, manifest, s->part, err) ? -1 : commit(s, err);
    }
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
    return rc ? -1 : commit(s, err);
}

capt_store *capt_store_create(const char *path, const capt_store_meta *meta, int resume, capt_err *err)
{
    capt_store *s = capt_alloc(sizeof *s);
    s->path = capt_strdup(path);
    s->part = capt_store_suffixed(path, ".part");
    s->min_size = min_value();
    capt_store_meta m = *meta;
    m.count = 0;
    m.checksum = 0;
    json_t *manifest = capt_store_manifest_new(&m, 0);
    off_t size = 0;
    int rc = capt_file_replaceable(path, err) ? -1 : capt_store_lock_part(s, resume, &size, err);
    int fresh = rc == 0 && size == 0;
    if (rc == 0 && size)
        rc = capt_anchor_restore(s->lock, s->part, err);
    if (rc == 0 && size) { /* a cut file would be a SIGBUS later */
        capt_err e = CAPT_ERR_INIT;
        if (capt_store_env_open(s->part, &s->env, &e) == 0)
            mdb_env_close(s->env);
        else if (!barely_begun(s->lock, size))
            rc = capt_fail(err, e.code, "%s", e.text);
        else if (ftruncate(s->lock, 0))
            rc = capt_fail_errno(err, "%s", s->part);
        s->env = NULL;
    }
    if (rc == 0)
        rc = capt_store_env_create(s->part, &s->env, 0, err);
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
        return capt_store_manifest_put(s->txn, s->dbi, s->manifest, s->part, err);
    }
    if (s->meta.int_ids == id->is_int)
        return 0;
    return capt_fail(err, CAPT_EDATA, "%s: the id is %s, but the ids before are %s", s->path, id->is_int ? "an integer" : "a string",
                     id->is_int ? "strings" : "integers");
}

struct capt_packed {
    capt_id id;
    char key[CAPT_ID_KEY]; /* id.s points here */
    size_t nk, size, cap;
    char *value;
    int n;
    capt_moments moments[CAPT_SECTIONS_MAX];
};

capt_packed *capt_packed_new(void) { return capt_alloc(sizeof(capt_packed)); }

void capt_packed_free(capt_packed *p)
{
    if (p)
        free(p->value);
    free(p);
}

int capt_store_pack(const capt_store *s, const capt_id *id, const capt_section *sections, int n, capt_packed *p, capt_err *err)
{
    char who[320];
    p->nk = capt_id_key(id, p->key);
    p->id = id->is_int ? *id : capt_id_str(p->key);
    p->n = n;
    capt_store_who(who, s->path, p->key, p->nk);
    if ((!id->is_int && capt_id_check(id->s, strlen(id->s), who, err)) || capt_store_sections_fit(&s->meta, sections, n, who, err))
        return -1;
    if (p->nk > CAPT_STORE_KEY)
        return capt_fail(err, CAPT_EDATA, "%s: a store takes ids of at most %d bytes, this one has %zu", who, CAPT_STORE_KEY, p->nk);
    for (int i = 0; i < n; i++) {
        capt_moments_of(&sections[i], &p->moments[i]);
        int64_t bad = isfinite(p->moments[i].squares) ? -1 : capt_feature_not_finite(&sections[i]); /* squares of f32 never overflow */
        if (bad >= 0)
            return capt_fail(err, CAPT_EDATA, "%s: NaN or infinity in \"%s\", row %lld, column %lld", who, sections[i].name,
                             (long long)(bad / sections[i].dim), (long long)(bad % sections[i].dim));
    }
    p->size = capt_feature_size(sections, n, s->min_size);
    if (p->size == 0)
        return capt_fail(err, CAPT_EDATA, "%s: sections too large", who);
    if (p->size > p->cap || p->cap > 2 * p->size + (1 << 20)) { /* one large image does not hold its memory for ever */
        free(p->value);
        p->value = NULL;
        p->cap = 0;
        p->value = capt_realloc(NULL, p->size);
        p->cap = p->size;
    }
    capt_feature_encode(sections, n, s->meta.dtype, p->key, p->nk, p->size, p->value);
    return 0;
}

static int behind_last(const capt_store *s, const capt_packed *p)
{
    size_t n = p->nk < s->last_size ? p->nk : s->last_size;
    int c = memcmp(p->key, s->last, n);
    return c > 0 || (c == 0 && p->nk > s->last_size);
}

int capt_store_put_packed(capt_store *s, const capt_packed *p, capt_err *err)
{
    if (s->txn && capt_store_batch_ends(s->batch, s->batch_bytes, p->size) && capt_store_flush(s, err))
        return -1;
    if (begin(s, p->size, err) || fix_id_kind(s, &p->id, err))
        return -1;
    s->in_order = s->in_order && behind_last(s, p);
    MDB_val k = {p->nk, (void *)(uintptr_t)p->key}, v = {p->size, p->value};
    int rc = mdb_put(s->txn, s->dbi, &k, &v, s->in_order ? MDB_APPEND : MDB_NOOVERWRITE);
    if (rc == MDB_KEYEXIST) {
        char who[320];
        capt_store_who(who, s->path, p->key, p->nk);
        return capt_fail(err, CAPT_EDATA, "%s: was already stored", who);
    }
    if (rc)
        return capt_store_fail_write(s->part, rc, "write", err);
    memcpy(s->last, p->key, p->nk);
    s->last_size = p->nk;
    s->sum += capt_feature_crc_stored(p->value);
    for (int i = 0; i < p->n; i++)
        capt_moments_add(&s->moments[i], &p->moments[i]);
    s->batch++;
    s->batch_bytes += p->size;
    s->n++;
    return 0;
}

int capt_store_put(capt_store *s, const capt_id *id, const capt_section *sections, int n, capt_err *err)
{
    if (!s->packed)
        s->packed = capt_packed_new();
    return capt_store_pack(s, id, sections, n, s->packed, err) ? -1 : capt_store_put_packed(s, s->packed, err);
}

/* Publishes what was put in order as it is; anything else is copied first. */
static int put_in_place(capt_store *s, capt_err *err)
{
    if (s->in_order) {
        capt_store_meta m = s->meta;
        m.count = s->n;
        m.checksum = s->sum;
        int rc = capt_store_seal(s->env, s->part, &m, s->moments, err);
        return rc == 0 && s->syncer ? capt_syncer_forget(s->syncer, err) : rc;
    }
    char *sorted = capt_store_suffixed(s->part, ".sorted");
    capt_store_input in = {0};
    int rc = capt_store_input_open(&in, s->env, s->part, err);
    if (rc == 0)
        rc = capt_store_copy(&in, 1, capt_store_env_bytes(s->env), sorted, &s->meta, err);
    capt_store_input_close(&in);
    /* The finished copy takes the place of the part first: killed between the two, a resumed run finds a whole part. */
    if (rc == 0 && rename(sorted, s->part))
        rc = capt_fail_errno(err, "%s", s->part);
    free(sorted);
    return rc;
}

int capt_store_finish(capt_store *s, capt_err *err)
{
    int rc = commit(s, err);
    if (rc == 0 && s->syncer) /* the seal is the next transaction: before it goes, both anchors are to name whole ones */
        rc = capt_syncer_begin(s->syncer, last_txn(s), err) || capt_syncer_wait(s->syncer, err) ? -1 : 0;
    if (rc == 0)
        rc = put_in_place(s, err);
    if (rc == 0)
        rc = capt_file_publish(s->part, s->path, err);
    capt_store_close(s);
    return rc;
}

void capt_store_abandon(capt_store *s)
{
    MDB_stat st;
    if (s)
        (void)capt_store_flush(s, NULL);
    if (s && mdb_env_stat(s->env, &st) == 0 && st.ms_entries <= 1) /* the manifest */
        unlink(s->part);
    capt_store_close(s); /* after the sync that is under way */
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
