/* Fuzz target of the command line: arguments, one a line, when the input begins with '-', else a --config file. The program either
 * runs with options in their ranges or ends with status 1 or 2. */
#include <math.h>
#include <string.h>
#include "common/prog.h"
#include "fuzz.h"

static int flag, choice;
static int64_t whole;
static double number;
static const char *text;
static capt_strs texts;
static const capt_opt options[] = {
    {"flag", CAPT_O_FLAG, &flag, NULL, "flag", 0, 0, 0, 0},
    {"whole", CAPT_O_INT, &whole, "N", "whole", -5, 100, 0, 0},
    {"number", CAPT_O_NUM, &number, "X", "number", 0, 1, 0, 0},
    {"text", CAPT_O_STR, &text, "S", "text", 0, 0, 0, 0},
    {"texts", CAPT_O_STRS, &texts, "S", "texts", 0, 0, 0, 0},
    {"choice", CAPT_O_CHOICE, &choice, "a|bc|d", "choice", 0, 0, 0, 0},
    {0}};

static int run(capt_prog *p)
{
    if (whole < -5 || whole > 100 || !(number >= 0 && number <= 1) || choice < 0 || choice > 2 || (flag != 0 && flag != 1) || p->threads < 0 || p->seed < 0)
        abort();
    for (size_t i = 0; i < texts.n; i++)
        if (strlen(texts.v[i]) > 1 << 20)
            abort();
    json_t *j = capt_prog_options(p);
    if (!j)
        abort();
    json_decref(j);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    static FILE *null;
    if (!null)
        null = fopen("/dev/null", "w");
    capt_prog prog = {.name = "fuzz", .about = "Fuzz.", .opts = options, .groups = CAPT_G_DEVICE | CAPT_G_THREADS | CAPT_G_SEED | CAPT_G_LOG | CAPT_G_MAXBAD, .max_args = -1, .run = run};
    flag = choice = 0;
    whole = 7;
    number = 0.5;
    text = NULL;
    texts = (capt_strs){0};
    char path[64], *args = NULL, *argv[66] = {"fuzz"};
    int argc = 1, fd = -1;
    if (n && p[0] == '-') {
        args = malloc(n + 1);
        memcpy(args, p, n);
        args[n] = 0;
        for (char *s = strtok(args, "\n"); s && argc < 64; s = strtok(NULL, "\n"))
            if (strncmp(s, "--log", 5) != 0 && strncmp(s, "--errors", 8) != 0 && strncmp(s, "--config", 8) != 0) /* which name files */
                argv[argc++] = s;
    } else {
        fd = fuzz_file(p, n, path);
        argv[argc++] = "--config";
        argv[argc++] = path;
    }
    FILE *out = stdout, *err = stderr;
    stdout = stderr = null; /* what it says is no matter */
    int status = capt_prog_main(&prog, argc, argv);
    stdout = out;
    stderr = err;
    if (status < 0 || status > 2)
        abort();
    free(args);
    if (fd >= 0)
        close(fd);
    return 0;
}
