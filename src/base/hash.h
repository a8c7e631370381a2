/*
 * Digests. XXH3 makes fingerprints and checksums of our own files, never
 * security; SHA-256 (FIPS 180-4) names content and evidence; SHA-1 only forms
 * UUIDv5 (RFC 9562 section 5.5).
 *
 * Thread-safety: pure, or touches only its arguments.
 */
#ifndef NR_HASH_H
#define NR_HASH_H

#include "base/str.h"

#include <stdint.h>

#define NR_SHA256_LEN 32
#define NR_UUID_MAX   37 /* octets of the text form with NUL */

uint64_t nr_xxh64(struct nr_bytes in, uint64_t seed);
/* XXH3-128, most significant octet first. */
void nr_xxh128(struct nr_bytes in, uint64_t seed, uint8_t out[16]);
void nr_sha256(struct nr_bytes in, uint8_t out[NR_SHA256_LEN]);

/* Piecewise SHA-256; the context is the caller's, create/destroy on the heap. */
struct nr_sha256;
struct nr_sha256 *nr_sha256_create(void); /* NULL: out of memory */
void nr_sha256_update(struct nr_sha256 *h, struct nr_bytes in);
void nr_sha256_digest(struct nr_sha256 *h, uint8_t out[NR_SHA256_LEN]);
void nr_sha256_destroy(struct nr_sha256 *h);

/* Lower-case hex of IN into OUT (2 * in.n + 1 octets, ends in NUL). */
void nr_hex_print(struct nr_bytes in, char *out);
/* Exactly N octets from 2 N hex digits; false otherwise. */
bool nr_hex_parse(struct nr_bytes in, uint8_t *out, size_t n) NR_MUST_USE;

/* UUIDv5 of NAME in namespace NS, as text. */
void nr_uuid5(const uint8_t ns[16], struct nr_bytes name,
    char out[NR_UUID_MAX]);
/* Version 4 from 16 random octets, as text. */
void nr_uuid4(const uint8_t random[16], char out[NR_UUID_MAX]);

#endif
