/* The whole of a list, octet by octet and reference by reference. */
#include "watchlist/list.h"

#include <stdlib.h>

static enum nr_err
damaged(struct nr_diag *d, const struct nr_wl_layer *l, const void *p,
    const char *what)
{
    return nr_fail(d, NR_EDAMAGED, (size_t)((const uint8_t *)p - l->file.p),
        what);
}

static bool
string_fits(const struct nr_wl_layer *l, uint64_t at, uint64_t n)
{
    return n == 0 || nr_wl_string(l, at, n).n == n;
}

static enum nr_err
verify_said(const struct nr_wl_layer *l, struct nr_diag *d)
{
    for (size_t i = 0; i < l->n_abouts; i++) {
        const struct nr_wl_about *a = &l->abouts[i];

        if (a->claim_n == 0 || a->claim_n > l->n_claims ||
            a->claim_at > l->n_claims - a->claim_n || a->tlp > 5 ||
            a->pap > 4 || a->role > NR_ROLE_CONTEXTUAL ||
            !string_fits(l, a->warn_at, a->warn_n))
            return damaged(d, l, a, "watchlist: what is said does not fit");
    }
    for (size_t i = 0; i < l->n_claims; i++) {
        const struct nr_wl_claim *c = &l->claims[i];

        if (!string_fits(l, c->id_at, c->id_n) ||
            !string_fits(l, c->source_at, c->source_n) ||
            !string_fits(l, c->reference_at, c->reference_n))
            return damaged(d, l, c, "watchlist: a claim does not fit");
    }
    return NR_OK;
}

/* Every entry sound, and found under its key by as many reads as are allowed
 * (it, not another one of the same value). */
static enum nr_err
verify_entries(const struct nr_wl_layer *l, struct nr_diag *d)
{
    for (size_t i = 0; i < l->n; i++) {
        struct nr_wl_entry e;
        struct nr_bytes key;
        size_t number = 0;

        if (!nr_wl_entry(l, i, &e, &key) || !nr_key_is_sound(e.kind, key) ||
            !nr_wl_about_of(l, &e))
            return damaged(d, l, &l->entries[i],
                "watchlist: an entry does not fit");
        if (!nr_wl_find_in(l,
                nr_sieve_hash(&l->head->key, (enum nr_kind)e.kind, key), e.kind,
                key, &number, NULL) ||
            number != i)
            return damaged(d, l, &l->entries[i],
                "watchlist: an entry is not found under its key");
    }
    return NR_OK;
}

/* As many used slots as entries: with the above, none is astray. */
static enum nr_err
verify_slots(const struct nr_wl_layer *l, struct nr_diag *d)
{
    size_t used = 0;

    for (size_t i = 0; i < l->n_slots; i++)
        used += l->slots[i].index1 != 0;
    return used == l->n
        ? NR_OK
        : damaged(d, l, l->slots, "watchlist: as many slots as entries wanted");
}

enum nr_err
nr_watchlist_verify(const struct nr_watchlist *w, struct nr_diag *d)
{
    for (size_t i = 0; i < w->n_layers; i++) {
        const struct nr_wl_layer *l = &w->layers[i];
        const uint8_t *p = l->file.p + sizeof(*l->head);
        size_t left = l->head->parts[NR_WL_SUMS].at - sizeof(*l->head);
        enum nr_err err = NR_OK;

        for (; left > 0; left -= left < NR_WL_PAGE ? left : NR_WL_PAGE) {
            if (!nr_wl_is_whole(l, p, 1))
                return damaged(d, l, p,
                    "watchlist: a page's checksum does not hold");
            p += NR_WL_PAGE;
        }
        err = verify_said(l, d);
        if (err == NR_OK)
            err = verify_entries(l, d);
        if (err == NR_OK)
            err = verify_slots(l, d);
        if (err != NR_OK)
            return err;
    }
    return NR_OK;
}
