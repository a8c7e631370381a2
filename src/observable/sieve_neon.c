/* The sieve on the vectors that every AArch64 has. */
#include "observable/sieve_classes.h"
#include "observable/sieve_plain.h"
#include "observable/sieve_slide.h"

#include <arm_neon.h>

static const uint8_t classes[128] = SIEVE_CLASSES;

/* Bit N of 64 octets in a row. */
static inline uint64_t
plane(const uint8x16_t x[4], uint8_t n)
{
    static const uint8_t places[16] = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8,
        16, 32, 64, 128 };
    uint8x16_t place = vld1q_u8(places), bit = vdupq_n_u8((uint8_t)(1 << n));
    uint8x16_t t[4];

    for (int i = 0; i < 4; i++)
        t[i] = vandq_u8(vtstq_u8(x[i], bit), place);
    t[0] = vpaddq_u8(vpaddq_u8(t[0], t[1]), vpaddq_u8(t[2], t[3]));
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(t[0], t[0])), 0);
}

static inline void
classify(const uint8_t *p, struct sieve_planes *m, size_t w)
{
    uint8x16x4_t lo = vld1q_u8_x4(classes), hi = vld1q_u8_x4(classes + 64);
    uint8x16_t x[4];

    for (int i = 0; i < 4; i++) {
        uint8x16_t v = vld1q_u8(p + 16 * i);

        /* Octets out of a table give zero. */
        x[i] = vorrq_u8(vqtbl4q_u8(lo, v),
            vqtbl4q_u8(hi, vsubq_u8(v, vdupq_n_u8(64))));
    }
    m->label[w] = plane(x, 0);
    m->dot[w] = plane(x, 1);
    m->alpha[w] = plane(x, 2);
    m->digit[w] = plane(x, 3);
    m->hex[w] = plane(x, 4);
    m->colon[w] = plane(x, 5);
    m->at[w] = plane(x, 6);
    m->slash[w] = plane(x, 7);
}

static inline uint64_t
folded_nh(const struct sieve_keys *k, const uint8_t *p, const uint8_t *mask)
{
    const uint8x16_t fold = vdupq_n_u8(0x20);
    uint8x16_t a = vandq_u8(vorrq_u8(vld1q_u8(p), fold), vld1q_u8(mask));
    uint8x16_t b = vandq_u8(vorrq_u8(vld1q_u8(p + 16), fold),
        vld1q_u8(mask + 16));
    uint32x4_t s = vaddq_u32(vreinterpretq_u32_u8(a), vld1q_u32(k->nh));
    uint32x4_t t = vaddq_u32(vreinterpretq_u32_u8(b), vld1q_u32(k->nh + 4));
    uint32x4_t even = vuzp1q_u32(s, t), odd = vuzp2q_u32(s, t);

    return vaddvq_u64(
        vmlal_high_u32(vmull_u32(vget_low_u32(even), vget_low_u32(odd)), even,
            odd));
}

static inline uint64_t
tail_nh(const struct sieve_keys *k, const uint8_t *end, unsigned n)
{
    return folded_nh(k, end - 32, sieve_slide + n);
}

static inline uint64_t
head_nh(const struct sieve_keys *k, const uint8_t *p, unsigned n)
{
    return folded_nh(k, p, sieve_slide + 64 - n);
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
    const uint8x16_t lf = vdupq_n_u8('\n');
    uint8x16_t x[4];

    for (int i = 0; i < 4; i++)
        x[i] = vceqq_u8(vld1q_u8(p + 16 * i), lf);
    return plane(x, 0);
}

#define LANES            2
#define ONE_BEFORE(a, b) __builtin_shufflevector(a, b, 1, 2)
#define KERNEL           nr_sieve_neon
#define KERNEL_NAME      "neon"
#include SIEVE_BODY
