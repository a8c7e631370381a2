/* What a list is made of, in numbers. */
#include "watchlist/list.h"

#include <stdlib.h>

uint64_t
nr_wl_judged_by_both(uint64_t a, uint64_t b)
{
    const uint64_t v[2] = { a, b };
    uint64_t both;

    if (a == b)
        return a;
    both = nr_xxh64((struct nr_bytes){ (const uint8_t *)v, sizeof(v) }, 0);
    return both ? both : 1;
}

uint64_t
nr_watchlist_warn_version(const struct nr_watchlist *w)
{
    uint64_t version = w->layers[0].head->warned;

    /* A delta that only removes has the version of what it changes. */
    for (size_t i = 1; i < w->n_layers; i++)
        version = nr_wl_judged_by_both(version, w->layers[i].head->warned);
    return version;
}

size_t
nr_watchlist_unmatched_count(const struct nr_watchlist *w)
{
    struct nr_watchlist_stat st;
    size_t n = 0;

    nr_watchlist_stat(w, &st);
    for (unsigned k = 0; k < NR_KINDS; k++)
        n += nr_kind_is_hot((enum nr_kind)k) ? 0 : st.by_kind[k];
    return n;
}

void
nr_watchlist_stat(const struct nr_watchlist *w, struct nr_watchlist_stat *out)
{
    const struct nr_wl_layer *base = &w->layers[0];

    *out = (struct nr_watchlist_stat){
        .indicators = nr_watchlist_count(w),
        .deltas = w->n_layers - 1,
        .delta_n = w->n_all - base->n,
        .gone = w->n_dead,
        .base_created_s = base->head->created_s,
        .keyed = (base->head->key.k[0] | base->head->key.k[1]) != 0,
        .keys = base->keys.n,
        .entries = base->n * sizeof(*base->entries),
        .abouts = base->n_abouts * sizeof(*base->abouts) +
            base->n_claims * sizeof(*base->claims) + base->strings.n,
        .slots = base->n_slots * sizeof(*base->slots),
        .sieve = (base->n_words + base->n_nets) * sizeof(uint64_t),
    };
    for (size_t i = 0; i < w->n_layers; i++) {
        out->octets += w->layers[i].file.n;
        for (size_t k = 0; k < NR_KINDS; k++)
            out->by_kind[k] += w->layers[i].head->by_kind[k];
    }
    for (size_t i = 0; i < w->n_dead; i++) {
        size_t number = w->dead[i];
        const struct nr_wl_layer *l = nr_wl_layer_of(w, &number);
        unsigned kind = l->entries[number].kind;

        if (kind < NR_KINDS && out->by_kind[kind] > 0)
            out->by_kind[kind]--;
    }
}

/* --- sayings --- */

struct said {
    uint32_t n, number; /* how many, and the first of them in its layer */
};

/* Those of layer L; *DEAD: where its dead begin in W's, and then end. */
static void
count_said(const struct nr_watchlist *w, const struct nr_wl_layer *l,
    struct said *said, size_t *dead)
{
    for (size_t i = 0; i < l->n; i++) {
        uint32_t about = l->entries[i].about;

        if (*dead < w->n_dead && w->dead[*dead] == l->first + i) {
            ++*dead;
            continue;
        }
        if (about >= l->n_abouts)
            continue;
        if (said[about].n++ == 0)
            said[about].number = (uint32_t)i;
    }
}

enum nr_err
nr_watchlist_sayings(const struct nr_watchlist *w,
    void (*fn)(void *ctx, size_t i, size_t n), void *ctx, struct nr_diag *d)
{
    size_t dead = 0;

    for (size_t k = 0; k < w->n_layers; k++) {
        const struct nr_wl_layer *l = &w->layers[k];
        struct said *said = calloc(l->n_abouts + 1, sizeof(*said));

        if (!said)
            return nr_fail(d, NR_ENOMEM, 0, "watchlist: out of memory");
        count_said(w, l, said, &dead);
        for (size_t i = 0; i < l->n_abouts; i++)
            if (said[i].n > 0)
                fn(ctx, nr_wl_index_of(w, l->first + said[i].number),
                    said[i].n);
        free(said);
    }
    return NR_OK;
}
