/* The scanner by bitmaps, with NEON: as AVX2's, 16 octets at a time. */
#include "observable/scan_kernels.h"

#include <arm_neon.h>

#define SCAN_NAME nr_scan_neon
#include "observable/scan_bits.h"

enum {
    K_DIGIT = 1,  /* 0-9 */
    K_HEX = 2,    /* a-f A-F */
    K_AFTER = 4,  /* g-o G-O */
    K_LAST = 8,   /* p-z P-Z */
    K_DOT = 16,   /* . */
    K_DASH = 32,  /* - */
    K_UNDER = 64, /* _ */
    K_COLON = 128,
    K_NAME = K_DIGIT | K_HEX | K_AFTER | K_LAST | K_DOT | K_DASH | K_UNDER,
};

static const uint8_t by_high[16] = { 0, 0, K_DOT | K_DASH, K_DIGIT | K_COLON,
    K_HEX | K_AFTER, K_LAST | K_UNDER, K_HEX | K_AFTER, K_LAST };
static const uint8_t by_low[16] = { K_DIGIT | K_LAST, K_DIGIT | K_HEX | K_LAST,
    K_DIGIT | K_HEX | K_LAST, K_DIGIT | K_HEX | K_LAST,
    K_DIGIT | K_HEX | K_LAST, K_DIGIT | K_HEX | K_LAST,
    K_DIGIT | K_HEX | K_LAST, K_DIGIT | K_AFTER | K_LAST,
    K_DIGIT | K_AFTER | K_LAST, K_DIGIT | K_AFTER | K_LAST,
    K_AFTER | K_LAST | K_COLON, K_AFTER, K_AFTER, K_AFTER | K_DASH,
    K_AFTER | K_DOT, K_AFTER | K_UNDER };

/* 64 octets, each all ones or zero, as a bitmap. */
static inline uint64_t
mask(const uint8x16_t v[4])
{
    static const uint8_t bit[16] = { 1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8,
        16, 32, 64, 128 };
    uint8x16_t m = vld1q_u8(bit);
    uint8x16_t a = vpaddq_u8(vandq_u8(v[0], m), vandq_u8(v[1], m));
    uint8x16_t b = vpaddq_u8(vandq_u8(v[2], m), vandq_u8(v[3], m));

    a = vpaddq_u8(a, b);
    a = vpaddq_u8(a, a);
    return vgetq_lane_u64(vreinterpretq_u64_u8(a), 0);
}

static inline uint64_t
any(const uint8x16_t v[4], uint8_t k)
{
    uint8x16_t one[4];

    for (size_t i = 0; i < 4; i++)
        one[i] = vtstq_u8(v[i], vdupq_n_u8(k));
    return mask(one);
}

static inline uint64_t
equal(const uint8x16_t v[4], char c)
{
    uint8x16_t one[4];

    for (size_t i = 0; i < 4; i++)
        one[i] = vceqq_u8(v[i], vdupq_n_u8((uint8_t)c));
    return mask(one);
}

static inline void
load(const uint8_t *p, uint8x16_t v[4])
{
    for (size_t i = 0; i < 4; i++)
        v[i] = vld1q_u8(p + 16 * i);
}

static inline void
classify(const uint8_t *p, struct bits *b)
{
    uint8x16_t x[4], c[4];

    load(p, x);
    for (size_t i = 0; i < 4; i++)
        c[i] = vandq_u8(vqtbl1q_u8(vld1q_u8(by_high), vshrq_n_u8(x[i], 4)),
            vqtbl1q_u8(vld1q_u8(by_low), vandq_u8(x[i], vdupq_n_u8(15))));
    b->run = any(c, K_NAME);
    b->dot = any(c, K_DOT);
    b->digit = any(c, K_DIGIT);
    b->hex = any(c, K_DIGIT | K_HEX);
    b->colon = any(c, K_COLON);
    b->at = equal(x, '@');
    b->lf = equal(x, '\n');
    b->slash = equal(x, '/') | equal(x, '\\');
    b->high = any(x, 0x80);
}

static inline void
separators(const uint8_t *p, struct bits *b)
{
    uint8x16_t x[4];

    load(p, x);
    b->dash = equal(x, '-');
    b->under = equal(x, '_');
}

static inline void
copy_lower(uint8_t *to, const uint8_t *from)
{
    for (size_t i = 0; i < 64; i += 16) {
        uint8x16_t x = vld1q_u8(from + i);
        uint8x16_t upper = vcltq_u8(vsubq_u8(x, vdupq_n_u8('A')),
            vdupq_n_u8(26));

        vst1q_u8(to + i, vorrq_u8(x, vandq_u8(upper, vdupq_n_u8(0x20))));
    }
}
