/*
 * Is a value in a warninglist? First bits that answer "no" for nearly all, then
 * the tables.
 */
#include "observable/warn.h"

#include "base/hash.h"
#include "base/num.h"
#include "observable/rules.h"

#include <string.h>

#define SUFFIXES   ((size_t)32)  /* of a text that are asked about together */
#define SHOWN_MAX  ((size_t)129) /* octets of a short text with its NUL */
#define NAME_PRIME UINT64_C(0x9fb21c651e98df25)

/* --- the bits --- */

static inline uint64_t
name_step(uint64_t h, uint8_t c)
{
    return (h ^ c) * NAME_PRIME;
}

static inline size_t
bit_word(uint64_t h)
{
    return (size_t)(h >> 50);
}

_Static_assert(NR_WARN_WORDS == (size_t)1 << (64 - 50), "bit_word");

static inline uint64_t
bits_of(uint64_t h)
{
    return UINT64_C(1) << (h >> 44 & 63) | UINT64_C(1) << (h >> 38 & 63);
}

static inline bool
may_be(const uint64_t *filter, uint64_t h)
{
    return (filter[bit_word(h)] & bits_of(h)) == bits_of(h);
}

void
nr_warn_mark_name(struct nr_warnlists *w, const struct nr_warn_entry *e,
    struct nr_bytes name)
{
    struct nr_warn_filter *f = w->filter;
    uint64_t h = 0;

    for (size_t i = name.n; i-- > 0;)
        h = name_step(h, name.p[i]);
    f->whole[bit_word(h)] |= bits_of(h);
    if (e->below)
        f->below[bit_word(h)] |= bits_of(h);
    if (name.n > 0)
        f->ends[name.p[name.n - 1]] = true;
    f->name_kinds |= e->list->kinds;
}

/* N is NR_WARN_GRAM or NR_WARN_LONG_GRAM: loaded as two halves that overlap. */
static inline uint64_t
gram_hash(const uint8_t *p, size_t n)
{
    uint32_t a, b;
    uint64_t h;

    memcpy(&a, p, sizeof(a));
    memcpy(&b, p + n - sizeof(b), sizeof(b));
    h = ((uint64_t)a << 32 | b) * NAME_PRIME;
    return (h ^ h >> 32) * NAME_PRIME;
}

void
nr_warn_mark_gram(struct nr_warnlists *w, const struct nr_warn_entry *e)
{
    bool longer = e->plain.n >= NR_WARN_LONG_GRAM;
    uint64_t h = gram_hash(e->plain.p,
        longer ? NR_WARN_LONG_GRAM : NR_WARN_GRAM);

    w->filter->grams[longer][bit_word(h)] |= bits_of(h);
    w->filter->gram_kinds[longer] |= e->list->kinds;
}

/* Of a range of LEN bits; P has 4 or 16 octets, zeros behind the bits. */
static inline uint64_t
range_hash(const uint8_t *p, size_t octets, size_t len)
{
    uint64_t a = 0, b = 0;

    if (octets == 16) {
        memcpy(&a, p, sizeof(a));
        memcpy(&b, p + 8, sizeof(b));
    } else {
        uint32_t v;

        memcpy(&v, p, sizeof(v));
        b = v;
    }
    a = (a ^ len ^ octets << 8) * NAME_PRIME;
    b = (a ^ a >> 32 ^ b) * NAME_PRIME;
    return (b ^ b >> 32) * NAME_PRIME;
}

static uint32_t
net24(struct nr_bytes net)
{
    return (uint32_t)net.p[0] << 16 | (uint32_t)net.p[1] << 8 | net.p[2];
}

void
nr_warn_mark_net(struct nr_warnlists *w, struct nr_bytes net)
{
    uint32_t at = net24(net), n = 1;

    uint64_t h = range_hash(net.p, net.n - 1, net.p[net.n - 1]);

    w->filter->ranges[bit_word(h)] |= bits_of(h);
    if (net.n != 5)
        return;
    if (net.p[4] < 24)
        n <<= 24 - net.p[4];
    for (uint32_t i = at; i - at < n; i++)
        w->filter->nets[i / 64] |= UINT64_C(1) << (i & 63);
}

/* --- the tables --- */

static struct nr_warn_entry *
chained(const struct nr_table *t, struct nr_bytes key)
{
    const uint64_t *slot = nr_table_get(t, key);

    return slot ? (struct nr_warn_entry *)(uintptr_t)*slot : NULL;
}

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
        if (len <= net.p[octets] && has[len] &&
            (!q ||
                may_be(q->w->filter->ranges, range_hash(key, octets, len)))) {
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

/* The entries of NAME; not WHOLE: those that hold for what is below them. */
static bool
ask_name(const struct question *q, struct nr_bytes name, bool whole)
{
    for (struct nr_warn_entry *e = chained(&q->w->names, name); e; e = e->next)
        if ((whole || e->below) && answer(q, e))
            return true;
    return false;
}

/* A text of many dots: each suffix by the table. */
static bool
ask_suffixes(const struct question *q, struct nr_bytes name)
{
    for (;;) {
        const uint8_t *dot = name.n ? memchr(name.p, '.', name.n) : NULL;

        if (!dot || (size_t)(dot - name.p) + 1 == name.n)
            return false;
        name = nr_bytes_sub(name, (size_t)(dot - name.p) + 1, name.n);
        if (ask_name(q, name, false))
            return true;
    }
}

static bool
ask_names(const struct question *q, struct nr_bytes name)
{
    const struct nr_warn_filter *f = q->w->filter;
    size_t maybe[SUFFIXES], n = 0;
    uint64_t h = 0;

    if (!(f->name_kinds & q->bit) || name.n == 0 ||
        !f->ends[name.p[name.n - 1]])
        return false;
    for (size_t i = name.n; i-- > 0;) {
        if (name.p[i] == '.' && i + 1 < name.n && may_be(f->below, h)) {
            if (n == SUFFIXES)
                return ask_name(q, name, true) || ask_suffixes(q, name);
            maybe[n++] = i + 1;
        }
        h = name_step(h, name.p[i]);
    }
    if (may_be(f->whole, h) && ask_name(q, name, true))
        return true;
    while (n-- > 0)
        if (ask_name(q, nr_bytes_sub(name, maybe[n], name.n), false))
            return true;
    return false;
}

static bool
ask_grams(const struct question *q, struct nr_bytes text, bool longer)
{
    const uint64_t *filter = q->w->filter->grams[longer];
    size_t n = longer ? NR_WARN_LONG_GRAM : NR_WARN_GRAM;

    if (!(q->w->filter->gram_kinds[longer] & q->bit))
        return false;
    for (size_t i = 0; i + n <= text.n; i++) {
        if (!may_be(filter, gram_hash(text.p + i, n)))
            continue;
        for (struct nr_warn_entry *e =
                 chained(&q->w->grams[longer], nr_bytes_sub(text, i, i + n));
             e; e = e->next)
            if (nr_bytes_starts(nr_bytes_sub(text, i, text.n), e->plain) &&
                answer(q, e))
                return true;
    }
    return false;
}

/* Short substrings and regular expressions. TEXT ends in a NUL that is not
 * counted. */
static bool
ask_linear(const struct question *q, struct nr_bytes text)
{
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
        return w->allowed_nets.n > 0 &&
            ask_nets(NULL, &w->allowed_nets, w->allowed_len4, w->allowed_len6,
                net);
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

/* Would reading KEY as one of KIND stay within it? */
static bool
has_size(enum nr_kind kind, struct nr_bytes key)
{
    switch ((unsigned)kind) {
    case NR_KIND_IPV4:
        return key.n == 4;
    case NR_KIND_IPV6:
        return key.n == 16;
    case NR_KIND_CIDR4:
        return key.n == 5 && key.p[4] <= 32;
    case NR_KIND_CIDR6:
        return key.n == 17 && key.p[16] <= 128;
    case NR_KIND_DOMAIN:
    case NR_KIND_EMAIL:
    case NR_KIND_URL:
        return key.n > 0 && key.n <= NR_KEY_MAX;
    default:
        return nr_key_is_sound((unsigned)kind, key);
    }
}

static bool
ask_net(const struct question *q, struct nr_bytes net)
{
    uint32_t at = net24(net);

    if (net.n == 5 && !(q->w->filter->nets[at / 64] >> (at & 63) & 1))
        return false;
    return ask_nets(q, &q->w->nets, q->w->has_len4, q->w->has_len6, net);
}

static size_t
print_ipv4(const uint8_t a[4], char *to)
{
    size_t n = 0;

    for (unsigned i = 0; i < 4; i++) {
        if (a[i] >= 100)
            to[n++] = (char)('0' + a[i] / 100);
        if (a[i] >= 10)
            to[n++] = (char)('0' + a[i] / 10 % 10);
        to[n++] = (char)('0' + a[i] % 10);
        to[n++] = '.';
    }
    return n - 1;
}

/* The text of KEY, as nr_canon_print() gives it: in KEY, in SHORT_TEXT or in
 * BUF. Not ended by a NUL. */
static struct nr_bytes
text_of(enum nr_kind kind, struct nr_bytes key, char short_text[SHOWN_MAX],
    struct nr_buf *buf)
{
    if (kind == NR_KIND_DOMAIN || kind == NR_KIND_EMAIL ||
        (kind == NR_KIND_URL && key.p[0] != '/'))
        return key;
    if (kind == NR_KIND_MD5 || kind == NR_KIND_SHA1 || kind == NR_KIND_SHA256) {
        nr_hex_print(key, short_text);
        return (struct nr_bytes){ (const uint8_t *)short_text, 2 * key.n };
    }
    if (kind == NR_KIND_IPV4)
        return (struct nr_bytes){ (const uint8_t *)short_text,
            print_ipv4(key.p, short_text) };
    nr_canon_print(kind, key, buf);
    return nr_buf_bytes(buf);
}

static bool
ask_text(const struct question *q, enum nr_kind kind, struct nr_bytes key)
{
    const struct nr_warn_filter *f = q->w->filter;
    char short_text[SHOWN_MAX];
    struct nr_bytes text;
    struct nr_buf buf;
    bool listed;

    nr_buf_init(&buf, 2 * NR_KEY_MAX);
    text = text_of(kind, key, short_text, &buf);
    listed = buf.err == NR_OK &&
        ((kind != NR_KIND_DOMAIN && ask_names(q, text)) ||
            ask_grams(q, text, true) || ask_grams(q, text, false));
    if (!listed && f->linear_kinds & q->bit) {
        nr_buf_reset(&buf);
        nr_canon_print(kind, key, &buf);
        listed = nr_buf_cstr(&buf) && ask_linear(q, nr_buf_bytes(&buf));
    }
    nr_buf_fini(&buf);
    return listed;
}

bool
nr_warn_check(const struct nr_warnlists *w, enum nr_kind kind,
    struct nr_bytes key, struct nr_warn_hit *hit)
{
    struct question q = { .w = w, .bit = 1u << (unsigned)kind, .hit = hit };
    struct nr_bytes net = { 0 }, host = { 0 };
    uint8_t net_buf[17];

    if (!w || !w->filter || !has_size(kind, key))
        return false;
    find_host(kind, key, net_buf, &net, &host);
    if (is_allowed(w, net, host))
        return false;
    if (net.n > 0 && ask_net(&q, net))
        return true;
    if (host.n > 0 && ask_names(&q, host))
        return true;
    return ask_text(&q, kind, key);
}
