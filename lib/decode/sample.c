#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "base/mem.h"
#include "base/rng.h"
#include "decode/scorer.h"

int capt_sample_run(capt_scorer *sc, const capt_input *in, int n, double temperature, int max_t, int allow_unk, uint64_t seed, const uint64_t *id_hash, capt_found *out,
                    capt_err *err)
{
    int I = in->n_images, rows = I * n, rc = -1;
    if (n < 1 || !(temperature > 0))
        return capt_fail(err, CAPT_EUSAGE, "%d samples at temperature %g", n, temperature);
    if (max_t < 1 || max_t > sc->max_t)
        max_t = sc->max_t;
    size_t total = (size_t)rows;
    memset(out, 0, total * sizeof *out);
    int32_t *parent = capt_alloc(total * sizeof *parent), *token = capt_alloc(total * sizeof *token), *who = capt_alloc(total * sizeof *who);
    double *u = capt_alloc(total * sizeof *u);
    capt_real *logp = capt_alloc(total * sizeof *logp);
    const capt_vocab *v = sc->vocab;
    int32_t ban[3], eos = capt_vocab_eos(v), special[3] = {capt_vocab_pad(v), capt_vocab_bos(v), allow_unk ? -1 : capt_vocab_unk(v)};
    int n_ban = 0;
    for (int i = 0; i < 3; i++)
        if (special[i] >= 0 && special[i] != eos)
            ban[n_ban++] = special[i];
    if (sc->start(sc, in, rows, max_t, err))
        goto end;
    for (int r = 0; r < rows; r++) {
        parent[r] = r / n;
        who[r] = r;
        token[r] = capt_vocab_bos(v);
        out[r].ids = capt_alloc((size_t)max_t * sizeof(int32_t));
    }
    for (int t = 0; t < max_t && rows > 0; t++) {
        if (sc->rows(sc, parent, rows, err) || sc->step(sc, token, err))
            goto end;
        for (int r = 0; r < rows; r++)
            u[r] = capt_rng_u01(capt_rng_key(seed, CAPT_RNG_SAMPLE, id_hash[who[r] / n], (uint64_t)(who[r] % n)), (uint64_t)t);
        if (sc->sample(sc, u, temperature, ban, n_ban, token, logp, err))
            goto end;
        int keep = 0;
        for (int r = 0; r < rows; r++) {
            capt_found *f = &out[who[r]];
            if (token[r] < 0 || isnan((double)logp[r])) {
                capt_fail(err, CAPT_EDATA, "the model's scores are NaN");
                goto end;
            }
            f->logprob += (double)logp[r];
            if (token[r] == eos) {
                f->ended = 1;
                continue;
            }
            f->ids[f->n++] = token[r];
            parent[keep] = r;
            token[keep] = token[r];
            who[keep++] = who[r];
        }
        rows = keep;
    }
    rc = 0;
end:
    sc->end(sc);
    if (rc)
        capt_found_free(out, (int)total);
    free(parent);
    free(token);
    free(who);
    free(u);
    free(logp);
    return rc;
}
