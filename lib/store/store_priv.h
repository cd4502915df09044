/* What the writer and the reader of stores share. */
#ifndef CAPT_STORE_PRIV_H
#define CAPT_STORE_PRIV_H
#include <lmdb.h>
#include <stdatomic.h>
#include "base/str.h"
#include "store/fingerprint.h"
#include "store/store.h"

#define CAPT_STORE_LMDB 0xBEEFC0DEu /* LMDB's magic, at byte 16 of its first two pages */

struct capt_store {
    MDB_env *env;
    MDB_dbi dbi;
    char *path, *part; /* part: NULL when reading */
    capt_store_meta meta;
    json_t *manifest; /* owns what meta points to */
    size_t min_size;  /* of a value */
    int64_t n;
    /* writing */
    MDB_txn *txn;
    struct capt_syncer *syncer; /* from the first batch on */
    int unsynced;               /* LMDB leaves the syncing of what it commits to it */
    int lock, batch;
    size_t batch_bytes, unmapped; /* of this transaction; since the map was let go of */
    capt_packed *packed;
    int in_order; /* since the first: every key behind the one before, of one kind known from the start */
    char last[CAPT_ID_KEY];
    size_t last_size;
    uint64_t sum; /* of the CRCs put while in order, and their moments */
    capt_moments moments[CAPT_SECTIONS_MAX];
    /* reading: addresses of the values whose checksum was found right, open addressing, 0 is free */
    _Atomic uintptr_t *checked;
    size_t checked_size;
};

enum { CAPT_STORE_BATCH = 64, CAPT_STORE_KEEP = 16 << 20 }; /* records a transaction; bytes a walk keeps mapped */
#define CAPT_STORE_BATCH_BYTES ((size_t)32 << 20)
/* Whether a batch of n records and so many bytes is complete before the next one of size bytes: the same rule in a first
 * writing and in the copy, for the same bytes. */
static inline int capt_store_batch_ends(int n, size_t bytes, size_t size)
{
    return n == CAPT_STORE_BATCH || (n && bytes + size > CAPT_STORE_BATCH_BYTES);
}

/* A walk over all values lets go of the pages it has passed, `keep` bytes of them at a time: they stay in the system's cache, but a
 * program that walks needs no more memory for a large store than for a small one. */
typedef struct capt_store_passed { uintptr_t from, to; size_t bytes; } capt_store_passed;
void capt_store_pass(capt_store_passed *p, const MDB_val *v, size_t keep);

/* What a copy in key order reads: a store's records without its manifest. */
typedef struct capt_store_input { const char *path; MDB_txn *txn; MDB_cursor *cursor; MDB_val k, v; int end; capt_store_passed passed; } capt_store_input;
int capt_store_input_open(capt_store_input *in, MDB_env *env, const char *path, capt_err *err);
void capt_store_input_close(capt_store_input *in);
/* n inputs -> to, a file that does not exist yet; removed again on failure. bytes: of all inputs, for the size of the map.
 * m: the manifest to write; its count and checksum are set. */
int capt_store_copy(capt_store_input *in, int n, size_t bytes, const char *to, capt_store_meta *m, capt_err *err);
size_t capt_store_env_bytes(MDB_env *env);
/* Opens an environment for writing with as much address space as there is. */
int capt_store_env_create(const char *path, MDB_env **env, unsigned flags, capt_err *err);
int capt_store_manifest_put(MDB_txn *txn, MDB_dbi dbi, const json_t *manifest, const char *path, capt_err *err);
/* The last transaction: the complete manifest with count, checksum and fingerprint, then a sync. */
int capt_store_seal(MDB_env *env, const char *path, const capt_store_meta *m, const capt_moments *moments, capt_err *err);
char *capt_store_suffixed(const char *path, const char *suffix); /* malloc'd */

/* Before a commit of about so many bytes; see there. */
void capt_store_before_commit(MDB_env *env, size_t bytes);

/* anchor.c: syncs a part after each transaction while the next one is made, and notes how far it came. fd and path are borrowed. */
typedef struct capt_syncer capt_syncer;
capt_syncer *capt_syncer_new(int fd, const char *path, capt_err *err);
int capt_syncer_begin(capt_syncer *y, uint64_t txn, capt_err *err); /* the last one committed; waits for the one before it */
int capt_syncer_wait(capt_syncer *y, capt_err *err);                /* until what was begun is on the disk */
int capt_syncer_forget(capt_syncer *y, capt_err *err);              /* no anchor any more: all is on the disk, syncs included */
void capt_syncer_free(capt_syncer *y);                              /* NULL is fine */
/* Goes back to the newest anchor in fd, a part that no one has open; where there is none, LMDB has synced it. */
int capt_anchor_restore(int fd, const char *path, capt_err *err);

/* The file lock that keeps two writers off one PATH.part (s->part, made unless it is there with resume); *size: its bytes. */
int capt_store_lock_part(capt_store *s, int resume, off_t *size, capt_err *err);

/* rc of LMDB as an error about path. Returns -1. write: of a file that is being written; says when the disk is full. */
int capt_store_fail_mdb(const char *path, int rc, const char *what, capt_err *err);
int capt_store_fail_write(const char *path, int rc, const char *what, capt_err *err);
/* The manifest's JSON of a meta, new reference; and back (json stays the owner of the strings). */
json_t *capt_store_manifest_new(const capt_store_meta *m, int complete);
int capt_store_manifest_read(const json_t *j, capt_store_meta *m, const char *path, capt_err *err);
/* 0 if both were made with the same options (count, checksum, complete aside; an unknown id kind fits any). */
int capt_store_manifest_same(const json_t *a, const json_t *b, const char *what, capt_err *err);
/* The bytes that are stored: out, without a newline. -1: not UTF-8. */
int capt_store_manifest_text(const json_t *j, capt_str *out);
/* The manifest stored in env, its checksum checked: new reference. */
json_t *capt_store_manifest_get(MDB_txn *txn, MDB_dbi dbi, const char *path, capt_err *err);
int capt_store_sections_fit(const capt_store_meta *m, const capt_section *s, int n, const char *who, capt_err *err);
int capt_store_is_manifest_key(const MDB_val *k);
extern const char capt_store_manifest_key[1];
/* "PATH: id KEY" for messages. */
void capt_store_who(char out[320], const char *path, const void *key, size_t nk);
/* A read-only environment; checks that the file is whole. *size: its bytes. */
int capt_store_env_open(const char *path, MDB_env **env, capt_err *err);
#endif
