#include "base/hash.h"
#include "hub/gate.h"

#include <stdlib.h>

static enum nr_err
no_memory(struct nr_diag *d)
{
    return nr_fail(d, NR_ENOMEM, 0, "reader: out of memory");
}

static enum nr_err
denied(struct nr_diag *d)
{
    return nr_fail(d, NR_EDENIED, 0,
        "the key or password is not known here, or is no longer valid");
}

static enum nr_err
load_rights(struct nr_db *db, struct nr_arena *a, struct nr_reader *r,
    struct nr_diag *d)
{
    struct nr_right *v;
    sqlite3_stmt *st = NULL;
    int64_t n;
    enum nr_err err;

    err = nr_db_i64(db, d, 0, &n, "SELECT count(*) FROM collection", "");
    if (err)
        return err;
    v = nr_new(a, struct nr_right, (size_t)n + 1);
    if (!v)
        return no_memory(d);
    err = nr_db_query(db, d, &st,
        "SELECT c.id, c.uuid, c.title,"
        " ifnull(max(x.can_read AND x.member<>0), 0),"
        " ifnull(max(x.can_read AND x.member=0), 0),"
        " ifnull(max(x.can_write), 0) FROM collection c"
        " LEFT JOIN access x ON x.collection=c.id AND x.member IN (0, ?1)"
        " GROUP BY c.id ORDER BY c.id",
        "i", r->member);
    r->rights = v;
    while (!err && r->n_rights < (size_t)n) {
        struct nr_right *x = &v[r->n_rights];

        err = nr_db_row(db, st, d);
        if (err)
            break;
        x->collection = sqlite3_column_int64(st, 0);
        x->reads_named = sqlite3_column_int(st, 3) != 0;
        x->reads_any = sqlite3_column_int(st, 4) != 0;
        x->writes = sqlite3_column_int(st, 5) != 0;
        if (!nr_store_dup(a, nr_db_str(st, 1), &x->uuid) ||
            !nr_store_dup(a, nr_db_str(st, 2), &x->title))
            err = no_memory(d);
        else
            r->n_rights++;
    }
    nr_db_done(st);
    return err == NR_ENOTFOUND ? NR_OK : err;
}

static enum nr_err
load_audiences(struct nr_db *db, struct nr_arena *a, struct nr_reader *r,
    struct nr_diag *d)
{
    sqlite3_stmt *st = NULL;
    int64_t *v, n;
    enum nr_err err;

    err = nr_db_i64(db, d, 0, &n,
        "SELECT count(*) FROM audience_member WHERE +member=?1", "i",
        r->member);
    if (err || n == 0)
        return err;
    v = nr_new(a, int64_t, (size_t)n);
    if (!v)
        return no_memory(d);
    err = nr_db_query(db, d, &st,
        "SELECT audience FROM audience_member WHERE +member=?1"
        " ORDER BY audience",
        "i", r->member);
    r->audiences = v;
    while (!err && r->n_audiences < (size_t)n) {
        err = nr_db_row(db, st, d);
        if (!err)
            v[r->n_audiences++] = sqlite3_column_int64(st, 0);
    }
    nr_db_done(st);
    return err == NR_ENOTFOUND ? NR_OK : err;
}

static enum nr_err
load_member(struct nr_db *db, struct nr_arena *a, struct nr_reader *r,
    struct nr_diag *d)
{
    sqlite3_stmt *st = NULL;
    enum nr_err err;

    err = nr_db_query(db, d, &st,
        "SELECT role, pseudonym, sector, size FROM member WHERE id=?1"
        " AND revoked_us IS NULL",
        "i", r->member);
    if (!err)
        err = nr_db_row(db, st, d);
    if (!err) {
        r->role = nr_db_uint(st, 0);
        if (!nr_store_dup(a, nr_db_str(st, 1), &r->pseudonym) ||
            !nr_store_dup(a, nr_db_str(st, 2), &r->sector) ||
            !nr_store_dup(a, nr_db_str(st, 3), &r->size))
            err = no_memory(d);
    }
    nr_db_done(st);
    return err == NR_ENOTFOUND ? denied(d) : err;
}

enum nr_err
nr_reader_of(struct nr_db *db, struct nr_arena *a, int64_t member, int64_t key,
    int64_t now_us, struct nr_reader *out, struct nr_diag *d)
{
    struct nr_reader r = { .member = member,
        .key = key,
        .scope = NR_SCOPE_ALL };
    int64_t scope;
    enum nr_err err = NR_OK;

    if (key) {
        err = nr_db_i64(db, d, 0, &scope,
            "SELECT scope FROM credential WHERE id=?1 AND member=?2"
            " AND revoked_us IS NULL AND expires_us>?3",
            "iii", key, member, now_us);
        if (!err && !scope)
            err = denied(d);
        r.scope = (unsigned)(scope & NR_SCOPE_ALL);
    }
    if (!err)
        err = load_member(db, a, &r, d);
    if (!err)
        err = load_rights(db, a, &r, d);
    if (!err)
        err = load_audiences(db, a, &r, d);
    if (!err)
        *out = r;
    return err;
}

enum nr_err
nr_reader_by_token(struct nr_db *db, struct nr_arena *a, struct nr_str token,
    int64_t now_us, struct nr_reader *out, struct nr_diag *d)
{
    struct nr_secret_hash h = nr_store_secret(token);
    int64_t member = 0, key = 0;
    sqlite3_stmt *st = NULL;
    enum nr_err err;

    err = nr_db_query(db, d, &st,
        "SELECT id, member FROM credential WHERE hash=?1", "b",
        ((struct nr_bytes){ h.v, sizeof(h.v) }));
    if (!err)
        err = nr_db_row(db, st, d);
    if (!err) {
        key = sqlite3_column_int64(st, 0);
        member = sqlite3_column_int64(st, 1);
    }
    nr_db_done(st);
    if (err)
        return err == NR_ENOTFOUND ? denied(d) : err;
    return nr_reader_of(db, a, member, key, now_us, out, d);
}

enum nr_err
nr_reader_password(struct nr_db *db, struct nr_arena *a, struct nr_str name,
    int64_t *member, struct nr_str *hash, struct nr_diag *d)
{
    sqlite3_stmt *st = NULL;
    enum nr_err err;

    err = nr_db_query(db, d, &st,
        "SELECT id, password FROM member WHERE name=?1 AND password<>''"
        " AND revoked_us IS NULL",
        "t", name);
    if (!err)
        err = nr_db_row(db, st, d);
    if (!err) {
        *member = sqlite3_column_int64(st, 0);
        if (!nr_store_dup(a, nr_db_str(st, 1), hash))
            err = no_memory(d);
    }
    nr_db_done(st);
    return err == NR_ENOTFOUND ? denied(d) : err;
}
