/* Framing, lines, the pipe's format, addresses and journal entries. */
#include "base/test.h"

#include "receiver/address.h"
#include "receiver/framing.h"
#include "receiver/journal.h"

#include <string.h>

#define OUT_MAX ((size_t)1 << 22)
#define SMALL   ((size_t)16) /* limit of a message in some cases */

/* Each message in brackets, '!' behind one that was cut, '?' behind a half. */
static void
put_message(struct nr_buf *b, const struct nr_message *m)
{
    nr_buf_put_c(b, '[');
    nr_buf_put(b, m->text);
    nr_buf_put_c(b, ']');
    if (m->cut)
        nr_buf_put_c(b, '!');
    if (m->half)
        nr_buf_put_c(b, '?');
}

/* IN in pieces of STEP octets. */
static void
frame(struct nr_bytes in, size_t step, size_t max, struct nr_buf *b)
{
    struct nr_framing f;
    struct nr_message m;

    nr_framing_init(&f, max);
    for (size_t at = 0; at < in.n; at += step) {
        size_t end = at + step < in.n ? at + step : in.n;
        struct nr_bytes piece = nr_bytes_sub(in, at, end);

        while (nr_framing_next(&f, &piece, &m))
            put_message(b, &m);
        assert_int_equal(piece.n, 0);
    }
    if (nr_framing_end(&f, &m))
        put_message(b, &m);
    assert_false(nr_framing_begun(&f));
    nr_framing_fini(&f);
}

#define B(s)                                \
    {                                       \
        (const uint8_t *)(s), sizeof(s) - 1 \
    }

/* Messages of RFC 5424 section 6.5 and RFC 3164 section 5.4. */
#define RFC5424_1                                                       \
    "<34>1 2003-10-11T22:14:15.003Z mymachine.example.com su - ID47 - " \
    "\xef\xbb\xbf'su root' failed for lonvick on /dev/pts/8"
#define RFC3164_1                                                        \
    "<34>Oct 11 22:14:15 mymachine su: 'su root' failed for lonvick on " \
    "/dev/pts/8"

static const struct {
    const char *name;
    struct nr_bytes in;
    const char *out;
    size_t max; /* 0: the usual */
} framings[] = {
    { "RFC 6587 3.4.1, octet counting", B("110 " RFC5424_1 "76 " RFC3164_1),
        "[" RFC5424_1 "][" RFC3164_1 "]", 0 },
    { "RFC 6587 3.4.2, LF", B(RFC5424_1 "\n" RFC3164_1 "\n"),
        "[" RFC5424_1 "][" RFC3164_1 "]", 0 },
    { "NUL as trailer", B("<1>a\0<2>b\0"), "[<1>a][<2>b]", 0 },
    { "CR LF: the CR goes with the line end", B("<1>a\r\n<2>b\r\n"),
        "[<1>a\r][<2>b\r]", 0 },
    { "all three by turns",
        B("5 <1>a\n<2>b\n5 <3>cd<4>e\0"
          "4 <5>f<6>g\n"),
        "[<1>a\n][<2>b][<3>cd][<4>e][<5>f][<6>g]", 0 },
    { "counted, LF inside", B("9 <1>a\nb\ncd4 <2>e"), "[<1>a\nb\ncd][<2>e]",
        0 },
    { "counted with a line end behind", B("4 <1>a\n4 <2>b\n"), "[<1>a][<2>b]",
        0 },
    { "once counted, a number is a count before anything",
        B("4 <1>a5 hello4 2 me"), "[<1>a][hello][2 me]", 0 },
    { "a number that begins a line", B("404 not found\n12:30 x\n7\n"),
        "[404 not found][12:30 x][7]", 0 },
    { "a date that begins a line", B("2026-11-23T00:00:00Z h t: x\n"),
        "[2026-11-23T00:00:00Z h t: x]", 0 },
    { "squid behind no head", B("1700000000.123 45 10.0.0.1 TCP_MISS/200\n"),
        "[1700000000.123 45 10.0.0.1 TCP_MISS/200]", 0 },
    { "a leading zero is no count", B("05 <1>ab\n"), "[05 <1>ab]", 0 },
    { "a count beyond the limit is text", B("1048577 <1>a\n9999999 <2>b\n"),
        "[1048577 <1>a][9999999 <2>b]", 0 },
    { "too many digits", B("12345678 <1>a\n"), "[12345678 <1>a]", 0 },
    { "nothing but trailers", B("\n\0\n\n"), "", 0 },
    { "ends within a counted one", B("9 <1>abc"), "[<1>abc]?", 0 },
    { "ends within a line", B("<1>a\n<2>b"), "[<1>a][<2>b]?", 0 },
    { "ends within a count", B("<1>a\n12"), "[<1>a][12]?", 0 },
    { "ends behind a count", B("12 "), "[12 ]?", 0 },
    { "a line that is too long", B("<1>4567890123456789\n<2>b\n"),
        "[<1>4567890123456]![<2>b]", SMALL },
    { "a line of the limit", B("<1>4567890123456\n<2>b\n"),
        "[<1>4567890123456][<2>b]", SMALL },
    { "a counted one that is too long", B("18 <1>456789012345678<2>b\n"),
        "[<1>4567890123456]![<2>b]", SMALL },
};

static void
test_framing(void **state)
{
    struct nr_buf b;

    (void)state;
    nr_buf_init(&b, OUT_MAX);
    for (size_t i = 0; i < sizeof(framings) / sizeof(framings[0]); i++)
        for (size_t step = 1; step <= framings[i].in.n; step++) {
            const char *got;

            nr_buf_reset(&b);
            frame(framings[i].in, step,
                framings[i].max ? framings[i].max : NR_RECEIVER_MESSAGE, &b);
            got = nr_buf_cstr(&b);
            if (b.n != strlen(framings[i].out) ||
                memcmp(got, framings[i].out, b.n) != 0)
                fail_msg("%s, in pieces of %zu: %s", framings[i].name, step,
                    got);
        }
    nr_buf_fini(&b);
}

static const struct {
    struct nr_bytes in;
    const char *out;
} messages[] = {
    { B("<34>1 - - - - - - text"), "<34>1 - - - - - - text\n" },
    { B("a.example\nb.example"), "a.example<0A>b.example\n" },
    { B("tab\tstays"), "tab\tstays\n" },
    { B("end\r\n"), "end\n" },
    { B("end\n\n\0"), "end\n" },
    { B("a\0b\x1b[31m\x7f"), "a<00>b<1B>[31m<7F>\n" },
    { B("\xe7\x85\x99\xe7\x81\xab \xff"), "\xe7\x85\x99\xe7\x81\xab \xff\n" },
    { B("\r\n\0"), "" },
    { B(""), "" },
};

static void
test_message(void **state)
{
    struct nr_buf b;

    (void)state;
    nr_buf_init(&b, OUT_MAX);
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        bool put;

        nr_buf_reset(&b);
        put = nr_message_put(&b, messages[i].in);
        assert_int_equal(put, messages[i].out[0] != '\0');
        assert_string_equal(nr_buf_cstr(&b), messages[i].out);
    }
    nr_buf_fini(&b);
}

/* ---- addresses ---- */

static const struct {
    const char *text;
    bool good;
    enum nr_transport over;
} addresses[] = {
    { "udp://127.0.0.1:514", true, NR_OVER_UDP },
    { "udp://[::1]:514", true, NR_OVER_UDP },
    { "tcp://[::]:0", true, NR_OVER_TCP },
    { "tls://:6514", true, NR_OVER_TLS },
    { "unix:///dev/log", true, NR_OVER_UNIX },
    { "unix-stream:///run/x", true, NR_OVER_UNIX_STREAM },
    { "udp://127.0.0.1", false, 0 },
    { "udp://127.0.0.1:", false, 0 },
    { "udp://127.0.0.1:65536", false, 0 },
    { "udp://127.0.0.1:-1", false, 0 },
    { "udp://[127.0.0.1]:1", false, 0 },
    { "udp://::1:514", false, 0 },
    { "udp://localhost:514", false, 0 },
    { "http://127.0.0.1:80", false, 0 },
    { "unix://relative", false, 0 },
    { "unix:///", false, 0 },
    { "", false, 0 },
};

static void
test_addresses(void **state)
{
    char longest[256] = "unix:///";
    struct nr_listen_at at;
    struct nr_diag d = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
        enum nr_err err = nr_listen_parse(addresses[i].text, &at, NULL);

        CHECK_CASE(addresses[i].text, (err == NR_OK) == addresses[i].good);
        if (!err)
            CHECK_CASE(addresses[i].text, at.over == addresses[i].over);
    }
    memset(longest + 8, 'x', sizeof(at.at.local.sun_path) - 1);
    assert_int_equal(nr_listen_parse(longest, &at, &d), NR_EFORMAT);
    assert_string_equal(d.name, longest);
}

static void
check_origin(struct nr_pipe_out *out, uint32_t number, const char *name)
{
    struct nr_pipe_frame f;
    size_t taken;

    assert_int_equal(nr_pipe_parse(nr_buf_bytes(&out->buf), &f, &taken), NR_OK);
    assert_int_equal(f.type, NR_PIPE_ORIGIN);
    assert_int_equal(f.origin, number);
    assert_int_equal(f.text.n, strlen(name));
    assert_memory_equal(f.text.p, name, f.text.n);
    assert_int_equal(taken, out->buf.n);
    nr_buf_reset(&out->buf);
}

static uint32_t
origin(struct nr_origins *o, const char *listen, struct nr_pipe_out *out)
{
    struct nr_listen_at at;

    assert_int_equal(nr_listen_parse(listen, &at, NULL), NR_OK);
    return nr_origin_of(o, at.over, &at.at, 3, out);
}

static void
test_origins(void **state)
{
    union nr_sockaddr from = { .v4 = { .sin_family = AF_INET } };
    struct nr_origins o;
    struct nr_pipe_out out;
    uint32_t n;

    (void)state;
    nr_pipe_init(&out, OUT_MAX);
    assert_int_equal(nr_origins_init(&o, 7), NR_OK);
    assert_int_equal(origin(&o, "udp://192.0.2.7:1", &out), 0);
    check_origin(&out, 0, "syslog:udp:192.0.2.7");
    assert_int_equal(origin(&o, "tcp://192.0.2.7:1", &out), 1);
    check_origin(&out, 1, "syslog:tcp:192.0.2.7");
    assert_int_equal(origin(&o, "udp://[2001:db8::7]:9", &out), 2);
    check_origin(&out, 2, "syslog:udp:2001:db8::7");
    assert_int_equal(origin(&o, "unix:///run/log", &out), 3);
    check_origin(&out, 3, "syslog:unix:/run/log");
    /* known ones, another port, IPv4 in IPv6: nothing new */
    assert_int_equal(origin(&o, "udp://[::ffff:192.0.2.7]:5", &out), 0);
    assert_int_equal(origin(&o, "tcp://192.0.2.7:77", &out), 1);
    assert_int_equal(origin(&o, "tcp://192.0.2.7:77", &out), 1);
    assert_int_equal(out.buf.n, 0);
    /* invented addresses fill the table, and that is all */
    for (uint32_t i = o.n; i < NR_RECEIVER_ORIGINS; i++) {
        from.v4.sin_addr.s_addr = i;
        assert_int_equal(nr_origin_of(&o, NR_OVER_UDP, &from, 0, &out), i);
    }
    nr_buf_reset(&out.buf);
    from.v4.sin_addr.s_addr = ~0U;
    n = nr_origin_of(&o, NR_OVER_UDP, &from, 0, &out);
    assert_int_equal(n, NR_RECEIVER_ORIGINS);
    check_origin(&out, n, "syslog:udp:other");
    from.v4.sin_addr.s_addr = ~1U;
    assert_int_equal(nr_origin_of(&o, NR_OVER_UDP, &from, 0, &out), n);
    assert_int_equal(origin(&o, "tcp://192.0.2.7:77", &out), 1);
    nr_origins_fini(&o);
    nr_pipe_fini(&out);
}

/* ---- the pipe ---- */

static const struct {
    const char *name;
    struct nr_bytes in;
    enum nr_err err;
} frames[] = {
    { "lines", B("\5\0\0\0\7\0\0\0\2\0\0\0a\n"), NR_OK },
    { "with cursor", B("\5\0\1\0\7\0\0\0\2\0\0\0a\nc"), NR_OK },
    { "no head yet", B("\5\0\0\0\7\0\0\0\2\0\0"), NR_ETRUNC },
    { "no text yet", B("\5\0\0\0\7\0\0\0\2\0\0\0a"), NR_ETRUNC },
    { "no cursor yet", B("\5\0\1\0\7\0\0\0\2\0\0\0a\n"), NR_ETRUNC },
    { "type 0", B("\0\0\0\0\0\0\0\0\0\0\0\0"), NR_EFORMAT },
    { "type beyond", B("\12\0\0\0\0\0\0\0\0\0\0\0"), NR_EFORMAT },
    { "second octet", B("\2\1\0\0\0\0\0\0\0\0\0\0"), NR_EFORMAT },
    { "too much text", B("\5\0\0\0\0\0\0\0\1\0\20\0"), NR_EFORMAT },
    { "too long a cursor", B("\5\0\0\2\0\0\0\0\1\0\0\0"), NR_EFORMAT },
    { "lines without LF", B("\5\0\0\0\7\0\0\0\1\0\0\0a"), NR_EFORMAT },
    { "control in a cursor", B("\5\0\1\0\7\0\0\0\2\0\0\0a\n\1"), NR_EFORMAT },
    { "control in a name", B("\4\0\0\0\0\0\0\0\2\0\0\0a\n"), NR_EFORMAT },
    { "counters of another number", B("\6\0\0\0\0\0\0\0\1\0\0\0a"),
        NR_EFORMAT },
    { "ready with text", B("\2\0\0\0\0\0\0\0\1\0\0\0a"), NR_EFORMAT },
};

static void
test_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
        struct nr_pipe_frame f;
        size_t taken = 0;
        enum nr_err err = nr_pipe_parse(frames[i].in, &f, &taken);

        CHECK_CASE(frames[i].name, err == frames[i].err);
        if (!err)
            CHECK_CASE(frames[i].name, taken == frames[i].in.n);
    }
}

static struct nr_pipe_frame
next_frame(struct nr_bytes *rest)
{
    struct nr_pipe_frame f = { .type = NR_PIPE_END };
    size_t taken = 0;

    assert_int_equal(nr_pipe_parse(*rest, &f, &taken), NR_OK);
    *rest = nr_bytes_sub(*rest, taken, rest->n);
    return f;
}

static void
test_pipe(void **state)
{
    struct nr_receiver_stats s = { .messages = 3, .unreadable = UINT64_MAX },
                             back = { 0 };
    struct nr_diag d = { 0 }, said = { 0 };
    struct nr_pipe_out o;
    struct nr_pipe_frame f;
    struct nr_bytes rest;

    (void)state;
    nr_pipe_init(&o, OUT_MAX);
    nr_buf_put_str(nr_pipe_line(&o, 1), NR_STR("a\n"));
    nr_buf_put_str(nr_pipe_line(&o, 1), NR_STR("b\n"));
    nr_buf_put_str(nr_pipe_line(&o, 2), NR_STR("c\n"));
    nr_pipe_end_lines(&o, NR_STR("s=1"));
    (void)nr_pipe_line(&o, 3); /* nothing in it: no frame */
    nr_pipe_put_stats(&o, &s);
    (void)nr_fail_name(&d, NR_EEXIST, "no", "thing");
    nr_pipe_put_fail(&o, &d);
    rest = nr_buf_bytes(&o.buf);
    f = next_frame(&rest);
    assert_int_equal(f.origin, 1);
    assert_true(nr_bytes_eq(f.text, NR_BYTES("a\nb\n")));
    assert_int_equal(f.cursor.n, 0);
    f = next_frame(&rest);
    assert_int_equal(f.origin, 2);
    assert_true(nr_bytes_eq(f.text, NR_BYTES("c\n")));
    assert_true(nr_bytes_eq(f.cursor, NR_BYTES("s=1")));
    f = next_frame(&rest);
    assert_int_equal(f.type, NR_PIPE_STATS);
    nr_pipe_get_stats(f.text, &back);
    assert_memory_equal(&s, &back, sizeof(s));
    f = next_frame(&rest);
    assert_int_equal(f.type, NR_PIPE_FAIL);
    assert_int_equal(nr_pipe_get_fail(f.text, &said), NR_EEXIST);
    assert_string_equal(said.name, "thing: no");
    assert_int_equal(rest.n, 0);
    nr_pipe_fini(&o);
}

static void
test_stats_print(void **state)
{
    struct nr_receiver_stats s = { .messages = 12, .octets = 3456, .slow = 1 };
    char text[64], cut[8];

    (void)state;
    nr_receiver_stats_print(&s, text, sizeof(text));
    assert_string_equal(text, "messages 12, octets 3456, slow 1");
    nr_receiver_stats_print(&s, cut, sizeof(cut));
    assert_string_equal(cut, "message");
}

/* ---- the journal ---- */

#define HEAD                                                                   \
    "{\"__CURSOR\":\"s=a;i=1\",\"__REALTIME_TIMESTAMP\":\"1700000000123456\"," \
    "\"_HOSTNAME\":\"h\",\"SYSLOG_IDENTIFIER\":\"sshd\",\"_PID\":\"7\","
#define LINE "2023-11-14T22:13:20.123456Z h sshd[7]: "

static const struct {
    const char *name, *json, *line; /* NULL: refused */
    bool cut;
} entries[] = {
    { "text", HEAD "\"MESSAGE\":\"from 192.0.2.1\"}", LINE "from 192.0.2.1\n",
        false },
    { "octets", HEAD "\"MESSAGE\":[104,105,10,255,49]}",
        LINE "hi<0A>\xff"
             "1\n",
        false },
    { "several values", HEAD "\"MESSAGE\":[\"a\",[98],\"c\"]}",
        LINE "a<0A>b<0A>c\n", false },
    { "escapes", HEAD "\"MESSAGE\":\"a\\nb\\u00e9\"}", LINE "a<0A>b\xc3\xa9\n",
        false },
    { "no message", HEAD "\"X\":\"\"}", LINE "\n", false },
    { "null", HEAD "\"MESSAGE\":null}", LINE "\n", false },
    { "hardly anything", "{}", "- - unknown[-]: \n", false },
    { "_COMM and SYSLOG_PID",
        "{\"_COMM\":\"a b\",\"_PID\":\"1\",\"SYSLOG_PID\":\"2\"}",
        "- - a_b[2]: \n", false },
    { "too long", HEAD "\"MESSAGE\":\"0123456789abcdefg\"}",
        LINE "0123456789abcdef\n", true },
    { "no octet", HEAD "\"MESSAGE\":[256]}", NULL, false },
    { "an object", HEAD "\"MESSAGE\":{}}", NULL, false },
    { "no entry", "[]", NULL, false },
    { "half", HEAD, NULL, false },
};

static void
test_journal_line(void **state)
{
    struct nr_buf b;
    struct nr_arena a;

    (void)state;
    nr_buf_init(&b, OUT_MAX);
    for (size_t i = 0; i < sizeof(entries) / sizeof(entries[0]); i++) {
        struct nr_bytes json = nr_bytes_of(nr_str_of(entries[i].json));
        struct nr_str cursor = { 0 };
        bool cut = false;
        enum nr_err err;

        nr_arena_init(&a, OUT_MAX);
        nr_buf_reset(&b);
        err = nr_journal_line(&a, json, SMALL, &b, &cursor, &cut);
        CHECK_CASE(entries[i].name, (err == NR_OK) == !!entries[i].line);
        if (entries[i].line) {
            assert_string_equal(nr_buf_cstr(&b), entries[i].line);
            CHECK_CASE(entries[i].name, cut == entries[i].cut);
        } else {
            CHECK_CASE(entries[i].name, b.n == 0);
        }
        if (entries[i].line && entries[i].line[0] == '2')
            CHECK_CASE(entries[i].name, nr_str_eq(cursor, NR_STR("s=a;i=1")));
        nr_arena_fini(&a);
    }
    nr_buf_fini(&b);
}

static void
test_journal_take(void **state)
{
    static const char text[] = HEAD "\"MESSAGE\":\"one\"}\n-- No entries --\n"
                                    "\nnonsense\n" HEAD
                                    "\"MESSAGE\":\"two\"}\n";
    struct nr_bytes in = { (const uint8_t *)text, sizeof(text) - 1 };

    (void)state;
    for (size_t step = 1; step <= in.n; step += 17) {
        struct nr_journal_reader j;
        struct nr_receiver_stats s = { 0 };
        struct nr_pipe_out o;
        struct nr_bytes rest;
        struct nr_buf all;

        nr_pipe_init(&o, OUT_MAX);
        nr_journal_init(&j, NR_RECEIVER_MESSAGE);
        nr_buf_init(&all, OUT_MAX);
        for (size_t at = 0; at < in.n; at += step)
            nr_journal_take(&j,
                nr_bytes_sub(in, at, at + step < in.n ? at + step : in.n), &o,
                &s);
        rest = nr_buf_bytes(&o.buf);
        while (rest.n > 0) {
            struct nr_pipe_frame f = next_frame(&rest);

            nr_buf_put(&all, f.text);
            assert_true(nr_bytes_eq(f.cursor, NR_BYTES("s=a;i=1")));
        }
        assert_string_equal(nr_buf_cstr(&all), LINE "one\n" LINE "two\n");
        assert_int_equal(s.messages, 2);
        assert_int_equal(s.unreadable, 1);
        nr_buf_fini(&all);
        nr_journal_fini(&j);
        nr_pipe_fini(&o);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_framing),
        NR_TEST(test_message),
        NR_TEST(test_addresses),
        NR_TEST(test_origins),
        NR_TEST(test_frames),
        NR_TEST(test_pipe),
        NR_TEST(test_stats_print),
        NR_TEST(test_journal_line),
        NR_TEST(test_journal_take),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
