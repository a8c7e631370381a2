/* Hosts involved and octets out, line by line. */
#include "archive/detail.h"

#include "base/buf.h"
#include "base/cpu.h"
#include "base/table.h"
#include "logline/logline.h"
#include "watchlist/watchlist.h"

#include <stdlib.h>

#define NAMES ((size_t)1 << 31) /* octets of all names */
#define LEAP_S \
    INT64_C(978264000) /* 2000-12-31: lines without year have a 29
                                       February too; their time is not used */
#define KEY (NR_DETAIL_NAME_MAX + 16)

/* Where the rows of one indicator begin. */
struct first {
    size_t host, out;
};

struct nr_detail {
    const struct nr_indicator *const *v;
    size_t n;
    struct nr_logfile *log;
    struct nr_arena names;
    struct nr_table seen;     /* of host and out rows: their number */
    struct nr_buf hosts, out; /* struct nr_host, struct nr_out */
    struct first *first;      /* n + 1; after the end */
    uint64_t *octets;         /* n; after the end */
    struct nr_scanner scanner;
    struct nr_tokens tokens;
    struct nr_buf name;
};

const char *
nr_host_role_name(enum nr_host_role r)
{
    static const char *const names[] = { "client", "server", "machine" };

    return (unsigned)r < 3 ? names[r] : names[0];
}

enum nr_err
nr_detail_new(const struct nr_indicator *const *indicators, size_t n,
    struct nr_detail **out, struct nr_diag *d)
{
    struct nr_logfile_options o = { .last_s = LEAP_S };
    struct nr_detail *t = calloc(1, sizeof(*t));
    enum nr_err err = t ? nr_logfile_new(&o, &t->log, d) : NR_ENOMEM;

    if (err) {
        free(t);
        return nr_fail(d, err, 0, "hunt: no memory for hosts");
    }
    t->v = indicators;
    t->n = n;
    nr_arena_init(&t->names, NAMES);
    nr_table_init(&t->seen, n);
    nr_buf_init(&t->hosts, NR_DETAIL_ROWS_MAX * sizeof(struct nr_host));
    nr_buf_init(&t->out, NR_DETAIL_ROWS_MAX * sizeof(struct nr_out));
    nr_buf_init(&t->name, KEY);
    nr_tokens_init(&t->tokens, 0);
    t->scanner = nr_scanner_choose(NR_CPU_ALL);
    *out = t;
    return NR_OK;
}

void
nr_detail_free(struct nr_detail *t)
{
    if (!t)
        return;
    nr_logfile_free(t->log);
    nr_arena_fini(&t->names);
    nr_table_fini(&t->seen);
    nr_buf_fini(&t->hosts);
    nr_buf_fini(&t->out);
    nr_buf_fini(&t->name);
    nr_tokens_fini(&t->tokens);
    free(t->first);
    free(t->octets);
    free(t);
}

/* Is END an address of the range, or of the one address, that I is? */
static bool
is_address(const struct nr_indicator *i, struct nr_bytes end)
{
    bool v4 = i->kind == NR_KIND_IPV4 || i->kind == NR_KIND_CIDR4;
    bool range = i->kind == NR_KIND_CIDR4 || i->kind == NR_KIND_CIDR6;
    size_t width = v4 ? 4 : 16;
    unsigned bits = (unsigned)width * 8;
    uint8_t a[16];

    if (v4 ? !nr_ipv4_parse(end, a) : !nr_ipv6_parse(end, true, a))
        return false;
    if (range && i->key.n == width + 1 && i->key.p[width] < bits)
        bits = i->key.p[width];
    if (i->key.n < width || memcmp(a, i->key.p, bits / 8) != 0)
        return false;
    return bits % 8 == 0 ||
        (a[bits / 8] ^ i->key.p[bits / 8]) >> (8 - bits % 8) == 0;
}

/* Is END the name that I is, or one below it? */
static bool
is_name(const struct nr_indicator *i, struct nr_bytes end)
{
    struct nr_bytes tail;

    while (end.n > 0 && end.p[end.n - 1] == '.')
        end.n--;
    if (end.n < i->key.n)
        return false;
    tail = nr_bytes_sub(end, end.n - i->key.n, end.n);
    return nr_bytes_eq_nocase(tail, i->key) &&
        (end.n == i->key.n || end.p[end.n - i->key.n - 1] == '.');
}

/* Is END, address or name, the indicator? */
static bool
is_it(const struct nr_indicator *i, struct nr_bytes end)
{
    if (end.n == 0)
        return false;
    switch (i->kind) {
    case NR_KIND_IPV4:
    case NR_KIND_CIDR4:
    case NR_KIND_IPV6:
    case NR_KIND_CIDR6:
        return is_address(i, end);
    case NR_KIND_DOMAIN:
        return is_name(i, end);
    case NR_KIND_URL:
    case NR_KIND_EMAIL:
    case NR_KIND_MD5:
    case NR_KIND_SHA1:
    case NR_KIND_SHA256:
    case NR_KIND_SHA512:
    case NR_KIND_WALLET_BTC:
    case NR_KIND_WALLET_ETH:
    case NR_KIND_JA3:
    case NR_KIND_JA4:
    case NR_KIND_FILENAME:
    case NR_KIND_CVE:
    case NR_KIND_ASN:
        break;
    }
    return false;
}

/* Is URL, all of it, the indicator? */
static bool
is_url(struct nr_detail *t, const struct nr_indicator *i, struct nr_bytes url)
{
    bool is = false;

    if (i->kind != NR_KIND_URL || url.n == 0 ||
        t->scanner.scan(url, &t->tokens))
        return false;
    for (size_t k = 0; k < t->tokens.n && !is; k++) {
        const struct nr_token *x = &t->tokens.v[k];
        struct nr_bytes key = nr_token_key(&t->tokens, x);
        const uint8_t *colon;

        if (x->kind != NR_KIND_URL || x->at != 0)
            continue;
        if (i->key.n > 0 && i->key.p[0] == '/') { /* of any scheme */
            colon = memchr(key.p, ':', key.n);
            if (!colon)
                continue;
            key = nr_bytes_sub(key, (size_t)(colon - key.p) + 1, key.n);
        }
        is = nr_bytes_eq(key, i->key);
    }
    return is;
}

/* Addresses that nobody has outside: RFC 1918, 6598, 3927, 4193, 4291. */
static bool
is_private(struct nr_bytes end)
{
    uint8_t a[16];

    if (nr_ipv4_parse(end, a))
        return a[0] == 10 || a[0] == 127 || (a[0] == 172 && a[1] >> 4 == 1) ||
            (a[0] == 192 && a[1] == 168) || (a[0] == 100 && a[1] >> 6 == 1) ||
            (a[0] == 169 && a[1] == 254);
    if (nr_ipv6_parse(end, true, a))
        return a[0] >> 1 == 0x7e || (a[0] == 0xfe && a[1] >> 6 == 2);
    return false;
}

static bool
is_server_log(unsigned source)
{
    return source == NR_SOURCE_ACCESS || source == NR_SOURCE_WEB_ERROR ||
        source == NR_SOURCE_ALB || source == NR_SOURCE_CADDY ||
        source == NR_SOURCE_TRAEFIK;
}

/* What a line says of an indicator. */
struct said {
    struct nr_bytes host;
    enum nr_host_role role;
    int64_t out; /* NR_BYTES_NONE */
};

static struct said
said_of(struct nr_detail *t, const struct nr_archive_line *l)
{
    const struct nr_indicator *i = t->v[l->indicator];
    struct said s = { .out = NR_BYTES_NONE };
    struct nr_ends e;

    nr_logline_ends(t->log, (enum nr_source)l->source, l->text, &e);
    if (e.own || e.from.n == 0) {
        s.host = e.machine;
        s.role = NR_HOST_MACHINE;
    } else if (is_it(i, e.from)) {
        if (l->source == NR_SOURCE_SQUID)
            return s; /* what a proxy fetched for it is not of ours */
        s.host = e.to.n > 0 ? e.to : e.machine;
        s.role = NR_HOST_SERVER;
        s.out = e.got;
    } else {
        s.host = e.from;
        s.role = NR_HOST_CLIENT;
        if (e.sent != NR_BYTES_NONE &&
            (is_it(i, e.to) || is_it(i, e.asked) || is_url(t, i, e.url)))
            s.out = e.sent;
        /* who comes to a server of ours from outside is none of ours */
        if (is_server_log(l->source) && !is_private(e.from))
            s = (struct said){ .out = NR_BYTES_NONE };
    }
    if (is_it(i, s.host))
        s.host.n = 0;
    if (l->denied)
        s.out = NR_BYTES_NONE;
    return s;
}

/* HOST as it is listed, in t->name behind what stands there: false for what
 * is no name. */
static bool
put_name(struct nr_detail *t, struct nr_bytes host)
{
    uint8_t a[16];

    while (host.n > 0 && host.p[host.n - 1] == '.')
        host.n--;
    if (host.n == 0 || host.n > NR_DETAIL_NAME_MAX)
        return false;
    if (nr_ipv6_parse(host, true, a)) {
        nr_ipv6_print(a, &t->name);
        return true;
    }
    for (size_t i = 0; i < host.n; i++) {
        if (host.p[i] <= ' ' || host.p[i] == 0x7f)
            return false;
        nr_buf_put_c(&t->name, (char)nr_lower(host.p[i]));
    }
    return true;
}

static bool
copy(struct nr_arena *a, struct nr_bytes in, struct nr_bytes *out)
{
    uint8_t *p = nr_new(a, uint8_t, in.n + 1);

    if (!p)
        return false;
    memcpy(p, in.p, in.n);
    *out = (struct nr_bytes){ p, in.n };
    return true;
}

/* The number of the row that t->name stands for, *ADDED if it is a new one. */
static enum nr_err
row_of(struct nr_detail *t, const struct nr_buf *rows, size_t size,
    uint64_t *row, bool *added)
{
    struct nr_bytes key = nr_buf_bytes(&t->name);
    uint64_t *at = nr_table_get(&t->seen, key);

    *added = at == NULL;
    if (at) {
        *row = *at;
        return NR_OK;
    }
    *row = rows->n / size;
    if (*row >= NR_DETAIL_ROWS_MAX)
        return NR_ELIMIT;
    if (t->name.err || !copy(&t->names, key, &key) ||
        !nr_table_put(&t->seen, key, *row, NULL))
        return NR_ENOMEM;
    return NR_OK;
}

static void
begin_key(struct nr_detail *t, char what, size_t indicator)
{
    nr_buf_reset(&t->name);
    nr_buf_put_c(&t->name, what);
    nr_buf_put_le(&t->name, indicator, 4);
}

static enum nr_err
add_host(struct nr_detail *t, const struct nr_archive_line *l,
    const struct said *s)
{
    struct nr_host *r,
        new = { .indicator = l->indicator,
            .role = s->role,
            .first_s = NR_TIME_NONE,
            .last_s = NR_TIME_NONE };
    size_t head;
    uint64_t row;
    bool added;
    enum nr_err err;

    begin_key(t, 'h', l->indicator);
    nr_buf_put_c(&t->name, (char)('0' + s->role));
    head = t->name.n;
    if (s->host.n == 0 || !put_name(t, s->host))
        return NR_OK;
    err = row_of(t, &t->hosts, sizeof(new), &row, &added);
    if (err)
        return err;
    if (added) {
        struct nr_bytes name = nr_bytes_sub(nr_buf_bytes(&t->name), head,
            t->name.n);

        if (!copy(&t->names, name, &new.host))
            return NR_ENOMEM;
        nr_buf_put(&t->hosts,
            (struct nr_bytes){ (uint8_t *)&new, sizeof(new) });
        if (t->hosts.err)
            return t->hosts.err;
    }
    r = (struct nr_host *)(void *)t->hosts.p + row;
    r->lines++;
    r->denied += l->denied;
    if (l->time_s == NR_TIME_NONE)
        return NR_OK;
    if (r->first_s == NR_TIME_NONE || l->time_s < r->first_s)
        r->first_s = l->time_s;
    if (r->last_s == NR_TIME_NONE || l->time_s > r->last_s)
        r->last_s = l->time_s;
    return NR_OK;
}

static enum nr_err
add_out(struct nr_detail *t, const struct nr_archive_line *l, int64_t octets)
{
    struct nr_out *r, new = { .indicator = l->indicator };
    uint64_t row;
    bool added;
    enum nr_err err;

    new.source = l->source;
    new.day = l->time_s == NR_TIME_NONE ? NR_TIME_NONE : nr_day_of(l->time_s);
    begin_key(t, 'o', l->indicator);
    nr_buf_put_le(&t->name, l->source, 1);
    nr_buf_put_le(&t->name, (uint64_t) new.day, 8);
    err = row_of(t, &t->out, sizeof(new), &row, &added);
    if (!err && added) {
        nr_buf_put(&t->out, (struct nr_bytes){ (uint8_t *)&new, sizeof(new) });
        err = t->out.err;
    }
    if (err)
        return err;
    r = (struct nr_out *)(void *)t->out.p + row;
    r->lines++;
    if (__builtin_add_overflow(r->octets, (uint64_t)octets, &r->octets))
        r->octets = UINT64_MAX;
    return NR_OK;
}

enum nr_err
nr_detail_line(void *ctx, const struct nr_archive_line *l)
{
    struct nr_detail *t = ctx;
    struct said s = said_of(t, l);
    enum nr_err err = add_host(t, l, &s);

    if (!err && s.out != NR_BYTES_NONE)
        err = add_out(t, l, s.out);
    return err;
}

static int
by_host(const void *a, const void *b)
{
    const struct nr_host *x = a, *y = b;
    int c;

    if (x->indicator != y->indicator)
        return x->indicator < y->indicator ? -1 : 1;
    if (x->lines != y->lines)
        return x->lines > y->lines ? -1 : 1;
    c = nr_bytes_cmp(x->host, y->host);
    return c ? c : (x->role > y->role) - (x->role < y->role);
}

static int
by_out(const void *a, const void *b)
{
    const struct nr_out *x = a, *y = b;

    if (x->indicator != y->indicator)
        return x->indicator < y->indicator ? -1 : 1;
    if (x->day != y->day)
        return x->day < y->day ? -1 : 1;
    return (x->source > y->source) - (x->source < y->source);
}

/* Of each day what the source says that says most. */
static uint64_t
at_least(const struct nr_out *v, size_t n)
{
    uint64_t sum = 0;

    for (size_t i = 0, end; i < n; i = end) {
        uint64_t most = 0;

        for (end = i; end < n && v[end].day == v[i].day; end++)
            most = v[end].octets > most ? v[end].octets : most;
        if (__builtin_add_overflow(sum, most, &sum))
            sum = UINT64_MAX;
    }
    return sum;
}

/* Where the rows of each indicator begin, and what they add up to. */
static void
find_firsts(struct nr_detail *t)
{
    const struct nr_host *h = (const struct nr_host *)(const void *)t->hosts.p;
    const struct nr_out *o = (const struct nr_out *)(const void *)t->out.p;
    size_t n_h = t->hosts.n / sizeof(*h), n_o = t->out.n / sizeof(*o);
    size_t a = 0, b = 0;

    for (size_t i = 0; i < t->n; i++) {
        size_t from = b;

        t->first[i] = (struct first){ a, b };
        while (a < n_h && h[a].indicator == i)
            a++;
        while (b < n_o && o[b].indicator == i)
            b++;
        t->octets[i] = b > from ? at_least(o + from, b - from) : 0;
    }
    t->first[t->n] = (struct first){ a, b };
}

enum nr_err
nr_detail_end(struct nr_detail *t, struct nr_diag *d)
{
    t->first = calloc(t->n + 1, sizeof(*t->first));
    t->octets = calloc(t->n + 1, sizeof(*t->octets));
    if (!t->first || !t->octets)
        return nr_fail(d, NR_ENOMEM, 0, "hunt: no memory for hosts");
    if (t->hosts.n > 0)
        qsort(t->hosts.p, t->hosts.n / sizeof(struct nr_host),
            sizeof(struct nr_host), by_host);
    if (t->out.n > 0)
        qsort(t->out.p, t->out.n / sizeof(struct nr_out), sizeof(struct nr_out),
            by_out);
    find_firsts(t);
    return NR_OK;
}

struct nr_detail_of
nr_detail_get(const struct nr_detail *t, size_t i)
{
    struct nr_detail_of x = { 0 };
    const struct nr_host *h = (const struct nr_host *)(const void *)t->hosts.p;
    const struct nr_out *o = (const struct nr_out *)(const void *)t->out.p;

    if (!t->first || !t->octets || i >= t->n)
        return x;
    x.n_hosts = t->first[i + 1].host - t->first[i].host;
    if (x.n_hosts > NR_DETAIL_HOSTS_MAX) {
        x.more = x.n_hosts - NR_DETAIL_HOSTS_MAX;
        x.n_hosts = NR_DETAIL_HOSTS_MAX;
    }
    if (x.n_hosts > 0)
        x.hosts = h + t->first[i].host;
    x.n_out = t->first[i + 1].out - t->first[i].out;
    if (x.n_out > 0)
        x.out = o + t->first[i].out;
    x.octets = t->octets[i];
    return x;
}
