/*
 * However a stream is cut into pieces, its messages are the same; none is
 * empty or beyond the limit; as lines they have one LF, at the end.
 */
#include "receiver/framing.h"

#include <assert.h>
#include <stdlib.h>

#define LIMIT   ((size_t)64)
#define OUT_MAX ((size_t)1 << 24)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
put(struct nr_buf *b, const struct nr_message *m)
{
    size_t from = b->n;

    assert(m->text.n > 0 && m->text.n <= LIMIT);
    if (nr_message_put(b, m->text)) {
        assert(b->n - from <= NR_MESSAGE_LINE(m->text.n));
        for (size_t i = from; i < b->n; i++)
            assert((b->p[i] == '\n') == (i == b->n - 1));
    }
    nr_buf_put_le(b, m->cut, 1);
    nr_buf_put_le(b, m->half, 1);
}

static void
run(struct nr_bytes in, size_t step, struct nr_buf *b)
{
    struct nr_framing f;
    struct nr_message m;

    nr_framing_init(&f, LIMIT);
    while (in.n > 0) {
        size_t n = step < in.n ? step : in.n;
        struct nr_bytes piece = nr_bytes_sub(in, 0, n);

        in = nr_bytes_sub(in, n, in.n);
        while (nr_framing_next(&f, &piece, &m))
            put(b, &m);
        assert(piece.n == 0);
    }
    if (nr_framing_end(&f, &m))
        put(b, &m);
    assert(!nr_framing_begun(&f));
    nr_framing_fini(&f);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_bytes in = { data, size };
    struct nr_buf whole, other;

    nr_buf_init(&whole, OUT_MAX);
    nr_buf_init(&other, OUT_MAX);
    run(in, size + 1, &whole);
    for (size_t step = 1; step < 8; step += 3) {
        nr_buf_reset(&other);
        run(in, step, &other);
        assert(nr_bytes_eq(nr_buf_bytes(&whole), nr_buf_bytes(&other)));
    }
    nr_buf_fini(&whole);
    nr_buf_fini(&other);
    return 0;
}
