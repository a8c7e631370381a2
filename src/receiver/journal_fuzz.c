/* Whatever journalctl prints becomes frames of whole, clean lines. */
#include "receiver/journal.h"

#include <assert.h>

#define OUT_MAX ((size_t)1 << 24)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_bytes in = { data, size }, rest;
    struct nr_receiver_stats s = { 0 };
    struct nr_journal_reader j;
    struct nr_pipe_out o;
    uint64_t lines = 0;

    nr_pipe_init(&o, OUT_MAX);
    nr_journal_init(&j, NR_RECEIVER_MESSAGE);
    nr_journal_take(&j, nr_bytes_sub(in, 0, size / 2), &o, &s);
    nr_journal_take(&j, nr_bytes_sub(in, size / 2, size), &o, &s);
    rest = nr_buf_bytes(&o.buf);
    while (rest.n > 0 && !o.buf.err) {
        struct nr_pipe_frame f;
        size_t taken;
        enum nr_err err = nr_pipe_parse(rest, &f, &taken);

        assert(err == NR_OK && f.type == NR_PIPE_LINES);
        rest = nr_bytes_sub(rest, taken, rest.n);
        for (size_t i = 0; i < f.text.n; i++) {
            lines += f.text.p[i] == '\n';
            assert(f.text.p[i] >= 0x20 || f.text.p[i] == '\n' ||
                f.text.p[i] == '\t');
        }
    }
    assert(o.buf.err || lines == s.messages);
    nr_journal_fini(&j);
    nr_pipe_fini(&o);
    return 0;
}
