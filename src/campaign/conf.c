/* Parameters: their measured values, their ranges, and picture.conf. */
#include "campaign/state.h"

#include <math.h>

#define TEXT_MAX        ((size_t)64 << 10) /* octets of picture.conf */
#define LINE_MAX_OCTETS ((size_t)200)

/* Domain, address and path: from public reports; others by analogy, to be
 * looked at each year (doc/architecture.md). */
static const struct nr_campaign_row rows[NR_CAMPAIGN_TYPES] = {
    [NR_CAMPAIGN_DOMAIN] = { .90, 180, 11, true },
    [NR_CAMPAIGN_IP] = { .90, 90, 9, true },
    [NR_CAMPAIGN_FILE] = { .95, 0, 11, true },
    [NR_CAMPAIGN_CERT] = { .95, 365, 11, true },
    [NR_CAMPAIGN_PATH] = { .80, 365, 9, true },
    [NR_CAMPAIGN_ACCOUNT] = { .80, 365, 10, true },
    [NR_CAMPAIGN_COMPROMISED] = { .10, 60, 7, false },
    [NR_CAMPAIGN_PARENT] = { .60, 365, 9, false },
    [NR_CAMPAIGN_CONTEXT] = { 0, 0, 0, false },
};

static const char *const type_names[NR_CAMPAIGN_TYPES] = {
    [NR_CAMPAIGN_DOMAIN] = "domain",
    [NR_CAMPAIGN_IP] = "ip",
    [NR_CAMPAIGN_FILE] = "file",
    [NR_CAMPAIGN_CERT] = "cert",
    [NR_CAMPAIGN_PATH] = "path",
    [NR_CAMPAIGN_ACCOUNT] = "account",
    [NR_CAMPAIGN_COMPROMISED] = "compromised",
    [NR_CAMPAIGN_PARENT] = "parent",
    [NR_CAMPAIGN_CONTEXT] = "context",
};

const char *
nr_campaign_type_name(enum nr_campaign_type t)
{
    return t < NR_CAMPAIGN_TYPES ? type_names[t] : "?";
}

void
nr_campaign_conf_default(struct nr_campaign_conf *conf)
{
    *conf = (struct nr_campaign_conf){
        .version = 1,
        .prior = .4,
        .vote_yes = 3.807354922057604, /* log2(.70 / .05) */
        .vote_no = 1.662965012722429,  /* log2(.95 / .30) */
        .benign_bits = 3,
        .benign_max = 20,
        .lone_max = .95,
        .link_p = .90,
        .break_p = .60,
        .suggest_p = .50,
        .anchor_bits = 5,
        .anchor_rho = .50,
        .gamma = .005,
        .shared_part = .05,
        .young_days = 90,
        .active_days = 180,
        .campaigns_min = 16,
    };
    memcpy(conf->row, rows, sizeof(rows));
}

enum sort { REAL, COUNT, FLAG };

/* A parameter: where it is and what it may be. */
struct row {
    const char *name;
    size_t at;
    enum sort sort;
    double min, max;
};

#define AT(field) offsetof(struct nr_campaign_conf, field)

static const struct row params[] = {
    { "version", AT(version), COUNT, 1, 1e9 },
    { "prior", AT(prior), REAL, .001, .999 },
    { "vote-yes", AT(vote_yes), REAL, 0, 20 },
    { "vote-no", AT(vote_no), REAL, 0, 20 },
    { "benign-bits", AT(benign_bits), REAL, 0, 20 },
    { "benign-max", AT(benign_max), REAL, 0, 60 },
    { "lone-max", AT(lone_max), REAL, .5, .999999 },
    { "link-p", AT(link_p), REAL, .5, .999999 },
    { "break-p", AT(break_p), REAL, .01, .999999 },
    { "suggest-p", AT(suggest_p), REAL, .01, .999999 },
    { "anchor-bits", AT(anchor_bits), REAL, 0, 20 },
    { "anchor-rho", AT(anchor_rho), REAL, 0, 1 },
    { "gamma", AT(gamma), REAL, 0, 1 },
    { "shared-part", AT(shared_part), REAL, 0, 1 },
    { "young-days", AT(young_days), COUNT, 0, 36500 },
    { "active-days", AT(active_days), COUNT, 1, 36500 },
    { "campaigns-min", AT(campaigns_min), COUNT, 1, 1e6 },
    { "campaigns", AT(campaigns), COUNT, 0, 1e6 },
    { "members", AT(members), COUNT, 0, 1e9 },
};

#define AT_ROW(field) offsetof(struct nr_campaign_row, field)

static const struct row row_params[] = {
    { "kappa", AT_ROW(kappa), REAL, 0, 1 },
    { "half-life", AT_ROW(half_life), REAL, 0, 36500 },
    { "cap", AT_ROW(cap), REAL, 0, 20 },
    { "anchor", AT_ROW(anchor), FLAG, 0, 1 },
};

#define LENGTH(a) (sizeof(a) / sizeof((a)[0]))

static double
get(const void *base, const struct row *r)
{
    const uint8_t *p = (const uint8_t *)base + r->at;
    uint32_t n;
    double v;
    bool b;

    switch (r->sort) {
    case REAL:
        memcpy(&v, p, sizeof(v));
        return v;
    case COUNT:
        memcpy(&n, p, sizeof(n));
        return n;
    case FLAG:
        memcpy(&b, p, sizeof(b));
        return b;
    }
    return 0;
}

static void
set(void *base, const struct row *r, double v)
{
    uint8_t *p = (uint8_t *)base + r->at;
    uint32_t n = (uint32_t)v;
    bool b = v > 0;

    switch (r->sort) {
    case REAL:
        memcpy(p, &v, sizeof(v));
        break;
    case COUNT:
        memcpy(p, &n, sizeof(n));
        break;
    case FLAG:
        memcpy(p, &b, sizeof(b));
        break;
    }
}

static bool
in_range(const struct row *r, double v)
{
    return v >= r->min && v <= r->max && (r->sort == REAL || v >= floor(v)) &&
        (r->sort == REAL || v <= floor(v));
}

enum nr_err
cg_conf_check(const struct nr_campaign_conf *f, struct nr_diag *d)
{
    for (size_t i = 0; i < LENGTH(params); i++)
        if (!in_range(&params[i], get(f, &params[i])))
            return nr_fail_name(d, NR_ELIMIT, "parameter: out of range",
                params[i].name);
    for (size_t t = 0; t < NR_CAMPAIGN_TYPES; t++)
        for (size_t i = 0; i < LENGTH(row_params); i++)
            if (!in_range(&row_params[i], get(&f->row[t], &row_params[i])))
                return nr_fail_name(d, NR_ELIMIT, "parameter: out of range",
                    type_names[t]);
    if (f->break_p > f->link_p || f->suggest_p > f->link_p)
        return nr_fail(d, NR_ELIMIT, 0,
            "parameter: break-p and suggest-p may not be above link-p");
    return NR_OK;
}

static const struct row *
find(const struct row *rows_in, size_t n, struct nr_str name)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(rows_in[i].name) == name.n &&
            memcmp(rows_in[i].name, name.p, name.n) == 0)
            return &rows_in[i];
    return NULL;
}

/* The parameter NAME of CONF and the struct that it is in. */
static const struct row *
lookup(struct nr_campaign_conf *conf, struct nr_str name, void **base)
{
    struct nr_str rest, head = nr_str_cut(name, '.', &rest);

    *base = conf;
    if (head.n == name.n)
        return find(params, LENGTH(params), name);
    for (size_t t = 0; t < NR_CAMPAIGN_TYPES; t++)
        if (strlen(type_names[t]) == head.n &&
            memcmp(type_names[t], head.p, head.n) == 0) {
            *base = &conf->row[t];
            return find(row_params, LENGTH(row_params), rest);
        }
    return NULL;
}

static bool
is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct nr_str
trim(struct nr_str s)
{
    while (s.n > 0 && is_blank(s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && is_blank(s.p[s.n - 1]))
        s.n--;
    return s;
}

static enum nr_err
one_line(struct nr_campaign_conf *conf, struct nr_str line, size_t at,
    struct nr_diag *d)
{
    char text[LINE_MAX_OCTETS + 1], *end;
    const struct row *r;
    struct nr_str name = line, value;
    void *base;
    double v;

    for (name.n = 0; name.n < line.n && !is_blank(line.p[name.n]); name.n++)
        ;
    value = trim((struct nr_str){ line.p + name.n, line.n - name.n });
    if (line.n > LINE_MAX_OCTETS || value.n == 0)
        return nr_fail(d, NR_EFORMAT, at,
            "picture.conf: a line is \"name value\"");
    r = lookup(conf, name, &base);
    if (!r)
        return nr_fail(d, NR_EFORMAT, at, "picture.conf: no such parameter");
    memcpy(text, value.p, value.n);
    text[value.n] = 0;
    v = strtod(text, &end);
    if (end == text || *end || !in_range(r, v))
        return nr_fail(d, NR_EFORMAT, at,
            "picture.conf: not a number in the parameter's range");
    set(base, r, v);
    return NR_OK;
}

enum nr_err
nr_campaign_conf_parse(struct nr_bytes text, struct nr_campaign_conf *conf,
    struct nr_diag *d)
{
    struct nr_campaign_conf out = *conf;
    struct nr_str left = { (const char *)text.p, text.n };
    enum nr_err err;

    if (text.n > TEXT_MAX)
        return nr_fail(d, NR_ELIMIT, 0, "picture.conf: too long");
    while (left.n > 0) {
        size_t at = text.n - left.n;
        struct nr_str line = nr_str_cut(left, '\n', &left), rest;

        line = trim(nr_str_cut(line, '#', &rest));
        if (line.n == 0)
            continue;
        err = one_line(&out, line, at, d);
        if (err)
            return err;
    }
    err = cg_conf_check(&out, d);
    if (err == NR_OK)
        *conf = out;
    return err;
}

void
nr_campaign_conf_print(const struct nr_campaign_conf *conf, struct nr_buf *out)
{
    for (size_t i = 0; i < LENGTH(params); i++)
        nr_buf_printf(out, "%s %.17g\n", params[i].name, get(conf, &params[i]));
    for (size_t t = 0; t < NR_CAMPAIGN_TYPES; t++)
        for (size_t i = 0; i < LENGTH(row_params); i++)
            nr_buf_printf(out, "%s.%s %.17g\n", type_names[t],
                row_params[i].name, get(&conf->row[t], &row_params[i]));
}
