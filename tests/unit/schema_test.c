/* The readers of record lines accept the lines of tests/golden/records.tsv that are called good there, and no other; tests/schema.t has the
 * same of the schemas. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "record/field.h"
#include "record/ndjson.h"

/* <<N*TEXT>> -> TEXT N times, <xx> -> that byte. */
static void expand(const char *s, const char *end, capt_str *out)
{
    while (s < end) {
        const char *times, *close;
        char *after;
        if (s[0] == '<' && s[1] == '<' && (times = memchr(s, '*', (size_t)(end - s))) != NULL && (close = strstr(times, ">>")) != NULL) {
            for (long n = strtol(s + 2, NULL, 10); n > 0; n--)
                capt_str_add(out, times + 1, (size_t)(close - times - 1));
            s = close + 2;
        } else if (s[0] == '<' && end - s > 3 && s[3] == '>') {
            capt_str_putc(out, (int)strtol((char[]){s[1], s[2], 0}, &after, 16));
            s += 4;
        } else {
            capt_str_putc(out, *s++);
        }
    }
}

/* 1 if the line is a record of the kind, as every program reads it. A blank one goes before it: in front of a file a byte order mark would be none of it. */
static int is_record(const capt_kind *k, const capt_str *line)
{
    int fd = memfd_create("record", 0);
    assert_true(fd >= 0 && write(fd, "\n", 1) == 1 && write(fd, line->s, line->n) == (ssize_t)line->n && write(fd, "\n", 1) == 1);
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    const char *paths[] = {path};
    capt_err err = CAPT_ERR_INIT;
    capt_ndjson *in = capt_ndjson_new(paths, 1, 0);
    json_t *o = NULL;
    capt_arena *a = capt_arena_new(0);
    void *rec = capt_alloc(k->size);
    int good = capt_ndjson_next(in, &o, &err) == 1 && capt_record_read(k, o, rec, a, capt_ndjson_where(in), &err) == 0;
    if (!good)
        assert_non_null(strstr(err.text, ":2: ")); /* the place is named */
    if (good) { /* what was read is written, and is the same record again */
        json_t *w = capt_record_write(k, rec, o);
        assert_non_null(w);
        assert_int_equal(capt_record_read(k, w, rec, a, "again", &err), 0);
        json_decref(w);
    }
    free(rec);
    capt_arena_free(a);
    json_decref(o);
    capt_ndjson_free(in);
    close(fd);
    return good;
}

static void table(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    size_t n;
    char *text = capt_file_read("tests/golden/records.tsv", 0, &n, &err);
    assert_non_null(text);
    int rows = 0, number = 0, wrong = 0;
    for (char *s = text, *end; s < text + n; s = end + 1) {
        end = strchr(s, '\n');
        number++;
        if (*s == '#')
            continue;
        *end = 0;
        char *kind = strchr(s, '\t') + 1, *line = strchr(kind, '\t') + 1;
        kind[-1] = line[-1] = 0;
        const capt_kind *k = capt_kind_find(kind);
        assert_non_null(k);
        assert_true(strcmp(s, "good") == 0 || strcmp(s, "bad") == 0);
        capt_str b = {0};
        expand(line, end, &b);
        if (is_record(k, &b) != (strcmp(s, "good") == 0)) {
            print_message("records.tsv:%d: %s: not %s: %.100s\n", number, kind, s, line);
            wrong++;
        }
        capt_str_free(&b);
        rows++;
    }
    free(text);
    assert_int_equal(wrong, 0);
    assert_true(rows >= 200);
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const struct CMUnitTest tests[] = {cmocka_unit_test(table)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
