/* A recurrent cell (LSTM) with its weights: what it reads beside its own past is projected for all steps at once, the rest step by step. */
#ifndef CAPT_NN_CELL_H
#define CAPT_NN_CELL_H
#include "nn/layer.h"

typedef struct capt_cell { int H, kind; capt_lin x, h; } capt_cell; /* x: (G*H,in_x) with the bias; h: (G*H,in_h) without */
/* Parameters NAME.x.weight, NAME.x.bias, NAME.h.weight, drawn from +-a. in_h: width of what step reads, the hidden vector included. */
capt_cell capt_cell_new(capt_params *ps, int H, int in_x, int in_h, int kind, capt_init init, double a, const char *name);
void capt_cell_open(capt_params *ps, const capt_cell *e); /* a new LSTM's forget gates begin with a bias of 1 */
/* (R,T,in_x) -> (R,T,G*H) */
capt_tensor *capt_cell_inputs(capt_ctx *c, const capt_cell *e, capt_tensor *x);
/* Step t: h (R,in_h) and cell (R,H), both NULL before anything was read; more (R,G*H): added to the gates, or NULL. Returns the hidden vector (R,H), *new the cell. */
capt_tensor *capt_cell_step(capt_ctx *c, const capt_cell *e, capt_tensor *inputs, int t, capt_tensor *h, capt_tensor *more, capt_tensor *cell, capt_tensor **new);
#endif
