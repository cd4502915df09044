/* A bump allocator of host memory: many small pieces, one free. Pointers stay valid until reset or free. One thread. */
#ifndef CAPT_BASE_ARENA_H
#define CAPT_BASE_ARENA_H
#include <stddef.h>

typedef struct capt_arena capt_arena;
capt_arena *capt_arena_new(size_t chunk); /* chunk 0: 64 KiB */
void capt_arena_free(capt_arena *a);      /* NULL is fine */
void *capt_arena_alloc(capt_arena *a, size_t n); /* zeroed, 16-byte aligned */
char *capt_arena_strndup(capt_arena *a, const char *s, size_t n);
void capt_arena_reset(capt_arena *a); /* forgets everything, keeps the memory */
#endif
