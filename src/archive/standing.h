/*
 * Standing hunt: what was asked of which segment is remembered, so that only
 * new values are asked of all segments, and all values of new segments.
 *
 * The answers are those that nr_archive_hunt() gives over everything: per
 * segment and value the lines, refusals, first, last, sources and days are
 * kept where there are any, and answers are their sums. Coverage is made anew
 * each time. Segments that were merged pass on what they were asked. Damage
 * that comes about in a segment after it was asked does not take its lines
 * back.
 *
 * The state is one file of records that is only appended to, each under a
 * checksum. Any beginning of it is a sound state that knows less: after a crash
 * or damage the rest is cut off and asked again. It is written anew when most
 * of it is of the past.
 *
 * Thread-safety: one thread; one process at a time.
 */
#ifndef NR_ARCHIVE_STANDING_H
#define NR_ARCHIVE_STANDING_H

#include "archive/archive.h"

struct nr_standing; /* owned by the caller of open; nr_standing_close */

#define NR_STANDING_VALUES_MAX ((size_t)50 * 1000 * 1000)
#define NR_STANDING_FILE_MAX   ((size_t)4 << 30) /* octets of the file */
#define NR_STANDING_BATCH      ((size_t)1 << 18) /* values of one hunt */

struct nr_standing_stat {
    uint64_t values;   /* distinct ones that stand */
    uint64_t segments; /* that were asked for all of them */
    uint64_t behind;   /* that were not, as far as known to the state */
    uint64_t found;    /* (value, segment) pairs with lines */
    uint64_t octets;   /* of the file */
    /* since open: (value, segment) pairs that were asked */
    uint64_t asked;
};

/*
 * Open the state in file PATH; with WRITE it is made if missing and a tail that
 * is not whole is cut off: *CUT says so (may be NULL). NR_ENOTFOUND (without
 * WRITE), NR_EFORMAT: the file is none, or of another version. NR_ENOMEM,
 * NR_ESYS.
 */
enum nr_err nr_standing_open(const char *path, bool write,
    struct nr_standing **out, bool *cut, struct nr_diag *d) NR_MUST_USE;
void nr_standing_close(struct nr_standing *s); /* NULL is fine */

/*
 * As nr_archive_hunt without lines, over A of which S is the state. Values not
 * yet known stand from now on. On failure nothing is lost: it can be asked
 * again. S has to be open for writing.
 */
enum nr_err nr_standing_hunt(struct nr_standing *s, struct nr_archive *a,
    const struct nr_indicator *const *indicators, size_t n, int64_t now_s,
    struct nr_arena *arena, struct nr_answer *v, struct nr_diag *d) NR_MUST_USE;

/*
 * A round in which all that stands is asked: values not asked between begin and
 * end stand no longer. End also writes the file anew when that makes it
 * smaller by half.
 */
void nr_standing_begin(struct nr_standing *s);
enum nr_err nr_standing_end(struct nr_standing *s,
    struct nr_diag *d) NR_MUST_USE;

void nr_standing_stat(const struct nr_standing *s,
    struct nr_standing_stat *out);

#endif
