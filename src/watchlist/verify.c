/* The whole of a list, octet by octet and reference by reference. */
#include "watchlist/list.h"

#include "base/file.h"

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
nr_wl_verify_records(const struct nr_wl_layer *l, struct nr_diag *d)
{
    enum nr_err err = verify_said(l, d);

    if (err == NR_OK)
        err = verify_entries(l, d);
    return err == NR_OK ? verify_slots(l, d) : err;
}

enum nr_err
nr_watchlist_verify(const struct nr_watchlist *w, struct nr_diag *d)
{
    for (size_t i = 0; i < w->n_layers; i++) {
        const struct nr_wl_layer *l = &w->layers[i];
        enum nr_err err;

        for (size_t k = 0; k < l->n_pages; k++)
            if (!nr_wl_page_is_whole(l, k)) {
                enum nr_wl_part part;
                size_t at, n;

                nr_wl_page(l, k, &part, &at, &n);
                return damaged(d, l, l->file.p + at,
                    "watchlist: a page's checksum does not hold");
            }
        err = nr_wl_verify_records(l, d);
        if (err != NR_OK)
            return err;
    }
    return NR_OK;
}

/* --- all that is wrong --- */

struct check {
    const char *file;
    void (*fault)(void *ctx, const struct nr_watchlist_fault *f);
    void *ctx;
    struct nr_watchlist_checked done;
};

static void
report(struct check *c, const char *part, size_t at, size_t n, const char *what)
{
    struct nr_watchlist_fault f = { c->file, part, what, at, n };

    c->done.faults++;
    c->fault(c->ctx, &f);
}

static const char *
part_at(const struct nr_wl_layer *l, size_t at)
{
    size_t k = 0;

    while (k + 1 < NR_WL_PARTS_USED && at >= l->part_at[k + 1])
        k++;
    return nr_wl_part_name(nr_wl_order[k]);
}

/* Every page of L by itself, and if all are whole, what they say. */
static void
check_layer(struct check *c, const struct nr_wl_layer *l)
{
    size_t before = c->done.faults, sums = l->head->parts[NR_WL_SUMS].at;
    struct nr_diag why = { 0 };

    if (!nr_wl_sums_hold(l)) {
        report(c, nr_wl_part_name(NR_WL_SUMS), sums, l->file.n - sums,
            "the table of checksums is not what was written");
        return; /* what does not match it may be sound */
    }
    for (size_t i = 0; i < l->n_pages; i++) {
        enum nr_wl_part part;
        size_t at, n;

        c->done.pages++;
        if (nr_wl_page_is_whole(l, i))
            continue;
        nr_wl_page(l, i, &part, &at, &n);
        report(c, nr_wl_part_name(part), at, n,
            "checksum of the page does not hold");
    }
    if (c->done.faults == before && nr_wl_verify_records(l, &why) != NR_OK)
        report(c, part_at(l, why.at), why.at, 1, why.what);
}

/* One left over from another stack is none of the list. */
static bool
is_stray(const struct nr_wl_layer *l, size_t level, uint64_t below)
{
    return l->head->level != level || (below != 0 && l->head->below != below);
}

/* File LEVEL of a list; *BELOW: checksum of the one under it, 0: not known. */
static enum nr_err
check_file(struct check *c, size_t level, uint64_t *below, struct nr_diag *d)
{
    struct nr_diag why = { 0 };
    struct nr_wl_layer l;
    enum nr_err err = nr_wl_layer_open(&l, c->file, &why);

    if (err == NR_ENOTFOUND || err == NR_ESYS || err == NR_ENOMEM ||
        (err == NR_EFORMAT && level == 0)) {
        if (d && (level == 0 || err != NR_ENOTFOUND))
            *d = why;
        return err;
    }
    if (err != NR_OK) {
        report(c, "head", why.at, 1, why.what);
        *below = 0;
        c->done.files++;
        return NR_OK;
    }
    if (is_stray(&l, level, *below)) {
        nr_wl_layer_fini(&l);
        return level == 0 ? nr_fail_name(d, NR_EFORMAT,
                                "watchlist: only changes to a list; name the "
                                "list itself",
                                c->file)
                          : NR_ENOTFOUND;
    }
    check_layer(c, &l);
    *below = l.head->checksum;
    c->done.files++;
    nr_wl_layer_fini(&l);
    return NR_OK;
}

enum nr_err
nr_watchlist_check(const char *path,
    void (*fault)(void *ctx, const struct nr_watchlist_fault *f), void *ctx,
    struct nr_watchlist_checked *out, struct nr_diag *d)
{
    struct check c = { .file = path, .fault = fault, .ctx = ctx };
    uint64_t below = 0;
    enum nr_err err = check_file(&c, 0, &below, d);

    for (size_t i = 1; err == NR_OK && i <= NR_WATCHLIST_DELTAS; i++) {
        char delta[NR_PATH_MAX];

        err = nr_wl_delta_path(path, i, delta, d);
        if (err != NR_OK)
            return err;
        c.file = delta;
        err = check_file(&c, i, &below, d);
        if (err == NR_ENOTFOUND) {
            err = NR_OK;
            break;
        }
    }
    *out = c.done;
    return err;
}
