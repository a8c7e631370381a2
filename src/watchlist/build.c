/*
 * The builder: an entry a value, found through the buckets that will stand in
 * the file; what is said of it is a record that equal ones share.
 */
#include "watchlist/build.h"

#include "base/date.h"
#include "base/mem.h"
#include "base/num.h"

#include <stdlib.h>
#include <string.h>

/* A builder's memory for one thing: enough for NR_WATCHLIST_MAX. */
#define BUILD_MAX ((size_t)32 << 30)

/* Entries a bucket has room for when a table is made new: 3/4 full. */
#define LOAD ((size_t)6)

#define PROBES     ((size_t)16) /* buckets that are asked for a value */
#define KEYS_TRIED ((size_t)8)  /* before a list is given up */

const char nr_wl_too_many[] = "watchlist: more than 50000000 indicators";

struct nr_watchlist_builder *
nr_watchlist_builder_create(const uint64_t key[2])
{
    static const struct nr_wl_chain no_claims = { 0 };
    struct nr_watchlist_builder *b = calloc(1, sizeof(*b));
    uint32_t zero;

    if (!b)
        return NULL;
    b->max = NR_WATCHLIST_MAX;
    b->key = (struct nr_sieve_key){ { key[0], key[1] } };
    nr_arena_init(&b->arena, BUILD_MAX);
    nr_table_init(&b->texts, key[0]);
    nr_buf_init(&b->keys, BUILD_MAX);
    nr_buf_init(&b->strings, BUILD_MAX);
    nr_buf_init(&b->waiting_keys, NR_WL_WAITING * NR_KEY_MAX);
    nr_wl_pool_init(&b->abouts, sizeof(struct nr_wl_about), key[0]);
    nr_wl_pool_init(&b->claims, sizeof(struct nr_wl_claim), key[0]);
    nr_wl_pool_init(&b->chains, sizeof(struct nr_wl_chain), key[0]);
    b->seen_old = UINT32_MAX;
    b->defaults.valid_from_s = b->defaults.valid_until_s = NR_TIME_NONE;
    if (nr_wl_pool_put(&b->chains, &no_claims, &zero) == NR_OK)
        return b;
    nr_watchlist_builder_destroy(b);
    return NULL;
}

void
nr_watchlist_builder_destroy(struct nr_watchlist_builder *b)
{
    if (!b)
        return;
    nr_arena_fini(&b->arena);
    nr_table_fini(&b->texts);
    nr_buf_fini(&b->keys);
    nr_buf_fini(&b->strings);
    nr_buf_fini(&b->waiting_keys);
    nr_wl_pool_fini(&b->abouts);
    nr_wl_pool_fini(&b->claims);
    nr_wl_pool_fini(&b->chains);
    free(b->entries);
    free(b->hashes);
    free(b->flags);
    free(b->buckets);
    free(b);
}

void
nr_watchlist_judged_by(struct nr_watchlist_builder *b, uint64_t version)
{
    b->warned = version;
}

void
nr_watchlist_assume(struct nr_watchlist_builder *b,
    const struct nr_watchlist_defaults *o)
{
    b->defaults = *o;
}

static enum nr_err
no_memory(struct nr_diag *d)
{
    return nr_fail(d, NR_ENOMEM, 0, "watchlist: out of memory");
}

/* --- what is said: texts, claims, abouts --- */

/* Offset of S in the strings, put there the first time. */
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
    *at = b->strings.n;
    nr_buf_put_str(&b->strings, s);
    if (b->strings.err != NR_OK)
        return NR_ENOMEM;
    return nr_table_put(&b->texts, (struct nr_bytes){ copy, s.n }, *at, NULL)
        ? NR_OK
        : NR_ENOMEM;
}

static const struct nr_wl_claim *
claim_of(const struct nr_watchlist_builder *b, uint32_t i)
{
    const void *v = b->claims.v;

    return (const struct nr_wl_claim *)v + i;
}

static struct nr_wl_chain
chain_of(const struct nr_watchlist_builder *b, uint32_t i)
{
    const void *v = b->chains.v;

    return ((const struct nr_wl_chain *)v)[i];
}

static struct nr_wl_about
about_of(const struct nr_watchlist_builder *b, uint32_t i)
{
    const void *v = b->abouts.v;

    return ((const struct nr_wl_about *)v)[i];
}

/* Texts are interned, so that equal ones have equal places. */
static bool
same_claim(const struct nr_wl_claim *x, const struct nr_wl_claim *y)
{
    return x->id_at == y->id_at && x->id_n == y->id_n &&
        x->source_at == y->source_at && x->source_n == y->source_n &&
        x->reference_at == y->reference_at && x->reference_n == y->reference_n;
}

/* CHAIN with CLAIM at its end, unless it says the same already. */
static enum nr_err
join_claim(struct nr_watchlist_builder *b, uint32_t *chain, uint32_t claim)
{
    struct nr_wl_chain c = chain_of(b, *chain);

    if (c.n >= NR_WATCHLIST_CLAIMS)
        return NR_OK;
    for (struct nr_wl_chain k = c; k.n > 0; k = chain_of(b, k.parent))
        if (same_claim(claim_of(b, k.claim), claim_of(b, claim)))
            return NR_OK;
    c = (struct nr_wl_chain){ *chain, claim, c.n + 1, 0 };
    return nr_wl_pool_put(&b->chains, &c, chain);
}

/* The claims of chain MORE behind those of *CHAIN, in their order. */
static enum nr_err
join_chain(struct nr_watchlist_builder *b, uint32_t *chain, uint32_t more)
{
    uint32_t v[NR_WATCHLIST_CLAIMS];
    size_t n = 0;
    enum nr_err err = NR_OK;

    for (struct nr_wl_chain k = chain_of(b, more); k.n > 0;
         k = chain_of(b, k.parent))
        v[n++] = k.claim;
    while (n > 0 && err == NR_OK)
        err = join_claim(b, chain, v[--n]);
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

/* What OLD and NEW say together. Lists say the same of value after value, so
 * the last answer is kept. */
enum nr_err
nr_wl_merge_abouts(struct nr_watchlist_builder *b, uint32_t old, uint32_t new,
    uint32_t *both)
{
    struct nr_wl_about r = about_of(b, old), i = about_of(b, new);

    *both = old;
    if (old == new)
        return NR_OK;
    if (old == b->seen_old && new == b->seen_new) {
        *both = b->seen_both;
        return NR_OK;
    }
    r.valid_from_s = earlier(r.valid_from_s, i.valid_from_s);
    if (r.valid_until_s == NR_TIME_NONE || i.valid_until_s == NR_TIME_NONE)
        r.valid_until_s = NR_TIME_NONE; /* open for one is open */
    else
        r.valid_until_s = later(r.valid_until_s, i.valid_until_s);
    r.first_seen_s = earlier(r.first_seen_s, i.first_seen_s);
    r.last_seen_s = later(r.last_seen_s, i.last_seen_s);
    r.tlp = r.tlp > i.tlp ? r.tlp : i.tlp;
    r.pap = r.pap > i.pap ? r.pap : i.pap;
    if (r.role == NR_ROLE_UNKNOWN)
        r.role = i.role;
    if (r.warn_n == 0) {
        r.warn_at = i.warn_at;
        r.warn_n = i.warn_n;
    }
    if (join_chain(b, &r.claim_at, i.claim_at) != NR_OK ||
        nr_wl_pool_put(&b->abouts, &r, both) != NR_OK)
        return NR_ENOMEM;
    b->seen_old = old;
    b->seen_new = new;
    b->seen_both = *both;
    return NR_OK;
}

static enum nr_err
check(const struct nr_indicator *i, struct nr_diag *d)
{
    const struct nr_str texts[] = { i->said.id, i->said.source,
        i->said.reference, i->warn };

    if (i->tlp > 5 || i->pap > 4 || i->role > NR_ROLE_CONTEXTUAL)
        return nr_fail(d, NR_EFORMAT, 0, "watchlist: not canonical");
    for (size_t k = 0; k < sizeof(texts) / sizeof(*texts); k++)
        if (texts[k].n > NR_WATCHLIST_TEXT_MAX)
            return nr_fail(d, NR_ELIMIT, 0,
                "watchlist: a text of more than 65535 octets");
    return NR_OK;
}

enum nr_err
nr_watchlist_about(struct nr_watchlist_builder *b, const struct nr_indicator *i,
    uint32_t *about, struct nr_diag *d)
{
    const struct nr_watchlist_defaults *o = &b->defaults;
    struct nr_wl_about r = {
        .valid_from_s = i->valid_from_s == NR_TIME_NONE ? o->valid_from_s
                                                        : i->valid_from_s,
        .valid_until_s = i->valid_until_s == NR_TIME_NONE ? o->valid_until_s
                                                          : i->valid_until_s,
        .first_seen_s = i->first_seen_s,
        .last_seen_s = i->last_seen_s,
        .tlp = i->tlp > o->tlp ? i->tlp : o->tlp,
        .pap = i->pap > o->pap ? i->pap : o->pap,
        .role = i->role,
    };
    struct nr_wl_claim c = { .date_s = i->said.date_s };
    enum nr_err err = check(i, d);
    uint32_t claim = 0;

    if (err != NR_OK)
        return err;
    if (intern(b, i->said.id, &c.id_at, &c.id_n) != NR_OK ||
        intern(b, i->said.source, &c.source_at, &c.source_n) != NR_OK ||
        intern(b, i->said.reference, &c.reference_at, &c.reference_n) !=
            NR_OK ||
        intern(b, i->warn, &r.warn_at, &r.warn_n) != NR_OK ||
        nr_wl_pool_put(&b->claims, &c, &claim) != NR_OK ||
        join_claim(b, &r.claim_at, claim) != NR_OK)
        return no_memory(d);
    r.claim_n = 0; /* told by the chain */
    return nr_wl_pool_put(&b->abouts, &r, about) == NR_OK ? NR_OK
                                                          : no_memory(d);
}

/* --- the table --- */

static uint64_t
mixed(uint64_t x)
{
    x = (x ^ x >> 31) * UINT64_C(0x9fb21c651e98df25);
    return x ^ x >> 29;
}

static uint64_t
choose(uint64_t hash, uint64_t n)
{
    return (hash >> 32) * n >> 32;
}

/* Put entry I into its bucket or one behind it. False: none has room. */
static bool
place(struct nr_watchlist_builder *b, size_t i)
{
    uint64_t at = choose(b->hashes[i], b->n_buckets);

    for (size_t p = 0; p < nr_min(PROBES, b->n_buckets); p++) {
        struct nr_sieve_slot *s = b->buckets[at].s;

        for (size_t k = 0; k < NR_WL_BUCKET; k++)
            if (s[k].index1 == 0) {
                s[k] = (struct nr_sieve_slot){ (uint32_t)b->hashes[i],
                    (uint32_t)i + 1 };
                return true;
            }
        at = at + 1 < b->n_buckets ? at + 1 : 0;
    }
    return false;
}

static bool
place_all(struct nr_watchlist_builder *b)
{
    memset(b->buckets, 0, b->n_buckets * sizeof(*b->buckets));
    for (size_t i = 0; i < b->n; i++) {
        if (i + 16 < b->n)
            __builtin_prefetch(
                &b->buckets[choose(b->hashes[i + 16], b->n_buckets)], 1);
        if (!place(b, i))
            return false;
    }
    return true;
}

/* Another key of the hashes, and they. */
static void
rekey(struct nr_watchlist_builder *b, size_t tried)
{
    b->key.k[0] = mixed(b->key.k[0] + tried + 1);
    b->key.k[1] = mixed(b->key.k[1] ^ b->key.k[0]);
    for (size_t i = 0; i < b->n; i++)
        b->hashes[i] = nr_sieve_hash(&b->key, (enum nr_kind)b->entries[i].kind,
            nr_wl_key_of(b, i));
    for (size_t i = 0; i < b->n_waiting; i++)
        b->waiting[i].hash = nr_sieve_hash(&b->key,
            (enum nr_kind)b->waiting[i].kind,
            (struct nr_bytes){ b->waiting_keys.p + b->waiting[i].key_at,
                b->waiting[i].key_n });
}

enum nr_err
nr_wl_rehash(struct nr_watchlist_builder *b, size_t n_buckets, bool new_key,
    struct nr_diag *d)
{
    if (n_buckets != b->n_buckets) {
        size_t octets;
        void *p = NULL;

        free(b->buckets);
        b->buckets = NULL;
        b->n_buckets = 0;
        if (n_buckets >= UINT32_MAX ||
            !nr_mul(n_buckets, sizeof(*b->buckets), &octets) ||
            posix_memalign(&p, sizeof(*b->buckets), octets) != 0)
            return no_memory(d);
        nr_mem_large(p, octets);
        b->buckets = p;
        b->n_buckets = n_buckets;
    }
    /* Chance does not fill a table at 3/4: someone knows the key. */
    for (size_t tried = 0; tried < KEYS_TRIED; tried++) {
        if (new_key)
            rekey(b, tried);
        if (place_all(b))
            return NR_OK;
        new_key = true;
    }
    return nr_fail(d, NR_ELIMIT, 0,
        "watchlist: no key of its hashes places every value");
}

static bool
make_room(struct nr_watchlist_builder *b, size_t cap)
{
    struct nr_wl_entry *e;
    uint64_t *h;
    uint8_t *f;

    e = reallocarray(b->entries, cap, sizeof(*e));
    if (!e)
        return false;
    nr_mem_large(e, cap * sizeof(*e));
    b->entries = e;
    h = reallocarray(b->hashes, cap, sizeof(*h));
    if (!h)
        return false;
    nr_mem_large(h, cap * sizeof(*h));
    b->hashes = h;
    if (b->flags) {
        f = realloc(b->flags, cap);
        if (!f)
            return false;
        memset(f + b->n, 0, cap - b->n);
        b->flags = f;
    }
    b->cap = cap;
    return true;
}

enum nr_err
nr_watchlist_reserve(struct nr_watchlist_builder *b, size_t n,
    struct nr_diag *d)
{
    size_t want = nr_min(b->max, b->n + b->n_waiting + n);

    if (want > b->cap && !make_room(b, want))
        return no_memory(d);
    if (want / LOAD + 1 <= b->n_buckets)
        return NR_OK;
    return nr_wl_rehash(b, want / LOAD + 1, false, d);
}

static bool
find(const struct nr_watchlist_builder *b, uint64_t hash, unsigned kind,
    struct nr_bytes key, size_t *i)
{
    uint64_t at = choose(hash, b->n_buckets);

    for (size_t p = 0; p < nr_min(PROBES, b->n_buckets); p++) {
        const struct nr_sieve_slot *s = b->buckets[at].s;

        for (size_t k = 0; k < NR_WL_BUCKET; k++) {
            if (s[k].index1 == 0)
                return false;
            if (s[k].tag == (uint32_t)hash &&
                b->entries[s[k].index1 - 1].kind == kind &&
                nr_bytes_eq(nr_wl_key_of(b, s[k].index1 - 1), key)) {
                *i = s[k].index1 - 1;
                return true;
            }
        }
        at = at + 1 < b->n_buckets ? at + 1 : 0;
    }
    return false;
}

static enum nr_err
append(struct nr_watchlist_builder *b, const struct nr_wl_waiting *w,
    struct nr_bytes key, struct nr_diag *d)
{
    uint64_t at = b->keys.n;
    size_t cap = b->keys.cap;

    if (b->n >= b->max)
        return nr_fail(d, NR_ELIMIT, 0, nr_wl_too_many);
    if (b->n == b->cap && !make_room(b, nr_max(256, b->cap * 2)))
        return no_memory(d);
    nr_buf_put(&b->keys, key);
    if (b->keys.err != NR_OK)
        return no_memory(d);
    if (b->keys.cap != cap)
        nr_mem_large(b->keys.p, b->keys.cap);
    b->entries[b->n] = (struct nr_wl_entry){ (uint32_t)at, (uint16_t)key.n,
        (uint8_t)(at >> 32), (uint8_t)w->kind, w->about };
    b->hashes[b->n] = w->hash;
    b->n++;
    if (b->n <= b->n_buckets * (NR_WL_BUCKET - 1) && place(b, b->n - 1))
        return NR_OK;
    return nr_wl_rehash(b, nr_max(b->n_buckets * 2, b->n / LOAD + 8), false, d);
}

/* One that waited. What was removed and comes again is made anew. */
static enum nr_err
take_in(struct nr_watchlist_builder *b, const struct nr_wl_waiting *w,
    struct nr_diag *d)
{
    struct nr_bytes key = { b->waiting_keys.p + w->key_at, w->key_n };
    size_t i;

    if (b->n_buckets == 0 || !find(b, w->hash, w->kind, key, &i))
        return append(b, w, key, d);
    if (nr_wl_flags_of(b, i) & NR_WL_GONE) {
        b->flags[i] = NR_WL_RENEW;
        b->n_removed--;
        b->entries[i].about = w->about;
        return NR_OK;
    }
    return nr_wl_merge_abouts(b, b->entries[i].about, w->about,
               &b->entries[i].about) == NR_OK
        ? NR_OK
        : no_memory(d);
}

enum nr_err
nr_watchlist_flush(struct nr_watchlist_builder *b, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (size_t i = 0; i < b->n_waiting && err == NR_OK; i++)
        err = take_in(b, &b->waiting[i], d);
    b->n_waiting = 0;
    nr_buf_reset(&b->waiting_keys);
    return err;
}

/* --- coming in --- */

enum nr_err
nr_watchlist_add_key(struct nr_watchlist_builder *b, enum nr_kind kind,
    struct nr_bytes key, uint32_t about, struct nr_diag *d)
{
    struct nr_wl_waiting *w = &b->waiting[b->n_waiting];

    *w = (struct nr_wl_waiting){ nr_sieve_hash(&b->key, kind, key),
        b->waiting_keys.n, (uint32_t)key.n, (uint32_t)kind, about };
    nr_buf_put(&b->waiting_keys, key);
    if (b->waiting_keys.err != NR_OK)
        return no_memory(d);
    if (b->n_buckets > 0)
        __builtin_prefetch(&b->buckets[choose(w->hash, b->n_buckets)], 1);
    b->n_waiting++;
    return b->n_waiting < NR_WL_WAITING ? NR_OK : nr_watchlist_flush(b, d);
}

enum nr_err
nr_watchlist_add(struct nr_watchlist_builder *b, const struct nr_indicator *i,
    struct nr_diag *d)
{
    uint32_t about = 0;
    enum nr_err err;

    if (!nr_key_is_sound((unsigned)i->kind, i->key))
        return nr_fail(d, NR_EFORMAT, 0, "watchlist: not canonical");
    err = nr_watchlist_about(b, i, &about, d);
    if (err == NR_OK)
        err = nr_watchlist_add_key(b, i->kind, i->key, about, d);
    if (err == NR_OK)
        err = nr_watchlist_flush(b, d);
    return err;
}

enum nr_err
nr_watchlist_remove(struct nr_watchlist_builder *b, enum nr_kind kind,
    struct nr_bytes key, struct nr_diag *d)
{
    struct nr_indicator none = nr_indicator_of(kind, key);
    enum nr_err err = nr_watchlist_add(b, &none, d);
    size_t i = 0;

    if (err != NR_OK)
        return err;
    if (!b->flags)
        b->flags = calloc(b->cap, 1);
    if (!b->flags ||
        !find(b, nr_sieve_hash(&b->key, kind, key), (unsigned)kind, key, &i))
        return no_memory(d);
    b->n_removed += !(b->flags[i] & NR_WL_GONE);
    b->flags[i] = NR_WL_RENEW | NR_WL_GONE;
    return NR_OK;
}

size_t
nr_watchlist_builder_count(const struct nr_watchlist_builder *b)
{
    return b->n - b->n_removed;
}

enum nr_err
nr_watchlist_remove_all(struct nr_watchlist_builder *b, struct nr_diag *d)
{
    enum nr_err err = nr_watchlist_flush(b, d);

    if (err != NR_OK || b->n == 0)
        return err;
    if (!b->flags)
        b->flags = calloc(b->cap, 1);
    if (!b->flags)
        return no_memory(d);
    memset(b->flags, NR_WL_RENEW | NR_WL_GONE, b->n);
    b->n_removed = b->n;
    return NR_OK;
}
