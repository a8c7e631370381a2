#include "base/str.h"

bool
nr_bytes_eq_nocase(struct nr_bytes a, struct nr_bytes b)
{
    if (a.n != b.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (nr_lower(a.p[i]) != nr_lower(b.p[i]))
            return false;
    return true;
}

/* Octets of the UTF-8 sequence at P, 0 if there is no valid one in N. */
static size_t
sequence_len(const uint8_t *p, size_t n)
{
    uint8_t lo = 0x80, hi = 0xbf;
    size_t len;

    if (p[0] < 0x80)
        return 1;
    if (p[0] < 0xc2 || p[0] > 0xf4)
        return 0;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] == 0xe0)
        lo = 0xa0; /* shorter forms exist */
    else if (p[0] == 0xed)
        hi = 0x9f; /* surrogates */
    else if (p[0] == 0xf0)
        lo = 0x90;
    else if (p[0] == 0xf4)
        hi = 0x8f; /* past U+10FFFF */
    if (n < len || p[1] < lo || p[1] > hi)
        return 0;
    for (size_t i = 2; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return len;
}

size_t
nr_utf8_valid_len(struct nr_bytes in)
{
    size_t i = 0;

    while (i < in.n) {
        size_t len = sequence_len(in.p + i, in.n - i);

        if (len == 0)
            break;
        i += len;
    }
    return i;
}

bool
nr_str_from_utf8(struct nr_bytes in, struct nr_str *out)
{
    *out = NR_STR("");
    if (nr_utf8_valid_len(in) != in.n)
        return false;
    *out = (struct nr_str){ (const char *)in.p, in.n };
    return true;
}

struct nr_str
nr_str_of(const char *s)
{
    struct nr_bytes b = { (const uint8_t *)s, s ? strlen(s) : 0 };

    return (struct nr_str){ s, nr_utf8_valid_len(b) };
}

struct nr_str
nr_str_trim(struct nr_str s)
{
    while (s.n > 0 && nr_is_space((uint8_t)s.p[0])) {
        s.p++;
        s.n--;
    }
    while (s.n > 0 && nr_is_space((uint8_t)s.p[s.n - 1]))
        s.n--;
    return s;
}

bool
nr_str_to_u64(struct nr_str s, uint64_t *out)
{
    uint64_t v = 0;

    *out = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (!nr_is_digit((uint8_t)s.p[i]) ||
            __builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, (uint64_t)(s.p[i] - '0'), &v))
            return false;
    }
    if (s.n == 0)
        return false;
    *out = v;
    return true;
}
