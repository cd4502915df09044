/* Fuzz target of the safetensors reader: any bytes either give tensors that lie in the file, or an error.
 * libFuzzer: clang -fsanitize=fuzzer,address,undefined -DCAPT_FUZZER; otherwise the files named on the command line are replayed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/file.h"
#include "base/mem.h"
#include "tensor/safetensors.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
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

#ifndef CAPT_FUZZER
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        capt_err err = CAPT_ERR_INIT;
        size_t n;
        char *s = capt_file_read(argv[i], 0, &n, &err);
        if (!s) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        LLVMFuzzerTestOneInput((const uint8_t *)s, n);
        free(s);
    }
    printf("%d files replayed\n", argc - 1);
    return 0;
}
#endif
