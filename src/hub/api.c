/* The hub's own interface (doc/hub-api.md): hub, join, reports, health. */
#include "base/date.h"
#include "base/hash.h"
#include "hub/object.h"
#include "hub/server.h"

#include <stdio.h>

#define PUBLIC_KEY_HEX ((size_t)64)

void
nr_get_hub(struct nr_request *q)
{
    struct nr_server *s = q->server;
    char text[NR_RFC3339_MAX];
    struct nr_json_out o;

    nr_reply_open(q, &o);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("name"), s->title);
    nr_json_member_str(&o, NR_STR("certificate"), s->cert);
    nr_json_member_str(&o, NR_STR("time"),
        nr_str_of(nr_time_print_us(s->env->now_us(s->env->ctx), text)));
    nr_json_close_object(&o);
    nr_reply_close(q, &o, 200);
}

void
nr_get_health(struct nr_request *q)
{
    struct nr_db *db = nr_pool_get(&q->server->pool);
    struct nr_diag d = { 0 };
    struct nr_json_out o;
    int64_t n;
    enum nr_err err = nr_db_i64(db, &d, 0, &n, "SELECT count(*) FROM meta", "");

    nr_pool_put(&q->server->pool, db);
    if (err) {
        nr_reply_fail(q, err, &d);
        q->status = 503;
        return;
    }
    nr_reply_open(q, &o);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("status"), NR_STR("ok"));
    nr_json_close_object(&o);
    nr_reply_close(q, &o, 200);
}

void
nr_get_metrics(struct nr_request *q)
{
    struct nr_server *s = q->server;
    uint64_t commits, writes;

    if (!nr_hub_role_is_authority(q->reader.role)) {
        nr_reply_error(q, 403, "Not allowed",
            "Metrics are for the hub's authorities.");
        return;
    }
    (void)pthread_mutex_lock(&s->writer.lock);
    commits = s->writer.commits;
    writes = s->writer.writes;
    (void)pthread_mutex_unlock(&s->writer.lock);
    nr_buf_reset(&q->reply);
    for (int i = 1; i < 6; i++)
        nr_buf_printf(&q->reply,
            "noroshi_hub_requests_total{status=\"%dxx\"} %llu\n", i,
            (unsigned long long)atomic_load(&s->metrics.requests[i]));
    nr_buf_printf(&q->reply,
        "noroshi_hub_facts_total %llu\nnoroshi_hub_joins_total %llu\n"
        "noroshi_hub_commits_total %llu\nnoroshi_hub_writes_total %llu\n"
        "noroshi_hub_streams %lld\nnoroshi_hub_requests_active %lld\n"
        "noroshi_hub_body_octets %zu\n",
        (unsigned long long)atomic_load(&s->metrics.facts),
        (unsigned long long)atomic_load(&s->metrics.joins),
        (unsigned long long)commits, (unsigned long long)writes,
        (long long)atomic_load(&s->metrics.streams),
        (long long)atomic_load(&s->metrics.active), atomic_load(&s->bodies));
    q->status = q->reply.err ? 500 : 200;
    q->media = "text/plain; version=0.0.4";
}

/* --- join ------------------------------------------------------------ */

struct join {
    struct nr_str code, public_key;
    struct nr_joined joined;
};

static enum nr_err
run_join(struct nr_write *w, struct nr_db *db, struct nr_diag *d)
{
    struct nr_request *q = nr_request_of(w);
    struct join *j = q->state;
    enum nr_err err = nr_store_join(db, q->server->env, j->code, j->public_key,
        &j->joined, d);

    return err
        ? err
        : nr_reader_of(db, &q->arena, j->joined.member, 0, 0, &q->reader, d);
}

static void
put_rights(struct nr_json_out *o, const struct nr_reader *r)
{
    nr_json_key(o, NR_STR("collections"));
    nr_json_open_array(o);
    for (size_t i = 0; i < r->n_rights; i++) {
        const struct nr_right *x = nr_gate_right(r, r->rights[i].collection);

        if (!x)
            continue;
        nr_json_open_object(o);
        nr_json_member_str(o, NR_STR("id"), x->uuid);
        nr_json_member_str(o, NR_STR("title"), x->title);
        nr_json_member_bool(o, NR_STR("can_read"), nr_gate_reads(r, x));
        nr_json_member_bool(o, NR_STR("can_write"), x->writes);
        nr_json_close_object(o);
    }
    nr_json_close_array(o);
}

static void
finish_join(struct nr_request *q)
{
    struct join *j = q->state;
    char text[NR_RFC3339_MAX];
    struct nr_json_out o;

    if (q->write.err) {
        nr_reply_fail(q, q->write.err, &q->write.diag);
        return;
    }
    (void)atomic_fetch_add(&q->server->metrics.joins, 1);
    nr_reply_open(q, &o);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("member"), q->reader.pseudonym);
    nr_json_member_str(&o, NR_STR("key"), nr_str_of(j->joined.key));
    nr_json_member_str(&o, NR_STR("expires"),
        nr_str_of(nr_time_print_us(j->joined.expires_us, text)));
    put_rights(&o, &q->reader);
    nr_json_member_str(&o, NR_STR("sector"), q->reader.sector);
    nr_json_member_str(&o, NR_STR("size"), q->reader.size);
    nr_json_member_str(&o, NR_STR("role"),
        nr_str_of(nr_hub_role_name(q->reader.role)));
    nr_json_close_object(&o);
    nr_reply_close(q, &o, 200);
    nr_reply_header(q, "Cache-Control", "no-store");
}

void
nr_post_join(struct nr_request *q)
{
    const struct nr_json *j = nr_request_json(q);
    struct join *x = j ? nr_new(&q->arena, struct join, 1) : NULL;
    uint8_t key[PUBLIC_KEY_HEX / 2];

    if (!x)
        return;
    if (!nr_json_get_str(j, NR_STR("code"), &x->code) ||
        !nr_json_get_str(j, NR_STR("public_key"), &x->public_key) ||
        !nr_hex_parse(nr_bytes_of(x->public_key), key, sizeof(key))) {
        nr_reply_error(q, 422, "Not a join request",
            "Send \"code\" and \"public_key\" (64 hex digits, Ed25519).");
        return;
    }
    q->state = x;
    nr_request_write(q, run_join, finish_join);
}

/* --- reports --------------------------------------------------------- */

struct report {
    struct nr_fact *facts;
    size_t n;
    size_t at; /* of the report itself */
};

/* The objects of BUNDLE into facts; what a report may hold. */
static bool
take_bundle(struct nr_request *q, struct report *r, const struct nr_json *list,
    int64_t collection, bool damage)
{
    struct nr_diag d = { 0 };
    struct nr_str creator;

    for (const struct nr_json *v = list->child; v; v = v->next) {
        struct nr_fact *f = &r->facts[r->n];
        enum nr_err err = nr_object_fact(v, nr_buf_bytes(&q->body), &q->reader,
            collection, f, &d);

        if (!err && nr_json_get_str(v, NR_STR("created_by_ref"), &creator) &&
            !nr_str_eq(creator, q->reader.pseudonym))
            err = nr_fail(&d, NR_EFORMAT, v->at,
                "report: created_by_ref must be the caller's pseudonym");
        if (err) {
            nr_reply_fail(q, err, &d);
            return false;
        }
        if (damage)
            f->audience = NR_AUDIENCE_AUTHORITIES;
        if (nr_str_eq(nr_fact_type(f), NR_STR("report"))) {
            f->kind = damage ? NR_FACT_OBJECT : NR_FACT_REPORT;
            if (!damage)
                r->at = r->n;
        }
        r->n++;
    }
    return true;
}

/* Every indicator of the report is in the bundle, or is there to be seen. */
static enum nr_err
refs_exist(struct nr_request *q, struct nr_db *db, const struct report *r,
    struct nr_diag *d)
{
    const struct nr_json *j, *refs;
    enum nr_err err = nr_json_parse(&q->arena, r->facts[r->at].body, &j, d);

    refs = err ? NULL : nr_json_get(j, NR_STR("object_refs"));
    for (const struct nr_json *v = refs ? refs->child : NULL; !err && v;
         v = v->next) {
        struct nr_query query = { .after_us = INT64_MIN,
            .ids = &v->text,
            .n_ids = 1,
            .versions = NR_VERSION_ALL };
        struct nr_cursor c;
        struct nr_fact f;

        if (!nr_json_is(v, NR_JSON_STRING) ||
            !nr_stix_id_is(v->text, NR_STR("indicator")))
            continue;
        err = nr_gate_open(&c, db, &q->reader, &query, d);
        if (!err)
            err = nr_gate_next(&c, &f, d);
        nr_gate_close(&c);
        if (err == NR_ENOTFOUND)
            err = nr_fail(d, NR_EFORMAT, 0,
                "report: it names an indicator that is neither in it nor here");
    }
    return err;
}

static enum nr_err
run_report(struct nr_write *w, struct nr_db *db, struct nr_diag *d)
{
    struct nr_request *q = nr_request_of(w);
    struct report *r = q->state;
    struct nr_arena scratch;
    enum nr_err err = NR_OK;

    nr_arena_init(&scratch, NR_HUB_ARENA_MAX);
    for (size_t i = 0; !err && i < r->n; i++) {
        bool may = true;

        err = nr_gate_may_write(db, &q->reader, &r->facts[i], &may, d);
        if (!err && !may)
            err = nr_fail(d, NR_EDENIED, 0,
                "report: it holds an object of another originator with a "
                "lower marking, or a new version of one");
        if (!err)
            err = nr_object_named(db, &scratch, &r->facts[i], d);
        if (!err)
            err = nr_store_append(db, q->server->env, &r->facts[i], d);
    }
    nr_arena_fini(&scratch);
    q->shared = true;
    return err ? err : refs_exist(q, db, r, d);
}

static void
finish_report(struct nr_request *q)
{
    const struct report *r = q->state;
    struct nr_json_out o;

    if (q->write.err) {
        nr_reply_fail(q, q->write.err, &q->write.diag);
        return;
    }
    (void)atomic_fetch_add(&q->server->metrics.facts, r->n);
    nr_reply_open(q, &o);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("report"), r->facts[r->at].subject);
    nr_json_member_i64(&o, NR_STR("seq"), r->facts[r->at].added_us);
    nr_json_member_i64(&o, NR_STR("objects"), (int64_t)r->n);
    nr_json_close_object(&o);
    nr_reply_close(q, &o, 201);
}

static bool
check_halves(struct nr_request *q, const struct nr_json *tech,
    const struct nr_json *damage)
{
    size_t reports = 0;
    struct nr_str type;

    if (!nr_json_is(tech, NR_JSON_ARRAY) || tech->n == 0 ||
        (damage && !nr_json_is(damage, NR_JSON_ARRAY))) {
        nr_reply_error(q, 422, "Not a report",
            "Send \"collection\", \"tech\" (a STIX bundle) and, if any, "
            "\"damage\" (another, or null).");
        return false;
    }
    if (tech->n + (damage ? damage->n : 0) > NR_HUB_OBJECTS_MAX) {
        nr_reply_error(q, 413, "Too many objects",
            "At most 10000 objects in one report.");
        return false;
    }
    for (const struct nr_json *v = tech->child; v; v = v->next)
        if (nr_json_get_str(v, NR_STR("type"), &type) &&
            nr_str_eq(type, NR_STR("report")))
            reports++;
    if (reports != 1)
        nr_reply_error(q, 422, "Not a report",
            "The technical half holds exactly one object of type report.");
    return reports == 1;
}

void
nr_post_reports(struct nr_request *q)
{
    const struct nr_json *j = nr_request_json(q), *tech, *damage;
    const struct nr_right *right;
    struct nr_str collection = NR_STR("");
    struct report *r;

    if (!j)
        return;
    tech = nr_json_get(nr_json_get(j, NR_STR("tech")), NR_STR("objects"));
    damage = nr_json_get(nr_json_get(j, NR_STR("damage")), NR_STR("objects"));
    (void)nr_json_get_str(j, NR_STR("collection"), &collection);
    if (!check_halves(q, tech, damage))
        return;
    right = nr_gate_right_by_uuid(&q->reader, collection);
    if (!right) {
        nr_reply_error(q, 404, "Not found", "There is no such collection.");
        return;
    }
    if (!right->writes) {
        nr_reply_error(q, 403, "Not allowed",
            "This key may not write to this collection.");
        return;
    }
    r = nr_new(&q->arena, struct report, 1);
    if (r)
        r->facts = nr_new(&q->arena, struct nr_fact,
            tech->n + (damage ? damage->n : 0));
    if (!r || !r->facts) {
        nr_reply_error(q, 413, "Too large", "The report is too large.");
        return;
    }
    if (!take_bundle(q, r, tech, right->collection, false) ||
        (damage && !take_bundle(q, r, damage, right->collection, true)))
        return;
    q->state = r;
    nr_request_write(q, run_report, finish_report);
}
