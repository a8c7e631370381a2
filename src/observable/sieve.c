/* The handle of the sieve. */
#include "observable/sieve_int.h"

#include <stdlib.h>
#include <string.h>

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

static const struct nr_sieve_kernel *
choose(unsigned cpu)
{
#if defined(__x86_64__)
    if (cpu & NR_CPU_AVX512)
        return &nr_sieve_avx512;
    if (cpu & NR_CPU_AVX2)
        return &nr_sieve_avx2;
#elif defined(__aarch64__)
    if (cpu & NR_CPU_NEON)
        return &nr_sieve_neon;
#else
    (void)cpu;
#endif
    return &nr_sieve_scalar;
}

static void
add_set(struct nr_sieve *s, const struct nr_sieve_set *set)
{
    s->sets[s->n_sets++] = *set;
    s->kinds |= set->marks.kinds;
    s->traits |= set->marks.traits;
    s->cidr4 |= set->marks.cidr4 & ((UINT64_C(1) << 33) - 1);
    s->cidr6[0] |= set->marks.cidr6[0];
    s->cidr6[1] |= set->marks.cidr6[1];
    s->cidr6[2] |= set->marks.cidr6[2] & 1;
    for (size_t i = 0; i < NR_SIEVE_ENDS; i++)
        s->ends[i] |= set->marks.ends[i];
}

enum nr_err
nr_sieve_create(const struct nr_sieve_set *sets, size_t n, unsigned options,
    unsigned cpu, struct nr_sieve **out, struct nr_diag *d)
{
    struct nr_sieve *s;

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
    for (size_t i = 0; i < n; i++)
        add_set(s, &sets[i]);
    s->keys = sieve_keys(&sets[0].key);
    s->kernel = choose(cpu);
    s->options = options;
    nr_tokens_init(&s->tokens, 0);
    *out = s;
    return NR_OK;
}

void
nr_sieve_destroy(struct nr_sieve *s)
{
    if (!s)
        return;
    nr_tokens_fini(&s->tokens);
    free(s);
}

const char *
nr_sieve_variant(const struct nr_sieve *s)
{
    return s->kernel->name;
}

static bool
put_spot(struct nr_spots *o, size_t at)
{
    if (o->n == o->cap) {
        size_t cap = o->cap ? o->cap * 2 : 1024, octets;
        uint32_t *v = nr_mul(cap, sizeof(*v), &octets) ? realloc(o->v, octets)
                                                       : NULL;

        if (!v)
            return false;
        o->v = v;
        o->cap = cap;
    }
    o->v[o->n++] = (uint32_t)at;
    return true;
}

/* Hand out the spots of the first N words of the map, and forget them. */
static bool
flush(struct nr_sieve *s, size_t n, struct nr_spots *out)
{
    bool ok = true;

    for (size_t w = 0; w < n && ok; w++) {
        uint64_t m = s->spot[w];

        for (; m && ok; m &= m - 1)
            ok = put_spot(out,
                s->base + w * 64 + (size_t)__builtin_ctzll(m) -
                    SIEVE_BACK * 64);
        s->spot[w] = 0;
    }
    return ok;
}

static void
move_back(uint64_t *map, size_t words)
{
    memmove(map, map + words, SIEVE_BACK * sizeof(*map));
}

static void
start(struct nr_sieve *s, struct nr_bytes block)
{
    s->p = block.p;
    s->n = block.n;
    memset(s->carry, 0, sizeof(s->carry));
    s->v6_end = s->mail_end = s->hex_end = s->high_end = 0;
    s->n_probes = s->n_deep = 0;
    memset(s->stop, 0xff, SIEVE_BACK * sizeof(*s->stop));
    memset(s->no_digit, 0xff, SIEVE_BACK * sizeof(*s->no_digit));
    memset(s->no_v6, 0xff, SIEVE_BACK * sizeof(*s->no_v6));
    memset(s->colon, 0, SIEVE_BACK * sizeof(*s->colon));
    memset(s->spot, 0, sizeof(s->spot));
    s->has_spots = false;
}

enum nr_err
nr_sieve_run(struct nr_sieve *s, struct nr_bytes block, struct nr_spots *out)
{
    /* One octet behind the block counts: a name ends at its end. */
    size_t words = block.n / 64 + 1;
    bool last = false;

    out->n = 0;
    if (block.n > NR_SCAN_BLOCK_MAX)
        return NR_ELIMIT;
    start(s, block);
    for (size_t w = 0, n; w < words; w += n) {
        n = nr_min(SIEVE_WORDS, words - w);
        s->base = w * 64;
        s->kernel->piece(s, n);
        if (s->tokens.keys.err != NR_OK)
            return s->tokens.keys.err;
        /* The next piece can still add to the last word of this one. */
        last = w + n == words;
        if (s->has_spots && !flush(s, n + SIEVE_BACK - (last ? 0 : 1), out))
            return NR_ENOMEM;
        if (last)
            break;
        s->has_spots = s->spot[n + SIEVE_BACK - 1] != 0;
        move_back(s->stop, n);
        move_back(s->no_digit, n);
        move_back(s->no_v6, n);
        move_back(s->colon, n);
        s->spot[SIEVE_BACK - 1] = s->spot[n + SIEVE_BACK - 1];
        s->spot[n + SIEVE_BACK - 1] = 0;
    }
    return NR_OK;
}

bool
nr_sieve_net_is_marked(const uint64_t *nets, size_t nets_n, const uint8_t a[4])
{
    size_t net = (size_t)a[0] << 16 | (size_t)a[1] << 8 | a[2];

    net &= nets_n * 64 - 1;
    return nets[net / 64] >> (net & 63) & 1;
}

bool
nr_sieve_name_is_marked(const uint64_t *filter, size_t filter_n, uint64_t hash)
{
    return (sieve_bits(hash) & ~filter[sieve_word(hash, filter_n)]) == 0;
}

size_t
nr_count_lines(struct nr_bytes in, unsigned cpu)
{
    return choose(cpu)->count_lines(in.p, in.n);
}

size_t
nr_list_lines(struct nr_bytes in, unsigned cpu, uint32_t at, uint32_t *to)
{
    return choose(cpu)->list_lines(in.p, in.n, at, to);
}
