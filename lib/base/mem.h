/* Host memory. capt_alloc and friends never return NULL: when the C library itself has none left for a small request, they end the
 * process by capt_no_memory; large, input-driven sizes go through capt_try_alloc, which reports. Freed with free(3) (capt_try_alloc64:
 * 64-byte aligned, also free(3)). */
#ifndef CAPT_BASE_MEM_H
#define CAPT_BASE_MEM_H
#include <stddef.h>
#include "base/err.h"

/* Does not return: calls the program's capt_on_no_memory where it defines one, which must not return either, else abort(3). */
_Noreturn void capt_no_memory(void);
void capt_on_no_memory(void) __attribute__((weak));

void *capt_alloc(size_t n);              /* zeroed */
void *capt_realloc(void *p, size_t n);
char *capt_strdup(const char *s);
char *capt_strndup(const char *s, size_t n);
void *capt_try_alloc(size_t n, capt_err *err);   /* zeroed; NULL + CAPT_ENOMEM */
void *capt_try_alloc64(size_t n, capt_err *err); /* zeroed, 64-byte aligned */
int capt_mul_size(size_t a, size_t b, size_t *out); /* 0, or -1 on overflow */

/* A growing array: struct { T *v; size_t n, cap; } made by CAPT_VEC(T). push returns nothing; free with capt_vec_free. */
#define CAPT_VEC(T) struct { T *v; size_t n, cap; }
#define capt_vec_push(a, x) (capt_vec_grow_((void **)&(a)->v, &(a)->cap, (a)->n + 1, sizeof *(a)->v), (a)->v[(a)->n++] = (x))
#define capt_vec_reserve(a, k) capt_vec_grow_((void **)&(a)->v, &(a)->cap, (k), sizeof *(a)->v)
#define capt_vec_free(a) (free((a)->v), (a)->v = NULL, (a)->n = (a)->cap = 0)
void capt_vec_grow_(void **v, size_t *cap, size_t need, size_t elem);
#endif
