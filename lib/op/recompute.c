/* Activation recomputation (Chen et al. 2016, "Training deep nets with sublinear memory cost", section 3): of a segment only input and output are kept, and
 * the rest is made again when the backward pass comes to it. The second pass repeats the first one's bits: the same kernels in the same order, dropout's
 * keys counted from the same number, running statistics left alone. */
#include "op/op_priv.h"

struct save { capt_segment *fn; const void *arg; uint32_t op_count; int64_t row0, image0; };

static void backward(capt_ctx *c, capt_node *n)
{
    const struct save *s = n->save;
    capt_tensor *x = n->in[0];
    capt_node *last = c->last;
    struct save now = {NULL, NULL, c->op_count, c->row0, c->image0};
    int recording = c->recording;
    double beta;
    grad_if(c, x, &beta); /* below the mark, where it outlives the segment */
    capt_mark mark = capt_ctx_mark(c);
    capt_tensor *in = capt_ctx_head(c, CAPT_F32, x->ndim, x->dim, x->data);
    in->needs_grad = x->needs_grad;
    in->grad = x->grad;
    in->touched = beta != 0;
    c->last = NULL;
    c->recording = c->again = 1;
    c->op_count = s->op_count;
    c->row0 = s->row0;
    c->image0 = s->image0;
    capt_tensor *out = s->fn(c, s->arg, in);
    out->grad = n->out->grad;
    out->touched = 1;
    n->out->grad = NULL; /* it is a spare as soon as out's operator has read it */
    capt_tape_backward(c);
    c->recording = recording;
    c->again = 0;
    c->op_count = now.op_count;
    c->row0 = now.row0;
    c->image0 = now.image0;
    c->last = last;
    capt_ctx_release(c, mark);
}

capt_tensor *capt_recompute(capt_ctx *c, capt_segment *fn, const void *arg, capt_tensor *x)
{
    struct save s = {fn, arg, c->op_count, c->row0, c->image0};
    capt_mark mark = capt_ctx_mark(c);
    capt_node *before = c->last;
    capt_tensor *y = fn(c, arg, x);
    if (c->last == before || capt_ctx_bad(c))
        return y;
    c->last = before; /* what it recorded is forgotten; y, which now takes its place on the tape, moves to where the segment's memory began */
    int64_t n = capt_tensor_numel(y);
    capt_real *hand = capt_ctx_bytes(c, (size_t)n * sizeof *hand);
    if (!hand)
        return &c->poison;
    c->be->copy2d(c->be, hand, n, 0, y->data, n, 1, n);
    capt_ctx_release(c, mark);
    capt_tensor *kept = like(c, y); /* as large as y, which lay behind the mark: it ends before hand begins */
    if (capt_ctx_bad(c))
        return &c->poison;
    c->be->copy2d(c->be, kept->data, n, 0, hand, n, 1, n);
    capt_node *node = capt_tape_push(c, backward, kept, IN(x, y), sizeof s); /* y wants a gradient even where x does not */
    if (node)
        *(struct save *)node->save = s;
    return kept;
}
