/* Who asks: bearer keys (RFC 6750), Basic (RFC 7617), rates. */
#include "base/hash.h"
#include "crypto/crypto.h"
#include "hub/server.h"

#include <string.h>

#define LOGIN_MAX ((size_t)1536) /* octets of "name:password" */

static bool
starts_nocase(struct nr_str s, struct nr_str head)
{
    struct nr_bytes b = { (const uint8_t *)s.p, head.n };

    return s.n > head.n && nr_bytes_eq_nocase(b, nr_bytes_of(head));
}

/* A password that was right stays right for the stored hash that it was right
 * for: argon2id costs 0.1 s, and TAXII clients send it with every request. */
static void
login_key(struct nr_server *s, struct nr_str name, struct nr_str password,
    struct nr_str hash, uint8_t out[32])
{
    uint8_t part[4][32];

    memcpy(part[0], s->salt, 32);
    nr_sha256(nr_bytes_of(name), part[1]);
    nr_sha256(nr_bytes_of(password), part[2]);
    nr_sha256(nr_bytes_of(hash), part[3]);
    nr_sha256((struct nr_bytes){ &part[0][0], sizeof(part) }, out);
}

static bool
password_holds(struct nr_server *s, struct nr_str name, struct nr_str password,
    struct nr_str hash)
{
    struct nr_login_slot *slot;
    uint8_t key[32];
    bool ok;

    login_key(s, name, password, hash, key);
    slot = &s->logins[(key[0] ^ key[1]) % NR_LOGIN_SLOTS];
    (void)pthread_mutex_lock(&s->lock);
    ok = slot->used && nr_ct_eq(slot->hash, key, sizeof(key));
    (void)pthread_mutex_unlock(&s->lock);
    if (ok)
        return true;
    (void)pthread_mutex_lock(&s->hashing);
    ok = nr_password_verify(hash.p, nr_bytes_of(password));
    (void)pthread_mutex_unlock(&s->hashing);
    if (ok) {
        (void)pthread_mutex_lock(&s->lock);
        memcpy(slot->hash, key, sizeof(key));
        slot->used = true;
        (void)pthread_mutex_unlock(&s->lock);
    }
    return ok;
}

static enum nr_err
basic(struct nr_request *q, struct nr_db *db, struct nr_str text,
    struct nr_diag *d)
{
    uint8_t *plain = nr_new(&q->arena, uint8_t, LOGIN_MAX);
    struct nr_str pair, name, password, hash;
    int64_t member;
    size_t n;
    enum nr_err err;

    if (!plain)
        return nr_fail(d, NR_ENOMEM, 0, "out of memory");
    if (!nr_base64_parse(nr_str_trim(text), plain, LOGIN_MAX, &n) ||
        !nr_str_from_utf8((struct nr_bytes){ plain, n }, &pair))
        return nr_fail(d, NR_EDENIED, 0, "Basic: not base64 of UTF-8");
    name = nr_str_cut(pair, ':', &password);
    err = nr_reader_password(db, &q->arena, name, &member, &hash, d);
    if (!err &&
        (password.n > NR_PASSWORD_MAX ||
            !password_holds(q->server, name, password, hash)))
        err = nr_fail(d, NR_EDENIED, 0,
            "the key or password is not known here, or is no longer valid");
    nr_wipe(plain, LOGIN_MAX);
    return err
        ? err
        : nr_reader_of(db, &q->arena, member, 0,
              q->server->env->now_us(q->server->env->ctx), &q->reader, d);
}

static enum nr_err
identify(struct nr_request *q, struct nr_diag *d)
{
    struct nr_str h = nr_str_trim(nr_str_of(MHD_lookup_connection_value(q->conn,
        MHD_HEADER_KIND, "Authorization")));
    struct nr_db *db;
    enum nr_err err;

    if (h.n == 0)
        return nr_fail(d, NR_EDENIED, 0,
            "send Authorization: Bearer KEY, or Basic");
    db = nr_pool_get(&q->server->pool);
    if (starts_nocase(h, NR_STR("Bearer ")))
        err = nr_reader_by_token(db, &q->arena,
            nr_str_trim((struct nr_str){ h.p + 7, h.n - 7 }),
            q->server->env->now_us(q->server->env->ctx), &q->reader, d);
    else if (starts_nocase(h, NR_STR("Basic ")))
        err = basic(q, db, (struct nr_str){ h.p + 6, h.n - 6 }, d);
    else
        err = nr_fail(d, NR_EDENIED, 0, "only Bearer and Basic are known");
    nr_pool_put(&q->server->pool, db);
    return err;
}

static bool
within_rate(struct nr_request *q)
{
    struct nr_server *s = q->server;
    int64_t now = s->env->now_us(s->env->ctx);
    double rate = (double)(s->conf->rate ? s->conf->rate : NR_HUB_RATE);
    /* keys and accounts are numbered apart */
    int64_t id = q->reader.key ? q->reader.key : -q->reader.member;
    struct nr_rate_slot *slot;
    bool ok;

    (void)pthread_mutex_lock(&s->lock);
    slot = &s->rates[(uint64_t)id % NR_RATE_SLOTS];
    if (slot->key != id)
        *slot = (struct nr_rate_slot){ id, now, rate * NR_HUB_RATE_BURST };
    if (now > slot->at_us)
        slot->tokens += rate * (double)(now - slot->at_us) / 1e6;
    slot->at_us = now;
    if (slot->tokens > rate * NR_HUB_RATE_BURST)
        slot->tokens = rate * NR_HUB_RATE_BURST;
    ok = slot->tokens >= 1.0;
    if (ok)
        slot->tokens -= 1.0;
    (void)pthread_mutex_unlock(&s->lock);
    return ok;
}

bool
nr_auth(struct nr_request *q)
{
    struct nr_diag d = { 0 };
    char text[512];
    enum nr_err err;

    if (q->route->scope == 0)
        return true;
    err = identify(q, &d);
    if (err == NR_EDENIED) {
        nr_diag_print(&d, text, sizeof(text));
        nr_reply_error(q, 401, "Who are you?", text);
        return false;
    }
    if (err) {
        nr_reply_fail(q, err, &d);
        return false;
    }
    if ((q->reader.scope & q->route->scope) != q->route->scope) {
        nr_reply_error(q, 403, "Not allowed",
            "The key's scope does not cover this request.");
        return false;
    }
    if (!within_rate(q)) {
        nr_reply_error(q, 429, "Too many requests",
            "This key asks faster than the hub allows; slow down.");
        return false;
    }
    return true;
}
