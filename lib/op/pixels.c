/* u8 pixels to normalised reals. No gradient. */
#include "op/op_priv.h"

capt_tensor *capt_pixels(capt_ctx *c, capt_tensor *u8, const float mean[3], const float std[3])
{
    if (capt_ctx_bad(c))
        return &c->poison;
    if (u8->dtype != CAPT_U8 || u8->ndim != 4 || u8->dim[3] != 3)
        return capt_ctx_fail(c, "pixels: x is %s of %s, not (I,H,W,3) of u8", SHAPE(u8), capt_dtype_name(u8->dtype));
    capt_tensor *y = like(c, u8);
    if (!capt_ctx_bad(c))
        c->be->pixels(c->be, y->data, u8->data, capt_tensor_numel(u8) / 3, mean, std);
    return y;
}
