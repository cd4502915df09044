/* METEOR's data: opened from its cache, or made and kept there. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>
#include "base/mem.h"
#include "metric/meteor_priv.h"

static const size_t element[SECS] = {[SEC_TEXT] = 1,      [SEC_LEX] = sizeof(meteor_lex), [SEC_LEX_SLOT] = 4, [SEC_SYN] = 4,
                                     [SEC_BASE] = 4,      [SEC_PHRASE_AT] = 4,            [SEC_PHRASE_WORD] = 4,
                                     [SEC_PHRASE_SLOT] = 4, [SEC_PAIR_AT] = 4,            [SEC_PAIR] = 4, [SEC_PREFIX] = 8};

/* The hash proves that meteor_build wrote the block, so what it says within itself is right. */
static int whole(const unsigned char *p, size_t n, const meteor_source *s)
{
    const meteor_header *h = (const meteor_header *)(const void *)p;
    if (n < sizeof *h || memcmp(h->magic, "CAPTMTR", 8) || h->version != METEOR_VERSION || h->size != n ||
        memcmp(h->id, s->id, sizeof s->id))
        return 0;
    for (int i = 0; i < SECS; i++)
        if (h->sec[i].at % 64 || h->sec[i].at > n || h->sec[i].n > (n - h->sec[i].at) / element[i])
            return 0;
    return XXH3_64bits(p + sizeof *h, n - sizeof *h) == h->hash;
}

static void attach(capt_meteor *m, const unsigned char *p)
{
    const meteor_header *h = m->h = (const meteor_header *)(const void *)p;
    const void *at[SECS];
    for (int i = 0; i < SECS; i++)
        at[i] = p + h->sec[i].at;
    m->text = at[SEC_TEXT];
    m->lex = at[SEC_LEX];
    m->lex_slot = at[SEC_LEX_SLOT];
    m->syn = at[SEC_SYN];
    m->base = at[SEC_BASE];
    m->phrase_at = at[SEC_PHRASE_AT];
    m->phrase_word = at[SEC_PHRASE_WORD];
    m->phrase_slot = at[SEC_PHRASE_SLOT];
    m->pair_at = at[SEC_PAIR_AT];
    m->pair = at[SEC_PAIR];
    m->prefix = at[SEC_PREFIX];
    m->n_lex_slot = h->sec[SEC_LEX_SLOT].n;
    m->n_phrases = h->sec[SEC_PHRASE_AT].n - 1;
    m->n_phrase_slot = h->sec[SEC_PHRASE_SLOT].n;
    m->prefix_mask = h->sec[SEC_PREFIX].n * 64 - 1;
}

static void make_folders(const char *path)
{
    char *p = capt_strdup(path);
    for (char *c = p + 1; *c; c++)
        if (*c == '/') {
            *c = 0;
            mkdir(p, 0777);
            *c = '/';
        }
    mkdir(p, 0777);
    free(p);
}

/* Writes under a name of this process, so that two that make the same cache do not meet. */
static void keep(const char *cache, const char *path, const unsigned char *p, size_t n)
{
    make_folders(cache);
    capt_str own = {0};
    capt_str_printf(&own, "%s.%ld", path, (long)getpid());
    capt_out *out = capt_out_open(own.s, NULL);
    if (out) {
        fwrite(p, 1, n, capt_out_file(out)); /* a failed write shows at finish */
        if (capt_out_finish(out, NULL) == 0 && capt_file_publish(own.s, path, NULL) != 0)
            unlink(own.s);
    }
    capt_str_free(&own);
}

capt_meteor *capt_meteor_open(const char *path, const char *cache, capt_err *err)
{
    meteor_source s;
    capt_str name = {0};
    if (meteor_source_find(&s, path, err))
        return NULL;
    capt_meteor *m = capt_alloc(sizeof *m);
    if (cache) {
        capt_str_printf(&name, "%s/meteor-%d-%s", cache, METEOR_VERSION, s.id);
        if (capt_map_open(&m->map, name.s, NULL) == 0 && !whole(m->map.p, m->map.n, &s))
            capt_map_close(&m->map);
    }
    if (m->map.p) {
        attach(m, m->map.p);
    } else {
        m->own = meteor_build(&s, err);
        if (m->own)
            attach(m, m->own);
        if (m->own && cache)
            keep(cache, name.s, m->own, m->h->size);
    }
    capt_str_free(&name);
    meteor_source_free(&s);
    if (m->h)
        return m;
    capt_meteor_close(m);
    return NULL;
}

void capt_meteor_close(capt_meteor *m)
{
    if (!m)
        return;
    capt_map_close(&m->map);
    free(m->own);
    free(m);
}

int capt_meteor_full(const capt_meteor *m)
{
    return (int)m->h->full;
}

const char *capt_meteor_id(const capt_meteor *m)
{
    return m->h->id;
}

const meteor_lex *meteor_lex_find(const capt_meteor *m, const char *s, size_t n)
{
    uint64_t mask = m->n_lex_slot - 1;
    for (uint64_t at = XXH3_64bits(s, n) & mask; m->lex_slot[at]; at = (at + 1) & mask) {
        const meteor_lex *x = &m->lex[m->lex_slot[at] - 1];
        if (x->len == n && !memcmp(m->text + x->text, s, n))
            return x;
    }
    return NULL;
}

uint32_t meteor_word_hash(const char *s, size_t n)
{
    uint32_t h = 0;
    const char *end = s + n;
    while (s < end) {
        int32_t got = capt_utf8_next(&s, end);
        uint32_t c = got < 0 ? 0xfffd : (uint32_t)got;
        if (c >= 0x10000) {
            h = 31 * h + 0xd800 + ((c - 0x10000) >> 10);
            c = 0xdc00 + ((c - 0x10000) & 0x3ff);
        }
        h = 31 * h + c;
    }
    return h;
}

uint32_t meteor_phrase_find(const capt_meteor *m, uint64_t h, const uint32_t *words, uint32_t n)
{
    if (!m->n_phrase_slot)
        return METEOR_NONE;
    uint64_t mask = m->n_phrase_slot - 1;
    for (uint64_t at = h & mask; m->phrase_slot[at]; at = (at + 1) & mask) {
        uint32_t p = m->phrase_slot[at] - 1, from = m->phrase_at[p];
        if (m->phrase_at[p + 1] - from == n && !memcmp(m->phrase_word + from, words, n * sizeof *words))
            return p;
    }
    return METEOR_NONE;
}
