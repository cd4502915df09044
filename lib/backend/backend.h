/* The compute interface: one struct of function pointers a backend, generated from kernel.def.
 *
 * Backends: ref (plain loops: the oracle, also built in double), guard (ref whose memory is PROT_NONE outside kernel calls), cpu (the fast
 * one), cuda (a module opened at run time). One thread calls into a backend at a time; a backend may use its pool inside a call. Memory from
 * alloc belongs to the backend and is read by host code only through download. */
#ifndef CAPT_BACKEND_H
#define CAPT_BACKEND_H
#include <stddef.h>
#include <stdint.h>
#include "base/dtype.h"
#include "base/err.h"
#include "base/thread.h"

typedef struct capt_backend capt_backend;
typedef struct capt_weight capt_weight; /* a backend's packed matrix */

enum capt_map_id { /* the tag: struct capt_map is base/file.h's */
#define MAP(name, value, derivative) CAPT_MAP_##name,
#include "backend/map.def"
#undef MAP
    CAPT_N_MAP
};

typedef struct capt_conv { int64_t B; int H, W, C, N, kh, kw, stride, pad, OH, OW; } capt_conv;

enum { CAPT_ATTN_FULL = -1 };
typedef struct capt_attn {
    int64_t B;
    int Tq, Tk, H, dh;
    int64_t q_row, k_row, v_row; /* elements from one token to the next; the heads of a token lie side by side; batch b starts at b*T*row */
    int causal;                  /* query t sees keys 0..t+causal; CAPT_ATTN_FULL: all */
    const int32_t *k_len;        /* (B) valid keys of each, backend memory; NULL: Tk. A query without any key yields 0 */
    double scale;                /* usually 1/sqrt(dh) */
    double drop;                 /* dropout of the probabilities, element ((b0+b)*H+h)*Tq*Tk + tq*Tk + tk, masked as in kernel dropout */
    uint64_t key;
    int64_t b0;
} capt_attn;

typedef struct capt_attn_step {
    int R, H, dh;
    int64_t q_row;
    double scale;
    /* shared by the rows of an image: (I,S) tokens, NULL when S is 0 */
    const capt_real *sk, *sv; int64_t s_row; int S;
    const int32_t *s_len;     /* (I) or NULL */
    const int32_t *row_image; /* (R) */
    /* own past: token t of a row is at slot anc[t*slots + r] of step t: ok + (t*slots + slot)*o_row */
    const capt_real *ok, *ov; int64_t o_row; int T, slots;
    const int32_t *anc;
    capt_real *map; /* out (R,S): what the row takes of the shared tokens, as attn_map's; NULL: not wanted */
} capt_attn_step;

enum { CAPT_LSTM, CAPT_LSTM_MAXOUT }; /* kinds of recurrent cell: kernel.def, lstm_fwd */
static inline int capt_lstm_gates(int kind) { return kind == CAPT_LSTM_MAXOUT ? 5 : 4; }

typedef struct capt_visatt {
    int I, R, S, A, D;
    int act;                  /* enum capt_map_id */
    const int32_t *row_image; /* (R), backend memory */
    const int32_t *len;       /* (I) valid feature rows, backend memory; NULL: S */
} capt_visatt;

typedef struct capt_adjust { int32_t row, token; float add; } capt_adjust;

/* w -= lr*(mhat/(sqrt(vhat)+eps) + decay*w), g scaled by gscale first and then, with glimit > 0, cut to -glimit..glimit; c1 = 1-beta1^t, c2 = 1-beta2^t */
typedef struct capt_adamw { double lr, beta1, beta2, eps, decay, c1, c2, gscale, glimit; } capt_adamw;

/* A matrix (N,K) that lies in none of the backend's memory: read fills `to` with its rows r0 to r1-1. Called by the pool's threads, for disjoint rows. */
typedef struct capt_weight_rows {
    void (*read)(const void *arg, capt_real *to, int r0, int r1);
    const void *arg;
} capt_weight_rows;

struct capt_backend {
    const char *name; /* "ref", "guard", "cpu", "cuda" */
    char isa[32];     /* instruction set in use: "avx512bf16", "portable", ... */
    capt_pool *pool;  /* borrowed; may be NULL */
    void *priv;
    int reads_host;   /* kernels read host memory where it lies: what they do not write need not be uploaded */
    int reads_packed; /* products given a packed weight read nothing else of it */
    int failed;       /* sticky: a kernel or allocation failed */
    void *(*alloc)(capt_backend *be, size_t n); /* 64-byte aligned, content undefined; NULL sets failed */
    void (*free)(capt_backend *be, void *p);
    void (*upload)(capt_backend *be, void *dst, const void *src, size_t n);
    void (*download)(capt_backend *be, void *dst, const void *src, size_t n); /* waits for the work before it */
    int (*check)(capt_backend *be, capt_err *err); /* 0, or -1 and why it failed */
    void (*close)(capt_backend *be);               /* all memory and weights must be freed before */
#define KERNEL(name, parameters, arguments) void (*name) parameters;
#include "backend/kernel.def"
#undef KERNEL
};

/* The tables as text: a host and a module must agree on it byte for byte. */
extern const char capt_backend_abi[];

/* name: auto, cpu, ref, guard, cuda. auto takes the best one present. "cuda" without a device or module: -1, CAPT_EDEVICE and the reason.
 * The environment variable CAPT_CPU_ISA (portable, cblas: that with OpenBLAS if it is there, avx2, avx512, avx512bf16, amx) lowers what the cpu backend uses. pool is borrowed. */
capt_backend *capt_backend_open(const char *name, capt_pool *pool, capt_err *err);
void capt_backend_close(capt_backend *be); /* NULL is fine */
const char *capt_backend_list(void);       /* "cpu (avx512bf16), ref, guard; cuda: ..."; this thread's, until its next call */
/* the constructors behind the names */
capt_backend *capt_backend_ref_new(capt_pool *pool, capt_err *err);
capt_backend *capt_backend_guard_new(capt_pool *pool, capt_err *err);
capt_backend *capt_backend_cpu_new(capt_pool *pool, capt_err *err);
#endif
