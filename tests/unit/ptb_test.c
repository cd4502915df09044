/* The metric tokenizer against the official lexer's output: the check table, golden/ptb.tsv, the joins of lines, and the
 * token count that scorers print for the Karpathy test references where those are at hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "text/ptb.h"

static char *lex(const char *text, size_t n)
{
    capt_str s = {0};
    capt_err err = CAPT_ERR_INIT;
    assert_int_equal(capt_ptb_lex(text, n, &s, &err), 0);
    assert_true(s.n > 0 && s.s[s.n - 1] == '\n');
    s.s[s.n - 1] = 0;
    return s.s;
}

static char *words(const char *text)
{
    capt_str s = {0};
    capt_err err = CAPT_ERR_INIT;
    assert_int_equal(capt_ptb_words(text, strlen(text), &s, &err), 0);
    return s.s;
}

/* Each text alone, before the list of dropped strings. */
static void table(void **state)
{
    static const char *const rows[][2] = {
        {"can't wait; it's gonna rain", "ca n't wait ; it 's gon na rain"}, {"dogs' toys", "dogs ' toys"}, {"don`t", "do n`t"},
        {"y'all", "y' all"}, {"rock 'n' roll", "rock 'n' roll"}, {"5'10 man", "5 '10 man"}, {"6'2", "6 ' 2"}, {"no.1 dog", "no. 1 dog"},
        {"no. seven", "no . seven"}, {"5:30pm", "5:30 pm"}, {"20\u00b0C", "20 \u00b0 c"}, {"90's", "90 's"}, {"'90s", "'90s"},
        {"w/ dog", "w / dog"}, {"mother's-day", "mother 's - day"}, {"a -- b", "a -- b"}, {"A b. C", "a b. c"},
        {"U.S. Post", "u.s. post"}, {"foo.com", "foo.com"}, {"in the u.s.\nThe man", "in the u.s. .\nthe man"},
        {"I am I. The end", "i am i . the end"}, {"I am I. Then", "i am i. then"}, {"St. John", "st. john"},
        {"x Blvd. Rd.", "x blvd. . rd. ."}, {"1,2,3 a,b", "1,2,3 a , b"}, {"&quot;hi&quot;", "`` hi ''"},
        {"plan b.\nA man", "plan b .\na man"}, {"plan b.\nTwo men", "plan b.\ntwo men"}, {"(555) 123-4567", "-lrb-555-rrb-\u00a0123-4567"},
        {"$5.00-a-day", "$ 5.00-a-day"}, {"dogs\U0001f436s", "dogs s"}, {"\u039f\u0394\u039f\u03a3", "\u03bf\u03b4\u03bf\u03c2"},
        /* a final sigma is one where Java's notion of a word ends */
        {"A\u03a3\ud55cb", "a\u03c3\ud55cb"}, {"A\u03a3\u6f22b", "a\u03c2\u6f22b"}, {"a\u03a3\u00aa", "a\u03c2\u00aa"}, {"A\u03a3\u01c5", "a\u03c3\u01c6"},
        {"a1_\u03a3", "a1_\u03c3"}, {"a_\u03a3", "a_\u03c2"}, {"\u00fd.\u03a3", "\u00fd.\u03c2"}, {"a.\u0301\u03a3", "a.\u0301\u03c3"},
        {"\u0345\u03a3", "\u0345\u03c3"}, {"a\u0345\u03a3", "a\u0345\u03c2"}, {"a\u03a3\u02b0", "a\u03c3\u02b0"}, {"a\u2010\u03a3", "a\u2010\u03c2"},
        {"\u0130stanbul", "i\u0307stanbul"}, {"sat.The yes!no", "sat.the yes!no"},
        {"they wanna sit", "they wan na sit"}, {"a,b-c", "a,b-c"}, {"Gimme, lemme.\nplan X.\nSt, Mr", "gim me , lem me .\nplan x.\nst , mr"}, {"Wash. wash.", "wash. wash ."}, {"", ""}, {"\n\n", "\n\n"},
        {"a\rb\r\nc\vd\fe\u2028f", "a\nb\nc\nd\ne\nf"}, {"\xff" "a\xc3", "a"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *got = lex(rows[i][0], strlen(rows[i][0]));
        assert_string_equal(got, rows[i][1]);
        free(got);
    }
    char *got = lex("a\0b", 3);
    assert_string_equal(got, "a b");
    free(got);
}

static void dropped(void **state)
{
    static const char *const rows[][2] = {
        {"A dog, sitting.", "a dog sitting"}, {"(a) [b] {c}", "-lrb- a -rrb- -lsb- b -rsb- -lcb- c -rcb-"}, {"what?! no!! yes?", "what ?! no !! yes"},
        {"a: b; c - d -- e ... f", "a b c d e f"}, {"'q' \"r\" `s`", "q r s"}, {"50% & $5 #1 @ * /", "50 % & $ 5 # 1 @ * /"}, {" . ", ""}, {"", ""},
        {"two\nlines\r\nhere\u2028now", "two lines here now"}, {"letter b.", "letter b."}, {"cannot gonna", "can not gon na"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *got = words(rows[i][0]);
        assert_string_equal(got, rows[i][1]);
        free(got);
    }
}

static void golden(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    size_t n;
    char *all = capt_file_read("tests/golden/ptb.tsv", 0, &n, &err);
    if (!all)
        fail_msg("%s", err.text);
    CAPT_VEC(const char *) in = {0}, want = {0}, kept = {0};
    capt_str text = {0}, line = {0};
    for (char *p = all; *p;) {
        char *end = strchr(p, '\n'), *t1 = strchr(p, '\t'), *t2 = strchr(t1 + 1, '\t');
        *end = *t1 = *t2 = 0;
        if (in.n)
            capt_str_putc(&text, '\n');
        capt_str_puts(&text, p);
        capt_str_printf(&line, "%s\n", t1 + 1);
        capt_vec_push(&in, p);
        capt_vec_push(&want, t1 + 1);
        capt_vec_push(&kept, t2 + 1);
        p = end + 1;
    }
    assert_true(in.n > 500);
    char *got = lex(text.s, text.n);
    line.s[line.n - 1] = 0;
    assert_string_equal(got, line.s);
    capt_arena *a = capt_arena_new(0);
    const char **v;
    size_t breaks = 9;
    assert_int_equal(capt_ptb_lines(in.v, in.n, a, &v, &breaks, &err), 0);
    assert_int_equal(breaks, 0);
    for (size_t i = 0; i < in.n; i++)
        assert_string_equal(v[i], kept.v[i]);
    capt_arena_free(a);
    free(got);
    capt_str_free(&text);
    capt_str_free(&line);
    capt_vec_free(&in);
    capt_vec_free(&want);
    capt_vec_free(&kept);
    free(all);
}

/* Line i belongs to caption i whatever is inside the captions. */
static void lines(void **state)
{
    static const char *const in[] = {"plan b.", "A\nman", "", "b\r\vc\u2029.", "see <a b='x", "y'> it", "end"};
    static const char *const want[] = {"plan b", "a man", "", "b c", "see <a\u00a0b='x\ty'> it", "", "end"};
    capt_arena *a = capt_arena_new(0);
    capt_err err = CAPT_ERR_INIT;
    const char **v;
    size_t breaks;
    assert_int_equal(capt_ptb_lines(in, 7, a, &v, &breaks, &err), 0);
    assert_int_equal(breaks, 4);
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(v[i], want[i]);
    assert_int_equal(capt_ptb_lines(NULL, 0, a, &v, NULL, &err), 0);
    capt_arena_free(a);
}

static char *karpathy_path(void)
{
    const char *dir = getenv("CAPT_SHARED");
    capt_str s = {0};
    capt_str_printf(&s, "%s/data/karpathy_test/captions_karpathy_test.json", dir ? dir : "../shared");
    return s.s;
}

/* The official log line of this set says 307085 tokens, another one 307086. */
static void karpathy(void **state)
{
    char *path = karpathy_path();
    json_error_t e;
    json_t *doc = json_load_file(path, 0, &e), *notes = json_object_get(doc, "annotations"), *o;
    assert_true(json_is_array(notes));
    size_t i, count = json_array_size(notes);
    capt_str text = {0};
    json_array_foreach(notes, i, o) {
        if (i)
            capt_str_putc(&text, '\n');
        for (const char *s = json_string_value(json_object_get(o, "caption")); *s; s++)
            capt_str_putc(&text, *s == '\n' ? ' ' : *s);
    }
    char *got = lex(text.s, text.n);
    size_t tokens = count - 1; /* the log line counts line breaks */
    for (const char *s = got; *s; s++)
        tokens += (s == got || s[-1] == ' ' || s[-1] == '\n') && *s != ' ' && *s != '\n';
    assert_in_range(tokens, 307085, 307086);
    free(got);
    capt_str_free(&text);
    free(path);
    json_decref(doc);
}

static void nothing(void **state) { (void)state; }

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    char *path = karpathy_path();
    int have = capt_file_exists(path);
    free(path);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table), cmocka_unit_test(dropped), cmocka_unit_test(golden), cmocka_unit_test(lines),
        {have ? "karpathy" : "karpathy # SKIP no ../shared/data/karpathy_test", have ? karpathy : nothing, NULL, NULL, NULL}};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
