/* Printing what an import did. */
#ifndef FEED_PRINT_H
#define FEED_PRINT_H

#include "cli.h"
#include "feed/feed.h"

/* At most SHOW notes on stderr, as "refused<TAB>file:line<TAB>value<TAB>why",
 * then how many more there are. */
void feed_print_notes(const struct cli *cli, const struct nr_feed *f,
    size_t show);

/* And "taken<TAB>12" lines on stdout. */
void feed_print(const struct cli *cli, const struct nr_feed *f, size_t show);

/* The options that say how a command takes lists in. Times are NR_TIME_NONE
 * before they are given. */
struct feed_options {
    const char *format, *warninglists; /* format: NULL is auto */
    const char *source, *tlp, *pap;
    int64_t valid_from_s, valid_until_s;
};

/* Rows of a table of options. */
#define FEED_TAKE_OPTIONS(o)                                                \
    { "format", 0, CLI_TEXT, &(o).format },                                 \
        { "warninglists", 0, CLI_TEXT, &(o).warninglists },                 \
        { "source", 0, CLI_TEXT, &(o).source },                             \
        { "tlp", 0, CLI_TEXT, &(o).tlp }, { "pap", 0, CLI_TEXT, &(o).pap }, \
        { "valid-from", 0, CLI_TIME, &(o).valid_from_s },                   \
    {                                                                       \
        "valid-until", 0, CLI_TIME, &(o).valid_until_s                      \
    }
#define FEED_TAKE_USAGE                                                 \
    "[--format auto|stix|misp|csv|text|compiled]\n"                     \
    "       [--source NAME] [--tlp LEVEL] [--pap LEVEL] [--valid-from " \
    "TIME]\n"                                                           \
    "       [--valid-until TIME] [--warninglists DIR|none] [--home DIR]"

/* What O says as FORMAT and DEFAULTS; false: said on stderr what is wrong. */
bool feed_options_read(const struct cli *cli, const struct feed_options *o,
    enum nr_feed_format *format,
    struct nr_watchlist_defaults *defaults) NR_MUST_USE;

/* As feed_open, with what O says (DEFAULTS of feed_options_read). */
enum nr_err feed_open_as(const struct cli *cli, const struct feed_options *o,
    const struct nr_watchlist_defaults *defaults, struct nr_warnlists **w,
    struct nr_feed **out, struct nr_diag *d) NR_MUST_USE;

/* A feed object with warninglists (see warn.h) and random seed. */
enum nr_err feed_open(const struct cli *cli, const char *warninglists,
    struct nr_warnlists **w, struct nr_feed **out,
    struct nr_diag *d) NR_MUST_USE;

#endif
