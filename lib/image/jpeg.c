#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "image/jpeg.h"
#include <jpeglib.h>

/* libjpeg leaves through error_exit only; everything one call holds is in one structure, so that the landing place can free it. */
struct fail {
    struct jpeg_error_mgr mgr; /* first: libjpeg hands us a pointer to it */
    jmp_buf back;
    int fatal_warnings;
    int out_of_memory;
    int warned;
    char text[JMSG_LENGTH_MAX];
};

struct decoder {
    struct jpeg_decompress_struct c;
    struct fail fail;
    struct jpeg_progress_mgr progress;
    int max_scans;
    unsigned char *rgb;  /* the picture */
    unsigned char *line; /* one row of inks */
};

static void on_error(j_common_ptr c)
{
    struct fail *f = (struct fail *)c->err;
    if (!f->text[0])
        c->err->format_message(c, f->text);
    longjmp(f->back, 1);
}

static void on_message(j_common_ptr c, int level)
{
    struct fail *f = (struct fail *)c->err;
    if (level >= 0)
        return; /* traces */
    f->warned = 1;
    c->err->num_warnings++;
    if (f->fatal_warnings) /* stop at the first: the rest of a damaged file is not worth its time */
        on_error(c);
}

static void on_output(j_common_ptr c)
{
    (void)c;
}

static struct jpeg_error_mgr *fail_init(struct fail *f, int fatal_warnings)
{
    jpeg_std_error(&f->mgr);
    f->mgr.error_exit = on_error;
    f->mgr.emit_message = on_message;
    f->mgr.output_message = on_output;
    f->fatal_warnings = fatal_warnings;
    return &f->mgr;
}

static _Noreturn void stop(struct decoder *d, const char *fmt, ...) CAPT_PRINTF(2, 3);
static _Noreturn void stop(struct decoder *d, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(d->fail.text, sizeof d->fail.text, fmt, ap);
    va_end(ap);
    longjmp(d->fail.back, 1);
}

static void on_progress(j_common_ptr c)
{
    j_decompress_ptr dc = (j_decompress_ptr)c;
    struct decoder *d = c->client_data;
    if (dc->input_scan_number > d->max_scans)
        stop(d, "more than %d scans", d->max_scans);
}

/* An unsigned number of 2 or 4 bytes of a TIFF header; the caller has checked the bounds. */
static uint32_t tiff_num(const unsigned char *p, int n, int big)
{
    uint32_t v = 0;
    for (int i = 0; i < n; i++)
        v = v << 8 | p[big ? i : n - 1 - i];
    return v;
}

/* The orientation tag (0x0112) of the first directory of an EXIF block, 1..8; 1 when there is none or it is damaged. */
static int exif_orientation(const unsigned char *p, size_t n)
{
    if (n < 14 || memcmp(p, "Exif\0", 6))
        return 1;
    p += 6, n -= 6;
    int big = p[0] == 'M';
    if (memcmp(p, big ? "MM\0*" : "II*\0", 4))
        return 1;
    size_t at = tiff_num(p + 4, 4, big);
    if (at > n - 2)
        return 1;
    size_t entries = tiff_num(p + at, 2, big);
    at += 2;
    for (size_t i = 0; i < entries && n - at >= 12; i++, at += 12)
        if (tiff_num(p + at, 2, big) == 0x0112 && tiff_num(p + at + 2, 2, big) == 3) {
            uint32_t v = tiff_num(p + at + 8, 2, big);
            return v >= 1 && v <= 8 ? (int)v : 1;
        }
    return 1;
}

/* The EXIF orientations as: transpose first (5..8), then mirror left-right, then top-bottom. */
static int turn(capt_image *im, int orientation, capt_err *err)
{
    static const struct { unsigned char swap, flip_x, flip_y; } how[9] = {
        [2] = {0, 1, 0}, [3] = {0, 1, 1}, [4] = {0, 0, 1}, [5] = {1, 0, 0}, [6] = {1, 1, 0}, [7] = {1, 1, 1}, [8] = {1, 0, 1}};
    if (orientation < 2 || orientation > 8)
        return 0;
    int swap = how[orientation].swap, w = swap ? im->h : im->w, h = swap ? im->w : im->h;
    unsigned char *to = capt_try_alloc((size_t)w * h * 3, err);
    if (!to)
        return -1;
    for (int y = 0; y < h; y++)
        for (int x = 0; x < w; x++) {
            int u = how[orientation].flip_x ? w - 1 - x : x, v = how[orientation].flip_y ? h - 1 - y : y;
            const unsigned char *from = im->rgb + ((size_t)(swap ? u : v) * im->w + (swap ? v : u)) * 3;
            memcpy(to + ((size_t)y * w + x) * 3, from, 3);
        }
    free(im->rgb);
    *im = (capt_image){w, h, to};
    return 0;
}

/* Adobe stores inks inverted; Pillow assumes so for every file of four components. With ink i = 255 - stored and k likewise:
 * rgb = (255 - k) - i (255 - k) / 255, rounded, in Pillow's integer form. */
static void inks_to_rgb(const unsigned char *in, unsigned char *out, int w)
{
    for (int x = 0; x < w; x++)
        for (int c = 0; c < 3; c++) {
            int light = in[4 * x + 3], t = (255 - in[4 * x + c]) * light + 128, v = light - (((t >> 8) + t) >> 8);
            out[3 * x + c] = (unsigned char)(v < 0 ? 0 : v);
        }
}

static void decode(struct decoder *d, const void *p, size_t n, const capt_jpeg_limits *l, capt_image *out, int *orientation)
{
    j_decompress_ptr c = &d->c;
    int64_t max_pixels = l->max_pixels > 0 ? l->max_pixels : CAPT_MAX_PIXELS;
    int64_t max_memory = l->max_memory > 0 ? l->max_memory : (int64_t)1 << 30;
    c->client_data = d;
    c->mem->max_memory_to_use = (long)max_memory;
    d->progress.progress_monitor = on_progress;
    d->max_scans = l->max_scans > 0 ? l->max_scans : 100;
    c->progress = &d->progress;
    jpeg_mem_src(c, p, n);
    if (l->exif_rotate)
        jpeg_save_markers(c, JPEG_APP0 + 1, 0xffff);
    jpeg_read_header(c, TRUE);
    if ((int64_t)c->image_width * c->image_height > max_pixels)
        stop(d, "%u x %u is more than %lld pixels", c->image_width, c->image_height, (long long)max_pixels);
    for (jpeg_saved_marker_ptr m = c->marker_list; m && *orientation == 1; m = m->next)
        *orientation = exif_orientation(m->data, m->data_length);
    int inks = c->num_components == 4;
    if (c->num_components != 1 && c->num_components != 3 && !inks)
        stop(d, "%d colour components", c->num_components);
    c->out_color_space = inks ? JCS_CMYK : JCS_RGB;
    c->dct_method = JDCT_ISLOW;
    jpeg_start_decompress(c);
    size_t row = (size_t)c->output_width * 3;
    d->rgb = malloc(row * c->output_height);
    d->line = inks ? malloc((size_t)c->output_width * 4) : NULL;
    if (!d->rgb || (inks && !d->line)) {
        d->fail.out_of_memory = 1;
        stop(d, "no memory for %u x %u", c->output_width, c->output_height);
    }
    while (c->output_scanline < c->output_height) {
        unsigned char *to = d->rgb + row * c->output_scanline;
        JSAMPROW r[1] = {inks ? d->line : to};
        jpeg_read_scanlines(c, r, 1);
        if (inks)
            inks_to_rgb(d->line, to, (int)c->output_width);
    }
    *out = (capt_image){(int)c->output_width, (int)c->output_height, NULL};
    jpeg_finish_decompress(c);
    out->rgb = d->rgb;
    d->rgb = NULL;
}

/* The landing place: this frame holds nothing that changes between setjmp and longjmp. */
static int guarded_decode(struct decoder *d, const void *p, size_t n, const capt_jpeg_limits *l, capt_image *out, int *orientation)
{
    d->c.err = fail_init(&d->fail, !l->tolerate_warnings);
    if (setjmp(d->fail.back))
        return -1;
    jpeg_create_decompress(&d->c);
    decode(d, p, n, l, out, orientation);
    return 0;
}

int capt_jpeg_decode(const void *p, size_t n, const capt_jpeg_limits *limits, const char *where, capt_image *out, capt_err *err)
{
    static const capt_jpeg_limits none = {0};
    const unsigned char *b = p;
    *out = (capt_image){0, 0, NULL};
    if (n < 2 || b[0] != 0xff || b[1] != 0xd8)
        return capt_fail(err, CAPT_EDATA, "%s: %s", where, n ? "not a JPEG file" : "empty file");
    struct decoder *d = calloc(1, sizeof *d);
    if (!d)
        return capt_fail(err, CAPT_ENOMEM, "%s: out of memory", where);
    int orientation = 1, ret = guarded_decode(d, p, n, limits ? limits : &none, out, &orientation);
    if (ret != 0) {
        int code = d->fail.out_of_memory ? CAPT_ENOMEM : CAPT_EDATA;
        capt_fail(err, code, "%s: %s: %s", where, d->fail.warned ? "damaged JPEG" : "cannot decode JPEG", d->fail.text);
        *out = (capt_image){0, 0, NULL};
    }
    jpeg_destroy_decompress(&d->c);
    free(d->rgb);
    free(d->line);
    free(d);
    if (ret == 0 && turn(out, orientation, err) != 0) {
        capt_err_prefix(err, "%s", where);
        capt_image_free(out);
        ret = -1;
    }
    return ret;
}

int capt_image_load(int dirfd, const char *name, const capt_jpeg_limits *limits, capt_image *out, capt_err *err)
{
    int64_t max = limits && limits->max_file > 0 ? limits->max_file : (int64_t)256 << 20;
    *out = (capt_image){0, 0, NULL};
    int fd = capt_open_beneath(dirfd, name, err);
    if (fd < 0)
        return -1;
    struct stat st;
    int ret = -1;
    unsigned char *p = NULL;
    if (fstat(fd, &st) != 0) {
        capt_fail_errno(err, "%s", name);
        goto end;
    }
    if (st.st_size > max) {
        capt_fail(err, CAPT_EDATA, "%s: %lld bytes, more than %lld", name, (long long)st.st_size, (long long)max);
        goto end;
    }
    p = malloc((size_t)st.st_size + 1);
    if (!p) {
        capt_fail(err, CAPT_ENOMEM, "%s: no memory for %lld bytes", name, (long long)st.st_size);
        goto end;
    }
    /* read, not mapped: a file that shrinks meanwhile is then a damaged JPEG and no SIGBUS */
    size_t n = 0, want = (size_t)st.st_size;
    while (n < want) {
        ssize_t k = read(fd, p + n, want - n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0) {
            capt_fail_errno(err, "%s", name);
            goto end;
        }
        if (k == 0)
            break;
        n += (size_t)k;
    }
    ret = capt_jpeg_decode(p, n, limits, name, out, err);
end:
    free(p);
    close(fd);
    return ret;
}

struct encoder {
    struct jpeg_compress_struct c;
    struct fail fail;
};

static void encode(struct encoder *e, FILE *f, const capt_image *im, int quality)
{
    j_compress_ptr c = &e->c;
    jpeg_stdio_dest(c, f);
    c->image_width = (JDIMENSION)im->w;
    c->image_height = (JDIMENSION)im->h;
    c->input_components = 3;
    c->in_color_space = JCS_RGB;
    jpeg_set_defaults(c);
    jpeg_set_quality(c, quality, TRUE);
    c->dct_method = JDCT_ISLOW;
    if (quality >= 90)
        c->comp_info[0].h_samp_factor = c->comp_info[0].v_samp_factor = 1;
    jpeg_start_compress(c, TRUE);
    while (c->next_scanline < c->image_height) {
        JSAMPROW r[1] = {im->rgb + (size_t)c->next_scanline * im->w * 3};
        jpeg_write_scanlines(c, r, 1);
    }
    jpeg_finish_compress(c);
}

static int guarded_encode(struct encoder *e, FILE *f, const capt_image *im, int quality)
{
    e->c.err = fail_init(&e->fail, 1);
    if (setjmp(e->fail.back))
        return -1;
    jpeg_create_compress(&e->c);
    encode(e, f, im, quality);
    return 0;
}

int capt_jpeg_write(FILE *f, const capt_image *im, int quality, capt_err *err)
{
    struct encoder *e = calloc(1, sizeof *e);
    if (!e)
        return capt_fail(err, CAPT_ENOMEM, "out of memory");
    int ret = guarded_encode(e, f, im, quality);
    if (ferror(f) || (ret == 0 && fflush(f) != 0))
        ret = capt_fail_errno(err, "writing JPEG");
    else if (ret != 0)
        capt_fail(err, CAPT_EDATA, "writing JPEG: %s", e->fail.text);
    jpeg_destroy_compress(&e->c);
    free(e);
    return ret;
}
