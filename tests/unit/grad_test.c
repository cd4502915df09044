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
    case_run(k, c, &o, 1, NULL, NULL);
    int checked = 0;
    for (int i = 0; i < o.n; i++)
        assert_int_equal(o.t[i].touched, o.t[i].needs_grad);
    for (int i = 0; i < o.n; i++) {
        int64_t n = capt_tensor_numel(&o.t[i]);
        if (!o.t[i].grad)
            continue;
        double *g = capt_alloc((size_t)n * sizeof *g);
        be->download(be, g, o.t[i].grad, (size_t)n * sizeof *g);
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
        free(g);
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
