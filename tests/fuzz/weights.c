/* Fuzz target of files of weights: checkpoints, with their checksums, and public CLIP and GPT-2 files. */
#include "backend/backend.h"
#include "fuzz.h"
#include "model/checkpoint.h"
#include "model/import.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static capt_pool *pool; /* a thread is not to be started for every input */
    static capt_backend *be;
    capt_err err = CAPT_ERR_INIT;
    if (!be) {
        pool = capt_pool_new(1, &err);
        be = pool ? capt_backend_open("ref", pool, &err) : NULL;
        if (!be)
            abort();
    }
    char path[64], hash[33];
    int fd = fuzz_file(p, n, path);
    json_t *state = NULL, *prep = NULL;
    capt_model *m = capt_checkpoint_load(path, be, CAPT_F32, &state, &err);
    if (!m != (err.code != CAPT_OK))
        abort();
    if (m) {
        int taken = 0;
        err = (capt_err)CAPT_ERR_INIT;
        if (capt_import_weights(m, path, 0, &taken, &err))
            abort();
    }
    capt_model_free(m);
    json_decref(state);
    err = (capt_err)CAPT_ERR_INIT;
    json_t *config = capt_import_config(path, "gpt2", &err);
    if (!config != (err.code != CAPT_OK))
        abort();
    json_decref(config);
    err = (capt_err)CAPT_ERR_INIT;
    capt_params params;
    capt_params_init(&params, be, CAPT_F32, 0);
    capt_encoder *e = capt_encoder_load(path, &params, hash, &prep, &err);
    if (!e != (err.code != CAPT_OK))
        abort();
    capt_encoder_free(e);
    capt_params_free(&params);
    json_decref(prep);
    close(fd);
    return 0;
}
