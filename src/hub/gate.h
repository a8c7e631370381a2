/*
 * Gate: the only way to read the log for a person.
 *
 * A reader is bound to a member and a purpose. A cursor hands out the facts
 * that the reader may see, in the order of the log, with every reference to a
 * fact that it may not see cut out; an object that means nothing without such
 * a reference (the ends of a relationship, the object of a sighting, the last
 * object of a report) is withheld itself. So no id, name or count of a
 * forbidden object can stand in anything made from a cursor.
 *
 * The rule for one fact (TLP 2.0; NONE was turned into amber on the way in):
 *   author                   always (not the statistics of others)
 *   audience: named set      its members who read the collection; the only way
 *                            to TLP red
 *   audience: authorities    by role
 *   audience: collection     who reads the collection: amber and stricter
 *                            only those named as its readers, or by role;
 *                            red nobody
 *   purpose statistics       answers count for readers of their collection,
 *                            but red ones never
 */
#ifndef NR_HUB_GATE_H
#define NR_HUB_GATE_H

#include "base/arena.h"
#include "base/buf.h"
#include "hub/store.h"

enum nr_purpose {
    NR_FOR_READING,    /* TAXII pages, event stream */
    NR_FOR_STATISTICS, /* only counted, never shown */
};

struct nr_right {
    int64_t collection;
    struct nr_str uuid, title;
    bool reads_named, reads_any, writes;
};

struct nr_reader {
    int64_t member, key; /* rows; key 0: Basic */
    enum nr_hub_role role;
    enum nr_purpose purpose;
    unsigned scope;
    struct nr_str pseudonym, sector, size;
    const struct nr_right *rights; /* every collection of the hub */
    size_t n_rights;
    const int64_t *audiences; /* named sets that the member is in, sorted */
    size_t n_audiences;
};

/* Is R's member to see F? Pure: the whole policy. */
bool nr_gate_may(const struct nr_reader *r,
    const struct nr_fact *f) NR_MUST_USE;

/* R's right on a collection, by row or by id; NULL when there is none such or
 * R has neither right on it: the two look alike. */
const struct nr_right *nr_gate_right(const struct nr_reader *r,
    int64_t collection);
const struct nr_right *nr_gate_right_by_uuid(const struct nr_reader *r,
    struct nr_str uuid);
bool nr_gate_reads(const struct nr_reader *r, const struct nr_right *right);

/* The reader of a bearer key. NR_EDENIED: unknown, revoked or expired. All in
 * A. */
enum nr_err nr_reader_by_token(struct nr_db *db, struct nr_arena *a,
    struct nr_str token, int64_t now_us, struct nr_reader *out,
    struct nr_diag *d) NR_MUST_USE;
/* The stored password hash of an account, in A. NR_EDENIED. */
enum nr_err nr_reader_password(struct nr_db *db, struct nr_arena *a,
    struct nr_str name, int64_t *member, struct nr_str *hash,
    struct nr_diag *d) NR_MUST_USE;
/* The reader of a member known already; KEY (0: none) must still hold. */
enum nr_err nr_reader_of(struct nr_db *db, struct nr_arena *a, int64_t member,
    int64_t key, int64_t now_us, struct nr_reader *out,
    struct nr_diag *d) NR_MUST_USE;

enum nr_versions { NR_VERSION_LAST, NR_VERSION_FIRST, NR_VERSION_ALL };

struct nr_query {
    int64_t collection;       /* row; 0: every one */
    int64_t after_us;         /* added later than that; INT64_MIN: all */
    const struct nr_str *ids; /* of these objects; none: all */
    size_t n_ids;
    const struct nr_str *types;
    size_t n_types;
    const int64_t *versions_us; /* of these versions, besides VERSIONS */
    size_t n_versions;
    enum nr_versions versions;
    bool version_given_only; /* only versions_us counts, not VERSIONS */
    bool answers;            /* answers only; else none but for authorities */
};

struct nr_cursor {
    struct nr_db *db;
    const struct nr_reader *reader;
    struct nr_query q;
    sqlite3_stmt *st;
    struct nr_buf ids, cut; /* bound JSON; the body after cutting */
    struct nr_arena arena;  /* of cutting one body */
    int64_t scanned_us;     /* everything added up to here was looked at */
};

/* QUERY and READER are borrowed until nr_gate_close(), which must be called
 * whatever is returned. */
enum nr_err nr_gate_open(struct nr_cursor *c, struct nr_db *db,
    const struct nr_reader *reader, const struct nr_query *query,
    struct nr_diag *d) NR_MUST_USE;
/* The next fact, borrowed until the next call. NR_ENOTFOUND: no more. */
enum nr_err nr_gate_next(struct nr_cursor *c, struct nr_fact *out,
    struct nr_diag *d) NR_MUST_USE;
void nr_gate_close(struct nr_cursor *c);

/* "added" of the newest fact that READER may see; 0: none. */
enum nr_err nr_gate_newest(struct nr_db *db, const struct nr_reader *reader,
    int64_t *out, struct nr_diag *d) NR_MUST_USE;

/* Does any version of ID by another author, of a kind or marking that binds F,
 * forbid F? Only the originator lowers a marking or writes a new version of a
 * report or an answer (domain rule 2). Judged by what the reader may see. */
enum nr_err nr_gate_may_write(struct nr_db *db, const struct nr_reader *reader,
    const struct nr_fact *f, bool *may, struct nr_diag *d) NR_MUST_USE;

#endif
