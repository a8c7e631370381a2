/* The warninglists of a command. */
#ifndef WARN_H
#define WARN_H

#include "cli.h"

struct nr_warnlists;

/*
 * Load warninglists from DIR; NULL: from where "warninglists" of the home's
 * config says, else HOME/warninglists, else the installed ones. What "allow" of the home's config
 * names is excepted. When there are none at all *OUT is NULL, and a warning is
 * printed unless DIR is "none".
 */
enum nr_err warn_load(const struct cli *cli, const char *dir,
    struct nr_warnlists **out, struct nr_diag *d) NR_MUST_USE;

/* LIST, judged by the warninglists VERSION, is used where those of version
 * INSTALLED stand (0: none): a line on stderr if they are others. */
void warn_of_judges(const struct cli *cli, const char *list, uint64_t version,
    uint64_t installed);

#endif
