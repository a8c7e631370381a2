/*
 * JSON lines. A log wants a few members of each line and must bear lines that
 * were cut or are not quite JSON, so this walks over the octets and builds
 * nothing: names and plain values with the names they stand under. What reads
 * documents, and refuses what is wrong in them, is the room json.
 */
#include "logline/parse.h"

#define DEPTH_MAX 8u /* names further down have no role */

#define M_EVENT   0x01u /* the marks of roles.c */
#define M_FLOW_ID 0x02u
#define M_ZEEK    0x04u
#define M_ZEEK_ID 0x08u
#define M_CONN    0x10u
#define M_TRANS   0x20u
#define M_WIN_ID  0x40u
#define M_WIN     0x80u
#define M_LOGGER  0x100u
#define M_REQUEST 0x200u
#define M_TRAEFIK 0x400u

struct walk {
    struct nr_bytes rest;
    struct nr_bytes name[DEPTH_MAX]; /* that the object at each depth has */
    size_t depth;
};

/* Behind the opening quote: the string as it stands, its end taken. */
static struct nr_bytes
string(struct nr_bytes *rest)
{
    const uint8_t *p = rest->p, *end = rest->p + rest->n;
    struct nr_bytes s = *rest;

    while (p < end) {
        const uint8_t *q = memchr(p, '"', (size_t)(end - p));
        const uint8_t *b = q;

        if (!q)
            break;
        while (b > rest->p && b[-1] == '\\')
            b--;
        if ((q - b) % 2 == 0) {
            s.n = (size_t)(q - rest->p);
            *rest = nr_skip(*rest, s.n + 1);
            return s;
        }
        p = q + 1;
    }
    *rest = nr_skip(*rest, rest->n);
    return s;
}

static void
blanks(struct nr_bytes *rest)
{
    while (rest->n && nr_is_space(*rest->p))
        *rest = nr_skip(*rest, 1);
}

/* A number, true, false or null. */
static struct nr_bytes
bare(struct nr_bytes *rest)
{
    struct nr_bytes s = *rest;

    s.n = 0;
    while (s.n < rest->n && rest->p[s.n] != ',' && rest->p[s.n] != '}' &&
        rest->p[s.n] != ']' && !nr_is_space(rest->p[s.n]))
        s.n++;
    *rest = nr_skip(*rest, s.n ? s.n : 1);
    if (nr_bytes_eq(s, NR_BYTES("null")))
        s.n = 0;
    return s;
}

static void
walk_put(struct nr_logfile *f, struct walk *w, struct nr_roles *s,
    struct nr_bytes key, struct nr_bytes value)
{
    struct nr_bytes parent = { 0 };
    int row;

    if (w->depth == 0 || w->depth > DEPTH_MAX || key.n == 0)
        return;
    if (w->depth > 1)
        parent = w->name[w->depth - 1];
    if (w->depth > 1 && parent.n == 0)
        parent = NR_BYTES("[]"); /* a further object of an array */
    row = nr_role_row(f, parent, key);
    if (row >= 0)
        nr_role_put(f, s, row, value);
}

/* Arrays are looked through: their values belong to the array's name. */
static void
walk(struct nr_logfile *f, struct walk *w, struct nr_roles *s)
{
    struct nr_bytes key = { 0 };

    while (w->rest.n) {
        uint8_t c = *w->rest.p;
        struct nr_bytes v;

        if (c == '{') {
            if (w->depth < DEPTH_MAX)
                w->name[w->depth] = key;
            w->depth++;
            key.n = 0;
        } else if (c == '}') {
            w->depth -= w->depth > 0;
            key.n = 0;
        }
        if (c == '"') {
            w->rest = nr_skip(w->rest, 1);
            v = string(&w->rest);
            blanks(&w->rest);
            if (w->rest.n && *w->rest.p == ':') {
                key = v;
                w->rest = nr_skip(w->rest, 1);
            } else {
                walk_put(f, w, s, key, v);
            }
        } else if (nr_is_digit(c) || nr_is_alpha(c) || c == '-') {
            walk_put(f, w, s, key, bare(&w->rest));
        } else {
            w->rest = nr_skip(w->rest, 1);
        }
    }
}

/* Suricata, "Eve JSON Format": of each event_type. */
static void
eve(struct nr_roles *s)
{
    static const struct {
        const char *type;
        uint32_t kinds;
    } types[] = {
        { "dns", NR_LOG_DNS },
        { "http", NR_LOG_PROXY },
        { "http2", NR_LOG_PROXY },
        { "tls", NR_LOG_PROXY },
        { "quic", NR_LOG_PROXY },
        { "fileinfo", NR_LOG_PROXY },
        { "stats", NR_LOG_OTHER },
        { "engine", NR_LOG_OTHER },
    };

    s->r->source = NR_SOURCE_EVE;
    s->r->kinds = NR_LOG_FLOW;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (nr_bytes_eq(s->event,
                (struct nr_bytes){ (const uint8_t *)types[i].type,
                    strlen(types[i].type) }))
            s->r->kinds = types[i].kinds;
    if (nr_bytes_eq(s->event, NR_BYTES("drop")))
        s->r->action = NR_ACTION_DENIED;
}

static void
zeek(struct nr_logfile *f, struct nr_roles *s)
{
    struct nr_bytes stream = s->stream;

    if (stream.n == 0) /* zeek writes one stream a file */
        stream = (struct nr_bytes){ (const uint8_t *)f->stream,
            strlen(f->stream) };
    if (s->marks & M_CONN)
        stream = NR_BYTES("conn");
    else if ((s->marks & M_TRANS) && s->r->query.n && s->stream.n == 0)
        stream = NR_BYTES("dns");
    nr_zeek_kinds(stream, s->r);
}

static void
dialect(struct nr_logfile *f, struct nr_roles *s)
{
    uint32_t m = s->marks;
    struct nr_record *r = s->r;

    if ((m & M_EVENT) && ((m & M_FLOW_ID) || r->src.n || s->event.n)) {
        eve(s);
    } else if ((m & M_ZEEK) || (m & M_CONN) ||
        ((m & M_ZEEK_ID) && s->stream.n)) {
        zeek(f, s);
    } else if ((m & M_WIN_ID) && ((m & M_WIN) || r->host.n)) {
        nr_winevt_kinds(s->event_id, r);
    } else if ((m & M_REQUEST) && (m & M_TRAEFIK)) {
        r->source = NR_SOURCE_TRAEFIK;
        r->kinds = NR_LOG_WEB;
        r->action = NR_ACTION_ALLOWED;
    } else if ((m & M_LOGGER) && r->url.n) {
        r->source = NR_SOURCE_CADDY;
        r->kinds = NR_LOG_WEB;
        r->action = NR_ACTION_ALLOWED;
    } else {
        r->source = NR_SOURCE_JSON;
        r->kinds = NR_LOG_OTHER;
    }
}

bool
nr_parse_json(struct nr_logfile *f, struct nr_bytes line, struct nr_record *r)
{
    struct nr_roles s = { .r = r };
    struct walk w = { .rest = line };
    int64_t before = r->time_us;

    blanks(&w.rest);
    if (w.rest.n < 2 || *w.rest.p != '{')
        return false;
    r->time_us = NR_TIME_NONE;
    walk(f, &w, &s);
    if (r->time_us == NR_TIME_NONE)
        r->time_us = before;
    dialect(f, &s);
    return true;
}
