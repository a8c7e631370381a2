/* Making one segment of several. Private to the room. */
#ifndef NR_ARCHIVE_MERGE_H
#define NR_ARCHIVE_MERGE_H

#include "archive/build.h"
#include "archive/store.h"

struct merge_result {
    uint64_t seq, from, to, text; /* as struct nr_compact_merge */
    size_t bad;                   /* NR_EDAMAGED: which of V */
};

/*
 * Make the segments V[0..n) of A, by their place in a->v, one and publish it;
 * it stands at the end of a->v then, and they are hidden. NR_ELIMIT: the
 * tables would take more than MEMORY; nothing was changed. NR_EDAMAGED: one of
 * them cannot be read. NR_ENOMEM, NR_ESYS.
 */
enum nr_err merge_segments(struct nr_archive *a, const size_t *v, size_t n,
    size_t memory, int64_t now_s, struct merge_result *out,
    struct nr_diag *d) NR_MUST_USE;

/* Can S be merged? Of a line that is not kept in full only the index of its
 * own segment knows what it shows. */
enum nr_err merge_is_whole(struct segment *s, bool *is,
    struct nr_diag *d) NR_MUST_USE;

#endif
