/*
 * The commands of noroshi-hub(8): each gets the words after its name and
 * returns an exit status of cli.h.
 */
#ifndef HUB_CMDS_H
#define HUB_CMDS_H

#include "cli.h"

#include "base/buf.h"
#include "hub/hub.h"

int hub_cmd_init(struct cli *cli, int argc, char **argv);
int hub_cmd_serve(struct cli *cli, int argc, char **argv);
int hub_cmd_member(struct cli *cli, int argc, char **argv);
int hub_cmd_account(struct cli *cli, int argc, char **argv);
int hub_cmd_key(struct cli *cli, int argc, char **argv);
int hub_cmd_collection(struct cli *cli, int argc, char **argv);
int hub_cmd_status(struct cli *cli, int argc, char **argv);
int hub_cmd_backup(struct cli *cli, int argc, char **argv);
int hub_cmd_restore(struct cli *cli, int argc, char **argv);
int hub_cmd_check(struct cli *cli, int argc, char **argv);

#define HUB_OUTPUT_MAX ((size_t)256 << 20) /* octets that a listing prints */

/* A subcommand, "member invite": chosen by the word after the command. */
struct hub_sub {
    const char *name;
    int (*run)(struct cli *cli, int argc, char **argv);
};

/* Run the row of TABLE (ends with a NULL name) that argv[0] names. */
int hub_sub(struct cli *cli, const struct hub_sub *table, const char *usage,
    int argc, char **argv);

/* Print B, a line feed after it unless it ends in one; fini it. */
int hub_print(struct cli *cli, struct nr_buf *b);

#endif
