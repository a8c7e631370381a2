/* Certificates of a hub. Private to the room. */
#ifndef NR_HUB_TLS_H
#define NR_HUB_TLS_H

#include "base/buf.h"
#include "base/env.h"
#include "base/err.h"

#define NR_TLS_PEM_MAX ((size_t)1 << 20) /* octets of a chain or a key */
#define NR_TLS_PIN_MAX ((size_t)48)      /* base64url of SHA-256, with NUL */

struct nr_tls_conf {
    const char *const *hosts; /* names besides localhost, 127.0.0.1, ::1 */
    size_t n_hosts;
    int64_t from_s, until_s; /* validity */
};

/* A self-signed certificate on ECDSA P-256 and its key, as PEM. */
enum nr_err nr_tls_make(const struct nr_tls_conf *conf,
    const struct nr_env *env, struct nr_buf *cert, struct nr_buf *key,
    struct nr_diag *d) NR_MUST_USE;

/* base64url of SHA-256 of the first certificate's SubjectPublicKeyInfo; it is
 * refused (NR_EFORMAT) when KEY (may be empty) is not its key. */
enum nr_err nr_tls_pin(struct nr_bytes cert, struct nr_bytes key,
    char pin[NR_TLS_PIN_MAX], struct nr_diag *d) NR_MUST_USE;

#endif
