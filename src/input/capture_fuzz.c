/*
 * Whatever a capture holds: reading ends, and what comes out are whole lines
 * of printable ASCII, the same each time.
 */
#include "input/capture.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUT_MAX ((uint64_t)1 << 24)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint8_t *
lines_of(int fd, size_t *n)
{
    int to = memfd_create("lines", MFD_CLOEXEC);
    struct stat st;
    uint8_t *p;

    assert(to >= 0);
    if (nr_capture_lines(fd, "fuzz", to, OUT_MAX, NULL) != NR_OK)
        assert(lseek(to, 0, SEEK_END) >= 0); /* what came before stands */
    assert(fstat(to, &st) == 0);
    *n = (size_t)st.st_size;
    p = malloc(*n + 1);
    assert(p && pread(to, p, *n, 0) == st.st_size);
    (void)close(to);
    return p;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    int fd = memfd_create("fuzz", MFD_CLOEXEC);
    uint8_t *a, *b;
    size_t n, again;

    if (fd < 0 || write(fd, data, size) != (ssize_t)size) {
        (void)close(fd);
        return 0;
    }
    a = lines_of(fd, &n);
    b = lines_of(fd, &again);
    assert(n == again && memcmp(a, b, n) == 0);
    assert(n == 0 || a[n - 1] == '\n');
    for (size_t i = 0; i < n; i++)
        assert(a[i] == '\n' || (a[i] >= ' ' && a[i] < 0x7f));
    free(a);
    free(b);
    (void)close(fd);
    return 0;
}
