#include "base/date.h"
#include "base/hash.h"
#include "crypto/crypto.h"
#include "hub/store.h"
#include "json/json.h"

#include <stdio.h>

#define RECORD_MAX ((size_t)4096) /* octets of one membership fact */

/* Membership is a fact like any other, for the hub's own record: without name
 * or key, so that a copy of the log names nobody. */
static enum nr_err
record(struct nr_db *db, const struct nr_env *env, struct nr_str pseudonym,
    const char *what, struct nr_diag *d)
{
    int64_t now = env->now_us(env->ctx);
    struct nr_json_out o;
    struct nr_buf body;
    struct nr_fact f = { .kind = NR_FACT_MEMBERSHIP,
        .subject = pseudonym,
        .version_us = now,
        .tlp = NR_TLP_RED,
        .pap = NR_PAP_RED };
    enum nr_err err;

    nr_buf_init(&body, RECORD_MAX);
    nr_json_out_init(&o, &body);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("member"), pseudonym);
    nr_json_member_str(&o, NR_STR("what"), nr_str_of(what));
    nr_json_close_object(&o);
    err = nr_json_out_end(&o);
    f.body = nr_buf_bytes(&body);
    if (!err)
        err = nr_store_append(db, env, &f, d);
    nr_buf_fini(&body);
    return err;
}

enum nr_err
nr_store_member_add(struct nr_db *db, const struct nr_env *env,
    const struct nr_new_member *m, int64_t *id, struct nr_diag *d)
{
    char uuid[NR_UUID_MAX], pseudonym[NR_UUID_MAX + 16];
    uint8_t random[16];
    int64_t taken;
    enum nr_err err;

    err = nr_db_i64(db, d, 0, &taken, "SELECT 1 FROM member WHERE name=?1", "t",
        m->name);
    if (!err && taken)
        err = nr_fail(d, NR_EEXIST, 0,
            "a member or account of that name exists (also a revoked one "
            "keeps its name)");
    if (!err)
        err = env->random(env->ctx, random, sizeof(random));
    if (err)
        return nr_fail(d, err, 0, "no randomness");
    nr_uuid4(random, uuid);
    (void)snprintf(pseudonym, sizeof(pseudonym), "identity--%s", uuid);
    err = nr_db_run(db, d,
        "INSERT INTO member(name,pseudonym,role,sector,size,public_key,"
        "password,created_us) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
        "ttitttti", m->name, nr_str_of(pseudonym), (int64_t)m->role, m->sector,
        m->size, m->public_key, m->password, env->now_us(env->ctx));
    if (!err)
        *id = sqlite3_last_insert_rowid(db->sql);
    return err ? err : record(db, env, nr_str_of(pseudonym), "joined", d);
}

enum nr_err
nr_store_key_add(struct nr_db *db, const struct nr_env *env, int64_t member,
    unsigned scope, int64_t expires_us, char *token, struct nr_diag *d)
{
    struct nr_secret_hash h;
    enum nr_err err = nr_token_create(env, token, d);

    if (err)
        return err;
    h = nr_store_secret(nr_str_of(token));
    return nr_db_run(db, d,
        "INSERT INTO credential(member,hash,scope,created_us,expires_us)"
        " VALUES(?1,?2,?3,?4,?5)",
        "ibiii", member, ((struct nr_bytes){ h.v, sizeof(h.v) }),
        (int64_t)scope, env->now_us(env->ctx), expires_us);
}

enum nr_err
nr_store_allow(struct nr_db *db, int64_t collection, int64_t member,
    bool can_read, bool can_write, struct nr_diag *d)
{
    return nr_db_run(db, d,
        "INSERT INTO access VALUES(?1,?2,?3,?4)"
        " ON CONFLICT(collection,member) DO UPDATE SET"
        " can_read=max(can_read,?3), can_write=max(can_write,?4)",
        "iiii", collection, member, (int64_t)can_read, (int64_t)can_write);
}

enum nr_err
nr_store_member_by_name(struct nr_db *db, struct nr_str name, int64_t *id,
    struct nr_diag *d)
{
    enum nr_err err = nr_db_i64(db, d, 0, id,
        "SELECT id FROM member WHERE name=?1 AND revoked_us IS NULL", "t",
        name);

    if (!err && !*id)
        err = nr_fail(d, NR_ENOTFOUND, 0,
            "no such member or account (noroshi-hub member ls)");
    return err;
}

struct invite {
    struct nr_new_member m;
    struct nr_str collections;
    int64_t member;
};

static enum nr_err
find_invite(struct nr_db *db, struct nr_arena *a, struct nr_bytes hash,
    int64_t now_us, struct invite *out, struct nr_diag *d)
{
    sqlite3_stmt *st = NULL;
    enum nr_err err = nr_db_query(db, d, &st,
        "SELECT name, role, sector, size, collections, ifnull(member, 0)"
        " FROM invite WHERE hash=?1 AND revoked_us IS NULL AND expires_us>?2",
        "bi", hash, now_us);

    if (!err)
        err = nr_db_row(db, st, d);
    if (!err) {
        out->m.role = nr_db_uint(st, 1);
        out->member = sqlite3_column_int64(st, 5);
        if (!nr_store_dup(a, nr_db_str(st, 0), &out->m.name) ||
            !nr_store_dup(a, nr_db_str(st, 2), &out->m.sector) ||
            !nr_store_dup(a, nr_db_str(st, 3), &out->m.size) ||
            !nr_store_dup(a, nr_db_str(st, 4), &out->collections))
            err = nr_fail(d, NR_ENOMEM, 0, "join: out of memory");
    }
    nr_db_done(st);
    return err;
}

/* A code that was redeemed gives a fresh key to the same public key only: the
 * first answer may have been lost on the way. */
static enum nr_err
join_again(struct nr_db *db, const struct nr_env *env, int64_t member,
    struct nr_str public_key, struct nr_diag *d)
{
    int64_t same;
    enum nr_err err = nr_db_i64(db, d, 0, &same,
        "SELECT 1 FROM member WHERE id=?1 AND public_key=?2"
        " AND revoked_us IS NULL",
        "it", member, public_key);

    if (!err && !same)
        err = NR_ENOTFOUND;
    if (!err)
        err = nr_db_run(db, d,
            "UPDATE credential SET revoked_us=?2 WHERE member=?1"
            " AND revoked_us IS NULL",
            "ii", member, env->now_us(env->ctx));
    return err;
}

static enum nr_err
join_new(struct nr_db *db, const struct nr_env *env, struct invite *i,
    struct nr_bytes hash, struct nr_diag *d)
{
    enum nr_err err = nr_store_member_add(db, env, &i->m, &i->member, d);

    if (!err)
        err = nr_db_run(db, d, "UPDATE invite SET member=?2 WHERE hash=?1",
            "bi", hash, i->member);
    if (!err)
        err = nr_db_run(db, d,
            "INSERT OR IGNORE INTO access"
            " SELECT value, ?2, 1, 1 FROM json_each(?1)",
            "ti", i->collections, i->member);
    return err;
}

enum nr_err
nr_store_join(struct nr_db *db, const struct nr_env *env, struct nr_str code,
    struct nr_str public_key, struct nr_joined *out, struct nr_diag *d)
{
    struct nr_secret_hash h = nr_store_secret(code);
    struct nr_bytes hash = { h.v, sizeof(h.v) };
    int64_t now = env->now_us(env->ctx);
    struct invite i = { .member = 0 };
    struct nr_arena a;
    enum nr_err err;

    nr_arena_init(&a, (size_t)1 << 20);
    err = find_invite(db, &a, hash, now, &i, d);
    i.m.public_key = public_key;
    i.m.password = NR_STR("");
    if (!err)
        err = i.member ? join_again(db, env, i.member, public_key, d)
                       : join_new(db, env, &i, hash, d);
    out->member = i.member;
    out->expires_us = now + NR_HUB_KEY_DAYS * NR_S_PER_DAY * NR_US_PER_S;
    if (!err)
        err = nr_store_key_add(db, env, i.member, NR_SCOPE_ALL, out->expires_us,
            out->key, d);
    if (!err)
        err = nr_store_touch(db, d);
    nr_arena_fini(&a);
    if (err == NR_ENOTFOUND)
        err = nr_fail(d, NR_EDENIED, 0,
            "the join code is not known, used, revoked or expired; ask the "
            "hub's keeper for a new one");
    return err;
}
