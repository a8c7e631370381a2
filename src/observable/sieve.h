/*
 * The sieve: where in a block of log text an indicator of a list may stand.
 *
 * nr_scan() and a look-up in the list say what matches. Nearly every line
 * matches nothing, so a fast pass goes before: it hashes the observables that
 * it sees, asks the filters of the list, and gives *spots*, offsets of octets
 * that may belong to a match. Only the lines of spots are scanned.
 *
 *   complete   whatever the input: a line with a match has a spot. This is
 *              checked against nr_scan(), and each variant (scalar, AVX2,
 *              AVX-512, NEON) gives the very same spots as the scalar one
 *   not exact  a spot may be false. That costs the scan of a line, and is rare
 *
 * What is looked up is no key but its *probes*, hashes of at most 32 octets of
 * text that the pass can cut out without understanding the whole:
 *
 *   DOMAIN     the tail of the name: its last two labels, three when the last
 *              but one has at most three octets ("co.jp"); and, asked only
 *              when the tail is listed, the whole name
 *   URL        the first 32 octets behind "//"
 *   EMAIL      32 octets from 16 before the '@' on
 *   MD5 ...    the first 32 hex digits
 *   IPV4, ...  the address, masked for ranges, behind a bitmap of networks
 *
 * Case is folded by setting bit 5, which makes some different texts equal:
 * harmless, as spots are confirmed. Hashes are keyed (NH, a universal family,
 * with a multiplication behind it): without the key nobody can craft names
 * that collide. The key is that of the compiled list, drawn when a base list
 * is built; deltas take over the key of their base.
 *
 * Part of observable.h, which includes it.
 */
#ifndef NR_OBSERVABLE_SIEVE_H
#define NR_OBSERVABLE_SIEVE_H

#include "base/attr.h"
#include "base/cpu.h"
#include "base/err.h"
#include "base/num.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- the sections of a list that the sieve reads --- */

#define NR_SIEVE_KEYS_MAX ((size_t)1 << 30) /* indicators of one set */
#define NR_SIEVE_SETS_MAX ((size_t)4)       /* layers in one pass */

/* The secret of all hashes of a list: 16 random octets. */
struct nr_sieve_key {
    uint64_t k[2];
};

/* Open addressing with linear probing, at most two thirds full. */
struct nr_sieve_slot {
    uint32_t tag;    /* low half of the hash */
    uint32_t index1; /* index of the indicator, plus 1; 0: empty */
};

/* Properties of a set beside its kinds: what else the pass must look for. */
enum nr_sieve_trait {
    NR_SIEVE_XN = 1,     /* a name has a label "xn--..." */
    NR_SIEVE_XN_TLD = 2, /* ... as its last one */
};

#define NR_SIEVE_ENDS 128 /* words */

/* What goes into the head of a list's file. */
struct nr_sieve_marks {
    uint32_t kinds;               /* bit for each enum nr_kind present */
    uint32_t traits;              /* enum nr_sieve_trait */
    uint64_t cidr4;               /* bit for each prefix length in use */
    uint64_t cidr6[3];            /* likewise; 0..128 */
    uint64_t ends[NR_SIEVE_ENDS]; /* bits of the last labels of names */
};

/*
 * One list (layer), as plain views; mapped memory will do, aligned to 8. The
 * sections are what nr_sieve_put() wrote. Content from a damaged file gives
 * wrong spots, never an access outside.
 */
struct nr_sieve_set {
    struct nr_sieve_key key;
    struct nr_sieve_marks marks;
    const uint64_t *filter; /* Bloom filter, blocked by words */
    const struct nr_sieve_slot *slots;
    const uint64_t *nets; /* bit for each IPv4 /24 with a listed address or
                             range, numbers folded; a power of 2 of words */
    size_t filter_n, slots_n, nets_n; /* elements, >= 1 */
};

/* --- building a list --- */

/* Elements of the sections for a list with so many keys of each kind. */
struct nr_sieve_sizes {
    size_t filter_n, slots_n, nets_n;
};

/* COUNT[kind], NR_KINDS numbers, at most NR_SIEVE_KEYS_MAX together. */
struct nr_sieve_sizes nr_sieve_sizes(const size_t *count);

/* The sections while they are written: zeroed memory of the sizes above. */
struct nr_sieve_build {
    struct nr_sieve_key key;
    struct nr_sieve_marks marks; /* grows; zero at the start */
    uint64_t *filter;
    struct nr_sieve_slot *slots;
    uint64_t *nets;
    struct nr_sieve_sizes n;
};

struct nr_sieve_item {
    struct nr_bytes key; /* canonical (observable.h) */
    uint32_t kind;       /* enum nr_kind, any */
    uint32_t index;      /* what nr_sieve_next() shall give */
    uint64_t hash;       /* nr_sieve_hash() of it; 0: it is made here */
};

/*
 * Enter items, each (kind, key) once. Many at a time are faster: their places
 * in memory are fetched ahead. Items of cold kinds enter the slots only.
 */
void nr_sieve_put(struct nr_sieve_build *b, const struct nr_sieve_item *v,
    size_t n);

/* --- exact look-up through the slots --- */

/* The one hash of a (kind, canonical key); its place is in the slots. */
uint64_t nr_sieve_hash(const struct nr_sieve_key *k, enum nr_kind kind,
    struct nr_bytes key);

struct nr_sieve_find {
    size_t at, left;
    uint32_t tag;
};

static inline struct nr_sieve_find
nr_sieve_find(const struct nr_sieve_slot *slots, size_t slots_n, uint64_t hash)
{
    struct nr_sieve_find f = { (size_t)((hash >> 32) * slots_n >> 32), slots_n,
        (uint32_t)hash };

    __builtin_prefetch(slots + f.at);
    return f;
}

/* Next indicator that may have this hash; the caller compares kind and key.
 *     f = nr_sieve_find(s, n, nr_sieve_hash(...));
 *     while (nr_sieve_next(s, n, &f, &index)) ... */
NR_MUST_USE static inline bool
nr_sieve_next(const struct nr_sieve_slot *slots, size_t slots_n,
    struct nr_sieve_find *f, uint32_t *index)
{
    while (f->left > 0) {
        const struct nr_sieve_slot *s = slots + f->at;

        f->left = s->index1 == 0 ? 0 : f->left - 1;
        f->at = f->at + 1 == slots_n ? 0 : f->at + 1;
        if (s->index1 != 0 && s->tag == f->tag) {
            *index = s->index1 - 1;
            return true;
        }
    }
    return false;
}

/* --- the pass --- */

/* Offsets into the block, ascending, each once. */
struct nr_spots {
    uint32_t *v; /* owned */
    size_t n, cap;
};

void nr_spots_init(struct nr_spots *s);
void nr_spots_fini(struct nr_spots *s);

/* What the reader of the text asked for. */
enum nr_sieve_option {
    NR_SIEVE_FANGS = 1, /* text may be disarmed: "[.]", "hxxp", ... */
    /* A listed URL also matches as the start of a longer one, at any octet, or
     * without its query. Costs a look-up for each octet of short URLs. */
    NR_SIEVE_URL_PREFIX = 2,
};

struct nr_sieve;

/*
 * SETS (1..NR_SIEVE_SETS_MAX of them, all with the same key) are copied, what
 * they point to is borrowed until destroy. OPTIONS: enum nr_sieve_option. CPU:
 * nr_cpu_flags(), or less. NR_ENOMEM; NR_EFORMAT: keys differ, sizes cannot be.
 * One thread at a time uses a handle; make one for each.
 */
enum nr_err nr_sieve_create(const struct nr_sieve_set *sets, size_t n,
    unsigned options, unsigned cpu, struct nr_sieve **out,
    struct nr_diag *d) NR_MUST_USE;
void nr_sieve_destroy(struct nr_sieve *s); /* NULL is allowed */

/* "scalar", "avx2", "avx512", "neon" */
const char *nr_sieve_variant(const struct nr_sieve *s);

/* Octets before and behind a block that must be readable. */
#define NR_SIEVE_SLACK ((size_t)64)

/*
 * The spots of BLOCK; *OUT is emptied first and keeps its memory. A spot lies
 * in the line that it speaks of; a line may have many.
 *
 * BLOCK starts at the start of a line and has at most NR_SCAN_BLOCK_MAX octets.
 * NR_SIEVE_SLACK octets before and behind it are readable; the one right
 * before is a line feed, and so is the one right behind unless the block
 * itself ends with one. The others may hold anything: a block may be part of a
 * buffer. NR_ELIMIT, NR_ENOMEM.
 */
enum nr_err nr_sieve_run(struct nr_sieve *s, struct nr_bytes block,
    struct nr_spots *out) NR_MUST_USE;

/* May addresses of the /24 of A, an address, be in the list, or in a range of
 * it, whose map of networks NETS is? */
bool nr_sieve_net_is_marked(const uint64_t *nets, size_t nets_n,
    const uint8_t a[4]);

/* May the name with this nr_sieve_hash() be in the list whose FILTER is? */
bool nr_sieve_name_is_marked(const uint64_t *filter, size_t filter_n,
    uint64_t hash);

/* Line feeds in IN, by the fastest way of CPU. No slack is needed. */
size_t nr_count_lines(struct nr_bytes in, unsigned cpu);
/* AT plus the offset behind each line feed in IN, to TO, which has room for
 * in.n + 2; their number. */
size_t nr_list_lines(struct nr_bytes in, unsigned cpu, uint32_t at,
    uint32_t *to);

#endif
