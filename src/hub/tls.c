#include "hub/tls.h"

#include "base/hash.h"
#include "base/num.h"
#include "crypto/crypto.h"

#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <string.h>

#define SERIAL_LEN 16

static enum nr_err
failed(int code, const char *what, struct nr_diag *d)
{
    return nr_fail_name(d, code == GNUTLS_E_MEMORY_ERROR ? NR_ENOMEM : NR_ESYS,
        what, gnutls_strerror(code));
}

static int
add_host(gnutls_x509_crt_t crt, const char *host)
{
    uint8_t ip[16];

    if (inet_pton(AF_INET, host, ip) == 1)
        return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS,
            ip, 4, GNUTLS_FSAN_APPEND);
    if (inet_pton(AF_INET6, host, ip) == 1)
        return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_IPADDRESS,
            ip, 16, GNUTLS_FSAN_APPEND);
    return gnutls_x509_crt_set_subject_alt_name(crt, GNUTLS_SAN_DNSNAME, host,
        (unsigned)strlen(host), GNUTLS_FSAN_APPEND);
}

static int
fill(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key,
    const struct nr_tls_conf *conf, const uint8_t *serial)
{
    static const char *const always[] = { "localhost", "127.0.0.1", "::1" };
    const char *cn = conf->n_hosts ? conf->hosts[0] : "localhost";
    uint8_t id[20];
    size_t id_len = sizeof(id);
    int code = gnutls_x509_crt_set_version(crt, 3);

    if (code >= 0)
        code = gnutls_x509_crt_set_serial(crt, serial, SERIAL_LEN);
    if (code >= 0)
        code = gnutls_x509_crt_set_activation_time(crt, conf->from_s);
    if (code >= 0)
        code = gnutls_x509_crt_set_expiration_time(crt, conf->until_s);
    if (code >= 0)
        code = gnutls_x509_crt_set_dn_by_oid(crt, GNUTLS_OID_X520_COMMON_NAME,
            0, cn, (unsigned)strlen(cn));
    for (size_t i = 0; code >= 0 && i < 3; i++)
        code = add_host(crt, always[i]);
    for (size_t i = 0; code >= 0 && i < conf->n_hosts; i++)
        code = add_host(crt, conf->hosts[i]);
    if (code >= 0)
        code = gnutls_x509_crt_set_key(crt, key);
    /* Clients take the file itself as their only trust anchor. */
    if (code >= 0)
        code = gnutls_x509_crt_set_basic_constraints(crt, 1, 0);
    if (code >= 0)
        code = gnutls_x509_crt_set_key_usage(crt,
            GNUTLS_KEY_DIGITAL_SIGNATURE | GNUTLS_KEY_KEY_CERT_SIGN);
    if (code >= 0)
        code = gnutls_x509_crt_set_key_purpose_oid(crt,
            GNUTLS_KP_TLS_WWW_SERVER, 0);
    if (code >= 0)
        code = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA1, id,
            &id_len);
    if (code >= 0)
        code = gnutls_x509_crt_set_subject_key_id(crt, id, id_len);
    return code < 0
        ? code
        : gnutls_x509_crt_sign2(crt, crt, key, GNUTLS_DIG_SHA256, 0);
}

static int
put_pem(gnutls_x509_crt_t crt, gnutls_x509_privkey_t key, struct nr_buf *cert,
    struct nr_buf *key_out)
{
    gnutls_datum_t pem = { NULL, 0 };
    int code = gnutls_x509_crt_export2(crt, GNUTLS_X509_FMT_PEM, &pem);

    if (code >= 0) {
        nr_buf_put(cert, (struct nr_bytes){ pem.data, pem.size });
        gnutls_free(pem.data);
        code = gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &pem);
    }
    if (code >= 0) {
        nr_buf_put(key_out, (struct nr_bytes){ pem.data, pem.size });
        nr_wipe(pem.data, pem.size);
        gnutls_free(pem.data);
    }
    return code;
}

enum nr_err
nr_tls_make(const struct nr_tls_conf *conf, const struct nr_env *env,
    struct nr_buf *cert, struct nr_buf *key_out, struct nr_diag *d)
{
    gnutls_x509_crt_t crt = NULL;
    gnutls_x509_privkey_t key = NULL;
    uint8_t serial[SERIAL_LEN];
    enum nr_err err = env->random(env->ctx, serial, sizeof(serial));
    int code;

    if (err)
        return nr_fail(d, err, 0, "certificate: no randomness");
    serial[0] = (uint8_t)((serial[0] & 0x3f) | 0x40); /* positive, 16 octets */
    code = gnutls_x509_crt_init(&crt);
    if (code >= 0)
        code = gnutls_x509_privkey_init(&key);
    if (code >= 0)
        code = gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
            GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0);
    if (code >= 0)
        code = fill(crt, key, conf, serial);
    if (code >= 0)
        code = put_pem(crt, key, cert, key_out);
    if (code < 0)
        err = failed(code, "certificate: cannot be made", d);
    gnutls_x509_crt_deinit(crt);
    gnutls_x509_privkey_deinit(key);
    if (!err && (cert->err || key_out->err))
        err = nr_fail(d, NR_ENOMEM, 0, "certificate: out of memory");
    return err;
}

static int
check_pair(gnutls_x509_crt_t crt, struct nr_bytes key, struct nr_diag *d)
{
    gnutls_datum_t in = { (unsigned char *)(uintptr_t)key.p, (unsigned)key.n };
    uint8_t a[32], b[32];
    size_t na = sizeof(a), nb = sizeof(b);
    gnutls_x509_privkey_t k = NULL;
    int code = gnutls_x509_privkey_init(&k);

    if (code >= 0)
        code = gnutls_x509_privkey_import2(k, &in, GNUTLS_X509_FMT_PEM, NULL,
            0);
    if (code >= 0)
        code = gnutls_x509_privkey_get_key_id(k, GNUTLS_KEYID_USE_SHA256, a,
            &na);
    if (code >= 0)
        code = gnutls_x509_crt_get_key_id(crt, GNUTLS_KEYID_USE_SHA256, b, &nb);
    gnutls_x509_privkey_deinit(k);
    if (code >= 0 && (na != nb || memcmp(a, b, na) != 0)) {
        (void)nr_fail(d, NR_EFORMAT, 0,
            "certificate: the key is not the certificate's");
        code = GNUTLS_E_CERTIFICATE_KEY_MISMATCH;
    }
    return code;
}

static int
spki(gnutls_x509_crt_t crt, uint8_t hash[NR_SHA256_LEN])
{
    gnutls_pubkey_t pub = NULL;
    gnutls_datum_t der = { NULL, 0 };
    int code = gnutls_pubkey_init(&pub);

    if (code >= 0)
        code = gnutls_pubkey_import_x509(pub, crt, 0);
    if (code >= 0)
        code = gnutls_pubkey_export2(pub, GNUTLS_X509_FMT_DER, &der);
    if (code >= 0) {
        nr_sha256((struct nr_bytes){ der.data, der.size }, hash);
        gnutls_free(der.data);
    }
    gnutls_pubkey_deinit(pub);
    return code;
}

enum nr_err
nr_tls_pin(struct nr_bytes cert, struct nr_bytes key, char pin[NR_TLS_PIN_MAX],
    struct nr_diag *d)
{
    gnutls_datum_t in = { (unsigned char *)(uintptr_t)cert.p,
        (unsigned)nr_min(cert.n, NR_TLS_PEM_MAX) };
    gnutls_x509_crt_t crt = NULL;
    uint8_t hash[NR_SHA256_LEN];
    int code = gnutls_x509_crt_init(&crt);

    if (code >= 0)
        code = gnutls_x509_crt_import(crt, &in, GNUTLS_X509_FMT_PEM);
    if (code >= 0 && key.n > 0)
        code = check_pair(crt, key, d);
    if (code >= 0)
        code = spki(crt, hash);
    gnutls_x509_crt_deinit(crt);
    if (code < 0)
        return failed(code, "certificate: cannot be read", d);
    nr_base64url_print((struct nr_bytes){ hash, sizeof(hash) }, pin);
    return NR_OK;
}
