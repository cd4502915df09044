/* coco-toy: a small synthetic data set of lib/data/toy.h's scenes in COCO's layouts. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/prov.h"
#include "common/prog.h"
#include "data/toy.h"
#include "image/jpeg.h"

enum { N_CAPTION = 5 };

struct layout { /* one official split */
    json_t *images, *captions, *boxes;
};
struct output {
    json_t *karpathy; /* images of dataset.json */
    struct layout part[CAPT_TOY_SPLITS];
    int64_t n_boxes;
};

static void add_record(struct output *o, const capt_toy_scene *s, int64_t i, int px, const capt_toy_box *box)
{
    char file[32];
    snprintf(file, sizeof file, "%012lld.jpg", (long long)(i + 1));
    struct layout *l = &o->part[s->split == CAPT_TOY_RESTVAL ? CAPT_TOY_TRAIN : s->split];
    json_array_append_new(l->images, json_pack("{s:I,s:s,s:i,s:i,s:i}", "id", (json_int_t)(i + 1), "file_name", file, "width", px, "height",
                                               px, "license", 1));
    json_t *sentences = json_array(), *ids = json_array();
    capt_str words = {0}, raw = {0};
    for (int c = 0; c < N_CAPTION; c++) {
        json_int_t id = i * N_CAPTION + c + 1;
        capt_toy_caption(s, (uint64_t)c, &words, &raw);
        json_t *tokens = json_array();
        for (char *w = words.s, *next; w; w = next) {
            next = strchr(w, ' ');
            json_array_append_new(tokens, json_stringn(w, next ? (size_t)(next - w) : strlen(w)));
            next += next != NULL;
        }
        json_array_append_new(ids, json_integer(id));
        json_array_append_new(sentences, json_pack("{s:o,s:s,s:I,s:I}", "tokens", tokens, "raw", raw.s, "imgid", (json_int_t)i, "sentid", id));
        json_array_append_new(l->captions, json_pack("{s:I,s:I,s:s}", "image_id", (json_int_t)(i + 1), "id", id, "caption", raw.s));
    }
    capt_toy_describe(s, &words);
    json_array_append_new(o->karpathy, json_pack("{s:s,s:s,s:I,s:I,s:s,s:o,s:o,s:s,s:s}", "filepath", "images", "filename", file, "imgid",
        (json_int_t)i, "cocoid", (json_int_t)(i + 1), "split", capt_toy_split_name(s->split), "sentids", ids, "sentences", sentences, "scene", words.s,
        "ground", capt_toy_ground_name(s)));
    for (int b = 0; b < s->n; b++) {
        double x = box[b].x, y = box[b].y, w = box[b].w, h = box[b].h;
        json_array_append_new(l->boxes, json_pack("{s:I,s:I,s:i,s:[f,f,f,f],s:f,s:i,s:[[f,f,f,f,f,f,f,f]]}", "id", (json_int_t)++o->n_boxes,
            "image_id", (json_int_t)(i + 1), "category_id", box[b].shape + 1, "bbox", x, y, w, h, "area", box[b].area, "iscrowd", 0,
            "segmentation", x, y, x + w, y, x + w, y + h, x, y + h));
    }
    capt_str_free(&words);
    capt_str_free(&raw);
}

static int write_json(const char *dir, const char *name, json_t *o_take, capt_err *err)
{
    capt_str path = {0}, text = {0};
    capt_str_printf(&path, "%s/%s", dir, name);
    int ret = capt_json_line(o_take, &text);
    json_decref(o_take);
    capt_out *out = ret == 0 ? capt_out_open(path.s, err) : NULL;
    if (ret != 0)
        capt_fail(err, CAPT_ENOMEM, "%s: cannot encode", path.s);
    else if (!out)
        ret = -1;
    else {
        fwrite(text.s, 1, text.n, capt_out_file(out));
        if (text.n == 0 || text.s[text.n - 1] != '\n')
            fputc('\n', capt_out_file(out));
        ret = capt_out_finish(out, err);
    }
    capt_str_free(&path);
    capt_str_free(&text);
    return ret;
}

static int write_layouts(const char *dir, struct output *o, capt_err *err)
{
    json_t *info = json_pack("{s:s,s:s}", "description", "coco-toy: synthetic scenes", "version", capt_version());
    json_t *licenses = json_pack("[{s:i,s:s,s:s}]", "id", 1, "name", "CC0 1.0", "url", "https://creativecommons.org/publicdomain/zero/1.0/");
    json_t *categories = json_array();
    for (int i = 0; i < CAPT_TOY_SHAPES; i++)
        json_array_append_new(categories, json_pack("{s:s,s:i,s:s}", "supercategory", "shape", "id", i + 1, "name", capt_toy_shape_name(i)));
    int ret = 0;
    for (int s = 0; s < CAPT_TOY_SPLITS && ret == 0; s++) {
        char name[64];
        struct layout *l = &o->part[s];
        if (s == CAPT_TOY_RESTVAL)
            continue;
        snprintf(name, sizeof name, "captions_%s.json", capt_toy_split_name(s));
        ret = write_json(dir, name, json_pack("{s:O,s:O,s:O,s:O}", "info", info, "images", l->images, "licenses", licenses, "annotations",
                                              l->captions), err);
        snprintf(name, sizeof name, "instances_%s.json", capt_toy_split_name(s));
        if (ret == 0)
            ret = write_json(dir, name, json_pack("{s:O,s:O,s:O,s:O,s:O}", "info", info, "images", l->images, "licenses", licenses,
                                                  "annotations", l->boxes, "categories", categories), err);
    }
    if (ret == 0)
        ret = write_json(dir, "dataset.json", json_pack("{s:O,s:s}", "images", o->karpathy, "dataset", "coco"), err);
    json_decref(info);
    json_decref(licenses);
    json_decref(categories);
    return ret;
}

/* Removes a folder of ours: files ending in .jpg, .json or .part, "images", and then itself if nothing else is there. */
static void remove_folder(const char *dir)
{
    DIR *d = opendir(dir);
    if (!d)
        return;
    for (struct dirent *e = readdir(d); e; e = readdir(d)) {
        const char *dot = strrchr(e->d_name, '.');
        if (dot && (!strcmp(dot, ".jpg") || !strcmp(dot, ".json") || !strcmp(dot, ".part")))
            unlinkat(dirfd(d), e->d_name, 0);
    }
    closedir(d);
    rmdir(dir);
}

/* Can a finished folder be renamed to this: nothing there, or an empty folder? */
static int free_name(const char *dir)
{
    struct stat st;
    if (lstat(dir, &st) != 0)
        return 1;
    struct dirent **names = NULL;
    int n = S_ISDIR(st.st_mode) ? scandir(dir, &names, NULL, NULL) : -1;
    for (int i = 0; i < n; i++)
        free(names[i]);
    free(names);
    return n == 2; /* . and .. */
}

static const char *out_dir;
static int64_t n_images = 1000, size = 64;

static int write_images(capt_prog *p, const char *dir, const capt_toy_scene *scene, struct output *o)
{
    int px = (int)size, ret = 0;
    capt_image im = {px, px, capt_alloc((size_t)px * px * 3)};
    capt_str path = {0};
    capt_progress progress;
    capt_progress_start(&progress, p, "images", n_images);
    for (int64_t i = 0; i < n_images && ret == 0; i++) {
        capt_toy_box box[CAPT_TOY_THINGS];
        capt_toy_paint(&im, &scene[i], box);
        add_record(o, &scene[i], i, px, box);
        capt_str_clear(&path);
        capt_str_printf(&path, "%s/%012lld.jpg", dir, (long long)(i + 1));
        FILE *f = fopen(path.s, "wb");
        if (!f)
            ret = capt_fail_errno(&p->err, "%s", path.s);
        else {
            ret = capt_jpeg_write(f, &im, 92, &p->err);
            if (fclose(f) != 0 && ret == 0)
                ret = capt_fail_errno(&p->err, "%s", path.s);
            else if (ret != 0)
                capt_err_prefix(&p->err, "%s", path.s);
        }
        if (ret == 0 && capt_prog_stopping())
            ret = capt_fail(&p->err, CAPT_ESTOP, "stopped; nothing was written");
        capt_progress_at(&progress, i + 1, NULL);
    }
    capt_progress_end(&progress);
    capt_str_free(&path);
    capt_image_free(&im);
    return ret;
}

/* Makes the folder DIR.part and DIR.part/images anew, over the rest of a killed run but not under the hands of a running one, which
 * holds a lock. Returns the locked folder's descriptor. */
static int make_part(const char *part, const char *images, capt_err *err)
{
    int fd = open(part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0) {
        close(fd);
        return capt_fail(err, CAPT_EIO, "%s: another run is writing it", part);
    }
    if (fd >= 0) {
        remove_folder(images);
        remove_folder(part);
        close(fd);
    }
    if (mkdir(part, 0777) != 0 || mkdir(images, 0777) != 0)
        return capt_fail_errno(err, "%s", part);
    fd = open(part, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) != 0) {
        capt_fail_errno(err, "%s", part);
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

/* The folder appears under its name when it is complete; until then it is DIR.part. */
static int run(capt_prog *p)
{
    capt_str part = {0}, images = {0};
    size_t len = strlen(out_dir);
    while (len > 1 && out_dir[len - 1] == '/')
        len--;
    char *dir = capt_strndup(out_dir, len);
    struct output o = {.karpathy = json_array()};
    for (int s = 0; s < CAPT_TOY_SPLITS; s++)
        o.part[s] = (struct layout){json_array(), json_array(), json_array()};
    capt_toy_scene *scene = NULL;
    int ret = -1, lock = -1;
    if (!len) {
        capt_prog_usage(p, "--out is empty");
        goto end;
    }
    if (!free_name(dir)) {
        capt_fail(&p->err, CAPT_EIO, "%s: exists and is not an empty folder", dir);
        goto end;
    }
    capt_prog_catch();
    scene = capt_toy_scenes(n_images, (uint64_t)p->seed, &p->err);
    if (!scene)
        goto end;
    capt_str_printf(&part, "%s.part", dir);
    capt_str_printf(&images, "%s/images", part.s);
    lock = make_part(part.s, images.s, &p->err);
    if (lock < 0)
        goto end;
    if (write_images(p, images.s, scene, &o) != 0 || write_layouts(part.s, &o, &p->err) != 0 || capt_file_publish(part.s, dir, &p->err) != 0)
        goto end;
    capt_prog_note(p, "%lld images of %lld pixels, %lld objects in %s", (long long)n_images, (long long)size, (long long)o.n_boxes, dir);
    ret = 0;
end:
    if (ret != 0 && lock >= 0) {
        remove_folder(images.s);
        remove_folder(part.s);
    }
    if (lock >= 0)
        close(lock);
    json_decref(o.karpathy);
    for (int s = 0; s < CAPT_TOY_SPLITS; s++) {
        json_decref(o.part[s].images);
        json_decref(o.part[s].captions);
        json_decref(o.part[s].boxes);
    }
    free(scene);
    free(dir);
    capt_str_free(&part);
    capt_str_free(&images);
    return ret;
}

static const capt_opt options[] = {
    {"out", CAPT_O_STR, &out_dir, "DIR", "the folder to write; it must not exist, or be empty", 0, 0, 1, 1},
    {"images", CAPT_O_INT, &n_images, "N", "how many images", 1, 20000, 0, 0},
    {"size", CAPT_O_INT, &size, "PX", "side of an image in pixels", 32, 1024, 0, 0},
    {0},
};
static capt_prog prog = {
    .name = "coco-toy",
    .synopsis = "[options] --out DIR",
    .about = "Writes a small synthetic data set of pictures and captions in COCO's layouts.",
    .opts = options,
    .groups = CAPT_G_SEED,
    .run = run,
};
CAPT_MAIN(prog)
