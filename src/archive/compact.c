/* Which segments become one. */
#include "archive/compact.h"

#include "archive/merge.h"
#include "archive/runs.h"
#include "base/hash.h"

#include <stdlib.h>

#define FACTOR_BITS  3u /* a level has eight times the octets of the one below */
#define ENTRY_MEMORY 256 /* octets of tables for an observable, about */
#define SEEN_MEMORY  10  /* and for an observation */

/* A segment that may be merged; those of one group may be with each other. */
struct candidate {
    size_t at; /* in a->v */
    unsigned level;
    uint64_t group, text, memory;
    int64_t first, last; /* days; 0, 0: no line has a time */
};

struct compact {
    struct nr_archive *a;
    const struct nr_compact_options *o;
    struct candidate *v;
    size_t n;
    size_t least, memory;
    int64_t span;
    uint64_t *skip; /* numbers of segments that are left alone */
    size_t n_skip, cap_skip;
};

static bool
skip(struct compact *c, uint64_t seq)
{
    if (c->n_skip == c->cap_skip) {
        size_t cap = c->cap_skip ? c->cap_skip * 2 : 64;
        uint64_t *v = realloc(c->skip, cap * sizeof(*v));

        if (!v)
            return false;
        c->skip = v;
        c->cap_skip = cap;
    }
    c->skip[c->n_skip++] = seq;
    return true;
}

static bool
is_skipped(const struct compact *c, uint64_t seq)
{
    for (size_t i = 0; i < c->n_skip; i++)
        if (c->skip[i] == seq)
            return true;
    return false;
}

static unsigned
level_of(uint64_t text)
{
    return text ? (63 - (unsigned)__builtin_clzll(text)) / FACTOR_BITS : 0;
}

/* Only segments that are equal in this may be merged: each drop and each hold
 * is for a whole one. */
static uint64_t
group_of(const struct compact *c, const struct candidate *x,
    const struct seg_info *i)
{
    const struct nr_holds *h = c->o->holds;
    uint64_t key[3] = { i->flags, x->first == x->last && x->first == 0,
        c->o->same_kinds ? i->kinds : 0 };
    uint64_t hash = nr_xxh64((struct nr_bytes){ (const uint8_t *)key,
                                 sizeof(key) },
        0);

    for (size_t k = 0; h && k < h->n; k++) {
        bool in = x->last >= h->v[k].days.from && x->first <= h->v[k].days.to;

        if (in || key[1])
            hash = nr_xxh64((struct nr_bytes){ (const uint8_t *)&k, sizeof(k) },
                hash);
    }
    return hash;
}

static int
by_place(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;

    if (x->level != y->level)
        return x->level < y->level ? -1 : 1;
    if (x->group != y->group)
        return x->group < y->group ? -1 : 1;
    if (x->first != y->first)
        return x->first < y->first ? -1 : 1;
    return (x->at > y->at) - (x->at < y->at);
}

static enum nr_err
list(struct compact *c, struct nr_diag *d)
{
    free(c->v);
    c->n = 0;
    c->v = calloc(c->a->n + 1, sizeof(*c->v));
    if (!c->v)
        return nr_fail(d, NR_ENOMEM, 0, "compact: no memory");
    for (size_t i = 0; i < c->a->n; i++) {
        const struct seg_info *x = segment_info(c->a->v[i]);
        struct candidate k = { .at = i,
            .level = level_of(x->text),
            .text = x->text,
            .memory = x->observables * ENTRY_MEMORY +
                x->observations * SEEN_MEMORY };

        if (is_skipped(c, x->seq))
            continue;
        if (x->first_s != NR_TIME_NONE) {
            k.first = nr_day_of(x->first_s);
            k.last = nr_day_of(x->last_s);
        }
        k.group = group_of(c, &k, x);
        c->v[c->n++] = k;
    }
    qsort(c->v, c->n, sizeof(*c->v), by_place);
    return NR_OK;
}

/* How many from I on fit into one segment. */
static size_t
fits(const struct compact *c, size_t i)
{
    int64_t last = c->v[i].last;
    uint64_t text = 0, memory = 0;
    size_t k = i;

    for (; k < c->n && k - i < NR_COMPACT_MOST; k++) {
        const struct candidate *x = &c->v[k];

        last = x->last > last ? x->last : last;
        text += x->text;
        memory += x->memory;
        if (x->level != c->v[i].level || x->group != c->v[i].group ||
            last - c->v[i].first >= c->span || text > NR_SEGMENT_TEXT_MAX ||
            memory > c->memory)
            break;
    }
    return k - i;
}

/* The first group that is due, as places in c->v: [*FROM, *FROM + *N). */
static bool
find_due(const struct compact *c, size_t *from, size_t *n)
{
    for (size_t i = 0; i < c->n; i++) {
        *from = i;
        *n = fits(c, i);
        if (*n >= c->least)
            return true;
    }
    return false;
}

/* Leave out what cannot be merged. False: something was left out. */
static enum nr_err
check(struct compact *c, size_t from, size_t n, bool *all, struct nr_diag *d)
{
    *all = true;
    for (size_t i = from; i < from + n; i++) {
        struct segment *s = c->a->v[c->v[i].at];
        struct nr_diag why = { 0 };
        bool whole = false;
        enum nr_err err = merge_is_whole(s, &whole, &why);

        if (err == NR_EDAMAGED)
            store_say(c->a, &why);
        if ((err || !whole) && !skip(c, segment_info(s)->seq))
            return nr_fail(d, NR_ENOMEM, 0, "compact: no memory");
        *all = *all && !err && whole;
    }
    return NR_OK;
}

/* Merge the places [FROM, FROM + N), fewer of them if that takes too much
 * memory. *DONE: how many became one. */
static enum nr_err
merge(struct compact *c, size_t from, size_t n, struct nr_compact_merge *m,
    struct nr_diag *d)
{
    size_t v[NR_COMPACT_MOST];
    struct merge_result r = { 0 };
    enum nr_err err = NR_ELIMIT;

    m->segments = 0;
    for (size_t i = 0; i < n; i++)
        v[i] = c->v[from + i].at;
    for (; err == NR_ELIMIT && n >= 2; n /= 2) {
        struct nr_diag why = { 0 };
        uint64_t seq;

        err = merge_segments(c->a, v, n, c->memory, c->o->now_s, &r, &why);
        if (err == NR_OK) {
            *m = (struct nr_compact_merge){ n, r.seq, r.text, r.from, r.to };
            return NR_OK;
        }
        if (err == NR_EDAMAGED) {
            seq = segment_info(c->a->v[v[r.bad]])->seq;
            store_say(c->a, &why);
            return skip(c, seq)
                ? NR_OK
                : nr_fail(d, NR_ENOMEM, 0, "compact: no memory");
        }
        if (err != NR_ELIMIT && d)
            *d = why;
    }
    if (err != NR_ELIMIT)
        return err;
    /* Even two are too much: the first stays as it is. */
    return skip(c, segment_info(c->a->v[v[0]])->seq)
        ? NR_OK
        : nr_fail(d, NR_ENOMEM, 0, "compact: no memory");
}

static enum nr_err
dry(struct compact *c, struct nr_compacted *out, struct nr_diag *d)
{
    enum nr_err err = list(c, d);

    for (size_t i = 0, n; !err && i < c->n; i += n) {
        struct nr_compact_merge m = { 0 };

        n = fits(c, i);
        if (n < c->least) {
            n = 1;
            continue;
        }
        m.segments = n;
        for (size_t k = i; k < i + n; k++) {
            m.text += c->v[k].text;
            m.from += segment_size(c->a->v[c->v[k].at]);
        }
        if (c->o->merged)
            c->o->merged(c->o->merged_ctx, &m);
        out->merges++;
        out->segments += n;
    }
    return err;
}

static enum nr_err
work(struct compact *c, struct nr_compacted *out, struct nr_diag *d)
{
    enum nr_err err = NR_OK;
    size_t from = 0, n = 0;

    for (;;) {
        struct nr_compact_merge m = { 0 };
        bool all;

        err = list(c, d);
        out->more = !err && find_due(c, &from, &n);
        if (!out->more || (c->o->merges && out->merges >= c->o->merges))
            return err;
        err = check(c, from, n, &all, d);
        if (!err && all)
            err = merge(c, from, n, &m, d);
        if (err)
            return err;
        if (m.segments == 0)
            continue;
        out->merges++;
        out->segments += m.segments;
        if (c->o->merged)
            c->o->merged(c->o->merged_ctx, &m);
    }
}

static enum nr_err
index_all(struct compact *c, struct nr_compacted *out, struct nr_diag *d)
{
    struct runs_built got;
    enum nr_err err = runs_build(c->a, c->o->run_least, &got, d);

    out->runs = got.made;
    out->run_segments = got.segments;
    out->run_keys = got.keys;
    out->run_octets = got.octets;
    return err;
}

enum nr_err
nr_archive_compact(struct nr_archive *a, const struct nr_compact_options *o,
    struct nr_compacted *out, struct nr_diag *d)
{
    struct compact c = { .a = a,
        .o = o,
        .least = o->least ? o->least : NR_COMPACT_LEAST,
        .memory = o->memory ? o->memory : NR_ARCHIVE_MEMORY,
        .span = o->span_days ? o->span_days : NR_SEGMENT_SPAN_DAYS };
    enum nr_err err = NR_OK;

    *out = (struct nr_compacted){ 0 };
    if (a->mode != NR_ARCHIVE_WRITE && !o->dry_run)
        return nr_fail(d, NR_EDENIED, 0, "archive: open for reading only");
    if (c.memory < NR_ARCHIVE_MEMORY_MIN || c.least < 2 ||
        c.least > NR_COMPACT_MOST)
        return nr_fail(d, NR_ELIMIT, 0,
            "compact: at least 8M of memory, and 2 to 64 segments");
    if (o->dry_run) {
        err = dry(&c, out, d);
    } else {
        err = store_sweep(a, o->now_s, &out->removed, d);
        if (!err)
            err = work(&c, out, d);
        if (!err && !out->more)
            err = index_all(&c, out, d);
    }
    out->left = a->n;
    free(c.v);
    free(c.skip);
    return err;
}
