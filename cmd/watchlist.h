/*
 * The parts of `noroshi watchlist`: one function for each word behind it. ARGV
 * begins behind that word.
 */
#ifndef WATCHLIST_H
#define WATCHLIST_H

#include "cli.h"
#include "watchlist/watchlist.h"

int watchlist_stat(struct cli *cli, int argc, char **argv);
int watchlist_ls(struct cli *cli, int argc, char **argv);
int watchlist_get(struct cli *cli, int argc, char **argv);
int watchlist_verify(struct cli *cli, int argc, char **argv);
int watchlist_add(struct cli *cli, int argc, char **argv);
int watchlist_rm(struct cli *cli, int argc, char **argv);
int watchlist_merge(struct cli *cli, int argc, char **argv);

/* Rows of indicators on standard output. */
struct watchlist_rows {
    const struct nr_watchlist *w; /* borrowed */
    bool json;
    struct nr_buf out, text;
};

void watchlist_rows_init(struct watchlist_rows *r, const struct nr_watchlist *w,
    bool json);

/* Indicator X (from nr_watchlist_read() into r->text), number I. LEAD: a first
 * column, member "why"; or NULL. False: no memory, or nobody reads. */
bool watchlist_rows_put(struct watchlist_rows *r, const char *lead, size_t i,
    const struct nr_indicator *x) NR_MUST_USE;

/* Write what is left; false as above. */
bool watchlist_rows_fini(struct watchlist_rows *r) NR_MUST_USE;

/* TEXT with its control characters as '?', "-" when it is empty. */
void watchlist_put_text(struct nr_buf *out, struct nr_str text);

#endif
