/* A builder's inside, for the files of this room that write lists. */
#ifndef NR_WATCHLIST_BUILD_H
#define NR_WATCHLIST_BUILD_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/table.h"
#include "watchlist/format.h"
#include "watchlist/watchlist.h"

/* Records of one size, each of them once: number by content. */
struct nr_wl_pool {
    uint8_t *v; /* owned; N records of SIZE octets */
    size_t size, n, cap;
    uint32_t *slots; /* owned; number + 1, 0: empty; a power of 2 */
    size_t n_slots;
    uint64_t seed;
};

void nr_wl_pool_init(struct nr_wl_pool *p, size_t size, uint64_t seed);
void nr_wl_pool_fini(struct nr_wl_pool *p);
/* The number of REC, added if new. NR_ENOMEM. */
enum nr_err nr_wl_pool_put(struct nr_wl_pool *p, const void *rec,
    uint32_t *number) NR_MUST_USE;

/* A list of claims: PARENT's, then CLAIM. Number 0 is the empty one. */
struct nr_wl_chain {
    uint32_t parent, claim, n, zero;
};

/* Keys on their way in, so that their buckets are fetched together. */
#define NR_WL_WAITING ((size_t)32)

struct nr_wl_waiting {
    uint64_t hash;
    size_t key_at; /* in the builder's waiting_keys */
    uint32_t key_n, kind, about;
};

/* Where a builder finds its entries. */
#define NR_WL_BUCKET ((size_t)8) /* slots of a bucket */

struct nr_wl_bucket {
    struct nr_sieve_slot s[NR_WL_BUCKET];
};

struct nr_watchlist_builder {
    struct nr_sieve_key key;
    uint64_t warned;
    struct nr_watchlist_defaults defaults;
    struct nr_wl_entry *entries; /* owned */
    uint64_t *hashes;            /* owned; of each entry */
    uint8_t *flags;              /* owned, or NULL while all are 0 */
    size_t n, cap, n_removed;
    size_t max; /* entries: NR_WATCHLIST_MAX, but in tests */
    struct nr_buf keys;
    struct nr_wl_bucket *buckets; /* owned */
    size_t n_buckets;
    struct nr_wl_pool abouts; /* nr_wl_about; claim_at is a chain's number */
    struct nr_wl_pool claims; /* nr_wl_claim */
    struct nr_wl_pool chains; /* nr_wl_chain */
    struct nr_buf strings;
    struct nr_table texts; /* text -> offset in strings */
    struct nr_arena arena; /* keys of texts */
    struct nr_wl_waiting waiting[NR_WL_WAITING];
    size_t n_waiting;
    struct nr_buf waiting_keys;
    uint32_t seen_old, seen_new, seen_both; /* the last merge of abouts */
};

/* Flags of an entry. */
enum {
    NR_WL_RENEW = 1, /* what the list says of it goes */
    NR_WL_GONE = 2,  /* and nothing takes its place */
};

static inline struct nr_bytes
nr_wl_key_of(const struct nr_watchlist_builder *b, size_t i)
{
    uint64_t at = nr_wl_key_at(&b->entries[i]);

    return nr_bytes_sub(nr_buf_bytes(&b->keys), at, at + b->entries[i].key_n);
}

static inline uint8_t
nr_wl_flags_of(const struct nr_watchlist_builder *b, size_t i)
{
    return b->flags ? b->flags[i] : 0;
}

/* The about that says what OLD and NEW say. NR_ENOMEM. */
enum nr_err nr_wl_merge_abouts(struct nr_watchlist_builder *b, uint32_t old,
    uint32_t new, uint32_t *both) NR_MUST_USE;

/* Make N_BUCKETS of all entries, under another hash key if these do not hold
 * them, or if NEW_KEY. NR_ENOMEM, NR_ELIMIT. */
enum nr_err nr_wl_rehash(struct nr_watchlist_builder *b, size_t n_buckets,
    bool new_key, struct nr_diag *d) NR_MUST_USE;

/* What a delta is built upon; for a base all zero. */
struct nr_wl_base {
    uint32_t level;
    uint64_t below, first;
    const uint32_t *dead;
    size_t n_dead;
};

/* The file of B: as octets appended to OUT, or at PATH (crash-safe). LOCKED:
 * nobody else writes this list, so the new file has one name and what a crash
 * left under it goes. */
enum nr_err nr_wl_encode(struct nr_watchlist_builder *b,
    const struct nr_wl_base *base, int64_t created_s, struct nr_buf *out,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_wl_write(struct nr_watchlist_builder *b,
    const struct nr_wl_base *base, const char *path, bool locked,
    int64_t created_s, struct nr_diag *d) NR_MUST_USE;

/* The lock of those who change the list at PATH: *FD is to be closed. Not
 * MAKE: when there is no file for it, nobody ever did, and *FD becomes -1. */
enum nr_err nr_wl_lock(const char *path, bool make, int *fd,
    struct nr_diag *d) NR_MUST_USE;

/* And a base at PATH: deltas that are there go. */
enum nr_err nr_wl_write_base(struct nr_watchlist_builder *b, const char *path,
    bool locked, int64_t created_s, struct nr_diag *d) NR_MUST_USE;

#endif
