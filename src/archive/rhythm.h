/*
 * Rhythm: which silences of a stream of log lines are usual for it and which
 * are gaps. Pure: hours in, hours out. Private to the room.
 *
 * A series says for each hour (UTC) whether the stream has lines in it. The
 * rule, for a maximal silence inside of the series:
 *
 *   For each of the 168 hours of the week, p is the share of the
 *   RHYTHM_WEEKS weeks before the silence's first week in which that hour has
 *   lines, a / (n + 1), at most RHYTHM_P_MAX; and the same of the weeks after
 *   its last week. Hours that lie in gaps found so far count in neither.
 *   The surprise of a silence is the sum over its hours of -ln(1 - r p): minus
 *   the logarithm of the chance that a stream with that rhythm is silent so
 *   long. r <= 1 says how bursty the stream is: lines that did follow upon a
 *   silent hour, by those that p expected, over all silences that are no gaps.
 *
 *   GAP: the surprise is RHYTHM_ALPHA's or more with the smaller p of both
 *   sides, so a stream that grows, shrinks, begins or ends by and by has none.
 *   USUAL: it is less even with the larger p. Between them: UNSURE, neither
 *   missing nor searched. So is every silence with less than
 *   RHYTHM_WEEKS_MIN weeks on a side, unless what there is of that side has at
 *   least half of what the other side's p expects of it, and that is
 *   RHYTHM_PROOF hours with lines or more, and the silence has RHYTHM_LONG
 *   hours.
 *   The silence between the last line and the end of the archive is a gap (the
 *   stream STOPPED) by the p before it alone, else unsure.
 *
 * The bound is ln(hours of the series / RHYTHM_ALPHA): if hours were as
 * independent as r leaves them, the chance of any false gap in a whole series
 * is at most RHYTHM_ALPHA. With p capped, fewer than five hours are never a
 * gap. What is not independent at all is found as a gap: a public holiday of an
 * office that has no other lines. The lines cannot tell it from a loss.
 *
 * Days are lost when they lie wholly in a gap or an unsure silence, or when
 * a gap took more than half of the hours with lines expected of them.
 */
#ifndef NR_ARCHIVE_RHYTHM_H
#define NR_ARCHIVE_RHYTHM_H

#include "base/arena.h"
#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RHYTHM_WEEK      168 /* hours */
#define RHYTHM_WEEKS     13  /* looked at on each side of a silence */
#define RHYTHM_WEEKS_MIN 4   /* fewer are no rhythm */
#define RHYTHM_P_MAX     0.95
#define RHYTHM_ALPHA     0.001 /* chance of a false gap in a series */
#define RHYTHM_PROOF     8.0   /* hours with lines that prove a side */
#define RHYTHM_LONG      20    /* hours */
#define RHYTHM_ROUNDS    4     /* until gaps and burstiness agree */

/* Hour H (since 1970-01-01T00Z) has lines: bit H - base of BITS, low bits
 * first. base is a multiple of RHYTHM_WEEK, hours too. */
struct rhythm_series {
    const uint8_t *bits;
    int64_t base;
    size_t hours;
};

struct rhythm_gap {
    int64_t from, to; /* hours, both included: of the whole silence */
    /* the same without the hours at both ends in which less than half of the
     * most expected in it was expected: what is missing */
    int64_t core_from, core_to;
    double expected; /* hours with lines that are missing */
    double surprise;
};

struct rhythm {
    int64_t first, last;  /* hours with lines; first > last: none */
    uint64_t active;      /* how many hours have lines */
    double burst;         /* r */
    struct rhythm_gap *v; /* gaps, ascending; in the arena */
    size_t n;
    bool stopped; /* the last gap lasts to the end */
    /* Bit D - base / 24: the stream is known for day D: it has lines and is
     * not lost, or its silence is usual. n_days bits; in the arena. */
    uint8_t *days;
    size_t n_days;
};

/*
 * END: the hour in which the archive ends (its youngest line), which may lie
 * behind the series; hours behind END do not count. Takes time linear in the hours and 10 octets
 * for each, given back. NR_ENOMEM.
 */
enum nr_err rhythm_find(const struct rhythm_series *s, int64_t end,
    struct nr_arena *arena, struct rhythm *out) NR_MUST_USE;

#endif
