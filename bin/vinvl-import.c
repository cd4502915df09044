/* vinvl-import: features made by other programs -> feature store, and the tags that came with them. */
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "base/file.h"
#include "base/mem.h"
#include "base/prov.h"
#include "common/prog.h"
#include "data/detector.h"
#include "data/npyset.h"
#include "store/fingerprint.h"

enum { AUTO, BUTD, VINVL, OSCAR, SGB, NPY };
static const capt_regions_form forms[] = {CAPT_REGIONS_NONE, CAPT_REGIONS_BUTD, CAPT_REGIONS_VINVL, CAPT_REGIONS_VINVL, CAPT_REGIONS_SGB};
static const capt_dtype dtypes[] = {CAPT_F16, CAPT_BF16, CAPT_F32};

static int format, dtype_choice, ids, resume;
static int64_t dim;
static const char *store_path, *names_path, *boxes_path, *section_name, *tags_path, *hw_path, *encoder = "imported", *encoder_hash;
static capt_strs predictions;

static const capt_opt options[] = {
    {"format", CAPT_O_CHOICE, &format, "auto|butd-tsv|vinvl-tsv|oscar-tsv|sgb-tsv|npy", "layout of the features; auto looks at the first row", 0, 0, 0, 0},
    {"store", CAPT_O_STR, &store_path, "OUT", "feature store to write", 0, 0, 1, 1},
    {"tags", CAPT_O_STR, &tags_path, "FILE", "tag records to write: classes, confidences and boxes of the objects", 0, 0, 1, 0},
    {"predictions", CAPT_O_STRS, &predictions, "FILE", "TSV file of the images' objects (labels or predictions); may be repeated", 0, 0, 1, 0},
    {"hw", CAPT_O_STR, &hw_path, "FILE", "TSV file of the pictures' heights and widths", 0, 0, 1, 0},
    {"names", CAPT_O_STR, &names_path, "FILE", "picture names of the rows of one .npy, a line each", 0, 0, 1, 0},
    {"boxes", CAPT_O_STR, &boxes_path, "DIR", "folder of ID.npy (n,4): boxes of the regions, kept as f32", 0, 0, 1, 0},
    {"section", CAPT_O_STR, &section_name, "NAME", "name of the section; default by shape: global, grid or regions", 0, 0, 0, 0},
    {"ids", CAPT_O_CHOICE, &ids, "auto|string|int", "ids are names without extension, or the number these end with; auto: numbers where a TSV file has only such", 0, 0, 0, 0},
    {"dim", CAPT_O_INT, &dim, "N", "numbers a box, where the bytes do not tell; 0: they do", 0, CAPT_SIDE_MAX, 0, 0},
    {"dtype", CAPT_O_CHOICE, &dtype_choice, "f16|bf16|f32", "how numbers are kept", 0, 0, 0, 0},
    {"encoder", CAPT_O_STR, &encoder, "NAME", "what made the features, for the manifest", 0, 0, 0, 0},
    {"encoder-hash", CAPT_O_STR, &encoder_hash, "HEX", "hash of its weights, for the manifest", 0, 0, 0, 0},
    {"resume", CAPT_O_FLAG, &resume, NULL, "continue OUT.part", 0, 0, 1, 0},
    {0}};

typedef struct job {
    capt_prog *p;
    capt_pool *pool;
    capt_store_meta meta;
    capt_detector_files files;
    capt_detector *detector; /* one of the two */
    capt_npyset *npy;
    capt_out *tags;
    capt_progress progress;
} job;

/* ---- the import ---- */

static int bad(void *arg, capt_err *err)
{
    job *j = arg;
    if (capt_prog_bad(j->p, err) == 0)
        return 0;
    return j->p->err.code ? -1 : capt_fail(&j->p->err, err->code, "%s", err->text);
}

static int put_text(void *arg, const char *s, size_t n)
{
    job *j = arg;
    return !j->tags || fwrite(s, 1, n, capt_out_file(j->tags)) == n ? 0 : -1;
}

static int each_round(void *arg, int64_t done)
{
    job *j = arg;
    capt_progress_at(&j->progress, done, NULL);
    return capt_prog_stopping();
}

/* What the files said of themselves; told before the store has its name, as what can fail belongs there. */
static void report(const job *j)
{
    capt_str b = {0}, missing = {0};
    if (j->detector) {
        capt_detector_report(j->detector, &b, &missing);
        if (b.n && j->meta.geometry)
            capt_prog_note(j->p, "geometry: %s", b.s);
        else if (b.n)
            capt_prog_warn(j->p, "geometry: %s", b.s);
        if (missing.n)
            capt_prog_warn(j->p, "%s", missing.s);
    } else if (j->meta.geometry) {
        capt_prog_note(j->p, "geometry: the last six columns are stored as " CAPT_GEOMETRY);
    }
    capt_str_free(&b);
    capt_str_free(&missing);
}

static void print_fingerprint(const job *j)
{
    capt_err none = CAPT_ERR_INIT;
    capt_store *s = capt_store_open(store_path, &none);
    if (!s)
        return;
    const capt_store_meta *m = capt_store_meta_of(s);
    capt_str b = {0};
    for (int i = 0; i < m->n_sections; i++) {
        capt_str_clear(&b);
        capt_fingerprint_text(capt_fingerprint_section(m->fingerprint, m->section[i].name), &b);
        capt_prog_note(j->p, "%s%lld images, section \"%s\" %s: %s", i ? "" : "fingerprint: ", (long long)m->count, m->section[i].name,
                       capt_dtype_name(m->section[i].dtype), b.s);
    }
    capt_str_free(&b);
    capt_store_close(s);
}

/* Tags get their name before the store: a complete store has its tags. */
static int publish(job *j, capt_store *s)
{
    capt_out *tags = j->tags;
    j->tags = NULL;
    if (tags && capt_out_finish(tags, &j->p->err)) {
        capt_store_abandon(s);
        return -1;
    }
    return capt_store_finish(s, &j->p->err);
}

static int import_all(job *j)
{
    capt_prog *p = j->p;
    if (resume && capt_store_is_done(store_path, &j->meta)) {
        if (tags_path && !capt_file_exists(tags_path))
            return capt_fail(&p->err, CAPT_EDATA, "%s is complete, but %s is not there: without --resume both are made anew", store_path, tags_path);
        capt_prog_note(p, "%s is complete: nothing to do", store_path);
        return 0;
    }
    capt_store *s = capt_store_create(store_path, &j->meta, resume, &p->err);
    if (s && tags_path)
        j->tags = capt_out_open(tags_path, &p->err);
    if (!s || (tags_path && !j->tags)) {
        capt_store_abandon(s);
        return -1;
    }
    capt_prog_catch();
    capt_intake in = j->detector ? capt_detector_intake(j->detector) : capt_npyset_intake(j->npy);
    capt_import_hooks hooks = {.arg = j, .bad = bad, .text = put_text, .round = each_round};
    capt_progress_start(&j->progress, p, "images", in.n);
    int rc = capt_import_run(&in, &hooks, s, resume, j->pool, &p->err);
    capt_progress_end(&j->progress);
    if (rc > 0)
        rc = capt_prog_stopped(p, "import");
    if (rc && p->err.code == CAPT_EDATA && !resume)
        capt_store_discard(s);
    else if (rc)
        capt_store_abandon(s);
    else {
        report(j);
        rc = publish(j, s);
    }
    if (rc == 0 && !p->quiet)
        print_fingerprint(j);
    return rc;
}

/* ---- what is imported ---- */

static int is_npy_file(const char *path)
{
    char head[6] = {0};
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    ssize_t n = fd < 0 ? 0 : pread(fd, head, sizeof head, 0);
    if (fd >= 0)
        close(fd);
    return n == sizeof head && memcmp(head, "\x93NUMPY", 6) == 0;
}

/* Rows are read in another order than they come in: what a pipe brings is first copied to a file without a name beside OUT. */
static int stdin_as_file(job *j)
{
    struct stat st;
    if (fstat(0, &st) == 0 && S_ISREG(st.st_mode))
        return 0;
    capt_err *err = &j->p->err;
    char *dir = capt_strdup(store_path), *slash = strrchr(dir, '/');
    strcpy(slash ? slash + (slash == dir) : dir, slash ? "" : "."); /* NAME, or the folder of PATH */
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600), rc = 0;
    if (fd < 0)
        rc = capt_fail_errno(err, "%s: a temporary file for standard input", dir);
    char *buf = capt_alloc(1 << 20);
    for (ssize_t n = 1; n && rc == 0;) {
        n = read(0, buf, 1 << 20);
        if (n < 0 && errno != EINTR)
            rc = capt_fail_errno(err, "stdin");
        for (ssize_t at = 0; at < n && rc == 0;) {
            ssize_t k = write(fd, buf + at, (size_t)(n - at));
            if (k < 0 && errno != EINTR)
                rc = capt_fail_errno(err, "%s: standard input", dir);
            at += k > 0 ? k : 0;
        }
    }
    if (rc == 0 && dup2(fd, 0) < 0)
        rc = capt_fail_errno(err, "stdin");
    if (fd >= 0)
        close(fd);
    free(buf);
    free(dir);
    return rc;
}

static int open_npy(job *j, const char *path)
{
    capt_prog *p = j->p;
    struct stat st;
    if (stat(path, &st))
        return capt_fail_errno(&p->err, "%s", path);
    if (p->argc != 1)
        return capt_prog_usage(p, "NumPy arrays: one file or one folder");
    if (tags_path || predictions.n || hw_path || dim)
        return capt_prog_usage(p, "--tags, --predictions, --hw and --dim go with TSV files");
    if (S_ISDIR(st.st_mode) && names_path)
        return capt_prog_usage(p, "--names goes with one .npy file, not with a folder");
    if (!S_ISDIR(st.st_mode) && !names_path)
        return capt_prog_usage(p, "one .npy file needs --names FILE");
    if (!S_ISDIR(st.st_mode) && boxes_path)
        return capt_prog_usage(p, "--boxes goes with a folder of one .npy an image");
    capt_npyset_opts o = {.names = names_path, .boxes = boxes_path, .section = section_name, .int_ids = ids == CAPT_IDS_INT, .dtype = dtypes[dtype_choice]};
    j->npy = capt_npyset_open(path, &o, j->pool, &j->meta, &p->err);
    return j->npy ? 0 : -1;
}

static int open_detector(job *j)
{
    capt_prog *p = j->p;
    if (names_path || boxes_path)
        return capt_prog_usage(p, "--names and --boxes go with NumPy arrays");
    for (int i = 0; i < p->argc; i++) {
        int std = strcmp(p->argv[i], "-") == 0;
        if ((std && stdin_as_file(j)) || capt_detector_find(&j->files, std ? "/dev/stdin" : p->argv[i], &p->err))
            return -1;
    }
    if (predictions.n)
        j->files.objects.n = 0; /* what is named takes the place of what was found */
    for (size_t i = 0; i < predictions.n; i++)
        capt_vec_push(&j->files.objects, predictions.v[i]);
    if (hw_path) {
        j->files.sizes.n = 0;
        capt_vec_push(&j->files.sizes, hw_path);
    }
    capt_detector_opts o = {.form = forms[format], .ids = ids, .dim = (int)dim, .dtype = dtypes[dtype_choice], .section = section_name ? section_name : "regions",
                            .tags = tags_path != NULL};
    j->detector = capt_detector_open(&j->files, &o, j->pool, &j->meta, &p->err);
    if (j->detector && tags_path && !capt_detector_has_objects(j->detector))
        return capt_prog_usage(p, "--tags: these files have no objects; --predictions FILE names one that has");
    return j->detector ? 0 : -1;
}

static int describe(job *j)
{
    json_t *input = j->detector ? capt_detector_inputs(j->detector) : capt_npyset_inputs(j->npy, &j->p->err);
    if (!input)
        return -1;
    json_t *entry = capt_prov_entry(j->p->name, NULL);
    json_object_set_new(entry, "options", capt_prog_options(j->p));
    json_object_set_new(entry, "input", input);
    j->meta.provenance = capt_prov_append(NULL, entry);
    j->meta.encoder = encoder;
    j->meta.encoder_hash = encoder_hash;
    return 0;
}

static int run(capt_prog *p)
{
    if (section_name && (strlen(section_name) > CAPT_SECTION_NAME || !*section_name))
        return capt_prog_usage(p, "--section: 1 to %d bytes", CAPT_SECTION_NAME);
    job *j = capt_alloc(sizeof *j);
    j->p = p;
    j->pool = capt_pool_new((int)p->threads, &p->err);
    mallopt(M_MMAP_THRESHOLD, 32 << 20); /* the pages of a batch are used for the next one, not given back and cleared again */
    mallopt(M_TRIM_THRESHOLD, 512 << 20);
    const char *first = p->argv[0];
    int npy = format == NPY || (format == AUTO && strcmp(first, "-") != 0 && (is_npy_file(first) || capt_npyset_is_folder(first)));
    int rc = j->pool ? 0 : -1;
    if (rc == 0)
        rc = npy ? open_npy(j, first) : open_detector(j);
    if (rc == 0)
        rc = describe(j);
    if (rc == 0)
        rc = import_all(j);
    if (j->tags)
        capt_out_abandon(j->tags);
    capt_detector_close(j->detector);
    capt_detector_files_free(&j->files);
    capt_npyset_close(j->npy);
    json_decref(j->meta.provenance);
    capt_pool_free(j->pool);
    free(j);
    return rc;
}

static capt_prog prog = {
    .name = "vinvl-import",
    .synopsis = "[options] --store OUT FILE-or-DIR...",
    .about = "Imports image features that other programs made into a feature store.",
    .opts = options,
    .groups = CAPT_G_THREADS | CAPT_G_MAXBAD,
    .min_args = 1,
    .max_args = -1,
    .run = run,
};
CAPT_MAIN(prog)
