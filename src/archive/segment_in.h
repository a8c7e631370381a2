/* The inside of a segment that is read. Private to segment*.c. */
#ifndef NR_ARCHIVE_SEGMENT_IN_H
#define NR_ARCHIVE_SEGMENT_IN_H

#include "archive/seal_in.h"
#include "archive/segment.h"

#define NAME_MAX_OCTETS ((size_t)64)

struct section {
    uint64_t at, octets, count;
};

/* The group of entries that was decoded last. */
struct seg_group {
    bool is;
    uint64_t number;
    uint32_t n;
    struct seg_key key[SEG_GROUP];
    uint64_t entries, end; /* offsets in the file */
    uint32_t next;         /* the entry at next_at */
    uint64_t next_at;
};

struct segment {
    struct nr_bytes map;    /* of a sealed one the view's plain text */
    struct nr_bytes file;   /* mapped; empty: octets of the caller */
    struct seal_view *view; /* owned; NULL: not sealed */
    bool unchecked;
    char name[NAME_MAX_OCTETS];
    uint64_t index_at, sums_at;
    uint8_t *page_ok; /* one octet a page of the index */
    struct section sec[SEG_SECTIONS];
    struct seg_info info;
    uint64_t keys[SEG_CLASSES];
    struct seg_group group[SEG_CLASSES];
};

static inline uint64_t
le(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = n; i > 0; i--)
        v = v << 8 | p[i - 1];
    return v;
}

static inline uint64_t
be64(const uint8_t *p)
{
    uint64_t v = 0;

    for (size_t i = 0; i < 8; i++)
        v = v << 8 | p[i];
    return v;
}

/* NR_EDAMAGED; D says that octet AT of the segment is WHAT. */
enum nr_err segment_damaged(const struct segment *s, struct nr_diag *d,
    uint64_t at, const char *what);
/* Check the sums of the pages that hold [AT, AT + N) of the index. */
enum nr_err segment_need(struct segment *s, uint64_t at, uint64_t n,
    struct nr_diag *d) NR_MUST_USE;
/* Check what the table says of the index. */
bool segment_index_is_sound(const struct segment *s) NR_MUST_USE;

/* segment_replaced.c: are all rows of REPLACES sound? */
enum nr_err segment_verify_replaced(struct segment *s,
    struct nr_diag *d) NR_MUST_USE;

#endif
