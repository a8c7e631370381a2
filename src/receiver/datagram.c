/* UDP (RFC 5426) and UNIX datagrams: one message each. */
#include "receiver/serve.h"

#include <linux/sock_diag.h>
#include <stdlib.h>

#define BATCH  16 /* datagrams of one call */
#define ROUNDS 8  /* calls before others have their turn */

struct nr_datagrams {
    struct mmsghdr msg[BATCH];
    struct iovec iov[BATCH];
    union nr_sockaddr from[BATCH];
    uint8_t *room;
    size_t each;
};

struct nr_datagrams *
nr_datagrams_new(size_t max)
{
    struct nr_datagrams *g = calloc(1, sizeof(*g));

    if (!g)
        return NULL;
    g->each = max + 1; /* one more tells a message of MAX from a longer one */
    g->room = calloc(BATCH, g->each);
    if (!g->room) {
        free(g);
        return NULL;
    }
    for (size_t i = 0; i < BATCH; i++) {
        g->iov[i] = (struct iovec){ g->room + i * g->each, g->each };
        g->msg[i].msg_hdr.msg_iov = &g->iov[i];
        g->msg[i].msg_hdr.msg_iovlen = 1;
        g->msg[i].msg_hdr.msg_name = &g->from[i];
    }
    return g;
}

void
nr_datagrams_free(struct nr_datagrams *g)
{
    if (!g)
        return;
    free(g->room);
    free(g);
}

static void
take_one(struct nr_serve *s, const struct nr_listener *l, size_t i)
{
    struct nr_datagrams *g = s->datagrams;
    struct nr_message m = { .text = { g->iov[i].iov_base, g->msg[i].msg_len } };
    const union nr_sockaddr *from = nr_over_unix(l->at->over) ? &l->at->at
                                                              : &g->from[i];

    if (m.text.n == g->each) {
        m.text.n--;
        m.cut = true;
    }
    if (m.text.n > 0)
        nr_serve_put(s,
            nr_origin_of(&s->origins, l->at->over, from, l->number, &s->out),
            &m);
}

void
nr_datagrams_take(struct nr_serve *s, const struct nr_listener *l)
{
    struct nr_datagrams *g = s->datagrams;
    int n = BATCH;

    for (int r = 0; r < ROUNDS && n == BATCH && !nr_serve_full(s); r++) {
        for (size_t i = 0; i < BATCH; i++)
            g->msg[i].msg_hdr.msg_namelen = sizeof(g->from[i]);
        n = recvmmsg(l->point.fd, g->msg, BATCH, MSG_DONTWAIT, NULL);
        for (int i = 0; i < n; i++)
            take_one(s, l, (size_t)i);
    }
}

void
nr_datagrams_count(struct nr_serve *s)
{
    for (size_t i = 0; i < s->n_listeners; i++) {
        struct nr_listener *l = &s->listeners[i];
        uint32_t mem[SK_MEMINFO_VARS] = { 0 };
        socklen_t len = sizeof(mem);

        /* The counter that SO_RXQ_OVFL sends with a datagram, without the
         * wait for the next one. */
        if (l->at->over != NR_OVER_UDP ||
            getsockopt(l->point.fd, SOL_SOCKET, SO_MEMINFO, mem, &len) != 0)
            continue;
        s->stats.dropped += (uint32_t)(mem[SK_MEMINFO_DROPS] - l->drops);
        l->drops = mem[SK_MEMINFO_DROPS];
    }
}
