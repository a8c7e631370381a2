/*
 * What a named value means, whatever the notation it stands in: members of
 * JSON, columns of Zeek, data of Windows' XML. One row a name.
 */
#include "logline/parse.h"

#include "base/num.h"

enum role {
    MARK, /* only tells the format */
    TIME, /* rank in `arg`: the highest given wins; see time_put */
    UTC,  /* the same, zoneless being UTC */
    SRC,
    DST,
    HOST,
    USER,
    QUERY,
    URL,
    OUT,
    IN,
    ACTION,
    REJECTED,
    EVENT,
    EVENT_ID,
    STREAM,
    CHANNEL,
};

#define ANY    "*" /* under whatever parent */
#define TOP    ""
#define ZONED  100u /* a rank above that of every zoneless time */
#define NO_ARG 0

static const struct row {
    const char *key, *parent;
    enum role role;
    uint32_t arg; /* a rank for times, else marks */
} rows[] = {
    { "timestamp", TOP, TIME, 30 },
    { "ts", TOP, TIME, 29 },
    { "UtcTime", ANY, UTC, 28 },
    { "EventTime", TOP, TIME, 27 },
    { "TimeCreated", ANY, TIME, 26 },
    { "SystemTime", ANY, UTC, 25 },
    { "requestReceivedTimestamp", TOP, TIME, 24 },
    { "eventTime", TOP, TIME, 23 },
    { "StartUTC", TOP, UTC, 22 },
    { "StartLocal", TOP, TIME, 21 },
    { "@timestamp", TOP, TIME, 20 },
    { "time", TOP, TIME, 19 },
    { "time_iso8601", TOP, TIME, 18 },
    { "datetime", TOP, TIME, 17 },
    { "_time", TOP, TIME, 16 },
    { "stageTimestamp", TOP, TIME, 15 },
    { "created", "event", TIME, 14 },
    { "date", TOP, TIME, 13 },
    { "__REALTIME_TIMESTAMP", TOP, TIME, 12 },

    { "event_type", TOP, EVENT, 0x01 },
    { "flow_id", TOP, MARK, 0x02 },
    { "uid", TOP, MARK, 0x04 },
    { "fuid", TOP, MARK, 0x04 },
    { "@stream", TOP, STREAM, 0x04 },
    { "_path", TOP, STREAM, 0x04 },
    { "conn_state", TOP, MARK, 0x10 },
    { "trans_id", TOP, MARK, 0x20 },
    { "EventID", ANY, EVENT_ID, 0x40 },
    { "event_id", ANY, EVENT_ID, 0x40 },
    { "Channel", ANY, CHANNEL, 0x80 },
    { "channel", ANY, CHANNEL, 0x80 },
    { "SourceName", TOP, MARK, 0x80 },
    { "Image", ANY, MARK, 0x80 },
    { "LogonType", ANY, MARK, 0x80 },
    { "logger", TOP, MARK, 0x100 },
    { "RequestHost", TOP, QUERY, 0x200 },
    { "DownstreamStatus", TOP, MARK, 0x400 },

    { "src_ip", TOP, SRC, NO_ARG },
    { "id.orig_h", TOP, SRC, 0x08 },
    { "id_orig_h", TOP, SRC, 0x08 },
    { "orig_h", "id", SRC, 0x08 },
    { "SourceIp", ANY, SRC, NO_ARG },
    { "SourceAddress", ANY, SRC, NO_ARG },
    { "IpAddress", ANY, SRC, NO_ARG },
    { "ClientHost", TOP, SRC, NO_ARG },
    { "client_ip", ANY, SRC, NO_ARG },
    { "remote_ip", ANY, SRC, NO_ARG },
    { "remote_addr", ANY, SRC, NO_ARG },
    { "sourceIPAddress", TOP, SRC, NO_ARG },
    { "sourceIPs", TOP, SRC, NO_ARG },
    { "ip", "source", SRC, NO_ARG },
    { "ip", "client", SRC, NO_ARG },
    { "src", TOP, SRC, NO_ARG },
    { "srcip", TOP, SRC, NO_ARG },
    { "tx_hosts", TOP, SRC, NO_ARG },
    { "dest_ip", TOP, DST, NO_ARG },
    { "id.resp_h", TOP, DST, 0x08 },
    { "id_resp_h", TOP, DST, 0x08 },
    { "resp_h", "id", DST, 0x08 },
    { "DestinationIp", ANY, DST, NO_ARG },
    { "DestAddress", ANY, DST, NO_ARG },
    { "ip", "destination", DST, NO_ARG },
    { "ip", "server", DST, NO_ARG },
    { "dst", TOP, DST, NO_ARG },
    { "dst_ip", TOP, DST, NO_ARG },
    { "dstip", TOP, DST, NO_ARG },
    { "rx_hosts", TOP, DST, NO_ARG },

    { "Hostname", TOP, HOST, NO_ARG },
    { "Computer", ANY, HOST, NO_ARG },
    { "computer_name", ANY, HOST, NO_ARG },
    { "hostname", TOP, HOST, NO_ARG },
    { "name", "host", HOST, NO_ARG },
    { "_HOSTNAME", TOP, HOST, NO_ARG },
    { "host", TOP, HOST, NO_ARG },

    { "rrname", "dns", QUERY, NO_ARG },
    { "rrname", "query", QUERY, NO_ARG },
    { "rrname", "queries", QUERY, NO_ARG },
    { "sni", "tls", QUERY, NO_ARG },
    { "hostname", "http", QUERY, NO_ARG },
    { "host", "request", QUERY, NO_ARG },
    { "query", TOP, QUERY, NO_ARG },
    { "server_name", TOP, QUERY, NO_ARG },
    { "QueryName", ANY, QUERY, NO_ARG },

    { "url", ANY, URL, NO_ARG },
    { "uri", ANY, URL, NO_ARG },
    { "RequestPath", TOP, URL, NO_ARG },
    { "requestURI", TOP, URL, NO_ARG },

    { "User", ANY, USER, NO_ARG },
    { "user", TOP, USER, NO_ARG },
    { "username", ANY, USER, NO_ARG },
    { "TargetUserName", ANY, USER, NO_ARG },
    { "SubjectUserName", ANY, USER, NO_ARG },
    { "ClientUsername", TOP, USER, NO_ARG },
    { "name", "user", USER, NO_ARG },
    { "mail_from", "smtp", USER, NO_ARG },
    { "mailfrom", TOP, USER, NO_ARG },

    { "orig_bytes", TOP, OUT, NO_ARG },
    { "request_body_len", TOP, OUT, NO_ARG },
    { "bytes_toserver", "flow", OUT, NO_ARG },
    { "RequestContentSize", TOP, OUT, NO_ARG },
    { "bytes_read", TOP, OUT, NO_ARG },
    { "resp_bytes", TOP, IN, NO_ARG },
    { "response_body_len", TOP, IN, NO_ARG },
    { "bytes_toclient", "flow", IN, NO_ARG },
    { "DownstreamContentSize", TOP, IN, NO_ARG },
    { "size", TOP, IN, NO_ARG },
    { "length", "http", IN, NO_ARG },

    { "action", ANY, ACTION, NO_ARG },
    { "rejected", TOP, REJECTED, NO_ARG },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

_Static_assert(ROWS <= NR_ROLE_ROWS_MAX, "rows are counted in an octet");

/* Rows by length of their key, so that a key is compared with few. */
void
nr_role_index(struct nr_logfile *f)
{
    size_t n = 0;

    for (size_t len = 0; len <= NR_ROLE_KEY_MAX; len++) {
        f->key_at[len] = (uint8_t)n;
        for (size_t i = 0; i < ROWS; i++)
            if (strlen(rows[i].key) == len)
                f->key_order[n++] = (uint8_t)i;
    }
    f->key_at[NR_ROLE_KEY_MAX + 1] = (uint8_t)n;
}

static bool
is_text(struct nr_bytes b, const char *s)
{
    return strlen(s) == b.n && memcmp(s, b.p, b.n) == 0;
}

int
nr_role_row(const struct nr_logfile *f, struct nr_bytes parent,
    struct nr_bytes key)
{
    if (key.n == 0 || key.n > NR_ROLE_KEY_MAX)
        return -1;
    for (size_t i = f->key_at[key.n]; i < f->key_at[key.n + 1]; i++) {
        const struct row *w = &rows[f->key_order[i]];

        if (memcmp(w->key, key.p, key.n) == 0 &&
            (w->parent[0] == '*' ||
                (parent.n ? is_text(parent, w->parent) : w->parent[0] == '\0')))
            return f->key_order[i];
    }
    return -1;
}

/* ISO 8601, an epoch, "/Date(ms)/" of Windows PowerShell, "02/Jan/2006:..". */
static bool
time_read(struct nr_logfile *f, bool utc, struct nr_bytes v, int64_t *us,
    bool *zoned)
{
    struct nr_bytes b = v;

    if (nr_after(&b, NR_BYTES("/Date("))) {
        *zoned = true;
        return nr_time_epoch(b, us) != 0;
    }
    if (nr_time_iso_zone(f, v, utc ? 0 : f->zone_s, us, zoned)) {
        *zoned = *zoned || utc;
        return true;
    }
    *zoned = true;
    if (nr_time_epoch(v, us) == v.n && v.n > 0)
        return true;
    return nr_time_clf(f, v, us) != 0;
}

/* Of several times the one with a zone counts, then the higher rank. */
static void
time_put(struct nr_logfile *f, struct nr_roles *s, const struct row *w,
    struct nr_bytes v)
{
    int64_t us;
    bool zoned;
    unsigned rank;

    if (s->time_rank > w->arg + ZONED ||
        !time_read(f, w->role == UTC, v, &us, &zoned))
        return;
    rank = w->arg + (zoned ? ZONED : 0);
    if (rank <= s->time_rank)
        return;
    s->time_rank = rank;
    s->r->time_us = us;
}

static void
view_put(struct nr_bytes *to, struct nr_bytes v)
{
    if (to->n == 0)
        *to = v;
}

static void
action_put(struct nr_record *r, enum nr_action a)
{
    if (r->action != NR_ACTION_DENIED && a != NR_ACTION_UNKNOWN)
        r->action = a;
}

void
nr_role_put(struct nr_logfile *f, struct nr_roles *s, int row,
    struct nr_bytes v)
{
    const struct row *w = &rows[row];
    struct nr_record *r = s->r;
    struct nr_bytes *const views[] = {
        [SRC] = &r->src,
        [DST] = &r->dst,
        [HOST] = &r->host,
        [USER] = &r->user,
        [QUERY] = &r->query,
        [URL] = &r->url,
        [EVENT] = &s->event,
        [EVENT_ID] = &s->event_id,
        [STREAM] = &s->stream,
        [CHANNEL] = &s->channel,
    };

    v = nr_said(v);
    if (v.n == 0)
        return;
    switch (w->role) {
    case TIME:
    case UTC:
        time_put(f, s, w, v);
        return;
    case OUT:
        r->bytes_out = nr_count(v);
        return;
    case IN:
        r->bytes_in = nr_count(v);
        return;
    case ACTION:
        action_put(r, nr_action_of(v));
        return;
    case REJECTED:
        if (v.p[0] == 't' || v.p[0] == 'T')
            r->action = NR_ACTION_DENIED;
        return;
    case MARK:
        break;
    case SRC:
    case DST:
    case HOST:
    case USER:
    case QUERY:
    case URL:
    case EVENT:
    case EVENT_ID:
    case STREAM:
    case CHANNEL:
        view_put(views[w->role], v);
        break;
    }
    s->marks |= w->arg;
}

void
nr_zeek_kinds(struct nr_bytes stream, struct nr_record *r)
{
    static const struct {
        const char *stream;
        uint32_t kinds;
    } kinds[] = {
        { "conn", NR_LOG_FLOW },
        { "dns", NR_LOG_DNS },
        { "http", NR_LOG_PROXY },
        { "ssl", NR_LOG_PROXY },
        { "files", NR_LOG_PROXY },
        { "x509", NR_LOG_PROXY },
        { "pe", NR_LOG_PROXY },
        { "smtp", NR_LOG_MAIL },
        { "kerberos", NR_LOG_AD },
        { "ntlm", NR_LOG_AD },
        { "ldap", NR_LOG_AD },
    };

    r->source = is_text(stream, "conn") ? NR_SOURCE_CONN : NR_SOURCE_ZEEK;
    r->kinds = r->src.n ? NR_LOG_FLOW : NR_LOG_OTHER;
    if (r->query.n == 0) {
        r->query = r->host; /* http's host is the name asked for */
        r->host.n = 0;
    }
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (is_text(stream, kinds[i].stream))
            r->kinds = kinds[i].kinds;
}

/* Log-ons, Kerberos, accounts and directory objects are the domain's too. */
void
nr_winevt_kinds(struct nr_bytes event_id, struct nr_record *r)
{
    int64_t id = nr_count(event_id);

    r->source = NR_SOURCE_WINEVT;
    r->kinds = NR_LOG_EDR;
    if ((id >= 4624 && id <= 4627) || id == 4634 || id == 4648 || id == 4662 ||
        id == 4672 || (id >= 4720 && id <= 4781) || (id >= 5136 && id <= 5141))
        r->kinds |= NR_LOG_AD;
    if (id == 5152 || id == 5155 || id == 5157)
        r->action = NR_ACTION_DENIED; /* Windows Filtering Platform */
    else if (id == 5154 || id == 5156 || id == 5158 || id == 4624)
        r->action = NR_ACTION_ALLOWED;
}
