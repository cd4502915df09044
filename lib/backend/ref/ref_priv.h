/* The reference kernels: plain loops on capt_real, one thread, the oracle of every other backend. Shared by ref and guard. */
#ifndef CAPT_BACKEND_REF_PRIV_H
#define CAPT_BACKEND_REF_PRIV_H
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "backend/backend.h"
#include "base/bf16.h"

#ifdef CAPT_REAL64
#define EXP exp
#define TANH tanh
#define ERF erf
#define SQRT sqrt
#else
#define EXP expf
#define TANH tanhf
#define ERF erff
#define SQRT sqrtf
#endif

#define KERNEL(name, parameters, arguments) void capt_ref_##name parameters;
#include "backend/kernel.def"
#undef KERNEL

/* Uninitialised host memory for one kernel call, free(3); NULL sets be->failed. */
void *capt_ref_scratch(capt_backend *be, size_t n, size_t size);

/* What a matrix product reads: x, or x rounded to bf16. */
static inline capt_real capt_ref_operand(capt_real x, int ct)
{
    return ct == CAPT_BF16 ? (capt_real)capt_bf16_to_f32(capt_bf16_from_f32((float)x)) : x;
}

/* c (M,N) rows ldc apart = beta*c + sum over k of A(i,k)*B(k,j), k rising; A(i,k) = a[i*ai + k*ak], B(k,j) = b[k*bk + j*bj]. */
void capt_ref_gemm(capt_backend *be, capt_real *c, int64_t ldc, double beta, const capt_real *a, int64_t ai, int64_t ak,
                   const capt_real *b, int64_t bk, int64_t bj, int64_t M, int64_t N, int64_t K, int ct);
/* db[j] = beta*db[j] + sum over the rows of dy (M,N) */
void capt_ref_sum(capt_backend *be, capt_real *db, double beta, const capt_real *dy, int64_t M, int64_t N);

/* 1 when element e survives dropout with probability p under key (kernel.def, dropout). w caches the last block of words. */
typedef struct capt_ref_mask { uint64_t key, block; uint32_t below, w[4]; int have; } capt_ref_mask;
void capt_ref_mask_init(capt_ref_mask *m, double p, uint64_t key);
int capt_ref_mask_keep(capt_ref_mask *m, uint64_t e);
#endif
