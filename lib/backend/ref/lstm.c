/* One step of an LSTM. */
#include "backend/ref/ref_priv.h"

static capt_real sigmoid(capt_real x)
{
    return 1 / (1 + EXP(-x));
}

void capt_ref_lstm_fwd(capt_backend *be, capt_real *h, capt_real *cell, capt_real *act, const capt_real *a, int64_t lda, const capt_real *b, const capt_real *cell0, int64_t R, int H, int kind)
{
    int G = capt_lstm_gates(kind);
    for (int64_t r = 0; r < R; r++) {
        capt_real *s = act + r * G * H;
        for (int j = 0; j < G * H; j++)
            s[j] = b ? a[r * lda + j] + b[r * G * H + j] : a[r * lda + j];
        for (int j = 0; j < H; j++) {
            capt_real g, i = s[j] = sigmoid(s[j]), f = s[H + j] = sigmoid(s[H + j]), o;
            if (kind == CAPT_LSTM_MAXOUT) {
                o = s[2 * H + j] = sigmoid(s[2 * H + j]);
                g = s[4 * H + j] > s[3 * H + j] ? s[4 * H + j] : s[3 * H + j];
            } else {
                g = s[2 * H + j] = TANH(s[2 * H + j]);
                o = s[3 * H + j] = sigmoid(s[3 * H + j]);
            }
            capt_real c = i * g + (cell0 ? f * cell0[r * H + j] : 0);
            cell[r * H + j] = c;
            h[r * H + j] = o * TANH(c);
        }
    }
}

static void put(capt_real *to, double beta, capt_real d)
{
    if (to)
        *to = beta == 0 ? d : (capt_real)beta * *to + d;
}

void capt_ref_lstm_bwd(capt_backend *be, capt_real *da, int64_t ldda, double beta_a, capt_real *db, double beta_b, capt_real *dcell0, double beta_c, const capt_real *dh, const capt_real *dcell, const capt_real *act, const capt_real *cell0, const capt_real *cell, int64_t R, int H, int kind)
{
    int G = capt_lstm_gates(kind), max = kind == CAPT_LSTM_MAXOUT, at_o = max ? 2 * H : 3 * H;
    for (int64_t r = 0; r < R; r++)
        for (int j = 0; j < H; j++) {
            const capt_real *s = act + r * G * H + j;
            capt_real i = s[0], f = s[H], o = s[at_o], t = TANH(cell[r * H + j]), dh_ = dh ? dh[r * H + j] : 0, d[5];
            int second = max && s[4 * H] > s[3 * H];
            capt_real g = max ? s[second ? 4 * H : 3 * H] : s[2 * H];
            capt_real dc = dh_ * o * (1 - t * t) + (dcell ? dcell[r * H + j] : 0);
            d[0] = dc * g * i * (1 - i);
            d[1] = cell0 ? dc * cell0[r * H + j] * f * (1 - f) : 0;
            capt_real d_o = dh_ * t * o * (1 - o), dg = dc * i;
            if (max) {
                d[2] = d_o;
                d[3] = second ? 0 : dg;
                d[4] = second ? dg : 0;
            } else {
                d[2] = dg * (1 - g * g);
                d[3] = d_o;
            }
            for (int k = 0; k < G; k++) {
                put(da ? da + r * ldda + k * H + j : NULL, beta_a, d[k]);
                put(db ? db + r * G * H + k * H + j : NULL, beta_b, d[k]);
            }
            put(dcell0 ? dcell0 + r * H + j : NULL, beta_c, dc * f);
        }
}
