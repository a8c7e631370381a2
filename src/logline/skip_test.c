/*
 * Passing over lines leaves what parsing each of them leaves: records of later
 * lines and the state to be saved, over mixtures of everything that is known to
 * change them and of the samples.
 */
#include "base/test.h"

#include "base/arena.h"
#include "base/buf.h"
#include "base/cpu.h"
#include "base/file.h"
#include "logline/logline.h"

#include <ftw.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX  ((size_t)4 << 20)
#define TEXT_MAX  ((size_t)64 << 10)
#define STRETCHES 12u /* of one text, each passed over or parsed */
#define ROUNDS    1500u
#define LAST_S    INT64_C(1490000000) /* 2017-03-20 */

static const char *testdata;

static uint64_t
next_random(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static size_t
below(uint64_t *seed, size_t n)
{
    return n ? (size_t)(next_random(seed) >> 16) % n : 0;
}

static struct nr_bytes
of(const char *s)
{
    return (struct nr_bytes){ (const uint8_t *)s, strlen(s) };
}

/* ---- comparing ---- */

static void
same_view(struct nr_bytes a, struct nr_bytes b)
{
    assert_int_equal(a.n, b.n);
    if (a.n)
        assert_ptr_equal(a.p, b.p);
}

static void
same_record(const struct nr_record *a, const struct nr_record *b)
{
    assert_int_equal(a->time_us, b->time_us);
    assert_int_equal(a->inherited, b->inherited);
    assert_int_equal(a->source, b->source);
    assert_int_equal(a->kinds, b->kinds);
    assert_int_equal(a->action, b->action);
    assert_int_equal(a->bytes_out, b->bytes_out);
    assert_int_equal(a->bytes_in, b->bytes_in);
    same_view(a->src, b->src);
    same_view(a->dst, b->dst);
    same_view(a->host, b->host);
    same_view(a->user, b->user);
    same_view(a->query, b->query);
    same_view(a->url, b->url);
}

static void
same_state(const struct nr_logfile *a, const struct nr_logfile *b)
{
    uint8_t x[NR_LOGFILE_STATE], y[NR_LOGFILE_STATE];

    nr_logfile_save(a, x);
    nr_logfile_save(b, y);
    assert_memory_equal(x, y, sizeof(x));
}

static struct nr_logfile *
open_log(const char *name, struct nr_bytes head, int64_t last_s)
{
    struct nr_logfile_options o = { .name = name,
        .zone_east_s = 9 * INT64_C(3600),
        .last_s = last_s };
    struct nr_logfile *f;

    assert_int_equal(nr_logfile_new(&o, &f, NULL), NR_OK);
    nr_logfile_learn(f, head);
    return f;
}

/* TEXT in stretches: one log parses every line, the other passes over some. */
static void
check_text(const char *name, struct nr_bytes text, int64_t last_s,
    uint64_t *seed)
{
    /* a head of some lines, so that what was learnt differs, too */
    struct nr_bytes head = nr_bytes_sub(text, 0, below(seed, text.n + 1));
    struct nr_logfile *all = open_log(name, head, last_s);
    struct nr_logfile *some = open_log(name, head, last_s);
    struct nr_logtext t;
    size_t at = 0;

    nr_logtext_init(&t);
    assert_int_equal(nr_logtext_survey(&t, text, nr_cpu_flags()), NR_OK);
    while (at < t.n) {
        bool skip = next_random(seed) >> 40 & 1;
        size_t to = at + 1 + below(seed, 2 * t.n / STRETCHES + 1);

        to = to < t.n ? to : t.n;
        if (skip)
            nr_logfile_skip(some, &t, text, at, to);
        for (; at < to; at++) {
            struct nr_bytes line = nr_logtext_line(&t, text, at);
            struct nr_record a, b;

            nr_logline_parse(all, line, &a);
            if (skip)
                continue;
            nr_logline_parse(some, line, &b);
            same_record(&a, &b);
        }
        same_state(all, some);
    }
    nr_logtext_fini(&t);
    nr_logfile_free(all);
    nr_logfile_free(some);
}

/* ---- mixtures ---- */

static const char *const lines[] = {
    "Jan  2 03:04:05 ns named[12]: client 10.0.0.1#53 (a.example): query: x",
    "Jan 12 03:04:05 gw kernel: IN=eth0 SRC=10.0.0.1 DST=192.0.2.7 LEN=40",
    "Jan 2 03:04:05 gw sshd[9]: Accepted password for eve from 192.0.2.1",
    "Feb 29 23:59:60 mx postfix/smtpd[1]: connect from a[192.0.2.9]",
    "Dec 31 23:59:59 gw sshd[1]: Failed password for root from 192.0.2.1",
    "dec 31 23:59:59 gw cron[1]: lower case",
    "Jul 14 00:00:00 gw su: x",
    "Jul  4 00:00:00.125 gw su: x",
    "<34>Oct 11 22:14:15 host su: 'su root' failed",
    "<3>Mar  1 00:00:00 host su: x",
    "<191>Mar  1 2016 00:00:00 host %ASA-6: a year of its own",
    "<999999>Mar  3 00:00:00 no PRI",
    "<34>1 2016-10-11T22:14:15.003Z host app - ID47 - text",
    "<13>CEF:0|v|p|1|1|n|5|rt=Aug 9 2016 10:00:00 src=10.0.0.1 dst=10.0.0.2",
    "CEF:0|v|p|1|1|n|5|rt=Aug 9 10:00:00 src=10.0.0.1 dst=10.0.0.2",
    "CEF:0|v|p|1|1|n|5|src=10.0.0.1",
    "LEEF:1.0|v|p|1|1|src=10.0.0.1\tdevTime=Nov 30 10:00:00\tusrName=u",
    "Apr  1 10:00:00 fw CEF:0|v|p|1|1|n|5|rt=May 2 10:00:00 src=10.0.0.1",
    "[10.30 16:49:06] chrome.exe - proxy.example:5070 close",
    "11.02 00:00:01 dotted",
    "[Sun Dec 04 04:47:44 2005] [error] [client 192.0.2.4] denied",
    "[Sun Dec 04 04:47:44] no year in it",
    "- 1131566461 2005.11.09 dn228 Nov 9 12:01:01 dn228/dn228 crond: x",
    "text Sep 9 12:01:01 inside",
    "2016-01-02 03:04:05 INFO app of no zone",
    "2016-01-02T03:04:05Z host app[1]: text",
    "2012/04/09 11:53:29 [error] 2865#0: *1 x, client: 192.0.2.1, server: s",
    "192.0.2.1 - - [02/Jan/2016:03:04:05 +0900] \"GET /a HTTP/1.1\" 200 12",
    "1483100000.123 55 10.0.0.1 TCP_MISS/200 99 GET http://a.example/ - D/- x",
    "02-Jan-2016 03:04:05.678 queries: info: client 10.0.0.1#5 (b): query: b",
    "01/02/2016-03:04:05.678901  [**] [1:2:3] t [**] {TCP} 10.0.0.1:1 -> 2:3",
    "https 2016-01-02T03:04:05.1Z lb 10.0.0.1:1 10.0.0.2:2 0 0 0 200 200 1 2",
    "{\"timestamp\":\"2016-05-06T01:02:03Z\",\"event_type\":\"dns\","
    "\"src_ip\":\"10.0.0.1\"}",
    "{\"ts\":1483100000.5,\"uid\":\"C\",\"id.orig_h\":\"10.0.0.1\"}",
    "{\"no\":\"time\"}",
    "{\"time\":\"Jan  9 03:04:05\"}",
    " {\"time\":",
    "<Event><System><EventID>4624</EventID><TimeCreated "
    "SystemTime='2016-07-08T09:10:11Z'/><Computer>dc</Computer></System>",
    "<Event SystemTime=\"never\"><Computer>dc</Computer>",
    "Aug 10 01:02:03\tSystemTime='never'\t7",
    "date=2024-10-14 time=13:46:40 srcip=10.0.0.1 type=\"traffic\"",
    "date=2024-10-14 nothing=else",
    "@400000004c91b044077a9e94 tcpserver: ok",
    "1483100000 head epoch",
    "#separator \\x09",
    "#separator \\x2c",
    "#set_separator\t,",
    "#path\tconn",
    "#path\tdns",
    "#path\t",
    "#fields\tts\tuid\tid.orig_h\tid.resp_h",
    "#fields,ts,uid,query",
    "#fields\tuid\tx\ty",
    "#fields",
    "#types\ttime\tstring",
    "#close\t2016-01-02-03-04-05",
    "# a comment",
    "#f [02/Jan/2016:03:04:05 +0900] 2016-01-02 03:04:05",
    "#path [02/Jan/2016:03:04:05 +0900] \"GET / HTTP/1.1\" 200 1",
    "1483100000.5\tCx\t10.0.0.1\t192.0.2.1",
    "1483100001.5,Cx,a.example",
    "Jan  7 03:04:05\tCx\t10.0.0.1\t192.0.2.1",
    "Jan  7 03:04:05,no blank behind the time",
    "Jan  7 03:04:05 ",
    "Jan  7 03:04:05",
    "Jan  7 03:04",
    "Jan  7 ",
    "Jan  8 99:04:05 no time of day",
    "Jan 32 03:04:05 gw su: x",
    "Jan  32 03:04:05 gw su: x",
    "Jan  17 03:04:05 gw su: x",
    "    at com.example.Main.run(Main.java:42)",
    "\tCaused by: nothing",
    "",
    "\r",
    "garbage \xff\xfe octets",
    "Johannes",
    "F",
    "<",
    "#",
    "<1>",
    "<1>Jan",
};

#define LINES (sizeof(lines) / sizeof(lines[0]))

/* A few kinds of line, each in runs, so that stretches have a character. */
static void
mixture(struct nr_buf *b, uint64_t *seed)
{
    const char *few[6];
    size_t n_few = 1 + below(seed, sizeof(few) / sizeof(few[0]));
    size_t n = below(seed, 160);

    for (size_t i = 0; i < n_few; i++)
        few[i] = lines[below(seed, LINES)];
    nr_buf_reset(b);
    for (size_t i = 0; i < n; i++) {
        const char *line = below(seed, 8) ? few[below(seed, n_few)]
                                          : lines[below(seed, LINES)];
        size_t times = below(seed, 4) ? 1 : 1 + below(seed, 5);

        while (times-- > 0) {
            nr_buf_put(b, of(line));
            if (below(seed, 16) == 0)
                nr_buf_put(b, of("\r"));
            nr_buf_put(b, of("\n"));
        }
    }
    if (below(seed, 2))
        nr_buf_put(b, of(lines[below(seed, LINES)]));
    assert_int_equal(b->err, NR_OK);
}

static void
test_mixtures(void **state)
{
    static const char *const names[] = { NULL, "messages", "messages-20170101",
        "maillog.2016", "conn.log", "access.log" };
    static const int64_t lasts[] = { NR_TIME_NONE, LAST_S, LAST_S - 4000000 };
    uint64_t seed = 20261124;
    struct nr_buf b;

    (void)state;
    nr_buf_init(&b, TEXT_MAX);
    for (unsigned i = 0; i < ROUNDS; i++) {
        mixture(&b, &seed);
        check_text(names[below(&seed, sizeof(names) / sizeof(names[0]))],
            nr_buf_bytes(&b), lasts[below(&seed, 3)], &seed);
    }
    nr_buf_fini(&b);
}

/* ---- samples ---- */

static unsigned samples;

static int
check_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
    uint64_t seed = 77 + samples;
    struct nr_arena a;
    struct nr_bytes text;

    (void)st;
    (void)at;
    if (type != FTW_F)
        return 0;
    nr_arena_init(&a, 2 * FILE_MAX);
    assert_int_equal(nr_file_read(&a, path, FILE_MAX, &text, NULL), NR_OK);
    for (unsigned i = 0; i < 4; i++)
        check_text(i & 1 ? path : NULL, text, LAST_S, &seed);
    samples++;
    nr_arena_fini(&a);
    return 0;
}

static void
test_all_samples(void **state)
{
    (void)state;
    assert_int_equal(nftw(testdata, check_file, 8, FTW_PHYS), 0);
    assert_true(samples > 30);
}

/* ---- surveys ---- */

static void
test_survey(void **state)
{
    static const struct {
        const char *text;
        size_t n, turns;
    } cases[] = {
        { "", 0, 0 },
        { "a", 1, 0 },
        { "a\n", 1, 0 },
        { "\n", 1, 0 },
        { "\n\na", 3, 0 },
        { "#path\tx\n#types\n#set_x\n#close", 4, 2 },
        { "Jan  2 03:04:05 a\nJan  2 23:04:05 a\nJan  3 00:00:00 a", 3, 2 },
        { "<1>Jan  2 03:04:05 a\nJan  2 23:04:05 a\n", 2, 1 },
        { "Jan  2 2016 03:04:05 a\nJanuary\nJan  2\n 03:04:05", 4, 0 },
    };
    struct nr_logtext t;

    (void)state;
    nr_logtext_init(&t);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nr_bytes b = of(cases[i].text);

        assert_int_equal(nr_logtext_survey(&t, b, 0), NR_OK);
        assert_int_equal(t.n, cases[i].n);
        assert_int_equal(t.n_turns, cases[i].turns);
        for (size_t at = 0; at < b.n; at++) {
            size_t line = nr_logtext_find(&t, (uint32_t)at);

            assert_true(t.line[line] <= at);
            assert_true(line + 1 == t.n || t.line[line + 1] > at);
        }
    }
    nr_logtext_fini(&t);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_survey),
        NR_TEST(test_mixtures),
        NR_TEST(test_all_samples),
    };

    if (argc < 2)
        return EXIT_FAILURE;
    testdata = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
