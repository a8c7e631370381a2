/*
 * The builder: one node a value, found by (kind, key), with its claims behind
 * it; texts that come again and again (sources, references) stand once.
 */
#include "base/arena.h"
#include "base/date.h"
#include "base/file.h"
#include "base/num.h"
#include "base/table.h"
#include "watchlist/format.h"
#include "watchlist/watchlist.h"

#include <stdlib.h>
#include <string.h>

/* A builder's memory and a list's file: enough for NR_WATCHLIST_MAX. */
#define BUILD_MAX ((size_t)32 << 30)

struct claim {
    struct claim *next;
    struct nr_wl_claim rec;
};

struct node {
    struct nr_wl_entry rec;
    struct claim *claims, *last;
};

struct nr_watchlist_builder {
    struct nr_arena arena;
    struct nr_table values; /* kind octet and key -> index of node */
    struct nr_table texts;  /* text -> offset in text */
    struct nr_buf text;
    struct node **nodes; /* owned array of arena-owned nodes */
    size_t n, cap, n_claims;
    uint64_t seed;
};

struct nr_watchlist_builder *
nr_watchlist_builder_create(uint64_t seed)
{
    struct nr_watchlist_builder *b = calloc(1, sizeof(*b));

    if (!b)
        return NULL;
    nr_arena_init(&b->arena, BUILD_MAX);
    nr_table_init(&b->values, seed);
    nr_table_init(&b->texts, seed);
    nr_buf_init(&b->text, BUILD_MAX);
    b->seed = seed;
    return b;
}

void
nr_watchlist_builder_destroy(struct nr_watchlist_builder *b)
{
    if (!b)
        return;
    nr_arena_fini(&b->arena);
    nr_table_fini(&b->values);
    nr_table_fini(&b->texts);
    nr_buf_fini(&b->text);
    free(b->nodes);
    free(b);
}

size_t
nr_watchlist_builder_count(const struct nr_watchlist_builder *b)
{
    return b->n;
}

static enum nr_err
no_memory(struct nr_diag *d)
{
    return nr_fail(d, NR_ENOMEM, 0, "watchlist: out of memory");
}

/* Offset of S in the text section, put there the first time. */
static enum nr_err
intern(struct nr_watchlist_builder *b, struct nr_str s, uint64_t *at,
    uint32_t *n)
{
    const uint64_t *known;
    uint8_t *copy;

    *at = 0;
    *n = (uint32_t)s.n;
    if (s.n == 0)
        return NR_OK;
    known = nr_table_get(&b->texts, nr_bytes_of(s));
    if (known) {
        *at = *known;
        return NR_OK;
    }
    copy = nr_new(&b->arena, uint8_t, s.n);
    if (!copy)
        return NR_ENOMEM;
    memcpy(copy, s.p, s.n);
    *at = b->text.n;
    nr_buf_put_str(&b->text, s);
    if (b->text.err != NR_OK)
        return NR_ENOMEM;
    return nr_table_put(&b->texts, (struct nr_bytes){ copy, s.n }, *at, NULL)
        ? NR_OK
        : NR_ENOMEM;
}

static bool
same_text(const struct nr_watchlist_builder *b, uint64_t at, uint32_t n,
    struct nr_str s)
{
    return n == s.n && (n == 0 || memcmp(b->text.p + at, s.p, n) == 0);
}

static bool
has_claim(const struct nr_watchlist_builder *b, const struct node *node,
    const struct nr_claim *c)
{
    for (const struct claim *k = node->claims; k; k = k->next)
        if (same_text(b, k->rec.id_at, k->rec.id_n, c->id) &&
            same_text(b, k->rec.source_at, k->rec.source_n, c->source) &&
            same_text(b, k->rec.reference_at, k->rec.reference_n, c->reference))
            return true;
    return false;
}

static enum nr_err
add_claim(struct nr_watchlist_builder *b, struct node *node,
    const struct nr_claim *c)
{
    struct claim *k;
    enum nr_err err;

    if (has_claim(b, node, c))
        return NR_OK;
    k = nr_new(&b->arena, struct claim, 1);
    if (!k)
        return NR_ENOMEM;
    k->rec.date_s = c->date_s;
    err = intern(b, c->id, &k->rec.id_at, &k->rec.id_n);
    if (err == NR_OK)
        err = intern(b, c->source, &k->rec.source_at, &k->rec.source_n);
    if (err == NR_OK)
        err = intern(b, c->reference, &k->rec.reference_at,
            &k->rec.reference_n);
    if (err != NR_OK)
        return err;
    if (node->last)
        node->last->next = k;
    else
        node->claims = k;
    node->last = k;
    node->rec.claim_n++;
    b->n_claims++;
    return NR_OK;
}

/* Key and text of a new node. A text that is the key (or its tail, as of a URL
 * without scheme) is not written twice. */
static enum nr_err
put_value(struct nr_watchlist_builder *b, struct node *node,
    const struct nr_indicator *i)
{
    struct nr_buf value;
    struct nr_bytes v;

    nr_buf_init(&value, NR_KEY_MAX * 2);
    nr_canon_print(i->kind, i->key, &value);
    v = nr_buf_bytes(&value);
    node->rec.key_at = b->text.n;
    node->rec.key_n = (uint32_t)i->key.n;
    nr_buf_put(&b->text, i->key);
    node->rec.value_n = (uint32_t)v.n;
    if (v.n <= i->key.n && memcmp(i->key.p + (i->key.n - v.n), v.p, v.n) == 0) {
        node->rec.value_at = b->text.n - v.n;
    } else {
        node->rec.value_at = b->text.n;
        nr_buf_put(&b->text, v);
    }
    nr_buf_fini(&value);
    return b->text.err == NR_OK && value.err == NR_OK ? NR_OK : NR_ENOMEM;
}

static enum nr_err
new_node(struct nr_watchlist_builder *b, const struct nr_indicator *i,
    struct node **out)
{
    struct node *node = nr_new(&b->arena, struct node, 1);
    enum nr_err err;

    if (!node)
        return NR_ENOMEM;
    if (b->n == b->cap) {
        size_t cap = b->cap ? b->cap * 2 : 256, octets;
        struct node **v = nr_mul(cap, sizeof(*v), &octets)
            ? realloc(b->nodes, octets)
            : NULL;

        if (!v)
            return NR_ENOMEM;
        b->nodes = v;
        b->cap = cap;
    }
    node->rec.kind = (uint8_t)i->kind;
    node->rec.valid_from_s = i->valid_from_s;
    node->rec.valid_until_s = i->valid_until_s;
    node->rec.first_seen_s = i->first_seen_s;
    node->rec.last_seen_s = i->last_seen_s;
    err = put_value(b, node, i);
    if (err == NR_OK)
        *out = node;
    return err;
}

static int64_t
earlier(int64_t a, int64_t b)
{
    if (a == NR_TIME_NONE || b == NR_TIME_NONE)
        return a == NR_TIME_NONE ? b : a;
    return a < b ? a : b;
}

static int64_t
later(int64_t a, int64_t b)
{
    return a > b ? a : b; /* NR_TIME_NONE is the least */
}

static enum nr_err
merge(struct nr_watchlist_builder *b, struct node *node,
    const struct nr_indicator *i)
{
    struct nr_wl_entry *r = &node->rec;

    r->valid_from_s = earlier(r->valid_from_s, i->valid_from_s);
    if (r->valid_until_s == NR_TIME_NONE || i->valid_until_s == NR_TIME_NONE)
        r->valid_until_s = NR_TIME_NONE; /* open for one is open */
    else
        r->valid_until_s = later(r->valid_until_s, i->valid_until_s);
    r->first_seen_s = earlier(r->first_seen_s, i->first_seen_s);
    r->last_seen_s = later(r->last_seen_s, i->last_seen_s);
    if (i->tlp > r->tlp)
        r->tlp = i->tlp;
    if (i->pap > r->pap)
        r->pap = i->pap;
    if (r->role == NR_ROLE_UNKNOWN)
        r->role = i->role;
    if (r->warn_n == 0)
        return intern(b, i->warn, &r->warn_at, &r->warn_n);
    return NR_OK;
}

static enum nr_err
check(const struct nr_watchlist_builder *b, const struct nr_indicator *i,
    struct nr_diag *d)
{
    const struct nr_str texts[] = { i->said.id, i->said.source,
        i->said.reference, i->warn };

    if (!nr_key_is_sound((unsigned)i->kind, i->key) || i->tlp > 5 ||
        i->pap > 4 || i->role > NR_ROLE_CONTEXTUAL)
        return nr_fail(d, NR_EFORMAT, 0, "watchlist: not canonical");
    if (b->n >= NR_WATCHLIST_MAX)
        return nr_fail(d, NR_ELIMIT, 0,
            "watchlist: more than 50000000 indicators");
    for (size_t k = 0; k < sizeof(texts) / sizeof(*texts); k++)
        if (texts[k].n > NR_WATCHLIST_TEXT_MAX)
            return nr_fail(d, NR_ELIMIT, 0,
                "watchlist: a text of more than 65535 octets");
    return NR_OK;
}

enum nr_err
nr_watchlist_add(struct nr_watchlist_builder *b, const struct nr_indicator *i,
    struct nr_diag *d)
{
    enum nr_err err = check(b, i, d);
    struct node *node = NULL;
    uint8_t kind_key[1 + NR_KEY_MAX], *owned = NULL;
    struct nr_bytes k = { kind_key, 1 + i->key.n };
    const uint64_t *known;

    if (err != NR_OK)
        return err;
    kind_key[0] = (uint8_t)i->kind;
    memcpy(kind_key + 1, i->key.p, i->key.n);
    known = nr_table_get(&b->values, k);
    if (known) {
        node = b->nodes[*known];
    } else {
        owned = nr_new(&b->arena, uint8_t, k.n);
        if (!owned || new_node(b, i, &node) != NR_OK)
            return no_memory(d);
        memcpy(owned, k.p, k.n);
    }
    if (merge(b, node, i) != NR_OK || add_claim(b, node, &i->said) != NR_OK)
        return no_memory(d);
    if (!known) {
        if (!nr_table_put(&b->values, (struct nr_bytes){ owned, k.n }, b->n,
                NULL))
            return no_memory(d);
        b->nodes[b->n++] = node;
    }
    return NR_OK;
}

/* --- the file --- */

static struct nr_wl_section
begin(struct nr_buf *out, uint64_t n)
{
    while (out->n % 8 != 0 && out->err == NR_OK)
        nr_buf_put_c(out, '\0');
    return (struct nr_wl_section){ .at = out->n, .n = n };
}

static uint64_t
power_of_2_from(uint64_t n)
{
    uint64_t p = 1;

    while (p < n)
        p *= 2;
    return p;
}

static void
put_entries(struct nr_watchlist_builder *b, struct nr_buf *out)
{
    uint64_t claim_at = 0;

    for (size_t i = 0; i < b->n; i++) {
        b->nodes[i]->rec.claim_at = claim_at;
        claim_at += b->nodes[i]->rec.claim_n;
        nr_buf_put(out,
            (struct nr_bytes){ (const uint8_t *)&b->nodes[i]->rec,
                sizeof(b->nodes[i]->rec) });
    }
}

static void
put_claims(const struct nr_watchlist_builder *b, struct nr_buf *out)
{
    for (size_t i = 0; i < b->n; i++)
        for (const struct claim *c = b->nodes[i]->claims; c; c = c->next)
            nr_buf_put(out,
                (struct nr_bytes){ (const uint8_t *)&c->rec, sizeof(c->rec) });
}

static enum nr_err
put_index(const struct nr_watchlist_builder *b, struct nr_wl_head *h,
    struct nr_buf *out)
{
    size_t n_slots = power_of_2_from(nr_max(8, 2 * b->n));
    size_t n_words = power_of_2_from(nr_max(1, b->n / 4));
    struct nr_wl_slot *slots = calloc(n_slots, sizeof(*slots));
    uint64_t *words = calloc(n_words, sizeof(*words));
    enum nr_err err = slots && words ? NR_OK : NR_ENOMEM;

    for (size_t i = 0; err == NR_OK && i < b->n; i++) {
        const struct nr_wl_entry *e = &b->nodes[i]->rec;
        uint64_t hash = nr_wl_hash(b->seed, e->kind,
            (struct nr_bytes){ b->text.p + e->key_at, e->key_n });
        uint64_t s = hash & (n_slots - 1);

        while (slots[s].index != 0)
            s = (s + 1) & (n_slots - 1);
        slots[s] = (struct nr_wl_slot){ (uint32_t)(hash >> 32),
            (uint32_t)i + 1 };
        words[hash & (n_words - 1)] |= nr_wl_filter_bits(hash);
    }
    if (err == NR_OK) {
        h->slots = begin(out, n_slots);
        nr_buf_put(out,
            (struct nr_bytes){ (const uint8_t *)slots,
                n_slots * sizeof(*slots) });
        h->filter = begin(out, n_words);
        nr_buf_put(out,
            (struct nr_bytes){ (const uint8_t *)words,
                n_words * sizeof(*words) });
    }
    free(slots);
    free(words);
    return err;
}

static enum nr_err
encode(struct nr_watchlist_builder *b, int64_t created_s, struct nr_buf *out,
    struct nr_diag *d)
{
    struct nr_wl_head h = {
        .magic = { 'N', 'R', 'W', 'L' },
        .version = NR_WL_VERSION,
        .head_n = sizeof(h),
        .endian = NR_WL_ENDIAN,
        .created_s = created_s,
        .seed = b->seed,
    };
    struct nr_bytes head = { (const uint8_t *)&h, sizeof(h) };

    nr_buf_put(out, head);
    h.entries = begin(out, b->n);
    put_entries(b, out);
    h.claims = begin(out, b->n_claims);
    put_claims(b, out);
    if (put_index(b, &h, out) != NR_OK)
        return no_memory(d);
    h.text = begin(out, b->text.n);
    nr_buf_put(out, nr_buf_bytes(&b->text));
    if (out->err != NR_OK)
        return no_memory(d);
    h.size = out->n;
    memcpy(out->p, &h, sizeof(h));
    h.checksum = nr_wl_checksum(nr_buf_bytes(out));
    memcpy(out->p, &h, sizeof(h));
    return NR_OK;
}

enum nr_err
nr_watchlist_write(struct nr_watchlist_builder *b, const char *path,
    int64_t created_s, struct nr_diag *d)
{
    struct nr_buf file;
    enum nr_err err;

    nr_buf_init(&file, BUILD_MAX);
    err = encode(b, created_s, &file, d);
    if (err == NR_OK)
        err = nr_file_replace(path, nr_buf_bytes(&file), 0600, d);
    nr_buf_fini(&file);
    return err;
}

enum nr_err
nr_watchlist_build(struct nr_watchlist_builder *b, int64_t created_s,
    struct nr_watchlist **out, struct nr_diag *d)
{
    struct nr_buf file;
    enum nr_err err;

    nr_buf_init(&file, BUILD_MAX);
    err = encode(b, created_s, &file, d);
    if (err == NR_OK)
        err = nr_watchlist_decode(nr_buf_bytes(&file), out, d);
    nr_buf_fini(&file);
    return err;
}
