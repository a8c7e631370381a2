/* Tokens of the STIX pattern grammar (section 9, STIXPattern.g4). */
#include "stix/pattern.h"

static const struct {
    struct nr_str word;
    enum stix_token type;
} keywords[] = {

#define WORD(w, t)              \
    {                           \
        { w, sizeof(w) - 1 }, t \
    }
    WORD("AND", TOKEN_AND),
    WORD("OR", TOKEN_OR),
    WORD("NOT", TOKEN_NOT),
    WORD("FOLLOWEDBY", TOKEN_FOLLOWEDBY),
    WORD("LIKE", TOKEN_LIKE),
    WORD("MATCHES", TOKEN_MATCHES),
    WORD("ISSUPERSET", TOKEN_ISSUPERSET),
    WORD("ISSUBSET", TOKEN_ISSUBSET),
    WORD("EXISTS", TOKEN_EXISTS),
    WORD("LAST", TOKEN_LAST),
    WORD("IN", TOKEN_IN),
    WORD("START", TOKEN_START),
    WORD("STOP", TOKEN_STOP),
    WORD("SECONDS", TOKEN_SECONDS),
    WORD("true", TOKEN_TRUE),
    WORD("false", TOKEN_FALSE),
    WORD("WITHIN", TOKEN_WITHIN),
    WORD("REPEATS", TOKEN_REPEATS),
    WORD("TIMES", TOKEN_TIMES),
#undef WORD
};

static uint8_t
octet(const struct stix_lexer *l, size_t at)
{
    return at < l->in.n ? (uint8_t)l->in.p[at] : 0;
}

static void
wrong(struct stix_lexer *l, size_t at, const char *what)
{
    l->type = TOKEN_END;
    l->at = at;
    l->wrong = what;
    l->err = at >= l->in.n ? NR_ETRUNC : NR_EFORMAT;
    l->pos = l->in.n;
}

/* Octets of white space at pos: ASCII, or one of Unicode's; 0: none. */
static size_t
space_len(const struct stix_lexer *l)
{
    uint8_t a = octet(l, l->pos), b = octet(l, l->pos + 1),
            c = octet(l, l->pos + 2);

    if (nr_is_space(a))
        return 1;
    if (a == 0xc2 && (b == 0x85 || b == 0xa0))
        return 2;
    if ((a == 0xe1 && b == 0x9a && c == 0x80) ||
        (a == 0xe3 && b == 0x80 && c == 0x80) ||
        (a == 0xe2 && b == 0x81 && c == 0x9f))
        return 3;
    if (a == 0xe2 && b == 0x80 &&
        (c <= 0x8a || c == 0xa8 || c == 0xa9 || c == 0xaf))
        return 3;
    return 0;
}

/* White space and comments; false: a comment does not end. */
static bool
skip_space(struct stix_lexer *l)
{
    for (;;) {
        size_t n = space_len(l), start = l->pos;

        if (n > 0) {
            l->pos += n;
        } else if (octet(l, l->pos) == '/' && octet(l, l->pos + 1) == '/') {
            while (l->pos < l->in.n && l->in.p[l->pos] != '\r' &&
                l->in.p[l->pos] != '\n')
                l->pos++;
        } else if (octet(l, l->pos) == '/' && octet(l, l->pos + 1) == '*') {
            const char *end = memmem(l->in.p + start + 2, l->in.n - start - 2,
                "*/", 2);

            if (!end) {
                wrong(l, l->in.n, "pattern: comment does not end");
                return false;
            }
            l->pos = (size_t)(end - l->in.p) + 2;
        } else {
            return true;
        }
    }
}

/* The quoted text whose opening quote is at pos. */
static bool
quoted(struct stix_lexer *l, bool may_escape)
{
    size_t start = ++l->pos;

    l->escapes = false;
    while (l->pos < l->in.n && l->in.p[l->pos] != '\'') {
        uint8_t next = octet(l, l->pos + 1);

        if (may_escape && l->in.p[l->pos] == '\\') {
            if (next != '\'' && next != '\\') {
                wrong(l, l->pos + 1,
                    "pattern: only \\' and \\\\ may be escaped [9.2]");
                return false;
            }
            l->escapes = true;
            l->pos++;
        }
        l->pos++;
    }
    if (l->pos >= l->in.n) {
        wrong(l, l->in.n, "pattern: string does not end [9.2]");
        return false;
    }
    l->text = (struct nr_str){ l->in.p + start, l->pos - start };
    l->pos++;
    return true;
}

static bool
is_base64(struct nr_str s)
{
    size_t pad = 0;

    if (s.n == 0 || s.n % 4)
        return false;
    while (pad < 2 && s.p[s.n - 1 - pad] == '=')
        pad++;
    for (size_t i = 0; i < s.n - pad; i++) {
        uint8_t c = (uint8_t)s.p[i];

        if (!nr_is_alpha(c) && !nr_is_digit(c) && c != '+' && c != '/')
            return false;
    }
    return true;
}

static bool
is_hex(struct nr_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (!nr_is_hex((uint8_t)s.p[i]))
            return false;
    return s.n % 2 == 0;
}

/* The grammar's ranges only: 30 February passes, as in the reference. */
static bool
is_time(struct nr_str s)
{
    static const char form[] = "dddd-dd-ddTdd:dd:dd";

    static const struct {
        size_t at;
        unsigned min, max;
    } ranges[] = {
        { 5, 1, 12 },
        { 8, 1, 31 },
        { 11, 0, 23 },
        { 14, 0, 59 },
        { 17, 0, 60 },
    };

    size_t n = sizeof(form) - 1;

    if (s.n < n + 1 || s.p[s.n - 1] != 'Z')
        return false;
    for (size_t i = 0; i < n; i++)
        if (form[i] == 'd' ? !nr_is_digit((uint8_t)s.p[i]) : s.p[i] != form[i])
            return false;
    for (size_t i = 0; i < sizeof(ranges) / sizeof(*ranges); i++) {
        unsigned v = (unsigned)(s.p[ranges[i].at] - '0') * 10 +
            (unsigned)(s.p[ranges[i].at + 1] - '0');

        if (v < ranges[i].min || v > ranges[i].max)
            return false;
    }
    if (s.n == n + 1)
        return true;
    if (s.p[n] != '.' || s.n == n + 2)
        return false;
    for (size_t i = n + 1; i < s.n - 1; i++)
        if (!nr_is_digit((uint8_t)s.p[i]))
            return false;
    return true;
}

/* b'...', h'...' or t'...', the letter at pos. */
static void
prefixed(struct stix_lexer *l, uint8_t prefix)
{
    l->pos++;
    if (!quoted(l, false))
        return;
    if (prefix == 'b') {
        l->type = TOKEN_BINARY;
        if (!is_base64(l->text))
            wrong(l, l->at, "pattern: binary constant is no base64 [9.2]");
    } else if (prefix == 'h') {
        l->type = TOKEN_HEX;
        if (!is_hex(l->text))
            wrong(l, l->at, "pattern: constant is no pairs of hex [9.2]");
    } else {
        l->type = TOKEN_TIME;
        if (!is_time(l->text))
            wrong(l, l->at, "pattern: constant is no timestamp [9.2]");
    }
}

static bool
is_word(uint8_t c)
{
    return nr_is_alpha(c) || nr_is_digit(c) || c == '_';
}

static void
word(struct stix_lexer *l)
{
    l->type = TOKEN_NAME;
    while (is_word(octet(l, l->pos)) || octet(l, l->pos) == '-') {
        if (l->in.p[l->pos++] == '-')
            l->type = TOKEN_HYPHEN;
    }
    l->text = (struct nr_str){ l->in.p + l->at, l->pos - l->at };
    for (size_t i = 0; i < sizeof(keywords) / sizeof(*keywords); i++)
        if (nr_str_eq(l->text, keywords[i].word))
            l->type = keywords[i].type;
}

static void
number(struct stix_lexer *l)
{
    uint8_t sign = octet(l, l->pos);
    size_t start;

    l->type = TOKEN_INT;
    l->pos += sign == '+' || sign == '-';
    start = l->pos;
    while (nr_is_digit(octet(l, l->pos)))
        l->pos++;
    if (octet(l, l->pos) == '.' && nr_is_digit(octet(l, l->pos + 1))) {
        l->type = TOKEN_FLOAT;
        l->pos++;
        while (nr_is_digit(octet(l, l->pos)))
            l->pos++;
    } else if (l->pos == start) {
        wrong(l, l->pos, "pattern: digit expected [9.2]");
        return;
    } else if (l->pos - start > 1 && l->in.p[start] == '0') {
        wrong(l, start, "pattern: number begins with 0 [9.2]");
        return;
    }
    l->text = (struct nr_str){ l->in.p + l->at, l->pos - l->at };
}

static void
operator(struct stix_lexer *l)
{
    static const struct {
        char text[3];
        enum stix_token type;
    } ops[] = {
        { "==", TOKEN_EQ },
        { "!=", TOKEN_NEQ },
        { "<>", TOKEN_NEQ },
        { ">=", TOKEN_GE },
        { "<=", TOKEN_LE },
        { "=", TOKEN_EQ },
        { ">", TOKEN_GT },
        { "<", TOKEN_LT },
    };
    struct nr_bytes rest = nr_bytes_sub(nr_bytes_of(l->in), l->pos, l->in.n);

    for (size_t i = 0; i < sizeof(ops) / sizeof(*ops); i++) {
        struct nr_bytes op = nr_bytes_of(nr_str_of(ops[i].text));

        if (nr_bytes_starts(rest, op)) {
            l->type = ops[i].type;
            l->pos += op.n;
            return;
        }
    }
    wrong(l, l->pos, "pattern: octet that begins no token [9]");
}

void
stix_lexer_next(struct stix_lexer *l)
{
    uint8_t c, next;

    l->type = TOKEN_END;
    if (l->wrong || !skip_space(l))
        return;
    l->at = l->pos;
    if (l->pos >= l->in.n)
        return;
    c = octet(l, l->pos);
    next = octet(l, l->pos + 1);
    if (next == '\'' && (c == 'b' || c == 'h' || c == 't')) {
        prefixed(l, c);
    } else if (nr_is_alpha(c) || c == '_') {
        word(l);
    } else if (c == '\'') {
        l->type = TOKEN_STRING;
        (void)quoted(l, true);
    } else if (nr_is_digit(c) || c == '+' || c == '-' ||
        (c == '.' && nr_is_digit(next))) {
        number(l);
    } else if (c && strchr("()[],:.*", c)) {
        l->type = TOKEN_PUNCT;
        l->text = (struct nr_str){ l->in.p + l->pos++, 1 };
    } else {
        operator(l);
    }
}
