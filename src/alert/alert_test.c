#include "alert/alert_test.h"

#include "alert/roll.h"
#include "stix/stix.h"

#include <errno.h>
#include <signal.h>

/* --- rows --- */

static void
rows_as_text(void **state)
{
    struct sample s;
    struct alert_row r;
    struct nr_buf b;

    (void)state;
    nr_buf_init(&b, ROOM);
    r = alert_row_of(hit_at(&s, 3, NR_KIND_IPV4, NR_ACTION_DENIED));
    r.file = NR_BYTES("a\tb\nc");
    alert_put_tsv(&r, false, false, &b);
    assert_text((struct nr_str){ (char *)b.p, b.n },
        "3\tipv4\t192.0.2.7\t192.0.2.7\tdenied\t1503273603\tsquid\ta?b?c\t"
        "03000000000000000300000000000000\n");
    nr_buf_reset(&b);
    r.count = 12340;
    r.rollup = true;
    r.first_line = 2;
    r.first_time_us = NR_TIME_NONE;
    alert_put_tsv(&r, true, true, &b);
    assert_text((struct nr_str){ (char *)b.p, b.n },
        "3\tipv4\t192.0.2.7\t192.0.2.7\tdenied\t2017-08-21T00:00:03Z\tsquid\t"
        "a?b?c\t03000000000000000300000000000000\t12340\t2\t-\n");
    nr_buf_reset(&b);
    r.indicator.tlp = NR_TLP_RED;
    r.indicator.role = NR_ROLE_C2;
    r.indicator.valid_until_s = T0 + 3;
    r.observed = NR_BYTES("\xff\"");
    alert_put_json(&r, false, &b);
    assert_text((struct nr_str){ (char *)b.p, b.n },
        "{\"line\":3,\"kind\":\"ipv4\",\"indicator\":\"192.0.2.7\","
        "\"observed\":\"\xef\xbf\xbd\\\"\",\"disposition\":\"denied\","
        "\"time\":1503273603,\"source\":\"squid\",\"file\":\"a\\tb\\nc\","
        "\"file_line\":3,\"hit\":\"03000000000000000300000000000000\","
        "\"valid_from\":null,\"valid_until\":1503273603,\"valid\":false,"
        "\"tlp\":\"red\",\"role\":\"c2\",\"rollup\":true,\"count\":12340,"
        "\"first_line\":2,\"first_time\":null}\n");
    nr_buf_fini(&b);
}

static void
rows_as_octets(void **state)
{
    struct sample s;
    struct alert_row r, back;
    struct nr_buf b, one, two;

    (void)state;
    nr_buf_init(&b, ROOM);
    nr_buf_init(&one, ROOM);
    nr_buf_init(&two, ROOM);
    r = alert_row_of(hit_at(&s, 9, NR_KIND_CIDR4, NR_ACTION_ALLOWED));
    r.indicator.tlp = NR_TLP_AMBER;
    r.indicator.pap = NR_PAP_RED;
    r.indicator.said.source = NR_STR("feed");
    r.indicator.warn = NR_STR("list: entry");
    r.indicator.valid_from_s = -5;
    alert_row_encode(&r, &b);
    assert_int_equal(alert_row_decode(nr_buf_bytes(&b), &back), NR_OK);
    alert_put_json(&r, false, &one);
    alert_put_json(&back, false, &two);
    assert_true(nr_bytes_eq(nr_buf_bytes(&one), nr_buf_bytes(&two)));
    /* every shorter text and every odd mark is refused */
    for (size_t n = 0; n < b.n; n++)
        assert_int_not_equal(alert_row_decode((struct nr_bytes){ b.p, n },
                                 &back),
            NR_OK);
    b.p[11 * 8] = NR_KINDS;
    assert_int_not_equal(alert_row_decode(nr_buf_bytes(&b), &back), NR_OK);
    nr_buf_fini(&b);
    nr_buf_fini(&one);
    nr_buf_fini(&two);
}

static void
validity(void **state)
{
    static const struct {
        const char *name;
        int64_t from_s, until_s, time_us;
        enum nr_validity want;
    } v[] = {
        { "open", NR_TIME_NONE, NR_TIME_NONE, 5, NR_VALID_YES },
        { "open, no time", NR_TIME_NONE, NR_TIME_NONE, NR_TIME_NONE,
            NR_VALID_YES },
        { "no time", 1, NR_TIME_NONE, NR_TIME_NONE, NR_VALID_UNKNOWN },
        { "before", 2, NR_TIME_NONE, 1999999, NR_VALID_NO },
        { "first", 2, NR_TIME_NONE, 2000000, NR_VALID_YES },
        { "last", NR_TIME_NONE, 2, 1999999, NR_VALID_YES },
        { "after", NR_TIME_NONE, 2, 2000000, NR_VALID_NO },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        struct nr_indicator x = indicator(NR_KIND_IPV4);

        x.valid_from_s = v[i].from_s;
        x.valid_until_s = v[i].until_s;
        CHECK_CASE(v[i].name,
            nr_indicator_valid_at(&x, v[i].time_us) == v[i].want);
    }
}

static void
option_texts(void **state)
{
    static const struct {
        const char *text;
        uint64_t rate; /* 0: refused */
        int64_t s;
    } rates[] = {
        { "10/1m", 10, 60 },
        { "1/s", 1, 1 },
        { "5/24h", 5, 86400 },
        { "3/36500d", 3, INT64_C(36500) * 86400 },
        { "3/36501d", 0, 0 },
        { "0/m", 0, 0 },
        { "10", 0, 0 },
        { "10/", 0, 0 },
        { "/m", 0, 0 },
        { "10/0s", 0, 0 },
        { "10/1", 0, 0 },
        { "10/-1s", 0, 0 },
        { "10/99999999999999999999s", 0, 0 },
    };

    static const struct {
        const char *text;
        unsigned want; /* 0: refused */
    } only[] = {
        { "all", NR_ALERT_ALL },
        { "denied", 1u << NR_ACTION_DENIED },
        { "allowed,unknown",
            1u << NR_ACTION_ALLOWED | 1u << NR_ACTION_UNKNOWN },
        { "", 0 },
        { "allowed,", 1u << NR_ACTION_ALLOWED },
        { "allowed,all", 0 },
        { "Denied", 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rates) / sizeof(*rates); i++) {
        uint64_t rate = 0;
        int64_t us = 0;
        bool ok = nr_alert_rate_parse(nr_str_of(rates[i].text), &rate, &us,
                      NULL) == NR_OK;

        CHECK_CASE(rates[i].text, ok == (rates[i].rate > 0));
        CHECK_CASE(rates[i].text, rate == rates[i].rate);
        CHECK_CASE(rates[i].text, us == rates[i].s * NR_US_PER_S);
    }
    for (size_t i = 0; i < sizeof(only) / sizeof(*only); i++) {
        unsigned set = 0;
        enum nr_err err = nr_alert_actions_parse(nr_str_of(only[i].text), &set,
            NULL);

        CHECK_CASE(only[i].text, (err == NR_OK) == (only[i].want > 0));
        CHECK_CASE(only[i].text, set == only[i].want);
    }
}

/* --- the limit --- */

static void
filters(void **state)
{
    struct world w;
    struct nr_alert_conf conf = conf_in(&w);
    struct nr_alert_counts c;
    struct nr_alert *a = NULL;
    struct nr_arena mem;
    struct sample s;
    char path[64];
    int fd = open_temp(path);

    (void)state;
    nr_arena_init(&mem, ROOM);
    conf.actions = NR_ALERT_ACTION(NR_ACTION_ALLOWED) |
        NR_ALERT_ACTION(NR_ACTION_DENIED);
    conf.valid_only = true;
    assert_int_equal(nr_alert_create(&conf, &a, NULL), NR_OK);
    assert_int_equal(nr_alert_add_fd(a, NR_ALERT_TSV, fd, "t", NULL), NR_OK);
    for (uint64_t n = 1; n <= 6; n++) {
        (void)hit_at(&s, n, NR_KIND_DOMAIN,
            n % 2 ? NR_ACTION_UNKNOWN : NR_ACTION_DENIED);
        s.hit.indicator.valid_until_s = T0 + 5; /* 6 is too late */
        assert_int_equal(nr_alert_hit(a, &s.hit, NULL), NR_OK);
    }
    assert_int_equal(nr_alert_finish(a, NULL), NR_OK);
    nr_alert_count(a, &c);
    assert_int_equal(c.hits, 6);
    assert_int_equal(c.passed, 2);
    assert_int_equal(c.denied, 2);
    assert_int_equal(c.rows, 2);
    nr_alert_destroy(a);
    assert_text(read_all(&mem, path),
        "2\tdomain\tevil.example\tWWW.evil.example\tdenied\t1503273602\t"
        "squid\taccess.log\t02000000000000000200000000000000\n"
        "4\tdomain\tevil.example\tWWW.evil.example\tdenied\t1503273604\t"
        "squid\taccess.log\t04000000000000000400000000000000\n");
    (void)close(fd);
    (void)unlink(path);
    nr_arena_fini(&mem);
}

/* What came out: line and count of each row. */
struct told {
    uint64_t line[4096], first[4096], count[4096];
    unsigned action[4096];
    size_t n;
    uint64_t sum;
};

static enum nr_err
tell(void *ctx, const struct alert_row *r, struct nr_diag *d)
{
    struct told *t = ctx;

    (void)d;
    assert_true(r->rollup == (r->count > 1));
    if (t->n < 4096) {
        t->line[t->n] = r->line;
        t->first[t->n] = r->first_line;
        t->count[t->n] = r->count;
        t->action[t->n] = r->action;
        t->n++;
    }
    t->sum += r->count;
    return NR_OK;
}

static void
limit(void **state)
{
    struct world w;
    struct nr_alert_conf conf = conf_in(&w);
    struct alert_roll l;
    struct told *t = calloc(1, sizeof(*t));
    struct sample s;
    struct alert_row r;

    (void)state;
    assert_non_null(t);
    conf.rate = 2;
    conf.interval_us = 60 * NR_US_PER_S;
    assert_int_equal(alert_roll_init(&l, &conf, NULL), NR_OK);
    l.row = tell;
    l.ctx = t;
    /* a hit a second for 150 s, and one denied */
    for (uint64_t n = 0; n < 150; n++) {
        r = alert_row_of(hit_at(&s, n + 1, NR_KIND_IPV4, NR_ACTION_ALLOWED));
        assert_int_equal(alert_roll_hit(&l, &r,
                             w.now_us + (int64_t)n * NR_US_PER_S, NULL),
            NR_OK);
    }
    r = alert_row_of(hit_at(&s, 151, NR_KIND_IPV4, NR_ACTION_DENIED));
    assert_int_equal(alert_roll_hit(&l, &r, w.now_us + 150 * NR_US_PER_S, NULL),
        NR_OK);
    assert_int_equal(l.held, 28);
    assert_int_equal(alert_roll_tick(&l, 0, true, NULL), NR_OK);
    assert_int_equal(l.held, 0);
    assert_int_equal(t->n, 3 * 3 + 1);
    assert_int_equal(t->sum, 151);
    assert_int_equal(t->line[2], 60); /* roll-up of 3..60 */
    assert_int_equal(t->first[2], 3);
    assert_int_equal(t->count[2], 58);
    assert_int_equal(t->line[5], 120);
    assert_int_equal(t->count[5], 58);
    assert_int_equal(t->line[8], 151); /* the denied one has its own limit */
    assert_int_equal(t->action[8], NR_ACTION_DENIED);
    assert_int_equal(t->line[9], 150);
    assert_int_equal(t->count[9], 28);
    assert_int_equal(l.map.n, 0);
    /* one that was held alone is told as itself; a clock set back ends */
    t->n = 0;
    for (uint64_t n = 0; n < 3; n++) {
        r = alert_row_of(hit_at(&s, n + 1, NR_KIND_IPV4, NR_ACTION_ALLOWED));
        assert_int_equal(alert_roll_hit(&l, &r, 1000, NULL), NR_OK);
    }
    assert_int_equal(alert_roll_tick(&l, 1000, false, NULL), NR_OK);
    assert_int_equal(t->n, 2);
    assert_int_equal(alert_roll_tick(&l, 999, false, NULL), NR_OK);
    assert_int_equal(t->n, 3);
    assert_int_equal(t->count[2], 1);
    alert_roll_fini(&l);
    free(t);
}

/* More indicators than are tracked: nothing is lost, memory stays bounded. */
static void
limit_of_memory(void **state)
{
    struct world w;
    struct nr_alert_conf conf = conf_in(&w);
    struct alert_roll l;
    struct told *t = calloc(1, sizeof(*t));
    struct sample s;
    struct alert_row r;
    const uint32_t n = NR_ALERT_TRACKED_MAX + 5000;

    (void)state;
    assert_non_null(t);
    conf.rate = 1;
    conf.interval_us = 60 * NR_US_PER_S;
    assert_int_equal(alert_roll_init(&l, &conf, NULL), NR_OK);
    l.row = tell;
    l.ctx = t;
    for (uint32_t i = 0; i < 3 * n; i++) {
        uint32_t key = i % n;

        r = alert_row_of(hit_at(&s, i, NR_KIND_IPV4, NR_ACTION_ALLOWED));
        r.indicator.key = (struct nr_bytes){ (const uint8_t *)&key, 4 };
        assert_int_equal(alert_roll_hit(&l, &r, 0, NULL), NR_OK);
        assert_true(l.map.n <= NR_ALERT_TRACKED_MAX);
        assert_true(l.held_octets <= NR_ALERT_HELD_MAX);
    }
    assert_int_equal(alert_roll_tick(&l, 0, true, NULL), NR_OK);
    assert_int_equal(t->sum, 3 * n);
    assert_int_equal(l.held_octets, 0);
    alert_roll_fini(&l);
    free(t);
}

/* --- files and states --- */

/* A run that is killed anywhere after a state and begins again from it writes
 * the same file as one that is not. */
static void
resuming(void **state)
{
    struct world w;
    struct nr_alert_conf conf = conf_in(&w);
    struct nr_arena mem;
    struct nr_buf kept;
    struct nr_alert *a, *second = NULL;
    char path[64], other[64];

    (void)state;
    (void)close(open_temp(path));
    (void)close(open_temp(other));
    nr_arena_init(&mem, ROOM);
    nr_buf_init(&kept, ROOM);
    conf.rate = 3;
    conf.interval_us = 60 * NR_US_PER_S;

    a = alert_to(&conf, NR_ALERT_TSV, path);
    hits(a, 1, 20);
    assert_int_equal(nr_alert_finish(a, NULL), NR_OK);
    nr_alert_destroy(a);

    a = alert_to(&conf, NR_ALERT_TSV, other);
    assert_int_equal(nr_alert_create(&conf, &second, NULL), NR_OK);
    assert_int_equal(nr_alert_add_file(second, NR_ALERT_TSV, other, NULL),
        NR_EBUSY);
    nr_alert_destroy(second);
    hits(a, 1, 10);
    assert_int_equal(nr_alert_save(a, &kept, NULL), NR_OK);
    hits(a, 11, 15);
    assert_int_equal(nr_alert_finish(a, NULL), NR_OK); /* rows to be cut */
    nr_alert_destroy(a);
    a = alert_to(&conf, NR_ALERT_TSV, other);
    assert_int_equal(nr_alert_load(a, nr_buf_bytes(&kept), NULL), NR_OK);
    hits(a, 11, 20);
    assert_int_equal(nr_alert_finish(a, NULL), NR_OK);
    nr_alert_destroy(a);
    assert_true(nr_str_eq(read_all(&mem, path), read_all(&mem, other)));

    /* octets that are no state are refused, an empty one is nothing */
    a = alert_to(&conf, NR_ALERT_TSV, other);
    assert_int_equal(nr_alert_load(a, NR_BYTES(""), NULL), NR_OK);
    for (size_t n = 1; n < kept.n; n++)
        assert_int_not_equal(nr_alert_load(a, (struct nr_bytes){ kept.p, n },
                                 NULL),
            NR_OK);
    nr_alert_destroy(a);
    (void)unlink(path);
    (void)unlink(other);
    nr_buf_fini(&kept);
    nr_arena_fini(&mem);
}

/* Another file under the name is not cut; a torn last line is ended. */
static void
files_of_others(void **state)
{
    struct world w;
    struct nr_alert_conf conf = conf_in(&w);
    struct nr_arena mem;
    struct nr_buf kept;
    struct nr_alert *a;
    char path[64];
    int fd;

    (void)state;
    nr_arena_init(&mem, ROOM);
    nr_buf_init(&kept, ROOM);
    fd = open_temp(path);
    a = alert_to(&conf, NR_ALERT_TSV, path);
    assert_int_equal(nr_alert_save(a, &kept, NULL), NR_OK);
    (void)unlink(path);
    (void)close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    (void)close(fd);
    nr_alert_destroy(a);
    fd = open(path, O_WRONLY | O_CLOEXEC | O_TRUNC);
    assert_int_equal(nr_fd_write(fd, NR_BYTES("torn"), NULL), NR_OK);
    (void)close(fd);
    a = alert_to(&conf, NR_ALERT_TSV, path);
    assert_int_equal(nr_alert_load(a, nr_buf_bytes(&kept), NULL), NR_OK);
    assert_int_equal(nr_alert_finish(a, NULL), NR_OK);
    nr_alert_destroy(a);
    assert_text(read_all(&mem, path), "torn\n");
    (void)unlink(path);
    nr_buf_fini(&kept);
    nr_arena_fini(&mem);
}

/* /dev/full takes nothing; a pipe without a reader is gone. */
static void
broken_outputs(void **state)
{
    struct world w;
    struct nr_alert_conf conf = conf_in(&w);
    struct nr_alert *a = alert_to(&conf, NR_ALERT_TSV, "/dev/full");
    struct nr_diag d = { 0 };
    int ends[2];

    (void)state;
    hits(a, 1, 2);
    assert_int_equal(nr_alert_tick(a, &d), NR_ESYS);
    assert_string_equal(d.name, "/dev/full");
    assert_int_equal(d.sys, ENOSPC);
    assert_false(nr_alert_is_gone(a));
    nr_alert_destroy(a);

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    (void)close(ends[0]);
    (void)signal(SIGPIPE, SIG_IGN);
    a = NULL;
    assert_int_equal(nr_alert_create(&conf, &a, NULL), NR_OK);
    assert_int_equal(nr_alert_add_fd(a, NR_ALERT_JSON, ends[1], "t", NULL),
        NR_OK);
    hits(a, 1, 2);
    assert_int_equal(nr_alert_tick(a, NULL), NR_ESYS);
    assert_true(nr_alert_is_gone(a));
    nr_alert_destroy(a);
    (void)close(ends[1]);
}

/* --- figures --- */

static void
figures(void **state)
{
    const struct nr_figure v[] = { { "lines", 12 }, { "hits", 0 } };
    struct nr_buf b;

    (void)state;
    nr_buf_init(&b, ROOM);
    nr_figures_print(v, 2, false, &b);
    nr_figures_print(v, 2, true, &b);
    assert_text((struct nr_str){ (char *)b.p, b.n },
        "lines=12 hits=0\n{\"lines\":12,\"hits\":0}\n");
    nr_buf_fini(&b);
}

static void
progress_bar(void **state)
{
    struct nr_progress p = { 0 };
    struct nr_progress_now now = { .now_us = 1000000,
        .done = 0,
        .total = 4000000000,
        .columns = 60 };
    struct nr_buf b;

    (void)state;
    nr_buf_init(&b, ROOM);
    nr_progress_clear(&p, &b);
    assert_int_equal(b.n, 0);
    nr_progress_draw(&p, &now, &b);
    assert_true(b.n > 0);
    nr_buf_reset(&b);
    now.now_us += NR_PROGRESS_EVERY_US - 1;
    nr_progress_draw(&p, &now, &b);
    assert_int_equal(b.n, 0); /* too early */
    now.now_us = 3000000;
    now.done = 1000000000;
    now.hits = 1;
    nr_progress_draw(&p, &now, &b);
    assert_text((struct nr_str){ (char *)b.p, b.n },
        "\r[====>             ]  25% 1.0 GB, 500 MB/s, 1 hit, 6 s left\033[K");
    for (unsigned columns = 1; columns < 200; columns++) {
        nr_buf_reset(&b);
        now.now_us += NR_PROGRESS_EVERY_US;
        now.columns = columns;
        nr_progress_draw(&p, &now, &b);
        assert_true(b.n - 4 <= columns - 1);
    }
    nr_buf_reset(&b);
    nr_progress_clear(&p, &b);
    assert_text((struct nr_str){ (char *)b.p, b.n }, "\r\033[K");
    nr_buf_fini(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(rows_as_text),
        NR_TEST(rows_as_octets),
        NR_TEST(validity),
        NR_TEST(option_texts),
        NR_TEST(filters),
        NR_TEST(limit),
        NR_TEST(limit_of_memory),
        NR_TEST(resuming),
        NR_TEST(files_of_others),
        NR_TEST(broken_outputs),
        NR_TEST(figures),
        NR_TEST(progress_bar),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
