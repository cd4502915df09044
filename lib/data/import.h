/* The way of many images into a store: loaded, packed and written on the pool, written in the order of the work.
 * What is stored does not depend on the number of threads; memory is that of some 16 MB of input and of a transaction. */
#ifndef CAPT_DATA_IMPORT_H
#define CAPT_DATA_IMPORT_H
#include "base/str.h"
#include "base/thread.h"
#include "store/store.h"

/* One image as its loader gives it. Sections point into memory of the worker until its next load. */
typedef struct capt_loading {
    int stored; /* set by the caller: it is in the store already, only text is asked for */
    capt_section section[CAPT_SECTIONS_MAX];
    int n;
    capt_str *text; /* appended to: goes with the image (tag records) */
} capt_loading;

/* Where images come from. */
typedef struct capt_intake {
    void *arg;
    int64_t n;
    int has_text;
    const capt_id *(*id)(void *arg, int64_t i);
    size_t (*bytes)(void *arg, int64_t i); /* of its input, about */
    int (*load)(void *arg, int64_t i, int worker, capt_loading *to, capt_err *err); /* from several threads at once */
} capt_intake;

/* Who wants to know; called by the pool's threads, one at a time and in the order of the images. */
typedef struct capt_import_hooks {
    void *arg;
    int (*bad)(void *arg, capt_err *err);             /* an image could not be had: 0 leaves it out, -1 ends the import */
    int (*text)(void *arg, const char *s, size_t n);  /* in the order of the images; nonzero: could not be written */
    int (*round)(void *arg, int64_t done);            /* nonzero: stop, with what is loaded written */
} capt_import_hooks;

/* Puts all images that s does not have yet (with resume it may have some). 0; 1 when round said stop; -1 on an error. */
int capt_import_run(const capt_intake *in, const capt_import_hooks *hooks, capt_store *s, int resume, capt_pool *pool, capt_err *err);
#endif
