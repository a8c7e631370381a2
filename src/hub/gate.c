#include "hub/gate.h"

#include "hub/cut.h"
#include "json/json.h"

#define IDS_MAX ((size_t)1 << 20) /* octets of a query's ids as JSON */

const struct nr_right *
nr_gate_right(const struct nr_reader *r, int64_t collection)
{
    for (size_t i = 0; i < r->n_rights; i++)
        if (r->rights[i].collection == collection &&
            (nr_gate_reads(r, &r->rights[i]) || r->rights[i].writes))
            return &r->rights[i];
    return NULL;
}

const struct nr_right *
nr_gate_right_by_uuid(const struct nr_reader *r, struct nr_str uuid)
{
    for (size_t i = 0; i < r->n_rights; i++)
        if (nr_str_eq(r->rights[i].uuid, uuid))
            return nr_gate_right(r, r->rights[i].collection);
    return NULL;
}

bool
nr_gate_reads(const struct nr_reader *r, const struct nr_right *right)
{
    return right->reads_named || right->reads_any ||
        nr_hub_role_is_authority(r->role);
}

static bool
in_audience(const struct nr_reader *r, int64_t audience)
{
    for (size_t i = 0; i < r->n_audiences; i++)
        if (r->audiences[i] == audience)
            return true;
    return false;
}

static bool
reads_collection(const struct nr_reader *r, const struct nr_fact *f)
{
    const struct nr_right *right = nr_gate_right(r, f->collection);

    if (!right || f->tlp == NR_TLP_RED)
        return false;
    if (right->reads_named || nr_hub_role_is_authority(r->role))
        return true;
    /* "every one" is no named organisation */
    return right->reads_any &&
        (f->tlp == NR_TLP_CLEAR || f->tlp == NR_TLP_GREEN);
}

/* Naming somebody does not let him into a group: its id would show. */
static bool
knows_collection(const struct nr_reader *r, const struct nr_fact *f)
{
    const struct nr_right *right = nr_gate_right(r, f->collection);

    return right && nr_gate_reads(r, right);
}

static bool
counts(const struct nr_reader *r, const struct nr_fact *f)
{
    return f->kind == NR_FACT_ANSWER && f->tlp != NR_TLP_RED &&
        knows_collection(r, f);
}

bool
nr_gate_may(const struct nr_reader *r, const struct nr_fact *f)
{
    if (f->author == 0 || f->kind == NR_FACT_MEMBERSHIP)
        return false;
    if (r->purpose == NR_FOR_STATISTICS && counts(r, f))
        return true;
    if (f->author == r->member)
        return true;
    if (f->audience >= NR_AUDIENCE_NAMED)
        return in_audience(r, f->audience) && knows_collection(r, f);
    if (f->audience == NR_AUDIENCE_AUTHORITIES)
        return nr_hub_role_is_authority(r->role);
    return f->audience == NR_AUDIENCE_COLLECTION && reads_collection(r, f);
}

/* A reader whose facts all stand under the audience of a collection. */
static bool
is_plain(const struct nr_reader *r)
{
    return !nr_hub_role_is_authority(r->role) && r->n_audiences == 0;
}

static enum nr_err
ids_as_json(struct nr_cursor *c, struct nr_diag *d)
{
    struct nr_json_out o;

    nr_json_out_init(&o, &c->ids);
    nr_json_open_array(&o);
    for (size_t i = 0; i < c->q.n_ids; i++)
        nr_json_put_str(&o, c->q.ids[i]);
    nr_json_close_array(&o);
    return nr_json_out_end(&o) ? nr_fail(d, NR_ELIMIT, 0, "query: too many ids")
                               : NR_OK;
}

/* added -> seq: both grow together, and seq is what the indexes hold. */
static enum nr_err
seq_of(struct nr_db *db, int64_t after_us, int64_t *seq, struct nr_diag *d)
{
    *seq = 0;
    if (after_us < 0)
        return NR_OK;
    return nr_db_i64(db, d, 0, seq,
        "SELECT seq FROM fact WHERE added_us<=?1 ORDER BY added_us DESC"
        " LIMIT 1",
        "i", after_us);
}

#define SELECT "SELECT " NR_FACT_COLUMNS " FROM fact WHERE "

enum nr_err
nr_gate_open(struct nr_cursor *c, struct nr_db *db,
    const struct nr_reader *reader, const struct nr_query *query,
    struct nr_diag *d)
{
    int64_t seq;
    enum nr_err err;

    *c = (struct nr_cursor){ .db = db, .reader = reader, .q = *query };
    c->scanned_us = query->after_us;
    nr_buf_init(&c->ids, IDS_MAX);
    nr_buf_init(&c->cut, NR_HUB_OBJECT_MAX);
    nr_arena_init(&c->arena, NR_HUB_ARENA_MAX);
    err = seq_of(db, query->after_us, &seq, d);
    if (err)
        return err;
    if (query->n_ids > 0) {
        err = ids_as_json(c, d);
        return err
            ? err
            : nr_db_query(db, d, &c->st,
                  SELECT "subject IN (SELECT value FROM json_each(?1))"
                         " AND +seq>?2 ORDER BY seq",
                  "ti", ((struct nr_str){ (const char *)c->ids.p, c->ids.n }),
                  seq);
    }
    if (query->answers)
        return nr_db_query(db, d, &c->st,
            SELECT "audience=2 AND seq>?1 ORDER BY seq", "i", seq);
    if (is_plain(reader) && query->collection)
        return nr_db_query(db, d, &c->st,
            SELECT "collection=?1 AND audience=1 AND seq>?2 ORDER BY seq", "ii",
            query->collection, seq);
    if (is_plain(reader))
        return nr_db_query(db, d, &c->st,
            SELECT "audience=1 AND +collection>0 AND seq>?1 ORDER BY seq", "i",
            seq);
    return nr_db_query(db, d, &c->st, SELECT "seq>?1 ORDER BY seq", "i", seq);
}

static bool
one_of(const struct nr_str *v, size_t n, struct nr_str s)
{
    for (size_t i = 0; i < n; i++)
        if (nr_str_eq(v[i], s))
            return true;
    return n == 0;
}

/* Is there a version of F, newer (or older), that the reader may see? */
static enum nr_err
has_other(struct nr_cursor *c, const struct nr_fact *f, bool newer, bool *has,
    struct nr_diag *d)
{
    sqlite3_stmt *st = NULL;
    struct nr_fact other;
    enum nr_err err;

    *has = false;
    if (newer)
        err = nr_db_query(c->db, d, &st,
            SELECT "subject=?1 AND version_us>?2 AND collection=?3", "tii",
            f->subject, f->version_us, f->collection);
    else
        err = nr_db_query(c->db, d, &st,
            SELECT "subject=?1 AND version_us<?2 AND collection=?3", "tii",
            f->subject, f->version_us, f->collection);
    while (!err && !*has) {
        err = nr_db_row(c->db, st, d);
        if (err)
            break;
        nr_store_fact(st, &other);
        *has = nr_gate_may(c->reader, &other);
    }
    nr_db_done(st);
    return err == NR_ENOTFOUND ? NR_OK : err;
}

static enum nr_err
version_wanted(struct nr_cursor *c, const struct nr_fact *f, bool *wanted,
    struct nr_diag *d)
{
    bool other;
    enum nr_err err;

    *wanted = true;
    for (size_t i = 0; i < c->q.n_versions; i++)
        if (c->q.versions_us[i] == nr_fact_version_us(f))
            return NR_OK;
    if (c->q.version_given_only) {
        *wanted = false;
        return NR_OK;
    }
    if (c->q.versions == NR_VERSION_ALL)
        return NR_OK;
    err = has_other(c, f, c->q.versions == NR_VERSION_LAST, &other, d);
    *wanted = !other;
    return err;
}

static bool
kind_wanted(const struct nr_cursor *c, const struct nr_fact *f)
{
    if (c->q.answers)
        return f->kind == NR_FACT_ANSWER;
    /* Single answers are no news to members: they find their own by id. */
    if (f->kind == NR_FACT_ANSWER)
        return c->q.n_ids > 0 || nr_hub_role_is_authority(c->reader->role);
    return f->kind == NR_FACT_OBJECT || f->kind == NR_FACT_REPORT;
}

enum nr_err
nr_gate_next(struct nr_cursor *c, struct nr_fact *out, struct nr_diag *d)
{
    bool wanted;
    enum nr_err err;

    for (;;) {
        err = nr_db_row(c->db, c->st, d);
        if (err)
            return err;
        nr_store_fact(c->st, out);
        c->scanned_us = out->added_us;
        if ((c->q.collection && out->collection != c->q.collection) ||
            !kind_wanted(c, out) || !nr_gate_may(c->reader, out) ||
            !one_of(c->q.types, c->q.n_types, nr_fact_type(out)))
            continue;
        err = version_wanted(c, out, &wanted, d);
        if (!err && wanted && out->refs)
            err = nr_cut(c, out, &wanted, d);
        if (err || wanted)
            return err;
    }
}

void
nr_gate_close(struct nr_cursor *c)
{
    nr_db_done(c->st);
    c->st = NULL;
    nr_buf_fini(&c->ids);
    nr_buf_fini(&c->cut);
    nr_arena_fini(&c->arena);
}

enum nr_err
nr_gate_newest(struct nr_db *db, const struct nr_reader *reader, int64_t *out,
    struct nr_diag *d)
{
    sqlite3_stmt *st = NULL;
    struct nr_fact f;
    enum nr_err err;

    *out = 0;
    if (is_plain(reader))
        err = nr_db_query(db, d, &st, SELECT "audience=1 ORDER BY seq DESC",
            "");
    else
        err = nr_db_query(db, d, &st, SELECT "1 ORDER BY seq DESC", "");
    while (!err && !*out) {
        err = nr_db_row(db, st, d);
        if (err)
            break;
        nr_store_fact(st, &f);
        if (nr_gate_may(reader, &f))
            *out = f.added_us;
    }
    nr_db_done(st);
    return err == NR_ENOTFOUND ? NR_OK : err;
}

enum nr_err
nr_gate_may_write(struct nr_db *db, const struct nr_reader *reader,
    const struct nr_fact *f, bool *may, struct nr_diag *d)
{
    sqlite3_stmt *st = NULL;
    struct nr_fact old;
    enum nr_err err;

    *may = true;
    err = nr_db_query(db, d, &st, SELECT "subject=?1", "t", f->subject);
    while (!err && *may) {
        err = nr_db_row(db, st, d);
        if (err)
            break;
        nr_store_fact(st, &old);
        if (old.author != reader->member && nr_gate_may(reader, &old) &&
            (old.version_us != f->version_us ||
                old.collection != f->collection))
            *may = old.kind == NR_FACT_OBJECT && f->tlp >= old.tlp &&
                f->pap >= old.pap;
    }
    nr_db_done(st);
    return err == NR_ENOTFOUND ? NR_OK : err;
}
