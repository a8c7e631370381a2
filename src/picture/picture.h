/*
 * Picture: how far the damage of a report reaches, folded from facts.
 *
 * The extent of a report is counted over the organisations that may read the
 * collection it was published to: asked, answered, seen, not seen, cannot say,
 * denied, earliest and latest, in all and per sector. The caller adds facts in
 * any order (who is a member, who may read what, which reports there are, who
 * answered what); nothing here knows where they are stored.
 *
 * Rules. An organisation has answered when it has answered every indicator of
 * the report. It counts as seen when any indicator was seen, else as cannot say
 * when the mean coverage of the indicators is below 0.30, else as not seen. An
 * organisation whose lines were all denied counts by its coverage and is noted
 * under denied as well. Of several versions of one fact the one with the latest
 * version_us stands; between equal versions the one whose octets sort last, so
 * that the order of adding never matters.
 *
 * Ordinary readers get cells of at least NR_EXTENT_K organisations only; further
 * cells are withheld until no withheld cell follows from the others by sums.
 * Dates show to them as days, and only where "seen" shows.
 *
 * Thread-safety: one thread at a time per object.
 */
#ifndef NR_PICTURE_H
#define NR_PICTURE_H

#include "base/arena.h"
#include "base/date.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NR_EXTENT_K           UINT64_C(5)  /* fewest organisations in a cell */
#define NR_EXTENT_COVERAGE    0.30         /* below: cannot say */
#define NR_EXTENT_SECTORS_MAX ((size_t)64) /* more share the row "other" */

enum nr_extent_answer {
    NR_EXTENT_SEEN,
    NR_EXTENT_DENIED,
    NR_EXTENT_NOT_SEEN,
    NR_EXTENT_CANNOT_SAY,
    NR_EXTENT_UNANSWERED, /* only in results */
};

/* "seen", "denied", "not-seen", "cannot-say", "unanswered". */
const char *nr_extent_answer_name(enum nr_extent_answer a);
/* The first four names; false otherwise. */
bool nr_extent_answer_from_name(struct nr_str s,
    enum nr_extent_answer *out) NR_MUST_USE;

/* --- facts ----------------------------------------------------------- */

struct nr_extent_member {
    struct nr_str id;           /* pseudonymous identity */
    struct nr_str sector, size; /* may be empty: shown as "unknown" */
    int64_t version_us;
    bool gone; /* no longer a member: not asked */
};

struct nr_extent_reader {
    struct nr_str collection, member; /* MEMBER may read COLLECTION */
    int64_t version_us;
    bool gone; /* the right was withdrawn */
};

struct nr_extent_report {
    struct nr_str id, name, collection;
    int64_t version_us;
    int64_t published_s;             /* NR_TIME_NONE: not said */
    const struct nr_str *indicators; /* ids */
    size_t n;
};

struct nr_extent_sighting {
    struct nr_str member, indicator;
    int64_t version_us;           /* "modified" of the sighting */
    enum nr_extent_answer answer; /* not NR_EXTENT_UNANSWERED */
    int64_t first_s, last_s;      /* when seen; else NR_TIME_NONE */
    uint64_t lines, denied;
    double coverage; /* 0..1 */
};

struct nr_extent; /* the facts; owns copies of all it was given */

/* MAX: ceiling in octets of memory. NULL: out of memory. */
struct nr_extent *nr_extent_create(size_t max) NR_MUST_USE;
void nr_extent_destroy(struct nr_extent *x);

/* Each copies *F. NR_ENOMEM; NR_EFORMAT for an empty id, an answer out of its
 * enumeration or a coverage outside 0..1. */
enum nr_err nr_extent_add_member(struct nr_extent *x,
    const struct nr_extent_member *f) NR_MUST_USE;
enum nr_err nr_extent_add_reader(struct nr_extent *x,
    const struct nr_extent_reader *f) NR_MUST_USE;
enum nr_err nr_extent_add_report(struct nr_extent *x,
    const struct nr_extent_report *f) NR_MUST_USE;
enum nr_err nr_extent_add_sighting(struct nr_extent *x,
    const struct nr_extent_sighting *f) NR_MUST_USE;

/* --- the result ------------------------------------------------------ */

enum nr_extent_cell {
    NR_EXTENT_C_ASKED,
    NR_EXTENT_C_ANSWERED,
    NR_EXTENT_C_SEEN,
    NR_EXTENT_C_NOT_SEEN,
    NR_EXTENT_C_CANNOT_SAY,
    NR_EXTENT_C_DENIED,
    NR_EXTENT_CELLS,
};

/* "asked", "answered", "seen", "not_seen", "cannot_say", "denied". */
const char *nr_extent_cell_name(enum nr_extent_cell c);

struct nr_extent_row {
    struct nr_str sector; /* empty in the total */
    uint64_t n[NR_EXTENT_CELLS];
    bool hidden[NR_EXTENT_CELLS]; /* withheld: n is 0 then */
    int64_t earliest_s, latest_s; /* of what was seen; NR_TIME_NONE */
};

/* One organisation, for coordinators. */
struct nr_extent_org {
    struct nr_str member, sector, size;
    enum nr_extent_answer answer;
    bool denied;
    double coverage; /* mean over the report's indicators; 0 if unanswered */
    uint64_t lines;
    int64_t first_s, last_s;
};

struct nr_extent_result {
    struct nr_str report, name, collection;
    int64_t published_s;
    struct nr_extent_row total;
    struct nr_extent_row *sectors; /* in the order of their octets */
    size_t n_sectors;
    struct nr_extent_org *orgs; /* ordered by member; only when asked FULL */
    size_t n_orgs;
};

/*
 * The extent of REPORT. FULL: every cell and the list of organisations, for
 * coordinators and authorities; else the k-anonymous form. The result lives in
 * A and borrows from X. NR_ENOTFOUND: no such report; NR_ENOMEM.
 */
enum nr_err nr_extent_of(const struct nr_extent *x, struct nr_str report,
    bool full, struct nr_arena *a, struct nr_extent_result *out) NR_MUST_USE;

/* Ids of all reports in order of publication, then of id; in A. */
enum nr_err nr_extent_reports(const struct nr_extent *x, struct nr_arena *a,
    const struct nr_str **ids, size_t *n) NR_MUST_USE;

/*
 * Withhold what ordinary readers may not see of R: called by nr_extent_of, and
 * for tables that were counted elsewhere. SECTORS must add up to TOTAL.
 * NR_ENOMEM.
 */
enum nr_err nr_extent_hide(struct nr_extent_row *total,
    struct nr_extent_row *sectors, size_t n, struct nr_arena *a) NR_MUST_USE;

struct nr_json_out;

/* R as a JSON object: {"report","name","published","asked",...,"sectors":[..]}
 * and "members":[..] when the result has them; withheld cells are null. */
void nr_extent_put_json(struct nr_json_out *o,
    const struct nr_extent_result *r);

#endif
