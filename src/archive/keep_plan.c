/* Retention: what goes, what that makes unanswerable, and letting it go. */
#include "archive/keep.h"

#include "archive/dropped.h"
#include "archive/runs.h"
#include "archive/store.h"

#include <errno.h>
#include <unistd.h>

#define SILENT_DAYS 92 /* further back, a silence stands for itself */

/* Before which day segment I is past its time; NR_KEEP_ALWAYS: never. */
static int64_t
threshold(const struct nr_archive *a, size_t i, const struct nr_keep_rule *r)
{
    uint32_t kinds = segment_info(a->v[i])->kinds;
    int64_t day = INT64_MAX;

    if (kinds == 0)
        return r->before;
    for (unsigned k = 0; k < NR_LOG_KINDS; k++) {
        int64_t own = r->own >> k & 1 ? r->kind_before[k] : r->before;

        if ((kinds >> k & 1) && own < day)
            day = own;
    }
    return day == INT64_MAX ? r->before : day;
}

/* A hold that shares a day with segment I. Lines without a time may be of any
 * day, so a segment of nothing else is held by every hold. */
static const struct nr_hold *
hold_of(const struct nr_archive *a, size_t i, const struct nr_holds *h)
{
    const struct seg_info *x = segment_info(a->v[i]);

    for (size_t k = 0; k < h->n; k++)
        if (x->first_s == NR_TIME_NONE ||
            (nr_day_of(x->first_s) <= h->v[k].days.to &&
                nr_day_of(x->last_s) >= h->v[k].days.from))
            return &h->v[k];
    return NULL;
}

static void
condemn(const struct nr_archive *a, struct nr_keep_plan *p, size_t i,
    const struct nr_holds *h, enum nr_keep_fate why)
{
    p->hold[i] = hold_of(a, i, h);
    p->fate[i] = p->hold[i] ? NR_KEEP_HELD : why;
    if (p->hold[i]) {
        p->n_held++;
    } else {
        p->n_drop++;
        p->octets += segment_size(a->v[i]);
    }
}

/* Age for the order of what is too much: the youngest line, as for prune. */
static int64_t
last_of(const struct nr_archive *a, size_t i)
{
    const struct seg_info *x = segment_info(a->v[i]);
    int64_t last = x->created_s + NR_S_PER_DAY;

    return x->last_s != NR_TIME_NONE && x->last_s < last ? x->last_s : last;
}

static void
shrink(const struct nr_archive *a, const struct nr_keep_rule *r,
    const struct nr_holds *h, struct nr_keep_plan *p)
{
    uint64_t left = 0;

    for (size_t i = 0; i < a->n; i++)
        left += segment_size(a->v[i]);
    left -= p->octets;
    while (left > r->max_octets) {
        size_t oldest = SIZE_MAX;
        uint64_t before = p->octets;

        for (size_t i = 0; i < a->n; i++)
            if (p->fate[i] == NR_KEEP_STAYS &&
                (oldest == SIZE_MAX || last_of(a, i) < last_of(a, oldest)))
                oldest = i;
        if (oldest == SIZE_MAX)
            break;
        condemn(a, p, oldest, h, NR_KEEP_SIZE);
        left -= p->octets - before;
    }
    p->over = left > r->max_octets ? left - r->max_octets : 0;
}

static enum nr_err
take_days(struct nr_keep_plan *p, struct segment *s, struct nr_arena *arena,
    struct nr_diag *d)
{
    struct seg_presence row;
    struct nr_cur c;
    enum nr_err err = segment_presence_begin(s, &c, d);

    if (err)
        return err;
    while (segment_presence_next(&c, &row)) {
        if (row.kind >= NR_LOG_KINDS || row.first_day % 8 != 0)
            continue;
        if (!p->days[row.kind])
            p->days[row.kind] = nr_new(arena, uint8_t, STORE_DAYS_OCTETS);
        if (!p->days[row.kind])
            return nr_fail(d, NR_ENOMEM, 0, "archive: no memory for days");
        for (size_t i = 0; i < row.days.n; i++) {
            size_t at = (size_t)row.first_day / 8 + i;

            if (at < STORE_DAYS_OCTETS)
                p->days[row.kind][at] |= row.days.p[i];
        }
    }
    return c.err ? nr_fail_name(d, NR_EDAMAGED, "segment: days are not sound",
                       segment_name(s))
                 : NR_OK;
}

static bool
is_set(const uint8_t *days, int64_t day)
{
    return days && (days[day / 8] >> (day % 8) & 1) != 0;
}

/* Ranges of days lost, kind by kind: counted first, then filled in. */
static size_t
find_losses(const struct nr_archive *a, struct nr_keep_plan *p, bool fill)
{
    size_t n = 0;

    for (unsigned k = 0; k < NR_LOG_KINDS; k++) {
        bool inside = false;

        for (int64_t day = 0; a->days[k] && day < SEG_DAYS; day++) {
            bool lost = is_set(a->days[k], day) && !is_set(p->days[k], day);

            if (lost && !inside) {
                if (fill)
                    p->losses[n].kind = k;
                if (fill)
                    p->losses[n].days.from = day;
                n++;
            }
            if (lost && fill)
                p->losses[n - 1].days.to = day;
            inside = lost;
        }
    }
    return n;
}

enum nr_err
nr_keep_plan(struct nr_archive *a, const struct nr_keep_rule *rule,
    const struct nr_holds *holds, struct nr_arena *arena,
    struct nr_keep_plan *out, struct nr_diag *d)
{
    struct nr_keep_plan p = { 0 };
    enum nr_err err = store_rhythm(a, d);

    if (err)
        return err;
    p.fate = nr_new(arena, enum nr_keep_fate, a->n + 1);
    p.hold = nr_new(arena, const struct nr_hold *, a->n + 1);
    if (!p.fate || !p.hold)
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory for a plan");
    for (size_t i = 0; i < a->n; i++) {
        int64_t day = threshold(a, i, rule);

        p.fate[i] = NR_KEEP_STAYS;
        p.hold[i] = NULL;
        if (day != NR_KEEP_ALWAYS && nr_archive_is_before(a, i, day))
            condemn(a, &p, i, holds, NR_KEEP_AGE);
    }
    if (rule->max_octets > 0)
        shrink(a, rule, holds, &p);
    for (size_t i = 0; !err && i < a->n; i++)
        if (p.fate[i] == NR_KEEP_STAYS || p.fate[i] == NR_KEEP_HELD)
            err = take_days(&p, a->v[i], arena, d);
    if (err)
        return err;
    p.n_losses = find_losses(a, &p, false);
    p.losses = nr_new(arena, struct nr_keep_loss, p.n_losses + 1);
    if (!p.losses)
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory for a plan");
    (void)find_losses(a, &p, true);
    *out = p;
    return NR_OK;
}

/* A silent day goes with the lines before it. */
static bool
stays(const struct nr_archive *a, const struct nr_keep_plan *p, unsigned k,
    int64_t day)
{
    int64_t at = day;

    while (at > 0 && day - at < SILENT_DAYS && !is_set(a->days[k], at))
        at--;
    return is_set(p->days[k], at);
}

struct nr_keep_cover
nr_keep_cover(const struct nr_archive *a, const struct nr_keep_plan *p,
    uint32_t kinds, struct nr_days w)
{
    struct nr_keep_cover c = { 0 };
    int64_t from = w.from < 0 ? 0 : w.from;
    int64_t to = w.to >= SEG_DAYS ? SEG_DAYS - 1 : w.to;

    if (w.from > w.to)
        return c;
    c.window = (uint64_t)(w.to - w.from) + 1;
    for (int64_t day = from; day <= to; day++) {
        bool before = false, after = false;

        for (unsigned k = 0; k < NR_LOG_KINDS; k++) {
            const uint8_t *known = a->judged ? a->known[k] : a->days[k];

            if (!(kinds >> k & 1) || !is_set(known, day))
                continue;
            before = true;
            after |= stays(a, p, k, day);
        }
        c.before += before;
        c.after += after;
    }
    return c;
}

enum nr_err
nr_keep_drop(struct nr_archive *a, const struct nr_keep_plan *p, size_t *n,
    struct nr_diag *d)
{
    enum nr_err err = NR_OK;
    char path[NR_PATH_MAX];
    size_t gone = 0;

    if (a->mode != NR_ARCHIVE_WRITE)
        return nr_fail(d, NR_EDENIED, 0, "archive: open for reading only");
    if (p->n_drop > 0)
        err = dropped_add(a, p, d);
    for (size_t i = 0; !err && i < a->n; i++) {
        if (p->fate[i] != NR_KEEP_AGE && p->fate[i] != NR_KEEP_SIZE)
            continue;
        /* No run may know what is dropped. */
        err = runs_forget(a, segment_info(a->v[i])->seq, d);
        /* What it replaces would show again without it. */
        if (!err)
            err = store_sweep_of(a, i, d);
        if (!err)
            err = nr_path_join(path, a->dir, segment_name(a->v[i]), d);
        if (!err && unlink(path) != 0 && errno != ENOENT)
            err = nr_fail_file(d, "segment: remove", path);
        gone += err == NR_OK;
    }
    *n = gone;
    if (gone > 0) {
        enum nr_err sync = nr_path_join(path, a->dir, "lock", d);

        if (!sync)
            sync = nr_dir_sync_of(path, d);
        err = err ? err : sync;
    }
    return err;
}
