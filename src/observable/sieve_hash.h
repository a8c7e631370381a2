/*
 * The hashes of the sieve, for its builder and for every variant of its pass.
 *
 * NH (Black et al., UMAC) over a window of 32 octets: sums and products of
 * 32-bit halves, which all vector units have; a multiplication spreads the sum.
 * Texts shorter than the window are padded with zeros: names in front, so that
 * the end of a suffix is loaded as it stands, everything else behind.
 */
#ifndef NR_OBSERVABLE_SIEVE_HASH_H
#define NR_OBSERVABLE_SIEVE_HASH_H

#include "observable/observable.h"

#include <stdint.h>
#include <string.h>

#define SIEVE_WINDOW     ((size_t)32) /* octets of a probe */
#define SIEVE_SHORT      ((size_t)3)  /* octets of a last label but one: "co" */
#define SIEVE_TAIL       ((unsigned)NR_KINDS) /* a kind of its own */
#define SIEVE_LOCAL      ((size_t)16) /* octets left of '@' in a probe */
#define SIEVE_FOLD       UINT64_C(0x2020202020202020)
#define SIEVE_FILTER_PER 12 /* bits of filter for each probe */

struct sieve_keys {
    uint32_t nh[8];
    uint64_t add, mul;
};

static inline uint64_t
sieve_rot(uint64_t v, unsigned n)
{
    return v << n | v >> (64 - n);
}

/* All key material from 128 bits. */
static inline struct sieve_keys
sieve_keys(const struct nr_sieve_key *key)
{
    uint64_t a = key->k[0], b = key->k[1];
    uint64_t c = (a ^ sieve_rot(b, 23)) * UINT64_C(0x9e3779b97f4a7c15);
    uint64_t d = (b ^ sieve_rot(a, 41)) * UINT64_C(0xd6e8feb86659fd93);
    uint64_t w[4] = { a, b, c ^ c >> 32, d ^ d >> 32 };
    struct sieve_keys k;

    for (unsigned i = 0; i < 8; i++)
        k.nh[i] = (uint32_t)(w[i / 2] >> 32 * (i % 2));
    k.add = sieve_rot(c, 17) ^ d;
    k.mul = (c + sieve_rot(d, 29)) | 1;
    return k;
}

/* What makes probes of different kinds different. */
static inline uint64_t
sieve_salt(unsigned kind)
{
    return (kind + 1) * UINT64_C(0xc2b2ae3d27d4eb4f);
}

static inline uint64_t
sieve_mix(const struct sieve_keys *k, uint64_t sum, uint64_t salt)
{
    __extension__ unsigned __int128 r = (sum + salt) ^ k->add;

    r *= k->mul;
    return (uint64_t)r ^ (uint64_t)(r >> 64);
}

/* Octets I to I + 7 of memory as a number, the first one lowest. */
static inline uint64_t
sieve_load(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* NH of one window. */
static inline uint64_t
sieve_nh(const struct sieve_keys *k, const uint8_t w[SIEVE_WINDOW])
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < 4; i++) {
        uint64_t v = sieve_load(w + 8 * i);
        uint32_t lo = (uint32_t)v + k->nh[2 * i];
        uint32_t hi = (uint32_t)(v >> 32) + k->nh[2 * i + 1];

        sum += (uint64_t)lo * hi;
    }
    return sum;
}

/* N (<= SIEVE_WINDOW) octets, in halves that may overlap: a call for so few
 * costs more than all the rest. */
static inline void
sieve_copy(uint8_t *to, const uint8_t *from, size_t n)
{
    uint64_t a[4];

    if (n >= 16) {
        memcpy(a, from, 16);
        memcpy(a + 2, from + n - 16, 16);
        memcpy(to, a, 16);
        memcpy(to + n - 16, a + 2, 16);
    } else if (n >= 8) {
        memcpy(a, from, 8);
        memcpy(a + 1, from + n - 8, 8);
        memcpy(to, a, 8);
        memcpy(to + n - 8, a + 1, 8);
    } else {
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
    }
}

/* The octets of W where ones stand in the 32 octets of ONES get bit 0x20. */
static inline void
sieve_fold(uint8_t w[SIEVE_WINDOW], const uint8_t *ones)
{
    uint64_t a[4], f[4];

    memcpy(a, w, sizeof(a));
    memcpy(f, ones, sizeof(f));
    for (unsigned i = 0; i < 4; i++)
        a[i] |= f[i] & SIEVE_FOLD;
    memcpy(w, a, sizeof(a));
}

/* The last N octets of E, in front zeros; FOLD: in lower case. */
static inline void
sieve_load_end(const uint8_t *e, size_t n, bool fold, uint8_t w[SIEVE_WINDOW])
{
    static const uint64_t ones[8] = { 0, 0, 0, 0, UINT64_MAX, UINT64_MAX,
        UINT64_MAX, UINT64_MAX };

    memset(w, 0, SIEVE_WINDOW);
    sieve_copy(w + SIEVE_WINDOW - n, e - n, n);
    if (fold)
        sieve_fold(w, (const uint8_t *)ones + n);
}

/* IN folded and padded in front; of a longer text its last octets. */
static inline void
sieve_window_end(struct nr_bytes in, uint8_t w[SIEVE_WINDOW])
{
    sieve_load_end(in.p + in.n, nr_min(in.n, SIEVE_WINDOW), true, w);
}

/* IN folded and padded behind; of a longer text its first octets. */
static inline void
sieve_window_start(struct nr_bytes in, uint8_t w[SIEVE_WINDOW])
{
    static const uint64_t ones[8] = { UINT64_MAX, UINT64_MAX, UINT64_MAX,
        UINT64_MAX };
    size_t n = nr_min(in.n, SIEVE_WINDOW);

    memset(w, 0, SIEVE_WINDOW);
    sieve_copy(w, in.p, n);
    sieve_fold(w, (const uint8_t *)ones + SIEVE_WINDOW - n);
}

/* Probe of the first octets of a text: URL behind "//", e-mail, hex digits. */
static inline uint64_t
sieve_probe_start(const struct sieve_keys *k, unsigned kind, struct nr_bytes in)
{
    uint8_t w[SIEVE_WINDOW];

    sieve_window_start(in, w);
    return sieve_mix(k, sieve_nh(k, w), sieve_salt(kind));
}

/* Probe of the tail of a name: the last octets of it. */
static inline uint64_t
sieve_probe_tail(const struct sieve_keys *k, struct nr_bytes in)
{
    uint8_t w[SIEVE_WINDOW];

    sieve_window_end(in, w);
    return sieve_mix(k, sieve_nh(k, w), sieve_salt(SIEVE_TAIL));
}

/* Probe of an IPv4 address or range; A in host order, LEN 32: an address. */
static inline uint64_t
sieve_probe_v4(const struct sieve_keys *k, unsigned kind, uint32_t a,
    unsigned len)
{
    return sieve_mix(k, (uint64_t)len << 32 | a, sieve_salt(kind));
}

/* Four octets as eight hex digits, in the order of memory. */
static inline uint64_t
sieve_hex(const uint8_t p[4])
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    uint64_t v = 0, ten;

    for (unsigned i = 0; i < 4; i++)
        v |= (uint64_t)(p[i] >> 4 | (p[i] & 15) << 8) << 16 * i;
    ten = (v + ones * 6) >> 4 & ones; /* 1 for digits from ten on */
    v += ones * '0' + ten * ('a' - '0' - 10);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return v;
}

/* Probe of binary octets, as hex digits: the first 16 of a hash, an IPv6
 * address. SALT tells kinds and prefix lengths apart. */
static inline uint64_t
sieve_probe_raw(const struct sieve_keys *k, uint64_t salt, const uint8_t p[16])
{
    uint64_t w[4];

    for (unsigned i = 0; i < 4; i++)
        w[i] = sieve_hex(p + 4 * i);
    return sieve_mix(k, sieve_nh(k, (const uint8_t *)w), salt);
}

static inline uint64_t
sieve_salt_v6(unsigned kind, unsigned len)
{
    return sieve_salt(kind + (len << 8));
}

/* Bit for a last label in the marks of a list. OCTETS: the 8 before its end, of
 * which N are of it; more than 8 do not count. */
static inline size_t
sieve_end_bit(uint64_t octets, unsigned n)
{
    unsigned skip = n < 8 ? 64 - 8 * n : 0;

    octets = (octets | SIEVE_FOLD) >> skip << skip;
    return (size_t)(octets * UINT64_C(0x9e3779b97f4a7c15) >> 51);
}

_Static_assert(NR_SIEVE_ENDS * 64 == 1 << (64 - 51), "bits of ends");

/* The four bits of a probe in its word of the filter, and the word. */
static inline uint64_t
sieve_bits(uint64_t h)
{
    return UINT64_C(1) << (h & 63) | UINT64_C(1) << (h >> 6 & 63) |
        UINT64_C(1) << (h >> 12 & 63) | UINT64_C(1) << (h >> 18 & 63);
}

static inline size_t
sieve_word(uint64_t h, size_t filter_n)
{
    return (size_t)((h >> 32) * filter_n >> 32);
}

/* The tail of a name by which it is found first: see sieve.h. */
struct nr_bytes nr_sieve_tail(struct nr_bytes name);

/* One more window of a text that is hashed from its end on; H is 0 at first. */
static inline uint64_t
sieve_chain(const struct sieve_keys *k, uint64_t h, uint64_t nh, uint64_t salt)
{
    return sieve_mix(k, nh ^ sieve_rot(h, 31), salt);
}

/* As nr_sieve_hash() of a name, with the keys at hand, in any case. */
uint64_t nr_sieve_hash_name(const struct sieve_keys *k, struct nr_bytes name);

/* As nr_sieve_hash(), with the keys at hand. */
uint64_t nr_sieve_hash_key(const struct sieve_keys *k, unsigned kind,
    struct nr_bytes key);

/* Probe of a canonical e-mail address. */
uint64_t nr_sieve_probe_email(const struct sieve_keys *k, struct nr_bytes key);

#endif
