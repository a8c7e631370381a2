#include "feed/take.h"

#include <stdlib.h>

struct nr_feed_value
nr_feed_value_of(struct nr_bytes text, uint64_t line, uint64_t at)
{
    return (struct nr_feed_value){ .text = text,
        .about = nr_indicator_of(NR_KIND_DOMAIN, (struct nr_bytes){ 0 }),
        .line = line,
        .at = at };
}

/* A copy of at most N octets, cut at a character; U+FFFD is not needed: what
 * is not text ends it. */
static bool
quote(struct nr_feed *f, struct nr_bytes in, size_t n, struct nr_str *out)
{
    struct nr_bytes head = nr_bytes_sub(in, 0, in.n < n ? in.n : n);
    size_t len = nr_utf8_valid_len(head);
    char *p = nr_new(&f->a, char, len + 1);

    if (!p)
        return false;
    if (len)
        memcpy(p, head.p, len);
    *out = (struct nr_str){ p, len };
    return true;
}

static enum nr_err
note(struct nr_feed *f, enum nr_feed_note_kind kind, struct nr_str why,
    const struct nr_feed_value *v)
{
    struct nr_feed_note n = { .kind = kind,
        .file = f->file,
        .line = v->line,
        .at = v->at };

    if (f->n_notes == NR_FEED_NOTES_MAX)
        return NR_OK;
    if (f->n_notes == f->cap_notes) {
        size_t cap = f->cap_notes ? f->cap_notes * 2 : 64;
        struct nr_feed_note *p = reallocarray(f->notes, cap, sizeof(*p));

        if (!p)
            return NR_ENOMEM;
        f->notes = p;
        f->cap_notes = cap;
    }
    if (!quote(f, v->text, NR_FEED_QUOTE_MAX, &n.value) ||
        !quote(f, nr_bytes_of(why), NR_FEED_QUOTE_MAX, &n.why))
        return NR_ENOMEM;
    f->notes[f->n_notes++] = n;
    return NR_OK;
}

enum nr_err
nr_feed_note(struct nr_feed *f, enum nr_feed_note_kind kind, const char *why,
    const struct nr_feed_value *v)
{
    if (kind == NR_FEED_REFUSED)
        f->stats.refused++;
    if (kind == NR_FEED_UNMATCHABLE)
        f->stats.unmatchable++;
    return note(f, kind, nr_str_of(why), v);
}

struct nr_str
nr_feed_judge(struct nr_feed *f, enum nr_kind kind, struct nr_bytes key)
{
    struct nr_warn_hit hit;
    struct nr_str said;

    if (!f->conf.warn || !nr_warn_check(f->conf.warn, kind, key, &hit))
        return (struct nr_str){ "", 0 };
    nr_buf_reset(&f->quote);
    nr_buf_put_str(&f->quote, hit.list);
    nr_buf_put_str(&f->quote, NR_STR(": "));
    nr_buf_put_str(&f->quote, hit.entry);
    return f->quote.err || !nr_str_from_utf8(nr_buf_bytes(&f->quote), &said)
        ? hit.list
        : said;
}

enum nr_err
nr_feed_take_key(struct nr_feed *f, enum nr_kind kind, struct nr_bytes key,
    const struct nr_feed_value *v, struct nr_diag *d)
{
    struct nr_indicator i = v->about;
    enum nr_err err = NR_OK;

    i.kind = kind;
    i.key = key;
    if (!i.said.source.n)
        i.said.source = f->source;
    if (!i.warn.n)
        i.warn = nr_feed_judge(f, kind, key);
    if (i.warn.n) {
        f->stats.flagged++;
        err = note(f, NR_FEED_FLAGGED, i.warn, v);
    }
    if (err)
        return nr_fail(d, err, 0, "feed: out of memory");
    f->stats.taken++;
    return nr_watchlist_add(f->builder, &i, d);
}

/* Off the ends: blanks, quotes, brackets that do not belong, "*." before. */
static struct nr_str
tidy(struct nr_str in)
{
    struct nr_str s = nr_str_trim(in);

    while (s.n > 1 && strchr("\"'`<(|", s.p[0]))
        s = (struct nr_str){ s.p + 1, s.n - 1 };
    while (s.n > 1 && strchr("\"'`>,;|", s.p[s.n - 1]))
        s.n--;
    if (s.n > 2 && s.p[0] == '*' && s.p[1] == '.')
        s = (struct nr_str){ s.p + 2, s.n - 2 };
    return nr_str_trim(s);
}

/* "host:port" -> host, when exactly one colon stands before digits. */
static bool
cut_port(struct nr_str s, struct nr_str *host)
{
    struct nr_str port;
    struct nr_str head = nr_str_cut(s, ':', &port);
    uint64_t n;

    if (head.n == s.n || !nr_str_to_u64(port, &n) || n > 65535)
        return false;
    *host = head;
    return true;
}

/* The key of TEXT as kind NAME (empty: by its shape) into f->key. */
static enum nr_err
canon(struct nr_feed *f, const char *name, struct nr_str text,
    enum nr_kind *kind, struct nr_diag *d)
{
    struct nr_str s, host;

    nr_buf_reset(&f->text);
    nr_buf_reset(&f->key);
    nr_refang(text, &f->text);
    if (f->text.err || !nr_str_from_utf8(nr_buf_bytes(&f->text), &s))
        return nr_fail(d, NR_EFORMAT, 0, "value: too long, or not UTF-8");
    s = tidy(s);
    if (name && *name &&
        nr_canon_named(nr_str_of(name), s, kind, &f->key, NULL) == NR_OK)
        return NR_OK;
    nr_buf_reset(&f->key);
    if (cut_port(s, &host))
        s = host;
    return name && *name ? nr_canon_named(nr_str_of(name), s, kind, &f->key, d)
                         : nr_canon_guess(s, kind, &f->key, d);
}

bool
nr_feed_is_value(struct nr_feed *f, struct nr_bytes text, enum nr_kind *kind)
{
    struct nr_str s;

    return text.n && text.n <= NR_URL_MAX && nr_str_from_utf8(text, &s) &&
        canon(f, NULL, s, kind, NULL) == NR_OK;
}

static bool
has_scheme(struct nr_str text)
{
    return text.n && memmem(text.p, text.n, "://", 3);
}

/* "192.0.2.3-192.0.2.9": each network that it is made of. *IS: it was one. */
static enum nr_err
take_range(struct nr_feed *f, struct nr_str text, const struct nr_feed_value *v,
    bool *is, struct nr_diag *d)
{
    enum nr_err err = NR_OK;
    enum nr_kind kind;
    struct nr_range r;
    struct nr_str s;
    uint8_t key[17];
    size_t n;

    nr_buf_reset(&f->text);
    nr_refang(text, &f->text);
    *is = !f->text.err && nr_str_from_utf8(nr_buf_bytes(&f->text), &s) &&
        nr_range_parse(tidy(s), &r);
    while (*is && err == NR_OK && nr_range_next(&r, &kind, key, &n)) {
        f->stats.values++;
        err = nr_feed_take_key(f, kind, (struct nr_bytes){ key, n }, v, d);
    }
    return err;
}

static enum nr_err
take_part(struct nr_feed *f, const char *name, struct nr_str text,
    const struct nr_feed_value *v, struct nr_diag *d)
{
    struct nr_diag why = { 0 };
    enum nr_kind kind;
    bool is_range;
    enum nr_err err;

    err = take_range(f, text, v, &is_range, d);
    if (err || is_range)
        return err;
    f->stats.values++;
    err = canon(f, name, text, &kind, &why);
    if (err == NR_EFORMAT && name && *name) { /* the type may be wrong */
        err = canon(f, NULL, text, &kind, NULL);
        /* but "10.0.0.0/33" is a bad range, not a page of a host */
        if (!err && kind == NR_KIND_URL && !has_scheme(text))
            err = NR_EFORMAT;
    }
    if (err == NR_ENOMEM)
        return nr_fail(d, err, 0, "feed: out of memory");
    if (!err)
        return nr_feed_take_key(f, kind, nr_buf_bytes(&f->key), v, d);
    err = nr_feed_note(f, NR_FEED_REFUSED,
        why.what ? why.what : "no kind of observable has this form", v);
    return err ? nr_fail(d, err, 0, "feed: out of memory") : NR_OK;
}

enum nr_err
nr_feed_take(struct nr_feed *f, const struct nr_feed_value *v,
    struct nr_diag *d)
{
    const struct nr_feed_type *t = nr_feed_type(v->type);
    struct nr_str text, left, right = { "", 0 };
    enum nr_err err = NR_OK;

    if (t->sort == NR_FEED_SORT_CONTEXT)
        return NR_OK;
    if (t->sort == NR_FEED_SORT_NO_MATCH) {
        f->stats.values++;
        return nr_feed_note(f, NR_FEED_UNMATCHABLE, nr_feed_no_match, v);
    }
    if (v->text.n > NR_URL_MAX || !nr_str_from_utf8(v->text, &text)) {
        f->stats.values++;
        return nr_feed_note(f, NR_FEED_REFUSED,
            "value: longer than 8192 octets, or not UTF-8", v);
    }
    if (!strchr(t->name, '|') || t->sort == NR_FEED_SORT_UNKNOWN)
        return take_part(f, t->parts[0], text, v, d);
    left = nr_str_cut(text, '|', &right);
    if (!right.n && t->parts[0])
        return take_part(f, t->parts[0], text, v, d);
    if (t->parts[0])
        err = take_part(f, t->parts[0], left, v, d);
    if (!err && t->parts[1])
        err = take_part(f, t->parts[1], right, v, d);
    return err;
}
