/* Reading MISP warninglists (github.com/MISP/misp-warninglists, schema.json). */
#include "base/file.h"
#include "observable/warn.h"
#include "json/json.h"

#include <stdlib.h>
#include <string.h>

#define WARN_MEMORY_MAX ((size_t)1 << 30) /* octets of all lists in memory */
#define WARN_DIR_MAX    ((size_t)4096)    /* entries of the directory */

#define BIT(kind) (1u << (kind))
#define ADDRESSES                                                 \
    (BIT(NR_KIND_IPV4) | BIT(NR_KIND_IPV6) | BIT(NR_KIND_CIDR4) | \
        BIT(NR_KIND_CIDR6))

/* MISP attribute types, and which of our kinds they are. */
static const struct {
    struct nr_str name;
    unsigned kinds;
} attributes[] = {
    { { "ip-src", 6 }, ADDRESSES },
    { { "ip-dst", 6 }, ADDRESSES },
    { { "domain|ip", 9 }, ADDRESSES | BIT(NR_KIND_DOMAIN) },
    { { "domain", 6 }, BIT(NR_KIND_DOMAIN) },
    { { "hostname", 8 }, BIT(NR_KIND_DOMAIN) },
    { { "url", 3 }, BIT(NR_KIND_URL) },
    { { "uri", 3 }, BIT(NR_KIND_URL) },
    { { "email", 5 }, BIT(NR_KIND_EMAIL) },
    { { "email-src", 9 }, BIT(NR_KIND_EMAIL) },
    { { "email-dst", 9 }, BIT(NR_KIND_EMAIL) },
    { { "md5", 3 }, BIT(NR_KIND_MD5) },
    { { "sha1", 4 }, BIT(NR_KIND_SHA1) },
    { { "sha256", 6 }, BIT(NR_KIND_SHA256) },
    { { "sha512", 6 }, BIT(NR_KIND_SHA512) },
    { { "filename", 8 }, BIT(NR_KIND_FILENAME) },
    { { "btc", 3 }, BIT(NR_KIND_WALLET_BTC) },
    { { "ja3-fingerprint-md5", 19 }, BIT(NR_KIND_JA3) },
    { { "AS", 2 }, BIT(NR_KIND_ASN) },
    { { "vulnerability", 13 }, BIT(NR_KIND_CVE) },
};

static const struct {
    struct nr_str name;
    enum nr_warn_type type;
} types[] = {
    { { "cidr", 4 }, NR_WARN_CIDR },
    { { "hostname", 8 }, NR_WARN_HOSTNAME },
    { { "string", 6 }, NR_WARN_STRING },
    { { "substring", 9 }, NR_WARN_SUBSTRING },
    { { "regex", 5 }, NR_WARN_REGEX },
};

static unsigned
kinds_of(const struct nr_json *list)
{
    const struct nr_json *names = nr_json_get(list,
        NR_STR("matching_attributes"));
    unsigned kinds = 0;

    if (!nr_json_is(names, NR_JSON_ARRAY))
        return BIT(NR_KINDS) - 1;
    for (const struct nr_json *j = names->child; j; j = j->next)
        for (size_t i = 0; i < sizeof(attributes) / sizeof(*attributes); i++)
            if (nr_json_is(j, NR_JSON_STRING) &&
                nr_str_eq(j->text, attributes[i].name))
                kinds |= attributes[i].kinds;
    return kinds;
}

static enum nr_err
type_of(const struct nr_json *list, enum nr_warn_type *type, struct nr_diag *d)
{
    struct nr_str name = NR_STR("");

    (void)nr_json_get_str(list, NR_STR("type"), &name);
    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (nr_str_eq(name, types[i].name)) {
            *type = types[i].type;
            return NR_OK;
        }
    return nr_fail(d, NR_EFORMAT, 0,
        "warninglist: type cidr, hostname, string, substring or regex "
        "wanted");
}

static enum nr_err
take_list(struct nr_warnlists *w, struct nr_str name,
    const struct nr_json *json, struct nr_diag *d)
{
    const struct nr_json *entries = nr_json_get(json, NR_STR("list"));
    struct nr_warn_list *list = nr_new(&w->arena, struct nr_warn_list, 1);
    struct nr_str title = name;
    struct nr_bytes kept;
    enum nr_err err;

    if (!list)
        return nr_fail(d, NR_ENOMEM, 0, "warninglist: out of memory");
    if (w->n_lists == NR_WARN_LISTS_MAX)
        return nr_fail(d, NR_ELIMIT, 0, "warninglist: more than 512 lists");
    if (!nr_json_is(entries, NR_JSON_ARRAY))
        return nr_fail(d, NR_EFORMAT, 0, "warninglist: no array \"list\"");
    err = type_of(json, &list->type, d);
    if (err != NR_OK)
        return err;
    (void)nr_json_get_str(json, NR_STR("name"), &title);
    list->kinds = kinds_of(json);
    kept = nr_warn_keep(w, nr_bytes_of(name));
    list->name = (struct nr_str){ (const char *)kept.p, kept.n };
    kept = nr_warn_keep(w, nr_bytes_of(title));
    list->title = (struct nr_str){ (const char *)kept.p, kept.n };
    for (const struct nr_json *j = entries->child; j; j = j->next) {
        if (!nr_json_is(j, NR_JSON_STRING))
            return nr_fail(d, NR_EFORMAT, j->at,
                "warninglist: entries are strings");
        err = nr_warn_put(w, list, j->text, d);
        if (err != NR_OK) {
            if (d && d->at == 0)
                d->at = j->at;
            return err;
        }
    }
    w->lists[w->n_lists++] = list;
    return NR_OK;
}

static enum nr_err
load_file(struct nr_warnlists *w, const char *dir, const char *file,
    size_t name_n, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    struct nr_arena a;
    struct nr_bytes text = { 0 };
    const struct nr_json *json = NULL;
    enum nr_err err;

    nr_arena_init(&a, WARN_MEMORY_MAX);
    err = nr_path_join(path, dir, file, d);
    if (err == NR_OK)
        err = nr_file_read(&a, path, NR_WARN_FILE_MAX, &text, d);
    if (err == NR_OK) {
        nr_warn_count_in(w, nr_str_of(file), text);
        err = nr_json_parse(&a, text, &json, d);
    }
    if (err == NR_OK)
        err = take_list(w,
            (struct nr_str){ nr_str_of(file).p,
                nr_str_of(file).n < name_n ? nr_str_of(file).n : name_n },
            json, d);
    if (err != NR_OK)
        nr_diag_add_name(d, path);
    nr_arena_fini(&a);
    return err;
}

enum nr_err
nr_warn_load(const char *dir, struct nr_warnlists **out, struct nr_diag *d)
{
    struct nr_warnlists *w = calloc(1, sizeof(*w));
    struct nr_names names = { 0 };
    struct nr_arena a;
    enum nr_err err;

    if (!w)
        return nr_fail(d, NR_ENOMEM, 0, "warninglist: out of memory");
    nr_arena_init(&w->arena, WARN_MEMORY_MAX);
    nr_arena_init(&a, WARN_MEMORY_MAX);
    err = nr_dir_list(&a, dir, WARN_DIR_MAX, &names, d);
    for (size_t i = 0; i < names.n && err == NR_OK; i++) {
        size_t n = strlen(names.v[i]);

        if (n > 5 && strcmp(names.v[i] + n - 5, ".json") == 0)
            err = load_file(w, dir, names.v[i], n - 5, d);
    }
    if (err == NR_OK && w->n_lists == 0)
        err = nr_fail_name(d, NR_ENOTFOUND,
            "warninglist: no *.json in this directory", dir);
    nr_arena_fini(&a);
    if (err == NR_OK)
        *out = w;
    else
        nr_warn_destroy(w);
    return err;
}
