#include "watch_lists.h"

#include "base/hash.h"
#include "feed/feed.h"
#include "observable/observable.h"
#include "warn.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_MS  1000 /* without inotify, and for what it cannot see */
#define QUIET_MS 100  /* a file that changed so lately is still being written */

static void
warn_of_list(const struct watch_lists *l, const struct nr_feed_stats *st)
{
    if (st->refused > 0)
        cli_warn(l->cli,
            "list: %llu values are no indicators and were left out "
            "(noroshi import says which)",
            (unsigned long long)st->refused);
    if (st->unmatchable > 0)
        cli_warn(l->cli,
            "list: %llu indicators are of a kind that stands in no log",
            (unsigned long long)st->unmatchable);
    if (st->flagged > 0)
        cli_warn(l->cli,
            "list: %llu values stand on warninglists: common, harmless things "
            "may match (noroshi import --notes, watch --json say which)",
            (unsigned long long)st->flagged);
}

static uint64_t
stamp_file(const char *path, uint64_t sum)
{
    struct stat st;
    int64_t v[5] = { 0 };

    if (stat(path, &st) == 0) {
        v[0] = (int64_t)st.st_dev;
        v[1] = (int64_t)st.st_ino;
        v[2] = (int64_t)st.st_size;
        v[3] = (int64_t)st.st_mtim.tv_sec;
        v[4] = (int64_t)st.st_mtim.tv_nsec;
    }
    return nr_xxh64((struct nr_bytes){ (const uint8_t *)v, sizeof(v) }, sum);
}

/* Changes when one of the files does: replaced, rewritten, gone. */
static uint64_t
stamp_of(const struct watch_lists *l)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < l->paths.n; i++) {
        sum = stamp_file(l->paths.v[i], sum);
        for (int k = 1; k <= (int)NR_WATCHLIST_DELTAS; k++) {
            char delta[4096];

            if ((size_t)snprintf(delta, sizeof(delta), "%s.d%d", l->paths.v[i],
                    k) < sizeof(delta))
                sum = stamp_file(delta, sum);
        }
    }
    return sum;
}

/* A compiled list is mapped; of one that was open before, only the files that
 * changed. */
static enum nr_err
load_compiled(struct watch_lists *l, struct nr_watchlist **out,
    struct nr_diag *d)
{
    const char *path = l->paths.v[0];
    struct nr_warnlists *warn = NULL;
    enum nr_err err = NR_OK;
    uint64_t judged;

    if (!l->now) {
        err = warn_load(l->cli, l->warn_dir, &warn, d);
        l->installed = nr_warn_version(warn);
        nr_warn_destroy(warn);
    }
    if (err == NR_OK)
        err = nr_watchlist_reopen(path, l->now, out, d);
    if (err != NR_OK)
        return err;
    judged = nr_watchlist_warn_version(*out);
    if (!l->now || judged != l->judged)
        warn_of_judges(l->cli, path, judged, l->installed);
    l->judged = judged;
    return NR_OK;
}

static enum nr_err
load_others(struct watch_lists *l, struct nr_watchlist **out, struct nr_diag *d)
{
    struct nr_warnlists *warn = NULL;
    struct nr_feed_conf conf = { 0 };
    struct nr_feed_stats stats = { 0 };
    struct nr_env *env = &l->cli->env;
    enum nr_err err = warn_load(l->cli, l->warn_dir, &warn, d);

    if (err == NR_OK) {
        l->installed = l->judged = nr_warn_version(warn);
        conf.warn = warn;
        err = env->random(env->ctx, &conf.seed, sizeof(conf.seed));
        if (err != NR_OK)
            (void)nr_fail(d, err, 0, "watch: no random octets");
    }
    if (err == NR_OK)
        err = nr_feed_load_list(l->paths.v, l->paths.n, &conf,
            nr_env_now_s(env), out, &stats, d);
    if (err == NR_OK)
        warn_of_list(l, &stats);
    nr_warn_destroy(warn);
    return err;
}

enum nr_err
watch_lists_load(struct watch_lists *l, struct nr_watchlist **out,
    struct nr_diag *d)
{
    enum nr_err err;

    l->stamp = stamp_of(l); /* before: a change meanwhile is seen again */
    err = l->paths.n == 1 && nr_feed_is_compiled(l->paths.v[0])
        ? load_compiled(l, out, d)
        : load_others(l, out, d);
    if (err != NR_OK)
        return err;
    nr_watchlist_close(l->now);
    l->now = nr_watchlist_ref(*out);
    return NR_OK;
}

/* --- in the background --- */

static int
watch_folders(const struct watch_lists *l)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);

    for (size_t i = 0; fd >= 0 && i < l->paths.n; i++) {
        const char *path = l->paths.v[i], *slash = strrchr(path, '/');
        size_t n = slash ? (size_t)(slash - path) + 1 : 1;
        char dir[4096] = ".";

        if (slash && n < sizeof(dir))
            memcpy(dir, path, n);
        if (n >= sizeof(dir) ||
            inotify_add_watch(fd, dir,
                IN_CREATE | IN_MODIFY | IN_MOVED_TO | IN_CLOSE_WRITE) < 0) {
            (void)close(fd);
            fd = -1;
        }
    }
    return fd;
}

/* Sleep until something changed, MS at most; false: the end. */
static bool
sleep_on(const struct watch_lists *l, int inotify, int ms)
{
    struct pollfd p[2] = { { .fd = l->stop_fd, .events = POLLIN },
        { .fd = inotify, .events = POLLIN } };
    char drop[4096];

    (void)poll(p, 2, ms);
    while (inotify >= 0 && read(inotify, drop, sizeof(drop)) > 0)
        ;
    return !(p[0].revents & POLLIN);
}

static void
renew(struct watch_lists *l)
{
    struct nr_watchlist *list = NULL;
    struct nr_diag why = { 0 };

    if (watch_lists_load(l, &list, &why) == NR_OK) {
        if (l->stamp == stamp_of(l))
            nr_watch_swap(l->watch, list);
        else /* changed while it was read: perhaps half a list */
            nr_watchlist_close(list);
        return;
    }
    if (l->stamp != stamp_of(l))
        return; /* the next look will tell */
    (void)cli_fail(l->cli, &why);
    cli_warn(l->cli, "the list as it was stays in force");
}

static void *
look_after(void *of)
{
    struct watch_lists *l = of;
    int inotify = watch_folders(l);

    for (bool on = true; on; on = on && sleep_on(l, inotify, LOOK_MS)) {
        uint64_t stamp = stamp_of(l);

        while (on && stamp != l->stamp) {
            uint64_t before = stamp;

            on = sleep_on(l, -1, QUIET_MS);
            stamp = stamp_of(l);
            if (on && stamp == before)
                renew(l);
        }
    }
    if (inotify >= 0)
        (void)close(inotify);
    return NULL;
}

enum nr_err
watch_lists_follow(struct watch_lists *l, struct nr_watch *w, struct nr_diag *d)
{
    sigset_t all, old;

    l->watch = w;
    l->stop_fd = eventfd(0, EFD_CLOEXEC);
    if (l->stop_fd < 0)
        return nr_fail_sys(d, "watch: eventfd");
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    errno = pthread_create(&l->thread, NULL, look_after, l);
    l->running = errno == 0;
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (!l->running)
        return nr_fail_sys(d, "watch: a thread");
    return NR_OK;
}

void
watch_lists_end(struct watch_lists *l)
{
    const uint64_t one = 1;

    if (l->running) {
        (void)!write(l->stop_fd, &one, sizeof(one));
        (void)pthread_join(l->thread, NULL);
        (void)close(l->stop_fd);
    }
    l->running = false;
    nr_watchlist_close(l->now);
    l->now = NULL;
}
