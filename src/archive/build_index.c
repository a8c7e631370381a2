/* Building the index of a segment: what was seen is counted in a table, one
 * entry for each observable, and written in the order of keys. */
#include "archive/build.h"

#include "archive/order.h"

#include <assert.h>
#include <stdlib.h>

#define NONE        UINT32_MAX
#define SLOTS_FIRST ((size_t)1 << 15)
#define ENTRY_MAX   ((size_t)1 << 30) /* entries; the memory ends before */
#define AHEAD       ((size_t)12) /* observations fetched before their turn */

bool
build_index_init(struct build *b)
{
    b->slots = calloc(SLOTS_FIRST, sizeof(*b->slots));
    b->n_slots = SLOTS_FIRST;
    return b->slots != NULL;
}

void
build_index_fini(struct build *b)
{
    free(b->entries);
    free(b->slots);
    free(b->posts);
}

size_t
build_index_memory(const struct build *b)
{
    /* What publishing needs beside: the order and the encoded index. */
    return b->n_entries *
        (sizeof(*b->entries) * 2 + 2 * sizeof(struct order) + 32) +
        b->n_posts * (sizeof(*b->posts) * 2 + sizeof(struct seg_place) + 8) +
        b->n_slots * sizeof(*b->slots);
}

static uint64_t
hash(enum seg_class c, struct seg_key k)
{
    if (c == SEG_NAME)
        return k.lo; /* a fingerprint is one already */
    return ((k.hi ^ (uint64_t)c) * UINT64_C(0x9e3779b97f4a7c15) ^ k.lo) *
        UINT64_C(0xd6e8feb86659fd93);
}

/* A slot holds an entry + 1 and, above it, upper bits of its hash: a slot of
 * another key is passed without a look at its entry. 0: empty. */
static uint64_t
slot_of(uint64_t h, size_t entry)
{
    return (h & ~(uint64_t)UINT32_MAX) | ((uint64_t)entry + 1);
}

static bool
is_maybe(uint64_t slot, uint64_t h)
{
    return slot >> 32 == h >> 32;
}

static uint32_t
entry_in(uint64_t slot)
{
    return (uint32_t)(slot & UINT32_MAX) - 1;
}

static size_t
first_slot(const struct build *b, uint64_t h)
{
    return (size_t)(h >> 12) & (b->n_slots - 1);
}

static bool
grow_slots(struct build *b)
{
    size_t n = b->n_slots * 2;
    uint64_t *v = calloc(n, sizeof(*v));

    if (!v)
        return false;
    free(b->slots);
    b->slots = v;
    b->n_slots = n;
    for (size_t i = 0; i < b->n_entries; i++) {
        uint64_t h = hash(b->entries[i].cls, b->entries[i].key);
        size_t at = first_slot(b, h);

        while (v[at])
            at = (at + 1) & (n - 1);
        v[at] = slot_of(h, i);
    }
    return true;
}

static bool
grow_entries(struct build *b)
{
    size_t cap = b->cap_entries ? b->cap_entries * 2 : SLOTS_FIRST;
    struct build_entry *v;

    if (cap > ENTRY_MAX)
        return false;
    v = realloc(b->entries, cap * sizeof(*v));
    if (!v)
        return false;
    b->entries = v;
    b->cap_entries = cap;
    return true;
}

static struct build_entry *
entry_of(struct build *b, enum seg_class c, struct seg_key k)
{
    uint64_t h = hash(c, k);
    size_t mask, at;
    struct build_entry *e;

    if (b->n_entries * 3 >= b->n_slots * 2 && !grow_slots(b))
        return NULL;
    mask = b->n_slots - 1;
    for (at = first_slot(b, h); b->slots[at]; at = (at + 1) & mask) {
        if (!is_maybe(b->slots[at], h))
            continue;
        e = &b->entries[entry_in(b->slots[at])];
        if (e->key.lo == k.lo && e->key.hi == k.hi && e->cls == (uint16_t)c)
            return e;
    }
    if (b->n_entries == b->cap_entries && !grow_entries(b))
        return NULL;
    e = &b->entries[b->n_entries++];
    *e = (struct build_entry){ .key = k,
        .first_s = NR_TIME_NONE,
        .last_s = NR_TIME_NONE,
        .cls = (uint16_t)c };
    b->slots[at] = slot_of(h, b->n_entries - 1);
    return e;
}

static bool
post(struct build *b, struct build_entry *e, uint32_t block, int32_t day)
{
    if (e->places > 0 && e->last.block == block && e->last.day == day)
        return true;
    if (b->n_posts == b->cap_posts) {
        size_t cap = b->cap_posts ? b->cap_posts * 2 : SLOTS_FIRST;
        struct build_post *v = cap < NONE ? realloc(b->posts, cap * sizeof(*v))
                                          : NULL;

        if (!v)
            return false;
        b->posts = v;
        b->cap_posts = cap;
    }
    assert(b->posts); /* there is room for one more */
    e->last = (struct seg_place){ block, day };
    e->places++;
    b->posts[b->n_posts++] = (struct build_post){ (uint32_t)(e - b->entries),
        e->last };
    return true;
}

static bool
count(struct build *b, const struct build_seen *o, const struct build_line *l)
{
    struct build_entry *e = entry_of(b, o->cls, o->key);

    if (!e)
        return false;
    if (e->line_id == l->id)
        return true;
    e->line_id = l->id;
    e->lines++;
    e->denied += l->denied;
    e->sources |= 1u << l->source;
    if (l->time_s != NR_TIME_NONE) {
        if (e->first_s == NR_TIME_NONE || l->time_s < e->first_s)
            e->first_s = l->time_s;
        if (e->last_s == NR_TIME_NONE || l->time_s > e->last_s)
            e->last_s = l->time_s;
    }
    b->observations++;
    return post(b, e, l->block, l->day);
}

/* Slots and entries lie all over the memory: those of the next observations
 * are fetched while this one is counted. */
static bool
count_all(struct build *b, const struct build_job *j)
{
    const struct build_seen *v = (const struct build_seen *)(const void *)
                                     j->seen.p;
    const struct build_line *l = (const struct build_line *)(const void *)
                                     j->lines.p;
    size_t n = j->seen.n / sizeof(*v);

    for (size_t i = 0; i < n; i++) {
        if (i + 2 * AHEAD < n) {
            const struct build_seen *far = &v[i + 2 * AHEAD];

            __builtin_prefetch(
                &b->slots[first_slot(b, hash(far->cls, far->key))]);
        }
        if (i + AHEAD < n) {
            uint64_t h = hash(v[i + AHEAD].cls, v[i + AHEAD].key);
            uint64_t slot = b->slots[first_slot(b, h)];

            if (slot && is_maybe(slot, h)) {
                const struct build_entry *e = &b->entries[entry_in(slot)];

                __builtin_prefetch(e);
                __builtin_prefetch(&e->places);
            }
        }
        if (!count(b, &v[i], &l[v[i].line]))
            return false;
    }
    return true;
}

enum nr_err
build_take(struct build *b, struct build_job *j, struct nr_diag *d)
{
    struct nr_bytes text = nr_buf_bytes(&j->text);

    if (!count_all(b, j))
        return nr_fail(d, NR_ENOMEM, 0,
            "archive: no memory for the index; give --memory less");
    nr_buf_put(&b->rows,
        (struct nr_bytes){ (const uint8_t *)&j->row, sizeof(j->row) });
    if (b->rows.err)
        return nr_fail(d, NR_ENOMEM, 0, "archive: no memory for a block");
    if (!j->keep)
        text.n = 0;
    return seg_writer_block(b->w, text, nr_buf_bytes(&j->meta), &j->row, d);
}

/* --- publishing --- */

/* V: room for all entries twice. Returns how many are of class C. */
static size_t
sorted(const struct build *b, enum seg_class c, struct order *v)
{
    size_t n = 0;

    for (size_t i = 0; i < b->n_entries; i++)
        if (b->entries[i].cls == (uint16_t)c)
            v[n++] = (struct order){ b->entries[i].key, (uint32_t)i };
    order_sort(c, v, v + b->n_entries, n);
    return n;
}

/* The places of all entries, those of one behind each other, ascending as they
 * came. AT: room for one more than there are entries; where each begins. */
static struct seg_place *
gather(const struct build *b, uint32_t *at)
{
    struct seg_place *v = calloc(b->n_posts + 1, sizeof(*v));
    uint32_t n = 0;

    for (size_t i = 0; i < b->n_entries; i++) {
        at[i] = n;
        n += b->entries[i].places;
    }
    for (size_t i = 0; v && i < b->n_posts; i++)
        v[at[b->posts[i].entry]++] = b->posts[i].at;
    for (size_t i = b->n_entries; i > 0; i--)
        at[i] = at[i - 1];
    at[0] = 0;
    return v;
}

static void
put_entry(const struct build_entry *e, enum seg_class c,
    const struct seg_place *places, struct seg_index *x)
{
    struct seg_entry out = { .key = e->key,
        .lines = e->lines,
        .denied = e->denied,
        .first_s = e->first_s,
        .last_s = e->last_s,
        .sources = e->sources,
        .places = places,
        .n_places = e->places };

    if (e->places > 0)
        seg_index_put(x, c, &out);
}

enum nr_err
build_put_index(const struct build *b, struct seg_index *x)
{
    struct order *v = calloc(2 * b->n_entries + 1, sizeof(*v));
    uint32_t *at = calloc(b->n_entries + 1, sizeof(*at));
    struct seg_place *places = at ? gather(b, at) : NULL;
    enum nr_err err = v && places ? NR_OK : NR_ENOMEM;

    for (unsigned c = 0; !err && c < SEG_CLASSES; c++) {
        size_t n = sorted(b, c, v);

        for (size_t i = 0; i < n; i++) {
            if (i + AHEAD < n) {
                __builtin_prefetch(&b->entries[v[i + AHEAD].of]);
                __builtin_prefetch(&b->entries[v[i + AHEAD].of].places);
                __builtin_prefetch(&places[at[v[i + AHEAD].of]]);
            }
            put_entry(&b->entries[v[i].of], c, places + at[v[i].of], x);
        }
    }
    free(places);
    free(at);
    free(v);
    return err;
}
