/* Identifiers and times of STIX objects. */
#include "stix/stix.h"

#include "base/hash.h"

#include <stdio.h>

const uint8_t nr_stix_sco_namespace[16] = { 0x00, 0xab, 0xed, 0xb4, 0xaa, 0x42,
    0x46, 0x6c, 0x9c, 0x01, 0xfe, 0xd2, 0x33, 0x15, 0xa9, 0xb7 };

#define UUID_LEN ((size_t)36)

static bool
is_uuid(struct nr_str s)
{
    for (size_t i = 0; i < UUID_LEN; i++) {
        uint8_t c = (uint8_t)s.p[i];

        if (i == 8 || i == 13 || i == 18 || i == 23 ? c != '-' : !nr_is_hex(c))
            return false;
    }
    return true;
}

bool
nr_stix_id_parse(struct nr_str id, struct nr_str *type)
{
    size_t n;

    if (id.n < UUID_LEN + 3 || id.n >= NR_STIX_ID_MAX)
        return false;
    n = id.n - UUID_LEN - 2;
    if (id.p[n] != '-' || id.p[n + 1] != '-' || id.p[n - 1] == '-' ||
        !is_uuid((struct nr_str){ id.p + n + 2, UUID_LEN }))
        return false;
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)id.p[i];

        if (!nr_is_digit(c) && c != '-' && (c < 'a' || c > 'z'))
            return false;
    }
    if (type)
        *type = (struct nr_str){ id.p, n };
    return true;
}

bool
nr_stix_id_is(struct nr_str id, struct nr_str type)
{
    struct nr_str got;

    return nr_stix_id_parse(id, &got) && nr_str_eq(got, type);
}

static struct nr_str
print_id(const char *type, const char *uuid, char out[NR_STIX_ID_MAX])
{
    int n = snprintf(out, NR_STIX_ID_MAX, "%.*s--%s", (int)NR_STIX_TYPE_MAX,
        type, uuid);

    return (struct nr_str){ out, n > 0 ? (size_t)n : 0 };
}

struct nr_str
nr_stix_id_random(const char *type, const uint8_t random[16],
    char out[NR_STIX_ID_MAX])
{
    char uuid[NR_UUID_MAX];

    nr_uuid4(random, uuid);
    return print_id(type, uuid, out);
}

struct nr_str
nr_stix_id_named(const char *type, const uint8_t ns[16], struct nr_str name,
    char out[NR_STIX_ID_MAX])
{
    char uuid[NR_UUID_MAX];

    nr_uuid5(ns, nr_bytes_of(name), uuid);
    return print_id(type, uuid, out);
}

const char *
nr_stix_time_print(int64_t us, char buf[NR_RFC3339_MAX])
{
    size_t n;

    nr_time_print_us(us, buf);
    n = strlen(buf);
    if (us % 1000 == 0 && n > 4) /* ".123000Z" to ".123Z" */
        memcpy(buf + n - 4, "Z", 2);
    return buf;
}

bool
nr_stix_time_parse(struct nr_str text, int64_t *us)
{
    return text.n >= 20 && text.p[10] == 'T' && text.p[text.n - 1] == 'Z' &&
        nr_rfc3339_parse(nr_bytes_of(text), us, NULL) == NR_OK;
}

/*
 * Id contributing properties (section 2.9 and the tables of section 6). A
 * hash stands for the first of these algorithms that is there.
 */
static const struct {
    const char *type;
    const char *names[6];
} contributing[] = {
    { "artifact", { "hashes", "payload_bin" } },
    { "autonomous-system", { "number" } },
    { "directory", { "path" } },
    { "domain-name", { "value" } },
    { "email-addr", { "value" } },
    { "email-message", { "from_ref", "subject", "body" } },
    { "file", { "hashes", "name", "extensions", "parent_directory_ref" } },
    { "ipv4-addr", { "value" } },
    { "ipv6-addr", { "value" } },
    { "mac-addr", { "value" } },
    { "mutex", { "name" } },
    { "network-traffic",
        { "start", "end", "src_ref", "dst_ref", "src_port", "dst_port" } },
    { "software", { "name", "cpe", "swid", "vendor", "version" } },
    { "url", { "value" } },
    { "user-account", { "account_type", "user_id", "account_login" } },
    { "windows-registry-key", { "key", "values" } },
    { "x509-certificate", { "hashes", "serial_number" } },
};

/* network-traffic has two more than fit above. */
static const char *const more_traffic[] = { "protocols", "extensions" };

static const struct nr_json *
first_hash(struct nr_arena *a, const struct nr_json *hashes)
{
    static const char *const order[] = { "MD5", "SHA-1", "SHA-256", "SHA-512" };
    struct nr_json *dict = nr_new(a, struct nr_json, 1);
    struct nr_json *one = nr_new(a, struct nr_json, 1);
    const struct nr_json *found = NULL;

    if (!dict || !one)
        return NULL;
    for (size_t i = 0; i < 4 && !found; i++)
        found = nr_json_get(hashes, nr_str_of(order[i]));
    if (!found && nr_json_is(hashes, NR_JSON_OBJECT))
        found = hashes->child;
    if (!found)
        return hashes;
    *one = *found;
    one->next = NULL;
    *dict = *hashes;
    dict->child = one;
    dict->n = 1;
    return dict;
}

/* Append a copy of member NAME of SCO to OBJ. False: out of memory. */
static bool
contribute(struct nr_arena *a, const struct nr_json *sco, const char *name,
    struct nr_json *obj, struct nr_json **last)
{
    const struct nr_json *j = nr_json_get(sco, nr_str_of(name));
    struct nr_json *copy;

    if (!j)
        return true;
    if (strcmp(name, "hashes") == 0)
        j = first_hash(a, j);
    copy = nr_new(a, struct nr_json, 1);
    if (!j || !copy)
        return false;
    *copy = *j;
    copy->key = nr_str_of(name);
    copy->next = NULL;
    if (*last)
        (*last)->next = copy;
    else
        obj->child = copy;
    *last = copy;
    obj->n++;
    return true;
}

static bool
contribute_all(struct nr_arena *a, const struct nr_json *sco, size_t row,
    struct nr_json *obj)
{
    struct nr_json *last = NULL;
    bool ok = true;

    for (size_t i = 0; i < 6 && contributing[row].names[i]; i++)
        ok = ok && contribute(a, sco, contributing[row].names[i], obj, &last);
    if (strcmp(contributing[row].type, "network-traffic") == 0)
        for (size_t i = 0; i < 2; i++)
            ok = ok && contribute(a, sco, more_traffic[i], obj, &last);
    return ok;
}

enum nr_err
nr_stix_sco_id(struct nr_arena *scratch, const struct nr_json *sco,
    char out[NR_STIX_ID_MAX], struct nr_diag *d)
{
    struct nr_json obj = { .type = NR_JSON_OBJECT };
    struct nr_str type = { 0 }, text;
    size_t row = 0, rows = sizeof(contributing) / sizeof(*contributing);
    struct nr_buf canon;
    enum nr_err err;

    (void)nr_json_get_str(sco, NR_STR("type"), &type);
    while (row < rows && !nr_str_eq(nr_str_of(contributing[row].type), type))
        row++;
    if (row == rows)
        return nr_fail(d, NR_ENOTFOUND, 0,
            "stix: type without deterministic id [2.9]");
    if (!contribute_all(scratch, sco, row, &obj))
        return nr_fail(d, NR_ENOMEM, 0, "stix: out of memory");
    if (obj.n == 0)
        return nr_fail(d, NR_ENOTFOUND, 0,
            "stix: no id contributing property [2.9]");
    nr_buf_init(&canon, NR_JSON_TEXT_MAX);
    err = nr_json_canon(scratch, &obj, &canon, d);
    if (!err && nr_str_from_utf8(nr_buf_bytes(&canon), &text))
        (void)nr_stix_id_named(contributing[row].type, nr_stix_sco_namespace,
            text, out);
    nr_buf_fini(&canon);
    return err;
}
