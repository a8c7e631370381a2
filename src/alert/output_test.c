/* Outputs that are more than rows: sightings, syslog, commands. */
#include "alert/alert_test.h"

#include "alert/carrier.h"
#include "stix/stix.h"
#include "json/json.h"

#include <errno.h>

/* --- sightings --- */

static void
check_bundle(struct nr_arena *mem, struct nr_str line, size_t sightings,
    size_t objects)
{
    const struct nr_json *j = NULL, *list;
    struct nr_diag d = { 0 };
    struct nr_str type;
    size_t seen = 0;

    assert_int_equal(nr_json_parse(mem, nr_bytes_of(line), &j, &d), NR_OK);
    if (nr_stix_check(j, &d) != NR_OK)
        fail_msg("%s: %s in %.*s", d.name, d.what, NR_FMT(line));
    list = nr_json_get(j, NR_STR("objects"));
    for (const struct nr_json *o = list->child; o; o = o->next)
        seen += nr_json_get_str(o, NR_STR("type"), &type) &&
            nr_str_eq(type, NR_STR("sighting"));
    assert_int_equal(seen, sightings);
    assert_int_equal(list->n, objects);
}

static void
sighting_bundles(void **state)
{
    struct world w;
    struct nr_alert_conf conf = conf_in(&w);
    struct nr_arena mem;
    struct nr_alert *a;
    struct nr_str line, rest;
    struct nr_buf kept;
    struct sample s;
    char path[64];

    (void)state;
    nr_arena_init(&mem, ROOM);
    nr_buf_init(&kept, ROOM);
    (void)close(open_temp(path));
    conf.follow = true;
    a = alert_to(&conf, NR_ALERT_STIX, path);
    for (uint64_t n = 1; n <= 9; n++) {
        (void)hit_at(&s, n,
            n % 3 == 0       ? NR_KIND_IPV4
                : n % 3 == 1 ? NR_KIND_CIDR4
                             : NR_KIND_DOMAIN,
            n == 2 ? NR_ACTION_DENIED : NR_ACTION_ALLOWED);
        s.hit.indicator.tlp = n % 3 == 1 ? NR_TLP_GREEN : NR_TLP_NONE;
        if (n % 3 == 0) {
            s.hit.indicator.said.id = NR_STR(
                "indicator--26ffb872-1dd9-446e-b6f5-d58527e5b5d2");
            s.hit.indicator.tlp = NR_TLP_RED;
            s.hit.indicator.pap = NR_PAP_AMBER;
        }
        assert_int_equal(nr_alert_hit(a, &s.hit, NULL), NR_OK);
    }
    /* no state while a bundle is open */
    assert_int_equal(nr_alert_save(a, &kept, NULL), NR_EBUSY);
    assert_int_equal(kept.n, 0);
    w.now_us += NR_ALERT_BUNDLE_US;
    assert_int_equal(nr_alert_save(a, &kept, NULL), NR_OK);
    hits(a, 10, 11);
    assert_int_equal(nr_alert_finish(a, NULL), NR_OK);
    nr_alert_destroy(a);
    line = nr_str_cut(read_all(&mem, path), '\n', &rest);
    /* 2 indicators, 2 observables (the address is shared), 3 data, 3 */
    check_bundle(&mem, line, 3, 10);
    assert_non_null(memmem(line.p, line.n, "\"count\":3", 9));
    assert_non_null(memmem(line.p, line.n, "\"x_noroshi_denied\":1", 20));
    assert_non_null(memmem(line.p, line.n, "www.evil.example", 16));
    line = nr_str_cut(rest, '\n', &rest);
    check_bundle(&mem, line, 1, 4);
    assert_int_equal(rest.n, 0);
    (void)unlink(path);
    nr_buf_fini(&kept);
    nr_arena_fini(&mem);
}

/* Every kind gives a sound bundle, also with texts that want escaping. */
static void
sightings_of_all_kinds(void **state)
{
    static const struct {
        const char *kind, *text;
    } v[] = { { "ipv4", "192.0.2.1" }, { "ipv6", "2001:db8::1" },
        { "cidr", "192.0.2.0/24" }, { "cidr", "2001:db8::/32" },
        { "domain", "evil.example" }, { "url", "http://evil.example/a'b\\c" },
        { "url", "//evil.example/x" }, { "email", "a@evil.example" },
        { "md5", "d41d8cd98f00b204e9800998ecf8427e" },
        { "sha1", "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
        { "sha256",
            "e3b0c44298fc1c149afbf4c8996fb924"
            "27ae41e4649b934ca495991b7852b855" },
        { "cve", "CVE-2017-0199" }, { "filename", "a'b.exe" },
        { "asn", "AS64496" } };
    struct world w;
    struct nr_alert_conf conf = conf_in(&w);
    struct nr_arena mem;
    struct nr_alert *a;
    struct nr_str line, rest;
    struct nr_buf key;
    char path[64];

    (void)state;
    nr_arena_init(&mem, ROOM);
    nr_buf_init(&key, ROOM);
    (void)close(open_temp(path));
    a = alert_to(&conf, NR_ALERT_STIX, path);
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        struct sample s;
        enum nr_kind kind;

        nr_buf_reset(&key);
        assert_int_equal(nr_canon_named(nr_str_of(v[i].kind),
                             nr_str_of(v[i].text), &kind, &key, NULL),
            NR_OK);
        (void)hit_at(&s, i + 1, NR_KIND_IPV4, NR_ACTION_UNKNOWN);
        s.hit.indicator = nr_indicator_of(kind, nr_buf_bytes(&key));
        s.hit.indicator.value = nr_str_of(v[i].text);
        s.hit.observed = NR_BYTES("\xff no such thing");
        s.record.time_us = NR_TIME_NONE;
        assert_int_equal(nr_alert_hit(a, &s.hit, NULL), NR_OK);
    }
    assert_int_equal(nr_alert_finish(a, NULL), NR_OK);
    nr_alert_destroy(a);
    line = nr_str_cut(read_all(&mem, path), '\n', &rest);
    /* all but three have observables: a CVE, an AS number, half a URL */
    check_bundle(&mem, line, 14, 14 * 2 + 11 * 2);
    (void)unlink(path);
    nr_buf_fini(&key);
    nr_arena_fini(&mem);
}

/* --- queues --- */

/* A channel that takes octets in pieces, keeps some of them untaken, and
 * breaks, as a row of dice says. */
struct shaky {
    uint64_t dice;
    bool up, never, full;
    size_t pipe_n; /* octets written that nobody took */
    uint8_t pipe[4096];
    struct nr_buf taken; /* of all channels, whole frames only */
    struct nr_buf part;  /* of a frame, on this channel */
    unsigned breaks;
};

static unsigned
roll(struct shaky *s, unsigned sides)
{
    s->dice ^= s->dice << 13;
    s->dice ^= s->dice >> 7;
    s->dice ^= s->dice << 17;
    return (unsigned)((s->dice >> 11) % sides);
}

static enum nr_err
shaky_up(void *self, int *fd, struct nr_diag *d)
{
    struct shaky *s = self;

    if (s->never || roll(s, 4) == 0)
        return nr_fail(d, NR_ESYS, 0, "nobody there");
    s->up = true;
    s->pipe_n = 0;
    nr_buf_reset(&s->part);
    *fd = 1000; /* of no file; nobody polls it while it moves */
    return NR_OK;
}

static void
shaky_down(void *self)
{
    struct shaky *s = self;

    assert_true(s->up);
    s->up = false;
    s->breaks++;
}

/* The other side takes what it likes. */
static void
take(struct shaky *s)
{
    size_t n = s->pipe_n > 0 ? roll(s, (unsigned)s->pipe_n + 1) : 0;

    for (size_t i = 0; i < n; i++) {
        nr_buf_put_c(&s->part, (char)s->pipe[i]);
        if (s->pipe[i] == '\n') {
            nr_buf_put(&s->taken, nr_buf_bytes(&s->part));
            nr_buf_reset(&s->part);
        }
    }
    s->pipe_n -= n;
    memmove(s->pipe, s->pipe + n, s->pipe_n);
}

static ssize_t
shaky_write(void *self, struct nr_bytes in)
{
    struct shaky *s = self;
    size_t n = roll(s, 40) + 1;

    assert_true(s->up && in.n > 0);
    take(s);
    if (s->full || s->pipe_n + n > sizeof(s->pipe)) {
        errno = EAGAIN;
        return -1;
    }
    if (roll(s, 50) == 0) {
        errno = EPIPE;
        return -1;
    }
    n = n < in.n ? n : in.n;
    memcpy(s->pipe + s->pipe_n, in.p, n);
    s->pipe_n += n;
    return (ssize_t)n;
}

static bool
shaky_is_alive(void *self)
{
    struct shaky *s = self;

    take(s);
    return roll(s, 60) != 0;
}

static size_t
shaky_untaken(void *self)
{
    return ((struct shaky *)self)->pipe_n;
}

static const struct alert_channel_ops shaky_ops = {
    .up = shaky_up,
    .down = shaky_down,
    .write = shaky_write,
    .is_alive = shaky_is_alive,
    .untaken = shaky_untaken,
};

/* Whatever breaks when: every message is taken, in order but for repeats that
 * begin where the last channel's taking ended. */
static void
queue_over_breaks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct world w;
        struct nr_alert_conf conf = conf_in(&w);
        struct shaky s = { .dice = seed * 2654435761 };
        struct alert_carrier c;
        struct nr_str rest, line;
        unsigned next = 0;
        char text[32];

        nr_buf_init(&s.taken, ROOM);
        nr_buf_init(&s.part, ROOM);
        alert_carrier_init(&c, &shaky_ops, &s, "shaky", &conf);
        for (unsigned i = 0; i < 500; i++) {
            int n = snprintf(text, sizeof(text), "message %u\n", i);

            assert_int_equal(alert_carrier_put(&c,
                                 (struct nr_bytes){ (uint8_t *)text,
                                     (size_t)n },
                                 NULL),
                NR_OK);
            w.now_us += NR_ALERT_RETRY_US;
        }
        for (unsigned i = 0; i < 100000 && c.head; i++) {
            alert_carrier_pump(&c);
            w.now_us += NR_ALERT_RETRY_US;
        }
        assert_null(c.head);
        assert_int_equal(c.waiting, 0);
        assert_int_equal(c.octets, 0);
        assert_int_equal(c.dropped, 0);
        assert_true(s.breaks > 3);
        assert_true(nr_str_from_utf8(nr_buf_bytes(&s.taken), &rest));
        while (rest.n > 0) {
            uint64_t n;

            line = nr_str_cut(rest, '\n', &rest);
            assert_true(line.n > 8);
            line = (struct nr_str){ line.p + 8, line.n - 8 };
            assert_true(nr_str_to_u64(line, &n));
            assert_true(n <= next); /* no gap */
            if (n == next)
                next++;
        }
        assert_int_equal(next, 500);
        alert_carrier_fini(&c);
        nr_buf_fini(&s.taken);
        nr_buf_fini(&s.part);
    }
}

/* A queue without anybody at its end: bounded, counted, said. */
static void
queue_that_fills(void **state)
{
    struct world w;
    struct nr_alert_conf conf = conf_in(&w);
    struct shaky s = { .dice = 1, .never = true };
    struct alert_carrier c;
    const size_t n = (size_t)1 << 20;
    uint8_t *big = calloc(1, n);
    struct nr_alert_counts counts = { 0 };

    (void)state;
    assert_non_null(big);
    alert_carrier_init(&c, &shaky_ops, &s, "shaky", &conf);
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(alert_carrier_put(&c, (struct nr_bytes){ big, n },
                             NULL),
            NR_OK);
    alert_carrier_count(&c, &counts);
    assert_int_equal(counts.waiting, NR_ALERT_QUEUE_MAX / n);
    assert_int_equal(counts.dropped, 20 - NR_ALERT_QUEUE_MAX / n);
    assert_true(c.octets <= NR_ALERT_QUEUE_MAX);
    assert_string_equal(w.said,
        "shaky: nobody there; it is tried again\n"
        "shaky: the queue is full: messages are dropped from now on\n");
    alert_carrier_fini(&c);
    free(big);
}

/* The pause between tries doubles, to its limit. */
static void
queue_backs_off(void **state)
{
    struct world w;
    struct nr_alert_conf conf = conf_in(&w);
    struct shaky s = { .dice = 1, .never = true };
    struct alert_carrier c;
    int64_t pause = NR_ALERT_RETRY_US;

    (void)state;
    alert_carrier_init(&c, &shaky_ops, &s, "shaky", &conf);
    assert_int_equal(alert_carrier_put(&c, NR_BYTES("x"), NULL), NR_OK);
    for (unsigned i = 0; i < 12; i++) {
        int64_t before = c.retry_us;

        assert_int_equal(c.retry_us - w.now_us, pause);
        w.now_us = before - 1;
        alert_carrier_pump(&c);
        assert_int_equal(c.retry_us, before); /* not yet */
        w.now_us = before;
        alert_carrier_pump(&c);
        pause = pause * 2 < NR_ALERT_RETRY_MAX_US ? pause * 2
                                                  : NR_ALERT_RETRY_MAX_US;
    }
    assert_int_equal(pause, NR_ALERT_RETRY_MAX_US);
    alert_carrier_fini(&c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(sighting_bundles),
        NR_TEST(sightings_of_all_kinds),
        NR_TEST(queue_over_breaks),
        NR_TEST(queue_that_fills),
        NR_TEST(queue_backs_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
