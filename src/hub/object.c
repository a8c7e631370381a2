#include "hub/object.h"

#include "base/date.h"

#define NAMED_MAX ((size_t)1000) /* readers that one object names */

static const struct {
    const char *uuid;
    struct nr_marking m;
} markings[] = {
    { "613f2e26-407d-48c7-9eca-b8e91df99dc9", { NR_TLP_CLEAR, 0 } },
    { "34098fce-860f-48ae-8e50-ebd3cc5e41da", { NR_TLP_GREEN, 0 } },
    { "f88d31f6-486f-44da-b317-01333bde0b82", { NR_TLP_AMBER, 0 } },
    { "5e57c739-391a-4eb3-b6be-7d15ca92d5ed", { NR_TLP_RED, 0 } },
    { "94868c89-83c2-464b-929b-a1a8aa3c8487", { NR_TLP_CLEAR, 0 } },
    { "bab4a63c-aed9-4cf5-a766-dfca5abac2bb", { NR_TLP_GREEN, 0 } },
    { "55d920b0-5e8b-4f79-9ee9-91f868d9b421", { NR_TLP_AMBER, 0 } },
    { "939a9414-2ddd-4d32-a0cd-375ea402b003", { NR_TLP_AMBER_STRICT, 0 } },
    { "e828b379-4e03-4974-9ac4-e53a884c97c1", { NR_TLP_RED, 0 } },
    { "ad15a0cd-55b6-4588-a14c-a66105329b92", { 0, NR_PAP_CLEAR } },
    { "c43594d1-4b11-4c59-93ab-1c9b14d53ce9", { 0, NR_PAP_GREEN } },
    { "60f8932b-e51e-4458-b265-a2e8be9a80ab", { 0, NR_PAP_AMBER } },
    { "740d36e5-7714-4c30-961a-3ae632ceee0e", { 0, NR_PAP_RED } },
};

#define UUID_LEN ((size_t)36)

static bool
id_parse(struct nr_str id, struct nr_str *type)
{
    struct nr_str uuid;
    size_t n;

    if (id.n < UUID_LEN + 3 || id.n > NR_STIX_ID_MAX)
        return false;
    n = id.n - UUID_LEN - 2;
    uuid = (struct nr_str){ id.p + n + 2, UUID_LEN };
    if (id.p[n] != '-' || id.p[n + 1] != '-')
        return false;
    for (size_t i = 0; i < UUID_LEN; i++) {
        bool dash = i == 8 || i == 13 || i == 18 || i == 23;

        if (dash ? uuid.p[i] != '-' : !nr_is_hex((uint8_t)uuid.p[i]))
            return false;
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t c = (uint8_t)id.p[i];

        if (!nr_is_digit(c) && c != '-' && (c < 'a' || c > 'z'))
            return false;
    }
    *type = (struct nr_str){ id.p, n };
    return true;
}

bool
nr_id_is_like(struct nr_str s)
{
    struct nr_str type;

    return id_parse(s, &type);
}

bool
nr_id_is(struct nr_str s, struct nr_str type)
{
    struct nr_str t;

    return id_parse(s, &t) && nr_str_eq(t, type);
}

static void
join_marking(struct nr_marking *m, const struct nr_json *ref)
{
    struct nr_str type, uuid;

    if (!nr_json_is(ref, NR_JSON_STRING) || !id_parse(ref->text, &type))
        return;
    uuid = (struct nr_str){ ref->text.p + type.n + 2, UUID_LEN };
    for (size_t i = 0; i < sizeof(markings) / sizeof(markings[0]); i++) {
        if (!nr_str_eq(uuid, nr_str_of(markings[i].uuid)))
            continue;
        if (markings[i].m.tlp > m->tlp)
            m->tlp = markings[i].m.tlp;
        if (markings[i].m.pap > m->pap)
            m->pap = markings[i].m.pap;
    }
}

/* The strictest of all that is said; what is not said is amber. */
static struct nr_marking
marking_of(const struct nr_json *object)
{
    const struct nr_json *list = nr_json_get(object,
        NR_STR("object_marking_refs"));
    struct nr_marking m = { NR_TLP_NONE, NR_PAP_NONE };

    for (const struct nr_json *v = list ? list->child : NULL; v; v = v->next)
        join_marking(&m, v);
    list = nr_json_get(object, NR_STR("granular_markings"));
    for (const struct nr_json *v = list ? list->child : NULL; v; v = v->next)
        join_marking(&m, nr_json_get(v, NR_STR("marking_ref")));
    if (m.tlp == NR_TLP_NONE)
        m.tlp = NR_TLP_AMBER;
    if (m.pap == NR_PAP_NONE)
        m.pap = NR_PAP_AMBER;
    return m;
}

static bool
names_another(const struct nr_json *v, struct nr_str self)
{
    return nr_json_is(v, NR_JSON_STRING) && nr_id_is_like(v->text) &&
        !nr_id_is(v->text, NR_STR("marking-definition")) &&
        !nr_str_eq(v->text, self);
}

/* Does J name objects that may be hidden from somebody? Its creator under the
 * author's own pseudonym is not one. */
static bool
has_refs(const struct nr_json *j, struct nr_str pseudonym)
{
    for (const struct nr_json *m = j->child; m; m = m->next) {
        if (nr_str_eq(m->key, NR_STR("id")))
            continue;
        if (names_another(m, pseudonym))
            return true;
        if (!nr_json_is(m, NR_JSON_ARRAY))
            continue;
        for (const struct nr_json *v = m->child; v; v = v->next)
            if (names_another(v, pseudonym))
                return true;
    }
    return false;
}

static enum nr_err
version_of(const struct nr_json *j, int64_t *us, struct nr_diag *d)
{
    static const char *const names[] = { "modified", "created" };
    struct nr_str text;

    *us = 0;
    for (size_t i = 0; i < 2; i++) {
        if (!nr_json_get(j, nr_str_of(names[i])))
            continue;
        if (!nr_json_get_str(j, nr_str_of(names[i]), &text) ||
            nr_rfc3339_parse(nr_bytes_of(text), us, NULL) || *us <= 0)
            return nr_fail(d, NR_EFORMAT, j->at,
                "object: modified or created is no time after 1970 (section "
                "3.2)");
        return NR_OK;
    }
    return NR_OK;
}

enum nr_err
nr_object_fact(const struct nr_json *j, struct nr_bytes text,
    const struct nr_reader *author, int64_t collection, struct nr_fact *out,
    struct nr_diag *d)
{
    struct nr_marking m;
    struct nr_str id, type, of_id;
    enum nr_err err;

    if (!nr_json_is(j, NR_JSON_OBJECT))
        return nr_fail(d, NR_EFORMAT, 0, "object: not a JSON object");
    if (j->len > NR_HUB_OBJECT_MAX)
        return nr_fail(d, NR_ELIMIT, j->at, "object: larger than 1 MiB");
    if (!nr_json_get_str(j, NR_STR("id"), &id) ||
        !nr_json_get_str(j, NR_STR("type"), &type) || !id_parse(id, &of_id) ||
        !nr_str_eq(type, of_id))
        return nr_fail(d, NR_EFORMAT, j->at,
            "object: type and id \"type--UUID\" are required (section 2.9)");
    if (nr_str_eq(type, NR_STR("bundle")))
        return nr_fail(d, NR_EFORMAT, j->at,
            "object: post the objects of a bundle, not the bundle");
    *out = (struct nr_fact){ .kind = NR_FACT_OBJECT,
        .subject = id,
        .collection = collection,
        .author = author->member };
    err = version_of(j, &out->version_us, d);
    if (err)
        return err;
    m = marking_of(j);
    out->tlp = m.tlp;
    out->pap = m.pap;
    out->audience = m.tlp == NR_TLP_RED ? NR_AUDIENCE_AUTHOR
                                        : NR_AUDIENCE_COLLECTION;
    out->refs = has_refs(j, author->pseudonym);
    out->body = nr_json_span(text, j);
    return NR_OK;
}

enum nr_err
nr_object_named(struct nr_db *db, struct nr_arena *scratch, struct nr_fact *f,
    struct nr_diag *d)
{
    int64_t members[NAMED_MAX];
    const struct nr_json *j, *list;
    size_t n = 0;
    enum nr_err err = NR_OK;

    if (f->tlp != NR_TLP_RED || f->audience != NR_AUDIENCE_AUTHOR)
        return NR_OK;
    nr_arena_reset(scratch);
    err = nr_json_parse(scratch, f->body, &j, d);
    list = err ? NULL : nr_json_get(j, NR_STR("x_noroshi_audience"));
    if (!nr_json_is(list, NR_JSON_ARRAY))
        return err;
    for (const struct nr_json *v = list->child; !err && v; v = v->next) {
        int64_t id = 0;

        if (n == NAMED_MAX || !nr_json_is(v, NR_JSON_STRING))
            return nr_fail(d, NR_EFORMAT, v->at,
                "x_noroshi_audience: at most 1000 pseudonyms");
        err = nr_db_i64(db, d, 0, &id,
            "SELECT id FROM member WHERE pseudonym=?1 AND revoked_us IS NULL",
            "t", v->text);
        if (id)
            members[n++] = id;
    }
    if (!err && n > 0)
        err = nr_store_audience(db, members, n, &f->audience, d);
    return err;
}
