/* CLIP's two towers from public files. Two namings are known, and our own:
 *   OpenAI, open_clip   "visual.conv1.weight", "visual.transformer.resblocks.0.attn.in_proj_weight", "visual.layer1.0.bn1.running_mean", ...;
 *                       the text tower's without a prefix, or under "text."
 *   transformers        "vision_model.encoder.layers.0.self_attn.q_proj.weight", "vision_model.pre_layrnorm.weight", "visual_projection.weight";
 *                       "text_model.", "text_projection.weight"
 *   a checkpoint        "encoder.conv1.weight", ... in our layout (images only)
 * What a tower lacks or has too much is refused by name. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "model/encoder_priv.h"
#include "model/import.h"

typedef enum naming { OPENAI, TRANSFORMERS, OURS, TEXT_OPENAI, TEXT_OPEN_CLIP, TEXT_TRANSFORMERS, N_NAMINGS } naming;
static const struct { const char *prefix, *first; int text; } namings[N_NAMINGS] = {
    {"visual.", "visual.conv1.weight", 0},
    {"vision_model.", "vision_model.embeddings.patch_embedding.weight", 0},
    {"encoder.", "encoder.conv1.weight", 0},
    {"", "token_embedding.weight", 1},
    {"text.", "text.token_embedding.weight", 1},
    {"text_model.", "text_model.embeddings.token_embedding.weight", 1},
};

typedef struct source {
    capt_st *st;
    const char *path;
    naming naming;
    CAPT_VEC(char *) used; /* names taken so far */
} source;

static int is_transformers(const source *s)
{
    return s->naming == TRANSFORMERS || s->naming == TEXT_TRANSFORMERS;
}

static int source_open(source *s, capt_st *st, int text, const char *path, capt_err *err)
{
    *s = (source){.st = st, .path = path};
    for (int i = 0; i < N_NAMINGS; i++)
        if (namings[i].text == text && capt_st_find(st, namings[i].first)) {
            s->naming = (naming)i;
            return 0;
        }
    return capt_fail(err, CAPT_EDATA, "%s: holds no CLIP %s (neither \"%s\" nor \"%s\")", path, text ? "text tower" : "image encoder",
                     namings[text ? TEXT_OPENAI : OPENAI].first, namings[text ? TEXT_TRANSFORMERS : TRANSFORMERS].first);
}

static void source_close(source *s)
{
    for (size_t i = 0; i < s->used.n; i++)
        free(s->used.v[i]);
    capt_vec_free(&s->used);
}

/* ---- names ---- */

static const struct { const char *ours, *theirs; } outside[] = {
    {"conv1.weight", "embeddings.patch_embedding.weight"},
    {"class_embedding", "embeddings.class_embedding"},
    {"positional_embedding", "embeddings.position_embedding.weight"},
    {"ln_pre.weight", "pre_layrnorm.weight"},
    {"ln_pre.bias", "pre_layrnorm.bias"},
    {"ln_post.weight", "post_layernorm.weight"},
    {"ln_post.bias", "post_layernorm.bias"},
    {"token_embedding.weight", "embeddings.token_embedding.weight"},
    {"ln_final.weight", "final_layer_norm.weight"},
    {"ln_final.bias", "final_layer_norm.bias"},
}, inside[] = {
    {"ln_1.weight", "layer_norm1.weight"},
    {"ln_1.bias", "layer_norm1.bias"},
    {"attn.out_proj.weight", "self_attn.out_proj.weight"},
    {"attn.out_proj.bias", "self_attn.out_proj.bias"},
    {"ln_2.weight", "layer_norm2.weight"},
    {"ln_2.bias", "layer_norm2.bias"},
    {"mlp.c_fc.weight", "mlp.fc1.weight"},
    {"mlp.c_fc.bias", "mlp.fc1.bias"},
    {"mlp.c_proj.weight", "mlp.fc2.weight"},
    {"mlp.c_proj.bias", "mlp.fc2.bias"},
}, projection[] = {
    {"proj", "visual_projection.weight"},
    {"text_projection", "text_projection.weight"},
};

/* The public names of the parameter "encoder.<ours>" or "text.<ours>"; returns their number (3: q, k, v to be stacked). */
static int public_names(const source *s, const char *ours, char out[3][200])
{
    int block, at = 0;
    const char *prefix = namings[s->naming].prefix;
    snprintf(out[0], 200, "%s%s", prefix, ours);
    if (!is_transformers(s))
        return 1;
    if (sscanf(ours, "transformer.resblocks.%d.%n", &block, &at) == 1 && at) {
        const char *rest = ours + at;
        if (!strncmp(rest, "attn.in_proj_", 13)) {
            for (int i = 0; i < 3; i++)
                snprintf(out[i], 200, "%sencoder.layers.%d.self_attn.%c_proj.%s", prefix, block, "qkv"[i], rest + 13);
            return 3;
        }
        for (size_t i = 0; i < sizeof inside / sizeof *inside; i++)
            if (!strcmp(rest, inside[i].ours))
                snprintf(out[0], 200, "%sencoder.layers.%d.%s", prefix, block, inside[i].theirs);
        return 1;
    }
    for (size_t i = 0; i < sizeof projection / sizeof *projection; i++)
        if (!strcmp(ours, projection[i].ours))
            snprintf(out[0], 200, "%s", projection[i].theirs);
    for (size_t i = 0; i < sizeof outside / sizeof *outside; i++)
        if (!strcmp(ours, outside[i].ours))
            snprintf(out[0], 200, "%s%s", prefix, outside[i].theirs);
    return 1;
}

static const capt_st_tensor *find(source *s, const char *name, capt_err *err)
{
    const capt_st_tensor *t = capt_st_find(s->st, name);
    if (!t) {
        capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\" is missing", s->path, name);
        return NULL;
    }
    capt_vec_push(&s->used, capt_strdup(name));
    return t;
}

/* ---- configuration ---- */

/* Dimension d of a tensor of `rank` dimensions, or -1 and an error. */
static int64_t dim_of(source *s, const char *ours, int rank, int d, capt_err *err)
{
    char name[3][200];
    public_names(s, ours, name);
    const capt_st_tensor *t = capt_st_find(s->st, name[0]);
    if (!t)
        return capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\" is missing", s->path, name[0]);
    if (t->ndim != rank || t->dim[d] < 1 || t->dim[d] > 1 << 24)
        return capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\" has a shape that CLIP does not have", s->path, name[0]);
    return t->dim[d];
}

static int has(source *s, const char *ours)
{
    char name[3][200];
    public_names(s, ours, name);
    return capt_st_find(s->st, name[0]) != NULL;
}

static int count_blocks(source *s, const char *fmt, int stage)
{
    char name[100];
    int n = 0;
    do {
        if (stage)
            snprintf(name, sizeof name, "layer%d.%d.conv1.weight", stage, n);
        else
            snprintf(name, sizeof name, fmt, n);
    } while (has(s, name) && ++n < 1000);
    return n;
}

/* g of a table of 1 + g*g rows. */
static int64_t side_of(source *s, const char *ours, capt_err *err)
{
    int64_t rows = dim_of(s, ours, 2, 0, err);
    if (rows < 0)
        return -1;
    int64_t g = (int64_t)lround(sqrt((double)(rows - 1)));
    if (g < 1 || g * g != rows - 1)
        return capt_fail(err, CAPT_EDATA, "%s: the positional table has %lld rows, not 1 and a square", s->path, (long long)rows);
    return g;
}

static json_t *vit_config(source *s, capt_err *err)
{
    int64_t width = dim_of(s, "conv1.weight", 4, 0, err), patch = width < 0 ? -1 : dim_of(s, "conv1.weight", 4, 2, err);
    int64_t g = patch < 0 ? -1 : side_of(s, "positional_embedding", err);
    int64_t hidden = g < 0 ? -1 : dim_of(s, "transformer.resblocks.0.mlp.c_fc.weight", 2, 0, err);
    int64_t out = hidden < 0 ? -1 : dim_of(s, "proj", 2, s->naming == OPENAI ? 1 : 0, err);
    if (out < 0)
        return NULL;
    if (hidden % width) {
        capt_fail(err, CAPT_EDATA, "%s: %lld hidden units are no multiple of the width %lld", s->path, (long long)hidden, (long long)width);
        return NULL;
    }
    return json_pack("{s:s, s:I, s:I, s:I, s:i, s:I, s:I}", "type", "clip-vit", "resolution", (json_int_t)(g * patch), "patch", (json_int_t)patch, "width",
                     (json_int_t)width, "layers", count_blocks(s, "transformer.resblocks.%d.ln_1.weight", 0), "mlp_ratio", (json_int_t)(hidden / width),
                     "output_dim", (json_int_t)out);
}

static json_t *resnet_config(source *s, capt_err *err)
{
    int64_t width = dim_of(s, "conv3.weight", 4, 0, err), g = width < 0 ? -1 : side_of(s, "attnpool.positional_embedding", err);
    int64_t out = g < 0 ? -1 : dim_of(s, "attnpool.c_proj.weight", 2, 0, err);
    if (out < 0)
        return NULL;
    json_t *o = json_pack("{s:s, s:I, s:I, s:I, s:s}", "type", "clip-resnet", "resolution", (json_int_t)(32 * g), "width", (json_int_t)width, "output_dim",
                          (json_int_t)out, "bn", "frozen");
    for (int i = 1; i <= 4; i++) {
        char key[24];
        snprintf(key, sizeof key, "layers%d", i);
        json_object_set_new(o, key, json_integer(count_blocks(s, NULL, i)));
    }
    return o;
}

json_t *capt_import_clip_config(capt_st *st, const char *path, capt_err *err)
{
    source s;
    if (source_open(&s, st, 0, path, err))
        return NULL;
    int resnet = has(&s, "layer1.0.conv1.weight");
    json_t *o = resnet ? resnet_config(&s, err) : vit_config(&s, err);
    if (o && s.naming != OURS && capt_import_beside(path, resnet ? CAPT_BESIDE_RESNET : CAPT_BESIDE_VIT, o, err)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

json_t *capt_import_clip_text_config(capt_st *st, const char *path, capt_err *err)
{
    source s;
    if (source_open(&s, st, 1, path, err))
        return NULL;
    int64_t vocab = dim_of(&s, "token_embedding.weight", 2, 0, err), width = vocab < 0 ? -1 : dim_of(&s, "token_embedding.weight", 2, 1, err);
    int64_t positions = width < 0 ? -1 : dim_of(&s, "positional_embedding", 2, 0, err);
    int64_t hidden = positions < 0 ? -1 : dim_of(&s, "transformer.resblocks.0.mlp.c_fc.weight", 2, 0, err);
    int64_t out = hidden < 0 ? -1 : dim_of(&s, "text_projection", 2, is_transformers(&s) ? 0 : 1, err);
    if (out < 0)
        return NULL;
    json_t *o = json_pack("{s:I, s:I, s:i, s:I, s:I, s:I}", "vocab", (json_int_t)vocab, "width", (json_int_t)width, "layers",
                          count_blocks(&s, "transformer.resblocks.%d.ln_1.weight", 0), "positions", (json_int_t)positions, "hidden", (json_int_t)hidden,
                          "output_dim", (json_int_t)out);
    if (capt_import_beside(path, CAPT_BESIDE_TEXT, o, err)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

/* ---- values ---- */

static int check_values(const source *s, const char *name, const capt_st_tensor *t, capt_err *err)
{
    if (t->dtype != CAPT_F32 && t->dtype != CAPT_F16 && t->dtype != CAPT_BF16)
        return capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\" is %s, not f32, f16 or bf16", s->path, name, capt_dtype_name(t->dtype));
    int64_t i = capt_st_not_finite(t);
    return i < 0 ? 0 : capt_fail(err, CAPT_EDATA, "%s: element %lld of \"%s\" is not finite", s->path, (long long)i, name);
}

/* "3x4" of the shape; leading ones are left out, so that a row and a vector are alike */
static void shape_text(int n, const int64_t *dim, char out[100])
{
    size_t at = 0;
    while (n > 1 && dim[0] == 1) {
        n--;
        dim++;
    }
    out[0] = 0;
    for (int i = 0; i < n && at < 80; i++)
        at += (size_t)snprintf(out + at, 100 - at, i ? "x%lld" : "%lld", (long long)dim[i]);
}

static int same_shape(const source *s, const char *name, const capt_st_tensor *t, int n, const int64_t *want, capt_err *err)
{
    char a[100], b[100];
    shape_text(t->ndim, t->dim, a);
    shape_text(n, want, b);
    return strcmp(a, b) ? capt_fail(err, CAPT_EDATA, "%s: \"%s\" is %s, the %s needs %s", s->path, name, a, namings[s->naming].text ? "text tower" : "encoder", b) : 0;
}

/* (rows,a,b) -> (rows,b,a) */
static void swap_inner(capt_real *to, const capt_real *from, int64_t rows, int64_t a, int64_t b)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = 0; i < a; i++)
            for (int64_t j = 0; j < b; j++)
                to[(r * b + j) * a + i] = from[(r * a + i) * b + j];
}

static int ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);
    return n >= m && !strcmp(s + n - m, end);
}

/* What a public tensor is to the parameter of that name. */
typedef enum layout {
    SAME,
    FILTER,     /* ours (N,kh,kw,C) or, 1x1, (N,C); theirs (N,C,kh,kw) */
    TRANSPOSED,
    RESIZED     /* a positional table of another resolution */
} layout;

/* want (4), *n: the shape it must have in the file */
static layout layout_of(const source *s, const capt_param *p, const capt_st_tensor *t, int64_t *want, int *n)
{
    const int64_t *d = p->t.dim;
    const char *ours = strchr(p->name, '.') + 1;
    memcpy(want, d, 4 * sizeof *want);
    *n = p->t.ndim;
    if (!namings[s->naming].text && ends_with(ours, "positional_embedding") && t->ndim == 2 && t->dim[0] != d[0]) {
        want[0] = t->dim[0];
        return RESIZED;
    }
    if (t->ndim == 4 && s->naming != OURS) {
        int matrix = p->t.ndim != 4;
        want[1] = matrix ? d[1] : d[3];
        want[2] = matrix ? 1 : d[1];
        want[3] = matrix ? 1 : d[2];
        *n = 4;
        return matrix ? SAME : FILTER;
    }
    if (s->naming != OURS && !is_transformers(s) && (!strcmp(ours, "proj") || !strcmp(ours, "text_projection"))) {
        want[0] = d[1];
        want[1] = d[0];
        return TRANSPOSED;
    }
    return SAME;
}

/* The values of t in our layout become p's. */
static int rearrange(source *s, capt_params *ps, capt_param *p, const capt_st_tensor *t, layout how, capt_err *err)
{
    const int64_t *d = p->t.dim;
    int64_t g0 = how == RESIZED ? side_of(s, strchr(p->name, '.') + 1, err) : 0;
    if (g0 < 0)
        return -1;
    capt_real *to = capt_try_alloc64((size_t)capt_tensor_numel(&p->t) * sizeof *to, err), *from = capt_try_alloc64((size_t)capt_st_numel(t) * sizeof *from, err);
    if (to && from) {
        capt_st_to_real(t, from);
        if (how == RESIZED) /* as the library of that naming does */
            capt_encoder_resize_positions(to, (int)lround(sqrt((double)(d[0] - 1))), from, (int)g0, (int)d[1], s->naming == OPENAI);
        else if (how == FILTER)
            swap_inner(to, from, d[0], d[3], d[1] * d[2]);
        else
            swap_inner(to, from, 1, d[1], d[0]);
        capt_param_set(ps, p, to);
    }
    int bad = !to || !from;
    free(to);
    free(from);
    return bad ? -1 : 0;
}

static int take(source *s, capt_params *ps, capt_param *p, capt_err *err)
{
    char name[3][200];
    const capt_st_tensor *t[3];
    int n = public_names(s, strchr(p->name, '.') + 1, name);
    layout how = SAME;
    for (int i = 0; i < n; i++) {
        int64_t want[4];
        int ndim;
        t[i] = find(s, name[i], err);
        if (!t[i])
            return -1;
        how = layout_of(s, p, t[i], want, &ndim);
        want[0] /= n;
        if (same_shape(s, name[i], t[i], ndim, want, err) || check_values(s, name[i], t[i], err))
            return -1;
    }
    if (how != SAME)
        return rearrange(s, ps, p, t[0], how, err);
    capt_param_lend(ps, p, n, t);
    return 0;
}

/* Is this tensor part of the tower? Without a prefix, all is that is not the image's, or one number. */
static int of_tower(const source *s, const capt_st_tensor *t)
{
    const char *prefix = namings[s->naming].prefix;
    if (*prefix)
        return !strncmp(t->name, prefix, strlen(prefix));
    return strncmp(t->name, "visual.", 7) && capt_st_numel(t) > 1;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Whatever else the tower holds would be dropped in silence: refuse it. */
static int refuse_rest(source *s, capt_err *err)
{
    qsort(s->used.v, s->used.n, sizeof *s->used.v, by_text);
    for (size_t i = 0; i < capt_st_n(s->st); i++) {
        const capt_st_tensor *t = capt_st_at(s->st, i);
        if (!of_tower(s, t) || ends_with(t->name, ".num_batches_tracked") || ends_with(t->name, ".position_ids") || ends_with(t->name, "attn_mask"))
            continue;
        if (!bsearch(&t->name, s->used.v, s->used.n, sizeof *s->used.v, by_text))
            return capt_fail(err, CAPT_EDATA, "%s: tensor \"%s\" has no place in the %s", s->path, t->name, namings[s->naming].text ? "text tower" : "encoder");
    }
    return 0;
}

/* All parameters under prefix. */
static int import(capt_params *ps, const char *prefix, int text, capt_st *st, const char *path, capt_err *err)
{
    source s;
    int rc = source_open(&s, st, text, path, err);
    for (int i = 0; !rc && i < ps->n; i++)
        if (!strncmp(ps->v[i]->name, prefix, strlen(prefix)))
            rc = take(&s, ps, ps->v[i], err);
    if (!rc)
        rc = refuse_rest(&s, err);
    source_close(&s);
    return rc;
}

int capt_import_clip(capt_encoder *e, capt_st *st, const char *path, capt_err *err)
{
    e->train_bn = 0;
    return import(e->params, "encoder.", 0, st, path, err);
}

int capt_import_clip_text(capt_params *ps, capt_st *st, const char *path, capt_err *err)
{
    return import(ps, "text.", 1, st, path, err);
}
