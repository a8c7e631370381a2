/* GET /v1/extent: the extent of damage, folded from the log by the picture. */
#include "base/date.h"
#include "hub/object.h"
#include "hub/server.h"
#include "picture/picture.h"

#define EXTENT_MAX ((size_t)1 << 30) /* octets of the facts of one folding */

struct fold {
    struct nr_request *q;
    struct nr_db *db;
    struct nr_extent *x;
    struct nr_arena scratch; /* of one fact */
    struct nr_diag d;
};

static struct nr_str
uuid_of(const struct nr_reader *r, int64_t collection)
{
    for (size_t i = 0; i < r->n_rights; i++)
        if (r->rights[i].collection == collection)
            return r->rights[i].uuid;
    return NR_STR("");
}

/* Who is asked: members (not the authorities) who may read a collection. */
static enum nr_err
add_members(struct fold *f)
{
    sqlite3_stmt *st = NULL;
    enum nr_err err = nr_db_query(f->db, &f->d, &st,
        "SELECT pseudonym, sector, size, created_us FROM member"
        " WHERE role=0 AND revoked_us IS NULL",
        "");

    while (!err && !(err = nr_db_row(f->db, st, &f->d))) {
        struct nr_extent_member m = { nr_db_str(st, 0), nr_db_str(st, 1),
            nr_db_str(st, 2), sqlite3_column_int64(st, 3), false };

        err = nr_extent_add_member(f->x, &m);
    }
    nr_db_done(st);
    if (err != NR_ENOTFOUND)
        return err;
    err = nr_db_query(f->db, &f->d, &st,
        "SELECT DISTINCT c.uuid, m.pseudonym FROM collection c"
        " JOIN access x ON x.collection=c.id AND x.can_read"
        " JOIN member m ON m.id=x.member OR x.member=0"
        " WHERE m.role=0 AND m.revoked_us IS NULL",
        "");
    while (!err && !(err = nr_db_row(f->db, st, &f->d))) {
        struct nr_extent_reader r = { nr_db_str(st, 0), nr_db_str(st, 1), 1,
            false };

        err = nr_extent_add_reader(f->x, &r);
    }
    nr_db_done(st);
    return err == NR_ENOTFOUND ? NR_OK : err;
}

static int64_t
time_of(const struct nr_json *j, struct nr_str name)
{
    struct nr_str text;
    int64_t us;

    if (!nr_json_get_str(j, name, &text) ||
        nr_rfc3339_parse(nr_bytes_of(text), &us, NULL))
        return NR_TIME_NONE;
    return us / NR_US_PER_S;
}

static enum nr_err
add_report(struct fold *f, const struct nr_fact *fact)
{
    struct nr_extent_report r = { .id = fact->subject,
        .version_us = fact->version_us };
    const struct nr_json *j, *refs;
    struct nr_str *ids;
    enum nr_err err;

    nr_arena_reset(&f->scratch);
    err = nr_json_parse(&f->scratch, fact->body, &j, &f->d);
    refs = err ? NULL : nr_json_get(j, NR_STR("object_refs"));
    ids = nr_new(&f->scratch, struct nr_str, (refs ? refs->n : 0) + 1);
    if (err || !ids)
        return err ? err : NR_ENOMEM;
    for (const struct nr_json *v = refs ? refs->child : NULL; v; v = v->next)
        if (nr_json_is(v, NR_JSON_STRING) &&
            nr_stix_id_is(v->text, NR_STR("indicator")))
            ids[r.n++] = v->text;
    if (r.n == 0)
        return NR_OK;
    (void)nr_json_get_str(j, NR_STR("name"), &r.name);
    r.collection = uuid_of(&f->q->reader, fact->collection);
    r.published_s = time_of(j, NR_STR("published"));
    r.indicators = ids;
    return nr_extent_add_report(f->x, &r);
}

static enum nr_err
add_answer(struct fold *f, const struct nr_fact *fact)
{
    struct nr_extent_sighting s = { .version_us = fact->version_us };
    const struct nr_json *j, *where, *cover;
    struct nr_str name;
    int64_t n;
    enum nr_err err;

    nr_arena_reset(&f->scratch);
    err = nr_json_parse(&f->scratch, fact->body, &j, &f->d);
    if (err)
        return err;
    where = nr_json_get(j, NR_STR("where_sighted_refs"));
    if (!where || !nr_json_is(where->child, NR_JSON_STRING) ||
        !nr_json_get_str(j, NR_STR("sighting_of_ref"), &s.indicator) ||
        !nr_json_get_str(j, NR_STR("x_noroshi_answer"), &name) ||
        !nr_extent_answer_from_name(name, &s.answer))
        return NR_OK; /* a sighting of another kind */
    s.member = where->child->text;
    s.first_s = s.last_s = NR_TIME_NONE;
    if (s.answer == NR_EXTENT_SEEN) {
        s.first_s = time_of(j, NR_STR("first_seen"));
        s.last_s = time_of(j, NR_STR("last_seen"));
    }
    if (nr_json_get_i64(j, NR_STR("count"), &n) && n > 0)
        s.lines = (uint64_t)n;
    if (nr_json_get_i64(j, NR_STR("x_noroshi_denied"), &n) && n > 0)
        s.denied = (uint64_t)n;
    cover = nr_json_get(nr_json_get(j, NR_STR("x_noroshi_coverage")),
        NR_STR("coverage"));
    if (!nr_json_double(cover, &s.coverage))
        s.coverage = 0;
    return nr_extent_add_sighting(f->x, &s);
}

static enum nr_err
fold_facts(struct fold *f, const struct nr_reader *reader,
    const struct nr_query *query,
    enum nr_err (*add)(struct fold *f, const struct nr_fact *fact))
{
    struct nr_cursor c;
    struct nr_fact fact;
    enum nr_err err = nr_gate_open(&c, f->db, reader, query, &f->d);

    while (!err && !(err = nr_gate_next(&c, &fact, &f->d)))
        err = fact.kind == NR_FACT_REPORT || fact.kind == NR_FACT_ANSWER
            ? add(f, &fact)
            : NR_OK;
    nr_gate_close(&c);
    return err == NR_ENOTFOUND ? NR_OK : err;
}

static enum nr_err
fold_all(struct fold *f, const char *report)
{
    static const struct nr_str report_type = { "report", 6 };
    struct nr_str id = nr_str_of(report);
    struct nr_reader counter = f->q->reader;
    struct nr_query reports = { .after_us = INT64_MIN,
        .types = &report_type,
        .n_types = 1,
        .ids = &id,
        .n_ids = report ? 1 : 0 };
    struct nr_query answers = { .after_us = INT64_MIN,
        .answers = true,
        .versions = NR_VERSION_ALL }; /* the picture takes the latest */
    enum nr_err err = add_members(f);

    counter.purpose = NR_FOR_STATISTICS;
    if (!err)
        err = fold_facts(f, &f->q->reader, &reports, add_report);
    if (!err)
        err = fold_facts(f, &counter, &answers, add_answer);
    return err;
}

static enum nr_err
put_reports(struct fold *f, struct nr_json_out *o)
{
    bool full = nr_hub_role_is_authority(f->q->reader.role);
    const struct nr_str *ids;
    size_t n;
    enum nr_err err = nr_extent_reports(f->x, &f->q->arena, &ids, &n);

    nr_json_open_object(o);
    nr_json_key(o, NR_STR("reports"));
    nr_json_open_array(o);
    for (size_t i = 0; !err && i < n; i++) {
        struct nr_extent_result r;

        err = nr_extent_of(f->x, ids[i], full, &f->q->arena, &r);
        if (!err)
            nr_extent_put_json(o, &r);
    }
    nr_json_close_array(o);
    nr_json_close_object(o);
    return err;
}

void
nr_get_extent(struct nr_request *q)
{
    struct fold f = { .q = q, .x = nr_extent_create(EXTENT_MAX) };
    const char *report = nr_query_value(q, "report");
    struct nr_json_out o;
    enum nr_err err;

    if (!f.x) {
        nr_reply_error(q, 503, "Out of memory", "Try again later.");
        return;
    }
    nr_arena_init(&f.scratch, NR_HUB_ARENA_MAX);
    f.db = nr_pool_get(&q->server->pool);
    nr_reply_open(q, &o);
    err = fold_all(&f, report);
    if (!err)
        err = put_reports(&f, &o);
    nr_pool_put(&q->server->pool, f.db);
    nr_arena_fini(&f.scratch);
    if (err)
        nr_reply_fail(q, err, &f.d);
    else
        nr_reply_close(q, &o, 200);
    nr_extent_destroy(f.x);
}
