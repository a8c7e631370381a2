/*
 * A hunt through all segments, as many at a time as there are lanes. Each lane
 * is a pass of its own; what a round of them found is taken in by the caller's
 * thread in the order of the segments, so that answers do not depend on how
 * many lanes there are.
 */
#include "archive/runs.h"

#include "base/num.h"
#include "base/thread.h"

#include <stdlib.h>

struct lane {
    struct pass p;
    size_t days, refs; /* octets of P's that stand for earlier segments */
    struct nr_diag why;
    enum nr_err err;
    pthread_t thread;
    bool threaded;
};

static void *
run_lane(void *arg)
{
    struct lane *l = arg;

    l->err = pass_run(&l->p, &l->why);
    return NULL;
}

/* Segment AT, which was segment FIRST when the runs were asked. */
static void
begin(struct lane *l, struct nr_archive *a, size_t at,
    const struct narrowed *runs, size_t first)
{
    bool covered = runs->covered && runs->covered[first];

    l->p.only = NULL;
    if (covered) {
        l->p.only = (const uint32_t *)(const void *)runs->only[first].p;
        l->p.n_only = runs->only[first].n / sizeof(uint32_t);
    }
    l->p.s = a->v[at];
    l->p.segment = (uint32_t)at;
    l->days = l->p.days.n;
    l->refs = l->p.refs.n;
    l->why = (struct nr_diag){ 0 };
}

/* Run V[0..n): the first here, the others beside it where threads are to be
 * had. */
static void
run_round(struct lane *v, size_t n)
{
    for (size_t k = 1; k < n; k++)
        v[k].threaded = nr_thread_start(&v[k].thread, run_lane, &v[k]);
    (void)run_lane(&v[0]);
    for (size_t k = 1; k < n; k++) {
        if (v[k].threaded)
            (void)pthread_join(v[k].thread, NULL);
        else
            (void)run_lane(&v[k]);
    }
}

/* What the lane's segment showed of the indicators that it hit into ALL, unless
 * it is to be FORGOTten; the sums of the lane are clear again. */
static void
merge(struct pass *p, struct sum *all, bool forget)
{
    for (size_t i = 0, n = pass_hits(p); i < n; i++) {
        uint32_t k = pass_hit(p, i);
        struct sum *from = &p->sums[k], *to = &all[k];

        if (from->lines > 0 && !forget) {
            if (to->lines == 0)
                *to = SUM_CLEAR;
            to->lines += from->lines;
            to->denied += from->denied;
            to->sources |= from->sources;
            sum_add_time(to, from->first_s);
            sum_add_time(to, from->last_s);
        }
        *from = SUM_CLEAR;
    }
}

/* Tell the owner of O what the segment of P shows; its days in P->days begin at
 * octet FROM. */
static enum nr_err
tell(struct pass *p, const struct nr_hunt_options *o, size_t from)
{
    struct day_of *v = (struct day_of *)(void *)(p->days.p + from);
    size_t n = (p->days.n - from) / sizeof(*v), hits = pass_hits(p);
    int32_t *days = calloc(n + 1, sizeof(*days));
    enum nr_err err = days ? NR_OK : NR_ENOMEM;

    if (n > 1)
        qsort(v, n, sizeof(*v), day_cmp);
    for (size_t i = 0, at = 0; !err && i < hits; i++) {
        uint32_t k = pass_hit(p, i);
        const struct sum *s = &p->sums[k];
        struct nr_archive_found f = { segment_info(p->s)->seq, k, s->lines,
            s->denied, s->first_s, s->last_s, s->sources, days, 0 };

        /* hits stand by indicator, one or more of each */
        if (s->lines == 0 || (i > 0 && pass_hit(p, i - 1) == k))
            continue;
        for (; at < n && v[at].indicator <= k; at++)
            if (v[at].indicator == k &&
                (f.n_days == 0 || days[f.n_days - 1] != v[at].day))
                days[f.n_days++] = v[at].day;
        err = o->found(o->found_ctx, &f);
    }
    free(days);
    return err;
}

/* Take in what lane L found; DROPPED segments before its own went since. A
 * segment that proved damaged is said, forgotten and taken out. */
static enum nr_err
end(struct lane *l, struct nr_archive *a, struct sum *all, size_t *dropped,
    const struct nr_hunt_options *o, struct nr_diag *d)
{
    enum nr_err err = l->err;
    struct ref *r = (struct ref *)(void *)(l->p.refs.p + l->refs);

    l->p.segment -= (uint32_t)*dropped;
    if (!err && o->found)
        err = tell(&l->p, o, l->days);
    merge(&l->p, all, err != NR_OK);
    if (err == NR_EDAMAGED) {
        l->p.days.n = l->days;
        l->p.refs.n = l->refs;
        ++*dropped;
        return store_drop(a, l->p.segment, &l->why, d);
    }
    if (err) {
        if (d)
            *d = l->why;
        return nr_fail(d, err, 0, "hunt: no memory");
    }
    if (*dropped > 0)
        for (size_t n = (l->p.refs.n - l->refs) / sizeof(*r); n > 0; n--)
            r++->segment = l->p.segment;
    return NR_OK;
}

/* Is segment AT to be asked at all? */
static bool
is_asked(const struct nr_archive *a, size_t at, const struct narrowed *runs,
    size_t first, const struct nr_hunt_options *o)
{
    if (o->wants && !o->wants(o->found_ctx, segment_info(a->v[at])->seq))
        return false;
    return !runs->covered || !runs->covered[first] || runs->only[first].n > 0;
}

static enum nr_err
run_all(struct lane *v, size_t n, struct nr_archive *a, struct sum *all,
    const struct narrowed *runs, const struct nr_hunt_options *o,
    struct nr_diag *d)
{
    enum nr_err err = NR_OK;
    size_t gone = 0; /* segments taken out; all lie before I */

    for (size_t i = 0; !err && i < a->n;) {
        size_t k = 0, dropped = 0;

        for (; i < a->n && k < n; i++)
            if (is_asked(a, i, runs, i + gone, o))
                begin(&v[k++], a, i, runs, i + gone);
        if (k > 0)
            run_round(v, k);
        for (size_t j = 0; j < k; j++) {
            enum nr_err e = err ? NR_OK : end(&v[j], a, all, &dropped, o, d);

            err = err ? err : e;
        }
        i -= dropped;
        gone += dropped;
    }
    return err;
}

/* All that the lanes gathered into the first of them. */
static enum nr_err
gather(struct lane *v, size_t n, struct nr_diag *d)
{
    for (size_t k = 1; k < n; k++) {
        nr_buf_put(&v[0].p.days, nr_buf_bytes(&v[k].p.days));
        nr_buf_put(&v[0].p.refs, nr_buf_bytes(&v[k].p.refs));
        nr_buf_fini(&v[k].p.days);
        nr_buf_fini(&v[k].p.refs);
    }
    if (v[0].p.refs.err)
        return nr_fail(d, NR_ELIMIT, 0, HUNT_TOO_MANY);
    return v[0].p.days.err
        ? nr_fail(d, NR_ENOMEM, 0, "hunt: no memory for days")
        : NR_OK;
}

static void
swap(struct nr_buf *a, struct nr_buf *b)
{
    struct nr_buf was = *a;

    *a = *b;
    *b = was;
}

enum nr_err
lanes_run(struct nr_archive *a, const struct probes *probes, size_t n,
    const struct nr_hunt_options *o, struct sum *all, struct nr_buf *days,
    struct nr_buf *refs, struct nr_diag *d)
{
    size_t lanes = nr_min(nr_max((size_t)o->threads, 1),
        nr_min(nr_max(a->n, 1), NR_HUNT_THREADS_MAX));
    struct lane *v = calloc(lanes, sizeof(*v));
    struct narrowed runs = { 0 };
    enum nr_err err = v ? NR_OK : NR_ENOMEM;

    for (size_t k = 0; v && k < lanes; k++) {
        pass_init(&v[k].p, a, probes, o->line != NULL);
        v[k].p.sums = calloc(n + 1, sizeof(struct sum));
        if (!v[k].p.sums)
            err = NR_ENOMEM;
    }
    if (err)
        (void)nr_fail(d, err, 0, "hunt: no memory");
    else
        err = runs_narrow(a, probes, o->threads, &runs, d);
    if (!err)
        err = run_all(v, lanes, a, all, &runs, o, d);
    if (!err)
        err = gather(v, lanes, d);
    if (!err) {
        swap(days, &v[0].p.days);
        swap(refs, &v[0].p.refs);
    }
    narrowed_free(&runs);
    for (size_t k = 0; v && k < lanes; k++) {
        free(v[k].p.sums);
        pass_fini(&v[k].p);
    }
    free(v);
    return err;
}
