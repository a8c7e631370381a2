#include "observable/sieve_try.h"

#include <stdlib.h>
#include <string.h>

#define VARIANTS_MAX ((size_t)3)
#define OPTIONS_MAX  ((size_t)2)

struct try_list {
    struct nr_buf keys;
    struct nr_sieve_item *v;
    size_t n, cap, count[NR_KINDS];
    struct nr_sieve_build b;
    struct nr_sieve *sieve[VARIANTS_MAX][OPTIONS_MAX];
    size_t variants;
    struct nr_tokens tokens[OPTIONS_MAX];
    struct nr_spots spots[VARIANTS_MAX];
};

/* Options of the sieve and of the scanner that belong together. */
static const struct {
    unsigned sieve, scan;
} options[OPTIONS_MAX] = {
    { 0, NR_SCAN_IDN },
    { NR_SIEVE_FANGS | NR_SIEVE_URL_PREFIX,
        NR_SCAN_IDN | NR_SCAN_FANGS | NR_SCAN_URL_BARE | NR_SCAN_URL_PREFIX },
};

static void *
must(void *p)
{
    if (!p)
        abort();
    return p;
}

/* Index of the item, or l->n. */
static size_t
find(const struct try_list *l, unsigned kind, struct nr_bytes key)
{
    uint64_t h = nr_sieve_hash(&l->b.key, (enum nr_kind)kind, key);
    struct nr_sieve_find f = nr_sieve_find(l->b.slots, l->b.n.slots_n, h);
    uint32_t i;

    while (nr_sieve_next(l->b.slots, l->b.n.slots_n, &f, &i))
        if (l->v[i].kind == kind && nr_bytes_eq(l->v[i].key, key))
            return i;
    return l->n;
}

static bool
is_known(const struct try_list *l, unsigned kind, struct nr_bytes key)
{
    size_t at = 0;

    for (size_t i = 0; i < l->n; i++) {
        struct nr_bytes k = { l->keys.p + at, l->v[i].key.n };

        at += k.n;
        if (l->v[i].kind == kind && nr_bytes_eq(k, key))
            return true;
    }
    return false;
}

static void
add_line(struct try_list *l, struct nr_str line)
{
    struct nr_str value, name = nr_str_cut(line, '\t', &value);
    size_t at = l->keys.n;
    enum nr_kind kind;
    struct nr_bytes key;

    if (line.n == 0 || line.p[0] == '#' ||
        nr_canon_named(name, value, &kind, &l->keys, NULL) != NR_OK)
        return;
    key = nr_bytes_sub(nr_buf_bytes(&l->keys), at, l->keys.n);
    if (l->n < 4096 && is_known(l, (unsigned)kind, key)) {
        l->keys.n = at;
        return;
    }
    if (l->n == l->cap) {
        l->cap = l->cap * 2 + 1024;
        l->v = must(realloc(l->v, l->cap * sizeof(*l->v)));
    }
    l->v[l->n] = (struct nr_sieve_item){ { NULL, key.n }, (uint32_t)kind,
        (uint32_t)l->n, 0 };
    l->count[kind]++;
    l->n++;
}

struct nr_sieve_set
try_list_set(const struct try_list *l)
{
    return (struct nr_sieve_set){
        .key = l->b.key,
        .marks = l->b.marks,
        .filter = l->b.filter,
        .slots = l->b.slots,
        .nets = l->b.nets,
        .filter_n = l->b.n.filter_n,
        .slots_n = l->b.n.slots_n,
        .nets_n = l->b.n.nets_n,
    };
}

static void
make_sieves(struct try_list *l, unsigned cpu)
{
    struct nr_sieve_set set = try_list_set(l);

    for (unsigned use = 0;; use = use << 1 | 1) {
        for (size_t o = 0; o < OPTIONS_MAX; o++)
            if (nr_sieve_create(&set, 1, options[o].sieve, cpu & use,
                    &l->sieve[l->variants][o], NULL) != NR_OK)
                abort();
        /* Bits that this machine has not give the same variant again. */
        if (l->variants == 0 ||
            strcmp(nr_sieve_variant(l->sieve[l->variants][0]),
                nr_sieve_variant(l->sieve[l->variants - 1][0])) != 0)
            l->variants++;
        else
            for (size_t o = 0; o < OPTIONS_MAX; o++)
                nr_sieve_destroy(l->sieve[l->variants][o]);
        if ((cpu & ~use) == 0 || l->variants == VARIANTS_MAX)
            return;
    }
}

struct try_list *
try_list_create(struct nr_str text)
{
    struct try_list *l = must(calloc(1, sizeof(*l)));
    struct nr_str line, rest = text;
    size_t at = 0;

    nr_buf_init(&l->keys, (size_t)1 << 30);
    while (rest.n > 0) {
        line = nr_str_cut(rest, '\n', &rest);
        add_line(l, line);
    }
    for (size_t i = 0; i < l->n; i++) {
        l->v[i].key.p = l->keys.p + at;
        at += l->v[i].key.n;
    }
    l->b.key = (struct nr_sieve_key){ { 0x0123456789abcdef,
        0xfedcba9876543210 } };
    l->b.n = nr_sieve_sizes(l->count);
    l->b.filter = must(calloc(l->b.n.filter_n, sizeof(*l->b.filter)));
    l->b.slots = must(calloc(l->b.n.slots_n, sizeof(*l->b.slots)));
    l->b.nets = must(calloc(l->b.n.nets_n, sizeof(*l->b.nets)));
    nr_sieve_put(&l->b, l->v, l->n);
    for (size_t o = 0; o < OPTIONS_MAX; o++)
        nr_tokens_init(&l->tokens[o], options[o].scan);
    return l;
}

void
try_list_destroy(struct try_list *l)
{
    if (!l)
        return;
    for (size_t i = 0; i < l->variants; i++) {
        nr_spots_fini(&l->spots[i]);
        for (size_t o = 0; o < OPTIONS_MAX; o++)
            nr_sieve_destroy(l->sieve[i][o]);
    }
    for (size_t o = 0; o < OPTIONS_MAX; o++)
        nr_tokens_fini(&l->tokens[o]);
    free(l->b.filter);
    free(l->b.slots);
    free(l->b.nets);
    free(l->v);
    nr_buf_fini(&l->keys);
    free(l);
}

/* --- what matches, without any sieve --- */

static bool
in_ranges(const struct try_list *l, unsigned kind, struct nr_bytes addr)
{
    uint8_t key[17];

    if (!(l->b.marks.kinds >> kind & 1))
        return false;
    memcpy(key, addr.p, addr.n);
    for (size_t len = addr.n * 8;; len--) {
        key[addr.n] = (uint8_t)len;
        if (find(l, kind, (struct nr_bytes){ key, addr.n + 1 }) < l->n)
            return true;
        if (len == 0)
            return false;
        key[(len - 1) / 8] &= (uint8_t) ~(0x80 >> ((len - 1) % 8));
    }
}

static bool
matches(const struct try_list *l, unsigned kind, struct nr_bytes key)
{
    bool found = find(l, kind, key) < l->n;

    if (kind == NR_KIND_IPV4)
        found = found || in_ranges(l, NR_KIND_CIDR4, key);
    if (kind == NR_KIND_IPV6)
        found = found || in_ranges(l, NR_KIND_CIDR6, key);
    if (kind == NR_KIND_URL && nr_bytes_starts(key, NR_BYTES("http://")))
        found = found || find(l, kind, nr_bytes_sub(key, 5, key.n)) < l->n;
    if (kind == NR_KIND_URL && nr_bytes_starts(key, NR_BYTES("https://")))
        found = found || find(l, kind, nr_bytes_sub(key, 6, key.n)) < l->n;
    while (!found && kind == NR_KIND_DOMAIN && nr_domain_up(&key))
        found = find(l, kind, key) < l->n;
    return found;
}

static const char *
complete(const struct try_list *l, const struct nr_tokens *t,
    const struct nr_spots *s, struct nr_bytes block, struct try_seen *seen)
{
    size_t at = 0, last = SIZE_MAX;

    for (size_t i = 0; i < t->n; i++) {
        const struct nr_token *k = &t->v[i];
        size_t from = t->line_at[k->line];
        size_t to = k->line + 1 < t->n_lines ? t->line_at[k->line + 1]
                                             : block.n;

        if (k->line == last || !matches(l, k->kind, nr_token_key(t, k)))
            continue;
        last = k->line;
        while (at < s->n && s->v[at] < from)
            at++;
        if (at == s->n || s->v[at] >= to) {
            seen->line = nr_bytes_sub(block, from, to);
            seen->text = nr_bytes_sub(block, k->at, k->at + k->len);
            seen->kind = k->kind;
            return "a line with a match has no spot";
        }
        seen->lines++;
    }
    return NULL;
}

static const char *
ordered(const struct nr_spots *s, size_t n)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->v[i] >= n || (i > 0 && s->v[i] <= s->v[i - 1]))
            return "spots are not ascending, or outside";
    return NULL;
}

const char *
try_block(const struct try_list *cl, struct nr_bytes block, unsigned cpu,
    struct try_seen *seen)
{
    struct try_list *l = (struct try_list *)(uintptr_t)cl;
    const char *wrong = NULL;

    if (l->variants == 0)
        make_sieves(l, cpu);
    for (size_t o = 0; o < OPTIONS_MAX && !wrong; o++) {
        if (nr_scan(block, &l->tokens[o]) != NR_OK)
            abort();
        for (size_t i = 0; i < l->variants && !wrong; i++) {
            const struct nr_spots *a = &l->spots[0], *b = &l->spots[i];

            if (nr_sieve_run(l->sieve[i][o], block, &l->spots[i]) != NR_OK)
                abort();
            if (a->n != b->n ||
                (a->n && memcmp(a->v, b->v, a->n * sizeof(*a->v)) != 0))
                wrong = nr_sieve_variant(l->sieve[i][o]);
        }
        if (!wrong)
            wrong = ordered(&l->spots[0], block.n);
        if (!wrong)
            wrong = complete(l, &l->tokens[o], &l->spots[0], block, seen);
    }
    return wrong;
}
