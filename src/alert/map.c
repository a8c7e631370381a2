#include "alert/map.h"

#include "base/hash.h"

#include <stdlib.h>

enum nr_err
alert_map_init(struct alert_map *m, size_t buckets, uint64_t seed,
    struct nr_diag *d)
{
    *m = (struct alert_map){ .n_buckets = buckets, .seed = seed };
    m->buckets = calloc(buckets, sizeof(struct alert_node *));
    return m->buckets ? NR_OK
                      : nr_fail(d, NR_ENOMEM, 0, "alert: out of memory");
}

void
alert_map_fini(struct alert_map *m)
{
    while (m->oldest)
        alert_map_remove(m, m->oldest);
    free(m->buckets);
    m->buckets = NULL;
}

static struct alert_node **
bucket(const struct alert_map *m, uint64_t hash)
{
    return &m->buckets[hash & (m->n_buckets - 1)];
}

struct alert_node *
alert_map_find(const struct alert_map *m, struct nr_bytes key)
{
    uint64_t hash = nr_xxh64(key, m->seed);
    struct alert_node *n = *bucket(m, hash);

    while (n && (n->hash != hash || !nr_bytes_eq(n->key, key)))
        n = n->chain;
    return n;
}

struct alert_node *
alert_map_add(struct alert_map *m, struct nr_bytes key, void *value)
{
    struct alert_node *n = malloc(sizeof(*n) + key.n), **head;

    if (!n)
        return NULL;
    if (key.n > 0)
        memcpy(n + 1, key.p, key.n);
    *n = (struct alert_node){
        .older = m->newest,
        .hash = nr_xxh64(key, m->seed),
        .key = { (const uint8_t *)(n + 1), key.n },
        .value = value,
    };
    head = bucket(m, n->hash);
    n->chain = *head;
    *head = n;
    if (m->newest)
        m->newest->newer = n;
    else
        m->oldest = n;
    m->newest = n;
    m->n++;
    return n;
}

void
alert_map_remove(struct alert_map *m, struct alert_node *n)
{
    struct alert_node **at = bucket(m, n->hash);

    while (*at != n)
        at = &(*at)->chain;
    *at = n->chain;
    if (n->older)
        n->older->newer = n->newer;
    else
        m->oldest = n->newer;
    if (n->newer)
        n->newer->older = n->older;
    else
        m->newest = n->older;
    m->n--;
    free(n);
}
