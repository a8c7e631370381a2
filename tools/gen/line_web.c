/* Web and name servers: Apache access, Squid, BIND queries, dnsmasq. */
#include "line.h"

#include "words.h"

char *
gen_line_access(struct gen *g, char *o, int64_t t, const struct obs *p)
{
    struct rng *r = &g->r;
    (void)t;
    if (p && (p->kind == K_IPV4 || p->kind == K_IPV6))
        o = put_s(o, p->text);
    else if (chance(r, 40)) {
        unsigned char a[16];
        gen_addr6(g, a, false);
        o = gen_put_ip6(o, a, false);
    } else
        o = put_ip4(o, addr_draw(g));
    o = LIT(o, " - - [");
    o = put_0n(o, (uint32_t)g->d, 2);
    *o++ = '/';
    o = put_s(o, gen_months[g->mo - 1]);
    *o++ = '/';
    o = put_0n(o, (uint32_t)g->y, 4);
    *o++ = ':';
    o = put_hms(o, g);
    *o++ = ' ';
    o = put_zone(o, g);
    o = chance(r, 900) ? LIT(o, "] \"GET ") : LIT(o, "] \"POST ");
    o = gen_put_path(g, o, g->org);
    o = LIT(o, " HTTP/1.1\" ");
    static const char *const CODE[] = { "200", "200", "200", "304", "200",
        "404", "302", "301", "403", "500" };
    o = put_s(o, PICK(r, CODE));
    *o++ = ' ';
    o = put_u(o, rnd(r) & 0xffff);
    *o++ = ' ';
    *o++ = '"';
    if (p && p->kind == K_URL)
        o = put_s(o, p->text);
    else if ((p && p->kind == K_DOMAIN) || chance(r, 350)) {
        uint32_t n = name_draw(g);
        o = LIT(o, "http://");
        o = gen_put_name(g, o, p, n, 0);
        o = gen_put_path(g, o, n);
    } else if (chance(r, 500)) {
        o = LIT(o, "http://www.");
        o = put_s(o, g->domain);
        o = gen_put_path(g, o, g->org);
    } else
        *o++ = '-';
    o = LIT(o, "\" \"");
    o = put_s(o, PICKZ(r, gen_uas));
    *o++ = '"';
    return o;
}

/* The part of a Squid line between the client and the user. */
static char *
put_request(struct gen *g, char *o, const struct obs *p, uint32_t n,
    bool *tunnel)
{
    static const char *const ST[] = { " TCP_MISS/200 ", " TCP_HIT/200 ",
        " TCP_MISS/304 ", " TCP_MISS/302 ", " TCP_MEM_HIT/200 ",
        " TCP_MISS/404 " };
    struct rng *r = &g->r;
    bool url = p && p->kind == K_URL, byip;

    *tunnel = !url && !(p && p->escaped) && chance(r, 550);
    byip = p && p->kind == K_IPV4 && chance(r, 400);
    if (*tunnel) {
        o = LIT(o, " TCP_TUNNEL/200 ");
        o = put_u(o, rnd(r) & 0xfffff);
        o = LIT(o, " CONNECT ");
        o = byip ? put_s(o, p->text) : gen_put_name(g, o, p, n, 20);
        return LIT(o, ":443 ");
    }
    o = put_s(o, PICKZ(r, ST));
    o = put_u(o, rnd(r) & 0x3ffff);
    o = chance(r, 930) ? LIT(o, " GET ") : LIT(o, " POST ");
    if (url) {
        o = put_s(o, p->text);
    } else if (p && p->escaped) {
        o = LIT(o, "http://");
        o = put_s(o, g->net.name[n]);
        o = LIT(o, "/redirect?to=http%3A%2F%2F");
        o = put_s(o, p->text);
        o = LIT(o, "%2F");
        o = put_s(o, PICK(r, gen_words));
    } else {
        o = LIT(o, "http://");
        o = byip ? put_s(o, p->text) : gen_put_name(g, o, p, n, 20);
        o = gen_put_path(g, o, n);
    }
    *o++ = ' ';
    return o;
}

char *
gen_line_squid(struct gen *g, char *o, int64_t t, const struct obs *p)
{
    static const char *const CT[] = { " text/html", " -", " image/gif",
        " application/javascript", " image/jpeg", " application/json",
        " text/css", " image/png" };
    struct rng *r = &g->r;
    uint32_t n = name_draw(g), ms;
    bool tunnel;

    o = put_epoch(o, t, 3);
    *o++ = ' ';
    ms = below(r, 10) ? below(r, 900) : below(r, 60000);
    for (uint32_t w = 100000; w > (ms ? ms : 1); w /= 10)
        *o++ = ' ';
    o = put_u(o, ms);
    *o++ = ' ';
    o = put_ip4(o, inside(g));
    o = put_request(g, o, p, n, &tunnel);
    if (chance(r, 400))
        o = gen_put_user(g, o);
    else
        *o++ = '-';
    o = LIT(o, " HIER_DIRECT/");
    o = p && p->kind == K_IPV4 ? put_s(o, p->text) : put_ip4(o, addr_of(g, n));
    return put_s(o, tunnel ? " -" : PICK(r, CT));
}

char *
gen_line_named(struct gen *g, char *o, int64_t t, const struct obs *p)
{
    struct rng *r = &g->r;
    char q[600], *e = q;
    (void)t;
    static const char *const TYPE[] = { " IN A +", " IN A +", " IN AAAA +",
        " IN PTR +", " IN MX +", " IN TXT +", " IN SRV +" };
    const char *type = PICKZ(r, TYPE);
    if (!p && type[4] == 'P') {
        uint32_t a = addr_draw(g);
        for (int i = 0; i < 4; i++, a >>= 8) {
            e = put_u(e, a & 255);
            *e++ = '.';
        }
        e = LIT(e, "in-addr.arpa");
    } else if (!p && chance(r, 60)) {
        e = LIT(e, "_ldap._tcp.dc");
        e = put_u(e, below(r, 8));
        e = LIT(e, "._msdcs.");
        e = put_s(e, g->domain);
    } else
        e = gen_put_name(g, e, p, p ? 0 : name_draw(g), 60);
    *e = 0;
    o = put_0n(o, (uint32_t)g->d, 2);
    *o++ = '-';
    o = put_s(o, gen_months[g->mo - 1]);
    *o++ = '-';
    o = put_0n(o, (uint32_t)g->y, 4);
    *o++ = ' ';
    o = put_hms(o, g);
    *o++ = '.';
    o = put_0n(o, g->us / 1000, 3);
    o = LIT(o, " queries: info: client ");
    o = put_ip4(o, inside(g));
    *o++ = '#';
    o = put_u(o, 1024 + below(r, 64000));
    o = LIT(o, " (");
    o = put_s(o, q);
    o = LIT(o, "): query: ");
    o = put_s(o, q);
    o = put_s(o, type);
    o = LIT(o, " (");
    o = put_ip4(o, g->net10 | 53);
    *o++ = ')';
    return o;
}

char *
gen_line_dnsmasq(struct gen *g, char *o, int64_t t, const struct obs *p)
{
    struct rng *r = &g->r;
    uint32_t n = name_draw(g);
    (void)t;
    o = put_syslog(o, g, "branch-gw");
    o = LIT(o, "dnsmasq[812]: ");
    bool addr = p && (p->kind == K_IPV4 || p->kind == K_IPV6);
    switch (addr ? 2 : below(r, 3)) {
    case 0:
        o = LIT(o, "query[A] ");
        o = gen_put_name(g, o, p, n, 60);
        o = LIT(o, " from ");
        o = put_ip4(o, inside(g));
        break;
    case 1:
        o = LIT(o, "forwarded ");
        o = gen_put_name(g, o, p, n, 60);
        o = LIT(o, " to ");
        o = put_ip4(o, g->net10 | 53);
        break;
    default:
        o = LIT(o, "reply ");
        o = gen_put_name(g, o, p, n, 0);
        o = LIT(o, " is ");
        o = addr ? put_s(o, p->text) : put_ip4(o, addr_of(g, n));
    }
    return o;
}
