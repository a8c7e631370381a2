/*
 * The file of a watchlist: "NRWL", version 3.
 *
 *     head      below, with its own checksum
 *     entries   12 octets an indicator, in the order of adding
 *     keys      canonical keys; the printed text of a value is made from them
 *     abouts    56 octets: what is said of an indicator; equal ones are shared
 *     claims    48 octets; those of one about stand together
 *     strings   UTF-8 of claims and warnings; shared
 *     slots, filter, nets
 *               what the sieve reads (observable/sieve.h); the slots answer
 *               exact look-ups, too: no run of used ones is longer than
 *               NR_WATCHLIST_PROBES
 *     dead      of a delta: 4 octets each, ascending: the indicators below it
 *               that it removes or puts in a new form
 *     sums      8 octets a page of 64 KiB; pages are counted anew in every
 *               section, so that a checksum that does not hold names it
 *
 * Sections start at multiples of 64, in the order above; what is between two
 * of them belongs to the first. Ranges (CIDR) are entries under their
 * masked address and length; a look-up asks once for every length in use.
 *
 * An indicator's number is its place in the base, or behind all that stand in
 * the layers below its delta. A delta names by checksum the file it stands on,
 * and by that the whole stack: one left over from another stack is ignored.
 *
 * Numbers are those of the machine; `endian` tells another order, which is
 * refused: a list is compiled where it is used.
 */
#ifndef NR_WATCHLIST_FORMAT_H
#define NR_WATCHLIST_FORMAT_H

#include "base/hash.h"
#include "watchlist/watchlist.h"

#include <stdint.h>

#define NR_WL_VERSION 3
#define NR_WL_ENDIAN  0x4e524c31u
#define NR_WL_ALIGN   ((size_t)64)
#define NR_WL_PAGE    ((size_t)1 << 16)

struct nr_wl_section {
    uint64_t at, n; /* offset in octets; elements */
};

enum nr_wl_part {
    NR_WL_ENTRIES,
    NR_WL_KEYS,
    NR_WL_ABOUTS,
    NR_WL_CLAIMS,
    NR_WL_STRINGS,
    NR_WL_SLOTS,
    NR_WL_FILTER,
    NR_WL_NETS,
    NR_WL_DEAD,
    NR_WL_SUMS,
    NR_WL_PARTS_USED,
    NR_WL_PARTS = 16, /* room for more */
};

struct nr_wl_head {
    char magic[4]; /* "NRWL" */
    uint16_t version, head_n;
    uint32_t endian, level; /* 0: a base; 1..3: a delta */
    uint64_t size;          /* octets of the file */
    uint64_t checksum;      /* of this head, this field taken as 0 */
    uint64_t sums;          /* of the table of checksums */
    int64_t created_s;
    struct nr_sieve_key key; /* of the hashes */
    uint64_t warned;         /* version of the warninglists; 0: none */
    uint64_t below; /* of a delta: checksum of the layer it stands on */
    uint64_t first; /* of a delta: number of its first indicator */
    struct nr_sieve_marks marks;
    struct nr_wl_section parts[NR_WL_PARTS];
    uint32_t by_kind[32];
};

_Static_assert(sizeof(struct nr_wl_head) % 64 == 0, "head");

struct nr_wl_entry {
    uint32_t key_at; /* low 32 bits of 40 */
    uint16_t key_n;
    uint8_t key_at_high;
    uint8_t kind;
    uint32_t about;
};

_Static_assert(sizeof(struct nr_wl_entry) == 12, "entry");

struct nr_wl_about {
    int64_t valid_from_s, valid_until_s, first_seen_s, last_seen_s;
    uint64_t warn_at;
    uint32_t warn_n, claim_at, claim_n;
    uint8_t tlp, pap, role, zero;
};

_Static_assert(sizeof(struct nr_wl_about) == 56, "about");

struct nr_wl_claim {
    uint64_t id_at, source_at, reference_at;
    int64_t date_s;
    uint32_t id_n, source_n, reference_n, zero;
};

_Static_assert(sizeof(struct nr_wl_claim) == 48, "claim");

/* The parts as they follow each other in the file; NR_WL_SUMS is the last. */
extern const enum nr_wl_part nr_wl_order[NR_WL_PARTS_USED];

/* "entries", as verify names it. */
const char *nr_wl_part_name(enum nr_wl_part part);

/* More than NR_WATCHLIST_MAX indicators. */
extern const char nr_wl_too_many[];

static inline uint64_t
nr_wl_key_at(const struct nr_wl_entry *e)
{
    return (uint64_t)e->key_at_high << 32 | e->key_at;
}

/* Of a head; its own field counts as 0. */
static inline uint64_t
nr_wl_checksum(const struct nr_wl_head *head)
{
    struct nr_wl_head h = *head;

    h.checksum = 0;
    return nr_xxh64((struct nr_bytes){ (const uint8_t *)&h, sizeof(h) },
        NR_WL_VERSION);
}

#endif
