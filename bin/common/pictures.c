#include "common/pictures.h"
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include "base/mem.h"
#include "base/str.h"

typedef struct list { CAPT_VEC(const char *) v; } list;

static int is_picture(const struct dirent *d)
{
    const char *dot = strrchr(d->d_name, '.');
    return d->d_name[0] != '.' && dot && (!strcasecmp(dot, ".jpg") || !strcasecmp(dot, ".jpeg"));
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_folder(list *l, const char *dir, capt_arena *a, capt_err *err)
{
    struct dirent **d;
    int n = scandir(dir, &d, is_picture, by_bytes);
    if (n < 0)
        return capt_fail_errno(err, "%s", dir);
    for (int i = 0; i < n; i++) {
        capt_str s = {0};
        capt_str_printf(&s, "%s/%s", dir, d[i]->d_name);
        capt_vec_push(&l->v, capt_arena_strndup(a, s.s, s.n));
        capt_str_free(&s);
        free(d[i]);
    }
    free(d);
    return n ? 0 : capt_fail(err, CAPT_EDATA, "%s: a folder without pictures (*.jpg)", dir);
}

const capt_caption **prog_pictures(capt_prog *p, capt_arena *a, size_t *n)
{
    list l = {0};
    int rc = 0;
    for (int i = 0; i < p->argc && !rc; i++) {
        struct stat st;
        if (stat(p->argv[i], &st))
            rc = capt_fail_errno(&p->err, "%s", p->argv[i]);
        else if (S_ISDIR(st.st_mode))
            rc = add_folder(&l, p->argv[i], a, &p->err);
        else
            capt_vec_push(&l.v, p->argv[i]);
    }
    const capt_caption **out = NULL;
    if (!rc) {
        capt_caption *c = capt_arena_alloc(a, (l.v.n + 1) * sizeof *c);
        out = capt_alloc((l.v.n + 1) * sizeof *out);
        for (size_t i = 0; i < l.v.n; i++) {
            c[i] = (capt_caption){.id = capt_id_int((int64_t)i + 1), .file = l.v.v[i]};
            out[i] = &c[i];
        }
        *n = l.v.n;
    }
    capt_vec_free(&l.v);
    return out;
}
