/*
 * Alerts: what happens with a hit.
 *
 * A hit goes to every output: rows (TSV, JSON lines) or STIX sightings on a
 * descriptor or at the end of a file, syslog messages, JSON lines on the
 * standard input of a command. Between the hits and the outputs stand two
 * filters (disposition, validity) and a limit of rows per indicator: hits past
 * it are held back and told as one roll-up row.
 *
 * Outputs that may break (syslog, command) have a bounded queue each and come
 * back by themselves; what they could not take is counted and said, never
 * passed over in silence.
 *
 * Errors of all functions that take a struct nr_diag: NR_ENOMEM; NR_ESYS with
 * the output's name (of a full disk, a closed pipe: see nr_alert_is_gone).
 * After an error only save, counts and destroy may be called.
 *
 * Thread-safety: a struct nr_alert belongs to one thread at a time.
 */
#ifndef NR_ALERT_H
#define NR_ALERT_H

#include "base/attr.h"
#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"
#include "watch/watch.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NR_ALERT_OUTPUTS_MAX ((size_t)8)
#define NR_ALERT_ROW_MAX     ((size_t)1 << 20) /* octets of one row */
/* Indicators whose rows are counted at once, and octets of what is held back
 * of them; past either the oldest interval ends early (its roll-up is told). */
#define NR_ALERT_TRACKED_MAX ((size_t)65536)
#define NR_ALERT_HELD_MAX    ((size_t)64 << 20)
/* Sightings of one bundle; a full one is written at once. */
#define NR_ALERT_BUNDLE_MAX ((size_t)4096)
/* Octets that wait for syslog or a command; newer ones are dropped, counted. */
#define NR_ALERT_QUEUE_MAX ((size_t)16 << 20)
/* How long an output that is there but takes nothing holds everything up
 * before messages are dropped, and how long the end waits for one. */
#define NR_ALERT_STALL_MS  5000
#define NR_ALERT_LINGER_MS 5000
/* Back-off of a broken output: doubled from the first to the second. */
#define NR_ALERT_RETRY_US     INT64_C(250000)
#define NR_ALERT_RETRY_MAX_US INT64_C(30000000)
/* It is said as often that an output broke and came back; the counters and
 * what was dropped at last tell the rest. */
#define NR_ALERT_SAY_US INT64_C(60000000)
/* A syslog message: its values are cut to 1024 octets each to fit. */
#define NR_ALERT_SYSLOG_MAX ((size_t)8192)
/* Interval of bundles while following, where no limit names another. */
#define NR_ALERT_BUNDLE_US INT64_C(60000000)

enum nr_alert_form { NR_ALERT_TSV, NR_ALERT_JSON, NR_ALERT_STIX };

/* Bits of nr_alert_conf.actions: which dispositions are let through. */
#define NR_ALERT_ACTION(a) (1u << (unsigned)(a))
#define NR_ALERT_ALL       (~0u)

struct nr_alert_conf {
    struct nr_env env;    /* clock of arrival, random octets */
    bool iso;             /* times as RFC 3339 in UTC, not epoch seconds */
    bool follow;          /* bundles each interval, not only at the end */
    unsigned actions;     /* NR_ALERT_ACTION() bits */
    bool valid_only;      /* drop hits outside their indicator's validity */
    uint64_t rate;        /* rows of an indicator each interval; 0: all */
    int64_t interval_us;  /* > 0 where RATE is; else bundles only, 0: default */
    const char *host;     /* HOSTNAME of syslog; borrowed; NULL: not known */
    uint32_t pid;         /* PROCID of syslog */
    char *const *environ; /* of commands; borrowed */
    /* A line for the operator: an output broke, came back, lost messages.
     * May be NULL. */
    void (*say)(void *ctx, const char *text);
    void *ctx;
};

struct nr_alert;

enum nr_err nr_alert_create(const struct nr_alert_conf *conf,
    struct nr_alert **out, struct nr_diag *d) NR_MUST_USE;
/* Closes all outputs without waiting; what was not finished is lost. NULL is
 * allowed. */
void nr_alert_destroy(struct nr_alert *a);

/* --- outputs; NR_ELIMIT past NR_ALERT_OUTPUTS_MAX --- */

/* Rows of FORM to the descriptor FD, which stays the caller's. NAME is for
 * messages ("standard output"), static. */
enum nr_err nr_alert_add_fd(struct nr_alert *a, enum nr_alert_form form, int fd,
    const char *name, struct nr_diag *d) NR_MUST_USE;

/* Rows of FORM to the end of PATH, made (mode 0600) if missing; an unfinished
 * last line is ended first. NR_EBUSY: another process writes it. */
enum nr_err nr_alert_add_file(struct nr_alert *a, enum nr_alert_form form,
    const char *path, struct nr_diag *d) NR_MUST_USE;

/*
 * RFC 5424 messages to ADDRESS: "udp://192.0.2.1:514" (RFC 5426),
 * "tcp://[::1]:601" (RFC 6587, octet counting), "unix:/dev/log" (datagrams) or
 * "unix-stream:PATH" (octet counting). Addresses are numeric, or "localhost";
 * nothing is resolved. A collector that is not there yet is no error.
 * NR_EFORMAT: no such address.
 */
enum nr_err nr_alert_add_syslog(struct nr_alert *a, const char *address,
    struct nr_diag *d) NR_MUST_USE;

/*
 * JSON lines to the standard input of one child, `/bin/sh -c COMMAND`. COMMAND
 * is the operator's text alone: nothing of a log line ever becomes a word of
 * it. Its standard output goes where standard error goes. A child that ends is
 * started again; lines that it had not read are given to the next one.
 */
enum nr_err nr_alert_add_command(struct nr_alert *a, const char *command,
    struct nr_diag *d) NR_MUST_USE;

/* --- work --- */

/* H and what it points to is borrowed for the call. */
enum nr_err nr_alert_hit(struct nr_alert *a, const struct nr_hit *h,
    struct nr_diag *d) NR_MUST_USE;

/* To be called when input pauses, and about once a second in any case: ends
 * intervals, writes out buffers, looks after broken outputs. Never waits for
 * an output but a descriptor or file. */
enum nr_err nr_alert_tick(struct nr_alert *a, struct nr_diag *d) NR_MUST_USE;

/* The end: what is held back is told, bundles are closed, queues get
 * NR_ALERT_LINGER_MS to empty; what stays is counted as dropped. */
enum nr_err nr_alert_finish(struct nr_alert *a, struct nr_diag *d) NR_MUST_USE;

/*
 * Resuming without repeat or gap. Save: all that was written is on the disk
 * (fsync), and STATE gets what a new process needs to go on from here: the
 * length of the file and what is held back. NR_EBUSY (no failure, D is left
 * alone): something is still on its way, keep the position saved before; with
 * STIX that lasts until the interval's bundle is written.
 *
 * Load, after the outputs were added and before the first hit: cuts the file
 * back to the saved length (if it is still the same file) and takes back what
 * was held. Then the hits after the saved position may come again. STATE comes
 * from a file that was checked; NR_EFORMAT: it is none of ours.
 */
enum nr_err nr_alert_save(struct nr_alert *a, struct nr_buf *state,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_alert_load(struct nr_alert *a, struct nr_bytes state,
    struct nr_diag *d) NR_MUST_USE;

/* Was the error that a function gave only that the reader of a pipe went away
 * (head, a pager)? There is nobody left to tell, and no need to. */
bool nr_alert_is_gone(const struct nr_alert *a);

struct nr_alert_counts {
    uint64_t hits;     /* given to nr_alert_hit() */
    uint64_t passed;   /* through the filters */
    uint64_t denied;   /* of the passed ones */
    uint64_t rows;     /* told, without roll-ups */
    uint64_t held;     /* told by roll-ups, or still held */
    uint64_t rollups;  /* roll-up rows told */
    uint64_t waiting;  /* messages in queues now */
    uint64_t dropped;  /* messages that no queue could hold or deliver */
    uint64_t restarts; /* of broken outputs */
};

void nr_alert_count(const struct nr_alert *a, struct nr_alert_counts *out);

/* Does the indicator hold at the time of the line? */
enum nr_validity { NR_VALID_UNKNOWN, NR_VALID_YES, NR_VALID_NO };

/* UNKNOWN: the line has no time and the indicator has bounds. As STIX says,
 * valid_until is the first moment that is not valid; an absent bound is open. */
enum nr_validity nr_indicator_valid_at(const struct nr_indicator *i,
    int64_t time_us);

/* "10/1m": rows and microseconds; units s, m, h, d ("10/s" is "10/1s").
 * NR_EFORMAT. */
enum nr_err nr_alert_rate_parse(struct nr_str text, uint64_t *rate,
    int64_t *interval_us, struct nr_diag *d) NR_MUST_USE;

/* "allowed,unknown", "denied", "all": NR_ALERT_ACTION() bits. NR_EFORMAT. */
enum nr_err nr_alert_actions_parse(struct nr_str text, unsigned *out,
    struct nr_diag *d) NR_MUST_USE;

/* --- figures --- */

struct nr_figure {
    const char *name; /* static, [a-z_]+ */
    uint64_t value;
};

/* Append "name=value name=value" or {"name":value,...}, with a line feed. */
void nr_figures_print(const struct nr_figure *v, size_t n, bool json,
    struct nr_buf *out);

/* A progress bar in one line of a terminal. */
struct nr_progress {
    int64_t start_us, last_us; /* of the first and last drawing; 0: none */
    bool drawn;                /* something stands there to be cleared */
};

#define NR_PROGRESS_EVERY_US INT64_C(100000)

struct nr_progress_now {
    int64_t now_us;
    uint64_t done, total; /* octets read; of all input, 0: not known */
    uint64_t hits;
    unsigned columns; /* of the terminal; 0: not known, 80 */
};

/* Append the octets that draw the bar (never wider than columns - 1, so that
 * no terminal wraps); nothing when the last drawing is younger than
 * NR_PROGRESS_EVERY_US. */
void nr_progress_draw(struct nr_progress *p, const struct nr_progress_now *now,
    struct nr_buf *out);
/* Append the octets that clear it; nothing if nothing was drawn. */
void nr_progress_clear(struct nr_progress *p, struct nr_buf *out);

#endif
