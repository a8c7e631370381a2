/*
 * The runs of an archive: which there are, what they leave to be asked of each
 * segment, and building them.
 *
 * Runs have levels by how many segments they cover, eight times as many on
 * each. NR_RUN_LEAST segments that no run covers become one; NR_RUN_FANOUT runs
 * of one level become one of the next. A run comes into being by one rename;
 * those it stands in for go after that, and while both are there the larger one
 * is used. A segment that was merged or repaired is not covered any more: a run
 * names the checksum of each. When a segment is dropped, the runs that know its
 * keys go with it.
 *
 * Thread-safety: as the archive.
 */
#ifndef NR_ARCHIVE_RUNS_H
#define NR_ARCHIVE_RUNS_H

#include "archive/hunt.h"
#include "archive/run.h"

#define NR_RUN_LEAST  ((size_t)16)
#define NR_RUN_FANOUT ((size_t)8)
#define RUNS_MAX      ((size_t)65536) /* files */

/* What is asked of segments: of segment I of the archive the probes
 * ONLY[I], ascending numbers, if COVERED[I]; else all. */
struct narrowed {
    size_t n; /* segments */
    bool *covered;
    struct nr_buf *only; /* uint32_t */
};

/* Ask the runs of A about P, by up to THREADS threads. A damaged run is said and
 * what it covers is asked of the segments. NR_ENOMEM. */
enum nr_err runs_narrow(struct nr_archive *a, const struct probes *p,
    size_t threads, struct narrowed *out, struct nr_diag *d) NR_MUST_USE;
void narrowed_free(struct narrowed *n);

/* Segment of A that is the one covered; RUNS_NONE: it is gone, or another by
 * now. */
#define RUNS_NONE UINT32_MAX
uint32_t runs_segment(const struct nr_archive *a, struct run_covered c);

/* Open run file NAME of the archive into its list. One that cannot be read is
 * said and left out. NR_ENOMEM, NR_ESYS. */
enum nr_err runs_take(struct nr_archive *a, const char *name,
    struct nr_diag *d) NR_MUST_USE;
void runs_close(struct nr_archive *a);
/* "NNNNNNNNNNNNNNNN.run". */
bool runs_is_name(const char *name, uint64_t *number);

struct runs_built {
    size_t made, segments; /* runs; segments they cover */
    uint64_t keys, octets; /* of these */
    size_t removed;        /* files */
};

/* Build what is due in A, open for writing, from at least LEAST segments (0:
 * NR_RUN_LEAST). MADE: told of each run; may be NULL. NR_ENOMEM, NR_ESYS. */
enum nr_err runs_build(struct nr_archive *a, size_t least,
    struct runs_built *out, struct nr_diag *d) NR_MUST_USE;

/* Remove run file NAME, if it is there. NR_ESYS. */
enum nr_err runs_remove(struct nr_archive *a, const char *name,
    struct nr_diag *d) NR_MUST_USE;

/* Remove the runs that know keys of segment SEQ. NR_ESYS. */
enum nr_err runs_forget(struct nr_archive *a, uint64_t seq,
    struct nr_diag *d) NR_MUST_USE;

/* Does run R hold every key of the segments of A it covers? NR_EDAMAGED. */
enum nr_err runs_verify(struct nr_archive *a, const struct run *r,
    struct nr_diag *d) NR_MUST_USE;

#endif
