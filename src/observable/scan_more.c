/*
 * Tokens beyond the hot kinds, for `noroshi extract`: SHA-512, CVE numbers,
 * wallets, JA4 fingerprints and AS numbers. They all are whole runs, or whole
 * letters-and-digits parts of one; what carries a checksum must pass it.
 */
#include "base/hash.h"
#include "observable/observable.h"
#include "observable/rules.h"
#include "observable/scan.h"

#include <string.h>

#define MORE_MAX   128 /* octets of the longest of them */
#define WALLET_MIN 14  /* octets of the shortest wallet */

static bool
is_alnum(uint8_t c)
{
    return nr_scan_class[c] & NR_C_ALNUM;
}

/* Letters and digits only: hashes, wallets, AS numbers. */
static void
part(struct nr_bytes b, size_t at, uint32_t line, struct nr_tokens *out)
{
    uint8_t raw[64];

    if (b.n == 128 && nr_hex_parse(b, raw, 64)) {
        nr_tokens_put(out, NR_KIND_SHA512, line, at, b.n, raw, 64);
    } else if (b.n == 42 && b.p[0] == '0' && (b.p[1] | 0x20) == 'x' &&
        nr_hex_parse(nr_bytes_sub(b, 2, 42), raw, 20)) {
        nr_tokens_put(out, NR_KIND_WALLET_ETH, line, at, b.n, raw, 20);
    } else if (nr_is_bitcoin(b)) {
        nr_tokens_put(out, NR_KIND_WALLET_BTC, line, at, b.n, b.p, b.n);
    } else if (b.n > 2 && b.n <= 12 && b.p[0] == 'A' && b.p[1] == 'S' &&
        b.p[2] != '0') {
        uint64_t v;

        if (!nr_str_to_u64((struct nr_str){ (const char *)b.p + 2, b.n - 2 },
                &v) ||
            v > UINT32_MAX)
            return;
        for (size_t i = 0; i < 4; i++)
            raw[i] = (uint8_t)(v >> (24 - 8 * i));
        nr_tokens_put(out, NR_KIND_ASN, line, at, b.n, raw, 4);
    }
}

/* The letters-and-digits parts of [AT, END). */
static void
parts(struct nr_bytes block, size_t at, size_t end, uint32_t line,
    struct nr_tokens *out)
{
    while (at < end) {
        size_t i = at;

        while (i < end && is_alnum(block.p[i]))
            i++;
        if ((i - at >= WALLET_MIN || (i - at >= 3 && block.p[at] == 'A')) &&
            i - at <= MORE_MAX)
            part(nr_bytes_sub(block, at, i), at, line, out);
        at = i + 1;
    }
}

/* Does a part of a short run begin with "AS"? Of those shorter than
 * WALLET_MIN only AS numbers are more than a run. */
static bool
has_as(const uint8_t *p, size_t n)
{
    for (size_t i = 1; i < n; i++)
        if (p[i] == 'S' && p[i - 1] == 'A')
            return true;
    return false;
}

void
nr_scan_more(struct nr_bytes block, size_t at, size_t end, uint32_t line,
    struct nr_tokens *out)
{
    const uint8_t *p = block.p;
    struct nr_bytes whole;

    if (end - at >= WALLET_MIN || has_as(p + at, end - at))
        parts(block, at, end, line, out);
    while (at < end && !is_alnum(p[at]))
        at++;
    while (end > at && !is_alnum(p[end - 1]))
        end--;
    whole = nr_bytes_sub(block, at, end);
    if (whole.n == 36 && nr_is_ja4(whole)) {
        nr_tokens_put(out, NR_KIND_JA4, line, at, whole.n, whole.p, whole.n);
    } else if (whole.n > 4 && (whole.p[0] | 0x20) == 'c' && nr_is_cve(whole)) {
        uint8_t *key = nr_tokens_put(out, NR_KIND_CVE, line, at, whole.n,
            whole.p, whole.n);

        if (key)
            memcpy(key, "CVE", 3);
    }
}
