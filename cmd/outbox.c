/* noroshi outbox: every octet that leaves, before and after it left. */
#include "cmds.h"
#include "member/member.h"

#include <stdio.h>
#include <string.h>

#define MEMORY ((size_t)256 << 20)

static const char usage[] =
    "[--home DIR] ls | show ID | send ID.. | send --all | drop ID..";

static int
list(struct cli *cli)
{
    struct nr_diag d = { 0 };
    enum nr_err err = NR_OK;
    int status = CLI_NOTHING;

    for (int box = 0; !err && box < NR_BOXES; box++) {
        struct nr_names names = { 0 };
        struct nr_arena a;

        nr_arena_init(&a, MEMORY);
        err = nr_outbox_list(&a, cli->home, (enum nr_box)box, &names, &d);
        for (size_t i = 0; !err && i < names.n; i++) {
            struct nr_diag why = { 0 };
            struct nr_arena one;
            struct nr_item item;

            nr_arena_init(&one, MEMORY);
            if (nr_outbox_read(&one, cli->home, (enum nr_box)box, names.v[i],
                    &item, &why) == NR_OK) {
                printf("%s\t%s\t%.*s\t%.*s\t%zu\n",
                    nr_box_name((enum nr_box)box), names.v[i],
                    NR_FMT(item.kind), NR_FMT(item.path), item.body.n);
            } else if (why.err != NR_ENOTFOUND) { /* moved meanwhile */
                cli_fail(cli, &why);
                status = CLI_INCOMPLETE;
            }
            nr_arena_fini(&one);
        }
        nr_arena_fini(&a);
    }
    return err ? cli_fail(cli, &d) : status;
}

static int
show(struct cli *cli, const char *id)
{
    struct nr_membership m;
    struct nr_diag d = { 0 };
    struct nr_arena a;
    struct nr_item item;
    enum nr_box box = NR_BOX_HELD;
    enum nr_err err;

    nr_arena_init(&a, MEMORY);
    err = nr_outbox_find(cli->home, id, &box, &d);
    if (!err)
        err = nr_outbox_read(&a, cli->home, box, id, &item, &d);
    if (!err) {
        const char *to = "(no hub joined)";

        if (nr_membership_read(&a, cli->home, &m, NULL) == NR_OK)
            to = m.address.base;
        printf("%.*s %s%.*s\nContent-Type: application/json\n\n%.*s\n",
            NR_FMT(item.method), to, NR_FMT(item.path), (int)item.body.n,
            (const char *)item.body.p);
    }
    nr_arena_fini(&a);
    return err ? cli_fail(cli, &d) : CLI_NOTHING;
}

/* From held: to pending, where the agent takes it, or to dropped. */
static int
decide(struct cli *cli, enum nr_box to, const char *const *ids, size_t n)
{
    int status = CLI_NOTHING;

    for (size_t i = 0; i < n; i++) {
        struct nr_diag d = { 0 };
        enum nr_box in = NR_BOX_HELD;
        enum nr_err err = nr_outbox_find(cli->home, ids[i], &in, &d);

        if (!err && (in == NR_BOX_SENT || in == NR_BOX_DROPPED)) {
            status = cli_error(cli, "%s: is %s already", ids[i],
                nr_box_name(in));
            continue;
        }
        if (!err && in != to)
            err = nr_outbox_move(cli->home, ids[i], in, to, &d);
        if (err)
            status = cli_fail(cli, &d);
        else
            printf("%s\t%s\n", nr_box_name(to), ids[i]);
    }
    if (to == NR_BOX_PENDING)
        nr_agent_nudge(cli->home);
    return status;
}

static int
send_all(struct cli *cli)
{
    struct nr_names names;
    struct nr_diag d = { 0 };
    struct nr_arena a;
    int status;

    nr_arena_init(&a, MEMORY);
    if (nr_outbox_list(&a, cli->home, NR_BOX_HELD, &names, &d))
        status = cli_fail(cli, &d);
    else
        status = decide(cli, NR_BOX_PENDING, names.v, names.n);
    nr_arena_fini(&a);
    return status;
}

int
cmd_outbox(struct cli *cli, int argc, char **argv)
{
    bool all = false;
    const struct cli_option options[] = {
        { "home", 0, CLI_TEXT, &cli->home },
        { "all", 0, CLI_FLAG, &all },
        { 0 },
    };
    const char *const *ids;
    struct nr_diag d = { 0 };
    const char *verb;
    int n;

    if (!cli_parse(cli, options, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n < 1)
        return cli_usage(cli, usage);
    if (nr_home_check(cli->home, &d))
        return cli_fail(cli, &d);
    verb = argv[0];
    ids = (const char *const *)argv + 1;
    n--;
    if (strcmp(verb, "ls") == 0 && n == 0 && !all)
        return list(cli);
    if (strcmp(verb, "show") == 0 && n == 1 && !all)
        return show(cli, ids[0]);
    if (strcmp(verb, "send") == 0 && n == 0 && all)
        return send_all(cli);
    if (strcmp(verb, "send") == 0 && n > 0 && !all)
        return decide(cli, NR_BOX_PENDING, ids, (size_t)n);
    if (strcmp(verb, "drop") == 0 && n > 0 && !all)
        return decide(cli, NR_BOX_DROPPED, ids, (size_t)n);
    return cli_usage(cli, usage);
}
