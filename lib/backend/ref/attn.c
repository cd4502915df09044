/* Attention: whole sequences and one decoding step. */
#include "backend/ref/ref_priv.h"

/* keys that query t of batch b sees */
static int n_keys(const capt_attn *a, int64_t b, int t)
{
    int n = a->k_len ? a->k_len[b] : a->Tk;
    if (a->causal != CAPT_ATTN_FULL && t + a->causal + 1 < n)
        n = t + a->causal + 1;
    return n > 0 ? n : 0;
}

/* vt (dh,Tk) = the rows v[t*row + j], transposed so that products with a query run along the keys */
static void transpose(capt_real *vt, const capt_real *v, int64_t row, int Tk, int dh)
{
    for (int t = 0; t < Tk; t++)
        for (int j = 0; j < dh; j++)
            vt[(int64_t)j * Tk + t] = v[t * row + j];
}

/* s[t] = scale * q . key t, for the first n keys of kt (dh,Tk) */
static void scores(capt_real *s, const capt_real *q, const capt_real *kt, int n, int Tk, int dh, double scale)
{
    for (int t = 0; t < n; t++)
        s[t] = 0;
    for (int j = 0; j < dh; j++)
        for (int t = 0; t < n; t++)
            s[t] += q[j] * kt[(int64_t)j * Tk + t];
    for (int t = 0; t < n; t++)
        s[t] *= (capt_real)scale;
}

static void axpy(capt_real *y, capt_real a, const capt_real *x, int n)
{
    for (int j = 0; j < n; j++)
        y[j] += a * x[j];
}

void capt_ref_attn_fwd(capt_backend *be, capt_real *o, capt_real *lse, const capt_real *q, const capt_real *k, const capt_real *v, const capt_attn *a)
{
    int H = a->H, dh = a->dh, Tq = a->Tq, Tk = a->Tk;
    capt_real *kt = capt_ref_scratch(be, (size_t)Tk * (size_t)(dh + 1), sizeof *kt);
    if (!kt)
        return;
    capt_real *s = kt + (int64_t)Tk * dh, up = (capt_real)(1 / (1 - a->drop));
    capt_ref_mask m;
    capt_ref_mask_init(&m, a->drop, a->key);
    for (int64_t b = 0; b < a->B; b++)
        for (int h = 0; h < H; h++) {
            transpose(kt, k + b * Tk * a->k_row + h * dh, a->k_row, Tk, dh);
            for (int t = 0; t < Tq; t++) {
                capt_real *to = o + ((b * Tq + t) * H + h) * dh;
                int n = n_keys(a, b, t);
                scores(s, q + (b * Tq + t) * a->q_row + h * dh, kt, n, Tk, dh, a->scale);
                capt_real max = -INFINITY;
                for (int i = 0; i < n; i++)
                    max = s[i] > max ? s[i] : max;
                double sum = 0;
                for (int i = 0; i < n; i++) {
                    s[i] = EXP(s[i] - max);
                    sum += (double)s[i];
                }
                lse[(b * H + h) * Tq + t] = n ? max + (capt_real)log(sum) : 0;
                for (int j = 0; j < dh; j++)
                    to[j] = 0;
                uint64_t e = (((uint64_t)(a->b0 + b) * (uint64_t)H + (uint64_t)h) * (uint64_t)Tq + (uint64_t)t) * (uint64_t)Tk;
                for (int i = 0; i < n; i++) {
                    capt_real p = s[i] * (capt_real)(1 / sum);
                    if (a->drop > 0)
                        p = capt_ref_mask_keep(&m, e + (uint64_t)i) ? p * up : 0;
                    axpy(to, p, v + (b * Tk + i) * a->v_row + h * dh, dh);
                }
            }
        }
    free(kt);
}

/* map (S) divided by its sum over the first n, and 0 behind */
static void spread(capt_real *map, int n, int S)
{
    double sum = 0;
    for (int i = 0; i < n; i++)
        sum += (double)map[i];
    for (int i = 0; i < S; i++)
        map[i] = i < n && sum > 0 ? (capt_real)((double)map[i] / sum) : 0;
}

void capt_ref_attn_map(capt_backend *be, capt_real *map, const capt_real *q, const capt_real *k, const capt_attn *a, int S, const int32_t *len)
{
    int H = a->H, dh = a->dh, Tq = a->Tq, Tk = a->Tk;
    capt_real *kt = capt_ref_scratch(be, (size_t)Tk * (size_t)(dh + 1), sizeof *kt);
    if (!kt)
        return;
    capt_real *s = kt + (int64_t)Tk * dh;
    for (int64_t i = 0; i < a->B * Tq * S; i++)
        map[i] = 0;
    for (int64_t b = 0; b < a->B; b++) {
        int most = len && len[b] < S ? len[b] : S;
        for (int h = 0; h < H; h++) {
            transpose(kt, k + b * Tk * a->k_row + h * dh, a->k_row, Tk, dh);
            for (int t = 0; t < Tq; t++) {
                capt_real *to = map + (b * Tq + t) * S, max = -INFINITY;
                int n = n_keys(a, b, t);
                double sum = 0;
                scores(s, q + (b * Tq + t) * a->q_row + h * dh, kt, n, Tk, dh, a->scale);
                for (int i = 0; i < n; i++)
                    max = s[i] > max ? s[i] : max;
                for (int i = 0; i < n; i++) {
                    s[i] = EXP(s[i] - max);
                    sum += (double)s[i];
                }
                for (int i = 0; i < n && i < most; i++)
                    to[i] += s[i] * (capt_real)(1 / sum);
            }
        }
        for (int t = 0; t < Tq; t++)
            spread(map + (b * Tq + t) * S, most, S);
    }
    free(kt);
}

/* rows of T tokens, the width of all heads, are set to beta times themselves */
static void scale_rows(capt_real *d, double beta, int64_t rows, int64_t row, int64_t width)
{
    for (int64_t r = 0; d && r < rows; r++)
        for (int64_t j = 0; j < width; j++)
            d[r * row + j] = beta == 0 ? 0 : (capt_real)beta * d[r * row + j];
}

void capt_ref_attn_bwd(capt_backend *be, capt_real *dq, double beta_q, capt_real *dk, double beta_k, capt_real *dv, double beta_v, const capt_real *dout, const capt_real *o, const capt_real *lse, const capt_real *q, const capt_real *k, const capt_real *v, const capt_attn *a)
{
    int H = a->H, dh = a->dh, Tq = a->Tq, Tk = a->Tk;
    capt_real *kt = capt_ref_scratch(be, 2 * (size_t)Tk * (size_t)(dh + 1), sizeof *kt);
    if (!kt)
        return;
    capt_real *vt = kt + (int64_t)Tk * dh, *p = vt + (int64_t)Tk * dh, *dp = p + Tk, up = (capt_real)(1 / (1 - a->drop));
    capt_ref_mask m;
    capt_ref_mask_init(&m, a->drop, a->key);
    scale_rows(dq, beta_q, a->B * Tq, a->q_row, (int64_t)H * dh);
    scale_rows(dk, beta_k, a->B * Tk, a->k_row, (int64_t)H * dh);
    scale_rows(dv, beta_v, a->B * Tk, a->v_row, (int64_t)H * dh);
    for (int64_t b = 0; b < a->B; b++)
        for (int h = 0; h < H; h++) {
            transpose(kt, k + b * Tk * a->k_row + h * dh, a->k_row, Tk, dh);
            transpose(vt, v + b * Tk * a->v_row + h * dh, a->v_row, Tk, dh);
            for (int t = 0; t < Tq; t++) {
                int n = n_keys(a, b, t);
                int64_t at_q = (b * Tq + t) * a->q_row + h * dh, at_o = ((b * Tq + t) * H + h) * dh;
                scores(p, q + at_q, kt, n, Tk, dh, a->scale);
                scores(dp, dout + at_o, vt, n, Tk, dh, 1);
                capt_real l = lse[(b * H + h) * Tq + t], delta = 0;
                for (int j = 0; j < dh; j++)
                    delta += dout[at_o + j] * o[at_o + j];
                uint64_t e = (((uint64_t)(a->b0 + b) * (uint64_t)H + (uint64_t)h) * (uint64_t)Tq + (uint64_t)t) * (uint64_t)Tk;
                for (int i = 0; i < n; i++) {
                    capt_real prob = EXP(p[i] - l), keep = 1;
                    if (a->drop > 0)
                        keep = capt_ref_mask_keep(&m, e + (uint64_t)i) ? up : 0;
                    if (dv)
                        axpy(dv + (b * Tk + i) * a->v_row + h * dh, prob * keep, dout + at_o, dh);
                    capt_real ds = prob * (dp[i] * keep - delta) * (capt_real)a->scale;
                    if (dq)
                        axpy(dq + at_q, ds, k + (b * Tk + i) * a->k_row + h * dh, dh);
                    if (dk)
                        axpy(dk + (b * Tk + i) * a->k_row + h * dh, ds, q + at_q, dh);
                }
            }
        }
    free(kt);
}

void capt_ref_attn_step(capt_backend *be, capt_real *o, const capt_real *q, const capt_attn_step *a)
{
    int dh = a->dh, S = a->sk ? a->S : 0;
    capt_real *s = capt_ref_scratch(be, (size_t)(S + a->T), sizeof *s);
    if (!s)
        return;
    for (int r = 0; r < a->R; r++) {
        int64_t image = S ? a->row_image[r] : 0;
        int ns = S && a->s_len ? a->s_len[image] : S, n = ns + a->T;
        for (int i = 0; a->map && i < S; i++)
            a->map[(int64_t)r * S + i] = 0;
        for (int h = 0; h < a->H; h++) {
            const capt_real *qr = q + r * a->q_row + h * dh;
            capt_real max = -INFINITY, *to = o + ((int64_t)r * a->H + h) * dh;
            double sum = 0;
            for (int i = 0; i < n; i++) {
                const capt_real *key = i < ns ? a->sk + (image * S + i) * a->s_row
                                              : a->ok + ((int64_t)(i - ns) * a->slots + a->anc[(int64_t)(i - ns) * a->slots + r]) * a->o_row;
                capt_real d = 0;
                for (int j = 0; j < dh; j++)
                    d += qr[j] * key[h * dh + j];
                s[i] = d * (capt_real)a->scale;
                max = s[i] > max ? s[i] : max;
            }
            for (int i = 0; i < n; i++) {
                s[i] = EXP(s[i] - max);
                sum += (double)s[i];
            }
            for (int j = 0; j < dh; j++)
                to[j] = 0;
            for (int i = 0; i < n; i++) {
                const capt_real *val = i < ns ? a->sv + (image * S + i) * a->s_row
                                              : a->ov + ((int64_t)(i - ns) * a->slots + a->anc[(int64_t)(i - ns) * a->slots + r]) * a->o_row;
                axpy(to, s[i] * (capt_real)(1 / sum), val + h * dh, dh);
                if (a->map && i < ns)
                    a->map[(int64_t)r * S + i] += s[i] * (capt_real)(1 / sum);
            }
        }
        if (a->map)
            spread(a->map + (int64_t)r * S, ns, S);
    }
    free(s);
}
