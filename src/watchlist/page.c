/*
 * The pages of a list's file and their checksums. A page lies within one part:
 * which of them is damaged says what is.
 */
#include "watchlist/list.h"

#include "base/num.h"

const enum nr_wl_part nr_wl_order[NR_WL_PARTS_USED] = { NR_WL_ENTRIES,
    NR_WL_ABOUTS, NR_WL_CLAIMS, NR_WL_KEYS, NR_WL_STRINGS, NR_WL_SLOTS,
    NR_WL_FILTER, NR_WL_NETS, NR_WL_DEAD, NR_WL_SUMS };

const char *
nr_wl_part_name(enum nr_wl_part part)
{
    static const char *const names[NR_WL_PARTS_USED] = {
        [NR_WL_ENTRIES] = "entries",
        [NR_WL_KEYS] = "keys",
        [NR_WL_ABOUTS] = "abouts",
        [NR_WL_CLAIMS] = "claims",
        [NR_WL_STRINGS] = "strings",
        [NR_WL_SLOTS] = "slots",
        [NR_WL_FILTER] = "filter",
        [NR_WL_NETS] = "nets",
        [NR_WL_DEAD] = "dead",
        [NR_WL_SUMS] = "sums",
    };

    return names[part];
}

enum page { PAGE_UNKNOWN = 0, PAGE_WHOLE = 1, PAGE_DAMAGED = 2 };

void
nr_wl_page(const struct nr_wl_layer *l, size_t i, enum nr_wl_part *part,
    size_t *at, size_t *n)
{
    size_t k = 0;

    while (i >= l->part_pages[k + 1])
        k++;
    *part = nr_wl_order[k];
    *at = l->part_at[k] + (i - l->part_pages[k]) * NR_WL_PAGE;
    *n = nr_min(NR_WL_PAGE, l->part_at[k + 1] - *at);
}

bool
nr_wl_sums_hold(const struct nr_wl_layer *l)
{
    return nr_xxh64(nr_bytes_sub(l->file, l->head->parts[NR_WL_SUMS].at,
                        l->file.n),
               0) == l->head->sums;
}

bool
nr_wl_page_is_whole(const struct nr_wl_layer *l, size_t i)
{
    uint8_t known = atomic_load_explicit(&l->share->checked[i],
        memory_order_relaxed);
    enum nr_wl_part part;
    size_t at, n;

    if (known == PAGE_UNKNOWN) {
        nr_wl_page(l, i, &part, &at, &n);
        known = nr_xxh64(nr_bytes_sub(l->file, at, at + n), 0) == l->sums[i]
            ? PAGE_WHOLE
            : PAGE_DAMAGED;
        atomic_store_explicit(&l->share->checked[i], known,
            memory_order_relaxed);
    }
    return known == PAGE_WHOLE;
}

/* The page that holds octet AT of the file, which is no head. */
static size_t
page_of(const struct nr_wl_layer *l, size_t at)
{
    size_t k = 0;

    while (at >= l->part_at[k + 1])
        k++;
    return l->part_pages[k] + (at - l->part_at[k]) / NR_WL_PAGE;
}

bool
nr_wl_is_whole(const struct nr_wl_layer *l, const void *p, size_t n)
{
    size_t at = (size_t)((const uint8_t *)p - l->file.p), last;
    bool whole = true;

    if (n == 0)
        return true;
    last = page_of(l, at + n - 1);
    for (size_t i = page_of(l, at); i <= last; i++)
        whole = nr_wl_page_is_whole(l, i) && whole;
    return whole;
}
