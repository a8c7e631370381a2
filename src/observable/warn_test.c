#include "base/test.h"

#include "base/file.h"
#include "observable/observable.h"

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
    struct nr_warnlists *w = NULL;
    struct nr_warn_hit hit = { 0 };
    struct nr_diag d = { 0 };

    (void)state;
    assert_int_equal(nr_warn_load(lists_dir, &w, NULL), NR_OK);
    assert_true(listed(w, NR_KIND_IPV4, "192.168.1.1", &hit));
    assert_int_equal(nr_warn_allow(w, NR_STR("192.168.0.0/16"), &d), NR_OK);
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

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_installed),
        NR_TEST(test_allow),
        NR_TEST(test_own),
    };

    if (argc != 2)
        return 2;
    lists_dir = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
