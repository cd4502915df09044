/* GPT-2's public weights and states (golden/make_gpt2.py: transformers in float64): import, logits, losses and gradients; cross-entropy against PyTorch. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/bf16.h"
#include "base/mem.h"
#include "model/import.h"
#include "op/op.h"
#include "train/xe.h"
#include "vocab_rig.h"

#define GOLDEN "tests/golden/gpt2.safetensors"
enum { D = 16, V = 33, K = 3, T = 5, I = 2, R = 3, N_PARAM = 28 };
static const int32_t row_image[R] = {0, 1, 1};
static const char *const backends[] = {"ref", "guard", "cpu"};
enum { N_BACKEND = sizeof(capt_real) == 8 ? 2 : 3 }; /* cpu is single precision */

typedef struct fixture {
    capt_backend *be;
    capt_model *m;
    capt_ctx *c;
    capt_st *st;
    capt_real feat[I * K * D];
    capt_input in;
} fixture;

static double tolerance(double single, double twice) { return sizeof(capt_real) == 8 ? twice : single; }

/* The golden's model with values of its own, nothing imported; words 0 takes the default. */
static void set_up(fixture *f, const char *device, int vocab, int heads)
{
    capt_err err = CAPT_ERR_INIT;
    memset(f, 0, sizeof *f);
    f->be = capt_backend_open(device, NULL, &err);
    f->st = capt_st_open(GOLDEN, &err);
    if (!f->be || !f->st)
        fail_msg("%s", err.text);
    json_t *config = capt_import_config(GOLDEN, "gpt2", &err);
    if (!config)
        fail_msg("%s", err.text);
    assert_int_equal(capt_config_int(config, "layers"), 2);
    assert_int_equal(capt_config_int(config, "width"), D);
    assert_int_equal(capt_config_int(config, "positions"), 12);
    json_t *more = json_pack("{s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:f}", "type", "gpt2", "feature", "grid", "feature_dim", D, "feature_rows", K, "tokens", 0, "words", T, "heads", heads,
                             "dropout", 0.0);
    json_object_update(config, more);
    f->m = capt_model_new(config, small_vocab(vocab), NULL, f->be, CAPT_F32, 1, &err);
    json_decref(more);
    json_decref(config);
    f->c = capt_ctx_new(f->be, CAPT_F32, &err);
    if (!f->m || !f->c)
        fail_msg("%s", err.text);
    for (int i = 0; i < I * K * D; i++)
        f->feat[i] = (capt_real)(sin(0.9 * i + 0.2) / 4);
    f->in = (capt_input){.n_images = I, .feat = f->feat, .S = K, .D = D};
    capt_real eye[D * D] = {0};
    for (int i = 0; i < D; i++)
        eye[i * D + i] = 1;
    capt_param_set(&f->m->params, capt_param_find(&f->m->params, "prefix.weight"), eye);
}

static void tear_down(fixture *f)
{
    capt_st_close(f->st);
    capt_ctx_free(f->c);
    capt_model_free(f->m);
    capt_backend_close(f->be);
}

static void ok(int rc, const capt_err *err)
{
    if (rc)
        fail_msg("%s", err->text);
}

static void load(fixture *f, const char *device, int heads)
{
    capt_err err = CAPT_ERR_INIT;
    int n = 0;
    set_up(f, device, V, heads);
    ok(capt_import_weights(f->m, GOLDEN, 0, &n, &err), &err);
    assert_int_equal(n, N_PARAM);
}

/* A tensor of the golden; matrices the public file keeps as (in,out) are turned. */
static capt_real *golden(const fixture *f, const char *name, int64_t n, int turned)
{
    const capt_st_tensor *t = capt_st_find(f->st, name);
    if (!t || capt_st_numel(t) != n)
        fail_msg("%s: not in the golden, or not of %d elements", name, (int)n);
    capt_real *x = capt_alloc(2 * (size_t)n * sizeof *x), *y = x + n;
    capt_st_to_real(t, x);
    int64_t rows = t->dim[0], cols = n / rows;
    for (int64_t r = 0; turned && r < rows; r++)
        for (int64_t c = 0; c < cols; c++)
            y[c * rows + r] = x[r * cols + c];
    if (turned)
        memcpy(x, y, (size_t)n * sizeof *x);
    return x;
}

static int is_turned(const char *name)
{
    return strstr(name, ".attn.c_") != NULL ? strstr(name, "weight") != NULL : strstr(name, ".mlp.c_") && strstr(name, "weight");
}

/* max |a - b| / max |b| */
static double distance(const capt_real *a, const capt_real *b, int64_t n)
{
    double d = 0, m = 0;
    for (int64_t i = 0; i < n; i++) {
        double e = fabs((double)a[i] - (double)b[i]);
        d = e > d || isnan(e) ? e : d;
        m = fmax(m, fabs((double)b[i]));
    }
    return d / m;
}

static void tokens_of(const fixture *f, int32_t *tokens, int32_t *targets)
{
    const capt_st_tensor *a = capt_st_find(f->st, "in.tokens"), *b = capt_st_find(f->st, "in.targets");
    assert_true(a && b && a->dtype == CAPT_I32 && a->bytes == R * T * 4 && b->bytes == R * T * 4);
    memcpy(tokens, a->data, a->bytes);
    memcpy(targets, b->data, b->bytes);
}

/* Logits (R,T,V) by teacher forcing, or by T decoding steps. */
static capt_real *logits(fixture *f, int steps)
{
    capt_err err = CAPT_ERR_INIT;
    int32_t tokens[R * T], targets[R * T], now[R];
    tokens_of(f, tokens, targets);
    capt_real *out = capt_alloc(R * T * V * sizeof *out);
    capt_ctx_reset(f->c);
    capt_feat x = capt_image_features(f->c, f->m, NULL, &f->in);
    if (!steps) {
        capt_tensor *z = capt_linear(f->c, f->m->type->forward(f->c, f->m, &x, R, T, row_image, tokens, NULL), f->m->head_w, f->m->head_b, CAPT_MAP_none);
        capt_ctx_download(f->c, out, z->data, R * T * V * sizeof *out);
        ok(capt_ctx_check(f->c, &err), &err);
        return out;
    }
    capt_state *s = f->m->type->prefill(f->c, f->m, &x, R, T);
    ok(capt_ctx_check(f->c, &err), &err);
    capt_state_rows(s, row_image, R);
    for (int t = 0; t < T; t++) {
        capt_real z[R * V];
        for (int r = 0; r < R; r++)
            now[r] = tokens[r * T + t];
        capt_tensor *y = capt_linear(f->c, f->m->type->step(f->c, f->m, s, now), f->m->head_w, f->m->head_b, CAPT_MAP_none);
        capt_ctx_download(f->c, z, y->data, sizeof z);
        ok(capt_ctx_check(f->c, &err), &err);
        for (int r = 0; r < R; r++)
            memcpy(out + (r * T + t) * V, z + r * V, V * sizeof *z);
    }
    capt_state_free(s);
    return out;
}

static void same_logits(void **state)
{
    for (int k = 0; k < N_BACKEND; k++)
        for (int steps = 0; steps < 2; steps++) {
            fixture f;
            load(&f, backends[k], 2);
            capt_real *z = logits(&f, steps), *want = golden(&f, "out.logits", R * T * V, 0);
            double d = distance(z, want, R * T * V);
            if (!(d < tolerance(2e-5, 1e-12)))
                fail_msg("%s%s: logits differ by %g", backends[k], steps ? " by steps" : "", d);
            free(z);
            free(want);
            tear_down(&f);
        }
}

/* The golden tells GPT-2 from models that differ in one constant, and so would tell ours. */
static void other_constants(void **state)
{
    fixture f;
    load(&f, "ref", 2);
    capt_real *z = logits(&f, 0), *want;
    static const char *const alt[] = {"alt.gelu_erf", "alt.eps_1e-6", "alt.attention_unscaled", "alt.heads_4"};
    for (int k = 0; k < 4; k++) {
        want = golden(&f, alt[k], T * V, 0);
        if (distance(z, want, T * V) < 1e-4)
            fail_msg("%s: the same", alt[k]);
        free(want);
    }
    free(z);
    want = golden(&f, "alt.heads_4", T * V, 0);
    tear_down(&f);
    load(&f, "ref", 4);
    z = logits(&f, 0);
    assert_true(distance(z, want, T * V) < 2e-5);
    free(z);
    free(want);
    want = golden(&f, "out.logits", R * T * V, 0);
    for (int i = 0; i < f.m->params.n; i++) { /* each tensor matters, and its place in it */
        capt_param *p = f.m->params.v[i];
        int64_t n = capt_tensor_numel(&p->t);
        capt_real *x = capt_alloc((size_t)n * sizeof *x);
        tear_down(&f);
        load(&f, "ref", 2);
        p = f.m->params.v[i];
        capt_param_get(&f.m->params, p, x);
        for (int64_t e = 0; e < n; e++)
            x[e] += (capt_real)(0.01 * sin((double)e));
        capt_param_set(&f.m->params, p, x);
        z = logits(&f, 0);
        int dead = strstr(p->name, "c_attn.bias") != NULL; /* a shift of all keys alone would change nothing: queries and values do */
        if (!(distance(z, want, R * T * V) > (dead ? 4e-5 : 1e-4)))
            fail_msg("%s does not matter", p->name);
        free(z);
        free(x);
    }
    free(want);
    tear_down(&f);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static void same_gradients(void **state)
{
    for (int k = 0; k < N_BACKEND; k++)
        for (int smooth = 0; smooth < 2; smooth++) {
            fixture f;
            capt_err err = CAPT_ERR_INIT;
            int32_t tokens[R * T], targets[R * T];
            capt_real weights[R * T];
            load(&f, backends[k], 2);
            tokens_of(&f, tokens, targets);
            double norm = 0, loss, sum = 0;
            for (int i = 0; i < R * T; i++) {
                weights[i] = targets[i] >= 0;
                norm += (double)weights[i];
                targets[i] = targets[i] < 0 ? 0 : targets[i];
            }
            ok(capt_params_train(&f.m->params, "", 1, &err), &err);
            capt_rows rows = {R, T, row_image, tokens, targets, weights, 0, 0, 0};
            ok(capt_xe_pass(f.c, f.m, NULL, &f.in, &rows, norm, smooth ? 0.1 : 0, 1, &loss, &err), &err);
            capt_real *each = golden(&f, smooth ? "out.loss.10" : "out.loss.0", R * T, 0);
            for (int i = 0; i < R * T; i++)
                sum += (double)each[i] / norm;
            assert_true(fabs(loss - sum) < tolerance(2e-6, 1e-12));
            free(each);
            const char *names[N_PARAM + 1];
            int n_names = 0;
            for (int i = 0; i < f.m->params.n; i++)
                if (strcmp(f.m->params.v[i]->name, "prefix.bias"))
                    names[n_names++] = f.m->params.v[i]->name;
            assert_int_equal(n_names, N_PARAM + 1);
            qsort(names, (size_t)n_names, sizeof *names, by_name);
            capt_real *sums = golden(&f, "smooth", 2 * (N_PARAM + 1), 0);
            for (int i = 0; i < n_names; i++) {
                capt_param *p = capt_param_find(&f.m->params, names[i]);
                int64_t n = capt_tensor_numel(&p->t), rows_in = n / p->t.dim[0];
                int turned = is_turned(p->name);
                capt_real *g = capt_alloc((size_t)n * sizeof *g);
                assert_true(p->t.touched);
                f.be->download(f.be, g, p->t.grad, (size_t)n * sizeof *g);
                double d = 0;
                if (smooth) {
                    double s = 0;
                    for (int64_t e = 0; e < n; e++)
                        s += (double)g[e] * sin(0.37 * (double)(turned ? e % rows_in * p->t.dim[0] + e / rows_in : e) + 1);
                    d = fabs(s - (double)sums[2 * i]) / (double)sums[2 * i + 1];
                } else {
                    char name[100];
                    snprintf(name, sizeof name, "grad.%s", p->name);
                    capt_real *want = golden(&f, name, n, turned);
                    d = distance(g, want, n);
                    free(want);
                }
                if (!(d < tolerance(1e-4, smooth ? 1e-11 : 2e-7))) /* the golden's gradients are single */
                    fail_msg("%s: gradient of %s differs by %g", backends[k], p->name, d);
                free(g);
            }
            free(sums);
            tear_down(&f);
        }
}

static void cross_entropy(void **state)
{
    for (int k = 0; k < N_BACKEND; k++) {
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        set_up(&f, backends[k], V, 2);
        capt_params ps;
        capt_params_init(&ps, f.be, CAPT_F32, 1);
        static const char *const name[] = {"h", "w", "b"};
        static const int64_t dim[][2] = {{5, 6}, {11, 6}, {11, 1}};
        capt_tensor *t[3];
        char full[20];
        for (int i = 0; i < 3; i++) {
            t[i] = capt_param_new(&ps, i == 1 ? CAPT_P_MATRIX : 0, CAPT_INIT_ZERO, 0, i < 2 ? 2 : 1, dim[i], "%s", name[i]);
            snprintf(full, sizeof full, "xent.%s", name[i]);
            capt_real *x = golden(&f, full, dim[i][0] * dim[i][1], 0);
            capt_param_set(&ps, capt_param_find(&ps, name[i]), x);
            free(x);
        }
        ok(capt_params_train(&ps, "", 1, &err), &err);
        capt_real *weight = golden(&f, "xent.weight", 5, 0), *want = golden(&f, "xent.loss", 5, 0), loss[5];
        capt_ctx_reset(f.c);
        f.c->recording = 1;
        capt_tensor *l = capt_xent(f.c, t[0], t[1], t[2], capt_st_find(f.st, "xent.target")->data, weight, 0.1);
        capt_tape_backward(f.c);
        capt_ctx_download(f.c, loss, l->data, sizeof loss);
        ok(capt_ctx_check(f.c, &err), &err);
        assert_true(distance(loss, want, 5) < tolerance(2e-6, 1e-12));
        free(weight);
        free(want);
        for (int i = 0; i < 3; i++) {
            int64_t n = dim[i][0] * dim[i][1];
            capt_real g[66];
            snprintf(full, sizeof full, "xent.d%s", name[i]);
            want = golden(&f, full, n, 0);
            f.be->download(f.be, g, t[i]->grad, (size_t)n * sizeof *g);
            double d = distance(g, want, n);
            if (!(d < tolerance(1e-5, 1e-12)))
                fail_msg("%s: %s differs by %g", backends[k], full, d);
            free(want);
        }
        capt_params_free(&ps);
        tear_down(&f);
    }
}

/* ---- import ---- */

/* The golden's weights written again: another dtype, names with prefix, with the mask buffers of older files; one tensor of another shape or left out. */
static void write_public(const char *path, capt_dtype dtype, const char *prefix, int masks, const char *reshaped, const char *left_out)
{
    capt_err err = CAPT_ERR_INIT;
    capt_st *st = capt_st_open(GOLDEN, &err);
    capt_st_writer *w = capt_st_writer_new();
    void *held[N_PARAM + 1];
    int n_held = 0;
    for (size_t i = 0; i < capt_st_n(st); i++) {
        const capt_st_tensor *t = capt_st_at(st, i);
        if ((strncmp(t->name, "h.", 2) && strncmp(t->name, "ln_f.", 5) && strncmp(t->name, "wte.", 4) && strncmp(t->name, "wpe.", 4)) || (left_out && !strcmp(t->name, left_out)))
            continue;
        size_t n = (size_t)capt_st_numel(t);
        float *x = capt_alloc(n * sizeof *x);
        capt_st_to_f32(t, x);
        uint16_t *half = (uint16_t *)x; /* converted in place, from the front */
        for (size_t e = 0; dtype != CAPT_F32 && e < n; e++) {
            float v;
            memcpy(&v, (char *)x + 4 * e, 4);
            uint16_t u = dtype == CAPT_BF16 ? capt_bf16_from_f32(v) : capt_f16_from_f32(v);
            memcpy((char *)half + 2 * e, &u, 2);
        }
        held[n_held++] = x;
        char name[100];
        snprintf(name, sizeof name, "%s%s", prefix, t->name);
        int64_t dim[2] = {t->dim[0], t->dim[1]};
        if (reshaped && !strcmp(t->name, reshaped)) {
            dim[0] = t->ndim == 2 ? t->dim[1] : t->dim[0] / 2;
            dim[1] = t->dim[0];
        }
        ok(capt_st_writer_add(w, name, dtype, t->ndim, dim, x, &err), &err);
    }
    static const uint8_t mask[12 * 12] = {1};
    static const float big = -1e4f;
    for (int i = 0; masks && i < 2; i++) {
        char name[100];
        snprintf(name, sizeof name, "%sh.%d.attn.bias", prefix, i);
        ok(capt_st_writer_add(w, name, CAPT_U8, 4, (const int64_t[]){1, 1, 12, 12}, mask, &err), &err);
        snprintf(name, sizeof name, "%sh.%d.attn.masked_bias", prefix, i);
        ok(capt_st_writer_add(w, name, CAPT_F32, 0, NULL, &big, &err), &err);
    }
    ok(capt_st_writer_finish(w, path, &err), &err);
    while (n_held > 0)
        free(held[--n_held]);
    capt_st_close(st);
}

static char folder[] = "/tmp/gpt2_test.XXXXXX";
static const char *file(void)
{
    static char path[64];
    snprintf(path, sizeof path, "%s/public.safetensors", folder);
    return path;
}

static void spellings(void **state)
{
    static const struct { capt_dtype dtype; const char *prefix; int masks; } row[] = {
        {CAPT_F32, "", 0}, {CAPT_F32, "transformer.", 1}, {CAPT_F16, "", 1}, {CAPT_F16, "transformer.", 0}, {CAPT_BF16, "transformer.", 1}};
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        fixture f, plain;
        capt_err err = CAPT_ERR_INIT;
        int n = 0;
        write_public(file(), row[k].dtype, row[k].prefix, row[k].masks, NULL, NULL);
        json_t *config = capt_import_config(file(), "gpt2", &err);
        assert_int_equal(capt_config_int(config, "layers"), 2);
        json_decref(config);
        load(&plain, "ref", 2);
        set_up(&f, "ref", V, 2);
        ok(capt_import_gpt2(f.m, file(), 0, &n, &err), &err);
        assert_int_equal(n, N_PARAM);
        for (int i = 0; i < f.m->params.n; i++) {
            int64_t elements = capt_tensor_numel(&f.m->params.v[i]->t);
            capt_real *a = capt_alloc(2 * (size_t)elements * sizeof *a), *b = a + elements;
            capt_param_get(&f.m->params, f.m->params.v[i], a);
            capt_param_get(&plain.m->params, plain.m->params.v[i], b);
            for (int64_t e = 0; e < elements; e++)
                assert_true(a[e] == (row[k].dtype == CAPT_BF16 ? (capt_real)capt_bf16_to_f32(capt_bf16_from_f32((float)b[e])) : b[e]));
            free(a);
        }
        tear_down(&f);
        tear_down(&plain);
    }
}

/* The number of heads comes from the config.json beside the weights, if it is theirs. */
static void heads(void **state)
{
    static const struct { const char *text; int heads; } row[] = {
        {NULL, 1}, {"{\"n_embd\":%d,\"n_head\":2}", 2}, {"{\"n_embd\":1%d,\"n_head\":2}", 1}, {"{\"n_embd\":%d}", 0}, {"{\"n_embd\":%d", 0}};
    char path[80];
    snprintf(path, sizeof path, "%s/config.json", folder);
    write_public(file(), CAPT_F32, "", 0, NULL, NULL);
    json_t *golden = capt_import_config(GOLDEN, "gpt2", NULL);
    int width = capt_config_int(golden, "width");
    json_decref(golden);
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        capt_err err = CAPT_ERR_INIT;
        if (row[k].text) {
            FILE *f = fopen(path, "w");
            fprintf(f, row[k].text, width);
            fclose(f);
        }
        json_t *config = capt_import_config(file(), "gpt2", &err);
        assert_int_equal(config ? capt_config_int(config, "heads") : 0, row[k].heads);
        assert_int_equal(err.code != 0, !row[k].heads);
        if (err.code)
            assert_non_null(strstr(err.text, path));
        json_decref(config);
    }
    unlink(path);
}

/* Parts: the decoder goes with any vocabulary, the embedding comes alone; what is not imported stays. */
static void parts(void **state)
{
    for (int part = 1; part <= 2; part++) {
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        int n = 0;
        set_up(&f, "guard", part == 1 ? V - 9 : V, 2);
        int N = f.m->params.n;
        char(*before)[33] = capt_alloc((size_t)N * sizeof *before), after[33];
        for (int i = 0; i < N; i++)
            capt_params_hash(&f.m->params, f.m->params.v[i]->name, before[i]);
        ok(capt_import_weights(f.m, GOLDEN, part, &n, &err), &err);
        assert_int_equal(n, part == 1 ? N_PARAM - 1 : 1);
        for (int i = 0; i < N; i++) {
            const char *name = f.m->params.v[i]->name;
            int wte = !strcmp(name, "wte.weight"), taken = strncmp(name, "prefix.", 7) && wte == (part == 2);
            capt_params_hash(&f.m->params, name, after);
            if ((strcmp(before[i], after) != 0) != taken || f.m->params.v[i]->loaded != (taken || !strcmp(name, "prefix.weight")))
                fail_msg("part %d: %s was %staken", part, name, taken ? "not " : "");
        }
        free(before);
        tear_down(&f);
    }
}

static void refusals(void **state)
{
    static const struct { const char *reshaped, *left_out; int vocab, part; const char *says; } row[] = {
        {"h.1.mlp.c_fc.weight", NULL, V, 0, "h.1.mlp.c_fc.weight has 64x16 elements, the model's h.1.mlp.c_fc.weight takes 16x64"},
        {"h.0.ln_2.bias", NULL, V, 0, "h.0.ln_2.bias"},
        {NULL, "h.1.attn.c_proj.bias", V, 0, "h.1.attn.c_proj.bias is missing"},
        {NULL, "wte.weight", V, 2, "wte.weight is missing"},
        {NULL, NULL, V - 1, 0, "wte.weight has 33x16 elements, the model's wte.weight takes 32x16"},
        {NULL, NULL, V - 1, 2, "wte.weight"}};
    for (size_t k = 0; k < sizeof row / sizeof *row; k++) {
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        int n = 0;
        write_public(file(), CAPT_F32, "", 0, row[k].reshaped, row[k].left_out);
        set_up(&f, "ref", row[k].vocab, 2);
        assert_int_equal(capt_import_weights(f.m, file(), row[k].part, &n, &err), -1);
        assert_int_equal(err.code, CAPT_EDATA);
        if (!strstr(err.text, row[k].says) || !strstr(err.text, file()))
            fail_msg("\"%s\" does not say \"%s\"", err.text, row[k].says);
        tear_down(&f);
    }
}

static int make_folder(void **state) { return mkdtemp(folder) ? 0 : -1; }
static int remove_folder(void **state)
{
    unlink(file());
    return rmdir(folder);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_logits), cmocka_unit_test(other_constants), cmocka_unit_test(same_gradients), cmocka_unit_test(cross_entropy),
        cmocka_unit_test(spellings),   cmocka_unit_test(heads), cmocka_unit_test(parts),           cmocka_unit_test(refusals),
    };
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
