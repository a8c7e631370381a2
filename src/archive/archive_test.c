#include "archive/keep.h"

#include "archive/store.h"
#include "base/test.h"
#include "observable/observable.h"
#include "watchlist/watchlist.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW INT64_C(1503273600) /* 2017-08-21 */

static char dir[] = "/tmp/noroshi-archive-XXXXXX";
static char store[NR_PATH_MAX];

static void
write_file(const char *name, const char *text, bool append)
{
    char path[NR_PATH_MAX];
    int fd;

    assert_int_equal(nr_path_join(path, dir, name, NULL), NR_OK);
    fd = open(path, O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), 0600);
    assert_true(fd >= 0);
    assert_int_equal(nr_fd_write(fd, nr_bytes_of(nr_str_of(text)), NULL),
        NR_OK);
    close(fd);
}

static struct nr_archive_added
add(const char *name)
{
    struct nr_archive_add_options o = { .now_s = NOW };
    struct nr_archive_added got;
    struct nr_archive *a = NULL;
    struct nr_diag d = { 0 };
    char path[NR_PATH_MAX];
    const char *paths[] = { path };

    assert_int_equal(nr_path_join(path, dir, name, NULL), NR_OK);
    assert_int_equal(nr_archive_open(store, NR_ARCHIVE_WRITE, NULL, &a, &d),
        NR_OK);
    assert_int_equal(nr_archive_add(a, paths, 1, &o, &got, &d), NR_OK);
    nr_archive_close(a);
    return got;
}

static struct nr_indicator
indicator(enum nr_kind kind, struct nr_bytes key)
{
    return (struct nr_indicator){ .kind = kind,
        .key = key,
        .valid_from_s = NR_TIME_NONE,
        .valid_until_s = NR_TIME_NONE,
        .first_seen_s = NR_TIME_NONE,
        .last_seen_s = NR_TIME_NONE };
}

static struct nr_answer
ask(const struct nr_indicator *i)
{
    struct nr_hunt_options o = { .now_s = NOW };
    struct nr_archive *a = NULL;
    struct nr_answer v;
    struct nr_arena arena;
    struct nr_diag d = { 0 };

    nr_arena_init(&arena, 1 << 20);
    assert_int_equal(nr_archive_open(store, NR_ARCHIVE_READ, NULL, &a, &d),
        NR_OK);
    assert_int_equal(nr_archive_hunt(a, &i, 1, &o, &arena, &v, &d), NR_OK);
    nr_archive_close(a);
    nr_arena_fini(&arena);
    return v;
}

static void
empty(void)
{
    struct nr_names names;
    struct nr_arena a;
    char path[NR_PATH_MAX];

    nr_arena_init(&a, 1 << 20);
    if (nr_dir_list(&a, store, 100, &names, NULL) == NR_OK)
        for (size_t i = 0; i < names.n; i++)
            if (nr_path_join(path, store, names.v[i], NULL) == NR_OK)
                (void)unlink(path);
    (void)rmdir(store);
    nr_arena_fini(&a);
}

#define LINE(t, host) \
    t " 10 10.0.0.5 TCP_MISS/200 99 GET http://" host "/ - H - t\n"
#define DENY(t, host) \
    t " 10 10.0.0.5 TCP_DENIED/403 99 GET http://" host "/ - H - t\n"

/* Drop what lies before DAY. */
static enum nr_err
prune(struct nr_archive *a, int64_t day, size_t *n)
{
    struct nr_keep_rule rule = { .before = day };
    struct nr_holds none = { 0 };
    struct nr_keep_plan plan;
    struct nr_arena arena;
    enum nr_err err;

    nr_arena_init(&arena, 1 << 20);
    err = nr_keep_plan(a, &rule, &none, &arena, &plan, NULL);
    if (!err)
        err = nr_keep_drop(a, &plan, n, NULL);
    nr_arena_fini(&arena);
    return err;
}

/* Growth, copies, a last line without its end: nothing twice, nothing lost. */
static void
test_catalogue(void **state)
{
    struct nr_indicator evil = indicator(NR_KIND_DOMAIN,
        NR_BYTES("evil.example"));
    struct nr_answer v;

    (void)state;
    empty();
    write_file("squid.log", LINE("1480000000.100", "www.evil.example"), false);
    assert_int_equal(add("squid.log").lines, 1);
    assert_int_equal(add("squid.log").known, 1);
    write_file("copy.log", LINE("1480000000.100", "www.evil.example"), false);
    assert_int_equal(add("copy.log").known, 1);
    write_file("copy.log", LINE("1490000000.900", "evil.example"), true);
    assert_int_equal(add("copy.log").lines, 1);
    write_file("squid.log", LINE("1490000000.900", "evil.example"), true);
    assert_int_equal(add("squid.log").known, 1);
    v = ask(&evil);
    assert_int_equal(v.answer, NR_ANSWER_SEEN);
    assert_int_equal(v.lines, 2);
    assert_int_equal(v.first_s, 1480000000);
    assert_int_equal(v.last_s, 1490000000);
    assert_int_equal(v.days, 2);
    write_file("squid.log", "1490000001.000 10 10.0.0.5 TCP_MISS/200 9 GET ht",
        true);
    assert_int_equal(add("squid.log").lines, 1);
    assert_int_equal(add("squid.log").known, 1);
    write_file("squid.log", "tp://x.evil.example/ - H - t\n", true);
    assert_int_equal(add("squid.log").lines, 1);
    assert_int_equal(ask(&evil).lines, 3);
}

/* Files that begin alike and are met growing are still different files. */
static void
test_same_header(void **state)
{
    struct nr_indicator evil = indicator(NR_KIND_DOMAIN,
        NR_BYTES("evil.example"));

    (void)state;
    empty();
    write_file("a.log", "#header\n", false);
    write_file("b.log", "#header\n", false);
    assert_int_equal(add("a.log").lines, 1);
    assert_int_equal(add("b.log").known, 1);
    write_file("b.log", LINE("1480000000.1", "evil.example"), true);
    assert_int_equal(add("b.log").lines, 1);
    write_file("a.log", LINE("1480000000.2", "evil.example"), true);
    assert_int_equal(add("a.log").lines, 1);
    assert_int_equal(add("a.log").known, 1);
    assert_int_equal(add("b.log").known, 1);
    write_file("copy.log", "#header\n" LINE("1480000000.2", "evil.example"),
        false);
    assert_int_equal(add("copy.log").known, 1);
    assert_int_equal(ask(&evil).lines, 2);
    /* emptied and filled anew, longer, with the same header */
    write_file("a.log",
        "#header\n" LINE("1480000001.2", "a.evil.example")
            LINE("1480000001.3", "b.evil.example"),
        false);
    assert_int_equal(add("a.log").lines, 2);
    assert_int_equal(ask(&evil).lines, 4);
}

/* Two members of a range on one line are one line. */
static void
test_range(void **state)
{
    struct nr_indicator net = indicator(NR_KIND_CIDR4,
        NR_BYTES("\xcb\0\x71\0\x18"));
    struct nr_indicator six = indicator(NR_KIND_CIDR6,
        NR_BYTES("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0\x20"));
    struct nr_answer v;

    (void)state;
    empty();
    write_file("r.log",
        "1480000000.0 1 203.0.113.1 TCP_MISS/200 9 GET http://203.0.113.2/ - "
        "H - t\n"
        "1480000100.0 1 203.0.113.2 TCP_DENIED/403 9 GET http://a.example/ - "
        "H - t\n"
        "1480000200.0 1 203.0.114.2 TCP_MISS/200 9 GET http://[2001:db8::1]/ "
        "- H 2001:db8::2 t\n",
        false);
    assert_int_equal(add("r.log").lines, 3);
    v = ask(&net);
    assert_int_equal(v.lines, 2);
    assert_int_equal(v.denied, 1);
    assert_int_equal(v.answer, NR_ANSWER_SEEN);
    assert_int_equal(v.last_s, 1480000100);
    v = ask(&six);
    assert_int_equal(v.lines, 1);
    assert_int_equal(v.first_s, 1480000200);
}

static void
test_denied(void **state)
{
    struct nr_indicator bad = indicator(NR_KIND_DOMAIN,
        NR_BYTES("bad.example"));
    struct nr_indicator mail = indicator(NR_KIND_EMAIL,
        NR_BYTES("a@bad.example"));
    struct nr_answer v;

    (void)state;
    empty();
    write_file("d.log",
        DENY("1480000000.0", "bad.example")
            DENY("1480000001.0", "www.bad.example"),
        false);
    (void)add("d.log");
    v = ask(&bad);
    assert_int_equal(v.answer, NR_ANSWER_DENIED);
    assert_int_equal(v.lines, 2);
    assert_int_equal(v.denied, 2);
    bad.key = NR_BYTES("good.example");
    bad.first_seen_s = 1480000000;
    bad.last_seen_s = 1480000000;
    v = ask(&bad);
    assert_int_equal(v.answer, NR_ANSWER_CANNOT_SAY); /* 1 of 61 days */
    assert_int_equal(v.window.to - v.window.from + 1, 61);
    assert_int_equal(v.n_gaps, 2);
    assert_int_equal(ask(&mail).answer, NR_ANSWER_CANNOT_SAY); /* no mail log */
}

static int64_t
day(int64_t y, unsigned m, unsigned d)
{
    return nr_days_from_civil(y, m, d);
}

static void
present(struct nr_archive *a, unsigned bit, int64_t from, int64_t to)
{
    a->days[bit] = calloc(STORE_DAYS_OCTETS, 1);
    assert_non_null(a->days[bit]);
    for (int64_t i = from; i <= to; i++)
        a->days[bit][i / 8] |= (uint8_t)(1u << (i % 8));
}

/* The worked example of the domain handbook, section 7. */
static void
test_coverage(void **state)
{
    struct nr_archive *a = calloc(1, sizeof(*a));
    struct nr_indicator x1 = indicator(NR_KIND_DOMAIN, NR_BYTES("a.example"));
    struct nr_indicator x2 = x1;
    struct nr_days w1, w2;
    const struct nr_days *gaps;
    struct nr_arena arena;
    size_t n;
    double c1, c2;

    (void)state;
    assert_non_null(a);
    a->lock = -1;
    nr_arena_init(&arena, 1 << 16);
    x1.first_seen_s = day(2016, 11, 3) * NR_S_PER_DAY + 5;
    x1.last_seen_s = day(2016, 12, 15) * NR_S_PER_DAY;
    x2.first_seen_s = day(2017, 5, 15) * NR_S_PER_DAY;
    x2.last_seen_s = day(2017, 6, 20) * NR_S_PER_DAY + 86399;
    w1 = nr_archive_window(&x1, NOW, 0);
    w2 = nr_archive_window(&x2, NOW, 0);
    assert_int_equal(w1.from, day(2016, 10, 4));
    assert_int_equal(w1.to, day(2017, 1, 14));
    assert_int_equal(w1.to - w1.from + 1, 103);
    assert_int_equal(w2.from, day(2017, 4, 15));
    assert_int_equal(w2.to, day(2017, 7, 20));
    assert_int_equal(w2.to - w2.from + 1, 97);
    present(a, 1, day(2016, 12, 1), w1.to);    /* dns */
    present(a, 0, day(2017, 6, 1), w2.to + 9); /* proxy */
    assert_int_equal(store_covered(a, nr_archive_needs(NR_KIND_DOMAIN), w1),
        45);
    assert_int_equal(store_covered(a, nr_archive_needs(NR_KIND_DOMAIN), w2),
        50);
    c1 = 45 / 103.0;
    c2 = 50 / 97.0;
    assert_int_equal((int)(c1 * 1000 + 0.5), 437);
    assert_int_equal((int)(c2 * 1000 + 0.5), 515);
    assert_int_equal((int)((c1 + c2) / 2 * 1000 + 0.5), 476);
    assert_int_equal(store_gaps(a, NR_LOG_DNS | NR_LOG_PROXY, w1, &arena, &gaps,
                         &n),
        NR_OK);
    assert_int_equal(n, 1);
    assert_int_equal(gaps[0].from, day(2016, 10, 4));
    assert_int_equal(gaps[0].to, day(2016, 11, 30));
    assert_int_equal(store_gaps(a, NR_LOG_MAIL, w1, &arena, &gaps, &n), NR_OK);
    assert_int_equal(n, 1);
    assert_true(gaps[0].from == w1.from && gaps[0].to == w1.to);
    /* an open end is now; no time at all is all there is */
    x1.last_seen_s = NR_TIME_NONE;
    assert_int_equal(nr_archive_window(&x1, NOW, 0).to, NOW / 86400 + 30);
    x1.first_seen_s = NR_TIME_NONE;
    assert_int_equal(nr_archive_window(&x1, NOW, 99).from, 99);
    assert_int_equal(nr_archive_window(&x1, NOW, 99).to, NOW / 86400);
    nr_arena_fini(&arena);
    nr_archive_close(a);
}

static void
test_rule(void **state)
{
    static const struct {
        const char *name;
        uint64_t lines, denied;
        double coverage;
        bool has_kind;
        enum nr_answer_kind answer;
    } cases[] = {
        { "one line", 1, 0, 0.0, false, NR_ANSWER_SEEN },
        { "one not denied", 5, 4, 0.0, true, NR_ANSWER_SEEN },
        { "all denied", 5, 5, 1.0, true, NR_ANSWER_DENIED },
        { "all denied, short logs", 5, 5, 0.1, true, NR_ANSWER_DENIED },
        { "nothing", 0, 0, 1.0, true, NR_ANSWER_NOT_SEEN },
        { "just enough", 0, 0, 0.30, true, NR_ANSWER_NOT_SEEN },
        { "short", 0, 0, 0.2999, true, NR_ANSWER_CANNOT_SAY },
        { "no such log", 0, 0, 1.0, false, NR_ANSWER_CANNOT_SAY },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
        CHECK_CASE(cases[i].name,
            store_answer(cases[i].lines, cases[i].denied, cases[i].coverage,
                cases[i].has_kind) == cases[i].answer);
}

static void
count_said(void *ctx, const struct nr_diag *d)
{
    *(size_t *)ctx += d->err == NR_EDAMAGED && strstr(d->name, ".seg");
}

/* A damaged segment is named and left out, the others answer. */
static void
test_damaged(void **state)
{
    struct nr_indicator evil = indicator(NR_KIND_DOMAIN,
        NR_BYTES("evil.example"));
    const struct nr_indicator *v = &evil;
    struct nr_hunt_options o = { .now_s = NOW };
    size_t said = 0;
    struct nr_archive_caller p = { count_said, &said };
    struct nr_archive *a = NULL;
    struct nr_answer answer;
    struct nr_arena arena;
    char path[NR_PATH_MAX];
    uint8_t octet;
    int fd;

    (void)state;
    empty();
    write_file("a.log", LINE("1480000000.1", "evil.example"), false);
    write_file("b.log", LINE("1490000000.1", "evil.example"), false);
    (void)add("a.log");
    (void)add("b.log");
    assert_int_equal(ask(&evil).lines, 2);
    assert_int_equal(nr_path_join(path, store, "0000000000000001.seg", NULL),
        NR_OK);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &octet, 1, 40), 1);
    octet ^= 4;
    assert_int_equal(pwrite(fd, &octet, 1, 40), 1);
    close(fd);
    nr_arena_init(&arena, 1 << 20);
    assert_int_equal(nr_archive_open(store, NR_ARCHIVE_READ, &p, &a, NULL),
        NR_OK);
    assert_int_equal(nr_archive_hunt(a, &v, 1, &o, &arena, &answer, NULL),
        NR_OK);
    assert_int_equal(said, 1);
    assert_int_equal(nr_archive_damaged(a), 1);
    assert_int_equal(answer.lines, 1);
    assert_int_equal(answer.first_s, 1490000000);
    assert_int_equal(nr_archive_verify(a, NULL), NR_EDAMAGED);
    nr_archive_close(a);
    nr_arena_fini(&arena);
}

/* A line that claims to be of 2099 does not keep its segment for ever. */
static void
test_prune_future(void **state)
{
    struct nr_archive *a = NULL;
    size_t n = 9;

    (void)state;
    empty();
    write_file("a.log",
        LINE("4100000000.1", "evil.example")
            LINE("1480000000.1", "evil.example"),
        false);
    write_file("b.log", "no time at all\n", false);
    (void)add("a.log");
    (void)add("b.log");
    assert_int_equal(nr_archive_open(store, NR_ARCHIVE_WRITE, NULL, &a, NULL),
        NR_OK);
    assert_int_equal(prune(a, NOW / 86400, &n), NR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(prune(a, NOW / 86400 + 2, &n), NR_OK);
    assert_int_equal(n, 2);
    nr_archive_close(a);
}

/* One writer; pruning drops what is old and only that. */
static void
test_lock_and_prune(void **state)
{
    struct nr_archive *a = NULL, *b = NULL;
    struct nr_diag d = { 0 };
    size_t n = 9;

    (void)state;
    empty();
    write_file("a.log", LINE("1480000000.1", "evil.example"), false);
    write_file("b.log", LINE("1490000000.1", "evil.example"), false);
    (void)add("a.log");
    (void)add("b.log");
    assert_int_equal(nr_archive_open(store, NR_ARCHIVE_WRITE, NULL, &a, NULL),
        NR_OK);
    assert_int_equal(nr_archive_open(store, NR_ARCHIVE_WRITE, NULL, &b, &d),
        NR_EBUSY);
    assert_int_equal(nr_archive_open(store, NR_ARCHIVE_READ, NULL, &b, NULL),
        NR_OK);
    assert_int_equal(prune(b, 20000, &n), NR_EDENIED);
    assert_int_equal(prune(a, 1480000000 / 86400, &n), NR_OK);
    assert_int_equal(n, 0);
    assert_int_equal(prune(a, 1480000000 / 86400 + 1, &n), NR_OK);
    assert_int_equal(n, 1);
    nr_archive_close(a);
    assert_int_equal(nr_archive_open(store, NR_ARCHIVE_WRITE, NULL, &a, NULL),
        NR_OK);
    assert_int_equal(nr_archive_present(a, NR_LOG_PROXY).days, 1);
    /* who has it open still reads it */
    assert_int_equal(nr_archive_segments(b), 2);
    assert_int_equal(nr_archive_verify(b, NULL), NR_OK);
    nr_archive_close(a);
    nr_archive_close(b);
}

static int
setup(void **state)
{
    (void)state;
    if (!mkdtemp(dir))
        return -1;
    return nr_path_join(store, dir, "store", NULL) ? -1 : 0;
}

static int
teardown(void **state)
{
    static const char *const names[] = { "squid.log", "copy.log", "r.log",
        "d.log", "a.log", "b.log" };
    char path[NR_PATH_MAX];

    (void)state;
    empty();
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (nr_path_join(path, dir, names[i], NULL) == NR_OK)
            (void)unlink(path);
    return rmdir(dir);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_catalogue),
        NR_TEST(test_same_header),
        NR_TEST(test_range),
        NR_TEST(test_denied),
        NR_TEST(test_coverage),
        NR_TEST(test_rule),
        NR_TEST(test_damaged),
        NR_TEST(test_prune_future),
        NR_TEST(test_lock_and_prune),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
