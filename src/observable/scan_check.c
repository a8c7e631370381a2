/*
 * The variants of the scanner against the scalar one: the same tokens in the
 * same order, with the same keys and lines, for texts of every length and
 * alignment that end where memory ends, made by several grammars from fixed
 * seeds, under every option. Broken variants show that the check would see it.
 */
#include "base/test.h"

#include "base/cpu.h"
#include "observable/observable.h"
#include "observable/scan_kernels.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* The body of the variants with plain C under it, and ways to break it. */
static int broken;

#define SCAN_NAME scan_plain
static enum nr_err scan_plain(struct nr_bytes block, struct nr_tokens *out);
#ifndef SCAN_BODY
#define SCAN_BODY "observable/scan_bits.h"
#endif
#include SCAN_BODY

enum {
    BROKEN_LETTER = 1, /* one letter is part of no run */
    BROKEN_LAST = 2,   /* the last octet of 64 is no ':' */
    BROKEN_AT = 3,
    BROKEN_HEX = 4,
    BROKEN_LOWER = 5,
    BROKEN_HIGH = 6,
    BROKEN_DASH = 7,
    BROKENS = 8,
};

static inline void
classify(const uint8_t *p, struct bits *b)
{
    *b = (struct bits){ 0 };
    for (unsigned i = 0; i < 64; i++) {
        uint64_t bit = (uint64_t)1 << i;
        uint8_t c = nr_scan_class[p[i]];

        if ((c & NR_C_RUN) && !(broken == BROKEN_LETTER && p[i] == 'z'))
            b->run |= bit;
        if ((c & NR_C_HEX) && !(broken == BROKEN_HEX && p[i] == 'F'))
            b->hex |= bit;
        b->dot |= p[i] == '.' ? bit : 0;
        b->digit |= nr_is_digit(p[i]) ? bit : 0;
        b->colon |= p[i] == ':' && !(broken == BROKEN_LAST && i == 63) ? bit
                                                                       : 0;
        b->at |= p[i] == '@' && broken != BROKEN_AT ? bit : 0;
        b->lf |= p[i] == '\n' ? bit : 0;
        b->slash |= p[i] == '/' || p[i] == '\\' ? bit : 0;
        b->high |= p[i] > 0x7f && broken != BROKEN_HIGH ? bit : 0;
    }
}

static inline void
separators(const uint8_t *p, struct bits *b)
{
    b->dash = b->under = 0;
    for (unsigned i = 0; i < 64; i++) {
        b->dash |= (uint64_t)(p[i] == '-' && broken != BROKEN_DASH) << i;
        b->under |= (uint64_t)(p[i] == '_') << i;
    }
}

static inline void
copy_lower(uint8_t *to, const uint8_t *from)
{
    for (size_t i = 0; i < 64; i++)
        to[i] = broken == BROKEN_LOWER && from[i] == 'Z' ? 'Z'
                                                         : nr_lower(from[i]);
}

/* --- texts --- */

static uint64_t seed;

static uint32_t
roll(uint32_t n)
{
    seed = seed * 6364136223846793005 + 1442695040888963407;
    return (uint32_t)((seed >> 33) % n);
}

static const char *const parts[] = { "1.2.3.4", "255.255.255.255", "256.1.1.1",
    "01.2.3.4", "1.2.3", ".", ".", "..", "-", "_", "evil.com", "WWW.EviZ.com",
    "a.b", "co.jp", ".x", "z9", "Z", "F", "0", "1", ":", "::", "2001:db8::1",
    "1:2:3:4:5:6:7:8", "2001:0db8:0001:0002:0003:0004:0005:0006",
    "fe80::1%eth0", "00:11:22:33:44:55", "12:34:56", "http://", "https:\\/\\/",
    "ftp://", "hxxp://", "[.]", "(dot)", "[at]", "/", "\\", "\\n", "\\r", "%2F",
    "%", "@", "@", "user", "a+b", "?q=", "#", "&", "=", ",", ";", "!", ")",
    "\"", "'", "<", "|", " ", " ", " ", "\t", "\n", "\n", "\r\n", "\0", "\x7f",
    "\xe4\xbe\x8b\xe3\x81\x88", "\xe3\x80\x82", "\xc3\xbc", "\xff", "\xe4\xbe",
    ".443", ".65535", "-9", "10.0.0.1-10.0.0.9",
    "d41d8cd98f00b204e9800998ecf8427e", "D41D8CD98F00B204E9800998ECF8427F",
    "da39a3ee5e6b4b0d3255bfef95601890"
    "afd80709",
    "0123456789abcdef",
    "0123456789ABCDEF0123456789ABCDEF"
    "0123456789ABCDEF0123456789ABCDEF",
    "CVE-2017-0199", "cve-", "AS64496", "AS",
    "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
    "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
    "0xDE0B295669a9FD93d5F28D9Ec85E40f4cb697BAe",
    " t13d1516h2_8daaf6152771_b186095e22b6 ", "xn--r8jz45g.jp",
    "a-very-long-label-of-more-than-sixty-four-octets-that-goes-on-and-on-x",
    "evil.com--------------------------------------------------------------"
    "------------------------------------------------------------------" };

#define N_PARTS (sizeof(parts) / sizeof(*parts))

/* Fill P. GRAMMAR 0: parts; 1: any octets; others: few octets that matter. */
static void
text(unsigned grammar, uint8_t *p, size_t n)
{
    static const char *const few[] = { "a.", "1.", ":0", ":./ah\n", "@a.b ",
        "aF0.:-_@/\\%n \n", "0123456789abcdef", "1234567890.-", "hHtTpPsS:/.\n",
        "\xe4\xbe\x8b.jp a\n", "[.](dot)hxp:@a1\n", "AS1CVE-_bc" };
    size_t k = grammar < 2 ? 0 : grammar - 2;

    for (size_t i = 0; i < n;) {
        const char *part = parts[roll(N_PARTS)];
        size_t len = nr_min(strlen(part), n - i);

        if (grammar == 0) {
            memcpy(p + i, part, len);
            if (len == 0)
                p[i++] = 0;
            i += len;
        } else if (grammar == 1) {
            p[i++] = (uint8_t)roll(256);
        } else {
            p[i++] = (uint8_t)few[k][roll((uint32_t)strlen(few[k]))];
        }
    }
}

#define GRAMMARS 14u

/* --- the comparison --- */

static bool
equal_tokens(const struct nr_tokens *a, const struct nr_tokens *b)
{
    if (a->n != b->n || a->n_lines != b->n_lines ||
        (a->n_lines > 0 &&
            memcmp(a->line_at, b->line_at, a->n_lines * sizeof(*a->line_at)) !=
                0))
        return false;
    for (size_t i = 0; i < a->n; i++) {
        const struct nr_token *x = &a->v[i], *y = &b->v[i];

        if (x->line != y->line || x->at != y->at || x->len != y->len ||
            x->kind != y->kind ||
            !nr_bytes_eq(nr_token_key(a, x), nr_token_key(b, y)))
            return false;
    }
    return true;
}

struct check {
    uint8_t *memory; /* its last octet is the last that can be read */
    size_t size;
    struct nr_tokens want, got;
};

static void
check_init(struct check *c)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *p = mmap(NULL, 4 * page, PROT_READ | PROT_WRITE,
        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    assert_true(p != MAP_FAILED);
    assert_int_equal(mprotect(p + 3 * page, page, PROT_NONE), 0);
    *c = (struct check){ .memory = p, .size = 3 * page };
    nr_tokens_init(&c->want, 0);
    nr_tokens_init(&c->got, 0);
}

static void
check_fini(struct check *c)
{
    nr_tokens_fini(&c->want);
    nr_tokens_fini(&c->got);
    (void)munmap(c->memory, c->size + (size_t)sysconf(_SC_PAGESIZE));
}

/* Is one of the texts of the seeds from FIRST on another to V? */
static bool
differs(struct check *c, const struct nr_scanner *v, uint64_t first,
    unsigned rounds)
{
    static const unsigned flags[] = { 0, NR_SCAN_MORE, NR_SCAN_IDN,
        NR_SCAN_PORTS, NR_SCAN_RANGES, NR_SCAN_FANGS | NR_SCAN_FILES,
        NR_SCAN_URL_PREFIX | NR_SCAN_JA3, ~0u };

    for (unsigned i = 0; i < rounds; i++) {
        unsigned f = flags[i / GRAMMARS % (sizeof(flags) / sizeof(*flags))];
        size_t n = i % 8 == 7 ? 1 + roll((uint32_t)c->size - 1) : i % 300;
        struct nr_bytes block = { c->memory + c->size - n, n };

        seed = first + i;
        text(i % GRAMMARS, c->memory + c->size - n, n);
        c->want.flags = c->got.flags = f;
        assert_int_equal(nr_scan(block, &c->want), NR_OK);
        assert_int_equal(v->scan(block, &c->got), NR_OK);
        if (!equal_tokens(&c->want, &c->got)) {
            if (!broken)
                print_error("%s differs: seed %llu, %zu octets, flags %u\n",
                    v->name, (unsigned long long)first + i, n, f);
            return true;
        }
    }
    return false;
}

#define ROUNDS 16000u

static void
test_variants(void **state)
{
    const struct nr_scanner plain = { "plain", scan_plain };
    static const unsigned cpus[] = { NR_CPU_AVX2, NR_CPU_AVX512, NR_CPU_NEON };
    struct check c;

    (void)state;
    check_init(&c);
    broken = 0;
    assert_false(differs(&c, &plain, 1, ROUNDS));
    for (size_t i = 0; i < sizeof(cpus) / sizeof(*cpus); i++) {
        struct nr_scanner v = nr_scanner_choose(cpus[i]);

        if (v.scan == nr_scan)
            continue; /* not on this machine */
        assert_false(differs(&c, &v, 1, ROUNDS));
        assert_false(differs(&c, &v, 1 + (i + 1) * ROUNDS, ROUNDS));
    }
    check_fini(&c);
}

static void
test_mutants(void **state)
{
    const struct nr_scanner plain = { "plain", scan_plain };
    struct check c;

    (void)state;
    check_init(&c);
    for (broken = 1; broken < BROKENS; broken++)
        if (!differs(&c, &plain, 1, ROUNDS))
            fail_msg("a scanner broken in way %d was not seen", broken);
    broken = 0;
    check_fini(&c);
}

static void
test_choice(void **state)
{
    (void)state;
    assert_string_equal(nr_scanner_choose(0).name, "scalar");
    if (nr_cpu_flags() & NR_CPU_AVX2)
        assert_string_equal(nr_scanner_choose(NR_CPU_AVX2).name, "avx2");
    if (nr_cpu_flags() & NR_CPU_AVX512)
        assert_string_equal(nr_scanner_choose(NR_CPU_ALL).name, "avx512");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_variants),
        NR_TEST(test_mutants),
        NR_TEST(test_choice),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
