/* The facts behind an extent, inside the room. */
#ifndef NR_PICTURE_FACTS_H
#define NR_PICTURE_FACTS_H

#include "base/arena.h"
#include "base/buf.h"
#include "base/table.h"
#include "picture/picture.h"

/* Facts of one sort: elements of SIZE octets found by a key. */
struct store {
    struct nr_table by_key;
    uint8_t *v; /* owned */
    size_t n, cap, size;
};

struct nr_extent {
    struct nr_arena a; /* texts and keys */
    struct store members, readers, reports, sightings;
};

static inline const void *
store_at(const struct store *s, size_t i)
{
    return s->v + i * s->size;
}

/* NULL: no such member, report or sighting. */
const struct nr_extent_member *nr_facts_member(const struct nr_extent *x,
    struct nr_str id);
const struct nr_extent_report *nr_facts_report(const struct nr_extent *x,
    struct nr_str id);
const struct nr_extent_sighting *nr_facts_sighting(const struct nr_extent *x,
    struct nr_str member, struct nr_str indicator, struct nr_buf *scratch);

#endif
