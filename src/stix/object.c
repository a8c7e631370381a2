/*
 * Typed objects. One table a type says which member of the struct is which
 * property, of which form, and whether it must be there; reading and writing
 * are two walks over the same table, so they cannot differ.
 */
#include "stix/check.h"

enum form { STR, STRS, TIME, BOOL, INT, TREE };

struct field {
    const char *name;
    enum form form;
    bool required;
    size_t offset;
};

struct shape {
    const char *type;
    size_t size;
    const struct field *fields;
    size_t n;
};

static enum nr_err
bad(struct nr_diag *d, const struct nr_json *at, const char *name,
    const char *what)
{
    nr_fail(d, NR_EFORMAT, at ? at->at : 0, what);
    nr_diag_add_name(d, name);
    return NR_EFORMAT;
}

/* --- the head --- */

#define HEAD(n, f, m)                                 \
    {                                                 \
        n, f, false, offsetof(struct nr_stix_head, m) \
    }

static const struct field head_fields[] = {
    HEAD("created_by_ref", STR, created_by_ref),
    HEAD("created", TIME, created_us),
    HEAD("modified", TIME, modified_us),
    HEAD("revoked", BOOL, revoked),
    HEAD("labels", STRS, labels),
    HEAD("confidence", INT, confidence),
    HEAD("lang", STR, lang),
    HEAD("external_references", TREE, external_references),
    HEAD("object_marking_refs", STRS, marking_refs),
    HEAD("granular_markings", TREE, granular_markings),
    HEAD("extensions", TREE, extensions),
};
static const struct shape head_shape = { "", sizeof(struct nr_stix_head),
    head_fields, sizeof(head_fields) / sizeof(*head_fields) };

static enum nr_err
read_strs(struct nr_arena *a, const struct nr_json *j, const char *name,
    struct nr_strs *out, struct nr_diag *d)
{
    struct nr_str *v;
    size_t n = 0;

    if (j->type != NR_JSON_ARRAY)
        return bad(d, j, name, "stix: list expected [2.10]");
    v = nr_new(a, struct nr_str, j->n);
    if (!v)
        return nr_fail(d, NR_ENOMEM, j->at, "stix: out of memory");
    for (const struct nr_json *m = j->child; m; m = m->next) {
        if (m->type != NR_JSON_STRING)
            return bad(d, m, name, "stix: string expected in list [2.15]");
        v[n++] = m->text;
    }
    *out = (struct nr_strs){ v, n };
    return NR_OK;
}

static enum nr_err
read_field(struct nr_arena *a, const struct nr_json *j, const struct field *f,
    void *at, struct nr_diag *d)
{
    switch (f->form) {
    case STR:
        if (j->type != NR_JSON_STRING)
            return bad(d, j, f->name, "stix: string expected [2.15]");
        *(struct nr_str *)at = j->text;
        return NR_OK;
    case STRS:
        return read_strs(a, j, f->name, at, d);
    case TIME:
        if (j->type != NR_JSON_STRING || !nr_stix_time_parse(j->text, at))
            return bad(d, j, f->name, "stix: timestamp expected [2.16]");
        return NR_OK;
    case BOOL:
        if (j->type != NR_JSON_BOOL)
            return bad(d, j, f->name, "stix: boolean expected [2.2]");
        *(bool *)at = j->truth;
        return NR_OK;
    case INT:
        if (!nr_json_i64(j, at))
            return bad(d, j, f->name, "stix: integer expected [2.11]");
        return NR_OK;
    case TREE:
        *(const struct nr_json **)at = j;
        return NR_OK;
    }
    return NR_OK;
}

/* What is not there: no time, and -1 for a number. */
static void
clear(const struct shape *s, void *out)
{
    for (size_t i = 0; i < s->n; i++) {
        char *at = (char *)out + s->fields[i].offset;
        int64_t none = s->fields[i].form == TIME ? NR_TIME_NONE : -1;

        if (s->fields[i].form == TIME || s->fields[i].form == INT)
            memcpy(at, &none, sizeof(none));
    }
}

static enum nr_err
read_fields(struct nr_arena *a, const struct nr_json *object,
    const struct shape *s, void *out, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    clear(s, out);
    for (size_t i = 0; i < s->n && !err; i++) {
        const struct field *f = &s->fields[i];
        const struct nr_json *j = nr_json_get(object, nr_str_of(f->name));

        if (j)
            err = read_field(a, j, f, (char *)out + f->offset, d);
        else if (f->required)
            err = bad(d, object, f->name, "stix: required property missing");
    }
    return err;
}

enum nr_err
nr_stix_head_read(struct nr_arena *a, const struct nr_json *object,
    struct nr_stix_head *out, struct nr_diag *d)
{
    struct nr_stix_head h = { 0 };
    struct nr_str of_id;
    enum nr_err err;

    if (!nr_json_is(object, NR_JSON_OBJECT))
        return bad(d, object, NULL, "stix: object expected [3]");
    if (!nr_json_get_str(object, NR_STR("type"), &h.type))
        return bad(d, object, "type", "stix: object without type [3.2]");
    if (!nr_json_get_str(object, NR_STR("id"), &h.id))
        return bad(d, object, "id", "stix: object without id [3.2]");
    if (!nr_stix_id_parse(h.id, &of_id) || !nr_str_eq(of_id, h.type))
        return bad(d, nr_json_get(object, NR_STR("id")), "id",
            "stix: id is not <type>--<UUID> [2.9]");
    err = read_fields(a, object, &head_shape, &h, d);
    if (err)
        return err;
    h.spec_version = stix_is_observable(h.type) ? NR_STR("2.1") : NR_STR("2.0");
    (void)nr_json_get_str(object, NR_STR("spec_version"), &h.spec_version);
    h.version_us = h.modified_us != NR_TIME_NONE ? h.modified_us : h.created_us;
    h.marking = nr_stix_marking(object, NULL, NULL, &h.unknown_markings);
    *out = h;
    return NR_OK;
}

struct nr_stix_head
nr_stix_head_new(const char *type, struct nr_str id, int64_t now_us,
    struct nr_str created_by_ref, struct nr_marking marking)
{
    /* A version is told by milliseconds on both ends of every exchange. */
    int64_t ms = now_us - (now_us % 1000 + 1000) % 1000;

    return (struct nr_stix_head){
        .type = nr_str_of(type),
        .id = id,
        .spec_version = NR_STR("2.1"),
        .created_by_ref = created_by_ref,
        .created_us = ms,
        .modified_us = ms,
        .version_us = ms,
        .confidence = -1,
        .marking = marking,
    };
}

/* --- writing --- */

static void
put_time(struct nr_json_out *o, int64_t us)
{
    char buf[NR_RFC3339_MAX];

    nr_json_put_str(o, nr_str_of(nr_stix_time_print(us, buf)));
}

static void
put_strs(struct nr_json_out *o, struct nr_str name, struct nr_strs v,
    bool required)
{
    if (v.n == 0 && !required)
        return;
    nr_json_key(o, name);
    nr_json_open_array(o);
    for (size_t i = 0; i < v.n; i++)
        nr_json_put_str(o, v.v[i]);
    nr_json_close_array(o);
}

static void
write_field(struct nr_json_out *o, const struct field *f, const void *at)
{
    struct nr_str name = nr_str_of(f->name);
    const struct nr_json *tree;
    struct nr_str s;
    int64_t v;

    switch (f->form) {
    case STR:
        s = *(const struct nr_str *)at;
        if (s.n > 0 || f->required)
            nr_json_member_str(o, name, s);
        break;
    case STRS:
        put_strs(o, name, *(const struct nr_strs *)at, f->required);
        break;
    case TIME:
        v = *(const int64_t *)at;
        if (v == NR_TIME_NONE || (v == 0 && !f->required))
            break;
        nr_json_key(o, name);
        put_time(o, v);
        break;
    case BOOL:
        if (*(const bool *)at || f->required)
            nr_json_member_bool(o, name, *(const bool *)at);
        break;
    case INT:
        v = *(const int64_t *)at;
        if (v >= 0 || f->required)
            nr_json_member_i64(o, name, v);
        break;
    case TREE:
        tree = *(const struct nr_json *const *)at;
        if (!tree)
            break;
        nr_json_key(o, name);
        nr_json_put_tree(o, tree);
        break;
    }
}

static void
write_fields(struct nr_json_out *o, const struct shape *s, const void *in)
{
    for (size_t i = 0; i < s->n; i++)
        write_field(o, &s->fields[i], (const char *)in + s->fields[i].offset);
}

static void
write_head(struct nr_json_out *o, const struct nr_stix_head *in,
    const char *type)
{
    struct nr_stix_head h = *in;
    struct nr_str ids[2];

    nr_json_member_str(o, NR_STR("type"), nr_str_of(type));
    nr_json_member_str(o, NR_STR("spec_version"),
        h.spec_version.n ? h.spec_version : NR_STR("2.1"));
    nr_json_member_str(o, NR_STR("id"), h.id);
    if (h.marking_refs.n == 0) {
        h.marking_refs.v = ids;
        if (h.marking.tlp)
            ids[h.marking_refs.n++] = nr_tlp_id(h.marking.tlp);
        if (h.marking.pap)
            ids[h.marking_refs.n++] = nr_pap_id(h.marking.pap);
    }
    write_fields(o, &head_shape, &h);
}

/* --- the types --- */

static enum nr_err
read_object(struct nr_arena *a, const struct nr_json *object,
    const struct shape *s, void *out, struct nr_diag *d)
{
    struct nr_stix_head *head = out; /* it is first in every struct */
    enum nr_err err;

    memset(out, 0, s->size);
    err = nr_stix_head_read(a, object, head, d);
    if (!err && !nr_str_eq(head->type, nr_str_of(s->type)))
        err = bad(d, object, "type", "stix: object of another type");
    if (!err)
        err = read_fields(a, object, s, out, d);
    return err;
}

static void
write_object(struct nr_json_out *o, const struct shape *s, const void *in)
{
    nr_json_open_object(o);
    write_head(o, in, s->type);
    write_fields(o, s, in);
    nr_json_close_object(o);
}

#define MAY(n, f, m)                          \
    {                                         \
        n, f, false, offsetof(struct THIS, m) \
    }
#define MUST(n, f, m)                        \
    {                                        \
        n, f, true, offsetof(struct THIS, m) \
    }

#define SHAPE(name, type_name)                            \
    static const struct shape name##_shape = { type_name, \
        sizeof(struct nr_stix_##name), name##_fields,     \
        sizeof(name##_fields) / sizeof(*name##_fields) }

#define THIS nr_stix_indicator
static const struct field indicator_fields[] = {
    MAY("name", STR, name),
    MAY("description", STR, description),
    MAY("indicator_types", STRS, indicator_types),
    MUST("pattern", STR, pattern),
    MAY("pattern_type", STR, pattern_type),
    MAY("pattern_version", STR, pattern_version),
    MUST("valid_from", TIME, valid_from_us),
    MAY("valid_until", TIME, valid_until_us),
    MAY("x_noroshi_first_seen", TIME, first_seen_us),
    MAY("x_noroshi_last_seen", TIME, last_seen_us),
    MAY("x_noroshi_role", STR, role),
};
#undef THIS
SHAPE(indicator, "indicator");

#define THIS nr_stix_sighting
static const struct field sighting_fields[] = {
    MAY("description", STR, description),
    MAY("first_seen", TIME, first_seen_us),
    MAY("last_seen", TIME, last_seen_us),
    MAY("count", INT, count),
    MUST("sighting_of_ref", STR, sighting_of_ref),
    MAY("observed_data_refs", STRS, observed_data_refs),
    MAY("where_sighted_refs", STRS, where_sighted_refs),
    MAY("summary", BOOL, summary),
    MAY("x_noroshi_answer", STR, answer),
    MAY("x_noroshi_denied", INT, denied),
};
#undef THIS
SHAPE(sighting, "sighting");

#define THIS nr_stix_identity
static const struct field identity_fields[] = {
    MUST("name", STR, name),
    MAY("description", STR, description),
    MAY("roles", STRS, roles),
    MAY("identity_class", STR, identity_class),
    MAY("sectors", STRS, sectors),
    MAY("contact_information", STR, contact_information),
};
#undef THIS
SHAPE(identity, "identity");

#define THIS nr_stix_report
static const struct field report_fields[] = {
    MUST("name", STR, name),
    MAY("description", STR, description),
    MAY("report_types", STRS, report_types),
    MUST("published", TIME, published_us),
    MUST("object_refs", STRS, object_refs),
};
#undef THIS
SHAPE(report, "report");

#define THIS nr_stix_relationship
static const struct field relationship_fields[] = {
    MUST("relationship_type", STR, relationship_type),
    MAY("description", STR, description),
    MUST("source_ref", STR, source_ref),
    MUST("target_ref", STR, target_ref),
    MAY("start_time", TIME, start_us),
    MAY("stop_time", TIME, stop_us),
};
#undef THIS
SHAPE(relationship, "relationship");

#define THIS nr_stix_marking_definition
static const struct field marking_definition_fields[] = {
    MAY("name", STR, name),
    MAY("definition_type", STR, definition_type),
    MAY("definition", TREE, definition),
};
#undef THIS
SHAPE(marking_definition, "marking-definition");

#define THIS nr_stix_observed_data
static const struct field observed_data_fields[] = {
    MUST("first_observed", TIME, first_observed_us),
    MUST("last_observed", TIME, last_observed_us),
    MUST("number_observed", INT, number_observed),
    MAY("object_refs", STRS, object_refs),
    MAY("objects", TREE, objects),
};
#undef THIS
SHAPE(observed_data, "observed-data");

#define THIS nr_stix_infrastructure
static const struct field infrastructure_fields[] = {
    MUST("name", STR, name),
    MAY("description", STR, description),
    MAY("infrastructure_types", STRS, infrastructure_types),
    MAY("aliases", STRS, aliases),
    MAY("first_seen", TIME, first_seen_us),
    MAY("last_seen", TIME, last_seen_us),
};
#undef THIS
SHAPE(infrastructure, "infrastructure");

#define THIS nr_stix_malware
static const struct field malware_fields[] = {
    MAY("name", STR, name),
    MAY("description", STR, description),
    MAY("malware_types", STRS, malware_types),
    MUST("is_family", BOOL, is_family),
    MAY("aliases", STRS, aliases),
    MAY("first_seen", TIME, first_seen_us),
    MAY("last_seen", TIME, last_seen_us),
};
#undef THIS
SHAPE(malware, "malware");

#define THIS nr_stix_campaign
static const struct field campaign_fields[] = {
    MUST("name", STR, name),
    MAY("description", STR, description),
    MAY("aliases", STRS, aliases),
    MAY("first_seen", TIME, first_seen_us),
    MAY("last_seen", TIME, last_seen_us),
    MAY("objective", STR, objective),
};
#undef THIS
SHAPE(campaign, "campaign");

#define THIS nr_stix_intrusion_set
static const struct field intrusion_set_fields[] = {
    MUST("name", STR, name),
    MAY("description", STR, description),
    MAY("aliases", STRS, aliases),
    MAY("first_seen", TIME, first_seen_us),
    MAY("last_seen", TIME, last_seen_us),
    MAY("goals", STRS, goals),
    MAY("resource_level", STR, resource_level),
    MAY("primary_motivation", STR, primary_motivation),
};
#undef THIS
SHAPE(intrusion_set, "intrusion-set");

#define READ(name)                                                      \
    enum nr_err nr_stix_##name##_read(struct nr_arena *a,               \
        const struct nr_json *object, struct nr_stix_##name *out,       \
        struct nr_diag *d)                                              \
    {                                                                   \
        struct nr_stix_##name v;                                        \
        enum nr_err err = read_object(a, object, &name##_shape, &v, d); \
                                                                        \
        if (!err)                                                       \
            *out = v;                                                   \
        return err;                                                     \
    }
#define WRITE(name)                                    \
    void nr_stix_##name##_write(struct nr_json_out *o, \
        const struct nr_stix_##name *in)               \
    {                                                  \
        write_object(o, &name##_shape, in);            \
    }

READ(identity)
WRITE(identity)
READ(report)
WRITE(report)
READ(relationship)
WRITE(relationship)
WRITE(marking_definition)
READ(observed_data)
WRITE(observed_data)
READ(infrastructure)
WRITE(infrastructure)
READ(malware)
WRITE(malware)
READ(campaign)
WRITE(campaign)
READ(intrusion_set)
WRITE(intrusion_set)

enum nr_err
nr_stix_marking_definition_read(struct nr_arena *a,
    const struct nr_json *object, struct nr_stix_marking_definition *out,
    struct nr_diag *d)
{
    struct nr_stix_marking_definition v;
    enum nr_err err = read_object(a, object, &marking_definition_shape, &v, d);

    if (err)
        return err;
    v.says = nr_marking_of_definition(object);
    *out = v;
    return NR_OK;
}

enum nr_err
nr_stix_indicator_read(struct nr_arena *a, const struct nr_json *object,
    struct nr_stix_indicator *out, struct nr_diag *d)
{
    struct nr_stix_indicator v;
    enum nr_err err = read_object(a, object, &indicator_shape, &v, d);

    if (err)
        return err;
    if (v.pattern_type.n == 0) {
        if (!nr_str_eq(v.head.spec_version, NR_STR("2.0")))
            return bad(d, object, "pattern_type",
                "stix: required property missing");
        v.pattern_type = NR_STR("stix");
    }
    *out = v;
    return NR_OK;
}

void
nr_stix_indicator_write(struct nr_json_out *o,
    const struct nr_stix_indicator *in)
{
    struct nr_stix_indicator v = *in;

    if (v.pattern_type.n == 0)
        v.pattern_type = NR_STR("stix");
    write_object(o, &indicator_shape, &v);
}

/* --- sightings: coverage is an object of our own --- */

#define THIS nr_stix_coverage
static const struct field coverage_fields[] = {
    MAY("kinds", STRS, kinds),
    MAY("from", TIME, from_us),
    MAY("to", TIME, to_us),
    MAY("blind", BOOL, blind),
};
#undef THIS
SHAPE(coverage, "");

static enum nr_err
read_gaps(struct nr_arena *a, const struct nr_json *j,
    struct nr_stix_coverage *out, struct nr_diag *d)
{
    int64_t(*v)[2];
    size_t n = 0;

    if (!j)
        return NR_OK;
    v = nr_arena_alloc(a, sizeof(*v), j->n, _Alignof(int64_t));
    if (!v)
        return nr_fail(d, NR_ENOMEM, j->at, "stix: out of memory");
    for (const struct nr_json *g = j->child; g; g = g->next, n++)
        if (g->type != NR_JSON_ARRAY || g->n != 2 ||
            g->child->type != NR_JSON_STRING ||
            g->child->next->type != NR_JSON_STRING ||
            !nr_stix_time_parse(g->child->text, &v[n][0]) ||
            !nr_stix_time_parse(g->child->next->text, &v[n][1]))
            return bad(d, g, "x_noroshi_coverage",
                "stix: a gap is two timestamps");
    out->gaps_us = (const int64_t(*)[2])v;
    out->n_gaps = n;
    return NR_OK;
}

static enum nr_err
read_coverage(struct nr_arena *a, const struct nr_json *j,
    struct nr_stix_coverage *out, struct nr_diag *d)
{
    const struct nr_json *share = nr_json_get(j, NR_STR("coverage"));
    enum nr_err err;

    if (j->type != NR_JSON_OBJECT || !nr_json_double(share, &out->coverage) ||
        !(out->coverage >= 0 && out->coverage <= 1))
        return bad(d, j, "x_noroshi_coverage",
            "stix: object with a coverage of 0 to 1 expected");
    err = read_fields(a, j, &coverage_shape, out, d);
    if (!err)
        err = read_gaps(a, nr_json_get(j, NR_STR("gaps")), out, d);
    out->present = !err;
    return err;
}

enum nr_err
nr_stix_sighting_read(struct nr_arena *a, const struct nr_json *object,
    struct nr_stix_sighting *out, struct nr_diag *d)
{
    struct nr_stix_sighting v;
    const struct nr_json *j = nr_json_get(object, NR_STR("x_noroshi_coverage"));
    enum nr_err err = read_object(a, object, &sighting_shape, &v, d);

    if (!err && j)
        err = read_coverage(a, j, &v.coverage, d);
    if (!err)
        *out = v;
    return err;
}

static void
write_coverage(struct nr_json_out *o, const struct nr_stix_coverage *c)
{
    nr_json_key(o, NR_STR("x_noroshi_coverage"));
    nr_json_open_object(o);
    nr_json_key(o, NR_STR("coverage"));
    nr_json_put_double(o, c->coverage);
    write_fields(o, &coverage_shape, c);
    nr_json_key(o, NR_STR("gaps"));
    nr_json_open_array(o);
    for (size_t i = 0; i < c->n_gaps; i++) {
        nr_json_open_array(o);
        put_time(o, c->gaps_us[i][0]);
        put_time(o, c->gaps_us[i][1]);
        nr_json_close_array(o);
    }
    nr_json_close_array(o);
    nr_json_close_object(o);
}

void
nr_stix_sighting_write(struct nr_json_out *o, const struct nr_stix_sighting *in)
{
    nr_json_open_object(o);
    write_head(o, &in->head, "sighting");
    write_fields(o, &sighting_shape, in);
    if (in->coverage.present)
        write_coverage(o, &in->coverage);
    nr_json_close_object(o);
}

/* --- bundles --- */

enum nr_err
nr_stix_bundle_read(const struct nr_json *object, struct nr_stix_bundle *out,
    struct nr_diag *d)
{
    struct nr_stix_bundle v = { 0 };
    struct nr_str type;

    if (!nr_json_get_str(object, NR_STR("type"), &type) ||
        !nr_str_eq(type, NR_STR("bundle")))
        return bad(d, object, "type", "stix: bundle expected [8]");
    if (!nr_json_get_str(object, NR_STR("id"), &v.id) ||
        !nr_stix_id_is(v.id, type))
        return bad(d, object, "id", "stix: id is not bundle--<UUID> [8]");
    v.objects = nr_json_get(object, NR_STR("objects"));
    if (v.objects && v.objects->type != NR_JSON_ARRAY)
        return bad(d, v.objects, "objects", "stix: list expected [8]");
    *out = v;
    return NR_OK;
}

void
nr_stix_bundle_open(struct nr_json_out *o, struct nr_str id)
{
    nr_json_open_object(o);
    nr_json_member_str(o, NR_STR("type"), NR_STR("bundle"));
    nr_json_member_str(o, NR_STR("id"), id);
    nr_json_key(o, NR_STR("objects"));
    nr_json_open_array(o);
}

void
nr_stix_bundle_close(struct nr_json_out *o)
{
    nr_json_close_array(o);
    nr_json_close_object(o);
}
