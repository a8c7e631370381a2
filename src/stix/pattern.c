/*
 * Patterns into trees. Parentheses and brackets are frames of an explicit
 * stack; each frame folds its operands by the precedence of the operators
 * (FOLLOWEDBY, then OR, then AND binding tightest). Chains of one operator
 * become one node with many children, so the depth of the tree is bounded by
 * the nesting, however long the pattern.
 */
#include "stix/pattern.h"

#define LEVELS \
    3 /* operators that a frame may have open: see nr_stix_node_type */

struct node {
    struct nr_stix_node pub;
    struct node *first, *last; /* children, to splice them */
    const struct nr_stix_qualifier **tail;
    bool grouped;     /* came out of parentheses just now */
    bool was_grouped; /* or before its qualifiers */
};

struct frame {
    bool comparisons;     /* inside [ ] */
    char close;           /* ')' or ']'; 0 for the outermost */
    size_t at;            /* where it was opened */
    struct node *operand; /* the last one, not yet folded */
    struct node *first[LEVELS], *last[LEVELS];
};

struct parser {
    struct nr_arena *a;
    struct stix_lexer l;
    struct nr_diag *d;
    enum nr_err err;
    size_t depth;
    struct frame stack[NR_STIX_NEST_MAX + 1];
};

static void
fail(struct parser *p, enum nr_err err, size_t at, const char *what)
{
    if (p->err == NR_OK)
        p->err = nr_fail(p->d, err, at, what);
}

static void *
no_memory(struct parser *p)
{
    fail(p, NR_ENOMEM, p->l.at, "pattern: out of memory");
    return NULL;
}

/* The token is not what the grammar wants here. */
static void
unexpected(struct parser *p, const char *what)
{
    if (p->l.wrong)
        fail(p, p->l.err, p->l.at, p->l.wrong);
    else if (p->l.type == TOKEN_END)
        fail(p, NR_ETRUNC, p->l.in.n, "pattern: ends early [9]");
    else
        fail(p, NR_EFORMAT, p->l.at, what);
}

static bool
accept(struct parser *p, enum stix_token type)
{
    if (p->l.type != type)
        return false;
    stix_lexer_next(&p->l);
    return true;
}

static bool
accept_punct(struct parser *p, char c)
{
    if (!stix_is_punct(&p->l, c))
        return false;
    stix_lexer_next(&p->l);
    return true;
}

static void
expect_punct(struct parser *p, char c, const char *what)
{
    if (!accept_punct(p, c))
        unexpected(p, what);
}

static struct node *
new_node(struct parser *p, enum nr_stix_node_type type, size_t at)
{
    struct node *n = nr_new(p->a, struct node, 1);

    if (!n)
        return no_memory(p);
    n->pub.type = type;
    n->pub.at = at;
    n->tail = &n->pub.qualifiers;
    return n;
}

/* The string of the token, its escapes undone. */
static struct nr_str
string_text(struct parser *p)
{
    struct nr_str in = p->l.text, out;
    char *text;

    if (!p->l.escapes)
        return in;
    text = nr_new(p->a, char, in.n);
    if (!text) {
        no_memory(p);
        return (struct nr_str){ 0 };
    }
    out = (struct nr_str){ text, 0 };
    for (size_t i = 0; i < in.n; i++) {
        i += in.p[i] == '\\';
        text[out.n++] = in.p[i];
    }
    return out;
}

static bool
str_to_i64(struct nr_str s, int64_t *out)
{
    bool minus = s.n > 0 && s.p[0] == '-';
    uint64_t v;

    if (s.n > 0 && (minus || s.p[0] == '+')) {
        s.p++;
        s.n--;
    }
    if (!nr_str_to_u64(s, &v) || v > INT64_MAX)
        return false;
    *out = minus ? -(int64_t)v : (int64_t)v;
    return true;
}

/* "[*]", "[7]" or "[-1]", the bracket taken. */
static void
index_step(struct parser *p, struct nr_stix_step *s)
{
    s->is_index = true;
    if (accept_punct(p, '*')) {
        s->any = true;
    } else if (p->l.type != TOKEN_INT) {
        unexpected(p, "pattern: index or * expected [9.7]");
        return;
    } else {
        if (!str_to_i64(p->l.text, &s->index))
            fail(p, NR_ELIMIT, p->l.at, "pattern: index beyond 64 bits");
        stix_lexer_next(&p->l);
    }
    expect_punct(p, ']', "pattern: ']' expected after an index [9.7]");
}

static void
name_step(struct parser *p, struct nr_stix_step *s)
{
    if (p->l.type == TOKEN_STRING)
        s->name = string_text(p);
    else if (p->l.type == TOKEN_NAME)
        s->name = p->l.text;
    else if (p->l.type == TOKEN_HYPHEN)
        unexpected(p, "pattern: a name with a hyphen needs quotes [9.7]");
    else
        unexpected(p, "pattern: property name expected [9.7]");
    stix_lexer_next(&p->l);
}

static void
object_path(struct parser *p, struct node *n)
{
    const struct nr_stix_step **tail = &n->pub.path;
    bool index = false;

    if (p->l.type != TOKEN_NAME && p->l.type != TOKEN_HYPHEN) {
        unexpected(p, "pattern: object path expected [9.7]");
        return;
    }
    n->pub.object_type = p->l.text;
    stix_lexer_next(&p->l);
    expect_punct(p, ':', "pattern: ':' expected after the object type [9.7]");
    do {
        struct nr_stix_step *s = nr_new(p->a, struct nr_stix_step, 1);

        if (!s) {
            no_memory(p);
            return;
        }
        *tail = s;
        tail = &s->next;
        if (index)
            index_step(p, s);
        else
            name_step(p, s);
        index = p->err == NR_OK && accept_punct(p, '[');
    } while (p->err == NR_OK && (index || accept_punct(p, '.')));
}

static const struct nr_stix_const *
constant(struct parser *p, bool ordered)
{
    static const struct {
        enum stix_token token;
        enum nr_stix_const_type type;
    } types[] = {
        { TOKEN_STRING, NR_STIX_STRING },
        { TOKEN_INT, NR_STIX_INTEGER },
        { TOKEN_FLOAT, NR_STIX_FLOAT },
        { TOKEN_BINARY, NR_STIX_BINARY },
        { TOKEN_HEX, NR_STIX_HEX },
        { TOKEN_TIME, NR_STIX_TIMESTAMP },
        { TOKEN_TRUE, NR_STIX_BOOLEAN },
        { TOKEN_FALSE, NR_STIX_BOOLEAN },
    };
    struct nr_stix_const *c;
    size_t i = 0, n = sizeof(types) / sizeof(*types) - (ordered ? 2 : 0);

    while (i < n && types[i].token != p->l.type)
        i++;
    if (i == n) {
        unexpected(p, "pattern: constant expected [9.2]");
        return NULL;
    }
    c = nr_new(p->a, struct nr_stix_const, 1);
    if (!c)
        return no_memory(p);
    c->type = types[i].type;
    c->text = c->type == NR_STIX_STRING ? string_text(p) : p->l.text;
    stix_lexer_next(&p->l);
    return c;
}

static const struct nr_stix_const *
set(struct parser *p)
{
    const struct nr_stix_const *first = NULL, *c;
    struct nr_stix_const *last = NULL;

    expect_punct(p, '(', "pattern: '(' expected after IN [9.6]");
    if (p->err || accept_punct(p, ')'))
        return NULL;
    do {
        struct nr_stix_const *copy = nr_new(p->a, struct nr_stix_const, 1);

        c = copy ? constant(p, false) : no_memory(p);
        if (!c)
            return NULL;
        *copy = *c;
        if (last)
            last->next = copy;
        else
            first = copy;
        last = copy;
    } while (accept_punct(p, ','));
    expect_punct(p, ')', "pattern: ',' or ')' expected in a set [9.6]");
    return first;
}

static size_t
hash_len(struct nr_str name)
{
    static const struct {
        const char *name;
        size_t n;
    } hashes[] = {
        { "MD5", 32 },
        { "SHA-1", 40 },
        { "SHA1", 40 },
        { "SHA-256", 64 },
        { "SHA256", 64 },
        { "SHA-512", 128 },
        { "SHA512", 128 },
    };

    for (size_t i = 0; i < sizeof(hashes) / sizeof(*hashes); i++)
        if (nr_str_eq(name, nr_str_of(hashes[i].name)))
            return hashes[i].n;
    return 0;
}

/* A hash compared with what cannot be one is a mistake of its author. */
static void
check_hash(struct parser *p, const struct node *n, size_t at)
{
    const struct nr_stix_step *s = n->pub.path;
    size_t want = 0;

    while (s && s->next && !nr_str_eq(s->name, NR_STR("hashes")))
        s = s->next;
    if (s && s->next && !s->next->is_index && !s->next->next)
        want = hash_len(s->next->name);
    for (const struct nr_stix_const *c = n->pub.value; want && c; c = c->next) {
        bool hex = c->text.n == want;

        for (size_t i = 0; hex && i < want; i++)
            hex = nr_is_hex((uint8_t)c->text.p[i]);
        if (c->type == NR_STIX_STRING && !hex)
            fail(p, NR_EFORMAT, at,
                "pattern: not a hash of this algorithm [10.6]");
    }
}

static void
operand_of(struct parser *p, struct node *n)
{
    static const struct {
        enum stix_token token;
        enum nr_stix_op op;
    } ops[] = {
        { TOKEN_EQ, NR_STIX_EQ },
        { TOKEN_NEQ, NR_STIX_NEQ },
        { TOKEN_GT, NR_STIX_GT },
        { TOKEN_LT, NR_STIX_LT },
        { TOKEN_GE, NR_STIX_GE },
        { TOKEN_LE, NR_STIX_LE },
        { TOKEN_IN, NR_STIX_IN },
        { TOKEN_LIKE, NR_STIX_LIKE },
        { TOKEN_MATCHES, NR_STIX_MATCHES },
        { TOKEN_ISSUBSET, NR_STIX_ISSUBSET },
        { TOKEN_ISSUPERSET, NR_STIX_ISSUPERSET },
    };

    size_t i = 0, at;

    while (i < sizeof(ops) / sizeof(*ops) && ops[i].token != p->l.type)
        i++;
    if (i == sizeof(ops) / sizeof(*ops)) {
        unexpected(p, "pattern: comparison operator expected [9.6]");
        return;
    }
    n->pub.op = ops[i].op;
    stix_lexer_next(&p->l);
    at = p->l.at;
    if (n->pub.op == NR_STIX_IN) {
        n->pub.value = set(p);
    } else if (n->pub.op >= NR_STIX_LIKE && p->l.type != TOKEN_STRING) {
        unexpected(p, "pattern: string expected [9.6]");
    } else {
        n->pub.value = constant(p,
            n->pub.op != NR_STIX_EQ && n->pub.op != NR_STIX_NEQ);
    }
    if (p->err == NR_OK && n->pub.op <= NR_STIX_IN)
        check_hash(p, n, at);
}

static struct node *
comparison(struct parser *p)
{
    struct node *n = new_node(p, NR_STIX_COMPARISON, p->l.at);

    if (!n)
        return NULL;
    if (p->l.type == TOKEN_NOT) {
        n->pub.negated = true;
        stix_lexer_next(&p->l);
        if (p->l.type != TOKEN_EXISTS) {
            unexpected(p, "pattern: EXISTS expected after NOT [9.6]");
            return NULL;
        }
    }
    if (accept(p, TOKEN_EXISTS)) {
        n->pub.op = NR_STIX_EXISTS;
        object_path(p, n);
        return n;
    }
    object_path(p, n);
    if (p->err)
        return NULL;
    if (accept(p, TOKEN_NOT))
        n->pub.negated = true;
    operand_of(p, n);
    return n;
}

/* Take N into the list of LEVEL; operands of the same operator are spliced. */
static void
append(struct frame *f, int level, struct node *n)
{
    enum nr_stix_node_type type = f->comparisons
        ? (enum nr_stix_node_type)(NR_STIX_CMP_OR + level - 1)
        : (enum nr_stix_node_type)(NR_STIX_FOLLOWEDBY + level);
    bool splice = n->pub.type == type && !n->pub.qualifiers;
    struct node *first = splice ? n->first : n;

    if (f->last[level])
        f->last[level]->pub.next = &first->pub;
    else
        f->first[level] = first;
    f->last[level] = splice ? n->last : n;
}

/* Fold what binds tighter than LEVEL (-1: all) into one node. */
static struct node *
fold(struct parser *p, struct frame *f, int level)
{
    struct node *n = f->operand;

    f->operand = NULL;
    for (int i = LEVELS - 1; i > level; i--) {
        struct node *op;

        if (!f->first[i])
            continue;
        append(f, i, n);
        op = new_node(p,
            f->comparisons ? (enum nr_stix_node_type)(NR_STIX_CMP_OR + i - 1)
                           : (enum nr_stix_node_type)(NR_STIX_FOLLOWEDBY + i),
            f->first[i]->pub.at);
        if (!op)
            return NULL;
        op->first = f->first[i];
        op->last = f->last[i];
        op->pub.child = &op->first->pub;
        f->first[i] = f->last[i] = NULL;
        n = op;
    }
    return n;
}

static void
push(struct parser *p, bool comparisons, char close)
{
    if (p->depth > NR_STIX_NEST_MAX) {
        fail(p, NR_ELIMIT, p->l.at, "pattern: nested deeper than 64");
        return;
    }
    p->stack[p->depth++] = (struct frame){
        .comparisons = comparisons,
        .close = close,
        .at = p->l.at,
    };
    stix_lexer_next(&p->l);
}

static void
pop(struct parser *p)
{
    struct frame *f = &p->stack[p->depth - 1];
    struct node *n = fold(p, f, -1), *o;

    if (!n)
        return;
    if (f->close == ']') {
        o = new_node(p, NR_STIX_OBSERVATION, f->at);
        if (!o)
            return;
        o->pub.child = &n->pub;
        n = o;
    }
    n->grouped = f->close == ')';
    n->was_grouped |= n->grouped;
    p->depth--;
    p->stack[p->depth - 1].operand = n;
    stix_lexer_next(&p->l);
}

static bool
is_positive(struct nr_str s)
{
    for (size_t i = 0; i < s.n; i++)
        if (s.p[i] >= '1' && s.p[i] <= '9')
            return s.p[0] != '-';
    return false;
}

/* A number for WITHIN or REPEATS and the word after it. */
static void
counted(struct parser *p, struct nr_stix_qualifier *q, bool may_be_float,
    enum stix_token unit)
{
    bool number = p->l.type == TOKEN_INT ||
        (may_be_float && p->l.type == TOKEN_FLOAT);

    if (!number || !is_positive(p->l.text)) {
        unexpected(p, "pattern: positive number expected [9.5]");
        return;
    }
    q->first = p->l.text;
    stix_lexer_next(&p->l);
    if (!accept(p, unit))
        unexpected(p, "pattern: SECONDS or TIMES expected [9.5]");
}

static void
time_constant(struct parser *p, struct nr_str *out)
{
    if (p->l.type != TOKEN_TIME) {
        unexpected(p, "pattern: timestamp t'...' expected [9.5]");
        return;
    }
    *out = p->l.text;
    stix_lexer_next(&p->l);
}

/* The same qualifier twice is a mistake, but for what was in parentheses: the
 * reference lets "([a]) WITHIN 5 SECONDS WITHIN 6 SECONDS" pass, which is the
 * same as "([a] WITHIN 5 SECONDS) WITHIN 6 SECONDS". */
static void
check_twice(struct parser *p, const struct node *n, struct nr_stix_qualifier *q,
    size_t at)
{
    bool there = false;

    for (const struct nr_stix_qualifier *i = n->pub.qualifiers; i;
         i = i->next) {
        if (i->after_group)
            there = false;
        there |= i->type == q->type;
    }
    if (!there || q->after_group)
        return;
    if (n->was_grouped)
        q->after_group = true;
    else
        fail(p, NR_EFORMAT, at, "pattern: the same qualifier twice [9.5]");
}

static void
qualifier(struct parser *p, struct node *n)
{
    struct nr_stix_qualifier *q = nr_new(p->a, struct nr_stix_qualifier, 1);
    size_t at = p->l.at;

    if (!q) {
        no_memory(p);
        return;
    }
    q->after_group = n->grouped && n->pub.qualifiers;
    n->grouped = false;
    if (accept(p, TOKEN_WITHIN)) {
        q->type = NR_STIX_WITHIN;
        counted(p, q, true, TOKEN_SECONDS);
    } else if (accept(p, TOKEN_REPEATS)) {
        q->type = NR_STIX_REPEATS;
        counted(p, q, false, TOKEN_TIMES);
    } else {
        q->type = NR_STIX_START_STOP;
        stix_lexer_next(&p->l);
        time_constant(p, &q->first);
        if (p->err == NR_OK && !accept(p, TOKEN_STOP))
            unexpected(p, "pattern: STOP expected [9.5]");
        if (p->err == NR_OK)
            time_constant(p, &q->second);
    }
    check_twice(p, n, q, at);
    *n->tail = q;
    n->tail = &q->next;
}

/* An operand begins here. */
static void
before_operand(struct parser *p, struct frame *f)
{
    if (stix_is_punct(&p->l, '('))
        push(p, f->comparisons, ')');
    else if (f->comparisons)
        f->operand = comparison(p);
    else if (stix_is_punct(&p->l, '['))
        push(p, true, ']');
    else
        unexpected(p, "pattern: '[' or '(' expected [9.4]");
}

static void
after_operand(struct parser *p, struct frame *f)
{
    int level = p->l.type == TOKEN_AND                     ? 2
        : p->l.type == TOKEN_OR                            ? 1
        : p->l.type == TOKEN_FOLLOWEDBY && !f->comparisons ? 0
                                                           : -1;

    if (level >= 0) {
        struct node *n = fold(p, f, level);

        if (n)
            append(f, level, n);
        stix_lexer_next(&p->l);
    } else if (!f->comparisons &&
        (p->l.type == TOKEN_WITHIN || p->l.type == TOKEN_REPEATS ||
            p->l.type == TOKEN_START)) {
        qualifier(p, f->operand);
    } else if (f->close && stix_is_punct(&p->l, f->close)) {
        pop(p);
    } else {
        unexpected(p, "pattern: operator or closing bracket expected [9]");
    }
}

enum nr_err
nr_stix_pattern_parse(struct nr_arena *a, struct nr_str text,
    const struct nr_stix_node **out, struct nr_diag *d)
{
    struct parser p = { .a = a, .l = { .in = text }, .d = d, .depth = 1 };
    struct node *root;

    if (text.n > NR_STIX_PATTERN_MAX)
        return nr_fail(d, NR_ELIMIT, 0, "pattern: over 1 MiB");
    stix_lexer_next(&p.l);
    while (p.err == NR_OK) {
        struct frame *f = &p.stack[p.depth - 1];

        if (!f->operand)
            before_operand(&p, f);
        else if (p.depth == 1 && p.l.type == TOKEN_END && !p.l.wrong)
            break;
        else
            after_operand(&p, f);
    }
    if (p.err)
        return p.err;
    root = fold(&p, &p.stack[0], -1);
    if (!root)
        return p.err;
    *out = &root->pub;
    return NR_OK;
}
