/* Time by kernel: the backend's functions replaced by ones that take the time of each call. */
#ifndef CAPT_BENCH_PROFILE_H
#define CAPT_BENCH_PROFILE_H
#include "tests/bench/measure.h"

enum profile_id {
#define KERNEL(name, parameters, arguments) PROFILE_##name,
#include "backend/kernel.def"
#undef KERNEL
    N_PROFILE
};
static struct profile { const char *name; double t; long n; } profiled[N_PROFILE];
static capt_backend unprofiled;

#define KERNEL(name, parameters, arguments) \
static void profile_##name parameters \
{ \
    double t0 = now(); \
    unprofiled.name arguments; \
    profiled[PROFILE_##name].t += now() - t0; \
    profiled[PROFILE_##name].n++; \
}
#include "backend/kernel.def"
#undef KERNEL

static void profile_start(capt_backend *be)
{
    unprofiled = *be;
#define KERNEL(name, parameters, arguments) \
    be->name = profile_##name; \
    profiled[PROFILE_##name] = (struct profile){#name, 0, 0};
#include "backend/kernel.def"
#undef KERNEL
}

static int profile_order(const void *a, const void *b)
{
    double d = ((const struct profile *)b)->t - ((const struct profile *)a)->t;
    return (d > 0) - (d < 0);
}

/* products of matrices, whose operations are those of the job */
static int profile_is_product(const char *name)
{
    return strncmp(name, "linear_", 7) == 0 || strncmp(name, "head_", 5) == 0 || strncmp(name, "conv_", 5) == 0;
}

/* runs took `all` seconds together, with ops operations at a peak of top GF/s */
static void profile_print(double all, double ops, double top)
{
    double products = 0, rest = all;
    qsort(profiled, N_PROFILE, sizeof *profiled, profile_order);
    for (int i = 0; i < N_PROFILE; i++) {
        rest -= profiled[i].t;
        products += profile_is_product(profiled[i].name) ? profiled[i].t : 0;
        if (profiled[i].t > 0.004 * all)
            printf("    %-16s %5.1f%%  %8ld calls\n", profiled[i].name, 100 * profiled[i].t / all, profiled[i].n);
    }
    printf("    %-16s %5.1f%%\n    products: %.1f%% of the time, at %.0f GF/s", "outside kernels", 100 * rest / all, 100 * products / all, ops / products * 1e-9);
    if (top > 0)
        printf(", %.0f%% of the peak", 100e-9 * ops / products / top);
    printf("; at the peak they would take %.1f%%\n", top > 0 ? 100e-9 * ops / top / all : 0);
}
#endif
