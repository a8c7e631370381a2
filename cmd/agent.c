/* noroshi agent: stay connected, answer what is asked. */
#include "cmds.h"
#include "crypto/crypto.h"
#include "member/member.h"

#include <string.h>

int
cmd_agent(struct cli *cli, int argc, char **argv)
{
    const char *sandbox = NULL;
    struct nr_agent_conf conf = { 0 };
    const struct cli_option options[] = {
        { "home", 0, CLI_TEXT, &cli->home },
        { "dry-run", 0, CLI_FLAG, &conf.dry_run },
        { "sandbox", 0, CLI_TEXT, &sandbox },
        { 0 },
    };
    const char *usage = "[--home DIR] [--dry-run] [--sandbox=seccomp]";
    struct nr_diag d = { 0 };
    enum nr_err err;
    int n;

    if (!cli_parse(cli, options, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n > 0)
        return cli_usage(cli, usage);
    if (sandbox && strcmp(sandbox, "seccomp") != 0)
        return cli_error(cli,
            "--sandbox=%s: only \"seccomp\" (without Landlock) can be asked "
            "for; there is no way to run unconfined",
            sandbox);
    if (sandbox)
        cli_warn(cli,
            "warning: with --sandbox=seccomp and no Landlock in the kernel "
            "every file of this user is open to the agent's processes");
    conf.home = cli->home;
    conf.env = &cli->env;
    conf.without_landlock = sandbox != NULL;
    err = nr_crypto_init(&d);
    if (!err)
        err = nr_agent_run(&conf, &d);
    return err ? cli_fail(cli, &d) : CLI_NOTHING;
}
