/*
 * Text: lists of one value a line, lines "kind<TAB>value", and running text.
 *
 * In a list every line is a value; what is none is refused by its line. In
 * running text (a report, AsciiDoc) words that are observables are taken and
 * all others are just words; there an address of the web that was left alive
 * is where to read more, not an indicator, and a name counts as one only when
 * it was disarmed or its end is a top-level domain and no common file suffix.
 */
#include "feed/take.h"
#include "observable/observable.h"

#define SAMPLE_LINES   ((size_t)400)
#define REFERENCES_MAX ((size_t)8) /* that a block of comments may name */

struct page {
    struct nr_feed *f;
    struct nr_diag *d;
    struct nr_str references[REFERENCES_MAX];
    size_t n_references;
    bool fresh; /* the last line was a comment: references add up */
    bool list;  /* one value a line */
    uint64_t line;
    size_t at;
};

static struct nr_bytes
trimmed(struct nr_bytes l)
{
    while (l.n && nr_is_space(l.p[l.n - 1]))
        l.n--;
    while (l.n && nr_is_space(*l.p))
        l = nr_bytes_sub(l, 1, l.n);
    return l;
}

static struct nr_bytes
next_line(struct nr_bytes in, size_t *at)
{
    const uint8_t *p = in.p + *at;
    const uint8_t *end = memchr(p, '\n', in.n - *at);
    size_t n = end ? (size_t)(end - p) : in.n - *at;

    *at += n + (end != NULL);
    return trimmed((struct nr_bytes){ p, n });
}

static bool
is_comment(struct nr_bytes l)
{
    return l.n &&
        (l.p[0] == '#' || l.p[0] == ';' || nr_bytes_starts(l, NR_BYTES("//")));
}

static bool
has_space(struct nr_bytes l)
{
    for (size_t i = 0; i < l.n; i++)
        if (nr_is_space(l.p[i]))
            return true;
    return false;
}

/* "kind<TAB>value": the first column names a type that we know. */
static bool
is_pair(struct nr_bytes l, struct nr_str *type, struct nr_bytes *value)
{
    const uint8_t *tab = l.n ? memchr(l.p, '\t', l.n) : NULL;
    const uint8_t *end;
    size_t n = tab ? (size_t)(tab - l.p) : 0;

    if (!n || !nr_str_from_utf8((struct nr_bytes){ l.p, n }, type) ||
        nr_feed_type(*type)->sort == NR_FEED_SORT_UNKNOWN)
        return false;
    *value = nr_bytes_sub(l, n + 1, l.n);
    end = value->n ? memchr(value->p, '\t', value->n) : NULL;
    if (end)
        value->n = (size_t)(end - value->p);
    return true;
}

/* Where a live web address in L begins; false: none. */
static bool
live_url(struct nr_bytes l, struct nr_str *out)
{
    const uint8_t *p = memmem(l.p, l.n, "http", 4);
    struct nr_bytes u;

    if (!p)
        return false;
    u = (struct nr_bytes){ p, l.n - (size_t)(p - l.p) };
    if (!nr_bytes_starts(u, NR_BYTES("http://")) &&
        !nr_bytes_starts(u, NR_BYTES("https://")))
        return false;
    for (size_t i = 0; i < u.n; i++)
        if (nr_is_space(u.p[i]) || strchr("<>\"`[]|)", u.p[i]))
            u.n = i;
    while (u.n && strchr(".,;", u.p[u.n - 1]))
        u.n--;
    return nr_str_from_utf8(u, out);
}

static void
remember(struct page *g, struct nr_bytes l)
{
    struct nr_str url;

    if (!live_url(l, &url))
        return;
    if (!g->fresh)
        g->n_references = 0;
    g->fresh = true;
    if (g->n_references < REFERENCES_MAX)
        g->references[g->n_references++] = url;
}

/* Take one value once for each reference that stands above it. */
static enum nr_err
take(struct page *g, struct nr_str type, struct nr_bytes text)
{
    struct nr_feed_value v = nr_feed_value_of(text, g->line, g->at);
    enum nr_err err;

    v.type = type;
    if (g->n_references)
        v.about.said.reference = g->references[0];
    err = nr_feed_take(g->f, &v, g->d);
    g->fresh = false;
    for (size_t i = 1; i < g->n_references && !err; i++) {
        struct nr_feed_stats before = g->f->stats;
        size_t notes = g->f->n_notes;

        v.about.said.reference = g->references[i];
        err = nr_feed_take(g->f, &v, g->d);
        g->f->stats = before; /* the same value, one claim more */
        g->f->n_notes = notes;
    }
    return err;
}

static bool
is_file_suffix(struct nr_bytes domain)
{
    static const char *const suffixes[] = { "app", "bin", "cab", "cc",
        "com.exe", "doc", "go", "md", "mov", "pl", "ps", "py", "rs", "sh", "so",
        "zip", "java", "js", "mm", "pm", "lc" };
    size_t dot = domain.n;

    while (dot && domain.p[dot - 1] != '.')
        dot--;
    for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
        if (nr_bytes_eq_nocase(nr_bytes_sub(domain, dot, domain.n),
                nr_bytes_of(nr_str_of(suffixes[i]))))
            return strcmp(suffixes[i], "cc") != 0 ||
                memchr(domain.p, '.', dot ? dot - 1 : 0) == NULL;
    return false;
}

/* May WORD, a DOMAIN or URL by its shape, be meant as an indicator? */
static bool
is_meant(enum nr_kind kind, struct nr_bytes word, struct nr_bytes key,
    bool disarmed)
{
    if (disarmed)
        return true;
    if (kind == NR_KIND_URL)
        return false;
    if (kind == NR_KIND_DOMAIN)
        return nr_domain_has_known_tld(key) && !is_file_suffix(key);
    (void)word;
    return kind != NR_KIND_CVE;
}

static bool
is_delimiter(uint8_t c)
{
    return nr_is_space(c) || strchr("`|<>\"'(),;", c) != NULL;
}

static bool
is_disarmed(struct nr_bytes w)
{
    static const char *const signs[] = { "[.]", "[.", ".]", "(.)", "{.}",
        "[dot]", "(dot)", "hxxp", "hXXp", "[:]", "[at]", "[@]", "\\." };

    for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
        if (memmem(w.p, w.n, signs[i], strlen(signs[i])))
            return true;
    return false;
}

static enum nr_err
take_word(struct page *g, struct nr_bytes w)
{
    static const char trim[] = ".,:;!?*-=_";
    enum nr_kind kind;
    bool disarmed = is_disarmed(w);

    while (w.n && memchr(trim, w.p[w.n - 1], sizeof(trim) - 1))
        w.n--;
    while (w.n && memchr(trim, w.p[0], sizeof(trim) - 1))
        w = nr_bytes_sub(w, 1, w.n);
    if (w.n < 4 || !nr_feed_is_value(g->f, w, &kind))
        return NR_OK;
    if (!is_meant(kind, w, nr_buf_bytes(&g->f->key), disarmed))
        return NR_OK;
    return take(g, (struct nr_str){ "", 0 }, w);
}

/* "(.)" and "[.]" hold delimiters: a word of running text goes on over them. */
static size_t
word_end(struct nr_bytes l, size_t i)
{
    while (i < l.n) {
        if (i + 2 < l.n && l.p[i] == '(' && l.p[i + 2] == ')' &&
            (l.p[i + 1] == '.' || l.p[i + 1] == '@'))
            i += 3;
        else if (i + 4 < l.n && memcmp(l.p + i, "(dot)", 5) == 0)
            i += 5;
        else if (is_delimiter(l.p[i]))
            break;
        else
            i++;
    }
    return i;
}

static enum nr_err
take_words(struct page *g, struct nr_bytes l)
{
    enum nr_err err = NR_OK;

    if (!is_disarmed(l))
        remember(g, l);
    for (size_t i = 0; i < l.n && !err;) {
        size_t end = word_end(l, i);

        if (end > i)
            err = take_word(g, nr_bytes_sub(l, i, end));
        i = end + 1;
    }
    return err;
}

static bool
is_null_address(struct nr_bytes w)
{
    return nr_bytes_eq(w, NR_BYTES("0.0.0.0")) ||
        nr_bytes_eq(w, NR_BYTES("127.0.0.1")) ||
        nr_bytes_eq(w, NR_BYTES("::1")) || nr_bytes_eq(w, NR_BYTES("::"));
}

/* A line of a list: the value, then a comment; of a hosts file, the name. */
static enum nr_err
take_listed(struct page *g, struct nr_bytes l)
{
    struct nr_bytes first, rest = l;

    do {
        size_t n = 0;

        l = rest;
        while (n < l.n && !nr_is_space(l.p[n]))
            n++;
        first = nr_bytes_sub(l, 0, n);
        while (n < l.n && nr_is_space(l.p[n]))
            n++;
        rest = nr_bytes_sub(l, n, l.n);
    } while (rest.n && is_null_address(first));
    return take(g, (struct nr_str){ "", 0 }, first);
}

static enum nr_err
take_line(struct page *g, struct nr_bytes l)
{
    struct nr_bytes value;
    struct nr_str type;
    enum nr_kind kind = NR_KIND_DOMAIN;

    if (!l.n)
        return NR_OK;
    if (is_comment(l)) {
        remember(g, l);
        return NR_OK;
    }
    if (is_pair(l, &type, &value))
        return take(g, type, value);
    if (!has_space(l) && (g->list || nr_feed_is_value(g->f, l, &kind)) &&
        (g->list || is_disarmed(l) || kind != NR_KIND_URL))
        return take(g, (struct nr_str){ "", 0 }, l);
    return g->list ? take_listed(g, l) : take_words(g, l);
}

/* Most lines begin with a value, or are pairs. */
static bool
is_list(struct nr_feed *f, struct nr_bytes in)
{
    size_t at = 0, lines = 0, values = 0;

    while (at < in.n && lines < SAMPLE_LINES) {
        struct nr_bytes l = next_line(in, &at), value;
        struct nr_str type;
        enum nr_kind kind;
        size_t n = 0;

        if (!l.n || is_comment(l))
            continue;
        lines++;
        while (n < l.n && !nr_is_space(l.p[n]))
            n++;
        values += is_pair(l, &type, &value) ||
            nr_feed_is_value(f, nr_bytes_sub(l, 0, n), &kind);
    }
    return values * 10 >= lines * 6;
}

enum nr_err
nr_feed_text(struct nr_feed *f, struct nr_bytes in, struct nr_diag *d)
{
    struct page g = { .f = f, .d = d, .list = is_list(f, in) };
    struct nr_feed_lines *lines = nr_feed_lines_create(f, in, g.list);
    const struct nr_feed_line *l;
    enum nr_err err, flushed;

    if (!lines)
        return nr_fail(d, NR_ENOMEM, 0, "feed: out of memory");
    err = nr_feed_lines_reserve(f, in, d);
    while (!err && (l = nr_feed_lines_next(lines)) != NULL) {
        g.at = l->at;
        g.line++;
        /* under several references a value is taken several times */
        if (!l->plain || g.n_references > 1) {
            err = take_line(&g, trimmed(l->text));
            continue;
        }
        err = nr_feed_lines_take(lines, l,
            g.n_references ? g.references[0] : NR_STR(""), d);
        g.fresh = false;
    }
    flushed = nr_watchlist_flush(f->builder, err ? NULL : d);
    nr_feed_lines_destroy(lines);
    return err ? err : flushed;
}
