/*
 * Addresses as text. The IPv6 reader takes what inet_pton(3) takes in forms 1
 * and 2 of RFC 4291 section 2.2; the printer is RFC 5952.
 */
#include "observable/observable.h"

#include <string.h>

bool
nr_ipv4_parse(struct nr_bytes in, uint8_t out[4])
{
    size_t octets = 0, digits = 0;
    unsigned v = 0;

    if (in.n < 7 || in.n > 15)
        return false;
    for (size_t i = 0; i <= in.n; i++) {
        uint8_t c = i < in.n ? in.p[i] : '.';

        if (nr_is_digit(c)) {
            if (digits > 0 && v == 0)
                return false; /* leading zero: some read it as octal */
            v = v * 10 + (unsigned)(c - '0');
            digits++;
            if (v > 255)
                return false;
        } else if (c == '.' && digits > 0 && octets < 4) {
            out[octets++] = (uint8_t)v;
            digits = 0;
            v = 0;
        } else {
            return false;
        }
    }
    return octets == 4;
}

/* Move the groups behind "::" to the end. */
static bool
expand(uint8_t out[16], size_t n, size_t gap, bool gapped)
{
    if (!gapped)
        return n == 16;
    if (n >= 16)
        return false;
    memmove(out + 16 - (n - gap), out + gap, n - gap);
    memset(out + gap, 0, 16 - n);
    return true;
}

/* One group of 1 to 4 hex digits at *AT. */
static bool
group(struct nr_bytes in, size_t *at, uint8_t out[2])
{
    size_t i = *at;
    unsigned v = 0;

    for (; i < in.n && nr_is_hex(in.p[i]); i++) {
        if (i - *at == 4)
            return false;
        v = v << 4 | nr_hex_value(in.p[i]);
    }
    if (i == *at)
        return false;
    out[0] = (uint8_t)(v >> 8);
    out[1] = (uint8_t)v;
    *at = i;
    return true;
}

bool
nr_ipv6_parse(struct nr_bytes in, bool embedded, uint8_t out[16])
{
    uint8_t a[16];
    size_t at = 0, n = 0, gap = 0;
    bool gapped = false;

    if (in.n < 2 || in.n > 45)
        return false;
    if (in.p[0] == ':' && in.p[1] != ':')
        return false;
    while (at < in.n) {
        if (in.p[at] == ':' && at + 1 < in.n && in.p[at + 1] == ':') {
            if (gapped)
                return false;
            gapped = true;
            gap = n;
            at += 2;
            if (at == in.n)
                break;
        } else if (n > 0) {
            if (in.p[at] != ':' || ++at == in.n)
                return false;
        }
        if (n == 16)
            return false;
        if (embedded && n <= 12 &&
            nr_ipv4_parse(nr_bytes_sub(in, at, in.n), a + n)) {
            n += 4;
            break;
        }
        if (!group(in, &at, a + n))
            return false;
        n += 2;
    }
    if (!expand(a, n, gap, gapped))
        return false;
    memcpy(out, a, 16);
    return true;
}

/* The longest run of two or more zero groups, the first of equals. */
static size_t
longest_zeros(const uint8_t in[16], size_t *len)
{
    size_t best = 8, best_len = 1;

    for (size_t i = 0; i < 8; i++) {
        size_t n = 0;

        while (i + n < 8 && (in[2 * (i + n)] | in[2 * (i + n) + 1]) == 0)
            n++;
        if (n > best_len) {
            best = i;
            best_len = n;
        }
        i += n;
    }
    *len = best < 8 ? best_len : 0;
    return best;
}

void
nr_ipv6_print(const uint8_t in[16], struct nr_buf *out)
{
    static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
    size_t len, zeros = longest_zeros(in, &len);

    if (memcmp(in, mapped, sizeof(mapped)) == 0) {
        nr_buf_printf(out, "::ffff:%u.%u.%u.%u", in[12], in[13], in[14],
            in[15]);
        return;
    }
    for (size_t i = 0; i < 8; i++) {
        if (i == zeros) {
            nr_buf_put_str(out, NR_STR("::"));
            i += len - 1;
            continue;
        }
        if (i > 0 && i != zeros + len)
            nr_buf_put_c(out, ':');
        nr_buf_printf(out, "%x", (unsigned)(in[2 * i] << 8 | in[2 * i + 1]));
    }
}

bool
nr_range_parse(struct nr_str text, struct nr_range *out)
{
    struct nr_str b, a = nr_str_trim(nr_str_cut(text, '-', &b));
    struct nr_range r = { .octets = 4 };

    b = nr_str_trim(b);
    if (!nr_ipv4_parse(nr_bytes_of(a), r.first)) {
        r.octets = 16;
        if (!nr_ipv6_parse(nr_bytes_of(a), true, r.first) ||
            !nr_ipv6_parse(nr_bytes_of(b), true, r.last))
            return false;
    } else if (!nr_ipv4_parse(nr_bytes_of(b), r.last)) {
        return false;
    }
    if (memcmp(r.first, r.last, r.octets) > 0)
        return false;
    *out = r;
    return true;
}

/* Does the network of LEN bits that starts at R's first end at or before R's
 * last? *END is its last address. */
static bool
network_fits(const struct nr_range *r, size_t len, uint8_t end[16])
{
    memcpy(end, r->first, 16);
    for (size_t i = len; i < r->octets * 8; i++) {
        uint8_t bit = (uint8_t)(0x80 >> (i % 8));

        if (end[i / 8] & bit)
            return false; /* first has host bits */
        end[i / 8] |= bit;
    }
    return memcmp(end, r->last, r->octets) <= 0;
}

bool
nr_range_next(struct nr_range *r, enum nr_kind *kind, uint8_t key[17],
    size_t *n)
{
    size_t len = r->octets * 8, i = r->octets;
    uint8_t end[16], wider[16];

    if (r->done)
        return false;
    memcpy(end, r->first, 16);
    while (len > 0 && network_fits(r, len - 1, wider)) {
        len--;
        memcpy(end, wider, 16);
    }
    memcpy(key, r->first, r->octets);
    key[r->octets] = (uint8_t)len;
    *n = r->octets + (len < r->octets * 8);
    if (len == r->octets * 8)
        *kind = r->octets == 4 ? NR_KIND_IPV4 : NR_KIND_IPV6;
    else
        *kind = r->octets == 4 ? NR_KIND_CIDR4 : NR_KIND_CIDR6;
    r->done = memcmp(end, r->last, r->octets) == 0;
    memcpy(r->first, end, 16);
    while (i > 0 && r->first[i - 1] == UINT8_MAX)
        r->first[--i] = 0;
    if (i > 0)
        r->first[i - 1]++;
    return true;
}
