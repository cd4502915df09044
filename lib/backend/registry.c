/* Backends by name. */
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include "backend/backend.h"

const char capt_backend_abi[] =
    "capt-backend 1;"
#ifdef CAPT_REAL64
    "real=double;"
#else
    "real=float;"
#endif
#define MAP(name, value, derivative) #name "=" #value "," #derivative ";"
#include "backend/map.def"
#undef MAP
#define KERNEL(name, parameters, arguments) #name #parameters ";"
#include "backend/kernel.def"
#undef KERNEL
    ;

/* The driver is looked for first: without it the module could not be opened either, and this reason is the clearer one. */
static capt_backend *cuda_new(capt_pool *pool, capt_err *err)
{
    void *driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!driver) {
        capt_fail(err, CAPT_EDEVICE, "cuda: %s (no NVIDIA driver)", dlerror());
        return NULL;
    }
    dlclose(driver);
    capt_fail(err, CAPT_EDEVICE, "cuda: this build has no capt-cuda.so module");
    return NULL;
}

static const struct { const char *name; capt_backend *(*open)(capt_pool *pool, capt_err *err); } backends[] = {
    {"cuda", cuda_new}, {"cpu", capt_backend_cpu_new}, {"ref", capt_backend_ref_new}, {"guard", capt_backend_guard_new}, /* auto: the first that opens */
};
enum { N_BACKENDS = sizeof backends / sizeof *backends };

capt_backend *capt_backend_open(const char *name, capt_pool *pool, capt_err *err)
{
    int any = strcmp(name, "auto") == 0;
    for (int i = 0; i < N_BACKENDS; i++) {
        if (!any && strcmp(name, backends[i].name) != 0)
            continue;
        capt_backend *be = backends[i].open(pool, any ? NULL : err);
        if (be || !any)
            return be;
    }
    capt_fail(err, CAPT_EUSAGE, any ? "no backend opens" : "unknown device \"%s\" (auto, cpu, cuda, ref, guard)", name);
    return NULL;
}

void capt_backend_close(capt_backend *be)
{
    if (be)
        be->close(be);
}

const char *capt_backend_list(void)
{
    static _Thread_local char text[1200]; /* written anew by every call */
    char absent[sizeof text / 2] = "";
    size_t n = 0, m = 0;
    text[0] = '\0';
    for (int i = 0; i < N_BACKENDS; i++) {
        capt_err err = CAPT_ERR_INIT;
        capt_backend *be = backends[i].open(NULL, &err);
        if (be && strcmp(be->isa, "plain") != 0)
            n += (size_t)snprintf(text + n, sizeof text / 2 - n, "%s%s (%s)", n ? ", " : "", be->name, be->isa);
        else if (be)
            n += (size_t)snprintf(text + n, sizeof text / 2 - n, "%s%s", n ? ", " : "", be->name);
        else
            m += (size_t)snprintf(absent + m, sizeof absent - m, "; %.200s", err.text);
        capt_backend_close(be);
    }
    snprintf(text + n, sizeof text - n, "%s", absent);
    return text;
}
