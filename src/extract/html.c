#include "extract/html.h"

#include "base/num.h"

#define REFERENCE_MAX ((size_t)32) /* octets of "&...;" */

/* Those that stand for octets of an address, and those of everyday text. */
static const struct {
    struct nr_str name;
    char is;
} named[] = {
    { { "amp", 3 }, '&' },
    { { "AMP", 3 }, '&' },
    { { "lt", 2 }, '<' },
    { { "gt", 2 }, '>' },
    { { "quot", 4 }, '"' },
    { { "apos", 4 }, '\'' },
    { { "period", 6 }, '.' },
    { { "colon", 5 }, ':' },
    { { "sol", 3 }, '/' },
    { { "bsol", 4 }, '\\' },
    { { "commat", 6 }, '@' },
    { { "lowbar", 6 }, '_' },
    { { "num", 3 }, '#' },
    { { "quest", 5 }, '?' },
    { { "equals", 6 }, '=' },
    { { "percnt", 6 }, '%' },
    { { "plus", 4 }, '+' },
    { { "semi", 4 }, ';' },
    { { "comma", 5 }, ',' },
    { { "excl", 4 }, '!' },
    { { "lpar", 4 }, '(' },
    { { "rpar", 4 }, ')' },
    { { "lsqb", 4 }, '[' },
    { { "lbrack", 6 }, '[' },
    { { "rsqb", 4 }, ']' },
    { { "rbrack", 6 }, ']' },
    { { "dollar", 6 }, '$' },
    { { "ast", 3 }, '*' },
    { { "hyphen", 6 }, '-' },
    { { "Tab", 3 }, '\t' },
    { { "NewLine", 7 }, '\n' },
    { { "nbsp", 4 }, ' ' },
};

/* "#46" or "#x2e": its number; 0 when it is none. */
static uint32_t
number(struct nr_bytes r)
{
    bool hex = r.n > 1 && (r.p[1] | 0x20) == 'x';
    uint32_t v = 0;

    for (size_t i = hex ? 2 : 1; i < r.n; i++) {
        if (hex ? !nr_is_hex(r.p[i]) : !nr_is_digit(r.p[i]))
            return 0;
        v = v * (hex ? 16 : 10) + nr_hex_value(r.p[i]);
        if (v > 0x10ffff)
            return 0;
    }
    return v;
}

/* A character reference at the start of B, which begins with '&': the octet it
 * stands for in *IS (a character beyond ASCII is a space: no address has one),
 * and its length; 0: it is none. The final ';' may be missing. */
static size_t
reference(struct nr_bytes b, char *is)
{
    size_t n = 1, end = nr_min(b.n, REFERENCE_MAX);
    struct nr_str name;

    while (n < end &&
        (nr_is_alpha(b.p[n]) || nr_is_digit(b.p[n]) || b.p[n] == '#'))
        n++;
    name = (struct nr_str){ (const char *)b.p + 1, n - 1 };
    if (n < b.n && b.p[n] == ';')
        n++;
    if (name.n > 1 && name.p[0] == '#') {
        uint32_t v = number(nr_bytes_of(name));

        if (v == 0)
            return 0;
        *is = v < 0x80 ? (char)v : ' ';
        return n;
    }
    for (size_t i = 0; i < sizeof(named) / sizeof(*named); i++)
        if (nr_str_eq(name, named[i].name)) {
            *is = named[i].is;
            return n;
        }
    return 0;
}

static void
put_value(struct nr_bytes v, struct nr_buf *out)
{
    for (size_t i = 0; i < v.n;) {
        size_t n = 0;
        char c = (char)v.p[i];

        if (c == '&')
            n = reference(nr_bytes_sub(v, i, v.n), &c);
        nr_buf_put_c(out, c == '\n' || c == '\r' ? ' ' : c);
        i += n > 0 ? n : 1;
    }
    nr_buf_put_c(out, '\n');
}

static size_t
skip_space(struct nr_bytes b, size_t at)
{
    while (at < b.n && nr_is_space(b.p[at]))
        at++;
    return at;
}

/* The value behind a '=' and white space, from AT on; its end. */
static size_t
value(struct nr_bytes b, size_t at, struct nr_buf *out)
{
    size_t end = at;

    if (at < b.n && (b.p[at] == '"' || b.p[at] == '\'')) {
        const uint8_t *q = memchr(b.p + at + 1, b.p[at], b.n - at - 1);

        end = q ? (size_t)(q - b.p) : b.n;
        put_value(nr_bytes_sub(b, at + 1, end), out);
        return q ? end + 1 : b.n;
    }
    while (end < b.n && !nr_is_space(b.p[end]) && b.p[end] != '>')
        end++;
    if (end > at)
        put_value(nr_bytes_sub(b, at, end), out);
    return end;
}

/* The attributes of a tag whose name ends at AT; where the tag ends. */
static size_t
attributes(struct nr_bytes b, size_t at, struct nr_buf *out)
{
    while (at < b.n && b.p[at] != '>') {
        if (b.p[at] == '=')
            at = value(b, skip_space(b, at + 1), out);
        else
            at++;
    }
    return at < b.n ? at + 1 : at;
}

/* Where NEEDLE, in lower case, begins at or behind AT; b.n: nowhere. */
static size_t
find(struct nr_bytes b, size_t at, struct nr_bytes needle)
{
    while (at + needle.n <= b.n) {
        const uint8_t *p = memchr(b.p + at, needle.p[0], b.n - at);

        if (!p || (size_t)(b.p + b.n - p) < needle.n)
            return b.n;
        at = (size_t)(p - b.p);
        if (nr_bytes_eq_nocase(nr_bytes_sub(b, at, at + needle.n), needle))
            return at;
        at++;
    }
    return b.n;
}

static void
put_raw(struct nr_bytes text, struct nr_buf *out)
{
    if (text.n > 0) {
        nr_buf_put(out, text);
        nr_buf_put_c(out, '\n');
    }
}

static bool
is_tag(struct nr_bytes name, struct nr_bytes want)
{
    return nr_bytes_eq_nocase(name, want);
}

/* The element or markup that begins with '<' at AT; where it ends. */
static size_t
markup(struct nr_bytes b, size_t at, struct nr_buf *out)
{
    size_t start = at + 1, end;
    struct nr_bytes name, close = { 0 };

    if (b.n - at >= 4 && memcmp(b.p + at, "<!--", 4) == 0) {
        end = find(b, at + 4, NR_BYTES("-->"));
        put_raw(nr_bytes_sub(b, at + 4, end), out);
        return end;
    }
    for (end = start; end < b.n && b.p[end] != '>' && b.p[end] != '/' &&
         !nr_is_space(b.p[end]);)
        end++;
    name = nr_bytes_sub(b, start, end);
    if (name.n == 0 ||
        !(nr_is_alpha(name.p[0]) || name.p[0] == '!' || name.p[0] == '?'))
        return start;
    at = attributes(b, end, out);
    if (is_tag(name, NR_BYTES("script")))
        close = NR_BYTES("</script");
    else if (is_tag(name, NR_BYTES("style")))
        close = NR_BYTES("</style");
    if (close.n == 0)
        return at;
    end = find(b, at, close);
    put_raw(nr_bytes_sub(b, at, end), out);
    return end;
}

void
nr_html_hidden(struct nr_bytes html, struct nr_buf *out)
{
    size_t at = 0;

    while (at < html.n) {
        const uint8_t *p = memchr(html.p + at, '<', html.n - at);

        if (!p)
            break;
        at = markup(html, (size_t)(p - html.p), out);
    }
}
