/* capt-floor --kind nearest on a store of a few made-up features. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "base/str.h"
#include "store/store.h"

static char program[4096], dir[] = "/tmp/capt-floor-XXXXXX";

static const struct { int id; const char *split, *caption; float v[2][2]; } image[] = {
    {1, "train", "right", {{9, 0}, {0, 0}}},   /* its length must not matter */
    {2, "train", "up", {{0, 1}, {0, 1}}},
    {3, "restval", "left", {{-1, -.1f}, {-1, .1f}}},
    {4, "train", "also right", {{1, 0}, {0, 0}}}, /* as near as 1: the first one is taken */
    {5, "val", "nothing", {{0, 0}, {1, 1}}},
    {6, "test", NULL, {{.2f, .1f}, {0, 0}}},
    {7, "test", NULL, {{.1f, .4f}, {-.2f, .1f}}},
    {8, "test", NULL, {{1, 0}, {-3, .5f}}}}; /* the mean of its rows points left */
enum { N = sizeof image / sizeof *image };

static void make_store(const char *path, const char *section, int skip)
{
    capt_err err = CAPT_ERR_INIT;
    capt_store_meta meta = {.int_ids = 1, .dtype = CAPT_F32, .n_sections = 1};
    meta.section[0] = (capt_store_section){.dtype = CAPT_F32, .rows = 2, .dim = 2};
    strcpy(meta.section[0].name, section);
    capt_store *s = capt_store_create(path, &meta, 0, &err);
    for (int i = 0; s && i < N; i++) {
        capt_id id = capt_id_int(image[i].id);
        capt_section f = {.dtype = CAPT_F32, .rows = 2, .dim = 2, .data = image[i].v};
        strcpy(f.name, section);
        if (image[i].id != skip)
            assert_int_equal(capt_store_put(s, &id, &f, 1, &err), 0);
    }
    if (!s || capt_store_finish(s, &err))
        fail_msg("%s", err.text);
}

/* Standard output and error of capt-floor; its status. */
static int run(const char *store, capt_str *out)
{
    capt_str cmd = {0};
    capt_str_printf(&cmd, "'%s' --captions %s/caps.ndjson --kind nearest --store %s 2>&1", program, dir, store);
    FILE *f = popen(cmd.s, "r");
    assert_non_null(f);
    char block[512];
    size_t n;
    capt_str_clear(out);
    while ((n = fread(block, 1, sizeof block, f)) > 0)
        capt_str_add(out, block, n);
    capt_str_free(&cmd);
    return pclose(f);
}

static void nearest(void **state)
{
    static const char want[] =
        "{\"id\":6,\"caption\":\"right\"}\n{\"id\":7,\"caption\":\"up\"}\n{\"id\":8,\"caption\":\"left\"}\n";
    char path[128];
    capt_str out = {0};
    snprintf(path, sizeof path, "%s/caps.ndjson", dir);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    for (int i = 0; i < N; i++) {
        fprintf(f, "{\"id\":%d,\"split\":\"%s\"", image[i].id, image[i].split);
        fprintf(f, image[i].caption ? ",\"captions\":[\"%s\",\"other\"]}\n" : "}\n", image[i].caption);
    }
    assert_int_equal(fclose(f), 0);
    static const char *const section[] = {"global", "grid", "regions"};
    for (size_t i = 0; i < 3; i++) {
        char store[128];
        snprintf(store, sizeof store, "%s/%s.store", dir, section[i]);
        make_store(store, section[i], 0);
        assert_int_equal(run(store, &out), 0);
        assert_string_equal(out.s, want);
        remove(store);
    }
    char store[128];
    snprintf(store, sizeof store, "%s/part.store", dir);
    make_store(store, "global", 3);
    assert_int_not_equal(run(store, &out), 0);
    assert_non_null(strstr(out.s, "part.store: no global features of image 3"));
    remove(store);
    remove(path);
    capt_str_free(&out);
}

int main(int argc, char **argv)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    const char *slash = strrchr(argv[0], '/');
    snprintf(program, sizeof program, "%.*s/../bin/capt-floor", slash ? (int)(slash - argv[0]) : 1, slash ? argv[0] : ".");
    if (!mkdtemp(dir))
        return 1;
    const struct CMUnitTest tests[] = {cmocka_unit_test(nearest)};
    int rc = cmocka_run_group_tests_name("floor", tests, NULL, NULL);
    rmdir(dir);
    return rc;
}
