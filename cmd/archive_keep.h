/* noroshi archive prune, hold, verify, repair, compact: upkeep of an archive. */
#ifndef ARCHIVE_KEEP_H
#define ARCHIVE_KEEP_H

#include "archive/seal.h"
#include "cli.h"

struct nr_archive;

struct archive_keep {
    struct cli *cli;
    const char *dir;      /* NULL: HOME/archive */
    const char *key_file; /* NULL: the home's */
    struct nr_archive_key key;
    const struct nr_archive_key *has_key; /* KEY, once the archive was open */
    char dir_text[4096];
    bool dry_run, yes, all, discard;
    uint64_t keep_days, keep_size; /* 0: not given */
    int64_t before_s;              /* NR_TIME_NONE: not given */
    struct cli_list kinds;         /* KIND=DAYS */
    struct cli_list lists;         /* whose questions are looked at */
    const char *reason;
    uint64_t memory, least, span_days; /* of compact; 0: not given */
    size_t failed;                     /* said on stderr */
};

/* Each gets the operands after its name and returns an exit status. */
int archive_prune(struct archive_keep *k);
int archive_hold(struct archive_keep *k, int argc, char **argv);
int archive_verify(struct archive_keep *k);
int archive_repair(struct archive_keep *k, int argc, char **argv);
int archive_compact(struct archive_keep *k);

/* The archive that the options name. WRITE takes its lock; QUIET: damaged
 * segments are said by the caller. */
enum nr_err archive_keep_open(struct archive_keep *k, bool write, bool quiet,
    struct nr_archive **out, struct nr_diag *d) NR_MUST_USE;

#endif
