#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Newer than Debian 12's header; asked of the kernel at run time. */
#define ACCESS_FS_TRUNCATE (UINT64_C(1) << 14) /* ABI 3 */
#define ACCESS_NET_TCP     UINT64_C(3)         /* ABI 4: bind, connect */
#define ABI_REFER          2
#define ABI_TRUNCATE       3
#define ABI_NET            4
/* Without REFER (ABI 1) a rename between two directories is refused whatever
 * the rules say, and the outbox lives by such renames. */
#define ABI_NEEDED ABI_REFER

#define FS_READ_FILE LANDLOCK_ACCESS_FS_READ_FILE
#define FS_READ      (FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_WRITE_FILE \
    (FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | ACCESS_FS_TRUNCATE)
#define FS_WRITE                                                       \
    (FS_READ | FS_WRITE_FILE | LANDLOCK_ACCESS_FS_MAKE_REG |           \
        LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_REMOVE_FILE | \
        LANDLOCK_ACCESS_FS_REMOVE_DIR | LANDLOCK_ACCESS_FS_REFER)
#define FS_EXEC LANDLOCK_ACCESS_FS_EXECUTE
#define FS_ALL  ((LANDLOCK_ACCESS_FS_REFER << 1) - 1)

struct ruleset_attr {
    uint64_t fs, net; /* struct landlock_ruleset_attr as of ABI 4 */
};

#define N_CALLS 96

static const struct {
    unsigned promise;
    int nr[N_CALLS]; /* ends at the first 0 */
} grants[] = {
    { NR_PROMISE_STDIO,
        { SCMP_SYS(readv), SCMP_SYS(write), SCMP_SYS(writev), SCMP_SYS(close),
            SCMP_SYS(fstat), SCMP_SYS(newfstatat), SCMP_SYS(lseek),
            SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select),
            SCMP_SYS(pselect6), SCMP_SYS(epoll_create1), SCMP_SYS(epoll_wait),
            SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2), SCMP_SYS(epoll_ctl),
            SCMP_SYS(eventfd2), SCMP_SYS(pipe), SCMP_SYS(pipe2),
            SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
            SCMP_SYS(signalfd4), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3),
            SCMP_SYS(fcntl), SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap),
            SCMP_SYS(mprotect), SCMP_SYS(madvise), SCMP_SYS(mincore),
            SCMP_SYS(msync), SCMP_SYS(brk), SCMP_SYS(futex),
            SCMP_SYS(membarrier), SCMP_SYS(getrandom), SCMP_SYS(clock_gettime),
            SCMP_SYS(clock_getres), SCMP_SYS(gettimeofday), SCMP_SYS(time),
            SCMP_SYS(clock_nanosleep), SCMP_SYS(nanosleep), SCMP_SYS(alarm),
            SCMP_SYS(setitimer), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigaction),
            SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigtimedwait),
            SCMP_SYS(sigaltstack), SCMP_SYS(restart_syscall), SCMP_SYS(getpid),
            SCMP_SYS(getppid), SCMP_SYS(gettid), SCMP_SYS(tgkill),
            SCMP_SYS(getuid), SCMP_SYS(geteuid), SCMP_SYS(getgid),
            SCMP_SYS(getegid), SCMP_SYS(getrusage), SCMP_SYS(getrlimit),
            SCMP_SYS(prlimit64), SCMP_SYS(sysinfo), SCMP_SYS(uname),
            SCMP_SYS(getcpu), SCMP_SYS(sched_yield),
            SCMP_SYS(sched_getaffinity), SCMP_SYS(umask), SCMP_SYS(exit),
            SCMP_SYS(exit_group) } },
    { NR_PROMISE_THREAD,
        { SCMP_SYS(set_robust_list), SCMP_SYS(rseq), SCMP_SYS(set_tid_address),
            SCMP_SYS(sched_getparam), SCMP_SYS(sched_getscheduler),
            SCMP_SYS(sched_setscheduler), SCMP_SYS(sched_get_priority_max),
            SCMP_SYS(sched_get_priority_min) } },
    { NR_PROMISE_FILE,
        { SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(lstat),
            SCMP_SYS(statx), SCMP_SYS(statfs), SCMP_SYS(fstatfs),
            SCMP_SYS(access), SCMP_SYS(faccessat), SCMP_SYS(faccessat2),
            SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getcwd),
            SCMP_SYS(getdents64), SCMP_SYS(unlink), SCMP_SYS(unlinkat),
            SCMP_SYS(rmdir), SCMP_SYS(rename), SCMP_SYS(renameat),
            SCMP_SYS(renameat2), SCMP_SYS(mkdir), SCMP_SYS(mkdirat),
            SCMP_SYS(fchmod), SCMP_SYS(fchown), SCMP_SYS(utimensat),
            SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(ftruncate),
            SCMP_SYS(fallocate), SCMP_SYS(fadvise64), SCMP_SYS(pread64),
            SCMP_SYS(pwrite64), SCMP_SYS(preadv), SCMP_SYS(pwritev),
            SCMP_SYS(preadv2), SCMP_SYS(pwritev2), SCMP_SYS(sendfile),
            SCMP_SYS(copy_file_range), SCMP_SYS(flock) } },
    { NR_PROMISE_READ,
        { SCMP_SYS(stat), SCMP_SYS(lstat), SCMP_SYS(statx), SCMP_SYS(statfs),
            SCMP_SYS(fstatfs), SCMP_SYS(access), SCMP_SYS(faccessat),
            SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat),
            SCMP_SYS(getcwd), SCMP_SYS(getdents64), SCMP_SYS(fadvise64),
            SCMP_SYS(pread64), SCMP_SYS(preadv) } },
    /* What the loader of programs and libc's start need. */
    { NR_PROMISE_EXEC,
        { SCMP_SYS(execve), SCMP_SYS(arch_prctl), SCMP_SYS(set_tid_address),
            SCMP_SYS(set_robust_list), SCMP_SYS(rseq) } },
    { NR_PROMISE_INOTIFY,
        { SCMP_SYS(inotify_init1), SCMP_SYS(inotify_add_watch),
            SCMP_SYS(inotify_rm_watch) } },
    { NR_PROMISE_CONNECT | NR_PROMISE_RESOLVE,
        { SCMP_SYS(connect), SCMP_SYS(bind), SCMP_SYS(sendmmsg),
            SCMP_SYS(recvmmsg) } },
    { NR_PROMISE_ACCEPT,
        { SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(listen) } },
    { NR_PROMISE_CONNECT | NR_PROMISE_RESOLVE | NR_PROMISE_ACCEPT,
        { SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg),
            SCMP_SYS(recvmsg), SCMP_SYS(shutdown), SCMP_SYS(getsockopt),
            SCMP_SYS(setsockopt), SCMP_SYS(getsockname),
            SCMP_SYS(getpeername) } },
    { NR_PROMISE_RECEIVE,
        { SCMP_SYS(accept), SCMP_SYS(accept4), SCMP_SYS(recvfrom),
            SCMP_SYS(recvmsg), SCMP_SYS(recvmmsg), SCMP_SYS(shutdown),
            SCMP_SYS(getsockopt), SCMP_SYS(getsockname),
            SCMP_SYS(getpeername) } },
    { NR_PROMISE_CHILD,
        { SCMP_SYS(clone), SCMP_SYS(fork), SCMP_SYS(vfork), SCMP_SYS(wait4),
            SCMP_SYS(waitid), SCMP_SYS(kill), SCMP_SYS(prctl),
            SCMP_SYS(seccomp), SCMP_SYS(landlock_create_ruleset),
            SCMP_SYS(landlock_add_rule), SCMP_SYS(landlock_restrict_self),
            SCMP_SYS(set_robust_list), SCMP_SYS(rseq) } },
};

int
nr_sandbox_landlock_abi(void)
{
    long abi = syscall(SYS_landlock_create_ruleset, NULL, 0,
        LANDLOCK_CREATE_RULESET_VERSION);

    return abi > 0 && abi < INT32_MAX ? (int)abi : 0;
}

static enum nr_err
allow_below(int ruleset, const char *const *paths, uint64_t on_dir,
    uint64_t on_file, struct nr_diag *d)
{
    for (; paths && *paths; paths++) {
        struct landlock_path_beneath_attr rule = { 0 };
        struct stat st;
        long rc;

        rule.parent_fd = open(*paths, O_PATH | O_CLOEXEC);
        if (rule.parent_fd < 0 && (errno == ENOENT || errno == ENOTDIR))
            continue;
        if (rule.parent_fd < 0)
            return nr_fail_file(d, "sandbox: open", *paths);
        rc = fstat(rule.parent_fd, &st);
        if (rc == 0) {
            rule.allowed_access = S_ISDIR(st.st_mode) ? on_dir : on_file;
            rc = syscall(SYS_landlock_add_rule, ruleset,
                LANDLOCK_RULE_PATH_BENEATH, &rule, 0);
        }
        if (rc != 0)
            nr_fail_file(d, "sandbox: landlock_add_rule", *paths);
        close(rule.parent_fd);
        if (rc != 0)
            return NR_ESYS;
    }
    return NR_OK;
}

static enum nr_err
confine_files(const struct nr_sandbox *sb, int abi, struct nr_diag *d)
{
    const unsigned net = NR_PROMISE_CONNECT | NR_PROMISE_RESOLVE |
        NR_PROMISE_ACCEPT;
    uint64_t fs = FS_ALL | (abi >= ABI_TRUNCATE ? ACCESS_FS_TRUNCATE : 0);
    struct ruleset_attr attr = { .fs = fs };
    size_t size = abi >= ABI_NET ? sizeof(attr) : sizeof(attr.fs);
    uint64_t exec = sb->promises & NR_PROMISE_EXEC ? FS_EXEC : 0;
    enum nr_err err;
    int fd;

    /* A second lock on the door that seccomp already holds shut. */
    if (abi >= ABI_NET && !(sb->promises & net))
        attr.net = ACCESS_NET_TCP;
    fd = (int)syscall(SYS_landlock_create_ruleset, &attr, size, 0);
    if (fd < 0)
        return nr_fail_sys(d, "sandbox: landlock_create_ruleset");
    err = allow_below(fd, sb->read, (FS_READ | exec) & fs, FS_READ_FILE | exec,
        d);
    if (!err)
        err = allow_below(fd, sb->write, FS_WRITE & fs, FS_WRITE_FILE & fs, d);
    if (!err && syscall(SYS_landlock_restrict_self, fd, 0) != 0)
        err = nr_fail_sys(d, "sandbox: landlock_restrict_self");
    close(fd);
    return err;
}

/* The calls that are allowed for some arguments only. */
static int
allow_sockets(scmp_filter_ctx ctx, int type)
{
    static const unsigned families[] = { AF_INET, AF_INET6 };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(families) / sizeof(*families); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(socket), 2,
            SCMP_A0(SCMP_CMP_EQ, families[i]),
            SCMP_A1(SCMP_CMP_MASKED_EQ, 0xf, (scmp_datum_t)type));
    return rc;
}

/* open(2) and openat(2) without any flag that writes or makes. */
static int
allow_open_to_read(scmp_filter_ctx ctx)
{
    const scmp_datum_t mask = O_ACCMODE | O_CREAT | O_TRUNC | O_APPEND |
        (O_TMPFILE & ~O_DIRECTORY);
    int rc = 0;

    if (SCMP_SYS(open) > 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(open), 1,
            SCMP_A1(SCMP_CMP_MASKED_EQ, mask, O_RDONLY));
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(openat), 1,
            SCMP_A2(SCMP_CMP_MASKED_EQ, mask, O_RDONLY));
    return rc;
}

static int
allow_partly(scmp_filter_ctx ctx, unsigned promises)
{
    static const unsigned long requests[] = { TCGETS, TIOCGWINSZ, FIONREAD,
        FIONBIO, FIOCLEX };
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < sizeof(requests) / sizeof(*requests); i++)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(ioctl), 1,
            SCMP_A1(SCMP_CMP_EQ, requests[i]));
    if (rc == 0 && promises & (NR_PROMISE_CONNECT | NR_PROMISE_RESOLVE))
        rc = allow_sockets(ctx, SOCK_STREAM);
    if (rc == 0 && promises & NR_PROMISE_RESOLVE)
        rc = allow_sockets(ctx, SOCK_DGRAM);
    /* send(2): without an address, so to the peer of a connection. */
    if (rc == 0 && promises & NR_PROMISE_RECEIVE)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(sendto), 2,
            SCMP_A4(SCMP_CMP_EQ, 0), SCMP_A5(SCMP_CMP_EQ, 0));
    if (rc == 0 && promises & NR_PROMISE_READ && !(promises & NR_PROMISE_FILE))
        rc = allow_open_to_read(ctx);
    /* Flags of clone3 lie in memory, where seccomp cannot look: libc falls
     * back to clone, whose flags tell a thread from a process. */
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
    if (rc == 0 && promises & NR_PROMISE_THREAD &&
        !(promises & NR_PROMISE_CHILD))
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(clone), 1,
            SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_THREAD, CLONE_THREAD));
    return rc;
}

static enum nr_err
confine_calls(unsigned promises, struct nr_diag *d)
{
    /* EPERM, not kill: one libc's extra call must not be an outage. */
    scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
    int rc = ctx ? 0 : -ENOMEM;

    /* read(2) is number 0, which ends the lists of the table. */
    if (rc == 0)
        rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(read), 0);
    for (size_t g = 0; rc == 0 && g < sizeof(grants) / sizeof(*grants); g++) {
        if (!(promises & grants[g].promise))
            continue;
        /* Negative numbers are calls that this machine does not have. */
        for (size_t i = 0; rc == 0 && i < N_CALLS && grants[g].nr[i]; i++)
            if (grants[g].nr[i] > 0)
                rc = seccomp_rule_add(ctx, SCMP_ACT_ALLOW, grants[g].nr[i], 0);
    }
    if (rc == 0)
        rc = allow_partly(ctx, promises);
    if (rc == 0)
        rc = seccomp_load(ctx);
    if (ctx)
        seccomp_release(ctx);
    errno = -rc;
    return rc == 0 ? NR_OK : nr_fail_sys(d, "sandbox: seccomp");
}

enum nr_err
nr_sandbox_enter(const struct nr_sandbox *sb, struct nr_diag *d)
{
    int abi = nr_sandbox_landlock_abi();
    enum nr_err err = NR_OK;

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return nr_fail_sys(d, "sandbox: no_new_privs");
    if (abi >= ABI_NEEDED)
        err = confine_files(sb, abi, d);
    else if (!sb->without_landlock)
        return nr_fail(d, NR_ENOTFOUND, 0,
            "sandbox: this kernel has no Landlock (Linux 5.19 or newer, "
            "lsm=landlock at boot); --sandbox=seccomp goes without");
    if (!err)
        err = confine_calls(sb->promises, d);
    return err;
}
