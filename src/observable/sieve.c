/* The handle of the sieve. */
#include "observable/sieve_hash.h"

#include <stdlib.h>
#include <string.h>

struct nr_sieve {
    struct nr_sieve_set sets[NR_SIEVE_SETS_MAX];
    size_t n_sets;
    unsigned options;
};

void
nr_spots_init(struct nr_spots *s)
{
    *s = (struct nr_spots){ 0 };
}

void
nr_spots_fini(struct nr_spots *s)
{
    free(s->v);
    *s = (struct nr_spots){ 0 };
}

static bool
set_is_sound(const struct nr_sieve_set *s)
{
    return s->filter_n > 0 && s->filter_n <= UINT32_MAX && s->slots_n > 0 &&
        s->slots_n <= UINT32_MAX && s->nets_n > 0 &&
        s->nets_n <= (size_t)1 << 18 && (s->nets_n & (s->nets_n - 1)) == 0;
}

enum nr_err
nr_sieve_create(const struct nr_sieve_set *sets, size_t n, unsigned options,
    unsigned cpu, struct nr_sieve **out, struct nr_diag *d)
{
    struct nr_sieve *s;

    (void)cpu;
    if (n == 0 || n > NR_SIEVE_SETS_MAX)
        return nr_fail(d, NR_EFORMAT, n, "sieve: 1 to 4 sets wanted");
    for (size_t i = 0; i < n; i++) {
        if (!set_is_sound(&sets[i]))
            return nr_fail(d, NR_EFORMAT, i, "sieve: sizes that cannot be");
        if (memcmp(&sets[i].key, &sets[0].key, sizeof(sets[0].key)) != 0)
            return nr_fail(d, NR_EFORMAT, i, "sieve: sets of different keys");
    }
    s = calloc(1, sizeof(*s));
    if (!s)
        return nr_fail(d, NR_ENOMEM, 0, "sieve: out of memory");
    memcpy(s->sets, sets, n * sizeof(*sets));
    s->n_sets = n;
    s->options = options;
    *out = s;
    return NR_OK;
}

void
nr_sieve_destroy(struct nr_sieve *s)
{
    free(s);
}

const char *
nr_sieve_variant(const struct nr_sieve *s)
{
    (void)s;
    return "scalar";
}

enum nr_err
nr_sieve_run(struct nr_sieve *s, struct nr_bytes block, struct nr_spots *out)
{
    size_t at = 0;

    (void)s;
    out->n = 0;
    if (block.n > NR_SCAN_BLOCK_MAX)
        return NR_ELIMIT;
    /* Every line: complete, if slow. */
    while (at < block.n) {
        const uint8_t *lf = memchr(block.p + at, '\n', block.n - at);

        if (out->n == out->cap) {
            size_t cap = out->cap ? out->cap * 2 : 1024;
            uint32_t *v = realloc(out->v, cap * sizeof(*v));

            if (!v)
                return NR_ENOMEM;
            out->v = v;
            out->cap = cap;
        }
        out->v[out->n++] = (uint32_t)at;
        at = lf ? (size_t)(lf - block.p) + 1 : block.n;
    }
    return NR_OK;
}

size_t
nr_count_lines(struct nr_bytes in, unsigned cpu)
{
    size_t n = 0;

    (void)cpu;
    for (size_t i = 0; i < in.n; i++)
        n += in.p[i] == '\n';
    return n;
}
