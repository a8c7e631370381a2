/* noroshi-hub(8): what the keeper of a sharing circle runs. */
#include "hub_cmds.h"

static const struct cli_command commands[] = {
    { "init", hub_cmd_init, "make a hub's home" },
    { "serve", hub_cmd_serve, "serve members until ended by SIGTERM" },
    { "member", hub_cmd_member, "invite, list and revoke members" },
    { "account", hub_cmd_account, "accounts for HTTP Basic" },
    { "key", hub_cmd_key, "further bearer keys" },
    { "collection", hub_cmd_collection, "sharing groups" },
    { "status", hub_cmd_status, "what the hub holds" },
    { "backup", hub_cmd_backup, "copy the store, also while serving" },
    { "restore", hub_cmd_restore, "put a backup in the store's place" },
    { "check", hub_cmd_check, "check the store and every fact in it" },
    { NULL, NULL, NULL },
};

int
main(int argc, char **argv)
{
    return cli_main("noroshi-hub", commands, argc, argv);
}
