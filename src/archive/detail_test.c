/* Hosts and octets out of lines. */
#include "base/test.h"

#include "archive/detail.h"
#include "base/buf.h"
#include "logline/logline.h"
#include "watchlist/watchlist.h"

#include <string.h>

enum who { IP, NET, NAME, URL, IP6, INDICATORS };

static const struct {
    const char *name, *text;
} said[INDICATORS] = {
    { "ipv4", "134.24.70.74" },
    { "cidr", "134.24.64.0/19" },
    { "domain", "evil.example" },
    { "url", "http://evil.example/up?x=1" },
    { "ipv6", "2001:db8::7" },
};

struct set {
    struct nr_indicator v[INDICATORS];
    const struct nr_indicator *p[INDICATORS];
    struct nr_buf key[INDICATORS];
    struct nr_detail *t;
};

static void
begin(struct set *s)
{
    for (size_t i = 0; i < INDICATORS; i++) {
        enum nr_kind kind;

        nr_buf_init(&s->key[i], 4096);
        assert_int_equal(nr_canon_named(nr_str_of(said[i].name),
                             nr_str_of(said[i].text), &kind, &s->key[i], NULL),
            NR_OK);
        s->v[i] = (struct nr_indicator){ .kind = kind,
            .key = nr_buf_bytes(&s->key[i]) };
        s->p[i] = &s->v[i];
    }
    assert_int_equal(nr_detail_new(s->p, INDICATORS, &s->t, NULL), NR_OK);
}

static void
end(struct set *s)
{
    nr_detail_free(s->t);
    for (size_t i = 0; i < INDICATORS; i++)
        nr_buf_fini(&s->key[i]);
}

static void
line(struct set *s, enum who who, unsigned source, int64_t time_s, bool denied,
    const char *text)
{
    struct nr_archive_line l = { .indicator = who,
        .file = "x",
        .time_s = time_s,
        .denied = denied,
        .source = source,
        .text = { (const uint8_t *)text, strlen(text) } };

    assert_int_equal(nr_detail_line(s->t, &l), NR_OK);
}

static void
assert_host(const struct nr_host *h, const char *name, enum nr_host_role role,
    uint64_t lines)
{
    assert_int_equal(h->host.n, strlen(name));
    assert_memory_equal(h->host.p, name, h->host.n);
    assert_int_equal(h->role, role);
    assert_int_equal(h->lines, lines);
}

#define FLOW(src, dst, out, in)                                       \
    "1483271537.1\tCjZ3\t" src "\t37508\t" dst "\t443\ttcp\tssl\t5.5" \
    "\t" out "\t" in "\tSF\tT\tF"
#define DAY_S ((int64_t)86400)

/* Out is from inside to the indicator, whoever began. */
static void
test_direction(void **state)
{
    struct set s = { 0 };
    struct nr_detail_of x;

    (void)state;
    begin(&s);
    line(&s, IP, NR_SOURCE_CONN, 10 * DAY_S, false,
        FLOW("10.0.0.5", "134.24.70.74", "1000", "7"));
    line(&s, IP, NR_SOURCE_CONN, 10 * DAY_S + 9, false,
        FLOW("134.24.70.74", "10.0.0.6", "50", "300"));
    line(&s, IP, NR_SOURCE_CONN, 11 * DAY_S, true,
        FLOW("10.0.0.5", "134.24.70.74", "4000", "7"));
    line(&s, NET, NR_SOURCE_CONN, NR_TIME_NONE, false,
        FLOW("10.0.0.5", "134.24.95.1", "11", "7"));
    line(&s, NET, NR_SOURCE_CONN, NR_TIME_NONE, false,
        FLOW("10.0.0.5", "134.24.96.1", "5", "7")); /* outside of the range */
    line(&s, IP6, NR_SOURCE_CONN, 3, false,
        FLOW("fd00::1", "2001:0db8::0007", "8", "7"));
    assert_int_equal(nr_detail_end(s.t, NULL), NR_OK);

    x = nr_detail_get(s.t, IP);
    assert_int_equal(x.n_hosts, 2);
    assert_host(&x.hosts[0], "10.0.0.5", NR_HOST_CLIENT, 2);
    assert_int_equal(x.hosts[0].denied, 1);
    assert_int_equal(x.hosts[0].first_s, 10 * DAY_S);
    assert_int_equal(x.hosts[0].last_s, 11 * DAY_S);
    assert_host(&x.hosts[1], "10.0.0.6", NR_HOST_SERVER, 1);
    assert_int_equal(x.n_out, 1); /* what was denied did not go out */
    assert_int_equal(x.out[0].day, 10);
    assert_int_equal(x.out[0].octets, 1300);
    assert_int_equal(x.out[0].lines, 2);
    assert_int_equal(x.octets, 1300);

    x = nr_detail_get(s.t, NET);
    assert_int_equal(x.n_out, 1);
    assert_int_equal(x.out[0].octets, 11);
    assert_int_equal(x.out[0].day, NR_TIME_NONE);
    x = nr_detail_get(s.t, IP6);
    assert_int_equal(x.octets, 8);
    assert_host(&x.hosts[0], "fd00::1", NR_HOST_CLIENT, 1);
    end(&s);
}

/* Two logs of one exchange are not added up; only what goes to the indicator
 * counts, not a request that merely names it. */
static void
test_sources(void **state)
{
    struct set s = { 0 };
    struct nr_detail_of x;

    (void)state;
    begin(&s);
    line(&s, NAME, NR_SOURCE_FORTINET, 5 * DAY_S, false,
        "date=2017-01-01 time=13:46:40 type=\"webfilter\" srcip=10.1.2.3 "
        "dstip=192.0.2.7 hostname=\"www.EVIL.example\" sentbyte=1800 "
        "action=\"passthrough\"");
    line(&s, NAME, NR_SOURCE_ZEEK, 5 * DAY_S, false,
        "{\"_path\":\"http\",\"ts\":1483271537.1,\"uid\":\"C1\","
        "\"id.orig_h\":\"10.1.2.3\",\"id.resp_h\":\"192.0.2.7\",\"host\":"
        "\"www.evil.example\",\"uri\":\"/a\",\"request_body_len\":1500}");
    line(&s, NAME, NR_SOURCE_ZEEK, 6 * DAY_S, false,
        "{\"_path\":\"http\",\"ts\":1483271537.1,\"uid\":\"C1\","
        "\"id.orig_h\":\"10.1.2.3\",\"id.resp_h\":\"192.0.2.7\",\"host\":"
        "\"good.example\",\"uri\":\"/?u=http://evil.example/\","
        "\"request_body_len\":1500}");
    line(&s, NAME, NR_SOURCE_ZEEK, 7 * DAY_S, false,
        "{\"_path\":\"http\",\"ts\":1483271537.1,\"uid\":\"C1\","
        "\"id.orig_h\":\"10.1.2.3\",\"id.resp_h\":\"192.0.2.7\",\"host\":"
        "\"notevil.example\",\"uri\":\"/\",\"request_body_len\":1500}");
    line(&s, URL, NR_SOURCE_ALB, 7 * DAY_S, false,
        "http 2023-04-26T12:22:55.463821Z app/x 192.168.1.10:44740 "
        "10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 \"POST "
        "http://evil.example/up?x=1 HTTP/1.1\" \"curl\"");
    line(&s, URL, NR_SOURCE_ALB, 7 * DAY_S, false,
        "http 2023-04-26T12:22:55.463821Z app/x 192.168.1.10:44740 "
        "10.0.0.1:80 0.000 0.001 0.000 200 200 34 366 \"POST "
        "http://evil.example/up?x=12 HTTP/1.1\" \"curl\"");
    assert_int_equal(nr_detail_end(s.t, NULL), NR_OK);

    x = nr_detail_get(s.t, NAME);
    assert_int_equal(x.n_out, 2);
    assert_int_equal(x.octets, 1800);
    assert_int_equal(x.n_hosts, 1);
    assert_host(&x.hosts[0], "10.1.2.3", NR_HOST_CLIENT, 4);
    x = nr_detail_get(s.t, URL);
    assert_int_equal(x.n_out, 1);
    assert_int_equal(x.octets, 34);
    end(&s);
}

/* Whose host it is depends on what wrote the line. */
static void
test_roles(void **state)
{
    struct set s = { 0 };
    struct nr_detail_of x;

    (void)state;
    begin(&s);
    line(&s, IP, NR_SOURCE_SSHD, 1, false,
        "Jan  1 23:59:59 Bastion sshd[2]: Accepted publickey for a from "
        "134.24.70.74 port 4 ssh2");
    line(&s, IP, NR_SOURCE_WINEVT, 1, false,
        "{\"EventTime\":\"2016-12-30 04:29:03\",\"Hostname\":\"WS-1.example\","
        "\"EventID\":4624,\"LogonType\":3,\"IpAddress\":\"134.24.70.74\"}");
    line(&s, IP, NR_SOURCE_ACCESS, 1, false,
        "www.example.com 134.24.70.74 - - [08/Jun/2020:06:49:01 +0000] \"GET "
        "/secret.zip HTTP/1.0\" 200 80300 \"-\" \"-\"");
    line(&s, NAME, NR_SOURCE_ACCESS, 1, false, /* a stranger's referrer */
        "203.0.113.5 - - [08/Jun/2020:06:49:01 +0000] \"GET / HTTP/1.0\" 200 "
        "80 \"http://evil.example/\" \"-\"");
    line(&s, NAME, NR_SOURCE_ACCESS, 1, false,
        "10.3.4.5 - - [08/Jun/2020:06:49:01 +0000] \"GET / HTTP/1.0\" 200 "
        "80 \"http://evil.example/\" \"-\"");
    line(&s, NAME, NR_SOURCE_DNSMASQ, 1, false,
        "Dec  2 13:06:54 gw dnsmasq[8]: reply evil.example is 78.100.90.2");
    line(&s, IP, NR_SOURCE_SQUID, 1, false,
        "1483179488.223    351 134.24.70.74 TCP_MISS/200 31689 GET "
        "http://www.example.com/ - HIER_DIRECT/156.182.53.186 text/html");
    line(&s, IP, NR_SOURCE_TEXT, 1, false, "134.24.70.74 by itself");
    assert_int_equal(nr_detail_end(s.t, NULL), NR_OK);

    x = nr_detail_get(s.t, IP);
    assert_int_equal(x.n_hosts, 3);
    assert_host(&x.hosts[0], "bastion", NR_HOST_MACHINE, 1);
    assert_host(&x.hosts[1], "ws-1.example", NR_HOST_MACHINE, 1);
    assert_host(&x.hosts[2], "www.example.com", NR_HOST_SERVER, 1);
    assert_int_equal(x.n_out, 1); /* what it fetched from our server */
    assert_int_equal(x.octets, 80300);
    x = nr_detail_get(s.t, NAME);
    assert_int_equal(x.n_hosts, 1);
    assert_host(&x.hosts[0], "10.3.4.5", NR_HOST_CLIENT, 1);
    assert_int_equal(x.n_out, 0);
    x = nr_detail_get(s.t, URL);
    assert_int_equal(x.n_hosts + x.n_out, 0);
    end(&s);
}

static void
test_cap(void **state)
{
    struct set s = { 0 };
    struct nr_detail_of x;
    char text[200];
    unsigned many = NR_DETAIL_HOSTS_MAX + 7;

    (void)state;
    begin(&s);
    for (unsigned i = 0; i < many; i++) {
        (void)snprintf(text, sizeof(text),
            FLOW("10.0.%u.%u", "134.24.70.74", "1", "1"), i / 250, i % 250);
        line(&s, IP, NR_SOURCE_CONN, 1, false, text);
        if (i == many - 1)
            line(&s, IP, NR_SOURCE_CONN, 1, false, text);
    }
    assert_int_equal(nr_detail_end(s.t, NULL), NR_OK);
    x = nr_detail_get(s.t, IP);
    assert_int_equal(x.n_hosts, NR_DETAIL_HOSTS_MAX);
    assert_int_equal(x.more, 7);
    assert_int_equal(x.hosts[0].lines, 2); /* most lines first */
    assert_host(&x.hosts[1], "10.0.0.0", NR_HOST_CLIENT, 1);
    assert_int_equal(x.octets, many + 1);
    end(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_direction),
        cmocka_unit_test(test_sources),
        cmocka_unit_test(test_roles),
        cmocka_unit_test(test_cap),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
