/* Joining a hub, and what is remembered of it. */
#include "crypto/crypto.h"
#include "member/member.h"
#include "member/private.h"

#include "base/date.h"

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <unistd.h>

#define SCHEME      "noroshi://"
#define CERT_MAX    ((size_t)1 << 16) /* octets of the hub's certificate */
#define COLLECTIONS ((size_t)1024)    /* of one membership */

static bool
copy_str(char *to, size_t size, struct nr_str s)
{
    if (s.n == 0 || s.n >= size || memchr(s.p, 0, s.n))
        return false;
    memcpy(to, s.p, s.n);
    to[s.n] = 0;
    return true;
}

static bool
is_host(struct nr_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];

        if (!nr_is_digit(c) && !nr_is_alpha(c) && c != '-' && c != '.' &&
            c != ':')
            return false;
    }
    return s.n > 0;
}

static enum nr_err
parse_place(struct nr_str place, struct nr_hub_address *out, struct nr_diag *d)
{
    struct nr_str host = place, port = { "", 0 };
    uint64_t number;
    bool v6 = place.n > 0 && place.p[0] == '[';

    for (size_t i = place.n; i > 0; i--) {
        if (place.p[i - 1] != ':')
            continue;
        host.n = i - 1;
        port = (struct nr_str){ place.p + i, place.n - i };
        break;
    }
    if (v6 && host.n > 2 && host.p[host.n - 1] == ']')
        host = (struct nr_str){ host.p + 1, host.n - 2 };
    if (!is_host(host) || !copy_str(out->host, sizeof(out->host), host))
        return nr_fail(d, NR_EFORMAT, 0, "join address: no host name");
    if (!nr_str_to_u64(port, &number) || number == 0 || number > 65535)
        return nr_fail(d, NR_EFORMAT, 0, "join address: no port");
    (void)snprintf(out->port, sizeof(out->port), "%u", (unsigned)number);
    (void)snprintf(out->base, sizeof(out->base),
        v6 ? "https://[%s]:%s" : "https://%s:%s", out->host, out->port);
    return NR_OK;
}

static enum nr_err
parse_pin(struct nr_str text, struct nr_hub_address *out, struct nr_diag *d)
{
    uint8_t pin[NR_SHA256_LEN];
    size_t n;

    if (!nr_base64_parse(text, pin, sizeof(pin), &n) || n != sizeof(pin))
        return nr_fail(d, NR_EFORMAT, 0,
            "join address: pin is not the base64 of a SHA-256");
    nr_base64_print((struct nr_bytes){ pin, n }, out->pin);
    return NR_OK;
}

enum nr_err
nr_hub_address_parse(struct nr_str text, struct nr_hub_address *out,
    struct nr_diag *d)
{
    const size_t scheme = sizeof(SCHEME) - 1;
    struct nr_hub_address a = { 0 };
    struct nr_str place, query;
    enum nr_err err;

    text = nr_str_trim(text);
    if (text.n < scheme || memcmp(text.p, SCHEME, scheme) != 0)
        return nr_fail(d, NR_EFORMAT, 0,
            "join address: does not begin with noroshi://");
    text = (struct nr_str){ text.p + scheme, text.n - scheme };
    place = nr_str_cut(text, '?', &query);
    if (place.n > 0 && place.p[place.n - 1] == '/')
        place.n--;
    err = parse_place(place, &a, d);
    while (!err && query.n > 0) {
        struct nr_str value, pair = nr_str_cut(query, '&', &query);
        struct nr_str name = nr_str_cut(pair, '=', &value);

        if (nr_str_eq(name, NR_STR("pin")))
            err = parse_pin(value, &a, d);
        else if (nr_str_eq(name, NR_STR("code")) &&
            !copy_str(a.code, sizeof(a.code), value))
            err = nr_fail(d, NR_EFORMAT, 0, "join address: code has no value");
    }
    if (!err && a.pin[0] == 0)
        err = nr_fail(d, NR_EFORMAT, 0,
            "join address: no pin; the hub could be anyone");
    if (!err)
        *out = a;
    return err;
}

/* Does the certificate PEM hold the key that the pin names? */
static bool
has_pin(struct nr_str pem, const char *pin)
{
    gnutls_x509_crt_t crt = NULL;
    gnutls_pubkey_t key = NULL;
    gnutls_datum_t in = { (unsigned char *)(uintptr_t)pem.p, 0 };
    gnutls_datum_t der = { 0 };
    uint8_t digest[NR_SHA256_LEN];
    char text[NR_BASE64_MAX(NR_SHA256_LEN)] = "";

    if (pem.n > CERT_MAX)
        return false;
    in.size = (unsigned)pem.n;
    if (gnutls_x509_crt_init(&crt) == 0 && gnutls_pubkey_init(&key) == 0 &&
        gnutls_x509_crt_import(crt, &in, GNUTLS_X509_FMT_PEM) == 0 &&
        gnutls_pubkey_import_x509(key, crt, 0) == 0 &&
        gnutls_pubkey_export2(key, GNUTLS_X509_FMT_DER, &der) == 0) {
        nr_sha256((struct nr_bytes){ der.data, der.size }, digest);
        nr_base64_print((struct nr_bytes){ digest, sizeof(digest) }, text);
    }
    gnutls_free(der.data);
    if (key)
        gnutls_pubkey_deinit(key);
    if (crt)
        gnutls_x509_crt_deinit(crt);
    return text[0] && strcmp(text, pin) == 0;
}

static enum nr_err
ask_certificate(struct nr_http *h, const struct nr_hub_address *at,
    struct nr_arena *a, struct nr_str *pem, int64_t *hub_us, struct nr_diag *d)
{
    struct nr_http_response r = { 0 };
    struct nr_str time = { 0 };
    const struct nr_json *j = NULL;
    enum nr_err err = nr_http_exchange(h,
        &(struct nr_http_request){ "GET", "/v1/hub", .max = NR_SMALL_FILE }, &r,
        d);

    if (!err)
        err = nr_http_check(&r, d);
    if (!err)
        err = nr_json_parse(a, nr_buf_bytes(&r.body), &j, d);
    if (!err &&
        (!nr_json_get_str(j, NR_STR("time"), &time) ||
            nr_rfc3339_parse(nr_bytes_of(time), hub_us, NULL)))
        *hub_us = NR_TIME_NONE;
    if (!err && !nr_json_get_str(j, NR_STR("certificate"), pem))
        err = nr_fail_name(d, NR_EFORMAT, "hub: shows no certificate",
            at->base);
    if (!err && !has_pin(*pem, at->pin))
        err = nr_fail_name(d, NR_EDENIED,
            "hub: the certificate it shows is not the pinned one", at->base);
    if (!err) {
        char *text = nr_arena_text(a, *pem);

        *pem = (struct nr_str){ text, pem->n };
        if (!text)
            err = nr_fail(d, NR_ENOMEM, 0, "join: no memory");
    }
    nr_http_response_fini(&r);
    return err;
}

static enum nr_err
ask_membership(struct nr_http *h, const struct nr_hub_address *at,
    const struct nr_ed25519 *key, struct nr_http_response *r, struct nr_diag *d)
{
    char hex[NR_ED25519_PUBLIC_LEN * 2 + 1];
    struct nr_json_out o;
    struct nr_buf body;
    enum nr_err err;

    nr_hex_print((struct nr_bytes){ key->pub, sizeof(key->pub) }, hex);
    nr_buf_init(&body, NR_SMALL_FILE);
    nr_json_out_init(&o, &body);
    nr_json_open_object(&o);
    nr_json_member_str(&o, NR_STR("code"), nr_str_of(at->code));
    nr_json_member_str(&o, NR_STR("public_key"), nr_str_of(hex));
    nr_json_close_object(&o);
    err = nr_json_out_end(&o);
    if (!err)
        err = nr_http_exchange(h,
            &(struct nr_http_request){ "POST", "/v1/join",
                .body = nr_buf_bytes(&body), .max = NR_SMALL_FILE },
            r, d);
    if (!err)
        err = nr_http_check(r, d);
    nr_buf_fini(&body);
    return err;
}

static enum nr_err
store(const char *home, const char *name, struct nr_bytes in, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    enum nr_err err = nr_path_join(path, home, name, d);

    return err ? err : nr_file_replace(path, in, 0600, d);
}

/* The hub's answer, the key in a file of its own. The address comes last: a
 * home has joined when it is there. */
static enum nr_err
store_membership(const char *home, const struct nr_hub_address *at,
    struct nr_bytes in, struct nr_str pem, struct nr_diag *d)
{
    struct nr_str key = { "", 0 }, member;
    const struct nr_json *j = NULL, *m;
    char address[sizeof(at->base) + NR_PIN_MAX + 32];
    struct nr_json_out o;
    struct nr_arena a;
    struct nr_buf b;
    enum nr_err err;

    nr_arena_init(&a, NR_SMALL_MEMORY);
    nr_buf_init(&b, NR_SMALL_FILE);
    err = nr_json_parse(&a, in, &j, d);
    if (!err &&
        (!nr_json_get_str(j, NR_STR("key"), &key) ||
            !nr_json_get_str(j, NR_STR("member"), &member)))
        err = nr_fail(d, NR_EFORMAT, 0, "hub: admits without member or key");
    if (err)
        goto out;
    nr_json_out_init(&o, &b);
    nr_json_open_object(&o);
    for (m = j->child; m; m = m->next) {
        if (nr_str_eq(m->key, NR_STR("key")))
            continue;
        nr_json_key(&o, m->key);
        nr_json_put_tree(&o, m);
    }
    nr_json_close_object(&o);
    err = nr_json_out_end(&o);
    nr_buf_put_c(&b, '\n');
    if (!err)
        err = store(home, NR_HOME_HUB "/member.json", nr_buf_bytes(&b), d);
    if (!err)
        err = store(home, NR_HOME_HUB "/hub.pem", nr_bytes_of(pem), d);
    nr_buf_reset(&b);
    nr_buf_put_str(&b, key);
    nr_buf_put_c(&b, '\n');
    if (!err)
        err = store(home, NR_HOME_HUB "/key", nr_buf_bytes(&b), d);
    (void)snprintf(address, sizeof(address), SCHEME "%s/?pin=%s\n",
        at->base + sizeof("https://") - 1, at->pin);
    if (!err)
        err = store(home, NR_HOME_HUB "/address",
            nr_bytes_of(nr_str_of(address)), d);
out:
    nr_buf_fini(&b);
    nr_arena_fini(&a);
    return err;
}

enum nr_err
nr_member_join(const char *home, struct nr_str address,
    const struct nr_env *env, int64_t *skew_s, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    int64_t hub_us = NR_TIME_NONE;
    struct nr_http_response r = { 0 };
    struct nr_hub_address at;
    struct nr_ed25519 key;
    struct nr_http *h = NULL;
    struct nr_arena a;
    struct nr_str pem = { 0 };
    int lock = -1;
    enum nr_err err;

    nr_arena_init(&a, NR_SMALL_MEMORY);
    err = nr_hub_address_parse(address, &at, d);
    if (!err && at.code[0] == 0)
        err = nr_fail(d, NR_EFORMAT, 0, "join address: no code");
    if (!err)
        err = nr_identity_read(home, &key, d);
    if (!err)
        err = nr_path_join(path, home, NR_HOME_LOCK, d);
    if (!err)
        err = nr_file_lock(path, &lock, d);
    if (!err)
        err = nr_path_join(path, home, NR_HOME_HUB "/address", d);
    if (!err && access(path, F_OK) == 0)
        err = nr_fail_name(d, NR_EEXIST,
            "join: this home has a hub already; another needs another home",
            home);
    if (!err)
        err = nr_http_create(&(struct nr_http_conf){ .base = at.base,
                                 .pin = at.pin },
            &h, d);
    if (!err)
        err = ask_certificate(h, &at, &a, &pem, &hub_us, d);
    if (!err)
        *skew_s = hub_us == NR_TIME_NONE
            ? 0
            : hub_us / NR_US_PER_S - nr_env_now_s(env);
    if (!err)
        err = ask_membership(h, &at, &key, &r, d);
    if (!err)
        err = store_membership(home, &at, nr_buf_bytes(&r.body), pem, d);
    nr_http_response_fini(&r);
    nr_http_destroy(h);
    nr_wipe(&key, sizeof(key));
    nr_arena_fini(&a);
    if (lock >= 0)
        close(lock);
    return err;
}

static enum nr_err
read_hub_file(struct nr_arena *a, const char *home, const char *name,
    struct nr_str *out, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    struct nr_bytes in = { 0 };
    enum nr_err err = nr_path_join(path, home, name, d);

    if (!err)
        err = nr_file_read(a, path, NR_SMALL_FILE, &in, NULL);
    if (err == NR_ENOTFOUND)
        return nr_fail_name(d, NR_ENOTFOUND,
            "home: has no hub; `noroshi join` with the address it gave you",
            home);
    if (err)
        return nr_fail_file(d, "home: cannot be read", path);
    if (!nr_str_from_utf8(in, out))
        return nr_fail_name(d, NR_EDAMAGED, "home: not a text", path);
    *out = nr_str_trim(*out);
    return NR_OK;
}

static enum nr_err
take_collections(struct nr_arena *a, const struct nr_json *list,
    struct nr_membership *out, struct nr_diag *d)
{
    struct nr_collection *v;

    if (!nr_json_is(list, NR_JSON_ARRAY))
        return NR_OK;
    if (list->n > COLLECTIONS)
        return nr_fail(d, NR_ELIMIT, 0, "member.json: too many collections");
    v = nr_new(a, struct nr_collection, list->n + 1);
    if (!v)
        return nr_fail(d, NR_ENOMEM, 0, "member.json: no memory");
    for (const struct nr_json *c = list->child; c; c = c->next) {
        struct nr_collection *to = &v[out->n_collections];
        const struct nr_json *can;

        if (!nr_json_get_str(c, NR_STR("id"), &to->id))
            continue;
        (void)nr_json_get_str(c, NR_STR("title"), &to->title);
        can = nr_json_get(c, NR_STR("can_read"));
        to->can_read = nr_json_is(can, NR_JSON_BOOL) && can->truth;
        can = nr_json_get(c, NR_STR("can_write"));
        to->can_write = nr_json_is(can, NR_JSON_BOOL) && can->truth;
        out->n_collections++;
    }
    out->collections = v;
    return NR_OK;
}

enum nr_err
nr_membership_read(struct nr_arena *a, const char *home,
    struct nr_membership *out, struct nr_diag *d)
{
    struct nr_membership m = { 0 };
    const struct nr_json *j = NULL;
    struct nr_str text;
    enum nr_err err = read_hub_file(a, home, NR_HOME_HUB "/address", &text, d);

    if (!err)
        err = nr_hub_address_parse(text, &m.address, d);
    if (!err)
        err = read_hub_file(a, home, NR_HOME_HUB "/key", &m.key, d);
    if (!err)
        err = read_hub_file(a, home, NR_HOME_HUB "/member.json", &text, d);
    if (!err)
        err = nr_json_parse(a, nr_bytes_of(text), &j, d);
    if (!err && !nr_json_get_str(j, NR_STR("member"), &m.member))
        err = nr_fail_name(d, NR_EDAMAGED, "member.json: names no member",
            home);
    if (err)
        return err;
    (void)nr_json_get_str(j, NR_STR("expires"), &m.expires);
    (void)nr_json_get_str(j, NR_STR("sector"), &m.sector);
    (void)nr_json_get_str(j, NR_STR("size"), &m.size);
    (void)nr_json_get_str(j, NR_STR("role"), &m.role);
    (void)nr_json_get_str(j, NR_STR("hub"), &m.hub);
    err = take_collections(a, nr_json_get(j, NR_STR("collections")), &m, d);
    if (!err)
        *out = m;
    return err;
}

enum nr_err
nr_member_http(const char *home, const struct nr_membership *m,
    const char *resolve, struct nr_http **out, struct nr_diag *d)
{
    char ca[NR_PATH_MAX], key[256];
    struct nr_http_conf conf = { .base = m->address.base,
        .ca_file = ca,
        .pin = m->address.pin,
        .bearer = key,
        .resolve = resolve };
    enum nr_err err = nr_path_join(ca, home, NR_HOME_HUB "/hub.pem", d);

    if (!err && !copy_str(key, sizeof(key), m->key))
        err = nr_fail_name(d, NR_EDAMAGED, "home: hub/key holds no key", home);
    if (!err)
        err = nr_http_create(&conf, out, d);
    nr_wipe(key, sizeof(key));
    return err;
}
