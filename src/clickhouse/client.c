#include "clickhouse/client.h"

#include "base/arena.h"
#include "base/ct.h"
#include "base/cur.h"
#include "base/file.h"
#include "base/hash.h"
#include "observable/observable.h"

#include <stdlib.h>

#define TIMEOUT_S 3600L
#define CONNECT_S 10L

static bool
begins(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

bool
nr_clickhouse_is(const char *address)
{
    return begins(address, NR_CLICKHOUSE_SCHEME) ||
        begins(address, NR_CLICKHOUSE_TLS);
}

void
put_string(struct nr_buf *b, struct nr_bytes s)
{
    size_t n = s.n;

    for (; n >= 0x80; n >>= 7)
        nr_buf_put_le(b, (n & 0x7f) | 0x80, 1);
    nr_buf_put_le(b, n, 1);
    nr_buf_put(b, s);
}

struct nr_bytes
get_string(struct nr_cur *c)
{
    uint64_t n = 0;

    for (unsigned shift = 0; shift < 63; shift += 7) {
        uint8_t o = nr_cur_u8(c);

        n |= (uint64_t)(o & 0x7f) << shift;
        if (o < 0x80)
            break;
    }
    return nr_cur_take(c, (size_t)n);
}

bool
row_of(unsigned kind, struct nr_bytes key, uint64_t *fp)
{
    bool v4 = kind == NR_KIND_IPV4 || kind == NR_KIND_CIDR4;
    bool v6 = kind == NR_KIND_IPV6 || kind == NR_KIND_CIDR6;
    size_t n = v4 ? 4 : 8;

    *fp = 0;
    if (!v4 && !v6) {
        *fp = nr_xxh64(key, kind);
        return kind == NR_KIND_DOMAIN || kind == NR_KIND_URL ||
            kind == NR_KIND_EMAIL || kind == NR_KIND_MD5 ||
            kind == NR_KIND_SHA1 || kind == NR_KIND_SHA256;
    }
    if (key.n < (v4 ? 4 : 16))
        return false;
    for (size_t i = 0; i < n; i++)
        *fp |= (uint64_t)key.p[i] << (56 - 8 * i);
    return true;
}

/* What stands behind the question mark: NAME=VALUE, "&" between. */
static bool
parse_asked(struct nr_clickhouse *c, char *p)
{
    const struct {
        const char *name;
        const char **value;
    } known[] = { { "cluster=", &c->cluster }, { "ca=", &c->ca },
        { "password-file=", &c->password_file } };

    for (char *next; p; p = next) {
        bool is = false;

        next = strchr(p, '&');
        if (next)
            *next++ = '\0';
        for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
            if (begins(p, known[i].name) && !*known[i].value) {
                *known[i].value = p + strlen(known[i].name);
                is = **known[i].value != '\0';
            }
        if (!is)
            return false;
    }
    return c->tls || !c->ca;
}

/* Take the address apart. */
static bool
parse(struct nr_clickhouse *c)
{
    char *p = strchr(c->text, ':') + 3, *slash = strchr(p, '/');
    char *ask, *at, *next;

    c->tls = begins(c->text, NR_CLICKHOUSE_TLS);
    if (!slash || slash == p)
        return false;
    *slash = '\0';
    c->database = slash + 1;
    ask = strchr(slash + 1, '?');
    if (ask) {
        *ask = '\0';
        if (!parse_asked(c, ask + 1))
            return false;
    }
    at = strrchr(p, '@');
    if (at) {
        char *colon = strchr(p, ':');

        *at = '\0';
        c->user = p;
        if (colon && colon < at) {
            *colon = '\0';
            c->password = colon + 1;
        }
        p = at + 1;
    }
    for (; p; p = next) {
        next = strchr(p, ',');
        if (next)
            *next++ = '\0';
        if (*p == '\0' || c->hosts == NR_CLICKHOUSE_HOSTS)
            return false;
        c->host[c->hosts++] = p;
    }
    return true;
}

/* Names stand in SQL as they are. */
static bool
is_name(const char *s)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyz"
                                  "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789";

    return *s != '\0' && s[strspn(s, letters)] == '\0';
}

static size_t // NOLINTNEXTLINE(readability-non-const-parameter): curl
on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct nr_buf *b = ctx;

    nr_buf_put(b, (struct nr_bytes){ (uint8_t *)p, size * n });
    return b->err ? 0 : size * n;
}

static void
header(struct nr_clickhouse *c, const char *name, const char *value)
{
    char line[ADDRESS_MAX + 64];
    struct curl_slist *more;

    if (!value)
        return;
    (void)snprintf(line, sizeof(line), "%s: %s", name, value);
    more = curl_slist_append(c->headers, line);
    c->headers = more ? more : c->headers;
}

static void
put_escaped(struct nr_clickhouse *c, struct nr_buf *b, const char *name,
    const char *value)
{
    char *s = curl_easy_escape(c->curl, value, 0);

    nr_buf_printf(b, "&%s=%s", name, s ? s : "");
    curl_free(s);
}

static enum nr_err
perform(struct nr_clickhouse *c, const char *url, struct nr_diag *d)
{
    char why[128];
    long code = 0;
    CURLcode rc;

    nr_buf_reset(&c->reply);
    curl_easy_setopt(c->curl, CURLOPT_URL, url);
    rc = curl_easy_perform(c->curl);
    if (rc != CURLE_OK)
        return nr_fail_name(d, c->reply.err ? NR_ELIMIT : NR_ESYS,
            rc == CURLE_PEER_FAILED_VERIFICATION
                ? "clickhouse: the server's certificate is not trusted "
                  "(ca=FILE)"
                : "clickhouse: no answer",
            curl_easy_strerror(rc));
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &code);
    if (code == 200)
        return NR_OK;
    (void)snprintf(why, sizeof(why), "%.*s",
        (int)(c->reply.n < sizeof(why) ? c->reply.n : sizeof(why) - 1),
        (const char *)c->reply.p);
    return nr_fail_name(d, NR_ESYS, "clickhouse: the server refuses", why);
}

static void
common(struct nr_clickhouse *c)
{
    curl_easy_reset(c->curl);
    curl_easy_setopt(c->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(c->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(c->curl, CURLOPT_PROTOCOLS_STR, c->tls ? "https" : "http");
    if (c->ca)
        curl_easy_setopt(c->curl, CURLOPT_CAINFO, c->ca);
    curl_easy_setopt(c->curl, CURLOPT_CONNECTTIMEOUT, CONNECT_S);
    curl_easy_setopt(c->curl, CURLOPT_TIMEOUT, TIMEOUT_S);
    curl_easy_setopt(c->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(c->curl, CURLOPT_WRITEDATA, &c->reply);
    curl_easy_setopt(c->curl, CURLOPT_HTTPHEADER, c->headers);
}

static enum nr_err
send_to(struct nr_clickhouse *c, size_t at, const char *database,
    const char *sql, const struct nr_bytes *body, const struct external *v,
    size_t n, struct nr_diag *d)
{
    curl_mime *mime = NULL;
    struct nr_buf url;
    enum nr_err err;

    common(c);
    nr_buf_init(&url, (size_t)1 << 20);
    nr_buf_printf(&url, "%s://%s%s/?insert_distributed_sync=1",
        c->tls ? "https" : "http", c->host[at],
        strchr(c->host[at], ':') ? ""
            : c->tls             ? ":8443"
                                 : ":8123");
    put_escaped(c, &url, "database", database);
    if (body || n > 0)
        put_escaped(c, &url, "query", sql);
    for (size_t i = 0; i < n; i++) {
        char name[64];
        curl_mimepart *part;

        mime = mime ? mime : curl_mime_init(c->curl);
        part = curl_mime_addpart(mime);
        curl_mime_name(part, v[i].name);
        curl_mime_filename(part, v[i].name);
        curl_mime_data(part, (const char *)v[i].rows.p, v[i].rows.n);
        (void)snprintf(name, sizeof(name), "%s_structure", v[i].name);
        put_escaped(c, &url, name, v[i].structure);
        (void)snprintf(name, sizeof(name), "%s_format", v[i].name);
        put_escaped(c, &url, name, "RowBinary");
    }
    if (mime) {
        curl_easy_setopt(c->curl, CURLOPT_MIMEPOST, mime);
    } else {
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDSIZE_LARGE,
            (curl_off_t)(body ? body->n : strlen(sql)));
        curl_easy_setopt(c->curl, CURLOPT_POSTFIELDS,
            body ? (const char *)body->p : sql);
    }
    if (nr_buf_cstr(&url))
        err = perform(c, nr_buf_cstr(&url), d);
    else
        err = nr_fail(d, NR_ENOMEM, 0, "clickhouse: no memory");
    curl_mime_free(mime);
    nr_buf_fini(&url);
    return err;
}

enum nr_err
client_query(struct nr_clickhouse *c, const char *sql, const struct external *v,
    size_t n, struct nr_diag *d)
{
    return send_to(c, 0, c->database, sql, NULL, v, n, d);
}

enum nr_err
client_do(struct nr_clickhouse *c, size_t at, bool bare, const char *sql,
    struct nr_diag *d)
{
    return send_to(c, at, bare ? "default" : c->database, sql, NULL, NULL, 0,
        d);
}

enum nr_err
client_insert(struct nr_clickhouse *c, const char *sql, struct nr_bytes rows,
    struct nr_diag *d)
{
    return send_to(c, 0, c->database, sql, &rows, NULL, 0, d);
}

struct table {
    const char *name, *columns, *order;
};

/* d: day since 1970 of a line with a time; day: the same as far as a Date can
 * say it, for the partitions. fp: addresses from their highest bit on, others
 * by fingerprint, so that the order is that of the embedded index. */
static const struct table tables[] = {
    { "noroshi_lines",
        "file UInt64, line UInt64, name String, at UInt64, time Int64, "
        "d Int32, day Date, source UInt8, kinds UInt16, denied UInt8, "
        "block UInt64, text String",
        "(file, line)" },
    { "noroshi_seen",
        "kind UInt8, fp UInt64, key String, file UInt64, line UInt64, "
        "time Int64, d Int32, day Date, source UInt8, denied UInt8",
        "(kind, fp, file, line)" },
    { "noroshi_files",
        "file UInt64, name String, upto UInt64, lines UInt64, hash UInt64, "
        "streams String, day Date",
        "(file, upto)" },
};

static enum nr_err
make_tables(struct nr_clickhouse *c, size_t at, struct nr_diag *d)
{
    char sql[2048];
    enum nr_err err;

    (void)snprintf(sql, sizeof(sql), "CREATE DATABASE IF NOT EXISTS %s",
        c->database);
    err = client_do(c, at, true, sql, d);
    for (size_t i = 0; !err && i < sizeof(tables) / sizeof(tables[0]); i++) {
        const struct table *t = &tables[i];

        (void)snprintf(sql, sizeof(sql),
            "CREATE TABLE IF NOT EXISTS %s%s (%s) ENGINE = MergeTree "
            "PARTITION BY toYYYYMM(day) ORDER BY %s",
            t->name, c->cluster ? "_local" : "", t->columns, t->order);
        err = client_do(c, at, false, sql, d);
        if (err || !c->cluster)
            continue;
        (void)snprintf(sql, sizeof(sql),
            "CREATE TABLE IF NOT EXISTS %s (%s) ENGINE = Distributed(%s, %s, "
            "%s_local, cityHash64(file, %s))",
            t->name, t->columns, c->cluster, c->database, t->name,
            i == 2 ? "0" : "line");
        err = client_do(c, at, false, sql, d);
    }
    return err;
}

/* The first line of a file: what stands in an address, other users of the
 * machine see in the list of processes. */
static enum nr_err
read_password(struct nr_clickhouse *c, struct nr_diag *d)
{
    struct nr_arena arena;
    struct nr_bytes in = { 0 };
    size_t n;
    enum nr_err err;

    nr_arena_init(&arena, (size_t)1 << 16);
    err = nr_file_read(&arena, c->password_file, PASSWORD_MAX, &in, d);
    n = in.n;
    while (n > 0 && (in.p[n - 1] == '\n' || in.p[n - 1] == '\r'))
        n--;
    if (!err &&
        (n == 0 || c->password || memchr(in.p, '\n', n) ||
            memchr(in.p, '\0', n)))
        err = nr_fail_name(d, NR_EFORMAT,
            c->password ? "clickhouse: two passwords are given"
                        : "clickhouse: the file is no line with a password",
            c->password_file);
    if (!err) {
        memcpy(c->secret, in.p, n);
        c->secret[n] = '\0';
        c->password = c->secret;
        nr_wipe((void *)(uintptr_t)in.p, in.n);
    }
    nr_arena_fini(&arena);
    return err;
}

enum nr_err
nr_clickhouse_open(const char *address, bool make, struct nr_clickhouse **out,
    struct nr_diag *d)
{
    struct nr_clickhouse *c = calloc(1, sizeof(*c));
    enum nr_err err = NR_OK;

    if (!c)
        return nr_fail(d, NR_ENOMEM, 0, "clickhouse: no memory");
    nr_buf_init(&c->reply, NR_CLICKHOUSE_REPLY);
    if (!nr_clickhouse_is(address) || strlen(address) >= sizeof(c->text))
        err = NR_EFORMAT;
    if (!err) {
        memcpy(c->text, address, strlen(address) + 1);
        if (!parse(c) || !is_name(c->database) ||
            (c->cluster && !is_name(c->cluster)))
            err = NR_EFORMAT;
    }
    if (err)
        (void)nr_fail(d, err, 0,
            "clickhouse: not an address like "
            "clickhouse[s]://[user[:password]@]host[:port]/database"
            "[?cluster=NAME][&ca=FILE][&password-file=FILE]");
    if (!err && c->password_file)
        err = read_password(c, d);
    if (!err) {
        c->curl = curl_easy_init();
        header(c, "X-ClickHouse-User", c->user);
        header(c, "X-ClickHouse-Key", c->password);
        header(c, "Expect", "");
        if (!c->curl)
            err = nr_fail(d, NR_ENOMEM, 0, "clickhouse: no memory");
    }
    for (size_t i = 0; !err && make && i < c->hosts; i++)
        err = make_tables(c, i, d);
    if (err)
        nr_clickhouse_close(c);
    else
        *out = c;
    return err;
}

void
nr_clickhouse_close(struct nr_clickhouse *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    curl_slist_free_all(c->headers);
    nr_buf_fini(&c->reply);
    nr_wipe(c->text, sizeof(c->text));
    nr_wipe(c->secret, sizeof(c->secret));
    free(c);
}
