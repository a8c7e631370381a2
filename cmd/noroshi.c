/* noroshi(1): what a member or an analyst runs. */
#include "cmds.h"

static const struct cli_command commands[] = {
    { NULL, NULL, NULL },
};

int
main(int argc, char **argv)
{
    return cli_main("noroshi", commands, argc, argv);
}
