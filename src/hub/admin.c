#include "hub/admin.h"

#include "base/date.h"
#include "base/hash.h"
#include "base/num.h"
#include "crypto/crypto.h"
#include "hub/tls.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define ADMIN_ARENA_MAX ((size_t)64 << 20)
#define CERT_YEARS      10

/* --- init ------------------------------------------------------------ */

static enum nr_err
write_cert(const struct nr_hub_init *conf, const struct nr_env *env,
    char pin[NR_TLS_PIN_MAX], struct nr_diag *d)
{
    int64_t now = nr_env_now_s(env);
    int64_t early = now < conf->wall_s ? now : conf->wall_s;
    int64_t late = now > conf->wall_s ? now : conf->wall_s;
    struct nr_tls_conf tls = { conf->hosts, conf->n_hosts, early - NR_S_PER_DAY,
        late + CERT_YEARS * 366 * NR_S_PER_DAY };
    char path[NR_PATH_MAX];
    struct nr_buf cert, key;
    enum nr_err err;

    nr_buf_init(&cert, NR_TLS_PEM_MAX);
    nr_buf_init(&key, NR_TLS_PEM_MAX);
    err = nr_tls_make(&tls, env, &cert, &key, d);
    if (!err)
        err = nr_tls_pin(nr_buf_bytes(&cert), nr_buf_bytes(&key), pin, d);
    if (!err)
        err = nr_path_join(path, conf->home, NR_HUB_KEY, d);
    if (!err)
        err = nr_file_replace(path, nr_buf_bytes(&key), 0600, d);
    if (!err)
        err = nr_path_join(path, conf->home, NR_HUB_CERT, d);
    if (!err)
        err = nr_file_replace(path, nr_buf_bytes(&cert), 0644, d);
    if (key.p)
        nr_wipe(key.p, key.n);
    nr_buf_fini(&cert);
    nr_buf_fini(&key);
    return err;
}

static enum nr_err
random_uuid(const struct nr_env *env, char out[NR_UUID_MAX], struct nr_diag *d)
{
    uint8_t random[16];

    if (env->random(env->ctx, random, sizeof(random)))
        return nr_fail(d, NR_ESYS, 0, "no randomness");
    nr_uuid4(random, out);
    return NR_OK;
}

static enum nr_err
add_collection(struct nr_db *db, const struct nr_env *env, struct nr_str title,
    char uuid[NR_UUID_MAX], int64_t *id, struct nr_diag *d)
{
    enum nr_err err = random_uuid(env, uuid, d);

    if (!err)
        err = nr_db_run(db, d,
            "INSERT INTO collection(uuid,title,created_us) VALUES(?1,?2,?3)",
            "tti", nr_str_of(uuid), title, env->now_us(env->ctx));
    if (!err)
        *id = sqlite3_last_insert_rowid(db->sql);
    return err;
}

static enum nr_err
fill(struct nr_db *db, const struct nr_hub_init *conf, const struct nr_env *env,
    const char *pin, struct nr_diag *d)
{
    char uuid[NR_UUID_MAX];
    int64_t id;
    enum nr_err err = nr_db_begin(db, d);

    if (!err)
        err = add_collection(db, env, NR_STR("Members"), uuid, &id, d);
    if (!err)
        err = nr_store_meta_put(db, NR_STR("title"),
            nr_str_of(conf->title ? conf->title : "noroshi hub"), d);
    if (!err)
        err = nr_store_meta_put(db, NR_STR("pin"), nr_str_of(pin), d);
    if (!err && conf->address)
        err = nr_store_meta_put(db, NR_STR("address"), nr_str_of(conf->address),
            d);
    return err ? err : nr_db_commit(db, d);
}

enum nr_err
nr_hub_init(const struct nr_hub_init *conf, const struct nr_env *env,
    struct nr_diag *d)
{
    char path[NR_PATH_MAX], made[NR_PATH_MAX], pin[NR_TLS_PIN_MAX];
    struct nr_db db;
    enum nr_err err;

    err = nr_dir_make(conf->home, 0700, d);
    if (!err)
        err = nr_path_join(path, conf->home, NR_HUB_DB, d);
    if (!err)
        err = nr_path_join(made, conf->home, NR_HUB_DB ".new", d);
    if (!err && access(path, F_OK) == 0)
        err = nr_fail_name(d, NR_EEXIST, "a hub lives there already",
            conf->home);
    if (!err)
        err = write_cert(conf, env, pin, d);
    if (err)
        return err;
    /* Under another name until whole: an init that was cut can be repeated. */
    (void)unlink(made);
    err = nr_db_open(&db, made, NR_DB_CREATE, d);
    if (err)
        return err;
    err = fill(&db, conf, env, pin, d);
    nr_db_close(&db);
    if (!err && rename(made, path) != 0)
        err = nr_fail_file(d, "init: rename", path);
    return err ? err : nr_dir_sync_of(path, d);
}

enum nr_err
nr_hub_open(const char *home, const struct nr_env *env, struct nr_hub **out,
    struct nr_diag *d)
{
    struct nr_hub *hub = calloc(1, sizeof(*hub));
    char path[NR_PATH_MAX];
    enum nr_err err;

    if (!hub)
        return nr_fail(d, NR_ENOMEM, 0, "hub: out of memory");
    hub->env = env;
    nr_arena_init(&hub->arena, ADMIN_ARENA_MAX);
    (void)snprintf(hub->home, sizeof(hub->home), "%s", home);
    err = nr_path_join(path, home, NR_HUB_DB, d);
    if (!err && access(path, F_OK) != 0)
        err = nr_fail_name(d, NR_ENOTFOUND,
            "no hub there; noroshi-hub init --home DIR makes one", home);
    if (!err)
        err = nr_db_open(&hub->db, path, NR_DB_OPEN, d);
    if (err) {
        nr_arena_fini(&hub->arena);
        free(hub);
        return err;
    }
    *out = hub;
    return NR_OK;
}

void
nr_hub_close(struct nr_hub *hub)
{
    if (!hub)
        return;
    nr_db_close(&hub->db);
    nr_arena_fini(&hub->arena);
    free(hub);
}

/* --- writing --------------------------------------------------------- */

static enum nr_err
check_name(struct nr_str name, size_t max, struct nr_diag *d)
{
    if (name.n > max)
        return nr_fail(d, NR_ELIMIT, 0, "a name or class is too long");
    for (size_t i = 0; i < name.n; i++)
        if ((uint8_t)name.p[i] < 0x20 || name.p[i] == 0x7f)
            return nr_fail(d, NR_EFORMAT, i,
                "a name holds a control character");
    return NR_OK;
}

/* End a transaction that began well: ERR takes it back. */
static enum nr_err
finish(struct nr_hub *hub, enum nr_err err, struct nr_diag *d)
{
    if (!err)
        err = nr_store_touch(&hub->db, d);
    if (!err)
        err = nr_db_commit(&hub->db, d);
    if (err)
        nr_db_rollback(&hub->db);
    nr_arena_reset(&hub->arena);
    return err;
}

static void
copy_name(char text[NR_HUB_NAME_MAX + 1], struct nr_str name)
{
    size_t n = nr_min(name.n, NR_HUB_NAME_MAX);

    if (n)
        memcpy(text, name.p, n);
    text[n] = 0;
}

static enum nr_err
find_collection(struct nr_hub *hub, struct nr_str name, int64_t *id,
    struct nr_diag *d)
{
    char text[NR_HUB_NAME_MAX + 1];
    enum nr_err err = nr_db_i64(&hub->db, d, 0, id,
        "SELECT id FROM collection WHERE uuid=?1 OR title=?1 ORDER BY id", "t",
        name);

    if (err || *id)
        return err;
    copy_name(text, name);
    return nr_fail_name(d, NR_ENOTFOUND,
        "no such collection (noroshi-hub collection ls)", text);
}

static enum nr_err
invite_collections(struct nr_hub *hub, const struct nr_hub_invite *i,
    struct nr_buf *json, struct nr_diag *d)
{
    struct nr_json_out o;
    enum nr_err err = NR_OK;
    int64_t id = 0;

    nr_json_out_init(&o, json);
    nr_json_open_array(&o);
    if (i->n_collections == 0) {
        err = nr_db_i64(&hub->db, d, 0, &id, "SELECT min(id) FROM collection",
            "");
        nr_json_put_i64(&o, id);
    }
    for (size_t k = 0; !err && k < i->n_collections; k++) {
        err = find_collection(hub, i->collections[k], &id, d);
        nr_json_put_i64(&o, id);
    }
    nr_json_close_array(&o);
    if (!err && nr_json_out_end(&o))
        err = nr_fail(d, NR_ELIMIT, 0, "invite: too many collections");
    return err;
}

static enum nr_err
invite_address(struct nr_hub *hub, const struct nr_hub_invite *i,
    const char *code, struct nr_buf *out, struct nr_diag *d)
{
    struct nr_str pin, address = nr_str_of(i->address);
    enum nr_err err = nr_store_meta(&hub->db, &hub->arena, NR_STR("pin"), &pin,
        d);

    if (!err && address.n == 0)
        err = nr_store_meta(&hub->db, &hub->arena, NR_STR("address"), &address,
            d);
    if (!err && address.n == 0)
        err = nr_store_meta(&hub->db, &hub->arena, NR_STR("listen"), &address,
            d);
    if (!err && address.n == 0)
        err = nr_fail(d, NR_ENOTFOUND, 0,
            "the hub's address is not known: give --address HOST:PORT, or "
            "serve once");
    if (!err)
        nr_buf_printf(out, "noroshi://%.*s/?code=%s&pin=%.*s", NR_FMT(address),
            code, NR_FMT(pin));
    return err;
}

static enum nr_err
put_invite(struct nr_hub *hub, const struct nr_hub_invite *i, const char *code,
    struct nr_diag *d)
{
    struct nr_secret_hash h = nr_store_secret(nr_str_of(code));
    int64_t now = hub->env->now_us(hub->env->ctx), taken = 0;
    int64_t days = i->days ? i->days : NR_HUB_INVITE_DAYS;
    struct nr_buf json;
    enum nr_err err;

    nr_buf_init(&json, 65536);
    err = nr_db_i64(&hub->db, d, 0, &taken,
        "SELECT 1 FROM member WHERE name=?1 UNION SELECT 1 FROM invite"
        " WHERE name=?1 AND revoked_us IS NULL AND expires_us>?2",
        "ti", i->name, now);
    if (!err && taken)
        err = nr_fail(d, NR_EEXIST, 0,
            "a member or an open invitation has that name (noroshi-hub member "
            "ls)");
    if (!err)
        err = invite_collections(hub, i, &json, d);
    if (!err)
        err = nr_db_run(&hub->db, d,
            "INSERT INTO invite(hash,name,role,sector,size,collections,"
            "created_us,expires_us) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)",
            "btitttii", ((struct nr_bytes){ h.v, sizeof(h.v) }), i->name,
            (int64_t)i->role, i->sector, i->size,
            ((struct nr_str){ (const char *)json.p, json.n }), now,
            now + days * NR_S_PER_DAY * NR_US_PER_S);
    nr_buf_fini(&json);
    return err;
}

enum nr_err
nr_hub_invite(struct nr_hub *hub, const struct nr_hub_invite *invite,
    struct nr_buf *out, struct nr_diag *d)
{
    char code[NR_TOKEN_TEXT_MAX];
    enum nr_err err = check_name(invite->name, NR_HUB_NAME_MAX, d);

    if (!err && invite->name.n == 0)
        err = nr_fail(d, NR_EFORMAT, 0, "a member needs a name");
    if (!err)
        err = check_name(invite->sector, NR_HUB_CLASS_MAX, d);
    if (!err)
        err = check_name(invite->size, NR_HUB_CLASS_MAX, d);
    if (!err)
        err = nr_token_create(hub->env, code, d);
    if (!err)
        err = nr_db_begin(&hub->db, d);
    if (err)
        return err;
    err = put_invite(hub, invite, code, d);
    if (!err)
        err = invite_address(hub, invite, code, out, d);
    return finish(hub, err, d);
}

enum nr_err
nr_hub_account_add(struct nr_hub *hub, struct nr_str name,
    enum nr_hub_role role, struct nr_str password, struct nr_diag *d)
{
    char hash[NR_PASSWORD_HASH_MAX];
    struct nr_new_member m = { .name = name, .role = role };
    int64_t id;
    enum nr_err err = check_name(name, NR_HUB_NAME_MAX, d);

    /* RFC 7617 section 2: the name of Basic cannot hold a colon */
    if (!err && (name.n == 0 || memchr(name.p, ':', name.n)))
        err = nr_fail(d, NR_EFORMAT, 0,
            "an account needs a name, without a colon");
    if (!err && (password.n == 0 || password.n > NR_HUB_SECRET_MAX))
        err = nr_fail(d, NR_ELIMIT, 0, "a password has 1 to 1024 octets");
    if (!err)
        err = nr_password_hash(nr_bytes_of(password), hash, d);
    if (!err)
        err = nr_db_begin(&hub->db, d);
    if (err)
        return err;
    m.password = nr_str_of(hash);
    err = nr_store_member_add(&hub->db, hub->env, &m, &id, d);
    return finish(hub, err, d);
}

enum nr_err
nr_hub_key_add(struct nr_hub *hub, struct nr_str name, unsigned scope,
    int64_t days, struct nr_buf *out, struct nr_diag *d)
{
    char token[NR_TOKEN_TEXT_MAX];
    int64_t id, now = hub->env->now_us(hub->env->ctx);
    enum nr_err err = nr_db_begin(&hub->db, d);

    if (err)
        return err;
    err = nr_store_member_by_name(&hub->db, name, &id, d);
    if (!err)
        err = nr_store_key_add(&hub->db, hub->env, id, scope,
            now + days * NR_S_PER_DAY * NR_US_PER_S, token, d);
    err = finish(hub, err, d);
    if (!err)
        nr_buf_put_str(out, nr_str_of(token));
    nr_wipe(token, sizeof(token));
    return err;
}

enum nr_err
nr_hub_revoke(struct nr_hub *hub, struct nr_str name, struct nr_diag *d)
{
    int64_t now = hub->env->now_us(hub->env->ctx), n = 0;
    enum nr_err err = nr_db_begin(&hub->db, d);

    if (err)
        return err;
    err = nr_db_run(&hub->db, d,
        "UPDATE invite SET revoked_us=?2 WHERE name=?1 AND revoked_us IS NULL",
        "ti", name, now);
    n = sqlite3_changes(hub->db.sql);
    if (!err)
        err = nr_db_run(&hub->db, d,
            "UPDATE credential SET revoked_us=?2 WHERE revoked_us IS NULL AND"
            " member=(SELECT id FROM member WHERE name=?1)",
            "ti", name, now);
    if (!err)
        err = nr_db_run(&hub->db, d,
            "UPDATE member SET revoked_us=?2 WHERE name=?1"
            " AND revoked_us IS NULL",
            "ti", name, now);
    n += sqlite3_changes(hub->db.sql);
    if (!err && n == 0)
        err = nr_fail(d, NR_ENOTFOUND, 0,
            "no such member, account or open invitation");
    return finish(hub, err, d);
}

static enum nr_err
allow_all(struct nr_hub *hub, int64_t collection, const struct nr_str *names,
    size_t n, bool write, struct nr_diag *d)
{
    char text[NR_HUB_NAME_MAX + 1];
    enum nr_err err = NR_OK;

    for (size_t i = 0; !err && i < n; i++) {
        int64_t id = 0;

        if (!nr_str_eq(names[i], NR_STR("*")))
            err = nr_store_member_by_name(&hub->db, names[i], &id, d);
        copy_name(text, names[i]);
        if (err)
            nr_diag_add_name(d, text);
        else
            err = nr_store_allow(&hub->db, collection, id, !write, write, d);
    }
    return err;
}

enum nr_err
nr_hub_collection_add(struct nr_hub *hub, const struct nr_hub_collection *c,
    struct nr_buf *out, struct nr_diag *d)
{
    char uuid[NR_UUID_MAX];
    int64_t id = 0, taken = 0;
    enum nr_err err = check_name(c->title, NR_HUB_NAME_MAX, d);

    if (!err && c->title.n == 0)
        err = nr_fail(d, NR_EFORMAT, 0, "a collection needs a title");
    if (!err)
        err = nr_db_begin(&hub->db, d);
    if (err)
        return err;
    err = nr_db_i64(&hub->db, d, 0, &taken,
        "SELECT 1 FROM collection WHERE title=?1", "t", c->title);
    if (!err && taken)
        err = nr_fail(d, NR_EEXIST, 0, "a collection has that title");
    if (!err)
        err = add_collection(&hub->db, hub->env, c->title, uuid, &id, d);
    if (!err)
        err = allow_all(hub, id, c->read, c->n_read, false, d);
    if (!err)
        err = allow_all(hub, id, c->write, c->n_write, true, d);
    err = finish(hub, err, d);
    if (!err)
        nr_buf_put_str(out, nr_str_of(uuid));
    return err;
}
