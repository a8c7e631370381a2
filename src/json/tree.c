/* Looking into a parsed tree. */
#include "json/json.h"

#include <math.h>
#include <stdlib.h>

const struct nr_json *
nr_json_get(const struct nr_json *j, struct nr_str name)
{
    if (!nr_json_is(j, NR_JSON_OBJECT))
        return NULL;
    for (j = j->child; j; j = j->next)
        if (nr_str_eq(j->key, name))
            break;
    return j;
}

bool
nr_json_get_str(const struct nr_json *j, struct nr_str name, struct nr_str *out)
{
    j = nr_json_get(j, name);
    if (!nr_json_is(j, NR_JSON_STRING))
        return false;
    *out = j->text;
    return true;
}

bool
nr_json_i64(const struct nr_json *j, int64_t *out)
{
    struct nr_str s;
    uint64_t v;
    bool minus;

    if (!nr_json_is(j, NR_JSON_NUMBER))
        return false;
    s = j->text;
    minus = s.p[0] == '-';
    s.p += minus;
    s.n -= minus;
    if (!nr_str_to_u64(s, &v) || v > (uint64_t)INT64_MAX + minus)
        return false;
    *out = minus ? (int64_t) - (int64_t)(v - (v > 0)) - (v > 0) : (int64_t)v;
    return true;
}

bool
nr_json_get_i64(const struct nr_json *j, struct nr_str name, int64_t *out)
{
    return nr_json_i64(nr_json_get(j, name), out);
}

bool
nr_json_double(const struct nr_json *j, double *out)
{
    char buf[NR_JSON_NUMBER_MAX + 1];
    double v;

    if (!nr_json_is(j, NR_JSON_NUMBER) || j->text.n > NR_JSON_NUMBER_MAX)
        return false;
    memcpy(buf, j->text.p, j->text.n);
    buf[j->text.n] = '\0';
    v = strtod(buf, NULL); /* no program here calls setlocale() */
    if (!isfinite(v))
        return false;
    *out = v;
    return true;
}
