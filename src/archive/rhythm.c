#include "archive/rhythm.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define WEEK RHYTHM_WEEK

/* A maximal silence, by index of hours in the series. */
struct silence {
    size_t from, to;  /* both included */
    double low, high; /* surprise with the smaller and the larger p */
    bool gap, usual;
};

struct work {
    const uint8_t *bits;
    size_t hours;       /* of the series */
    size_t weeks;       /* to the end */
    size_t first, last; /* active */
    size_t end;         /* last hour that counts, >= last */
    /* Of each hour of the week, how often in the weeks before week W it had
     * lines, and how often it was there to have some: [W * WEEK + h]. */
    uint16_t *active, *there;
    struct silence *v;
    size_t n;
    double bound, r;
    /* p of lines in A of N weeks, and the surprise at none: [N][A] */
    double p[RHYTHM_WEEKS + 1][RHYTHM_WEEKS + 1];
    double cost[RHYTHM_WEEKS + 1][RHYTHM_WEEKS + 1];
};

/* What is known of one side of a silence. */
struct side {
    size_t from, to; /* weeks [from, to) */
    bool known;
};

/* The sides made last: of silences of the same weeks they are the same. */
struct kept {
    size_t first, after; /* after 0: none */
    struct side v[2];
};

static bool
is_active(const struct work *w, size_t h)
{
    return h < w->hours && (w->bits[h / 8] >> (h % 8) & 1) != 0;
}

/* The cumulated counts; hours in gaps count as not there. */
static void
count(struct work *w)
{
    static const uint8_t none[WEEK / 8];
    const struct silence *gap = w->v, *all = w->v + w->n;

    for (size_t week = 0; week < w->weeks; week++) {
        const uint8_t *bits = week * WEEK < w->hours
            ? w->bits + week * (WEEK / 8)
            : none;
        const uint16_t *a = w->active + week * WEEK;
        const uint16_t *t = w->there + week * WEEK;
        uint16_t *an = w->active + (week + 1) * WEEK;
        uint16_t *tn = w->there + (week + 1) * WEEK;
        size_t from = week * WEEK, to = from + WEEK; /* hours there */

        for (size_t i = 0; i < WEEK; i++) {
            unsigned bit = ((unsigned)bits[i / 8] >> (i % 8)) & 1u;

            an[i] = (uint16_t)(a[i] + bit);
            tn[i] = (uint16_t)(t[i] + 1);
        }
        for (size_t h = from; h < w->first && h < to; h++)
            tn[h - from]--;
        for (size_t h = from > w->last ? from : w->last + 1; h < to; h++) {
            tn[h - from]--;
            an[h - from] = a[h - from]; /* none counts behind the end */
        }
        for (; gap < all && gap->from < to; gap++) {
            size_t end = gap->to < to ? gap->to : to - 1;
            size_t h = gap->from > from ? gap->from : from;

            for (; gap->gap && h <= end && h <= w->last; h++)
                tn[h - from]--;
            if (gap->to >= to)
                break; /* it goes on in the next week */
        }
    }
}

static void
make_tables(struct work *w)
{
    for (size_t n = 0; n <= RHYTHM_WEEKS; n++)
        for (size_t a = 0; a <= n; a++) {
            double p = (double)a / (double)(n + 1);

            w->p[n][a] = p > RHYTHM_P_MAX ? RHYTHM_P_MAX : p;
            w->cost[n][a] = -log1p(-w->r * w->p[n][a]);
        }
}

/* What V has for hour H, as the weeks of side S have it. */
static double
look(const struct work *w, const double v[][RHYTHM_WEEKS + 1], struct side s,
    size_t h)
{
    size_t i = h % WEEK;
    unsigned a = (unsigned)w->active[s.to * WEEK + i] -
        w->active[s.from * WEEK + i];
    unsigned n = (unsigned)w->there[s.to * WEEK + i] -
        w->there[s.from * WEEK + i];

    return v[n][a];
}

/* Chance of lines in hour H. */
static double
chance(const struct work *w, struct side s, size_t h)
{
    return look(w, w->p, s, h);
}

static struct side
make_side(const struct work *w, size_t from, size_t to)
{
    struct side s = { from, to, false };
    size_t there = 0;

    for (size_t i = 0; i < WEEK && from < to; i++)
        there += (size_t)w->there[to * WEEK + i] - w->there[from * WEEK + i];
    s.known = there >= (size_t)RHYTHM_WEEKS_MIN * WEEK;
    return s;
}

/* Do the few hours [FROM, TO] of a side have the rhythm of the other? */
static bool
agrees(const struct work *w, struct side other, size_t from, size_t to)
{
    double expected = 0, active = 0;

    if (from > to || to - from >= (size_t)(RHYTHM_WEEKS_MIN + 2) * WEEK)
        return false;
    for (size_t h = from; h <= to; h++) {
        expected += chance(w, other, h);
        active += is_active(w, h);
    }
    return expected >= RHYTHM_PROOF && active >= expected / 2;
}

/* Both sides of a silence from week FIRST to the one before AFTER. */
static void
make_sides(const struct work *w, size_t first, size_t after, struct side v[2])
{
    size_t end = after + RHYTHM_WEEKS < w->weeks ? after + RHYTHM_WEEKS
                                                 : w->weeks;

    v[0] = make_side(w, first > RHYTHM_WEEKS ? first - RHYTHM_WEEKS : 0, first);
    v[1] = make_side(w, after < end ? after : end, end);
}

/* Both sides of silence S; false: too little is known. */
static bool
sides(const struct work *w, const struct silence *s, struct kept *k,
    struct side v[2])
{
    size_t first = s->from / WEEK, after = s->to / WEEK + 1;

    if (k->after != after || k->first != first) {
        make_sides(w, first, after, k->v);
        k->first = first;
        k->after = after;
    }
    v[0] = k->v[0];
    v[1] = k->v[1];
    if (s->to >= w->last) {
        v[1] = v[0];
        return v[0].known;
    }
    if (v[0].known == v[1].known)
        return v[0].known;
    if (s->to - s->from + 1 < RHYTHM_LONG)
        return false;
    if (v[1].known) {
        v[0] = v[1];
        return agrees(w, v[1], w->first, s->from - 1);
    }
    v[1] = v[0];
    return agrees(w, v[0], s->to + 1, w->last);
}

static double
smaller(const struct work *w, const struct side v[2], size_t h)
{
    double a = chance(w, v[0], h), b = chance(w, v[1], h);

    return a < b ? a : b;
}

/* Judge S; adds to *EXPECTED the lines that should have ended it. */
static void
judge(const struct work *w, struct silence *s, struct kept *k, double *expected)
{
    struct side v[2];
    double e = 0;

    s->low = s->high = 0;
    s->gap = s->usual = false;
    if (!sides(w, s, k, v))
        return;
    for (size_t h = s->from; h <= s->to; h++) {
        double a = look(w, w->cost, v[0], h), b = look(w, w->cost, v[1], h);

        if (a <= 0 && b <= 0)
            continue;
        s->low += a < b ? a : b;
        s->high += a < b ? b : a;
        e += h > s->from ? smaller(w, v, h) : 0;
    }
    if (s->to < w->last)
        e += smaller(w, v, s->to + 1);
    s->gap = s->low >= w->bound;
    s->usual = s->high < w->bound && s->to < w->last;
    if (!s->gap && s->to < w->last)
        *expected += e;
}

/* One round over all silences: true when the gaps are others than before. */
static bool
judge_all(struct work *w)
{
    double expected = 0, ended = 0;
    bool changed = false;
    struct kept k = { 0 };

    make_tables(w);
    for (size_t i = 0; i < w->n; i++) {
        struct silence *s = &w->v[i];
        bool was = s->gap;

        judge(w, s, &k, &expected);
        changed |= was != s->gap;
        ended += !s->gap && s->to < w->last;
    }
    w->r = (ended + 1) / (expected + 1);
    w->r = w->r > 1 ? 1 : w->r;
    return changed;
}

/* All silences between first and end into V, if it is not NULL; how many. */
static size_t
put_silences(const struct work *w, struct silence *v)
{
    size_t n = 0;

    for (size_t h = w->first; h <= w->end; h++) {
        if (is_active(w, h))
            continue;
        if (v && is_active(w, h - 1)) /* the first hour is active */
            v[n].from = h;
        if (v)
            v[n].to = h;
        n += h == w->end || is_active(w, h + 1);
    }
    return n;
}

static bool
list(struct work *w)
{
    w->n = put_silences(w, NULL);
    w->v = calloc(w->n + 1, sizeof(*w->v));
    if (w->v)
        (void)put_silences(w, w->v);
    return w->v != NULL;
}

static bool
bounds(struct work *w, const struct rhythm_series *s, int64_t end)
{
    bool any = false;
    int64_t to = end - s->base;

    if (to < 0 || s->hours == 0)
        return false;
    w->end = (size_t)to;
    for (size_t at = 0; at <= w->end / 8 && at < s->hours / 8; at++) {
        unsigned v = s->bits[at];

        if (at == w->end / 8)
            v &= (2u << (w->end % 8)) - 1;
        if (v == 0)
            continue;
        if (!any)
            w->first = at * 8 + (unsigned)__builtin_ctz(v);
        w->last = at * 8 + 31 - (unsigned)__builtin_clz(v);
        any = true;
    }
    return any;
}

static void
set_day(struct rhythm *out, size_t day, bool is)
{
    uint8_t bit = (uint8_t)(1u << (day % 8));

    if (day >= out->n_days)
        return; /* behind the series nothing is known */
    if (is)
        out->days[day / 8] |= bit;
    else
        out->days[day / 8] &= (uint8_t)~bit;
}

/* What S, no usual silence, takes from the days that it touches. */
static void
take_days(const struct work *w, const struct silence *s, struct rhythm *out)
{
    struct side v[2];
    struct kept k = { 0 };
    bool known = s->gap && sides(w, s, &k, v);

    for (size_t day = s->from / 24; day <= s->to / 24; day++) {
        double missed = 0, all = 0;

        if (s->from <= day * 24 && s->to >= day * 24 + 23) {
            set_day(out, day, false);
            continue;
        }
        for (size_t h = day * 24; known && h < day * 24 + 24; h++) {
            double p = smaller(w, v, h);

            all += p;
            missed += h >= s->from && h <= s->to ? p : 0;
        }
        if (missed > all / 2)
            set_day(out, day, false);
    }
}

static void
put_gap(const struct work *w, const struct silence *s, int64_t base,
    struct rhythm *out)
{
    struct rhythm_gap *g = &out->v[out->n++];
    double most = 0;
    struct side v[2];
    struct kept k = { 0 };
    size_t from = s->from, to = s->to;

    *g = (struct rhythm_gap){ .surprise = s->low };
    if (sides(w, s, &k, v)) {
        for (size_t h = s->from; h <= s->to; h++) {
            double p = smaller(w, v, h);

            g->expected += p;
            most = p > most ? p : most;
        }
        while (from < to && smaller(w, v, from) < most / 2)
            from++;
        while (from < to && smaller(w, v, to) < most / 2)
            to--;
    }
    g->from = base + (int64_t)s->from;
    g->to = base + (int64_t)s->to;
    g->core_from = base + (int64_t)from;
    g->core_to = base + (int64_t)to;
}

static enum nr_err
tell(const struct work *w, int64_t base, struct nr_arena *arena,
    struct rhythm *out)
{
    size_t gaps = 0;

    for (size_t i = 0; i < w->n; i++)
        gaps += w->v[i].gap;
    out->v = nr_new(arena, struct rhythm_gap, gaps + 1);
    if (!out->v)
        return NR_ENOMEM;
    out->burst = w->r;
    for (size_t h = w->first; h <= w->last; h++)
        out->active += is_active(w, h);
    for (size_t day = w->first / 24; day <= w->last / 24; day++)
        set_day(out, day, true);
    for (size_t i = 0; i < w->n; i++) {
        const struct silence *s = &w->v[i];

        if (!s->usual)
            take_days(w, s, out);
        if (!s->gap)
            continue;
        put_gap(w, s, base, out);
        out->stopped |= s->to > w->last;
    }
    return NR_OK;
}

enum nr_err
rhythm_find(const struct rhythm_series *s, int64_t end, struct nr_arena *arena,
    struct rhythm *out)
{
    struct work w = { .bits = s->bits, .hours = s->hours, .r = 1 };
    enum nr_err err = NR_OK;
    size_t n;

    *out = (struct rhythm){ .first = 1, .last = 0, .burst = 1 };
    out->n_days = s->hours / 24;
    out->days = nr_new(arena, uint8_t, out->n_days / 8 + 1);
    if (!out->days)
        return NR_ENOMEM;
    if (!bounds(&w, s, end))
        return NR_OK;
    out->first = s->base + (int64_t)w.first;
    out->last = s->base + (int64_t)w.last;
    n = w.last - w.first + 1;
    w.weeks = w.end / WEEK + 1;
    w.bound = log((double)(n > WEEK ? n : WEEK) / RHYTHM_ALPHA);
    w.active = calloc((w.weeks + 1) * WEEK, sizeof(*w.active));
    w.there = calloc((w.weeks + 1) * WEEK, sizeof(*w.there));
    if (!w.active || !w.there || !list(&w))
        err = NR_ENOMEM;
    if (!err)
        count(&w);
    for (int i = 0; !err && i < RHYTHM_ROUNDS; i++) {
        double r = w.r;

        if (judge_all(&w))
            count(&w);
        else if (i > 0 || w.r >= r)
            break; /* the next round would find the same */
    }
    if (!err)
        err = tell(&w, s->base, arena, out);
    free(w.active);
    free(w.there);
    free(w.v);
    return err;
}
