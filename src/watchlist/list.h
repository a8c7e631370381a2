/* An open watchlist; inside of the room. */
#ifndef NR_WATCHLIST_LIST_H
#define NR_WATCHLIST_LIST_H

#include "watchlist/format.h"
#include "watchlist/watchlist.h"

#include <stdatomic.h>
#include <sys/types.h>

#define NR_WL_LAYERS (1 + NR_WATCHLIST_DELTAS)

/* What several lists share that have the same file open. */
struct nr_wl_share {
    atomic_uint users;
    _Atomic(uint8_t) checked[]; /* enum page, one a page of SUMS */
};

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
    struct nr_wl_share *share; /* counted; with the last user FILE goes */
    size_t n_pages;
    size_t part_at[NR_WL_PARTS_USED];    /* in the order of nr_wl_order */
    size_t part_pages[NR_WL_PARTS_USED]; /* number of each one's first page */
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
    unsigned kinds;                /* bit 1 << kind: there is one */
    uint8_t lens4[33], lens6[129]; /* of ranges, longest first */
    size_t n_lens4, n_lens6;
    bool has_idn;                         /* a name with an "xn--" label */
    _Atomic(struct nr_wl_shown *) *shown; /* owned; one per NR_WL_SHOWN */
};

/* A list of the one file that lies in HEAP, which is taken over. */
enum nr_err nr_wl_adopt_heap(void *heap, size_t n, struct nr_watchlist **out,
    struct nr_diag *d) NR_MUST_USE;

/* The file at PATH as *L, its head checked and no page of it (that is what
 * verify is for). *L is to be given to nr_wl_layer_fini() on success only. */
enum nr_err nr_wl_layer_open(struct nr_wl_layer *l, const char *path,
    struct nr_diag *d) NR_MUST_USE;
void nr_wl_layer_fini(struct nr_wl_layer *l);

/* Does the table of checksums hold? And page I (< n_pages), which is *N octets
 * at *AT, in part *PART of the file? */
bool nr_wl_sums_hold(const struct nr_wl_layer *l);
bool nr_wl_page_is_whole(const struct nr_wl_layer *l, size_t i);
void nr_wl_page(const struct nr_wl_layer *l, size_t i, enum nr_wl_part *part,
    size_t *at, size_t *n);

/* What is wrong with the records of L, whose pages are whole. */
enum nr_err nr_wl_verify_records(const struct nr_wl_layer *l,
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

/* The version that stands for lists judged by A and by B. */
uint64_t nr_wl_judged_by_both(uint64_t a, uint64_t b);

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
