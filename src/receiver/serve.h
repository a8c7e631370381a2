/* The receiving process. Private to the room. */
#ifndef NR_RECEIVER_SERVE_H
#define NR_RECEIVER_SERVE_H

#include "receiver/address.h"
#include "receiver/framing.h"
#include "receiver/journal.h"
#include "receiver/tls.h"

enum nr_point_type {
    NR_POINT_PIPE,
    NR_POINT_CONTROL,
    NR_POINT_DATAGRAMS,
    NR_POINT_STREAMS, /* listening */
    NR_POINT_CONNECTION,
    NR_POINT_JOURNAL,
};

/* What epoll's events point at: the first member of what it is. */
struct nr_point {
    enum nr_point_type type;
    int fd; /* -1: closed */
};

struct nr_listener {
    struct nr_point point;
    const struct nr_listen_at *at;
    unsigned number;
    uint32_t drops; /* the kernel's count */
};

struct nr_conn {
    struct nr_point point;
    struct nr_conn *prev, *next;
    struct nr_tls_peer *tls; /* NULL: none */
    bool shaking;            /* its handshake goes on */
    bool asks_out;           /* waits to write */
    uint32_t origin;
    struct nr_framing framing;
    int64_t since_ms; /* of the message that is begun, or the handshake; 0 */
    int64_t used_ms;  /* something came */
};

struct nr_serve {
    const struct nr_receiver_conf *conf;
    struct nr_receiver_limits lim; /* none is 0 */
    struct nr_point pipe, control, journal_point;
    int ep;
    bool pipe_waits; /* epoll asks whether the pipe takes more */
    bool ending;
    bool held; /* some TLS connection holds octets */

    struct nr_listener listeners[NR_RECEIVER_LISTEN_MAX];
    size_t n_listeners;
    struct nr_receiver_tls *tls;
    struct nr_conn *conns, *dead; /* dead: freed after the round */
    uint16_t *per_origin;         /* connections; NR_ORIGINS_ALL */
    struct nr_origins origins;
    struct nr_journal_reader journal;

    struct nr_pipe_out out;
    struct nr_receiver_stats stats, told;
    int64_t now_ms, told_ms, swept_ms, tick_ms;
    int64_t warned_ms[3]; /* drops, connections, journal */
    uint8_t *scratch;
    struct nr_datagrams *datagrams;
};

#define NR_SERVE_SCRATCH ((size_t)65536)

int64_t nr_serve_clock_ms(void);

/* More waits for the pipe than is good: read nothing now. */
bool nr_serve_full(const struct nr_serve *s);
/* One message, by FROM. */
void nr_serve_put(struct nr_serve *s, uint32_t origin,
    const struct nr_message *m);
/* Have epoll look at P. */
bool nr_serve_look(struct nr_serve *s, struct nr_point *p, uint32_t events);

/* --- connections (conn.c) --- */
void nr_conn_accept(struct nr_serve *s, const struct nr_listener *l);
void nr_conn_ready(struct nr_serve *s, struct nr_conn *c);
/* TLS connections that hold octets which epoll cannot see. */
void nr_conn_held(struct nr_serve *s);
/* End those that are too slow. */
void nr_conn_sweep(struct nr_serve *s);
/* Nothing was read for a while, which was not their fault. */
void nr_conn_excuse(struct nr_serve *s);
/* End all, with what they hold. */
void nr_conn_end_all(struct nr_serve *s);
void nr_conn_bury(struct nr_serve *s);

/* --- datagrams (datagram.c) --- */
struct nr_datagrams *nr_datagrams_new(size_t max) NR_MUST_USE;
void nr_datagrams_free(struct nr_datagrams *g);
void nr_datagrams_take(struct nr_serve *s, const struct nr_listener *l);
/* Ask the kernel what it has dropped. */
void nr_datagrams_count(struct nr_serve *s);

/* What the process needs from the one that starts it. */
struct nr_serve_start {
    const struct nr_receiver_conf *conf; /* its limits are all set */
    const struct nr_listen_at *at;       /* conf->n_listen */
    int pipe, control; /* written to; its end is the order to end */
    int journal;       /* -1: none */
};

/* The life of the process; its exit status. */
int nr_serve_run(const struct nr_serve_start *start);

#endif
