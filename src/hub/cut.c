#include "hub/cut.h"

#include "hub/object.h"

struct cut {
    struct nr_cursor *c;
    struct nr_diag *d;
    struct nr_json_out o;
    struct nr_bytes body;
    enum nr_err err;
    bool lost; /* what the object cannot be without */
    bool changed;
    bool own; /* the reader is the author */
};

/* Hidden: the log has facts under that id, and none of them is the reader's to
 * see. An id that the log does not know says nothing about it; pseudonyms (kind
 * membership) are there to be shown. */
static bool
is_hidden(struct cut *x, struct nr_str id)
{
    sqlite3_stmt *st = NULL;
    struct nr_fact f;
    bool some = false, may = false;
    enum nr_err err = nr_db_query(x->c->db, x->d, &st,
        "SELECT " NR_FACT_COLUMNS " FROM fact WHERE subject=?1 AND kind<10",
        "t", id);

    while (!err && !may) {
        err = nr_db_row(x->c->db, st, x->d);
        if (err)
            break;
        nr_store_fact(st, &f);
        some = true;
        may = nr_gate_may(x->c->reader, &f);
    }
    nr_db_done(st);
    if (err && err != NR_ENOTFOUND)
        x->err = err;
    return some && !may;
}

static bool
is_cut(struct cut *x, const struct nr_json *j)
{
    bool hidden = nr_json_is(j, NR_JSON_STRING) &&
        nr_stix_id_parse(j->text, NULL) && is_hidden(x, j->text);

    x->changed |= hidden;
    return hidden;
}

static bool
is_needed(struct nr_str key)
{
    static const char *const names[] = { "source_ref", "target_ref",
        "sighting_of_ref", "object_ref" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (nr_str_eq(key, nr_str_of(names[i])))
            return true;
    return false;
}

static void
put_array(struct cut *x, const struct nr_json *j)
{
    size_t kept = 0;

    nr_json_key(&x->o, j->key);
    nr_json_open_array(&x->o);
    for (const struct nr_json *v = j->child; v; v = v->next) {
        if (is_cut(x, v))
            continue;
        nr_json_put_raw(&x->o, nr_json_span(x->body, v));
        kept++;
    }
    nr_json_close_array(&x->o);
    if (j->n > 0 && kept == 0)
        x->lost = true; /* an empty list is no STIX (section 2.1) */
}

static void
put_member(struct cut *x, const struct nr_json *j)
{
    if (nr_str_eq(j->key, NR_STR("id"))) {
        nr_json_member_str(&x->o, j->key, j->text);
        return;
    }
    /* who else was told is not the reader's to know */
    if (nr_str_eq(j->key, NR_STR("x_noroshi_audience")) && !x->own) {
        x->changed = true;
        return;
    }
    if (is_cut(x, j)) {
        if (is_needed(j->key))
            x->lost = true;
        return;
    }
    if (nr_json_is(j, NR_JSON_ARRAY)) {
        put_array(x, j);
        return;
    }
    nr_json_key(&x->o, j->key);
    nr_json_put_raw(&x->o, nr_json_span(x->body, j));
}

enum nr_err
nr_cut(struct nr_cursor *c, struct nr_fact *f, bool *shown, struct nr_diag *d)
{
    struct cut x = { .c = c,
        .d = d,
        .body = f->body,
        .own = f->author == c->reader->member };
    const struct nr_json *j;
    enum nr_err err;

    *shown = true;
    nr_arena_reset(&c->arena);
    nr_buf_reset(&c->cut);
    err = nr_json_parse(&c->arena, f->body, &j, d);
    if (err)
        return nr_fail(d, NR_EDAMAGED, 0, "store: a body does not parse");
    nr_json_out_init(&x.o, &c->cut);
    nr_json_open_object(&x.o);
    for (const struct nr_json *m = j->child; m; m = m->next)
        put_member(&x, m);
    nr_json_close_object(&x.o);
    err = nr_json_out_end(&x.o);
    if (x.err)
        return x.err;
    if (err)
        return nr_fail(d, err, 0, "store: a body is too large to cut");
    *shown = !x.lost;
    if (x.changed)
        f->body = nr_buf_bytes(&c->cut);
    return NR_OK;
}
