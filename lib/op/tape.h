/* The compute context and the tape. A capt_ctx is passed to every operator: backend, step memory, tape, random key, sticky error. One a thread.
 *
 * Every tensor an operator returns lives in the step memory and dies at capt_ctx_reset. After an error every operator returns the poison tensor and
 * does nothing; the step is checked once (capt_ctx_check). With the tape on, operators record their hand-written backward; capt_tape_backward runs them
 * in reverse. A gradient buffer is made on first use, in step memory (parameters bring their own), and that of an operator's output is used again for
 * others after the operator's backward: only leaves keep theirs. */
#ifndef CAPT_OP_TAPE_H
#define CAPT_OP_TAPE_H
#include "base/arena.h"
#include "tensor/tensor.h"

typedef struct capt_node capt_node;
typedef struct capt_ctx {
    capt_backend *be;
    capt_dtype compute;  /* CAPT_F32 or CAPT_BF16: what matrix products read */
    int recording;       /* tape on */
    int training;        /* dropout and batch statistics on */
    int again;           /* a segment is being made a second time (recompute.c): running statistics have been updated already */
    uint64_t seed, step; /* of dropout's key, with the op's number in the step */
    int64_t row0;        /* global number of the first row of the (micro-)batch: dropout does not depend on how a batch is cut */
    int64_t image0;      /* global number of its first image: row0 while a captioner works on images instead of rows */
    uint32_t op_count;
    capt_err err;
    capt_tensor poison;
    struct capt_steps *mem; /* step memory of the backend */
    capt_arena *host;       /* tensors' heads, nodes */
    capt_node *last;
} capt_ctx;

/* compute: CAPT_F32 or CAPT_BF16. be is borrowed and outlives the context. */
capt_ctx *capt_ctx_new(capt_backend *be, capt_dtype compute, capt_err *err);
void capt_ctx_free(capt_ctx *c);
/* Forgets all step tensors and the tape, keeps the memory for the next step; clears nothing of err. */
void capt_ctx_reset(capt_ctx *c);
/* 0, or -1 with the first error of an operator or the backend. */
int capt_ctx_check(capt_ctx *c, capt_err *err);
/* Step memory taken since the mark is given back (the tensors in it are dead then). Does nothing if something was recorded on the tape since. */
typedef struct capt_mark { size_t chunk, used; const capt_node *last; } capt_mark;
capt_mark capt_ctx_mark(const capt_ctx *c);
void capt_ctx_release(capt_ctx *c, capt_mark m);
size_t capt_ctx_peak(const capt_ctx *c); /* bytes of step memory held */

/* For writers of operators and models */
capt_tensor *capt_ctx_tensor(capt_ctx *c, capt_dtype t, int ndim, const int64_t *dim); /* content undefined; poison on error */
#define capt_ctx_real(c, ...) capt_ctx_tensor((c), CAPT_F32, (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__})
void *capt_ctx_bytes(capt_ctx *c, size_t n);                                  /* raw step memory; NULL on error */
capt_tensor *capt_ctx_upload(capt_ctx *c, capt_dtype t, int ndim, const int64_t *dim, const void *host); /* host elements: capt_real, int32_t or uint8_t */
int32_t *capt_ctx_upload_i32(capt_ctx *c, const int32_t *host, int64_t n);
int capt_ctx_download(capt_ctx *c, void *host, const void *dev, size_t n);    /* -1 if the context has failed */
capt_tensor *capt_ctx_fail(capt_ctx *c, const char *fmt, ...) CAPT_PRINTF(2, 3); /* records, returns poison */
int capt_ctx_bad(const capt_ctx *c);                                          /* 1 after an error */
/* A view of the same elements (and the same gradient) under another shape. */
capt_tensor *capt_reshape(capt_ctx *c, capt_tensor *x, int ndim, const int64_t *dim);
#define capt_reshape_to(c, x, ...) capt_reshape((c), (x), (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (const int64_t[]){__VA_ARGS__})
/* x without history: gradients stop here. */
capt_tensor *capt_detach(capt_ctx *c, capt_tensor *x);

/* The gradient buffer of t and, in *beta, whether it holds something already (1) or is to be written (0); marks it touched. */
capt_real *capt_grad(capt_ctx *c, capt_tensor *t, double *beta);

/* For operators whose input's gradient is the output's: it becomes x's without a copy if x has none so far, else it is added. The last use of it. */
void capt_grad_pass(capt_ctx *c, capt_node *n, capt_tensor *x);

struct capt_node {
    void (*backward)(capt_ctx *c, capt_node *n); /* called if out's gradient was touched (or out is NULL) */
    capt_tensor *out, *in[8];
    void *save; /* in ctx->host */
    capt_node *prev;
};
/* Records if the tape is on and an input needs a gradient (then out->needs_grad is set); returns the node or NULL. save_size bytes, zeroed. */
capt_node *capt_tape_push(capt_ctx *c, void (*backward)(capt_ctx *, capt_node *), capt_tensor *out, int n_in, capt_tensor *const *in, size_t save_size);
void capt_tape_backward(capt_ctx *c); /* runs and clears the tape */
#endif
