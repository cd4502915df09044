/* Backend "ref": host memory and the reference kernels. */
#include "backend/ref/ref_priv.h"
#include "base/mem.h"

static void *ref_alloc(capt_backend *be, size_t n)
{
    void *p = capt_try_alloc64(n ? n : 1, NULL);
    if (!p)
        be->failed = 1;
    return p;
}

static void ref_free(capt_backend *be, void *p)
{
    free(p);
}

static void ref_copy(capt_backend *be, void *dst, const void *src, size_t n)
{
    if (n)
        memcpy(dst, src, n);
}

static int ref_check(capt_backend *be, capt_err *err)
{
    return be->failed ? capt_fail(err, CAPT_ENOMEM, "%s: out of memory", be->name) : 0;
}

static void ref_close(capt_backend *be)
{
    free(be);
}

capt_backend *capt_backend_ref_new(capt_pool *pool, capt_err *err)
{
    capt_backend *be = capt_alloc(sizeof *be);
    *be = (capt_backend){
        .name = "ref", .isa = "plain", .pool = pool, .reads_host = 1, .alloc = ref_alloc, .free = ref_free, .upload = ref_copy,
        .download = ref_copy, .check = ref_check, .close = ref_close,
#define KERNEL(name, parameters, arguments) .name = capt_ref_##name,
#include "backend/kernel.def"
#undef KERNEL
    };
    return be;
}

void *capt_ref_scratch(capt_backend *be, size_t n, size_t size)
{
    size_t bytes = 0;
    void *p = capt_mul_size(n, size, &bytes) ? NULL : malloc(bytes ? bytes : 1);
    if (!p)
        be->failed = 1;
    return p;
}
