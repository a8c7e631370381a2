/* TLS of the receiving side (RFC 5425), over GnuTLS. Private to the room. */
#ifndef NR_RECEIVER_TLS_H
#define NR_RECEIVER_TLS_H

#include "receiver/receiver.h"

#define NR_RECEIVER_PEM_MAX ((size_t)1 << 20) /* octets of a PEM file */

struct nr_receiver_tls; /* certificate and key */

/* CA may be NULL: any client. NR_ENOTFOUND, NR_EFORMAT, NR_ESYS, NR_ENOMEM
 * with the file in D. */
enum nr_err nr_receiver_tls_load(const char *cert, const char *key,
    const char *ca, struct nr_receiver_tls **out,
    struct nr_diag *d) NR_MUST_USE;
void nr_receiver_tls_free(struct nr_receiver_tls *t); /* NULL is fine */

struct nr_tls_peer; /* one connection */

enum nr_tls_step {
    NR_TLS_DONE,
    NR_TLS_WAIT_IN,  /* again when FD can be read */
    NR_TLS_WAIT_OUT, /* again when FD can be written */
    NR_TLS_END,      /* the peer has ended it, in order or not */
    NR_TLS_BROKEN,
};

/* FD is borrowed and does not block. NULL: out of memory. */
struct nr_tls_peer *nr_tls_peer_new(struct nr_receiver_tls *t,
    int fd) NR_MUST_USE;
/* Says good-bye, without waiting. NULL is fine. */
void nr_tls_peer_free(struct nr_tls_peer *p);
enum nr_tls_step nr_tls_peer_shake(struct nr_tls_peer *p) NR_MUST_USE;
/* NR_TLS_DONE: *GOT octets, > 0. */
enum nr_tls_step nr_tls_peer_read(struct nr_tls_peer *p, uint8_t *buf, size_t n,
    size_t *got) NR_MUST_USE;
/* Octets are held that poll(2) does not know of. */
bool nr_tls_peer_pending(const struct nr_tls_peer *p);

#endif
