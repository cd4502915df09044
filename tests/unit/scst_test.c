/* Self-critical training: its gradient against the enumerated expectation, its baselines and advantages. */
#include "train/scst.h"
#include "model_rig.h"

static const variant gpt2_one = {"gpt2", 1, 1, 0, 0};

/* The mean of the leave-one-out gradient over all pairs of captions, weighted by their probability, is the gradient of the expected reward: checked against
 * finite differences of the enumerated expectation, on a model of three words that gives its special tokens no probability. */
static double toy_reward(const int32_t *ids, int n, int ended)
{
    double r = ended ? 0.7 : 0.1;
    for (int t = 0; t < n; t++)
        r += ids[t] == 4 ? 1.3 / (t + 1) : ids[t] == 5 ? -0.4 : 0.25 * t;
    return r;
}

typedef struct caption { int32_t ids[WORDS]; int n, ended; double p, r, weight; } caption;
typedef struct list { caption c[32]; int n; } list;

static void collect(void *arg, const int32_t *ids, int n, int ended, double logp)
{
    list *l = arg;
    caption *c = &l->c[l->n++];
    *c = (caption){.n = n, .ended = ended, .p = exp(logp), .r = toy_reward(ids, n, ended)};
    memcpy(c->ids, ids, (size_t)n * sizeof *ids);
}

static double expected_reward(fixture *f, list *l)
{
    int32_t ids[WORDS] = {0};
    double e = 0, mass = 0;
    l->n = 0;
    enumerate(f, 0, 7, 2, ids, 0, NULL, collect, l);
    for (int i = 0; i < l->n; i++) {
        e += l->c[i].p * l->c[i].r;
        mass += l->c[i].p;
    }
    assert_true(fabs(mass - 1) < 1e-5);
    return e;
}

static void hide(fixture *f, const char *words) /* of seven */
{
    capt_param *wte = capt_param_find(&f->m->params, "wte.weight"), *b = capt_param_find(&f->m->params, "ln_f.bias");
    capt_real x[7 * 8], y[8];
    capt_param_get(&f->m->params, wte, x);
    capt_param_get(&f->m->params, b, y);
    for (int v = 0; v < 7; v++)
        x[v * 8] = strchr(words, '0' + v) ? -20 : 0;
    y[0] = 5;
    capt_param_set(&f->m->params, wte, x);
    capt_param_set(&f->m->params, b, y);
}

static void scst_gradient(void **state)
{
    fixture f;
    list l;
    capt_err err = CAPT_ERR_INIT;
    set_up(&f, "ref", &gpt2_one, 7, 0, 9);
    f.in.n_images = 1;
    hide(&f, "013");
    ok(capt_params_train(&f.m->params, "", 1, &err), &err);
    expected_reward(&f, &l);
    for (int i = 0; i < l.n; i++)
        for (int j = 0; j < l.n; j++) {
            double r[2] = {l.c[i].r, l.c[j].r}, a[2], p = l.c[i].p * l.c[j].p / 2;
            capt_advantage_loo(r, 2, a);
            l.c[i].weight += p * a[0];
            l.c[j].weight += p * a[1];
        }
    capt_params_zero_grad(&f.m->params);
    for (int i = 0; i < l.n; i++) {
        caption *c = &l.c[i];
        int32_t in[WORDS], target[WORDS], one = 0;
        capt_real w[WORDS];
        int T = c->n + c->ended;
        for (int t = 0; t < T; t++) {
            in[t] = t ? c->ids[t - 1] : 1;
            target[t] = t < c->n ? c->ids[t] : 2;
            w[t] = (capt_real)c->weight;
        }
        capt_rows rows = {1, T, &one, in, target, w, 0, 0, 0};
        double loss;
        ok(capt_xe_pass(f.c, f.m, NULL, &f.in, &rows, 1, 0, 1, &loss, &err), &err);
    }
    double h = sizeof(capt_real) == 8 ? 1e-5 : 3e-3, tolerance = sizeof(capt_real) == 8 ? 1e-6 : 2e-2, worst = 0, scale = 0;
    static const char *const names[] = {"h.1.mlp.c_fc.weight", "prefix.weight", "h.0.attn.c_attn.weight", "ln_f.weight"};
    for (int k = 0; k < 4; k++) {
        capt_param *p = capt_param_find(&f.m->params, names[k]);
        assert_non_null(p);
        assert_true(p->t.touched);
        int64_t n = capt_tensor_numel(&p->t);
        capt_real *g = capt_alloc((size_t)n * sizeof *g), *x = capt_alloc((size_t)n * sizeof *x);
        f.be->download(f.be, g, p->t.grad, (size_t)n * sizeof *g);
        capt_param_get(&f.m->params, p, x);
        for (int64_t i = 0; i < n; i += n / 5 + 1) {
            capt_real keep = x[i];
            x[i] = keep + (capt_real)h;
            capt_param_set(&f.m->params, p, x);
            double up = expected_reward(&f, &l);
            x[i] = keep - (capt_real)h;
            capt_param_set(&f.m->params, p, x);
            double down = expected_reward(&f, &l);
            x[i] = keep;
            capt_param_set(&f.m->params, p, x);
            double want = (up - down) / (2 * h);
            scale = fmax(scale, fabs(want));
            worst = fmax(worst, fabs(-(double)g[i] - want));
        }
        free(g);
        free(x);
    }
    assert_true(scale > 1e-3);
    if (worst > tolerance * scale)
        fail_msg("worst difference %g of %g", worst, scale);
    tear_down(&f);
}

static int unknown; /* captions with the unknown word */

static int length_reward(void *arg, const capt_rated *c, int n, double *reward, capt_err *err)
{
    int *calls = arg;
    for (int i = 0; i < n; i++) {
        ++*calls;
        unknown += strstr(c[i].caption, "<unk>") != NULL;
        reward[i] = c[i].image == 1 && *calls > 1000 ? NAN : (double)strlen(c[i].caption) + c[i].ended;
    }
    return 0;
}

/* Every baseline gives a gradient; beam-mean's advantages sum to nothing, whatever the rewards; a reward that cannot be told ends the pass. What is rewarded may
 * have padding and BOS, which the reward sees as the unknown word: their probability is in the gradient, so they must be in the samples. */
static void baselines(void **state)
{
    for (int k = CAPT_BASELINE_LOO; k <= CAPT_BASELINE_BEAM_MEAN; k++) {
        fixture f;
        capt_err err = CAPT_ERR_INIT;
        set_up(&f, "guard", &gpt2_one, 7, 0, 13);
        hide(&f, "3");
        ok(capt_params_train(&f.m->params, "", 1, &err), &err);
        capt_scorer *s = capt_scorer_model(f.m, NULL, &err);
        assert_non_null(s);
        const uint64_t id[I] = {3, 4};
        const capt_scst_opts o = {.samples = 4, .baseline = (capt_baseline)k, .temperature = 1, .seed = 1};
        capt_scst_stats st;
        int calls = 0;
        unknown = 0;
        ok(capt_scst_pass(f.c, f.m, NULL, s, &f.in, id, 0, &o, length_reward, &calls, &st, &err), &err);
        assert_int_equal(calls, k == CAPT_BASELINE_GREEDY ? I * 5 : I * 4);
        assert_true(unknown > 0);
        assert_true(st.reward > 0 && st.words > 0 && st.advantage_sd > 0);
        assert_true(k == CAPT_BASELINE_GREEDY || fabs(st.reward - st.baseline) < 1e-9);
        assert_true(f.m->params.v[0]->t.touched);
        calls = 1000;
        assert_int_equal(capt_scst_pass(f.c, f.m, NULL, s, &f.in, id, 0, &o, length_reward, &calls, &st, &err), -1);
        assert_non_null(strstr(err.text, "cannot be told"));
        capt_scorer_free(s);
        tear_down(&f);
    }
}

static void advantages(void **state)
{
    double r[3] = {1, 2, 6}, a[3];
    capt_advantage_loo(r, 3, a);
    assert_true(fabs(a[0] + 3) < 1e-12 && fabs(a[1] + 1.5) < 1e-12 && fabs(a[2] - 4.5) < 1e-12);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(scst_gradient), cmocka_unit_test(advantages), cmocka_unit_test(baselines)};
    n_variants = all_variants(variants, sizeof variants / sizeof *variants);
    cmocka_set_message_output(CM_OUTPUT_TAP);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
