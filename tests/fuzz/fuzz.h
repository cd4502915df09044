/* What the fuzz targets share. Each has LLVMFuzzerTestOneInput: any bytes either give something sound or an error; it aborts
 * otherwise. `make fuzz` builds them with libFuzzer; main.c replays files instead, as they are and damaged. */
#ifndef CAPT_FUZZ_H
#define CAPT_FUZZ_H
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

/* The bytes as a file for readers that take a path: its descriptor, to be closed. */
static inline int fuzz_file(const uint8_t *p, size_t n, char path[64])
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    if (fd < 0 || write(fd, p, n) != (ssize_t)n)
        abort();
    snprintf(path, 64, "/proc/self/fd/%d", fd);
    return fd;
}
#endif
