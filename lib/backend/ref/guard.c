/* Backend "guard": the reference kernels on memory that is closed (PROT_NONE) outside kernel calls, upload and download. Host code that reads or
 * writes a tensor's memory by itself dies of SIGSEGV, so what runs here runs on a device with memory of its own. */
#include <sys/mman.h>
#include <unistd.h>
#include "backend/ref/ref_priv.h"
#include "base/mem.h"

struct block { size_t at, n; int used; };
struct region {
    unsigned char *base;
    size_t size, top; /* reserved addresses; the first `top` bytes are in use */
    CAPT_VEC(struct block) blocks; /* by rising address, without holes: freed ones are used again */
};

static void doors(capt_backend *be, int prot)
{
    struct region *g = be->priv;
    if (g->top && mprotect(g->base, g->top, prot))
        be->failed = 1;
}

static void *guard_alloc(capt_backend *be, size_t n)
{
    struct region *g = be->priv;
    size_t page = (size_t)sysconf(_SC_PAGESIZE), i = 0;
    n = n ? n : 1;
    if (n > g->size) {
        be->failed = 1;
        return NULL;
    }
    n = (n + page - 1) / page * page;
    while (i < g->blocks.n && (g->blocks.v[i].used || g->blocks.v[i].n < n))
        i++;
    if (i == g->blocks.n) {
        if (n > g->size - g->top) {
            be->failed = 1;
            return NULL;
        }
        struct block b = {g->top, n, 0};
        capt_vec_push(&g->blocks, b);
        g->top += n;
    }
    g->blocks.v[i].used = 1;
    unsigned char *p = g->base + g->blocks.v[i].at;
    doors(be, PROT_READ | PROT_WRITE);
    if (!be->failed)
        memset(p, 0xff, n); /* NaN: nobody may count on the content */
    doors(be, PROT_NONE);
    return p;
}

static void guard_free(capt_backend *be, void *p)
{
    struct region *g = be->priv;
    for (size_t i = 0; p && i < g->blocks.n; i++)
        if (g->base + g->blocks.v[i].at == p)
            g->blocks.v[i].used = 0;
    while (g->blocks.n && !g->blocks.v[g->blocks.n - 1].used) { /* give the end back */
        struct block *b = &g->blocks.v[--g->blocks.n];
        madvise(g->base + b->at, b->n, MADV_DONTNEED);
        g->top = b->at;
    }
}

static void guard_copy(capt_backend *be, void *dst, const void *src, size_t n)
{
    doors(be, PROT_READ | PROT_WRITE);
    if (n && !be->failed)
        memcpy(dst, src, n);
    doors(be, PROT_NONE);
}

static int guard_check(capt_backend *be, capt_err *err)
{
    return be->failed ? capt_fail(err, CAPT_ENOMEM, "guard: out of memory") : 0;
}

static void guard_close(capt_backend *be)
{
    struct region *g = be->priv;
    munmap(g->base, g->size);
    capt_vec_free(&g->blocks);
    free(g);
    free(be);
}

#define KERNEL(name, parameters, arguments)  \
    static void guard_##name parameters      \
    {                                        \
        doors(be, PROT_READ | PROT_WRITE);   \
        if (!be->failed)                     \
            capt_ref_##name arguments;       \
        doors(be, PROT_NONE);                \
    }
#include "backend/kernel.def"
#undef KERNEL

capt_backend *capt_backend_guard_new(capt_pool *pool, capt_err *err)
{
    struct region *g = capt_alloc(sizeof *g);
    g->base = MAP_FAILED; /* addresses only: pages come when they are touched */
    for (g->size = (size_t)1 << 36; g->base == MAP_FAILED && g->size >= (size_t)1 << 28;) {
        g->base = mmap(NULL, g->size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (g->base == MAP_FAILED)
            g->size /= 2;
    }
    if (g->base == MAP_FAILED) {
        capt_fail_errno(err, "guard: mmap");
        free(g);
        return NULL;
    }
    capt_backend *be = capt_alloc(sizeof *be);
    *be = (capt_backend){
        .name = "guard", .isa = "plain", .pool = pool, .priv = g, .alloc = guard_alloc, .free = guard_free, .upload = guard_copy,
        .download = guard_copy, .check = guard_check, .close = guard_close,
#define KERNEL(name, parameters, arguments) .name = guard_##name,
#include "backend/kernel.def"
#undef KERNEL
    };
    return be;
}
