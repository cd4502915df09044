/* Fuzz target of what coco-score reads: references and hypotheses in any layout, document frequency files. Any bytes either
 * give a list or an error.
 * libFuzzer: clang -fsanitize=fuzzer,address,undefined -DCAPT_FUZZER; otherwise the files named on the command line are replayed. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>
#include "base/file.h"
#include "metric/cider.h"
#include "record/any.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    char path[64];
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, p, n) != (ssize_t)n)
        abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
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

#ifndef CAPT_FUZZER
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        capt_err err = CAPT_ERR_INIT;
        size_t n;
        char *p = capt_file_read(argv[i], 0, &n, &err);
        if (!p) {
            fprintf(stderr, "%s\n", err.text);
            return 1;
        }
        LLVMFuzzerTestOneInput((uint8_t *)p, n);
        free(p);
    }
    printf("%d files replayed\n", argc - 1);
    return 0;
}
#endif
