/*
 * Map of octets to a pointer that also knows the order of adding. Chained, of
 * a fixed number of buckets (the users bound the number of keys), keyed by a
 * random seed: indicators come from outside. Keys are copied.
 */
#ifndef NR_ALERT_MAP_H
#define NR_ALERT_MAP_H

#include "base/err.h"
#include "base/str.h"

struct alert_node {
    struct alert_node *chain;         /* of the bucket */
    struct alert_node *older, *newer; /* in the order of adding */
    uint64_t hash;
    struct nr_bytes key; /* stands behind the node */
    void *value;
};

struct alert_map {
    struct alert_node **buckets; /* owned; n_buckets is a power of 2 */
    size_t n_buckets, n;
    uint64_t seed;
    struct alert_node *oldest, *newest;
};

/* BUCKETS: a power of 2. NR_ENOMEM. */
enum nr_err alert_map_init(struct alert_map *m, size_t buckets, uint64_t seed,
    struct nr_diag *d) NR_MUST_USE;
void alert_map_fini(struct alert_map *m); /* values are the user's */
struct alert_node *alert_map_find(const struct alert_map *m,
    struct nr_bytes key);
/* KEY is not there yet. NULL: out of memory. */
struct alert_node *alert_map_add(struct alert_map *m, struct nr_bytes key,
    void *value);
void alert_map_remove(struct alert_map *m, struct alert_node *n);

#endif
