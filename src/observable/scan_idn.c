/*
 * Names in U-labels (NR_SCAN_IDN): indicators are compared in A-labels
 * (RFC 5891), so a name written in its own script is turned into that.
 *
 * A U-run is a maximal sequence of run octets and of UTF-8 characters that
 * may stand in a name, and has at least one of these. Where writing without
 * spaces goes on behind a top-level domain in ASCII, the name ends there.
 */
#include "observable/scan.h"

#include "observable/rules.h"

#include <idn2.h>
#include <string.h>

/* A label in UTF-8 of at most 63 characters; a name of at most 253. */
#define U_LABEL_MAX (4 * NR_LABEL_MAX)
#define U_NAME_MAX  (4 * NR_DOMAIN_MAX)

/* Characters above U+007F that end a U-run: spaces, punctuation, symbols.
 * refrules.py: BREAKS. */
static const struct {
    uint32_t first, last;
} breaks[] = {
    { 0x80, 0xa9 },     /* Latin-1: controls, marks; not the ordinals */
    { 0xab, 0xb4 },     /* */
    { 0xb6, 0xb6 },     /* not U+00B7, which Catalan names have */
    { 0xb8, 0xb9 },     /* */
    { 0xbb, 0xbf },     /* */
    { 0xd7, 0xd7 },     /* multiplication */
    { 0xf7, 0xf7 },     /* division */
    { 0x2000, 0x200b }, /* spaces; not the joiners */
    { 0x200e, 0x2bff }, /* punctuation to symbols */
    { 0x3000, 0x3004 }, /* CJK: space, comma, full stop; not the iterations */
    { 0x3008, 0x3020 }, /* brackets */
    { 0x3030, 0x3030 }, /* wavy dash */
    { 0x303d, 0x303f }, /* */
    { 0xe000, 0xf8ff }, /* private use */
    { 0xfe10, 0xfe6f }, /* vertical and small forms */
    { 0xfeff, 0xfeff }, /* byte order mark */
    { 0xff01, 0xff0f }, /* full-width marks */
    { 0xff1a, 0xff20 }, /* */
    { 0xff3b, 0xff40 }, /* */
    { 0xff5b, 0xff65 }, /* with the half-width ideographic full stop */
    { 0xffe0, 0xffff }, /* signs, specials */
};

/* Octets of the character at P, 2..4, *C its number; 0: no valid UTF-8. */
static size_t
decode(const uint8_t *p, size_t n, uint32_t *c)
{
    size_t len = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    uint32_t v = p[0] & (0x7fu >> len);

    if (p[0] < 0xc2 || n < len ||
        nr_utf8_valid_len((struct nr_bytes){ p, len }) != len)
        return 0;
    for (size_t i = 1; i < len; i++)
        v = v << 6 | (p[i] & 0x3fu);
    *c = v;
    return len;
}

/* Octets of the character at AT if it can be part of a U-run; else 0, and
 * *SKIP are those to go past. */
static size_t
name_char(const struct nr_scan *s, size_t at, size_t *skip)
{
    uint32_t c = 0;
    size_t len = decode(s->p + at, s->n - at, &c);

    *skip = len ? len : 1;
    for (size_t i = 0; len && i < sizeof(breaks) / sizeof(*breaks); i++)
        if (c >= breaks[i].first && c <= breaks[i].last)
            return 0;
    return len;
}

static bool
is_ascii(const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (p[i] >= 0x80)
            return false;
    return true;
}

/* Prepend the A-label of the N octets at P and '.' to what stands from *AT on
 * in KEY. False: no label, or no room. */
static bool
put_label(const uint8_t *p, size_t n, uint8_t *key, size_t *at)
{
    char u[U_LABEL_MAX + 1];
    uint8_t *a = NULL;
    size_t len;
    bool put;

    if (n == 0 || n > U_LABEL_MAX)
        return false;
    memcpy(u, p, n);
    u[n] = '\0';
    if (is_ascii(p, n)) {
        for (size_t i = 0; i < n; i++)
            u[i] = (char)nr_lower(p[i]);
    } else if (idn2_to_ascii_8z(u, (char **)&a,
                   IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK) {
        return false;
    }
    len = a ? strlen((const char *)a) : n;
    put = len > 0 && len <= NR_LABEL_MAX && len + 1 <= *at &&
        !memchr(a ? a : (uint8_t *)u, '.', len);
    if (put) {
        key[--*at] = '.';
        *at -= len;
        memcpy(key + *at, a ? (const void *)a : u, len);
    }
    idn2_free(a);
    return put;
}

/* One reading of a U-run: its longest dotted suffix that is a name, and has an
 * A-label in it. */
static void
u_name(struct nr_scan *s, size_t at, size_t end)
{
    const uint8_t *p = s->p;
    uint8_t key[NR_DOMAIN_MAX + 1]; /* filled from its end, with a last '.' */
    size_t k = sizeof(key), label, stop, start = end;
    bool more = true;
    struct nr_bytes name;
    const uint8_t *dot;

    while (at < end && (p[at] == '.' || p[at] == '-'))
        at++;
    while (at < end && (p[end - 1] == '.' || p[end - 1] == '-'))
        end--;
    dot = at < end ? memrchr(p + at, '.', end - at) : NULL;
    if (!dot || is_ascii(p + at, end - at))
        return;
    label = (size_t)(dot - p) + 1;
    if (nr_is_alpha(p[label]))
        for (size_t i = label; i < end; i++)
            if (p[i] >= 0x80)
                end = i; /* "evil.jp" and what the sentence goes on with */
    if (is_ascii(p + at, end - at))
        return;
    for (stop = end; more;) {
        dot = memrchr(p + at, '.', stop - at);
        label = dot ? (size_t)(dot - p) + 1 : at;
        if (!put_label(p + label, stop - label, key, &k))
            break;
        start = label;
        more = dot != NULL;
        stop = label - 1;
    }
    if (start == end)
        return;
    name = (struct nr_bytes){ key + k, sizeof(key) - 1 - k };
    if (!nr_domain_is_sound(name) || !memmem(name.p, name.n, "xn--", 4))
        return;
    nr_tokens_put(s->out, NR_KIND_DOMAIN, s->line, start, end - start, name.p,
        name.n);
}

void
nr_scan_idn(struct nr_scan *s, size_t at)
{
    const uint8_t *p = s->p;
    size_t start = at, end, skip = 1, len = 0, eat;

    if (at < s->idn_end)
        return;
    while (start > s->idn_end && (nr_scan_class[p[start - 1]] & NR_C_RUN))
        start--;
    for (end = at; end < s->n; end += len) {
        if (nr_scan_class[p[end]] & NR_C_RUN)
            len = 1;
        else if (p[end] < 0x80 || !(len = name_char(s, end, &skip)))
            break;
    }
    s->idn_end = end > at ? end : at + skip;
    if (end == at || !memchr(p + start, '.', end - start))
        return;
    if (end - start > U_NAME_MAX) {
        const uint8_t *dot = memchr(p + (end - U_NAME_MAX), '.', U_NAME_MAX);

        if (!dot)
            return;
        start = (size_t)(dot - p);
    }
    eat = nr_scan_eaten(s, start, end);
    u_name(s, start, end);
    if (eat)
        u_name(s, start + eat, end);
}
