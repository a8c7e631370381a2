#include "hub_cmds.h"

#include <stdio.h>
#include <stdlib.h>

const char *
hub_home(const char *given, char *buf)
{
    const char *named = getenv("NOROSHI_HUB_HOME"), *user = getenv("HOME");

    if (given)
        return given;
    if (named && *named)
        return named;
    if (!user || !*user)
        return "/var/lib/noroshi-hub";
    (void)snprintf(buf, 512, "%s/.noroshi-hub", user);
    return buf;
}

int
hub_print(const struct cli *cli, enum nr_err err, const struct nr_diag *d,
    struct nr_buf *out)
{
    int status = err ? cli_fail(cli, d) : CLI_NOTHING;

    if (!err && out->err)
        status = cli_error(cli, "out of memory");
    else if (!err && out->n > 0)
        (void)fwrite(out->p, 1, out->n, stdout);
    nr_buf_fini(out);
    return status;
}

int
hub_status(struct cli *cli, int argc, char **argv)
{
    static const char usage[] = "[--home DIR] [--json]";
    const char *home = NULL;
    bool json = false;
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &home },
        { "json", 0, CLI_FLAG, &json },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_diag d = { 0 };
    struct nr_hub *hub = NULL;
    struct nr_buf out;
    char buf[512];
    enum nr_err err;
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n > 0)
        return cli_usage(cli, usage);
    nr_buf_init(&out, HUB_OUT_MAX);
    err = nr_hub_open(hub_home(home, buf), &cli->env, &hub, &d);
    if (!err)
        err = nr_hub_status_print(hub, json, &out, &d);
    nr_hub_close(hub);
    return hub_print(cli, err, &d, &out);
}

int
hub_backup(struct cli *cli, int argc, char **argv)
{
    static const char usage[] = "[--home DIR] FILE";
    const char *home = NULL;
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &home },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_diag d = { 0 };
    struct nr_hub *hub = NULL;
    char buf[512];
    enum nr_err err;
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 1)
        return cli_usage(cli, usage);
    err = nr_hub_open(hub_home(home, buf), &cli->env, &hub, &d);
    if (!err)
        err = nr_hub_backup(hub, argv[0], &d);
    nr_hub_close(hub);
    return err ? cli_fail(cli, &d) : CLI_NOTHING;
}

int
hub_restore(struct cli *cli, int argc, char **argv)
{
    static const char usage[] = "[--home DIR] FILE";
    const char *home = NULL;
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &home },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_diag d = { 0 };
    char buf[512];
    enum nr_err err;
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 1)
        return cli_usage(cli, usage);
    err = nr_hub_restore(hub_home(home, buf), argv[0], &cli->env, &d);
    return err ? cli_fail(cli, &d) : CLI_NOTHING;
}

int
hub_check(struct cli *cli, int argc, char **argv)
{
    static const char usage[] = "[--home DIR]";
    const char *home = NULL;
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &home },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_diag d = { 0 };
    struct nr_hub *hub = NULL;
    struct nr_hub_check c = { 0 };
    struct nr_buf text;
    char buf[512];
    enum nr_err err;
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n > 0)
        return cli_usage(cli, usage);
    nr_buf_init(&text, HUB_OUT_MAX);
    err = nr_hub_open(hub_home(home, buf), &cli->env, &hub, &d);
    if (!err)
        err = nr_hub_check(hub, &c, &text, &d);
    nr_hub_close(hub);
    if (!err && text.n > 0)
        (void)fwrite(text.p, 1, text.n, stderr);
    nr_buf_fini(&text);
    if (err)
        return cli_fail(cli, &d);
    printf("facts\t%llu\nobjects\t%llu\nanswers\t%llu\nmembers\t%llu\n"
           "collections\t%llu\nfaults\t%llu\n",
        (unsigned long long)c.facts, (unsigned long long)c.objects,
        (unsigned long long)c.answers, (unsigned long long)c.members,
        (unsigned long long)c.collections, (unsigned long long)c.faults);
    return c.faults ? CLI_INCOMPLETE : CLI_NOTHING;
}
