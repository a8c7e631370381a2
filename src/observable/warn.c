/*
 * Warninglists: three hash tables, so that a value costs a handful of look-ups
 * however many lists there are. Names are found under each of their suffixes,
 * addresses under each prefix length in use, substrings by their first four
 * octets at every offset of the text. See warn_ask.c for the questions.
 */
#include "observable/warn.h"

#include "base/hash.h"
#include "observable/rules.h"

#include <stdlib.h>
#include <string.h>

static enum nr_err
no_memory(struct nr_diag *d)
{
    return nr_fail(d, NR_ENOMEM, 0, "warninglist: out of memory");
}

struct nr_bytes
nr_warn_keep(struct nr_warnlists *w, struct nr_bytes b)
{
    uint8_t *p = nr_new(&w->arena, uint8_t, b.n + 1); /* and a NUL */

    if (p && b.n > 0)
        memcpy(p, b.p, b.n);
    return (struct nr_bytes){ p, p ? b.n : 0 };
}

static struct nr_bytes
keep_lower(struct nr_warnlists *w, struct nr_str s)
{
    uint8_t *p = nr_new(&w->arena, uint8_t, s.n + 1);

    for (size_t i = 0; p && i < s.n; i++)
        p[i] = nr_lower((uint8_t)s.p[i]);
    return (struct nr_bytes){ p, p ? s.n : 0 };
}

/* Chain E under KEY, which is arena-owned. The table's numbers are pointers. */
static enum nr_err
chain(struct nr_table *t, struct nr_bytes key, struct nr_warn_entry *e,
    struct nr_diag *d)
{
    uint64_t *slot = key.p ? nr_table_put(t, key, 0, NULL) : NULL;

    if (!slot)
        return no_memory(d);
    e->next = (struct nr_warn_entry *)(uintptr_t)*slot;
    *slot = (uint64_t)(uintptr_t)e;
    return NR_OK;
}

/* The canonical range of "ADDRESS[/LENGTH]", its length noted. */
static enum nr_err
range_of(struct nr_str text, bool *has_len4, bool *has_len6, struct nr_buf *key,
    struct nr_diag *d)
{
    enum nr_kind kind = NR_KIND_IPV4;
    enum nr_err err = nr_canon_named(NR_STR("ip"), text, &kind, key, d);

    if (err != NR_OK)
        return err;
    if (kind == NR_KIND_IPV4)
        nr_buf_put_c(key, 32);
    else if (kind == NR_KIND_IPV6)
        nr_buf_put_c(key, (char)128);
    if (key->err != NR_OK)
        return no_memory(d);
    if (key->n == 5)
        has_len4[key->p[4]] = true;
    else
        has_len6[key->p[16]] = true;
    return NR_OK;
}

static enum nr_err
put_range(struct nr_warnlists *w, struct nr_warn_entry *e, struct nr_diag *d)
{
    struct nr_buf key;
    enum nr_err err;

    nr_buf_init(&key, NR_KEY_MAX);
    err = range_of(e->text, w->has_len4, w->has_len6, &key, d);
    if (err == NR_OK) {
        nr_warn_mark_net(w, nr_buf_bytes(&key));
        err = chain(&w->nets, nr_warn_keep(w, nr_buf_bytes(&key)), e, d);
    }
    nr_buf_fini(&key);
    return err;
}

static enum nr_err
put_name(struct nr_warnlists *w, struct nr_warn_entry *e, struct nr_diag *d)
{
    struct nr_str s = e->text;
    struct nr_bytes name;

    e->below = e->list->type == NR_WARN_HOSTNAME;
    if (s.n > 1 && s.p[0] == '.') {
        e->below = true;
        s = (struct nr_str){ s.p + 1, s.n - 1 };
    }
    name = keep_lower(w, s);
    if (name.p)
        nr_warn_mark_name(w, e, name);
    return chain(&w->names, name, e, d);
}

static void
put_linear(struct nr_warnlists *w, struct nr_warn_entry *e)
{
    w->filter->linear_kinds |= e->list->kinds;
    e->next = w->linear;
    w->linear = e;
}

static enum nr_err
put_substring(struct nr_warnlists *w, struct nr_warn_entry *e,
    struct nr_diag *d)
{
    e->plain = keep_lower(w, e->text);
    if (!e->plain.p)
        return no_memory(d);
    if (e->plain.n >= NR_WARN_GRAM) {
        bool longer = e->plain.n >= NR_WARN_LONG_GRAM;

        nr_warn_mark_gram(w, e);
        return chain(&w->grams[longer],
            nr_bytes_sub(e->plain, 0,
                longer ? NR_WARN_LONG_GRAM : NR_WARN_GRAM),
            e, d);
    }
    put_linear(w, e);
    return NR_OK;
}

/* "/.../i" as MISP writes them, or bare. */
static enum nr_err
put_regex(struct nr_warnlists *w, struct nr_warn_entry *e, struct nr_diag *d)
{
    struct nr_str s = e->text;
    struct nr_bytes pattern;
    const char *slash;

    if (s.n > 1 && s.p[0] == '/') {
        slash = memrchr(s.p + 1, '/', s.n - 1);
        if (slash)
            s = (struct nr_str){ s.p + 1, (size_t)(slash - s.p) - 1 };
    }
    pattern = nr_warn_keep(w, nr_bytes_of(s));
    e->regex = nr_new(&w->arena, regex_t, 1);
    if (!pattern.p || !e->regex)
        return no_memory(d);
    if (regcomp(e->regex, (const char *)pattern.p,
            REG_EXTENDED | REG_ICASE | REG_NOSUB) != 0)
        return nr_fail(d, NR_EFORMAT, 0,
            "warninglist: not a POSIX extended regular expression");
    put_linear(w, e);
    return NR_OK;
}

enum nr_err
nr_warn_put(struct nr_warnlists *w, struct nr_warn_list *list,
    struct nr_str text, struct nr_diag *d)
{
    struct nr_warn_entry *e = nr_new(&w->arena, struct nr_warn_entry, 1);
    struct nr_bytes kept = nr_warn_keep(w, nr_bytes_of(text));

    if (!w->filter)
        w->filter = nr_new(&w->arena, struct nr_warn_filter, 1);
    if (!e || !kept.p || !w->filter)
        return no_memory(d);
    if (text.n == 0)
        return nr_fail(d, NR_EFORMAT, 0, "warninglist: an empty entry");
    if (w->n_entries++ >= NR_WARN_ENTRIES_MAX)
        return nr_fail(d, NR_ELIMIT, 0,
            "warninglist: more than 4194304 entries");
    e->text = (struct nr_str){ (const char *)kept.p, kept.n };
    e->list = list;
    switch (list->type) {
    case NR_WARN_CIDR:
        return put_range(w, e, d);
    case NR_WARN_HOSTNAME:
    case NR_WARN_STRING:
        return put_name(w, e, d);
    case NR_WARN_SUBSTRING:
        return put_substring(w, e, d);
    case NR_WARN_REGEX:
        break;
    }
    return put_regex(w, e, d);
}

void
nr_warn_destroy(struct nr_warnlists *w)
{
    if (!w)
        return;
    for (struct nr_warn_entry *e = w->linear; e; e = e->next)
        if (e->regex)
            regfree(e->regex);
    nr_table_fini(&w->names);
    nr_table_fini(&w->nets);
    nr_table_fini(&w->grams[0]);
    nr_table_fini(&w->grams[1]);
    nr_table_fini(&w->allowed_names);
    nr_table_fini(&w->allowed_nets);
    nr_arena_fini(&w->arena);
    free(w);
}

size_t
nr_warn_list_count(const struct nr_warnlists *w)
{
    return w->n_lists;
}

size_t
nr_warn_entry_count(const struct nr_warnlists *w)
{
    return w->n_entries;
}

/* --- what the home excepts --- */

static enum nr_err
allow_range(struct nr_warnlists *w, struct nr_str what, struct nr_diag *d)
{
    struct nr_buf key;
    struct nr_bytes kept = { 0 };
    enum nr_err err;

    nr_buf_init(&key, NR_KEY_MAX);
    err = range_of(what, w->allowed_len4, w->allowed_len6, &key, d);
    if (err == NR_OK) {
        kept = nr_warn_keep(w, nr_buf_bytes(&key));
        if (!kept.p || !nr_table_put(&w->allowed_nets, kept, 1, NULL))
            err = no_memory(d);
    }
    nr_buf_fini(&key);
    return err;
}

void
nr_warn_count_in(struct nr_warnlists *w, struct nr_str name,
    struct nr_bytes text)
{
    w->version += nr_xxh64(text, nr_xxh64(nr_bytes_of(name), 0));
}

uint64_t
nr_warn_version(const struct nr_warnlists *w)
{
    if (!w)
        return 0;
    return w->version ? w->version : 1;
}

enum nr_err
nr_warn_allow(struct nr_warnlists *w, struct nr_str what, struct nr_diag *d)
{
    struct nr_buf key;
    struct nr_bytes kept;
    enum nr_err err;

    what = nr_str_trim(what);
    nr_warn_count_in(w, NR_STR("allow"), nr_bytes_of(what));
    for (size_t i = 0; i < w->n_lists; i++)
        if (nr_str_eq(w->lists[i]->name, what)) {
            w->lists[i]->allowed = true;
            return NR_OK;
        }
    err = allow_range(w, what, NULL);
    if (err != NR_EFORMAT)
        return err == NR_OK ? err : no_memory(d);
    nr_buf_init(&key, NR_KEY_MAX);
    err = nr_canon(NR_KIND_DOMAIN, what, &key, NULL);
    if (err == NR_OK) {
        kept = nr_warn_keep(w, nr_buf_bytes(&key));
        if (!kept.p || !nr_table_put(&w->allowed_names, kept, 1, NULL))
            err = NR_ENOMEM;
    }
    nr_buf_fini(&key);
    if (err == NR_EFORMAT)
        return nr_fail(d, NR_EFORMAT, 0,
            "allow: a range, an address, a domain or the name of a "
            "warninglist wanted");
    return err == NR_OK ? NR_OK : no_memory(d);
}
