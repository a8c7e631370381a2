#include "picture/facts.h"
#include "base/buf.h"
#include "base/fault.h"

#include <stdlib.h>

#define KEY_MAX   ((size_t)1 << 16) /* octets of two ids */
#define STORE_MIN ((size_t)64)

struct nr_extent *
nr_extent_create(size_t max)
{
    struct nr_extent *x = calloc(1, sizeof(*x));

    if (!x)
        return NULL;
    nr_arena_init(&x->a, max);
    x->members.size = sizeof(struct nr_extent_member);
    x->readers.size = sizeof(struct nr_extent_reader);
    x->reports.size = sizeof(struct nr_extent_report);
    x->sightings.size = sizeof(struct nr_extent_sighting);
    return x;
}

static void
store_fini(struct store *s)
{
    nr_table_fini(&s->by_key);
    free(s->v);
}

void
nr_extent_destroy(struct nr_extent *x)
{
    if (!x)
        return;
    store_fini(&x->members);
    store_fini(&x->readers);
    store_fini(&x->reports);
    store_fini(&x->sightings);
    nr_arena_fini(&x->a);
    free(x);
}

static bool
copy(struct nr_arena *a, struct nr_str *s)
{
    char *p = nr_new(a, char, s->n + 1);

    if (!p)
        return false;
    if (s->n)
        memcpy(p, s->p, s->n);
    s->p = p;
    return true;
}

/* The element of KEY, made if missing (*ADDED). NULL: out of memory. */
static void *
store_slot(struct nr_extent *x, struct store *s, struct nr_bytes key,
    bool *added)
{
    uint64_t *at = s->by_key.cap ? nr_table_get(&s->by_key, key) : NULL;
    struct nr_str k = { (const char *)key.p, key.n };

    *added = !at;
    if (at)
        return s->v + *at * s->size;
    if (s->n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : STORE_MIN;
        uint8_t *v = nr_fault() ? NULL : reallocarray(s->v, cap, s->size);

        if (!v)
            return NULL;
        s->v = v;
        s->cap = cap;
    }
    if (!copy(&x->a, &k) ||
        !nr_table_put(&s->by_key, nr_bytes_of(k), s->n, NULL))
        return NULL;
    memset(s->v + s->n * s->size, 0, s->size);
    return s->v + s->n++ * s->size;
}

/* A then B as one key; ids hold no NUL. */
static struct nr_bytes
pair(struct nr_buf *b, struct nr_str left, struct nr_str right)
{
    nr_buf_reset(b);
    nr_buf_put_str(b, left);
    nr_buf_put_c(b, '\0');
    nr_buf_put_str(b, right);
    return nr_buf_bytes(b);
}

static int
cmp_str(struct nr_str a, struct nr_str b)
{
    return nr_bytes_cmp(nr_bytes_of(a), nr_bytes_of(b));
}

static int
cmp_i64(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int
cmp_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

/* The first that is not zero. */
static int
first_of(const int *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (c[i])
            return c[i];
    return 0;
}

static int
cmp_member(const struct nr_extent_member *a, const struct nr_extent_member *b)
{
    const int c[] = { cmp_i64(a->version_us, b->version_us), a->gone - b->gone,
        cmp_str(a->sector, b->sector), cmp_str(a->size, b->size) };

    return first_of(c, sizeof(c) / sizeof(c[0]));
}

enum nr_err
nr_extent_add_member(struct nr_extent *x, const struct nr_extent_member *f)
{
    struct nr_extent_member fact = *f, *to;
    bool added = false;

    if (!f->id.n)
        return NR_EFORMAT;
    to = store_slot(x, &x->members, nr_bytes_of(f->id), &added);
    if (!to || (added && !copy(&x->a, &fact.id)))
        return NR_ENOMEM;
    if (!added && cmp_member(f, to) <= 0)
        return NR_OK;
    if (!added)
        fact.id = to->id;
    if (!copy(&x->a, &fact.sector) || !copy(&x->a, &fact.size))
        return NR_ENOMEM;
    *to = fact;
    return NR_OK;
}

enum nr_err
nr_extent_add_reader(struct nr_extent *x, const struct nr_extent_reader *f)
{
    struct nr_extent_reader fact = *f, *to = NULL;
    enum nr_err err = NR_ENOMEM;
    struct nr_buf key;
    bool added = false;

    if (!f->collection.n || !f->member.n)
        return NR_EFORMAT;
    nr_buf_init(&key, KEY_MAX);
    (void)pair(&key, f->collection, f->member);
    if (!key.err)
        to = store_slot(x, &x->readers, nr_buf_bytes(&key), &added);
    if (!to)
        goto out;
    if (added && (!copy(&x->a, &fact.collection) || !copy(&x->a, &fact.member)))
        goto out;
    err = NR_OK;
    if (added) {
        *to = fact;
    } else if (f->version_us > to->version_us ||
        (f->version_us == to->version_us && f->gone && !to->gone)) {
        to->version_us = f->version_us;
        to->gone = f->gone;
    }
out:
    nr_buf_fini(&key);
    return err;
}

static int
cmp_report(const struct nr_extent_report *a, const struct nr_extent_report *b)
{
    int c[] = { cmp_i64(a->version_us, b->version_us),
        cmp_str(a->name, b->name), cmp_str(a->collection, b->collection),
        cmp_i64(a->published_s, b->published_s), cmp_u64(a->n, b->n) };
    int d = first_of(c, sizeof(c) / sizeof(c[0]));

    for (size_t i = 0; !d && i < a->n; i++)
        d = cmp_str(a->indicators[i], b->indicators[i]);
    return d;
}

enum nr_err
nr_extent_add_report(struct nr_extent *x, const struct nr_extent_report *f)
{
    struct nr_extent_report fact = *f, *to;
    struct nr_str *ids;
    bool added = false;

    if (!f->id.n || !f->collection.n)
        return NR_EFORMAT;
    to = store_slot(x, &x->reports, nr_bytes_of(f->id), &added);
    if (!to)
        return NR_ENOMEM;
    if (!added && cmp_report(f, to) <= 0)
        return NR_OK;
    ids = nr_new(&x->a, struct nr_str, f->n + 1);
    if (!ids || !copy(&x->a, &fact.id) || !copy(&x->a, &fact.name) ||
        !copy(&x->a, &fact.collection))
        return NR_ENOMEM;
    for (size_t i = 0; i < f->n; i++) {
        ids[i] = f->indicators[i];
        if (!copy(&x->a, &ids[i]))
            return NR_ENOMEM;
    }
    fact.indicators = ids;
    *to = fact;
    return NR_OK;
}

static int
cmp_sighting(const struct nr_extent_sighting *a,
    const struct nr_extent_sighting *b)
{
    const int c[] = { cmp_i64(a->version_us, b->version_us),
        (int)a->answer - (int)b->answer, cmp_i64(a->first_s, b->first_s),
        cmp_i64(a->last_s, b->last_s), cmp_u64(a->lines, b->lines),
        cmp_u64(a->denied, b->denied),
        (a->coverage > b->coverage) - (a->coverage < b->coverage) };

    return first_of(c, sizeof(c) / sizeof(c[0]));
}

enum nr_err
nr_extent_add_sighting(struct nr_extent *x, const struct nr_extent_sighting *f)
{
    struct nr_extent_sighting fact = *f, *to = NULL;
    enum nr_err err = NR_ENOMEM;
    struct nr_buf key;
    bool added = false;

    if (!f->member.n || !f->indicator.n || f->answer > NR_EXTENT_CANNOT_SAY ||
        !(f->coverage >= 0 && f->coverage <= 1))
        return NR_EFORMAT;
    nr_buf_init(&key, KEY_MAX);
    (void)pair(&key, f->member, f->indicator);
    if (!key.err)
        to = store_slot(x, &x->sightings, nr_buf_bytes(&key), &added);
    if (!to)
        goto out;
    if (added && (!copy(&x->a, &fact.member) || !copy(&x->a, &fact.indicator)))
        goto out;
    err = NR_OK;
    if (!added) {
        fact.member = to->member;
        fact.indicator = to->indicator;
    }
    if (added || cmp_sighting(f, to) > 0)
        *to = fact;
out:
    nr_buf_fini(&key);
    return err;
}

static const void *
find(const struct store *s, struct nr_bytes key)
{
    const uint64_t *at = s->by_key.cap ? nr_table_get(&s->by_key, key) : NULL;

    return at ? store_at(s, *at) : NULL;
}

const struct nr_extent_member *
nr_facts_member(const struct nr_extent *x, struct nr_str id)
{
    return find(&x->members, nr_bytes_of(id));
}

const struct nr_extent_report *
nr_facts_report(const struct nr_extent *x, struct nr_str id)
{
    return find(&x->reports, nr_bytes_of(id));
}

const struct nr_extent_sighting *
nr_facts_sighting(const struct nr_extent *x, struct nr_str member,
    struct nr_str indicator, struct nr_buf *scratch)
{
    return find(&x->sightings, pair(scratch, member, indicator));
}
