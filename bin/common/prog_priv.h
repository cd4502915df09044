/* What the files of the program frame share. */
#ifndef CAPT_PROG_PRIV_H
#define CAPT_PROG_PRIV_H
#include "base/str.h"
#include "common/prog.h"

typedef struct capt_prog_state {
    capt_opt *row; /* the program's own options, then the groups', then the common ones */
    int n_rows, n_own;
    char *given;     /* row set on the command line or by --config */
    json_t **preset; /* defaults, taken before parsing; NULL: none */
    json_t *conf;    /* the --config object: option strings point into it */
    char **operands;
    int help, version, print_options, device, complete, schema;
    const char *config;
    FILE *log_file, *errors_file;
    int64_t n_bad;
    int drawn; /* a progress line stands on the terminal */
} capt_prog_state;

/* Value of an option now, as JSON; NULL when it has none. New reference. */
json_t *capt_opt_value(const capt_opt *o);
/* The i-th name of an "a|b|c" list: start and length, or NULL. */
const char *capt_choice_name(const char *list, int i, size_t *n);
/* Texts made from the option table. */
void capt_help_text(const capt_prog *p, capt_str *out);
void capt_version_text(const capt_prog *p, capt_str *out);
void capt_options_json(const capt_prog *p, capt_str *out);
void capt_schema_text(const capt_prog *p, capt_str *out);
void capt_completion_text(const capt_prog *p, capt_str *out);
/* Closes --log and --errors; the first failed write is recorded in p->err. */
void capt_prog_close_files(capt_prog *p);
#endif
