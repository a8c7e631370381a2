/* Counting the extent of one report. */
#include "base/buf.h"
#include "picture/facts.h"

#include <stdlib.h>

static const char *const answer_names[] = {
    [NR_EXTENT_SEEN] = "seen",
    [NR_EXTENT_DENIED] = "denied",
    [NR_EXTENT_NOT_SEEN] = "not-seen",
    [NR_EXTENT_CANNOT_SAY] = "cannot-say",
    [NR_EXTENT_UNANSWERED] = "unanswered",
};

static const char *const cell_names[] = {
    [NR_EXTENT_C_ASKED] = "asked",
    [NR_EXTENT_C_ANSWERED] = "answered",
    [NR_EXTENT_C_SEEN] = "seen",
    [NR_EXTENT_C_NOT_SEEN] = "not_seen",
    [NR_EXTENT_C_CANNOT_SAY] = "cannot_say",
    [NR_EXTENT_C_DENIED] = "denied",
};

const char *
nr_extent_answer_name(enum nr_extent_answer a)
{
    return answer_names[a];
}

const char *
nr_extent_cell_name(enum nr_extent_cell c)
{
    return cell_names[c];
}

bool
nr_extent_answer_from_name(struct nr_str s, enum nr_extent_answer *out)
{
    for (int i = NR_EXTENT_SEEN; i < NR_EXTENT_UNANSWERED; i++)
        if (nr_str_eq(s, nr_str_of(answer_names[i]))) {
            *out = (enum nr_extent_answer)i;
            return true;
        }
    return false;
}

static void
widen(int64_t *first, int64_t *last, int64_t a, int64_t b)
{
    if (a != NR_TIME_NONE && (*first == NR_TIME_NONE || a < *first))
        *first = a;
    if (b != NR_TIME_NONE && (*last == NR_TIME_NONE || b > *last))
        *last = b;
}

/* What organisation O says of report R, from its answers to the indicators. */
static enum nr_err
judge(const struct nr_extent *x, const struct nr_extent_report *r,
    struct nr_extent_org *o)
{
    enum nr_err err = NR_OK;
    size_t answered = 0;
    double coverage = 0;
    bool seen = false;
    struct nr_buf key;

    nr_buf_init(&key, (size_t)1 << 16);
    for (size_t i = 0; i < r->n; i++) {
        const struct nr_extent_sighting *s = nr_facts_sighting(x, o->member,
            r->indicators[i], &key);

        if (key.err)
            err = key.err;
        if (!s)
            continue;
        answered++;
        coverage += s->coverage;
        o->lines += s->lines;
        o->denied |= s->answer == NR_EXTENT_DENIED;
        if (s->answer != NR_EXTENT_SEEN)
            continue;
        seen = true;
        widen(&o->first_s, &o->last_s, s->first_s, s->last_s);
    }
    nr_buf_fini(&key);
    o->answer = NR_EXTENT_UNANSWERED;
    if (answered && answered == r->n) {
        o->coverage = coverage / (double)r->n;
        if (seen)
            o->answer = NR_EXTENT_SEEN;
        else if (o->coverage < NR_EXTENT_COVERAGE)
            o->answer = NR_EXTENT_CANNOT_SAY;
        else
            o->answer = NR_EXTENT_NOT_SEEN;
    }
    return err;
}

static int
by_member(const void *a, const void *b)
{
    const struct nr_extent_org *l = a, *r = b;

    return nr_bytes_cmp(nr_bytes_of(l->member), nr_bytes_of(r->member));
}

static enum nr_err
ask(const struct nr_extent *x, const struct nr_extent_report *r,
    struct nr_arena *a, struct nr_extent_org **out, size_t *n)
{
    struct nr_extent_org *v = nr_new(a, struct nr_extent_org, x->readers.n + 1);
    enum nr_err err = NR_OK;
    size_t k = 0;

    if (!v)
        return NR_ENOMEM;
    for (size_t i = 0; i < x->readers.n && !err; i++) {
        const struct nr_extent_reader *f = store_at(&x->readers, i);
        const struct nr_extent_member *m = nr_facts_member(x, f->member);

        if (f->gone || !nr_str_eq(f->collection, r->collection) ||
            (m && m->gone))
            continue;
        v[k] = (struct nr_extent_org){ .member = f->member,
            .sector = m && m->sector.n ? m->sector : NR_STR("unknown"),
            .size = m && m->size.n ? m->size : NR_STR("unknown"),
            .first_s = NR_TIME_NONE,
            .last_s = NR_TIME_NONE };
        err = judge(x, r, &v[k++]);
    }
    qsort(v, k, sizeof(*v), by_member);
    *out = v;
    *n = k;
    return err;
}

static void
count(struct nr_extent_row *row, const struct nr_extent_org *o)
{
    row->n[NR_EXTENT_C_ASKED]++;
    if (o->answer == NR_EXTENT_UNANSWERED)
        return;
    row->n[NR_EXTENT_C_ANSWERED]++;
    row->n[NR_EXTENT_C_SEEN] += o->answer == NR_EXTENT_SEEN;
    row->n[NR_EXTENT_C_NOT_SEEN] += o->answer == NR_EXTENT_NOT_SEEN;
    row->n[NR_EXTENT_C_CANNOT_SAY] += o->answer == NR_EXTENT_CANNOT_SAY;
    row->n[NR_EXTENT_C_DENIED] += o->denied && o->answer != NR_EXTENT_SEEN;
    if (o->answer == NR_EXTENT_SEEN)
        widen(&row->earliest_s, &row->latest_s, o->first_s, o->last_s);
}

static int
by_sector(const void *a, const void *b)
{
    const struct nr_extent_row *l = a, *r = b;

    return nr_bytes_cmp(nr_bytes_of(l->sector), nr_bytes_of(r->sector));
}

static size_t
find_row(const struct nr_extent_row *v, size_t n, struct nr_str sector)
{
    size_t i = 0;

    while (i < n && !nr_str_eq(v[i].sector, sector))
        i++;
    return i;
}

/* The row of SECTOR, made if missing; what a full table has no room for is
 * counted under "other", for which there always is a row. */
static struct nr_extent_row *
row_of(struct nr_extent_row *v, size_t *n, struct nr_str sector)
{
    size_t i = find_row(v, *n, sector);

    if (i == *n && i >= NR_EXTENT_SECTORS_MAX) {
        sector = NR_STR("other");
        i = find_row(v, *n, sector);
    }
    if (i < *n)
        return &v[i];
    v[i] = (struct nr_extent_row){ .sector = sector,
        .earliest_s = NR_TIME_NONE,
        .latest_s = NR_TIME_NONE };
    ++*n;
    return &v[i];
}

static enum nr_err
table(struct nr_extent_result *r, const struct nr_extent_org *v, size_t n,
    struct nr_arena *a)
{
    struct nr_extent_row *rows = nr_new(a, struct nr_extent_row,
        NR_EXTENT_SECTORS_MAX + 1);

    if (!rows)
        return NR_ENOMEM;
    r->total = (struct nr_extent_row){ .earliest_s = NR_TIME_NONE,
        .latest_s = NR_TIME_NONE };
    r->sectors = rows;
    for (size_t i = 0; i < n; i++) {
        count(&r->total, &v[i]);
        count(row_of(rows, &r->n_sectors, v[i].sector), &v[i]);
    }
    qsort(rows, r->n_sectors, sizeof(*rows), by_sector);
    return NR_OK;
}

enum nr_err
nr_extent_of(const struct nr_extent *x, struct nr_str report, bool full,
    struct nr_arena *a, struct nr_extent_result *out)
{
    const struct nr_extent_report *r = nr_facts_report(x, report);
    struct nr_extent_result res = { 0 };
    struct nr_extent_org *orgs = NULL;
    enum nr_err err;
    size_t n = 0;

    if (!r)
        return NR_ENOTFOUND;
    res.report = r->id;
    res.name = r->name;
    res.collection = r->collection;
    res.published_s = r->published_s;
    err = ask(x, r, a, &orgs, &n);
    if (!err)
        err = table(&res, orgs, n, a);
    if (!err && !full)
        err = nr_extent_hide(&res.total, res.sectors, res.n_sectors, a);
    if (err)
        return err;
    if (full) {
        res.orgs = orgs;
        res.n_orgs = n;
    }
    *out = res;
    return NR_OK;
}

static int
by_publication(const void *a, const void *b)
{
    const struct nr_extent_report *const *l = a, *const *r = b;
    int64_t t = (*l)->published_s, u = (*r)->published_s;

    if (t != u)
        return t < u ? -1 : 1;
    return nr_bytes_cmp(nr_bytes_of((*l)->id), nr_bytes_of((*r)->id));
}

enum nr_err
nr_extent_reports(const struct nr_extent *x, struct nr_arena *a,
    const struct nr_str **ids, size_t *n)
{
    const struct nr_extent_report **v = nr_new(a,
        const struct nr_extent_report *, x->reports.n + 1);
    struct nr_str *out = nr_new(a, struct nr_str, x->reports.n + 1);

    if (!v || !out)
        return NR_ENOMEM;
    for (size_t i = 0; i < x->reports.n; i++)
        v[i] = store_at(&x->reports, i);
    qsort(v, x->reports.n, sizeof(v[0]), by_publication);
    for (size_t i = 0; i < x->reports.n; i++)
        out[i] = v[i]->id;
    *ids = out;
    *n = x->reports.n;
    return NR_OK;
}
