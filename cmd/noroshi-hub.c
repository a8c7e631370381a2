/* noroshi-hub(8): the server of a sharing circle. */
#include "hub_cmds.h"

static const struct cli_command commands[] = {
    { "init", hub_init, "make a hub's home" },
    { "serve", hub_serve, "serve it" },
    { "member", hub_member, "invite, ls, revoke" },
    { "account", hub_account, "add: accounts for Basic" },
    { "key", hub_key, "add: further bearer keys" },
    { "collection", hub_collection, "add, ls" },
    { "status", hub_status, "what the hub holds" },
    { "backup", hub_backup, "copy the store, also while serving" },
    { "restore", hub_restore, "put a backup in its place" },
    { "check", hub_check, "check the whole store" },
    { NULL, NULL, NULL },
};

int
main(int argc, char **argv)
{
    return cli_main("noroshi-hub", commands, argc, argv);
}
