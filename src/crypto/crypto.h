/*
 * Keys, signatures, random tokens and password hashes; the only includer of
 * libsodium (1.0.18 or newer).
 *
 * Call nr_crypto_init() once, before any other function and before a sandbox.
 * Secrets: no function prints or keeps one; callers erase their copies with
 * nr_wipe() (base/ct.h), where nr_ct_eq() compares in constant time too.
 *
 * Thread-safety: after nr_crypto_init() all are pure or touch only arguments.
 */
#ifndef NR_CRYPTO_H
#define NR_CRYPTO_H

#include "base/ct.h"
#include "base/env.h"
#include "base/err.h"
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NR_ED25519_SEED_LEN   32
#define NR_ED25519_PUBLIC_LEN 32
#define NR_ED25519_SIG_LEN    64

/* Octets of randomness of a token, and of its base64url text with NUL. */
#define NR_TOKEN_LEN      32
#define NR_TOKEN_TEXT_MAX 44

/* Text of a password hash with NUL ("$argon2id$v=19$m=65536,t=2,p=1$..."). */
#define NR_PASSWORD_HASH_MAX 128
/* Longest password taken, in octets: more only costs the server time. */
#define NR_PASSWORD_MAX ((size_t)1024)

/* NR_ESYS when libsodium cannot start. May be called again. */
enum nr_err nr_crypto_init(struct nr_diag *d) NR_MUST_USE;

/* An Ed25519 key pair (RFC 8032). The seed is the secret; it is all that need
 * be stored. */
struct nr_ed25519 {
    uint8_t seed[NR_ED25519_SEED_LEN];
    uint8_t pub[NR_ED25519_PUBLIC_LEN];
};

/* Fresh pair from ENV's randomness. NR_ESYS. */
enum nr_err nr_ed25519_create(const struct nr_env *env, struct nr_ed25519 *out,
    struct nr_diag *d) NR_MUST_USE;

/* The pair of SEED (RFC 8032 section 5.1.5). */
void nr_ed25519_from_seed(const uint8_t seed[NR_ED25519_SEED_LEN],
    struct nr_ed25519 *out);

/* RFC 8032 section 5.1.6. */
void nr_ed25519_sign(const struct nr_ed25519 *key, struct nr_bytes message,
    uint8_t sig[NR_ED25519_SIG_LEN]);

/* RFC 8032 section 5.1.7, strict: low-order points and encodings that are not
 * canonical are refused. */
bool nr_ed25519_verify(const uint8_t pub[NR_ED25519_PUBLIC_LEN],
    struct nr_bytes message, const uint8_t sig[NR_ED25519_SIG_LEN]) NR_MUST_USE;

/* 256 random bits as 43 characters of base64url and NUL: bearer keys and join
 * codes. NR_ESYS. */
enum nr_err nr_token_create(const struct nr_env *env,
    char out[NR_TOKEN_TEXT_MAX], struct nr_diag *d) NR_MUST_USE;

/* base64url without padding (RFC 4648 section 5) of IN into OUT, ends in NUL.
 * OUT holds NR_BASE64_MAX(in.n). */
#define NR_BASE64_MAX(n) (((n) + 2) / 3 * 4 + 1)
void nr_base64url_print(struct nr_bytes in, char *out);
/* The same with the standard alphabet and padding (section 4). */
void nr_base64_print(struct nr_bytes in, char *out);
/* Either alphabet, padding optional, no white space, at most MAX octets into
 * OUT; *N is what came out. False when IN is not base64 or too long. */
bool nr_base64_parse(struct nr_str in, uint8_t *out, size_t max,
    size_t *n) NR_MUST_USE;

#define NR_AEAD_KEY_LEN   ((size_t)32)
#define NR_AEAD_NONCE_LEN ((size_t)24)
#define NR_AEAD_TAG_LEN   ((size_t)16)

/* XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03) without additional data: IN
 * into OUT, of the same length, and TAG. A nonce is used once under a key. */
void nr_aead_seal(const uint8_t key[NR_AEAD_KEY_LEN],
    const uint8_t nonce[NR_AEAD_NONCE_LEN], struct nr_bytes in, uint8_t *out,
    uint8_t tag[NR_AEAD_TAG_LEN]);
/* False, and OUT is not to be used: not what was sealed. */
bool nr_aead_open(const uint8_t key[NR_AEAD_KEY_LEN],
    const uint8_t nonce[NR_AEAD_NONCE_LEN], struct nr_bytes in,
    const uint8_t tag[NR_AEAD_TAG_LEN], uint8_t *out) NR_MUST_USE;
/* A key for CONTEXT from a master key: keyed BLAKE2b-256 (RFC 7693). */
void nr_subkey(const uint8_t master[NR_AEAD_KEY_LEN], struct nr_bytes context,
    uint8_t out[NR_AEAD_KEY_LEN]);

/*
 * Argon2id (RFC 9106) at libsodium's "interactive" cost: 64 MiB, about 0.1 s
 * of one core, so a caller limits how many run at once. OUT is text for
 * storage. NR_ELIMIT: longer than NR_PASSWORD_MAX; NR_ENOMEM.
 */
enum nr_err nr_password_hash(struct nr_bytes password,
    char out[NR_PASSWORD_HASH_MAX], struct nr_diag *d) NR_MUST_USE;

/* True when PASSWORD made HASH (NUL-terminated, as above). */
bool nr_password_verify(const char *hash, struct nr_bytes password) NR_MUST_USE;

#endif
