/* The side that starts the receiving process and reads its pipe. */
#include "receiver/receiver.h"

#include "base/num.h"
#include "receiver/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define STATS_TEXT_MAX ((size_t)1024)
#define READ_SIZE      (2 * NR_PIPE_FRAME_MAX)
#define PIPE_SIZE      (1 << 20) /* octets, asked of the kernel */

struct nr_receiver {
    struct nr_listen_at at[NR_RECEIVER_LISTEN_MAX];
    char *paths[NR_RECEIVER_LISTEN_MAX]; /* UNIX, to unlink; NULL: other */
    char *addresses[NR_RECEIVER_LISTEN_MAX];
    size_t n_at, n_addresses;
    int fd, control; /* -1: closed */
    pid_t pid, journal_pid;
    bool journal_follow, journal_failed;
    bool ready, finishing, said_end, ended;
    enum nr_err failed;
    struct nr_diag why;
    void (*note)(void *ctx, const char *text);
    void *ctx;

    uint8_t *buf; /* READ_SIZE */
    size_t start, end;
    char **names; /* of origins */
    uint32_t n_names;
    struct nr_receiver_stats stats;
};

void
nr_receiver_stats_print(const struct nr_receiver_stats *s, char *buf, size_t n)
{
    const struct {
        const char *name;
        uint64_t v;
    } rows[] = { { "octets", s->octets }, { "cut", s->cut },
        { "half", s->half }, { "slow", s->slow },
        { "connections", s->connections }, { "open", s->open },
        { "refused", s->refused }, { "evicted", s->evicted },
        { "tls failed", s->tls_failed }, { "dropped", s->dropped },
        { "unreadable", s->unreadable } };

    struct nr_buf b;

    nr_buf_init(&b, STATS_TEXT_MAX);
    nr_buf_printf(&b, "messages %llu", (unsigned long long)s->messages);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        if (rows[i].v > 0)
            nr_buf_printf(&b, ", %s %llu", rows[i].name,
                (unsigned long long)rows[i].v);
    n = nr_min(n - 1, b.n);
    memcpy(buf, b.p ? b.p : (const uint8_t *)"", n);
    buf[n] = '\0';
    nr_buf_fini(&b);
}

int
nr_receiver_fd(const struct nr_receiver *r)
{
    return r->fd;
}

pid_t
nr_receiver_pid(const struct nr_receiver *r)
{
    return r->pid;
}

const char *
nr_receiver_address(const struct nr_receiver *r, size_t i)
{
    return i < r->n_addresses ? r->addresses[i] : "";
}

struct nr_receiver_stats
nr_receiver_stats(const struct nr_receiver *r)
{
    return r->stats;
}

/* ---- frames ---- */

static char *
copy_text(struct nr_bytes b)
{
    char *s = malloc(b.n + 1);

    if (!s)
        return NULL;
    memcpy(s, b.p, b.n);
    s[b.n] = '\0';
    return s;
}

static enum nr_err
add_text(char **v, uint32_t at, struct nr_bytes text, struct nr_diag *d)
{
    v[at] = copy_text(text);
    return v[at] ? NR_OK : nr_fail(d, NR_ENOMEM, 0, "receiver: out of memory");
}

static enum nr_err
broken(struct nr_diag *d)
{
    return nr_fail(d, NR_EFORMAT, 0,
        "receiver: its process does not keep to the format of the pipe");
}

static void
pass_note(struct nr_receiver *r, const char *text)
{
    if (r->note)
        r->note(r->ctx, text);
}

/* journalctl has closed its output: it is about to end. */
static void
reap_journal(struct nr_receiver *r)
{
    int status = 0;
    pid_t pid;

    if (r->journal_pid <= 0)
        return;
    do
        pid = waitpid(r->journal_pid, &status, 0);
    while (pid < 0 && errno == EINTR);
    r->journal_pid = 0;
    if (r->finishing || pid < 0 || (status == 0 && !r->journal_follow))
        return;
    r->journal_failed = true;
    pass_note(r, "journalctl has ended: the journal is not read any more");
}

static enum nr_err
lines(struct nr_receiver *r, const struct nr_pipe_frame *f,
    struct nr_receiver_block *out, struct nr_diag *d)
{
    if (!r->ready || f->origin >= r->n_names)
        return broken(d);
    out->text = f->text;
    out->origin = f->origin;
    out->name = r->names[f->origin];
    out->cursor = (struct nr_str){ (const char *)f->cursor.p, f->cursor.n };
    return NR_OK;
}

static enum nr_err
note_frame(struct nr_receiver *r, struct nr_bytes text, struct nr_diag *d)
{
    char *s = copy_text(text);

    if (!s)
        return nr_fail(d, NR_ENOMEM, 0, "receiver: out of memory");
    pass_note(r, s);
    free(s);
    return NR_OK;
}

static enum nr_err
take_frame(struct nr_receiver *r, const struct nr_pipe_frame *f,
    struct nr_receiver_block *out, struct nr_diag *d)
{
    if (r->said_end)
        return broken(d);
    switch (f->type) {
    case NR_PIPE_ADDRESS:
        if (r->ready || r->n_addresses >= r->n_at)
            return broken(d);
        return add_text(r->addresses, (uint32_t)r->n_addresses++, f->text, d);
    case NR_PIPE_READY:
        r->ready = true;
        return NR_OK;
    case NR_PIPE_FAIL:
        return r->ready ? broken(d) : nr_pipe_get_fail(f->text, d);
    case NR_PIPE_ORIGIN:
        if (f->origin != r->n_names || r->n_names >= NR_ORIGINS_ALL)
            return broken(d);
        return add_text(r->names, r->n_names++, f->text, d);
    case NR_PIPE_LINES:
        return lines(r, f, out, d);
    case NR_PIPE_STATS:
        nr_pipe_get_stats(f->text, &r->stats);
        return NR_OK;
    case NR_PIPE_NOTE:
        return note_frame(r, f->text, d);
    case NR_PIPE_JOURNAL_END:
        reap_journal(r);
        return NR_OK;
    case NR_PIPE_END:
        r->said_end = true;
        return NR_OK;
    }
    return broken(d);
}

/* ---- reading ---- */

/* The pipe is at its end: in order, or because the process has died. */
static enum nr_err
at_end(struct nr_receiver *r, struct nr_diag *d)
{
    int status = 0;
    char how[64];
    pid_t pid;

    do
        pid = waitpid(r->pid, &status, 0);
    while (pid < 0 && errno == EINTR);
    r->pid = 0;
    r->ended = true;
    if (!r->said_end) {
        if (pid > 0 && WIFSIGNALED(status))
            (void)snprintf(how, sizeof(how), "killed by signal %d",
                WTERMSIG(status));
        else
            (void)snprintf(how, sizeof(how), "exit status %d",
                pid > 0 && WIFEXITED(status) ? WEXITSTATUS(status) : -1);
        return nr_fail_name(d, NR_ESYS,
            "the receiving process has died; what is sent to it is lost", how);
    }
    if (r->journal_failed)
        return nr_fail(d, NR_ESYS, 0,
            "journalctl failed: the journal was not read whole");
    return NR_OK;
}

/* Read once. *AGAIN: nothing there. */
static enum nr_err
fill(struct nr_receiver *r, bool *again, struct nr_diag *d)
{
    ssize_t n;

    if (r->start > 0) {
        memmove(r->buf, r->buf + r->start, r->end - r->start);
        r->end -= r->start;
        r->start = 0;
    }
    do
        n = read(r->fd, r->buf + r->end, READ_SIZE - r->end);
    while (n < 0 && errno == EINTR);
    *again = n < 0 && errno == EAGAIN;
    if (n < 0 && !*again)
        return nr_fail_sys(d, "receiver: the pipe");
    if (n == 0)
        return at_end(r, d);
    r->end += *again ? 0 : (size_t)n;
    return NR_OK;
}

/* One frame, or one read. */
static enum nr_err
advance(struct nr_receiver *r, struct nr_receiver_block *out, bool *again,
    struct nr_diag *d)
{
    struct nr_bytes in = { r->buf + r->start, r->end - r->start };
    struct nr_pipe_frame f = { .type = NR_PIPE_END };
    size_t taken = 0;
    enum nr_err err = nr_pipe_parse(in, &f, &taken);

    if (err == NR_ETRUNC)
        return fill(r, again, d);
    if (err)
        return broken(d);
    r->start += taken;
    return take_frame(r, &f, out, d);
}

enum nr_err
nr_receiver_next(struct nr_receiver *r, struct nr_receiver_block *out,
    struct nr_diag *d)
{
    bool again = false;

    *out = (struct nr_receiver_block){ .name = "" };
    while (!r->failed && !r->ended && !again && out->text.n == 0)
        r->failed = advance(r, out, &again, &r->why);
    if (r->failed) {
        if (d)
            *d = r->why;
        return r->failed;
    }
    out->end = r->ended;
    return NR_OK;
}

/* ---- starting ---- */

/* Only what the process needs stays open: the lists, logs and state of the
 * one that starts it are not its business. */
static bool
keep_only(struct nr_serve_start *s)
{
    enum { IN = 3 };

    int want[3] = { s->pipe, s->control, s->journal }, high[3];
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);

    if (null < 0 || dup2(null, 0) != 0 || dup2(null, 1) != 1)
        return false;
    for (int i = 0; i < 3; i++)
        high[i] = want[i] < 0 ? -1 : fcntl(want[i], F_DUPFD_CLOEXEC, IN + 3);
    for (int i = 0; i < 3; i++)
        if (want[i] >= 0 &&
            (high[i] < 0 || dup3(high[i], IN + i, O_CLOEXEC) != IN + i))
            return false;
    s->pipe = IN;
    s->control = IN + 1;
    s->journal = want[2] < 0 ? -1 : IN + 2;
    if (want[2] < 0)
        (void)close(IN + 2);
    return close_range(IN + 3, ~0U, 0) == 0;
}

static enum nr_err
launch(struct nr_receiver *r, const struct nr_receiver_conf *conf, int journal,
    struct nr_diag *d)
{
    struct nr_serve_start s = { .conf = conf, .at = r->at, .journal = journal };
    int data[2], control[2];

    if (pipe2(data, O_CLOEXEC | O_NONBLOCK) != 0)
        return nr_fail_sys(d, "receiver: pipe");
    if (pipe2(control, O_CLOEXEC) != 0) {
        (void)nr_fail_sys(d, "receiver: pipe");
        (void)close(data[0]);
        (void)close(data[1]);
        return NR_ESYS;
    }
    (void)fcntl(data[0], F_SETPIPE_SZ, PIPE_SIZE);
    r->fd = data[0];
    r->control = control[1];
    s.pipe = data[1];
    s.control = control[0];
    r->pid = fork();
    if (r->pid == 0)
        _exit(keep_only(&s) ? nr_serve_run(&s) : EXIT_FAILURE);
    (void)close(data[1]);
    (void)close(control[0]);
    return r->pid > 0 ? NR_OK : nr_fail_sys(d, "receiver: fork");
}

/* Wait for READY or the reason why not. */
static enum nr_err
await_ready(struct nr_receiver *r, struct nr_diag *d)
{
    struct nr_receiver_block none = { 0 };
    struct pollfd p = { .fd = r->fd, .events = POLLIN };
    enum nr_err err = NR_OK;
    bool again = false;

    while (!err && !r->ready) {
        if (again && poll(&p, 1, -1) < 0 && errno != EINTR)
            return nr_fail_sys(d, "receiver: poll");
        again = false;
        err = advance(r, &none, &again, d);
        if (!err && r->ended)
            err = broken(d);
    }
    return err;
}

static enum nr_err
check(const struct nr_receiver_conf *c, struct nr_receiver *r,
    struct nr_diag *d)
{
    bool tls = false;

    if (c->n_listen > NR_RECEIVER_LISTEN_MAX)
        return nr_fail(d, NR_ELIMIT, 0, "receiver: too many addresses");
    if (c->n_listen == 0 && !c->journal)
        return nr_fail(d, NR_EFORMAT, 0, "receiver: nothing to receive from");
    for (size_t i = 0; i < c->n_listen; i++) {
        enum nr_err err = nr_listen_parse(c->listen[i], &r->at[i], d);

        if (err)
            return err;
        tls = tls || r->at[i].over == NR_OVER_TLS;
    }
    r->n_at = c->n_listen;
    if (tls && (!c->tls_cert || !c->tls_key))
        return nr_fail(d, NR_EFORMAT, 0,
            "receiver: tls:// wants a certificate and its key");
    if (!tls && (c->tls_cert || c->tls_key || c->tls_ca))
        return nr_fail(d, NR_EFORMAT, 0,
            "receiver: a certificate is of no use without tls://");
    return NR_OK;
}

/* UNIX sockets are to be unlinked: their absolute paths. */
static enum nr_err
note_paths(struct nr_receiver *r, struct nr_diag *d)
{
    for (size_t i = 0; i < r->n_at; i++) {
        if (!nr_over_unix(r->at[i].over))
            continue;
        r->paths[i] = strdup(r->at[i].at.local.sun_path);
        if (!r->paths[i])
            return nr_fail(d, NR_ENOMEM, 0, "receiver: out of memory");
    }
    return NR_OK;
}

static void
set_limits(struct nr_receiver_limits *l)
{
    if (l->message == 0 || l->message > NR_RECEIVER_MESSAGE)
        l->message = NR_RECEIVER_MESSAGE;
    if (l->connections == 0 || l->connections > NR_RECEIVER_CONNECTIONS)
        l->connections = NR_RECEIVER_CONNECTIONS;
    if (l->per_host == 0 || l->per_host > NR_RECEIVER_PER_HOST)
        l->per_host = NR_RECEIVER_PER_HOST;
    if (l->idle_ms <= 0 || l->idle_ms > NR_RECEIVER_IDLE_MS)
        l->idle_ms = NR_RECEIVER_IDLE_MS;
    if (l->half_ms <= 0 || l->half_ms > NR_RECEIVER_HALF_MS)
        l->half_ms = NR_RECEIVER_HALF_MS;
    if (l->handshake_ms <= 0 || l->handshake_ms > NR_RECEIVER_HANDSHAKE_MS)
        l->handshake_ms = NR_RECEIVER_HANDSHAKE_MS;
}

enum nr_err
nr_receiver_start(const struct nr_receiver_conf *conf, struct nr_receiver **out,
    struct nr_diag *d)
{
    struct nr_receiver_conf c = *conf;
    struct nr_receiver *r = calloc(1, sizeof(*r));
    int journal = -1;
    enum nr_err err;

    if (!r)
        return nr_fail(d, NR_ENOMEM, 0, "receiver: out of memory");
    r->fd = r->control = -1;
    r->note = c.note;
    r->ctx = c.ctx;
    r->journal_follow = c.journal_follow;
    set_limits(&c.limits);
    r->buf = malloc(READ_SIZE);
    r->names = calloc(NR_ORIGINS_ALL, sizeof(*r->names));
    err = r->buf && r->names
        ? check(&c, r, d)
        : nr_fail(d, NR_ENOMEM, 0, "receiver: out of memory");
    if (!err && c.journal)
        err = nr_journal_start(&c, &journal, &r->journal_pid, d);
    if (!err)
        err = launch(r, &c, journal, d);
    if (journal >= 0)
        (void)close(journal);
    if (!err)
        err = await_ready(r, d);
    if (!err)
        err = note_paths(r, d);
    if (err) {
        nr_receiver_close(r);
        return err;
    }
    *out = r;
    return NR_OK;
}

/* ---- the end ---- */

void
nr_receiver_finish(struct nr_receiver *r)
{
    if (r->finishing)
        return;
    r->finishing = true;
    if (r->journal_pid > 0)
        (void)kill(r->journal_pid, SIGTERM);
    (void)close(r->control);
    r->control = -1;
}

static void
reap(pid_t pid, int sig)
{
    if (pid <= 0)
        return;
    (void)kill(pid, sig);
    while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        continue;
}

void
nr_receiver_close(struct nr_receiver *r)
{
    if (!r)
        return;
    if (r->fd >= 0)
        (void)close(r->fd);
    if (r->control >= 0)
        (void)close(r->control);
    reap(r->pid, SIGKILL);
    reap(r->journal_pid, SIGTERM);
    for (size_t i = 0; i < NR_RECEIVER_LISTEN_MAX; i++) {
        if (r->paths[i])
            (void)unlink(r->paths[i]);
        free(r->paths[i]);
        free(r->addresses[i]);
    }
    for (uint32_t i = 0; i < r->n_names; i++)
        free(r->names[i]);
    free(r->names);
    free(r->buf);
    free(r);
}
