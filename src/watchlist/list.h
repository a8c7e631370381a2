/* An open watchlist; inside of the room. */
#ifndef NR_WATCHLIST_LIST_H
#define NR_WATCHLIST_LIST_H

#include "watchlist/format.h"
#include "watchlist/watchlist.h"

struct nr_watchlist {
    struct nr_bytes file; /* mapped, or in heap */
    void *heap;           /* owned; NULL when mapped */
    bool mapped;
    const struct nr_wl_head *head;
    const struct nr_wl_entry *entries;
    const struct nr_wl_claim *claims;
    const struct nr_wl_slot *slots;
    const uint64_t *filter;
    struct nr_bytes text;
    unsigned kinds;   /* bit 1 << kind: there is one */
    size_t unmatched; /* entries of kinds that nr_scan() does not find */
    bool has_len4[33], has_len6[129];
    bool has_idn; /* a name with an "xn--" label */
};

#endif
