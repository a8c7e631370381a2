/* An open watchlist; inside of the room. */
#ifndef NR_WATCHLIST_LIST_H
#define NR_WATCHLIST_LIST_H

#include "watchlist/format.h"
#include "watchlist/watchlist.h"

#include <stdatomic.h>
#include <sys/types.h>

#define NR_WL_LAYERS (1 + NR_WATCHLIST_DELTAS)

/* One file. Its parts lie within it; what they say is checked at use. */
struct nr_wl_layer {
    struct nr_bytes file; /* mapped, or in heap */
    void *heap;           /* owned; NULL when mapped */
    bool mapped;
    dev_t dev; /* of a mapped one */
    ino_t ino;
    const struct nr_wl_head *head;
    const struct nr_wl_entry *entries;
    struct nr_bytes keys, strings;
    const struct nr_wl_about *abouts;
    const struct nr_wl_claim *claims;
    const struct nr_sieve_slot *slots;
    const uint64_t *filter, *nets;
    const uint32_t *dead;
    const uint64_t *sums;
    size_t n, n_abouts, n_claims, n_slots, n_words, n_nets, n_dead;
    size_t first;              /* number of its first indicator */
    _Atomic(uint8_t) *checked; /* owned; enum page, one a page of SUMS */
    size_t n_pages;
};

/* The printed values of some neighbouring indicators, made when one is first
 * asked for: text holds them one after the other. */
#define NR_WL_SHOWN ((size_t)32)

struct nr_wl_shown {
    uint32_t at[NR_WL_SHOWN + 1];
    char text[];
};

struct nr_watchlist {
    atomic_uint users;
    struct nr_wl_layer layers[NR_WL_LAYERS];
    size_t n_layers;
    size_t n_all;   /* indicators of all layers */
    uint32_t *dead; /* owned; numbers that no longer count, ascending */
    size_t n_dead;
    unsigned kinds; /* bit 1 << kind: there is one */
    bool has_len4[33], has_len6[129];
    bool has_idn;                         /* a name with an "xn--" label */
    _Atomic(struct nr_wl_shown *) *shown; /* owned; one per NR_WL_SHOWN */
};

/* A list of the one file that lies in HEAP, which is taken over. */
enum nr_err nr_wl_adopt_heap(void *heap, size_t n, struct nr_watchlist **out,
    struct nr_diag *d) NR_MUST_USE;

/* PATH's delta LEVEL (1..): its name into BUF (NR_PATH_MAX). NR_ELIMIT. */
enum nr_err nr_wl_delta_path(const char *path, size_t level, char *buf,
    struct nr_diag *d) NR_MUST_USE;

/* Are these octets of the file what was written? Answers are remembered. */
bool nr_wl_is_whole(const struct nr_wl_layer *l, const void *p, size_t n);

/* Entry I of L and its key, within the file; false: damaged. */
bool nr_wl_entry(const struct nr_wl_layer *l, size_t i, struct nr_wl_entry *e,
    struct nr_bytes *key) NR_MUST_USE;

/* And both are as they were written, and a key that its kind can have. */
bool nr_wl_sound_entry(const struct nr_wl_layer *l, size_t i,
    struct nr_wl_entry *e, struct nr_bytes *key) NR_MUST_USE;

/* N octets of the strings at AT, as text; empty when they do not fit. */
struct nr_str nr_wl_string(const struct nr_wl_layer *l, uint64_t at,
    uint64_t n);

/* The about of entry E; NULL: damaged. */
const struct nr_wl_about *nr_wl_about_of(const struct nr_wl_layer *l,
    const struct nr_wl_entry *e);

/* Number (over all layers, the dead counted) of the newest of this value that
 * is not dead. *READ, unless NULL, grows by the slots that were read. */
bool nr_wl_find(const struct nr_watchlist *w, unsigned kind,
    struct nr_bytes key, size_t *number, size_t *read) NR_MUST_USE;

/* The same with the hash at hand. */
bool nr_wl_find_hashed(const struct nr_watchlist *w, uint64_t hash,
    unsigned kind, struct nr_bytes key, size_t *number,
    size_t *read) NR_MUST_USE;

/* And in one layer, by its own numbers, dead or not. */
bool nr_wl_find_in(const struct nr_wl_layer *l, uint64_t hash, unsigned kind,
    struct nr_bytes key, size_t *i, size_t *read) NR_MUST_USE;

/* From the number of an indicator to its index, and back. */
size_t nr_wl_index_of(const struct nr_watchlist *w, size_t number);
size_t nr_wl_number_of(const struct nr_watchlist *w, size_t index);

/* The layer that holds NUMBER (< n_all), which becomes that within it. */
const struct nr_wl_layer *nr_wl_layer_of(const struct nr_watchlist *w,
    size_t *number);

#endif
