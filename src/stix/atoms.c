/*
 * What a watchlist can hold of a pattern. An atom must fulfil the pattern by
 * itself, so only OR may stand between it and the root; every other part is
 * named in the rest, with its place.
 */
#include "stix/stix.h"

struct taker {
    struct nr_arena *a;
    struct nr_stix_atom *v;
    struct nr_stix_unmatched *rest;
    size_t n, cap, n_rest, cap_rest;
    bool failed;
};

enum meaning { ADDRESS4, ADDRESS6, ANY_ADDRESS, FIXED, BY_LENGTH, WALLET };

static const struct {
    struct nr_str path;
    enum meaning meaning;
    enum nr_kind kind;
} paths[] = {

#define PATH(p, m, k)              \
    {                              \
        { p, sizeof(p) - 1 }, m, k \
    }
    PATH("ipv4-addr:value", ADDRESS4, NR_KIND_IPV4),
    PATH("ipv6-addr:value", ADDRESS6, NR_KIND_IPV6),
    PATH("domain-name:value", FIXED, NR_KIND_DOMAIN),
    PATH("url:value", FIXED, NR_KIND_URL),
    PATH("email-addr:value", FIXED, NR_KIND_EMAIL),
    PATH("email-message:from_ref.value", FIXED, NR_KIND_EMAIL),
    PATH("email-message:sender_ref.value", FIXED, NR_KIND_EMAIL),
    PATH("email-message:to_refs[*].value", FIXED, NR_KIND_EMAIL),
    PATH("email-message:cc_refs[*].value", FIXED, NR_KIND_EMAIL),
    PATH("email-message:bcc_refs[*].value", FIXED, NR_KIND_EMAIL),
    PATH("network-traffic:dst_ref.value", ANY_ADDRESS, NR_KIND_IPV4),
    PATH("network-traffic:src_ref.value", ANY_ADDRESS, NR_KIND_IPV4),
    PATH("file:hashes.MD5", FIXED, NR_KIND_MD5),
    PATH("file:hashes.'SHA-1'", FIXED, NR_KIND_SHA1),
    PATH("file:hashes.SHA1", FIXED, NR_KIND_SHA1),
    PATH("file:hashes.'SHA-256'", FIXED, NR_KIND_SHA256),
    PATH("file:hashes.SHA256", FIXED, NR_KIND_SHA256),
    PATH("file:hashes.'SHA-512'", FIXED, NR_KIND_SHA512),
    PATH("file:hashes.SHA512", FIXED, NR_KIND_SHA512),
    /* As the OASIS examples and older exporters write them. */
    PATH("file:hashes.md5", FIXED, NR_KIND_MD5),
    PATH("file:hashes.sha1", FIXED, NR_KIND_SHA1),
    PATH("file:hashes.sha256", FIXED, NR_KIND_SHA256),
    PATH("file:hashes.sha512", FIXED, NR_KIND_SHA512),
    PATH("file:hashes[*]", BY_LENGTH, NR_KIND_MD5),
    PATH("artifact:hashes.MD5", FIXED, NR_KIND_MD5),
    PATH("artifact:hashes.'SHA-1'", FIXED, NR_KIND_SHA1),
    PATH("artifact:hashes.'SHA-256'", FIXED, NR_KIND_SHA256),
    PATH("artifact:hashes.'SHA-512'", FIXED, NR_KIND_SHA512),
    PATH("file:name", FIXED, NR_KIND_FILENAME),
    PATH("autonomous-system:number", FIXED, NR_KIND_ASN),
    PATH("vulnerability:name", FIXED, NR_KIND_CVE),
    PATH("cryptocurrency-wallet:value", WALLET, NR_KIND_WALLET_BTC),
    /* STIX has no place for these: our own object type holds them. */
    PATH("x-noroshi-observable:wallet_btc", FIXED, NR_KIND_WALLET_BTC),
    PATH("x-noroshi-observable:wallet_eth", FIXED, NR_KIND_WALLET_ETH),
    PATH("x-noroshi-observable:ja3", FIXED, NR_KIND_JA3),
    PATH("x-noroshi-observable:ja4", FIXED, NR_KIND_JA4),
#undef PATH
};

static void *
grow(struct taker *t, const void *old, size_t size, size_t n, size_t *cap)
{
    void *v;

    *cap = *cap ? *cap * 2 : 8; /* doubling keeps the copying linear */
    v = nr_arena_alloc(t->a, size, *cap, _Alignof(max_align_t));
    if (!v)
        t->failed = true;
    else if (n > 0)
        memcpy(v, old, n * size);
    return v;
}

static void
refuse(struct taker *t, const struct nr_stix_node *n, const char *why)
{
    if (t->n_rest == t->cap_rest && !t->failed) {
        struct nr_stix_unmatched *v = grow(t, t->rest, sizeof(*v), t->n_rest,
            &t->cap_rest);

        t->rest = v ? v : t->rest;
    }
    if (!t->failed)
        t->rest[t->n_rest++] = (struct nr_stix_unmatched){ why, n->at };
}

static void
take(struct taker *t, const struct nr_stix_node *n, enum nr_kind kind,
    struct nr_str value)
{
    if (t->n == t->cap && !t->failed) {
        struct nr_stix_atom *v = grow(t, t->v, sizeof(*v), t->n, &t->cap);

        t->v = v ? v : t->v;
    }
    if (!t->failed)
        t->v[t->n++] = (struct nr_stix_atom){ kind, value, n->at };
}

/* The path as in the table above: quotes where a name needs them. */
static bool
path_is(const struct nr_stix_node *n, struct nr_str want)
{
    struct nr_str rest;

    if (!nr_str_eq(nr_str_cut(want, ':', &rest), n->object_type))
        return false;
    for (const struct nr_stix_step *s = n->path; s; s = s->next) {
        struct nr_bytes b = nr_bytes_of(rest);
        bool quote = rest.n > 0 && rest.p[0] == '\'';
        size_t skip;

        if (s->is_index) {
            if (!s->any || !nr_bytes_starts(b, NR_BYTES("[*]")))
                return false;
            skip = 3;
        } else {
            b = nr_bytes_sub(b, quote, b.n);
            if (!nr_bytes_starts(b, nr_bytes_of(s->name)))
                return false;
            skip = s->name.n + (quote ? 2 : 0);
        }
        if (skip > rest.n)
            return false;
        rest.p += skip;
        rest.n -= skip;
        if (rest.n > 0 && rest.p[0] == '.') {
            rest.p++;
            rest.n--;
        } else if (rest.n > 0 && rest.p[0] != '[') {
            return false;
        }
    }
    return rest.n == 0;
}

static bool
ends_with(struct nr_str s, struct nr_str tail)
{
    return s.n >= tail.n && memcmp(s.p + s.n - tail.n, tail.p, tail.n) == 0;
}

/* An address, a range, or a range of one address. */
static void
take_address(struct taker *t, const struct nr_stix_node *n, bool six,
    struct nr_str value)
{
    struct nr_str all = six ? NR_STR("/128") : NR_STR("/32");

    if (ends_with(value, all))
        value.n -= all.n;
    if (memchr(value.p, '/', value.n))
        take(t, n, six ? NR_KIND_CIDR6 : NR_KIND_CIDR4, value);
    else
        take(t, n, six ? NR_KIND_IPV6 : NR_KIND_IPV4, value);
}

/* The peer of traffic is an address or a domain name. */
static void
take_peer(struct taker *t, const struct nr_stix_node *n, struct nr_str value)
{
    bool letters = false;

    for (size_t i = 0; i < value.n; i++)
        letters |= nr_is_alpha((uint8_t)value.p[i]);
    if (value.n > 0 && memchr(value.p, ':', value.n))
        take_address(t, n, true, value);
    else if (letters)
        take(t, n, NR_KIND_DOMAIN, value);
    else
        take_address(t, n, false, value);
}

static void
take_hash(struct taker *t, const struct nr_stix_node *n, struct nr_str value)
{
    static const struct {
        size_t n;
        enum nr_kind kind;
    } kinds[] = {
        { 32, NR_KIND_MD5 },
        { 40, NR_KIND_SHA1 },
        { 64, NR_KIND_SHA256 },
        { 128, NR_KIND_SHA512 },
    };

    for (size_t i = 0; i < sizeof(kinds) / sizeof(*kinds); i++) {
        if (kinds[i].n == value.n) {
            take(t, n, kinds[i].kind, value);
            return;
        }
    }
    refuse(t, n, "hash of an algorithm that logs do not show");
}

static void
take_value(struct taker *t, const struct nr_stix_node *n, size_t row,
    const struct nr_stix_const *c)
{
    bool number = paths[row].kind == NR_KIND_ASN;

    if (c->type != (number ? NR_STIX_INTEGER : NR_STIX_STRING) ||
        c->text.n == 0) {
        refuse(t, n, "constant of a type that this property does not have");
        return;
    }
    switch (paths[row].meaning) {
    case ADDRESS4:
    case ADDRESS6:
        take_address(t, n, paths[row].meaning == ADDRESS6, c->text);
        break;
    case ANY_ADDRESS:
        take_peer(t, n, c->text);
        break;
    case BY_LENGTH:
        take_hash(t, n, c->text);
        break;
    case WALLET:
        take(t, n,
            nr_bytes_starts(nr_bytes_of(c->text), NR_BYTES("0x"))
                ? NR_KIND_WALLET_ETH
                : NR_KIND_WALLET_BTC,
            c->text);
        break;
    case FIXED:
        take(t, n, paths[row].kind, c->text);
        break;
    }
}

static const char *
operator_refused(const struct nr_stix_node *n, size_t row)
{
    static const char *const why[] = {
        [NR_STIX_NEQ] = "operator !=",
        [NR_STIX_GT] = "operator >",
        [NR_STIX_LT] = "operator <",
        [NR_STIX_GE] = "operator >=",
        [NR_STIX_LE] = "operator <=",
        [NR_STIX_LIKE] = "operator LIKE",
        [NR_STIX_MATCHES] = "operator MATCHES",
        [NR_STIX_ISSUBSET] = "operator ISSUBSET on what is no address",
        [NR_STIX_ISSUPERSET] = "operator ISSUPERSET",
        [NR_STIX_EXISTS] = "operator EXISTS",
    };

    if (n->negated)
        return "operator NOT";
    if (n->op == NR_STIX_ISSUBSET && paths[row].meaning <= ANY_ADDRESS)
        return NULL;
    return why[n->op]; /* NULL for = and IN */
}

static void
take_comparison(struct taker *t, const struct nr_stix_node *n)
{
    size_t row = 0, rows = sizeof(paths) / sizeof(*paths);
    const char *why;

    while (row < rows && !path_is(n, paths[row].path))
        row++;
    if (row == rows) {
        refuse(t, n, "property that a watchlist cannot hold");
        return;
    }
    why = operator_refused(n, row);
    if (why)
        refuse(t, n, why);
    else if (!n->value)
        refuse(t, n, "empty set");
    else
        for (const struct nr_stix_const *c = n->value; c; c = c->next)
            take_value(t, n, row, c);
}

/* What stands inside [ ]: one comparison, or several joined by OR. */
static void
take_observation(struct taker *t, const struct nr_stix_node *o)
{
    const struct nr_stix_node *n = o->child;

    if (o->qualifiers) {
        refuse(t, o, "qualifier WITHIN, REPEATS or START");
        return;
    }
    for (n = n->type == NR_STIX_CMP_OR ? n->child : n; n; n = n->next) {
        if (n->type == NR_STIX_CMP_AND)
            refuse(t, n, "comparisons joined by AND");
        else
            take_comparison(t, n);
    }
}

enum nr_err
nr_stix_pattern_atoms(struct nr_arena *a, const struct nr_stix_node *pattern,
    struct nr_stix_atoms *out, struct nr_diag *d)
{
    struct taker t = { .a = a };
    const struct nr_stix_node *n = pattern;

    if (n->type == NR_STIX_OBS_OR && !n->qualifiers)
        n = n->child;
    for (; n && !t.failed; n = n->next) {
        if (n->type == NR_STIX_OBSERVATION)
            take_observation(&t, n);
        else if (n->qualifiers)
            refuse(&t, n, "qualifier WITHIN, REPEATS or START");
        else if (n->type == NR_STIX_OBS_AND)
            refuse(&t, n, "observations joined by AND");
        else
            refuse(&t, n, "observations joined by FOLLOWEDBY");
    }
    if (t.failed)
        return nr_fail(d, NR_ENOMEM, 0, "pattern: out of memory");
    *out = (struct nr_stix_atoms){
        .v = t.v,
        .n = t.n,
        .rest = t.rest,
        .n_rest = t.n_rest,
    };
    return NR_OK;
}

bool
nr_stix_pattern_of(enum nr_kind kind, struct nr_str value, struct nr_buf *out)
{
    static const char *const of[NR_KINDS] = {
        [NR_KIND_IPV4] = "ipv4-addr:value",
        [NR_KIND_CIDR4] = "ipv4-addr:value",
        [NR_KIND_CIDR6] = "ipv6-addr:value",
        [NR_KIND_IPV6] = "ipv6-addr:value",
        [NR_KIND_DOMAIN] = "domain-name:value",
        [NR_KIND_URL] = "url:value",
        [NR_KIND_EMAIL] = "email-addr:value",
        [NR_KIND_MD5] = "file:hashes.MD5",
        [NR_KIND_SHA1] = "file:hashes.'SHA-1'",
        [NR_KIND_SHA256] = "file:hashes.'SHA-256'",
        [NR_KIND_SHA512] = "file:hashes.'SHA-512'",
        [NR_KIND_WALLET_BTC] = "x-noroshi-observable:wallet_btc",
        [NR_KIND_WALLET_ETH] = "x-noroshi-observable:wallet_eth",
        [NR_KIND_JA3] = "x-noroshi-observable:ja3",
        [NR_KIND_JA4] = "x-noroshi-observable:ja4",
        [NR_KIND_FILENAME] = "file:name",
        [NR_KIND_CVE] = "vulnerability:name",
        [NR_KIND_ASN] = "autonomous-system:number",
    };
    bool range = kind == NR_KIND_CIDR4 || kind == NR_KIND_CIDR6;

    if ((unsigned)kind >= NR_KINDS || !of[kind])
        return false;
    nr_buf_printf(out, "[%s %s ", of[kind], range ? "ISSUBSET" : "=");
    if (kind == NR_KIND_ASN) {
        if (value.n > 2 && nr_is_alpha((uint8_t)value.p[0])) /* "AS64496" */
            value = (struct nr_str){ value.p + 2, value.n - 2 };
        nr_buf_printf(out, "%.*s]", NR_FMT(value));
        return true;
    }
    nr_buf_put_c(out, '\'');
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\'' || value.p[i] == '\\')
            nr_buf_put_c(out, '\\');
        nr_buf_put_c(out, value.p[i]);
    }
    nr_buf_put_str(out, NR_STR("']"));
    return true;
}
