/* Connections: TCP, TLS and UNIX streams. */
#include "receiver/serve.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#define ACCEPTS   64 /* of one listener before others have their turn */
#define TLS_READS 8  /* records of a connection, likewise */

static void
conn_free(struct nr_conn *c)
{
    nr_framing_fini(&c->framing);
    free(c);
}

void
nr_conn_bury(struct nr_serve *s)
{
    while (s->dead) {
        struct nr_conn *c = s->dead;

        s->dead = c->next;
        conn_free(c);
    }
}

/* Events of this round may still point at C: it is freed after it. */
static void
conn_end(struct nr_serve *s, struct nr_conn *c)
{
    struct nr_message m;

    if (c->point.fd < 0)
        return;
    if (nr_framing_end(&c->framing, &m))
        nr_serve_put(s, c->origin, &m);
    nr_tls_peer_free(c->tls);
    c->tls = NULL;
    (void)close(c->point.fd);
    c->point.fd = -1;
    if (c->next)
        c->next->prev = c->prev;
    if (c->prev)
        c->prev->next = c->next;
    else
        s->conns = c->next;
    c->next = s->dead;
    s->dead = c;
    s->per_origin[c->origin]--;
    s->stats.open--;
}

void
nr_conn_end_all(struct nr_serve *s)
{
    while (s->conns)
        conn_end(s, s->conns);
    nr_conn_bury(s);
}

/* ---- new ones ---- */

/* The one that was silent longest, if that is IDLE_MS at least, goes. */
static bool
make_room(struct nr_serve *s, int64_t idle_ms)
{
    struct nr_conn *oldest = s->conns;

    for (struct nr_conn *c = s->conns; c; c = c->next)
        if (c->used_ms < oldest->used_ms)
            oldest = c;
    if (!oldest || s->now_ms - oldest->used_ms < idle_ms)
        return false;
    conn_end(s, oldest);
    s->stats.evicted++;
    return true;
}

static bool
may_enter(struct nr_serve *s, const struct nr_listener *l, uint32_t origin)
{
    if (!nr_over_unix(l->at->over) && s->per_origin[origin] >= s->lim.per_host)
        return false;
    return s->stats.open < s->lim.connections || make_room(s, s->lim.idle_ms);
}

static struct nr_conn *
conn_new(struct nr_serve *s, const struct nr_listener *l, int fd)
{
    struct nr_conn *c = calloc(1, sizeof(*c));

    if (!c)
        return NULL;
    c->point = (struct nr_point){ NR_POINT_CONNECTION, fd };
    nr_framing_init(&c->framing, s->lim.message);
    if (l->at->over == NR_OVER_TLS) {
        c->tls = nr_tls_peer_new(s->tls, fd);
        c->shaking = true;
        c->since_ms = s->now_ms;
    }
    c->used_ms = s->now_ms;
    if ((c->shaking && !c->tls) || !nr_serve_look(s, &c->point, EPOLLIN)) {
        nr_tls_peer_free(c->tls);
        conn_free(c);
        return NULL;
    }
    return c;
}

static void
enter(struct nr_serve *s, const struct nr_listener *l, int fd,
    const union nr_sockaddr *from)
{
    uint32_t origin = nr_origin_of(&s->origins, l->at->over,
        nr_over_unix(l->at->over) ? &l->at->at : from, l->number, &s->out);
    struct nr_conn *c = may_enter(s, l, origin) ? conn_new(s, l, fd) : NULL;

    if (!c) {
        s->stats.refused++;
        (void)close(fd);
        return;
    }
    c->origin = origin;
    c->next = s->conns;
    if (s->conns)
        s->conns->prev = c;
    s->conns = c;
    s->per_origin[origin]++;
    s->stats.connections++;
    s->stats.open++;
}

void
nr_conn_accept(struct nr_serve *s, const struct nr_listener *l)
{
    for (int i = 0; i < ACCEPTS; i++) {
        union nr_sockaddr from = { 0 };
        socklen_t len = sizeof(from);
        int fd = accept4(l->point.fd, &from.any, &len,
            SOCK_CLOEXEC | SOCK_NONBLOCK);

        if (fd >= 0)
            enter(s, l, fd, &from);
        else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
            errno == ENOMEM) {
            /* It would be offered for ever: someone has to go. */
            if (!make_room(s, 0))
                return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

/* ---- reading ---- */

static void
take(struct nr_serve *s, struct nr_conn *c, struct nr_bytes in)
{
    struct nr_message m;
    bool whole = false;

    c->used_ms = s->now_ms;
    while (nr_framing_next(&c->framing, &in, &m)) {
        nr_serve_put(s, c->origin, &m);
        whole = true;
    }
    if (!nr_framing_begun(&c->framing))
        c->since_ms = 0;
    else if (whole || c->since_ms == 0)
        c->since_ms = s->now_ms;
}

/* Ask for what TLS waits for. */
static void
ask(struct nr_serve *s, struct nr_conn *c, bool out)
{
    struct epoll_event ev = { .events = out ? EPOLLIN | EPOLLOUT : EPOLLIN,
        .data.ptr = &c->point };

    if (c->asks_out == out)
        return;
    c->asks_out = out;
    (void)epoll_ctl(s->ep, EPOLL_CTL_MOD, c->point.fd, &ev);
}

static void
tls_ready(struct nr_serve *s, struct nr_conn *c)
{
    enum nr_tls_step step = NR_TLS_DONE;
    size_t got = 0;

    if (c->shaking) {
        step = nr_tls_peer_shake(c->tls);
        if (step == NR_TLS_DONE) {
            c->shaking = false;
            c->since_ms = 0;
        }
    }
    for (int i = 0; i < TLS_READS && step == NR_TLS_DONE; i++) {
        step = nr_tls_peer_read(c->tls, s->scratch, NR_SERVE_SCRATCH, &got);
        if (step == NR_TLS_DONE)
            take(s, c, (struct nr_bytes){ s->scratch, got });
        if (nr_serve_full(s))
            break;
    }
    if (step == NR_TLS_DONE)
        s->held = s->held || nr_tls_peer_pending(c->tls);
    if (step == NR_TLS_BROKEN)
        s->stats.tls_failed++;
    if (step == NR_TLS_BROKEN || step == NR_TLS_END)
        conn_end(s, c);
    else
        ask(s, c, step == NR_TLS_WAIT_OUT);
}

void
nr_conn_ready(struct nr_serve *s, struct nr_conn *c)
{
    ssize_t n;

    if (c->point.fd < 0)
        return;
    if (c->tls) {
        tls_ready(s, c);
        return;
    }
    n = recv(c->point.fd, s->scratch, NR_SERVE_SCRATCH, MSG_DONTWAIT);
    if (n > 0)
        take(s, c, (struct nr_bytes){ s->scratch, (size_t)n });
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        conn_end(s, c);
}

void
nr_conn_held(struct nr_serve *s)
{
    if (!s->held || nr_serve_full(s))
        return;
    s->held = false;
    for (struct nr_conn *c = s->conns, *next; c; c = next) {
        next = c->next;
        if (!c->tls || c->shaking || !nr_tls_peer_pending(c->tls))
            continue;
        if (nr_serve_full(s)) {
            s->held = true;
            return;
        }
        tls_ready(s, c);
    }
}

/* ---- time ---- */

void
nr_conn_sweep(struct nr_serve *s)
{
    for (struct nr_conn *c = s->conns, *next; c; c = next) {
        int64_t limit = c->shaking ? s->lim.handshake_ms : s->lim.half_ms;

        next = c->next;
        if (c->since_ms == 0 || s->now_ms - c->since_ms < limit)
            continue;
        s->stats.slow++;
        conn_end(s, c);
    }
}

void
nr_conn_excuse(struct nr_serve *s)
{
    for (struct nr_conn *c = s->conns; c; c = c->next)
        if (c->since_ms != 0)
            c->since_ms = s->now_ms;
}
