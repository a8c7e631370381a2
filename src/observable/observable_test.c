#include "base/test.h"

#include "base/hash.h"
#include "observable/observable.h"
#include "observable/rules.h"

#include <string.h>

static const struct {
    const char *kind, *text, *want; /* want NULL: refused */
} canons[] = {
    { "ipv4", "192.0.2.1", "192.0.2.1" },
    { "ipv4", " 192[.]0.2(.)1\r\n", "192.0.2.1" },
    { "ipv4", "192.0.2.01", NULL },
    { "ipv4", "192.0.2.256", NULL },
    { "ipv4", "192.0.2", NULL },
    { "ipv4", "192.0.2.1.", NULL },
    { "ipv4", "", NULL },
    { "ip", "2001:DB8::1", "2001:db8::1" },
    { "ip", "192.0.2.0/24", "192.0.2.0/24" },
    { "cidr", "192.0.2.77/24", "192.0.2.0/24" },
    { "cidr", "192.0.2.77/0", "0.0.0.0/0" },
    { "cidr", "192.0.2.77/32", "192.0.2.77/32" },
    { "cidr", "192.0.2.77/33", NULL },
    { "cidr", "192.0.2.77", NULL },
    { "cidr", "192.0.2.77/", NULL },
    { "cidr", "2001:db8:ffff::/33", "2001:db8:8000::/33" },
    { "cidr", "2001:db8::/129", NULL },
    { "ipv6", "2001:0db8:0:0:1:0:0:1", "2001:db8::1:0:0:1" },
    { "ipv6", "2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1" },
    { "ipv6", "::", "::" },
    { "ipv6", "1::", "1::" },
    { "ipv6", "1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0" },
    { "ipv6", "::ffff:192.0.2.1", "::ffff:192.0.2.1" },
    { "ipv6", "::FFFF:C000:0201", "::ffff:192.0.2.1" },
    { "ipv6", "1:2:3:4:5:6:7:8::", NULL },
    { "ipv6", "1::2::3", NULL },
    { "ipv6", "12345::", NULL },
    { "ipv6", ":1::", NULL },
    { "ipv6", "1::2:", NULL },
    { "ipv6", "::192.0.2.1:1", NULL },
    { "domain", "Evil.COM.", "evil.com" },
    { "domain", "evil[.]com", "evil.com" },
    { "domain", "evil[dot]co[.jp", "evil.co.jp" },
    { "domain", "evil\\.com", "evil.com" },
    { "domain", "*.evil.com", "evil.com" },
    { "domain", "日本語.jp", "xn--wgv71a119e.jp" },
    { "domain", "ＥＶＩＬ。com", "evil.com" },
    { "domain", "xn--p1ai.xn--p1ai", "xn--p1ai.xn--p1ai" },
    { "domain", "_dmarc.evil.com", "_dmarc.evil.com" },
    { "hostname", "a.b.c", NULL },
    { "domain", "com", NULL },
    { "domain", "192.0.2.1", NULL },
    { "domain", "a..com", NULL },
    { "domain", "evil.com/x", NULL },
    { "domain", "ev il.com", NULL },
    { "url", "HTTP://Evil.COM/Path?Q=A", "http://evil.com/Path?Q=A" },
    { "url", "hxxps[://]evil[.]com/a", "https://evil.com/a" },
    { "url", "hXXp://evil.com/a[.]php", "http://evil.com/a.php" },
    { "url", "http://evil.com/a[.]php", "http://evil.com/a[.]php" },
    { "url", "http://evil.com/a b\xc3\xa9", "http://evil.com/a%20b%C3%A9" },
    { "url", "http://日本語.jp/", "http://xn--wgv71a119e.jp/" },
    { "url", "evil.com/X", "evil.com/X" },
    { "url", "//evil.com/X", "evil.com/X" },
    { "url", "192.0.2.1:8080/x", "192.0.2.1:8080/x" },
    { "url", "[2001:db8::1]:8080/x", "[2001:db8::1]:8080/x" },
    { "url", "http://", NULL },
    { "url", "/path", NULL },
    { "url", "nothing", NULL },
    { "email", "Some.One+x@Evil.COM", "some.one+x@evil.com" },
    { "email", "someone[@]evil[.]com", "someone@evil.com" },
    { "email", "someone(at)evil.com", "someone@evil.com" },
    { "email", "someone@localhost", NULL },
    { "email", "@evil.com", NULL },
    { "email", "someone", NULL },
    { "md5", "D41D8CD98F00B204E9800998ECF8427E",
        "d41d8cd98f00b204e9800998ecf8427e" },
    { "md5", "d41d8cd98f00b204e9800998ecf8427", NULL },
    { "md5", "g41d8cd98f00b204e9800998ecf8427e", NULL },
    { "sha1", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709" },
    { "ja3", "e7d705a3286e19ea42f587b344ee6865",
        "e7d705a3286e19ea42f587b344ee6865" },
    { "ja4", "T13D1516H2_8daaf6152771_b186095e22b6",
        "t13d1516h2_8daaf6152771_b186095e22b6" },
    { "ja4", "x13d1516h2_8daaf6152771_b186095e22b6", NULL },
    { "wallet", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa" },
    { "wallet", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNb", NULL },
    { "wallet", "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4" },
    { "wallet", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", NULL },
    { "wallet", "0xDE0B295669a9FD93d5F28D9Ec85E40f4cb697BAe",
        "0xde0b295669a9fd93d5f28d9ec85e40f4cb697bae" },
    { "filename", "invoice 3.doc", "invoice 3.doc" },
    { "filename", "dir/x", NULL },
    { "cve", "cve-2017-0199", "CVE-2017-0199" },
    { "cve", "CVE-2017-019", NULL },
    { "asn", "AS64496", "AS64496" },
    { "asn", "64496", "AS64496" },
    { "asn", "AS4294967296", NULL },
    { "colour", "red", NULL },
};

static void
test_canon(void **state)
{
    struct nr_buf key, text, again;
    struct nr_diag d;

    (void)state;
    nr_buf_init(&key, NR_KEY_MAX);
    nr_buf_init(&text, 4 * NR_KEY_MAX);
    nr_buf_init(&again, NR_KEY_MAX);
    for (size_t i = 0; i < sizeof(canons) / sizeof(*canons); i++) {
        const char *t = canons[i].text;
        enum nr_kind kind = NR_KIND_ASN;
        enum nr_err err;

        d = (struct nr_diag){ 0 };
        nr_buf_reset(&key);
        nr_buf_reset(&text);
        nr_buf_reset(&again);
        err = nr_canon_named(nr_str_of(canons[i].kind), nr_str_of(t), &kind,
            &key, &d);
        if (!canons[i].want) {
            CHECK_CASE(t, err == NR_EFORMAT && d.what && key.n == 0);
            continue;
        }
        CHECK_CASE(t, err == NR_OK);
        CHECK_CASE(t, nr_key_is_sound(kind, nr_buf_bytes(&key)));
        nr_canon_print(kind, nr_buf_bytes(&key), &text);
        CHECK_CASE(t, strcmp(nr_buf_cstr(&text), canons[i].want) == 0);
        CHECK_CASE(t,
            nr_canon(kind, nr_str_of((const char *)text.p), &again, NULL) ==
                NR_OK);
        CHECK_CASE(t, nr_bytes_eq(nr_buf_bytes(&key), nr_buf_bytes(&again)));
        /* and disarmed text comes back as well */
        nr_buf_reset(&text);
        nr_buf_reset(&again);
        nr_defang(kind, nr_buf_bytes(&key), &text);
        CHECK_CASE(t,
            nr_canon(kind, nr_str_of(nr_buf_cstr(&text)), &again, NULL) ==
                NR_OK);
        CHECK_CASE(t,
            kind == NR_KIND_URL ||
                nr_bytes_eq(nr_buf_bytes(&key), nr_buf_bytes(&again)));
    }
    nr_buf_fini(&key);
    nr_buf_fini(&text);
    nr_buf_fini(&again);
}

static const struct {
    const char *text;
    int kind; /* -1: none */
} guesses[] = {
    { "192.0.2.1", NR_KIND_IPV4 },
    { "192.0.2.0/24", NR_KIND_CIDR4 },
    { "2001:db8::/32", NR_KIND_CIDR6 },
    { "2001:db8::1", NR_KIND_IPV6 },
    { "evil.com", NR_KIND_DOMAIN },
    { "evil.com/x", NR_KIND_URL },
    { "hxxp://evil.com/", NR_KIND_URL },
    { "192.0.2.1:443", NR_KIND_URL },
    { "a@evil.com", NR_KIND_EMAIL },
    { "d41d8cd98f00b204e9800998ecf8427e", NR_KIND_MD5 },
    { "da39a3ee5e6b4b0d3255bfef95601890afd80709", NR_KIND_SHA1 },
    { "CVE-2017-0199", NR_KIND_CVE },
    { "0xde0b295669a9fd93d5f28d9ec85e40f4cb697bae", NR_KIND_WALLET_ETH },
    { "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa", NR_KIND_WALLET_BTC },
    { "hello", -1 },
    { "12345", -1 },
    { "", -1 },
};

static void
test_guess(void **state)
{
    struct nr_buf key;

    (void)state;
    nr_buf_init(&key, NR_KEY_MAX);
    for (size_t i = 0; i < sizeof(guesses) / sizeof(*guesses); i++) {
        enum nr_kind kind = NR_KIND_ASN;
        enum nr_err err;

        nr_buf_reset(&key);
        err = nr_canon_guess(nr_str_of(guesses[i].text), &kind, &key, NULL);
        if (guesses[i].kind < 0)
            CHECK_CASE(guesses[i].text, err == NR_EFORMAT);
        else
            CHECK_CASE(guesses[i].text,
                err == NR_OK && (int)kind == guesses[i].kind);
    }
    nr_buf_fini(&key);
}

static void
test_defang(void **state)
{
    static const struct {
        enum nr_kind kind;
        const char *text, *want;
    } cases[] = {
        { NR_KIND_DOMAIN, "a.evil.com", "a[.]evil[.]com" },
        { NR_KIND_IPV4, "192.0.2.1", "192[.]0[.]2[.]1" },
        { NR_KIND_URL, "https://evil.com/a.b", "hxxps://evil[.]com/a.b" },
        { NR_KIND_URL, "evil.com/a.b", "evil[.]com/a.b" },
        { NR_KIND_EMAIL, "a@evil.com", "a[@]evil[.]com" },
        { NR_KIND_IPV6, "2001:db8::1", "2001:db8::1" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct nr_buf key, text;

        nr_buf_init(&key, NR_KEY_MAX);
        nr_buf_init(&text, NR_KEY_MAX);
        CHECK_CASE(cases[i].text,
            nr_canon(cases[i].kind, nr_str_of(cases[i].text), &key, NULL) ==
                NR_OK);
        nr_defang(cases[i].kind, nr_buf_bytes(&key), &text);
        CHECK_CASE(cases[i].text,
            strcmp(nr_buf_cstr(&text), cases[i].want) == 0);
        nr_buf_fini(&key);
        nr_buf_fini(&text);
    }
}

/* Tokens as "kind=value@line:text" joined by spaces. */
static void
show(const struct nr_tokens *t, struct nr_bytes block, struct nr_buf *out)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct nr_token *k = &t->v[i];

        nr_buf_printf(out, "%s%s=", i ? " " : "",
            nr_kind_name((enum nr_kind)k->kind));
        nr_canon_print((enum nr_kind)k->kind, nr_token_key(t, k), out);
        nr_buf_printf(out, "@%u:", k->line);
        nr_buf_put(out, nr_bytes_sub(block, k->at, k->at + k->len));
    }
}

#define M32 "d41d8cd98f00b204e9800998ecf8427e"
#define S40 "da39a3ee5e6b4b0d3255bfef95601890afd80709"

static const struct {
    const char *line, *want;
} scans[] = {
    { "", "" },
    { "nothing here\n", "" },
    { "x 1.2.3.4 y", "ipv4=1.2.3.4@0:1.2.3.4" },
    { "1.2.3.4:80", "ipv4=1.2.3.4@0:1.2.3.4" },
    { "-1.2.3.4.", "ipv4=1.2.3.4@0:1.2.3.4" },
    { "11.2.3.4.5", "" },
    { "01.2.3.4", "" },
    { "1.2.3.256", "" },
    { "1.2.3.4.in-addr.arpa",
        "domain=1.2.3.4.in-addr.arpa@0:1.2.3.4.in-addr.arpa" },
    { "::ffff:1.2.3.4", "ipv4=1.2.3.4@0:1.2.3.4" },
    { "WWW.Evil.COM.", "domain=www.evil.com@0:WWW.Evil.COM" },
    { "a..evil.com", "domain=evil.com@0:evil.com" },
    { "evil.c", "" },
    { "evil.com-", "domain=evil.com@0:evil.com" },
    { "evil.com_x", "" },
    { "version 1.5.0", "" },
    { "%2Fevil.com",
        "domain=2fevil.com@0:2Fevil.com domain=evil.com@0:evil.com" },
    { "%2F1.2.3.4", "ipv4=1.2.3.4@0:1.2.3.4" },
    { "%zzevil.com", "domain=zzevil.com@0:zzevil.com" },
    { "\\nevil.com",
        "domain=nevil.com@0:nevil.com domain=evil.com@0:evil.com" },
    { "\\xevil.com", "domain=xevil.com@0:xevil.com" },
    { "2001:DB8::1", "ipv6=2001:db8::1@0:2001:DB8::1" },
    { "[2001:db8::1]:80", "ipv6=2001:db8::1@0:2001:db8::1" },
    { ":2001:db8::1:", "ipv6=2001:db8::1@0:2001:db8::1" },
    { "x2001:db8::1", "" },
    { "2001:db8::1z", "" },
    { "2001:db8::1.5", "" },
    { "2001:db8::1.", "ipv6=2001:db8::1@0:2001:db8::1" },
    { "12:34:56", "" },
    { "00:11:22:33:44:55", "" },
    { "std::string", "" },
    { "::", "ipv6=::@0:::" },
    { "GET http://Evil.COM/A,",
        "url=http://evil.com/A,@0:http://Evil.COM/A, "
        "url=http://evil.com/A@0:http://Evil.COM/A "
        "domain=evil.com@0:Evil.COM" },
    { "xhttp://e.com/", "domain=e.com@0:e.com" },
    { "http:\\/\\/e.com\\/a\"",
        "url=http://e.com/a@0:http:\\/\\/e.com\\/a "
        "domain=e.com@0:e.com" },
    { "http:/\\/e.com", "domain=e.com@0:e.com" },
    { "http://", "" },
    { "HTTPS://e.com|x",
        "url=https://e.com@0:HTTPS://e.com "
        "domain=e.com@0:e.com" },
    { "ftp://e.com/http://f.com/",
        "url=ftp://e.com/http://f.com/@0:"
        "ftp://e.com/http://f.com/ domain=e.com@0:e.com "
        "domain=f.com@0:f.com" },
    { "x" M32, "" },
    { M32 ".", "md5=" M32 "@0:" M32 },
    { M32 "_" S40, "md5=" M32 "@0:" M32 " sha1=" S40 "@0:" S40 },
    { M32 M32 "0", "" },
    { "a@b.com", "email=a@b.com@0:a@b.com domain=b.com@0:b.com" },
    { "<A+b.c@B.COM.>",
        "email=a+b.c@b.com@0:A+b.c@B.COM "
        "domain=b.com@0:B.COM" },
    { "a@b.com@c.com",
        "email=a@b.com@0:a@b.com domain=b.com@0:b.com "
        "domain=c.com@0:c.com" },
    { "%40a@b.com",
        "email=40a@b.com@0:40a@b.com email=a@b.com@0:a@b.com "
        "domain=b.com@0:b.com" },
    { "a@@b.com", "domain=b.com@0:b.com" },
    { "one e.com\ntwo\nthree f.com",
        "domain=e.com@0:e.com "
        "domain=f.com@2:f.com" },
    { "caf\xc3\xa9.com x", "" },
};

static void
test_scan(void **state)
{
    struct nr_tokens t;
    struct nr_buf text;

    (void)state;
    nr_tokens_init(&t, 0);
    nr_buf_init(&text, 1 << 20);
    for (size_t i = 0; i < sizeof(scans) / sizeof(*scans); i++) {
        struct nr_str line = { scans[i].line, strlen(scans[i].line) };

        nr_buf_reset(&text);
        CHECK_CASE(line.p, nr_scan(nr_bytes_of(line), &t) == NR_OK);
        show(&t, nr_bytes_of(line), &text);
        if (strcmp(nr_buf_cstr(&text), scans[i].want) != 0)
            fail_msg("%s\n gives %s\n wanted %s", line.p, (const char *)text.p,
                scans[i].want);
    }
    nr_buf_fini(&text);
    nr_tokens_fini(&t);
}

static void
test_scan_lines(void **state)
{
    struct nr_tokens t;

    (void)state;
    nr_tokens_init(&t, 0);
    assert_int_equal(nr_scan(NR_BYTES("a\n\nb\n"), &t), NR_OK);
    assert_int_equal(t.n_lines, 3);
    assert_int_equal(t.line_at[1], 2);
    assert_int_equal(t.line_at[2], 3);
    assert_int_equal(nr_scan((struct nr_bytes){ 0 }, &t), NR_OK);
    assert_int_equal(t.n_lines, 0);
    assert_int_equal(nr_scan((struct nr_bytes){ (const uint8_t *)"",
                                 NR_SCAN_BLOCK_MAX + 1 },
                         &t),
        NR_ELIMIT);
    nr_tokens_fini(&t);
}

/* A run longer than a domain may be still ends in one. */
static void
test_scan_long(void **state)
{
    uint8_t run[1000];
    struct nr_tokens t;

    (void)state;
    memset(run, 'a', sizeof(run));
    memcpy(run + sizeof(run) - 9, ".evil.com", 9);
    nr_tokens_init(&t, 0);
    assert_int_equal(nr_scan((struct nr_bytes){ run, sizeof(run) }, &t), NR_OK);
    assert_int_equal(t.n, 1);
    assert_true(nr_bytes_eq(nr_token_key(&t, t.v), NR_BYTES("evil.com")));
    for (size_t i = 1; i < sizeof(run) - 9; i += 2)
        run[i] = '.';
    assert_int_equal(nr_scan((struct nr_bytes){ run, sizeof(run) }, &t), NR_OK);
    assert_int_equal(t.n, 1);
    assert_in_range(t.v[0].key_n, NR_DOMAIN_MAX - 2, NR_DOMAIN_MAX);
    assert_true(nr_key_is_sound(NR_KIND_DOMAIN, nr_token_key(&t, t.v)));
    nr_tokens_fini(&t);
}

static void
test_scan_more(void **state)
{
    static const char line[] =
        "cve-2017-0199 AS64496 0xDE0B295669a9FD93d5F28D9Ec85E40f4cb697BAe "
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa ASK "
        "t13d1516h2_8daaf6152771_b186095e22b6\n";

    static const enum nr_kind want[] = { NR_KIND_CVE, NR_KIND_ASN,
        NR_KIND_WALLET_ETH, NR_KIND_WALLET_BTC, NR_KIND_JA4 };
    struct nr_tokens t;

    (void)state;
    nr_tokens_init(&t, NR_SCAN_MORE);
    assert_int_equal(nr_scan(nr_bytes_of(nr_str_of(line)), &t), NR_OK);
    assert_int_equal(t.n, 5);
    for (size_t i = 0; i < t.n; i++)
        assert_int_equal(t.v[i].kind, want[i]);
    nr_tokens_fini(&t);
}

static void
test_domains(void **state)
{
    struct nr_bytes d = NR_BYTES("a.b.evil.co.jp");
    size_t steps = 1;

    (void)state;
    assert_true(nr_bytes_eq(nr_domain_registered(d), NR_BYTES("evil.co.jp")));
    assert_int_equal(nr_domain_registered(NR_BYTES("co.jp")).n, 0);
    assert_true(nr_domain_has_known_tld(d));
    assert_false(nr_domain_has_known_tld(NR_BYTES("index.html")));
    while (nr_domain_up(&d))
        steps++;
    assert_int_equal(steps, 4);
    assert_true(nr_bytes_eq(d, NR_BYTES("co.jp")));
}

static void
test_kinds(void **state)
{
    enum nr_kind kind;

    (void)state;
    for (unsigned i = 0; i < NR_KINDS; i++) {
        struct nr_str name = nr_str_of(nr_kind_name((enum nr_kind)i));

        assert_true(nr_kind_from_name(name, &kind));
        assert_true(kind == (enum nr_kind)i ||
            (kind == NR_KIND_CIDR4 && i == NR_KIND_CIDR6));
        assert_int_equal(nr_kind_is_hot((enum nr_kind)i), i <= 9);
        assert_false(nr_key_is_sound(i, (struct nr_bytes){ 0 }));
    }
    assert_false(nr_kind_from_name(NR_STR("colour"), &kind));
    assert_false(nr_key_is_sound(NR_KINDS, NR_BYTES("1234")));
    assert_false(nr_key_is_sound(NR_KIND_CIDR4, NR_BYTES("\1\2\3\4\x08")));
    assert_true(nr_key_is_sound(NR_KIND_CIDR4, NR_BYTES("\1\0\0\0\x08")));
    assert_false(nr_key_is_sound(NR_KIND_DOMAIN, NR_BYTES("Evil.com")));
    assert_false(nr_key_is_sound(NR_KIND_URL, NR_BYTES("http://Evil.com")));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_canon),
        NR_TEST(test_guess),
        NR_TEST(test_defang),
        NR_TEST(test_scan),
        NR_TEST(test_scan_lines),
        NR_TEST(test_scan_long),
        NR_TEST(test_scan_more),
        NR_TEST(test_domains),
        NR_TEST(test_kinds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
