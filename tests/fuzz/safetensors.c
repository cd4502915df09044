/* Fuzz target of the safetensors reader: any bytes either give tensors that lie in the file, or an error. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz.h"
#include "base/file.h"
#include "base/mem.h"
#include "tensor/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    capt_err err = CAPT_ERR_INIT;
    capt_st *st = capt_st_parse(p, n, "fuzz", &err);
    if ((st != NULL) != (err.code == CAPT_OK))
        abort();
    for (size_t i = 0; st && i < capt_st_n(st); i++) {
        const capt_st_tensor *t = capt_st_at(st, i);
        const uint8_t *d = t->data;
        if (capt_st_find(st, t->name) != t || d < p || t->bytes > n || d > p + n - t->bytes)
            abort();
        float *v = capt_alloc((size_t)capt_st_numel(t) * sizeof *v + 1);
        capt_st_to_f32(t, v);
        free(v);
    }
    capt_st_close(st);
    return 0;
}
