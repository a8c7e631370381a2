/*
 * One connection to the hub's SQLite store, with its prepared statements.
 *
 * Private to the room. A struct nr_db belongs to one thread at a time. SQL
 * texts are literals: the cache of statements goes by their address.
 */
#ifndef NR_HUB_DB_H
#define NR_HUB_DB_H

#include "base/err.h"
#include "base/str.h"

#include <sqlite3.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NR_DB_STMTS ((size_t)96)

struct nr_db {
    sqlite3 *sql;

    struct {
        const char *text;
        sqlite3_stmt *st;
    } cache[NR_DB_STMTS];

    size_t n;
    char path[240]; /* for messages */
};

enum nr_db_mode { NR_DB_OPEN, NR_DB_CREATE, NR_DB_READ };

/* NR_DB_CREATE makes the schema; the others refuse a file that is not a hub's
 * store or of a later version (NR_EDAMAGED) and a missing one (NR_ENOTFOUND).
 * On failure *DB is closed. */
enum nr_err nr_db_open(struct nr_db *db, const char *path, enum nr_db_mode mode,
    struct nr_diag *d) NR_MUST_USE;
void nr_db_close(struct nr_db *db);

/* Turn what SQLite said last into ERR and a text that says what to do. */
enum nr_err nr_db_fail(struct nr_db *db, struct nr_diag *d);

/*
 * Bind TYPES ("i" int64_t, "t" struct nr_str, "b" struct nr_bytes, "n" NULL
 * without an argument) to SQL. Views are borrowed until nr_db_done().
 */
enum nr_err nr_db_query(struct nr_db *db, struct nr_diag *d, sqlite3_stmt **st,
    const char *sql, const char *types, ...) NR_MUST_USE;
/* NR_ENOTFOUND when there is no further row. */
enum nr_err nr_db_row(struct nr_db *db, sqlite3_stmt *st,
    struct nr_diag *d) NR_MUST_USE;
/* Ends a query: its read transaction too. ST may be NULL. */
void nr_db_done(sqlite3_stmt *st);
/* A statement without rows. */
enum nr_err nr_db_run(struct nr_db *db, struct nr_diag *d, const char *sql,
    const char *types, ...) NR_MUST_USE;
/* The first column of the first row, or OTHERWISE. */
enum nr_err nr_db_i64(struct nr_db *db, struct nr_diag *d, int64_t otherwise,
    int64_t *out, const char *sql, const char *types, ...) NR_MUST_USE;

/* Borrowed until the next row. */
struct nr_str nr_db_str(sqlite3_stmt *st, int column);
struct nr_bytes nr_db_bytes(sqlite3_stmt *st, int column);
/* A small number that is not negative: an enumeration's. */
unsigned nr_db_uint(sqlite3_stmt *st, int column);

enum nr_err nr_db_begin(struct nr_db *db, struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_db_commit(struct nr_db *db, struct nr_diag *d) NR_MUST_USE;
void nr_db_rollback(struct nr_db *db);

#endif
