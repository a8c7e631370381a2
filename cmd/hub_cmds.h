/* The commands of noroshi-hub(8): options, wiring, run. */
#ifndef HUB_CMDS_H
#define HUB_CMDS_H

#include "cli.h"
#include "hub/hub.h"

/* hub_serve.c */
int hub_init(struct cli *cli, int argc, char **argv);
int hub_serve(struct cli *cli, int argc, char **argv);
/* hub_members.c */
int hub_member(struct cli *cli, int argc, char **argv);
int hub_account(struct cli *cli, int argc, char **argv);
int hub_key(struct cli *cli, int argc, char **argv);
int hub_collection(struct cli *cli, int argc, char **argv);
/* hub_keep.c */
int hub_status(struct cli *cli, int argc, char **argv);
int hub_backup(struct cli *cli, int argc, char **argv);
int hub_restore(struct cli *cli, int argc, char **argv);
int hub_check(struct cli *cli, int argc, char **argv);

/* The home named by --home, else $NOROSHI_HUB_HOME, else ~/.noroshi-hub. BUF
 * holds 512 octets. */
const char *hub_home(const char *given, char *buf);

/* What a command prints, on standard output; frees OUT. ERR: D instead. */
int hub_print(const struct cli *cli, enum nr_err err, const struct nr_diag *d,
    struct nr_buf *out);

#define HUB_OUT_MAX ((size_t)256 << 20) /* octets that a command prints */

#endif
