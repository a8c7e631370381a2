#include "base/table.h"

#include "base/fault.h"
#include "base/hash.h"

#include <stdlib.h>

#define CAP_MIN ((size_t)16)

void
nr_table_init(struct nr_table *t, uint64_t seed)
{
    *t = (struct nr_table){ .seed = seed };
}

void
nr_table_fini(struct nr_table *t)
{
    free(t->slots);
    *t = (struct nr_table){ 0 };
}

/* The slot of KEY, or the empty one where it belongs; cap > n. */
static struct nr_table_slot *
find(const struct nr_table *t, struct nr_bytes key)
{
    size_t i = nr_xxh64(key, t->seed) & (t->cap - 1);

    while (t->slots[i].key.p && !nr_bytes_eq(t->slots[i].key, key))
        i = (i + 1) & (t->cap - 1);
    return &t->slots[i];
}

uint64_t *
nr_table_get(const struct nr_table *t, struct nr_bytes key)
{
    struct nr_table_slot *s = t->cap ? find(t, key) : NULL;

    return s && s->key.p ? &s->value : NULL;
}

static bool
grow(struct nr_table *t)
{
    struct nr_table next = { .cap = t->cap ? t->cap * 2 : CAP_MIN,
        .n = t->n,
        .seed = t->seed };

    next.slots = nr_fault() ? NULL : calloc(next.cap, sizeof(*next.slots));
    if (!next.slots)
        return false;
    for (size_t i = 0; i < t->cap; i++)
        if (t->slots[i].key.p)
            *find(&next, t->slots[i].key) = t->slots[i];
    free(t->slots);
    *t = next;
    return true;
}

uint64_t *
nr_table_put(struct nr_table *t, struct nr_bytes key, uint64_t value,
    bool *added)
{
    struct nr_table_slot *s;

    if (t->n >= t->cap / 4 * 3 && !grow(t))
        return NULL;
    s = find(t, key);
    if (added)
        *added = !s->key.p;
    if (!s->key.p) {
        *s = (struct nr_table_slot){ key, value };
        t->n++;
    }
    return &s->value;
}
