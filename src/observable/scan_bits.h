/*
 * The scanner by bitmaps: the body that each variant compiles with its own
 * instructions. It finds the places where a token may stand, 64 octets at a
 * time, and calls the same rules for them as the scalar scanner does, in the
 * same order; names and IPv4 addresses of the usual form are put right here.
 *
 * A variant defines before it includes this file
 *     classify(p, bits)     the bitmaps of 64 octets
 *     separators(p, bits)   two more, for NR_SCAN_MORE
 *     copy_lower(to, from)  64 octets, ASCII letters in lower case
 *     SCAN_NAME             the name of its entry
 *
 * The end of each run with a mark in it comes from one addition: R + M turns
 * every run of ones in R that holds a one of M into a carry at its end, and
 * the carry out of 64 octets goes into the next.
 */
#include "observable/rules.h"
#include "observable/scan.h"

#include <string.h>

/* Bit i is octet i. */
struct bits {
    uint64_t run, dot, digit, hex, colon, at, lf, slash, high;
    uint64_t dash, under; /* by separators() */
};

static inline void classify(const uint8_t *p, struct bits *b);
static inline void separators(const uint8_t *p, struct bits *b);
static inline void copy_lower(uint8_t *to, const uint8_t *from);

struct walk {
    struct nr_scan s;
    size_t run_at; /* start of the run that reaches into this word, if one */
    size_t line_at;
    struct bits before;      /* of the word before */
    uint64_t chained, lanes; /* likewise */
    bool name_carry, hex_carry, more_carry;
    bool easy; /* no option adds readings to a run */
};

/* What stands K octets before each octet; PREV is of the word before. */
#define BEFORE(b, prev, k) ((b) << (k) | (prev) >> (64 - (k)))

/* The ends of those runs that hold a mark. */
static inline uint64_t
run_ends(uint64_t run, uint64_t marks, bool *carry)
{
    uint64_t sum = run + marks, out = sum + *carry;

    *carry = sum < run || out < sum;
    return out & ~run;
}

/* The top bit of each lane of WIDTH bits (its ONES: the lowest of each) that
 * is full; of others too, but only where they are not empty. */
static inline uint64_t
full_lanes(uint64_t b, uint64_t ones, unsigned width)
{
    return (~b - ones) & b & ones << (width - 1);
}

/* Marks on runs that kinds beyond the hot ones can stand in: parts of 16 and
 * more letters and digits, of two letters and digits, a hex letter and a dash
 * before a digit (CVE), a low line between digits (JA4). */
static inline uint64_t
more_marks(struct walk *w, const struct bits *b)
{
    const struct bits *a = &w->before;
    uint64_t alnum = b->run & ~(b->dot | b->dash | b->under);
    uint64_t alnum0 = a->run & ~(a->dot | a->dash | a->under);
    uint64_t letter = alnum & ~b->digit, letter0 = alnum0 & ~a->digit;
    uint64_t lanes = full_lanes(alnum, 0x0101010101010101, 8);
    uint64_t marks = lanes & BEFORE(lanes, w->lanes, 8);

    marks |= b->digit & BEFORE(letter, letter0, 1) &
        BEFORE(letter, letter0, 2) & ~BEFORE(alnum, alnum0, 3);
    marks |= b->digit & BEFORE(b->dash, a->dash, 1) &
        BEFORE(b->hex & ~b->digit, a->hex & ~a->digit, 2);
    marks |= b->hex & BEFORE(b->under, a->under, 1) & BEFORE(alnum, alnum0, 2);
    w->lanes = lanes;
    return marks;
}

/* A ':' that can be the second of an IPv6 address with "::" in it, or the
 * third of one without: then 1 to 4 digits stand between them. */
static inline uint64_t
v6_marks(struct walk *w, const struct bits *b)
{
    const struct bits *a = &w->before;
    uint64_t c = b->colon, c0 = a->colon, t, t0 = w->chained;

    t = c &
        (BEFORE(c, c0, 2) | BEFORE(c, c0, 3) | BEFORE(c, c0, 4) |
            BEFORE(c, c0, 5));
    w->chained = t;
    return (c & BEFORE(c, c0, 1)) |
        (t &
            (BEFORE(t, t0, 2) | BEFORE(t, t0, 3) | BEFORE(t, t0, 4) |
                BEFORE(t, t0, 5)));
}

static inline uint32_t
load32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof(v));
    return v;
}

/* The number of N digits that ends at END; three octets before are readable. */
static inline bool
octet(const uint8_t *end, unsigned n, uint8_t *out)
{
    static const uint8_t least[4] = { 0, 0, 10, 100 };
    uint32_t w, v;

    if (n - 1 > 2)
        return false;
    w = load32(end - 4) >> 8 * (4 - n) << 8 * (4 - n);
    v = (w >> 24 & 15) + 10 * (w >> 16 & 15) + 100 * (w >> 8 & 15);
    *out = (uint8_t)v;
    return v <= 255 && v >= least[n];
}

/* DOTS: the three dots of the N digits and dots that end at END, seen from
 * there (bit 63 is the octet before END). */
static inline bool
quad(const uint8_t *end, unsigned n, uint64_t dots, uint8_t out[4])
{
    unsigned d = (unsigned)__builtin_clzll(dots), c, b, a;

    dots <<= d + 1;
    c = (unsigned)__builtin_clzll(dots);
    dots <<= c + 1;
    b = (unsigned)__builtin_clzll(dots);
    a = n - b - c - d - 3;
    return octet(end, d, out + 3) && octet(end - d - 1, c, out + 2) &&
        octet(end - d - c - 2, b, out + 1) &&
        octet(end - d - c - b - 3, a, out);
}

/* A token whose key is 4 octets at KEY, or N octets of the text in lower case
 * (KEY NULL). 64 octets from AT on are readable. */
static inline void
put(struct walk *w, enum nr_kind kind, size_t at, size_t len,
    const uint8_t *key, size_t n)
{
    struct nr_tokens *t = w->s.out;
    struct nr_buf *keys = &t->keys;

    if (t->n == t->cap || keys->cap - keys->n < 64 || keys->err != NR_OK) {
        uint8_t text[64];

        if (!key)
            copy_lower(text, w->s.p + at);
        nr_tokens_put(t, kind, w->s.line, at, len, key ? key : text, n);
        return;
    }
    if (key)
        memcpy(keys->p + keys->n, key, 4);
    else
        copy_lower(keys->p + keys->n, w->s.p + at);
    t->v[t->n++] = (struct nr_token){
        .line = w->s.line,
        .at = (uint32_t)at,
        .len = (uint32_t)len,
        .key_at = (uint32_t)keys->n,
        .key_n = (uint32_t)n,
        .kind = (uint32_t)kind,
    };
    keys->n += n;
}

/* As nr_tld_is_sound() for octets of a run that start with a letter. */
static inline bool
is_tld(const uint8_t *p, unsigned n)
{
    if (n < 2 || !nr_is_alpha(p[0]))
        return false;
    for (unsigned i = 1; i < n; i++)
        if (!(nr_scan_class[p[i]] & NR_C_ALNUM) && p[i] != '-')
            return false;
    return true;
}

/* The usual run [AT, END): short, behind no escape. False: nothing was done.
 * DOTS and DIGITS are seen from END: bit 63 is the octet before it. */
static inline bool
easy_run(struct walk *w, size_t at, size_t end, uint64_t dots, uint64_t digits)
{
    const uint8_t *p = w->s.p;
    uint64_t mask;
    uint8_t addr[4];
    unsigned tld;

    if (end - at > 64 || at < 8 || p[at - 1] == '%' || p[at - 1] == '\\')
        return false;
    while (end - at >= 4 && (p[end - 1] == '.' || p[end - 1] == '-')) {
        end--;
        dots <<= 1;
        digits <<= 1;
    }
    while (end - at >= 4 && (p[at] == '.' || p[at] == '-'))
        at++;
    if (end - at < 4)
        return true;
    if (w->s.n - at < 64)
        return false;
    mask = ~(uint64_t)0 << (64 - (end - at));
    dots &= mask;
    if (((digits | dots) & mask) == mask) {
        if (__builtin_popcountll(dots) == 3 &&
            quad(p + end, (unsigned)(end - at), dots, addr))
            put(w, NR_KIND_IPV4, at, end - at, addr, 4);
        return true;
    }
    if (dots & dots << 1)
        return false; /* an empty label */
    if (dots == 0)
        return true;
    tld = (unsigned)__builtin_clzll(dots);
    if (is_tld(p + end - tld, tld))
        put(w, NR_KIND_DOMAIN, at, end - at, NULL, end - at);
    return true;
}

/* A run ends at bit K of the word at BASE. */
static inline void
run_end(struct walk *w, size_t base, unsigned k, const struct bits *b,
    bool is_named, bool is_hex, bool is_more)
{
    const struct bits *a = &w->before;
    uint64_t gaps = ~b->run & (((uint64_t)1 << k) - 1);
    size_t end = base + k;
    size_t at = gaps ? base + 64 - (size_t)__builtin_clzll(gaps) : w->run_at;
    uint64_t dots = k ? b->dot << (64 - k) | a->dot >> k : a->dot;
    uint64_t digits = k ? b->digit << (64 - k) | a->digit >> k : a->digit;

    if (is_hex ||
        (is_named && !(w->easy && easy_run(w, at, end, dots, digits))))
        nr_scan_words(&w->s, at, end);
    if (is_more)
        nr_scan_more((struct nr_bytes){ w->s.p, w->s.n }, at, end, w->s.line,
            w->s.out);
}

/* The 64 octets at BASE. */
static inline void
word(struct walk *w, size_t base, const struct bits *b)
{
    const struct bits *a = &w->before;
    const unsigned flags = w->s.flags;
    uint64_t text = b->run & ~b->dot;
    uint64_t named = run_ends(b->run,
        text & BEFORE(b->dot, a->dot, 1) & BEFORE(text, a->run & ~a->dot, 2),
        &w->name_carry);
    uint64_t hexes = run_ends(b->run,
        full_lanes(b->hex, 0x0001000100010001, 16), &w->hex_carry);
    uint64_t more = flags & NR_SCAN_MORE
        ? hexes | run_ends(b->run, more_marks(w, b), &w->more_carry)
        : 0;
    uint64_t url = b->slash & BEFORE(b->colon, a->colon, 1);
    uint64_t v6 = v6_marks(w, b);
    uint64_t high = flags & NR_SCAN_IDN ? b->high : 0;
    uint64_t lines = flags & NR_SCAN_BY_LINE ? b->lf : 0;
    uint64_t events = named | hexes | more | url | v6 | b->at | high | lines;
    uint32_t line = (uint32_t)w->s.out->n_lines - 1;

    for (uint64_t lf = b->lf; lf; lf &= lf - 1) {
        size_t at = base + (size_t)__builtin_ctzll(lf) + 1;

        if (at < w->s.n)
            nr_scan_new_line(&w->s, at);
    }
    for (; events; events &= events - 1) {
        unsigned k = (unsigned)__builtin_ctzll(events);
        uint64_t bit = (uint64_t)1 << k;
        size_t at = base + k;

        w->s.line = line + (uint32_t)__builtin_popcountll(b->lf & (bit - 1));
        if ((named | hexes | more) & bit)
            run_end(w, base, k, b, named & bit, hexes & bit, more & bit);
        if (v6 & bit)
            nr_scan_ipv6(&w->s, at);
        if (url & bit)
            nr_scan_url(&w->s, at - 1);
        if (b->at & bit)
            nr_scan_email(&w->s, at);
        if (high & bit)
            nr_scan_idn(&w->s, at);
        if (lines & bit) {
            nr_scan_line(&w->s, w->line_at, at);
            w->line_at = at + 1;
        }
    }
    if (!(b->run >> 63))
        w->run_at = base + 64;
    else if (~b->run)
        w->run_at = base + 64 - (size_t)__builtin_clzll(~b->run);
    w->before = *b;
}

enum nr_err
SCAN_NAME(struct nr_bytes block, struct nr_tokens *out)
{
    struct walk w = {
        .s = { .p = block.p, .n = block.n, .out = out, .flags = out->flags },
        .easy = !(out->flags & (NR_SCAN_PORTS | NR_SCAN_RANGES)),
    };
    const bool more = out->flags & NR_SCAN_MORE;
    struct bits b = { 0 };
    uint8_t tail[64] = { 0 };
    size_t at = 0;

    out->n = 0;
    out->n_lines = 0;
    nr_buf_reset(&out->keys);
    if (block.n > NR_SCAN_BLOCK_MAX)
        return NR_ELIMIT;
    if (block.n == 0)
        return NR_OK;
    nr_scan_new_line(&w.s, 0);
    for (; block.n - at >= 64; at += 64) {
        classify(block.p + at, &b);
        if (more)
            separators(block.p + at, &b);
        word(&w, at, &b);
    }
    /* what is left, and an end for its last run */
    memcpy(tail, block.p + at, block.n - at);
    classify(tail, &b);
    if (more)
        separators(tail, &b);
    word(&w, at, &b);
    if ((w.s.flags & NR_SCAN_BY_LINE) && w.line_at < block.n) {
        w.s.line = (uint32_t)out->n_lines - 1;
        nr_scan_line(&w.s, w.line_at, block.n);
    }
    return out->keys.err;
}
