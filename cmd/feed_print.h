/* Printing what an import did. */
#ifndef FEED_PRINT_H
#define FEED_PRINT_H

#include "cli.h"
#include "feed/feed.h"

/* "taken<TAB>12" lines on stdout; at most SHOW notes on stderr, as
 * "refused<TAB>file:line<TAB>value<TAB>why", then how many more there are. */
void feed_print(const struct cli *cli, const struct nr_feed *f, size_t show);

/* A feed object with warninglists (see warn.h) and random seed. */
enum nr_err feed_open(const struct cli *cli, const char *warninglists,
    struct nr_warnlists **w, struct nr_feed **out,
    struct nr_diag *d) NR_MUST_USE;

#endif
