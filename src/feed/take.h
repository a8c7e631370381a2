/* What the parsers of the room share: taking one value, noting another. */
#ifndef NR_FEED_TAKE_H
#define NR_FEED_TAKE_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/date.h"
#include "feed/feed.h"
#include "json/json.h"

/* Why a value did not become an indicator, where its kind says so. */
extern const char nr_feed_no_match[];

struct nr_feed {
    struct nr_feed_conf conf;
    struct nr_watchlist_builder *builder;
    struct nr_feed_stats stats;
    struct nr_arena a;          /* texts of notes */
    struct nr_feed_note *notes; /* owned */
    size_t n_notes, cap_notes;
    struct nr_str file;      /* the source at hand */
    struct nr_str source;    /* whom it is said by, unless it says so itself */
    struct nr_buf key, text; /* scratch of nr_feed_take */
    struct nr_buf quote;     /* scratch of flags */
};

/* One value with all that was said of it. */
struct nr_feed_value {
    struct nr_str type; /* a name of types.c; empty: guess */
    struct nr_bytes text;
    struct nr_indicator about; /* times, markings, role, said; no key yet */
    uint64_t line, at;
};

struct nr_feed_value nr_feed_value_of(struct nr_bytes text, uint64_t line,
    uint64_t at);

/* Take V: it becomes an indicator (or two: "domain|ip"), or a note. Only
 * NR_ENOMEM and NR_ELIMIT are errors. */
enum nr_err nr_feed_take(struct nr_feed *f, const struct nr_feed_value *v,
    struct nr_diag *d) NR_MUST_USE;

/* Take a canonical key. */
enum nr_err nr_feed_take_key(struct nr_feed *f, enum nr_kind kind,
    struct nr_bytes key, const struct nr_feed_value *v,
    struct nr_diag *d) NR_MUST_USE;

/* "list: entry" of the warninglist that speaks of KEY, or ""; in F's scratch. */
struct nr_str nr_feed_judge(struct nr_feed *f, enum nr_kind kind,
    struct nr_bytes key);

/* Would V be taken by its shape? Changes nothing but F's scratch. */
bool nr_feed_is_value(struct nr_feed *f, struct nr_bytes text,
    enum nr_kind *kind) NR_MUST_USE;

enum nr_err nr_feed_note(struct nr_feed *f, enum nr_feed_note_kind kind,
    const char *why, const struct nr_feed_value *v) NR_MUST_USE;

/* What a name of a type means to us. */
enum nr_feed_sort {
    NR_FEED_SORT_UNKNOWN, /* a name that we do not know: guess the value */
    NR_FEED_SORT_VALUE,
    NR_FEED_SORT_NO_MATCH, /* an indicator, but nothing that logs show */
    NR_FEED_SORT_CONTEXT,  /* no indicator at all: text, link, comment */
};

struct nr_feed_type {
    const char *name;
    enum nr_feed_sort sort;
    const char *parts[2]; /* kinds of the parts around '|'; NULL: none */
};

/* Never NULL. Case, blanks, '_' and '-' do not count. */
const struct nr_feed_type *nr_feed_type(struct nr_str name);

/* NAME without case, blanks, '_', '-', '.' and '/', cut to N octets. */
struct nr_str nr_feed_fold(struct nr_bytes name, char *buf, size_t n);

/* "tlp:amber", "PAP:red": stricter of what stands in I and TAG. */
void nr_feed_mark(struct nr_indicator *i, struct nr_str tag);

/* A date in any of the forms that lists use; NR_TIME_NONE: none of them. */
int64_t nr_feed_date(struct nr_str in);

/* --- plain.c: the lines of a text, those of long lists by the short way --- */

struct nr_feed_line {
    struct nr_bytes text; /* without line feed */
    size_t at;            /* where it begins */
    bool plain;           /* KIND and KEY say all of it; no warninglist spoke */
    enum nr_kind kind;
    struct nr_bytes key; /* until the next line is asked for */
};

struct nr_feed_lines;

/* The lines of IN; LIST: values may stand alone on one. Both stay in place. A
 * long text is read ahead by a thread. NULL: out of memory. */
struct nr_feed_lines *nr_feed_lines_create(struct nr_feed *f,
    struct nr_bytes in, bool list) NR_MUST_USE;
void nr_feed_lines_destroy(struct nr_feed_lines *p); /* NULL is allowed */

/* The next one; NULL: there is none. */
const struct nr_feed_line *nr_feed_lines_next(struct nr_feed_lines *p);

/* Take a plain line. The builder is to be flushed in the end. NR_ENOMEM,
 * NR_ELIMIT. */
enum nr_err nr_feed_lines_take(struct nr_feed_lines *p,
    const struct nr_feed_line *l, struct nr_str reference,
    struct nr_diag *d) NR_MUST_USE;

/* Make room for the lines of IN. NR_ENOMEM, NR_ELIMIT. */
enum nr_err nr_feed_lines_reserve(struct nr_feed *f, struct nr_bytes in,
    struct nr_diag *d) NR_MUST_USE;

/* Parsers. IN is UTF-8 or nearly so. */
enum nr_err nr_feed_text(struct nr_feed *f, struct nr_bytes in,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_feed_csv(struct nr_feed *f, struct nr_bytes in,
    struct nr_diag *d) NR_MUST_USE;
enum nr_err nr_feed_json(struct nr_feed *f, struct nr_bytes in,
    enum nr_feed_format format, struct nr_diag *d) NR_MUST_USE;

/* One record of a separated text (RFC 4180). */
struct nr_csv {
    struct nr_bytes in;
    size_t at; /* next octet */
    uint64_t line;
    char delimiter;
    struct nr_buf buf;       /* fields without their quotes */
    struct nr_bytes *fields; /* owned; views into BUF */
    size_t *ends;            /* owned */
    size_t n, cap;
    size_t record_at; /* of the record just read */
    uint64_t record_line;
};

void nr_csv_init(struct nr_csv *c, struct nr_bytes in, char delimiter);
void nr_csv_fini(struct nr_csv *c);
/* The next record; *MORE false at the end. NR_ELIMIT (NR_FEED_FIELD_MAX,
 * NR_FEED_COLUMNS_MAX), NR_ENOMEM. An unclosed quote ends at the end. */
enum nr_err nr_csv_next(struct nr_csv *c, bool *more) NR_MUST_USE;

#define NR_FEED_COLUMNS_MAX ((size_t)256)

/* Does IN look like a separated text with columns we can read? */
bool nr_csv_recognise(struct nr_bytes in, char *delimiter);

/* Objects of a JSON source: one MISP event; one STIX object. */
enum nr_err nr_feed_misp(struct nr_feed *f, const struct nr_json *event,
    struct nr_diag *d) NR_MUST_USE;

#endif
