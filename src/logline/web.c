/* Proxies and web servers: one request a line. */
#include "logline/parse.h"

/* Squid's result code ("TCP_DENIED/403", "TCP_MISS:HIER_DIRECT"): what it did
 * with the request. NONE and its kin: no request was understood. */
static enum nr_action
squid_action(struct nr_bytes code)
{
    if (nr_has(code, NR_BYTES("DENIED")))
        return NR_ACTION_DENIED;
    if (nr_bytes_starts(code, NR_BYTES("TCP_")) ||
        nr_bytes_starts(code, NR_BYTES("UDP_")))
        return NR_ACTION_ALLOWED;
    return NR_ACTION_UNKNOWN;
}

/* time elapsed client code/status octets method URL user hierarchy/peer type
 * (squid.conf: logformat squid) */
bool
nr_parse_squid(struct nr_logfile *f, struct nr_bytes line, struct nr_record *r)
{
    struct nr_bytes rest = line, w;
    size_t n = nr_time_epoch(line, &r->time_us);

    (void)f;
    if (n < 5 || n >= line.n || line.p[n] != ' ')
        return false;
    rest = nr_skip(line, n);
    w = nr_word(&rest);
    if (w.n == 0 || (!nr_is_digit(w.p[0]) && w.p[0] != '-'))
        return false;
    r->src = nr_word(&rest);
    w = nr_word(&rest);
    if (!memchr(w.p, '/', w.n))
        return false;
    r->action = squid_action(w);
    w = nr_word(&rest);
    r->bytes_in = nr_count(w);
    if (r->bytes_in == NR_BYTES_NONE)
        return false;
    (void)nr_word(&rest);
    r->url = nr_word(&rest);
    r->user = nr_said(nr_word(&rest));
    w = nr_word(&rest);
    (void)nr_until(&w, '/');
    r->dst = nr_said(w);
    return true;
}

/* From *REST to the next quote that no backslash precedes. */
static struct nr_bytes
quoted(struct nr_bytes *rest)
{
    struct nr_bytes b = *rest;
    const uint8_t *at = b.p;

    for (;;) {
        at = memchr(at, '"', (size_t)(b.p + b.n - at));
        if (!at) {
            *rest = nr_skip(b, b.n);
            return b;
        }
        if (at == b.p || at[-1] != '\\')
            break;
        at++;
    }
    b.n = (size_t)(at - b.p);
    *rest = nr_skip(*rest, b.n + 1);
    return b;
}

/* "client ident user " or, before them, a virtual host. */
static bool
access_head(struct nr_bytes head, struct nr_record *r)
{
    struct nr_bytes w[4] = { { 0 } };
    size_t n = 0;

    while (head.n && n < 4) {
        w[n] = nr_word(&head);
        n += w[n].n > 0;
    }
    if (n < 1)
        return false;
    if (n == 4) {
        r->host = nr_no_port(w[0]);
        w[0] = w[1];
        w[2] = w[3];
    }
    r->src = nr_said(w[0]);
    if (n >= 3)
        r->user = nr_said(w[2]);
    return true;
}

/* Common and combined log format of Apache and nginx; Squid's "combined". */
bool
nr_parse_access(struct nr_logfile *f, struct nr_bytes line, struct nr_record *r)
{
    struct nr_bytes rest = line;
    struct nr_bytes head = nr_until(&rest, '[');
    struct nr_bytes request, last = line;
    size_t n = nr_time_clf(f, rest, &r->time_us);

    if (n == 0 || n >= rest.n || rest.p[n] != ']' || !access_head(head, r))
        return false;
    rest = nr_skip(rest, n + 1);
    r->action = NR_ACTION_ALLOWED;
    if (!nr_after(&rest, NR_BYTES("\"")))
        return true;
    request = quoted(&rest);
    (void)nr_word(&request); /* the method */
    r->url = nr_word(&request);
    (void)nr_word(&rest); /* the status */
    r->bytes_in = nr_count(nr_word(&rest));
    if (line.p[line.n - 1] == '"')
        return true;
    for (const uint8_t *p = line.p + line.n; p > line.p; p--)
        if (p[-1] == ' ') {
            last = nr_skip(line, (size_t)(p - line.p));
            break;
        }
    if (memchr(last.p, ':', last.n) && nr_has(last, NR_BYTES("_"))) {
        struct nr_bytes code = last;

        code = nr_until(&code, ':');
        if (nr_bytes_starts(code, NR_BYTES("NONE")) ||
            squid_action(code) != NR_ACTION_UNKNOWN) {
            r->action = squid_action(code);
            r->source = NR_SOURCE_SQUID;
            r->kinds = NR_LOG_PROXY;
        }
    }
    return true;
}

/* AWS: "Access logs for your Application Load Balancer", log entry syntax. */
bool
nr_parse_alb(struct nr_logfile *f, struct nr_bytes line, struct nr_record *r)
{
    struct nr_bytes rest = line, request;

    (void)nr_word(&rest); /* type */
    if (nr_time_iso(f, nr_word(&rest), &r->time_us) == 0)
        return false;
    r->host = nr_word(&rest);
    r->src = nr_no_port(nr_word(&rest));
    r->dst = nr_no_port(nr_said(nr_word(&rest)));
    for (size_t i = 0; i < 5; i++) /* three durations, two states */
        (void)nr_word(&rest);
    r->bytes_out = nr_count(nr_word(&rest));
    r->bytes_in = nr_count(nr_word(&rest));
    r->action = NR_ACTION_ALLOWED;
    if (nr_after(&rest, NR_BYTES("\""))) {
        request = quoted(&rest);
        (void)nr_word(&request);
        r->url = nr_word(&request);
    }
    return r->src.n > 0;
}

static void
nginx_error(struct nr_bytes rest, struct nr_record *r)
{
    struct nr_bytes b = rest;

    if (nr_has(rest, NR_BYTES("access forbidden by rule")))
        r->action = NR_ACTION_DENIED;
    if (nr_after(&b, NR_BYTES(", client: ")))
        r->src = nr_until(&b, ',');
    b = rest;
    if (nr_after(&b, NR_BYTES(", server: ")))
        r->host = nr_until(&b, ',');
    b = rest;
    if (nr_after(&b, NR_BYTES(", request: \""))) {
        b = quoted(&b);
        (void)nr_word(&b);
        r->url = nr_word(&b);
    }
}

static void
apache_error(struct nr_bytes rest, struct nr_record *r)
{
    struct nr_bytes b = rest;

    if (nr_has(rest, NR_BYTES("client denied by server configuration")) ||
        nr_has(rest, NR_BYTES("ModSecurity: Access denied")))
        r->action = NR_ACTION_DENIED;
    if (nr_after(&b, NR_BYTES("[client ")))
        r->src = nr_no_port(nr_until(&b, ']'));
    b = rest;
    if (nr_after(&b, NR_BYTES("[hostname \"")))
        r->host = nr_until(&b, '"');
    b = rest;
    if (nr_after(&b, NR_BYTES("[uri \"")))
        r->url = nr_until(&b, '"');
}

/* Error logs: "[Sun Dec 04 04:47:44 2005] [error] ..." of Apache,
 * "2012/04/09 11:53:29 [error] 2865#0: ..." of nginx. */
bool
nr_parse_web_error(struct nr_logfile *f, struct nr_bytes line,
    struct nr_record *r)
{
    struct nr_bytes rest;
    size_t n;

    if (line.n && line.p[0] == '[') {
        n = nr_time_ctime(f, nr_skip(line, 1), &r->time_us) + 1;
        rest = nr_skip(line, n);
        if (n == 1 || !nr_bytes_starts(rest, NR_BYTES("] [")))
            return false;
        apache_error(rest, r);
        return true;
    }
    n = nr_time_iso(f, line, &r->time_us);
    rest = nr_skip(line, n);
    if (n == 0 || line.p[4] != '/' || !nr_bytes_starts(rest, NR_BYTES(" [")))
        return false;
    nginx_error(rest, r);
    return true;
}
