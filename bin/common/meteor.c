#include "common/meteor.h"
#include <stdlib.h>
#include "base/str.h"

const char *prog_meteor_place(const char *option)
{
    const char *env = getenv("CAPT_METEOR_DATA");
    if (option || env)
        return option ? option : *env ? env : NULL;
    return capt_meteor_wordnet();
}

static const char *set(const char *name)
{
    const char *s = getenv(name);
    return s && *s ? s : NULL;
}

capt_meteor *prog_meteor_open(capt_prog *p, const char *option)
{
    const char *place = prog_meteor_place(option);
    if (!place) {
        capt_fail(&p->err, CAPT_EDATA,
                  "METEOR's data are not there: install Debian's wordnet-base and wordnet-sense-index (METEOR-nopara), "
                  "or pip's pycocoevalcap 1.2 and give its meteor folder with --meteor-data");
        return NULL;
    }
    capt_str cache = {0};
    if (set("CAPT_CACHE"))
        capt_str_puts(&cache, set("CAPT_CACHE"));
    else if (set("XDG_CACHE_HOME"))
        capt_str_printf(&cache, "%s/capt", set("XDG_CACHE_HOME"));
    else if (set("HOME"))
        capt_str_printf(&cache, "%s/.cache/capt", set("HOME"));
    double t0 = capt_now();
    capt_meteor *m = capt_meteor_open(place, cache.s, &p->err);
    capt_str_free(&cache);
    if (m)
        capt_prog_detail(p, "%s: METEOR's data %s, %s paraphrases, %.3f s", place, capt_meteor_id(m),
                         capt_meteor_full(m) ? "with" : "without", capt_now() - t0);
    if (m && capt_now() - t0 > 2)
        capt_prog_note(p, "METEOR's data took %.0f s to read; the next time they come from the cache", capt_now() - t0);
    return m;
}

static size_t synsets_of(const void *data, const char *word, size_t n, uint32_t **ids)
{
    return capt_meteor_synsets(data, word, n, ids);
}

capt_synsets prog_meteor_synsets(const capt_meteor *m)
{
    return (capt_synsets){synsets_of, m};
}
