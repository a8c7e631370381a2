/*
 * The receiving process: what it opens, how it is confined, and its loop.
 *
 * The reader of the pipe is not trusted to be fast. When more than HIGH octets
 * wait for it, nothing is read at all: senders of streams feel it by TCP,
 * datagrams wait in the kernel.
 */
#include "receiver/serve.h"

#include "base/num.h"
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define HIGH        ((size_t)1 << 20)
#define OUT_MAX     ((size_t)1 << 25) /* HIGH and the worst of one round */
#define EVENTS      64
#define TICK_MIN_MS INT64_C(10)
#define TICK_MAX_MS INT64_C(1000)
#define WARN_MS     INT64_C(60000) /* between two warnings of one sort */
#define FDS_OWN     64u            /* descriptors that are no connections */
#define NAME        "noroshi-recv"

enum { WARN_DROPS, WARN_CONNECTIONS, WARN_JOURNAL };

int64_t
nr_serve_clock_ms(void)
{
    struct timespec t = { 0 };

    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + 1;
}

bool
nr_serve_full(const struct nr_serve *s)
{
    return nr_pipe_waiting(&s->out) > HIGH;
}

void
nr_serve_put(struct nr_serve *s, uint32_t origin, const struct nr_message *m)
{
    if (!nr_message_put(nr_pipe_line(&s->out, origin), m->text))
        return;
    s->stats.messages++;
    s->stats.octets += m->text.n;
    s->stats.cut += m->cut;
    s->stats.half += m->half;
}

bool
nr_serve_look(struct nr_serve *s, struct nr_point *p, uint32_t events)
{
    struct epoll_event ev = { .events = events, .data.ptr = p };

    return epoll_ctl(s->ep, EPOLL_CTL_ADD, p->fd, &ev) == 0;
}

/* ---- opening ---- */

static void
note(struct nr_serve *s, const char *text)
{
    nr_pipe_put(&s->out, NR_PIPE_NOTE, 0,
        (struct nr_bytes){ (const uint8_t *)text, strlen(text) });
}

static enum nr_err
open_listeners(struct nr_serve *s, const struct nr_listen_at *at,
    struct nr_diag *d)
{
    char text[NR_RECEIVER_NAME_MAX + 160];

    for (size_t i = 0; i < s->conf->n_listen; i++) {
        struct nr_listener *l = &s->listeners[s->n_listeners];
        int rcvbuf;
        enum nr_err err = nr_listen_open(&at[i], &l->point.fd, &rcvbuf, d);

        if (err)
            return err;
        l->at = &at[i];
        l->number = (unsigned)s->n_listeners++;
        l->point.type = nr_over_datagrams(l->at->over) ? NR_POINT_DATAGRAMS
                                                       : NR_POINT_STREAMS;
        nr_listen_print(l->at, l->point.fd, text);
        nr_pipe_put(&s->out, NR_PIPE_ADDRESS, 0,
            (struct nr_bytes){ (const uint8_t *)text, strlen(text) });
        if (rcvbuf > 0 && rcvbuf < NR_RECEIVER_RCVBUF) {
            (void)snprintf(text, sizeof(text),
                "%s: the kernel buffers %d of %d octets for datagrams: raise "
                "net.core.rmem_max",
                at[i].text, rcvbuf, NR_RECEIVER_RCVBUF);
            note(s, text);
        }
    }
    return NR_OK;
}

/* Sockets need descriptors; what may not be had lowers the limit. */
static void
limit_connections(struct nr_serve *s)
{
    struct rlimit r;
    rlim_t want = (rlim_t)s->lim.connections + FDS_OWN;

    if (getrlimit(RLIMIT_NOFILE, &r) != 0)
        return;
    if (r.rlim_cur < want) {
        r.rlim_cur = r.rlim_max < want ? r.rlim_max : want;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
    if (r.rlim_cur < want)
        s->lim.connections = r.rlim_cur > FDS_OWN + 1
            ? (unsigned)(r.rlim_cur - FDS_OWN)
            : 1;
}

static enum nr_err
open_memory(struct nr_serve *s, struct nr_diag *d)
{
    uint64_t seed = 0;

    if (getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed))
        return nr_fail_sys(d, "receiver: no random octets");
    s->scratch = malloc(NR_SERVE_SCRATCH);
    s->per_origin = calloc(NR_ORIGINS_ALL, sizeof(*s->per_origin));
    s->datagrams = nr_datagrams_new(s->lim.message);
    s->ep = epoll_create1(EPOLL_CLOEXEC);
    if (s->ep < 0)
        return nr_fail_sys(d, "receiver: epoll");
    if (nr_origins_init(&s->origins, seed) != NR_OK || !s->scratch ||
        !s->per_origin || !s->datagrams)
        return nr_fail(d, NR_ENOMEM, 0, "receiver: out of memory");
    return NR_OK;
}

static enum nr_err
look_at_all(struct nr_serve *s, struct nr_diag *d)
{
    bool ok = nr_serve_look(s, &s->pipe, 0) &&
        nr_serve_look(s, &s->control, EPOLLIN);

    for (size_t i = 0; i < s->n_listeners && ok; i++)
        ok = nr_serve_look(s, &s->listeners[i].point, EPOLLIN);
    if (ok && s->journal_point.fd >= 0)
        ok = nr_serve_look(s, &s->journal_point, EPOLLIN);
    return ok ? NR_OK : nr_fail_sys(d, "receiver: epoll");
}

static enum nr_err
open_all(struct nr_serve *s, const struct nr_serve_start *start,
    struct nr_diag *d)
{
    const struct nr_receiver_conf *c = s->conf;
    struct nr_sandbox sb = { .promises = NR_SANDBOX_RECEIVER,
        .without_landlock = c->without_landlock };
    enum nr_err err;

    limit_connections(s);
    err = open_memory(s, d);
    if (!err && c->tls_cert)
        err = nr_receiver_tls_load(c->tls_cert, c->tls_key, c->tls_ca, &s->tls,
            d);
    if (!err)
        err = open_listeners(s, start->at, d);
    if (!err)
        err = look_at_all(s, d);
    if (!err && s->journal_point.fd >= 0)
        s->journal.origin = nr_origin_journal(&s->origins, &s->out);
    if (!err)
        err = nr_sandbox_enter(&sb, d);
    return err;
}

/* ---- the loop ---- */

static void
warn(struct nr_serve *s, int sort, const char *text, uint64_t n)
{
    char line[256];

    if (s->warned_ms[sort] != 0 && !s->ending &&
        s->now_ms - s->warned_ms[sort] < WARN_MS)
        return;
    s->warned_ms[sort] = s->now_ms;
    (void)snprintf(line, sizeof(line), "%llu %s", (unsigned long long)n, text);
    note(s, line);
}

static void
tell(struct nr_serve *s)
{
    struct nr_receiver_stats *now = &s->stats, *old = &s->told;

    nr_datagrams_count(s);
    s->told_ms = s->now_ms;
    if (memcmp(now, old, sizeof(*now)) == 0)
        return;
    if (now->dropped > old->dropped)
        warn(s, WARN_DROPS,
            "datagrams were dropped so far: the kernel's buffer was full",
            now->dropped);
    if (now->refused > old->refused)
        warn(s, WARN_CONNECTIONS,
            "connections were refused so far: too many, or too many of one "
            "address",
            now->refused);
    if (now->unreadable > old->unreadable)
        warn(s, WARN_JOURNAL, "journal entries could not be read so far",
            now->unreadable);
    *old = *now;
    nr_pipe_put_stats(&s->out, now);
}

static void
journal_ready(struct nr_serve *s)
{
    ssize_t n = read(s->journal_point.fd, s->scratch, NR_SERVE_SCRATCH);

    if (n > 0) {
        nr_journal_take(&s->journal, (struct nr_bytes){ s->scratch, (size_t)n },
            &s->out, &s->stats);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        (void)close(s->journal_point.fd);
        s->journal_point.fd = -1;
        nr_pipe_put(&s->out, NR_PIPE_JOURNAL_END, 0, (struct nr_bytes){ 0 });
    }
}

static void
handle(struct nr_serve *s, struct nr_point *p)
{
    switch (p->type) {
    case NR_POINT_PIPE:
        break; /* the next flush finds out */
    case NR_POINT_CONTROL:
        s->ending = true;
        (void)epoll_ctl(s->ep, EPOLL_CTL_DEL, p->fd, NULL);
        break;
    case NR_POINT_DATAGRAMS:
        nr_datagrams_take(s, (struct nr_listener *)(void *)p);
        break;
    case NR_POINT_STREAMS:
        nr_conn_accept(s, (struct nr_listener *)(void *)p);
        break;
    case NR_POINT_CONNECTION:
        nr_conn_ready(s, (struct nr_conn *)(void *)p);
        break;
    case NR_POINT_JOURNAL:
        if (p->fd >= 0)
            journal_ready(s);
        break;
    }
}

/* Have epoll say when the pipe takes more, while something waits. */
static void
ask_pipe(struct nr_serve *s)
{
    bool waits = nr_pipe_waiting(&s->out) > 0;
    struct epoll_event ev = { .events = waits ? EPOLLOUT : 0,
        .data.ptr = &s->pipe };

    if (waits != s->pipe_waits)
        (void)epoll_ctl(s->ep, EPOLL_CTL_MOD, s->pipe.fd, &ev);
    s->pipe_waits = waits;
}

/* The pipe is full: wait for it alone. */
static enum nr_err
wait_pipe(struct nr_serve *s, struct nr_diag *d)
{
    struct pollfd p = { .fd = s->pipe.fd, .events = POLLOUT };
    enum nr_err err = NR_OK;

    while (!err && nr_serve_full(s)) {
        if (poll(&p, 1, -1) < 0 && errno != EINTR)
            err = nr_fail_sys(d, "receiver: poll");
        if (!err)
            err = nr_pipe_flush(&s->out, s->pipe.fd, d);
    }
    s->now_ms = nr_serve_clock_ms();
    nr_conn_excuse(s);
    return err;
}

/* One round; *N is how many besides the pipe had something to say. */
static enum nr_err
turn(struct nr_serve *s, int timeout_ms, int *n, struct nr_diag *d)
{
    struct epoll_event ev[EVENTS];
    enum nr_err err = NR_OK;
    int all;

    ask_pipe(s);
    *n = s->held; /* TLS is left to be looked at */
    all = epoll_wait(s->ep, ev, EVENTS, s->held ? 0 : timeout_ms);
    if (all < 0 && errno != EINTR)
        return nr_fail_sys(d, "receiver: epoll");
    s->now_ms = nr_serve_clock_ms();
    for (int i = 0; i < all; i++) {
        if (ev[i].data.ptr != &s->pipe)
            ++*n;
        else if (ev[i].events & (EPOLLERR | EPOLLHUP))
            return nr_fail(d, NR_ESYS, 0, "receiver: the reader is gone");
    }
    for (int i = 0; i < all && !nr_serve_full(s); i++)
        handle(s, ev[i].data.ptr);
    nr_conn_held(s);
    if (s->now_ms - s->swept_ms >= s->tick_ms) {
        s->swept_ms = s->now_ms;
        nr_conn_sweep(s);
    }
    if (s->now_ms - s->told_ms >= TICK_MAX_MS)
        tell(s);
    nr_conn_bury(s);
    nr_pipe_end_lines(&s->out, NR_STR(""));
    err = nr_pipe_flush(&s->out, s->pipe.fd, d);
    if (!err && nr_serve_full(s))
        err = wait_pipe(s, d);
    return err;
}

static bool
has_sources(const struct nr_serve *s)
{
    return s->n_listeners > 0 || s->journal_point.fd >= 0;
}

/* What was sent before the end was asked for is taken in. */
static enum nr_err
drain(struct nr_serve *s, struct nr_diag *d)
{
    int64_t until = s->now_ms + NR_RECEIVER_DRAIN_MS;
    enum nr_err err = NR_OK;
    int n = 1;

    s->ending = true;
    while (!err && n > 0 && s->now_ms < until)
        err = turn(s, 0, &n, d);
    nr_conn_end_all(s);
    tell(s);
    nr_pipe_put(&s->out, NR_PIPE_END, 0, (struct nr_bytes){ 0 });
    while (!err && nr_pipe_waiting(&s->out) > 0) {
        struct pollfd p = { .fd = s->pipe.fd, .events = POLLOUT };

        err = nr_pipe_flush(&s->out, s->pipe.fd, d);
        if (!err && nr_pipe_waiting(&s->out) > 0 && poll(&p, 1, -1) < 0 &&
            errno != EINTR)
            err = nr_fail_sys(d, "receiver: poll");
    }
    return err;
}

static enum nr_err
live(struct nr_serve *s, struct nr_diag *d)
{
    enum nr_err err = NR_OK;
    int n;

    nr_pipe_put(&s->out, NR_PIPE_READY, 0, (struct nr_bytes){ 0 });
    err = nr_pipe_flush(&s->out, s->pipe.fd, d);
    while (!err && !s->ending && has_sources(s))
        err = turn(s, (int)s->tick_ms, &n, d);
    if (!err)
        err = drain(s, d);
    return err;
}

static void
prepare(struct nr_serve *s, const struct nr_serve_start *start)
{
    int64_t least = start->conf->limits.half_ms <
            start->conf->limits.handshake_ms
        ? start->conf->limits.half_ms
        : start->conf->limits.handshake_ms;

    s->conf = start->conf;
    s->lim = s->conf->limits;
    s->pipe = (struct nr_point){ NR_POINT_PIPE, start->pipe };
    s->control = (struct nr_point){ NR_POINT_CONTROL, start->control };
    s->journal_point = (struct nr_point){ NR_POINT_JOURNAL, start->journal };
    s->tick_ms = least / 4;
    if (s->tick_ms < TICK_MIN_MS)
        s->tick_ms = TICK_MIN_MS;
    if (s->tick_ms > TICK_MAX_MS)
        s->tick_ms = TICK_MAX_MS;
    s->now_ms = nr_serve_clock_ms();
    nr_pipe_init(&s->out, OUT_MAX);
    nr_journal_init(&s->journal, s->lim.message);
}

int
nr_serve_run(const struct nr_serve_start *start)
{
    static const int ignored[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGUSR1,
        SIGUSR2, SIGQUIT };
    struct nr_serve *s = calloc(1, sizeof(*s));
    struct nr_diag d = { 0 };
    enum nr_err err;

    if (!s)
        return EXIT_FAILURE;
    /* The end is told by the pipe of control: a signal to the whole group
     * must not cost lines. */
    for (size_t i = 0; i < sizeof(ignored) / sizeof(ignored[0]); i++)
        (void)signal(ignored[i], SIG_IGN);
    (void)prctl(PR_SET_NAME, NAME, 0, 0, 0);
    prepare(s, start);
    err = open_all(s, start, &d);
    if (!err) {
        err = live(s, &d);
    } else {
        nr_buf_reset(&s->out.buf);
        s->out.filling = false;
        nr_pipe_put_fail(&s->out, &d);
        (void)!nr_pipe_flush(&s->out, s->pipe.fd, NULL);
    }
    /* The process ends here, and with it all that it holds. */
    return err ? EXIT_FAILURE : EXIT_SUCCESS;
}
