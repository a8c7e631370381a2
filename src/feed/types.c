/*
 * Names of types as MISP (describeTypes.json), OTX, vendors' CSV files and the
 * STIX object names write them, folded: lower case without '_', '-' and blanks.
 */
#include "feed/take.h"

#include <stdlib.h>

const char nr_feed_no_match[] =
    "an indicator of a kind that log lines do not show; kept here only";

#define V1(n, a)               \
    {                          \
        n, NR_FEED_SORT_VALUE, \
        {                      \
            a, NULL            \
        }                      \
    }
#define V2(n, a, b)            \
    {                          \
        n, NR_FEED_SORT_VALUE, \
        {                      \
            a, b               \
        }                      \
    }
#define NO(n)                     \
    {                             \
        n, NR_FEED_SORT_NO_MATCH, \
        {                         \
            NULL, NULL            \
        }                         \
    }
#define CTX(n)                   \
    {                            \
        n, NR_FEED_SORT_CONTEXT, \
        {                        \
            NULL, NULL           \
        }                        \
    }

/* In the order of their octets: found by bisection. The first part of a
 * "filename|hash" is the file's name, which belongs to the hash. */
static const struct nr_feed_type types[] = {
    V1("as", "asn"),
    V1("asn", "asn"),
    CTX("attachment"),
    NO("authentihash"),
    V1("autonomoussystem", "asn"),
    V1("bitcoin", "wallet"),
    CTX("boolean"),
    V1("btc", "wallet"),
    NO("cdhash"),
    V1("cidr", "cidr"),
    CTX("comment"),
    NO("cookie"),
    CTX("counter"),
    V1("cve", "cve"),
    CTX("datetime"),
    NO("dkim"),
    V1("domain", "domain"),
    V1("domainname", "domain"),
    V2("domain|ip", "domain", "ip"),
    V1("email", "email"),
    V1("emailaddr", "email"),
    V1("emailaddress", "email"),
    CTX("emailattachment"),
    NO("emailbody"),
    V1("emaildst", "email"),
    NO("emailheader"),
    NO("emailmessageid"),
    NO("emailmimeboundary"),
    V1("emailreplyto", "email"),
    V1("emailsender", "email"),
    V1("emailsrc", "email"),
    NO("emailsubject"),
    V1("emailwhois", "email"),
    NO("emailxmailer"),
    V1("eth", "wallet"),
    NO("favicon"),
    V1("file", ""),
    V1("filehash", ""),
    V1("filehashmd5", "md5"),
    V1("filehashsha1", "sha1"),
    V1("filehashsha256", "sha256"),
    V1("filehashsha512", "sha512"),
    V1("filename", "filename"),
    NO("filename|authentihash"),
    NO("filename|imphash"),
    V2("filename|md5", NULL, "md5"),
    V2("filename|sha1", NULL, "sha1"),
    V2("filename|sha256", NULL, "sha256"),
    V2("filename|sha512", NULL, "sha512"),
    NO("filename|ssdeep"),
    NO("filename|tlsh"),
    NO("filepath"),
    CTX("float"),
    V1("fqdn", "domain"),
    NO("hasshmd5"),
    NO("hasshservermd5"),
    CTX("hex"),
    V1("host", ""),
    V1("hostname", "domain"),
    V2("hostname|port", "domain", NULL),
    NO("httpmethod"),
    NO("impfuzzy"),
    NO("imphash"),
    V1("ip", "ip"),
    V1("ipaddr", "ip"),
    V1("ipaddress", "ip"),
    V1("ipdst", "ip"),
    V2("ipdst|port", "ip", NULL),
    V1("ipsrc", "ip"),
    V2("ipsrc|port", "ip", NULL),
    V1("ipv4", "ip"),
    V1("ipv4addr", "ip"),
    V1("ipv6", "ip"),
    V1("ipv6addr", "ip"),
    V1("ip|port", "ip"),
    V1("ja3", "ja3"),
    V1("ja3fingerprintmd5", "ja3"),
    V1("ja4", "ja4"),
    NO("jarmfingerprint"),
    CTX("link"),
    NO("macaddress"),
    V1("md5", "md5"),
    CTX("mimetype"),
    NO("mutex"),
    NO("namedpipe"),
    CTX("other"),
    NO("patterninfile"),
    NO("patterninmemory"),
    NO("patternintraffic"),
    NO("pdb"),
    NO("pehash"),
    CTX("phonenumber"),
    CTX("port"),
    NO("process"),
    NO("regkey"),
    NO("regkey|value"),
    V1("sha1", "sha1"),
    NO("sha224"),
    V1("sha256", "sha256"),
    NO("sha384"),
    V1("sha512", "sha512"),
    NO("sigma"),
    CTX("sizeinbytes"),
    NO("snort"),
    NO("ssdeep"),
    V1("subdomain", "domain"),
    NO("targetuser"),
    CTX("text"),
    CTX("threatactor"),
    NO("tlsh"),
    NO("uri"),
    V1("url", "url"),
    NO("urlpath"),
    NO("useragent"),
    V1("vulnerability", "cve"),
    V1("wallet", "wallet"),
    V1("walletbtc", "wallet"),
    V1("walleteth", "wallet"),
    NO("windowsregistrykey"),
    NO("windowsscheduledtask"),
    NO("windowsservicename"),
    NO("x509fingerprintmd5"),
    NO("x509fingerprintsha1"),
    NO("x509fingerprintsha256"),
    V1("xmr", "wallet"),
    NO("yara"),
    NO("zeek"),
};

static const struct nr_feed_type unknown = { "", NR_FEED_SORT_UNKNOWN,
    { NULL, NULL } };

struct nr_str
nr_feed_fold(struct nr_bytes name, char *buf, size_t n)
{
    size_t k = 0;

    for (size_t i = 0; i < name.n && k < n; i++) {
        uint8_t c = name.p[i];

        if (c != '_' && c != '-' && c != '.' && c != '/' && !nr_is_space(c))
            buf[k++] = (char)nr_lower(c);
    }
    return (struct nr_str){ buf, k };
}

static int
by_name(const void *key, const void *row)
{
    const struct nr_str *s = key;
    const struct nr_feed_type *t = row;

    return nr_bytes_cmp(nr_bytes_of(*s), nr_bytes_of(nr_str_of(t->name)));
}

const struct nr_feed_type *
nr_feed_type(struct nr_str name)
{
    const struct nr_feed_type *t;
    char buf[40];
    struct nr_str s = nr_feed_fold(nr_bytes_of(name), buf, sizeof(buf));

    t = bsearch(&s, types, sizeof(types) / sizeof(types[0]), sizeof(types[0]),
        by_name);
    return t ? t : &unknown;
}

void
nr_feed_mark(struct nr_indicator *i, struct nr_str tag)
{
    static const struct {
        const char *name;
        bool pap;
        uint8_t value;
    } marks[] = {
        { "tlp:white", false, 1 },
        { "tlp:clear", false, 1 },
        { "tlp:green", false, 2 },
        { "tlp:amber", false, 3 },
        { "tlp:amber+strict", false, 4 },
        { "tlp:red", false, 5 },
        { "tlp:ex:chr", false, 5 },
        { "pap:white", true, 1 },
        { "pap:clear", true, 1 },
        { "pap:green", true, 2 },
        { "pap:amber", true, 3 },
        { "pap:red", true, 4 },
    };

    for (size_t k = 0; k < sizeof(marks) / sizeof(marks[0]); k++) {
        uint8_t *to = marks[k].pap ? &i->pap : &i->tlp;

        if (nr_bytes_eq_nocase(nr_bytes_of(tag),
                nr_bytes_of(nr_str_of(marks[k].name))) &&
            marks[k].value > *to)
            *to = marks[k].value;
    }
}

/* Digits at *P; false when there is none. */
static bool
digits(struct nr_str *s, unsigned *out)
{
    size_t n = 0;

    *out = 0;
    while (n < s->n && n < 6 && nr_is_digit((uint8_t)s->p[n]))
        *out = *out * 10 + (unsigned)(s->p[n++] - '0');
    *s = (struct nr_str){ s->p + n, s->n - n };
    return n > 0;
}

int64_t
nr_feed_date(struct nr_str in)
{
    struct nr_civil c = { .month = 1, .day = 1 };
    struct nr_str s = nr_str_trim(in);
    unsigned year;
    int64_t t;
    char sep;

    if (s.n > 10 && nr_time_parse(s, &t, NULL) == NR_OK)
        return t;
    if (s.n == 10 && nr_is_digit((uint8_t)s.p[4]) &&
        nr_time_parse(s, &t, NULL) == NR_OK)
        return t; /* epoch */
    if (!digits(&s, &year) || year < 1970 || year > 9999 || !s.n)
        return NR_TIME_NONE;
    c.year = year;
    sep = s.p[0];
    if (sep != '-' && sep != '/')
        return NR_TIME_NONE;
    s = (struct nr_str){ s.p + 1, s.n - 1 };
    if (!digits(&s, &c.month))
        return NR_TIME_NONE;
    if (s.n && s.p[0] == sep) {
        s = (struct nr_str){ s.p + 1, s.n - 1 };
        if (!digits(&s, &c.day))
            return NR_TIME_NONE;
    }
    if (s.n > 1 && (s.p[0] == ' ' || s.p[0] == 'T')) {
        s = (struct nr_str){ s.p + 1, s.n - 1 };
        if (digits(&s, &c.hour) && s.n && s.p[0] == ':') {
            s = (struct nr_str){ s.p + 1, s.n - 1 };
            (void)digits(&s, &c.minute);
        }
        if (s.n && s.p[0] == ':') {
            s = (struct nr_str){ s.p + 1, s.n - 1 };
            (void)digits(&s, &c.second);
        }
    }
    return nr_civil_to_s(&c, &t) ? t : NR_TIME_NONE;
}
