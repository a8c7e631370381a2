#include "base/test.h"

#include "base/buf.h"
#include "base/file.h"
#include "extract/extract.h"
#include "extract/html.h"
#include "extract/row.h"
#include "extract/unique.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct nr_bytes
bytes(const char *s)
{
    return (struct nr_bytes){ (const uint8_t *)s, strlen(s) };
}

static void
add(struct nr_unique *u, unsigned kind, const char *key, uint32_t file,
    uint64_t line)
{
    assert_int_equal(nr_unique_add(u, nr_unique_hash(u, kind, bytes(key)), kind,
                         bytes(key), file, line),
        NR_OK);
}

static void
print(const struct nr_unique *u, struct nr_buf *out)
{
    nr_buf_reset(out);
    for (uint32_t i = 0; i < nr_unique_n(u); i++) {
        struct nr_unique_value v = nr_unique_at(u, i);

        nr_buf_printf(out, "%u %.*s %llu %u:%llu\n", v.kind, (int)v.key.n,
            (const char *)v.key.p, (unsigned long long)v.count, v.file,
            (unsigned long long)v.line);
    }
}

static void
unique_counts_and_sorts(void **state)
{
    struct nr_unique *u = nr_unique_create(1 << 22, 7);
    struct nr_buf out;

    (void)state;
    nr_buf_init(&out, 4096);
    assert_non_null(u);
    assert_int_equal(nr_unique_n(u), 0);
    assert_int_equal(nr_unique_sort(u, NR_UNIQUE_BY_COUNT), NR_OK);
    add(u, 4, "b", 0, 3);
    add(u, 4, "a", 0, 4);
    add(u, 5, "a", 1, 1);
    add(u, 4, "a", 1, 2);
    add(u, 4, "", 2, UINT64_MAX);
    add(u, 4, "ab", 2, 1);
    add(u, 5, "a", 2, 9);
    assert_int_equal(nr_unique_sort(u, NR_UNIQUE_BY_FIRST), NR_OK);
    print(u, &out);
    assert_string_equal(nr_buf_cstr(&out),
        "4 b 1 0:3\n4 a 2 0:4\n5 a 2 1:1\n4  1 2:17592186044415\n"
        "4 ab 1 2:1\n");
    assert_int_equal(nr_unique_sort(u, NR_UNIQUE_BY_COUNT), NR_OK);
    print(u, &out);
    assert_string_equal(nr_buf_cstr(&out),
        "4 a 2 0:4\n5 a 2 1:1\n4 b 1 0:3\n4  1 2:17592186044415\n"
        "4 ab 1 2:1\n");
    assert_int_equal(nr_unique_sort(u, NR_UNIQUE_BY_VALUE), NR_OK);
    print(u, &out);
    assert_string_equal(nr_buf_cstr(&out),
        "4  1 2:17592186044415\n4 a 2 0:4\n4 ab 1 2:1\n4 b 1 0:3\n"
        "5 a 2 1:1\n");
    nr_unique_destroy(u);
    nr_buf_fini(&out);
}

/* Many values, over several sizes of the table and several chunks. */
static void
unique_grows(void **state)
{
    enum { N = 100000 };
    struct nr_unique *u = nr_unique_create(64 << 20, 1);
    char key[40];

    (void)state;
    assert_non_null(u);
    for (uint32_t round = 0; round < 3; round++)
        for (uint32_t i = 0; i < N; i++)
            if (i % (round + 1) == 0) {
                (void)snprintf(key, sizeof(key), "%u.%.*s", i, (int)(i % 20),
                    "aaaaaaaaaaaaaaaaaaaaaaaa");
                add(u, i % 3, key, round, i);
            }
    assert_int_equal(nr_unique_n(u), N);
    assert_int_equal(nr_unique_sort(u, NR_UNIQUE_BY_FIRST), NR_OK);
    for (uint32_t i = 0; i < N; i++) {
        struct nr_unique_value v = nr_unique_at(u, i);

        assert_int_equal(v.kind, i % 3);
        assert_int_equal(v.line, i);
        assert_int_equal(v.file, 0);
        assert_int_equal(v.count,
            1u + (i % 2 == 0 ? 1u : 0u) + (i % 3 == 0 ? 1u : 0u));
    }
    nr_unique_destroy(u);
}

static void
unique_keeps_its_limit(void **state)
{
    struct nr_unique *u = nr_unique_create(2 << 20, 1);
    enum nr_err err = NR_OK;
    uint32_t i = 0;

    (void)state;
    assert_non_null(u);
    for (; err == NR_OK && i < 1000000; i++) {
        struct nr_bytes key = { (const uint8_t *)&i, sizeof(i) };

        err = nr_unique_add(u, nr_unique_hash(u, 0, key), 0, key, 0, 1);
    }
    assert_int_equal(err, NR_ELIMIT);
    assert_in_range(i, 20000, 60000); /* 2 MiB, at 24 to 64 octets */
    nr_unique_destroy(u);
}

/* --- rows --- */

static enum nr_err
keep(void *ctx, struct nr_bytes b, struct nr_diag *d)
{
    (void)d;
    nr_buf_put(ctx, b);
    return NR_OK;
}

static enum nr_err
same_octets(void *ctx, void *p, size_t n)
{
    (void)ctx;
    memset(p, 7, n);
    return NR_OK;
}

static const struct nr_env env = { .random = same_octets };

static void
extract(const struct nr_extract_options *o, const char *text,
    struct nr_buf *out)
{
    struct nr_block b = { .text = bytes(text), .at = 100, .first_line = 10 };
    struct nr_extract_sink sink = { keep, out };
    struct nr_extract *x = NULL;
    struct nr_tokens t;

    nr_buf_reset(out);
    assert_int_equal(nr_extract_create(o, sink, &env, &x, NULL), NR_OK);
    nr_tokens_init(&t, nr_extract_scan_flags(x, strchr(text, '[') != NULL));
    assert_int_equal(nr_scan(b.text, &t), NR_OK);
    assert_int_equal(nr_extract_file(x, "a\tb", NULL), NR_OK);
    assert_int_equal(nr_extract_tokens(x, &b, &t, NULL), NR_OK);
    assert_int_equal(nr_extract_finish(x, NULL), NR_OK);
    nr_extract_destroy(x);
    nr_tokens_fini(&t);
}

#define ALL \
    (((1u << NR_KINDS) - 1) & ~(1u << NR_KIND_JA3 | 1u << NR_KIND_FILENAME))

static const struct {
    const char *name;
    struct nr_extract_options o;
    const char *text, *want;
} row_cases[] = {
    { "columns", { .kinds = ALL }, "x 192.0.2.255 y\n\n 10.0.0.9",
        "ipv4\t192.0.2.255\ta?b\t10\t3\nipv4\t10.0.0.9\ta?b\t12\t2\n" },
    { "hash", { .kinds = 1u << NR_KIND_MD5 },
        "evil.com D41D8CD98F00B204E9800998ECF8427E",
        "md5\td41d8cd98f00b204e9800998ecf8427e\ta?b\t10\t10\n" },
    { "inner reading", { .kinds = ALL }, "%2Fevil.com. index.html",
        "domain\tevil.com\ta?b\t10\t4\n" },
    { "offset", { .kinds = ALL, .offset = true }, "x\n 10.0.0.9\n",
        "ipv4\t10.0.0.9\ta?b\t11\t2\t103\n" },
    { "line", { .kinds = ALL, .whole_line = true }, "x\ny\t10.0.0.9 z\r\nq",
        "ipv4\t10.0.0.9\ta?b\t11\t3\ty?10.0.0.9 z\n" },
    { "context", { .kinds = ALL, .context = 3 }, "x\nuvw 10.0.0.9 abc\n",
        "ipv4\t10.0.0.9\ta?b\t11\t5\tvw 10.0.0.9 ab\n" },
    { "context cuts no character", { .kinds = ALL, .context = 3 },
        "\xe3\x81\x82 10.0.0.9 \xe3\x81\x82",
        "ipv4\t10.0.0.9\ta?b\t10\t5\t 10.0.0.9 \n" },
    { "defang", { .kinds = ALL, .defang = true }, "http://evil.com/a.b",
        "url\thxxp://evil[.]com/a.b\ta?b\t10\t1\n"
        "domain\tevil[.]com\ta?b\t10\t8\n" },
    { "json", { .kinds = ALL, .json = true, .offset = true, .context = 2 },
        "\"10.0.0.9\\",
        "{\"kind\":\"ipv4\",\"value\":\"10.0.0.9\",\"file\":\"a\\tb\","
        "\"line\":10,\"column\":2,\"offset\":101,"
        "\"context\":\"\\\"10.0.0.9\\\\\"}\n" },
    { "unknown", { .kinds = ALL, .known = NR_KNOWN_MARKED }, "10.0.0.9",
        "ipv4\t10.0.0.9\ta?b\t10\t1\t-\n" },
    { "disarmed", { .kinds = ALL },
        "10.0.0.9 hxxp://www[.]evil.com/a. and evil.com\n"
        "hxxp://evil.com/ [x]\nevil[.]com evil.com",
        "ipv4\t10.0.0.9\ta?b\t10\t1\n"
        "url\thttp://www.evil.com/a\ta?b\t10\t10\n"
        "domain\twww.evil.com\ta?b\t10\t17\n"
        "domain\tevil.com\ta?b\t10\t39\n"
        "url\thttp://evil.com/\ta?b\t11\t1\n"
        "domain\tevil.com\ta?b\t11\t8\n"
        "domain\tevil.com\ta?b\t12\t1\n"
        "domain\tevil.com\ta?b\t12\t12\n" },
    { "ranges", { .kinds = ALL },
        "192.0.2.0/24, 192.0.2.1/24 10.0.0.0/8. 10.0.0.0/33 10.0.0.0/8/x "
        "2001:db8::/32",
        "cidr\t192.0.2.0/24\ta?b\t10\t1\n"
        "ipv4\t192.0.2.1\ta?b\t10\t15\n"
        "cidr\t10.0.0.0/8\ta?b\t10\t28\n"
        "ipv4\t10.0.0.0\ta?b\t10\t40\n"
        "ipv4\t10.0.0.0\ta?b\t10\t52\n"
        "cidr\t2001:db8::/32\ta?b\t10\t65\n" },
    { "only ranges", { .kinds = 1u << NR_KIND_CIDR4, .unique = true },
        "192.0.2.0/24 192.0.2.1 192.0.2.0/24",
        "cidr\t192.0.2.0/24\t2\ta?b\t10\n" },
    { "no ranges", { .kinds = 1u << NR_KIND_IPV4 }, "192.0.2.0/24",
        "ipv4\t192.0.2.0\ta?b\t10\t1\n" },
    { "international", { .kinds = ALL }, "\xe4\xbe\x8b\xe3\x81\x88.jp",
        "domain\txn--r8jz45g.jp\ta?b\t10\t1\n" },
    { "names of files", { .kinds = 1u << NR_KIND_FILENAME },
        "ran C:\\x\\Evil.exe", "filename\tevil.exe\ta?b\t10\t10\n" },
    { "unique", { .kinds = ALL, .unique = true },
        "10.0.0.8\n10.0.0.9\n10.0.0.9\nCVE-2017-0199\n",
        "ipv4\t10.0.0.9\t2\ta?b\t11\nipv4\t10.0.0.8\t1\ta?b\t10\n"
        "cve\tCVE-2017-0199\t1\ta?b\t13\n" },
    { "unique by value",
        { .kinds = ALL, .unique = true, .sort = NR_SORT_VALUE, .json = true },
        "10.0.0.9\n9.0.0.1",
        "{\"kind\":\"ipv4\",\"value\":\"9.0.0.1\",\"count\":1,"
        "\"file\":\"a\\tb\",\"line\":11}\n"
        "{\"kind\":\"ipv4\",\"value\":\"10.0.0.9\",\"count\":1,"
        "\"file\":\"a\\tb\",\"line\":10}\n" },
};

static void
rows(void **state)
{
    struct nr_buf out;

    (void)state;
    nr_buf_init(&out, 1 << 16);
    for (size_t i = 0; i < sizeof(row_cases) / sizeof(*row_cases); i++) {
        extract(&row_cases[i].o, row_cases[i].text, &out);
        if (strcmp(nr_buf_cstr(&out), row_cases[i].want) != 0)
            fail_msg("case %s: %s", row_cases[i].name, (char *)out.p);
    }
    nr_buf_fini(&out);
}

/* Longer than the buffer, in every way. */
static void
long_rows(void **state)
{
    enum { N = 1 << 20 };

    char *text = malloc(N + 1);
    struct nr_extract_options o = { .kinds = ALL, .whole_line = true };
    struct nr_buf out;
    struct nr_bytes rest, line;
    size_t rows_seen = 0;

    (void)state;
    assert_non_null(text);
    memset(text, ' ', N);
    for (size_t i = 0; i < 4; i++)
        memcpy(text + i * (N / 4), "10.0.0.9", 8);
    text[N] = '\0';
    nr_buf_init(&out, 8 * N);
    for (int json = 0; json < 2; json++) {
        o.json = json != 0;
        extract(&o, text, &out);
        rest = nr_buf_bytes(&out);
        for (rows_seen = 0; nr_line_next(&rest, &line); rows_seen++)
            assert_in_range(line.n, N, N + 200);
        assert_int_equal(rows_seen, 4);
    }
    nr_buf_fini(&out);
    free(text);
}

static void
odd_options(void **state)
{
    static const struct nr_extract_options odd[] = {
        { .unique = true, .offset = true },
        { .unique = true, .context = 1 },
        { .unique = true, .whole_line = true },
        { .context = NR_EXTRACT_CONTEXT + 1 },
    };
    struct nr_extract_sink sink = { keep, NULL };

    (void)state;
    for (size_t i = 0; i < sizeof(odd) / sizeof(*odd); i++) {
        struct nr_extract *x = NULL;

        assert_int_equal(nr_extract_create(&odd[i], sink, &env, &x, NULL),
            NR_ELIMIT);
        assert_null(x);
    }
}

/* --- sifting --- */

/* Rows of TEXT in parts, or as a whole. */
static void
extract_parts(unsigned kinds, struct nr_bytes text, bool sift,
    struct nr_buf *out)
{
    struct nr_extract_options o = { .kinds = kinds, .offset = true };
    struct nr_block b = { .text = text, .at = 7, .first_line = 1 }, part = b;
    struct nr_extract_sink sink = { keep, out };
    struct nr_extract_at at = { 0 };
    struct nr_extract *x = NULL;
    struct nr_tokens t;

    nr_buf_reset(out);
    assert_int_equal(nr_extract_create(&o, sink, &env, &x, NULL), NR_OK);
    assert_int_equal(nr_extract_file(x, "f", NULL), NR_OK);
    nr_tokens_init(&t, nr_extract_scan_flags(x, false));
    while (sift ? nr_extract_part(x, &b, t.flags, &at, &part) : !at.done) {
        at.done = at.done || !sift;
        assert_int_equal(nr_scan(part.text, &t), NR_OK);
        assert_int_equal(nr_extract_tokens(x, &part, &t, NULL), NR_OK);
    }
    assert_int_equal(nr_extract_finish(x, NULL), NR_OK);
    nr_extract_destroy(x);
    nr_tokens_fini(&t);
}

static uint32_t
next_random(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

/* Lines of things that are tokens, nearly tokens, and long fillings. */
static void
fill(struct nr_buf *text, uint32_t *seed)
{
    static const char *const pieces[] = { "http://evil.com/x", "a@evil.com",
        ":\\/\\/", "https:\\/\\/e.com\\/", "CVE-2017-0199", "cve-2017-12345",
        "AS64496", "AS", "S", "-", ":", "@", "://", "10.0.0.9", "\n", "\n", " ",
        "d41d8cd98f00b204e9800998ecf8427e",
        "da39a3ee5e6b4b0d3255bfef95601890afd80709",
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "0xde0B295669a9FD93d5F28D9Ec85E40f4cb697BAe", "abcdef012345", "g",
        "\r\n", "%2F" };
    size_t n = next_random(seed) % 400;

    nr_buf_reset(text);
    for (size_t i = 0; i < n; i++) {
        uint32_t r = next_random(seed);

        nr_buf_put_str(text,
            nr_str_of(pieces[r % (sizeof(pieces) / sizeof(*pieces))]));
        for (uint32_t k = 0; r % 32 == 0 && k < 3000; k++)
            nr_buf_put_c(text, k % 100 ? 'z' : '\n');
    }
}

static void
sifting_loses_nothing(void **state)
{
    static const unsigned kinds[] = { 1u << NR_KIND_MD5, 1u << NR_KIND_SHA256,
        1u << NR_KIND_URL, 1u << NR_KIND_EMAIL, 1u << NR_KIND_CVE,
        1u << NR_KIND_ASN, 1u << NR_KIND_SHA1 | 1u << NR_KIND_WALLET_ETH,
        1u << NR_KIND_URL | 1u << NR_KIND_MD5 | 1u << NR_KIND_CVE,
        1u << NR_KIND_IPV4 | 1u << NR_KIND_URL };
    struct nr_buf text, whole, parts;
    uint32_t seed = 1;
    size_t seen = 0;

    (void)state;
    nr_buf_init(&text, 1 << 24);
    nr_buf_init(&whole, 1 << 24);
    nr_buf_init(&parts, 1 << 24);
    for (unsigned round = 0; round < 300; round++) {
        unsigned k = kinds[round % (sizeof(kinds) / sizeof(*kinds))];

        fill(&text, &seed);
        extract_parts(k, nr_buf_bytes(&text), false, &whole);
        extract_parts(k, nr_buf_bytes(&text), true, &parts);
        assert_true(nr_bytes_eq(nr_buf_bytes(&whole), nr_buf_bytes(&parts)));
        seen += whole.n > 0;
    }
    assert_in_range(seen, 200, 300);
    nr_buf_fini(&text);
    nr_buf_fini(&whole);
    nr_buf_fini(&parts);
}

/* --- documents --- */

static const struct {
    const char *head, *name;
    enum nr_document want;
} heads[] = {
    { "%PDF-1.4\n", NULL, NR_DOCUMENT_PDF },
    { "\n%PDF-1.4\n", "x.txt", NR_DOCUMENT_PDF },
    { "PDF", "x.pdf", NR_DOCUMENT_NONE },
    { "", NULL, NR_DOCUMENT_NONE },
    { "\xef\xbb\xbf <!doctype HTML><p>", NULL, NR_DOCUMENT_HTML },
    { "<?xml version='1.0'?>\n<!-- a -->\n<html lang=ja>", NULL,
        NR_DOCUMENT_HTML },
    { "<htmlx>", NULL, NR_DOCUMENT_NONE },
    { "<p>x", "x.htm", NR_DOCUMENT_HTML },
    { "<p>x", "x.log", NR_DOCUMENT_NONE },
    { "<14>Jan  1 00:00:00 h sshd[1]: x", NULL, NR_DOCUMENT_NONE },
    { "From: a@b.c\r\nTo: d\r\nSubject: x\r\n\r\nevil", NULL,
        NR_DOCUMENT_MAIL },
    { "From a@b.c Mon Jan  1\nReceived: x\n y\nDate: z\nFrom: q\n", NULL,
        NR_DOCUMENT_MAIL },
    { "From: a@b.c\nX: y\n\n", NULL, NR_DOCUMENT_NONE },
    { "From: a@b.c\nX: y\n\n", "A.EML", NR_DOCUMENT_MAIL },
    { "From: a\nTo: b\nthis is no field\nSubject: x\n\n", NULL,
        NR_DOCUMENT_NONE },
    { "From: a\nTo: b\nSubject: x\nX-Cu", NULL, NR_DOCUMENT_MAIL },
    { "date: 2017\nhost: x\nuser: y\n", NULL, NR_DOCUMENT_NONE },
};

static void
recognises(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(heads) / sizeof(*heads); i++)
        CHECK_CASE(heads[i].head,
            nr_document_of(bytes(heads[i].head), heads[i].name) ==
                heads[i].want);
}

static const struct {
    const char *html, *want;
} hidden[] = {
    { "a < b, 1 <2 </p>", "" },
    { "<a href='x&amp;y' b=c>t</a>", "x&y\nc\n" },
    { "<a href = \"x\ny\">", "x y\n" },
    { "<a x=&#46;&#x2E;&period;&commat&#233;&#0;&none;>",
        "..."
        "@ &#0;&none;\n" },
    { "<!-- a > b --><!doctype html>", " a > b \n" },
    { "<SCRIPT src=u>a<b</ScRipt><p c=d>", "u\na<b\nd\n" },
    { "<style>x", "x\n" },
    { "<a b=\"c", "c\n" },
    { "<a b=", "" },
    { "<", "" },
    { "<!--", "" },
};

static void
hidden_html(void **state)
{
    struct nr_buf out;

    (void)state;
    nr_buf_init(&out, 4096);
    for (size_t i = 0; i < sizeof(hidden) / sizeof(*hidden); i++) {
        nr_buf_reset(&out);
        nr_html_hidden(bytes(hidden[i].html), &out);
        CHECK_CASE(hidden[i].html,
            strcmp(nr_buf_cstr(&out), hidden[i].want) == 0);
    }
    nr_buf_fini(&out);
}

static void
missing_converter(void **state)
{
    static const struct {
        enum nr_document kind;
        const char *package;
    } cases[] = {
        { NR_DOCUMENT_PDF, "poppler-utils" },
        { NR_DOCUMENT_HTML, "package w3m" },
        { NR_DOCUMENT_MAIL, "package python3" },
    };
    const struct nr_converters none = { .dir = "/nonexistent" };
    FILE *f = tmpfile();

    (void)state;
    assert_non_null(f);
    assert_true(fputs("<a href='http://evil.com/'>", f) >= 0 && fflush(f) == 0);
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        struct nr_diag d = { 0 };
        char text[64] = { 0 };
        int fd = -1;

        assert_int_equal(nr_document_convert(fileno(f), cases[i].kind, "x",
                             &none, &fd, NULL, &d),
            NR_ENOTFOUND);
        assert_non_null(strstr(d.what, cases[i].package));
        assert_string_equal(d.name, "x");
        assert_true(fd >= 0 && read(fd, text, sizeof(text) - 1) >= 0);
        assert_string_equal(text,
            cases[i].kind == NR_DOCUMENT_HTML ? "\nhttp://evil.com/\n" : "");
        assert_int_equal(close(fd), 0);
    }
    assert_int_equal(fclose(f), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(unique_counts_and_sorts),
        NR_TEST(unique_grows),
        NR_TEST(unique_keeps_its_limit),
        NR_TEST(rows),
        NR_TEST(long_rows),
        NR_TEST(odd_options),
        NR_TEST(sifting_loses_nothing),
        NR_TEST(recognises),
        NR_TEST(hidden_html),
        NR_TEST(missing_converter),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
