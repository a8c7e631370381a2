/* Who talked to whom: the ends of one line. */
#include "logline/parse.h"

#include "observable/observable.h"

#define CONN_COLUMNS \
    ((size_t)12)              /* up to conn_state; the same since Zeek 2.0 */
#define STATE_MAX ((size_t)6) /* "RSTOS0" */

static bool
is_address(struct nr_bytes b)
{
    uint8_t raw[16];

    return nr_ipv4_parse(b, raw) || nr_ipv6_parse(b, true, raw);
}

static bool
is_number(struct nr_bytes b)
{
    for (size_t i = 0; i < b.n; i++)
        if (!nr_is_digit(b.p[i]))
            return false;
    return b.n > 0;
}

static bool
is_transport(struct nr_bytes b)
{
    return nr_bytes_eq(b, NR_BYTES("tcp")) || nr_bytes_eq(b, NR_BYTES("udp")) ||
        nr_bytes_eq(b, NR_BYTES("icmp")) ||
        nr_bytes_eq(b, NR_BYTES("unknown_transport"));
}

/* "SF", "S0", "RSTOS0", "OTH", ... */
static bool
is_state(struct nr_bytes b)
{
    if (b.n < 2 || b.n > STATE_MAX)
        return false;
    for (size_t i = 0; i < b.n; i++)
        if (!nr_is_digit(b.p[i]) && (b.p[i] < 'A' || b.p[i] > 'Z'))
            return false;
    return true;
}

/* ts uid id.orig_h id.orig_p id.resp_h id.resp_p proto service duration
 * orig_bytes resp_bytes conn_state */
static void
zeek_row(enum nr_source source, struct nr_bytes line, struct nr_ends *out)
{
    struct nr_bytes v[CONN_COLUMNS] = { { 0 } };
    size_t n = 0;

    while (line.n > 0 && n < CONN_COLUMNS)
        v[n++] = nr_until(&line, '\t');
    if (!is_address(v[2]) || !is_number(v[3]) || !is_address(v[4]) ||
        !is_number(v[5]))
        return;
    out->from = v[2];
    out->to = v[4];
    if (source != NR_SOURCE_CONN || !is_transport(v[6]) || !is_state(v[11]))
        return;
    out->sent = nr_count(v[9]);
    out->got = nr_count(v[10]);
}

/* "https://user@host:443/path?query" and "host:443" (CONNECT): host. */
static struct nr_bytes
authority(struct nr_bytes url)
{
    struct nr_bytes rest = url, none = { 0 };
    const uint8_t *at;
    size_t n = 0;

    if (!nr_after(&rest, NR_BYTES("://")))
        rest = url;
    while (n < rest.n && rest.p[n] != '/' && rest.p[n] != '?' &&
        rest.p[n] != '#' && rest.p[n] != '\\')
        n++;
    rest.n = n;
    if (n == 0)
        return none;
    at = memrchr(rest.p, '@', rest.n);
    if (at)
        rest = nr_skip(rest, (size_t)(at - rest.p) + 1);
    return nr_no_port(rest);
}

/* Suricata puts the octets of a flow so far into alerts and others as well. */
static bool
is_flow(struct nr_bytes line)
{
    if (!nr_after(&line, NR_BYTES("\"event_type\"")))
        return false;
    while (line.n > 0 && (line.p[0] == ' ' || line.p[0] == ':'))
        line = nr_skip(line, 1);
    return nr_bytes_starts(line, NR_BYTES("\"flow\""));
}

/* What the log is: of the machine about itself, of a server, of neither. */
static void
put_machine(const struct nr_record *r, struct nr_ends *out)
{
    switch (r->source) {
    case NR_SOURCE_SSHD:
    case NR_SOURCE_MAIL:
    case NR_SOURCE_WINEVT:
    case NR_SOURCE_SYSLOG:
        out->own = true;
        out->machine = r->host;
        break;
    case NR_SOURCE_ACCESS:
    case NR_SOURCE_WEB_ERROR:
    case NR_SOURCE_ALB:
    case NR_SOURCE_CADDY:
    case NR_SOURCE_TRAEFIK:
    case NR_SOURCE_JSON:
        out->machine = r->host;
        break;
    case NR_SOURCE_TEXT:
    case NR_SOURCE_SQUID:
    case NR_SOURCE_NAMED:
    case NR_SOURCE_DNSMASQ:
    case NR_SOURCE_FIREWALL:
    case NR_SOURCE_CONN:
    case NR_SOURCE_ZEEK:
    case NR_SOURCE_EVE:
    case NR_SOURCE_FAST:
    case NR_SOURCE_CEF:
    case NR_SOURCE_LEEF:
    case NR_SOURCE_FORTINET:
    case NR_SOURCES:
        break;
    }
}

void
nr_logline_ends(struct nr_logfile *f, enum nr_source source,
    struct nr_bytes line, struct nr_ends *out)
{
    const struct nr_logfile before = *f;
    struct nr_record r;

    *out = (struct nr_ends){ .sent = NR_BYTES_NONE, .got = NR_BYTES_NONE };
    if (line.n > 0 && line.p[line.n - 1] == '\r')
        line.n--;
    if (line.n == 0 || line.p[0] == '#')
        return;
    if ((source == NR_SOURCE_CONN || source == NR_SOURCE_ZEEK) &&
        line.p[0] != '{') {
        zeek_row(source, line, out);
        return;
    }
    f->source = source;
    (void)nr_logline_read(f, line, &r);
    *f = before;
    out->from = nr_no_port(r.src);
    out->to = nr_no_port(r.dst);
    out->url = r.url;
    out->asked = r.query.n > 0 ? r.query : authority(r.url);
    put_machine(&r, out);
    if (r.source == NR_SOURCE_MAIL || r.source == NR_SOURCE_SSHD ||
        (r.source == NR_SOURCE_EVE && !is_flow(line)))
        return; /* a mail's size: of a message, whichever way it goes */
    out->sent = r.bytes_out;
    out->got = r.bytes_in;
}
