/*
 * Log lines: which program wrote a line, when, and who did what to whom.
 *
 * A format is a row of a table (source name, kinds of log, recogniser,
 * parser). A file is recognised by its first lines and, where they leave a
 * choice, by its name; a line that does not fit the file's format is tried
 * against the other rows, so mixed files work. Text that no row knows is
 * dated as well as its head allows; no line is ever refused.
 *
 * Thread-safety: a struct nr_logfile belongs to one thread at a time; the rest
 * is pure.
 */
#ifndef NR_LOGLINE_H
#define NR_LOGLINE_H

#include "base/attr.h"
#include "base/date.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Kinds of log (doc/architecture.md, "log kinds"): a mask; a line has one, a
 * Windows event on a domain controller's subject two. */
#define NR_LOG_PROXY 0x001u
#define NR_LOG_DNS   0x002u
#define NR_LOG_FW    0x004u
#define NR_LOG_FLOW  0x008u
#define NR_LOG_EDR   0x010u
#define NR_LOG_AD    0x020u
#define NR_LOG_MAIL  0x040u
#define NR_LOG_AUTH  0x080u
#define NR_LOG_WEB   0x100u
#define NR_LOG_AV    0x200u
#define NR_LOG_OTHER 0x400u
#define NR_LOG_KINDS 11u /* bits in use, from bit 0 */

/* "proxy", "dns", ... of bit BIT < NR_LOG_KINDS; static. */
const char *nr_log_kind_name(unsigned bit);

/* Append-only: archives keep these numbers and names. */
enum nr_source {
    NR_SOURCE_TEXT, /* unknown */
    NR_SOURCE_ACCESS,
    NR_SOURCE_WEB_ERROR,
    NR_SOURCE_SQUID,
    NR_SOURCE_NAMED,
    NR_SOURCE_DNSMASQ,
    NR_SOURCE_FIREWALL,
    NR_SOURCE_SSHD,
    NR_SOURCE_MAIL,
    NR_SOURCE_CONN, /* Zeek conn.log */
    NR_SOURCE_ZEEK, /* other logs of Zeek */
    NR_SOURCE_EVE,
    NR_SOURCE_FAST, /* Suricata fast.log */
    NR_SOURCE_WINEVT,
    NR_SOURCE_CEF,
    NR_SOURCE_LEEF,
    NR_SOURCE_SYSLOG,
    NR_SOURCE_JSON,
    NR_SOURCE_ALB, /* AWS application load balancer */
    NR_SOURCE_CADDY,
    NR_SOURCE_TRAEFIK,
    NR_SOURCE_FORTINET,
    NR_SOURCES, /* how many */
};

/* "squid", "named", ...; "text" for a number that is none. Static. */
const char *nr_source_name(enum nr_source s);
bool nr_source_from_name(struct nr_str name, enum nr_source *out) NR_MUST_USE;

enum nr_action {
    NR_ACTION_UNKNOWN, /* the line does not say; counts as not denied */
    NR_ACTION_ALLOWED,
    NR_ACTION_DENIED, /* refused, dropped or blocked by what wrote the line */
};

const char *nr_action_name(enum nr_action a); /* "unknown", ...; static */

#define NR_BYTES_NONE INT64_C(-1) /* the line gives no count */

/*
 * What a line says. Views point into the line as it stands (JSON escapes and
 * %xx are not undone); an empty view: not said. "Out" is away from the
 * organisation's host: what the client or source sent.
 */
struct nr_record {
    int64_t time_us; /* UTC, microseconds; NR_TIME_NONE: unknown */
    bool inherited;  /* the line has no time; it is that of the line before */
    enum nr_source source; /* of a line that has neither format nor time: that
                              of the line before; with a time: the file's */
    uint32_t kinds;        /* NR_LOG_* */
    enum nr_action action;
    struct nr_bytes src, dst;   /* addresses or host names of the two ends */
    struct nr_bytes host;       /* machine or service that wrote the line */
    struct nr_bytes user;       /* account, or sender of a mail */
    struct nr_bytes query, url; /* name asked for; what was requested */
    int64_t bytes_out, bytes_in;
};

struct nr_logfile; /* owned by the caller of new; nr_logfile_free */

/* What is known of a file beforehand. */
struct nr_logfile_options {
    const char *name;    /* path, for hints of source and date; may be NULL */
    int64_t zone_east_s; /* of times that name no zone: seconds east of UTC */
    int64_t last_s;      /* the file's mtime, or now for a stream: no line is
                             (a day) younger; NR_TIME_NONE: not known */
};

/*
 * NR_ENOMEM. The strings of O need not outlive the call.
 *
 * Years of lines that have none (RFC 3164): the date in the file's name if it
 * has one (named-2016-05.log, messages-20170101, maillog.2016: each line's
 * year is the one that puts it nearest to that date; a name with a year only
 * is where the file begins); else the order of lines and last_s: the first
 * line lies in the latest year that does not put it after last_s, and each
 * further one in the year that puts it no more than NR_LOGFILE_BACK_S before
 * the line above, so a file may run over the new year. It is the days at the
 * heads of lines that step so; one inside of a line steps only where the
 * file's first lines have them mostly there (nr_logfile_learn). A file of more than
 * one year without a date in its name needs nr_logfile_prescan.
 */
#define NR_LOGFILE_BACK_S (INT64_C(31) * 86400) /* disorder within a file */
enum nr_err nr_logfile_new(const struct nr_logfile_options *o,
    struct nr_logfile **out, struct nr_diag *d) NR_MUST_USE;
void nr_logfile_free(struct nr_logfile *f); /* NULL is fine */

/*
 * Recognise the file from HEAD, its first lines (one block from the start of
 * the file; NR_LOGFILE_SAMPLE lines are looked at). To be called before the
 * first parse, also when reading resumes later in a file (Zeek's columns stand
 * in the head). Nothing is counted or dated by it.
 */
#define NR_LOGFILE_SAMPLE 200u
void nr_logfile_learn(struct nr_logfile *f, struct nr_bytes head);

/*
 * True after learn when lines have no year and the name does not help: then a
 * caller that can read the file twice may first pass every block through
 * nr_logfile_prescan, which counts the new years in it.
 */
bool nr_logfile_wants_prescan(const struct nr_logfile *f);
void nr_logfile_prescan(struct nr_logfile *f, struct nr_bytes block);

/*
 * What the lines parsed so far mean for those after them, as
 * NR_LOGFILE_STATE octets, so that reading can go on later: new with the same
 * options, learn from the same head, then restore. False: these octets are no
 * such state, and F is as it was.
 */
#define NR_LOGFILE_STATE ((size_t)192)
void nr_logfile_save(const struct nr_logfile *f, uint8_t out[NR_LOGFILE_STATE]);
bool nr_logfile_restore(struct nr_logfile *f,
    const uint8_t in[NR_LOGFILE_STATE]) NR_MUST_USE;

/* Source of the file as recognised so far. */
enum nr_source nr_logfile_source(const struct nr_logfile *f);

/*
 * Parse LINE (without its end of line) into *OUT, which is always filled.
 * Lines are to be given in their order, continuation pieces of a long line
 * too (they inherit). Allocates nothing, costs O(n) of the line.
 */
void nr_logline_parse(struct nr_logfile *f, struct nr_bytes line,
    struct nr_record *out);

/*
 * The two ends that a line tells of. Views into the line; empty: not said.
 * `from` began (a client, a source of packets), `to` is the other end as the
 * line addresses it, `asked` the name it was asked for by (of a URL its
 * authority without user and port). `machine` is where it happened, only of
 * logs that a machine keeps of itself: sshd, mail, Windows, syslog of programs
 * nothing else is known of, and the server a web server's line names.
 */
struct nr_ends {
    struct nr_bytes from, to, asked, url, machine;
    bool own;          /* the log of a machine about itself */
    int64_t sent, got; /* octets from -> to and back; NR_BYTES_NONE */
};

/*
 * The ends of LINE by itself, as an archive hands it out, which says of it
 * SOURCE. F: made by nr_logfile_new() with any last_s, nothing learnt; its
 * state is not changed. Rows of Zeek come without their columns then: conn is
 * read where its first twelve columns are Zeek's own, of others only the two
 * addresses. Octets are those of a whole exchange or of the line's packet, as
 * the log has it; events of Suricata other than flows repeat theirs: none.
 */
void nr_logline_ends(struct nr_logfile *f, enum nr_source source,
    struct nr_bytes line, struct nr_ends *out);

/*
 * Where the lines of a text begin, and which of them are turns: those that may
 * say what lines after them mean (a new day without year, Zeek's columns).
 * Depends on the text alone, so it can be made beforehand, by another thread.
 */
struct nr_logtext {
    uint32_t *line; /* owned; offsets */
    size_t n, cap;
    uint32_t *turn; /* owned; indices of lines */
    size_t n_turns, cap_turns;
};

void nr_logtext_init(struct nr_logtext *t);
void nr_logtext_fini(struct nr_logtext *t);
/* Of TEXT, less than 4 GiB; a line begins at 0 and behind each LF that is not
 * the end. CPU as nr_cpu_flags() has it. NR_ENOMEM. */
enum nr_err nr_logtext_survey(struct nr_logtext *t, struct nr_bytes text,
    unsigned cpu) NR_MUST_USE;
/* The line that octet AT of the text belongs to; 0 when there are no lines. */
size_t nr_logtext_find(const struct nr_logtext *t, uint32_t at);
/* Line I < n of TEXT, which T is of, without its LF or CR LF. */
struct nr_bytes nr_logtext_line(const struct nr_logtext *t,
    struct nr_bytes text, size_t i);

/*
 * Pass over the lines [FROM, TO) of TEXT, which T is of and of which nothing is
 * wanted: lines parsed after them come out as if each had been parsed. Reads
 * the turns and, from behind, as many lines as it takes to find one with a
 * time; all of them only where the file's head has days without year inside of
 * its lines.
 */
void nr_logfile_skip(struct nr_logfile *f, const struct nr_logtext *t,
    struct nr_bytes text, size_t from, size_t to);

#endif
