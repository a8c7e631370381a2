#include "base/file.h"

#include "base/num.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum nr_err
nr_path_join(char *buf, const char *dir, const char *name, struct nr_diag *d)
{
    int n = snprintf(buf, NR_PATH_MAX, "%s/%s", dir, name);

    if (n < 0 || (size_t)n >= NR_PATH_MAX)
        return nr_fail_name(d, NR_ELIMIT, "path: too long", name);
    return NR_OK;
}

/* The size of a regular file is known; pipes and /proc grow as they go. */
static enum nr_err
read_fd(struct nr_arena *a, int fd, size_t max, struct nr_bytes *out,
    struct nr_diag *d)
{
    struct stat st;
    size_t cap, n = 0;
    uint8_t *p;

    if (fstat(fd, &st) != 0)
        return nr_fail_sys(d, "file: stat");
    if (S_ISDIR(st.st_mode)) {
        errno = EISDIR;
        return nr_fail_sys(d, "file: cannot be read");
    }
    if (st.st_size > 0 && (uint64_t)st.st_size > max)
        return nr_fail(d, NR_ELIMIT, 0, "file: larger than its limit");
    cap = nr_min(nr_max((size_t)st.st_size + 1, 4096), max + 1);
    p = nr_new(a, uint8_t, cap + 1);
    while (p) {
        ssize_t got = read(fd, p + n, cap - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return nr_fail_sys(d, "file: read");
        if (got == 0)
            break;
        n += (size_t)got;
        if (n > max)
            return nr_fail(d, NR_ELIMIT, 0, "file: larger than its limit");
        if (n == cap) {
            uint8_t *old = p;

            cap = nr_min(cap * 2, max + 1);
            p = nr_new(a, uint8_t, cap + 1);
            if (p)
                memcpy(p, old, n);
        }
    }
    if (!p)
        return nr_fail(d, NR_ENOMEM, 0, "file: no memory to read it");
    *out = (struct nr_bytes){ p, n };
    return NR_OK;
}

enum nr_err
nr_file_read(struct nr_arena *a, const char *path, size_t max,
    struct nr_bytes *out, struct nr_diag *d)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    enum nr_err err;

    if (fd < 0 && errno == ENOENT)
        return nr_fail_name(d, NR_ENOTFOUND, "file: does not exist", path);
    if (fd < 0)
        return nr_fail_file(d, "file: open", path);
    err = read_fd(a, fd, max, out, d);
    nr_diag_add_name(d, err ? path : NULL);
    close(fd);
    return err;
}

enum nr_err
nr_fd_write(int fd, struct nr_bytes in, struct nr_diag *d)
{
    while (in.n > 0) {
        ssize_t put = write(fd, in.p, in.n);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return nr_fail_sys(d, "file: write");
        in = nr_bytes_sub(in, (size_t)put, in.n);
    }
    return NR_OK;
}

enum nr_err
nr_dir_sync_of(const char *path, struct nr_diag *d)
{
    const char *slash = strrchr(path, '/');
    char dir[NR_PATH_MAX] = ".";
    size_t n = slash ? (size_t)(slash - path) : 0;
    int fd, rc;

    if (n >= sizeof(dir))
        return nr_fail_name(d, NR_ELIMIT, "path: too long", path);
    if (slash) {
        memcpy(dir, n ? path : "/", nr_max(n, 1));
        dir[nr_max(n, 1)] = '\0';
    }
    fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return nr_fail_file(d, "directory: open", dir);
    rc = fsync(fd);
    close(fd);
    return rc == 0 ? NR_OK : nr_fail_file(d, "directory: fsync", dir);
}

enum nr_err
nr_file_publish(int fd, const char *tmp, const char *path, struct nr_diag *d)
{
    if (fsync(fd) != 0)
        return nr_fail_file(d, "file: fsync", tmp);
    if (rename(tmp, path) != 0)
        return nr_fail_file(d, "file: rename", path);
    return nr_dir_sync_of(path, d);
}

enum nr_err
nr_file_replace(const char *path, struct nr_bytes in, mode_t mode,
    struct nr_diag *d)
{
    char tmp[NR_PATH_MAX];
    enum nr_err err;
    int fd, n;

    n = snprintf(tmp, sizeof(tmp), "%s.tmp.XXXXXX", path);
    if (n < 0 || (size_t)n >= sizeof(tmp))
        return nr_fail_name(d, NR_ELIMIT, "path: too long", path);
    fd = mkostemp(tmp, O_CLOEXEC);
    if (fd < 0)
        return nr_fail_file(d, "file: create", tmp);
    err = fchmod(fd, mode) == 0 ? NR_OK : nr_fail_file(d, "file: chmod", tmp);
    if (!err)
        err = nr_fd_write(fd, in, d);
    if (!err)
        err = nr_file_publish(fd, tmp, path, d);
    nr_diag_add_name(d, err ? path : NULL);
    close(fd);
    if (err)
        (void)unlink(tmp);
    return err;
}

enum nr_err
nr_dir_make(const char *path, mode_t mode, struct nr_diag *d)
{
    struct stat st;

    if (mkdir(path, mode) == 0)
        return nr_dir_sync_of(path, d);
    if (errno != EEXIST)
        return nr_fail_file(d, "directory: make", path);
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        errno = ENOTDIR;
        return nr_fail_file(d, "directory: make", path);
    }
    return NR_OK;
}

enum nr_err
nr_file_lock(const char *path, int *fd, struct nr_diag *d)
{
    int f = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    enum nr_err err;

    if (f < 0)
        return nr_fail_file(d, "lock: open", path);
    if (flock(f, LOCK_EX | LOCK_NB) == 0) {
        *fd = f;
        return NR_OK;
    }
    if (errno == EWOULDBLOCK)
        err = nr_fail_name(d, NR_EBUSY,
            "lock: held by another noroshi process; stop it or wait", path);
    else
        err = nr_fail_file(d, "lock: flock", path);
    close(f);
    return err;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool
is_dot(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static enum nr_err
list_dir(struct nr_arena *a, DIR *dir, size_t max, struct nr_names *out,
    struct nr_diag *d)
{
    size_t cap = 64, n = 0;
    const char **v = nr_new(a, const char *, cap);

    for (;;) {
        const struct dirent *e;
        size_t len;
        char *name;

        errno = 0;
        e = readdir(dir);
        if (!e && errno != 0)
            return nr_fail_sys(d, "directory: read");
        if (!e)
            break;
        if (is_dot(e->d_name))
            continue;
        if (n == max)
            return nr_fail(d, NR_ELIMIT, 0, "directory: too many entries");
        if (v && n == cap) {
            const char **old = v;

            cap *= 2;
            v = nr_new(a, const char *, cap);
            if (v)
                memcpy(v, old, n * sizeof(*v));
        }
        len = strlen(e->d_name) + 1;
        name = nr_new(a, char, len);
        if (!v || !name)
            return nr_fail(d, NR_ENOMEM, 0, "directory: no memory to list it");
        memcpy(name, e->d_name, len);
        v[n++] = name;
    }
    if (!v)
        return nr_fail(d, NR_ENOMEM, 0, "directory: no memory to list it");
    qsort(v, n, sizeof(*v), by_name);
    *out = (struct nr_names){ v, n };
    return NR_OK;
}

enum nr_err
nr_dir_list(struct nr_arena *a, const char *path, size_t max,
    struct nr_names *out, struct nr_diag *d)
{
    DIR *dir = opendir(path);
    enum nr_err err;

    if (!dir && errno == ENOENT)
        return nr_fail_name(d, NR_ENOTFOUND, "directory: does not exist", path);
    if (!dir)
        return nr_fail_file(d, "directory: open", path);
    err = list_dir(a, dir, max, out, d);
    nr_diag_add_name(d, err ? path : NULL);
    closedir(dir);
    return err;
}
