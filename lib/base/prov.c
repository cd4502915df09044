#include "base/prov.h"

const char *capt_version(void)
{
    return CAPT_VERSION;
}

json_t *capt_prov_entry(const char *program, const char *backend)
{
    json_t *e = json_object();
    json_object_set_new(e, "program", json_string(program));
    json_object_set_new(e, "version", json_string(CAPT_VERSION));
    if (backend)
        json_object_set_new(e, "backend", json_string(backend));
    return e;
}

json_t *capt_prov_append(const json_t *chain, json_t *entry)
{
    json_t *all = json_array();
    if (json_is_array(chain))
        json_array_extend(all, (json_t *)chain);
    json_array_append_new(all, entry);
    return all;
}

json_t *capt_prov_merge(const json_t *a, const json_t *b)
{
    json_t *out = json_array(), *v;
    size_t i;
    if (json_is_array(a))
        json_array_extend(out, (json_t *)a);
    json_array_foreach(b, i, v) {
        size_t k = 0;
        while (k < json_array_size(a) && !json_equal(json_array_get(a, k), v))
            k++;
        if (k >= json_array_size(a))
            json_array_append(out, v);
    }
    return out;
}
