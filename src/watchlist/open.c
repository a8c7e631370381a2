/*
 * Opening a list: its files are mapped, their heads and sizes checked, and
 * the layers of one moment put together.
 */
#include "watchlist/list.h"

#include "base/date.h"
#include "base/file.h"
#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OPEN_TRIES ((size_t)100) /* while others replace the files */

static const char not_compiled[] = "watchlist: not a compiled list";

/* --- one file --- */

static enum nr_err
no_memory(struct nr_diag *d)
{
    return nr_fail(d, NR_ENOMEM, 0, "watchlist: out of memory");
}

/* One part: inside of the file, aligned. */
static bool
part_fits(const struct nr_wl_head *h, enum nr_wl_part part, size_t each)
{
    const struct nr_wl_section *s = &h->parts[part];

    return s->at >= sizeof(*h) && s->at % NR_WL_ALIGN == 0 &&
        s->at <= h->size && s->n <= (h->size - s->at) / each;
}

/* Pages of a part that begins at FROM; the next one does at TO. */
static uint64_t
pages_of(uint64_t from, uint64_t to)
{
    return (to - from + NR_WL_PAGE - 1) / NR_WL_PAGE;
}

/* One part after the other, and a checksum for each of their pages. */
static bool
order_fits(const struct nr_wl_head *h, const size_t *each)
{
    const struct nr_wl_section *sums = &h->parts[NR_WL_SUMS];
    uint64_t pages = 0;

    if (h->parts[nr_wl_order[0]].at != sizeof(*h))
        return false;
    for (size_t k = 0; nr_wl_order[k] != NR_WL_SUMS; k++) {
        const struct nr_wl_section *s = &h->parts[nr_wl_order[k]];
        uint64_t next = h->parts[nr_wl_order[k + 1]].at;

        if (s->at + s->n * each[nr_wl_order[k]] > next)
            return false;
        pages += pages_of(s->at, next);
    }
    return sums->n == pages && sums->at + sums->n * sizeof(uint64_t) == h->size;
}

static bool
parts_fit(const struct nr_wl_head *h)
{
    static const size_t each[NR_WL_PARTS_USED] = {
        [NR_WL_ENTRIES] = sizeof(struct nr_wl_entry),
        [NR_WL_KEYS] = 1,
        [NR_WL_ABOUTS] = sizeof(struct nr_wl_about),
        [NR_WL_CLAIMS] = sizeof(struct nr_wl_claim),
        [NR_WL_STRINGS] = 1,
        [NR_WL_SLOTS] = sizeof(struct nr_sieve_slot),
        [NR_WL_FILTER] = sizeof(uint64_t),
        [NR_WL_NETS] = sizeof(uint64_t),
        [NR_WL_DEAD] = sizeof(uint32_t),
        [NR_WL_SUMS] = sizeof(uint64_t),
    };
    uint64_t nets = h->parts[NR_WL_NETS].n;

    for (unsigned i = 0; i < NR_WL_PARTS_USED; i++)
        if (!part_fits(h, (enum nr_wl_part)i, each[i]))
            return false;
    return order_fits(h, each) &&
        h->first <= NR_WATCHLIST_MAX * NR_WATCHLIST_DELTAS &&
        h->level <= NR_WATCHLIST_DELTAS && (h->level > 0 || h->first == 0) &&
        h->parts[NR_WL_SLOTS].n > 0 && h->parts[NR_WL_SLOTS].n <= UINT32_MAX &&
        h->parts[NR_WL_FILTER].n > 0 &&
        h->parts[NR_WL_FILTER].n <= UINT32_MAX && nets > 0 &&
        nets <= (uint64_t)1 << 18 && (nets & (nets - 1)) == 0;
}

static enum nr_err
check_head(struct nr_bytes in, struct nr_diag *d)
{
    struct nr_wl_head h = { 0 };

    if (!nr_watchlist_is_one(in))
        return nr_fail(d, NR_EFORMAT, 0, not_compiled);
    memcpy(&h, in.p, nr_min(in.n, sizeof(h)));
    if (in.n < 12)
        return nr_fail(d, NR_ETRUNC, in.n, "watchlist: ends in its head");
    if (h.endian != NR_WL_ENDIAN)
        return nr_fail(d, NR_EFORMAT, 8,
            "watchlist: compiled on a machine of another byte order; compile "
            "it here");
    if (h.version != NR_WL_VERSION)
        return nr_fail(d, NR_EFORMAT, 4,
            "watchlist: of another version; compile it again");
    if (in.n < sizeof(h))
        return nr_fail(d, NR_ETRUNC, in.n, "watchlist: ends in its head");
    if (h.head_n != sizeof(h) || nr_wl_checksum(&h) != h.checksum)
        return nr_fail(d, NR_EDAMAGED, 24,
            "watchlist: checksum of its head does not hold; compile it again");
    if (h.size > in.n)
        return nr_fail(d, NR_ETRUNC, in.n, "watchlist: shorter than written");
    if (h.size != in.n)
        return nr_fail(d, NR_EDAMAGED, 16, "watchlist: longer than written");
    if (h.parts[NR_WL_ENTRIES].n > NR_WATCHLIST_MAX)
        return nr_fail(d, NR_ELIMIT, 48, nr_wl_too_many);
    if (!parts_fit(&h))
        return nr_fail(d, NR_EDAMAGED, 48, "watchlist: parts do not fit");
    return NR_OK;
}

static const void *
part(const struct nr_wl_layer *l, enum nr_wl_part part, size_t *n)
{
    *n = l->head->parts[part].n;
    return l->file.p + l->head->parts[part].at;
}

static void
point(struct nr_wl_layer *l)
{
    l->entries = part(l, NR_WL_ENTRIES, &l->n);
    l->keys.p = part(l, NR_WL_KEYS, &l->keys.n);
    l->strings.p = part(l, NR_WL_STRINGS, &l->strings.n);
    l->abouts = part(l, NR_WL_ABOUTS, &l->n_abouts);
    l->claims = part(l, NR_WL_CLAIMS, &l->n_claims);
    l->slots = part(l, NR_WL_SLOTS, &l->n_slots);
    l->filter = part(l, NR_WL_FILTER, &l->n_words);
    l->nets = part(l, NR_WL_NETS, &l->n_nets);
    l->dead = part(l, NR_WL_DEAD, &l->n_dead);
    l->sums = part(l, NR_WL_SUMS, &l->n_pages);
    l->first = l->head->first;
    for (size_t k = 0; k < NR_WL_PARTS_USED; k++) {
        l->part_at[k] = l->head->parts[nr_wl_order[k]].at;
        l->part_pages[k] = k == 0
            ? 0
            : l->part_pages[k - 1] + pages_of(l->part_at[k - 1], l->part_at[k]);
    }
}

/* What may not wait: all of a small list, of a large one the short part that
 * is read when it is opened. */
static enum nr_err
check_pages(const struct nr_wl_layer *l, struct nr_diag *d)
{
    const uint8_t *p = l->file.p + sizeof(*l->head);
    size_t at = l->head->parts[NR_WL_SUMS].at, n = at - sizeof(*l->head);

    if (!nr_wl_sums_hold(l))
        return nr_fail(d, NR_EDAMAGED, at,
            "watchlist: table of checksums does not hold; compile it again");
    if (l->file.n > NR_WATCHLIST_WHOLE) {
        p = (const uint8_t *)l->dead;
        n = l->n_dead * sizeof(*l->dead);
    }
    if (!nr_wl_is_whole(l, p, n))
        return nr_fail(d, NR_EDAMAGED, sizeof(*l->head),
            "watchlist: a page's checksum does not hold; compile it again");
    return NR_OK;
}

/* L->file is set: the rest of it, no page of which is read. Freed by the
 * caller, also on failure. */
static enum nr_err
adopt_head(struct nr_wl_layer *l, struct nr_diag *d)
{
    enum nr_err err = check_head(l->file, d);
    const void *p = l->file.p;

    if (err != NR_OK)
        return err;
    l->head = p;
    point(l);
    l->share = calloc(1, sizeof(*l->share) + l->n_pages);
    if (!l->share)
        return no_memory(d);
    atomic_init(&l->share->users, 1);
    return NR_OK;
}

static enum nr_err
adopt(struct nr_wl_layer *l, struct nr_diag *d)
{
    enum nr_err err = adopt_head(l, d);

    return err == NR_OK ? check_pages(l, d) : err;
}

void
nr_wl_layer_fini(struct nr_wl_layer *l)
{
    if (l->share && atomic_fetch_sub(&l->share->users, 1) > 1) {
        *l = (struct nr_wl_layer){ 0 };
        return;
    }
    if (l->mapped) {
        union {
            const void *in;
            void *out;
        } p = { .in = l->file.p };

        (void)munmap(p.out, l->file.n);
    }
    free(l->heap);
    free(l->share);
    *l = (struct nr_wl_layer){ 0 };
}

static enum nr_err
map_fd(struct nr_wl_layer *l, int fd, const char *path, struct nr_diag *d)
{
    struct stat st;
    void *p;

    if (fstat(fd, &st) != 0)
        return nr_fail_file(d, "watchlist: stat", path);
    if (!S_ISREG(st.st_mode) || st.st_size <= 0)
        return nr_fail_name(d, NR_EFORMAT, not_compiled, path);
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        return nr_fail_file(d, "watchlist: map", path);
    l->mapped = true;
    l->file = (struct nr_bytes){ p, (size_t)st.st_size };
    l->dev = st.st_dev;
    l->ino = st.st_ino;
    return NR_OK;
}

static enum nr_err
open_file(const char *path, int *fd, struct nr_diag *d)
{
    *fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (*fd < 0 && errno == ENOENT)
        return nr_fail_name(d, NR_ENOTFOUND, "watchlist: no such file", path);
    return *fd < 0 ? nr_fail_file(d, "watchlist: open", path) : NR_OK;
}

/* The file FD is open as OLD: a mapped file's inode is not used anew, so it is
 * the same one, which was checked. */
static bool
share(struct nr_wl_layer *l, int fd, const struct nr_wl_layer *old)
{
    struct stat st;

    if (!old || !old->mapped || fstat(fd, &st) != 0 || st.st_dev != old->dev ||
        st.st_ino != old->ino || (size_t)st.st_size != old->file.n)
        return false;
    *l = *old;
    atomic_fetch_add(&l->share->users, 1);
    return true;
}

static enum nr_err
layer_open(struct nr_wl_layer *l, const char *path,
    const struct nr_wl_layer *old, struct nr_diag *d)
{
    int fd;
    enum nr_err err = open_file(path, &fd, d);

    if (err != NR_OK)
        return err;
    if (!share(l, fd, old)) {
        err = map_fd(l, fd, path, d);
        if (err == NR_OK)
            err = adopt(l, d);
    }
    (void)close(fd);
    if (err != NR_OK) {
        nr_diag_add_name(d, path);
        nr_wl_layer_fini(l);
    }
    return err;
}

enum nr_err
nr_wl_layer_open(struct nr_wl_layer *l, const char *path, struct nr_diag *d)
{
    int fd;
    enum nr_err err = open_file(path, &fd, d);

    if (err != NR_OK)
        return err;
    *l = (struct nr_wl_layer){ 0 };
    err = map_fd(l, fd, path, d);
    (void)close(fd);
    if (err == NR_OK)
        err = adopt_head(l, d);
    if (err != NR_OK)
        nr_wl_layer_fini(l);
    return err;
}

/* --- layers --- */

enum nr_err
nr_wl_delta_path(const char *path, size_t level, char *buf, struct nr_diag *d)
{
    int n = snprintf(buf, NR_PATH_MAX, "%s.d%zu", path, level);

    return n < 0 || (size_t)n >= NR_PATH_MAX
        ? nr_fail_name(d, NR_ELIMIT, "path: too long", path)
        : NR_OK;
}

/* Does L stand on what W has so far? */
static bool
belongs(const struct nr_watchlist *w, const struct nr_wl_layer *l)
{
    const struct nr_wl_layer *top = &w->layers[w->n_layers - 1];

    return l->head->level == w->n_layers &&
        l->head->below == top->head->checksum && l->first == w->n_all &&
        memcmp(&l->head->key, &top->head->key, sizeof(top->head->key)) == 0;
}

static const struct nr_wl_layer *
layer_of(const struct nr_watchlist *w, size_t i)
{
    return w && i < w->n_layers ? &w->layers[i] : NULL;
}

/* Base and deltas as they are found, one after the other. */
static enum nr_err
open_layers(struct nr_watchlist *w, const char *path,
    const struct nr_watchlist *old, struct nr_diag *d)
{
    enum nr_err err = layer_open(&w->layers[0], path, layer_of(old, 0), d);

    if (err != NR_OK)
        return err;
    w->n_layers = 1;
    w->n_all = w->layers[0].n;
    if (w->layers[0].head->level != 0)
        return nr_fail_name(d, NR_EFORMAT,
            "watchlist: only changes to a list; name the list itself", path);
    while (w->n_layers < NR_WL_LAYERS) {
        struct nr_wl_layer *l = &w->layers[w->n_layers];
        struct nr_diag why = { 0 };
        char delta[NR_PATH_MAX];

        err = nr_wl_delta_path(path, w->n_layers, delta, d);
        if (err != NR_OK)
            return err;
        err = layer_open(l, delta, layer_of(old, w->n_layers), &why);
        if (err == NR_ENOTFOUND)
            return NR_OK;
        if (err != NR_OK) {
            if (d)
                *d = why;
            return err;
        }
        if (!belongs(w, l)) {
            nr_wl_layer_fini(l);
            return NR_OK;
        }
        w->n_all += l->n;
        w->n_layers++;
    }
    return NR_OK;
}

/* Are the files of W still those of PATH? Deltas vanish only after the file
 * below them has been replaced. */
static bool
still_there(const struct nr_watchlist *w, const char *path)
{
    char delta[NR_PATH_MAX];
    struct stat st;

    for (size_t i = 0; i < w->n_layers; i++) {
        const char *p = path;

        if (i > 0 && nr_wl_delta_path(path, i, delta, NULL) == NR_OK)
            p = delta;
        if (stat(p, &st) != 0 || st.st_dev != w->layers[i].dev ||
            st.st_ino != w->layers[i].ino)
            return false;
    }
    return true;
}

/* The numbers that the deltas take out, in one ascending list. */
static enum nr_err
gather_dead(struct nr_watchlist *w, struct nr_diag *d)
{
    size_t at[NR_WL_LAYERS] = { 0 }, most = 0;

    for (size_t i = 0; i < w->n_layers; i++)
        most += w->layers[i].n_dead;
    if (most == 0)
        return NR_OK;
    w->dead = calloc(most, sizeof(*w->dead));
    if (!w->dead)
        return no_memory(d);
    for (;;) {
        uint64_t least = UINT64_MAX;

        for (size_t i = 0; i < w->n_layers; i++)
            if (at[i] < w->layers[i].n_dead && w->layers[i].dead[at[i]] < least)
                least = w->layers[i].dead[at[i]];
        if (least == UINT64_MAX)
            return NR_OK;
        for (size_t i = 0; i < w->n_layers; i++) {
            const struct nr_wl_layer *l = &w->layers[i];

            if (at[i] == l->n_dead || l->dead[at[i]] != least)
                continue;
            if (least >= l->first ||
                (++at[i] < l->n_dead && l->dead[at[i]] <= least))
                return nr_fail(d, NR_EDAMAGED, l->head->parts[NR_WL_DEAD].at,
                    "watchlist: what it takes out does not fit");
        }
        w->dead[w->n_dead++] = (uint32_t)least;
    }
}

static void
gather_marks(struct nr_watchlist *w)
{
    uint64_t cidr4 = 0, cidr6[3] = { 0 };

    for (size_t i = 0; i < w->n_layers; i++) {
        const struct nr_wl_head *h = w->layers[i].head;

        w->kinds |= h->marks.kinds & ((1u << NR_KINDS) - 1);
        w->has_idn = w->has_idn || (h->marks.traits & NR_SIEVE_XN);
        cidr4 |= h->marks.cidr4;
        for (size_t k = 0; k < 3; k++)
            cidr6[k] |= h->marks.cidr6[k];
    }
    w->n_lens4 = w->n_lens6 = 0;
    for (unsigned len = 33; len-- > 0;)
        if (cidr4 >> len & 1)
            w->lens4[w->n_lens4++] = (uint8_t)len;
    for (unsigned len = 129; len-- > 0;)
        if (cidr6[len / 64] >> len % 64 & 1)
            w->lens6[w->n_lens6++] = (uint8_t)len;
}

/* The layers of W are open. */
static enum nr_err
finish(struct nr_watchlist *w, struct nr_diag *d)
{
    enum nr_err err = gather_dead(w, d);

    if (err != NR_OK)
        return err;
    gather_marks(w);
    w->shown = calloc(w->n_all / NR_WL_SHOWN + 1, sizeof(*w->shown));
    return w->shown ? NR_OK : no_memory(d);
}

static struct nr_watchlist *
create(void)
{
    struct nr_watchlist *w = calloc(1, sizeof(*w));

    if (w)
        atomic_init(&w->users, 1);
    return w;
}

enum nr_err
nr_watchlist_open(const char *path, struct nr_watchlist **out,
    struct nr_diag *d)
{
    return nr_watchlist_reopen(path, NULL, out, d);
}

enum nr_err
nr_watchlist_reopen(const char *path, const struct nr_watchlist *old,
    struct nr_watchlist **out, struct nr_diag *d)
{
    for (size_t tries = 0; tries < OPEN_TRIES; tries++) {
        struct nr_watchlist *w = create();
        struct nr_diag why = { 0 };
        enum nr_err err = w ? open_layers(w, path, old, &why) : no_memory(&why);

        if (err == NR_OK)
            err = finish(w, &why);
        if (w && !still_there(w, path) && w->n_layers > 0) {
            nr_watchlist_close(w);
            continue;
        }
        if (err == NR_OK) {
            *out = w;
            return NR_OK;
        }
        nr_diag_add_name(&why, path);
        if (d && d->err == NR_OK)
            *d = why;
        nr_watchlist_close(w);
        return err;
    }
    return nr_fail_name(d, NR_EBUSY,
        "watchlist: replaced again and again while it is opened", path);
}

enum nr_err
nr_wl_adopt_heap(void *heap, size_t n, struct nr_watchlist **out,
    struct nr_diag *d)
{
    struct nr_watchlist *w = create();
    enum nr_err err = w ? NR_OK : no_memory(d);

    if (err != NR_OK) {
        free(heap);
        return err;
    }
    w->n_layers = 1;
    w->layers[0].heap = heap;
    w->layers[0].file = (struct nr_bytes){ heap, n };
    err = adopt(&w->layers[0], d);
    if (err == NR_OK && w->layers[0].head->level != 0)
        err = nr_fail(d, NR_EFORMAT, 12,
            "watchlist: only changes to a list; name the list itself");
    if (err == NR_OK) {
        w->n_all = w->layers[0].n;
        err = finish(w, d);
    }
    if (err == NR_OK)
        *out = w;
    else
        nr_watchlist_close(w);
    return err;
}

enum nr_err
nr_watchlist_decode(struct nr_bytes in, struct nr_watchlist **out,
    struct nr_diag *d)
{
    uint8_t *copy = malloc(in.n ? in.n : 1);

    if (!copy)
        return no_memory(d);
    if (in.n > 0)
        memcpy(copy, in.p, in.n);
    return nr_wl_adopt_heap(copy, in.n, out, d);
}

struct nr_watchlist *
nr_watchlist_ref(struct nr_watchlist *w)
{
    atomic_fetch_add(&w->users, 1);
    return w;
}

void
nr_watchlist_close(struct nr_watchlist *w)
{
    if (!w || atomic_fetch_sub(&w->users, 1) > 1)
        return;
    for (size_t i = 0; w->shown && i < w->n_all / NR_WL_SHOWN + 1; i++)
        free(atomic_load(&w->shown[i]));
    free(w->shown);
    free(w->dead);
    for (size_t i = 0; i < NR_WL_LAYERS; i++)
        nr_wl_layer_fini(&w->layers[i]);
    free(w);
}
