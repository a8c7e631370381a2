/* Parts of a kernel that plain C does as well as most vector units. */
#include "observable/sieve_int.h"

static inline uint64_t
high_plane(const uint8_t *p)
{
    uint64_t m = 0;

    for (unsigned i = 0; i < 64; i += 8) {
        uint64_t v = sieve_load(p + i) & UINT64_C(0x8080808080808080);

        /* Bit 7 of octet k goes to bit 56 + k. */
        m |= ((v >> 7) * UINT64_C(0x0102040810204080) >> 56) << i;
    }
    return m;
}

/* Bits of M, by halves: not every machine has an instruction. */
static inline uint64_t
count(uint64_t m)
{
    m -= m >> 1 & UINT64_C(0x5555555555555555);
    m = (m & UINT64_C(0x3333333333333333)) +
        (m >> 2 & UINT64_C(0x3333333333333333));
    m = (m + (m >> 4)) & UINT64_C(0x0f0f0f0f0f0f0f0f);
    return m * UINT64_C(0x0101010101010101) >> 56;
}

static inline unsigned
live_words(const uint64_t *v)
{
    unsigned live = 0;

    for (unsigned i = 0; i < 8; i++)
        live |= (unsigned)(v[i] != 0) << i;
    return live;
}

/* Of two words. */
#define word_mask(v) ((uint64_t)((v)[0] & 1) | (uint64_t)((v)[1] & 2))
#define counts(v)    ((lanes){ count((v)[0]), count((v)[1]) })
#define leading(v)                               \
    ((lanes){ (unsigned)__builtin_clzll((v)[0]), \
        (unsigned)__builtin_clzll((v)[1]) })
#define mul32(a, b) (((a)&0xffffffff) * ((b)&0xffffffff))

static inline uint16_t *
put_places(uint16_t *v, size_t at, uint64_t m)
{
    for (; m; m &= m - 1)
        *v++ = (uint16_t)(at + (unsigned)__builtin_ctzll(m));
    return v;
}
