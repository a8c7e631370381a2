#include "input/talk.h"

#include "base/cur.h"
#include "base/num.h"

#include <arpa/inet.h>
#include <stdio.h>

#define NAME_MAX_OCTETS ((size_t)255)  /* RFC 1035 section 2.3.4 */
#define NAME_TEXT       ((size_t)1280) /* each octet as "\\000" at worst */
#define JUMPS_MAX       128
#define JOINED_MAX      12288 /* of a ClientHello; with keys after quantum 2 KiB */

/* Octets of a JSON string. Others than printable ASCII as %xx: a log line has
 * them so, and no scanner takes them for a token's end. */
static void
put_text(struct nr_buf *out, struct nr_bytes b)
{
    for (size_t i = 0; i < b.n; i++) {
        uint8_t c = b.p[i];

        if (c == '"' || c == '\\')
            nr_buf_printf(out, "\\%c", c);
        else if (c >= ' ' && c < 0x7f)
            nr_buf_put_c(out, (char)c);
        else
            nr_buf_printf(out, "%%%02x", c);
    }
}

static void
put_member(struct nr_buf *out, const char *key, struct nr_bytes v)
{
    if (v.n == 0)
        return;
    nr_buf_printf(out, ",\"%s\":\"", key);
    put_text(out, v);
    nr_buf_put_c(out, '"');
}

/* ---- DNS ---- */

struct name {
    char text[NAME_TEXT];
    size_t n;
};

static bool
put_label(struct name *to, struct nr_bytes label)
{
    if (to->n > 0)
        to->text[to->n++] = '.';
    for (size_t i = 0; i < label.n; i++) {
        uint8_t c = label.p[i];

        if (to->n + 6 > NAME_TEXT)
            return false;
        if (c > ' ' && c < 0x7f && c != '.' && c != '"' && c != '\\') {
            to->text[to->n++] = (char)c;
        } else { /* RFC 1035 section 5.1: \DDD, its backslash for JSON */
            (void)snprintf(to->text + to->n, 6, "\\\\%03u", c);
            to->n += 5;
        }
    }
    return true;
}

/* RFC 1035 section 4.1.4. A pointer leads to what stands before it, so there
 * is no circle. */
static bool
dns_name(struct nr_bytes msg, struct nr_cur *c, struct name *to)
{
    struct nr_cur at = *c;
    const uint8_t *bound = at.p;
    bool jumped = false;
    size_t octets = 0;

    to->n = 0;
    for (int i = 0; i < JUMPS_MAX * 2; i++) {
        uint8_t n = nr_cur_u8(&at);

        if (at.err)
            return false;
        if (!jumped && n < 0xc0)
            bound = at.p - 1;
        if (n == 0) {
            if (!jumped)
                *c = at;
            return true;
        }
        if (n >= 0xc0) {
            size_t to_at = (size_t)(n & 0x3f) << 8 | nr_cur_u8(&at);

            if (at.err || to_at >= (size_t)(bound - msg.p))
                return false;
            if (!jumped)
                *c = at;
            jumped = true;
            bound = msg.p + to_at;
            at = nr_cur((struct nr_bytes){ bound, msg.n - to_at });
            continue;
        }
        octets += n + 1u;
        if (n > 63 || octets > NAME_MAX_OCTETS ||
            !put_label(to, nr_cur_take(&at, n)) || at.err)
            return false;
    }
    return false;
}

static const char *
dns_type(uint16_t t, char text[16])
{
    static const struct {
        uint16_t type;
        const char *name;
    } types[] = { { 1, "A" }, { 2, "NS" }, { 5, "CNAME" }, { 6, "SOA" },
        { 12, "PTR" }, { 15, "MX" }, { 16, "TXT" }, { 28, "AAAA" },
        { 33, "SRV" }, { 64, "SVCB" }, { 65, "HTTPS" }, { 255, "ANY" } };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (types[i].type == t)
            return types[i].name;
    (void)snprintf(text, 16, "TYPE%u", t);
    return text;
}

static void
put_dns_name(struct nr_buf *out, const char *key, const struct name *n)
{
    nr_buf_printf(out, "\"%s\":\"%.*s\"", key, (int)n->n, n->text);
}

/* One resource record (RFC 1035 section 4.1.3); false: it is cut. */
static bool
dns_record(struct nr_bytes msg, struct nr_cur *c, struct nr_buf *out,
    const char *comma)
{
    char address[INET6_ADDRSTRLEN] = "", other[16];
    struct name owner, name = { .n = 0 };
    struct nr_bytes data;
    struct nr_cur in;
    uint32_t ttl;
    uint16_t type;

    if (!dns_name(msg, c, &owner))
        return false;
    type = nr_cur_be16(c);
    (void)nr_cur_be16(c);
    ttl = nr_cur_be32(c);
    in = *c;
    data = nr_cur_take(c, nr_cur_be16(c));
    if (c->err)
        return false;
    (void)nr_cur_be16(&in);
    if (type == 1 && data.n == 4)
        (void)inet_ntop(AF_INET, data.p, address, sizeof(address));
    else if (type == 28 && data.n == 16)
        (void)inet_ntop(AF_INET6, data.p, address, sizeof(address));
    else if (type == 15 || type == 33)
        (void)nr_cur_take(&in, type == 15 ? 2 : 6);
    if (type == 2 || type == 5 || type == 12 || type == 15 || type == 33)
        if (!dns_name(msg, &in, &name))
            name.n = 0;
    nr_buf_printf(out, "%s{", comma);
    put_dns_name(out, "rrname", &owner);
    nr_buf_printf(out, ",\"rrtype\":\"%s\",\"ttl\":%u", dns_type(type, other),
        ttl);
    if (address[0])
        nr_buf_printf(out, ",\"rdata\":\"%s\"", address);
    if (name.n > 0) {
        nr_buf_put_c(out, ',');
        put_dns_name(out, "rdata", &name);
    }
    nr_buf_put_c(out, '}');
    return true;
}

bool
nr_talk_dns(struct nr_bytes b, struct nr_buf *out)
{
    struct nr_cur c = nr_cur(b);
    uint16_t id = nr_cur_be16(&c), flags = nr_cur_be16(&c);
    uint16_t questions = nr_cur_be16(&c), answers = nr_cur_be16(&c), type;
    bool answer = (flags & 0x8000) != 0;
    struct name name;
    char other[16];

    (void)nr_cur_be32(&c);
    /* operation 0: a query; more than one question nobody asks */
    if (c.err || (flags >> 11 & 15) != 0 || questions != 1 ||
        !dns_name(b, &c, &name))
        return false;
    type = nr_cur_be16(&c);
    (void)nr_cur_be16(&c);
    if (c.err)
        return false;
    nr_buf_printf(out,
        "\"event_type\":\"dns\",\"dns\":{\"type\":\"%s\","
        "\"id\":%u,",
        answer ? "answer" : "query", id);
    put_dns_name(out, "rrname", &name);
    nr_buf_printf(out, ",\"rrtype\":\"%s\"", dns_type(type, other));
    if (answer)
        nr_buf_printf(out, ",\"rcode\":%u", flags & 15u);
    if (answer && answers > 0) {
        nr_buf_put_str(out, NR_STR(",\"answers\":["));
        for (unsigned i = 0; i < answers && i < NR_DNS_ANSWERS_MAX; i++)
            if (!dns_record(b, &c, out, i ? "," : ""))
                break;
        nr_buf_put_c(out, ']');
    }
    nr_buf_put_c(out, '}');
    return true;
}

/* ---- HTTP/1 (RFC 9112) ---- */

static struct nr_bytes
method_of(struct nr_bytes b)
{
    static const char *const methods[] = { "GET", "POST", "HEAD", "PUT",
        "DELETE", "OPTIONS", "CONNECT", "PATCH", "PROPFIND", "TRACE" };
    struct nr_bytes none = { 0 };

    for (size_t i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
        size_t n = strlen(methods[i]);

        if (b.n > n && memcmp(b.p, methods[i], n) == 0 && b.p[n] == ' ')
            return (struct nr_bytes){ b.p, n };
    }
    return none;
}

enum nr_talk
nr_talk_begins(struct nr_bytes b)
{
    if (method_of(b).n > 0)
        return NR_TALK_HTTP;
    if (b.n >= 6 && b.p[0] == 22 && b.p[1] == 3 && b.p[5] == 1)
        return NR_TALK_TLS;
    return NR_TALK_NONE;
}

bool
nr_talk_is_whole(enum nr_talk what, struct nr_bytes b)
{
    struct nr_bytes end = NR_BYTES("\r\n\r\n");

    if (what == NR_TALK_HTTP)
        return memmem(b.p, b.n, end.p, end.n) != NULL;
    /* A hello is mostly one record; what is longer comes whole by the limit
     * of its own length (RFC 8446 section 4). */
    return what != NR_TALK_TLS ||
        (b.n >= 9 &&
            b.n - 9 >= ((size_t)b.p[6] << 16 | (size_t)b.p[7] << 8 | b.p[8]));
}

/* The value of field NAME in the lines behind the request's. */
static struct nr_bytes
field(struct nr_bytes head, const char *name)
{
    struct nr_bytes none = { 0 };
    size_t n = strlen(name);

    while (head.n > 0) {
        const uint8_t *lf = memchr(head.p, '\n', head.n);
        size_t len = lf ? (size_t)(lf - head.p) : head.n;
        struct nr_bytes v = { head.p, len };

        if (lf && len > n && v.p[n] == ':' &&
            strncasecmp((const char *)v.p, name, n) == 0) {
            v = nr_talk_skip(v, n + 1);
            while (v.n && (v.p[0] == ' ' || v.p[0] == '\t'))
                v = nr_talk_skip(v, 1);
            while (v.n && nr_is_space(v.p[v.n - 1]))
                v.n--;
            return v;
        }
        head = nr_talk_skip(head, len + (lf != NULL));
    }
    return none;
}

bool
nr_talk_http(struct nr_bytes b, struct nr_buf *out)
{
    struct nr_bytes method = method_of(b), target, host, name;
    const uint8_t *lf = b.n ? memchr(b.p, '\n', b.n) : NULL;
    const uint8_t *space;
    struct nr_bytes whole = NR_BYTES("\r\n\r\n");
    const uint8_t *end = b.n ? memmem(b.p, b.n, whole.p, whole.n) : NULL;

    if (method.n == 0 || !lf)
        return false;
    if (end)
        b.n = (size_t)(end - b.p) + 2;
    target = nr_talk_skip(b, method.n + 1);
    target.n = (size_t)(lf - target.p);
    space = memrchr(target.p, ' ', target.n);
    if (!space ||
        !nr_bytes_starts((struct nr_bytes){ space, (size_t)(lf - space) },
            NR_BYTES(" HTTP/1")))
        return false;
    target.n = (size_t)(space - target.p);
    host = field(nr_talk_skip(b, (size_t)(lf - b.p) + 1), "Host");
    name = host;
    if (name.n && memrchr(name.p, ':', name.n) && name.p[name.n - 1] != ']')
        name.n = (size_t)((const uint8_t *)memrchr(name.p, ':', name.n) -
            name.p);
    nr_buf_put_str(out,
        NR_STR("\"event_type\":\"http\",\"http\":{"
               "\"http_method\":\""));
    put_text(out, method);
    nr_buf_put_c(out, '"');
    put_member(out, "hostname", name);
    nr_buf_put_str(out, NR_STR(",\"url\":\""));
    if (target.n && target.p[0] == '/' && host.n) {
        nr_buf_put_str(out, NR_STR("http://"));
        put_text(out, host);
    }
    put_text(out, target);
    nr_buf_put_c(out, '"');
    put_member(out, "http_user_agent",
        field(nr_talk_skip(b, (size_t)(lf - b.p) + 1), "User-Agent"));
    put_member(out, "http_refer",
        field(nr_talk_skip(b, (size_t)(lf - b.p) + 1), "Referer"));
    nr_buf_put_c(out, '}');
    return true;
}

/* ---- TLS (RFC 8446 section 4.1.2, RFC 6066 section 3) ---- */

/* The extension server_name of those in C. */
static struct nr_bytes
server_name(struct nr_cur *c)
{
    struct nr_bytes none = { 0 };

    while (c->err == NR_OK && nr_cur_left(c) > 0) {
        uint16_t type = nr_cur_be16(c);
        struct nr_cur in = nr_cur(nr_cur_take(c, nr_cur_be16(c)));
        struct nr_bytes name;

        if (c->err || type != 0)
            continue;
        (void)nr_cur_be16(&in);
        if (nr_cur_u8(&in) != 0)
            return none;
        name = nr_cur_take(&in, nr_cur_be16(&in));
        return in.err ? none : name;
    }
    return none;
}

bool
nr_talk_tls(struct nr_bytes b, struct nr_buf *out)
{
    uint8_t joined[JOINED_MAX];
    struct nr_cur record = nr_cur(b), c;
    struct nr_bytes name;
    size_t n = 0;

    /* A long hello comes in several records. */
    while (nr_cur_left(&record) >= 5) {
        uint8_t type = nr_cur_u8(&record);
        size_t len;

        (void)nr_cur_be16(&record);
        len = nr_cur_be16(&record);
        len = nr_min(len, nr_cur_left(&record));
        if (type != 22 || len > sizeof(joined) - n)
            break;
        memcpy(joined + n, nr_cur_take(&record, len).p, len);
        n += len;
    }
    c = nr_cur((struct nr_bytes){ joined, n });
    if (nr_cur_u8(&c) != 1)
        return false;
    (void)nr_cur_take(&c, 3 + 2 + 32); /* length, version, random */
    (void)nr_cur_take(&c, nr_cur_u8(&c));
    (void)nr_cur_take(&c, nr_cur_be16(&c));
    (void)nr_cur_take(&c, nr_cur_u8(&c));
    (void)nr_cur_be16(&c);
    name = server_name(&c);
    if (name.n == 0)
        return false;
    nr_buf_put_str(out, NR_STR("\"event_type\":\"tls\",\"tls\":{\"sni\":\""));
    put_text(out, name);
    nr_buf_put_str(out, NR_STR("\"}"));
    return true;
}
