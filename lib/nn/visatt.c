#include "nn/visatt.h"

capt_focus capt_focus_new(capt_params *ps, int A, int D, int H, int act, int bias, capt_init init, double a_v, double a_h, double a_w, const char *name)
{
    return (capt_focus){capt_lin_new(ps, A, D, init, a_v, bias, "%s.v", name), capt_lin_new(ps, A, H, init, a_h, bias, "%s.h", name),
                        capt_param_new(ps, CAPT_P_DECAY, init, a_w, CAPT_DIMS(A), "%s.w", name), act};
}

capt_tensor *capt_focus_keys(capt_ctx *c, const capt_focus *f, capt_tensor *v)
{
    return capt_lin_run(c, &f->v, v, CAPT_MAP_none);
}

capt_tensor *capt_focus_run(capt_ctx *c, const capt_focus *f, capt_tensor *keys, capt_tensor *v, capt_tensor *h, const int32_t *row_image, const int32_t *len, capt_tensor **alpha)
{
    return capt_attend(c, keys, capt_lin_run(c, &f->h, h, CAPT_MAP_none), f->w, v, row_image, len, f->act, alpha);
}
