/*
 * RFC 8785: members sorted by the UTF-16 code units of their names, numbers
 * as ECMAScript prints them, no white space. The walk keeps one sorted list a
 * level in the scratch arena.
 */
#include "json/json.h"

#include <stdlib.h>

struct level {
    const struct nr_json **v;
    size_t n, i;
    bool object;
};

/* Order of UTF-16 code units on UTF-8: that of octets, but that characters
 * beyond U+FFFF (lead octet F0 on) come as surrogates before U+E000. */
static int
utf16_cmp(struct nr_str a, struct nr_str b)
{
    size_t i = 0, n = a.n < b.n ? a.n : b.n;
    uint8_t x, y;

    while (i < n && a.p[i] == b.p[i])
        i++;
    if (i == n)
        return (a.n > b.n) - (a.n < b.n);
    x = (uint8_t)a.p[i];
    y = (uint8_t)b.p[i];
    if ((x >= 0xf0 && y >= 0xee && y < 0xf0) ||
        (y >= 0xf0 && x >= 0xee && x < 0xf0))
        return x >= 0xf0 ? -1 : 1;
    return x < y ? -1 : 1;
}

static int
by_name(const void *a, const void *b)
{
    const struct nr_json *const *x = a, *const *y = b;

    return utf16_cmp((*x)->key, (*y)->key);
}

static bool
open_level(struct nr_arena *a, const struct nr_json *j, struct level *l)
{
    *l = (struct level){ .object = j->type == NR_JSON_OBJECT };
    l->v = nr_new(a, const struct nr_json *, j->n);
    if (!l->v)
        return false;
    for (const struct nr_json *m = j->child; m; m = m->next)
        l->v[l->n++] = m;
    if (l->object)
        qsort(l->v, l->n, sizeof(void *), by_name);
    return true;
}

static enum nr_err
put_scalar(struct nr_json_out *o, const struct nr_json *j, struct nr_diag *d)
{
    double v;

    if (j->type != NR_JSON_NUMBER) {
        nr_json_put_tree(o, j);
        return NR_OK;
    }
    if (!nr_json_double(j, &v))
        return nr_fail(d, NR_EFORMAT, j->at,
            "json: number beyond double [RFC 8785 3.1]");
    nr_json_put_double(o, v);
    return NR_OK;
}

static void
close_level(struct nr_json_out *o, const struct level *l)
{
    if (l->object)
        nr_json_close_object(o);
    else
        nr_json_close_array(o);
}

enum nr_err
nr_json_canon(struct nr_arena *scratch, const struct nr_json *j,
    struct nr_buf *buf, struct nr_diag *d)
{
    struct level up[NR_JSON_DEPTH_MAX] = { 0 };
    struct nr_json_out o;
    size_t depth = 0, start = buf->n;
    enum nr_err err = NR_OK;

    nr_json_out_init(&o, buf);
    while (j && !err) {
        if (depth > 0 && up[depth - 1].object)
            nr_json_key(&o, j->key);
        if (j->type != NR_JSON_OBJECT && j->type != NR_JSON_ARRAY) {
            err = put_scalar(&o, j, d);
        } else if (depth == NR_JSON_DEPTH_MAX) {
            err = nr_fail(d, NR_ELIMIT, j->at, "json: nested deeper than 64");
        } else if (!open_level(scratch, j, &up[depth])) {
            err = nr_fail(d, NR_ENOMEM, j->at, "json: out of memory");
        } else if (up[depth++].object) {
            nr_json_open_object(&o);
        } else {
            nr_json_open_array(&o);
        }
        while (depth > 0 && up[depth - 1].i == up[depth - 1].n)
            close_level(&o, &up[--depth]);
        j = depth > 0 ? up[depth - 1].v[up[depth - 1].i++] : NULL;
    }
    if (!err && nr_json_out_end(&o))
        err = nr_fail(d, buf->err ? buf->err : NR_EFORMAT, 0,
            "json: canonical form does not fit its buffer");
    if (err)
        buf->n = start;
    return err;
}
