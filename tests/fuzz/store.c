/* Fuzz target of what feature stores hold: a record's bytes, and a manifest. */
#include <math.h>
#include <string.h>
#include "base/json.h"
#include "base/mem.h"
#include "fuzz.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    capt_err err = CAPT_ERR_INIT;
    capt_feature f;
    uint8_t *room = capt_alloc(n + 128), *at = room + (64 - (uintptr_t)room % 64) + 16; /* placed as in the map; the end is checked below */
    memcpy(at, p, n);
    int rc = capt_feature_decode(at, n, &f, "fuzz", &err);
    if (!rc != (err.code == CAPT_OK))
        abort();
    for (int i = 0; !rc && i < f.n; i++) {
        const capt_section *s = &f.section[i];
        size_t count = (size_t)s->rows * (size_t)s->dim, bytes = count * capt_dtype_size(s->dtype);
        const uint8_t *d = s->data;
        if (d < at || bytes > n || d > at + n - bytes || capt_feature_section(&f, s->name) == NULL)
            abort();
        float *x = capt_alloc(count * sizeof *x + 1);
        capt_feature_to_f32(s, x);
        int64_t bad = capt_feature_not_finite(s);
        if (bad >= 0 && isfinite(x[bad]))
            abort();
        free(x);
    }
    if (n >= 48) {
        capt_feature_crc(at, n, "1", 1);
        capt_feature_crc_stored(at);
    }
    free(room);
    err = (capt_err)CAPT_ERR_INIT;
    json_t *j = capt_json_parse((const char *)p, n, "fuzz", &err);
    capt_store_meta m;
    if (j && !capt_store_meta_from_json(j, &m, "fuzz", &err) && (m.n_sections < 0 || m.n_sections > CAPT_SECTIONS_MAX))
        abort();
    json_decref(j);
    return 0;
}
