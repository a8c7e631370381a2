/* The index of a segment, read. */
#include "archive/segment_in.h"

#include "base/num.h"

#include <stdlib.h>

static const size_t key_size[SEG_CLASSES] = { 4, 16, SEG_NAME_OCTETS };

uint64_t
segment_keys(const struct segment *s, enum seg_class c)
{
    return s->keys[c];
}

static const struct section *
dir_of(const struct segment *s, enum seg_class c)
{
    return &s->sec[SEG_SEC_DIR4 + (unsigned)c];
}

bool
segment_index_is_sound(const struct segment *s)
{
    for (unsigned c = 0; c < SEG_CLASSES; c++) {
        uint64_t rows = dir_of(s, c)->count, n = s->keys[c];

        if (rows == 0 || rows - 1 != n / SEG_GROUP + (n % SEG_GROUP != 0) ||
            n > s->sec[SEG_SEC_ENTRIES].octets)
            return false;
    }
    return true;
}

static enum nr_err
unsound(const struct segment *s, uint64_t at, struct nr_diag *d)
{
    return segment_damaged(s, d, at, "segment: index is not sound");
}

static struct seg_key
key_at(const uint8_t *p, enum seg_class c)
{
    if (c == SEG_V6)
        return (struct seg_key){ be64(p), be64(p + 8) };
    return (struct seg_key){ 0, le(p, key_size[c]) };
}

/* --- groups --- */

/* Keys behind the first, as distances of WIDTH bits at P. */
static bool
unpack(struct seg_group *g, const uint8_t *p, unsigned width, uint64_t max)
{
    uint64_t mask = (UINT64_C(1) << width) - 1;

    for (uint32_t i = 1; i < g->n; i++) {
        size_t bit = (size_t)(i - 1) * width;
        uint64_t v = le(p + bit / 8, (bit % 8 + width + 7) / 8);

        g->key[i].hi = 0;
        g->key[i].lo = g->key[i - 1].lo + (v >> bit % 8 & mask);
        if (g->key[i].lo > max)
            return false;
    }
    return true;
}

static bool
copy_wide(struct seg_group *g, const uint8_t *p)
{
    for (uint32_t i = 1; i < g->n; i++) {
        g->key[i] = key_at(p + (size_t)(i - 1) * 16, SEG_V6);
        if (seg_key_cmp(g->key[i], g->key[i - 1]) < 0)
            return false;
    }
    return true;
}

/* Decode group NUMBER of class C, unless it is the one that is there. */
static enum nr_err
load(struct segment *s, enum seg_class c, uint64_t number, struct nr_diag *d)
{
    const struct section *dir = dir_of(s, c), *all = &s->sec[SEG_SEC_ENTRIES];
    size_t row = SEG_DIR_ROW(key_size[c]), octets;
    struct seg_group *g = &s->group[c];
    uint64_t at = dir->at + number * row, from, to;
    const uint8_t *p = s->map.p + at;
    unsigned width;
    enum nr_err err;

    if (g->is && g->number == number)
        return NR_OK;
    g->is = false;
    err = segment_need(s, at, 2 * row, d);
    if (err)
        return err;
    from = le(p + row - 4, 4);
    to = le(p + 2 * row - 4, 4);
    if (from >= to || to > all->octets)
        return unsound(s, at, d);
    err = segment_need(s, all->at + from, to - from, d);
    if (err)
        return err;
    g->number = number;
    g->n = (uint32_t)nr_min(SEG_GROUP, s->keys[c] - number * SEG_GROUP);
    g->key[0] = key_at(p, c);
    p = s->map.p + all->at + from;
    width = *p;
    octets = c == SEG_V6 ? (size_t)(g->n - 1) * 16
                         : ((size_t)(g->n - 1) * width + 7) / 8;
    if ((c == SEG_V6) != (width == SEG_WIDE) ||
        (c != SEG_V6 && width > SEG_NAME_BITS) || octets >= to - from)
        return unsound(s, all->at + from, d);
    if (c == SEG_V6
            ? !copy_wide(g, p + 1)
            : !unpack(g, p + 1, width, (UINT64_C(1) << 8 * key_size[c]) - 1))
        return unsound(s, all->at + from, d);
    g->entries = all->at + from + 1 + octets;
    g->end = all->at + to;
    g->next = 0;
    g->next_at = g->entries;
    g->is = true;
    return NR_OK;
}

enum nr_err
segment_key(struct segment *s, enum seg_class c, uint64_t i,
    struct seg_key *out, struct nr_diag *d)
{
    enum nr_err err;

    if (i >= s->keys[c])
        return segment_damaged(s, d, dir_of(s, c)->at,
            "segment: points to no key");
    err = load(s, c, i / SEG_GROUP, d);
    if (!err)
        *out = s->group[c].key[i % SEG_GROUP];
    return err;
}

/* The last group >= FROM whose first key is below KEY; FROM if there is none.
 */
static enum nr_err
seek_group(struct segment *s, enum seg_class c, uint64_t from,
    struct seg_key key, uint64_t *out, struct nr_diag *d)
{
    const struct section *dir = dir_of(s, c);
    size_t row = SEG_DIR_ROW(key_size[c]);
    uint64_t lo = from, hi = dir->count - 1, step = 1;
    enum nr_err err;

    /* Gallop first: the next key of a sorted batch is often near. */
    while (hi - lo > 1) {
        uint64_t at = step ? nr_min(lo + step, hi - 1) : lo + (hi - lo) / 2;

        err = segment_need(s, dir->at + at * row, row, d);
        if (err)
            return err;
        if (seg_key_cmp(key_at(s->map.p + dir->at + at * row, c), key) < 0) {
            lo = at;
            step *= 2;
        } else {
            hi = at;
            step = 0;
        }
    }
    *out = lo;
    return NR_OK;
}

enum nr_err
segment_seek(struct segment *s, enum seg_class c, uint64_t from,
    struct seg_key key, uint64_t *out, struct nr_diag *d)
{
    struct seg_group *g = &s->group[c];
    struct seg_key k = seg_stored_key(c, key);
    uint64_t number;
    uint32_t lo, hi;
    enum nr_err err;

    *out = s->keys[c];
    if (from >= s->keys[c])
        return NR_OK;
    number = from / SEG_GROUP;
    err = load(s, c, number, d);
    if (!err && seg_key_cmp(g->key[g->n - 1], k) < 0) {
        err = seek_group(s, c, number, k, &number, d);
        if (!err)
            err = load(s, c, number, d);
    }
    if (err)
        return err;
    lo = number == from / SEG_GROUP ? (uint32_t)(from % SEG_GROUP) : 0;
    for (hi = g->n; lo < hi;) {
        uint32_t mid = lo + (hi - lo) / 2;

        if (seg_key_cmp(g->key[mid], k) < 0)
            lo = mid + 1;
        else
            hi = mid;
    }
    *out = number * SEG_GROUP + lo;
    return NR_OK;
}

/* --- entries --- */

/* Ascending numbers: the first, then distances less one. */
static uint32_t
get_count(struct nr_cur *c)
{
    uint64_t n = seg_get_varint(c);

    if (!c->err && n > nr_cur_left(c))
        c->err = NR_EFORMAT; /* each takes an octet at least */
    return c->err ? 0 : (uint32_t)n;
}

static void
get_bitmap(struct segment *s, struct nr_cur *c, struct nr_arena *a,
    struct seg_posting *p)
{
    uint32_t all = segment_blocks(s), n = 0;
    struct nr_bytes map = nr_cur_take(c, (size_t)all / 8 + (all % 8 != 0));

    for (size_t i = 0; i < map.n; i++)
        n += (uint32_t)__builtin_popcount(map.p[i]);
    p->blocks = nr_new(a, uint32_t, (size_t)n + 1);
    if (!p->blocks)
        c->err = NR_ENOMEM;
    for (uint32_t i = 0; p->blocks && i < 8 * map.n; i++) {
        if (!(map.p[i / 8] & 1u << i % 8))
            continue;
        if (i >= all)
            c->err = NR_EFORMAT;
        p->blocks[p->n_blocks++] = i;
    }
}

struct bits {
    struct nr_cur *c;
    uint64_t v;
    unsigned n;
};

/* At most BITS_MAX at once. */
#define BITS_MAX 48u

static uint64_t
get_bits(struct bits *b, unsigned n)
{
    uint64_t v;

    for (; b->n < n; b->n += 8)
        b->v |= (uint64_t)nr_cur_u8(b->c) << b->n;
    v = b->v & ((UINT64_C(1) << n) - 1);
    b->v >>= n;
    b->n -= n;
    return v;
}

static uint64_t
get_rice(struct bits *b, unsigned k, uint64_t max)
{
    uint64_t q = 0;

    while (get_bits(b, 1) == 1 && !b->c->err)
        if (++q > max >> k)
            b->c->err = NR_EFORMAT;
    return q << k | get_bits(b, k);
}

static void
get_blocks(struct segment *s, struct bits *b, struct nr_arena *a, uint32_t n,
    struct seg_posting *p)
{
    uint32_t all = segment_blocks(s);
    unsigned k = n ? seg_rice(all, n) : 0;
    uint64_t block = 0;

    p->blocks = nr_new(a, uint32_t, (size_t)n + 1);
    if (!p->blocks)
        b->c->err = NR_ENOMEM;
    for (uint32_t i = 0; i < n && !b->c->err; i++) {
        block += get_rice(b, k, all) + (i > 0);
        if (block >= all)
            b->c->err = NR_EFORMAT;
        else
            p->blocks[p->n_blocks++] = (uint32_t)block;
    }
}

static void
get_listed_days(struct nr_cur *c, struct nr_arena *a, struct seg_posting *p)
{
    uint32_t n = get_count(c);
    int64_t day = 0;

    p->days = nr_new(a, int32_t, (size_t)n + 1);
    if (!p->days)
        c->err = NR_ENOMEM;
    for (uint32_t i = 0; i < n && !c->err; i++) {
        uint64_t v = seg_get_varint(c);

        if (v > INT32_MAX)
            c->err = NR_EFORMAT;
        else
            day = i ? day + (int64_t)v + 1 : seg_unzigzag(v);
        if (day > INT32_MAX || day < INT32_MIN)
            c->err = NR_EFORMAT;
        else
            p->days[p->n_days++] = (int32_t)day;
    }
}

static int
by_day(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

/* Files follow each other in a segment: days need not ascend with blocks. */
static void
sort_days(struct seg_posting *p)
{
    bool sorted = true;
    uint32_t n = 0;

    for (uint32_t i = 1; i < p->n_days; i++)
        sorted &= p->days[i] > p->days[i - 1];
    if (sorted)
        return;
    qsort(p->days, p->n_days, sizeof(*p->days), by_day);
    for (uint32_t i = 0; i < p->n_days; i++)
        if (i == 0 || p->days[i] != p->days[i - 1])
            p->days[n++] = p->days[i];
    p->n_days = n;
}

/* What the blocks of P say of it: sources, days. ROWS: theirs. */
static void
get_plain_days(struct bits *b, struct nr_arena *a, const struct seg_block *rows,
    struct seg_posting *p)
{
    struct nr_cur *c = b->c;

    p->days = nr_new(a, int32_t, (size_t)p->n_blocks * SEG_DAY_BITS + 1);
    if (!p->days)
        c->err = NR_ENOMEM;
    for (uint32_t i = 0; i < p->n_blocks && !c->err; i++) {
        int64_t day, days;
        uint32_t mask = 1;

        if (rows[i].first_s == NR_TIME_NONE)
            continue;
        day = nr_day_of(rows[i].first_s);
        days = nr_day_of(rows[i].last_s) - day + 1;
        if (days < 1 || days > SEG_DAY_BITS || day > SEG_TIME_MAX / 86400 ||
            day < -SEG_TIME_MAX / 86400 - 1) {
            c->err = NR_EFORMAT;
            break;
        }
        if (days > 1)
            mask = (uint32_t)get_bits(b, (unsigned)days);
        for (; mask; mask &= mask - 1)
            p->days[p->n_days++] = (int32_t)(day + __builtin_ctz(mask));
    }
    if (!c->err)
        sort_days(p);
}

static void
get_far_times(struct nr_cur *c, struct seg_posting *p)
{
    int64_t first = seg_unzigzag(seg_get_varint(c));
    uint64_t span = seg_get_varint(c);

    if (first > SEG_TIME_MAX || first < -SEG_TIME_MAX ||
        span > 2 * SEG_TIME_MAX) {
        c->err = NR_EFORMAT;
        return;
    }
    p->first_s = first;
    p->last_s = first + (int64_t)span;
}

/* A time within the block of row R. */
static int64_t
time_in(struct bits *b, const struct seg_block *r)
{
    uint64_t v;

    if (r->first_s == NR_TIME_NONE || r->last_s < r->first_s ||
        seg_span_bits(r) > BITS_MAX) {
        b->c->err = NR_EFORMAT;
        return 0;
    }
    v = get_bits(b, seg_span_bits(r));
    if (v > (uint64_t)r->last_s - (uint64_t)r->first_s)
        b->c->err = NR_EFORMAT;
    return r->first_s + (int64_t)v;
}

static struct seg_block *
get_rows(struct segment *s, struct nr_cur *c, struct nr_arena *a,
    const struct seg_posting *p, struct nr_diag *d)
{
    struct seg_block *v;

    if (!c->err && p->n_blocks == 0)
        c->err = NR_EFORMAT;
    v = c->err ? NULL : nr_new(a, struct seg_block, (size_t)p->n_blocks);
    if (!v && !c->err)
        c->err = NR_ENOMEM;
    for (uint32_t i = 0; v && i < p->n_blocks && !c->err; i++)
        c->err = segment_block(s, p->blocks[i], &v[i], d);
    return c->err ? NULL : v;
}

static void
get_body(struct segment *s, struct nr_cur *c, struct nr_arena *a,
    struct seg_posting *p, struct nr_diag *d)
{
    struct bits b = { .c = c };
    struct seg_block *rows;
    uint64_t flags, n = 0;

    p->lines = seg_get_varint(c);
    flags = seg_get_varint(c);
    if (flags & SEG_E_DENIED)
        p->denied = seg_get_varint(c);
    if (flags & SEG_E_SOURCES)
        p->sources = (uint32_t)(seg_get_varint(c) & UINT32_MAX);
    if (flags & SEG_E_BITMAP)
        get_bitmap(s, c, a, p);
    else
        n = seg_get_varint(c);
    if (n > 8 * nr_cur_left(c))
        c->err = NR_EFORMAT; /* each takes a bit at least */
    if (flags & SEG_E_FAR)
        get_far_times(c, p);
    if (flags & SEG_E_DAYS)
        get_listed_days(c, a, p);
    if (!c->err && !(flags & SEG_E_BITMAP))
        get_blocks(s, &b, a, (uint32_t)n, p);
    rows = get_rows(s, c, a, p, d);
    if (!rows)
        return;
    for (uint32_t i = 0; !(flags & SEG_E_SOURCES) && i < p->n_blocks; i++)
        p->sources |= 1u << (rows[i].source & 31);
    if (!c->err && flags & SEG_E_TIMES) {
        p->first_s = time_in(&b, &rows[0]);
        p->last_s = time_in(&b, &rows[p->n_blocks - 1]);
    }
    if (!c->err && !(flags & SEG_E_DAYS))
        get_plain_days(&b, a, rows, p);
    if (!c->err &&
        (nr_cur_left(c) > 0 || flags > SEG_E_ALL || p->denied > p->lines ||
            p->lines == 0 || p->last_s < p->first_s))
        c->err = NR_EFORMAT;
}

/* It stands in one block, which is to be looked at. */
static void
get_simple(struct segment *s, struct nr_cur *c, uint64_t v, struct nr_arena *a,
    struct seg_posting *p, struct nr_diag *d)
{
    struct seg_block row = { 0 };

    p->in_block = true;
    p->lines = v & 2 ? 0 : 1;
    p->blocks = nr_new(a, uint32_t, 1);
    if (!p->blocks)
        c->err = NR_ENOMEM;
    else if (v >> 2 >= segment_blocks(s))
        c->err = NR_EFORMAT;
    else
        c->err = segment_block(s, (uint32_t)(v >> 2), &row, d);
    if (c->err)
        return;
    p->blocks[p->n_blocks++] = (uint32_t)(v >> 2);
    p->sources = 1u << (row.source & 31);
}

/* The cursor at entry I of the group that is decoded. */
static struct nr_cur
entry_at(struct segment *s, struct seg_group *g, uint32_t i)
{
    struct nr_cur c;

    if (g->next > i) {
        g->next = 0;
        g->next_at = g->entries;
    }
    c = nr_cur(nr_bytes_sub(s->map, g->next_at, g->end));
    for (; g->next < i && !c.err; g->next++) {
        uint64_t v = seg_get_varint(&c);

        if (v & 1)
            (void)nr_cur_take(&c, (size_t)(v >> 1));
    }
    if (c.err) {
        g->is = false;
        return c;
    }
    g->next_at = (uint64_t)(c.p - s->map.p);
    return c;
}

enum nr_err
segment_posting(struct segment *s, enum seg_class cl, uint64_t i,
    struct nr_arena *a, struct seg_posting *out, struct nr_diag *d)
{
    struct seg_posting p = { .first_s = NR_TIME_NONE, .last_s = NR_TIME_NONE };
    struct seg_group *g = &s->group[cl];
    struct seg_key key;
    struct nr_cur c, body;
    uint64_t at, v;
    enum nr_err err = segment_key(s, cl, i, &key, d);

    if (err)
        return err;
    c = entry_at(s, g, (uint32_t)(i % SEG_GROUP));
    at = g->next_at;
    v = seg_get_varint(&c);
    if (v & 1) {
        body = nr_cur(nr_cur_take(&c, (size_t)(v >> 1)));
        if (!c.err) {
            get_body(s, &body, a, &p, d);
            c.err = body.err;
        }
    } else if (!c.err) {
        get_simple(s, &c, v, a, &p, d);
    }
    if (!c.err && i % SEG_GROUP + 1 == g->n && nr_cur_left(&c) > 0)
        c.err = NR_EFORMAT;
    if (c.err == NR_ENOMEM)
        return nr_fail(d, NR_ENOMEM, 0, "segment: no memory for postings");
    if (c.err)
        return unsound(s, at, d);
    *out = p;
    return NR_OK;
}
