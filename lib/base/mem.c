#include "base/mem.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void capt_no_memory(void)
{
    if (capt_on_no_memory)
        capt_on_no_memory();
    abort();
}

void *capt_alloc(size_t n)
{
    void *p = calloc(1, n ? n : 1);
    if (!p)
        capt_no_memory();
    return p;
}

void *capt_realloc(void *p, size_t n)
{
    p = realloc(p, n ? n : 1);
    if (!p)
        capt_no_memory();
    return p;
}

char *capt_strndup(const char *s, size_t n)
{
    char *p = capt_realloc(NULL, n + 1);
    if (n)
        memcpy(p, s, n);
    p[n] = 0;
    return p;
}

char *capt_strdup(const char *s)
{
    return capt_strndup(s, strlen(s));
}

void *capt_try_alloc(size_t n, capt_err *err)
{
    void *p = n <= PTRDIFF_MAX ? calloc(1, n ? n : 1) : NULL;
    if (!p)
        capt_fail(err, CAPT_ENOMEM, "out of memory (%zu bytes)", n);
    return p;
}

void *capt_try_alloc64(size_t n, capt_err *err)
{
    void *p = NULL;
    if (n > PTRDIFF_MAX - 64 || posix_memalign(&p, 64, n ? n : 1) != 0) {
        capt_fail(err, CAPT_ENOMEM, "out of memory (%zu bytes)", n);
        return NULL;
    }
    return memset(p, 0, n);
}

int capt_mul_size(size_t a, size_t b, size_t *out)
{
    return __builtin_mul_overflow(a, b, out) ? -1 : 0;
}

void capt_vec_grow_(void **v, size_t *cap, size_t need, size_t elem)
{
    if (need <= *cap)
        return;
    size_t want = *cap ? *cap + *cap / 2 + 1 : 8, bytes;
    if (want < need)
        want = need;
    if (capt_mul_size(want, elem, &bytes) != 0)
        capt_no_memory();
    *v = capt_realloc(*v, bytes);
    *cap = want;
}
