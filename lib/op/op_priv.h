/* What the operators share. */
#ifndef CAPT_OP_PRIV_H
#define CAPT_OP_PRIV_H
#include "op/op.h"

typedef struct capt_op_text { char s[96]; } capt_op_text;
/* "15x7" */
const char *capt_op_shape(const capt_tensor *t, capt_op_text *text);
#define SHAPE(t) capt_op_shape((t), &(capt_op_text){{0}})
int capt_op_same(const capt_tensor *x, const capt_tensor *y); /* equal shapes */
/* -1 if the context has failed, or fails now because an operand (NULL ones are skipped) is not real. */
int capt_op_start(capt_ctx *c, const char *op, int n, capt_tensor *const *in);
#define IN(...) (int)(sizeof((capt_tensor *[]){__VA_ARGS__}) / sizeof(capt_tensor *)), (capt_tensor *[]){__VA_ARGS__}
/* A tensor's head over given memory. */
capt_tensor *capt_ctx_head(capt_ctx *c, capt_dtype t, int ndim, const int64_t *dim, void *data);

/* 1 when x's history matters */
static inline int wants(const capt_tensor *x)
{
    return x && x->needs_grad;
}

static inline capt_tensor *like(capt_ctx *c, const capt_tensor *x)
{
    return capt_ctx_tensor(c, CAPT_F32, x->ndim, x->dim);
}

/* The gradient of x, or NULL (with *beta 0) when nobody asked for it. */
static inline capt_real *grad_if(capt_ctx *c, capt_tensor *x, double *beta)
{
    *beta = 0;
    return wants(x) ? capt_grad(c, x, beta) : NULL;
}
#endif
