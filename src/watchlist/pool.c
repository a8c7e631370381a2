/* Records that come again and again, kept once. */
#include "watchlist/build.h"

#include "base/num.h"

#include <stdlib.h>
#include <string.h>

void
nr_wl_pool_init(struct nr_wl_pool *p, size_t size, uint64_t seed)
{
    *p = (struct nr_wl_pool){ .size = size, .seed = seed };
}

void
nr_wl_pool_fini(struct nr_wl_pool *p)
{
    free(p->v);
    free(p->slots);
}

static uint64_t
hash(const struct nr_wl_pool *p, const uint8_t *rec)
{
    return nr_xxh64((struct nr_bytes){ rec, p->size }, p->seed);
}

static enum nr_err
grow(struct nr_wl_pool *p)
{
    size_t cap = p->cap ? p->cap * 2 : 16, octets;
    size_t n_slots = cap * 2;
    uint8_t *v = nr_mul(cap, p->size, &octets) ? realloc(p->v, octets) : NULL;
    uint32_t *slots;

    if (!v)
        return NR_ENOMEM;
    p->v = v;
    slots = calloc(n_slots, sizeof(*slots));
    if (!slots)
        return NR_ENOMEM;
    p->cap = cap;
    for (uint32_t i = 0; i < p->n; i++) {
        size_t s = hash(p, v + i * p->size) & (n_slots - 1);

        while (slots[s])
            s = (s + 1) & (n_slots - 1);
        slots[s] = i + 1;
    }
    free(p->slots);
    p->slots = slots;
    p->n_slots = n_slots;
    return NR_OK;
}

enum nr_err
nr_wl_pool_put(struct nr_wl_pool *p, const void *rec, uint32_t *number)
{
    size_t s;

    if (p->n == p->cap && (p->n >= UINT32_MAX / 4 || grow(p) != NR_OK))
        return NR_ENOMEM;
    for (s = hash(p, rec) & (p->n_slots - 1); p->slots[s];
         s = (s + 1) & (p->n_slots - 1))
        if (memcmp(p->v + (p->slots[s] - 1) * p->size, rec, p->size) == 0) {
            *number = p->slots[s] - 1;
            return NR_OK;
        }
    memcpy(p->v + p->n * p->size, rec, p->size);
    p->slots[s] = (uint32_t)++p->n;
    *number = (uint32_t)p->n - 1;
    return NR_OK;
}
