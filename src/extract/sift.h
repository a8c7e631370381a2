/*
 * Which lines can hold a token of a few kinds at all. Private.
 *
 * Hashes, URLs, e-mail addresses, CVE and AS numbers show by an octet or two,
 * or by a long run of hex digits; when nothing else is asked for, only the
 * lines around such places need be scanned. A place too many costs a line's
 * scan; none may be missed.
 */
#ifndef NR_EXTRACT_SIFT_H
#define NR_EXTRACT_SIFT_H

#include "base/str.h"

#include <stdbool.h>

#define NR_SIFTS 5

struct nr_sift {
    unsigned how; /* bits of what is looked for; 0: every line counts */
    size_t run;   /* hex digits of the shortest run that counts */
    size_t next[NR_SIFTS]; /* where each was found last */
};

/* KINDS: bits 1 << enum nr_kind; FLAGS: NR_SCAN_* the lines are read with. */
void nr_sift_init(struct nr_sift *s, unsigned kinds, unsigned flags);

/*
 * The next lines of TEXT, from the start *AT of one on, that must be scanned:
 * [*FROM, *TO), whole lines, and *AT behind them. False: there are none any
 * more. S->how is not 0. For each text the first call has *AT 0.
 */
bool nr_sift_lines(struct nr_sift *s, struct nr_bytes text, size_t *at,
    size_t *from, size_t *to);

#endif
