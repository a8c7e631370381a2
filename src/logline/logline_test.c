#include "base/test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/file.h"
#include "logline/logline.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)1 << 20)

static const char *testdata;

static struct nr_bytes
load(struct nr_arena *a, const char *name)
{
    char path[NR_PATH_MAX];
    struct nr_bytes b = { 0 };

    assert_int_equal(nr_path_join(path, testdata, name, NULL), NR_OK);
    if (nr_file_read(a, path, FILE_MAX, &b, NULL) != NR_OK)
        fail_msg("%s cannot be read", path);
    return b;
}

static bool
next_line(struct nr_bytes *rest, struct nr_bytes *line)
{
    const uint8_t *lf = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    size_t n = lf ? (size_t)(lf - rest->p) : rest->n;
    size_t skip = lf ? n + 1 : n;

    if (rest->n == 0)
        return false;
    *line = (struct nr_bytes){ rest->p, n };
    *rest = (struct nr_bytes){ rest->p + skip, rest->n - skip };
    return true;
}

static struct nr_logfile *
open_log(const char *name, const char *zone, int64_t last_s)
{
    struct nr_logfile_options o = { .name = name, .last_s = last_s };
    struct nr_logfile *f;

    assert_true(nr_zone_parse(nr_str_of(zone), &o.zone_east_s));
    assert_int_equal(nr_logfile_new(&o, &f, NULL), NR_OK);
    return f;
}

/* ---- cases.txt ---- */

static void
put_view(struct nr_buf *b, const char *name, struct nr_bytes v)
{
    if (v.n == 0)
        return;
    nr_buf_printf(b, "\t%s=", name);
    nr_buf_put(b, v);
}

static void
put_record(struct nr_buf *b, const struct nr_record *r)
{
    char when[NR_RFC3339_MAX] = "-";
    char sep = '\t';

    if (r->time_us != NR_TIME_NONE)
        (void)nr_time_print_us(r->time_us, when);
    nr_buf_printf(b, "%s%s\t%s", when, r->inherited ? "*" : "",
        nr_source_name(r->source));
    for (unsigned k = 0; k < NR_LOG_KINDS; k++)
        if (r->kinds & 1u << k) {
            nr_buf_printf(b, "%c%s", sep, nr_log_kind_name(k));
            sep = ',';
        }
    nr_buf_printf(b, "\t%s", nr_action_name(r->action));
    put_view(b, "src", r->src);
    put_view(b, "dst", r->dst);
    put_view(b, "host", r->host);
    put_view(b, "user", r->user);
    put_view(b, "query", r->query);
    put_view(b, "url", r->url);
    if (r->bytes_out != NR_BYTES_NONE)
        nr_buf_printf(b, "\tout=%" PRId64, r->bytes_out);
    if (r->bytes_in != NR_BYTES_NONE)
        nr_buf_printf(b, "\tin=%" PRId64, r->bytes_in);
}

/* "@ name zone last" */
static struct nr_logfile *
open_case(struct nr_bytes line)
{
    char name[64], zone[16], last[32];
    int64_t last_s;

    assert_int_equal(sscanf((const char *)line.p, "@ %63s %15s %31s", name,
                         zone, last),
        3);
    assert_int_equal(nr_time_parse(nr_str_of(last), &last_s, NULL), NR_OK);
    return open_log(name, zone, last_s);
}

/* The lines of the case at the head of REST, as its file would have them. */
static void
learn_case(struct nr_logfile *f, struct nr_bytes rest)
{
    struct nr_bytes line;
    struct nr_buf b;

    nr_buf_init(&b, FILE_MAX);
    while (next_line(&rest, &line) && (line.n == 0 || line.p[0] != '@'))
        if (line.n >= 2 && line.p[0] == '<') {
            nr_buf_put(&b, nr_bytes_sub(line, 2, line.n));
            nr_buf_put_c(&b, '\n');
        }
    nr_logfile_learn(f, nr_buf_bytes(&b));
    nr_buf_fini(&b);
}

static void
test_cases(void **state)
{
    struct nr_arena a;
    struct nr_logfile *f = NULL;
    struct nr_bytes rest, line;
    struct nr_buf got;
    size_t cases = 0, sources[NR_SOURCES] = { 0 };

    (void)state;
    nr_arena_init(&a, FILE_MAX);
    nr_buf_init(&got, FILE_MAX);
    rest = load(&a, "cases.txt");
    while (next_line(&rest, &line)) {
        if (line.n >= 1 && line.p[0] == '@') {
            nr_logfile_free(f);
            f = open_case(line);
            learn_case(f, rest);
        } else if (line.n >= 2 && line.p[0] == '<') {
            struct nr_record r;

            assert_non_null(f);
            nr_logline_parse(f, nr_bytes_sub(line, 2, line.n), &r);
            nr_buf_reset(&got);
            put_record(&got, &r);
            sources[r.source]++;
            cases++;
        } else if (line.n >= 2 && line.p[0] == '>' &&
            !nr_bytes_eq(nr_bytes_sub(line, 2, line.n), nr_buf_bytes(&got))) {
            fail_msg("case %zu: want %.*s\ngot %.*s", cases, (int)line.n - 2,
                (const char *)line.p + 2, (int)got.n, (const char *)got.p);
        }
    }
    assert_true(cases > 150);
    for (size_t i = 0; i < NR_SOURCES; i++) /* no source without a case */
        CHECK_CASE(nr_source_name((enum nr_source)i), sources[i] > 0);
    nr_logfile_free(f);
    nr_buf_fini(&got);
    nr_arena_fini(&a);
}

/* ---- what the generator of test logs writes, and what it knows ---- */

static const struct generated {
    const char *dir, *zone;
    size_t rows; /* of truth.tsv */
} generated[] = { { "generated/month", "+0900", 56 },
    { "generated/day", "-0500", 35 } };

struct log {
    struct nr_logfile *f;
    struct nr_bytes text;
    size_t line;
};

/* Every row of truth.tsv names the file, the line and its second. */
static void
check_truth(const struct generated *g, struct nr_bytes row)
{
    char file[96], path[128];
    unsigned long number;
    long long epoch;
    struct nr_arena a;
    struct nr_logfile *f;
    struct nr_bytes rest, line = { 0 };
    struct nr_record r = { 0 };
    char *text = strndup((const char *)row.p, row.n);

    assert_int_equal(sscanf(text, "%*s %*s %*[^/]/%95s %lu %lld", file, &number,
                         &epoch),
        3);
    (void)snprintf(path, sizeof(path), "%s/%s", g->dir, file);
    nr_arena_init(&a, FILE_MAX);
    rest = load(&a, path);
    f = open_log(file, g->zone, NR_TIME_NONE);
    nr_logfile_learn(f, rest);
    for (unsigned long i = 0; i < number; i++) {
        assert_true(next_line(&rest, &line));
        nr_logline_parse(f, line, &r);
    }
    if (r.time_us / NR_US_PER_S != epoch)
        fail_msg("%s:%lu: %lld is read as %lld", path, number, epoch,
            (long long)(r.time_us / NR_US_PER_S));
    assert_false(r.inherited);
    nr_logfile_free(f);
    nr_arena_fini(&a);
    free(text);
}

static void
test_generated_times(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(generated) / sizeof(generated[0]); i++) {
        const struct generated *g = &generated[i];
        char path[128];
        struct nr_arena a;
        struct nr_bytes rest, line;
        size_t rows = 0;

        nr_arena_init(&a, FILE_MAX);
        (void)snprintf(path, sizeof(path), "%s/truth.tsv", g->dir);
        rest = load(&a, path);
        while (next_line(&rest, &line))
            if (line.n && line.p[0] != '#') {
                check_truth(g, line);
                rows++;
            }
        assert_int_equal(rows, g->rows);
        nr_arena_fini(&a);
    }
}

/* Source and kinds of each kind of file, by content with and without name. */
static void
test_generated_sources(void **state)
{
    static const struct {
        const char *file;
        enum nr_source source;
        uint32_t kinds; /* of all its lines together */
    } files[] = {
        { "access-2016-12.log", NR_SOURCE_ACCESS, NR_LOG_WEB },
        { "squid-2016-12.log", NR_SOURCE_SQUID, NR_LOG_PROXY },
        { "named-2016-12.log", NR_SOURCE_NAMED, NR_LOG_DNS },
        { "dnsmasq-2016-12.log", NR_SOURCE_DNSMASQ, NR_LOG_DNS },
        { "firewall-2016-12.log", NR_SOURCE_FIREWALL, NR_LOG_FW },
        { "sshd-2016-12.log", NR_SOURCE_SSHD, NR_LOG_AUTH },
        { "conn-2016-12.log", NR_SOURCE_CONN, NR_LOG_FLOW },
        { "eve-2016-12.json", NR_SOURCE_EVE,
            NR_LOG_FLOW | NR_LOG_DNS | NR_LOG_PROXY },
        { "mail-2016-12.log", NR_SOURCE_MAIL, NR_LOG_MAIL },
        { "winevt-2016-12.json", NR_SOURCE_WINEVT, NR_LOG_EDR | NR_LOG_AD },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) * 2; i++) {
        const char *file = files[i / 2].file;
        char path[128];
        struct nr_arena a;
        struct nr_bytes rest, line;
        struct nr_logfile *f;
        uint32_t kinds = 0;

        nr_arena_init(&a, FILE_MAX);
        (void)snprintf(path, sizeof(path), "generated/month/%s", file);
        rest = load(&a, path);
        f = open_log(i % 2 ? file : NULL, "+0900", 1483228800);
        nr_logfile_learn(f, rest);
        CHECK_CASE(file, nr_logfile_source(f) == files[i / 2].source);
        while (next_line(&rest, &line)) {
            struct nr_record r;

            nr_logline_parse(f, line, &r);
            CHECK_CASE(file, r.source == files[i / 2].source);
            CHECK_CASE(file, r.time_us != NR_TIME_NONE || line.p[0] == '#');
            kinds |= r.kinds;
        }
        CHECK_CASE(file, kinds == files[i / 2].kinds);
        nr_logfile_free(f);
        nr_arena_fini(&a);
    }
}

/* The generator's packet filter drops what comes in and accepts what leaves. */
static void
test_generated_firewall(void **state)
{
    struct nr_arena a;
    struct nr_bytes rest, line;
    struct nr_logfile *f = open_log("firewall-2016-12.log", "+0900", 0);
    size_t denied = 0, allowed = 0;

    (void)state;
    nr_arena_init(&a, FILE_MAX);
    rest = load(&a, "generated/month/firewall-2016-12.log");
    nr_logfile_learn(f, rest);
    while (next_line(&rest, &line)) {
        bool drop = memmem(line.p, line.n, " DROP-IN ", 9) != NULL;
        struct nr_record r;

        nr_logline_parse(f, line, &r);
        assert_int_equal(r.action, drop ? NR_ACTION_DENIED : NR_ACTION_ALLOWED);
        assert_true(r.src.n > 0 && r.dst.n > 0);
        denied += drop;
        allowed += !drop;
    }
    assert_true(denied == 21 && allowed == 10);
    nr_logfile_free(f);
    nr_arena_fini(&a);
}

/* ---- public samples ---- */

static const struct {
    const char *file;
    enum nr_source source;
    unsigned lines, dated; /* dated by their own time */
} samples[] = {
    { "apache2-logs.log", NR_SOURCE_ACCESS, 9, 9 },
    { "aws-alb-logs.log", NR_SOURCE_ALB, 14, 14 },
    { "bind9-logs.log", NR_SOURCE_NAMED, 13, 11 },
    { "bind-query.log", NR_SOURCE_NAMED, 300, 300 },
    { "caddy-logs.log", NR_SOURCE_CADDY, 12, 11 },
    { "fortinet-vpn-bf.log", NR_SOURCE_FORTINET, 9, 9 },
    { "iptables-logs.log", NR_SOURCE_FIREWALL, 4, 4 },
    { "k8s-audit-priv-pod-file.log", NR_SOURCE_JSON, 1, 1 },
    { "modsecurity-logs.log", NR_SOURCE_WEB_ERROR, 13, 13 },
    { "palo-alto-threat.log", NR_SOURCE_FIREWALL, 2, 2 },
    { "pf-logs.log", NR_SOURCE_FIREWALL, 9, 9 },
    { "postfix-logs.log", NR_SOURCE_MAIL, 7, 7 },
    { "sshd-logs.log", NR_SOURCE_SSHD, 24, 24 },
    { "squid-combined.log", NR_SOURCE_SQUID, 100, 100 },
    { "squid-native.log", NR_SOURCE_SQUID, 200, 200 },
    { "suricata-logs-evelog.log", NR_SOURCE_EVE, 8, 8 },
    { "suricata-logs-fastlog.log", NR_SOURCE_FAST, 4, 4 },
    { "traefik_json.log", NR_SOURCE_TRAEFIK, 7, 7 },
    { "windows-logs.log", NR_SOURCE_WINEVT, 1, 1 },
    { "zeek-conn.log", NR_SOURCE_CONN, 44, 0 },
    { "zeek-dns.log", NR_SOURCE_ZEEK, 44, 0 },
    { "zeek-ftp.log", NR_SOURCE_ZEEK, 40, 0 },
    { "zeek-http.log", NR_SOURCE_ZEEK, 24, 0 },
    { "zeek-http-methods.log", NR_SOURCE_ZEEK, 59, 0 },
    { "zeek-kerberos.log", NR_SOURCE_ZEEK, 95, 0 },
    { "zeek-sip.log", NR_SOURCE_ZEEK, 46, 0 },
    { "zeek-ssh.log", NR_SOURCE_ZEEK, 32, 0 },
    { "zeek-ssl.log", NR_SOURCE_ZEEK, 63, 0 },
    { "zeek-weird.log", NR_SOURCE_ZEEK, 44, 0 },
    { "zeek-x509.log", NR_SOURCE_ZEEK, 16, 0 },
};

static void
test_samples(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
        const char *file = samples[i].file;
        unsigned lines = 0, dated = 0;
        struct nr_logfile *f = open_log(NULL, "Z", 1795392000);
        struct nr_bytes rest, line;
        char path[128];
        struct nr_arena a;

        nr_arena_init(&a, FILE_MAX);
        (void)snprintf(path, sizeof(path), "public/%s", file);
        rest = load(&a, path);
        nr_logfile_learn(f, rest);
        CHECK_CASE(file, nr_logfile_source(f) == samples[i].source);
        while (next_line(&rest, &line)) {
            struct nr_record r;

            nr_logline_parse(f, line, &r);
            lines++;
            dated += r.time_us != NR_TIME_NONE && !r.inherited;
        }
        CHECK_CASE(file, lines == samples[i].lines);
        CHECK_CASE(file, dated == samples[i].dated);
        nr_logfile_free(f);
        nr_arena_fini(&a);
    }
}

/* ---- years ---- */

/* Two new years, no date in the name: only a look over the whole tells. */
static void
test_prescan(void **state)
{
    static const char text[] = "<13>Nov 30 00:00:00 h app: a\n"
                               "Feb  1 00:00:00 h app: b\n"
                               "Dec 31 00:00:00 h app: c\n"
                               "Jan  1 00:00:00 h app: d\n"
                               "Dec 31 23:59:59 h app: late\n"
                               "Mar  1 00:00:00 h app: e\n";
    static const int64_t years[] = { 2014, 2015, 2015, 2016, 2015, 2016 };
    struct nr_bytes rest = { (const uint8_t *)text, sizeof(text) - 1 };
    struct nr_bytes line;
    struct nr_logfile *f = open_log("app.log", "Z", 1459468800);

    (void)state;
    nr_logfile_learn(f, rest);
    assert_true(nr_logfile_wants_prescan(f));
    nr_logfile_prescan(f, rest);
    for (size_t i = 0; next_line(&rest, &line); i++) {
        struct nr_record r;

        nr_logline_parse(f, line, &r);
        assert_true(r.time_us != NR_TIME_NONE);
        assert_int_equal(nr_civil_from_s(r.time_us / NR_US_PER_S).year,
            years[i]);
    }
    nr_logfile_free(f);
    f = open_log("app-2016.log", "Z", 0);
    nr_logfile_learn(f, NR_BYTES("Nov 30 00:00:00 h app: a\n"));
    assert_false(nr_logfile_wants_prescan(f));
    nr_logfile_free(f);
}

static void
test_name_dates(void **state)
{
    static const struct {
        const char *name;
        int64_t year; /* of a line of 1 January; 0: not dated */
    } names[] = {
        { "named-2016-05.log", 2016 },
        { "/var/log/x/messages-20161231", 2017 },
        { "messages-20170101.gz", 2017 },
        { "maillog.2015", 2015 },
        { "a_2016_12_30.log", 2017 },
        { "host7-201612.log.xz", 2017 },
        { "20161231235959-auth.log", 2017 },
        { "messages.1", 0 },
        { "app-1482223647.log", 0 },
        { "build-20169999.log", 0 },
        { "2016/messages", 0 },
        { "v1234.log", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct nr_logfile *f = open_log(names[i].name, "Z", NR_TIME_NONE);
        struct nr_record r;
        int64_t year = 0;

        nr_logline_parse(f, NR_BYTES("Jan  1 12:00:00 h app: a"), &r);
        if (r.time_us != NR_TIME_NONE)
            year = nr_civil_from_s(r.time_us / NR_US_PER_S).year;
        CHECK_CASE(names[i].name, year == names[i].year);
        nr_logfile_free(f);
    }
}

static void
test_names(void **state)
{
    enum nr_source s;

    (void)state;
    for (size_t i = 0; i < NR_SOURCES; i++) {
        const char *name = nr_source_name((enum nr_source)i);

        assert_true(nr_source_from_name(nr_str_of(name), &s));
        assert_int_equal(s, i);
    }
    assert_false(nr_source_from_name(NR_STR("sendmail"), &s));
    assert_string_equal(nr_log_kind_name(0), "proxy");
    assert_string_equal(nr_log_kind_name(NR_LOG_KINDS - 1), "other");
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_cases),
        NR_TEST(test_generated_times),
        NR_TEST(test_generated_sources),
        NR_TEST(test_generated_firewall),
        NR_TEST(test_samples),
        NR_TEST(test_prescan),
        NR_TEST(test_name_dates),
        NR_TEST(test_names),
    };

    if (argc < 2)
        return EXIT_FAILURE;
    testdata = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
