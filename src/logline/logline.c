#include "logline/logline.h"

#include "logline/parse.h"

#include <stdlib.h>

#define IPV6_GROUPS ((size_t)8)
#define IPV6_DIGITS ((size_t)4)        /* of a group */
#define MTIME_MIN   INT64_C(631152000) /* 1990: older ones are made up */

static const char *const source_names[NR_SOURCES] = {
    [NR_SOURCE_TEXT] = "text",
    [NR_SOURCE_ACCESS] = "access",
    [NR_SOURCE_WEB_ERROR] = "weberror",
    [NR_SOURCE_SQUID] = "squid",
    [NR_SOURCE_NAMED] = "named",
    [NR_SOURCE_DNSMASQ] = "dnsmasq",
    [NR_SOURCE_FIREWALL] = "firewall",
    [NR_SOURCE_SSHD] = "sshd",
    [NR_SOURCE_MAIL] = "mail",
    [NR_SOURCE_CONN] = "conn",
    [NR_SOURCE_ZEEK] = "zeek",
    [NR_SOURCE_EVE] = "eve",
    [NR_SOURCE_FAST] = "fast",
    [NR_SOURCE_WINEVT] = "winevt",
    [NR_SOURCE_CEF] = "cef",
    [NR_SOURCE_LEEF] = "leef",
    [NR_SOURCE_SYSLOG] = "syslog",
    [NR_SOURCE_JSON] = "json",
    [NR_SOURCE_ALB] = "alb",
    [NR_SOURCE_CADDY] = "caddy",
    [NR_SOURCE_TRAEFIK] = "traefik",
    [NR_SOURCE_FORTINET] = "fortinet",
};

const char *
nr_source_name(enum nr_source s)
{
    return (unsigned)s < NR_SOURCES ? source_names[s] : source_names[0];
}

bool
nr_source_from_name(struct nr_str name, enum nr_source *out)
{
    for (size_t i = 0; i < NR_SOURCES; i++)
        if (nr_str_eq(name, nr_str_of(source_names[i]))) {
            *out = (enum nr_source)i;
            return true;
        }
    return false;
}

const char *
nr_log_kind_name(unsigned bit)
{
    static const char *const names[NR_LOG_KINDS] = { "proxy", "dns", "fw",
        "flow", "edr", "ad", "mail", "auth", "web", "av", "other" };

    return bit < NR_LOG_KINDS ? names[bit] : "other";
}

const char *
nr_action_name(enum nr_action a)
{
    static const char *const names[] = { "unknown", "allowed", "denied" };

    return (unsigned)a < 3 ? names[a] : names[0];
}

struct nr_bytes
nr_no_port(struct nr_bytes b)
{
    const uint8_t *colon;
    size_t colons = 0, port;

    if (b.n && b.p[0] == '[') {
        b = nr_skip(b, 1);
        return nr_until(&b, ']');
    }
    colon = b.n ? memrchr(b.p, ':', b.n) : NULL;
    if (!colon)
        return b;
    for (size_t i = 0; i < b.n; i++) {
        colons += b.p[i] == ':';
        if (b.p + i > colon && !nr_is_digit(b.p[i]))
            return b;
    }
    /* IPv6 without brackets: a port only where there is one group too many
     * or one too long */
    port = (size_t)(b.p + b.n - colon) - 1;
    if (colons == 1 || colons == IPV6_GROUPS || port > IPV6_DIGITS)
        b.n = (size_t)(colon - b.p);
    return b;
}

int64_t
nr_count(struct nr_bytes b)
{
    int64_t v = 0;
    size_t n = 0;

    for (; n < b.n && n < 18 && nr_is_digit(b.p[n]); n++)
        v = v * 10 + (b.p[n] - '0');
    return n ? v : NR_BYTES_NONE;
}

/* ---- recognisers: the head of a line, before the parser is tried ---- */

static bool
looks_zeek(const struct nr_logfile *f, struct nr_bytes line)
{
    return line.p[0] == '#' || f->zeek.n > 0;
}

static bool
looks_json(const struct nr_logfile *f, struct nr_bytes line)
{
    (void)f;
    return line.p[0] == '{' || line.p[0] == ' ' || line.p[0] == '\t';
}

static bool
looks_digit(const struct nr_logfile *f, struct nr_bytes line)
{
    (void)f;
    return nr_is_digit(line.p[0]);
}

static bool
looks_alb(const struct nr_logfile *f, struct nr_bytes line)
{
    (void)f;
    return line.p[0] == 'h' || line.p[0] == 'w' || line.p[0] == 'g';
}

static bool
looks_error(const struct nr_logfile *f, struct nr_bytes line)
{
    (void)f;
    return line.p[0] == '[' || nr_is_digit(line.p[0]);
}

static bool
looks_any(const struct nr_logfile *f, struct nr_bytes line)
{
    (void)f;
    (void)line;
    return true;
}

/* Tried from the top: what is told by more comes first. */
static const struct nr_format formats[] = {
    { NR_SOURCE_ZEEK, NR_LOG_OTHER, looks_zeek, nr_parse_zeek },
    { NR_SOURCE_JSON, NR_LOG_OTHER, looks_json, nr_parse_json },
    { NR_SOURCE_SQUID, NR_LOG_PROXY, looks_digit, nr_parse_squid },
    { NR_SOURCE_FAST, NR_LOG_FLOW, looks_digit, nr_parse_fast },
    { NR_SOURCE_NAMED, NR_LOG_DNS, looks_digit, nr_parse_named },
    { NR_SOURCE_WEB_ERROR, NR_LOG_WEB, looks_error, nr_parse_web_error },
    { NR_SOURCE_ALB, NR_LOG_WEB, looks_alb, nr_parse_alb },
    { NR_SOURCE_CEF, NR_LOG_OTHER, looks_any, nr_parse_cef },
    { NR_SOURCE_LEEF, NR_LOG_OTHER, looks_any, nr_parse_leef },
    { NR_SOURCE_FORTINET, NR_LOG_FW, looks_any, nr_parse_fortinet },
    { NR_SOURCE_SYSLOG, NR_LOG_OTHER, looks_any, nr_parse_syslog },
    { NR_SOURCE_ACCESS, NR_LOG_WEB, looks_any, nr_parse_access },
    { NR_SOURCE_WINEVT, NR_LOG_EDR, looks_any, nr_parse_xml },
};

#define FORMATS (sizeof(formats) / sizeof(formats[0]))

unsigned
nr_format_index(const struct nr_format *fmt)
{
    return (unsigned)(fmt - formats);
}

const struct nr_format *
nr_format_at(unsigned i)
{
    return i < FORMATS ? &formats[i] : NULL;
}

static bool
try_format(struct nr_logfile *f, const struct nr_format *fmt,
    struct nr_bytes line, struct nr_record *r)
{
    static const struct nr_record empty = { .time_us = NR_TIME_NONE,
        .bytes_out = NR_BYTES_NONE,
        .bytes_in = NR_BYTES_NONE };

    *r = empty;
    r->source = fmt->source;
    r->kinds = fmt->kinds;
    return fmt->looks(f, line) && fmt->parse(f, line, r);
}

/* The format of LINE, its record in *R; NULL when no row knows it. */
static const struct nr_format *
find_format(struct nr_logfile *f, struct nr_bytes line, struct nr_record *r)
{
    if (line.n == 0)
        return NULL;
    if (f->format && try_format(f, f->format, line, r))
        return f->format;
    for (size_t i = 0; i < FORMATS; i++)
        if (&formats[i] != f->format && try_format(f, &formats[i], line, r))
            return &formats[i];
    return NULL;
}

bool
nr_logline_read(struct nr_logfile *f, struct nr_bytes line, struct nr_record *r)
{
    int64_t us;

    if (find_format(f, line, r))
        return true;
    *r = (struct nr_record){ .time_us = NR_TIME_NONE,
        .source = f->source,
        .kinds = f->kinds,
        .bytes_out = NR_BYTES_NONE,
        .bytes_in = NR_BYTES_NONE };
    if (line.n == 0 || !nr_time_find(f, line, &us))
        return false;
    r->time_us = us;
    return true;
}

void
nr_logline_parse(struct nr_logfile *f, struct nr_bytes line,
    struct nr_record *out)
{
    nr_years_line(f, line);
    if (!nr_logline_read(f, line, out)) {
        out->source = f->carry_source;
        out->kinds = f->carry_kinds;
        out->time_us = f->carry_us;
        out->inherited = f->carry_us != NR_TIME_NONE;
        return;
    }
    f->carry_source = out->source;
    f->carry_kinds = out->kinds;
    if (out->time_us != NR_TIME_NONE)
        f->carry_us = out->time_us;
}

enum nr_err
nr_logfile_new(const struct nr_logfile_options *o, struct nr_logfile **out,
    struct nr_diag *d)
{
    struct nr_logfile *f = calloc(1, sizeof(*f));

    if (!f)
        return nr_fail(d, NR_ENOMEM, 0, "log file: no memory");
    f->zone_s = o->zone_east_s;
    f->last_s = o->last_s >= MTIME_MIN ? o->last_s : NR_TIME_NONE;
    f->carry_us = NR_TIME_NONE;
    f->kinds = f->carry_kinds = NR_LOG_OTHER;
    f->zeek.sep = '\t';
    nr_role_index(f);
    if (o->name)
        nr_name_read(f, o->name);
    f->source = f->carry_source = f->hint;
    *out = f;
    return NR_OK;
}

void
nr_logfile_free(struct nr_logfile *f)
{
    free(f);
}

/* The next line of *REST without LF or CR LF. */
static bool
next_line(struct nr_bytes *rest, struct nr_bytes *line)
{
    if (rest->n == 0)
        return false;
    *line = nr_until(rest, '\n');
    if (line->n && line->p[line->n - 1] == '\r')
        line->n--;
    return true;
}

/* Nothing is dated by learning: the years are again as they were BEFORE. */
static void
learn_years(struct nr_logfile *f, const struct nr_years *before)
{
    struct nr_years y = *before;

    y.used = f->years.used || f->years.inside > 0;
    y.deep = f->years.inside > f->years.heads;
    f->years = y;
}

void
nr_logfile_learn(struct nr_logfile *f, struct nr_bytes head)
{
    const struct nr_years years = f->years;
    struct nr_bytes line, rest = head;
    size_t votes[NR_SOURCES] = { 0 }, rows[FORMATS] = { 0 };
    uint32_t kinds[NR_SOURCES] = { 0 };
    size_t best = 0, row = 0;

    for (unsigned i = 0; i < NR_LOGFILE_SAMPLE && next_line(&rest, &line);
         i++) {
        struct nr_record r;
        const struct nr_format *fmt;

        nr_years_line(f, line);
        fmt = find_format(f, line, &r);
        if (!fmt) {
            int64_t us;

            (void)(line.n && nr_time_find(f, line, &us));
            continue;
        }
        rows[fmt - formats]++;
        votes[r.source] += 2;
        votes[r.source] += r.source == f->hint;
        kinds[r.source] = r.kinds;
    }
    for (size_t i = 0; i < NR_SOURCES; i++)
        if (votes[i] > votes[best])
            best = i;
    for (size_t i = 0; i < FORMATS; i++)
        if (rows[i] > rows[row])
            row = i;
    if (votes[best] > 0) {
        f->source = (enum nr_source)best;
        f->kinds = kinds[best];
        f->format = &formats[row];
    }
    f->carry_source = f->source;
    f->carry_kinds = f->kinds;
    learn_years(f, &years);
}

bool
nr_logfile_wants_prescan(const struct nr_logfile *f)
{
    return f->years.used && !f->years.given;
}

void
nr_logfile_prescan(struct nr_logfile *f, struct nr_bytes block)
{
    struct nr_bytes line;
    unsigned mon, day;

    while (next_line(&block, &line))
        if (nr_time_bsd_day(line, &mon, &day))
            nr_years_prescan(&f->years, mon, day);
}

enum nr_source
nr_logfile_source(const struct nr_logfile *f)
{
    return f->source;
}
