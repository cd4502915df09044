/* Provenance, one entry a program, after samtools' @PG: program, version, backend and instruction set, the options that can
 * change the output in canonical order, seed, input hashes. Never a path, time, host, thread, shard or resume option. */
#ifndef CAPT_BASE_PROV_H
#define CAPT_BASE_PROV_H
#include <jansson.h>
#include "base/err.h"

#define CAPT_VERSION_STRING_MAX 64
const char *capt_version(void); /* "0.1.0" */
/* A new entry {"program","version"[,"backend"]...}; add members with json_object_set_new. */
json_t *capt_prov_entry(const char *program, const char *backend);
/* The entries of a, then those of b that a lacks: a new array; both borrowed, either may be NULL or no array. */
json_t *capt_prov_merge(const json_t *a, const json_t *b);
/* chain + [entry]: a new array; chain may be NULL or not an array (then only the entry). Steals entry, borrows chain. */
json_t *capt_prov_append(const json_t *chain, json_t *entry);
#endif
