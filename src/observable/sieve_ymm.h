/* Parts of a kernel on 32 octets, for both kinds of x86 vectors. */
#include "observable/sieve_int.h"

#include <immintrin.h>

static inline uint64_t
count(uint64_t m)
{
    return (uint64_t)_mm_popcnt_u64(m);
}

static inline uint16_t *
put_places(uint16_t *v, size_t at, uint64_t m)
{
    uint16_t *end = v + _mm_popcnt_u64(m);

    /* Most words have one or two. VPCOMPRESSB would list them all at once, and
     * takes longer. */
    v[0] = (uint16_t)(at + _tzcnt_u64(m));
    m = _blsr_u64(m);
    v[1] = (uint16_t)(at + _tzcnt_u64(m));
    for (v += 2; v < end; v++) {
        m = _blsr_u64(m);
        *v = (uint16_t)(at + _tzcnt_u64(m));
    }
    return end;
}

static inline uint64_t
nh_of(const struct sieve_keys *k, __m256i v)
{
    __m256i t = _mm256_add_epi32(v, _mm256_loadu_si256((const void *)k->nh));
    __m128i sum;

    t = _mm256_mul_epu32(t, _mm256_srli_epi64(t, 32));
    sum = _mm_add_epi64(_mm256_castsi256_si128(t),
        _mm256_extracti128_si256(t, 1));
    sum = _mm_add_epi64(sum, _mm_unpackhi_epi64(sum, sum));
    return (uint64_t)_mm_cvtsi128_si64(sum);
}

/* Classes of octets that end a URL, by nibble; an octet has those in which
 * both its nibbles are: " ' | < > \ ^ | ` | { | } and DEL. */
static inline unsigned
url_octets(const uint8_t *p)
{
    const __m256i lo = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(4, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 8, 2 | 8, 8, 2, 8));
    const __m256i hi = _mm256_broadcastsi128_si256(
        _mm_setr_epi8(0, 0, 1, 2, 0, 2, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0));
    const __m256i nibble = _mm256_set1_epi8(15);
    __m256i v = _mm256_loadu_si256((const void *)p);
    __m256i x = _mm256_and_si256(_mm256_shuffle_epi8(lo,
                                     _mm256_and_si256(v, nibble)),
        _mm256_shuffle_epi8(hi,
            _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble)));
    /* Signed: octets above 0x7f are below the space, too. */
    __m256i ok = _mm256_and_si256(_mm256_cmpgt_epi8(v, _mm256_set1_epi8(' ')),
        _mm256_cmpeq_epi8(x, _mm256_setzero_si256()));

    return (unsigned)_tzcnt_u64(~(uint64_t)(uint32_t)_mm256_movemask_epi8(ok));
}
