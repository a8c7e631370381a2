/* Name servers, packet filters and Suricata's fast.log. */
#include "logline/parse.h"

/* The category and severity of BIND stand before, in any number. */
static bool
named_client(struct nr_bytes msg, struct nr_record *r, struct nr_bytes *rest)
{
    struct nr_bytes w;

    *rest = msg;
    if (!nr_after(rest, NR_BYTES("client ")))
        return false;
    w = nr_word(rest);
    if (w.n && w.p[0] == '@') /* the address of an object of BIND */
        w = nr_word(rest);
    r->src = nr_until(&w, '#');
    if (rest->n && rest->p[0] == '(') {
        *rest = nr_skip(*rest, 1);
        r->query = nr_until(rest, ')');
    }
    return true;
}

static bool
ends_in(struct nr_bytes b, struct nr_bytes tail)
{
    return b.n >= tail.n && memcmp(b.p + b.n - tail.n, tail.p, tail.n) == 0;
}

/* Messages of BIND 9's categories queries, security, rpz, query-errors. */
bool
nr_message_named(struct nr_logfile *f, struct nr_bytes msg, struct nr_record *r)
{
    struct nr_bytes rest, b, q;

    (void)f;
    if (!named_client(msg, r, &rest))
        return true; /* of the server itself */
    b = rest;
    if (nr_after(&b, NR_BYTES("query: "))) {
        q = nr_word(&b);
        if (r->query.n == 0)
            r->query = q;
        r->action = NR_ACTION_ALLOWED;
        if (nr_after(&b, NR_BYTES(" ("))) {
            r->dst = nr_until(&b, ')');
        }
        return true;
    }
    b = rest;
    if (r->query.n == 0 && nr_after(&b, NR_BYTES(" '")))
        r->query = nr_until(&b, '/');
    if (ends_in(rest, NR_BYTES("denied")) ||
        nr_has(rest, NR_BYTES("denied (")) ||
        nr_has(rest, NR_BYTES("REFUSED")) || nr_has(rest, NR_BYTES("rpz ")))
        r->action = NR_ACTION_DENIED;
    return true;
}

bool
nr_parse_named(struct nr_logfile *f, struct nr_bytes line, struct nr_record *r)
{
    size_t n = nr_time_bind(f, line, &r->time_us);

    return n != 0 && n < line.n && line.p[n] == ' ' &&
        nr_message_named(f, nr_skip(line, n + 1), r);
}

/* A word of a rule's prefix: "DROP-IN", "[UFW BLOCK]", "accept". */
enum nr_action
nr_action_of(struct nr_bytes b)
{
    static const struct {
        const char *word; /* lower case */
        enum nr_action action;
    } words[] = {
        { "drop", NR_ACTION_DENIED },
        { "den", NR_ACTION_DENIED }, /* deny, denied */
        { "reject", NR_ACTION_DENIED },
        { "block", NR_ACTION_DENIED },
        { "reset", NR_ACTION_DENIED },
        { "refuse", NR_ACTION_DENIED },
        { "quarantine", NR_ACTION_DENIED },
        { "sinkhole", NR_ACTION_DENIED },
        { "accept", NR_ACTION_ALLOWED },
        { "allow", NR_ACTION_ALLOWED },
        { "permit", NR_ACTION_ALLOWED },
        { "pass", NR_ACTION_ALLOWED },
    };

    for (size_t i = 0; i < b.n; i++)
        for (size_t k = 0; k < sizeof(words) / sizeof(words[0]); k++) {
            size_t n = strlen(words[k].word);
            struct nr_bytes w = { (const uint8_t *)words[k].word, n };

            if (nr_lower(b.p[i]) == w.p[0] && b.n - i >= n &&
                nr_bytes_eq_nocase((struct nr_bytes){ b.p + i, n }, w))
                return words[k].action;
        }
    return NR_ACTION_UNKNOWN;
}

/* The value of "KEY=" in *REST, which moves on behind it. */
static struct nr_bytes
value_of(struct nr_bytes *rest, struct nr_bytes key)
{
    struct nr_bytes none = { 0 };

    return nr_after(rest, key) ? nr_until(rest, ' ') : none;
}

/* The LOG target of iptables and the log statement of nftables. */
bool
nr_message_firewall(struct nr_logfile *f, struct nr_bytes msg,
    struct nr_record *r)
{
    struct nr_bytes rest = msg, prefix;

    (void)f;
    if (!nr_after(&rest, NR_BYTES(" SRC=")))
        return false;
    r->src = nr_until(&rest, ' ');
    if (!nr_bytes_starts(rest, NR_BYTES("DST=")))
        return false;
    r->dst = value_of(&rest, NR_BYTES("DST="));
    r->bytes_out = nr_count(value_of(&rest, NR_BYTES("LEN=")));
    prefix = msg;
    if (prefix.n && prefix.p[0] == '[' &&
        (prefix.n < 2 || prefix.p[1] == ' ' || nr_is_digit(prefix.p[1])))
        (void)nr_until(&prefix, ']'); /* seconds since boot */
    rest = prefix;
    if (nr_after(&rest, NR_BYTES("IN="))) {
        prefix.n = (size_t)(rest.p - prefix.p);
        r->action = nr_action_of(prefix);
    }
    r->source = NR_SOURCE_FIREWALL;
    r->kinds = NR_LOG_FW;
    return true;
}

/* "date=2024-10-14 time=13:46:40 eventtime=... tz="-0700" ...": FortiOS log
 * message reference. */
static const struct {
    const char *key;

    enum {
        KV_SRC,
        KV_DST,
        KV_USER,
        KV_OUT,
        KV_IN,
        KV_URL,
        KV_QUERY,
        KV_HOST,
        KV_ACTION,
        KV_EPOCH,
        KV_DATE,
        KV_TIME,
        KV_ZONE,
        KV_TYPE
    } what;
} kv_keys[] = {
    { "srcip", KV_SRC },
    { "remip", KV_SRC },
    { "dstip", KV_DST },
    { "user", KV_USER },
    { "sentbyte", KV_OUT },
    { "rcvdbyte", KV_IN },
    { "url", KV_URL },
    { "hostname", KV_QUERY },
    { "qname", KV_QUERY },
    { "devname", KV_HOST },
    { "action", KV_ACTION },
    { "eventtime", KV_EPOCH },
    { "date", KV_DATE },
    { "time", KV_TIME },
    { "tz", KV_ZONE },
    { "subtype", KV_TYPE },
    { "type", KV_TYPE },
};

static uint32_t
kv_kinds(struct nr_bytes type, uint32_t before)
{
    static const struct {
        const char *type;
        uint32_t kinds;
    } types[] = {
        { "traffic", NR_LOG_FW },
        { "webfilter", NR_LOG_PROXY },
        { "dns", NR_LOG_DNS },
        { "virus", NR_LOG_AV },
        { "vpn", NR_LOG_AUTH },
        { "user", NR_LOG_AUTH },
        { "emailfilter", NR_LOG_MAIL },
    };

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (nr_bytes_eq(type,
                (struct nr_bytes){ (const uint8_t *)types[i].type,
                    strlen(types[i].type) }))
            return types[i].kinds;
    return before;
}

static void
kv_put(struct nr_bytes key, struct nr_bytes v, struct nr_record *r,
    struct nr_bytes *when)
{
    struct nr_bytes *const views[] = { &r->src, &r->dst, &r->user };
    size_t i = 0, n = sizeof(kv_keys) / sizeof(kv_keys[0]);

    while (i < n &&
        !nr_bytes_eq(key,
            (struct nr_bytes){ (const uint8_t *)kv_keys[i].key,
                strlen(kv_keys[i].key) }))
        i++;
    if (i == n)
        return;
    switch (kv_keys[i].what) {
    case KV_SRC:
    case KV_DST:
    case KV_USER:
        *views[kv_keys[i].what] = nr_said(v);
        break;
    case KV_OUT:
        r->bytes_out = nr_count(v);
        break;
    case KV_IN:
        r->bytes_in = nr_count(v);
        break;
    case KV_URL:
        r->url = v;
        break;
    case KV_QUERY:
        r->query = v;
        break;
    case KV_HOST:
        r->host = v;
        break;
    case KV_ACTION:
        r->action = nr_action_of(v);
        break;
    case KV_TYPE:
        r->kinds = kv_kinds(v, r->kinds);
        break;
    case KV_EPOCH:
    case KV_DATE:
    case KV_TIME:
    case KV_ZONE:
        when[kv_keys[i].what - KV_EPOCH] = v;
        break;
    }
}

bool
nr_message_kv(struct nr_logfile *f, struct nr_bytes msg, struct nr_record *r)
{
    struct nr_bytes rest = msg;
    struct nr_bytes when[4] = { { 0 } }; /* epoch, date, time, zone */
    struct nr_str zone;
    char text[64];
    int64_t east = f->zone_s;
    int n;

    while (rest.n) {
        struct nr_bytes key = nr_until(&rest, '='), v;

        while (key.n && key.p[0] == ' ')
            key = nr_skip(key, 1);
        if (rest.n && rest.p[0] == '"') {
            rest = nr_skip(rest, 1);
            v = nr_until(&rest, '"');
        } else {
            v = nr_until(&rest, ' ');
        }
        kv_put(key, v, r, when);
    }
    if (when[0].n && nr_time_epoch(when[0], &r->time_us))
        return true;
    if (when[1].n == 0 || when[2].n == 0)
        return r->time_us != NR_TIME_NONE;
    if (!nr_str_from_utf8(when[3], &zone) || !nr_zone_parse(zone, &east))
        east = f->zone_s;
    n = snprintf(text, sizeof(text), "%.*s %.*s",
        when[1].n < 11 ? (int)when[1].n : 0, (const char *)when[1].p,
        when[2].n < 30 ? (int)when[2].n : 0, (const char *)when[2].p);
    {
        bool zoned;

        return n > 0 &&
            nr_time_iso_zone(f,
                (struct nr_bytes){ (const uint8_t *)text, (size_t)n }, east,
                &r->time_us, &zoned) > 0;
    }
}

bool
nr_parse_fortinet(struct nr_logfile *f, struct nr_bytes line,
    struct nr_record *r)
{
    if (line.n && line.p[0] == '<')
        (void)nr_until(&line, '>');
    return nr_bytes_starts(line, NR_BYTES("date=")) &&
        nr_message_kv(f, line, r);
}

/* "time  [Drop] [**] [1:2:3] text [**] ... {TCP} a:p -> b:q" */
bool
nr_parse_fast(struct nr_logfile *f, struct nr_bytes line, struct nr_record *r)
{
    struct nr_bytes rest, head;
    size_t n = nr_time_fast(f, line, &r->time_us);

    rest = nr_skip(line, n);
    head = rest;
    if (n == 0 || !nr_after(&rest, NR_BYTES("[**]")))
        return false;
    head.n = (size_t)(rest.p - head.p);
    r->action = nr_action_of(head);
    if (nr_after(&rest, NR_BYTES("} "))) {
        r->src = nr_no_port(nr_word(&rest));
        (void)nr_word(&rest); /* the arrow */
        r->dst = nr_no_port(nr_word(&rest));
    }
    return true;
}
