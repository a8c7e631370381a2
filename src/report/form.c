/* Reading the short form: times, traces, JSON. */
#include "report/report.h"

#include "json/json.h"

#include <assert.h>
#include <stdio.h>

static const char *const fidelity_names[] = {
    [NR_FIDELITY_UNKNOWN] = "unknown",
    [NR_FIDELITY_YEAR] = "year",
    [NR_FIDELITY_MONTH] = "month",
    [NR_FIDELITY_DAY] = "day",
    [NR_FIDELITY_HOUR] = "hour",
    [NR_FIDELITY_MINUTE] = "minute",
    [NR_FIDELITY_SECOND] = "second",
};

const char *
nr_fidelity_name(enum nr_fidelity f)
{
    return fidelity_names[f];
}

struct nr_report_form
nr_report_form_empty(void)
{
    return (struct nr_report_form){ .discovered_s = NR_TIME_NONE,
        .running = NR_STR("unknown"),
        .availability = -1,
        .tlp_tech = NR_TLP_AMBER,
        .tlp_damage = NR_TLP_AMBER_STRICT,
        .pap = NR_PAP_AMBER,
        .identity_scope = NR_STR("nobody") };
}

/* --- times --------------------------------------------------------------- */

static bool
number(struct nr_str *s, size_t width, unsigned *out)
{
    uint64_t v;
    size_t n = 0;

    while (n < s->n && n < width && nr_is_digit((uint8_t)s->p[n]))
        n++;
    if (!n || !nr_str_to_u64((struct nr_str){ s->p, n }, &v))
        return false;
    *s = (struct nr_str){ s->p + n, s->n - n };
    *out = (unsigned)v;
    return true;
}

static bool
sign(struct nr_str *s, const char *any)
{
    if (!s->n || !strchr(any, s->p[0]) || !s->p[0])
        return false;
    *s = (struct nr_str){ s->p + 1, s->n - 1 };
    return true;
}

/* The fields one after the other, as far as they go. */
static bool
fields(struct nr_str *s, struct nr_civil *c, enum nr_fidelity *f)
{
    unsigned year;

    if (!number(s, 4, &year) || year < 1970)
        return false;
    c->year = year;
    *f = NR_FIDELITY_YEAR;
    if (!sign(s, "-/"))
        return true;
    *f = NR_FIDELITY_MONTH;
    if (!number(s, 2, &c->month))
        return false;
    if (!sign(s, "-/"))
        return true;
    *f = NR_FIDELITY_DAY;
    if (!number(s, 2, &c->day))
        return false;
    if (!sign(s, "Tt "))
        return true;
    *f = NR_FIDELITY_HOUR;
    if (!number(s, 2, &c->hour))
        return false;
    if (!sign(s, ":"))
        return true;
    *f = NR_FIDELITY_MINUTE;
    if (!number(s, 2, &c->minute))
        return false;
    if (!sign(s, ":"))
        return true;
    *f = NR_FIDELITY_SECOND;
    return number(s, 2, &c->second);
}

enum nr_err
nr_report_time_parse(struct nr_str in, int64_t east_s, int64_t *time_s,
    enum nr_fidelity *fidelity, struct nr_diag *d)
{
    struct nr_civil c = { .month = 1, .day = 1 };
    struct nr_str s = nr_str_trim(in);
    enum nr_fidelity f;
    int64_t t;

    if (!s.n || nr_str_eq(s, NR_STR("unknown")) ||
        nr_str_eq(s, NR_STR("不明"))) {
        *time_s = NR_TIME_NONE;
        *fidelity = NR_FIDELITY_UNKNOWN;
        return NR_OK;
    }
    if (!fields(&s, &c, &f) || !nr_civil_to_s(&c, &t))
        return nr_fail(d, NR_EFORMAT, 0,
            "time: not of the form 2017-08-21 or 2017-08-21T09:00+09:00");
    if (s.n && s.p[0] == '.') /* a fraction of a second */
        for (s = (struct nr_str){ s.p + 1, s.n - 1 };
             s.n && nr_is_digit((uint8_t)s.p[0]);)
            s = (struct nr_str){ s.p + 1, s.n - 1 };
    s = nr_str_trim(s);
    if (s.n && (f < NR_FIDELITY_HOUR || !nr_zone_parse(s, &east_s)))
        return nr_fail(d, NR_EFORMAT, 0, "time: something stands behind it");
    *time_s = t - east_s;
    *fidelity = f;
    return NR_OK;
}

/* --- traces -------------------------------------------------------------- */

static bool
keep(struct nr_arena *a, struct nr_str in, struct nr_str *out)
{
    char *p = nr_new(a, char, in.n + 1);

    if (!p)
        return false;
    if (in.n)
        memcpy(p, in.p, in.n);
    *out = (struct nr_str){ p, in.n };
    return true;
}

static enum nr_err
no_memory(struct nr_diag *d)
{
    return nr_fail(d, NR_ENOMEM, 0, "report: out of memory");
}

/* As nr_fail_name for a view. */
static enum nr_err
fail_about(struct nr_diag *d, enum nr_err err, const char *what,
    struct nr_str about)
{
    char name[NR_DIAG_NAME_MAX];

    (void)snprintf(name, sizeof(name), "%.*s",
        (int)(about.n < sizeof(name) ? about.n : sizeof(name) - 1), about.p);
    return nr_fail_name(d, err, what, name);
}

static enum nr_err
add(struct nr_arena *a, struct nr_report_form *f, const struct nr_trace *t,
    struct nr_diag *d)
{
    for (size_t i = 0; i < f->n_traces; i++)
        if (f->traces[i].kind == t->kind &&
            nr_bytes_eq(f->traces[i].key, t->key))
            return fail_about(d, NR_EEXIST,
                "report: this observable stands there twice", t->value);
    if (f->n_traces == NR_REPORT_TRACES_MAX)
        return nr_fail(d, NR_ELIMIT, 0, "report: more than 10000 observables");
    if (!(f->n_traces & (f->n_traces - 1))) { /* full at powers of two */
        struct nr_trace *v = nr_new(a, struct nr_trace,
            f->n_traces ? f->n_traces * 2 : 1);

        if (!v)
            return no_memory(d);
        if (f->n_traces)
            memcpy(v, f->traces, f->n_traces * sizeof(*v));
        f->traces = v;
    }
    f->traces[f->n_traces++] = *t;
    return NR_OK;
}

/* Kind, key and canonical text of VALUE; TYPE may be empty. */
static enum nr_err
canon(struct nr_arena *a, struct nr_str type, struct nr_str value,
    struct nr_trace *t, struct nr_diag *d)
{
    struct nr_str key = { "", 0 };
    struct nr_buf buf, text, probe;
    enum nr_err err;

    nr_buf_init(&buf, NR_KEY_MAX + 1);
    nr_buf_init(&text, NR_KEY_MAX * 2);
    nr_buf_init(&probe, NR_KEY_MAX * 2);
    err = type.n ? nr_canon_named(type, value, &t->kind, &buf, d)
                 : nr_canon_guess(value, &t->kind, &buf, d);
    if (err)
        goto out;
    nr_canon_print(t->kind, nr_buf_bytes(&buf), &text);
    if (text.err || !nr_str_from_utf8(nr_buf_bytes(&text), &t->value)) {
        err = nr_fail(d, NR_EFORMAT, 0, "observable: not UTF-8");
        goto out;
    }
    if (!keep(a, t->value, &t->value) ||
        !keep(a, (struct nr_str){ (const char *)buf.p, buf.n }, &key)) {
        err = no_memory(d);
        goto out;
    }
    t->key = nr_bytes_of(key);
    if (t->kind != NR_KIND_URL &&
        !nr_stix_pattern_of(t->kind, t->value, &probe))
        err = nr_fail(d, NR_EFORMAT, 0,
            "observable: STIX has no pattern for values of this kind");
out:
    nr_buf_fini(&buf);
    nr_buf_fini(&text);
    nr_buf_fini(&probe);
    return err;
}

enum nr_err
nr_report_add_trace(struct nr_arena *a, struct nr_report_form *f,
    struct nr_str text, struct nr_diag *d)
{
    struct nr_trace t = { .first_s = NR_TIME_NONE, .last_s = NR_TIME_NONE };
    struct nr_str rest, words[3] = { { "", 0 } }, type = { "", 0 }, value;
    struct nr_diag why = { 0 };
    enum nr_kind kind;
    enum nr_role role = NR_ROLE_UNKNOWN;
    enum nr_err err;
    size_t n = 0;

    for (rest = nr_str_trim(text); rest.n && n < 3; n++) {
        words[n] = nr_str_cut(rest, ' ', &rest);
        rest = nr_str_trim(rest);
    }
    if (!n || rest.n)
        return fail_about(d, NR_EFORMAT,
            "observable: not of the form \"[type] value [role]\"", text);
    value = words[0];
    if (n > 1 && nr_kind_from_name(words[0], &kind)) {
        type = words[0];
        value = words[1];
        words[1] = words[2];
        n--;
    }
    if (n > 2 || (n == 2 && !nr_role_from_name(words[1], &role)))
        return fail_about(d, NR_EFORMAT,
            "role: none of c2, delivery, exfil, malware, phishing-sender, "
            "credential-use, scanner, victim-asset, contextual, unknown",
            words[1]);
    if (n == 2)
        t.role = role;
    err = canon(a, type, value, &t, &why);
    if (err)
        return fail_about(d, err, why.what, value);
    return add(a, f, &t, d);
}

/* --- JSON ---------------------------------------------------------------- */

struct reading {
    struct nr_arena *a;
    struct nr_report_form *f;
    struct nr_trace *trace;
    int64_t east_s;
    struct nr_diag *d;
};

static enum nr_err
wrong(struct reading *r, const struct nr_json *j, const char *what)
{
    assert(j); /* what is missing is reported at what should hold it */
    (void)nr_fail(r->d, NR_EFORMAT, j->at, what);
    if (r->d && !r->d->name[0])
        (void)snprintf(r->d->name, sizeof(r->d->name), "%.*s",
            (int)(j->key.n < 100 ? j->key.n : 100), j->key.p);
    return NR_EFORMAT;
}

static enum nr_err
text(struct reading *r, const struct nr_json *j, struct nr_str *out)
{
    if (!nr_json_is(j, NR_JSON_STRING))
        return wrong(r, j, "report: this must be a string");
    if (j->text.n > NR_REPORT_TEXT_MAX)
        return nr_fail(r->d, NR_ELIMIT, j->at,
            "report: a text is longer than 65535 octets");
    return keep(r->a, nr_str_trim(j->text), out) ? NR_OK : no_memory(r->d);
}

/* A time as text, or {"time":..,"fidelity":..}. */
static enum nr_err
time_of(struct reading *r, const struct nr_json *j, int64_t *t,
    enum nr_fidelity *f)
{
    const struct nr_json *at = nr_json_is(j, NR_JSON_OBJECT)
        ? nr_json_get(j, NR_STR("time"))
        : j;
    struct nr_str fidelity;

    if (!nr_json_is(at, NR_JSON_STRING))
        return wrong(r, j, "report: this must be a time");
    if (nr_report_time_parse(at->text, r->east_s, t, f, r->d))
        return wrong(r, j, "report: this must be a time");
    if (nr_json_get_str(j, NR_STR("fidelity"), &fidelity)) {
        for (int i = 0; i <= NR_FIDELITY_SECOND; i++)
            if (nr_str_eq(fidelity, nr_str_of(fidelity_names[i]))) {
                *f = (enum nr_fidelity)i;
                return NR_OK;
            }
        return wrong(r, j,
            "fidelity: none of year, month, day, hour, minute, "
            "second");
    }
    return NR_OK;
}

static enum nr_err
word(struct reading *r, const struct nr_json *j, const char *const *words,
    const char *what, struct nr_str *out)
{
    enum nr_err err = text(r, j, out);

    if (err)
        return err;
    for (; *words; words++)
        if (nr_str_eq(*out, nr_str_of(*words)))
            return NR_OK;
    return wrong(r, j, what);
}

static enum nr_err
read_title(struct reading *r, const struct nr_json *j)
{
    return text(r, j, &r->f->title);
}

static enum nr_err
read_summary(struct reading *r, const struct nr_json *j)
{
    return text(r, j, &r->f->summary);
}

static enum nr_err
read_org(struct reading *r, const struct nr_json *j)
{
    return text(r, j, &r->f->org);
}

static enum nr_err
read_contact(struct reading *r, const struct nr_json *j)
{
    return text(r, j, &r->f->contact);
}

static enum nr_err
read_collection(struct reading *r, const struct nr_json *j)
{
    return text(r, j, &r->f->collection);
}

static enum nr_err
read_discovered(struct reading *r, const struct nr_json *j)
{
    return time_of(r, j, &r->f->discovered_s, &r->f->discovered_fidelity);
}

static enum nr_err
read_running(struct reading *r, const struct nr_json *j)
{
    static const char *const words[] = { "yes", "partly", "no", "unknown",
        NULL };

    return word(r, j, words, "running: none of yes, partly, no, unknown",
        &r->f->running);
}

static enum nr_err
read_scope(struct reading *r, const struct nr_json *j)
{
    static const char *const words[] = { "nobody", "hub", "police",
        "sector-hub", "members", NULL };

    return word(r, j, words,
        "identity_scope: none of nobody, hub, police, sector-hub, members",
        &r->f->identity_scope);
}

static enum nr_err
read_availability(struct reading *r, const struct nr_json *j)
{
    int64_t v;

    if (!nr_json_i64(j, &v) || v < 0 || v > 100)
        return wrong(r, j, "availability: not a whole number from 0 to 100");
    r->f->availability = (int)v;
    return NR_OK;
}

static enum nr_err
read_tlp(struct reading *r, const struct nr_json *j)
{
    bool tech = nr_str_eq(j->key, NR_STR("tlp_tech"));

    if (!nr_json_is(j, NR_JSON_STRING) ||
        !nr_tlp_parse(j->text, tech ? &r->f->tlp_tech : &r->f->tlp_damage))
        return wrong(r, j,
            "tlp: none of clear, green, amber, amber+strict, red");
    return NR_OK;
}

static enum nr_err
read_pap(struct reading *r, const struct nr_json *j)
{
    if (!nr_json_is(j, NR_JSON_STRING) || !nr_pap_parse(j->text, &r->f->pap))
        return wrong(r, j, "pap: none of clear, green, amber, red");
    return NR_OK;
}

static enum nr_err
read_role(struct reading *r, const struct nr_json *j)
{
    if (!nr_json_is(j, NR_JSON_STRING) ||
        !nr_role_from_name(j->text, &r->trace->role))
        return wrong(r, j,
            "role: none of c2, delivery, exfil, malware, phishing-sender, "
            "credential-use, scanner, victim-asset, contextual, unknown");
    return NR_OK;
}

static enum nr_err
read_first(struct reading *r, const struct nr_json *j)
{
    enum nr_fidelity f;

    return time_of(r, j, &r->trace->first_s, &f);
}

static enum nr_err
read_last(struct reading *r, const struct nr_json *j)
{
    enum nr_fidelity f;

    return time_of(r, j, &r->trace->last_s, &f);
}

static enum nr_err
read_count(struct reading *r, const struct nr_json *j)
{
    int64_t v;

    if (!nr_json_i64(j, &v) || v < 0)
        return wrong(r, j, "count: not a whole number");
    r->trace->count = (uint64_t)v;
    return NR_OK;
}

static enum nr_err
read_comment(struct reading *r, const struct nr_json *j)
{
    return text(r, j, &r->trace->comment);
}

/* Type and value are read together. */
static enum nr_err
read_nothing(struct reading *r, const struct nr_json *j)
{
    return nr_json_is(j, NR_JSON_STRING)
        ? NR_OK
        : wrong(r, j, "report: this must be a string");
}

struct member {
    const char *name;
    enum nr_err (*read)(struct reading *r, const struct nr_json *j);
};

static const struct member trace_members[] = {
    { "type", read_nothing },
    { "value", read_nothing },
    { "role", read_role },
    { "first_seen", read_first },
    { "last_seen", read_last },
    { "count", read_count },
    { "comment", read_comment },
    { NULL, NULL },
};

static enum nr_err
read_members(struct reading *r, const struct nr_json *j,
    const struct member *table)
{
    enum nr_err err = NR_OK;

    for (const struct nr_json *m = j->child; m && !err; m = m->next) {
        const struct member *row = table;

        while (row->name && !nr_str_eq(m->key, nr_str_of(row->name)))
            row++;
        err = row->name ? row->read(r, m)
                        : wrong(r, m, "report: the form has no such member");
    }
    return err;
}

static enum nr_err
read_trace(struct reading *r, const struct nr_json *j)
{
    struct nr_trace t = { .first_s = NR_TIME_NONE, .last_s = NR_TIME_NONE };
    struct nr_str type = { "", 0 }, value = { "", 0 };
    struct nr_diag why = { 0 };
    enum nr_err err;

    r->trace = &t;
    if (!nr_json_is(j, NR_JSON_OBJECT))
        return wrong(r, j, "observables: not an object");
    err = read_members(r, j, trace_members);
    if (err)
        return err;
    (void)nr_json_get_str(j, NR_STR("type"), &type);
    if (!nr_json_get_str(j, NR_STR("value"), &value))
        return wrong(r, j, "observable: without a value");
    err = canon(r->a, type, value, &t, &why);
    if (err) {
        err = fail_about(r->d, err, why.what, value);
        if (r->d && r->d->what == why.what)
            r->d->at = j->at;
        return err;
    }
    if (t.first_s != NR_TIME_NONE && t.last_s != NR_TIME_NONE &&
        t.first_s > t.last_s)
        return fail_about(r->d, NR_EFORMAT,
            "observable: last_seen is before first_seen", value);
    return add(r->a, r->f, &t, r->d);
}

static enum nr_err
read_traces(struct reading *r, const struct nr_json *j)
{
    enum nr_err err = NR_OK;

    if (!nr_json_is(j, NR_JSON_ARRAY))
        return wrong(r, j, "observables: not an array");
    for (const struct nr_json *t = j->child; t && !err; t = t->next)
        err = read_trace(r, t);
    return err;
}

static const struct member form_members[] = {
    { "title", read_title },
    { "summary", read_summary },
    { "discovered", read_discovered },
    { "running", read_running },
    { "availability", read_availability },
    { "tlp_tech", read_tlp },
    { "tlp_damage", read_tlp },
    { "pap", read_pap },
    { "identity_scope", read_scope },
    { "org", read_org },
    { "contact", read_contact },
    { "collection", read_collection },
    { "observables", read_traces },
    { NULL, NULL },
};

enum nr_err
nr_report_form_parse(struct nr_arena *a, struct nr_bytes in, int64_t east_s,
    struct nr_report_form *out, struct nr_diag *d)
{
    struct nr_report_form f = nr_report_form_empty();
    struct reading r = { .a = a, .f = &f, .east_s = east_s, .d = d };
    const struct nr_json *j;
    enum nr_err err;

    if (in.n > NR_REPORT_FORM_MAX)
        return nr_fail(d, NR_ELIMIT, 0, "report: form is longer than 16 MiB");
    err = nr_json_parse(a, in, &j, d);
    if (err)
        return err;
    if (!nr_json_is(j, NR_JSON_OBJECT))
        return nr_fail(d, NR_EFORMAT, 0, "report: the form is no JSON object");
    err = read_members(&r, j, form_members);
    if (!err)
        *out = f;
    return err;
}
