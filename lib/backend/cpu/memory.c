/* The cpu backend's memory. What costs is not the call but the pages: the kernel clears each when it is first touched, and a virtual machine may have to fetch it from its host.
 * A search of captions takes and gives back hundreds of megabytes a batch, so large pieces that were given back are kept for the next who wants as much, or down to half.
 * When none of them serves a large request, or the system has no memory for any, all go back to it first. So what is kept was in use together once, and is held beside
 * what is asked for later in smaller pieces. The address sanitizer sees none of this and is told: it reports who touches a piece that was given back, or more of one than was asked for. */
#include "backend/cpu/cpu_priv.h"

#ifndef CAPT_REAL64
#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include "base/mem.h"

#if __has_include(<sanitizer/asan_interface.h>)
#include <sanitizer/asan_interface.h> /* its macros do nothing in other builds */
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#endif

enum { HUGE = 1 << 21, LARGE = 2 * HUGE };

/* Large pieces begin at a huge page. They end where they end: a huge page for the rest would be cleared and kept for a few bytes. */
static void *try_alloc(size_t n)
{
    size_t align = n >= LARGE ? HUGE : 64;
    if (n > SIZE_MAX - align)
        return NULL;
    void *p;
    if (posix_memalign(&p, align, MAX(n, 64)))
        return NULL;
#ifdef MADV_HUGEPAGE
    if (align == HUGE)
        (void)madvise(p, n / HUGE * HUGE, MADV_HUGEPAGE); /* advice: without it only slower */
#endif
    return p;
}

/* of a piece of `all` bytes the first n are somebody's */
static void lend(void *p, size_t n, size_t all)
{
    ASAN_UNPOISON_MEMORY_REGION(p, n);
    ASAN_POISON_MEMORY_REGION((char *)p + n, all - n);
}

struct piece { void *p; size_t n; int kept; }; /* kept: given back; its content is nobody's */
struct capt_cpu_heap {
    pthread_mutex_t m;
    CAPT_VEC(struct piece) large;
};

struct capt_cpu_heap *capt_cpu_heap_new(void)
{
    struct capt_cpu_heap *h = capt_alloc(sizeof *h);
    pthread_mutex_init(&h->m, NULL);
    return h;
}

/* gives the kept pieces to the system */
static void release(struct capt_cpu_heap *h)
{
    size_t n = 0;
    for (size_t i = 0; i < h->large.n; i++)
        if (h->large.v[i].kept)
            free(h->large.v[i].p);
        else
            h->large.v[n++] = h->large.v[i];
    h->large.n = n;
}

void capt_cpu_heap_free(struct capt_cpu_heap *h)
{
    release(h);
    capt_vec_free(&h->large);
    pthread_mutex_destroy(&h->m);
    free(h);
}

/* the smallest kept piece of n bytes or more, at most half of it for nothing; NULL: none */
static void *take(struct capt_cpu_heap *h, size_t n)
{
    struct piece *best = NULL;
    for (size_t i = 0; i < h->large.n; i++) {
        struct piece *q = &h->large.v[i];
        if (q->kept && q->n >= n && q->n / 2 <= n && (!best || q->n < best->n))
            best = q;
    }
    if (!best)
        return NULL;
    best->kept = 0;
    lend(best->p, n, best->n);
    return best->p;
}

/* from the system; what is kept goes back before a large piece is made, or when there is nothing left */
static void *make(struct capt_cpu_heap *h, size_t n)
{
    void *p = n < LARGE ? try_alloc(n) : NULL;
    if (p)
        return p;
    pthread_mutex_lock(&h->m);
    release(h);
    pthread_mutex_unlock(&h->m);
    return try_alloc(n);
}

void *capt_cpu_alloc(capt_backend *be, size_t n)
{
    struct capt_cpu_heap *h = cpu_of(be)->heap;
    void *p = NULL;
    if (n >= LARGE) {
        pthread_mutex_lock(&h->m);
        p = take(h, n);
        pthread_mutex_unlock(&h->m);
    }
    if (p)
        return p;
    p = make(h, n);
    if (!p) {
        be->failed = 1;
    } else if (n >= LARGE) {
        pthread_mutex_lock(&h->m);
        capt_vec_push(&h->large, ((struct piece){p, n, 0}));
        pthread_mutex_unlock(&h->m);
    }
    return p;
}

void capt_cpu_free(capt_backend *be, void *p)
{
    struct capt_cpu_heap *h = cpu_of(be)->heap;
    int large = 0;
    pthread_mutex_lock(&h->m);
    for (size_t i = 0; p && i < h->large.n && !large; i++)
        if (h->large.v[i].p == p) {
            assert(!h->large.v[i].kept);
            large = h->large.v[i].kept = 1;
            lend(p, 0, h->large.v[i].n);
        }
    pthread_mutex_unlock(&h->m);
    if (!large)
        free(p);
}

static void *grow(capt_backend *be, struct cpu_mem *m, size_t n)
{
    if (!m->p || m->n < n) { /* of no bytes it is there too */
        free(m->p);
        m->n = 0;
        m->p = make(cpu_of(be)->heap, n + n / 4);
        if (m->p)
            m->n = n + n / 4;
        else
            __atomic_store_n(&be->failed, 1, __ATOMIC_RELAXED); /* may be a worker */
    }
    if (m->p)
        lend(m->p, n, m->n);
    return m->p;
}

void *capt_cpu_buf(capt_backend *be, int which, size_t n)
{
    return grow(be, &cpu_of(be)->buf[which], n);
}

void *capt_cpu_work(capt_backend *be, int worker, size_t n)
{
    return grow(be, &cpu_of(be)->work[worker], n);
}
#endif
