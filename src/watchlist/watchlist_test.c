#include "base/test.h"

#include "base/date.h"
#include "base/file.h"
#include "base/num.h"
#include "watchlist/format.h"
#include "watchlist/watchlist.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uint64_t KEY[2] = { 7, 11 };

static struct nr_watchlist_builder *
from_text(const char *text, struct nr_text_load *load)
{
    struct nr_watchlist_builder *b = nr_watchlist_builder_create(KEY);
    struct nr_diag d = { 0 };

    assert_non_null(b);
    assert_int_equal(nr_watchlist_load_text(b, nr_bytes_of(nr_str_of(text)),
                         NR_STR("test.tsv"), NULL, load, &d),
        NR_OK);
    return b;
}

static struct nr_watchlist *
list_of(const char *text)
{
    struct nr_text_load load;
    struct nr_watchlist_builder *b = from_text(text, &load);
    struct nr_watchlist *w = NULL;

    assert_int_equal(load.refused, 0);
    assert_int_equal(nr_watchlist_build(b, 0, &w, NULL), NR_OK);
    nr_watchlist_builder_destroy(b);
    return w;
}

#define LIST                                                        \
    "ipv4\t192.0.2.1\ncidr\t192.0.2.0/24\ncidr\t192.0.0.0/16\n"     \
    "cidr\t2001:db8::/32\nipv6\t2001:db8::1\ndomain\tevil.com\n"    \
    "domain\ta.evil.com\nurl\thttp://evil.com/x\nurl\tevil.net/y\n" \
    "md5\td41d8cd98f00b204e9800998ecf8427e\nemail\ta@evil.com\n"    \
    "filename\tx.exe\n"

static const struct {
    const char *text, *want; /* "line:value" joined by spaces */
} matches[] = {
    { "nothing", "" },
    { "192.0.2.1", "0:192.0.2.1 0:192.0.2.0/24 0:192.0.0.0/16" },
    { "192.0.3.1 192.0.3.2", "0:192.0.0.0/16" },
    { "191.255.255.255 192.1.0.0", "" },
    { "2001:DB8:0::0001", "0:2001:db8::/32 0:2001:db8::1" },
    { "b.a.evil.com", "0:evil.com 0:a.evil.com" },
    { "evil.com evil.com\nx\nwww.EVIL.com.", "0:evil.com 2:evil.com" },
    { "notevil.com evil.com.au", "" },
    { "http://evil.com/x", "0:http://evil.com/x 0:evil.com" },
    { "https://evil.com/x", "0:evil.com" },
    { "https://evil.net/y, http://evil.net/y", "0:evil.net/y" },
    { "ftp://evil.net/y", "" },
    { "a@evil.com", "0:evil.com 0:a@evil.com" },
    { "D41D8CD98F00B204E9800998ECF8427E",
        "0:d41d8cd98f00b204e9800998ecf8427e" },
    { "c:\\X.exe", "0:x.exe" },
};

static void
test_match(void **state)
{
    struct nr_watchlist *w = list_of(LIST);
    struct nr_tokens t;
    struct nr_matches m;

    (void)state;
    nr_tokens_init(&t, 0);
    nr_matches_init(&m);
    assert_int_equal(nr_watchlist_count(w), 12);
    assert_int_equal(nr_watchlist_unmatched_count(w), 1);
    assert_int_equal(nr_watchlist_scan_flags(w), NR_SCAN_FILES);
    t.flags = nr_watchlist_scan_flags(w);
    for (size_t i = 0; i < sizeof(matches) / sizeof(*matches); i++) {
        struct nr_str text = nr_str_of(matches[i].text);
        size_t n = 0;

        CHECK_CASE(text.p, nr_scan(nr_bytes_of(text), &t) == NR_OK);
        CHECK_CASE(text.p, nr_watchlist_match(w, &t, &m) == NR_OK);
        for (size_t k = 0; k < m.n; k++) {
            struct nr_indicator ind = nr_watchlist_get(w, m.v[k].indicator);
            char one[128];

            CHECK_CASE(text.p, t.v[m.v[k].token].line == m.v[k].line);
            (void)snprintf(one, sizeof(one), "%u:%.*s", m.v[k].line,
                (int)nr_min(ind.value.n, 100), ind.value.p);
            CHECK_CASE(text.p, strstr(matches[i].want, one));
        }
        for (const char *p = matches[i].want; *p; p++)
            n += p == matches[i].want || p[-1] == ' ';
        if (n != m.n)
            fail_msg("%s: %zu matches, wanted %zu", text.p, m.n, n);
    }
    nr_matches_fini(&m);
    nr_tokens_fini(&t);
    nr_watchlist_close(w);
}

static void
test_text(void **state)
{
    struct nr_text_load load;
    struct nr_watchlist_builder
        *b = from_text("\xef\xbb\xbf# head\r\n\r\ndomain\tevil[.]com\tmore\r\n"
                       "domain\tcom\nnothing\nipv4\t1.2.3.4",
            &load);
    struct nr_diag d = { 0 };

    (void)state;
    assert_int_equal(nr_watchlist_builder_count(b), 2);
    assert_int_equal(load.lines, 4);
    assert_int_equal(load.taken, 2);
    assert_int_equal(load.refused, 2);
    assert_int_equal(load.refused_line, 4);
    assert_string_equal(load.why.name, "line 4");
    assert_non_null(strstr(load.why.what, "two labels"));
    assert_int_equal(nr_watchlist_load_text(b, NR_BYTES("\xff\xfe\n"),
                         NR_STR(""), NULL, &load, &d),
        NR_EFORMAT);
    assert_string_equal(d.name, "line 1");
    nr_watchlist_builder_destroy(b);
}

static void
test_claims(void **state)
{
    struct nr_watchlist_builder *b = nr_watchlist_builder_create(KEY);
    struct nr_indicator i = nr_indicator_of(NR_KIND_DOMAIN,
                            NR_BYTES("evil.com")),
                        got;
    struct nr_watchlist *w = NULL;
    struct nr_claim c;
    int64_t from, to;
    size_t at = 9;

    (void)state;
    i.said = (struct nr_claim){ NR_STR("indicator--1"), NR_STR("one"),
        NR_STR("https://a"), 100 };
    i.valid_from_s = 10;
    i.valid_until_s = 20;
    i.first_seen_s = 3;
    i.tlp = 2;
    assert_int_equal(nr_watchlist_add(b, &i, NULL), NR_OK);
    assert_int_equal(nr_watchlist_add(b, &i, NULL), NR_OK); /* the same */
    i.said.source = NR_STR("two");
    i.valid_from_s = 5;
    i.last_seen_s = 30;
    i.tlp = 3;
    i.role = NR_ROLE_C2;
    i.warn = NR_STR("tlds: com");
    assert_int_equal(nr_watchlist_add(b, &i, NULL), NR_OK);
    i.key = NR_BYTES("Evil.com");
    assert_int_equal(nr_watchlist_add(b, &i, NULL), NR_EFORMAT);
    assert_int_equal(nr_watchlist_build(b, 77, &w, NULL), NR_OK);
    assert_int_equal(nr_watchlist_created_s(w), 77);
    assert_int_equal(nr_watchlist_count(w), 1);
    got = nr_watchlist_get(w, 0);
    assert_int_equal(got.n_claims, 2);
    assert_int_equal(got.valid_from_s, 5);
    assert_int_equal(got.valid_until_s, 20);
    assert_int_equal(got.tlp, 3);
    assert_int_equal(got.role, NR_ROLE_C2);
    assert_true(nr_str_eq(got.warn, NR_STR("tlds: com")));
    assert_true(nr_str_eq(got.said.id, NR_STR("indicator--1")));
    c = nr_watchlist_claim(w, 0, 1);
    assert_true(nr_str_eq(c.source, NR_STR("two")));
    assert_int_equal(c.date_s, 100);
    nr_indicator_window(&got, 1000, &from, &to);
    assert_int_equal(from, 3);
    assert_int_equal(to, 30);
    assert_true(
        nr_watchlist_find(w, NR_KIND_DOMAIN, NR_BYTES("evil.com"), &at));
    assert_int_equal(at, 0);
    assert_false(
        nr_watchlist_find(w, NR_KIND_DOMAIN, NR_BYTES("evil.net"), &at));
    nr_watchlist_close(w);
    nr_watchlist_builder_destroy(b);
}

static void
test_window(void **state)
{
    struct nr_indicator i = nr_indicator_of(NR_KIND_IPV4, NR_BYTES("\1\2\3\4"));
    int64_t from, to;

    (void)state;
    nr_indicator_window(&i, 50, &from, &to);
    assert_true(from == 50 && to == 50);
    i.valid_from_s = 20;
    nr_indicator_window(&i, 50, &from, &to);
    assert_true(from == 20 && to == 50);
    nr_indicator_window(&i, 10, &from, &to);
    assert_true(from == 20 && to == 20);
}

/* Every octet of a file flipped: refused, or (never here) the same answers. */
static void
test_damage(void **state)
{
    struct nr_text_load load;
    struct nr_watchlist_builder *b = from_text(LIST, &load);
    char dir[] = "/tmp/nr-list-XXXXXX", path[NR_PATH_MAX];
    struct nr_watchlist *w = NULL;
    struct nr_bytes file;
    struct nr_arena a;
    struct nr_diag d = { 0 };
    uint8_t *copy;

    (void)state;
    nr_arena_init(&a, 1 << 24);
    assert_non_null(mkdtemp(dir));
    assert_int_equal(nr_path_join(path, dir, "list", NULL), NR_OK);
    assert_int_equal(nr_watchlist_write(b, path, 1, NULL), NR_OK);
    assert_int_equal(nr_watchlist_open(path, &w, NULL), NR_OK);
    assert_int_equal(nr_watchlist_count(w), 12);
    nr_watchlist_close(w);
    assert_int_equal(nr_file_read(&a, path, 1 << 20, &file, NULL), NR_OK);
    assert_true(nr_watchlist_is_one(file));
    copy = nr_new(&a, uint8_t, file.n);
    for (size_t i = 0; i < file.n; i++) {
        memcpy(copy, file.p, file.n);
        copy[i] ^= 0x40;
        assert_int_not_equal(nr_watchlist_decode((struct nr_bytes){ copy,
                                                     file.n },
                                 &w, NULL),
            NR_OK);
        assert_int_not_equal(nr_watchlist_decode((struct nr_bytes){ file.p, i },
                                 &w, NULL),
            NR_OK);
    }
    assert_int_equal(nr_file_replace(path, nr_bytes_sub(file, 0, file.n - 1),
                         0600, NULL),
        NR_OK);
    assert_int_equal(nr_watchlist_open(path, &w, &d), NR_ETRUNC);
    assert_string_equal(d.name, path);
    assert_int_equal(unlink(path), 0);
    d = (struct nr_diag){ 0 };
    assert_int_equal(nr_watchlist_open(path, &w, &d), NR_ENOTFOUND);
    assert_int_equal(rmdir(dir), 0);
    nr_arena_fini(&a);
    nr_watchlist_builder_destroy(b);
}

/* Many entries: every one found, none else. */
static void
test_many(void **state)
{
    struct nr_watchlist_builder *b = nr_watchlist_builder_create(KEY);
    struct nr_watchlist *w = NULL;
    uint8_t key[4] = { 0 };
    size_t at;

    (void)state;
    for (unsigned i = 0; i < 20000; i++) {
        struct nr_indicator ind = nr_indicator_of(NR_KIND_IPV4,
            (struct nr_bytes){ key, 4 });

        key[2] = (uint8_t)(i >> 8);
        key[3] = (uint8_t)i;
        assert_int_equal(nr_watchlist_add(b, &ind, NULL), NR_OK);
    }
    assert_int_equal(nr_watchlist_build(b, 0, &w, NULL), NR_OK);
    for (unsigned i = 0; i < 65536; i++) {
        key[2] = (uint8_t)(i >> 8);
        key[3] = (uint8_t)i;
        at = SIZE_MAX;
        assert_int_equal(nr_watchlist_find(w, NR_KIND_IPV4,
                             (struct nr_bytes){ key, 4 }, &at),
            i < 20000);
        assert_true(i >= 20000 || at == i);
    }
    nr_watchlist_close(w);
    nr_watchlist_builder_destroy(b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_match),
        NR_TEST(test_text),
        NR_TEST(test_claims),
        NR_TEST(test_window),
        NR_TEST(test_damage),
        NR_TEST(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
