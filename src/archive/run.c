/* A run, read. */
#include "archive/run.h"

#include "archive/seal_in.h"

#include "base/hash.h"
#include "base/num.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"

#define NAME_ROOM   ((size_t)64)
#define NAME_EXTRA  4u /* bits of a name beyond log2 of how many there are */
#define FOUR_EXTRA  8u
#define V4_BITS     32u
#define GALLOP_LEAP 64u

struct key_class {
    uint64_t keys, groups, dir_at, at, octets;
    unsigned shift;
};

struct run {
    struct nr_bytes map;    /* of a sealed one the view's plain text */
    struct nr_bytes file;   /* mapped; empty: octets of the caller */
    struct seal_view *view; /* owned; NULL: not sealed */
    char name[NAME_ROOM];
    uint64_t number, foot_at, sums_at;
    size_t n_covered;
    unsigned ordinal_bits;
    uint8_t *page_ok; /* an octet a page; set once, by any thread */
    struct key_class cls[SEG_CLASSES];
};

unsigned
run_shift(enum seg_class c, uint64_t keys)
{
    unsigned bits = c == SEG_V4 ? V4_BITS : SEG_NAME_BITS;
    unsigned need = (keys > 1 ? 64 - (unsigned)__builtin_clzll(keys - 1) : 0) +
        (c == SEG_V4 ? FOUR_EXTRA : NAME_EXTRA);

    /* IPv6 networks stand close together: groups are narrow anyway. */
    return c == SEG_V6 || need >= bits ? 0 : bits - need;
}

static uint64_t
get(const uint8_t *p, size_t n)
{
    uint64_t v = 0;

    for (size_t i = n; i > 0; i--)
        v = v << 8 | p[i - 1];
    return v;
}

static enum nr_err
damaged(const struct run *r, struct nr_diag *d, uint64_t at, const char *what)
{
    enum nr_err err = nr_fail(d, NR_EDAMAGED, (size_t)at, what);

    nr_diag_add_name(d, r->name);
    return err;
}

/* --- opening --- */

static enum nr_err
check_page(const struct run *r, uint64_t page, struct nr_diag *d)
{
    uint64_t from = RUN_HEADER + page * RUN_PAGE;
    uint64_t end = r->sums_at - from > RUN_PAGE ? from + RUN_PAGE : r->sums_at;

    if (r->view && seal_need(r->view, from, end - from, d))
        return NR_EDAMAGED;
    if (nr_xxh64(nr_bytes_sub(r->map, from, end), 0) !=
        get(r->map.p + r->sums_at + page * 8, 8))
        return damaged(r, d, from, "run: the checksum of a page does not hold");
    __atomic_store_n(&r->page_ok[page], 1, __ATOMIC_RELAXED);
    return NR_OK;
}

/* Check the pages of [AT, AT + N), which the caller knows to be inside. */
static inline enum nr_err
need(const struct run *r, uint64_t at, uint64_t n, struct nr_diag *d)
{
    uint64_t page = (at - RUN_HEADER) / RUN_PAGE;
    uint64_t last = (at + n - 1 - RUN_HEADER) / RUN_PAGE;
    enum nr_err err = NR_OK;

    for (; !err && page <= last; page++)
        if (!__atomic_load_n(&r->page_ok[page], __ATOMIC_RELAXED))
            err = check_page(r, page, d);
    return err;
}

static enum nr_err
check_ends(struct run *r, struct nr_diag *d)
{
    const uint8_t *p = r->map.p, *t;
    uint64_t tail, pages;

    if (r->map.n < RUN_HEADER + RUN_TRAILER)
        return damaged(r, d, 0, "run: too short to be one");
    if (r->view &&
        (seal_need(r->view, 0, RUN_HEADER, d) ||
            seal_need(r->view, r->map.n - RUN_TRAILER, RUN_TRAILER, d)))
        return NR_EDAMAGED;
    if (memcmp(p, RUN_MAGIC, 8) != 0)
        return damaged(r, d, 0, "run: does not begin as one");
    if (nr_xxh64((struct nr_bytes){ p, 24 }, 0) != get(p + 24, 8))
        return damaged(r, d, 0, "run: header checksum does not hold");
    if (get(p + 8, 4) != SEG_ENDIAN || get(p + 12, 4) != RUN_VERSION)
        return nr_fail_name(d, NR_EFORMAT, "run: of another version of noroshi",
            r->name);
    r->number = get(p + 16, 8);
    tail = r->map.n - RUN_TRAILER;
    t = p + tail;
    if (memcmp(t, RUN_MAGIC_END, 8) != 0 || get(t + 40, 8) != r->map.n)
        return damaged(r, d, tail, "run: cut short");
    r->foot_at = get(t + 16, 8);
    r->n_covered = get(t + 24, 8);
    r->sums_at = get(t + 32, 8);
    if (r->foot_at < RUN_HEADER || r->sums_at < r->foot_at ||
        r->sums_at > tail || r->n_covered > RUN_SEGMENTS_MAX ||
        r->sums_at - r->foot_at !=
            r->n_covered * RUN_COVER_ROW + SEG_CLASSES * RUN_CLASS_ROW)
        return damaged(r, d, tail, "run: trailer is not sound");
    pages = (r->sums_at - RUN_HEADER + RUN_PAGE - 1) / RUN_PAGE;
    if ((tail - r->sums_at) / 8 != pages || (tail - r->sums_at) % 8 != 0)
        return damaged(r, d, tail, "run: trailer is not sound");
    if (r->view && seal_need(r->view, r->sums_at, r->map.n - r->sums_at, d))
        return NR_EDAMAGED;
    if (nr_xxh64(nr_bytes_sub(r->map, r->sums_at, r->map.n - 8), 0) !=
        get(t + 56, 8))
        return damaged(r, d, tail, "run: trailer checksum does not hold");
    r->page_ok = calloc(pages + 1, 1);
    return r->page_ok ? NR_OK : nr_fail(d, NR_ENOMEM, 0, "run: no memory");
}

static enum nr_err
read_classes(struct run *r, struct nr_diag *d)
{
    uint64_t rows = r->foot_at + r->n_covered * RUN_COVER_ROW;
    uint64_t at = RUN_HEADER;
    enum nr_err err = need(r, r->foot_at, r->sums_at - r->foot_at, d);

    for (unsigned i = 0; !err && i < SEG_CLASSES; i++) {
        const uint8_t *p = r->map.p + rows + i * RUN_CLASS_ROW;
        struct key_class *c = &r->cls[i];

        c->keys = get(p, 8);
        c->groups = get(p + 8, 8);
        c->shift = (unsigned)get(p + 16, 8);
        c->at = get(p + 24, 8);
        c->octets = get(p + 32, 8);
        c->dir_at = get(p + 40, 8);
        if (c->at != at || c->octets > r->foot_at - at ||
            c->octets > UINT32_MAX || c->dir_at != at + c->octets ||
            c->groups >= (r->foot_at - c->dir_at) / RUN_DIR_ROW ||
            c->groups != c->keys / RUN_GROUP + (c->keys % RUN_GROUP != 0) ||
            get(p + 16, 8) > 63)
            return damaged(r, d, rows, "run: its classes are not sound");
        at = c->dir_at + (c->groups + 1) * RUN_DIR_ROW;
    }
    if (!err && at != r->foot_at)
        return damaged(r, d, rows, "run: its classes are not sound");
    return err;
}

static enum nr_err
open_map(struct nr_bytes file, bool mapped, const struct nr_archive_key *key,
    const char *name, struct run **out, struct nr_diag *d)
{
    struct run *r = calloc(1, sizeof(*r));
    enum nr_err err = NR_OK;

    if (!r) {
        if (mapped)
            (void)munmap((void *)(uintptr_t)file.p, file.n);
        return nr_fail(d, NR_ENOMEM, 0, "run: no memory");
    }
    r->map = file;
    if (mapped)
        r->file = file;
    (void)snprintf(r->name, sizeof(r->name), "%s", name);
    if (key) {
        err = seal_view_open(key, file, name, false, &r->view, d);
        if (!err)
            r->map = seal_plain(r->view);
    }
    if (!err)
        err = check_ends(r, d);
    if (!err)
        err = read_classes(r, d);
    if (err) {
        run_close(r);
        return err;
    }
    r->ordinal_bits = run_ordinal_bits(r->n_covered);
    *out = r;
    return NR_OK;
}

enum nr_err
run_open_mem(struct nr_bytes map, const char *name, struct run **out,
    struct nr_diag *d)
{
    return open_map(map, false, NULL, name, out, d);
}

enum nr_err
run_open(const char *path, const char *name, const struct nr_archive_key *key,
    struct run **out, struct nr_diag *d)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    enum nr_err err = NR_OK;
    struct stat st;
    void *p;

    if (fd < 0)
        return errno == ENOENT
            ? nr_fail_name(d, NR_ENOTFOUND, "run: is gone", name)
            : nr_fail_file(d, "run: open", path);
    if (fstat(fd, &st) != 0)
        err = nr_fail_file(d, "run: open", path);
    else if (st.st_size < (off_t)(RUN_HEADER + RUN_TRAILER))
        err = nr_fail_name(d, NR_EDAMAGED, "run: too short to be one", name);
    if (err) {
        close(fd);
        return err;
    }
    p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        err = nr_fail_file(d, "run: map", path);
    close(fd);
    if (err)
        return err;
    return open_map((struct nr_bytes){ p, (size_t)st.st_size }, true, key, name,
        out, d);
}

void
run_close(struct run *r)
{
    if (!r)
        return;
    if (r->file.p)
        (void)munmap((void *)(uintptr_t)r->file.p, r->file.n);
    seal_view_close(r->view);
    free(r->page_ok);
    free(r);
}

const char *
run_name(const struct run *r)
{
    return r->name;
}

uint64_t
run_number(const struct run *r)
{
    return r->number;
}

uint64_t
run_size(const struct run *r)
{
    return r->file.p ? r->file.n : r->map.n;
}

uint64_t
run_keys(const struct run *r, enum seg_class c)
{
    return r->cls[c].keys;
}

size_t
run_covers(const struct run *r)
{
    return r->n_covered;
}

struct run_covered
run_covered(const struct run *r, size_t ordinal)
{
    const uint8_t *p = r->map.p + r->foot_at + ordinal * RUN_COVER_ROW;

    return (struct run_covered){ get(p, 8), get(p + 8, 8) };
}

/* --- looking --- */

/* Number I of WIDTH bits at P. Behind every group stand the sums and the
 * trailer, so that eight octets may be read anywhere. */
static inline uint64_t
bits(const uint8_t *p, unsigned width, uint64_t i)
{
    uint64_t bit = i * width, v;

    memcpy(&v, p + bit / 8, sizeof(v));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    v = __builtin_bswap64(v);
#endif
    return width == 64 ? v : v >> bit % 8 & ((UINT64_C(1) << width) - 1);
}

static inline enum nr_err
dir_first(const struct run *r, const struct key_class *c, uint64_t group,
    uint64_t *key, struct nr_diag *d)
{
    uint64_t at = c->dir_at + group * RUN_DIR_ROW;
    enum nr_err err = need(r, at, RUN_DIR_ROW, d);

    if (!err)
        *key = bits(r->map.p + at, 64, 0);
    return err;
}

/* The last group that begins at or below KEY, or the first; not before FROM,
 * which does. */
static enum nr_err
find_group(const struct run *r, const struct key_class *c, uint64_t from,
    uint64_t key, uint64_t *group, struct nr_diag *d)
{
    uint64_t lo = from, hi, step = 1, first = 0;
    enum nr_err err = NR_OK;

    for (hi = from + 1; !err && hi < c->groups; hi += step) {
        err = dir_first(r, c, hi, &first, d);
        if (err || first > key)
            break;
        lo = hi;
        step = step < GALLOP_LEAP ? step * 2 : step * 8;
    }
    hi = hi < c->groups ? hi : c->groups;
    while (!err && hi - lo > 1) {
        uint64_t mid = lo + (hi - lo) / 2;

        err = dir_first(r, c, mid, &first, d);
        if (first <= key)
            lo = mid;
        else
            hi = mid;
    }
    *group = lo;
    return err;
}

static enum nr_err
load(const struct run *r, const struct key_class *c, uint64_t group,
    struct run_place *p, struct nr_diag *d)
{
    uint64_t row = c->dir_at + group * RUN_DIR_ROW, from, to, octets;
    const uint8_t *q = r->map.p + row;
    enum nr_err err = need(r, row, 2 * RUN_DIR_ROW, d);

    p->is = false;
    if (err)
        return err;
    from = get(q + 8, 4);
    to = get(q + RUN_DIR_ROW + 8, 4);
    if (from >= to || to > c->octets)
        return damaged(r, d, row, "run: its directory is not sound");
    err = need(r, c->at + from, to - from, d);
    if (err)
        return err;
    p->first = bits(q, 64, 0);
    /* a batch in order comes by here soon */
    __builtin_prefetch(r->map.p + c->at + to + 256);
    __builtin_prefetch(r->map.p + c->at + to + 320);
    __builtin_prefetch(r->map.p + c->at + to + 384);
    p->next = group + 1 < c->groups ? bits(q + RUN_DIR_ROW, 64, 0) : UINT64_MAX;
    p->n = (uint32_t)nr_min(RUN_GROUP, c->keys - group * RUN_GROUP);
    q = r->map.p + c->at + from;
    p->width = q[0];
    octets = ((uint64_t)p->n * p->width + 7) / 8;
    p->values = q + 1;
    p->ordinals = p->values + octets;
    octets += ((uint64_t)p->n * r->ordinal_bits + 7) / 8;
    if ((p->width > RUN_WIDTH_MAX && p->width != 64) || 1 + octets > to - from)
        return damaged(r, d, c->at + from, "run: a group is not sound");
    p->lists = q + 1 + octets;
    p->end = r->map.p + c->at + to;
    p->group = group;
    p->is = true;
    return NR_OK;
}

/* How many ordinals stand in the lists of a group for a key marked V. */
static inline uint64_t
named(const struct run *r, uint64_t v)
{
    return v == r->n_covered + RUN_TWO  ? 2
        : v == r->n_covered + RUN_THREE ? RUN_NAMED_MAX
                                        : 0;
}

/* Segments of key I of the group at P; HIT NULL: only whether they are sound. */
static enum nr_err
tell(const struct run *r, const struct run_place *p, uint32_t i,
    void (*hit)(void *ctx, uint32_t ordinal), void *ctx, struct nr_diag *d)
{
    uint64_t v = bits(p->ordinals, r->ordinal_bits, i), at = 0;
    uint64_t room = (uint64_t)(p->end - p->lists) * 8 / r->ordinal_bits;

    if (v < r->n_covered) {
        if (hit)
            hit(ctx, (uint32_t)v);
        return NR_OK;
    }
    if (v == r->n_covered + RUN_ANY) {
        for (uint32_t k = 0; hit && k < r->n_covered; k++)
            hit(ctx, k);
        return NR_OK;
    }
    for (uint32_t k = 0; k < i; k++)
        at += named(r, bits(p->ordinals, r->ordinal_bits, k));
    for (uint64_t n = named(r, v), k = 0; k < n && at < room; k++, at++) {
        uint64_t ordinal = bits(p->lists, r->ordinal_bits, at);

        if (ordinal >= r->n_covered)
            break;
        if (hit)
            hit(ctx, (uint32_t)ordinal);
        if (k + 1 == n)
            return NR_OK;
    }
    return damaged(r, d, (uint64_t)(p->lists - r->map.p),
        "run: the segments of a key are not sound");
}

/* The first key of the group that is not below X (a distance). No branch
 * depends on the keys: which way it goes cannot be foretold. */
static inline uint32_t
lower(const struct run_place *p, uint64_t x)
{
    uint32_t lo = 0, n = p->n;

    while (n > 1) {
        uint32_t half = n / 2;

        lo += bits(p->values, p->width, lo + half - 1) < x ? half : 0;
        n -= half;
    }
    return lo + (bits(p->values, p->width, lo) < x);
}

enum nr_err
run_look(const struct run *r, enum seg_class cls, struct run_place *p,
    uint64_t lo, uint64_t hi, void (*hit)(void *ctx, uint32_t ordinal),
    void *ctx, struct nr_diag *d)
{
    const struct key_class *c = &r->cls[cls];
    enum nr_err err = NR_OK;

    lo >>= c->shift;
    hi >>= c->shift;
    if (c->groups == 0)
        return NR_OK;
    if (!p->is || lo < p->first || lo >= p->next) {
        /* of the group behind this one it is known where it begins */
        uint64_t from = p->is && lo >= p->first && p->group + 1 < c->groups
            ? p->group + 1
            : 0;

        err = find_group(r, c, from, lo, &from, d);
        if (!err)
            err = load(r, c, from, p, d);
    }
    while (!err) {
        uint32_t i = lo > p->first ? lower(p, lo - p->first) : 0;

        if (hi < p->first)
            break;
        for (;
             !err && i < p->n && bits(p->values, p->width, i) <= hi - p->first;
             i++)
            err = tell(r, p, i, hit, ctx, d);
        if (err || i < p->n || p->group + 1 >= c->groups || p->next > hi)
            break;
        err = load(r, c, p->group + 1, p, d);
    }
    return err;
}

static enum nr_err
verify_class(const struct run *r, const struct key_class *c, struct nr_diag *d)
{
    struct run_place p = { 0 };
    uint64_t last = 0;
    enum nr_err err = NR_OK;

    for (uint64_t g = 0; !err && g < c->groups; g++) {
        err = load(r, c, g, &p, d);
        for (uint32_t i = 0; !err && i < p.n; i++) {
            uint64_t key = p.first + bits(p.values, p.width, i);

            if ((g > 0 || i > 0) && key <= last)
                err = damaged(r, d, (uint64_t)(p.values - r->map.p),
                    "run: keys are not in order");
            else
                err = tell(r, &p, i, NULL, NULL, d);
            last = key;
        }
    }
    return err;
}

enum nr_err
run_verify(const struct run *r, struct nr_diag *d)
{
    enum nr_err err = NR_OK;

    for (uint64_t page = 0;
         !err && page < (r->sums_at - RUN_HEADER + RUN_PAGE - 1) / RUN_PAGE;
         page++)
        err = check_page(r, page, d);
    for (unsigned c = 0; !err && c < SEG_CLASSES; c++)
        err = verify_class(r, &r->cls[c], d);
    return err;
}
