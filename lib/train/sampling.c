#include "train/sampling.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"

int capt_sampling_mix(capt_scorer *s, const capt_input *in, const capt_rows *rows, double p, uint64_t seed, uint64_t step, int32_t *mixed, capt_err *err)
{
    int R = rows->R, T = rows->T, n_ban = 0, rc = -1;
    size_t n = (size_t)R;
    const int32_t special[3] = {capt_vocab_pad(s->vocab), capt_vocab_bos(s->vocab), capt_vocab_eos(s->vocab)};
    int32_t ban[3] = {0}, *now = capt_alloc((n + 1) * sizeof *now), *parent = capt_alloc((n + 1) * sizeof *parent);
    double *u = capt_alloc((n + 1) * sizeof *u);
    capt_real *logp = capt_alloc((n + 1) * sizeof *logp);
    memcpy(mixed, rows->tokens, n * (size_t)T * sizeof *mixed);
    for (int i = 0; i < 3; i++) {
        int seen = special[i] < 0;
        for (int k = 0; k < n_ban; k++)
            seen |= ban[k] == special[i];
        if (!seen)
            ban[n_ban++] = special[i];
    }
    if (s->start(s, in, R, T, err))
        goto end;
    for (int t = 0; t + 1 < T; t++) {
        for (int r = 0; r < R; r++) {
            parent[r] = t == 0 ? rows->row_image[r] : r;
            now[r] = mixed[(size_t)r * (size_t)T + (size_t)t];
            u[r] = capt_rng_u01(capt_rng_key(seed, CAPT_RNG_MIX, step, (uint64_t)(rows->row0 + r)), 2 * (uint64_t)t);
        }
        if ((t == 0 && s->rows(s, parent, R, err)) || s->step(s, now, err) || s->sample(s, u, 1, ban, n_ban, now, logp, err))
            goto end;
        for (int r = 0; r < R; r++) {
            size_t at = (size_t)r * (size_t)T + (size_t)t + 1;
            double coin = capt_rng_u01(capt_rng_key(seed, CAPT_RNG_MIX, step, (uint64_t)(rows->row0 + r)), 2 * (uint64_t)t + 1);
            if (now[r] < 0 || isnan((double)logp[r])) {
                capt_fail(err, CAPT_EDATA, "the model's scores are NaN");
                goto end;
            }
            if (rows->weights[at - 1] != 0 && rows->weights[at] != 0 && coin < p) /* neither a tag nor BOS */
                mixed[at] = now[r];
        }
    }
    rc = 0;
end:
    s->end(s);
    free(now);
    free(parent);
    free(u);
    free(logp);
    return rc;
}
