/* Packets and connections: netfilter, sshd, Zeek conn, Postfix. */
#include "line.h"

#include "words.h"

char *
gen_line_firewall(struct gen *g, char *o, int64_t t, const struct obs *p)
{
    struct rng *r = &g->r;
    o = put_syslog(o, g, "fw01");
    o = LIT(o, "kernel: [");
    uint64_t up = (uint64_t)t - g->boot_us;
    o = put_u(o, up / 1000000);
    *o++ = '.';
    o = put_0n(o, (uint32_t)(up % 1000000), 6);
    o = LIT(o, "] ");
    bool out = chance(r, 450), v6 = p ? p->kind == K_IPV6 : chance(r, 40);
    o = out ? LIT(o, "ACCEPT-OUT IN=eth1 OUT=eth0")
            : LIT(o, "DROP-IN IN=eth0 OUT=");
    o = LIT(o, " MAC=00:1b:21:");
    o = put_hex(o, g->org, 2, HEX_LO);
    o = LIT(o, ":5c:0e:00:26:88:75:c1:1f:");
    o = v6 ? LIT(o, "86:dd SRC=") : LIT(o, "08:00 SRC=");
    char peer[64], mine[64], *e;
    if (v6) {
        unsigned char a[16];
        gen_addr6(g, a, true);
        *gen_put_ip6(mine, a, true) = 0;
        gen_addr6(g, a, false);
        e = p ? put_s(peer, p->text) : gen_put_ip6(peer, a, true);
    } else {
        uint32_t n = out ? name_draw(g) : 0;
        *put_ip4(mine, out ? inside(g) : g->public_ip + below(r, 14)) = 0;
        e = p ? put_s(peer, p->text)
              : put_ip4(peer, out ? addr_of(g, n) : addr_draw(g));
    }
    *e = 0;
    o = put_s(o, out ? mine : peer);
    o = LIT(o, " DST=");
    o = put_s(o, out ? peer : mine);
    static const uint16_t PORT[] = { 443, 80, 22, 23, 445, 3389, 53, 25, 5060,
        1433, 8080, 3306, 123, 161, 2323, 5900 };
    uint64_t x = rnd(r);
    o = LIT(o, " LEN=");
    o = put_u(o, 40 + (x & 31));
    if (v6) {
        o = LIT(o, " TC=0 HOPLIMIT=");
        o = put_u(o, 40 + (x >> 5 & 63));
        o = LIT(o, " FLOWLBL=0");
    } else {
        o = LIT(o, " TOS=0x00 PREC=0x00 TTL=");
        o = put_u(o, 40 + (x >> 5 & 127));
        o = LIT(o, " ID=");
        o = put_u(o, x >> 12 & 0xffff);
        o = LIT(o, " DF");
    }
    o = LIT(o, " PROTO=TCP SPT=");
    o = put_u(o, 1024 + (x >> 28) % 64000);
    o = LIT(o, " DPT=");
    o = put_u(o, PICKZ(r, PORT));
    return LIT(o, " WINDOW=29200 RES=0x00 SYN URGP=0");
}

char *
gen_line_sshd(struct gen *g, char *o, int64_t t, const struct obs *p)
{
    struct rng *r = &g->r;
    char a[64], *e;
    (void)t;
    if (p)
        e = put_s(a, p->text);
    else
        e = put_ip4(a, addr_draw(g));
    *e = 0;
    static const char *const USER[] = { "root", "admin", "test", "oracle",
        "ubuntu", "pi", "git", "postgres", "user", "guest", "ftpuser", "nagios",
        "support", "jenkins", "hadoop", "www" };
    o = put_syslog(o, g, "bastion");
    o = LIT(o, "sshd[");
    o = put_u(o, 1000 + below(r, 31000));
    o = LIT(o, "]: ");
    switch (zipf(r, 5)) {
    case 0:
        o = LIT(o, "Failed password for invalid user ");
        o = put_s(o, PICKZ(r, USER));
        o = LIT(o, " from ");
        o = put_s(o, a);
        o = LIT(o, " port ");
        o = put_u(o, 1024 + below(r, 64000));
        return LIT(o, " ssh2");
    case 1:
        o = LIT(o, "Failed password for root from ");
        o = put_s(o, a);
        o = LIT(o, " port ");
        o = put_u(o, 1024 + below(r, 64000));
        return LIT(o, " ssh2");
    case 2:
        o = LIT(o, "Received disconnect from ");
        o = put_s(o, a);
        return LIT(o, ": 11: Bye Bye [preauth]");
    case 3:
        o = LIT(o, "Accepted publickey for ");
        o = gen_put_user(g, o);
        o = LIT(o, " from ");
        o = put_s(o, a);
        o = LIT(o, " port ");
        o = put_u(o, 1024 + below(r, 64000));
        o = LIT(o, " ssh2: RSA SHA256:");
        return gen_put_label20(gen_put_label20(o, r), r);
    default:
        o = LIT(o,
            "pam_unix(sshd:auth): authentication failure; logname= uid=0 "
            "euid=0 tty=ssh ruser= rhost=");
        o = put_s(o, a);
        return LIT(o, "  user=root");
    }
}

static char *
put_uid(char *o, struct rng *r, char first)
{
    static const char B62[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    uint64_t x = rnd(r), y = rnd(r);
    *o++ = first;
    for (int i = 0; i < 17; i++, x = x >> 6 | y << 58, y >>= 6)
        *o++ = B62[(x & 63) % 62];
    return o;
}

char *
gen_line_conn(struct gen *g, char *o, int64_t t, const struct obs *p)
{
    struct rng *r = &g->r;
    uint32_t n = name_draw(g);
    o = put_epoch(o, t, 6);
    *o++ = '\t';
    o = put_uid(o, r, 'C');
    *o++ = '\t';
    static const char *const SVC[] = { "443\ttcp\tssl", "80\ttcp\thttp",
        "53\tudp\tdns", "443\tudp\t-", "25\ttcp\tsmtp", "22\ttcp\tssh",
        "123\tudp\tntp", "8080\ttcp\t-" };
    static const char *const ST[] = { "SF", "SF", "S0", "RSTO", "REJ", "OTH",
        "S1", "SH" };
    static const char *const HI[] = { "ShADadFf", "ShADadfF", "Dd", "S",
        "ShADadR", "Sr", "ShAdDaFf", "D" };
    unsigned char a[16];
    bool v6 = p ? p->kind == K_IPV6 : chance(r, 30);
    if (v6) {
        gen_addr6(g, a, true);
        o = gen_put_ip6(o, a, false);
    } else
        o = put_ip4(o, inside(g));
    *o++ = '\t';
    o = put_u(o, 1024 + below(r, 64000));
    *o++ = '\t';
    if (p)
        o = put_s(o, p->text);
    else if (v6) {
        gen_addr6(g, a, false);
        o = gen_put_ip6(o, a, false);
    } else
        o = put_ip4(o, addr_of(g, n));
    *o++ = '\t';
    o = put_s(o, PICKZ(r, SVC));
    *o++ = '\t';
    uint64_t x = rnd(r);
    uint32_t ob = (uint32_t)x & 0xfff, rb = (uint32_t)(x >> 12) & 0x1ffff;
    o = put_u(o, x >> 60);
    *o++ = '.';
    o = put_0n(o, (uint32_t)(x >> 40) % 1000000, 6);
    *o++ = '\t';
    o = put_u(o, ob);
    *o++ = '\t';
    o = put_u(o, rb);
    *o++ = '\t';
    o = put_s(o, PICKZ(r, ST));
    o = LIT(o, "\tT\tF\t0\t");
    o = put_s(o, PICKZ(r, HI));
    *o++ = '\t';
    o = put_u(o, ob / 400 + 3);
    *o++ = '\t';
    o = put_u(o, ob + 40 * (ob / 400 + 3));
    *o++ = '\t';
    o = put_u(o, rb / 1400 + 2);
    *o++ = '\t';
    o = put_u(o, rb + 40 * (rb / 1400 + 2));
    return LIT(o, "\t(empty)");
}

char *
gen_line_mail(struct gen *g, char *o, int64_t t, const struct obs *p)
{
    struct rng *r = &g->r;
    uint32_t n = name_draw(g);
    uint64_t x = rnd(r);
    (void)t;
    int form = p ? (p->kind == K_EMAIL           ? (int)below(r, 2)
                           : p->kind == K_DOMAIN ? 1
                                                 : 2)
                 : (int)below(r, 4);
    o = put_syslog(o, g, "mx1");
    switch (form) {
    case 0:
        o = LIT(o, "postfix/qmgr[");
        o = put_u(o, 1200 + (x >> 50));
        o = LIT(o, "]: ");
        o = put_hex(o, x, 10, HEX_UP);
        o = LIT(o, ": from=<");
        if (p)
            o = put_s(o, p->text);
        else {
            o = gen_put_user(g, o);
            *o++ = '@';
            o = put_s(o, g->net.name[n]);
        }
        o = LIT(o, ">, size=");
        o = put_u(o, x >> 40 & 0x3ffff);
        o = LIT(o, ", nrcpt=1 (queue active)");
        break;
    case 1:
        o = LIT(o, "postfix/smtp[");
        o = put_u(o, 1200 + (x >> 50));
        o = LIT(o, "]: ");
        o = put_hex(o, x, 10, HEX_UP);
        o = LIT(o, ": to=<");
        if (p && p->kind == K_EMAIL)
            o = put_s(o, p->text);
        else {
            o = gen_put_user(g, o);
            *o++ = '@';
            o = gen_put_name(g, o, p, n, 0);
        }
        o = LIT(o, ">, relay=mx.");
        o = gen_put_name(g, o, p, n, 0);
        *o++ = '[';
        o = put_ip4(o, addr_of(g, n));
        o = LIT(o, "]:25, delay=");
        o = put_u(o, x & 7);
        *o++ = '.';
        o = put_u(o, x >> 3 & 7);
        o = LIT(o, ", dsn=2.0.0, status=sent (250 2.0.0 Ok: queued as ");
        o = put_hex(o, x >> 20, 10, HEX_UP);
        *o++ = ')';
        break;
    case 2:
        o = LIT(o, "postfix/smtpd[");
        o = put_u(o, 1200 + (x >> 50));
        o = LIT(o, "]: connect from ");
        if (p) {
            o = LIT(o, "unknown[");
            o = put_s(o, p->text);
        } else {
            o = put_s(o, g->net.name[n]);
            *o++ = '[';
            o = put_ip4(o, addr_of(g, n));
        }
        *o++ = ']';
        break;
    default:
        o = LIT(o, "postfix/cleanup[");
        o = put_u(o, 1200 + (x >> 50));
        o = LIT(o, "]: ");
        o = put_hex(o, x, 10, HEX_UP);
        o = LIT(o, ": message-id=<");
        o = gen_put_rndhex(o, r, 24, HEX_LO);
        *o++ = '@';
        o = put_s(o, g->net.name[n]);
        *o++ = '>';
    }
    return o;
}
