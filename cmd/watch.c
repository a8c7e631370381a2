/*
 * noroshi watch: one line for each pair of log line and indicator.
 *
 * Following (-f) sleeps on inotify over the files' folders, so that rotation
 * is seen as well as growth; where the user's inotify instances run out it
 * looks once a second instead.
 */
#include "block.h"
#include "cmds.h"
#include "feed/feed.h"
#include "scan_options.h"
#include "warn.h"
#include "watch_file.h"
#include "json/json.h"

#include "base/date.h"
#include "base/hash.h"

#include <errno.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROW_MAX ((size_t)1 << 20) /* octets of one row of output */
#define POLL_MS 1000 /* without inotify, and for what inotify cannot see */

static const char usage[] =
    "-i LIST [-f] [--tz +0900] [--time epoch|iso] [--json]\n"
    "       " SCAN_USAGE "\n"
    "       [--warninglists DIR|none] [--home DIR] [FILE...]";

struct watch {
    struct cli *cli;
    bool json, iso, seen, incomplete;
    struct watch_conf conf;
    struct cli_list lists;
    struct scan_options scan;
    const char *warn_dir;
    struct nr_watchlist *list;
    uint64_t stamp; /* of the list files when LIST was read */
    struct nr_buf row;
    struct watch_file **files;
    int n_files;
};

/* --- output --- */

static struct nr_str
disposition(const struct watch_hit *h)
{
    return nr_str_of(nr_action_name(h->record->action));
}

static void
put_tsv(struct watch *w, const struct watch_hit *h)
{
    struct nr_buf *b = &w->row;
    char time[NR_RFC3339_MAX];
    int64_t us = h->record->time_us;

    nr_buf_printf(b, "%llu\t%s\t", (unsigned long long)h->line,
        nr_kind_name(h->indicator.kind));
    block_put_field(b, nr_bytes_of(h->indicator.value));
    nr_buf_put_c(b, '\t');
    block_put_field(b, h->observed);
    nr_buf_put_c(b, '\t');
    nr_buf_put_str(b, disposition(h));
    nr_buf_put_c(b, '\t');
    if (us == NR_TIME_NONE)
        nr_buf_put_c(b, '-');
    else if (w->iso)
        nr_buf_put_str(b, nr_str_of(nr_time_print(us / NR_US_PER_S, time)));
    else
        nr_buf_printf(b, "%lld", (long long)(us / NR_US_PER_S));
    nr_buf_printf(b, "\t%s\t", nr_source_name(h->record->source));
    block_put_field(b,
        (struct nr_bytes){ (const uint8_t *)h->file, strlen(h->file) });
    nr_buf_put_c(b, '\n');
}

static void
put_json(struct watch *w, const struct watch_hit *h)
{
    struct nr_json_out o;
    char time[NR_RFC3339_MAX];
    int64_t us = h->record->time_us;

    nr_json_out_init(&o, &w->row);
    nr_json_open_object(&o);
    nr_json_member_i64(&o, NR_STR("line"), (int64_t)h->line);
    nr_json_member_str(&o, NR_STR("kind"),
        nr_str_of(nr_kind_name(h->indicator.kind)));
    nr_json_member_str(&o, NR_STR("indicator"), h->indicator.value);
    nr_json_key(&o, NR_STR("observed"));
    nr_json_put_bytes(&o, h->observed);
    nr_json_member_str(&o, NR_STR("disposition"), disposition(h));
    nr_json_key(&o, NR_STR("time"));
    if (us == NR_TIME_NONE)
        nr_json_put_null(&o);
    else if (w->iso)
        nr_json_put_str(&o, nr_str_of(nr_time_print(us / NR_US_PER_S, time)));
    else
        nr_json_put_i64(&o, us / NR_US_PER_S);
    nr_json_member_str(&o, NR_STR("source"),
        nr_str_of(nr_source_name(h->record->source)));
    nr_json_key(&o, NR_STR("file"));
    nr_json_put_bytes(&o,
        (struct nr_bytes){ (const uint8_t *)h->file, strlen(h->file) });
    nr_json_member_i64(&o, NR_STR("file_line"), (int64_t)h->file_line);
    if (h->indicator.said.id.n > 0)
        nr_json_member_str(&o, NR_STR("id"), h->indicator.said.id);
    if (h->indicator.warn.n > 0)
        nr_json_member_str(&o, NR_STR("warninglist"), h->indicator.warn);
    nr_json_close_object(&o);
    if (nr_json_out_end(&o) != NR_OK && w->row.err == NR_OK)
        w->row.err = NR_ENOMEM;
    nr_buf_put_c(&w->row, '\n');
}

static enum nr_err
on_hit(void *ctx, const struct watch_hit *h, struct nr_diag *d)
{
    struct watch *w = ctx;

    nr_buf_reset(&w->row);
    if (w->json)
        put_json(w, h);
    else
        put_tsv(w, h);
    /* a packet that was dropped is a note, not a hit */
    if (h->record->action != NR_ACTION_DENIED)
        w->seen = true;
    if (w->row.err != NR_OK)
        return nr_fail(d, w->row.err, 0, "watch: a row of output");
    if (fwrite(w->row.p, 1, w->row.n, stdout) != w->row.n)
        return nr_fail_sys(d, "watch: standard output");
    return NR_OK;
}

/* --- lists --- */

static void
warn_of_list(const struct watch *w, const struct nr_feed_stats *st)
{
    if (st->refused > 0)
        cli_warn(w->cli,
            "list: %llu values are no indicators and were left out "
            "(noroshi import says which)",
            (unsigned long long)st->refused);
    if (st->unmatchable > 0)
        cli_warn(w->cli,
            "list: %llu indicators are of a kind that stands in no log",
            (unsigned long long)st->unmatchable);
    if (st->flagged > 0)
        cli_warn(w->cli,
            "list: %llu values stand on warninglists: common, harmless things "
            "may match (noroshi import --notes, watch --json say which)",
            (unsigned long long)st->flagged);
}

/* Changes when one of the list files does: replaced, rewritten, gone. */
static uint64_t
stamp_lists(const struct cli_list *lists)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < lists->n; i++) {
        struct stat st;
        int64_t v[5] = { 0 };

        if (stat(lists->v[i], &st) == 0) {
            v[0] = (int64_t)st.st_dev;
            v[1] = (int64_t)st.st_ino;
            v[2] = (int64_t)st.st_size;
            v[3] = (int64_t)st.st_mtim.tv_sec;
            v[4] = (int64_t)st.st_mtim.tv_nsec;
        }
        sum = nr_xxh64((struct nr_bytes){ (const uint8_t *)v, sizeof(v) }, sum);
    }
    return sum;
}

static enum nr_err
load_lists(struct watch *w, struct nr_diag *d)
{
    struct nr_watchlist *list = NULL;
    struct nr_warnlists *warn = NULL;
    struct nr_feed_conf conf = { 0 };
    struct nr_feed_stats stats = { 0 };
    uint64_t stamp = stamp_lists(&w->lists);
    enum nr_err err = warn_load(w->cli, w->warn_dir, &warn, d);

    if (err == NR_OK) {
        conf.warn = warn;
        err = w->cli->env.random(w->cli->env.ctx, &conf.seed,
            sizeof(conf.seed));
        if (err != NR_OK)
            (void)nr_fail(d, err, 0, "watch: no random octets");
    }
    if (err == NR_OK)
        err = nr_feed_load_list(w->lists.v, w->lists.n, &conf,
            nr_env_now_s(&w->cli->env), &list, &stats, d);
    if (err == NR_OK) {
        nr_watchlist_close(w->list);
        w->list = list;
        w->conf.list = list;
        w->stamp = stamp; /* taken before: a change meanwhile is seen again */
        warn_of_list(w, &stats);
    }
    nr_warn_destroy(warn);
    return err;
}

/* --- reading --- */

/* A failure of one file is said and remembered; the others are still read. */
static enum nr_err
settle(struct watch *w, enum nr_err err, bool fatal, const struct nr_diag *why,
    struct nr_diag *d)
{
    if (err == NR_OK)
        return NR_OK;
    if (fatal) {
        *d = *why;
        return err;
    }
    (void)cli_fail(w->cli, why);
    w->incomplete = true;
    return NR_OK;
}

static enum nr_err
read_all(struct watch *w, bool finish, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (int i = 0; i < w->n_files && err == NR_OK; i++) {
        struct nr_diag why = { 0 };
        bool fatal = false;
        enum nr_err one;

        if (!w->files[i])
            continue;
        one = finish ? watch_file_finish(w->files[i], &fatal, &why)
                     : watch_file_read(w->files[i], &fatal, &why);
        err = settle(w, one, fatal, &why, d);
        if (one != NR_OK) {
            watch_file_close(w->files[i]);
            w->files[i] = NULL;
        }
    }
    return err;
}

/* A new version of the list is taken between two reads, so no line is lost; a
 * list that cannot be read leaves the old one in force. */
static void
renew_lists(struct watch *w)
{
    uint64_t stamp = stamp_lists(&w->lists);
    struct nr_diag why = { 0 };

    if (stamp == w->stamp)
        return;
    if (load_lists(w, &why) != NR_OK) {
        (void)cli_fail(w->cli, &why);
        cli_warn(w->cli, "the list as it was stays in force");
        w->stamp = stamp; /* said once for each change */
        return;
    }
    for (int i = 0; i < w->n_files; i++)
        if (w->files[i])
            watch_file_forget(w->files[i]);
}

/* Wake on anything in the folders of the files. -1: look every second. */
static int
watch_folders(char **paths, int n)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    bool all = fd >= 0;

    for (int i = 0; i < n && all; i++) {
        char *copy = paths[i] ? strdup(paths[i]) : NULL;

        all = copy &&
            inotify_add_watch(fd, dirname(copy),
                IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM |
                    IN_CLOSE_WRITE) >= 0;
        free(copy);
    }
    if (fd >= 0 && !all) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static enum nr_err
follow(struct watch *w, char **paths, struct nr_diag *d)
{
    struct pollfd p[2] = { { .events = POLLIN }, { .events = POLLIN } };
    enum nr_err err = NR_OK;
    sigset_t stop;
    char drop[4096];

    (void)sigemptyset(&stop);
    (void)sigaddset(&stop, SIGINT);
    (void)sigaddset(&stop, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &stop, NULL) != 0)
        return nr_fail_sys(d, "watch: signals");
    p[0].fd = signalfd(-1, &stop, SFD_CLOEXEC);
    if (p[0].fd < 0)
        return nr_fail_sys(d, "watch: signals");
    p[1].fd = watch_folders(paths, w->n_files);
    while (err == NR_OK && !(p[0].revents & POLLIN)) {
        renew_lists(w);
        err = read_all(w, false, d);
        if (err == NR_OK && fflush(stdout) != 0)
            err = nr_fail_sys(d, "watch: standard output");
        if (err == NR_OK && poll(p, p[1].fd >= 0 ? 2 : 1, POLL_MS) < 0 &&
            errno != EINTR)
            err = nr_fail_sys(d, "watch: poll");
        while (p[1].fd >= 0 && read(p[1].fd, drop, sizeof(drop)) > 0)
            ;
    }
    if (err == NR_OK)
        err = read_all(w, true, d);
    (void)close(p[0].fd);
    if (p[1].fd >= 0)
        (void)close(p[1].fd);
    return err;
}

/* Files are opened one after the other, unless all are followed at once. */
static enum nr_err
run(struct watch *w, char **paths, int n, struct nr_diag *d)
{
    struct watch_conf *conf = &w->conf;
    enum nr_err err = NR_OK;

    for (int i = 0; i < n && err == NR_OK; i++) {
        struct watch_file *one = NULL;
        struct nr_diag why = { 0 };
        bool fatal = false;
        enum nr_err e = watch_file_open(conf, paths[i], &one, &why);

        if (e == NR_OK && conf->follow) {
            w->files[w->n_files] = one;
            paths[w->n_files++] = paths[i];
            continue;
        }
        if (e == NR_OK)
            e = watch_file_read(one, &fatal, &why);
        watch_file_close(one);
        err = settle(w, e, fatal || e == NR_ENOMEM, &why, d);
    }
    if (err == NR_OK && conf->follow && w->n_files > 0)
        err = follow(w, paths, d);
    return err;
}

static int
watch_lines(struct watch *w, char **paths, int n)
{
    struct nr_diag d = { 0 };
    enum nr_err err = NR_OK;

    w->files = calloc((size_t)n, sizeof(*w->files));
    if (!w->files)
        err = nr_fail(&d, NR_ENOMEM, 0, "watch: out of memory");
    if (err == NR_OK)
        err = run(w, paths, n, &d);
    for (int i = 0; w->files && i < w->n_files; i++)
        watch_file_close(w->files[i]);
    free(w->files);
    if (err != NR_OK)
        return cli_fail(w->cli, &d);
    return w->incomplete ? CLI_INCOMPLETE : w->seen ? CLI_SEEN : CLI_NOTHING;
}

static bool
choose_time(struct watch *w, const char *name)
{
    w->iso = name && strcmp(name, "iso") == 0;
    if (!name || w->iso || strcmp(name, "epoch") == 0)
        return true;
    (void)cli_error(w->cli, "--time %s: epoch or iso wanted", name);
    return false;
}

int
cmd_watch(struct cli *cli, int argc, char **argv)
{
    char standard_input[] = "-", *none[] = { standard_input, NULL };
    struct watch w = { .cli = cli };
    const char *time = NULL;
    const struct cli_option options[] = {
        { "indicators", 'i', CLI_LIST, &w.lists },
        { "follow", 'f', CLI_FLAG, &w.conf.follow },
        { "tz", 0, CLI_ZONE, &w.conf.zone_east_s },
        { "time", 0, CLI_TEXT, &time },
        { "json", 0, CLI_FLAG, &w.json },
        SCAN_OPTIONS(&w.scan),
        { "warninglists", 0, CLI_TEXT, &w.warn_dir },
        { "home", 0, CLI_TEXT, &cli->home },
        { NULL, 0, CLI_FLAG, NULL },
    };
    struct nr_diag d = { 0 };
    int n, status;

    if (!cli_parse(cli, options, usage, argc, argv, &n) ||
        !choose_time(&w, time))
        return CLI_ERROR;
    if (w.lists.n == 0)
        return cli_usage(cli, usage);
    for (int i = 0; i < n && w.conf.follow; i++)
        if (strcmp(argv[i], "-") == 0)
            return cli_error(cli, "-f follows files, not standard input");
    if (w.conf.follow && n == 0)
        return cli_error(cli, "-f wants the files to follow");
    nr_buf_init(&w.row, ROW_MAX);
    w.conf.hit = on_hit;
    w.conf.ctx = &w;
    w.conf.now_s = nr_env_now_s(&cli->env);
    w.conf.scan = scan_options_flags(&w.scan);
    if (load_lists(&w, &d) != NR_OK) {
        nr_buf_fini(&w.row);
        return cli_fail(cli, &d);
    }
    status = watch_lines(&w, n > 0 ? argv : none, n > 0 ? n : 1);
    nr_watchlist_close(w.list);
    nr_buf_fini(&w.row);
    return status;
}
