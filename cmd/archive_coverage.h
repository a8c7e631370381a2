/* noroshi archive coverage: what the archive can answer for, as a picture, in
 * words, and as JSON. */
#ifndef ARCHIVE_COVERAGE_H
#define ARCHIVE_COVERAGE_H

#include "cli.h"

struct nr_archive;

struct archive_coverage {
    struct cli *cli;
    const char *kind;     /* NULL: all */
    int64_t from_s, to_s; /* NR_TIME_NONE: not given */
    bool json, ascii;
};

/* Print that of A, which stays the caller's. Returns an exit status. */
int archive_coverage(const struct archive_coverage *c, struct nr_archive *a);

#endif
