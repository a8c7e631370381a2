#include "receiver/pipe.h"

#include "base/cur.h"
#include "base/num.h"

#include <errno.h>
#include <unistd.h>

#define COUNTERS   (sizeof(struct nr_receiver_stats) / sizeof(uint64_t))
#define STATS_SIZE (COUNTERS * sizeof(uint64_t))
#define FAIL_HEAD  ((size_t)2) /* enum nr_err */

/* ---- reading ---- */

static bool
is_line_text(struct nr_bytes b)
{
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] < 0x20 || b.p[i] == 0x7f)
            return false;
    return true;
}

static bool
is_sound(const struct nr_pipe_frame *f)
{
    struct nr_bytes t = f->text;

    switch (f->type) {
    case NR_PIPE_LINES:
        return t.n > 0 && t.p[t.n - 1] == '\n' && is_line_text(f->cursor) &&
            f->cursor.n < NR_RECEIVER_CURSOR_MAX;
    case NR_PIPE_ORIGIN:
    case NR_PIPE_ADDRESS:
        return t.n > 0 && t.n < NR_RECEIVER_NAME_MAX && is_line_text(t);
    case NR_PIPE_NOTE:
        return is_line_text(t);
    case NR_PIPE_STATS:
        return t.n == STATS_SIZE;
    case NR_PIPE_FAIL:
        return t.n >= FAIL_HEAD;
    case NR_PIPE_READY:
    case NR_PIPE_JOURNAL_END:
    case NR_PIPE_END:
        return t.n == 0;
    }
    return false;
}

enum nr_err
nr_pipe_parse(struct nr_bytes in, struct nr_pipe_frame *out, size_t *taken)
{
    struct nr_cur c = nr_cur(in);
    struct nr_pipe_frame f = { .type = NR_PIPE_END };
    uint8_t type = nr_cur_u8(&c), zero = nr_cur_u8(&c);
    size_t cursor = nr_cur_le16(&c), text;

    f.origin = nr_cur_le32(&c);
    text = nr_cur_le32(&c);
    if (c.err)
        return c.err;
    if (type < NR_PIPE_ADDRESS || type > NR_PIPE_END || zero != 0 ||
        text > NR_PIPE_TEXT_MAX || cursor >= NR_RECEIVER_CURSOR_MAX)
        return NR_EFORMAT;
    f.type = (enum nr_pipe_type)type;
    f.text = nr_cur_take(&c, text);
    f.cursor = nr_cur_take(&c, cursor);
    if (c.err)
        return c.err;
    if (!is_sound(&f))
        return NR_EFORMAT;
    *out = f;
    *taken = in.n - nr_cur_left(&c);
    return NR_OK;
}

void
nr_pipe_get_stats(struct nr_bytes text, struct nr_receiver_stats *s)
{
    uint64_t v[COUNTERS] = { 0 };
    struct nr_cur c = nr_cur(text);

    for (size_t i = 0; i < COUNTERS; i++)
        v[i] = nr_cur_le64(&c);
    memcpy(s, v, sizeof(*s));
}

enum nr_err
nr_pipe_get_fail(struct nr_bytes text, struct nr_diag *d)
{
    struct nr_cur c = nr_cur(text);
    unsigned err = nr_cur_le16(&c);
    char words[NR_DIAG_NAME_MAX];
    size_t n = nr_min(nr_cur_left(&c), sizeof(words) - 1);

    if (err == NR_OK || err > NR_EDAMAGED)
        err = NR_EFORMAT;
    memcpy(words, c.p, n);
    words[n] = '\0';
    return nr_fail_name(d, (enum nr_err)err,
        "the receiving process could not start", words);
}

/* ---- writing ---- */

void
nr_pipe_init(struct nr_pipe_out *o, size_t max)
{
    *o = (struct nr_pipe_out){ 0 };
    nr_buf_init(&o->buf, max);
}

void
nr_pipe_fini(struct nr_pipe_out *o)
{
    nr_buf_fini(&o->buf);
}

static void
put_head(struct nr_buf *b, enum nr_pipe_type type, uint32_t origin, size_t text)
{
    nr_buf_put_le(b, (uint64_t)type, 1);
    nr_buf_put_le(b, 0, 3);
    nr_buf_put_le(b, origin, 4);
    nr_buf_put_le(b, text, 4);
}

void
nr_pipe_end_lines(struct nr_pipe_out *o, struct nr_str cursor)
{
    uint8_t *head;
    size_t text;

    if (!o->filling)
        return;
    o->filling = false;
    if (o->buf.err)
        return;
    head = o->buf.p + o->open;
    text = o->buf.n - o->open - NR_PIPE_HEAD;
    if (text == 0) {
        o->buf.n = o->open;
        return;
    }
    head[2] = (uint8_t)cursor.n;
    head[3] = (uint8_t)(cursor.n >> 8);
    for (unsigned i = 0; i < 4; i++)
        head[8 + i] = (uint8_t)(text >> 8 * i);
    nr_buf_put_str(&o->buf, cursor);
}

struct nr_buf *
nr_pipe_line(struct nr_pipe_out *o, uint32_t origin)
{
    if (o->filling &&
        (o->origin != origin ||
            o->buf.n - o->open >= NR_PIPE_FULL + NR_PIPE_HEAD))
        nr_pipe_end_lines(o, NR_STR(""));
    if (!o->filling) {
        o->filling = true;
        o->origin = origin;
        o->open = o->buf.n;
        put_head(&o->buf, NR_PIPE_LINES, origin, 0);
    }
    return &o->buf;
}

void
nr_pipe_put(struct nr_pipe_out *o, enum nr_pipe_type type, uint32_t origin,
    struct nr_bytes text)
{
    nr_pipe_end_lines(o, NR_STR(""));
    put_head(&o->buf, type, origin, text.n);
    nr_buf_put(&o->buf, text);
}

void
nr_pipe_put_stats(struct nr_pipe_out *o, const struct nr_receiver_stats *s)
{
    uint64_t v[COUNTERS];

    memcpy(v, s, sizeof(v));
    nr_pipe_end_lines(o, NR_STR(""));
    put_head(&o->buf, NR_PIPE_STATS, 0, STATS_SIZE);
    for (size_t i = 0; i < COUNTERS; i++)
        nr_buf_put_le(&o->buf, v[i], 8);
}

void
nr_pipe_put_fail(struct nr_pipe_out *o, const struct nr_diag *d)
{
    char words[NR_DIAG_NAME_MAX];
    size_t n;

    nr_diag_print(d, words, sizeof(words));
    n = strlen(words);
    nr_pipe_end_lines(o, NR_STR(""));
    put_head(&o->buf, NR_PIPE_FAIL, 0, FAIL_HEAD + n);
    nr_buf_put_le(&o->buf, (uint64_t)d->err, FAIL_HEAD);
    nr_buf_put(&o->buf, (struct nr_bytes){ (const uint8_t *)words, n });
}

enum nr_err
nr_pipe_flush(struct nr_pipe_out *o, int fd, struct nr_diag *d)
{
    size_t end;

    if (o->buf.err)
        return nr_fail(d, o->buf.err, 0, "receiver: out of memory");
    end = o->filling ? o->open : o->buf.n;
    while (o->sent < end) {
        ssize_t n = write(fd, o->buf.p + o->sent, end - o->sent);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0)
            return nr_fail_sys(d, "receiver: the pipe");
        o->sent += (size_t)n;
    }
    /* Move what is left to the front when that is little work. */
    if (o->sent > 0 && o->sent >= o->buf.n - o->sent) {
        memmove(o->buf.p, o->buf.p + o->sent, o->buf.n - o->sent);
        o->buf.n -= o->sent;
        o->open -= nr_min(o->open, o->sent);
        o->sent = 0;
    }
    return NR_OK;
}
