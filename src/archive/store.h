/* What the parts of an open archive share. Private to the room. */
#ifndef NR_ARCHIVE_STORE_H
#define NR_ARCHIVE_STORE_H

#include "archive/archive.h"
#include "archive/seal_in.h"
#include "archive/segment.h"
#include "base/file.h"
#include "logline/logline.h"

#define STORE_DAYS_OCTETS ((size_t)SEG_DAYS / 8 + 2)

struct store_streams; /* streams.c */

/* How long what was merged into another segment stays beside it: a copy of the
 * directory that began before may still be under way. */
#define STORE_GRACE_S NR_S_PER_DAY

/* A segment that another one stands in for, while its file is still there. */
struct store_hidden {
    struct seg_replaced of;
    uint64_t by; /* number of the segment that names it */
};

struct nr_archive {
    char dir[NR_PATH_MAX];
    enum nr_archive_mode mode;
    int lock;           /* -1: none */
    struct segment **v; /* owned, by sequence number */
    size_t n, cap;
    size_t damaged;
    uint64_t next_seq;
    struct nr_archive_caller problem;
    struct nr_archive_key own;        /* wiped at close */
    const struct nr_archive_key *key; /* OWN; NULL: the archive is not sealed */
    uint8_t *days[NR_LOG_KINDS];      /* presence of all segments; NULL: none */
    struct store_streams *streams;    /* owned; NULL: none */
    /* Days of which a kind is known, by the rhythm of its streams; owned. Not
     * to be read before store_rhythm(). */
    uint8_t *known[NR_LOG_KINDS];
    bool judged;                 /* KNOWN is made */
    struct store_hidden *hidden; /* owned; by number */
    size_t n_hidden;
    struct run **runs; /* owned; see runs.h */
    size_t n_runs;
};

/* Tell the owner of the archive; counts when it is damage of ours. */
void store_say(struct nr_archive *a, const struct nr_diag *d);

/* store_replaced.c: take out of a->v what a segment of it replaces. What of
 * BAD[0..n), numbers of files that could not be opened, is replaced is taken
 * out of BAD. NR_ENOMEM. */
enum nr_err store_hide(struct nr_archive *a, uint64_t *bad, size_t *n,
    struct nr_diag *d) NR_MUST_USE;
/* Remove the files of what was replaced STORE_GRACE_S before NOW_S; *N: how
 * many. A is open for writing. NR_ESYS. */
enum nr_err store_sweep(struct nr_archive *a, int64_t now_s, size_t *n,
    struct nr_diag *d) NR_MUST_USE;
/* Does another segment of A stand in for number SEQ, whose file is here? */
bool store_is_hidden(const struct nr_archive *a, uint64_t seq);
/* Remove the files of what segment I replaces, before it goes itself. */
enum nr_err store_sweep_of(struct nr_archive *a, size_t i,
    struct nr_diag *d) NR_MUST_USE;
/* "NNNNNNNNNNNNNNNN.seg" of a number. */
#define STORE_NAME ((size_t)24)
void store_name(uint64_t seq, char out[STORE_NAME]);

/* Open segment NAME and take it in. */
enum nr_err store_take(struct nr_archive *a, const char *name,
    struct nr_diag *d) NR_MUST_USE;

/* Segment I proved damaged: say WHY, take it and its days out. */
enum nr_err store_drop(struct nr_archive *a, size_t i,
    const struct nr_diag *why, struct nr_diag *d) NR_MUST_USE;

/* Take in the streams of segment S. NR_EDAMAGED, NR_ENOMEM. */
enum nr_err streams_take(struct nr_archive *a, struct segment *s,
    struct nr_diag *d) NR_MUST_USE;
/* The same for one row that is in no segment. NR_ENOMEM. */
struct seg_stream;
enum nr_err streams_row(struct nr_archive *a,
    const struct seg_stream *row) NR_MUST_USE;
/* Forget all streams and what was found of them. */
void streams_clear(struct nr_archive *a);
/* Find the rhythm of all streams, once. NR_ENOMEM. */
enum nr_err store_rhythm(struct nr_archive *a, struct nr_diag *d) NR_MUST_USE;

struct nr_indicator;
/* What is to be said to the answer V for I besides, and what that makes of it.
 * V is complete otherwise; after store_rhythm(). */
void store_notes(const struct nr_archive *a, const struct nr_indicator *i,
    struct nr_answer *v);

/* Days and streams anew, from the segments that are there. */
enum nr_err store_recount(struct nr_archive *a, struct nr_diag *d) NR_MUST_USE;

/* Days of window W on which a kind of mask KINDS is known. */
uint64_t store_covered(const struct nr_archive *a, uint32_t kinds,
    struct nr_days w);

/* The others, as ranges; arena-owned. NR_ENOMEM. */
enum nr_err store_gaps(const struct nr_archive *a, uint32_t kinds,
    struct nr_days w, struct nr_arena *arena, const struct nr_days **out,
    size_t *n) NR_MUST_USE;

/* The rule of answers. */
enum nr_answer_kind store_answer(uint64_t lines, uint64_t denied,
    double coverage, bool has_kind);

#endif
