#include "base/ct.h"
#include "base/date.h"
#include "hub/server.h"
#include "hub/tls.h"
#include "sandbox/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "hub/route.h"

#define THREADS_DEFAULT 4
#define THREADS_MAX     64u
#define LOOK_MS         500   /* how soon a revoked key's streams end */
#define DRAIN_MS        10000 /* for requests under way, at the end */
#define FAREWELL_MS     1000  /* for streams, whose clients may not read */
#define BACKLOG         1024
#define CONN_MEMORY     ((size_t)64 << 10) /* octets of one request's head */

struct files {
    struct nr_arena arena;
    struct nr_bytes cert, key;
    char pin[NR_TLS_PIN_MAX];
};

static bool
split_address(const char *text, char host[256], char port[16])
{
    const char *colon = strrchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : 0;

    if (!colon || n == 0 || n > 255 || strlen(colon + 1) > 15 || !colon[1])
        return false;
    if (text[0] == '[' && text[n - 1] == ']') {
        text++;
        n -= 2;
    }
    memcpy(host, text, n);
    host[n] = 0;
    (void)snprintf(port, 16, "%s", colon + 1);
    return true;
}

static bool
is_loopback(const struct sockaddr *a)
{
    const struct sockaddr_in *v4 = (const void *)a;
    const struct sockaddr_in6 *v6 = (const void *)a;

    if (a->sa_family == AF_INET)
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    return a->sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
}

static enum nr_err
bind_one(const struct addrinfo *ai, const struct nr_hub_serve *conf, int *out,
    struct nr_diag *d)
{
    int one = 1, fd;

    if (conf->http && !is_loopback(ai->ai_addr))
        return nr_fail_name(d, NR_EDENIED,
            "serve: plain HTTP only on a loopback address", conf->listen);
    fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return nr_fail_sys(d, "serve: socket");
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 ||
        listen(fd, BACKLOG) != 0) {
        enum nr_err err = nr_fail_file(d, "serve: cannot listen", conf->listen);

        (void)close(fd);
        return err;
    }
    *out = fd;
    return NR_OK;
}

static enum nr_err
listen_on(const struct nr_hub_serve *conf, int *fd, char *address, size_t max,
    struct nr_diag *d)
{
    struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE };
    struct addrinfo *ai = NULL;
    struct sockaddr_storage at;
    socklen_t n = sizeof(at);
    char host[256], port[16];
    enum nr_err err;

    if (!split_address(conf->listen, host, port))
        return nr_fail_name(d, NR_EFORMAT, "serve: not HOST:PORT",
            conf->listen);
    if (getaddrinfo(host, port, &hints, &ai) != 0 || !ai)
        return nr_fail_name(d, NR_ENOTFOUND, "serve: no such address",
            conf->listen);
    err = bind_one(ai, conf, fd, d);
    freeaddrinfo(ai);
    if (!err && getsockname(*fd, (struct sockaddr *)&at, &n) == 0 &&
        getnameinfo((struct sockaddr *)&at, n, NULL, 0, port, sizeof(port),
            NI_NUMERICSERV) == 0)
        (void)snprintf(address, max, strchr(host, ':') ? "[%s]:%s" : "%s:%s",
            host, port);
    return err;
}

static enum nr_err
read_files(const struct nr_hub_serve *conf, struct files *f, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    enum nr_err err = NR_OK;

    nr_arena_init(&f->arena, 4 * NR_TLS_PEM_MAX);
    if (!conf->cert_pem)
        err = nr_path_join(path, conf->home, NR_HUB_CERT, d);
    if (!err)
        err = nr_file_read(&f->arena, conf->cert_pem ? conf->cert_pem : path,
            NR_TLS_PEM_MAX, &f->cert, d);
    if (!err && !conf->key_pem)
        err = nr_path_join(path, conf->home, NR_HUB_KEY, d);
    if (!err)
        err = nr_file_read(&f->arena, conf->key_pem ? conf->key_pem : path,
            NR_TLS_PEM_MAX, &f->key, d);
    return err ? err : nr_tls_pin(f->cert, f->key, f->pin, d);
}

/* What other processes on this home need to know: pin and true address. */
static enum nr_err
note(struct nr_server *s, const struct files *f, const char *address,
    struct nr_diag *d)
{
    struct nr_db db;
    enum nr_err err = nr_db_open(&db, s->db_path, NR_DB_OPEN, d);

    if (err)
        return err;
    err = nr_store_meta_put(&db, NR_STR("pin"), nr_str_of(f->pin), d);
    if (!err)
        err = nr_store_meta_put(&db, NR_STR("listen"), nr_str_of(address), d);
    if (!err)
        err = nr_store_meta(&db, &s->arena, NR_STR("title"), &s->title, d);
    nr_db_close(&db);
    if (!err &&
        !nr_store_dup(&s->arena,
            (struct nr_str){ (const char *)f->cert.p, f->cert.n }, &s->cert))
        err = nr_fail(d, NR_ENOMEM, 0, "serve: out of memory");
    return err;
}

static enum nr_err
confine(struct nr_server *s, struct nr_diag *d)
{
    const char *const write[] = { s->conf->home, NULL };
    const char *const read[] = { "/dev/urandom", "/etc/localtime", NULL };
    const struct nr_sandbox sb = { .promises = NR_SANDBOX_FRONT,
        .read = read,
        .write = write,
        .without_landlock = s->conf->without_landlock };

    return s->conf->unconfined ? NR_OK : nr_sandbox_enter(&sb, d);
}

static unsigned
threads_of(const struct nr_hub_serve *conf)
{
    unsigned n = conf->threads ? conf->threads : THREADS_DEFAULT;

    return n > THREADS_MAX ? THREADS_MAX : n;
}

static void
raise_files(void)
{
    struct rlimit r;

    if (getrlimit(RLIMIT_NOFILE, &r) == 0 && r.rlim_cur < r.rlim_max) {
        r.rlim_cur = r.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &r);
    }
}

static enum nr_err
start(struct nr_server *s, int fd, const struct files *f, struct nr_diag *d)
{
    unsigned flags = MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME |
        MHD_USE_ITC;
    struct MHD_OptionItem tls[] = {
        { MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)f->cert.p },
        { MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)f->key.p },
        { MHD_OPTION_HTTPS_PRIORITIES, 0,
            (void *)(uintptr_t) "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2" },
        { MHD_OPTION_END, 0, NULL },
    };
    enum nr_err err = nr_pool_init(&s->pool, s->db_path,
        threads_of(s->conf) + 1, d);

    if (!err)
        err = nr_writer_start(&s->writer, s->db_path, d);
    if (err)
        return err;
    if (s->conf->http)
        tls[0].option = MHD_OPTION_END;
    else
        flags |= MHD_USE_TLS;
    s->mhd = MHD_start_daemon(flags, 0, NULL, NULL, nr_route_access, s,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_THREAD_POOL_SIZE,
        threads_of(s->conf), MHD_OPTION_CONNECTION_LIMIT, NR_HUB_CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, NR_HUB_IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONN_MEMORY,
        MHD_OPTION_NOTIFY_COMPLETED, nr_route_completed, s, MHD_OPTION_ARRAY,
        tls, MHD_OPTION_END);
    return s->mhd ? NR_OK
                  : nr_fail_sys(d, "serve: the HTTP server does not start");
}

/* Wait for the end; tell streams to look at their keys when rights changed,
 * and to beat. */
static enum nr_err
keep_time(struct nr_server *s, struct nr_diag *d)
{
    struct pollfd p = { .fd = s->conf->stop_fd, .events = POLLIN };
    int64_t touched = 0, now = 0, rounds = 0;
    struct nr_db db;
    enum nr_err err = nr_db_open(&db, s->db_path, NR_DB_OPEN, d);

    if (err)
        return err;
    err = nr_store_touched(&db, &touched, d);
    while (!err &&
        (poll(&p, 1, LOOK_MS) == 0 || (p.revents == 0 && errno == EINTR))) {
        bool beat = ++rounds % (NR_HUB_HEARTBEAT_S * 1000 / LOOK_MS) == 0;

        /* a store that cannot be read now is read the next time */
        if (nr_store_touched(&db, &now, NULL))
            now = touched;
        if (beat || now != touched)
            nr_events_beat(s, beat);
        touched = now;
    }
    nr_db_close(&db);
    return err;
}

static void
drain(struct nr_server *s)
{
    const struct timespec step = { 0, 10 * 1000000L };

    if (!s->mhd)
        return;
    (void)MHD_quiesce_daemon(s->mhd);
    atomic_store(&s->closing, true);
    for (int ms = 0; ms < DRAIN_MS; ms += 10) {
        int64_t streams = atomic_load(&s->metrics.streams);
        int64_t active = atomic_load(&s->metrics.active);

        if (active <= (ms < FAREWELL_MS ? 0 : streams))
            break;
        nr_events_beat(s, false);
        (void)nanosleep(&step, NULL);
    }
}

static enum nr_err
serve(struct nr_server *s, int fd, struct files *f, const char *address,
    struct nr_diag *d)
{
    enum nr_err err = note(s, f, address, d);

    if (!err)
        err = confine(s, d);
    if (!err)
        err = start(s, fd, f, d);
    /* the daemon has its own copy */
    if (f->key.n)
        nr_wipe((void *)(uintptr_t)f->key.p, f->key.n);
    if (!err)
        err = s->conf->ready(s->conf->ctx, address, d);
    if (!err)
        err = keep_time(s, d);
    drain(s);
    nr_writer_stop(&s->writer);
    if (s->mhd) {
        nr_events_beat(s, false);
        MHD_stop_daemon(s->mhd);
    }
    nr_pool_fini(&s->pool);
    return err;
}

static enum nr_err
prepare(struct nr_server *s, const struct nr_hub_serve *conf,
    const struct nr_env *env, struct nr_diag *d)
{
    s->conf = conf;
    s->env = env;
    nr_arena_init(&s->arena, 2 * NR_TLS_PEM_MAX);
    (void)pthread_mutex_init(&s->lock, NULL);
    (void)pthread_mutex_init(&s->hashing, NULL);
    (void)pthread_mutex_init(&s->stream_lock, NULL);
    s->rates = calloc(NR_RATE_SLOTS, sizeof(*s->rates));
    s->logins = calloc(NR_LOGIN_SLOTS, sizeof(*s->logins));
    if (!s->rates || !s->logins)
        return nr_fail(d, NR_ENOMEM, 0, "serve: out of memory");
    if (env->random(env->ctx, s->salt, sizeof(s->salt)))
        return nr_fail(d, NR_ESYS, 0, "serve: no randomness");
    return nr_path_join(s->db_path, conf->home, NR_HUB_DB, d);
}

enum nr_err
nr_hub_serve(const struct nr_hub_serve *conf, const struct nr_env *env,
    struct nr_diag *d)
{
    struct nr_server *s = calloc(1, sizeof(*s));
    struct files *f = calloc(1, sizeof(*f));
    char lock[NR_PATH_MAX], address[300] = "";
    struct nr_hub *hub = NULL;
    int fd = -1, lock_fd = -1;
    enum nr_err err;

    if (!s || !f) {
        free(s);
        free(f);
        return nr_fail(d, NR_ENOMEM, 0, "serve: out of memory");
    }
    err = prepare(s, conf, env, d);
    if (!err)
        err = nr_hub_open(conf->home, env, &hub, d);
    nr_hub_close(hub);
    if (!err)
        err = nr_path_join(lock, conf->home, NR_HUB_LOCK, d);
    if (!err)
        err = nr_file_lock(lock, &lock_fd, d);
    if (!err)
        err = read_files(conf, f, d);
    raise_files();
    if (!err)
        err = listen_on(conf, &fd, address, sizeof(address), d);
    if (!err)
        err = serve(s, fd, f, address, d);
    if (fd >= 0)
        (void)close(fd);
    if (lock_fd >= 0)
        (void)close(lock_fd);
    nr_arena_fini(&f->arena);
    nr_arena_fini(&s->arena);
    free(s->rates);
    free(s->logins);
    free(s);
    free(f);
    return err;
}
