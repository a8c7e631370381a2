/*
 * Readers and printers of the kinds that are no address and no name: hashes,
 * wallets, fingerprints, file names, CVE and AS numbers; and what URLs and
 * e-mail addresses are made of.
 */
#include "base/hash.h"
#include "base/num.h"
#include "observable/kind.h"
#include "observable/observable.h"
#include "observable/rules.h"

#include <string.h>

bool
nr_url_octet(uint8_t c)
{
    return c > ' ' && c < 0x7f && !strchr("\"'<>`|{}\\^", c);
}

size_t
nr_url_head(struct nr_bytes u)
{
    size_t i = 0;

    if (nr_bytes_starts(u, NR_BYTES("//")))
        return 2;
    while (i < u.n &&
        (nr_is_alpha(u.p[i]) ||
            (i > 0 && (nr_is_digit(u.p[i]) || strchr("+.-", u.p[i])) &&
                u.p[i] != '\0')))
        i++;
    if (i == 0 || u.n - i < 3 || memcmp(u.p + i, "://", 3) != 0)
        return 0;
    return i + 3;
}

struct nr_bytes
nr_url_authority(struct nr_bytes u, size_t head)
{
    size_t end = head;

    while (end < u.n && u.p[end] != '/' && u.p[end] != '?' && u.p[end] != '#')
        end++;
    return nr_bytes_sub(u, head, end);
}

struct nr_bytes
nr_authority_host(struct nr_bytes a)
{
    const uint8_t *at = a.n ? memrchr(a.p, '@', a.n) : NULL, *end;

    if (at)
        a = nr_bytes_sub(a, (size_t)(at - a.p) + 1, a.n);
    if (a.n > 0 && a.p[0] == '[') {
        end = memchr(a.p, ']', a.n);
        return nr_bytes_sub(a, 1, end ? (size_t)(end - a.p) : a.n);
    }
    end = a.n ? memchr(a.p, ':', a.n) : NULL;
    return end ? nr_bytes_sub(a, 0, (size_t)(end - a.p)) : a;
}

bool
nr_local_is_sound(struct nr_bytes local)
{
    for (size_t i = 0; i < local.n; i++)
        if (nr_lower(local.p[i]) != local.p[i] ||
            (!nr_is_alpha(local.p[i]) && !nr_is_digit(local.p[i]) &&
                (local.p[i] == '\0' ||
                    !strchr(".!#$%&'*+/=?^_`{|}~-", local.p[i]))))
            return false;
    return local.n > 0 && local.n <= NR_LOCAL_MAX;
}

static enum nr_err
read_hex(struct nr_str in, size_t octets, const char *what, struct nr_buf *out,
    struct nr_diag *d)
{
    uint8_t h[64];

    if (!nr_hex_parse(nr_bytes_of(in), h, octets))
        return nr_fail(d, NR_EFORMAT, 0, what);
    nr_buf_put(out, (struct nr_bytes){ h, octets });
    return out->err;
}

enum nr_err
nr_read_md5(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    return read_hex(in, 16, "hash: 32 hex digits wanted", out, d);
}

enum nr_err
nr_read_sha1(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    return read_hex(in, 20, "sha1: 40 hex digits wanted", out, d);
}

enum nr_err
nr_read_sha256(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    return read_hex(in, 32, "sha256: 64 hex digits wanted", out, d);
}

enum nr_err
nr_read_sha512(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    return read_hex(in, 64, "sha512: 128 hex digits wanted", out, d);
}

enum nr_err
nr_read_eth(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    static const char want[] = "wallet-eth: 0x and 40 hex digits wanted";

    if (in.n != 42 || in.p[0] != '0' || (in.p[1] | 0x20) != 'x')
        return nr_fail(d, NR_EFORMAT, 0, want);
    return read_hex((struct nr_str){ in.p + 2, 40 }, 20, want, out, d);
}

/* Base58 with a check of four octets over 21: mainnet P2PKH and P2SH. */
static bool
is_base58check(struct nr_bytes b)
{
    static const char digits[] =
        "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    uint8_t v[25] = { 0 }, sum[NR_SHA256_LEN];
    size_t zeros = 0, ones = 0;

    /* All versions 0 begin with '1', all versions 5 with '3'. */
    if (b.n < 25 || b.n > 35 || (b.p[0] != '1' && b.p[0] != '3'))
        return false;
    for (size_t i = 0; i < b.n; i++) {
        const char *at = b.p[i] ? strchr(digits, b.p[i]) : NULL;
        unsigned carry = at ? (unsigned)(at - digits) : 0;

        if (!at)
            return false;
        for (size_t k = sizeof(v); k-- > 0;) {
            carry += 58u * v[k];
            v[k] = (uint8_t)carry;
            carry >>= 8;
        }
        if (carry != 0)
            return false;
    }
    while (ones < b.n && b.p[ones] == '1')
        ones++;
    while (zeros < sizeof(v) && v[zeros] == 0)
        zeros++;
    if (ones != zeros || (v[0] != 0 && v[0] != 5))
        return false;
    nr_sha256((struct nr_bytes){ v, 21 }, sum);
    nr_sha256((struct nr_bytes){ sum, sizeof(sum) }, sum);
    return memcmp(sum, v + 21, 4) == 0;
}

/* BIP 173 and BIP 350: "bc1", data and six characters of checksum. */
static bool
is_bech32(struct nr_bytes b)
{
    static const char digits[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
    static const uint32_t gen[5] = { 0x3b6a57b2, 0x26508e6d, 0x1ea119fa,
        0x3d4233dd, 0x2a1462b3 };
    static const uint8_t hrp[5] = { 3, 3, 0, 'b' & 31, 'c' & 31 };
    uint32_t c = 1;

    if (b.n < 14 || b.n > 90 || !nr_bytes_starts(b, NR_BYTES("bc1")))
        return false;
    for (size_t i = 0; i < sizeof(hrp) + b.n - 3; i++) {
        const char *at = NULL;
        uint32_t v, top = c >> 25;

        if (i < sizeof(hrp)) {
            v = hrp[i];
        } else {
            uint8_t o = b.p[i - sizeof(hrp) + 3];

            at = o ? strchr(digits, o) : NULL;
            if (!at)
                return false;
            v = (uint32_t)(at - digits);
        }
        c = (c & 0x1ffffff) << 5 ^ v;
        for (size_t k = 0; k < 5; k++)
            if (top >> k & 1)
                c ^= gen[k];
    }
    return c == 1 || c == 0x2bc830a3;
}

bool
nr_is_bitcoin(struct nr_bytes b)
{
    return is_base58check(b) || is_bech32(b);
}

enum nr_err
nr_read_btc(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    uint8_t low[90];
    bool upper = true;

    if (nr_is_bitcoin(nr_bytes_of(in))) {
        nr_buf_put_str(out, in);
        return out->err;
    }
    for (size_t i = 0; i < in.n && i < sizeof(low); i++) {
        low[i] = nr_lower((uint8_t)in.p[i]);
        upper = upper && (uint8_t)(in.p[i] - 'a') >= 26;
    }
    /* bech32 in capitals is the same address; mixed case is an error */
    if (!upper || in.n > sizeof(low) ||
        !is_bech32((struct nr_bytes){ low, in.n }))
        return nr_fail(d, NR_EFORMAT, 0,
            "wallet-btc: not an address, or its checksum is wrong "
            "[BIP 173, BIP 350]");
    nr_buf_put(out, (struct nr_bytes){ low, in.n });
    return out->err;
}

/* "t13d1516h2_8daaf6152771_b186095e22b6" */
bool
nr_is_ja4(struct nr_bytes b)
{
    if (b.n != 36 || b.p[10] != '_' || b.p[23] != '_' ||
        !strchr("tqd", b.p[0] ? b.p[0] : ' ') ||
        !strchr("di", b.p[3] ? b.p[3] : ' '))
        return false;
    for (size_t i = 1; i < b.n; i++) {
        uint8_t c = b.p[i];
        bool hex = nr_is_digit(c) || (uint8_t)(c - 'a') < 6;
        bool alnum = nr_is_digit(c) || (uint8_t)(c - 'a') < 26;

        if (i == 3 || i == 10 || i == 23)
            continue;
        if (i > 10 ? !hex : (i >= 4 && i < 8 ? !nr_is_digit(c) : !alnum))
            return false;
    }
    return true;
}

enum nr_err
nr_read_ja4(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    uint8_t low[36];

    for (size_t i = 0; i < in.n && i < sizeof(low); i++)
        low[i] = nr_lower((uint8_t)in.p[i]);
    if (in.n != sizeof(low) ||
        !nr_is_ja4((struct nr_bytes){ low, sizeof(low) }))
        return nr_fail(d, NR_EFORMAT, 0,
            "ja4: 10, 12 and 12 characters joined by '_' wanted");
    nr_buf_put(out, (struct nr_bytes){ low, sizeof(low) });
    return out->err;
}

enum nr_err
nr_read_filename(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    size_t start = out->n;

    for (size_t i = 0; i < in.n; i++)
        nr_buf_put_c(out, (char)nr_lower((uint8_t)in.p[i]));
    if (out->err == NR_OK &&
        !nr_key_is_sound(NR_KIND_FILENAME,
            nr_bytes_sub(nr_buf_bytes(out), start, out->n)))
        return nr_fail(d, NR_EFORMAT, 0,
            "filename: 1-255 octets without '/', '\\' and control "
            "characters wanted");
    return out->err;
}

bool
nr_is_cve(struct nr_bytes b)
{
    if (b.n < 13 || b.n > 20 ||
        !nr_bytes_eq_nocase(nr_bytes_sub(b, 0, 4), NR_BYTES("cve-")) ||
        b.p[8] != '-')
        return false;
    for (size_t i = 4; i < b.n; i++)
        if (i != 8 && !nr_is_digit(b.p[i]))
            return false;
    return true;
}

enum nr_err
nr_read_cve(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    if (!nr_is_cve(nr_bytes_of(in)))
        return nr_fail(d, NR_EFORMAT, 0,
            "cve: CVE-, a year, '-' and 4 or more digits wanted");
    nr_buf_put_str(out, NR_STR("CVE"));
    nr_buf_put_str(out, (struct nr_str){ in.p + 3, in.n - 3 });
    return out->err;
}

enum nr_err
nr_read_asn(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    uint64_t v;
    uint8_t be[4];

    if (in.n > 2 && (in.p[0] | 0x20) == 'a' && (in.p[1] | 0x20) == 's')
        in = (struct nr_str){ in.p + 2, in.n - 2 };
    if (!nr_str_to_u64(in, &v) || v > UINT32_MAX)
        return nr_fail(d, NR_EFORMAT, 0,
            "asn: AS and a number to 4294967295 wanted");
    for (size_t i = 0; i < sizeof(be); i++)
        be[i] = (uint8_t)(v >> (24 - 8 * i));
    nr_buf_put(out, (struct nr_bytes){ be, sizeof(be) });
    return out->err;
}

/* --- printers --- */

void
nr_show_text(struct nr_bytes key, struct nr_buf *out)
{
    nr_buf_put(out, key);
}

void
nr_show_url(struct nr_bytes key, struct nr_buf *out)
{
    bool bare = nr_bytes_starts(key, NR_BYTES("//"));

    nr_buf_put(out, nr_bytes_sub(key, bare ? 2 : 0, key.n));
}

void
nr_show_hex(struct nr_bytes key, struct nr_buf *out)
{
    char hex[2 * 64 + 1];

    nr_hex_print(nr_bytes_sub(key, 0, nr_min(key.n, 64)), hex);
    nr_buf_put_str(out, nr_str_of(hex));
}

void
nr_show_eth(struct nr_bytes key, struct nr_buf *out)
{
    nr_buf_put_str(out, NR_STR("0x"));
    nr_show_hex(key, out);
}

void
nr_show_ipv4(struct nr_bytes key, struct nr_buf *out)
{
    nr_buf_printf(out, "%u.%u.%u.%u", key.p[0], key.p[1], key.p[2], key.p[3]);
}

void
nr_show_ipv6(struct nr_bytes key, struct nr_buf *out)
{
    nr_ipv6_print(key.p, out);
}

void
nr_show_cidr4(struct nr_bytes key, struct nr_buf *out)
{
    nr_show_ipv4(key, out);
    nr_buf_printf(out, "/%u", key.p[4]);
}

void
nr_show_cidr6(struct nr_bytes key, struct nr_buf *out)
{
    nr_ipv6_print(key.p, out);
    nr_buf_printf(out, "/%u", key.p[16]);
}

void
nr_show_asn(struct nr_bytes key, struct nr_buf *out)
{
    uint32_t v = 0;

    for (size_t i = 0; i < 4; i++)
        v = v << 8 | key.p[i];
    nr_buf_printf(out, "AS%u", v);
}
