/* noroshi watch: one row for each pair of log line and indicator. */
#include "cmds.h"
#include "scan_options.h"
#include "watch_lists.h"
#include "watch_out.h"
#include "watch_recv.h"

#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <unistd.h>

static const char usage[] =
    "-i LIST [-f] [--state FILE] [-j THREADS] [--tz +0900]\n"
    "       " SCAN_USAGE "\n"
    "       " WATCH_OUT_USAGE "\n" WATCH_RECV_USAGE "\n"
    "       [--warninglists DIR|none] [--home DIR] [FILE|DIR|PATTERN...]";

struct watch {
    struct cli *cli;
    struct nr_watch_conf conf;
    struct scan_options scan;
    struct watch_lists lists;
    struct watch_out out;
    struct watch_recv recv;
    uint64_t threads;
    bool incomplete;
    sigset_t signals;
};

/* Until it is stopped, not until the input is at its end. */
static bool
goes_on(const struct watch *w)
{
    return w->conf.follow || w->recv.syslog.n > 0;
}

static enum nr_err
on_hit(void *ctx, const struct nr_hit *h, struct nr_diag *d)
{
    struct watch *w = ctx;

    return watch_out_hit(&w->out, h, d);
}

static enum nr_err
on_mark(void *ctx, struct nr_buf *extra, struct nr_diag *d)
{
    struct watch *w = ctx;

    return watch_out_mark(&w->out, extra, d);
}

static enum nr_err
on_cut(void *ctx, struct nr_bytes extra, struct nr_diag *d)
{
    struct watch *w = ctx;

    return watch_out_cut(&w->out, extra, d);
}

/* A failure of one file is said and remembered; the others are still read. */
static enum nr_err
on_trouble(void *ctx, const struct nr_diag *why, struct nr_diag *d)
{
    struct watch *w = ctx;

    (void)d;
    watch_out_clear(&w->out);
    (void)cli_fail(w->cli, why);
    w->incomplete = true;
    return NR_OK;
}

static enum nr_err
on_tick(void *ctx, struct nr_watch *engine, bool idle, struct nr_diag *d)
{
    struct watch *w = ctx;
    struct signalfd_siginfo s;
    struct nr_watch_stats stats;

    nr_watch_get_stats(engine, &stats);
    while (read(w->conf.wake_fd, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
        if (s.ssi_signo == SIGUSR1) {
            watch_out_print_stats(&w->out, &stats);
            watch_recv_stats(&w->recv);
            continue;
        }
        w->incomplete = w->incomplete || !goes_on(w);
        nr_watch_stop(engine);
        /* whoever asks twice does not want to wait */
        (void)sigprocmask(SIG_UNBLOCK, &w->signals, NULL);
    }
    return watch_out_tick(&w->out, &stats, idle, d);
}

static enum nr_err
catch_signals(struct watch *w, struct nr_diag *d)
{
    (void)sigemptyset(&w->signals);
    (void)sigaddset(&w->signals, SIGINT);
    (void)sigaddset(&w->signals, SIGTERM);
    (void)sigaddset(&w->signals, SIGUSR1);
    if (sigprocmask(SIG_BLOCK, &w->signals, NULL) != 0)
        return nr_fail_sys(d, "watch: signals");
    w->conf.wake_fd = signalfd(-1, &w->signals, SFD_CLOEXEC | SFD_NONBLOCK);
    return w->conf.wake_fd < 0 ? nr_fail_sys(d, "watch: signals") : NR_OK;
}

/* Every followed file stays open. */
static void
allow_files(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

static enum nr_err
run(struct watch *w, char **paths, int n, struct nr_watch_stats *stats,
    struct nr_diag *d)
{
    struct nr_watchlist *list = NULL;
    struct nr_watch *engine = NULL;
    enum nr_err err = watch_lists_load(&w->lists, &list, d);

    if (err == NR_OK)
        err = catch_signals(w, d);
    if (err == NR_OK)
        err = nr_watch_new(&w->conf, list, &engine, d);
    else
        nr_watchlist_close(list);
    for (int i = 0; i < n && err == NR_OK; i++)
        err = nr_watch_add(engine, paths[i], d);
    if (err == NR_OK)
        err = watch_recv_add(&w->recv, engine, d);
    if (err == NR_OK && goes_on(w))
        err = watch_lists_follow(&w->lists, engine, d);
    if (err == NR_OK)
        err = nr_watch_run(engine, d);
    watch_lists_end(&w->lists);
    if (engine)
        nr_watch_get_stats(engine, stats);
    nr_watch_free(engine);
    if (w->conf.wake_fd >= 0)
        (void)close(w->conf.wake_fd);
    return err;
}

static bool
check_usage(struct watch *w, char **paths, int n)
{
    for (int i = 0; i < n && w->conf.follow; i++)
        if (strcmp(paths[i], "-") == 0) {
            (void)cli_error(w->cli, "-f follows files, not standard input");
            return false;
        }
    if (w->conf.follow && n == 0 && !watch_recv_wanted(&w->recv)) {
        (void)cli_error(w->cli, "-f wants the files to follow");
        return false;
    }
    if (w->threads > NR_WATCH_THREADS_MAX) {
        (void)cli_error(w->cli, "-j: at most %u threads", NR_WATCH_THREADS_MAX);
        return false;
    }
    return true;
}

int
cmd_watch(struct cli *cli, int argc, char **argv)
{
    char standard_input[] = "-", *none[] = { standard_input, NULL };
    struct watch w = { .cli = cli,
        .lists.cli = cli,
        .recv.cli = cli,
        .conf.wake_fd = -1 };
    const struct cli_option options[] = {
        { "indicators", 'i', CLI_LIST, &w.lists.paths },
        { "follow", 'f', CLI_FLAG, &w.conf.follow },
        { "state", 0, CLI_TEXT, &w.conf.state },
        { "threads", 'j', CLI_U64, &w.threads },
        { "tz", 0, CLI_ZONE, &w.conf.zone_east_s },
        SCAN_OPTIONS(&w.scan),
        WATCH_OUT_OPTIONS(w.out),
        WATCH_RECV_OPTIONS(w.recv),
        { "warninglists", 0, CLI_TEXT, &w.lists.warn_dir },
        { "home", 0, CLI_TEXT, &cli->home },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_watch_stats stats = { 0 };
    struct nr_diag d = { 0 };
    enum nr_err err;
    int n, status;

    if (!cli_parse(cli, options, usage, argc, argv, &n))
        return CLI_ERROR;
    if (w.lists.paths.n == 0)
        return cli_usage(cli, usage);
    if (!check_usage(&w, argv, n) ||
        !watch_recv_start(&w.recv, w.conf.follow, w.conf.state))
        return CLI_ERROR;
    if (n == 0 && !watch_recv_wanted(&w.recv)) {
        argv = none;
        n = 1;
    }
    status = watch_out_open(&w.out, cli, w.conf.follow);
    if (status == CLI_NOTHING) {
        allow_files();
        w.conf.threads = (unsigned)w.threads;
        w.conf.cpu = cli->cpu;
        w.conf.scan = scan_options_flags(&w.scan);
        w.conf.env = &cli->env;
        w.conf.hit = on_hit;
        w.conf.mark = on_mark;
        w.conf.cut = on_cut;
        w.conf.trouble = on_trouble;
        w.conf.tick = on_tick;
        w.conf.ctx = &w;
        err = run(&w, argv, n, &stats, &d);
        status = watch_out_finish(&w.out, err, &d, &stats, w.incomplete);
    }
    watch_out_close(&w.out);
    watch_recv_end(&w.recv);
    return status;
}
