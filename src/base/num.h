/* Checked arithmetic on sizes. Each returns false, and stores 0, on overflow. */
#ifndef NR_NUM_H
#define NR_NUM_H

#include "base/attr.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

NR_MUST_USE static inline bool
nr_add(size_t a, size_t b, size_t *sum)
{
    bool ok = !__builtin_add_overflow(a, b, sum);

    if (!ok)
        *sum = 0;
    return ok;
}

NR_MUST_USE static inline bool
nr_mul(size_t a, size_t b, size_t *product)
{
    bool ok = !__builtin_mul_overflow(a, b, product);

    if (!ok)
        *product = 0;
    return ok;
}

NR_MUST_USE static inline bool
nr_to_u32(size_t n, uint32_t *out)
{
    *out = n <= UINT32_MAX ? (uint32_t)n : 0;
    return n <= UINT32_MAX;
}

NR_MUST_USE static inline bool
nr_to_u16(size_t n, uint16_t *out)
{
    *out = n <= UINT16_MAX ? (uint16_t)n : 0;
    return n <= UINT16_MAX;
}

NR_MUST_USE static inline bool
nr_to_i64(uint64_t n, int64_t *out)
{
    *out = n <= INT64_MAX ? (int64_t)n : 0;
    return n <= INT64_MAX;
}

static inline size_t
nr_min(size_t a, size_t b)
{
    return a < b ? a : b;
}

static inline size_t
nr_max(size_t a, size_t b)
{
    return a > b ? a : b;
}

#endif
