#include "extract/child.h"

#include "base/file.h"
#include "base/num.h"
#include "sandbox/sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PIECE       ((size_t)1 << 16) /* octets read from the pipe at a time */
#define DESCRIPTORS 64                /* that a converter may have open */
#define FAILED      127               /* of the child, before it is another */

static int64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bool
limit(int what, rlim_t to)
{
    struct rlimit l = { to, to };

    return prlimit(0, (enum __rlimit_resource)what, &l, NULL) == 0;
}

/* In the child: confine and become the converter. Does not return. */
static _Noreturn void
become(const struct nr_child *c, int out)
{
    static const char *const environment[] = { "PATH=/usr/bin:/bin",
        "LC_ALL=C.UTF-8", "HOME=/nonexistent", NULL };
    const char *const read[] = { "/usr", "/lib", "/lib64", "/bin",
        "/etc/ld.so.cache", "/etc/fonts", "/etc/w3m", "/dev/null",
        "/dev/urandom", c->path, NULL };
    const struct nr_sandbox sb = {
        .promises = NR_SANDBOX_CONVERTER,
        .read = read,
        /* Without Landlock it could read what the user can, and tell nobody
         * but the user. */
        .without_landlock = true,
    };
    char *argv[NR_CHILD_ARGS] = { NULL };
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    for (size_t i = 0; i + 1 < NR_CHILD_ARGS && c->argv[i]; i++)
        argv[i] = (char *)(uintptr_t)c->argv[i];
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && null >= 0 &&
        dup2(c->in, STDIN_FILENO) >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(null, STDERR_FILENO) >= 0 &&
        close_range(STDERR_FILENO + 1, ~0U, CLOSE_RANGE_CLOEXEC) == 0 &&
        limit(RLIMIT_CPU, c->seconds) && limit(RLIMIT_CORE, 0) &&
        limit(RLIMIT_FSIZE, 0) && limit(RLIMIT_NOFILE, DESCRIPTORS) &&
        nr_sandbox_enter(&sb, NULL) == NR_OK && limit(RLIMIT_AS, c->memory))
        (void)execve(c->path, argv, (char *const *)(uintptr_t)environment);
    _exit(FAILED);
}

/* One piece of output from FD. *MORE false at its end. */
static enum nr_err
take(const struct nr_child *c, int fd, size_t *kept, bool *more,
    enum nr_child_end *end, struct nr_diag *d)
{
    uint8_t piece[PIECE / 8];
    ssize_t n = read(fd, piece, sizeof(piece));
    size_t room = c->output - *kept;
    enum nr_err err;

    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return NR_OK;
    *more = n > 0;
    if (n <= 0)
        return n == 0 ? NR_OK : nr_fail_sys(d, "document: converter's output");
    if ((size_t)n > room)
        *end = NR_CHILD_LARGE;
    err = nr_fd_write(c->out,
        (struct nr_bytes){ piece, nr_min((size_t)n, room) }, d);
    *kept += nr_min((size_t)n, room);
    return err;
}

/* Until its output ends, or it is too slow or too loud. */
static enum nr_err
listen_to(const struct nr_child *c, int fd, enum nr_child_end *end,
    struct nr_diag *d)
{
    int64_t deadline = now_ms() + (int64_t)c->seconds * 1000;
    struct pollfd p = { .fd = fd, .events = POLLIN };
    enum nr_err err = NR_OK;
    bool more = true;
    size_t kept = 0;

    while (more && !err && *end == NR_CHILD_DONE) {
        int64_t left = deadline - now_ms();
        int rc;

        if (left <= 0) {
            *end = NR_CHILD_SLOW;
            break;
        }
        rc = poll(&p, 1, (int)nr_min((size_t)left, 1000));
        if (rc < 0 && errno != EINTR)
            err = nr_fail_sys(d, "document: poll");
        else if (rc > 0)
            err = take(c, fd, &kept, &more, end, d);
    }
    return err;
}

/* Its end, for which it has what is left of its time. */
static enum nr_err
reap(pid_t pid, bool now, unsigned seconds, enum nr_child_end *end,
    struct nr_diag *d)
{
    int64_t deadline = now_ms() + (int64_t)seconds * 1000;
    const struct timespec nap = { .tv_nsec = 2000000 };
    pid_t got = 0;
    int status = 0;

    if (!now)
        while (
            (got = waitpid(pid, &status, WNOHANG)) == 0 && now_ms() < deadline)
            (void)nanosleep(&nap, NULL);
    if (got == 0) {
        if (*end == NR_CHILD_DONE)
            *end = NR_CHILD_SLOW;
        (void)kill(pid, SIGKILL);
        do
            got = waitpid(pid, &status, 0);
        while (got < 0 && errno == EINTR);
    }
    if (got < 0)
        return nr_fail_sys(d, "document: waitpid");
    if (*end == NR_CHILD_DONE && WIFSIGNALED(status) &&
        (WTERMSIG(status) == SIGXCPU ||
            WTERMSIG(status) == SIGKILL)) /* as RLIMIT_CPU does it */
        *end = NR_CHILD_SLOW;
    if (*end == NR_CHILD_DONE &&
        (!WIFEXITED(status) || WEXITSTATUS(status) != 0))
        *end = NR_CHILD_FAILED;
    return NR_OK;
}

enum nr_err
nr_child_run(const struct nr_child *c, enum nr_child_end *end,
    struct nr_diag *d)
{
    enum nr_err err, reaped;
    int pipes[2];
    pid_t pid;

    *end = NR_CHILD_DONE;
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return nr_fail_sys(d, "document: pipe");
    pid = fork();
    if (pid == 0)
        become(c, pipes[1]);
    (void)close(pipes[1]);
    if (pid < 0) {
        (void)close(pipes[0]);
        return nr_fail_sys(d, "document: fork");
    }
    err = listen_to(c, pipes[0], end, d);
    (void)close(pipes[0]);
    reaped = reap(pid, err != NR_OK || *end != NR_CHILD_DONE, c->seconds, end,
        d);
    return err ? err : reaped;
}
