/* Feeds: whole lines of many senders, which somebody else receives. */
#include "watch/engine.h"

#include "base/date.h"
#include "base/num.h"

#include <stdlib.h>

struct feed {
    struct nr_watch_feed conf;
    struct file **files; /* by number of origin */
    size_t n, cap;
    struct nr_watch_piece held; /* asked for and not taken yet */
    struct nr_diag why;         /* it has failed, which is to be told */
    bool failed, finishing, ended;
};

enum nr_err
nr_watch_add_feed(struct nr_watch *w, const struct nr_watch_feed *conf,
    struct nr_diag *d)
{
    struct feed *f;

    if (!nr_watch_room(&w->feeds, &w->cap_feeds, w->n_feeds, sizeof(*f)))
        return nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
    f = &w->feeds[w->n_feeds++];
    *f = (struct feed){ .conf = *conf };
    w->n_streams++;
    return NR_OK;
}

void
nr_feed_fini(struct nr_watch *w)
{
    for (size_t i = 0; i < w->n_feeds; i++)
        free(w->feeds[i].files); /* files are the watch's */
    free(w->feeds);
}

void
nr_feed_finish(struct nr_watch *w)
{
    for (size_t i = 0; i < w->n_feeds; i++) {
        struct feed *f = &w->feeds[i];

        if (!f->finishing)
            f->conf.finish(f->conf.ctx);
        f->finishing = true;
    }
}

bool
nr_feed_all_ended(const struct nr_watch *w)
{
    for (size_t i = 0; i < w->n_feeds; i++)
        if (!w->feeds[i].ended)
            return false;
    return true;
}

size_t
nr_feed_poll(const struct nr_watch *w, struct pollfd *p, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < w->n_feeds && n < max; i++)
        if (!w->feeds[i].ended)
            p[n++] = (struct pollfd){ .fd = w->feeds[i].conf.fd,
                .events = POLLIN };
    return n;
}

/* The file that stands for an origin: one of the state, or a new one. */
static struct file *
file_of(struct nr_watch *w, struct feed *feed, const struct nr_watch_piece *p,
    struct nr_diag *d)
{
    struct file *f = NULL;

    while (feed->n <= p->origin) {
        if (!nr_watch_room(&feed->files, &feed->cap, feed->n,
                sizeof(struct file *))) {
            (void)nr_fail(d, NR_ENOMEM, 0, "watch: out of memory");
            return NULL;
        }
        feed->files[feed->n++] = NULL;
    }
    if (feed->files[p->origin])
        return feed->files[p->origin];
    (void)pthread_mutex_lock(&w->known_lock);
    for (size_t i = 0; i < w->n_files && !f; i++)
        if (w->files[i]->fed && strcmp(w->files[i]->name, p->name) == 0)
            f = w->files[i];
    (void)pthread_mutex_unlock(&w->known_lock);
    if (!f)
        f = nr_file_add(w, p->name, d);
    if (f) {
        f->fed = f->stream = true;
        f->mtime_s = NR_TIME_NONE;
        w->opened++;
    }
    feed->files[p->origin] = f;
    return f;
}

/* Have a piece in `held`; false: there is none now. */
static bool
hold(struct feed *f)
{
    struct nr_diag why = { 0 };
    enum nr_err err;

    if (f->held.text.n > 0)
        return true;
    if (f->failed || f->ended)
        return false;
    err = f->conf.next(f->conf.ctx, &f->held, &why);
    if (!err &&
        (f->held.text.n > NR_WATCH_PIECE_MAX ||
            f->held.cursor.n >= NR_WATCH_CURSOR_MAX ||
            f->held.origin >= NR_WATCH_ORIGINS_MAX))
        err = nr_fail(&why, NR_ELIMIT, 0, "watch: a feed goes beyond a limit");
    if (err) {
        f->held = (struct nr_watch_piece){ 0 };
        f->failed = true;
        f->why = why;
        f->why.err = err;
        return false;
    }
    f->ended = f->held.end && f->held.text.n == 0;
    return f->held.text.n > 0;
}

/* One block: as many pieces of one origin as come one after the other. */
static enum nr_err
take_pieces(struct nr_watch *w, struct feed *feed, struct slot *s,
    struct nr_diag *d)
{
    struct file *f = file_of(w, feed, &feed->held, d);
    uint32_t origin = feed->held.origin;
    uint8_t *text = s->buf + NR_INPUT_SLACK;
    size_t n = 0;

    if (!f)
        return NR_ENOMEM;
    while (hold(feed) && feed->held.origin == origin &&
        (n == 0 || n + feed->held.text.n <= NR_WATCH_BLOCK)) {
        struct nr_watch_piece *p = &feed->held;

        memcpy(text + n, p->text.p, p->text.n);
        n += p->text.n;
        if (p->cursor.n > 0) {
            memcpy(s->cursor, p->cursor.p, p->cursor.n);
            s->cursor[p->cursor.n] = '\0';
        }
        p->text.n = 0;
    }
    /* the sieve looks at what stands around the text */
    memset(s->buf, '\n', NR_INPUT_SLACK);
    memset(text + n, '\n', NR_INPUT_SLACK);
    s->kind = SLOT_BLOCK;
    s->file = f;
    s->block = (struct nr_block){ .text = { text, n }, .at = f->read_at };
    f->read_at += n;
    return nr_mark_grow(w, f, s->block.at, s->block.text, d);
}

enum nr_err
nr_feed_read(struct nr_watch *w, struct slot *s, bool *got, struct nr_diag *d)
{
    for (size_t k = 0; k < w->n_feeds && !*got; k++) {
        struct feed *f = &w->feeds[w->feed_turn++ % w->n_feeds];

        if (hold(f)) {
            *got = true;
            return take_pieces(w, f, s, d);
        }
        if (f->failed && !f->ended) {
            f->ended = *got = true;
            s->kind = SLOT_TROUBLE;
            s->file = NULL;
            s->why = f->why;
        }
    }
    return NR_OK;
}
