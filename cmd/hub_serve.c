/* noroshi-hub serve: options, signals, the log on standard error. */
#include "hub_cmds.h"

#include "base/date.h"
#include "crypto/crypto.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

static enum nr_err
say_ready(void *ctx, const char *address, struct nr_diag *d)
{
    (void)ctx;
    printf("noroshi-hub serves %s\n", address);
    return fflush(stdout) == 0 ? NR_OK : nr_fail_sys(d, "standard output");
}

static void
say_line(void *ctx, const char *line)
{
    const struct cli *cli = ctx;
    char now[NR_RFC3339_MAX];

    (void)fprintf(stderr, "%s %s\n",
        nr_time_print(nr_env_now_s(&cli->env), now), line);
}

/* SIGTERM and SIGINT as a descriptor; broken pipes are errors of one client. */
static int
stop_signals(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0 ||
        signal(SIGPIPE, SIG_IGN) == SIG_ERR)
        return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int
hub_cmd_serve(struct cli *cli, int argc, char **argv)
{
    static const char usage[] = "[--home DIR] --listen HOST:PORT [--http] "
                                "[--cert PEM --key PEM] [--threads N] "
                                "[--rate N]";
    struct nr_hub_serve conf = { .home = cli->home,
        .ready = say_ready,
        .log = say_line,
        .ctx = cli };
    struct nr_diag d = { 0 };
    uint64_t threads = 0;
    enum nr_err err;
    int n;
    const struct cli_option table[] = {
        { "home", 0, CLI_TEXT, &conf.home },
        { "listen", 0, CLI_TEXT, &conf.listen },
        { "http", 0, CLI_FLAG, &conf.http },
        { "cert", 0, CLI_TEXT, &conf.cert_pem },
        { "key", 0, CLI_TEXT, &conf.key_pem },
        { "threads", 0, CLI_U64, &threads },
        { "rate", 0, CLI_U64, &conf.rate },
        { NULL, 0, CLI_FLAG, NULL },
    };

    if (!cli_parse(cli, table, usage, argc, argv, &n))
        return CLI_ERROR;
    if (n != 0 || !conf.listen)
        return cli_usage(cli, usage);
    if (!conf.cert_pem != !conf.key_pem)
        return cli_error(cli, "--cert and --key belong together");
    if (threads > 64)
        return cli_error(cli, "--threads: more than 64");
    conf.threads = (unsigned)threads;
    conf.stop_fd = stop_signals();
    if (conf.stop_fd < 0)
        return cli_error(cli, "signals: %s", strerrordesc_np(errno));
    err = nr_crypto_init(&d);
    if (!err)
        err = nr_hub_serve(&conf, &cli->env, &d);
    close(conf.stop_fd);
    return err ? cli_fail(cli, &d) : CLI_NOTHING;
}
