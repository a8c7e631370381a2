/*
 * The distinct values of a run with their counts. Private to the room.
 *
 * A value costs 16 octets, its key, and a slot of 8 octets in a table that is
 * at least 3/8 full. One thread at a time.
 */
#ifndef NR_EXTRACT_UNIQUE_H
#define NR_EXTRACT_UNIQUE_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

#define NR_UNIQUE_LINE_MAX  (((uint64_t)1 << 44) - 1) /* kept exactly */
#define NR_UNIQUE_COUNT_MAX (((uint64_t)1 << 40) - 1) /* counted exactly */

struct nr_unique;

struct nr_unique_value {
    unsigned kind;
    struct nr_bytes key; /* borrowed from the set */
    uint64_t count, line;
    uint32_t file;
};

/* MEMORY: octets it may have in all, sorting included. NULL: no memory. */
struct nr_unique *nr_unique_create(uint64_t memory, uint64_t seed);
void nr_unique_destroy(struct nr_unique *u); /* NULL is allowed */

uint32_t nr_unique_hash(const struct nr_unique *u, unsigned kind,
    struct nr_bytes key);

/* Have the place of HASH fetched while other work is done. */
void nr_unique_prefetch(const struct nr_unique *u, uint32_t hash);

/* Count (KIND < 64, KEY of at most 16383 octets) once more, seen first at LINE
 * of FILE < 2^20. HASH is that of nr_unique_hash. NR_ELIMIT: MEMORY is used up;
 * NR_ENOMEM. */
enum nr_err nr_unique_add(struct nr_unique *u, uint32_t hash, unsigned kind,
    struct nr_bytes key, uint32_t file, uint64_t line) NR_MUST_USE;

uint32_t nr_unique_n(const struct nr_unique *u);

enum nr_unique_order {
    NR_UNIQUE_BY_FIRST, /* sight */
    NR_UNIQUE_BY_COUNT, /* highest first; then as BY_FIRST */
    NR_UNIQUE_BY_VALUE, /* by kind, then by key */
};

/* Bring them into order. NR_ENOMEM. */
enum nr_err nr_unique_sort(struct nr_unique *u,
    enum nr_unique_order how) NR_MUST_USE;

/* The I-th value in the order last sorted, since when none was added. */
struct nr_unique_value nr_unique_at(const struct nr_unique *u, uint32_t i);

#endif
