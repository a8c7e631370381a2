#include "hub_cmds.h"

#include "base/ct.h"
#include "crypto/crypto.h"

#include <stdio.h>
#include <string.h>

#define NAMES_MAX ((size_t)256) /* of one --read or --write */

struct options {
    const char *home, *sector, *size, *role, *address, *scope;
    const char *read, *write;
    struct cli_list collections;
    uint64_t days;
    bool json, password_stdin;
};

/* Open the hub named by O, or say why not. */
static enum nr_err
open_hub(const struct cli *cli, const struct options *o, struct nr_hub **hub,
    struct nr_diag *d)
{
    char buf[512];
    enum nr_err err = nr_crypto_init(d);

    return err ? err : nr_hub_open(hub_home(o->home, buf), &cli->env, hub, d);
}

static int
role_of(const struct cli *cli, const char *name, enum nr_hub_role *out)
{
    if (!name)
        *out = NR_HUB_ROLE_MEMBER;
    else if (!nr_hub_role_from_name(nr_str_of(name), out))
        return cli_error(cli,
            "--role: %s: one of member, briefing, "
            "coordinator, csirt, police, defence",
            name);
    return 0;
}

/* End a command: close, print or fail. */
static int
end(const struct cli *cli, struct nr_hub *hub, enum nr_err err,
    const struct nr_diag *d, struct nr_buf *out)
{
    nr_hub_close(hub);
    if (!err && out->n > 0 && out->p[out->n - 1] != '\n')
        nr_buf_put_c(out, '\n');
    return hub_print(cli, err, d, out);
}

static int
invite(struct cli *cli, const struct options *o, const char *name)
{
    struct nr_str collections[CLI_LIST_MAX];
    struct nr_hub_invite i = { .name = nr_str_of(name),
        .sector = nr_str_of(o->sector),
        .size = nr_str_of(o->size),
        .collections = collections,
        .n_collections = o->collections.n,
        .days = (int64_t)o->days,
        .address = o->address };
    struct nr_diag d = { 0 };
    struct nr_hub *hub = NULL;
    struct nr_buf out;
    enum nr_err err;

    if (role_of(cli, o->role, &i.role))
        return CLI_ERROR;
    for (size_t k = 0; k < o->collections.n; k++)
        collections[k] = nr_str_of(o->collections.v[k]);
    nr_buf_init(&out, HUB_OUT_MAX);
    err = open_hub(cli, o, &hub, &d);
    if (!err)
        err = nr_hub_invite(hub, &i, &out, &d);
    return end(cli, hub, err, &d, &out);
}

static bool
days_fit(const struct cli *cli, const struct options *o)
{
    if (o->days <= 36500)
        return true;
    (void)cli_error(cli, "--days: at most 36500");
    return false;
}

int
hub_member(struct cli *cli, int argc, char **argv)
{
    static const char usage[] =
        "invite NAME [--home DIR] [--sector S] [--size C] [--role ROLE]\n"
        "           [--collection ID]... [--days N] [--address HOST:PORT]\n"
        "       noroshi-hub member ls [--home DIR] [--json]\n"
        "       noroshi-hub member revoke NAME [--home DIR]";
    struct options o = { 0 };
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &o.home },
        { "sector", 0, CLI_TEXT, &o.sector },
        { "size", 0, CLI_TEXT, &o.size },
        { "role", 0, CLI_TEXT, &o.role },
        { "collection", 0, CLI_LIST, &o.collections },
        { "days", 0, CLI_U64, &o.days },
        { "address", 0, CLI_TEXT, &o.address },
        { "json", 0, CLI_FLAG, &o.json },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_diag d = { 0 };
    struct nr_hub *hub = NULL;
    struct nr_buf out;
    enum nr_err err;
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n) || !days_fit(cli, &o))
        return CLI_ERROR;
    if (n == 2 && strcmp(argv[0], "invite") == 0)
        return invite(cli, &o, argv[1]);
    nr_buf_init(&out, HUB_OUT_MAX);
    if (n == 1 && strcmp(argv[0], "ls") == 0) {
        err = open_hub(cli, &o, &hub, &d);
        if (!err)
            err = nr_hub_members_print(hub, o.json, &out, &d);
        return end(cli, hub, err, &d, &out);
    }
    if (n != 2 || strcmp(argv[0], "revoke") != 0)
        return cli_usage(cli, usage);
    err = open_hub(cli, &o, &hub, &d);
    if (!err)
        err = nr_hub_revoke(hub, nr_str_of(argv[1]), &d);
    return end(cli, hub, err, &d, &out);
}

int
hub_account(struct cli *cli, int argc, char **argv)
{
    static const char usage[] =
        "add NAME [--home DIR] [--role ROLE] --password-stdin";
    struct options o = { 0 };
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &o.home },
        { "role", 0, CLI_TEXT, &o.role },
        { "password-stdin", 0, CLI_FLAG, &o.password_stdin },
        { NULL, 0, CLI_FLAG, NULL },
    };
    char password[NR_HUB_SECRET_MAX + 3];
    struct nr_diag d = { 0 };
    struct nr_hub *hub = NULL;
    enum nr_hub_role role;
    struct nr_buf out;
    enum nr_err err;
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 2 || strcmp(argv[0], "add") != 0 || !o.password_stdin)
        return cli_usage(cli, usage);
    if (role_of(cli, o.role, &role))
        return CLI_ERROR;
    if (!fgets(password, sizeof(password), stdin))
        return cli_error(cli, "standard input holds no password");
    password[strcspn(password, "\r\n")] = 0;
    nr_buf_init(&out, HUB_OUT_MAX);
    err = open_hub(cli, &o, &hub, &d);
    if (!err)
        err = nr_hub_account_add(hub, nr_str_of(argv[1]), role,
            nr_str_of(password), &d);
    nr_wipe(password, sizeof(password));
    return end(cli, hub, err, &d, &out);
}

int
hub_key(struct cli *cli, int argc, char **argv)
{
    static const char usage[] =
        "add NAME [--home DIR] [--scope read|write|all] [--days N]";
    struct options o = { .scope = "all", .days = NR_HUB_KEY_DAYS };
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &o.home },
        { "scope", 0, CLI_TEXT, &o.scope },
        { "days", 0, CLI_U64, &o.days },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_diag d = { 0 };
    struct nr_hub *hub = NULL;
    struct nr_buf out;
    unsigned scope;
    enum nr_err err;
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n) || !days_fit(cli, &o))
        return CLI_ERROR;
    if (n != 2 || strcmp(argv[0], "add") != 0)
        return cli_usage(cli, usage);
    if (!nr_scope_from_name(nr_str_of(o.scope), &scope))
        return cli_error(cli, "--scope: %s: read, write or all", o.scope);
    nr_buf_init(&out, HUB_OUT_MAX);
    err = open_hub(cli, &o, &hub, &d);
    if (!err)
        err = nr_hub_key_add(hub, nr_str_of(argv[1]), scope, (int64_t)o.days,
            &out, &d);
    return end(cli, hub, err, &d, &out);
}

/* How many names TEXT has; the first NAMES_MAX of them in V. */
static size_t
split(const char *text, struct nr_str v[NAMES_MAX])
{
    struct nr_str rest = nr_str_of(text), word;
    size_t n = 0;

    while (rest.n > 0) {
        word = nr_str_trim(nr_str_cut(rest, ',', &rest));
        if (word.n > 0 && n < NAMES_MAX)
            v[n] = word;
        n += word.n > 0;
    }
    return n;
}

static int
collection_add(struct cli *cli, const struct options *o, const char *title)
{
    struct nr_str read[NAMES_MAX], write[NAMES_MAX];
    struct nr_diag d = { 0 };
    struct nr_hub *hub = NULL;
    struct nr_buf out;
    size_t n_read = split(o->read, read);
    size_t n_write = split(o->write, write);
    const struct nr_hub_collection c = { nr_str_of(title), read, write, n_read,
        n_write };
    enum nr_err err;

    if (n_read > NAMES_MAX || n_write > NAMES_MAX)
        return cli_error(cli, "--read, --write: at most 256 names each");
    nr_buf_init(&out, HUB_OUT_MAX);
    err = open_hub(cli, o, &hub, &d);
    if (!err)
        err = nr_hub_collection_add(hub, &c, &out, &d);
    return end(cli, hub, err, &d, &out);
}

int
hub_collection(struct cli *cli, int argc, char **argv)
{
    static const char usage[] =
        "add TITLE [--home DIR] [--read A,B] [--write A,C]\n"
        "       noroshi-hub collection ls [--home DIR] [--json]";
    struct options o = { 0 };
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &o.home },
        { "read", 0, CLI_TEXT, &o.read },
        { "write", 0, CLI_TEXT, &o.write },
        { "json", 0, CLI_FLAG, &o.json },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_diag d = { 0 };
    struct nr_hub *hub = NULL;
    struct nr_buf out;
    enum nr_err err;
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n == 2 && strcmp(argv[0], "add") == 0)
        return collection_add(cli, &o, argv[1]);
    if (n != 1 || strcmp(argv[0], "ls") != 0)
        return cli_usage(cli, usage);
    nr_buf_init(&out, HUB_OUT_MAX);
    err = open_hub(cli, &o, &hub, &d);
    if (!err)
        err = nr_hub_collections_print(hub, o.json, &out, &d);
    return end(cli, hub, err, &d, &out);
}
