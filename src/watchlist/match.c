/* Tokens of the scanner against a list. */
#include "watchlist/list.h"
#include "watchlist/watchlist.h"

#include "base/num.h"

#include <stdlib.h>
#include <string.h>

void
nr_matches_init(struct nr_matches *m)
{
    *m = (struct nr_matches){ 0 };
}

void
nr_matches_fini(struct nr_matches *m)
{
    free(m->v);
    *m = (struct nr_matches){ 0 };
}

_Static_assert(NR_WL_LAYERS <= NR_SIEVE_SETS_MAX, "a set a layer");

void
nr_watchlist_sieve(const struct nr_watchlist *w,
    struct nr_sieve_set sets[NR_SIEVE_SETS_MAX], size_t *n)
{
    *n = w->n_layers;
    for (size_t i = 0; i < *n; i++) {
        const struct nr_wl_layer *l = &w->layers[i];

        sets[i] = (struct nr_sieve_set){
            .key = l->head->key,
            .marks = l->head->marks,
            .filter = l->filter,
            .slots = l->slots,
            .nets = l->nets,
            .filter_n = l->n_words,
            .slots_n = l->n_slots,
            .nets_n = l->n_nets,
        };
    }
}

/* Questions whose places in memory are fetched together: the slots when they
 * come in, then the entries that slots with their tag name, then their keys. */
#define AHEAD ((size_t)32)

struct question {
    uint64_t hash;
    struct nr_bytes key;
    uint32_t kind, line, token;
    bool own; /* the key is in OCTETS */
    uint8_t octets[17];
};

struct match {
    const struct nr_watchlist *w;
    struct nr_matches *out;
    uint32_t line, token; /* of the questions to come */
    struct question asked[AHEAD];
    size_t n;
    uint32_t put_line; /* of the answers from START on */
    size_t start;
    enum nr_err err;
};

/* gcc 12's analyzer loses the array that a realloc in a loop moved, though it
 * stands in O (fini frees it; ASan agrees). */
#ifndef __clang__
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wanalyzer-malloc-leak"
#endif
static bool
make_room(struct nr_matches *o)
{
    size_t cap = o->cap ? o->cap * 2 : 256, octets;
    struct nr_match *v;

    if (o->n < o->cap)
        return true;
    v = nr_mul(cap, sizeof(*v), &octets) ? realloc(o->v, octets) : NULL;
    if (!v)
        return false;
    o->v = v;
    o->cap = cap;
    return true;
}
#ifndef __clang__
#pragma GCC diagnostic pop
#endif

static int
by_indicator(const void *a, const void *b)
{
    const struct nr_match *x = a, *y = b;

    if (x->indicator != y->indicator)
        return x->indicator < y->indicator ? -1 : 1;
    return (x->token > y->token) - (x->token < y->token);
}

static int
by_token(const void *a, const void *b)
{
    const struct nr_match *x = a, *y = b;

    if (x->token != y->token)
        return x->token < y->token ? -1 : 1;
    return (x->indicator > y->indicator) - (x->indicator < y->indicator);
}

/* The matches from START on are of one line: each indicator once, with the
 * first token that showed it. */
static void
finish_line(struct nr_matches *o, size_t start)
{
    size_t n = start;

    if (o->n - start < 2)
        return;
    qsort(o->v + start, o->n - start, sizeof(*o->v), by_indicator);
    for (size_t i = start; i < o->n; i++)
        if (i == start || o->v[i].indicator != o->v[i - 1].indicator)
            o->v[n++] = o->v[i];
    o->n = n;
    qsort(o->v + start, o->n - start, sizeof(*o->v), by_token);
}

static void
put(struct match *m, const struct question *q, size_t indicator)
{
    struct nr_matches *o = m->out;

    if (q->line != m->put_line) {
        finish_line(o, m->start);
        m->start = o->n;
        m->put_line = q->line;
    }
    if (!make_room(o)) {
        m->err = NR_ENOMEM;
        return;
    }
    o->v[o->n] = (struct nr_match){ q->line, q->token, (uint32_t)indicator };
    o->n++;
}

/* The first entry of L that slots under HASH name; false: none. */
static bool
candidate(const struct nr_wl_layer *l, uint64_t hash, uint32_t *index)
{
    struct nr_sieve_find f = nr_sieve_find(l->slots, l->n_slots, hash);

    f.left = nr_min(f.left, NR_WATCHLIST_PROBES);
    return nr_sieve_next(l->slots, l->n_slots, &f, index) && *index < l->n;
}

/* Which questions may have an answer (bits); their entries and keys are on the
 * way. */
static uint32_t
likely(const struct match *m)
{
    uint32_t yes = 0, index = 0;

    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; k < m->w->n_layers; k++)
            if (candidate(&m->w->layers[k], m->asked[i].hash, &index)) {
                __builtin_prefetch(m->w->layers[k].entries + index);
                yes |= (uint32_t)1 << i;
            }
    for (size_t i = 0; i < m->n; i++)
        for (size_t k = 0; (yes >> i & 1) && k < m->w->n_layers; k++) {
            const struct nr_wl_layer *l = &m->w->layers[k];
            struct nr_wl_entry e;
            struct nr_bytes key;

            if (candidate(l, m->asked[i].hash, &index) &&
                nr_wl_entry(l, index, &e, &key))
                __builtin_prefetch(key.p);
        }
    return yes;
}

_Static_assert(AHEAD <= 32, "bits of likely()");

static void
answer(struct match *m)
{
    uint32_t yes = likely(m);

    for (size_t i = 0; i < m->n && m->err == NR_OK; i++) {
        const struct question *q = &m->asked[i];
        struct nr_bytes key = q->key;
        size_t number;

        if (q->own)
            key.p = q->octets;
        if ((yes >> i & 1) &&
            nr_wl_find_hashed(m->w, q->hash, q->kind, key, &number, NULL))
            put(m, q, nr_wl_index_of(m->w, number));
    }
    m->n = 0;
}

/* Most names on a line are in no list, and the filter is nearer than slots. */
static bool
may_be_name(const struct match *m, uint64_t hash)
{
    for (size_t i = 0; i < m->w->n_layers; i++)
        if (nr_sieve_name_is_marked(m->w->layers[i].filter,
                m->w->layers[i].n_words, hash))
            return true;
    return false;
}

/* Ask for KEY; OWN: it is gone when this returns. */
static void
ask(struct match *m, enum nr_kind kind, struct nr_bytes key, bool own)
{
    struct question *q = &m->asked[m->n];

    if (!(m->w->kinds >> (unsigned)kind & 1) || m->err != NR_OK)
        return;
    q->hash = nr_sieve_hash(&m->w->layers[0].head->key, kind, key);
    if (kind == NR_KIND_DOMAIN && !may_be_name(m, q->hash))
        return;
    for (size_t k = 0; k < m->w->n_layers; k++)
        (void)nr_sieve_find(m->w->layers[k].slots, m->w->layers[k].n_slots,
            q->hash); /* fetches */
    q->key = key;
    q->kind = (uint32_t)kind;
    q->line = m->line;
    q->token = m->token;
    q->own = own;
    if (own)
        memcpy(q->octets, key.p, key.n);
    if (++m->n == AHEAD)
        answer(m);
}

static void
probe(struct match *m, enum nr_kind kind, struct nr_bytes key)
{
    ask(m, kind, key, false);
}

static void
probe_domain(struct match *m, struct nr_bytes d)
{
    do
        probe(m, NR_KIND_DOMAIN, d);
    while (nr_domain_up(&d));
}

/* The ranges that hold ADDR: one question for each length in use, LENS of
 * them, longest first, so that the host bits go one after the other. */
static void
probe_ranges(struct match *m, enum nr_kind kind, struct nr_bytes addr,
    const uint8_t *lens, size_t n)
{
    uint8_t key[17];

    memcpy(key, addr.p, addr.n);
    for (size_t i = 0; i < n; i++) {
        size_t bits = lens[i], whole = bits / 8;

        if (whole < addr.n) {
            key[whole] &= (uint8_t) ~(0xff >> (bits % 8));
            memset(key + whole + 1, 0, addr.n - whole - 1);
        }
        key[addr.n] = lens[i];
        ask(m, kind, (struct nr_bytes){ key, addr.n + 1 }, true);
    }
}

static void
probe_url(struct match *m, struct nr_bytes u)
{
    size_t scheme = nr_bytes_starts(u, NR_BYTES("http://")) ? 5
        : nr_bytes_starts(u, NR_BYTES("https://"))          ? 6
                                                            : 0;

    probe(m, NR_KIND_URL, u);
    if (scheme > 0)
        probe(m, NR_KIND_URL, nr_bytes_sub(u, scheme, u.n));
}

/* Most addresses are of networks of which nothing is listed. */
static bool
may_be_listed(const struct match *m, struct nr_bytes addr)
{
    for (size_t i = 0; i < m->w->n_layers; i++)
        if (nr_sieve_net_is_marked(m->w->layers[i].nets, m->w->layers[i].n_nets,
                addr.p))
            return true;
    return false;
}

static void
probe_token(struct match *m, enum nr_kind kind, struct nr_bytes key)
{
    if (kind == NR_KIND_IPV4 && !may_be_listed(m, key))
        return;
    if (kind == NR_KIND_DOMAIN)
        probe_domain(m, key);
    else if (kind == NR_KIND_URL)
        probe_url(m, key);
    else
        probe(m, kind, key);
    if (kind == NR_KIND_IPV4)
        probe_ranges(m, NR_KIND_CIDR4, key, m->w->lens4, m->w->n_lens4);
    else if (kind == NR_KIND_IPV6)
        probe_ranges(m, NR_KIND_CIDR6, key, m->w->lens6, m->w->n_lens6);
}

enum nr_err
nr_watchlist_match(const struct nr_watchlist *w, const struct nr_tokens *t,
    struct nr_matches *out)
{
    struct match m = { .w = w, .out = out };

    out->n = 0;
    for (size_t i = 0; i < t->n && m.err == NR_OK; i++) {
        const struct nr_token *k = &t->v[i];

        m.line = k->line;
        m.token = (uint32_t)i;
        probe_token(&m, (enum nr_kind)k->kind, nr_token_key(t, k));
    }
    answer(&m);
    finish_line(out, m.start);
    return m.err;
}
