#include "nn/state.h"
#include <stdlib.h>
#include <string.h>

capt_state *capt_state_new(capt_backend *be, int n_images, int slots, int max_t, const int32_t *s_len)
{
    capt_state *s = capt_alloc(sizeof *s);
    size_t n = (size_t)slots, I = (size_t)n_images;
    *s = (capt_state){.be = be, .n_images = n_images, .slots = slots, .max_t = max_t};
    s->row_image = capt_alloc(n * sizeof(int32_t));
    s->anc = capt_alloc(n * (size_t)max_t * sizeof(int32_t));
    s->d_row_image = be->alloc(be, n * sizeof(int32_t));
    s->d_parent = be->alloc(be, n * sizeof(int32_t));
    s->d_anc = be->alloc(be, n * (size_t)max_t * sizeof(int32_t));
    if (s_len) {
        s->s_len = capt_alloc((I + 1) * sizeof(int32_t));
        memcpy(s->s_len, s_len, I * sizeof(int32_t));
        s->d_s_len = be->alloc(be, I * sizeof(int32_t));
        if (s->d_s_len)
            be->upload(be, s->d_s_len, s_len, I * sizeof(int32_t));
    }
    return s;
}

static void give_back(capt_backend *be, void *p)
{
    if (p)
        be->free(be, p);
}

void capt_state_free(capt_state *s)
{
    if (!s)
        return;
    capt_backend *be = s->be;
    for (size_t i = 0; i < s->shared.n; i++)
        give_back(be, s->shared.v[i].data);
    for (size_t i = 0; i < s->cache.n; i++)
        give_back(be, s->cache.v[i]);
    for (size_t i = 0; i < s->vector.n; i++) {
        give_back(be, s->vector.v[i].now.data);
        give_back(be, s->vector.v[i].first);
        give_back(be, s->vector.v[i].spare);
    }
    capt_vec_free(&s->shared);
    capt_vec_free(&s->cache);
    capt_vec_free(&s->vector);
    give_back(be, s->d_row_image);
    give_back(be, s->d_parent);
    give_back(be, s->d_anc);
    give_back(be, s->d_s_len);
    free(s->row_image);
    free(s->anc);
    free(s->s_len);
    free(s);
}

int capt_state_room(capt_state *s, int64_t S, int64_t D)
{
    capt_tensor t = {.dtype = CAPT_F32, .ndim = 3, .dim = {s->n_images, S, D, 1}};
    t.data = s->be->alloc(s->be, (size_t)capt_tensor_numel(&t) * sizeof(capt_real));
    capt_vec_push(&s->shared, t);
    return (int)s->shared.n - 1;
}

int capt_state_keep(capt_state *s, const capt_tensor *x)
{
    int64_t n = capt_tensor_numel(x) / s->n_images, D = capt_tensor_cols(x);
    int k = capt_state_room(s, n / D, D);
    if (!s->be->failed)
        s->be->copy2d(s->be, s->shared.v[k].data, n, 0, x->data, n, s->n_images, n);
    return k;
}

capt_tensor *capt_state_shared(capt_state *s, int k)
{
    return &s->shared.v[k];
}

void capt_state_caches(capt_state *s, int n, int dim)
{
    s->cache_dim = dim;
    for (int i = 0; i < n; i++) {
        capt_real *p = s->be->alloc(s->be, (size_t)s->max_t * (size_t)s->slots * (size_t)dim * sizeof *p);
        capt_vec_push(&s->cache, p);
    }
}

int capt_state_vector(capt_state *s, int D, const capt_tensor *first)
{
    capt_backend *be = s->be;
    capt_recurrent v = {.now = {.dtype = CAPT_F32, .ndim = 2, .dim = {0, D, 1, 1}}};
    size_t bytes = (size_t)s->slots * (size_t)D * sizeof(capt_real);
    v.now.data = be->alloc(be, bytes);
    v.spare = be->alloc(be, bytes);
    if (first)
        v.first = be->alloc(be, (size_t)s->n_images * (size_t)D * sizeof(capt_real));
    if (v.first && !be->failed)
        be->copy2d(be, v.first, D, 0, first->data, D, s->n_images, D);
    capt_vec_push(&s->vector, v);
    return (int)s->vector.n - 1;
}

capt_tensor *capt_state_get(capt_state *s, int k)
{
    return &s->vector.v[k].now;
}

void capt_state_set(capt_state *s, int k, const capt_tensor *x)
{
    capt_tensor *now = &s->vector.v[k].now;
    if (!s->be->failed)
        s->be->copy2d(s->be, now->data, now->dim[1], 0, x->data, now->dim[1], s->rows, now->dim[1]);
}

static void move_vectors(capt_state *s, const int32_t *parent)
{
    capt_backend *be = s->be;
    if (s->vector.n)
        be->upload(be, s->d_parent, parent, (size_t)s->rows * sizeof(int32_t));
    for (size_t i = 0; i < s->vector.n; i++) {
        capt_recurrent *v = &s->vector.v[i];
        int64_t D = v->now.dim[1];
        v->now.dim[0] = s->rows;
        if (s->t == 0 && !v->first) {
            be->fill(be, v->now.data, s->rows * D, 0);
            continue;
        }
        capt_real *old = v->now.data;
        be->gather(be, v->spare, s->t == 0 ? v->first : old, s->d_parent, s->rows, D);
        v->now.data = v->spare;
        v->spare = old;
    }
}

void capt_state_rows(capt_state *s, const int32_t *parent, int rows)
{
    size_t n = (size_t)rows;
    if (s->be->failed)
        return;
    int32_t *tmp = capt_alloc((n + 1) * sizeof *tmp);
    s->rows = rows;
    if (s->t == 0) {
        memcpy(s->row_image, parent, n * sizeof *tmp);
    } else {
        for (size_t r = 0; r < n; r++)
            tmp[r] = s->row_image[parent[r]];
        memcpy(s->row_image, tmp, n * sizeof *tmp);
        for (int t = 0; t < s->t && s->cache.n; t++) {
            int32_t *a = s->anc + (size_t)t * (size_t)s->slots;
            for (size_t r = 0; r < n; r++)
                tmp[r] = a[parent[r]];
            memcpy(a, tmp, n * sizeof *tmp);
        }
    }
    free(tmp);
    move_vectors(s, parent);
    s->be->upload(s->be, s->d_row_image, s->row_image, n * sizeof(int32_t));
}

int capt_state_begin(capt_state *s)
{
    if (s->t >= s->max_t)
        return -1;
    for (int r = 0; r < s->rows && s->cache.n; r++)
        s->anc[(size_t)s->t * (size_t)s->slots + (size_t)r] = r;
    if (s->cache.n && !s->be->failed)
        s->be->upload(s->be, s->d_anc, s->anc, (size_t)(s->t + 1) * (size_t)s->slots * sizeof(int32_t));
    return 0;
}
