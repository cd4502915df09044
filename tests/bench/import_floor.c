/* The floor of an import: reads FILE and writes 3/4 of its bytes to OUT, with fsync. import_floor FILE OUT */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    enum { BLOCK = 1 << 20 };
    char *buf = malloc(BLOCK);
    int in = argc == 3 ? open(argv[1], O_RDONLY) : -1, out = in < 0 ? -1 : open(argv[2], O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (!buf || out < 0) {
        fprintf(stderr, "usage: import_floor FILE OUT\n");
        return 2;
    }
    ssize_t n;
    while ((n = read(in, buf, BLOCK)) > 0)
        if (write(out, buf, (size_t)n / 4 * 3) != n / 4 * 3)
            return 1;
    return n < 0 || fsync(out) || close(out);
}
