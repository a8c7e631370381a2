/* What nr_canon_plain() takes is what nr_canon() makes of it. */
#include "base/file.h"
#include "base/num.h"
#include "base/test.h"

#include "observable/observable.h"

#include <string.h>

#define MUTATIONS ((size_t)1000000)
#define TEXT_MAX  ((size_t)96)

static const struct {
    enum nr_kind kind;
    const char *text;
    bool plain;
} rows[] = {
    { NR_KIND_DOMAIN, "evil.example", true },
    { NR_KIND_DOMAIN, "a-b_c.evil.x1", true },
    { NR_KIND_DOMAIN, "_dmarc.xn--wgv71a119e.jp", true },
    { NR_KIND_DOMAIN, "Evil.example", false },
    { NR_KIND_DOMAIN, "evil.example.", false },
    { NR_KIND_DOMAIN, "*.evil.example", false },
    { NR_KIND_DOMAIN, "evil..example", false },
    { NR_KIND_DOMAIN, ".evil.example", false },
    { NR_KIND_DOMAIN, "example", false },
    { NR_KIND_DOMAIN, "evil.1x", false },
    { NR_KIND_DOMAIN, "evil.x", false },
    { NR_KIND_DOMAIN, "evil.com-", false },
    { NR_KIND_DOMAIN, "evil.com ", false },
    { NR_KIND_DOMAIN, "", false },
    { NR_KIND_DOMAIN, "evil[.]example", false },
    { NR_KIND_URL, "http://evil.example/", true },
    { NR_KIND_URL, "https://192.0.2.1/a/B?c=%20d#e", true },
    { NR_KIND_URL, "http://evil.example/http://a.example/x", true },
    { NR_KIND_URL, "http://evil.example/hxxp://a.example/x", true },
    { NR_KIND_URL, "http://evil.example", false },
    { NR_KIND_URL, "http://Evil.example/", false },
    { NR_KIND_URL, "HTTP://evil.example/", false },
    { NR_KIND_URL, "hxxp://evil.example/", false },
    { NR_KIND_URL, "http://evil.example:80/", true },
    { NR_KIND_URL, "http://evil.example:/", true },
    { NR_KIND_URL, "http://evil.example:80a/", false },
    { NR_KIND_URL, "http://evil.example:80", false },
    { NR_KIND_URL, "http:///", false },
    { NR_KIND_URL, "http://evil.example/a b", false },
    { NR_KIND_URL, "http://evil.example/a[.]b", false },
    { NR_KIND_URL, "http://evil.example/a>", false },
    { NR_KIND_URL, "evil.example/", false },
    { NR_KIND_EMAIL, "a.b+c@evil.example", true },
    { NR_KIND_EMAIL, "A@evil.example", false },
    { NR_KIND_EMAIL, "@evil.example", false },
    { NR_KIND_EMAIL, "a@b@evil.example", false },
    { NR_KIND_EMAIL, "a@example", false },
    { NR_KIND_MD5, "00112233445566778899aabbccddeeFF", true },
    { NR_KIND_MD5, "00112233445566778899aabbccddeeF", false },
    { NR_KIND_MD5, "00112233445566778899aabbccddeeFg", false },
    { NR_KIND_SHA1, "00112233445566778899aabbccddeeFF00112233", true },
    { NR_KIND_SHA1, "00112233445566778899aabbccddeeFF", false },
    { NR_KIND_SHA256,
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeFF",
        true },
    { NR_KIND_IPV4, "192.0.2.1", true },
    { NR_KIND_IPV4, "192.0.2.01", false },
    { NR_KIND_IPV4, "192.0.2.256", false },
    { NR_KIND_IPV4, "192.0.2.1:80", false },
    { NR_KIND_IPV6, "2001:DB8::1", true },
    { NR_KIND_IPV6, "::ffff:192.0.2.1", true },
    { NR_KIND_IPV6, "[2001:db8::1]", false },
    { NR_KIND_IPV6, "2001:db8::1%eth0", false },
    { NR_KIND_CIDR4, "192.0.2.77/24", true },
    { NR_KIND_CIDR4, "192.0.2.77/024", true },
    { NR_KIND_CIDR4, "192.0.2.77/0", true },
    { NR_KIND_CIDR4, "192.0.2.77/33", false },
    { NR_KIND_CIDR4, "192.0.2.77/", false },
    { NR_KIND_CIDR4, "192.0.2.77", false },
    { NR_KIND_CIDR6, "2001:db8:ffff::/33", true },
    { NR_KIND_CIDR6, "2001:db8::/129", false },
    { NR_KIND_SHA512, "00", false },
    { NR_KIND_FILENAME, "evil.exe", false },
    { NR_KIND_CVE, "CVE-2017-0199", false },
    { NR_KIND_ASN, "AS64496", false },
};

#define ROWS (sizeof(rows) / sizeof(*rows))

/* Texts that only nr_canon_plain_guess() can be wrong about. */
static const char *const shapes[] = {
    "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2",
    "t13d1516h2_8daaf6152771_e5627efa2ab1",
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "cve-2017-0199",
    "evil.example/path",
    "http.evil.example/path",
    "httpd",
    "http://a@evil.example/",
    "1.2.3.4.x1",
    "1.2.3.4",
    "a.b.c.d4",
    "1.2",
    "12",
    "dead.beef",
    "cafe::beef/64",
    "10.0.0.1/8",
    "2001:db8::1",
};

struct counts {
    size_t plain, other;
};

/* Does KEY stand where it may: in TEXT or in BUF? */
static bool
is_within(struct nr_bytes key, const uint8_t *p, size_t n)
{
    return key.p >= p && key.p + key.n <= p + n;
}

static void
compare(enum nr_kind kind, struct nr_bytes text, bool plain, const uint8_t *buf,
    struct nr_bytes key)
{
    struct nr_str s;
    struct nr_buf want;

    if (!plain)
        return;
    assert_true(
        is_within(key, text.p, text.n) || is_within(key, buf, NR_PLAIN_MAX));
    assert_true(nr_str_from_utf8(text, &s));
    nr_buf_init(&want, NR_KEY_MAX);
    if (nr_canon(kind, s, &want, NULL) != NR_OK ||
        !nr_bytes_eq(nr_buf_bytes(&want), key))
        fail_msg("kind %d: %.*s", (int)kind, (int)text.n, (const char *)text.p);
    assert_true(nr_key_is_sound((unsigned)kind, key));
    nr_buf_fini(&want);
}

/* TEXT as each kind, and without one. */
static void
check(struct nr_bytes text, struct counts *c)
{
    uint8_t buf[NR_PLAIN_MAX];
    struct nr_bytes key;
    enum nr_kind kind;

    for (unsigned k = 0; k < NR_KINDS; k++) {
        bool plain = nr_canon_plain((enum nr_kind)k, text, buf, &key);

        compare((enum nr_kind)k, text, plain, buf, key);
        c->plain += plain;
        c->other += !plain;
    }
    if (nr_canon_plain_guess(text, &kind, buf, &key)) {
        enum nr_kind want_kind = NR_KIND_ASN;
        struct nr_buf want;
        struct nr_str s;

        compare(kind, text, true, buf, key);
        assert_true(nr_str_from_utf8(text, &s));
        nr_buf_init(&want, NR_KEY_MAX);
        if (nr_canon_guess(s, &want_kind, &want, NULL) != NR_OK ||
            want_kind != kind || !nr_bytes_eq(nr_buf_bytes(&want), key))
            fail_msg("guess %d, not %d: %.*s", (int)kind, (int)want_kind,
                (int)text.n, (const char *)text.p);
        nr_buf_fini(&want);
    }
}

static void
test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        struct nr_bytes text = nr_bytes_of(nr_str_of(rows[i].text)), key;
        uint8_t buf[NR_PLAIN_MAX];

        if (nr_canon_plain(rows[i].kind, text, buf, &key) != rows[i].plain)
            fail_msg("%s", rows[i].text);
    }
}

/* What a list holds is plain: else the short way would be of no use. */
static void
test_guess(void **state)
{
    (void)state;
    for (size_t i = 0; i < ROWS; i++) {
        struct nr_bytes text = nr_bytes_of(nr_str_of(rows[i].text)), key;
        uint8_t buf[NR_PLAIN_MAX];
        enum nr_kind kind;

        if (!rows[i].plain)
            continue;
        assert_true(nr_canon_plain_guess(text, &kind, buf, &key));
        assert_int_equal(kind, rows[i].kind);
    }
}

static void
test_lengths(void **state)
{
    char text[600];
    struct counts c = { 0 };

    (void)state;
    for (size_t n = 1; n < sizeof(text); n++) {
        for (size_t i = 0; i < n; i++)
            text[i] = i % 60 == 59 ? '.' : 'a';
        check((struct nr_bytes){ (const uint8_t *)text, n }, &c);
        text[nr_min(n / 2, 64)] = '@';
        check((struct nr_bytes){ (const uint8_t *)text, n }, &c);
        memset(text, 'a', n);
        text[n / 2] = '.';
        check((struct nr_bytes){ (const uint8_t *)text, n }, &c);
    }
    assert_true(c.plain > 300);
}

static uint64_t
next(uint64_t *x)
{
    *x ^= *x << 13;
    *x ^= *x >> 7;
    *x ^= *x << 17;
    return *x;
}

/* One to three octets changed, put in or taken out, or another row's tail. */
static size_t
mutate(uint8_t *text, size_t n, uint64_t *x)
{
    static const char likely[] = ".-_/:@%?#=&~+*[]()\\\"'<>|,; \t\r"
                                 "0123456789abcdefxyzABCDEFXYZ\x80\xc3";

    for (uint64_t edits = next(x) % 3 + 1; edits > 0 && n > 0; edits--) {
        size_t at = next(x) % n;
        uint8_t c = next(x) % 8
            ? (uint8_t)likely[next(x) % (sizeof(likely) - 1)]
            : (uint8_t)next(x);

        switch (next(x) % 4) {
        case 0:
            text[at] = c;
            break;
        case 1:
            if (n < TEXT_MAX) {
                memmove(text + at + 1, text + at, n - at);
                text[at] = c;
                n++;
            }
            break;
        case 2:
            memmove(text + at, text + at + 1, n - at - 1);
            n--;
            break;
        default: {
            const char *tail = rows[next(x) % ROWS].text;
            size_t from = strlen(tail) ? next(x) % strlen(tail) : 0;
            size_t add = nr_min(strlen(tail) - from, TEXT_MAX - at);

            memcpy(text + at, tail + from, add);
            n = at + add;
        }
        }
    }
    return n;
}

static void
test_mutants(void **state)
{
    const size_t sources = ROWS + sizeof(shapes) / sizeof(*shapes);
    uint8_t text[TEXT_MAX];
    uint64_t x = 20261124;
    struct counts c = { 0 };

    (void)state;
    for (size_t i = 0; i < MUTATIONS; i++) {
        size_t row = i % sources;
        const char *from = row < ROWS ? rows[row].text : shapes[row - ROWS];
        size_t n = nr_min(strlen(from), TEXT_MAX);

        memcpy(text, from, n);
        n = mutate(text, n, &x);
        check((struct nr_bytes){ text, n }, &c);
    }
    assert_true(c.plain > MUTATIONS / 20);
    assert_true(c.other > MUTATIONS / 20);
}

static void
test_shapes(void **state)
{
    struct counts c = { 0 };

    (void)state;
    for (size_t i = 0; i < sizeof(shapes) / sizeof(*shapes); i++)
        check(nr_bytes_of(nr_str_of(shapes[i])), &c);
    assert_true(c.other > 0);
}

static const char *lists_dir; /* argv[1]: lists that others published */

/* Every word of every file, whatever its form. */
static void
test_published(void **state)
{
    static const char ends[] = " \t\r\n,;\"'()<>[]{}|";
    struct counts c = { 0 };
    struct nr_names names = { 0 };
    struct nr_arena a;

    (void)state;
    nr_arena_init(&a, (size_t)64 << 20);
    assert_int_equal(nr_dir_list(&a, lists_dir, 1000, &names, NULL), NR_OK);
    for (size_t i = 0; i < names.n; i++) {
        char path[NR_PATH_MAX];
        struct nr_bytes in;

        assert_int_equal(nr_path_join(path, lists_dir, names.v[i], NULL),
            NR_OK);
        assert_int_equal(nr_file_read(&a, path, (size_t)1 << 24, &in, NULL),
            NR_OK);
        for (size_t at = 0, end; at < in.n; at = end + 1) {
            end = at;
            while (end < in.n && !memchr(ends, in.p[end], sizeof(ends) - 1))
                end++;
            if (end > at)
                check(nr_bytes_sub(in, at, end), &c);
        }
    }
    assert_true(c.plain > 1000);
    nr_arena_fini(&a);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_guess),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_mutants),
        cmocka_unit_test(test_published),
    };

    if (argc != 2)
        return 2;
    lists_dir = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
