/* Annotation files as they are published -> images with split, captions and object names. One compact list whatever the
 * layout, so that COCO's 123,287 images fit in some tens of megabytes; files are read a piece at a time.
 *   Karpathy: {"images":[{"filename","filepath","cocoid","split","sentences":[{"raw"}]}]}
 *   official: {"info":{"description"},"images":[{"id","file_name","coco_url"}],"annotations":[{"image_id","caption"}]}; image_info files
 *             lack the latter
 *   token:    lines NAME#k TAB caption (Flickr8k, Flickr30k), with files of picture names that make the splits
 * Images stay in the order of the files; captions as they were written. A byte order mark in front of a file and CR before
 * LF are ignored. One thread. */
#ifndef CAPT_RECORD_ANNOT_H
#define CAPT_RECORD_ANNOT_H
#include <stddef.h>
#include <stdint.h>
#include "base/arena.h"
#include "base/err.h"
#include "base/id.h"
#include "base/mem.h"
#include "base/str.h"
#include "record/caption.h"

typedef struct capt_image {
    capt_id id;
    const char *file, *folder; /* folder: "train2014", ...; NULL: unknown */
    const char *split;         /* NULL: not known from the file */
    uint32_t first, last, n_captions; /* chain in text */
    uint32_t tags;                    /* chain in tags, 0: none */
    uint32_t order; /* used while reading: rank among the images of its file; of token files the caption numbers met, a bit each */
    uint32_t foreign; /* 1: its file's "info" describes another set than COCO */
} capt_image;

typedef struct capt_annots {
    CAPT_VEC(capt_image) image;
    capt_str text; /* u32 offset of the next caption of the same image (0: none), caption, NUL */
    CAPT_VEC(struct capt_tag_node { uint32_t next; int32_t category; float area; }) tag;
    CAPT_VEC(struct capt_category { int64_t id; const char *name; }) category;
    const char *dataset; /* how the last Karpathy file names its set; NULL: it does not */
    capt_arena *arena;   /* names and ids */
    int skip_captions; /* set before reading: only ids, files and splits are wanted */
} capt_annots;

typedef enum capt_layout { CAPT_LAYOUT_JSON, CAPT_LAYOUT_TOKENS, CAPT_LAYOUT_NAMES } capt_layout;

capt_annots *capt_annots_new(void);
void capt_annots_free(capt_annots *a); /* NULL is fine */
/* "train2014" or "COCO_train2014_000000000009.jpg" -> "train" and 2014 (0 when no year follows). 1 if s begins like that. */
int capt_split_of_name(const char *s, const char **split, int *year);
/* What kind of file it is, from its first bytes ("-" counts as JSON). */
int capt_annots_layout(const char *path, capt_layout *l, capt_err *err);
/* Adds the images of a JSON file, either layout. In the official layout splits stay NULL; *is_karpathy (may be NULL) tells. */
int capt_annots_read_json(capt_annots *a, const char *path, int *is_karpathy, capt_err *err);
/* Adds the images of a token file, splits NULL. */
int capt_annots_read_tokens(capt_annots *a, const char *path, capt_err *err);
/* Gives `split` to the images named in a file (a name a line, with or without extension), which become the next ones of
 * `to` in that order; an image may be named in several splits. by_id: ids -> index in a (of token files only). */
int capt_annots_take_names(const capt_annots *a, const capt_idmap *by_id, const char *path, const char *split, capt_annots *to, capt_err *err);
/* Object names from an official instances file, for the images that `by_id` knows. */
int capt_annots_read_instances(capt_annots *a, const capt_idmap *by_id, const char *path, capt_err *err);

/* Pointers to up to max captions of an image, and to its object names (each once; the kind with the largest single object
 * first, equal areas in the order of the file). They return the number. Valid until something is read. */
int capt_annots_captions(const capt_annots *a, const capt_image *m, const char **out, int max);
int capt_annots_tags(const capt_annots *a, const capt_image *m, const char **out, int max);
#endif
