/*
 * Many small segments become few larger ones. An agent publishes a segment a
 * minute; each has a price in every hunt and there can be only
 * NR_ARCHIVE_SEGMENTS_MAX of them.
 *
 * Segments have levels by the octets of their text, eight times as many on each.
 * As soon as NR_COMPACT_LEAST of one level lie in the span allowed they are
 * made one, which stands on the next level: an octet is written anew once a
 * level, so O(log) times. Lines, their numbers, offsets, times and refusals,
 * names, days and answers stay exactly as they were; blocks are filled up, and
 * parts of a file that follow each other become one part.
 *
 * A crash leaves the old segments or the new one: it names what it replaces,
 * and becomes visible in one rename. The files replaced stay a day, unasked, so
 * that a copy of the directory that is under way is whole.
 *
 * Then the keys of many segments are merged into runs (runs.h), when no merge of
 * segments is due any more.
 *
 * Thread-safety: as the archive.
 */
#ifndef NR_ARCHIVE_COMPACT_H
#define NR_ARCHIVE_COMPACT_H

#include "archive/keep.h"

#define NR_COMPACT_LEAST ((size_t)8)  /* segments that are worth a merge */
#define NR_COMPACT_MOST  ((size_t)64) /* segments of one merge */

struct nr_compact_merge {
    size_t segments;   /* that became one ... */
    uint64_t seq;      /* ... of this number; 0: dry run */
    uint64_t text;     /* octets of logs in it */
    uint64_t from, to; /* octets stored before and after; dry run: to is 0 */
};

struct nr_compact_options {
    int64_t now_s;
    size_t memory;     /* of the tables; 0: NR_ARCHIVE_MEMORY */
    size_t least;      /* 0: NR_COMPACT_LEAST; at least 2 */
    int64_t span_days; /* of one segment; 0: NR_SEGMENT_SPAN_DAYS. Retention
                           drops whole segments: it wants short ones. */
    bool same_kinds;   /* merge only what has the same kinds of log */
    size_t merges;     /* at most so many; 0: all that are due */
    bool dry_run;      /* only count what is due */
    size_t run_least;  /* segments worth a run; 0: sixteen */
    const struct nr_holds
        *holds; /* not merged with what is not held; or NULL */
    /* After each merge, or before it when dry; may be NULL. */
    void (*merged)(void *ctx, const struct nr_compact_merge *m);
    void *merged_ctx;
};

struct nr_compacted {
    size_t merges, segments; /* made; replaced by these */
    size_t removed;          /* files that had been replaced a day ago */
    size_t runs;             /* dictionaries made of many segments ... */
    size_t run_segments;     /* ... they cover */
    uint64_t run_keys, run_octets;
    size_t left; /* segments in the archive now */
    bool more;   /* a merge is due still */
};

/*
 * Merge what is due in A, open for writing, and remove what was replaced a day
 * ago. Segments that prove damaged are said and left alone.
 * NR_EDENIED: open for reading, and no dry run. NR_ELIMIT: memory or LEAST make no sense.
 * NR_ENOMEM, NR_ESYS (disk full: what was merged before stands).
 */
enum nr_err nr_archive_compact(struct nr_archive *a,
    const struct nr_compact_options *o, struct nr_compacted *out,
    struct nr_diag *d) NR_MUST_USE;

#endif
