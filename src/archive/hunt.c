#include "archive/hunt.h"

#include "base/num.h"

#include <stdlib.h>

#define CACHE ((size_t)64) /* blocks held open while lines are printed */

int
day_cmp(const void *a, const void *b)
{
    const struct day_of *x = a, *y = b;

    if (x->indicator != y->indicator)
        return x->indicator < y->indicator ? -1 : 1;
    return (x->day > y->day) - (x->day < y->day);
}

static int
by_time(const void *a, const void *b)
{
    const struct ref *x = a, *y = b;

    if (x->time_s != y->time_s)
        return x->time_s < y->time_s ? -1 : 1;
    if (x->segment != y->segment)
        return x->segment < y->segment ? -1 : 1;
    if (x->block != y->block)
        return x->block < y->block ? -1 : 1;
    if (x->line != y->line)
        return x->line < y->line ? -1 : 1;
    return (x->indicator > y->indicator) - (x->indicator < y->indicator);
}

static void
count_days(const struct nr_buf *days, struct sum *all)
{
    struct day_of *v = (struct day_of *)(void *)days->p;
    size_t n = days->n / sizeof(*v);

    if (n > 1)
        qsort(v, n, sizeof(*v), day_cmp);
    for (size_t i = 0; i < n; i++)
        all[v[i].indicator].days += i == 0 || day_cmp(&v[i - 1], &v[i]) != 0;
}

/* Coverage and gaps of a window: the same for many indicators of a list, so
 * the last one of each set of kinds is kept. */
struct looked {
    uint32_t kinds;
    struct nr_days window;
    double coverage;
    const struct nr_days *gaps;
    size_t n_gaps;
};

#define LOOKED 8 /* more than nr_archive_needs() has answers */

static enum nr_err
look(struct nr_archive *a, struct looked *kept, struct nr_arena *arena,
    struct nr_answer *x)
{
    struct looked *l = kept;
    uint64_t covered;
    enum nr_err err;

    while (l->kinds != x->kinds && l->kinds != 0 && l < kept + LOOKED - 1)
        l++;
    if (l->kinds != x->kinds || l->window.from != x->window.from ||
        l->window.to != x->window.to || x->kinds == 0) {
        int64_t days = x->window.to - x->window.from + 1;

        *l = (struct looked){ .kinds = x->kinds, .window = x->window };
        covered = store_covered(a, x->kinds, x->window);
        if (days > 0)
            l->coverage = (double)covered / (double)days;
        err = store_gaps(a, x->kinds, x->window, arena, &l->gaps, &l->n_gaps);
        if (err)
            return err;
    }
    x->coverage = l->coverage;
    x->gaps = l->gaps;
    x->n_gaps = l->n_gaps;
    return NR_OK;
}

static enum nr_err
answer(struct nr_archive *a, const struct nr_indicator *const *ind, size_t n,
    const struct nr_hunt_options *o, const struct sum *all,
    struct nr_arena *arena, struct nr_answer *v, struct nr_diag *d)
{
    struct nr_archive_presence any = nr_archive_present(a,
        (1u << NR_LOG_KINDS) - 1);
    int64_t oldest = any.days ? any.range.from : nr_day_of(o->now_s) + 1;
    struct looked kept[LOOKED] = { 0 };

    if (store_rhythm(a, d))
        return NR_ENOMEM;
    for (size_t i = 0; i < n; i++) {
        struct nr_answer *x = &v[i];
        bool has_kind = false;

        *x = (struct nr_answer){ .lines = all[i].lines,
            .denied = all[i].denied,
            .first_s = all[i].lines ? all[i].first_s : NR_TIME_NONE,
            .last_s = all[i].lines ? all[i].last_s : NR_TIME_NONE,
            .days = all[i].days,
            .sources = all[i].sources,
            .kinds = nr_archive_needs(ind[i]->kind),
            .window = nr_archive_window(ind[i], o->now_s, oldest) };
        if (look(a, kept, arena, x))
            return nr_fail(d, NR_ENOMEM, 0, "hunt: no memory for gaps");
        for (uint32_t k = x->kinds; k != 0; k &= k - 1)
            has_kind |= a->days[__builtin_ctz(k)] != NULL;
        x->answer = store_answer(x->lines, x->denied, x->coverage, has_kind);
        store_notes(a, ind[i], x);
    }
    return NR_OK;
}

/* Put V[0..N) in the order asked for, and keep what is asked for of each of
 * INDICATORS. */
static enum nr_err
choose(struct ref *v, size_t *n, size_t indicators,
    const struct nr_hunt_options *o)
{
    uint64_t *count;
    size_t kept = 0;

    qsort(v, *n, sizeof(*v), by_time);
    for (size_t i = 0; o->newest && i < *n / 2; i++) {
        struct ref r = v[i];

        v[i] = v[*n - 1 - i];
        v[*n - 1 - i] = r;
    }
    if (o->limit == 0)
        return NR_OK;
    count = calloc(indicators + 1, sizeof(*count));
    if (!count)
        return NR_ENOMEM;
    for (size_t i = 0; i < *n; i++)
        if (count[v[i].indicator]++ < o->limit)
            v[kept++] = v[i];
    free(count);
    *n = kept;
    return NR_OK;
}

enum nr_err
nr_archive_hunt(struct nr_archive *a,
    const struct nr_indicator *const *indicators, size_t n,
    const struct nr_hunt_options *o, struct nr_arena *arena,
    struct nr_answer *v, struct nr_diag *d)
{
    struct sum *all = calloc(n + 1, sizeof(*all));
    struct probes probes = { 0 };
    struct nr_buf days, refs;
    bool origins = false;
    enum nr_err err = all ? NR_OK : nr_fail(d, NR_ENOMEM, 0, "hunt: no memory");

    nr_buf_init(&days, SIZE_MAX / 2);
    nr_buf_init(&refs, NR_HUNT_LINES_MAX * sizeof(struct ref));
    for (size_t i = 0; i < a->n; i++)
        origins |= (segment_info(a->v[i])->flags & SEG_I_NO_URLS) != 0;
    if (!err)
        err = probes_make(arena, indicators, n, origins, &probes, d);
    if (!err)
        err = lanes_run(a, &probes, n, o, all, &days, &refs, d);
    if (!err) {
        count_days(&days, all);
        err = answer(a, indicators, n, o, all, arena, v, d);
    }
    if (!err && o->line && refs.n > 0) {
        struct ref *r = (struct ref *)(void *)refs.p;
        size_t count = refs.n / sizeof(*r);

        err = choose(r, &count, n, o);
        err = err ? nr_fail(d, err, 0, "hunt: no memory for lines")
                  : lines_print(a, r, count, o, d);
    }
    free(all);
    nr_buf_fini(&days);
    nr_buf_fini(&refs);
    return err;
}

/* Lines */

struct open_block {
    bool used;
    uint32_t segment, block;
    struct seg_block row;
    struct seg_text text;
};

struct lines {
    struct nr_archive *a;
    struct open_block *cache; /* CACHE of them */
    struct nr_arena arena;
    struct seg_file **files; /* of each segment; NULL: not asked yet */
    size_t *n_files;
};

static enum nr_err
block_of(struct lines *l, const struct ref *r, struct open_block **out,
    struct nr_diag *d)
{
    size_t at = ((size_t)r->segment * 31 + r->block) % CACHE;
    struct open_block *o = &l->cache[at];
    struct segment *s = l->a->v[r->segment];
    enum nr_err err = NR_OK;

    if (!o->used || o->segment != r->segment || o->block != r->block) {
        err = segment_block(s, r->block, &o->row, d);
        if (!err)
            err = segment_read(s, &o->row, &o->text, d);
        o->used = err == NR_OK;
        o->segment = r->segment;
        o->block = r->block;
    }
    if (!err && !l->files[r->segment])
        err = segment_files(s, &l->arena, &l->files[r->segment],
            &l->n_files[r->segment], d);
    *out = o;
    return err;
}

static enum nr_err
print_line(struct lines *l, const struct ref *r,
    const struct nr_hunt_options *o, struct nr_diag *d)
{
    struct open_block *b;
    struct nr_archive_line out = { .indicator = r->indicator };
    struct nr_bytes rest;
    struct nr_cur meta;
    int64_t prev = 0;
    char name[NR_PATH_MAX];
    struct nr_str file;
    enum nr_err err = block_of(l, r, &b, d);

    if (err)
        return err;
    rest = b->text.text;
    meta = nr_cur(b->text.meta);
    for (uint32_t i = 0; i <= r->line; i++) {
        const uint8_t *lf = rest.n ? memchr(rest.p, '\n', rest.n) : NULL;
        size_t n = lf ? (size_t)(lf - rest.p) + 1 : rest.n;
        struct seg_line sl = seg_meta_next(&meta, &prev);

        out.text = nr_bytes_sub(rest, 0, n - (lf != NULL));
        out.time_s = sl.time_s;
        out.denied = sl.denied;
        rest = nr_bytes_sub(rest, n, rest.n);
    }
    file = l->files[r->segment][b->row.file].name;
    memcpy(name, file.p, nr_min(file.n, sizeof(name) - 1));
    name[nr_min(file.n, sizeof(name) - 1)] = '\0';
    out.file = name;
    out.line = b->row.first_line + r->line;
    out.block = b->row.sum;
    out.source = b->row.source;
    out.at = b->row.text_at +
        (out.text.p ? (uint64_t)(out.text.p - b->text.text.p) : 0);
    return o->line(o->line_ctx, &out);
}

enum nr_err
lines_print(struct nr_archive *a, const struct ref *v, size_t n,
    const struct nr_hunt_options *o, struct nr_diag *d)
{
    struct lines l = { .a = a };
    enum nr_err err = NR_OK;

    nr_arena_init(&l.arena, (size_t)1 << 31);
    l.cache = calloc(CACHE, sizeof(*l.cache));
    l.files = calloc(a->n + 1, sizeof(struct seg_file *));
    l.n_files = calloc(a->n + 1, sizeof(*l.n_files));
    if (!l.cache || !l.files || !l.n_files)
        err = nr_fail(d, NR_ENOMEM, 0, "hunt: no memory for lines");
    for (size_t i = 0; l.cache && i < CACHE; i++)
        seg_text_init(&l.cache[i].text);
    for (size_t i = 0; !err && i < n; i++)
        err = print_line(&l, &v[i], o, d);
    for (size_t i = 0; l.cache && i < CACHE; i++)
        seg_text_fini(&l.cache[i].text);
    nr_arena_fini(&l.arena);
    free(l.cache);
    free(l.files);
    free(l.n_files);
    return err;
}
