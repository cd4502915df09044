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
static struct profile { const char *name; double t, ops; long n; } profiled[N_PROFILE];
static capt_backend unprofiled;

/* operations of a call, for products of matrices: in the names of kernel.def; of other kernels 0 */
#define PRODUCT_linear_fwd ~, 2.0 * (double)M * N * K
#define PRODUCT_linear_bwd_x PRODUCT_linear_fwd
#define PRODUCT_linear_bwd_w PRODUCT_linear_fwd
#define PRODUCT_head_xent_fwd ~, 2.0 * (double)M * V * D
#define PRODUCT_head_xent_bwd ~, 4.0 * (double)M * V * D
#define PRODUCT_head_topk PRODUCT_head_xent_fwd
#define PRODUCT_head_logits PRODUCT_head_xent_fwd
#define PRODUCT_head_sample PRODUCT_head_xent_fwd
#define PRODUCT_conv_fwd ~, 2.0 * (double)(c->B * c->OH * c->OW) * c->N * c->kh * c->kw * c->C
#define PRODUCT_conv_norm_fwd PRODUCT_conv_fwd
#define PRODUCT_conv_bwd_x PRODUCT_conv_fwd
#define PRODUCT_conv_bwd_w PRODUCT_conv_fwd
#define OPS(name) OPS_SECOND(PRODUCT_##name, 0.0, 0)
#define OPS_SECOND(...) OPS_PICK(__VA_ARGS__)
#define OPS_PICK(first, second, ...) (second)

#define KERNEL(name, parameters, arguments) \
static void profile_##name parameters \
{ \
    double t0 = now(); \
    unprofiled.name arguments; \
    profiled[PROFILE_##name].t += now() - t0; \
    profiled[PROFILE_##name].ops += OPS(name); \
    profiled[PROFILE_##name].n++; \
}
#include "backend/kernel.def"
#undef KERNEL

static void profile_start(capt_backend *be)
{
    unprofiled = *be;
#define KERNEL(name, parameters, arguments) \
    be->name = profile_##name; \
    profiled[PROFILE_##name] = (struct profile){#name, 0, 0, 0};
#include "backend/kernel.def"
#undef KERNEL
}

static int profile_order(const void *a, const void *b)
{
    double d = ((const struct profile *)b)->t - ((const struct profile *)a)->t;
    return (d > 0) - (d < 0);
}

/* runs took `all` seconds together, at a peak of top GF/s */
static void profile_print(double all, double top)
{
    double rest = all, ops = 0, products = 0;
    qsort(profiled, N_PROFILE, sizeof *profiled, profile_order);
    for (int i = 0; i < N_PROFILE; i++) {
        const struct profile *p = &profiled[i];
        rest -= p->t;
        ops += p->ops;
        products += p->ops > 0 ? p->t : 0;
        if (p->t < 0.004 * all)
            continue;
        printf("    %-16s %5.1f%%  %7ld calls", p->name, 100 * p->t / all, p->n);
        if (p->ops > 0 && top > 0)
            printf("  %6.1f GF/s, %.0f%% of the peak", p->ops / p->t * 1e-9, 100e-9 * p->ops / p->t / top);
        printf("\n");
    }
    printf("    %-16s %5.1f%%\n    %-16s %5.1f%%", "outside kernels", 100 * rest / all, "all products", 100 * products / all);
    if (top > 0 && products > 0)
        printf("  %6.1f GF/s, %.0f%% of the peak, at which they would take %.1f%%", ops / products * 1e-9, 100e-9 * ops / products / top, 100e-9 * ops / top / all);
    printf("\n");
}
#endif
