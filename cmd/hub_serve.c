#include "hub_cmds.h"

#include "crypto/crypto.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

int
hub_init(struct cli *cli, int argc, char **argv)
{
    static const char usage[] =
        "[--home DIR] [--title TITLE] [--host NAME]... [--address HOST:PORT]";
    struct cli_list hosts = { .n = 0 };
    const char *home = NULL, *names[CLI_LIST_MAX + 1];
    struct nr_hub_init conf = { .wall_s = (int64_t)time(NULL) };
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &home },
        { "title", 0, CLI_TEXT, &conf.title },
        { "host", 0, CLI_LIST, &hosts },
        { "address", 0, CLI_TEXT, &conf.address },
        { NULL, 0, CLI_FLAG, NULL },
    };
    char buf[512], host[256] = "";
    struct nr_diag d = { 0 };
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n > 0)
        return cli_usage(cli, usage);
    conf.home = hub_home(home, buf);
    for (size_t i = 0; i < hosts.n; i++)
        names[conf.n_hosts++] = hosts.v[i];
    if (gethostname(host, sizeof(host) - 1) == 0 && *host)
        names[conf.n_hosts++] = host;
    conf.hosts = names;
    if (nr_crypto_init(&d) || nr_hub_init(&conf, &cli->env, &d))
        return cli_fail(cli, &d);
    printf("%s\n", conf.home);
    return CLI_NOTHING;
}

static enum nr_err
ready(void *ctx, const char *address, struct nr_diag *d)
{
    const struct nr_hub_serve *conf = ctx;

    printf("listening on %s://%s/\n", conf->http ? "http" : "https", address);
    return fflush(stdout) == 0 ? NR_OK : nr_fail_sys(d, "standard output");
}

static void
say(void *ctx, const char *line)
{
    (void)ctx;
    (void)fprintf(stderr, "noroshi-hub: %s\n", line);
}

/* SIGTERM and SIGINT as a descriptor: they end serving in good order. */
static int
stop_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)signal(SIGPIPE, SIG_IGN);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC);
}

int
hub_serve(struct cli *cli, int argc, char **argv)
{
    static const char usage[] =
        "[--home DIR] [--listen HOST:PORT] [--http] [--cert FILE --key FILE]"
        " [--threads N] [--rate N] [--sandbox on|seccomp|off]";
    const char *home = NULL, *sandbox = "on";
    uint64_t threads = 0;
    struct nr_hub_serve conf = { .listen = "localhost:8443" };
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &home },
        { "listen", 0, CLI_TEXT, &conf.listen },
        { "http", 0, CLI_FLAG, &conf.http },
        { "cert", 0, CLI_TEXT, &conf.cert_pem },
        { "key", 0, CLI_TEXT, &conf.key_pem },
        { "threads", 0, CLI_U64, &threads },
        { "rate", 0, CLI_U64, &conf.rate },
        { "sandbox", 0, CLI_TEXT, &sandbox },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_diag d = { 0 };
    char buf[512];
    int n;

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n > 0 || !conf.cert_pem != !conf.key_pem)
        return cli_usage(cli, usage);
    if (threads > 64)
        return cli_error(cli, "--threads: at most 64");
    conf.without_landlock = strcmp(sandbox, "seccomp") == 0;
    conf.unconfined = strcmp(sandbox, "off") == 0;
    if (!conf.without_landlock && !conf.unconfined &&
        strcmp(sandbox, "on") != 0)
        return cli_usage(cli, usage);
    if (conf.unconfined)
        cli_warn(cli,
            "--sandbox=off: what is sent to the hub is parsed "
            "without confinement");
    conf.threads = (unsigned)threads;
    conf.home = hub_home(home, buf);
    conf.ready = ready;
    conf.log = say;
    conf.ctx = &conf;
    conf.stop_fd = stop_signals();
    if (conf.stop_fd < 0)
        return cli_error(cli, "signals cannot be taken");
    if (nr_crypto_init(&d) || nr_hub_serve(&conf, &cli->env, &d))
        return cli_fail(cli, &d);
    return CLI_NOTHING;
}
