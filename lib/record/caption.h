/* Caption records (images with their split, captions and tags), hypothesis records (what a captioner wrote) and tag records,
 * one image each, and lists of them read from files. Everything a list points to lives in its arena until it is freed.
 * Reading is sequential; a finished list may be read by many threads. */
#ifndef CAPT_RECORD_CAPTION_H
#define CAPT_RECORD_CAPTION_H
#include <stddef.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "record/field.h"

enum { CAPT_CAPTION_CHARS = 10000, CAPT_CAPTIONS_MAX = 1000, CAPT_TAG_CHARS = 200, CAPT_TAGS_MAX = 1000, CAPT_REQUIRE_MAX = 32, CAPT_CANDIDATES_MAX = 1000, CAPT_ATTENTION_MAX = 10000000 };

typedef struct capt_caption {
    capt_id id;
    const char *file;      /* NULL: absent */
    const char *split;     /* "train", "restval", "val", "test", ...; NULL: absent */
    const char **captions; /* NULL: absent (n_captions 0) */
    int n_captions;
    const char **tags;
    int n_tags;
    const char **require, **forbid; /* words a caption of it must and must not have */
    int n_require, n_forbid;
    int trained_on; /* 1: the image was among those that the tagger of its tags was trained on; 0: it was not; -1: absent */
} capt_caption;

typedef struct capt_candidate { const char *caption; double logprob; } capt_candidate;
typedef struct capt_hyp {
    capt_id id;
    const char *caption;
    double logprob;    /* NaN: absent */
    const char *model; /* hash of the weights */
    int trained_on;    /* 1, 0, -1: absent */
    const char **tokens; /* the caption's, the end too when it was chosen; NULL: absent */
    int n_tokens;
    double *token_logprob;
    int n_token_logprob;
    double *attention; /* (n_tokens, attention_rows) flat; NULL: absent */
    int n_attention;
    int64_t attention_rows;
    const char *attention_on; /* "crop", "picture", "regions"; NULL: absent */
    double *attention_boxes; /* (n/4,4) x1 y1 x2 y2 of the image's own regions, the first of its rows, as shares of width and height; NULL: absent */
    int n_attention_boxes;
    capt_candidate *candidates; /* n-best or samples; NULL: absent */
    int n_candidates;
} capt_hyp;

typedef struct capt_tags {
    capt_id id;
    const char **tags;
    int n_tags;
    double *scores; /* one a tag, or NULL */
    int n_scores;
    const char *model; /* hash of the tagger's weights; NULL: absent */
    int trained_on;    /* 1, 0, -1: absent */
} capt_tags;

extern const capt_kind capt_kind_caption, capt_kind_hyp, capt_kind_tags;

typedef struct capt_read_opts {
    size_t cap; /* bytes a line; 0: CAPT_LINE_CAP */
    /* Called with each bad record's error: 0 skips the record (err must be cleared), -1 ends the reading. NULL: the first ends it. */
    int (*bad)(void *arg, capt_err *err);
    void *bad_arg;
    /* What else makes a caption record a bad one: -1 and the error, to which its place is added. NULL: nothing. */
    int (*check)(void *arg, const capt_caption *c, capt_err *err);
    void *check_arg;
} capt_read_opts;

#define CAPT_LIST(T) struct { T *v; size_t n; int int_ids; capt_arena *arena; capt_idmap *map; }
typedef CAPT_LIST(capt_caption) capt_captions; /* in the order of the files; ids are unique and of one kind */
typedef CAPT_LIST(capt_hyp) capt_hyps;
typedef CAPT_LIST(capt_tags) capt_taglist;

/* n 0: standard input. opts may be NULL. An id met twice is an error. */
int capt_captions_read(const char *const *paths, size_t n, const capt_read_opts *opts, capt_captions **out, capt_err *err);
int capt_hyps_read(const char *const *paths, size_t n, const capt_read_opts *opts, capt_hyps **out, capt_err *err);
int capt_tags_read(const char *const *paths, size_t n, const capt_read_opts *opts, capt_taglist **out, capt_err *err);
/* The same, one record after the other: memory is that of the ids. c lives until each returns; -1 from it ends the reading. */
typedef int capt_each(void *arg, const capt_caption *c, capt_err *err);
int capt_captions_each(const char *const *paths, size_t n, const capt_read_opts *opts, capt_each *each, void *arg, capt_err *err);
void capt_captions_free(capt_captions *c); /* NULL is fine */
void capt_hyps_free(capt_hyps *c);
void capt_tags_free(capt_taglist *c);
const capt_caption *capt_captions_find(const capt_captions *c, const capt_id *id); /* NULL: not there */
const capt_hyp *capt_hyps_find(const capt_hyps *c, const capt_id *id);
const capt_tags *capt_tags_find(const capt_taglist *c, const capt_id *id);
/* Records of v (n) that tags (caption or tag records) knows with "tags" are replaced by copies that have those, in tags' arena. */
void capt_captions_retag(capt_captions *tags, const capt_caption **v, size_t n);

/* The name of a split: XXH3-128 over the sorted lines "split NUL id LF" of all records. Order and captions do not matter. */
void capt_split_hash(const capt_caption *v, size_t n, char hex[33]);
/* The name of a set of references, as df files keep it: XXH3-128 over ids and tokenized lines in order; image i has lines at[i] .. at[i+1]-1.
 * Images without any do not count. */
void capt_refs_hash(const capt_caption *const *image, size_t n, const char *const *line, const size_t *at, char hex[33]);
typedef struct capt_split_hasher capt_split_hasher; /* the same, an image at a time */
capt_split_hasher *capt_split_hasher_new(void);
void capt_split_hasher_add(capt_split_hasher *h, const capt_id *id, const char *split);
void capt_split_hasher_end(capt_split_hasher *h, char hex[33]); /* frees h */
#endif
