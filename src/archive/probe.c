/* What a hunt looks up, in the order of the index. */
#include "archive/hunt.h"

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

static bool
put_url(struct nr_arena *a, struct probes *p, uint32_t indicator,
    struct nr_bytes key)
{
    static const char *const schemes[] = { "http:", "https:" };

    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]);
        uint8_t *full = nr_new(a, uint8_t, n + key.n);

        if (!full)
            return false;
        memcpy(full, schemes[i], n);
        memcpy(full + n, key.p, key.n);
        (void)put(p, indicator, NR_KIND_URL,
            (struct nr_bytes){ full, n + key.n });
    }
    return true;
}

static int
by_class(const void *a, const void *b)
{
    const struct probe *x = a, *y = b;

    if (x->cls != y->cls)
        return x->cls < y->cls ? -1 : 1;
    return seg_key_cmp(x->lo, y->lo);
}

enum nr_err
probes_make(struct nr_arena *a, const struct nr_indicator *const *v, size_t n,
    struct probes *out, struct nr_diag *d)
{
    struct probes p = { nr_new(a, struct probe, 2 * n + 1), 0 };

    if (n > UINT32_MAX || !p.v)
        return nr_fail(d, NR_ENOMEM, 0, "hunt: no memory for the indicators");
    for (size_t i = 0; i < n; i++) {
        struct nr_bytes key = v[i]->key;

        if (v[i]->kind == NR_KIND_URL && nr_bytes_starts(key, NR_BYTES("//"))) {
            if (!put_url(a, &p, (uint32_t)i, key))
                return nr_fail(d, NR_ENOMEM, 0,
                    "hunt: no memory for the indicators");
        } else {
            /* Kinds that are not indexed are answered by their coverage. */
            (void)put(&p, (uint32_t)i, v[i]->kind, key);
        }
    }
    qsort(p.v, p.n, sizeof(*p.v), by_class);
    *out = p;
    return NR_OK;
}

bool
probe_shows(const struct probe *p, unsigned kind, struct nr_bytes key,
    enum seg_class c, struct seg_key k)
{
    if (p->cls != c || seg_key_cmp(k, p->lo) < 0 || seg_key_cmp(k, p->hi) > 0)
        return false;
    return c != SEG_NAME || (p->kind == kind && nr_bytes_eq(p->key, key));
}
