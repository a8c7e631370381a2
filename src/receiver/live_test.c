/* The receiving process alive: loopback and UNIX senders, its limits, its end.
 * Not under sanitizers, which cannot run confined. */
#include "base/test.h"

#include "base/buf.h"
#include "receiver/receiver.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUT_MAX ((size_t)1 << 27)
#define WAIT_MS 20000 /* a test that hangs fails */
#define MANY    10000
#define HALF_MS 100
#define IDLE_MS 50
#define LIMIT   ((size_t)1024)

static char dir[64];

struct scene {
    struct nr_receiver *r;
    struct nr_buf text; /* all lines so far, "origin: line" */
    uint64_t lines;
    char notes[1024];
    bool end;
};

static void
on_note(void *ctx, const char *text)
{
    struct scene *s = ctx;
    size_t n = strlen(s->notes);

    (void)snprintf(s->notes + n, sizeof(s->notes) - n, "%s\n", text);
}

static void
start(struct scene *s, const char *a, const char *b,
    const struct nr_receiver_limits *limits)
{
    const char *at[] = { a, b };
    struct nr_receiver_conf c = { .listen = at,
        .n_listen = b ? 2 : 1,
        .note = on_note,
        .ctx = s };
    struct nr_diag d = { 0 };
    char text[512];

    *s = (struct scene){ 0 };
    nr_buf_init(&s->text, OUT_MAX);
    if (limits)
        c.limits = *limits;
    if (nr_receiver_start(&c, &s->r, &d) != NR_OK) {
        nr_diag_print(&d, text, sizeof(text));
        fail_msg("%s", text);
    }
}

static void
stop(struct scene *s)
{
    nr_receiver_close(s->r);
    nr_buf_fini(&s->text);
}

/* Take one block, waiting for it. */
static enum nr_err
take(struct scene *s, struct nr_diag *d)
{
    struct nr_receiver_block b;
    struct pollfd p = { .fd = nr_receiver_fd(s->r), .events = POLLIN };
    enum nr_err err;

    for (;;) {
        err = nr_receiver_next(s->r, &b, d);
        if (err || b.text.n > 0 || b.end)
            break;
        assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    }
    if (err)
        return err;
    s->end = b.end;
    while (b.text.n > 0) {
        const uint8_t *lf = memchr(b.text.p, '\n', b.text.n);
        size_t n = (size_t)(lf - b.text.p) + 1;

        nr_buf_printf(&s->text, "%s: ", b.name);
        nr_buf_put(&s->text, nr_bytes_sub(b.text, 0, n));
        b.text = nr_bytes_sub(b.text, n, b.text.n);
        s->lines++;
    }
    return NR_OK;
}

static void
take_lines(struct scene *s, uint64_t n)
{
    while (s->lines < n) {
        assert_int_equal(take(s, NULL), NR_OK);
        assert_false(s->end);
    }
}

static void
finish(struct scene *s)
{
    nr_receiver_finish(s->r);
    while (!s->end)
        assert_int_equal(take(s, NULL), NR_OK);
}

static int
dial(const struct scene *s, size_t i, int type)
{
    const char *text = nr_receiver_address(s->r, i);
    struct sockaddr_in at = { .sin_family = AF_INET };
    struct sockaddr_un un = { .sun_family = AF_UNIX };
    const char *path = strstr(text, "///");
    int fd = socket(path ? AF_UNIX : AF_INET, type | SOCK_CLOEXEC, 0);
    unsigned port = 0;

    assert_true(fd >= 0);
    if (path) {
        (void)snprintf(un.sun_path, sizeof(un.sun_path), "%s", path + 2);
        assert_int_equal(connect(fd, (const struct sockaddr *)&un, sizeof(un)),
            0);
        return fd;
    }
    assert_int_equal(sscanf(strrchr(text, ':'), ":%u", &port), 1);
    at.sin_port = htons((uint16_t)port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(fd, (const struct sockaddr *)&at, sizeof(at)), 0);
    return fd;
}

static void
say(int fd, const char *text)
{
    size_t n = strlen(text);

    assert_int_equal(send(fd, text, n, MSG_NOSIGNAL), n);
}

/* The other side closes: what has come until then was taken. */
static void
await_close(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLIN };
    char c;

    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    assert_true(recv(fd, &c, 1, 0) <= 0);
    (void)close(fd);
}

static const char *
text_of(struct scene *s)
{
    const char *t = nr_buf_cstr(&s->text);

    assert_non_null(t);
    return t;
}

/* ---- transports ---- */

static void
test_udp(void **state)
{
    struct scene s;
    int fd;

    (void)state;
    start(&s, "udp://127.0.0.1:0", NULL, NULL);
    fd = dial(&s, 0, SOCK_DGRAM);
    say(fd, "<34>1 - h a - - - one\ntwo\n");
    say(fd, "");
    say(fd, "<34>three");
    take_lines(&s, 2);
    assert_string_equal(text_of(&s),
        "syslog:udp:127.0.0.1: <34>1 - h a - - - one<0A>two\n"
        "syslog:udp:127.0.0.1: <34>three\n");
    (void)close(fd);
    finish(&s);
    assert_int_equal(nr_receiver_stats(s.r).messages, 2);
    stop(&s);
}

static void
test_tcp_mixed(void **state)
{
    struct scene s;
    int fd;

    (void)state;
    start(&s, "tcp://127.0.0.1:0", "tcp://[::1]:0", NULL);
    assert_non_null(strstr(nr_receiver_address(s.r, 1), "tcp://[::1]:"));
    fd = dial(&s, 0, SOCK_STREAM);
    say(fd, "7 <1>a\nb ");
    say(fd, "<2>c\n5 <");
    say(fd, "3>de<4>f");
    (void)close(fd);
    take_lines(&s, 4);
    assert_string_equal(text_of(&s),
        "syslog:tcp:127.0.0.1: <1>a<0A>b \nsyslog:tcp:127.0.0.1: <2>c\n"
        "syslog:tcp:127.0.0.1: <3>de\nsyslog:tcp:127.0.0.1: <4>f\n");
    finish(&s);
    assert_int_equal(nr_receiver_stats(s.r).half, 1);
    assert_int_equal(nr_receiver_stats(s.r).connections, 1);
    assert_int_equal(nr_receiver_stats(s.r).open, 0);
    stop(&s);
}

static void
test_unix(void **state)
{
    char dgram[128], stream[128], want[512];
    struct stat st;
    struct scene s;
    int fd;

    (void)state;
    (void)snprintf(dgram, sizeof(dgram), "unix://%s/log", dir);
    (void)snprintf(stream, sizeof(stream), "unix-stream://%s/str", dir);
    start(&s, dgram, stream, NULL);
    assert_int_equal(stat(dgram + 7, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0666);
    fd = dial(&s, 0, SOCK_DGRAM);
    say(fd, "<13>Oct 11 22:14:15 a: one");
    (void)close(fd);
    take_lines(&s, 1);
    fd = dial(&s, 1, SOCK_STREAM);
    assert_int_equal(send(fd, "<13>two\0<13>three", 18, 0), 18);
    (void)close(fd);
    take_lines(&s, 3);
    (void)snprintf(want, sizeof(want),
        "syslog:unix:%s/log: <13>Oct 11 22:14:15 a: one\n"
        "syslog:unix:%s/str: <13>two\nsyslog:unix:%s/str: <13>three\n",
        dir, dir, dir);
    assert_string_equal(text_of(&s), want);
    stop(&s);
    assert_int_equal(stat(dgram + 7, &st), -1);
    assert_int_equal(stat(stream + 14, &st), -1);
}

/* A socket that nobody listens on is replaced, one in use and a file stay. */
static void
test_unix_left_over(void **state)
{
    struct sockaddr_un at = { .sun_family = AF_UNIX };
    struct nr_receiver_conf c = { .n_listen = 1 };
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    struct nr_receiver *other;
    struct nr_diag d = { 0 };
    const char *listen[1];
    struct scene s;
    char url[128];

    (void)state;
    (void)snprintf(at.sun_path, sizeof(at.sun_path), "%s/old", dir);
    (void)snprintf(url, sizeof(url), "unix://%s/old", dir);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    listen[0] = url;
    c.listen = listen;
    assert_int_equal(nr_receiver_start(&c, &other, &d), NR_EEXIST);
    assert_non_null(strstr(d.name, url));
    (void)close(fd);
    start(&s, url, NULL, NULL);
    d = (struct nr_diag){ 0 };
    assert_int_equal(nr_receiver_start(&c, &other, &d), NR_EEXIST);
    stop(&s);
    fd = open(at.sun_path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_int_equal(nr_receiver_start(&c, &other, &d), NR_EEXIST);
    assert_int_equal(unlink(at.sun_path), 0);
}

/* ---- nothing of streams is lost ---- */

/* In a child: MANY lines of some length over one connection. */
static pid_t
send_many(int fd, char name, bool counted)
{
    pid_t pid = fork();
    char line[512];

    assert_true(pid >= 0);
    if (pid > 0) {
        (void)close(fd);
        return pid;
    }
    for (int i = 0; i < MANY; i++) {
        char body[400];
        int n = snprintf(body, sizeof(body), "<13>%c %05d %0300d", name, i, i);

        n = counted && i % 3 ? snprintf(line, sizeof(line), "%d %s", n, body)
                             : snprintf(line, sizeof(line), "%s\n", body);
        for (int at = 0; at < n;) {
            ssize_t got = send(fd, line + at, (size_t)(n - at), MSG_NOSIGNAL);

            if (got <= 0)
                _exit(1);
            at += (int)got;
        }
    }
    (void)close(fd);
    _exit(0);
}

static void
reap(pid_t pid)
{
    int status = -1;

    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

/* The lines of sender NAME are there, in order. */
static void
check_many(struct scene *s, char name)
{
    const char *t = text_of(s);
    char key[16];

    for (int i = 0; i < MANY; i++) {
        (void)snprintf(key, sizeof(key), "<13>%c %05d ", name, i);
        t = strstr(t, key);
        if (!t)
            fail_msg("%s is missing or out of order", key);
    }
}

static void
many_over(const char *a, const char *b)
{
    struct scene s;
    pid_t pid[3];

    start(&s, a, b, NULL);
    pid[0] = send_many(dial(&s, 0, SOCK_STREAM), 'a', false);
    pid[1] = send_many(dial(&s, 0, SOCK_STREAM), 'b', true);
    pid[2] = send_many(dial(&s, 1, SOCK_STREAM), 'c', true);
    take_lines(&s, 3 * MANY);
    for (int i = 0; i < 3; i++)
        reap(pid[i]);
    finish(&s);
    assert_int_equal(s.lines, 3 * MANY);
    for (char c = 'a'; c <= 'c'; c++)
        check_many(&s, c);
    assert_int_equal(nr_receiver_stats(s.r).cut, 0);
    stop(&s);
}

static void
test_many(void **state)
{
    char stream[128];

    (void)state;
    (void)snprintf(stream, sizeof(stream), "unix-stream://%s/many", dir);
    many_over("tcp://127.0.0.1:0", stream);
}

/* Nobody reads until all senders are stuck or done: they wait, none is lost,
 * and nobody is called slow for it. */
static void
test_back_pressure(void **state)
{
    struct nr_receiver_limits few = { .half_ms = HALF_MS };
    struct scene s;
    pid_t pid[4];
    struct pollfd p;

    (void)state;
    start(&s, "tcp://127.0.0.1:0", NULL, &few);
    for (int i = 0; i < 4; i++)
        pid[i] = send_many(dial(&s, 0, SOCK_STREAM), (char)('a' + i), i & 1);
    p = (struct pollfd){ .fd = nr_receiver_fd(s.r), .events = POLLIN };
    assert_int_equal(poll(&p, 1, WAIT_MS), 1);
    (void)poll(NULL, 0, 5 * HALF_MS);
    take_lines(&s, 4 * MANY);
    for (int i = 0; i < 4; i++)
        reap(pid[i]);
    finish(&s);
    assert_int_equal(s.lines, 4 * MANY);
    for (char c = 'a'; c <= 'd'; c++)
        check_many(&s, c);
    assert_int_equal(nr_receiver_stats(s.r).slow, 0);
    stop(&s);
}

/* The end is asked for while all of it is still on its way. */
static void
test_finish_takes_what_was_sent(void **state)
{
    struct scene s;
    pid_t pid;

    (void)state;
    start(&s, "tcp://127.0.0.1:0", NULL, NULL);
    pid = send_many(dial(&s, 0, SOCK_STREAM), 'a', false);
    take_lines(&s, 1);
    reap(pid);
    finish(&s);
    assert_int_equal(s.lines, MANY);
    check_many(&s, 'a');
    stop(&s);
}

/* ---- limits ---- */

static void
test_cut(void **state)
{
    struct nr_receiver_limits few = { .message = LIMIT };
    char big[2 * LIMIT], want[LIMIT + 1];
    struct scene s;
    int fd;

    (void)state;
    memset(big, 'x', sizeof(big) - 1);
    big[sizeof(big) - 1] = '\0';
    memset(want, 'x', LIMIT);
    want[LIMIT] = '\0';
    start(&s, "tcp://127.0.0.1:0", "udp://127.0.0.1:0", &few);
    fd = dial(&s, 1, SOCK_DGRAM);
    say(fd, big);
    big[LIMIT] = '\0';
    say(fd, big);
    take_lines(&s, 2);
    (void)close(fd);
    fd = dial(&s, 0, SOCK_STREAM);
    say(fd, big);
    say(fd, "QQQQQQ\nz\n");
    take_lines(&s, 4);
    finish(&s);
    (void)close(fd);
    assert_int_equal(nr_receiver_stats(s.r).cut, 2);
    assert_int_equal(nr_receiver_stats(s.r).messages, 4);
    assert_null(strchr(text_of(&s), 'Q'));
    assert_non_null(strstr(text_of(&s), ": z\n"));
    assert_non_null(strstr(text_of(&s), want));
    stop(&s);
}

static void
test_slow(void **state)
{
    struct nr_receiver_limits few = { .half_ms = HALF_MS };
    struct scene s;
    int slow, quiet;

    (void)state;
    start(&s, "tcp://127.0.0.1:0", NULL, &few);
    quiet = dial(&s, 0, SOCK_STREAM);
    say(quiet, "<1>a\n");
    slow = dial(&s, 0, SOCK_STREAM);
    say(slow, "<1>whole\n99 <1>but ha");
    await_close(slow);
    say(quiet, "<1>silence is no sin\n");
    take_lines(&s, 4);
    assert_non_null(strstr(text_of(&s), ": <1>but ha\n"));
    assert_non_null(strstr(text_of(&s), ": <1>silence is no sin\n"));
    (void)close(quiet);
    finish(&s);
    assert_int_equal(nr_receiver_stats(s.r).slow, 1);
    assert_int_equal(nr_receiver_stats(s.r).half, 1);
    stop(&s);
}

static void
test_too_many_of_one(void **state)
{
    struct nr_receiver_limits few = { .per_host = 2 };
    struct scene s;
    int a, b;

    (void)state;
    start(&s, "tcp://127.0.0.1:0", NULL, &few);
    a = dial(&s, 0, SOCK_STREAM);
    b = dial(&s, 0, SOCK_STREAM);
    await_close(dial(&s, 0, SOCK_STREAM));
    say(a, "<1>a\n");
    say(b, "<1>b\n");
    take_lines(&s, 2);
    (void)close(a);
    (void)close(b);
    finish(&s);
    assert_int_equal(nr_receiver_stats(s.r).refused, 1);
    assert_int_equal(nr_receiver_stats(s.r).connections, 2);
    assert_non_null(strstr(s.notes, "1 connections were refused"));
    stop(&s);
}

static void
test_idle_makes_room(void **state)
{
    struct nr_receiver_limits few = { .connections = 2, .idle_ms = IDLE_MS };
    struct scene s;
    int a, b, c;

    (void)state;
    start(&s, "tcp://127.0.0.1:0", NULL, &few);
    a = dial(&s, 0, SOCK_STREAM);
    say(a, "<1>a\n");
    take_lines(&s, 1);
    (void)poll(NULL, 0, 2 * IDLE_MS);
    b = dial(&s, 0, SOCK_STREAM);
    say(b, "<1>b\n");
    c = dial(&s, 0, SOCK_STREAM);
    say(c, "<1>c\n");
    await_close(a);
    take_lines(&s, 3);
    (void)close(b);
    (void)close(c);
    finish(&s);
    assert_int_equal(nr_receiver_stats(s.r).evicted, 1);
    stop(&s);
}

/* ---- the process ---- */

static void
test_confined(void **state)
{
    char path[64], line[256], text[4096] = "";
    struct scene s;
    FILE *f;
    size_t n = 0;

    (void)state;
    start(&s, "udp://127.0.0.1:0", NULL, NULL);
    (void)snprintf(path, sizeof(path), "/proc/%d/status",
        (int)nr_receiver_pid(s.r));
    f = fopen(path, "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f) && n + strlen(line) < sizeof(text)) {
        memcpy(text + n, line, strlen(line) + 1);
        n += strlen(line);
    }
    (void)fclose(f);
    assert_non_null(strstr(text, "Name:\tnoroshi-recv\n"));
    assert_non_null(strstr(text, "Seccomp:\t2\n"));
    assert_non_null(strstr(text, "NoNewPrivs:\t1\n"));
    stop(&s);
}

static void
test_killed(void **state)
{
    struct nr_receiver_block b;
    struct nr_diag d = { 0 };
    struct scene s;
    int fd;

    (void)state;
    start(&s, "udp://127.0.0.1:0", NULL, NULL);
    fd = dial(&s, 0, SOCK_DGRAM);
    say(fd, "<1>before");
    take_lines(&s, 1);
    (void)close(fd);
    assert_int_equal(kill(nr_receiver_pid(s.r), SIGKILL), 0);
    assert_int_equal(take(&s, &d), NR_ESYS);
    assert_string_equal(d.name, "killed by signal 9");
    assert_int_equal(nr_receiver_next(s.r, &b, NULL), NR_ESYS);
    stop(&s);
}

/* It does not outlive the one that reads. */
static void
test_orphan(void **state)
{
    int fd[2], status;
    struct scene s;
    pid_t pid, child = 0;
    char c;

    (void)state;
    assert_int_equal(pipe(fd), 0); /* inherited by all; at its end with all */
    pid = fork();
    if (pid == 0) {
        start(&s, "tcp://127.0.0.1:0", NULL, NULL);
        child = nr_receiver_pid(s.r);
        _exit(write(fd[1], &child, sizeof(child)) == sizeof(child) ? 0 : 1);
    }
    (void)close(fd[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(read(fd[0], &child, sizeof(child)), sizeof(child));
    assert_int_equal(read(fd[0], &c, 1), 0);
    (void)close(fd[0]);
    for (int i = 0; i < WAIT_MS && kill(child, 0) == 0; i += 10) {
        char path[32], state_of[64] = "";
        int at;

        (void)snprintf(path, sizeof(path), "/proc/%d/stat", (int)child);
        at = open(path, O_RDONLY | O_CLOEXEC);
        if (at < 0)
            return;
        (void)!read(at, state_of, sizeof(state_of) - 1);
        (void)close(at);
        if (strstr(state_of, ") Z"))
            return; /* dead; nobody here waits for it */
        (void)poll(NULL, 0, 10);
    }
    assert_int_equal(kill(child, 0), -1);
}

static const struct {
    const char *at, *cert;
    enum nr_err err;
    const char *words;
} refusals[] = {
    { "udp://localhost:1", NULL, NR_EFORMAT, "udp://localhost:1" },
    { "udp://203.0.113.1:9", NULL, NR_ESYS, "udp://203.0.113.1:9" },
    { "tls://127.0.0.1:0", NULL, NR_EFORMAT, "" },
    { "tls://127.0.0.1:0", "/nonexistent.pem", NR_ENOTFOUND,
        "/nonexistent.pem" },
    { "tls://127.0.0.1:0", "/dev/null", NR_EFORMAT, "/dev/null" },
    { "tcp://127.0.0.1:0", "/dev/null", NR_EFORMAT, "" },
    { "unix:///nonexistent/x", NULL, NR_ESYS, "unix:///nonexistent/x" },
};

static void
test_refusals(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
        const char *at[] = { refusals[i].at };
        struct nr_receiver_conf c = { .listen = at,
            .n_listen = 1,
            .tls_cert = refusals[i].cert,
            .tls_key = refusals[i].cert };
        struct nr_receiver *r = NULL;
        struct nr_diag d = { 0 };

        CHECK_CASE(at[0], nr_receiver_start(&c, &r, &d) == refusals[i].err);
        CHECK_CASE(at[0], strstr(d.name, refusals[i].words) != NULL);
        CHECK_CASE(at[0], d.what != NULL);
    }
}

static void
test_port_in_use(void **state)
{
    struct nr_receiver_conf c = { .n_listen = 1 };
    struct nr_receiver *r;
    struct nr_diag d = { 0 };
    const char *at[1];
    struct scene s;

    (void)state;
    start(&s, "tcp://127.0.0.1:0", NULL, NULL);
    at[0] = nr_receiver_address(s.r, 0);
    c.listen = at;
    assert_int_equal(nr_receiver_start(&c, &r, &d), NR_ESYS);
    assert_non_null(strstr(d.name, "in use"));
    stop(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        NR_TEST(test_udp),
        NR_TEST(test_tcp_mixed),
        NR_TEST(test_unix),
        NR_TEST(test_unix_left_over),
        NR_TEST(test_many),
        NR_TEST(test_back_pressure),
        NR_TEST(test_finish_takes_what_was_sent),
        NR_TEST(test_cut),
        NR_TEST(test_slow),
        NR_TEST(test_too_many_of_one),
        NR_TEST(test_idle_makes_room),
        NR_TEST(test_confined),
        NR_TEST(test_killed),
        NR_TEST(test_orphan),
        NR_TEST(test_refusals),
        NR_TEST(test_port_in_use),
    };
    int failed;

    (void)snprintf(dir, sizeof(dir), "/tmp/nr_receiver.XXXXXX");
    if (!mkdtemp(dir))
        return EXIT_FAILURE;
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)rmdir(dir);
    return failed;
}
