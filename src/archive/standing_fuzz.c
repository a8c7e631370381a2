/* The state of a standing hunt, from whatever octets. */
#include "archive/standing.h"
#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_standing_stat st, again;
    struct nr_standing *s = NULL;
    char path[64];
    int fd = memfd_create("standing", MFD_CLOEXEC);

    if (fd < 0 || nr_fd_write(fd, (struct nr_bytes){ data, size }, NULL))
        abort();
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (nr_standing_open(path, false, &s, NULL, NULL) == NR_OK) {
        bool cut;

        nr_standing_stat(s, &st);
        nr_standing_close(s);
        if (st.octets > size)
            abort();
        /* What is left of it is whole, and says the same. */
        if (nr_standing_open(path, true, &s, NULL, NULL) != NR_OK)
            abort();
        nr_standing_close(s);
        if (nr_standing_open(path, true, &s, &cut, NULL) != NR_OK || cut)
            abort();
        nr_standing_stat(s, &again);
        nr_standing_close(s);
        if (again.values != st.values || again.segments != st.segments ||
            again.found != st.found)
            abort();
    }
    close(fd);
    return 0;
}
