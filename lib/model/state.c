#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "model/model.h"

static capt_real **layers_new(capt_backend *be, int layers, int64_t n, int *bad)
{
    capt_real **v = capt_alloc((size_t)layers * sizeof *v);
    for (int l = 0; l < layers && n > 0; l++) {
        v[l] = be->alloc(be, (size_t)n * sizeof(capt_real));
        if (!v[l])
            *bad = 1;
    }
    return v;
}

static void layers_free(capt_backend *be, capt_real **v, int layers)
{
    for (int l = 0; v && l < layers; l++)
        if (v[l])
            be->free(be, v[l]);
    free(v);
}

capt_state *capt_state_new(capt_backend *be, int n_images, int slots, int max_t, int layers, int S, int s_dim, int o_dim, const int32_t *s_len, capt_err *err)
{
    capt_state *s = capt_alloc(sizeof *s);
    *s = (capt_state){.be = be, .n_images = n_images, .slots = slots, .max_t = max_t, .layers = layers, .S = S, .s_dim = s_dim, .o_dim = o_dim};
    int bad = 0;
    s->row_image = capt_alloc((size_t)slots * sizeof(int32_t));
    s->anc = capt_alloc((size_t)slots * (size_t)max_t * sizeof(int32_t));
    s->d_row_image = be->alloc(be, (size_t)slots * sizeof(int32_t));
    s->d_anc = be->alloc(be, (size_t)slots * (size_t)max_t * sizeof(int32_t));
    if (s_len) {
        s->d_s_len = be->alloc(be, (size_t)n_images * sizeof(int32_t));
        if (s->d_s_len)
            be->upload(be, s->d_s_len, s_len, (size_t)n_images * sizeof(int32_t));
    }
    s->sk = layers_new(be, layers, (int64_t)n_images * S * s_dim, &bad);
    s->sv = layers_new(be, layers, (int64_t)n_images * S * s_dim, &bad);
    s->ok = layers_new(be, layers, (int64_t)max_t * slots * o_dim, &bad);
    s->ov = layers_new(be, layers, (int64_t)max_t * slots * o_dim, &bad);
    if (bad || !s->d_row_image || !s->d_anc || (s_len && !s->d_s_len)) {
        capt_fail(err, CAPT_ENOMEM, "no memory for the decoder state of %d rows", slots);
        capt_state_free(s);
        return NULL;
    }
    return s;
}

void capt_state_free(capt_state *s)
{
    if (!s)
        return;
    capt_backend *be = s->be;
    layers_free(be, s->sk, s->layers);
    layers_free(be, s->sv, s->layers);
    layers_free(be, s->ok, s->layers);
    layers_free(be, s->ov, s->layers);
    void *dev[] = {s->d_row_image, s->d_anc, s->d_s_len};
    for (int i = 0; i < 3; i++)
        if (dev[i])
            be->free(be, dev[i]);
    free(s->row_image);
    free(s->anc);
    free(s);
}

void capt_state_rows(capt_state *s, const int32_t *parent, int rows)
{
    size_t n = (size_t)rows;
    int32_t *tmp = capt_alloc((n + 1) * sizeof *tmp);
    if (s->t == 0) {
        memcpy(s->row_image, parent, n * sizeof *tmp);
    } else {
        for (size_t r = 0; r < n; r++)
            tmp[r] = s->row_image[parent[r]];
        memcpy(s->row_image, tmp, n * sizeof *tmp);
        for (int t = 0; t < s->t; t++) {
            int32_t *a = s->anc + (size_t)t * (size_t)s->slots;
            for (size_t r = 0; r < n; r++)
                tmp[r] = a[parent[r]];
            memcpy(a, tmp, n * sizeof *tmp);
        }
    }
    free(tmp);
    s->rows = rows;
    s->be->upload(s->be, s->d_row_image, s->row_image, n * sizeof(int32_t));
    if (s->t)
        s->be->upload(s->be, s->d_anc, s->anc, (size_t)s->t * (size_t)s->slots * sizeof(int32_t));
}
