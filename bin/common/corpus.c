#include "common/corpus.h"
#include <stdlib.h>
#include <string.h>
#include "base/hash.h"
#include "common/tags.h"

static int captioned(void *arg, const capt_caption *c, capt_err *err)
{
    const char *const *split = arg;
    char key[CAPT_ID_KEY];
    if (c->n_captions || !(capt_picks(split[0], 1, c) || capt_picks(split[1], 0, c)))
        return 0;
    capt_id_key(&c->id, key);
    return capt_fail(err, CAPT_EDATA, "image %s has no captions", key);
}

int prog_corpus_open(prog_corpus *c, capt_prog *p, const char *captions, const char *tags, const char *train_split, const char *val_split, int captionless)
{
    capt_read_opts o = {.check = captionless ? NULL : captioned, .check_arg = (const char *[]){train_split, val_split}};
    if (capt_captions_read(&captions, 1, &o, &c->records, &p->err))
        return -1;
    c->train = capt_pick(c->records, train_split, 1);
    c->val = capt_pick(c->records, val_split, 0);
    if (!c->train.n)
        return capt_fail(&p->err, CAPT_EDATA, "%s has no record of split %s", captions, train_split);
    if (!tags)
        return 0;
    c->tags = prog_tags_open(p, tags, c->records);
    if (!c->tags)
        return -1;
    capt_captions_retag(c->tags, c->train.v, c->train.n);
    capt_captions_retag(c->tags, c->val.v, c->val.n);
    return 0;
}

void prog_corpus_close(prog_corpus *c)
{
    free(c->train.v);
    free(c->val.v);
    capt_captions_free(c->tags);
    capt_captions_free(c->records);
    *c = (prog_corpus){0};
}

json_t *prog_corpus_inputs(const prog_corpus *c)
{
    char split[33], text[33];
    capt_split_hash(c->records->v, c->records->n, split);
    capt_hasher *h = capt_hasher_new();
    for (size_t i = 0; i < c->train.n; i++)
        for (int k = 0; k < c->train.v[i]->n_captions; k++)
            capt_hasher_add(h, c->train.v[i]->captions[k], strlen(c->train.v[i]->captions[k]) + 1);
    capt_hasher_end(h, text);
    json_t *inputs = json_pack("{s:s, s:s}", "split", split, "captions", text);
    if (c->tags)
        prog_tags_input(inputs, &c->train, &c->val);
    return inputs;
}
