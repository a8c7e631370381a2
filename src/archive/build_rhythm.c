/* When streams wrote, gathered line by line for section RHYTHM. */
#include "archive/build.h"

#include "base/hash.h"

#include <stdlib.h>

#define SLACK      ((int64_t)24 * 64) /* hours that bits grow by at least */
#define URLS_MAX   4096u /* looked at of a stream in a stretch of a file */
#define FILE_MAX   ((size_t)256) /* streams in one file */
#define S_PER_HOUR INT64_C(3600)

/* A clock went back when CONFIRM lines in a row, or FEW that lead up to where
 * it was, are older by BACK than the youngest before them; not when by more
 * than BACK_MAX, that are two logs in one file. One that leapt forward by LEAP
 * and went back is wrong in between. */
#define CLOCK_BACK_S     INT64_C(900)
#define CLOCK_BACK_MAX_S (INT64_C(36) * 3600)
#define CLOCK_LEAP_S     INT64_C(900)
#define CLOCK_CONFIRM    64u
#define CLOCK_FEW        8u

static bool
grow(struct build_rhythm *x, struct build_stream *s, int64_t hour)
{
    int64_t from = s->hours ? s->base : hour, to = from + (int64_t)s->hours;
    uint8_t *bits;
    size_t n;

    if (hour < from)
        from = hour > SLACK ? hour - SLACK : 0;
    if (hour >= to)
        to = hour + SLACK;
    from -= from % 8;
    n = (size_t)(to - from) / 8 + 1;
    bits = calloc(n, 1);
    if (!bits)
        return false;
    if (s->hours)
        memcpy(bits + (s->base - from) / 8, s->bits, s->hours / 8);
    x->memory += n - s->hours / 8;
    free(s->bits);
    s->bits = bits;
    s->base = from;
    s->hours = n * 8;
    return true;
}

static bool
mark(struct build_rhythm *x, struct build_stream *s, int64_t hour)
{
    size_t at;

    if ((s->hours == 0 || hour < s->base ||
            hour >= s->base + (int64_t)s->hours) &&
        !grow(x, s, hour))
        return false;
    at = (size_t)(hour - s->base);
    s->bits[at / 8] |= (uint8_t)(1u << (at % 8));
    s->seen = hour;
    return true;
}

static void
stream_free(struct build_stream *s)
{
    if (!s)
        return;
    free(s->text);
    free(s->bits);
    free(s);
}

/* Append a new stream to *V. */
static struct build_stream *
add(struct build_stream ***v, size_t *n, size_t *cap)
{
    struct build_stream *s, **more;

    if (*n == *cap) {
        size_t room = *cap ? *cap * 2 : 8;

        more = realloc(*v, room * sizeof(*more));
        if (!more)
            return NULL;
        *v = more;
        *cap = room;
    }
    s = calloc(1, sizeof(*s));
    if (s) {
        s->seen = -1;
        (*v)[(*n)++] = s;
    }
    return s;
}

/* The stream of the file at hand that R belongs to. */
static struct build_stream *
of_file(struct build_rhythm *x, const struct nr_record *r)
{
    struct build_stream *s = x->last;

    if (s && s->row.source == (uint8_t)r->source && s->row.kinds == r->kinds)
        return s;
    for (size_t i = 0; i < x->n_file; i++) {
        s = x->file[i];
        if ((s->row.source == (uint8_t)r->source && s->row.kinds == r->kinds) ||
            i == FILE_MAX - 1)
            return x->last = s;
    }
    s = add(&x->file, &x->n_file, &x->cap_file);
    if (s) {
        s->row.source = (uint8_t)r->source;
        s->row.kinds = r->kinds;
    }
    return x->last = s;
}

/* What a proxy kept of a request: the URL whole (slashes may be escaped, as in
 * JSON), a host and port, or a path, in which no URL can be found again. */
static void
look_url(struct seg_stream *s, struct nr_bytes url)
{
    const uint8_t *scheme = memmem(url.p, url.n, "://", 3);
    size_t mark = 3;
    struct nr_bytes rest;
    const uint8_t *slash;

    if (!scheme) {
        scheme = memmem(url.p, url.n, ":\\/\\/", 5);
        mark = 5;
    }
    s->urls++;
    if (!scheme) {
        s->tunnels += !memchr(url.p, '/', url.n);
        return;
    }
    s->queries += memchr(url.p, '?', url.n) != NULL;
    s->secure += nr_bytes_starts(url, NR_BYTES("https:"));
    rest = nr_bytes_sub(url, (size_t)(scheme - url.p) + mark, url.n);
    slash = memchr(rest.p, '/', rest.n);
    s->paths += slash && slash + 1 < rest.p + rest.n;
}

static bool
is_in_order(unsigned source)
{
    /* Zeek writes a connection when it ends, under the time it began. */
    return source != NR_SOURCE_CONN && source != NR_SOURCE_ZEEK;
}

static void
put_jump(struct build_stream *s, int64_t from, int64_t to)
{
    if (s->row.n_jumps < SEG_JUMPS_MAX && to < from)
        s->jump[s->row.n_jumps++] = (struct seg_jump){ from, to };
}

/* So many lines are older than the clock was that it went back. */
static void
went_back(struct build_clock *c, struct build_stream *s)
{
    /* Back where it would be now without its leap? */
    int64_t off = c->leapt_from == NR_TIME_NONE
        ? INT64_MAX
        : c->back - (c->leapt_from + (c->now - c->leapt_to));
    bool was_leap = off >= -CLOCK_BACK_S && off <= CLOCK_BACK_S;

    /* Fewer lines than CONFIRM are strays, none of the clock's. */
    if (was_leap && c->since - c->behind >= CLOCK_CONFIRM)
        put_jump(s, c->now, c->leapt_to);
    else if (!was_leap && c->now - c->back <= CLOCK_BACK_MAX_S)
        put_jump(s, c->now, c->back);
    c->now = c->most;
    c->behind = 0;
    c->leapt_from = NR_TIME_NONE;
}

static void
see_time(struct build_clock *c, struct build_stream *s, int64_t t)
{
    c->since++;
    if (c->now == NR_TIME_NONE) {
        c->now = t;
        return;
    }
    if (t < c->now - CLOCK_BACK_S) {
        if (c->behind++ == 0)
            c->back = c->most = t;
        c->most = t > c->most ? t : c->most;
        if (c->behind >= CLOCK_CONFIRM)
            went_back(c, s);
        return;
    }
    /* Few lines that go on to where it was: not late ones among others. */
    if (c->behind >= CLOCK_FEW && t <= c->most + CLOCK_BACK_S) {
        went_back(c, s);
        return;
    }
    c->behind = 0;
    if (t > c->now + CLOCK_LEAP_S) {
        c->leapt_from = c->now;
        c->leapt_to = t;
        c->since = 1;
    }
    c->now = t > c->now ? t : c->now;
}

bool
build_rhythm_line(struct build_rhythm *x, const struct nr_record *r,
    int64_t time_s)
{
    struct build_stream *s;
    int64_t hour;

    if (time_s == NR_TIME_NONE || time_s < 0)
        return true;
    hour = time_s / S_PER_HOUR;
    s = of_file(x, r);
    if (!s)
        return false;
    s->row.lines++;
    if (hour != s->seen && hour < SEG_HOURS && !mark(x, s, hour))
        return false;
    if ((r->kinds & NR_LOG_PROXY) && r->url.n > 0 && s->row.urls < URLS_MAX)
        look_url(&s->row, r->url);
    if (r->src.n > 0 && s->row.clients <= SEG_CLIENTS &&
        (r->kinds & (NR_LOG_FW | NR_LOG_PROXY | NR_LOG_FLOW)))
        seg_add_client(&s->row, (uint32_t)nr_xxh64(r->src, 0));
    if (!r->inherited && is_in_order(s->row.source))
        see_time(&x->clock, s, time_s);
    return true;
}

static struct build_stream *
find(const struct build_rhythm *x, const struct build_stream *s,
    struct nr_str name)
{
    for (size_t i = 0; i < x->n; i++) {
        struct build_stream *t = x->v[i];

        if (t->row.source == s->row.source && t->row.kinds == s->row.kinds &&
            nr_str_eq(t->row.name, name))
            return t;
    }
    return NULL;
}

/* The named stream that S of a file belongs to; beyond the limit one without a
 * name for each source. NULL: no memory, or no room even so. */
static struct build_stream *
named(struct build_rhythm *x, const struct build_stream *s, struct nr_str name)
{
    struct build_stream *t = find(x, s, name);

    if (!t && name.n > 0 && x->n >= SEG_STREAMS_MAX / 2) {
        name.n = 0;
        t = find(x, s, name);
    }
    if (t || x->n >= SEG_STREAMS_MAX)
        return t;
    t = add(&x->v, &x->n, &x->cap);
    if (!t)
        return NULL;
    t->text = calloc(name.n + 1, 1);
    if (!t->text) {
        x->n--;
        stream_free(t);
        return NULL;
    }
    if (name.n > 0)
        memcpy(t->text, name.p, name.n);
    t->row.source = s->row.source;
    t->row.kinds = s->row.kinds;
    t->row.name = (struct nr_str){ t->text, name.n };
    return t;
}

/* Take S into T. */
static bool
merge(struct build_rhythm *x, struct build_stream *t,
    const struct build_stream *s)
{
    t->row.urls += s->row.urls;
    t->row.queries += s->row.queries;
    t->row.paths += s->row.paths;
    t->row.tunnels += s->row.tunnels;
    t->row.secure += s->row.secure;
    t->row.lines += s->row.lines;
    if (s->row.clients > SEG_CLIENTS)
        t->row.clients = SEG_CLIENTS + 1;
    for (uint32_t i = 0; i < s->row.clients && i < SEG_CLIENTS; i++)
        seg_add_client(&t->row, s->row.client[i]);
    for (size_t i = 0; i < s->row.n_jumps; i++)
        put_jump(t, s->jump[i].from_s, s->jump[i].to_s);
    for (size_t h = 0; h < s->hours; h++)
        if (s->bits[h / 8] == 0)
            h |= 7;
        else if (seg_bit(s->bits, h) && !mark(x, t, s->base + (int64_t)h))
            return false;
    return true;
}

void
build_rhythm_file(struct build_rhythm *x, struct nr_str path)
{
    char name[SEG_NAME_MAX + 1];
    struct nr_str is = { name, stream_name(path, name) };

    for (size_t i = 0; i < x->n_file; i++) {
        struct build_stream *s = x->file[i], *t = named(x, s, is);

        /* hours that no stream has room for are not covered, that is all */
        if (t ? !merge(x, t, s) : x->n < SEG_STREAMS_MAX)
            x->failed = true;
        x->memory -= s->hours / 8;
        stream_free(s);
    }
    x->n_file = 0;
    x->last = NULL;
    x->clock = (struct build_clock){ .now = NR_TIME_NONE,
        .leapt_from = NR_TIME_NONE };
}

/* S as the segment that has it keeps it. */
static bool
open_stream(struct build_rhythm *x, const struct seg_stream *s,
    struct build_stream *t)
{
    struct nr_cur jumps = nr_cur(s->jumps), runs = nr_cur(s->runs);
    struct seg_jump jump;
    struct seg_run run;
    int64_t at = 0;

    t->row = *s;
    t->row.n_jumps = 0;
    while (seg_jump_next(&jumps, &jump))
        put_jump(t, jump.from_s, jump.to_s);
    while (seg_run_next(&runs, &at, &run))
        for (int64_t hour = run.from; hour <= run.to; hour++)
            if (!mark(x, t, hour))
                return false;
    return true;
}

enum nr_err
build_rhythm_take(struct build_rhythm *x, const struct seg_stream *s)
{
    struct build_stream t = { .seen = -1 }, *to;
    bool ok = open_stream(x, s, &t);

    to = ok ? named(x, &t, s->name) : NULL;
    ok = to && merge(x, to, &t);
    x->memory -= t.hours / 8;
    free(t.bits);
    return ok ? NR_OK : NR_ENOMEM;
}

static void
put_stream(struct nr_buf *out, struct build_stream *s)
{
    size_t from = 0, to = s->hours;
    struct nr_buf jumps;

    nr_buf_init(&jumps, SEG_JUMPS_MAX * 20);
    for (size_t i = 0; i < s->row.n_jumps; i++) {
        seg_put_varint(&jumps, seg_zigzag(s->jump[i].from_s));
        seg_put_varint(&jumps, seg_zigzag(s->jump[i].to_s - s->jump[i].from_s));
    }
    s->row.jumps = nr_buf_bytes(&jumps);
    while (from < to && !seg_bit(s->bits, from))
        from++;
    while (to > from && !seg_bit(s->bits, to - 1))
        to--;
    seg_put_stream(out, &s->row, s->bits, s->base, from, to);
    nr_buf_fini(&jumps);
}

enum nr_err
build_rhythm_rows(struct build_rhythm *x, struct nr_buf *out)
{
    for (size_t i = 0; i < x->n; i++)
        put_stream(out, x->v[i]);
    return x->failed || out->err ? NR_ENOMEM : NR_OK;
}

void
build_rhythm_fini(struct build_rhythm *x)
{
    for (size_t i = 0; i < x->n_file; i++)
        stream_free(x->file[i]);
    for (size_t i = 0; i < x->n; i++)
        stream_free(x->v[i]);
    free(x->file);
    free(x->v);
}
