/* Whatever a receiver that was taken over sends: sound frames or a refusal. */
#include "receiver/pipe.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_bytes in = { data, size };
    struct nr_receiver_stats s;
    struct nr_diag d = { 0 };
    struct nr_pipe_frame f;
    size_t taken;

    while (nr_pipe_parse(in, &f, &taken) == NR_OK) {
        assert(taken >= NR_PIPE_HEAD && taken <= NR_PIPE_FRAME_MAX);
        assert(taken == NR_PIPE_HEAD + f.text.n + f.cursor.n);
        if (f.type == NR_PIPE_STATS)
            nr_pipe_get_stats(f.text, &s);
        if (f.type == NR_PIPE_FAIL)
            assert(nr_pipe_get_fail(f.text, &d) != NR_OK);
        in = nr_bytes_sub(in, taken, in.n);
    }
    return 0;
}
