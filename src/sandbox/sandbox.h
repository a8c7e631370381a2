/*
 * One-way confinement of the calling process: Landlock for files, then
 * seccomp for system calls (landlock(7), seccomp(2)).
 *
 * Call after opening what must be opened, before the first octet from outside
 * is read and before any thread is made (both layers bind one thread and its
 * later children). It cannot be undone; children inherit it and may only
 * narrow it. A refused call fails with EPERM, a refused file with EACCES;
 * nothing is killed.
 *
 * Thread-safety: single-threaded processes only.
 */
#ifndef NR_SANDBOX_H
#define NR_SANDBOX_H

#include "base/err.h"

#include <stdbool.h>

enum nr_promise {
    NR_PROMISE_STDIO = 1 << 0,   /* open descriptors, memory, clock, exit */
    NR_PROMISE_THREAD = 1 << 1,  /* threads, but not processes */
    NR_PROMISE_FILE = 1 << 2,    /* files, as the two lists allow */
    NR_PROMISE_INOTIFY = 1 << 3, /* watch files that may be read */
    NR_PROMISE_CONNECT = 1 << 4, /* make TCP sockets and connect them */
    NR_PROMISE_ACCEPT = 1 << 5,  /* accept on a socket bound before */
    NR_PROMISE_RESOLVE = 1 << 6, /* UDP and TCP sockets of a name look-up */
    NR_PROMISE_CHILD = 1 << 7,   /* fork, wait, kill; confine the child */
    NR_PROMISE_RECEIVE = 1 << 8, /* on sockets bound before: accept, receive,
                                    answer the peer of a connection; no word
                                    to an address of one's own choice */
    NR_PROMISE_READ = 1 << 9,    /* files, opened for reading only */
    NR_PROMISE_EXEC = 1 << 10,   /* become a program that may be read */
};

/*
 * What the processes of noroshi promise (design of processes, noroshi(1)).
 * No promise of any profile includes ptrace, mount or raw sockets; exec only
 * the last one's, which then is the other program's for good.
 */
#define NR_SANDBOX_KEEPER                                     \
    (NR_PROMISE_STDIO | NR_PROMISE_THREAD | NR_PROMISE_FILE | \
        NR_PROMISE_INOTIFY)
#define NR_SANDBOX_COURIER                                    \
    (NR_PROMISE_STDIO | NR_PROMISE_THREAD | NR_PROMISE_FILE | \
        NR_PROMISE_CONNECT)
#define NR_SANDBOX_FRONT \
    (NR_PROMISE_STDIO | NR_PROMISE_THREAD | NR_PROMISE_FILE | NR_PROMISE_ACCEPT)
#define NR_SANDBOX_RESOLVER \
    (NR_PROMISE_STDIO | NR_PROMISE_FILE | NR_PROMISE_RESOLVE)
#define NR_SANDBOX_RECEIVER (NR_PROMISE_STDIO | NR_PROMISE_RECEIVE)
/* The supervisor's filter is inherited, so it holds what its children need. */
#define NR_SANDBOX_SUPERVISOR                                      \
    (NR_SANDBOX_KEEPER | NR_SANDBOX_COURIER | NR_PROMISE_RESOLVE | \
        NR_PROMISE_CHILD)
/* A converter of documents: seccomp alone keeps it from writing any file. */
#define NR_SANDBOX_CONVERTER \
    (NR_PROMISE_STDIO | NR_PROMISE_READ | NR_PROMISE_EXEC)

struct nr_sandbox {
    unsigned promises; /* bits of enum nr_promise */
    /* Files and directories, NULL-terminated lists; a list may be NULL.
     * A directory stands for all below it. A path that does not exist is
     * passed over: there is nothing to allow. */
    const char *const *read;  /* with NR_PROMISE_EXEC: and execute */
    const char *const *write; /* read, write, make, remove and rename */
    /* Carry on with seccomp alone where the kernel has no Landlock: every
     * file of the user is then open to the process. Only by the operator's
     * own word (--sandbox=seccomp); the caller warns. */
    bool without_landlock;
};

/* The kernel's Landlock version; 0: not built in or switched off at boot. */
int nr_sandbox_landlock_abi(void);

/*
 * Enter SB. NR_ENOTFOUND: no Landlock and not allowed to go without; NR_ESYS:
 * the kernel refuses. The caller must then exit, not carry on unconfined.
 */
enum nr_err nr_sandbox_enter(const struct nr_sandbox *sb,
    struct nr_diag *d) NR_MUST_USE;

#endif
