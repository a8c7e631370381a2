#include "hub/store.h"

#include "base/ct.h"
#include "base/date.h"
#include "base/hash.h"

#include <stdlib.h>

#define SALT_LEN 16

struct nr_str
nr_fact_type(const struct nr_fact *f)
{
    for (size_t i = 0; i + 1 < f->subject.n; i++)
        if (f->subject.p[i] == '-' && f->subject.p[i + 1] == '-')
            return (struct nr_str){ f->subject.p, i };
    return f->subject;
}

int64_t
nr_fact_version_us(const struct nr_fact *f)
{
    return f->version_us ? f->version_us : f->added_us;
}

bool
nr_store_dup(struct nr_arena *a, struct nr_str s, struct nr_str *out)
{
    char *p = nr_new(a, char, s.n + 1);

    if (!p)
        return false;
    if (s.n)
        memcpy(p, s.p, s.n);
    *out = (struct nr_str){ p, s.n };
    return true;
}

struct nr_secret_hash
nr_store_secret(struct nr_str secret)
{
    struct nr_secret_hash h = { { 0 } };

    nr_sha256(nr_bytes_of(secret), h.v);
    return h;
}

void
nr_store_leaf(const struct nr_fact *f, struct nr_bytes salt, uint8_t leaf[32])
{
    struct nr_sha256 *h = nr_sha256_create();
    uint8_t head[9];

    memset(leaf, 0, NR_SHA256_LEN);
    if (!h)
        return; /* the caller refuses a leaf of zeroes */
    for (size_t i = 0; i < 8; i++)
        head[i] = (uint8_t)((uint64_t)f->added_us >> (8 * i));
    head[8] = (uint8_t)f->kind;
    nr_sha256_update(h, NR_BYTES("noroshi fact 1\n"));
    nr_sha256_update(h, salt);
    nr_sha256_update(h, (struct nr_bytes){ head, sizeof(head) });
    nr_sha256_update(h, nr_bytes_of(f->subject));
    nr_sha256_update(h, NR_BYTES("\n"));
    nr_sha256_update(h, f->body);
    nr_sha256_digest(h, leaf);
    nr_sha256_destroy(h);
}

static enum nr_err
find_known(struct nr_db *db, struct nr_fact *f, struct nr_diag *d)
{
    sqlite3_stmt *st = NULL;
    enum nr_err err = nr_db_query(db, d, &st,
        "SELECT seq, added_us FROM fact WHERE subject=?1 AND version_us=?2"
        " AND collection=?3",
        "tii", f->subject, f->version_us, f->collection);

    if (!err)
        err = nr_db_row(db, st, d);
    if (!err) {
        f->known = true;
        f->seq = sqlite3_column_int64(st, 0);
        f->added_us = sqlite3_column_int64(st, 1);
    }
    nr_db_done(st);
    return err;
}

enum nr_err
nr_store_append(struct nr_db *db, const struct nr_env *env, struct nr_fact *f,
    struct nr_diag *d)
{
    uint8_t salt[SALT_LEN], leaf[NR_SHA256_LEN];
    static const uint8_t zero[NR_SHA256_LEN];
    struct nr_bytes salt_view = { salt, sizeof(salt) };
    int64_t last, now = env->now_us(env->ctx);
    enum nr_err err;

    f->known = false;
    err = find_known(db, f, d);
    if (err != NR_ENOTFOUND)
        return err;
    err = nr_db_i64(db, d, 0, &last,
        "SELECT added_us FROM fact ORDER BY seq DESC LIMIT 1", "");
    if (!err)
        err = env->random(env->ctx, salt, sizeof(salt));
    if (err)
        return nr_fail(d, err, 0, "store: cannot append");
    f->added_us = now > last ? now : last + 1;
    nr_store_leaf(f, salt_view, leaf);
    if (nr_ct_eq(leaf, zero, sizeof(zero)))
        return nr_fail(d, NR_ENOMEM, 0, "store: out of memory");
    err = nr_db_run(db, d,
        "INSERT INTO fact(added_us,kind,subject,version_us,collection,"
        "audience,author,tlp,pap,refs,salt,leaf,body)"
        " VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13)",
        "iitiiiiiiibbb", f->added_us, (int64_t)f->kind, f->subject,
        f->version_us, f->collection, f->audience, f->author, (int64_t)f->tlp,
        (int64_t)f->pap, (int64_t)f->refs, salt_view,
        ((struct nr_bytes){ leaf, sizeof(leaf) }), f->body);
    if (!err)
        f->seq = sqlite3_last_insert_rowid(db->sql);
    return err;
}

void
nr_store_fact(sqlite3_stmt *st, struct nr_fact *f)
{
    *f = (struct nr_fact){
        .seq = sqlite3_column_int64(st, 0),
        .added_us = sqlite3_column_int64(st, 1),
        .kind = nr_db_uint(st, 2),
        .subject = nr_db_str(st, 3),
        .version_us = sqlite3_column_int64(st, 4),
        .collection = sqlite3_column_int64(st, 5),
        .audience = sqlite3_column_int64(st, 6),
        .author = sqlite3_column_int64(st, 7),
        .tlp = nr_db_uint(st, 8),
        .pap = nr_db_uint(st, 9),
        .refs = sqlite3_column_int(st, 10) != 0,
        .body = nr_db_bytes(st, 11),
    };
}

static int
by_value(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;

    return (*x > *y) - (*x < *y);
}

enum nr_err
nr_store_audience(struct nr_db *db, const int64_t *members, size_t n,
    int64_t *out, struct nr_diag *d)
{
    int64_t *sorted = calloc(n ? n : 1, sizeof(*sorted));
    uint8_t hash[NR_SHA256_LEN];
    struct nr_bytes view = { hash, sizeof(hash) };
    enum nr_err err;

    if (!sorted)
        return nr_fail(d, NR_ENOMEM, 0, "store: out of memory");
    if (n)
        memcpy(sorted, members, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), by_value);
    nr_sha256((struct nr_bytes){ (uint8_t *)sorted, n * sizeof(*sorted) },
        hash);
    err = nr_db_i64(db, d, 0, out, "SELECT id FROM audience WHERE hash=?1", "b",
        view);
    if (err || *out)
        goto out;
    err = nr_db_run(db, d,
        "INSERT INTO audience(id, hash)"
        " VALUES((SELECT max(15, ifnull(max(id), 0)) + 1 FROM audience), ?1)",
        "b", view);
    if (!err)
        *out = sqlite3_last_insert_rowid(db->sql);
    for (size_t i = 0; !err && i < n; i++)
        err = nr_db_run(db, d,
            "INSERT OR IGNORE INTO audience_member VALUES(?1, ?2)", "ii", *out,
            sorted[i]);
out:
    free(sorted);
    return err;
}

enum nr_err
nr_store_meta(struct nr_db *db, struct nr_arena *a, struct nr_str key,
    struct nr_str *out, struct nr_diag *d)
{
    sqlite3_stmt *st = NULL;
    enum nr_err err = nr_db_query(db, d, &st,
        "SELECT value FROM meta WHERE key=?1", "t", key);

    *out = NR_STR("");
    if (!err)
        err = nr_db_row(db, st, d);
    if (!err && !nr_store_dup(a, nr_db_str(st, 0), out))
        err = nr_fail(d, NR_ENOMEM, 0, "store: out of memory");
    nr_db_done(st);
    return err == NR_ENOTFOUND ? NR_OK : err;
}

enum nr_err
nr_store_meta_put(struct nr_db *db, struct nr_str key, struct nr_str value,
    struct nr_diag *d)
{
    return nr_db_run(db, d, "INSERT OR REPLACE INTO meta VALUES(?1, ?2)", "tt",
        key, value);
}

enum nr_err
nr_store_touch(struct nr_db *db, struct nr_diag *d)
{
    return nr_db_run(db, d,
        "INSERT INTO meta VALUES('access', '1') ON CONFLICT(key)"
        " DO UPDATE SET value = value + 1",
        "");
}

enum nr_err
nr_store_touched(struct nr_db *db, int64_t *out, struct nr_diag *d)
{
    return nr_db_i64(db, d, 0, out,
        "SELECT CAST(value AS INTEGER) FROM meta WHERE key='access'", "");
}
