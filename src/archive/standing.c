/* Asking only what was not asked before. */
#include "archive/standing_in.h"

#include "observable/observable.h"
#include "watchlist/watchlist.h"

#include <stdlib.h>

#define NONE        UINT32_MAX
#define SMALL_FILE  ((uint64_t)1 << 20) /* not worth writing anew */
#define ROW_OCTETS  52
#define HUNT_MEMORY ((size_t)2 << 30)

/* A hunt of some values through some segments. */
struct round {
    struct nr_standing *s;
    const uint64_t *seq; /* ascending */
    size_t n_seq;
    const uint32_t *number; /* of the value of each indicator */
    struct nr_buf rows;     /* bodies of rows, by place in seq */
};

static int
by_u64(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static const uint64_t *
place(const struct round *r, uint64_t seq)
{
    return bsearch(&seq, r->seq, r->n_seq, sizeof(seq), by_u64);
}

static bool
wants(void *ctx, uint64_t seq)
{
    return place(ctx, seq) != NULL;
}

static enum nr_err
found(void *ctx, const struct nr_archive_found *f)
{
    struct round *r = ctx;
    struct standing_row x = { .value = r->number[f->indicator],
        .segment = (uint32_t)(place(r, f->seq) - r->seq),
        .lines = f->lines,
        .denied = f->denied,
        .first_s = f->first_s,
        .last_s = f->last_s,
        .sources = f->sources,
        .n_days = (uint32_t)f->n_days };

    standing_put_row(&r->rows, &x, f->days);
    return r->rows.err ? NR_ENOMEM : NR_OK;
}

static enum nr_err
no_memory(struct nr_diag *d)
{
    return nr_fail(d, NR_ENOMEM, 0, "standing: no memory");
}

/* --- segments --- */

/* The place of segment SEQ in A; A->n: it is not there. */
static size_t
in_archive(const struct nr_archive *a, uint64_t seq)
{
    size_t lo = 0, hi = a->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (segment_info(a->v[mid])->seq < seq)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < a->n && segment_info(a->v[lo])->seq == seq ? lo : a->n;
}

/* Segment I of A is not known: does it stand in for segments that were all
 * asked for the same? Then it shows what they showed, line for line. */
static enum nr_err
inherit(struct nr_standing *s, struct nr_archive *a, size_t i,
    struct nr_diag *d)
{
    struct segment *seg = a->v[i];
    uint64_t count = segment_replaced_count(seg), lines = 0;
    struct nr_buf body;
    size_t n;
    const struct standing_segment *v = standing_segments(s, &n);
    uint32_t upto = NONE;
    enum nr_err err = NR_OK;

    if (count == 0)
        return NR_OK;
    nr_buf_init(&body, (count + 2) * 24);
    nr_buf_put_c(&body, 'M');
    standing_put_segment(&body, segment_info(seg)->seq, segment_sum(seg),
        segment_info(seg)->lines);
    for (uint64_t k = 0; k < count; k++) {
        struct seg_replaced r;
        uint32_t at;

        if (segment_replaced(seg, k, &r, NULL) != NR_OK)
            break;
        at = standing_find(s, r.seq);
        if (at == NONE || v[at].sum != r.sum)
            continue; /* replaced before; or never asked: then lines differ */
        if (upto != NONE && v[at].upto != upto) {
            upto = NONE;
            lines = 0;
            break;
        }
        upto = v[at].upto;
        lines += v[at].lines;
        nr_buf_put_le(&body, r.seq, 8);
    }
    if (upto != NONE && lines == segment_info(seg)->lines)
        err = body.err ? no_memory(d)
                       : standing_append(s, nr_buf_bytes(&body), d);
    nr_buf_fini(&body);
    return err;
}

/* Segments of the state that are gone from A, and those of A that are made of
 * such ones. */
static enum nr_err
match(struct nr_standing *s, struct nr_archive *a, struct nr_diag *d)
{
    struct standing_segment *v;
    size_t n;
    enum nr_err err = NR_OK;

    for (size_t i = 0; !err && i < a->n; i++) {
        uint32_t at = standing_find(s, segment_info(a->v[i])->seq);

        v = standing_segments(s, &n);
        if (at != NONE && v[at].sum != segment_sum(a->v[i]))
            v[at].gone = true; /* mended: to be asked anew */
        else if (at == NONE)
            err = inherit(s, a, i, d);
    }
    v = standing_segments(s, &n);
    for (size_t i = 0; i < n; i++)
        if (!v[i].gone && in_archive(a, v[i].seq) == a->n)
            v[i].gone = true;
    return err;
}

/* --- values --- */

static uint8_t *
key_of(const struct nr_indicator *x, struct nr_buf *b)
{
    nr_buf_reset(b);
    nr_buf_put_c(b, (char)x->kind);
    nr_buf_put(b, x->key);
    return b->err ? NULL : b->p;
}

/* Make the values of V stand that do not yet. */
static enum nr_err
add_values(struct nr_standing *s, const struct nr_indicator *const *v, size_t n,
    struct nr_diag *d)
{
    struct nr_table fresh;
    struct nr_arena keys;
    struct nr_buf body, key;
    enum nr_err err = NR_OK;

    nr_arena_init(&keys, HUNT_MEMORY);
    nr_table_init(&fresh, 1);
    nr_buf_init(&body, NR_STANDING_FILE_MAX);
    nr_buf_init(&key, SIZE_MAX / 2);
    nr_buf_put_c(&body, 'V');
    for (size_t i = 0; !err && i < n; i++) {
        struct nr_bytes k;
        const uint64_t *at;
        uint8_t *copy;
        bool added = false;

        if (!key_of(v[i], &key))
            err = no_memory(d);
        k = nr_buf_bytes(&key);
        at = err || k.n < 2 ? NULL : nr_table_get(&s->table, k);
        if (err || k.n < 2 || (at && *at != STANDING_GONE))
            continue;
        copy = nr_new(&keys, uint8_t, k.n);
        if (!copy) {
            err = no_memory(d);
            continue;
        }
        memcpy(copy, k.p, k.n);
        k.p = copy;
        if (!nr_table_put(&fresh, k, i, &added))
            err = no_memory(d);
        if (!err && added)
            standing_put_values(&body, &(struct standing_value){ .key = k });
    }
    if (!err && body.err)
        err = no_memory(d);
    if (!err && body.n > 1)
        err = standing_append(s, nr_buf_bytes(&body), d);
    nr_buf_fini(&body);
    nr_buf_fini(&key);
    nr_table_fini(&fresh);
    nr_arena_fini(&keys);
    return err;
}

/* --- asking --- */

/* Values [FROM, TO) that stand, as indicators. */
static size_t
indicators_of(const struct nr_standing *s, uint32_t from, uint32_t to,
    struct nr_indicator *v, const struct nr_indicator **p, uint32_t *number)
{
    size_t n, k = 0;
    const struct standing_value *all = standing_values(s, &n);

    for (uint32_t i = from; i < to; i++) {
        if (all[i].dead)
            continue;
        v[k] = (struct nr_indicator){ .kind = all[i].key.p[0],
            .key = nr_bytes_sub(all[i].key, 1, all[i].key.n),
            .valid_from_s = NR_TIME_NONE,
            .valid_until_s = NR_TIME_NONE,
            .first_seen_s = NR_TIME_NONE,
            .last_seen_s = NR_TIME_NONE };
        p[k] = &v[k];
        number[k++] = i;
    }
    return k;
}

/* What was found, and that it was asked, into the state. Segments that proved
 * damaged are not in A any more, and not asked. */
static enum nr_err
keep(struct nr_standing *s, const struct nr_archive *a, const struct round *r,
    uint32_t from, uint32_t to, struct nr_diag *d)
{
    struct nr_buf body;
    enum nr_err err;

    nr_buf_init(&body, NR_STANDING_FILE_MAX);
    nr_buf_put_c(&body, 'H');
    nr_buf_put_le(&body, r->n_seq, 4);
    nr_buf_put_le(&body, from, 4);
    nr_buf_put_le(&body, to, 4);
    for (size_t i = 0; i < r->n_seq; i++) {
        struct segment *seg = a->v[in_archive(a, r->seq[i])];

        standing_put_segment(&body, r->seq[i], segment_sum(seg),
            segment_info(seg)->lines);
    }
    nr_buf_put(&body, nr_buf_bytes(&r->rows));
    err = body.err ? no_memory(d) : standing_append(s, nr_buf_bytes(&body), d);
    nr_buf_fini(&body);
    return err;
}

/* Ask the segments SEQ[0..n) for values [FROM, TO). *AGAIN: one of them proved
 * damaged, nothing was kept. */
static enum nr_err
ask(struct nr_standing *s, struct nr_archive *a, const uint64_t *seq, size_t n,
    uint32_t from, uint32_t to, int64_t now_s, bool *again, struct nr_diag *d)
{
    size_t room = to - from + 1, k, before = a->n;
    struct nr_indicator *v = calloc(room, sizeof(*v));
    const struct nr_indicator **p = calloc(room,
        sizeof(const struct nr_indicator *));
    uint32_t *number = calloc(room, sizeof(*number));
    struct nr_answer *answers = calloc(room, sizeof(*answers));
    struct round r = { .s = s, .seq = seq, .n_seq = n, .number = number };
    const struct nr_hunt_options o = { .now_s = now_s,
        .wants = wants,
        .found = found,
        .found_ctx = &r };
    struct nr_arena arena;
    enum nr_err err = v && p && number && answers ? NR_OK : no_memory(d);

    nr_arena_init(&arena, HUNT_MEMORY);
    nr_buf_init(&r.rows, NR_STANDING_FILE_MAX);
    k = err ? 0 : indicators_of(s, from, to, v, p, number);
    if (!err && k > 0)
        err = nr_archive_hunt(a, p, k, &o, &arena, answers, d);
    *again = a->n < before;
    if (!err && !*again)
        err = keep(s, a, &r, from, to, d);
    if (!err && !*again)
        s->asked += k * n;
    nr_buf_fini(&r.rows);
    nr_arena_fini(&arena);
    free(answers);
    free(number);
    free(p);
    free(v);
    return err;
}

/* Those segments of A that were asked the least, the values they were asked,
 * and the next that others were. */
static size_t
laggards(const struct nr_standing *s, const struct nr_archive *a, uint64_t *seq,
    uint32_t *from, uint32_t *to)
{
    size_t n, k = 0;
    const struct standing_segment *v = standing_segments(s, &n);
    uint32_t low = *to, next = *to;

    for (size_t i = 0; i < a->n; i++) {
        uint32_t at = standing_find(s, segment_info(a->v[i])->seq);
        uint32_t upto = at == NONE ? 0 : v[at].upto;

        if (upto < low) {
            next = low;
            low = upto;
            k = 0;
        } else if (upto > low && upto < next) {
            next = upto;
        }
        if (upto == low && low < *to)
            seq[k++] = segment_info(a->v[i])->seq;
    }
    *from = low;
    *to = next;
    if (*to - low > NR_STANDING_BATCH)
        *to = low + (uint32_t)NR_STANDING_BATCH;
    return k;
}

/* Until all segments were asked for all values. */
static enum nr_err
catch_up(struct nr_standing *s, struct nr_archive *a, int64_t now_s,
    struct nr_diag *d)
{
    uint64_t *seq = calloc(a->n + 1, sizeof(*seq));
    enum nr_err err = seq ? NR_OK : no_memory(d);

    while (!err) {
        uint32_t from = 0,
                 to = (uint32_t)(s->values.n / sizeof(struct standing_value));
        size_t n = laggards(s, a, seq, &from, &to);
        bool again = false;

        if (n == 0)
            break;
        err = ask(s, a, seq, n, from, to, now_s, &again, d);
        if (!err && again)
            err = match(s, a, d);
    }
    free(seq);
    return err;
}

/* --- answering --- */

/* A value as often as it is asked for: chains of indicators. */
struct wanted {
    uint32_t *first; /* of each value; NONE */
    uint32_t *next;  /* of each indicator */
};

static enum nr_err
find_wanted(struct nr_standing *s, const struct nr_indicator *const *ind,
    size_t n, struct wanted *w, struct nr_diag *d)
{
    struct nr_buf key;
    size_t values;
    struct standing_value *v = standing_values(s, &values);
    enum nr_err err = NR_OK;

    nr_buf_init(&key, SIZE_MAX / 2);
    w->first = malloc((values + 1) * sizeof(*w->first));
    w->next = calloc(n + 1, sizeof(*w->next));
    if (!w->first || !w->next)
        err = no_memory(d);
    for (size_t i = 0; !err && i < values; i++)
        w->first[i] = NONE;
    for (size_t i = 0; !err && i < n; i++) {
        const uint64_t *at;

        if (!key_of(ind[i], &key)) {
            err = no_memory(d);
            break;
        }
        at = nr_table_get(&s->table, nr_buf_bytes(&key));
        if (!at || *at == STANDING_GONE)
            continue;
        v[*at].used = true;
        w->next[i] = w->first[*at];
        w->first[*at] = (uint32_t)i;
    }
    nr_buf_fini(&key);
    return err;
}

struct day_of {
    uint32_t indicator;
    int32_t day;
};

static int
by_day(const void *a, const void *b)
{
    const struct day_of *x = a, *y = b;

    if (x->indicator != y->indicator)
        return x->indicator < y->indicator ? -1 : 1;
    return (x->day > y->day) - (x->day < y->day);
}

static void
add_row(struct nr_answer *x, const struct standing_row *r)
{
    x->lines += r->lines;
    x->denied += r->denied;
    x->sources |= r->sources;
    if (r->first_s != NR_TIME_NONE &&
        (x->first_s == NR_TIME_NONE || r->first_s < x->first_s))
        x->first_s = r->first_s;
    if (r->last_s != NR_TIME_NONE &&
        (x->last_s == NR_TIME_NONE || r->last_s > x->last_s))
        x->last_s = r->last_s;
}

static enum nr_err
add_up(const struct nr_standing *s, const struct wanted *w, size_t n,
    struct nr_answer *v, struct nr_diag *d)
{
    const int32_t *days = (const int32_t *)(const void *)s->days.p;
    size_t n_rows, n_segments, n_days;
    const struct standing_row *rows = standing_rows(s, &n_rows);
    const struct standing_segment *segs = standing_segments(s, &n_segments);
    struct nr_buf seen;
    struct day_of *at;
    enum nr_err err;

    nr_buf_init(&seen, SIZE_MAX / 2);
    for (size_t i = 0; i < n; i++)
        v[i] = (struct nr_answer){ .first_s = NR_TIME_NONE,
            .last_s = NR_TIME_NONE };
    for (size_t i = 0; i < n_rows; i++) {
        if (segs[rows[i].segment].gone)
            continue;
        for (uint32_t k = w->first[rows[i].value]; k != NONE; k = w->next[k]) {
            add_row(&v[k], &rows[i]);
            for (uint32_t j = 0; j < rows[i].n_days; j++) {
                struct day_of day = { k, days[rows[i].days + j] };

                nr_buf_put(&seen,
                    (struct nr_bytes){ (const uint8_t *)&day, sizeof(day) });
            }
        }
    }
    at = (struct day_of *)(void *)seen.p;
    n_days = seen.n / sizeof(*at);
    if (n_days > 1)
        qsort(at, n_days, sizeof(*at), by_day);
    for (size_t i = 0; i < n_days; i++)
        v[at[i].indicator].days += i == 0 || by_day(&at[i - 1], &at[i]) != 0;
    err = seen.err ? no_memory(d) : NR_OK;
    nr_buf_fini(&seen);
    return err;
}

enum nr_err
nr_standing_hunt(struct nr_standing *s, struct nr_archive *a,
    const struct nr_indicator *const *indicators, size_t n, int64_t now_s,
    struct nr_arena *arena, struct nr_answer *v, struct nr_diag *d)
{
    struct wanted w = { 0 };
    enum nr_err err;

    if (!s->write)
        return nr_fail(d, NR_EDENIED, 0, "standing: open for reading only");
    err = match(s, a, d);
    if (!err)
        err = add_values(s, indicators, n, d);
    if (!err)
        err = catch_up(s, a, now_s, d);
    if (!err)
        err = find_wanted(s, indicators, n, &w, d);
    if (!err)
        err = add_up(s, &w, n, v, d);
    if (!err)
        err = nr_archive_judge(a, indicators, n, now_s, arena, v, d);
    free(w.first);
    free(w.next);
    return err;
}

/* --- what stands no longer --- */

void
nr_standing_begin(struct nr_standing *s)
{
    size_t n;
    struct standing_value *v = standing_values(s, &n);

    for (size_t i = 0; i < n; i++)
        v[i].used = false;
}

/* Octets that what is not of the past takes in the file. */
static uint64_t
living(const struct nr_standing *s)
{
    size_t n, n_segments;
    const struct standing_value *v = standing_values(s, &n);
    const struct standing_segment *segs = standing_segments(s, &n_segments);
    uint64_t sum = sizeof(STANDING_HEAD);
    size_t n_rows;
    const struct standing_row *rows = standing_rows(s, &n_rows);

    for (size_t i = 0; i < n; i++)
        sum += v[i].dead ? 0 : v[i].key.n + 4;
    for (size_t i = 0; i < n_segments; i++)
        sum += segs[i].gone ? 0 : 48;
    for (size_t i = 0; i < n_rows; i++)
        if (!segs[rows[i].segment].gone && !v[rows[i].value].dead)
            sum += ROW_OCTETS + (uint64_t)rows[i].n_days * 4;
    return sum;
}

enum nr_err
nr_standing_end(struct nr_standing *s, struct nr_diag *d)
{
    size_t n;
    struct standing_value *v = standing_values(s, &n);
    struct nr_buf body;
    enum nr_err err = NR_OK;

    nr_buf_init(&body, NR_STANDING_FILE_MAX);
    nr_buf_put_c(&body, 'D');
    for (size_t i = 0; i < n; i++)
        if (!v[i].used && !v[i].dead)
            nr_buf_put_le(&body, i, 4);
    if (body.err)
        err = no_memory(d);
    else if (body.n > 1)
        err = standing_append(s, nr_buf_bytes(&body), d);
    nr_buf_fini(&body);
    if (!err && s->end > SMALL_FILE && s->end / 2 > living(s))
        err = standing_rewrite(s, d);
    return err;
}

void
nr_standing_stat(const struct nr_standing *s, struct nr_standing_stat *out)
{
    size_t n, n_segments, n_rows;
    const struct standing_segment *segs = standing_segments(s, &n_segments);
    const struct standing_row *rows = standing_rows(s, &n_rows);

    (void)standing_values(s, &n);
    *out = (struct nr_standing_stat){ .values = n - s->n_dead,
        .octets = s->end,
        .asked = s->asked };
    for (size_t i = 0; i < n_segments; i++) {
        out->segments += !segs[i].gone && segs[i].upto == n;
        out->behind += !segs[i].gone && segs[i].upto < n;
    }
    for (size_t i = 0; i < n_rows; i++)
        out->found += !segs[rows[i].segment].gone;
}
