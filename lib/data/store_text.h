/* Feature stores as text and back: one JSON object an image,
 *   {"id":7,"sections":[{"name":"grid","dtype":"f16","dim":2,"rows":[[1,2],[3,4]]}]}
 * numbers with nine digits, which is exact. Or with the numbers beside the text: FOLDER/NAME.npy holds all rows of section NAME, as
 * (images,rows,dim) when every image has as many, else as (rows,dim); an image's section then says how many rows it has and which
 * is its first: {"name":"grid","dtype":"f16","dim":2,"from":0,"rows":2}. bf16 goes to float32 there. One thread. */
#ifndef CAPT_DATA_STORE_TEXT_H
#define CAPT_DATA_STORE_TEXT_H
#include <jansson.h>
#include <stdio.h>
#include "store/store.h"

/* Writes images ids[0..n-1], or all when n is 0, to out; -1 without an error where that cannot be written. npy: the folder (made if it is not there), or NULL. */
int capt_store_dump(capt_store *s, const capt_id *ids, size_t n, const char *npy, FILE *out, capt_err *err);

typedef struct capt_store_loader capt_store_loader;
capt_store_loader *capt_store_loader_new(const char *npy); /* npy: the folder such records name, or NULL; borrowed */
void capt_store_loader_free(capt_store_loader *l);         /* NULL is fine */
/* One object. id borrows from o, the sections live until the next call. where names the place in errors. */
int capt_store_loader_read(capt_store_loader *l, const json_t *o, const char *where, capt_id *id, const capt_section **sections, int *n, capt_err *err);
#endif
