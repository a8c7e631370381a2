/* The key of a sealed archive, for the commands that open one. */
#ifndef ARCHIVE_KEY_H
#define ARCHIVE_KEY_H

#include "archive/seal.h"
#include "cli.h"

/* *KEY: NULL, or OUT with the key that the archive in DIR needs, from FILE or,
 * if that is NULL, from the home; to be wiped. */
enum nr_err archive_key(struct cli *cli, const char *dir, const char *file,
    struct nr_archive_key *out, const struct nr_archive_key **key,
    struct nr_diag *d) NR_MUST_USE;

/* noroshi archive seal. */
int archive_seal(struct cli *cli, const char *dir, const char *file);

#endif
