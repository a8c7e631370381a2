/*
 * Any octets as a compiled list. The checksum is put right first, so that the
 * checks behind it are reached. What opens is read and probed whole.
 */
#include "watchlist/format.h"
#include "watchlist/watchlist.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
use(const struct nr_watchlist *w)
{
    static const char log[] = "192.0.2.1 2001:db8::1 http://www.evil.com/x "
                              "a@evil.com d41d8cd98f00b204e9800998ecf8427e";
    struct nr_tokens t;
    struct nr_matches m;
    size_t sum = 0, at;

    for (size_t i = 0; i < nr_watchlist_count(w); i++) {
        struct nr_indicator ind = nr_watchlist_get(w, i);

        for (size_t k = 0; k < ind.n_claims && k < 100; k++)
            sum += nr_watchlist_claim(w, i, k).source.n;
        for (size_t k = 0; k < ind.value.n; k++)
            sum += (uint8_t)ind.value.p[k];
        sum += nr_watchlist_find(w, ind.kind, ind.key, &at) ? at : 1;
    }
    nr_tokens_init(&t, 0);
    nr_matches_init(&m);
    if (nr_scan(nr_bytes_of(nr_str_of(log)), &t) != NR_OK ||
        nr_watchlist_match(w, &t, &m) != NR_OK || sum == SIZE_MAX)
        abort();
    for (size_t i = 0; i < m.n; i++)
        if (m.v[i].indicator >= nr_watchlist_count(w) || m.v[i].token >= t.n)
            abort();
    nr_matches_fini(&m);
    nr_tokens_fini(&t);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    struct nr_watchlist *w = NULL;
    struct nr_wl_head h;
    struct nr_bytes file = { copy, size };

    if (!copy)
        return 0;
    if (size > 0)
        memcpy(copy, data, size);
    if (size >= sizeof(h)) {
        memcpy(&h, copy, sizeof(h));
        h.size = size;
        memcpy(copy, &h, sizeof(h));
        h.checksum = nr_wl_checksum(file);
        memcpy(copy, &h, sizeof(h));
    }
    if (nr_watchlist_decode(file, &w, NULL) == NR_OK) {
        use(w);
        nr_watchlist_close(w);
    }
    free(copy);
    return 0;
}
