/*
 * Messages in a stream of octets (RFC 6587 section 3.4; RFC 5425 section 4.3),
 * and messages as lines. Private to the room.
 */
#ifndef NR_RECEIVER_FRAMING_H
#define NR_RECEIVER_FRAMING_H

#include "base/buf.h"
#include "receiver/receiver.h"

#define NR_COUNT_DIGITS 7u /* of a count; NR_RECEIVER_COUNT_MAX has as many */
/* Octets of the line that N octets of a message can become. */
#define NR_MESSAGE_LINE(n) (4 * (n) + 1)

struct nr_framing {
    struct nr_buf msg; /* what has come of the message, up to the limit */
    size_t max;        /* octets of a message */
    size_t left;       /* of a counted message: to come */
    uint8_t head[NR_COUNT_DIGITS + 1]; /* may be a count yet */
    uint8_t n_head;
    uint8_t state;
    bool counted; /* the message before was: a number is a count again */
    bool given;   /* msg was handed out */
    bool cut;
};

struct nr_message {
    struct nr_bytes text; /* borrowed until the next call; not empty */
    bool cut;             /* longer than the limit */
    bool half;            /* the stream ended within it */
};

/* MAX: octets of a message, > 0. */
void nr_framing_init(struct nr_framing *f, size_t max);
void nr_framing_fini(struct nr_framing *f);

/*
 * Take octets off *IN until a message is whole. False: all is taken, none is.
 * A count is "N SP" before a '<', or before anything once a message of this
 * stream was counted; N without leading zeros, up to NR_RECEIVER_COUNT_MAX.
 * Whatever is none ends at LF or NUL. Empty messages are passed over.
 */
bool nr_framing_next(struct nr_framing *f, struct nr_bytes *in,
    struct nr_message *out) NR_MUST_USE;

/* The stream has ended: the message that was begun, if any. */
bool nr_framing_end(struct nr_framing *f, struct nr_message *out) NR_MUST_USE;

/* Some octets of a message are held. */
bool nr_framing_begun(const struct nr_framing *f);

/* Append MSG to B as one line with its LF; see receiver.h. False: nothing but
 * line ends in it, nothing appended. */
bool nr_message_put(struct nr_buf *b, struct nr_bytes msg);

#endif
