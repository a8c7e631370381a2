/* The options of watch (and of what reads lines as it does) that add readings
 * of a line: NR_SCAN_* of observable.h. */
#ifndef SCAN_OPTIONS_H
#define SCAN_OPTIONS_H

#include <stdbool.h>

struct scan_options {
    bool fangs, tcpdump, ranges, url_no_query, url_prefix;
};

/* For a usage text, and the rows of a table of options for O. */
#define SCAN_USAGE \
    "[--fangs] [--tcpdump] [--ranges] [--url-no-query] [--url-prefix]"
#define SCAN_OPTIONS(o)                                      \
    { "fangs", 0, CLI_FLAG, &(o)->fangs },                   \
        { "tcpdump", 0, CLI_FLAG, &(o)->tcpdump },           \
        { "ranges", 0, CLI_FLAG, &(o)->ranges },             \
        { "url-no-query", 0, CLI_FLAG, &(o)->url_no_query }, \
    {                                                        \
        "url-prefix", 0, CLI_FLAG, &(o)->url_prefix          \
    }

/* NR_SCAN_* of the options that were given. */
unsigned scan_options_flags(const struct scan_options *o);

#endif
