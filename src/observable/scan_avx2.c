/* The scanner by bitmaps, with AVX2: two look-ups, by the high and the low
 * half of an octet, give a set of classes each; what stands in both holds. */
#include "observable/scan_kernels.h"

#include <immintrin.h>

#define SCAN_NAME nr_scan_avx2
#include "observable/scan_bits.h"

/* Each class is all octets with one of some high halves and one of some low. */
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

static inline __m256i
classes(__m256i x)
{
    const __m256i by_high = _mm256_setr_epi8(0, 0, K_DOT | K_DASH,
        K_DIGIT | (char)K_COLON, K_HEX | K_AFTER, K_LAST | K_UNDER,
        K_HEX | K_AFTER, K_LAST, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, K_DOT | K_DASH,
        K_DIGIT | (char)K_COLON, K_HEX | K_AFTER, K_LAST | K_UNDER,
        K_HEX | K_AFTER, K_LAST, 0, 0, 0, 0, 0, 0, 0, 0);
    const __m256i by_low = _mm256_setr_epi8(K_DIGIT | K_LAST,
        K_DIGIT | K_HEX | K_LAST, K_DIGIT | K_HEX | K_LAST,
        K_DIGIT | K_HEX | K_LAST, K_DIGIT | K_HEX | K_LAST,
        K_DIGIT | K_HEX | K_LAST, K_DIGIT | K_HEX | K_LAST,
        K_DIGIT | K_AFTER | K_LAST, K_DIGIT | K_AFTER | K_LAST,
        K_DIGIT | K_AFTER | K_LAST, K_AFTER | K_LAST | (char)K_COLON, K_AFTER,
        K_AFTER, K_AFTER | K_DASH, K_AFTER | K_DOT, K_AFTER | K_UNDER,
        K_DIGIT | K_LAST, K_DIGIT | K_HEX | K_LAST, K_DIGIT | K_HEX | K_LAST,
        K_DIGIT | K_HEX | K_LAST, K_DIGIT | K_HEX | K_LAST,
        K_DIGIT | K_HEX | K_LAST, K_DIGIT | K_HEX | K_LAST,
        K_DIGIT | K_AFTER | K_LAST, K_DIGIT | K_AFTER | K_LAST,
        K_DIGIT | K_AFTER | K_LAST, K_AFTER | K_LAST | (char)K_COLON, K_AFTER,
        K_AFTER, K_AFTER | K_DASH, K_AFTER | K_DOT, K_AFTER | K_UNDER);
    const __m256i half = _mm256_set1_epi8(15);

    return _mm256_and_si256(_mm256_shuffle_epi8(by_high,
                                _mm256_and_si256(_mm256_srli_epi16(x, 4),
                                    half)),
        _mm256_shuffle_epi8(by_low, _mm256_and_si256(x, half)));
}

static inline uint64_t
mask(__m256i a, __m256i b)
{
    return (uint32_t)_mm256_movemask_epi8(a) |
        (uint64_t)(uint32_t)_mm256_movemask_epi8(b) << 32;
}

/* Octets of A and B that have one of the classes K. */
static inline uint64_t
any(__m256i a, __m256i b, int k)
{
    const __m256i zero = _mm256_setzero_si256(), v = _mm256_set1_epi8((char)k);

    return ~mask(_mm256_cmpeq_epi8(_mm256_and_si256(a, v), zero),
        _mm256_cmpeq_epi8(_mm256_and_si256(b, v), zero));
}

/* The same for one class, which is bit 7 - SHIFT. */
#define ONE(a, b, shift) \
    mask(_mm256_slli_epi16(a, shift), _mm256_slli_epi16(b, shift))

static inline uint64_t
equal(__m256i a, __m256i b, char c)
{
    const __m256i v = _mm256_set1_epi8(c);

    return mask(_mm256_cmpeq_epi8(a, v), _mm256_cmpeq_epi8(b, v));
}

static inline __m256i
load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

static inline void
classify(const uint8_t *p, struct bits *b)
{
    __m256i x = load(p), y = load(p + 32), cx = classes(x), cy = classes(y);

    b->run = any(cx, cy, K_NAME);
    b->dot = ONE(cx, cy, 3);
    b->digit = ONE(cx, cy, 7);
    b->hex = b->digit | ONE(cx, cy, 6);
    b->colon = mask(cx, cy);
    b->at = equal(x, y, '@');
    b->lf = equal(x, y, '\n');
    b->slash = equal(x, y, '/') | equal(x, y, '\\');
    b->high = mask(x, y);
}

static inline void
separators(const uint8_t *p, struct bits *b)
{
    __m256i x = load(p), y = load(p + 32);

    b->dash = equal(x, y, '-');
    b->under = equal(x, y, '_');
}

static inline void
copy_lower(uint8_t *to, const uint8_t *from)
{
    for (size_t i = 0; i < 64; i += 32) {
        __m256i x = load(from + i);
        __m256i upper = _mm256_and_si256(_mm256_cmpgt_epi8(x,
                                             _mm256_set1_epi8('A' - 1)),
            _mm256_cmpgt_epi8(_mm256_set1_epi8('Z' + 1), x));

        _mm256_storeu_si256((__m256i *)(void *)(to + i),
            _mm256_or_si256(x,
                _mm256_and_si256(upper, _mm256_set1_epi8(0x20))));
    }
}
