/* Every operator's gradient against central differences, in double (CONF=real64). */
#include "op_cases.h"

#ifndef CAPT_REAL64
int main(void)
{
    puts("1..0 # SKIP differences need double: CONF=real64");
    return 0;
}
#else
static void check(void **state)
{
    const struct op_case *k = *state;
    capt_backend *be = capt_backend_open("ref", NULL, NULL);
    capt_ctx *c = capt_ctx_new(be, CAPT_F32, NULL);
    struct operands o;
    operands_new(&o, k, be);
    double *grad[MAX_IN] = {NULL};
    int checked = 0;
    for (int pass = 1; pass <= 2; pass++) { /* the second adds as much again */
        case_run(k, c, &o, pass, NULL, NULL);
        for (int i = 0; i < o.n; i++) {
            size_t n = (size_t)capt_tensor_numel(&o.t[i]);
            assert_int_equal(o.t[i].touched, o.t[i].needs_grad);
            if (!o.t[i].grad)
                continue;
            double *g = capt_alloc(n * sizeof *g);
            be->download(be, g, o.t[i].grad, n * sizeof *g);
            for (size_t j = 0; pass == 2 && j < n; j++)
                if (!(fabs(g[j] - 2 * grad[i][j]) <= 1e-12 * (1 + fabs(g[j]))))
                    fail_msg("%s: operand %d element %d: %.10g, and %.10g after a second pass", k->name, i, (int)j, grad[i][j], g[j]);
            if (pass == 1)
                grad[i] = g;
            else
                free(g);
        }
    }
    for (int i = 0; i < o.n; i++) {
        int64_t n = capt_tensor_numel(&o.t[i]);
        const double *g = grad[i];
        if (!g)
            continue;
        for (int64_t j = 0; j < n; j++, checked++) {
            double x = o.host[i][j], e = 1e-5;
            o.host[i][j] = x + e;
            double up = case_run(k, c, &o, 0, NULL, NULL);
            o.host[i][j] = x - e;
            double down = case_run(k, c, &o, 0, NULL, NULL);
            o.host[i][j] = x;
            double d = (up - down) / (2 * e);
            if (!(fabs(d - g[j]) <= 1e-7 * (1 + fabs(d))))
                fail_msg("%s: operand %d element %d: gradient %.10g, difference %.10g", k->name, i, (int)j, g[j], d);
        }
        free(grad[i]);
    }
    assert_true(checked > 0);
    operands_free(&o, be);
    capt_ctx_free(c);
    capt_backend_close(be);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    struct CMUnitTest tests[N_OP_CASES];
    for (int i = 0; i < N_OP_CASES; i++)
        tests[i] = (struct CMUnitTest){op_cases[i].name, check, NULL, NULL, (void *)(uintptr_t)&op_cases[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
#endif
