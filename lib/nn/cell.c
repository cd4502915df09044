#include "nn/cell.h"
#include <stdlib.h>
#include "base/mem.h"

capt_cell capt_cell_new(capt_params *ps, int H, int in_x, int in_h, int kind, capt_init init, double a, const char *name)
{
    int W = capt_lstm_gates(kind) * H;
    return (capt_cell){H, kind, capt_lin_new(ps, W, in_x, init, a, 1, "%s.x", name), capt_lin_new(ps, W, in_h, init, a, 0, "%s.h", name)};
}

void capt_cell_open(capt_params *ps, const capt_cell *e)
{
    size_t H = (size_t)e->H;
    if (ps->blank || ps->err.code)
        return;
    capt_real *b = capt_alloc(4 * H * sizeof *b);
    for (size_t j = H; j < 2 * H; j++)
        b[j] = 1;
    ps->be->upload(ps->be, e->x.b->data, b, 4 * H * sizeof *b);
    free(b);
}

capt_tensor *capt_cell_inputs(capt_ctx *c, const capt_cell *e, capt_tensor *x)
{
    return capt_lin_run(c, &e->x, x, CAPT_MAP_none);
}

capt_tensor *capt_cell_step(capt_ctx *c, const capt_cell *e, capt_tensor *inputs, int t, capt_tensor *h, capt_tensor *more, capt_tensor *cell, capt_tensor **new)
{
    capt_tensor *g = h ? capt_lin_run(c, &e->h, h, CAPT_MAP_none) : NULL;
    if (more)
        g = g ? capt_add(c, g, more) : more;
    return capt_lstm(c, inputs, t, g, cell, e->kind, new);
}
