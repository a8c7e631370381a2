/* The index of a segment, written. */
#include "archive/segment.h"
#include "base/num.h"

#include <stdlib.h>

#define INDEX_MAX ((size_t)UINT32_MAX) /* offsets have 4 octets */

static const size_t key_size[SEG_CLASSES] = { 4, 16, SEG_NAME_OCTETS };

void
seg_index_init(struct seg_index *x, const struct seg_block *rows,
    uint32_t n_rows)
{
    *x = (struct seg_index){ .rows = rows, .n_rows = n_rows };
    for (unsigned c = 0; c < SEG_CLASSES; c++)
        nr_buf_init(&x->dir[c], INDEX_MAX);
    nr_buf_init(&x->entries, INDEX_MAX);
    nr_buf_init(&x->body, INDEX_MAX);
    nr_buf_init(&x->group, INDEX_MAX);
    nr_buf_init(&x->days, INDEX_MAX);
}

void
seg_index_fini(struct seg_index *x)
{
    for (unsigned c = 0; c < SEG_CLASSES; c++)
        nr_buf_fini(&x->dir[c]);
    nr_buf_fini(&x->entries);
    nr_buf_fini(&x->body);
    nr_buf_fini(&x->group);
    nr_buf_fini(&x->days);
}

/* --- one entry --- */

static int64_t
block_days(const struct seg_block *r)
{
    if (r->first_s == NR_TIME_NONE)
        return 0;
    return nr_day_of(r->last_s) - nr_day_of(r->first_s) + 1;
}

/* Can the days of E be told block by block? */
static bool
has_plain_days(const struct seg_index *x, const struct seg_entry *e)
{
    for (size_t i = 0, k; i < e->n_places; i = k) {
        const struct seg_block *r = &x->rows[e->places[i].block];
        int64_t days = block_days(r), first = nr_day_of(r->first_s);
        bool timed = false;

        for (k = i; k < e->n_places && e->places[k].block == e->places[i].block;
             k++) {
            if (e->places[k].day == INT32_MIN)
                continue;
            timed = true;
            if (e->places[k].day < first || e->places[k].day >= first + days)
                return false;
        }
        if (days > SEG_DAY_BITS || (days == 1 && !timed))
            return false;
    }
    return true;
}

/* Bits, low ones first. */
struct bits {
    struct nr_buf *to;
    uint64_t v;
    unsigned n;
};

static void
put_bits(struct bits *b, uint64_t v, unsigned n)
{
    b->v |= v << b->n;
    for (b->n += n; b->n >= 8; b->n -= 8) {
        nr_buf_put_c(b->to, (char)(b->v & 0xff));
        b->v >>= 8;
    }
}

static void
end_bits(struct bits *b)
{
    if (b->n > 0)
        nr_buf_put_c(b->to, (char)(b->v & 0xff));
}

static void
put_plain_days(struct bits *b, const struct seg_index *x,
    const struct seg_entry *e)
{
    for (size_t i = 0, k; i < e->n_places; i = k) {
        const struct seg_block *r = &x->rows[e->places[i].block];
        int64_t days = block_days(r);
        uint64_t mask = 0;

        for (k = i; k < e->n_places && e->places[k].block == e->places[i].block;
             k++)
            if (e->places[k].day != INT32_MIN)
                mask |= UINT64_C(1)
                    << (e->places[k].day - nr_day_of(r->first_s));
        if (days > 1)
            put_bits(b, mask, (unsigned)days);
    }
}

static int
by_day(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

    return (x > y) - (x < y);
}

static void
put_listed_days(struct seg_index *x, const struct seg_entry *e)
{
    uint64_t days = 0;
    int32_t *day;
    size_t n;

    nr_buf_reset(&x->days);
    for (size_t i = 0; i < e->n_places; i++)
        if (e->places[i].day != INT32_MIN)
            nr_buf_put(&x->days,
                (struct nr_bytes){ (const uint8_t *)&e->places[i].day, 4 });
    n = x->days.n / 4;
    day = (int32_t *)(void *)x->days.p;
    if (n > 1)
        qsort(day, n, sizeof(*day), by_day);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || day[i] != day[i - 1])
            day[days++] = day[i];
    seg_put_varint(&x->body, days);
    for (size_t i = 0; i < days; i++)
        seg_put_varint(&x->body,
            i ? (uint64_t)((int64_t)day[i] - day[i - 1] - 1)
              : seg_zigzag(day[i]));
}

static void
put_bitmap(struct seg_index *x, const struct seg_entry *e)
{
    size_t n = (x->n_rows + 7) / 8;
    uint8_t *to = nr_buf_extend(&x->body, n);

    if (!to)
        return;
    memset(to, 0, n);
    for (size_t i = 0; i < e->n_places; i++)
        to[e->places[i].block / 8] |= (uint8_t)(1u << e->places[i].block % 8);
}

/* Rice's code: what is above K bits as so many ones and a zero. */
static void
put_rice(struct bits *b, uint64_t v, unsigned k)
{
    for (uint64_t q = v >> k; q > 0; q--)
        put_bits(b, 1, 1);
    put_bits(b, 0, 1);
    put_bits(b, v & ((UINT64_C(1) << k) - 1), k);
}

static void
put_blocks(struct bits *b, const struct seg_index *x, const struct seg_entry *e,
    size_t n)
{
    unsigned k = seg_rice(x->n_rows, n);
    uint32_t last = e->places[0].block;

    put_rice(b, last, k);
    for (size_t i = 1; i < e->n_places; i++) {
        uint32_t at = e->places[i].block;

        if (at != last)
            put_rice(b, at - last - 1, k);
        last = at;
    }
}

static bool
is_within(int64_t s, const struct seg_block *r)
{
    return r->first_s != NR_TIME_NONE && s >= r->first_s && s <= r->last_s;
}

static void
put_body(struct seg_index *x, const struct seg_entry *e, size_t blocks,
    uint32_t sources)
{
    const struct seg_block *first = &x->rows[e->places[0].block],
                           *last = &x->rows[e->places[e->n_places - 1].block];
    struct bits b = { .to = &x->body };
    unsigned flags = 0;

    nr_buf_reset(&x->body);
    flags |= e->denied > 0 ? SEG_E_DENIED : 0;
    flags |= e->sources != sources ? SEG_E_SOURCES : 0;
    flags |= blocks > x->n_rows / SEG_BITMAP_OF ? SEG_E_BITMAP : 0;
    if (e->first_s != NR_TIME_NONE)
        flags |= is_within(e->first_s, first) && is_within(e->last_s, last)
            ? SEG_E_TIMES
            : SEG_E_FAR;
    flags |= !has_plain_days(x, e) ? SEG_E_DAYS : 0;
    seg_put_varint(&x->body, e->lines);
    seg_put_varint(&x->body, flags);
    if (flags & SEG_E_DENIED)
        seg_put_varint(&x->body, e->denied);
    if (flags & SEG_E_SOURCES)
        seg_put_varint(&x->body, e->sources);
    if (flags & SEG_E_BITMAP)
        put_bitmap(x, e);
    else
        seg_put_varint(&x->body, blocks);
    if (flags & SEG_E_FAR) {
        seg_put_varint(&x->body, seg_zigzag(e->first_s));
        seg_put_varint(&x->body, (uint64_t)(e->last_s - e->first_s));
    }
    if (flags & SEG_E_DAYS)
        put_listed_days(x, e);
    if (!(flags & SEG_E_BITMAP))
        put_blocks(&b, x, e, blocks);
    if (flags & SEG_E_TIMES) {
        put_bits(&b, (uint64_t)(e->first_s - first->first_s),
            seg_span_bits(first));
        put_bits(&b, (uint64_t)(e->last_s - last->first_s),
            seg_span_bits(last));
    }
    if (!(flags & SEG_E_DAYS))
        put_plain_days(&b, x, e);
    end_bits(&b);
    seg_put_varint(&x->group, (uint64_t)x->body.n << 1 | 1);
    nr_buf_put(&x->group, nr_buf_bytes(&x->body));
    if (x->body.err)
        x->group.err = x->body.err;
}

static void
put_entry(struct seg_index *x, const struct seg_entry *e)
{
    size_t blocks = 1;
    uint32_t sources = 1u << x->rows[e->places[0].block].source;

    for (size_t i = 1; i < e->n_places; i++) {
        blocks += e->places[i].block != e->places[i - 1].block;
        sources |= 1u << x->rows[e->places[i].block].source;
    }
    if (blocks == 1 && e->sources == sources)
        seg_put_varint(&x->group,
            (uint64_t)e->places[0].block << 2 | (e->lines > 1 ? 2 : 0));
    else
        put_body(x, e, blocks, sources);
}

/* --- groups --- */

static void
put_be(struct nr_buf *b, uint64_t v)
{
    nr_buf_put_le(b, __builtin_bswap64(v), 8);
}

static void
put_row(struct seg_index *x, struct seg_key k)
{
    struct nr_buf *dir = &x->dir[x->cls];

    if (x->cls == SEG_V6) {
        put_be(dir, k.hi);
        put_be(dir, k.lo);
    } else {
        nr_buf_put_le(dir, k.lo, key_size[x->cls]);
    }
    nr_buf_put_le(dir, x->entries.n, 4);
}

static void
put_keys(struct seg_index *x)
{
    struct bits b = { .to = &x->entries };
    uint64_t all = 0;
    unsigned width;

    if (x->cls == SEG_V6) {
        nr_buf_put_c(&x->entries, (char)SEG_WIDE);
        for (uint32_t i = 1; i < x->n; i++) {
            put_be(&x->entries, x->key[i].hi);
            put_be(&x->entries, x->key[i].lo);
        }
        return;
    }
    for (uint32_t i = 1; i < x->n; i++)
        all |= x->key[i].lo - x->key[i - 1].lo;
    width = all ? 64 - (unsigned)__builtin_clzll(all) : 0;
    nr_buf_put_c(&x->entries, (char)width);
    for (uint32_t i = 1; i < x->n; i++)
        put_bits(&b, x->key[i].lo - x->key[i - 1].lo, width);
    end_bits(&b);
}

static void
end_group(struct seg_index *x)
{
    if (x->n == 0)
        return;
    put_row(x, x->key[0]);
    put_keys(x);
    nr_buf_put(&x->entries, nr_buf_bytes(&x->group));
    if (x->group.err)
        x->entries.err = x->group.err;
    for (unsigned c = x->cls; c < SEG_CLASSES; c++)
        x->end[c] = (uint32_t)x->entries.n;
    nr_buf_reset(&x->group);
    x->n = 0;
}

void
seg_index_put(struct seg_index *x, enum seg_class c, const struct seg_entry *e)
{
    if (x->n == SEG_GROUP || x->cls != c)
        end_group(x);
    x->cls = c;
    x->key[x->n++] = seg_stored_key(c, e->key);
    x->keys[c]++;
    put_entry(x, e);
}

enum nr_err
seg_index_end(struct seg_index *x, struct seg_writer *w)
{
    struct nr_buf *out;

    end_group(x);
    for (unsigned c = 0; c < SEG_CLASSES; c++) {
        size_t row = SEG_DIR_ROW(key_size[c]);

        nr_buf_put(&x->dir[c],
            (struct nr_bytes){ (const uint8_t[16]){ 0 }, key_size[c] });
        nr_buf_put_le(&x->dir[c], x->end[c], 4);
        if (x->dir[c].err)
            return x->dir[c].err;
        out = seg_writer_section(w, SEG_SEC_DIR4 + c, x->dir[c].n / row);
        nr_buf_put(out, nr_buf_bytes(&x->dir[c]));
    }
    out = seg_writer_section(w, SEG_SEC_ENTRIES,
        x->keys[SEG_V4] + x->keys[SEG_V6] + x->keys[SEG_NAME]);
    nr_buf_put(out, nr_buf_bytes(&x->entries));
    return x->entries.err ? x->entries.err : out->err;
}
