/* Configurations of captioners and encoders: JSON objects completed by a table of keys. */
#include <stdlib.h>
#include <string.h>
#include "model/model.h"

static json_t *default_value(const capt_key *k)
{
    switch (k->type) {
    case 'i': return json_integer(strtoll(k->def, NULL, 10));
    case 'n': return json_real(strtod(k->def, NULL));
    case 'b': return json_boolean(k->def[0] == '1');
    case 'c': return json_stringn(k->def, strcspn(k->def, "|"));
    default: return json_string(k->def);
    }
}

int capt_config_choice(const char *list, const char *word)
{
    size_t n = word ? strlen(word) : 0;
    for (; n && list; list = strchr(list, '|') ? strchr(list, '|') + 1 : NULL)
        if (strcspn(list, "|") == n && !strncmp(list, word, n))
            return 1;
    return 0;
}

static int type_fits(const capt_key *k, const json_t *v)
{
    switch (k->type) {
    case 'i': return json_is_integer(v);
    case 'n': return json_is_number(v);
    case 'b': return json_is_boolean(v);
    case 'c': return capt_config_choice(k->def, json_string_value(v));
    default: return json_is_string(v);
    }
}

json_t *capt_config_complete(const json_t *config, const capt_key *keys, const char *what, capt_err *err)
{
    json_t *out = json_object();
    const char *name;
    json_t *value;
    json_object_foreach((json_t *)config, name, value) {
        const capt_key *k = keys;
        while (k->name && strcmp(k->name, name))
            k++;
        if (!strcmp(name, "type"))
            continue;
        if (k->name && k->type == 'c' && json_is_string(value) && !type_fits(k, value)) {
            capt_fail(err, CAPT_EDATA, "%s: %s is \"%s\", not one of %s", what, name, json_string_value(value), k->def);
            json_decref(out);
            return NULL;
        }
        if (!k->name || !type_fits(k, value)) {
            capt_fail(err, CAPT_EDATA, k->name ? "%s: configuration key \"%s\" has the wrong type" : "%s: unknown configuration key \"%s\"", what, name);
            json_decref(out);
            return NULL;
        }
    }
    json_object_set(out, "type", json_object_get(config, "type"));
    for (const capt_key *k = keys; k->name; k++) {
        json_t *v = json_object_get(config, k->name);
        if (v && k->type == 'n')
            json_object_set_new(out, k->name, json_real(json_number_value(v)));
        else if (v)
            json_object_set(out, k->name, v);
        else
            json_object_set_new(out, k->name, default_value(k));
    }
    return out;
}

int capt_config_int(const json_t *config, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(config, key));
    return v > 1 << 30 ? 1 << 30 : v < -(1 << 30) ? -(1 << 30) : (int)v;
}

double capt_config_num(const json_t *config, const char *key)
{
    return json_number_value(json_object_get(config, key));
}

const char *capt_config_str(const json_t *config, const char *key)
{
    const char *s = json_string_value(json_object_get(config, key));
    return s ? s : "";
}
