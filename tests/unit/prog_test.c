/* The program frame: each row runs a small program in a child process and looks at its exit status, stdout and stderr. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/file.h"
#include "base/json.h"
#include "common/prog.h"

static int64_t beam = 5;
static double lr = 0.5;
static capt_strs stores, keys;
static int kind = 1, flag;
static const char *out;
static int64_t act;

static const capt_opt options[] = {
    {"beam", CAPT_O_INT, &beam, "N", "beam width", 1, 100, 0, 0},
    {"lr", CAPT_O_NUM, &lr, "X", "learning rate", 0, 1e300, 0, 0},
    {"store", CAPT_O_STRS, &stores, "FILE", "feature store", 0, 0, 1, 1},
    {"set", CAPT_O_STRS, &keys, "KEY=VALUE", "a key", 0, 0, 1, 0},
    {"type", CAPT_O_CHOICE, &kind, "word|gpt2|bert", "kind of vocabulary", 0, 0, 0, 0},
    {"out", CAPT_O_STR, &out, "FILE", "output", 0, 0, 1, 0},
    {"flag", CAPT_O_FLAG, &flag, NULL, "a flag", 0, 0, 0, 0},
    {"act", CAPT_O_INT, &act, "N", "what run does", 0, 0, 1, 0},
    {0},
};

static int run(capt_prog *p)
{
    if (act == 1)
        return capt_fail(&p->err, CAPT_EDATA, "f:1: bad\nname");
    if (act == 2)
        return capt_prog_usage(p, "--a needs --b");
    if (act == 3) {
        capt_prog_catch();
        raise(SIGTERM);
        return capt_prog_stopping() ? capt_prog_stopped(p, "epoch 3") : 0;
    }
    if (act == 4) {
        for (int i = 0; i < 100000; i++)
            printf("line %d\n", i);
        return 0;
    }
    if (act == 5) {
        for (int i = 0; i < 3; i++) {
            capt_fail(&p->err, i == 2 ? CAPT_EIO : CAPT_EDATA, "r:%d: bad", i);
            if (capt_prog_bad(p, &p->err) != 0)
                return -1;
        }
        return 0;
    }
    if (act == 6) {
        capt_prog_note(p, "note");
        capt_prog_detail(p, "detail");
        return capt_prog_log(p, json_pack("{s:i}", "step", 1));
    }
    if (act == 7) {
        capt_prog_catch();
        raise(SIGTERM);
        raise(SIGINT);
        return 0;
    }
    if (act == 8) { /* a scheduler's patience: TERM again */
        capt_prog_catch();
        raise(SIGTERM);
        raise(SIGTERM);
        raise(SIGUSR1);
        return capt_prog_stopping() ? capt_prog_stopped(p, "epoch 3") : 0;
    }
    json_t *o = capt_prog_options(p);
    capt_str s = {0};
    capt_json_line(o, &s);
    fputs(s.s, stdout);
    json_decref(o);
    capt_str_free(&s);
    for (size_t i = 0; i < stores.n; i++)
        printf("store %s\n", stores.v[i]);
    for (size_t i = 0; i < keys.n; i++)
        printf("key %s\n", keys.v[i]);
    for (int i = 0; i < p->argc; i++)
        printf("operand %s\n", p->argv[i]);
    printf("%s\n", p->device);
    return 0;
}

static capt_prog prog = {.name = "capt-x",
                         .synopsis = "[options] [FILE]",
                         .about = "Tests the frame.",
                         .opts = options,
                         .groups = CAPT_G_DEVICE | CAPT_G_SEED | CAPT_G_LOG | CAPT_G_MAXBAD,
                         .max_args = 2,
                         .run = run};

static char folder[] = "/tmp/capt-prog.XXXXXX";

/* words: arguments between blanks; to: where stdout goes, NULL for the file "out" */
static int child(const char *words, const char *to)
{
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        if (!freopen(to ? to : "out", "w", stdout) || !freopen("err", "w", stderr))
            _exit(99);
        setvbuf(stderr, NULL, _IONBF, 0);
        signal(SIGINT, SIG_DFL); /* a shell starts what runs in the background with it ignored */
        char *copy = strdup(words), *argv[40] = {"capt-x"};
        int argc = 1;
        for (char *w = strtok(copy, " "); w; w = strtok(NULL, " "))
            argv[argc++] = w;
        int status = capt_prog_main(&prog, argc, argv);
        fflush(NULL);
        free(copy);
        _exit(status);
    }
    int status;
    waitpid(pid, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static void check(const char *words, const char *to, int status, const char *in_out, const char *err_is)
{
    int got = child(words, to);
    size_t n;
    char *o = capt_file_read("out", 0, &n, NULL), *e = capt_file_read("err", 0, &n, NULL);
    if (got != status || (in_out && !strstr(o, in_out)) || (err_is && strcmp(e, err_is) != 0))
        fail_msg("%s: status %d, stdout %.2000s, stderr %s", words, got, o, e);
    free(o);
    free(e);
}

#define D "{\"beam\":5,\"flag\":false,\"lr\":0.5,\"seed\":0,\"type\":\"gpt2\"}\n"
#define X(text) "capt-x: " text " (see --help)\n"

static void command_lines(void **state)
{
    static const struct {
        const char *words, *to;
        int status;
        const char *out, *err;
    } t[] = {
        {"--store a", NULL, 0, D "store a\nauto\n", ""},
        {"--store a --store=b x - -- ", NULL, 0, D "store a\nstore b\noperand x\noperand -\nauto\n", ""},
        {"--store a -- --beam", NULL, 0, D "store a\noperand --beam\n", ""},
        {"--beam=7 --flag --lr 1e-3 --type bert --seed 9 --device ref --store a", NULL, 0,
         "{\"beam\":7,\"flag\":true,\"lr\":0.001,\"seed\":9,\"type\":\"bert\"}\nstore a\nref\n", ""},
        {"--store --beam", NULL, 0, "store --beam", ""}, /* a value may look like an option */
        {"--beam", NULL, 2, NULL, X("--beam needs a value (N)")},
        {"", NULL, 2, NULL, X("--store FILE is required")},
        {"--store a 1 2 3", NULL, 2, NULL, X("unexpected operand 3")},
        {"--foo", NULL, 2, NULL, X("unknown option --foo")},
        {"--foo=1", NULL, 2, NULL, X("unknown option --foo")},
        {"--bea 3", NULL, 2, NULL, X("unknown option --bea")},
        {"-x", NULL, 2, NULL, X("unknown option -x")},
        {"--threads 2", NULL, 2, NULL, X("unknown option --threads")}, /* a group not asked for */
        {"--foo\n\x1b[2J", NULL, 2, NULL, X("unknown option --foo\\x0A\\x1B[2J")},
        {"--flag=1", NULL, 2, NULL, X("--flag takes no value")},
        {"--beam 0", NULL, 2, NULL, X("--beam 0: want a whole number from 1 to 100")},
        {"--beam 101", NULL, 2, NULL, X("--beam 101: want a whole number from 1 to 100")},
        {"--beam 5x", NULL, 2, NULL, X("--beam 5x: not a whole number")},
        {"--beam 0x5", NULL, 2, NULL, X("--beam 0x5: not a whole number")},
        {"--beam 1.5", NULL, 2, NULL, X("--beam 1.5: not a whole number")},
        {"--beam 99999999999999999999", NULL, 2, NULL, X("--beam 99999999999999999999: not a whole number")},
        {"--beam=", NULL, 2, NULL, X("--beam : not a whole number")},
        {"--lr nan", NULL, 2, NULL, X("--lr nan: not a number")},
        {"--lr inf", NULL, 2, NULL, X("--lr inf: not a number")},
        {"--lr -1", NULL, 2, NULL, X("--lr -1: want a number of at least 0")},
        {"--type x", NULL, 2, NULL, X("--type x: not one of word, gpt2, bert")},
        {"--type gpt", NULL, 2, NULL, X("--type gpt: not one of word, gpt2, bert")},
        {"--device gpu", NULL, 2, NULL, X("--device gpu: not one of auto, cpu, ref, guard, cuda")},
        {"--beam 9 --help --nonsense", NULL, 0, "beam width (default 5)", ""},
        {"-qh", NULL, 0, "usage: capt-x [options] [FILE]\nTests the frame.\n", ""},
        {"-V", NULL, 0, "capt-x (capt) ", ""},
        {"--complete bash", NULL, 0, "compgen -W 'word gpt2 bert'", ""},
        {"--help", "/dev/full", 1, NULL, "capt-x: stdout: disk full\n"},
        {"--store a", "/dev/full", 1, NULL, "capt-x: stdout: disk full\n"},
        {"--store a --act 4", "/dev/full", 1, NULL, "capt-x: stdout: disk full\n"},
        {"--store a --act 1", NULL, 1, "", "capt-x: f:1: bad\\x0Aname\n"},
        {"--store a --act 2", NULL, 2, "", X("--a needs --b")},
        {"--store a --act 3", NULL, 75, "", "capt-x: epoch 3: stopped; continue with --resume\n"},
        {"--store a --act 7", NULL, 1000 + SIGINT, "", ""},
        {"--store a --act 8", NULL, 75, "", "capt-x: epoch 3: stopped; continue with --resume\n"},
        {"--store a --act 5", NULL, 1, "", "capt-x: r:0: bad\n"},
        {"--store a --act 5 --max-bad 2", NULL, 1, "", "capt-x: skipped: r:0: bad\ncapt-x: skipped: r:1: bad\n"
                                                       "capt-x: 2 bad records skipped\ncapt-x: r:2: bad\n"},
        {"--store a --act 6", NULL, 0, "", "capt-x: note\n"},
        {"--store a --act 6 -q", NULL, 0, "", ""},
        {"--store a --act 6 -v", NULL, 0, "", "capt-x: note\ncapt-x: detail\n"},
        {"--store a --act 6 --log /dev/full", NULL, 1, "", "capt-x: note\ncapt-x: /dev/full: disk full\n"},
        {"--store a --act 6 --log no/dir", NULL, 1, "", "capt-x: note\ncapt-x: no/dir: No such file or directory\n"},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++)
        check(t[i].words, t[i].to, t[i].status, t[i].out, t[i].err);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");
    fputs(text, f);
    fclose(f);
}

static void config_files(void **state)
{
    static const struct {
        const char *config, *words;
        int status;
        const char *out, *err;
    } t[] = {
        {"{\"store\":[\"p\",\"q\"],\"beam\":9,\"lr\":1,\"type\":\"word\",\"flag\":true,\"out\":\"o\"}", "", 0,
         "{\"beam\":9,\"flag\":true,\"lr\":1.0,\"seed\":0,\"type\":\"word\"}\nstore p\nstore q\n", ""},
        {"{\"store\":[\"p\",\"q\"],\"beam\":9}", "--beam 3 --store z", 0, "{\"beam\":3,\"flag\":false,\"lr\":0.5,\"seed\":0,\"type\":\"gpt2\"}\nstore z\nauto\n", ""},
        {"{\"set\":[\"a=1\",\"b=2\"]}", "--store z --set b=3 --set c=4", 0, /* key by key, later ones win */
         "{\"beam\":5,\"flag\":false,\"lr\":0.5,\"seed\":0,\"type\":\"gpt2\"}\nstore z\nkey a=1\nkey b=2\nkey b=3\nkey c=4\nauto\n", ""},
        {"{\"beams\":9}", "", 2, NULL, X("cfg: unknown option \"beams\"")},
        {"{\"help\":true}", "", 2, NULL, X("cfg: unknown option \"help\"")},
        {"{\"beam\":\"9\"}", "", 2, NULL, X("cfg: \"beam\" is not a whole number")},
        {"{\"beam\":9.5}", "", 2, NULL, X("cfg: \"beam\" is not a whole number")},
        {"{\"beam\":0}", "", 2, NULL, X("cfg: --beam 0: want a whole number from 1 to 100")},
        {"{\"type\":\"w\"}", "", 2, NULL, X("cfg: --type w: not one of word, gpt2, bert")},
        {"{\"store\":\"p\"}", "", 2, NULL, X("cfg: \"store\" is not an array of strings")},
        {"{\"flag\":1}", "", 2, NULL, X("cfg: \"flag\" is not true or false")},
        {"[]", "", 2, NULL, X("cfg: not a JSON object")},
        {"{", "", 1, NULL, NULL},
        {"{\"beam\":1,\"beam\":2}", "", 1, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof t / sizeof *t; i++) {
        char words[200];
        write_text("cfg", t[i].config);
        snprintf(words, sizeof words, "--config cfg %s", t[i].words);
        check(words, NULL, t[i].status, t[i].out, t[i].err);
    }
    check("--config none", NULL, 1, NULL, "capt-x: none: No such file or directory\n");
}

static void option_table(void **state)
{
    assert_int_equal(child("--print-options", NULL), 0);
    json_t *o = capt_json_load("out", NULL), *row;
    assert_non_null(o);
    size_t i;
    int seen = 0;
    json_array_foreach(json_object_get(o, "options"), i, row) {
        const char *name = json_string_value(json_object_get(row, "name"));
        if (strcmp(name, "beam") == 0)
            seen += json_integer_value(json_object_get(row, "default")) == 5 && json_number_value(json_object_get(row, "max")) == 100;
        if (strcmp(name, "type") == 0)
            seen += json_array_size(json_object_get(row, "choices")) == 3;
        if (strcmp(name, "store") == 0)
            seen += json_is_true(json_object_get(row, "required")) && json_is_true(json_object_get(row, "local"));
        if (strcmp(name, "config") == 0)
            seen += json_is_true(json_object_get(row, "common"));
    }
    assert_int_equal(seen, 4);
    json_decref(o);
}

static void files_beside(void **state)
{
    capt_err e = CAPT_ERR_INIT;
    assert_int_equal(child("--store a --act 6 --log log", NULL), 0);
    assert_int_equal(child("--store a --act 6 --log log", NULL), 0);
    size_t n;
    char *s = capt_file_read("log", 0, &n, &e), *nl = strchr(s, '\n');
    json_t *j = capt_json_parse(s, (size_t)(nl - s), "log", &e);
    assert_int_equal(json_integer_value(json_object_get(j, "step")), 1);
    assert_true(json_number_value(json_object_get(j, "ts")) > 1.6e9);
    assert_non_null(strchr(nl + 1, '\n')); /* the second run appended */
    json_decref(j);
    free(s);
    assert_int_equal(child("--store a --act 5 --max-bad 3 --errors bad", NULL), 0);
    s = capt_file_read("bad", 0, &n, &e);
    assert_string_equal(s, "{\"error\":\"r:0: bad\"}\n{\"error\":\"r:1: bad\"}\n{\"error\":\"r:2: bad\"}\n");
    free(s);
    check("--store a --act 5 --max-bad 3 --errors /dev/full", NULL, 1, NULL,
          "capt-x: skipped: r:0: bad\ncapt-x: 1 bad record skipped\ncapt-x: /dev/full: disk full\n");
}

static int enter(void **state)
{
    return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
    static const char *const made[] = {"out", "err", "cfg", "log", "bad"};
    for (size_t i = 0; i < 5; i++)
        unlink(made[i]);
    return chdir("/") == 0 && rmdir(folder) == 0 ? 0 : -1;
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(command_lines),
        cmocka_unit_test(config_files),
        cmocka_unit_test(option_table),
        cmocka_unit_test(files_beside),
    };
    return cmocka_run_group_tests_name("prog", tests, enter, leave);
}
