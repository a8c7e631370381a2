#include "alert/carrier.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define SLICE_MS 50 /* between two looks at a channel that does not move */

void
alert_carrier_init(struct alert_carrier *c, const struct alert_channel_ops *ops,
    void *self, const char *name, const struct nr_alert_conf *conf)
{
    *c = (struct alert_carrier){ .ops = ops,
        .self = self,
        .conf = *conf,
        .name = name,
        .fd = -1,
        .wait_us = NR_ALERT_RETRY_US,
        .said_us = NR_TIME_NONE };
}

static void
release_head(struct alert_carrier *c)
{
    struct alert_frame *f = c->head;

    c->head = f->next;
    if (!c->head)
        c->tail = NULL;
    c->octets -= f->n;
    c->waiting--;
    free(f);
}

void
alert_carrier_fini(struct alert_carrier *c)
{
    if (c->fd >= 0)
        c->ops->down(c->self);
    while (c->head)
        release_head(c);
}

static void
say(struct alert_carrier *c, const char *what)
{
    char text[512];

    if (!c->conf.say)
        return;
    (void)snprintf(text, sizeof(text), "%s: %s", c->name, what);
    c->conf.say(c->conf.ctx, text);
}

static void
say_dropped(struct alert_carrier *c)
{
    char text[64];

    if (c->dropped == c->dropped_said)
        return;
    (void)snprintf(text, sizeof(text), "%llu messages dropped",
        (unsigned long long)(c->dropped - c->dropped_said));
    say(c, text);
    c->dropped_said = c->dropped;
}

/* The channel broke: what it had not handed over is to be written again. */
static void
breaks(struct alert_carrier *c, const char *why)
{
    int64_t now = c->conf.env.now_us(c->conf.env.ctx);
    char text[256];

    if (c->fd >= 0)
        c->ops->down(c->self);
    c->fd = -1;
    c->at = c->head;
    c->written = c->flying = 0;
    c->broken = true;
    c->retry_us = now + c->wait_us;
    c->wait_us *= 2;
    if (c->wait_us > NR_ALERT_RETRY_MAX_US)
        c->wait_us = NR_ALERT_RETRY_MAX_US;
    if (c->said ||
        (c->said_us != NR_TIME_NONE && now >= c->said_us &&
            now - c->said_us < NR_ALERT_SAY_US))
        return;
    c->said = true;
    c->said_us = now;
    (void)snprintf(text, sizeof(text), "%s; it is tried again", why);
    say(c, text);
}

/* Frames that the other side took off the channel are done with. */
static bool
release_taken(struct alert_carrier *c)
{
    size_t untaken = c->fd >= 0 && !c->ops->datagram ? c->ops->untaken(c->self)
                                                     : 0;
    bool moved = false;

    while (c->head && c->head != c->at && c->flying - c->head->n >= untaken) {
        c->flying -= c->head->n;
        release_head(c);
        moved = true;
    }
    if (moved) {
        if (c->said)
            say(c, "it is back");
        say_dropped(c);
        c->broken = c->said = c->said_full = c->stalled = false;
        c->wait_us = NR_ALERT_RETRY_US;
    }
    return moved;
}

static bool
come_up(struct alert_carrier *c)
{
    struct nr_diag d = { 0 };
    char why[256];
    int64_t now = c->conf.env.now_us(c->conf.env.ctx);

    if (c->fd >= 0)
        return true;
    /* a clock that was set back far makes no longer wait */
    if (c->broken && now < c->retry_us &&
        c->retry_us - now <= NR_ALERT_RETRY_MAX_US)
        return false;
    if (c->ops->up(c->self, &c->fd, &d) != NR_OK) {
        c->fd = -1;
        nr_diag_print(&d, why, sizeof(why));
        breaks(c, why);
        return false;
    }
    c->restarts += c->was_up;
    c->was_up = true;
    return true;
}

/* One write of the frame at hand. False: nothing more can be written now. */
static bool
write_some(struct alert_carrier *c)
{
    struct alert_frame *f = c->at;
    ssize_t put = c->ops->write(c->self,
        (struct nr_bytes){ f->octets + c->written, f->n - c->written });

    if (put < 0 && errno == EINTR)
        return true;
    if (put < 0 && (errno == EAGAIN || errno == ENOBUFS))
        return false;
    if (put < 0 && errno == EMSGSIZE && c->ops->datagram) {
        put = (ssize_t)f->n; /* it can never be sent */
        c->dropped++;
    } else if (put < 0) {
        int why = errno;

        /* on a datagram socket: the one before was refused */
        c->dropped += c->ops->datagram && why == ECONNREFUSED;
        (void)release_taken(c);
        breaks(c, strerror(why));
        return false;
    }
    c->written += (size_t)put;
    c->flying += (size_t)put;
    if (c->written == f->n) {
        c->at = f->next;
        c->written = 0;
    }
    return true;
}

/* True: something moved. */
static bool
pump(struct alert_carrier *c)
{
    bool moved = false;

    if (!c->head && c->fd < 0)
        return false;
    if (!come_up(c))
        return false;
    errno = 0;
    if (!c->ops->is_alive(c->self)) {
        int why = errno;

        moved = release_taken(c);
        breaks(c, why ? strerror(why) : "it went away");
        return moved;
    }
    while (c->at && write_some(c))
        moved = true;
    return (c->fd >= 0 && release_taken(c)) || moved;
}

void
alert_carrier_pump(struct alert_carrier *c)
{
    (void)pump(c);
}

static void
pause_for(struct alert_carrier *c)
{
    struct pollfd p = { .fd = c->fd, .events = POLLOUT };

    /* a channel with room that takes nothing is not asked in a circle */
    if (c->fd < 0 || !c->at)
        (void)poll(NULL, 0, SLICE_MS);
    else
        (void)poll(&p, 1, SLICE_MS);
}

/* Wait until N more octets have room. False: there will be none soon. */
static bool
wait_for_room(struct alert_carrier *c, size_t n)
{
    int left_ms = NR_ALERT_STALL_MS;

    while (c->octets + n > NR_ALERT_QUEUE_MAX) {
        if (c->fd < 0 || c->stalled)
            return false;
        if (pump(c))
            continue;
        if (left_ms <= 0) {
            c->stalled = true;
            return false;
        }
        pause_for(c);
        left_ms -= SLICE_MS;
    }
    return true;
}

enum nr_err
alert_carrier_put(struct alert_carrier *c, struct nr_bytes message,
    struct nr_diag *d)
{
    struct alert_frame *f;

    alert_carrier_pump(c);
    if (!wait_for_room(c, message.n)) {
        c->dropped++;
        if (!c->said_full)
            say(c, "the queue is full: messages are dropped from now on");
        c->said_full = true;
        return NR_OK;
    }
    f = malloc(sizeof(*f) + message.n);
    if (!f)
        return nr_fail(d, NR_ENOMEM, 0, "alert: out of memory");
    f->next = NULL;
    f->n = message.n;
    memcpy(f->octets, message.p, message.n);
    if (c->tail)
        c->tail->next = f;
    else
        c->head = f;
    c->tail = f;
    if (!c->at)
        c->at = f;
    c->octets += f->n;
    c->waiting++;
    alert_carrier_pump(c);
    return NR_OK;
}

/* All is written to a channel that can be ended: end it, and see what is left.
 * False: the other side went away before it had taken all. */
static bool
end_channel(struct alert_carrier *c)
{
    c->ops->end(c->self, NR_ALERT_LINGER_MS);
    (void)release_taken(c);
    if (!c->head)
        return true;
    if (c->ops->is_alive(c->self)) {
        say(c, "it is still at work, and is not waited for");
        while (c->head)
            release_head(c);
        return true;
    }
    breaks(c, "it went away");
    return false;
}

void
alert_carrier_finish(struct alert_carrier *c)
{
    int left_ms = NR_ALERT_LINGER_MS;

    while (c->head && left_ms > 0) {
        uint64_t before = c->waiting;
        bool moved = pump(c);

        if (c->waiting < before) {
            left_ms = NR_ALERT_LINGER_MS;
        } else if (moved) {
            continue;
        } else if (c->fd >= 0 && !c->at && c->ops->end) {
            if (end_channel(c))
                break;
        } else {
            pause_for(c);
            left_ms -= SLICE_MS;
        }
    }
    c->dropped += c->waiting;
    say_dropped(c);
    while (c->head)
        release_head(c);
    c->at = NULL;
    if (c->fd >= 0 && c->ops->end)
        c->ops->end(c->self, NR_ALERT_LINGER_MS);
    if (c->fd >= 0)
        c->ops->down(c->self);
    c->fd = -1;
}

void
alert_carrier_count(const struct alert_carrier *c, struct nr_alert_counts *out)
{
    out->waiting += c->waiting;
    out->dropped += c->dropped;
    out->restarts += c->restarts;
}
