/* The parts of direct convolution (conv.c says how). Without memory they set be->failed and leave their result undefined. */
#ifndef CAPT_BACKEND_CPU_CONV_PRIV_H
#define CAPT_BACKEND_CPU_CONV_PRIV_H
#include "backend/cpu/cpu_priv.h"

#ifndef CAPT_REAL64
/* 1 where a sweep is possible and faster than patches; fmt: of the left operand */
int capt_cpu_sweeps(capt_backend *be, const capt_conv *c, int fmt);
/* g's rows are the output pixels of c, in order, its columns the c->N outputs; y, ldy, b and what is done to finished rows are set. backward: c is of the gradient (x is dy)
 * and g->b are the panels of dx = dy w, c->N a multiple of PANEL. */
void capt_cpu_conv_sweep(capt_backend *be, const struct cpu_gemm *g, const float *x, const capt_conv *c, int backward);

/* the same for dw (N,kh*kw*C) (+)= dy^T patches(x); fmt: of panels */
int capt_cpu_shifts(const capt_conv *c);
void capt_cpu_conv_shift(capt_backend *be, float *dw, int add, const float *dy, const float *x, const capt_conv *c, int fmt);
#endif
#endif
