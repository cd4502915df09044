/* The cpu backend: choice of the instruction set, tasks. */
#include "backend/cpu/cpu_priv.h"

#ifdef CAPT_REAL64
capt_backend *capt_backend_cpu_new(capt_pool *pool, capt_err *err)
{
    (void)pool;
    capt_fail(err, CAPT_EDEVICE, "the cpu backend is single precision");
    return NULL;
}
#else
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#if defined __x86_64__
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>
#endif
#include "base/mem.h"

static void copy(capt_backend *be, void *dst, const void *src, size_t n)
{
    (void)be;
    if (n)
        memcpy(dst, src, n);
}

static int check(capt_backend *be, capt_err *err)
{
    return be->failed ? capt_fail(err, CAPT_ENOMEM, "cpu: out of memory") : 0;
}

void capt_cpu_run(capt_backend *be, int64_t n, int parallel, void (*fn)(void *arg, int64_t task, int worker), void *arg)
{
    if (parallel && n > 1 && cpu_of(be)->n_worker > 1) {
        capt_pool_run(be->pool, n, fn, arg);
        return;
    }
    for (int64_t i = 0; i < n; i++)
        fn(arg, i, 0);
}

static void cpu_close(capt_backend *be)
{
    struct cpu *c = be->priv;
    for (int i = 0; i < N_BUF; i++)
        free(c->buf[i].p);
    for (int i = 0; i < c->n_worker; i++)
        free(c->work[i].p);
    free(c->work);
    capt_cpu_heap_free(c->heap);
    if (c->blas)
        dlclose(c->blas);
    free(c);
    free(be);
}

#if defined __x86_64__
static int has_avx512(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
}
/* Intel's processors but Cooper Lake run VDPBF16PS at a quarter of the multiply-add's rate, half its arithmetic (82 against 168 GF/s measured on an
 * Emerald Rapids): their unit for bf16 is AMX's, and where a virtual machine hides it the float tile over bf16 panels is the faster way. */
static int has_avx512bf16(void)
{
#if defined CAPT_EMULATE_BF16 /* tests/emulate_bf16.h */
    return has_avx512();
#endif
    return has_avx512() && __builtin_cpu_supports("avx512bf16") && (!__builtin_cpu_is("intel") || __builtin_cpu_is("cooperlake"));
}
/* The system has to have tile registers too, and lets a process use them when asked (arch_prctl(2), ARCH_REQ_XCOMP_PERM for XTILEDATA). */
static int has_amx(void)
{
#if defined CAPT_EMULATE_BF16 /* tests/emulate_amx.h */
    return has_avx512();
#endif
    enum { REQUEST = 0x1023, TILE_DATA = 18 };
    unsigned a, b, c, d, want = 1U << 24 | 1U << 22; /* AMX-TILE, AMX-BF16 */
    return has_avx512() && __builtin_cpu_supports("avx512bf16") && __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & want) == want &&
           syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
}
static int has_avx2(void) { return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"); }
#endif

/* OpenBLAS alone: the reference BLAS, which may stand behind libblas.so.3, is slower than our portable tile */
static void *open_blas(cpu_sgemm_fn **sgemm)
{
    void *lib = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    void *f = lib ? dlsym(lib, "cblas_sgemm") : NULL, *set = lib ? dlsym(lib, "openblas_set_num_threads") : NULL;
    if (lib && !(f && set)) {
        dlclose(lib);
        return NULL;
    }
    if (lib) { /* the threads are ours */
        void (*threads)(int);
        memcpy(&threads, &set, sizeof set);
        threads(1);
        memcpy(sgemm, &f, sizeof f);
    }
    return lib;
}

static int has_blas(void)
{
    cpu_sgemm_fn *f;
    void *lib = open_blas(&f);
    if (lib)
        dlclose(lib);
    return lib != NULL;
}

/* best first */
static const struct level {
    const struct cpu_isa *isa;
    const char *name;
    int (*has)(void);
    int blas; /* OpenBLAS in place of the tile for products of floats */
} level[] = {
#if defined __x86_64__
    {&capt_cpu_isa_amx, "amx", has_amx, 0},
    {&capt_cpu_isa_avx512bf16, "avx512bf16", has_avx512bf16, 0},
    {&capt_cpu_isa_avx512, "avx512", has_avx512, 0},
    {&capt_cpu_isa_avx2, "avx2", has_avx2, 0},
#endif
    {&capt_cpu_isa_portable, "cblas", has_blas, 1},
    {&capt_cpu_isa_portable, "portable", NULL, 0},
};
enum { N_LEVEL = sizeof level / sizeof *level };

/* the best level the processor has, from the one named by CAPT_CPU_ISA down; NULL: no such name */
static const struct level *choose(const char *want)
{
    unsigned i = 0;
    if (want && *want)
        while (i < N_LEVEL && strcmp(level[i].name, want) != 0)
            i++;
    if (i == N_LEVEL)
        return NULL;
#if defined __x86_64__
    __builtin_cpu_init();
#endif
    for (; i < N_LEVEL - 1; i++)
        if (level[i].has())
            break;
    return &level[i];
}

capt_backend *capt_backend_cpu_new(capt_pool *pool, capt_err *err)
{
    const char *want = getenv("CAPT_CPU_ISA");
    const struct level *l = choose(want);
    if (!l) {
        capt_fail(err, CAPT_EUSAGE, "CAPT_CPU_ISA is %s: want portable, cblas, avx2, avx512, avx512bf16 or amx", want);
        return NULL;
    }
    capt_backend *be = capt_alloc(sizeof *be);
    struct cpu *c = capt_alloc(sizeof *c);
    c->isa = l->isa;
    c->mr = l->isa->mr;
    if (l->blas && (c->blas = open_blas(&c->sgemm)) != NULL)
        c->mr = 112;
    c->n_worker = capt_pool_size(pool);
    c->work = capt_alloc(sizeof *c->work * (size_t)c->n_worker);
    c->heap = capt_cpu_heap_new();
    be->name = "cpu";
    snprintf(be->isa, sizeof be->isa, "%s", l->name);
    be->pool = pool;
    be->reads_host = be->reads_packed = 1;
    be->priv = c;
    be->alloc = capt_cpu_alloc;
    be->free = capt_cpu_free;
    be->upload = copy;
    be->download = copy;
    be->check = check;
    be->close = cpu_close;
#define KERNEL(name, parameters, arguments) be->name = capt_cpu_##name;
#include "backend/kernel.def"
#undef KERNEL
    return be;
}
#endif
