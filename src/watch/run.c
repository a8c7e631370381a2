/*
 * Threads. Workers take turns at reading and then judge side by side; blocks
 * stand in a ring in the order of reading; the thread of nr_watch_run delivers
 * them in that order. A full ring makes readers wait, so nothing is read that
 * the outputs cannot take.
 */
#include "watch/engine.h"

#include "base/date.h"
#include "base/num.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#define RING_PER_THREAD 6u
#define SMALL           ((uint64_t)4 << 20) /* octets that one thread reads */
#define IDLE_MS         1000
#define SAVE_US         (NR_WATCH_SAVE_S * NR_US_PER_S)
#define SAVE_IDLE_US    INT64_C(200000)

/* --- lists --- */

static struct list *
list_new(const struct nr_watch *w, struct nr_watchlist *of)
{
    struct list *l = calloc(1, sizeof(*l));

    if (!l) {
        nr_watchlist_close(of);
        return NULL;
    }
    l->refs = 1;
    l->w = of;
    l->scan = w->conf.scan | nr_watchlist_scan_flags(of);
    return l;
}

void
nr_list_drop(struct list *l)
{
    if (l && atomic_fetch_sub(&l->refs, 1) == 1) {
        nr_watchlist_close(l->w);
        free(l);
    }
}

static struct list *
list_get(struct nr_watch *w)
{
    struct list *l;

    (void)pthread_mutex_lock(&w->list_lock);
    l = w->list;
    l->refs++;
    (void)pthread_mutex_unlock(&w->list_lock);
    return l;
}

void
nr_watch_swap(struct nr_watch *w, struct nr_watchlist *list)
{
    struct list *l = list_new(w, list), *old;

    if (!l)
        return; /* the old one stays in force */
    (void)pthread_mutex_lock(&w->list_lock);
    old = w->list;
    w->list = l;
    (void)pthread_mutex_unlock(&w->list_lock);
    w->swaps++;
    nr_list_drop(old);
}

/* --- making --- */

static void
locks_init(struct nr_watch *w)
{
    (void)pthread_mutex_init(&w->in_lock, NULL);
    (void)pthread_mutex_init(&w->known_lock, NULL);
    (void)pthread_mutex_init(&w->ring_lock, NULL);
    (void)pthread_mutex_init(&w->list_lock, NULL);
    (void)pthread_cond_init(&w->ring_free, NULL);
}

static enum nr_err
open_all(struct nr_watch *w, struct nr_diag *d)
{
    w->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    w->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->stop_fd < 0 || w->done_fd < 0)
        return nr_fail_sys(d, "watch: eventfd");
    if (w->conf.follow)
        w->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    return w->conf.state ? nr_state_load(w, d) : NR_OK;
}

enum nr_err
nr_watch_new(const struct nr_watch_conf *c, struct nr_watchlist *list,
    struct nr_watch **out, struct nr_diag *d)
{
    struct nr_watch *w = calloc(1, sizeof(*w));
    enum nr_err err;

    if (!w) {
        nr_watchlist_close(list);
        return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
    }
    w->conf = *c;
    w->keyed = c->follow || c->state;
    w->stop_fd = w->done_fd = w->inotify = w->lock_fd = -1;
    locks_init(w);
    nr_table_init(&w->by_path, 0);
    nr_table_init(&w->by_base, 0);
    nr_buf_init(&w->extra, NR_WATCH_EXTRA_MAX);
    w->probe = malloc(nr_input_room(NR_WATCH_BLOCK));
    w->list = list_new(w, list);
    err = w->probe && w->list
        ? open_all(w, d)
        : nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
    if (err) {
        nr_watch_free(w);
        return err;
    }
    *out = w;
    return NR_OK;
}

static void
ring_free(struct nr_watch *w)
{
    for (size_t i = 0; i < w->n_ring; i++) {
        nr_list_drop(w->ring[i].list);
        free(w->ring[i].buf);
        free(w->ring[i].hits);
        nr_logtext_fini(&w->ring[i].lines);
    }
    free(w->ring);
    w->ring = NULL;
    w->n_ring = 0;
}

static void
close_if(int fd)
{
    if (fd >= 0)
        (void)close(fd);
}

void
nr_watch_free(struct nr_watch *w)
{
    if (!w)
        return;
    ring_free(w);
    nr_find_fini(w);
    nr_feed_fini(w);
    for (size_t i = 0; i < w->n_files; i++)
        nr_file_free(w->files[i]);
    free(w->files);
    for (size_t i = 0; i < w->n_sources; i++)
        free(w->sources[i].path);
    free(w->sources);
    nr_list_drop(w->list);
    nr_buf_fini(&w->extra);
    free(w->probe);
    close_if(w->stop_fd);
    close_if(w->done_fd);
    close_if(w->inotify);
    close_if(w->lock_fd);
    (void)pthread_cond_destroy(&w->ring_free);
    (void)pthread_mutex_destroy(&w->in_lock);
    (void)pthread_mutex_destroy(&w->known_lock);
    (void)pthread_mutex_destroy(&w->ring_lock);
    (void)pthread_mutex_destroy(&w->list_lock);
    free(w);
}

/* --- sources --- */

static enum nr_err
source_add(struct nr_watch *w, enum source_kind kind, const char *path,
    struct nr_diag *d)
{
    struct source *s;
    size_t n = strlen(path);

    if (n == 0 || n >= NR_PATH_MAX)
        return nr_fail_name(d, NR_ELIMIT, "watch: no path, or too long a one",
            path);
    if (!nr_watch_room(&w->sources, &w->cap_sources, w->n_sources, sizeof(*s)))
        return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
    s = &w->sources[w->n_sources];
    *s = (struct source){ .kind = kind, .path = strdup(path) };
    if (!s->path)
        return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
    while (kind == SOURCE_DIR && n > 1 && s->path[n - 1] == '/')
        s->path[--n] = '\0';
    w->n_sources++;
    return NR_OK;
}

enum nr_err
nr_watch_add(struct nr_watch *w, const char *path, struct nr_diag *d)
{
    struct stat st;
    bool there = stat(path, &st) == 0;

    if (strcmp(path, "-") == 0)
        return nr_watch_add_fd(w, STDIN_FILENO, "-", d);
    if (there && S_ISDIR(st.st_mode))
        return source_add(w, SOURCE_DIR, path, d);
    if (!there && strpbrk(path, "*?["))
        return source_add(w, SOURCE_GLOB, path, d);
    return source_add(w, SOURCE_PATH, path, d);
}

enum nr_err
nr_watch_add_fd(struct nr_watch *w, int fd, const char *name, struct nr_diag *d)
{
    enum nr_err err = source_add(w, SOURCE_FD, name, d);
    struct group *g = err ? NULL : calloc(1, sizeof(*g));
    struct file *f = g ? nr_file_add(w, name, d) : NULL;

    if (err)
        return err;
    if (!f ||
        !nr_watch_room(&w->groups, &w->cap_groups, w->n_groups, sizeof(g)) ||
        !nr_watch_room(&g->v, &g->cap, 0, sizeof(struct file *))) {
        free(g);
        return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
    }
    w->groups[w->n_groups] = g;
    g->seq = w->n_groups++;
    g->source = w->n_sources - 1;
    g->v[g->n++] = f;
    f->fd = fd;
    f->queued = f->dirty = true;
    if (strcmp(name, "-") == 0)
        return NR_OK;
    f->stream = true;
    w->n_streams++;
    if (fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK) != 0)
        return nr_fail_sys(d, "watch: a stream");
    return NR_OK;
}

void
nr_watch_stop(struct nr_watch *w)
{
    const uint64_t one = 1;
    int was = errno;

    w->stopping = true;
    (void)!write(w->stop_fd, &one, sizeof(one));
    errno = was;
}

/* --- workers --- */

/* The giver is told that the ring's oldest block is done, or that there will
 * be no more. Under ring_lock. */
static void
wake_giver(struct nr_watch *w)
{
    const uint64_t one = 1;

    if (w->giver_sleeps)
        (void)!write(w->done_fd, &one, sizeof(one));
    w->giver_sleeps = false;
}

/* A slot of the ring, once there is one. Under in_lock. */
static struct slot *
free_slot(struct nr_watch *w)
{
    (void)pthread_mutex_lock(&w->ring_lock);
    if (w->read_seq - w->give_seq == w->n_ring)
        w->waits_out++;
    while (w->read_seq - w->give_seq == w->n_ring && !w->read_end)
        (void)pthread_cond_wait(&w->ring_free, &w->ring_lock);
    (void)pthread_mutex_unlock(&w->ring_lock);
    return &w->ring[w->read_seq % w->n_ring];
}

/* Is it time for the giver? A switch of threads costs as much as a tenth of
 * the sieving of a block, so while blocks come without waiting it is woken for
 * many at once. (It wakes up by itself after NR_WATCH_TICK_MS.) */
static bool
worth_waking(const struct nr_watch *w, const struct slot *s)
{
    if (s->kind != SLOT_BLOCK || !s->file->regular || w->reader_waits)
        return w->ring[w->give_seq % w->n_ring].done;
    return w->read_seq - w->give_seq > w->n_ring / 2 &&
        w->ring[w->give_seq % w->n_ring].done;
}

static void
finish(struct nr_watch *w, struct slot *s)
{
    (void)pthread_mutex_lock(&w->ring_lock);
    s->done = true;
    if (worth_waking(w, s))
        wake_giver(w);
    (void)pthread_mutex_unlock(&w->ring_lock);
}

static void
wait_input(struct nr_watch *w)
{
    (void)pthread_mutex_lock(&w->ring_lock);
    w->reader_waits = true;
    wake_giver(w);
    (void)pthread_mutex_unlock(&w->ring_lock);
    nr_read_wait(w);
    (void)pthread_mutex_lock(&w->ring_lock);
    w->reader_waits = false;
    (void)pthread_mutex_unlock(&w->ring_lock);
}

/* Read into the next slot; false: there is no more. */
static bool
read_one(struct nr_watch *w, struct slot **out)
{
    struct slot *s;
    bool got = false, end;
    enum nr_err err = NR_OK;

    (void)pthread_mutex_lock(&w->in_lock);
    s = free_slot(w);
    s->why = (struct nr_diag){ 0 };
    while (!w->read_end && !w->ended && !got && !err) {
        err = nr_read(w, s, &got, &s->why);
        if (!err && !got && !w->ended)
            wait_input(w);
    }
    if (err) {
        s->kind = SLOT_FATAL;
        s->file = NULL;
        s->why.err = err;
        w->ended = got = true;
    }
    (void)pthread_mutex_lock(&w->ring_lock);
    end = !got || w->read_end;
    if (end) {
        w->read_end = true;
        wake_giver(w);
    } else {
        s->done = false;
        w->read_seq++;
    }
    (void)pthread_mutex_unlock(&w->ring_lock);
    if (!end && s->kind == SLOT_BLOCK)
        s->list = list_get(w);
    (void)pthread_mutex_unlock(&w->in_lock);
    *out = s;
    return !end;
}

static void *
work(void *of)
{
    struct nr_watch *w = of;
    struct judge j;
    struct slot *s;

    nr_judge_init(&j, w->conf.cpu);
    while (read_one(w, &s)) {
        enum nr_err err = s->kind == SLOT_BLOCK ? nr_judge(w, &j, s, &s->why)
                                                : NR_OK;

        if (err) {
            s->kind = SLOT_FATAL;
            s->why.err = err;
        }
        finish(w, s);
    }
    nr_judge_fini(&j);
    return NULL;
}

/* --- the giver --- */

static enum nr_err
save_if_due(struct nr_watch *w, int64_t span, struct nr_diag *d)
{
    int64_t now;
    enum nr_err err;

    if (!w->conf.state || !w->unsaved)
        return NR_OK;
    now = nr_watch_now_us(w);
    if (!nr_watch_due(now, w->saved_us, span))
        return NR_OK;
    err = nr_state_save(w, d);
    if (err == NR_EBUSY)
        return NR_OK;
    w->saved_us = now;
    w->unsaved = false;
    return err;
}

static enum nr_err
tick(struct nr_watch *w, bool idle, struct nr_diag *d)
{
    int64_t now = nr_watch_now_us(w);

    if (!w->conf.tick ||
        (!idle &&
            !nr_watch_due(now, w->ticked_us, NR_WATCH_TICK_MS * INT64_C(1000))))
        return NR_OK;
    w->ticked_us = now;
    return w->conf.tick(w->conf.ctx, w, idle, d);
}

/* The oldest block, if it is done; *END: there will be no more. */
static struct slot *
oldest(struct nr_watch *w, bool sleep, bool *end)
{
    struct slot *s = NULL;

    (void)pthread_mutex_lock(&w->ring_lock);
    if (w->give_seq < w->read_seq && w->ring[w->give_seq % w->n_ring].done)
        s = &w->ring[w->give_seq % w->n_ring];
    *end = w->read_end && w->give_seq == w->read_seq;
    w->giver_sleeps = sleep && !s && !*end;
    (void)pthread_mutex_unlock(&w->ring_lock);
    return s;
}

static void
give_back(struct nr_watch *w, struct slot *s)
{
    nr_list_drop(s->list);
    s->list = NULL;
    (void)pthread_mutex_lock(&w->ring_lock);
    w->give_seq++;
    (void)pthread_cond_signal(&w->ring_free);
    (void)pthread_mutex_unlock(&w->ring_lock);
}

static enum nr_err
sleep_on(struct nr_watch *w, struct nr_diag *d)
{
    struct pollfd p[2] = { { .fd = w->done_fd, .events = POLLIN },
        { .fd = w->conf.wake_fd, .events = POLLIN } };
    uint64_t drop;
    bool soon = !w->reader_waits || (w->conf.state && w->unsaved);
    int r = poll(p, 2, soon ? NR_WATCH_TICK_MS : IDLE_MS);

    if (r < 0 && errno != EINTR)
        return nr_fail_sys(d, "watch: poll");
    (void)!read(w->done_fd, &drop, sizeof(drop));
    return NR_OK;
}

/* A wake-up must be heard while blocks come without end, too. */
static enum nr_err
deliver_all(struct nr_watch *w, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (bool end = false; !err && !end;) {
        struct slot *s = oldest(w, false, &end);

        if (s) {
            err = nr_deliver(w, s, d);
            give_back(w, s);
            if (!err)
                err = save_if_due(w, SAVE_US, d);
            if (!err)
                err = tick(w, false, d);
            continue;
        }
        if (end)
            break;
        err = tick(w, true, d);
        if (!err)
            err = save_if_due(w, SAVE_IDLE_US, d);
        if (!err && !oldest(w, true, &end) && !end)
            err = sleep_on(w, d);
    }
    return err;
}

static unsigned
choose_threads(struct nr_watch *w)
{
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    unsigned n = w->conf.threads;
    struct stat st;
    uint64_t size = w->n_feeds > 0 ? SMALL : 0;

    if (n > 0)
        return n < NR_WATCH_THREADS_MAX ? n : NR_WATCH_THREADS_MAX;
    for (size_t i = 0; i < w->n_sources && size < SMALL; i++)
        size += w->sources[i].kind != SOURCE_PATH ||
                stat(w->sources[i].path, &st) != 0 || !S_ISREG(st.st_mode)
            ? SMALL
            : (uint64_t)st.st_size;
    if (size < SMALL && !w->conf.follow)
        return 1;
    return cpus > 0 && cpus < NR_WATCH_THREADS_MAX ? (unsigned)cpus : 1;
}

static enum nr_err
ring_make(struct nr_watch *w, struct nr_diag *d)
{
    size_t n = (size_t)w->threads * RING_PER_THREAD;

    w->ring = calloc(n, sizeof(*w->ring));
    for (size_t i = 0; w->ring && i < n; i++) {
        w->n_ring++;
        nr_logtext_init(&w->ring[i].lines);
        w->ring[i].buf = malloc(nr_input_room(NR_WATCH_BLOCK));
        if (!w->ring[i].buf)
            return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
    }
    return w->ring ? NR_OK : nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
}

enum nr_err
nr_watch_run(struct nr_watch *w, struct nr_diag *d)
{
    pthread_t workers[NR_WATCH_THREADS_MAX];
    unsigned n = 0;
    sigset_t all, old;
    enum nr_err err;

    w->threads = choose_threads(w);
    err = ring_make(w, d);
    (void)sigfillset(&all); /* signals are for the caller's thread */
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    while (!err && n < w->threads) {
        int e = pthread_create(&workers[n], NULL, work, w);

        if (e == 0) {
            n++;
            continue;
        }
        errno = e;
        err = nr_fail_sys(d, "watch: a thread");
    }
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    /* saved_us is 0: the first search is saved at once */
    w->ticked_us = nr_watch_now_us(w);
    if (!err)
        err = deliver_all(w, d);
    (void)pthread_mutex_lock(&w->ring_lock);
    w->read_end = true;
    (void)pthread_cond_broadcast(&w->ring_free);
    (void)pthread_mutex_unlock(&w->ring_lock);
    nr_watch_stop(w);
    while (n > 0)
        (void)pthread_join(workers[--n], NULL);
    if (!err && w->conf.tick)
        err = w->conf.tick(w->conf.ctx, w, true, d);
    if (!err && w->conf.state)
        err = nr_state_save(w, d);
    return err == NR_EBUSY ? NR_OK : err;
}

void
nr_watch_get_stats(struct nr_watch *w, struct nr_watch_stats *out)
{
    *out = (struct nr_watch_stats){ .octets = w->octets,
        .lines = w->lines_out,
        .hits = w->hits,
        .denied = w->denied,
        .files = w->opened,
        .failed = w->failed,
        .spots = w->spots,
        .false_spots = w->false_spots,
        .waits_input = w->waits_in,
        .waits_output = w->waits_out,
        .swaps = w->swaps,
        .saves = w->saves,
        .size = w->size,
        .size_done = w->size_done,
        .threads = w->threads };
    (void)pthread_mutex_lock(&w->list_lock);
    out->list_version = nr_watchlist_version(w->list->w);
    out->indicators = nr_watchlist_count(w->list->w);
    (void)pthread_mutex_unlock(&w->list_lock);
}
