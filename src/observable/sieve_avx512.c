/* The sieve on AVX-512 with the octet permutations of VBMI (Ice Lake, Zen 4
 * and later). */
#include "observable/sieve_classes.h"
#include "observable/sieve_ymm.h"

/* Of the octets below 0x80: one permutation looks 64 of them up. */
static const uint8_t classes[128] = SIEVE_CLASSES;

static inline void
classify(const uint8_t *p, struct sieve_planes *m, size_t w)
{
    __m512i v = _mm512_loadu_si512(p), x;

    x = _mm512_permutex2var_epi8(_mm512_loadu_si512(classes), v,
        _mm512_loadu_si512(classes + 64));
    /* The permutation ignores bit 7. */
    x = _mm512_maskz_mov_epi8(_knot_mask64(_mm512_movepi8_mask(v)), x);
    m->label[w] = _mm512_test_epi8_mask(x, _mm512_set1_epi8(S_LABEL));
    m->dot[w] = _mm512_test_epi8_mask(x, _mm512_set1_epi8(S_DOT));
    m->alpha[w] = _mm512_test_epi8_mask(x, _mm512_set1_epi8(S_ALPHA));
    m->digit[w] = _mm512_test_epi8_mask(x, _mm512_set1_epi8(S_DIGIT));
    m->hex[w] = _mm512_test_epi8_mask(x, _mm512_set1_epi8(S_HEX));
    m->colon[w] = _mm512_test_epi8_mask(x, _mm512_set1_epi8(S_COLON));
    m->at[w] = _mm512_test_epi8_mask(x, _mm512_set1_epi8(S_AT));
    m->slash[w] = _mm512_movepi8_mask(x);
}

static inline uint64_t
high_plane(const uint8_t *p)
{
    return _mm512_movepi8_mask(_mm512_loadu_si512(p));
}

static inline uint64_t
tail_nh(const struct sieve_keys *k, const uint8_t *end, unsigned n)
{
    __mmask32 live = 0xffffffffu << (32 - n);
    __m256i v = _mm256_maskz_loadu_epi8(live, end - 32);

    v = _mm256_or_si256(v, _mm256_maskz_mov_epi8(live, _mm256_set1_epi8(0x20)));
    return nh_of(k, v);
}

static inline uint64_t
head_nh(const struct sieve_keys *k, const uint8_t *p, unsigned n)
{
    __mmask32 live = _bzhi_u32(0xffffffffu, n);
    __m256i v = _mm256_maskz_loadu_epi8(live, p);

    v = _mm256_or_si256(v, _mm256_maskz_mov_epi8(live, _mm256_set1_epi8(0x20)));
    return nh_of(k, v);
}

static inline uint64_t
lf_bits(const uint8_t *p)
{
    return _mm512_cmpeq_epi8_mask(_mm512_loadu_si512(p),
        _mm512_set1_epi8('\n'));
}

static inline unsigned
live_words(const uint64_t *v)
{
    __m512i x = _mm512_loadu_si512(v);

    return _mm512_test_epi64_mask(x, x);
}

#define word_mask(v) ((uint64_t)_mm512_movepi64_mask((__m512i)(v)))
#define counts(v)    ((lanes)_mm512_popcnt_epi64((__m512i)(v)))
#define leading(v)   ((lanes)_mm512_lzcnt_epi64((__m512i)(v)))
#define mul32(a, b)  ((lanes)_mm512_mul_epu32((__m512i)(a), (__m512i)(b)))

#define LANES 8
#define ONE_BEFORE(a, b) \
    __builtin_shufflevector(a, b, 7, 8, 9, 10, 11, 12, 13, 14)
#define KERNEL      nr_sieve_avx512
#define KERNEL_NAME "avx512"
#include SIEVE_BODY
