/* Checking the form, splitting it, printing both halves. */
#include "report/report.h"

#include "base/hash.h"
#include "stix/stix.h"

#include <stdio.h>

/* Namespace of the ids of reports and what they hold. */
static const uint8_t namespace[16] = { 0x6e, 0x6f, 0x72, 0x6f, 0x73, 0x68, 0x69,
    0x00, 0x80, 0x72, 0x65, 0x70, 0x6f, 0x72, 0x74, 0x01 };

#define IDENTITY_S  INT64_C(946684800) /* 2000-01-01 */
#define CONTENT_MAX ((size_t)64 << 20) /* octets that an id is made of */

/* --- checking ------------------------------------------------------------ */

static enum nr_err
tells(struct nr_diag *d, const char *what, struct nr_str about)
{
    char name[NR_DIAG_NAME_MAX];

    (void)snprintf(name, sizeof(name), "%.*s",
        (int)(about.n < sizeof(name) ? about.n : sizeof(name) - 1), about.p);
    return nr_fail_name(d, NR_EDENIED, what, name);
}

/* Where NEEDLE stands in HAY, ASCII case aside, with no letter, digit or '-'
 * beside it: "example.jp" in "mail.example.jp", not in "badexample.jp". */
static bool
names(struct nr_bytes hay, struct nr_str needle)
{
    for (size_t i = 0; needle.n && i + needle.n <= hay.n; i++) {
        size_t end = i + needle.n;
        uint8_t before = i ? hay.p[i - 1] : ' ';
        uint8_t after = end < hay.n ? hay.p[end] : ' ';

        if (!nr_bytes_eq_nocase(nr_bytes_sub(hay, i, end), nr_bytes_of(needle)))
            continue;
        if (!nr_is_alpha(before) && !nr_is_digit(before) && before != '-' &&
            !nr_is_alpha(after) && !nr_is_digit(after) && after != '-')
            return true;
    }
    return false;
}

static bool
is_shared(const struct nr_trace *t)
{
    return t->role != NR_ROLE_VICTIM_ASSET;
}

/* OWN must not stand in what everybody reads. */
static enum nr_err
check_word(const struct nr_report_form *f, struct nr_str own, struct nr_diag *d)
{
    if (names(nr_bytes_of(f->title), own))
        return tells(d,
            "report: the title would tell who reports (it names this)", own);
    for (size_t i = 0; i < f->n_traces; i++) {
        const struct nr_trace *t = &f->traces[i];

        if (!is_shared(t))
            continue;
        if (names(nr_bytes_of(t->value), own))
            return tells(d,
                "report: an observable is of our own domain; give it the role "
                "victim-asset, or leave it out",
                t->value);
        if (names(nr_bytes_of(t->comment), own))
            return tells(d,
                "report: the comment on an observable would tell who reports",
                t->value);
    }
    return NR_OK;
}

enum nr_err
nr_report_check(const struct nr_report_form *f, const struct nr_str *own,
    size_t n_own, struct nr_diag *d)
{
    enum nr_err err = NR_OK;
    size_t shared = 0;

    if (!f->summary.n)
        return nr_fail(d, NR_EFORMAT, 0,
            "report: what happened? the summary is missing");
    for (size_t i = 0; i < f->n_traces; i++)
        shared += is_shared(&f->traces[i]);
    if (!shared)
        return nr_fail(d, NR_EFORMAT, 0,
            "report: no observable that others could look for");
    for (size_t i = 0; i < n_own && !err; i++)
        err = check_word(f, own[i], d);
    if (!err && f->org.n)
        err = check_word(f, f->org, d);
    return err;
}

/* --- ids ----------------------------------------------------------------- */

static void
field(struct nr_buf *b, struct nr_str s)
{
    nr_buf_put_le(b, s.n, 8);
    nr_buf_put_str(b, s);
}

/* Everything that makes one report another one. */
static void
content(const struct nr_report_form *f, const struct nr_report_by *by,
    struct nr_buf *b)
{
    field(b, by->member);
    field(b, f->title);
    field(b, f->summary);
    field(b, f->running);
    field(b, f->identity_scope);
    field(b, f->org);
    field(b, f->contact);
    nr_buf_put_le(b, (uint64_t)by->created_s, 8);
    nr_buf_put_le(b, (uint64_t)f->discovered_s, 8);
    nr_buf_put_le(b, (uint64_t)f->discovered_fidelity, 1);
    nr_buf_put_le(b, (uint64_t)f->availability + 1, 1);
    nr_buf_put_le(b, f->tlp_tech, 1);
    nr_buf_put_le(b, f->tlp_damage, 1);
    nr_buf_put_le(b, f->pap, 1);
    for (size_t i = 0; i < f->n_traces; i++) {
        const struct nr_trace *t = &f->traces[i];

        nr_buf_put_le(b, t->kind, 1);
        field(b, (struct nr_str){ (const char *)t->key.p, t->key.n });
        nr_buf_put_le(b, t->role, 1);
        nr_buf_put_le(b, (uint64_t)t->first_s, 8);
        nr_buf_put_le(b, (uint64_t)t->last_s, 8);
        nr_buf_put_le(b, t->count, 8);
        field(b, t->comment);
    }
}

struct halves {
    const struct nr_report_form *f;
    struct nr_report_by by;
    struct nr_json_out o;
    struct nr_buf scratch;
    char seed[NR_UUID_MAX]; /* of the whole content */
    char report[NR_STIX_ID_MAX];
    char (*indicators)[NR_STIX_ID_MAX];
    size_t n; /* shared traces */
};

/* An id of this report's: TYPE and what it is of. */
static struct nr_str
id_of(struct halves *h, const char *type, struct nr_str of,
    char out[NR_STIX_ID_MAX])
{
    nr_buf_reset(&h->scratch);
    nr_buf_put_str(&h->scratch, nr_str_of(h->seed));
    nr_buf_put_c(&h->scratch, '\0');
    nr_buf_put_str(&h->scratch, of);
    return nr_stix_id_named(type, namespace,
        (struct nr_str){ (const char *)h->scratch.p, h->scratch.n }, out);
}

/* --- printing ------------------------------------------------------------ */

static int64_t
us(int64_t s)
{
    return s == NR_TIME_NONE ? NR_TIME_NONE : s * NR_US_PER_S;
}

static struct nr_marking
tech_marking(const struct halves *h)
{
    return (struct nr_marking){ h->f->tlp_tech, h->f->pap };
}

/* The pseudonym, the same octets in every report of this member: it says
 * nothing, so that anybody may see it, and its date is none of ours. */
static void
put_identity(struct halves *h)
{
    struct nr_marking m = { NR_TLP_CLEAR, NR_PAP_CLEAR };
    struct nr_stix_identity i = { .name = NR_STR("member"),
        .identity_class = NR_STR("organization") };

    i.head = nr_stix_head_new("identity", h->by.member, us(IDENTITY_S),
        h->by.member, m);
    nr_stix_identity_write(&h->o, &i);
}

static void
put_definitions(struct halves *h, struct nr_marking m)
{
    nr_stix_put_tlp_definition(&h->o, m.tlp);
    nr_stix_put_pap_definition(&h->o, m.pap);
}

static void
put_scheme(struct nr_buf *b, const char *scheme, const struct nr_trace *t)
{
    nr_buf_put_str(b, NR_STR("url:value = '"));
    nr_buf_put_str(b, nr_str_of(scheme));
    for (size_t i = 0; i < t->key.n; i++) {
        if (t->key.p[i] == '\'' || t->key.p[i] == '\\')
            nr_buf_put_c(b, '\\');
        nr_buf_put_c(b, (char)t->key.p[i]);
    }
    nr_buf_put_c(b, '\'');
}

/* A URL without a scheme (its key begins with "//") stands for both. */
static void
put_pattern(const struct nr_trace *t, struct nr_buf *b)
{
    if (t->kind != NR_KIND_URL || t->key.p[0] != '/') {
        (void)nr_stix_pattern_of(t->kind, t->value, b);
        return;
    }
    nr_buf_put_c(b, '[');
    put_scheme(b, "http:", t);
    nr_buf_put_str(b, NR_STR(" OR "));
    put_scheme(b, "https:", t);
    nr_buf_put_c(b, ']');
}

static void
put_indicator(struct halves *h, const struct nr_trace *t, const char *id)
{
    struct nr_str types[] = { t->role == NR_ROLE_CONTEXTUAL
            ? NR_STR("unknown")
            : NR_STR("malicious-activity") };
    struct nr_stix_indicator i = { .name = t->value,
        .description = t->comment,
        .pattern_type = NR_STR("stix"),
        .pattern_version = NR_STR("2.1"),
        .indicator_types = { types, 1 },
        .valid_until_us = NR_TIME_NONE,
        .first_seen_us = us(t->first_s),
        .last_seen_us = us(t->last_s),
        .role = nr_str_of(nr_role_name(t->role)) };

    nr_buf_reset(&h->scratch);
    put_pattern(t, &h->scratch);
    i.pattern = (struct nr_str){ (const char *)h->scratch.p, h->scratch.n };
    i.valid_from_us = us(
        t->first_s == NR_TIME_NONE ? h->by.created_s : t->first_s);
    i.head = nr_stix_head_new("indicator", nr_str_of(id), us(h->by.created_s),
        h->by.member, tech_marking(h));
    nr_stix_indicator_write(&h->o, &i);
}

static void
put_tech(struct halves *h, struct nr_str *refs)
{
    struct nr_stix_report r = { .name = h->f->title,
        .report_types = { (struct nr_str[]){ NR_STR("indicator") }, 1 },
        .object_refs = { refs, h->n },
        .published_us = us(h->by.created_s) };
    char bundle[NR_STIX_ID_MAX], day[NR_RFC3339_MAX], name[64];

    if (!r.name.n) {
        (void)snprintf(name, sizeof(name), "report of %s",
            nr_day_print(nr_day_of(h->by.created_s), day));
        r.name = nr_str_of(name);
    }
    nr_stix_bundle_open(&h->o, id_of(h, "bundle", NR_STR("tech"), bundle));
    put_definitions(h, tech_marking(h));
    put_identity(h);
    r.head = nr_stix_head_new("report", nr_str_of(h->report),
        us(h->by.created_s), h->by.member, tech_marking(h));
    nr_stix_report_write(&h->o, &r);
    for (size_t i = 0, k = 0; i < h->f->n_traces; i++)
        if (is_shared(&h->f->traces[i]))
            put_indicator(h, &h->f->traces[i], h->indicators[k++]);
    nr_stix_bundle_close(&h->o);
}

static void
put_assets(struct halves *h)
{
    bool open = false;

    for (size_t i = 0; i < h->f->n_traces; i++) {
        const struct nr_trace *t = &h->f->traces[i];

        if (is_shared(t))
            continue;
        if (!open) {
            nr_json_key(&h->o, NR_STR("x_noroshi_assets"));
            nr_json_open_array(&h->o);
            open = true;
        }
        nr_json_open_object(&h->o);
        nr_json_member_str(&h->o, NR_STR("type"),
            nr_str_of(nr_kind_name(t->kind)));
        nr_json_member_str(&h->o, NR_STR("value"), t->value);
        if (t->comment.n)
            nr_json_member_str(&h->o, NR_STR("comment"), t->comment);
        nr_json_close_object(&h->o);
    }
    if (open)
        nr_json_close_array(&h->o);
}

static void
member(struct halves *h, struct nr_str name, struct nr_str v)
{
    if (v.n)
        nr_json_member_str(&h->o, name, v);
}

static void
put_incident(struct halves *h, struct nr_marking m)
{
    const struct nr_report_form *f = h->f;
    bool named = !nr_str_eq(f->identity_scope, NR_STR("nobody"));
    char id[NR_STIX_ID_MAX], time[NR_RFC3339_MAX];

    nr_json_open_object(&h->o);
    nr_json_member_str(&h->o, NR_STR("type"), NR_STR("incident"));
    nr_json_member_str(&h->o, NR_STR("spec_version"), NR_STR("2.1"));
    nr_json_member_str(&h->o, NR_STR("id"),
        id_of(h, "incident", NR_STR("damage"), id));
    nr_json_member_str(&h->o, NR_STR("created_by_ref"), h->by.member);
    (void)nr_stix_time_print(us(h->by.created_s), time);
    nr_json_member_str(&h->o, NR_STR("created"), nr_str_of(time));
    nr_json_member_str(&h->o, NR_STR("modified"), nr_str_of(time));
    nr_json_member_str(&h->o, NR_STR("name"),
        f->title.n ? f->title : NR_STR("incident"));
    nr_json_member_str(&h->o, NR_STR("description"), f->summary);
    nr_json_key(&h->o, NR_STR("object_marking_refs"));
    nr_json_open_array(&h->o);
    nr_json_put_str(&h->o, nr_tlp_id(m.tlp));
    nr_json_put_str(&h->o, nr_pap_id(m.pap));
    nr_json_close_array(&h->o);
    nr_json_member_str(&h->o, NR_STR("x_noroshi_report"), nr_str_of(h->report));
    if (f->discovered_s != NR_TIME_NONE)
        nr_json_member_str(&h->o, NR_STR("x_noroshi_discovered"),
            nr_str_of(nr_stix_time_print(us(f->discovered_s), time)));
    nr_json_member_str(&h->o, NR_STR("x_noroshi_discovered_fidelity"),
        nr_str_of(nr_fidelity_name(f->discovered_fidelity)));
    nr_json_member_str(&h->o, NR_STR("x_noroshi_running"), f->running);
    if (f->availability >= 0)
        nr_json_member_i64(&h->o, NR_STR("x_noroshi_availability"),
            f->availability);
    nr_json_member_str(&h->o, NR_STR("x_noroshi_identity_scope"),
        f->identity_scope);
    if (named) {
        member(h, NR_STR("x_noroshi_org"), f->org);
        member(h, NR_STR("x_noroshi_contact"), f->contact);
    }
    put_assets(h);
    nr_json_close_object(&h->o);
}

/* The damage half may be acted on by those who get it, not passed on: its PAP
 * is red whatever the technical half says. */
static void
put_damage(struct halves *h)
{
    struct nr_marking m = { h->f->tlp_damage, NR_PAP_RED };
    char bundle[NR_STIX_ID_MAX];

    nr_stix_bundle_open(&h->o, id_of(h, "bundle", NR_STR("damage"), bundle));
    put_definitions(h, m);
    put_incident(h, m);
    nr_stix_bundle_close(&h->o);
}

static void
make_ids(struct halves *h, struct nr_str *refs)
{
    size_t k = 0;

    (void)id_of(h, "report", NR_STR("report"), h->report);
    for (size_t i = 0; i < h->f->n_traces; i++) {
        const struct nr_trace *t = &h->f->traces[i];
        char of[32];

        if (!is_shared(t))
            continue;
        (void)snprintf(of, sizeof(of), "%016llx",
            (unsigned long long)nr_xxh64(t->key, (uint64_t)t->kind + 1));
        refs[k] = id_of(h, "indicator", nr_str_of(of), h->indicators[k]);
        k++;
    }
}

enum nr_err
nr_report_print(const struct nr_report_form *f, const struct nr_report_by *by,
    struct nr_buf *out, char id[NR_REPORT_ID_MAX], struct nr_diag *d)
{
    struct halves h = { .f = f, .by = *by };
    struct nr_str *refs;
    struct nr_arena a;
    enum nr_err err = NR_OK;

    if (!nr_stix_id_is(by->member, NR_STR("identity")))
        return nr_fail(d, NR_EFORMAT, 0, "report: no pseudonym of a member");
    if (!f->collection.n)
        return nr_fail(d, NR_EFORMAT, 0,
            "report: to which collection? none is named");
    nr_arena_init(&a, NR_REPORT_HALF_MAX);
    nr_buf_init(&h.scratch, CONTENT_MAX);
    refs = nr_new(&a, struct nr_str, f->n_traces + 1);
    h.indicators = nr_arena_alloc(&a, NR_STIX_ID_MAX, f->n_traces + 1, 1);
    if (!refs || !h.indicators) {
        err = nr_fail(d, NR_ENOMEM, 0, "report: out of memory");
        goto out;
    }
    for (size_t i = 0; i < f->n_traces; i++)
        h.n += is_shared(&f->traces[i]);
    content(f, by, &h.scratch);
    nr_uuid5(namespace, nr_buf_bytes(&h.scratch), h.seed);
    make_ids(&h, refs);
    nr_json_out_init(&h.o, out);
    nr_json_open_object(&h.o);
    nr_json_member_str(&h.o, NR_STR("collection"), f->collection);
    nr_json_key(&h.o, NR_STR("tech"));
    put_tech(&h, refs);
    nr_json_key(&h.o, NR_STR("damage"));
    put_damage(&h);
    nr_json_close_object(&h.o);
    err = h.scratch.err ? h.scratch.err : nr_json_out_end(&h.o);
    if (err)
        err = nr_fail(d, err, 0, "report: too long, or out of memory");
    else
        (void)snprintf(id, NR_REPORT_ID_MAX, "%.63s", h.report);
out:
    nr_buf_fini(&h.scratch);
    nr_arena_fini(&a);
    return err;
}
