/*
 * Rows on their way to a descriptor or to the end of a file. A row enters the
 * buffer whole; when the disk fills up in the middle of one, the file is cut
 * back to its last whole row.
 */
#include "alert/sink.h"
#include "base/cur.h"
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define GATHER ((size_t)1 << 16) /* octets that are written together */
#define MAGIC  UINT64_C(0x3154554f54524c41) /* of a saved length */

struct alert_out {
    int fd;
    bool own;     /* fd is ours, of the file `name` */
    bool regular; /* can be cut and has a length */
    bool gone;
    struct nr_buf rows; /* whole ones, not yet written */
    dev_t dev;
    ino_t ino;
    char name[NR_PATH_MAX];
};

static enum nr_err
create(const char *name, struct alert_out **out, struct nr_diag *d)
{
    struct alert_out *o = calloc(1, sizeof(*o));
    size_t n = strlen(name);

    if (!o)
        return nr_fail(d, NR_ENOMEM, 0, "alert: out of memory");
    if (n >= sizeof(o->name)) {
        free(o);
        return nr_fail_name(d, NR_ELIMIT, "output: path too long", name);
    }
    memcpy(o->name, name, n + 1);
    o->fd = -1;
    nr_buf_init(&o->rows, SIZE_MAX / 2);
    *out = o;
    return NR_OK;
}

enum nr_err
alert_out_of_fd(int fd, const char *name, struct alert_out **out,
    struct nr_diag *d)
{
    enum nr_err err = create(name, out, d);

    if (err == NR_OK)
        (*out)->fd = fd;
    return err;
}

/* An earlier writer's unfinished row is not continued by ours. */
static enum nr_err
end_last_line(struct alert_out *o, off_t size, struct nr_diag *d)
{
    char last;

    if (!o->regular || size == 0)
        return NR_OK;
    if (pread(o->fd, &last, 1, size - 1) != 1)
        return nr_fail_file(d, "output: read", o->name);
    if (last != '\n')
        nr_buf_put_c(&o->rows, '\n');
    return NR_OK;
}

enum nr_err
alert_out_open(const char *path, struct alert_out **out, struct nr_diag *d)
{
    struct alert_out *o = NULL;
    struct stat st;
    enum nr_err err = create(path, &o, d);

    if (err != NR_OK)
        return err;
    o->own = true;
    o->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOCTTY,
        0600);
    if (o->fd < 0 && (errno == EACCES || errno == EINVAL))
        o->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
    if (o->fd < 0 || fstat(o->fd, &st) != 0) {
        err = nr_fail_file(d, "output: open", path);
        goto out;
    }
    o->regular = S_ISREG(st.st_mode);
    o->dev = st.st_dev;
    o->ino = st.st_ino;
    if (o->regular && flock(o->fd, LOCK_EX | LOCK_NB) != 0)
        err = nr_fail_name(d, NR_EBUSY,
            "output: another process writes this file", path);
    if (err == NR_OK)
        err = end_last_line(o, st.st_size, d);
out:
    if (err == NR_OK)
        *out = o;
    else
        alert_out_close(o);
    return err;
}

void
alert_out_close(struct alert_out *o)
{
    if (!o)
        return;
    if (o->own && o->fd >= 0)
        (void)close(o->fd);
    nr_buf_fini(&o->rows);
    free(o);
}

/* The first DONE octets of the rows were written, no more went. */
static void
cut_torn_row(struct alert_out *o, size_t done)
{
    const uint8_t *end = done > 0 ? memrchr(o->rows.p, '\n', done) : NULL;
    size_t whole = end ? (size_t)(end - o->rows.p) + 1 : 0;
    struct stat st;

    if (!o->regular || done == whole || fstat(o->fd, &st) != 0 ||
        st.st_size < (off_t)(done - whole))
        return;
    /* If this fails, too, the next start ends the line. */
    if (ftruncate(o->fd, st.st_size - (off_t)(done - whole)) != 0)
        return;
}

enum nr_err
alert_out_flush(struct alert_out *o, struct nr_diag *d)
{
    size_t done = 0;

    if (o->rows.err != NR_OK)
        return nr_fail(d, o->rows.err, 0, "alert: out of memory");
    while (done < o->rows.n) {
        ssize_t put = write(o->fd, o->rows.p + done, o->rows.n - done);
        int why = errno;

        if (put < 0 && why == EINTR)
            continue;
        if (put < 0) {
            o->gone = why == EPIPE;
            cut_torn_row(o, done);
            nr_buf_reset(&o->rows);
            errno = why;
            return nr_fail_file(d, "output: write", o->name);
        }
        done += (size_t)put;
    }
    nr_buf_reset(&o->rows);
    return NR_OK;
}

enum nr_err
alert_out_put(struct alert_out *o, struct nr_bytes row, struct nr_diag *d)
{
    nr_buf_put(&o->rows, row);
    return o->rows.n >= GATHER || o->rows.err ? alert_out_flush(o, d) : NR_OK;
}

enum nr_err
alert_out_save(struct alert_out *o, struct nr_buf *state, struct nr_diag *d)
{
    struct stat st;
    enum nr_err err = alert_out_flush(o, d);

    if (err != NR_OK || !o->own || !o->regular)
        return err;
    if (fsync(o->fd) != 0 || fstat(o->fd, &st) != 0)
        return nr_fail_file(d, "output: fsync", o->name);
    nr_buf_put_le(state, MAGIC, 8);
    nr_buf_put_le(state, (uint64_t)st.st_dev, 8);
    nr_buf_put_le(state, (uint64_t)st.st_ino, 8);
    nr_buf_put_le(state, (uint64_t)st.st_size, 8);
    return NR_OK;
}

/* A file of another inode is another one (rotated, begun anew): what it holds
 * was not written after the state, so nothing is cut. */
enum nr_err
alert_out_load(struct alert_out *o, struct nr_bytes state, struct nr_diag *d)
{
    struct nr_cur c = nr_cur(state);
    struct stat st;
    uint64_t length;

    if (!o->own || !o->regular || state.n != 32 || nr_cur_le64(&c) != MAGIC ||
        nr_cur_le64(&c) != (uint64_t)o->dev ||
        nr_cur_le64(&c) != (uint64_t)o->ino)
        return NR_OK;
    length = nr_cur_le64(&c);
    if (fstat(o->fd, &st) != 0)
        return nr_fail_file(d, "output: stat", o->name);
    if (length > (uint64_t)st.st_size)
        return NR_OK; /* copied and truncated meanwhile */
    nr_buf_reset(&o->rows);
    if (ftruncate(o->fd, (off_t)length) != 0)
        return nr_fail_file(d, "output: cut", o->name);
    return end_last_line(o, (off_t)length, d);
}

bool
alert_out_is_gone(const struct alert_out *o)
{
    return o->gone;
}
