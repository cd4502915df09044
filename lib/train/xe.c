#include "train/xe.h"
#include <math.h>
#include <stdlib.h>
#include "base/mem.h"
#include "op/op.h"

capt_feat capt_image_features(capt_ctx *c, capt_model *m, capt_encoder *encoder, const capt_input *in)
{
    capt_feat f = {&c->poison, in->len};
    if (in->feat) {
        f.x = capt_ctx_upload(c, CAPT_F32, CAPT_DIMS(in->n_images, in->S, in->D), in->feat);
        return f;
    }
    capt_encoder *e = encoder ? encoder : m->encoder;
    if (!e) {
        capt_ctx_fail(c, "the model was given images but has no encoder");
        return f;
    }
    f.x = capt_encode_for(c, e, m, in->pixels, in->n_images, in->px);
    return f;
}

/* *sum += the elements of l */
static int add_up(capt_ctx *c, const capt_tensor *l, double *sum)
{
    size_t n = capt_ctx_bad(c) ? 0 : (size_t)capt_tensor_numel(l);
    capt_real *each = capt_alloc((n + 1) * sizeof *each);
    int rc = capt_ctx_download(c, each, n ? l->data : NULL, n * sizeof *each);
    for (size_t k = 0; k < n && !rc; k++)
        *sum += (double)each[k];
    free(each);
    return rc;
}

int capt_xe_pass(capt_ctx *c, capt_model *m, capt_encoder *encoder, const capt_input *in, const capt_rows *rows, double norm, double smooth, int backward, double *loss, capt_err *err)
{
    capt_ctx_reset(c);
    c->recording = backward;
    c->row0 = rows->row0;
    c->image0 = rows->image0;
    int R = rows->R, T = rows->T;
    size_t cells = (size_t)R * (size_t)T, n = 0;
    int32_t *place = capt_alloc((cells + 1) * sizeof *place), *target = capt_alloc((cells + 1) * sizeof *target);
    capt_real *weight = capt_alloc((cells + 1) * sizeof *weight);
    int32_t *words = rows->all_rows ? capt_alloc(2 * (size_t)R * sizeof *words) : NULL, *first = words ? words + R : NULL;
    capt_aux aux = {.words = words, .first = first, .rows = (double)rows->all_rows};
    int rc = -1;
    for (size_t k = 0; k < cells; k++)
        if (rows->weights[k] != 0) {
            place[n] = (int32_t)k;
            target[n] = rows->targets[k];
            weight[n++] = rows->weights[k] / (capt_real)norm;
            if (words) {
                size_t r = k / (size_t)T;
                int32_t t = (int32_t)(k % (size_t)T);
                first[r] = words[r] ? first[r] : t;
                words[r] = t - first[r] + 1;
            }
        }
    *loss = 0;
    if (n == 0) {
        rc = 0;
        goto end;
    }
    capt_feat f = capt_image_features(c, m, encoder, in);
    capt_tensor *h = m->type->forward(c, m, &f, R, T, rows->row_image, rows->tokens, &aux); /* (R,T,D) */
    h = capt_gather(c, capt_reshape_to(c, h, (int64_t)cells, m->hidden), place, (int64_t)n);
    capt_tensor *l = capt_xent(c, h, m->head_w, m->head_b, target, weight, smooth);
    if (backward)
        capt_tape_backward(c);
    if (add_up(c, l, loss) || (aux.loss && add_up(c, aux.loss, loss)) || capt_ctx_check(c, err)) {
        capt_ctx_check(c, err);
        goto end;
    }
    if (!isfinite(*loss)) {
        capt_fail(err, CAPT_EDATA, "the loss is not finite");
        goto end;
    }
    rc = 0;
end:
    c->recording = 0;
    free(place);
    free(target);
    free(weight);
    free(words);
    return rc;
}
