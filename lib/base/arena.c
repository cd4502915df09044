#include "base/arena.h"
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"

struct chunk {
    struct chunk *next;
    size_t size, used;
    _Alignas(16) char data[];
};

struct capt_arena {
    struct chunk *first, *now; /* chunks before `now` are full, those behind it empty */
    size_t chunk;
};

capt_arena *capt_arena_new(size_t chunk)
{
    capt_arena *a = capt_alloc(sizeof *a);
    a->chunk = chunk ? chunk : 65536;
    return a;
}

void capt_arena_free(capt_arena *a)
{
    if (!a)
        return;
    while (a->first) {
        struct chunk *c = a->first;
        a->first = c->next;
        free(c);
    }
    free(a);
}

void *capt_arena_alloc(capt_arena *a, size_t n)
{
    if (n > (size_t)1 << 62)
        capt_no_memory();
    n = (n + 15) & ~(size_t)15;
    while (a->now && a->now->size - a->now->used < n && a->now->next)
        a->now = a->now->next;
    struct chunk *c = a->now;
    if (!c || c->size - c->used < n) {
        size_t size = n > a->chunk ? n : a->chunk;
        c = capt_realloc(NULL, sizeof *c + size);
        *c = (struct chunk){.size = size};
        if (a->now)
            a->now->next = c;
        else
            a->first = c;
        a->now = c;
    }
    void *p = c->data + c->used;
    c->used += n;
    return memset(p, 0, n);
}

char *capt_arena_strndup(capt_arena *a, const char *s, size_t n)
{
    char *p = capt_arena_alloc(a, n + 1);
    if (n)
        memcpy(p, s, n);
    return p;
}

void capt_arena_reset(capt_arena *a)
{
    for (struct chunk *c = a->first; c; c = c->next)
        c->used = 0;
    a->now = a->first;
}
