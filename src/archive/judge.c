/* The archive's own rules for lines that are kept elsewhere. */
#include "archive/coverage.h"
#include "archive/store.h"
#include "watchlist/watchlist.h"

#include <stdlib.h>

struct nr_archive *
nr_archive_blank(void)
{
    struct nr_archive *a = calloc(1, sizeof(*a));

    if (a)
        a->lock = -1;
    return a;
}

enum nr_err
nr_archive_mark(struct nr_archive *a, uint32_t kinds, int64_t day)
{
    if (day < 0 || day >= SEG_DAYS)
        return NR_OK;
    for (unsigned k = 0; k < NR_LOG_KINDS; k++) {
        if (!(kinds >> k & 1))
            continue;
        if (!a->days[k])
            a->days[k] = calloc(STORE_DAYS_OCTETS, 1);
        if (!a->days[k])
            return NR_ENOMEM;
        a->days[k][day / 8] |= (uint8_t)(1u << (day % 8));
    }
    return NR_OK;
}

enum nr_err
nr_archive_judge(struct nr_archive *a,
    const struct nr_indicator *const *indicators, size_t n, int64_t now_s,
    struct nr_arena *arena, struct nr_answer *v, struct nr_diag *d)
{
    struct nr_archive_presence any = nr_archive_present(a,
        (1u << NR_LOG_KINDS) - 1);
    int64_t oldest = any.days ? any.range.from : nr_day_of(now_s) + 1;
    const struct nr_answer *same = NULL; /* the last one that was looked up */
    enum nr_err err = nr_coverage_find(a, now_s, d);

    if (err)
        return err;

    for (size_t i = 0; i < n; i++) {
        struct nr_answer *x = &v[i];
        int64_t days;
        bool has_kind = false;

        x->kinds = nr_archive_needs(indicators[i]->kind);
        x->window = nr_archive_window(indicators[i], now_s, oldest);
        days = x->window.to - x->window.from + 1;
        if (same && same->kinds == x->kinds &&
            same->window.from == x->window.from &&
            same->window.to == x->window.to) {
            x->coverage = same->coverage;
            x->gaps = same->gaps;
            x->n_gaps = same->n_gaps;
        } else {
            uint64_t covered = store_covered(a, x->kinds, x->window);

            x->coverage = days > 0 ? (double)covered / (double)days : 0;
            if (store_gaps(a, x->kinds, x->window, arena, &x->gaps, &x->n_gaps))
                return nr_fail(d, NR_ENOMEM, 0, "hunt: no memory for gaps");
        }
        same = x;
        for (uint32_t k = x->kinds; k != 0; k &= k - 1)
            has_kind |= a->days[__builtin_ctz(k)] != NULL;
        x->answer = store_answer(x->lines, x->denied, x->coverage, has_kind);
        store_notes(a, indicators[i], x);
    }
    return NR_OK;
}
