/* Is a value of the form that its property wants (section 2)? */
#include "stix/check.h"

#include <arpa/inet.h>

bool
stix_is_observable(struct nr_str type)
{
    static const char *const types[] = { "artifact", "autonomous-system",
        "directory", "domain-name", "email-addr", "email-message", "file",
        "ipv4-addr", "ipv6-addr", "mac-addr", "mutex", "network-traffic",
        "process", "software", "url", "user-account", "windows-registry-key",
        "x509-certificate" };

    for (size_t i = 0; i < sizeof(types) / sizeof(*types); i++)
        if (nr_str_eq(type, nr_str_of(types[i])))
            return true;
    return false;
}

static bool
is_one_of(struct nr_str s, const char *const *v)
{
    for (; *v; v++)
        if (nr_str_eq(s, nr_str_of(*v)))
            return true;
    return false;
}

/* A type of the standard that is neither observable nor relationship. */
static bool
is_domain_type(struct nr_str type)
{
    if (stix_is_observable(type) || nr_str_eq(type, NR_STR("relationship")) ||
        nr_str_eq(type, NR_STR("sighting")))
        return false;
    for (const struct stix_property *p = stix_properties; p->type; p++)
        if (nr_str_eq(type, nr_str_of(p->type)))
            return true;
    return false;
}

/* Types that FORM may refer to. */
static bool
ref_is(struct nr_str id, enum stix_form form)
{
    static const char *const meta[] = { "bundle", "marking-definition",
        "sighting", "relationship", NULL };
    static const char *const place[] = { "identity", "location", NULL };
    struct nr_str type;

    if (!nr_stix_id_parse(id, &type))
        return false;
    switch ((int)form) {
    case FORM_ID_DOMAIN:
        return !is_one_of(type, meta);
    case FORM_ID_SIGHTED:
        return !is_one_of(type, meta) && !stix_is_observable(type);
    case FORM_IDS_OBSERVED:
        return !is_domain_type(type);
    case FORM_IDS_DATA:
        return nr_str_eq(type, NR_STR("observed-data"));
    case FORM_IDS_PLACE:
        return is_one_of(type, place);
    case FORM_ID_MARKING:
    case FORM_IDS_MARKING:
        return nr_str_eq(type, NR_STR("marking-definition"));
    default:
        return true;
    }
}

static bool
refs_are(const struct nr_json *j, enum stix_form form)
{
    if (j->type != NR_JSON_ARRAY || j->n == 0)
        return false;
    for (const struct nr_json *m = j->child; m; m = m->next)
        if (m->type != NR_JSON_STRING || !ref_is(m->text, form))
            return false;
    return true;
}

static bool
are_strings(const struct nr_json *j)
{
    if (j->type != NR_JSON_ARRAY || j->n == 0)
        return false;
    for (const struct nr_json *m = j->child; m; m = m->next)
        if (m->type != NR_JSON_STRING)
            return false;
    return true;
}

static bool
all_hex(struct nr_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!nr_is_hex((uint8_t)s.p[i]))
            return false;
    return s.n > 0;
}

/* Section 2.7: known algorithms by length, others by the form of a name. */
static bool
are_hashes(const struct nr_json *j)
{
    static const struct {
        const char *name;
        size_t n;
    } known[] = {
        { "MD5", 32 },
        { "SHA-1", 40 },
        { "SHA-256", 64 },
        { "SHA-512", 128 },
        { "SHA3-256", 64 },
        { "SHA3-512", 128 },
    };

    if (j->type != NR_JSON_OBJECT || j->n == 0)
        return false;
    for (const struct nr_json *m = j->child; m; m = m->next) {
        if (m->type != NR_JSON_STRING || m->key.n < 3 || m->key.n > 250)
            return false;
        for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++)
            if (nr_str_eq(m->key, nr_str_of(known[i].name)) &&
                (m->text.n != known[i].n || !all_hex(m->text)))
                return false;
    }
    return true;
}

static bool
is_base64(struct nr_str s)
{
    size_t pad = 0;

    if (s.n % 4)
        return false;
    while (pad < 2 && pad < s.n && s.p[s.n - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < s.n - pad; i++) {
        uint8_t c = (uint8_t)s.p[i];

        if (!nr_is_alpha(c) && !nr_is_digit(c) && c != '+' && c != '/')
            return false;
    }
    return true;
}

/* RFC 3986 section 3: a scheme and something after it, no white space. */
static bool
is_uri(struct nr_str s)
{
    struct nr_str rest, scheme = nr_str_cut(s, ':', &rest);

    if (scheme.n == s.n || scheme.n == 0 || rest.n == 0 ||
        !nr_is_alpha((uint8_t)scheme.p[0]))
        return false;
    for (size_t i = 0; i < scheme.n; i++) {
        uint8_t c = (uint8_t)scheme.p[i];

        if (!nr_is_alpha(c) && !nr_is_digit(c) && c != '+' && c != '-' &&
            c != '.')
            return false;
    }
    for (size_t i = 0; i < rest.n; i++)
        if ((uint8_t)rest.p[i] <= ' ')
            return false;
    return true;
}

/* An address or a range "address/length". */
static bool
is_address(struct nr_str s, bool six)
{
    struct nr_str length, address = nr_str_cut(s, '/', &length);
    char text[INET6_ADDRSTRLEN];
    uint8_t octets[16];
    uint64_t bits;

    if (address.n >= sizeof(text))
        return false;
    memcpy(text, address.p, address.n);
    text[address.n] = '\0';
    if (inet_pton(six ? AF_INET6 : AF_INET, text, octets) != 1)
        return false;
    if (address.n == s.n)
        return true;
    return nr_str_to_u64(length, &bits) && bits <= (six ? 128 : 32) &&
        (length.n == 1 || length.p[0] != '0');
}

static bool
is_mac(struct nr_str s)
{
    if (s.n != 17)
        return false;
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];

        if (i % 3 == 2 ? c != ':' : !nr_is_hex(c) || nr_lower(c) != c)
            return false;
    }
    return true;
}

/* RFC 5646 section 2.1, by form: 2 to 8 letters, then subtags. The registry
 * of languages is not carried, so an unassigned code of this form passes. */
static bool
is_lang(struct nr_str s)
{
    struct nr_str rest, tag = nr_str_cut(s, '-', &rest);

    if (tag.n < 2 || tag.n > 8)
        return false;
    for (size_t i = 0; i < tag.n; i++)
        if (!nr_is_alpha((uint8_t)tag.p[i]))
            return false;
    while (rest.n > 0) {
        tag = nr_str_cut(rest, '-', &rest);
        if (tag.n < 1 || tag.n > 8)
            return false;
        for (size_t i = 0; i < tag.n; i++)
            if (!nr_is_alpha((uint8_t)tag.p[i]) &&
                !nr_is_digit((uint8_t)tag.p[i]))
                return false;
    }
    return true;
}

/* CPE 2.3 formatted string: 11 components after the prefix. */
static bool
is_cpe(struct nr_str s)
{
    size_t colons = 0;

    if (!nr_bytes_starts(nr_bytes_of(s), NR_BYTES("cpe:2.3:")))
        return false;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\')
            i++;
        else if (s.p[i] == ':')
            colons++;
    }
    return colons == 12;
}

static bool
is_verb(struct nr_str s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = (uint8_t)s.p[i];

        if (!nr_is_digit(c) && c != '-' && (c < 'a' || c > 'z'))
            return false;
    }
    return s.n > 0;
}

static bool
string_is(struct nr_str s, enum stix_form form)
{
    static const char *const ciphers[] = { "AES-256-GCM", "ChaCha20-Poly1305",
        "mime-type-indicated", NULL };
    static const char *const opinions[] = { "strongly-disagree", "disagree",
        "neutral", "agree", "strongly-agree", NULL };
    int64_t us;

    switch ((int)form) {
    case FORM_TIME:
        return nr_stix_time_parse(s, &us);
    case FORM_ID:
    case FORM_ID_DOMAIN:
    case FORM_ID_SIGHTED:
    case FORM_ID_MARKING:
        return ref_is(s, form);
    case FORM_URI:
        return is_uri(s);
    case FORM_BASE64:
        return is_base64(s);
    case FORM_HEX:
        return s.n % 2 == 0 && all_hex(s);
    case FORM_IPV4:
    case FORM_IPV6:
        return is_address(s, form == FORM_IPV6);
    case FORM_MAC:
        return is_mac(s);
    case FORM_LANG:
        return is_lang(s);
    case FORM_CPE:
        return is_cpe(s);
    case FORM_VERB:
        return is_verb(s);
    case FORM_CIPHER:
        return is_one_of(s, ciphers);
    case FORM_OPINION:
        return is_one_of(s, opinions);
    default:
        return true;
    }
}

static const struct {
    enum nr_json_type type;
    const char *what;
} forms[] = {
    [FORM_STRING] = { NR_JSON_STRING, "stix: string expected [2.15]" },
    [FORM_BOOL] = { NR_JSON_BOOL, "stix: boolean expected [2.2]" },
    [FORM_INTEGER] = { NR_JSON_NUMBER, "stix: integer expected [2.11]" },
    [FORM_COUNT] = { NR_JSON_NUMBER,
        "stix: integer that is not negative expected [2.11]" },
    [FORM_NUMBER] = { NR_JSON_NUMBER, "stix: number expected [2.5]" },
    [FORM_TIME] = { NR_JSON_STRING, "stix: timestamp expected [2.16]" },
    [FORM_ID] = { NR_JSON_STRING, "stix: <type>--<UUID> expected [2.9]" },
    [FORM_ID_DOMAIN] = { NR_JSON_STRING,
        "stix: id of something that relationships link expected [5.1]" },
    [FORM_ID_SIGHTED] = { NR_JSON_STRING,
        "stix: id of a domain object expected [5.2]" },
    [FORM_ID_MARKING] = { NR_JSON_STRING,
        "stix: id of a marking definition expected [7.2]" },
    [FORM_IDS] = { NR_JSON_ARRAY, "stix: list of ids expected [2.9]" },
    [FORM_IDS_OBSERVED] = { NR_JSON_ARRAY,
        "stix: list of ids of observables expected [4.14]" },
    [FORM_IDS_DATA] = { NR_JSON_ARRAY,
        "stix: list of ids of observed-data expected [5.2]" },
    [FORM_IDS_PLACE] = { NR_JSON_ARRAY,
        "stix: list of ids of identities or locations expected [5.2]" },
    [FORM_IDS_MARKING] = { NR_JSON_ARRAY,
        "stix: list of ids of marking definitions expected [7.2]" },
    [FORM_STRINGS] = { NR_JSON_ARRAY, "stix: list of strings expected [2.10]" },
    [FORM_LIST] = { NR_JSON_ARRAY,
        "stix: list with something in it expected [2.10]" },
    [FORM_DICT] = { NR_JSON_OBJECT, "stix: dictionary expected [2.4]" },
    [FORM_HASHES] = { NR_JSON_OBJECT,
        "stix: dictionary of hashes expected [2.7]" },
    [FORM_URI] = { NR_JSON_STRING, "stix: URI expected [RFC 3986 3]" },
    [FORM_BASE64] = { NR_JSON_STRING, "stix: base64 expected [2.1]" },
    [FORM_HEX] = { NR_JSON_STRING, "stix: pairs of hex digits expected [2.8]" },
    [FORM_IPV4] = { NR_JSON_STRING,
        "stix: IPv4 address or range expected [6.7]" },
    [FORM_IPV6] = { NR_JSON_STRING,
        "stix: IPv6 address or range expected [6.8]" },
    [FORM_MAC] = { NR_JSON_STRING,
        "stix: lower-case MAC address expected [6.9]" },
    [FORM_LANG] = { NR_JSON_STRING, "stix: language tag expected [RFC 5646]" },
    [FORM_CPE] = { NR_JSON_STRING, "stix: CPE 2.3 name expected [6.14]" },
    [FORM_VERB] = { NR_JSON_STRING,
        "stix: a-z, 0-9 and hyphens expected [5.1]" },
    [FORM_CIPHER] = { NR_JSON_STRING,
        "stix: encryption algorithm of the standard expected [10.7]" },
    [FORM_OPINION] = { NR_JSON_STRING,
        "stix: opinion of the standard expected [10.20]" },
    [FORM_CONFIDENCE] = { NR_JSON_NUMBER,
        "stix: confidence of 0 to 100 expected [3.2]" },
};

enum nr_err
stix_check_form(const struct nr_json *j, enum stix_form form, struct nr_diag *d)
{
    bool good = j->type == forms[form].type;
    int64_t v = 0;

    if (!good)
        return stix_bad(d, j, NULL, forms[form].what);
    switch (forms[form].type) {
    case NR_JSON_STRING:
        good = string_is(j->text, form);
        break;
    case NR_JSON_NUMBER:
        if (form != FORM_NUMBER)
            good = nr_json_i64(j, &v) && (form == FORM_INTEGER || v >= 0) &&
                (form != FORM_CONFIDENCE || v <= 100);
        break;
    case NR_JSON_ARRAY:
        good = form == FORM_LIST   ? j->n > 0
            : form == FORM_STRINGS ? are_strings(j)
                                   : refs_are(j, form);
        break;
    case NR_JSON_OBJECT:
        good = form == FORM_HASHES ? are_hashes(j) : j->n > 0;
        break;
    case NR_JSON_NULL:
    case NR_JSON_BOOL:
        break;
    }
    return good ? NR_OK : stix_bad(d, j, NULL, forms[form].what);
}
