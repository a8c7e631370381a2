#include "receiver/tls.h"

#include "base/arena.h"
#include "base/ct.h"
#include "base/file.h"

#include <errno.h>
#include <gnutls/gnutls.h>
#include <stdlib.h>
#include <sys/socket.h>

/* RFC 5425 as RFC 9662 renews it: 1.2 or later. */
#define PRIORITY "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"

struct nr_receiver_tls {
    gnutls_certificate_credentials_t cred;
    gnutls_priority_t priority;
    bool ask; /* for a certificate */
};

struct nr_tls_peer {
    gnutls_session_t session;
    bool shaken;
};

static enum nr_err
refuse(int code, const char *what, const char *path, struct nr_diag *d)
{
    return nr_fail_name(d,
        code == GNUTLS_E_MEMORY_ERROR ? NR_ENOMEM : NR_EFORMAT, what, path);
}

static enum nr_err
load_pair(struct nr_receiver_tls *t, struct nr_arena *a, const char *cert,
    const char *key, struct nr_diag *d)
{
    struct nr_bytes c = { 0 }, k = { 0 };
    enum nr_err err = nr_file_read(a, cert, NR_RECEIVER_PEM_MAX, &c, d);
    int code = 0;

    if (!err)
        err = nr_file_read(a, key, NR_RECEIVER_PEM_MAX, &k, d);
    if (!err) {
        gnutls_datum_t cd = { (unsigned char *)(uintptr_t)c.p, (unsigned)c.n };
        gnutls_datum_t kd = { (unsigned char *)(uintptr_t)k.p, (unsigned)k.n };

        code = gnutls_certificate_set_x509_key_mem2(t->cred, &cd, &kd,
            GNUTLS_X509_FMT_PEM, NULL, 0);
        nr_wipe((uint8_t *)(uintptr_t)k.p, k.n);
    }
    if (code == GNUTLS_E_CERTIFICATE_KEY_MISMATCH)
        return refuse(code, "receiver: the key is not the certificate's", key,
            d);
    if (code < 0)
        return refuse(code,
            "receiver: certificate and key (PEM, no password) cannot be read",
            cert, d);
    return err;
}

static enum nr_err
load_ca(struct nr_receiver_tls *t, struct nr_arena *a, const char *ca,
    struct nr_diag *d)
{
    struct nr_bytes c = { 0 };
    enum nr_err err = nr_file_read(a, ca, NR_RECEIVER_PEM_MAX, &c, d);
    int code = 1;

    if (!err) {
        gnutls_datum_t cd = { (unsigned char *)(uintptr_t)c.p, (unsigned)c.n };

        code = gnutls_certificate_set_x509_trust_mem(t->cred, &cd,
            GNUTLS_X509_FMT_PEM);
    }
    t->ask = true;
    if (code <= 0)
        return refuse(code, "receiver: no certificate (PEM) in it", ca, d);
    return err;
}

enum nr_err
nr_receiver_tls_load(const char *cert, const char *key, const char *ca,
    struct nr_receiver_tls **out, struct nr_diag *d)
{
    struct nr_receiver_tls *t = calloc(1, sizeof(*t));
    enum nr_err err = NR_OK;
    struct nr_arena a;

    nr_arena_init(&a, 4 * NR_RECEIVER_PEM_MAX);
    if (!t || gnutls_certificate_allocate_credentials(&t->cred) < 0 ||
        gnutls_priority_init(&t->priority, PRIORITY, NULL) < 0)
        err = nr_fail(d, NR_ENOMEM, 0, "receiver: TLS: out of memory");
    if (!err)
        err = load_pair(t, &a, cert, key, d);
    if (!err && ca)
        err = load_ca(t, &a, ca, d);
    nr_arena_fini(&a);
    if (err) {
        nr_receiver_tls_free(t);
        return err;
    }
    *out = t;
    return NR_OK;
}

void
nr_receiver_tls_free(struct nr_receiver_tls *t)
{
    if (!t)
        return;
    if (t->cred)
        gnutls_certificate_free_credentials(t->cred);
    if (t->priority)
        gnutls_priority_deinit(t->priority);
    free(t);
}

/* GnuTLS's own uses sendmsg(2), whose address seccomp cannot see. */
static ssize_t
push(gnutls_transport_ptr_t fd, const void *p, size_t n)
{
    return send((int)(intptr_t)fd, p, n, MSG_NOSIGNAL | MSG_DONTWAIT);
}

struct nr_tls_peer *
nr_tls_peer_new(struct nr_receiver_tls *t, int fd)
{
    struct nr_tls_peer *p = calloc(1, sizeof(*p));

    if (!p ||
        gnutls_init(&p->session,
            GNUTLS_SERVER | GNUTLS_NONBLOCK | GNUTLS_NO_SIGNAL |
                GNUTLS_NO_TICKETS) < 0) {
        free(p);
        return NULL;
    }
    gnutls_transport_set_int(p->session, fd);
    gnutls_transport_set_push_function(p->session, push);
    gnutls_handshake_set_timeout(p->session, 0); /* the room has its own */
    if (t->ask) {
        gnutls_certificate_server_set_request(p->session, GNUTLS_CERT_REQUIRE);
        gnutls_session_set_verify_cert(p->session, NULL, 0);
    }
    if (gnutls_priority_set(p->session, t->priority) < 0 ||
        gnutls_credentials_set(p->session, GNUTLS_CRD_CERTIFICATE, t->cred) <
            0) {
        nr_tls_peer_free(p);
        return NULL;
    }
    return p;
}

void
nr_tls_peer_free(struct nr_tls_peer *p)
{
    if (!p)
        return;
    if (p->shaken)
        (void)gnutls_bye(p->session, GNUTLS_SHUT_WR);
    gnutls_deinit(p->session);
    free(p);
}

static enum nr_tls_step
wait_for(const struct nr_tls_peer *p)
{
    return gnutls_record_get_direction(p->session) == 0 ? NR_TLS_WAIT_IN
                                                        : NR_TLS_WAIT_OUT;
}

enum nr_tls_step
nr_tls_peer_shake(struct nr_tls_peer *p)
{
    int code;

    do
        code = gnutls_handshake(p->session);
    while (code == GNUTLS_E_INTERRUPTED ||
        code == GNUTLS_E_WARNING_ALERT_RECEIVED);
    if (code == GNUTLS_E_AGAIN)
        return wait_for(p);
    p->shaken = code == GNUTLS_E_SUCCESS;
    if (!p->shaken) /* say why; it may not arrive */
        (void)gnutls_alert_send_appropriate(p->session, code);
    return p->shaken ? NR_TLS_DONE : NR_TLS_BROKEN;
}

enum nr_tls_step
nr_tls_peer_read(struct nr_tls_peer *p, uint8_t *buf, size_t n, size_t *got)
{
    ssize_t code;

    do
        code = gnutls_record_recv(p->session, buf, n);
    while (code == GNUTLS_E_INTERRUPTED ||
        code == GNUTLS_E_WARNING_ALERT_RECEIVED);
    if (code > 0) {
        *got = (size_t)code;
        return NR_TLS_DONE;
    }
    if (code == GNUTLS_E_AGAIN)
        return wait_for(p);
    /* A peer that is gone without a good-bye has ended it all the same. */
    if (code == 0 || code == GNUTLS_E_PREMATURE_TERMINATION ||
        code == GNUTLS_E_PULL_ERROR)
        return NR_TLS_END;
    p->shaken = false;
    return NR_TLS_BROKEN; /* also renegotiation, which nobody needs */
}

bool
nr_tls_peer_pending(const struct nr_tls_peer *p)
{
    return gnutls_record_check_pending(p->session) > 0;
}
