/* The output head: losses, best tokens, draws. Log-softmax sums run in double. */
#include "backend/ref/ref_priv.h"

static void logits(capt_backend *be, capt_real *z, const capt_real *h, const capt_real *w, const capt_real *bias, int64_t M, int V, int D, int ct)
{
    capt_ref_linear_fwd(be, z, NULL, h, w, NULL, bias, M, V, D, CAPT_MAP_none, ct);
}

/* the row's largest element and the log of the sum of exp(z - max) */
static void softmax_stat(const capt_real *z, int V, capt_real *max, capt_real *logsum)
{
    capt_real m = -INFINITY;
    for (int j = 0; j < V; j++)
        m = z[j] > m ? z[j] : m;
    double s = 0;
    for (int j = 0; j < V; j++)
        s += (double)EXP(z[j] - m);
    *max = m;
    *logsum = (capt_real)log(s); /* cppcheck-suppress invalidFunctionArg ; at least exp(0) is in it */
}

void capt_ref_head_xent_fwd(capt_backend *be, capt_real *loss, void *save, capt_real *stat, const capt_real *h, const capt_real *w, const capt_weight *wp, const capt_real *bias, const int32_t *target, const capt_real *weight, double smooth, int64_t M, int V, int D, int ct)
{
    capt_real *z = save;
    logits(be, z, h, w, bias, M, V, D, ct);
    for (int64_t i = 0; i < M; i++, z += V) {
        softmax_stat(z, V, &stat[2 * i], &stat[2 * i + 1]);
        double lse = (double)stat[2 * i] + (double)stat[2 * i + 1], sum = 0;
        if (smooth != 0)
            for (int j = 0; j < V; j++)
                sum += (double)z[j];
        double nll = lse - (double)z[target[i]], mean = smooth != 0 ? lse - sum / V : 0;
        loss[i] = weight[i] * (capt_real)((1 - smooth) * nll + smooth * mean);
    }
}

void capt_ref_head_xent_bwd(capt_backend *be, capt_real *dh, double beta, capt_real *dw, double beta_w, capt_real *db, double beta_b, void *save, const capt_real *stat, const capt_real *h, const capt_real *w, const capt_weight *wp, const int32_t *target, const capt_real *weight, double smooth, int64_t M, int V, int D, int ct)
{
    capt_real *z = save;
    for (int64_t i = 0; i < M; i++, z += V) { /* weight * (p - (1-smooth)*onehot - smooth/V) */
        capt_real max = stat[2 * i], logsum = stat[2 * i + 1], u = (capt_real)(smooth / V);
        for (int j = 0; j < V; j++)
            z[j] = weight[i] * (EXP(z[j] - max - logsum) - u);
        z[target[i]] -= weight[i] * (capt_real)(1 - smooth);
    }
    if (dh)
        capt_ref_linear_bwd_x(be, dh, beta, save, w, wp, M, V, D, ct);
    capt_ref_linear_bwd_w(be, dw, beta_w, db, beta_b, save, h, M, V, D, ct);
}

void capt_ref_head_logits(capt_backend *be, capt_real *logp, const capt_real *h, const capt_real *w, const capt_weight *wp, const capt_real *bias, int64_t M, int V, int D, int ct)
{
    logits(be, logp, h, w, bias, M, V, D, ct);
    for (int64_t i = 0; i < M; i++, logp += V) {
        capt_real max, logsum;
        softmax_stat(logp, V, &max, &logsum);
        for (int j = 0; j < V; j++)
            logp[j] = logp[j] - max - logsum;
    }
}

/* the k largest of z (V), falling, the lower id first among equals */
static void topk_row(capt_real *val, int32_t *idx, const capt_real *z, int k, int V)
{
    int n = 0;
    for (int j = 0; j < V; j++) {
        if (n == k && !(z[j] > val[n - 1]))
            continue;
        int at = n < k ? n++ : n - 1;
        for (; at > 0 && z[j] > val[at - 1]; at--) {
            val[at] = val[at - 1];
            idx[at] = idx[at - 1];
        }
        val[at] = z[j];
        idx[at] = j;
    }
}

/* was: room for what the adjusted entries were before */
static void adjust_topk(capt_real *val, int32_t *idx, capt_real *z, capt_real *was, const capt_adjust *adj, int n_adj, int k, int64_t M, int V)
{
    for (int j = 0; j < n_adj; j++) {
        capt_real *at = z + (int64_t)adj[j].row * V + adj[j].token;
        was[j] = *at;
        *at += (capt_real)adj[j].add;
    }
    for (int64_t i = 0; i < M; i++)
        topk_row(val + i * k, idx + i * k, z + i * V, k, V);
    for (int j = n_adj; j-- > 0;) /* the first of several of one entry comes last */
        for (int64_t at = (int64_t)adj[j].row * k; at < ((int64_t)adj[j].row + 1) * k; at++)
            if (idx[at] == adj[j].token && val[at] > -INFINITY)
                val[at] = was[j];
}

void capt_ref_head_topk(capt_backend *be, capt_real *val, int32_t *idx, const capt_real *h, const capt_real *w, const capt_weight *wp, const capt_real *bias, const capt_adjust *adj, int n_adj, int k, int64_t M, int V, int D, int ct)
{
    capt_real *z = capt_ref_scratch(be, (size_t)M * (size_t)V + (size_t)n_adj, sizeof *z);
    if (!z)
        return;
    capt_ref_head_logits(be, z, h, w, wp, bias, M, V, D, ct);
    adjust_topk(val, idx, z, z + M * V, adj, n_adj, k, M, V);
    free(z);
}

void capt_ref_head_sample(capt_backend *be, int32_t *token, capt_real *logp, const capt_real *h, const capt_real *w, const capt_weight *wp, const capt_real *bias, const double *u, double temperature, const int32_t *ban, int n_ban, int64_t M, int V, int D, int ct)
{
    capt_real *z = capt_ref_scratch(be, (size_t)M * (size_t)V, sizeof *z);
    unsigned char *banned = capt_ref_scratch(be, (size_t)V, 1);
    if (!z || !banned) {
        free(z);
        free(banned);
        return;
    }
    memset(banned, 0, (size_t)V);
    for (int j = 0; j < n_ban; j++)
        banned[ban[j]] = 1;
    capt_ref_head_logits(be, z, h, w, wp, bias, M, V, D, ct);
    for (int64_t i = 0; i < M; i++) {
        const capt_real *zi = z + i * V;
        double max = -INFINITY, total = 0, sum = 0;
        int last = -1; /* the last allowed token: what rounding at u near 1 falls to */
        for (int j = 0; j < V; j++)
            if (!banned[j]) {
                max = (double)zi[j] > max ? (double)zi[j] : max;
                last = j;
            }
        for (int j = 0; j < V; j++)
            total += banned[j] ? 0 : exp(((double)zi[j] - max) / temperature);
        token[i] = last;
        for (int j = 0; j < V; j++) {
            sum += banned[j] ? 0 : exp(((double)zi[j] - max) / temperature);
            if (!banned[j] && sum > u[i] * total) {
                token[i] = j;
                break;
            }
        }
        logp[i] = token[i] < 0 ? -INFINITY : zi[token[i]];
    }
    free(z);
    free(banned);
}

void capt_ref_mix_topk(capt_backend *be, capt_real *val, int32_t *idx, const capt_real *const *logp, const int32_t *const *perm, const double *weight, int n, int mode, const capt_adjust *adj, int n_adj, int k, int64_t M, int V)
{
    capt_real *z = capt_ref_scratch(be, (size_t)M * (size_t)V + (size_t)n_adj, sizeof *z);
    if (!z)
        return;
    for (int64_t i = 0; i < M; i++)
        for (int j = 0; j < V; j++) {
            double sum = 0;
            for (int m = 0; m < n; m++) {
                double lp = (double)logp[m][i * V + (perm && perm[m] ? perm[m][j] : j)];
                sum += weight[m] * (mode == 0 ? exp(lp) : lp);
            }
            z[i * V + j] = (capt_real)(mode == 0 ? log(sum) : sum);
        }
    adjust_topk(val, idx, z, z + M * V, adj, n_adj, k, M, V);
    free(z);
}
