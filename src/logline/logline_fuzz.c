/*
 * Whatever a line holds, its record's views lie in it (or in the words of this
 * room that stand for none), and its numbers in their ranges.
 */
#include "logline/logline.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
inside(struct nr_bytes v, struct nr_bytes line)
{
    assert(v.n == 0 || (v.p >= line.p && v.p + v.n <= line.p + line.n));
}

/* The ends of a line by itself, whatever it is said to be of. */
static void
ends(struct nr_logfile *f, struct nr_bytes line, enum nr_source s)
{
    struct nr_ends e;

    nr_logline_ends(f, s, line, &e);
    inside(e.from, line);
    inside(e.to, line);
    inside(e.asked, line);
    inside(e.url, line);
    inside(e.machine, line);
    assert(e.sent >= NR_BYTES_NONE && e.got >= NR_BYTES_NONE);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct nr_logfile_options o = { .name = "fuzz", .last_s = 1480000000 };
    struct nr_bytes rest = { data, size };
    struct nr_logfile *f, *bare = NULL;

    if (nr_logfile_new(&o, &f, NULL) != NR_OK)
        return 0;
    if (nr_logfile_new(&o, &bare, NULL) != NR_OK) {
        nr_logfile_free(f);
        return 0;
    }
    nr_logfile_learn(f, rest);
    if (nr_logfile_wants_prescan(f))
        nr_logfile_prescan(f, rest);
    while (rest.n) {
        const uint8_t *lf = memchr(rest.p, '\n', rest.n);
        size_t n = lf ? (size_t)(lf - rest.p) : rest.n;
        size_t skip = lf ? n + 1 : n;
        struct nr_record r;
        /* a copy of its own: what reads past the line is caught */
        uint8_t *copy = malloc(n ? n : 1);
        struct nr_bytes line = { copy, n };

        if (!copy)
            break;
        if (n)
            memcpy(copy, rest.p, n);
        nr_logline_parse(f, line, &r);
        inside(r.src, line);
        inside(r.dst, line);
        inside(r.host, line);
        inside(r.user, line);
        inside(r.query, line);
        inside(r.url, line);
        assert(r.kinds != 0 && r.kinds < 1u << NR_LOG_KINDS);
        assert(r.source < NR_SOURCES);
        ends(bare, line, r.source);
        ends(bare, line, NR_SOURCE_CONN);
        assert(r.bytes_in >= NR_BYTES_NONE && r.bytes_out >= NR_BYTES_NONE);
        free(copy);
        rest = (struct nr_bytes){ rest.p + skip, rest.n - skip };
    }
    nr_logfile_free(f);
    nr_logfile_free(bare);
    return 0;
}
