/*
 * One function per log source, each writing one line; what they share.
 */
#ifndef GEN_LINE_H
#define GEN_LINE_H

#include "ioc.h"
#include "net.h"

enum source_id {
    S_ACCESS,
    S_SQUID,
    S_NAMED,
    S_DNSMASQ,
    S_FIREWALL,
    S_SSHD,
    S_CONN,
    S_EVE,
    S_MAIL,
    S_WINEVT,
    S_COUNT
};

/* An observed value to be planted into a line instead of a background value. */
struct obs {
    enum kind kind;
    const char *text;
    /* squid: inside a percent-encoded URL; winevt: right after JSON "\\r\\n" */
    bool escaped;
};

struct gen {
    struct net net;
    uint64_t org;    /* hash of the organisation's name */
    char domain[64]; /* its own domain, e.g. alpha.example */
    uint32_t hosts;  /* internal hosts, 10.x.y.z */
    uint32_t net10;  /* 10.x.0.0 */
    uint32_t public_ip;
    int tz_min;
    struct rng r; /* the current source's stream */

    /* What the source wrote lately: activity comes in sessions, the same pair
     * again and again. */
    struct {
        uint32_t name, host, addr;
    } recent[S_COUNT][16];

    unsigned src;
    uint32_t host; /* internal host that goes with the line's name; 0: none */
    uint64_t boot_us;
    /* local time of the current line, broken down once a second */
    int64_t sec, day;
    int y, mo, d, h, mi, s;
    uint32_t us;
};

/* Writes a line without its end at o, at time t_us, showing p or nothing. */
typedef char *gen_line(struct gen *g, char *o, int64_t t_us,
    const struct obs *p);

#define M(k)   (1u << K_##k)
#define M_HASH (M(MD5) | M(SHA1) | M(SHA256))

struct source {
    const char *name;
    gen_line *line;
    unsigned share; /* of the bytes, percent */
    bool office_hours;
    unsigned kinds; /* observable kinds that can be planted there */
};

extern const struct source gen_sources[S_COUNT];
extern const char gen_months[12][4];

gen_line gen_line_access, gen_line_squid, gen_line_named, gen_line_dnsmasq,
    gen_line_firewall, gen_line_sshd, gen_line_conn, gen_line_mail,
    gen_line_eve, gen_line_winevt;

static inline char *
put_hms(char *o, const struct gen *g)
{
    o = put_0n(o, (uint32_t)g->h, 2);
    *o++ = ':';
    o = put_0n(o, (uint32_t)g->mi, 2);
    *o++ = ':';
    return put_0n(o, (uint32_t)g->s, 2);
}

static inline char *
put_zone(char *o, const struct gen *g)
{
    int z = g->tz_min < 0 ? -g->tz_min : g->tz_min;
    *o++ = g->tz_min < 0 ? '-' : '+';
    return put_0n(o, (uint32_t)(z / 60 * 100 + z % 60), 4);
}

static inline char *
put_syslog(char *o, const struct gen *g, const char *host)
{
    memcpy(o, gen_months[g->mo - 1], 3);
    o += 3;
    *o++ = ' ';
    *o++ = g->d < 10 ? ' ' : (char)('0' + g->d / 10);
    *o++ = (char)('0' + g->d % 10);
    *o++ = ' ';
    o = put_hms(o, g);
    *o++ = ' ';
    o = put_s(o, host);
    *o++ = ' ';
    return o;
}

static inline char *
put_epoch(char *o, int64_t t, int frac)
{
    o = put_u(o, (uint64_t)(t / USEC));
    *o++ = '.';
    return frac == 3 ? put_0n(o, (uint32_t)(t % USEC / 1000), 3)
                     : put_0n(o, (uint32_t)(t % USEC), 6);
}

static inline uint32_t
host_draw(struct gen *g) /* an internal host, some busier than others */
{
    uint32_t h = chance(&g->r, 300) ? zipf(&g->r, g->hosts)
                                    : below(&g->r, g->hosts);
    return g->net10 | (1 + h / 250) << 8 | (2 + h % 250);
}

/*
 * The name a line is about; sets g->host to the internal host that asks for
 * it.
 */
static inline uint32_t
name_draw(struct gen *g)
{
    uint32_t i = below(&g->r, 16), name = g->recent[g->src][i].name;
    g->host = g->recent[g->src][i].host;
    if (g->host && chance(&g->r, 600)) {
        if (chance(&g->r, 300)) /* the same host turns to something else */
            g->recent[g->src][i].name = name = gen_draw(&g->net, &g->net.names,
                &g->r, g->org, gen_name_new);
        return name;
    }
    name = gen_draw(&g->net, &g->net.names, &g->r, g->org, gen_name_new);
    g->recent[g->src][i].name = name;
    g->recent[g->src][i].host = g->host = host_draw(g);
    return name;
}

static inline uint32_t
addr_of(struct gen *g, uint32_t name)
{
    return g->net.addr[g->net.name_ip[name]];
}

static inline uint32_t
addr_draw(struct gen *g) /* any outside address: visitors, scanners */
{
    uint32_t i = below(&g->r, 16);
    if (!g->recent[g->src][i].addr || chance(&g->r, 450))
        g->recent[g->src][i].addr = g->net.addr[gen_draw(&g->net, &g->net.addrs,
            &g->r, g->org, gen_addr_new)];
    return g->recent[g->src][i].addr;
}

static inline uint32_t
inside(struct gen *g)
{
    return g->host ? g->host : host_draw(g);
}

void gen_set_time(struct gen *g, int64_t t);
void gen_addr6(struct gen *g, unsigned char a[16], bool local);
char *gen_put_label20(char *o,
    struct rng
        *r) /* a machine-made label: cloud lookups, trackers, cache busters */;
/*
 * A path of the site `key`: the same few per site most of the time, with a
 * varying query at times.
 */
char *gen_put_path(struct gen *g, char *o, uint64_t key);
/*
 * Host name for a line: the planted one, or a background name now and then
 * prefixed by a unique label.
 */
char *gen_put_name(struct gen *g, char *o, const struct obs *p, uint32_t name,
    unsigned unique_permille);
char *gen_put_user(struct gen *g, char *o);
char *gen_put_hash(char *o, struct gen *g, const struct obs *p, int digits,
    const char *tab);

/* "2016-05-01", the local day of the current line. */
static inline char *
put_day(char *o, const struct gen *g)
{
    o = put_0n(o, (uint32_t)g->y, 4);
    *o++ = '-';
    o = put_0n(o, (uint32_t)g->mo, 2);
    *o++ = '-';
    return put_0n(o, (uint32_t)g->d, 2);
}

#endif
