/*
 * Upkeep of an archive: what may go and what must stay (retention, holds),
 * what is damaged (verify) and what can be made whole again (repair).
 *
 * Retention drops whole segments. A segment goes by age only when every kind
 * of log in it is past its own time, reckoned from the segment's youngest
 * line; a segment that shares a day with a hold never goes.
 *
 * Holds stand in the archive's directory as one text file "holds":
 *   noroshi-holds 1
 *   NAME <tab> FIRST-DAY <tab> LAST-DAY <tab> SET-AT <tab> REASON
 *   sum XXXXXXXXXXXXXXXX      (XXH3 of all before this line)
 * It is replaced in one rename. While it is damaged nothing is dropped.
 *
 * Thread-safety: touches only its arguments and the archive's directory.
 */
#ifndef NR_ARCHIVE_KEEP_H
#define NR_ARCHIVE_KEEP_H

#include "archive/archive.h"
#include "logline/logline.h"

/* Holds */

#define NR_HOLDS_MAX       ((size_t)1000)
#define NR_HOLD_NAME_MAX   ((size_t)64)  /* octets of a name */
#define NR_HOLD_REASON_MAX ((size_t)400) /* octets of a reason */

struct nr_hold {
    struct nr_str name;   /* printable ASCII, no space; 1..NR_HOLD_NAME_MAX */
    struct nr_str reason; /* no control characters */
    struct nr_days days;
    int64_t set_s; /* when it was set */
};

struct nr_holds {
    struct nr_hold *v; /* in the arena, as the strings; by name */
    size_t n;
};

/* The holds of the archive in DIR; none when there is no file. NR_EDAMAGED,
 * NR_ELIMIT, NR_ENOMEM, NR_ESYS. */
enum nr_err nr_holds_read(const char *dir, struct nr_arena *arena,
    struct nr_holds *out, struct nr_diag *d) NR_MUST_USE;

/* Set H in the archive A (open for writing). NR_EEXIST: the name is taken;
 * NR_EFORMAT: a name, a reason or days that are none; NR_ELIMIT. */
enum nr_err nr_hold_add(struct nr_archive *a, const struct nr_hold *h,
    struct nr_diag *d) NR_MUST_USE;
/* NR_ENOTFOUND: no such hold. */
enum nr_err nr_hold_remove(struct nr_archive *a, struct nr_str name,
    struct nr_diag *d) NR_MUST_USE;

/* Retention */

#define NR_KEEP_ALWAYS INT64_MIN /* a day before which nothing lies */

/* What is past its time. An archive within all of it loses nothing. */
struct nr_keep_rule {
    int64_t before;      /* a day: older lines may go; NR_KEEP_ALWAYS */
    uint64_t max_octets; /* of all segments together; 0: no limit */
    /* The same as BEFORE for one kind of log, where OWN has its bit. */
    uint32_t own;
    int64_t kind_before[NR_LOG_KINDS];
};

enum nr_keep_fate {
    NR_KEEP_STAYS,
    NR_KEEP_AGE,  /* goes: all its kinds are past their time */
    NR_KEEP_SIZE, /* goes: the oldest of what is too much */
    NR_KEEP_HELD, /* would go, but a hold wants it */
};

/* Days and a kind of log of which nothing is left. */
struct nr_keep_loss {
    unsigned kind; /* bit of NR_LOG_* */
    struct nr_days days;
};

struct nr_keep_plan {
    enum nr_keep_fate *fate;     /* of each segment, as nr_archive_segment */
    const struct nr_hold **hold; /* where the fate is NR_KEEP_HELD */
    size_t n_drop, n_held;
    uint64_t octets; /* stored, of what goes */
    uint64_t over;   /* octets by which the rest is still too large */
    struct nr_keep_loss *losses; /* by kind, then by day */
    size_t n_losses;
    uint8_t *days[NR_LOG_KINDS]; /* presence of what stays; NULL: none */
};

/*
 * What RULE does to A now; nothing is changed. All of OUT is in the arena.
 * NR_ENOMEM, NR_EDAMAGED.
 */
enum nr_err nr_keep_plan(struct nr_archive *a, const struct nr_keep_rule *rule,
    const struct nr_holds *holds, struct nr_arena *arena,
    struct nr_keep_plan *out, struct nr_diag *d) NR_MUST_USE;

/* Days of window W that are covered for a kind of mask KINDS (coverage.h),
 * before and after. */
struct nr_keep_cover {
    uint64_t window, before, after;
};
struct nr_keep_cover nr_keep_cover(const struct nr_archive *a,
    const struct nr_keep_plan *p, uint32_t kinds, struct nr_days w);

/*
 * Remove the files of what goes, made durable before it returns. *N: how many.
 * How far each log file was taken is kept in file "dropped" of the archive's
 * directory: a log that is still there does not come back, one that grew goes
 * on.
 * A, open for writing, still answers from what it had mapped; close it next.
 * NR_EDENIED: A is open for reading. NR_ESYS: those before the failure went.
 */
enum nr_err nr_keep_drop(struct nr_archive *a, const struct nr_keep_plan *p,
    size_t *n, struct nr_diag *d) NR_MUST_USE;

/* Verify */

/* One damage found. Strings are borrowed for the call. */
struct nr_damage {
    const char *file; /* name in the archive's directory */
    const char *part; /* "header", "block", "index", "sums", "table",
                         "trailer", "file": the class of octets */
    const char *rule; /* what does not hold; static */
    uint64_t at, octets;
    /* part "index": the sections on the page, "files,blocks"; else "" */
    const char *sections;
    /* part "block": the log lines in it; lines 0: not known */
    uint64_t first_line, lines;
};

struct nr_keep_say {
    void (*damage)(void *ctx, const struct nr_damage *m);
    void *ctx;
};

struct nr_verified {
    size_t segments, damaged; /* damaged: segments with any damage */
    size_t damages;
    size_t runs, runs_damaged; /* merged dictionaries */
};

/*
 * Check every octet of every segment in DIR, those too that cannot be opened,
 * and say each damage that can be told from the others. The archive need not
 * be locked. NR_OK also when something is damaged: see OUT. NR_ESYS, NR_ENOMEM.
 */
enum nr_err nr_keep_verify(const char *dir, const struct nr_archive_key *key,
    const struct nr_keep_say *say, struct nr_verified *out,
    struct nr_diag *d) NR_MUST_USE;

/* Repair */

#define NR_DAMAGED_SUFFIX ".damaged"

struct nr_repaired {
    bool whole;             /* nothing was damaged, nothing was done */
    bool run;               /* a run, which was removed: it is made anew */
    bool walked;            /* the table of blocks was lost: file names and line
                           numbers are lost with it, times are read anew */
    bool names_lost;        /* names and line numbers come from octets
                           that no checksum proves, or are lost */
    uint64_t blocks, lines; /* in the new segment */
    uint64_t blocks_lost, lines_lost; /* each block said; lines as known */
    uint64_t octets_lost;             /* walked: octets that are no block */
    uint64_t blocks_redated; /* whose times read anew are other than before */
};

/*
 * Build segment NAME of A (open for writing) anew from its sound blocks, under
 * its name; the damaged file stays beside it as NAME.damaged unless DISCARD.
 * Damages and lost blocks are said. A is to be closed after. A crash leaves
 * the old or the new segment.
 * NR_EDAMAGED: no block is left, nothing was changed. NR_EFORMAT: of another
 * version. NR_ENOTFOUND, NR_EEXIST (another NAME.damaged is there), NR_EDENIED,
 * NR_ENOMEM, NR_ESYS.
 */
enum nr_err nr_keep_repair(struct nr_archive *a, const char *name, bool discard,
    int64_t now_s, const struct nr_keep_say *say, struct nr_repaired *out,
    struct nr_diag *d) NR_MUST_USE;

#endif
