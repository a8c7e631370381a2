/*
 * STIX objects of a source: indicators become entries by the atoms of their
 * patterns; identities and marking definitions lend their names and rules.
 */
#include "stix/stix.h"
#include "feed/json_feed.h"

#define OBJECT_MEMORY ((size_t)256 << 20)

static struct nr_feed_named *
named(struct nr_json_feed *s, struct nr_str id)
{
    uint64_t *at = s->by_id.cap ? nr_table_get(&s->by_id, nr_bytes_of(id))
                                : NULL;

    return at ? (struct nr_feed_named *)(uintptr_t)*at : NULL;
}

static const char *
keep(struct nr_json_feed *s, struct nr_bytes text)
{
    char *p = nr_new(&s->names, char, text.n + 1);

    if (p && text.n)
        memcpy(p, text.p, text.n);
    return p;
}

enum nr_err
nr_feed_stix_learn(struct nr_json_feed *s, const struct nr_json *j,
    struct nr_bytes text, struct nr_diag *d)
{
    struct nr_str type = { "", 0 }, id = { "", 0 };
    struct nr_feed_named *n;
    const struct nr_json *copy;
    const char *p;
    enum nr_err err;

    (void)nr_json_get_str(j, NR_STR("type"), &type);
    if (!nr_str_eq(type, NR_STR("identity")) &&
        !nr_str_eq(type, NR_STR("marking-definition")))
        return NR_OK;
    p = keep(s, text);
    n = nr_new(&s->names, struct nr_feed_named, 1);
    if (!p || !n)
        return nr_fail(d, NR_ENOMEM, 0, "feed: out of memory");
    err = nr_json_parse(&s->names,
        (struct nr_bytes){ (const uint8_t *)p, text.n }, &copy, d);
    if (err)
        return err;
    (void)nr_json_get_str(copy, NR_STR("id"), &id);
    if (nr_str_eq(type, NR_STR("identity")))
        (void)nr_json_get_str(copy, NR_STR("name"), &n->name);
    else
        n->marking = copy;
    if (!nr_table_put(&s->by_id, nr_bytes_of(id), (uint64_t)(uintptr_t)n, NULL))
        return nr_fail(d, NR_ENOMEM, 0, "feed: out of memory");
    return NR_OK;
}

static const struct nr_json *
find_marking(void *ctx, struct nr_str id)
{
    const struct nr_feed_named *n = named(ctx, id);

    return n ? n->marking : NULL;
}

static int64_t
seconds(int64_t us)
{
    return us == NR_TIME_NONE
        ? NR_TIME_NONE
        : (us - (us < 0 ? NR_US_PER_S - 1 : 0)) / NR_US_PER_S;
}

static struct nr_str
reference_of(const struct nr_json *refs)
{
    struct nr_str s = { "", 0 };

    for (const struct nr_json *r = refs ? refs->child : NULL; r; r = r->next)
        if (nr_json_get_str(r, NR_STR("url"), &s))
            return s;
    return s;
}

static void
describe(struct nr_json_feed *s, const struct nr_json *j,
    const struct nr_stix_indicator *in, struct nr_feed_value *v)
{
    struct nr_marking m = nr_stix_marking(j, find_marking, s, NULL);
    const struct nr_feed_named *by = named(s, in->head.created_by_ref);
    enum nr_role role;

    v->about.said.id = in->head.id;
    v->about.said.source = by ? by->name : in->head.created_by_ref;
    v->about.said.reference = reference_of(in->head.external_references);
    v->about.said.date_s = seconds(in->head.created_us);
    v->about.valid_from_s = seconds(in->valid_from_us);
    v->about.valid_until_s = seconds(in->valid_until_us);
    v->about.first_seen_s = seconds(in->first_seen_us);
    v->about.last_seen_s = seconds(in->last_seen_us);
    v->about.tlp = (uint8_t)m.tlp;
    v->about.pap = (uint8_t)m.pap;
    if (nr_role_from_name(in->role, &role))
        v->about.role = (uint8_t)role;
}

static enum nr_err
note(struct nr_json_feed *s, enum nr_feed_note_kind kind, const char *why,
    const struct nr_feed_value *v, struct nr_diag *d)
{
    enum nr_err err = nr_feed_note(s->f, kind, why, v);

    s->f->stats.values++;
    return err ? nr_fail(d, err, 0, "feed: out of memory") : NR_OK;
}

static enum nr_err
take_atom(struct nr_json_feed *s, const struct nr_stix_atom *atom,
    struct nr_feed_value v, struct nr_diag *d)
{
    struct nr_diag why = { 0 };
    struct nr_str name = nr_str_of(nr_kind_name(atom->kind));
    enum nr_kind kind = atom->kind;
    enum nr_err err;

    /* A range stands in the property of an address, and the other way. */
    if (kind <= NR_KIND_IPV6)
        name = NR_STR("ip");
    v.text = nr_bytes_of(atom->value);
    nr_buf_reset(&s->f->key);
    err = nr_canon_named(name, atom->value, &kind, &s->f->key, &why);
    if (err == NR_ENOMEM)
        return nr_fail(d, err, 0, "feed: out of memory");
    if (err)
        return note(s, NR_FEED_REFUSED,
            why.what ? why.what : "value: not of its kind", &v, d);
    s->f->stats.values++;
    return nr_feed_take_key(s->f, kind, nr_buf_bytes(&s->f->key), &v, d);
}

static enum nr_err
take_pattern(struct nr_json_feed *s, struct nr_arena *a,
    const struct nr_stix_indicator *in, const struct nr_feed_value *v,
    struct nr_diag *d)
{
    const struct nr_stix_node *tree;
    struct nr_stix_atoms atoms = { 0 };
    struct nr_diag why = { 0 };
    enum nr_err err;

    if (in->pattern_type.n && !nr_str_eq(in->pattern_type, NR_STR("stix")))
        return note(s, NR_FEED_UNMATCHABLE,
            "indicator: its pattern is not in the STIX language", v, d);
    err = nr_stix_pattern_parse(a, in->pattern, &tree, &why);
    if (err && err != NR_ENOMEM)
        return note(s, NR_FEED_REFUSED,
            why.what ? why.what : "pattern: malformed", v, d);
    if (err)
        return nr_fail(d, err, 0, "feed: out of memory");
    if (!err)
        err = nr_stix_pattern_atoms(a, tree, &atoms, d);
    for (size_t i = 0; i < atoms.n && !err; i++)
        err = take_atom(s, &atoms.v[i], *v, d);
    for (size_t i = 0; i < atoms.n_rest && !err; i++)
        err = note(s, NR_FEED_UNMATCHABLE, atoms.rest[i].why, v, d);
    return err;
}

static enum nr_err
take_indicator(struct nr_json_feed *s, struct nr_arena *a,
    const struct nr_json *j, struct nr_diag *d)
{
    struct nr_feed_value v = nr_feed_value_of((struct nr_bytes){ 0 }, 0, j->at);
    struct nr_stix_indicator in;
    struct nr_diag why = { 0 };
    struct nr_str id = { "", 0 };
    enum nr_err err;

    (void)nr_json_get_str(j, NR_STR("id"), &id);
    v.text = nr_bytes_of(id);
    err = nr_stix_indicator_read(a, j, &in, &why);
    if (err && err != NR_ENOMEM)
        return note(s, NR_FEED_REFUSED,
            why.what ? why.what : "indicator: malformed", &v, d);
    if (err)
        return nr_fail(d, err, 0, "feed: out of memory");
    if (in.head.revoked)
        return note(s, NR_FEED_REFUSED, "indicator: revoked by its author", &v,
            d);
    describe(s, j, &in, &v);
    v.text = nr_bytes_of(in.pattern);
    return take_pattern(s, a, &in, &v, d);
}

enum nr_err
nr_feed_stix_object(struct nr_json_feed *s, const struct nr_json *j,
    struct nr_diag *d)
{
    struct nr_str type = { "", 0 };
    struct nr_arena a;
    enum nr_err err;

    (void)nr_json_get_str(j, NR_STR("type"), &type);
    if (!nr_str_eq(type, NR_STR("indicator"))) {
        s->f->stats.others++;
        return NR_OK;
    }
    nr_arena_init(&a, OBJECT_MEMORY);
    err = take_indicator(s, &a, j, d);
    nr_arena_fini(&a);
    return err;
}
