/* Zeek's columns, Windows' XML, CEF and LEEF. */
#include "logline/parse.h"

#include "base/num.h"

/* ---- Zeek: "Zeek Log Formats", TSV ---- */

static void
zeek_fields(struct nr_logfile *f, struct nr_bytes rest)
{
    struct nr_bytes none = { 0 };

    f->zeek.n = 0;
    while (rest.n && f->zeek.n < NR_ZEEK_FIELDS) {
        int row = nr_role_row(f, none, nr_until(&rest, f->zeek.sep));

        f->zeek.row[f->zeek.n++] = (uint8_t)(row + 1);
    }
}

/* "#separator \x09", "#path<sep>conn", "#fields<sep>ts<sep>uid..." */
static void
zeek_head(struct nr_logfile *f, struct nr_bytes line)
{
    struct nr_bytes rest = nr_skip(line, 1);

    if (nr_bytes_starts(rest, NR_BYTES("separator \\x")) && rest.n >= 14 &&
        nr_is_hex(rest.p[12]) && nr_is_hex(rest.p[13])) {
        f->zeek.sep = (uint8_t)(nr_hex_value(rest.p[12]) << 4 |
            nr_hex_value(rest.p[13]));
    } else if (nr_bytes_starts(rest, NR_BYTES("path"))) {
        struct nr_bytes path = nr_skip(rest, 5);
        size_t n = nr_min(path.n, NR_STREAM_MAX - 1);

        memcpy(f->zeek.path, path.p, n);
        f->zeek.path[n] = '\0';
    } else if (nr_bytes_starts(rest, NR_BYTES("fields"))) {
        zeek_fields(f, nr_skip(rest, 7));
    }
}

/* The lines that Zeek puts around its rows. */
static bool
zeek_comment(struct nr_bytes line)
{
    static const char *const heads[] = { "#separator", "#set_separator",
        "#empty_field", "#unset_field", "#path", "#open", "#close", "#fields",
        "#types" };

    for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
        if (nr_bytes_starts(line,
                (struct nr_bytes){ (const uint8_t *)heads[i],
                    strlen(heads[i]) }))
            return true;
    return false;
}

bool
nr_parse_zeek(struct nr_logfile *f, struct nr_bytes line, struct nr_record *r)
{
    struct nr_roles s = { .r = r };
    struct nr_bytes rest = line;
    size_t n = 0;

    if (line.n == 0)
        return false;
    if (line.p[0] != '#') {
        if (f->zeek.n == 0 || !memchr(line.p, f->zeek.sep, line.n))
            return false;
        for (; rest.n && n < f->zeek.n; n++) {
            struct nr_bytes v = nr_until(&rest, f->zeek.sep);

            if (f->zeek.row[n])
                nr_role_put(f, &s, f->zeek.row[n] - 1, v);
        }
        if (n < f->zeek.n / 2)
            return false;
    } else {
        if (!zeek_comment(line))
            return false;
        zeek_head(f, line);
    }
    nr_zeek_kinds((struct nr_bytes){ (const uint8_t *)f->zeek.path,
                      strlen(f->zeek.path) },
        r);
    return f->zeek.path[0] != '\0' || line.p[0] == '#';
}

/* ---- Windows events as XML ([MS-EVEN6] 2.2.13 and what wevtutil prints) ---- */

/* The text of element NAME ("<Computer>") at the first place it has one. */
static struct nr_bytes
element(struct nr_bytes line, struct nr_bytes open)
{
    struct nr_bytes none = { 0 };

    return nr_after(&line, open) ? nr_until(&line, '<') : none;
}

bool
nr_parse_xml(struct nr_logfile *f, struct nr_bytes line, struct nr_record *r)
{
    struct nr_roles s = { .r = r };
    struct nr_bytes none = { 0 };
    struct nr_bytes rest = line;
    uint8_t quote;
    int row;

    if (!nr_after(&rest, NR_BYTES("SystemTime=")) || rest.n < 2)
        return false;
    quote = rest.p[0];
    rest = nr_skip(rest, 1);
    row = nr_role_row(f, none, NR_BYTES("SystemTime"));
    if (row >= 0)
        nr_role_put(f, &s, row, nr_until(&rest, quote));
    r->host = element(line, NR_BYTES("<Computer>"));
    s.event_id = element(line, NR_BYTES("<EventID>"));
    while (nr_after(&rest, NR_BYTES("<Data Name="))) {
        struct nr_bytes key, value;

        if (rest.n == 0)
            break;
        quote = rest.p[0];
        rest = nr_skip(rest, 1);
        key = nr_until(&rest, quote);
        (void)nr_until(&rest, '>');
        value = nr_until(&rest, '<');
        row = nr_role_row(f, none, key);
        if (row >= 0)
            nr_role_put(f, &s, row, value);
    }
    nr_winevt_kinds(s.event_id, r);
    return true;
}

/* ---- CEF and LEEF ---- */

enum kv {
    KV_SRC,
    KV_DST,
    KV_HOST,
    KV_USER,
    KV_QUERY,
    KV_URL,
    KV_OUT,
    KV_IN,
    KV_ACTION,
    KV_TIME,
    KV_HASH,
};

static const struct {
    const char *key;
    enum kv kv;
} kv_rows[] = {
    /* CEF: "ArcSight Common Event Format", extension dictionary */
    { "src", KV_SRC },
    { "dst", KV_DST },
    { "dvchost", KV_HOST },
    { "dvc", KV_HOST },
    { "suser", KV_USER },
    { "duser", KV_USER },
    { "dhost", KV_QUERY },
    { "request", KV_URL },
    { "out", KV_OUT },
    { "in", KV_IN },
    { "act", KV_ACTION },
    { "rt", KV_TIME },
    { "start", KV_TIME },
    { "end", KV_TIME },
    { "fileHash", KV_HASH },
    /* LEEF: predefined attributes */
    { "usrName", KV_USER },
    { "url", KV_URL },
    { "srcBytes", KV_OUT },
    { "dstBytes", KV_IN },
    { "action", KV_ACTION },
    { "devTime", KV_TIME },
};

static void
kv_put(struct nr_logfile *f, struct nr_record *r, struct nr_bytes key,
    struct nr_bytes v)
{
    struct nr_bytes *const views[] = {
        [KV_SRC] = &r->src,
        [KV_DST] = &r->dst,
        [KV_HOST] = &r->host,
        [KV_USER] = &r->user,
        [KV_QUERY] = &r->query,
        [KV_URL] = &r->url,
    };
    size_t i = 0, n = sizeof(kv_rows) / sizeof(kv_rows[0]);
    int64_t us;

    while (i < n &&
        !nr_bytes_eq(key,
            (struct nr_bytes){ (const uint8_t *)kv_rows[i].key,
                strlen(kv_rows[i].key) }))
        i++;
    if (i == n)
        return;
    switch (kv_rows[i].kv) {
    case KV_SRC:
    case KV_DST:
    case KV_HOST:
    case KV_USER:
    case KV_QUERY:
    case KV_URL:
        if (views[kv_rows[i].kv]->n == 0)
            *views[kv_rows[i].kv] = v;
        break;
    case KV_OUT:
        r->bytes_out = nr_count(v);
        break;
    case KV_IN:
        r->bytes_in = nr_count(v);
        break;
    case KV_ACTION:
        r->action = nr_action_of(v);
        break;
    case KV_TIME: /* the event's own, over that of the syslog head */
        if (!r->inherited &&
            (nr_time_epoch(v, &us) == v.n || nr_time_bsd(f, v, &us) ||
                nr_time_iso(f, v, &us)) &&
            us != NR_TIME_NONE) {
            r->time_us = us;
            r->inherited = true; /* for now: the first one counts */
        }
        break;
    case KV_HASH:
        r->kinds = NR_LOG_AV;
        break;
    }
}

static void
kv_kinds(struct nr_record *r)
{
    r->inherited = false;
    if (r->kinds == NR_LOG_AV)
        return;
    r->kinds = NR_LOG_OTHER;
    if (r->url.n)
        r->kinds = NR_LOG_PROXY;
    else if (r->src.n && r->dst.n)
        r->kinds = NR_LOG_FW;
}

/* "CEF:0|vendor|product|version|id|name|severity|k=v k2=v with spaces" */
bool
nr_message_cef(struct nr_logfile *f, struct nr_bytes msg, struct nr_record *r)
{
    struct nr_bytes rest = msg, key;

    for (size_t i = 0; i < 7; i++) {
        struct nr_bytes field = nr_until(&rest, '|');

        while (rest.n && field.n && field.p[field.n - 1] == '\\')
            field = nr_until(&rest, '|'); /* "\|" is part of the field */
    }
    r->source = NR_SOURCE_CEF;
    r->kinds = NR_LOG_OTHER;
    key = nr_until(&rest, '=');
    while (rest.n) {
        struct nr_bytes after = rest;
        struct nr_bytes v = nr_until(&after, '='), next = { 0 };

        while (after.n && v.n && v.p[v.n - 1] == '\\') {
            (void)nr_until(&after, '=');
            v.n = (size_t)(after.p - v.p) - 1;
        }
        /* the last word before '=' is the next key */
        if (v.p + v.n < rest.p + rest.n) {
            size_t n = v.n;

            while (n > 0 && v.p[n - 1] != ' ')
                n--;
            next = nr_skip(v, n);
            v.n = n > 0 ? n - 1 : 0;
        }
        kv_put(f, r, key, v);
        key = next;
        rest = after;
    }
    kv_kinds(r);
    return true;
}

/* "LEEF:1.0|v|p|ver|id|" + tab separated; 2.0 names the separator */
bool
nr_message_leef(struct nr_logfile *f, struct nr_bytes msg, struct nr_record *r)
{
    struct nr_bytes rest = msg;
    uint8_t sep = '\t';

    for (size_t i = 0; i < 5; i++)
        (void)nr_until(&rest, '|');
    if (nr_bytes_starts(msg, NR_BYTES("LEEF:2"))) {
        struct nr_bytes b = nr_until(&rest, '|');

        if (b.n == 1)
            sep = b.p[0];
    }
    r->source = NR_SOURCE_LEEF;
    r->kinds = NR_LOG_OTHER;
    while (rest.n) {
        struct nr_bytes v = nr_until(&rest, sep);
        struct nr_bytes key = nr_until(&v, '=');

        kv_put(f, r, key, v);
    }
    kv_kinds(r);
    return true;
}

bool
nr_parse_cef(struct nr_logfile *f, struct nr_bytes line, struct nr_record *r)
{
    return nr_bytes_starts(line, NR_BYTES("CEF:")) &&
        nr_message_cef(f, line, r);
}

bool
nr_parse_leef(struct nr_logfile *f, struct nr_bytes line, struct nr_record *r)
{
    return nr_bytes_starts(line, NR_BYTES("LEEF:")) &&
        nr_message_leef(f, line, r);
}
