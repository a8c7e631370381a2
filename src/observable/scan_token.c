/*
 * The tokens of one place in a block: the rules of the scanner, whichever way
 * the place was found.
 */
#include "observable/scan.h"

#include "observable/rules.h"

#include <string.h>

/* Octet -> classes. Written by a script from the definitions in scan.h; the
 * unit test compares it with them. */
const uint8_t nr_scan_class[256] = {
    /* clang-format off */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 8, 0, 8, 8, 8, 8, 0, 8, 8, 8, 24, 8, 25, 25, 8,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 40, 8, 0, 8, 0, 8,
    40, 31, 31, 31, 31, 31, 31, 27, 27, 27, 27, 27, 27, 27, 27, 27,
    27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 8, 0, 8, 0, 25,
    0, 31, 31, 31, 31, 31, 31, 27, 27, 27, 27, 27, 27, 27, 27, 27,
    27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 0, 0, 0, 8, 0,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32, 32,
    /* clang-format on */
};

static void
copy_lower(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = nr_lower(from[i]);
}

size_t
nr_scan_eaten(const struct nr_scan *s, size_t at, size_t end)
{
    const uint8_t *p = s->p;

    if (at == 0)
        return 0;
    if (p[at - 1] == '%')
        return end - at > 2 && (nr_scan_class[p[at]] & NR_C_HEX) &&
                (nr_scan_class[p[at + 1]] & NR_C_HEX)
            ? 2
            : 0;
    if (p[at - 1] == '\\')
        return p[at] == 'n' || p[at] == 'r' || p[at] == 't' ? 1 : 0;
    return 0;
}

size_t
nr_scan_name_start(const uint8_t *p, size_t at, size_t end)
{
    size_t start = at, label = at, dots = 0;
    uint8_t tld[NR_LABEL_MAX];

    if (end - at > NR_DOMAIN_MAX) {
        const uint8_t *dot = memchr(p + (end - NR_DOMAIN_MAX - 1), '.',
            NR_DOMAIN_MAX);

        if (!dot)
            return end;
        start = label = (size_t)(dot - p) + 1;
    }
    for (size_t i = label; i < end; i++) {
        if (p[i] != '.')
            continue;
        dots++;
        if (i == label || i - label > NR_LABEL_MAX) {
            start = i + 1;
            dots = 0;
        }
        label = i + 1;
    }
    if (dots == 0 || end - label > NR_LABEL_MAX)
        return end;
    copy_lower(tld, p + label, end - label);
    return nr_tld_is_sound((struct nr_bytes){ tld, end - label }) ? start : end;
}

/* One reading of a run: an IPv4 address, or else a name. */
static void
name(struct nr_scan *s, size_t at, size_t end)
{
    const uint8_t *p = s->p;
    uint8_t addr[4], *key;

    while (at < end && (p[at] == '.' || p[at] == '-'))
        at++;
    while (at < end && (p[end - 1] == '.' || p[end - 1] == '-'))
        end--;
    if (end - at < 4)
        return; /* "a.bc" is the shortest */
    if (nr_is_digit(p[end - 1]) && nr_is_digit(p[at]) &&
        nr_ipv4_parse((struct nr_bytes){ p + at, end - at }, addr)) {
        nr_tokens_put(s->out, NR_KIND_IPV4, s->line, at, end - at, addr, 4);
        return;
    }
    at = nr_scan_name_start(p, at, end);
    if (at == end)
        return;
    key = nr_tokens_put(s->out, NR_KIND_DOMAIN, s->line, at, end - at, NULL,
        end - at);
    if (key)
        copy_lower(key, p + at, end - at);
}

/* Hashes among the maximal letters-and-digits parts of a run. */
static void
hashes(struct nr_scan *s, size_t at, size_t end)
{
    const uint8_t *p = s->p;

    while (at < end) {
        size_t i = at, n;
        uint8_t all = NR_C_HEX, raw[32];
        enum nr_kind kind;

        for (; i < end && (nr_scan_class[p[i]] & NR_C_ALNUM); i++)
            all &= nr_scan_class[p[i]];
        n = i - at;
        if (all && (n == 32 || n == 40 || n == 64)) {
            kind = n == 32 ? NR_KIND_MD5
                : n == 40  ? NR_KIND_SHA1
                           : NR_KIND_SHA256;
            for (size_t k = 0; k < n / 2; k++)
                raw[k] = (uint8_t)(nr_hex_value(p[at + 2 * k]) << 4 |
                    nr_hex_value(p[at + 2 * k + 1]));
            nr_tokens_put(s->out, kind, s->line, at, n, raw, n / 2);
            if (n == 32 && (s->flags & NR_SCAN_JA3))
                nr_tokens_put(s->out, NR_KIND_JA3, s->line, at, n, raw, 16);
        }
        at = i + 1;
    }
}

/* tcpdump's "1.2.3.4.443" and "evil.com.443": the text less a last label that
 * is the number of a port; END when it is none. refrules.py: ported(). */
static size_t
before_port(const uint8_t *p, size_t at, size_t end)
{
    size_t i = end, n;
    uint32_t port = 0;

    while (i > at && nr_is_digit(p[i - 1]))
        i--;
    n = end - i;
    if (n == 0 || n > 5 || p[i] == '0' || i == at || p[i - 1] != '.')
        return end;
    for (size_t k = i; k < end; k++)
        port = port * 10 + (uint32_t)(p[k] - '0');
    return port <= UINT16_MAX ? i - 1 : end;
}

/* "10.0.0.1-10.0.0.9" and "10.0.0.1-9": its two ends. What lies between them
 * does not stand in the line. refrules.py: ranged(). */
static void
range(struct nr_scan *s, size_t at, size_t end)
{
    const uint8_t *p = s->p;
    const uint8_t *dash = memchr(p + at, '-', end - at);
    size_t mid = dash ? (size_t)(dash - p) : end, n;
    uint8_t a[4], b[4];
    unsigned v = 0;

    if (!dash ||
        !nr_ipv4_parse(nr_bytes_sub((struct nr_bytes){ p, end }, at, mid), a))
        return;
    n = end - mid - 1;
    if (!nr_ipv4_parse((struct nr_bytes){ p + mid + 1, n }, b)) {
        for (size_t i = mid + 1; i < end; i++) {
            if (!nr_is_digit(p[i]))
                return;
            v = v * 10 + (unsigned)(p[i] - '0');
            if (v > 255)
                return;
        }
        if (n == 0 || n > 3 || (n > 1 && p[mid + 1] == '0') || v < a[3])
            return;
        memcpy(b, a, 3);
        b[3] = (uint8_t)v;
    }
    nr_tokens_put(s->out, NR_KIND_IPV4, s->line, at, mid - at, a, 4);
    nr_tokens_put(s->out, NR_KIND_IPV4, s->line, mid + 1, n, b, 4);
}

/* The readings of a run that options add. */
static void
more_names(struct nr_scan *s, size_t at, size_t end)
{
    const uint8_t *p = s->p;

    while (at < end && (p[at] == '.' || p[at] == '-'))
        at++;
    while (at < end && (p[end - 1] == '.' || p[end - 1] == '-'))
        end--;
    if (s->flags & NR_SCAN_RANGES)
        range(s, at, end);
    if (s->flags & NR_SCAN_PORTS) {
        size_t cut = before_port(p, at, end);

        if (cut < end)
            name(s, at, cut);
    }
}

void
nr_scan_words(struct nr_scan *s, size_t at, size_t end)
{
    const unsigned options = NR_SCAN_RANGES | NR_SCAN_PORTS;

    if (memchr(s->p + at, '.', end - at)) {
        size_t eat = nr_scan_eaten(s, at, end);

        name(s, at, end);
        if (eat)
            name(s, at + eat, end);
        if (s->flags & options)
            more_names(s, at, end);
        if (eat && (s->flags & options))
            more_names(s, at + eat, end);
    }
    if (end - at >= 32)
        hashes(s, at, end);
}

void
nr_scan_run(struct nr_scan *s, size_t at, size_t end)
{
    nr_scan_words(s, at, end);
    if (s->flags & NR_SCAN_MORE)
        nr_scan_more((struct nr_bytes){ s->p, s->n }, at, end, s->line, s->out);
}

/* Start of the scheme that ends before the ':' at AT; AT when there is none.
 * Not preceded by a letter or digit. */
static size_t
scheme_start(const struct nr_scan *s, size_t at)
{
    static const struct nr_bytes schemes[] = {
        { (const uint8_t *)"http", 4 },
        { (const uint8_t *)"https", 5 },
        { (const uint8_t *)"ftp", 3 },
    };

    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        size_t n = schemes[i].n;
        struct nr_bytes b;

        if (at < n ||
            (at > n && (nr_scan_class[s->p[at - n - 1]] & NR_C_ALNUM)))
            continue;
        b = (struct nr_bytes){ s->p + at - n, n };
        if (nr_bytes_eq_nocase(b, schemes[i]))
            return at - n;
    }
    return at;
}

/* How much of the URL that K is an indicator may have and still match: without
 * the query (NR_SCAN_URL_BARE); up to a border (NR_SCAN_URL_PREFIX). The keys
 * are heads of K's. refrules.py: url_heads(). */
static void
put_url_heads(struct nr_scan *s, struct nr_token k, size_t authority_end)
{
    size_t heads = 0;
    bool in_query = false;

    for (size_t n = authority_end; n < k.key_n && heads < NR_URL_HEADS_MAX;
         n++) {
        const uint8_t *u = s->out->keys.p + k.key_at;
        bool bare = !in_query && (u[n] == '?' || u[n] == '#');
        bool border = u[n] == '/' || u[n] == '?' || u[n] == '#' ||
            u[n] == '&' ||
            (n > authority_end &&
                (u[n - 1] == '/' || u[n - 1] == '?' || u[n - 1] == '#' ||
                    u[n - 1] == '&' || u[n - 1] == '='));
        struct nr_token head = k;

        in_query = in_query || bare;
        if (!(bare && (s->flags & NR_SCAN_URL_BARE)) &&
            !(border && (s->flags & NR_SCAN_URL_PREFIX)))
            continue;
        head.key_n = (uint32_t)n;
        nr_tokens_put_shared(s->out, head);
        heads++;
    }
}

/* The URL token of [AT, END): "\/" reads as "/", scheme and authority in lower
 * case. Nothing when no canonical URL can equal it. */
static void
put_url(struct nr_scan *s, size_t at, size_t end, bool heads)
{
    const uint8_t *p = s->p;
    size_t n = 0, head, key_at = s->out->keys.n;
    struct nr_bytes authority, key;
    uint8_t *room;

    /* At most every '/' is escaped, which doubles it. */
    if (end - at > 2 * NR_URL_MAX)
        return;
    room = nr_tokens_put(s->out, NR_KIND_URL, s->line, at, end - at, NULL,
        end - at);
    if (!room)
        return;
    for (size_t i = at; i < end; i++)
        if (p[i] != '\\')
            room[n++] = p[i];
    key = (struct nr_bytes){ room, n };
    head = nr_url_head(key);
    authority = nr_url_authority(key, head);
    if (authority.n == 0 || n > NR_URL_MAX || nr_is_fanged_off(authority)) {
        s->out->n--;
        s->out->keys.n = key_at;
        return;
    }
    copy_lower(room, room, head + authority.n);
    s->out->keys.n = key_at + n;
    s->out->v[s->out->n - 1].key_n = (uint32_t)n;
    if (heads)
        put_url_heads(s, s->out->v[s->out->n - 1], head + authority.n);
}

void
nr_scan_url(struct nr_scan *s, size_t at)
{
    const uint8_t *p = s->p;
    size_t i = at + 1, start, end;
    bool heads = s->flags & (NR_SCAN_URL_BARE | NR_SCAN_URL_PREFIX);

    if (at < s->url_end)
        return;
    if (s->n - at >= 3 && p[i] == '/' && p[i + 1] == '/')
        i += 2;
    else if (s->n - at >= 5 && memcmp(p + i, "\\/\\/", 4) == 0)
        i += 4;
    else
        return;
    start = scheme_start(s, at);
    if (start == at)
        return;
    for (end = i; end < s->n; end++)
        if (p[end] == '\\' && end + 1 < s->n && p[end + 1] == '/')
            end++;
        else if (!(nr_scan_class[p[end]] & NR_C_URL))
            break;
    if (end == i)
        return;
    s->url_end = end;
    put_url(s, start, end, heads);
    for (i = end; i > start && p[i - 1] && strchr(".,;:!?)]", p[i - 1]);)
        i--;
    if (i < end)
        put_url(s, start, i, false);
}

/* Is what goes on at AT the end of an address, not more of it? tcpdump writes
 * the port behind a dot. refrules.py: ends_v6(). */
static bool
ends_v6(const struct nr_scan *s, size_t at)
{
    const uint8_t *p = s->p;
    size_t i = at + 1;

    if (at == s->n)
        return true;
    if (nr_scan_class[p[at]] & NR_C_ALNUM)
        return false;
    if (p[at] != '.' || i == s->n || !(nr_scan_class[p[i]] & NR_C_ALNUM))
        return true;
    if (!(s->flags & NR_SCAN_PORTS))
        return false;
    while (i < s->n && (nr_scan_class[p[i]] & NR_C_RUN))
        i++;
    while (p[i - 1] == '.' || p[i - 1] == '-')
        i--;
    return before_port(p, at, i) == at;
}

/* The maximal hex digits and colons around AT. refmatch.py: ADDR6 and what
 * follows it. */
void
nr_scan_ipv6(struct nr_scan *s, size_t at)
{
    const uint8_t *p = s->p;
    size_t a = at, b = at + 1, colons = 1;
    uint8_t addr[16];

    if (at < s->v6_end)
        return;
    for (; b < s->n && ((nr_scan_class[p[b]] & NR_C_HEX) || p[b] == ':'); b++)
        colons += p[b] == ':';
    s->v6_end = b;
    for (; a > 0 && ((nr_scan_class[p[a - 1]] & NR_C_HEX) || p[a - 1] == ':');
         a--)
        colons += p[a - 1] == ':';
    if (colons < 2)
        return;
    if (p[a] == ':' && p[a + 1] != ':')
        a++;
    else if (a > 0 && (nr_scan_class[p[a - 1]] & NR_C_ALNUM))
        return;
    if (p[b - 1] == ':' && p[b - 2] != ':')
        b--;
    else if (!ends_v6(s, b))
        return;
    if (b - a >= 2 &&
        nr_ipv6_parse((struct nr_bytes){ p + a, b - a }, false, addr))
        nr_tokens_put(s->out, NR_KIND_IPV6, s->line, a, b - a, addr, 16);
}

static void
put_email(struct nr_scan *s, size_t local, size_t at, size_t end)
{
    uint8_t key[NR_LOCAL_MAX + 1 + NR_DOMAIN_MAX];
    size_t n = end - local, split = at - local;

    if (split == 0 || split > NR_LOCAL_MAX || end - at - 1 > NR_DOMAIN_MAX)
        return;
    copy_lower(key, s->p + local, n);
    if (nr_domain_is_sound((struct nr_bytes){ key + split + 1, n - split - 1 }))
        nr_tokens_put(s->out, NR_KIND_EMAIL, s->line, local, n, key, n);
}

void
nr_scan_email(struct nr_scan *s, size_t at)
{
    const uint8_t *p = s->p;
    size_t local = at, end = at + 1, eat;

    while (local > s->mail_end && (nr_scan_class[p[local - 1]] & NR_C_LOCAL))
        local--;
    while (end < s->n && (nr_scan_class[p[end]] & NR_C_RUN))
        end++;
    if (local == at || end == at + 1)
        return;
    s->mail_end = end;
    while (end > at + 1 && (p[end - 1] == '.' || p[end - 1] == '-'))
        end--;
    put_email(s, local, at, end);
    eat = nr_scan_eaten(s, local, at);
    if (eat)
        put_email(s, local + eat, at, end);
}
