/* Operators: coarse, contiguous, each with a hand-written backward (one file each, one row in op.def). They return step tensors; wrong shapes are a
 * context error that names both ("linear: x is 15x7, w is 4x6"). Parameters may be NULL where said. Shapes in comments; ... = any leading dimensions. */
#ifndef CAPT_OP_H
#define CAPT_OP_H
#include "op/tape.h"

/* act(x (...,K) w(N,K)^T + b (N)) -> (...,N); b may be NULL; act is an enum capt_map_id */
capt_tensor *capt_linear(capt_ctx *c, capt_tensor *x, capt_tensor *w, capt_tensor *b, int act);
capt_tensor *capt_apply(capt_ctx *c, capt_tensor *x, int f);                    /* f: enum capt_map_id */
capt_tensor *capt_add(capt_ctx *c, capt_tensor *x, capt_tensor *y);             /* same shape */
capt_tensor *capt_mul(capt_ctx *c, capt_tensor *x, capt_tensor *y);             /* same shape */
capt_tensor *capt_scale(capt_ctx *c, capt_tensor *x, double a);
/* x (B,S,D) + p (P,D) rows p0..p0+S-1, broadcast over B */
capt_tensor *capt_add_rows(capt_ctx *c, capt_tensor *x, capt_tensor *p, int64_t p0);
/* rows of x (n,block...) by index (host array, -1 is an error): -> (n_idx, block...). Also the embedding and the image -> caption-row expansion. */
capt_tensor *capt_gather(capt_ctx *c, capt_tensor *x, const int32_t *idx, int64_t n_idx);
capt_tensor *capt_concat(capt_ctx *c, capt_tensor *x, capt_tensor *y);          /* (B,S,D),(B,T,D) -> (B,S+T,D) */
capt_tensor *capt_stack(capt_ctx *c, capt_tensor *const *x, int n);             /* n of (R,D) -> (R,n,D): steps side by side */
capt_tensor *capt_slice(capt_ctx *c, capt_tensor *x, int64_t t0, int64_t n);    /* (B,S,D) -> (B,n,D) */
capt_tensor *capt_layernorm(capt_ctx *c, capt_tensor *x, capt_tensor *g, capt_tensor *b, double eps);
/* x (B,H,W,C); run_mean, run_var (C) are buffers updated in training when `train`; relu fused */
capt_tensor *capt_batchnorm(capt_ctx *c, capt_tensor *x, capt_tensor *g, capt_tensor *b, capt_tensor *run_mean, capt_tensor *run_var, int train, int relu);
capt_tensor *capt_conv2d(capt_ctx *c, capt_tensor *x, capt_tensor *w, capt_tensor *b, int stride, int pad); /* x (B,H,W,C), w (N,kh,kw,C), b NULL ok */
typedef struct capt_bn { capt_tensor *g, *b, *mean, *var; } capt_bn; /* of a batch norm, (C) each */
/* batchnorm(conv2d(x)) + add, then relu if asked: these operators one after the other, and one kernel of the same result, to the bit, where nothing is recorded. w (N,C): a 1x1 convolution, stride and pad are not read;
 * add has the output's shape, or is NULL */
capt_tensor *capt_conv_norm(capt_ctx *c, capt_tensor *x, capt_tensor *w, const capt_bn *n, int stride, int pad, capt_tensor *add, int train, int relu);
capt_tensor *capt_avgpool(capt_ctx *c, capt_tensor *x, int kh, int kw);         /* (B,H,W,C) */
/* qkv (B,T,3*D) packed q|k|v; causal CAPT_ATTN_FULL or an offset (0: GPT-2); k_len NULL or host (B); -> (B,T,D) */
capt_tensor *capt_attention_self(capt_ctx *c, capt_tensor *qkv, int heads, int causal, const int32_t *k_len, double drop);
/* q (B,Tq,D), kv (B,Tk,2*D) packed k|v -> (B,Tq,D) */
capt_tensor *capt_attention_cross(capt_ctx *c, capt_tensor *q, capt_tensor *kv, int heads, const int32_t *k_len, double drop);
/* For pictures, not recorded: how the queries of capt_attention_self (kv NULL, x its qkv) or capt_attention_cross (x its q) spread over the first S keys, of which the
 * first len[b] count (host, NULL: S): the heads' weights added up and divided by their sum, (B,Tq,S). */
capt_tensor *capt_attention_map(capt_ctx *c, capt_tensor *x, capt_tensor *kv, int heads, int causal, const int32_t *k_len, int64_t S, const int32_t *len);
capt_tensor *capt_dropout(capt_ctx *c, capt_tensor *x, double p);               /* identity unless training and p > 0 */
capt_tensor *capt_pixels(capt_ctx *c, capt_tensor *u8, const float mean[3], const float std[3]); /* (I,H,W,3) u8 -> real */
/* One step of R rows of an LSTM: gates = x[:,t,:] + g. x (R,T,G*H): what does not depend on the step before, for all steps; g (R,G*H), NULL at the first step;
 * cell0 (R,H), NULL = 0; kind CAPT_LSTM (G = 4: i f g o) or CAPT_LSTM_MAXOUT (G = 5: i f o g1 g2). Returns h (R,H); *cell: the new cell (R,H). */
capt_tensor *capt_lstm(capt_ctx *c, capt_tensor *x, int64_t t, capt_tensor *g, capt_tensor *cell0, int kind, capt_tensor **cell);
/* Additive attention of R rows over their image's feature rows: z (R,D) = sum over s of alpha_s v_s, *alpha (R,S) = softmax over s of w . act(p_s + q), 0 behind the
 * image's len rows. p (I,S,A), q (R,A), w (A), v (I,S,D); host row_image (R), len (I) or NULL = S. */
capt_tensor *capt_attend(capt_ctx *c, capt_tensor *p, capt_tensor *q, capt_tensor *w, capt_tensor *v, const int32_t *row_image, const int32_t *len, int act, capt_tensor **alpha);
capt_tensor *capt_mean_rows(capt_ctx *c, capt_tensor *x, const int32_t *len);   /* (I,S,D) -> (I,D): mean of the first len[i] rows, host len or NULL = S */
/* Ends a step as xent does, with losses (R) of its own: scale * mean over the s_len[r] first s of (target[r] - sum over t < t_len[r] of alpha[r,t,s])^2. alpha (R,T,S),
 * host lengths and targets (R). */
capt_tensor *capt_coverage(capt_ctx *c, capt_tensor *alpha, const int32_t *t_len, const int32_t *s_len, const capt_real *target, double scale);
/* fn(arg, x), a piece of a network whose output depends on x, arg and parameters alone. When it is recorded, its inner tensors are not kept but made again
 * in the backward pass, to the same bits (recompute.c): memory of one segment at a time, for a second forward pass. arg lives until the step's end. */
typedef capt_tensor *capt_segment(capt_ctx *c, const void *arg, capt_tensor *x);
capt_tensor *capt_recompute(capt_ctx *c, capt_segment *fn, const void *arg, capt_tensor *x);
/* Between the blocks of a pass that is not recorded (no tape, or frozen parameters) only the running tensor is worth keeping: gives back what was taken since the mark,
 * but x, what a block returns, which comes to lie there (any x before it is dead). In a recorded pass it does nothing. */
capt_tensor *capt_relay(capt_ctx *c, capt_mark mark, capt_tensor *x);
/* Ends a step: h (M,D), w (V,D), b (V) or NULL, host targets (M) and weights (M) (negative ones too: SCST). Returns the per-row losses (M): the objective
 * is their sum, and capt_tape_backward starts from it. */
capt_tensor *capt_xent(capt_ctx *c, capt_tensor *h, capt_tensor *w, capt_tensor *b, const int32_t *target, const capt_real *weight, double smooth);
#endif
