/*
 * JSON (RFC 8259) in both directions, and its canonical form (RFC 8785).
 *
 * Reading is one pass without recursion into a tree in an arena; a large array
 * is read member by member in flat memory by a stream. Refused beyond the
 * grammar: a name twice in one object, octets that are not UTF-8, surrogates
 * without their pair, anything after the value. A byte order mark at the very
 * start is skipped (section 8.1 allows it).
 *
 * Errors of all readers: NR_EFORMAT, NR_ETRUNC (the text ends early),
 * NR_ELIMIT (a limit below), NR_ENOMEM (the arena's ceiling included).
 * nr_diag.at is the offset of the first octet that cannot be taken; of a
 * duplicate name, its opening quote.
 *
 * Thread-safety: touches only its arguments.
 */
#ifndef NR_JSON_H
#define NR_JSON_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Limits, each reported as NR_ELIMIT. */
#define NR_JSON_TEXT_MAX   ((size_t)1 << 30) /* octets of one text */
#define NR_JSON_DEPTH_MAX  ((size_t)64)      /* arrays and objects, nested */
#define NR_JSON_NAMES_MAX  ((size_t)1 << 17) /* members of one object */
#define NR_JSON_NUMBER_MAX ((size_t)512)     /* octets of one number */

enum nr_json_type {
    NR_JSON_NULL,
    NR_JSON_BOOL,
    NR_JSON_NUMBER,
    NR_JSON_STRING,
    NR_JSON_ARRAY,
    NR_JSON_OBJECT,
};

struct nr_json {
    enum nr_json_type type;
    bool truth;         /* NR_JSON_BOOL: its value */
    size_t at, len;     /* source span of the value, octets */
    struct nr_str key;  /* its name, decoded, when member of an object */
    size_t key_at;      /* offset of the name's opening quote */
    struct nr_str text; /* string, decoded (may hold U+0000); number literal */
    const struct nr_json *child, *next; /* first member; the one after this */
    size_t n;                           /* members of an array or object */
};

/*
 * Parse the whole of IN. The tree is arena-owned and points into IN (strings
 * without escapes): it is valid while both are.
 */
enum nr_err nr_json_parse(struct nr_arena *a, struct nr_bytes in,
    const struct nr_json **out, struct nr_diag *d) NR_MUST_USE;

/* The grammar alone, without a tree or memory: duplicate names pass. */
enum nr_err nr_json_check(struct nr_bytes in, struct nr_diag *d) NR_MUST_USE;

/*
 * Looking into a tree. J may be NULL everywhere: a missing value is of no type,
 * has no members and yields nothing.
 */
static inline bool
nr_json_is(const struct nr_json *j, enum nr_json_type type)
{
    return j && j->type == type;
}

/* Member NAME of an object; NULL: none, or J is no object. Linear search. */
const struct nr_json *nr_json_get(const struct nr_json *j, struct nr_str name);

/* The string of member NAME; false (OUT untouched): none, or another type. */
bool nr_json_get_str(const struct nr_json *j, struct nr_str name,
    struct nr_str *out);

/* J as an integer: a number without fraction or exponent, in range. */
bool nr_json_i64(const struct nr_json *j, int64_t *out) NR_MUST_USE;
bool nr_json_get_i64(const struct nr_json *j, struct nr_str name, int64_t *out);

/* J as the nearest double; false: no number, or beyond the largest double. */
bool nr_json_double(const struct nr_json *j, double *out) NR_MUST_USE;

/* J's source text; IN is what was parsed. */
static inline struct nr_bytes
nr_json_span(struct nr_bytes in, const struct nr_json *j)
{
    return nr_bytes_sub(in, j->at, j->at + j->len);
}

/*
 * Stream: the members of one array, which is the whole text (NAME empty) or
 * member NAME of the outermost object, each parsed alone and handed out while
 * the text still arrives in chunks. Memory: one member and the envelope (all
 * that is not the array), whatever the length of the text.
 *
 * It takes exactly what nr_json_parse() takes, but a fault may show only after
 * members were handed out: act on them for good after nr_json_stream_end().
 */
struct nr_json_stream;

struct nr_json_stream_conf {
    struct nr_str name;  /* borrowed while the stream lives */
    size_t member_max;   /* octets of one member's text; NR_ELIMIT beyond */
    size_t envelope_max; /* octets of the envelope; NR_ELIMIT beyond */
    /* Called for each member. VALUE's offsets count from the start of the
     * whole text; both are borrowed until it returns. TEXT is the member's
     * source. An error stops the stream and is returned by feed. */
    enum nr_err (*member)(void *ctx, const struct nr_json *value,
        struct nr_bytes text, struct nr_diag *d);
    void *ctx;
};

/* NULL: out of memory. */
struct nr_json_stream *nr_json_stream_create(
    const struct nr_json_stream_conf *conf) NR_MUST_USE;
void nr_json_stream_destroy(struct nr_json_stream *s);

/* The next octets. After an error the stream gives the same one again. */
enum nr_err nr_json_stream_feed(struct nr_json_stream *s, struct nr_bytes in,
    struct nr_diag *d) NR_MUST_USE;

/* No more octets. *ENVELOPE (may be NULL) is the text's value with the array
 * empty, borrowed from S. A text without that array is no error: *FOUND (may
 * be NULL) says whether it was there. */
enum nr_err nr_json_stream_end(struct nr_json_stream *s,
    const struct nr_json **envelope, bool *found,
    struct nr_diag *d) NR_MUST_USE;

/*
 * Writer: appends one JSON value to a buffer. It cannot print invalid JSON: a
 * call out of place (a value without its name, a second value, the wrong
 * close, depth past NR_JSON_DEPTH_MAX, a number that is not finite) sets a
 * sticky error and takes back all it has written. Names given twice are not
 * noticed. Check once, with nr_json_out_end().
 */
struct nr_json_out {
    struct nr_buf *buf; /* borrowed */
    size_t start;       /* buf->n when it began */
    size_t depth;
    unsigned indent;  /* spaces a level; 0: compact. Set after init */
    bool named, full; /* a name waits for its value; the value is whole */
    bool bad;
    uint8_t open[NR_JSON_DEPTH_MAX]; /* '[' or '{'; | 0x80 with members */
};

void nr_json_out_init(struct nr_json_out *o, struct nr_buf *buf);

/* NR_OK when one whole value was written; NR_EFORMAT on misuse; the buffer's
 * NR_ELIMIT or NR_ENOMEM. On failure nothing of it is left in the buffer. */
enum nr_err nr_json_out_end(struct nr_json_out *o) NR_MUST_USE;

void nr_json_open_object(struct nr_json_out *o);
void nr_json_close_object(struct nr_json_out *o);
void nr_json_open_array(struct nr_json_out *o);
void nr_json_close_array(struct nr_json_out *o);
void nr_json_key(struct nr_json_out *o, struct nr_str name);
void nr_json_put_null(struct nr_json_out *o);
void nr_json_put_bool(struct nr_json_out *o, bool truth);
void nr_json_put_i64(struct nr_json_out *o, int64_t v);
/* As ECMAScript prints it: shortest that reads back the same. */
void nr_json_put_double(struct nr_json_out *o, double v);
/* What is not UTF-8 is written as U+FFFD, one for each octet. */
void nr_json_put_str(struct nr_json_out *o, struct nr_str s);
void nr_json_put_bytes(struct nr_json_out *o, struct nr_bytes b);
/* One value that is JSON text already (a span of a parsed text, a stored
 * object); checked by nr_json_check(), else misuse. */
void nr_json_put_raw(struct nr_json_out *o, struct nr_bytes text);
/* A parsed tree, written anew (compact or indented as O is). */
void nr_json_put_tree(struct nr_json_out *o, const struct nr_json *j);

/* Name and value at once. */
void nr_json_member_str(struct nr_json_out *o, struct nr_str name,
    struct nr_str v);
void nr_json_member_i64(struct nr_json_out *o, struct nr_str name, int64_t v);
void nr_json_member_bool(struct nr_json_out *o, struct nr_str name, bool v);

/*
 * RFC 8785 canonical form of J, appended to BUF. SCRATCH holds the sorted
 * members meanwhile. NR_EFORMAT: a number beyond double; NR_ENOMEM, NR_ELIMIT.
 */
enum nr_err nr_json_canon(struct nr_arena *scratch, const struct nr_json *j,
    struct nr_buf *buf, struct nr_diag *d) NR_MUST_USE;

#endif
