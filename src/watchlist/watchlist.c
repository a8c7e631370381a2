/* What an open list says. Every number that comes from its files is checked
 * here, where it is used. */
#include "watchlist/list.h"

#include "base/date.h"
#include "base/num.h"

#include <stdlib.h>
#include <string.h>

bool
nr_watchlist_is_one(struct nr_bytes head)
{
    return nr_bytes_starts(head, NR_BYTES("NRWL"));
}

/* --- records --- */

bool
nr_wl_entry(const struct nr_wl_layer *l, size_t i, struct nr_wl_entry *e,
    struct nr_bytes *key)
{
    uint64_t at;

    *e = l->entries[i];
    at = nr_wl_key_at(e);
    if (at > l->keys.n || e->key_n > l->keys.n - at)
        return false;
    *key = nr_bytes_sub(l->keys, at, at + e->key_n);
    return true;
}

struct nr_str
nr_wl_string(const struct nr_wl_layer *l, uint64_t at, uint64_t n)
{
    struct nr_str s = { "", 0 };

    if (at > l->strings.n || n > l->strings.n - at || n == 0 ||
        !nr_wl_is_whole(l, l->strings.p + at, n) ||
        !nr_str_from_utf8(nr_bytes_sub(l->strings, at, at + n), &s))
        return (struct nr_str){ "", 0 };
    return s;
}

const struct nr_wl_about *
nr_wl_about_of(const struct nr_wl_layer *l, const struct nr_wl_entry *e)
{
    const struct nr_wl_about *a;

    if (e->about >= l->n_abouts)
        return NULL;
    a = &l->abouts[e->about];
    return nr_wl_is_whole(l, a, sizeof(*a)) && a->claim_n > 0 &&
            a->claim_n <= l->n_claims && a->claim_at <= l->n_claims - a->claim_n
        ? a
        : NULL;
}

/* --- numbers --- */

/* How many of the dead are below NUMBER. */
static size_t
dead_below(const struct nr_watchlist *w, size_t number)
{
    size_t lo = 0, hi = w->n_dead;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (w->dead[mid] < number)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool
is_dead(const struct nr_watchlist *w, size_t number)
{
    size_t at = dead_below(w, number);

    return at < w->n_dead && w->dead[at] == number;
}

size_t
nr_wl_index_of(const struct nr_watchlist *w, size_t number)
{
    return number - dead_below(w, number);
}

size_t
nr_wl_number_of(const struct nr_watchlist *w, size_t index)
{
    size_t lo = 0, hi = w->n_dead;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (w->dead[mid] - mid <= index)
            lo = mid + 1;
        else
            hi = mid;
    }
    return index + lo;
}

const struct nr_wl_layer *
nr_wl_layer_of(const struct nr_watchlist *w, size_t *number)
{
    size_t i = w->n_layers - 1;

    while (i > 0 && *number < w->layers[i].first)
        i--;
    *number -= w->layers[i].first;
    return &w->layers[i];
}

/* --- look-up --- */

bool
nr_wl_find_in(const struct nr_wl_layer *l, uint64_t hash, unsigned kind,
    struct nr_bytes key, size_t *i, size_t *read)
{
    struct nr_sieve_find f = nr_sieve_find(l->slots, l->n_slots, hash);
    size_t start = f.at;
    bool found = false;
    uint32_t index;

    f.left = nr_min(f.left, NR_WATCHLIST_PROBES);
    while (!found && nr_sieve_next(l->slots, l->n_slots, &f, &index)) {
        struct nr_wl_entry e;
        struct nr_bytes have;

        found = index < l->n && nr_wl_entry(l, index, &e, &have) &&
            e.kind == kind && nr_bytes_eq(have, key);
        *i = index;
    }
    if (read)
        *read += f.at > start ? f.at - start : f.at + l->n_slots - start;
    return found;
}

bool
nr_wl_find_hashed(const struct nr_watchlist *w, uint64_t hash, unsigned kind,
    struct nr_bytes key, size_t *number, size_t *read)
{
    for (size_t i = w->n_layers; i-- > 0;)
        if (nr_wl_find_in(&w->layers[i], hash, kind, key, number, read)) {
            *number += w->layers[i].first;
            return !is_dead(w, *number);
        }
    return false;
}

bool
nr_wl_find(const struct nr_watchlist *w, unsigned kind, struct nr_bytes key,
    size_t *number, size_t *read)
{
    return nr_wl_find_hashed(w,
        nr_sieve_hash(&w->layers[0].head->key, (enum nr_kind)kind, key), kind,
        key, number, read);
}

bool
nr_watchlist_find(const struct nr_watchlist *w, enum nr_kind kind,
    struct nr_bytes key, size_t *i)
{
    size_t number;

    if (!nr_wl_find(w, (unsigned)kind, key, &number, NULL))
        return false;
    *i = nr_wl_index_of(w, number);
    return true;
}

/* --- values --- */

/* Kinds whose key is the text of the value. */
static bool
is_text(enum nr_kind kind)
{
    static const unsigned text = 1u << NR_KIND_DOMAIN | 1u << NR_KIND_URL |
        1u << NR_KIND_EMAIL | 1u << NR_KIND_WALLET_BTC | 1u << NR_KIND_JA4 |
        1u << NR_KIND_FILENAME | 1u << NR_KIND_CVE;

    return text >> (unsigned)kind & 1;
}

/* The text of a value whose key is that text, but for the start of a URL
 * without scheme. */
static struct nr_str
key_text(enum nr_kind kind, struct nr_bytes key)
{
    size_t skip = kind == NR_KIND_URL && nr_bytes_starts(key, NR_BYTES("//"))
        ? 2
        : 0;
    struct nr_str s;

    return nr_str_from_utf8(nr_bytes_sub(key, skip, key.n), &s)
        ? s
        : (struct nr_str){ "", 0 };
}

bool
nr_wl_sound_entry(const struct nr_wl_layer *l, size_t i, struct nr_wl_entry *e,
    struct nr_bytes *key)
{
    return i < l->n &&
        nr_wl_is_whole(l, &l->entries[i], sizeof(l->entries[i])) &&
        nr_wl_entry(l, i, e, key) && nr_wl_is_whole(l, key->p, key->n) &&
        nr_key_is_sound(e->kind, *key);
}

/* The same by the number. */
static bool
sound_entry(const struct nr_watchlist *w, size_t number,
    const struct nr_wl_layer **l, struct nr_wl_entry *e, struct nr_bytes *key)
{
    *l = nr_wl_layer_of(w, &number);
    return nr_wl_sound_entry(*l, number, e, key);
}

static struct nr_wl_shown *
show(const struct nr_watchlist *w, size_t first)
{
    struct nr_wl_shown *s = NULL;
    uint32_t at[NR_WL_SHOWN + 1] = { 0 };
    struct nr_buf text;

    nr_buf_init(&text, NR_WL_SHOWN * NR_KEY_MAX * 4);
    for (size_t i = 0; i < NR_WL_SHOWN; i++) {
        const struct nr_wl_layer *l;
        struct nr_wl_entry e;
        struct nr_bytes key;

        if (first + i < w->n_all && sound_entry(w, first + i, &l, &e, &key) &&
            !is_text((enum nr_kind)e.kind))
            nr_canon_print((enum nr_kind)e.kind, key, &text);
        at[i + 1] = (uint32_t)text.n;
    }
    if (text.err == NR_OK)
        s = malloc(sizeof(*s) + text.n);
    if (s) {
        memcpy(s->at, at, sizeof(at));
        if (text.n > 0)
            memcpy(s->text, text.p, text.n);
    }
    nr_buf_fini(&text);
    return s;
}

/* The text of a value whose key is no text; made for its neighbours, too, and
 * kept for the life of W. Empty when there is no memory. */
static struct nr_str
shown_text(const struct nr_watchlist *w, size_t number)
{
    size_t place = number / NR_WL_SHOWN, i = number % NR_WL_SHOWN;
    struct nr_wl_shown *s = atomic_load(&w->shown[place]);

    if (!s) {
        struct nr_wl_shown *other = NULL;

        s = show(w, place * NR_WL_SHOWN);
        if (s && !atomic_compare_exchange_strong(&w->shown[place], &other, s)) {
            free(s); /* another thread was faster */
            s = other;
        }
    }
    return s ? (struct nr_str){ s->text + s->at[i], s->at[i + 1] - s->at[i] }
             : (struct nr_str){ "", 0 };
}

/* --- reading --- */

size_t
nr_watchlist_count(const struct nr_watchlist *w)
{
    return w->n_all - w->n_dead;
}

int64_t
nr_watchlist_created_s(const struct nr_watchlist *w)
{
    return w->layers[w->n_layers - 1].head->created_s;
}

uint64_t
nr_watchlist_version(const struct nr_watchlist *w)
{
    return w->layers[w->n_layers - 1].head->checksum;
}

unsigned
nr_watchlist_scan_flags(const struct nr_watchlist *w)
{
    return nr_scan_flags_of(w->kinds, w->has_idn);
}

static struct nr_indicator
damaged(void)
{
    struct nr_indicator i = nr_indicator_of(NR_KIND_FILENAME,
        NR_BYTES(NR_WATCHLIST_DAMAGED));

    i.value = NR_STR(NR_WATCHLIST_DAMAGED);
    i.n_claims = 1;
    return i;
}

static struct nr_claim
claim_of(const struct nr_wl_layer *l, const struct nr_wl_about *a, size_t k)
{
    const struct nr_wl_claim *c = &l->claims[a->claim_at + k];

    if (!nr_wl_is_whole(l, c, sizeof(*c)))
        return (struct nr_claim){ .date_s = NR_TIME_NONE };
    return (struct nr_claim){
        .id = nr_wl_string(l, c->id_at, c->id_n),
        .source = nr_wl_string(l, c->source_at, c->source_n),
        .reference = nr_wl_string(l, c->reference_at, c->reference_n),
        .date_s = c->date_s,
    };
}

struct nr_claim
nr_watchlist_claim(const struct nr_watchlist *w, size_t i, size_t k)
{
    const struct nr_wl_layer *l;
    const struct nr_wl_about *a = NULL;
    struct nr_wl_entry e;
    struct nr_bytes key;

    if (sound_entry(w, nr_wl_number_of(w, i), &l, &e, &key))
        a = nr_wl_about_of(l, &e);
    return a && k < a->claim_n ? claim_of(l, a, k)
                               : (struct nr_claim){ .date_s = NR_TIME_NONE };
}

/* What the list says of NUMBER; VALUE is set only where the key is its text. */
static bool
read_number(const struct nr_watchlist *w, size_t number,
    struct nr_indicator *out)
{
    const struct nr_wl_layer *l;
    const struct nr_wl_about *a = NULL;
    struct nr_wl_entry e;
    struct nr_bytes key;
    enum nr_kind kind;

    if (sound_entry(w, number, &l, &e, &key))
        a = nr_wl_about_of(l, &e);
    if (!a || a->tlp > 5 || a->pap > 4 || a->role > NR_ROLE_CONTEXTUAL) {
        *out = damaged();
        return false;
    }
    kind = (enum nr_kind)e.kind;
    *out = (struct nr_indicator){
        .kind = kind,
        .key = key,
        .value = is_text(kind) ? key_text(kind, key) : (struct nr_str){ "", 0 },
        .said = claim_of(l, a, 0),
        .n_claims = a->claim_n,
        .valid_from_s = a->valid_from_s,
        .valid_until_s = a->valid_until_s,
        .first_seen_s = a->first_seen_s,
        .last_seen_s = a->last_seen_s,
        .tlp = a->tlp,
        .pap = a->pap,
        .role = a->role,
        .warn = nr_wl_string(l, a->warn_at, a->warn_n),
    };
    return true;
}

struct nr_indicator
nr_watchlist_get(const struct nr_watchlist *w, size_t i)
{
    size_t number = nr_wl_number_of(w, i);
    struct nr_indicator x;

    if (read_number(w, number, &x) && !is_text(x.kind))
        x.value = shown_text(w, number);
    return x;
}

struct nr_indicator
nr_watchlist_bare(const struct nr_watchlist *w, size_t i)
{
    struct nr_indicator x;

    (void)read_number(w, nr_wl_number_of(w, i), &x);
    return x;
}

struct nr_indicator
nr_watchlist_read(const struct nr_watchlist *w, size_t i, struct nr_buf *text)
{
    struct nr_indicator x;

    nr_buf_reset(text);
    if (read_number(w, nr_wl_number_of(w, i), &x) && !is_text(x.kind)) {
        nr_canon_print(x.kind, x.key, text);
        if (!nr_str_from_utf8(nr_buf_bytes(text), &x.value))
            x.value = (struct nr_str){ "", 0 };
    }
    return x;
}
