/* What the benches share: the clock and the machine's peak. One thread: processor time, so other load on the machine disturbs little; more: wall time. */
#ifndef CAPT_BENCH_MEASURE_H
#define CAPT_BENCH_MEASURE_H
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "backend/backend.h"

static int n_thread = 1;

static double now(void)
{
    struct timespec t;
    clock_gettime(n_thread == 1 ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int cmp(const void *a, const void *b)
{
    double d = *(const double *)a - *(const double *)b;
    return (d > 0) - (d < 0);
}

/* the median */
static inline double middle(double *t, int n)
{
    qsort(t, (size_t)n, sizeof *t, cmp);
    return n % 2 ? t[n / 2] : (t[n / 2] + t[n / 2 - 1]) / 2;
}

/* whether products of bf16 are of pairs of them, not of floats made of them */
static inline int pairs_of_bf16(const capt_backend *be) { return strcmp(be->isa, "avx512bf16") == 0 || strcmp(be->isa, "amx") == 0; }

/* 12 independent chains of one instruction; 4 of AMX's product of 16 x 16 x 32, whose latency is 3 of its 16 cycles' turns */
#if defined __x86_64__
#define CHAIN(op, r, i) op " %%" r "13, %%" r "14, %%" r #i "\n"
#define LOOP(op, r) \
    __asm__ volatile("1:" CHAIN(op, r, 0) CHAIN(op, r, 1) CHAIN(op, r, 2) CHAIN(op, r, 3) CHAIN(op, r, 4) CHAIN(op, r, 5) CHAIN(op, r, 6) CHAIN(op, r, 7) \
                     CHAIN(op, r, 8) CHAIN(op, r, 9) CHAIN(op, r, 10) CHAIN(op, r, 11) "dec %0\njnz 1b\n" : "+r"(n) : : "cc", "xmm0", "xmm1", "xmm2", "xmm3", \
                     "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm13", "xmm14")
enum unit { FMA_YMM, FMA_ZMM, DOT_ZMM, DOT_TILE };
static const double iter_ops[] = {12 * 16, 12 * 32, 12 * 64, 4 * 16384};
static const long iters[] = {700000, 700000, 700000, 65000};
static void spin_tiles(long n)
{
    unsigned char was[64], shape[64] = {1}; /* of all tiles: 16 rows of 64 bytes; a backend's own shape is put back */
    for (int i = 0; i < 8; i++) {
        shape[16 + 2 * i] = 64;
        shape[48 + i] = 16;
    }
    __asm__ volatile("sttilecfg %0\nldtilecfg %1\ntilezero %%tmm4\ntilezero %%tmm5\n" : "=m"(was) : "m"(shape));
    __asm__ volatile("1: tdpbf16ps %%tmm4, %%tmm5, %%tmm0\ntdpbf16ps %%tmm4, %%tmm5, %%tmm1\ntdpbf16ps %%tmm4, %%tmm5, %%tmm2\ntdpbf16ps %%tmm4, %%tmm5, %%tmm3\n"
                     "dec %0\njnz 1b\n" : "+r"(n) : : "cc");
    __asm__ volatile("ldtilecfg %0" : : "m"(was));
}
static void spin(void *arg, int64_t task, int worker)
{
    enum unit kind = *(enum unit *)arg;
    long n = iters[kind];
    (void)task, (void)worker;
    if (kind == DOT_TILE)
        spin_tiles(n);
    else if (kind == DOT_ZMM)
        LOOP("vdpbf16ps", "zmm");
    else if (kind == FMA_ZMM)
        LOOP("vfmadd231ps", "zmm");
    else
        LOOP("vfmadd231ps", "ymm");
}

/* GF/s of the multiply-add instruction (f32 or bf16) on n_thread threads, the median of 9 times 1.6 ms or so; 0 where it is not known. */
__attribute__((unused)) static double measure_peak(capt_backend *be, int bf16)
{
    int amx = strcmp(be->isa, "amx") == 0, wide = amx || strncmp(be->isa, "avx512", 6) == 0;
    enum unit kind = bf16 && amx ? DOT_TILE : bf16 && pairs_of_bf16(be) ? DOT_ZMM : wide ? FMA_ZMM : FMA_YMM;
    if (!wide && strcmp(be->isa, "avx2") != 0)
        return 0;
    double t[9], ops = iter_ops[kind] * (double)iters[kind] * n_thread;
    for (int i = 0; i < 9; i++) {
        double t0 = now();
        capt_pool_run(be->pool, n_thread, spin, &kind);
        t[i] = now() - t0;
    }
    qsort(t, 9, sizeof *t, cmp);
    return ops / t[4] * 1e-9;
}
#else
static double measure_peak(capt_backend *be, int bf16) { (void)be, (void)bf16; return 0; }
#endif

/* how many peaks of f32 the peak of bf16 is: the median of 5, the two in turns */
static inline double f32_peaks(capt_backend *be)
{
    double r[5];
    for (int i = 0; i < 5; i++)
        r[i] = measure_peak(be, 1) / measure_peak(be, 0);
    return middle(r, 5);
}

/* Runs of one thing: seconds, the peak around each (GF/s) and the share of it that the run had. Neighbours on a shared machine move the peak by a third within
 * seconds, so that one peak for many runs says little about them. */
enum { MOST_RUNS = 200 };
typedef struct timed { double t[MOST_RUNS], peak[MOST_RUNS], share[MOST_RUNS]; int n; } timed;

/* before, after: the peak measured then */
static inline void timed_add(timed *r, double t, double ops, double before, double after)
{
    double p = (before + after) / 2;
    r->t[r->n] = t;
    r->peak[r->n] = p;
    r->share[r->n++] = p > 0 ? ops / t * 1e-9 / p : 0;
}

/* GB/s of reading memory in order on n_thread threads: the median of 5 passes over 768 MiB, well beyond what a guest's share of a last-level cache keeps. */
enum { READ_PART = 1 << 20, READ_PARTS = 768 };
struct read_all { const unsigned char *p; uint64_t sum[64]; };
static void read_part(void *arg, int64_t task, int worker)
{
    struct read_all *r = arg;
    const uint64_t *p = (const uint64_t *)(const void *)(r->p + task * READ_PART);
    uint64_t s[8] = {0};
    for (int i = 0; i < READ_PART / 8; i += 8)
        for (int j = 0; j < 8; j++)
            s[j] ^= p[i + j];
    for (int j = 0; j < 8; j++)
        r->sum[worker % 64] ^= s[j];
}

static inline double measure_read(capt_backend *be)
{
    double t[5];
    struct read_all r = {.p = be->alloc(be, (size_t)READ_PART * READ_PARTS)};
    if (!r.p)
        return 0;
    memset((void *)r.p, 1, (size_t)READ_PART * READ_PARTS);
    for (int i = 0; i < 5; i++) {
        double t0 = now();
        capt_pool_run(be->pool, READ_PARTS, read_part, &r);
        t[i] = now() - t0;
    }
    be->free(be, (void *)r.p);
    qsort(t, 5, sizeof *t, cmp);
    return (double)READ_PART * READ_PARTS / t[2] * 1e-9;
}
#endif
