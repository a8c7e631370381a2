/*
 * Reading: the next block of whatever is next. One worker at a time is here,
 * under in_lock; the order of blocks is the order of coming here.
 */
#include "watch/engine.h"

#include "base/date.h"
#include "base/hash.h"
#include "base/num.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOOK_US       INT64_C(1000000)  /* for what inotify cannot see */
#define SEARCH_US     INT64_C(10000000) /* likewise, for new files */
#define SEARCH_MIN_US INT64_C(20000)    /* between two searches */
#define QUIET_US      INT64_C(2000000)  /* a line without end is one after */
#define WAIT_SHORT_MS 20
#define WAIT_MS       1000
#define POLL_MAX      ((size_t)64) /* streams waited for at once */

void
nr_read_close(struct file *f)
{
    nr_input_free(f->in);
    f->in = NULL;
    if (f->own_fd && f->fd >= 0)
        (void)close(f->fd);
    f->fd = -1;
    f->own_fd = false;
    f->drained = f->finishing = false;
}

void
nr_read_lost(struct nr_watch *w, struct file *f)
{
    nr_read_close(f);
    (void)pthread_mutex_lock(&w->known_lock);
    f->mark.ino = 0;
    (void)pthread_mutex_unlock(&w->known_lock);
    w->search_due = true;
}

/* --- opening --- */

static enum nr_err
open_fd(struct nr_watch *w, struct file *f, struct stat *st, struct nr_diag *d)
{
    int flags = O_RDONLY | O_CLOEXEC | O_NOCTTY;

    if (stat(f->path, st) == 0 && S_ISFIFO(st->st_mode) && w->conf.follow) {
        flags = O_RDWR | O_CLOEXEC | O_NONBLOCK; /* never at its end */
        f->stream = true;
    }
    f->fd = open(f->path, flags);
    f->own_fd = true;
    if (f->fd < 0 && errno == ENOENT)
        return nr_fail_name(d, NR_ENOTFOUND, "watch: no such file", f->path);
    if (f->fd < 0)
        return nr_fail_file(d, "watch: cannot be opened", f->path);
    if (fstat(f->fd, st) != 0)
        return nr_fail_file(d, "watch: cannot be read", f->path);
    if (w->keyed && (st->st_dev != f->mark.dev || st->st_ino != f->mark.ino))
        return nr_fail_name(d, NR_EBUSY, "watch: moved", f->path);
    return NR_OK;
}

/* A file that goes on somewhere inside: its first lines tell its format. */
static enum nr_err
take_intro(struct nr_watch *w, struct file *f, struct nr_diag *d)
{
    struct nr_bytes head = { 0 }, intro = { 0 };
    enum nr_err err = nr_file_probe(w, f->path, f->mark.dev, f->mark.ino, &head,
        &intro, d);

    if (err || intro.n == 0)
        return err;
    free(f->intro);
    f->intro = malloc(intro.n);
    if (!f->intro)
        return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
    memcpy(f->intro, intro.p, intro.n);
    f->intro_n = intro.n;
    return NR_OK;
}

static enum nr_err
open_file(struct nr_watch *w, struct file *f, struct nr_diag *d)
{
    struct nr_input_options o = { .block = NR_WATCH_BLOCK,
        .start = f->read_at,
        .follow = w->conf.follow,
        .uncounted = true };
    struct stat st = { 0 };
    enum nr_err err = NR_OK;

    f->unopened = false;
    if (f->fd < 0)
        err = open_fd(w, f, &st, d);
    else if (fstat(f->fd, &st) != 0)
        err = nr_fail_file(d, "watch: cannot be read", f->name);
    f->regular = S_ISREG(st.st_mode);
    f->mtime_s = f->regular ? (int64_t)st.st_mtime : NR_TIME_NONE;
    if (!err && f->regular && f->read_at > 0)
        err = take_intro(w, f, d);
    o.stream = f->stream;
    if (!f->regular && !f->stream)
        o.stop_fd = w->stop_fd;
    if (!err)
        err = nr_input_from_fd(f->fd, f->name, &o, &f->in, d);
    if (err) {
        nr_read_close(f);
        return err;
    }
    f->counted = 0;
    f->dirty = true;
    w->opened++;
    return NR_OK;
}

/* --- what became of an open file --- */

/* Is the file's text another one (truncated, written anew)? */
static bool
is_replaced(const struct file *f)
{
    struct stat st;
    size_t mark, n = f->mark.head_n;
    uint8_t head[NR_WATCH_HEAD_MAX];

    if (!f->regular || fstat(f->fd, &st) != 0)
        return false;
    if ((uint64_t)st.st_size < nr_input_offset(f->in))
        return true;
    if (!nr_input_is_flat(f->in, &mark) || n == 0 ||
        (uint64_t)st.st_size == nr_input_offset(f->in))
        return false;
    if (pread(f->fd, head, n, (off_t)mark) != (ssize_t)n)
        return true;
    return !nr_mark_matches(&f->mark, (struct nr_bytes){ head, n });
}

/* It ends without a line feed, and was written to only just now. */
static bool
line_may_go_on(const struct nr_watch *w, const struct file *f)
{
    struct stat st;
    size_t mark;

    return w->conf.follow && nr_input_is_flat(f->in, &mark) &&
        fstat(f->fd, &st) == 0 && (uint64_t)st.st_size > f->read_at + mark &&
        !nr_watch_due(nr_watch_now_us(w),
            (int64_t)st.st_mtim.tv_sec * NR_US_PER_S +
                st.st_mtim.tv_nsec / 1000,
            QUIET_US);
}

static void
queue_drop(struct group *g)
{
    g->v[0]->queued = false;
    g->n--;
    memmove(g->v, g->v + 1, g->n * sizeof(struct file *));
}

static void
count_size(struct nr_watch *w, struct file *f)
{
    uint64_t now;

    if (!f->in || !f->regular)
        return;
    now = nr_input_offset(f->in);
    if (now > f->counted)
        w->size_done += now - f->counted;
    f->counted = now;
}

/* Read to its end: nothing more is expected of it. */
static void
retire(struct nr_watch *w, struct group *g, struct slot *s)
{
    struct file *f = g->v[0];
    struct stat st;
    size_t mark;

    f->plain_mode = nr_input_is_flat(f->in, &mark);
    if (f->regular && !f->plain_mode && fstat(f->fd, &st) == 0) {
        (void)pthread_mutex_lock(&w->known_lock);
        f->done_size = (uint64_t)st.st_size;
        (void)pthread_mutex_unlock(&w->known_lock);
    }
    nr_read_close(f);
    queue_drop(g);
    s->kind = SLOT_CLOSE;
    s->file = f;
}

/* --- one step --- */

enum step { STEP_GOT, STEP_NOTHING, STEP_AGAIN };

static enum nr_err
fail_file(struct nr_watch *w, struct group *g, struct slot *s, enum nr_err err,
    const struct nr_diag *why, enum step *out, struct nr_diag *d)
{
    struct file *f = g->v[0];
    bool gone = err == NR_EBUSY || err == NR_ENOTFOUND ||
        (err == NR_ETRUNC && f->plain_mode);

    *out = STEP_AGAIN;
    if (err == NR_ENOMEM) {
        *d = *why;
        return err;
    }
    if (gone && w->conf.follow) { /* rotated or cut under our hands */
        if (err == NR_ETRUNC)
            nr_read_lost(w, f);
        nr_read_close(f);
        f->unopened = f->read_at == 0;
        w->search_due = true;
        queue_drop(g);
        return NR_OK;
    }
    nr_read_close(f);
    f->done_size = f->seen_size; /* not again, unless it changes */
    queue_drop(g);
    s->kind = SLOT_TROUBLE;
    s->why = *why;
    s->file = f;
    *out = STEP_GOT;
    return NR_OK;
}

/* A stream that was said to be readable and gave nothing is at its end. */
static bool
hung_up(struct file *f)
{
    bool up = f->polled && nr_input_offset(f->in) == f->polled_at;

    f->polled = false;
    return up;
}

/* The end of what there is of the group's oldest file. */
static enum step
at_end(struct nr_watch *w, struct group *g, struct slot *s)
{
    struct file *f = g->v[0];
    bool tail = w->conf.follow && f->regular &&
        strcmp(nr_input_form(f->in), "plain") == 0;

    f->drained = true;
    f->dirty = false;
    if (f->finishing || (!w->conf.follow && !f->stream)) {
        retire(w, g, s);
        return STEP_GOT;
    }
    if (f->stream ? !hung_up(f) : tail && (g->n == 1 || line_may_go_on(w, f)))
        return STEP_NOTHING;
    nr_input_finish(f->in);
    f->finishing = true;
    return STEP_AGAIN;
}

static enum nr_err
take_block(struct nr_watch *w, struct file *f, struct slot *s,
    struct nr_diag *d)
{
    size_t mark;

    s->kind = SLOT_BLOCK;
    s->file = f;
    f->drained = false;
    f->read_at = s->block.at + s->block.text.n;
    f->plain_mode = nr_input_is_flat(f->in, &mark);
    count_size(w, f);
    return nr_mark_grow(w, f, s->block.at, s->block.text, d);
}

static enum nr_err
step(struct nr_watch *w, struct group *g, struct slot *s, enum step *out,
    struct nr_diag *d)
{
    struct file *f = g->v[0];
    struct nr_diag why = { 0 };
    enum nr_err err = NR_OK;

    *out = STEP_NOTHING;
    if (!f->in)
        err = open_file(w, f, &why);
    if (err)
        return fail_file(w, g, s, err, &why, out, d);
    if (f->drained && !f->dirty && !f->finishing && g->n == 1)
        return NR_OK;
    if (f->drained && w->conf.follow && is_replaced(f)) {
        nr_read_lost(w, f);
        queue_drop(g);
        *out = STEP_AGAIN;
        return NR_OK;
    }
    err = nr_input_next_in(f->in, s->buf, &s->block, &why);
    if (err)
        return fail_file(w, g, s, err, &why, out, d);
    if (s->block.text.n > 0) {
        *out = STEP_GOT;
        return take_block(w, f, s, d);
    }
    count_size(w, f);
    *out = at_end(w, g, s);
    return NR_OK;
}

/* --- all groups --- */

static bool
one_by_one(const struct nr_watch *w)
{
    return !w->conf.follow && w->n_streams == 0;
}

/* Stop: what is held back for want of its line feed is given out, unless a
 * state lets reading go on there. */
static enum nr_err
flush_one(struct nr_watch *w, struct slot *s, bool *got, struct nr_diag *d)
{
    for (size_t i = 0; i < w->n_groups; i++) {
        struct group *g = w->groups[i];

        while (g->n > 0) {
            struct file *f = g->v[0];
            enum step st;
            enum nr_err err;

            if (w->conf.state || !f->in || !f->drained) {
                queue_drop(g);
                continue;
            }
            f->finishing = true;
            nr_input_finish(f->in);
            err = step(w, g, s, &st, d);
            *got = st == STEP_GOT;
            if (err || *got)
                return err;
        }
    }
    w->ended = true;
    return NR_OK;
}

static enum nr_err
search_if_due(struct nr_watch *w, struct nr_diag *d)
{
    int64_t now;

    if (w->searched && (!w->conf.follow || w->stopping))
        return NR_OK;
    now = nr_watch_now_us(w);
    if (nr_watch_due(now, w->looked_us, LOOK_US)) {
        w->looked_us = now;
        for (size_t i = 0; i < w->n_groups; i++)
            if (w->groups[i]->n > 0)
                w->groups[i]->v[0]->dirty = true;
        if (w->inotify < 0)
            w->search_due = true;
    }
    if (nr_watch_due(now, w->searched_us, SEARCH_US))
        w->search_due = true;
    if (!w->searched ||
        (w->search_due && nr_watch_due(now, w->searched_us, SEARCH_MIN_US)))
        return nr_find(w, d);
    return NR_OK;
}

static bool
give_trouble(struct nr_watch *w, struct slot *s)
{
    if (w->n_troubles == 0)
        return false;
    s->kind = SLOT_TROUBLE;
    s->file = NULL;
    s->why = w->troubles[0];
    w->n_troubles--;
    memmove(w->troubles, w->troubles + 1, w->n_troubles * sizeof(*w->troubles));
    return true;
}

/* One turn through the groups, from the one behind the last that gave. */
static enum nr_err
read_groups(struct nr_watch *w, struct slot *s, bool *got, struct nr_diag *d)
{
    size_t from = one_by_one(w) ? 0 : w->turn;

    for (size_t k = 0; k < w->n_groups; k++) {
        size_t i = (from + k) % w->n_groups;
        struct group *g = w->groups[i];

        while (g->n > 0) {
            enum step st;
            enum nr_err err = step(w, g, s, &st, d);

            w->turn = i + 1;
            *got = st == STEP_GOT;
            if (err || *got)
                return err;
            if (st == STEP_NOTHING)
                break;
        }
    }
    return NR_OK;
}

static bool
all_read(const struct nr_watch *w)
{
    for (size_t i = 0; i < w->n_groups; i++)
        if (w->groups[i]->n > 0)
            return false;
    return true;
}

/* Feeds and files by turns. */
static enum nr_err
read_some(struct nr_watch *w, struct slot *s, bool *got, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    w->feeds_first = !w->feeds_first;
    if (w->feeds_first)
        err = nr_feed_read(w, s, got, d);
    if (!err && !*got)
        err = read_groups(w, s, got, d);
    if (!err && !*got && !w->feeds_first)
        err = nr_feed_read(w, s, got, d);
    return err;
}

/* Stop: what the feeds have received until now is still taken. */
static enum nr_err
read_last(struct nr_watch *w, struct slot *s, bool *got, struct nr_diag *d)
{
    enum nr_err err;

    nr_feed_finish(w);
    err = nr_feed_read(w, s, got, d);
    if (err || *got || !nr_feed_all_ended(w))
        return err;
    if (w->conf.follow)
        return flush_one(w, s, got, d);
    w->ended = true;
    return NR_OK;
}

/* Nothing will come any more. */
static bool
is_over(const struct nr_watch *w)
{
    if (!nr_feed_all_ended(w))
        return false;
    if (w->conf.follow)
        return w->n_feeds > 0 && w->n_sources == 0;
    return all_read(w);
}

enum nr_err
nr_read(struct nr_watch *w, struct slot *s, bool *got, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    *got = false;
    s->file = NULL;
    s->cursor[0] = '\0';
    if (w->stopping) {
        err = read_last(w, s, got, d);
    } else {
        if (w->conf.follow)
            nr_find_events(w);
        err = search_if_due(w, d);
        *got = !err && give_trouble(w, s);
        if (!err && !*got)
            err = read_some(w, s, got, d);
        if (!err && !*got && is_over(w))
            w->ended = true;
    }
    if (!err && *got && s->file)
        s->file->inflight++;
    return err;
}

void
nr_read_wait(struct nr_watch *w)
{
    struct pollfd p[2 * POLL_MAX + 2];
    struct file *of[POLL_MAX + 2];
    nfds_t n = 0;
    int timeout = w->search_due || w->n_troubles ? WAIT_SHORT_MS : WAIT_MS;

    /* once heard, stop is no reason to wake up any more */
    p[n++] = (struct pollfd){ .fd = w->stopping ? -1 : w->stop_fd,
        .events = POLLIN };
    if (w->inotify >= 0)
        p[n++] = (struct pollfd){ .fd = w->inotify, .events = POLLIN };
    for (size_t i = 0; i < w->n_groups && n < POLL_MAX + 2; i++) {
        struct group *g = w->groups[i];

        if (g->n == 0 || !g->v[0]->stream || !g->v[0]->in)
            continue;
        of[n] = g->v[0];
        p[n++] = (struct pollfd){ .fd = g->v[0]->fd, .events = POLLIN };
    }
    w->waits_in++;
    if (poll(p, n + nr_feed_poll(w, p + n, POLL_MAX), timeout) <= 0)
        return;
    for (nfds_t i = w->inotify >= 0 ? 2 : 1; i < n; i++)
        if (p[i].revents) {
            of[i]->dirty = of[i]->polled = true;
            of[i]->polled_at = nr_input_offset(of[i]->in);
        }
}
