/*
 * For each profile, in a child: what was promised works, all else is refused.
 *
 * usage: sandbox_test [--self-test]
 * With --self-test the children stay unconfined, and the test passes only if it
 * then finds refusals missing in every profile: a test that cannot fail
 * proves nothing.
 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATH_SIZE 256
/* Some refusals are refused without a sandbox too, for want of privilege. */
#define MISSED_MIN 3

struct scene {
    char root[64];
    char inbox[PATH_SIZE], outbox[PATH_SIZE], archive[PATH_SIZE];
    char log[PATH_SIZE], source[PATH_SIZE], ca[PATH_SIZE];
    int listener;  /* bound and listening on loopback */
    int datagrams; /* UDP, bound */
    int unbound;   /* TCP */
    int pair[2];   /* connected to each other */
    struct sockaddr_in at;
};

/* Each probe returns 0 when it worked, else errno. */
static int
try_open(const char *dir, const char *name, int flags)
{
    char path[PATH_SIZE * 2];
    int fd, e;

    (void)snprintf(path, sizeof(path), "%s%s%s", dir, name ? "/" : "",
        name ? name : "");
    fd = open(path, flags | O_CLOEXEC, 0600);
    e = fd < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return e;
}

static int
read_log(const struct scene *s)
{
    return try_open(s->log, NULL, O_RDONLY);
}

static int
write_log(const struct scene *s)
{
    return try_open(s->log, NULL, O_WRONLY);
}

static int
read_source(const struct scene *s)
{
    return try_open(s->source, NULL, O_RDONLY);
}

static int
write_source(const struct scene *s)
{
    return try_open(s->source, NULL, O_WRONLY | O_APPEND);
}

static int
truncate_source(const struct scene *s)
{
    return try_open(s->source, NULL, O_RDONLY | O_TRUNC);
}

static int
read_ca(const struct scene *s)
{
    return try_open(s->ca, NULL, O_RDONLY);
}

static int
write_inbox(const struct scene *s)
{
    return try_open(s->inbox, "new", O_WRONLY | O_CREAT);
}

static int
write_archive(const struct scene *s)
{
    return try_open(s->archive, "new", O_WRONLY | O_CREAT);
}

static int
move_to_outbox(const struct scene *s)
{
    char from[PATH_SIZE * 2], to[PATH_SIZE * 2];

    (void)snprintf(from, sizeof(from), "%s/old", s->inbox);
    (void)snprintf(to, sizeof(to), "%s/old", s->outbox);
    return rename(from, to) == 0 ? 0 : errno;
}

static int
list_root(const struct scene *s)
{
    return try_open(s->root, NULL, O_RDONLY | O_DIRECTORY);
}

static int
read_passwd(const struct scene *s)
{
    (void)s;
    return try_open("/etc/passwd", NULL, O_RDONLY);
}

static int
make_socket(int family, int type)
{
    int fd = socket(family, type | SOCK_CLOEXEC, 0);
    int e = fd < 0 ? errno : 0;

    if (fd >= 0)
        close(fd);
    return e;
}

static int
tcp_socket(const struct scene *s)
{
    (void)s;
    return make_socket(AF_INET, SOCK_STREAM);
}

static int
udp_socket(const struct scene *s)
{
    (void)s;
    return make_socket(AF_INET, SOCK_DGRAM);
}

static int
unix_socket(const struct scene *s)
{
    (void)s;
    return make_socket(AF_UNIX, SOCK_STREAM);
}

static int
raw_socket(const struct scene *s)
{
    (void)s;
    return make_socket(AF_INET6, SOCK_RAW);
}

static int
socket_pair(const struct scene *s)
{
    int fd[2];

    (void)s;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd) != 0)
        return errno;
    close(fd[0]);
    close(fd[1]);
    return 0;
}

static int
connect_out(const struct scene *s)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int e = 0;

    if (fd < 0)
        return errno;
    if (connect(fd, (const struct sockaddr *)&s->at, sizeof(s->at)) != 0)
        e = errno;
    close(fd);
    return e;
}

/* On a listener without a peer "nothing there" is the answer of one who may. */
static int
accept_in(const struct scene *s)
{
    int fd = accept4(s->listener, NULL, NULL, SOCK_CLOEXEC);

    if (fd >= 0)
        close(fd);
    return fd >= 0 || errno == EAGAIN ? 0 : errno;
}

static int
run_program(const struct scene *s)
{
    char *argv[] = { (char[]){ "true" }, NULL }, *envp[] = { NULL };
    int fd[2], e = 0;

    /* execve in place would end the probes: a confined process may not even
     * fork, so only the call itself is tried, on a name that cannot run. */
    (void)s;
    if (pipe2(fd, O_CLOEXEC) != 0)
        return errno;
    execve("/dev/null", argv, envp);
    e = errno; /* EACCES of an unconfined one: not executable */
    close(fd[0]);
    close(fd[1]);
    return e == EPERM ? EPERM : 0;
}

static int
fork_child(const struct scene *s)
{
    pid_t pid = fork();

    (void)s;
    if (pid < 0)
        return errno;
    if (pid == 0)
        _exit(0);
    return waitpid(pid, NULL, 0) == pid ? 0 : errno;
}

static int
kill_parent(const struct scene *s)
{
    (void)s;
    return kill(getppid(), 0) == 0 ? 0 : errno;
}

static int
trace_me(const struct scene *s)
{
    (void)s;
    return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : errno;
}

static void *
nothing(void *arg)
{
    return arg;
}

static int
start_thread(const struct scene *s)
{
    pthread_t t;
    int e = pthread_create(&t, NULL, nothing, NULL);

    (void)s;
    if (e == 0)
        pthread_join(t, NULL);
    return e;
}

static int
watch_source(const struct scene *s)
{
    int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    int e = 0;

    /* Out of instances is the machine's answer, not the sandbox's. */
    if (fd < 0)
        return errno == EMFILE ? 0 : errno;
    if (inotify_add_watch(fd, s->source, IN_MODIFY) < 0)
        e = errno;
    close(fd);
    return e;
}

/* A datagram to an address of one's own choice, by a socket that was there. */
static int
send_out(const struct scene *s)
{
    ssize_t n = sendto(s->datagrams, "x", 1, 0, (const struct sockaddr *)&s->at,
        sizeof(s->at));

    return n == 1 ? 0 : errno;
}

/* The same where seccomp could not see the address. */
static int
send_message_out(const struct scene *s)
{
    char octet = 'x';
    struct sockaddr_in at = s->at;
    struct iovec iov = { &octet, 1 };
    struct msghdr m = { .msg_name = &at, .msg_namelen = sizeof(at) };

    m.msg_iov = &iov;
    m.msg_iovlen = 1;
    return sendmsg(s->datagrams, &m, 0) == 1 ? 0 : errno;
}

static int
receive_in(const struct scene *s)
{
    char buf[8];
    ssize_t n = recv(s->datagrams, buf, sizeof(buf), MSG_DONTWAIT);

    return n >= 0 || errno == EAGAIN ? 0 : errno;
}

static int
answer_peer(const struct scene *s)
{
    return send(s->pair[0], "x", 1, 0) == 1 ? 0 : errno;
}

static int
bind_port(const struct scene *s)
{
    struct sockaddr_in at = { .sin_family = AF_INET };

    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return bind(s->unbound, (struct sockaddr *)&at, sizeof(at)) == 0 ? 0
                                                                     : errno;
}

enum {
    KEEPER,
    COURIER,
    FRONT,
    RESOLVER,
    SUPERVISOR,
    RECEIVER,
    CONVERTER,
    N_PROFILES
};

static const char *const profiles[N_PROFILES] = { "keeper", "courier", "front",
    "resolver", "supervisor", "receiver", "converter" };

#define OF(p) (1u << (p))
#define ALL   ((1u << N_PROFILES) - 1)
#define FILES (OF(KEEPER) | OF(SUPERVISOR))
#define NET   (OF(COURIER) | OF(FRONT) | OF(RESOLVER) | OF(SUPERVISOR))

static const struct {
    const char *name;
    int (*run)(const struct scene *s);
    unsigned may; /* profiles for which it works; refused to all others */
} probes[] = {
    { "read an archived log", read_log, FILES | OF(FRONT) },
    { "write an archived log", write_log, FILES | OF(FRONT) },
    { "make a file in the archive", write_archive, FILES | OF(FRONT) },
    { "read a log source", read_source, FILES | OF(CONVERTER) },
    { "write a log source", write_source, 0 },
    { "truncate a log source", truncate_source, 0 },
    { "read the certificates", read_ca, OF(COURIER) | OF(RESOLVER) },
    { "make a file in the inbox", write_inbox,
        FILES | OF(COURIER) | OF(FRONT) },
    { "move between boxes", move_to_outbox, FILES | OF(COURIER) | OF(FRONT) },
    { "list the directory above", list_root, 0 },
    { "read /etc/passwd", read_passwd, 0 },
    { "TCP socket", tcp_socket, OF(COURIER) | OF(RESOLVER) | OF(SUPERVISOR) },
    { "connect", connect_out, OF(COURIER) | OF(RESOLVER) | OF(SUPERVISOR) },
    { "UDP socket", udp_socket, OF(RESOLVER) | OF(SUPERVISOR) },
    { "UNIX socket", unix_socket, 0 },
    { "raw socket", raw_socket, 0 },
    { "socket pair", socket_pair, 0 },
    { "accept", accept_in, OF(FRONT) | OF(RECEIVER) },
    { "receive a datagram", receive_in, NET | OF(RECEIVER) },
    { "answer a peer", answer_peer, NET | OF(RECEIVER) },
    { "datagram to any address", send_out, NET },
    { "message to any address", send_message_out, NET },
    { "bind", bind_port, OF(COURIER) | OF(RESOLVER) | OF(SUPERVISOR) },
    { "exec", run_program, OF(CONVERTER) },
    { "fork", fork_child, OF(SUPERVISOR) },
    { "signal to the parent", kill_parent, OF(SUPERVISOR) },
    { "ptrace", trace_me, 0 },
    { "thread", start_thread,
        ALL & ~OF(RESOLVER) & ~OF(RECEIVER) & ~OF(CONVERTER) },
    { "inotify", watch_source, FILES },
};

#define N_PROBES (sizeof(probes) / sizeof(*probes))

static bool
enter(int profile, const struct scene *s)
{
    const char *const home[] = { s->inbox, s->outbox, s->archive, NULL };
    const char *const boxes[] = { s->inbox, s->outbox, NULL };
    const char *const source[] = { s->source, "/nonexistent/log", NULL };
    const char *const ca[] = { s->ca, NULL };
    const struct nr_sandbox sb[N_PROFILES] = {
        { .promises = NR_SANDBOX_KEEPER, .read = source, .write = home },
        { .promises = NR_SANDBOX_COURIER, .read = ca, .write = boxes },
        { .promises = NR_SANDBOX_FRONT, .write = home },
        { .promises = NR_SANDBOX_RESOLVER, .read = ca },
        { .promises = NR_SANDBOX_SUPERVISOR, .read = source, .write = home },
        { .promises = NR_SANDBOX_RECEIVER },
        { .promises = NR_SANDBOX_CONVERTER, .read = source },
    };
    struct nr_diag d = { 0 };
    char text[512];

    if (nr_sandbox_enter(&sb[profile], &d) == NR_OK)
        return true;
    nr_diag_print(&d, text, sizeof(text));
    printf("%s: %s\n", profiles[profile], text);
    return false;
}

/* Number of probes that came out wrong; 255 when the sandbox is refused. */
static int
child(int profile, const struct scene *s, bool confined)
{
    int wrong = 0;

    if (confined && !enter(profile, s)) {
        (void)fflush(stdout);
        return 255;
    }
    for (size_t i = 0; i < N_PROBES; i++) {
        bool may = probes[i].may & OF(profile);
        int e = probes[i].run(s);
        bool good = may ? e == 0 : e == EPERM || e == EACCES;

        if (good)
            continue;
        if (confined)
            printf("%s: %s: should be %s, but: %s\n", profiles[profile],
                probes[i].name, may ? "allowed" : "refused", strerror(e));
        wrong++;
    }
    (void)fflush(stdout);
    return wrong;
}

static bool
touch(char *path, const char *dir, const char *name)
{
    size_t n = strlen(dir), more = strlen(name) + 1;

    if (n + 1 + more > PATH_SIZE)
        return false;
    memcpy(path, dir, n);
    path[n] = '/';
    memcpy(path + n + 1, name, more);
    return try_open(path, NULL, O_WRONLY | O_CREAT) == 0;
}

static bool
set_scene(struct scene *s)
{
    char home[PATH_SIZE / 2], other[PATH_SIZE];
    socklen_t len = sizeof(s->at);

    (void)snprintf(s->root, sizeof(s->root), "/tmp/nr_sandbox.XXXXXX");
    if (!mkdtemp(s->root))
        return false;
    (void)snprintf(home, sizeof(home), "%s/home", s->root);
    (void)snprintf(s->inbox, sizeof(s->inbox), "%s/inbox", home);
    (void)snprintf(s->outbox, sizeof(s->outbox), "%s/outbox", home);
    (void)snprintf(s->archive, sizeof(s->archive), "%s/archive", home);
    if (mkdir(home, 0700) != 0 || mkdir(s->inbox, 0700) != 0 ||
        mkdir(s->outbox, 0700) != 0 || mkdir(s->archive, 0700) != 0)
        return false;
    if (!touch(s->log, s->archive, "segment") ||
        !touch(s->source, s->root, "access.log") ||
        !touch(s->ca, s->root, "ca.pem") || !touch(other, s->inbox, "old"))
        return false;
    s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
        0);
    s->datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    s->unbound = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s->pair) != 0)
        return false;
    s->at = (struct sockaddr_in){ .sin_family = AF_INET };
    s->at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return bind(s->listener, (struct sockaddr *)&s->at, len) == 0 &&
        listen(s->listener, 1) == 0 &&
        getsockname(s->listener, (struct sockaddr *)&s->at, &len) == 0;
}

/* The children move "old" about; each profile starts from the same scene. */
static int
run_profile(int profile, bool confined)
{
    struct scene s = { .listener = -1 };
    char remove_all[PATH_SIZE];
    int status = -1;
    pid_t pid;

    if (!set_scene(&s)) {
        perror("scene");
        return 255;
    }
    (void)fflush(stdout);
    pid = fork();
    if (pid == 0)
        _exit(child(profile, &s, confined));
    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return 255;
    close(s.listener);
    close(s.datagrams);
    close(s.unbound);
    close(s.pair[0]);
    close(s.pair[1]);
    (void)snprintf(remove_all, sizeof(remove_all), "rm -r %s", s.root);
    if (system(remove_all) != 0) // NOLINT: a test's own directory
        return 255;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 255;
}

int
main(int argc, char **argv)
{
    bool self_test = argc == 2 && strcmp(argv[1], "--self-test") == 0;
    int bad = 0;

    for (int p = 0; p < N_PROFILES; p++) {
        int wrong = run_profile(p, !self_test);
        bool good = self_test ? wrong >= MISSED_MIN && wrong < 255 : wrong == 0;

        printf("%s: %d of %zu probes wrong%s\n", profiles[p], wrong, N_PROBES,
            good ? "" : ": FAIL");
        bad += !good;
    }
    return bad ? 1 : 0;
}
