/* Who may come in: members, accounts, keys, collections. */
#include "hub_cmds.h"

#include "base/num.h"
#include "crypto/crypto.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t
strs_of(const struct cli_list *in, struct nr_str out[CLI_LIST_MAX])
{
    for (size_t i = 0; i < in->n; i++)
        out[i] = nr_str_of(in->v[i]);
    return in->n;
}

/* Names separated by commas, at most CLI_LIST_MAX; false: more. */
static bool
split(const char *text, struct nr_str out[CLI_LIST_MAX], size_t *n)
{
    struct nr_str rest = nr_str_of(text);

    *n = 0;
    while (rest.n > 0) {
        struct nr_str one = nr_str_trim(nr_str_cut(rest, ',', &rest));

        if (one.n == 0)
            continue;
        if (*n == CLI_LIST_MAX)
            return false;
        out[(*n)++] = one;
    }
    return true;
}

/* A hub opened for a command, with what it will print. */
static enum nr_err
open_hub(struct cli *cli, const char *home, struct nr_hub **hub,
    struct nr_buf *out, struct nr_diag *d)
{
    enum nr_err err = nr_crypto_init(d);

    nr_buf_init(out, HUB_OUTPUT_MAX);
    return err ? err : nr_hub_open(home, &cli->env, hub, d);
}

/* Close HUB; print OUT, or say D. */
static int
finish(struct cli *cli, struct nr_hub *hub, enum nr_err err, struct nr_buf *out,
    const struct nr_diag *d)
{
    nr_hub_close(hub);
    if (!err)
        return hub_print(cli, out);
    nr_buf_fini(out);
    return cli_fail(cli, d);
}

static int
member_invite(struct cli *cli, int argc, char **argv)
{
    static const char usage[] =
        "invite NAME [--home DIR] [--sector S] [--size C] [--role ROLE] "
        "[--collection C]... [--days N] [--address HOST:PORT]";
    const char *home = cli->home, *sector = "", *size = "", *role = "member";
    struct nr_str collections[CLI_LIST_MAX];
    struct nr_hub_invite invite = { 0 };
    struct cli_list chosen = { 0 };
    struct nr_diag d = { 0 };
    struct nr_hub *hub;
    struct nr_buf out;
    uint64_t days = 0;
    enum nr_err err;
    int n;
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &home },
        { "sector", 0, CLI_TEXT, &sector },
        { "size", 0, CLI_TEXT, &size },
        { "role", 0, CLI_TEXT, &role },
        { "collection", 0, CLI_LIST, &chosen },
        { "days", 0, CLI_U64, &days },
        { "address", 0, CLI_TEXT, &invite.address },
        { NULL, 0, CLI_FLAG, NULL },
    };

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 1)
        return cli_usage(cli, usage);
    if (!nr_role_from_name(nr_str_of(role), &invite.role))
        return cli_error(cli, "--role: no such role: %s", role);
    if (!nr_to_i64(days, &invite.days) || invite.days > 36500)
        return cli_error(cli, "--days: more than 36500");
    invite.name = nr_str_of(argv[0]);
    invite.sector = nr_str_of(sector);
    invite.size = nr_str_of(size);
    invite.n_collections = strs_of(&chosen, collections);
    invite.collections = collections;
    if (open_hub(cli, home, &hub, &out, &d))
        return cli_fail(cli, &d);
    err = nr_hub_invite(hub, &invite, &out, &d);
    return finish(cli, hub, err, &out, &d);
}

static int
list(struct cli *cli, int argc, char **argv, const char *usage,
    enum nr_err (*print)(struct nr_hub *hub, bool json, struct nr_buf *out,
        struct nr_diag *d))
{
    const char *home = cli->home;
    struct nr_diag d = { 0 };
    struct nr_hub *hub;
    struct nr_buf out;
    bool json = false;
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
    if (open_hub(cli, home, &hub, &out, &d))
        return cli_fail(cli, &d);
    return finish(cli, hub, print(hub, json, &out, &d), &out, &d);
}

static int
member_ls(struct cli *cli, int argc, char **argv)
{
    return list(cli, argc, argv, "ls [--home DIR] [--json]",
        nr_hub_members_print);
}

static int
member_revoke(struct cli *cli, int argc, char **argv)
{
    static const char usage[] = "revoke NAME [--home DIR]";
    const char *home = cli->home;
    struct nr_diag d = { 0 };
    struct nr_hub *hub;
    struct nr_buf out;
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
    if (open_hub(cli, home, &hub, &out, &d))
        return cli_fail(cli, &d);
    err = nr_hub_revoke(hub, nr_str_of(argv[0]), &d);
    if (!err)
        nr_buf_printf(&out, "revoked %s", argv[0]);
    return finish(cli, hub, err, &out, &d);
}

int
hub_cmd_member(struct cli *cli, int argc, char **argv)
{
    static const struct hub_sub table[] = {
        { "invite", member_invite },
        { "ls", member_ls },
        { "revoke", member_revoke },
        { NULL, NULL },
    };

    return hub_sub(cli, table, "invite|ls|revoke ...", argc, argv);
}

/* The first line of standard input, without its end. */
static bool
read_password(char *buf, size_t n)
{
    if (!fgets(buf, (int)n, stdin))
        return false;
    buf[strcspn(buf, "\r\n")] = '\0';
    return buf[0] != '\0';
}

static int
account_add(struct cli *cli, int argc, char **argv)
{
    static const char usage[] =
        "add NAME --role ROLE --password-stdin [--home DIR]";
    const char *home = cli->home, *role = "member";
    char password[NR_HUB_SECRET_MAX + 2];
    struct nr_diag d = { 0 };
    enum nr_role wanted;
    bool from_stdin = false;
    struct nr_hub *hub;
    struct nr_buf out;
    enum nr_err err;
    int n;
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &home },
        { "role", 0, CLI_TEXT, &role },
        { "password-stdin", 0, CLI_FLAG, &from_stdin },
        { NULL, 0, CLI_FLAG, NULL },
    };

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 1 || !from_stdin)
        return cli_usage(cli, usage);
    if (!nr_role_from_name(nr_str_of(role), &wanted))
        return cli_error(cli, "--role: no such role: %s", role);
    if (!read_password(password, sizeof(password)))
        return cli_error(cli, "no password on standard input");
    if (open_hub(cli, home, &hub, &out, &d))
        return cli_fail(cli, &d);
    err = nr_hub_account_add(hub, nr_str_of(argv[0]), wanted,
        nr_str_of(password), &d);
    nr_wipe(password, sizeof(password));
    if (!err)
        nr_buf_printf(&out, "added %s", argv[0]);
    return finish(cli, hub, err, &out, &d);
}

int
hub_cmd_account(struct cli *cli, int argc, char **argv)
{
    static const struct hub_sub table[] = {
        { "add", account_add },
        { "revoke", member_revoke },
        { NULL, NULL },
    };

    return hub_sub(cli, table, "add|revoke ...", argc, argv);
}

static int
key_add(struct cli *cli, int argc, char **argv)
{
    static const char usage[] =
        "add NAME [--scope read|write|all] [--days N] [--home DIR]";
    const char *home = cli->home, *scope = "read";
    uint64_t days = NR_HUB_KEY_DAYS;
    struct nr_diag d = { 0 };
    struct nr_hub *hub;
    struct nr_buf out;
    unsigned wanted;
    enum nr_err err;
    int n;
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &home },
        { "scope", 0, CLI_TEXT, &scope },
        { "days", 0, CLI_U64, &days },
        { NULL, 0, CLI_FLAG, NULL },
    };

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 1)
        return cli_usage(cli, usage);
    if (!nr_scope_from_name(nr_str_of(scope), &wanted))
        return cli_error(cli, "--scope: no such scope: %s", scope);
    if (days == 0 || days > 36500)
        return cli_error(cli, "--days: not within 1 and 36500");
    if (open_hub(cli, home, &hub, &out, &d))
        return cli_fail(cli, &d);
    err = nr_hub_key_add(hub, nr_str_of(argv[0]), wanted, (int64_t)days, &out,
        &d);
    return finish(cli, hub, err, &out, &d);
}

int
hub_cmd_key(struct cli *cli, int argc, char **argv)
{
    static const struct hub_sub table[] = {
        { "add", key_add },
        { NULL, NULL },
    };

    return hub_sub(cli, table, "add ...", argc, argv);
}

static int
collection_add(struct cli *cli, int argc, char **argv)
{
    static const char usage[] =
        "add TITLE [--read A,B] [--write A,C] [--home DIR]";
    const char *home = cli->home, *read = "", *write = "";
    struct nr_str readers[CLI_LIST_MAX], writers[CLI_LIST_MAX];
    size_t n_readers, n_writers;
    struct nr_diag d = { 0 };
    struct nr_hub *hub;
    struct nr_buf out;
    enum nr_err err;
    int n;
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &home },
        { "read", 0, CLI_TEXT, &read },
        { "write", 0, CLI_TEXT, &write },
        { NULL, 0, CLI_FLAG, NULL },
    };

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 1)
        return cli_usage(cli, usage);
    if (!split(read, readers, &n_readers) || !split(write, writers, &n_writers))
        return cli_error(cli, "more than %zu names in one list", CLI_LIST_MAX);
    if (open_hub(cli, home, &hub, &out, &d))
        return cli_fail(cli, &d);
    err = nr_hub_collection_add(hub, nr_str_of(argv[0]), readers, n_readers,
        writers, n_writers, &out, &d);
    return finish(cli, hub, err, &out, &d);
}

static int
collection_ls(struct cli *cli, int argc, char **argv)
{
    return list(cli, argc, argv, "ls [--home DIR] [--json]",
        nr_hub_collections_print);
}

int
hub_cmd_collection(struct cli *cli, int argc, char **argv)
{
    static const struct hub_sub table[] = {
        { "add", collection_add },
        { "ls", collection_ls },
        { NULL, NULL },
    };

    return hub_sub(cli, table, "add|ls ...", argc, argv);
}
