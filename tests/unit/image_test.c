/* lib/image against Pillow's bytes, hostile JPEG files made here, and the laws of preprocessing and augmentation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <fcntl.h>
#include <glob.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "base/file.h"
#include "base/rng.h"
#include "image/jpeg.h"
#include "image/prep.h"
#include "image/resize.h"
#include <jpeglib.h>

static capt_image noise(int w, int h)
{
    capt_image im = {w, h, malloc((size_t)w * h * 3)};
    for (uint32_t i = 0; i < (uint32_t)w * h * 3; i++)
        im.rgb[i] = (unsigned char)((i * 2654435761u + (uint32_t)w * 40503u + (uint32_t)h) >> 24);
    return im;
}

static capt_view view(const capt_image *im)
{
    return (capt_view){im->rgb, im->w, im->h, (size_t)im->w * 3};
}

static uint32_t le32(const unsigned char **p)
{
    uint32_t v;
    memcpy(&v, *p, 4);
    *p += 4;
    return v;
}

/* Replays a file of tests/golden/make_image.py; returns the number of records. */
static int replay(const char *path)
{
    capt_err err = CAPT_ERR_INIT;
    size_t n;
    char *all = capt_file_read(path, 0, &n, &err);
    if (!all)
        fail_msg("%s", err.text);
    const unsigned char *p = (unsigned char *)all, *end = p + n;
    int records = 0;
    while (p < end) {
        const char *kind = (const char *)p;
        p += 8;
        int a = (int)le32(&p), b = (int)le32(&p), c = (int)le32(&p), d = (int)le32(&p);
        uint32_t n_in = le32(&p);
        const unsigned char *in = p;
        p += n_in;
        uint32_t n_out = le32(&p);
        const unsigned char *want = p;
        p += n_out;
        capt_image im = {0};
        capt_jpeg_limits limits = {.exif_rotate = !strcmp(kind, "turned")};
        if (!n_in)
            im = noise(a, b);
        else if (capt_jpeg_decode(in, n_in, &limits, "golden", &im, &err) != 0)
            fail_msg("record %d: %s", records, err.text);
        assert_int_equal(im.w, a);
        assert_int_equal(im.h, b);
        capt_view v = view(&im);
        for (int variant = 0; variant <= CAPT_RESIZE_BEST; variant++) {
            unsigned char *got = calloc(1, n_out);
            int ret = 0;
            if (!strcmp(kind, "resize"))
                ret = capt_resize_variant(variant, &v, c, d, 0, 0, c, d, got, &err);
            else if (!strcmp(kind, "decode") || !strcmp(kind, "turned"))
                memcpy(got, im.rgb, n_out);
            else {
                capt_prep q = capt_prep_clip(c);
                q.mode = kind[0] == 's' ? CAPT_PREP_STRETCH : CAPT_PREP_CLIP;
                ret = capt_prep_run(&q, &im, got, &err);
            }
            if (ret != 0 || memcmp(got, want, n_out))
                fail_msg("record %d: %s %dx%d %d %d, variant %d, differs from Pillow %s", records, kind, a, b, c, d, variant, err.text);
            free(got);
        }
        capt_image_free(&im);
        records++;
    }
    free(all);
    return records;
}

static void golden(void **state)
{
    assert_int_equal(replay("tests/golden/image/pillow.bin"), 42);
}

/* Every variant, window and crop agrees with the plain, whole result. */
static void variants(void **state)
{
    for (uint64_t i = 0; i < 160; i++) {
        int w = 1 + (int)capt_rng_below(1, i, 200), h = 1 + (int)capt_rng_below(2, i, 200);
        int rw = 1 + (int)capt_rng_below(3, i, 90), rh = 1 + (int)capt_rng_below(4, i, 90);
        if (i % 2) { /* scales of 1 to 3.4, as photographs have */
            rw = 1 + w * 10 / (10 + (int)capt_rng_below(3, i, 25));
            rh = 1 + h * 10 / (10 + (int)capt_rng_below(4, i, 25));
        }
        capt_image im = noise(w, h);
        for (int k = 0; i % 5 == 0 && k < w * h * 3; k++) /* sums beyond 0 and 255 */
            im.rgb[k] = im.rgb[k] & 1 ? 255 : 0;
        capt_view v = view(&im);
        unsigned char *a = malloc((size_t)rw * rh * 3), *b = malloc((size_t)rw * rh * 3);
        assert_int_equal(capt_resize_variant(0, &v, rw, rh, 0, 0, rw, rh, a, NULL), 0);
        for (int variant = 1; variant <= CAPT_RESIZE_BEST; variant++) {
            memset(b, 77, (size_t)rw * rh * 3);
            assert_int_equal(capt_resize_variant(variant, &v, rw, rh, 0, 0, rw, rh, b, NULL), 0);
            assert_memory_equal(a, b, (size_t)rw * rh * 3);
        }
        int x0 = (int)capt_rng_below(5, i, (uint64_t)rw), y0 = (int)capt_rng_below(6, i, (uint64_t)rh), cw = rw - x0, ch = (rh - y0 + 1) / 2;
        assert_int_equal(capt_resize_window(&v, rw, rh, x0, y0, cw, ch, b, NULL), 0);
        for (int y = 0; y < ch; y++)
            assert_memory_equal(b + (size_t)y * cw * 3, a + ((size_t)(y + y0) * rw + x0) * 3, (size_t)cw * 3);
        free(a);
        free(b);
        capt_image_free(&im);
    }
    capt_err err = CAPT_ERR_INIT;
    capt_image im = noise(4, 4);
    capt_view v = view(&im);
    unsigned char out[12];
    assert_int_equal(capt_resize_window(&v, 2, 2, 1, 1, 2, 2, out, &err), -1);
    assert_int_equal(err.code, CAPT_EDATA);
    capt_image_free(&im);
}

/* How a test file is written; the zero of each member is a plain 4:2:0 file. */
struct shape {
    int w, h, components, progressive, scans, exif, split_at;
};

static unsigned char *make(struct shape s, size_t *n)
{
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr e;
    unsigned char *out = NULL;
    unsigned long size = 0;
    c.err = jpeg_std_error(&e);
    jpeg_create_compress(&c);
    jpeg_mem_dest(&c, &out, &size);
    c.image_width = (JDIMENSION)s.w;
    c.image_height = (JDIMENSION)s.h;
    c.input_components = s.components ? s.components : 3;
    c.in_color_space = s.components == 1 ? JCS_GRAYSCALE : s.components == 4 ? JCS_CMYK : s.components == 2 ? JCS_UNKNOWN : JCS_RGB;
    jpeg_set_defaults(&c);
    jpeg_scan_info script[400] = {{1, {0}, 0, 0, 0, 13}};
    if (s.progressive)
        jpeg_simple_progression(&c);
    if (s.scans) { /* grey: the DC value, then the bits of one coefficient over and over */
        script[0].Al = 0;
        int i = 1;
        for (int k = 1; k < 64 && i < s.scans; k++)
            for (int al = 9; al >= 0 && i < s.scans; al--, i++)
                script[i] = (jpeg_scan_info){1, {0}, k, k, al == 9 ? 0 : al + 1, al};
        c.scan_info = script;
        c.num_scans = i;
    }
    jpeg_start_compress(&c, TRUE);
    if (s.exif) {
        unsigned char tag[] = "Exif\0\0MM\0*\0\0\0\10\0\1\1\22\0\3\0\0\0\1\0\0\0\0\0\0\0\0";
        tag[25] = (unsigned char)s.exif;
        jpeg_write_marker(&c, JPEG_APP0 + 1, tag, 32);
    }
    unsigned char *row = calloc((size_t)s.w, 4);
    while (c.next_scanline < c.image_height) {
        /* the left part black, the right part white, below split_at all grey */
        for (int i = 0; i < s.w * c.input_components; i++)
            row[i] = s.split_at && (int)c.next_scanline >= s.split_at ? 128 : i >= s.w * c.input_components / 2 ? 255 : 0;
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    free(row);
    *n = size;
    return out;
}

/* Puts another size into the frame header of a file. */
static void claim(unsigned char *p, size_t n, int w, int h)
{
    for (size_t i = 2; i + 9 < n; i++)
        if (p[i] == 0xff && p[i + 1] >= 0xc0 && p[i + 1] <= 0xc2) {
            p[i + 5] = (unsigned char)(h >> 8), p[i + 6] = (unsigned char)h;
            p[i + 7] = (unsigned char)(w >> 8), p[i + 8] = (unsigned char)w;
            return;
        }
}

static void refuse(const unsigned char *p, size_t n, const capt_jpeg_limits *l, int code, const char *part)
{
    capt_err err = CAPT_ERR_INIT;
    capt_image im = {1, 1, NULL};
    if (capt_jpeg_decode(p, n, l, "dir/x.jpg", &im, &err) != -1 || err.code != code || !strstr(err.text, part) || strncmp(err.text, "dir/x.jpg: ", 11))
        fail_msg("wanted a refusal with \"%s\", code %d; got code %d \"%s\"", part, code, err.code, err.text);
    assert_null(im.rgb);
    assert_int_equal(im.w, 0);
}

static void hostile(void **state)
{
    size_t n;
    capt_image im;
    capt_jpeg_limits tolerant = {.tolerate_warnings = 1};
    refuse((const unsigned char *)"", 0, NULL, CAPT_EDATA, "empty file");
    refuse((const unsigned char *)"\211PNG\r\n", 6, NULL, CAPT_EDATA, "not a JPEG");
    refuse((const unsigned char *)"\377\330", 2, NULL, CAPT_EDATA, "JPEG");

    unsigned char *p = make((struct shape){.w = 64, .h = 48}, &n);
    assert_int_equal(capt_jpeg_decode(p, n, NULL, "x", &im, NULL), 0);
    capt_image_free(&im);
    for (size_t cut = 2; cut < n - 2; cut++) { /* every truncation but that of the end marker alone */
        capt_err err = CAPT_ERR_INIT;
        if (capt_jpeg_decode(p, cut, NULL, "cut", &im, &err) == 0)
            fail_msg("%zu of %zu bytes pass", cut, n);
        if (capt_jpeg_decode(p, cut, &tolerant, "cut", &im, NULL) == 0)
            capt_image_free(&im);
    }
    refuse(p, n - 20, NULL, CAPT_EDATA, "damaged JPEG");
    assert_int_equal(capt_jpeg_decode(p, n - 20, &tolerant, "cut", &im, NULL), 0);
    assert_int_equal(im.w, 64);
    capt_image_free(&im);
    for (uint64_t i = 0; i < 3000; i++) { /* random damage never does worse than fail */
        unsigned char *q = malloc(n);
        memcpy(q, p, n);
        for (uint64_t k = 0; k < 4; k++)
            q[capt_rng_below(7, i * 8 + 2 * k, n)] = (unsigned char)capt_rng_u64(7, i * 8 + 2 * k + 1);
        capt_jpeg_limits small = {.max_pixels = 1 << 20, .max_memory = 16 << 20, .tolerate_warnings = (int)(i & 1), .exif_rotate = 1};
        if (capt_jpeg_decode(q, n, &small, "noise", &im, NULL) == 0)
            capt_image_free(&im);
        free(q);
    }
    claim(p, n, 65500, 65500);
    refuse(p, n, NULL, CAPT_EDATA, "65500 x 65500 is more than 89478485 pixels");
    claim(p, n, 64, 0);
    refuse(p, n, NULL, CAPT_EDATA, "JPEG");
    free(p);

    p = make((struct shape){.w = 600, .h = 400, .progressive = 1}, &n);
    refuse(p, n, &(capt_jpeg_limits){.max_memory = 100000}, CAPT_EDATA, "JPEG"); /* no temporary file instead */
    refuse(p, n, &(capt_jpeg_limits){.max_pixels = 239999}, CAPT_EDATA, "more than 239999 pixels");
    refuse(p, n, &(capt_jpeg_limits){.max_scans = 5}, CAPT_EDATA, "more than 5 scans");
    free(p);
    p = make((struct shape){.w = 16, .h = 16, .components = 1, .scans = 150}, &n);
    refuse(p, n, NULL, CAPT_EDATA, "more than 100 scans");
    assert_int_equal(capt_jpeg_decode(p, n, &(capt_jpeg_limits){.max_scans = 150}, "x", &im, NULL), 0);
    capt_image_free(&im);
    free(p);
    p = make((struct shape){.w = 16, .h = 16, .components = 2}, &n);
    refuse(p, n, NULL, CAPT_EDATA, "2 colour components");
    free(p);
}

static void colour_spaces(void **state)
{
    for (int k = 0; k < 3; k++) {
        size_t n;
        int components = k == 0 ? 1 : k == 1 ? 3 : 4;
        unsigned char *p = make((struct shape){.w = 32, .h = 16, .components = components, .split_at = 8}, &n);
        capt_image im;
        assert_int_equal(capt_jpeg_decode(p, n, NULL, "x", &im, NULL), 0);
        for (int c = 0; c < 3; c++) {
            assert_in_range(im.rgb[c], 0, 3);
            assert_in_range(im.rgb[31 * 3 + c], 252, 255);
            assert_in_range(im.rgb[15 * 32 * 3 + c], components == 4 ? 62 : 126, components == 4 ? 66 : 130); /* 128 * 128 / 255 */
        }
        capt_image_free(&im);
        free(p);
    }
}

/* Which corner of an upright picture the black left half and the grey foot end up in, an orientation a row: left top, right top, left foot. */
static void orientation(void **state)
{
    static const struct { int w, h, lt, rt, lf; } want[9] = {{32, 16, 0, 255, 128}, {32, 16, 0, 255, 128}, {32, 16, 255, 0, 128}, {32, 16, 128, 128, 255},
        {32, 16, 128, 128, 0}, {16, 32, 0, 128, 255}, {16, 32, 128, 0, 128}, {16, 32, 128, 255, 128}, {16, 32, 255, 128, 0}};
    for (int o = 0; o < 9; o++) {
        size_t n;
        unsigned char *p = make((struct shape){.w = 32, .h = 16, .components = 1, .exif = o, .split_at = 8}, &n);
        capt_image im;
        assert_int_equal(capt_jpeg_decode(p, n, NULL, "x", &im, NULL), 0);
        assert_int_equal(im.w, 32);
        capt_image_free(&im);
        assert_int_equal(capt_jpeg_decode(p, n, &(capt_jpeg_limits){.exif_rotate = 1}, "x", &im, NULL), 0);
        int got[5] = {im.w, im.h, im.rgb[0], im.rgb[(im.w - 1) * 3], im.rgb[(size_t)(im.h - 1) * im.w * 3]};
        int exp[5] = {want[o].w, want[o].h, want[o].lt, want[o].rt, want[o].lf};
        for (int i = 0; i < 5; i++)
            if (abs(got[i] - exp[i]) > 4)
                fail_msg("orientation %d, value %d: %d, not %d", o, i, got[i], exp[i]);
        capt_image_free(&im);
        free(p);
    }
}

static void files(void **state)
{
    char dir[] = "/tmp/capt-image.XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/a.jpg", dir);
    capt_image im = {40, 30, calloc(40 * 30, 3)}, back;
    for (int i = 0; i < 40 * 30 * 3; i++)
        im.rgb[i] = (unsigned char)(i % 120 * 2);
    FILE *f = fopen(path, "wb");
    capt_err err = CAPT_ERR_INIT;
    assert_int_equal(capt_jpeg_write(f, &im, 95, &err), 0);
    fclose(f);
    int fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(capt_image_load(fd, "a.jpg", NULL, &back, &err), 0);
    for (int i = 0; i < 40 * 30 * 3; i++)
        assert_in_range(back.rgb[i] + 40 - im.rgb[i], 20, 60);
    capt_image_free(&back);
    assert_int_equal(capt_image_load(fd, "a.jpg", &(capt_jpeg_limits){.max_file = 100}, &back, &err), -1);
    assert_non_null(strstr(err.text, "a.jpg: "));
    assert_int_equal(capt_image_load(fd, "../etc/passwd", NULL, &back, NULL), -1);
    assert_int_equal(capt_image_load(fd, "none.jpg", NULL, &back, NULL), -1);
    f = fopen("/dev/full", "wb");
    capt_err full = CAPT_ERR_INIT;
    assert_int_equal(capt_jpeg_write(f, &im, 95, &full), -1);
    assert_int_equal(full.code, CAPT_EIO);
    fclose(f);
    close(fd);
    unlink(path);
    rmdir(dir);
    capt_image_free(&im);
}

static void prep_json(void **state)
{
    capt_err err = CAPT_ERR_INIT;
    capt_prep p = capt_prep_clip(288), q;
    p.mode = CAPT_PREP_STRETCH;
    json_t *o = capt_prep_json(&p);
    assert_int_equal(capt_prep_from_json(o, &q, "m", &err), 0);
    assert_memory_equal(&p, &q, sizeof p);
    assert_true(json_real_value(json_array_get(json_object_get(o, "mean"), 0)) == 0.48145467); /* the shortest decimal of that float */
    static const struct { const char *key, *value; } bad[] = {{"mode", "\"zoom\""}, {"size", "0"}, {"size", "2.5"}, {"resample", "\"area\""},
        {"mean", "[1,2]"}, {"std", "[0,1,1]"}, {"std", "[1,1,\"x\"]"}, {"mean", "null"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *c = json_copy(o);
        json_object_set_new(c, bad[i].key, json_loads(bad[i].value, JSON_DECODE_ANY, NULL));
        err = (capt_err)CAPT_ERR_INIT;
        if (capt_prep_from_json(c, &q, "m.json", &err) != -1 || strncmp(err.text, "m.json: ", 8))
            fail_msg("%s = %s passes", bad[i].key, bad[i].value);
        json_decref(c);
    }
    json_decref(o);
}

static void augment(void **state)
{
    capt_image im = noise(70, 50);
    capt_prep p = capt_prep_clip(16);
    unsigned char plain[768], a[768], b[768];
    assert_int_equal(capt_prep_run(&p, &im, plain, NULL), 0);
    assert_int_equal(capt_prep_augment(&p, &(capt_augment){0}, 3, &im, a, NULL), 0);
    assert_memory_equal(a, plain, 768);
    int flips = 0, distinct = 0;
    for (uint64_t key = 0; key < 200; key++) {
        assert_int_equal(capt_prep_augment(&p, &(capt_augment){.flip = 1}, key, &im, a, NULL), 0);
        int same = !memcmp(a, plain, 768);
        flips += !same;
        for (int y = 0; !same && y < 16; y++)
            for (int x = 0; x < 16; x++)
                assert_memory_equal(a + (y * 16 + x) * 3, plain + (y * 16 + 15 - x) * 3, 3);
        capt_augment both = {.flip = 1, .crop = 1};
        assert_int_equal(capt_prep_augment(&p, &both, key, &im, a, NULL), 0);
        assert_int_equal(capt_prep_augment(&p, &both, key, &im, b, NULL), 0);
        assert_memory_equal(a, b, 768);
        distinct += memcmp(a, plain, 768) != 0;
    }
    assert_in_range(flips, 70, 130);
    assert_in_range(distinct, 190, 200);
    assert_int_equal(capt_prep_augment(&p, &(capt_augment){.crop = 1, .min_area = 2}, 3, &im, a, NULL), -1);
    float f[768];
    capt_prep_normalise(&p, plain, f);
    assert_true(fabsf(f[256 + 5] * 0.26130258f + 0.4578275f - plain[5 * 3 + 1] / 255.f) < 1e-6f);
    capt_image_free(&im);
}

/* Pillow's bytes of the files that a shell makes of `files`; returns the number of records. */
static int beside_pillow(const char *files)
{
    char path[] = "/tmp/capt-image.XXXXXX", cmd[4000];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    snprintf(cmd, sizeof cmd, "/usr/bin/python3 tests/golden/make_image.py %s %s", path, files);
    int status = system(cmd);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    int n = replay(path);
    unlink(path);
    return n;
}

/* Photographs, when they and Pillow are there: all sizes as published, COCO's own files, each 70th of Flickr8k's. */
static void photographs(void **state)
{
    const char *shared = getenv("CAPT_SHARED") ? getenv("CAPT_SHARED") : "../shared";
    char files[1000];
    snprintf(files, sizeof files, "%s/data/jpeg/*.jpg", shared);
    assert_int_equal(beside_pillow(files), 3 * 60);
    snprintf(files, sizeof files, "%s/data/coco_mini/*/*.jpg $(ls %s/data/flickr8k/images/*.jpg | sed -n '1~70p')", shared, shared);
    assert_int_equal(beside_pillow(files), 3 * (5 + 100));
}

enum colour { YCBCR, RGB, GREY, CMYK, YCCK };
/* sh x sv: how much coarser chroma is than luminance (of YCCK, than luminance and key) */
struct kind { enum colour colour; int sh, sv, progressive, restart, quality, exif; };

static void write_kind(const char *path, const struct kind *k, int w, int h)
{
    static const J_COLOR_SPACE in[] = {JCS_RGB, JCS_RGB, JCS_GRAYSCALE, JCS_CMYK, JCS_CMYK}, out[] = {JCS_YCbCr, JCS_RGB, JCS_GRAYSCALE, JCS_CMYK, JCS_YCCK};
    struct jpeg_compress_struct c;
    struct jpeg_error_mgr e;
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    c.err = jpeg_std_error(&e);
    jpeg_create_compress(&c);
    jpeg_stdio_dest(&c, f);
    c.image_width = (JDIMENSION)w;
    c.image_height = (JDIMENSION)h;
    c.in_color_space = in[k->colour];
    c.input_components = k->colour == GREY ? 1 : k->colour >= CMYK ? 4 : 3;
    jpeg_set_defaults(&c);
    jpeg_set_colorspace(&c, out[k->colour]);
    jpeg_set_quality(&c, k->quality, TRUE);
    for (int i = 0; i < c.num_components; i++) {
        int fine = c.num_components == 1 || i == 0 || i == 3;
        c.comp_info[i].h_samp_factor = fine ? k->sh : 1;
        c.comp_info[i].v_samp_factor = fine ? k->sv : 1;
    }
    if (k->progressive)
        jpeg_simple_progression(&c);
    c.restart_interval = (unsigned)k->restart;
    jpeg_start_compress(&c, TRUE);
    if (k->exif) {
        unsigned char tag[] = "Exif\0\0MM\0*\0\0\0\10\0\1\1\22\0\3\0\0\0\1\0\0\0\0\0\0\0\0";
        tag[25] = (unsigned char)k->exif;
        jpeg_write_marker(&c, JPEG_APP0 + 1, tag, 32);
    }
    unsigned char *row = malloc((size_t)w * 4);
    while (c.next_scanline < c.image_height) {
        int y = (int)c.next_scanline;
        for (int i = 0; i < w * c.input_components; i++) /* slopes, an edge, and noise on the right */
            row[i] = (unsigned char)(i * 3 + y * 5 + (i / 40 + y / 23) % 2 * 90 + (2 * i > w * c.input_components ? (int)((uint32_t)(i * 31 + y) * 2654435761u >> 27) : 0));
        jpeg_write_scanlines(&c, &row, 1);
    }
    jpeg_finish_compress(&c);
    jpeg_destroy_compress(&c);
    free(row);
    fclose(f);
}

/* Every subsampling (4:4:4, 4:2:2, 4:4:0, 4:2:0, 4:1:1, and coarser), progressive or not, odd sizes, colours as printers have them, turned ones. */
static void kinds(void **state)
{
    static const int size[][2] = {{1, 1}, {7, 5}, {16, 16}, {33, 17}, {101, 67}, {250, 3}}, samples[][2] = {{1, 1}, {2, 1}, {1, 2}, {2, 2}, {4, 1}, {1, 4}, {4, 2}};
    char dir[] = "/tmp/capt-image.XXXXXX", path[100];
    int files = 0, records = 0;
    assert_non_null(mkdtemp(dir));
#define WRITE(...) (snprintf(path, sizeof path, "%s/%04d.jpg", dir, files++), write_kind(path, &(struct kind){__VA_ARGS__}, size[s][0], size[s][1]))
    for (int s = 0; s < 6; s++)
        for (int progressive = 0; progressive < 2; progressive++) {
            for (int k = 0; k < 7; k++)
                WRITE(YCBCR, samples[k][0], samples[k][1], progressive, k % 3, 60 + 5 * k, 0);
            WRITE(RGB, 1, 1, progressive, 0, 90, 0);
            WRITE(GREY, 1, 1, progressive, 2, 75, 0);
            WRITE(GREY, 2, 2, progressive, 0, 75, 0);
            WRITE(CMYK, 1, 1, progressive, 0, 80, 0);
            WRITE(YCCK, 1, 1, progressive, 0, 80, 0);
            WRITE(YCCK, 2, 2, progressive, 1, 80, 0);
        }
    records = 3 * files;
    for (int s = 3; s < 5; s++)
        for (int o = 1; o <= 8; o++, records += 4)
            WRITE(YCBCR, 2, 2, o % 2, 0, 85, o);
#undef WRITE
    snprintf(path, sizeof path, "%s/*.jpg", dir);
    assert_int_equal(beside_pillow(path), records);
    snprintf(path, sizeof path, "rm -r %s", dir);
    assert_int_equal(system(path), 0);
}

static int have_pillow(void)
{
    return system("/usr/bin/python3 -c 'import PIL' 2>/dev/null") == 0;
}

static int have_photographs(void)
{
    const char *shared = getenv("CAPT_SHARED") ? getenv("CAPT_SHARED") : "../shared";
    char pattern[1000];
    snprintf(pattern, sizeof pattern, "%s/data/jpeg/*.jpg", shared);
    glob_t g;
    int found = glob(pattern, 0, NULL, &g) == 0 && g.gl_pathc == 60;
    globfree(&g);
    return found && have_pillow();
}

static void nothing(void **state)
{
}

int main(void)
{
    cmocka_set_message_output(CM_OUTPUT_TAP);
    int have = have_photographs(), pillow = have_pillow();
    const struct CMUnitTest tests[] = {cmocka_unit_test(golden), cmocka_unit_test(variants), cmocka_unit_test(hostile),
        cmocka_unit_test(colour_spaces), cmocka_unit_test(orientation), cmocka_unit_test(files), cmocka_unit_test(prep_json), cmocka_unit_test(augment),
        {pillow ? "kinds" : "kinds # SKIP no python3-pil", pillow ? kinds : nothing, NULL, NULL, NULL},
        {have ? "photographs" : "photographs # SKIP no ../shared/data/jpeg or no python3-pil", have ? photographs : nothing, NULL, NULL, NULL}};
    return cmocka_run_group_tests_name("image", tests, NULL, NULL);
}
