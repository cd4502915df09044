/* The image encoders: laws on tiny configurations, both public namings, refusals, checkpoints. Their values are clip_test.c's. */
#include "encoder_rig.h"

/* ---- laws ---- */

#define VIT "{\"type\":\"clip-vit\",\"resolution\":64,\"patch\":8,\"width\":64,\"layers\":3,\"output_dim\":32}"
#define RESNET "{\"type\":\"clip-resnet\",\"resolution\":64,\"width\":16,\"layers1\":1,\"layers2\":1,\"layers3\":1,\"layers4\":1,\"output_dim\":32}"
static const struct { const char *config; int rows, dim; } tiny[] = {{VIT, 64, 64}, {RESNET, 4, 512}};

static void shapes(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        rig r;
        rig_new(&r, "guard", tiny[i].config);
        rig_ok(&r);
        assert_int_equal(r.e->grid_rows, tiny[i].rows);
        assert_int_equal(r.e->grid_dim, tiny[i].dim);
        assert_int_equal(r.e->global_dim, 32);
        capt_encoded out = encode(&r, 2, 0);
        assert_int_equal(out.global->ndim, 3);
        assert_memory_equal(out.global->dim, ((int64_t[]){2, 1, 32}), 3 * sizeof(int64_t));
        assert_int_equal(out.grid->ndim, 3);
        assert_memory_equal(out.grid->dim, ((int64_t[]){2, tiny[i].rows, tiny[i].dim}), 3 * sizeof(int64_t));
        rig_close(&r);
    }
}

/* The grid of a flat positional table would collapse (every cell alike): cells must differ, and move when a part of the picture does. */
static void cells_differ(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        rig r;
        rig_new(&r, "ref", tiny[i].config);
        rig_ok(&r);
        capt_encoded out = encode(&r, 1, 0);
        capt_real *x = values(&r, out.grid);
        int D = tiny[i].dim;
        for (int a = 0; a < tiny[i].rows; a++)
            for (int b = 0; b < a; b++) {
                double d = 0;
                for (int k = 0; k < D; k++)
                    d = fmax(d, fabs((double)x[a * D + k] - (double)x[b * D + k]));
                if (d < 1e-3)
                    fail_msg("cells %d and %d are alike", a, b);
            }
        free(x);
        rig_close(&r);
    }
}

/* An image's features do not depend on its neighbours in the batch, nor on the tape. */
static void batch_independence(void **state)
{
    for (size_t i = 0; i < 4; i++) {
        rig r;
        rig_new(&r, i < 2 || sizeof(capt_real) > 4 ? "ref" : "cpu", tiny[i % 2].config);
        rig_ok(&r);
        int64_t per = (int64_t)r.e->size * r.e->size * 3, grid = (int64_t)r.e->grid_rows * r.e->grid_dim;
        capt_encoded out = encode(&r, 3, 0);
        capt_real *all = values(&r, out.grid), *global = values(&r, out.global);
        assert_int_equal(capt_params_train(&r.ps, "encoder.", 1, &r.err), 0);
        for (int k = 0; k < 3; k++) {
            capt_ctx_reset(r.c);
            r.c->recording = k == 1;
            out = encode(&r, 1, (uint32_t)(k * per));
            capt_real *one = values(&r, out.grid), *g = values(&r, out.global);
            assert_memory_equal(one, all + k * grid, (size_t)grid * sizeof *one);
            assert_memory_equal(g, global + k * 32, 32 * sizeof *g);
            free(one);
            free(g);
        }
        free(all);
        free(global);
        rig_close(&r);
    }
}

/* Without the tape the blocks share their memory. */
static void memory_is_reused(void **state)
{
    static const char *const deep[2] = {"{\"type\":\"clip-vit\",\"resolution\":64,\"patch\":4,\"width\":64,\"layers\":12}",
                                        "{\"type\":\"clip-resnet\",\"resolution\":64,\"width\":16,\"layers1\":9,\"layers2\":9}"};
    for (size_t i = 0; i < 2; i++) {
        size_t peak[2];
        for (int tape = 0; tape < 2; tape++) {
            rig r;
            rig_new(&r, "ref", deep[i]);
            rig_ok(&r);
            assert_int_equal(capt_params_train(&r.ps, "encoder.", 1, &r.err), 0);
            r.c->recording = tape;
            encode(&r, 2, 0);
            peak[tape] = capt_ctx_peak(r.c);
            rig_close(&r);
        }
        if (peak[0] * 3 > peak[1])
            fail_msg("%zu bytes without the tape, %zu with it", peak[0], peak[1]);
    }
}

/* Fresh weights are normalised by the batch in training and by the running statistics after it; frozen ones always by the latter. */
static void batch_statistics(void **state)
{
    for (int frozen = 0; frozen < 2; frozen++) {
        rig r;
        rig_new(&r, "ref", RESNET);
        rig_ok(&r);
        assert_int_equal(r.e->train_bn, 1);
        assert_int_equal(capt_params_train(&r.ps, "encoder.", !frozen, &r.err), 0);
        capt_param *p = capt_param_find(&r.ps, "encoder.bn1.running_mean");
        capt_real *before = values(&r, &p->t);
        r.c->training = 1;
        encode(&r, 2, 0);
        capt_real *after = values(&r, &p->t);
        assert_int_equal(memcmp(before, after, 8 * sizeof *before) == 0, frozen);
        free(before);
        free(after);
        rig_close(&r);
    }
}

/* ---- files with public names, made here ---- */

/* The gradients and running statistics of a training pass, one behind the other, with blocks recomputed or not. */
static capt_real *gradients(const char *config, const char *stages, int recompute, int64_t *n, size_t *peak)
{
    static const int32_t target[] = {1, 0, 2, 2, 1, 0, 1, 1, 0, 2, 0, 1, 2, 0, 1, 2};
    rig r;
    rig_new(&r, "cpu", config);
    rig_ok(&r);
    capt_str tuned = {0};
    assert_int_equal(capt_params_train(&r.ps, "encoder.", 1, &r.err), 0);
    if (stages && capt_encoder_tune(r.e, stages, &tuned, &r.err))
        fail_msg("%s", r.err.text);
    capt_str_free(&tuned);
    r.e->recompute = recompute;
    r.c->training = r.c->recording = 1;
    capt_encoded out = encode(&r, 16, 0);
    capt_real w[3 * 64], weight[16];
    for (int i = 0; i < 3 * 64; i++)
        w[i] = (capt_real)sin(i);
    for (int i = 0; i < 16; i++)
        weight[i] = (capt_real)cos(i);
    int dim = r.e->global_dim;
    assert_true(dim <= 64);
    capt_tensor *head = capt_ctx_upload(r.c, CAPT_F32, 2, (const int64_t[]){3, dim}, w);
    capt_xent(r.c, capt_reshape_to(r.c, out.global, 16, dim), head, NULL, target, weight, 0);
    capt_tape_backward(r.c);
    if (capt_ctx_check(r.c, &r.err))
        fail_msg("%s", r.err.text);
    *n = 0;
    capt_real *all = NULL;
    for (int i = 0; i < r.ps.n; i++) {
        capt_param *p = r.ps.v[i];
        int64_t k = capt_tensor_numel(&p->t);
        int buffer = p->flags & CAPT_P_BUFFER;
        assert_int_equal(p->t.grad != NULL, p->trainable);
        if (!buffer && !p->trainable)
            continue;
        if (!buffer && !p->t.touched)
            fail_msg("no gradient of %s", p->name);
        capt_real *x = host_of(&r, buffer ? p->t.data : p->t.grad, k);
        all = realloc(all, (size_t)(*n + k) * sizeof *all);
        memcpy(all + *n, x, (size_t)k * sizeof *x);
        *n += k;
        free(x);
    }
    *peak = capt_ctx_peak(r.c);
    rig_close(&r);
    return all;
}

#define DEEP_VIT "{\"type\":\"clip-vit\",\"resolution\":64,\"patch\":8,\"width\":64,\"layers\":12,\"output_dim\":64}"
#define DEEP_RESNET "{\"type\":\"clip-resnet\",\"resolution\":64,\"width\":4,\"layers3\":6,\"output_dim\":64}"
#define STILL_RESNET "{\"type\":\"clip-resnet\",\"resolution\":64,\"width\":4,\"layers3\":6,\"output_dim\":64,\"bn\":\"frozen\"}"

/* Blocks made again in the backward pass give the same bits, and the statistics of a batch are counted once. */
static void recomputed(void **state)
{
    static const struct { const char *config, *stages; } k[] = {{DEEP_VIT, NULL}, {DEEP_VIT, "3"}, {DEEP_VIT, "stem,block5"}, {DEEP_RESNET, NULL}, {DEEP_RESNET, "2"}, {STILL_RESNET, NULL}};
    for (size_t i = 0; i < sizeof k / sizeof *k; i++) {
        int64_t n, m;
        size_t all, less;
        capt_real *a = gradients(k[i].config, k[i].stages, 0, &n, &all), *b = gradients(k[i].config, k[i].stages, 1, &m, &less);
        assert_int_equal(n, m);
        if (memcmp(a, b, (size_t)n * sizeof *a))
            fail_msg("%s, stages %s: recomputed gradients differ", k[i].config, k[i].stages ? k[i].stages : "all");
        if (!k[i].stages && !strcmp(k[i].config, DEEP_VIT) && 2 * less > all)
            fail_msg("%zu bytes recomputed, %zu kept", less, all);
        free(a);
        free(b);
    }
}

static void stages(void **state)
{
    static const struct { const char *config, *stages, *tuned, *learns, *stays; } good[] = {
        {DEEP_VIT, "0", "head", "encoder.ln_post.bias", "encoder.transformer.resblocks.11.mlp.c_proj.bias"},
        {DEEP_VIT, "2", "block10, block11, head", "encoder.transformer.resblocks.10.ln_1.weight", "encoder.transformer.resblocks.1.ln_1.weight"},
        {DEEP_VIT, "12", "block0, block1, block2, block3, block4, block5, block6, block7, block8, block9, block10, block11, head", "encoder.proj", "encoder.ln_pre.weight"},
        {DEEP_VIT, "head,block1", "block1, head", "encoder.transformer.resblocks.1.ln_1.weight", "encoder.transformer.resblocks.11.ln_1.weight"},
        {DEEP_RESNET, "1", "layer4, head", "encoder.layer4.0.bn1.weight", "encoder.layer3.5.conv3.weight"},
        {DEEP_RESNET, "stem", "stem", "encoder.bn3.bias", "encoder.attnpool.c_proj.weight"}};
    static const struct { const char *config, *stages, *says; } bad[] = {
        {DEEP_VIT, "13", "a number up to 12"}, {DEEP_VIT, "block12", "block11, head"}, {DEEP_RESNET, "layer4,tail", "stem, layer1, layer2, layer3, layer4, head"},
        {DEEP_RESNET, "", "some of"}, {DEEP_RESNET, "5", "up to 4"}, {DEEP_RESNET, "layer4,", "some of"}, {DEEP_RESNET, "-1", "some of"}, {DEEP_RESNET, "1x", "some of"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        rig r;
        rig_new(&r, "ref", good[i].config);
        capt_str tuned = {0};
        assert_int_equal(capt_encoder_tune(r.e, good[i].stages, &tuned, &r.err), 0);
        assert_string_equal(tuned.s, good[i].tuned);
        const capt_param *learns = capt_param_find(&r.ps, good[i].learns), *stays = capt_param_find(&r.ps, good[i].stays);
        assert_true(learns->trainable && learns->t.grad && learns->t.needs_grad);
        assert_true(!stays->trainable && !stays->t.grad && !stays->t.needs_grad);
        capt_str_free(&tuned);
        rig_close(&r);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        rig r;
        rig_new(&r, "ref", bad[i].config);
        capt_str tuned = {0};
        assert_int_equal(capt_encoder_tune(r.e, bad[i].stages, &tuned, &r.err), -1);
        assert_int_equal(r.err.code, CAPT_EUSAGE);
        assert_non_null(strstr(r.err.text, bad[i].says));
        capt_str_free(&tuned);
        rig_close(&r);
    }
}

typedef struct item { char name[160]; int ndim; int64_t dim[4]; float *x; } item;
typedef struct bundle { item v[200]; int n; capt_dtype dtype; } bundle;

static float *add(bundle *b, const char *name, int ndim, const int64_t *dim)
{
    item *t = &b->v[b->n++];
    snprintf(t->name, sizeof t->name, "%s", name);
    int64_t n = 1;
    t->ndim = ndim;
    for (int i = 0; i < ndim; i++)
        n *= t->dim[i] = dim[i];
    t->x = calloc((size_t)n, sizeof *t->x);
    return t->x;
}

static void write_bundle(const bundle *b, const char *path)
{
    static const char *const names[] = {"F32", "F16", "BF16"};
    json_t *head = json_object();
    size_t at = 0, size = capt_dtype_size(b->dtype);
    for (int i = 0; i < b->n; i++) {
        json_t *shape = json_array();
        size_t n = 1;
        for (int k = 0; k < b->v[i].ndim; k++) {
            json_array_append_new(shape, json_integer(b->v[i].dim[k]));
            n *= (size_t)b->v[i].dim[k];
        }
        json_object_set_new(head, b->v[i].name, json_pack("{s:s, s:o, s:[I, I]}", "dtype", names[b->dtype], "shape", shape, "data_offsets",
                                                           (json_int_t)at, (json_int_t)(at + n * size)));
        at += n * size;
    }
    char *text = json_dumps(head, JSON_COMPACT);
    uint64_t len = strlen(text), padded = (len + 7) / 8 * 8;
    FILE *f = fopen(path, "wb");
    fwrite(&padded, 8, 1, f);
    fprintf(f, "%s%*s", text, (int)(padded - len), "");
    for (int i = 0; i < b->n; i++) {
        size_t n = 1;
        for (int k = 0; k < b->v[i].ndim; k++)
            n *= (size_t)b->v[i].dim[k];
        for (size_t k = 0; k < n; k++) {
            uint16_t h = b->dtype == CAPT_F16 ? capt_f16_from_f32(b->v[i].x[k]) : capt_bf16_from_f32(b->v[i].x[k]);
            fwrite(b->dtype == CAPT_F32 ? (void *)&b->v[i].x[k] : (void *)&h, size, 1, f);
        }
    }
    fclose(f);
    free(text);
    json_decref(head);
}

static void free_bundle(bundle *b)
{
    for (int i = 0; i < b->n; i++)
        free(b->v[i].x);
    b->n = 0;
}

static float *get(bundle *b, const char *name)
{
    for (int i = 0; i < b->n; i++)
        if (!strcmp(b->v[i].name, name))
            return b->v[i].x;
    fail_msg("bundle lacks %s", name);
    return NULL;
}

enum { D = 8, P = 4, OUT_DIM = 6, ROWS = 5 }; /* 8 px, 2x2 patches */

static void fill(float *x, int64_t n, uint64_t key)
{
    for (int64_t i = 0; i < n; i++)
        x[i] = (float)(0.3 * capt_rng_normal(key, (uint64_t)i));
}

static void make_openai(bundle *b)
{
    static const struct { const char *name; int ndim; int64_t dim[4]; } outer[] = {
        {"visual.conv1.weight", 4, {D, 3, P, P}}, {"visual.class_embedding", 1, {D}}, {"visual.positional_embedding", 2, {ROWS, D}},
        {"visual.ln_pre.weight", 1, {D}}, {"visual.ln_pre.bias", 1, {D}}, {"visual.ln_post.weight", 1, {D}}, {"visual.ln_post.bias", 1, {D}},
        {"visual.proj", 2, {D, OUT_DIM}}, {"token_embedding.weight", 2, {7, 3}}, {"transformer.resblocks.0.ln_1.weight", 1, {3}},
    }, inner[] = {
        {"ln_1.weight", 1, {D}}, {"ln_1.bias", 1, {D}}, {"attn.in_proj_weight", 2, {3 * D, D}}, {"attn.in_proj_bias", 1, {3 * D}},
        {"attn.out_proj.weight", 2, {D, D}}, {"attn.out_proj.bias", 1, {D}}, {"ln_2.weight", 1, {D}}, {"ln_2.bias", 1, {D}},
        {"mlp.c_fc.weight", 2, {4 * D, D}}, {"mlp.c_fc.bias", 1, {4 * D}}, {"mlp.c_proj.weight", 2, {D, 4 * D}}, {"mlp.c_proj.bias", 1, {D}},
    };
    for (size_t i = 0; i < sizeof outer / sizeof *outer; i++)
        add(b, outer[i].name, outer[i].ndim, outer[i].dim);
    for (int l = 0; l < 2; l++)
        for (size_t i = 0; i < sizeof inner / sizeof *inner; i++) {
            char name[100];
            snprintf(name, sizeof name, "visual.transformer.resblocks.%d.%s", l, inner[i].name);
            add(b, name, inner[i].ndim, inner[i].dim);
        }
    for (int i = 0; i < b->n; i++) {
        int64_t n = 1;
        for (int k = 0; k < b->v[i].ndim; k++)
            n *= b->v[i].dim[k];
        fill(b->v[i].x, n, (uint64_t)i + 1);
    }
}

static void copy(bundle *to, const char *name, int ndim, const int64_t *dim, const float *from)
{
    float *x = add(to, name, ndim, dim);
    int64_t n = 1;
    for (int i = 0; i < ndim; i++)
        n *= dim[i];
    memcpy(x, from, (size_t)n * sizeof *x);
}

/* The same values as transformers stores them. */
static void make_transformers(bundle *a, bundle *b)
{
    static const char *const outer[][2] = {
        {"conv1.weight", "embeddings.patch_embedding.weight"}, {"class_embedding", "embeddings.class_embedding"},
        {"positional_embedding", "embeddings.position_embedding.weight"}, {"ln_pre.weight", "pre_layrnorm.weight"}, {"ln_pre.bias", "pre_layrnorm.bias"},
        {"ln_post.weight", "post_layernorm.weight"}, {"ln_post.bias", "post_layernorm.bias"},
    };
    static const char *const inner[][2] = {
        {"ln_1", "layer_norm1"}, {"attn.out_proj", "self_attn.out_proj"}, {"ln_2", "layer_norm2"}, {"mlp.c_fc", "mlp.fc1"}, {"mlp.c_proj", "mlp.fc2"},
    };
    for (int i = 0; i < a->n; i++) {
        const item *t = &a->v[i];
        char name[160];
        for (size_t k = 0; k < sizeof outer / sizeof *outer; k++) {
            snprintf(name, sizeof name, "visual.%s", outer[k][0]);
            if (strcmp(t->name, name))
                continue;
            snprintf(name, sizeof name, "vision_model.%s", outer[k][1]);
            copy(b, name, t->ndim, t->dim, t->x);
        }
        int l, at = 0;
        if (sscanf(t->name, "visual.transformer.resblocks.%d.%n", &l, &at) != 1 || !at)
            continue;
        const char *rest = t->name + at, *end = strrchr(rest, '.');
        for (size_t k = 0; k < sizeof inner / sizeof *inner; k++)
            if (!strncmp(rest, inner[k][0], (size_t)(end - rest)) && strlen(inner[k][0]) == (size_t)(end - rest)) {
                snprintf(name, sizeof name, "vision_model.encoder.layers.%d.%s%s", l, inner[k][1], end);
                copy(b, name, t->ndim, t->dim, t->x);
            }
        for (int k = 0; k < 3 && strstr(rest, "in_proj_"); k++) {
            int w = t->ndim == 2;
            snprintf(name, sizeof name, "vision_model.encoder.layers.%d.self_attn.%c_proj.%s", l, "qkv"[k], w ? "weight" : "bias");
            copy(b, name, t->ndim, (const int64_t[]){D, D}, t->x + k * (w ? D * D : D));
        }
    }
    float *proj = add(b, "visual_projection.weight", 2, (const int64_t[]){OUT_DIM, D});
    for (int i = 0; i < OUT_DIM; i++)
        for (int k = 0; k < D; k++)
            proj[i * D + k] = get(a, "visual.proj")[k * OUT_DIM + i];
    add(b, "vision_model.embeddings.position_ids", 2, (const int64_t[]){1, ROWS});
    add(b, "text_model.final_layer_norm.weight", 1, (const int64_t[]){3});
    add(b, "logit_scale", 0, NULL);
}

static char folder[] = "/tmp/capt-encoder.XXXXXX";
static char file_a[100], file_b[100];

static void two_namings(void **state)
{
    static const capt_dtype dtypes[] = {CAPT_F32, CAPT_F16, CAPT_BF16};
    for (size_t i = 0; i < 3; i++) {
        bundle a = {.dtype = dtypes[i]}, b = {.dtype = dtypes[i]};
        make_openai(&a);
        make_transformers(&a, &b);
        write_bundle(&a, file_a);
        write_bundle(&b, file_b);
        rig r, s;
        rig_load(&r, file_a, "{\"heads\":2}");
        rig_ok(&r);
        rig_load(&s, file_b, "{\"heads\":2}");
        rig_ok(&s);
        assert_int_equal(r.e->size, 8);
        assert_int_equal(capt_config_int(r.e->config, "layers"), 2);
        assert_true(json_equal(r.e->config, s.e->config));
        assert_string_equal(r.hash, s.hash);
        capt_encoded x = encode(&r, 2, 0), y = encode(&s, 2, 0);
        capt_real *g = values(&r, x.global), *h = values(&s, y.global);
        assert_memory_equal(g, h, 2 * OUT_DIM * sizeof *g);
        free(g);
        free(h);
        capt_param *p = capt_param_find(&r.ps, "encoder.ln_pre.bias");
        g = values(&r, &p->t);
        float f = get(&a, "visual.ln_pre.bias")[3];
        if (dtypes[i] != CAPT_F32)
            f = dtypes[i] == CAPT_F16 ? capt_f16_to_f32(capt_f16_from_f32(f)) : capt_bf16_to_f32(capt_bf16_from_f32(f));
        assert_true((float)g[3] == f);
        free(g);
        p = capt_param_find(&r.ps, "encoder.conv1.weight"); /* (D,P,P,3), theirs (D,3,P,P) */
        g = values(&r, &p->t);
        f = get(&a, "visual.conv1.weight")[((5 * 3 + 2) * P + 1) * P + 3];
        assert_true(fabs((double)g[((5 * P + 1) * P + 3) * 3 + 2] - (double)f) <= 4e-3 * fabs((double)f));
        free(g);
        rig_close(&r);
        rig_close(&s);
        free_bundle(&a);
        free_bundle(&b);
    }
}

/* ---- refusals: the text names what is wrong ---- */

static void rename_item(bundle *b, const char *from, const char *to)
{
    for (int i = 0; i < b->n; i++)
        if (!strcmp(b->v[i].name, from))
            snprintf(b->v[i].name, sizeof b->v[i].name, "%s", to);
}

static void refusals_of_files(void **state)
{
    static const struct { const char *rename, *to, *nan, *over, *want; } cases[] = {
        {"visual.ln_post.bias", "x", NULL, "{}", "\"visual.ln_post.bias\" is missing"},
        {"visual.transformer.resblocks.1.mlp.c_fc.bias", "x", NULL, "{}", "\"visual.transformer.resblocks.1.mlp.c_fc.bias\" is missing"},
        {"token_embedding.weight", "visual.extra", NULL, "{}", "\"visual.extra\" has no place"},
        {"visual.conv1.weight", "conv1", NULL, "{}", "no CLIP image encoder"},
        {NULL, NULL, NULL, "{\"width\":16}", "the encoder needs 16x3x4x4"},
        {NULL, NULL, "visual.ln_pre.weight", "{}", "of \"visual.ln_pre.weight\" is not finite"},
        {NULL, NULL, NULL, "{\"resolution\":10}", "resolution 10 is no multiple of the patch 4"},
        {NULL, NULL, NULL, "{\"heads\":3}", "width 8 does not split into 3 heads"},
        {NULL, NULL, NULL, "{\"colour\":3}", "\"colour\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bundle a = {.dtype = CAPT_F32};
        make_openai(&a);
        if (cases[i].rename)
            rename_item(&a, cases[i].rename, cases[i].to);
        for (int k = 0; cases[i].nan && k < a.n; k++)
            if (!strcmp(a.v[k].name, cases[i].nan))
                a.v[k].x[4] = NAN;
        write_bundle(&a, file_a);
        rig r;
        rig_load(&r, file_a, cases[i].over);
        if (r.e || !strstr(r.err.text, cases[i].want))
            fail_msg("case %zu: \"%s\" instead of \"%s\"", i, r.err.text, cases[i].want);
        rig_close(&r);
        free_bundle(&a);
    }
}

static void refusals_of_configurations(void **state)
{
    static const char *const cases[][2] = {
        {"{}", "\"type\" is missing"}, {"{\"type\":\"vgg\"}", "no type \"vgg\""}, {"{\"type\":\"clip-vit\",\"patch\":0}", "\"patch\" is 0"},
        {"{\"type\":\"clip-vit\",\"resolution\":5000}", "\"resolution\" is 5000"}, {"{\"type\":\"clip-resnet\",\"resolution\":100}", "multiple of 32"},
        {"{\"type\":\"clip-resnet\",\"width\":5}", "5 is odd"}, {"{\"type\":\"clip-resnet\",\"bn\":\"no\"}", "\"bn\" is \"no\""},
        {"{\"type\":\"clip-vit\",\"std_r\":0}", "\"std_r\""}, {"{\"type\":\"clip-vit\",\"preprocess\":\"crop\"}", "\"preprocess\" is \"crop\""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        rig r;
        rig_new(&r, "ref", cases[i][0]);
        if (r.e || !strstr(r.err.text, cases[i][1]))
            fail_msg("%s: \"%s\"", cases[i][0], r.err.text);
        rig_close(&r);
    }
}

static void wrong_picture_size(void **state)
{
    rig r;
    rig_new(&r, "ref", VIT);
    rig_ok(&r);
    capt_tensor *t = capt_ctx_upload(r.c, CAPT_U8, 4, (const int64_t[]){1, 2, 2, 3}, "abcdefghijkl");
    capt_encoded out;
    capt_encode(r.c, r.e, t, &out);
    assert_int_equal(capt_ctx_check(r.c, &r.err), -1);
    assert_non_null(strstr(r.err.text, "images are 2x2x3, the encoder reads 64x64x3"));
    rig_close(&r);
}

/* ---- checkpoints ---- */

/* A captioner that holds an encoder, or none, written to file_a; the encoder's hash comes back. */
static void write_checkpoint(const char *encoder, char hash[33])
{
    capt_err err = CAPT_ERR_INIT;
    json_t *v = json_loads("{\"type\":\"word\",\"tokenizer\":\"ptb-3.4.1-lower-nopunct\",\"special\":{\"pad\":0,\"bos\":1,\"eos\":2,\"unk\":3},"
                           "\"tokens\":[\"<pad>\",\"<bos>\",\"<eos>\",\"<unk>\",\"cat\"]}", 0, NULL);
    json_t *config = json_loads("{\"type\":\"gpt2\",\"feature\":\"global\",\"feature_dim\":32,\"feature_rows\":1,\"width\":8,\"layers\":1,\"heads\":1}", 0, NULL);
    json_t *e = encoder ? json_loads(encoder, 0, NULL) : NULL;
    capt_backend *be = capt_backend_open("ref", NULL, &err);
    capt_model *m = capt_model_new(config, capt_vocab_from_json(v, "test", &err), e, be, CAPT_F32, 5, &err);
    if (!m || capt_checkpoint_save(file_a, m, 0, NULL, &err))
        fail_msg("%s", err.text);
    capt_params_hash(&m->params, "encoder.", hash);
    capt_model_free(m);
    capt_backend_close(be);
    json_decref(v);
    json_decref(config);
    json_decref(e);
}

/* A tuned encoder comes out of its checkpoint as it went in, whatever its kind, with its preprocessing. */
static void from_checkpoint(void **state)
{
    for (size_t i = 0; i < 2; i++) {
        char hash[33], config[300];
        snprintf(config, sizeof config, "%.*s,\"preprocess\":\"stretch\",\"mean_g\":0.5}", (int)strlen(tiny[i].config) - 1, tiny[i].config);
        write_checkpoint(config, hash);
        rig r;
        rig_open(&r, "ref");
        json_t *prep = NULL;
        r.e = capt_encoder_load(file_a, &r.ps, r.hash, &prep, &r.err);
        rig_ok(&r);
        assert_string_equal(r.hash, hash);
        assert_int_equal(r.e->train_bn, 0);
        assert_string_equal(json_string_value(json_object_get(prep, "mode")), "stretch");
        assert_int_equal(json_integer_value(json_object_get(prep, "size")), 64);
        assert_true(fabs(json_number_value(json_array_get(json_object_get(prep, "mean"), 1)) - 0.5) < 1e-7);
        json_decref(prep);
        encode(&r, 1, 0);
        rig_close(&r);
        rig_load(&r, file_a, "{\"resolution\":96}");
        rig_ok(&r);
        assert_int_equal(r.e->size, 96);
        rig_close(&r);
    }
}

static void damaged_checkpoint(void **state)
{
    char hash[33];
    rig r;
    write_checkpoint(NULL, hash);
    rig_load(&r, file_a, "{}");
    assert_null(r.e);
    assert_non_null(strstr(r.err.text, "holds no encoder"));
    rig_close(&r);
    write_checkpoint(VIT, hash);
    capt_st *st = open_golden(file_a);
    FILE *f = fopen(file_a, "r+b");
    const capt_st_tensor *t = capt_st_find(st, "encoder.ln_post.weight"), *last = capt_st_at(st, 0);
    for (size_t i = 0; i < capt_st_n(st); i++)
        last = (const char *)capt_st_at(st, i)->data > (const char *)last->data ? capt_st_at(st, i) : last;
    fseek(f, (long)((const char *)t->data - (const char *)last->data - (long)last->bytes), SEEK_END); /* the data end the file */
    fputc(7, f);
    fclose(f);
    capt_st_close(st);
    rig_load(&r, file_a, "{}");
    assert_null(r.e);
    assert_non_null(strstr(r.err.text, "encoder.ln_post.weight is damaged"));
    rig_close(&r);
}

static int setup(void **state)
{
    if (!mkdtemp(folder))
        return -1;
    snprintf(file_a, sizeof file_a, "%s/a.safetensors", folder);
    snprintf(file_b, sizeof file_b, "%s/b.safetensors", folder);
    return 0;
}

static int teardown(void **state)
{
    unlink(file_a);
    unlink(file_b);
    return rmdir(folder);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shapes), cmocka_unit_test(cells_differ), cmocka_unit_test(batch_independence),
        cmocka_unit_test(memory_is_reused), cmocka_unit_test(batch_statistics), cmocka_unit_test(recomputed), cmocka_unit_test(stages), cmocka_unit_test(two_namings), cmocka_unit_test(refusals_of_files),
        cmocka_unit_test(refusals_of_configurations), cmocka_unit_test(wrong_picture_size), cmocka_unit_test(from_checkpoint), cmocka_unit_test(damaged_checkpoint),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
