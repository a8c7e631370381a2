#include "base/hash.h"

#include <nettle/sha1.h>
#include <nettle/sha2.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

uint64_t
nr_xxh64(struct nr_bytes in, uint64_t seed)
{
    return XXH3_64bits_withSeed(in.p, in.n, seed);
}

void
nr_xxh128(struct nr_bytes in, uint64_t seed, uint8_t out[16])
{
    XXH128_canonical_t c;

    XXH128_canonicalFromHash(&c, XXH3_128bits_withSeed(in.p, in.n, seed));
    memcpy(out, c.digest, sizeof(c.digest));
}

void
nr_sha256(struct nr_bytes in, uint8_t out[NR_SHA256_LEN])
{
    struct sha256_ctx ctx;

    sha256_init(&ctx);
    if (in.n > 0)
        sha256_update(&ctx, in.n, in.p);
    sha256_digest(&ctx, NR_SHA256_LEN, out);
}

struct nr_sha256 {
    struct sha256_ctx ctx;
};

struct nr_sha256 *
nr_sha256_create(void)
{
    struct nr_sha256 *h = calloc(1, sizeof(*h));

    if (h)
        sha256_init(&h->ctx);
    return h;
}

void
nr_sha256_update(struct nr_sha256 *h, struct nr_bytes in)
{
    if (in.n > 0)
        sha256_update(&h->ctx, in.n, in.p);
}

void
nr_sha256_digest(struct nr_sha256 *h, uint8_t out[NR_SHA256_LEN])
{
    sha256_digest(&h->ctx, NR_SHA256_LEN, out);
}

void
nr_sha256_destroy(struct nr_sha256 *h)
{
    free(h);
}

void
nr_hex_print(struct nr_bytes in, char *out)
{
    static const char digit[] = "0123456789abcdef";

    for (size_t i = 0; i < in.n; i++) {
        out[2 * i] = digit[in.p[i] >> 4];
        out[2 * i + 1] = digit[in.p[i] & 15];
    }
    out[2 * in.n] = '\0';
}

/* 0..15, or a number with a bit far above. Without branches: which digit comes
 * next cannot be foretold. */
static inline unsigned
hex_digit(uint8_t c)
{
    unsigned digit = (unsigned)c - '0', letter = (c | 0x20u) - 'a';

    if (digit < 10)
        return digit;
    return letter < 6 ? letter + 10 : 0x100;
}

bool
nr_hex_parse(struct nr_bytes in, uint8_t *out, size_t n)
{
    unsigned bad = 0;

    if (in.n % 2 != 0 || in.n / 2 != n)
        return false;
    for (size_t i = 0; i < n; i++) {
        unsigned v = hex_digit(in.p[2 * i]) << 4 | hex_digit(in.p[2 * i + 1]);

        bad |= v;
        out[i] = (uint8_t)(v & 0xff);
    }
    return bad <= 0xff;
}

static void
uuid_print(const uint8_t octets[16], uint8_t version, char out[NR_UUID_MAX])
{
    uint8_t u[16];

    memcpy(u, octets, sizeof(u));
    u[6] = (uint8_t)((u[6] & 0x0f) | version << 4);
    u[8] = (uint8_t)((u[8] & 0x3f) | 0x80);
    (void)snprintf(out, NR_UUID_MAX,
        "%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x",
        u[0], u[1], u[2], u[3], u[4], u[5], u[6], u[7], u[8], u[9], u[10],
        u[11], u[12], u[13], u[14], u[15]);
}

void
nr_uuid5(const uint8_t ns[16], struct nr_bytes name, char out[NR_UUID_MAX])
{
    struct sha1_ctx ctx;
    uint8_t digest[SHA1_DIGEST_SIZE];

    sha1_init(&ctx);
    sha1_update(&ctx, 16, ns);
    if (name.n > 0)
        sha1_update(&ctx, name.n, name.p);
    sha1_digest(&ctx, sizeof(digest), digest);
    uuid_print(digest, 5, out);
}

void
nr_uuid4(const uint8_t random[16], char out[NR_UUID_MAX])
{
    uuid_print(random, 4, out);
}
