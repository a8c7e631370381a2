/*
 * What is said within packets, as members of a line of JSON: DNS messages,
 * requests of HTTP/1, hellos of TLS. Private to the room. Octets of strangers
 * in, printable ASCII out.
 */
#ifndef NR_INPUT_TALK_H
#define NR_INPUT_TALK_H

#include "base/buf.h"

#include <stdbool.h>

static inline struct nr_bytes
nr_talk_skip(struct nr_bytes b, size_t n)
{
    return nr_bytes_sub(b, n < b.n ? n : b.n, b.n);
}

#define NR_DNS_ANSWERS_MAX 64 /* of one message that are printed */

/* `"event_type":"dns","dns":{...}` for the message in B (RFC 1035). False, and
 * nothing is put: it is none, or one without a question. */
bool nr_talk_dns(struct nr_bytes b, struct nr_buf *out) NR_MUST_USE;

enum nr_talk {
    NR_TALK_NONE, /* neither */
    NR_TALK_HTTP, /* begins as a request does */
    NR_TALK_TLS,  /* begins as a record with a ClientHello does */
};
enum nr_talk nr_talk_begins(struct nr_bytes b);

/* Whether B, which begins as WHAT, holds the whole head or hello. */
bool nr_talk_is_whole(enum nr_talk what, struct nr_bytes b);

/* `"event_type":"http","http":{...}` or tls, from as much of the head as is
 * there. False, and nothing is put: not enough of it, or not what it seemed. */
bool nr_talk_http(struct nr_bytes b, struct nr_buf *out) NR_MUST_USE;
bool nr_talk_tls(struct nr_bytes b, struct nr_buf *out) NR_MUST_USE;

#endif
