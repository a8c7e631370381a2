/* The rules that the definition leaves open, and what each option adds. The
 * same rules stand, in Python, in tests/refrules.py. */
#include "base/test.h"

#include "observable/observable.h"
#include "observable/rules.h"
#include "observable/scan.h"

#include <string.h>

#define M32 "d41d8cd98f00b204e9800998ecf8427e"
/* "tatoe.jp", "tatoe.tesuto", "buecher.example" in their own script */
#define TATOE "\xe4\xbe\x8b\xe3\x81\x88"
#define TEST_ "\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88"
#define BUCH    \
    "b\xc3\xbc" \
    "cher"
#define NI     "\xe3\x81\xab" /* a particle */
#define STOP   "\xe3\x80\x82" /* ideographic full stop */
#define XTATOE "xn--r8jz45g"
#define XBUCH  "xn--bcher-kva"

static const struct {
    unsigned flags;
    const char *line;
    const char *want; /* "kind=value:text" of each token, joined by '|' */
} rules[] = {
    /* Windows paths: an escape and a folder look alike, so both are read */
    { 0, "C:\\evil.exe", "domain=evil.exe:evil.exe" },
    { 0, "C:\\network.example\\x",
        "domain=network.example:network.example|"
        "domain=etwork.example:etwork.example" },
    { 0, "\\\\evil.example\\share", "domain=evil.example:evil.example" },
    { 0, "\\\\nas.example\\share",
        "domain=nas.example:nas.example|domain=as.example:as.example" },
    { 0, "\\\\192.0.2.7\\c$", "ipv4=192.0.2.7:192.0.2.7" },
    { 0, "C:\\r.example", "domain=r.example:r.example" },
    { 0, "\\u000aevil.example", "domain=u000aevil.example:u000aevil.example" },

    /* tcpdump */
    { 0, "IP 1.2.3.4.443 > 5.6.7.8.51234: Flags", "" },
    { NR_SCAN_PORTS, "IP 1.2.3.4.443 > 5.6.7.8.51234: Flags",
        "ipv4=1.2.3.4:1.2.3.4|ipv4=5.6.7.8:5.6.7.8" },
    { NR_SCAN_PORTS, "1.2.3.4.65536 1.2.3.4.0 1.2.3.4.053 1.2.3.4.5.6", "" },
    { NR_SCAN_PORTS, "1.2.3.4", "ipv4=1.2.3.4:1.2.3.4" },
    { NR_SCAN_PORTS, "%2F1.2.3.4.80.", "ipv4=1.2.3.4:1.2.3.4" },
    { NR_SCAN_PORTS, "evil.com.443 >", "domain=evil.com:evil.com" },
    { 0, "2001:db8::1.443", "" },
    { NR_SCAN_PORTS, "IP6 2001:db8::1.443 > fe80::1.53:",
        "ipv6=2001:db8::1:2001:db8::1|ipv6=fe80::1:fe80::1" },
    { NR_SCAN_PORTS, "2001:db8::1.70000 2001:db8::1.2.3 2001:db8::1.4a", "" },

    /* ranges of addresses */
    { 0, "10.0.0.1-10.0.0.9", "" },
    { 0, "10.0.0.1 - 10.0.0.9",
        "ipv4=10.0.0.1:10.0.0.1|"
        "ipv4=10.0.0.9:10.0.0.9" },
    { 0, "2001:db8::1-2001:db8::9",
        "ipv6=2001:db8::1:2001:db8::1|"
        "ipv6=2001:db8::9:2001:db8::9" },
    { NR_SCAN_RANGES, "10.0.0.1-10.0.0.9",
        "ipv4=10.0.0.1:10.0.0.1|ipv4=10.0.0.9:10.0.0.9" },
    { NR_SCAN_RANGES, "10.0.0.1-9,",
        "ipv4=10.0.0.1:10.0.0.1|"
        "ipv4=10.0.0.9:9" },
    { NR_SCAN_RANGES, "10.0.0.9-1 10.0.0.1-256 10.0.0.1-09 10.0.0.1-x", "" },
    { NR_SCAN_RANGES, "10.0.0.1--10.0.0.9 10.0.0.1-10.0.0.9-10.0.0.10", "" },

    /* names in U-labels */
    { 0, "http://" TATOE ".jp/", "" },
    { NR_SCAN_IDN, "(www." TATOE ".JP/",
        "domain=www." XTATOE ".jp:www." TATOE ".JP" },
    { NR_SCAN_IDN, "a@" BUCH ".example.",
        "domain=" XBUCH ".example:" BUCH ".example|"
        "domain=cher.example:cher.example" },
    { NR_SCAN_IDN,
        "B\xc3\x9c"
        "CHER.EXAMPLE",
        "domain=" XBUCH ".example:B\xc3\x9c"
        "CHER.EXAMPLE|"
        "domain=cher.example:CHER.EXAMPLE" },
    /* u and a combining diaeresis: the same name */
    { NR_SCAN_IDN,
        "bu\xcc\x88"
        "cher.example",
        "domain=" XBUCH ".example:bu\xcc\x88"
        "cher.example|"
        "domain=cher.example:cher.example" },
    { NR_SCAN_IDN, TATOE "." TEST_,
        "domain=" XTATOE ".xn--zckzah:" TATOE "." TEST_ },
    { NR_SCAN_IDN, TATOE ".jp" NI TATOE ".jp" STOP "x",
        "domain=" XTATOE ".xn--jp-s73ayfy37n.jp:" TATOE ".jp" NI TATOE ".jp" },
    { NR_SCAN_IDN, TATOE ".jp" NI, "domain=" XTATOE ".jp:" TATOE ".jp" },
    { NR_SCAN_IDN, "evil.jp" NI, "domain=evil.jp:evil.jp" },
    { NR_SCAN_IDN, TATOE ".jp" STOP TATOE ".jp",
        "domain=" XTATOE ".jp:" TATOE ".jp|"
        "domain=" XTATOE ".jp:" TATOE ".jp" },
    { NR_SCAN_IDN, "\\n" TATOE ".jp",
        "domain=xn--n-97t231j.jp:n" TATOE ".jp|"
        "domain=" XTATOE ".jp:" TATOE ".jp" },
    { NR_SCAN_IDN, "a.." TATOE ".jp", "domain=" XTATOE ".jp:" TATOE ".jp" },
    { NR_SCAN_IDN, TATOE ".1.2.3.4 " TATOE " jp", "ipv4=1.2.3.4:1.2.3.4" },
    { NR_SCAN_IDN, "x\xff" TATOE ".jp", "domain=" XTATOE ".jp:" TATOE ".jp" },
    { NR_SCAN_IDN, "\xe4\xbe.jp \xc3", "" },

    /* disarmed text */
    { 0, "evil[.]com", "" },
    { NR_SCAN_FANGS, "see evil[.]com (dot)", "domain=evil.com:evil[.]com" },
    { NR_SCAN_FANGS, "evil.com", "domain=evil.com:evil.com" },
    { NR_SCAN_FANGS, "1[.]2(.)3[dot]4 x", "ipv4=1.2.3.4:1[.]2(.)3[dot]4" },
    { NR_SCAN_FANGS, "hXXps[://]evil[.]com/a, b",
        "url=https://evil.com/a,:hXXps[://]evil[.]com/a,|"
        "url=https://evil.com/a:hXXps[://]evil[.]com/a|"
        "domain=evil.com:evil[.]com" },
    { NR_SCAN_FANGS, "xhxxp://evil.com/", "domain=evil.com:evil.com" },
    { NR_SCAN_FANGS, "user[at]evil[.com\nbob[@]e.com",
        "email=user@evil.com:user[at]evil[.com|"
        "domain=evil.com:evil[.com|domain=e.com:e.com|"
        "email=bob@e.com:bob[@]e.com|domain=e.com:e.com" },

    /* URLs less their query, and as prefixes */
    { NR_SCAN_URL_BARE, "http://e.com/a?b=c#d",
        "url=http://e.com/a?b=c#d:http://e.com/a?b=c#d|"
        "url=http://e.com/a:http://e.com/a?b=c#d|domain=e.com:e.com" },
    { NR_SCAN_URL_BARE, "http://e.com?x",
        "url=http://e.com?x:http://e.com?x|"
        "url=http://e.com:http://e.com?x|domain=e.com:e.com" },
    { NR_SCAN_URL_PREFIX, "ftp://e.com:8080/a",
        "url=ftp://e.com:8080/a:ftp://e.com:8080/a|"
        "url=ftp://e.com:8080:ftp://e.com:8080/a|"
        "url=ftp://e.com:8080/:ftp://e.com:8080/a|domain=e.com:e.com" },
    { NR_SCAN_URL_PREFIX, "http://e.com/?a=b",
        "url=http://e.com/?a=b:http://e.com/?a=b|"
        "url=http://e.com:http://e.com/?a=b|"
        "url=http://e.com/:http://e.com/?a=b|"
        "url=http://e.com/?:http://e.com/?a=b|"
        "url=http://e.com/?a=:http://e.com/?a=b|domain=e.com:e.com" },

    /* fingerprints and names of files */
    { NR_SCAN_JA3, M32, "md5=" M32 ":" M32 "|ja3=" M32 ":" M32 },
    { NR_SCAN_FILES, "C:\\Users\\Bob\\Evil.EXE /tmp/x run a.sh.",
        "domain=evil.exe:Evil.EXE|domain=a.sh:a.sh|"
        "filename=evil.exe:Evil.EXE|filename=x:x|filename=a.sh:a.sh" },
    { NR_SCAN_FILES, "{\"f\":\"C:\\\\a b\\\\My notes 3.doc\"}",
        "domain=3.doc:3.doc|filename=a:a|filename=my:My|"
        "filename=3.doc:3.doc|"
        "filename=my notes 3.doc:My notes 3.doc" },
    { NR_SCAN_FILES, "\"a\\new.sh\\n\"",
        "domain=new.sh:new.sh|domain=ew.sh:ew.sh|"
        "filename=new.sh:new.sh|filename=ew.sh:ew.sh|filename=n:n" },
};

static void
show(const struct nr_tokens *t, struct nr_bytes block, struct nr_buf *out)
{
    for (size_t i = 0; i < t->n; i++) {
        const struct nr_token *k = &t->v[i];

        nr_buf_printf(out, "%s%s=", i ? "|" : "",
            nr_kind_name((enum nr_kind)k->kind));
        nr_canon_print((enum nr_kind)k->kind, nr_token_key(t, k), out);
        nr_buf_put_c(out, ':');
        nr_buf_put(out, nr_bytes_sub(block, k->at, k->at + k->len));
    }
}

static void
test_rules(void **state)
{
    struct nr_buf text;

    (void)state;
    nr_buf_init(&text, 1 << 20);
    for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
        struct nr_bytes line = { (const uint8_t *)rules[i].line,
            strlen(rules[i].line) };
        struct nr_tokens t;

        nr_tokens_init(&t, rules[i].flags);
        nr_buf_reset(&text);
        assert_int_equal(nr_scan(line, &t), NR_OK);
        show(&t, line, &text);
        if (strcmp(nr_buf_cstr(&text), rules[i].want) != 0)
            fail_msg("%s (flags %u)\n gives  %s\n wanted %s", rules[i].line,
                rules[i].flags, (const char *)text.p, rules[i].want);
        nr_tokens_fini(&t);
    }
    nr_buf_fini(&text);
}

/* No URL costs more than so many looks into a list. */
static void
test_url_heads(void **state)
{
    uint8_t url[4096];
    struct nr_tokens t;

    (void)state;
    memset(url, '/', sizeof(url));
    memcpy(url, "http://e.com", 12);
    nr_tokens_init(&t, NR_SCAN_URL_PREFIX);
    assert_int_equal(nr_scan((struct nr_bytes){ url, sizeof(url) }, &t), NR_OK);
    assert_int_equal(t.n, 1 + NR_URL_HEADS_MAX + 1); /* and the domain */
    nr_tokens_fini(&t);
}

static const struct {
    const char *text, *want; /* NULL: none */
} ranges[] = {
    { "10.0.0.1-10.0.0.1", "10.0.0.1" },
    { "10.0.0.0-10.0.0.255", "10.0.0.0/24" },
    { "10.0.0.1-10.0.0.6", "10.0.0.1 10.0.0.2/31 10.0.0.4/31 10.0.0.6" },
    { "0.0.0.0-255.255.255.255", "0.0.0.0/0" },
    { "255.255.255.254 - 255.255.255.255", "255.255.255.254/31" },
    { "9.255.255.255-10.0.0.0", "9.255.255.255 10.0.0.0" },
    { "2001:db8::-2001:db8::1:0", "2001:db8::/112 2001:db8::1:0" },
    { "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", "::/0" },
    { "10.0.0.2-10.0.0.1", NULL },
    { "10.0.0.1-::1", NULL },
    { "10.0.0.1", NULL },
    { "10.0.0.1-", NULL },
    { "-10.0.0.1", NULL },
};

static void
test_ranges(void **state)
{
    struct nr_buf text;

    (void)state;
    nr_buf_init(&text, 1 << 12);
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        struct nr_range r;
        enum nr_kind kind;
        uint8_t key[17];
        size_t n;

        if (!nr_range_parse(nr_str_of(ranges[i].text), &r)) {
            CHECK_CASE(ranges[i].text, !ranges[i].want);
            continue;
        }
        nr_buf_reset(&text);
        while (nr_range_next(&r, &kind, key, &n)) {
            CHECK_CASE(ranges[i].text,
                nr_key_is_sound(kind, (struct nr_bytes){ key, n }));
            nr_buf_put_str(&text, text.n ? NR_STR(" ") : NR_STR(""));
            nr_canon_print(kind, (struct nr_bytes){ key, n }, &text);
        }
        CHECK_CASE(ranges[i].text,
            ranges[i].want && strcmp(nr_buf_cstr(&text), ranges[i].want) == 0);
    }
    nr_buf_fini(&text);
}

static void
test_flags(void **state)
{
    (void)state;
    assert_int_equal(nr_scan_flags_of(0x3ff, false), 0);
    assert_int_equal(nr_scan_flags_of(1u << NR_KIND_DOMAIN, true), NR_SCAN_IDN);
    assert_int_equal(nr_scan_flags_of(1u << NR_KIND_CVE, false), NR_SCAN_MORE);
    assert_int_equal(nr_scan_flags_of(1u << NR_KIND_JA3, false), NR_SCAN_JA3);
    assert_int_equal(nr_scan_flags_of(1u << NR_KIND_FILENAME, false),
        NR_SCAN_FILES);
}

static void
test_classes(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 256; i++) {
        uint8_t c = (uint8_t)i, want = 0;
        bool alnum = nr_is_alpha(c) || nr_is_digit(c);
        bool in_run = alnum || c == '.' || c == '-' || c == '_';

        want |= in_run ? NR_C_RUN | NR_C_LOCAL : 0;
        want |= alnum ? NR_C_ALNUM : 0;
        want |= nr_is_hex(c) ? NR_C_HEX : 0;
        want |= nr_url_octet(c) ? NR_C_URL : 0;
        want |= c == '+' ? NR_C_LOCAL : 0;
        want |= c == ':' || c == '@' || c == '\n' || c > 0x7f ? NR_C_EVENT : 0;
        assert_int_equal(nr_scan_class[i], want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_rules),
        NR_TEST(test_url_heads),
        NR_TEST(test_ranges),
        NR_TEST(test_flags),
        NR_TEST(test_classes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
