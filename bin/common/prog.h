/* What every program shares: one table of options is parser, --help, --print-options and --config; messages, progress,
 * signals, exit codes. A program is `static const capt_opt options[]`, `static int run(capt_prog *p)` and CAPT_MAIN.
 *
 * run returns 0, or -1 with p->err filled in; the exit status follows from the error's code (1, 2, 75). stdout is flushed
 * and checked afterwards (a full disk is exit 1). Common options need no row: -h --help -V --version -q -v --config FILE
 * --print-options --print-schema KIND; the groups CAPT_G_DEVICE (--device auto|cpu|ref|guard|cuda), CAPT_G_THREADS (--threads N),
 * CAPT_G_SEED (--seed N), CAPT_G_LOG (--log FILE), CAPT_G_MAXBAD (--max-bad N, --errors FILE) are asked for by flag. */
#ifndef CAPT_PROG_H
#define CAPT_PROG_H
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include "base/err.h"
#include "base/thread.h"

typedef enum capt_opt_type {
    CAPT_O_FLAG,   /* int *: set to 1 */
    CAPT_O_INT,    /* int64_t * with min..max */
    CAPT_O_NUM,    /* double * with min..max */
    CAPT_O_STR,    /* const char ** */
    CAPT_O_STRS,   /* capt_strs *: may be given many times */
    CAPT_O_CHOICE  /* int *: index into the |-separated list in `arg`; an unknown name is exit 2 and lists the known ones */
} capt_opt_type;

/* --print-options prints {"program","synopsis","about","options":[{"name","type","arg","help","default","min","max","choices",
 * "local","required","common"}]}: members that do not apply are left out. --config FILE is an object with the same names: true
 * or false for flags, a number, a string, an array for CAPT_O_STRS; the command line wins, and of an array of KEY=VALUE key by key: the file's come first, the
 * command line's after them. --complete bash prints a completion. */
typedef struct capt_strs { const char **v; size_t n; } capt_strs;

typedef struct capt_opt {
    const char *name; /* "beam": --beam */
    capt_opt_type type;
    void *to;         /* holds the default before parsing */
    const char *arg;  /* "N", "FILE", "a|b|c"; NULL for flags */
    const char *help; /* one sentence */
    double min, max;  /* both 0: any */
    int local;        /* 1: cannot change the output (paths, logs, threads, resume): left out of provenance */
    int required;
} capt_opt;

enum { CAPT_G_DEVICE = 1, CAPT_G_THREADS = 2, CAPT_G_SEED = 4, CAPT_G_LOG = 8, CAPT_G_MAXBAD = 16 };

typedef struct capt_prog {
    const char *name;     /* "capt-beam" */
    const char *synopsis; /* "[options] --model FILE [FILE]" */
    const char *about;    /* one sentence */
    const capt_opt *opts; /* ends with name NULL */
    unsigned groups;
    int min_args, max_args; /* operands; max -1: any */
    int (*run)(struct capt_prog *p);
    /* filled by the parser */
    capt_err err;
    int argc;
    char **argv; /* operands */
    int quiet, verbose;
    const char *device;
    int64_t threads, seed, max_bad;
    const char *log, *errors;
    struct capt_prog_state *state; /* of the frame */
} capt_prog;

int capt_prog_main(capt_prog *p, int argc, char **argv);
#define CAPT_MAIN(prog) int main(int argc, char **argv) { return capt_prog_main(&(prog), argc, argv); }

/* Wrong usage found in run: records CAPT_EUSAGE; returns -1. */
int capt_prog_usage(capt_prog *p, const char *fmt, ...) CAPT_PRINTF(2, 3);
/* Something is wrong with all the operands from number `from` on: records CAPT_EDATA, "a, b: text", "a, b, c and 9 more: text"
 * or "stdin: text"; returns -1. */
int capt_prog_fail_inputs(capt_prog *p, int from, const char *fmt, ...) CAPT_PRINTF(3, 4);
/* Whether the option that is kept at `to` was given, on the command line or in --config. */
int capt_prog_given(const capt_prog *p, const void *to);
/* stderr, one line, "name: text", control characters escaped; note: not under -q; detail: only under -v. */
void capt_prog_note(const capt_prog *p, const char *fmt, ...) CAPT_PRINTF(2, 3);
void capt_prog_warn(const capt_prog *p, const char *fmt, ...) CAPT_PRINTF(2, 3);
void capt_prog_detail(const capt_prog *p, const char *fmt, ...) CAPT_PRINTF(2, 3);
/* The options that were set or defaulted and can change the output, canonical order (by name), as a JSON object. New reference. */
json_t *capt_prog_options(const capt_prog *p);
/* Skips a bad record (CAPT_EDATA or CAPT_EIO) if --max-bad allows another one: counts, writes {"error":text} to --errors,
 * warns, clears err and returns 0; else -1. */
int capt_prog_bad(capt_prog *p, capt_err *err);
int64_t capt_prog_n_bad(const capt_prog *p);

/* Signals. While inputs are read, which may take for ever (a pipe, a terminal), there is nothing to write down: after capt_prog_catch_reading an INT ends the process, and
 * TERM, USR1 and HUP end it with status 75. After capt_prog_catch all set the flag; an INT when it is set already ends the process. */
void capt_prog_catch_reading(void);
void capt_prog_catch(void);
int capt_prog_stopping(void);        /* 1 once a signal came */
int capt_prog_stopped(capt_prog *p, const char *what); /* records CAPT_ESTOP "what: stopped; continue with --resume"; -1 */

/* Progress on stderr: redrawn on a terminal at most 10 times a second with rate and ETA, a plain line a minute elsewhere. */
typedef struct capt_progress { const capt_prog *p; const char *unit; int64_t total; double t0, shown; int tty, drawn; } capt_progress;
void capt_progress_start(capt_progress *g, const capt_prog *p, const char *unit, int64_t total); /* total 0: unknown */
void capt_progress_at(capt_progress *g, int64_t done, const char *extra);
void capt_progress_end(capt_progress *g);
/* "1:02:03" or "2:03" */
void capt_time_text(double seconds, char text[32]);

/* --log: appends one NDJSON record with "ts" (seconds since the epoch) added; steals rec; no-op without --log. */
int capt_prog_log(capt_prog *p, json_t *rec);
double capt_now(void); /* monotonic seconds */
#endif
