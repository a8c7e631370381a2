/* HOME/run: which processes of an agent are alive. */
#include "member/member.h"
#include "member/private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

/* A pid of a file could be another's by now; the lock says who lives. */
static bool
is_locked(const char *home)
{
    char path[NR_PATH_MAX];
    bool locked;
    int fd;

    if (nr_path_join(path, home, NR_HOME_LOCK, NULL) != NR_OK)
        return false;
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return false;
    locked = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
    close(fd);
    return locked;
}

bool
nr_agent_running(const char *home, int64_t *pid)
{
    char path[NR_PATH_MAX];
    struct nr_arena a;
    struct nr_bytes in;
    struct nr_str text, rest;
    uint64_t n = 0;

    if (!is_locked(home) ||
        nr_path_join(path, home, NR_HOME_RUN "/supervisor.pid", NULL))
        return false;
    nr_arena_init(&a, NR_SMALL_MEMORY);
    if (nr_file_read(&a, path, NR_SMALL_FILE, &in, NULL) ||
        !nr_str_from_utf8(in, &text) ||
        !nr_str_to_u64(nr_str_cut(text, ' ', &rest), &n) || n > INT32_MAX)
        n = 0;
    nr_arena_fini(&a);
    *pid = (int64_t)n;
    return n > 0;
}

void
nr_agent_nudge(const char *home)
{
    int64_t pid;

    if (nr_agent_running(home, &pid))
        (void)kill((pid_t)pid, SIGUSR1);
}
