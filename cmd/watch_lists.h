/* The lists that watch judges by: loaded, and loaded again when they change. */
#ifndef WATCH_LISTS_H
#define WATCH_LISTS_H

#include "cli.h"
#include "watch/watch.h"

#include <pthread.h>

struct watch_lists {
    struct cli *cli;
    struct cli_list paths;
    const char *warn_dir;
    /* the rest is watch_lists.c's */
    struct nr_watch *watch;
    uint64_t stamp;           /* of the files when the list in force was read */
    struct nr_watchlist *now; /* the list in force; counted */
    uint64_t installed, judged; /* versions of warninglists: here, of NOW */
    pthread_t thread;
    int stop_fd;
    bool running;
};

/* Load the list; what is odd about it is said on stderr. */
enum nr_err watch_lists_load(struct watch_lists *l, struct nr_watchlist **out,
    struct nr_diag *d) NR_MUST_USE;

/*
 * Look after the files from now on, in a thread of its own: a new version is
 * loaded when the files have come to rest, and handed to W. A version that
 * cannot be read is named on stderr; the old one stays in force.
 */
enum nr_err watch_lists_follow(struct watch_lists *l, struct nr_watch *w,
    struct nr_diag *d) NR_MUST_USE;
void watch_lists_end(struct watch_lists *l); /* also when it was not begun */

#endif
