/* Fuzz target of what `capt-store load` reads: lines of text as records of a store and as weights. */
#include <string.h>
#include "base/json.h"
#include "data/store_text.h"
#include "fuzz.h"
#include "tensor/weights_text.h"

static int one(capt_store_loader *s, capt_weights_loader *w, const char *line, size_t n)
{
    capt_err err = CAPT_ERR_INIT;
    json_t *o = capt_json_parse(line, n, "fuzz", &err);
    if (!o || !json_is_object(o)) {
        json_decref(o);
        return 0;
    }
    int rc;
    if (capt_weights_is_record(o)) {
        rc = capt_weights_loader_read(w, o, "fuzz", &err);
    } else {
        capt_id id;
        const capt_section *v;
        int k;
        rc = capt_store_loader_read(s, o, "fuzz", &id, &v, &k, &err);
        for (int i = 0; rc == 0 && i < k; i++) {
            if (v[i].rows < 0 || v[i].dim < 1 || capt_feature_not_finite(&v[i]) >= 0)
                abort();
        }
    }
    if (!rc != (err.code == CAPT_OK))
        abort();
    json_decref(o);
    return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    capt_store_loader *s = capt_store_loader_new(NULL);
    capt_weights_loader *w = capt_weights_loader_new();
    int bad = 0;
    for (const uint8_t *end = p + n, *e; p < end && !bad; p = e + 1) {
        e = memchr(p, '\n', (size_t)(end - p));
        e = e ? e : end;
        bad = one(s, w, (const char *)p, (size_t)(e - p));
    }
    capt_store_loader_free(s);
    if (bad)
        capt_weights_loader_free(w);
    else
        capt_weights_loader_finish(w, "/dev/null", NULL);
    return 0;
}
