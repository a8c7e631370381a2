/*
 * The file of a watchlist: "NRWL", version 1.
 *
 *     head      128 octets, below
 *     entries   88 octets each, in the order of adding
 *     claims    48 octets each; those of one entry stand together
 *     slots     8 octets each, a power of 2, at least twice the entries: open
 *               addressing with linear probing; the low bits of the hash of
 *               (kind, key) choose the first, the high half is the tag
 *     filter    8 octets each, a power of 2: a blocked Bloom filter of four
 *               bits in one word a key, about 16 bits a key. A miss, which
 *               nearly every token is, costs this one word
 *     text      octets: keys, canonical texts, names; spans may be shared
 *
 * Sections start at multiples of 8. Ranges (CIDR) are entries under their
 * masked address and length; a look-up asks once for every length in use.
 * Numbers are those of the machine; `endian` tells another order, which is
 * refused: a list is compiled where it is used.
 */
#ifndef NR_WATCHLIST_FORMAT_H
#define NR_WATCHLIST_FORMAT_H

#include "base/hash.h"
#include "watchlist/watchlist.h"

#include <stdint.h>

#define NR_WL_VERSION 1
#define NR_WL_ENDIAN  0x4e524c31u

struct nr_wl_section {
    uint64_t at, n; /* offset in octets; elements */
};

struct nr_wl_head {
    char magic[4]; /* "NRWL" */
    uint16_t version, head_n;
    uint32_t endian, zero;
    uint64_t size;     /* octets of the file */
    uint64_t checksum; /* nr_wl_checksum(), this field taken as 0 */
    int64_t created_s;
    uint64_t seed; /* of the hashes */
    struct nr_wl_section entries, claims, slots, filter, text;
};

_Static_assert(sizeof(struct nr_wl_head) == 128, "head");

struct nr_wl_entry {
    uint64_t key_at, value_at, warn_at, claim_at;
    int64_t valid_from_s, valid_until_s, first_seen_s, last_seen_s;
    uint32_t key_n, value_n, warn_n, claim_n;
    uint8_t kind, tlp, pap, role;
    uint32_t zero;
};

_Static_assert(sizeof(struct nr_wl_entry) == 88, "entry");

struct nr_wl_claim {
    uint64_t id_at, source_at, reference_at;
    int64_t date_s;
    uint32_t id_n, source_n, reference_n, zero;
};

_Static_assert(sizeof(struct nr_wl_claim) == 48, "claim");

struct nr_wl_slot {
    uint32_t tag, index; /* index + 1; 0: empty */
};

static inline uint64_t
nr_wl_hash(uint64_t seed, unsigned kind, struct nr_bytes key)
{
    return nr_xxh64(key, seed ^ (kind + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

/* The four bits of a hash in its filter word. */
static inline uint64_t
nr_wl_filter_bits(uint64_t h)
{
    return UINT64_C(1) << (h >> 40 & 63) | UINT64_C(1) << (h >> 46 & 63) |
        UINT64_C(1) << (h >> 52 & 63) | UINT64_C(1) << (h >> 58);
}

/* Of the whole file FILE (at least a head long). */
static inline uint64_t
nr_wl_checksum(struct nr_bytes file)
{
    struct nr_wl_head head;
    uint64_t sum;

    memcpy(&head, file.p, sizeof(head));
    head.checksum = 0;
    sum = nr_xxh64((struct nr_bytes){ (const uint8_t *)&head, sizeof(head) },
        0);
    return nr_xxh64(nr_bytes_sub(file, sizeof(head), file.n), sum);
}

#endif
