/*
 * The sieve against the scanner, and each of its variants against the scalar
 * one (sieve_try.h): all lengths, all alignments, memory that faults outside
 * of the slack, and texts made of tricky fragments around listed values.
 *
 * sieve_check LIST TEXT: the same for a list and a text in files.
 */
#include "observable/sieve_try.h"

#include "base/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define TEXT_MAX ((size_t)1 << 16)
#define TEXTS    6000u
#define WHOLE    ((size_t)64 << 20)

/* What is listed. Near to each other, so that nearly-right is tried, too. */
static const char list[] =
    "domain\tevil.com\ndomain\twww.bad.example\ndomain\ta.b.c.worse.co.jp\n"
    "domain\tlogin.account-update.secure.other.example\n"
    "ipv6\tfe80:1111:2222:3333:4444:5555:6666:7777\n"
    "domain\tco-op.co.jp\ndomain\tabc.xyz\ndomain\tt.co\n"
    "domain\txn--mnchen-3ya.de\ndomain\txn--e1afmkfd.xn--p1ai\n"
    "domain\t_dmarc.x-y.evil-host.net\ndomain\tx.duckdns.org\n"
    "domain\taaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.com\n"
    "domain\tone.two.three.four.five.six.seven.eight.nine.ten.eleven.twelve."
    "thirteen.fourteen.net\n"
    "ipv4\t1.2.3.4\nipv4\t203.0.113.77\nipv4\t255.255.255.255\nipv4\t0.0.0.0\n"
    "cidr\t198.51.100.0/25\ncidr\t10.20.0.0/14\ncidr\t192.0.2.8/31\n"
    "ipv6\t2001:db8::1\nipv6\t::1\nipv6\tfe80:1:2:3:4:5:6:7\n"
    "cidr\t2001:db8:5::/48\ncidr\t2a00::/11\n"
    "url\thttp://evil.com/\nurl\thttps://bad.example/a?b=c\n"
    "url\tftp://files.example/x.exe\nurl\thost.example/path/to/it\n"
    "url\thttps://x.example/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.\n"
    "url\thttp://127.0.0.1:8080/x\nurl\thttp://[2001:db8::2]/y\n"
    "url\thttp://u.example/p),\nurl\thttp://q.example\n"
    /* 30 to 32 octets behind the slashes: the edge of a probe */
    "url\thttp://edge.example/aaaaaaaaaaaaaaaaa\n"
    "url\thttp://edge.example/bbbbbbbbbbbbbbbbbb\n"
    "url\thttp://edge.example/ccccccccccccccccccc\n"
    "email\tevil@bad.example\nemail\ta+b@c.example.com\n"
    "email\tvery.long.local.part.of.a.name@long.example.org\n"
    "email\tnx@y.example\nemail\t+b@c.example.com\n"
    "md5\td41d8cd98f00b204e9800998ecf8427e\n"
    "sha1\tda39a3ee5e6b4b0d3255bfef95601890afd80709\n"
    "sha256\te3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    "\n";

/* What may stand around and between. */
static const char *const bits[] = { ".", "-", "_", "--", "..", ".-", "-.", "%",
    "%2F", "%2f", "%20", "%A1", "%31", "%3A%2F%2F", "\\n", "\\r\\n", "\\t",
    "\\/", "\\", "/", "//", "://", ":\\/\\/", "http", "http://", "https:\\/\\/",
    "HTTPS://", "ftp", "hxxp://", "hxxps[:]//", "[.]", "(dot)", "[", "]", "(",
    ")", "{.}", "[at]", "@", ":", "::", "+", ",", ";", "!", "?", "#", "&", "=",
    " ", "\t", "\n", "\n", "\"", "'", "<", ">", "|", "0", "1", "9", "10", "255",
    "256", "00", "a", "f", "g", "n", "z", "F", "com", "co.jp", "evil", "www.",
    ".com", ".1", ".443", ":80", "10:20:30", "aa:bb:cc:dd:ee:ff:00:11:22:33",
    "1.2.3", "4.5.6.7.8", "m\xc3\xbcnchen.de", "M\xc3\x9cnchen.DE",
    "\xd0\xbf\xd1\x80\xd0\xb8\xd0\xbc\xd0\xb5\xd1\x80.\xd1\x80\xd1\x84",
    "\xe3\x80\x82", "\xff", "\x80", "\x7f", "\x01", "deadbeef",
    "0123456789abcdef", "--------------------------------------------------" };

static uint64_t seed = 0x9e3779b97f4a7c15;

static size_t
rnd(size_t n)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (size_t)(seed >> 20) % n;
}

struct text {
    char p[TEXT_MAX];
    size_t n;
};

static void
put(struct text *t, const char *s, size_t n)
{
    if (n > sizeof(t->p) - t->n)
        n = sizeof(t->p) - t->n;
    memcpy(t->p + t->n, s, n);
    t->n += n;
}

/* A listed value, by chance with its case changed, cut, or with its slashes
 * escaped. */
static void
put_value(struct text *t)
{
    const char *at = list;
    size_t skip = rnd(60), n, way = rnd(8);

    while (skip-- > 0) {
        at = strchr(at, '\n') + 1;
        if (*at == '\0')
            at = list;
    }
    at = strchr(at, '\t') + 1;
    n = (size_t)(strchr(at, '\n') - at);
    if (way == 0)
        n -= rnd(n);
    for (size_t i = 0; i < n; i++) {
        char c = at[i];

        if (way == 1 && nr_is_alpha((uint8_t)c))
            c = (char)(c ^ (rnd(2) ? 0x20 : 0));
        if (way == 2 && c == '/')
            put(t, "\\", 1);
        if (way == 3 && rnd(30) == 0)
            c = (char)rnd(256);
        put(t, &c, 1);
    }
}

static void
put_text(struct text *t, size_t parts)
{
    t->n = 0;
    while (parts-- > 0) {
        size_t what = rnd(8);
        const char *s = bits[rnd(sizeof(bits) / sizeof(*bits))];
        char c = (char)rnd(256);

        if (what < 3)
            put_value(t);
        else if (what < 7)
            put(t, s, strlen(s));
        else
            put(t, &c, 1);
        if (rnd(12) == 0)
            put(t, "\n", 1);
    }
}

/* Memory between two pages that fault when touched. */
static uint8_t *
fenced(size_t octets)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    uint8_t *m;

    octets = (octets + page - 1) / page * page;
    m = mmap(NULL, octets + 2 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
        -1, 0);
    if (m == MAP_FAILED ||
        mprotect(m + page, octets, PROT_READ | PROT_WRITE) != 0)
        abort();
    return m + page;
}

struct check {
    struct try_list *l;
    unsigned cpu;
    uint8_t *room; /* ROOM octets between fences */
    struct try_seen seen;
    bool failed;
};

#define ROOM (TEXT_MAX + 4096)

/* BLOCK with its slack at the start or the end of the room, or AT octets off.
 * Behind the line feeds that must be there stands something else. */
static void
try_at(struct check *c, const void *p, size_t n, size_t at)
{
    const char *wrong;
    uint8_t *block = c->room + NR_SIEVE_SLACK + at;

    memset(block - NR_SIEVE_SLACK, 'a', NR_SIEVE_SLACK);
    block[-1] = '\n';
    memcpy(block, p, n);
    memset(block + n, '.', NR_SIEVE_SLACK);
    if (n == 0 || block[n - 1] != '\n')
        block[n] = '\n';
    wrong = try_block(c->l, (struct nr_bytes){ block, n }, c->cpu, &c->seen);
    if (!wrong || c->failed)
        return;
    c->failed = true;
    printf("not ok - %s: %zu octets at %zu: kind %u: %.*s: %.*s\n", wrong, n,
        at, c->seen.kind, (int)c->seen.text.n, (const char *)c->seen.text.p,
        (int)c->seen.line.n, (const char *)c->seen.line.p);
}

/* Every value alone, with each fragment before and behind, at each length up
 * to three words, and ending at each octet of a word. */
static void
check_places(struct check *c)
{
    const char *at = list;

    while (*at) {
        const char *value = strchr(at, '\t') + 1, *end = strchr(at, '\n');
        static struct text t;

        for (size_t i = 0; i < sizeof(bits) / sizeof(*bits); i++) {
            t.n = 0;
            put(&t, bits[i], strlen(bits[i]));
            put(&t, value, (size_t)(end - value));
            put(&t, bits[i], strlen(bits[i]));
            put(&t, " ", 1);
            put(&t, value, (size_t)(end - value));
            put(&t, bits[i], strlen(bits[i]));
            try_at(c, t.p, t.n, 0);
            try_at(c, t.p, t.n, ROOM - t.n - 2 * NR_SIEVE_SLACK);
        }
        for (size_t pad = 0; pad < 3 * 67; pad++) {
            t.n = 0;
            for (size_t i = 0; i < pad; i++)
                put(&t, &"x "[pad % 2], 1);
            put(&t, " ", 1);
            put(&t, value, (size_t)(end - value));
            put(&t, ". ", pad % 3);
            try_at(c, t.p, t.n, pad % 64);
            try_at(c, t.p, t.n, ROOM - t.n - 2 * NR_SIEVE_SLACK);
        }
        at = end + 1;
    }
}

static void
check_random(struct check *c)
{
    static struct text t;

    for (unsigned i = 0; i < TEXTS && !c->failed; i++) {
        put_text(&t, i % 64 == 0 ? 9000 : rnd(80) + 1);
        try_at(c, t.p, t.n, rnd(64));
        try_at(c, t.p, t.n, ROOM - t.n - 2 * NR_SIEVE_SLACK);
    }
}

/* So many probes in one piece that they are looked up in its midst: whatever
 * is being cut out then must not be touched. */
static void
check_crowd(struct check *c)
{
    static const char url[] = "http://crowded.example/a-path-of-more-than-32/";
    static struct text t;
    struct check own = *c;

    t.n = 0;
    put(&t, "ipv6\tfe80::a:b\nurl\t", 19);
    put(&t, url, sizeof(url) - 1);
    for (unsigned len = 1; len < 25; len++) {
        char row[32];

        put(&t, row,
            (size_t)snprintf(row, sizeof(row), "\ncidr\t0.0.0.0/%u", len));
    }
    own.l = try_list_create((struct nr_str){ (const char *)t.p, t.n });
    for (unsigned quads = 70; quads < 76; quads++)
        for (unsigned urls = 0; urls < 60; urls++) {
            t.n = 0;
            for (unsigned i = 0; i < quads; i++)
                put(&t, "1.1.1.1 ", 8);
            put(&t, "\n", 1);
            for (unsigned i = 0; i < urls; i++) {
                put(&t, url, sizeof(url) - 1);
                put(&t, "2 ", 2);
            }
            put(&t, "\nfe80:0:0:0:0:0:a:b\n", 20);
            try_at(&own, t.p, t.n, 0);
        }
    c->failed = own.failed;
    try_list_destroy(own.l);
}

static void
check_counting(struct check *c)
{
    for (unsigned i = 0; i < 400 && !c->failed; i++) {
        uint8_t *p = c->room + ROOM - i;
        size_t want = 0;

        for (unsigned k = 0; k < i; k++) {
            p[k] = rnd(3) ? 'x' : '\n';
            want += p[k] == '\n';
        }
        for (unsigned use = 0; use < 8; use++)
            if (nr_count_lines((struct nr_bytes){ p, i }, c->cpu & use) !=
                want) {
                c->failed = true;
                printf("not ok - counting lines of %u octets\n", i);
            }
    }
}

static uint8_t *
slurp(const char *path, size_t *n)
{
    FILE *f = fopen(path, "rbe");
    uint8_t *p = malloc(WHOLE + 2 * NR_SIEVE_SLACK);

    if (!f || !p) {
        perror(path);
        exit(2);
    }
    *n = fread(p + NR_SIEVE_SLACK, 1, WHOLE, f);
    (void)fclose(f);
    memset(p, '\n', NR_SIEVE_SLACK);
    memset(p + NR_SIEVE_SLACK + *n, '\n', NR_SIEVE_SLACK);
    return p;
}

static int
check_files(const char *list_path, const char *text_path, unsigned cpu)
{
    size_t list_n, n;
    struct try_seen seen = { 0 };
    uint8_t *a = slurp(list_path, &list_n), *b = slurp(text_path, &n);
    struct try_list *l = try_list_create(
        (struct nr_str){ (const char *)a + NR_SIEVE_SLACK, list_n });
    const char *wrong = try_block(l, (struct nr_bytes){ b + NR_SIEVE_SLACK, n },
        cpu, &seen);

    printf("%s - %s, %zu lines with a match\n", wrong ? "not ok" : "ok",
        wrong ? wrong : text_path, seen.lines);
    try_list_destroy(l);
    free(a);
    free(b);
    return wrong ? EXIT_FAILURE : EXIT_SUCCESS;
}

int
main(int argc, char **argv)
{
    struct check c = { .cpu = nr_cpu_flags(), .room = fenced(ROOM) };
    const char *mask = getenv("NR_CPU");

    if (mask)
        c.cpu &= (unsigned)strtoul(mask, NULL, 0);
    if (argc == 3)
        return check_files(argv[1], argv[2], c.cpu);
    c.l = try_list_create((struct nr_str){ list, sizeof(list) - 1 });
    check_places(&c);
    check_random(&c);
    check_crowd(&c);
    check_counting(&c);
    if (c.seen.lines < 10000)
        printf("not ok - only %zu lines matched\n", c.seen.lines);
    else if (!c.failed)
        printf("ok - %zu lines with a match, cpu %#x\n", c.seen.lines, c.cpu);
    try_list_destroy(c.l);
    return c.failed || c.seen.lines < 10000 ? EXIT_FAILURE : EXIT_SUCCESS;
}
