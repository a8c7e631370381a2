#include "archive_coverage.h"

#include "archive/coverage.h"
#include "logline/logline.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define WIDTH_DEFAULT 80u
#define WIDTH_MIN     40u
#define WIDTH_MAX     400u
#define LABEL         22                  /* columns of a row's name */
#define SHARE         6                   /* columns of its share */
#define OUT_MAX       ((size_t)256 << 20) /* octets of the output */
#define GAPS_TOLD     20u                 /* of a stream, in words */

/* A row: a kind of log, or one of its streams. */
struct row {
    const struct nr_archive *a;
    unsigned kind;
    bool is_stream;
    size_t stream;
};

struct view {
    const struct archive_coverage *c;
    struct nr_archive *a;
    struct nr_days days;
    uint32_t kinds;
    bool utf8;
    unsigned cells, width; /* cells and days in each of them */
    struct nr_buf out;
};

static enum nr_day_state
state_of(const struct row *r, int64_t day)
{
    return r->is_stream ? nr_coverage_stream_day(r->a, r->stream, day)
                        : nr_coverage_kind_day(r->a, r->kind, day);
}

/* Days of DAYS in each state. */
static void
count(const struct row *r, struct nr_days days, uint64_t n[NR_DAY_LINES + 1])
{
    memset(n, 0, sizeof(n[0]) * (NR_DAY_LINES + 1));
    for (int64_t day = days.from; day <= days.to; day++)
        n[state_of(r, day)]++;
}

/* The picture */

enum mark {
    MARK_NONE,
    MARK_GAP,
    MARK_SOME,
    MARK_HALF,
    MARK_MOST,
    MARK_ALL,
    MARK_QUIET,
    MARKS
};

static const char *const marks[2][MARKS] = {
    { " ", "x", ".", "-", "+", "#", "=" },
    { "·", "×", "░", "▒", "▓", "█", "▁" },
};

static enum mark
mark_of(const uint64_t n[NR_DAY_LINES + 1])
{
    uint64_t known = n[NR_DAY_LINES] + n[NR_DAY_QUIET];
    uint64_t all = known + n[NR_DAY_GAP] + n[NR_DAY_NONE];

    if (known == 0)
        return n[NR_DAY_GAP] > 0 ? MARK_GAP : MARK_NONE;
    if (n[NR_DAY_LINES] == 0 && known == all)
        return MARK_QUIET;
    if (known == all)
        return MARK_ALL;
    return known * 3 >= all * 2 ? MARK_MOST
        : known * 3 >= all      ? MARK_HALF
                                : MARK_SOME;
}

static void
put_name(struct view *v, const char *name, bool indent)
{
    size_t room = LABEL - (indent ? 2u : 0), n = strlen(name);

    nr_buf_put_str(&v->out, indent ? NR_STR("  ") : NR_STR(""));
    if (n > room - 1) { /* the end of a name tells more than its beginning */
        name += n - (room - 2);
        while (((unsigned char)*name & 0xc0) == 0x80)
            name++;
        nr_buf_put_c(&v->out, '~');
        n = strlen(name) + 1;
    }
    nr_buf_put_str(&v->out, nr_str_of(name));
    for (; n < room; n++)
        nr_buf_put_c(&v->out, ' ');
}

static void
put_row(struct view *v, const struct row *r, const char *name)
{
    uint64_t n[NR_DAY_LINES + 1], known, days;

    put_name(v, name, r->is_stream);
    for (unsigned i = 0; i < v->cells; i++) {
        struct nr_days cell;

        cell.from = v->days.from + (int64_t)i * v->width;
        cell.to = cell.from + v->width - 1;
        cell.to = cell.to > v->days.to ? v->days.to : cell.to;
        count(r, cell, n);
        nr_buf_put_str(&v->out, nr_str_of(marks[v->utf8][mark_of(n)]));
    }
    count(r, v->days, n);
    known = n[NR_DAY_LINES] + n[NR_DAY_QUIET];
    days = (uint64_t)(v->days.to - v->days.from + 1);
    nr_buf_printf(&v->out, " %4u%%\n",
        (unsigned)(known * 100 / (days ? days : 1)));
}

static bool
has_kind(const struct nr_archive *a, unsigned kind)
{
    return nr_archive_present(a, 1u << kind).days > 0;
}

/* "source name" into BUF; of a name that only says the source again nothing. */
static const char *
label(const struct nr_stream *s, char *buf, size_t n)
{
    const char *source = nr_source_name((enum nr_source)s->source);
    const char *slash = strchr(s->name, '/'), *name = s->name;

    /* "named/named" is "named" */
    if (slash && strlen(slash + 1) == (size_t)(slash - name) &&
        strncmp(name, slash + 1, (size_t)(slash - name)) == 0)
        name = slash + 1;
    if (name[0] == '\0' || strcmp(name, source) == 0)
        return source;
    (void)snprintf(buf, n, "%s %s", source, name);
    return buf;
}

static void
put_scale(struct view *v)
{
    char from[NR_RFC3339_MAX], to[NR_RFC3339_MAX];
    int gap;

    (void)nr_day_print(v->days.from, from);
    (void)nr_day_print(v->days.to, to);
    gap = (int)v->cells - (int)strlen(from);
    nr_buf_printf(&v->out, "%*s%s", LABEL, "", from);
    if (gap > (int)strlen(to))
        nr_buf_printf(&v->out, "%*s", gap, to);
    nr_buf_put_c(&v->out, '\n');
}

static void
put_legend(struct view *v)
{
    const char *const *m = marks[v->utf8];

    nr_buf_printf(&v->out,
        "%*sa column: %u day%s; %s covered, %s %s %s partly, %s silent as "
        "usual, %s missing, '%s' nothing\n",
        LABEL, "", v->width, v->width == 1 ? "" : "s", m[MARK_ALL],
        m[MARK_MOST], m[MARK_HALF], m[MARK_SOME], m[MARK_QUIET], m[MARK_GAP],
        m[MARK_NONE]);
}

static void
put_picture(struct view *v)
{
    char buf[512];

    put_scale(v);
    for (unsigned k = 0; k < NR_LOG_KINDS; k++) {
        struct row r = { .a = v->a, .kind = k };

        if (!(v->kinds >> k & 1) || !has_kind(v->a, k))
            continue;
        put_row(v, &r, nr_log_kind_name(k));
        for (size_t i = 0; i < nr_coverage_streams(v->a); i++) {
            struct nr_stream s = nr_coverage_stream(v->a, i);

            if (!(s.kinds >> k & 1))
                continue;
            r.is_stream = true;
            r.stream = i;
            put_row(v, &r, label(&s, buf, sizeof(buf)));
        }
    }
    put_legend(v);
}

/* Words */

/* "2017-05-10 08:00". */
static void
put_hour(struct nr_buf *out, int64_t s)
{
    char day[NR_RFC3339_MAX];

    nr_buf_printf(out, "%s %02u:00", nr_day_print(nr_day_of(s), day),
        (unsigned)((s - nr_day_of(s) * NR_S_PER_DAY) / 3600));
}

static bool
is_in(const struct view *v, int64_t from_s, int64_t to_s)
{
    return from_s < (v->days.to + 1) * NR_S_PER_DAY &&
        to_s > v->days.from * NR_S_PER_DAY;
}

static void
put_flags(struct view *v, const char *name, uint32_t flags)
{
    static const struct {
        uint32_t flag;
        const char *words;
    } all[] = {
        { NR_STREAM_NO_PATH,
            "keeps no URL whole: URLs cannot be answered, their hosts can" },
        { NR_STREAM_NO_QUERY,
            "keeps no query of a URL: URLs with one cannot be answered" },
        { NR_STREAM_NO_TLS,
            "sees nothing of https but the host: such URLs cannot be "
            "answered" },
        { NR_STREAM_NAT,
            "shows one or two clients only: which host it was is not known" },
    };

    if (flags & NR_STREAM_NO_PATH) /* says the others too */
        flags &= ~(NR_STREAM_NO_QUERY | NR_STREAM_NO_TLS);
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
        if (flags & all[i].flag)
            nr_buf_printf(&v->out, "%s: %s\n", name, all[i].words);
}

static void
put_stream_words(struct view *v, const struct nr_stream *s)
{
    char buf[512];
    const char *name = label(s, buf, sizeof(buf));
    size_t told = 0, more = 0;

    for (size_t i = 0; i < s->n_gaps; i++) {
        const struct nr_gap *g = &s->gaps[i];

        if (!is_in(v, g->from_s, g->to_s))
            continue;
        if (told++ >= GAPS_TOLD) {
            more++;
            continue;
        }
        nr_buf_printf(&v->out, "%s: ", name);
        if ((s->flags & NR_STREAM_STOPPED) && i == s->n_gaps - 1) {
            nr_buf_put_str(&v->out, NR_STR("stopped: no lines since "));
            put_hour(&v->out, s->last_s);
        } else {
            nr_buf_put_str(&v->out, NR_STR("missing from "));
            put_hour(&v->out, g->from_s);
            nr_buf_put_str(&v->out, NR_STR(" to "));
            put_hour(&v->out, g->to_s);
            nr_buf_printf(&v->out, ": lines in %.0f hours were expected",
                g->expected);
        }
        nr_buf_put_c(&v->out, '\n');
    }
    if (more > 0)
        nr_buf_printf(&v->out, "%s: missing %zu times more\n", name, more);
    for (size_t i = 0; i < s->n_unsure; i++) {
        const struct nr_unsure *u = &s->unsure[i];

        if (!is_in(v, u->from_s, u->to_s))
            continue;
        nr_buf_printf(&v->out, "%s: its clock went back: times from ", name);
        put_hour(&v->out, u->from_s);
        nr_buf_put_str(&v->out, NR_STR(" to "));
        put_hour(&v->out, u->to_s);
        nr_buf_put_str(&v->out, NR_STR(" are not certain\n"));
    }
    put_flags(v, name, s->flags);
}

static void
put_words(struct view *v)
{
    const char *comma = "no logs at all of: ";

    for (size_t i = 0; i < nr_coverage_streams(v->a); i++) {
        struct nr_stream s = nr_coverage_stream(v->a, i);

        if (s.kinds & v->kinds)
            put_stream_words(v, &s);
    }
    for (unsigned k = 0; k < NR_LOG_KINDS; k++) {
        if (!(v->kinds >> k & 1) || has_kind(v->a, k) ||
            (1u << k) == NR_LOG_OTHER)
            continue;
        nr_buf_printf(&v->out, "%s%s", comma, nr_log_kind_name(k));
        comma = ", ";
    }
    if (comma[0] == ',')
        nr_buf_put_c(&v->out, '\n');
    nr_buf_put_str(&v->out,
        NR_STR(
            "times are UTC; what was never written cannot be missed here\n"));
}

/* JSON */

static void
json_day(struct nr_json_out *o, struct nr_str name, int64_t day)
{
    char buf[NR_RFC3339_MAX];

    if (name.n > 0)
        nr_json_member_str(o, name, nr_str_of(nr_day_print(day, buf)));
    else
        nr_json_put_str(o, nr_str_of(nr_day_print(day, buf)));
}

static void
json_time(struct nr_json_out *o, struct nr_str name, int64_t s)
{
    char buf[NR_RFC3339_MAX];

    nr_json_key(o, name);
    if (s == NR_TIME_NONE)
        nr_json_put_null(o);
    else
        nr_json_put_str(o, nr_str_of(nr_time_print(s, buf)));
}

/* Stretches of days of one state that is none of lines. */
static void
json_days(struct view *v, struct nr_json_out *o, const struct row *r)
{
    int64_t from = v->days.from;

    nr_json_key(o, NR_STR("days"));
    nr_json_open_array(o);
    while (from <= v->days.to) {
        enum nr_day_state s = state_of(r, from);
        int64_t to = from;

        while (to < v->days.to && state_of(r, to + 1) == s)
            to++;
        nr_json_open_array(o);
        json_day(o, NR_STR(""), from);
        json_day(o, NR_STR(""), to);
        nr_json_put_str(o, nr_str_of(nr_day_state_name(s)));
        nr_json_close_array(o);
        from = to + 1;
    }
    nr_json_close_array(o);
}

static void
json_share(struct view *v, struct nr_json_out *o, const struct row *r)
{
    uint64_t n[NR_DAY_LINES + 1];
    double days = (double)(v->days.to - v->days.from + 1);

    count(r, v->days, n);
    nr_json_key(o, NR_STR("coverage"));
    nr_json_put_double(o,
        (double)(n[NR_DAY_LINES] + n[NR_DAY_QUIET]) / (days > 0 ? days : 1));
    json_days(v, o, r);
}

static void
json_spans(struct nr_json_out *o, const struct nr_stream *s)
{
    nr_json_key(o, NR_STR("gaps"));
    nr_json_open_array(o);
    for (size_t i = 0; i < s->n_gaps; i++) {
        nr_json_open_object(o);
        json_time(o, NR_STR("from"), s->gaps[i].from_s);
        json_time(o, NR_STR("to"), s->gaps[i].to_s);
        nr_json_key(o, NR_STR("expected_hours"));
        nr_json_put_double(o, s->gaps[i].expected);
        nr_json_close_object(o);
    }
    nr_json_close_array(o);
    nr_json_key(o, NR_STR("uncertain"));
    nr_json_open_array(o);
    for (size_t i = 0; i < s->n_unsure; i++) {
        nr_json_open_object(o);
        json_time(o, NR_STR("from"), s->unsure[i].from_s);
        json_time(o, NR_STR("to"), s->unsure[i].to_s);
        nr_json_close_object(o);
    }
    nr_json_close_array(o);
}

static void
json_stream(struct view *v, struct nr_json_out *o, size_t i)
{
    struct nr_stream s = nr_coverage_stream(v->a, i);
    struct row r = { .a = v->a, .is_stream = true, .stream = i };

    nr_json_open_object(o);
    nr_json_member_str(o, NR_STR("source"),
        nr_str_of(nr_source_name((enum nr_source)s.source)));
    nr_json_member_str(o, NR_STR("name"), nr_str_of(s.name));
    nr_json_key(o, NR_STR("kinds"));
    nr_json_open_array(o);
    for (unsigned k = 0; k < NR_LOG_KINDS; k++)
        if (s.kinds >> k & 1)
            nr_json_put_str(o, nr_str_of(nr_log_kind_name(k)));
    nr_json_close_array(o);
    json_time(o, NR_STR("first"), s.first_s);
    json_time(o, NR_STR("last"), s.last_s);
    nr_json_member_i64(o, NR_STR("hours"), (int64_t)s.hours);
    nr_json_key(o, NR_STR("flags"));
    nr_json_open_array(o);
    for (unsigned k = 0; k < NR_STREAM_FLAGS; k++)
        if (s.flags >> k & 1)
            nr_json_put_str(o, nr_str_of(nr_stream_flag_name(k)));
    nr_json_close_array(o);
    json_spans(o, &s);
    json_share(v, o, &r);
    nr_json_close_object(o);
}

static enum nr_err
put_json(struct view *v)
{
    struct nr_json_out o;
    enum nr_err err;

    nr_json_out_init(&o, &v->out);
    nr_json_open_object(&o);
    json_day(&o, NR_STR("from"), v->days.from);
    json_day(&o, NR_STR("to"), v->days.to);
    nr_json_key(&o, NR_STR("kinds"));
    nr_json_open_array(&o);
    for (unsigned k = 0; k < NR_LOG_KINDS; k++) {
        struct row r = { .a = v->a, .kind = k };

        if (!(v->kinds >> k & 1) || !has_kind(v->a, k))
            continue;
        nr_json_open_object(&o);
        nr_json_member_str(&o, NR_STR("kind"), nr_str_of(nr_log_kind_name(k)));
        json_share(v, &o, &r);
        nr_json_close_object(&o);
    }
    nr_json_close_array(&o);
    nr_json_key(&o, NR_STR("streams"));
    nr_json_open_array(&o);
    for (size_t i = 0; i < nr_coverage_streams(v->a); i++)
        if (nr_coverage_stream(v->a, i).kinds & v->kinds)
            json_stream(v, &o, i);
    nr_json_close_array(&o);
    nr_json_close_object(&o);
    err = nr_json_out_end(&o);
    nr_buf_put_c(&v->out, '\n');
    return err;
}

/* What to show */

static bool
kinds_of(const struct archive_coverage *c, uint32_t *out)
{
    *out = (1u << NR_LOG_KINDS) - 1;
    if (!c->kind)
        return true;
    for (unsigned k = 0; k < NR_LOG_KINDS; k++)
        if (strcmp(c->kind, nr_log_kind_name(k)) == 0) {
            *out = 1u << k;
            return true;
        }
    return false;
}

static bool
is_utf8(void)
{
    static const char *const names[] = { "LC_ALL", "LC_CTYPE", "LANG" };

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        const char *v = getenv(names[i]);

        if (v && *v)
            return strcasestr(v, "utf-8") || strcasestr(v, "utf8");
    }
    return false;
}

static unsigned
columns(void)
{
    const char *text = getenv("COLUMNS");
    struct winsize size = { 0 };
    unsigned long n = 0;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0)
        n = size.ws_col;
    if (n == 0 && text)
        n = strtoul(text, NULL, 10);
    n = n == 0 ? WIDTH_DEFAULT : n;
    return n < WIDTH_MIN ? WIDTH_MIN : n > WIDTH_MAX ? WIDTH_MAX : (unsigned)n;
}

/* A cell is a day, a week, or so many weeks that all fit. */
static void
scale(struct view *v)
{
    uint64_t days = (uint64_t)(v->days.to - v->days.from + 1);
    uint64_t room = columns() - LABEL - SHARE;

    v->width = 1;
    if (days > room) {
        uint64_t weeks = (days + 6) / 7;

        v->width = 7 * (unsigned)((weeks + room - 1) / room);
    }
    v->cells = (unsigned)((days + v->width - 1) / v->width);
}

int
archive_coverage(const struct archive_coverage *c, struct nr_archive *a)
{
    struct view v = { .c = c, .a = a, .utf8 = is_utf8() && !c->ascii };
    struct nr_archive_presence all;
    struct nr_diag d = { 0 };
    struct nr_bytes out;
    enum nr_err err;

    if (!kinds_of(c, &v.kinds))
        return cli_error(c->cli, "--kind %s: no kind of log", c->kind);
    err = nr_coverage_find(a, nr_env_now_s(&c->cli->env), &d);
    if (err)
        return cli_fail(c->cli, &d);
    all = nr_archive_present(a, v.kinds);
    if (all.days == 0)
        return cli_error(c->cli, "coverage: there are no such logs");
    v.days = all.range;
    if (c->from_s != NR_TIME_NONE)
        v.days.from = nr_day_of(c->from_s);
    if (c->to_s != NR_TIME_NONE)
        v.days.to = nr_day_of(c->to_s);
    if (v.days.from > v.days.to || v.days.to - v.days.from > 366 * 300)
        return cli_error(c->cli, "coverage: --from is behind --to");
    nr_buf_init(&v.out, OUT_MAX);
    scale(&v);
    if (c->json) {
        err = put_json(&v);
    } else {
        put_picture(&v);
        put_words(&v);
    }
    err = err ? err : v.out.err;
    out = nr_buf_bytes(&v.out);
    if (!err && fwrite(out.p, 1, out.n, stdout) != out.n)
        err = NR_ESYS;
    nr_buf_fini(&v.out);
    if (err) {
        (void)nr_fail(&d, err, 0, "coverage: cannot be written");
        return cli_fail(c->cli, &d);
    }
    return CLI_NOTHING;
}
