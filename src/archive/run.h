/*
 * A run: the keys of many segments in one sorted dictionary, so that a hunt
 * walks one file instead of all their indexes. Private to the room.
 *
 * It is a filter: a key that stands in a segment stands in the run with that
 * segment; a few say "perhaps" of a segment that has no such key. Never needed:
 * segments that no run covers, and all when a run is damaged, are asked
 * themselves. Octets: noroshi-archive(5), RUN.
 *
 * Thread-safety: a run that is open may be looked up in by many threads, each
 * with a place of its own.
 */
#ifndef NR_ARCHIVE_RUN_H
#define NR_ARCHIVE_RUN_H

#include "archive/segment.h"

#define RUN_VERSION      1u
#define RUN_HEADER       ((size_t)32)
#define RUN_TRAILER      ((size_t)64)
#define RUN_PAGE         ((size_t)65536)
#define RUN_GROUP        ((size_t)64) /* keys */
#define RUN_DIR_ROW      ((size_t)12)
#define RUN_COVER_ROW    ((size_t)16)
#define RUN_CLASS_ROW    ((size_t)48)
#define RUN_SEGMENTS_MAX ((size_t)4096)
/* Of a key in so many segments each is named; of one in more, none: it may be in
 * any. Numbers in the place of an ordinal, behind those of the segments. */
#define RUN_NAMED_MAX 3u

enum run_several { RUN_TWO, RUN_THREE, RUN_ANY, RUN_SEVERAL };

#define RUN_WIDTH_MAX 56u /* bits of a distance; wider ones are 64 */
#define RUN_MAGIC     "\x89NRRUN\r\n"
#define RUN_MAGIC_END "NRRUNEND"

/* A segment that a run covers. */
struct run_covered {
    uint64_t seq, sum; /* segment_sum() */
};

/* The part of a stored key that a run keeps, in the same order: of IPv6 the
 * network of 64 bits. */
static inline uint64_t
run_key(enum seg_class c, struct seg_key stored)
{
    return c == SEG_V6 ? stored.hi : stored.lo;
}

/* Bits of an ordinal in a run of N segments. */
static inline unsigned
run_ordinal_bits(size_t n)
{
    return 64 - (unsigned)__builtin_clzll(n + RUN_SEVERAL - 1);
}

/* How many low bits of run_key() are dropped when there are KEYS of class C:
 * so many that one look-up in 16 (names) or 256 (IPv4) says "perhaps" of what is
 * not there. */
unsigned run_shift(enum seg_class c, uint64_t keys);

/* --- reading --- */

struct run;

/* NR_EDAMAGED, NR_EFORMAT (another version), NR_ENOTFOUND, NR_ENOMEM,
 * NR_ESYS. */
struct nr_archive_key; /* NULL: it is not sealed */
enum nr_err run_open(const char *path, const char *name,
    const struct nr_archive_key *key, struct run **out,
    struct nr_diag *d) NR_MUST_USE;
/* The same of octets that outlive the run. */
enum nr_err run_open_mem(struct nr_bytes map, const char *name,
    struct run **out, struct nr_diag *d) NR_MUST_USE;
void run_close(struct run *r);

const char *run_name(const struct run *r);
uint64_t run_number(const struct run *r);
uint64_t run_size(const struct run *r);
uint64_t run_keys(const struct run *r, enum seg_class c);
size_t run_covers(const struct run *r);
struct run_covered run_covered(const struct run *r, size_t ordinal);

/* Where a walk through a class is; zero at first. */
struct run_place {
    bool is;
    uint64_t group;
    uint32_t n;
    unsigned width;
    uint64_t first, next; /* keys: of this group, of the one behind it */
    const uint8_t *values, *ordinals, *lists, *end;
};

/*
 * Tell HIT the ordinal of every segment that may have a key of class C in
 * [LO, HI], both as run_key(); an ordinal may come more than once. Cheapest when
 * LO ascends from call to call. NR_EDAMAGED.
 */
enum nr_err run_look(const struct run *r, enum seg_class c, struct run_place *p,
    uint64_t lo, uint64_t hi, void (*hit)(void *ctx, uint32_t ordinal),
    void *ctx, struct nr_diag *d) NR_MUST_USE;

/* Every octet and the order of all keys. NR_EDAMAGED. */
enum nr_err run_verify(const struct run *r, struct nr_diag *d) NR_MUST_USE;

/* --- writing --- */

struct run_writer;

/* Begin run NUMBER in DIR, as a temporary file. NR_ELIMIT: N above
 * RUN_SEGMENTS_MAX; NR_ESYS, NR_ENOMEM. */
enum nr_err run_writer_open(const char *dir, uint64_t number,
    const struct run_covered *v, size_t n, const struct nr_archive_key *key,
    struct run_writer **out, struct nr_diag *d) NR_MUST_USE;
/* Gives up what was not published. NULL is fine. */
void run_writer_close(struct run_writer *w);
/* Begin class C: each once, in their order; all that were left out are empty. */
enum nr_err run_writer_class(struct run_writer *w, enum seg_class c,
    unsigned shift, struct nr_diag *d) NR_MUST_USE;
/* KEY, as run_key(), stands in segment ORDINAL: ascending keys, and ascending
 * ordinals of equal ones. NR_ESYS, NR_ENOMEM; NR_ELIMIT: 4 GiB of a class. */
enum nr_err run_writer_put(struct run_writer *w, uint64_t key, uint32_t ordinal,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err run_writer_publish(struct run_writer *w, uint64_t *size,
    struct nr_diag *d) NR_MUST_USE;

#endif
