/*
 * The stream splits the text without understanding it: it knows strings,
 * brackets and commas. What lies between the commas of the wanted array is
 * kept until it is whole, then parsed by the reader; all else is gathered as
 * the envelope, in which the array is empty, and parsed at the end. So every
 * octet but the separating commas goes through the one reader, and the stream
 * takes just what the reader takes.
 */
#include "json/read.h"

#include "base/fault.h"
#include "base/num.h"

#include <stdlib.h>

#define ROOM_MIN   ((size_t)256 * 1024)    /* a few blocks of the arena */
#define NESTED_MAX (2 * NR_JSON_DEPTH_MAX) /* brackets counted, reader judges */

enum place {
    OUTSIDE, /* in the envelope */
    INSIDE,  /* in the wanted array */
    PAST,    /* it has been seen */
};

struct nr_json_stream {
    struct nr_json_stream_conf conf;
    struct nr_buf envelope, member;
    struct nr_arena arena;
    size_t at; /* octets taken */
    enum place place;
    size_t depth; /* open brackets, of the envelope or of the member */
    bool in_string, escaped;
    uint8_t last;             /* last octet outside strings, no space */
    size_t name_at, name_end; /* last string at depth 1 of the envelope */
    bool name_done;           /* and the ':' after it */
    size_t member_at;         /* offset of member's text */
    bool comma;               /* one was seen after the last member */
    size_t cut_at, cut_len;   /* envelope offset and octets left out */
    enum nr_err err;
    struct nr_diag diag;
};

struct nr_json_stream *
nr_json_stream_create(const struct nr_json_stream_conf *conf)
{
    struct nr_json_stream *s = nr_fault() ? NULL : calloc(1, sizeof(*s));
    size_t room;

    if (!s)
        return NULL;
    s->conf = *conf;
    nr_buf_init(&s->envelope, conf->envelope_max);
    nr_buf_init(&s->member, conf->member_max);
    /* A tree of the densest text, "[[],[],...", is 64 times its size. */
    if (!nr_mul(nr_max(conf->member_max, conf->envelope_max), 64, &room))
        room = SIZE_MAX / 4;
    nr_arena_init(&s->arena, nr_min(room, SIZE_MAX / 8) + ROOM_MIN);
    return s;
}

void
nr_json_stream_destroy(struct nr_json_stream *s)
{
    if (!s)
        return;
    nr_buf_fini(&s->envelope);
    nr_buf_fini(&s->member);
    nr_arena_fini(&s->arena);
    free(s);
}

static void
fail(struct nr_json_stream *s, enum nr_err err, size_t at, const char *what)
{
    if (s->err == NR_OK)
        s->err = nr_fail(&s->diag, err, at, what);
}

static void
keep(struct nr_json_stream *s, struct nr_buf *b, uint8_t c)
{
    nr_buf_put_c(b, (char)c);
    if (b->err == NR_ELIMIT)
        fail(s, NR_ELIMIT, s->at,
            b == &s->member ? "json: member larger than its limit"
                            : "json: text around the array over its limit");
    else if (b->err)
        fail(s, b->err, s->at, "json: out of memory");
}

/* Does the wanted array begin at this '['? */
static bool
is_wanted(struct nr_json_stream *s)
{
    const struct nr_json *name = NULL;
    struct json_part part = { .depth_max = 1 };
    enum nr_err err;
    bool yes;

    if (s->conf.name.n == 0)
        return s->depth == 0 && s->last == 0;
    if (s->depth != 1 || !s->name_done)
        return false;
    part.in = nr_bytes_sub(nr_buf_bytes(&s->envelope), s->name_at, s->name_end);
    part.base = s->at;
    /* A name that does not parse: neither will the envelope. */
    err = json_parse_part(&s->arena, &part, &name, NULL);
    if (err == NR_ENOMEM)
        fail(s, err, s->at, "json: out of memory");
    yes = !err && nr_str_eq(name->text, s->conf.name);
    nr_arena_reset(&s->arena);
    return yes;
}

static void
end_member(struct nr_json_stream *s)
{
    const struct nr_json *value = NULL;
    struct json_part part = {
        .in = nr_buf_bytes(&s->member),
        .base = s->member_at,
        .depth_max = NR_JSON_DEPTH_MAX - (s->conf.name.n ? 2 : 1),
    };

    s->err = json_parse_part(&s->arena, &part, &value, &s->diag);
    if (!s->err) {
        struct nr_bytes text = {
            part.in.p + (value->at - part.base),
            value->len,
        };

        s->err = s->conf.member(s->conf.ctx, value, text, &s->diag);
    }
    nr_arena_reset(&s->arena);
    nr_buf_reset(&s->member);
}

static bool
is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void
track_string(struct nr_json_stream *s, uint8_t c)
{
    if (s->escaped)
        s->escaped = false;
    else if (c == '\\')
        s->escaped = true;
    else if (c == '"')
        s->in_string = false;
}

static void
track_depth(struct nr_json_stream *s, uint8_t c)
{
    if (c == '"')
        s->in_string = true;
    else if (c == '{' || c == '[')
        s->depth++;
    else if ((c == '}' || c == ']') && s->depth > 0)
        s->depth--;
    if (s->depth > NESTED_MAX)
        fail(s, NR_ELIMIT, s->at, "json: nested deeper than 64");
}

static void
end_array(struct nr_json_stream *s)
{
    s->place = PAST;
    s->depth = s->conf.name.n ? 1 : 0;
    s->cut_len = s->at - s->cut_len;
    keep(s, &s->envelope, ']');
    s->last = ']';
}

/* An octet inside the wanted array. */
static void
take_inside(struct nr_json_stream *s, uint8_t c)
{
    if (s->depth == 0 && !s->in_string) {
        if (s->member.n == 0 && is_space(c))
            return;
        if (s->member.n > 0 && (c == ',' || c == ']')) {
            end_member(s);
            s->comma = c == ',';
            if (c == ']' && !s->err)
                end_array(s);
            return;
        }
        if (c == ']' && !s->comma) {
            end_array(s);
            return;
        }
        if (c == ',' || c == ']') {
            fail(s, NR_EFORMAT, s->at, "json: value expected [RFC 8259 3]");
            return;
        }
    }
    if (s->member.n == 0)
        s->member_at = s->at;
    keep(s, &s->member, c);
    if (s->in_string)
        track_string(s, c);
    else
        track_depth(s, c);
}

/* An octet of the envelope. */
static void
take_outside(struct nr_json_stream *s, uint8_t c)
{
    keep(s, &s->envelope, c);
    if (s->in_string) {
        track_string(s, c);
        if (!s->in_string && s->depth == 1)
            s->name_end = s->envelope.n;
        return;
    }
    if (is_space(c) || (s->at < 3 && c >= 0x80)) /* a byte order mark */
        return;
    if (c == '[' && s->err == NR_OK && is_wanted(s)) {
        if (s->place == PAST) {
            fail(s, NR_EFORMAT, s->name_at + s->cut_len,
                "json: the same name twice in one object [RFC 8259 4]");
            return;
        }
        s->place = INSIDE;
        s->depth = 0;
        s->cut_at = s->envelope.n;
        s->cut_len = s->at + 1; /* its start, until its end is known */
        return;
    }
    if (c == '"' && s->depth == 1) {
        s->name_at = s->envelope.n - 1;
        s->name_end = 0;
    }
    s->name_done = c == ':' && s->depth == 1 && s->last == '"' && s->name_end;
    s->last = c;
    track_depth(s, c);
}

enum nr_err
nr_json_stream_feed(struct nr_json_stream *s, struct nr_bytes in,
    struct nr_diag *d)
{
    for (size_t i = 0; i < in.n && s->err == NR_OK; i++, s->at++) {
        if (s->place == INSIDE)
            take_inside(s, in.p[i]);
        else
            take_outside(s, in.p[i]);
    }
    if (s->err && d && d->err == NR_OK)
        *d = s->diag;
    return s->err;
}

/* An offset in the envelope as one in the whole text. */
static size_t
to_source(const struct nr_json_stream *s, size_t at)
{
    return s->place == PAST && at >= s->cut_at ? at + s->cut_len : at;
}

enum nr_err
nr_json_stream_end(struct nr_json_stream *s, const struct nr_json **envelope,
    bool *found, struct nr_diag *d)
{
    const struct nr_json *tree = NULL;
    struct json_part part = {
        .in = nr_buf_bytes(&s->envelope),
        .depth_max = NR_JSON_DEPTH_MAX,
        .bom = true,
    };
    struct nr_diag inner = { 0 };

    if (!s->err && s->place == INSIDE)
        fail(s, NR_ETRUNC, s->at, "json: text ends early [RFC 8259]");
    if (!s->err) {
        s->err = json_parse_part(&s->arena, &part, &tree, &inner);
        if (s->err)
            nr_fail(&s->diag, s->err, to_source(s, inner.at), inner.what);
    }
    if (s->err) {
        if (d && d->err == NR_OK)
            *d = s->diag;
        return s->err;
    }
    if (envelope)
        *envelope = tree;
    if (found)
        *found = s->place == PAST;
    return NR_OK;
}
