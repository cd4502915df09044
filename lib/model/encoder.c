#include "model/encoder_priv.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/str.h"

const capt_encoder_type *const capt_encoder_types[] = {
#define ENCODER(symbol) &capt_encoder_##symbol,
#include "model/encoder.def"
#undef ENCODER
    NULL
};

const capt_encoder_type *capt_encoder_find(const char *name)
{
    for (int i = 0; capt_encoder_types[i]; i++)
        if (!strcmp(capt_encoder_types[i]->name, name))
            return capt_encoder_types[i];
    return NULL;
}

int capt_encoder_int(const capt_encoder *e, const char *key, int lo, int hi, int *v, capt_err *err)
{
    *v = capt_config_int(e->config, key);
    if (*v < lo || *v > hi)
        return capt_fail(err, CAPT_EDATA, "%s: \"%s\" is %d, not %d to %d", e->type->name, key, *v, lo, hi);
    return 0;
}

static int read_preprocessing(capt_encoder *e, capt_err *err)
{
    static const char *const mean[3] = {"mean_r", "mean_g", "mean_b"}, *const std[3] = {"std_r", "std_g", "std_b"};
    if (capt_encoder_int(e, "resolution", 8, 4096, &e->size, err))
        return -1;
    const char *mode = capt_config_str(e->config, "preprocess");
    if (strcmp(mode, "clip") && strcmp(mode, "stretch"))
        return capt_fail(err, CAPT_EDATA, "%s: \"preprocess\" is \"%s\", not clip or stretch", e->type->name, mode);
    for (int i = 0; i < 3; i++) {
        e->mean[i] = (float)capt_config_num(e->config, mean[i]);
        e->std[i] = (float)capt_config_num(e->config, std[i]);
        if (!isfinite(e->mean[i]) || !isfinite(e->std[i]) || e->std[i] <= 0)
            return capt_fail(err, CAPT_EDATA, "%s: \"%s\" and \"%s\" must be finite, the deviation above 0", e->type->name, mean[i], std[i]);
    }
    return 0;
}

capt_encoder *capt_encoder_new(const json_t *config, capt_params *params, capt_err *err)
{
    const char *name = json_string_value(json_object_get(config, "type"));
    if (!name) {
        capt_fail(err, CAPT_EDATA, "encoder: \"type\" is missing");
        return NULL;
    }
    const capt_encoder_type *type = capt_encoder_find(name);
    if (!type) {
        capt_fail(err, CAPT_EDATA, "encoder: no type \"%s\" (known: clip-vit, clip-resnet)", name);
        return NULL;
    }
    capt_encoder *e = capt_alloc(sizeof *e);
    e->type = type;
    e->params = params;
    e->config = capt_config_complete(config, type->keys, type->name, err);
    int bad = !e->config || read_preprocessing(e, err) || type->init(e, err);
    if (!bad && params->err.code)
        bad = capt_fail(err, params->err.code, "%s: %s", type->name, params->err.text);
    if (bad) {
        capt_encoder_free(e);
        return NULL;
    }
    return e;
}

void capt_encoder_free(capt_encoder *e)
{
    if (!e)
        return;
    if (e->self)
        e->type->free(e);
    json_decref(e->config);
    free(e);
}

/* The stages, one behind the other in the order of their parameters, comma-separated. */
static void stage_list(const capt_encoder *e, capt_str *s, int *n)
{
    char name[CAPT_STAGE_NAME], last[CAPT_STAGE_NAME] = "";
    for (int i = 0; i < e->params->n; i++) {
        const char *param = e->params->v[i]->name;
        if (strncmp(param, "encoder.", 8))
            continue;
        e->type->stage(param + 8, name);
        if (!strcmp(name, last))
            continue;
        capt_str_printf(s, "%s%s", *n ? ", " : "", name);
        strcpy(last, name);
        ++*n;
    }
}

/* Is the stage, number `at` of n, one of those asked for? `most` is how many in front of the head, or -1: stages has names. */
static int chosen(const char *stages, long most, const char *stage, int at, int n)
{
    size_t len = strlen(stage);
    if (most >= 0)
        return at > 0 && at >= n - 1 - most;
    for (const char *p = stages; *p; p += strcspn(p, ","), p += *p == ',')
        if (strcspn(p, ",") == len && !strncmp(p, stage, len))
            return 1;
    return 0;
}

int capt_encoder_tune(capt_encoder *e, const char *stages, capt_str *tuned, capt_err *err)
{
    char name[CAPT_STAGE_NAME], last[CAPT_STAGE_NAME] = "", *end;
    capt_str known = {0};
    int n = 0, at = -1, found = 0, asked = 1;
    stage_list(e, &known, &n);
    long most = strtol(stages, &end, 10);
    if (end == stages || *end)
        most = -1;
    for (const char *p = stages; *p; p++)
        asked += *p == ',';
    for (int i = 0; i < e->params->n; i++) {
        const char *param = e->params->v[i]->name;
        if (strncmp(param, "encoder.", 8))
            continue;
        e->type->stage(param + 8, name);
        int new = strcmp(name, last) != 0, yes = chosen(stages, most, name, at += new, n);
        strcpy(last, name);
        if (new && yes)
            capt_str_printf(tuned, "%s%s", found++ ? ", " : "", name);
        if (capt_params_train(e->params, param, yes, err))
            break;
    }
    if (most > n - 2 || (most < 0 && found != asked))
        capt_fail(err, CAPT_EUSAGE, "stages \"%s\": want a number up to %d, or some of %s", stages, n - 2, known.s);
    capt_str_free(&known);
    return err->code ? -1 : 0;
}

static int learns(const capt_encoder *e)
{
    for (int i = 0; i < e->params->n; i++)
        if (e->params->v[i]->t.needs_grad && !strncmp(e->params->v[i]->name, "encoder.", 8))
            return 1;
    return 0;
}

/* As many images at a time as make some 400 rows of the last map, which is what matrix products take to be fast; not as many as there are threads: BLAS rounds a
 * row by how many there are. */
static void encode_in_parts(capt_ctx *c, capt_encoder *e, const capt_tensor *u8, capt_encoded *out)
{
    enum { ROWS = 400 };
    int64_t I = u8->dim[0], part = ROWS > e->grid_rows ? ROWS / e->grid_rows : 1, picture = 3 * (int64_t)e->size * e->size;
    int64_t global = e->global_dim, grid = (int64_t)e->grid_rows * e->grid_dim;
    out->global = capt_ctx_real(c, I, 1, e->global_dim);
    out->grid = capt_ctx_real(c, I, e->grid_rows, e->grid_dim);
    for (int64_t i = 0; i < I && !capt_ctx_bad(c); i += part) {
        capt_mark mark = capt_ctx_mark(c);
        capt_tensor some = *u8;
        capt_encoded y;
        some.data = (uint8_t *)u8->data + i * picture;
        some.dim[0] = I - i < part ? I - i : part;
        e->type->forward(c, e, &some, &y);
        if (capt_ctx_bad(c))
            return;
        c->be->copy2d(c->be, (capt_real *)out->global->data + i * global, global, 0, y.global->data, global, some.dim[0], global);
        c->be->copy2d(c->be, (capt_real *)out->grid->data + i * grid, grid, 0, y.grid->data, grid, some.dim[0], grid);
        capt_ctx_release(c, mark);
    }
}

void capt_encode(capt_ctx *c, capt_encoder *e, capt_tensor *u8, capt_encoded *out)
{
    if (u8->ndim != 4 || u8->dim[1] != e->size || u8->dim[2] != e->size || u8->dim[3] != 3)
        out->global = out->grid = capt_ctx_fail(c, "%s: images are %lldx%lldx%lld, the encoder reads %dx%dx3", e->type->name, (long long)u8->dim[1],
                                                (long long)u8->dim[2], (long long)u8->dim[3], e->size, e->size);
    else if ((c->recording || c->training) && learns(e))
        e->type->forward(c, e, u8, out);
    else
        encode_in_parts(c, e, u8, out);
}

capt_tensor *capt_encoder_segment(capt_ctx *c, const capt_encoder *e, capt_mark mark, capt_segment *fn, const void *arg, capt_tensor *x)
{
    x = capt_relay(c, mark, x);
    return e->recompute ? capt_recompute(c, fn, arg, x) : fn(c, arg, x);
}

static double cubic(double x, double a)
{
    x = fabs(x);
    return x <= 1 ? ((a + 2) * x - (a + 3)) * x * x + 1 : x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* Weights w (n) of the n old cells for new cell i of m. */
static void cell_weights(double *w, int n, int i, int m, int antialias)
{
    double scale = (double)n / m, at = (i + 0.5) * scale, wide = antialias && scale > 1 ? scale : 1, sum = 0;
    for (int k = 0; k < n; k++)
        w[k] = 0;
    if (!antialias) {
        int k0 = (int)floor(at - 0.5) - 1;
        for (int k = k0; k < k0 + 4; k++)
            w[k < 0 ? 0 : k >= n ? n - 1 : k] += cubic(k + 0.5 - at, -0.75);
        return;
    }
    for (int k = 0; k < n; k++)
        sum += w[k] = cubic((k + 0.5 - at) / wide, -0.5);
    for (int k = 0; k < n; k++)
        w[k] /= sum;
}

void capt_encoder_resize_positions(capt_real *dst, int g, const capt_real *src, int g0, int dim, int antialias)
{
    double *w = capt_alloc((size_t)g * (size_t)g0 * sizeof *w), *sum = capt_alloc((size_t)dim * sizeof *sum);
    for (int i = 0; i < g; i++)
        cell_weights(w + (size_t)i * (size_t)g0, g0, i, g, antialias);
    memcpy(dst, src, (size_t)dim * sizeof *dst);
    dst += dim;
    src += dim;
    for (int64_t y = 0; y < g; y++)
        for (int64_t x = 0; x < g; x++) {
            for (int i = 0; i < dim; i++)
                sum[i] = 0;
            for (int64_t j = 0; j < g0; j++)
                for (int64_t k = 0; k < g0; k++) {
                    double f = w[y * g0 + j] * w[x * g0 + k];
                    for (int i = 0; f != 0 && i < dim; i++)
                        sum[i] += f * (double)src[(j * g0 + k) * dim + i];
                }
            for (int i = 0; i < dim; i++)
                dst[(y * g + x) * dim + i] = (capt_real)sum[i];
        }
    free(w);
    free(sum);
}
