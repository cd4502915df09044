/* Fuzz target of what coco-score reads: references and hypotheses in any layout, document frequency files. Any bytes either
 * give a list or an error. */
#include <stdio.h>
#include <stdlib.h>
#include "fuzz.h"
#include "base/file.h"
#include "metric/cider.h"
#include "record/any.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char path[64];
    int fd = fuzz_file(p, n, path);
    capt_err err[3] = {CAPT_ERR_INIT, CAPT_ERR_INIT, CAPT_ERR_INIT};
    capt_captions *refs;
    capt_hyps *hyps;
    int ok[3] = {!capt_captions_read_any(path, &refs, &err[0]), !capt_hyps_read_any(path, 1, NULL, &hyps, &err[1]), 0};
    capt_df *df = capt_df_open(path, &err[2]);
    ok[2] = df != NULL;
    for (int i = 0; i < 3; i++)
        if (ok[i] != (err[i].code == CAPT_OK))
            abort();
    if (ok[0] && !refs->n)
        abort();
    if (df && capt_df_count(df, "a dog") > capt_df_images(df))
        abort();
    capt_captions_free(refs);
    capt_hyps_free(hyps);
    capt_df_free(df);
    close(fd);
    return 0;
}
