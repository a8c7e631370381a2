/*
 * What the parsers of this room share. Private.
 *
 * A parser gets the line and a record that is empty but for `source` and
 * `kinds` of its row; it returns false, whatever it has put into the record,
 * when the line is not of its format.
 */
#ifndef NR_LOGLINE_PARSE_H
#define NR_LOGLINE_PARSE_H

#include "logline/logline.h"

#define NR_ROLE_KEY_MAX  40u /* a key longer than this has no role */
#define NR_ROLE_ROWS_MAX 128u
#define NR_ZEEK_FIELDS   64u /* columns looked at */
#define NR_STREAM_MAX    ((size_t)32)

/* Days of lines without year: see nr_logfile_new. */
struct nr_years {
    bool given;  /* the name has a year */
    bool month;  /* and a month: lines are near that day */
    bool used;   /* a line without year was met */
    bool deep;   /* learnt: such days stand inside of lines, and step as well */
    bool headed; /* the line at hand begins with such a day */
    uint64_t heads, inside; /* such days met at the head of a line, and in one
                               that has none there */
    bool known;             /* year/month/day below are the last line's */
    int64_t name_year, name_days;
    int64_t year;
    unsigned mon, day;
    int64_t wraps; /* new years counted by prescan */
    unsigned pre_mon, pre_day;
};

struct nr_logfile {
    int64_t zone_s, last_s;
    enum nr_source hint;        /* from the name; NR_SOURCE_TEXT: none */
    char stream[NR_STREAM_MAX]; /* name up to its first '.', for Zeek */
    enum nr_source source;
    const struct nr_format *format; /* learnt: tried before the others */
    uint32_t kinds;                 /* of `source` */
    struct nr_years years;
    int64_t carry_us; /* time of the last dated line */
    enum nr_source carry_source;
    uint32_t carry_kinds;
    /* the day last converted */
    int64_t day_key, day_s;

    /* Zeek's columns, from its head */
    struct {
        uint8_t sep;
        size_t n;
        uint8_t row[NR_ZEEK_FIELDS]; /* of the table of keys, +1; 0: none */
        char path[NR_STREAM_MAX];
    } zeek;

    /* rows of the table of keys, ordered by length of the key */
    uint8_t key_order[NR_ROLE_ROWS_MAX];
    uint8_t key_at[NR_ROLE_KEY_MAX + 2];
};

struct nr_format {
    enum nr_source source;
    uint32_t kinds;
    bool (*looks)(const struct nr_logfile *f, struct nr_bytes line);
    bool (*parse)(struct nr_logfile *f, struct nr_bytes line,
        struct nr_record *r);
};

/* Place of a format in the table, and back (NULL: there is none). */
unsigned nr_format_index(const struct nr_format *fmt);
const struct nr_format *nr_format_at(unsigned i);

/*
 * LINE by itself, into *R: of its format, or dated only. False: neither, it
 * belongs to the line before. Depends on what was learnt of the file, Zeek's
 * columns and the years as they stand; changes columns only, and those only
 * where LINE begins with '#'.
 */
bool nr_logline_read(struct nr_logfile *f, struct nr_bytes line,
    struct nr_record *r);

/* ---- views ---- */

static inline struct nr_bytes
nr_skip(struct nr_bytes b, size_t n)
{
    return n < b.n ? (struct nr_bytes){ b.p + n, b.n - n }
                   : (struct nr_bytes){ b.p + b.n, 0 };
}

/* The next word, spaces before it skipped; *REST follows the space behind. */
static inline struct nr_bytes
nr_word(struct nr_bytes *rest)
{
    const uint8_t *sp;
    struct nr_bytes w;

    while (rest->n && *rest->p == ' ')
        *rest = nr_skip(*rest, 1);
    sp = rest->n ? memchr(rest->p, ' ', rest->n) : NULL;
    w = (struct nr_bytes){ rest->p, sp ? (size_t)(sp - rest->p) : rest->n };
    *rest = nr_skip(*rest, w.n + 1);
    return w;
}

/* From *REST up to octet C, which is taken too; all of it if C is missing. */
static inline struct nr_bytes
nr_until(struct nr_bytes *rest, uint8_t c)
{
    const uint8_t *at = rest->n ? memchr(rest->p, c, rest->n) : NULL;
    struct nr_bytes w = { rest->p, at ? (size_t)(at - rest->p) : rest->n };

    *rest = nr_skip(*rest, w.n + 1);
    return w;
}

/* Put *REST behind the first NEEDLE in it; false, unchanged, without one. */
static inline bool
nr_after(struct nr_bytes *rest, struct nr_bytes needle)
{
    const uint8_t *at = rest->n ? memmem(rest->p, rest->n, needle.p, needle.n)
                                : NULL;

    if (!at)
        return false;
    *rest = nr_skip(*rest, (size_t)(at - rest->p) + needle.n);
    return true;
}

static inline bool
nr_has(struct nr_bytes b, struct nr_bytes needle)
{
    return nr_after(&b, needle);
}

/* "-", "N/A" and "(empty)" say nothing. */
static inline struct nr_bytes
nr_said(struct nr_bytes b)
{
    if ((b.n == 1 && b.p[0] == '-') || nr_bytes_eq(b, NR_BYTES("N/A")) ||
        nr_bytes_eq(b, NR_BYTES("(empty)")))
        b.n = 0;
    return b;
}

/* "1.2.3.4:80", "[::1]:80", "<a@b>": what is inside. */
struct nr_bytes nr_no_port(struct nr_bytes b);

/* Decimal digits at the head of B as a count; NR_BYTES_NONE without any. */
int64_t nr_count(struct nr_bytes b);

/* "blocked", "DROP-IN", "accept", ...: anywhere in B, in any case. */
enum nr_action nr_action_of(struct nr_bytes b);

/* ---- times: octets taken, 0 when B does not begin with one ---- */

/* "2016-01-02T03:04:05.678+09:00", '/' for '-', ' ' for 'T', no zone: F's. */
size_t nr_time_iso(struct nr_logfile *f, struct nr_bytes b, int64_t *us);
/* The same, zoneless being UTC. *ZONED: a zone was given. */
size_t nr_time_iso_zone(struct nr_logfile *f, struct nr_bytes b, int64_t east_s,
    int64_t *us, bool *zoned);
/* Seconds with fraction; 13, 16, 19 digits: ms, us, ns. */
size_t nr_time_epoch(struct nr_bytes b, int64_t *us);
/* "Jan  2 03:04:05[.678]", "Jan 2 2016 03:04:05": RFC 3164 section 4.1.2 */
size_t nr_time_bsd(struct nr_logfile *f, struct nr_bytes b, int64_t *us);
/* "02/Jan/2016:03:04:05 +0900" */
size_t nr_time_clf(struct nr_logfile *f, struct nr_bytes b, int64_t *us);
/* "02-Jan-2016 03:04:05.678" */
size_t nr_time_bind(struct nr_logfile *f, struct nr_bytes b, int64_t *us);
/* "Sat Jan  2 03:04:05[.678] 2016" */
size_t nr_time_ctime(struct nr_logfile *f, struct nr_bytes b, int64_t *us);
/* "01/02/2016-03:04:05.678": month first */
size_t nr_time_fast(struct nr_logfile *f, struct nr_bytes b, int64_t *us);
/* Any of these anywhere in the first octets of a line. */
bool nr_time_find(struct nr_logfile *f, struct nr_bytes line, int64_t *us);
/* Month and day of a line that begins as RFC 3164 has it. */
bool nr_time_bsd_day(struct nr_bytes line, unsigned *mon, unsigned *day);

/* The same where the line has a time of day and no year, behind a PRI or not:
 * what steps the years, and nothing else does (but see nr_years.deep). */
bool nr_time_head_day(struct nr_bytes line, unsigned *mon, unsigned *day);
/* Octets of "<191>" at the head of LINE; 0: it has no PRI. */
size_t nr_pri_length(struct nr_bytes line);

/* What NAME says of date, source and stream. */
void nr_name_read(struct nr_logfile *f, const char *name);
/* LINE is the next one: to be called before it is parsed. */
void nr_years_line(struct nr_logfile *f, struct nr_bytes line);
/* Year of a stamp of month M, day D in that line; false: nothing says it. */
bool nr_year_of(struct nr_logfile *f, unsigned m, unsigned d, int64_t *year);
void nr_years_prescan(struct nr_years *y, unsigned mon, unsigned day);

/* ---- roles of keys (JSON members, Zeek columns, XML data, key=value) ---- */

struct nr_roles {
    struct nr_record *r;
    uint32_t marks;     /* which formats' keys were seen */
    unsigned time_rank; /* of the time taken so far; 0: none */
    struct nr_bytes event, stream, channel, event_id;
};

/* Row of KEY under PARENT ("" at the top); -1: no role. */
int nr_role_row(const struct nr_logfile *f, struct nr_bytes parent,
    struct nr_bytes key);
void nr_role_put(struct nr_logfile *f, struct nr_roles *s, int row,
    struct nr_bytes value);
void nr_role_index(struct nr_logfile *f);
/* Source and kinds of a Zeek stream. */
void nr_zeek_kinds(struct nr_bytes stream, struct nr_record *r);
/* Kinds and action of a Windows event. */
void nr_winevt_kinds(struct nr_bytes event_id, struct nr_record *r);

/* ---- parsers ---- */

typedef bool nr_parse_fn(struct nr_logfile *f, struct nr_bytes line,
    struct nr_record *r);
nr_parse_fn nr_parse_zeek, nr_parse_json, nr_parse_squid, nr_parse_access,
    nr_parse_alb, nr_parse_fast, nr_parse_named, nr_parse_web_error,
    nr_parse_fortinet, nr_parse_syslog, nr_parse_cef, nr_parse_leef,
    nr_parse_xml;

/* The message part of a line, its head and time being read already. */
nr_parse_fn nr_message_named, nr_message_firewall, nr_message_cef,
    nr_message_leef, nr_message_kv;

#endif
