/*
 * Detail of answers: which hosts of the organisation were involved, and how
 * much went out to each indicator, from the lines that a hunt hands out.
 *
 * Only what the lines say is told. The host of a line is the end that is not
 * the indicator: who asked (client), or who was spoken to when the indicator
 * itself began (server); of a machine's own log the machine. Octets out go
 * from that end to the indicator, in a line that says the indicator is the
 * other end and that was not denied: what a client sent, or, where the
 * indicator was the client, what it got (but not of a proxy's own fetching).
 *
 * One thread at a time.
 */
#ifndef NR_DETAIL_H
#define NR_DETAIL_H

#include "archive/archive.h"

/* Hosts of one indicator that are listed; more are counted. */
#define NR_DETAIL_HOSTS_MAX ((size_t)100)
/* Pairs of indicator and host, and of indicator, day and source, that are
 * gathered. */
#define NR_DETAIL_ROWS_MAX ((size_t)4 * 1000 * 1000)
/* Octets of a host's name or account of it; longer ones are none. */
#define NR_DETAIL_NAME_MAX ((size_t)255)

enum nr_host_role {
    NR_HOST_CLIENT,  /* it began */
    NR_HOST_SERVER,  /* the indicator began */
    NR_HOST_MACHINE, /* whose own log it is */
};

const char *nr_host_role_name(enum nr_host_role r); /* "client", ...; static */

struct nr_host {
    size_t indicator;
    struct nr_bytes host; /* address or name, lower case; owned by the detail */
    enum nr_host_role role;
    uint64_t lines, denied;
    int64_t first_s, last_s; /* NR_TIME_NONE: no line has a time */
};

/* Octets that one kind of log says of one day (UTC). Several logs may tell of
 * the same exchange: they are not to be added up. */
struct nr_out {
    size_t indicator;
    int64_t day;     /* NR_TIME_NONE: lines without time */
    unsigned source; /* enum nr_source */
    uint64_t octets, lines;
};

struct nr_detail_of {
    const struct nr_host *hosts; /* most lines first; owned by the detail */
    size_t n_hosts, more;        /* listed; left out */
    const struct nr_out *out;    /* by day and source; owned by the detail */
    size_t n_out;
    uint64_t octets; /* at least so many went out: of each day the source that
                        says most. 0 and n_out 0: no line says */
};

struct nr_detail; /* owned by the caller of new; nr_detail_free */

/* Of INDICATORS[0..n), which are to outlive it. NR_ENOMEM. */
enum nr_err nr_detail_new(const struct nr_indicator *const *indicators,
    size_t n, struct nr_detail **out, struct nr_diag *d) NR_MUST_USE;
void nr_detail_free(struct nr_detail *t); /* NULL is fine */

/* Take one line; CTX is the struct nr_detail: for nr_hunt_options.line, in any
 * order, each line once an indicator. NR_ENOMEM; NR_ELIMIT. */
enum nr_err nr_detail_line(void *ctx,
    const struct nr_archive_line *l) NR_MUST_USE;

/* After the last line, once; then nr_detail_get() of each indicator. NR_ENOMEM.
 */
enum nr_err nr_detail_end(struct nr_detail *t, struct nr_diag *d) NR_MUST_USE;
struct nr_detail_of nr_detail_get(const struct nr_detail *t, size_t i);

#endif
