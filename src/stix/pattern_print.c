/* Canonical text of a pattern, walked with an explicit stack. */
#include "stix/stix.h"

/* A frame of the parser folds at most 3 operators, and one observation. */
#define DEPTH_MAX (4 * (NR_STIX_NEST_MAX + 2))

static bool
is_operator(const struct nr_stix_node *n)
{
    return n->type != NR_STIX_OBSERVATION && n->type != NR_STIX_COMPARISON;
}

static void
put_quoted(struct nr_buf *b, struct nr_str s)
{
    nr_buf_put_c(b, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'' || s.p[i] == '\\')
            nr_buf_put_c(b, '\\');
        nr_buf_put_c(b, s.p[i]);
    }
    nr_buf_put_c(b, '\'');
}

static void
put_const(struct nr_buf *b, const struct nr_stix_const *c)
{
    static const char prefix[] = {
        [NR_STIX_BINARY] = 'b',
        [NR_STIX_HEX] = 'h',
        [NR_STIX_TIMESTAMP] = 't',
    };

    if (c->type == NR_STIX_STRING) {
        put_quoted(b, c->text);
    } else if (c->type >= NR_STIX_BINARY) {
        nr_buf_put_c(b, prefix[c->type]);
        put_quoted(b, c->text);
    } else {
        nr_buf_put_str(b, c->text);
    }
}

/* May NAME stand in a path without quotes? */
static bool
is_plain(struct nr_str name)
{
    static const char *const words[] = { "AND", "OR", "NOT", "FOLLOWEDBY",
        "LIKE", "MATCHES", "ISSUPERSET", "ISSUBSET", "EXISTS", "LAST", "IN",
        "START", "STOP", "SECONDS", "true", "false", "WITHIN", "REPEATS",
        "TIMES" };

    if (name.n == 0 || nr_is_digit((uint8_t)name.p[0]))
        return false;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = (uint8_t)name.p[i];

        if (!nr_is_alpha(c) && !nr_is_digit(c) && c != '_')
            return false;
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
        if (nr_str_eq(name, nr_str_of(words[i])))
            return false;
    return true;
}

static void
put_path(struct nr_buf *b, const struct nr_stix_node *n)
{
    char sep = ':';

    nr_buf_put_str(b, n->object_type);
    for (const struct nr_stix_step *s = n->path; s; s = s->next, sep = '.') {
        if (s->is_index && s->any) {
            nr_buf_put_str(b, NR_STR("[*]"));
        } else if (s->is_index) {
            nr_buf_printf(b, "[%lld]", (long long)s->index);
        } else {
            nr_buf_put_c(b, sep);
            if (is_plain(s->name))
                nr_buf_put_str(b, s->name);
            else
                put_quoted(b, s->name);
        }
    }
}

static void
put_comparison(struct nr_buf *b, const struct nr_stix_node *n)
{
    static const char *const ops[] = { "=", "!=", ">", "<", ">=", "<=", "IN",
        "LIKE", "MATCHES", "ISSUBSET", "ISSUPERSET" };

    if (n->op == NR_STIX_EXISTS) {
        nr_buf_put_str(b,
            n->negated ? NR_STR("NOT EXISTS ") : NR_STR("EXISTS "));
        put_path(b, n);
        return;
    }
    put_path(b, n);
    nr_buf_printf(b, "%s %s ", n->negated ? " NOT" : "", ops[n->op]);
    if (n->op != NR_STIX_IN) {
        put_const(b, n->value);
        return;
    }
    nr_buf_put_c(b, '(');
    for (const struct nr_stix_const *c = n->value; c; c = c->next) {
        put_const(b, c);
        if (c->next)
            nr_buf_put_str(b, NR_STR(", "));
    }
    nr_buf_put_c(b, ')');
}

static void
put_qualifiers(struct nr_buf *b, const struct nr_stix_qualifier *q)
{
    for (; q; q = q->next) {
        if (q->after_group)
            nr_buf_put_c(b, ')');
        if (q->type == NR_STIX_WITHIN)
            nr_buf_printf(b, " WITHIN %.*s SECONDS", NR_FMT(q->first));
        else if (q->type == NR_STIX_REPEATS)
            nr_buf_printf(b, " REPEATS %.*s TIMES", NR_FMT(q->first));
        else
            nr_buf_printf(b, " START t'%.*s' STOP t'%.*s'", NR_FMT(q->first),
                NR_FMT(q->second));
    }
}

/* An operator needs parentheses for its qualifiers, or below one that binds
 * tighter (the types are in order of binding). */
static bool
needs_group(const struct nr_stix_node *n, const struct nr_stix_node *up)
{
    if (!is_operator(n))
        return false;
    return n->qualifiers || (up && is_operator(up) && n->type < up->type);
}

static void
begin(struct nr_buf *b, const struct nr_stix_node *n,
    const struct nr_stix_node *up)
{
    for (const struct nr_stix_qualifier *q = n->qualifiers; q; q = q->next)
        if (q->after_group)
            nr_buf_put_c(b, '(');
    if (needs_group(n, up))
        nr_buf_put_c(b, '(');
    if (n->type == NR_STIX_OBSERVATION)
        nr_buf_put_c(b, '[');
    else if (n->type == NR_STIX_COMPARISON)
        put_comparison(b, n);
}

static void
end(struct nr_buf *b, const struct nr_stix_node *n,
    const struct nr_stix_node *up)
{
    if (n->type == NR_STIX_OBSERVATION)
        nr_buf_put_c(b, ']');
    if (needs_group(n, up))
        nr_buf_put_c(b, ')');
    put_qualifiers(b, n->qualifiers);
}

void
nr_stix_pattern_print(const struct nr_stix_node *n, struct nr_buf *b)
{
    static const char *const words[] = {
        [NR_STIX_FOLLOWEDBY] = " FOLLOWEDBY ",
        [NR_STIX_OBS_OR] = " OR ",
        [NR_STIX_OBS_AND] = " AND ",
        [NR_STIX_CMP_OR] = " OR ",
        [NR_STIX_CMP_AND] = " AND ",
    };
    const struct nr_stix_node *up[DEPTH_MAX];
    size_t depth = 0;

    while (n) {
        begin(b, n, depth ? up[depth - 1] : NULL);
        if (n->child && depth < DEPTH_MAX) {
            up[depth++] = n;
            n = n->child;
            continue;
        }
        end(b, n, depth ? up[depth - 1] : NULL);
        while (depth > 0 && !n->next) {
            n = up[--depth];
            end(b, n, depth ? up[depth - 1] : NULL);
        }
        if (depth == 0)
            break;
        nr_buf_put_str(b, nr_str_of(words[up[depth - 1]->type]));
        n = n->next;
    }
}
