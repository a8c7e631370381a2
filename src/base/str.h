/* Borrowed views: a pointer and a length, no terminator, no ownership. */
#ifndef NR_STR_H
#define NR_STR_H

#include "base/attr.h"

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Untrusted octets. */
struct nr_bytes {
    const uint8_t *p; /* may be NULL only when n == 0 */
    size_t n;         /* octets */
};

/* Text: valid UTF-8, made only by nr_str_from_utf8() or NR_STR(). */
struct nr_str {
    const char *p;
    size_t n; /* octets, not characters */
};

#define NR_STR(lit) ((struct nr_str){ "" lit, sizeof(lit) - 1 })
#define NR_BYTES(lit) \
    ((struct nr_bytes){ (const uint8_t *)("" lit), sizeof(lit) - 1 })

/* printf("%.*s", NR_FMT(s)): a view longer than INT_MAX prints as nothing. */
#define NR_FMT(s) ((s).n <= INT_MAX ? (int)(s).n : 0), (s).p

static inline bool
nr_str_eq(struct nr_str a, struct nr_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Split S at the first C: the head is returned, *REST is what follows C. */
static inline struct nr_str
nr_str_cut(struct nr_str s, char c, struct nr_str *rest)
{
    const char *at = s.n ? memchr(s.p, c, s.n) : NULL;
    size_t n = at ? (size_t)(at - s.p) : s.n;
    size_t skip = at ? n + 1 : n;

    *rest = (struct nr_str){ s.p + skip, s.n - skip };
    return (struct nr_str){ s.p, n };
}

static inline struct nr_bytes
nr_bytes_of(struct nr_str s)
{
    return (struct nr_bytes){ (const uint8_t *)s.p, s.n };
}

static inline bool
nr_bytes_eq(struct nr_bytes a, struct nr_bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* The octets from AT to END (AT <= END <= b.n). */
static inline struct nr_bytes
nr_bytes_sub(struct nr_bytes b, size_t at, size_t end)
{
    return (struct nr_bytes){ b.p + at, end - at };
}

/* Order by octets, a prefix first: < 0, 0 or > 0. */
static inline int
nr_bytes_cmp(struct nr_bytes a, struct nr_bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;

    return c ? c : (a.n > b.n) - (a.n < b.n);
}

static inline bool
nr_bytes_starts(struct nr_bytes b, struct nr_bytes head)
{
    return b.n >= head.n && (head.n == 0 || memcmp(b.p, head.p, head.n) == 0);
}

/* Equal when ASCII letters are compared without regard to case. */
bool nr_bytes_eq_nocase(struct nr_bytes a, struct nr_bytes b) NR_MUST_USE;

/* Offset of the first octet of IN that is not part of valid UTF-8 (RFC 3629:
 * no surrogates, no overlong forms, at most U+10FFFF); in.n when all is. */
size_t nr_utf8_valid_len(struct nr_bytes in) NR_MUST_USE;

/* The only way from octets to text. False, *OUT empty, when IN is not UTF-8. */
bool nr_str_from_utf8(struct nr_bytes in, struct nr_str *out) NR_MUST_USE;

/* A NUL-terminated string that the caller knows to be text (argv, literals):
 * cut at the first octet that is not UTF-8. S may be NULL: empty. */
struct nr_str nr_str_of(const char *s);

/* ASCII white space off both ends. */
struct nr_str nr_str_trim(struct nr_str s);

/* Decimal digits only, no sign, the whole of S; false on overflow. */
bool nr_str_to_u64(struct nr_str s, uint64_t *out) NR_MUST_USE;

/* ASCII classes that do not depend on a locale. */
static inline bool
nr_is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

static inline bool
nr_is_alpha(uint8_t c)
{
    return (uint8_t)((c | 0x20) - 'a') < 26;
}

static inline bool
nr_is_hex(uint8_t c)
{
    return nr_is_digit(c) || (uint8_t)((c | 0x20) - 'a') < 6;
}

static inline bool
nr_is_space(uint8_t c)
{
    return c == ' ' || (c >= 9 && c <= 13);
}

static inline uint8_t
nr_lower(uint8_t c)
{
    return (uint8_t)(c - 'A') < 26 ? (uint8_t)(c | 0x20) : c;
}

/* Value of a hex digit (nr_is_hex(C) holds). */
static inline uint8_t
nr_hex_value(uint8_t c)
{
    return nr_is_digit(c) ? (uint8_t)(c - '0')
                          : (uint8_t)((c | 0x20) - 'a' + 10);
}

#endif
