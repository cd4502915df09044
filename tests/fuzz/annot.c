/* Fuzz target of published annotation files: Karpathy's and COCO's JSON, instances, token files and lists of names. */
#include "fuzz.h"
#include "record/annot.h"

static void walk(capt_annots *a)
{
    const char *out[8];
    for (size_t i = 0; i < a->image.n; i++) {
        const capt_image *m = &a->image.v[i];
        if (capt_annots_captions(a, m, out, 8) > 8 || capt_annots_tags(a, m, out, 8) > 8)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char path[64];
    int fd = fuzz_file(p, n, path), karpathy;
    capt_layout layout;
    capt_err err = CAPT_ERR_INIT;
    capt_annots_layout(path, &layout, &err);
    capt_annots *json = capt_annots_new(), *tokens = capt_annots_new(), *named = capt_annots_new();
    capt_idmap *ids = capt_idmap_new();
    err = (capt_err)CAPT_ERR_INIT;
    if (!capt_annots_read_json(json, path, &karpathy, &err)) {
        for (size_t i = 0; i < json->image.n; i++)
            capt_idmap_add(ids, &json->image.v[i].id, (int64_t)i);
        capt_err e = CAPT_ERR_INIT;
        capt_annots_read_instances(json, ids, path, &e);
        walk(json);
    } else if (err.code == CAPT_OK) {
        abort();
    }
    capt_idmap_free(ids);
    ids = capt_idmap_new();
    err = (capt_err)CAPT_ERR_INIT;
    if (!capt_annots_read_tokens(tokens, path, &err)) {
        for (size_t i = 0; i < tokens->image.n; i++)
            capt_idmap_add(ids, &tokens->image.v[i].id, (int64_t)i);
        capt_annots_take_names(tokens, ids, path, "train", named, &err);
        walk(tokens);
    } else if (err.code == CAPT_OK) {
        abort();
    }
    capt_idmap_free(ids);
    capt_annots_free(json);
    capt_annots_free(tokens);
    capt_annots_free(named);
    close(fd);
    return 0;
}
