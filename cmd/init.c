/* noroshi init: make a home. */
#include "cmds.h"
#include "crypto/crypto.h"
#include "member/member.h"

#include <stdio.h>

int
cmd_init(struct cli *cli, int argc, char **argv)
{
    const struct cli_option options[] = {
        { "home", 0, CLI_TEXT, &cli->home },
        { 0 },
    };
    const char *usage = "[--home DIR]";
    struct nr_diag d = { 0 };
    int n;

    if (!cli_parse(cli, options, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n > 0)
        return cli_usage(cli, usage);
    if (nr_crypto_init(&d) || nr_home_init(cli->home, &cli->env, &d))
        return cli_fail(cli, &d);
    printf("%s\n", cli->home);
    return CLI_NOTHING;
}
