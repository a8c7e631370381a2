/* Making, looking at and keeping a hub: init, status, backup, restore, check. */
#include "hub_cmds.h"

#include "crypto/crypto.h"

#include <stdio.h>
#include <string.h>

int
hub_sub(struct cli *cli, const struct hub_sub *table, const char *usage,
    int argc, char **argv)
{
    for (; argc > 0 && table->name; table++)
        if (strcmp(table->name, argv[0]) == 0)
            return table->run(cli, argc - 1, argv + 1);
    if (argc > 0)
        (void)cli_error(cli, "%s: %s", argv[0],
            argv[0][0] == '-' ? "unknown option" : "no such subcommand");
    return cli_usage(cli, usage);
}

int
hub_print(struct cli *cli, struct nr_buf *b)
{
    enum nr_err err = b->err;

    if (!err && b->n > 0) {
        (void)fwrite(b->p, 1, b->n, stdout);
        if (b->p[b->n - 1] != '\n')
            (void)fputc('\n', stdout);
    }
    nr_buf_fini(b);
    return err ? cli_error(cli, "listing: %s", nr_err_name(err)) : CLI_NOTHING;
}

/* The real clock, whatever NOROSHI_NOW says. */
static int64_t
wall_s(void)
{
    static const int64_t none = 0;
    struct nr_env env;

    nr_env_system(&env, &none);
    return nr_env_now_s(&env);
}

int
hub_cmd_init(struct cli *cli, int argc, char **argv)
{
    static const char usage[] = "[--home DIR] [--title TEXT] "
                                "[--address HOST:PORT] [--host NAME]...";
    struct nr_hub_init conf = { .home = cli->home, .wall_s = wall_s() };
    struct cli_list hosts = { 0 };
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &conf.home },
        { "title", 0, CLI_TEXT, &conf.title },
        { "address", 0, CLI_TEXT, &conf.address },
        { "host", 0, CLI_LIST, &hosts },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_diag d = { 0 };
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 0)
        return cli_usage(cli, usage);
    conf.hosts = hosts.v;
    conf.n_hosts = hosts.n;
    if (nr_crypto_init(&d) || nr_hub_init(&conf, &cli->env, &d))
        return cli_fail(cli, &d);
    printf("made a hub in %s\n", conf.home);
    return CLI_NOTHING;
}

int
hub_cmd_status(struct cli *cli, int argc, char **argv)
{
    static const char usage[] = "[--home DIR] [--json]";
    const char *home = cli->home;
    struct nr_diag d = { 0 };
    struct nr_hub *hub;
    struct nr_buf out;
    bool json = false;
    enum nr_err err;
    int n;
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &home },
        { "json", 0, CLI_FLAG, &json },
        { NULL, 0, CLI_FLAG, NULL },
    };

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 0)
        return cli_usage(cli, usage);
    if (nr_hub_open(home, &cli->env, &hub, &d))
        return cli_fail(cli, &d);
    nr_buf_init(&out, HUB_OUTPUT_MAX);
    err = nr_hub_status_print(hub, json, &out, &d);
    nr_hub_close(hub);
    if (!err)
        return hub_print(cli, &out);
    nr_buf_fini(&out);
    return cli_fail(cli, &d);
}

int
hub_cmd_backup(struct cli *cli, int argc, char **argv)
{
    static const char usage[] = "[--home DIR] FILE";
    const char *home = cli->home;
    struct nr_diag d = { 0 };
    struct nr_hub *hub;
    enum nr_err err;
    int n;
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &home },
        { NULL, 0, CLI_FLAG, NULL },
    };

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 1)
        return cli_usage(cli, usage);
    if (nr_hub_open(home, &cli->env, &hub, &d))
        return cli_fail(cli, &d);
    err = nr_hub_backup(hub, argv[0], &d);
    nr_hub_close(hub);
    if (err)
        return cli_fail(cli, &d);
    printf("wrote %s; hub.pem and hub.key of %s belong to it\n", argv[0], home);
    return CLI_NOTHING;
}

int
hub_cmd_restore(struct cli *cli, int argc, char **argv)
{
    static const char usage[] = "[--home DIR] FILE";
    const char *home = cli->home;
    struct nr_diag d = { 0 };
    int n;
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &home },
        { NULL, 0, CLI_FLAG, NULL },
    };

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 1)
        return cli_usage(cli, usage);
    if (nr_hub_restore(home, argv[0], &cli->env, &d))
        return cli_fail(cli, &d);
    printf("restored %s into %s\n", argv[0], home);
    return CLI_NOTHING;
}

int
hub_cmd_check(struct cli *cli, int argc, char **argv)
{
    static const char usage[] = "[--home DIR]";
    struct nr_hub_check found = { 0 };
    const char *home = cli->home;
    struct nr_diag d = { 0 };
    struct nr_hub *hub;
    struct nr_buf text;
    enum nr_err err;
    int n;
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &home },
        { NULL, 0, CLI_FLAG, NULL },
    };

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 0)
        return cli_usage(cli, usage);
    if (nr_hub_open(home, &cli->env, &hub, &d))
        return cli_fail(cli, &d);
    nr_buf_init(&text, HUB_OUTPUT_MAX);
    err = nr_hub_check(hub, &found, &text, &d);
    nr_hub_close(hub);
    if (text.n > 0)
        (void)fwrite(text.p, 1, text.n, stderr);
    nr_buf_fini(&text);
    if (err)
        return cli_fail(cli, &d);
    printf("%ju facts, %ju objects, %ju answers, %ju members, "
           "%ju collections: %ju faults\n",
        (uintmax_t)found.facts, (uintmax_t)found.objects,
        (uintmax_t)found.answers, (uintmax_t)found.members,
        (uintmax_t)found.collections, (uintmax_t)found.faults);
    return found.faults ? CLI_INCOMPLETE : CLI_NOTHING;
}
