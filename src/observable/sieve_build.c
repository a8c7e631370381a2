/* The sections of a list that the sieve reads: sizes, filling, exact hash. */
#include "observable/rules.h"
#include "observable/sieve_hash.h"

#include <string.h>

#define NETS_MIN 12u /* log2 of words: 32 KiB stay in the nearest cache */
#define NETS_MAX 18u /* one bit for every /24 */
#define AHEAD    ((size_t)64) /* items whose places are fetched together */

struct nr_sieve_sizes
nr_sieve_sizes(const size_t *count)
{
    size_t all = 0, probes = 0,
           nets = count[NR_KIND_IPV4] + count[NR_KIND_CIDR4];
    unsigned bits = NETS_MIN;

    for (unsigned i = 0; i < NR_KINDS; i++) {
        all += count[i];
        if (i <= NR_KIND_SHA256) /* the hot ones */
            probes += count[i];
    }
    probes += count[NR_KIND_DOMAIN]; /* tail and whole */
    /* 32 bits for each: one address in 32 in the log passes by chance. */
    while (bits < NETS_MAX && (size_t)2 << bits < nets)
        bits++;
    return (struct nr_sieve_sizes){
        .filter_n = (probes * SIEVE_FILTER_PER + 63) / 64 + 1,
        .slots_n = all + all / 2 + 1,
        .nets_n = (size_t)1 << bits,
    };
}

struct nr_bytes
nr_sieve_tail(struct nr_bytes name)
{
    size_t dots[3] = { 0 }, n = 0, start = 0;

    /* Positions behind the last three dots, from the right. */
    for (size_t i = name.n; i-- > 0 && n < 3;)
        if (name.p[i] == '.')
            dots[n++] = i + 1;
    if (n >= 2)
        start = dots[1];
    if (n >= 2 && dots[0] - dots[1] - 1 <= SIEVE_SHORT)
        start = n == 3 ? dots[2] : 0;
    return nr_bytes_sub(name, start, name.n);
}

/* Windows from the end on, the last one padded in front. */
static inline uint64_t
hash_windows(const struct sieve_keys *k, uint64_t salt, struct nr_bytes in,
    bool fold)
{
    uint64_t h = 0;
    uint8_t w[SIEVE_WINDOW];

    do {
        size_t n = nr_min(in.n, SIEVE_WINDOW);

        sieve_load_end(in.p + in.n, n, fold, w);
        h = sieve_chain(k, h, sieve_nh(k, w), salt);
        in.n -= n;
    } while (in.n > 0);
    return h;
}

uint64_t
nr_sieve_hash_name(const struct sieve_keys *k, struct nr_bytes name)
{
    return hash_windows(k, sieve_salt(NR_KIND_DOMAIN), name, true);
}

uint64_t
nr_sieve_hash_key(const struct sieve_keys *k, unsigned kind,
    struct nr_bytes key)
{
    if (kind == NR_KIND_DOMAIN)
        return nr_sieve_hash_name(k, key);
    /* The length counts: octets may be zero in front. */
    return hash_windows(k, sieve_salt(kind) ^ key.n, key, false);
}

uint64_t
nr_sieve_hash(const struct nr_sieve_key *k, enum nr_kind kind,
    struct nr_bytes key)
{
    struct sieve_keys keys = sieve_keys(k);

    return nr_sieve_hash_key(&keys, (unsigned)kind, key);
}

/* --- probes of a key --- */

#define PROBES_MAX ((size_t)2)

struct probes {
    uint64_t h[PROBES_MAX];
    size_t n;
};

static uint32_t
be32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 |
        p[3];
}

static uint64_t
probe_url(const struct sieve_keys *k, struct nr_bytes key)
{
    size_t head = nr_bytes_starts(key, NR_BYTES("http://")) ? 7
        : nr_bytes_starts(key, NR_BYTES("https://"))        ? 8
                                                            : nr_url_head(key);

    return sieve_probe_start(k, NR_KIND_URL, nr_bytes_sub(key, head, key.n));
}

uint64_t
nr_sieve_probe_email(const struct sieve_keys *k, struct nr_bytes key)
{
    const uint8_t *at = memrchr(key.p, '@', key.n);
    size_t local = at ? (size_t)(at - key.p) : 0;

    return sieve_probe_start(k, NR_KIND_EMAIL,
        nr_bytes_sub(key, local - nr_min(local, SIEVE_LOCAL), key.n));
}

/* HASH: of the whole. */
static struct probes
probes_of(const struct sieve_keys *k, const struct nr_sieve_item *i,
    uint64_t hash)
{
    struct probes out = { .n = 1 };

    switch (i->kind) {
    case NR_KIND_IPV4:
        out.h[0] = sieve_probe_v4(k, i->kind, be32(i->key.p), 32);
        break;
    case NR_KIND_CIDR4:
        out.h[0] = sieve_probe_v4(k, i->kind, be32(i->key.p), i->key.p[4]);
        break;
    case NR_KIND_IPV6:
        out.h[0] = sieve_probe_raw(k, sieve_salt_v6(i->kind, 128), i->key.p);
        break;
    case NR_KIND_CIDR6:
        out.h[0] = sieve_probe_raw(k, sieve_salt_v6(i->kind, i->key.p[16]),
            i->key.p);
        break;
    case NR_KIND_DOMAIN:
        out.h[0] = sieve_probe_tail(k, nr_sieve_tail(i->key));
        out.h[out.n++] = hash;
        break;
    case NR_KIND_URL:
        out.h[0] = probe_url(k, i->key);
        break;
    case NR_KIND_EMAIL:
        out.h[0] = nr_sieve_probe_email(k, i->key);
        break;
    case NR_KIND_MD5:
    case NR_KIND_SHA1:
    case NR_KIND_SHA256:
        out.h[0] = sieve_probe_raw(k, sieve_salt(i->kind), i->key.p);
        break;
    default:
        out.n = 0;
    }
    return out;
}

/* --- marks and networks --- */

static void
mark_bits(uint64_t *v, size_t bits, size_t from, size_t count)
{
    if (count >= bits) {
        memset(v, 0xff, bits / 8);
        return;
    }
    for (size_t i = from; i < from + count; i++)
        v[(i & (bits - 1)) / 64] |= UINT64_C(1) << (i & 63);
}

static void
mark_net(struct nr_sieve_build *b, uint32_t a, unsigned len)
{
    mark_bits(b->nets, b->n.nets_n * 64, a >> 8,
        (size_t)1 << (len < 24 ? 24 - len : 0));
}

/* Has a label "xn--", and is it the last one? */
static uint32_t
xn_traits(struct nr_bytes key)
{
    uint32_t traits = 0;

    for (size_t i = 0; i + 4 <= key.n; i++) {
        if (memcmp(key.p + i, "xn--", 4) != 0)
            continue;
        traits |= NR_SIEVE_XN;
        if (!memchr(key.p + i, '.', key.n - i))
            traits |= NR_SIEVE_XN_TLD;
    }
    return traits;
}

static void
mark_end(struct nr_sieve_build *b, struct nr_bytes name)
{
    const uint8_t *dot = memrchr(name.p, '.', name.n);
    size_t n = dot ? (size_t)(name.p + name.n - dot) - 1 : name.n, bit;
    uint8_t w[8] = { 0 };

    n = nr_min(n, sizeof(w));
    if (n == 0)
        return;
    memcpy(w + sizeof(w) - n, name.p + name.n - n, n);
    bit = sieve_end_bit(sieve_load(w), (unsigned)n);
    b->marks.ends[bit / 64] |= UINT64_C(1) << (bit & 63);
}

static void
mark(struct nr_sieve_build *b, const struct nr_sieve_item *i)
{
    b->marks.kinds |= (uint32_t)1 << i->kind;
    switch (i->kind) {
    case NR_KIND_IPV4:
        mark_net(b, be32(i->key.p), 32);
        break;
    case NR_KIND_CIDR4:
        b->marks.cidr4 |= UINT64_C(1) << i->key.p[4];
        mark_net(b, be32(i->key.p), i->key.p[4]);
        break;
    case NR_KIND_CIDR6:
        b->marks.cidr6[i->key.p[16] / 64] |= UINT64_C(1) << (i->key.p[16] % 64);
        break;
    case NR_KIND_DOMAIN:
        mark_end(b, i->key);
        b->marks.traits |= xn_traits(i->key);
        break;
    case NR_KIND_EMAIL:
    case NR_KIND_URL:
        b->marks.traits |= xn_traits(i->key);
        break;
    default:
        break;
    }
}

/* --- filling --- */

static void
put_slot(struct nr_sieve_build *b, uint64_t h, uint32_t index)
{
    size_t at = nr_sieve_find(b->slots, b->n.slots_n, h).at;

    while (b->slots[at].index1 != 0)
        at = at + 1 == b->n.slots_n ? 0 : at + 1;
    b->slots[at] = (struct nr_sieve_slot){ (uint32_t)h, index + 1 };
}

/* Two rounds: the second finds in the cache what the first asked for. */
static void
put_some(struct nr_sieve_build *b, const struct sieve_keys *k,
    const struct nr_sieve_item *v, size_t n)
{
    struct probes probes[AHEAD];
    uint64_t hash[AHEAD];

    for (size_t i = 0; i < n; i++) {
        hash[i] = v[i].hash ? v[i].hash
                            : nr_sieve_hash_key(k, v[i].kind, v[i].key);
        probes[i] = probes_of(k, &v[i], hash[i]);
        (void)nr_sieve_find(b->slots, b->n.slots_n, hash[i]);
        if (v[i].kind == NR_KIND_IPV4)
            __builtin_prefetch(b->nets +
                    ((be32(v[i].key.p) >> 8 & (b->n.nets_n * 64 - 1)) / 64),
                1);
        for (size_t j = 0; j < probes[i].n; j++)
            __builtin_prefetch(b->filter +
                    sieve_word(probes[i].h[j], b->n.filter_n),
                1);
    }
    for (size_t i = 0; i < n; i++) {
        mark(b, &v[i]);
        put_slot(b, hash[i], v[i].index);
        for (size_t j = 0; j < probes[i].n; j++)
            b->filter[sieve_word(probes[i].h[j], b->n.filter_n)] |= sieve_bits(
                probes[i].h[j]);
    }
}

void
nr_sieve_put(struct nr_sieve_build *b, const struct nr_sieve_item *v, size_t n)
{
    struct sieve_keys k = sieve_keys(&b->key);

    for (size_t i = 0; i < n; i += AHEAD)
        put_some(b, &k, v + i, nr_min(AHEAD, n - i));
}
