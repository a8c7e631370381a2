/* The files that a command's operands name. */
#ifndef PATHS_H
#define PATHS_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define PATHS_MAX ((size_t)1 << 20) /* files of one command */

struct paths {
    char **v; /* owned, as are the strings */
    size_t n, cap;
};

/*
 * Every file of the N operands, and with RECURSE of the directories among
 * them, without names that begin with a dot and without following links to
 * directories. P is zeroed. A directory that cannot be read is a PROBLEM,
 * called with CTX, and passed over. False: more than PATHS_MAX, or no memory.
 */
bool paths_gather(struct paths *p, char **argv, int n, bool recurse,
    void (*problem)(void *ctx, const struct nr_diag *d), void *ctx) NR_MUST_USE;

void paths_free(struct paths *p);

#endif
