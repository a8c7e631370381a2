#include "extract/sift.h"

#include "base/num.h"
#include "observable/observable.h"

#define GAP ((size_t)1024) /* octets between places that are scanned along */

enum { BY_RUN, BY_URL, BY_MAIL, BY_CVE, BY_AS };

static const struct {
    unsigned kind, how;
    size_t run;
} ways[] = {
    { NR_KIND_MD5, BY_RUN, 32 },
    { NR_KIND_JA3, BY_RUN, 32 },
    { NR_KIND_SHA1, BY_RUN, 40 },
    { NR_KIND_WALLET_ETH, BY_RUN, 40 },
    { NR_KIND_SHA256, BY_RUN, 64 },
    { NR_KIND_SHA512, BY_RUN, 128 },
    { NR_KIND_URL, BY_URL, 0 },
    { NR_KIND_EMAIL, BY_MAIL, 0 },
    { NR_KIND_CVE, BY_CVE, 0 },
    { NR_KIND_ASN, BY_AS, 0 },
};

void
nr_sift_init(struct nr_sift *s, unsigned kinds, unsigned flags)
{
    *s = (struct nr_sift){ .run = SIZE_MAX };
    if (flags & NR_SCAN_FANGS)
        return;
    for (size_t i = 0; i < sizeof(ways) / sizeof(*ways); i++) {
        if (!(kinds >> ways[i].kind & 1))
            continue;
        kinds &= ~(1u << ways[i].kind);
        s->how |= 1u << ways[i].how;
        if (ways[i].how == BY_RUN)
            s->run = nr_min(s->run, ways[i].run);
    }
    if (kinds != 0)
        s->how = 0;
}

/* Start of the next run of RUN hex digits. Only every RUN-th octet is looked
 * at: a run that long holds one of them. */
static size_t
next_run(struct nr_bytes b, size_t at, size_t run)
{
    size_t i = at + run - 1;

    while (i < b.n) {
        size_t from = i, to = i;

        if (!nr_is_hex(b.p[i])) {
            i += run;
            continue;
        }
        while (from > at && nr_is_hex(b.p[from - 1]))
            from--;
        while (to < b.n && nr_is_hex(b.p[to]))
            to++;
        if (to - from >= run)
            return from;
        i = to + run;
    }
    return b.n;
}

static bool
is_url(struct nr_bytes b, size_t at)
{
    struct nr_bytes rest = nr_bytes_sub(b, at, b.n);

    return nr_bytes_starts(rest, NR_BYTES("://")) ||
        nr_bytes_starts(rest, NR_BYTES(":\\/\\/"));
}

static bool
is_cve(struct nr_bytes b, size_t at)
{
    return at >= 3 && (b.p[at - 1] | 0x20) == 'e' &&
        (b.p[at - 2] | 0x20) == 'v' && (b.p[at - 3] | 0x20) == 'c';
}

static bool
is_as(struct nr_bytes b, size_t at)
{
    return at >= 1 && b.p[at - 1] == 'A';
}

/* Where the octet C stands next so that IS holds (NULL: anywhere). */
static size_t
next_octet(struct nr_bytes b, size_t at, uint8_t c,
    bool (*is)(struct nr_bytes b, size_t at))
{
    while (at < b.n) {
        const uint8_t *p = memchr(b.p + at, c, b.n - at);

        if (!p)
            break;
        at = (size_t)(p - b.p);
        if (!is || is(b, at))
            return at;
        at++;
    }
    return b.n;
}

static size_t
find(const struct nr_sift *s, unsigned how, struct nr_bytes b, size_t at)
{
    switch (how) {
    case BY_RUN:
        return next_run(b, at, s->run);
    case BY_URL:
        return next_octet(b, at, ':', is_url);
    case BY_MAIL:
        return next_octet(b, at, '@', NULL);
    case BY_CVE:
        return next_octet(b, at, '-', is_cve);
    default:
        return next_octet(b, at, 'S', is_as);
    }
}

/* The next place at or behind AT; b.n: there is none. */
static size_t
next_place(struct nr_sift *s, struct nr_bytes b, size_t at)
{
    size_t first = b.n;

    for (unsigned how = 0; how < NR_SIFTS; how++) {
        if (!(s->how >> how & 1))
            continue;
        if (s->next[how] < at)
            s->next[how] = find(s, how, b, at);
        first = nr_min(first, s->next[how]);
    }
    return first;
}

bool
nr_sift_lines(struct nr_sift *s, struct nr_bytes text, size_t *at, size_t *from,
    size_t *to)
{
    const uint8_t *lf;
    size_t place;

    if (*at == 0)
        for (unsigned how = 0; how < NR_SIFTS; how++)
            s->next[how] = s->how >> how & 1 ? find(s, how, text, 0) : text.n;
    place = next_place(s, text, *at);
    if (place == text.n)
        return false;
    lf = memrchr(text.p + *at, '\n', place - *at);
    *from = lf ? (size_t)(lf - text.p) + 1 : *at;
    do {
        lf = memchr(text.p + place, '\n', text.n - place);
        *to = lf ? (size_t)(lf - text.p) + 1 : text.n;
        place = *to < text.n ? next_place(s, text, *to) : text.n;
    } while (place < text.n && place - *to < GAP);
    *at = *to;
    return true;
}
