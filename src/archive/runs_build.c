/* Building runs: a merge of the sorted keys of many segments. */
#include "archive/runs.h"

#include "base/num.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Where the merge is in the keys of one segment. */
struct head {
    uint64_t key; /* as run_key() */
    uint32_t ordinal;
    uint64_t i;
};

struct merge {
    struct nr_archive *a;
    const uint32_t *of; /* segments in a->v, by ordinal */
    size_t n;
    struct head *heap; /* the least first */
    size_t n_heap;
    size_t bad; /* place in OF of what is damaged */
};

static inline bool
before(const struct head *x, const struct head *y)
{
    return x->key != y->key ? x->key < y->key : x->ordinal < y->ordinal;
}

static void
sink(struct head *v, size_t n, size_t i)
{
    struct head x = v[i];

    for (size_t k; (k = 2 * i + 1) < n; i = k) {
        if (k + 1 < n && before(&v[k + 1], &v[k]))
            k++;
        if (!before(&v[k], &x))
            break;
        v[i] = v[k];
    }
    v[i] = x;
}

/* The key that H is at, from its segment. */
static enum nr_err
fetch(struct merge *m, enum seg_class c, struct head *h, struct nr_diag *d)
{
    struct seg_key key;
    enum nr_err err = segment_key(m->a->v[m->of[h->ordinal]], c, h->i, &key, d);

    if (err)
        m->bad = h->ordinal;
    else
        h->key = run_key(c, key);
    return err;
}

static enum nr_err
begin(struct merge *m, enum seg_class c, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    m->n_heap = 0;
    for (uint32_t k = 0; !err && k < m->n; k++) {
        struct head h = { .ordinal = k };

        if (segment_keys(m->a->v[m->of[k]], c) == 0)
            continue;
        err = fetch(m, c, &h, d);
        if (!err)
            m->heap[m->n_heap++] = h;
    }
    for (size_t i = m->n_heap / 2; i > 0; i--)
        sink(m->heap, m->n_heap, i - 1);
    return err;
}

/* The least key goes; its segment's next one comes. */
static enum nr_err
advance(struct merge *m, enum seg_class c, struct nr_diag *d)
{
    struct head *h = &m->heap[0];
    enum nr_err err = NR_OK;

    if (++h->i < segment_keys(m->a->v[m->of[h->ordinal]], c))
        err = fetch(m, c, h, d);
    else
        *h = m->heap[--m->n_heap];
    if (!err && m->n_heap > 1)
        sink(m->heap, m->n_heap, 0);
    return err;
}

static uint64_t
count_keys(const struct merge *m, enum seg_class c)
{
    uint64_t n = 0;

    for (size_t k = 0; k < m->n; k++)
        n += segment_keys(m->a->v[m->of[k]], c);
    return n;
}

static enum nr_err
write_keys(struct merge *m, struct run_writer *w, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (unsigned c = 0; !err && c < SEG_CLASSES; c++) {
        err = run_writer_class(w, c, run_shift(c, count_keys(m, c)), d);
        if (!err)
            err = begin(m, c, d);
        while (!err && m->n_heap > 0) {
            err = run_writer_put(w, m->heap[0].key, m->heap[0].ordinal, d);
            if (!err)
                err = advance(m, c, d);
        }
    }
    return err;
}

/* One run of the segments OF[0..n) of A. NR_EDAMAGED: *BAD, a place in OF. */
static enum nr_err
build(struct nr_archive *a, const uint32_t *of, size_t n, uint64_t number,
    size_t *bad, uint64_t *size, struct nr_diag *d)
{
    struct merge m = { .a = a, .of = of, .n = n };
    struct run_covered *rows = calloc(n + 1, sizeof(*rows));
    struct run_writer *w = NULL;
    enum nr_err err;

    m.heap = calloc(n + 1, sizeof(*m.heap));
    err = rows && m.heap ? NR_OK : nr_fail(d, NR_ENOMEM, 0, "run: no memory");
    for (size_t k = 0; !err && k < n; k++)
        rows[k] = (struct run_covered){ segment_info(a->v[of[k]])->seq,
            segment_sum(a->v[of[k]]) };
    if (!err)
        err = run_writer_open(a->dir, number, rows, n, a->key, &w, d);
    if (!err)
        err = write_keys(&m, w, d);
    if (!err)
        err = run_writer_publish(w, size, d);
    run_writer_close(w);
    free(m.heap);
    free(rows);
    *bad = m.bad;
    return err;
}

/* --- which --- */

static unsigned
level_of(size_t segments)
{
    unsigned level = 0;

    for (; segments >= NR_RUN_FANOUT; segments /= NR_RUN_FANOUT)
        level++;
    return level;
}

/* What the runs that are there are worth. */
struct plan {
    struct nr_archive *a;
    size_t *live;    /* of each run: segments it covers, and no larger one */
    bool *gone;      /* of each run: another stands in for it */
    uint8_t *wanted; /* of each segment: to be in the new run */
    bool *left_out;  /* of each segment: damaged */
    uint32_t *of;
    size_t n;
};

/* Mark with VALUE the segments of run R that are marked WAS. */
static size_t
mark(struct plan *p, const struct run *r, uint8_t was, uint8_t value)
{
    size_t n = 0;

    for (size_t k = 0; k < run_covers(r); k++) {
        uint32_t at = runs_segment(p->a, run_covered(r, k));

        if (at == RUNS_NONE || p->wanted[at] != was)
            continue;
        p->wanted[at] = value;
        n++;
    }
    return n;
}

static int
by_covers(const void *a, const void *b)
{
    const struct run *const *x = a, *const *y = b;

    return (run_covers(*x) < run_covers(*y)) -
        (run_covers(*x) > run_covers(*y));
}

/* Which segments the next run is made of: all that are in none; then, as long
 * as there are enough runs of its level, theirs. p->n: how many. */
static void
choose(struct plan *p, size_t least)
{
    struct nr_archive *a = p->a;
    size_t free_ones = 0;
    bool more = true;

    memset(p->wanted, 1, a->n);
    if (a->n_runs > 1)
        qsort(a->runs, a->n_runs, sizeof(struct run *), by_covers);
    for (size_t i = 0; i < a->n_runs; i++) {
        p->live[i] = mark(p, a->runs[i], 1, 0);
        /* one that lost a quarter is made anew */
        p->gone[i] = p->live[i] * 4 < run_covers(a->runs[i]) * 3;
        if (p->gone[i])
            (void)mark(p, a->runs[i], 0, 1);
    }
    for (size_t i = 0; i < a->n; i++) {
        p->wanted[i] = p->wanted[i] && !p->left_out[i];
        free_ones += p->wanted[i];
    }
    p->n = free_ones;
    if (free_ones < least)
        return;
    while (more) {
        unsigned level = level_of(p->n);
        size_t same = 0;

        more = false;
        for (size_t i = 0; i < a->n_runs; i++)
            same += !p->gone[i] && level_of(p->live[i]) <= level;
        if (same + 1 < NR_RUN_FANOUT || p->n >= RUN_SEGMENTS_MAX)
            break;
        for (size_t i = 0; i < a->n_runs; i++)
            if (!p->gone[i] && level_of(p->live[i]) <= level) {
                p->n += mark(p, a->runs[i], 0, 1);
                p->gone[i] = true;
                more = true;
            }
    }
}

static enum nr_err
remove_run(struct nr_archive *a, size_t i, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    enum nr_err err = nr_path_join(path, a->dir, run_name(a->runs[i]), d);

    if (!err && unlink(path) != 0 && errno != ENOENT)
        err = nr_fail_file(d, "run: remove", path);
    if (err)
        return err;
    run_close(a->runs[i]);
    a->runs[i] = a->runs[--a->n_runs];
    return NR_OK;
}

/* Remove the runs of which every segment is in a larger one, or gone. */
static enum nr_err
sweep(struct plan *p, size_t *removed, struct nr_diag *d)
{
    struct nr_archive *a = p->a;
    enum nr_err err = NR_OK;

    memset(p->wanted, 1, a->n);
    if (a->n_runs > 1)
        qsort(a->runs, a->n_runs, sizeof(struct run *), by_covers);
    for (size_t i = 0; !err && i < a->n_runs;) {
        if (mark(p, a->runs[i], 1, 0) > 0) {
            i++;
            continue;
        }
        err = remove_run(a, i, d);
        *removed += err == NR_OK;
        if (a->n_runs > 1)
            qsort(a->runs, a->n_runs, sizeof(struct run *), by_covers);
    }
    return err;
}

static uint64_t
next_number(const struct nr_archive *a)
{
    uint64_t next = 1;

    for (size_t i = 0; i < a->n_runs; i++)
        if (run_number(a->runs[i]) >= next)
            next = run_number(a->runs[i]) + 1;
    return next;
}

static enum nr_err
make(struct plan *p, struct runs_built *out, struct nr_diag *d)
{
    struct nr_archive *a = p->a;
    char name[STORE_NAME];
    uint64_t number = next_number(a), size = 0;
    struct nr_diag why = { 0 };
    size_t bad = 0, n_runs = a->n_runs;
    enum nr_err err;

    p->n = 0;
    for (size_t i = 0; i < a->n && p->n < RUN_SEGMENTS_MAX; i++)
        if (p->wanted[i])
            p->of[p->n++] = (uint32_t)i;
    err = build(a, p->of, p->n, number, &bad, &size, &why);
    if (err == NR_EDAMAGED) { /* the hunt says it, too; here it is left out */
        p->left_out[p->of[bad]] = true;
        return NR_OK;
    }
    if (err) {
        if (d)
            *d = why;
        return err;
    }
    (void)snprintf(name, sizeof(name), "%016llx.run",
        (unsigned long long)number);
    err = runs_take(a, name, d);
    if (err || a->n_runs == n_runs)
        return err ? err : nr_fail(d, NR_EDAMAGED, 0, "run: written badly");
    out->made++;
    out->segments += p->n;
    out->octets += size;
    for (unsigned c = 0; c < SEG_CLASSES; c++)
        out->keys += run_keys(a->runs[n_runs], c);
    return NR_OK;
}

enum nr_err
runs_build(struct nr_archive *a, size_t least, struct runs_built *out,
    struct nr_diag *d)
{
    struct plan p = { .a = a };
    enum nr_err err;

    *out = (struct runs_built){ 0 };
    p.wanted = calloc(a->n + 1, sizeof(*p.wanted));
    p.left_out = calloc(a->n + 1, sizeof(*p.left_out));
    p.of = calloc(a->n + 1, sizeof(*p.of));
    p.live = calloc(RUNS_MAX + 1, sizeof(*p.live));
    p.gone = calloc(RUNS_MAX + 1, sizeof(*p.gone));
    err = p.wanted && p.left_out && p.of && p.live && p.gone
        ? NR_OK
        : nr_fail(d, NR_ENOMEM, 0, "run: no memory");
    if (!err)
        err = sweep(&p, &out->removed, d);
    while (!err) {
        choose(&p, least ? least : NR_RUN_LEAST);
        if (p.n < (least ? least : NR_RUN_LEAST))
            break;
        err = make(&p, out, d);
        if (!err)
            err = sweep(&p, &out->removed, d);
    }
    free(p.wanted);
    free(p.left_out);
    free(p.of);
    free(p.live);
    free(p.gone);
    return err;
}

enum nr_err
runs_remove(struct nr_archive *a, const char *name, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    enum nr_err err;

    for (size_t i = 0; i < a->n_runs; i++)
        if (strcmp(run_name(a->runs[i]), name) == 0)
            return remove_run(a, i, d);
    err = nr_path_join(path, a->dir, name, d); /* one that could not be read */
    if (!err && unlink(path) != 0 && errno != ENOENT)
        err = nr_fail_file(d, "run: remove", path);
    return err;
}

enum nr_err
runs_forget(struct nr_archive *a, uint64_t seq, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (size_t i = 0; !err && i < a->n_runs;) {
        bool knows = false;

        for (size_t k = 0; !knows && k < run_covers(a->runs[i]); k++)
            knows = run_covered(a->runs[i], k).seq == seq;
        if (knows)
            err = remove_run(a, i, d);
        else
            i++;
    }
    return err;
}

/* --- verifying --- */

struct seek {
    uint32_t ordinal;
    bool found;
};

static void
is_it(void *ctx, uint32_t ordinal)
{
    struct seek *s = ctx;

    s->found |= ordinal == s->ordinal;
}

static enum nr_err
verify_segment(struct segment *s, const struct run *r, uint32_t ordinal,
    struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (unsigned c = 0; !err && c < SEG_CLASSES; c++) {
        struct run_place at = { 0 };

        for (uint64_t i = 0; !err && i < segment_keys(s, c); i++) {
            struct seek k = { ordinal, false };
            struct seg_key key;

            if (segment_key(s, c, i, &key, NULL) != NR_OK)
                return NR_OK; /* the segment's damage: said for itself */
            err = run_look(r, c, &at, run_key(c, key), run_key(c, key), is_it,
                &k, d);
            if (!err && !k.found)
                err = nr_fail_name(d, NR_EDAMAGED,
                    "run: lacks a key of a segment that it covers",
                    run_name(r));
        }
    }
    return err;
}

enum nr_err
runs_verify(struct nr_archive *a, const struct run *r, struct nr_diag *d)
{
    enum nr_err err = run_verify(r, d);

    for (uint32_t k = 0; !err && k < run_covers(r); k++) {
        uint32_t at = runs_segment(a, run_covered(r, k));

        if (at != RUNS_NONE)
            err = verify_segment(a->v[at], r, k, d);
    }
    return err;
}
