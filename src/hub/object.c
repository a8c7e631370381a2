#include "hub/object.h"

#include "base/date.h"

#define NAMED_MAX ((size_t)1000) /* readers that one object names */

static bool
names_another(const struct nr_json *v, struct nr_str self)
{
    return nr_json_is(v, NR_JSON_STRING) && nr_stix_id_parse(v->text, NULL) &&
        !nr_stix_id_is(v->text, NR_STR("marking-definition")) &&
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
        !nr_json_get_str(j, NR_STR("type"), &type) ||
        !nr_stix_id_parse(id, &of_id) || !nr_str_eq(type, of_id))
        return nr_fail(d, NR_EFORMAT, j->at,
            "object: type and id \"type--UUID\" are required (section 2.9)");
    if (nr_str_eq(type, NR_STR("bundle")))
        return nr_fail(d, NR_EFORMAT, j->at,
            "object: post the objects of a bundle, not the bundle");
    err = nr_stix_check(j, d);
    if (err)
        return err;
    *out = (struct nr_fact){ .kind = NR_FACT_OBJECT,
        .subject = id,
        .collection = collection,
        .author = author->member };
    err = version_of(j, &out->version_us, d);
    if (err)
        return err;
    m = nr_marking_effective(nr_stix_marking(j, NULL, NULL, NULL));
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
