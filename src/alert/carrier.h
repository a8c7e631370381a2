/*
 * Messages on their way to something that may break: a collector, a command.
 *
 * A message stays in the queue until the other side has taken it off the
 * channel, as far as the kernel can tell; when the channel breaks, what was
 * not taken is sent again over the next one. A full queue holds its user up
 * while the channel lives (NR_ALERT_STALL_MS), then drops what is new.
 */
#ifndef NR_ALERT_CARRIER_H
#define NR_ALERT_CARRIER_H

#include "alert/sink.h"

struct alert_channel_ops {
    bool datagram; /* a message a write; a write takes it off the channel */
    /* A new non-blocking descriptor, borrowed until down. */
    enum nr_err (*up)(void *self, int *fd, struct nr_diag *d);
    void (*down)(void *self);
    ssize_t (*write)(void *self, struct nr_bytes in); /* errno */
    /* False: it will take no more; errno says why, or is 0. */
    bool (*is_alive)(void *self);
    size_t (*untaken)(void *self); /* octets written that still wait in it */
    /* No more comes: wait up to MS for the other side to end; may be NULL. */
    void (*end)(void *self, int ms);
};

struct alert_frame {
    struct alert_frame *next;
    size_t n;
    uint8_t octets[];
};

struct alert_carrier {
    const struct alert_channel_ops *ops;
    void *self;
    struct nr_alert_conf conf;
    const char *name; /* for messages; borrowed */
    int fd;           /* -1: the channel is down */
    bool broken;      /* since something was last taken */
    bool said;        /* that it is broken */
    bool said_full;   /* that messages are dropped */
    bool stalled;     /* waited in vain; no more waiting until it moves */
    int64_t said_us;  /* when */
    int64_t retry_us, wait_us;
    struct alert_frame *head, *tail;
    struct alert_frame *at; /* the next to be written; NULL: all were */
    size_t written;         /* octets of it */
    size_t flying;          /* octets written from head on */
    size_t octets;          /* of the queue */
    uint64_t waiting, dropped, dropped_said, restarts;
    bool was_up;
};

void alert_carrier_init(struct alert_carrier *c,
    const struct alert_channel_ops *ops, void *self, const char *name,
    const struct nr_alert_conf *conf);
void alert_carrier_fini(struct alert_carrier *c);

enum nr_err alert_carrier_put(struct alert_carrier *c, struct nr_bytes message,
    struct nr_diag *d) NR_MUST_USE;
/* Move what moves without waiting. */
void alert_carrier_pump(struct alert_carrier *c);
/* Move until the queue is empty, or nothing moves for NR_ALERT_LINGER_MS;
 * what is left is dropped. */
void alert_carrier_finish(struct alert_carrier *c);
void alert_carrier_count(const struct alert_carrier *c,
    struct nr_alert_counts *out);

#endif
