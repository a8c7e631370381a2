#include "ioc.h"

#include <arpa/inet.h>
#include <stdlib.h>

const char *const gen_kind_names[K_COUNT] = { "ipv4", "cidr", "ipv6", "domain",
    "url", "md5", "sha1", "sha256", "email" };

/* A set of 64-bit fingerprints: all indicators, by kind and canonical text. */
struct set {
    uint64_t *slot;
    size_t cap, len;
};

static struct set all;    /* background lines must hit none of them */
static bool cidr_len[33]; /* prefix lengths in use */

int
gen_kind_from_name(const char *s, size_t n)
{
    for (int k = 0; k < K_COUNT; k++)
        if (strlen(gen_kind_names[k]) == n && !memcmp(gen_kind_names[k], s, n))
            return k;
    return -1;
}

static void
lower(char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] >= 'A' && s[i] <= 'Z')
            s[i] |= 32;
}

bool
gen_parse_ip4(const char *s, size_t n, uint32_t *out)
{
    uint32_t a = 0;
    size_t i = 0;
    for (int part = 0; part < 4; part++) {
        if (part && (i >= n || s[i++] != '.'))
            return false;
        size_t st = i;
        uint32_t v = 0;
        while (i < n && s[i] >= '0' && s[i] <= '9' && i - st < 4)
            v = v * 10 + (uint32_t)(s[i++] - '0');
        if (i == st || v > 255 || (i - st > 1 && s[st] == '0'))
            return false;
        a = a << 8 | v;
    }
    *out = a;
    return i == n;
}

static int
canon_cidr(char *s, size_t n)
{
    char *slash = memchr(s, '/', n), *o;
    unsigned long len;
    uint32_t a;

    if (!slash || !gen_parse_ip4(s, (size_t)(slash - s), &a))
        return -1;
    len = strtoul(slash + 1, NULL, 10);
    if (len < 1 || len > 32)
        return -1;
    a &= (uint32_t)(0xffffffffu << (32 - len));
    o = put_ip4(s, a);
    *o++ = '/';
    o = put_u(o, len);
    *o = 0;
    return (int)(o - s);
}

static int
canon_ip6(char *s, size_t n)
{
    unsigned char b[16];
    char t[64];

    if (n >= sizeof t)
        return -1;
    memcpy(t, s, n);
    t[n] = 0;
    if (inet_pton(AF_INET6, t, b) != 1)
        return -1;
    return (int)(gen_put_ip6(s, b, false) - s);
}

static int
canon_url(char *s, size_t n)
{
    char *host = strstr(s, "://");

    if (!host)
        return -1;
    host += 3;
    lower(s, (size_t)(host - s) + strcspn(host, "/?#"));
    return (int)n;
}

/* Canonical text of an indicator, in place: its length, -1 if it is none. */
static int
canon(enum kind k, char *s, size_t n)
{
    uint32_t a;

    if (k == K_IPV4)
        return gen_parse_ip4(s, n, &a) ? (int)n : -1;
    if (k == K_CIDR)
        return canon_cidr(s, n);
    if (k == K_IPV6)
        return canon_ip6(s, n);
    if (k == K_URL)
        return canon_url(s, n);
    if (k == K_DOMAIN && n && s[n - 1] == '.')
        s[--n] = 0;
    lower(s, n);
    return (int)n;
}

static bool
set_add(struct set *t, uint64_t h) /* false when it was there already */
{
    if (t->len * 2 >= t->cap) {
        struct set n = { .cap = t->cap ? t->cap * 2 : 1024 };
        n.slot = calloc(n.cap, 8);
        if (!n.slot)
            gen_die("out of memory");
        for (size_t i = 0; i < t->cap; i++)
            if (t->slot[i])
                set_add(&n, t->slot[i]);
        free(t->slot);
        *t = n;
    }
    h += !h;
    size_t i = h & (t->cap - 1);
    for (; t->slot[i]; i = (i + 1) & (t->cap - 1))
        if (t->slot[i] == h)
            return false;
    t->slot[i] = h;
    t->len++;
    return true;
}

static bool
set_has(const struct set *t, uint64_t h)
{
    if (!t->cap)
        return false;
    h += !h;
    for (size_t i = h & (t->cap - 1); t->slot[i]; i = (i + 1) & (t->cap - 1))
        if (t->slot[i] == h)
            return true;
    return false;
}

uint64_t
gen_ioc_hash(enum kind k, const char *s, size_t n)
{
    return hash_bytes((uint64_t)k + 1, s, n);
}

static void
probe(struct hits *h, enum kind k, const char *s, size_t n)
{
    if (n >= sizeof h->hit[0].value || h->n == 40 ||
        !set_has(&all, gen_ioc_hash(k, s, n)))
        return;
    h->hit[h->n].kind = k;
    memcpy(h->hit[h->n].value, s, n);
    h->hit[h->n++].value[n] = 0;
}

static void
hits_ip4(struct hits *h, uint32_t a)
{
    char t[24];
    probe(h, K_IPV4, t, (size_t)(put_ip4(t, a) - t));
    for (unsigned len = 1; len <= 32; len++)
        if (cidr_len[len]) {
            char *o = put_ip4(t, a & (uint32_t)(0xffffffffu << (32 - len)));
            *o++ = '/';
            probe(h, K_CIDR, t, (size_t)(put_u(o, len) - t));
        }
}

static void
hits_host(struct hits *h, const char *s,
    size_t n) /* a name, or an IPv4 address */
{
    char t[512];
    uint32_t a;
    if (n >= sizeof t)
        return;
    if (gen_parse_ip4(s, n, &a)) {
        hits_ip4(h, a);
        return;
    }
    memcpy(t, s, n);
    lower(t, n);
    while (n && t[n - 1] == '.')
        n--;
    for (size_t i = 0; i < n;) {
        probe(h, K_DOMAIN, t + i, n - i);
        char *dot = memchr(t + i, '.', n - i);
        if (!dot)
            break;
        i = (size_t)(dot - t) + 1;
    }
}

void
gen_hits_of(struct hits *h, enum kind k, const char *text)
{
    char t[512], *at;
    size_t n = strlen(text);
    int c;

    h->n = 0;
    if (n >= sizeof t)
        return;
    memcpy(t, text, n + 1);
    if (k == K_IPV4 || k == K_CIDR || k == K_DOMAIN) {
        hits_host(h, t, n);
    } else if (k == K_IPV6) {
        c = canon(K_IPV6, t, n);
        if (c > 0)
            probe(h, K_IPV6, t, (size_t)c);
    } else if (k == K_URL) {
        canon(K_URL, t, n);
        probe(h, K_URL, t, n);
        at = strstr(t, "://");
        if (at)
            hits_host(h, at + 3, strcspn(at + 3, "/?#:"));
    } else if (k == K_EMAIL) {
        lower(t, n);
        probe(h, K_EMAIL, t, n);
        at = strchr(t, '@');
        if (at)
            hits_host(h, at + 1, strlen(at + 1));
    } else {
        lower(t, n);
        if (n == 32 || n == 40 || n == 64)
            probe(h, n == 32 ? K_MD5 : n == 40 ? K_SHA1 : K_SHA256, t, n);
    }
}

bool
gen_hits_any(enum kind k, const char *text)
{
    static struct hits h;
    gen_hits_of(&h, k, text);
    return h.n > 0;
}

bool
gen_hits_any_ip4(uint32_t a)
{
    static struct hits h;
    h.n = 0;
    hits_ip4(&h, a);
    return h.n > 0;
}

/*
 * Adds one indicator to all; its canonical text goes to `out` (of 512 bytes).
 */
int
gen_ioc_add(const char *kind, const char *value, char *out)
{
    int k = gen_kind_from_name(kind, strlen(kind));
    size_t n = strlen(value);
    if (k < 0 || n >= 500)
        gen_die("bad indicator: %s %s", kind, value);
    memcpy(out, value, n + 1);
    int c = canon((enum kind)k, out, n);
    if (c < 0)
        gen_die("bad %s: %s", kind, value);
    out[c] = 0;
    set_add(&all, gen_ioc_hash((enum kind)k, out, (size_t)c));
    if (k == K_CIDR)
        cidr_len[strtoul(strchr(out, '/') + 1, NULL, 10)] = true;
    return k;
}

void
gen_load_ioc_row(char **f, int n, void *arg)
{
    char t[512];
    (void)arg;
    if (n < 2)
        gen_die("indicator file: kind<TAB>value expected");
    gen_ioc_add(f[0], f[1], t);
}

size_t
gen_ioc_count(void)
{
    return all.len;
}
