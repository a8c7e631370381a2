#include "archive/coverage.h"

#include "archive/store.h"
#include "archive/stream.h"
#include "base/test.h"
#include "observable/observable.h"
#include "watchlist/watchlist.h"

#include <stdlib.h>

#define NOW INT64_C(1515110400) /* 2018-01-05 */

static int64_t
day(int64_t y, unsigned m, unsigned d)
{
    return nr_days_from_civil(y, m, d);
}

/* A line an hour of the days FROM to TO, in file PATH. */
static void
lines(struct nr_archive *a, enum nr_source source, uint32_t kinds,
    const char *path, int64_t from, int64_t to)
{
    struct nr_gather *g = NULL;
    struct nr_record r = { .source = source, .kinds = kinds };
    struct nr_buf rows;

    nr_buf_init(&rows, 1 << 20);
    assert_int_equal(nr_gather_new(&g), NR_OK);
    for (int64_t h = from * 24; h < (to + 1) * 24; h++)
        assert_int_equal(nr_gather_line(g, &r, h * 3600 + 7), NR_OK);
    assert_int_equal(nr_gather_end(g, nr_str_of(path), &rows), NR_OK);
    assert_int_equal(nr_archive_mark_rows(a, nr_buf_bytes(&rows)), NR_OK);
    nr_gather_free(g);
    nr_buf_fini(&rows);
}

static struct nr_indicator
indicator(enum nr_kind kind, const char *key, int64_t from, int64_t to)
{
    return (struct nr_indicator){ .kind = kind,
        .key = nr_bytes_of(nr_str_of(key)),
        .valid_from_s = NR_TIME_NONE,
        .valid_until_s = NR_TIME_NONE,
        .first_seen_s = from * NR_S_PER_DAY,
        .last_seen_s = to * NR_S_PER_DAY };
}

static const char *
say(const struct nr_archive *a, const struct nr_answer *v, size_t n,
    enum nr_lang lang, struct nr_buf *b)
{
    nr_buf_reset(b);
    nr_coverage_sentence(a, v, n, NULL, lang, b);
    return nr_buf_cstr(b);
}

/* The worked example of the domain handbook, section 7, to the letter. */
static void
test_example(void **state)
{
    struct nr_archive *a = nr_archive_blank();
    struct nr_indicator x1 = indicator(NR_KIND_DOMAIN, "a.example",
        day(2016, 11, 3), day(2016, 12, 15));
    struct nr_indicator x2 = indicator(NR_KIND_DOMAIN, "b.example",
        day(2017, 5, 15), day(2017, 6, 20));
    const struct nr_indicator *ask[] = { &x1, &x2 };
    struct nr_answer v[2] = { { 0 } };
    double weights[] = { 3, 1 };
    struct nr_arena arena;
    struct nr_diag d = { 0 };
    struct nr_buf b;

    (void)state;
    assert_non_null(a);
    nr_arena_init(&arena, 1 << 20);
    nr_buf_init(&b, 10000);
    lines(a, NR_SOURCE_NAMED, NR_LOG_DNS, "named.log", day(2016, 12, 1),
        day(2017, 2, 20));
    lines(a, NR_SOURCE_SQUID, NR_LOG_PROXY, "squid.log", day(2017, 6, 1),
        day(2017, 8, 31));
    assert_int_equal(nr_archive_judge(a, ask, 2, NOW, &arena, v, &d), NR_OK);
    assert_true(
        v[0].coverage > 45 / 103.0 - 1e-9 && v[0].coverage < 45 / 103.0 + 1e-9);
    assert_true(
        v[1].coverage > 50 / 97.0 - 1e-9 && v[1].coverage < 50 / 97.0 + 1e-9);
    assert_string_equal(say(a, v, 2, NR_LANG_JA, &b),
        "2016-10-04〜2017-07-20 のうち 48% の期間のログを検査し、痕跡は"
        "ありませんでした。2016-11-30 以前の DNS、2017-05-31 以前の"
        "プロキシは残っていません");
    assert_string_equal(say(a, v, 2, NR_LANG_EN, &b),
        "Logs of 48% of the time from 2016-10-04 to 2017-07-20 were searched "
        "and no trace was found. DNS logs up to 2016-11-30 and proxy logs up "
        "to 2017-05-31 are not there");
    nr_buf_reset(&b);
    nr_coverage_sentence(a, v, 2, weights, NR_LANG_JA, &b);
    assert_non_null(strstr(nr_buf_cstr(&b), " 46% ")); /* (3 x1 + x2) / 4 */
    nr_buf_fini(&b);
    nr_arena_fini(&arena);
    nr_archive_close(a);
}

static void
test_sentences(void **state)
{
    static const struct {
        enum nr_answer_kind answer[2];
        double coverage;
        const char *ja, *en;
    } cases[] = {
        { { NR_ANSWER_SEEN, NR_ANSWER_NOT_SEEN }, 1.0,
            "2017-01-01〜2017-01-31 のうち 100% の期間のログを検査し、2 件中 1 "
            "件の指標の痕跡がありました",
            "Logs of 100% of the time from 2017-01-01 to 2017-01-31 were "
            "searched: traces of 1 of 2 indicators were found" },
        { { NR_ANSWER_NOT_SEEN, NR_ANSWER_NOT_SEEN }, 0.9999,
            "2017-01-01〜2017-01-31 のうち 99% の期間のログを検査し、痕跡は"
            "ありませんでした",
            "Logs of 99% of the time from 2017-01-01 to 2017-01-31 were "
            "searched and no trace was found" },
        { { NR_ANSWER_DENIED, NR_ANSWER_CANNOT_SAY }, 0.5,
            "2017-01-01〜2017-01-31 のうち 50% の期間のログを検査し、痕跡は"
            "ありませんでした（1 件の指標は遮断された通信だけにあります）。1 "
            "件の指標については確認できません",
            "Logs of 50% of the time from 2017-01-01 to 2017-01-31 were "
            "searched and no trace was found (1 indicators only in traffic "
            "that was denied). Of 1 indicators it cannot be said" },
        { { NR_ANSWER_CANNOT_SAY, NR_ANSWER_CANNOT_SAY }, 0.004,
            "2017-01-01〜2017-01-31 のうち 1% 未満 の期間のログしか検査できず、"
            "痕跡の有無は確認できません",
            "Only logs of less than 1% of the time from 2017-01-01 to "
            "2017-01-31 could be searched: whether there are traces cannot be "
            "said" },
    };
    struct nr_buf b;

    (void)state;
    nr_buf_init(&b, 10000);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nr_answer v[2] = { { 0 } };

        for (size_t j = 0; j < 2; j++) {
            v[j].answer = cases[i].answer[j];
            v[j].coverage = cases[i].coverage;
            v[j].window = (struct nr_days){ day(2017, 1, 1), day(2017, 1, 31) };
        }
        assert_string_equal(say(NULL, v, 2, NR_LANG_JA, &b), cases[i].ja);
        assert_string_equal(say(NULL, v, 2, NR_LANG_EN, &b), cases[i].en);
        assert_null(strstr(nr_buf_cstr(&b), "侵害なし"));
    }
    assert_string_equal(say(NULL, NULL, 0, NR_LANG_JA, &b),
        "調べる指標がありません");
    nr_buf_fini(&b);
}

/* A stretch taken out of the middle is named, and lowers the coverage. */
static void
test_gap(void **state)
{
    struct nr_archive *a = nr_archive_blank();
    struct nr_indicator x = indicator(NR_KIND_DOMAIN, "a.example",
        day(2017, 5, 1), day(2017, 5, 31));
    const struct nr_indicator *ask = &x;
    struct nr_answer v = { 0 };
    struct nr_stream s;
    struct nr_arena arena;
    struct nr_diag d = { 0 };
    struct nr_buf b;

    (void)state;
    assert_non_null(a);
    nr_arena_init(&arena, 1 << 20);
    nr_buf_init(&b, 10000);
    lines(a, NR_SOURCE_NAMED, NR_LOG_DNS, "named-2017-01.log", day(2017, 1, 1),
        day(2017, 5, 9));
    lines(a, NR_SOURCE_NAMED, NR_LOG_DNS, "named-2017-05.log.gz",
        day(2017, 5, 13), day(2017, 10, 31));
    lines(a, NR_SOURCE_SQUID, NR_LOG_PROXY, "squid.log", day(2016, 1, 1),
        day(2017, 2, 28));
    lines(a, NR_SOURCE_MAIL, NR_LOG_MAIL, "maillog", day(2017, 1, 1),
        day(2017, 10, 31));
    assert_int_equal(nr_archive_judge(a, &ask, 1, NOW, &arena, &v, &d), NR_OK);
    assert_int_equal(v.n_gaps, 1);
    assert_int_equal(v.gaps[0].from, day(2017, 5, 10));
    assert_int_equal(v.gaps[0].to, day(2017, 5, 12));
    assert_int_equal(v.notes, NR_NOTE_GAP | NR_NOTE_STOPPED);
    assert_string_equal(say(a, &v, 1, NR_LANG_JA, &b),
        "2017-04-01〜2017-06-30 のうち 97% の期間のログを検査し、痕跡は"
        "ありませんでした。2017-05-10〜2017-05-12 の DNS は残っていません");
    assert_int_equal(nr_coverage_find(a, NOW, &d), NR_OK);
    assert_int_equal(nr_coverage_streams(a), 3);
    s = nr_coverage_stream(a, 0); /* proxy: the lowest bit */
    assert_int_equal(s.flags, NR_STREAM_STOPPED);
    assert_int_equal(s.last_s, day(2017, 3, 1) * NR_S_PER_DAY);
    assert_string_equal(s.name, "squid");
    s = nr_coverage_stream(a, 1);
    assert_string_equal(s.name, "named");
    assert_int_equal(s.flags, 0);
    assert_int_equal(s.n_gaps, 1);
    assert_int_equal(s.gaps[0].from_s, day(2017, 5, 10) * NR_S_PER_DAY);
    assert_int_equal(s.gaps[0].to_s, day(2017, 5, 13) * NR_S_PER_DAY);
    assert_int_equal(nr_coverage_stream_day(a, 1, day(2017, 5, 11)),
        NR_DAY_GAP);
    assert_int_equal(nr_coverage_kind_day(a, 1, day(2017, 5, 11)), NR_DAY_GAP);
    assert_int_equal(nr_coverage_kind_day(a, 1, day(2017, 5, 14)),
        NR_DAY_LINES);
    assert_int_equal(nr_coverage_kind_day(a, 1, day(2016, 12, 31)),
        NR_DAY_NONE);
    assert_int_equal(nr_coverage_kind_day(a, 0, day(2017, 9, 1)), NR_DAY_GAP);
    /* what is added later is judged anew */
    lines(a, NR_SOURCE_NAMED, NR_LOG_DNS, "named-2017-05.log", day(2017, 5, 10),
        day(2017, 5, 12));
    assert_int_equal(nr_archive_judge(a, &ask, 1, NOW, &arena, &v, &d), NR_OK);
    assert_int_equal(v.n_gaps, 0);
    nr_buf_fini(&b);
    nr_arena_fini(&arena);
    nr_archive_close(a);
}

static void
test_names(void **state)
{
    static const struct {
        const char *path, *name;
    } cases[] = {
        { "access.log", "access" },
        { "/var/log/squid/access.log.3.gz", "squid/access" },
        { "logs/named/named-2016-05.log", "named/named" },
        { "messages-20170101", "messages" },
        { "maillog.2016", "maillog" },
        { "eve-2016-05-01T00.json.zst", "eve" },
        { "2016-05/proxy.log", "proxy" },
        { "/backup/2016/05/fw-01.log", "fw-01" },
        { "u_ex160501.log", "u_ex" },
        { "fw201605.log", "fw" },
        { "app-000123.log", "app" },
        { "web01.log", "web01" },
        { "20160501", "20160501" },
        { "syslog.1", "syslog" },
        { "10.0.0.1", "10.0.0.1" },
        { "10.0.0.1.log", "10.0.0.1" },
        { "2016-05-01.log", "2016-05-01.log" },
        { "-", "-" },
        { "", "" },
        { "/", "" },
        { "remote/web1/messages", "web1/messages" },
    };

    char out[SEG_NAME_MAX + 1];
    char longest[600];

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)stream_name(nr_str_of(cases[i].path), out);
        CHECK_CASE(cases[i].path, strcmp(out, cases[i].name) == 0);
    }
    memset(longest, 'x', sizeof(longest));
    assert_int_equal(stream_name((struct nr_str){ longest, sizeof(longest) },
                         out),
        SEG_NAME_MAX);
    longest[299] = '/';
    assert_int_equal(stream_name((struct nr_str){ longest, sizeof(longest) },
                         out),
        SEG_NAME_MAX);
}

/* Lines one after the other: N of them, from AT on, STEP seconds apart. */
struct stretch {
    int64_t at;
    int n, step;
};

#define T0 INT64_C(1488000000) /* 2017-02-25 */
#define H  INT64_C(3600)

static void
test_clocks(void **state)
{
    static const struct {
        const char *name;
        enum nr_source source;
        struct stretch v[3];
        int64_t from, to; /* relative to T0; 0, 0: nothing is uncertain */
    } cases[] = {
        { "in order", NR_SOURCE_SQUID, { { 0, 1000, 10 } }, 0, 0 },
        { "back by an hour", NR_SOURCE_SQUID,
            { { 0, 1000, 10 }, { 9990 - H, 100, 10 } }, 9990 - H, 9990 },
        { "back by an hour, twice as slow", NR_SOURCE_SQUID,
            { { 0, 1000, 10 }, { 9990 - H, 100, 20 } }, 9990 - H, 9990 },
        { "back by ten minutes", NR_SOURCE_SQUID,
            { { 0, 1000, 10 }, { 9390, 100, 1 } }, 0, 0 },
        { "ten lines come late", NR_SOURCE_SQUID,
            { { 0, 1000, 10 }, { 3000, 10, 10 }, { 10000, 1000, 10 } }, 0, 0 },
        { "one line of 2099", NR_SOURCE_SQUID,
            { { 0, 1000, 10 }, { 2600000000, 1, 1 }, { 10000, 1000, 10 } }, 0,
            0 },
        { "ahead by five hours, then right", NR_SOURCE_SQUID,
            { { 0, 1000, 10 }, { 10000 + 5 * H, 200, 10 },
                { 12000, 1000, 10 } },
            10000 + 5 * H, 11990 + 5 * H },
        { "ahead, and stays there", NR_SOURCE_SQUID,
            { { 0, 1000, 10 }, { 10000 + 8 * H, 1000, 10 } }, 0, 0 },
        { "two logs in one file", NR_SOURCE_SQUID,
            { { 864000, 1000, 10 }, { 0, 1000, 10 } }, 0, 0 },
        { "a quiet log, back by an hour", NR_SOURCE_SSHD,
            { { 0, 100, 1800 }, { 99 * 1800 - H, 100, 60 } }, 99 * 1800 - H,
            99 * 1800 },
        { "connections under the time they began", NR_SOURCE_CONN,
            { { 0, 1000, 10 }, { 9990 - H, 100, 10 } }, 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nr_archive *a = nr_archive_blank();
        struct nr_record r = { .source = cases[i].source,
            .kinds = NR_LOG_PROXY };
        struct nr_gather *g = NULL;
        struct nr_stream s;
        struct nr_buf rows;
        bool none = cases[i].to == 0;

        assert_non_null(a);
        nr_buf_init(&rows, 1 << 20);
        assert_int_equal(nr_gather_new(&g), NR_OK);
        for (size_t j = 0; j < 3; j++)
            for (int k = 0; k < cases[i].v[j].n; k++)
                assert_int_equal(nr_gather_line(g, &r,
                                     T0 + cases[i].v[j].at +
                                         (int64_t)k * cases[i].v[j].step),
                    NR_OK);
        assert_int_equal(nr_gather_end(g, NR_STR("a.log"), &rows), NR_OK);
        assert_int_equal(nr_archive_mark_rows(a, nr_buf_bytes(&rows)), NR_OK);
        assert_int_equal(nr_coverage_find(a, INT64_C(4102444800), NULL), NR_OK);
        assert_int_equal(nr_coverage_streams(a), 1);
        s = nr_coverage_stream(a, 0);
        CHECK_CASE(cases[i].name, s.n_unsure == (none ? 0 : 1));
        if (!none) {
            CHECK_CASE(cases[i].name, s.unsure[0].from_s == T0 + cases[i].from);
            CHECK_CASE(cases[i].name, s.unsure[0].to_s == T0 + cases[i].to);
        }
        /* cut anywhere, rows are refused, not believed */
        for (size_t n = 1; n < rows.n; n++)
            CHECK_CASE(cases[i].name,
                nr_archive_mark_rows(a,
                    nr_bytes_sub(nr_buf_bytes(&rows), 0, n)) != NR_OK);
        nr_gather_free(g);
        nr_buf_fini(&rows);
        nr_archive_close(a);
    }
}

/* What a proxy keeps, and who its clients are. */
struct kept_case {
    const char *name;
    const char *url[2]; /* by turns */
    int lines, clients;
    uint32_t flags;
    const char *ask; /* a URL, answered as: */
    enum nr_answer_kind answer;
};

static const struct kept_case kept_cases[] = {
    { "all kept", { "http://a.example/x?y=1", "https://b.example/z" }, 400, 9,
        0, "http://evil.example/a?b", NR_ANSWER_NOT_SEEN },
    { "no query", { "http://a.example/x", "http://b.example/z" }, 400, 9,
        NR_STREAM_NO_QUERY, "http://evil.example/a?b", NR_ANSWER_CANNOT_SAY },
    { "no query asked for", { "http://a.example/x", "http://b.example/z" }, 400,
        9, NR_STREAM_NO_QUERY, "http://evil.example/a", NR_ANSWER_NOT_SEEN },
    { "no path", { "http://a.example/", "http://b.example" }, 400, 9,
        NR_STREAM_NO_QUERY | NR_STREAM_NO_PATH, "http://evil.example/a",
        NR_ANSWER_CANNOT_SAY },
    { "no path asked for", { "http://a.example/", "http://b.example" }, 400, 9,
        NR_STREAM_NO_QUERY | NR_STREAM_NO_PATH, "http://evil.example/",
        NR_ANSWER_NOT_SEEN },
    { "tunnels only", { "a.example:443", "b.example:443" }, 400, 9,
        NR_STREAM_NO_QUERY | NR_STREAM_NO_PATH | NR_STREAM_NO_TLS,
        "https://evil.example/", NR_ANSWER_CANNOT_SAY },
    { "tunnels beside", { "a.example:443", "http://b.example/x?y" }, 400, 9,
        NR_STREAM_NO_TLS, "https://evil.example/a", NR_ANSWER_CANNOT_SAY },
    { "tunnels beside, http asked for",
        { "a.example:443", "http://b.example/x?y" }, 400, 9, NR_STREAM_NO_TLS,
        "http://evil.example/a", NR_ANSWER_NOT_SEEN },
    { "paths beside hosts", { "/x?y=1", "\\/z\\/a" }, 400, 9,
        NR_STREAM_NO_QUERY | NR_STREAM_NO_PATH, "http://evil.example/a",
        NR_ANSWER_CANNOT_SAY },
    { "escaped", { "http:\\/\\/a.example\\/x?y", "https:\\/\\/b" }, 400, 9, 0,
        "http://evil.example/a?b", NR_ANSWER_NOT_SEEN },
    { "too few lines", { "http://a.example/x", "http://b.example/z" }, 198, 9,
        0, "http://evil.example/a?b", NR_ANSWER_NOT_SEEN },
    { "two clients", { "http://a.example/x?y", "https://b.example/" }, 1000, 2,
        NR_STREAM_NAT, "http://evil.example/a?b", NR_ANSWER_NOT_SEEN },
    { "three clients", { "http://a.example/x?y", "https://b.example/" }, 1000,
        3, 0, "http://evil.example/a?b", NR_ANSWER_NOT_SEEN },
    { "two clients, few lines",
        { "http://a.example/x?y", "https://b.example/" }, 998, 2, 0,
        "http://evil.example/a?b", NR_ANSWER_NOT_SEEN },
};

static void
check_kept(const struct kept_case *c)
{
    struct nr_archive *a = nr_archive_blank();
    struct nr_indicator x = indicator(NR_KIND_URL, c->ask, T0 / NR_S_PER_DAY,
        T0 / NR_S_PER_DAY);
    const struct nr_indicator *ask = &x;
    struct nr_answer v[2] = { { 0 } };
    struct nr_gather *g = NULL;
    struct nr_arena arena;
    struct nr_buf rows;

    assert_non_null(a);
    nr_arena_init(&arena, 1 << 20);
    nr_buf_init(&rows, 1 << 20);
    assert_int_equal(nr_gather_new(&g), NR_OK);
    for (int k = 0; k < c->lines; k++) {
        uint8_t src[1] = { (uint8_t)('0' + k % c->clients) };
        struct nr_record r = { .source = NR_SOURCE_SQUID,
            .kinds = NR_LOG_PROXY,
            .src = { src, 1 },
            .url = nr_bytes_of(nr_str_of(c->url[k % 2])) };

        assert_int_equal(nr_gather_line(g, &r,
                             T0 - 30 * NR_S_PER_DAY + k * INT64_C(6000)),
            NR_OK);
    }
    assert_int_equal(nr_gather_end(g, NR_STR("a.log"), &rows), NR_OK);
    assert_int_equal(nr_archive_mark_rows(a, nr_buf_bytes(&rows)), NR_OK);
    v[0].first_s = v[0].last_s = NR_TIME_NONE;
    assert_int_equal(nr_archive_judge(a, &ask, 1, NOW, &arena, v, NULL), NR_OK);
    CHECK_CASE(c->name,
        (nr_coverage_stream(a, 0).flags & ~NR_STREAM_STOPPED) == c->flags);
    if (v[0].coverage >= NR_COVERAGE_MIN)
        CHECK_CASE(c->name, v[0].answer == c->answer);
    CHECK_CASE(c->name,
        ((v[0].notes & NR_NOTE_QUERY_STRIPPED) != 0) ==
            (c->answer == NR_ANSWER_CANNOT_SAY));
    /* seen is seen, whatever else is missing; where is another matter */
    v[0] = (struct nr_answer){ .lines = 1, .sources = 1u << NR_SOURCE_SQUID };
    assert_int_equal(nr_archive_judge(a, &ask, 1, NOW, &arena, v, NULL), NR_OK);
    CHECK_CASE(c->name, v[0].answer == NR_ANSWER_SEEN);
    CHECK_CASE(c->name,
        (v[0].notes & ~(NR_NOTE_GAP | NR_NOTE_STOPPED)) ==
            (c->flags & NR_STREAM_NAT ? NR_NOTE_HOST_UNKNOWN : 0));
    nr_gather_free(g);
    nr_buf_fini(&rows);
    nr_arena_fini(&arena);
    nr_archive_close(a);
}

static void
test_flags(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(kept_cases) / sizeof(kept_cases[0]); i++)
        check_kept(&kept_cases[i]);
}

/* Of two proxies one keeps all: its word counts, the other's lack is noted. */
static void
test_two_proxies(void **state)
{
    static const char *const urls[] = { "http://a.example/x?y=1",
        "http://b.example/z" };
    struct nr_archive *a = nr_archive_blank();
    struct nr_indicator x = indicator(NR_KIND_URL, "http://evil.example/a?b",
        T0 / NR_S_PER_DAY, T0 / NR_S_PER_DAY);
    const struct nr_indicator *ask = &x;
    struct nr_answer v = { 0 };
    struct nr_gather *g = NULL;
    struct nr_arena arena;
    struct nr_buf rows;

    (void)state;
    assert_non_null(a);
    nr_arena_init(&arena, 1 << 20);
    nr_buf_init(&rows, 1 << 20);
    assert_int_equal(nr_gather_new(&g), NR_OK);
    for (int f = 0; f < 2; f++) {
        struct nr_record r = { .source = NR_SOURCE_SQUID,
            .kinds = NR_LOG_PROXY,
            .url = nr_bytes_of(nr_str_of(urls[f])) };

        for (int k = 0; k < 1500; k++)
            assert_int_equal(nr_gather_line(g, &r,
                                 T0 - 30 * NR_S_PER_DAY + k * INT64_C(3600)),
                NR_OK);
        assert_int_equal(nr_gather_end(g, nr_str_of(f ? "b.log" : "a.log"),
                             &rows),
            NR_OK);
    }
    assert_int_equal(nr_archive_mark_rows(a, nr_buf_bytes(&rows)), NR_OK);
    assert_int_equal(nr_archive_judge(a, &ask, 1, NOW, &arena, &v, NULL),
        NR_OK);
    assert_int_equal(v.answer, NR_ANSWER_NOT_SEEN);
    assert_int_equal(v.notes, NR_NOTE_QUERY_STRIPPED);
    nr_gather_free(g);
    nr_buf_fini(&rows);
    nr_arena_fini(&arena);
    nr_archive_close(a);
}

/* A row by hand, and what is none. */
static void
test_rows(void **state)
{
    const struct {
        const char *name;
        struct nr_bytes row;
        bool is;
    } cases[] = {
        { "one", NR_BYTES("\3\1\1a\0\0\0\0\0\0\1\0\1\5\2"), true },
        { "no hours", NR_BYTES("\3\1\1a\0\0\0\0\0\0\1\0\0"), true },
        { "counts", NR_BYTES("\3\1\1a\5\5\5\5\5\0\1\0\0"), true },
        { "clients", NR_BYTES("\3\1\1a\0\0\0\0\0\1\1\2\3\4\1\0\0"), true },
        { "many clients", NR_BYTES("\3\1\1a\0\0\0\0\0\5\1\0\0"), true },
        { "two stretches", NR_BYTES("\3\1\1a\0\0\0\0\0\0\1\0\2\5\2\0\0"),
            true },
        { "no such source", NR_BYTES("\x7f\1\1a\0\0\0\0\0\0\1\0\0"), false },
        { "no such kind", NR_BYTES("\3\x80\x10\1a\0\0\0\0\0\0\1\0\0"), false },
        { "no text", NR_BYTES("\3\1\1\xff\0\0\0\0\0\0\1\0\0"), false },
        { "more queries than URLs", NR_BYTES("\3\1\1a\5\6\5\5\5\0\1\0\0"),
            false },
        { "too many clients", NR_BYTES("\3\1\1a\0\0\0\0\0\6\1\0\0"), false },
        { "too many jumps", NR_BYTES("\3\1\1a\0\0\0\0\0\0\1\x41\0"), false },
        { "a jump ahead", NR_BYTES("\3\1\1a\0\0\0\0\0\0\1\1\4\2\0"), false },
        { "a jump back", NR_BYTES("\3\1\1a\0\0\0\0\0\0\1\1\4\1\0"), true },
        { "an hour of the year 2200",
            NR_BYTES("\3\1\1a\0\0\0\0\0\0\1\0\1\x90\x87\x7b\0"), false },
        { "the last hour of 2199",
            NR_BYTES("\3\1\1a\0\0\0\0\0\0\1\0\1\x8f\x87\x7b\0"), true },
        { "a stretch beyond it",
            NR_BYTES("\3\1\1a\0\0\0\0\0\0\1\0\1\x8f\x87\x7b\1"), false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct nr_archive *a = nr_archive_blank();

        assert_non_null(a);
        CHECK_CASE(cases[i].name,
            nr_archive_mark_rows(a, cases[i].row) ==
                (cases[i].is ? NR_OK : NR_EFORMAT));
        CHECK_CASE(cases[i].name,
            nr_coverage_streams(a) == (cases[i].is ? 1 : 0));
        nr_archive_close(a);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_example),
        NR_TEST(test_sentences),
        NR_TEST(test_gap),
        NR_TEST(test_names),
        NR_TEST(test_clocks),
        NR_TEST(test_flags),
        NR_TEST(test_two_proxies),
        NR_TEST(test_rows),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
