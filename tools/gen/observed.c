/* How an indicator looks in a line, and what only looks like it. */
#include "plan.h"

#include "words.h"

#include <arpa/inet.h>
#include <stdlib.h>

static const char *
mix_case(char *o, struct rng *r)
{
    for (; *o; o++)
        if (*o >= 'a' && *o <= 'z' && chance(r, 500))
            *o = (char)(*o & ~32);
    return "mixed-case";
}

/* An address inside a network, its ends left out where it has room. */
static void
put_member(const char *cidr, struct rng *r, char *o)
{
    const char *slash = strchr(cidr, '/');
    unsigned long len = strtoul(slash + 1, NULL, 10);
    uint32_t a = 0, size;

    gen_parse_ip4(cidr, (size_t)(slash - cidr), &a);
    size = len == 32 ? 1 : (uint32_t)(UINT64_C(1) << (32 - len)) - 1;
    a += size > 2 ? 1 + below(r, size - 1) : below(r, size + (len == 31));
    *put_ip4(o, a) = 0;
}

static const char *
observed_domain(const char *v, unsigned src, struct rng *r, char *o)
{
    const char *form = "plain";
    char *e = o;

    if (chance(r, 450)) {
        e = chance(r, 500) ? put_s(e, PICK(r, gen_host_prefixes))
                           : gen_put_label20(e, r);
        if (e > o) {
            *e++ = '.';
            form = "subdomain";
        }
    }
    e = put_s(e, v);
    if (chance(r, 120) && src != S_MAIL) {
        *e++ = '.';
        form = "trailing-dot";
    }
    *e = 0;
    /* some resolvers randomise the case */
    return chance(r, 120) ? mix_case(o, r) : form;
}

const char *
gen_make_observed(const struct plant *p, unsigned src, struct rng *r, char *o,
    enum kind *kind)
{
    unsigned char b[16];

    *kind = p->kind;
    *put_s(o, p->value) = 0;
    if (p->kind == K_CIDR) {
        put_member(p->value, r, o);
        *kind = K_IPV4;
        return "cidr-member";
    }
    if (p->kind == K_IPV6 && (src == S_FIREWALL || src == S_EVE)) {
        inet_pton(AF_INET6, p->value, b);
        *gen_put_ip6(o, b, true) = 0;
        return "expanded";
    }
    if (p->kind == K_URL && src == S_EVE)
        return "json-escaped";
    if (M_HASH & 1u << p->kind && src == S_WINEVT) {
        for (; *o; o++)
            if (*o >= 'a')
                *o = (char)(*o & ~32);
        return "upper";
    }
    if (p->kind == K_DOMAIN)
        return observed_domain(p->value, src, r, o);
    if (p->kind == K_EMAIL && chance(r, 150))
        return mix_case(o, r);
    return "plain";
}

static const char *
near_domain(const char *v, const char *bg, struct rng *r, char **e)
{
    switch (below(r, 5)) {
    case 0:
        *e = put_s(LIT(*e, "not"), v);
        return "glued-prefix";
    case 1:
        *e = put_s(LIT(*e, "x-"), v);
        return "hyphen-prefix";
    case 2:
        *e = put_s(*e, v);
        *e = LIT(*e, ".au");
        return "longer-tld";
    case 3:
        *e = put_s(*e, v);
        *(*e)++ = '.';
        *e = put_s(*e, bg);
        return "as-label";
    default:
        *e = put_s(*e, v);
        *e = LIT(*e, "-cdn.net");
        return "hyphen-suffix";
    }
}

static const char *
near_ip4(const char *v, const char *bg, struct rng *r, char **e,
    enum kind *kind)
{
    *kind = K_DOMAIN;
    switch (below(r, 4)) {
    case 0:
        *e = put_s(*e, v);
        *e = LIT(*e, ".dsl.");
        *e = put_s(*e, bg);
        return "as-label";
    case 1:
        *e = put_s(*e, v);
        *e = LIT(*e, ".in-addr.arpa");
        return "reverse-zone";
    case 2:
        *(*e)++ = (char)('1' + below(r, 2));
        *e = put_s(*e, v);
        *kind = K_IPV4;
        return "digit-before";
    default:
        *e = put_s(*e, v);
        *(*e)++ = (char)('0' + below(r, 10));
        *kind = K_IPV4;
        return "digit-after";
    }
}

static const char *
near_cidr(const char *v, struct rng *r, char **e, enum kind *kind)
{
    const char *slash = strchr(v, '/');
    unsigned long len = strtoul(slash + 1, NULL, 10);
    uint32_t a = 0;

    gen_parse_ip4(v, (size_t)(slash - v), &a);
    *kind = K_IPV4;
    *e = put_ip4(*e,
        chance(r, 500) ? a - 1 : a + (uint32_t)(UINT64_C(1) << (32 - len)));
    return "next-address";
}

static const char *
near_url(const char *v, struct rng *r, char **e)
{
    *e = put_s(*e, v);
    switch (below(r, 3)) {
    case 0:
        *e = LIT(*e, "/more");
        return "longer-path";
    case 1:
        *(*e)++ = '2';
        return "glued-suffix";
    default:
        (*e)--;
        return "cut-short";
    }
}

static const char *
near_hash(const char *v, struct rng *r, char **e, enum kind *kind)
{
    size_t n = strlen(v);

    *e = put_s(*e, v);
    if (n < 64 && chance(r, 500)) {
        *e = gen_put_rndhex(*e, r, (int)(64 - n), HEX_LO);
        *kind = K_SHA256;
        return "hash-prefix";
    }
    *e = gen_put_rndhex(*e, r, 1, HEX_LO);
    return "digit-after";
}

static const char *
near_email(const char *v, struct rng *r, char **e)
{
    switch (below(r, 3)) {
    case 0:
        *e = put_s(LIT(*e, "first."), v);
        return "longer-local";
    case 1:
        *e = put_s(*e, v);
        *e = LIT(*e, ".au");
        return "longer-tld";
    default:
        *(*e)++ = 'x';
        *e = put_s(*e, v);
        return "glued-prefix";
    }
}

const char *
gen_make_near_miss(struct gen *g, const struct plant *p, struct rng *r, char *o,
    enum kind *kind)
{
    const char *v = p->value, *form, *bg = g->net.name[below(r, 64)];
    unsigned char b[16];
    char *e = o;
    uint32_t a;

    *kind = p->kind;
    if (p->kind == K_DOMAIN) {
        form = near_domain(v, bg, r, &e);
    } else if (p->kind == K_IPV4) {
        form = near_ip4(v, bg, r, &e, kind);
        if (*kind == K_IPV4 && !gen_parse_ip4(o, (size_t)(e - o), &a))
            return NULL;
    } else if (p->kind == K_CIDR) {
        form = near_cidr(v, r, &e, kind);
    } else if (p->kind == K_IPV6) {
        e = put_s(e, v);
        *e++ = HEX_LO[below(r, 16)];
        *e = 0;
        form = "digit-after";
        if (inet_pton(AF_INET6, o, b) != 1)
            return NULL;
    } else if (p->kind == K_URL) {
        form = near_url(v, r, &e);
    } else if (p->kind == K_EMAIL) {
        form = near_email(v, r, &e);
    } else {
        form = near_hash(v, r, &e, kind);
    }
    *e = 0;
    return gen_hits_any(*kind, o) ? NULL : form;
}
