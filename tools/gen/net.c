#include "net.h"

#include "ioc.h"
#include "words.h"

static const char *const SYL[] = { "ka", "ki", "ku", "ke", "ko", "sa", "shi",
    "su", "se", "so", "ta", "chi", "tsu", "te", "to", "na", "ni", "nu", "ne",
    "no", "ha", "hi", "fu", "he", "ho", "ma", "mi", "mu", "me", "mo", "ya",
    "yu", "yo", "ra", "ri", "ru", "re", "ro", "wa", "ga", "gi", "gu", "ge",
    "go", "za", "ji", "zu", "ze", "zo", "da", "de", "do", "ba", "bi", "bu",
    "be", "bo", "pa", "pi", "pu", "pe", "po", "lan", "ver" };

static const char *const TLD[] = { "com", "com", "com", "com", "com", "com",
    "com", "com", "co.jp", "co.jp", "jp", "net", "net", "ne.jp", "org", "com",
    "ac.jp", "go.jp", "or.jp", "info", "io", "de", "co.uk", "ru", "cn", "fr",
    "eu", "tv", "biz", "kr", "tw", "us" };

static double
root(double x) /* Newton; no libm */
{
    double r = x > 1 ? x : 1;
    for (int i = 0; i < 60; i++)
        r = 0.5 * (r + x / r);
    return r;
}

void
gen_pool_tune(struct pool *p)
{
    if (p->len < 1024 || p->len % 64 == 0) {
        double v = p->c / root(p->len + 1.0) * 4294967296.0;
        p->p_new = v > 2147483648.0 ? 2147483648u : (uint64_t)v;
    }
}

char *
gen_put_syl(char *o, uint64_t bits, int n)
{
    for (; n; n--, bits >>= 6)
        o = put_s(o, SYL[bits & 63]);
    return o;
}

static void
reg_new(struct net *w)
{
    struct pool *p = &w->regs;
    if (p->len == p->cap)
        w->reg = gen_realloc(w->reg,
            (p->cap = p->cap ? p->cap * 2 : 4096) * sizeof *w->reg);
    struct rng r = { mix64(w->seed ^ 0x7265670000000000u ^ p->len) };
    char t[128], *o;
    do {
        uint64_t x = rnd(&r);
        o = gen_put_syl(t, x, 3 + (p->len > 500) + (int)(x >> 61 & 1));
        if ((x >> 40 & 7) == 0)
            o = put_u(o, x >> 44 & 63);
        *o++ = '.';
        o = put_s(o, TLD[x >> 32 & 31]);
        *o = 0;
    } while (gen_hits_any(K_DOMAIN, t));
    w->reg[p->len++] = gen_strndup(t, (size_t)(o - t));
}

void
gen_addr_new(struct net *w)
{
    struct pool *p = &w->addrs;
    if (p->len == p->cap)
        w->addr = gen_realloc(w->addr,
            (p->cap = p->cap ? p->cap * 2 : 4096) * sizeof *w->addr);
    struct rng r = { mix64(w->seed ^ 0x6970340000000000u ^ p->len) };
    uint32_t a;
    do { /* providers own /16s of very different popularity */
        uint32_t block = (uint32_t)mix64(
                             w->seed ^ 0x626c6b0000000000u ^ zipf(&r, 9000)) &
            0xffff;
        a = block << 16 | (uint32_t)(rnd(&r) & 0xffff);
    } while (a >> 24 == 0 || a >> 24 == 10 || a >> 24 == 127 ||
        a >> 24 >= 224 || a >> 16 == 0xc0a8 || a >> 20 == 0xac1 ||
        a >> 16 == 0xa9fe || (a & 255) == 0 || (a & 255) == 255 ||
        gen_hits_any_ip4(a));
    w->addr[p->len++] = a;
}

static void
names_grow(struct net *w)
{
    struct pool *p = &w->names;

    if (p->len < p->cap)
        return;
    p->cap = p->cap ? p->cap * 2 : 4096;
    w->name = gen_realloc(w->name, p->cap * sizeof *w->name);
    w->name_ip = gen_realloc(w->name_ip, p->cap * sizeof *w->name_ip);
}

/* The host part of a name under a registrable domain, without its dot. */
static char *
put_host(char *o, struct rng *r, uint32_t form)
{
    switch (form) {
    case 9: /* the first name seen under a new domain */
        return put_s(o, PICK(r, gen_host_prefixes));
    case 0: /* a second name under a domain: shard numbers, sites, hashes */
        o = put_s(o, PICK(r, gen_host_prefixes));
        return put_u(o, below(r, 40));
    case 1:
        return gen_put_syl(o, rnd(r), 2);
    case 2:
        *o++ = (char)('a' + below(r, 26));
        o = gen_put_rndhex(o, r, 8, HEX_LO);
        return LIT(o, ".cdn");
    default:
        o = gen_put_syl(o, rnd(r), 2);
        *o++ = '-';
        return put_u(o, below(r, 100));
    }
}

void
gen_name_new(struct net *w)
{
    struct pool *p = &w->names;
    struct rng r = { mix64(w->seed ^ 0x6e616d0000000000u ^ p->len) };
    /* About half of the new names belong to a registrable domain seen before.
     * The two sub-pools are sized as a function of the name's number, so that
     * content never depends on who drew what first. */
    uint32_t want = p->len / 2 + 1;
    char t[256], *o;
    bool bad;

    names_grow(w);
    while (w->regs.len < want)
        reg_new(w);
    while (w->addrs.len < want)
        gen_addr_new(w);
    do {
        uint32_t reg = p->len % 2 == 0 ? p->len / 2 : zipf(&r, want);

        o = LIT(t, "mx.");
        o = put_host(o, &r, p->len % 2 == 0 ? 9 : below(&r, 4));
        if (o > t + 3)
            *o++ = '.';
        o = put_s(o, w->reg[reg]);
        *o = 0;
        /* "mx." + name, as mail lines have it, and so every suffix */
        bad = gen_hits_any(K_DOMAIN, t);
    } while (bad);
    memmove(t, t + 3, (size_t)(o - t) - 2);
    o -= 3;
    w->name[p->len] = gen_strndup(t, (size_t)(o - t));
    w->name_ip[p->len] = chance(&r, 500) ? want - 1 : zipf(&r, want);
    p->len++;
}

uint32_t
gen_draw(struct net *w, struct pool *p, struct rng *r, uint64_t org,
    void (*make)(struct net *))
{
    uint64_t x = rnd(r);
    if ((uint32_t)x < p->p_new || p->len < 64) {
        make(w);
        gen_pool_tune(p);
        return p->len - 1;
    }
    switch (x >> 60) {
    case 0: /* something met lately */
        return p->len - 1 - zipf(r, p->len < 5000 ? p->len : 5000);
    case 1:
    case 2: /* this organisation's own favourites */
        return (uint32_t)(mix64(org ^ zipf(r, 2000)) % p->len);
    default:
        return zipf(r, p->len);
    }
}
