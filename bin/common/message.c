/* Messages, progress, signals, --log and --errors. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <time.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"
#include "common/prog_priv.h"

double capt_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void say(const capt_prog *p, const char *fmt, va_list ap)
{
    capt_str line = {0};
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    if (n < 0)
        return;
    char *text = malloc((size_t)n + 1);
    if (!text)
        return;
    vsnprintf(text, (size_t)n + 1, fmt, ap);
    if (p->state && p->state->drawn) {
        capt_str_puts(&line, "\r\033[K");
        p->state->drawn = 0;
    }
    capt_str_printf(&line, "%s: ", p->name);
    capt_str_puts_escaped(&line, text, (size_t)n);
    capt_str_putc(&line, '\n');
    fwrite(line.s, 1, line.n, stderr);
    free(text);
    capt_str_free(&line);
}

enum { NAMED = 3 }; /* inputs: a message has an end, and what is wrong stands there */

int capt_prog_fail_inputs(capt_prog *p, int from, const char *fmt, ...)
{
    capt_str names = {0};
    int end = p->argc - from > NAMED ? from + NAMED : p->argc;
    for (int i = from; i < end; i++)
        capt_str_printf(&names, "%s%s", i > from ? ", " : "", capt_input_name(p->argv[i]));
    if (end < p->argc)
        capt_str_printf(&names, " and %d more", p->argc - end);
    va_list ap;
    va_start(ap, fmt);
    capt_vfail(&p->err, CAPT_EDATA, fmt, ap);
    va_end(ap);
    capt_err_prefix(&p->err, "%s", p->argc > from ? names.s : capt_input_name("-"));
    capt_str_free(&names);
    return -1;
}

void capt_prog_note(const capt_prog *p, const char *fmt, ...)
{
    if (p->quiet)
        return;
    va_list ap;
    va_start(ap, fmt);
    say(p, fmt, ap);
    va_end(ap);
}

void capt_prog_warn(const capt_prog *p, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(p, fmt, ap);
    va_end(ap);
}

void capt_prog_detail(const capt_prog *p, const char *fmt, ...)
{
    if (!p->verbose)
        return;
    va_list ap;
    va_start(ap, fmt);
    say(p, fmt, ap);
    va_end(ap);
}

/* ---- files beside the output */

static FILE *open_beside(capt_prog *p, const char *path, const char *mode)
{
    if (strcmp(path, "-") == 0)
        return stdout;
    FILE *f = fopen(path, mode);
    if (!f)
        capt_fail_errno(&p->err, "%s", path);
    return f;
}

static int write_record(capt_prog *p, FILE *f, const char *path, const json_t *rec)
{
    capt_str line = {0};
    int rc = capt_json_line(rec, &line);
    if (rc != 0)
        rc = capt_fail(&p->err, CAPT_EDATA, "%s: a record cannot be written as JSON", capt_output_name(path));
    else if (fwrite(line.s, 1, line.n, f) != line.n || fflush(f) != 0)
        rc = capt_fail_errno(&p->err, "%s", capt_output_name(path));
    capt_str_free(&line);
    return rc;
}

int capt_prog_log(capt_prog *p, json_t *rec)
{
    int rc = 0;
    if (p->log) {
        if (!p->state->log_file)
            p->state->log_file = open_beside(p, p->log, "ae");
        struct timespec t;
        clock_gettime(CLOCK_REALTIME, &t);
        json_object_set_new(rec, "ts", json_real((double)t.tv_sec + (double)(t.tv_nsec / 1000000) * 1e-3));
        rc = p->state->log_file ? write_record(p, p->state->log_file, p->log, rec) : -1;
    }
    json_decref(rec);
    return rc;
}

int capt_prog_bad(capt_prog *p, capt_err *err)
{
    capt_prog_state *st = p->state;
    if ((err->code != CAPT_EDATA && err->code != CAPT_EIO) || st->n_bad >= p->max_bad)
        return -1;
    capt_err bad = *err; /* err may be p->err, which must be free for new trouble */
    *err = (capt_err)CAPT_ERR_INIT;
    st->n_bad++;
    capt_prog_warn(p, "skipped: %s", bad.text);
    if (!p->errors)
        return 0;
    if (!st->errors_file)
        st->errors_file = open_beside(p, p->errors, "we");
    if (!st->errors_file)
        return -1;
    capt_str text = {0};
    capt_str_puts_escaped(&text, bad.text, strlen(bad.text));
    json_t *rec = json_object();
    json_object_set_new(rec, "error", json_string(text.s));
    int rc = write_record(p, st->errors_file, p->errors, rec);
    json_decref(rec);
    capt_str_free(&text);
    return rc;
}

int64_t capt_prog_n_bad(const capt_prog *p)
{
    return p->state->n_bad;
}

static void close_beside(capt_prog *p, FILE *f, const char *path)
{
    if (f && f != stdout && fclose(f) != 0)
        capt_fail_errno(&p->err, "%s", path);
}

void capt_prog_close_files(capt_prog *p)
{
    close_beside(p, p->state->log_file, p->log);
    close_beside(p, p->state->errors_file, p->errors);
}

/* ---- signals */

static volatile sig_atomic_t stopping, reading;

static void on_signal(int sig)
{
    if (sig == SIGINT && (stopping || reading)) { /* a person who will not wait; schedulers send TERM over and over */
        signal(sig, SIG_DFL);
        raise(sig);
    } else if (reading) {
        _exit(EX_TEMPFAIL);
    }
    stopping = 1;
}

static void catch_signals(void)
{
    static const int sigs[] = {SIGINT, SIGTERM, SIGUSR1, SIGHUP};
    for (size_t i = 0; i < sizeof sigs / sizeof *sigs; i++) {
        struct sigaction old, sa = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
        sigemptyset(&sa.sa_mask);
        if (sigaction(sigs[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN) /* nohup and background jobs stay deaf */
            sigaction(sigs[i], &sa, NULL);
    }
}

void capt_prog_catch_reading(void)
{
    reading = 1;
    catch_signals();
}

void capt_prog_catch(void)
{
    catch_signals();
    reading = 0;
}

int capt_prog_stopping(void)
{
    return stopping != 0;
}

int capt_prog_stopped(capt_prog *p, const char *what)
{
    return capt_fail(&p->err, CAPT_ESTOP, "%s%sstopped; continue with --resume", what ? what : "", what ? ": " : "");
}

/* ---- progress */

void capt_progress_start(capt_progress *g, const capt_prog *p, const char *unit, int64_t total)
{
    *g = (capt_progress){.p = p, .unit = unit, .total = total, .t0 = capt_now(), .tty = isatty(2)};
    g->shown = g->tty ? 0 : g->t0;
}

void capt_time_text(double sec, char text[32])
{
    long t = sec < 0 ? 0 : sec > 3.6e9 ? 3600000000L : (long)(sec + 0.5);
    if (t >= 3600)
        snprintf(text, 32, "%ld:%02ld:%02ld", t / 3600, t / 60 % 60, t % 60);
    else
        snprintf(text, 32, "%ld:%02ld", t / 60, t % 60);
}

static void draw(capt_progress *g, int64_t done, const char *extra)
{
    double spent = capt_now() - g->t0, rate = spent > 0 ? (double)done / spent : 0;
    capt_str s = {0};
    capt_str_printf(&s, "%s%s: %lld", g->tty ? "\r" : "", g->p->name, (long long)done);
    if (g->total > 0)
        capt_str_printf(&s, "/%lld", (long long)g->total);
    capt_str_printf(&s, " %s, %.3g/s", g->unit, rate);
    int left = g->total > done && rate > 0;
    char time[32];
    capt_time_text(left ? (double)(g->total - done) / rate : spent, time);
    capt_str_printf(&s, ", %s%s", time, left ? " left" : "");
    if (extra && *extra) {
        capt_str_puts(&s, ", ");
        capt_str_puts_escaped(&s, extra, strlen(extra));
    }
    capt_str_puts(&s, g->tty ? "\033[K" : "\n");
    fwrite(s.s, 1, s.n, stderr);
    capt_str_free(&s);
    g->drawn = 1;
    if (g->tty && g->p->state)
        g->p->state->drawn = 1;
}

void capt_progress_at(capt_progress *g, int64_t done, const char *extra)
{
    if (g->p->quiet)
        return;
    double now = capt_now();
    int last = g->tty && g->total > 0 && done >= g->total;
    if (!last && now - g->shown < (g->tty ? 0.1 : 60))
        return;
    g->shown = now;
    draw(g, done, extra);
}

void capt_progress_end(capt_progress *g)
{
    if (g->tty && g->p->state && g->p->state->drawn) {
        fputc('\n', stderr);
        g->p->state->drawn = 0;
    }
}
