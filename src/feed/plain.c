/*
 * The lines of a list that are plain: "kind<TAB>value", or a value alone. They
 * become what nr_feed_take() makes of them, in a tenth of the time; all others
 * are left to it.
 */
#include "feed/take.h"
#include "observable/observable.h"

#include "base/num.h"

#define LINES_MIN ((size_t)4096)    /* lines for which room is made at once */
#define SAMPLE    ((size_t)1 << 18) /* octets by which lines are counted */
#define LINE_MIN  ((size_t)8)       /* octets of the shortest likely line */

void
nr_feed_plain_init(struct nr_feed_plain *p, struct nr_feed *f)
{
    *p = (struct nr_feed_plain){ .f = f };
}

/* The kinds that a column of type T may hold: one, or two for addresses. */
static bool
sort_of(const struct nr_feed_type *t, enum nr_feed_plain_sort *sort,
    enum nr_kind *kind)
{
    struct nr_str part = nr_str_of(t->parts[0] ? t->parts[0] : "?");

    *sort = NR_FEED_PLAIN_NONE;
    if (t->sort != NR_FEED_SORT_VALUE || strchr(t->name, '|'))
        return false;
    if (part.n == 0)
        *sort = NR_FEED_PLAIN_GUESS;
    else if (nr_str_eq(part, NR_STR("ip")) || nr_str_eq(part, NR_STR("cidr")))
        *sort = NR_FEED_PLAIN_ADDRESS;
    else if (nr_kind_from_name(part, kind))
        *sort = NR_FEED_PLAIN_KIND;
    return *sort != NR_FEED_PLAIN_NONE;
}

/* The column named NAME, remembered. NULL: not one of ours. */
static const struct nr_feed_plain_name *
column_of(struct nr_feed_plain *p, struct nr_bytes name)
{
    struct nr_feed_plain_name *s;

    if (name.n == 0 || name.n > sizeof(s->name))
        return NULL;
    s = &p->names[(name.p[0] * 7u + name.p[name.n - 1] + name.n * 5u) %
        NR_FEED_PLAIN_NAMES];
    if (s->n != name.n || memcmp(s->name, name.p, name.n) != 0) {
        struct nr_str str;

        *s = (struct nr_feed_plain_name){ .n = name.n };
        memcpy(s->name, name.p, name.n);
        if (nr_str_from_utf8(name, &str))
            (void)sort_of(nr_feed_type(str), &s->sort, &s->kind);
    }
    return s->sort == NR_FEED_PLAIN_NONE ? NULL : s;
}

/* "ip" and "cidr": four kinds, told apart by their octets. */
static bool
address(struct nr_bytes text, enum nr_kind *kind, uint8_t *buf,
    struct nr_bytes *key)
{
    bool six = memchr(text.p, ':', text.n) != NULL;

    if (memchr(text.p, '/', text.n))
        *kind = six ? NR_KIND_CIDR6 : NR_KIND_CIDR4;
    else
        *kind = six ? NR_KIND_IPV6 : NR_KIND_IPV4;
    return nr_canon_plain(*kind, text, buf, key);
}

/* Kind and key of line L; false: it is not plain. */
static bool
read_line(struct nr_feed_plain *p, struct nr_bytes l, bool list,
    enum nr_kind *kind, uint8_t *buf, struct nr_bytes *key)
{
    const uint8_t *tab = memchr(l.p, '\t', l.n);
    const struct nr_feed_plain_name *column;
    struct nr_bytes value;

    if (!tab)
        return list && nr_canon_plain_guess(l, kind, buf, key);
    /* not "//domain", a comment, whatever a type's name may hold */
    column = nr_is_alpha(l.p[0])
        ? column_of(p, nr_bytes_sub(l, 0, (size_t)(tab - l.p)))
        : NULL;
    value = nr_bytes_sub(l, (size_t)(tab - l.p) + 1, l.n);
    tab = value.n ? memchr(value.p, '\t', value.n) : NULL;
    if (tab)
        value.n = (size_t)(tab - value.p);
    if (!column || value.n == 0)
        return false;
    *kind = column->kind;
    if (column->sort == NR_FEED_PLAIN_KIND)
        return nr_canon_plain(*kind, value, buf, key);
    return column->sort == NR_FEED_PLAIN_GUESS
        ? nr_canon_plain_guess(value, kind, buf, key)
        : address(value, kind, buf, key);
}

/* What is said of all values under REFERENCE. */
static enum nr_err
say(struct nr_feed_plain *p, struct nr_str reference, struct nr_diag *d)
{
    struct nr_indicator i = nr_indicator_of(NR_KIND_DOMAIN,
        (struct nr_bytes){ 0 });
    enum nr_err err;

    i.said.source = p->f->source;
    i.said.reference = reference;
    err = nr_watchlist_about(p->f->builder, &i, &p->about, d);
    p->has_about = err == NR_OK;
    p->reference = reference;
    return err;
}

enum nr_err
nr_feed_plain_line(struct nr_feed_plain *p, struct nr_bytes l, bool list,
    struct nr_str reference, bool *taken, struct nr_diag *d)
{
    uint8_t buf[NR_PLAIN_MAX];
    struct nr_warn_hit hit;
    struct nr_bytes key;
    enum nr_kind kind;
    enum nr_err err = NR_OK;

    *taken = false;
    if (l.n > 0 && l.p[l.n - 1] == '\r')
        l.n--;
    if (l.n == 0 || !read_line(p, l, list, &kind, buf, &key))
        return NR_OK;
    if (p->f->conf.warn && nr_warn_check(p->f->conf.warn, kind, key, &hit))
        return NR_OK;
    if (!p->has_about || p->reference.p != reference.p ||
        p->reference.n != reference.n)
        err = say(p, reference, d);
    if (err)
        return err;
    *taken = true;
    p->f->stats.values++;
    p->f->stats.taken++;
    return nr_watchlist_add_key(p->f->builder, kind, key, p->about, d);
}

enum nr_err
nr_feed_plain_reserve(struct nr_feed *f, struct nr_bytes in, struct nr_diag *d)
{
    struct nr_bytes head = nr_bytes_sub(in, 0, nr_min(in.n, SAMPLE));
    size_t lines = nr_count_lines(head, 0);

    if (head.n < in.n)
        lines = in.n / (head.n / (lines + 1));
    /* A file of empty lines is no reason to ask for much. */
    lines = nr_min(lines, in.n / LINE_MIN);
    return lines < LINES_MIN ? NR_OK
                             : nr_watchlist_reserve(f->builder, lines, d);
}
