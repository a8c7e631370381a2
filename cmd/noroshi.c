/* noroshi(1): what a member or an analyst runs. */
#include "cmds.h"

static const struct cli_command commands[] = {
    { "agent", cmd_agent, "stay connected and answer what is asked" },
    { "archive", cmd_archive,
        "keep logs: add, ls, verify, repair, prune, hold" },
    { "hunt", cmd_hunt, "ask the archive about indicators" },
    { "feed", cmd_feed, "lists of others, fetched again and again" },
    { "import", cmd_import, "compile lists of others into one" },
    { "extract", cmd_extract, "list every observable of any text" },
    { "init", cmd_init, "make a home for this organisation" },
    { "join", cmd_join, "join a hub by the address it gave out" },
    { "outbox", cmd_outbox, "see and decide what leaves" },
    { "picture", cmd_picture, "how far a report reaches" },
    { "report", cmd_report, "report an intrusion in five questions" },
    { "status", cmd_status, "how this home stands" },
    { "watch", cmd_watch, "say which lines contain which indicators" },
    { "watchlist", cmd_watchlist, "see, check and change a compiled list" },
    { NULL, NULL, NULL },
};

int
main(int argc, char **argv)
{
    return cli_main("noroshi", commands, argc, argv);
}
