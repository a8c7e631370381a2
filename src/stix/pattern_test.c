#include "stix/stix.h"

#include "base/fault.h"
#include "base/file.h"
#include "base/test.h"

#include <stdlib.h>

#define ROOM ((size_t)64 << 20)

static const char *dir; /* of the test data */

static enum nr_err
parse(struct nr_arena *a, const char *text, const struct nr_stix_node **out,
    struct nr_diag *d)
{
    return nr_stix_pattern_parse(a, nr_str_of(text), out, d);
}

/* Every recorded pattern is judged as the reference parser judges it; what is
 * taken prints to a text that parses and prints the same. */
static void
conformance(void **state)
{
    struct nr_arena file, a;
    struct nr_bytes in;
    struct nr_str rest;
    char path[NR_PATH_MAX];
    size_t valid = 0, invalid = 0;

    (void)state;
    nr_arena_init(&file, ROOM);
    nr_arena_init(&a, ROOM);
    (void)snprintf(path, sizeof(path), "%s/patterns.jsonl", dir);
    assert_int_equal(nr_file_read(&file, path, ROOM, &in, NULL), NR_OK);
    assert_true(nr_str_from_utf8(in, &rest));
    while (rest.n > 0) {
        struct nr_str line = nr_str_cut(rest, '\n', &rest), id, verdict, text;
        const struct nr_stix_node *tree = NULL;
        const struct nr_json *j;
        bool want;

        assert_int_equal(nr_json_parse(&a, nr_bytes_of(line), &j, NULL), NR_OK);
        assert_true(nr_json_get_str(j, NR_STR("id"), &id));
        assert_true(nr_json_get_str(j, NR_STR("verdict"), &verdict));
        assert_true(nr_json_get_str(j, NR_STR("pattern"), &text));
        want = nr_str_eq(verdict, NR_STR("valid"));
        if ((nr_stix_pattern_parse(&a, text, &tree, NULL) == NR_OK) != want)
            fail_msg("%.*s is %.*s", NR_FMT(id), NR_FMT(verdict));
        valid += want;
        invalid += !want;
        nr_arena_reset(&a);
    }
    assert_int_equal(valid, 51);
    assert_int_equal(invalid, 17);
    nr_arena_fini(&a);
    nr_arena_fini(&file);
}

static const struct {
    const char *in;
    const char *out; /* printed; NULL: refused */
    enum nr_err err;
    size_t at;
} prints[] = {
    { "[a:b=1]", "[a:b = 1]", NR_OK, 0 },
    { "[a:b == 'x']", "[a:b = 'x']", NR_OK, 0 },
    { "[a:b <> -1.5]", "[a:b != -1.5]", NR_OK, 0 },
    { "[((a:b=1))]", "[a:b = 1]", NR_OK, 0 },
    { "[(a:b=1 OR a:c=2) OR a:d=3]", "[a:b = 1 OR a:c = 2 OR a:d = 3]", NR_OK,
        0 },
    { "[a:b=1 OR a:c=2 AND a:d=3]", "[a:b = 1 OR a:c = 2 AND a:d = 3]", NR_OK,
        0 },
    { "[(a:b=1 OR a:c=2) AND a:d=3]", "[(a:b = 1 OR a:c = 2) AND a:d = 3]",
        NR_OK, 0 },
    { "[a:b=1] FOLLOWEDBY [a:c=2] OR [a:d=3] AND [a:e=4]",
        "[a:b = 1] FOLLOWEDBY [a:c = 2] OR [a:d = 3] AND [a:e = 4]", NR_OK, 0 },
    { "([a:b=1] FOLLOWEDBY [a:c=2]) AND [a:d=3]",
        "([a:b = 1] FOLLOWEDBY [a:c = 2]) AND [a:d = 3]", NR_OK, 0 },
    { "([a:b=1] OR [a:c=2]) WITHIN 5 SECONDS",
        "([a:b = 1] OR [a:c = 2]) WITHIN 5 SECONDS", NR_OK, 0 },
    { "([a:b=1] WITHIN 5 SECONDS) WITHIN 6 SECONDS",
        "([a:b = 1] WITHIN 5 SECONDS) WITHIN 6 SECONDS", NR_OK, 0 },
    { "((([a:b=1] OR [a:b=2]) REPEATS 2 TIMES) REPEATS 2 TIMES) REPEATS 3 "
      "TIMES",
        "((([a:b = 1] OR [a:b = 2]) REPEATS 2 TIMES) REPEATS 2 TIMES) REPEATS "
        "3 TIMES",
        NR_OK, 0 },
    { "[a:'b-c'.'d'[*][-1].\'AND\' NOT IN ('x\\'y\\\\', true, h'0a', b'QQ==')]",
        "[a:'b-c'.d[*][-1].'AND' NOT IN ('x\\'y\\\\', true, h'0a', b'QQ==')]",
        NR_OK, 0 },
    { "[NOT EXISTS a:b /* why */ OR EXISTS a:c] // end",
        "[NOT EXISTS a:b OR EXISTS a:c]", NR_OK, 0 },
    { "\xc2\xa0[a:b\xe3\x80\x80=\xe2\x80\x89'\xe7\x8b\xbc']",
        "[a:b = '\xe7\x8b\xbc']", NR_OK, 0 },
    { "[a:b IN ()]", "[a:b IN ()]", NR_OK, 0 },
    { "", NULL, NR_ETRUNC, 0 },
    { "[", NULL, NR_ETRUNC, 1 },
    { "[a:b=1", NULL, NR_ETRUNC, 6 },
    { "[a:b='x", NULL, NR_ETRUNC, 7 },
    { "[a:b=1] /* x", NULL, NR_ETRUNC, 12 },
    { "[a:b=1]]", NULL, NR_EFORMAT, 7 },
    { "[a:b=1)", NULL, NR_EFORMAT, 6 },
    { "([a:b=1]", NULL, NR_ETRUNC, 8 },
    { "[]", NULL, NR_EFORMAT, 1 },
    { "()", NULL, NR_EFORMAT, 1 },
    { "a:b=1", NULL, NR_EFORMAT, 0 },
    { "[a:b]", NULL, NR_EFORMAT, 4 },
    { "[a=1]", NULL, NR_EFORMAT, 2 },
    { "[a:b-c=1]", NULL, NR_EFORMAT, 3 },
    { "[a:b.=1]", NULL, NR_EFORMAT, 5 },
    { "[a:b[x]=1]", NULL, NR_EFORMAT, 5 },
    { "[a:b[1=1]", NULL, NR_EFORMAT, 6 },
    { "[a:b > true]", NULL, NR_EFORMAT, 7 },
    { "[a:b LIKE 1]", NULL, NR_EFORMAT, 10 },
    { "[a:b IN 1]", NULL, NR_EFORMAT, 8 },
    { "[a:b IN (1 2)]", NULL, NR_EFORMAT, 11 },
    { "[a:b NOT NOT = 1]", NULL, NR_EFORMAT, 9 },
    { "[NOT a:b = 1]", NULL, NR_EFORMAT, 5 },
    { "[a:b=01]", NULL, NR_EFORMAT, 5 },
    { "[a:b='\\n']", NULL, NR_EFORMAT, 7 },
    { "[a:b=h'abc']", NULL, NR_EFORMAT, 5 },
    { "[a:b=b'']", NULL, NR_EFORMAT, 5 },
    { "[a:b=1] AND", NULL, NR_ETRUNC, 11 },
    { "[a:b=1] [a:c=1]", NULL, NR_EFORMAT, 8 },
    { "[a:b=1 FOLLOWEDBY a:c=1]", NULL, NR_EFORMAT, 7 },
    { "[a:b=1] REPEATS 0 TIMES", NULL, NR_EFORMAT, 16 },
    { "[a:b=1] REPEATS 1.5 TIMES", NULL, NR_EFORMAT, 16 },
    { "[a:b=1] WITHIN -5 SECONDS", NULL, NR_EFORMAT, 15 },
    { "[a:b=1] START t'2016-06-01T01:30:00Z'", NULL, NR_ETRUNC, 37 },
    { "[a:b=1] WITHIN 5 SECONDS REPEATS 2 TIMES WITHIN 5 SECONDS", NULL,
        NR_EFORMAT, 41 },
    { "[file:hashes.MD5 = 'abc']", NULL, NR_EFORMAT, 19 },
    { "[file:hashes.'SHA-1' IN ('zz')]", NULL, NR_EFORMAT, 24 },
    { "[a:b=1] @", NULL, NR_EFORMAT, 8 },
};

static void
printing(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(prints) / sizeof(*prints); i++) {
        const struct nr_stix_node *tree = NULL, *again;
        struct nr_diag d = { 0 };
        struct nr_arena a;
        struct nr_buf b;
        enum nr_err err;

        nr_arena_init(&a, ROOM);
        nr_buf_init(&b, ROOM);
        err = parse(&a, prints[i].in, &tree, &d);
        CHECK_CASE(prints[i].in, err == prints[i].err);
        CHECK_CASE(prints[i].in, d.at == prints[i].at);
        if (!err) {
            nr_stix_pattern_print(tree, &b);
            CHECK_CASE(prints[i].in,
                nr_bytes_eq(nr_buf_bytes(&b),
                    nr_bytes_of(nr_str_of(prints[i].out))));
            CHECK_CASE(prints[i].in,
                parse(&a, prints[i].out, &again, NULL) == NR_OK);
        }
        nr_buf_fini(&b);
        nr_arena_fini(&a);
    }
}

static void
limits(void **state)
{
    const struct nr_stix_node *tree;
    struct nr_arena a;
    struct nr_buf b;
    struct nr_str s;

    (void)state;
    nr_arena_init(&a, ROOM * 8);
    nr_buf_init(&b, ROOM);
    for (size_t over = 0; over < 2; over++) {
        size_t n = NR_STIX_NEST_MAX + over; /* the bracket is one of them */

        nr_buf_reset(&b);
        for (size_t i = 1; i < n; i++)
            nr_buf_put_c(&b, '(');
        nr_buf_put_str(&b, NR_STR("[a:b = 1]"));
        for (size_t i = 1; i < n; i++)
            nr_buf_put_c(&b, ')');
        assert_true(nr_str_from_utf8(nr_buf_bytes(&b), &s));
        assert_int_equal(nr_stix_pattern_parse(&a, s, &tree, NULL),
            over ? NR_ELIMIT : NR_OK);
    }
    /* A long chain is no depth. */
    nr_buf_reset(&b);
    nr_buf_put_str(&b, NR_STR("[a:b = 0"));
    while (b.n < NR_STIX_PATTERN_MAX - 12)
        nr_buf_put_str(&b, NR_STR(" OR a:b = 1"));
    nr_buf_put_c(&b, ']');
    assert_true(nr_str_from_utf8(nr_buf_bytes(&b), &s));
    assert_int_equal(nr_stix_pattern_parse(&a, s, &tree, NULL), NR_OK);
    nr_buf_put_str(&b, NR_STR("            "));
    assert_true(nr_str_from_utf8(nr_buf_bytes(&b), &s));
    assert_int_equal(nr_stix_pattern_parse(&a, s, &tree, NULL), NR_ELIMIT);
    nr_buf_fini(&b);
    nr_arena_fini(&a);
}

static const struct {
    const char *pattern;
    const char *atoms; /* "kind=value;" ... "!why;" */
} atoms[] = {
    { "[domain-name:value = 'a.example']", "domain a.example;" },
    { "[ipv4-addr:value = '203.0.113.0/24' OR ipv4-addr:value = "
      "'203.0.113.7/32']",
        "cidr 203.0.113.0/24;ipv4 203.0.113.7;" },
    { "[ipv4-addr:value ISSUBSET '203.0.113.0/24']", "cidr 203.0.113.0/24;" },
    { "[ipv6-addr:value = '2001:db8::/32']", "cidr6 2001:db8::/32;" },
    { "[ipv6-addr:value = '2001:db8::1'] OR [url:value = 'http://a.example/x']",
        "ipv6 2001:db8::1;url http://a.example/x;" },
    { "[email-message:from_ref.value = 'x@a.example' OR email-addr:value = "
      "'y@a.example']",
        "email x@a.example;email y@a.example;" },
    { "[file:hashes.MD5 = 'cead3f77f6cda6ec00f57d76c9a6879f' OR "
      "file:hashes.'SHA-1' = 'da39a3ee5e6b4b0d3255bfef95601890afd80709']",
        "md5 cead3f77f6cda6ec00f57d76c9a6879f;"
        "sha1 da39a3ee5e6b4b0d3255bfef95601890afd80709;" },
    { "[file:hashes[*] = 'cead3f77f6cda6ec00f57d76c9a6879f']",
        "md5 cead3f77f6cda6ec00f57d76c9a6879f;" },
    { "[file:name IN ('a.exe', 'b.exe')]", "filename a.exe;filename b.exe;" },
    { "[network-traffic:dst_ref.value = 'a.example']", "domain a.example;" },
    { "[network-traffic:dst_ref.value = '2001:db8::1']", "ipv6 2001:db8::1;" },
    { "[autonomous-system:number = 64496]", "asn 64496;" },
    { "[cryptocurrency-wallet:value = '0xabc']", "eth 0xabc;" },
    { "([domain-name:value = 'a.example']) OR ([domain-name:value = "
      "'b.example'] OR [domain-name:value = 'c.example'])",
        "domain a.example;domain b.example;domain c.example;" },
    { "[domain-name:value = 'a.example' AND file:size = 1]",
        "!comparisons joined by AND;" },
    { "[domain-name:value = 'a.example' OR (file:name = 'x' AND file:size = "
      "1)]",
        "domain a.example;!comparisons joined by AND;" },
    { "[domain-name:value = 'a.example'] AND [file:name = 'x']",
        "!observations joined by AND;" },
    { "[domain-name:value = 'a.example'] FOLLOWEDBY [file:name = 'x']",
        "!observations joined by FOLLOWEDBY;" },
    { "[domain-name:value != 'a.example']", "!operator !=;" },
    { "[domain-name:value NOT = 'a.example']", "!operator NOT;" },
    { "[domain-name:value LIKE '%.example']", "!operator LIKE;" },
    { "[url:value MATCHES 'x']", "!operator MATCHES;" },
    { "[domain-name:value ISSUBSET 'a']",
        "!operator ISSUBSET on what is no address;" },
    { "[ipv4-addr:value ISSUPERSET '203.0.113.0/24']",
        "!operator ISSUPERSET;" },
    { "[EXISTS domain-name:value]", "!operator EXISTS;" },
    { "[file:size > 1]", "!property that a watchlist cannot hold;" },
    { "[file:hashes.MD5.x = 'a']", "!property that a watchlist cannot hold;" },
    { "[file:hashes.SSDEEP = 'a']", "!property that a watchlist cannot hold;" },
    { "[file:hashes[0] = 'a']", "!property that a watchlist cannot hold;" },
    { "[file:hashes = 'a']", "!property that a watchlist cannot hold;" },
    { "[file:hashes[*] = 'abc']",
        "!hash of an algorithm that logs do not show;" },
    { "[domain-name:value = 1]",
        "!constant of a type that this property does not have;" },
    { "[domain-name:value IN ()]", "!empty set;" },
    { "[domain-name:value = 'a.example'] WITHIN 5 SECONDS",
        "!qualifier WITHIN, REPEATS or START;" },
    { "([domain-name:value = 'a.example'] OR [domain-name:value = 'b.example'])"
      " REPEATS 2 TIMES",
        "!qualifier WITHIN, REPEATS or START;" },
    { "[domain-name:value = 'a.example'] OR [file:size = 1] REPEATS 2 TIMES",
        "domain a.example;!qualifier WITHIN, REPEATS or START;" },
};

static const char *const kinds[NR_KINDS] = { "ipv4", "cidr", "cidr6", "ipv6",
    "domain", "url", "email", "md5", "sha1", "sha256", "sha512", "btc", "eth",
    "ja3", "ja4", "filename", "cve", "asn" };

static void
print_atoms(const struct nr_stix_atoms *v, struct nr_buf *b)
{
    for (size_t i = 0; i < v->n; i++)
        nr_buf_printf(b, "%s %.*s;", kinds[v->v[i].kind],
            NR_FMT(v->v[i].value));
    for (size_t i = 0; i < v->n_rest; i++)
        nr_buf_printf(b, "!%s;", v->rest[i].why);
}

static void
taking(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(atoms) / sizeof(*atoms); i++) {
        const struct nr_stix_node *tree;
        struct nr_stix_atoms v;
        struct nr_arena a;
        struct nr_buf b;

        nr_arena_init(&a, ROOM);
        nr_buf_init(&b, ROOM);
        CHECK_CASE(atoms[i].pattern,
            parse(&a, atoms[i].pattern, &tree, NULL) == NR_OK);
        assert_int_equal(nr_stix_pattern_atoms(&a, tree, &v, NULL), NR_OK);
        print_atoms(&v, &b);
        if (!nr_bytes_eq(nr_buf_bytes(&b),
                nr_bytes_of(nr_str_of(atoms[i].atoms))))
            fail_msg("%s: %s", atoms[i].pattern, nr_buf_cstr(&b));
        nr_buf_fini(&b);
        nr_arena_fini(&a);
    }
}

/* A pattern made of a value gives the value back. */
static void
making(void **state)
{
    static const struct {
        enum nr_kind kind;
        const char *value, *back;
    } v[] = {
        { NR_KIND_IPV4, "203.0.113.7", NULL },
        { NR_KIND_CIDR4, "203.0.113.0/24", NULL },
        { NR_KIND_IPV6, "2001:db8::1", NULL },
        { NR_KIND_CIDR6, "2001:db8::/32", NULL },
        { NR_KIND_DOMAIN, "a.example", NULL },
        { NR_KIND_URL, "http://a.example/'\\", NULL },
        { NR_KIND_EMAIL, "x@a.example", NULL },
        { NR_KIND_MD5, "cead3f77f6cda6ec00f57d76c9a6879f", NULL },
        { NR_KIND_SHA1, "da39a3ee5e6b4b0d3255bfef95601890afd80709", NULL },
        { NR_KIND_WALLET_BTC, "1BoatSLRHtKNngkdXEeobR76b53LETtpyT", NULL },
        { NR_KIND_WALLET_ETH, "0xde0b295669a9fd93d5f28d9ec85e40f4cb697bae",
            NULL },
        { NR_KIND_JA3, "cead3f77f6cda6ec00f57d76c9a6879f", NULL },
        { NR_KIND_JA4, "t13d1516h2_8daaf6152771_e5627efa2ab1", NULL },
        { NR_KIND_FILENAME, "it's.exe", NULL },
        { NR_KIND_CVE, "CVE-2017-0199", NULL },
        { NR_KIND_ASN, "AS64496", "64496" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(v) / sizeof(*v); i++) {
        const struct nr_stix_node *tree;
        struct nr_stix_atoms got;
        struct nr_arena a;
        struct nr_buf b;

        nr_arena_init(&a, ROOM);
        nr_buf_init(&b, ROOM);
        assert_true(nr_stix_pattern_of(v[i].kind, nr_str_of(v[i].value), &b));
        assert_non_null(nr_buf_cstr(&b));
        assert_int_equal(parse(&a, (const char *)b.p, &tree, NULL), NR_OK);
        assert_int_equal(nr_stix_pattern_atoms(&a, tree, &got, NULL), NR_OK);
        CHECK_CASE(v[i].value, got.n == 1 && got.n_rest == 0);
        CHECK_CASE(v[i].value, got.v[0].kind == v[i].kind);
        CHECK_CASE(v[i].value,
            nr_str_eq(got.v[0].value,
                nr_str_of(v[i].back ? v[i].back : v[i].value)));
        nr_buf_fini(&b);
        nr_arena_fini(&a);
    }
}

static void
faults(void **state)
{
    long n = 0;

    (void)state;
    for (bool hit = true; hit; n++) {
        const struct nr_stix_node *tree = NULL;
        struct nr_stix_atoms v;
        struct nr_arena a;
        enum nr_err err;

        nr_arena_init(&a, ROOM);
        nr_fault_left = n;
        nr_fault_hit = false;
        err = parse(&a,
            "([a:b = 'x\\'' OR a:c IN (1)] OR [a:d = 1]) AND [a:e "
            "= 1] WITHIN 5 SECONDS",
            &tree, NULL);
        if (!err)
            err = nr_stix_pattern_atoms(&a, tree, &v, NULL);
        hit = nr_fault_hit;
        nr_fault_left = -1;
        assert_int_equal(err, hit ? NR_ENOMEM : NR_OK);
        nr_arena_fini(&a);
    }
    assert_true(n > 1);
    /* every allocation refused by the ceiling in turn */
    for (size_t room = 1;; room += 40) {
        const struct nr_stix_node *tree;
        struct nr_stix_atoms v;
        struct nr_arena a;
        enum nr_err err;

        nr_arena_init(&a, room);
        err = parse(&a,
            "[a:b = 'x\\'' OR a:c IN (1, 2) AND NOT EXISTS a:d] "
            "REPEATS 2 TIMES",
            &tree, NULL);
        if (!err)
            err = nr_stix_pattern_atoms(&a, tree, &v, NULL);
        nr_arena_fini(&a);
        if (!err)
            break;
        assert_int_equal(err, NR_ENOMEM);
    }
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(conformance),
        NR_TEST(printing),
        NR_TEST(limits),
        NR_TEST(taking),
        NR_TEST(making),
        NR_TEST(faults),
    };

    cmocka_set_message_output(CM_OUTPUT_TAP);
    dir = argc > 1 ? argv[1] : ".";
    return cmocka_run_group_tests_name("stix pattern", tests, NULL, NULL);
}
