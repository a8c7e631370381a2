/* Addresses to listen on and addresses of senders. Private to the room. */
#ifndef NR_RECEIVER_ADDRESS_H
#define NR_RECEIVER_ADDRESS_H

#include "base/table.h"
#include "receiver/pipe.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

enum nr_transport {
    NR_OVER_UDP,
    NR_OVER_TCP,
    NR_OVER_TLS,
    NR_OVER_UNIX,
    NR_OVER_UNIX_STREAM,
    NR_TRANSPORTS,
};

union nr_sockaddr {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_un local;
    struct sockaddr_storage room;
};

struct nr_listen_at {
    enum nr_transport over;
    union nr_sockaddr at;
    socklen_t len;
    const char *text; /* as it was given; borrowed */
};

static inline bool
nr_over_datagrams(enum nr_transport t)
{
    return t == NR_OVER_UDP || t == NR_OVER_UNIX;
}

static inline bool
nr_over_unix(enum nr_transport t)
{
    return t == NR_OVER_UNIX || t == NR_OVER_UNIX_STREAM;
}

/* Parse "udp://..." and so on, see receiver.h. NR_EFORMAT. */
enum nr_err nr_listen_parse(const char *text, struct nr_listen_at *out,
    struct nr_diag *d) NR_MUST_USE;

/* A non-blocking socket bound to A, listening if it is one of streams. The
 * kernel's answer to the wish for a large buffer is in *RCVBUF (0: not asked).
 * NR_EEXIST, NR_ESYS; A's text is in D. */
enum nr_err nr_listen_open(const struct nr_listen_at *a, int *fd, int *rcvbuf,
    struct nr_diag *d) NR_MUST_USE;

/* The address with the port that FD has got, into BUF
 * (NR_RECEIVER_NAME_MAX). */
void nr_listen_print(const struct nr_listen_at *a, int fd, char *buf);

/* --- origins: one number for each address that sends --- */

#define NR_ORIGIN_KEY 17
/* Beyond NR_RECEIVER_ORIGINS: one for each transport, and the journal. */
#define NR_ORIGINS_ALL (NR_RECEIVER_ORIGINS + NR_TRANSPORTS + 1)

struct nr_origins {
    struct nr_table table;
    uint8_t (*keys)[NR_ORIGIN_KEY]; /* NR_ORIGINS_ALL */
    uint32_t n;
    uint32_t other[NR_TRANSPORTS]; /* number + 1; 0: not made */
    /* the one asked for last */
    uint8_t last_key[NR_ORIGIN_KEY];
    uint32_t last;
    bool has_last;
};

enum nr_err nr_origins_init(struct nr_origins *o, uint64_t seed) NR_MUST_USE;
void nr_origins_fini(struct nr_origins *o);

/* The number of sender FROM (UNIX: listener number LISTENER with its path in
 * FROM); a new one is told to OUT. Never fails: without memory, or beyond the
 * limit, it is that of "...:other". */
uint32_t nr_origin_of(struct nr_origins *o, enum nr_transport over,
    const union nr_sockaddr *from, unsigned listener, struct nr_pipe_out *out);
/* That of the journal; to be called once. */
uint32_t nr_origin_journal(struct nr_origins *o, struct nr_pipe_out *out);

#endif
