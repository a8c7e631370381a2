/*
 * Archive: the log lines of one organisation, compressed, and an index of
 * everything observable in them, so that a set of indicators is answered over
 * years of logs by looking at a few sorted tables.
 *
 * An archive is a directory of segments "NNNNNNNNNNNNNNNN.seg" (hexadecimal
 * sequence number) and a file "lock". A segment never changes. It becomes
 * visible by one rename after fsync and carries its own part of the catalogue
 * of what was read from which file, so the segments are the whole state: there
 * is no manifest that could disagree with them. The format is described in
 * segment.h and doc/architecture.md.
 *
 * One process writes at a time (the lock); readers need no lock and keep what
 * they opened even while another process prunes.
 *
 * Thread-safety: an archive and what was opened from it belong to one thread.
 */
#ifndef NR_ARCHIVE_H
#define NR_ARCHIVE_H

#include "base/arena.h"
#include "base/date.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nr_indicator; /* watchlist/watchlist.h */
struct nr_archive;   /* owned by the caller of open; nr_archive_close */

/* Memory that the tables of a segment under construction may take. */
#define NR_ARCHIVE_MEMORY     ((size_t)256 * 1000 * 1000)
#define NR_ARCHIVE_MEMORY_MIN ((size_t)8 * 1000 * 1000)
/* What adding and merging take beside it: blocks, decoders, a page of each
 * segment, the program. The list of files grows with them, 150 octets each. */
#define NR_ARCHIVE_MEMORY_BESIDE ((size_t)32 * 1000 * 1000)
/* Segments in one archive: a directory listing stays small. */
#define NR_ARCHIVE_SEGMENTS_MAX ((size_t)1 << 16)
/* A segment ends when it holds that many octets of logs, or a third of a
 * year's span with enough octets to be worth a file: retention drops whole segments,
 * a hunt opens each of them. */
#define NR_SEGMENT_TEXT_MAX  ((uint64_t)1 << 30)
#define NR_SEGMENT_TEXT_MIN  ((uint64_t)8 << 20)
#define NR_SEGMENT_SPAN_DAYS 122
/* Of a single line more than that is searched and indexed but not kept. */
#define NR_ARCHIVE_LINE_KEEP ((uint64_t)16 << 20)

enum nr_archive_mode {
    NR_ARCHIVE_READ,  /* the directory must exist */
    NR_ARCHIVE_WRITE, /* made if missing; takes the lock: NR_EBUSY */
};

/*
 * What the caller of an archive is. SAY, which may be NULL, is told of something
 * that did not stop the work: a damaged segment (NR_EDAMAGED), a file that
 * cannot be read or ends early; D names it.
 */
struct nr_archive_key;

struct nr_archive_caller {
    void (*say)(void *ctx, const struct nr_diag *d);
    void *ctx;
    /* Of a sealed archive its key (seal.h), copied at open; else NULL, or not
     * looked at. */
    const struct nr_archive_key *key;
};

/*
 * Open DIR. Damaged segments are said through P, counted and left out.
 * NR_ENOTFOUND, NR_EBUSY, NR_ELIMIT, NR_ENOMEM, NR_ESYS; NR_EDENIED: it is
 * sealed, and with another key or none.
 */
enum nr_err nr_archive_open(const char *dir, enum nr_archive_mode mode,
    const struct nr_archive_caller *p, struct nr_archive **out,
    struct nr_diag *d) NR_MUST_USE;
void nr_archive_close(struct nr_archive *a); /* NULL is fine */

/* Segments that could not be read so far, at open or later. */
size_t nr_archive_damaged(const struct nr_archive *a);

/* Add */

struct nr_archive_add_options {
    int64_t now_s;       /* no line is (a day) younger, see logline.h */
    int64_t zone_east_s; /* of times that name no zone */
    size_t memory;       /* 0: NR_ARCHIVE_MEMORY */
    /* Leave a last line without LF until it is complete: for files that grow.
     * Otherwise it is taken as it stands; if the file grows after all, the
     * whole line is taken again. */
    bool growing;
    /* Keep URLs out of the index but for scheme, host and port: they hold what
     * people asked for. Answers stay the same; those to URLs cost the opening
     * of the blocks that name their host, and what a line holds beyond
     * NR_ARCHIVE_LINE_KEEP does not answer them. */
    bool no_urls;
    /* Called about once per megabyte of text taken, with its octets so far
     * and those gone through of the files as they lie there, packed or not;
     * may be NULL. */
    void (*progress)(void *ctx, uint64_t octets, uint64_t gone);
    void *progress_ctx;
    const struct nr_archive_caller *problem; /* may be NULL */
};

struct nr_archive_added {
    uint64_t files;        /* from which something was taken */
    uint64_t known;        /* of which everything was in the archive already */
    uint64_t failed;       /* said through problem, in part or wholly */
    uint64_t lines;        /* new ones */
    uint64_t octets;       /* of text, new ones */
    uint64_t observations; /* (line, observable) pairs */
    uint64_t segments;     /* written */
    uint64_t stored;       /* octets of these segments */
};

/*
 * Add the new lines of N files, oldest first, and publish them: when this
 * returns, whatever OUT counts is on disk. What is in the archive already is
 * recognised by file (device, inode, first octets) and by content (a copy, also
 * a compressed one, or a longer version of a known file), and not read twice.
 * OUT is filled also on failure. NR_ESYS (disk full: segments published before
 * stand, the rest is as if it had not been tried), NR_ENOMEM, NR_ELIMIT.
 */
enum nr_err nr_archive_add(struct nr_archive *a, const char *const *paths,
    size_t n, const struct nr_archive_add_options *o,
    struct nr_archive_added *out, struct nr_diag *d) NR_MUST_USE;

/* Hunt */

enum nr_answer_kind {
    NR_ANSWER_CANNOT_SAY, /* no line, and too little was looked at */
    NR_ANSWER_NOT_SEEN,   /* no line in the days and logs of `coverage` */
    NR_ANSWER_DENIED,     /* lines, all of them refused: counts as not seen */
    NR_ANSWER_SEEN,       /* at least one line that was not denied */
};

/* "seen", "denied", "not-seen", "cannot-say"; static. */
const char *nr_answer_name(enum nr_answer_kind k);

#define NR_COVERAGE_MIN  0.30 /* below it nothing found means nothing */
#define NR_COVERAGE_DAYS 30   /* looked at before and after the window */

/* Reservations about an answer (nr_answer.notes). */
/* A proxy keeps less of a URL than this one has; if all do: cannot say. */
#define NR_NOTE_QUERY_STRIPPED 1u
/* The lines seen show an address that stands for many hosts. */
#define NR_NOTE_HOST_UNKNOWN 2u
/* A clock went wrong in the window. */
#define NR_NOTE_CLOCK 4u
/* Days are missing: a source was silent against its rhythm, ... */
#define NR_NOTE_GAP 8u
/* ... or writes no more. */
#define NR_NOTE_STOPPED 16u
#define NR_NOTES        5u /* bits in use, from bit 0 */

/* "query-stripped", "host-unknown", "clock", "gap", "stopped" of bit BIT;
 * static. */
const char *nr_note_name(unsigned bit);

struct nr_days {
    int64_t from, to; /* days since 1970-01-01 UTC, both included */
};

struct nr_answer {
    enum nr_answer_kind answer;
    uint64_t lines, denied;     /* lines with it; of these, denied ones */
    int64_t first_s, last_s;    /* NR_TIME_NONE: no line, or none with a time */
    uint64_t days;              /* distinct days (UTC) of these lines */
    uint32_t sources;           /* mask, bit enum nr_source */
    uint32_t kinds;             /* NR_LOG_*: the kinds of log needed */
    struct nr_days window;      /* looked at; from > to: nothing to look at */
    double coverage;            /* 0..1 of the window's days: see coverage.h */
    const struct nr_days *gaps; /* of the window; in the arena */
    size_t n_gaps;
    uint32_t notes; /* NR_NOTE_* */
};

/* A line that contains an indicator. */
struct nr_archive_line {
    size_t indicator; /* index of the indicator asked for */
    const char *file; /* name under which it was added */
    uint64_t line;    /* number in that file, from 1 */
    uint64_t at;      /* offset of the line in the file's text */
    uint64_t block;   /* checksum of the stored block it stands in */
    int64_t time_s;   /* NR_TIME_NONE: unknown */
    bool denied;
    unsigned source;      /* enum nr_source */
    struct nr_bytes text; /* borrowed for the call, without its LF */
};

/* What one segment shows of one indicator: the answers of a hunt are the sums
 * of these. */
struct nr_archive_found {
    uint64_t seq;     /* of the segment */
    size_t indicator; /* index of the indicator asked for */
    uint64_t lines, denied;
    int64_t first_s, last_s;
    uint32_t sources;
    const int32_t *days; /* ascending, distinct; borrowed for the call */
    size_t n_days;
};

/* Matching lines of one hunt that can be put in order: 32 octets each. */
#define NR_HUNT_LINES_MAX ((size_t)10 * 1000 * 1000)

#define NR_HUNT_THREADS_MAX ((size_t)64)

struct nr_hunt_options {
    int64_t now_s; /* end of a window that has none */
    /* Segments looked through at a time, at most NR_HUNT_THREADS_MAX; 0: one.
     * The answers are the same. Each takes memory of its own, up to 80 octets
     * an indicator. */
    unsigned threads;
    /* If not NULL: every matching line, oldest first, lines without time
     * before all others; the answers are complete before the first one. A
     * return other than NR_OK ends the hunt with it. */
    enum nr_err (*line)(void *ctx, const struct nr_archive_line *l);
    void *line_ctx;
    bool newest;    /* the other way round */
    uint64_t limit; /* of lines of each indicator; 0: none */
    /* Is the segment of that number to be asked? NULL: all are. Coverage is
     * that of all in any case. */
    bool (*wants)(void *ctx, uint64_t seq);
    /* If not NULL: what each segment that was asked, and read without finding
     * damage, shows. Called by the caller's thread, segment by segment. */
    enum nr_err (*found)(void *ctx, const struct nr_archive_found *f);
    void *found_ctx; /* of both */
};

/*
 * Answer N indicators at once into V[0..n), arrays of the caller; lists in V
 * are arena-owned. Segments or blocks found damaged are left out, said through
 * the archive's problem and counted by nr_archive_damaged().
 * NR_ENOMEM, NR_ELIMIT.
 */
enum nr_err nr_archive_hunt(struct nr_archive *a,
    const struct nr_indicator *const *indicators, size_t n,
    const struct nr_hunt_options *o, struct nr_arena *arena,
    struct nr_answer *v, struct nr_diag *d) NR_MUST_USE;

/*
 * The window of an indicator in days: first_seen..last_seen if it has them,
 * else valid_from..valid_until, an open end is NOW; then NR_COVERAGE_DAYS on
 * both sides; without a beginning it is one day long. An indicator without
 * any time is looked for in all there is: from day OLDEST to NOW.
 */
struct nr_days nr_archive_window(const struct nr_indicator *i, int64_t now_s,
    int64_t oldest);

/* The kinds of log (NR_LOG_*) of which one is needed for an enum nr_kind;
 * 0: the archive does not index that kind. */
uint32_t nr_archive_needs(unsigned kind);

/*
 * For a store of lines that is not this one (clickhouse/clickhouse.h), the
 * same rules: an archive without segments, days marked as having lines of
 * KINDS (NR_LOG_*), and answers of which lines, denied, times, days and
 * sources are filled completed by all the rest. NULL, NR_ENOMEM: no memory.
 */
struct nr_archive *nr_archive_blank(void);
enum nr_err nr_archive_mark(struct nr_archive *a, uint32_t kinds,
    int64_t day) NR_MUST_USE;
enum nr_err nr_archive_judge(struct nr_archive *a,
    const struct nr_indicator *const *indicators, size_t n, int64_t now_s,
    struct nr_arena *arena, struct nr_answer *v, struct nr_diag *d) NR_MUST_USE;

/* Look */

struct nr_archive_stat {
    uint64_t segments, damaged, blocks, files, lines;
    uint64_t without_urls;   /* segments added with no_urls */
    uint64_t runs;           /* merged dictionaries of many segments */
    uint64_t text;           /* octets of logs */
    uint64_t stored;         /* octets of the segments */
    uint64_t index;          /* of which index and catalogue; and runs */
    uint64_t observables;    /* sum over segments of distinct ones */
    int64_t first_s, last_s; /* NR_TIME_NONE: none */
};

void nr_archive_stat(const struct nr_archive *a, struct nr_archive_stat *out);

/* Days with lines of the kinds in mask KINDS, and first and last of them. */
struct nr_archive_presence {
    uint64_t days;
    struct nr_days range; /* from > to: none */
};
struct nr_archive_presence nr_archive_present(const struct nr_archive *a,
    uint32_t kinds);

struct nr_segment_info {
    const char *name;  /* file name in the directory */
    uint64_t seq, sum; /* its number; a checksum that stands for all of it */
    uint64_t lines, text, stored, blocks, files;
    int64_t first_s, last_s;
    uint32_t sources, kinds; /* masks */
};

size_t nr_archive_segments(const struct nr_archive *a);
/* Segment I, oldest written first; strings borrowed from A. */
struct nr_segment_info nr_archive_segment(const struct nr_archive *a, size_t i);

/* Check every octet of every segment; each damage is said. NR_EDAMAGED when
 * there was any. */
enum nr_err nr_archive_verify(struct nr_archive *a,
    struct nr_diag *d) NR_MUST_USE;

/* All lines of segment I are older than DAY (retention: keep.h). No
 * line is taken to be younger than its segment by more than a day. */
bool nr_archive_is_before(const struct nr_archive *a, size_t i, int64_t day);

#endif
