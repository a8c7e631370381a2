#include "receiver/framing.h"

#include "base/num.h"

enum { HEAD, DIGITS, SPACE, COUNTED, LINE };

/* A buffer that grew beyond this is given back after its message. */
#define KEEP_MAX ((size_t)8192)

void
nr_framing_init(struct nr_framing *f, size_t max)
{
    *f = (struct nr_framing){ .max = max, .state = HEAD };
    nr_buf_init(&f->msg, max + sizeof(f->head));
}

void
nr_framing_fini(struct nr_framing *f)
{
    nr_buf_fini(&f->msg);
}

bool
nr_framing_begun(const struct nr_framing *f)
{
    return f->state != HEAD;
}

static void
keep(struct nr_framing *f, struct nr_bytes b)
{
    size_t room = f->max - nr_min(f->max, f->msg.n);

    if (b.n > room) {
        f->cut = true;
        b.n = room;
    }
    nr_buf_put(&f->msg, b);
    /* out of memory: what was held stands for the message */
    f->cut = f->cut || f->msg.err != NR_OK;
}

static size_t
count_of(const struct nr_framing *f)
{
    size_t n = 0;

    for (uint8_t i = 0; i < f->n_head; i++)
        n = n * 10 + (size_t)(f->head[i] - '0');
    return n;
}

/* No count after all: what looked like one begins the line. */
static void
be_line(struct nr_framing *f)
{
    if (f->n_head > 0)
        keep(f, (struct nr_bytes){ f->head, f->n_head });
    if (f->state == SPACE)
        keep(f, NR_BYTES(" "));
    f->state = LINE;
}

static void
be_counted(struct nr_framing *f)
{
    f->left = count_of(f);
    f->state = COUNTED;
}

/* Tell the framing of a message by its first octets; false: not enough. */
static bool
decide(struct nr_framing *f, struct nr_bytes *in)
{
    while (f->state < COUNTED && in->n > 0) {
        uint8_t c = in->p[0];
        bool digit = nr_is_digit(c) && f->n_head < NR_COUNT_DIGITS &&
            (f->n_head > 0 || c != '0');

        if (f->state == SPACE) {
            if (c == '<')
                be_counted(f);
            else
                be_line(f);
        } else if (digit) {
            f->head[f->n_head++] = c;
            f->state = DIGITS;
            *in = nr_bytes_sub(*in, 1, in->n);
        } else if (c == ' ' && f->n_head > 0 &&
            count_of(f) <= NR_RECEIVER_COUNT_MAX) {
            f->state = SPACE;
            if (f->counted)
                be_counted(f);
            *in = nr_bytes_sub(*in, 1, in->n);
        } else {
            be_line(f);
        }
    }
    return f->state >= COUNTED;
}

/* The message is whole: OUT views what is held, or LAST if nothing is. */
static void
give(struct nr_framing *f, struct nr_bytes last, struct nr_message *out)
{
    *out = (struct nr_message){ .text = last };
    if (f->msg.n > 0 || f->cut) {
        keep(f, last);
        out->text = nr_buf_bytes(&f->msg);
    } else if (last.n > f->max) {
        out->text.n = f->max;
        f->cut = true;
    }
    out->cut = f->cut;
    f->given = true;
    f->cut = false;
    f->n_head = 0;
    f->left = 0;
    f->state = HEAD;
}

static void
clear(struct nr_framing *f)
{
    if (f->msg.cap > KEEP_MAX) {
        nr_buf_fini(&f->msg);
        nr_buf_init(&f->msg, f->max + sizeof(f->head));
    }
    nr_buf_reset(&f->msg);
    f->given = false;
}

static bool
counted_next(struct nr_framing *f, struct nr_bytes *in, struct nr_message *out)
{
    struct nr_bytes b = nr_bytes_sub(*in, 0, nr_min(in->n, f->left));

    *in = nr_bytes_sub(*in, b.n, in->n);
    if (b.n < f->left) {
        f->left -= b.n;
        keep(f, b);
        return false;
    }
    give(f, b, out);
    f->counted = true;
    return true;
}

static bool
line_next(struct nr_framing *f, struct nr_bytes *in, struct nr_message *out)
{
    const uint8_t *lf = memchr(in->p, '\n', in->n);
    size_t n = lf ? (size_t)(lf - in->p) : in->n;
    const uint8_t *nul = n > 0 ? memchr(in->p, 0, n) : NULL;
    struct nr_bytes b = { in->p, nul ? (size_t)(nul - in->p) : n };

    if (!lf && !nul) {
        keep(f, b);
        *in = nr_bytes_sub(*in, in->n, in->n);
        return false;
    }
    *in = nr_bytes_sub(*in, b.n + 1, in->n);
    give(f, b, out);
    if (out->text.n > 0)
        f->counted = false;
    return true;
}

bool
nr_framing_next(struct nr_framing *f, struct nr_bytes *in,
    struct nr_message *out)
{
    while (in->n > 0) {
        bool whole;

        if (f->given)
            clear(f);
        if (!decide(f, in) || in->n == 0)
            return false;
        whole = f->state == COUNTED ? counted_next(f, in, out)
                                    : line_next(f, in, out);
        if (whole && out->text.n > 0)
            return true;
    }
    return false;
}

bool
nr_framing_end(struct nr_framing *f, struct nr_message *out)
{
    struct nr_bytes none = { 0 };

    if (f->given)
        clear(f);
    if (f->state == HEAD)
        return false;
    if (f->state == DIGITS || f->state == SPACE)
        be_line(f);
    give(f, none, out);
    out->half = true;
    return out->text.n > 0;
}

/* Controls but TAB; DEL. */
static bool
is_hidden(uint8_t c)
{
    return (c < 0x20 && c != '\t') || c == 0x7f;
}

static bool
is_trailer(uint8_t c)
{
    return c == '\n' || c == '\r' || c == 0;
}

bool
nr_message_put(struct nr_buf *b, struct nr_bytes msg)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t from = 0;

    while (msg.n > 0 && is_trailer(msg.p[msg.n - 1]))
        msg.n--;
    if (msg.n == 0)
        return false;
    for (size_t i = 0; i < msg.n; i++) {
        uint8_t c = msg.p[i];

        if (!is_hidden(c))
            continue;
        nr_buf_put(b, nr_bytes_sub(msg, from, i));
        nr_buf_put_c(b, '<');
        nr_buf_put_c(b, hex[c >> 4]);
        nr_buf_put_c(b, hex[c & 15]);
        nr_buf_put_c(b, '>');
        from = i + 1;
    }
    nr_buf_put(b, nr_bytes_sub(msg, from, msg.n));
    nr_buf_put_c(b, '\n');
    return true;
}
