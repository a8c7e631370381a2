/*
 * Inside of the sieve: what the kernels and the portable parts share.
 *
 * The block is read in words of 64 octets, SIEVE_WORDS words at a time. For
 * such a piece a kernel
 *   1. classifies octets into bitmaps (planes), and finds with a few additions
 *      and shifts where something ends or starts: *events*, listed by place;
 *   2. cuts out the text at each event, hashes it, and fetches the word of the
 *      filter ahead (*probes*);
 *   3. looks at the words: what passes is a spot, or a name to be looked at
 *      label by label, in portable code.
 * Nothing branches on what the text is, but for odd cases.
 *
 * The kernels are one text (sieve_body.h) compiled for several instruction
 * sets around a few functions that each file defines.
 */
#ifndef NR_OBSERVABLE_SIEVE_INT_H
#define NR_OBSERVABLE_SIEVE_INT_H

#include "observable/scan.h"
#include "observable/sieve_hash.h"

#include <stdint.h>

/* Tests put a broken one in its place, to see that they notice. */
#ifndef SIEVE_BODY
#define SIEVE_BODY "observable/sieve_body.h"
#endif

#define SIEVE_WORDS ((size_t)64)     /* 4 KiB: text and maps stay near */
#define SIEVE_CARRY ((size_t)12 * 8) /* words that a kernel keeps */
#define SIEVE_BACK  ((size_t)2)      /* words of the piece before */

/* An event list has room for what one word can add beyond its end. */
#define SIEVE_SPARE  ((size_t)64)
#define SIEVE_EVENTS (SIEVE_WORDS * 64 + SIEVE_SPARE)
#define SIEVE_PROBES ((size_t)2048) /* room for probes, looked up together */
#define SIEVE_ADD    ((size_t)192)  /* probes that one place can add */
#define SIEVE_CUT    ((size_t)64)   /* quads that are cut out at a time */

/* A probe's place, and in the bits above what more is to be asked. */
#define SIEVE_PLACE (((uint32_t)1 << 30) - 1)
#define SIEVE_NAME  ((uint32_t)1 << 30)
#define SIEVE_QUAD  ((uint32_t)2 << 30)
#define SIEVE_URL   ((uint32_t)3 << 30) /* as it stands, no option that adds */

_Static_assert(NR_SCAN_BLOCK_MAX < (size_t)1 << 30, "places");

/* Bit i of word w is about octet 64 w + i of the piece. */
struct sieve_planes {
    uint64_t label[SIEVE_WORDS]; /* A-Z a-z 0-9 - _ */
    uint64_t dot[SIEVE_WORDS], alpha[SIEVE_WORDS], digit[SIEVE_WORDS];
    uint64_t hex[SIEVE_WORDS]; /* 0-9 A-F a-f */
    uint64_t colon[SIEVE_WORDS], at[SIEVE_WORDS];
    uint64_t slash[SIEVE_WORDS]; /* and backslash */
};

struct sieve_events {
    uint64_t names[SIEVE_WORDS]; /* behind a name */
    uint64_t quads[SIEVE_WORDS]; /* first digit of a fourth number */
    uint64_t urls[SIEVE_WORDS];  /* second slash behind a colon */
    uint64_t v6[SIEVE_WORDS];    /* colons that may be of an address */
    uint64_t hex[SIEVE_WORDS];   /* groups of 16 digits */
    uint64_t few[SIEVE_WORDS];   /* the last three, and '@' */
};

struct sieve_list {
    size_t n;
    uint16_t v[SIEVE_EVENTS];
};

/* Quads, some of them at a time. */
struct sieve_cut {
    uint64_t stops[SIEVE_CUT];                /* octets that are no digit */
    uint64_t low[SIEVE_CUT], high[SIEVE_CUT]; /* 16 octets before the dot */
    uint64_t net[SIEVE_CUT];                  /* 24 bits of the address */
};

struct nr_sieve {
    struct nr_sieve_set sets[NR_SIEVE_SETS_MAX];
    size_t n_sets;
    struct sieve_keys keys;
    const struct nr_sieve_kernel *kernel;
    unsigned options;
    uint32_t kinds, traits; /* of all sets */
    uint64_t cidr4, cidr6[3];
    uint64_t ends[NR_SIEVE_ENDS];

    /* the block */
    const uint8_t *p;
    size_t n;
    struct nr_spots *out;
    uint64_t carry[SIEVE_CARRY];                /* the kernel's own */
    size_t v6_end, mail_end, hex_end, high_end; /* looked at so far */
    struct nr_tokens tokens;                    /* of one place */

    /* the piece: words from `base` octets on, behind SIEVE_BACK before */
    size_t base;
    uint64_t stop[SIEVE_BACK + SIEVE_WORDS];     /* octets of no label */
    uint64_t no_digit[SIEVE_BACK + SIEVE_WORDS]; /* octets that are none */
    uint64_t colon[SIEVE_BACK + SIEVE_WORDS];
    uint64_t no_v6[SIEVE_BACK + SIEVE_WORDS + 1]; /* no hex digit nor colon */
    uint64_t spot[SIEVE_BACK + SIEVE_WORDS];
    bool has_spots;
    struct sieve_planes planes;
    struct sieve_events events;
    struct sieve_list names, quads, urls, mails, v6, hex;

    struct sieve_cut cut;

    size_t n_probes;
    uint64_t hash[SIEVE_PROBES];
    uint32_t at[SIEVE_PROBES];
    uint32_t passed[SIEVE_PROBES];
    size_t n_deep;
    uint64_t deep_hash[SIEVE_PROBES];
    uint32_t deep_at[SIEVE_PROBES];
};

struct nr_sieve_kernel {
    const char *name;
    /* Stages 1 to 3 of WORDS words from s->base on. */
    void (*piece)(struct nr_sieve *s, size_t words);
    /* Stage 3 of what was collected so far. */
    void (*look_up)(struct nr_sieve *s);
    size_t (*count_lines)(const uint8_t *p, size_t n);
    size_t (*list_lines)(const uint8_t *p, size_t n, uint32_t at, uint32_t *to);
};

extern const struct nr_sieve_kernel nr_sieve_scalar;
#if defined(__x86_64__)
extern const struct nr_sieve_kernel nr_sieve_avx2, nr_sieve_avx512;
#elif defined(__aarch64__)
extern const struct nr_sieve_kernel nr_sieve_neon;
#endif

/* --- stage 2 of what is rare or odd, portable --- */

/* A name that ends at END has an escape or a hyphen at its start, or a hyphen
 * at its end: probes of its other readings. */
void nr_sieve_odd_name(struct nr_sieve *s, size_t end);

/* A dotted quad in [AT, END) with a '%' one or two octets before it. */
void nr_sieve_odd_quad(struct nr_sieve *s, size_t at, size_t end);

/* The address A with its last dot at AT, whose network has its bit. */
void nr_sieve_quad(struct nr_sieve *s, uint32_t a, size_t at);

/* Is the URL whose second slash is at AT, as the scanner reads it? */
bool nr_sieve_url_is_listed(struct nr_sieve *s, size_t at);

/* Is what its probe H was of in a list: the address A, or a range with it? */
bool nr_sieve_quad_is_listed(const struct nr_sieve *s, uint64_t h, uint32_t a);

/* A URL, its text behind "//" from AT on: escaped slashes, punctuation at its
 * end, shorter readings. The spot is at PLACE, in this piece. */
void nr_sieve_odd_url(struct nr_sieve *s, size_t at, size_t place);

void nr_sieve_email(struct nr_sieve *s, size_t at); /* the '@' */
void nr_sieve_ipv6(struct nr_sieve *s, size_t at);  /* a ':' inside */
void nr_sieve_hex(struct nr_sieve *s, size_t at);   /* a digit inside */
void nr_sieve_high(struct nr_sieve *s, size_t at);  /* octet above 0x7f */
void nr_sieve_fangs(struct nr_sieve *s, size_t from, size_t to);

/* The tail of the name that ends at END is listed: hash all its readings. */
void nr_sieve_name(struct nr_sieve *s, size_t end);

/* Ask about what sieve_push_deep() collected. */
void nr_sieve_deep(struct nr_sieve *s);

/* --- small things --- */

/* Punctuation that does not belong to a URL at its end. */
static inline bool
sieve_is_url_mark(uint8_t c)
{
    return c == '.' || c == ',' || c == ';' || c == ':' || c == '!' ||
        c == '?' || c == ')' || c == ']';
}

static inline void
sieve_spot(struct nr_sieve *s, size_t at)
{
    size_t bit = at + SIEVE_BACK * 64 - s->base;

    s->spot[bit / 64] |= UINT64_C(1) << (bit & 63);
    s->has_spots = true;
}

static inline void
sieve_fetch(const struct nr_sieve *s, uint64_t h)
{
    for (size_t i = 0; i < s->n_sets; i++)
        __builtin_prefetch(
            s->sets[i].filter + sieve_word(h, s->sets[i].filter_n));
}

/* Before up to SIEVE_ADD probes are pushed. */
static inline void
sieve_make_room(struct nr_sieve *s)
{
    if (s->n_probes > SIEVE_PROBES - SIEVE_ADD)
        s->kernel->look_up(s);
}

static inline void
sieve_push(struct nr_sieve *s, uint64_t h, size_t at, uint32_t flag)
{
    s->hash[s->n_probes] = h;
    s->at[s->n_probes++] = (uint32_t)at | flag;
    sieve_fetch(s, h);
}

/* Is a name with this hash listed? Asked together with others. */
static inline void
sieve_push_deep(struct nr_sieve *s, uint64_t h, size_t at)
{
    if (s->n_deep == SIEVE_PROBES)
        nr_sieve_deep(s);
    s->deep_hash[s->n_deep] = h;
    s->deep_at[s->n_deep++] = (uint32_t)at;
    sieve_fetch(s, h);
}

static inline bool
sieve_in_filter(const struct nr_sieve *s, uint64_t h)
{
    uint64_t bits = sieve_bits(h), missing = 1;

    for (size_t i = 0; i < s->n_sets; i++)
        missing = missing &&
            bits & ~s->sets[i].filter[sieve_word(h, s->sets[i].filter_n)];
    return !missing;
}

/* Bit of a /24 network in a set's map. */
static inline size_t
sieve_net_bit(const struct nr_sieve_set *set, uint32_t net)
{
    return net & (set->nets_n * 64 - 1);
}

static inline void
sieve_fetch_net(const struct nr_sieve *s, uint32_t net)
{
    for (size_t i = 0; i < s->n_sets; i++)
        __builtin_prefetch(
            s->sets[i].nets + sieve_net_bit(&s->sets[i], net) / 64);
}

static inline bool
sieve_in_nets(const struct nr_sieve *s, uint32_t net)
{
    uint64_t hit = 0;

    for (size_t i = 0; i < s->n_sets; i++) {
        size_t bit = sieve_net_bit(&s->sets[i], net);

        hit |= s->sets[i].nets[bit / 64] >> (bit & 63);
    }
    return hit & 1;
}

#endif
