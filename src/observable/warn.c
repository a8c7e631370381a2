/*
 * Warninglists: three hash tables, so that a value costs a handful of look-ups
 * however many lists there are. Names are found under each of their suffixes,
 * addresses under each prefix length in use, substrings by their first four
 * octets at every offset of the text.
 */
#include "observable/warn.h"

#include "base/hash.h"
#include "observable/rules.h"

#include <stdlib.h>
#include <string.h>

#define GRAM ((size_t)4) /* octets by which substrings are found */

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

static struct nr_warn_entry *
chained(const struct nr_table *t, struct nr_bytes key)
{
    const uint64_t *slot = nr_table_get(t, key);

    return slot ? (struct nr_warn_entry *)(uintptr_t)*slot : NULL;
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
    if (err == NR_OK)
        err = chain(&w->nets, nr_warn_keep(w, nr_buf_bytes(&key)), e, d);
    nr_buf_fini(&key);
    return err;
}

static enum nr_err
put_name(struct nr_warnlists *w, struct nr_warn_entry *e, struct nr_diag *d)
{
    struct nr_str s = e->text;

    e->below = e->list->type == NR_WARN_HOSTNAME;
    if (s.n > 1 && s.p[0] == '.') {
        e->below = true;
        s = (struct nr_str){ s.p + 1, s.n - 1 };
    }
    return chain(&w->names, keep_lower(w, s), e, d);
}

static enum nr_err
put_substring(struct nr_warnlists *w, struct nr_warn_entry *e,
    struct nr_diag *d)
{
    e->plain = keep_lower(w, e->text);
    if (!e->plain.p)
        return no_memory(d);
    if (e->plain.n >= GRAM)
        return chain(&w->grams, nr_bytes_sub(e->plain, 0, GRAM), e, d);
    e->next = w->linear;
    w->linear = e;
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
    e->next = w->linear;
    w->linear = e;
    return NR_OK;
}

enum nr_err
nr_warn_put(struct nr_warnlists *w, struct nr_warn_list *list,
    struct nr_str text, struct nr_diag *d)
{
    struct nr_warn_entry *e = nr_new(&w->arena, struct nr_warn_entry, 1);
    struct nr_bytes kept = nr_warn_keep(w, nr_bytes_of(text));

    if (!e || !kept.p)
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
    nr_table_fini(&w->grams);
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

/* --- checking --- */

struct question {
    const struct nr_warnlists *w;
    unsigned bit; /* 1 << kind asked about */
    struct nr_warn_hit *hit;
};

static bool
answer(const struct question *q, const struct nr_warn_entry *e)
{
    if (e->list->allowed || !(e->list->kinds & q->bit))
        return false;
    *q->hit = (struct nr_warn_hit){ .list = e->list->name,
        .title = e->list->title,
        .entry = e->text };
    return true;
}

/* The longest range of the table that holds NET ("address, length"), by way of
 * ASK; the table's values are entries, or just marks when ASK is NULL. */
static bool
ask_nets(const struct question *q, const struct nr_table *t, const bool *has4,
    const bool *has6, struct nr_bytes net)
{
    size_t octets = net.n - 1;
    const bool *has = octets == 4 ? has4 : has6;
    uint8_t key[17];

    memcpy(key, net.p, octets);
    for (size_t len = octets * 8;; len--) {
        key[octets] = (uint8_t)len;
        if (len <= net.p[octets] && has[len]) {
            struct nr_bytes k = { key, net.n };

            if (!q && nr_table_get(t, k))
                return true;
            for (struct nr_warn_entry *e = q ? chained(t, k) : NULL; e;
                 e = e->next)
                if (answer(q, e))
                    return true;
        }
        if (len == 0)
            return false;
        key[(len - 1) / 8] &= (uint8_t) ~(0x80 >> ((len - 1) % 8));
    }
}

static bool
ask_names(const struct question *q, struct nr_bytes name)
{
    bool whole = true;

    for (;;) {
        const uint8_t *dot;

        for (struct nr_warn_entry *e = chained(&q->w->names, name); e;
             e = e->next)
            if ((whole || e->below) && answer(q, e))
                return true;
        whole = false;
        dot = name.n ? memchr(name.p, '.', name.n) : NULL;
        if (!dot || (size_t)(dot - name.p) + 1 == name.n)
            return false;
        name = nr_bytes_sub(name, (size_t)(dot - name.p) + 1, name.n);
    }
}

/* Whole text: substrings and regular expressions. TEXT ends in a NUL that is
 * not counted. */
static bool
ask_text(const struct question *q, struct nr_bytes text)
{
    for (size_t i = 0; i + GRAM <= text.n && q->w->grams.n > 0; i++)
        for (struct nr_warn_entry *e =
                 chained(&q->w->grams, nr_bytes_sub(text, i, i + GRAM));
             e; e = e->next)
            if (nr_bytes_starts(nr_bytes_sub(text, i, text.n), e->plain) &&
                answer(q, e))
                return true;
    for (const struct nr_warn_entry *e = q->w->linear; e; e = e->next) {
        bool in = e->regex
            ? regexec(e->regex, (const char *)text.p, 0, NULL, 0) == 0
            : memmem(text.p, text.n, e->plain.p, e->plain.n) != NULL;

        if (in && answer(q, e))
            return true;
    }
    return false;
}

/* The range of a host that is an address; false: it is a name. */
static bool
host_net(struct nr_bytes host, uint8_t net[17], struct nr_bytes *out)
{
    if (nr_ipv4_parse(host, net)) {
        net[4] = 32;
        *out = (struct nr_bytes){ net, 5 };
        return true;
    }
    if (nr_ipv6_parse(host, false, net)) {
        net[16] = 128;
        *out = (struct nr_bytes){ net, 17 };
        return true;
    }
    return false;
}

static bool
is_allowed(const struct nr_warnlists *w, struct nr_bytes net,
    struct nr_bytes host)
{
    if (net.n > 0)
        return ask_nets(NULL, &w->allowed_nets, w->allowed_len4,
            w->allowed_len6, net);
    if (host.n == 0 || w->allowed_names.n == 0)
        return false;
    do
        if (nr_table_get(&w->allowed_names, host))
            return true;
    while (nr_domain_up(&host));
    return false;
}

/* Where a value is or names a host: its range, or its name. */
static void
find_host(enum nr_kind kind, struct nr_bytes key, uint8_t net_buf[17],
    struct nr_bytes *net, struct nr_bytes *host)
{
    const uint8_t *at;

    if (kind == NR_KIND_IPV4 || kind == NR_KIND_IPV6) {
        memcpy(net_buf, key.p, key.n);
        net_buf[key.n] = (uint8_t)(key.n * 8);
        *net = (struct nr_bytes){ net_buf, key.n + 1 };
    } else if (kind == NR_KIND_CIDR4 || kind == NR_KIND_CIDR6) {
        *net = key;
    } else if (kind == NR_KIND_DOMAIN) {
        *host = key;
    } else if (kind == NR_KIND_EMAIL) {
        at = memrchr(key.p, '@', key.n);
        *host = at ? nr_bytes_sub(key, (size_t)(at - key.p) + 1, key.n) : *host;
    } else if (kind == NR_KIND_URL) {
        *host = nr_authority_host(nr_url_authority(key, nr_url_head(key)));
        if (host_net(*host, net_buf, net))
            *host = (struct nr_bytes){ 0 };
    }
}

bool
nr_warn_check(const struct nr_warnlists *w, enum nr_kind kind,
    struct nr_bytes key, struct nr_warn_hit *hit)
{
    struct question q = { .w = w, .bit = 1u << kind, .hit = hit };
    struct nr_bytes net = { 0 }, host = { 0 };
    uint8_t net_buf[17];
    struct nr_buf text;
    bool listed;

    if (!w || !nr_key_is_sound((unsigned)kind, key))
        return false;
    find_host(kind, key, net_buf, &net, &host);
    if (is_allowed(w, net, host))
        return false;
    if (net.n > 0 && ask_nets(&q, &w->nets, w->has_len4, w->has_len6, net))
        return true;
    if (host.n > 0 && ask_names(&q, host))
        return true;
    nr_buf_init(&text, 2 * NR_KEY_MAX);
    nr_canon_print(kind, key, &text);
    listed = nr_buf_cstr(&text) &&
        ((kind != NR_KIND_DOMAIN && ask_names(&q, nr_buf_bytes(&text))) ||
            ask_text(&q, nr_buf_bytes(&text)));
    nr_buf_fini(&text);
    return listed;
}
