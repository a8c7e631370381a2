/*
 * The table of kinds: what each is called, where STIX keeps it, how its text
 * is read and printed, and which keys are sound. The readers and printers are
 * in canon.c and value.c.
 */
#include "observable/kind.h"
#include "observable/observable.h"
#include "observable/rules.h"

static bool
ipv4_sound(struct nr_bytes k)
{
    return k.n == 4;
}

static bool
host_bits_clear(struct nr_bytes k, size_t octets)
{
    size_t len = k.n == octets + 1 ? k.p[octets] : 255;

    if (len > octets * 8)
        return false;
    for (size_t i = len; i < octets * 8; i++)
        if (k.p[i / 8] & (0x80 >> (i % 8)))
            return false;
    return true;
}

static bool
cidr4_sound(struct nr_bytes k)
{
    return host_bits_clear(k, 4);
}

static bool
cidr6_sound(struct nr_bytes k)
{
    return host_bits_clear(k, 16);
}

static bool
sixteen_sound(struct nr_bytes k)
{
    return k.n == 16;
}

static bool
twenty_sound(struct nr_bytes k)
{
    return k.n == 20;
}

static bool
sha256_sound(struct nr_bytes k)
{
    return k.n == 32;
}

static bool
sha512_sound(struct nr_bytes k)
{
    return k.n == 64;
}

/* Without a scheme anything could be a URL: there must be a real host, and
 * the text must not read as one with a scheme. */
static bool
bare_url_sound(struct nr_bytes k)
{
    struct nr_bytes host = nr_authority_host(nr_url_authority(k, 2));
    uint8_t a[16];

    return nr_url_head(nr_bytes_sub(k, 2, k.n)) == 0 &&
        (nr_domain_is_sound(host) || nr_ipv4_parse(host, a) ||
            nr_ipv6_parse(host, false, a));
}

static bool
url_sound(struct nr_bytes k)
{
    size_t head = nr_url_head(k);
    struct nr_bytes authority;

    if (head == 0 || k.n > NR_URL_MAX)
        return false;
    authority = nr_url_authority(k, head);
    if (authority.n == 0 || nr_is_fanged_off(authority))
        return false;
    for (size_t i = 0; i < k.n; i++)
        if ((!nr_url_octet(k.p[i]) && k.p[i] != '\'') ||
            (i < head + authority.n && nr_lower(k.p[i]) != k.p[i]))
            return false;
    return head > 2 || bare_url_sound(k);
}

static bool
email_sound(struct nr_bytes k)
{
    const uint8_t *at = k.n ? memrchr(k.p, '@', k.n) : NULL;
    size_t n = at ? (size_t)(at - k.p) : 0;

    return at && nr_local_is_sound(nr_bytes_sub(k, 0, n)) &&
        nr_domain_is_sound(nr_bytes_sub(k, n + 1, k.n));
}

static bool
filename_sound(struct nr_bytes k)
{
    for (size_t i = 0; i < k.n; i++)
        if (k.p[i] < 0x20 || k.p[i] == 0x7f || k.p[i] == '/' ||
            k.p[i] == '\\' || nr_lower(k.p[i]) != k.p[i])
            return false;
    return k.n > 0 && k.n <= 255 && !nr_is_space(k.p[0]) &&
        !nr_is_space(k.p[k.n - 1]) && nr_utf8_valid_len(k) == k.n;
}

static bool
cve_sound(struct nr_bytes k)
{
    return nr_is_cve(k) && k.p[0] == 'C' && k.p[1] == 'V' && k.p[2] == 'E';
}

const struct nr_kind_row nr_kind_rows[NR_KINDS] = {
    [NR_KIND_IPV4] = { "ipv4", "ipv4-addr:value", true, ipv4_sound,
        nr_read_ipv4, nr_show_ipv4 },
    [NR_KIND_CIDR4] = { "cidr", "ipv4-addr:value", true, cidr4_sound,
        nr_read_cidr4, nr_show_cidr4 },
    [NR_KIND_CIDR6] = { "cidr", "ipv6-addr:value", true, cidr6_sound,
        nr_read_cidr6, nr_show_cidr6 },
    [NR_KIND_IPV6] = { "ipv6", "ipv6-addr:value", true, sixteen_sound,
        nr_read_ipv6, nr_show_ipv6 },
    [NR_KIND_DOMAIN] = { "domain", "domain-name:value", true,
        nr_domain_is_sound, nr_read_domain, nr_show_text },
    [NR_KIND_URL] = { "url", "url:value", true, url_sound, nr_read_url,
        nr_show_url },
    [NR_KIND_EMAIL] = { "email", "email-addr:value", true, email_sound,
        nr_read_email, nr_show_text },
    [NR_KIND_MD5] = { "md5", "file:hashes.MD5", true, sixteen_sound,
        nr_read_md5, nr_show_hex },
    [NR_KIND_SHA1] = { "sha1", "file:hashes.'SHA-1'", true, twenty_sound,
        nr_read_sha1, nr_show_hex },
    [NR_KIND_SHA256] = { "sha256", "file:hashes.'SHA-256'", true, sha256_sound,
        nr_read_sha256, nr_show_hex },
    [NR_KIND_SHA512] = { "sha512", "file:hashes.'SHA-512'", false, sha512_sound,
        nr_read_sha512, nr_show_hex },
    [NR_KIND_WALLET_BTC] = { "wallet-btc", "", false, nr_is_bitcoin,
        nr_read_btc, nr_show_text },
    [NR_KIND_WALLET_ETH] = { "wallet-eth", "", false, twenty_sound, nr_read_eth,
        nr_show_eth },
    [NR_KIND_JA3] = { "ja3", "", false, sixteen_sound, nr_read_md5,
        nr_show_hex },
    [NR_KIND_JA4] = { "ja4", "", false, nr_is_ja4, nr_read_ja4, nr_show_text },
    [NR_KIND_FILENAME] = { "filename", "file:name", false, filename_sound,
        nr_read_filename, nr_show_text },
    [NR_KIND_CVE] = { "cve", "vulnerability:name", false, cve_sound,
        nr_read_cve, nr_show_text },
    [NR_KIND_ASN] = { "asn", "autonomous-system:number", false, ipv4_sound,
        nr_read_asn, nr_show_asn },
};

const char *
nr_kind_name(enum nr_kind kind)
{
    return (unsigned)kind < NR_KINDS ? nr_kind_rows[kind].name : "unknown";
}

const char *
nr_kind_stix_path(enum nr_kind kind)
{
    return (unsigned)kind < NR_KINDS ? nr_kind_rows[kind].stix_path : "";
}

bool
nr_kind_is_hot(enum nr_kind kind)
{
    return (unsigned)kind < NR_KINDS && nr_kind_rows[kind].hot;
}

bool
nr_key_is_sound(unsigned kind, struct nr_bytes key)
{
    return kind < NR_KINDS && key.n > 0 && nr_kind_rows[kind].is_sound(key);
}

bool
nr_kind_from_name(struct nr_str name, enum nr_kind *kind)
{
    static const struct {
        struct nr_str name;
        enum nr_kind kind;
    } others[] = {
        { { "wallet", 6 }, NR_KIND_WALLET_BTC },
        { { "hostname", 8 }, NR_KIND_DOMAIN },
    };

    for (unsigned i = 0; i < NR_KINDS; i++)
        if (nr_str_eq(name, nr_str_of(nr_kind_rows[i].name))) {
            *kind = (enum nr_kind)i;
            return true;
        }
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++)
        if (nr_str_eq(name, others[i].name)) {
            *kind = others[i].kind;
            return true;
        }
    return false;
}
