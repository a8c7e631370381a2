/*
 * Hash table from octets to a number, for sets and indexes in memory.
 *
 * Open addressing with linear probing, doubled at 3/4 full; one look-up costs
 * one hash and usually one cache line. Keys are borrowed: the caller keeps
 * the octets in place while the table lives. Hashes are seeded by the caller,
 * who passes randomness where keys come from outside. One thread at a time.
 */
#ifndef NR_TABLE_H
#define NR_TABLE_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nr_table_slot {
    struct nr_bytes key; /* key.p NULL: empty */
    uint64_t value;
};

struct nr_table {
    struct nr_table_slot *slots; /* owned */
    size_t cap, n;               /* slots (a power of 2, or 0); in use */
    uint64_t seed;
};

void nr_table_init(struct nr_table *t, uint64_t seed);
void nr_table_fini(struct nr_table *t);

/* Pointer to the value of KEY, valid until the next insertion; NULL: none. */
uint64_t *nr_table_get(const struct nr_table *t, struct nr_bytes key);

/* Pointer to the value of KEY, inserted as VALUE if it was not there; *ADDED
 * (may be NULL) says which. key.p must not be NULL. NULL: out of memory. */
uint64_t *nr_table_put(struct nr_table *t, struct nr_bytes key, uint64_t value,
    bool *added);

#endif
