/* The sieve on AVX2, with the bit instructions that came with it. */
#include "observable/sieve_slide.h"
#include "observable/sieve_ymm.h"

/* Rectangles of (high nibble, low nibble) that make up the classes. */
enum {
    DIGIT = 1,
    A_TO_F = 2,
    G_TO_O = 4,
    P_TO_Z = 8,
    DOT = 16,
    HYPHEN = 32,
    UNDERSCORE = 64,
    COLON = 128,
    ALPHA = A_TO_F | G_TO_O | P_TO_Z,
};

static inline uint32_t
has(__m256i x, int bits)
{
    __m256i none = _mm256_cmpeq_epi8(_mm256_and_si256(x,
                                         _mm256_set1_epi8((char)bits)),
        _mm256_setzero_si256());

    return ~(uint32_t)_mm256_movemask_epi8(none);
}

static inline uint32_t
is(__m256i v, char c)
{
    return (uint32_t)_mm256_movemask_epi8(
        _mm256_cmpeq_epi8(v, _mm256_set1_epi8(c)));
}

/* Bit N of each octet. */
static inline uint32_t
bit(__m256i x, int n)
{
    return (uint32_t)_mm256_movemask_epi8(_mm256_slli_epi16(x, 7 - n));
}

static inline __m256i
classes_of(__m256i v)
{
    enum {
        L0 = DIGIT | P_TO_Z,
        L1 = DIGIT | A_TO_F | P_TO_Z,
        L7 = DIGIT | G_TO_O | P_TO_Z,
    };

    const __m256i lo = _mm256_broadcastsi128_si256(_mm_setr_epi8(L0, L1, L1, L1,
        L1, L1, L1, L7, L7, L7, (char)(G_TO_O | P_TO_Z | COLON), G_TO_O, G_TO_O,
        G_TO_O | HYPHEN, G_TO_O | DOT, G_TO_O | UNDERSCORE));
    const __m256i hi = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 0,
        DOT | HYPHEN, (char)(DIGIT | COLON), A_TO_F | G_TO_O,
        P_TO_Z | UNDERSCORE, A_TO_F | G_TO_O, P_TO_Z, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m256i nibble = _mm256_set1_epi8(15);

    return _mm256_and_si256(_mm256_shuffle_epi8(lo,
                                _mm256_and_si256(v, nibble)),
        _mm256_shuffle_epi8(hi,
            _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble)));
}

#define BOTH(expr_a, expr_b) ((uint64_t)(expr_b) << 32 | (expr_a))

static inline void
classify(const uint8_t *p, struct sieve_planes *m, size_t w)
{
    __m256i u = _mm256_loadu_si256((const void *)p);
    __m256i v = _mm256_loadu_si256((const void *)(p + 32));
    __m256i x = classes_of(u), y = classes_of(v);
    uint64_t alpha, digit;

    alpha = BOTH(has(x, ALPHA), has(y, ALPHA));
    digit = BOTH(bit(x, 0), bit(y, 0));
    m->hex[w] = BOTH(bit(x, 1), bit(y, 1)) | digit;
    m->label[w] = BOTH(has(x, HYPHEN | UNDERSCORE),
                      has(y, HYPHEN | UNDERSCORE)) |
        alpha | digit;
    m->dot[w] = BOTH(bit(x, 4), bit(y, 4));
    m->colon[w] = BOTH(bit(x, 7), bit(y, 7));
    m->at[w] = BOTH(is(u, '@'), is(v, '@'));
    m->slash[w] = BOTH(is(u, '/') | is(u, '\\'), is(v, '/') | is(v, '\\'));
    m->alpha[w] = alpha;
    m->digit[w] = digit;
}

static inline uint64_t
high_plane(const uint8_t *p)
{
    __m256i u = _mm256_loadu_si256((const void *)p);
    __m256i v = _mm256_loadu_si256((const void *)(p + 32));

    return BOTH((uint32_t)_mm256_movemask_epi8(u),
        (uint32_t)_mm256_movemask_epi8(v));
}

static inline __m256i
folded(const uint8_t *p, const uint8_t *mask)
{
    __m256i v = _mm256_loadu_si256((const void *)p);

    v = _mm256_or_si256(v, _mm256_set1_epi8(0x20));
    return _mm256_and_si256(v, _mm256_loadu_si256((const void *)mask));
}

static inline uint64_t
tail_nh(const struct sieve_keys *k, const uint8_t *end, unsigned n)
{
    return nh_of(k, folded(end - 32, sieve_slide + n));
}

static inline uint64_t
head_nh(const struct sieve_keys *k, const uint8_t *p, unsigned n)
{
    return nh_of(k, folded(p, sieve_slide + 64 - n));
}

static inline uint64_t
lf_bits(const uint8_t *p)
{
    __m256i u = _mm256_loadu_si256((const void *)p);
    __m256i v = _mm256_loadu_si256((const void *)(p + 32));

    return BOTH(is(u, '\n'), is(v, '\n'));
}

static inline unsigned
dead_words(const uint64_t *v)
{
    __m256i none = _mm256_cmpeq_epi64(_mm256_loadu_si256((const void *)v),
        _mm256_setzero_si256());

    return (unsigned)_mm256_movemask_pd(_mm256_castsi256_pd(none));
}

static inline unsigned
live_words(const uint64_t *v)
{
    return 0xff ^ dead_words(v) ^ dead_words(v + 4) << 4;
}

/* Leading zeros by the upper four bits. */
static inline __m256i
leading_few(__m256i v)
{
    const __m256i zeros = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(4, 3, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0));

    /* Octets with bit 7 set, all but the lowest, become zero. */
    v = _mm256_or_si256(_mm256_srli_epi64(v, 60),
        _mm256_set1_epi64x((int64_t)UINT64_C(0x8080808080808000)));
    return _mm256_shuffle_epi8(zeros, v);
}

static inline __m256i
counts_of(__m256i v)
{
    const __m256i bits = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i low = _mm256_shuffle_epi8(bits, _mm256_and_si256(v, nibble));
    __m256i high = _mm256_shuffle_epi8(bits,
        _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble));

    return _mm256_sad_epu8(_mm256_add_epi8(low, high), _mm256_setzero_si256());
}

#define word_mask(v) ((uint64_t)(unsigned)_mm256_movemask_pd((__m256d)(v)))
#define counts(v)    ((lanes)counts_of((__m256i)(v)))
#define leading(v)   ((lanes)leading_few((__m256i)(v)))
#define mul32(a, b)  ((lanes)_mm256_mul_epu32((__m256i)(a), (__m256i)(b)))

#define LANES            4
#define ONE_BEFORE(a, b) __builtin_shufflevector(a, b, 3, 4, 5, 6)
#define KERNEL           nr_sieve_avx2
#define KERNEL_NAME      "avx2"
#include SIEVE_BODY
