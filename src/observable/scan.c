/*
 * The scalar scanner: the definition of what stands in a line.
 *
 * One pass over the block. Three things start work: the end of a run (names,
 * IPv4, hashes), a ':' (IPv6, URL) and an '@' (e-mail). Whatever is looked at
 * left of a ':' or '@' is bounded by where the last one of its kind ended, so
 * the whole is linear. A line feed belongs to no class: nothing crosses it.
 *
 * The rules are those of tests/refmatch.py; the comments name its parts. Where
 * it would yield a text that no canonical indicator can equal (a run without a
 * dot, a last label that is no top-level domain, an over-long label), no token
 * is made: that is what makes the index small and changes no answer.
 */
#include "base/num.h"
#include "observable/observable.h"
#include "observable/rules.h"

#include <stdlib.h>
#include <string.h>

enum {
    C_RUN = 1,    /* A-Z a-z 0-9 . - _ */
    C_ALNUM = 2,  /* A-Z a-z 0-9 */
    C_HEX = 4,    /* 0-9 A-F a-f */
    C_URL = 8,    /* nr_url_octet() */
    C_LOCAL = 16, /* as C_RUN, and '+' */
    C_EVENT = 32, /* ':' '@' and line feed */
};

/* Octet -> classes. Written by a script from the definitions above; the unit
 * test compares it with them. */
static const uint8_t cls[256] = {
    /* clang-format off */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 8, 0, 8, 8, 8, 8, 0, 8, 8, 8, 24, 8, 25, 25, 8,
    31, 31, 31, 31, 31, 31, 31, 31, 31, 31, 40, 8, 0, 8, 0, 8,
    40, 31, 31, 31, 31, 31, 31, 27, 27, 27, 27, 27, 27, 27, 27, 27,
    27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 8, 0, 8, 0, 25,
    0, 31, 31, 31, 31, 31, 31, 27, 27, 27, 27, 27, 27, 27, 27, 27,
    27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 27, 0, 0, 0, 8, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    /* clang-format on */
};

struct scan {
    const uint8_t *p;
    size_t n;
    struct nr_tokens *out;
    uint32_t line;
    size_t url_end, v6_end, mail_end; /* what the last ones consumed */
};

void
nr_tokens_init(struct nr_tokens *t, unsigned flags)
{
    *t = (struct nr_tokens){ .flags = flags };
    /* The worst block, "::1" and a space all over, has 4 octets of key for
     * each of its own; every URL and name has at most 3. */
    nr_buf_init(&t->keys, 8 * NR_SCAN_BLOCK_MAX - 1);
}

void
nr_tokens_fini(struct nr_tokens *t)
{
    free(t->v);
    free(t->line_at);
    nr_buf_fini(&t->keys);
    *t = (struct nr_tokens){ 0 };
}

/* V, or a longer copy of it when all CAP elements are in use; NULL, with the
 * error kept and V as it was, when refused. */
static void *
roomy(void *v, size_t n, size_t *cap, size_t size, struct nr_buf *errors)
{
    size_t want = *cap ? *cap * 2 : 1024, octets;
    void *p;

    if (n < *cap)
        return v;
    p = nr_mul(want, size, &octets) ? realloc(v, octets) : NULL;
    if (p)
        *cap = want;
    else
        errors->err = NR_ENOMEM;
    return p;
}

uint8_t *
nr_tokens_put(struct nr_tokens *out, enum nr_kind kind, uint32_t line,
    size_t at, size_t len, const uint8_t *key, size_t n)
{
    size_t key_at = out->keys.n;
    struct nr_token *v = roomy(out->v, out->n, &out->cap, sizeof(*v),
        &out->keys);
    uint8_t *room;

    if (!v)
        return NULL;
    out->v = v;
    room = nr_buf_extend(&out->keys, n);
    if (!room)
        return NULL;
    if (key)
        memcpy(room, key, n);
    v[out->n++] = (struct nr_token){
        .line = line,
        .at = (uint32_t)at,
        .len = (uint32_t)len,
        .key_at = (uint32_t)key_at,
        .key_n = (uint32_t)n,
        .kind = (uint32_t)kind,
    };
    return room;
}

static void
new_line(struct scan *s, size_t at)
{
    struct nr_tokens *t = s->out;
    uint32_t *v = roomy(t->line_at, t->n_lines, &t->cap_lines, sizeof(*v),
        &t->keys);

    if (!v)
        return;
    t->line_at = v;
    v[t->n_lines++] = (uint32_t)at;
    s->line = (uint32_t)t->n_lines - 1;
}

static void
copy_lower(uint8_t *to, const uint8_t *from, size_t n)
{
    for (size_t i = 0; i < n; i++)
        to[i] = nr_lower(from[i]);
}

/* What an escape right before the run at AT ate of it: 2 of "%HH", 1 of "\n",
 * "\r" or "\t"; 0: nothing. refmatch.py: readings(). */
static size_t
eaten(const struct scan *s, size_t at, size_t end)
{
    const uint8_t *p = s->p;

    if (at == 0)
        return 0;
    if (p[at - 1] == '%')
        return end - at > 2 && (cls[p[at]] & C_HEX) && (cls[p[at + 1]] & C_HEX)
            ? 2
            : 0;
    if (p[at - 1] == '\\')
        return p[at] == 'n' || p[at] == 'r' || p[at] == 't' ? 1 : 0;
    return 0;
}

/* The longest dotted suffix of [AT, END) that can be part of a name; END when
 * there is none. */
static size_t
name_start(const struct scan *s, size_t at, size_t end)
{
    size_t start = at, label = at, dots = 0;
    uint8_t tld[NR_LABEL_MAX];

    if (end - at > NR_DOMAIN_MAX) {
        const uint8_t *dot = memchr(s->p + (end - NR_DOMAIN_MAX - 1), '.',
            NR_DOMAIN_MAX);

        if (!dot)
            return end;
        start = label = (size_t)(dot - s->p) + 1;
    }
    for (size_t i = label; i < end; i++) {
        if (s->p[i] != '.')
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
    copy_lower(tld, s->p + label, end - label);
    return nr_tld_is_sound((struct nr_bytes){ tld, end - label }) ? start : end;
}

/* One reading of a run: an IPv4 address, or else a name. */
static void
name(struct scan *s, size_t at, size_t end)
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
    at = name_start(s, at, end);
    if (at == end)
        return;
    key = nr_tokens_put(s->out, NR_KIND_DOMAIN, s->line, at, end - at, NULL,
        end - at);
    if (key)
        copy_lower(key, p + at, end - at);
}

/* Hashes among the maximal letters-and-digits parts of a run. */
static void
hashes(struct scan *s, size_t at, size_t end)
{
    const uint8_t *p = s->p;

    while (at < end) {
        size_t i = at, n;
        uint8_t all = C_HEX, raw[32];
        enum nr_kind kind;

        for (; i < end && (cls[p[i]] & C_ALNUM); i++)
            all &= cls[p[i]];
        n = i - at;
        if (all && (n == 32 || n == 40 || n == 64)) {
            kind = n == 32 ? NR_KIND_MD5
                : n == 40  ? NR_KIND_SHA1
                           : NR_KIND_SHA256;
            for (size_t k = 0; k < n / 2; k++)
                raw[k] = (uint8_t)(nr_hex_value(p[at + 2 * k]) << 4 |
                    nr_hex_value(p[at + 2 * k + 1]));
            nr_tokens_put(s->out, kind, s->line, at, n, raw, n / 2);
        }
        at = i + 1;
    }
}

/* The run that starts at AT; its end. */
static size_t
run(struct scan *s, size_t at)
{
    const uint8_t *p = s->p;
    size_t end = at, eat;
    bool dotted = false;

    for (; end < s->n && (cls[p[end]] & C_RUN); end++)
        dotted |= p[end] == '.';
    if (dotted) {
        name(s, at, end);
        eat = eaten(s, at, end);
        if (eat)
            name(s, at + eat, end);
    }
    if (end - at >= 32)
        hashes(s, at, end);
    if (s->out->flags & NR_SCAN_MORE)
        nr_scan_more((struct nr_bytes){ p, s->n }, at, end, s->line, s->out);
    return end;
}

/* Start of the scheme that ends before the ':' at AT; AT when there is none.
 * Not preceded by a letter or digit. */
static size_t
scheme_start(const struct scan *s, size_t at)
{
    static const struct nr_bytes schemes[] = {
        { (const uint8_t *)"http", 4 },
        { (const uint8_t *)"https", 5 },
        { (const uint8_t *)"ftp", 3 },
    };

    for (size_t i = 0; i < sizeof(schemes) / sizeof(*schemes); i++) {
        size_t n = schemes[i].n;
        struct nr_bytes b;

        if (at < n || (at > n && (cls[s->p[at - n - 1]] & C_ALNUM)))
            continue;
        b = (struct nr_bytes){ s->p + at - n, n };
        if (nr_bytes_eq_nocase(b, schemes[i]))
            return at - n;
    }
    return at;
}

/* The URL token of [AT, END): "\/" reads as "/", scheme and authority in lower
 * case. Nothing when no canonical URL can equal it. */
static void
put_url(struct scan *s, size_t at, size_t end)
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
}

static void
url(struct scan *s, size_t at)
{
    const uint8_t *p = s->p;
    size_t i = at + 1, start, end;

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
        else if (!(cls[p[end]] & C_URL))
            break;
    if (end == i)
        return;
    s->url_end = end;
    put_url(s, start, end);
    for (i = end; i > start && p[i - 1] && strchr(".,;:!?)]", p[i - 1]);)
        i--;
    if (i < end)
        put_url(s, start, i);
}

/* A ':' at AT may stand in an IPv6 address: the maximal hex digits and colons
 * around it. refmatch.py: ADDR6 and what follows it. */
static void
ipv6(struct scan *s, size_t at)
{
    const uint8_t *p = s->p;
    size_t a = at, b = at + 1, colons = 1;
    uint8_t addr[16];

    for (; b < s->n && ((cls[p[b]] & C_HEX) || p[b] == ':'); b++)
        colons += p[b] == ':';
    s->v6_end = b;
    if (colons < 2)
        return;
    while (a > 0 && (cls[p[a - 1]] & C_HEX))
        a--;
    if (p[a] == ':' && p[a + 1] != ':')
        a++;
    else if (a > 0 && (cls[p[a - 1]] & C_ALNUM))
        return;
    if (p[b - 1] == ':' && p[b - 2] != ':')
        b--;
    else if (b < s->n &&
        ((cls[p[b]] & C_ALNUM) ||
            (p[b] == '.' && b + 1 < s->n && (cls[p[b + 1]] & C_ALNUM))))
        return;
    if (b - a >= 2 &&
        nr_ipv6_parse((struct nr_bytes){ p + a, b - a }, false, addr))
        nr_tokens_put(s->out, NR_KIND_IPV6, s->line, a, b - a, addr, 16);
}

static void
put_email(struct scan *s, size_t local, size_t at, size_t end)
{
    uint8_t key[NR_LOCAL_MAX + 1 + NR_DOMAIN_MAX];
    size_t n = end - local, split = at - local;

    if (split == 0 || split > NR_LOCAL_MAX || end - at - 1 > NR_DOMAIN_MAX)
        return;
    copy_lower(key, s->p + local, n);
    if (nr_domain_is_sound((struct nr_bytes){ key + split + 1, n - split - 1 }))
        nr_tokens_put(s->out, NR_KIND_EMAIL, s->line, local, n, key, n);
}

static void
email(struct scan *s, size_t at)
{
    const uint8_t *p = s->p;
    size_t local = at, end = at + 1, eat;

    while (local > s->mail_end && (cls[p[local - 1]] & C_LOCAL))
        local--;
    while (end < s->n && (cls[p[end]] & C_RUN))
        end++;
    if (local == at || end == at + 1)
        return;
    s->mail_end = end;
    while (end > at + 1 && (p[end - 1] == '.' || p[end - 1] == '-'))
        end--;
    put_email(s, local, at, end);
    eat = eaten(s, local, at);
    if (eat)
        put_email(s, local + eat, at, end);
}

enum nr_err
nr_scan(struct nr_bytes block, struct nr_tokens *out)
{
    struct scan s = { .p = block.p, .n = block.n, .out = out };
    size_t i = 0;

    out->n = 0;
    out->n_lines = 0;
    nr_buf_reset(&out->keys);
    if (block.n > NR_SCAN_BLOCK_MAX)
        return NR_ELIMIT;
    if (block.n > 0)
        new_line(&s, 0);
    while (i < s.n) {
        uint8_t c = cls[s.p[i]];

        if (c & C_RUN) {
            i = run(&s, i);
            continue;
        }
        if (c & C_EVENT) {
            if (s.p[i] == '@') {
                email(&s, i);
            } else if (s.p[i] == ':') {
                if (i >= s.url_end)
                    url(&s, i);
                if (i >= s.v6_end)
                    ipv6(&s, i);
            } else if (i + 1 < s.n) {
                new_line(&s, i + 1);
            }
        }
        i++;
    }
    return out->keys.err;
}

struct nr_scanner
nr_scanner_choose(void)
{
    return (struct nr_scanner){ "scalar", nr_scan };
}
