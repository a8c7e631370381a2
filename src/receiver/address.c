#include "receiver/address.h"

#include "base/num.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define BACKLOG       128
#define UNIX_MASK     0111 /* sockets get mode 0666 */
#define KEEPALIVE_S   60
#define HOST_TEXT_MAX ((size_t)64)

static const struct {
    const char *scheme;
    const char *name; /* in an origin */
    int type;
} transports[NR_TRANSPORTS] = {
    [NR_OVER_UDP] = { "udp://", "udp", SOCK_DGRAM },
    [NR_OVER_TCP] = { "tcp://", "tcp", SOCK_STREAM },
    [NR_OVER_TLS] = { "tls://", "tls", SOCK_STREAM },
    [NR_OVER_UNIX] = { "unix://", "unix", SOCK_DGRAM },
    [NR_OVER_UNIX_STREAM] = { "unix-stream://", "unix", SOCK_STREAM },
};

static const char wanted[] =
    "receiver: udp://HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, "
    "unix:///PATH or unix-stream:///PATH wanted, HOST a numeric address";

/* ---- listening ---- */

static bool
parse_host(struct nr_str host, in_port_t port, struct nr_listen_at *out)
{
    char text[HOST_TEXT_MAX];
    bool v6 = host.n == 0;

    if (host.n >= 2 && host.p[0] == '[' && host.p[host.n - 1] == ']') {
        host = (struct nr_str){ host.p + 1, host.n - 2 };
        v6 = true;
    }
    if (host.n >= sizeof(text))
        return false;
    memcpy(text, host.p, host.n);
    text[host.n] = '\0';
    if (v6) {
        out->at.v6.sin6_family = AF_INET6;
        out->at.v6.sin6_port = port;
        out->len = sizeof(out->at.v6);
        return host.n == 0 ||
            inet_pton(AF_INET6, text, &out->at.v6.sin6_addr) == 1;
    }
    out->at.v4.sin_family = AF_INET;
    out->at.v4.sin_port = port;
    out->len = sizeof(out->at.v4);
    return inet_pton(AF_INET, text, &out->at.v4.sin_addr) == 1;
}

static bool
parse_inet(struct nr_str rest, struct nr_listen_at *out)
{
    const char *colon = rest.n ? memrchr(rest.p, ':', rest.n) : NULL;
    struct nr_str host = { rest.p, colon ? (size_t)(colon - rest.p) : 0 };
    struct nr_str digits = { rest.p + host.n + 1, rest.n - host.n - 1 };
    uint64_t port;

    return colon && nr_str_to_u64(digits, &port) && port <= UINT16_MAX &&
        parse_host(host, htons((uint16_t)port), out);
}

static bool
parse_path(struct nr_str path, struct nr_listen_at *out)
{
    if (path.n < 2 || path.p[0] != '/' ||
        path.n >= sizeof(out->at.local.sun_path))
        return false;
    out->at.local.sun_family = AF_UNIX;
    memcpy(out->at.local.sun_path, path.p, path.n);
    out->len = sizeof(out->at.local);
    return true;
}

enum nr_err
nr_listen_parse(const char *text, struct nr_listen_at *out, struct nr_diag *d)
{
    struct nr_str all = nr_str_of(text);

    *out = (struct nr_listen_at){ .text = text };
    for (int t = 0; t < NR_TRANSPORTS; t++) {
        size_t n = strlen(transports[t].scheme);
        struct nr_str rest;

        if (all.n < n || memcmp(all.p, transports[t].scheme, n) != 0)
            continue;
        rest = (struct nr_str){ all.p + n, all.n - n };
        out->over = (enum nr_transport)t;
        if (nr_over_unix(out->over) ? parse_path(rest, out)
                                    : parse_inet(rest, out))
            return NR_OK;
    }
    return nr_fail_name(d, NR_EFORMAT, wanted, text);
}

/* A socket file that nobody listens on is a left-over; anything else stays. */
static enum nr_err
clear_path(const struct nr_listen_at *a, struct nr_diag *d)
{
    const char *path = a->at.local.sun_path;
    struct stat st;
    int fd, e;

    if (lstat(path, &st) != 0)
        return NR_OK; /* nothing there; bind says what else is wrong */
    if (!S_ISSOCK(st.st_mode))
        return nr_fail_name(d, NR_EEXIST,
            "receiver: a file that is no socket has this name", a->text);
    fd = socket(AF_UNIX,
        transports[a->over].type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return nr_fail_file(d, "receiver: socket", a->text);
    e = connect(fd, &a->at.any, a->len) == 0 ? 0 : errno;
    (void)close(fd);
    if (e != ECONNREFUSED)
        return nr_fail_name(d, NR_EEXIST,
            "receiver: another process listens there", a->text);
    return unlink(path) == 0 ? NR_OK
                             : nr_fail_file(d, "receiver: unlink", a->text);
}

static int
ask_for_room(int fd)
{
    int size = NR_RECEIVER_RCVBUF, got = 0;
    socklen_t len = sizeof(got);

    /* FORCE goes beyond net.core.rmem_max, for those who may. */
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    if (getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &len) != 0)
        return 0;
    return got / 2; /* the kernel doubles it for its own needs (socket(7)) */
}

static void
set_options(const struct nr_listen_at *a, int fd, int *rcvbuf)
{
    int on = 1, off = 0, idle = KEEPALIVE_S;

    if (a->over == NR_OVER_UDP)
        *rcvbuf = ask_for_room(fd);
    if (nr_over_unix(a->over))
        return;
    if (a->at.any.sa_family == AF_INET6)
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (nr_over_datagrams(a->over))
        return;
    /* Connections inherit these: the confined process may set none. */
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle, sizeof(idle));
}

enum nr_err
nr_listen_open(const struct nr_listen_at *a, int *fd, int *rcvbuf,
    struct nr_diag *d)
{
    enum nr_err err = NR_OK;
    mode_t mask;
    int s, rc;

    *rcvbuf = 0;
    if (nr_over_unix(a->over))
        err = clear_path(a, d);
    if (err)
        return err;
    s = socket(a->at.any.sa_family,
        transports[a->over].type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s < 0)
        return nr_fail_file(d, "receiver: socket", a->text);
    set_options(a, s, rcvbuf);
    mask = umask(UNIX_MASK);
    rc = bind(s, &a->at.any, a->len);
    (void)umask(mask);
    if (rc == 0 && !nr_over_datagrams(a->over))
        rc = listen(s, BACKLOG);
    if (rc != 0) {
        err = nr_fail_file(d, "receiver: cannot listen", a->text);
        (void)close(s);
        return err;
    }
    *fd = s;
    return NR_OK;
}

/* ---- printing ---- */

static void
print_host(const union nr_sockaddr *a, char *buf, size_t n)
{
    const struct in6_addr *v6 = &a->v6.sin6_addr;

    buf[0] = '\0';
    if (a->any.sa_family == AF_INET)
        (void)inet_ntop(AF_INET, &a->v4.sin_addr, buf, (socklen_t)n);
    else if (a->any.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(v6))
        (void)inet_ntop(AF_INET, &v6->s6_addr[12], buf, (socklen_t)n);
    else if (a->any.sa_family == AF_INET6)
        (void)inet_ntop(AF_INET6, v6, buf, (socklen_t)n);
}

void
nr_listen_print(const struct nr_listen_at *a, int fd, char *buf)
{
    union nr_sockaddr at = a->at;
    socklen_t len = sizeof(at);
    char host[INET6_ADDRSTRLEN];
    bool v6 = at.any.sa_family == AF_INET6;

    if (nr_over_unix(a->over)) {
        (void)snprintf(buf, NR_RECEIVER_NAME_MAX, "%s%s",
            transports[a->over].scheme, at.local.sun_path);
        return;
    }
    (void)getsockname(fd, &at.any, &len);
    print_host(&at, host, sizeof(host));
    (void)snprintf(buf, NR_RECEIVER_NAME_MAX, "%s%s%s%s:%u",
        transports[a->over].scheme, v6 ? "[" : "", host, v6 ? "]" : "",
        (unsigned)ntohs(v6 ? at.v6.sin6_port : at.v4.sin_port));
}

/* ---- origins ---- */

enum nr_err
nr_origins_init(struct nr_origins *o, uint64_t seed)
{
    *o = (struct nr_origins){ 0 };
    o->keys = calloc(NR_ORIGINS_ALL, NR_ORIGIN_KEY);
    if (!o->keys)
        return NR_ENOMEM;
    nr_table_init(&o->table, seed);
    return NR_OK;
}

void
nr_origins_fini(struct nr_origins *o)
{
    free(o->keys);
    nr_table_fini(&o->table);
    *o = (struct nr_origins){ 0 };
}

static uint32_t
tell(struct nr_origins *o, const char *name, struct nr_pipe_out *out)
{
    nr_pipe_put(out, NR_PIPE_ORIGIN, o->n,
        (struct nr_bytes){ (const uint8_t *)name, strlen(name) });
    return o->n++;
}

uint32_t
nr_origin_journal(struct nr_origins *o, struct nr_pipe_out *out)
{
    return tell(o, "journal", out);
}

static uint32_t
other_of(struct nr_origins *o, enum nr_transport over, struct nr_pipe_out *out)
{
    char name[NR_RECEIVER_NAME_MAX];

    if (o->other[over] == 0) {
        (void)snprintf(name, sizeof(name), "syslog:%s:other",
            transports[over].name);
        o->other[over] = tell(o, name, out) + 1;
    }
    return o->other[over] - 1;
}

static void
make_key(enum nr_transport over, const union nr_sockaddr *from,
    unsigned listener, uint8_t key[NR_ORIGIN_KEY])
{
    memset(key, 0, NR_ORIGIN_KEY);
    key[0] = (uint8_t)over;
    if (nr_over_unix(over)) {
        key[1] = (uint8_t)listener;
    } else if (from->any.sa_family == AF_INET) {
        memset(key + 11, 0xff, 2);
        memcpy(key + 13, &from->v4.sin_addr, 4);
    } else {
        memcpy(key + 1, &from->v6.sin6_addr, 16);
    }
}

static uint32_t
origin_new(struct nr_origins *o, enum nr_transport over,
    const union nr_sockaddr *from, const uint8_t *key, struct nr_pipe_out *out)
{
    struct nr_bytes k = { o->keys[o->n], NR_ORIGIN_KEY };
    char name[NR_RECEIVER_NAME_MAX], host[sizeof(from->local.sun_path) + 1];

    memcpy(o->keys[o->n], key, NR_ORIGIN_KEY);
    if (!nr_table_put(&o->table, k, o->n, NULL))
        return other_of(o, over, out);
    if (nr_over_unix(over))
        (void)snprintf(host, sizeof(host), "%s", from->local.sun_path);
    else
        print_host(from, host, sizeof(host));
    (void)snprintf(name, sizeof(name), "syslog:%s:%s", transports[over].name,
        host);
    return tell(o, name, out);
}

uint32_t
nr_origin_of(struct nr_origins *o, enum nr_transport over,
    const union nr_sockaddr *from, unsigned listener, struct nr_pipe_out *out)
{
    uint8_t key[NR_ORIGIN_KEY];
    uint64_t *known;

    make_key(over, from, listener, key);
    if (o->has_last && memcmp(key, o->last_key, sizeof(key)) == 0)
        return o->last;
    known = nr_table_get(&o->table, (struct nr_bytes){ key, sizeof(key) });
    if (known)
        o->last = (uint32_t)*known;
    else if (o->n >= NR_RECEIVER_ORIGINS)
        o->last = other_of(o, over, out);
    else
        o->last = origin_new(o, over, from, key, out);
    memcpy(o->last_key, key, sizeof(key));
    o->has_last = true;
    return o->last;
}
