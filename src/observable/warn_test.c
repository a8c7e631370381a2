#include "base/test.h"

#include "base/file.h"
#include "base/num.h"
#include "observable/observable.h"
#include "observable/warn.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *lists_dir; /* argv[1]: the lists as installed */

static bool
listed(const struct nr_warnlists *w, enum nr_kind kind, const char *text,
    struct nr_warn_hit *hit)
{
    struct nr_buf key;
    bool is;

    nr_buf_init(&key, NR_KEY_MAX);
    CHECK_CASE(text, nr_canon(kind, nr_str_of(text), &key, NULL) == NR_OK);
    is = nr_warn_check(w, kind, nr_buf_bytes(&key), hit);
    nr_buf_fini(&key);
    return is;
}

static const struct {
    enum nr_kind kind;
    const char *text, *list, *entry; /* list NULL: not listed */
} cases[] = {
    { NR_KIND_IPV4, "10.1.2.3", "rfc1918", "10.0.0.0/8" },
    { NR_KIND_IPV4, "11.1.2.3", NULL, NULL },
    { NR_KIND_CIDR4, "10.1.0.0/16", "rfc1918", "10.0.0.0/8" },
    { NR_KIND_CIDR4, "0.0.0.0/0", NULL, NULL },
    { NR_KIND_IPV6, "2001:db8::1", "rfc3849", "2001:DB8::/32" },
    { NR_KIND_MD5, "d41d8cd98f00b204e9800998ecf8427e", "empty-hashes",
        "d41d8cd98f00b204e9800998ecf8427e" },
};

static void
test_installed(void **state)
{
    struct nr_warnlists *w = NULL;
    struct nr_warn_hit hit = { 0 };

    (void)state;
    assert_int_equal(nr_warn_load(lists_dir, &w, NULL), NR_OK);
    assert_int_equal(nr_warn_list_count(w), 50);
    assert_true(nr_warn_entry_count(w) > 100000);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        bool is = listed(w, cases[i].kind, cases[i].text, &hit);

        CHECK_CASE(cases[i].text, is == (cases[i].list != NULL));
        CHECK_CASE(cases[i].text,
            !is || nr_str_eq(hit.entry, nr_str_of(cases[i].entry)));
    }
    assert_true(listed(w, NR_KIND_DOMAIN, "x.duckdns.org", &hit));
    assert_false(listed(w, NR_KIND_DOMAIN, "notduckdns.org", &hit));
    assert_true(listed(w, NR_KIND_URL, "http://www.google.com/x", &hit));
    assert_false(listed(w, NR_KIND_IPV4, "11.1.2.3", &hit));
    assert_false(listed(w, NR_KIND_CIDR4, "0.0.0.0/0", &hit));
    assert_false(nr_warn_check(NULL, NR_KIND_IPV4, NR_BYTES("\1\2\3\4"), &hit));
    nr_warn_destroy(w);
}

static void
test_allow(void **state)
{
    uint64_t version;
    struct nr_warnlists *w = NULL;
    struct nr_warn_hit hit = { 0 };
    struct nr_diag d = { 0 };

    (void)state;
    assert_int_equal(nr_warn_load(lists_dir, &w, NULL), NR_OK);
    version = nr_warn_version(w);
    assert_int_not_equal(version, nr_warn_version(NULL));
    assert_true(listed(w, NR_KIND_IPV4, "192.168.1.1", &hit));
    assert_int_equal(nr_warn_allow(w, NR_STR("192.168.0.0/16"), &d), NR_OK);
    assert_int_not_equal(version, nr_warn_version(w));
    assert_false(listed(w, NR_KIND_IPV4, "192.168.1.1", &hit));
    assert_true(listed(w, NR_KIND_IPV4, "10.0.0.1", &hit));
    assert_int_equal(nr_warn_allow(w, NR_STR("rfc1918"), &d), NR_OK);
    assert_int_equal(nr_warn_allow(w, NR_STR("rfc5735"), &d), NR_OK);
    assert_false(listed(w, NR_KIND_IPV4, "10.0.0.1", &hit));
    assert_true(listed(w, NR_KIND_DOMAIN, "a.b.duckdns.org", &hit));
    assert_int_equal(nr_warn_allow(w, NR_STR("b.duckdns.org"), &d), NR_OK);
    assert_false(listed(w, NR_KIND_DOMAIN, "a.b.duckdns.org", &hit));
    assert_true(listed(w, NR_KIND_DOMAIN, "c.duckdns.org", &hit));
    assert_int_equal(nr_warn_allow(w, NR_STR("not a thing"), &d), NR_EFORMAT);
    nr_warn_destroy(w);
}

static void
put_list(const char *dir, const char *text)
{
    char path[NR_PATH_MAX];

    assert_int_equal(nr_path_join(path, dir, "own.json", NULL), NR_OK);
    assert_int_equal(nr_file_replace(path, nr_bytes_of(nr_str_of(text)), 0600,
                         NULL),
        NR_OK);
}

/* The types that the installed lists do not use, and what is refused. */
static void
test_own(void **state)
{
    static const char *const bad[] = { "", "{}", "[]", "{\"list\":[]}",
        "{\"type\":\"colour\",\"list\":[]}", "{\"type\":\"cidr\",\"list\":[1]}",
        "{\"type\":\"cidr\",\"list\":[\"1.2.3.4/99\"]}",
        "{\"type\":\"string\",\"list\":[\"\"]}",
        "{\"type\":\"regex\",\"list\":[\"(\"]}" };
    char dir[] = "/tmp/nr-warn-XXXXXX", path[NR_PATH_MAX];
    struct nr_warnlists *w = NULL;
    struct nr_warn_hit hit = { 0 };

    (void)state;
    assert_non_null(mkdtemp(dir));
    assert_int_equal(nr_warn_load(dir, &w, NULL), NR_ENOTFOUND);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct nr_diag d = { 0 };

        put_list(dir, bad[i]);
        CHECK_CASE(bad[i], nr_warn_load(dir, &w, &d) != NR_OK);
        CHECK_CASE(bad[i], strstr(d.name, "own.json"));
    }
    put_list(dir,
        "{\"type\":\"regex\",\"list\":[\"/^https?:\\\\/\\\\/evil/i\"],"
        "\"matching_attributes\":[\"url\"]}");
    assert_int_equal(nr_warn_load(dir, &w, NULL), NR_OK);
    assert_false(listed(w, NR_KIND_DOMAIN, "evil.com", &hit));
    assert_true(listed(w, NR_KIND_URL, "http://evil.com/", &hit));
    assert_true(nr_str_eq(hit.list, NR_STR("own")));
    nr_warn_destroy(w);
    put_list(dir, "{\"type\":\"substring\",\"list\":[\"abc\",\"longer\"]}");
    assert_int_equal(nr_warn_load(dir, &w, NULL), NR_OK);
    assert_true(listed(w, NR_KIND_DOMAIN, "x.ABCd.com", &hit));
    assert_true(listed(w, NR_KIND_URL, "http://a.com/xlonger", &hit));
    assert_false(listed(w, NR_KIND_URL, "http://a.com/longe", &hit));
    nr_warn_destroy(w);
    assert_int_equal(nr_path_join(path, dir, "own.json", NULL), NR_OK);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(dir), 0);
}

/* --- the bits in front of the tables never say no to what is there --- */

#define QUESTIONS ((size_t)200000)

struct both {
    struct nr_warnlists *w;
    struct nr_warn_filter *bits, *ones; /* as made; all set */
    size_t asked, listed;
};

/* One answer by the bits, one with all of them set. */
static void
ask_both(struct both *b, enum nr_kind kind, struct nr_bytes key)
{
    struct nr_warn_hit hit[2] = { { .entry = NR_STR("") } };
    bool is[2];

    b->w->filter = b->bits;
    is[0] = nr_warn_check(b->w, kind, key, &hit[0]);
    b->w->filter = b->ones;
    is[1] = nr_warn_check(b->w, kind, key, &hit[1]);
    b->w->filter = b->bits;
    if (is[0] != is[1] || (is[0] && hit[0].entry.p != hit[1].entry.p))
        fail_msg("kind %d: %.*s: %d, %d", (int)kind, (int)key.n,
            (const char *)key.p, is[0], is[1]);
    b->asked++;
    b->listed += is[0];
}

/* TEXT as whatever it can be. */
static void
ask_text_both(struct both *b, const char *text)
{
    struct nr_buf key;

    nr_buf_init(&key, NR_KEY_MAX);
    for (unsigned k = 0; k < NR_KINDS; k++) {
        nr_buf_reset(&key);
        if (nr_canon((enum nr_kind)k, nr_str_of(text), &key, NULL) == NR_OK)
            ask_both(b, (enum nr_kind)k, nr_buf_bytes(&key));
    }
    nr_buf_fini(&key);
}

static uint64_t
next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

static struct nr_bytes
some_key(const struct nr_table *t, uint64_t *x)
{
    for (;;) {
        struct nr_bytes key = t->slots[next(x) % t->cap].key;

        if (key.p)
            return key;
    }
}

/* An entry with something before it, behind it, or changed in it. */
static void
ask_near_name(struct both *b, struct nr_bytes name, uint64_t *x)
{
    static const char *const forms[] = { "%.*s", "x.%.*s", "x%.*s", "%.*s.x",
        "http://%.*s/", "http://a.%.*s/b", "http://a.example/%.*s",
        "http://a.example/x.%.*s", "a@%.*s", "a@b.%.*s", "%.*s@b.example",
        "a.b.c.d.e.f.%.*s", "1.%.*s" };
    char text[400], copy[200];
    size_t n = nr_min(name.n, sizeof(copy));
    const char *form = forms[next(x) % (sizeof(forms) / sizeof(*forms))];

    memcpy(copy, name.p, n);
    if (n > 0 && next(x) % 4 == 0)
        copy[next(x) % n] = (char)('a' + next(x) % 26);
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(text, sizeof(text), form, (int)n, copy);
#pragma GCC diagnostic pop
    ask_text_both(b, text);
}

static void
ask_near_net(struct both *b, struct nr_bytes net, uint64_t *x)
{
    uint8_t key[17];
    size_t octets = net.n - 1, len = net.p[octets];
    enum nr_kind kind = octets == 4 ? NR_KIND_IPV4 : NR_KIND_IPV6;

    memcpy(key, net.p, net.n);
    for (size_t i = len; i < octets * 8; i++)
        if (next(x) & 1)
            key[i / 8] = (uint8_t)(key[i / 8] ^ 0x80 >> (i % 8));
    if (next(x) % 4 == 0)
        key[next(x) % octets] ^= 1;
    ask_both(b, kind, (struct nr_bytes){ key, octets });
    len = next(x) % (octets * 8 + 1);
    for (size_t i = len; i < octets * 8; i++)
        key[i / 8] &= (uint8_t) ~(0x80 >> (i % 8));
    key[octets] = (uint8_t)len;
    kind = octets == 4 ? NR_KIND_CIDR4 : NR_KIND_CIDR6;
    ask_both(b, kind, (struct nr_bytes){ key, octets + 1 });
}

/* More suffixes than are asked about together. */
static void
ask_many_dots(struct both *b)
{
    char text[300] = "http://";
    size_t listed_before = b->listed;

    for (size_t i = 0; i < 50; i++)
        memcpy(text + 7 + 4 * i, "com.", 5);
    memcpy(text + 7 + 200, "duckdns.org", 12);
    ask_text_both(b, text + 7);
    assert_true(b->listed > listed_before);
    memcpy(text + 7 + 200, "notduckdns.org/", 16);
    ask_text_both(b, text);
}

static void
test_bits(void **state)
{
    struct both b = { 0 };
    uint64_t x = 20261124;

    (void)state;
    assert_int_equal(nr_warn_load(lists_dir, &b.w, NULL), NR_OK);
    b.bits = b.w->filter;
    b.ones = malloc(sizeof(*b.ones));
    assert_non_null(b.ones);
    memset(b.ones, 0xff, sizeof(*b.ones));
    memset(b.ones->ends, true, sizeof(b.ones->ends));
    for (size_t i = 0; i < QUESTIONS / 8; i++) {
        struct nr_bytes gram = some_key(&b.w->grams[i & 1], &x);
        const struct nr_warn_entry *e = (struct nr_warn_entry
                *)(uintptr_t)*nr_table_get(&b.w->grams[i & 1], gram);

        ask_near_name(&b, some_key(&b.w->names, &x), &x);
        ask_near_name(&b, e->plain, &x);
        ask_near_net(&b, some_key(&b.w->nets, &x), &x);
    }
    ask_many_dots(&b);
    assert_true(b.asked > QUESTIONS / 2);
    assert_true(b.listed > b.asked / 4 && b.listed < b.asked);
    free(b.ones);
    nr_warn_destroy(b.w);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_installed),
        NR_TEST(test_allow),
        NR_TEST(test_own),
        NR_TEST(test_bits),
    };

    if (argc != 2)
        return 2;
    lists_dir = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
