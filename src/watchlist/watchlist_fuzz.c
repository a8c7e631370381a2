/*
 * Any octets as a compiled list. Its checksums are put right first, so that
 * what stands behind them is reached. What opens is read and probed whole.
 */
#include "base/buf.h"
#include "base/num.h"
#include "watchlist/list.h"
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

static void
put_checksums(struct nr_buf *file)
{
    struct nr_wl_head h;
    struct nr_bytes sums;
    size_t at;

    while (file->n % NR_WL_ALIGN != 0)
        nr_buf_put_c(file, 0);
    at = file->n;
    memcpy(&h, file->p, sizeof(h));
    h.parts[NR_WL_SUMS].at = at;
    for (size_t k = 0; nr_wl_order[k] != NR_WL_SUMS; k++) {
        size_t end = nr_min(at, h.parts[nr_wl_order[k + 1]].at);

        for (size_t from = h.parts[nr_wl_order[k]].at; from < end;
             from += NR_WL_PAGE)
            nr_buf_put_le(file,
                nr_xxh64(nr_bytes_sub(nr_buf_bytes(file), from,
                             nr_min(from + NR_WL_PAGE, end)),
                    0),
                8);
    }
    sums = nr_bytes_sub(nr_buf_bytes(file), at, file->n);
    h.parts[NR_WL_SUMS] = (struct nr_wl_section){ at, sums.n / 8 };
    h.sums = nr_xxh64(sums, 0);
    h.size = file->n;
    h.checksum = nr_wl_checksum(&h);
    memcpy(file->p, &h, sizeof(h));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_watchlist *w = NULL;
    struct nr_buf file;

    nr_buf_init(&file, (size_t)1 << 30);
    nr_buf_put(&file, (struct nr_bytes){ data, size });
    if (size >= sizeof(struct nr_wl_head))
        put_checksums(&file);
    if (file.err == NR_OK &&
        nr_watchlist_decode(nr_buf_bytes(&file), &w, NULL) == NR_OK) {
        use(w);
        (void)!nr_watchlist_verify(w, NULL);
        nr_watchlist_close(w);
    }
    nr_buf_fini(&file);
    return 0;
}
