/* Syslog (RFC 3164, RFC 5424, and ISO dates as rsyslog writes them), and what
 * the programs behind it say. */
#include "logline/parse.h"

#define PRI_MAX ((size_t)4) /* "<191" */

struct head {
    struct nr_bytes host, tag, msg;
};

static bool
is_tag_end(uint8_t c)
{
    return c == ':' || c == '[' || c == '(' || c == ' ';
}

/* "tag[pid]: ", "tag(x)[pid]: ", "tag: "; the message follows. */
static void
tag_split(struct nr_bytes rest, struct head *h)
{
    size_t n = 0;
    struct nr_bytes b;

    while (n < rest.n && !is_tag_end(rest.p[n]))
        n++;
    h->tag = (struct nr_bytes){ rest.p, n };
    b = nr_word(&rest);
    h->msg = rest;
    if (b.n > 0 && /* no colon, or one of its own: no tag but text */
        (b.n == n || nr_bytes_starts(b, NR_BYTES("CEF:")) ||
            nr_bytes_starts(b, NR_BYTES("LEEF:")))) {
        h->msg = (struct nr_bytes){ b.p, (size_t)(rest.p + rest.n - b.p) };
    }
    while (h->msg.n && h->msg.p[0] == ' ')
        h->msg = nr_skip(h->msg, 1);
}

/* RFC 5424 section 6: behind "<pri>1 ". */
static bool
head_5424(struct nr_logfile *f, struct nr_bytes rest, struct head *h,
    int64_t *us)
{
    struct nr_bytes w = nr_word(&rest);

    if (nr_time_iso(f, w, us) == 0 && w.n && w.p[0] != '-')
        return false;
    h->host = nr_said(nr_word(&rest));
    h->tag = nr_said(nr_word(&rest));
    (void)nr_word(&rest); /* PROCID */
    (void)nr_word(&rest); /* MSGID */
    if (rest.n && rest.p[0] == '[') {
        bool in_quotes = false;

        while (rest.n &&
            (in_quotes || rest.p[0] != ']' ||
                (rest.n > 1 && rest.p[1] == '['))) {
            if (rest.p[0] == '\\')
                rest = nr_skip(rest, 1);
            else if (rest.p[0] == '"')
                in_quotes = !in_quotes;
            rest = nr_skip(rest, 1);
        }
        rest = nr_skip(rest, 2);
    } else {
        (void)nr_word(&rest);
    }
    if (nr_bytes_starts(rest, NR_BYTES("\xef\xbb\xbf")))
        rest = nr_skip(rest, 3);
    h->msg = rest;
    return true;
}

size_t
nr_pri_length(struct nr_bytes line)
{
    size_t n = 1;

    if (line.n < 3 || line.p[0] != '<')
        return 0;
    while (n < line.n && n < PRI_MAX && nr_is_digit(line.p[n]))
        n++;
    return n > 1 && n < line.n && line.p[n] == '>' ? n + 1 : 0;
}

/* RFC 3164 section 4.3.3: nothing is known but the PRI; a tag may follow. */
static void
head_pri(struct nr_logfile *f, struct nr_bytes rest, struct head *h,
    int64_t *us)
{
    struct nr_bytes after = rest, w = nr_word(&after);

    h->msg = rest;
    if (w.n > 1 && w.p[w.n - 1] == ':' && nr_is_alpha(w.p[0]))
        tag_split(rest, h);
    (void)nr_time_find(f, rest, us);
}

static bool
head_read(struct nr_logfile *f, struct nr_bytes line, struct head *h,
    int64_t *us)
{
    size_t pri = nr_pri_length(line), n;
    struct nr_bytes rest = nr_skip(line, pri), w, after;

    /* relays write the version without the PRI, too */
    if (nr_bytes_starts(rest, NR_BYTES("1 ")) &&
        (pri > 0 || nr_time_iso(f, nr_skip(rest, 2), us) > 0))
        return head_5424(f, nr_skip(rest, 2), h, us);
    n = nr_time_bsd(f, rest, us);
    if (n == 0)
        n = nr_time_iso(f, rest, us);
    if (n == 0 || n >= rest.n || (rest.p[n] != ' ' && rest.p[n] != ':')) {
        if (pri > 0)
            head_pri(f, rest, h, us);
        return pri > 0;
    }
    rest = nr_skip(rest, n + 1);
    after = rest;
    w = nr_word(&after);
    if (w.n && w.p[w.n - 1] != ':') {
        h->host = nr_said(w);
        rest = after;
    }
    tag_split(rest, h);
    return true;
}

/* ---- programs ---- */

/* The word behind NEEDLE in MSG; empty if it is not there. */
static struct nr_bytes
word_after(struct nr_bytes msg, struct nr_bytes needle)
{
    struct nr_bytes none = { 0 };

    return nr_after(&msg, needle) ? nr_word(&msg) : none;
}

/* The word that stands before NEEDLE in MSG. */
static struct nr_bytes
word_before(struct nr_bytes msg, struct nr_bytes needle)
{
    struct nr_bytes b = msg, w = { 0 };
    const uint8_t *end, *p;

    if (!nr_after(&b, needle))
        return w;
    end = b.p - needle.n;
    for (p = end; p > msg.p && p[-1] != ' '; p--)
        continue;
    return (struct nr_bytes){ p, (size_t)(end - p) };
}

/* "... from NAME (1.2.3.4)", "... A port P", "... from A: ...", "rhost=A" */
static struct nr_bytes
sshd_peer(struct nr_bytes msg)
{
    struct nr_bytes b = msg, w = word_before(msg, NR_BYTES(" port "));

    if (w.n)
        return w;
    if (nr_bytes_starts(msg, NR_BYTES("refused connect")) &&
        nr_after(&b, NR_BYTES(" (")))
        return nr_until(&b, ')');
    w = word_after(msg, NR_BYTES(" from "));
    if (w.n == 0)
        w = word_after(msg, NR_BYTES("rhost="));
    while (w.n && w.p[w.n - 1] == ':')
        w.n--;
    return w;
}

/* A log-on that failed is contact all the same: unknown, not denied. */
static bool
say_sshd(struct nr_logfile *f, struct nr_bytes msg, struct nr_record *r)
{
    struct nr_bytes b = msg;

    (void)f;
    if (nr_bytes_starts(msg, NR_BYTES("Accepted ")))
        r->action = NR_ACTION_ALLOWED;
    else if (nr_bytes_starts(msg, NR_BYTES("refused connect")))
        r->action = NR_ACTION_DENIED;
    r->src = sshd_peer(msg);
    if (nr_after(&b, NR_BYTES("nvalid user ")) ||
        nr_after(&b, NR_BYTES("authenticating user ")) ||
        nr_after(&b, NR_BYTES(" for ")) || nr_after(&b, NR_BYTES(" user=")))
        r->user = nr_word(&b);
    if (r->user.p == r->src.p)
        r->user.n = 0; /* "Timeout before authentication for A port P" */
    return true;
}

/* "name[1.2.3.4]" as Postfix writes a peer. */
static struct nr_bytes
peer(struct nr_bytes b)
{
    struct nr_bytes name = nr_until(&b, '[');

    return b.n ? nr_until(&b, ']') : name;
}

static bool
say_mail(struct nr_logfile *f, struct nr_bytes msg, struct nr_record *r)
{
    struct nr_bytes b = msg, w;

    (void)f;
    if (nr_after(&b, NR_BYTES(" from ")) ||
        (nr_bytes_starts(msg, NR_BYTES("connect from ")) &&
            nr_after(&b, NR_BYTES("from ")))) {
        w = nr_word(&b);
        if (memchr(w.p, '[', w.n))
            r->src = peer(w);
    }
    b = msg;
    if (r->src.n == 0 && nr_bytes_starts(msg, NR_BYTES("warning: ")) &&
        nr_has(msg, NR_BYTES("]: SASL ")) && nr_after(&b, NR_BYTES(": ")))
        r->src = peer(b);
    b = msg;
    if (r->src.n == 0 && nr_after(&b, NR_BYTES(" rip=")))
        r->src = nr_until(&b, ',');
    b = msg;
    if (nr_after(&b, NR_BYTES("relay=")))
        r->dst = peer(b);
    b = msg;
    if (nr_after(&b, NR_BYTES("from=<")) || nr_after(&b, NR_BYTES("user=<")))
        r->user = nr_until(&b, '>');
    b = msg;
    if (nr_after(&b, NR_BYTES(", size=")))
        r->bytes_out = nr_count(b);
    if (nr_has(msg, NR_BYTES("reject: ")) ||
        nr_has(msg, NR_BYTES("milter-reject")) ||
        nr_has(msg, NR_BYTES("status=bounced")))
        r->action = NR_ACTION_DENIED;
    else if (nr_has(msg, NR_BYTES("status=sent")) ||
        nr_has(msg, NR_BYTES("queue active")))
        r->action = NR_ACTION_ALLOWED;
    return true;
}

/* dnsmasq(8) --log-queries, --log-queries=extra ("serial addr/port ...") */
static bool
say_dnsmasq(struct nr_logfile *f, struct nr_bytes msg, struct nr_record *r)
{
    struct nr_bytes rest = msg;
    struct nr_bytes verb = nr_word(&rest), w;

    (void)f;
    if (verb.n && nr_is_digit(verb.p[0])) {
        w = nr_word(&rest);
        if (w.n && memchr(w.p, '/', w.n))
            r->src = nr_until(&w, '/');
        verb = nr_word(&rest);
    }
    if (nr_bytes_eq(verb, NR_BYTES("gravity")) ||
        nr_bytes_eq(verb, NR_BYTES("regex")) ||
        nr_bytes_eq(verb, NR_BYTES("exactly"))) {
        (void)nr_word(&rest); /* "blocked": a list of Pi-hole */
        r->action = NR_ACTION_DENIED;
        r->query = nr_word(&rest);
        return true;
    }
    r->query = nr_word(&rest);
    w = nr_word(&rest);
    if (nr_bytes_eq(w, NR_BYTES("from")))
        r->src = nr_word(&rest);
    else if (nr_bytes_eq(w, NR_BYTES("to")) || nr_bytes_eq(w, NR_BYTES("is")))
        r->dst = nr_word(&rest);
    r->action = NR_ACTION_ALLOWED;
    if (nr_bytes_eq(r->dst, NR_BYTES("REFUSED")) ||
        (nr_bytes_eq(verb, NR_BYTES("config")) &&
            (nr_bytes_eq(r->dst, NR_BYTES("NXDOMAIN")) ||
                nr_bytes_eq(r->dst, NR_BYTES("0.0.0.0")) ||
                nr_bytes_eq(r->dst, NR_BYTES("::")))))
        r->action = NR_ACTION_DENIED;
    if (r->dst.n && !nr_is_hex(r->dst.p[0]) && r->dst.p[0] != ':')
        r->dst.n = 0; /* "<CNAME>", "NXDOMAIN" */
    return true;
}

/* pfSense, OPNsense: rule,...,interface,reason,action,direction,version,... */
static bool
say_filterlog(struct nr_logfile *f, struct nr_bytes msg, struct nr_record *r)
{
    struct nr_bytes v[22] = { { 0 } };
    size_t n = 0, at;

    (void)f;
    while (msg.n && n < sizeof(v) / sizeof(v[0]))
        v[n++] = nr_until(&msg, ',');
    if (n < 19)
        return false;
    r->action = nr_action_of(v[6]);
    at = v[8].n && v[8].p[0] == '6' ? 15 : 18;
    r->bytes_out = nr_count(v[at - 1]);
    r->src = v[at];
    r->dst = v[at + 1];
    return true;
}

static bool
say_kernel(struct nr_logfile *f, struct nr_bytes msg, struct nr_record *r)
{
    if (!nr_message_firewall(f, msg, r)) {
        r->source = NR_SOURCE_SYSLOG;
        r->kinds = NR_LOG_OTHER;
    }
    return true;
}

static bool
say_login(struct nr_logfile *f, struct nr_bytes msg, struct nr_record *r)
{
    (void)f;
    r->src = word_after(msg, NR_BYTES("rhost="));
    r->user = word_after(msg, NR_BYTES(" user="));
    return true;
}

static bool
say_nothing(struct nr_logfile *f, struct nr_bytes msg, struct nr_record *r)
{
    (void)f;
    (void)msg;
    (void)r;
    return true;
}

/* PAN-OS, "Syslog Field Descriptions": columns of TRAFFIC and THREAT logs. */
static bool
palo_alto(struct nr_bytes msg, struct nr_record *r)
{
    struct nr_bytes v[31] = { { 0 } };
    size_t n = 0;

    while (msg.n && n < sizeof(v) / sizeof(v[0]))
        v[n++] = nr_until(&msg, ',');
    if (n < 31 ||
        (!nr_bytes_eq(v[3], NR_BYTES("TRAFFIC")) &&
            !nr_bytes_eq(v[3], NR_BYTES("THREAT"))))
        return false;
    r->source = NR_SOURCE_FIREWALL;
    r->kinds = NR_LOG_FW;
    r->src = v[7];
    r->dst = v[8];
    r->user = v[12];
    r->action = nr_action_of(v[30]);
    return true;
}

/* A program may also write its own format behind syslog's head. */
static bool
say_any(struct nr_logfile *f, struct nr_bytes msg, struct nr_record *r)
{
    static nr_parse_fn *const forms[] = { nr_parse_json, nr_parse_access,
        nr_parse_squid, nr_parse_fast };
    struct nr_record own = *r;

    if (nr_bytes_starts(msg, NR_BYTES("@cee:"))) /* JSON of rsyslog's */
        (void)nr_word(&msg);
    if (nr_bytes_starts(msg, NR_BYTES("CEF:")))
        return nr_message_cef(f, msg, r);
    if (nr_bytes_starts(msg, NR_BYTES("LEEF:")))
        return nr_message_leef(f, msg, r);
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        if (!forms[i](f, msg, &own)) {
            own = *r;
            continue;
        }
        if (own.time_us == NR_TIME_NONE)
            own.time_us = r->time_us;
        if (i == 1 && own.source == r->source) {
            own.source = NR_SOURCE_ACCESS;
            own.kinds = NR_LOG_WEB;
        } else if (i == 2) {
            own.source = NR_SOURCE_SQUID;
            own.kinds = NR_LOG_PROXY;
        } else if (i == 3) {
            own.source = NR_SOURCE_FAST;
            own.kinds = NR_LOG_FLOW;
        }
        *r = own;
        return true;
    }
    (void)(nr_message_firewall(f, msg, r) || palo_alto(msg, r));
    return true;
}

static const struct program {
    const char *tag; /* the tag, or, ending in '/', what it begins with */
    enum nr_source source;
    uint32_t kinds;
    nr_parse_fn *say;
} programs[] = {
    { "sshd", NR_SOURCE_SSHD, NR_LOG_AUTH, say_sshd },
    { "sshd-session", NR_SOURCE_SSHD, NR_LOG_AUTH, say_sshd },
    { "kernel", NR_SOURCE_FIREWALL, NR_LOG_FW, say_kernel },
    { "ulogd", NR_SOURCE_FIREWALL, NR_LOG_FW, say_kernel },
    { "filterlog", NR_SOURCE_FIREWALL, NR_LOG_FW, say_filterlog },
    { "named", NR_SOURCE_NAMED, NR_LOG_DNS, nr_message_named },
    { "dnsmasq", NR_SOURCE_DNSMASQ, NR_LOG_DNS, say_dnsmasq },
    { "postfix/", NR_SOURCE_MAIL, NR_LOG_MAIL, say_mail },
    { "dovecot", NR_SOURCE_MAIL, NR_LOG_MAIL, say_mail },
    { "dovecot/", NR_SOURCE_MAIL, NR_LOG_MAIL, say_mail },
    { "sendmail", NR_SOURCE_MAIL, NR_LOG_MAIL, say_mail },
    { "sm-mta", NR_SOURCE_MAIL, NR_LOG_MAIL, say_mail },
    { "exim", NR_SOURCE_MAIL, NR_LOG_MAIL, say_mail },
    { "amavis", NR_SOURCE_MAIL, NR_LOG_MAIL, say_mail },
    { "opendkim", NR_SOURCE_MAIL, NR_LOG_MAIL, say_mail },
    { "unbound", NR_SOURCE_SYSLOG, NR_LOG_DNS, say_nothing },
    { "clamd", NR_SOURCE_SYSLOG, NR_LOG_AV, say_nothing },
    { "su", NR_SOURCE_SYSLOG, NR_LOG_AUTH, say_login },
    { "sudo", NR_SOURCE_SYSLOG, NR_LOG_AUTH, say_login },
    { "login", NR_SOURCE_SYSLOG, NR_LOG_AUTH, say_login },
    { "vsftpd", NR_SOURCE_SYSLOG, NR_LOG_AUTH, say_login },
    { "proftpd", NR_SOURCE_SYSLOG, NR_LOG_AUTH, say_login },
    { "", NR_SOURCE_SYSLOG, NR_LOG_OTHER, say_any },
};

static const struct program *
program_of(struct nr_bytes tag)
{
    const struct program *p = programs;

    for (; p->tag[0] != '\0'; p++) {
        size_t n = strlen(p->tag);
        struct nr_bytes t = { (const uint8_t *)p->tag, n };

        if (p->tag[n - 1] == '/' ? nr_bytes_starts(tag, t)
                                 : nr_bytes_eq(tag, t))
            break;
    }
    return p;
}

bool
nr_parse_syslog(struct nr_logfile *f, struct nr_bytes line, struct nr_record *r)
{
    struct head h = { { 0 }, { 0 }, { 0 } };
    const struct program *p;

    if (!head_read(f, line, &h, &r->time_us))
        return false;
    p = program_of(h.tag);
    r->host = h.host;
    r->source = p->source;
    r->kinds = p->kinds;
    if (nr_bytes_starts(h.msg, NR_BYTES("date=")) && nr_message_kv(f, h.msg, r))
        r->source = NR_SOURCE_FORTINET;
    else if (!p->say(f, h.msg, r)) {
        r->source = NR_SOURCE_SYSLOG;
        r->kinds = NR_LOG_OTHER;
    }
    return true;
}
