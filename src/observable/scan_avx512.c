/* The scanner by bitmaps, with AVX-512 VBMI: one look-up in a table of 128
 * octets gives eight classes. */
#include "observable/scan_kernels.h"

#include <immintrin.h>

#define SCAN_NAME nr_scan_avx512
#include "observable/scan_bits.h"

enum {
    K_RUN = 1,
    K_DOT = 2,
    K_DIGIT = 4,
    K_HEX = 8,
    K_COLON = 16,
    K_AT = 32,
    K_LF = 64,
    K_SLASH = 128, /* '/' and '\' */
};

/* Classes of ASCII. Written by a script; the agreement of the variants with
 * the scalar scanner tests it. */
static const uint8_t table[128] = {
    /* clang-format off */
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 128,
    13, 13, 13, 13, 13, 13, 13, 13, 13, 13, 16, 0, 0, 0, 0, 0,
    32, 9, 9, 9, 9, 9, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 128, 0, 0, 1,
    0, 9, 9, 9, 9, 9, 9, 1, 1, 1, 1, 1, 1, 1, 1, 1,
    1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0,
    /* clang-format on */
};

static inline void
classify(const uint8_t *p, struct bits *b)
{
    __m512i x = _mm512_loadu_si512(p);
    __mmask64 high = _mm512_movepi8_mask(x);
    __m512i c = _mm512_maskz_permutex2var_epi8(~high, _mm512_loadu_si512(table),
        x, _mm512_loadu_si512(table + 64));

    b->run = _mm512_test_epi8_mask(c, _mm512_set1_epi8(K_RUN));
    b->dot = _mm512_test_epi8_mask(c, _mm512_set1_epi8(K_DOT));
    b->digit = _mm512_test_epi8_mask(c, _mm512_set1_epi8(K_DIGIT));
    b->hex = _mm512_test_epi8_mask(c, _mm512_set1_epi8(K_HEX));
    b->colon = _mm512_test_epi8_mask(c, _mm512_set1_epi8(K_COLON));
    b->at = _mm512_test_epi8_mask(c, _mm512_set1_epi8(K_AT));
    b->lf = _mm512_test_epi8_mask(c, _mm512_set1_epi8(K_LF));
    b->slash = _mm512_movepi8_mask(c);
    b->high = high;
}

static inline void
separators(const uint8_t *p, struct bits *b)
{
    __m512i x = _mm512_loadu_si512(p);

    b->dash = _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8('-'));
    b->under = _mm512_cmpeq_epi8_mask(x, _mm512_set1_epi8('_'));
}

static inline void
copy_lower(uint8_t *to, const uint8_t *from)
{
    __m512i x = _mm512_loadu_si512(from);
    __mmask64 upper = _mm512_cmplt_epu8_mask(_mm512_sub_epi8(x,
                                                 _mm512_set1_epi8('A')),
        _mm512_set1_epi8(26));

    _mm512_storeu_si512(to,
        _mm512_mask_add_epi8(x, upper, x, _mm512_set1_epi8(0x20)));
}
