/* What a hunt looks up, in the order of the index. */
#include "archive/hunt.h"
#include "archive/order.h"
#include "base/mem.h"

#include <stdlib.h>

static struct seg_key
range_end(struct seg_key k, unsigned width, unsigned prefix)
{
    unsigned host = width - prefix;

    if (host >= 64) {
        k.lo = UINT64_MAX;
        k.hi |= host >= 128 ? UINT64_MAX : (UINT64_C(1) << (host - 64)) - 1;
    } else {
        k.lo |= (UINT64_C(1) << host) - 1;
    }
    return k;
}

static bool
put(struct probes *p, uint32_t indicator, unsigned kind, struct nr_bytes key)
{
    struct probe x = { .kind = kind, .key = key, .indicator = indicator };
    unsigned width = kind == NR_KIND_CIDR4 ? 32 : 128;

    if (!seg_key_of(kind, key, &x.cls, &x.lo))
        return false;
    x.hi = x.lo;
    if (kind == NR_KIND_CIDR4 || kind == NR_KIND_CIDR6) {
        if (key.n != width / 8 + 1 || key.p[width / 8] > width)
            return false;
        x.hi = range_end(x.lo, width, key.p[width / 8]);
    }
    p->v[p->n++] = x;
    return true;
}

/* As put, and where URLs are not indexed by their origin. */
static bool
put_name_of_url(struct probes *p, uint32_t indicator, struct nr_bytes key,
    bool origins)
{
    uint8_t buf[SEG_ORIGIN_MAX];
    struct probe x = { .kind = NR_KIND_URL,
        .key = key,
        .indicator = indicator,
        .origin = true };

    if (!put(p, indicator, NR_KIND_URL, key) || !origins)
        return true;
    if (!seg_key_of(NR_KIND_URL, seg_url_origin(key, buf), &x.cls, &x.lo))
        return false;
    x.hi = x.lo;
    p->v[p->n++] = x;
    return true;
}

static bool
put_url(struct nr_arena *a, struct probes *p, uint32_t indicator,
    struct nr_bytes key, bool origins)
{
    static const char *const schemes[] = { "http:", "https:" };

    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]);
        uint8_t *full = nr_new(a, uint8_t, n + key.n);

        if (!full)
            return false;
        memcpy(full, schemes[i], n);
        memcpy(full + n, key.p, key.n);
        if (!put_name_of_url(p, indicator, (struct nr_bytes){ full, n + key.n },
                origins))
            return false;
    }
    return true;
}

/* P->v by class, each in the order of the index, into SORTED. */
static bool
sort(const struct probes *p, struct probe *sorted)
{
    struct order *v = calloc(2 * p->n + 1, sizeof(*v));
    size_t done = 0;

    nr_mem_large(v, 2 * p->n * sizeof(*v));
    for (unsigned c = 0; v && c < SEG_CLASSES; c++) {
        size_t n = 0;

        for (size_t i = 0; i < p->n; i++)
            if (p->v[i].cls == c)
                v[n++] = (struct order){ p->v[i].lo, (uint32_t)i };
        order_sort(c, v, v + p->n, n);
        for (size_t i = 0; i < n; i++)
            sorted[done++] = p->v[v[i].of];
    }
    free(v);
    return v != NULL;
}

/* A URL without scheme is two, each with its origin. */
static size_t
probes_of(const struct nr_indicator *const *v, size_t n, bool origins)
{
    size_t room = n;

    for (size_t i = 0; i < n; i++) {
        bool both = v[i]->kind == NR_KIND_URL &&
            nr_bytes_starts(v[i]->key, NR_BYTES("//"));

        if (v[i]->kind == NR_KIND_URL)
            room += (both ? 2U : 1U) * (origins ? 2U : 1U) - 1U;
    }
    return room;
}

static bool
put_all(struct nr_arena *a, struct probes *p,
    const struct nr_indicator *const *v, size_t n, bool origins)
{
    for (size_t i = 0; i < n; i++) {
        struct nr_bytes key = v[i]->key;

        if (v[i]->kind == NR_KIND_URL && nr_bytes_starts(key, NR_BYTES("//"))) {
            if (!put_url(a, p, (uint32_t)i, key, origins))
                return false;
        } else if (v[i]->kind == NR_KIND_URL) {
            (void)put_name_of_url(p, (uint32_t)i, key, origins);
        } else {
            /* Kinds that are not indexed are answered by their coverage. */
            (void)put(p, (uint32_t)i, v[i]->kind, key);
        }
    }
    return true;
}

enum nr_err
probes_make(struct nr_arena *a, const struct nr_indicator *const *v, size_t n,
    bool origins, struct probes *out, struct nr_diag *d)
{
    size_t room = probes_of(v, n, origins);
    struct probes p = { calloc(room + 1, sizeof(struct probe)), 0 };
    struct probe *sorted = nr_new(a, struct probe, room + 1);
    bool ok = p.v && sorted && room <= UINT32_MAX;

    nr_mem_large(p.v, room * sizeof(*p.v));
    nr_mem_large(sorted, room * sizeof(*sorted));
    ok = ok && put_all(a, &p, v, n, origins) && sort(&p, sorted);
    free(p.v);
    if (!ok)
        return nr_fail(d, NR_ENOMEM, 0, "hunt: no memory for the indicators");
    *out = (struct probes){ sorted, p.n };
    return NR_OK;
}

bool
probe_shows(const struct probe *p, unsigned kind, struct nr_bytes key,
    enum seg_class c, struct seg_key k)
{
    if (p->cls != c ||
        (!p->origin &&
            (seg_key_cmp(k, p->lo) < 0 || seg_key_cmp(k, p->hi) > 0)))
        return false;
    return c != SEG_NAME || (p->kind == kind && nr_bytes_eq(p->key, key));
}
