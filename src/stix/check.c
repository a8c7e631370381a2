/*
 * The MUSTs of STIX 2.1 on one object: names and forms of its properties by
 * the table, then the rules that tie several of them.
 */
#include "stix/check.h"

enum nr_err
stix_bad(struct nr_diag *d, const struct nr_json *at, const char *name,
    const char *what)
{
    char key[NR_DIAG_NAME_MAX] = "";
    size_t n;

    nr_fail(d, NR_EFORMAT, at ? at->at : 0, what);
    if (!name && at && at->key.n > 0) {
        n = at->key.n < sizeof(key) ? at->key.n : sizeof(key) - 1;
        memcpy(key, at->key.p, n);
        key[n] = '\0';
        name = key;
    }
    nr_diag_add_name(d, name);
    return NR_EFORMAT;
}

static bool
is_type(const char *want, struct nr_str type)
{
    return nr_str_eq(type, nr_str_of(want));
}

/* Section 3.1: a-z, 0-9, single hyphens, 3 to 250 octets; "action" is kept
 * for later. */
static bool
is_type_name(struct nr_str s)
{
    if (s.n < 3 || s.n > NR_STIX_TYPE_MAX || s.p[0] == '-' ||
        is_type("action", s))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];

        if (!nr_is_digit(c) && c != '-' && (c < 'a' || c > 'z'))
            return false;
        if (c == '-' && i > 0 && s.p[i - 1] == '-')
            return false;
    }
    return true;
}

/* Section 3.1: a-z, 0-9, underscore, 3 to 250 octets, a letter first. */
static bool
is_property_name(struct nr_str s)
{
    if (nr_str_eq(s, NR_STR("id")))
        return true;
    if (s.n < 3 || s.n > 250 || s.p[0] < 'a' || s.p[0] > 'z')
        return false;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];

        if (!nr_is_digit(c) && c != '_' && (c < 'a' || c > 'z'))
            return false;
    }
    return true;
}

static enum nr_err
check_names(const struct nr_json *o, struct nr_diag *d)
{
    static const char *const reserved[] = { "severity", "action", "username",
        "phone_numbers" };

    for (const struct nr_json *j = o->child; j; j = j->next) {
        if (!is_property_name(j->key))
            return stix_bad(d, j, NULL, "stix: no name for a property [3.1]");
        for (size_t i = 0; i < 4; i++)
            if (is_type(reserved[i], j->key))
                return stix_bad(d, j, NULL, "stix: reserved property [3.1]");
        if (j->type == NR_JSON_ARRAY && j->n == 0)
            return stix_bad(d, j, NULL, "stix: empty list [2.10]");
        if (j->type == NR_JSON_NULL)
            return stix_bad(d, j, NULL, "stix: null is no value [2]");
    }
    return NR_OK;
}

static enum nr_err
check_properties(const struct nr_json *o, struct nr_str type, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (const struct stix_property *p = stix_properties; p->type && !err;
         p++) {
        const struct nr_json *j;

        if (p->type[0] != '*' && !is_type(p->type, type))
            continue;
        j = nr_json_get(o, nr_str_of(p->name));
        if (j)
            err = stix_check_form(j, p->form, d);
        else if (p->required)
            err = stix_bad(d, o, p->name, "stix: required property missing");
    }
    return err;
}

static int64_t
time_of(const struct nr_json *o, struct nr_str name)
{
    struct nr_str text;
    int64_t us;

    return nr_json_get_str(o, name, &text) && nr_stix_time_parse(text, &us)
        ? us
        : NR_TIME_NONE;
}

static enum nr_err
check_order(const struct nr_json *o, struct nr_str type, struct nr_diag *d)
{
    static const struct {
        const char *type, *first, *second;
        bool strict; /* the second must be later */
    } orders[] = {
        { "*", "created", "modified", false },
        { "indicator", "valid_from", "valid_until", true },
        { "campaign", "first_seen", "last_seen", false },
        { "infrastructure", "first_seen", "last_seen", false },
        { "intrusion-set", "first_seen", "last_seen", false },
        { "malware", "first_seen", "last_seen", false },
        { "threat-actor", "first_seen", "last_seen", false },
        { "sighting", "first_seen", "last_seen", false },
        { "observed-data", "first_observed", "last_observed", false },
        { "relationship", "start_time", "stop_time", true },
        { "network-traffic", "start", "end", false },
    };

    for (size_t i = 0; i < sizeof(orders) / sizeof(*orders); i++) {
        int64_t a, b;

        if (orders[i].type[0] != '*' && !is_type(orders[i].type, type))
            continue;
        a = time_of(o, nr_str_of(orders[i].first));
        b = time_of(o, nr_str_of(orders[i].second));
        if (a != NR_TIME_NONE && b != NR_TIME_NONE &&
            (b < a || (orders[i].strict && a == b)))
            return stix_bad(d, nr_json_get(o, nr_str_of(orders[i].second)),
                NULL, "stix: earlier than the time it must follow [3.2]");
    }
    return NR_OK;
}

static bool
is_all_digits(struct nr_str s, size_t min)
{
    uint64_t v;

    return s.n >= min && nr_str_to_u64(s, &v);
}

static bool
is_cve(struct nr_str s)
{
    struct nr_str rest;

    return nr_str_eq(nr_str_cut(s, '-', &rest), NR_STR("CVE")) &&
        is_all_digits(nr_str_cut(rest, '-', &rest), 4) &&
        is_all_digits(rest, 4);
}

/* Section 2.6, and the registries that it knows. */
static enum nr_err
check_reference(const struct nr_json *r, struct nr_diag *d)
{
    struct nr_str source, id = { 0 }, rest;
    bool cve, capec;

    if (!nr_json_get_str(r, NR_STR("source_name"), &source))
        return stix_bad(d, r, "external_references",
            "stix: reference without source_name [2.6]");
    (void)nr_json_get_str(r, NR_STR("external_id"), &id);
    cve = nr_bytes_eq_nocase(nr_bytes_of(source), NR_BYTES("cve"));
    capec = nr_bytes_eq_nocase(nr_bytes_of(source), NR_BYTES("capec"));
    if (cve && (!nr_str_eq(source, NR_STR("cve")) || !is_cve(id)))
        return stix_bad(d, r, "external_references",
            "stix: a CVE is \"cve\" and CVE-year-number [4.18]");
    if (capec &&
        (!nr_str_eq(source, NR_STR("capec")) ||
            !nr_str_eq(nr_str_cut(id, '-', &rest), NR_STR("CAPEC")) ||
            !is_all_digits(rest, 1)))
        return stix_bad(d, r, "external_references",
            "stix: a CAPEC is \"capec\" and CAPEC-number [4.1]");
    return NR_OK;
}

static enum nr_err
check_granular(const struct nr_json *g, struct nr_diag *d)
{
    const struct nr_json *ref = nr_json_get(g, NR_STR("marking_ref"));
    const struct nr_json *selectors = nr_json_get(g, NR_STR("selectors"));

    if (!selectors || (!ref && !nr_json_get(g, NR_STR("lang"))))
        return stix_bad(d, g, "granular_markings",
            "stix: needs selectors, and marking_ref or lang [7.2.3]");
    if (stix_check_form(selectors, FORM_STRINGS, d))
        return NR_EFORMAT;
    return ref ? stix_check_form(ref, FORM_ID_MARKING, d) : NR_OK;
}

static enum nr_err
check_extension(const struct nr_json *e, struct nr_diag *d)
{
    static const char *const times[] = { "time_date_stamp" };
    const struct nr_json *type = nr_json_get(e, NR_STR("extension_type"));
    const struct nr_json *j;

    if (e->type != NR_JSON_OBJECT)
        return stix_bad(d, e, NULL, "stix: extension is no object [7.3]");
    if (type && type->type != NR_JSON_STRING)
        return stix_bad(d, type, NULL, "stix: string expected [7.3]");
    j = nr_json_get(e, nr_str_of(times[0]));
    return j ? stix_check_form(j, FORM_TIME, d) : NR_OK;
}

/* Every member of list or dictionary NAME by its own rule. */
static enum nr_err
check_each(const struct nr_json *o, const char *name,
    enum nr_err (*rule)(const struct nr_json *, struct nr_diag *),
    struct nr_diag *d)
{
    const struct nr_json *j = nr_json_get(o, nr_str_of(name));
    enum nr_err err = NR_OK;

    for (j = j ? j->child : NULL; j && !err; j = j->next)
        err = rule(j, d);
    return err;
}

/* --- rules of single types --- */

/* The deepest tree of a parsed pattern: see NR_STIX_NEST_MAX. */
#define TREE_DEPTH_MAX (4 * (NR_STIX_NEST_MAX + 2))

static bool
names_short_type(const struct nr_stix_node *n)
{
    const struct nr_stix_node *up[TREE_DEPTH_MAX];
    size_t depth = 0;

    while (n) {
        if (n->type == NR_STIX_COMPARISON && n->object_type.n < 3)
            return true;
        if (n->child && depth < TREE_DEPTH_MAX) {
            up[depth++] = n;
            n = n->child;
            continue;
        }
        while (depth > 0 && !n->next)
            n = up[--depth];
        n = n->next;
    }
    return false;
}

static enum nr_err
check_indicator(const struct nr_json *o, bool old, struct nr_diag *d)
{
    const struct nr_json *pattern = nr_json_get(o, NR_STR("pattern"));
    const struct nr_stix_node *tree;
    struct nr_str type = NR_STR("stix");
    struct nr_diag inner = { 0 };
    struct nr_arena a;
    enum nr_err err;

    if (!nr_json_get_str(o, NR_STR("pattern_type"), &type) && !old)
        return stix_bad(d, o, "pattern_type",
            "stix: required property missing");
    if (!is_type("stix", type))
        return NR_OK;
    /* Nodes cost at most some 64 octets for each octet of the pattern. */
    nr_arena_init(&a, NR_STIX_PATTERN_MAX * 64);
    err = nr_stix_pattern_parse(&a, pattern->text, &tree, &inner);
    if (err)
        err = stix_bad(d, pattern, NULL, inner.what);
    if (!err && names_short_type(tree))
        err = stix_bad(d, pattern, NULL,
            "pattern: object type of less than 3 octets [3.1]");
    nr_arena_fini(&a);
    return err;
}

static enum nr_err
check_malware(const struct nr_json *o, bool old, struct nr_diag *d)
{
    bool family;

    if (old)
        return NR_OK;
    if (!nr_json_get(o, NR_STR("is_family")))
        return stix_bad(d, o, "is_family", "stix: required property missing");
    family = nr_json_get(o, NR_STR("is_family"))->truth;
    if (family && !nr_json_get(o, NR_STR("name")))
        return stix_bad(d, o, "name", "stix: a family has a name [4.11]");
    return NR_OK;
}

static enum nr_err
check_marking_definition(const struct nr_json *o, bool old, struct nr_diag *d)
{
    const struct nr_json *definition = nr_json_get(o, NR_STR("definition"));
    struct nr_str type, id, text;
    struct nr_marking m;
    enum nr_tlp tlp;

    (void)old;
    if (!nr_json_get_str(o, NR_STR("definition_type"), &type))
        return nr_json_get(o, NR_STR("extensions"))
            ? NR_OK
            : stix_bad(d, o, "definition_type",
                  "stix: neither definition nor extension [7.2.1]");
    if (!definition)
        return stix_bad(d, o, "definition", "stix: required property missing");
    if (is_type("statement", type) &&
        !nr_json_get_str(definition, NR_STR("statement"), &text))
        return stix_bad(d, definition, NULL,
            "stix: statement expected [7.2.1.3]");
    if (!is_type("tlp", type))
        return NR_OK;
    if (!nr_json_get_str(definition, NR_STR("tlp"), &text) ||
        !nr_tlp_parse(text, &tlp) || !nr_json_get_str(o, NR_STR("id"), &id) ||
        !nr_marking_of_id(id, &m) || m.tlp != tlp ||
        nr_str_eq(nr_tlp_id(tlp), id) ||
        nr_json_get(o, NR_STR("granular_markings")) ||
        nr_json_get(o, NR_STR("object_marking_refs")))
        return stix_bad(d, definition, NULL,
            "stix: TLP is one of the four of the standard [7.2.1.4]");
    return NR_OK;
}

static enum nr_err
check_language_content(const struct nr_json *o, bool old, struct nr_diag *d)
{
    const struct nr_json *j = nr_json_get(o, NR_STR("contents"));

    (void)old;
    for (j = j->child; j; j = j->next)
        for (size_t i = 0; i < j->key.n; i++) {
            uint8_t c = (uint8_t)j->key.p[i];

            if (!nr_is_alpha(c) && !nr_is_digit(c) && c != '-' && c != '_')
                return stix_bad(d, j, NULL,
                    "stix: language tag expected [RFC 5646]");
        }
    return NR_OK;
}

static enum nr_err
check_extension_definition(const struct nr_json *o, bool old, struct nr_diag *d)
{
    static const char *const types[] = { "new-sdo", "new-sco", "new-sro",
        "property-extension", "toplevel-property-extension" };
    const struct nr_json *list = nr_json_get(o, NR_STR("extension_types"));
    bool top = false;

    (void)old;
    for (const struct nr_json *j = list->child; j; j = j->next) {
        size_t i = 0;

        while (i < 5 && !is_type(types[i], j->text))
            i++;
        if (i == 5)
            return stix_bad(d, j, "extension_types",
                "stix: extension type of the standard expected [7.3]");
        top |= i == 4;
    }
    if (!top && nr_json_get(o, NR_STR("extension_properties")))
        return stix_bad(d, o, "extension_properties",
            "stix: only with toplevel-property-extension [7.3]");
    if (!nr_json_get(o, NR_STR("created_by_ref")))
        return stix_bad(d, o, "created_by_ref",
            "stix: required property missing");
    return NR_OK;
}

static enum nr_err
check_observed_data(const struct nr_json *o, bool old, struct nr_diag *d)
{
    const struct nr_json *n = nr_json_get(o, NR_STR("number_observed"));
    int64_t v;

    (void)old;
    if (!nr_json_i64(n, &v) || v < 1)
        return stix_bad(d, n, NULL, "stix: at least 1 expected [4.14]");
    if (!nr_json_get(o, NR_STR("objects")) ==
        !nr_json_get(o, NR_STR("object_refs")))
        return stix_bad(d, o, "object_refs",
            "stix: one of object_refs and objects expected [4.14]");
    return NR_OK;
}

static enum nr_err
check_network_traffic(const struct nr_json *o, bool old, struct nr_diag *d)
{
    const struct nr_json *active = nr_json_get(o, NR_STR("is_active"));

    (void)old;
    if (!nr_json_get(o, NR_STR("src_ref")) &&
        !nr_json_get(o, NR_STR("dst_ref")))
        return stix_bad(d, o, "src_ref",
            "stix: src_ref or dst_ref expected [6.12]");
    if (active && active->truth && nr_json_get(o, NR_STR("end")))
        return stix_bad(d, active, NULL,
            "stix: traffic that has ended is not active [6.12]");
    return NR_OK;
}

static enum nr_err
check_artifact(const struct nr_json *o, bool old, struct nr_diag *d)
{
    (void)old;
    if (!nr_json_get(o, NR_STR("payload_bin")) ==
        !nr_json_get(o, NR_STR("url")))
        return stix_bad(d, o, "payload_bin",
            "stix: one of payload_bin and url expected [6.1]");
    if (nr_json_get(o, NR_STR("url")) && !nr_json_get(o, NR_STR("hashes")))
        return stix_bad(d, o, "hashes", "stix: a url needs hashes [6.1]");
    return NR_OK;
}

static enum nr_err
check_file(const struct nr_json *o, bool old, struct nr_diag *d)
{
    (void)old;
    return nr_json_get(o, NR_STR("name")) || nr_json_get(o, NR_STR("hashes"))
        ? NR_OK
        : stix_bad(d, o, "name", "stix: name or hashes expected [6.7]");
}

static enum nr_err
check_certificate(const struct nr_json *o, bool old, struct nr_diag *d)
{
    static const char *const names[] = { "private_key_usage_period_not_before",
        "private_key_usage_period_not_after" };
    const struct nr_json *v3 = nr_json_get(o, NR_STR("x509_v3_extensions"));
    enum nr_err err = NR_OK;

    (void)old;
    for (size_t i = 0; i < 2 && !err; i++) {
        const struct nr_json *j = nr_json_get(v3, nr_str_of(names[i]));

        if (j)
            err = stix_check_form(j, FORM_TIME, d);
    }
    return err;
}

static const struct {
    const char *type;
    enum nr_err (*rule)(const struct nr_json *o, bool old, struct nr_diag *d);
} rules[] = {
    { "indicator", check_indicator },
    { "malware", check_malware },
    { "marking-definition", check_marking_definition },
    { "language-content", check_language_content },
    { "extension-definition", check_extension_definition },
    { "observed-data", check_observed_data },
    { "network-traffic", check_network_traffic },
    { "artifact", check_artifact },
    { "file", check_file },
    { "x509-certificate", check_certificate },
};

/* A type that the object's own extension makes an observable (section 7.3). */
static bool
is_new_observable(const struct nr_json *o)
{
    const struct nr_json *j = nr_json_get(o, NR_STR("extensions"));
    struct nr_str type;

    for (j = j ? j->child : NULL; j; j = j->next)
        if (nr_json_get_str(j, NR_STR("extension_type"), &type) &&
            is_type("new-sco", type))
            return true;
    return false;
}

static enum nr_err
check_head(const struct nr_json *o, struct nr_str *type, bool *old,
    struct nr_diag *d)
{
    struct nr_str id, of_id, version;
    bool versioned, observable;

    if (!nr_json_is(o, NR_JSON_OBJECT))
        return stix_bad(d, o, "", "stix: object expected [3]");
    if (!nr_json_get_str(o, NR_STR("type"), type))
        return stix_bad(d, o, "type", "stix: object without type [3.2]");
    if (!is_type_name(*type))
        return stix_bad(d, nr_json_get(o, NR_STR("type")), "type",
            "stix: no name for a type [3.1]");
    if (!nr_json_get_str(o, NR_STR("id"), &id))
        return stix_bad(d, o, "id", "stix: object without id [3.2]");
    if (!nr_stix_id_parse(id, &of_id) || !nr_str_eq(of_id, *type))
        return stix_bad(d, nr_json_get(o, NR_STR("id")), "id",
            "stix: id is not <type>--<UUID> [2.9]");
    versioned = nr_json_get_str(o, NR_STR("spec_version"), &version);
    if (versioned && !is_type("2.1", version) && !is_type("2.0", version))
        return stix_bad(d, nr_json_get(o, NR_STR("spec_version")), NULL,
            "stix: version 2.0 or 2.1 expected [3.2]");
    observable = stix_is_observable(*type) || is_new_observable(o);
    *old = versioned ? is_type("2.0", version) : !observable;
    if (observable)
        return NR_OK;
    if (is_type("bundle", *type))
        return stix_bad(d, o, "type", "stix: bundle in a bundle [8]");
    if (!nr_json_get(o, NR_STR("created")))
        return stix_bad(d, o, "created", "stix: required property missing");
    if (!nr_json_get(o, NR_STR("modified")) &&
        !is_type("marking-definition", *type))
        return stix_bad(d, o, "modified", "stix: required property missing");
    return NR_OK;
}

static enum nr_err
check_one(const struct nr_json *o, struct nr_diag *d)
{
    struct nr_str type = { 0 };
    bool old = false;
    enum nr_err err = check_head(o, &type, &old, d);

    if (!err)
        err = check_names(o, d);
    if (!err)
        err = check_properties(o, type, d);
    if (!err)
        err = check_order(o, type, d);
    if (!err)
        err = check_each(o, "external_references", check_reference, d);
    if (!err)
        err = check_each(o, "granular_markings", check_granular, d);
    if (!err)
        err = check_each(o, "extensions", check_extension, d);
    for (size_t i = 0; !err && i < sizeof(rules) / sizeof(*rules); i++)
        if (is_type(rules[i].type, type))
            err = rules[i].rule(o, old, d);
    return err;
}

enum nr_err
nr_stix_check(const struct nr_json *object, struct nr_diag *d)
{
    struct nr_stix_bundle bundle;
    struct nr_str type;
    enum nr_err err;

    if (!nr_json_get_str(object, NR_STR("type"), &type) ||
        !is_type("bundle", type))
        return check_one(object, d);
    err = nr_stix_bundle_read(object, &bundle, d);
    if (!err)
        err = check_names(object, d);
    if (!err)
        err = check_properties(object, type, d);
    if (err)
        return err;
    for (const struct nr_json *j = bundle.objects ? bundle.objects->child
                                                  : NULL;
         j && !err; j = j->next)
        err = check_one(j, d);
    return err;
}
