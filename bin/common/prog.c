#include "common/prog.h"
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/json.h"
#include "base/mem.h"
#include "common/prog_priv.h"

const char *capt_choice_name(const char *list, int i, size_t *n)
{
    for (; list && i > 0; i--) {
        list = strchr(list, '|');
        if (list)
            list++;
    }
    if (!list || i < 0)
        return NULL;
    *n = strcspn(list, "|");
    return list;
}

json_t *capt_opt_value(const capt_opt *o)
{
    switch (o->type) {
    case CAPT_O_FLAG: return json_boolean(*(int *)o->to);
    case CAPT_O_INT: return json_integer(*(int64_t *)o->to);
    case CAPT_O_NUM: return json_real(*(double *)o->to);
    case CAPT_O_STR: return *(const char **)o->to ? json_string(*(const char **)o->to) : NULL;
    case CAPT_O_CHOICE: {
        size_t n;
        const char *s = capt_choice_name(o->arg, *(int *)o->to, &n);
        return s ? json_stringn(s, n) : NULL;
    }
    case CAPT_O_STRS: {
        const capt_strs *v = o->to;
        if (v->n == 0)
            return NULL;
        json_t *a = json_array();
        for (size_t i = 0; i < v->n; i++)
            json_array_append_new(a, json_string(v->v[i]));
        return a;
    }
    }
    return NULL;
}

static void build_rows(capt_prog *p)
{
    capt_prog_state *st = p->state;
    const struct {
        unsigned group;
        capt_opt o;
    } common[] = {
        {CAPT_G_DEVICE, {"device", CAPT_O_CHOICE, &st->device, "auto|cpu|ref|guard|cuda", "where to compute", 0, 0, 1, 0}},
        {CAPT_G_THREADS, {"threads", CAPT_O_INT, &p->threads, "N", "threads; 0: one a usable CPU", 0, 4096, 1, 0}},
        {CAPT_G_SEED, {"seed", CAPT_O_INT, &p->seed, "N", "seed of all random numbers", 0, 9007199254740992.0, 0, 0}},
        {CAPT_G_LOG, {"log", CAPT_O_STR, &p->log, "FILE", "append NDJSON records of the run to FILE", 0, 0, 1, 0}},
        {CAPT_G_MAXBAD, {"max-bad", CAPT_O_INT, &p->max_bad, "N", "skip up to N bad records", 0, 9007199254740992.0, 1, 0}},
        {CAPT_G_MAXBAD, {"errors", CAPT_O_STR, &p->errors, "FILE", "write skipped records' errors to FILE", 0, 0, 1, 0}},
        {0, {"config", CAPT_O_STR, &st->config, "FILE", "read options from a JSON object; the command line wins", 0, 0, 1, 0}},
        {0, {"quiet", CAPT_O_FLAG, &p->quiet, NULL, "only warnings and errors (-q)", 0, 0, 1, 0}},
        {0, {"verbose", CAPT_O_FLAG, &p->verbose, NULL, "more detail (-v)", 0, 0, 1, 0}},
        {0, {"help", CAPT_O_FLAG, &st->help, NULL, "print this help (-h)", 0, 0, 1, 0}},
        {0, {"version", CAPT_O_FLAG, &st->version, NULL, "print version, build and libraries (-V)", 0, 0, 1, 0}},
        {0, {"print-options", CAPT_O_FLAG, &st->print_options, NULL, "print the option table as JSON", 0, 0, 1, 0}},
        {0, {"print-schema", CAPT_O_CHOICE, &st->schema, "caption|hypothesis|tag|score|log|total|difference|error|feature|tensor|metadata", "print the JSON Schema of a kind of record", 0, 0, 1, 0}},
        {0, {"complete", CAPT_O_CHOICE, &st->complete, "bash", "print a shell completion", 0, 0, 1, 0}},
    };
    enum { N_COMMON = sizeof common / sizeof *common };
    while (p->opts && p->opts[st->n_own].name)
        st->n_own++;
    st->row = capt_alloc(sizeof *st->row * (size_t)(st->n_own + N_COMMON));
    if (st->n_own)
        memcpy(st->row, p->opts, sizeof *st->row * (size_t)st->n_own);
    st->n_rows = st->n_own;
    for (int i = 0; i < N_COMMON; i++)
        if (!common[i].group || (p->groups & common[i].group))
            st->row[st->n_rows++] = common[i].o;
    st->given = capt_alloc((size_t)st->n_rows);
    st->preset = capt_alloc(sizeof *st->preset * (size_t)st->n_rows);
    for (int i = 0; i < st->n_rows; i++)
        st->preset[i] = capt_opt_value(&st->row[i]);
}

static int find_row(const capt_prog_state *st, const char *name, size_t n)
{
    for (int i = 0; i < st->n_rows; i++)
        if (strlen(st->row[i].name) == n && memcmp(st->row[i].name, name, n) == 0)
            return i;
    return -1;
}

static int in_range(capt_prog *p, const capt_opt *o, double v, const char *shown)
{
    if ((o->min == 0 && o->max == 0) || (v >= o->min && v <= o->max))
        return 0;
    const char *what = o->type == CAPT_O_INT ? "whole number" : "number";
    if (o->max >= 1e15)
        return capt_prog_usage(p, "--%s %s: want a %s of at least %.15g", o->name, shown, what, o->min);
    return capt_prog_usage(p, "--%s %s: want a %s from %.15g to %.15g", o->name, shown, what, o->min, o->max);
}

static int set_choice(capt_prog *p, const capt_opt *o, const char *s)
{
    size_t n;
    const char *name;
    for (int i = 0; (name = capt_choice_name(o->arg, i, &n)) != NULL; i++) {
        if (strlen(s) == n && memcmp(s, name, n) == 0) {
            *(int *)o->to = i;
            return 0;
        }
    }
    capt_str known = {0};
    for (const char *c = o->arg; *c; c++)
        capt_str_puts(&known, *c == '|' ? ", " : (char[2]){*c, 0});
    capt_prog_usage(p, "--%s %s: not one of %s", o->name, s, known.s);
    capt_str_free(&known);
    return -1;
}

static void push(capt_strs *v, const char *s)
{
    v->v = capt_realloc(v->v, sizeof *v->v * (v->n + 1));
    v->v[v->n++] = s;
}

/* The first value given replaces the default list; a static default array is never freed or grown. */
static void set_strs(const capt_prog_state *st, int i, const char *s)
{
    capt_strs *v = st->row[i].to;
    if (!st->given[i])
        *v = (capt_strs){0};
    push(v, s);
}

int capt_prog_given(const capt_prog *p, const void *to)
{
    int given = 0;
    for (int i = 0; i < p->state->n_rows; i++)
        given |= p->state->row[i].to == to && p->state->given[i];
    return given;
}

static int set_text(capt_prog *p, int i, const char *s)
{
    capt_prog_state *st = p->state;
    const capt_opt *o = &st->row[i];
    char *end;
    int plain = *s && strchr("+-.0123456789", *s) != NULL && !strpbrk(s, "xX"); /* neither blanks nor hexadecimal */
    switch (o->type) {
    case CAPT_O_FLAG: *(int *)o->to = 1; break;
    case CAPT_O_STR: *(const char **)o->to = s; break;
    case CAPT_O_STRS: set_strs(st, i, s); break;
    case CAPT_O_CHOICE:
        if (set_choice(p, o, s) != 0)
            return -1;
        break;
    case CAPT_O_INT: {
        errno = 0;
        long long v = strtoll(s, &end, 10);
        if (!plain || *end || errno)
            return capt_prog_usage(p, "--%s %s: not a whole number", o->name, s);
        if (in_range(p, o, (double)v, s) != 0)
            return -1;
        *(int64_t *)o->to = v;
        break;
    }
    case CAPT_O_NUM: {
        double v = strtod(s, &end);
        if (!plain || *end || !isfinite(v))
            return capt_prog_usage(p, "--%s %s: not a number", o->name, s);
        if (in_range(p, o, v, s) != 0)
            return -1;
        *(double *)o->to = v;
        break;
    }
    }
    st->given[i] = 1;
    return 0;
}

static int parse_args(capt_prog *p, int argc, char **argv)
{
    capt_prog_state *st = p->state;
    static const char shorts[] = "hVqv";
    static const char *const longs[] = {"help", "version", "quiet", "verbose"};
    int only_operands = 0;
    for (int a = 1; a < argc; a++) {
        char *s = argv[a];
        if (only_operands || s[0] != '-' || !s[1]) {
            st->operands[p->argc++] = s;
        } else if (s[1] != '-') {
            for (const char *c = s + 1; *c; c++) {
                const char *at = strchr(shorts, *c);
                if (!at)
                    return capt_prog_usage(p, "unknown option %s", s);
                const char *name = longs[at - shorts];
                set_text(p, find_row(st, name, strlen(name)), "");
            }
        } else if (!s[2]) {
            only_operands = 1;
        } else {
            const char *name = s + 2, *eq = strchr(name, '=');
            size_t n = eq ? (size_t)(eq - name) : strlen(name);
            int i = find_row(st, name, n);
            if (i < 0)
                return capt_prog_usage(p, "unknown option --%.*s", (int)n, name);
            const char *value = "";
            if (st->row[i].type == CAPT_O_FLAG) {
                if (eq)
                    return capt_prog_usage(p, "--%.*s takes no value", (int)n, name);
            } else if (eq) {
                value = eq + 1;
            } else if (a + 1 < argc) {
                value = argv[++a];
            } else {
                return capt_prog_usage(p, "--%s needs a value (%s)", name, st->row[i].arg);
            }
            if (set_text(p, i, value) != 0)
                return -1;
        }
        if (st->help || st->version || st->print_options || st->schema >= 0 || st->complete >= 0)
            return 0;
    }
    return 0;
}

static int set_json(capt_prog *p, int i, json_t *v)
{
    capt_prog_state *st = p->state;
    const capt_opt *o = &st->row[i];
    static const char *const want[] = {"true or false", "a whole number", "a number", "a string", "an array of strings", "a string"};
    int ok = 0;
    switch (o->type) {
    case CAPT_O_FLAG:
        ok = json_is_boolean(v);
        if (ok)
            *(int *)o->to = json_is_true(v);
        break;
    case CAPT_O_INT:
        ok = json_is_integer(v);
        break;
    case CAPT_O_NUM:
        ok = json_is_number(v);
        break;
    case CAPT_O_STR:
    case CAPT_O_CHOICE:
        ok = json_is_string(v);
        break;
    case CAPT_O_STRS:
        ok = json_is_array(v);
        for (size_t k = 0; ok && k < json_array_size(v); k++)
            ok = json_is_string(json_array_get(v, k));
        break;
    }
    if (!ok)
        return capt_prog_usage(p, "%s: \"%s\" is not %s", st->config, o->name, want[o->type]);
    if (o->type == CAPT_O_STRS) {
        capt_strs *to = o->to, later = st->given[i] ? *to : (capt_strs){0}; /* KEY=VALUE of the command line */
        *to = (capt_strs){0};
        for (size_t k = 0; k < json_array_size(v); k++)
            push(to, json_string_value(json_array_get(v, k)));
        for (size_t k = 0; k < later.n; k++)
            push(to, later.v[k]);
        free(later.v);
    } else if (o->type == CAPT_O_INT || o->type == CAPT_O_NUM) {
        char shown[32];
        snprintf(shown, sizeof shown, "%.15g", json_number_value(v));
        if (in_range(p, o, json_number_value(v), shown) != 0)
            return capt_err_prefix(&p->err, "%s", st->config);
        if (o->type == CAPT_O_INT)
            *(int64_t *)o->to = json_integer_value(v);
        else
            *(double *)o->to = json_number_value(v);
    } else if (o->type == CAPT_O_STR) {
        *(const char **)o->to = json_string_value(v);
    } else if (o->type == CAPT_O_CHOICE && set_choice(p, o, json_string_value(v)) != 0) {
        return capt_err_prefix(&p->err, "%s", st->config);
    }
    st->given[i] = 1;
    return 0;
}

static int read_config(capt_prog *p)
{
    capt_prog_state *st = p->state;
    st->conf = capt_json_load(st->config, &p->err);
    if (!st->conf)
        return -1;
    if (!json_is_object(st->conf))
        return capt_prog_usage(p, "%s: not a JSON object", st->config);
    const char *key;
    json_t *v;
    json_object_foreach(st->conf, key, v) {
        int i = find_row(st, key, strlen(key));
        if (i < 0 || st->row[i].to == &st->config || st->row[i].to == &st->help || st->row[i].to == &st->version ||
            st->row[i].to == &st->print_options || st->row[i].to == &st->schema || st->row[i].to == &st->complete)
            return capt_prog_usage(p, "%s: unknown option \"%s\"", st->config, key);
        int by_key = st->row[i].type == CAPT_O_STRS && strcmp(st->row[i].arg, "KEY=VALUE") == 0;
        if ((!st->given[i] || by_key) && set_json(p, i, v) != 0)
            return -1;
    }
    return 0;
}

static int check_complete(capt_prog *p)
{
    capt_prog_state *st = p->state;
    for (int i = 0; i < st->n_rows; i++)
        if (st->row[i].required && !st->given[i])
            return capt_prog_usage(p, "--%s %s is required", st->row[i].name, st->row[i].arg ? st->row[i].arg : "");
    if (p->argc < p->min_args)
        return capt_prog_usage(p, p->min_args == 1 ? "an operand is missing" : "%d operands are needed", p->min_args);
    if (p->max_args >= 0 && p->argc > p->max_args)
        return capt_prog_usage(p, "unexpected operand %s", p->argv[p->max_args]);
    return 0;
}

/* A closed descriptor 0, 1 or 2 would be handed out to the next open, and a stray message would land in a store. */
static void guard_std_fds(void)
{
    for (int fd = 0; fd <= 2; fd++)
        if (fcntl(fd, F_GETFD) < 0 && errno == EBADF && open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0)
            return;
}

static int close_stdout(capt_prog *p)
{
    int was_bad = ferror(stdout);
    errno = 0;
    if (fflush(stdout) == 0 && !was_bad)
        return 0;
    if (errno == 0) { /* an earlier write failed and its reason is gone: ask once more */
        clearerr(stdout);
        if (fputc('\n', stdout) != EOF && fflush(stdout) == 0)
            return capt_fail(&p->err, CAPT_EIO, "stdout: write error");
    }
    return capt_fail_errno(&p->err, "stdout");
}

static int print_text(capt_prog *p, void (*make)(const capt_prog *, capt_str *))
{
    capt_str s = {0};
    make(p, &s);
    fwrite(s.s, 1, s.n, stdout);
    capt_str_free(&s);
    return 0;
}

/* ---- memory */

static const char *program_name = "capt";

/* Of a small request: there is nothing to go on with. Large ones are reported by those who make them. */
void capt_on_no_memory(void)
{
    static const char text[] = ": out of memory\n";
    if (write(2, program_name, strlen(program_name)) < 0 || write(2, text, sizeof text - 1) < 0)
        _exit(1);
    _exit(1);
}

/* jansson's own checks lead to objects that lack what could not be stored. */
static void *json_memory(size_t n)
{
    void *p = malloc(n ? n : 1);
    if (!p)
        capt_no_memory();
    return p;
}

static int parse_and_run(capt_prog *p, int argc, char **argv)
{
    capt_prog_state *st = p->state;
    if (parse_args(p, argc, argv) != 0)
        return -1;
    if (st->help)
        return print_text(p, capt_help_text);
    if (st->version)
        return print_text(p, capt_version_text);
    if (st->print_options)
        return print_text(p, capt_options_json);
    if (st->schema >= 0)
        return print_text(p, capt_schema_text);
    if (st->complete >= 0)
        return print_text(p, capt_completion_text);
    if (st->config && read_config(p) != 0)
        return -1;
    if (check_complete(p) != 0)
        return -1;
    static const char *const devices[] = {"auto", "cpu", "ref", "guard", "cuda"};
    p->device = devices[st->device];
    return p->run(p);
}

int capt_prog_main(capt_prog *p, int argc, char **argv)
{
    guard_std_fds();
    program_name = p->name;
    json_set_alloc_funcs(json_memory, free);
    signal(SIGPIPE, SIG_DFL); /* some parents leave it ignored */
    signal(SIGXFSZ, SIG_IGN); /* a limit of the file size is an error of write */
    p->state = capt_alloc(sizeof *p->state);
    capt_prog_state *st = p->state;
    st->complete = -1;
    st->schema = -1;
    st->operands = capt_alloc(sizeof *st->operands * (size_t)(argc + 1));
    p->argv = st->operands;
    p->argc = 0;
    build_rows(p);
    if (parse_and_run(p, argc, argv) != 0 && p->err.code == CAPT_OK)
        capt_fail(&p->err, CAPT_EDATA, "failed");
    if (st->n_bad)
        capt_prog_note(p, "%lld bad record%s skipped", (long long)st->n_bad, st->n_bad == 1 ? "" : "s");
    capt_prog_close_files(p);
    close_stdout(p);
    if (p->err.code == CAPT_EUSAGE)
        capt_prog_warn(p, "%s (see --help)", p->err.text);
    else if (p->err.code != CAPT_OK)
        capt_prog_warn(p, "%s", p->err.text);
    int status = capt_err_exit(p->err.code);
    for (int i = 0; i < st->n_rows; i++) {
        json_decref(st->preset[i]);
        if (st->row[i].type == CAPT_O_STRS && st->given[i]) {
            capt_strs *v = st->row[i].to;
            free(v->v);
            *v = (capt_strs){0};
        }
    }
    json_decref(st->conf);
    free(st->row);
    free(st->given);
    free(st->preset);
    free(st->operands);
    free(st);
    p->state = NULL;
    return status;
}

int capt_prog_usage(capt_prog *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    capt_vfail(&p->err, CAPT_EUSAGE, fmt, ap);
    va_end(ap);
    return -1;
}

static int by_name(const void *a, const void *b)
{
    return strcmp((*(const capt_opt *const *)a)->name, (*(const capt_opt *const *)b)->name);
}

json_t *capt_prog_options(const capt_prog *p)
{
    const capt_prog_state *st = p->state;
    const capt_opt **v = capt_alloc(sizeof *v * (size_t)(st->n_rows + 1));
    size_t n = 0;
    for (int i = 0; i < st->n_rows; i++)
        if (!st->row[i].local)
            v[n++] = &st->row[i];
    qsort(v, n, sizeof *v, by_name);
    json_t *o = json_object();
    for (size_t i = 0; i < n; i++) {
        json_t *value = capt_opt_value(v[i]);
        if (value)
            json_object_set_new(o, v[i]->name, value);
    }
    free(v);
    return o;
}
