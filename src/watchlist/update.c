/*
 * Changing a list: what a new layer holds is gathered in a builder, from the
 * layers that it replaces and from what is to be changed.
 */
#include "watchlist/build.h"
#include "watchlist/list.h"

#include "base/file.h"
#include "base/num.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOT_YET UINT32_MAX /* an about that was not carried over */

struct change {
    const struct nr_watchlist *w;
    struct nr_watchlist_builder *to;
    size_t keep;    /* layers that stay below the new one */
    size_t limit;   /* indicators of these */
    uint32_t *dead; /* owned; numbers below LIMIT that go */
    size_t n_dead, cap_dead;
    uint32_t *carried[NR_WL_LAYERS]; /* owned; a layer's about -> one of TO */
    const char *path;
    int64_t created_s;
    struct nr_watchlist_change done;
    struct nr_diag *d;
};

static enum nr_err
no_memory(struct nr_diag *d)
{
    return nr_fail(d, NR_ENOMEM, 0, "watchlist: out of memory");
}

static uint32_t *
none_carried(size_t n)
{
    uint32_t *v = calloc(n + 1, sizeof(*v));

    if (v)
        memset(v, 0xff, (n + 1) * sizeof(*v));
    return v;
}

static enum nr_err
kill(struct change *c, size_t number)
{
    if (c->n_dead == c->cap_dead) {
        size_t cap = c->cap_dead ? c->cap_dead * 2 : 64;
        uint32_t *v = reallocarray(c->dead, cap, sizeof(*v));

        if (!v)
            return no_memory(c->d);
        c->dead = v;
        c->cap_dead = cap;
    }
    c->dead[c->n_dead++] = (uint32_t)number;
    return NR_OK;
}

/* --- what is said, from one place to another --- */

/* I with its claims one after the other: *ABOUT says all of them. */
static enum nr_err
join_about(struct change *c, const struct nr_indicator *i, uint32_t *about)
{
    uint32_t one = 0;
    enum nr_err err = nr_watchlist_about(c->to, i, &one, c->d);

    if (err != NR_OK)
        return err;
    if (*about == NOT_YET)
        *about = one;
    else if (nr_wl_merge_abouts(c->to, *about, one, about) != NR_OK)
        return no_memory(c->d);
    return NR_OK;
}

/* What the list says of indicator NUMBER, in the new layer. */
static enum nr_err
carry(struct change *c, size_t number, struct nr_bytes *key, unsigned *kind,
    uint32_t *about)
{
    size_t index = nr_wl_index_of(c->w, number), at = number;
    const struct nr_wl_layer *l = nr_wl_layer_of(c->w, &at);
    size_t layer = (size_t)(l - c->w->layers);
    struct nr_wl_entry e;
    enum nr_err err = NR_OK;

    if (!nr_wl_sound_entry(l, at, &e, key) || !nr_wl_about_of(l, &e))
        return nr_fail(c->d, NR_EDAMAGED, 0,
            "watchlist: damaged; compile it again");
    *kind = e.kind;
    if (!c->carried[layer])
        c->carried[layer] = none_carried(l->n_abouts);
    if (!c->carried[layer])
        return no_memory(c->d);
    *about = c->carried[layer][e.about];
    if (*about == NOT_YET) {
        struct nr_indicator i = nr_watchlist_get(c->w, index);

        for (size_t k = 0; k < i.n_claims && err == NR_OK; k++) {
            struct nr_indicator one = i;

            one.said = nr_watchlist_claim(c->w, index, k);
            err = join_about(c, &one, about);
        }
        c->carried[layer][e.about] = *about;
    }
    return err;
}

static struct nr_str
string_of(const struct nr_watchlist_builder *b, uint64_t at, uint32_t n)
{
    return (struct nr_str){ n > 0 ? (const char *)b->strings.p + at : "", n };
}

/* The same of what builder B says. MEMO: its abouts -> ours. */
static enum nr_err
carry_from(struct change *c, const struct nr_watchlist_builder *b,
    uint32_t from, uint32_t *memo, uint32_t *about)
{
    const struct nr_wl_about *abouts = (const void *)b->abouts.v;
    const struct nr_wl_chain *chains = (const void *)b->chains.v;
    const struct nr_wl_claim *claims = (const void *)b->claims.v;
    const struct nr_wl_about *a = &abouts[from];
    uint32_t order[NR_WATCHLIST_CLAIMS];
    size_t n = 0;
    enum nr_err err = NR_OK;

    *about = memo[from];
    if (*about != NOT_YET)
        return NR_OK;
    for (uint32_t at = a->claim_at; chains[at].n > 0; at = chains[at].parent)
        order[n++] = chains[at].claim;
    while (n > 0 && err == NR_OK) {
        const struct nr_wl_claim *k = &claims[order[--n]];
        struct nr_indicator i = {
            .valid_from_s = a->valid_from_s,
            .valid_until_s = a->valid_until_s,
            .first_seen_s = a->first_seen_s,
            .last_seen_s = a->last_seen_s,
            .tlp = a->tlp,
            .pap = a->pap,
            .role = a->role,
            .warn = string_of(b, a->warn_at, a->warn_n),
            .said = { string_of(b, k->id_at, k->id_n),
                string_of(b, k->source_at, k->source_n),
                string_of(b, k->reference_at, k->reference_n), k->date_s },
        };

        err = join_about(c, &i, about);
    }
    memo[from] = *about;
    return err;
}

/* --- gathering --- */

/* What stands in the layers that the new one replaces. */
static enum nr_err
gather_old(struct change *c)
{
    enum nr_err err = NR_OK;
    size_t d = 0;

    if (c->keep < c->w->n_layers)
        for (; d < c->w->n_dead && c->w->dead[d] < c->limit; d++)
            if (kill(c, c->w->dead[d]) != NR_OK)
                return NR_ENOMEM;
    for (size_t i = c->limit; i < c->w->n_all && err == NR_OK; i++) {
        struct nr_bytes key;
        unsigned kind;
        uint32_t about;

        if (d < c->w->n_dead && c->w->dead[d] == i) {
            d++;
            continue;
        }
        err = carry(c, i, &key, &kind, &about);
        if (err == NR_OK)
            err = nr_watchlist_add_key(c->to, (enum nr_kind)kind, key, about,
                c->d);
    }
    return err == NR_OK ? nr_watchlist_flush(c->to, c->d) : err;
}

/* KEY is to be changed or to go, and stands in a layer that stays: there it
 * dies. In one that is replaced it is in TO. */
static enum nr_err
take_out(struct change *c, enum nr_kind kind, struct nr_bytes key,
    size_t number)
{
    return number < c->limit ? kill(c, number)
                             : nr_watchlist_remove(c->to, kind, key, c->d);
}

/* Indicator NUMBER of the list also says NEW. */
static enum nr_err
join(struct change *c, size_t number, uint32_t new)
{
    struct nr_bytes key;
    unsigned kind;
    uint32_t old, both;
    enum nr_err err = carry(c, number, &key, &kind, &old);

    if (err != NR_OK)
        return err;
    if (nr_wl_merge_abouts(c->to, old, new, &both) != NR_OK)
        return no_memory(c->d);
    if (both == old)
        return NR_OK; /* nothing new */
    c->done.changed++;
    if (number < c->limit)
        err = kill(c, number);
    return err != NR_OK
        ? err
        : nr_watchlist_add_key(c->to, (enum nr_kind)kind, key, both, c->d);
}

static enum nr_err
change_one(struct change *c, const struct nr_watchlist_builder *b, size_t i,
    uint32_t *memo)
{
    enum nr_kind kind = (enum nr_kind)b->entries[i].kind;
    struct nr_bytes key = nr_wl_key_of(b, i);
    uint8_t flags = nr_wl_flags_of(b, i);
    size_t number = 0;
    bool there = nr_wl_find(c->w, (unsigned)kind, key, &number, NULL);
    enum nr_err err = NR_OK;
    uint32_t about;

    if (flags & NR_WL_GONE) {
        c->done.removed += there;
        c->done.absent += !there;
        return there ? take_out(c, kind, key, number) : NR_OK;
    }
    err = carry_from(c, b, b->entries[i].about, memo, &about);
    if (err != NR_OK)
        return err;
    if (there && !(flags & NR_WL_RENEW))
        return join(c, number, about);
    c->done.added += !there;
    c->done.changed += there;
    if (there)
        err = take_out(c, kind, key, number);
    return err != NR_OK ? err
                        : nr_watchlist_add_key(c->to, kind, key, about, c->d);
}

static enum nr_err
gather_new(struct change *c, const struct nr_watchlist_builder *b)
{
    uint32_t *memo = none_carried(b->abouts.n);
    enum nr_err err = memo ? NR_OK : no_memory(c->d);

    for (size_t i = 0; i < b->n && err == NR_OK; i++)
        err = change_one(c, b, i, memo);
    free(memo);
    return err == NR_OK ? nr_watchlist_flush(c->to, c->d) : err;
}

/* --- writing --- */

static int
by_number(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* Those who watch PATH see that it changed, also twice in one moment. */
static void
touch(const char *path)
{
    struct stat before, after;
    struct timespec times[2];

    if (stat(path, &before) != 0 || utimensat(AT_FDCWD, path, NULL, 0) != 0 ||
        stat(path, &after) != 0 ||
        memcmp(&before.st_mtim, &after.st_mtim, sizeof(times[0])) != 0)
        return;
    times[0] = times[1] = after.st_mtim;
    times[1].tv_nsec = times[1].tv_nsec < 999999999 ? times[1].tv_nsec + 1 : 0;
    times[1].tv_sec += times[1].tv_nsec == 0;
    (void)utimensat(AT_FDCWD, path, times, 0);
}

/* The new layer as a file; those that it replaces are removed. */
static enum nr_err
publish(struct change *c)
{
    const struct nr_wl_layer *top = &c->w->layers[c->keep ? c->keep - 1 : 0];
    struct nr_wl_base base = { 0 };
    char delta[NR_PATH_MAX];
    enum nr_err err;

    if (c->keep == 0)
        return nr_wl_write_base(c->to, c->path, true, c->created_s, c->d);
    if (c->n_dead > 0)
        qsort(c->dead, c->n_dead, sizeof(*c->dead), by_number);
    base = (struct nr_wl_base){ (uint32_t)c->keep, top->head->checksum,
        c->limit, c->dead, c->n_dead };
    err = nr_wl_delta_path(c->path, c->keep, delta, c->d);
    if (err == NR_OK)
        err = nr_wl_write(c->to, &base, delta, true, c->created_s, c->d);
    for (size_t i = c->keep + 1; err == NR_OK && i <= NR_WATCHLIST_DELTAS; i++)
        if (nr_wl_delta_path(c->path, i, delta, NULL) == NR_OK)
            (void)unlink(delta); /* ignored if it stays */
    if (err == NR_OK)
        touch(c->path);
    return err;
}

static void
change_fini(struct change *c)
{
    nr_watchlist_builder_destroy(c->to);
    free(c->dead);
    for (size_t i = 0; i < NR_WL_LAYERS; i++)
        free(c->carried[i]);
}

static bool
same_key(const struct nr_watchlist_builder *b, const struct nr_watchlist *w)
{
    return memcmp(&b->key, &w->layers[0].head->key, sizeof(b->key)) == 0;
}

/* Who judged what comes into the new layer: those of the layers that it
 * replaces, and of what B adds. */
static uint64_t
judged(const struct change *c, const struct nr_watchlist_builder *b)
{
    size_t from = c->keep < c->w->n_layers ? c->keep : c->w->n_layers - 1;
    uint64_t version = c->w->layers[from].head->warned;

    for (size_t i = from + 1; i < c->w->n_layers; i++)
        version = nr_wl_judged_by_both(version, c->w->layers[i].head->warned);
    if (!b || nr_watchlist_builder_count(b) == 0)
        return version;
    /* what stood there and now says more was judged by both */
    return c->keep < c->w->n_layers ? nr_wl_judged_by_both(version, b->warned)
                                    : b->warned;
}

/* All that the new layer holds, and the numbers of it. */
static enum nr_err
gather(struct change *c, const struct nr_watchlist_builder *b)
{
    const struct nr_watchlist *w = c->w;
    size_t max = b ? b->max : NR_WATCHLIST_MAX;
    enum nr_err err = NR_OK;

    if (c->keep == 0)
        err = nr_watchlist_reserve(c->to, nr_watchlist_count(w), c->d);
    if (err == NR_OK)
        err = gather_old(c);
    if (err == NR_OK && b)
        err = gather_new(c, b);
    if (err == NR_OK && nr_watchlist_count(w) + c->done.added > max)
        err = nr_fail_name(c->d, NR_ELIMIT, nr_wl_too_many, c->path);
    c->done.base_n = c->keep > 0 ? w->layers[0].n : c->to->n;
    c->done.deltas = c->keep;
    c->done.delta_n = c->keep > 0
        ? c->limit - w->layers[0].n + nr_watchlist_builder_count(c->to)
        : 0;
    return err;
}

/* Publish what was gathered, unless it is nothing. *FITS: its values found
 * places under the key of the base. */
static enum nr_err
finish(struct change *c, bool *fits)
{
    struct nr_diag *d = c->d, why = { 0 };
    enum nr_err err;

    *fits = c->keep == 0 || same_key(c->to, c->w);
    if (!*fits)
        return NR_OK;
    if (c->keep > 0 && c->to->n == 0 && c->n_dead == 0) {
        c->done.deltas = c->w->n_layers - 1;
        c->done.delta_n = c->w->n_all - c->w->layers[0].n;
        return NR_OK;
    }
    c->d = &why;
    err = publish(c);
    c->d = d;
    *fits = c->keep == 0 || (err != NR_ELIMIT && same_key(c->to, c->w));
    if (!*fits)
        return NR_OK;
    if (err != NR_OK && d)
        *d = why;
    return err;
}

/* A layer above c->keep of those of c->w, with B's changes (NULL: none), under
 * KEY if it is a base. FITS: see finish(). */
static enum nr_err
make_layer(struct change *c, const struct nr_watchlist_builder *b,
    const uint64_t key[2], bool *fits)
{
    const struct nr_watchlist *w = c->w;
    enum nr_err err;

    *fits = true;
    c->limit = c->keep < w->n_layers ? w->layers[c->keep].first : w->n_all;
    c->to = nr_watchlist_builder_create(
        c->keep > 0 ? w->layers[0].head->key.k : key);
    if (!c->to)
        return no_memory(c->d);
    nr_watchlist_judged_by(c->to, judged(c, b));
    err = gather(c, b);
    if (err == NR_OK)
        err = finish(c, fits);
    change_fini(c);
    return err;
}

enum nr_err
nr_watchlist_update(const char *path, struct nr_watchlist_builder *b,
    int64_t created_s, struct nr_watchlist_change *out, struct nr_diag *d)
{
    struct change c = { .path = path, .created_s = created_s, .d = d };
    struct change anew = c;
    struct nr_watchlist *w = NULL;
    bool fits = true;
    int fd = -1;
    enum nr_err err;

    /* before the lock's file is made in the name of nothing */
    err = nr_watchlist_open(path, &w, d);
    nr_watchlist_close(w);
    w = NULL;
    if (err == NR_OK)
        err = nr_wl_lock(path, true, &fd, d);
    if (err == NR_OK)
        err = nr_watchlist_open(path, &w, d);
    if (err == NR_OK)
        err = nr_watchlist_flush(b, d);
    c.w = anew.w = w;
    if (err == NR_OK) {
        c.keep = w->n_layers > NR_WATCHLIST_DELTAS ? 1 : w->n_layers;
        err = make_layer(&c, b, b->key.k, &fits);
    }
    if (err == NR_OK && !fits) /* someone knows the key: another one */
        err = make_layer(&anew, b, b->key.k, &(bool){ true });
    if (err == NR_OK && out)
        *out = fits ? c.done : anew.done;
    nr_watchlist_close(w);
    if (fd >= 0)
        (void)close(fd);
    return err;
}

enum nr_err
nr_watchlist_merge(const char *path, const uint64_t key[2], int64_t created_s,
    struct nr_diag *d)
{
    struct change c = { .path = path, .created_s = created_s, .d = d };
    struct nr_watchlist *w = NULL;
    bool fits;
    int fd = -1;
    enum nr_err err = nr_watchlist_open(path, &w, d);

    if (err != NR_OK || w->n_layers == 1) {
        nr_watchlist_close(w);
        return err;
    }
    nr_watchlist_close(w);
    w = NULL;
    err = nr_wl_lock(path, true, &fd, d);
    if (err == NR_OK)
        err = nr_watchlist_open(path, &w, d);
    c.w = w;
    if (err == NR_OK && w->n_layers > 1)
        err = make_layer(&c, NULL, key, &fits);
    nr_watchlist_close(w);
    if (fd >= 0)
        (void)close(fd);
    return err;
}
