/*
 * Values that stand in a list as they are meant: nothing to be trimmed, armed
 * again or encoded. Most do, and lists are long. Whatever is not plain is left
 * to nr_canon(), so that a rule is looser here in no case.
 */
#include "observable/observable.h"
#include "observable/rules.h"

#include "base/hash.h"

#include <string.h>

/* Octets of a name ('.' apart), of the path of a URL that no rule of nr_canon()
 * would change nor a list's punctuation follow, of what is before an '@'. */
enum { NAME = 1, DOT = 2, PATH = 4, LOCAL = 8 };

#define WORD  (NAME | PATH | LOCAL)
#define LOWER (WORD)
#define UPPER (PATH)

static const uint8_t classes[256] = {
    ['-'] = WORD,
    ['_'] = WORD,
    ['.'] = DOT | PATH | LOCAL,
    ['+'] = PATH | LOCAL,
    ['/'] = PATH,
    ['?'] = PATH,
    ['='] = PATH,
    ['&'] = PATH,
    ['%'] = PATH,
    ['#'] = PATH,
    ['~'] = PATH,
    [':'] = PATH,
    ['0'] = WORD,
    ['1'] = WORD,
    ['2'] = WORD,
    ['3'] = WORD,
    ['4'] = WORD,
    ['5'] = WORD,
    ['6'] = WORD,
    ['7'] = WORD,
    ['8'] = WORD,
    ['9'] = WORD,
    ['a'] = LOWER,
    ['b'] = LOWER,
    ['c'] = LOWER,
    ['d'] = LOWER,
    ['e'] = LOWER,
    ['f'] = LOWER,
    ['g'] = LOWER,
    ['h'] = LOWER,
    ['i'] = LOWER,
    ['j'] = LOWER,
    ['k'] = LOWER,
    ['l'] = LOWER,
    ['m'] = LOWER,
    ['n'] = LOWER,
    ['o'] = LOWER,
    ['p'] = LOWER,
    ['q'] = LOWER,
    ['r'] = LOWER,
    ['s'] = LOWER,
    ['t'] = LOWER,
    ['u'] = LOWER,
    ['v'] = LOWER,
    ['w'] = LOWER,
    ['x'] = LOWER,
    ['y'] = LOWER,
    ['z'] = LOWER,
    ['A'] = UPPER,
    ['B'] = UPPER,
    ['C'] = UPPER,
    ['D'] = UPPER,
    ['E'] = UPPER,
    ['F'] = UPPER,
    ['G'] = UPPER,
    ['H'] = UPPER,
    ['I'] = UPPER,
    ['J'] = UPPER,
    ['K'] = UPPER,
    ['L'] = UPPER,
    ['M'] = UPPER,
    ['N'] = UPPER,
    ['O'] = UPPER,
    ['P'] = UPPER,
    ['Q'] = UPPER,
    ['R'] = UPPER,
    ['S'] = UPPER,
    ['T'] = UPPER,
    ['U'] = UPPER,
    ['V'] = UPPER,
    ['W'] = UPPER,
    ['X'] = UPPER,
    ['Y'] = UPPER,
    ['Z'] = UPPER,
};

static size_t
run(struct nr_bytes b, size_t i, uint8_t class)
{
    while (i < b.n && (classes[b.p[i]] & class))
        i++;
    return i;
}

/* In lower case as it stands. */
static bool
plain_domain(struct nr_bytes in)
{
    size_t label = 0, i = 0;

    if (in.n == 0 || in.n > NR_DOMAIN_MAX)
        return false;
    for (;;) {
        i = run(in, i, NAME);
        if (i == in.n)
            break;
        if (in.p[i] != '.' || i == label || i - label > NR_LABEL_MAX)
            return false;
        label = ++i;
    }
    return label > 0 && nr_tld_is_sound(nr_bytes_sub(in, label, in.n));
}

static bool
plain_url(struct nr_bytes in)
{
    size_t head = nr_bytes_starts(in, NR_BYTES("http://")) ? 7
        : nr_bytes_starts(in, NR_BYTES("https://"))        ? 8
                                                           : 0;
    size_t host;

    if (head == 0 || in.n > NR_URL_MAX)
        return false;
    host = run(in, head, NAME | DOT);
    if (host == head)
        return false;
    if (host < in.n && in.p[host] == ':')
        do
            host++;
        while (host < in.n && nr_is_digit(in.p[host]));
    return host < in.n && in.p[host] == '/' && run(in, host, PATH) == in.n;
}

static bool
plain_email(struct nr_bytes in)
{
    size_t n = run(in, 0, LOCAL);

    return n > 0 && n <= NR_LOCAL_MAX && n < in.n && in.p[n] == '@' &&
        plain_domain(nr_bytes_sub(in, n + 1, in.n));
}

static bool
plain_hash(struct nr_bytes in, uint8_t *buf, size_t n, struct nr_bytes *key)
{
    *key = (struct nr_bytes){ buf, n };
    return nr_hex_parse(in, buf, n);
}

/* "ADDRESS/LENGTH", the host bits cleared. */
static bool
plain_range(struct nr_bytes in, bool six, uint8_t *buf, struct nr_bytes *key)
{
    const uint8_t *slash = in.n ? memchr(in.p, '/', in.n) : NULL;
    size_t octets = six ? 16 : 4, at = slash ? (size_t)(slash - in.p) : 0;
    unsigned len = 0;

    if (!slash || in.n - at < 2 || in.n - at > 4)
        return false;
    for (size_t i = at + 1; i < in.n; i++) {
        if (!nr_is_digit(in.p[i]))
            return false;
        len = len * 10 + (unsigned)(in.p[i] - '0');
    }
    in.n = at;
    if (len > octets * 8 ||
        !(six ? nr_ipv6_parse(in, true, buf) : nr_ipv4_parse(in, buf)))
        return false;
    for (size_t i = len; i < octets * 8; i++)
        buf[i / 8] &= (uint8_t) ~(0x80 >> (i % 8));
    buf[octets] = (uint8_t)len;
    *key = (struct nr_bytes){ buf, octets + 1 };
    return true;
}

bool
nr_canon_plain(enum nr_kind kind, struct nr_bytes text,
    uint8_t buf[NR_PLAIN_MAX], struct nr_bytes *key)
{
    *key = text;
    switch ((unsigned)kind) {
    case NR_KIND_DOMAIN:
        return plain_domain(text);
    case NR_KIND_URL:
        return plain_url(text);
    case NR_KIND_EMAIL:
        return plain_email(text);
    case NR_KIND_MD5:
        return plain_hash(text, buf, 16, key);
    case NR_KIND_SHA1:
        return plain_hash(text, buf, 20, key);
    case NR_KIND_SHA256:
        return plain_hash(text, buf, 32, key);
    case NR_KIND_IPV4:
        *key = (struct nr_bytes){ buf, 4 };
        return nr_ipv4_parse(text, buf);
    case NR_KIND_IPV6:
        *key = (struct nr_bytes){ buf, 16 };
        return nr_ipv6_parse(text, true, buf);
    case NR_KIND_CIDR4:
        return plain_range(text, false, buf, key);
    case NR_KIND_CIDR6:
        return plain_range(text, true, buf, key);
    default:
        return false;
    }
}

/* Which kind a plain TEXT would be, if any: none is two of them. */
static enum nr_kind
by_shape(struct nr_bytes text)
{
    const uint8_t *end = text.p + text.n;

    if (text.n == 32 || text.n == 40 || text.n == 64) {
        size_t i = 0;

        while (i < text.n && nr_is_hex(text.p[i]))
            i++;
        if (i == text.n)
            return i == 32 ? NR_KIND_MD5
                : i == 40  ? NR_KIND_SHA1
                           : NR_KIND_SHA256;
    }
    if (nr_bytes_starts(text, NR_BYTES("http")) && memchr(text.p, '/', text.n))
        return NR_KIND_URL;
    if (memchr(text.p, '@', text.n))
        return NR_KIND_EMAIL;
    if (memchr(text.p, ':', text.n))
        return memchr(text.p, '/', text.n) ? NR_KIND_CIDR6 : NR_KIND_IPV6;
    if (!nr_is_digit(end[-1]))
        return NR_KIND_DOMAIN;
    if (memchr(text.p, '/', text.n))
        return NR_KIND_CIDR4;
    /* "a.x1" and "1.x1" are names that end in a digit: seen by their letter */
    for (size_t i = 0; i < text.n; i++)
        if (!nr_is_digit(text.p[i]) && text.p[i] != '.')
            return NR_KIND_DOMAIN;
    return NR_KIND_IPV4;
}

bool
nr_canon_plain_guess(struct nr_bytes text, enum nr_kind *kind,
    uint8_t buf[NR_PLAIN_MAX], struct nr_bytes *key)
{
    if (text.n < 2)
        return false;
    *kind = by_shape(text);
    return nr_canon_plain(*kind, text, buf, key);
}
