/* Fuzz target of the readers of detectors' rows: any line gives numbers as many as it says, finite, boxes inside their picture,
 * or an error; and base64 is the same by every instruction set. */
#include <math.h>
#include <string.h>
#include "base/base64.h"
#include "base/mem.h"
#include "fuzz.h"
#include "record/regions.h"
#include "record/tsv.h"

static void must(int ok)
{
    if (!ok)
        abort();
}

static void base64(const char *s, size_t n)
{
    size_t size = capt_base64_size(s, n);
    unsigned char *want = capt_alloc(size + 1), *got = capt_alloc(size + 1);
    long bad = capt_base64_decode_by(CAPT_BASE64_PORTABLE, s, n, want);
    must(bad >= -1 && bad <= (long)n);
    for (int isa = 1; isa < CAPT_BASE64_N; isa++)
        if (capt_base64_has(isa)) {
            must(capt_base64_decode_by(isa, s, n, got) == bad);
            must(bad >= 0 || memcmp(got, want, size) == 0);
        }
    free(want);
    free(got);
}

static void numbers(const capt_regions *r)
{
    capt_err err = CAPT_ERR_INIT;
    capt_dtype dtype;
    int dim = 0;
    must(r->n >= 1 && r->n <= CAPT_BOXES_MAX);
    if (capt_regions_shape(r, &dim, &dtype, "x", &err) == 0) {
        size_t n = (size_t)r->n * (size_t)dim;
        must(dim > 0 && (dtype == CAPT_F32 || dtype == CAPT_F16));
        float *x = capt_alloc(n * sizeof *x);
        void *raw = capt_alloc(n * 2);
        if (capt_regions_features(r, dim, dtype, x, raw, "x", &err) == 0) {
            for (size_t i = 0; i < n; i++)
                must(isfinite(x[i]));
            int orders = capt_geometry_orders(x, r->n, dim, dtype);
            must(orders >= 0 && orders <= 3 && (dim > 6 || !orders));
            if (orders)
                capt_geometry_swap(x, r->n, dim);
        } else {
            must(err.code);
        }
        free(x);
        free(raw);
    }
    float *boxes = capt_alloc((size_t)r->n * 4 * sizeof *boxes);
    err = (capt_err)CAPT_ERR_INIT;
    int got = capt_regions_boxes(r, boxes, "x", &err);
    must((got < 0) == (err.code != CAPT_OK));
    for (int i = 0; got == 1 && i < r->n; i++)
        must(boxes[4 * i + 2] > boxes[4 * i] && boxes[4 * i + 3] > boxes[4 * i + 1]);
    free(boxes);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char path[64];
    int fd = fuzz_file(p, n, path);
    const char *paths[] = {path};
    capt_arena *a = capt_arena_new(0);
    capt_str text = {0};
    capt_err err = CAPT_ERR_INIT;
    base64((const char *)p, n);
    capt_tsv *t = capt_tsv_open(paths, 1, NULL, &err);
    must(!t == (err.code != CAPT_OK));
    for (size_t i = 0; t && i < capt_tsv_n(t); i++) {
        char where[400];
        err = (capt_err)CAPT_ERR_INIT;
        capt_tsv_where(t, i, where);
        if (capt_tsv_read(t, i, &text, &err)) {
            must(err.code);
            continue;
        }
        const char *tab = strchr(text.s, '\t');
        must(tab != NULL);
        capt_regions r;
        int w = 0, h = 0;
        must(capt_regions_guess(text.s, text.n) <= CAPT_REGIONS_SGB);
        for (int form = CAPT_REGIONS_BUTD; form <= CAPT_REGIONS_SGB; form++) {
            err = (capt_err)CAPT_ERR_INIT;
            capt_arena_reset(a);
            int rc = capt_regions_parse((capt_regions_form)form, text.s, text.n, a, &r, where, &err);
            must((rc != 0) == (err.code != CAPT_OK));
            if (rc == 0)
                numbers(&r);
        }
        size_t left = text.n - (size_t)(tab + 1 - text.s);
        r = (capt_regions){0};
        err = (capt_err)CAPT_ERR_INIT;
        must((capt_objects_parse(tab + 1, left, a, &r, where, &err) != 0) == (err.code != CAPT_OK));
        err = (capt_err)CAPT_ERR_INIT;
        must((capt_size_parse(tab + 1, left, &w, &h, where, &err) != 0) == (err.code != CAPT_OK));
        must(err.code || (w > 0 && h > 0));
    }
    capt_tsv_close(t);
    capt_str_free(&text);
    capt_arena_free(a);
    close(fd);
    return 0;
}
