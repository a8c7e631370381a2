/*
 * Canonical forms of addresses, names, URLs and e-mail addresses, and the
 * doors to all kinds: by number, by name, by shape.
 */
#include "base/num.h"
#include "observable/kind.h"
#include "observable/observable.h"
#include "observable/rules.h"

#include <idn2.h>
#include <string.h>

/* A text may be longer than its key: disarming, white space. */
#define CANON_TEXT_MAX (4 * NR_KEY_MAX)

enum nr_err
nr_read_ipv4(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    uint8_t a[4];

    if (!nr_ipv4_parse(nr_bytes_of(in), a))
        return nr_fail(d, NR_EFORMAT, 0,
            "ipv4: four numbers 0-255 without leading zeros wanted");
    nr_buf_put(out, (struct nr_bytes){ a, sizeof(a) });
    return out->err;
}

enum nr_err
nr_read_ipv6(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    uint8_t a[16];

    if (!nr_ipv6_parse(nr_bytes_of(in), true, a))
        return nr_fail(d, NR_EFORMAT, 0, "ipv6: not an address [RFC 4291 2.2]");
    nr_buf_put(out, (struct nr_bytes){ a, sizeof(a) });
    return out->err;
}

/* "/LEN" split off IN; false when there is none or it is beyond MAX. */
static bool
cut_length(struct nr_str *in, uint64_t max, uint8_t *len)
{
    struct nr_str rest, head = nr_str_cut(*in, '/', &rest);
    uint64_t v;

    if (rest.n == 0 || rest.n > 3 || !nr_str_to_u64(rest, &v) || v > max)
        return false;
    *in = head;
    *len = (uint8_t)v;
    return true;
}

static void
put_range(uint8_t *a, size_t octets, uint8_t len, struct nr_buf *out)
{
    for (size_t i = len; i < octets * 8; i++)
        a[i / 8] &= (uint8_t) ~(0x80 >> (i % 8));
    nr_buf_put(out, (struct nr_bytes){ a, octets });
    nr_buf_put(out, (struct nr_bytes){ &len, 1 });
}

enum nr_err
nr_read_cidr4(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    uint8_t a[4], len;

    if (!cut_length(&in, 32, &len))
        return nr_fail(d, NR_EFORMAT, 0,
            "cidr: prefix length 0-32 wanted, as 192.0.2.0/24");
    if (!nr_ipv4_parse(nr_bytes_of(in), a))
        return nr_fail(d, NR_EFORMAT, 0, "cidr: not an IPv4 address");
    put_range(a, 4, len, out);
    return out->err;
}

enum nr_err
nr_read_cidr6(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    uint8_t a[16], len;

    if (!cut_length(&in, 128, &len))
        return nr_fail(d, NR_EFORMAT, 0,
            "cidr: prefix length 0-128 wanted, as 2001:db8::/32");
    if (!nr_ipv6_parse(nr_bytes_of(in), true, a))
        return nr_fail(d, NR_EFORMAT, 0, "cidr: not an IPv6 address");
    put_range(a, 16, len, out);
    return out->err;
}

/* Lower case, in A-labels (RFC 5891 with the mappings of UTS 46). */
static enum nr_err
put_ascii_name(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    bool ascii = true;
    uint8_t *name = NULL;
    char utf8[NR_DOMAIN_MAX * 4 + 1];
    int rc;

    for (size_t i = 0; i < in.n; i++)
        ascii = ascii && (uint8_t)in.p[i] < 0x80;
    if (ascii) {
        for (size_t i = 0; i < in.n; i++)
            nr_buf_put_c(out, (char)nr_lower((uint8_t)in.p[i]));
        return out->err;
    }
    if (in.n >= sizeof(utf8))
        return nr_fail(d, NR_EFORMAT, 0, "domain: longer than 253 octets");
    memcpy(utf8, in.p, in.n);
    utf8[in.n] = '\0';
    rc = idn2_to_ascii_8z(utf8, (char **)&name,
        IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL);
    if (rc == IDN2_MALLOC)
        return nr_fail(d, NR_ENOMEM, 0, "domain: out of memory");
    if (rc != IDN2_OK)
        return nr_fail(d, NR_EFORMAT, 0,
            "domain: not an internationalised name [RFC 5891]");
    nr_buf_put(out, (struct nr_bytes){ name, strlen((const char *)name) });
    idn2_free(name);
    return out->err;
}

enum nr_err
nr_read_domain(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    size_t start = out->n;
    struct nr_bytes name;
    enum nr_err err;

    if (in.n > 2 && in.p[0] == '*' && in.p[1] == '.')
        in = (struct nr_str){ in.p + 2, in.n - 2 }; /* implied anyway */
    while (in.n > 0 && in.p[in.n - 1] == '.')
        in.n--;
    err = put_ascii_name(in, out, d);
    if (err != NR_OK)
        return err;
    if (out->n > start && out->p[out->n - 1] == '.')
        out->n--; /* an ideographic full stop at the end */
    name = nr_bytes_sub(nr_buf_bytes(out), start, out->n);
    if (nr_domain_is_sound(name))
        return NR_OK;
    if (name.n == 0 || !memchr(name.p, '.', name.n))
        return nr_fail(d, NR_EFORMAT, 0,
            "domain: at least two labels wanted, as evil.example");
    if (name.n > NR_DOMAIN_MAX)
        return nr_fail(d, NR_EFORMAT, 0, "domain: longer than 253 octets");
    return nr_fail(d, NR_EFORMAT, 0,
        "domain: labels of 1-63 letters, digits, '-', '_' and a top-level "
        "domain wanted [RFC 1035 2.3.1]");
}

enum nr_err
nr_read_email(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    const char *at = in.n ? memrchr(in.p, '@', in.n) : NULL;
    size_t n = at ? (size_t)(at - in.p) : 0, start = out->n;

    if (!at)
        return nr_fail(d, NR_EFORMAT, 0, "email: no '@'");
    for (size_t i = 0; i < n; i++)
        nr_buf_put_c(out, (char)nr_lower((uint8_t)in.p[i]));
    if (out->err == NR_OK &&
        !nr_local_is_sound(nr_bytes_sub(nr_buf_bytes(out), start, out->n)))
        return nr_fail(d, NR_EFORMAT, 0,
            "email: 1-64 letters, digits and marks wanted before the '@' "
            "[RFC 5322 3.4.1]");
    nr_buf_put_c(out, '@');
    return nr_read_domain((struct nr_str){ at + 1, in.n - n - 1 }, out, d);
}

/* "user@HOST:port": the host in A-labels, all in lower case. */
static enum nr_err
put_authority(struct nr_bytes a, struct nr_buf *out, struct nr_diag *d)
{
    if (a.n == 0)
        return nr_fail(d, NR_EFORMAT, 0, "url: no host");
    return put_ascii_name((struct nr_str){ (const char *)a.p, a.n }, out, d);
}

/* A URL in a log line ends before such an octet; a list that holds one means
 * its percent-encoding (RFC 3986 2.1, RFC 3987 3.1). */
static void
put_encoded(struct nr_bytes b, struct nr_buf *out)
{
    for (size_t i = 0; i < b.n; i++) {
        if (nr_url_octet(b.p[i]) || b.p[i] == '\'')
            nr_buf_put_c(out, (char)b.p[i]);
        else
            nr_buf_printf(out, "%%%02X", b.p[i]);
    }
}

enum nr_err
nr_read_url(struct nr_str in, struct nr_buf *out, struct nr_diag *d)
{
    struct nr_bytes b = nr_bytes_of(in), authority, key;
    size_t head = nr_url_head(b), start = out->n;
    enum nr_err err;

    if (head == 0)
        nr_buf_put_str(out, NR_STR("//"));
    for (size_t i = 0; i < head; i++)
        nr_buf_put_c(out, (char)nr_lower(b.p[i]));
    authority = nr_url_authority(b, head);
    err = put_authority(authority, out, d);
    if (err != NR_OK)
        return err;
    put_encoded(nr_bytes_sub(b, head + authority.n, b.n), out);
    if (out->err != NR_OK)
        return out->err;
    key = nr_bytes_sub(nr_buf_bytes(out), start, out->n);
    if (!nr_key_is_sound(NR_KIND_URL, key))
        return nr_fail(d, NR_EFORMAT, 0,
            "url: scheme://host/path wanted, or host/path with a host name "
            "or address, at most 8192 octets [RFC 3986 3]");
    return NR_OK;
}

/* White space off, disarming undone until nothing changes. A URL that is live
 * is left alone: brackets in its path are its own. */
static enum nr_err
clean(enum nr_kind kind, struct nr_str text, struct nr_buf *out,
    struct nr_diag *d)
{
    struct nr_str t = nr_str_trim(text);
    size_t head = nr_url_head(nr_bytes_of(t));
    struct nr_buf again;
    size_t before;

    if (t.n == 0)
        return nr_fail(d, NR_EFORMAT, 0, "observable: empty");
    if (t.n > CANON_TEXT_MAX)
        return nr_fail(d, NR_ELIMIT, 0, "observable: longer than 32768");
    if (kind == NR_KIND_FILENAME ||
        (kind == NR_KIND_URL && head > 2 &&
            !nr_scheme_is_disarmed(nr_bytes_of(t)) &&
            !nr_is_fanged_off(nr_url_authority(nr_bytes_of(t), head)))) {
        nr_buf_put_str(out, t);
        return out->err;
    }
    nr_buf_init(&again, CANON_TEXT_MAX);
    nr_refang(t, out);
    do {
        before = out->n;
        nr_buf_reset(&again);
        nr_buf_put(&again, nr_buf_bytes(out));
        nr_buf_reset(out);
        nr_refang((struct nr_str){ (const char *)again.p, again.n }, out);
    } while (out->n < before && out->err == NR_OK);
    nr_buf_fini(&again);
    return out->err;
}

enum nr_err
nr_canon(enum nr_kind kind, struct nr_str text, struct nr_buf *out,
    struct nr_diag *d)
{
    struct nr_buf live;
    size_t start = out->n;
    enum nr_err err;

    if ((unsigned)kind >= NR_KINDS)
        return nr_fail(d, NR_EFORMAT, 0, "observable: unknown kind");
    nr_buf_init(&live, CANON_TEXT_MAX);
    err = clean(kind, text, &live, d);
    if (err == NR_OK)
        err = nr_kind_rows[kind].read((struct nr_str){ (const char *)live.p,
                                          live.n },
            out, d);
    if (err == NR_OK)
        err = out->err;
    if (err != NR_OK)
        out->n = start;
    nr_buf_fini(&live);
    return err;
}

enum nr_err
nr_canon_named(struct nr_str name, struct nr_str text, enum nr_kind *kind,
    struct nr_buf *out, struct nr_diag *d)
{
    bool six = text.n > 0 && memchr(text.p, ':', text.n);
    enum nr_err err;
    enum nr_kind k;

    if (nr_str_eq(name, NR_STR("ip"))) {
        bool range = text.n > 0 && memchr(text.p, '/', text.n);

        k = six ? (range ? NR_KIND_CIDR6 : NR_KIND_IPV6)
                : (range ? NR_KIND_CIDR4 : NR_KIND_IPV4);
    } else if (!nr_kind_from_name(name, &k)) {
        return nr_fail(d, NR_EFORMAT, 0, "observable: unknown kind");
    }
    if (k == NR_KIND_CIDR4 && six)
        k = NR_KIND_CIDR6;
    if (k == NR_KIND_WALLET_BTC && nr_str_eq(name, NR_STR("wallet"))) {
        struct nr_str t = nr_str_trim(text);

        if (t.n == 42 && t.p[0] == '0')
            k = NR_KIND_WALLET_ETH;
    }
    err = nr_canon(k, text, out, d);
    if (err == NR_OK)
        *kind = k;
    return err;
}

enum nr_err
nr_canon_guess(struct nr_str text, enum nr_kind *kind, struct nr_buf *out,
    struct nr_diag *d)
{
    static const enum nr_kind order[] = { NR_KIND_IPV4, NR_KIND_CIDR4,
        NR_KIND_IPV6, NR_KIND_CIDR6, NR_KIND_MD5, NR_KIND_SHA1, NR_KIND_SHA256,
        NR_KIND_SHA512, NR_KIND_CVE, NR_KIND_WALLET_ETH, NR_KIND_WALLET_BTC,
        NR_KIND_JA4, NR_KIND_EMAIL, NR_KIND_DOMAIN, NR_KIND_URL };

    for (size_t i = 0; i < sizeof(order) / sizeof(*order); i++) {
        struct nr_diag why = { 0 };
        enum nr_err err = nr_canon(order[i], text, out, &why);

        if (err == NR_OK)
            *kind = order[i];
        if (err != NR_EFORMAT)
            return err == NR_OK ? err : nr_fail(d, err, why.at, why.what);
    }
    return nr_fail(d, NR_EFORMAT, 0,
        "observable: no address, name, URL, e-mail address or hash");
}

void
nr_canon_print(enum nr_kind kind, struct nr_bytes key, struct nr_buf *out)
{
    if ((unsigned)kind < NR_KINDS)
        nr_kind_rows[kind].show(key, out);
}
