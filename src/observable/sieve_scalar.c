/* The sieve in portable C: the definition that the other kernels equal. */
#include "observable/sieve_classes.h"
#include "observable/sieve_int.h"

static const uint8_t classes[256] = SIEVE_CLASSES;

/* The 8 x 8 bits of V across the diagonal (Warren, Hacker's Delight 7-3). */
static uint64_t
transpose(uint64_t v)
{
    uint64_t t = (v ^ v >> 7) & UINT64_C(0x00aa00aa00aa00aa);

    v ^= t ^ t << 7;
    t = (v ^ v >> 14) & UINT64_C(0x0000cccc0000cccc);
    v ^= t ^ t << 14;
    t = (v ^ v >> 28) & UINT64_C(0x00000000f0f0f0f0);
    return v ^ t ^ t << 28;
}

static inline void
classify(const uint8_t *p, struct sieve_planes *m, size_t w)
{
    uint64_t rows[8] = { 0 };

    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t v = 0;

        for (unsigned k = 0; k < 8; k++)
            v |= (uint64_t)classes[p[i + k]] << 8 * k;
        v = transpose(v);
        for (unsigned k = 0; k < 8; k++)
            rows[k] |= (v >> 8 * k & 0xff) << i;
    }
    m->label[w] = rows[0];
    m->dot[w] = rows[1];
    m->alpha[w] = rows[2];
    m->digit[w] = rows[3];
    m->hex[w] = rows[4];
    m->colon[w] = rows[5];
    m->at[w] = rows[6];
    m->slash[w] = rows[7];
}

#include "observable/sieve_plain.h"

static inline uint64_t
tail_nh(const struct sieve_keys *k, const uint8_t *end, unsigned n)
{
    uint8_t w[SIEVE_WINDOW];

    sieve_window_end((struct nr_bytes){ end - n, n }, w);
    return sieve_nh(k, w);
}

static inline uint64_t
head_nh(const struct sieve_keys *k, const uint8_t *p, unsigned n)
{
    uint8_t w[SIEVE_WINDOW];

    sieve_window_start((struct nr_bytes){ p, n }, w);
    return sieve_nh(k, w);
}

static inline unsigned
url_octets(const uint8_t *p)
{
    unsigned n = 0;

    while (n < SIEVE_WINDOW && nr_scan_class[p[n]] & NR_C_URL)
        n++;
    return n;
}

static inline uint64_t
lf_bits(const uint8_t *p)
{
    const uint64_t low = 0x7f7f7f7f7f7f7f7f;
    uint64_t bits = 0;

    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t v = sieve_load(p + i) ^ 0x0a0a0a0a0a0a0a0a;

        v = ~(((v & low) + low) | v | low); /* 0x80 where there was a LF */
        bits |= (v * 0x0002040810204081 >> 56) << i;
    }
    return bits;
}

#define LANES            2
#define ONE_BEFORE(a, b) __builtin_shufflevector(a, b, 1, 2)
#define KERNEL           nr_sieve_scalar
#define KERNEL_NAME      "scalar"
#include SIEVE_BODY
