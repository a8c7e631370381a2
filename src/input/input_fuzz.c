/*
 * Whatever a file holds: its pieces put together are its text, line numbers
 * and offsets agree with it, and reading ends.
 */
#include "input/input.h"

#include <assert.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_input_options o = { .block = NR_INPUT_BLOCK_MIN };
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    struct nr_input *in;
    struct nr_block b;
    uint64_t at = 0, line = 1;
    enum nr_err err = NR_OK;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size ||
        nr_input_from_fd(fd, "fuzz", &o, &in, NULL) != NR_OK) {
        (void)close(fd);
        return 0;
    }
    for (size_t blocks = 0; blocks < 1024; blocks++) {
        err = nr_input_next(in, &b, NULL);
        if (err || b.text.n == 0)
            break;
        assert(b.at == at && b.first_line == line && b.lines > 0);
        at += b.text.n;
        for (size_t i = 0; i < b.text.n; i++)
            line += b.text.p[i] == '\n';
        assert(b.goes_on || b.open_end || b.text.p[b.text.n - 1] == '\n');
    }
    assert(!err || nr_input_next(in, &b, NULL) == err);
    nr_input_free(in);
    (void)close(fd);
    return 0;
}
