#include "extract/unique.h"

#include "base/hash.h"
#include "base/num.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK      ((size_t)1 << 20) /* octets of records taken at a time */
#define UNIT       ((size_t)8)       /* records begin at multiples of it */
#define PER_CHUNK  (CHUNK / UNIT)
#define CHUNKS_MAX ((size_t)1 << 15) /* 32 GiB: what 32 bits of units reach */
#define SLOTS_MIN  ((size_t)1 << 12)
#define SLOTS_MAX  ((size_t)1 << 31)
/* Octets a value that sorting takes: its place, and the room of qsort. */
#define ORDER_COST ((uint64_t)8)

#define N_SHIFT    40 /* in `what`: count, octets of the key, kind */
#define KIND_SHIFT 54
#define FILE_SHIFT 44 /* in `first`: line, file */
#define KEY_MAX    ((size_t)0x3fff)

struct record {
    uint64_t what, first;
    uint8_t key[];
};

struct nr_unique {
    uint64_t memory, seed;
    uint8_t **chunks; /* owned; CHUNKS_MAX places, n_chunks in use */
    uint32_t *ends;   /* owned; octets in use of each chunk */
    size_t n_chunks;
    uint64_t *slots; /* owned; hash << 32 | unit of the record + 1; 0: empty */
    size_t cap;      /* a power of 2 */
    uint32_t n;      /* records */
    uint32_t *order; /* owned; their units, once sorted */
};

static struct record *
record_at(const struct nr_unique *u, uint32_t unit)
{
    return (struct record *)(void *)(u->chunks[unit / PER_CHUNK] +
        unit % PER_CHUNK * UNIT);
}

static uint64_t
count_of(const struct record *r)
{
    return r->what & NR_UNIQUE_COUNT_MAX;
}

static size_t
n_of(const struct record *r)
{
    return (size_t)(r->what >> N_SHIFT) & KEY_MAX;
}

struct nr_unique *
nr_unique_create(uint64_t memory, uint64_t seed)
{
    struct nr_unique *u = calloc(1, sizeof(*u));

    if (!u)
        return NULL;
    u->memory = memory;
    u->seed = seed;
    u->cap = SLOTS_MIN;
    u->chunks = calloc(CHUNKS_MAX, sizeof(*u->chunks));
    u->ends = calloc(CHUNKS_MAX, sizeof(*u->ends));
    u->slots = calloc(u->cap, sizeof(*u->slots));
    if (!u->chunks || !u->ends || !u->slots) {
        nr_unique_destroy(u);
        return NULL;
    }
    return u;
}

void
nr_unique_destroy(struct nr_unique *u)
{
    if (!u)
        return;
    for (size_t i = 0; i < u->n_chunks; i++)
        free(u->chunks[i]);
    free(u->chunks);
    free(u->ends);
    free(u->slots);
    free(u->order);
    free(u);
}

uint32_t
nr_unique_hash(const struct nr_unique *u, unsigned kind, struct nr_bytes key)
{
    return (uint32_t)(nr_xxh64(key, u->seed + kind) >> 32);
}

void
nr_unique_prefetch(const struct nr_unique *u, uint32_t hash)
{
    __builtin_prefetch(&u->slots[hash & (u->cap - 1)]);
}

/* Would EXTRA octets more, while OLD are still held, be within bounds? */
static bool
affords(const struct nr_unique *u, uint64_t extra)
{
    uint64_t used = u->n_chunks * (uint64_t)CHUNK +
        u->cap * (uint64_t)sizeof(*u->slots) + u->n * ORDER_COST;

    return used <= u->memory && extra <= u->memory - used;
}

static enum nr_err
grow_slots(struct nr_unique *u)
{
    size_t cap = u->cap * 2;
    uint64_t *slots;

    if (cap > SLOTS_MAX || !affords(u, cap * sizeof(*slots)))
        return NR_ELIMIT;
    slots = calloc(cap, sizeof(*slots));
    if (!slots)
        return NR_ENOMEM;
    for (size_t i = 0; i < u->cap; i++) {
        size_t to = (size_t)(u->slots[i] >> 32) & (cap - 1);

        if (u->slots[i] == 0)
            continue;
        while (slots[to] != 0)
            to = (to + 1) & (cap - 1);
        slots[to] = u->slots[i];
    }
    free(u->slots);
    u->slots = slots;
    u->cap = cap;
    return NR_OK;
}

/* Room for SIZE octets of a record, its place in *UNIT. */
static enum nr_err
reserve(struct nr_unique *u, size_t size, uint32_t *unit)
{
    size_t last;

    if (u->n_chunks == 0 || CHUNK - u->ends[u->n_chunks - 1] < size) {
        uint8_t *chunk;

        if (u->n_chunks == CHUNKS_MAX || !affords(u, CHUNK))
            return NR_ELIMIT;
        chunk = malloc(CHUNK);
        if (!chunk)
            return NR_ENOMEM;
        u->chunks[u->n_chunks++] = chunk;
    }
    last = u->n_chunks - 1;
    *unit = (uint32_t)(last * PER_CHUNK + u->ends[last] / UNIT);
    u->ends[last] += (uint32_t)size;
    return NR_OK;
}

static size_t
size_of(size_t key_n)
{
    return (sizeof(struct record) + key_n + UNIT - 1) & ~(UNIT - 1);
}

static enum nr_err
insert(struct nr_unique *u, uint32_t hash, unsigned kind, struct nr_bytes key,
    uint32_t file, uint64_t line)
{
    size_t size = size_of(key.n);
    enum nr_err err = NR_OK;
    struct record *r;
    uint32_t unit = 0;
    size_t i;

    if (u->n + 1 > u->cap / 4 * 3)
        err = grow_slots(u);
    if (!err)
        err = reserve(u, size, &unit);
    if (err)
        return err;
    r = record_at(u, unit);
    r->what = (uint64_t)kind << KIND_SHIFT | (uint64_t)key.n << N_SHIFT | 1;
    r->first = (uint64_t)file << FILE_SHIFT |
        (line < NR_UNIQUE_LINE_MAX ? line : NR_UNIQUE_LINE_MAX);
    memcpy(r->key, key.p, key.n);
    for (i = hash & (u->cap - 1); u->slots[i] != 0;)
        i = (i + 1) & (u->cap - 1);
    u->n++;
    u->slots[i] = (uint64_t)hash << 32 | (unit + 1);
    return NR_OK;
}

enum nr_err
nr_unique_add(struct nr_unique *u, uint32_t hash, unsigned kind,
    struct nr_bytes key, uint32_t file, uint64_t line)
{
    uint64_t what = (uint64_t)kind << (KIND_SHIFT - N_SHIFT) | key.n;

    for (size_t i = hash & (u->cap - 1);; i = (i + 1) & (u->cap - 1)) {
        uint64_t s = u->slots[i];
        struct record *r;

        if (s == 0)
            return insert(u, hash, kind, key, file, line);
        if ((uint32_t)(s >> 32) != hash)
            continue;
        r = record_at(u, (uint32_t)s - 1);
        if (r->what >> N_SHIFT == what && memcmp(r->key, key.p, key.n) == 0) {
            r->what += count_of(r) < NR_UNIQUE_COUNT_MAX;
            return NR_OK;
        }
    }
}

uint32_t
nr_unique_n(const struct nr_unique *u)
{
    return u->n;
}

static struct nr_unique_value
value(const struct record *r)
{
    return (struct nr_unique_value){
        .kind = (unsigned)(r->what >> KIND_SHIFT),
        .key = { r->key, n_of(r) },
        .count = count_of(r),
        .line = r->first & NR_UNIQUE_LINE_MAX,
        .file = (uint32_t)(r->first >> FILE_SHIFT),
    };
}

struct nr_unique_value
nr_unique_at(const struct nr_unique *u, uint32_t i)
{
    return value(record_at(u, u->order[i]));
}

/* Records lie in the order of first sight, so their places settle ties. */
static int
by_count(const void *a, const void *b, void *ctx)
{
    const uint32_t *x = a, *y = b;
    uint64_t m = count_of(record_at(ctx, *x)), n = count_of(record_at(ctx, *y));

    if (m != n)
        return m > n ? -1 : 1;
    return (*x > *y) - (*x < *y);
}

static int
by_value(const void *a, const void *b, void *ctx)
{
    const uint32_t *x = a, *y = b;
    struct nr_unique_value v = value(record_at(ctx, *x));
    struct nr_unique_value w = value(record_at(ctx, *y));

    if (v.kind != w.kind)
        return v.kind < w.kind ? -1 : 1;
    return nr_bytes_cmp(v.key, w.key);
}

/* The units of all records, in the order in which they were made. */
static enum nr_err
list(struct nr_unique *u)
{
    uint32_t n = 0;

    free(u->order);
    u->order = calloc((size_t)u->n + 1, sizeof(*u->order));
    if (!u->order)
        return NR_ENOMEM;
    for (size_t c = 0; c < u->n_chunks; c++)
        for (size_t at = 0; at < u->ends[c];) {
            uint32_t unit = (uint32_t)(c * PER_CHUNK + at / UNIT);

            u->order[n++] = unit;
            at += size_of(n_of(record_at(u, unit)));
        }
    return NR_OK;
}

enum nr_err
nr_unique_sort(struct nr_unique *u, enum nr_unique_order how)
{
    enum nr_err err = list(u);

    if (err)
        return err;
    if (how == NR_UNIQUE_BY_COUNT)
        qsort_r(u->order, u->n, sizeof(*u->order), by_count, u);
    else if (how == NR_UNIQUE_BY_VALUE)
        qsort_r(u->order, u->n, sizeof(*u->order), by_value, u);
    return NR_OK;
}
