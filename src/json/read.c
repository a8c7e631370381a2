/*
 * The reader: one loop over the text with an explicit stack of open arrays
 * and objects. Each value costs one node; a string without escapes is a view
 * into the text. Names are compared when their object closes: a few pairwise,
 * many by sorting. A sort costs n log n whatever the names are, where a hash
 * table could be flooded by names that collide.
 */
#include "json/read.h"

#include "base/num.h"

#include <stdlib.h>

#define PAIRWISE_MAX ((size_t)8) /* members compared pair by pair */

struct frame {
    struct nr_json *node, *last;
    bool is_object;
    struct nr_str key; /* read, its value not yet */
    size_t key_at;
};

struct parser {
    struct nr_arena *a; /* NULL: no tree */
    struct nr_bytes in;
    size_t pos, base, depth_max;
    struct nr_diag *d;
    struct nr_diag later; /* of the string being read */
    enum nr_err err;
    struct nr_json spare; /* the node of every value without a tree */
    const struct nr_json *root;
    const struct nr_json **names; /* scratch of the sort */
    size_t names_cap, depth;
    struct frame stack[NR_JSON_DEPTH_MAX];
};

enum state { VALUE, FIRST, NAME, AFTER };

static void
fail(struct parser *p, enum nr_err err, size_t at, const char *what)
{
    if (p->err == NR_OK)
        p->err = nr_fail(p->d, err, p->base + at, what);
}

/* The octet at pos is not what the grammar wants, or there is none. */
static void
unexpected(struct parser *p, const char *what)
{
    if (p->pos >= p->in.n)
        fail(p, NR_ETRUNC, p->in.n, "json: text ends early [RFC 8259]");
    else
        fail(p, NR_EFORMAT, p->pos, what);
}

static int
peek(const struct parser *p)
{
    return p->pos < p->in.n ? p->in.p[p->pos] : -1;
}

static void
skip_space(struct parser *p)
{
    while (p->pos < p->in.n) {
        uint8_t c = p->in.p[p->pos];

        if (c != ' ' && c != '\n' && c != '\r' && c != '\t')
            break;
        p->pos++;
    }
}

static struct nr_json *
new_node(struct parser *p, enum nr_json_type type)
{
    struct nr_json *j = p->a ? nr_new(p->a, struct nr_json, 1) : &p->spare;
    struct frame *f = p->depth ? &p->stack[p->depth - 1] : NULL;

    if (!j) {
        fail(p, NR_ENOMEM, p->pos, "json: out of memory, or past its ceiling");
        return NULL;
    }
    *j = (struct nr_json){ .type = type, .at = p->base + p->pos };
    if (!p->a)
        return j;
    if (!f) {
        p->root = j;
        return j;
    }
    j->key = f->key;
    j->key_at = f->key_at;
    if (f->last)
        f->last->next = j;
    else
        f->node->child = j;
    f->last = j;
    f->node->n++;
    return j;
}

/* Four hex digits at pos; leaves pos at the first that is none. */
static bool
read_hex4(struct parser *p, uint32_t *out)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++, p->pos++) {
        if (p->pos >= p->in.n || !nr_is_hex(p->in.p[p->pos])) {
            unexpected(p, "json: \\u without four hex digits [RFC 8259 7]");
            return false;
        }
        v = v << 4 | nr_hex_value(p->in.p[p->pos]);
    }
    *out = v;
    return true;
}

/* The escape whose backslash is at pos. */
static void
check_escape(struct parser *p)
{
    size_t at = p->pos++;
    uint32_t v, low;
    int c = peek(p);

    if (c <= 0 || !strchr("\"\\/bfnrtu", c)) {
        unexpected(p, "json: unknown escape [RFC 8259 7]");
        return;
    }
    p->pos++;
    if (c != 'u' || !read_hex4(p, &v) || v < 0xd800 || v > 0xdfff)
        return;
    if (v < 0xdc00 && p->pos >= p->in.n) {
        unexpected(p, "");
        return;
    }
    if (v < 0xdc00 && p->in.p[p->pos] == '\\' && p->pos + 1 == p->in.n) {
        p->pos++;
        unexpected(p, "");
        return;
    }
    if (v < 0xdc00 && p->in.p[p->pos] == '\\' && p->in.p[p->pos + 1] == 'u') {
        p->pos += 2;
        if (!read_hex4(p, &low) || (low >= 0xdc00 && low <= 0xdfff))
            return;
    }
    fail(p, NR_EFORMAT, at, "json: surrogate without its pair [RFC 8259 8.2]");
}

static size_t
put_utf8(char *out, uint32_t c)
{
    size_t n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    static const uint8_t lead[] = { 0, 0, 0xc0, 0xe0, 0xf0 };

    for (size_t i = n - 1; i > 0; i--, c >>= 6)
        out[i] = (char)(0x80 | (c & 0x3f));
    out[0] = (char)(lead[n] | c);
    return n;
}

static uint32_t
hex4(const uint8_t *s)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++)
        v = v << 4 | nr_hex_value(s[i]);
    return v;
}

/* RAW was checked. */
static struct nr_str
unescape(struct parser *p, struct nr_bytes raw)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    char *out = nr_new(p->a, char, raw.n);
    size_t n = 0;

    if (!out) {
        fail(p, NR_ENOMEM, p->pos, "json: out of memory, or past its ceiling");
        return (struct nr_str){ 0 };
    }
    for (size_t i = 0; i < raw.n;) {
        uint32_t c;

        if (raw.p[i] != '\\') {
            out[n++] = (char)raw.p[i++];
            continue;
        }
        if (raw.p[i + 1] != 'u') {
            const char *at = strchr(from, raw.p[i + 1]);

            out[n++] = to[at ? at - from : 0];
            i += 2;
            continue;
        }
        c = hex4(raw.p + i + 2);
        i += 6;
        if (c >= 0xd800 && c <= 0xdbff) {
            c = 0x10000 + ((c & 0x3ff) << 10) + (hex4(raw.p + i + 2) & 0x3ff);
            i += 6;
        }
        n += put_utf8(out + n, c);
    }
    return (struct nr_str){ out, n };
}

/* A sequence that the end of the text cuts might be completed. */
static bool
is_cut_sequence(const struct parser *p, size_t at)
{
    uint8_t c = p->in.p[at];
    size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

    return c >= 0xc2 && c <= 0xf4 && p->in.n - at < need;
}

/* The string whose opening quote is at pos. */
static struct nr_str
read_string(struct parser *p)
{
    size_t start = ++p->pos, valid;
    struct nr_diag *d = p->d;
    bool escapes = false, wide = false;
    struct nr_bytes raw;

    p->later.err = NR_OK;
    p->d = &p->later; /* a fault of UTF-8 before it comes first */
    while (p->err == NR_OK && p->pos < p->in.n && p->in.p[p->pos] != '"') {
        uint8_t c = p->in.p[p->pos];

        if (c == '\\') {
            escapes = true;
            check_escape(p);
            continue;
        }
        if (c < 0x20) {
            fail(p, NR_EFORMAT, p->pos,
                "json: control character in a string [RFC 8259 7]");
            break;
        }
        wide |= c >= 0x80;
        p->pos++;
    }
    if (p->err == NR_OK && p->pos >= p->in.n)
        unexpected(p, "");
    p->d = d;
    raw = nr_bytes_sub(p->in, start, nr_min(p->pos, p->in.n));
    valid = wide ? nr_utf8_valid_len(raw) : raw.n;
    if (valid < raw.n &&
        !(p->err == NR_ETRUNC && is_cut_sequence(p, start + valid))) {
        p->err = NR_OK;
        fail(p, NR_EFORMAT, start + valid,
            "json: string is not UTF-8 [RFC 8259 8.1]");
    } else if (p->err) {
        nr_fail(d, p->err, p->later.at, p->later.what);
    }
    if (p->err)
        return (struct nr_str){ 0 };
    p->pos++;
    return escapes && p->a ? unescape(p, raw)
                           : (struct nr_str){ (const char *)raw.p, raw.n };
}

static bool
read_digits(struct parser *p)
{
    size_t start = p->pos;

    while (p->pos < p->in.n && nr_is_digit(p->in.p[p->pos]))
        p->pos++;
    if (p->pos == start)
        unexpected(p, "json: digit expected in a number [RFC 8259 6]");
    return p->pos > start;
}

static void
read_number(struct parser *p)
{
    struct nr_json *j = new_node(p, NR_JSON_NUMBER);
    size_t start = p->pos;

    if (!j)
        return;
    p->pos += peek(p) == '-';
    if (peek(p) == '0')
        p->pos++;
    else if (!read_digits(p))
        return;
    if (peek(p) == '.') {
        p->pos++;
        if (!read_digits(p))
            return;
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        p->pos++;
        p->pos += peek(p) == '+' || peek(p) == '-';
        if (!read_digits(p))
            return;
    }
    j->len = p->pos - start;
    j->text = (struct nr_str){ (const char *)p->in.p + start, j->len };
    if (j->len > NR_JSON_NUMBER_MAX)
        fail(p, NR_ELIMIT, start, "json: number longer than 512 octets");
}

static void
read_word(struct parser *p)
{
    static const struct {
        const char *word;
        enum nr_json_type type;
        bool truth;
    } words[] = {
        { "true", NR_JSON_BOOL, true },
        { "false", NR_JSON_BOOL, false },
        { "null", NR_JSON_NULL, false },
    };

    size_t i = 0, start = p->pos;
    struct nr_json *j;

    while (i < 3 && peek(p) != words[i].word[0])
        i++;
    if (i == 3) {
        unexpected(p, "json: value expected [RFC 8259 3]");
        return;
    }
    j = new_node(p, words[i].type);
    if (!j)
        return;
    j->truth = words[i].truth;
    for (const char *w = words[i].word; *w; w++, p->pos++) {
        if (peek(p) != *w) {
            unexpected(p, "json: value expected [RFC 8259 3]");
            return;
        }
    }
    j->len = p->pos - start;
}

static void
open_container(struct parser *p, enum nr_json_type type)
{
    struct nr_json *j;

    if (p->depth >= p->depth_max) {
        fail(p, NR_ELIMIT, p->pos, "json: nested deeper than 64");
        return;
    }
    j = new_node(p, type);
    if (!j)
        return;
    p->stack[p->depth] = (struct frame){
        .node = j,
        .is_object = type == NR_JSON_OBJECT,
    };
    p->depth++;
    p->pos++;
}

static int
by_name(const void *a, const void *b)
{
    const struct nr_json *const *x = a, *const *y = b;
    int c = nr_bytes_cmp(nr_bytes_of((*x)->key), nr_bytes_of((*y)->key));

    return c ? c
             : ((*x)->key_at > (*y)->key_at) - ((*x)->key_at < (*y)->key_at);
}

static const struct nr_json *
twin_by_sort(struct parser *p, const struct nr_json *obj)
{
    const struct nr_json *twin = NULL;
    size_t n = 0;

    if (obj->n > p->names_cap) {
        p->names_cap = obj->n * 2;
        p->names = nr_new(p->a, const struct nr_json *, p->names_cap);
        if (!p->names) {
            fail(p, NR_ENOMEM, p->pos,
                "json: out of memory, or past its ceiling");
            return NULL;
        }
    }
    for (const struct nr_json *j = obj->child; j; j = j->next)
        p->names[n++] = j;
    qsort(p->names, n, sizeof(void *), by_name);
    for (size_t i = 1; i < n; i++)
        if (nr_str_eq(p->names[i - 1]->key, p->names[i]->key) &&
            (!twin || p->names[i]->key_at < twin->key_at))
            twin = p->names[i];
    return twin;
}

/* The first member of OBJ whose name was there before; NULL: none. */
static const struct nr_json *
find_twin(struct parser *p, const struct nr_json *obj)
{
    if (obj->n > PAIRWISE_MAX)
        return twin_by_sort(p, obj);
    for (const struct nr_json *j = obj->child; j; j = j->next)
        for (const struct nr_json *i = obj->child; i != j; i = i->next)
            if (nr_str_eq(i->key, j->key))
                return j;
    return NULL;
}

static void
close_container(struct parser *p, bool is_object)
{
    struct nr_json *j = p->stack[p->depth - 1].node;
    const struct nr_json *twin = NULL;

    p->pos++;
    p->depth--;
    if (!p->a)
        return;
    j->len = p->base + p->pos - j->at;
    if (is_object)
        twin = find_twin(p, j);
    if (twin)
        fail(p, NR_EFORMAT, twin->key_at - p->base,
            "json: the same name twice in one object [RFC 8259 4]");
}

static enum state
read_value(struct parser *p)
{
    int c = peek(p);
    struct nr_json *j;
    size_t start = p->pos;

    if (c == '{' || c == '[') {
        open_container(p, c == '{' ? NR_JSON_OBJECT : NR_JSON_ARRAY);
        return FIRST;
    }
    if (c == '"') {
        j = new_node(p, NR_JSON_STRING);
        if (j) {
            j->text = read_string(p);
            j->len = p->pos - start;
        }
    } else if (c == '-' || (c >= '0' && c <= '9')) {
        read_number(p);
    } else {
        read_word(p);
    }
    return AFTER;
}

static enum state
read_name(struct parser *p)
{
    struct frame *f = &p->stack[p->depth - 1];

    if (peek(p) != '"') {
        unexpected(p, "json: name in quotes expected [RFC 8259 4]");
        return VALUE;
    }
    if (p->a && f->node->n >= NR_JSON_NAMES_MAX) {
        fail(p, NR_ELIMIT, p->pos, "json: object of more than 131072 members");
        return VALUE;
    }
    f->key_at = p->base + p->pos;
    f->key = read_string(p);
    if (p->err)
        return VALUE;
    skip_space(p);
    if (peek(p) != ':')
        unexpected(p, "json: ':' expected after a name [RFC 8259 4]");
    else
        p->pos++;
    return VALUE;
}

static enum state
read_after(struct parser *p, bool is_object)
{
    if (peek(p) == ',') {
        p->pos++;
        return is_object ? NAME : VALUE;
    }
    if (peek(p) == (is_object ? '}' : ']')) {
        close_container(p, is_object);
        return AFTER;
    }
    unexpected(p,
        is_object ? "json: ',' or '}' expected [RFC 8259 4]"
                  : "json: ',' or ']' expected [RFC 8259 5]");
    return AFTER;
}

static void
run(struct parser *p)
{
    enum state state = VALUE;

    while (p->err == NR_OK && (state != AFTER || p->depth > 0)) {
        bool is_object = p->depth && p->stack[p->depth - 1].is_object;

        skip_space(p);
        switch (state) {
        case VALUE:
            state = read_value(p);
            break;
        case FIRST:
            if (peek(p) == (is_object ? '}' : ']'))
                state = read_after(p, is_object);
            else
                state = is_object ? NAME : VALUE;
            break;
        case NAME:
            state = read_name(p);
            break;
        case AFTER:
            state = read_after(p, is_object);
            break;
        }
    }
    skip_space(p);
    if (p->err == NR_OK && p->pos < p->in.n)
        fail(p, NR_EFORMAT, p->pos, "json: octets after the value");
}

enum nr_err
json_parse_part(struct nr_arena *a, const struct json_part *part,
    const struct nr_json **out, struct nr_diag *d)
{
    struct parser p = {
        .a = a,
        .in = part->in,
        .base = part->base,
        .depth_max = part->depth_max,
        .d = d,
    };

    if (part->in.n > NR_JSON_TEXT_MAX)
        return nr_fail(d, NR_ELIMIT, part->base, "json: text over 1 GiB");
    if (part->bom && nr_bytes_starts(p.in, NR_BYTES("\xef\xbb\xbf")))
        p.pos = 3;
    run(&p);
    if (p.err == NR_OK && a)
        *out = p.root;
    return p.err;
}

enum nr_err
nr_json_parse(struct nr_arena *a, struct nr_bytes in,
    const struct nr_json **out, struct nr_diag *d)
{
    struct json_part part = {
        .in = in,
        .depth_max = NR_JSON_DEPTH_MAX,
        .bom = true,
    };

    return json_parse_part(a, &part, out, d);
}

enum nr_err
nr_json_check(struct nr_bytes in, struct nr_diag *d)
{
    struct json_part part = { .in = in, .depth_max = NR_JSON_DEPTH_MAX };

    return json_parse_part(NULL, &part, NULL, d);
}
