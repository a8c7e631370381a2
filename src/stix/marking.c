/* TLP and PAP: names, ids, the strictest of several. */
#include "stix/stix.h"

struct level {
    struct nr_str id, name;
    uint8_t tlp, pap;
};

#define S(lit)                  \
    {                           \
        "" lit, sizeof(lit) - 1 \
    }
#define MD "marking-definition--"

/* The first row of each level is the one written. */
static const struct level levels[] = {
    { S(MD "94868c89-83c2-464b-929b-a1a8aa3c8487"), S("clear"), NR_TLP_CLEAR,
        0 },
    { S(MD "bab4a63c-aed9-4cf5-a766-dfca5abac2bb"), S("green"), NR_TLP_GREEN,
        0 },
    { S(MD "55d920b0-5e8b-4f79-9ee9-91f868d9b421"), S("amber"), NR_TLP_AMBER,
        0 },
    { S(MD "939a9414-2ddd-4d32-a0cd-375ea402b003"), S("amber+strict"),
        NR_TLP_AMBER_STRICT, 0 },
    { S(MD "e828b379-4e03-4974-9ac4-e53a884c97c1"), S("red"), NR_TLP_RED, 0 },
    { S(MD "613f2e26-407d-48c7-9eca-b8e91df99dc9"), S("white"), NR_TLP_CLEAR,
        0 },
    { S(MD "34098fce-860f-48ae-8e50-ebd3cc5e41da"), S("green"), NR_TLP_GREEN,
        0 },
    { S(MD "f88d31f6-486f-44da-b317-01333bde0b82"), S("amber"), NR_TLP_AMBER,
        0 },
    { S(MD "5e57c739-391a-4eb3-b6be-7d15ca92d5ed"), S("red"), NR_TLP_RED, 0 },
    { S(MD "ad15a0cd-55b6-4588-a14c-a66105329b92"), S("clear"), 0,
        NR_PAP_CLEAR },
    { S(MD "c43594d1-4b11-4c59-93ab-1c9b14d53ce9"), S("green"), 0,
        NR_PAP_GREEN },
    { S(MD "60f8932b-e51e-4458-b265-a2e8be9a80ab"), S("amber"), 0,
        NR_PAP_AMBER },
    { S(MD "740d36e5-7714-4c30-961a-3ae632ceee0e"), S("red"), 0, NR_PAP_RED },
    { S(MD "a3bea94c-b469-41dc-9cfe-d6e7daba7730"), S("white"), 0,
        NR_PAP_CLEAR },
};
#define LEVELS (sizeof(levels) / sizeof(*levels))

static const struct nr_str tlp_extension = S(
    "extension-definition--60a3c5c5-0d10-413e-aab3-9e08dde9e88d");
static const struct nr_str pap_extension = S(
    "extension-definition--f8d78575-edfd-406e-8e84-6162a8450f5b");

static const char *const tlp_names[] = { "none", "clear", "green", "amber",
    "amber+strict", "red" };
static const char *const pap_names[] = { "none", "clear", "green", "amber",
    "red" };

const char *
nr_tlp_name(unsigned tlp)
{
    return tlp <= NR_TLP_RED ? tlp_names[tlp] : "unknown";
}

const char *
nr_pap_name(unsigned pap)
{
    return pap <= NR_PAP_RED ? pap_names[pap] : "unknown";
}

/* Number of TEXT among N names, "white" being 1; 0: none of them. */
static unsigned
level_of(struct nr_str text, const char *prefix, const char *const *names,
    unsigned n)
{
    struct nr_bytes t, head = nr_bytes_of(nr_str_of(prefix));

    t = nr_bytes_of(nr_str_trim(text));
    if (t.n > head.n && nr_bytes_eq_nocase(nr_bytes_sub(t, 0, head.n), head))
        t = nr_bytes_sub(t, head.n, t.n);
    if (nr_bytes_eq_nocase(t, NR_BYTES("white")))
        return 1;
    for (unsigned i = 1; i < n; i++)
        if (nr_bytes_eq_nocase(t, nr_bytes_of(nr_str_of(names[i]))))
            return i;
    return 0;
}

bool
nr_tlp_parse(struct nr_str text, enum nr_tlp *out)
{
    unsigned v = level_of(text, "TLP:", tlp_names, NR_TLP_RED + 1);

    if (v)
        *out = (enum nr_tlp)v;
    return v != 0;
}

bool
nr_pap_parse(struct nr_str text, enum nr_pap *out)
{
    unsigned v = level_of(text, "PAP:", pap_names, NR_PAP_RED + 1);

    if (v)
        *out = (enum nr_pap)v;
    return v != 0;
}

static const struct level *
find_level(unsigned tlp, unsigned pap)
{
    for (size_t i = 0; (tlp || pap) && i < LEVELS; i++)
        if (levels[i].tlp == tlp && levels[i].pap == pap)
            return &levels[i];
    return NULL;
}

struct nr_str
nr_tlp_id(enum nr_tlp tlp)
{
    const struct level *l = find_level(tlp, 0);

    return l ? l->id : NR_STR("");
}

struct nr_str
nr_pap_id(enum nr_pap pap)
{
    const struct level *l = find_level(0, pap);

    return l ? l->id : NR_STR("");
}

bool
nr_marking_of_id(struct nr_str id, struct nr_marking *out)
{
    *out = (struct nr_marking){ NR_TLP_NONE, NR_PAP_NONE };
    for (size_t i = 0; i < LEVELS; i++) {
        if (!nr_bytes_eq_nocase(nr_bytes_of(levels[i].id), nr_bytes_of(id)))
            continue;
        out->tlp = (enum nr_tlp)levels[i].tlp;
        out->pap = (enum nr_pap)levels[i].pap;
        return true;
    }
    return false;
}

struct nr_marking
nr_marking_join(struct nr_marking a, struct nr_marking b)
{
    if (b.tlp > a.tlp)
        a.tlp = b.tlp;
    if (b.pap > a.pap)
        a.pap = b.pap;
    return a;
}

struct nr_marking
nr_marking_effective(struct nr_marking m)
{
    if (m.tlp == NR_TLP_NONE)
        m.tlp = NR_TLP_AMBER;
    if (m.pap == NR_PAP_NONE)
        m.pap = NR_PAP_AMBER;
    return m;
}

struct nr_marking
nr_marking_of_definition(const struct nr_json *definition)
{
    struct nr_marking m = { NR_TLP_NONE, NR_PAP_NONE };
    const struct nr_json *extensions = nr_json_get(definition,
        NR_STR("extensions"));
    const struct nr_json *said = nr_json_get(definition, NR_STR("definition"));
    struct nr_str text;
    enum nr_tlp tlp;
    enum nr_pap pap;

    if (nr_json_get_str(definition, NR_STR("id"), &text))
        (void)nr_marking_of_id(text, &m);
    if (nr_json_get_str(nr_json_get(extensions, tlp_extension),
            NR_STR("tlp_2_0"), &text) &&
        nr_tlp_parse(text, &tlp))
        m = nr_marking_join(m, (struct nr_marking){ tlp, NR_PAP_NONE });
    if (nr_json_get_str(nr_json_get(extensions, pap_extension), NR_STR("pap"),
            &text) &&
        nr_pap_parse(text, &pap))
        m = nr_marking_join(m, (struct nr_marking){ NR_TLP_NONE, pap });
    if (nr_json_get_str(said, NR_STR("tlp"), &text) && nr_tlp_parse(text, &tlp))
        m = nr_marking_join(m, (struct nr_marking){ tlp, NR_PAP_NONE });
    /* MISP and others write it as a statement; a bare word is not taken. */
    if (nr_json_get_str(said, NR_STR("statement"), &text) &&
        memchr(text.p, ':', text.n)) {
        if (nr_tlp_parse(text, &tlp))
            m = nr_marking_join(m, (struct nr_marking){ tlp, NR_PAP_NONE });
        if (nr_pap_parse(text, &pap))
            m = nr_marking_join(m, (struct nr_marking){ NR_TLP_NONE, pap });
    }
    return m;
}

struct finder {
    const struct nr_json *(*find)(void *ctx, struct nr_str id);
    void *ctx;
    size_t unknown;
};

static struct nr_marking
marking_of_ref(struct finder *f, const struct nr_json *ref)
{
    struct nr_marking m = { NR_TLP_NONE, NR_PAP_NONE };
    const struct nr_json *definition = NULL;

    if (!nr_json_is(ref, NR_JSON_STRING)) {
        f->unknown++;
        return m;
    }
    if (nr_marking_of_id(ref->text, &m))
        return m;
    if (f->find)
        definition = f->find(f->ctx, ref->text);
    m = nr_marking_of_definition(definition);
    f->unknown += m.tlp == NR_TLP_NONE && m.pap == NR_PAP_NONE;
    return m;
}

struct nr_marking
nr_stix_marking(const struct nr_json *object,
    const struct nr_json *(*find)(void *ctx, struct nr_str id), void *ctx,
    size_t *unknown)
{
    struct finder f = { find, ctx, 0 };
    struct nr_marking m = { NR_TLP_NONE, NR_PAP_NONE };
    const struct nr_json *j = nr_json_get(object,
        NR_STR("object_marking_refs"));

    for (j = j ? j->child : NULL; j; j = j->next)
        m = nr_marking_join(m, marking_of_ref(&f, j));
    j = nr_json_get(object, NR_STR("granular_markings"));
    for (j = j ? j->child : NULL; j; j = j->next) {
        const struct nr_json *ref = nr_json_get(j, NR_STR("marking_ref"));

        if (ref) /* without it, it only names a language */
            m = nr_marking_join(m, marking_of_ref(&f, ref));
    }
    if (unknown)
        *unknown = f.unknown;
    return m;
}

static void
put_definition(struct nr_json_out *o, const struct level *l, bool pap)
{
    struct nr_str extension = pap ? pap_extension : tlp_extension;
    char name[32];
    size_t n = 0;

    if (!l)
        return;
    for (const char *p = pap ? "PAP:" : "TLP:"; *p; p++)
        name[n++] = *p;
    for (size_t i = 0; i < l->name.n && n < sizeof(name); i++) {
        uint8_t c = (uint8_t)l->name.p[i];

        if (c >= 'a' && c <= 'z')
            c = (uint8_t)(c - 'a' + 'A');
        name[n++] = (char)c;
    }
    nr_json_open_object(o);
    nr_json_member_str(o, NR_STR("type"), NR_STR("marking-definition"));
    nr_json_member_str(o, NR_STR("spec_version"), NR_STR("2.1"));
    nr_json_member_str(o, NR_STR("id"), l->id);
    nr_json_member_str(o, NR_STR("created"),
        NR_STR("2022-10-01T00:00:00.000Z"));
    nr_json_member_str(o, NR_STR("name"), (struct nr_str){ name, n });
    nr_json_key(o, NR_STR("extensions"));
    nr_json_open_object(o);
    nr_json_key(o, extension);
    nr_json_open_object(o);
    nr_json_member_str(o, NR_STR("extension_type"),
        NR_STR("property-extension"));
    nr_json_member_str(o, pap ? NR_STR("pap") : NR_STR("tlp_2_0"), l->name);
    nr_json_close_object(o);
    nr_json_close_object(o);
    nr_json_close_object(o);
}

void
nr_stix_put_tlp_definition(struct nr_json_out *o, enum nr_tlp tlp)
{
    put_definition(o, find_level(tlp, 0), false);
}

void
nr_stix_put_pap_definition(struct nr_json_out *o, enum nr_pap pap)
{
    put_definition(o, find_level(0, pap), true);
}
