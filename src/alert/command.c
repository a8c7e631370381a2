/*
 * JSON lines for one long-lived child. We keep the reading end of its pipe,
 * too: lines that a child had not read when it ended are still countable in
 * the pipe then (FIONREAD), and go to the next child.
 */
#include "alert/carrier.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define SLICE_MS 20

struct command {
    char *text;
    char *const *environ;
    pid_t pid;    /* 0: none */
    int to, from; /* ends of the child's pipe */
    bool iso;
    struct nr_buf row;
    struct alert_carrier carrier;
    char name[64];
};

/* The child's own group: Ctrl-C at the terminal is for us, who then end its
 * input. What we ignore or block is not its business. */
static int
spawn(struct command *c, posix_spawn_file_actions_t *files,
    posix_spawnattr_t *attr)
{
    char shell[] = "/bin/sh", option[] = "-c";
    char *argv[] = { shell, option, c->text, NULL };
    sigset_t none, pipe_signal;

    (void)sigemptyset(&none);
    (void)sigemptyset(&pipe_signal);
    (void)sigaddset(&pipe_signal, SIGPIPE);
    (void)posix_spawnattr_setsigmask(attr, &none);
    (void)posix_spawnattr_setsigdefault(attr, &pipe_signal);
    (void)posix_spawnattr_setpgroup(attr, 0);
    (void)posix_spawnattr_setflags(attr,
        POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
    (void)posix_spawn_file_actions_adddup2(files, c->from, STDIN_FILENO);
    (void)posix_spawn_file_actions_adddup2(files, STDERR_FILENO, STDOUT_FILENO);
    return posix_spawn(&c->pid, shell, files, attr, argv, c->environ);
}

static void
down(void *self)
{
    struct command *c = self;

    if (c->to >= 0)
        (void)close(c->to);
    if (c->from >= 0)
        (void)close(c->from);
    c->to = c->from = -1;
    if (c->pid > 0)
        (void)waitpid(c->pid, NULL, WNOHANG);
    c->pid = 0;
}

static enum nr_err
up(void *self, int *fd, struct nr_diag *d)
{
    struct command *c = self;
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    int ends[2], rc;

    if (pipe2(ends, O_CLOEXEC) != 0)
        return nr_fail_sys(d, "pipe");
    c->from = ends[0];
    c->to = ends[1];
    c->pid = 0;
    if (fcntl(c->to, F_SETFL, O_NONBLOCK) != 0) {
        down(c);
        return nr_fail_sys(d, "pipe");
    }
    rc = posix_spawn_file_actions_init(&files);
    if (rc == 0) {
        rc = posix_spawnattr_init(&attr);
        if (rc == 0) {
            rc = spawn(c, &files, &attr);
            (void)posix_spawnattr_destroy(&attr);
        }
        (void)posix_spawn_file_actions_destroy(&files);
    }
    if (rc != 0) {
        c->pid = 0;
        down(c);
        errno = rc;
        return nr_fail_sys(d, "/bin/sh");
    }
    *fd = c->to;
    return NR_OK;
}

static ssize_t
write_to(void *self, struct nr_bytes in)
{
    struct command *c = self;

    return write(c->to, in.p, in.n);
}

static bool
is_alive(void *self)
{
    struct command *c = self;

    if (c->pid > 0 && waitpid(c->pid, NULL, WNOHANG) == 0)
        return true;
    c->pid = 0;
    errno = 0;
    return false;
}

static size_t
untaken(void *self)
{
    struct command *c = self;
    int n = 0;

    return ioctl(c->from, FIONREAD, &n) == 0 && n > 0 ? (size_t)n : 0;
}

static void
end(void *self, int ms)
{
    struct command *c = self;

    if (c->to >= 0)
        (void)close(c->to);
    c->to = -1;
    for (; ms > 0 && is_alive(c); ms -= SLICE_MS)
        (void)poll(NULL, 0, SLICE_MS);
}

static const struct alert_channel_ops channel = {
    .up = up,
    .down = down,
    .write = write_to,
    .is_alive = is_alive,
    .untaken = untaken,
    .end = end,
};

static enum nr_err
row(void *self, const struct alert_row *r, struct nr_diag *d)
{
    struct command *c = self;

    nr_buf_reset(&c->row);
    alert_put_json(r, c->iso, &c->row);
    if (c->row.err != NR_OK)
        return nr_fail(d, c->row.err, 0, "alert: a row of output");
    return alert_carrier_put(&c->carrier, nr_buf_bytes(&c->row), d);
}

static enum nr_err
tick(void *self, struct nr_diag *d)
{
    struct command *c = self;

    (void)d;
    alert_carrier_pump(&c->carrier);
    return NR_OK;
}

static enum nr_err
finish(void *self, struct nr_diag *d)
{
    struct command *c = self;

    (void)d;
    alert_carrier_finish(&c->carrier);
    return NR_OK;
}

static enum nr_err
save(void *self, struct nr_buf *state, struct nr_diag *d)
{
    struct command *c = self;

    (void)state;
    (void)d;
    alert_carrier_pump(&c->carrier);
    return c->carrier.head ? NR_EBUSY : NR_OK;
}

static void
count(const void *self, struct nr_alert_counts *out)
{
    const struct command *c = self;

    alert_carrier_count(&c->carrier, out);
}

static void
destroy(void *self)
{
    struct command *c = self;

    alert_carrier_fini(&c->carrier);
    nr_buf_fini(&c->row);
    free(c->text);
    free(c);
}

static const struct alert_sink_ops ops = {
    .row = row,
    .tick = tick,
    .finish = finish,
    .save = save,
    .count = count,
    .destroy = destroy,
};

enum nr_err
alert_command_create(const struct nr_alert_conf *conf, const char *command,
    struct alert_sink *sink, struct nr_diag *d)
{
    struct command *c;

    if (!*command)
        return nr_fail(d, NR_EFORMAT, 0, "command: none is named");
    c = calloc(1, sizeof(*c));
    if (c)
        c->text = strdup(command);
    if (!c || !c->text) {
        free(c);
        return nr_fail(d, NR_ENOMEM, 0, "alert: out of memory");
    }
    c->environ = conf->environ;
    c->to = c->from = -1;
    c->iso = conf->iso;
    (void)snprintf(c->name, sizeof(c->name), "command %s", command);
    nr_buf_init(&c->row, NR_ALERT_ROW_MAX);
    alert_carrier_init(&c->carrier, &channel, c, c->name, conf);
    *sink = (struct alert_sink){ &ops, c };
    return NR_OK;
}
