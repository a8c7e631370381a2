/* POST /v1/answers: what members found in their own logs (doc/hub-api.md). */
#include "base/date.h"
#include "base/table.h"
#include "hub/object.h"
#include "hub/server.h"
#include "picture/picture.h"

struct refused {
    struct nr_str id;
    const char *message;
};

struct answers {
    struct nr_fact *facts;
    size_t n;
    struct refused *refused;
    size_t n_refused;
    int64_t accepted, known;
};

static void
refuse(struct answers *a, const struct nr_json *v, const char *message)
{
    struct refused *r = &a->refused[a->n_refused++];

    r->message = message;
    if (!nr_json_get_str(v, NR_STR("id"), &r->id))
        r->id = NR_STR("");
}

static bool
sighted_here(const struct nr_json *v, struct nr_str pseudonym)
{
    const struct nr_json *where = nr_json_get(v, NR_STR("where_sighted_refs"));

    return nr_json_is(where, NR_JSON_ARRAY) && where->n == 1 &&
        nr_json_is(where->child, NR_JSON_STRING) &&
        nr_str_eq(where->child->text, pseudonym);
}

static bool
has_time(const struct nr_json *v, struct nr_str name)
{
    struct nr_str text;
    int64_t us;

    return nr_json_get_str(v, name, &text) &&
        nr_rfc3339_parse(nr_bytes_of(text), &us, NULL) == NR_OK;
}

/* What is wrong with the answer V beyond its being STIX; NULL: nothing. */
static const char *
fault_of(const struct nr_json *v, struct nr_str pseudonym)
{
    enum nr_extent_answer answer;
    struct nr_str text;
    double coverage;
    int64_t n;

    if (!nr_json_get_str(v, NR_STR("type"), &text) ||
        !nr_str_eq(text, NR_STR("sighting")))
        return "an answer is a sighting";
    if (!nr_json_get_str(v, NR_STR("sighting_of_ref"), &text) ||
        !nr_stix_id_is(text, NR_STR("indicator")))
        return "sighting_of_ref must name an indicator";
    if (!sighted_here(v, pseudonym) ||
        (nr_json_get_str(v, NR_STR("created_by_ref"), &text) &&
            !nr_str_eq(text, pseudonym)))
        return "where_sighted_refs and created_by_ref must be the caller's "
               "pseudonym";
    if (!nr_json_get_str(v, NR_STR("x_noroshi_answer"), &text) ||
        !nr_extent_answer_from_name(text, &answer))
        return "x_noroshi_answer is seen, denied, not-seen or cannot-say";
    if (!nr_json_get_i64(v, NR_STR("count"), &n) || n < 0 || n > 999999999)
        return "count is missing or outside 0..999999999 (STIX section 5.2)";
    if (answer == NR_EXTENT_SEEN &&
        (n == 0 || !has_time(v, NR_STR("first_seen")) ||
            !has_time(v, NR_STR("last_seen"))))
        return "seen needs count, first_seen and last_seen";
    if (!has_time(v, NR_STR("modified")))
        return "modified is required";
    v = nr_json_get(v, NR_STR("x_noroshi_coverage"));
    if (v &&
        (!nr_json_double(nr_json_get(v, NR_STR("coverage")), &coverage) ||
            !(coverage >= 0.0 && coverage <= 1.0)))
        return "x_noroshi_coverage.coverage is outside 0..1";
    return NULL;
}

/* The collections of the indicators named, as far as the member sees them. */
static enum nr_err
find_collections(struct nr_request *q, const struct nr_json *list,
    struct nr_table *found, struct nr_diag *d)
{
    struct nr_str *ids = nr_new(&q->arena, struct nr_str, list->n);
    struct nr_query query = { .after_us = INT64_MIN,
        .ids = ids,
        .versions = NR_VERSION_ALL };
    struct nr_db *db;
    struct nr_cursor c;
    struct nr_fact f;
    struct nr_str id;
    enum nr_err err;

    if (!ids)
        return nr_fail(d, NR_ENOMEM, 0, "answers: too many");
    for (const struct nr_json *v = list->child; v; v = v->next)
        if (nr_json_get_str(v, NR_STR("sighting_of_ref"), &id) &&
            nr_stix_id_is(id, NR_STR("indicator")))
            ids[query.n_ids++] = id;
    if (query.n_ids == 0)
        return NR_OK;
    db = nr_pool_get(&q->server->pool);
    err = nr_gate_open(&c, db, &q->reader, &query, d);
    while (!err && !(err = nr_gate_next(&c, &f, d))) {
        if (!nr_store_dup(&q->arena, f.subject, &id) ||
            !nr_table_put(found, nr_bytes_of(id), (uint64_t)f.collection, NULL))
            err = nr_fail(d, NR_ENOMEM, 0, "answers: too many");
    }
    nr_gate_close(&c);
    nr_pool_put(&q->server->pool, db);
    return err == NR_ENOTFOUND ? NR_OK : err;
}

static void
take_answer(struct nr_request *q, struct answers *a, const struct nr_json *v,
    const struct nr_table *found)
{
    const char *fault = fault_of(v, q->reader.pseudonym);
    struct nr_fact *f = &a->facts[a->n];
    struct nr_diag d = { 0 };
    struct nr_str indicator;
    const uint64_t *collection;

    if (fault) {
        refuse(a, v, fault);
        return;
    }
    (void)nr_json_get_str(v, NR_STR("sighting_of_ref"), &indicator);
    collection = nr_table_get(found, nr_bytes_of(indicator));
    if (!collection) {
        refuse(a, v, "no such indicator");
        return;
    }
    if (nr_object_fact(v, nr_buf_bytes(&q->body), &q->reader,
            (int64_t)*collection, f, &d)) {
        refuse(a, v, d.what ? d.what : "not STIX");
        return;
    }
    f->kind = NR_FACT_ANSWER;
    f->audience = NR_AUDIENCE_AUTHORITIES;
    a->n++;
}

static enum nr_err
run_answers(struct nr_write *w, struct nr_db *db, struct nr_diag *d)
{
    struct nr_request *q = nr_request_of(w);
    struct answers *a = q->state;
    enum nr_err err = NR_OK;

    a->accepted = a->known = 0;
    for (size_t i = 0; !err && i < a->n; i++) {
        struct nr_fact *f = &a->facts[i];
        int64_t other = 0;

        err = nr_db_i64(db, d, 0, &other,
            "SELECT 1 FROM fact WHERE subject=?1 AND author<>?2 LIMIT 1", "ti",
            f->subject, f->author);
        if (!err && other)
            err = nr_fail(d, NR_EDENIED, 0,
                "answers: an id that another member's answer has");
        if (!err)
            err = nr_store_append(db, q->server->env, f, d);
        a->known += f->known;
        a->accepted += !f->known;
    }
    return err;
}

static void
finish_answers(struct nr_request *q)
{
    const struct answers *a = q->state;
    struct nr_json_out o;

    if (q->write.err) {
        nr_reply_fail(q, q->write.err, &q->write.diag);
        return;
    }
    (void)atomic_fetch_add(&q->server->metrics.facts, (size_t)a->accepted);
    nr_reply_open(q, &o);
    nr_json_open_object(&o);
    nr_json_member_i64(&o, NR_STR("accepted"), a->accepted);
    nr_json_member_i64(&o, NR_STR("known"), a->known);
    if (a->n_refused > 0) {
        nr_json_key(&o, NR_STR("refused"));
        nr_json_open_array(&o);
        for (size_t i = 0; i < a->n_refused; i++) {
            nr_json_open_object(&o);
            nr_json_member_str(&o, NR_STR("id"), a->refused[i].id);
            nr_json_member_str(&o, NR_STR("message"),
                nr_str_of(a->refused[i].message));
            nr_json_close_object(&o);
        }
        nr_json_close_array(&o);
    }
    nr_json_close_object(&o);
    nr_reply_close(q, &o, 200);
}

static struct answers *
make_answers(struct nr_request *q, const struct nr_json *list)
{
    struct answers *a = nr_new(&q->arena, struct answers, 1);
    struct nr_diag d = { 0 };
    struct nr_table found;
    enum nr_err err;

    if (a)
        a->facts = nr_new(&q->arena, struct nr_fact, list->n);
    if (a)
        a->refused = nr_new(&q->arena, struct refused, list->n);
    if (!a || !a->facts || !a->refused) {
        nr_reply_error(q, 413, "Too large", "Send less at a time.");
        return NULL;
    }
    nr_table_init(&found, (uint64_t)(uintptr_t)q ^ q->server->salt[0]);
    err = find_collections(q, list, &found, &d);
    for (const struct nr_json *v = list->child; !err && v; v = v->next)
        take_answer(q, a, v, &found);
    nr_table_fini(&found);
    if (err)
        nr_reply_fail(q, err, &d);
    return err ? NULL : a;
}

void
nr_post_answers(struct nr_request *q)
{
    const struct nr_json *j = nr_request_json(q), *list;
    struct answers *a;

    if (!j)
        return;
    list = nr_json_get(j, NR_STR("answers"));
    if (!nr_json_is(list, NR_JSON_ARRAY) || list->n == 0) {
        nr_reply_error(q, 422, "Not answers",
            "Send \"answers\", an array of sightings.");
        return;
    }
    if (list->n > NR_HUB_OBJECTS_MAX) {
        nr_reply_error(q, 413, "Too many objects",
            "At most 10000 answers at once; send several.");
        return;
    }
    q->state = a = make_answers(q, list);
    if (!a)
        return;
    if (a->n > 0)
        nr_request_write(q, run_answers, finish_answers);
    else
        finish_answers(q);
}
