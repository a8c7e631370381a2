/*
 * Cursor: bounds-checked reading of untrusted octets with a sticky error.
 *
 * After the first failure every read returns zero and moves nothing, so a
 * record is read straight through and c->err is looked at once at its end.
 */
#ifndef NR_CUR_H
#define NR_CUR_H

#include "base/err.h"
#include "base/str.h"

#include <stdint.h>

struct nr_cur {
    const uint8_t *p, *end;
    enum nr_err err;
};

static inline struct nr_cur
nr_cur(struct nr_bytes b)
{
    return (struct nr_cur){ b.p, b.n ? b.p + b.n : b.p, NR_OK };
}

static inline size_t
nr_cur_left(const struct nr_cur *c)
{
    return (size_t)(c->end - c->p);
}

/* The next N octets, borrowed; an empty view once the cursor has failed. */
static inline struct nr_bytes
nr_cur_take(struct nr_cur *c, size_t n)
{
    struct nr_bytes b = { 0 };

    if (c->err == NR_OK && n > nr_cur_left(c))
        c->err = NR_ETRUNC;
    if (c->err != NR_OK)
        return b;
    b = (struct nr_bytes){ c->p, n };
    c->p += n;
    return b;
}

static inline uint8_t
nr_cur_u8(struct nr_cur *c)
{
    struct nr_bytes b = nr_cur_take(c, 1);

    return b.n ? b.p[0] : 0;
}

static inline uint16_t
nr_cur_be16(struct nr_cur *c)
{
    struct nr_bytes b = nr_cur_take(c, 2);

    return b.n ? (uint16_t)(b.p[0] << 8 | b.p[1]) : 0;
}

static inline uint32_t
nr_cur_be32(struct nr_cur *c)
{
    uint32_t hi = nr_cur_be16(c);

    return hi << 16 | nr_cur_be16(c);
}

static inline uint64_t
nr_cur_be64(struct nr_cur *c)
{
    uint64_t hi = nr_cur_be32(c);

    return hi << 32 | nr_cur_be32(c);
}

/* Little endian: the order of our own files (see doc/architecture.md). */
static inline uint64_t
nr_cur_le(struct nr_cur *c, size_t octets)
{
    struct nr_bytes b = nr_cur_take(c, octets);
    uint64_t v = 0;

    for (size_t i = b.n; i > 0; i--)
        v = v << 8 | b.p[i - 1];
    return v;
}

static inline uint16_t
nr_cur_le16(struct nr_cur *c)
{
    return (uint16_t)nr_cur_le(c, 2);
}

static inline uint32_t
nr_cur_le32(struct nr_cur *c)
{
    return (uint32_t)nr_cur_le(c, 4);
}

static inline uint64_t
nr_cur_le64(struct nr_cur *c)
{
    return nr_cur_le(c, 8);
}

#endif
