#include "extract/extract.h"

#include "base/buf.h"
#include "base/num.h"
#include "extract/row.h"
#include "extract/sift.h"
#include "extract/tidy.h"
#include "extract/unique.h"
#include "observable/sieve.h"

#include <stdlib.h>
#include <string.h>

#define TLDS_CACHED ((size_t)1 << 10) /* places; a power of 2 */
#define TLD_SHORT   ((size_t)8)       /* octets of a name that is cached */
#define LOOK_AHEAD  ((size_t)16)      /* tokens whose places are fetched */
#define PATHS_MAX   ((size_t)1 << 30) /* octets of the names of all files */

#define CIDRS     (1u << NR_KIND_CIDR4 | 1u << NR_KIND_CIDR6)
#define ADDRESSES (1u << NR_KIND_IPV4 | 1u << NR_KIND_IPV6)

/* The top-level domains are few: ask for each of them once. */
struct tld {
    uint64_t name; /* its octets; 0: empty */
    bool exists;
};

struct nr_extract {
    struct nr_extract_options o;
    unsigned scanned; /* bits of the kinds of token that can make a row */
    struct nr_sift sift;
    struct nr_row row;
    uint64_t piece_at; /* octets of the first line in earlier pieces */
    struct tld tlds[TLDS_CACHED];

    struct nr_unique *unique; /* NULL unless o.unique */
    struct nr_buf names;      /* of the files, each with its NUL */
    size_t *name_at;          /* owned; n_files in use */
    uint32_t n_files, cap_files;
    uint32_t *hashes; /* owned; of the tokens of a block */
    size_t cap_hashes;
};

enum nr_err
nr_extract_create(const struct nr_extract_options *o,
    struct nr_extract_sink sink, const struct nr_env *env,
    struct nr_extract **out, struct nr_diag *d)
{
    struct nr_extract *x;
    uint64_t seed = 0;

    if (o->context > NR_EXTRACT_CONTEXT)
        return nr_fail(d, NR_ELIMIT, 0,
            "extract: at most 4096 octets of context on either side");
    if (o->unique && (o->offset || o->context > 0 || o->whole_line))
        return nr_fail(d, NR_ELIMIT, 0,
            "extract: a distinct value has no offset and no context; "
            "ask for them without --unique");
    if (o->unique && env->random(env->ctx, &seed, sizeof(seed)) != NR_OK)
        return nr_fail_sys(d, "extract: no random octets");
    x = calloc(1, sizeof(*x));
    if (!x)
        return nr_fail(d, NR_ENOMEM, 0, "extract: out of memory");
    x->o = *o;
    x->scanned = o->kinds;
    if (o->kinds & CIDRS)
        x->scanned |= ADDRESSES;
    if (x->o.memory == 0)
        x->o.memory = NR_EXTRACT_MEMORY;
    nr_buf_init(&x->names, PATHS_MAX);
    if (o->unique)
        x->unique = nr_unique_create(x->o.memory, seed);
    if (nr_row_init(&x->row, &x->o, sink) != NR_OK ||
        (o->unique && !x->unique)) {
        nr_extract_destroy(x);
        return nr_fail(d, NR_ENOMEM, 0, "extract: out of memory");
    }
    *out = x;
    return NR_OK;
}

void
nr_extract_destroy(struct nr_extract *x)
{
    if (!x)
        return;
    nr_row_fini(&x->row);
    nr_unique_destroy(x->unique);
    nr_buf_fini(&x->names);
    free(x->name_at);
    free(x->hashes);
    free(x);
}

unsigned
nr_extract_scan_flags(const struct nr_extract *x, bool fangs)
{
    return nr_scan_flags_of(x->scanned, true) | (fangs ? NR_SCAN_FANGS : 0);
}

enum nr_err
nr_extract_file(struct nr_extract *x, const char *name, struct nr_diag *d)
{
    struct nr_bytes text = { (const uint8_t *)name, strlen(name) };

    x->piece_at = 0;
    if (!x->unique)
        return nr_row_file(&x->row, text, d);
    if (x->n_files == NR_EXTRACT_FILES)
        return nr_fail_name(d, NR_ELIMIT, "extract: more than 1048576 files",
            name);
    if (x->n_files == x->cap_files) {
        uint32_t cap = x->cap_files ? x->cap_files * 2 : 64;
        size_t *v = realloc(x->name_at, cap * sizeof(*v));

        if (!v)
            return nr_fail(d, NR_ENOMEM, 0, "extract: out of memory");
        x->name_at = v;
        x->cap_files = cap;
    }
    x->name_at[x->n_files++] = x->names.n;
    nr_buf_put(&x->names, text);
    nr_buf_put_c(&x->names, '\0');
    return x->names.err == NR_OK
        ? NR_OK
        : nr_fail(d, x->names.err, 0, "extract: too many names of files");
}

/* Does the last label of NAME exist as a top-level domain? */
static bool
has_known_tld(struct nr_extract *x, struct nr_bytes name)
{
    const uint8_t *end = name.p + name.n;
    uint64_t label = 0;
    struct tld *t;
    size_t n = 0;

    while (n < name.n && n < TLD_SHORT && end[-1 - (ptrdiff_t)n] != '.') {
        label = label << 8 | end[-1 - (ptrdiff_t)n];
        n++;
    }
    if (n == 0 || n == name.n || end[-1 - (ptrdiff_t)n] != '.')
        return nr_domain_has_known_tld(name);
    t = &x->tlds[(label * UINT64_C(0x9e3779b97f4a7c15)) >> 32 &
        (TLDS_CACHED - 1)];
    if (t->name != label)
        *t = (struct tld){ label, nr_domain_has_known_tld(name) };
    return t->exists;
}

/* Is the next token another, inner reading of this one? */
static bool
is_outer_reading(const struct nr_tokens *t, size_t i)
{
    const struct nr_token *a = &t->v[i], *b = a + 1;

    return i + 1 < t->n && a->kind == b->kind && a->line == b->line &&
        b->at >= a->at && b->at + b->len <= a->at + a->len &&
        (b->at == a->at || b->at + b->len == a->at + a->len);
}

static bool
is_wanted(struct nr_extract *x, const struct nr_tokens *t, size_t i)
{
    const struct nr_token *k = &t->v[i];

    return (x->scanned >> k->kind & 1) && !is_outer_reading(t, i) &&
        (k->kind != NR_KIND_DOMAIN || has_known_tld(x, nr_token_key(t, k)));
}

#define RANGE_MAX ((size_t)17) /* octets of the key of a range */

/* The prefix length behind an address whose text ends at AT: "/N", and no
 * letter, digit, '/' or '.' with more behind it. False: none. */
static bool
prefix_length(struct nr_bytes text, size_t at, unsigned *out)
{
    unsigned v = 0;
    size_t i = at + 1;

    if (at >= text.n || text.p[at] != '/')
        return false;
    for (; i < text.n && i < at + 4 && nr_is_digit(text.p[i]); i++)
        v = v * 10 + (unsigned)(text.p[i] - '0');
    *out = v;
    return i > at + 1 &&
        (i == text.n ||
            !(nr_is_digit(text.p[i]) || nr_is_alpha(text.p[i]) ||
                text.p[i] == '/' || text.p[i] == '_' ||
                (text.p[i] == '.' && i + 1 < text.n &&
                    nr_is_digit(text.p[i + 1]))));
}

static bool
has_host_bits(struct nr_bytes address, unsigned length)
{
    for (size_t i = 0; i < address.n; i++) {
        unsigned from = (unsigned)i * 8;
        unsigned mask = length >= from + 8 ? 0
            : length <= from               ? 0xff
                                           : 0xffu >> (length - from);

        if (address.p[i] & mask)
            return true;
    }
    return false;
}

/* The kind of the row for token K and its *KEY; an address that is the head of
 * a range as that range, its key in RANGE, if ranges are wanted: a port behind
 * a slash hardly ever fits the address. */
static unsigned
value_of(const struct nr_extract *x, const struct nr_block *b,
    const struct nr_tokens *t, const struct nr_token *k, struct nr_bytes *key,
    uint8_t range[RANGE_MAX])
{
    unsigned length;

    *key = nr_token_key(t, k);
    if (!(ADDRESSES >> k->kind & 1) || !(x->o.kinds & CIDRS) ||
        !prefix_length(b->text, (size_t)k->at + k->len, &length) ||
        length >= key->n * 8 || has_host_bits(*key, length))
        return k->kind;
    memcpy(range, key->p, key->n);
    range[key->n] = (uint8_t)length;
    *key = (struct nr_bytes){ range, key->n + 1 };
    return k->kind == NR_KIND_IPV4 ? NR_KIND_CIDR4 : NR_KIND_CIDR6;
}

/* The whole line that token K stands in, without its end. */
static struct nr_bytes
line_of(const struct nr_block *b, const struct nr_tokens *t,
    const struct nr_token *k)
{
    size_t at = t->line_at[k->line];
    size_t end = k->line + 1 < t->n_lines ? t->line_at[k->line + 1] : b->text.n;

    if (end > at && b->text.p[end - 1] == '\n')
        end--;
    if (end > at && b->text.p[end - 1] == '\r')
        end--;
    return nr_bytes_sub(b->text, at, end);
}

/* What of LINE, with the text at [AT, END), is shown as its context. Nothing
 * begins or ends within a UTF-8 character. */
static struct nr_bytes
context_of(const struct nr_extract_options *o, struct nr_bytes line, size_t at,
    size_t end)
{
    size_t from = at > o->context ? at - o->context : 0;
    size_t to = line.n - end > o->context ? end + o->context : line.n;

    if (o->whole_line)
        return line;
    while (from > 0 && from < at && (line.p[from] & 0xc0) == 0x80)
        from++;
    while (to < line.n && to > end && (line.p[to] & 0xc0) == 0x80)
        to--;
    return nr_bytes_sub(line, from, to);
}

static void
locate(const struct nr_extract *x, const struct nr_block *b,
    const struct nr_tokens *t, const struct nr_token *k, struct nr_place *out)
{
    size_t start = t->line_at[k->line];

    out->count = 0;
    out->line = b->first_line + k->line;
    out->column = k->at - start + 1 + (k->line == 0 ? x->piece_at : 0);
    out->offset = b->at + k->at;
    out->context = (struct nr_bytes){ 0 };
    if (x->o.whole_line || x->o.context > 0) {
        struct nr_bytes line = line_of(b, t, k);
        size_t end = nr_min(k->at + k->len - start, line.n);

        out->context = context_of(&x->o, line, nr_min(k->at - start, end), end);
    }
}

static enum nr_err
rows(struct nr_extract *x, const struct nr_block *b, const struct nr_tokens *t,
    struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (size_t i = 0; i < t->n && !err; i++) {
        const struct nr_token *k = &t->v[i];
        struct nr_place place;
        struct nr_bytes key;
        uint8_t range[RANGE_MAX];
        unsigned kind;

        if (!is_wanted(x, t, i))
            continue;
        kind = value_of(x, b, t, k, &key, range);
        if (!(x->o.kinds >> kind & 1))
            continue;
        locate(x, b, t, k, &place);
        err = nr_row_put(&x->row, kind, key, &place, d);
    }
    return err;
}

static enum nr_err
count(struct nr_extract *x, const struct nr_block *b, const struct nr_tokens *t,
    struct nr_diag *d)
{
    size_t ahead = 0;

    if (t->n > x->cap_hashes) {
        uint32_t *v = realloc(x->hashes, t->n * sizeof(*v));

        if (!v)
            return nr_fail(d, NR_ENOMEM, 0, "extract: out of memory");
        x->hashes = v;
        x->cap_hashes = t->n;
    }
    for (size_t i = 0; i < t->n; i++) {
        const struct nr_token *k = &t->v[i];
        struct nr_bytes key;
        uint8_t range[RANGE_MAX];
        unsigned kind;
        enum nr_err err;

        for (; ahead < t->n && ahead < i + LOOK_AHEAD; ahead++) {
            const struct nr_token *a = &t->v[ahead];

            if (!(x->scanned >> a->kind & 1))
                continue;
            x->hashes[ahead] = nr_unique_hash(x->unique, a->kind,
                nr_token_key(t, a));
            nr_unique_prefetch(x->unique, x->hashes[ahead]);
        }
        if (!is_wanted(x, t, i))
            continue;
        kind = value_of(x, b, t, k, &key, range);
        if (!(x->o.kinds >> kind & 1))
            continue;
        err = nr_unique_add(x->unique,
            kind == k->kind ? x->hashes[i]
                            : nr_unique_hash(x->unique, kind, key),
            kind, key, x->n_files - 1, b->first_line + k->line);
        if (err == NR_ELIMIT)
            return nr_fail(d, err, 0,
                "extract: too many distinct values for --memory; give it "
                "more, or choose --kinds");
        if (err)
            return nr_fail(d, err, 0, "extract: out of memory");
    }
    return NR_OK;
}

/* A line in pieces is scanned as it is: a place may lie on the cut. */
bool
nr_extract_part(struct nr_extract *x, const struct nr_block *b, unsigned flags,
    struct nr_extract_at *at, struct nr_block *part)
{
    size_t from, to;

    if (at->at == 0)
        nr_sift_init(&x->sift, x->scanned, flags);
    if (x->sift.how == 0 || b->continues || b->goes_on) {
        bool first = !at->done;

        at->done = true;
        *part = *b;
        return first;
    }
    if (!nr_sift_lines(&x->sift, b->text, &at->at, &from, &to))
        return false;
    at->lines += nr_count_lines(nr_bytes_sub(b->text, at->counted, from),
        x->o.cpu);
    at->counted = from;
    *part = *b;
    part->text = nr_bytes_sub(b->text, from, to);
    part->at = b->at + from;
    part->first_line = b->first_line + at->lines;
    return true;
}

enum nr_err
nr_extract_tokens(struct nr_extract *x, const struct nr_block *b,
    struct nr_tokens *t, struct nr_diag *d)
{
    enum nr_err err;

    if (!b->continues)
        x->piece_at = 0;
    if (t->flags & NR_SCAN_FANGS)
        nr_tidy(b->text, t);
    err = x->unique ? count(x, b, t, d) : rows(x, b, t, d);
    x->piece_at += b->text.n;
    return err;
}

static enum nr_err
unique_rows(struct nr_extract *x, struct nr_diag *d)
{
    static const enum nr_unique_order orders[] = {
        [NR_SORT_COUNT] = NR_UNIQUE_BY_COUNT,
        [NR_SORT_VALUE] = NR_UNIQUE_BY_VALUE,
        [NR_SORT_FIRST] = NR_UNIQUE_BY_FIRST,
    };
    enum nr_err err = nr_unique_sort(x->unique, orders[x->o.sort]);
    uint32_t file = UINT32_MAX;

    if (err)
        return nr_fail(d, err, 0, "extract: out of memory");
    for (uint32_t i = 0; i < nr_unique_n(x->unique) && !err; i++) {
        struct nr_unique_value v = nr_unique_at(x->unique, i);
        struct nr_place place = { .line = v.line, .count = v.count };

        if (v.file != file) {
            const char *name = (const char *)x->names.p + x->name_at[v.file];

            file = v.file;
            err = nr_row_file(&x->row,
                (struct nr_bytes){ (const uint8_t *)name, strlen(name) }, d);
        }
        if (!err)
            err = nr_row_put(&x->row, v.kind, v.key, &place, d);
    }
    return err;
}

enum nr_err
nr_extract_finish(struct nr_extract *x, struct nr_diag *d)
{
    enum nr_err err = x->unique ? unique_rows(x, d) : NR_OK;

    return err ? err : nr_row_flush(&x->row, d);
}
