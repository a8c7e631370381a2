/* Server-sent events: octets in any pieces to events. */
#include "member/member.h"

#include <string.h>

void
nr_events_init(struct nr_events *e)
{
    nr_buf_init(&e->line, NR_HTTP_EVENT_MAX);
    nr_buf_init(&e->event, NR_HTTP_EVENT_MAX);
    nr_buf_init(&e->data, NR_HTTP_EVENT_MAX);
    nr_buf_init(&e->id, NR_HTTP_EVENT_MAX);
    e->cr = false;
}

void
nr_events_fini(struct nr_events *e)
{
    nr_buf_fini(&e->line);
    nr_buf_fini(&e->event);
    nr_buf_fini(&e->data);
    nr_buf_fini(&e->id);
}

static struct nr_str
text_of(const struct nr_buf *b)
{
    struct nr_str s = { "", 0 };

    /* What is not UTF-8 cannot be ours; it is shown as empty. */
    return nr_str_from_utf8(nr_buf_bytes(b), &s) ? s : (struct nr_str){ "", 0 };
}

static void
dispatch(struct nr_events *e,
    void (*got)(void *ctx, const struct nr_http_event *ev), void *ctx)
{
    if (e->data.n > 0) {
        struct nr_http_event ev;

        e->data.n--; /* the line feed behind the last data line */
        ev = (struct nr_http_event){ text_of(&e->event), text_of(&e->data),
            text_of(&e->id) };
        got(ctx, &ev);
    }
    /* The id stays: it is the stream's last one until another comes. */
    nr_buf_reset(&e->event);
    nr_buf_reset(&e->data);
}

static void
take_field(struct nr_events *e, struct nr_bytes line)
{
    const uint8_t *colon = memchr(line.p, ':', line.n);
    size_t n = colon ? (size_t)(colon - line.p) : line.n;
    struct nr_bytes name = nr_bytes_sub(line, 0, n);
    struct nr_bytes value = nr_bytes_sub(line, colon ? n + 1 : n, line.n);

    if (value.n > 0 && value.p[0] == ' ')
        value = nr_bytes_sub(value, 1, value.n);
    if (nr_bytes_eq(name, NR_BYTES("data"))) {
        nr_buf_put(&e->data, value);
        nr_buf_put_c(&e->data, '\n');
    } else if (nr_bytes_eq(name, NR_BYTES("event"))) {
        nr_buf_reset(&e->event);
        nr_buf_put(&e->event, value);
    } else if (nr_bytes_eq(name, NR_BYTES("id")) &&
        !(value.n && memchr(value.p, 0, value.n))) {
        nr_buf_reset(&e->id);
        nr_buf_put(&e->id, value);
    }
    /* An empty name is a comment (the heartbeat), any other is ignored. */
}

enum nr_err
nr_events_feed(struct nr_events *e, struct nr_bytes in,
    void (*got)(void *ctx, const struct nr_http_event *ev), void *ctx)
{
    for (size_t i = 0; i < in.n; i++) {
        uint8_t c = in.p[i];
        bool lf_of_crlf = e->cr && c == '\n';

        e->cr = c == '\r';
        if (lf_of_crlf)
            continue;
        if (c != '\r' && c != '\n') {
            nr_buf_put_c(&e->line, (char)c);
            if (e->line.err)
                return e->line.err;
            continue;
        }
        if (e->line.n == 0)
            dispatch(e, got, ctx);
        else
            take_field(e, nr_buf_bytes(&e->line));
        nr_buf_reset(&e->line);
        if (e->data.err || e->event.err || e->id.err)
            return e->data.err ? e->data.err : NR_ELIMIT;
    }
    return NR_OK;
}
