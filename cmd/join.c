/* noroshi join: become a member of a hub. */
#include "cmds.h"
#include "crypto/crypto.h"
#include "member/member.h"

#include <stdio.h>
#include <stdlib.h>

#define MEMORY ((size_t)16 << 20)

static int
report(struct cli *cli)
{
    struct nr_diag d = { 0 };
    struct nr_membership m;
    struct nr_arena a;
    enum nr_err err;

    nr_arena_init(&a, MEMORY);
    err = nr_membership_read(&a, cli->home, &m, &d);
    if (!err) {
        printf("hub\t%s\nmember\t%.*s\n", m.address.base, NR_FMT(m.member));
        for (size_t i = 0; i < m.n_collections; i++)
            printf("collection\t%.*s\t%.*s\n", NR_FMT(m.collections[i].id),
                NR_FMT(m.collections[i].title));
    }
    nr_arena_fini(&a);
    return err ? cli_fail(cli, &d) : CLI_NOTHING;
}

int
cmd_join(struct cli *cli, int argc, char **argv)
{
    const struct cli_option options[] = {
        { "home", 0, CLI_TEXT, &cli->home },
        { 0 },
    };
    const char *usage = "[--home DIR] 'noroshi://HOST:PORT/?code=..&pin=..'";
    struct nr_diag d = { 0 };
    int64_t skew_s = 0;
    enum nr_err err;
    int n;

    if (!cli_parse(cli, options, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 1)
        return cli_usage(cli, usage);
    err = nr_crypto_init(&d);
    if (!err)
        err = nr_http_init(&d);
    if (!err)
        err = nr_home_check(cli->home, &d);
    if (!err)
        err = nr_member_join(cli->home, nr_str_of(argv[0]), &cli->env, &skew_s,
            &d);
    if (!err && llabs(skew_s) > NR_CLOCK_SKEW_MAX_S)
        cli_warn(cli,
            "the hub's clock is %lld s %s this machine's: dates of answers "
            "will "
            "be off by that; set the clock (NTP), or tell the hub's keeper",
            llabs(skew_s), skew_s > 0 ? "ahead of" : "behind");
    if (err == NR_EBUSY)
        return cli_error(cli,
            "%s: another noroshi works on this home (agent or join); stop it "
            "first",
            cli->home);
    return err ? cli_fail(cli, &d) : report(cli);
}
