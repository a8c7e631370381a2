#include "crypto/crypto.h"

#include <sodium.h>

_Static_assert(NR_TOKEN_TEXT_MAX == NR_BASE64_MAX(NR_TOKEN_LEN) - 1,
    "43 characters and NUL: no padding");
_Static_assert(NR_PASSWORD_HASH_MAX >= crypto_pwhash_STRBYTES, "hash fits");
_Static_assert(NR_ED25519_SEED_LEN == crypto_sign_SEEDBYTES, "seed");
_Static_assert(NR_ED25519_SIG_LEN == crypto_sign_BYTES, "signature");

enum nr_err
nr_crypto_init(struct nr_diag *d)
{
    if (sodium_init() < 0)
        return nr_fail(d, NR_ESYS, 0, "crypto: libsodium does not start");
    return NR_OK;
}

enum nr_err
nr_ed25519_create(const struct nr_env *env, struct nr_ed25519 *out,
    struct nr_diag *d)
{
    uint8_t seed[NR_ED25519_SEED_LEN];

    if (env->random(env->ctx, seed, sizeof(seed)) != NR_OK)
        return nr_fail_sys(d, "crypto: no randomness");
    nr_ed25519_from_seed(seed, out);
    nr_wipe(seed, sizeof(seed));
    return NR_OK;
}

void
nr_ed25519_from_seed(const uint8_t seed[NR_ED25519_SEED_LEN],
    struct nr_ed25519 *out)
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];

    memcpy(out->seed, seed, sizeof(out->seed));
    crypto_sign_seed_keypair(out->pub, secret, seed);
    nr_wipe(secret, sizeof(secret));
}

void
nr_ed25519_sign(const struct nr_ed25519 *key, struct nr_bytes message,
    uint8_t sig[NR_ED25519_SIG_LEN])
{
    uint8_t secret[crypto_sign_SECRETKEYBYTES];

    /* libsodium's secret key is the seed followed by the public key. */
    memcpy(secret, key->seed, sizeof(key->seed));
    memcpy(secret + sizeof(key->seed), key->pub, sizeof(key->pub));
    crypto_sign_detached(sig, NULL, message.p, message.n, secret);
    nr_wipe(secret, sizeof(secret));
}

bool
nr_ed25519_verify(const uint8_t pub[NR_ED25519_PUBLIC_LEN],
    struct nr_bytes message, const uint8_t sig[NR_ED25519_SIG_LEN])
{
    return crypto_sign_verify_detached(sig, message.p, message.n, pub) == 0;
}

enum nr_err
nr_token_create(const struct nr_env *env, char out[NR_TOKEN_TEXT_MAX],
    struct nr_diag *d)
{
    uint8_t raw[NR_TOKEN_LEN];
    char text[NR_BASE64_MAX(NR_TOKEN_LEN)];

    if (env->random(env->ctx, raw, sizeof(raw)) != NR_OK)
        return nr_fail_sys(d, "crypto: no randomness");
    nr_base64url_print((struct nr_bytes){ raw, sizeof(raw) }, text);
    memcpy(out, text, NR_TOKEN_TEXT_MAX);
    nr_wipe(raw, sizeof(raw));
    nr_wipe(text, sizeof(text));
    return NR_OK;
}

void
nr_base64url_print(struct nr_bytes in, char *out)
{
    sodium_bin2base64(out, NR_BASE64_MAX(in.n), in.p, in.n,
        sodium_base64_VARIANT_URLSAFE_NO_PADDING);
}

void
nr_base64_print(struct nr_bytes in, char *out)
{
    sodium_bin2base64(out, NR_BASE64_MAX(in.n), in.p, in.n,
        sodium_base64_VARIANT_ORIGINAL);
}

bool
nr_base64_parse(struct nr_str in, uint8_t *out, size_t max, size_t *n)
{
    int variant = sodium_base64_VARIANT_ORIGINAL_NO_PADDING;

    *n = 0;
    for (size_t pads = 0; pads < 2 && in.n && in.p[in.n - 1] == '='; pads++)
        in.n--;
    if (in.n == 0)
        return true;
    if (memchr(in.p, '-', in.n) || memchr(in.p, '_', in.n))
        variant = sodium_base64_VARIANT_URLSAFE_NO_PADDING;
    return sodium_base642bin(out, max, in.p, in.n, NULL, n, NULL, variant) == 0;
}

enum nr_err
nr_password_hash(struct nr_bytes password, char out[NR_PASSWORD_HASH_MAX],
    struct nr_diag *d)
{
    if (password.n > NR_PASSWORD_MAX)
        return nr_fail(d, NR_ELIMIT, NR_PASSWORD_MAX,
            "password: longer than 1024 octets");
    if (crypto_pwhash_str(out, (const char *)password.p, password.n,
            crypto_pwhash_OPSLIMIT_INTERACTIVE,
            crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
        return nr_fail(d, NR_ENOMEM, 0, "password: out of memory");
    return NR_OK;
}

bool
nr_password_verify(const char *hash, struct nr_bytes password)
{
    return password.n <= NR_PASSWORD_MAX &&
        crypto_pwhash_str_verify(hash, (const char *)password.p, password.n) ==
        0;
}

_Static_assert(NR_AEAD_KEY_LEN == crypto_aead_xchacha20poly1305_ietf_KEYBYTES &&
        NR_AEAD_NONCE_LEN == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES &&
        NR_AEAD_TAG_LEN == crypto_aead_xchacha20poly1305_ietf_ABYTES,
    "lengths of XChaCha20-Poly1305");

void
nr_aead_seal(const uint8_t key[NR_AEAD_KEY_LEN],
    const uint8_t nonce[NR_AEAD_NONCE_LEN], struct nr_bytes in, uint8_t *out,
    uint8_t tag[NR_AEAD_TAG_LEN])
{
    (void)crypto_aead_xchacha20poly1305_ietf_encrypt_detached(out, tag, NULL,
        in.p, in.n, NULL, 0, NULL, nonce, key);
}

bool
nr_aead_open(const uint8_t key[NR_AEAD_KEY_LEN],
    const uint8_t nonce[NR_AEAD_NONCE_LEN], struct nr_bytes in,
    const uint8_t tag[NR_AEAD_TAG_LEN], uint8_t *out)
{
    return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(out, NULL, in.p,
               in.n, tag, NULL, 0, nonce, key) == 0;
}

void
nr_subkey(const uint8_t master[NR_AEAD_KEY_LEN], struct nr_bytes context,
    uint8_t out[NR_AEAD_KEY_LEN])
{
    (void)crypto_generichash(out, NR_AEAD_KEY_LEN, context.p, context.n, master,
        NR_AEAD_KEY_LEN);
}
