/* gen indicators: a list of indicators, and a gen_plan of those to plant. */
#include "line.h"

#include "cmds.h"
#include "words.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static char *
put_bad_domain(struct net *net, struct rng *r, char *o)
{
    switch (below(r, 5)) {
    case 0: /* lure-lure1234.tld */
        o = put_s(o, PICK(r, gen_lures));
        *o++ = '-';
        o = put_s(o, PICK(r, gen_lures));
        o = put_u(o, below(r, 1000000));
        *o++ = '.';
        return put_s(o, PICK(r, gen_bad_tlds));
    case 1: { /* machine-made label */
        int n = 10 + (int)below(r, 9);
        for (int i = 0; i < n; i++)
            *o++ = (char)('a' + below(r, 26));
        *o++ = '.';
        return put_s(o, PICK(r, gen_bad_tlds));
    }
    case 2: /* a host under a harmless provider of names */
        o = gen_put_syl(o, rnd(r), 3);
        o = put_u(o, below(r, 100000));
        *o++ = '.';
        return put_s(o, net->reg[below(r, 60)]);
    case 3: /* a host under a bad domain */
        o = put_s(o, PICK(r, gen_lures));
        *o++ = '.';
        o = gen_put_syl(o, rnd(r), 4);
        o = put_u(o, below(r, 10000));
        *o++ = '.';
        return put_s(o, PICK(r, gen_bad_tlds));
    default:
        o = gen_put_syl(o, rnd(r), 4);
        *o++ = '-';
        o = put_u(o, below(r, 1000000));
        *o++ = '.';
        return put_s(o, PICK(r, gen_bad_tlds));
    }
}

static uint32_t
public_ip4(struct rng *r)
{
    for (;;) {
        uint32_t a = (uint32_t)rnd(r), top = a >> 24;
        if (top > 0 && top != 10 && top != 127 && top < 224 &&
            a >> 16 != 0xc0a8 && a >> 20 != 0xac1 && a >> 16 != 0xa9fe &&
            a >> 8 != 0xcb0071 && (a & 255) && (a & 255) != 255)
            return a;
    }
}

static char *
put_bad_ip6(struct rng *r, char *o)
{
    unsigned char a[16] = { 0x2a, (unsigned char)below(r, 16) };
    uint64_t x = rnd(r), y = rnd(r);

    a[2] = (unsigned char)x;
    a[3] = (unsigned char)(x >> 8);
    a[4] = (unsigned char)(x >> 16 & 15);
    a[5] = (unsigned char)(x >> 24);
    for (int i = 8; i < 16; i++)
        if (x >> 63 || i > 13)
            a[i] = (unsigned char)(y >> (8 * (i - 8)));
    return gen_put_ip6(o, a, false);
}

static char *
put_bad_url(struct net *net, struct rng *r, char *o)
{
    static const char *const TAIL[] = { ".php", ".exe", "/gate.php", ".js",
        ".doc", "/index.php?id=7", "", ".jpg" };

    o = chance(r, 850) ? LIT(o, "http://") : LIT(o, "https://");
    switch (below(r, 5)) {
    case 0:
        o = put_ip4(o, public_ip4(r));
        break;
    case 1: /* a page of an otherwise harmless site */
        o = put_s(o, net->name[below(r, net->names.len)]);
        break;
    default:
        o = put_bad_domain(net, r, o);
    }
    if (chance(r, 80))
        o = LIT(o, ":8080");
    *o++ = '/';
    o = put_s(o, PICK(r, gen_words));
    *o++ = '/';
    o = gen_put_rndhex(o, r, 8, HEX_LO);
    return put_s(o, PICK(r, TAIL));
}

static char *
put_bad(struct net *net, struct rng *r, enum kind k, char *o)
{
    static const unsigned char LEN[] = { 24, 24, 24, 24, 24, 24, 29, 28, 27, 26,
        25, 30, 23, 22, 21, 24 };
    unsigned len;

    if (k == K_IPV4)
        return put_ip4(o, public_ip4(r));
    if (k == K_CIDR) {
        len = PICK(r, LEN);
        o = put_ip4(o, public_ip4(r) & (uint32_t)(0xffffffffu << (32 - len)));
        *o++ = '/';
        return put_u(o, len);
    }
    if (k == K_IPV6)
        return put_bad_ip6(r, o);
    if (k == K_DOMAIN)
        return put_bad_domain(net, r, o);
    if (k == K_URL)
        return put_bad_url(net, r, o);
    if (M_HASH & 1u << k)
        return gen_put_rndhex(o, r,
            k == K_MD5        ? 32
                : k == K_SHA1 ? 40
                              : 64,
            HEX_LO);
    o = put_s(o, PICK(r, gen_given_names));
    *o++ = '_';
    o = put_s(o, PICK(r, gen_lures));
    o = put_u(o, below(r, 100000));
    *o++ = '@';
    return chance(r, 500) ? put_s(o, net->reg[below(r, 20)])
                          : put_bad_domain(net, r, o);
}

/* What `gen indicators` was asked for, and where it writes. */
struct list {
    uint64_t n, planted, done, next;
    uint32_t max_count, max_days;
    int64_t lo, hi; /* seconds: no planted line outside */
    unsigned mix[K_COUNT], sum;
    FILE *out, *plant;
};

static void
parse_mix(struct list *l, const char *m)
{
    static const unsigned DEFAULT[K_COUNT] = { 20, 1, 3, 45, 12, 5, 3, 8, 3 };

    if (!m)
        memcpy(l->mix, DEFAULT, sizeof l->mix);
    while (m && *m) {
        size_t k = strcspn(m, "=");
        int kind = gen_kind_from_name(m, k);

        if (kind < 0 || m[k] != '=')
            gen_die("--mix kind=weight,...: %s", m);
        l->mix[kind] = (unsigned)strtoul(m + k + 1, NULL, 10);
        m += strcspn(m, ",");
        m += *m == ',';
    }
    for (int k = 0; k < K_COUNT; k++)
        l->sum += l->mix[k];
    if (!l->sum)
        gen_die("--mix: no weight");
}

/* A row of the plant file: when and how often the indicator is to show. */
static void
put_plant(struct list *l, struct rng *r, const char *kind, const char *value)
{
    char a[32], b[32];
    uint32_t count = 1 + zipf(r, l->max_count);
    int64_t first, last, dwell = 0;

    first = l->lo + (int64_t)(rnd(r) % (uint64_t)(l->hi - l->lo));
    if (count > 1) {
        dwell = 60 + (int64_t)zipf(r, l->max_days) * 86400;
        dwell += below(r, 86400);
    }
    last = first + dwell < l->hi ? first + dwell : l->hi;
    *gen_put_iso_utc(a, first * USEC) = 0;
    *gen_put_iso_utc(b, last * USEC) = 0;
    fprintf(l->plant, "%s\t%s\t%s\t%s\t%u\n", kind, value, a, b, count);
}

static void
write_list(struct list *l, uint64_t seed)
{
    struct net net = { .seed = mix64(seed) };
    struct rng r = { mix64(seed ^ 0x696f630000000000u) };
    struct rng pr = { mix64(seed ^ 0x7363686564000000u) };
    char t[512], c[512];

    while (net.names.len < 2000)
        gen_name_new(&net);
    l->next = l->planted ? 0 : l->n;
    for (uint64_t i = 0; i < l->n;) {
        unsigned x = below(&r, l->sum), k = 0;
        size_t before = gen_ioc_count();

        while (x >= l->mix[k])
            x -= l->mix[k++];
        *put_bad(&net, &r, (enum kind)k, t) = 0;
        gen_ioc_add(gen_kind_names[k], t, c);
        if (gen_ioc_count() == before)
            continue; /* had it already */
        fprintf(l->out, "%s\t%s\n", gen_kind_names[k], c);
        if (l->done < l->planted && i >= l->next) {
            /* planted ones are spread evenly over the list */
            l->next = (uint64_t)((double)++l->done * (double)l->n /
                (double)l->planted);
            put_plant(l, &pr, gen_kind_names[k], c);
        }
        i++;
    }
}

int
gen_cmd_indicators(int argc, char **argv)
{
    static const char *const known[] = { "--n", "--planted", "--seed", "--span",
        "--mix", "--out", "--plant-out", "--max-count", "--max-days", NULL };
    const char *out, *plant_out;
    struct list l = { 0 };
    int64_t day0, day1;

    gen_check_opts(argc, argv, known);
    l.n = gen_parse_bytes(gen_opt(argc, argv, "--n", "1000"));
    l.planted = gen_parse_bytes(gen_opt(argc, argv, "--planted", "0"));
    l.max_count = (uint32_t)strtoul(gen_opt(argc, argv, "--max-count", "200"),
        NULL, 10);
    l.max_days = (uint32_t)strtoul(gen_opt(argc, argv, "--max-days", "500"),
        NULL, 10);
    out = gen_opt(argc, argv, "--out", NULL);
    plant_out = gen_opt(argc, argv, "--plant-out", NULL);
    if (!out || l.planted > l.n || (l.planted && !plant_out) || !l.max_count ||
        !l.max_days)
        gen_die("indicators: --n N --out FILE [--planted K --plant-out FILE], "
                "K <= N");
    gen_parse_span(gen_opt(argc, argv, "--span", "2016-01-01..2017-12-31"),
        &day0, &day1);
    l.lo = (day0 + 1) * 86400;
    l.hi = (day1 - 1) * 86400;
    if (l.hi <= l.lo)
        l.hi = l.lo + 3600;
    parse_mix(&l, gen_opt(argc, argv, "--mix", NULL));
    l.out = fopen(out, "w");
    l.plant = plant_out ? fopen(plant_out, "w") : NULL;
    if (!l.out || (plant_out && !l.plant))
        gen_die("%s: %s", l.out ? plant_out : out, strerror(errno));
    fputs("#kind\tindicator\n", l.out);
    if (l.plant)
        fputs("#kind\tindicator\tfirst\tlast\tlines\n", l.plant);
    write_list(&l, strtoull(gen_opt(argc, argv, "--seed", "1"), NULL, 10));
    if (fclose(l.out) || (l.plant && fclose(l.plant)))
        gen_die("write: %s", strerror(errno));
    return 0;
}
