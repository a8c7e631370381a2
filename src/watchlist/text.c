/* Text lists: "kind<TAB>value", one a line. */
#include "watchlist/watchlist.h"

#include <stdio.h>
#include <string.h>

struct load {
    struct nr_watchlist_builder *b;
    struct nr_str source;
    const struct nr_warnlists *warn;
    struct nr_buf key, note;
};

/* "list: entry" of the warninglist that knows the value, kept in l->note. */
static struct nr_str
warning(struct load *l, enum nr_kind kind)
{
    struct nr_warn_hit hit;

    nr_buf_reset(&l->note);
    if (l->warn && nr_warn_check(l->warn, kind, nr_buf_bytes(&l->key), &hit)) {
        nr_buf_put_str(&l->note, hit.list);
        nr_buf_put_str(&l->note, NR_STR(": "));
        nr_buf_put_str(&l->note, hit.entry);
    }
    return (struct nr_str){ (const char *)l->note.p, l->note.n };
}

static enum nr_err
take_line(struct load *l, struct nr_bytes line, struct nr_diag *why)
{
    struct nr_indicator ind;
    struct nr_str s, value, rest, kind_name;
    enum nr_kind kind = NR_KIND_IPV4;
    enum nr_err err;

    if (!nr_str_from_utf8(line, &s))
        return nr_fail(why, NR_EFORMAT, 0, "list: not UTF-8");
    kind_name = nr_str_cut(s, '\t', &rest);
    if (kind_name.n == s.n)
        return nr_fail(why, NR_EFORMAT, 0,
            "list: a kind, a tab and a value wanted");
    value = nr_str_cut(rest, '\t', &rest);
    nr_buf_reset(&l->key);
    err = nr_canon_named(nr_str_trim(kind_name), value, &kind, &l->key, why);
    if (err != NR_OK)
        return err;
    ind = nr_indicator_of(kind, nr_buf_bytes(&l->key));
    ind.said.source = l->source;
    ind.warn = warning(l, kind);
    return nr_watchlist_add(l->b, &ind, why);
}

static void
refuse(struct nr_text_load *out, size_t number, const struct nr_diag *why)
{
    char name[32];

    if (out->refused++ > 0)
        return;
    out->refused_line = number;
    out->why = *why;
    out->why.name[0] = '\0';
    (void)snprintf(name, sizeof(name), "line %zu", number);
    nr_diag_add_name(&out->why, name);
}

enum nr_err
nr_watchlist_load_text(struct nr_watchlist_builder *b, struct nr_bytes text,
    struct nr_str source, const struct nr_warnlists *warn,
    struct nr_text_load *out, struct nr_diag *d)
{
    struct load l = { .b = b, .source = source, .warn = warn };
    struct nr_text_load done = { 0 };
    enum nr_err err = NR_OK;
    size_t at = 0;

    if (text.n > NR_WATCHLIST_LIST_MAX)
        return nr_fail(d, NR_ELIMIT, 0, "list: longer than 4 GiB");
    nr_buf_init(&l.key, NR_KEY_MAX);
    nr_buf_init(&l.note, NR_WATCHLIST_TEXT_MAX);
    if (nr_bytes_starts(text, NR_BYTES("\xef\xbb\xbf")))
        at = 3;
    for (size_t number = 1; at < text.n && err == NR_OK; number++) {
        const uint8_t *nl = memchr(text.p + at, '\n', text.n - at);
        size_t end = nl ? (size_t)(nl - text.p) : text.n;
        struct nr_bytes line = nr_bytes_sub(text, at, end);
        struct nr_diag why = { 0 };

        at = end + 1;
        while (line.n > 0 && nr_is_space(line.p[line.n - 1]))
            line.n--;
        if (line.n == 0 || line.p[0] == '#')
            continue;
        done.lines++;
        err = take_line(&l, line, &why);
        done.taken += err == NR_OK;
        if (err == NR_EFORMAT || err == NR_ELIMIT) {
            refuse(&done, number, &why);
            err = NR_OK;
        }
    }
    if (err != NR_OK)
        err = nr_fail(d, err, 0, "list: out of memory");
    else if (done.lines > 0 && done.taken == 0)
        err = nr_fail_name(d, NR_EFORMAT, done.why.what, done.why.name);
    *out = done;
    nr_buf_fini(&l.key);
    nr_buf_fini(&l.note);
    return err;
}
