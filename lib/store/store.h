/* Feature stores: one LMDB file, a manifest and one value an image (store/feature.h).
 *
 * Writing goes to PATH.part, 64 records or 32 MiB a transaction, each synced while the next one is made; finish copies it in key order to a file whose
 * bytes depend on the records and the manifest alone (not on the order of puts, shards or resumes) and renames it to PATH.
 * Records that were put in key order in one go, ids of a kind known from the start, are what the copy would be: it is left out.
 * A run that is killed, or whose power fails, leaves a PATH.part for resume that lacks two transactions at most. One thread writes. Reading: any number of threads may get from one open store;
 * what they get points into the map and lives until the store is closed. A store is refused when it is cut short, unfinished
 * or of the other byte order, and a record when its checksum is wrong (computed once, when it is first read).
 * A store made by a stranger can crash its reader (LMDB trusts its pages): exchange with `capt-store dump` and `load`. */
#ifndef CAPT_STORE_STORE_H
#define CAPT_STORE_STORE_H
#include <jansson.h>
#include <stdint.h>
#include "base/err.h"
#include "base/id.h"
#include "store/feature.h"

enum { CAPT_STORE_KEY = 511 }; /* bytes of an id at most: LMDB's limit */

typedef struct capt_store_section { char name[CAPT_SECTION_NAME + 1]; capt_dtype dtype; int rows /* 0: varies */, dim; } capt_store_section;

typedef struct capt_store_meta {
    int int_ids; /* 1 integers, 0 strings; -1: the first put decides */
    capt_dtype dtype;
    int n_sections; /* every image has all of them, in this order */
    capt_store_section section[CAPT_SECTIONS_MAX];
    const char *encoder, *encoder_hash; /* name, hash of its tensors; NULL: unknown */
    json_t *preprocess; /* any JSON, or NULL */
    const char *geometry; /* what the last six columns of the regions are, as CAPT_GEOMETRY; NULL: nothing known */
    json_t *provenance; /* array of entries (base/prov.h), or NULL */
    const char *trained_on; /* images its encoder was trained on: keys, each ended by a newline (base/idset.h), or NULL */
    /* filled in when a store is opened */
    int64_t count;
    uint64_t checksum; /* sum of the records' CRCs */
    const json_t *fingerprint; /* store/fingerprint.h; NULL: none */
} capt_store_meta;

/* The one order in which stores keep the box of a region behind its features: corners, then width and height, as shares of
 * the picture's. */
#define CAPT_GEOMETRY "x1/W y1/H x2/W y2/H w/W h/H"

typedef struct capt_store capt_store;

/* Starts PATH.part, or with resume continues it (starts if there is none; refuses other options, naming the first that
 * differs). A left-over PATH.part without resume is an error. meta is copied. NULL on failure. */
capt_store *capt_store_create(const char *path, const capt_store_meta *meta, int resume, capt_err *err);
/* 1 if PATH is a complete store made with these options: a resumed run has nothing to do. */
int capt_store_is_done(const char *path, const capt_store_meta *meta);
int capt_store_has(capt_store *s, const capt_id *id); /* while writing or reading: 1, 0 */
/* Adds one image; sections as the manifest says, finite numbers only, ids new and of one kind. */
int capt_store_put(capt_store *s, const capt_id *id, const capt_section *sections, int n, capt_err *err);
/* The same in two steps: pack checks, encodes and measures one image, on any number of threads at once, each with its own p;
 * put_packed stores it. */
typedef struct capt_packed capt_packed;
capt_packed *capt_packed_new(void);
void capt_packed_free(capt_packed *p); /* NULL is fine */
int capt_store_pack(const capt_store *s, const capt_id *id, const capt_section *sections, int n, capt_packed *p, capt_err *err);
int capt_store_put_packed(capt_store *s, const capt_packed *p, capt_err *err);
int64_t capt_store_count(const capt_store *s); /* records so far, or in the store */
int capt_store_flush(capt_store *s, capt_err *err); /* commits the transaction under way */
/* Publishes PATH; frees s in every case. On failure PATH is untouched and PATH.part stays for resume. */
int capt_store_finish(capt_store *s, capt_err *err);
/* Commits what it can, keeps PATH.part for resume unless no record is in it, frees s. NULL is fine. */
void capt_store_abandon(capt_store *s);
/* Removes PATH.part, frees s: for input that is wrong, where a resume could not help. */
void capt_store_discard(capt_store *s);

/* Read-only, without locks, on any file system. NULL on failure. */
capt_store *capt_store_open(const char *path, capt_err *err);
void capt_store_close(capt_store *s); /* NULL is fine */
const capt_store_meta *capt_store_meta_of(const capt_store *s); /* borrowed */
const json_t *capt_store_manifest(const capt_store *s);          /* borrowed */
/* A manifest's JSON (as `capt-store info --json` prints it) -> meta; j stays the owner of what meta points to. */
int capt_store_meta_from_json(const json_t *j, capt_store_meta *m, const char *where, capt_err *err);
const capt_store_section *capt_store_section_of(const capt_store *s, const char *name); /* NULL: none */
/* 1 found, 0 not there, -1 damaged. Threads may call it at once. */
int capt_store_get(capt_store *s, const capt_id *id, capt_feature *f, capt_err *err);

/* All records in key order (bytes of the id's text). id and f (may be NULL) are valid until the next call / the store closes. */
typedef struct capt_store_iter capt_store_iter;
capt_store_iter *capt_store_iter_new(capt_store *s, capt_err *err);
int capt_store_iter_next(capt_store_iter *it, capt_id *id, capt_feature *f, capt_err *err); /* 1, 0 at the end, -1 */
void capt_store_iter_free(capt_store_iter *it);

/* Reads everything that get and iter can give, each record by the walk and by its key: checksums, structure, order, finite numbers, count and sum. Bytes that
 * LMDB leaves unused are not looked at. On a badly damaged file the process may die
 * by a signal inside LMDB: run it in a child. quick: open, first and last record only. */
int capt_store_verify(capt_store *s, int quick, capt_err *err);
/* Complete stores with disjoint ids and equal manifests -> one: the same bytes as if it had been written whole. OUT.part is its
 * lock and its last step; one left by a merge that was killed is an error without resume. */
int capt_store_merge(const char *const *paths, int n, const char *out, int resume, capt_err *err);
#endif
