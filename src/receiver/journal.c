#include "receiver/journal.h"

#include "base/date.h"
#include "receiver/framing.h"
#include "json/json.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

#define ARENA_MAX    ((size_t)1 << 29) /* a tree of NR_RECEIVER_ENTRY_MAX */
#define ARGS_MAX     16
#define IDENT_MAX    ((size_t)256)
#define ENTRIES_NONE "-- " /* "-- No entries --", "-- cursor: ..." */

static const char fields[] = "--output-fields="
                             "MESSAGE,_HOSTNAME,SYSLOG_IDENTIFIER,_COMM,"
                             "SYSLOG_PID,_PID";

/* ---- running journalctl ---- */

static bool
is_clean(const char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            return false;
    return true;
}

/* In the child. The error of exec goes to FD. */
static void
run(const char *const *args, int out, int fd)
{
    int null = open("/dev/null", O_RDONLY | O_CLOEXEC), e;
    sigset_t none;

    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)signal(SIGPIPE, SIG_DFL);
    if (null >= 0 && dup2(null, 0) == 0 && dup2(out, 1) == 1)
        (void)execvp(args[0], (char *const *)(uintptr_t)args);
    e = errno;
    (void)!write(fd, &e, sizeof(e));
    _exit(127);
}

static enum nr_err
spawn(const char *const *args, int *fd, pid_t *pid, struct nr_diag *d)
{
    int out[2], said[2], e = 0;
    ssize_t n;

    if (pipe2(out, O_CLOEXEC) != 0)
        return nr_fail_sys(d, "receiver: pipe");
    if (pipe2(said, O_CLOEXEC) != 0) {
        (void)nr_fail_sys(d, "receiver: pipe");
        (void)close(out[0]);
        (void)close(out[1]);
        return NR_ESYS;
    }
    *pid = fork();
    if (*pid == 0)
        run(args, out[1], said[1]);
    (void)close(out[1]);
    (void)close(said[1]);
    do
        n = *pid > 0 ? read(said[0], &e, sizeof(e)) : 0;
    while (n < 0 && errno == EINTR);
    (void)close(said[0]);
    if (*pid > 0 && n == 0 && fcntl(out[0], F_SETFL, O_NONBLOCK) == 0) {
        *fd = out[0];
        return NR_OK;
    }
    (void)close(out[0]);
    if (n > 0)
        errno = e;
    if (errno == ENOENT && n > 0)
        return nr_fail_name(d, NR_ENOTFOUND,
            "receiver: the program is not installed", args[0]);
    return nr_fail_file(d, "receiver: cannot be run", args[0]);
}

enum nr_err
nr_journal_start(const struct nr_receiver_conf *conf, int *fd, pid_t *pid,
    struct nr_diag *d)
{
    char behind[NR_RECEIVER_CURSOR_MAX + 32];
    const char *args[ARGS_MAX] = { "journalctl", "-o", "json", "--all",
        "--no-pager", fields };
    const char *cursor = conf->journal_cursor;
    size_t n = 6;

    if (cursor &&
        (strlen(cursor) >= NR_RECEIVER_CURSOR_MAX || !is_clean(cursor)))
        return nr_fail(d, NR_EFORMAT, 0, "receiver: this is no journal cursor");
    if (conf->journal_dir) {
        args[n++] = "--directory";
        args[n++] = conf->journal_dir;
    }
    if (cursor) {
        (void)snprintf(behind, sizeof(behind), "--after-cursor=%s", cursor);
        args[n++] = behind;
    }
    if (conf->journal_follow) {
        args[n++] = "--follow";
        args[n++] = "--no-tail";
    }
    return spawn(args, fd, pid, d);
}

/* ---- an entry as a line ---- */

/* A value of octets: [104,105]. */
static bool
put_octets(struct nr_buf *b, const struct nr_json *array)
{
    for (const struct nr_json *v = array->child; v; v = v->next) {
        int64_t c;

        if (!nr_json_i64(v, &c) || c < 0 || c > UINT8_MAX)
            return false;
        nr_buf_put_c(b, (char)c);
    }
    return true;
}

static bool
put_value(struct nr_buf *b, const struct nr_json *v)
{
    if (nr_json_is(v, NR_JSON_STRING))
        nr_buf_put_str(b, v->text);
    return nr_json_is(v, NR_JSON_STRING) || nr_json_is(v, NR_JSON_NULL) ||
        (nr_json_is(v, NR_JSON_ARRAY) && put_octets(b, v));
}

/* A field that an entry has several times is an array of its values. */
static bool
put_field(struct nr_buf *b, const struct nr_json *v)
{
    if (!nr_json_is(v, NR_JSON_ARRAY) || !v->child ||
        nr_json_is(v->child, NR_JSON_NUMBER))
        return !v || put_value(b, v);
    for (v = v->child; v; v = v->next) {
        if (!put_value(b, v))
            return false;
        if (v->next)
            nr_buf_put_c(b, '\n');
    }
    return true;
}

/* A field of the head: one word. False: there is none. */
static bool
put_word(struct nr_buf *b, const struct nr_json *entry, struct nr_str name)
{
    struct nr_str s = { 0 };

    if (!nr_json_get_str(entry, name, &s) || s.n == 0)
        return false;
    if (s.n > IDENT_MAX)
        s.n = IDENT_MAX;
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];

        if ((uint8_t)c <= ' ' || c == 0x7f)
            c = '_';
        nr_buf_put_c(b, c);
    }
    return true;
}

static void
put_head(struct nr_buf *b, const struct nr_json *entry)
{
    char time[NR_RFC3339_MAX] = "-";
    struct nr_str us;
    uint64_t v;

    if (nr_json_get_str(entry, NR_STR("__REALTIME_TIMESTAMP"), &us) &&
        nr_str_to_u64(us, &v) && v < (uint64_t)INT64_MAX / 2)
        (void)nr_time_print_us((int64_t)v, time);
    nr_buf_put_str(b, nr_str_of(time));
    nr_buf_put_c(b, ' ');
    if (!put_word(b, entry, NR_STR("_HOSTNAME")))
        nr_buf_put_c(b, '-');
    nr_buf_put_c(b, ' ');
    if (!put_word(b, entry, NR_STR("SYSLOG_IDENTIFIER")) &&
        !put_word(b, entry, NR_STR("_COMM")))
        nr_buf_put_str(b, NR_STR("unknown"));
    nr_buf_put_c(b, '[');
    if (!put_word(b, entry, NR_STR("SYSLOG_PID")) &&
        !put_word(b, entry, NR_STR("_PID")))
        nr_buf_put_c(b, '-');
    nr_buf_put_str(b, NR_STR("]: "));
}

enum nr_err
nr_journal_line(struct nr_arena *a, struct nr_bytes json, size_t max,
    struct nr_buf *b, struct nr_str *cursor, bool *cut)
{
    const struct nr_json *entry = NULL;
    enum nr_err err = nr_json_parse(a, json, &entry, NULL);
    struct nr_str at = { 0 };
    struct nr_bytes m;
    struct nr_buf msg;
    size_t start = b->n;

    if (err || !nr_json_is(entry, NR_JSON_OBJECT))
        return err == NR_ENOMEM ? err : NR_EFORMAT;
    (void)nr_json_get_str(entry, NR_STR("__CURSOR"), &at);
    if (at.n >= NR_RECEIVER_CURSOR_MAX)
        return NR_EFORMAT;
    for (size_t i = 0; i < at.n; i++)
        if ((uint8_t)at.p[i] < 0x20 || at.p[i] == 0x7f)
            return NR_EFORMAT;
    nr_buf_init(&msg, NR_RECEIVER_ENTRY_MAX);
    if (!put_field(&msg, nr_json_get(entry, NR_STR("MESSAGE"))))
        err = NR_EFORMAT;
    else if (msg.err)
        err = msg.err;
    m = nr_buf_bytes(&msg);
    *cut = m.n > max;
    m.n = *cut ? max : m.n;
    if (!err) {
        put_head(b, entry);
        if (!nr_message_put(b, m))
            nr_buf_put_c(b, '\n');
        *cursor = at;
    }
    if (!err && b->err)
        err = b->err;
    if (err && !b->err)
        b->n = start;
    nr_buf_fini(&msg);
    return err;
}

/* ---- journalctl's output ---- */

void
nr_journal_init(struct nr_journal_reader *j, size_t max)
{
    *j = (struct nr_journal_reader){ .max = max };
    nr_buf_init(&j->entry, NR_RECEIVER_ENTRY_MAX);
    nr_arena_init(&j->arena, ARENA_MAX);
}

void
nr_journal_fini(struct nr_journal_reader *j)
{
    nr_buf_fini(&j->entry);
    nr_arena_fini(&j->arena);
}

static void
entry_take(struct nr_journal_reader *j, struct nr_bytes json,
    struct nr_pipe_out *out, struct nr_receiver_stats *s)
{
    struct nr_str cursor = { 0 };
    bool cut = false;

    if (json.n == 0 || nr_bytes_starts(json, NR_BYTES(ENTRIES_NONE)))
        return;
    if (nr_journal_line(&j->arena, json, j->max, nr_pipe_line(out, j->origin),
            &cursor, &cut) == NR_OK) {
        s->messages++;
        s->octets += json.n;
        s->cut += cut;
        memcpy(j->cursor, cursor.p ? cursor.p : "", cursor.n);
        j->cursor[cursor.n] = '\0';
    } else {
        s->unreadable++;
    }
    nr_arena_reset(&j->arena);
}

void
nr_journal_take(struct nr_journal_reader *j, struct nr_bytes in,
    struct nr_pipe_out *out, struct nr_receiver_stats *s)
{
    while (in.n > 0) {
        const uint8_t *lf = memchr(in.p, '\n', in.n);
        size_t n = lf ? (size_t)(lf - in.p) : in.n;
        struct nr_bytes piece = { in.p, n };

        in = nr_bytes_sub(in, lf ? n + 1 : n, in.n);
        if (!lf || j->entry.n > 0 || j->skipping)
            nr_buf_put(&j->entry, piece);
        if (j->entry.err && !j->skipping) {
            j->skipping = true;
            s->unreadable++;
        }
        if (!lf)
            continue;
        if (!j->skipping)
            entry_take(j, j->entry.n > 0 ? nr_buf_bytes(&j->entry) : piece, out,
                s);
        j->skipping = false;
        nr_buf_reset(&j->entry);
    }
    nr_pipe_end_lines(out, nr_str_of(j->cursor));
}
