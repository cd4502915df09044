/* Fuzz target of the reader of .npy files: any bytes either give numbers that lie in the file, or an error. */
#include "base/mem.h"
#include "fuzz.h"
#include "tensor/npy.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char path[64];
    int fd = fuzz_file(p, n, path);
    capt_err err = CAPT_ERR_INIT;
    capt_npy a;
    int rc = capt_npy_open(&a, path, &err);
    if (!rc != (err.code == CAPT_OK))
        abort();
    if (!rc) {
        if (a.n < 0 || (size_t)a.n > n)
            abort();
        float *x = capt_alloc((size_t)a.n * sizeof *x + 1);
        capt_npy_f32(&a, 0, a.n, x);
        if (a.n > 2)
            capt_npy_f32(&a, a.n - 2, 2, x);
        free(x);
        capt_npy_close(&a);
    }
    close(fd);
    return 0;
}
