/*
 * Tokens beyond the hot kinds, for `noroshi extract`: SHA-512, CVE numbers,
 * wallets, JA4 fingerprints and AS numbers. They all are whole runs, or whole
 * letters-and-digits parts of one; what carries a checksum must pass it.
 */
#include "base/hash.h"
#include "observable/observable.h"
#include "observable/rules.h"

#include <string.h>

#define MORE_MAX 128 /* octets of the longest of them */

static bool
is_alnum(uint8_t c)
{
    return nr_is_alpha(c) || nr_is_digit(c);
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

void
nr_scan_more(struct nr_bytes block, size_t at, size_t end, uint32_t line,
    struct nr_tokens *out)
{
    uint8_t text[MORE_MAX];
    struct nr_bytes whole;

    while (at < end && !is_alnum(block.p[at]))
        at++;
    while (end > at && !is_alnum(block.p[end - 1]))
        end--;
    if (end - at < 3)
        return;
    if (end - at <= sizeof(text)) {
        whole = (struct nr_bytes){ text, end - at };
        memcpy(text, block.p + at, whole.n);
        if (nr_is_ja4(whole))
            nr_tokens_put(out, NR_KIND_JA4, line, at, whole.n, text, whole.n);
        if (nr_is_cve(whole)) {
            memcpy(text, "CVE", 3);
            nr_tokens_put(out, NR_KIND_CVE, line, at, whole.n, text, whole.n);
        }
    }
    while (at < end) {
        size_t i = at;

        while (i < end && is_alnum(block.p[i]))
            i++;
        if (i - at >= 3 && i - at <= MORE_MAX)
            part(nr_bytes_sub(block, at, i), at, line, out);
        at = i + 1;
    }
}
