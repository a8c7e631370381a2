/*
 * JSON sources, whatever their envelope: {"objects":[..]} (a STIX bundle, a
 * TAXII envelope), {"response":[..]} (MISP), a bare array, a single object.
 *
 * Two passes over the octets, both in flat memory: the first finds every fault
 * and the names that objects refer to, so that nothing is taken from a source
 * that turns out to be broken.
 */
#include "feed/json_feed.h"

#define NAMES_MEMORY ((size_t)1 << 30)

static bool
has(const struct nr_json *j, struct nr_str name, enum nr_json_type type)
{
    return nr_json_is(nr_json_get(j, name), type);
}

/* {"Event":{..}} or the event itself. */
static const struct nr_json *
event_of(const struct nr_json *j)
{
    const struct nr_json *e = nr_json_get(j, NR_STR("Event"));

    if (nr_json_is(e, NR_JSON_OBJECT))
        return e;
    if (has(j, NR_STR("Attribute"), NR_JSON_ARRAY) ||
        has(j, NR_STR("Object"), NR_JSON_ARRAY))
        return j;
    return NULL;
}

static bool
is_stix(const struct nr_json *j)
{
    struct nr_str id;

    return has(j, NR_STR("type"), NR_JSON_STRING) &&
        nr_json_get_str(j, NR_STR("id"), &id) &&
        memmem(id.p, id.n, "--", 2) != NULL;
}

static enum nr_err
refuse(struct nr_json_feed *s, const struct nr_json *j, struct nr_bytes text,
    const char *why)
{
    struct nr_feed_value v = nr_feed_value_of(nr_json_is(j, NR_JSON_STRING)
            ? nr_bytes_of(j->text)
            : text,
        0, j->at);

    s->f->stats.values++;
    return nr_feed_note(s->f, NR_FEED_REFUSED, why, &v);
}

static enum nr_err
take_member(void *ctx, const struct nr_json *j, struct nr_bytes text,
    struct nr_diag *d)
{
    struct nr_json_feed *s = ctx;
    const struct nr_json *event = event_of(j);

    if (nr_json_is(j, NR_JSON_STRING)) {
        struct nr_feed_value v = nr_feed_value_of(nr_bytes_of(j->text), 0,
            j->at);

        return nr_feed_take(s->f, &v, d);
    }
    if (event)
        return nr_feed_misp(s->f, event, d);
    if (is_stix(j))
        return nr_feed_stix_object(s, j, d);
    return refuse(s, j, text, "json: neither a STIX object nor a MISP event");
}

static enum nr_err
learn_member(void *ctx, const struct nr_json *j, struct nr_bytes text,
    struct nr_diag *d)
{
    return is_stix(j) ? nr_feed_stix_learn(ctx, j, text, d) : NR_OK;
}

static enum nr_err
pass(struct nr_json_feed *s, struct nr_bytes in, const char *name,
    enum nr_err (*member)(void *, const struct nr_json *, struct nr_bytes,
        struct nr_diag *),
    bool *found, struct nr_diag *d)
{
    struct nr_json_stream_conf conf = { .name = nr_str_of(name),
        .member_max = NR_FEED_OBJECT_MAX,
        .envelope_max = NR_FEED_OBJECT_MAX,
        .member = member,
        .ctx = s };
    struct nr_json_stream *t = nr_json_stream_create(&conf);
    enum nr_err err;

    if (!t)
        return nr_fail(d, NR_ENOMEM, 0, "feed: out of memory");
    err = nr_json_stream_feed(t, in, d);
    if (!err)
        err = nr_json_stream_end(t, NULL, found, d);
    nr_json_stream_destroy(t);
    return err;
}

/* One object that is no envelope: parsed whole. */
static enum nr_err
single(struct nr_json_feed *s, struct nr_bytes in, struct nr_diag *d)
{
    const struct nr_json *j = NULL;
    struct nr_arena a;
    enum nr_err err;

    nr_arena_init(&a, NAMES_MEMORY);
    err = nr_json_parse(&a, in, &j, d);
    if (!err && !nr_json_is(j, NR_JSON_OBJECT))
        err = nr_fail(d, NR_EFORMAT, 0,
            "json: neither an object nor an array of objects");
    if (!err)
        err = take_member(s, j, nr_json_span(in, j), d);
    nr_arena_fini(&a);
    return err;
}

static enum nr_err
walk(struct nr_json_feed *s, struct nr_bytes in, struct nr_diag *d)
{
    static const char *const names[] = { "", "objects", "response" };
    enum nr_err err = NR_OK;

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct nr_diag why = { 0 };
        bool found = false;

        /* An envelope may be too long because the array has another name. */
        err = pass(s, in, names[i], learn_member, &found, &why);
        if (err && err != NR_ELIMIT) {
            if (d)
                *d = why;
            return err;
        }
        if (err || !found)
            continue;
        return pass(s, in, names[i], take_member, &found, d);
    }
    if (in.n > NR_FEED_OBJECT_MAX)
        return nr_fail(d, NR_ELIMIT, 0,
            "json: one object is longer than 64 MiB");
    return single(s, in, d);
}

enum nr_err
nr_feed_json(struct nr_feed *f, struct nr_bytes in, enum nr_feed_format format,
    struct nr_diag *d)
{
    struct nr_json_feed s = { .f = f };
    enum nr_err err;

    (void)format; /* every object says itself what it is */
    nr_arena_init(&s.names, NAMES_MEMORY);
    nr_table_init(&s.by_id, f->conf.seed[0]);
    err = walk(&s, in, d);
    nr_table_fini(&s.by_id);
    nr_arena_fini(&s.names);
    return err;
}
