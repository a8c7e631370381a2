/* What runs leave to be asked of each segment. */
#include "archive/runs.h"

#include "base/num.h"
#include "base/thread.h"

#include <stdlib.h>
#include <unistd.h>

#define RUN_NAME_OCTETS ((size_t)20)
#define PROBES_A_THREAD ((size_t)4096) /* worth one */

bool
runs_is_name(const char *name, uint64_t *number)
{
    uint64_t v = 0;

    if (strlen(name) != RUN_NAME_OCTETS || strcmp(name + 16, ".run") != 0)
        return false;
    for (size_t i = 0; i < 16; i++) {
        uint8_t c = (uint8_t)name[i];

        if (!nr_is_hex(c) || nr_lower(c) != c)
            return false;
        v = v << 4 | nr_hex_value(c);
    }
    *number = v;
    return true;
}

/* A run is never needed: its damage is said, but no answer lacks anything. */
static void
say(struct nr_archive *a, struct nr_diag *why)
{
    why->err = NR_EFORMAT;
    store_say(a, why);
}

enum nr_err
runs_take(struct nr_archive *a, const char *name, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    struct run *r = NULL, **v;
    struct nr_diag why = { 0 };
    enum nr_err err = nr_path_join(path, a->dir, name, d);

    if (err)
        return err;
    err = run_open(path, name, a->key, &r, &why);
    if (err == NR_EDAMAGED || err == NR_EFORMAT) {
        say(a, &why);
        if (a->mode == NR_ARCHIVE_WRITE)
            (void)unlink(path); /* it is made anew */
        return NR_OK;
    }
    if (err == NR_ENOTFOUND)
        return NR_OK;
    if (err) {
        if (d)
            *d = why;
        return err;
    }
    v = reallocarray(a->runs, a->n_runs + 1, sizeof(struct run *));
    if (!v || a->n_runs >= RUNS_MAX) {
        a->runs = v ? v : a->runs;
        run_close(r);
        return nr_fail(d, NR_ENOMEM, 0, "run: no memory, or too many runs");
    }
    a->runs = v;
    a->runs[a->n_runs++] = r;
    return NR_OK;
}

void
runs_close(struct nr_archive *a)
{
    for (size_t i = 0; i < a->n_runs; i++)
        run_close(a->runs[i]);
    free(a->runs);
    a->runs = NULL;
    a->n_runs = 0;
}

/* --- narrowing --- */

/* A share of the probes, asked by one thread. */
struct share {
    const struct probes *p;
    size_t from, to;
    const struct run *r;
    const uint32_t *segment_of; /* of each ordinal; RUNS_NONE */
    struct nr_buf *only;        /* of each segment; owned */
    uint32_t probe;
    struct nr_diag why;
    enum nr_err err;
    pthread_t thread;
    bool threaded;
};

static void
take(void *ctx, uint32_t ordinal)
{
    struct share *s = ctx;
    uint32_t at = s->segment_of[ordinal];
    struct nr_buf *b;

    if (at == RUNS_NONE)
        return;
    b = &s->only[at];
    if (b->n > 0 &&
        memcmp(b->p + b->n - sizeof(s->probe), &s->probe, sizeof(s->probe)) ==
            0)
        return;
    nr_buf_put(b,
        (struct nr_bytes){ (const uint8_t *)&s->probe, sizeof(s->probe) });
}

static void *
ask(void *arg)
{
    struct share *s = arg;
    struct run_place at[SEG_CLASSES] = { 0 };

    s->err = NR_OK;
    for (size_t i = s->from; !s->err && i < s->to; i++) {
        const struct probe *x = &s->p->v[i];

        s->probe = (uint32_t)i;
        s->err = run_look(s->r, x->cls, &at[x->cls],
            run_key(x->cls, seg_stored_key(x->cls, x->lo)),
            run_key(x->cls, seg_stored_key(x->cls, x->hi)), take, s, &s->why);
    }
    return NULL;
}

static void
ask_all(struct share *v, size_t n)
{
    for (size_t k = 1; k < n; k++)
        v[k].threaded = nr_thread_start(&v[k].thread, ask, &v[k]);
    (void)ask(&v[0]);
    for (size_t k = 1; k < n; k++) {
        if (v[k].threaded)
            (void)pthread_join(v[k].thread, NULL);
        else
            (void)ask(&v[k]);
    }
}

uint32_t
runs_segment(const struct nr_archive *a, struct run_covered c)
{
    size_t lo = 0, hi = a->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (segment_info(a->v[mid])->seq < c.seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < a->n && segment_info(a->v[lo])->seq == c.seq &&
            segment_sum(a->v[lo]) == c.sum
        ? (uint32_t)lo
        : RUNS_NONE;
}

/* The segments of run R that no run before it covers. */
static size_t
map_segments(const struct nr_archive *a, const struct run *r,
    const bool *covered, uint32_t *segment_of)
{
    size_t n = 0;

    for (size_t k = 0; k < run_covers(r); k++) {
        segment_of[k] = runs_segment(a, run_covered(r, k));
        if (segment_of[k] != RUNS_NONE && covered[segment_of[k]])
            segment_of[k] = RUNS_NONE;
        n += segment_of[k] != RUNS_NONE;
    }
    return n;
}

/* What the shares found, in the order of the probes, into OUT. */
static enum nr_err
gather(struct share *v, size_t n, struct narrowed *out)
{
    enum nr_err err = NR_OK;

    for (size_t i = 0; i < out->n; i++) {
        for (size_t k = 0; k < n; k++) {
            if (v[k].only[i].n > 0)
                nr_buf_put(&out->only[i], nr_buf_bytes(&v[k].only[i]));
            err = err ? err : v[k].only[i].err;
            nr_buf_reset(&v[k].only[i]);
        }
        err = err ? err : out->only[i].err;
    }
    return err;
}

static enum nr_err
ask_run(struct nr_archive *a, const struct run *r, struct share *v, size_t n,
    const uint32_t *segment_of, struct narrowed *out, struct nr_diag *d)
{
    enum nr_err err = NR_OK;
    struct nr_diag why = { 0 };

    for (size_t k = 0; k < n; k++) {
        v[k].r = r;
        v[k].segment_of = segment_of;
        v[k].why = (struct nr_diag){ 0 };
    }
    ask_all(v, n);
    for (size_t k = 0; k < n && !err; k++) {
        err = v[k].err;
        why = v[k].why;
    }
    if (err == NR_EDAMAGED) { /* as if it were not there */
        for (size_t k = 0; k < n; k++)
            for (size_t i = 0; i < out->n; i++)
                nr_buf_reset(&v[k].only[i]);
        say(a, &why);
        return NR_OK;
    }
    if (!err)
        err = gather(v, n, out);
    for (size_t k = 0; !err && k < run_covers(r); k++)
        if (segment_of[k] != RUNS_NONE)
            out->covered[segment_of[k]] = true;
    return err ? nr_fail(d, NR_ENOMEM, 0, "run: no memory") : NR_OK;
}

static int
by_covers(const void *a, const void *b)
{
    const struct run *const *x = a, *const *y = b;
    size_t m = run_covers(*x), n = run_covers(*y);

    if (m != n)
        return m > n ? -1 : 1;
    return (run_number(*x) < run_number(*y)) -
        (run_number(*x) > run_number(*y));
}

static enum nr_err
make_room(struct narrowed *out, struct share *v, size_t shares,
    const struct probes *p)
{
    out->covered = calloc(out->n + 1, sizeof(*out->covered));
    out->only = calloc(out->n + 1, sizeof(*out->only));
    if (!out->covered || !out->only)
        return NR_ENOMEM;
    for (size_t i = 0; i < out->n; i++)
        nr_buf_init(&out->only[i], SIZE_MAX / 2);
    for (size_t k = 0; k < shares; k++) {
        v[k].p = p;
        v[k].from = p->n * k / shares;
        v[k].to = p->n * (k + 1) / shares;
        v[k].only = calloc(out->n + 1, sizeof(struct nr_buf));
        if (!v[k].only)
            return NR_ENOMEM;
        for (size_t i = 0; i < out->n; i++)
            nr_buf_init(&v[k].only[i], SIZE_MAX / 2);
    }
    return NR_OK;
}

enum nr_err
runs_narrow(struct nr_archive *a, const struct probes *p, size_t threads,
    struct narrowed *out, struct nr_diag *d)
{
    struct share *v;
    size_t shares = nr_min(nr_max(threads, 1), NR_HUNT_THREADS_MAX);
    uint32_t *segment_of = NULL;
    enum nr_err err;

    *out = (struct narrowed){ .n = a->n };
    if (a->n_runs == 0)
        return NR_OK;
    shares = nr_min(shares, p->n / PROBES_A_THREAD + 1);
    v = calloc(shares, sizeof(*v));
    segment_of = calloc(RUN_SEGMENTS_MAX, sizeof(*segment_of));
    err = v && segment_of ? make_room(out, v, shares, p) : NR_ENOMEM;
    if (err)
        err = nr_fail(d, err, 0, "run: no memory");
    if (a->n_runs > 1)
        qsort(a->runs, a->n_runs, sizeof(struct run *), by_covers);
    for (size_t i = 0; !err && i < a->n_runs; i++)
        if (map_segments(a, a->runs[i], out->covered, segment_of) > 0)
            err = ask_run(a, a->runs[i], v, shares, segment_of, out, d);
    for (size_t k = 0; v && k < shares; k++) {
        for (size_t i = 0; v[k].only && i < out->n; i++)
            nr_buf_fini(&v[k].only[i]);
        free(v[k].only);
    }
    free(v);
    free(segment_of);
    if (err)
        narrowed_free(out);
    return err;
}

void
narrowed_free(struct narrowed *n)
{
    for (size_t i = 0; n->only && i < n->n; i++)
        nr_buf_fini(&n->only[i]);
    free(n->only);
    free(n->covered);
    *n = (struct narrowed){ 0 };
}
