/*
 * Receiver: log lines that arrive instead of lying in files: syslog over UDP,
 * TCP, TLS and UNIX sockets, and the systemd journal.
 *
 * All of it happens in a process of its own, which has given up files,
 * programs and connections of its own making (NR_SANDBOX_RECEIVER) before the
 * first foreign octet, and hands whole lines over by a pipe. The process that
 * started it holds no socket.
 *
 * Every message is one line, as it was received, its PRI with it: octets that
 * would end or hide a line (controls but TAB) are shown as "<0A>", which ends
 * every token as the octet itself would; a line end at the end of a message is
 * framing and goes. What is taken:
 *   - UDP (RFC 5426) and UNIX datagrams: one message each;
 *   - TCP (RFC 6587), TLS 1.2 and 1.3 (RFC 5425), UNIX streams: octet counting
 *     ("123 <34>1 ...") or a trailer, LF or NUL, told apart for each message;
 *   - journalctl(1) -o json: "RFC3339-time host ident[pid]: MESSAGE".
 * Syslog heads (RFC 5424, RFC 3164, none) are left to the readers of lines.
 *
 * Streams are slowed down when the reader is slow; nothing of them is lost.
 * Datagrams then wait in the kernel's buffer, and those that find it full are
 * counted (dropped). Lines that are in the pipe when the reader dies are lost,
 * unless they are the journal's, which is read again from a cursor.
 *
 * Thread-safety: one thread at a time for each receiver; start it before there
 * are threads, and before secrets or lists are in memory: it is a fork.
 */
#ifndef NR_RECEIVER_H
#define NR_RECEIVER_H

#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Limits; those of the first group can be made smaller for one receiver. */
#define NR_RECEIVER_MESSAGE     ((size_t)65536) /* octets; the rest is cut */
#define NR_RECEIVER_CONNECTIONS 1024u /* at a time, all streams together */
#define NR_RECEIVER_PER_HOST    256u  /* of these, from one address */
/* A connection that did nothing for so long makes room for a new one when all
 * are in use; else it may stay, for senders of syslog often are silent. */
#define NR_RECEIVER_IDLE_MS      INT64_C(600000)
#define NR_RECEIVER_HALF_MS      INT64_C(60000) /* for one message to arrive */
#define NR_RECEIVER_HANDSHAKE_MS INT64_C(10000) /* of TLS */

#define NR_RECEIVER_LISTEN_MAX ((size_t)64)
#define NR_RECEIVER_ORIGINS    4096u /* further addresses share "...:other" */
#define NR_RECEIVER_RCVBUF     (8 << 20) /* octets asked for datagrams */
#define NR_RECEIVER_COUNT_MAX \
    ((size_t)1 << 20)                            /* an octet count; a larger
                                        number is the text of a line */
#define NR_RECEIVER_ENTRY_MAX  ((size_t)1 << 22) /* JSON of a journal entry */
#define NR_RECEIVER_CURSOR_MAX ((size_t)512) /* of a journal cursor, with NUL */
#define NR_RECEIVER_NAME_MAX   ((size_t)160) /* of an origin, with NUL */
#define NR_RECEIVER_DRAIN_MS \
    INT64_C(2000) /* to take in what came before
                                        the end was asked for */

struct nr_receiver_limits { /* 0: the one above */
    size_t message;
    unsigned connections, per_host;
    int64_t idle_ms, half_ms, handshake_ms;
};

struct nr_receiver_conf {
    /* "udp://HOST:PORT", "tcp://HOST:PORT", "tls://HOST:PORT" (HOST: an IPv4
     * address, "[IPv6]", or nothing for all; port 0: any free one),
     * "unix:///PATH" (datagrams, as /dev/log), "unix-stream:///PATH". */
    const char *const *listen;
    size_t n_listen;
    const char *tls_cert, *tls_key; /* PEM files; needed for tls:// */
    const char *tls_ca; /* PEM: clients must show a certificate of it */
    bool journal;
    const char *journal_dir; /* NULL: the system's own journal */
    bool journal_follow;     /* false: what there is now */
    const char
        *journal_cursor;   /* begin behind this entry; NULL: at the first */
    bool without_landlock; /* as in struct nr_sandbox */
    struct nr_receiver_limits limits;
    /* Something to be told to the operator, one line; called by
     * nr_receiver_start and nr_receiver_next. May be NULL. */
    void (*note)(void *ctx, const char *text);
    void *ctx;
};

/* Counters since the start; of one second ago at most. */
struct nr_receiver_stats {
    uint64_t messages, octets; /* given out, octets as received */
    uint64_t cut;              /* messages longer than the limit */
    uint64_t half;             /* messages that a connection's end cut off */
    uint64_t slow;        /* connections ended: message or handshake too slow */
    uint64_t connections; /* accepted */
    uint64_t open;        /* now */
    uint64_t refused;     /* too many, or too many of one address */
    uint64_t evicted;     /* idle ones that made room */
    uint64_t tls_failed;  /* handshakes and broken TLS records */
    uint64_t dropped;     /* datagrams that the kernel had no room for */
    uint64_t unreadable;  /* journal entries that were too long or no JSON */
};

/* "messages 12, octets 3456, ..."; counters that are 0 are left out but for
 * messages. BUF always ends in NUL. */
void nr_receiver_stats_print(const struct nr_receiver_stats *s, char *buf,
    size_t n);

struct nr_receiver; /* owned by the caller of start; nr_receiver_close */

/*
 * Start the process and wait until it listens and is confined. All listeners
 * or none. NR_EFORMAT: an address or a PEM file cannot be understood;
 * NR_ENOTFOUND: a file, program or Landlock is missing; NR_EEXIST: another
 * process listens on the UNIX path; NR_ELIMIT; NR_ENOMEM; NR_ESYS (address in
 * use, no right to the port). The address or file is in D.
 *
 * UNIX sockets are made with mode 0666: the directory says who may write. A
 * socket that nobody listens on any more is replaced.
 */
enum nr_err nr_receiver_start(const struct nr_receiver_conf *conf,
    struct nr_receiver **out, struct nr_diag *d) NR_MUST_USE;

/* To poll(2) for reading: then nr_receiver_next() has something to do. */
int nr_receiver_fd(const struct nr_receiver *r);
pid_t nr_receiver_pid(const struct nr_receiver *r);
/* The address of listener I with the port that it has; borrowed. */
const char *nr_receiver_address(const struct nr_receiver *r, size_t i);

/* Whole lines, each ended by LF, all of one origin, in the order they came. */
struct nr_receiver_block {
    struct nr_bytes text; /* borrowed until the next call; empty: none now */
    uint32_t origin;      /* numbered from 0, NR_RECEIVER_ORIGINS + 8 at most */
    const char *name; /* of the origin: "syslog:udp:192.0.2.7", "journal"; lives
                         as long as the receiver */
    /* The journal only, else empty: hand it back as journal_cursor to go on
     * behind this block. Keep it when every hit of the block is delivered. */
    struct nr_str cursor;
    bool end; /* nothing will come any more; nothing failed */
};

/*
 * The next block; never waits. An empty text and no end: poll. Failures, after
 * all that came before them was given out: NR_ESYS, the process has died (its
 * signal is in D) or journalctl failed; NR_EFORMAT, it does not keep to the
 * format of the pipe. Every later call fails likewise.
 */
enum nr_err nr_receiver_next(struct nr_receiver *r,
    struct nr_receiver_block *out, struct nr_diag *d) NR_MUST_USE;

/* No more from outside: what was received until now is still to be read with
 * nr_receiver_next() until its end. Any number of calls. */
void nr_receiver_finish(struct nr_receiver *r);

struct nr_receiver_stats nr_receiver_stats(const struct nr_receiver *r);

/* End both processes, drop what was not read, unlink UNIX sockets. R may be
 * NULL. */
void nr_receiver_close(struct nr_receiver *r);

#endif
