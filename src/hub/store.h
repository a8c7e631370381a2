/*
 * Store: facts in, facts out by raw key. Private to the room; the one
 * interface behind which another database would stand.
 *
 * Reading for a person goes through gate.h, which alone (with the check of the
 * whole store) calls nr_store_fact().
 */
#ifndef NR_HUB_STORE_H
#define NR_HUB_STORE_H

#include "base/arena.h"
#include "base/env.h"
#include "hub/db.h"
#include "hub/hub.h"
#include "stix/stix.h"

enum nr_fact_kind {
    NR_FACT_OBJECT = 1, /* a STIX object version */
    NR_FACT_REPORT = 2,
    NR_FACT_ANSWER = 3,      /* a sighting with its coverage */
    NR_FACT_MEMBERSHIP = 10, /* for the hub's own record, read by nobody */
};

/* Audiences; an id from NR_AUDIENCE_NAMED on is an interned set of members. */
#define NR_AUDIENCE_AUTHOR      INT64_C(0) /* nobody else */
#define NR_AUDIENCE_COLLECTION  INT64_C(1) /* who reads the collection */
#define NR_AUDIENCE_AUTHORITIES INT64_C(2)
#define NR_AUDIENCE_NAMED       INT64_C(16)

struct nr_fact {
    int64_t seq, added_us; /* given by the store */
    enum nr_fact_kind kind;
    struct nr_str subject; /* STIX id */
    int64_t version_us;    /* 0: the object has no version of its own */
    int64_t collection;    /* row; 0: none */
    int64_t audience;
    int64_t author;  /* member row; 0: the hub */
    enum nr_tlp tlp; /* effective: never NONE for what came from outside */
    enum nr_pap pap;
    bool refs; /* names other objects: see gate.h */
    struct nr_bytes body;
    bool known; /* out: it was there before */
};

/* "indicator" of "indicator--...". */
struct nr_str nr_fact_type(const struct nr_fact *f);
/* The version that TAXII shows: that of the object, else "added". */
int64_t nr_fact_version_us(const struct nr_fact *f);

/*
 * Append within the caller's transaction: gives seq, added_us (later than any
 * before, and not before now) and the salted leaf. A fact with the same
 * subject, version and collection is there once: then F->known is set, and seq
 * and added_us are those of the first.
 */
enum nr_err nr_store_append(struct nr_db *db, const struct nr_env *env,
    struct nr_fact *f, struct nr_diag *d) NR_MUST_USE;

/* Leaf of a fact: SHA-256 over a label, salt, added, kind, subject, body. */
void nr_store_leaf(const struct nr_fact *f, struct nr_bytes salt,
    uint8_t leaf[32]);

#define NR_FACT_COLUMNS                                                    \
    "seq,added_us,kind,subject,version_us,collection,audience,author,tlp," \
    "pap,refs,body"
/* The fact in a row of NR_FACT_COLUMNS; borrowed until the next row. */
void nr_store_fact(sqlite3_stmt *st, struct nr_fact *f);

/* The id of the audience of exactly MEMBERS (rows, any order). */
enum nr_err nr_store_audience(struct nr_db *db, const int64_t *members,
    size_t n, int64_t *out, struct nr_diag *d) NR_MUST_USE;

/* meta: arena-owned, empty when not set. */
enum nr_err nr_store_meta(struct nr_db *db, struct nr_arena *a,
    struct nr_str key, struct nr_str *out, struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_store_meta_put(struct nr_db *db, struct nr_str key,
    struct nr_str value, struct nr_diag *d) NR_MUST_USE;
/* Count a change of members, keys or rights: open streams look again. */
enum nr_err nr_store_touch(struct nr_db *db, struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_store_touched(struct nr_db *db, int64_t *out,
    struct nr_diag *d) NR_MUST_USE;

/* A copy of S in A, ending in NUL. False: out of memory. */
bool nr_store_dup(struct nr_arena *a, struct nr_str s,
    struct nr_str *out) NR_MUST_USE;

/* SHA-256 of a key or code as it stands in the store. */
struct nr_secret_hash {
    uint8_t v[32];
};
struct nr_secret_hash nr_store_secret(struct nr_str secret);

/* --- members (store_members.c) --------------------------------------- */

/* A fresh member row within the caller's transaction, and its fact. */
struct nr_new_member {
    struct nr_str name, sector, size, public_key, password;
    enum nr_hub_role role;
};
enum nr_err nr_store_member_add(struct nr_db *db, const struct nr_env *env,
    const struct nr_new_member *m, int64_t *id, struct nr_diag *d) NR_MUST_USE;

/* A fresh bearer key of MEMBER into TOKEN (NR_TOKEN_TEXT_MAX octets). */
enum nr_err nr_store_key_add(struct nr_db *db, const struct nr_env *env,
    int64_t member, unsigned scope, int64_t expires_us, char *token,
    struct nr_diag *d) NR_MUST_USE;

enum nr_err nr_store_allow(struct nr_db *db, int64_t collection, int64_t member,
    bool can_read, bool can_write, struct nr_diag *d) NR_MUST_USE;

/* A member that is not revoked, by name. NR_ENOTFOUND. */
enum nr_err nr_store_member_by_name(struct nr_db *db, struct nr_str name,
    int64_t *id, struct nr_diag *d) NR_MUST_USE;

/* Redeem a join code within the caller's transaction. NR_EDENIED: unknown,
 * used, revoked or expired. */
struct nr_joined {
    int64_t member, expires_us;
    char key[64];
};
enum nr_err nr_store_join(struct nr_db *db, const struct nr_env *env,
    struct nr_str code, struct nr_str public_key, struct nr_joined *out,
    struct nr_diag *d) NR_MUST_USE;

#endif
