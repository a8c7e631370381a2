/*
 * The parts of the sieve that run rarely: odd readings of names, addresses and
 * URLs, the kinds that few lines have, and names whose tail is listed.
 *
 * E-mail and IPv6 addresses are cut out by the scanner's own functions.
 */
#include "observable/rules.h"
#include "observable/sieve_int.h"

#include <string.h>

static bool
has_class(const struct nr_sieve *s, size_t at, uint8_t c)
{
    return nr_scan_class[s->p[at]] & c;
}

static bool
is_edge(uint8_t c)
{
    return c == '.' || c == '-';
}

/* The scanner at this place. */
static struct nr_scan
scanner(struct nr_sieve *s)
{
    s->tokens.n = 0;
    nr_buf_reset(&s->tokens.keys);
    return (struct nr_scan){
        .p = s->p,
        .n = s->n,
        .out = &s->tokens,
        .flags = NR_SCAN_PORTS, /* only adds readings */
        .v6_end = s->v6_end,
        .mail_end = s->mail_end,
    };
}

/* --- names --- */

static size_t
strip_end(const struct nr_sieve *s, size_t at, size_t end)
{
    while (end > at && is_edge(s->p[end - 1]))
        end--;
    return end;
}

static struct nr_bytes
strip_start(const struct nr_sieve *s, size_t at, size_t end)
{
    while (at < end && is_edge(s->p[at]))
        at++;
    return (struct nr_bytes){ s->p + at, end - at };
}

/* What an escape ate of the run at AT. */
static size_t
eaten(const struct nr_sieve *s, size_t at, size_t end)
{
    const struct nr_scan scan = { .p = s->p, .n = s->n };

    return nr_scan_eaten(&scan, at, end);
}

static void
push_tail(struct nr_sieve *s, struct nr_bytes name, size_t end)
{
    struct nr_bytes tail;

    if (name.n == 0)
        return;
    /* "f.0x.io" has a tail of three labels, "0x.io" itself one of two. */
    tail = nr_sieve_tail(name);
    do
        sieve_push(s, sieve_probe_tail(&s->keys, tail), end, SIEVE_NAME);
    while (nr_domain_up(&tail));
}

void
nr_sieve_odd_name(struct nr_sieve *s, size_t end)
{
    /* Three labels, or so much that what is cut off cannot matter. */
    const size_t enough = 2 * SIEVE_WINDOW;
    size_t stop = strip_end(s, 0, end), at = stop, dots = 0, eat;

    while (at > 0 && stop - at < enough && has_class(s, at - 1, NR_C_RUN)) {
        if (s->p[at - 1] == '.' && ++dots == 3)
            break;
        at--;
    }
    sieve_make_room(s);
    push_tail(s, strip_start(s, at, stop), end);
    eat = eaten(s, at, stop);
    if (eat)
        push_tail(s, strip_start(s, at + eat, stop), end);
}

static void
push_name(struct nr_sieve *s, struct nr_bytes name, size_t end)
{
    sieve_push_deep(s, nr_sieve_hash_name(&s->keys, name), end - 1);
}

void
nr_sieve_name(struct nr_sieve *s, size_t end)
{
    size_t stop = strip_end(s, 0, end), at = stop, dots = 0, eat;

    for (;
         at > 0 && stop - at <= NR_DOMAIN_MAX && has_class(s, at - 1, NR_C_RUN);
         at--)
        if (s->p[at - 1] == '.' && dots++ > 0)
            push_name(s, (struct nr_bytes){ s->p + at, stop - at }, end);
    if (stop - at > NR_DOMAIN_MAX)
        return;
    eat = eaten(s, at, stop);
    push_name(s, strip_start(s, at, stop), end);
    if (eat)
        push_name(s, strip_start(s, at + eat, stop), end);
}

static bool
is_listed(const struct nr_sieve *s, uint64_t h)
{
    for (size_t i = 0; i < s->n_sets; i++) {
        const struct nr_sieve_set *set = &s->sets[i];
        struct nr_sieve_find f = nr_sieve_find(set->slots, set->slots_n, h);
        uint32_t index;

        if (nr_sieve_next(set->slots, set->slots_n, &f, &index))
            return true;
    }
    return false;
}

void
nr_sieve_deep(struct nr_sieve *s)
{
    for (size_t i = 0; i < s->n_deep; i++)
        if (sieve_in_filter(s, s->deep_hash[i]) &&
            is_listed(s, s->deep_hash[i]))
            sieve_spot(s, s->deep_at[i]);
    s->n_deep = 0;
}

/* --- IPv4 --- */

static uint32_t
net_of(uint32_t a, unsigned len)
{
    return len == 0 ? 0 : a >> (32 - len) << (32 - len);
}

void
nr_sieve_quad(struct nr_sieve *s, uint32_t a, size_t at)
{
    sieve_make_room(s);
    sieve_push(s, sieve_probe_v4(&s->keys, NR_KIND_IPV4, a, 32), at,
        SIEVE_QUAD);
    for (uint64_t m = s->cidr4; m; m &= m - 1) {
        unsigned len = (unsigned)__builtin_ctzll(m);

        sieve_push(s,
            sieve_probe_v4(&s->keys, NR_KIND_CIDR4, net_of(a, len), len), at,
            SIEVE_QUAD);
    }
}

bool
nr_sieve_quad_is_listed(const struct nr_sieve *s, uint64_t h, uint32_t a)
{
    uint64_t lens = s->cidr4;
    unsigned kind = NR_KIND_IPV4, len = 32;
    uint8_t key[5];

    while (sieve_probe_v4(&s->keys, kind, net_of(a, len), len) != h) {
        if (!lens)
            return false;
        kind = NR_KIND_CIDR4;
        len = (unsigned)__builtin_ctzll(lens);
        lens &= lens - 1;
    }
    a = net_of(a, len);
    for (unsigned i = 0; i < 4; i++)
        key[i] = (uint8_t)(a >> (24 - 8 * i));
    key[4] = (uint8_t)len;
    return is_listed(s,
        nr_sieve_hash_key(&s->keys, kind,
            (struct nr_bytes){ key, kind == NR_KIND_IPV4 ? 4 : 5 }));
}

void
nr_sieve_odd_quad(struct nr_sieve *s, size_t at, size_t end)
{
    const uint8_t *p = s->p;
    size_t start = p[at - 1] == '%' ? at + 2 : at + 1;
    uint8_t a[4];
    uint32_t v;

    if (p[at - 1] != '%' && !(nr_scan_class[p[at - 1]] & NR_C_HEX))
        return;
    if (start >= end ||
        !nr_ipv4_parse(nr_bytes_sub((struct nr_bytes){ p, end }, start, end),
            a))
        return;
    v = (uint32_t)a[0] << 24 | (uint32_t)a[1] << 16 | (uint32_t)a[2] << 8 |
        a[3];
    if (sieve_in_nets(s, v >> 8))
        sieve_spot(s, end - 1); /* so rare that nothing more is asked */
}

/* --- URL --- */

void
nr_sieve_odd_url(struct nr_sieve *s, size_t at, size_t place)
{
    const uint8_t *p = s->p + at;
    uint8_t text[SIEVE_WINDOW];
    size_t n = 0, less;

    while (n < sizeof(text)) {
        if (p[0] == '\\' && p[1] == '/')
            p++;
        else if (!(nr_scan_class[*p] & NR_C_URL))
            break;
        text[n++] = *p++;
    }
    sieve_make_room(s);
    for (less = n; less > 0 && sieve_is_url_mark(text[less - 1]);)
        less--;
    /* With the option any head may be listed. */
    for (size_t k = n; k > 0; k--)
        if (k == n || k == less || (s->options & NR_SIEVE_URL_PREFIX))
            sieve_push(s,
                sieve_probe_start(&s->keys, NR_KIND_URL,
                    (struct nr_bytes){ text, k }),
                place, 0);
}

/* Many URLs begin as a listed one does. */
bool
nr_sieve_url_is_listed(struct nr_sieve *s, size_t at)
{
    struct nr_scan scan = scanner(s);
    uint64_t h[4]; /* whole and without a mark at its end; without scheme */
    size_t n = 0;

    if (s->options)
        return true;
    nr_scan_url(&scan, at - 2);
    for (size_t i = 0; i < s->tokens.n && n + 2 <= sizeof(h) / sizeof(*h);
         i++) {
        struct nr_bytes key = nr_token_key(&s->tokens, &s->tokens.v[i]);
        size_t scheme = nr_url_head(key) - 2;

        h[n++] = nr_sieve_hash_key(&s->keys, NR_KIND_URL, key);
        h[n++] = nr_sieve_hash_key(&s->keys, NR_KIND_URL,
            nr_bytes_sub(key, scheme, key.n));
    }
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < s->n_sets; k++)
            (void)nr_sieve_find(s->sets[k].slots, s->sets[k].slots_n,
                h[i]); /* fetches */
    for (size_t i = 0; i < n; i++)
        if (is_listed(s, h[i]))
            return true;
    return false;
}

/* --- e-mail, IPv6, hashes --- */

void
nr_sieve_email(struct nr_sieve *s, size_t at)
{
    struct nr_scan scan = scanner(s);

    sieve_make_room(s);
    nr_scan_email(&scan, at);
    s->mail_end = scan.mail_end;
    for (size_t i = 0; i < s->tokens.n; i++)
        sieve_push(s,
            nr_sieve_probe_email(&s->keys,
                nr_token_key(&s->tokens, &s->tokens.v[i])),
            at, 0);
}

static void
push_v6(struct nr_sieve *s, const uint8_t key[16], size_t at)
{
    sieve_push(s,
        sieve_probe_raw(&s->keys, sieve_salt_v6(NR_KIND_IPV6, 128), key), at,
        0);
    for (unsigned w = 0; w < 3; w++)
        for (uint64_t m = s->cidr6[w]; m; m &= m - 1) {
            unsigned len = w * 64 + (unsigned)__builtin_ctzll(m);
            uint8_t net[17] = { 0 }; /* one more, for a length of 128 */

            memcpy(net, key, 16);
            net[len / 8] &= (uint8_t) ~(0xff >> (len % 8));
            memset(net + len / 8 + 1, 0, 16 - len / 8);
            sieve_push(s,
                sieve_probe_raw(&s->keys, sieve_salt_v6(NR_KIND_CIDR6, len),
                    net),
                at, 0);
        }
}

void
nr_sieve_ipv6(struct nr_sieve *s, size_t at)
{
    struct nr_scan scan;

    if (at < s->v6_end)
        return;
    sieve_make_room(s); /* before: looking up scans, too */
    scan = scanner(s);
    nr_scan_ipv6(&scan, at);
    s->v6_end = scan.v6_end;
    if (s->tokens.n > 0)
        push_v6(s, nr_token_key(&s->tokens, &s->tokens.v[0]).p, at);
}

void
nr_sieve_hex(struct nr_sieve *s, size_t i)
{
    size_t at = i, end = i;
    uint8_t all = NR_C_HEX;
    unsigned kind;

    if (i < s->hex_end)
        return;
    for (; at > 0 && has_class(s, at - 1, NR_C_ALNUM); at--)
        all &= nr_scan_class[s->p[at - 1]];
    for (; end < s->n && has_class(s, end, NR_C_ALNUM); end++)
        all &= nr_scan_class[s->p[end]];
    s->hex_end = end;
    if (!all || (end - at != 32 && end - at != 40 && end - at != 64))
        return;
    kind = end - at == 32 ? NR_KIND_MD5
        : end - at == 40  ? NR_KIND_SHA1
                          : NR_KIND_SHA256;
    sieve_make_room(s);
    sieve_push(s,
        sieve_probe_start(&s->keys, kind,
            (struct nr_bytes){ s->p + at, SIEVE_WINDOW }),
        i, 0);
}

/* --- text that is not ASCII, or disarmed --- */

/* A name in U-labels has a dot in its run; behind it stands a top-level domain
 * in ASCII, unless one that is not is listed. */
void
nr_sieve_high(struct nr_sieve *s, size_t at)
{
    const uint8_t *p = s->p;
    size_t start = at, end = at;
    bool found = false;

    if (at < s->high_end)
        return;
    while (start > s->high_end &&
        (p[start - 1] >= 0x80 || has_class(s, start - 1, NR_C_RUN)))
        start--;
    while (end < s->n && (p[end] >= 0x80 || has_class(s, end, NR_C_RUN)))
        end++;
    s->high_end = end;
    for (size_t i = start; i + 1 < end; i++)
        found = found ||
            (p[i] == '.' &&
                (nr_is_alpha(p[i + 1]) ||
                    (p[i + 1] >= 0x80 && (s->traits & NR_SIEVE_XN_TLD))));
    if (found)
        sieve_spot(s, at);
}

/* Does a disarmed scheme end before the ':' at P? "hxxp", "hxtp", "htxp",
 * "h**p", "fxp", and with an "s". Also says so of other words, rarely. */
static bool
is_disarmed(const uint8_t *p)
{
    if (nr_lower(p[-1]) == 's')
        p--;
    return nr_lower(p[-1]) == 'p' &&
        (nr_lower(p[-2]) == 'x' || p[-2] == '*' ||
            (nr_lower(p[-2]) == 't' && nr_lower(p[-3]) == 'x'));
}

void
nr_sieve_fangs(struct nr_sieve *s, size_t from, size_t to)
{
    const uint8_t *p = s->p;

    for (size_t i = from; i < to; i++)
        switch (p[i]) {
        case '[':
        case '(':
        case '{':
            if (p[i + 1] && strchr(".:/@dDaA", p[i + 1]))
                sieve_spot(s, i);
            break;
        case '\\':
            if (p[i + 1] == '.')
                sieve_spot(s, i);
            break;
        case ':':
            if (is_disarmed(p + i))
                sieve_spot(s, i);
            break;
        default:
            break;
        }
}
