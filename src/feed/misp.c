/*
 * One MISP event (MISP core format, misp-standard.org): its attributes and
 * those of its objects.
 *
 * to_ids says that an attribute is fit for detection. Many publishers never
 * set it; so where an event uses it, an attribute without it is taken with the
 * role "contextual", and where an event never does, it says nothing.
 */
#include "feed/take.h"

struct event {
    struct nr_feed *f;
    struct nr_diag *d;
    struct nr_indicator about; /* what the event says of all attributes */
    bool uses_ids;
};

static struct nr_str
str(const struct nr_json *j, struct nr_str name)
{
    struct nr_str s = { "", 0 };

    (void)nr_json_get_str(j, name, &s);
    return s;
}

/* Booleans come as true, "1" and 1. */
static bool
truth(const struct nr_json *j, struct nr_str name)
{
    const struct nr_json *v = nr_json_get(j, name);

    if (!v)
        return false;
    return v->type == NR_JSON_BOOL
        ? v->truth
        : nr_str_eq(v->text, NR_STR("1")) || nr_str_eq(v->text, NR_STR("true"));
}

static void
mark_all(struct nr_indicator *i, const struct nr_json *j)
{
    const struct nr_json *tags = nr_json_get(j, NR_STR("Tag"));

    for (const struct nr_json *t = tags ? tags->child : NULL; t; t = t->next)
        nr_feed_mark(i, str(t, NR_STR("name")));
}

static int64_t
date(const struct nr_json *j, struct nr_str name)
{
    struct nr_str s;

    return nr_json_get_str(j, name, &s) ? nr_feed_date(s) : NR_TIME_NONE;
}

static enum nr_err
take(struct event *e, const struct nr_json *a)
{
    struct nr_str value = str(a, NR_STR("value"));
    struct nr_feed_value v = nr_feed_value_of(nr_bytes_of(value), 0, a->at);
    int64_t first = date(a, NR_STR("first_seen"));
    int64_t last = date(a, NR_STR("last_seen"));

    if (truth(a, NR_STR("deleted")))
        return NR_OK;
    v.type = str(a, NR_STR("type"));
    v.about = e->about;
    v.about.first_seen_s = first;
    v.about.last_seen_s = last;
    if (e->uses_ids && !truth(a, NR_STR("to_ids")))
        v.about.role = NR_ROLE_CONTEXTUAL;
    mark_all(&v.about, a);
    if (value.n)
        return nr_feed_take(e->f, &v, e->d);
    v.text = nr_bytes_of(v.type);
    e->f->stats.values++;
    return nr_feed_note(e->f, NR_FEED_REFUSED,
        "misp: attribute without a value", &v);
}

static enum nr_err
each(struct event *e, const struct nr_json *holder,
    enum nr_err (*f)(struct event *, const struct nr_json *))
{
    const struct nr_json *v = nr_json_get(holder, NR_STR("Attribute"));
    enum nr_err err = NR_OK;

    for (v = v ? v->child : NULL; v && !err; v = v->next)
        if (nr_json_is(v, NR_JSON_OBJECT))
            err = f(e, v);
    return err;
}

static enum nr_err
all(struct event *e, const struct nr_json *event,
    enum nr_err (*f)(struct event *, const struct nr_json *))
{
    const struct nr_json *o = nr_json_get(event, NR_STR("Object"));
    enum nr_err err = each(e, event, f);

    for (o = o ? o->child : NULL; o && !err; o = o->next)
        if (!truth(o, NR_STR("deleted")))
            err = each(e, o, f);
    return err;
}

/* Before taking: is to_ids used, and where is the report? */
static enum nr_err
look(struct event *e, const struct nr_json *a)
{
    e->uses_ids |= truth(a, NR_STR("to_ids"));
    if (!e->about.said.reference.n &&
        nr_str_eq(str(a, NR_STR("type")), NR_STR("link")))
        e->about.said.reference = str(a, NR_STR("value"));
    return NR_OK;
}

enum nr_err
nr_feed_misp(struct nr_feed *f, const struct nr_json *event, struct nr_diag *d)
{
    struct nr_str org = str(nr_json_get(event, NR_STR("Orgc")), NR_STR("name"));
    struct event e = { .f = f,
        .d = d,
        .about = nr_indicator_of(NR_KIND_DOMAIN, (struct nr_bytes){ 0 }) };
    enum nr_err err;

    if (!org.n)
        org = str(nr_json_get(event, NR_STR("Org")), NR_STR("name"));
    e.about.said.source = org;
    e.about.said.date_s = date(event, NR_STR("date"));
    e.about.valid_from_s = e.about.said.date_s;
    mark_all(&e.about, event);
    err = all(&e, event, look);
    if (!e.about.said.reference.n)
        e.about.said.reference = str(event, NR_STR("info"));
    return err ? err : all(&e, event, take);
}
