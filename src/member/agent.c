/* The supervisor. */
#include "member/agent.h"

#include "crypto/crypto.h"
#include "member/private.h"
#include "sandbox/sandbox.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define AGENT_NICE 10
/* ioprio_set(2): the caller; class "best effort", the last of its levels. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_LOWEST      (2 << 13 | 7)
#define LOCK_TRIES         50 /* of 100 ms: an old agent's children end */
#define RESOLVE_MS         15000
#define RESOLVE_MAX        ((size_t)512) /* octets of addresses */
#define ADDRESSES_MAX      8
#define RESTART_MIN_MS     INT64_C(200)
#define RESTART_MAX_MS     INT64_C(60000)
#define HEALTHY_MS         INT64_C(10000) /* a life that clears the backoff */

enum { KEEPER, COURIER, CHILDREN };

struct child {
    const char *role;
    int (*run)(struct nr_agent *ag);
    pid_t pid; /* 0: not running */
    int64_t started_ms, start_at_ms, backoff_ms;
};

void
nr_agent_log(const struct nr_agent *ag, const char *fmt, ...)
{
    char line[1024], when[NR_RFC3339_MAX];
    struct nr_buf b;
    va_list ap;

    va_start(ap, fmt);
    (void)vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    nr_buf_init(&b, sizeof(line) * 2);
    nr_buf_printf(&b, "%s %s %s\n",
        nr_time_print_us(ag->env->now_us(ag->env->ctx), when), ag->role, line);
    /* A log that cannot be written stops nobody. */
    if (!b.err)
        (void)!nr_fd_write(ag->log_fd, nr_buf_bytes(&b), NULL);
    nr_buf_fini(&b);
}

void
nr_agent_log_diag(const struct nr_agent *ag, const struct nr_diag *d)
{
    char text[768];

    nr_diag_print(d, text, sizeof(text));
    nr_agent_log(ag, "%s", text);
}

int64_t
nr_agent_clock_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

void
nr_agent_wake(int fd)
{
    /* A full pipe says it already. */
    while (write(fd, "!", 1) < 0 && errno == EINTR)
        continue;
}

void
nr_agent_drain(int fd)
{
    char buf[256];
    ssize_t n;

    do
        n = read(fd, buf, sizeof(buf));
    while (n > 0 || (n < 0 && errno == EINTR));
}

void
nr_agent_announce(const struct nr_agent *ag)
{
    char text[64];

    nr_text_cut(text, sizeof(text), "%ld %s\n", (long)getpid(), ag->role);
    (void)!nr_fd_write(ag->pid_fd, nr_bytes_of(nr_str_of(text)), NULL);
    close(ag->pid_fd);
}

static enum nr_err
open_pid_file(struct nr_agent *ag, struct nr_diag *d)
{
    char name[64], path[NR_PATH_MAX];
    enum nr_err err;

    nr_text_cut(name, sizeof(name), NR_HOME_RUN "/%s.pid", ag->role);
    err = nr_path_join(path, ag->home, name, d);
    if (err)
        return err;
    ag->pid_fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return ag->pid_fd < 0 ? nr_fail_file(d, "agent: pid file", path) : NR_OK;
}

/* --- names ----------------------------------------------------------------
 * The look-up runs in a child that may do nothing else. It prints addresses,
 * and the supervisor takes nothing but addresses from it. */

static const char *const resolver_files[] = { "/etc/resolv.conf", "/etc/hosts",
    "/etc/nsswitch.conf", "/etc/host.conf", "/etc/gai.conf", "/etc/services",
    NULL };

static int
resolver_main(const struct nr_agent *ag, int out)
{
    const struct nr_sandbox sb = { .promises = NR_SANDBOX_RESOLVER,
        .read = resolver_files,
        .without_landlock = ag->without_landlock };
    const struct addrinfo hints = { .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_ADDRCONFIG };
    struct addrinfo *list = NULL;
    struct nr_diag d = { 0 };
    struct nr_buf b;
    int n = 0;

    if (nr_sandbox_enter(&sb, &d)) {
        nr_agent_log_diag(ag, &d);
        return 1;
    }
    if (getaddrinfo(ag->m.address.host, NULL, &hints, &list) != 0)
        return 1;
    nr_buf_init(&b, RESOLVE_MAX);
    for (const struct addrinfo *i = list; i && n < ADDRESSES_MAX;
         i = i->ai_next, n++) {
        char host[INET6_ADDRSTRLEN];

        if (getnameinfo(i->ai_addr, i->ai_addrlen, host, sizeof(host), NULL, 0,
                NI_NUMERICHOST) == 0)
            nr_buf_printf(&b, "%s%s", n ? "," : "", host);
    }
    freeaddrinfo(list);
    return nr_fd_write(out, nr_buf_bytes(&b), NULL) ? 1 : 0;
}

static bool
is_address_list(const char *text)
{
    struct nr_str rest = nr_str_of(text);

    while (rest.n > 0) {
        char one[INET6_ADDRSTRLEN + 1];
        uint8_t addr[16];
        struct nr_str s = nr_str_cut(rest, ',', &rest);

        nr_copy_cut(one, sizeof(one), s);
        if (inet_pton(AF_INET, one, addr) != 1 &&
            inet_pton(AF_INET6, one, addr) != 1)
            return false;
    }
    return text[0] != 0;
}

/* Read the child's word until it ends or the time is up. */
static size_t
listen_to(int fd, char *buf, size_t size)
{
    int64_t end = nr_agent_clock_ms() + RESOLVE_MS;
    size_t n = 0;

    while (n + 1 < size) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        int64_t left = end - nr_agent_clock_ms();
        ssize_t got;

        if (left <= 0 || poll(&p, 1, (int)left) <= 0)
            break;
        got = read(fd, buf + n, size - 1 - n);
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    buf[n] = 0;
    return n;
}

static void
resolve(struct nr_agent *ag)
{
    char text[RESOLVE_MAX + 1];
    int fd[2];
    pid_t pid;

    ag->resolve[0] = 0;
    if (ag->literal || pipe2(fd, O_CLOEXEC) != 0)
        return;
    pid = fork();
    if (pid == 0)
        _exit(resolver_main(ag, fd[1]));
    close(fd[1]);
    if (pid > 0) {
        listen_to(fd[0], text, sizeof(text));
        (void)kill(pid, SIGKILL);
        (void)waitpid(pid, NULL, 0);
        if (is_address_list(text))
            nr_text_cut(ag->resolve, sizeof(ag->resolve), "%s:%s:%s",
                ag->m.address.host, ag->m.address.port, text);
        else
            nr_agent_log(ag, "%s: the name has no address now",
                ag->m.address.host);
    }
    close(fd[0]);
}

static bool
is_literal(const char *host)
{
    uint8_t addr[16];

    return inet_pton(AF_INET, host, addr) == 1 ||
        inet_pton(AF_INET6, host, addr) == 1;
}

/* --- children --- */

static void
child_main(struct nr_agent *ag, const struct child *c, pid_t parent)
{
    struct nr_diag d = { 0 };
    sigset_t none;

    ag->role = c->role;
    sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    /* Nobody outlives the supervisor, which holds the lock. */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(0);
    if (open_pid_file(ag, &d)) {
        nr_agent_log_diag(ag, &d);
        _exit(1);
    }
    _exit(c->run(ag));
}

static void
start(struct nr_agent *ag, struct child *c)
{
    pid_t parent = getpid();

    c->started_ms = nr_agent_clock_ms();
    c->pid = fork();
    if (c->pid == 0)
        child_main(ag, c, parent);
    if (c->pid < 0) {
        c->pid = 0;
        c->start_at_ms = c->started_ms + RESTART_MAX_MS;
        nr_agent_log(ag, "%s: cannot be started: %s", c->role,
            strerrorname_np(errno));
    }
}

/* False: this child will never run. */
static bool
ended(struct nr_agent *ag, struct child *c, int status)
{
    int64_t now = nr_agent_clock_ms();
    bool again = WIFEXITED(status) && WEXITSTATUS(status) == NR_EXIT_AGAIN;

    c->pid = 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == NR_EXIT_CONFINED)
        return false;
    if (now - c->started_ms >= HEALTHY_MS || again)
        c->backoff_ms = 0;
    c->start_at_ms = now + c->backoff_ms;
    c->backoff_ms = c->backoff_ms
        ? (c->backoff_ms < RESTART_MAX_MS / 2 ? c->backoff_ms * 2
                                              : RESTART_MAX_MS)
        : RESTART_MIN_MS;
    if (!again)
        nr_agent_log(ag, "%s: ended (%s %d), is started again", c->role,
            WIFSIGNALED(status) ? "signal" : "status",
            WIFSIGNALED(status) ? WTERMSIG(status) : WEXITSTATUS(status));
    return true;
}

static bool
reap(struct nr_agent *ag, struct child *children)
{
    bool all = true;
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        for (int i = 0; i < CHILDREN; i++)
            if (children[i].pid == pid)
                all = ended(ag, &children[i], status) && all;
    return all;
}

static void
start_due(struct nr_agent *ag, struct child *children)
{
    for (int i = 0; i < CHILDREN; i++) {
        struct child *c = &children[i];

        if (c->pid != 0 || c->start_at_ms > nr_agent_clock_ms())
            continue;
        if (i == COURIER)
            resolve(ag);
        start(ag, c);
    }
}

static struct timespec
until_due(const struct child *children)
{
    int64_t wait = RESTART_MAX_MS, now = nr_agent_clock_ms();

    for (int i = 0; i < CHILDREN; i++)
        if (children[i].pid == 0 && children[i].start_at_ms - now < wait)
            wait = children[i].start_at_ms - now;
    if (wait < 0)
        wait = 0;
    return (struct timespec){ wait / 1000, wait % 1000 * 1000000 };
}

static void
stop_all(struct child *children)
{
    for (int i = 0; i < CHILDREN; i++)
        if (children[i].pid > 0)
            (void)kill(children[i].pid, SIGTERM);
    for (int i = 0; i < CHILDREN; i++)
        if (children[i].pid > 0)
            (void)waitpid(children[i].pid, NULL, 0);
}

static enum nr_err
supervise(struct nr_agent *ag, const sigset_t *signals, struct nr_diag *d)
{
    struct child children[CHILDREN] = {
        { .role = "keeper", .run = nr_keeper_main },
        { .role = "courier", .run = nr_courier_main },
    };
    enum nr_err err = NR_OK;

    for (;;) {
        struct timespec wait;
        int sig;

        start_due(ag, children);
        wait = until_due(children);
        sig = sigtimedwait(signals, NULL, &wait);
        if (sig == SIGTERM || sig == SIGINT)
            break;
        if (sig == SIGUSR1)
            nr_agent_wake(ag->to_courier[1]);
        if (!reap(ag, children)) {
            err = nr_fail(d, NR_ESYS, 0,
                "agent: a process could not be confined; see the home's log");
            break;
        }
    }
    stop_all(children);
    return err;
}

/* --- beginning --- */

static enum nr_err
lock_home(struct nr_agent *ag, struct nr_diag *d)
{
    char path[NR_PATH_MAX];
    struct nr_diag why = { 0 };
    enum nr_err err = nr_path_join(path, ag->home, NR_HOME_LOCK, d);

    if (err)
        return err;
    for (int i = 0; i < LOCK_TRIES; i++) {
        struct timespec pause = { 0, 100000000 };

        why = (struct nr_diag){ 0 };
        err = nr_file_lock(path, &ag->lock_fd, &why);
        if (err != NR_EBUSY)
            break;
        nanosleep(&pause, NULL);
    }
    if (err == NR_EBUSY)
        return nr_fail_name(d, NR_EBUSY,
            "agent: another one works on this home; stop it first", ag->home);
    if (err && d)
        *d = why;
    return err;
}

static enum nr_err
open_log(struct nr_agent *ag, struct nr_diag *d)
{
    char path[NR_PATH_MAX], aside[NR_PATH_MAX];
    struct stat st;
    enum nr_err err = nr_path_join(path, ag->home, NR_HOME_LOG, d);

    if (!err)
        err = nr_path_join(aside, ag->home, NR_HOME_LOG ".1", d);
    if (err)
        return err;
    if (stat(path, &st) == 0 && st.st_size > NR_LOG_MAX)
        (void)rename(path, aside);
    ag->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    return ag->log_fd < 0 ? nr_fail_file(d, "agent: log", path) : NR_OK;
}

static enum nr_err
prepare(struct nr_agent *ag, struct nr_diag *d)
{
    enum nr_err err = nr_home_check(ag->home, d);

    if (!err)
        err = lock_home(ag, d);
    if (!err)
        err = nr_config_read(&ag->arena, ag->home, &ag->config, d);
    if (!err)
        err = nr_membership_read(&ag->arena, ag->home, &ag->m, d);
    if (!err)
        err = nr_sources_dirs(&ag->config, ag->home, &ag->arena,
            &ag->source_dirs, d);
    if (!err)
        err = open_log(ag, d);
    if (!err)
        err = open_pid_file(ag, d);
    if (!err &&
        (pipe2(ag->to_courier, O_CLOEXEC | O_NONBLOCK) != 0 ||
            pipe2(ag->to_keeper, O_CLOEXEC | O_NONBLOCK) != 0))
        err = nr_fail_sys(d, "agent: pipe");
    ag->literal = !err && is_literal(ag->m.address.host);
    return err;
}

/* The children's files too: what the supervisor gives up is lost to them. */
/* The machine is there for its people: taking in, hunting and upkeep wait for
 * them. The children inherit it, and cannot ask for it in their sandbox. Where it
 * is refused, the agent works as well. */
static void
stand_back(void)
{
    (void)setpriority(PRIO_PROCESS, 0, AGENT_NICE);
#ifdef SYS_ioprio_set
    (void)syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_LOWEST);
#endif
}

static enum nr_err
confine(struct nr_agent *ag, struct nr_diag *d)
{
    const char *const write[] = { ag->home, NULL };
    struct nr_sandbox sb = { .promises = NR_SANDBOX_SUPERVISOR,
        .write = write,
        .without_landlock = ag->without_landlock };
    const char **read;
    size_t n = 0, names = sizeof(resolver_files) / sizeof(*resolver_files);

    while (ag->source_dirs[n])
        n++;
    read = nr_new(&ag->arena, const char *, n + names);
    if (!read)
        return nr_fail(d, NR_ENOMEM, 0, "agent: no memory");
    memcpy(read, ag->source_dirs, n * sizeof(*read));
    memcpy(read + n, resolver_files, sizeof(resolver_files));
    sb.read = read;
    return nr_sandbox_enter(&sb, d);
}

static void
finish(struct nr_agent *ag)
{
    const int fds[] = { ag->to_courier[0], ag->to_courier[1], ag->to_keeper[0],
        ag->to_keeper[1], ag->log_fd, ag->lock_fd };

    for (size_t i = 0; i < sizeof(fds) / sizeof(*fds); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    nr_arena_fini(&ag->arena);
}

enum nr_err
nr_agent_run(const struct nr_agent_conf *conf, struct nr_diag *d)
{
    struct nr_agent ag = { .home = conf->home,
        .env = conf->env,
        .dry_run = conf->dry_run,
        .without_landlock = conf->without_landlock,
        .role = "supervisor",
        .lock_fd = -1,
        .log_fd = -1,
        .to_courier = { -1, -1 },
        .to_keeper = { -1, -1 } };
    sigset_t signals;
    enum nr_err err;

    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGCHLD);
    sigaddset(&signals, SIGUSR1);
    (void)sigprocmask(SIG_BLOCK, &signals, NULL);
    nr_arena_init(&ag.arena, NR_AGENT_MEMORY);
    err = prepare(&ag, d);
    stand_back();
    if (!err)
        err = confine(&ag, d);
    if (!err) {
        nr_agent_announce(&ag);
        nr_agent_log(&ag, "started%s", ag.dry_run ? " (dry run)" : "");
        err = supervise(&ag, &signals, d);
        nr_agent_log(&ag, "stopped");
    }
    finish(&ag);
    return err;
}
