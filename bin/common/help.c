/* The texts made from a program's option table: --help, --version, --print-options, --print-schema, --complete. */
#include <stdio.h> /* jpeglib.h needs it */
#include <jpeglib.h>
#include <lmdb.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "base/json.h"
#include "base/prov.h"
#include "common/prog_priv.h"
#include "record/field.h"

/* Defined by the backend layer where a program links it: the backends of this build and machine. */
const char *capt_backend_list(void) __attribute__((weak));

enum { WIDTH = 100, COLUMN = 26 };

static void wrapped(capt_str *out, const char *text, size_t indent, size_t column)
{
    while (*text) {
        size_t n = strcspn(text, " ");
        if (column + n + 1 > WIDTH && column > indent) {
            capt_str_printf(out, "\n%*s", (int)indent, "");
            column = indent;
        } else if (column > indent) {
            capt_str_putc(out, ' ');
            column++;
        }
        capt_str_add(out, text, n);
        column += n;
        text += n + strspn(text + n, " ");
    }
    capt_str_putc(out, '\n');
}

static void option_line(const capt_prog_state *st, int i, capt_str *out)
{
    const capt_opt *o = &st->row[i];
    size_t start = out->n;
    capt_str_printf(out, "  --%s%s%s", o->name, o->arg ? " " : "", o->arg ? o->arg : "");
    size_t used = out->n - start;
    if (used + 2 > COLUMN) {
        capt_str_printf(out, "\n%*s", COLUMN, "");
    } else {
        capt_str_printf(out, "%*s", (int)(COLUMN - used), "");
    }
    capt_str text = {0};
    capt_str_puts(&text, o->help ? o->help : "");
    if (o->required)
        capt_str_puts(&text, " (required)");
    if (o->type == CAPT_O_STRS)
        capt_str_puts(&text, " (may be repeated)");
    const json_t *d = st->preset[i];
    if (json_is_integer(d))
        capt_str_printf(&text, " (default %lld)", (long long)json_integer_value(d));
    else if (json_is_real(d))
        capt_str_printf(&text, " (default %.6g)", json_real_value(d));
    else if (json_is_string(d))
        capt_str_printf(&text, " (default %s)", json_string_value(d));
    wrapped(out, text.s, COLUMN, COLUMN);
    capt_str_free(&text);
}

void capt_help_text(const capt_prog *p, capt_str *out)
{
    const capt_prog_state *st = p->state;
    capt_str_printf(out, "usage: %s %s\n", p->name, p->synopsis ? p->synopsis : "[options]");
    if (p->about)
        wrapped(out, p->about, 0, 0);
    for (int i = 0; i < st->n_rows; i++) {
        if (i == 0 || i == st->n_own)
            capt_str_puts(out, i < st->n_own ? "\nOptions:\n" : "\nCommon options:\n");
        option_line(st, i, out);
    }
    capt_str_puts(out, "\nA FILE of - is standard input or output; -- ends the options.\n"
                       "Exit status: 0 done; 1 data, file or device trouble; 2 wrong usage; 75 stopped by a signal after\n"
                       "writing what is needed to continue.\n");
}

void capt_version_text(const capt_prog *p, capt_str *out)
{
    capt_str_printf(out, "%s (capt) %s\n", p->name, capt_version());
#ifdef __clang__
    capt_str_printf(out, "compiler: %s", __VERSION__);
#else
    capt_str_printf(out, "compiler: gcc %s", __VERSION__);
#endif
#ifdef CAPT_BUILD_FLAGS
    capt_str_printf(out, ", %s", CAPT_BUILD_FLAGS);
#endif
    capt_str_printf(out, "\nlibraries: jansson %s, LMDB %d.%d.%d, xxHash %u.%u.%u", JANSSON_VERSION, MDB_VERSION_MAJOR,
                    MDB_VERSION_MINOR, MDB_VERSION_PATCH, XXH_versionNumber() / 10000, XXH_versionNumber() / 100 % 100,
                    XXH_versionNumber() % 100);
#ifdef LIBJPEG_TURBO_VERSION_NUMBER
    capt_str_printf(out, ", libjpeg-turbo %d.%d.%d", LIBJPEG_TURBO_VERSION_NUMBER / 1000000,
                    LIBJPEG_TURBO_VERSION_NUMBER / 1000 % 1000, LIBJPEG_TURBO_VERSION_NUMBER % 1000);
#else
    capt_str_printf(out, ", libjpeg %d", JPEG_LIB_VERSION);
#endif
    capt_str_putc(out, '\n');
    if (capt_backend_list)
        capt_str_printf(out, "backends: %s\n", capt_backend_list());
}

void capt_options_json(const capt_prog *p, capt_str *out)
{
    static const char *const types[] = {"flag", "int", "num", "str", "strs", "choice"};
    const capt_prog_state *st = p->state;
    json_t *list = json_array();
    for (int i = 0; i < st->n_rows; i++) {
        const capt_opt *o = &st->row[i];
        json_t *j = json_object();
        json_object_set_new(j, "name", json_string(o->name));
        json_object_set_new(j, "type", json_string(types[o->type]));
        if (o->arg)
            json_object_set_new(j, "arg", json_string(o->arg));
        json_object_set_new(j, "help", json_string(o->help ? o->help : ""));
        if (st->preset[i])
            json_object_set(j, "default", st->preset[i]);
        if (o->min != 0 || o->max != 0) {
            json_object_set_new(j, "min", json_real(o->min));
            json_object_set_new(j, "max", json_real(o->max));
        }
        if (o->type == CAPT_O_CHOICE) {
            json_t *names = json_array();
            size_t n;
            const char *s;
            for (int k = 0; (s = capt_choice_name(o->arg, k, &n)) != NULL; k++)
                json_array_append_new(names, json_stringn(s, n));
            json_object_set_new(j, "choices", names);
        }
        json_object_set_new(j, "local", json_boolean(o->local));
        json_object_set_new(j, "required", json_boolean(o->required));
        json_object_set_new(j, "common", json_boolean(i >= st->n_own));
        json_array_append_new(list, j);
    }
    json_t *all = json_object();
    json_object_set_new(all, "program", json_string(p->name));
    json_object_set_new(all, "synopsis", json_string(p->synopsis ? p->synopsis : ""));
    json_object_set_new(all, "about", json_string(p->about ? p->about : ""));
    json_object_set_new(all, "options", list);
    capt_json_line(all, out);
    json_decref(all);
}

void capt_schema_text(const capt_prog *p, capt_str *out)
{
    json_t *schema = capt_record_schema(capt_kind_at(p->state->schema));
    char *text = json_dumps(schema, JSON_INDENT(2));
    capt_str_puts(out, text ? text : "");
    capt_str_putc(out, '\n');
    free(text);
    json_decref(schema);
}

void capt_completion_text(const capt_prog *p, capt_str *out)
{
    const capt_prog_state *st = p->state;
    capt_str fn = {0};
    for (const char *c = p->name; *c; c++)
        capt_str_putc(&fn, *c == '-' ? '_' : *c);
    capt_str_printf(out, "# bash completion of %s\n_%s()\n{\n    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]}\n"
                         "    case $prev in\n", p->name, fn.s);
    for (int i = 0; i < st->n_rows; i++) {
        const capt_opt *o = &st->row[i];
        if (o->type != CAPT_O_CHOICE)
            continue;
        capt_str_printf(out, "    --%s) mapfile -t COMPREPLY < <(compgen -W '", o->name);
        for (const char *c = o->arg; *c; c++)
            capt_str_putc(out, *c == '|' ? ' ' : *c);
        capt_str_puts(out, "' -- \"$cur\"); return ;;\n");
    }
    capt_str_puts(out, "    esac\n    if [[ $cur == -* ]]; then\n        mapfile -t COMPREPLY < <(compgen -W '");
    for (int i = 0; i < st->n_rows; i++)
        capt_str_printf(out, "%s--%s", i ? " " : "", st->row[i].name);
    capt_str_printf(out, "' -- \"$cur\")\n    else\n        mapfile -t COMPREPLY < <(compgen -f -- \"$cur\")\n    fi\n}\n"
                         "complete -o filenames -F _%s %s\n", fn.s, p->name);
    capt_str_free(&fn);
}
