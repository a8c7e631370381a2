/* The streams of all segments, and what their rhythm says. */
#include "archive/coverage.h"
#include "archive/rhythm.h"
#include "archive/store.h"
#include "archive/stream.h"
#include "base/table.h"
#include "observable/observable.h"
#include "watchlist/watchlist.h"

#include <stdlib.h>

#define STREAMS_MAX ((size_t)8192)              /* of an archive */
#define MEMORY      ((size_t)1 << 30)           /* of names and what is found */
#define SLACK       ((int64_t)RHYTHM_WEEK * 26) /* hours that bits grow by */
/* Octets of hours in all: 5000 streams of 10 years. Also bounds the time. */
#define HOURS_MEMORY ((size_t)64 << 20)
#define S_PER_HOUR   INT64_C(3600)
#define KEPT         8 /* more than nr_archive_needs() has answers */

struct stream {
    struct seg_stream row; /* name in the arena; jumps, runs: not used */
    struct nr_buf buf;
    uint8_t *bits; /* in BUF; of hours from BASE on */
    int64_t base;
    size_t hours;         /* a multiple of RHYTHM_WEEK */
    struct nr_buf unsure; /* struct nr_unsure */
    struct rhythm rhythm;
    struct nr_gap *gaps; /* in the arena */
};

/* Notes of one window, see store_notes(). */
struct kept_notes {
    uint32_t kinds, notes;
    struct nr_days window;
};

struct store_streams {
    struct stream **v; /* owned; in the order of by_name once looked at */
    size_t n, cap;
    struct nr_table table; /* of them, until they are put in order */
    struct nr_arena arena; /* names */
    struct nr_arena found; /* rhythms */
    size_t octets;         /* of all bits */
    int64_t end;           /* the hour of the youngest line that is believed */
    uint32_t stripped;     /* NR_STREAM_NO_*, of all proxies together */
    uint32_t some;         /* ... of any of them */
    uint32_t nat;          /* mask of sources */
    struct kept_notes kept[KEPT];
};

static void
forget_known(struct nr_archive *a)
{
    for (size_t k = 0; k < NR_LOG_KINDS; k++) {
        free(a->known[k]);
        a->known[k] = NULL;
    }
    a->judged = false;
}

void
streams_clear(struct nr_archive *a)
{
    struct store_streams *x = a->streams;

    forget_known(a);
    if (!x)
        return;
    for (size_t i = 0; i < x->n; i++) {
        nr_buf_fini(&x->v[i]->buf);
        nr_buf_fini(&x->v[i]->unsure);
        free(x->v[i]);
    }
    nr_table_fini(&x->table);
    nr_arena_fini(&x->arena);
    nr_arena_fini(&x->found);
    free(x->v);
    free(x);
    a->streams = NULL;
}

static struct store_streams *
streams_of(struct nr_archive *a)
{
    if (!a->streams) {
        a->streams = calloc(1, sizeof(*a->streams));
        if (!a->streams)
            return NULL;
        nr_arena_init(&a->streams->arena, MEMORY);
        nr_arena_init(&a->streams->found, MEMORY);
        nr_table_init(&a->streams->table, 0);
        a->streams->end = -1;
    }
    return a->streams;
}

/* Room for hours [FROM, TO]. */
static bool
grow(struct store_streams *x, struct stream *s, int64_t from, int64_t to)
{
    int64_t base = s->hours ? s->base : from;
    int64_t end = base + (int64_t)s->hours;
    size_t n, old = s->hours / 8, before;

    if (s->hours && from >= base && to < end)
        return true;
    if (s->hours == 0 || from < base)
        base = from > SLACK && s->hours ? from - SLACK : from;
    if (to >= end)
        end = to + 1 + (s->hours ? SLACK : 0);
    base -= base % RHYTHM_WEEK;
    end += RHYTHM_WEEK - (end - base) % RHYTHM_WEEK;
    n = (size_t)(end - base) / 8;
    before = s->hours ? (size_t)(s->base - base) / 8 : 0;
    if (n - old > HOURS_MEMORY - x->octets)
        return false;
    if (n > old && !nr_buf_extend(&s->buf, n - old))
        return false;
    s->bits = s->buf.p;
    /* what was known moves behind the hours before it */
    memmove(s->bits + before, s->bits, old);
    memset(s->bits, 0, before);
    memset(s->bits + before + old, 0, n - before - old);
    x->octets += n - old;
    s->base = base;
    s->hours = (size_t)(end - base);
    return true;
}

static bool
mark(struct store_streams *x, struct stream *s, int64_t from, int64_t to)
{
    if (!grow(x, s, from, to))
        return false;
    for (size_t h = (size_t)(from - s->base); h <= (size_t)(to - s->base); h++)
        s->bits[h / 8] |= (uint8_t)(1u << (h % 8));
    return true;
}

/* The stream of that source, kinds and name; NULL: no memory. */
static struct stream *
find(struct store_streams *x, unsigned source, uint32_t kinds,
    struct nr_str name)
{
    uint8_t key[5 + SEG_NAME_MAX], *kept;
    uint64_t *at;
    struct stream *s;

    if (name.n > SEG_NAME_MAX || x->n >= STREAMS_MAX)
        name.n = 0;
    key[0] = (uint8_t)source;
    for (size_t i = 0; i < 4; i++)
        key[1 + i] = (uint8_t)(kinds >> (8 * i));
    if (name.n > 0)
        memcpy(key + 5, name.p, name.n);
    at = nr_table_get(&x->table, (struct nr_bytes){ key, name.n + 5 });
    if (at)
        return x->v[*at];
    if (x->n == x->cap) {
        size_t cap = x->cap ? x->cap * 2 : 32;
        struct stream **more = realloc(x->v, cap * sizeof(*more));

        if (!more)
            return NULL;
        x->v = more;
        x->cap = cap;
    }
    kept = nr_new(&x->arena, uint8_t, name.n + 6);
    if (!kept)
        return NULL;
    memcpy(kept, key, name.n + 5);
    s = calloc(1, sizeof(*s));
    if (!s ||
        !nr_table_put(&x->table, (struct nr_bytes){ kept, name.n + 5 }, x->n,
            NULL)) {
        free(s);
        return NULL;
    }
    s->row = (struct seg_stream){ .source = (uint8_t)source,
        .kinds = kinds,
        .name = { (const char *)kept + 5, name.n } };
    x->v[x->n++] = s;
    nr_buf_init(&s->unsure, (size_t)1 << 24);
    nr_buf_init(&s->buf, HOURS_MEMORY);
    return s;
}

static bool
take(struct store_streams *x, const struct seg_stream *row)
{
    struct stream *s = find(x, row->source, row->kinds, row->name);
    struct nr_cur runs = nr_cur(row->runs), jumps = nr_cur(row->jumps);
    struct seg_jump jump;
    struct seg_run run;
    int64_t at = 0;

    if (!s)
        return false;
    s->row.urls += row->urls;
    s->row.queries += row->queries;
    s->row.paths += row->paths;
    s->row.tunnels += row->tunnels;
    s->row.secure += row->secure;
    s->row.lines += row->lines;
    if (row->clients > SEG_CLIENTS)
        s->row.clients = SEG_CLIENTS + 1;
    for (uint32_t i = 0; i < row->clients && i < SEG_CLIENTS; i++)
        seg_add_client(&s->row, row->client[i]);
    while (seg_run_next(&runs, &at, &run))
        if (!mark(x, s, run.from, run.to))
            return false;
    while (seg_jump_next(&jumps, &jump)) {
        struct nr_unsure u = { jump.to_s, jump.from_s };

        nr_buf_put(&s->unsure,
            (struct nr_bytes){ (const uint8_t *)&u, sizeof(u) });
    }
    return s->unsure.err == NR_OK;
}

enum nr_err
streams_take(struct nr_archive *a, struct segment *s, struct nr_diag *d)
{
    const struct seg_info *info = segment_info(s);
    int64_t last = info->created_s + NR_S_PER_DAY; /* clocks may differ */
    struct store_streams *x = streams_of(a);
    struct seg_stream row;
    struct nr_cur c;
    enum nr_err err = segment_rhythm_begin(s, &c, d);
    bool ok = x != NULL;

    forget_known(a);
    if (err)
        return err;
    while (ok && segment_rhythm_next(&c, &row))
        ok = take(x, &row);
    if (!ok)
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory for streams");
    if (c.err)
        return nr_fail_name(d, NR_EDAMAGED, "segment: streams are not sound",
            segment_name(s));
    if (info->last_s != NR_TIME_NONE && info->last_s < last)
        last = info->last_s;
    if (info->last_s != NR_TIME_NONE && last / S_PER_HOUR > x->end)
        x->end = last / S_PER_HOUR;
    return NR_OK;
}

enum nr_err
streams_row(struct nr_archive *a, const struct seg_stream *row)
{
    struct store_streams *x = streams_of(a);
    struct nr_cur runs = nr_cur(row->runs);
    struct seg_run run;
    int64_t at = 0;

    forget_known(a);
    if (!x || !take(x, row))
        return NR_ENOMEM;
    while (seg_run_next(&runs, &at, &run))
        x->end = run.to > x->end ? run.to : x->end;
    return NR_OK;
}

/* Finding */

static int
by_name(const void *a, const void *b)
{
    const struct stream *x = *(struct stream *const *)a;
    const struct stream *y = *(struct stream *const *)b;
    size_t n = x->row.name.n < y->row.name.n ? x->row.name.n : y->row.name.n;
    int c;

    if (x->row.kinds != y->row.kinds)
        return x->row.kinds < y->row.kinds ? -1 : 1;
    if (x->row.source != y->row.source)
        return x->row.source < y->row.source ? -1 : 1;
    c = n ? memcmp(x->row.name.p, y->row.name.p, n) : 0;
    if (c != 0)
        return c;
    return (x->row.name.n > y->row.name.n) - (x->row.name.n < y->row.name.n);
}

static int
by_begin(const void *a, const void *b)
{
    const struct nr_unsure *x = a, *y = b;

    if (x->from_s != y->from_s)
        return x->from_s < y->from_s ? -1 : 1;
    return (x->to_s > y->to_s) - (x->to_s < y->to_s);
}

/* In order, each once: segments come in any. */
static void
sort_unsure(struct stream *s)
{
    struct nr_unsure *v = (void *)s->unsure.p;
    size_t n = s->unsure.n / sizeof(*v), kept = 0;

    if (n > 1)
        qsort(v, n, sizeof(*v), by_begin);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || by_begin(&v[i], &v[kept - 1]) != 0)
            v[kept++] = v[i];
    s->unsure.n = kept * sizeof(*v);
}

static bool
find_stream(struct store_streams *x, struct stream *s)
{
    struct rhythm_series series;

    sort_unsure(s);
    series = (struct rhythm_series){ s->bits, s->base, s->hours };
    if (rhythm_find(&series, x->end, &x->found, &s->rhythm))
        return false;
    s->gaps = nr_new(&x->found, struct nr_gap, s->rhythm.n + 1);
    if (!s->gaps)
        return false;
    for (size_t i = 0; i < s->rhythm.n; i++) {
        const struct rhythm_gap *g = &s->rhythm.v[i];

        s->gaps[i] = (struct nr_gap){ g->core_from * S_PER_HOUR,
            (g->core_to + 1) * S_PER_HOUR, g->expected };
    }
    return true;
}

static uint32_t
stripped(const struct seg_stream *s)
{
    uint32_t flags = 0;

    if (s->urls >= NR_URLS_MIN && s->queries == 0)
        flags |= NR_STREAM_NO_QUERY;
    if (s->urls >= NR_URLS_MIN && s->paths == 0)
        flags |= NR_STREAM_NO_PATH;
    if (s->tunnels >= NR_URLS_MIN && s->secure == 0)
        flags |= NR_STREAM_NO_TLS;
    return flags;
}

static bool
is_nat(const struct seg_stream *s)
{
    return s->lines >= NR_NAT_LINES && s->clients > 0 &&
        s->clients <= NR_NAT_CLIENTS;
}

/* What all streams together say. */
static void
sum_up(struct store_streams *x)
{
    struct seg_stream all = { 0 };
    uint32_t others = 0;

    x->nat = x->some = 0;
    for (size_t i = 0; i < x->n; i++) {
        const struct seg_stream *s = &x->v[i]->row;

        all.urls += s->urls;
        all.queries += s->queries;
        all.paths += s->paths;
        all.tunnels += s->tunnels;
        all.secure += s->secure;
        x->some |= stripped(s);
        if (is_nat(s))
            x->nat |= 1u << s->source;
        else
            others |= 1u << s->source;
    }
    x->nat &= ~others;
    x->stripped = stripped(&all);
}

static bool
put_known(struct nr_archive *a, const struct stream *s)
{
    size_t first = (size_t)s->base / 24, days = s->hours / 24;

    for (uint32_t k = s->row.kinds; k != 0; k &= k - 1) {
        uint8_t **known = &a->known[__builtin_ctz(k)];

        if (!*known)
            *known = calloc(STORE_DAYS_OCTETS, 1);
        if (!*known)
            return false;
        for (size_t i = 0; i < days; i++) {
            size_t day = first + i;

            if (seg_bit(s->rhythm.days, i) && day / 8 < STORE_DAYS_OCTETS)
                (*known)[day / 8] |= (uint8_t)(1u << (day % 8));
        }
    }
    return true;
}

/* Days behind the end, where no rhythm is looked for. */
static void
put_late(struct nr_archive *a)
{
    int64_t end = a->streams->end;

    for (unsigned k = 0; k < NR_LOG_KINDS; k++)
        for (size_t day = end < 0 ? 0 : (size_t)end / 24 + 1;
             a->days[k] && a->known[k] && day < (size_t)SEG_DAYS; day++)
            if (a->days[k][day / 8] == 0)
                day |= 7;
            else if (seg_bit(a->days[k], day))
                a->known[k][day / 8] |= (uint8_t)(1u << (day % 8));
}

enum nr_err
store_rhythm(struct nr_archive *a, struct nr_diag *d)
{
    struct store_streams *x = a->streams;
    bool ok = true;

    if (a->judged || !x)
        return NR_OK;
    nr_arena_reset(&x->found);
    for (size_t i = 0; ok && i < x->n; i++)
        ok = find_stream(x, x->v[i]) && put_known(a, x->v[i]);
    if (!ok) {
        forget_known(a);
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory for its rhythm");
    }
    put_late(a);
    sum_up(x);
    memset(x->kept, 0, sizeof(x->kept));
    a->judged = true;
    return NR_OK;
}

enum nr_err
nr_coverage_find(struct nr_archive *a, int64_t end_s, struct nr_diag *d)
{
    struct store_streams *x = streams_of(a);
    int64_t end = (end_s + NR_S_PER_DAY) / S_PER_HOUR;
    enum nr_err err;

    if (!x)
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory");
    if (x->end > end) {
        x->end = end;
        forget_known(a);
    }
    err = store_rhythm(a, d);
    if (!err && x->n > 1) {
        qsort(x->v, x->n, sizeof(*x->v), by_name);
        nr_table_fini(&x->table);
        nr_table_init(&x->table, 0);
        for (size_t i = 0; i < x->n; i++)
            if (!nr_table_put(&x->table,
                    (struct nr_bytes){ (const uint8_t *)x->v[i]->row.name.p - 5,
                        x->v[i]->row.name.n + 5 },
                    i, NULL))
                err = nr_fail(d, NR_ENOMEM, 0, "archive: no memory");
    }
    return err;
}

/* Notes */

/* Is one of the days [FROM, TO] among those that X lacks? */
static bool
lacks(const struct nr_answer *x, int64_t from, int64_t to)
{
    for (size_t i = 0; i < x->n_gaps; i++)
        if (from <= x->gaps[i].to && to >= x->gaps[i].from)
            return true;
    return false;
}

static uint32_t
window_notes(const struct store_streams *x, const struct nr_answer *v)
{
    int64_t from_s = v->window.from * NR_S_PER_DAY;
    int64_t to_s = (v->window.to + 1) * NR_S_PER_DAY;
    uint32_t notes = 0;

    for (size_t i = 0; i < x->n; i++) {
        const struct stream *s = x->v[i];
        const struct nr_unsure *u = (const void *)s->unsure.p;

        if (!(s->row.kinds & v->kinds))
            continue;
        for (size_t j = 0; j < s->unsure.n / sizeof(*u); j++)
            if (u[j].from_s < to_s && u[j].to_s > from_s)
                notes |= NR_NOTE_CLOCK;
        for (size_t j = 0; j < s->rhythm.n; j++) {
            const struct nr_gap *g = &s->gaps[j];
            bool open = s->rhythm.stopped && j == s->rhythm.n - 1;

            if (lacks(v, nr_day_of(g->from_s), nr_day_of(g->to_s - 1)))
                notes |= open ? NR_NOTE_STOPPED : NR_NOTE_GAP;
        }
    }
    return notes;
}

/* What of URL KEY a proxy would have to keep, as NR_STREAM_NO_*. */
static uint32_t
url_needs(struct nr_bytes key)
{
    const uint8_t *host = memmem(key.p, key.n, "//", 2), *path;
    uint32_t needs = 0;

    if (!host)
        return 0;
    host += 2;
    path = memchr(host, '/', (size_t)(key.p + key.n - host));
    if (path && path + 1 < key.p + key.n)
        needs |= NR_STREAM_NO_PATH;
    if (memchr(host, '?', (size_t)(key.p + key.n - host)))
        needs |= NR_STREAM_NO_QUERY;
    if (nr_bytes_starts(key, NR_BYTES("https:")))
        needs |= NR_STREAM_NO_TLS;
    return needs;
}

void
store_notes(const struct nr_archive *a, const struct nr_indicator *i,
    struct nr_answer *v)
{
    struct store_streams *x = a->streams;
    struct kept_notes *k;

    v->notes = 0;
    if (!x || !a->judged || v->window.from > v->window.to)
        return;
    for (k = x->kept;
         k < x->kept + KEPT - 1 && k->kinds != 0 && k->kinds != v->kinds;)
        k++;
    if (k->kinds != v->kinds || k->window.from != v->window.from ||
        k->window.to != v->window.to)
        *k = (struct kept_notes){ v->kinds, window_notes(x, v), v->window };
    v->notes = k->notes;
    if (v->lines > 0 && v->sources != 0 && (v->sources & ~x->nat) == 0)
        v->notes |= NR_NOTE_HOST_UNKNOWN;
    if ((x->some | x->stripped) && i->kind == NR_KIND_URL && v->lines == 0) {
        uint32_t needs = url_needs(i->key);

        if (needs & (x->some | x->stripped))
            v->notes |= NR_NOTE_QUERY_STRIPPED;
        if (needs & x->stripped)
            v->answer = NR_ANSWER_CANNOT_SAY;
    }
}

/* Looking */

size_t
nr_coverage_streams(const struct nr_archive *a)
{
    return a->streams ? a->streams->n : 0;
}

struct nr_stream
nr_coverage_stream(const struct nr_archive *a, size_t i)
{
    const struct stream *s = a->streams->v[i];
    const struct rhythm *r = &s->rhythm;
    struct nr_stream out = { .source = s->row.source,
        .kinds = s->row.kinds,
        .name = s->row.name.p,
        .first_s = NR_TIME_NONE,
        .last_s = NR_TIME_NONE,
        .lines = s->row.lines,
        .hours = r->active,
        .flags = stripped(&s->row),
        .gaps = s->gaps,
        .n_gaps = r->n,
        .unsure = (const void *)s->unsure.p,
        .n_unsure = s->unsure.n / sizeof(struct nr_unsure) };

    out.flags |= r->stopped ? NR_STREAM_STOPPED : 0;
    out.flags |= is_nat(&s->row) ? NR_STREAM_NAT : 0;
    if (r->first <= r->last) {
        out.first_s = r->first * S_PER_HOUR;
        out.last_s = (r->last + 1) * S_PER_HOUR;
    }
    return out;
}

const char *
nr_stream_flag_name(unsigned bit)
{
    static const char *const names[NR_STREAM_FLAGS] = { "stopped", "no-query",
        "no-path", "no-tls", "nat" };

    return bit < NR_STREAM_FLAGS ? names[bit] : "";
}

const char *
nr_day_state_name(enum nr_day_state s)
{
    static const char *const names[] = { "none", "gap", "quiet", "lines" };

    return (unsigned)s < sizeof(names) / sizeof(names[0]) ? names[s] : "none";
}

static bool
in_gap(const struct stream *s, int64_t day)
{
    for (size_t i = 0; i < s->rhythm.n; i++) {
        const struct nr_gap *g = &s->gaps[i];

        if (nr_day_of(g->from_s) <= day && day <= nr_day_of(g->to_s - 1))
            return true;
    }
    return false;
}

enum nr_day_state
nr_coverage_stream_day(const struct nr_archive *a, size_t i, int64_t day)
{
    const struct stream *s = a->streams->v[i];
    int64_t at = day - s->base / 24;
    bool lines = false;

    if (at < 0 || at >= (int64_t)(s->hours / 24))
        return in_gap(s, day) ? NR_DAY_GAP : NR_DAY_NONE;
    for (size_t h = 0; h < 3; h++)
        lines |= s->bits[(size_t)at * 3 + h] != 0;
    if (seg_bit(s->rhythm.days, (size_t)at))
        return lines ? NR_DAY_LINES : NR_DAY_QUIET;
    if (in_gap(s, day))
        return NR_DAY_GAP;
    return lines && day * 24 > a->streams->end ? NR_DAY_LINES : NR_DAY_NONE;
}

enum nr_day_state
nr_coverage_kind_day(const struct nr_archive *a, unsigned bit, int64_t day)
{
    enum nr_day_state best = NR_DAY_NONE;

    for (size_t i = 0; i < nr_coverage_streams(a); i++) {
        enum nr_day_state s;

        if (!(a->streams->v[i]->row.kinds >> bit & 1))
            continue;
        s = nr_coverage_stream_day(a, i, day);
        best = s > best ? s : best;
    }
    return best;
}
