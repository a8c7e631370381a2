/* The state of a standing hunt, from whatever octets. */
#include "archive/standing_in.h"
#include "base/file.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look(struct nr_bytes in)
{
    struct nr_standing_stat st, again;
    struct nr_standing *s = NULL;
    char path[64];
    int fd = memfd_create("standing", MFD_CLOEXEC);

    if (fd < 0 || nr_fd_write(fd, in, NULL))
        abort();
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (nr_standing_open(path, false, &s, NULL, NULL) == NR_OK) {
        bool cut;

        nr_standing_stat(s, &st);
        nr_standing_close(s);
        if (st.octets > in.n)
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
}

/* The same octets as bodies of records whose checksums hold: octets:2, body. */
static void
look_behind(struct nr_bytes in)
{
    struct nr_cur c = nr_cur(in);
    struct nr_buf b;

    nr_buf_init(&b, (size_t)1 << 24);
    nr_buf_put_str(&b, NR_STR(STANDING_HEAD));
    while (nr_cur_left(&c) > 2) {
        size_t n = nr_cur_le16(&c), left = nr_cur_left(&c);
        struct nr_bytes body = nr_cur_take(&c, n < left ? n : left);

        nr_buf_put_le(&b, body.n, 4);
        nr_buf_put_le(&b, nr_xxh64(body, 0), 8);
        nr_buf_put(&b, body);
    }
    if (b.err == NR_OK)
        look(nr_buf_bytes(&b));
    nr_buf_fini(&b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    look((struct nr_bytes){ data, size });
    look_behind((struct nr_bytes){ data, size });
    return 0;
}
