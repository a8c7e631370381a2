/*
 * Coverage: what an archive can answer for, day by day, by the rhythm of the
 * streams in it (rhythm.h has the rule of silences).
 *
 * A stream is all lines of one source and set of kinds from files of one name.
 * A day (UTC) is covered for a kind of log when one of its streams is known
 * for it: the stream has lines on that day and not more than half of the hours
 * with lines expected of it are missing, or it has none and is usually silent
 * then. A day behind the archive's end is covered by lines alone. The coverage
 * of an indicator is the share of its window's days that are covered for one
 * of the kinds it needs.
 *
 * Thread-safety: as the archive.
 */
#ifndef NR_ARCHIVE_COVERAGE_H
#define NR_ARCHIVE_COVERAGE_H

#include "archive/archive.h"
#include "base/buf.h"

/* Proxy lines that say what was asked for, fewer of which prove nothing: with
 * a query in one of 20, the chance that none of 200 has one is 4 in 100 000. */
#define NR_URLS_MIN 200u
/* Lines with so few client addresses or fewer come from behind one that stands
 * for many (NAT), if there are NR_NAT_LINES or more. */
#define NR_NAT_CLIENTS 2u
#define NR_NAT_LINES   1000u

struct nr_gap {
    int64_t from_s, to_s; /* the missing hours [from, to) */
    double expected;      /* hours with lines that are missing */
};

/* A clock that went back: times in [from, to) are not certain. */
struct nr_unsure {
    int64_t from_s, to_s;
};

#define NR_STREAM_STOPPED  1u  /* the last gap lasts to the archive's end */
#define NR_STREAM_NO_QUERY 2u  /* a proxy that keeps no query */
#define NR_STREAM_NO_PATH  4u  /* ... no path, or logs tunnels only */
#define NR_STREAM_NO_TLS   8u  /* ... nothing of https but tunnels */
#define NR_STREAM_NAT      16u /* which host it was, its lines do not say */
#define NR_STREAM_FLAGS    5u  /* bits in use, from bit 0 */

/* "stopped", "no-query", "no-path", "no-tls", "nat" of bit BIT; static. */
const char *nr_stream_flag_name(unsigned bit);

/* Borrowed from the archive until it is closed or added to. */
struct nr_stream {
    unsigned source; /* enum nr_source */
    uint32_t kinds;  /* NR_LOG_* */
    const char *name;
    int64_t first_s, last_s;   /* begin of the first, end of the last hour with
                                lines; NR_TIME_NONE: none */
    uint64_t lines, hours;     /* with a time; hours with lines */
    uint32_t flags;            /* NR_STREAM_* */
    const struct nr_gap *gaps; /* oldest first */
    size_t n_gaps;
    const struct nr_unsure *unsure;
    size_t n_unsure;
};

/* Find what follows of A. END_S: no line is younger (now). NR_ENOMEM. */
enum nr_err nr_coverage_find(struct nr_archive *a, int64_t end_s,
    struct nr_diag *d) NR_MUST_USE;

size_t nr_coverage_streams(const struct nr_archive *a);
/* Stream I, by kind, source, name. */
struct nr_stream nr_coverage_stream(const struct nr_archive *a, size_t i);

enum nr_day_state {
    NR_DAY_NONE,  /* nothing of it, or too little to tell why */
    NR_DAY_GAP,   /* missing: silent against its rhythm */
    NR_DAY_QUIET, /* without lines, as usual */
    NR_DAY_LINES, /* with lines */
};

/* "none", "gap", "quiet", "lines"; static. */
const char *nr_day_state_name(enum nr_day_state s);

enum nr_day_state nr_coverage_stream_day(const struct nr_archive *a, size_t i,
    int64_t day);
/* Of a kind, bit of NR_LOG_*: QUIET and LINES are covered days. */
enum nr_day_state nr_coverage_kind_day(const struct nr_archive *a, unsigned bit,
    int64_t day);

/*
 * For a store of lines that is not this one: what a file's lines add to the
 * streams, as rows of section 8 of noroshi-archive(5), and an archive of such
 * rows (nr_archive_blank). NR_ENOMEM; of rows that are none NR_EFORMAT.
 */
struct nr_gather; /* owned by the caller of new; nr_gather_free */
struct nr_record; /* logline/logline.h */
enum nr_err nr_gather_new(struct nr_gather **out) NR_MUST_USE;
void nr_gather_free(struct nr_gather *g); /* NULL is fine */
/* A line, in file order, with its time in seconds or NR_TIME_NONE. */
enum nr_err nr_gather_line(struct nr_gather *g, const struct nr_record *r,
    int64_t time_s) NR_MUST_USE;
/* The lines since the last call were of file PATH: append its rows. */
enum nr_err nr_gather_end(struct nr_gather *g, struct nr_str path,
    struct nr_buf *out) NR_MUST_USE;
enum nr_err nr_archive_mark_rows(struct nr_archive *a,
    struct nr_bytes rows) NR_MUST_USE;

/* The sentence */

enum nr_lang { NR_LANG_JA, NR_LANG_EN };

/*
 * Append the sentence that says what was looked at and what was found, for the
 * answers V[0..N) of one hunt over A, without a line end. WEIGHTS: of each
 * answer in the mean coverage; NULL: equal. It never says that there was no
 * intrusion. A NULL: the kinds that are missing are not named.
 */
void nr_coverage_sentence(const struct nr_archive *a, const struct nr_answer *v,
    size_t n, const double *weights, enum nr_lang lang, struct nr_buf *out);

#endif
