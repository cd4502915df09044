/* Fuzz target of METEOR's data: the bytes as lists of synonyms and irregular forms, as the table of paraphrases, as a jar. */
#include "fuzz.h"
#include <string.h>
#include <sys/stat.h>
#include "metric/meteor.h"

static char dir[] = "/tmp/capt-fuzz-XXXXXX";

static void put(const char *name, const void *p, size_t n)
{
    char path[100];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(p, 1, n, f) != n || fclose(f))
        abort();
}

static void tidy(void)
{
    static const char *const name[] = {"data/paraphrase-en.gz", "synonym/english.synsets", "synonym/english.exceptions", "data",
                                       "synonym", "."};
    char path[100];
    for (size_t i = 0; i < sizeof name / sizeof *name; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, name[i]);
        remove(i < 5 ? path : dir);
    }
}

static void try_open(const char *path)
{
    capt_err err = CAPT_ERR_INIT;
    capt_meteor *m = capt_meteor_open(path, NULL, &err);
    if ((m != NULL) != (err.code == CAPT_OK))
        abort();
    capt_meteor_close(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static int made;
    static const char two[] = "a\nb\n", synsets[] = "a\n1\n";
    char path[100];
    if (!made++) {
        if (!mkdtemp(dir))
            abort();
        atexit(tidy);
        for (int i = 0; i < 2; i++) {
            snprintf(path, sizeof path, "%s/%s", dir, i ? "data" : "synonym");
            mkdir(path, 0700);
        }
    }
    put("synonym/english.synsets", p, n);
    put("synonym/english.exceptions", p, n);
    snprintf(path, sizeof path, "%s/data/paraphrase-en.gz", dir);
    remove(path);
    try_open(dir);
    put("synonym/english.synsets", synsets, strlen(synsets));
    put("synonym/english.exceptions", two, strlen(two));
    put("data/paraphrase-en.gz", p, n);
    try_open(dir);
    int fd = fuzz_file(p, n, path);
    try_open(path);
    close(fd);
    return 0;
}
