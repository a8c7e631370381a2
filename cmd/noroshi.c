/* noroshi(1): what a member or an analyst runs. */
#include "cmds.h"

static const struct cli_command commands[] = {
    { "archive", cmd_archive, "keep logs: add, ls, stat, verify, prune" },
    { "hunt", cmd_hunt, "ask the archive about indicators" },
    { "init", cmd_init, "make a home for this organisation" },
    { "join", cmd_join, "join a hub by the address it gave out" },
    { "outbox", cmd_outbox, "see and decide what leaves" },
    { "status", cmd_status, "how this home stands" },
    { NULL, NULL, NULL },
};

int
main(int argc, char **argv)
{
    return cli_main("noroshi", commands, argc, argv);
}
