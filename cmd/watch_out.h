/*
 * What `noroshi watch` does with hits: its options, outputs, figures and exit
 * status. The order of calls: options parsed, open, then the callbacks of
 * nr_watch_run() in any order, finish, status, close.
 */
#ifndef WATCH_OUT_H
#define WATCH_OUT_H

#include "alert/alert.h"
#include "cli.h"
#include "watch/watch.h"

struct watch_out {
    struct cli *cli;
    /* options */
    bool json, stix, valid, stats;
    struct cli_list outputs;
    const char *file, *rate, *only, *time;
    /* the rest is watch_out.c's */
    struct nr_alert *alert;
    struct nr_progress progress;
    bool bar;     /* a terminal looks at standard error, and only there */
    bool stopped; /* nobody reads the output any more */
    char host[256];
};

/* Rows of a table of options, for a struct watch_out. */
#define WATCH_OUT_OPTIONS(o)                                                \
    { "json", 0, CLI_FLAG, &(o).json }, { "stix", 0, CLI_FLAG, &(o).stix }, \
        { "output", 0, CLI_LIST, &(o).outputs },                            \
        { "output-file", 0, CLI_TEXT, &(o).file },                          \
        { "rate", 0, CLI_TEXT, &(o).rate },                                 \
        { "only", 0, CLI_TEXT, &(o).only },                                 \
        { "valid", 0, CLI_FLAG, &(o).valid },                               \
        { "time", 0, CLI_TEXT, &(o).time },                                 \
    {                                                                       \
        "stats", 0, CLI_FLAG, &(o).stats                                    \
    }
#define WATCH_OUT_USAGE                                               \
    "[--json | --stix] [--output WHAT] [--output-file FILE]\n"        \
    "       [--rate N/TIME] [--only DISPOSITIONS] [--valid] [--time " \
    "epoch|iso]\n"                                                    \
    "       [--stats]"

/* CLI_NOTHING, or the status to end with (said on stderr). */
int watch_out_open(struct watch_out *o, struct cli *cli,
    bool follow) NR_MUST_USE;
void watch_out_close(struct watch_out *o);

enum nr_err watch_out_hit(struct watch_out *o, const struct nr_hit *h,
    struct nr_diag *d) NR_MUST_USE;
/* As nr_watch_conf.mark and .cut. */
enum nr_err watch_out_mark(struct watch_out *o, struct nr_buf *extra,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err watch_out_cut(struct watch_out *o, struct nr_bytes extra,
    struct nr_diag *d) NR_MUST_USE;
/* As nr_watch_conf.tick: queues, intervals, the progress bar; with IDLE rows
 * are written out. */
enum nr_err watch_out_tick(struct watch_out *o,
    const struct nr_watch_stats *stats, bool idle,
    struct nr_diag *d) NR_MUST_USE;

/* One line of counters on standard error (SIGUSR1, --stats). */
void watch_out_print_stats(struct watch_out *o,
    const struct nr_watch_stats *stats);

/* The bar off the terminal, before anything else is said there. */
void watch_out_clear(struct watch_out *o);

/*
 * The end, whatever came before: ERR and D are what nr_watch_run gave (NR_OK:
 * D is not looked at). Tells what is held back, closes bundles, prints the
 * counters if asked, says the error; INCOMPLETE: a source could not be read.
 * Returns the exit status.
 */
int watch_out_finish(struct watch_out *o, enum nr_err err,
    const struct nr_diag *d, const struct nr_watch_stats *stats,
    bool incomplete);

#endif
