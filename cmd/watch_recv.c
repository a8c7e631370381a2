#include "watch_recv.h"

#include <string.h>

#define STATS_MAX 512

bool
watch_recv_wanted(const struct watch_recv *v)
{
    return v->syslog.n > 0 || v->journal || v->journal_dir;
}

static void
on_note(void *ctx, const char *text)
{
    const struct watch_recv *v = ctx;

    cli_warn(v->cli, "warning: %s", text);
}

static bool
check(struct watch_recv *v)
{
    if (v->sandbox && strcmp(v->sandbox, "seccomp") != 0)
        return cli_error(v->cli,
                   "--sandbox=%s: only \"seccomp\" (without Landlock) can be "
                   "asked for; there is no way to receive unconfined",
                   v->sandbox) == 0;
    if (v->sandbox)
        cli_warn(v->cli,
            "warning: with --sandbox=seccomp and no Landlock in the kernel "
            "every file of this user is open to the receiving process");
    if (v->syslog.n == 0 && (v->cert || v->key || v->ca))
        return cli_error(v->cli,
                   "--tls-cert is of no use without --syslog "
                   "tls://HOST:PORT") == 0;
    return true;
}

bool
watch_recv_start(struct watch_recv *v, bool follow, const char *state)
{
    struct nr_receiver_conf c = { .listen = v->syslog.v,
        .n_listen = v->syslog.n,
        .tls_cert = v->cert,
        .tls_key = v->key,
        .tls_ca = v->ca,
        .journal = v->journal || v->journal_dir,
        .journal_dir = v->journal_dir,
        .journal_follow = follow,
        .without_landlock = v->sandbox != NULL,
        .note = on_note,
        .ctx = v };
    struct nr_diag d = { 0 };
    enum nr_err err = NR_OK;

    if (!check(v))
        return false;
    if (!watch_recv_wanted(v))
        return true;
    if (c.journal && state)
        err = nr_watch_state_cursor(state, "journal", v->cursor,
            sizeof(v->cursor), &d);
    if (v->cursor[0] != '\0')
        c.journal_cursor = v->cursor;
    if (!err)
        err = nr_receiver_start(&c, &v->r, &d);
    if (err)
        (void)cli_fail(v->cli, &d);
    for (size_t i = 0; !err && i < v->syslog.n; i++)
        cli_warn(v->cli, "listening on %s", nr_receiver_address(v->r, i));
    return err == NR_OK;
}

static enum nr_err
next(void *ctx, struct nr_watch_piece *out, struct nr_diag *d)
{
    struct watch_recv *v = ctx;
    struct nr_receiver_block b = { 0 };
    enum nr_err err = nr_receiver_next(v->r, &b, d);

    if (!err)
        *out = (struct nr_watch_piece){ .text = b.text,
            .origin = b.origin,
            .name = b.name,
            .cursor = b.cursor,
            .end = b.end };
    return err;
}

static void
finish(void *ctx)
{
    struct watch_recv *v = ctx;

    nr_receiver_finish(v->r);
}

enum nr_err
watch_recv_add(struct watch_recv *v, struct nr_watch *w, struct nr_diag *d)
{
    struct nr_watch_feed feed = { .next = next, .finish = finish, .ctx = v };

    if (!v->r)
        return NR_OK;
    feed.fd = nr_receiver_fd(v->r);
    return nr_watch_add_feed(w, &feed, d);
}

void
watch_recv_stats(const struct watch_recv *v)
{
    struct nr_receiver_stats s;
    char text[STATS_MAX];

    if (!v->r)
        return;
    s = nr_receiver_stats(v->r);
    nr_receiver_stats_print(&s, text, sizeof(text));
    cli_warn(v->cli, "received: %s", text);
}

void
watch_recv_end(struct watch_recv *v)
{
    nr_receiver_close(v->r);
    v->r = NULL;
}
