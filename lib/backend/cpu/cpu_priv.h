/* The fast backend for CPUs: what its files share. Single precision only; with CAPT_REAL64 every file but cpu.c is empty.
 *
 * Two layers. The drivers (gemm.c, linear.c, head.c, ...) split work over the pool and own the blocking; they are compiled once,
 * for the base instruction set. The leaves (tiles, packing, row and elementwise functions) are one template, isa_priv.h, compiled
 * once an instruction set and reached through struct cpu_isa. A driver splits over outputs only, and a sum over rows runs in
 * chunks of fixed size joined in fixed order: the bits never depend on the number of threads.
 *
 * A panel is 32 columns of the right operand, k by k, rows past the end zero, in a format; for products of bf16 that is the instruction set's fmt16:
 *   F_F32    float [K][32]
 *   F_ROUND  the same, of bf16 values: for the base instruction set, as BLAS wants them
 *   F_HALF   bf16 [K][16][2], columns c and c + VL side by side (VL: floats of a vector): the tile widens them in registers, the left operand is F_ROUND
 *   F_BF16   bf16 [K/2][32][2], two values of k side by side, an odd last k zero: for dot products of pairs, the left operand is bf16 too
 * so that the weights' bytes, the bound when few rows are decoded, are half of the floats' wherever there are vectors. */
#ifndef CAPT_BACKEND_CPU_PRIV_H
#define CAPT_BACKEND_CPU_PRIV_H
#include "backend/backend.h"

#ifndef CAPT_REAL64

enum { F_F32, F_ROUND, F_HALF, F_BF16 };
enum { PANEL = 32 };                  /* columns of a panel */
enum { SMALL = 1 << 14 };             /* elements: below, the pool costs more than it saves (about 10 us) */
enum { CHUNK = 1 << 14 };             /* elements of an elementwise task and of a partial sum */
#define ROUND_UP(x, m) (((x) + (m) - 1) / (m) * (m))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

struct cpu_isa {
    const char *name;
    int fmt16;                        /* of panels of bf16 values */
    int mr, mr16;                     /* most rows of a tile, and of one whose panels are in fmt16 */
    /* y (rows,n<=32) = a (rows,k) * panel, added to y when add; next: panel bytes to come, a quarter as many as these k have, asked for meanwhile */
    void (*tile)(int rows, const void *a, int64_t lda, const void *b, int k, float *y, int64_t ldy, int add, int n, const void *next);
    void (*tile16)(int rows, const void *a, int64_t lda, const void *b, int k, float *y, int64_t ldy, int add, int n, const void *next); /* a panel in fmt16, when that is of two bytes */
    /* formats and layouts */
    void (*convert)(int fmt, void *y, const float *x, int64_t n);
    /* far: the panel, a multiple of 64 bytes, is not read soon and need not be in any cache */
    void (*pack_cols)(int fmt, void *panel, const float *w, int64_t ldw, int rows, int K, int far); /* rows (<=32) of w become the columns of a panel */
    void (*pack_rows)(int fmt, void *panel, int64_t stride, const void *x, int64_t ldx, int rows, int cols, int far); /* row-major x, converted, to panels `stride` elements apart */
    void (*away)(float *y, const float *x, int64_t n); /* y = x, and y is not read soon */
    void (*transpose)(int esz, void *y, int64_t ldy, const void *x, int64_t ldx, int rows, int cols); /* y[c][r] = x[r][c]; bf16: an odd last r is padded with zero; rows of y have room for a multiple of 16 words */
    /* elementwise */
    void (*map_fwd[CAPT_N_MAP])(float *y, const float *x, int64_t n);
    void (*map_bwd[CAPT_N_MAP])(float *dx, float beta, const float *dy, const float *x, int64_t n);
    void (*fill)(float *y, int64_t n, float v);
    void (*axpby)(float *y, float b, const float *x, float a, int64_t n);
    void (*add)(float *y, const float *p, const float *q, int64_t n);
    void (*add_scalar)(float *y, float v, int64_t n);
    void (*mul)(float *y, float beta, const float *p, const float *q, int64_t n);
    void (*norm)(float *y, const float *mean, const float *rstd, const float *g, const float *b, const float *plus, int relu, int64_t n); /* y = (y - mean)*rstd*g + b + plus (NULL: nothing), its maximum with 0 when relu */
    void (*keep)(uint8_t *k, int64_t n, double p, uint64_t key, uint64_t i0); /* dropout's mask, 0 or 1 */
    void (*dropout)(float *y, float beta, const float *x, int64_t n, double p, uint64_t key, uint64_t i0);
    void (*attn_mask)(float *p, const uint8_t *kept, float mul, int64_t n);
    void (*attn_grad)(float *restrict ds, float *restrict p, const uint8_t *restrict kept, float up, float delta, float scale, int64_t n);
    void (*pixels)(float *y, const uint8_t *x, int64_t n, const float *mean3, const float *std3);
    void (*adamw)(float *w, const float *g, float *m, float *v, int64_t n, const capt_adamw *hp);
    /* rows */
    float (*dot)(const float *x, const float *y, int64_t n);
    /* what these two write overlaps nothing that they read, the array of pointers included; keys may be the same one or overlap, values too */
    void (*dots)(float *restrict p, const float *restrict q, const float *const *k, int64_t at, int n, int dh); /* p[i] = dot(q, k[i] + at), dh long */
    void (*weigh)(float *restrict o, const float *p, float mul, const float *const *v, int64_t at, int n, int dh); /* o = sum over i of p[i]*mul * (v[i] + at), dh long */
    float (*sum)(const float *x, int64_t n);
    float (*max)(const float *x, int64_t n);
    float (*exp_sum)(float *y, const float *x, float mul, float sub, int64_t n); /* y = exp(x*mul - sub); their sum */
    void (*col_sum)(float *s, const float *x, int64_t ldx, int rows, int n);
    double (*sumsq)(const float *x, int64_t n);
    void (*ln_fwd)(float *y, float *mean, float *rstd, const float *x, const float *g, const float *b, int64_t rows, int D, float eps);
    void (*ln_bwd)(float *dx, float beta, float *dg, float *db, const float *dy, const float *x, const float *mean, const float *rstd, const float *g, int64_t rows, int D);
    /* g = weight*(p - soft - hot at target), p = e*inv, in format */
    void (*xent_grad)(int fmt, void *g, const float *e, float inv, float soft, float hot, int target, float weight, int64_t n);
};
extern const struct cpu_isa capt_cpu_isa_portable, capt_cpu_isa_avx2, capt_cpu_isa_avx512, capt_cpu_isa_avx512bf16, capt_cpu_isa_amx;

/* a BLAS library's product, opened when the instruction set is portable; NULL: the tile in C */
typedef void cpu_sgemm_fn(int order, int ta, int tb, int M, int N, int K, float alpha, const float *A, int lda, const float *B, int ldb, float beta, float *C, int ldc);

enum { BUF_A, BUF_B, BUF_C, BUF_D, BUF_E, N_BUF };
struct cpu {
    const struct cpu_isa *isa;
    int n_worker, mr; /* mr: rows of a tile of floats as called */
    cpu_sgemm_fn *sgemm;
    void *blas;
    struct cpu_mem { void *p; size_t n; } buf[N_BUF], *work; /* shared scratch by purpose, and one a worker */
    struct capt_cpu_heap *heap;
};
static inline struct cpu *cpu_of(capt_backend *be) { return be->priv; }
static inline const struct cpu_isa *isa_of(capt_backend *be) { return ((struct cpu *)be->priv)->isa; }
/* memory.c: alloc and free of the backend, from any thread, and the large pieces that were given back. What is in use when the heap is freed stays its owner's. */
struct capt_cpu_heap *capt_cpu_heap_new(void);
void capt_cpu_heap_free(struct capt_cpu_heap *h);
void *capt_cpu_alloc(capt_backend *be, size_t n);
void capt_cpu_free(capt_backend *be, void *p);
/* scratch of at least n bytes, 64-byte aligned, content undefined, valid until asked for again; NULL: be->failed is set */
void *capt_cpu_buf(capt_backend *be, int which, size_t n);
void *capt_cpu_work(capt_backend *be, int worker, size_t n);
/* runs tasks in the pool, or here when the whole is small */
void capt_cpu_run(capt_backend *be, int64_t n, int parallel, void (*fn)(void *arg, int64_t task, int worker), void *arg);

static inline void cpu_tile(const struct cpu *c, int fmt, int rows, const void *a, int64_t lda, const void *b, int k, float *y, int64_t ldy, int add, int n, const void *next)
{
    if (fmt >= F_HALF)
        c->isa->tile16(rows, a, lda, b, k, y, ldy, add, n, next);
    else if (c->sgemm) /* row major, not transposed */
        c->sgemm(101, 111, 111, rows, n, k, 1, a, (int)lda, b, PANEL, (float)add, y, (int)ldy);
    else
        c->isa->tile(rows, a, lda, b, k, y, ldy, add, n, next);
}
/* format of panels, and of the left operand with them */
static inline int fmt_of(capt_backend *be, int ct) { return ct == CAPT_BF16 ? isa_of(be)->fmt16 : F_F32; }
static inline int left_of(int fmt) { return fmt == F_HALF ? F_ROUND : fmt; }
/* most rows of a tile with panels in format */
static inline int tile_rows(const struct cpu *c, int fmt) { return fmt >= F_HALF ? c->isa->mr16 : c->mr; }
static inline int fmt_size(int fmt) { return fmt >= F_HALF ? 2 : 4; }
static inline int64_t pad_k(int64_t k, int fmt) { return fmt == F_BF16 ? (k + 1) & ~(int64_t)1 : k; }
static inline size_t panel_bytes(int64_t N, int64_t K, int fmt) { return (size_t)(ROUND_UP(N, PANEL) * pad_k(K, fmt)) * (size_t)fmt_size(fmt); }

struct cpu_norm { const float *mean, *rstd, *g, *b; }; /* by columns: (y - mean)*rstd*g + b */
/* one product y (M,N) = a (M,K) b, with what is done to a finished row of y */
struct cpu_gemm {
    const struct cpu *c;
    int fmt, N, K;              /* fmt: of the panels; K as the left operand has it: padded where that is bf16 */
    int64_t M;
    const void *a; int64_t lda; /* in left_of(fmt); lda in elements */
    const void *b;              /* panels */
    float *y; int64_t ldy; int add;
    const float *bias; int act; float *pre; /* pre has y's shape and ldy; act 0: none */
    const struct cpu_norm *norm;            /* or NULL; instead of these: y = norm(y) + plus, its maximum with 0 when relu; plus has y's shape and ldy or is NULL */
    const float *plus; int relu;
};
void capt_cpu_gemm(capt_backend *be, const struct cpu_gemm *g);
/* what is done to finished rows i0..i1, n columns from c0 on */
void capt_cpu_gemm_finish(const struct cpu_gemm *g, int64_t i0, int64_t i1, int64_t c0, int64_t n);
/* the part of rows i0..i1 and panels p0..p1, by this thread */
void capt_cpu_gemm_part(const struct cpu_gemm *g, int64_t i0, int64_t i1, int64_t p0, int64_t p1);
/* Whether a tile's rows of the left operand, in format, of which a line each is read at a time, fall into too few sets of L1 when they begin so many bytes apart: these come
 * round every 4 KiB and hold 8 lines or more. Never with BLAS, which makes copies of its own. */
int capt_cpu_crowded(const struct cpu *c, int fmt, int64_t bytes);
/* elements from a row of a left operand to the next where n are to be kept: whole lines, not crowded */
int64_t capt_cpu_ld(const struct cpu *c, int fmt, int64_t n);
/* x (M,K) in format with a good leading dimension: x itself or a copy in buf `which` */
const void *capt_cpu_left(capt_backend *be, int which, int fmt, const float *x, int64_t M, int K, int64_t *lda);
/* n elements in format, flat: x itself or a copy in buf `which` */
const void *capt_cpu_flat(capt_backend *be, int which, int fmt, const float *x, int64_t n);
/* fills rows r0..r1 of a matrix with K columns, in format */
typedef void cpu_rows_fn(void *arg, void *dst, int64_t ld, int64_t r0, int64_t r1);
/* dw (N,K) (+)= dy (M,N)^T x (M,K): dy floats (dyf) or in left_of(fmt) (dyh), x by rows in fmt; db (N) (+)= column sums of dy */
struct cpu_gemm_tn {
    int fmt, N, K;
    int64_t M;
    const float *dyf; const void *dyh; int64_t lddy;
    cpu_rows_fn *rows; void *arg;
    float *dw; int add_w; /* beta_w is 0 or 1 */
    float *db; int add_b;
};
void capt_cpu_gemm_tn(capt_backend *be, const struct cpu_gemm_tn *g);
void capt_cpu_linear_tn(capt_backend *be, struct cpu_gemm_tn *t, const float *x); /* the same, x float rows */

struct capt_weight {
    int N, K, ct, fmt;
    capt_weight_rows rows;     /* read: NULL when they are those of w */
    struct cpu_panels {
        void *fwd;      /* of the columns of w^T; NULL until the first product */
        void *bwd;      /* of w's rows; NULL until the first backward pass */
    } *panels;
};
/* panels for y = x w^T, or for dx = dy w: of wp, or packed now in buf BUF_B */
const void *capt_cpu_panels_fwd(capt_backend *be, const float *w, const capt_weight *wp, int N, int K, int fmt);
const void *capt_cpu_panels_bwd(capt_backend *be, const float *w, const capt_weight *wp, int N, int K, int fmt);

/* the kernel table's functions */
#define KERNEL(name, parameters, arguments) void capt_cpu_##name parameters;
#include "backend/kernel.def"
#undef KERNEL
#endif
#endif
