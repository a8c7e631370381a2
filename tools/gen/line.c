#include "line.h"

#include "words.h"

const struct source gen_sources[S_COUNT] = {
    { "access", gen_line_access, 16, false,
        M(IPV4) | M(IPV6) | M(DOMAIN) | M(URL) },
    { "squid", gen_line_squid, 18, true, M(IPV4) | M(DOMAIN) | M(URL) },
    { "named", gen_line_named, 14, true, M(DOMAIN) },
    { "dnsmasq", gen_line_dnsmasq, 4, true, M(DOMAIN) | M(IPV4) | M(IPV6) },
    { "firewall", gen_line_firewall, 16, false, M(IPV4) | M(IPV6) },
    { "sshd", gen_line_sshd, 3, false, M(IPV4) | M(IPV6) },
    { "conn", gen_line_conn, 12, true, M(IPV4) | M(IPV6) },
    { "eve", gen_line_eve, 9, true,
        M(IPV4) | M(IPV6) | M(DOMAIN) | M(URL) | M_HASH | M(EMAIL) },
    { "mail", gen_line_mail, 4, true, M(IPV4) | M(DOMAIN) | M(EMAIL) },
    { "winevt", gen_line_winevt, 4, true,
        M(IPV4) | M(DOMAIN) | M(URL) | M_HASH },
};

const char gen_months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
    "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };

void
gen_set_time(struct gen *g, int64_t t)
{
    int64_t sec = t / USEC + g->tz_min * 60;
    g->us = (uint32_t)(t % USEC);
    if (sec == g->sec)
        return;
    g->sec = sec;
    int64_t day = sec / 86400;
    if (day != g->day) {
        g->day = day;
        gen_civil_from_days(day, &g->y, &g->mo, &g->d);
    }
    int tod = (int)(sec % 86400);
    g->h = tod / 3600;
    g->mi = tod / 60 % 60;
    g->s = tod % 60;
}

void
gen_addr6(struct gen *g, unsigned char a[16], bool local)
{
    memset(a, 0, 16);
    uint64_t x = mix64(
        g->net.seed ^ 0x69703600u ^ (local ? g->org : zipf(&g->r, 4000)));
    a[0] = 0x24;
    a[1] = (unsigned char)(local ? 0x01 : x & 15);
    a[2] = (unsigned char)(x >> 8);
    a[3] = (unsigned char)(x >> 16);
    a[5] = (unsigned char)(x >> 24 & 15);
    a[7] = (unsigned char)(x >> 28 & 3);
    uint64_t low = local ? below(&g->r, 500) + 1
        : (x >> 33 & 1)  ? mix64(x)
                         : (x >> 40 & 0xffff) + 1;
    for (int i = 0; i < 8; i++)
        a[15 - i] = (unsigned char)(low >> (8 * i));
}

char *
gen_put_label20(char *o,
    struct rng
        *r) /* a machine-made label: cloud lookups, trackers, cache busters */
{
    static const char B32[] = "abcdefghijklmnopqrstuvwxyz234567";
    uint64_t x = rnd(r), y = rnd(r);
    int n = 8 + (int)(y >> 60);
    for (int i = 0; i < n; i++, x = x >> 5 | y << 59, y >>= 5)
        *o++ = B32[x & 31];
    return o;
}

/*
 * A path of the site `key`: the same few per site most of the time, with a
 * varying query at times.
 */
char *
gen_put_path(struct gen *g, char *o, uint64_t key)
{
    struct rng r = { mix64(key ^ zipf(&g->r, 200)) };
    uint64_t x = rnd(&r);
    int depth = 1 + (int)(x & 3) % 3;
    for (int i = 0; i < depth; i++, x >>= 6) {
        *o++ = '/';
        o = put_s(o, gen_words[x >> 8 & 63]);
    }
    if (x >> 40 & 1) {
        *o++ = '-';
        o = put_u(o, x >> 41 & 0xfff);
    }
    o = put_s(o, gen_exts[(x >> 53 & 15) % N_OF(gen_exts)]);
    if (chance(&g->r, 250)) {
        uint64_t q = rnd(&g->r);
        o = LIT(o, "?id=");
        o = put_u(o, q & 0xfffff);
        if (q >> 60 < 6) {
            o = LIT(o, "&t=");
            o = put_u(o, 1451600000000u + (q >> 20 & 0xfffffffff));
        }
        if (q >> 60 == 7) {
            o = LIT(o, "&q=%E7%8B%BC%E7%85%99&ref=");
            o = put_s(o, gen_words[q >> 50 & 63]);
        }
    }
    return o;
}

/*
 * Host name for a line: the planted one, or a background name now and then
 * prefixed by a unique label.
 */
char *
gen_put_name(struct gen *g, char *o, const struct obs *p, uint32_t name,
    unsigned unique_permille)
{
    if (p && p->kind == K_DOMAIN)
        return put_s(o, p->text);
    if (unique_permille && chance(&g->r, unique_permille)) {
        o = gen_put_label20(o, &g->r);
        *o++ = '.';
    }
    return put_s(o, g->net.name[name]);
}

char *
gen_put_user(struct gen *g, char *o)
{
    uint32_t u = zipf(&g->r, 1200);
    o = put_s(o, gen_given_names[u % 16]);
    *o++ = '.';
    o = put_s(o, gen_family_names[u / 16 % 16]);
    return u < 256 ? o : put_u(o, u / 256);
}

char *
gen_put_hash(char *o, struct gen *g, const struct obs *p, int digits,
    const char *tab)
{
    size_t want = p ? strlen(p->text) : 0;
    if (want &&
        (p->kind == K_MD5             ? 32
                : p->kind == K_SHA1   ? 40
                : p->kind == K_SHA256 ? 64
                                      : 0) == digits)
        return put_s(o, p->text);
    return gen_put_rndhex(o, &g->r, digits, tab);
}
