/* What the writer and the reader of stores share. */
#ifndef CAPT_STORE_PRIV_H
#define CAPT_STORE_PRIV_H
#include <lmdb.h>
#include <stdatomic.h>
#include "base/str.h"
#include "store/store.h"

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
    int lock, batch, kind_changed;
    size_t batch_bytes;
    char *value;
    size_t value_size;
    /* reading: addresses of the values whose checksum was found right, open addressing, 0 is free */
    _Atomic uintptr_t *checked;
    size_t checked_size;
};

/* rc of LMDB as an error about path. Returns -1. */
int capt_store_fail_mdb(const char *path, int rc, const char *what, capt_err *err);
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
