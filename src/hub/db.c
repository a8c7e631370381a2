#include "hub/db.h"

#include "hub/hub.h"

#include <stdio.h>

#define APPLICATION_ID 0x4e524855 /* "NRHU" */
#define SCHEMA_VERSION 1

/*
 * The log, and beside it what is no fact of the circle: who may come in. An
 * index by (subject, version, collection) makes a fact arrive once however
 * often it is sent; those by audience carry the pages of ordinary readers, who
 * thereby never pass over what is not theirs.
 */
static const char schema[] =
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL)"
    " WITHOUT ROWID;"
    "CREATE TABLE member(id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE,"
    " pseudonym TEXT NOT NULL UNIQUE, role INTEGER NOT NULL,"
    " sector TEXT NOT NULL, size TEXT NOT NULL, public_key TEXT NOT NULL,"
    " password TEXT NOT NULL, created_us INTEGER NOT NULL,"
    " revoked_us INTEGER);"
    "CREATE TABLE credential(id INTEGER PRIMARY KEY,"
    " member INTEGER NOT NULL REFERENCES member(id),"
    " hash BLOB NOT NULL UNIQUE, scope INTEGER NOT NULL,"
    " created_us INTEGER NOT NULL, expires_us INTEGER NOT NULL,"
    " revoked_us INTEGER);"
    "CREATE INDEX credential_member ON credential(member);"
    "CREATE TABLE invite(hash BLOB PRIMARY KEY, name TEXT NOT NULL,"
    " role INTEGER NOT NULL, sector TEXT NOT NULL, size TEXT NOT NULL,"
    " collections TEXT NOT NULL, created_us INTEGER NOT NULL,"
    " expires_us INTEGER NOT NULL, member INTEGER, revoked_us INTEGER);"
    "CREATE TABLE collection(id INTEGER PRIMARY KEY,"
    " uuid TEXT NOT NULL UNIQUE, title TEXT NOT NULL,"
    " created_us INTEGER NOT NULL);"
    /* member 0: every one, now and later */
    "CREATE TABLE access(collection INTEGER NOT NULL REFERENCES collection(id),"
    " member INTEGER NOT NULL, can_read INTEGER NOT NULL,"
    " can_write INTEGER NOT NULL, PRIMARY KEY(collection, member))"
    " WITHOUT ROWID;"
    "CREATE TABLE audience(id INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE);"
    "CREATE TABLE audience_member(audience INTEGER NOT NULL,"
    " member INTEGER NOT NULL, PRIMARY KEY(audience, member)) WITHOUT ROWID;"
    "CREATE TABLE fact(seq INTEGER PRIMARY KEY, added_us INTEGER NOT NULL,"
    " kind INTEGER NOT NULL, subject TEXT NOT NULL,"
    " version_us INTEGER NOT NULL, collection INTEGER NOT NULL,"
    " audience INTEGER NOT NULL, author INTEGER NOT NULL,"
    " tlp INTEGER NOT NULL, pap INTEGER NOT NULL, refs INTEGER NOT NULL,"
    " salt BLOB NOT NULL, leaf BLOB NOT NULL, body BLOB NOT NULL);"
    "CREATE UNIQUE INDEX fact_added ON fact(added_us);"
    "CREATE UNIQUE INDEX fact_version"
    " ON fact(subject, version_us, collection);"
    "CREATE INDEX fact_audience ON fact(audience);"
    "CREATE INDEX fact_collection ON fact(collection, audience);"
    "CREATE TABLE status(id TEXT PRIMARY KEY, member INTEGER NOT NULL,"
    " added_us INTEGER NOT NULL, body BLOB NOT NULL) WITHOUT ROWID;"
    "CREATE INDEX status_added ON status(added_us);";

enum nr_err
nr_db_fail(struct nr_db *db, struct nr_diag *d)
{
    static const struct {
        int code;
        enum nr_err err;
        const char *what;
    } table[] = {
        { SQLITE_BUSY, NR_EBUSY,
            "store: another process holds its lock; try again" },
        { SQLITE_LOCKED, NR_EBUSY, "store: locked; try again" },
        { SQLITE_READONLY, NR_ESYS,
            "store: read-only; look at the owner and mode of the home" },
        { SQLITE_FULL, NR_ESYS, "store: disk full; nothing was written" },
        { SQLITE_IOERR, NR_ESYS, "store: the disk reports an error" },
        { SQLITE_PERM, NR_ESYS, "store: permission denied" },
        { SQLITE_CANTOPEN, NR_ESYS,
            "store: cannot be opened; look at the owner and mode of the home" },
        { SQLITE_CORRUPT, NR_EDAMAGED,
            "store: damaged; restore a backup (noroshi-hub restore)" },
        { SQLITE_NOTADB, NR_EDAMAGED, "store: not a hub's store" },
        { SQLITE_NOMEM, NR_ENOMEM, "store: out of memory" },
        { SQLITE_CONSTRAINT, NR_EEXIST, "store: there is such a row already" },
    };

    int code = db->sql ? sqlite3_errcode(db->sql) & 0xff : SQLITE_NOMEM;

    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (table[i].code == code)
            return nr_fail_name(d, table[i].err, table[i].what, db->path);
    return nr_fail_name(d, NR_ESYS, "store: the statement failed",
        db->sql ? sqlite3_errmsg(db->sql) : db->path);
}

static enum nr_err
exec(struct nr_db *db, const char *sql, struct nr_diag *d)
{
    return sqlite3_exec(db->sql, sql, NULL, NULL, NULL) == SQLITE_OK
        ? NR_OK
        : nr_db_fail(db, d);
}

static enum nr_err
make_schema(struct nr_db *db, struct nr_diag *d)
{
    char pragma[96];
    enum nr_err err = exec(db, "PRAGMA journal_mode=WAL", d);

    if (!err)
        err = exec(db, "BEGIN IMMEDIATE", d);
    if (!err)
        err = exec(db, schema, d);
    (void)snprintf(pragma, sizeof(pragma),
        "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
        APPLICATION_ID, SCHEMA_VERSION);
    return err ? err : exec(db, pragma, d);
}

static enum nr_err
check_schema(struct nr_db *db, struct nr_diag *d)
{
    int64_t id = 0, version = 0;
    enum nr_err err = nr_db_i64(db, d, 0, &id, "PRAGMA application_id", "");

    if (!err)
        err = nr_db_i64(db, d, 0, &version, "PRAGMA user_version", "");
    if (err)
        return err;
    if (id != APPLICATION_ID)
        return nr_fail_name(d, NR_EDAMAGED, "store: not a hub's store",
            db->path);
    if (version != SCHEMA_VERSION)
        return nr_fail_name(d, NR_EDAMAGED,
            "store: written by another version of noroshi-hub", db->path);
    return NR_OK;
}

enum nr_err
nr_db_open(struct nr_db *db, const char *path, enum nr_db_mode mode,
    struct nr_diag *d)
{
    static const int flags[] = {
        [NR_DB_OPEN] = SQLITE_OPEN_READWRITE,
        [NR_DB_CREATE] = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
        [NR_DB_READ] = SQLITE_OPEN_READONLY,
    };
    enum nr_err err = NR_OK;

    *db = (struct nr_db){ .sql = NULL };
    (void)snprintf(db->path, sizeof(db->path), "%s", path);
    if (sqlite3_open_v2(path, &db->sql, flags[mode] | SQLITE_OPEN_NOMUTEX,
            NULL) != SQLITE_OK)
        err = nr_db_fail(db, d);
    if (!err && sqlite3_busy_timeout(db->sql, NR_HUB_BUSY_MS) != SQLITE_OK)
        err = nr_db_fail(db, d);
    if (!err)
        err = exec(db,
            "PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;"
            "PRAGMA temp_store=MEMORY; PRAGMA cache_size=-16384;"
            "PRAGMA trusted_schema=OFF",
            d);
    if (!err)
        err = mode == NR_DB_CREATE ? make_schema(db, d) : check_schema(db, d);
    if (err)
        nr_db_close(db);
    return err;
}

void
nr_db_close(struct nr_db *db)
{
    for (size_t i = 0; i < db->n; i++)
        (void)sqlite3_finalize(db->cache[i].st);
    (void)sqlite3_close(db->sql);
    db->sql = NULL;
    db->n = 0;
}

static enum nr_err
cached(struct nr_db *db, const char *sql, sqlite3_stmt **st, struct nr_diag *d)
{
    for (size_t i = 0; i < db->n; i++) {
        if (db->cache[i].text == sql) {
            *st = db->cache[i].st;
            (void)sqlite3_reset(*st);
            return NR_OK;
        }
    }
    if (db->n == NR_DB_STMTS)
        return nr_fail(d, NR_ELIMIT, 0, "store: too many statements");
    if (sqlite3_prepare_v3(db->sql, sql, -1, SQLITE_PREPARE_PERSISTENT, st,
            NULL) != SQLITE_OK)
        return nr_db_fail(db, d);
    db->cache[db->n].text = sql;
    db->cache[db->n++].st = *st;
    return NR_OK;
}

static int
bind_one(sqlite3_stmt *st, int i, char type, va_list *ap)
{
    struct nr_bytes b;
    struct nr_str s;

    switch (type) {
    case 'i':
        return sqlite3_bind_int64(st, i, va_arg(*ap, int64_t));
    case 't':
        s = va_arg(*ap, struct nr_str);
        return sqlite3_bind_text64(st, i, s.n ? s.p : "", s.n, SQLITE_STATIC,
            SQLITE_UTF8);
    case 'b':
        b = va_arg(*ap, struct nr_bytes);
        return sqlite3_bind_blob64(st, i, b.n ? (const void *)b.p : "", b.n,
            SQLITE_STATIC);
    default:
        return sqlite3_bind_null(st, i);
    }
}

static enum nr_err
bind_all(struct nr_db *db, struct nr_diag *d, sqlite3_stmt **st,
    const char *sql, const char *types, va_list *ap)
{
    enum nr_err err = cached(db, sql, st, d);

    for (int i = 0; !err && types[i]; i++)
        if (bind_one(*st, i + 1, types[i], ap) != SQLITE_OK)
            err = nr_db_fail(db, d);
    return err;
}

enum nr_err
nr_db_query(struct nr_db *db, struct nr_diag *d, sqlite3_stmt **st,
    const char *sql, const char *types, ...)
{
    enum nr_err err;
    va_list ap;

    va_start(ap, types);
    err = bind_all(db, d, st, sql, types, &ap);
    va_end(ap);
    return err;
}

enum nr_err
nr_db_row(struct nr_db *db, sqlite3_stmt *st, struct nr_diag *d)
{
    int code = sqlite3_step(st);

    if (code == SQLITE_ROW)
        return NR_OK;
    return code == SQLITE_DONE ? NR_ENOTFOUND : nr_db_fail(db, d);
}

void
nr_db_done(sqlite3_stmt *st)
{
    if (!st)
        return;
    (void)sqlite3_reset(st);
    (void)sqlite3_clear_bindings(st);
}

enum nr_err
nr_db_run(struct nr_db *db, struct nr_diag *d, const char *sql,
    const char *types, ...)
{
    sqlite3_stmt *st = NULL;
    enum nr_err err;
    va_list ap;

    va_start(ap, types);
    err = bind_all(db, d, &st, sql, types, &ap);
    va_end(ap);
    if (!err)
        err = nr_db_row(db, st, d);
    nr_db_done(st);
    return err == NR_ENOTFOUND ? NR_OK : err;
}

enum nr_err
nr_db_i64(struct nr_db *db, struct nr_diag *d, int64_t otherwise, int64_t *out,
    const char *sql, const char *types, ...)
{
    sqlite3_stmt *st = NULL;
    enum nr_err err;
    va_list ap;

    va_start(ap, types);
    err = bind_all(db, d, &st, sql, types, &ap);
    va_end(ap);
    if (!err)
        err = nr_db_row(db, st, d);
    if (!err)
        *out = sqlite3_column_int64(st, 0);
    if (err == NR_ENOTFOUND) {
        *out = otherwise;
        err = NR_OK;
    }
    nr_db_done(st);
    return err;
}

struct nr_bytes
nr_db_bytes(sqlite3_stmt *st, int column)
{
    const void *p = sqlite3_column_blob(st, column);
    int n = sqlite3_column_bytes(st, column);

    return (struct nr_bytes){ p, n > 0 ? (size_t)n : 0 };
}

struct nr_str
nr_db_str(sqlite3_stmt *st, int column)
{
    const void *p = sqlite3_column_text(st, column);
    int n = sqlite3_column_bytes(st, column);

    return (struct nr_str){ p ? p : "", n > 0 ? (size_t)n : 0 };
}

unsigned
nr_db_uint(sqlite3_stmt *st, int column)
{
    int n = sqlite3_column_int(st, column);

    return n > 0 ? (unsigned)n : 0;
}

enum nr_err
nr_db_begin(struct nr_db *db, struct nr_diag *d)
{
    return nr_db_run(db, d, "BEGIN IMMEDIATE", "");
}

enum nr_err
nr_db_commit(struct nr_db *db, struct nr_diag *d)
{
    return nr_db_run(db, d, "COMMIT", "");
}

void
nr_db_rollback(struct nr_db *db)
{
    if (!sqlite3_get_autocommit(db->sql))
        (void)sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
}
